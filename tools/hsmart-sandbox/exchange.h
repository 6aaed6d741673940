/* One request on its way through the sandbox. */
#ifndef SANDBOX_EXCHANGE_H
#define SANDBOX_EXCHANGE_H

#include "sandbox.h"

struct exchange {
    struct sandbox *sandbox;
    const struct request *request;
    enum endpoint endpoint;
    struct fault_set faults;
    struct answer answer;
    struct observation observation; /* for /admin/requests and the verdict of /admin/inferno */
};

/* An endpoint fills in the answer. What it returns as a failure is one of ours: it is answered with status 500, or 503
 * for HSMART_SERVER_BUSY. */
typedef enum hsmart_code endpoint_fn(struct exchange *exchange, hsmart_err *err);
endpoint_fn serve_index, serve_discovery, serve_registration, serve_access_token;
endpoint_fn serve_capabilities, serve_search, serve_read;
endpoint_fn serve_admin_state, serve_admin_requests, serve_admin_inferno, serve_admin_faults, serve_admin_set_fault,
    serve_admin_clear_faults, serve_admin_reset, serve_admin_revoke, serve_admin_expire_jwks, serve_admin_clock;

/* ---- Bodies ---- */

/* Sets status, type and the other headers of a JSON answer; the body is written by `writer`, which is ready. */
enum hsmart_code answer_json(struct exchange *exchange, int status, const char *type, struct hs_json_writer *out_writer,
                             hsmart_err *err);
enum hsmart_code answer_text(struct exchange *exchange, int status, const char *text, hsmart_err *err);
/* {"error": …, "error_description": …}, RFC 6749 section 5.2; noted for the log. */
enum hsmart_code answer_oauth_error(struct exchange *exchange, int status, const char *error, hsmart_err *err,
                                    const char *format, ...) HSMART_PRINTF(5, 6);
/* An OperationOutcome; `issue` is a code of FHIR's value set issue-type. */
enum hsmart_code answer_outcome(struct exchange *exchange, int status, const char *issue, hsmart_err *err,
                                const char *format, ...) HSMART_PRINTF(5, 6);
/* The shape that the endpoint's clients expect of an error. */
enum hsmart_code answer_error(struct exchange *exchange, int status, hsmart_err *err, const char *format, ...)
    HSMART_PRINTF(4, 5);

#endif
