/* What a server's refusal is told as: the kind of answer, the causes in order, the clock, and nothing that harms. */
#include "rows.h"

#include "config_table.h"
#include "err.h"
#include "fake_exchange.h"
#include "json.h"
#include "oauth_error.h"
#include "operation_outcome.h"

#define JWT HS_AUTH_PRIVATE_KEY_JWT
#define BASIC HS_AUTH_SECRET_BASIC
#define NOBODY ((enum hs_auth_method)0)
#define DATE_NOW "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n" /* FAKE_NOW_S */
#define DATE_600_AHEAD "Date: Tue, 14 Nov 2023 22:23:20 GMT\r\n"
#define DATE_90_BEHIND "Date: Tue, 14 Nov 2023 22:11:50 GMT\r\n"
#define BY_ASSERTION "clock aud kid client-id key"
#define SECRET_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG_SECRET SECRET_64 "x"

static struct answer {
    const char *name;
    int status;
    const char *headers, *body;
    enum hs_auth_method method;
    enum hs_answer_kind kind;
    enum hsmart_code code;
    const char *causes; /* all, in order */
    const char *text;   /* of the answer, as it is told */
} answers[] = {
    /* OAuth, each code */
    {"invalid_client", 401, NULL, "{\"error\":\"invalid_client\"}", JWT, HS_ANSWER_OAUTH, HSMART_SERVER_REFUSED,
     BY_ASSERTION " lifetime jti method", "401 invalid_client"},
    {"invalid_client with a clock that is right", 401, DATE_NOW, "{\"error\":\"invalid_client\"}", JWT, HS_ANSWER_OAUTH,
     HSMART_SERVER_REFUSED, "aud kid client-id key lifetime jti method", "401 invalid_client"},
    {"a clock that is right, and yet suspected by the server", 401, DATE_NOW,
     "{\"error\":\"invalid_client\",\"error_description\":\"Token issued in the future\"}", JWT, HS_ANSWER_OAUTH,
     HSMART_SERVER_REFUSED, BY_ASSERTION " lifetime jti method", "401 invalid_client \"Token issued in the future\""},
    {"invalid_client with a server that is ahead", 401, DATE_600_AHEAD, "{\"error\":\"invalid_client\"}", JWT,
     HS_ANSWER_OAUTH, HSMART_SERVER_REFUSED, BY_ASSERTION " lifetime jti method",
     "401 invalid_client; our clock is 600 s behind the server's"},
    {"a wrong clock goes before what the server says", 401, DATE_90_BEHIND,
     "{\"error\":\"invalid_client\",\"error_description\":\"unknown kid\"}", JWT, HS_ANSWER_OAUTH,
     HSMART_SERVER_REFUSED, "clock kid aud client-id key lifetime jti method",
     "401 invalid_client \"unknown kid\"; our clock is 90 s ahead of the server's"},
    {"what the server says goes before the others", 400, DATE_NOW,
     "{\"error\":\"invalid_client\",\"error_description\":\"Token audience mismatch\"}", JWT, HS_ANSWER_OAUTH,
     HSMART_SERVER_REFUSED, "aud kid client-id key lifetime jti method",
     "400 invalid_client \"Token audience mismatch\""},
    {"a signature that does not verify", 400, DATE_NOW,
     "{\"error\":\"invalid_grant\",\"error_description\":\"Unable to verify the signature\"}", JWT, HS_ANSWER_OAUTH,
     HSMART_SERVER_REFUSED, "key aud kid client-id lifetime jti scope",
     "400 invalid_grant \"Unable to verify the signature\""},
    {"a jti that was used", 400, DATE_NOW, "{\"error\":\"invalid_request\",\"error_description\":\"Non-unique jti\"}",
     JWT, HS_ANSWER_OAUTH, HSMART_SERVER_REFUSED, "jti aud kid client-id key lifetime scope",
     "400 invalid_request \"Non-unique jti\""},
    {"invalid_grant", 400, NULL, "{\"error\":\"invalid_grant\"}", JWT, HS_ANSWER_OAUTH, HSMART_SERVER_REFUSED,
     BY_ASSERTION " lifetime jti scope", "400 invalid_grant"},
    {"invalid_request with 403", 403, NULL, "{\"error\":\"invalid_request\"}", JWT, HS_ANSWER_OAUTH,
     HSMART_SERVER_REFUSED, BY_ASSERTION " lifetime jti scope", "403 invalid_request"},
    {"unauthorized_client", 400, NULL, "{\"error\":\"unauthorized_client\"}", JWT, HS_ANSWER_OAUTH,
     HSMART_SERVER_REFUSED, "enabled client-id scope", "400 unauthorized_client"},
    {"unsupported_grant_type", 400, NULL, "{\"error\":\"unsupported_grant_type\"}", BASIC, HS_ANSWER_OAUTH,
     HSMART_SERVER_REFUSED, "grant enabled endpoint", "400 unsupported_grant_type"},
    {"invalid_scope", 400, NULL, "{\"error\":\"invalid_scope\",\"error_uri\":\"https://h/help\"}", JWT, HS_ANSWER_OAUTH,
     HSMART_SERVER_REFUSED, "scope enabled", "400 invalid_scope"},
    {"invalid_client for a secret", 401, NULL, "{\"error\":\"invalid_client\"}", BASIC, HS_ANSWER_OAUTH,
     HSMART_SERVER_REFUSED, "client-id secret basic method scope enabled", "401 invalid_client"},
    {"a code of the server's own", 400, NULL, "{\"error\":\"my_own\"}", JWT, HS_ANSWER_OAUTH, HSMART_SERVER_REFUSED,
     BY_ASSERTION " scope enabled", "400 my_own"},
    {"an error with 200", 200, NULL, "{\"error\":\"invalid_client\"}", JWT, HS_ANSWER_OAUTH, HSMART_SERVER_REFUSED,
     BY_ASSERTION " lifetime jti method", "200 invalid_client"},
    {"temporarily_unavailable", 503, NULL, "{\"error\":\"temporarily_unavailable\"}", JWT, HS_ANSWER_OAUTH,
     HSMART_SERVER_FAILED, "server", "503 temporarily_unavailable"},
    /* Registration */
    {"invalid_client_metadata", 400, NULL, "{\"error\":\"invalid_client_metadata\"}", NOBODY, HS_ANSWER_OAUTH,
     HSMART_SERVER_REFUSED, "metadata", "400 invalid_client_metadata"},
    {"invalid_redirect_uri", 400, NULL, "{\"error\":\"invalid_redirect_uri\"}", NOBODY, HS_ANSWER_OAUTH,
     HSMART_SERVER_REFUSED, "metadata", "400 invalid_redirect_uri"},
    {"unapproved_software_statement", 400, NULL, "{\"error\":\"unapproved_software_statement\"}", NOBODY,
     HS_ANSWER_OAUTH, HSMART_SERVER_REFUSED, "statement", "400 unapproved_software_statement"},
    {"a bad initial access token", 401, NULL, "{\"error\":\"invalid_token\"}", NOBODY, HS_ANSWER_OAUTH,
     HSMART_SERVER_REFUSED, "initial-token", "401 invalid_token"},
    {"no words about a bad initial access token", 403, NULL, "", NOBODY, HS_ANSWER_EMPTY, HSMART_SERVER_REFUSED,
     "initial-token", "403 with nothing"},
    /* Other JSON */
    {"DPC's", 401, NULL, "{\"code\":401,\"message\":\"HTTP 401 Unauthorized\"}", JWT, HS_ANSWER_JSON,
     HSMART_SERVER_REFUSED, BY_ASSERTION " scope enabled", "401 with JSON 401 \"HTTP 401 Unauthorized\""},
    {"Okta's", 400, NULL, "{\"errorCode\":\"E0000021\",\"errorSummary\":\"Bad request\"}", JWT, HS_ANSWER_JSON,
     HSMART_SERVER_REFUSED, BY_ASSERTION " scope enabled", "400 with JSON E0000021 \"Bad request\""},
    {"an object as error", 400, NULL, "{\"error\":{\"code\":\"x1\",\"message\":\"no\"}}", JWT, HS_ANSWER_JSON,
     HSMART_SERVER_REFUSED, BY_ASSERTION " scope enabled", "400 with JSON x1 \"no\""},
    {"a list of errors", 400, NULL, "{\"errors\":[{\"code\":\"x2\",\"detail\":\"nono\"}]}", JWT, HS_ANSWER_JSON,
     HSMART_SERVER_REFUSED, BY_ASSERTION " scope enabled", "400 with JSON x2 \"nono\""},
    {"JSON without words", 400, NULL, "{\"a\":1}", JWT, HS_ANSWER_JSON, HSMART_SERVER_REFUSED,
     BY_ASSERTION " scope enabled", "400 with JSON \"{\"a\":1}\""},
    {"an OperationOutcome", 401, NULL,
     "{\"resourceType\":\"OperationOutcome\",\"issue\":[{\"severity\":\"error\",\"code\":\"security\","
     "\"diagnostics\":\"signature\"}]}",
     JWT, HS_ANSWER_OUTCOME, HSMART_SERVER_REFUSED, "key clock aud kid client-id scope enabled",
     "401 OperationOutcome error security: \"signature\""},
    /* No JSON */
    {"BCDA's text", 401, "Content-Type: text/plain\r\n", "Unauthorized\n", BASIC, HS_ANSWER_TEXT, HSMART_SERVER_REFUSED,
     "client-id secret basic method scope enabled", "401 \"Unauthorized\""},
    {"half an object", 400, NULL, "{\"error\":\"inv", JWT, HS_ANSWER_TEXT, HSMART_SERVER_REFUSED,
     BY_ASSERTION " scope enabled", "400 \"{\"error\":\"inv\""},
    {"a page with a title", 502, "Content-Type: text/html\r\n",
     "<html><head><TITLE>502 Bad\n  Gateway</TITLE></head><body>no</body></html>", JWT, HS_ANSWER_HTML,
     HSMART_SERVER_FAILED, "server", "502 with HTML \"502 Bad Gateway\""},
    {"a page without title", 400, NULL, " <p>not <b>here</b></p>", JWT, HS_ANSWER_HTML, HSMART_SERVER_REFUSED,
     BY_ASSERTION " scope enabled", "400 with HTML \"not here\""},
    {"a page that never closes a tag", 400, NULL, "<p", JWT, HS_ANSWER_HTML, HSMART_SERVER_REFUSED,
     BY_ASSERTION " scope enabled", "400 with HTML"},
    {"nothing", 401, NULL, "", JWT, HS_ANSWER_EMPTY, HSMART_SERVER_REFUSED, BY_ASSERTION " scope enabled",
     "401 with nothing"},
    {"white space", 400, NULL, " \r\n\t", JWT, HS_ANSWER_EMPTY, HSMART_SERVER_REFUSED, BY_ASSERTION " scope enabled",
     "400 with nothing"},
    /* By status alone */
    {"429", 429, NULL, "slow down", JWT, HS_ANSWER_TEXT, HSMART_SERVER_BUSY, "rate", "429 \"slow down\""},
    {"500", 500, NULL, "", JWT, HS_ANSWER_EMPTY, HSMART_SERVER_FAILED, "server", "500 with nothing"},
    {"a redirect", 302, NULL, "", JWT, HS_ANSWER_EMPTY, HSMART_SERVER_FAILED, "endpoint", "302 with nothing"},
    {"404", 404, NULL, "<h1>Not Found</h1>", JWT, HS_ANSWER_HTML, HSMART_SERVER_FAILED, "endpoint",
     "404 with HTML \"Not Found\""},
    {"405", 405, NULL, "", BASIC, HS_ANSWER_EMPTY, HSMART_SERVER_FAILED, "endpoint", "405 with nothing"},
    {"410", 410, NULL, "", JWT, HS_ANSWER_EMPTY, HSMART_SERVER_FAILED, "endpoint", "410 with nothing"},
    {"a login page with 200", 200, NULL, "<title>Log in</title>", JWT, HS_ANSWER_HTML, HSMART_SERVER_FAILED,
     "endpoint server", "200 with HTML \"Log in\""},
    /* What must not reach a terminal, or a log */
    {"escape sequences", 400, NULL, "{\"error\":\"a\\u001b[2Jb\",\"error_description\":\"c\\u0007\\u009b1m\\u202ed\"}",
     JWT, HS_ANSWER_OAUTH, HSMART_SERVER_REFUSED, BY_ASSERTION " scope enabled", "400 a?[2Jb \"c??1m?d\""},
    {"raw control characters", 400, NULL, "no\x1b[31m\x7f way\xff!", JWT, HS_ANSWER_TEXT, HSMART_SERVER_REFUSED,
     BY_ASSERTION " scope enabled", "400 \"no?[31m? way?!\""},
    {"several lines", 400, NULL, "one\r\ntwo\n\n  three", JWT, HS_ANSWER_TEXT, HSMART_SERVER_REFUSED,
     BY_ASSERTION " scope enabled", "400 \"one two three\""},
    {"a secret that is sent back", 400, NULL, "{\"error\":\"bad\",\"error_description\":\"got " LONG_SECRET " here\"}",
     JWT, HS_ANSWER_OAUTH, HSMART_SERVER_REFUSED, BY_ASSERTION " scope enabled", "400 bad \"got 01234567... here\""},
    {"what is short enough is no secret", 400, NULL, "x " SECRET_64, JWT, HS_ANSWER_TEXT, HSMART_SERVER_REFUSED,
     BY_ASSERTION " scope enabled", "400 \"x " SECRET_64 "\""},
};

static void
join_causes(const struct hs_oauth_error *error, char *out, size_t out_len)
{
    size_t len = 0;

    out[0] = 0;
    for (size_t i = 0; i < error->cause_count; i++)
        len += (size_t)snprintf(out + len, out_len - len, "%s%s", i > 0 ? " " : "", error->causes[i]->name);
}

static void
an_answer_is_told(void **state)
{
    const struct answer *row = *state;
    struct fake_exchange fake = {.now_s = FAKE_NOW_S, .lock = PTHREAD_MUTEX_INITIALIZER};
    const struct hs_link link = fake_link(&fake);
    struct hs_http_response response = fake_response(row->status, row->headers, row->body);
    struct hs_oauth_error error;
    char causes[200];
    hsmart_err err = {0};

    response.sent_at_s = response.received_at_s = FAKE_NOW_S;
    hs_oauth_error_read(&response, row->method, &error);
    join_causes(&error, causes, sizeof causes);
    assert_string_equal(causes, row->causes);
    assert_int_equal(error.kind, row->kind);
    assert_int_equal(error.code, row->code);
    assert_int_equal(hs_oauth_error_tell(&error, NULL, &link.log, &err), row->code);
    assert_int_equal(err.code, row->code);
    if (strstr(err.text, row->text) == NULL)
        assert_string_equal(err.text, row->text);
    /* The hint tests the first cause, and each has its own line in the log. */
    char hint[400];
    (void)snprintf(hint, sizeof hint, "%s: %s", error.causes[0]->name, error.causes[0]->test);
    assert_string_equal(err.hint, hint);
    for (size_t i = 0; i < error.cause_count; i++)
        assert_non_null(strstr(fake.log, error.causes[i]->test));
    for (const char *c = err.text; *c != 0; c++)
        assert_true((unsigned char)*c >= ' ' && *c != 0x7f);
    hs_http_response_clear(&response);
    fake_exchange_clear(&fake);
}

/* A long answer of a server leaves room for what we have to say. */
static void
a_long_description_is_cut(void **state)
{
    (void)state;
    struct hs_buf body = {0};
    struct hs_log log = {0};
    struct hs_oauth_error error;
    hsmart_err err = {0};

    assert_int_equal(hs_buf_append_str(&body, "{\"error\":\"invalid_client\",\"error_description\":\"", NULL),
                     HSMART_OK);
    for (int i = 0; i < 20000; i++)
        assert_int_equal(hs_buf_append_str(&body, "\u00e9 ", NULL), HSMART_OK);
    assert_int_equal(hs_buf_append_str(&body, "\"}", NULL), HSMART_OK);
    struct hs_http_response response = fake_response(400, NULL, hs_buf_text(&body));
    hs_oauth_error_read(&response, JWT, &error);
    (void)hs_oauth_error_tell(&error, "epic", &log, &err);
    assert_non_null(strstr(err.text, "the server refused the client \"epic\": 400 invalid_client \""));
    assert_non_null(strstr(err.text, "look at, in this order: clock, aud, kid, client-id, key"));
    assert_true(strlen(error.description) < sizeof error.description);
    hs_buf_clear(&body);
    hs_http_response_clear(&response);
}

static void
a_cause_can_be_tested(void **state)
{
    const struct hs_oauth_cause *cause = *state;

    assert_true(strlen(cause->words) > 0 && strlen(cause->test) > 0 && strlen(cause->clues) > 0);
    assert_true(strlen(cause->name) + strlen(cause->test) + 3 < sizeof((hsmart_err *)NULL)->hint);
}

/* Every answer has a cause, whatever its status and error: none is missing in the table. */
static void
there_is_a_cause_for_everything(void **state)
{
    (void)state;
    static const char *const bodies[] = {"", "{\"error\":\"invalid_client\"}",
                                         "{\"error\":\"invalid_client_metadata\"}",
                                         "{\"error\":\"invalid_software_statement\"}", "{\"error\":\"x\"}"};
    static const enum hs_auth_method methods[] = {NOBODY, JWT, BASIC, HS_AUTH_SECRET_POST};

    for (int status = 100; status < 1000; status++)
        for (size_t i = 0; i < HS_ARRAY_LEN(bodies); i++)
            for (size_t j = 0; j < HS_ARRAY_LEN(methods); j++) {
                struct hs_oauth_error error;
                struct hs_http_response response = fake_response(status, NULL, bodies[i]);
                hs_oauth_error_read(&response, methods[j], &error);
                assert_in_range(error.cause_count, 1, HS_OAUTH_CAUSES_MAX);
                hs_http_response_clear(&response);
            }
}

static bool
is_setting(const char *word, size_t len)
{
    for (size_t i = 0; i < hs_config_setting_count; i++)
        if (strlen(hs_config_settings[i].name) == len && memcmp(hs_config_settings[i].name, word, len) == 0)
            return true;
    return false;
}

/* In backquotes stands a command, or a setting with or without its value. */
static void
a_cure_names_settings_that_exist(void **state)
{
    (void)state;
    for (size_t i = 0; i < hs_oauth_cause_count; i++) {
        const char *at = hs_oauth_causes[i].test;
        while ((at = strchr(at, '`')) != NULL) {
            const char *end = strchr(++at, '`');
            assert_non_null(end);
            size_t len = strcspn(at, " `");
            if (strncmp(at, "hsmart ", 7) != 0 && strncmp(at, "date ", 5) != 0 && !is_setting(at, len))
                fail_msg("cause \"%s\": there is no setting \"%.*s\"", hs_oauth_causes[i].name, (int)len, at);
            at = end + 1;
        }
    }
}

/* ---- OperationOutcome ---- */

#define OUTCOME(issues) "{\"resourceType\":\"OperationOutcome\",\"issue\":[" issues "]}"

static struct outcome {
    const char *name, *json, *line; /* NULL: it is none */
} outcomes[] = {
    {"diagnostics", OUTCOME("{\"severity\":\"error\",\"code\":\"expired\",\"diagnostics\":\"Token has expired\"}"),
     "OperationOutcome error expired: \"Token has expired\""},
    {"the text of details", OUTCOME("{\"severity\":\"error\",\"code\":\"x\",\"details\":{\"text\":\"T\"}}"),
     "OperationOutcome error x: \"T\""},
    {"the display of a coding",
     OUTCOME("{\"code\":\"x\",\"details\":{\"coding\":[{\"code\":\"c\",\"display\":\"D\"}]}}"),
     "OperationOutcome x: \"D\""},
    {"the code of a coding", OUTCOME("{\"details\":{\"coding\":[{\"code\":\"c\"}]}}"), "OperationOutcome: \"c\""},
    {"the gravest of several",
     OUTCOME("{\"severity\":\"information\",\"code\":\"a\"},{\"severity\":\"fatal\",\"code\":\"b\"},{\"severity\":"
             "\"error\"}"),
     "OperationOutcome fatal b (and 2 more)"},
    {"members of the wrong type", OUTCOME("{\"severity\":1,\"code\":[],\"details\":\"x\",\"diagnostics\":{}}"),
     "OperationOutcome"},
    {"an issue that is none", OUTCOME("7"), "OperationOutcome"},
    {"control characters", OUTCOME("{\"diagnostics\":\"a\\u001b]0;b\\u0007\"}"), "OperationOutcome: \"a?]0;b?\""},
    {"no issue", OUTCOME(""), NULL},
    {"another resource", "{\"resourceType\":\"Patient\",\"issue\":[{}]}", NULL},
    {"no object", "[]", NULL},
};

static void
an_outcome_is_one_line(void **state)
{
    const struct outcome *row = *state;
    struct hs_json_doc doc = {0};
    char line[300] = "untouched";

    assert_int_equal(hs_json_parse(span(row->json), &doc, NULL), HSMART_OK);
    assert_int_equal(hs_operation_outcome_line(doc.root, line, sizeof line), row->line != NULL);
    assert_string_equal(line, row->line != NULL ? row->line : "untouched");
    hs_json_doc_clear(&doc);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, an_answer_is_told, answers);
    ADD_TEST(&rows, a_long_description_is_cut);
    for (size_t i = 0; i < hs_oauth_cause_count; i++)
        rows_add(&rows, "a_cause_can_be_tested", a_cause_can_be_tested, (void *)(uintptr_t)&hs_oauth_causes[i]);
    ADD_TEST(&rows, there_is_a_cause_for_everything);
    ADD_TEST(&rows, a_cure_names_settings_that_exist);
    ADD_ROWS(&rows, an_outcome_is_one_line, outcomes);
    return rows_run("oauth_error", &rows);
}
