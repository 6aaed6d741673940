/* What an access token response is taken for. */
#include "rows.h"

#include "fake_exchange.h"
#include "token_response.h"

/* ---- Lives ---- */

static struct life {
    const char *name, *expires_in; /* as written, with its comma; "": absent */
    int64_t life_s;
    const char *warning;           /* part of it; NULL: none */
} lives[] = {
    {"a number", ",\"expires_in\":300", 300, NULL},
    {"an hour", ",\"expires_in\":3600", 3600, NULL},
    {"a short one", ",\"expires_in\":3", 3, NULL},
    {"digits, as BCDA sends them", ",\"expires_in\":\"1200\"", 1200, NULL},
    {"digits, as NHS sends them", ",\"expires_in\":\"599\"", 599, NULL},
    {"a fraction", ",\"expires_in\":299.9", 299, NULL},
    {"an exponent", ",\"expires_in\":3e2", 300, NULL},
    {"absent", "", 300, "expires_in is absent"},
    {"null", ",\"expires_in\":null", 300, "300 s are assumed"},
    {"a word", ",\"expires_in\":\"soon\"", 300, "300 s are assumed"},
    {"an empty string", ",\"expires_in\":\"\"", 300, "300 s are assumed"},
    {"a sign in a string", ",\"expires_in\":\"-1\"", 300, "300 s are assumed"},
    {"true", ",\"expires_in\":true", 300, "300 s are assumed"},
    {"zero", ",\"expires_in\":0", 10, "makes no sense"},
    {"a negative number", ",\"expires_in\":-60", 10, "makes no sense"},
    {"half a second", ",\"expires_in\":0.5", 10, "makes no sense"},
    {"a date in milliseconds", ",\"expires_in\":1764000000000", 86400, "makes no sense"},
    {"beyond 64 bits", ",\"expires_in\":99999999999999999999999", 86400, "makes no sense"},
    {"beyond 64 bits in a string", ",\"expires_in\":\"99999999999999999999999\"", 86400, "makes no sense"},
    {"infinite", ",\"expires_in\":1e999", 86400, "makes no sense"},
};

static void
a_life_counts_from_the_request_and_is_clamped(void **state)
{
    const struct life *row = *state;
    struct fake_exchange fake = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct hs_link link = fake_link(&fake);
    struct hs_access_token access_token = {0};
    char body[256];

    (void)snprintf(body, sizeof body, "{\"access_token\":\"secret-value\",\"token_type\":\"bearer\"%s}", row->expires_in);
    struct hs_http_response response = fake_response(200, NULL, body);
    response.sent_at_s = 1000;
    response.received_at_s = 1020;
    assert_int_equal(hs_token_response_parse(&response, NULL, &link.log, &access_token, NULL), HSMART_OK);
    assert_int_equal(access_token.sent_at_s, 1000);
    assert_int_equal(hs_access_token_life_s(&access_token), row->life_s);
    assert_int_equal(hs_access_token_remaining_s(&access_token, 1020), row->life_s - 20);
    assert_int_equal(hs_access_token_remaining_s(&access_token, 999), 0);
    if (row->warning == NULL)
        assert_string_equal(fake.log, "");
    else
        assert_non_null(strstr(fake.log, row->warning));
    assert_null(strstr(fake.log, "secret-value"));
    hs_access_token_clear(&access_token);
    hs_http_response_clear(&response);
}

/* ---- Answers ---- */

#define A "\"access_token\":\"aA0-._~+/=\""
#define T ",\"token_type\":\"Bearer\",\"expires_in\":300"
static struct answer {
    const char *name, *body;
    enum hsmart_code code;
    const char *scope;   /* as told to the user; NULL: none */
    const char *warning; /* NULL: none */
} answers[] = {
    {"bearer", "{" A ",\"token_type\":\"bearer\",\"expires_in\":1}", HSMART_OK, "a b", NULL},
    {"BEARER", "{" A ",\"token_type\":\"BEARER\",\"expires_in\":1}", HSMART_OK, "a b", NULL},
    {"no type", "{" A ",\"expires_in\":1}", HSMART_OK, "a b", "Bearer is assumed"},
    {"mac", "{" A ",\"token_type\":\"mac\",\"expires_in\":1}", HSMART_SERVER_FAILED, NULL, NULL},
    {"a type that is a number", "{" A ",\"token_type\":1,\"expires_in\":1}", HSMART_SERVER_FAILED, NULL, NULL},
    {"the same scope", "{" A T ",\"scope\":\"b a\"}", HSMART_OK, "b a", NULL},
    {"a narrower scope", "{" A T ",\"scope\":\"a\"}", HSMART_OK, "a", "missing: b"},
    {"a wider scope", "{" A T ",\"scope\":\"a b c\"}", HSMART_OK, "a b c", NULL},
    {"an empty scope", "{" A T ",\"scope\":\"\"}", HSMART_OK, "", "missing: a b"},
    {"unknown members", "{" A T ",\"x\":{\"y\":[]}}", HSMART_OK, "a b", NULL},
    {"no access token", "{\"token_type\":\"bearer\"}", HSMART_SERVER_FAILED, NULL, NULL},
    {"an empty one", "{\"access_token\":\"\"" T "}", HSMART_SERVER_FAILED, NULL, NULL},
    {"a number", "{\"access_token\":1" T "}", HSMART_SERVER_FAILED, NULL, NULL},
    {"a line end in it", "{\"access_token\":\"a\\r\\nX: y\"" T "}", HSMART_SERVER_FAILED, NULL, NULL},
    {"a space in it", "{\"access_token\":\"a b\"" T "}", HSMART_SERVER_FAILED, NULL, NULL},
    {"a NUL in it", "{\"access_token\":\"a\\u0000b\"" T "}", HSMART_SERVER_FAILED, NULL, NULL},
    {"not ASCII", "{\"access_token\":\"\\u00e4\"" T "}", HSMART_SERVER_FAILED, NULL, NULL},
    {"a = in the middle", "{\"access_token\":\"a=b\"" T "}", HSMART_SERVER_FAILED, NULL, NULL},
    {"only =", "{\"access_token\":\"==\"" T "}", HSMART_SERVER_FAILED, NULL, NULL},
    {"an array", "[]", HSMART_SERVER_FAILED, NULL, NULL},
    {"HTML", "<html>", HSMART_SERVER_FAILED, NULL, NULL},
    {"nothing", "", HSMART_SERVER_FAILED, NULL, NULL},
    {"two access tokens", "{" A ",\"access_token\":\"b\"" T "}", HSMART_SERVER_FAILED, NULL, NULL},
};

static void
an_answer_is_a_usable_access_token_or_an_error(void **state)
{
    const struct answer *row = *state;
    struct fake_exchange fake = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct hs_link link = fake_link(&fake);
    struct hs_access_token access_token = {0};
    struct hs_http_response response = fake_response(200, NULL, row->body);
    hsmart_err err = {0};

    assert_int_equal(hs_token_response_parse(&response, "a b", &link.log, &access_token, &err), row->code);
    if (row->code == HSMART_OK) {
        assert_string_equal(hs_buf_text(&access_token.value), "aA0-._~+/=");
        assert_string_equal(access_token.scope, row->scope);
    } else {
        assert_int_equal(access_token.value.len, 0);
        assert_string_not_equal(err.text, "");
        assert_null(strstr(err.text, "aA0"));
    }
    if (row->warning == NULL)
        assert_string_equal(fake.log, "");
    else
        assert_non_null(strstr(fake.log, row->warning));
    hs_access_token_clear(&access_token);
    hs_http_response_clear(&response);
}

static void
thirty_two_kibibytes_and_a_refresh_token_are_taken(void **state)
{
    (void)state;
    struct hs_buf body = {0};
    struct hs_access_token access_token = {0}, copy = {0};

    assert_int_equal(hs_buf_append_str(&body, "{\"refresh_token\":\"r\",\"token_type\":\"Bearer\",\"access_token\":\"", NULL),
                     HSMART_OK);
    for (unsigned i = 0; i < 32 * 1024; i++)
        assert_int_equal(hs_buf_append_str(&body, "x", NULL), HSMART_OK);
    assert_int_equal(hs_buf_append_str(&body, "\"}", NULL), HSMART_OK);
    struct hs_http_response response = fake_response(200, NULL, hs_buf_text(&body));
    assert_int_equal(hs_token_response_parse(&response, NULL, NULL, &access_token, NULL), HSMART_OK);
    assert_int_equal(access_token.value.len, 32 * 1024);
    assert_string_equal(hs_buf_text(&access_token.refresh_token), "r");
    assert_null(access_token.scope);
    assert_int_equal(hs_access_token_dup(&access_token, &copy, NULL), HSMART_OK);
    assert_true(hs_span_equal(hs_span_buf(&copy.value), hs_span_buf(&access_token.value)));
    hs_access_token_clear(&copy);
    hs_access_token_clear(&access_token);
    hs_http_response_clear(&response);
    hs_buf_clear(&body);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, a_life_counts_from_the_request_and_is_clamped, lives);
    ADD_ROWS(&rows, an_answer_is_a_usable_access_token_or_an_error, answers);
    ADD_TEST(&rows, thirty_two_kibibytes_and_a_refresh_token_are_taken);
    return rows_run("token_response", &rows);
}
