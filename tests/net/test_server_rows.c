/* Every column of the server table, seen in the access token request that a client of that row sends: through the
 * public API, over a socket, with keys in software. */
#include <hsmart/client.h>

#include <ctype.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rows.h"

#include "err.h"
#include "form.h"
#include "jws.h"
#include "scripted_server.h"
#include "servers.h"
#include "software_signer.h"

#define UUID "9c6a5f0e-1c7e-4f0a-8a53-0d6a3f8f2f11"
#define TOKEN_REPLY                                                                                                    \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 65\r\n\r\n"                                  \
    "{\"access_token\":\"granted\",\"token_type\":\"Bearer\",\"expires_in\":300}"

/* Strings NULL: not looked at; "-": must not be there. A row of numbers that is 0 is not looked at. */
static struct column {
    const char *name;
    const char *server;
    hsmart_client_options own; /* over the row */
    bool rsa;                  /* the key is RSA with 2048 bits, else EC with P-384 */
    const char *kid;
    const char *discovery; /* members beside the token endpoint */
    enum hsmart_code code;
    const char *text; /* of the error */
    /* What is sent. */
    const char *typ, *aud, *alg, *jku; /* aud "@": the token endpoint */
    int64_t life_s;
    const char *iat, *nbf; /* "-" or "now" */
    const char *scope, *client_id, *authorization, *client_secret, *assertion;
    const char *log;
} columns[] = {
    /* auth_methods */
    {"a key by default", "smart", .assertion = "there", .authorization = "-", .client_secret = "-", .client_id = "-"},
    {"a key where only a secret is known to be taken", "bcda", .own = {.scope = "x"}, .code = HSMART_CONFIG_INVALID,
     .text = "CMS BCDA v1 is not known to take private_key_jwt"},
    {"the same when it is asked for by name", "bcda", .own = {.auth = HSMART_AUTH_PRIVATE_KEY_JWT},
     .assertion = "there", .log = "CMS BCDA v1 is not known to take private_key_jwt"},
    {"a secret where only a key is known to be taken", "epic", .own = {.secret_source = "exec:echo s"},
     .code = HSMART_CONFIG_INVALID, .text = "Epic is not known to take client_secret_basic"},
    {"a secret by default in HTTP Basic", "oracle", .own = {.secret_source = "exec:echo 's:'"},
     .authorization = "Basic Y2xpZW50LTE6cyUzQQ==" /* client-1:s%3A */, .assertion = "-", .client_secret = "-"},
    {"a secret in the body", "smart", .own = {.secret_source = "exec:echo s", .auth = HSMART_AUTH_SECRET_POST},
     .authorization = "-", .assertion = "-", .client_id = "client-1", .client_secret = "s"},
    /* algs */
    {"the algorithm that the row likes best", "epic", .rsa = true, .alg = "RS384"},
    {"one algorithm only", "nhs", .rsa = true, .alg = "RS512"},
    {"the discovery document goes before the row", "epic", .rsa = true, .alg = "RS256",
     .discovery = ",\"token_endpoint_auth_signing_alg_values_supported\":[\"RS256\"]"},
    {"PSS", "entra", .rsa = true, .alg = "PS256"},
    {"an algorithm that the key cannot do", "nhs", .code = HSMART_KEY_UNUSABLE,
     .text = "signed with RS512, and the key signs with ES384"},
    /* audience */
    {"the token endpoint", "smart", .aud = "@"},
    {"the issuer", "rfc7523bis", .aud = "https://issuer.example/x/", .typ = "client-authentication+jwt",
     .discovery = ",\"issuer\":\"https://issuer.example/x/\""},
    {"an issuer that is not told", "auth0", .code = HSMART_CONFIG_INVALID, .text = "wants its issuer as audience"},
    {"a string of its own that is not set", "bcda-v2", .rsa = true, .kid = "k", .code = HSMART_CONFIG_INVALID,
     .text = "CMS BCDA v2 wants an audience of its own"},
    {"a string of its own", "bcda-v2", .rsa = true, .kid = "k", .own = {.audience = "urn:aud"}, .aud = "urn:aud"},
    {"an audience over the row", "rfc7523bis", .own = {.audience = "https://a"}, .aud = "https://a"},
    /* assertion_type, lifetimes, iat, nbf, jku */
    {"SMART's defaults", "smart", .typ = "JWT", .life_s = 240, .iat = "now", .nbf = "-", .jku = "-"},
    {"a type over the row", "smart", .own = {.assertion_type = "x+jwt"}, .typ = "x+jwt"},
    {"a jku", "smart", .own = {.jku = "https://us/jwks"}, .jku = "https://us/jwks"},
    {"a shorter life", "keycloak", .life_s = 60},
    {"a life over the row", "keycloak", .own = {.assertion_lifetime_s = 30}, .life_s = 30},
    {"a life that is too long for the row", "keycloak", .own = {.assertion_lifetime_s = 200}, .life_s = 200,
     .log = "Keycloak takes assertions of at most 60 s"},
    {"a life that is too long", "okta", .own = {.assertion_lifetime_s = 301}, .code = HSMART_INVALID_ARGUMENT,
     .text = "must be 1 to 300"},
    {"an nbf", "entra", .rsa = true, .nbf = "now", .iat = "now", .life_s = 300},
    {"an nbf over the row", "smart", .own = {.not_before = true}, .nbf = "now"},
    {"no iat", "smart", .own = {.omit_issued_at = true}, .iat = "-"},
    {"no iat where one is needed", "keycloak", .own = {.omit_issued_at = true}, .iat = "-",
     .log = "Keycloak wants an iat"},
    /* kid, rsa_min_bits */
    {"a kid that is no UUID", "dpc", .log = "CMS DPC knows keys by the UUID"},
    {"a kid that is one", "dpc", .kid = UUID, .log = "-UUID"},
    {"a kid that is the thumbprint", "auth0", .own = {.audience = "https://t/"}, .rsa = true,
     .log = "Auth0 gives keys a kid of its own"},
    {"a kid that was assigned", "auth0", .own = {.audience = "https://t/"}, .rsa = true, .kid = "k",
     .log = "-gives keys a kid"},
    {"an RSA key that is too small for the row", "dpc", .rsa = true, .kid = UUID,
     .log = "CMS DPC wants RSA keys of at least 4096 bits, and this one has 2048"},
    /* scope */
    {"no scope where one is needed", "smart", .own = {.scope = ""}, .code = HSMART_CONFIG_INVALID, .text = "no scope"},
    {"no scope where none is needed", "epic", .own = {.scope = ""}, .scope = "-"},
    {"a scope where none is needed", "epic", .scope = "system/Patient.rs"},
    {"a scope that is not sent", "nhs", .rsa = true, .scope = "-", .log = "NHS England takes no scope"},
    {"a scope of its own", "ab2d", .own = {.scope = "", .secret_source = "exec:echo s"}, .scope = "clientCreds"},
    {"a scope over the one of its own", "dpc", .kid = UUID, .scope = "system/Patient.rs",
     .log = "only the scope \"system/*.*\""},
    /* basic, sends_client_id */
    {"HTTP Basic raw", "inferno", .own = {.secret_source = "exec:echo 's+ '"},
     .authorization = "Basic Y2xpZW50LTE6cysg" /* client-1:s+ */},
    {"HTTP Basic form-encoded over the row", "inferno",
     .own = {.secret_source = "exec:echo 's+ '", .raw_basic = HSMART_NO},
     .authorization = "Basic Y2xpZW50LTE6cyUyQis="},
    {"HTTP Basic raw over the row", "oracle", .own = {.secret_source = "exec:echo 's+ '", .raw_basic = HSMART_YES},
     .authorization = "Basic Y2xpZW50LTE6cysg"},
    {"the client id in the body over the row", "smart", .own = {.send_client_id = HSMART_YES}, .client_id = "client-1",
     .assertion = "there"},
    /* lacks */
    {"what hsmart does not do", "udap", .log = "UDAP B2B needs the x5c header"},
    {"a family that is none", "nobody", .code = HSMART_CONFIG_INVALID, .text = "there is no server family \"nobody\""},
};

/* ---- What was sent ---- */

struct seen {
    struct hs_buf body, authorization;
    struct hs_jws jws; /* zero without an assertion */
    char log[8192];
    struct hs_signer *signer;
    const struct column *row;
};

static void
keep_line(void *arg, enum hsmart_log_level level, const char *line)
{
    char *log = arg;
    size_t len = strlen(log);

    (void)level;
    (void)snprintf(log + len, sizeof((struct seen *)NULL)->log - len, "%s\n", line);
}

/* The first algorithm of the server's that the key can do, as a program would choose it; else the key's default. */
static enum hsmart_code
open_signer(void *arg, const char *algs, hsmart_signer **out_signer, hsmart_err *err)
{
    struct seen *seen = arg;
    const char *choice = seen->row->rsa ? "RS384" : "ES384";
    char word[16] = "";

    for (const char *rest = algs; *rest != 0;) {
        size_t len = strcspn(rest, " ");
        (void)snprintf(word, sizeof word, "%.*s", (int)len, rest);
        if (seen->row->rsa ? strchr("RP", word[0]) != NULL : strcmp(word, "ES384") == 0) {
            choice = word;
            break;
        }
        rest += len + strspn(rest + len, " ");
    }
    (void)err;
    seen->signer = software_signer_generate(choice, 2048, seen->row->kid);
    assert_non_null(seen->signer);
    *out_signer = (hsmart_signer *)seen->signer;
    return HSMART_OK;
}

/* Sets `out` to the field, decoded; false when it is not in the form. */
static bool
find_field(const struct hs_buf *form, const char *name, struct hs_buf *out)
{
    struct hs_span rest = hs_span_buf(form), found_name, value;

    while (hs_form_next(&rest, &found_name, &value))
        if (hs_span_equal_str(found_name, name)) {
            assert_int_equal(hs_form_decode(value, out, NULL), HSMART_OK);
            return true;
        }
    return false;
}

/* Takes the last request apart. */
static void
read_request(const struct hs_buf *requests, struct seen *seen)
{
    struct hs_buf assertion = {0};
    const char *post = strstr(hs_buf_text(requests), "POST /token "), *end, *header;

    assert_non_null(post);
    end = strstr(post, "\r\n\r\n");
    assert_non_null(end);
    assert_int_equal(hs_buf_append_str(&seen->body, end + 4, NULL), HSMART_OK);
    header = strstr(post, "\r\nAuthorization: ");
    if (header != NULL && header < end) {
        header += strlen("\r\nAuthorization: ");
        assert_int_equal(
            hs_buf_append(&seen->authorization, (struct hs_span){(const uint8_t *)header, strcspn(header, "\r")}, NULL),
            HSMART_OK);
    }
    assert_non_null(strstr(post, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    assert_non_null(strstr(post, "\r\nAccept: application/json\r\n"));
    if (find_field(&seen->body, "client_assertion", &assertion))
        assert_int_equal(hs_jws_parse(hs_span_buf(&assertion), &seen->jws, NULL), HSMART_OK);
    hs_buf_clear(&assertion);
}

static void
assert_text(const char *what, const char *wanted, bool is_there, const char *found)
{
    if (wanted == NULL)
        return;
    if (is_there != (strcmp(wanted, "-") != 0))
        fail_msg("%s is %s", what, is_there ? found : "not there");
    if (is_there && strcmp(wanted, "there") != 0)
        assert_string_equal(found, wanted);
}

static void
assert_field(const struct seen *seen, const char *name, const char *wanted)
{
    struct hs_buf value = {0};
    bool is_there = find_field(&seen->body, name, &value);

    assert_text(name, wanted, is_there, hs_buf_text(&value));
    hs_buf_clear(&value);
}

static void
assert_member(const hs_json_value *object, const char *name, const char *wanted)
{
    const char *found = hs_json_text(hs_json_member(object, name));

    assert_text(name, wanted, found != NULL, found);
}

static void
assert_moment(const hs_json_value *claims, const char *name, const char *wanted)
{
    const hs_json_value *value = hs_json_member(claims, name);

    if (wanted == NULL)
        return;
    assert_int_equal(hs_json_type_of(value), strcmp(wanted, "-") == 0 ? HS_JSON_ABSENT : HS_JSON_INTEGER);
}

static void
assert_sent(const struct column *row, const struct seen *seen, const char *token_endpoint)
{
    const hs_json_value *header = seen->jws.header.root, *claims = seen->jws.payload.root;

    assert_field(seen, "grant_type", "client_credentials");
    assert_field(seen, "scope", row->scope);
    assert_field(seen, "client_id", row->client_id);
    assert_field(seen, "client_secret", row->client_secret);
    assert_field(seen, "client_assertion", row->assertion);
    assert_text("Authorization", row->authorization, seen->authorization.len > 0, hs_buf_text(&seen->authorization));
    if (header == NULL)
        return;
    assert_member(header, "typ", row->typ);
    assert_member(header, "alg", row->alg);
    assert_member(header, "jku", row->jku);
    assert_member(header, "kid", row->kid);
    assert_member(claims, "iss", "client-1");
    assert_member(claims, "sub", "client-1");
    assert_member(claims, "aud", row->aud != NULL && row->aud[0] == '@' ? token_endpoint : row->aud);
    assert_true(hs_json_string(hs_json_member(claims, "jti")).len <= 151);
    assert_moment(claims, "iat", row->iat);
    assert_moment(claims, "nbf", row->nbf);
    if (row->life_s != 0)
        assert_int_equal(hs_json_integer(hs_json_member(claims, "exp")) -
                             hs_json_integer(hs_json_member(claims, "iat")),
                         row->life_s);
    if (row->nbf != NULL && row->nbf[0] != '-')
        assert_int_equal(hs_json_integer(hs_json_member(claims, "nbf")),
                         hs_json_integer(hs_json_member(claims, "iat")));
}

static void
assert_log(const char *wanted, const char *log)
{
    if (wanted == NULL)
        return;
    if (wanted[0] == '-' && strstr(log, wanted + 1) != NULL)
        fail_msg("the log has: %s", log);
    if (wanted[0] != '-' && strstr(log, wanted) == NULL)
        fail_msg("\"%s\" is not in the log: %s", wanted, log);
}

/* ---- The rows ---- */

static hsmart_client_options
options_of(const struct column *row, const char *base, struct seen *seen)
{
    hsmart_client_options options = row->own;

    options.server = row->server;
    options.fhir_base = base;
    options.client_id = "client-1";
    if (options.scope == NULL)
        options.scope = "system/Patient.rs";
    if (options.secret_source == NULL) {
        options.open_signer = open_signer;
        options.signer_arg = seen;
    }
    options.no_cache = true;
    options.network = (hsmart_network_options){
        .allow_http_to_loopback = true, .max_attempts = 1, .log = keep_line, .log_arg = seen->log};
    return options;
}

static enum hsmart_code
ask(const hsmart_client_options *options, hsmart_err *err)
{
    hsmart_client *client = NULL;
    hsmart_access_token *access_token = NULL;
    enum hsmart_code code = hsmart_client_new(options, &client, err);

    if (code == HSMART_OK)
        code = hsmart_client_access_token(client, 0, &access_token, err);
    if (code == HSMART_OK)
        assert_string_equal(access_token->value, "granted");
    hsmart_access_token_free(access_token);
    hsmart_client_free(client);
    return code;
}

static void
a_column_is_in_the_request(void **state)
{
    const struct column *row = *state;
    static struct seen seen;
    struct scripted_server server = {0};
    struct hs_buf document = {0}, discovery = {0};
    char base[64], token_endpoint[64];
    hsmart_err err = {0};

    seen = (struct seen){.row = row};
    assert_int_equal(hs_buf_append_format(&document, NULL, "{\"token_endpoint\":\"../token\"%s}",
                                          row->discovery != NULL ? row->discovery : ""),
                     HSMART_OK);
    assert_int_equal(
        hs_buf_append_format(&discovery, NULL,
                             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                             document.len, hs_buf_text(&document)),
        HSMART_OK);
    const struct scripted_reply replies[] = {{hs_buf_text(&discovery), SCRIPTED_KEEP, 0},
                                             {TOKEN_REPLY, SCRIPTED_KEEP, 0}};
    scripted_server_start(&server, "127.0.0.1", replies, HS_ARRAY_LEN(replies));
    (void)snprintf(base, sizeof base, "http://127.0.0.1:%u/fhir", server.port);
    (void)snprintf(token_endpoint, sizeof token_endpoint, "http://127.0.0.1:%u/token", server.port);
    const hsmart_client_options options = options_of(row, base, &seen);
    enum hsmart_code code = ask(&options, &err);
    scripted_server_stop(&server);

    if (code != row->code)
        fail_msg("%s: %s", hsmart_code_name(code), err.text);
    if (row->text != NULL && strstr(err.text, row->text) == NULL)
        assert_string_equal(err.text, row->text);
    assert_log(row->log, seen.log);
    if (code == HSMART_OK) {
        read_request(&server.requests, &seen);
        assert_sent(row, &seen, token_endpoint);
    }
    hs_signer_free(seen.signer);
    hs_jws_clear(&seen.jws);
    hs_buf_clear(&seen.body);
    hs_buf_clear(&seen.authorization);
    hs_buf_clear(&document);
    hs_buf_clear(&discovery);
    scripted_server_clear(&server);
}

/* Rows that no other test names: each sends a request that its own rules allow. */
static void
every_family_gets_a_request(void **state)
{
    const struct hs_server_row *family = *state;
    bool by_key = (family->auth_methods & HS_AUTH_PRIVATE_KEY_JWT) != 0;
    struct column row = {.name = family->name,
                         .server = family->name,
                         .kid = UUID,
                         .rsa = family->algs != NULL && strstr(family->algs, "ES384") == NULL,
                         .discovery = ",\"issuer\":\"https://issuer.example\""};
    void *row_state = &row;

    if (!by_key)
        row.own.secret_source = "exec:echo s";
    if (family->audience == HS_AUDIENCE_LITERAL)
        row.own.audience = "https://aud.example";
    row.assertion = by_key ? "there" : "-";
    a_column_is_in_the_request(&row_state);
}

/* ---- Two requests of one client ---- */

struct pair {
    struct scripted_server server;
    struct seen seen;
    char token_endpoint[64];
    hsmart_client *client;
};

static void
pair_open(struct pair *pair, const struct column *row, const struct scripted_reply *replies, size_t count)
{
    hsmart_err err = {0};

    pair->seen = (struct seen){.row = row};
    scripted_server_start(&pair->server, "127.0.0.1", replies, count);
    (void)snprintf(pair->token_endpoint, sizeof pair->token_endpoint, "http://127.0.0.1:%u/token", pair->server.port);
    hsmart_client_options options = options_of(row, NULL, &pair->seen);
    options.token_endpoint = pair->token_endpoint;
    if (hsmart_client_new(&options, &pair->client, &err) != HSMART_OK)
        fail_msg("%s", err.text);
}

/* Asks, and has the access token rejected, so that the next call asks again. */
static enum hsmart_code
pair_ask(struct pair *pair, hsmart_err *err)
{
    hsmart_access_token *access_token = NULL;
    enum hsmart_code code = hsmart_client_access_token(pair->client, 0, &access_token, err);

    if (code == HSMART_OK)
        hsmart_client_reject_access_token(pair->client, access_token->value);
    hsmart_access_token_free(access_token);
    return code;
}

static void
pair_close(struct pair *pair)
{
    hsmart_client_free(pair->client);
    hs_signer_free(pair->seen.signer);
    scripted_server_clear(&pair->server);
}

/* How often `part` is in what the server was asked. */
static unsigned
times_asked(const struct pair *pair, const char *part)
{
    unsigned times = 0;

    for (const char *at = hs_buf_text(&pair->server.requests); (at = strstr(at, part)) != NULL; at += strlen(part))
        times++;
    return times;
}

static const struct scripted_reply two_tokens[] = {{TOKEN_REPLY, SCRIPTED_KEEP, 0}, {TOKEN_REPLY, SCRIPTED_KEEP, 0}};

static void
write_private(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(chmod(path, 0600), 0);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void
a_secret_that_was_changed_is_found(void **state)
{
    (void)state;
    char path[] = "/tmp/hsmart-secret-XXXXXX", source[64];
    static struct pair pair;

    (void)close(mkstemp(path));
    (void)snprintf(source, sizeof source, "file:%s", path);
    write_private(path, "one\n");
    const struct column row = {.server = "smart", .own = {.secret_source = source}};
    pair_open(&pair, &row, two_tokens, HS_ARRAY_LEN(two_tokens));
    assert_int_equal(pair_ask(&pair, NULL), HSMART_OK);
    write_private(path, "two\n");
    assert_int_equal(pair_ask(&pair, NULL), HSMART_OK);
    scripted_server_stop(&pair.server);
    assert_int_equal(times_asked(&pair, "Authorization: Basic Y2xpZW50LTE6b25l\r\n"), 1); /* client-1:one */
    assert_int_equal(times_asked(&pair, "Authorization: Basic Y2xpZW50LTE6dHdv\r\n"), 1); /* client-1:two */
    pair_close(&pair);
    (void)unlink(path);
}

static void
a_secret_that_can_be_read_once_is_kept(void **state)
{
    (void)state;
    char source[32];
    int ends[2];
    static struct pair pair;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "one", 3), 3);
    (void)close(ends[1]);
    (void)snprintf(source, sizeof source, "fd:%d", ends[0]);
    const struct column row = {.server = "smart", .own = {.secret_source = source}};
    pair_open(&pair, &row, two_tokens, HS_ARRAY_LEN(two_tokens));
    assert_int_equal(pair_ask(&pair, NULL), HSMART_OK);
    assert_int_equal(pair_ask(&pair, NULL), HSMART_OK);
    scripted_server_stop(&pair.server);
    assert_int_equal(times_asked(&pair, "Authorization: Basic Y2xpZW50LTE6b25l\r\n"), 2);
    pair_close(&pair);
    (void)close(ends[0]);
}

static void
a_secret_that_has_expired_is_not_sent(void **state)
{
    (void)state;
    char path[] = "/tmp/hsmart-secret-XXXXXX";
    static struct pair pair;
    hsmart_err err = {0};

    (void)close(mkstemp(path));
    write_private(path, "{\"hsmart_registration\":1,\"client_id\":\"c\",\"client_secret\":\"s\","
                        "\"client_secret_expires_at\":1000,\"token_endpoint_auth_method\":\"client_secret_basic\"}");
    const struct column row = {.server = "smart", .own = {.registration_file = path}};
    pair_open(&pair, &row, two_tokens, HS_ARRAY_LEN(two_tokens));
    assert_int_equal(pair_ask(&pair, &err), HSMART_POLICY_REFUSED);
    assert_non_null(strstr(err.text, "cannot read the client secret: the client secret expired "));
    scripted_server_stop(&pair.server);
    assert_int_equal(pair.server.request_count, 0);
    pair_close(&pair);
    (void)unlink(path);
}

/* ---- Where an initial access token goes ---- */

static struct elsewhere {
    const char *name;
    bool other_origin, has_initial, is_told;
} elsewheres[] = {
    {"at another origin", true, true, true},
    {"at the FHIR base's origin", false, true, false},
    {"without an initial access token", true, false, false},
};

/* Whoever controls the FHIR base names the registration endpoint. */
static void
an_initial_access_token_that_goes_elsewhere_is_told(void **state)
{
    const struct elsewhere *row = *state;
    static const struct scripted_reply created = {
        "HTTP/1.1 201 Created\r\nContent-Length: 17\r\n\r\n{\"client_id\":\"c\"}", SCRIPTED_CLOSE, 0};
    struct scripted_reply replies[] = {{"", SCRIPTED_CLOSE, 0}, created};
    struct scripted_server other, server;
    struct hs_buf reply = {0};
    char base[64], endpoint[64] = "/register", log[8192] = "";
    hsmart_registration *registration = NULL;
    hsmart_err err = {0};
    const hsmart_network_options network = {
        .allow_http_to_loopback = true, .max_attempts = 1, .log = keep_line, .log_arg = log};

    scripted_server_start(&other, "127.0.0.1", &created, 1);
    if (row->other_origin)
        (void)snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u/register", other.port);
    assert_int_equal(
        hs_buf_append_format(&reply, NULL,
                             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
                             "{\"token_endpoint\":\"/token\",\"registration_endpoint\":\"%s\"}",
                             endpoint),
        HSMART_OK);
    replies[0].text = hs_buf_text(&reply);
    scripted_server_start(&server, "127.0.0.1", replies, HS_ARRAY_LEN(replies));
    (void)snprintf(base, sizeof base, "http://127.0.0.1:%u/fhir", server.port);
    const hsmart_registration_request request = {
        .fhir_base = base, .auth = HSMART_AUTH_SECRET_BASIC, .initial_access_token = row->has_initial ? "i1" : NULL};
    enum hsmart_code code = hsmart_register(&request, &network, &registration, &err);
    hsmart_registration_free(registration);
    scripted_server_stop(&server);
    scripted_server_stop(&other);
    scripted_server_clear(&server);
    scripted_server_clear(&other);
    hs_buf_clear(&reply);
    assert_string_equal(err.text, "");
    assert_int_equal(code, HSMART_OK);
    assert_int_equal(strstr(log, "the initial access token goes to http://127.0.0.1:") != NULL, row->is_told);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, a_column_is_in_the_request, columns);
    for (size_t i = 0; i < hs_server_row_count; i++)
        rows_add(&rows, "every_family_gets_a_request", every_family_gets_a_request,
                 (void *)(uintptr_t)&hs_server_rows[i]);
    ADD_TEST(&rows, a_secret_that_was_changed_is_found);
    ADD_TEST(&rows, a_secret_that_can_be_read_once_is_kept);
    ADD_TEST(&rows, a_secret_that_has_expired_is_not_sent);
    ADD_ROWS(&rows, an_initial_access_token_that_goes_elsewhere_is_told, elsewheres);
    return rows_run("server_rows", &rows);
}
