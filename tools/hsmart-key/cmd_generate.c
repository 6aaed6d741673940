/* hsmart-key generate: a key pair that cannot leave the token, read back by a fresh process. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "fresh.h"
#include "key_view.h"
#include "process.h"
#include "progress.h"
#include "report.h"
#include "target.h"
#include "text.h"
#include "verbs.h"

#define ID_MAX_LEN 64U

struct generate_options {
    struct cli_common common;
    const char *alg, *label, *id;
    struct cli_number bits;
};

static const struct cli_option generate_options[] = {
    {"alg", 0, "ALG", CLI_TEXT, offsetof(struct generate_options, alg),
     "what the key is for, which gives its type: RS384 (RSA) or ES384 (P-384), which every SMART server takes; also "
     "RS256 RS512 PS256 PS384 PS512 ES256 ES512; required",
     0, 0},
    {"label", 0, "LABEL", CLI_TEXT, offsetof(struct generate_options, label),
     "what the key will be called; required, and must not be in use", 0, 0},
    {"bits", 0, "N", CLI_NUMBER, offsetof(struct generate_options, bits), "RSA modulus, 2048 to 16384; default 3072",
     2048, 16384},
    {"id", 0, "HEX", CLI_TEXT, offsetof(struct generate_options, id),
     "CKA_ID, at most 64 bytes in hex; default: 16 random bytes", 0, 0},
};
static const struct cli_group generate_group = CLI_GROUP("Key", generate_options);

static enum hsmart_code
check_words(const struct generate_options *own, hsmart_err *err)
{
    if (own->alg == NULL) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "--alg is required: what the key is for");
        hs_err_hint(err, "--alg RS384 makes an RSA key, --alg ES384 a P-384 key; SMART servers accept both");
        return HSMART_INVALID_ARGUMENT;
    }
    if (own->label == NULL || own->label[0] == 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--label is required: what the key will be called");
    return HSMART_OK;
}

static enum hsmart_code
parse_id(const char *hex, struct hs_buf *out_id, hsmart_err *err)
{
    enum hsmart_code code;

    if (hex == NULL)
        return HSMART_OK;
    code = hs_text_parse_hex(hex, out_id, err);
    if (code == HSMART_OK && (out_id->len == 0 || out_id->len > ID_MAX_LEN))
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "it has %zu bytes, but must have 1 to %u", out_id->len,
                          ID_MAX_LEN);
    return code == HSMART_OK ? code : hs_err_wrap(err, code, "--id");
}

/* Many tokens finish the key whatever becomes of the program that asked for it. */
static void
prepare_for_interruption(const struct cli_call *call, const char *label)
{
    static char words[512];
    char shown[256];

    (void)snprintf(shown, sizeof shown, "%s", label);
    hs_text_sanitize(shown);
    (void)snprintf(words, sizeof words,
                   "\n%s: interrupted while key \"%s\" was being made: the token may have it\n"
                   "  hint: look with \"hsmart-key list\", and hold it against the policy with \"hsmart-key audit\"\n",
                   call->program->name, shown);
    process_set_last_words(words);
}

static enum hsmart_code
generate(const struct cli_call *call, const struct generate_options *own, struct target *target, hsmart_key **out_key,
         hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf id = {0};
    struct progress progress;

    code = parse_id(own->id, &id, err);
    if (code == HSMART_OK)
        code = target_open(target, err);
    if (code != HSMART_OK)
        goto out;
    hsmart_key_spec spec = {.alg = own->alg,
                            .label = own->label,
                            .bits = (unsigned)own->bits.value,
                            .id = id.len > 0 ? id.data : NULL,
                            .id_len = id.len};
    report_detail("token \"%s\" is asked for the key", hsmart_token_get_info(target->opened)->label);
    prepare_for_interruption(call, own->label);
    progress_begin(&progress, "token \"%s\" makes the key", hsmart_token_get_info(target->opened)->label);
    code = hsmart_key_generate(target->opened, &spec, out_key, err);
    progress_end(&progress);
out:
    hs_buf_clear(&id);
    return code;
}

/* ---- Reading back ---- */

/* Our own `audit` sees the token as any later process will. */
static enum hsmart_code
audit_in_fresh_process(const struct cli_call *call, const struct target *target, const hsmart_key *key,
                       struct hs_buf *out_json, hsmart_err *err)
{
    int pin_fd = -1;
    struct fresh fresh = {.words = {call->program->name, "audit", "--json", "--quiet"}, .count = 4};
    enum hsmart_code code = hsmart_token_pin_fd(target->opened, &pin_fd, err);

    if (code != HSMART_OK)
        return code;
    fresh_add_token(&fresh, target, hsmart_token_get_info(target->opened)->uri, pin_fd);
    fresh_add(&fresh, "--key-uri", hsmart_key_get_info(key)->uri);
    code = fresh_run(&fresh, true, out_json, err);
    if (pin_fd >= 0)
        (void)close(pin_fd);
    return code;
}

static enum hsmart_code
compare(const hsmart_key *key, struct hs_span json, hsmart_err *err)
{
    struct hs_json_doc doc = {0};
    enum hsmart_code code = hs_json_parse(json, &doc, err);

    if (code != HSMART_OK)
        return code;
    const hs_json_value *keys = hs_json_member(doc.root, "keys");
    const hs_json_value *seen = hs_json_element(keys, 0);
    const hs_json_value *problem = hs_json_member(seen, "problem");
    if (hs_json_length(keys) != 1 ||
        !hs_span_equal_str(hs_json_string(hs_json_member(seen, "thumbprint")), hsmart_key_get_info(key)->thumbprint))
        code = hs_err_set(err, HSMART_POLICY_REFUSED, "a fresh process finds another key under its name");
    else if (!hs_span_equal_str(hs_json_string(hs_json_member(seen, "verdict")), "ok"))
        code = hs_err_set(err, HSMART_POLICY_REFUSED, "a fresh process sees it otherwise: %s",
                          hs_json_text(problem) != NULL ? hs_json_text(problem) : "it is not good");
    hs_json_doc_clear(&doc);
    return code;
}

static enum hsmart_code
read_back(const struct cli_call *call, const struct target *target, const hsmart_key *key, hsmart_err *err)
{
    struct hs_buf json = {0};
    enum hsmart_code code = audit_in_fresh_process(call, target, key, &json, err);

    if (code == HSMART_OK)
        code = compare(key, hs_span_buf(&json), err);
    hs_buf_clear(&json);
    if (code != HSMART_OK) {
        code = hs_err_wrap(err, HSMART_POLICY_REFUSED, "key \"%s\" was made, but reading it back failed",
                           hsmart_key_get_info(key)->label);
        hs_err_hint(err, "do not use the key before \"hsmart-key audit\" finds it good; it is on the token as %.120s",
                    hsmart_key_get_info(key)->uri);
    }
    return code;
}

/* ---- Telling ---- */

#define READ_BACK_WORDS "by a fresh process: the same key, and every required attribute is as asked"

static void
put_line(struct table *table, const char *name, const char *value)
{
    table_put(table, "");
    table_put(table, name);
    table_put(table, value);
}

static enum hsmart_code
format_text(const struct target *target, const hsmart_key *key, const char *alg, const char *jwk, struct hs_buf *out,
            hsmart_err *err)
{
    const hsmart_key_info *info = hsmart_key_get_info(key);
    struct text text = {.out = out};
    struct table table = {.column_count = 3};

    text_put(&text, "key \"");
    text_put_safe(&text, info->label);
    text_put(&text, "\" is on token \"");
    text_put_safe(&text, hsmart_token_get_info(target->opened)->label);
    text_put(&text, "\"\n");
    put_line(&table, "kid", info->thumbprint);
    put_line(&table, "alg", alg);
    table_put(&table, "");
    table_put(&table, "key");
    key_put_size(&table, info);
    table_put(&table, "");
    table_put(&table, "id");
    key_put_id(&table, info);
    put_line(&table, "uri", info->uri);
    put_line(&table, "signed", "a test signature was made and verified");
    put_line(&table, "read back", READ_BACK_WORDS);
    table_finish(&table, &text);
    text_put(&text, "\n");
    key_put_attributes(&text, info);
    text_put(&text, "\npublic key (JWK):\n%s\n", jwk);
    return text_finish(&text, err);
}

/* The key exists whatever happens here, so a failure says so. */
static enum hsmart_code
tell(const struct generate_options *own, const struct target *target, const hsmart_key *key, hsmart_err *err)
{
    enum hsmart_code code;
    const hsmart_jwk_options options = {.alg = own->alg};
    char *jwk = NULL;
    struct hs_buf answer = {0};

    code = hsmart_key_jwk(key, &options, &jwk, err);
    if (code == HSMART_OK && own->common.json)
        code = hs_buf_append_format(&answer, err, "%s\n", jwk);
    else if (code == HSMART_OK)
        code = format_text(target, key, own->alg, jwk, &answer, err);
    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&answer), err);
    if (code == HSMART_OK && own->common.json)
        report_note("key \"%s\" was read back " READ_BACK_WORDS, hsmart_key_get_info(key)->label);
    if (code != HSMART_OK) {
        (void)hs_err_wrap(err, code, "key \"%s\" was made and is good, but cannot be shown", own->label);
        hs_err_hint(err, "do not make it again: \"hsmart-key list\" and \"hsmart-key export\" show it");
    }
    hs_buf_clear(&answer);
    hsmart_string_free(jwk);
    return code;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct generate_options *own = options;
    struct target target = {0};
    hsmart_key *key = NULL;

    code = check_words(own, err);
    if (code == HSMART_OK)
        code = output_check(NULL, err);
    if (code == HSMART_OK)
        code = target_resolve(&own->common, TARGET_LOGIN, &target, err);
    if (code == HSMART_OK)
        code = generate(call, own, &target, &key, err);
    if (code == HSMART_OK)
        code = read_back(call, &target, key, err);
    if (code == HSMART_OK)
        code = tell(own, &target, key, err);
    process_set_last_words(NULL);
    hsmart_key_free(key);
    target_clear(&target);
    return code;
}

const struct cli_verb verb_generate = {
    .name = "generate",
    .summary = "Makes a key pair that cannot leave the token, proves it, and prints its public half.",
    .options_size = sizeof(struct generate_options),
    .groups = {&generate_group, &cli_group_token, &cli_group_general},
    .example = "  hsmart-key generate --alg ES384 --label ehr-2026 --token prod\n",
    .run = run,
};
