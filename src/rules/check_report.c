#include "check_report.h"

#include <inttypes.h>
#include <stdio.h>

#include "check_server.h"
#include "err.h"
#include "text.h"

void
hs_report_clear(struct hs_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        hs_string_free(report->findings[i].text);
    hs_free(report->findings);
    hs_free(report->verdicts);
    *report = (struct hs_report){0};
}

size_t
hs_report_count(const struct hs_report *report, enum hs_verdict verdict)
{
    size_t count = 0;

    for (size_t i = 0; i < report->verdict_count; i++)
        count += report->verdicts[i].verdict == verdict ? 1 : 0;
    return count;
}

const struct hs_rule_verdict *
hs_report_verdict(const struct hs_report *report, const char *code)
{
    for (size_t i = 0; i < report->verdict_count; i++)
        if (strcmp(report->verdicts[i].rule->code, code) == 0)
            return &report->verdicts[i];
    return NULL;
}

/* ---- Verdicts ---- */

static void
append_verdict(struct hs_check *check, const char *code, enum hs_verdict verdict, const char *reason)
{
    struct hs_report *report = &check->report;

    check->rule = hs_rule_by_code(code);
    if (check->code == HSMART_OK)
        check->code =
            hs_array_grow((void **)&report->verdicts, report->verdict_count, sizeof *report->verdicts, check->err);
    if (check->code == HSMART_OK)
        report->verdicts[report->verdict_count++] =
            (struct hs_rule_verdict){.rule = check->rule, .verdict = verdict, .reason = reason};
}

void
hs_check_apply(struct hs_check *check, const char *code)
{
    append_verdict(check, code, HS_VERDICT_OK, NULL);
}

void
hs_check_skip(struct hs_check *check, const char *code, const char *reason)
{
    append_verdict(check, code, HS_VERDICT_SKIPPED, reason);
}

/* ---- Findings ---- */

static void
count(struct hs_report *report, enum hs_severity severity)
{
    struct hs_rule_verdict *verdict = &report->verdicts[report->verdict_count - 1];

    if (severity == HS_SEVERITY_ERROR) {
        report->error_count++;
        verdict->verdict = HS_VERDICT_ERROR;
        return;
    }
    report->warning_count++;
    if (verdict->verdict == HS_VERDICT_OK)
        verdict->verdict = HS_VERDICT_WARNING;
}

HSMART_PRINTF(3, 0)
static void
find(struct hs_check *check, enum hs_severity severity, const char *format, va_list args)
{
    char text[HS_FINDING_MAX];
    struct hs_report *report = &check->report;
    struct hs_finding finding = {.rule = check->rule, .severity = severity};

    (void)vsnprintf(text, sizeof text, format, args);
    hs_text_sanitize(text);
    if (check->code == HSMART_OK)
        check->code = hs_array_grow((void **)&report->findings, report->count, sizeof finding, check->err);
    if (check->code == HSMART_OK)
        check->code = hs_strdup(text, &finding.text, check->err);
    if (check->code != HSMART_OK)
        return;
    report->findings[report->count++] = finding;
    count(report, severity);
}

static const struct hs_enforcement *
stance_on(const struct hs_check *check, const char *code)
{
    return check->server != NULL ? hs_enforcement_of(code, check->server->name) : NULL;
}

bool
hs_check_takes(const struct hs_check *check, const char *code)
{
    const struct hs_enforcement *enforcement = stance_on(check, code);

    return enforcement != NULL && enforcement->stance == HS_TAKES;
}

bool
hs_check_refuses_all(const struct hs_check *check, const char *code)
{
    const struct hs_enforcement *enforcement = stance_on(check, code);

    return enforcement != NULL && enforcement->stance == HS_REFUSES_ALL;
}

void
hs_check_find(struct hs_check *check, const char *format, ...)
{
    const struct hs_enforcement *enforcement = stance_on(check, check->rule->code);
    enum hs_severity severity = check->rule->severity;
    va_list args;

    if (enforcement != NULL)
        severity = enforcement->stance == HS_TAKES ? HS_SEVERITY_WARNING : HS_SEVERITY_ERROR;
    va_start(args, format);
    find(check, severity, format, args);
    va_end(args);
}

void
hs_check_warn(struct hs_check *check, const char *format, ...)
{
    bool refuses_all = hs_check_refuses_all(check, check->rule->code);
    va_list args;

    va_start(args, format);
    find(check, refuses_all ? HS_SEVERITY_ERROR : HS_SEVERITY_WARNING, format, args);
    va_end(args);
}

void
hs_check_demand(struct hs_check *check, const char *column, const char *format, ...)
{
    bool is_verified = hs_column_is_verified(check->server, column);
    va_list args;

    va_start(args, format);
    find(check, is_verified ? HS_SEVERITY_ERROR : HS_SEVERITY_WARNING, format, args);
    va_end(args);
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
