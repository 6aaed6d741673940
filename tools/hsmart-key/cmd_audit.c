/* hsmart-key audit: whether the keys of a token can leave it, by what the token says of them and by trying; and whether
 * token, records, published set and configuration tell the same. */
#include <stdio.h>
#include <string.h>

#include <hsmart/signer.h>

#include "audit_view.h"
#include "err.h"
#include "key_view.h"
#include "report.h"
#include "target.h"
#include "verbs.h"

#define JUNIT_MODE 0644U

struct audit_options {
    struct cli_common common;
    bool sign, attack;
    const char *records, *jwks, *ca_file, *junit;
};

static const struct cli_option audit_only_options[] = {
    {"sign", 0, NULL, CLI_FLAG, offsetof(struct audit_options, sign),
     "make one test signature with each good key and verify it", 0, 0},
    {"attack", 0, NULL, CLI_FLAG, offsetof(struct audit_options, attack),
     "try to get each private key out: read, wrap, copy it, take its protections off; an HSM may write that to its log",
     0, 0},
    {"records", 0, "DIR", CLI_TEXT, offsetof(struct audit_options, records),
     "compare with the records of ceremonies (record.json) and destructions (destroyed-*.json) in DIR and below", 0, 0},
    {"jwks", 0, "FILE|URL", CLI_TEXT, offsetof(struct audit_options, jwks), "compare with the published key set", 0, 0},
    {"ca-file", 0, "FILE", CLI_TEXT, offsetof(struct audit_options, ca_file), "further CA certificates for --jwks, PEM",
     0, 0},
    {"junit", 0, "FILE", CLI_TEXT, offsetof(struct audit_options, junit), "write the results as JUnit's XML, too", 0,
     0},
};
static const struct cli_group audit_group = CLI_GROUP("Audit", audit_only_options);

/* The assertion is for an audience and a client that exist nowhere, and is wiped unseen. */
static void
try_signature(struct audited *audited)
{
    static const hsmart_assertion_options self_test = {
        .client_id = "urn:hsmart:self-test", .audience = "urn:hsmart:self-test", .lifetime_s = 1};
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

/* ---- The work ---- */

static enum hsmart_code
audit_key(const struct audit_options *own, struct audited *audited, hsmart_err *err)
{
    const hsmart_key_info *info = hsmart_key_get_info(audited->key);

    if (own->sign && info->problem == HSMART_OK)
        try_signature(audited);
    /* A key that the token would give away anyway is told as that. */
    if (own->attack && info->has_private && info->thumbprint != NULL)
        return hsmart_key_attack(audited->key, &audited->attack, err);
    return HSMART_OK;
}

static enum hsmart_code
fail(const struct audit_told *told, size_t bad_count, hsmart_err *err)
{
    if (bad_count > 0) {
        (void)hs_err_set(err, HSMART_CHECK_FAILED, "%zu of %zu keys on token \"%s\" %s the audit", bad_count,
                         told->count, told->token->label, bad_count == 1 ? "fails" : "fail");
        hs_err_hint(err, "do not sign with a key that fails: make a new one with \"hsmart-key generate\"");
        return HSMART_CHECK_FAILED;
    }
    if (told->drift.count == 0)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_CHECK_FAILED, "%zu %s between token \"%s\" and what else is known of its keys",
                     told->drift.count, told->drift.count == 1 ? "difference" : "differences", told->token->label);
    hs_err_hint(err, "each is told above, with its cure");
    return HSMART_CHECK_FAILED;
}

static enum hsmart_code
write_junit(const struct audit_options *own, const struct audit_told *told, hsmart_err *err)
{
    struct hs_buf xml = {.max_len = OUTPUT_MAX_LEN};
    enum hsmart_code code = own->junit != NULL ? audit_format_junit(told, &xml, err) : HSMART_OK;

    if (code == HSMART_OK && own->junit != NULL)
        code = output_write(own->junit, JUNIT_MODE, hs_span_buf(&xml), err);
    hs_buf_clear(&xml);
    return code;
}

static enum hsmart_code
tell(const struct audit_options *own, const struct audit_told *told, hsmart_err *err)
{
    struct hs_buf answer = {.max_len = OUTPUT_MAX_LEN};
    enum hsmart_code code =
        own->common.json ? audit_format_json(told, &answer, err) : audit_format_text(told, &answer, err);

    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&answer), err);
    hs_buf_clear(&answer);
    return code == HSMART_OK ? write_junit(own, told, err) : code;
}

static enum hsmart_code
audit_keys(const struct audit_options *own, const struct target *target, hsmart_key *const *keys, size_t count,
           bool all, hsmart_err *err)
{
    const struct drift_options drift = {own->records, own->jwks, own->ca_file};
    struct audit_told told = {.token = hsmart_token_get_info(target->opened), .count = count};
    bool compares = own->records != NULL || own->jwks != NULL;
    size_t bad_count = 0;
    enum hsmart_code code = HSMART_OK;

    told.rows = hs_calloc(count != 0 ? count : 1, sizeof *told.rows);
    if (told.rows == NULL)
        return hs_err_no_memory(err);
    for (size_t i = 0; i < count && code == HSMART_OK; i++) {
        told.rows[i] = (struct audited){.key = keys[i], .test_signature = "not tested"};
        code = audit_key(own, &told.rows[i], err);
        bad_count += !audit_is_good(&told.rows[i]);
    }
    if (code == HSMART_OK && compares && all)
        code = drift_find(&drift, target, keys, count, &told.drift, err);
    if (code == HSMART_OK)
        code = tell(own, &told, err);
    if (code == HSMART_OK)
        code = fail(&told, bad_count, err);
    for (size_t i = 0; i < count; i++)
        hsmart_attack_report_free(told.rows[i].attack);
    drift_clear(&told.drift);
    hs_free(told.rows);
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
        code = audit_keys(own, target, list->keys, list->count, true, err);
    hsmart_key_list_free(list);
    return code;
}

static enum hsmart_code
audit_one(const struct audit_options *own, struct target *target, hsmart_err *err)
{
    hsmart_key *key = NULL;
    enum hsmart_code code = target_open_key(target, &key, err);

    if (code == HSMART_OK)
        code = audit_keys(own, target, &key, 1, false, err);
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
    if (code == HSMART_OK && target.key_uri != NULL && (own->records != NULL || own->jwks != NULL))
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "--%s compares all keys of a token, and one is named",
                          own->records != NULL ? "records" : "jwks");
    if (code == HSMART_OK)
        code = target.key_uri != NULL ? audit_one(own, &target, err) : audit_all(own, &target, err);
    target_clear(&target);
    return code;
}

const struct cli_verb verb_audit = {
    .name = "audit",
    .summary =
        "Holds each key against the policy, by what the token says and by attacking it; and compares what is known "
        "of the keys.",
    .options_size = sizeof(struct audit_options),
    .groups = {&audit_group, &cli_group_one_key, &cli_group_token, &cli_group_general},
    .example =
        "  hsmart-key audit --token prod --sign\n"
        "  hsmart-key audit --token prod --attack --records /srv/ceremonies --jwks https://app.example/jwks.json\n",
    .run = run,
};
