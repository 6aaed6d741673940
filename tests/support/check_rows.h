/* For the tests of the rules: a report that must have exactly one finding, or none. */
#ifndef HS_CHECK_ROWS_H
#define HS_CHECK_ROWS_H

#include "rows.h"

#include "check.h"

static inline bool
has_verdict(const struct hs_report *report, const char *code, enum hs_verdict verdict)
{
    const struct hs_rule_verdict *found = hs_report_verdict(report, code);

    return found != NULL && found->verdict == verdict;
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
    assert_true(has_verdict(report, code, severity == HS_SEVERITY_ERROR ? HS_VERDICT_ERROR : HS_VERDICT_WARNING));
}

/* What holds for every report: every rule of `kinds` has one verdict, in the order of the catalogue, a skipped one with
 * its reason; counts that fit, and texts that can be shown. */
static inline void
assert_sound(const struct hs_report *report, const char *kinds)
{
    size_t rule_count = 0, errors = 0, at = 0;

    for (size_t i = 0; i < hs_rule_count; i++)
        rule_count += strchr(kinds, hs_rules[i].code[0]) != NULL ? 1 : 0;
    assert_int_equal(report->verdict_count, rule_count);
    for (size_t i = 0; i < report->verdict_count; i++) {
        const struct hs_rule_verdict *verdict = &report->verdicts[i];
        enum hs_verdict worst = HS_VERDICT_OK;
        assert_non_null(strchr(kinds, verdict->rule->code[0]));
        assert_true(i == 0 || verdict->rule > report->verdicts[i - 1].rule ||
                    verdict->rule->code[0] != report->verdicts[i - 1].rule->code[0]);
        for (; at < report->count && report->findings[at].rule == verdict->rule; at++)
            if (worst != HS_VERDICT_ERROR)
                worst = report->findings[at].severity == HS_SEVERITY_ERROR ? HS_VERDICT_ERROR : HS_VERDICT_WARNING;
        if (verdict->verdict == HS_VERDICT_SKIPPED) {
            assert_int_equal(worst, HS_VERDICT_OK);
            assert_true(verdict->reason != NULL && verdict->reason[0] != 0);
        } else {
            assert_int_equal(verdict->verdict, worst);
            assert_null(verdict->reason);
        }
    }
    assert_int_equal(at, report->count);
    for (size_t i = 0; i < report->count; i++) {
        errors += report->findings[i].severity == HS_SEVERITY_ERROR ? 1 : 0;
        assert_in_range(strlen(report->findings[i].text), 1, 400);
        for (const char *c = report->findings[i].text; *c != 0; c++)
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
