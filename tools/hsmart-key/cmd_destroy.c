/* hsmart-key destroy: a key pair, for ever, after its label was typed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <hsmart/version.h>

#include "destruction.h"
#include "err.h"
#include "output.h"
#include "report.h"
#include "target.h"
#include "verbs.h"

#define ENTRY_MODE 0644U
#define ANSWER_MAX 512

struct destroy_options {
    struct cli_common common;
    const char *confirm, *out, *previous, *sign_with;
};

static const struct cli_option destroy_options[] = {
    {"confirm", 0, "LABEL", CLI_TEXT, offsetof(struct destroy_options, confirm),
     "the key's label, for scripts; on a terminal it is asked for and typed", 0, 0},
    {"out", 'o', "FILE", CLI_TEXT, offsetof(struct destroy_options, out),
     "write the entry for the record to FILE, as destroyed-LABEL.json beside the records; default: standard output", 0,
     0},
    {"sign-with", 0, "URI", CLI_TEXT, offsetof(struct destroy_options, sign_with),
     "a key of the same token that stays, and signs the entry beside the key itself", 0, 0},
    {"previous", 0, "RECORD", CLI_TEXT, offsetof(struct destroy_options, previous),
     "the record, or entry, before this one, to which it is chained", 0, 0},
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
make_entry(const struct destroy_options *own, const struct target *target, const hsmart_key *key,
           struct hs_buf *out_entry, hsmart_err *err)
{
    hsmart_key *sign_with = NULL;
    size_t signature_count = 0;
    struct hs_destruction what = {.key = key,
                                  .previous = own->previous,
                                  .tool = "hsmart-key " HSMART_VERSION_STRING,
                                  .confirmed_by = own->confirm != NULL ? "--confirm" : "a terminal"};
    enum hsmart_code code = HSMART_OK;

    if (own->sign_with != NULL) {
        code = hsmart_key_find(target->opened, own->sign_with, &sign_with, err);
        if (code == HSMART_OK && strcmp(hsmart_key_get_info(sign_with)->uri, hsmart_key_get_info(key)->uri) == 0)
            code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "it is the key that is to be destroyed");
        if (code != HSMART_OK)
            code = hs_err_wrap(err, code, "--sign-with");
    }
    what.sign_with = sign_with;
    if (code == HSMART_OK)
        code = hs_destruction_make(&what, out_entry, &signature_count, err);
    if (code == HSMART_OK && signature_count == 0)
        report_warning("nobody signs the entry, so it proves nothing: --sign-with names another key of the token");
    hsmart_key_free(sign_with);
    return code;
}

/* ---- Destroying ---- */

/* Written before, under another name, so that a full disk is found while the key is still there; what it says is true
 * once the key is gone, and only then it gets its name. */
static enum hsmart_code
destroy_and_write(const char *out, const hsmart_key *key, struct hs_span entry, size_t *out_count, hsmart_err *err)
{
    struct hs_buf pending = {0};
    enum hsmart_code code = hs_buf_append_format(&pending, err, "%s.pending", out);

    if (code == HSMART_OK)
        code = output_write(hs_buf_text(&pending), ENTRY_MODE, entry, err);
    if (code != HSMART_OK)
        goto out;
    code = hsmart_key_destroy(key, out_count, err);
    if (code != HSMART_OK) {
        (void)unlink(hs_buf_text(&pending));
        goto out;
    }
    if (rename(hs_buf_text(&pending), out) != 0) {
        code = hs_err_errno(err, HSMART_OUTPUT_FAILED, errno,
                            "key \"%s\" is destroyed, but its entry cannot get the name \"%s\"",
                            hsmart_key_get_info(key)->label, out);
        hs_err_hint(err, "the entry is \"%.120s\": rename it", hs_buf_text(&pending));
    }
out:
    hs_buf_clear(&pending);
    return code;
}

static enum hsmart_code
destroy(const struct destroy_options *own, const struct target *target, const hsmart_key *key, hsmart_err *err)
{
    struct hs_buf entry = {.max_len = OUTPUT_MAX_LEN};
    const char *label = hsmart_key_get_info(key)->label;
    bool to_file = own->out != NULL;
    size_t count = 0;
    enum hsmart_code code = confirm(own, hsmart_key_get_info(key), err);

    if (code == HSMART_OK)
        code = make_entry(own, target, key, &entry, err);
    if (code == HSMART_OK)
        code = to_file ? destroy_and_write(own->out, key, hs_span_buf(&entry), &count, err)
                       : hsmart_key_destroy(key, &count, err);
    if (code != HSMART_OK)
        goto out;
    report_note("key \"%s\" is destroyed (%zu objects)", label, count);
    if (!to_file)
        code = output_write(NULL, 0, hs_span_buf(&entry), err);
    if (code != HSMART_OK)
        (void)hs_err_wrap(err, code, "key \"%s\" is destroyed, but the entry for the record is not written", label);
out:
    hs_buf_clear(&entry);
    return code;
}

/* ---- Which key ---- */

/* What an interrupted generation left, say, and no other command uses: by its whole URI only, as it names one object
 * for sure then. */
static enum hsmart_code
find_half(const struct destroy_options *own, const hsmart_key_list *list, const hsmart_key **out_key, hsmart_err *err)
{
    for (size_t i = 0; own->common.key_uri != NULL && i < list->count; i++) {
        const hsmart_key_info *info = hsmart_key_get_info(list->keys[i]);
        if (info->has_private || strcmp(info->uri, own->common.key_uri) != 0)
            continue;
        *out_key = list->keys[i];
        return HSMART_OK;
    }
    hs_err_hint(err, "to destroy half a key, name it by its whole URI, as \"hsmart-key list\" prints it");
    return HSMART_KEY_UNUSABLE;
}

static enum hsmart_code
destroy_half(const struct destroy_options *own, const struct target *target, hsmart_err *err)
{
    hsmart_key_list *list = NULL;
    const hsmart_key *key = NULL;
    hsmart_err why = {0};

    if (hsmart_key_list_read(target->opened, &list, &why) != HSMART_OK)
        return HSMART_KEY_UNUSABLE; /* the first error tells more */
    enum hsmart_code code = find_half(own, list, &key, err);
    if (code == HSMART_OK)
        code = destroy(own, target, key, err);
    hsmart_key_list_free(list);
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
    else if (code == HSMART_KEY_UNUSABLE && target.opened != NULL)
        code = destroy_half(own, &target, err);
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
