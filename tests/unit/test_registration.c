/* What is registered, what the server made of it, and how it is kept. */
#include "rows.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_exchange.h"
#include "json.h"
#include "registration.h"

#define ENDPOINT "https://h/register"
#define JWKS_URI "https://us/jwks.json"
/* RFC 7515 appendix A.3.1, the public half. */
#define KEY                                                                                                            \
    "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                          \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define JWKS "{\"keys\":[{" KEY ",\"kid\":\"1\"}]}"
#define PRIVATE_JWKS "{\"keys\":[{" KEY ",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}]}"

/* ---- The request ---- */

static struct body {
    const char *name;
    struct hs_registration_request request;
    const char *json; /* NULL: refused */
} bodies[] = {
    {"keys by URL",
     {.jwks_uri = JWKS_URI, .scope = "system/*.rs"},
     "{\"token_endpoint_auth_method\":\"private_key_jwt\",\"grant_types\":[\"client_credentials\"],\"response_types\":["
     "],"
     "\"scope\":\"system/*.rs\",\"jwks_uri\":\"" JWKS_URI "\"}"},
    {"keys by value",
     {.jwks = JWKS},
     "{\"token_endpoint_auth_method\":\"private_key_jwt\",\"grant_types\":[\"client_credentials\"],\"response_types\":["
     "],"
     "\"jwks\":" JWKS "}"},
    {"a secret",
     {.method = HS_AUTH_SECRET_BASIC, .client_name = "A \"B\""},
     "{\"token_endpoint_auth_method\":\"client_secret_basic\",\"grant_types\":[\"client_credentials\"],"
     "\"response_types\":[],\"client_name\":\"A \\\"B\\\"\"}"},
    {"everything",
     {.jwks_uri = JWKS_URI,
      .signing_alg = "ES384",
      .client_uri = "https://us",
      .contact = "mailto:a@b",
      .software_id = "i",
      .software_version = "1",
      .software_statement = "a.b.c"},
     "{\"token_endpoint_auth_method\":\"private_key_jwt\",\"grant_types\":[\"client_credentials\"],\"response_types\":["
     "],"
     "\"client_uri\":\"https://us\",\"software_id\":\"i\",\"software_version\":\"1\",\"software_statement\":\"a.b.c\","
     "\"token_endpoint_auth_signing_alg\":\"ES384\",\"jwks_uri\":\"" JWKS_URI "\",\"contacts\":[\"mailto:a@b\"]}"},
    {"keys both ways", {.jwks = JWKS, .jwks_uri = JWKS_URI}, NULL},
    {"no keys", {.scope = "s"}, NULL},
    {"a private key", {.jwks = PRIVATE_JWKS}, NULL},
    {"a bare key", {.jwks = "{" KEY "}"}, NULL},
    {"an empty set", {.jwks = "{\"keys\":[]}"}, NULL},
    {"keys that are no JSON", {.jwks = "x"}, NULL},
    {"an http URL", {.jwks_uri = "http://us/jwks.json"}, NULL},
};

static void
the_body_says_everything_in_so_many_words(void **state)
{
    const struct body *row = *state;
    struct hs_buf json = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_registration_format(&row->request, &json, &err),
                     row->json != NULL ? HSMART_OK : HSMART_INVALID_ARGUMENT);
    assert_string_equal(hs_buf_text(&json), row->json != NULL ? row->json : "");
    assert_null(strstr(err.text, "jpsQ"));
    hs_buf_clear(&json);
}

/* ---- The answer ---- */

static struct answer {
    const char *name;
    struct fake_answer answer;
    enum hsmart_code code;
    const char *text; /* part of the error, or of the one difference; NULL: neither */
} answers[] = {
    {"201", {.status = 201, .body = "{\"client_id\":\"c\"}"}, HSMART_OK, NULL},
    {"200", {.status = 200, .body = "{\"client_id\":\"c\",\"unknown\":{}}"}, HSMART_OK, NULL},
    {"the echo is the same",
     {.status = 201,
      .body = "{\"client_id\":\"c\",\"token_endpoint_auth_method\":\"private_key_jwt\",\"scope\":\"b a\","
              "\"grant_types\":[\"x\",\"client_credentials\"],\"jwks_uri\":\"" JWKS_URI "\"}"},
     HSMART_OK,
     NULL},
    {"a scope is lost",
     {.status = 201, .body = "{\"client_id\":\"c\",\"scope\":\"a\"}"},
     HSMART_OK,
     "scope: asked for \"a b\", got \"a\""},
    {"a scope is added",
     {.status = 201, .body = "{\"client_id\":\"c\",\"scope\":\"a b c\"}"},
     HSMART_OK,
     "scope: asked for \"a b\", got \"a b c\""},
    {"the grant is lost",
     {.status = 201, .body = "{\"client_id\":\"c\",\"grant_types\":[\"authorization_code\"]}"},
     HSMART_OK,
     "client_credentials was not granted"},
    {"another URL",
     {.status = 201, .body = "{\"client_id\":\"c\",\"jwks_uri\":\"https://evil/\"}"},
     HSMART_OK,
     "jwks_uri"},
    {"another method of ours",
     {.status = 201, .body = "{\"client_id\":\"c\",\"token_endpoint_auth_method\":\"client_secret_post\"}"},
     HSMART_OK,
     "token_endpoint_auth_method"},
    {"a method that is not ours",
     {.status = 201, .body = "{\"client_id\":\"cid\",\"token_endpoint_auth_method\":\"tls_client_auth\"}"},
     HSMART_POLICY_REFUSED,
     "\"cid\""},
    {"no client id", {.status = 201, .body = "{}"}, HSMART_SERVER_FAILED, "no client id"},
    {"an empty client id", {.status = 201, .body = "{\"client_id\":\"\"}"}, HSMART_SERVER_FAILED, "no client id"},
    {"no JSON", {.status = 201, .body = "ok"}, HSMART_SERVER_FAILED, "no registration"},
    {"an array", {.status = 201, .body = "[]"}, HSMART_SERVER_FAILED, "no client id"},
    {"refused metadata",
     {.status = 400, .body = "{\"error\":\"invalid_client_metadata\",\"error_description\":\"bad scope\"}"},
     HSMART_SERVER_REFUSED,
     "400 invalid_client_metadata \"bad scope\""},
    {"a refused redirect URI",
     {.status = 400, .body = "{\"error\":\"invalid_redirect_uri\"}"},
     HSMART_SERVER_REFUSED,
     "metadata"},
    {"an unapproved statement",
     {.status = 400, .body = "{\"error\":\"unapproved_software_statement\"}"},
     HSMART_SERVER_REFUSED,
     "statement"},
    {"no initial access token", {.status = 401}, HSMART_SERVER_REFUSED, "initial-token"},
    {"a redirect", {.status = 307, .headers = "Location: https://evil/\r\n"}, HSMART_SERVER_FAILED, "307"},
    {"503 is not tried again", {.status = 503}, HSMART_SERVER_FAILED, "503"},
    {"a lost answer is not asked for again", {.code = HSMART_NETWORK_FAILED}, HSMART_NETWORK_FAILED, "told to fail"},
};

static void
an_answer_is_compared_with_what_was_asked(void **state)
{
    const struct answer *row = *state;
    struct fake_exchange fake = FAKE_EXCHANGE_OF(&row->answer, 1);
    struct hs_link link = fake_link(&fake);
    struct hs_registration_request request = {
        .registration_endpoint = ENDPOINT, .jwks_uri = JWKS_URI, .scope = "a b", .initial_access_token = "tok.en"};
    struct hs_registration registration = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_registration_send(&request, &link, &registration, &err), row->code);
    assert_int_equal(fake.request_count, 1);
    assert_string_equal(fake.requests[0].method, "POST");
    assert_string_equal(fake.requests[0].url, ENDPOINT);
    assert_string_equal(fake_header(&fake, 0, "Content-Type"), "application/json");
    assert_string_equal(fake_header(&fake, 0, "Authorization"), "Bearer tok.en");
    if (row->code != HSMART_OK) {
        assert_non_null(strstr(err.text, row->text));
        assert_null(registration.client_id);
    } else {
        assert_string_equal(registration.client_id, "c");
        assert_int_equal(registration.differences.count, row->text != NULL ? 1 : 0);
        if (row->text != NULL)
            assert_non_null(strstr(registration.differences.items[0], row->text));
    }
    hs_registration_clear(&registration);
    fake_exchange_clear(&fake);
}

static void
no_initial_access_token_means_no_header(void **state)
{
    (void)state;
    static const struct fake_answer good[] = {{.status = 201, .body = "{\"client_id\":\"c\"}"}};
    struct fake_exchange fake = FAKE_EXCHANGE(good);
    struct hs_link link = fake_link(&fake);
    struct hs_registration_request request = {.registration_endpoint = ENDPOINT, .jwks_uri = JWKS_URI};
    struct hs_registration registration = {0};

    assert_int_equal(hs_registration_send(&request, &link, &registration, NULL), HSMART_OK);
    assert_null(fake_header(&fake, 0, "Authorization"));
    request.initial_access_token = "a\r\nX: y";
    assert_int_equal(hs_registration_send(&request, &link, &registration, NULL), HSMART_INVALID_ARGUMENT);
    request.registration_endpoint = NULL;
    assert_int_equal(hs_registration_send(&request, &link, &registration, NULL), HSMART_INVALID_ARGUMENT);
    assert_int_equal(fake.request_count, 1);
    hs_registration_clear(&registration);
    fake_exchange_clear(&fake);
}

/* ---- The SMART reference server's form ---- */

static struct form {
    const char *name;
    struct hs_registration_request request;
    unsigned duration_min;
    struct fake_answer answer;
    const char *body; /* that was sent; NULL: nothing */
    enum hsmart_code code;
} forms[] = {
    {"keys by URL",
     {.jwks_uri = JWKS_URI},
     15,
     {.status = 200, .body = "eyJ.abc-_\n"},
     "jwks_url=https%3A%2F%2Fus%2Fjwks.json&dur=15",
     HSMART_OK},
    {"no duration",
     {.jwks_uri = JWKS_URI},
     0,
     {.status = 200, .body = "eyJ.abc-_"},
     "jwks_url=https%3A%2F%2Fus%2Fjwks.json",
     HSMART_OK},
    {"an object all the same",
     {.jwks_uri = JWKS_URI},
     0,
     {.status = 200, .body = "{\"client_id\":\"eyJ.abc-_\"}"},
     "jwks_url=https%3A%2F%2Fus%2Fjwks.json",
     HSMART_OK},
    {"HTML",
     {.jwks_uri = JWKS_URI},
     0,
     {.status = 200, .body = "<html> x"},
     "jwks_url=https%3A%2F%2Fus%2Fjwks.json",
     HSMART_SERVER_FAILED},
    {"nothing",
     {.jwks_uri = JWKS_URI},
     0,
     {.status = 200},
     "jwks_url=https%3A%2F%2Fus%2Fjwks.json",
     HSMART_SERVER_FAILED},
    {"refused",
     {.jwks_uri = JWKS_URI},
     0,
     {.status = 400, .body = "Invalid JWKS"},
     "jwks_url=https%3A%2F%2Fus%2Fjwks.json",
     HSMART_SERVER_REFUSED},
    {"both", {.jwks_uri = JWKS_URI, .jwks = JWKS}, 0, {.status = 200}, NULL, HSMART_INVALID_ARGUMENT},
    {"a secret", {.method = HS_AUTH_SECRET_BASIC}, 0, {.status = 200}, NULL, HSMART_INVALID_ARGUMENT},
};

static void
the_form_is_answered_by_a_bare_client_id(void **state)
{
    struct form *row = *state;
    struct fake_exchange fake = FAKE_EXCHANGE_OF(&row->answer, 1);
    struct hs_link link = fake_link(&fake);
    struct hs_registration registration = {0};

    row->request.registration_endpoint = ENDPOINT;
    assert_int_equal(hs_registration_send_form(&row->request, row->duration_min, &link, &registration, NULL),
                     row->code);
    assert_int_equal(fake.request_count, row->body != NULL ? 1 : 0);
    if (row->body != NULL) {
        assert_string_equal(fake.requests[0].body, row->body);
        assert_string_equal(fake_header(&fake, 0, "Content-Type"), "application/x-www-form-urlencoded");
    }
    if (row->code == HSMART_OK)
        assert_string_equal(registration.client_id, "eyJ.abc-_");
    hs_registration_clear(&registration);
    fake_exchange_clear(&fake);
}

/* ---- Keeping ---- */

static void
a_registration_survives_the_file_and_nobody_else_can_read_it(void **state)
{
    (void)state;
    static const struct fake_answer full[] = {
        {.status = 201,
         .body = "{\"client_id\":\"c\\\"\\u00e4\",\"client_secret\":\"s3cret\",\"client_secret_expires_at\":1800000000,"
                 "\"registration_client_uri\":\"https://h/r/c\",\"registration_access_token\":\"management\"}"}};
    struct fake_exchange fake = FAKE_EXCHANGE(full);
    struct hs_link link = fake_link(&fake);
    struct hs_registration_request request = {.registration_endpoint = ENDPOINT, .method = HS_AUTH_SECRET_BASIC};
    struct hs_registration registration = {0}, read = {0};
    struct stat status;
    char path[] = "/tmp/hsmart-registration-XXXXXX";
    hsmart_err err = {0};

    assert_true(close(mkstemp(path)) == 0);
    assert_int_equal(hs_registration_send(&request, &link, &registration, NULL), HSMART_OK);
    assert_null(strstr(fake.log, "s3cret"));
    assert_null(strstr(fake.log, "management"));
    assert_int_equal(hs_registration_save(&registration, path, NULL), HSMART_OK);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(hs_registration_load(path, &read, NULL), HSMART_OK);
    assert_string_equal(read.client_id, registration.client_id);
    assert_true(hs_span_equal_str(hs_span_buf(&read.client_secret), "s3cret"));
    assert_int_equal(read.client_secret_expires_at_s, 1800000000);
    assert_string_equal(read.registration_client_uri, "https://h/r/c");
    assert_true(hs_span_equal_str(hs_span_buf(&read.registration_access_token), "management"));
    assert_string_equal(read.registration_endpoint, ENDPOINT);
    assert_int_equal(read.registered_at_s, FAKE_NOW_S);

    assert_int_equal(chmod(path, 0644), 0);
    hs_registration_clear(&read);
    assert_int_equal(hs_registration_load(path, &read, &err), HSMART_PIN_UNAVAILABLE);
    assert_null(read.client_id);
    (void)unlink(path);
    err = (hsmart_err){0};
    assert_int_equal(hs_registration_load(path, &read, &err), HSMART_PIN_UNAVAILABLE);
    assert_non_null(strstr(err.hint, "hsmart register")); /* and not the cure for a PIN */
    hs_registration_clear(&registration);
    fake_exchange_clear(&fake);
}

static struct expiry {
    const char *name, *json;
    int64_t expires_at_s;
} expiries[] = {
    {"a number", "1800000000", 1800000000},
    {"never", "0", 0},
    {"digits in a string", "\"1800000000\"", 1800000000},
    {"never, in a string", "\"0\"", 0},
    {"with a fraction", "1800000000.5", 1800000000},
    {"null", "null", 0},
    {"less than nothing", "-1", 0},
    {"words", "\"never\"", 0},
    {"after the year 9999", "1e30", 253402300800},
};

static void
the_end_of_a_secret_is_read_in_any_form(void **state)
{
    const struct expiry *row = *state;
    char body[200];

    (void)snprintf(body, sizeof body, "{\"client_id\":\"c\",\"client_secret\":\"s\",\"client_secret_expires_at\":%s}",
                   row->json);
    struct fake_answer answer = {.status = 201, .body = body};
    struct fake_exchange fake = FAKE_EXCHANGE_OF(&answer, 1);
    struct hs_link link = fake_link(&fake);
    struct hs_registration_request request = {.registration_endpoint = ENDPOINT, .method = HS_AUTH_SECRET_BASIC};
    struct hs_registration registration = {0};

    assert_int_equal(hs_registration_send(&request, &link, &registration, NULL), HSMART_OK);
    assert_int_equal(registration.client_secret_expires_at_s, row->expires_at_s);
    hs_registration_clear(&registration);
    fake_exchange_clear(&fake);
}

static void
another_file_is_no_registration(void **state)
{
    (void)state;
    char path[] = "/tmp/hsmart-registration-XXXXXX";
    struct hs_registration read = {0};
    hsmart_err err = {0};
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "{\"client_id\":\"c\"}", 17), 17);
    assert_int_equal(close(fd), 0);
    assert_int_equal(hs_registration_load(path, &read, &err), HSMART_INPUT_MALFORMED);
    assert_non_null(strstr(err.text, "is no registration: it has no \"hsmart_registration\": 1"));
    assert_null(read.client_id);
    (void)unlink(path);
}

static struct secret {
    const char *name, *value;
    int64_t expires_at_s;
    enum hsmart_code code;
} secrets[] = {
    {"never expires", "s", 0, HSMART_OK},
    {"expires later", "s", FAKE_NOW_S + 1, HSMART_OK},
    {"expires now", "s", FAKE_NOW_S, HSMART_POLICY_REFUSED},
    {"has expired", "s", FAKE_NOW_S - 100, HSMART_POLICY_REFUSED},
    {"there is none", "", 0, HSMART_CONFIG_INVALID},
};

static void
an_expired_secret_is_not_used(void **state)
{
    const struct secret *row = *state;
    struct hs_registration registration = {.client_secret_expires_at_s = row->expires_at_s};
    struct hs_secret secret = {0};

    assert_int_equal(hs_buf_append_str(&registration.client_secret, row->value, NULL), HSMART_OK);
    assert_int_equal(hs_registration_secret(&registration, FAKE_NOW_S, &secret, NULL), row->code);
    assert_int_equal(secret.len, row->code == HSMART_OK ? 1 : 0);
    hs_secret_clear(&secret);
    hs_registration_clear(&registration);
}

static void
a_client_id_of_sixteen_kibibytes_survives(void **state)
{
    (void)state;
    struct hs_buf body = {0};
    char path[] = "/tmp/hsmart-registration-XXXXXX";

    assert_int_equal(hs_buf_append_str(&body, "{\"client_id\":\"", NULL), HSMART_OK);
    while (body.len < 16 * 1024)
        assert_int_equal(hs_buf_append_str(&body, "MDAy+/=", NULL), HSMART_OK);
    assert_int_equal(hs_buf_append_str(&body, "\"}", NULL), HSMART_OK);
    struct fake_answer answer = {.status = 201, .body = hs_buf_text(&body)};
    struct fake_exchange fake = FAKE_EXCHANGE_OF(&answer, 1);
    struct hs_link link = fake_link(&fake);
    struct hs_registration_request request = {.registration_endpoint = ENDPOINT, .jwks_uri = JWKS_URI};
    struct hs_registration registration = {0}, read = {0};

    assert_true(close(mkstemp(path)) == 0);
    assert_int_equal(hs_registration_send(&request, &link, &registration, NULL), HSMART_OK);
    assert_true(strlen(registration.client_id) > 16 * 1024 - 20);
    assert_int_equal(hs_registration_save(&registration, path, NULL), HSMART_OK);
    assert_int_equal(hs_registration_load(path, &read, NULL), HSMART_OK);
    assert_string_equal(read.client_id, registration.client_id);
    (void)unlink(path);
    hs_registration_clear(&registration);
    hs_registration_clear(&read);
    fake_exchange_clear(&fake);
    hs_buf_clear(&body);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, the_body_says_everything_in_so_many_words, bodies);
    ADD_ROWS(&rows, an_answer_is_compared_with_what_was_asked, answers);
    ADD_TEST(&rows, no_initial_access_token_means_no_header);
    ADD_ROWS(&rows, the_form_is_answered_by_a_bare_client_id, forms);
    ADD_TEST(&rows, a_registration_survives_the_file_and_nobody_else_can_read_it);
    ADD_ROWS(&rows, the_end_of_a_secret_is_read_in_any_form, expiries);
    ADD_TEST(&rows, another_file_is_no_registration);
    ADD_ROWS(&rows, an_expired_secret_is_not_used, secrets);
    ADD_TEST(&rows, a_client_id_of_sixteen_kibibytes_survives);
    return rows_run("registration", &rows);
}
