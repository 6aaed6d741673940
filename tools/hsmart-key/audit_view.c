#include "audit_view.h"

#include <string.h>

#include "err.h"
#include "key_view.h"
#include "report.h"

static const char *const place_words[] = {"the token", "the records", "the published set", "the configuration"};

bool
audit_is_good(const struct audited *audited)
{
    return hsmart_key_get_info(audited->key)->problem != HSMART_POLICY_REFUSED &&
           audited->test_failure.code == HSMART_OK && (audited->attack == NULL || audited->attack->success_count == 0);
}

static bool
is_success(const hsmart_attack_attempt *attempt)
{
    return attempt->outcome == HSMART_ATTACK_WEAKENED || attempt->outcome == HSMART_ATTACK_BROKEN;
}

/* ---- For people ---- */

/* What was got, always; what was tried in vain, with -v. */
static void
put_attack(struct text *text, const hsmart_attack_report *attack)
{
    struct table table = {.column_count = 4};
    size_t held = 0, not_offered = 0;

    for (size_t i = 0; i < attack->count; i++) {
        const hsmart_attack_attempt *attempt = &attack->attempts[i];
        held += attempt->outcome == HSMART_ATTACK_HELD;
        not_offered += attempt->outcome == HSMART_ATTACK_NOT_OFFERED;
        if (!is_success(attempt) && !report_is_verbose())
            continue;
        table_put(&table, "");
        table_put(&table, is_success(attempt) ? "GOT" : hsmart_attack_outcome_words(attempt->outcome));
        table_put(&table, attempt->name);
        table_put_format(&table, "%s%s%s", attempt->answer, attempt->words[0] != 0 ? "; " : "", attempt->words);
    }
    text_put(text, "  attack: %zu attempts: %zu succeeded, %zu refused, %zu not offered by the token\n", attack->count,
             attack->success_count, held, not_offered);
    table_finish(&table, text);
    if (attack->key_changed)
        text_put(text, "  the attack took a protection off that could not be put back: destroy the key\n");
}

static void
put_key(struct text *text, const struct audited *audited)
{
    const hsmart_key_info *info = hsmart_key_get_info(audited->key);
    struct table line = {.column_count = 3};

    text_put(text, "key \"");
    text_put_safe(text, info->label);
    text_put(text, "\": %s%s", audit_is_good(audited) || info->problem != HSMART_OK ? key_verdict(info) : "FAILS",
             info->problem_text != NULL ? ": " : "");
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
    if (audited->attack != NULL)
        put_attack(text, audited->attack);
}

static void
put_drift(struct text *text, const struct drift *drift)
{
    const char *between = "";

    text_put(text, "\ncompared: ");
    for (size_t i = 0; i < HS_ARRAY_LEN(place_words); i++)
        if (drift->compared & 1U << i) {
            text_put(text, "%s%s", between, place_words[i]);
            between = ", ";
        }
    text_put(text, "; %zu %s\n", drift->count, drift->count == 1 ? "difference" : "differences");
    for (size_t i = 0; i < drift->count; i++) {
        text_put(text, "  %s: ", drift->findings[i].rule);
        text_put_safe(text, drift->findings[i].text);
        if (drift->findings[i].kid[0] != 0)
            text_put(text, " (kid %s)", drift->findings[i].kid);
        text_put(text, "\n    %s\n", drift->findings[i].cure);
    }
}

enum hsmart_code
audit_format_text(const struct audit_told *told, struct hs_buf *out, hsmart_err *err)
{
    struct text text = {.out = out};

    for (size_t i = 0; i < told->count; i++) {
        text_put(&text, "%s", i > 0 ? "\n" : "");
        put_key(&text, &told->rows[i]);
    }
    if (told->drift.compared != 0)
        put_drift(&text, &told->drift);
    return text_finish(&text, err);
}

/* ---- For programs ---- */

static void
put_attack_members(struct hs_json_writer *writer, const hsmart_attack_report *attack)
{
    hs_json_name(writer, "attack");
    if (attack == NULL) {
        hs_json_put_null(writer);
        return;
    }
    hs_json_begin_object(writer);
    hs_json_member_integer(writer, "success_count", (int64_t)attack->success_count);
    hs_json_member_boolean(writer, "key_changed", attack->key_changed);
    hs_json_name(writer, "attempts");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < attack->count; i++) {
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "attempt", attack->attempts[i].name);
        hs_json_member_text(writer, "outcome", hsmart_attack_outcome_words(attack->attempts[i].outcome));
        hs_json_member_text(writer, "answer", attack->attempts[i].answer);
        hs_json_member_text(writer, "words", attack->attempts[i].words);
        hs_json_end_object(writer);
    }
    hs_json_end_array(writer);
    hs_json_end_object(writer);
}

static void
put_drift_members(struct hs_json_writer *writer, const struct drift *drift)
{
    static const char *const places[] = {"token", "records", "jwks", "configuration"};

    hs_json_name(writer, "drift");
    hs_json_begin_object(writer);
    hs_json_name(writer, "compared");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < HS_ARRAY_LEN(places); i++)
        if (drift->compared & 1U << i)
            hs_json_put_text(writer, places[i]);
    hs_json_end_array(writer);
    hs_json_name(writer, "differences");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < drift->count; i++) {
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "rule", drift->findings[i].rule);
        hs_json_member_text(writer, "kid", drift->findings[i].kid[0] != 0 ? drift->findings[i].kid : NULL);
        hs_json_member_text(writer, "text", drift->findings[i].text);
        hs_json_member_text(writer, "cure", drift->findings[i].cure);
        hs_json_end_object(writer);
    }
    hs_json_end_array(writer);
    hs_json_end_object(writer);
}

enum hsmart_code
audit_format_json(const struct audit_told *told, struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out, .indent = true};

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "token", told->token->uri);
    hs_json_name(&writer, "keys");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < told->count; i++) {
        hs_json_begin_object(&writer);
        key_put_members(&writer, hsmart_key_get_info(told->rows[i].key));
        hs_json_member_text(&writer, "test_signature", told->rows[i].test_signature);
        put_attack_members(&writer, told->rows[i].attack);
        hs_json_member_boolean(&writer, "passed", audit_is_good(&told->rows[i]));
        hs_json_end_object(&writer);
    }
    hs_json_end_array(&writer);
    put_drift_members(&writer, &told->drift);
    hs_json_end_object(&writer);
    enum hsmart_code code = hs_json_writer_finish(&writer, err);
    return code == HSMART_OK ? hs_buf_append_str(out, "\n", err) : code;
}

/* ---- JUnit ---- */

/* One case; `failure` NULL: it passed. */
static void
put_case(struct text *text, const char *group, const char *name, const char *failure, const char *cure)
{
    text_put(text, "  <testcase");
    text_put_xml_attribute(text, "classname", group);
    text_put_xml_attribute(text, "name", name);
    if (failure == NULL) {
        text_put(text, "/>\n");
        return;
    }
    text_put(text, "><failure");
    text_put_xml_attribute(text, "message", failure);
    text_put(text, ">");
    text_put_xml(text, cure);
    text_put(text, "</failure></testcase>\n");
}

static void
put_cases(struct text *text, const struct audited *audited)
{
    const hsmart_key_info *info = hsmart_key_get_info(audited->key);

    for (size_t i = 0; i < info->attribute_count; i++) {
        const hsmart_key_attribute *attribute = &info->attributes[i];
        bool fails = strcmp(key_attribute_verdict(attribute), "FAIL") == 0;
        put_case(text, info->label, attribute->name, fails ? "the token reports the contrary" : NULL,
                 "make a new key with hsmart-key generate");
    }
    put_case(text, info->label, "policy", info->problem == HSMART_POLICY_REFUSED ? info->problem_text : NULL,
             "make a new key with hsmart-key generate");
    if (audited->test_failure.code != HSMART_OK)
        put_case(text, info->label, "test signature", audited->test_signature, "");
    for (size_t i = 0; audited->attack != NULL && i < audited->attack->count; i++) {
        const hsmart_attack_attempt *attempt = &audited->attack->attempts[i];
        put_case(text, info->label, attempt->name,
                 is_success(attempt) ? hsmart_attack_outcome_words(attempt->outcome) : NULL, attempt->words);
    }
}

static size_t
failure_count(const struct audit_told *told, size_t *out_case_count)
{
    size_t failures = told->drift.count;

    *out_case_count = told->drift.compared != 0 && told->drift.count == 0 ? 1 : told->drift.count;
    for (size_t i = 0; i < told->count; i++) {
        const struct audited *audited = &told->rows[i];
        const hsmart_key_info *info = hsmart_key_get_info(audited->key);
        for (size_t a = 0; a < info->attribute_count; a++)
            failures += strcmp(key_attribute_verdict(&info->attributes[a]), "FAIL") == 0;
        failures += info->problem == HSMART_POLICY_REFUSED;
        failures += audited->test_failure.code != HSMART_OK;
        *out_case_count += info->attribute_count + 1 + (audited->test_failure.code != HSMART_OK);
        if (audited->attack != NULL) {
            failures += audited->attack->success_count;
            *out_case_count += audited->attack->count;
        }
    }
    return failures;
}

enum hsmart_code
audit_format_junit(const struct audit_told *told, struct hs_buf *out, hsmart_err *err)
{
    struct text text = {.out = out};
    size_t case_count = 0, failures = failure_count(told, &case_count);

    text_put(&text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite");
    text_put_xml_attribute(&text, "name", "hsmart-key audit");
    text_put(&text, " tests=\"%zu\" failures=\"%zu\">\n", case_count, failures);
    for (size_t i = 0; i < told->count; i++)
        put_cases(&text, &told->rows[i]);
    for (size_t i = 0; i < told->drift.count; i++)
        put_case(&text, "drift", told->drift.findings[i].rule, told->drift.findings[i].text,
                 told->drift.findings[i].cure);
    if (told->drift.compared != 0 && told->drift.count == 0)
        put_case(&text, "drift", "no difference", NULL, "");
    text_put(&text, "</testsuite>\n");
    return text_finish(&text, err);
}
