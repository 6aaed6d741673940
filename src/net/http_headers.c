/* What the headers of an answer say: dates, how long it may be kept, when to come back. */
#include <strings.h>

#include "clock.h"
#include "err.h"
#include "http.h"

#define DAY_S 86400

/* ---- Text ---- */

static bool
is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct hs_span
trim(struct hs_span text)
{
    while (text.len > 0 && is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && (is_blank(text.data[text.len - 1]) || text.data[text.len - 1] == '\r'))
        text.len--;
    return text;
}

static bool
equal_in_any_case(struct hs_span text, const char *word)
{
    return text.len == strlen(word) && (text.len == 0 || strncasecmp((const char *)text.data, word, text.len) == 0);
}

/* Digits and nothing else; what is too large is INT64_MAX. */
static bool
parse_digits(struct hs_span text, int64_t *out_number)
{
    int64_t number = 0;

    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        int digit = text.data[i] - '0';
        number = number > (INT64_MAX - digit) / 10 ? INT64_MAX : 10 * number + digit;
    }
    *out_number = number;
    return true;
}

/* ---- Headers ---- */

/* The next line of the kind "name: value"; false at the end. */
static bool
next_header(struct hs_span *rest, struct hs_span *out_name, struct hs_span *out_value)
{
    while (rest->len > 0) {
        const uint8_t *end = memchr(rest->data, '\n', rest->len);
        struct hs_span line = {rest->data, end != NULL ? (size_t)(end - rest->data) : rest->len};
        size_t taken = end != NULL ? line.len + 1 : line.len;
        rest->data += taken;
        rest->len -= taken;

        const uint8_t *colon = line.len > 0 && !is_blank(line.data[0]) ? memchr(line.data, ':', line.len) : NULL;
        if (colon == NULL)
            continue; /* the status line, or the continuation of a folded one (RFC 9112 section 5.2) */
        size_t name_len = (size_t)(colon - line.data);
        *out_name = (struct hs_span){line.data, name_len};
        *out_value = trim((struct hs_span){colon + 1, line.len - name_len - 1});
        return true;
    }
    return false;
}

struct hs_span
hs_http_header_of(const struct hs_http_response *response, const char *name)
{
    struct hs_span rest = hs_span_buf(&response->headers), found, value;

    while (next_header(&rest, &found, &value))
        if (equal_in_any_case(found, name))
            return value;
    return (struct hs_span){0};
}

/* ---- Dates (RFC 9110 section 5.6.7) ---- */

struct date {
    int year, month, day, hour, minute, second; /* month 1 to 12 */
};

static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const long_days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

/* Which of the words stands at the front, from 1; 0 when none does. */
static int
take_word(struct hs_span *rest, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(words[i]);
        if (rest->len >= len && memcmp(rest->data, words[i], len) == 0) {
            rest->data += len;
            rest->len -= len;
            return (int)i + 1;
        }
    }
    return 0;
}

static bool
take_number(struct hs_span *rest, size_t len, int *out_number)
{
    int64_t number = 0;

    if (rest->len < len || !parse_digits((struct hs_span){rest->data, len}, &number))
        return false;
    rest->data += len;
    rest->len -= len;
    *out_number = (int)number;
    return true;
}

/* The day of asctime: two columns, a blank for the missing digit. */
static bool
take_padded_day(struct hs_span *rest, int *out_day)
{
    if (rest->len == 0 || rest->data[0] != ' ')
        return take_number(rest, 2, out_day);
    rest->data++;
    rest->len--;
    return take_number(rest, 1, out_day);
}

static bool
take_time(struct hs_span *rest, struct date *date)
{
    static const char *const colon[] = {":"};

    return take_number(rest, 2, &date->hour) && take_word(rest, colon, 1) != 0 && take_number(rest, 2, &date->minute) &&
           take_word(rest, colon, 1) != 0 && take_number(rest, 2, &date->second);
}

static int year_of(int64_t time_s);

/* More than 50 years ahead means the past. */
static int
full_year(int two_digits)
{
    int now = year_of(hs_clock_now_s());
    int year = now - now % 100 + two_digits;

    return year > now + 50 ? year - 100 : year;
}

/* By a pattern: w short day, W long day, d day, e padded day, m month, Y year, y year of two digits, t time; anything
 * else is itself. */
static bool
parse_by_pattern(const char *pattern, struct hs_span rest, struct date *out_date)
{
    bool good = true;

    for (const char *p = pattern; *p != 0 && good; p++) {
        switch (*p) {
        case 'w':
            good = take_word(&rest, days, HS_ARRAY_LEN(days)) != 0;
            break;
        case 'W':
            good = take_word(&rest, long_days, HS_ARRAY_LEN(long_days)) != 0;
            break;
        case 'd':
            good = take_number(&rest, 2, &out_date->day);
            break;
        case 'e':
            good = take_padded_day(&rest, &out_date->day);
            break;
        case 'm':
            out_date->month = take_word(&rest, months, HS_ARRAY_LEN(months));
            good = out_date->month != 0;
            break;
        case 'Y':
            good = take_number(&rest, 4, &out_date->year);
            break;
        case 'y':
            good = take_number(&rest, 2, &out_date->year);
            if (good)
                out_date->year = full_year(out_date->year);
            break;
        case 't':
            good = take_time(&rest, out_date);
            break;
        default:
            good = rest.len > 0 && rest.data[0] == (uint8_t)*p;
            if (good) {
                rest.data++;
                rest.len--;
            }
        }
    }
    return good && rest.len == 0;
}

static bool
is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int
days_in(int year, int month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return lengths[month - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

/* Days from the first of January 1970 to that of `year`. */
static int64_t
days_before(int year)
{
    int past = year - 1;

    return 365 * (int64_t)(year - 1970) + (past / 4 - past / 100 + past / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
}

static int
year_of(int64_t time_s)
{
    int year = 1970;

    while (days_before(year + 1) * DAY_S <= time_s)
        year++;
    return year;
}

static bool
date_to_time(const struct date *date, int64_t *out_time_s)
{
    if (date->year < 1970 || date->year > 9999 || date->day < 1 || date->day > days_in(date->year, date->month) ||
        date->hour > 23 || date->minute > 59 || date->second > 60 /* a leap second */)
        return false;
    int64_t day = days_before(date->year) + date->day - 1;
    for (int month = 1; month < date->month; month++)
        day += days_in(date->year, month);
    *out_time_s = day * DAY_S + date->hour * 3600 + date->minute * 60 + date->second;
    return true;
}

bool
hs_http_parse_date(struct hs_span text, int64_t *out_time_s)
{
    static const char *const patterns[] = {
        "w, d m Y t GMT", /* Sun, 06 Nov 1994 08:49:37 GMT */
        "W, d-m-y t GMT", /* Sunday, 06-Nov-94 08:49:37 GMT */
        "w m e t Y",      /* Sun Nov  6 08:49:37 1994 */
    };

    text = trim(text);
    for (size_t i = 0; i < HS_ARRAY_LEN(patterns); i++) {
        struct date date = {0};
        if (parse_by_pattern(patterns[i], text, &date))
            return date_to_time(&date, out_time_s);
    }
    return false;
}

static bool
date_header(const struct hs_http_response *response, const char *name, int64_t *out_time_s)
{
    return hs_http_parse_date(hs_http_header_of(response, name), out_time_s);
}

/* ---- How long an answer may be kept (RFC 9111) ---- */

/* The next "name" or "name=value" of a list; quoted values without their quotes. False at the end. */
static bool
next_directive(struct hs_span *rest, struct hs_span *out_name, struct hs_span *out_value)
{
    size_t len = 0;
    bool quoted = false;

    if (rest->len == 0)
        return false;
    for (; len < rest->len && (quoted || rest->data[len] != ','); len++)
        if (rest->data[len] == '"')
            quoted = !quoted;
    struct hs_span item = trim((struct hs_span){rest->data, len});
    size_t taken = len < rest->len ? len + 1 : len;
    rest->data += taken;
    rest->len -= taken;

    const uint8_t *equals = item.len > 0 ? memchr(item.data, '=', item.len) : NULL;
    size_t name_len = equals != NULL ? (size_t)(equals - item.data) : item.len;
    struct hs_span value = {0};
    if (equals != NULL)
        value = trim((struct hs_span){equals + 1, item.len - name_len - 1});
    if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"')
        value = (struct hs_span){value.data + 1, value.len - 2};
    *out_name = trim((struct hs_span){item.data, name_len});
    *out_value = value;
    return true;
}

/* The smallest max-age, 0 where it is forbidden to keep the answer or max-age is no number (section 4.2.1), -1 when
 * nothing is said. s-maxage is for caches that others share. */
static int64_t
max_age_of(const struct hs_http_response *response)
{
    struct hs_span rest = hs_span_buf(&response->headers), header, list, name, value;
    int64_t max_age_s = -1;

    while (next_header(&rest, &header, &list)) {
        if (!equal_in_any_case(header, "cache-control"))
            continue;
        while (next_directive(&list, &name, &value)) {
            int64_t age_s = -1;
            if (equal_in_any_case(name, "no-store") || equal_in_any_case(name, "no-cache"))
                age_s = 0;
            else if (equal_in_any_case(name, "max-age") && !parse_digits(value, &age_s))
                age_s = 0;
            if (age_s >= 0 && (max_age_s < 0 || age_s < max_age_s))
                max_age_s = age_s;
        }
    }
    return max_age_s;
}

/* The server's clock when it answered; ours where it does not tell. */
static int64_t
answered_at(const struct hs_http_response *response)
{
    int64_t date_s = 0;

    return date_header(response, "Date", &date_s) ? date_s : response->received_at_s;
}

int64_t
hs_http_cache_life_s(const struct hs_http_response *response)
{
    int64_t life_s = max_age_of(response), age_s = 0, expires_s = 0;

    if (life_s < 0 && hs_http_header_of(response, "Expires").len > 0)
        life_s = date_header(response, "Expires", &expires_s) ? expires_s - answered_at(response) : 0;
    else if (life_s < 0)
        return -1;
    if (parse_digits(hs_http_header_of(response, "Age"), &age_s))
        life_s -= age_s;
    return life_s > 0 ? life_s : 0;
}

/* ---- When to come back, and what time it is ---- */

int64_t
hs_http_retry_after_s(const struct hs_http_response *response)
{
    struct hs_span value = hs_http_header_of(response, "Retry-After");
    int64_t delay_s = 0, time_s = 0;

    if (parse_digits(value, &delay_s))
        return delay_s;
    if (!hs_http_parse_date(value, &time_s))
        return -1;
    delay_s = time_s - answered_at(response); /* both by the server's clock, so that ours may be wrong */
    return delay_s > 0 ? delay_s : 0;
}

bool
hs_http_clock_skew_s(const struct hs_http_response *response, int64_t *out_skew_s)
{
    int64_t date_s = 0, age_s = 0;

    if (!date_header(response, "Date", &date_s))
        return false;
    if (parse_digits(hs_http_header_of(response, "Age"), &age_s) && age_s > 0)
        return false; /* out of a cache: that date is old */
    if (date_s < response->sent_at_s)
        *out_skew_s = date_s - response->sent_at_s;
    else if (date_s > response->received_at_s)
        *out_skew_s = date_s - response->received_at_s;
    else
        *out_skew_s = 0;
    return true;
}
