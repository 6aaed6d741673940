/* What is tried again, how often, after how long. */
#include "rows.h"

#include "fake_exchange.h"
#include "retry.h"

/* ---- How many requests an answer leads to ---- */

static struct count {
    const char *name;
    struct fake_answer answer;
    size_t requests;
    enum hsmart_code code;
} counts[] = {
    {"200", {.status = 200}, 1, HSMART_OK},
    {"302 is not followed", {.status = 302, .headers = "Location: https://h/x\r\n"}, 1, HSMART_OK},
    {"400", {.status = 400}, 1, HSMART_OK},
    {"401", {.status = 401}, 1, HSMART_OK},
    {"403", {.status = 403}, 1, HSMART_OK},
    {"404", {.status = 404}, 1, HSMART_OK},
    {"408 is not on the list", {.status = 408}, 1, HSMART_OK},
    {"429", {.status = 429}, 4, HSMART_OK},
    {"500 once more", {.status = 500}, 2, HSMART_OK},
    {"501", {.status = 501}, 1, HSMART_OK},
    {"502", {.status = 502}, 4, HSMART_OK},
    {"503", {.status = 503}, 4, HSMART_OK},
    {"504", {.status = 504}, 4, HSMART_OK},
    {"no connection", {.code = HSMART_NETWORK_FAILED}, 4, HSMART_NETWORK_FAILED},
    {"an answer that is cut off", {.code = HSMART_SERVER_FAILED}, 2, HSMART_SERVER_FAILED},
    {"a certificate that does not verify", {.code = HSMART_TLS_FAILED}, 1, HSMART_TLS_FAILED},
    {"a URL that is refused", {.code = HSMART_INVALID_ARGUMENT}, 1, HSMART_INVALID_ARGUMENT},
    {"no memory", {.code = HSMART_NO_MEMORY}, 1, HSMART_NO_MEMORY},
    {"503 with a Retry-After within the cap", {.status = 503, .headers = "Retry-After: 600\r\n"}, 4, HSMART_OK},
    {"429 with a Retry-After above the cap", {.status = 429, .headers = "Retry-After: 601\r\n"}, 1, HSMART_SERVER_BUSY},
    {"429 with milliseconds of the epoch",
     {.status = 429, .headers = "Retry-After: 1764000000000\r\n"},
     1,
     HSMART_SERVER_BUSY},
    {"429 with seconds of the epoch", {.status = 429, .headers = "Retry-After: 1764000000\r\n"}, 1, HSMART_SERVER_BUSY},
    {"503 with a date far ahead",
     {.status = 503, .headers = "Retry-After: Fri, 01 Jan 2100 00:00:00 GMT\r\n"},
     1,
     HSMART_SERVER_BUSY},
    {"503 with garbage", {.status = 503, .headers = "Retry-After: soon\r\n"}, 4, HSMART_OK},
    {"200 with a Retry-After", {.status = 200, .headers = "Retry-After: 100000\r\n"}, 1, HSMART_OK},
    {"400 with a Retry-After", {.status = 400, .headers = "Retry-After: 100000\r\n"}, 1, HSMART_OK},
};

static enum hsmart_code
run(struct fake_exchange *fake, const struct hs_retry_policy *policy, struct hs_http_response *response,
    hsmart_err *err)
{
    struct hs_link link = fake_link(fake);
    struct hs_http_request request = {.method = "GET", .url = "https://h/"};

    return hs_retry_request(policy, &link, "test", &request, response, err);
}

static void
an_answer_leads_to_so_many_requests(void **state)
{
    const struct count *row = *state;
    struct fake_exchange fake = FAKE_EXCHANGE_OF(&row->answer, 1);
    struct hs_http_response response = {0};
    hsmart_err err = {0};

    assert_int_equal(run(&fake, &(struct hs_retry_policy){0}, &response, &err), row->code);
    assert_int_equal(fake.request_count, row->requests);
    assert_int_equal(fake.sleep_count, row->requests - 1);
    if (row->code == HSMART_OK || row->code == HSMART_SERVER_BUSY)
        assert_int_equal(response.status, row->answer.status);
    hs_http_response_clear(&response);
    fake_exchange_clear(&fake);
}

static void
the_answer_after_a_failure_is_returned(void **state)
{
    (void)state;
    static const struct fake_answer answers[] = {{.times = 1, .status = 503, .body = "busy"},
                                                 {.times = 1, .code = HSMART_NETWORK_FAILED},
                                                 {.status = 200, .body = "good"}};
    struct fake_exchange fake = FAKE_EXCHANGE(answers);
    struct hs_http_response response = {0};

    assert_int_equal(run(&fake, &(struct hs_retry_policy){0}, &response, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&response.body), "good");
    assert_int_equal(fake.request_count, 3);
    hs_http_response_clear(&response);
    fake_exchange_clear(&fake);
}

static void
a_policy_of_one_attempt_never_repeats(void **state)
{
    (void)state;
    static const struct fake_answer answers[] = {{.status = 503}};
    struct fake_exchange fake = FAKE_EXCHANGE(answers);
    struct hs_http_response response = {0};

    assert_int_equal(run(&fake, &(struct hs_retry_policy){.max_attempts = 1}, &response, NULL), HSMART_OK);
    assert_int_equal(fake.request_count, 1);
    hs_http_response_clear(&response);
    fake_exchange_clear(&fake);
}

static void
a_failure_after_several_attempts_says_how_many(void **state)
{
    (void)state;
    static const struct fake_answer answers[] = {{.code = HSMART_NETWORK_FAILED}};
    struct fake_exchange fake = FAKE_EXCHANGE(answers);
    struct hs_http_response response = {0};
    hsmart_err err = {0};

    assert_int_equal(run(&fake, &(struct hs_retry_policy){0}, &response, &err), HSMART_NETWORK_FAILED);
    assert_string_equal(err.text, "after 4 attempts: the exchange was told to fail");
    fake_exchange_clear(&fake);
}

static void
a_wait_that_is_too_long_is_told_in_seconds(void **state)
{
    (void)state;
    static const struct fake_answer answers[] = {{.status = 429, .headers = "Retry-After: 3600\r\n"}};
    struct fake_exchange fake = FAKE_EXCHANGE(answers);
    struct hs_http_response response = {0};
    hsmart_err err = {0};

    assert_int_equal(run(&fake, &(struct hs_retry_policy){0}, &response, &err), HSMART_SERVER_BUSY);
    assert_non_null(strstr(err.text, "wants no request for 3600 s"));
    hs_http_response_clear(&response);
    fake_exchange_clear(&fake);
}

/* ---- How long it waits ---- */

static struct wait {
    const char *name;
    unsigned attempts; /* made before this one */
    const char *headers;
    unsigned min_ms, max_ms;
} waits[] = {
    {"after the first", 0, NULL, 250, 500},
    {"after the second", 1, NULL, 500, 1000},
    {"after the third", 2, NULL, 1000, 2000},
    {"never above the bound", 40, NULL, 4000, 8000},
    {"as long as the server says, and not all at once", 0, "Retry-After: 7\r\n", 7000, 7700},
    {"as long as the server says, at the cap", 0, "Retry-After: 600\r\n", 600000, 660000},
    {"not shorter than our own", 40, "Retry-After: 1\r\n", 4000, 8000},
    {"Retry-After 0 is our own wait", 0, "Retry-After: 0\r\n", 250, 500},
};

static void
the_wait_is_within_bounds(void **state)
{
    const struct wait *row = *state;
    struct hs_http_response response = fake_response(503, row->headers, "");
    unsigned lowest = UINT32_MAX, highest = 0;

    for (unsigned i = 0; i < 200; i++) {
        struct hs_retry_state retry = {.attempts = row->attempts};
        unsigned wait_ms = 0;
        assert_int_equal(
            hs_retry_judge(&(struct hs_retry_policy){.max_attempts = 100}, &retry, HSMART_OK, &response, &wait_ms),
            HS_RETRY_AGAIN);
        lowest = wait_ms < lowest ? wait_ms : lowest;
        highest = wait_ms > highest ? wait_ms : highest;
    }
    assert_in_range(lowest, row->min_ms, row->max_ms);
    assert_in_range(highest, row->min_ms, row->max_ms);
    if (row->min_ms != row->max_ms)
        assert_true(highest > lowest); /* jitter */
    hs_http_response_clear(&response);
}

static void
a_wait_of_months_does_not_become_a_short_one(void **state)
{
    (void)state;
    struct hs_http_response response = fake_response(503, "Retry-After: 4294968\r\n", "");
    const struct hs_retry_policy policy = {.retry_after_max_s = UINT32_MAX}; /* whoever asks for it */
    struct hs_retry_state retry = {0};
    unsigned wait_ms = 0;

    assert_int_equal(hs_retry_judge(&policy, &retry, HSMART_OK, &response, &wait_ms), HS_RETRY_AGAIN);
    assert_int_equal(wait_ms, UINT32_MAX);
    hs_http_response_clear(&response);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, an_answer_leads_to_so_many_requests, counts);
    ADD_TEST(&rows, the_answer_after_a_failure_is_returned);
    ADD_TEST(&rows, a_policy_of_one_attempt_never_repeats);
    ADD_TEST(&rows, a_failure_after_several_attempts_says_how_many);
    ADD_TEST(&rows, a_wait_that_is_too_long_is_told_in_seconds);
    ADD_ROWS(&rows, the_wait_is_within_bounds, waits);
    ADD_TEST(&rows, a_wait_of_months_does_not_become_a_short_one);
    return rows_run("retry", &rows);
}
