/* Whatever a server answers instead of what was asked for: one line with the likely causes in order, and a way to
 * test each. */
#ifndef HS_OAUTH_ERROR_H
#define HS_OAUTH_ERROR_H

#include "http.h"
#include "log.h"
#include "servers.h"

/* What the answer looked like. */
enum hs_answer_kind {
    HS_ANSWER_OAUTH,   /* {"error": …} (RFC 6749 section 5.2) */
    HS_ANSWER_OUTCOME, /* an OperationOutcome */
    HS_ANSWER_JSON,    /* other JSON */
    HS_ANSWER_HTML,
    HS_ANSWER_TEXT,
    HS_ANSWER_EMPTY,
    HS_ANSWER_REDIRECT, /* which is not followed */
};

/* A thing to look at: one row of the table of causes. */
struct hs_oauth_cause {
    const char *name;  /* "kid" */
    const char *words; /* what may be wrong */
    const char *test;  /* how to find out */
    const char *clues; /* words in a server's text that point here, separated by '|' */
};
extern const struct hs_oauth_cause hs_oauth_causes[];
extern const size_t hs_oauth_cause_count;
#define HS_OAUTH_CAUSES_MAX 10U

/* Everything from the server is sanitised and cut to these lengths. */
struct hs_oauth_error {
    int status;
    enum hs_answer_kind kind;
    char error[64];        /* OAuth's code, or what stands in its place; "" */
    char description[160]; /* error_description, message, first text, origin of a redirect; "" */
    char uri[160];         /* error_uri */
    int64_t skew_s;        /* the server's clock minus ours */
    bool knows_skew;
    const struct hs_oauth_cause *causes[HS_OAUTH_CAUSES_MAX]; /* likeliest first */
    size_t cause_count;
    enum hsmart_code code; /* HSMART_SERVER_REFUSED, HSMART_SERVER_BUSY or HSMART_SERVER_FAILED */
};

#define HS_CLOCK_SKEW_TOLD_S 5 /* a difference above it is told, and comes first */

/* Reads any answer; never fails. `method` is the way the client had authenticated, 0 for an endpoint without client
 * authentication. */
void hs_oauth_error_read(const struct hs_http_response *response, enum hs_auth_method method,
                         struct hs_oauth_error *out_error);

/* Tells it: `the server refused the client: 401 invalid_client "…"; look at, in this order: clock (…), aud, …` as
 * the reason, the first cause's test as the hint; each cause with its test goes to the log as detail. Returns
 * `error->code`. */
enum hsmart_code hs_oauth_error_tell(const struct hs_oauth_error *error, const char *client_name,
                                     const struct hs_log *log, hsmart_err *err);

/* A short excerpt of an answer for other messages: `503 with HTML "Service unavailable"`. */
void hs_answer_excerpt(const struct hs_http_response *response, char *out, size_t out_len);

/* Whether the body begins like HTML or XML, which no answer in JSON does: a login page, a proxy, a captive portal. */
bool hs_answer_is_page(const struct hs_http_response *response);
/* Tells that, and what to look at; returns HSMART_SERVER_FAILED. */
enum hsmart_code hs_answer_tell_page(const struct hs_http_response *response, hsmart_err *err);

#endif
