/* A report in the making. The first failure is kept and returned by `hs_check_finish`, so that the rules themselves
 * have nothing to check. */
#ifndef HS_CHECK_REPORT_H
#define HS_CHECK_REPORT_H

#include "check.h"
#include "json.h"

#define HS_FINDING_MAX 400U /* bytes of one finding's text */

struct hs_check {
    struct hs_report report;
    const struct hs_server_row *server; /* NULL: none in particular */
    const struct hs_rule *rule;         /* the one that is applied */
    enum hsmart_code code;
    hsmart_err *err;
};

/* From here on findings are of this rule. */
void hs_check_apply(struct hs_check *check, const char *code);
/* The rule could not be applied with what was given; `reason` is static. */
void hs_check_skip(struct hs_check *check, const char *code, const char *reason);
/* A finding with the rule's severity, and a milder one; the server's stance on the rule counts. What is formatted in
 * may hold anything: control characters are replaced, and the end is cut off. */
void hs_check_find(struct hs_check *check, const char *format, ...) HSMART_PRINTF(2, 3);
void hs_check_warn(struct hs_check *check, const char *format, ...) HSMART_PRINTF(2, 3);
/* Whether the server was seen to take what breaks this rule. */
bool hs_check_takes(const struct hs_check *check, const char *code);
/* Whether it was seen to refuse the milder cases, too. */
bool hs_check_refuses_all(const struct hs_check *check, const char *code);
/* Whether what was looked at is at fault. False for HSMART_OK, and for a failure of ours, which ends the check. */
bool hs_check_is_fault(struct hs_check *check, enum hsmart_code code);
enum hsmart_code hs_check_finish(struct hs_check *check, struct hs_report *out_report);

/* The beginning of a text that a stranger wrote, for a message: sanitised, with an ellipsis where it goes on. */
#define HS_EXCERPT_MAX 80U
struct hs_excerpt {
    char text[HS_EXCERPT_MAX + sizeof "\"…\""];
};
struct hs_excerpt hs_excerpt_of(struct hs_span text);
/* A JSON value, for "the member is …": a string in quotes, a number or the words for its type. */
struct hs_excerpt hs_excerpt_of_value(const hs_json_value *value);

#endif
