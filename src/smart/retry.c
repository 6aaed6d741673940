#include "retry.h"

#include "clock.h"
#include "err.h"

#define FIRST_WAIT_DEFAULT_MS 500U
#define WAIT_DOUBLINGS_MAX 10U
#define RETRY_AFTER_JITTER_PERCENT 10

/* What may go better next time. */
enum again { NEVER, ONCE, OFTEN };
static const struct {
    int status;
    enum again again;
} statuses[] = {
    {429, OFTEN}, {500, ONCE}, {502, OFTEN}, {503, OFTEN}, {504, OFTEN},
};
static const struct {
    enum hsmart_code code;
    enum again again;
} transport_failures[] = {
    {HSMART_NETWORK_FAILED, OFTEN}, {HSMART_SERVER_FAILED, ONCE}, /* cut off, or no HTTP at all */
};

static enum again
may_go_again(enum hsmart_code code, int status)
{
    if (code == HSMART_OK) {
        for (size_t i = 0; i < HS_ARRAY_LEN(statuses); i++)
            if (statuses[i].status == status)
                return statuses[i].again;
        return NEVER;
    }
    for (size_t i = 0; i < HS_ARRAY_LEN(transport_failures); i++)
        if (transport_failures[i].code == code)
            return transport_failures[i].again;
    return NEVER;
}

/* Doubled each time; half of it at random, so that many clients do not come back together. */
static unsigned
back_off_ms(const struct hs_retry_policy *policy, unsigned attempts)
{
    unsigned wait_ms = policy->first_wait_ms != 0 ? policy->first_wait_ms : FIRST_WAIT_DEFAULT_MS;

    for (unsigned i = 1; i < attempts && i < WAIT_DOUBLINGS_MAX && wait_ms < HS_RETRY_WAIT_MAX_MS; i++)
        wait_ms *= 2;
    if (wait_ms > HS_RETRY_WAIT_MAX_MS)
        wait_ms = HS_RETRY_WAIT_MAX_MS;
    return wait_ms / 2 + hs_random_below(wait_ms / 2 + 1);
}

/* Never before the moment that the server named, and not all clients in that moment. */
static unsigned
told_wait_ms(int64_t retry_after_s)
{
    int64_t wait_ms = retry_after_s * 1000, jitter_ms = wait_ms * RETRY_AFTER_JITTER_PERCENT / 100;

    if (wait_ms + jitter_ms >= UINT32_MAX)
        return UINT32_MAX;
    return (unsigned)wait_ms + hs_random_below((unsigned)jitter_ms + 1);
}

static int64_t
retry_after_max_s(const struct hs_retry_policy *policy)
{
    return policy->retry_after_max_s != 0 ? policy->retry_after_max_s : HS_RETRY_AFTER_MAX_S;
}

enum hs_retry_verdict
hs_retry_judge(const struct hs_retry_policy *policy, struct hs_retry_state *state, enum hsmart_code code,
               const struct hs_http_response *response, unsigned *out_wait_ms)
{
    unsigned max_attempts = policy->max_attempts != 0 ? policy->max_attempts : HS_RETRY_ATTEMPTS_DEFAULT;
    enum again again = may_go_again(code, response->status);
    int64_t retry_after_s = code == HSMART_OK ? hs_http_retry_after_s(response) : -1;

    state->attempts++;
    if (again == NEVER)
        return HS_RETRY_STOP;
    /* Told even when no attempt is left: whoever asks next should know. */
    if (retry_after_s > retry_after_max_s(policy))
        return HS_RETRY_TOO_LONG;
    if (again == ONCE && state->server_faults++ > 0)
        return HS_RETRY_STOP;
    if (state->attempts >= max_attempts)
        return HS_RETRY_STOP;
    *out_wait_ms = back_off_ms(policy, state->attempts);
    if (retry_after_s * 1000 > (int64_t)*out_wait_ms)
        *out_wait_ms = told_wait_ms(retry_after_s);
    return HS_RETRY_AGAIN;
}

static enum hsmart_code
tell_too_long(const struct hs_retry_policy *policy, const struct hs_http_response *response, hsmart_err *err)
{
    int64_t retry_after_s = hs_http_retry_after_s(response);

    (void)hs_err_set(err, HSMART_SERVER_BUSY,
                     "the server answered %d and wants no request for %lld s, more than the %lld s that are waited for",
                     response->status, (long long)retry_after_s, (long long)retry_after_max_s(policy));
    if (retry_after_s > 366 * 86400)
        hs_err_hint(err, "its Retry-After looks like a date in the wrong form; try again in a minute, and less often");
    return HSMART_SERVER_BUSY;
}

static void
log_again(const struct hs_link *link, const char *what, enum hsmart_code code, int status, const hsmart_err *err,
          unsigned wait_ms)
{
    if (code == HSMART_OK)
        hs_log_detail(&link->log, "%s: the server answered %d; again in %u ms", what, status, wait_ms);
    else
        hs_log_detail(&link->log, "%s: %s; again in %u ms", what, err->text, wait_ms);
}

enum hsmart_code
hs_retry_run(const struct hs_retry_policy *policy, const struct hs_link *link, const char *what, hs_attempt_fn attempt,
             void *arg, struct hs_http_response *out_response, hsmart_err *err)
{
    struct hs_retry_state state = {0};
    hsmart_err reason;

    for (;;) {
        unsigned wait_ms = 0;
        struct hs_http_response response = {0};
        reason = (hsmart_err){0};
        enum hsmart_code code = attempt(arg, &response, &reason);

        switch (hs_retry_judge(policy, &state, code, &response, &wait_ms)) {
        case HS_RETRY_AGAIN:
            log_again(link, what, code, response.status, &reason, wait_ms);
            hs_http_response_clear(&response);
            link->time.sleep_ms(link->time.arg, wait_ms);
            continue;
        case HS_RETRY_TOO_LONG:
            code = tell_too_long(policy, &response, &reason);
            break;
        case HS_RETRY_STOP:
            if (code != HSMART_OK && state.attempts > 1)
                (void)hs_err_wrap(&reason, code, "after %u attempts", state.attempts);
            break;
        }
        if (code == HSMART_OK || code == HSMART_SERVER_BUSY) {
            hs_http_response_clear(out_response);
            *out_response = response;
        } else {
            hs_http_response_clear(&response);
        }
        if (code != HSMART_OK && err != NULL)
            *err = reason;
        return code;
    }
}

struct repeated {
    const struct hs_link *link;
    const struct hs_http_request *request;
};

static enum hsmart_code
send_again(void *arg, struct hs_http_response *out_response, hsmart_err *err)
{
    const struct repeated *repeated = arg;

    return hs_link_exchange(repeated->link, repeated->request, out_response, err);
}

enum hsmart_code
hs_retry_request(const struct hs_retry_policy *policy, const struct hs_link *link, const char *what,
                 const struct hs_http_request *request, struct hs_http_response *out_response, hsmart_err *err)
{
    struct repeated repeated = {link, request};

    return hs_retry_run(policy, link, what, send_again, &repeated, out_response, err);
}
