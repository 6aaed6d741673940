/* The seams to the outside world: one HTTP exchange, and the clock. Everything above them runs without a network. */
#ifndef HS_EXCHANGE_H
#define HS_EXCHANGE_H

#include "http.h"

/* As `hs_http_exchange`; `run` must be safe to call from several threads at once. */
struct hs_exchange {
    enum hsmart_code (*run)(void *arg, const struct hs_http_request *request, struct hs_http_response *out_response,
                            hsmart_err *err);
    void *arg;
};
/* The real one; `http` stays the caller's and must live as long. */
struct hs_exchange hs_exchange_over_http(struct hs_http *http);

/* Seconds since the epoch, and waiting. */
struct hs_time {
    int64_t (*now_s)(void *arg);
    void (*sleep_ms)(void *arg, unsigned ms);
    void *arg;
};
extern const struct hs_time hs_time_system;

/* When something is tried again (retry.h). Zero is the default of every field. */
struct hs_retry_policy {
    unsigned max_attempts;      /* 0: HS_RETRY_ATTEMPTS_DEFAULT; 1: no second one */
    unsigned first_wait_ms;     /* 0: 500; doubled each time, half of it at random, at most HS_RETRY_WAIT_MAX_MS */
    unsigned retry_after_max_s; /* 0: HS_RETRY_AFTER_MAX_S; a server that asks for more is not waited for */
};
#define HS_RETRY_ATTEMPTS_DEFAULT 4U
#define HS_RETRY_WAIT_MAX_MS 8000U
#define HS_RETRY_AFTER_MAX_S 600U

/* What every conversation with a server needs. */
struct hs_link {
    struct hs_exchange exchange;
    struct hs_retry_policy retry;
    unsigned timeout_ms; /* of one exchange, where the request does not say; 0: 30 s */
    struct hs_time time;
    struct hs_log log;
};

/* A request over the link; the time is asked before and after, and set in the answer where the exchange left it 0. */
HSMART_MUST_CHECK enum hsmart_code hs_link_exchange(const struct hs_link *link, const struct hs_http_request *request,
                                                    struct hs_http_response *out_response, hsmart_err *err);
int64_t hs_link_now_s(const struct hs_link *link);

/* Overwrites `secret`, as it is and form-encoded, wherever it stands in the body of an answer that is not a success: a
 * server may repeat what it was sent, and its words go into messages. A short one is looked for as a word of its own.
 */
void hs_answer_hide(struct hs_http_response *response, struct hs_span secret);

#endif
