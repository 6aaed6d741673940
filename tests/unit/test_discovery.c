/* The discovery document: where it is, what is read of it, what is warned about. */
#include "rows.h"

#include <stdlib.h>

#include "discovery.h"
#include "fake_exchange.h"

#define BASE "https://h/fhir"
#define MINIMAL "{\"token_endpoint\":\"https://h/token\"}"

/* ---- Where ---- */

static struct url {
    const char *name, *base, *url; /* NULL: refused */
} urls[] = {
    {"a path", "https://h/a/b", "https://h/a/b/.well-known/smart-configuration"},
    {"a path with a slash", "https://h/a/b/", "https://h/a/b/.well-known/smart-configuration"},
    {"several slashes", "https://h/a//", "https://h/a/.well-known/smart-configuration"},
    {"no path", "https://h", "https://h/.well-known/smart-configuration"},
    {"a port", "https://h:8443/r4", "https://h:8443/r4/.well-known/smart-configuration"},
    {"http to loopback", "http://127.0.0.1:80/r4", "http://127.0.0.1:80/r4/.well-known/smart-configuration"},
    {"http to another host", "http://h/r4", NULL},
    {"a query", "https://h/r4?x=1", NULL},
    {"a fragment", "https://h/r4#x", NULL},
    {"a user name", "https://u:p@h/r4", NULL},
    {"an at sign in the path", "https://h/a@b", "https://h/a@b/.well-known/smart-configuration"},
    {"no scheme", "h/r4", NULL},
    {"no host", "https:///r4", NULL},
    {"a space", "https://h/a b", NULL},
    {"empty", "", NULL},
    {"another scheme", "ftp://h/r4", NULL},
};

static void
the_document_is_after_the_whole_base_path(void **state)
{
    const struct url *row = *state;
    struct hs_buf url = {0};

    assert_int_equal(hs_discovery_url(row->base, &url, NULL),
                     row->url != NULL ? HSMART_OK : HSMART_INVALID_ARGUMENT);
    assert_string_equal(hs_buf_text(&url), row->url != NULL ? row->url : "");
    hs_buf_clear(&url);
}

static struct secret_url {
    const char *name, *url, *told;
} secret_urls[] = {
    {"a user and a password", "https://u:p4ssword@h/r4", "\"https://…@h/r4\""},
    {"a password with an at sign", "https://u:a@p4ssword@h/r4", "\"https://…@h/r4\""},
    {"one of another scheme", "ftp://u:p4ssword@h/r4", "\"ftp://…@h/r4\""},
    {"without a scheme", "u:p4ssword@h/r4", "\"…@h/r4\""},
    {"an at sign in the path is none", "https://h/a@b c", "\"https://h/a@b c\""},
};

static void
a_password_in_a_url_is_not_repeated(void **state)
{
    const struct secret_url *row = *state;
    struct hs_buf url = {0};
    hsmart_err errs[2] = {{0}, {0}};

    assert_int_equal(hs_discovery_url(row->url, &url, &errs[0]), HSMART_INVALID_ARGUMENT);
    assert_int_equal(hs_token_endpoint_check(row->url, &errs[1]), HSMART_SERVER_FAILED);
    for (size_t i = 0; i < 2; i++) {
        assert_non_null(strstr(errs[i].text, row->told));
        assert_null(strstr(errs[i].text, "p4ssword"));
    }
    hs_buf_clear(&url);
}

/* ---- Reading ---- */

static struct document {
    const char *name, *text;
    const char *token_endpoint; /* NULL: refused */
    const char *warning;        /* part of one; NULL: there is none */
} documents[] = {
    {"the token endpoint alone is enough", MINIMAL, "https://h/token", NULL},
    {"a query is kept", "{\"token_endpoint\":\"https://h/token?x=1\"}", "https://h/token?x=1", NULL},
    {"a relative URL is below the base", "{\"token_endpoint\":\"auth/token\"}", "https://h/fhir/auth/token", "relative"},
    {"an absolute path is of the host", "{\"token_endpoint\":\"/auth/token\"}", "https://h/auth/token", "relative"},
    {"an issuer elsewhere is no trouble", "{\"issuer\":\"https://elsewhere\",\"token_endpoint\":\"https://h/token\"}",
     "https://h/token", NULL},
    {"unknown members are passed over", "{\"a\":{\"b\":[1,2]},\"token_endpoint\":\"https://h/token\"}", "https://h/token", NULL},
    {"null is absent", "{\"jwks_uri\":null,\"token_endpoint\":\"https://h/token\"}", "https://h/token", NULL},
    {"a list that is none", "{\"capabilities\":\"x\",\"token_endpoint\":\"https://h/token\"}", "https://h/token",
     "\"capabilities\" is a string, not an array"},
    {"a URL that is none", "{\"jwks_uri\":7,\"token_endpoint\":\"https://h/token\"}", "https://h/token", "\"jwks_uri\""},
    {"numbers in a list are passed over", "{\"capabilities\":[1,\"a\"],\"token_endpoint\":\"https://h/token\"}",
     "https://h/token", NULL},
    {"a byte order mark", "\xef\xbb\xbf" MINIMAL, "https://h/token", "byte order mark"},
    {"no token endpoint", "{}", NULL, NULL},
    {"an empty one", "{\"token_endpoint\":\"\"}", NULL, NULL},
    {"one that is a number", "{\"token_endpoint\":1}", NULL, NULL},
    {"http", "{\"token_endpoint\":\"http://h/token\"}", NULL, NULL},
    {"http to a host that looks like this one", "{\"token_endpoint\":\"http://h.localhost/token\"}", NULL, NULL},
    {"a fragment", "{\"token_endpoint\":\"https://h/token#x\"}", NULL, NULL},
    {"a user name", "{\"token_endpoint\":\"https://u@h/token\"}", NULL, NULL},
    {"a line end", "{\"token_endpoint\":\"https://h/token\\r\\nX: y\"}", NULL, NULL},
    {"an array", "[]", NULL, NULL},
    {"HTML", "<html></html>", NULL, NULL},
    {"nothing", "", NULL, NULL},
};

static void
a_document_is_read_with_tolerance(void **state)
{
    const struct document *row = *state;
    struct hs_discovery discovery = {0};
    enum hsmart_code code = hs_discovery_parse(BASE, span(row->text), &discovery, NULL);

    assert_int_equal(code, row->token_endpoint != NULL ? HSMART_OK : HSMART_SERVER_FAILED);
    if (row->token_endpoint == NULL)
        assert_null(discovery.token_endpoint);
    else
        assert_string_equal(discovery.token_endpoint, row->token_endpoint);
    assert_int_equal(discovery.warnings.count, row->warning != NULL ? 1 : 0);
    if (row->warning != NULL)
        assert_non_null(strstr(discovery.warnings.items[0], row->warning));
    hs_discovery_clear(&discovery);
}

static void
every_member_is_read(void **state)
{
    (void)state;
    static const char text[] =
        "{\"issuer\":\"i\",\"jwks_uri\":\"https://h/jwks\",\"authorization_endpoint\":\"https://h/a\","
        "\"token_endpoint\":\"https://h/t\",\"registration_endpoint\":\"https://h/r\","
        "\"introspection_endpoint\":\"https://h/in\",\"revocation_endpoint\":\"https://h/re\","
        "\"management_endpoint\":\"https://h/m\",\"capabilities\":[\"c\"],\"grant_types_supported\":[\"g\"],"
        "\"token_endpoint_auth_methods_supported\":[\"m\"],"
        "\"token_endpoint_auth_signing_alg_values_supported\":[\"RS384\",\"ES384\"],\"scopes_supported\":[\"s\"],"
        "\"code_challenge_methods_supported\":[\"S256\"]}";
    struct hs_discovery discovery = {0};

    assert_int_equal(hs_discovery_parse(BASE, span(text), &discovery, NULL), HSMART_OK);
    assert_string_equal(discovery.issuer, "i");
    assert_string_equal(discovery.jwks_uri, "https://h/jwks");
    assert_string_equal(discovery.authorization_endpoint, "https://h/a");
    assert_string_equal(discovery.registration_endpoint, "https://h/r");
    assert_string_equal(discovery.introspection_endpoint, "https://h/in");
    assert_string_equal(discovery.revocation_endpoint, "https://h/re");
    assert_string_equal(discovery.management_endpoint, "https://h/m");
    assert_true(hs_text_list_has(&discovery.capabilities, "c"));
    assert_true(hs_text_list_has(&discovery.grant_types, "g"));
    assert_true(hs_text_list_has(&discovery.auth_methods, "m"));
    assert_int_equal(discovery.signing_algs.count, 2);
    assert_true(hs_text_list_has(&discovery.scopes, "s"));
    assert_true(hs_text_list_has(&discovery.code_challenge_methods, "S256"));
    hs_discovery_clear(&discovery);
}

static void
two_hundred_kibibytes_are_read(void **state)
{
    (void)state;
    struct hs_buf text = {0};
    struct hs_discovery discovery = {0};

    assert_int_equal(hs_buf_append_str(&text, "{\"scopes_supported\":[\"x\"", NULL), HSMART_OK);
    while (text.len < 200 * 1024)
        assert_int_equal(hs_buf_append_str(&text, ",\"system/MedicationAdministration.read\"", NULL), HSMART_OK);
    assert_int_equal(hs_buf_append_str(&text, "],\"token_endpoint\":\"https://h/token\"}", NULL), HSMART_OK);
    assert_int_equal(hs_discovery_parse(BASE, hs_span_buf(&text), &discovery, NULL), HSMART_OK);
    assert_true(discovery.scopes.count > 5000);
    hs_discovery_clear(&discovery);
    hs_buf_clear(&text);
}

/* ---- What speaks against our way ---- */

static struct objection {
    const char *name, *members;
    enum hs_auth_method method;
    size_t warnings;
} objections[] = {
    {"nothing told", "", HS_AUTH_PRIVATE_KEY_JWT, 0},
    {"all is well",
     ",\"grant_types_supported\":[\"client_credentials\"],\"capabilities\":[\"client-confidential-asymmetric\"],"
     "\"token_endpoint_auth_methods_supported\":[\"private_key_jwt\"]",
     HS_AUTH_PRIVATE_KEY_JWT, 0},
    {"no client_credentials", ",\"grant_types_supported\":[\"authorization_code\"]", HS_AUTH_PRIVATE_KEY_JWT, 1},
    {"no asymmetric capability", ",\"capabilities\":[\"launch-ehr\"]", HS_AUTH_PRIVATE_KEY_JWT, 1},
    {"no private_key_jwt", ",\"token_endpoint_auth_methods_supported\":[\"client_secret_basic\"]",
     HS_AUTH_PRIVATE_KEY_JWT, 1},
    {"the secret is listed", ",\"token_endpoint_auth_methods_supported\":[\"client_secret_basic\"]", HS_AUTH_SECRET_BASIC, 0},
    {"everything against it",
     ",\"grant_types_supported\":[\"x\"],\"capabilities\":[\"y\"],\"token_endpoint_auth_methods_supported\":[\"z\"]",
     HS_AUTH_PRIVATE_KEY_JWT, 3},
};

static void
each_missing_value_has_its_own_warning(void **state)
{
    const struct objection *row = *state;
    struct hs_buf text = {0};
    struct hs_discovery discovery = {0};

    assert_int_equal(
        hs_buf_append_format(&text, NULL, "{\"token_endpoint\":\"https://h/token\"%s}", row->members), HSMART_OK);
    assert_int_equal(hs_discovery_parse(BASE, hs_span_buf(&text), &discovery, NULL), HSMART_OK);
    assert_int_equal(hs_discovery_check_method(&discovery, row->method, NULL), HSMART_OK);
    assert_int_equal(discovery.warnings.count, row->warnings);
    hs_discovery_clear(&discovery);
    hs_buf_clear(&text);
}

static struct algs {
    const char *name, *listed, *row_algs, *algs;
} algs_rows[] = {
    {"the document's when it has none of the row's", "[\"ES384\"]", "RS384", "ES384"},
    {"the document's when the row says nothing", "[\"ES384\",\"RS384\"]", NULL, "ES384 RS384"},
    {"the row's that the document lists, in the row's order", "[\"RS256\",\"RS384\",\"RS512\"]", "RS512 ES384 RS256",
     "RS512 RS256"},
    {"the server row's when none are listed", "[]", "RS512", "RS512"},
    {"SMART's when nobody tells", "[]", NULL, "RS384 ES384"},
    {"unknown ones are told as they are", "[\"HS256\",\"none\"]", "RS384", "HS256 none"},
};

static void
algorithms_come_from_document_and_row(void **state)
{
    const struct algs *row = *state;
    struct hs_buf text = {0}, algs = {0};
    struct hs_discovery discovery = {0};
    struct hs_server_row server = {.algs = row->row_algs};

    assert_int_equal(hs_buf_append_format(&text, NULL,
                                          "{\"token_endpoint\":\"https://h/token\","
                                          "\"token_endpoint_auth_signing_alg_values_supported\":%s}",
                                          row->listed),
                     HSMART_OK);
    assert_int_equal(hs_discovery_parse(BASE, hs_span_buf(&text), &discovery, NULL), HSMART_OK);
    assert_int_equal(hs_discovery_algs(&discovery, &server, &algs, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&algs), row->algs);
    hs_discovery_clear(&discovery);
    hs_buf_clear(&algs);
    hs_buf_clear(&text);
}

/* ---- The pin ---- */

static struct pin {
    const char *name, *endpoint, *pin;
    enum hsmart_code code;
} pins[] = {
    {"none", "https://h/token", NULL, HSMART_OK},
    {"the same URL", "https://h/token", "https://h/token", HSMART_OK},
    {"the same origin", "https://h/token", "https://h", HSMART_OK},
    {"the same origin with a slash", "https://h/token", "https://h/", HSMART_OK},
    {"the same origin with its port", "https://h/token", "https://h:443", HSMART_OK},
    {"another path than the pinned URL", "https://h/other", "https://h/token", HSMART_POLICY_REFUSED},
    {"another host", "https://evil/token", "https://h", HSMART_POLICY_REFUSED},
    {"another port", "https://h:8443/token", "https://h", HSMART_POLICY_REFUSED},
    {"a host that begins like it", "https://h.evil/token", "https://h", HSMART_POLICY_REFUSED},
    {"http instead of https", "http://localhost/token", "https://localhost", HSMART_POLICY_REFUSED},
};

static void
a_token_endpoint_elsewhere_is_refused_when_pinned(void **state)
{
    const struct pin *row = *state;

    assert_int_equal(hs_discovery_check_pin(row->endpoint, row->pin, NULL), row->code);
}

/* ---- Fetching ---- */

static struct fetch {
    const char *name;
    struct fake_answer answer;
    enum hsmart_code code;
    int64_t life_s;
    const char *warning;
} fetches[] = {
    {"with a life", {.status = 200, .body = MINIMAL, .headers = "Content-Type: application/json\r\nCache-Control: max-age=60\r\n"},
     HSMART_OK, 60, NULL},
    {"without one", {.status = 200, .body = MINIMAL, .headers = "Content-Type: application/json; charset=utf-8\r\n"},
     HSMART_OK, 300, NULL},
    {"not to be kept", {.status = 200, .body = MINIMAL, .headers = "Content-Type: application/json\r\nCache-Control: no-store\r\n"},
     HSMART_OK, 0, NULL},
    {"for ever", {.status = 200, .body = MINIMAL, .headers = "Content-Type: application/json\r\nCache-Control: max-age=99999999\r\n"},
     HSMART_OK, 86400, NULL},
    {"as text", {.status = 200, .body = MINIMAL, .headers = "Content-Type: text/plain\r\n"}, HSMART_OK, 300, "text/plain"},
    {"without a type", {.status = 200, .body = MINIMAL}, HSMART_OK, 300, "not as application/json"},
    {"404", {.status = 404, .body = "<html><title>Not Found</title></html>"}, HSMART_SERVER_FAILED, 0, NULL},
    {"a redirect", {.status = 302, .headers = "Location: https://evil/\r\n"}, HSMART_SERVER_FAILED, 0, NULL},
    {"500", {.status = 500}, HSMART_SERVER_FAILED, 0, NULL},
    {"no connection", {.code = HSMART_NETWORK_FAILED}, HSMART_NETWORK_FAILED, 0, NULL},
    {"a bad certificate", {.code = HSMART_TLS_FAILED}, HSMART_TLS_FAILED, 0, NULL},
};

static void
a_document_is_fetched(void **state)
{
    const struct fetch *row = *state;
    struct fake_exchange fake = FAKE_EXCHANGE_OF(&row->answer, 1);
    struct hs_link link = fake_link(&fake);
    struct hs_discovery discovery = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_discovery_fetch(&link, BASE, &discovery, &err), row->code);
    assert_string_equal(fake.requests[0].method, "GET");
    assert_string_equal(fake.requests[0].url, BASE "/.well-known/smart-configuration");
    assert_string_equal(fake_header(&fake, 0, "Accept"), "application/json");
    if (row->code == HSMART_OK) {
        assert_int_equal(discovery.expires_at_s - discovery.read_at_s, row->life_s);
        assert_int_equal(discovery.warnings.count, row->warning != NULL ? 1 : 0);
        if (row->warning != NULL)
            assert_non_null(strstr(discovery.warnings.items[0], row->warning));
    } else {
        assert_non_null(strstr(err.text, "discovery of \"" BASE "\": "));
    }
    hs_discovery_clear(&discovery);
    fake_exchange_clear(&fake);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, the_document_is_after_the_whole_base_path, urls);
    ADD_ROWS(&rows, a_password_in_a_url_is_not_repeated, secret_urls);
    ADD_ROWS(&rows, a_document_is_read_with_tolerance, documents);
    ADD_TEST(&rows, every_member_is_read);
    ADD_TEST(&rows, two_hundred_kibibytes_are_read);
    ADD_ROWS(&rows, each_missing_value_has_its_own_warning, objections);
    ADD_ROWS(&rows, algorithms_come_from_document_and_row, algs_rows);
    ADD_ROWS(&rows, a_token_endpoint_elsewhere_is_refused_when_pinned, pins);
    ADD_ROWS(&rows, a_document_is_fetched, fetches);
    return rows_run("discovery", &rows);
}
