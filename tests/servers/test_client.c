/* <hsmart/client.h> through the shared library, against the servers of this directory, over TLS. client.sh starts them
 * and sets the variables; without them every row is skipped. */
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
    {"a login page instead of discovery", DISCOVER, HERE, "discovery.html-200", HSMART_SERVER_FAILED, "cannot be read"},
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

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, a_fault_is_told, faults);
    return _cmocka_run_group_tests("client", rows.tests, rows.count, open_token, close_token);
}
