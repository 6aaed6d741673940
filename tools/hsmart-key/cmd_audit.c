/* hsmart-key audit: whether the keys of a token can leave it, by what the token says of them. */
#include <string.h>

#include <hsmart/signer.h>

#include "err.h"
#include "key_view.h"
#include "report.h"
#include "target.h"
#include "verbs.h"

struct audit_options {
    struct cli_common common;
    bool sign;
};

static const struct cli_option audit_only_options[] = {
    {"sign", 0, NULL, CLI_FLAG, offsetof(struct audit_options, sign),
     "make one test signature with each good key and verify it", 0, 0},
};
static const struct cli_group audit_group = CLI_GROUP("Audit", audit_only_options);

/* One key and what was found out about it. */
struct audited {
    const hsmart_key *key;
    const char *test_signature; /* "not tested", "verified" */
    hsmart_err test_failure;    /* code HSMART_OK when there was none */
};

/* The assertion is for an audience and a client that exist nowhere, and is wiped unseen. */
static void
try_signature(struct audited *audited)
{
    static const hsmart_assertion_options self_test = {.client_id = "urn:hsmart:self-test",
                                                       .audience = "urn:hsmart:self-test", .lifetime_s = 1};
    hsmart_signer *signer = NULL;
    char *jwt = NULL;
    hsmart_err *failure = &audited->test_failure;
    enum hsmart_code code = hsmart_signer_new(audited->key, NULL, &signer, failure);

    if (code == HSMART_OK)
        code = hsmart_signer_assertion(signer, &self_test, &jwt, failure);
    failure->code = code;
    audited->test_signature = code == HSMART_OK ? "verified" : failure->text;
    hsmart_string_free(jwt);
    hsmart_signer_free(signer);
}

static bool
is_good(const struct audited *audited)
{
    return hsmart_key_get_info(audited->key)->problem != HSMART_POLICY_REFUSED &&
           audited->test_failure.code == HSMART_OK;
}

/* ---- Telling ---- */

static void
put_key(struct text *text, const struct audited *audited)
{
    const hsmart_key_info *info = hsmart_key_get_info(audited->key);
    struct table line = {.column_count = 3};

    text_put(text, "key \"");
    text_put_safe(text, info->label);
    text_put(text, "\": %s%s", key_verdict(info), info->problem_text != NULL ? ": " : "");
    text_put_safe(text, info->problem_text != NULL ? info->problem_text : "");
    text_put(text, "\n");
    table_put(&line, "");
    table_put(&line, "kid");
    table_put(&line, info->thumbprint);
    table_put(&line, "");
    table_put(&line, "key");
    key_put_size(&line, info);
    table_put(&line, "");
    table_put(&line, "uri");
    table_put(&line, info->uri);
    table_put(&line, "");
    table_put(&line, "test signature");
    table_put(&line, audited->test_signature);
    table_finish(&line, text);
    if (info->attribute_count > 0)
        key_put_attributes(text, info);
}

static enum hsmart_code
format_text(const struct audited *rows, size_t count, struct hs_buf *out, hsmart_err *err)
{
    struct text text = {.out = out};

    for (size_t i = 0; i < count; i++) {
        text_put(&text, "%s", i > 0 ? "\n" : "");
        put_key(&text, &rows[i]);
    }
    return text_finish(&text, err);
}

static enum hsmart_code
format_json(const hsmart_token_info *token, const struct audited *rows, size_t count, struct hs_buf *out,
            hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out, .indent = true};

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "token", token->uri);
    hs_json_name(&writer, "keys");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < count; i++) {
        hs_json_begin_object(&writer);
        key_put_members(&writer, hsmart_key_get_info(rows[i].key));
        hs_json_member_text(&writer, "test_signature", rows[i].test_signature);
        hs_json_end_object(&writer);
    }
    hs_json_end_array(&writer);
    hs_json_end_object(&writer);
    enum hsmart_code code = hs_json_writer_finish(&writer, err);
    return code == HSMART_OK ? hs_buf_append_str(out, "\n", err) : code;
}

/* ---- The work ---- */

static enum hsmart_code
audit_keys(const struct audit_options *own, const hsmart_token_info *token, hsmart_key *const *keys, size_t count,
           hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf answer = {.max_len = OUTPUT_MAX_LEN};
    size_t bad_count = 0;
    struct audited *rows = hs_calloc(count != 0 ? count : 1, sizeof *rows);

    if (rows == NULL)
        return hs_err_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        rows[i] = (struct audited){.key = keys[i], .test_signature = "not tested"};
        if (own->sign && hsmart_key_get_info(keys[i])->problem == HSMART_OK)
            try_signature(&rows[i]);
        bad_count += !is_good(&rows[i]);
    }
    code = own->common.json ? format_json(token, rows, count, &answer, err) : format_text(rows, count, &answer, err);
    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&answer), err);
    if (code == HSMART_OK && bad_count > 0) {
        code = hs_err_set(err, HSMART_CHECK_FAILED, "%zu of %zu keys on token \"%s\" %s the audit", bad_count, count,
                          token->label, bad_count == 1 ? "fails" : "fail");
        hs_err_hint(err, "do not sign with a key that fails: make a new one with \"hsmart-key generate\"");
    }
    hs_buf_clear(&answer);
    hs_free(rows);
    return code;
}

static enum hsmart_code
audit_all(const struct audit_options *own, struct target *target, hsmart_err *err)
{
    hsmart_key_list *list = NULL;
    enum hsmart_code code = target_open(target, err);

    if (code == HSMART_OK)
        code = hsmart_key_list_read(target->opened, &list, err);
    if (code == HSMART_OK && list->count == 0)
        code = hs_err_set(err, HSMART_KEY_ABSENT, "token \"%s\" has no keys to audit",
                          hsmart_token_get_info(target->opened)->label);
    if (code == HSMART_OK)
        code = audit_keys(own, hsmart_token_get_info(target->opened), list->keys, list->count, err);
    hsmart_key_list_free(list);
    return code;
}

static enum hsmart_code
audit_one(const struct audit_options *own, struct target *target, hsmart_err *err)
{
    hsmart_key *key = NULL;
    enum hsmart_code code = target_open_key(target, &key, err);

    if (code == HSMART_OK)
        code = audit_keys(own, hsmart_token_get_info(target->opened), &key, 1, err);
    hsmart_key_free(key);
    return code;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct audit_options *own = options;
    struct target target = {0};

    (void)call;
    code = output_check(NULL, err);
    if (code == HSMART_OK)
        code = target_resolve(&own->common, TARGET_LOGIN, &target, err);
    if (code == HSMART_OK)
        code = target.key_uri != NULL ? audit_one(own, &target, err) : audit_all(own, &target, err);
    target_clear(&target);
    return code;
}

const struct cli_verb verb_audit = {
    .name = "audit",
    .summary = "Holds each key's attributes against the policy: can it leave the token?",
    .options_size = sizeof(struct audit_options),
    .groups = {&audit_group, &cli_group_one_key, &cli_group_token, &cli_group_general},
    .example = "  hsmart-key audit --token prod --sign\n",
    .run = run,
};
