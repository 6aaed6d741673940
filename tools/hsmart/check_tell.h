/* How a report of the rules is told: to people, as JSON (docs/formats/check.md), and as JUnit's XML for CI. */
#ifndef HSMART_CHECK_TELL_H
#define HSMART_CHECK_TELL_H

#include "check.h"
#include "output.h"

struct check_told {
    const char *what;   /* "jwks", "assertion", "request" */
    const char *name;   /* of the input */
    const char *server; /* NULL: none was named */
    const struct hs_report *report;
};
HSMART_MUST_CHECK enum hsmart_code check_format_text(const struct check_told *told, struct hs_buf *out,
                                                     hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code check_format_json(const struct check_told *told, struct hs_buf *out,
                                                     hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code check_format_junit(const struct check_told *told, struct hs_buf *out,
                                                      hsmart_err *err);

/* How a verdict is shown: a sign on a terminal that has it, a word otherwise; `verdict_width` characters at most. */
const char *verdict_text(enum hs_verdict verdict);
size_t verdict_width(void);

#endif
