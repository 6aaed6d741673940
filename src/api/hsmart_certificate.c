#include <hsmart/certificate.h>

#include "api_objects.h"
#include "clock.h"
#include "err.h"
#include "key_certificate.h"
#include "p11_handover.h"
#include "x509_child.h"
#include "x509_read.h"

#define DAYS_DEFAULT 365U

/* What is kept of the key when the token is let go of. */
struct kept_key {
    struct hs_p11_handover handover;
    struct hs_jwk jwk;
    struct hs_buf label, id;
    const struct hs_alg *alg;
};

static void
kept_key_clear(struct kept_key *kept)
{
    hs_p11_handover_clear(&kept->handover);
    hs_jwk_clear(&kept->jwk);
    hs_buf_clear(&kept->label);
    hs_buf_clear(&kept->id);
}

static enum hsmart_code
keep(const struct hs_token_key *key, const struct hs_alg *alg, struct kept_key *kept, hsmart_err *err)
{
    enum hsmart_code code = hs_p11_handover_take(key->token, &kept->handover, err);

    kept->alg = alg;
    if (code == HSMART_OK)
        code = hs_jwk_dup(&key->jwk, &kept->jwk, err);
    if (code == HSMART_OK)
        code = hs_buf_append(&kept->label, hs_span_buf(&key->raw_label), err);
    if (code == HSMART_OK)
        code = hs_buf_append(&kept->id, hs_span_buf(&key->id), err);
    return code;
}

/* Finds the key, asks everything of it that a signer asks, and lets go of the token again. */
static enum hsmart_code
find_and_keep(const hsmart_token_options *options, const char *uri, const hsmart_signer_options *signer_options,
              struct kept_key *kept, hsmart_err *err)
{
    struct hs_p11_token *token = NULL;
    struct hs_token_key *key = NULL;
    struct hs_signer *signer = NULL;
    enum hsmart_code code = hs_p11_token_open(options, &token, err);

    if (code == HSMART_OK)
        code = hs_token_key_find(token, uri, &key, err);
    if (code == HSMART_OK)
        code = hs_token_signer_new(key, signer_options, &signer, err);
    if (code == HSMART_OK)
        code = keep(key, signer->alg, kept, err);
    hs_signer_free(signer);
    hs_token_key_free(key);
    if (token != NULL)
        hs_p11_token_unref(token);
    return code;
}

static enum hs_p11_login_end
end_of(enum hs_x509_login login)
{
    return login == HS_X509_LOGIN_REFUSED   ? HS_P11_LOGIN_REFUSED
           : login == HS_X509_LOGIN_UNKNOWN ? HS_P11_LOGIN_UNKNOWN
                                            : HS_P11_LOGIN_TAKEN;
}

static enum hsmart_code
make_in_child(struct hs_x509_child *child, struct kept_key *kept, const struct hs_x509_wish *wish, unsigned timeout_ms,
              struct hs_buf *out_der, hsmart_err *err)
{
    struct hs_p11_handover *handover = &kept->handover;
    const struct hs_x509_source source = {
        .module = handover->module,
        .init_string = handover->init_string,
        .token_label = handover->label,
        .token_serial = handover->serial,
        .key_label = hs_span_buf(&kept->label),
        .key_id = hs_span_buf(&kept->id),
        .jwk = &kept->jwk,
        .has_login = handover->has_login,
        .pin = {handover->pin.data, handover->pin.len},
        .timeout_ms = timeout_ms,
    };
    enum hs_x509_login login = HS_X509_LOGIN_NOT_TRIED;
    enum hsmart_code code = hs_p11_handover_begin(handover, err), ended;

    if (code != HSMART_OK)
        return code;
    code = hs_x509_child_make(child, &source, wish, &login, out_der, err);
    ended = hs_p11_handover_end(handover, end_of(login), code == HSMART_OK ? err : NULL);
    return code == HSMART_OK ? ended : code;
}

enum hsmart_code
hsmart_certificate_make(const hsmart_token_options *token, const char *key_uri, const hsmart_signer_options *signer,
                        const hsmart_certificate_options *options, char **out_pem, hsmart_err *err)
{
    struct kept_key kept = {.handover.guard.lock_fd = -1};
    struct hs_buf der = {0}, pem = {0};
    struct hs_x509_child child = {0};
    struct hs_x509_wish wish = {.is_certificate = options->self_signed,
                                .subject = options->subject,
                                .names = options->names,
                                .name_count = options->name_count,
                                .not_before_s = options->not_before_s != 0 ? options->not_before_s : hs_clock_now_s(),
                                .days = options->days != 0 ? options->days : DAYS_DEFAULT,
                                .alg = hs_alg_by_name("RS384")};
    enum hsmart_code code = hs_x509_check_wish(&wish, err); /* before a PIN is asked for */

    if (code == HSMART_OK)
        code = hs_x509_child_start(&wish, &child, err); /* while this process has not loaded the module */
    if (code == HSMART_OK)
        code = find_and_keep(token, key_uri, signer, &kept, err);
    if (code != HSMART_OK)
        goto out;
    wish.alg = kept.alg;
    code = make_in_child(&child, &kept, &wish, options->timeout_ms, &der, err);
    if (code == HSMART_OK)
        code = hs_x509_format_pem(hs_span_buf(&der), &wish, &pem, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&pem, out_pem, err);
out:
    hs_x509_child_end(&child);
    hs_buf_clear(&der);
    hs_buf_clear(&pem);
    kept_key_clear(&kept);
    if (code != HSMART_OK)
        return hs_err_wrap(err, code, "cannot make the %s",
                           options->self_signed ? "certificate" : "certificate request");
    return HSMART_OK;
}

enum hsmart_code
hsmart_certificate_read(const void *certificate, size_t len, hsmart_certificate_info *out_info, hsmart_err *err)
{
    struct hs_x509_parts parts = {0};
    enum hsmart_code code = hs_x509_read((struct hs_span){certificate, len}, &parts, err);

    if (code != HSMART_OK)
        return code;
    *out_info = (hsmart_certificate_info){.not_before_s = parts.not_before_s,
                                          .not_after_s = parts.not_after_s,
                                          .may_sign = parts.may_sign,
                                          .is_for_clients = parts.is_for_clients,
                                          .is_ca = parts.is_ca};
    hs_x509_parts_clear(&parts);
    return HSMART_OK;
}

enum hsmart_code
hsmart_certificate_import(const hsmart_key *key, const void *certificate, size_t len, hsmart_err *err)
{
    const struct hs_token_key *own = hs_api_token_key(key);
    struct hs_x509_parts parts = {0};
    enum hsmart_code code = hs_x509_read((struct hs_span){certificate, len}, &parts, err);

    if (code == HSMART_OK)
        code =
            hs_key_certificate_add(own,
                                   &(struct hs_key_certificate){hs_span_buf(&parts.der), hs_span_buf(&parts.subject),
                                                                hs_span_buf(&parts.issuer), hs_span_buf(&parts.serial)},
                                   err);
    hs_x509_parts_clear(&parts);
    if (code != HSMART_OK)
        return hs_err_wrap(err, code, "cannot import a certificate for key \"%s\"", own->info.label);
    return HSMART_OK;
}
