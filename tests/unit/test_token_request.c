/* What one access token request looks like on the wire. */
#include "rows.h"

#include "client_auth.h"
#include "err.h"
#include "fake_exchange.h"
#include "jws.h"
#include "software_signer.h"
#include "token_request.h"

#define ENDPOINT "https://h/token?x=1"
#define ASSERTION_TYPE "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"

static unsigned assertions_made;

static enum hsmart_code
make_assertion(void *arg, const char *client_id, const char *audience, const char *algs, struct hs_buf *out_jwt,
               hsmart_err *err)
{
    (void)arg;
    return hs_buf_append_format(out_jwt, err, "%s.%s.%s.%u", client_id, audience, algs, ++assertions_made);
}

static enum hsmart_code
fail_assertion(void *arg, const char *client_id, const char *audience, const char *algs, struct hs_buf *out_jwt,
               hsmart_err *err)
{
    (void)arg, (void)client_id, (void)audience, (void)algs, (void)out_jwt;
    return hs_err_set(err, HSMART_SESSION_LOST, "the token dropped its session");
}

static enum hsmart_code
read_secret(void *arg, struct hs_secret *out_secret, hsmart_err *err)
{
    return hs_secret_set(out_secret, span(arg), err);
}

static enum hsmart_code
fail_secret(void *arg, struct hs_secret *out_secret, hsmart_err *err)
{
    (void)arg, (void)out_secret;
    return hs_err_set(err, HSMART_PIN_UNAVAILABLE, "there is no such file");
}

/* ---- The form ---- */

static struct wire {
    const char *name;
    struct hs_client_auth auth;
    const char *scope, *refresh_token;
    const char *body, *authorization; /* NULL body: refused; NULL authorization: no such header */
    const char *log;                  /* part of it; NULL: nothing is logged */
} wires[] = {
    {"an assertion", {HS_AUTH_PRIVATE_KEY_JWT, "c", .assertions = {make_assertion, NULL}}, "system/*.rs x", NULL,
     "grant_type=client_credentials&scope=system%2F*.rs+x&" ASSERTION_TYPE "&client_assertion=c.https%3A%2F%2Fh%2Faud.RS384.1",
     NULL, NULL},
    {"no scope", {HS_AUTH_PRIVATE_KEY_JWT, "c", .assertions = {make_assertion, NULL}}, NULL, NULL,
     "grant_type=client_credentials&" ASSERTION_TYPE "&client_assertion=c.https%3A%2F%2Fh%2Faud.RS384.1", NULL, NULL},
    {"the client id beside the assertion",
     {HS_AUTH_PRIVATE_KEY_JWT, "c+/=", .assertions = {make_assertion, NULL}, .sends_client_id = true}, NULL, NULL,
     "grant_type=client_credentials&" ASSERTION_TYPE
     "&client_assertion=c%2B%2F%3D.https%3A%2F%2Fh%2Faud.RS384.1&client_id=c%2B%2F%3D", NULL, NULL},
    {"a refresh token", {HS_AUTH_PRIVATE_KEY_JWT, "c", .assertions = {make_assertion, NULL}}, "s", "r/1",
     "grant_type=refresh_token&refresh_token=r%2F1&scope=s&" ASSERTION_TYPE
     "&client_assertion=c.https%3A%2F%2Fh%2Faud.RS384.1", NULL, NULL},
    {"a secret in a header", {HS_AUTH_SECRET_BASIC, "s6BhdRkqt3", .secret = {read_secret, "gX1fBat3bV"}}, "s", NULL,
     "grant_type=client_credentials&scope=s", "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW", NULL},
    {"a secret in a header, form-encoded", {HS_AUTH_SECRET_BASIC, "a:b", .secret = {read_secret, "c!"}}, "s", NULL,
     "grant_type=client_credentials&scope=s", "Basic YSUzQWI6YyUyMQ==", "form-encoded"},
    {"a secret in a header, raw", {HS_AUTH_SECRET_BASIC, "a", .secret = {read_secret, "c!"}, .basic = HS_BASIC_RAW}, "s",
     NULL, "grant_type=client_credentials&scope=s", "Basic YTpjIQ==", "raw"},
    {"a colon in a raw id", {HS_AUTH_SECRET_BASIC, "a:b", .secret = {read_secret, "c"}, .basic = HS_BASIC_RAW}, "s", NULL,
     NULL, NULL, NULL},
    {"a secret in the body", {HS_AUTH_SECRET_POST, "a", .secret = {read_secret, "c!"}}, "s", NULL,
     "grant_type=client_credentials&scope=s&client_id=a&client_secret=c%21", NULL, NULL},
    {"a secret that cannot be read", {HS_AUTH_SECRET_BASIC, "a", .secret = {fail_secret, NULL}}, "s", NULL, NULL, NULL, NULL},
    {"a token that does not sign", {HS_AUTH_PRIVATE_KEY_JWT, "c", .assertions = {fail_assertion, NULL}}, "s", NULL, NULL,
     NULL, NULL},
    {"an empty scope", {HS_AUTH_PRIVATE_KEY_JWT, "c", .assertions = {make_assertion, NULL}}, "", NULL, NULL, NULL, NULL},
};

static const struct fake_answer granted[] = {{.status = 200, .body = "{}"}};

static void
a_request_has_exactly_this_form(void **state)
{
    const struct wire *row = *state;
    struct fake_exchange fake = FAKE_EXCHANGE(granted);
    struct hs_link link = fake_link(&fake);
    struct hs_token_request request = {ENDPOINT, "https://h/aud", "RS384", row->scope, row->refresh_token, &row->auth};
    struct hs_http_response response = {0};
    hsmart_err err = {0};

    assertions_made = 0;
    enum hsmart_code code = hs_token_request_send(&request, &link, &response, &err);
    if (row->body == NULL) {
        assert_int_not_equal(code, HSMART_OK);
        assert_int_equal(fake.request_count, 0);
        return;
    }
    assert_int_equal(code, HSMART_OK);
    assert_string_equal(fake.requests[0].method, "POST");
    assert_string_equal(fake.requests[0].url, ENDPOINT);
    assert_string_equal(fake.requests[0].body, row->body);
    assert_string_equal(fake_header(&fake, 0, "Content-Type"), "application/x-www-form-urlencoded");
    assert_string_equal(fake_header(&fake, 0, "Accept"), "application/json");
    if (row->authorization == NULL)
        assert_null(fake_header(&fake, 0, "Authorization"));
    else
        assert_string_equal(fake_header(&fake, 0, "Authorization"), row->authorization);
    if (row->log == NULL)
        assert_string_equal(fake.log, "");
    else
        assert_non_null(strstr(fake.log, row->log));
    hs_http_response_clear(&response);
    fake_exchange_clear(&fake);
}

static void
any_answer_is_an_answer(void **state)
{
    (void)state;
    static const struct fake_answer refused[] = {{.status = 302, .headers = "Location: https://evil/\r\n"}};
    struct fake_exchange fake = FAKE_EXCHANGE(refused);
    struct hs_link link = fake_link(&fake);
    struct hs_token_request request = {ENDPOINT, "a", "RS384", "s", NULL, &wires[0].auth};
    struct hs_http_response response = {0};

    assert_int_equal(hs_token_request_send(&request, &link, &response, NULL), HSMART_OK);
    assert_int_equal(response.status, 302);
    assert_int_equal(fake.request_count, 1);
    assert_int_equal(response.sent_at_s, FAKE_NOW_S);
    hs_http_response_clear(&response);
    fake_exchange_clear(&fake);
}

/* A server that repeats what it was sent, as debug pages do; its words end in messages. */
static struct echo {
    const char *name;
    struct hs_client_auth auth;
    const char *refresh_token;
    int status;
    const char *body, *kept;
} echoes[] = {
    {"a secret in the body", {HS_AUTH_SECRET_POST, "a", .secret = {read_secret, "hunter 2"}}, NULL, 401,
     "no \"hunter 2\", client_secret=hunter+2!", "no \"********\", client_secret=********!"},
    {"a secret in a header", {HS_AUTH_SECRET_BASIC, "a", .secret = {read_secret, "c!"}}, NULL, 400,
     "Basic YTpjJTIx is c%21, c!", "Basic ******** is ****, **"},
    {"a secret twice in a row", {HS_AUTH_SECRET_POST, "a", .secret = {read_secret, "0123456789abcdef"}}, NULL, 500,
     "a0123456789abcdef0123456789abcdeff0123456789abcde", "a********************************f0123456789abcde"},
    {"a secret that is a word", {HS_AUTH_SECRET_POST, "a", .secret = {read_secret, "client"}}, NULL, 401,
     "{\"error\":\"invalid_client\",\"error_description\":\"no clients have client\"}",
     "{\"error\":\"invalid_client\",\"error_description\":\"no clients have ******\"}"},
    {"a refresh token", {HS_AUTH_PRIVATE_KEY_JWT, "c", .assertions = {make_assertion, NULL}}, "r/1", 400,
     "r/1 and r%2F1 have expired", "*** and ***** have expired"},
    {"an assertion", {HS_AUTH_PRIVATE_KEY_JWT, "c", .assertions = {make_assertion, NULL}}, NULL, 400,
     "c.https://h/aud.RS384.1 is bad", "*********************** is bad"},
    {"a granted request", {HS_AUTH_SECRET_POST, "a", .secret = {read_secret, "hunter2"}}, NULL, 200,
     "{\"access_token\":\"hunter2\"}", "{\"access_token\":\"hunter2\"}"},
};

static void
what_a_server_repeats_of_our_secrets_is_hidden(void **state)
{
    const struct echo *row = *state;
    const struct fake_answer answers[] = {{.status = row->status, .body = row->body}};
    struct fake_exchange fake = FAKE_EXCHANGE(answers);
    struct hs_link link = fake_link(&fake);
    struct hs_token_request request = {ENDPOINT, "https://h/aud", "RS384", "s", row->refresh_token, &row->auth};
    struct hs_http_response response = {0};

    assertions_made = 0;
    assert_int_equal(hs_token_request_send(&request, &link, &response, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&response.body), row->kept);
    hs_http_response_clear(&response);
    fake_exchange_clear(&fake);
}

/* ---- Assertions on a signer ---- */

struct lazy {
    struct hs_signer *signer;
    unsigned opened;
    enum hsmart_code code;
};

static enum hsmart_code
open_signer(void *arg, const char *algs, struct hs_signer **out_signer, hsmart_err *err)
{
    struct lazy *lazy = arg;

    (void)algs;
    lazy->opened++;
    if (lazy->code != HSMART_OK)
        return hs_err_set(err, lazy->code, "there is no such token");
    *out_signer = lazy->signer;
    return HSMART_OK;
}

static void
a_signer_is_opened_once_and_late_and_every_assertion_is_new(void **state)
{
    (void)state;
    struct lazy lazy = {.signer = software_signer_generate("ES384", 0, "kid-1"), .code = HSMART_TOKEN_ABSENT};
    struct hs_signer_source source = {open_signer, &lazy};
    const struct hs_log log = {0};
    hsmart_assertion_options options = {.lifetime_s = 60, .jku = "https://us/jwks"};
    struct hs_signer_assertions *assertions = NULL;
    struct hs_buf first = {0}, second = {0};
    struct hs_jws jws = {0};

    assert_int_equal(hs_signer_assertions_new(&source, hs_server_by_name(NULL), &options, &log, &assertions, NULL), HSMART_OK);
    struct hs_assertion_source made = hs_signer_assertions_source(assertions);
    assert_int_equal(lazy.opened, 0);
    assert_int_equal(made.make(made.arg, "c", "a", "ES384", &first, NULL), HSMART_TOKEN_ABSENT);
    lazy.code = HSMART_OK;
    assert_int_equal(made.make(made.arg, "c", "a", "RS384 ES384", &first, NULL), HSMART_OK);
    assert_int_equal(made.make(made.arg, "c", "a", NULL, &second, NULL), HSMART_OK);
    assert_int_equal(lazy.opened, 2);
    assert_string_not_equal(hs_buf_text(&first), hs_buf_text(&second));
    assert_int_equal(hs_jws_parse(hs_span_buf(&first), &jws, NULL), HSMART_OK);
    assert_string_equal(hs_json_text(hs_json_member(jws.payload.root, "iss")), "c");
    assert_string_equal(hs_json_text(hs_json_member(jws.payload.root, "aud")), "a");
    assert_int_equal(hs_json_integer(hs_json_member(jws.payload.root, "exp")) -
                         hs_json_integer(hs_json_member(jws.payload.root, "iat")), 60);
    assert_string_equal(hs_json_text(hs_json_member(jws.header.root, "jku")), "https://us/jwks");
    hs_jws_clear(&jws);
    hs_buf_clear(&first);
    hs_buf_clear(&second);
    hs_signer_assertions_free(assertions);
    hs_signer_free(lazy.signer);
}

static void
a_key_that_cannot_do_what_the_server_takes_never_signs(void **state)
{
    (void)state;
    struct lazy lazy = {.signer = software_signer_generate("ES384", 0, NULL)};
    struct hs_signer_source source = {open_signer, &lazy};
    hsmart_assertion_options options = {0};
    const struct hs_log log = {0};
    struct hs_signer_assertions *assertions = NULL;
    struct hs_buf jwt = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_signer_assertions_new(&source, hs_server_by_name(NULL), &options, &log, &assertions, NULL), HSMART_OK);
    struct hs_assertion_source made = hs_signer_assertions_source(assertions);
    assert_int_equal(made.make(made.arg, "c", "a", "RS384 RS512", &jwt, &err), HSMART_KEY_UNUSABLE);
    assert_string_equal(err.text,
                        "the server takes assertions signed with RS384 RS512, and the key signs with ES384");
    assert_int_equal(software_signer_count(lazy.signer), 0);
    assert_int_equal(jwt.len, 0);
    hs_signer_assertions_free(assertions);
    hs_signer_free(lazy.signer);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, a_request_has_exactly_this_form, wires);
    ADD_TEST(&rows, any_answer_is_an_answer);
    ADD_ROWS(&rows, what_a_server_repeats_of_our_secrets_is_hidden, echoes);
    ADD_TEST(&rows, a_signer_is_opened_once_and_late_and_every_assertion_is_new);
    ADD_TEST(&rows, a_key_that_cannot_do_what_the_server_takes_never_signs);
    return rows_run("token_request", &rows);
}
