#include "destruction.h"

#include "clock.h"
#include "err.h"
#include "p11_token.h"
#include "record_verify.h"
#include "text.h"
#include "token_key.h"
#include "token_signer.h"

enum { OWN, STAYING, SIGNERS_MAX };

/* Who signs; NULL: does not. */
struct signers {
    struct hs_signer *of[SIGNERS_MAX];
};

/* The public type is our own under another name. */
static const struct hs_token_key *
token_key(const hsmart_key *key)
{
    return (const struct hs_token_key *)key;
}

/* ---- What it says ---- */

static void
put_token(struct hs_json_writer *writer, const struct hs_token_key *key)
{
    const hsmart_token_info *info = hs_p11_token_get_info(key->token);

    hs_json_name(writer, "token");
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "label", info->label);
    hs_json_member_text(writer, "serial", info->serial);
    hs_json_member_text(writer, "uri", info->uri);
    hs_json_end_object(writer);
}

static void
put_key(struct hs_json_writer *writer, const struct hs_token_key *key)
{
    struct hs_buf id = {0};

    if (writer->code == HSMART_OK)
        writer->code = hs_text_append_hex(&id, hs_span_buf(&key->id), &writer->err);
    hs_json_name(writer, "key");
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "label", key->info.label);
    hs_json_member_text(writer, "id", hs_buf_text(&id));
    hs_json_member_text(writer, "uri", key->uri);
    hs_json_member_text(writer, "kid", key->jwk.pkey != NULL ? key->jwk.thumbprint : "");
    hs_json_name(writer, "jwk");
    if (key->jwk.pkey != NULL)
        hs_jwk_put(writer, &key->jwk, NULL, key->info.alg);
    else
        hs_json_put_null(writer);
    hs_json_end_object(writer);
    hs_buf_clear(&id);
}

static void
put_signers(struct hs_json_writer *writer, const struct signers *signers)
{
    static const char *const who[SIGNERS_MAX] = {[OWN] = "the key itself", [STAYING] = "a key that stays"};

    hs_json_name(writer, "signers");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < SIGNERS_MAX; i++) {
        if (signers->of[i] == NULL)
            continue;
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "who", who[i]);
        hs_json_member_text(writer, "kid", signers->of[i]->jwk->thumbprint);
        hs_json_name(writer, "jwk");
        hs_jwk_put(writer, signers->of[i]->jwk, NULL, signers->of[i]->alg->name);
        hs_json_end_object(writer);
    }
    hs_json_end_array(writer);
}

static enum hsmart_code
format_payload(const struct hs_destruction *what, const struct signers *signers, const char *previous_sha256,
               struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out};
    char now[HS_TIME_TEXT_MAX];

    hs_time_format(hs_clock_now_s(), now);
    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "type", HS_DESTRUCTION_TYP);
    hs_json_member_integer(&writer, "version", 1);
    hs_json_member_text(&writer, "destroyed", now);
    hs_json_member_text(&writer, "tool", what->tool);
    hs_json_member_text(&writer, "confirmed_by", what->confirmed_by);
    put_token(&writer, token_key(what->key));
    put_key(&writer, token_key(what->key));
    hs_json_member_text(&writer, "previous_sha256", previous_sha256);
    put_signers(&writer, signers);
    hs_json_end_object(&writer);
    return hs_json_writer_finish(&writer, err);
}

/* ---- Signing ---- */

static enum hsmart_code
sign(const struct hs_destruction *what, const struct signers *signers, const char *previous_sha256,
     struct hs_buf *out_text, size_t *out_signature_count, hsmart_err *err)
{
    struct hs_buf payload = {0};
    struct hs_signer *list[SIGNERS_MAX];
    size_t count = 0;
    enum hsmart_code code = format_payload(what, signers, previous_sha256, &payload, err);

    for (size_t i = 0; i < SIGNERS_MAX; i++)
        if (signers->of[i] != NULL)
            list[count++] = signers->of[i];
    if (code == HSMART_OK)
        code = hs_record_sign(hs_span_buf(&payload), HS_DESTRUCTION_TYP, list, count, out_text, err);
    hs_buf_clear(&payload);
    if (code == HSMART_OK)
        *out_signature_count = count;
    return code;
}

/* A key that is destroyed because it can be got at may still say that it goes. */
static void
open_own(const struct hs_token_key *key, struct signers *signers)
{
    const hsmart_signer_options options = {.allow_extractable = key->info.label};
    hsmart_err why = {0};

    if (hs_token_signer_new(key, &options, &signers->of[OWN], &why) != HSMART_OK)
        hs_log_warning(hs_p11_token_get_log(key->token), "the entry is not signed by the key itself: %s", why.text);
}

/* That the key no longer signs may be the very reason why it goes. */
static enum hsmart_code
sign_as_far_as_it_can(const struct hs_destruction *what, struct signers *signers, const char *previous_sha256,
                      struct hs_buf *out_text, size_t *out_signature_count, hsmart_err *err)
{
    const struct hs_log *log = hs_p11_token_get_log(token_key(what->key)->token);
    hsmart_err why = {0};
    enum hsmart_code code = sign(what, signers, previous_sha256, out_text, out_signature_count, &why);

    if (code == HSMART_OK || signers->of[OWN] == NULL || code == HSMART_NO_MEMORY) {
        if (code != HSMART_OK && err != NULL)
            *err = why;
        return code;
    }
    hs_log_warning(log, "the entry is not signed by the key itself: %s", why.text);
    hs_signer_free(signers->of[OWN]);
    signers->of[OWN] = NULL;
    return sign(what, signers, previous_sha256, out_text, out_signature_count, err);
}

/* ---- The chain ---- */

static enum hsmart_code
load_previous(const char *path, struct hs_record *out_record, hsmart_err *err)
{
    enum hsmart_code code;

    if (path == NULL)
        return HSMART_OK;
    code = hs_record_load(path, out_record, err);
    if (code == HSMART_OK)
        code = hs_record_check_link(out_record, err);
    if (code == HSMART_OK)
        code = hs_record_check_is_past(out_record, hs_clock_now_s(), err);
    return code == HSMART_OK ? code : hs_err_wrap(err, code, "--previous \"%s\"", path);
}

enum hsmart_code
hs_destruction_make(const struct hs_destruction *what, struct hs_buf *out_text, size_t *out_signature_count,
                    hsmart_err *err)
{
    struct signers signers = {0};
    struct hs_record previous = {0};
    enum hsmart_code code = load_previous(what->previous, &previous, err);

    if (code == HSMART_OK && what->sign_with != NULL) {
        code = hs_token_signer_new(token_key(what->sign_with), NULL, &signers.of[STAYING], err);
        if (code != HSMART_OK)
            (void)hs_err_wrap(err, code, "--sign-with");
    }
    if (code == HSMART_OK) {
        open_own(token_key(what->key), &signers);
        code = sign_as_far_as_it_can(what, &signers, previous.sha256_hex, out_text, out_signature_count, err);
    }
    for (size_t i = 0; i < SIGNERS_MAX; i++)
        hs_signer_free(signers.of[i]);
    hs_record_clear(&previous);
    return code;
}
