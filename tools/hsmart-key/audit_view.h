/* How an audit is told: to people, as JSON, and as JUnit's XML for CI. */
#ifndef HSMART_KEY_AUDIT_VIEW_H
#define HSMART_KEY_AUDIT_VIEW_H

#include <hsmart/attack.h>

#include "audit_drift.h"
#include "output.h"

/* One key and what was found out about it. */
struct audited {
    const hsmart_key *key;
    const char *test_signature;   /* "not tested", "verified" */
    hsmart_err test_failure;      /* code HSMART_OK when there was none */
    hsmart_attack_report *attack; /* NULL: it was not attacked */
};
struct audit_told {
    const hsmart_token_info *token;
    struct audited *rows;
    size_t count;
    struct drift drift; /* `compared` 0: nothing was */
};

bool audit_is_good(const struct audited *audited);
HSMART_MUST_CHECK enum hsmart_code audit_format_text(const struct audit_told *told, struct hs_buf *out,
                                                     hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code audit_format_json(const struct audit_told *told, struct hs_buf *out,
                                                     hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code audit_format_junit(const struct audit_told *told, struct hs_buf *out,
                                                      hsmart_err *err);

#endif
