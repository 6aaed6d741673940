/* Discovery, retries, refresh tokens and refusals of one client put together, with a server behind the seam. */
#include "rows.h"

#include "backend.h"
#include "err.h"
#include "fake_exchange.h"

#define BASE "https://ehr.example/fhir"
#define DISCOVERY                                                                                                      \
    {                                                                                                                  \
        "smart-configuration", 0, 0, 200, "Content-Type: application/json\r\nCache-Control: max-age=3600\r\n",         \
            "{\"token_endpoint\":\"https://ehr.example/token\"}", 0                                                    \
    }
#define TOKEN(value) "{\"access_token\":\"" value "\",\"token_type\":\"Bearer\",\"expires_in\":300}"
#define TOKEN_AND_REFRESH(value)                                                                                       \
    "{\"access_token\":\"" value "\",\"token_type\":\"Bearer\",\"expires_in\":300,\"refresh_token\":\"r-" value "\"}"
#define REFUSED(error) "{\"error\":\"" error "\"}"

static unsigned assertions_made;

static enum hsmart_code
make_assertion(void *arg, const char *client_id, const char *audience, const char *algs, struct hs_buf *out_jwt,
               hsmart_err *err)
{
    (void)arg, (void)client_id, (void)algs;
    return hs_buf_append_format(out_jwt, err, "%s.%u", audience, ++assertions_made);
}

/* Two access tokens are asked for, the second after the first has ended. What was sent is told as a line: "d" for
 * discovery, "c" for client_credentials, "r" for a refresh token. */
static struct course {
    const char *name;
    bool use_refresh_token;
    const char *token_endpoint, *pin;
    unsigned max_attempts;
    struct fake_answer answers[5];
    const char *sent;
    enum hsmart_code first, second;
    const char *text;  /* of the last failure */
    const char *value; /* of the last access token */
} courses[] = {
    {"discovery once, two requests",
     false,
     NULL,
     NULL,
     0,
     {DISCOVERY, {"token", 0, 0, 200, NULL, TOKEN("a"), 0}},
     "dcc",
     HSMART_OK,
     HSMART_OK,
     NULL,
     "a"},
    {"a token endpoint that is configured",
     false,
     "https://ehr.example/token",
     NULL,
     0,
     {{"token", 0, 0, 200, NULL, TOKEN("a"), 0}},
     "cc",
     HSMART_OK,
     HSMART_OK,
     NULL,
     "a"},
    {"a pin that does not fit",
     false,
     NULL,
     "https://other.example",
     0,
     {DISCOVERY},
     "d",
     HSMART_POLICY_REFUSED,
     HSMART_POLICY_REFUSED,
     "pinned to",
     NULL},
    {"a new assertion for each attempt",
     false,
     NULL,
     NULL,
     0,
     {DISCOVERY, {"token", 2, 0, 503, NULL, "", 0}, {"token", 0, 0, 200, NULL, TOKEN("a"), 0}},
     "dcccc",
     HSMART_OK,
     HSMART_OK,
     NULL,
     "a"},
    {"a transport failure",
     false,
     NULL,
     NULL,
     0,
     {DISCOVERY, {"token", 1, HSMART_NETWORK_FAILED, 0, NULL, NULL, 0}, {"token", 0, 0, 200, NULL, TOKEN("a"), 0}},
     "dccc",
     HSMART_OK,
     HSMART_OK,
     NULL,
     "a"},
    {"a refusal is not repeated",
     false,
     NULL,
     NULL,
     0,
     {DISCOVERY, {"token", 0, 0, 401, NULL, REFUSED("invalid_client"), 0}},
     "dcc",
     HSMART_SERVER_REFUSED,
     HSMART_SERVER_REFUSED,
     "cannot get an access token for client \"c\": the server refused the client: 401",
     NULL},
    {"a token endpoint that is gone is looked up again",
     false,
     NULL,
     NULL,
     0,
     {DISCOVERY, {"token", 1, 0, 404, NULL, "", 0}, {"token", 0, 0, 200, NULL, TOKEN("a"), 0}},
     "dcdc",
     HSMART_SERVER_FAILED,
     HSMART_OK,
     NULL,
     "a"},
    {"a server that is busy is not asked",
     false,
     NULL,
     NULL,
     0,
     {DISCOVERY, {"token", 0, 0, 429, "Retry-After: 9000\r\n", "", 0}},
     "dc",
     HSMART_SERVER_BUSY,
     HSMART_SERVER_BUSY,
     "wants no request for another",
     NULL},
    {"a server that is busy and does not say until when is left alone for a moment",
     false,
     NULL,
     NULL,
     0,
     {DISCOVERY, {"token", 0, 0, 429, NULL, "", 0}},
     "dcccc",
     HSMART_SERVER_BUSY,
     HSMART_SERVER_BUSY,
     "wants no request for another",
     NULL},
    {"a refresh token is not used by default",
     false,
     NULL,
     NULL,
     0,
     {DISCOVERY, {"token", 0, 0, 200, NULL, TOKEN_AND_REFRESH("a"), 0}},
     "dcc",
     HSMART_OK,
     HSMART_OK,
     NULL,
     "a"},
    {"a refresh token is used where that is configured",
     true,
     NULL,
     NULL,
     0,
     {DISCOVERY, {"token", 1, 0, 200, NULL, TOKEN_AND_REFRESH("a"), 0}, {"token", 0, 0, 200, NULL, TOKEN("b"), 0}},
     "dcr",
     HSMART_OK,
     HSMART_OK,
     NULL,
     "b"},
    {"one that is refused is given up for an assertion",
     true,
     NULL,
     NULL,
     0,
     {DISCOVERY,
      {"token", 1, 0, 200, NULL, TOKEN_AND_REFRESH("a"), 0},
      {"token", 1, 0, 400, NULL, REFUSED("invalid_grant"), 0},
      {"token", 0, 0, 200, NULL, TOKEN("b"), 0}},
     "dcrc",
     HSMART_OK,
     HSMART_OK,
     NULL,
     "b"},
    {"a page instead of an answer",
     false,
     NULL,
     NULL,
     1,
     {DISCOVERY, {"token", 0, 0, 200, NULL, "<html>", 0}},
     "dcc",
     HSMART_SERVER_FAILED,
     HSMART_SERVER_FAILED,
     "the answer is no token response",
     NULL},
};

static char
letter_of(const struct fake_exchange *fake, size_t index)
{
    const char *grant = fake_field(fake, index, "grant_type");

    if (strcmp(fake->requests[index].method, "GET") == 0)
        return 'd';
    return grant != NULL && strcmp(grant, "refresh_token") == 0 ? 'r' : 'c';
}

static void
assert_assertions_are_new(const struct fake_exchange *fake)
{
    char before[200] = "";

    for (size_t i = 0; i < fake->request_count; i++) {
        const char *assertion =
            strcmp(fake->requests[i].method, "POST") == 0 ? fake_field(fake, i, "client_assertion") : NULL;
        if (assertion == NULL)
            continue;
        assert_string_not_equal(assertion, before);
        assert_int_equal(strncmp(assertion, "https://ehr.example/token.", 26), 0);
        (void)snprintf(before, sizeof before, "%s", assertion);
    }
}

static void
two_access_tokens_are_got(void **state)
{
    const struct course *row = *state;
    static struct fake_exchange fake;
    struct hs_backend *backend = NULL;
    struct hs_access_token access_token = {0};
    char sent[32] = "";
    hsmart_err err = {0};

    fake = (struct fake_exchange)FAKE_EXCHANGE(row->answers);
    struct hs_backend_options options = {
        .name = "c",
        .server = *hs_server_by_name(NULL),
        .fhir_base = BASE,
        .token_endpoint = row->token_endpoint,
        .token_pin = row->pin,
        .scope = "system/Patient.rs",
        .auth = {.method = HS_AUTH_PRIVATE_KEY_JWT, .client_id = "c", .assertions = {make_assertion, NULL}},
        .use_refresh_token = row->use_refresh_token,
        .no_cache = true,
        .link = fake_link(&fake),
    };
    options.link.retry.max_attempts = row->max_attempts;
    assert_int_equal(hs_backend_new(&options, &backend, &err), HSMART_OK);
    enum hsmart_code first = hs_backend_access_token(backend, 0, &access_token, &err);
    if (first != row->first)
        fail_msg("%s", err.text);
    fake.now_s += first == HSMART_SERVER_BUSY ? 1 : 300;
    enum hsmart_code second = hs_backend_access_token(backend, 0, &access_token, &err);
    if (second != row->second)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < fake.request_count && i < sizeof sent - 1; i++)
        sent[i] = letter_of(&fake, i);
    assert_string_equal(sent, row->sent);
    if (row->text != NULL && strstr(err.text, row->text) == NULL)
        assert_string_equal(err.text, row->text);
    if (row->value != NULL)
        assert_string_equal(hs_buf_text(&access_token.value), row->value);
    if (!row->use_refresh_token)
        assert_int_equal(access_token.refresh_token.len, 0);
    assert_assertions_are_new(&fake);
    hs_access_token_clear(&access_token);
    hs_backend_free(backend);
    fake_exchange_clear(&fake);
}

/* ---- What is refused before anything is sent ---- */

static struct setting {
    const char *name;
    struct hs_backend_options options; /* `server` is filled in */
    const char *server;
    enum hsmart_code code;
    const char *text;
} settings[] = {
    {"no client id", {.fhir_base = BASE, .scope = "s"}, NULL, HSMART_INVALID_ARGUMENT, "there is no client id"},
    {"neither base nor endpoint",
     {.auth = {.client_id = "c"}, .scope = "s"},
     NULL,
     HSMART_CONFIG_INVALID,
     "neither a FHIR base nor a token endpoint"},
    {"no scope",
     {.fhir_base = BASE, .auth = {.client_id = "c"}},
     NULL,
     HSMART_CONFIG_INVALID,
     "no scope is configured"},
    {"a base without TLS",
     {.fhir_base = "http://ehr.example", .auth = {.client_id = "c"}, .scope = "s"},
     NULL,
     HSMART_INVALID_ARGUMENT,
     "it does not start with https://"},
    {"a base with a query",
     {.fhir_base = BASE "?x", .auth = {.client_id = "c"}, .scope = "s"},
     NULL,
     HSMART_INVALID_ARGUMENT,
     "it has a query"},
    {"an endpoint with a fragment",
     {.token_endpoint = "https://h/t#x", .auth = {.client_id = "c"}, .scope = "s"},
     NULL,
     HSMART_INVALID_ARGUMENT,
     "it has a fragment"},
    {"an issuer without discovery",
     {.token_endpoint = "https://h/t", .auth = {.method = HS_AUTH_PRIVATE_KEY_JWT, .client_id = "c"}, .scope = "s"},
     "rfc7523bis",
     HSMART_CONFIG_INVALID,
     "neither a FHIR base"},
    {"a scope with a line end",
     {.fhir_base = BASE, .auth = {.client_id = "c"}, .scope = "a\nb"},
     NULL,
     HSMART_CONFIG_INVALID,
     "a character that no scope can have"},
};

/* Many servers have it elsewhere, so it is no warning. */
static void
a_token_endpoint_elsewhere_is_told_unless_it_is_pinned(void **state)
{
    (void)state;
    static const struct fake_answer answers[] = {{"smart-configuration", 0, 0, 200,
                                                  "Content-Type: application/json\r\n",
                                                  "{\"token_endpoint\":\"https://auth.example/token\"}", 0},
                                                 {"token", 0, 0, 200, NULL, TOKEN("a"), 0}};

    for (int pinned = 0; pinned < 2; pinned++) {
        static struct fake_exchange fake;
        struct hs_backend *backend = NULL;
        struct hs_access_token access_token = {0};
        fake = (struct fake_exchange)FAKE_EXCHANGE(answers);
        const struct hs_backend_options options = {
            .server = *hs_server_by_name(NULL),
            .fhir_base = BASE,
            .token_pin = pinned != 0 ? "https://auth.example" : NULL,
            .scope = "s",
            .auth = {.method = HS_AUTH_PRIVATE_KEY_JWT, .client_id = "c", .assertions = {make_assertion, NULL}},
            .no_cache = true,
            .link = fake_link(&fake),
        };
        assert_int_equal(hs_backend_new(&options, &backend, NULL), HSMART_OK);
        assert_int_equal(hs_backend_access_token(backend, 0, &access_token, NULL), HSMART_OK);
        assert_int_equal(strstr(fake.log, "detail: the server names a token endpoint at another origin") == NULL,
                         pinned);
        hs_access_token_clear(&access_token);
        hs_backend_free(backend);
        fake_exchange_clear(&fake);
    }
}

static void
a_setting_is_refused(void **state)
{
    const struct setting *row = *state;
    struct hs_backend_options options = row->options;
    struct hs_backend *backend = NULL;
    hsmart_err err = {0};

    options.server = *hs_server_by_name(row->server);
    options.no_cache = true;
    options.link.time = hs_time_system;
    assert_int_equal(hs_backend_new(&options, &backend, &err), row->code);
    assert_null(backend);
    if (strstr(err.text, row->text) == NULL)
        assert_string_equal(err.text, row->text);
}

/* What is not there for a client is told in its own words, and nothing is sent for it. */
static void
a_client_has_only_what_its_options_give_it(void **state)
{
    (void)state;
    static const struct fake_answer none[] = {{"nowhere", 0, 0, 200, NULL, "", 0}};
    struct fake_exchange fake = FAKE_EXCHANGE(none);
    struct hs_backend *backend = NULL;
    const struct hs_fhir *fhir = NULL;
    struct hs_buf jwt = {0};
    hsmart_err err = {0};
    const struct hs_backend_options options = {
        .name = "c",
        .server = *hs_server_by_name(NULL),
        .token_endpoint = "https://ehr.example/token",
        .scope = "system/Patient.rs",
        .auth = {.method = HS_AUTH_SECRET_BASIC, .client_id = "c"},
        .no_cache = true,
        .link = fake_link(&fake),
    };

    assert_int_equal(hs_backend_new(&options, &backend, &err), HSMART_OK);
    assert_int_equal(hs_backend_get_fhir(backend, &fhir, &err), HSMART_CONFIG_INVALID);
    assert_string_equal(err.text, "client \"c\" has no FHIR base");
    assert_null(fhir);
    assert_int_equal(hs_backend_assertion(backend, &jwt, &err), HSMART_CONFIG_INVALID);
    assert_non_null(strstr(err.text, "with a secret"));
    assert_int_equal(jwt.len, 0);
    assert_int_equal(fake.request_count, 0);
    hs_backend_free(backend);
    fake_exchange_clear(&fake);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, two_access_tokens_are_got, courses);
    ADD_TEST(&rows, a_token_endpoint_elsewhere_is_told_unless_it_is_pinned);
    ADD_ROWS(&rows, a_setting_is_refused, settings);
    ADD_TEST(&rows, a_client_has_only_what_its_options_give_it);
    return rows_run("backend", &rows);
}
