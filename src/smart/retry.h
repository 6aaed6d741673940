/* When an attempt is made again, after how long, and when not. */
#ifndef HS_RETRY_H
#define HS_RETRY_H

#include "exchange.h"

enum hs_retry_verdict {
    HS_RETRY_STOP,     /* what was answered stands */
    HS_RETRY_AGAIN,    /* after the wait */
    HS_RETRY_TOO_LONG, /* the server asks for a longer wait than is allowed */
};
/* How far it has come; zero before the first attempt. */
struct hs_retry_state {
    unsigned attempts, server_faults; /* a 500, or an answer that is cut off, is tried again once only */
};
/* The rule by itself, after an attempt: `code` is what the exchange returned. */
enum hs_retry_verdict hs_retry_judge(const struct hs_retry_policy *policy, struct hs_retry_state *state,
                                     enum hsmart_code code, const struct hs_http_response *response,
                                     unsigned *out_wait_ms);

/* Makes one attempt; builds its request anew, since an assertion is for one attempt only. */
typedef enum hsmart_code (*hs_attempt_fn)(void *arg, struct hs_http_response *out_response, hsmart_err *err);

/* Attempts until an answer stands: transport failures (never a failed TLS verification), 429, 502, 503 and 504 are
 * tried again, 500 and a cut-off answer once. HSMART_OK for any answer that stands, whatever its status;
 * HSMART_SERVER_BUSY, at once and with the answer in `out_response`, for a Retry-After above the cap; else what the
 * last attempt returned. `what` names the step in the log. */
HSMART_MUST_CHECK enum hsmart_code hs_retry_run(const struct hs_retry_policy *policy, const struct hs_link *link,
                                                const char *what, hs_attempt_fn attempt, void *arg,
                                                struct hs_http_response *out_response, hsmart_err *err);
/* The same for a request that may be repeated as it is (GET). */
HSMART_MUST_CHECK enum hsmart_code hs_retry_request(const struct hs_retry_policy *policy, const struct hs_link *link,
                                                    const char *what, const struct hs_http_request *request,
                                                    struct hs_http_response *out_response, hsmart_err *err);

#endif
