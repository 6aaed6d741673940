#include "audit_drift.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "jwks_fetch.h"
#include "record_verify.h"
#include "report.h"

#define ENTRIES_MAX 10000U
#define DEPTH_MAX 1U /* DIR, and the directories in it: one for each ceremony */
#define TEXT_MAX 256U
#define LABEL_MAX 256U

/* One key, wherever it is known. */
struct drift_key {
    char thumbprint[44]; /* "" when only a name is known */
    char label[LABEL_MAX];
    unsigned places;
    bool destroyed;              /* by an entry of the records */
    bool other_kid;              /* it is published under another kid than assertions carry */
    const hsmart_key_info *info; /* NULL: not on the token */
};
struct ledger {
    struct drift_key *keys;
    size_t count;
};

static enum hsmart_code
ledger_add(struct ledger *ledger, const char *thumbprint, const char *label, unsigned place, struct drift_key **out_key,
           hsmart_err *err)
{
    struct drift_key *key = NULL;
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < ledger->count && key == NULL; i++)
        if (thumbprint != NULL && strcmp(ledger->keys[i].thumbprint, thumbprint) == 0)
            key = &ledger->keys[i];
    if (key == NULL) {
        code = hs_array_grow((void **)&ledger->keys, ledger->count, sizeof *ledger->keys, err);
        if (code != HSMART_OK)
            return code;
        key = &ledger->keys[ledger->count++];
        *key = (struct drift_key){0};
        if (thumbprint != NULL)
            memcpy(key->thumbprint, thumbprint, strnlen(thumbprint, sizeof key->thumbprint - 1));
    }
    if (key->label[0] == 0 && label != NULL)
        memcpy(key->label, label, strnlen(label, sizeof key->label - 1));
    key->places |= place;
    if (out_key != NULL)
        *out_key = key;
    return HSMART_OK;
}

/* ---- The token ---- */

static enum hsmart_code
add_token(struct ledger *ledger, hsmart_key *const *keys, size_t count, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < count && code == HSMART_OK; i++) {
        const hsmart_key_info *info = hsmart_key_get_info(keys[i]);
        struct drift_key *key = NULL;
        if (!info->has_private || info->thumbprint == NULL || info->thumbprint[0] == 0)
            continue;
        code = ledger_add(ledger, info->thumbprint, info->label, DRIFT_TOKEN, &key, err);
        if (code == HSMART_OK)
            key->info = info;
    }
    return code;
}

/* ---- The records ---- */

/* Records of other tokens are of no concern. */
static bool
is_of_token(const hs_json_value *document, const struct target *target)
{
    const hsmart_token_info *token = hsmart_token_get_info(target->opened);
    const char *serial = hs_json_text(hs_json_member(hs_json_member(document, "token"), "serial"));
    const char *label = hs_json_text(hs_json_member(hs_json_member(document, "token"), "label"));

    return serial != NULL && label != NULL && strcmp(serial, token->serial) == 0 && strcmp(label, token->label) == 0;
}

/* A record that does not hold explains nothing: who changed it could hide a key, or that one is missing. */
static enum hsmart_code
load_record(const char *path, struct hs_record *out_record, hsmart_err *err)
{
    enum hsmart_code code = hs_record_load(path, out_record, err);

    if (code != HSMART_OK)
        return code;
    code = hs_record_check_link(out_record, err); /* of a ceremony that failed, too */
    return code == HSMART_OK ? code : hs_err_wrap(err, code, "\"%s\"", path);
}

static enum hsmart_code
add_record(struct ledger *ledger, const char *path, const struct target *target, hsmart_err *err)
{
    struct hs_record record = {0};
    enum hsmart_code code = load_record(path, &record, err);
    const hs_json_value *document = record.doc.root;
    bool counts = code == HSMART_OK && hs_record_has_passed(&record) && !hs_record_is_rehearsal(&record) &&
                  is_of_token(document, target);
    const hs_json_value *keys = counts ? hs_json_member(document, "keys") : NULL;

    for (size_t i = 0; i < hs_json_length(keys) && code == HSMART_OK; i++) {
        const hs_json_value *key = hs_json_element(keys, i);
        const char *kid = hs_json_text(hs_json_member(key, "kid"));
        if (kid != NULL)
            code = ledger_add(ledger, kid, hs_json_text(hs_json_member(key, "label")), DRIFT_RECORDS, NULL, err);
    }
    hs_record_clear(&record);
    return code;
}

/* By the key itself, or by one that is on the token: by whom else, anybody could have made it. */
static bool
is_signed_by_one_of_us(const struct ledger *ledger, const hs_json_value *document)
{
    const hs_json_value *signers = hs_json_member(document, "signers");
    const char *own = hs_record_text(hs_json_member(document, "key"), "kid");
    bool is = false;

    for (size_t i = 0; i < hs_json_length(signers) && !is; i++) {
        const char *kid = hs_record_text(hs_json_element(signers, i), "kid");
        is = strcmp(kid, own) == 0;
        for (size_t j = 0; j < ledger->count && !is; j++)
            is = (ledger->keys[j].places & DRIFT_TOKEN) != 0 && strcmp(ledger->keys[j].thumbprint, kid) == 0;
    }
    return is;
}

/* An entry that is not signed is no proof, and not wrong either: the key may not have been able to sign any more. */
static enum hsmart_code
check_destruction(const struct hs_record *record, const char *path, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    if (!hs_record_is_destruction(record))
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "it is not the entry of a destruction");
    else if (record->signature_count > 0)
        code = hs_record_check(record, err);
    return code == HSMART_OK ? code : hs_err_wrap(err, code, "\"%s\"", path);
}

static enum hsmart_code
add_destruction(struct ledger *ledger, const char *path, const struct target *target, hsmart_err *err)
{
    struct hs_record record = {0};
    struct drift_key *key = NULL;
    enum hsmart_code code = hs_record_load(path, &record, err);

    if (code == HSMART_OK)
        code = check_destruction(&record, path, err);
    const hs_json_value *told = hs_json_member(record.doc.root, "key");
    const char *kid = hs_record_text(told, "kid");
    bool concerns = code == HSMART_OK && kid[0] != 0 && is_of_token(record.doc.root, target);
    if (concerns && is_signed_by_one_of_us(ledger, record.doc.root))
        code = ledger_add(ledger, kid, hs_json_text(hs_json_member(told, "label")), 0, &key, err);
    else if (concerns)
        report_warning("\"%s\" explains nothing: neither its key nor one of the token signed it", path);
    if (key != NULL)
        key->destroyed = true;
    hs_record_clear(&record);
    return code;
}

static enum hsmart_code add_records(struct ledger *ledger, const char *directory, unsigned depth,
                                    const struct target *target, hsmart_err *err);

static enum hsmart_code
add_entry(struct ledger *ledger, const char *directory, const char *name, unsigned depth, const struct target *target,
          hsmart_err *err)
{
    struct hs_buf path = {0};
    size_t len = strlen(name);
    bool is_destruction = strncmp(name, "destroyed-", strlen("destroyed-")) == 0 && len > strlen(".json") &&
                          strcmp(name + len - strlen(".json"), ".json") == 0;
    enum hsmart_code code = hs_buf_append_format(&path, err, "%s/%s", directory, name);

    if (code == HSMART_OK && strcmp(name, "record.json") == 0)
        code = add_record(ledger, hs_buf_text(&path), target, err);
    else if (code == HSMART_OK && is_destruction)
        code = add_destruction(ledger, hs_buf_text(&path), target, err);
    else if (code == HSMART_OK && depth < DEPTH_MAX && name[0] != '.')
        code = add_records(ledger, hs_buf_text(&path), depth + 1, target, err);
    hs_buf_clear(&path);
    return code;
}

static enum hsmart_code
add_records(struct ledger *ledger, const char *directory, unsigned depth, const struct target *target, hsmart_err *err)
{
    DIR *opened = opendir(directory);
    enum hsmart_code code = HSMART_OK;
    unsigned count = 0;

    if (opened == NULL)
        return depth > 0 && errno == ENOTDIR
                   ? HSMART_OK
                   : hs_err_errno(err, HSMART_FILE_UNREADABLE, errno, "cannot read the records in \"%s\"", directory);
    for (struct dirent *entry; code == HSMART_OK && (entry = readdir(opened)) != NULL;) {
        if (++count > ENTRIES_MAX)
            code = hs_err_set(err, HSMART_FILE_UNREADABLE, "\"%s\" has more than %u entries", directory, ENTRIES_MAX);
        else
            code = add_entry(ledger, directory, entry->d_name, depth, target, err);
    }
    (void)closedir(opened);
    return code;
}

/* ---- The published set ---- */

static enum hsmart_code
add_published(struct ledger *ledger, const struct drift_options *options, hsmart_err *err)
{
    const struct hs_http_options network = {.ca_file = options->ca_file, .log = {report_log, NULL}};
    struct jwks_fetch fetch = {0};
    hsmart_jwk_list *list = NULL;
    enum hsmart_code code = jwks_fetch(options->jwks, &network, &fetch, err);

    if (code == HSMART_OK && fetch.is_url && fetch.served.failure != HSMART_OK)
        code = hs_err_set(err, fetch.served.failure, "%s", fetch.served.failure_text);
    else if (code == HSMART_OK && fetch.is_url && fetch.served.status != 200)
        code = hs_err_set(err, HSMART_SERVER_FAILED, "%s answered with status %d", options->jwks,
                          (int)fetch.served.status);
    if (code == HSMART_OK)
        code = hsmart_jwk_list_read(hs_buf_text(&fetch.text), &list, err);
    for (size_t i = 0; code == HSMART_OK && i < list->count; i++) {
        struct drift_key *key = NULL;
        code = ledger_add(ledger, list->keys[i].thumbprint, list->keys[i].kid, DRIFT_PUBLISHED, &key, err);
        if (code == HSMART_OK)
            key->other_kid = list->keys[i].kid == NULL || strcmp(list->keys[i].kid, key->thumbprint) != 0;
    }
    hsmart_jwk_list_free(list);
    jwks_fetch_clear(&fetch);
    return code == HSMART_OK ? code : hs_err_wrap(err, code, "cannot read the key set \"%s\"", options->jwks);
}

/* ---- The configuration ---- */

static enum hsmart_code
add_family(struct ledger *ledger, const struct hs_config_key *configured, const struct target *target, hsmart_err *err)
{
    const hsmart_family_options options = {configured->family, configured->lifecycle_file,
                                           target->token.state_directory};
    hsmart_family *family = NULL;
    enum hsmart_code code = hsmart_family_read(target->opened, &options, 0, &family, err);

    if (code == HSMART_KEY_ABSENT)
        return ledger_add(ledger, NULL, configured->name, DRIFT_CONFIG, NULL, err);
    for (size_t i = 0; code == HSMART_OK && i < family->count; i++)
        if (family->keys[i].state != HSMART_KEY_RETIRED)
            code = ledger_add(ledger, hsmart_key_get_info(family->keys[i].key)->thumbprint, configured->name,
                              DRIFT_CONFIG, NULL, err);
    hsmart_family_free(family);
    return code;
}

static enum hsmart_code
add_configured(struct ledger *ledger, const struct hs_config_key *configured, const struct target *target,
               hsmart_err *err)
{
    hsmart_key *key = NULL;
    struct drift_key *known = NULL;
    enum hsmart_code code;

    if (configured->family != NULL)
        return add_family(ledger, configured, target, err);
    code = hsmart_key_find(target->opened, configured->uri, &key, err);
    if (code == HSMART_OK) {
        const char *thumbprint = hsmart_key_get_info(key)->thumbprint;
        /* The configuration means the key of its thumbprint, whatever stands under that name. */
        code = ledger_add(ledger, configured->thumbprint != NULL ? configured->thumbprint : thumbprint,
                          configured->name, DRIFT_CONFIG, &known, err);
    } else if (code == HSMART_KEY_ABSENT || code == HSMART_KEY_AMBIGUOUS || code == HSMART_KEY_UNUSABLE) {
        code = ledger_add(ledger, configured->thumbprint, configured->name, DRIFT_CONFIG, &known, err);
    }
    if (known != NULL && configured->kid != NULL)
        known->other_kid = false; /* the server has given its own */
    hsmart_key_free(key);
    return code;
}

static enum hsmart_code
add_config(struct ledger *ledger, const struct target *target, hsmart_err *err)
{
    struct hs_buf names = {0};
    enum hsmart_code code = hs_config_names(target->config, "key", &names, err);
    char *rest = code == HSMART_OK && names.len > 0 ? (char *)names.data : NULL;

    while (rest != NULL && *rest != 0 && code == HSMART_OK) {
        char *name = rest, *comma = strstr(rest, ", ");
        rest = comma != NULL ? comma + 2 : rest + strlen(rest);
        if (comma != NULL)
            *comma = 0;
        const struct hs_config_key *key = hs_config_get_key(target->config, name);
        if (key != NULL && key->token == target->from_config)
            code = add_configured(ledger, key, target, err);
    }
    hs_buf_clear(&names);
    return code;
}

/* ---- The rules ---- */

static const struct rule {
    const char *name;
    unsigned needed; /* what has to be compared for it */
    unsigned in, not_in;
    const char *words, *cure;
} rules[] = {
    {"published-without-key", DRIFT_TOKEN | DRIFT_PUBLISHED, DRIFT_PUBLISHED, DRIFT_TOKEN,
     "is published, and not on the token",
     "take it out of the set (hsmart-key publish), unless another token has it: whoever has it can sign for you"},
    {"configured-without-key", DRIFT_TOKEN | DRIFT_CONFIG, DRIFT_CONFIG, DRIFT_TOKEN,
     "is configured, and not on the token", "correct the key's uri or thumbprint in the configuration"},
    {"record-without-key", DRIFT_TOKEN | DRIFT_RECORDS, DRIFT_RECORDS, DRIFT_TOKEN,
     "was made in a ceremony, and is not on the token",
     "if it was destroyed, put the entry (destroyed-….json) beside the records; if not, find out where it went"},
    {"key-without-record", DRIFT_TOKEN | DRIFT_RECORDS, DRIFT_TOKEN, DRIFT_RECORDS,
     "is on the token, and in no record of a ceremony",
     "find out who made it; replace it by one from a ceremony, and destroy it"},
    {"published-without-record", DRIFT_RECORDS | DRIFT_PUBLISHED, DRIFT_PUBLISHED, DRIFT_RECORDS,
     "is published, and in no record of a ceremony", "replace it by a key from a ceremony, and take it out of the set"},
    {"configured-not-published", DRIFT_CONFIG | DRIFT_PUBLISHED, DRIFT_CONFIG, DRIFT_PUBLISHED,
     "is configured to sign, and not published", "publish it before it signs (hsmart-key publish)"},
    {"published-not-configured", DRIFT_CONFIG | DRIFT_PUBLISHED, DRIFT_PUBLISHED, DRIFT_CONFIG,
     "is published, and no key of the configuration", "take it out of the set when it is retired, or configure it"},
};

static enum hsmart_code
add_finding(struct drift *drift, const char *rule, const char *words, const char *cure, const struct drift_key *key,
            hsmart_err *err)
{
    struct hs_buf text = {0};
    struct drift_finding *finding;
    enum hsmart_code code = hs_array_grow((void **)&drift->findings, drift->count, sizeof *drift->findings, err);

    if (code != HSMART_OK)
        return code;
    finding = &drift->findings[drift->count++];
    *finding = (struct drift_finding){.rule = rule, .cure = cure};
    code = hs_buf_append_format(&text, err, "key \"%s\" %s", key->label[0] != 0 ? key->label : key->thumbprint, words);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&text, &finding->text, err);
    if (code == HSMART_OK)
        code = hs_strdup(key->thumbprint, &finding->kid, err);
    hs_buf_clear(&text);
    return code;
}

static enum hsmart_code
apply_rules(const struct ledger *ledger, struct drift *drift, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < ledger->count && code == HSMART_OK; i++) {
        const struct drift_key *key = &ledger->keys[i];
        for (size_t r = 0; r < HS_ARRAY_LEN(rules) && code == HSMART_OK; r++) {
            const struct rule *rule = &rules[r];
            bool applies = (drift->compared & rule->needed) == rule->needed && (key->places & rule->in) != 0 &&
                           (key->places & rule->not_in) == 0;
            bool explained = key->destroyed && rule->in == DRIFT_RECORDS;
            if (applies && !explained)
                code = add_finding(drift, rule->name, rule->words, rule->cure, key, err);
        }
        if (code == HSMART_OK && key->other_kid && (key->places & DRIFT_TOKEN) != 0)
            code =
                add_finding(drift, "published-under-another-kid", "is published under a kid that is not its thumbprint",
                            "set kid of the key in the configuration to it, or publish it anew", key, err);
        if (code == HSMART_OK && key->destroyed && (key->places & DRIFT_TOKEN) != 0)
            code = add_finding(drift, "destroyed-and-there", "was destroyed by the records, and is on the token",
                               "somebody restored the token from a backup: destroy it again", key, err);
    }
    return code;
}

enum hsmart_code
drift_find(const struct drift_options *options, const struct target *target, hsmart_key *const *keys, size_t key_count,
           struct drift *out_drift, hsmart_err *err)
{
    struct ledger ledger = {0};
    struct drift drift = {.compared = DRIFT_TOKEN};
    enum hsmart_code code = add_token(&ledger, keys, key_count, err);

    if (code == HSMART_OK && options->records != NULL) {
        drift.compared |= DRIFT_RECORDS;
        code = add_records(&ledger, options->records, 0, target, err);
    }
    if (code == HSMART_OK && options->jwks != NULL) {
        drift.compared |= DRIFT_PUBLISHED;
        code = add_published(&ledger, options, err);
    }
    if (code == HSMART_OK && target->config != NULL && target->from_config != NULL) {
        drift.compared |= DRIFT_CONFIG;
        code = add_config(&ledger, target, err);
    }
    if (code == HSMART_OK)
        code = apply_rules(&ledger, &drift, err);
    hs_free(ledger.keys);
    if (code != HSMART_OK) {
        drift_clear(&drift);
        return code;
    }
    *out_drift = drift;
    return HSMART_OK;
}

void
drift_clear(struct drift *drift)
{
    for (size_t i = 0; i < drift->count; i++) {
        hs_string_free(drift->findings[i].text);
        hs_string_free(drift->findings[i].kid);
    }
    hs_free(drift->findings);
    *drift = (struct drift){0};
}
