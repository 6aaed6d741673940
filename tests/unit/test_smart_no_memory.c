/* Every allocation of ours fails once on the way to an access token, a registration and FHIR data: the answer is
 * HSMART_NO_MEMORY, or what was asked for where the memory was for something that can be done without (a cache, a
 * warning); outputs stay untouched, nothing leaks (the sanitizers watch). */
#define _GNU_SOURCE /* mkdtemp */
#include "rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend.h"
#include "err.h"
#include "failing_malloc.h"
#include "fake_exchange.h"
#include "registration.h"

#define BASE "https://ehr.example/fhir"
#define TOKEN_ENDPOINT "https://ehr.example/token"
#define JSON "Content-Type: application/json\r\n"

static char directory[] = "/tmp/hsmart-smart-no-memory-XXXXXX";
static struct fake_exchange fake;
static struct hs_exchange scripted;

/* The server takes memory of its own. */
static enum hsmart_code
exchange(void *arg, const struct hs_http_request *request, struct hs_http_response *out_response, hsmart_err *err)
{
    (void)arg;
    hs_test_pause_failing(true);
    enum hsmart_code code = scripted.run(scripted.arg, request, out_response, err);
    hs_test_pause_failing(false);
    return code;
}

static const struct fake_answer answers[] = {
    {"smart-configuration", 0, 0, 200, JSON "Cache-Control: max-age=3600\r\n",
     "{\"token_endpoint\":\"" TOKEN_ENDPOINT
     "\",\"issuer\":\"https://ehr.example\",\"capabilities\":[\"client-confidential-"
     "asymmetric\",7],\"grant_types_supported\":[\"authorization_code\"],\"token_endpoint_auth_methods_supported\":["
     "\"client_secret_basic\"],\"token_endpoint_auth_signing_alg_values_supported\":[\"RS256\"],\"scopes_supported\":["
     "\"openid\"],\"registration_endpoint\":\"https://ehr.example/register\",\"jwks_uri\":\"no URL\"}",
     0},
    {"token-refusing", 0, 0, 400, JSON, "{\"error\":\"invalid_client\",\"error_description\":\"signature\"}", 0},
    {"token", 0, 0, 200, JSON,
     "{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"expires_in\":\"300\",\"scope\":\"system/"
     "Patient.r\",\"refresh_token\":"
     "\"r\"}",
     0},
    {"register", 0, 0, 201, JSON,
     "{\"client_id\":\"c\",\"client_secret\":\"s\",\"client_secret_expires_at\":0,\"scope\":\"other\",\"grant_types\":["
     "],"
     "\"registration_client_uri\":\"https://ehr.example/r/c\",\"registration_access_token\":\"m\"}",
     0},
    {"Patient?page=2", 0, 0, 200, JSON, "{\"resourceType\":\"Bundle\",\"link\":[]}", 0},
    {"Patient", 0, 0, 200, JSON,
     "{\"resourceType\":\"Bundle\",\"link\":[{\"relation\":\"next\",\"url\":\"Patient?page=2\"}]}", 0},
    {"Missing", 0, 0, 404, JSON,
     "{\"resourceType\":\"OperationOutcome\",\"issue\":[{\"severity\":\"error\",\"code\":\"not-found\",\"diagnostics\":"
     "\"no\"}]}",
     0},
};

static struct hs_link
link_of(void)
{
    struct hs_link link = fake_link(&fake);

    scripted = link.exchange;
    link.exchange = (struct hs_exchange){exchange, NULL};
    return link;
}

static enum hsmart_code
make_assertion(void *arg, const char *client_id, const char *audience, const char *algs, struct hs_buf *out_jwt,
               hsmart_err *err)
{
    (void)arg, (void)client_id, (void)algs;
    return hs_buf_append_format(out_jwt, err, "assertion for %s", audience);
}

static enum hsmart_code
open_backend(const char *token_endpoint, bool no_cache, struct hs_backend **out_backend, hsmart_err *err)
{
    const struct hs_backend_options options = {
        .name = "c",
        .server = *hs_server_by_name(NULL),
        .fhir_base = BASE,
        .token_endpoint = token_endpoint,
        .scope = "system/Patient.rs system/patient.x",
        .auth = {.method = HS_AUTH_PRIVATE_KEY_JWT, .client_id = "c", .assertions = {make_assertion, NULL}},
        .use_refresh_token = true,
        .no_cache = no_cache,
        .cache_directory = directory,
        .link = link_of(),
    };

    return hs_backend_new(&options, out_backend, err);
}

/* ---- One operation each ---- */

static enum hsmart_code
get_access_token(const char *token_endpoint, bool no_cache, hsmart_err *err)
{
    struct hs_backend *backend = NULL;
    struct hs_access_token access_token = {0};
    enum hsmart_code code = open_backend(token_endpoint, no_cache, &backend, err);

    assert_int_equal(backend != NULL, code == HSMART_OK);
    if (code == HSMART_OK)
        code = hs_backend_access_token(backend, 0, &access_token, err);
    assert_int_equal(access_token.value.len > 0, code == HSMART_OK);
    if (code == HSMART_OK) { /* by the refresh token */
        code = hs_backend_renew_access_token(backend, &access_token, err);
        assert_string_equal(hs_buf_text(&access_token.value), "a");
    }
    hs_access_token_clear(&access_token);
    hs_backend_free(backend);
    return code;
}

static enum hsmart_code
first_access_token(hsmart_err *err)
{
    return get_access_token(NULL, true, err);
}

static enum hsmart_code
kept_access_token(hsmart_err *err)
{
    return get_access_token(NULL, false, err);
}

static enum hsmart_code
refused_access_token(hsmart_err *err)
{
    enum hsmart_code code = get_access_token("https://ehr.example/token-refusing", true, err);

    assert_int_not_equal(code, HSMART_OK);
    return code == HSMART_SERVER_REFUSED ? HSMART_OK : code;
}

static enum hsmart_code
assertion(hsmart_err *err)
{
    struct hs_backend *backend = NULL;
    struct hs_buf jwt = {0};
    enum hsmart_code code = open_backend(NULL, true, &backend, err);

    if (code == HSMART_OK)
        code = hs_backend_assertion(backend, &jwt, err);
    assert_int_equal(jwt.len > 0, code == HSMART_OK);
    hs_buf_clear(&jwt);
    hs_backend_free(backend);
    return code;
}

static enum hsmart_code
registration(hsmart_err *err)
{
    const struct hs_registration_request request = {.registration_endpoint = "https://ehr.example/register",
                                                    .jwks_uri = "https://clinic.example/jwks.json",
                                                    .scope = "system/Patient.rs",
                                                    .contact = "clinic",
                                                    .initial_access_token = "i"};
    const struct hs_link link = link_of();
    struct hs_registration made = {0}, read = {0};
    struct hs_secret secret = {0};
    char path[64];
    enum hsmart_code code = hs_registration_send(&request, &link, &made, err);

    assert_int_equal(made.client_id != NULL, code == HSMART_OK);
    (void)snprintf(path, sizeof path, "%s/registration", directory);
    if (code == HSMART_OK)
        code = hs_registration_save(&made, path, err);
    if (code == HSMART_OK)
        code = hs_registration_load(path, &read, err);
    assert_int_equal(read.client_id != NULL, code == HSMART_OK);
    if (code == HSMART_OK)
        code = hs_registration_secret(&read, FAKE_NOW_S, &secret, err);
    hs_secret_clear(&secret);
    hs_registration_clear(&made);
    hs_registration_clear(&read);
    return code;
}

static enum hsmart_code
take_page(void *arg, const struct hs_fhir_page *page, hsmart_err *err)
{
    unsigned *pages = arg;

    (void)err;
    *pages = page->number;
    return HSMART_OK;
}

static enum hsmart_code
pages(hsmart_err *err)
{
    struct hs_backend *backend = NULL;
    const struct hs_fhir *fhir = NULL;
    unsigned count = 0;
    enum hsmart_code code = open_backend(TOKEN_ENDPOINT, true, &backend, err);

    if (code == HSMART_OK)
        code = hs_backend_get_fhir(backend, &fhir, err);
    if (code == HSMART_OK)
        code = hs_fhir_get_all(fhir, "Patient", NULL, take_page, &count, err);
    if (code == HSMART_OK)
        assert_int_equal(count, 2);
    hs_backend_free(backend);
    return code;
}

static enum hsmart_code
missing_resource(hsmart_err *err)
{
    struct hs_backend *backend = NULL;
    const struct hs_fhir *fhir = NULL;
    struct hs_http_response response = {0};
    enum hsmart_code code = open_backend(TOKEN_ENDPOINT, true, &backend, err);

    if (code == HSMART_OK)
        code = hs_backend_get_fhir(backend, &fhir, err);
    if (code == HSMART_OK)
        code = hs_fhir_get(fhir, "Missing/1", NULL, &response, err);
    assert_int_not_equal(code, HSMART_OK);
    hs_http_response_clear(&response);
    hs_backend_free(backend);
    return code == HSMART_SERVER_FAILED ? HSMART_OK : code;
}

static struct operation {
    const char *name;
    enum hsmart_code (*run)(hsmart_err *err);
    unsigned least; /* allocations of ours that it makes at least */
} operations[] = {
    {"an access token by discovery, renewed", first_access_token, 40},
    {"an access token that is kept", kept_access_token, 60},
    {"a refusal", refused_access_token, 10},
    {"an assertion", assertion, 30},
    {"a registration", registration, 15},
    {"pages of resources", pages, 25},
    {"a resource that is not there", missing_resource, 20},
};

#define ALLOCATIONS_MAX 2000U

static void
forget_files(void)
{
    char command[96];

    (void)snprintf(command, sizeof command, "rm -rf %s/*", directory);
    hs_test_pause_failing(true);
    assert_int_equal(system(command), 0);
    hs_test_pause_failing(false);
}

static void
lack_of_memory_is_told_or_endured(void **state)
{
    const struct operation *row = *state;
    unsigned told = 0;

    for (unsigned n = 0; n < ALLOCATIONS_MAX; n++) {
        hsmart_err err = {0};
        fake_exchange_clear(&fake);
        fake = (struct fake_exchange)FAKE_EXCHANGE(answers);
        hs_test_fail_allocation(n);
        enum hsmart_code code = row->run(&err);
        unsigned made = hs_test_end_failing();
        forget_files();
        if (code != HSMART_OK) {
            if (code != HSMART_NO_MEMORY)
                fail_msg("allocation %u: %s", n, err.text);
            assert_int_equal(err.code, HSMART_NO_MEMORY);
            assert_non_null(strstr(err.text, "out of memory"));
            told++;
        }
        if (made <= n) { /* it had all it wanted */
            assert_int_equal(code, HSMART_OK);
            assert_true(told >= row->least);
            return;
        }
    }
    fail_msg("more than %u allocations", ALLOCATIONS_MAX);
}

int
main(void)
{
    static struct rows rows;

    if (mkdtemp(directory) == NULL)
        return 1;
    ADD_ROWS(&rows, lack_of_memory_is_told_or_endured, operations);
    int failed = rows_run("smart, no memory", &rows);
    fake_exchange_clear(&fake);
    forget_files();
    (void)rmdir(directory);
    return failed;
}
