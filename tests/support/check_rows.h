/* For the tests of the rules: a report that must have exactly one finding, or none. */
#ifndef HS_CHECK_ROWS_H
#define HS_CHECK_ROWS_H

#include "rows.h"

#include "check.h"

static inline bool
report_has_code(const char *const *codes, size_t count, const char *code)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(codes[i], code) == 0)
            return true;
    return false;
}

/* Exactly this finding, with a text that has `text_part` in it, and nothing else; `code` NULL: no finding. */
static inline void
assert_only_finding(const struct hs_report *report, const char *code, enum hs_severity severity, const char *text_part)
{
    for (size_t i = 0; i < report->count; i++)
        if (code == NULL || strcmp(report->findings[i].rule->code, code) != 0)
            fail_msg("unexpected %s: %s", report->findings[i].rule->code, report->findings[i].text);
    assert_int_equal(report->count, code != NULL ? 1 : 0);
    assert_int_equal(report->error_count, code != NULL && severity == HS_SEVERITY_ERROR ? 1 : 0);
    assert_int_equal(report->warning_count, code != NULL && severity == HS_SEVERITY_WARNING ? 1 : 0);
    if (code == NULL)
        return;
    assert_int_equal(report->findings[0].severity, severity);
    if (strstr(report->findings[0].text, text_part) == NULL)
        assert_string_equal(report->findings[0].text, text_part);
    assert_true(report_has_code(report->applied, report->applied_count, code));
    assert_false(report_has_code(report->skipped, report->skipped_count, code));
}

/* What holds for every report: the order of the catalogue, every rule of `kind` either applied or skipped, counts that
 * fit, and texts that can be shown. */
static inline void
assert_sound(const struct hs_report *report, char kind)
{
    size_t rule_count = 0, errors = 0;

    for (size_t i = 0; i < hs_rule_count; i++)
        if (hs_rules[i].code[0] == kind) {
            rule_count++;
            assert_int_not_equal(report_has_code(report->applied, report->applied_count, hs_rules[i].code),
                                 report_has_code(report->skipped, report->skipped_count, hs_rules[i].code));
        }
    assert_int_equal(report->applied_count + report->skipped_count, rule_count);
    for (size_t i = 0; i < report->count; i++) {
        const struct hs_finding *finding = &report->findings[i];
        errors += finding->severity == HS_SEVERITY_ERROR ? 1 : 0;
        assert_true(i == 0 || report->findings[i - 1].rule <= finding->rule);
        assert_true(report_has_code(report->applied, report->applied_count, finding->rule->code));
        assert_in_range(strlen(finding->text), 1, 400);
        for (const char *c = finding->text; *c != 0; c++)
            assert_false((unsigned char)*c < ' ' || *c == 0x7f);
    }
    assert_int_equal(report->error_count, errors);
    assert_int_equal(report->error_count + report->warning_count, report->count);
}

/* Replaces every "@name@" of `text` by what `lookup` says. */
static inline void
expand(const char *text, const char *(*lookup)(const char *name), struct hs_buf *out)
{
    while (*text != 0) {
        const char *start = strchr(text, '@'), *end = start != NULL ? strchr(start + 1, '@') : NULL;
        char name[32] = "";
        if (end == NULL || (size_t)(end - start) > sizeof name) {
            assert_int_equal(hs_buf_append_str(out, text, NULL), HSMART_OK);
            return;
        }
        memcpy(name, start + 1, (size_t)(end - start - 1));
        assert_int_equal(hs_buf_append(out, (struct hs_span){(const uint8_t *)text, (size_t)(start - text)}, NULL),
                         HSMART_OK);
        assert_int_equal(hs_buf_append_str(out, lookup(name), NULL), HSMART_OK);
        text = end + 1;
    }
}

#endif
