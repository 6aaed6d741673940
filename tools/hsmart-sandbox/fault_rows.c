/* The faults, one row each, and what they do. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exchange.h"

#define HUGE_LEN (2U << 20)
#define DEEP 100000U
#define LONG_ERROR_LEN (64U << 10)

/* ---- Instead of an answer ---- */

static enum hsmart_code
close_connection(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)argument;
    exchange->answer.wire.close = true;
    answer_note(&exchange->answer, "fault: the connection is closed");
    exchange->answer.status = 499;
    (void)err;
    return HSMART_OK;
}

static enum hsmart_code
answer_status(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    int status = (int)strtol(argument, NULL, 10);
    enum hsmart_code code = answer_text(exchange, status, "", err);

    answer_note(&exchange->answer, "fault: status %d", status);
    return code;
}

/* An HTTP-date some seconds away. */
static void
format_date(int64_t offset_s, char out[64])
{
    time_t at = time(NULL) + (time_t)offset_s;
    struct tm tm;

    if (gmtime_r(&at, &tm) == NULL || strftime(out, 64, "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
        out[0] = 0;
}

static enum hsmart_code
throttle(struct exchange *exchange, const char *argument, int status, hsmart_err *err)
{
    char date[64];
    enum hsmart_code code = answer_error(exchange, status, err, "fault: come again later");

    if (code != HSMART_OK || strcmp(argument, "none") == 0)
        return code;
    if (strcmp(argument, "date") == 0) {
        format_date(3, date);
        argument = date;
    } else if (strcmp(argument, "ms") == 0) {
        argument = "1764000000000";
    } else if (strcmp(argument, "garbage") == 0) {
        argument = "soon";
    }
    return answer_header(&exchange->answer, err, "Retry-After", "%s", argument[0] != 0 ? argument : "1");
}

static enum hsmart_code
throttle_429(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    return throttle(exchange, argument, 429, err);
}

static enum hsmart_code
throttle_503(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    return throttle(exchange, argument, 503, err);
}

static enum hsmart_code
answer_page(struct exchange *exchange, int status, hsmart_err *err)
{
    enum hsmart_code code = answer_text(exchange, status,
                                        "<!DOCTYPE html>\n<html><head><title>Sign in</title></head>\n"
                                        "<body><h1>Welcome to the network</h1></body></html>\n",
                                        err);

    answer_note(&exchange->answer, "fault: an HTML page");
    return code == HSMART_OK ? answer_header(&exchange->answer, err, "Content-Type", "text/html; charset=utf-8") : code;
}

static enum hsmart_code
answer_html(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)argument;
    return answer_page(exchange, 502, err);
}

static enum hsmart_code
answer_html_200(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)argument;
    return answer_page(exchange, 200, err);
}

static enum hsmart_code
answer_plain(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)argument;
    return answer_text(exchange, 400, "Something was wrong with the request", err);
}

static enum hsmart_code
answer_other_json(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    struct hs_json_writer writer;
    enum hsmart_code code = answer_json(exchange, 401, "application/json", &writer, err);

    (void)argument;
    hs_json_begin_object(&writer);
    hs_json_member_integer(&writer, "code", 401);
    hs_json_member_text(&writer, "message", "HTTP 401 Unauthorized");
    hs_json_end_object(&writer);
    return code == HSMART_OK ? hs_json_writer_finish(&writer, err) : code;
}

/* Control characters, an escape sequence for terminals, text that runs backwards. */
static enum hsmart_code
answer_escape(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)argument;
    enum hsmart_code code =
        answer_text(exchange, 400,
                    "{\"error\":\"invalid_request\",\"error_description\":\"\\u001b[31mred\\u001b[0m "
                    "\\u0007 \\u202egnorw \\r\\nlog: all is well\"}",
                    err);

    return code == HSMART_OK ? answer_header(&exchange->answer, err, "Content-Type", "application/json") : code;
}

static enum hsmart_code
answer_long_error(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    struct hs_json_writer writer;
    struct hs_buf text = {0};
    enum hsmart_code code = answer_json(exchange, 400, "application/json", &writer, err);

    (void)argument;
    if (code == HSMART_OK)
        code = hs_buf_resize(&text, LONG_ERROR_LEN, err);
    if (code == HSMART_OK) {
        memset(text.data, 'x', text.len);
        hs_json_begin_object(&writer);
        hs_json_member_text(&writer, "error", "invalid_request");
        hs_json_member_text(&writer, "error_description", hs_buf_text(&text));
        hs_json_end_object(&writer);
        code = hs_json_writer_finish(&writer, err);
    }
    hs_buf_clear(&text);
    return code;
}

static enum hsmart_code
answer_error_word(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    int status = strcmp(argument, "invalid_client") == 0 || strcmp(argument, "invalid_token") == 0 ? 401 : 400;

    return answer_oauth_error(exchange, status, argument, err, "fault: the error that was asked for");
}

static enum hsmart_code
redirect(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    enum hsmart_code code = answer_status(exchange, argument, err);

    return code == HSMART_OK
               ? answer_header(&exchange->answer, err, "Location", "https://ehr.example%s", exchange->request->path)
               : code;
}

static enum hsmart_code
forbid(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)argument;
    return answer_outcome(exchange, 403, "forbidden", err, "fault: this is not for you");
}

static enum hsmart_code
unauthorize(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    enum hsmart_code code =
        answer_outcome(exchange, 401, "expired", err, "fault: the access token is not good any more");

    (void)argument;
    return code == HSMART_OK
               ? answer_header(&exchange->answer, err, "WWW-Authenticate", "Bearer error=\"invalid_token\"")
               : code;
}

static enum hsmart_code
answer_outcome_status(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    return answer_outcome(exchange, (int)strtol(argument, NULL, 10), "processing", err,
                          "fault: an OperationOutcome was asked for");
}

/* ---- After the answer ---- */

static enum hsmart_code
slow(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)err;
    exchange->answer.wire.wait_ms = (unsigned)strtoul(argument, NULL, 10) * 1000;
    return HSMART_OK;
}

static enum hsmart_code
slow_body(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)err;
    exchange->answer.wire.body_wait_ms = (unsigned)strtoul(argument, NULL, 10) * 1000;
    return HSMART_OK;
}

static enum hsmart_code
cut(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)argument;
    (void)err;
    exchange->answer.wire.cut = true;
    return HSMART_OK;
}

static enum hsmart_code
move_clock(struct exchange *exchange, int64_t offset_s, hsmart_err *err)
{
    char date[64];

    format_date(offset_s, date);
    return answer_header(&exchange->answer, err, "Date", "%s", date);
}

static enum hsmart_code
clock_ahead(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    return move_clock(exchange, strtol(argument, NULL, 10), err);
}

static enum hsmart_code
clock_behind(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    return move_clock(exchange, -strtol(argument, NULL, 10), err);
}

static enum hsmart_code
wrong_type(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)argument;
    return answer_header(&exchange->answer, err, "Content-Type", "text/plain");
}

static enum hsmart_code
no_type(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)argument;
    return answer_header(&exchange->answer, err, "Content-Type", NULL);
}

static enum hsmart_code
empty(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)argument;
    (void)err;
    exchange->answer.status = 200;
    exchange->answer.body.len = 0;
    return HSMART_OK;
}

static enum hsmart_code
broken_json(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)argument;
    (void)err;
    exchange->answer.body.len /= 2;
    return HSMART_OK;
}

/* The body between `before` and `after`. */
static enum hsmart_code
surround(struct exchange *exchange, struct hs_span before, struct hs_span after, hsmart_err *err)
{
    struct hs_buf body = {.max_len = 2 * HS_BUF_MAX_DEFAULT};
    enum hsmart_code code = hs_buf_append(&body, before, err);

    if (code == HSMART_OK)
        code = hs_buf_append(&body, hs_span_buf(&exchange->answer.body), err);
    if (code == HSMART_OK)
        code = hs_buf_append(&body, after, err);
    if (code == HSMART_OK)
        hs_buf_move(&body, &exchange->answer.body);
    hs_buf_clear(&body);
    return code;
}

static enum hsmart_code
byte_order_mark(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)argument;
    return surround(exchange, hs_span_str("\xef\xbb\xbf"), (struct hs_span){0}, err);
}

static enum hsmart_code
array(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)argument;
    return surround(exchange, hs_span_str("["), hs_span_str("]"), err);
}

static enum hsmart_code
huge(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    struct hs_buf spaces = {0};
    enum hsmart_code code = hs_buf_resize(&spaces, HUGE_LEN, err);

    (void)argument;
    if (code == HSMART_OK) {
        memset(spaces.data, ' ', spaces.len);
        code = surround(exchange, hs_span_buf(&spaces), (struct hs_span){0}, err);
    }
    hs_buf_clear(&spaces);
    return code;
}

/* Puts `member` in front of the members of the object that the body is. */
static enum hsmart_code
put_in_front(struct exchange *exchange, struct hs_span member, hsmart_err *err)
{
    struct hs_buf *body = &exchange->answer.body;
    struct hs_buf front = {0};
    enum hsmart_code code;

    if (body->len < 2 || body->data[0] != '{')
        return HSMART_OK;
    code = hs_buf_append_str(&front, "{", err);
    if (code == HSMART_OK)
        code = hs_buf_append(&front, member, err);
    if (code == HSMART_OK && body->data[1] != '}')
        code = hs_buf_append_str(&front, ",", err);
    if (code == HSMART_OK)
        code = hs_buf_append(&front, (struct hs_span){body->data + 1, body->len - 1}, err);
    if (code == HSMART_OK)
        hs_buf_move(&front, body);
    hs_buf_clear(&front);
    return code;
}

static enum hsmart_code
deep(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    struct hs_buf member = {0};
    enum hsmart_code code = hs_buf_append_str(&member, "\"x_deep\":", err);

    (void)argument;
    size_t start = member.len;
    if (code == HSMART_OK)
        code = hs_buf_resize(&member, start + 2 * (size_t)DEEP, err);
    if (code == HSMART_OK) {
        memset(member.data + start, '[', DEEP);
        memset(member.data + start + DEEP, ']', DEEP);
        code = put_in_front(exchange, hs_span_buf(&member), err);
    }
    hs_buf_clear(&member);
    return code;
}

static enum hsmart_code
duplicate(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)argument;
    return put_in_front(exchange,
                        hs_span_str("\"access_token\":\"first\",\"token_endpoint\":\"https://ehr.example/first\","
                                    "\"client_id\":\"first\",\"resourceType\":\"First\""),
                        err);
}

static enum hsmart_code
extra(struct exchange *exchange, const char *argument, hsmart_err *err)
{
    (void)argument;
    return put_in_front(exchange,
                        hs_span_str("\"x_null\":null,\"x_number\":-1.5e300,\"x_object\":{\"a\":[1,{}]},"
                                    "\"x_text\":\"\\ud83d\\ude80\",\"x_true\":true"),
                        err);
}

/* ---- The table ---- */

#define ALL ENDPOINT_ALL

const struct fault_row fault_rows[] = {
    {"close", ALL, FAULT_PLAIN, "the connection is closed without a byte", close_connection, NULL},
    {"slow", ALL, FAULT_NUMBER, "N seconds pass before the first byte", NULL, slow},
    {"slow-body", ALL, FAULT_NUMBER, "N seconds pass in the middle of the body", NULL, slow_body},
    {"cut-body", ALL, FAULT_PLAIN, "the connection is closed in the middle of the body", NULL, cut},
    {"429-after", ALL, FAULT_WORD,
     "429 with Retry-After: a number of seconds, or one of the words date (in three seconds), ms (1764000000000), "
     "garbage, "
     "none",
     throttle_429, NULL},
    {"503-after", ALL, FAULT_WORD, "the same with 503", throttle_503, NULL},
    {"redirect", ALL, FAULT_STATUS, "status N, with a Location at another origin", redirect, NULL},
    {"html", ALL, FAULT_PLAIN, "502 with an HTML page", answer_html, NULL},
    {"html-200", ALL, FAULT_PLAIN, "200 with an HTML page (a login page, a captive portal)", answer_html_200, NULL},
    {"text", ALL, FAULT_PLAIN, "400 with plain text, as BCDA does", answer_plain, NULL},
    {"other-json", ALL, FAULT_PLAIN, "401 with {\"code\", \"message\"}, as DPC does", answer_other_json, NULL},
    {"escape", ALL, FAULT_PLAIN, "400 with control characters and escape sequences in error_description", answer_escape,
     NULL},
    {"long-error", ALL, FAULT_PLAIN, "400 with an error_description of 64 KiB", answer_long_error, NULL},
    {"error", ALL, FAULT_WORD, "the OAuth error X, with 401 for invalid_client and invalid_token, else 400",
     answer_error_word, NULL},
    {"clock-ahead", ALL, FAULT_NUMBER, "the Date header is N seconds ahead", NULL, clock_ahead},
    {"clock-behind", ALL, FAULT_NUMBER, "the Date header is N seconds behind", NULL, clock_behind},
    {"empty", ALL, FAULT_PLAIN, "200 with an empty body", NULL, empty},
    {"broken-json", ALL, FAULT_PLAIN, "the second half of the body is missing, though Content-Length fits", NULL,
     broken_json},
    {"bom", ALL, FAULT_PLAIN, "a byte order mark before a correct body", NULL, byte_order_mark},
    {"array", ALL, FAULT_PLAIN, "the JSON is an array of what it should be", NULL, array},
    {"deep", ALL, FAULT_PLAIN, "an unknown member that is 100,000 arrays deep", NULL, deep},
    {"duplicate", ALL, FAULT_PLAIN, "the member that counts is there twice, the first time with another value", NULL,
     duplicate},
    {"extra", ALL, FAULT_PLAIN, "unknown members of all kinds beside the known ones", NULL, extra},
    {"huge", ALL, FAULT_PLAIN, "2 MiB of white space before a correct body", NULL, huge},
    {"wrong-type", ALL, FAULT_PLAIN, "a correct body as text/plain", NULL, wrong_type},
    {"no-type", ALL, FAULT_PLAIN, "a correct body without Content-Type", NULL, no_type},

    {"relative", ENDPOINT_DISCOVERY, FAULT_PLAIN, "the token endpoint is relative: ../auth/token", NULL, NULL},
    {"foreign", ENDPOINT_DISCOVERY, FAULT_PLAIN, "the token endpoint is at another origin", NULL, NULL},
    {"http", ENDPOINT_DISCOVERY, FAULT_PLAIN, "the token endpoint is http", NULL, NULL},
    {"fragment", ENDPOINT_DISCOVERY, FAULT_PLAIN, "the token endpoint has a fragment", NULL, NULL},
    {"userinfo", ENDPOINT_DISCOVERY, FAULT_PLAIN, "the token endpoint has user information", NULL, NULL},
    {"query", ENDPOINT_DISCOVERY, FAULT_PLAIN, "the token endpoint has a query, ?x=1", NULL, NULL},
    {"no-token-endpoint", ENDPOINT_DISCOVERY, FAULT_PLAIN, "no token_endpoint", NULL, NULL},
    {"only-token-endpoint", ENDPOINT_DISCOVERY, FAULT_PLAIN, "token_endpoint alone", NULL, NULL},
    {"algs", ENDPOINT_DISCOVERY, FAULT_WORD, "only the signature algorithms X, with + between", NULL, NULL},
    {"methods", ENDPOINT_DISCOVERY, FAULT_WORD, "only the authentication methods X, with + between", NULL, NULL},
    {"no-client-credentials", ENDPOINT_DISCOVERY, FAULT_PLAIN, "another grant type only", NULL, NULL},
    {"max-age", ENDPOINT_DISCOVERY, FAULT_NUMBER, "Cache-Control: max-age=N", NULL, NULL},
    {"big", ENDPOINT_DISCOVERY, FAULT_PLAIN, "5000 scopes, 300 KiB", NULL, NULL},

    {"secret", ENDPOINT_REGISTER, FAULT_WORD,
     "the client secret is expired, ends in an hour (future), or tells no end (unsaid)", NULL, NULL},
    {"long-id", ENDPOINT_REGISTER, FAULT_PLAIN, "a client_id of 16 KiB with all the characters of base64", NULL, NULL},
    {"no-client-id", ENDPOINT_REGISTER, FAULT_PLAIN, "no client_id", NULL, NULL},
    {"swap-method", ENDPOINT_REGISTER, FAULT_WORD, "the echo says that the authentication method is X", NULL, NULL},
    {"swap-scope", ENDPOINT_REGISTER, FAULT_PLAIN, "the echo has another scope", NULL, NULL},

    {"expires", ENDPOINT_TOKEN, FAULT_WORD,
     "expires_in is a number, or one of the words string (\"1200\"), missing, null, negative, huge (1e99), fraction, "
     "text, "
     "true",
     NULL, NULL},
    {"type", ENDPOINT_TOKEN, FAULT_WORD, "token_type is X (BEARER, mac)", NULL, NULL},
    {"scope", ENDPOINT_TOKEN, FAULT_WORD, "the scope is narrower, wider, absent or empty", NULL, NULL},
    {"value", ENDPOINT_TOKEN, FAULT_WORD,
     "the access token is crlf (CR LF and a header in it), lf, space, nul, utf8, empty, number, null or missing", NULL,
     NULL},
    {"long-token", ENDPOINT_TOKEN, FAULT_NUMBER, "an access token of N bytes", NULL, NULL},
    {"refresh-token", ENDPOINT_TOKEN, FAULT_PLAIN, "a refresh_token comes with it", NULL, NULL},
    {"stale-jwks", ENDPOINT_TOKEN, FAULT_PLAIN,
     "a JWKS URL is not read again for an unknown kid, as long as its copy may be used", NULL, NULL},

    {"401", ENDPOINT_FHIR, FAULT_PLAIN, "401 with an OperationOutcome, though the access token is good", unauthorize,
     NULL},
    {"403", ENDPOINT_FHIR, FAULT_PLAIN, "403 with an OperationOutcome", forbid, NULL},
    {"outcome", ENDPOINT_FHIR, FAULT_STATUS, "status N with an OperationOutcome", answer_outcome_status, NULL},
    {"next-foreign", ENDPOINT_FHIR, FAULT_PLAIN, "the next link goes to another origin", NULL, NULL},
    {"next-self", ENDPOINT_FHIR, FAULT_PLAIN, "the next link is the page itself", NULL, NULL},
    {"next-endless", ENDPOINT_FHIR, FAULT_PLAIN, "there is always one more page", NULL, NULL},
    {"next-relative", ENDPOINT_FHIR, FAULT_PLAIN, "the links are relative: Patient?…", NULL, NULL},

    {"expired", ENDPOINT_TLS, FAULT_PLAIN, "the certificate has expired", NULL, NULL},
    {"not-yet", ENDPOINT_TLS, FAULT_PLAIN, "the certificate is not valid yet", NULL, NULL},
    {"wrong-host", ENDPOINT_TLS, FAULT_PLAIN, "the certificate is for another host", NULL, NULL},
    {"self-signed", ENDPOINT_TLS, FAULT_PLAIN, "the certificate is signed by itself", NULL, NULL},
    {"untrusted", ENDPOINT_TLS, FAULT_PLAIN, "the certificate is of another CA", NULL, NULL},

    /* Last: a name of digits alone is a status. */
    {"status", ALL, FAULT_STATUS, "status N with an empty body; \"503\" for short", answer_status, NULL},
};
const size_t fault_row_count = HS_ARRAY_LEN(fault_rows);
