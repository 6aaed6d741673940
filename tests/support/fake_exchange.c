#include "fake_exchange.h"

#include <stdio.h>
#include <strings.h>

#include "clock.h"
#include "err.h"
#include "form.h"

static void
must(enum hsmart_code code)
{
    if (code != HSMART_OK)
        __builtin_trap();
}

struct hs_http_response
fake_response(int status, const char *headers, const char *body)
{
    struct hs_http_response response = {.status = status};

    must(hs_buf_append_format(&response.headers, NULL, "HTTP/1.1 %d Status\r\n%s\r\n", status,
                              headers != NULL ? headers : ""));
    must(hs_buf_append_str(&response.body, body != NULL ? body : "", NULL));
    return response;
}

static void
record(struct fake_exchange *fake, const struct hs_http_request *request)
{
    struct hs_buf headers = {0}, body = {0};

    if (fake->request_count++ >= FAKE_REQUESTS_MAX)
        return;
    struct fake_request *kept = &fake->requests[fake->request_count - 1];
    for (size_t i = 0; i < HS_HTTP_HEADERS_MAX && request->headers[i].name != NULL; i++)
        must(hs_buf_append_format(&headers, NULL, "%s: %s\n", request->headers[i].name, request->headers[i].value));
    must(hs_buf_append(&body, request->body, NULL));
    must(hs_strdup(request->method, &kept->method, NULL));
    must(hs_strdup(request->url, &kept->url, NULL));
    must(hs_buf_take_text(&headers, &kept->headers, NULL));
    must(hs_buf_take_text(&body, &kept->body, NULL));
}

static const struct fake_answer *
choose(struct fake_exchange *fake, const char *url)
{
    for (size_t i = 0; i < fake->answer_count; i++) {
        const struct fake_answer *answer = &fake->answers[i];
        if ((answer->url != NULL && strstr(url, answer->url) == NULL) ||
            (answer->times != 0 && fake->given[i] >= answer->times))
            continue;
        fake->given[i]++;
        return answer;
    }
    return NULL;
}

static enum hsmart_code
run(void *arg, const struct hs_http_request *request, struct hs_http_response *out_response, hsmart_err *err)
{
    struct fake_exchange *fake = arg;

    (void)pthread_mutex_lock(&fake->lock);
    record(fake, request);
    const struct fake_answer *answer = choose(fake, request->url);
    int64_t sent_at_s = fake->now_s;
    if (answer != NULL)
        fake->now_s += answer->takes_s;
    int64_t received_at_s = fake->now_s;
    (void)pthread_mutex_unlock(&fake->lock);
    if (fake->real_delay_ms > 0)
        hs_clock_sleep_ms(fake->real_delay_ms);
    if (answer == NULL)
        return hs_err_set(err, HSMART_INTERNAL, "the test has no answer for \"%s\"", request->url);
    if (answer->code != HSMART_OK)
        return hs_err_set(err, answer->code, "the exchange was told to fail");
    *out_response = fake_response(answer->status, answer->headers, answer->body);
    out_response->sent_at_s = sent_at_s;
    out_response->received_at_s = received_at_s;
    return HSMART_OK;
}

static int64_t
now_s(void *arg)
{
    struct fake_exchange *fake = arg;

    (void)pthread_mutex_lock(&fake->lock);
    int64_t now = fake->now_s;
    (void)pthread_mutex_unlock(&fake->lock);
    return now;
}

static void
sleep_ms(void *arg, unsigned ms)
{
    struct fake_exchange *fake = arg;

    (void)pthread_mutex_lock(&fake->lock);
    fake->slept_ms += ms;
    fake->sleep_count++;
    (void)pthread_mutex_unlock(&fake->lock);
}

static void
keep_line(void *arg, enum hsmart_log_level level, const char *line)
{
    struct fake_exchange *fake = arg;

    (void)pthread_mutex_lock(&fake->lock);
    size_t len = strlen(fake->log);
    (void)snprintf(fake->log + len, sizeof fake->log - len, "%s: %s\n",
                   level == HSMART_LOG_WARNING ? "warning" : "detail", line);
    (void)pthread_mutex_unlock(&fake->lock);
}

struct hs_link
fake_link(struct fake_exchange *fake)
{
    return (struct hs_link){.exchange = {run, fake}, .time = {now_s, sleep_ms, fake}, .log = {keep_line, fake}};
}

void
fake_exchange_clear(struct fake_exchange *fake)
{
    for (size_t i = 0; i < FAKE_REQUESTS_MAX; i++) {
        hs_string_free(fake->requests[i].method);
        hs_string_free(fake->requests[i].url);
        hs_string_free(fake->requests[i].body);
        hs_string_free(fake->requests[i].headers);
        fake->requests[i] = (struct fake_request){0};
    }
    fake->request_count = 0;
}

const char *
fake_header(const struct fake_exchange *fake, size_t index, const char *name)
{
    static char value[32768];
    const char *line = fake->requests[index].headers;

    for (; line != NULL && *line != 0; line = strchr(line, '\n') + 1) {
        size_t len = strlen(name);
        if (strncasecmp(line, name, len) != 0 || strncmp(line + len, ": ", 2) != 0)
            continue;
        (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(line + len + 2, "\n"), line + len + 2);
        return value;
    }
    return NULL;
}

const char *
fake_field(const struct fake_exchange *fake, size_t index, const char *name)
{
    static char value[131072];
    struct hs_span rest = hs_span_str(fake->requests[index].body), its_name, its_value;

    while (hs_form_next(&rest, &its_name, &its_value)) {
        struct hs_buf decoded = {0};
        if (!hs_span_equal_str(its_name, name))
            continue;
        must(hs_form_decode(its_value, &decoded, NULL));
        (void)snprintf(value, sizeof value, "%s", hs_buf_text(&decoded));
        hs_buf_clear(&decoded);
        return value;
    }
    return NULL;
}
