#include "plan.h"

#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include "alg.h"
#include "err.h"
#include "file.h"
#include "key_policy.h"
#include "plan_files.h"
#include "text.h"
#include "words.h"
#include "x509_make.h"

#define NAME_MAX_LEN 64U
#define TEXT_MAX_LEN 300U
#define DAY_S 86400

/* ---- Times ---- */

void
hs_date_format(int64_t time_s, char out[HS_TIME_TEXT_MAX])
{
    time_t time = (time_t)time_s;
    struct tm parts = {0};

    out[0] = 0;
    if (gmtime_r(&time, &parts) != NULL)
        (void)strftime(out, HS_TIME_TEXT_MAX, "%Y-%m-%d", &parts);
}

void
hs_time_format(int64_t time_s, char out[HS_TIME_TEXT_MAX])
{
    time_t time = (time_t)time_s;
    struct tm parts = {0};

    out[0] = 0;
    if (gmtime_r(&time, &parts) != NULL)
        (void)strftime(out, HS_TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

/* Days since 1970-01-01 of a day of the Gregorian calendar. */
static int64_t
days_of(int64_t year, int64_t month, int64_t day)
{
    int64_t shifted = month <= 2 ? year - 1 : year; /* years begin in March, so that the leap day is the last */
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + of_year - 719468;
}

bool
hs_time_parse(const char *text, int64_t *out_time_s)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:ddZ";
    char again[HS_TIME_TEXT_MAX];
    int parts[6] = {0};

    if (strlen(text) != sizeof shape - 1)
        return false;
    for (size_t i = 0, part = 0; i < sizeof shape - 1; i++) {
        bool is_digit = text[i] >= '0' && text[i] <= '9';
        if (shape[i] == 'd' ? !is_digit : text[i] != shape[i])
            return false;
        if (is_digit)
            parts[part] = parts[part] * 10 + (text[i] - '0');
        else
            part++;
    }
    int64_t time_s = days_of(parts[0], parts[1], parts[2]) * DAY_S + parts[3] * 3600 + parts[4] * 60 + parts[5];
    hs_time_format(time_s, again); /* a 30 February comes back as another day */
    if (parts[0] < 1970 || strcmp(again, text) != 0)
        return false;
    *out_time_s = time_s;
    return true;
}

bool
hs_date_parse(const char *text, int64_t *out_time_s)
{
    char time[HS_TIME_TEXT_MAX];

    if (strlen(text) != strlen("2026-11-25"))
        return false;
    (void)snprintf(time, sizeof time, "%sT00:00:00Z", text);
    return hs_time_parse(time, out_time_s);
}

/* ---- Types of settings ---- */

struct row;
struct reading {
    const char *file;
    const struct hs_section *section;
    unsigned line; /* of the setting */
    hsmart_err *err;
};
typedef enum hsmart_code type_fn(struct reading *reading, const struct row *row, const char *value, void *field);

struct row {
    struct hs_plan_setting told; /* first: the table is shown by its front */
    type_fn *store;
    size_t offset;
    long min, max;
    const char *const *choices; /* NULL at the end */
};

static enum hsmart_code
refuse(struct reading *reading, const char *name, const char *reason)
{
    return hs_sections_error(reading->err, reading->file, reading->line, "\"%s\" %s", name, reason);
}

static enum hsmart_code
store_text(struct reading *reading, const struct row *row, const char *value, void *field)
{
    if (strlen(value) > TEXT_MAX_LEN)
        return refuse(reading, row->told.name, "is too long: 300 bytes are allowed");
    return hs_strdup(value, (char **)field, reading->err);
}

static enum hsmart_code
store_number(struct reading *reading, const struct row *row, const char *value, void *field)
{
    long number = 0;

    if (hs_text_parse_number(value, row->told.name, row->min, row->max, &number, NULL) != HSMART_OK)
        return hs_sections_error(reading->err, reading->file, reading->line,
                                 "\"%s\" is not a whole number from %ld to %ld", row->told.name, row->min, row->max);
    *(unsigned *)field = (unsigned)number;
    return HSMART_OK;
}

static enum hsmart_code
store_date(struct reading *reading, const struct row *row, const char *value, void *field)
{
    int64_t time_s = 0;

    if (!hs_date_parse(value, &time_s))
        return refuse(reading, row->told.name, "is not a day, which is written YYYY-MM-DD");
    return hs_strdup(value, (char **)field, reading->err);
}

static enum hsmart_code
choose(struct reading *reading, const struct row *row, const char *value, unsigned *out_index)
{
    char names[200] = "";
    size_t len = 0;

    for (unsigned i = 0; row->choices[i] != NULL; i++) {
        if (strcmp(row->choices[i], value) == 0) {
            *out_index = i;
            return HSMART_OK;
        }
        if (len < sizeof names)
            len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", i > 0 ? ", " : "", row->choices[i]);
    }
    return hs_sections_error(reading->err, reading->file, reading->line, "\"%s\" is none of: %s", row->told.name,
                             names);
}

/* The second of two choices is true. */
static enum hsmart_code
store_either(struct reading *reading, const struct row *row, const char *value, void *field)
{
    unsigned index = 0;
    enum hsmart_code code = choose(reading, row, value, &index);

    if (code == HSMART_OK)
        *(bool *)field = index == 1;
    return code;
}

static enum hsmart_code
store_certificate(struct reading *reading, const struct row *row, const char *value, void *field)
{
    unsigned index = 0;
    enum hsmart_code code = choose(reading, row, value, &index);

    if (code == HSMART_OK)
        *(enum hs_plan_certificate *)field = (enum hs_plan_certificate)index;
    return code;
}

static enum hsmart_code
store_alg(struct reading *reading, const struct row *row, const char *value, void *field)
{
    if (hs_alg_by_name(value) == NULL)
        return refuse(reading, row->told.name, "is no algorithm: RS384 makes an RSA key, ES384 a P-384 key");
    return hs_strdup(value, (char **)field, reading->err);
}

static bool
is_plain_name(struct hs_span name)
{
    if (name.len == 0 || name.len > NAME_MAX_LEN || name.data[0] == '.' || name.data[0] == '-')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = (char)name.data[i];
        bool is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                       c == '_' || c == '-';
        if (!is_good)
            return false;
    }
    return true;
}

static enum hsmart_code
store_names(struct reading *reading, const struct row *row, const char *value, void *field)
{
    struct hs_span item = {0};
    size_t count = 0;

    for (const char *cursor = value; hs_plan_next_item(&cursor, &item); count++)
        if (!is_plain_name(item))
            return refuse(reading, row->told.name,
                          "has a name of other characters than letters, digits, \".\", \"_\", \"-\"");
    if (count == 0)
        return refuse(reading, row->told.name, "names nothing");
    return hs_strdup(value, (char **)field, reading->err);
}

static const struct hs_policy_row *
policy_row_of(struct hs_span name)
{
    for (size_t i = 0; i < hs_policy_row_count; i++)
        if (hs_span_equal_str(name, hs_policy_rows[i].name))
            return &hs_policy_rows[i];
    return NULL;
}

/* What makes a key leave its token, or useless, is not a matter of taste. */
static enum hsmart_code
store_attributes(struct reading *reading, const struct row *row, const char *value, void *field)
{
    struct hs_span item = {0};

    for (const char *cursor = value; hs_plan_next_item(&cursor, &item);) {
        const struct hs_policy_row *attribute = policy_row_of(item);
        if (attribute == NULL)
            return refuse(reading, row->told.name, "names an attribute that is not looked at");
        if (attribute->weight != HS_POLICY_WISHED)
            return hs_sections_error(reading->err, reading->file, reading->line,
                                     "%s cannot be tolerated: a key with the contrary is no key to use",
                                     attribute->name);
    }
    return hs_strdup(value, (char **)field, reading->err);
}

bool
hs_plan_next_item(const char **cursor, struct hs_span *out_item)
{
    const char *at = *cursor + strspn(*cursor, ", ");
    size_t len = strcspn(at, ",");

    *cursor = at + len;
    while (len > 0 && at[len - 1] == ' ')
        len--;
    *out_item = (struct hs_span){(const uint8_t *)at, len};
    return len > 0;
}

/* ---- The table ---- */

static const char *const certificates[] = {"none", "request", "self-signed", NULL};
static const char *const accept_refuse[] = {"accept", "refuse", NULL};
static const char *const optional_required[] = {"optional", "required", NULL};

#define PLAN(field) offsetof(struct hs_plan, field)
#define KEY(field) offsetof(struct hs_plan_key, field)

/* clang-format off */
static const struct row rows[] = {
    {{"ceremony", "organisation", true, NULL, "who holds the ceremony"},
     store_text, PLAN(organisation), 0, 0, NULL},
    {{"ceremony", "purpose", true, NULL, "what the keys are for, in a sentence"},
     store_text, PLAN(purpose), 0, 0, NULL},
    {{"ceremony", "reference", false, "none", "a number of your own: a change, a ticket"},
     store_text, PLAN(reference), 0, 0, NULL},
    {{"ceremony", "not-before", false, "any day", "the first day on which it may be held"},
     store_date, PLAN(not_before), 0, 0, NULL},
    {{"ceremony", "not-after", false, "any day", "the last day on which it may be held"},
     store_date, PLAN(not_after), 0, 0, NULL},
    {{"ceremony", "witnesses", true, NULL, "how many people watch, besides those who have a role; 0 to 10"},
     store_number, PLAN(witnesses), 0, 10, NULL},
    {{"role", "count", false, "1", "how many people have this role; 1 to 10"},
     store_number, offsetof(struct hs_plan_role, count), 1, 10, NULL},
    {{"key", "alg", true, NULL, "what the key is for, which gives its type and curve: RS384, ES384, …"},
     store_alg, KEY(alg), 0, 0, NULL},
    {{"key", "bits", false, "3072", "size of an RSA key; 2048 to 16384"},
     store_number, KEY(bits), 2048, 16384, NULL},
    {{"key", "start", true, NULL, "the first day on which it signs"},
     store_date, KEY(start), 0, 0, NULL},
    {{"key", "end", true, NULL, "the last day on which it signs"},
     store_date, KEY(end), 0, 0, NULL},
    {{"key", "purpose", true, NULL, "what this key is for, in a sentence"},
     store_text, KEY(purpose), 0, 0, NULL},
    {{"key", "clients", false, "none", "names of the clients that it will sign for, separated by commas"},
     store_names, KEY(clients), 0, 0, NULL},
    {{"key", "certificate", false, "none", "none, request (PKCS#10) or self-signed"},
     store_certificate, KEY(certificate), 0, 0, certificates},
    {{"key", "subject", false, "none", "subject of the request or certificate: \"CN=…, O=…\""},
     store_text, KEY(subject), 0, 0, NULL},
    {{"policy", "clock-tolerance", false, "120", "seconds by which this machine's clock may differ from the one on the wall; 1 to 3600"},
     store_number, PLAN(clock_tolerance_s), 1, 3600, NULL},
    {{"policy", "tolerate", false, "none", "attributes that may be other than asked for, separated by commas"},
     store_attributes, PLAN(tolerate), 0, 0, NULL},
    {{"policy", "unreported", false, "accept", "accept or refuse a key of which the token does not report every attribute"},
     store_either, PLAN(refuse_unreported), 0, 0, accept_refuse},
    {{"policy", "rehearsal", false, "optional", "optional or required: the record of a rehearsal of this very plan"},
     store_either, PLAN(require_rehearsal), 0, 0, optional_required},
    {{"policy", "previous", false, "optional", "optional or required: the record of the ceremony before, to which this one is chained"},
     store_either, PLAN(require_previous), 0, 0, optional_required},
};
/* clang-format on */

const struct hs_plan_setting *
hs_plan_setting_at(size_t index)
{
    return index < HS_ARRAY_LEN(rows) ? &rows[index].told : NULL;
}

/* ---- Sections ---- */

static enum hsmart_code
find_row(struct reading *reading, const char *name, const struct row **out_row)
{
    char names[300] = "";
    size_t len = 0;

    for (size_t i = 0; i < HS_ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].told.section, reading->section->kind) != 0)
            continue;
        if (strcmp(rows[i].told.name, name) == 0) {
            *out_row = &rows[i];
            return HSMART_OK;
        }
        if (len < sizeof names)
            len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", len > 0 ? ", " : "", rows[i].told.name);
    }
    (void)hs_sections_error(reading->err, reading->file, reading->line, "there is no setting \"%.64s\" here", name);
    hs_err_hint(reading->err, "the settings of a %s are %s", reading->section->kind, names);
    return HSMART_INPUT_MALFORMED;
}

/* Every setting of the section into `item`, then what is required and missing. */
static enum hsmart_code
store_settings(struct reading *reading, void *item)
{
    enum hsmart_code code = HSMART_OK;
    const struct hs_section *section = reading->section;

    for (size_t i = 0; code == HSMART_OK && i < section->setting_count; i++) {
        const struct row *row = NULL;
        reading->line = section->settings[i].line;
        code = find_row(reading, section->settings[i].name, &row);
        if (code == HSMART_OK)
            code = row->store(reading, row, section->settings[i].value, (char *)item + row->offset);
    }
    reading->line = section->end_line;
    for (size_t i = 0; code == HSMART_OK && i < HS_ARRAY_LEN(rows); i++) {
        const struct hs_plan_setting *told = &rows[i].told;
        if (!told->required || strcmp(told->section, section->kind) != 0 || hs_section_get(section, told->name) != NULL)
            continue;
        code = hs_sections_error(reading->err, reading->file, reading->line, "the %s ends here without \"%s\"",
                                 section->kind, told->name);
        hs_err_hint(reading->err, "%s is %s", told->name, told->meaning);
    }
    return code;
}

static enum hsmart_code
take_name(struct reading *reading, bool plain, char **out_name)
{
    const struct hs_section *section = reading->section;

    reading->line = section->line;
    if (section->name == NULL)
        return hs_sections_error(reading->err, reading->file, section->line, "this %s has no name", section->kind);
    if (plain && !is_plain_name(hs_span_str(section->name)))
        return hs_sections_error(
            reading->err, reading->file, section->line,
            "the name of a %s has 1 to %u letters, digits, \".\", \"_\" and \"-\", and begins with a "
            "letter or digit",
            section->kind, NAME_MAX_LEN);
    return hs_strdup(section->name, out_name, reading->err);
}

static enum hsmart_code
load_ceremony(struct reading *reading, struct hs_plan *plan)
{
    enum hsmart_code code;

    if (plan->title != NULL)
        return hs_sections_error(reading->err, reading->file, reading->section->line, "a plan is for one ceremony");
    code = take_name(reading, false, &plan->title);
    if (code == HSMART_OK && strlen(plan->title) > TEXT_MAX_LEN)
        code = hs_sections_error(reading->err, reading->file, reading->line, "the ceremony's name is too long");
    return code == HSMART_OK ? store_settings(reading, plan) : code;
}

static enum hsmart_code
load_role(struct reading *reading, struct hs_plan *plan)
{
    struct hs_plan_role *role = &plan->roles[plan->role_count];
    enum hsmart_code code;

    if (plan->role_count == HS_PLAN_ROLES_MAX)
        return hs_sections_error(reading->err, reading->file, reading->section->line, "there are too many roles");
    plan->role_count++;
    role->count = 1;
    code = take_name(reading, true, &role->name);
    if (code == HSMART_OK && strcmp(role->name, "witness") == 0)
        code = hs_sections_error(reading->err, reading->file, reading->line,
                                 "witnesses are not a role: the ceremony's \"witnesses\" says how many there are");
    return code == HSMART_OK ? store_settings(reading, role) : code;
}

/* What libp11 will be asked for when the key is there, looked at before it is made. */
static enum hsmart_code
check_subject(struct reading *reading, const struct hs_plan_key *key)
{
    const struct hs_x509_wish wish = {.is_certificate = key->certificate == HS_PLAN_SELF_SIGNED,
                                      .subject = key->subject,
                                      .alg = hs_alg_by_name(key->alg),
                                      .days = 1};
    hsmart_err why = {0};
    enum hsmart_code code = hs_x509_check_wish(&wish, &why);

    if (code == HSMART_NO_MEMORY)
        return hs_err_no_memory(reading->err);
    if (code == HSMART_OK)
        return HSMART_OK;
    return hs_sections_error(reading->err, reading->file, key->line, "key \"%s\": %.300s", key->label, why.text);
}

static enum hsmart_code
check_key(struct reading *reading, const struct hs_plan_key *key)
{
    const struct hs_alg *alg = hs_alg_by_name(key->alg);

    reading->line = key->line;
    if (key->bits != 0 && alg->key_type == HS_KEY_EC)
        return hs_sections_error(reading->err, reading->file, key->line,
                                 "key \"%s\" has \"bits\", which are for RSA; %s means curve %s", key->label, alg->name,
                                 alg->curve);
    if (key->bits % 8 != 0)
        return refuse(reading, "bits", "is not a multiple of 8");
    if (strcmp(key->end, key->start) <= 0)
        return hs_sections_error(reading->err, reading->file, key->line, "key \"%s\" ends on %s, but starts on %s",
                                 key->label, key->end, key->start);
    if ((key->certificate != HS_PLAN_NO_CERTIFICATE) != (key->subject != NULL))
        return hs_sections_error(reading->err, reading->file, key->line,
                                 "key \"%s\" has \"certificate\" or \"subject\" without the other", key->label);
    return key->subject != NULL ? check_subject(reading, key) : HSMART_OK;
}

static enum hsmart_code
load_key(struct reading *reading, struct hs_plan *plan)
{
    struct hs_plan_key *key = &plan->keys[plan->key_count];
    enum hsmart_code code;

    if (plan->key_count == HS_PLAN_KEYS_MAX)
        return hs_sections_error(reading->err, reading->file, reading->section->line, "there are too many keys");
    plan->key_count++;
    key->line = reading->section->line;
    code = take_name(reading, true, &key->label);
    if (code == HSMART_OK)
        code = store_settings(reading, key);
    return code == HSMART_OK ? check_key(reading, key) : code;
}

static enum hsmart_code
load_policy(struct reading *reading, struct hs_plan *plan)
{
    if (reading->section->name != NULL)
        return hs_sections_error(reading->err, reading->file, reading->section->line, "the policy has no name");
    return store_settings(reading, plan);
}

static enum hsmart_code
load_section(struct reading *reading, struct hs_plan *plan)
{
    static const struct {
        const char *kind;
        enum hsmart_code (*load)(struct reading *reading, struct hs_plan *plan);
    } kinds[] = {{"ceremony", load_ceremony}, {"role", load_role}, {"key", load_key}, {"policy", load_policy}};

    for (size_t i = 0; i < HS_ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i].kind, reading->section->kind) == 0)
            return kinds[i].load(reading, plan);
    (void)hs_sections_error(reading->err, reading->file, reading->section->line, "there is no section \"%.64s\"",
                            reading->section->kind);
    hs_err_hint(reading->err,
                "the sections of a plan are ceremony, role, key and policy; the token is named by hsmart.conf "
                "or options, not here");
    return HSMART_INPUT_MALFORMED;
}

/* ---- The whole ---- */

static enum hsmart_code
check_whole(const struct hs_plan *plan, const char *file, hsmart_err *err)
{
    if (plan->title == NULL)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "%s: there is no section \"ceremony\"", file);
    if (plan->role_count == 0)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "%s: there is no role, so nobody holds the ceremony", file);
    if (plan->key_count == 0)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "%s: there is no key to be made", file);
    if (plan->not_before != NULL && plan->not_after != NULL && strcmp(plan->not_after, plan->not_before) < 0)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "%s: not-after is before not-before", file);
    return HSMART_OK;
}

enum hsmart_code
hs_sha256(struct hs_span data, uint8_t out[HS_SHA256_LEN], hsmart_err *err)
{
    uint8_t digest[HS_HASH_MAX];
    enum hsmart_code code = hs_alg_digest(hs_alg_by_name("RS256"), data, digest, err);

    if (code == HSMART_OK)
        memcpy(out, digest, HS_SHA256_LEN);
    return code;
}

static enum hsmart_code
fingerprint(struct hs_plan *plan, hsmart_err *err)
{
    struct hs_buf hex = {0}, words = {0};
    enum hsmart_code code = hs_sha256(hs_span_buf(&plan->text), plan->sha256, err);

    if (code == HSMART_OK)
        code = hs_text_append_hex(&hex, HS_SPAN_OF(plan->sha256), err);
    if (code == HSMART_OK)
        (void)snprintf(plan->sha256_hex, sizeof plan->sha256_hex, "%s", hs_buf_text(&hex));
    if (code == HSMART_OK)
        code = hs_words_append(&words, HS_SPAN_OF(plan->sha256), err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&words, &plan->words, err);
    hs_buf_clear(&hex);
    hs_buf_clear(&words);
    return code;
}

enum hsmart_code
hs_plan_parse(struct hs_span text, const char *file, struct hs_plan *out_plan, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_sections sections = {0};
    struct hs_plan plan = {.clock_tolerance_s = 120};

    code = hs_sections_parse(text, file, &sections, err);
    for (size_t i = 0; code == HSMART_OK && i < sections.count; i++) {
        struct reading reading = {.file = file, .section = &sections.items[i], .err = err};
        code = load_section(&reading, &plan);
    }
    if (code == HSMART_OK)
        code = check_whole(&plan, file, err);
    if (code == HSMART_OK)
        code = hs_buf_append(&plan.text, text, err);
    if (code == HSMART_OK)
        code = fingerprint(&plan, err);
    if (code == HSMART_OK) {
        *out_plan = plan;
        plan = (struct hs_plan){0};
    }
    hs_plan_clear(&plan);
    hs_sections_clear(&sections);
    return code;
}

enum hsmart_code
hs_plan_load(const char *path, struct hs_plan *out_plan, hsmart_err *err)
{
    struct hs_buf text = {0};
    struct hs_plan plan = {0};
    enum hsmart_code code = hs_file_read(path, HS_SECTIONS_MAX_LEN, &text, err);

    if (code == HSMART_OK)
        code = hs_plan_parse(hs_span_buf(&text), path, &plan, err);
    if (code == HSMART_OK)
        code = hs_plan_check_files(&plan, path, err);
    if (code == HSMART_OK) {
        *out_plan = plan;
        plan = (struct hs_plan){0};
    }
    hs_plan_clear(&plan);
    hs_buf_clear(&text);
    return code;
}

/* Every string of the plan that a row of the table stores. */
static void
clear_item(const char *section, void *item)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(rows); i++) {
        type_fn *store = rows[i].store;
        bool is_string = store == store_text || store == store_date || store == store_alg || store == store_names ||
                         store == store_attributes;
        if (is_string && strcmp(rows[i].told.section, section) == 0)
            hs_string_free(*(char **)((char *)item + rows[i].offset));
    }
}

void
hs_plan_clear(struct hs_plan *plan)
{
    for (size_t i = 0; i < plan->role_count; i++)
        hs_string_free(plan->roles[i].name);
    for (size_t i = 0; i < plan->key_count; i++) {
        clear_item("key", &plan->keys[i]);
        hs_string_free(plan->keys[i].label);
    }
    clear_item("ceremony", plan);
    clear_item("policy", plan);
    hs_string_free(plan->title);
    hs_string_free(plan->words);
    hs_buf_clear(&plan->text);
    *plan = (struct hs_plan){0};
}

/* ---- Looking at it ---- */

bool
hs_plan_tolerates(const struct hs_plan *plan, const char *attribute)
{
    struct hs_span item = {0};

    for (const char *cursor = plan->tolerate; cursor != NULL && hs_plan_next_item(&cursor, &item);)
        if (hs_span_equal_str(item, attribute))
            return true;
    return false;
}

enum hsmart_code
hs_plan_check_day(const struct hs_plan *plan, int64_t now_s, hsmart_err *err)
{
    char today[HS_TIME_TEXT_MAX];

    hs_date_format(now_s, today);
    if ((plan->not_before == NULL || strcmp(today, plan->not_before) >= 0) &&
        (plan->not_after == NULL || strcmp(today, plan->not_after) <= 0))
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_POLICY_REFUSED, "today is %s, but the plan is for %s to %s", today,
                     plan->not_before != NULL ? plan->not_before : "any day",
                     plan->not_after != NULL ? plan->not_after : "any day");
    hs_err_hint(err, "correct this machine's clock, or have a plan with other days reviewed");
    return HSMART_POLICY_REFUSED;
}

struct advice {
    void (*tell)(void *arg, const char *line);
    void *arg;
    unsigned count;
};

static void advise(struct advice *advice, const char *format, ...) HSMART_PRINTF(2, 3);

static void
advise(struct advice *advice, const char *format, ...)
{
    char line[400];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    advice->tell(advice->arg, line);
    advice->count++;
}

#define LONG_LIFE_DAYS 800 /* two years and some weeks */

static void
advise_on_key(struct advice *advice, const struct hs_plan *plan, const struct hs_plan_key *key, const char *today)
{
    int64_t start_s = 0, end_s = 0;

    if (strcmp(key->end, today) <= 0)
        advise(advice, "key \"%s\" ends on %s, which is past: it would never sign", key->label, key->end);
    if (strcmp(key->alg, "RS384") != 0 && strcmp(key->alg, "ES384") != 0)
        advise(advice, "key \"%s\" is for %s, which only some servers take; RS384 and ES384 are for all", key->label,
               key->alg);
    if (key->bits != 0 && key->bits < 3072)
        advise(advice, "key \"%s\" has %u bits; 3072 are today's measure", key->label, key->bits);
    if (hs_date_parse(key->start, &start_s) && hs_date_parse(key->end, &end_s) &&
        end_s - start_s > LONG_LIFE_DAYS * DAY_S)
        advise(advice, "key \"%s\" lives for more than two years", key->label);
    if (key->clients == NULL)
        advise(advice, "key \"%s\" names no client", key->label);
    if (plan->not_after != NULL && strcmp(key->start, plan->not_after) <= 0)
        advise(advice,
               "key \"%s\" starts on %s, before the last day of the ceremony (%s): servers have to know a key "
               "before it signs",
               key->label, key->start, plan->not_after);
}

unsigned
hs_plan_advise(const struct hs_plan *plan, int64_t now_s, void (*tell)(void *arg, const char *line), void *arg)
{
    struct advice advice = {tell, arg, 0};
    char today[HS_TIME_TEXT_MAX];
    unsigned people = 0;

    hs_date_format(now_s, today);
    for (size_t i = 0; i < plan->role_count; i++)
        people += plan->roles[i].count;
    if (people + plan->witnesses < 2)
        advise(&advice, "one person alone holds this ceremony, so nobody can vouch for it");
    else if (plan->witnesses == 0)
        advise(&advice, "nobody watches: there is no witness");
    if (plan->not_after != NULL && strcmp(plan->not_after, today) < 0)
        advise(&advice, "the last day for this ceremony, %s, is past", plan->not_after);
    if (plan->tolerate != NULL)
        advise(&advice, "the policy tolerates attributes that are other than asked for: %s", plan->tolerate);
    for (size_t i = 0; i < plan->key_count; i++)
        advise_on_key(&advice, plan, &plan->keys[i], today);
    return advice.count;
}
