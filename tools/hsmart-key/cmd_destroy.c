/* hsmart-key destroy: a key pair, for ever, after its label was typed. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <hsmart/version.h>

#include "clock.h"
#include "err.h"
#include "family_view.h"
#include "key_view.h"
#include "report.h"
#include "verbs.h"

#define ENTRY_MODE 0644U
#define ANSWER_MAX 512

struct destroy_options {
    struct cli_common common;
    const char *confirm, *out;
};

static const struct cli_option destroy_options[] = {
    {"confirm", 0, "LABEL", CLI_TEXT, offsetof(struct destroy_options, confirm),
     "the key's label, for scripts; on a terminal it is asked for and typed", 0, 0},
    {"out", 'o', "FILE", CLI_TEXT, offsetof(struct destroy_options, out),
     "write the entry for the record to FILE; default: standard output", 0, 0},
};
static const struct cli_group destroy_group = CLI_GROUP("Destruction", destroy_options);

/* ---- Confirmation ---- */

static enum hsmart_code
ask(const hsmart_key_info *info, char answer[ANSWER_MAX], hsmart_err *err)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "nobody confirms that key \"%s\" is to be destroyed",
                         info->label);
        hs_err_hint(err, "give --confirm \"%.80s\", or run the command on a terminal", info->label);
        return HSMART_INVALID_ARGUMENT;
    }
    report_note("key \"%s\" (%s) will be destroyed for ever: nobody will sign with it again", info->label,
                info->thumbprint != NULL ? info->thumbprint : info->uri);
    report_note("type its label to go on:");
    if (fgets(answer, ANSWER_MAX, stdin) == NULL)
        answer[0] = 0;
    answer[strcspn(answer, "\r\n")] = 0;
    return HSMART_OK;
}

static enum hsmart_code
confirm(const struct destroy_options *own, const hsmart_key_info *info, hsmart_err *err)
{
    char answer[ANSWER_MAX] = "";
    enum hsmart_code code = HSMART_OK;

    if (own->confirm == NULL)
        code = ask(info, answer, err);
    if (code == HSMART_OK && strcmp(own->confirm != NULL ? own->confirm : answer, info->label) != 0) {
        code = hs_err_set(err, HSMART_POLICY_REFUSED,
                          "nothing was destroyed: the key is \"%s\", and \"%.80s\" was confirmed", info->label,
                          own->confirm != NULL ? own->confirm : answer);
        hs_err_hint(err, "look which key it is with \"hsmart-key list\"; then confirm with its exact label");
    }
    return code;
}

/* ---- The entry for the record ---- */

static enum hsmart_code
format_entry(const struct destroy_options *own, const hsmart_token_info *token, const hsmart_key *key,
             struct hs_buf *out, hsmart_err *err)
{
    const hsmart_key_info *info = hsmart_key_get_info(key);
    struct hs_json_writer writer = {.out = out, .indent = true};
    char now[FAMILY_TIME_LEN];
    char *jwk = NULL;
    enum hsmart_code code = HSMART_OK;

    family_format_time(hs_clock_now_s(), now);
    if (info->thumbprint != NULL)
        code = hsmart_key_jwk(key, NULL, &jwk, err);
    if (code != HSMART_OK)
        return code;
    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "type", "hsmart-destruction");
    hs_json_member_text(&writer, "destroyed", now);
    hs_json_member_text(&writer, "tool", "hsmart-key " HSMART_VERSION_STRING);
    hs_json_member_text(&writer, "confirmed_by", own->confirm != NULL ? "--confirm" : "a terminal");
    hs_json_name(&writer, "token");
    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "label", token->label);
    hs_json_member_text(&writer, "serial", token->serial);
    hs_json_member_text(&writer, "uri", token->uri);
    hs_json_end_object(&writer);
    hs_json_name(&writer, "key");
    hs_json_begin_object(&writer);
    key_put_members(&writer, info);
    hs_json_end_object(&writer);
    hs_json_name(&writer, "jwk");
    if (jwk != NULL)
        hs_json_put_raw(&writer, hs_span_str(jwk));
    else
        hs_json_put_null(&writer);
    hs_json_end_object(&writer);
    code = hs_json_writer_finish(&writer, err);
    hsmart_string_free(jwk);
    return code == HSMART_OK ? hs_buf_append_str(out, "\n", err) : code;
}

/* The entry is made before, so that nothing but writing it can fail once the key is gone. */
static enum hsmart_code
destroy(const struct destroy_options *own, const struct target *target, const hsmart_key *key, hsmart_err *err)
{
    struct hs_buf entry = {.max_len = OUTPUT_MAX_LEN};
    const hsmart_key_info *info = hsmart_key_get_info(key);
    size_t count = 0;
    enum hsmart_code code = confirm(own, info, err);

    if (code == HSMART_OK)
        code = format_entry(own, hsmart_token_get_info(target->opened), key, &entry, err);
    if (code == HSMART_OK)
        code = hsmart_key_destroy(key, &count, err);
    if (code != HSMART_OK)
        goto out;
    report_note("key \"%s\" is destroyed (%zu objects)", info->label, count);
    code = output_write(own->out, ENTRY_MODE, hs_span_buf(&entry), err);
    if (code != HSMART_OK)
        (void)hs_err_wrap(err, code, "key \"%s\" is destroyed, but the entry for the record is not written",
                          info->label);
out:
    hs_buf_clear(&entry);
    return code;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    const struct destroy_options *own = options;
    struct target target = {0};
    hsmart_key *key = NULL;
    enum hsmart_code code = output_check(own->out, err);

    (void)call;
    /* "The only key of the token" is no way to name what is destroyed. */
    if (code == HSMART_OK && own->common.key_uri == NULL && own->common.key == NULL)
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "--key-uri or --key is required: which key to destroy");
    if (code == HSMART_OK)
        code = target_resolve(&own->common, TARGET_LOGIN, &target, err);
    if (code == HSMART_OK)
        code = target_open_key(&target, &key, err);
    if (code == HSMART_OK)
        code = destroy(own, &target, key, err);
    hsmart_key_free(key);
    target_clear(&target);
    return code;
}

const struct cli_verb verb_destroy = {
    .name = "destroy",
    .summary = "Destroys a key pair for ever, after its label was typed, and writes an entry for the record.",
    .options_size = sizeof(struct destroy_options),
    .groups = {&destroy_group, &cli_group_one_key, &cli_group_token, &cli_group_quiet},
    .example =
        "  hsmart-key destroy --key-uri pkcs11:object=ehr-20260101 --token prod --out destroyed-ehr-20260101.json\n",
    .run = run,
};
