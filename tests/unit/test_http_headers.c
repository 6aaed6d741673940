/* What the headers of an answer say, without any network. */
#include <stdio.h>

#include "rows.h"

#include "clock.h"
#include "http.h"

#define NOV_1994 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110 */

/* An answer with these headers, received at the date of RFC 9110 after four seconds. */
static struct hs_http_response
answer(const char *headers)
{
    struct hs_http_response response = {.status = 200, .sent_at_s = NOV_1994 - 4, .received_at_s = NOV_1994};

    assert_int_equal(hs_buf_append_str(&response.headers, "HTTP/1.1 200 OK\r\n", NULL), HSMART_OK);
    assert_int_equal(hs_buf_append_str(&response.headers, headers, NULL), HSMART_OK);
    assert_int_equal(hs_buf_append_str(&response.headers, "\r\n", NULL), HSMART_OK);
    return response;
}

/* ---- Headers ---- */

static struct look_up {
    const char *name, *headers, *header, *value;
} look_ups[] = {
    {"a header", "Content-Type: application/json\r\n", "Content-Type", "application/json"},
    {"a name in another case", "content-TYPE: a\r\n", "Content-Type", "a"},
    {"white space around the value", "A: \t b c \t\r\n", "A", "b c"},
    {"no white space", "A:b\r\n", "A", "b"},
    {"an empty value", "A:\r\nB: c\r\n", "A", ""},
    {"a header that is not there", "A: b\r\n", "C", ""},
    {"a name that begins like it", "AB: c\r\nA: d\r\n", "A", "d"},
    {"the first of two", "A: b\r\nA: c\r\n", "A", "b"},
    {"a colon in the value", "A: b:c\r\n", "A", "b:c"},
    {"lines that end with LF only", "A: b\nC: d\n", "C", "d"},
    {"a folded line is no header", "A: b\r\n C: d\r\n", "C", ""},
    {"the status line is no header", "A: b\r\n", "HTTP/1.1 200 OK", ""},
};

static void
a_header_is_found(void **state)
{
    const struct look_up *row = *state;
    struct hs_http_response response = answer(row->headers);

    assert_true(hs_span_equal_str(hs_http_header_of(&response, row->header), row->value));
    hs_http_response_clear(&response);
}

static void
no_headers_are_no_trouble(void **state)
{
    (void)state;
    struct hs_http_response response = {0};
    int64_t skew_s;

    assert_int_equal(hs_http_header_of(&response, "A").len, 0);
    assert_int_equal(hs_http_cache_life_s(&response), -1);
    assert_int_equal(hs_http_retry_after_s(&response), -1);
    assert_false(hs_http_clock_skew_s(&response, &skew_s));
}

/* ---- Dates ---- */

static struct date {
    const char *name, *text;
    int64_t time_s;
} dates[] = {
    {"IMF-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT", NOV_1994},
    {"RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT", NOV_1994},
    {"asctime", "Sun Nov  6 08:49:37 1994", NOV_1994},
    {"asctime with a day of two digits", "Wed Nov 16 08:49:37 1994", NOV_1994 + 10 * 86400},
    {"white space around", "  Sun, 06 Nov 1994 08:49:37 GMT\t", NOV_1994},
    {"the first second", "Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"a leap day", "Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
    {"the leap day of a century", "Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
    {"the day after 28 February 2100", "Mon, 01 Mar 2100 00:00:00 GMT", 4107542400},
    {"after 2038", "Tue, 19 Jan 2038 03:14:08 GMT", 2147483648},
    {"a leap second", "Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
    {"the last second of all", "Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
};

static void
a_date_is_read(void **state)
{
    const struct date *row = *state;
    int64_t time_s = -1;

    assert_true(hs_http_parse_date(span(row->text), &time_s));
    assert_int_equal(time_s, row->time_s);
}

static struct garbage {
    const char *name, *text;
} garbage[] = {
    {"nothing", ""},
    {"zero", "0"},
    {"a number", "784111777"},
    {"ISO 8601", "1994-11-06T08:49:37Z"},
    {"another time zone", "Sun, 06 Nov 1994 08:49:37 CET"},
    {"an offset", "Sun, 06 Nov 1994 08:49:37 +0000"},
    {"no time zone", "Sun, 06 Nov 1994 08:49:37"},
    {"no day of the week", "06 Nov 1994 08:49:37 GMT"},
    {"a German month", "So, 06 Okt 1994 08:49:37 GMT"},
    {"a month in small letters", "Sun, 06 nov 1994 08:49:37 GMT"},
    {"a day of one digit", "Sun, 6 Nov 1994 08:49:37 GMT"},
    {"30 February", "Sun, 30 Feb 2024 08:49:37 GMT"},
    {"29 February of a common year", "Sun, 29 Feb 2023 08:49:37 GMT"},
    {"29 February 2100", "Mon, 29 Feb 2100 00:00:00 GMT"},
    {"day zero", "Sun, 00 Nov 1994 08:49:37 GMT"},
    {"24 o'clock", "Sun, 06 Nov 1994 24:00:00 GMT"},
    {"60 minutes", "Sun, 06 Nov 1994 08:60:00 GMT"},
    {"61 seconds", "Sun, 06 Nov 1994 08:49:61 GMT"},
    {"before the epoch", "Wed, 31 Dec 1969 23:59:59 GMT"},
    {"text behind it", "Sun, 06 Nov 1994 08:49:37 GMT;"},
    {"cut off", "Sun, 06 Nov 1994 08:4"},
    {"a sign in the year", "Sun, 06 Nov -994 08:49:37 GMT"},
};

static void
garbage_is_no_date(void **state)
{
    const struct garbage *row = *state;
    int64_t time_s = 42;

    assert_false(hs_http_parse_date(span(row->text), &time_s));
    assert_int_equal(time_s, 42);
}

static void
a_year_of_two_digits_is_at_most_fifty_years_ahead(void **state)
{
    (void)state;
    int64_t now_s = hs_clock_now_s();

    for (int year = 0; year < 100; year++) {
        struct hs_buf text = {0};
        int64_t time_s = 0;
        assert_int_equal(hs_buf_append_format(&text, NULL, "Sunday, 06-Nov-%02d 08:49:37 GMT", year), HSMART_OK);
        if (hs_http_parse_date(hs_span_buf(&text), &time_s)) /* before 1970 is no date here */
            assert_in_range((uintmax_t)(time_s + 4102444800), (uintmax_t)now_s,
                            (uintmax_t)(now_s + 4102444800 + (int64_t)51 * 366 * 86400));
        hs_buf_clear(&text);
    }
}

/* Every day from 1970 to 2500, against a count of our own. */
static void
no_day_is_lost(void **state)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t expected_s = 0;

    (void)state;
    for (int year = 1970; year <= 2500; year++)
        for (int month = 0; month < 12; month++)
            for (int day = 1; day <= 31; day++) {
                char text[64];
                int64_t time_s = 0;
                (void)snprintf(text, sizeof text, "Sun, %02d %s %d 00:00:00 GMT", day, months[month], year);
                if (!hs_http_parse_date(span(text), &time_s))
                    continue;
                assert_int_equal(time_s, expected_s);
                expected_s += 86400;
            }
    assert_int_equal(expected_s, 16756761600); /* 1 January 2501 */
}

/* ---- How long an answer may be kept ---- */

static struct life {
    const char *name, *headers;
    int64_t life_s;
} lives[] = {
    {"nothing is said", "", -1},
    {"max-age", "Cache-Control: max-age=600\r\n", 600},
    {"max-age in capitals", "CACHE-CONTROL: MAX-AGE=600\r\n", 600},
    {"max-age in quotes", "Cache-Control: max-age=\"600\"\r\n", 600},
    {"among others", "Cache-Control: public, max-age=600, must-revalidate\r\n", 600},
    {"without white space", "Cache-Control: public,max-age=600\r\n", 600},
    {"s-maxage is not for us", "Cache-Control: s-maxage=5, max-age=600\r\n", 600},
    {"s-maxage alone", "Cache-Control: s-maxage=5\r\n", -1},
    {"no-store", "Cache-Control: no-store\r\n", 0},
    {"no-cache", "Cache-Control: no-cache\r\n", 0},
    {"no-cache for some fields", "Cache-Control: no-cache=\"a, max-age=5\"\r\n", 0},
    {"no-store beside max-age", "Cache-Control: max-age=600, no-store\r\n", 0},
    {"a comma in quotes", "Cache-Control: x=\"a, no-store\", max-age=600\r\n", 600},
    {"quotes that do not end", "Cache-Control: x=\"a, no-store\r\n", -1},
    {"two headers", "Cache-Control: public\r\nCache-Control: max-age=600\r\n", 600},
    {"the smaller of two", "Cache-Control: max-age=600\r\nCache-Control: max-age=60\r\n", 60},
    {"max-age that is no number", "Cache-Control: max-age=-1\r\n", 0},
    {"max-age without a value", "Cache-Control: max-age\r\n", 0},
    {"an absurd max-age", "Cache-Control: max-age=99999999999999999999999\r\n", INT64_MAX},
    {"Age is taken off", "Cache-Control: max-age=600\r\nAge: 100\r\n", 500},
    {"older than allowed", "Cache-Control: max-age=600\r\nAge: 700\r\n", 0},
    {"an absurd Age", "Cache-Control: max-age=600\r\nAge: 99999999999999999999999\r\n", 0},
    {"an Age that is no number", "Cache-Control: max-age=600\r\nAge: young\r\n", 600},
    {"Expires", "Expires: Sun, 06 Nov 1994 08:59:37 GMT\r\n", 600},
    {"Expires by the server's clock",
     "Date: Sun, 06 Nov 1994 07:49:37 GMT\r\nExpires: Sun, 06 Nov 1994 07:59:37 GMT\r\n", 600},
    {"Expires and Age", "Expires: Sun, 06 Nov 1994 08:59:37 GMT\r\nAge: 60\r\n", 540},
    {"Expires in the past", "Expires: Sun, 06 Nov 1994 08:00:00 GMT\r\n", 0},
    {"Expires that is no date", "Expires: 0\r\n", 0},
    {"max-age goes before Expires", "Expires: 0\r\nCache-Control: max-age=600\r\n", 600},
    {"empty directives", "Cache-Control: ,, ,max-age=600,\r\n", 600},
};

static void
an_answer_may_be_kept_so_long(void **state)
{
    const struct life *row = *state;
    struct hs_http_response response = answer(row->headers);

    assert_int_equal(hs_http_cache_life_s(&response), row->life_s);
    hs_http_response_clear(&response);
}

/* ---- When to come back ---- */

static struct life retries[] = {
    {"no Retry-After", "", -1},
    {"seconds", "Retry-After: 120\r\n", 120},
    {"zero", "Retry-After: 0\r\n", 0},
    {"milliseconds since the epoch, as one server sends", "Retry-After: 1764000000000\r\n", 1764000000000},
    {"more than fits", "Retry-After: 99999999999999999999999999\r\n", INT64_MAX},
    {"a date", "Retry-After: Sun, 06 Nov 1994 08:51:37 GMT\r\n", 120},
    {"a date of asctime", "Retry-After: Sun Nov  6 08:51:37 1994\r\n", 120},
    {"a date in the past", "Retry-After: Sun, 06 Nov 1994 08:00:00 GMT\r\n", 0},
    {"a date, while the server's clock is an hour ahead",
     "Date: Sun, 06 Nov 1994 09:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 09:51:37 GMT\r\n", 120},
    {"a negative number", "Retry-After: -5\r\n", -1},
    {"a fraction", "Retry-After: 1.5\r\n", -1},
    {"words", "Retry-After: soon\r\n", -1},
    {"nothing", "Retry-After:\r\n", -1},
};

static void
a_server_says_when_to_come_back(void **state)
{
    const struct life *row = *state;
    struct hs_http_response response = answer(row->headers);

    assert_int_equal(hs_http_retry_after_s(&response), row->life_s);
    hs_http_response_clear(&response);
}

/* ---- What time it is ---- */

static struct skew {
    const char *name, *headers;
    bool tells;
    int64_t skew_s;
} skews[] = {
    {"no Date", "", false, 0},
    {"the same time", "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", true, 0},
    {"while the request was under way", "Date: Sun, 06 Nov 1994 08:49:34 GMT\r\n", true, 0},
    {"the server is ahead", "Date: Sun, 06 Nov 1994 08:54:37 GMT\r\n", true, 300},
    {"the server is behind", "Date: Sun, 06 Nov 1994 08:44:33 GMT\r\n", true, -300},
    {"a Date out of a cache", "Date: Sun, 06 Nov 1994 08:44:33 GMT\r\nAge: 304\r\n", false, 0},
    {"a Date that is none", "Date: yesterday\r\n", false, 0},
};

static void
the_servers_clock_is_compared(void **state)
{
    const struct skew *row = *state;
    struct hs_http_response response = answer(row->headers);
    int64_t skew_s = 0;

    assert_int_equal(hs_http_clock_skew_s(&response, &skew_s), row->tells);
    assert_int_equal(skew_s, row->skew_s);
    hs_http_response_clear(&response);
}

int
main(void)
{
    struct rows rows = {0};

    ADD_ROWS(&rows, a_header_is_found, look_ups);
    ADD_TEST(&rows, no_headers_are_no_trouble);
    ADD_ROWS(&rows, a_date_is_read, dates);
    ADD_ROWS(&rows, garbage_is_no_date, garbage);
    ADD_TEST(&rows, a_year_of_two_digits_is_at_most_fifty_years_ahead);
    ADD_TEST(&rows, no_day_is_lost);
    ADD_ROWS(&rows, an_answer_may_be_kept_so_long, lives);
    ADD_ROWS(&rows, a_server_says_when_to_come_back, retries);
    ADD_ROWS(&rows, the_servers_clock_is_compared, skews);
    return rows_run("http_headers", &rows);
}
