#include "check_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "err.h"
#include "text.h"

void
hs_report_clear(struct hs_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        hs_string_free(report->findings[i].text);
    hs_free(report->findings);
    hs_free((void *)report->applied);
    hs_free((void *)report->skipped);
    *report = (struct hs_report){0};
}

static void
append_code(struct hs_check *check, const char ***codes, size_t *count, const char *code)
{
    if (check->code == HSMART_OK)
        check->code = hs_array_grow((void **)codes, *count, sizeof **codes, check->err);
    if (check->code == HSMART_OK)
        (*codes)[(*count)++] = code;
}

void
hs_check_apply(struct hs_check *check, const char *code)
{
    check->rule = hs_rule_by_code(code);
    append_code(check, &check->report.applied, &check->report.applied_count, check->rule->code);
}

void
hs_check_skip(struct hs_check *check, const char *code)
{
    append_code(check, &check->report.skipped, &check->report.skipped_count, hs_rule_by_code(code)->code);
}

static void
find(struct hs_check *check, enum hs_severity severity, char *text)
{
    struct hs_report *report = &check->report;
    struct hs_finding finding = {.rule = check->rule, .severity = severity};

    hs_text_sanitize(text);
    if (check->code == HSMART_OK)
        check->code = hs_array_grow((void **)&report->findings, report->count, sizeof finding, check->err);
    if (check->code == HSMART_OK)
        check->code = hs_strdup(text, &finding.text, check->err);
    if (check->code != HSMART_OK)
        return;
    report->findings[report->count++] = finding;
    if (severity == HS_SEVERITY_ERROR)
        report->error_count++;
    else
        report->warning_count++;
}

void
hs_check_find(struct hs_check *check, const char *format, ...)
{
    char text[HS_FINDING_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    find(check, check->rule->severity, text);
}

void
hs_check_warn(struct hs_check *check, const char *format, ...)
{
    char text[HS_FINDING_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    find(check, HS_SEVERITY_WARNING, text);
}

bool
hs_check_is_fault(struct hs_check *check, enum hsmart_code code)
{
    if (code != HSMART_NO_MEMORY && code != HSMART_INTERNAL)
        return code != HSMART_OK;
    if (check->code == HSMART_OK)
        check->code = code == HSMART_NO_MEMORY
                          ? hs_err_no_memory(check->err)
                          : hs_err_set(check->err, code, "OpenSSL failed while the input was being checked");
    return false;
}

enum hsmart_code
hs_check_finish(struct hs_check *check, struct hs_report *out_report)
{
    if (check->code == HSMART_OK) {
        hs_report_clear(out_report);
        *out_report = check->report;
    } else {
        hs_report_clear(&check->report);
    }
    check->report = (struct hs_report){0};
    return check->code;
}

struct hs_excerpt
hs_excerpt_of(struct hs_span text)
{
    struct hs_excerpt excerpt = {""};
    size_t len = text.len < HS_EXCERPT_MAX ? text.len : HS_EXCERPT_MAX;

    for (size_t i = 0; i < len; i++)
        excerpt.text[i] = text.data[i] != 0 ? (char)text.data[i] : '?';
    hs_text_sanitize(excerpt.text); /* drops half a character at the end */
    if (text.len > HS_EXCERPT_MAX)
        memcpy(excerpt.text + strlen(excerpt.text), "…", sizeof "…");
    return excerpt;
}

struct hs_excerpt
hs_excerpt_of_value(const hs_json_value *value)
{
    struct hs_excerpt excerpt = {""};

    switch (hs_json_type_of(value)) {
    case HS_JSON_STRING:
        excerpt = hs_excerpt_of(hs_json_string(value));
        size_t len = strlen(excerpt.text);
        memmove(excerpt.text + 1, excerpt.text, len);
        memcpy(excerpt.text + len + 1, "\"", sizeof "\"");
        excerpt.text[0] = '"';
        break;
    case HS_JSON_INTEGER:
        (void)snprintf(excerpt.text, sizeof excerpt.text, "%" PRId64, hs_json_integer(value));
        break;
    case HS_JSON_NUMBER:
        (void)snprintf(excerpt.text, sizeof excerpt.text, "%.17g", hs_json_number(value));
        break;
    default:
        (void)snprintf(excerpt.text, sizeof excerpt.text, "%s", hs_json_type_words(value));
    }
    return excerpt;
}
