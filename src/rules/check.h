/* What servers refuse, as a catalogue, and the checks that apply it to a JWKS or an assertion. */
#ifndef HS_CHECK_H
#define HS_CHECK_H

#include "bytes.h"

enum hs_severity { HS_SEVERITY_ERROR, HS_SEVERITY_WARNING };

/* One rule of the catalogue. Codes are those of docs/rules.md: K.. for a JWKS, L.. for an assertion. */
struct hs_rule {
    const char *code;
    enum hs_severity severity;
    const char *good;   /* what holds when nothing is wrong */
    const char *title;  /* what is wrong, in general */
    const char *cure;
    const char *source; /* RFC and section, or the specification's page */
};
extern const struct hs_rule hs_rules[];
extern const size_t hs_rule_count;
const struct hs_rule *hs_rule_by_code(const char *code);

struct hs_finding {
    const struct hs_rule *rule;
    enum hs_severity severity; /* the rule's, or milder where the rule says "error or warning" */
    char *text;                /* what exactly was found, one line, sanitised */
};

/* All findings, not only the first, in the order of the catalogue; and which rules were applied. */
struct hs_report {
    struct hs_finding *findings;
    size_t count, error_count, warning_count;
    const char **applied; /* codes of the rules that were applied */
    size_t applied_count;
    const char **skipped; /* codes of the rules that could not be applied with what was given */
    size_t skipped_count;
};
void hs_report_clear(struct hs_report *report);

/* Whatever `text` is, the answer is a report; only lack of memory is an error. */
HSMART_MUST_CHECK enum hsmart_code hs_check_jwks(struct hs_span text, struct hs_report *out_report, hsmart_err *err);

/* What the assertion is held against; zero fields skip the rules that need them (and the report says so). */
struct hs_assertion_expectation {
    struct hs_span jwks;   /* JWKS text */
    const char *audience;
    const char *client_id;
    const char *jku;
    int64_t now_s;         /* 0: the system's clock */
    unsigned skew_s;       /* tolerance for iat and nbf in the future; default 0 */
};
HSMART_MUST_CHECK enum hsmart_code hs_check_assertion(struct hs_span text,
                                                      const struct hs_assertion_expectation *expectation,
                                                      struct hs_report *out_report, hsmart_err *err);

#endif
