#include "family.h"

#include <stdlib.h>

#include "clock.h"
#include "err.h"
#include "lifecycle_file.h"
#include "p11_guard.h"
#include "token_key_read.h"

#define LABEL_MAX_LEN 200U /* leaves room for the date */
#define MEMBERS_MAX 64U

/* ---- The life-cycle file's place ---- */

/* A label may hold anything; the name of a file may not. */
static enum hsmart_code
append_file_name(const char *label, struct hs_buf *path, hsmart_err *err)
{
    enum hsmart_code code = hs_buf_append_str(path, "/lifecycle-", err);

    for (; *label != 0 && code == HSMART_OK; label++) {
        bool plain = (*label >= 'a' && *label <= 'z') || (*label >= 'A' && *label <= 'Z') ||
                     (*label >= '0' && *label <= '9') || *label == '-' || *label == '_';
        code = plain ? hs_buf_append(path, (struct hs_span){(const uint8_t *)label, 1}, err)
                     : hs_buf_append_format(path, err, "%%%02x", (unsigned)(unsigned char)*label);
    }
    return code == HSMART_OK ? hs_buf_append_str(path, ".json", err) : code;
}

static enum hsmart_code
find_path(const hsmart_family_options *options, char **out_path, hsmart_err *err)
{
    struct hs_buf path = {0};
    enum hsmart_code code;

    if (options->lifecycle_file != NULL)
        return hs_strdup(options->lifecycle_file, out_path, err);
    code = hs_guard_directory(options->state_directory, &path, err);
    if (code == HSMART_OK)
        code = append_file_name(options->label, &path, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&path, out_path, err);
    hs_buf_clear(&path);
    return code;
}

/* ---- Reading the token ---- */

/* Only keys of the family are read whole: a token may hold thousands of others. */
struct reading {
    struct hs_family *family;
};

static void
forget_members(struct hs_family *family)
{
    for (size_t i = 0; i < family->public.count; i++) {
        hs_token_key_free(family->members[i].key);
        hs_string_free(family->members[i].url);
    }
    hs_free(family->members);
    family->members = NULL;
    family->public.count = 0;
}

/* The label decides; the id finds the public half. */
enum { LABEL, ID, NAME_COUNT };

static enum hsmart_code
add_member(struct hs_family *family, struct hs_p11_session *session, struct hs_p11_object object, struct hs_span id,
           hsmart_err *err)
{
    struct hs_public_list publics = {0};
    struct hs_token_key *key = NULL;
    enum hsmart_code code;

    if (family->public.count == MEMBERS_MAX)
        return hs_err_set(err, HSMART_KEY_AMBIGUOUS, "the family \"%s\" has more than %u keys", family->label,
                          MEMBERS_MAX);
    code = hs_array_grow((void **)&family->members, family->public.count, sizeof *family->members, err);
    if (code == HSMART_OK)
        code = hs_public_list_read(session, id.len > 0 ? &id : NULL, &publics, err);
    if (code == HSMART_OK)
        code = hs_token_key_read(family->token, session, object, &publics, &key, err);
    if (code == HSMART_OK)
        family->members[family->public.count++] =
            (struct hs_family_member){.key = key, .start = HS_DAY_NONE, .end = HS_DAY_NONE};
    hs_public_list_clear(&publics);
    return code;
}

static enum hsmart_code
read_member(struct hs_family *family, struct hs_p11_session *session, struct hs_p11_object object, hsmart_err *err)
{
    struct hs_p11_attribute names[NAME_COUNT] = {[LABEL] = {.type = CKA_LABEL}, [ID] = {.type = CKA_ID}};
    enum hsmart_code code = hs_p11_session_read(session, object, names, NAME_COUNT, err);

    if (code == HSMART_OK && hs_lifecycle_is_member(hs_buf_text(&names[LABEL].value), family->label))
        code = add_member(family, session, object, hs_key_value(&names[ID]), err);
    hs_p11_attributes_clear(names, NAME_COUNT);
    return code;
}

static enum hsmart_code
run_reading(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    struct reading *reading = arg;
    struct hs_p11_object *objects = NULL;
    size_t count = 0;
    enum hsmart_code code = hs_p11_session_find(session, CKO_PRIVATE_KEY, NULL, 0, &objects, &count, err);

    forget_members(reading->family);
    for (size_t i = 0; i < count && code == HSMART_OK; i++)
        code = read_member(reading->family, session, objects[i], err);
    hs_free(objects);
    return code;
}

static enum hsmart_code
read_members(struct hs_family *family, hsmart_err *err)
{
    struct reading reading = {family};
    const struct hs_p11_operation operation = {run_reading, NULL, &reading};
    enum hsmart_code code = hs_p11_token_request(family->token, &operation, err);

    if (code == HSMART_OK && family->public.count == 0) {
        code = hs_err_set(err, HSMART_KEY_ABSENT, "token \"%s\" has no key \"%s\" or \"%s-YYYYMMDD\"",
                          hs_p11_token_get_name(family->token), family->label, family->label);
        hs_err_hint(err, "make the first with \"hsmart-key generate --label %.60s\", or look with \"hsmart-key list\"",
                    family->label);
    }
    return code;
}

/* ---- Dates and states ---- */

static void
take_dates(struct hs_family_member *member, const struct hs_lifecycle_entry *entry)
{
    const hsmart_key_info *info = &member->key->info;

    /* A date that is none of the calendar is no date. */
    if (info->start_date != NULL && hs_day_parse(info->start_date, &member->start, NULL) != HSMART_OK)
        member->start = HS_DAY_NONE;
    if (info->end_date != NULL && hs_day_parse(info->end_date, &member->end, NULL) != HSMART_OK)
        member->end = HS_DAY_NONE;
    if (entry == NULL || (entry->start == HS_DAY_NONE && entry->end == HS_DAY_NONE))
        return;
    member->start = entry->start;
    member->end = entry->end;
}

/* A key without a public half has no kid. */
static struct hs_lifecycle_key
dates_of(const struct hs_family_member *member)
{
    const hsmart_key_info *info = &member->key->info;

    return (struct hs_lifecycle_key){member->start, member->end, info->label,
                                     info->thumbprint != NULL ? info->thumbprint : ""};
}

static int
compare_members(const void *left, const void *right)
{
    const struct hs_lifecycle_key a = dates_of(left), b = dates_of(right);

    return hs_lifecycle_compare(&a, &b);
}

static enum hsmart_code
fill_key(struct hs_family_member *member, const struct hs_lifecycle_entry *entry, hsmart_family_key *out_key,
         hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    *out_key = (hsmart_family_key){.key = (hsmart_key *)member->key, .served_max_age_s = -1};
    if (member->start != HS_DAY_NONE) {
        hs_day_format(member->start, member->start_text);
        out_key->start_date = member->start_text;
    }
    if (member->end != HS_DAY_NONE) {
        hs_day_format(member->end, member->end_text);
        out_key->end_date = member->end_text;
    }
    if (entry == NULL)
        return code;
    /* Another host may have set another first day since. */
    out_key->changed_s = entry->changed_start == member->start ? entry->changed_s : 0;
    out_key->dates_in_file = entry->start != HS_DAY_NONE || entry->end != HS_DAY_NONE;
    if (entry->url == NULL)
        return code;
    code = hs_strdup(entry->url, &member->url, err);
    out_key->served_url = member->url;
    out_key->served_since_s = entry->since_s;
    out_key->served_until_s = entry->until_s;
    out_key->served_max_age_s = entry->max_age_s;
    return code;
}

static const struct hs_lifecycle_entry *
entry_of(const struct hs_lifecycle_file *file, const struct hs_family_member *member)
{
    return member->key->jwk.pkey != NULL ? hs_lifecycle_file_get(file, member->key->jwk.thumbprint) : NULL;
}

static enum hsmart_code
judge(struct hs_family *family, const struct hs_lifecycle_file *file, int64_t at_s, hsmart_err *err)
{
    enum hsmart_key_state states[MEMBERS_MAX];
    struct hs_lifecycle_key dates[MEMBERS_MAX];
    size_t count = family->public.count;
    enum hsmart_code code = HSMART_OK;

    family->keys = hs_calloc(count, sizeof *family->keys);
    if (family->keys == NULL)
        return hs_err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        take_dates(&family->members[i], entry_of(file, &family->members[i]));
    qsort(family->members, count, sizeof *family->members, compare_members);
    for (size_t i = 0; i < count && code == HSMART_OK; i++) {
        struct hs_family_member *member = &family->members[i];
        dates[i] = dates_of(member);
        code = fill_key(member, entry_of(file, member), &family->keys[i], err);
    }
    hs_lifecycle_states(dates, count, hs_day_of(at_s), states);
    for (size_t i = 0; i < count && code == HSMART_OK; i++) {
        family->keys[i].state = states[i];
        if (states[i] == HSMART_KEY_ACTIVE)
            family->public.active = &family->keys[i];
    }
    family->public.keys = family->keys;
    return code;
}

/* ---- A family ---- */

static enum hsmart_code
check_label(const char *label, hsmart_err *err)
{
    if (label == NULL || label[0] == 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "a family needs a label");
    if (strlen(label) > LABEL_MAX_LEN)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the label of a family has at most %u bytes", LABEL_MAX_LEN);
    return HSMART_OK;
}

enum hsmart_code
hs_family_read(struct hs_p11_token *token, const hsmart_family_options *options, const int64_t *at_s,
               struct hs_family **out_family, hsmart_err *err)
{
    struct hs_lifecycle_file file = {0};
    struct hs_family *family = NULL;
    enum hsmart_code code = check_label(options->label, err);

    if (code != HSMART_OK)
        return code;
    family = hs_calloc(1, sizeof *family);
    if (family == NULL)
        return hs_err_no_memory(err);
    family->token = hs_p11_token_ref(token);
    code = hs_strdup(options->label, &family->label, err);
    if (code == HSMART_OK)
        code = find_path(options, &family->path, err);
    if (code == HSMART_OK)
        code = hs_lifecycle_file_load(family->path, &file, err);
    if (code == HSMART_OK)
        code = read_members(family, err);
    if (code == HSMART_OK)
        code = judge(family, &file, at_s != NULL ? *at_s : hs_clock_now_s(), err);
    hs_lifecycle_file_clear(&file);
    if (code != HSMART_OK) {
        hs_family_free(family);
        return hs_err_wrap(err, code, "cannot read the family \"%s\"", options->label);
    }
    family->public.label = family->label;
    family->public.lifecycle_file = family->path;
    *out_family = family;
    return HSMART_OK;
}

void
hs_family_free(struct hs_family *family)
{
    if (family == NULL)
        return;
    forget_members(family);
    hs_free(family->keys);
    hs_string_free(family->label);
    hs_string_free(family->path);
    hs_p11_token_unref(family->token);
    hs_free(family);
}

/* ---- Setting dates ---- */

/* A CK_DATE's eight digits, or nothing. */
static struct hs_span
raw_date(hs_day day, char storage[HS_DAY_TEXT_LEN])
{
    if (day == HS_DAY_NONE)
        return (struct hs_span){0};
    hs_day_format(day, storage);
    memmove(storage + 4, storage + 5, 2);
    memmove(storage + 6, storage + 8, 2);
    return (struct hs_span){(const uint8_t *)storage, sizeof(CK_DATE)};
}

static enum hsmart_code
set_and_read_back(struct hs_p11_session *session, struct hs_p11_object object, CK_ATTRIBUTE_TYPE type, hs_day day,
                  bool *out_kept, hsmart_err *err)
{
    char storage[HS_DAY_TEXT_LEN];
    struct hs_span wanted = raw_date(day, storage);
    struct hs_p11_attribute read = {.type = type};
    enum hsmart_code code;

    *out_kept = hs_p11_session_set_date(session, object.handle, type, wanted, NULL) == HSMART_OK;
    code = hs_p11_session_read(session, object, &read, 1, err);
    struct hs_span is = hs_key_value(&read);
    *out_kept = *out_kept && code == HSMART_OK && hs_span_equal(is, wanted);
    hs_p11_attributes_clear(&read, 1);
    return code;
}

/* On the public key objects of the pair; `*out_kept` when there is one, and each says the dates back. */
static enum hsmart_code
set_on_token(struct hs_p11_session *session, const struct hs_token_key *key, hs_day start, hs_day end, bool *out_kept,
             hsmart_err *err)
{
    struct hs_p11_object *objects = NULL;
    size_t count = 0;
    bool start_kept = false, end_kept = false;
    const struct hs_buf *name = key->id.len > 0 ? &key->id : &key->raw_label;
    const CK_ATTRIBUTE with_name = {key->id.len > 0 ? CKA_ID : CKA_LABEL, name->data, name->len};
    enum hsmart_code code = hs_p11_session_find(session, CKO_PUBLIC_KEY, &with_name, 1, &objects, &count, err);

    *out_kept = count > 0;
    for (size_t i = 0; i < count && code == HSMART_OK; i++) {
        code = set_and_read_back(session, objects[i], CKA_START_DATE, start, &start_kept, err);
        if (code == HSMART_OK)
            code = set_and_read_back(session, objects[i], CKA_END_DATE, end, &end_kept, err);
        *out_kept = *out_kept && start_kept && end_kept;
    }
    hs_free(objects);
    return code;
}

static enum hsmart_code
try_token(struct hs_family *family, const struct hs_token_key *key, hs_day start, hs_day end, bool *out_kept,
          hsmart_err *err)
{
    struct hs_p11_session *session = NULL;
    enum hsmart_code code = hs_p11_token_acquire(family->token, true, HS_P11_ACQUIRE_TIMEOUT_MS, &session, err);

    if (code != HSMART_OK)
        return code;
    code = set_on_token(session, key, start, end, out_kept, err);
    hs_p11_token_release(family->token, session);
    return code;
}

/* Dates that the token keeps now are no longer the file's. When the first day was changed is written down in any case.
 */
static enum hsmart_code
save_dates(struct hs_family *family, const struct hs_family_member *member, hs_day start, hs_day end, bool in_file,
           hsmart_err *err)
{
    struct hs_lifecycle_file file = {0};
    struct hs_lifecycle_entry *entry = NULL;
    int lock_fd = -1;
    enum hsmart_code code = hs_lifecycle_file_lock(family->path, &lock_fd, err);

    if (code == HSMART_OK)
        code = hs_lifecycle_file_load(family->path, &file, err);
    if (code == HSMART_OK)
        code = hs_lifecycle_file_put(&file, member->key->jwk.thumbprint, &entry, err);
    if (code == HSMART_OK) {
        entry->start = in_file ? start : HS_DAY_NONE;
        entry->end = in_file ? end : HS_DAY_NONE;
        if (start != member->start || start != entry->changed_start) { /* or set from elsewhere: when is not known */
            entry->changed_s = hs_clock_now_s();
            entry->changed_start = start;
        }
        code = hs_lifecycle_file_save(&file, family->path, err);
    }
    hs_lifecycle_file_clear(&file);
    hs_lifecycle_file_unlock(lock_fd);
    return code;
}

static enum hsmart_code
choose_day(const char *text, hs_day *day, hsmart_err *err)
{
    if (text == NULL)
        return HSMART_OK;
    if (text[0] != 0)
        return hs_day_parse(text, day, err);
    *day = HS_DAY_NONE;
    return HSMART_OK;
}

enum hsmart_code
hs_family_set_dates(struct hs_family *family, size_t index, const char *start_date, const char *end_date,
                    bool *out_in_file, hsmart_err *err)
{
    const struct hs_family_member *member = &family->members[index];
    hs_day start = member->start, end = member->end;
    bool kept = false;
    hsmart_err why = {0};
    enum hsmart_code code = choose_day(start_date, &start, err);

    if (code == HSMART_OK)
        code = choose_day(end_date, &end, err);
    if (code == HSMART_OK && member->key->jwk.pkey == NULL)
        code = hs_err_set(err, HSMART_KEY_UNUSABLE, "%s", member->key->info.problem_text);
    if (code == HSMART_OK)
        code = try_token(family, member->key, start, end, &kept, err);
    if (code == HSMART_OK)
        code = save_dates(family, member, start, end, !kept, &why);
    if (code != HSMART_OK && code != HSMART_NO_MEMORY && kept && !family->keys[index].dates_in_file) {
        hs_log_warning(hs_p11_token_get_log(family->token),
                       "the dates of key \"%s\" are on the token, but when they were set cannot be written down: %s",
                       member->key->info.label, why.text);
        code = HSMART_OK;
    }
    if (code != HSMART_OK && why.code != HSMART_OK && err != NULL)
        *err = why;
    if (code != HSMART_OK)
        return hs_err_wrap(err, code, "cannot set the dates of key \"%s\"", member->key->info.label);
    if (out_in_file != NULL)
        *out_in_file = !kept;
    return HSMART_OK;
}

/* ---- What was seen of the publication ---- */

/* Under its own kid: one that is published under another would not be found by a server. */
static bool
serves(const hs_json_value *keys, const struct hs_jwk *wanted)
{
    bool found = false;

    for (size_t i = 0; i < hs_json_length(keys) && !found; i++) {
        struct hs_jwk jwk = {0};
        if (hs_jwk_parse(hs_json_element(keys, i), &jwk, NULL) == HSMART_OK)
            found = jwk.kid != NULL && strcmp(jwk.kid, wanted->thumbprint) == 0 && hs_jwk_same_key(&jwk, wanted);
        hs_jwk_clear(&jwk);
    }
    return found;
}

static enum hsmart_code
note_member(struct hs_lifecycle_file *file, const struct hs_jwk *jwk, bool is_served, const char *url, int64_t now_s,
            int64_t max_age_s, hsmart_err *err)
{
    struct hs_lifecycle_entry *entry = hs_lifecycle_file_get(file, jwk->thumbprint);
    enum hsmart_code code = HSMART_OK;

    if (entry == NULL && !is_served)
        return code;
    code = hs_lifecycle_file_put(file, jwk->thumbprint, &entry, err);
    if (code != HSMART_OK)
        return code;
    if (!is_served || entry->url == NULL || strcmp(entry->url, url) != 0) {
        hs_string_free(entry->url);
        entry->url = NULL;
        entry->since_s = is_served ? now_s : 0;
        entry->max_age_s = -1;
        if (is_served)
            code = hs_strdup(url, &entry->url, err);
    }
    entry->until_s = is_served ? now_s : 0;
    if (max_age_s > entry->max_age_s)
        entry->max_age_s = max_age_s < INT32_MAX ? max_age_s : INT32_MAX;
    return code;
}

enum hsmart_code
hs_family_note_served(struct hs_family *family, const char *url, const char *json, int64_t now_s, int64_t max_age_s,
                      hsmart_err *err)
{
    struct hs_json_doc doc = {0};
    struct hs_lifecycle_file file = {0};
    int lock_fd = -1;
    enum hsmart_code code = hs_json_parse(hs_span_str(json), &doc, err);
    const hs_json_value *keys = code == HSMART_OK ? hs_json_member(doc.root, "keys") : NULL;

    if (code == HSMART_OK && hs_json_type_of(keys) != HS_JSON_ARRAY)
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "it is no JWK Set: it has no array \"keys\"");
    if (code != HSMART_OK) {
        hs_json_doc_clear(&doc);
        return hs_err_wrap(err, code, "%s does not serve a JWK Set", url);
    }
    code = hs_lifecycle_file_lock(family->path, &lock_fd, err);
    if (code == HSMART_OK)
        code = hs_lifecycle_file_load(family->path, &file, err);
    for (size_t i = 0; i < family->public.count && code == HSMART_OK; i++) {
        const struct hs_jwk *jwk = &family->members[i].key->jwk;
        if (jwk->pkey != NULL)
            code = note_member(&file, jwk, serves(keys, jwk), url, now_s, max_age_s, err);
    }
    if (code == HSMART_OK)
        code = hs_lifecycle_file_save(&file, family->path, err);
    hs_lifecycle_file_clear(&file);
    hs_lifecycle_file_unlock(lock_fd);
    hs_json_doc_clear(&doc);
    return code;
}

/* ---- What is to be published ---- */

/* A set without the key that signs would end every request of the family's clients. */
static enum hsmart_code
leave_out(const struct hs_family *family, size_t index, hsmart_err *err)
{
    const hsmart_key_info *info = &family->members[index].key->info;

    if (family->keys[index].state != HSMART_KEY_ACTIVE) {
        hs_log_warning(hs_p11_token_get_log(family->token), "key \"%s\" is not published: %s", info->label,
                       info->problem_text);
        return HSMART_OK;
    }
    enum hsmart_code code = info->problem != HSMART_OK ? info->problem : HSMART_KEY_UNUSABLE;
    (void)hs_err_set(err, code, "the active key \"%s\" cannot be published: %s", info->label, info->problem_text);
    hs_err_hint(err, "a set without it would end every request; mend the key, or activate another one first");
    return code;
}

enum hsmart_code
hs_family_jwks(const struct hs_family *family, const char *alg, struct hs_buf *out_json, hsmart_err *err)
{
    struct hs_jwks set = {0};
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < family->public.count && code == HSMART_OK; i++) {
        const struct hs_token_key *key = family->members[i].key;
        if (family->keys[i].state == HSMART_KEY_RETIRED)
            continue;
        code = key->jwk.pkey == NULL || key->info.problem != HSMART_OK ? leave_out(family, i, err)
                                                                       : hs_jwks_add(&set, &key->jwk, NULL, alg, err);
    }
    if (code == HSMART_OK && set.count == 0)
        code = hs_err_set(err, HSMART_KEY_ABSENT, "the family \"%s\" has no key to publish", family->label);
    if (code == HSMART_OK)
        code = hs_jwks_format(&set, out_json, err);
    hs_jwks_clear(&set);
    return code;
}
