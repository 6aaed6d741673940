#include "exchange.h"

#include <ctype.h>

#include "clock.h"
#include "form.h"

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

/* ---- Secrets that come back ---- */

#define WORD_LEN 16U /* a shorter secret may be a part of other words, even of an OAuth error code */

static bool
is_word_character(uint8_t c)
{
    return isalnum(c) || c == '_';
}

static bool
stands_alone(const struct hs_buf *text, size_t at, size_t len)
{
    return (at == 0 || !is_word_character(text->data[at - 1])) && !is_word_character(text->data[at + len]);
}

static void
hide(struct hs_buf *text, struct hs_span secret)
{
    for (size_t at = 0; secret.len > 0 && text->len - at >= secret.len;) {
        if (memcmp(text->data + at, secret.data, secret.len) != 0 ||
            (secret.len < WORD_LEN && !stands_alone(text, at, secret.len))) {
            at++;
            continue;
        }
        memset(text->data + at, '*', secret.len);
        at += secret.len;
    }
}

void
hs_answer_hide(struct hs_http_response *response, struct hs_span secret)
{
    struct hs_buf encoded = {0};

    if (response->status >= 200 && response->status < 300)
        return;
    hide(&response->body, secret);
    if (hs_form_encode(&encoded, secret, NULL) == HSMART_OK)
        hide(&response->body, hs_span_buf(&encoded));
    hs_buf_clear(&encoded);
}
