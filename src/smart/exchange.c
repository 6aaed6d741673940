#include "exchange.h"

#include "clock.h"

static enum hsmart_code
run_over_http(void *arg, const struct hs_http_request *request, struct hs_http_response *out_response, hsmart_err *err)
{
    return hs_http_exchange(arg, request, out_response, err);
}

struct hs_exchange
hs_exchange_over_http(struct hs_http *http)
{
    return (struct hs_exchange){run_over_http, http};
}

static int64_t
system_now_s(void *arg)
{
    (void)arg;
    return hs_clock_now_s();
}

static void
system_sleep_ms(void *arg, unsigned ms)
{
    (void)arg;
    hs_clock_sleep_ms(ms);
}

const struct hs_time hs_time_system = {system_now_s, system_sleep_ms, NULL};

int64_t
hs_link_now_s(const struct hs_link *link)
{
    return link->time.now_s(link->time.arg);
}

enum hsmart_code
hs_link_exchange(const struct hs_link *link, const struct hs_http_request *request,
                 struct hs_http_response *out_response, hsmart_err *err)
{
    struct hs_http_request timed = *request;
    int64_t sent_at_s = hs_link_now_s(link);

    if (timed.timeout_ms == 0)
        timed.timeout_ms = link->timeout_ms;
    enum hsmart_code code = link->exchange.run(link->exchange.arg, &timed, out_response, err);

    if (code != HSMART_OK)
        return code;
    if (out_response->sent_at_s == 0)
        out_response->sent_at_s = sent_at_s;
    if (out_response->received_at_s == 0)
        out_response->received_at_s = hs_link_now_s(link);
    return HSMART_OK;
}
