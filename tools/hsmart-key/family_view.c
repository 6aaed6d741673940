#define _DEFAULT_SOURCE /* timegm: the C library knows the calendar */
#include "family_view.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "err.h"
#include "report.h"

#define DAY_S 86400

const char *
family_kid(const hsmart_family_key *key)
{
    const char *thumbprint = hsmart_key_get_info(key->key)->thumbprint;

    return thumbprint != NULL ? thumbprint : "-";
}

const char *
family_label(const hsmart_family_key *key)
{
    return hsmart_key_get_info(key->key)->label;
}

/* ---- Which family ---- */

static enum hsmart_code
choose(const struct family_words *words, struct target *target, hsmart_err *err)
{
    if (words->family != NULL && target->family.label != NULL && strcmp(words->family, target->family.label) != 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--family is \"%s\", but key \"%s\" is family \"%s\"",
                          words->family, target->key->name, target->family.label);
    if (words->family != NULL)
        target->family.label = words->family;
    if (words->lifecycle_file != NULL)
        target->family.lifecycle_file = words->lifecycle_file;
    target->family.state_directory = target->token.state_directory;
    if (target->family.label != NULL)
        return HSMART_OK;
    if (target->key != NULL)
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "key \"%s\" is one key, and no family", target->key->name);
    else
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "no family is named");
    hs_err_hint(err, "give --family LABEL, or --key NAME of a key that has \"family\" in the configuration");
    return HSMART_INVALID_ARGUMENT;
}

enum hsmart_code
family_open(const struct cli_common *common, const struct family_words *words, const int64_t *at_s,
            struct target *target, hsmart_family **out_family, hsmart_err *err)
{
    enum hsmart_code code = target_check_text("family", words->family, err);

    if (code == HSMART_OK)
        code = target_resolve(common, TARGET_LOGIN, target, err);
    if (code == HSMART_OK)
        code = choose(words, target, err);
    if (code == HSMART_OK)
        code = target_open(target, err);
    if (code == HSMART_OK)
        code = hsmart_family_read(target->opened, &target->family, at_s, out_family, err);
    return code;
}

enum hsmart_code
family_reread(struct target *target, hsmart_family **family, hsmart_err *err)
{
    hsmart_family_free(*family);
    *family = NULL;
    return hsmart_family_read(target->opened, &target->family, NULL, family, err);
}

enum hsmart_code
family_find(const hsmart_family *family, const char *name, const hsmart_family_key **out_key, hsmart_err *err)
{
    const hsmart_family_key *found = NULL;

    for (size_t i = 0; i < family->count; i++)
        if (strcmp(family_kid(&family->keys[i]), name) == 0) {
            *out_key = &family->keys[i];
            return HSMART_OK;
        }
    for (size_t i = 0; i < family->count; i++) {
        if (strcmp(family_label(&family->keys[i]), name) != 0)
            continue;
        if (found != NULL) /* two hosts that rotate at the same moment make two keys of one label */
            return hs_err_set(err, HSMART_KEY_AMBIGUOUS,
                              "two keys have the label \"%.80s\": name one by its kid, %s or %s", name,
                              family_kid(found), family_kid(&family->keys[i]));
        found = &family->keys[i];
    }
    if (found != NULL) {
        *out_key = found;
        return HSMART_OK;
    }
    (void)hs_err_set(err, HSMART_KEY_ABSENT, "the family \"%s\" has no key with the kid or label \"%.80s\"",
                     family->label, name);
    hs_err_hint(err, "look with \"hsmart-key publish --at now\"");
    return HSMART_KEY_ABSENT;
}

enum hsmart_code
family_set_dates(hsmart_family *family, const hsmart_family_key *key, const char *start_date, const char *end_date,
                 hsmart_err *err)
{
    bool in_file = false;
    enum hsmart_code code = hsmart_family_set_dates(family, key, start_date, end_date, &in_file, err);

    if (code == HSMART_OK && in_file)
        report_warning(
            "the token does not keep dates: those of key \"%s\" are in \"%s\", which every host that signs needs",
            family_label(key), family->lifecycle_file);
    return code;
}

/* ---- Showing ---- */

static const char *
start_words(const hsmart_family_key *key)
{
    if (key->start_date == NULL)
        return NULL;
    return strcmp(key->start_date, HSMART_DATE_UNDECIDED) == 0 ? "undecided" : key->start_date;
}

void
family_put_table(struct text *text, const hsmart_family *family)
{
    static const char *const header[] = {"LABEL", "STATE", "FIRST DAY", "LAST DAY", "PUBLISHED", "SIGNS", "KID"};
    struct table table = {.column_count = HS_ARRAY_LEN(header)};

    for (size_t i = 0; i < HS_ARRAY_LEN(header); i++)
        table_put(&table, header[i]);
    for (size_t i = 0; i < family->count; i++) {
        const hsmart_family_key *key = &family->keys[i];
        table_put(&table, family_label(key));
        table_put(&table, hsmart_key_state_name(key->state));
        table_put(&table, start_words(key));
        table_put(&table, key->end_date);
        table_put(&table, key->state != HSMART_KEY_RETIRED ? "yes" : "no");
        table_put(&table, key->state == HSMART_KEY_ACTIVE ? "yes" : "no");
        table_put(&table, family_kid(key));
    }
    table_finish(&table, text);
}

static void
put_key(struct hs_json_writer *writer, const hsmart_family_key *key)
{
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "label", family_label(key));
    hs_json_member_text(writer, "kid", family_kid(key));
    hs_json_member_text(writer, "uri", hsmart_key_get_info(key->key)->uri);
    hs_json_member_text(writer, "state", hsmart_key_state_name(key->state));
    hs_json_member_text(writer, "start_date", key->start_date);
    hs_json_member_text(writer, "end_date", key->end_date);
    hs_json_member_text(writer, "dates_in", key->dates_in_file ? "file" : "token");
    hs_json_member_boolean(writer, "published", key->state != HSMART_KEY_RETIRED);
    hs_json_member_boolean(writer, "signs", key->state == HSMART_KEY_ACTIVE);
    if (key->served_url != NULL) {
        hs_json_member_text(writer, "served_url", key->served_url);
        hs_json_member_integer(writer, "served_since_s", key->served_since_s);
        hs_json_member_integer(writer, "served_until_s", key->served_until_s);
        hs_json_member_integer(writer, "served_max_age_s", key->served_max_age_s);
    }
    hs_json_end_object(writer);
}

void
family_put_members(struct hs_json_writer *writer, const hsmart_family *family)
{
    hs_json_member_text(writer, "family", family->label);
    hs_json_member_text(writer, "lifecycle_file", family->lifecycle_file);
    hs_json_name(writer, "keys");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < family->count; i++)
        put_key(writer, &family->keys[i]);
    hs_json_end_array(writer);
}

/* ---- Times ---- */

static bool
fits_shape(const char *text, const char *shape)
{
    for (; *shape != 0; shape++, text++)
        if (*shape == 'd' ? *text < '0' || *text > '9' : *text != *shape)
            return false;
    return *text == 0;
}

enum hsmart_code
family_parse_time(const char *option, const char *text, int64_t *out_s, hsmart_err *err)
{
    struct tm when = {0};
    char back[FAMILY_TIME_LEN];
    bool is_day = fits_shape(text, "dddd-dd-dd"), is_time = fits_shape(text, "dddd-dd-ddTdd:dd:ddZ");

    if (strcmp(text, "now") == 0) {
        *out_s = hs_clock_now_s();
        return HSMART_OK;
    }
    if ((is_day || is_time) && sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2dZ", &when.tm_year, &when.tm_mon, &when.tm_mday,
                                      &when.tm_hour, &when.tm_min, &when.tm_sec) >= 3) {
        when.tm_year -= 1900;
        when.tm_mon -= 1;
        time_t time_s = timegm(&when);
        family_format_time((int64_t)time_s, back);
        /* Written back it is the same, or there is no such day or time. */
        if (time_s >= 0 && strncmp(back, text, is_day ? 10 : 20) == 0) {
            *out_s = (int64_t)time_s;
            return HSMART_OK;
        }
    }
    return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--%s is \"%.40s\", but must be YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ",
                      option, text);
}

static struct tm
civil(int64_t time_s)
{
    struct tm when = {0};
    time_t clock = (time_t)time_s;

    (void)gmtime_r(&clock, &when); /* fails after the year 2147485547 only */
    return when;
}

void
family_format_day(int64_t time_s, int offset, char out[FAMILY_TIME_LEN])
{
    struct tm when = civil(time_s + (int64_t)offset * DAY_S);

    out[0] = 0;
    (void)strftime(out, FAMILY_TIME_LEN, "%Y-%m-%d", &when);
}

void
family_format_time(int64_t time_s, char out[FAMILY_TIME_LEN])
{
    struct tm when = civil(time_s);

    out[0] = 0;
    (void)strftime(out, FAMILY_TIME_LEN, "%Y-%m-%dT%H:%M:%SZ", &when);
}

void
family_format_span(int64_t span_s, char out[FAMILY_TIME_LEN])
{
    if (span_s >= 2 * 3600)
        (void)snprintf(out, FAMILY_TIME_LEN, "%lld h", (long long)((span_s + 3599) / 3600));
    else if (span_s >= 2 * 60)
        (void)snprintf(out, FAMILY_TIME_LEN, "%lld min", (long long)((span_s + 59) / 60));
    else
        (void)snprintf(out, FAMILY_TIME_LEN, "%lld s", (long long)span_s);
}
