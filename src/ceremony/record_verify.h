/* Whether a record holds: offline, without any token. */
#ifndef HS_RECORD_VERIFY_H
#define HS_RECORD_VERIFY_H

#include "record.h"

/* What it is held against besides itself; zero fields skip what needs them. */
struct hs_record_expectation {
    struct hs_span jwks;              /* a JWK Set that should have every new key */
    const struct hs_record *previous; /* the record of the ceremony before */
    const char *trust;                /* thumbprint of a key that must have signed */
    const char *directory;            /* where the files may be that were written with the record */
    bool may_have_failed;             /* as a link of a chain: see hs_record_check_link */
};

enum hs_record_verdict { HS_RECORD_GOOD, HS_RECORD_BAD, HS_RECORD_NOT_LOOKED };

/* Applies every check, and tells each with its verdict and one line: what holds, what does not, or why it was not
 * looked at.
 * `*out_bad_count` is how many do not hold. Only lack of memory is an error. */
typedef void hs_record_verdict_fn(void *arg, enum hs_record_verdict verdict, const char *check, const char *line);
HSMART_MUST_CHECK enum hsmart_code hs_record_verify(const struct hs_record *record,
                                                    const struct hs_record_expectation *expectation,
                                                    hs_record_verdict_fn *tell, void *arg, size_t *out_bad_count,
                                                    hsmart_err *err);

/* The same for programs: HSMART_CHECK_FAILED with the first check that does not hold. That the ceremony failed is one.
 */
HSMART_MUST_CHECK enum hsmart_code hs_record_check(const struct hs_record *record, hsmart_err *err);

/* The same for the record before another one, whose digest is in that one. It may be of a ceremony that failed, and
 * then unsigned: the digest says that it is the one. Otherwise a failure could be left out of the chain. */
HSMART_MUST_CHECK enum hsmart_code hs_record_check_link(const struct hs_record *record, hsmart_err *err);

/* Whether what is made now can be chained to this record: HSMART_POLICY_REFUSED when it ended later than `now_s`, since
 * the chain would never verify. One of the two clocks is wrong. */
HSMART_MUST_CHECK enum hsmart_code hs_record_check_is_past(const struct hs_record *record, int64_t now_s,
                                                           hsmart_err *err);

bool hs_record_is_rehearsal(const struct hs_record *record);
bool hs_record_has_passed(const struct hs_record *record);
const char *hs_record_plan_sha256(const struct hs_record *record); /* "" when it is not there */

/* A text of the payload, "" when it is not there: of `value` itself with `name` NULL. */
const char *hs_record_text(const hs_json_value *value, const char *name);

#endif
