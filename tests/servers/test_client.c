/* <hsmart/client.h> through the shared library, against the servers of this directory, over TLS. client.sh starts them
 * and sets the variables; without them every row is skipped. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <hsmart/hsmart.h>

#include "rows.h"

#define SCOPE "system/Patient.rs"
#define TIMEOUT_MS 60000U /* a machine under load is no fault */
#define HURRIED_MS 1000U

/* ---- One token, two keys, one log, for all rows ---- */

static hsmart_token *token;
static hsmart_key *rsa_key, *ec_key;
static hsmart_signer *rsa_signer, *ec_signer;
static char log_text[65536];

static const char *
server(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL || value[0] == 0)
        skip();
    return value;
}

/* One thread only calls it. */
static void
keep_line(void *arg, enum hsmart_log_level level, const char *line)
{
    size_t len = strlen(log_text);

    (void)arg;
    (void)snprintf(log_text + len, sizeof log_text - len, "%s: %s\n",
                   level == HSMART_LOG_WARNING ? "warning" : "detail", line);
}

static void
open_key(const char *uri, hsmart_key **out_key, hsmart_signer **out_signer)
{
    hsmart_err err = {0};

    if (hsmart_key_find(token, uri, out_key, &err) != HSMART_OK ||
        hsmart_signer_new(*out_key, NULL, out_signer, &err) != HSMART_OK)
        fail_msg("%s", err.text);
}

static int
open_token(void **state)
{
    hsmart_err err = {0};
    const hsmart_token_options options = {
        .module = getenv("CLIENT_MODULE"), .uri = "pkcs11:token=client", .pin_source = getenv("CLIENT_PIN_SOURCE")};

    (void)state;
    if (options.module == NULL)
        return 0;
    if (hsmart_token_open(&options, &token, &err) != HSMART_OK) {
        print_error("%s\n", err.text);
        return -1;
    }
    open_key("pkcs11:object=rsa", &rsa_key, &rsa_signer);
    open_key("pkcs11:object=ec", &ec_key, &ec_signer);
    return 0;
}

static int
close_token(void **state)
{
    (void)state;
    hsmart_signer_free(rsa_signer);
    hsmart_signer_free(ec_signer);
    hsmart_key_free(rsa_key);
    hsmart_key_free(ec_key);
    hsmart_token_close(token);
    return 0;
}

static hsmart_network_options
network(void)
{
    return (hsmart_network_options){
        .ca_file = server("PKI_CA"), .timeout_ms = TIMEOUT_MS, .max_attempts = 1, .max_wait_s = 3, .log = keep_line};
}

static void
assert_has(const char *text, const char *part)
{
    if (part != NULL && strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, text);
}

/* Nothing that a terminal obeys, nothing secret. */
static void
assert_clean(const char *text)
{
    for (const char *c = text; *c != 0; c++)
        assert_true((unsigned char)*c >= ' ' || *c == '\n');
    assert_null(strstr(text, "eyJ")); /* the start of an assertion */
}

/* ---- Faults, one by one ---- */

enum doing { DISCOVER, ACCESS_TOKEN, READ, READ_ALL, REGISTER };
struct fault {
    const char *name;
    enum doing doing;
    const char *listener, *scenario; /* of faults.sh */
    enum hsmart_code code;
    const char *text, *hint, *log; /* parts that must be there */
    int64_t life_s;                /* of the access token */
    unsigned pages;
    unsigned attempts; /* 0: 1 */
    bool hurried;      /* there is one second for an answer */
    bool unpinned;
    bool certificate;  /* shows the client certificate */
    bool ca_directory; /* trusts a hashed directory instead of a file */
};

#define HERE "FAULTS_URL"
/* What a row does not say is not looked at. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
static struct fault faults[] = {
    /* What is odd, and yet works. */
    {"nothing is wrong", ACCESS_TOKEN, HERE, "fine", .life_s = 300},
    {"a discovery document of 200 KiB", ACCESS_TOKEN, HERE, "discovery.big"},
    {"a relative token endpoint", ACCESS_TOKEN, HERE, "discovery.relative"},
    {"a token endpoint and no more", ACCESS_TOKEN, HERE, "discovery.only-token-endpoint"},
    {"a token endpoint with a query", ACCESS_TOKEN, HERE, "discovery.query"},
    {"discovery as text/plain", ACCESS_TOKEN, HERE, "discovery.wrong-type", .log = "served as \"text/plain"},
    {"discovery with a byte order mark", ACCESS_TOKEN, HERE, "discovery.bom", .log = "byte order mark"},
    {"discovery with odd types", ACCESS_TOKEN, HERE, "discovery.odd-types", .log = "ignored"},
    {"no client_credentials advertised", ACCESS_TOKEN, HERE, "discovery.no-client-credentials",
     .log = "does not list client_credentials"},
    {"an access token of 32 KiB", ACCESS_TOKEN, HERE, "token.long-token-32768"},
    {"expires_in as a string", ACCESS_TOKEN, HERE, "token.expires-string", .life_s = 1200},
    {"no expires_in", ACCESS_TOKEN, HERE, "token.expires-missing", .life_s = 300, .log = "expires_in"},
    {"a huge expires_in", ACCESS_TOKEN, HERE, "token.expires-huge", .life_s = 86400},
    {"BEARER", ACCESS_TOKEN, HERE, "token.type-BEARER"},
    {"an answer as text/plain", ACCESS_TOKEN, HERE, "token.wrong-type"},
    {"unknown members", ACCESS_TOKEN, HERE, "token.extra"},
    {"chunks and trailers", ACCESS_TOKEN, HERE, "all.chunked"},
    {"100 and 103 before the answer", ACCESS_TOKEN, HERE, "all.100-continue"},
    {"a scope is lost", ACCESS_TOKEN, HERE, "token.scope-other", .log = "warning: "},
    {"no scope in the answer", ACCESS_TOKEN, HERE, "token.scope-absent"},
    {"503, then 200", ACCESS_TOKEN, HERE, "token.503-once~then", .log = "503", .attempts = 2},
    {"429 with a Retry-After that is waited for", ACCESS_TOKEN, HERE, "token.429-after-1-once~then", .attempts = 2},
    {"a connection that is closed once", ACCESS_TOKEN, HERE, "token.close-once~then", .attempts = 2},
    {"a slow server", ACCESS_TOKEN, HERE, "token.slow-headers-2"},
    {"TLS 1.2 only", ACCESS_TOKEN, "FAULTS_TLS12_URL", "fine"},
    {"a client certificate that is shown", ACCESS_TOKEN, "FAULTS_CLIENT_CERT_URL", "fine", .certificate = true},
    {"an authority in a hashed directory", ACCESS_TOKEN, HERE, "fine", .ca_directory = true},
    {"an intermediate certificate that is sent", ACCESS_TOKEN, "FAULTS_COMPLETE_URL", "fine"},

    /* Discovery that cannot be used. */
    {"no token endpoint", ACCESS_TOKEN, HERE, "discovery.no-token-endpoint", HSMART_SERVER_FAILED, "token_endpoint"},
    {"a token endpoint over http", ACCESS_TOKEN, HERE, "discovery.http", HSMART_SERVER_FAILED, "it is not https",
     .unpinned = true},
    {"a token endpoint with a fragment", ACCESS_TOKEN, HERE, "discovery.fragment", HSMART_SERVER_FAILED, "fragment"},
    {"a token endpoint with a user name", ACCESS_TOKEN, HERE, "discovery.userinfo", HSMART_SERVER_FAILED, "user name"},
    {"a token endpoint elsewhere", ACCESS_TOKEN, HERE, "discovery.foreign", HSMART_POLICY_REFUSED, "pinned to"},
    {"algorithms that the key cannot do", ACCESS_TOKEN, HERE, "discovery.algs-RS512", HSMART_KEY_UNUSABLE,
     "the server takes assertions signed with RS512, and the key signs with ES384"},
    {"a login page instead of discovery", DISCOVER, HERE, "discovery.html-200", HSMART_SERVER_FAILED, "200 with HTML"},
    {"404 instead of discovery", DISCOVER, HERE, "discovery.404", HSMART_SERVER_FAILED, "404", "check the FHIR base"},
    {"a redirect instead of discovery", DISCOVER, HERE, "discovery.redirect-301", HSMART_SERVER_FAILED, "301"},
    {"an array instead of discovery", DISCOVER, HERE, "discovery.array", HSMART_SERVER_FAILED, "not an object"},
    {"an endless discovery document", DISCOVER, HERE, "discovery.endless", HSMART_SERVER_FAILED, NULL},

    /* Access tokens that are not had. */
    {"429 with an absurd Retry-After", ACCESS_TOKEN, HERE, "token.429-after-ms", HSMART_SERVER_BUSY, NULL},
    {"429 with Retry-After above what is waited for", ACCESS_TOKEN, HERE, "token.429-after-60", HSMART_SERVER_BUSY,
     "60 s"},
    {"503 for ever", ACCESS_TOKEN, HERE, "token.503", HSMART_SERVER_FAILED, "503", .attempts = 2},
    {"a slow answer", ACCESS_TOKEN, HERE, "token.slow-headers-20", HSMART_NETWORK_FAILED, NULL, .hurried = true},
    {"a body that stops half-way", ACCESS_TOKEN, HERE, "token.slow-body-20", HSMART_NETWORK_FAILED, NULL,
     .hurried = true},
    {"a body that is cut off", ACCESS_TOKEN, HERE, "token.cut-body", HSMART_SERVER_FAILED, NULL},
    {"a chunk that is missing", ACCESS_TOKEN, HERE, "token.cut-chunked", HSMART_SERVER_FAILED, NULL},
    {"a truncated HTTP/1.0 answer", ACCESS_TOKEN, HERE, "token.http10-truncated", HSMART_SERVER_FAILED, NULL},
    {"no HTTP", ACCESS_TOKEN, HERE, "token.not-http", HSMART_SERVER_FAILED, NULL},
    {"2 MiB", ACCESS_TOKEN, HERE, "token.huge", HSMART_SERVER_FAILED, NULL},
    {"an endless body", ACCESS_TOKEN, HERE, "token.endless", HSMART_SERVER_FAILED, NULL},
    {"400 KiB of headers", ACCESS_TOKEN, HERE, "token.many-headers", HSMART_SERVER_FAILED, NULL},
    {"an HTML error page", ACCESS_TOKEN, HERE, "token.html", HSMART_SERVER_FAILED, "502 with HTML"},
    {"an HTML page with 200", ACCESS_TOKEN, HERE, "token.html-200", HSMART_SERVER_FAILED, NULL},
    {"plain text", ACCESS_TOKEN, HERE, "token.text", HSMART_SERVER_REFUSED, "400", "aud"},
    {"JSON of another shape", ACCESS_TOKEN, HERE, "token.other-json", HSMART_SERVER_REFUSED, "401 with JSON"},
    {"an empty answer", ACCESS_TOKEN, HERE, "token.empty", HSMART_SERVER_FAILED, NULL},
    {"broken JSON", ACCESS_TOKEN, HERE, "token.broken-json", HSMART_SERVER_FAILED, NULL},
    {"an array", ACCESS_TOKEN, HERE, "token.array", HSMART_SERVER_FAILED, NULL},
    {"JSON that is too deep", ACCESS_TOKEN, HERE, "token.deep", HSMART_SERVER_FAILED, NULL},
    {"members that are there twice", ACCESS_TOKEN, HERE, "token.duplicate", HSMART_SERVER_FAILED, NULL},
    {"escape sequences", ACCESS_TOKEN, HERE, "token.escape", HSMART_SERVER_REFUSED, "400"},
    {"64 KiB of description", ACCESS_TOKEN, HERE, "token.long-error", HSMART_SERVER_REFUSED, "400"},
    {"a description that is not UTF-8", ACCESS_TOKEN, HERE, "token.not-utf8", HSMART_SERVER_REFUSED, "400"},
    {"a redirect to another origin", ACCESS_TOKEN, HERE, "token.redirect-307", HSMART_SERVER_FAILED, "307"},
    {"a redirect to the same origin", ACCESS_TOKEN, HERE, "token.redirect-same-302", HSMART_SERVER_FAILED, "302"},
    {"CR LF in the access token", ACCESS_TOKEN, HERE, "token.value-crlf", HSMART_SERVER_FAILED, NULL},
    {"LF in the access token", ACCESS_TOKEN, HERE, "token.value-lf", HSMART_SERVER_FAILED, NULL},
    {"a space in the access token", ACCESS_TOKEN, HERE, "token.value-space", HSMART_SERVER_FAILED, NULL},
    {"no access token", ACCESS_TOKEN, HERE, "token.value-missing", HSMART_SERVER_FAILED, NULL},
    {"an access token that is a number", ACCESS_TOKEN, HERE, "token.value-number", HSMART_SERVER_FAILED, NULL},
    {"a token type that is not Bearer", ACCESS_TOKEN, HERE, "token.type-mac", HSMART_SERVER_FAILED, "mac"},
    {"invalid_client", ACCESS_TOKEN, HERE, "token.error-invalid_client", HSMART_SERVER_REFUSED, "401 invalid_client",
     "aud: ", "likely cause 1, aud"},
    {"invalid_scope", ACCESS_TOKEN, HERE, "token.error-invalid_scope", HSMART_SERVER_REFUSED,
     "look at, in this order: scope", "scope: "},
    {"unauthorized_client", ACCESS_TOKEN, HERE, "token.error-unauthorized_client", HSMART_SERVER_REFUSED,
     "look at, in this order: enabled"},
    {"an error with 200", ACCESS_TOKEN, HERE, "token.error-200-invalid_client", HSMART_SERVER_REFUSED,
     "invalid_client"},
    {"a clock that is ahead", ACCESS_TOKEN, HERE, "token.clock-ahead-600", HSMART_SERVER_REFUSED,
     "s behind the server's; look at, in this order: clock", "clock: "},
    {"a clock that is behind", ACCESS_TOKEN, HERE, "token.clock-behind-600", HSMART_SERVER_REFUSED,
     "s ahead of the server's; look at, in this order: clock", "clock: "},

    /* TLS, and no connection at all. */
    {"TLS 1.1", ACCESS_TOKEN, "FAULTS_TLS11_URL", "fine", HSMART_TLS_FAILED, NULL},
    {"an expired certificate", ACCESS_TOKEN, "FAULTS_EXPIRED_URL", "fine", HSMART_TLS_FAILED, "expired", "clock"},
    {"a certificate of tomorrow", ACCESS_TOKEN, "FAULTS_NOT_YET_URL", "fine", HSMART_TLS_FAILED, "not valid yet"},
    {"a certificate for another host", ACCESS_TOKEN, "FAULTS_WRONG_HOST_URL", "fine", HSMART_TLS_FAILED,
     "another host"},
    {"an unknown authority", ACCESS_TOKEN, "FAULTS_UNTRUSTED_URL", "fine", HSMART_TLS_FAILED, "authority"},
    {"a certificate signed by itself", ACCESS_TOKEN, "FAULTS_SELF_SIGNED_URL", "fine", HSMART_TLS_FAILED, "by itself"},
    {"a missing intermediate certificate", ACCESS_TOKEN, "FAULTS_INCOMPLETE_URL", "fine", HSMART_TLS_FAILED,
     "authority"},
    {"no client certificate", ACCESS_TOKEN, "FAULTS_CLIENT_CERT_URL", "fine", HSMART_TLS_FAILED, "certificate"},
    {"plain http", ACCESS_TOKEN, "FAULTS_PLAIN_URL", "fine", HSMART_INVALID_ARGUMENT, "http"},
    {"a server that says nothing", ACCESS_TOKEN, "FAULTS_SILENT_URL", "fine", HSMART_NETWORK_FAILED, NULL,
     .hurried = true},
    {"a port where nobody listens", ACCESS_TOKEN, "FAULTS_REFUSED_URL", "fine", HSMART_NETWORK_FAILED, NULL},

    /* FHIR. */
    {"a resource", READ, HERE, "fine"},
    {"401 once", READ, HERE, "fhir.401-once~again"},
    {"401 for ever", READ, HERE, "fhir.401", HSMART_SERVER_REFUSED, "401", "new access token"},
    {"403 with an OperationOutcome", READ, HERE, "fhir.outcome-403", HSMART_SERVER_REFUSED, "403", "scope"},
    {"404 with an OperationOutcome", READ, HERE, "fhir.outcome-404", HSMART_SERVER_FAILED, "OperationOutcome"},
    {"503 once", READ, HERE, "fhir.503-once~then", .attempts = 2},
    {"a redirect to another origin", READ, HERE, "fhir.redirect-302", HSMART_SERVER_FAILED, "not followed"},
    {"an endless resource", READ, HERE, "fhir.cut-body", HSMART_SERVER_FAILED, NULL},
    {"three pages", READ_ALL, HERE, "fine", .pages = 3},
    {"relative links", READ_ALL, HERE, "fhir.next-relative", .pages = 3},
    {"a next page elsewhere", READ_ALL, HERE, "fhir.next-foreign", HSMART_POLICY_REFUSED, "another server", .pages = 1},
    {"a next page that is this page", READ_ALL, HERE, "fhir.next-self", HSMART_SERVER_FAILED, "leads back", .pages = 1},

    /* Registration. */
    {"a client", REGISTER, HERE, "fine"},
    {"another scope and other grants", REGISTER, HERE, "register.swap-scope", .log = "warning: scope: asked for"},
    {"a method that is not ours", REGISTER, HERE, "register.swap-method-tls_client_auth", HSMART_POLICY_REFUSED,
     "tls_client_auth"},
    {"a client id of 16 KiB", REGISTER, HERE, "register.long-id"},
    {"no client id", REGISTER, HERE, "register.no-client-id", HSMART_SERVER_FAILED, "no client id"},
    {"an initial access token is needed", REGISTER, HERE, "register.needs-initial", HSMART_SERVER_REFUSED, "401",
     "initial access token"},
    {"a lost answer", REGISTER, HERE, "register.cut-body~lost", HSMART_SERVER_FAILED, NULL, "may have registered"},
    {"503 is not tried again", REGISTER, HERE, "register.503~lost", HSMART_SERVER_FAILED, "503"},
    {"invalid_client_metadata", REGISTER, HERE, "register.error-400-invalid_client_metadata", HSMART_SERVER_REFUSED,
     "invalid_client_metadata"},
};

static enum hsmart_code
count_page(void *page_arg, unsigned page, const hsmart_fhir_answer *answer, hsmart_err *err)
{
    (void)err;
    assert_int_equal(page, ++*(unsigned *)page_arg);
    assert_non_null(strstr(answer->body, "Bundle"));
    return HSMART_OK;
}

static hsmart_client *
new_client(const struct fault *row, const char *base, hsmart_err *err)
{
    hsmart_client *client = NULL;
    hsmart_client_options options = {.fhir_base = base,
                                     .client_id = "client-1",
                                     .scope = SCOPE,
                                     .signer = ec_signer,
                                     .token_pin = server(row->listener),
                                     .no_cache = true,
                                     .network = network()};

    if (row->attempts != 0)
        options.network.max_attempts = row->attempts;
    if (row->hurried)
        options.network.timeout_ms = HURRIED_MS;
    if (row->unpinned)
        options.token_pin = NULL;
    if (row->certificate) {
        options.network.client_certificate = server("PKI_CLIENT_CERT");
        options.network.client_key = server("PKI_CLIENT_KEY");
    }
    if (row->ca_directory) {
        options.network.ca_file = NULL;
        options.network.ca_directory = server("PKI_CA_DIR");
    }
    if (hsmart_client_new(&options, &client, err) != HSMART_OK)
        fail_msg("%s", err->text);
    return client;
}

static enum hsmart_code
get_access_token(hsmart_client *client, const struct fault *row, hsmart_err *err)
{
    hsmart_access_token *access_token = NULL;
    enum hsmart_code code = hsmart_client_access_token(client, 0, &access_token, err);

    if (code != HSMART_OK) {
        assert_null(access_token);
        return code;
    }
    assert_string_equal(access_token->type, "Bearer");
    if (row->life_s != 0)
        assert_int_equal(access_token->expires_at_s - access_token->obtained_at_s, row->life_s);
    hsmart_access_token_free(access_token);
    return code;
}

static enum hsmart_code
read_one(hsmart_client *client, hsmart_err *err)
{
    hsmart_fhir_answer *answer = NULL;
    enum hsmart_code code = hsmart_client_get(client, "Patient/p1", NULL, &answer, err);

    if (code == HSMART_OK)
        assert_non_null(strstr(answer->body, "\"p1\""));
    if (code == HSMART_SERVER_REFUSED)
        assert_true(answer->status == 401 || answer->status == 403);
    hsmart_fhir_answer_free(answer);
    return code;
}

static enum hsmart_code
register_one(const char *base, hsmart_err *err)
{
    const hsmart_network_options over = network();
    hsmart_registration *registration = NULL;
    const hsmart_registration_request request = {
        .fhir_base = base, .jwks_uri = "https://us.example/jwks.json", .scope = SCOPE, .client_name = "test"};
    enum hsmart_code code = hsmart_register(&request, &over, &registration, err);

    if (code == HSMART_OK)
        assert_true(strlen(registration->client_id) > 0);
    hsmart_registration_free(registration);
    return code;
}

static enum hsmart_code
discover_one(const char *base, hsmart_err *err)
{
    const hsmart_network_options over = network();
    hsmart_discovery *discovery = NULL;
    enum hsmart_code code = hsmart_discover(base, NULL, &over, &discovery, err);

    hsmart_discovery_free(discovery);
    return code;
}

static void
a_fault_is_told(void **state)
{
    const struct fault *row = *state;
    hsmart_err err = {0};
    enum hsmart_code code = HSMART_OK;
    char base[512];
    unsigned pages = 0;

    log_text[0] = 0;
    server("CLIENT_MODULE");
    (void)snprintf(base, sizeof base, "%s/%s/fhir", server(row->listener), row->scenario);
    hsmart_client *client = new_client(row, base, &err);
    switch (row->doing) {
    case DISCOVER:
        code = discover_one(base, &err);
        break;
    case ACCESS_TOKEN:
        code = get_access_token(client, row, &err);
        break;
    case READ:
        code = read_one(client, &err);
        break;
    case READ_ALL:
        code = hsmart_client_get_all(client, "Patient?_count=2", NULL, count_page, &pages, &err);
        assert_int_equal(pages, row->pages);
        break;
    case REGISTER:
        code = register_one(base, &err);
        break;
    }
    hsmart_client_free(client);
    if (code != row->code)
        fail_msg("%s: %s (%s)", hsmart_code_name(code), err.text, err.hint);
    assert_has(err.text, row->text);
    assert_has(err.hint, row->hint);
    assert_has(log_text, row->log);
    assert_clean(err.text);
    assert_clean(err.hint);
    assert_clean(log_text);
}

/* ---- The whole way, at a certified OAuth server ---- */

static void
must(enum hsmart_code code, const hsmart_err *err)
{
    if (code != HSMART_OK)
        fail_msg("%s: %s (%s)\n%s", hsmart_code_name(code), err->text, err->hint, log_text);
}

/* One or both of the public keys as a JWK Set; released with `hsmart_string_free`. */
static char *
jwks_of(bool with_rsa, bool with_ec)
{
    hsmart_jwks *jwks = NULL;
    char *json = NULL;
    hsmart_err err = {0};

    must(hsmart_jwks_new(&jwks, &err), &err);
    if (with_rsa)
        must(hsmart_jwks_add(jwks, rsa_key, NULL, &err), &err);
    if (with_ec)
        must(hsmart_jwks_add(jwks, ec_key, NULL, &err), &err);
    must(hsmart_jwks_format(jwks, &json, &err), &err);
    hsmart_jwks_free(jwks);
    return json;
}

/* Puts a JWK Set where nginx serves it. */
static void
publish(bool with_rsa, bool with_ec)
{
    char path[512];
    char *json = jwks_of(with_rsa, with_ec);

    (void)snprintf(path, sizeof path, "%s/jwks.json", server("JWKS_ROOT"));
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(json, file) >= 0);
    assert_int_equal(fclose(file), 0);
    hsmart_string_free(json);
}

static void
control(const char *what)
{
    char command[1024];

    (void)snprintf(command, sizeof command, "curl -sf --max-time 30 --cacert '%s' -X POST '%s/%s' >/dev/null",
                   server("PKI_CA"), server("OIDC_CONTROL"), what);
    assert_int_equal(system(command), 0);
}

/* A path in the directory of this run. Static storage. */
static const char *
scratch(const char *name)
{
    static char path[512];

    (void)snprintf(path, sizeof path, "%s/%s", server("CLIENT_SCRATCH"), name);
    return path;
}

/* Registers, and saves it. */
static void
enrol(hsmart_registration_request *request, const char *name)
{
    const hsmart_network_options over = network();
    hsmart_registration *registration = NULL;
    hsmart_err err = {0};

    request->fhir_base = server("OIDC_FHIR");
    request->scope = SCOPE;
    must(hsmart_register(request, &over, &registration, &err), &err);
    assert_int_equal(registration->has_client_secret, (request->auth & ~(unsigned)HSMART_AUTH_PRIVATE_KEY_JWT) != 0);
    assert_string_equal(registration->auth_method,
                        hsmart_auth_name(request->auth != 0 ? request->auth : HSMART_AUTH_PRIVATE_KEY_JWT));
    must(hsmart_registration_save(registration, scratch(name), &err), &err);
    hsmart_registration_free(registration);
}

static hsmart_client_options
options_for(const char *name, hsmart_signer *signer)
{
    return (hsmart_client_options){.fhir_base = server("OIDC_FHIR"),
                                   .registration_file = scratch(name),
                                   .scope = SCOPE,
                                   .signer = signer,
                                   .no_cache = true,
                                   .network = network()};
}

static enum hsmart_code
count_resources(void *page_arg, unsigned page, const hsmart_fhir_answer *answer, hsmart_err *err)
{
    unsigned *count = page_arg;

    (void)page, (void)err;
    for (const char *at = answer->body; (at = strstr(at, "\"fullUrl\"")) != NULL; at++)
        ++*count;
    return HSMART_OK;
}

/* From an access token to all patients. */
static void
assert_reads(const hsmart_client_options *options)
{
    hsmart_client *client = NULL;
    hsmart_fhir_answer *answer = NULL;
    unsigned count = 0;
    hsmart_err err = {0};

    must(hsmart_client_new(options, &client, &err), &err);
    must(hsmart_client_get(client, "Patient/p1", NULL, &answer, &err), &err);
    assert_non_null(strstr(answer->body, "\"p1\""));
    assert_null(answer->next_url);
    must(hsmart_client_get_all(client, "Patient?_count=3", NULL, count_resources, &count, &err), &err);
    assert_int_equal(count, 7);
    hsmart_fhir_answer_free(answer);
    hsmart_client_free(client);
}

static struct way {
    const char *name;
    bool by_url, rsa;
    enum hsmart_auth auth; /* with a secret when it is one of those */
    const char *signing_alg;
} ways[] = {
    {"RS384, by value", false, true, HSMART_AUTH_DEFAULT, "RS384"},
    {"ES384, by value", false, false, HSMART_AUTH_DEFAULT, "ES384"},
    {"RS384, by URL", true, true, HSMART_AUTH_DEFAULT, "RS384"},
    {"ES384, by URL", true, false, HSMART_AUTH_DEFAULT, "ES384"},
    {"a secret in HTTP Basic", false, false, HSMART_AUTH_SECRET_BASIC, NULL},
    {"a secret in the body", false, false, HSMART_AUTH_SECRET_POST, NULL},
};

static void
from_registration_to_data(void **state)
{
    const struct way *row = *state;
    bool by_key = row->auth == HSMART_AUTH_DEFAULT;
    char *jwks = by_key && !row->by_url ? jwks_of(row->rsa, !row->rsa) : NULL;
    hsmart_registration_request request = {.auth = row->auth, .signing_alg = row->signing_alg, .jwks = jwks};

    log_text[0] = 0;
    if (row->by_url) {
        publish(row->rsa, !row->rsa);
        request.jwks_uri = server("JWKS_URL");
    }
    enrol(&request, "way");
    hsmart_string_free(jwks);
    const hsmart_client_options options = options_for("way", by_key ? row->rsa ? rsa_signer : ec_signer : NULL);
    assert_reads(&options);
    assert_clean(log_text);
}

/* What is wrong with a client that was registered right, by value and with the EC key. */
static struct wrong {
    const char *name;
    hsmart_client_options own;
    bool other_key;
    enum hsmart_code code;
    const char *text;
} wrongs[] = {
    {"another client id", {.client_id = "nobody"}, false, HSMART_SERVER_REFUSED, "401 invalid_client"},
    {"another key", {0}, true, HSMART_SERVER_REFUSED, "invalid_client"},
    {"another audience", {.audience = "https://ehr.example/token"}, false, HSMART_SERVER_REFUSED, "aud"},
    {"another type", {.assertion_type = "at+jwt"}, false, HSMART_SERVER_REFUSED, "invalid_client"},
    {"a scope that was not registered",
     {.scope = "system/Observation.rs"},
     false,
     HSMART_SERVER_REFUSED,
     "look at, in this order: scope"},
    {"a secret instead of a key",
     {.auth = HSMART_AUTH_SECRET_POST, .secret_source = "exec:echo wrong"},
     false,
     HSMART_SERVER_REFUSED,
     "invalid_client"},
};

static void
what_is_wrong_is_told(void **state)
{
    const struct wrong *row = *state;
    char *jwks = jwks_of(false, true);
    hsmart_registration_request request = {.jwks = jwks, .signing_alg = "ES384"};
    hsmart_client_options options = row->own;
    hsmart_client *client = NULL;
    hsmart_access_token *access_token = NULL;
    hsmart_err err = {0};

    log_text[0] = 0;
    enrol(&request, "wrong");
    hsmart_string_free(jwks);
    const hsmart_client_options right = options_for("wrong", row->other_key ? rsa_signer : ec_signer);
    options.fhir_base = right.fhir_base;
    options.registration_file = right.registration_file;
    options.signer = right.signer;
    options.no_cache = true;
    options.network = right.network;
    if (options.scope == NULL)
        options.scope = right.scope;
    must(hsmart_client_new(&options, &client, &err), &err);
    enum hsmart_code code = hsmart_client_access_token(client, 0, &access_token, &err);
    if (code != row->code)
        fail_msg("%s: %s", hsmart_code_name(code), err.text);
    assert_has(err.text, row->text);
    assert_true(err.hint[0] != 0);
    assert_clean(err.text);
    assert_clean(log_text);
    hsmart_client_free(client);
}

static void
an_access_token_that_was_revoked_is_renewed(void **state)
{
    (void)state;
    char *jwks = jwks_of(false, true);
    hsmart_registration_request request = {.jwks = jwks, .signing_alg = "ES384"};
    hsmart_client *client = NULL;
    hsmart_access_token *before = NULL, *after = NULL;
    hsmart_fhir_answer *answer = NULL;
    hsmart_err err = {0};

    log_text[0] = 0;
    enrol(&request, "revoked");
    hsmart_string_free(jwks);
    const hsmart_client_options options = options_for("revoked", ec_signer);
    must(hsmart_client_new(&options, &client, &err), &err);
    must(hsmart_client_access_token(client, 0, &before, &err), &err);
    control("revoke");
    must(hsmart_client_get(client, "Patient/p1", NULL, &answer, &err), &err);
    must(hsmart_client_access_token(client, 0, &after, &err), &err);
    assert_string_not_equal(before->value, after->value);
    hsmart_access_token_free(before);
    hsmart_access_token_free(after);
    hsmart_fhir_answer_free(answer);
    hsmart_client_free(client);
}

static enum hsmart_code
ask_with(hsmart_signer *signer, hsmart_err *err)
{
    const hsmart_client_options options = options_for("rotated", signer);
    hsmart_client *client = NULL;
    hsmart_access_token *access_token = NULL;

    *err = (hsmart_err){0};
    must(hsmart_client_new(&options, &client, err), err);
    enum hsmart_code code = hsmart_client_access_token(client, 0, &access_token, err);
    hsmart_access_token_free(access_token);
    hsmart_client_free(client);
    return code;
}

/* Publish the new key beside the old one, wait until the server has read it, sign with it, remove the old one. */
static void
a_key_is_rotated(void **state)
{
    (void)state;
    hsmart_registration_request request = {.jwks_uri = server("JWKS_URL")};
    const hsmart_signer_options unknown = {.kid = "in-no-set"};
    hsmart_signer *stranger = NULL;
    hsmart_err err = {0};

    log_text[0] = 0;
    publish(true, false);
    control("expire-jwks");
    enrol(&request, "rotated");
    must(ask_with(rsa_signer, &err), &err);
    assert_int_equal(ask_with(ec_signer, &err), HSMART_SERVER_REFUSED); /* not published yet */
    publish(true, true);
    control("expire-jwks");
    must(ask_with(ec_signer, &err), &err);
    must(ask_with(rsa_signer, &err), &err); /* both are good meanwhile */
    publish(false, true);
    control("expire-jwks");
    must(ask_with(ec_signer, &err), &err);
    /* This server reads the set again only when a kid is not in its copy. */
    must(hsmart_signer_new(ec_key, &unknown, &stranger, &err), &err);
    assert_int_equal(ask_with(stranger, &err), HSMART_SERVER_REFUSED);
    assert_int_equal(ask_with(rsa_signer, &err), HSMART_SERVER_REFUSED);
    assert_has(err.text, "kid");
    hsmart_signer_free(stranger);
}

static void
clients_of_a_user_share_an_access_token(void **state)
{
    (void)state;
    char *jwks = jwks_of(false, true), cache[512];
    hsmart_registration_request request = {.jwks = jwks, .signing_alg = "ES384"};
    hsmart_client *first = NULL, *second = NULL;
    hsmart_access_token *one = NULL, *other = NULL, *third = NULL;
    hsmart_err err = {0};

    log_text[0] = 0;
    enrol(&request, "shared");
    hsmart_string_free(jwks);
    (void)snprintf(cache, sizeof cache, "%s", scratch("cache"));
    hsmart_client_options options = options_for("shared", ec_signer);
    options.no_cache = false;
    options.cache_directory = cache;
    must(hsmart_client_new(&options, &first, &err), &err);
    must(hsmart_client_access_token(first, 0, &one, &err), &err);
    options.network.ca_file = server("PKI_OTHER_CA"); /* no request of this one can succeed */
    must(hsmart_client_new(&options, &second, &err), &err);
    must(hsmart_client_access_token(second, 100, &other, &err), &err);
    assert_string_equal(one->value, other->value);
    hsmart_client_reject_access_token(second, other->value);
    assert_int_equal(hsmart_client_access_token(second, 0, &third, &err), HSMART_TLS_FAILED);
    hsmart_access_token_free(one);
    hsmart_access_token_free(other);
    hsmart_client_free(first);
    hsmart_client_free(second);
}

/* ---- Threads ---- */

#define THREADS 16

struct crowd {
    hsmart_client *client;
    atomic_uint good;
};

static void *
read_in_a_crowd(void *arg)
{
    struct crowd *crowd = arg;
    hsmart_fhir_answer *answer = NULL;
    hsmart_err err = {0};

    if (hsmart_client_get(crowd->client, "Patient/p1", NULL, &answer, &err) == HSMART_OK && answer->status == 200)
        crowd->good++;
    hsmart_fhir_answer_free(answer);
    return NULL;
}

/* client.sh counts the access token requests: one. */
static void
threads_share_a_client(void **state)
{
    (void)state;
    char base[512];
    struct crowd crowd = {0};
    pthread_t threads[THREADS];
    hsmart_err err = {0};
    hsmart_client_options options = {.fhir_base = base,
                                     .client_id = "client-1",
                                     .scope = SCOPE,
                                     .signer = ec_signer,
                                     .no_cache = true,
                                     .network = network()};

    server("CLIENT_MODULE");
    options.network.log = NULL; /* ours is for one thread */
    (void)snprintf(base, sizeof base, "%s/fine~threads/fhir", server("FAULTS_URL"));
    must(hsmart_client_new(&options, &crowd.client, &err), &err);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_in_a_crowd, &crowd), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(crowd.good, THREADS);
    hsmart_client_free(crowd.client);
}

/* ---- Algorithms ---- */

static struct choice {
    const char *name;
    bool rsa;
    const char *alg, *server_algs;
    const char *header; /* how the assertion begins */
} choices[] = {
    {"the one in the key's JWK, where the server takes it", true, NULL, "RS256 PS384 RS384",
     "eyJhbGciOiJSUzM4NCI" /* {"alg":"RS384" */},
    {"else the first that the key can do", true, NULL, "ES384 RS256 RS512", "eyJhbGciOiJSUzI1NiI" /* RS256 */},
    {"a name that the default is the end of", true, NULL, "XRS384 RS256", "eyJhbGciOiJSUzI1NiI" /* RS256 */},
    {"the only one", true, NULL, "RS384", "eyJhbGciOiJSUzM4NCI" /* RS384 */},
    {"names that are none", false, NULL, "none  a-name-that-is-much-too-long HS256 ES384",
     "eyJhbGciOiJFUzM4NCI" /* ES384 */},
    {"none of them", false, NULL, "RS256 RS512", "eyJhbGciOiJFUzM4NCI" /* ES384 */},
    {"an empty list", false, NULL, "", "eyJhbGciOiJFUzM4NCI" /* ES384 */},
    {"what is asked for goes before", true, "RS384", "RS256", "eyJhbGciOiJSUzM4NCI" /* RS384 */},
};

static void
an_algorithm_is_chosen(void **state)
{
    const struct choice *row = *state;
    const hsmart_signer_options options = {.alg = row->alg, .server_algs = row->server_algs};
    const hsmart_assertion_options claims = {.client_id = "c", .audience = "https://a"};
    hsmart_signer *signer = NULL;
    char *jwt = NULL;
    hsmart_err err = {0};

    server("CLIENT_MODULE");
    must(hsmart_signer_new(row->rsa ? rsa_key : ec_key, &options, &signer, &err), &err);
    must(hsmart_signer_assertion(signer, &claims, &jwt, &err), &err);
    assert_memory_equal(jwt, row->header, strlen(row->header));
    hsmart_string_free(jwt);
    hsmart_signer_free(signer);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, a_fault_is_told, faults);
    ADD_TEST(&rows, threads_share_a_client);
    ADD_ROWS(&rows, an_algorithm_is_chosen, choices);
    ADD_ROWS(&rows, from_registration_to_data, ways);
    ADD_ROWS(&rows, what_is_wrong_is_told, wrongs);
    ADD_TEST(&rows, an_access_token_that_was_revoked_is_renewed);
    ADD_TEST(&rows, a_key_is_rotated);
    ADD_TEST(&rows, clients_of_a_user_share_an_access_token);
    return _cmocka_run_group_tests("client", rows.tests, rows.count, open_token, close_token);
}
