/* Dynamic registration (RFC 7591), the form of the SMART reference server, and clients named at the start. */
#include "registration.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "check.h"
#include "err.h"
#include "exchange.h"
#include "file.h"
#include "form.h"
#include "scopes.h"

#define CLIENT_ID_BYTES 16U
#define CLIENT_SECRET_BYTES 32U
#define LONG_ID_LEN (16U << 10)
#define CLIENT_FILE_MAX_LEN (1U << 20)
#define DURATION_MAX_MIN 60
#define FORM_ID_MAX_LEN (1U << 20)

static const struct {
    const char *name;
    enum hs_auth_method method;
} methods[] = {{"private_key_jwt", HS_AUTH_PRIVATE_KEY_JWT},
               {"client_secret_basic", HS_AUTH_SECRET_BASIC},
               {"client_secret_post", HS_AUTH_SECRET_POST}};

static const char *
method_name(enum hs_auth_method method)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(methods); i++)
        if (methods[i].method == method)
            return methods[i].name;
    return "";
}

/* ---- Checking ---- */

static enum hsmart_code
check_jwks(const struct sandbox *sandbox, struct hs_span jwks, hsmart_err *err)
{
    struct hs_report report = {0};
    const struct hs_jwks_expectation expectation = {.server = sandbox->settings->strict ? NULL : sandbox->row};
    enum hsmart_code code = hs_check_jwks(jwks, &expectation, &report, err);

    for (size_t i = 0; i < report.count && code == HSMART_OK; i++)
        if (report.findings[i].severity == HS_SEVERITY_ERROR)
            code = hs_err_set(err, HSMART_INPUT_MALFORMED, "jwks: %s: %s", report.findings[i].rule->code,
                              report.findings[i].text);
    hs_report_clear(&report);
    return code;
}

static enum hsmart_code
check_jwks_uri(const struct sandbox *sandbox, const char *url, hsmart_err *err)
{
    struct hs_buf origin = {0};
    enum hsmart_code code = hs_http_origin(url, &origin, err);

    if (code == HSMART_OK && !sandbox->settings->is_http && strncasecmp(url, "https://", strlen("https://")) != 0)
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "it is not https");
    hs_buf_clear(&origin);
    return code == HSMART_OK ? code : hs_err_wrap(err, HSMART_INPUT_MALFORMED, "jwks_uri");
}

static enum hsmart_code
check_wish(const struct sandbox *sandbox, const struct client_wish *wish, hsmart_err *err)
{
    bool has_keys = wish->jwks.len > 0 || wish->jwks_uri != NULL;

    if (wish->jwks.len > 0 && wish->jwks_uri != NULL)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "jwks and jwks_uri are both there (RFC 7591 section 2)");
    if (wish->method == HS_AUTH_PRIVATE_KEY_JWT && !has_keys)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "private_key_jwt needs jwks or jwks_uri");
    if (wish->id != NULL && (wish->id[0] == 0 || strlen(wish->id) > CLIENT_ID_MAX))
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "the client id is empty or too long");
    if (wish->scope != NULL && strlen(wish->scope) > SCOPE_TEXT_MAX)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "scope is longer than %u bytes", SCOPE_TEXT_MAX);
    if (wish->jwks.len > 0)
        return check_jwks(sandbox, wish->jwks, err);
    return wish->jwks_uri != NULL ? check_jwks_uri(sandbox, wish->jwks_uri, err) : HSMART_OK;
}

/* ---- Making ---- */

static enum hsmart_code
fill(struct client *client, const struct client_wish *wish, hsmart_err *err)
{
    struct hs_buf id = {0};
    enum hsmart_code code = HSMART_OK;

    client->method = wish->method;
    client->token_life_s = wish->token_life_s;
    if (wish->id != NULL)
        code = hs_strdup(wish->id, &client->id, err);
    else if ((code = sandbox_random_text(CLIENT_ID_BYTES, &id, err)) == HSMART_OK)
        code = hs_buf_take_text(&id, &client->id, err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(wish->name, &client->name, err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(wish->signing_alg, &client->signing_alg, err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(wish->scope, &client->scope, err);
    if (code == HSMART_OK && wish->jwks_uri != NULL)
        code = jwks_source_set_url(&client->keys, wish->jwks_uri, err);
    else if (code == HSMART_OK)
        code = jwks_source_set_value(&client->keys, wish->jwks, err);
    if (code == HSMART_OK && wish->secret.len > 0)
        code = client_set_secret(client, wish->secret, err);
    hs_buf_clear(&id);
    return code;
}

enum hsmart_code
register_client(struct sandbox *sandbox, const struct client_wish *wish, struct client **out_client, hsmart_err *err)
{
    struct client *client = NULL;
    enum hsmart_code code = check_wish(sandbox, wish, err);

    if (code != HSMART_OK)
        return code;
    client = hs_calloc(1, sizeof *client);
    if (client == NULL)
        return hs_err_no_memory(err);
    code = fill(client, wish, err);
    if (code == HSMART_OK) {
        (void)pthread_mutex_lock(&sandbox->lock);
        code = clients_add(&sandbox->clients, client, err);
        (void)pthread_mutex_unlock(&sandbox->lock);
    }
    if (code == HSMART_OK)
        *out_client = client;
    else
        client_free(client);
    return code;
}

/* ---- RFC 7591 ---- */

static enum hsmart_code
refuse(struct exchange *exchange, const hsmart_err *reason, hsmart_err *err)
{
    return answer_oauth_error(exchange, 400, "invalid_client_metadata", err, "%s", reason->text);
}

/* A member that must be a string if it is there. */
static enum hsmart_code
take_text(const hs_json_value *metadata, const char *name, const char **out_text, hsmart_err *err)
{
    const hs_json_value *value = hs_json_member(metadata, name);

    *out_text = hs_json_text(value);
    if (hs_json_type_of(value) != HS_JSON_ABSENT && *out_text == NULL)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "%s is %s, but must be a string", name,
                          hs_json_type_words(value));
    return HSMART_OK;
}

static enum hsmart_code
take_method(const hs_json_value *metadata, enum hs_auth_method *out_method, hsmart_err *err)
{
    const char *name = NULL;
    enum hsmart_code code = take_text(metadata, "token_endpoint_auth_method", &name, err);

    if (code != HSMART_OK)
        return code;
    if (name == NULL)
        name = "client_secret_basic"; /* RFC 7591 section 2 */
    for (size_t i = 0; i < HS_ARRAY_LEN(methods); i++)
        if (strcmp(methods[i].name, name) == 0) {
            *out_method = methods[i].method;
            return HSMART_OK;
        }
    return hs_err_set(err, HSMART_INPUT_MALFORMED, "token_endpoint_auth_method \"%.40s\" is not supported", name);
}

static enum hsmart_code
check_grants(const hs_json_value *metadata, hsmart_err *err)
{
    const hs_json_value *grants = hs_json_member(metadata, "grant_types");

    for (size_t i = 0; i < hs_json_length(grants); i++)
        if (hs_span_equal_str(hs_json_string(hs_json_element(grants, i)), "client_credentials"))
            return HSMART_OK;
    return hs_err_set(err, HSMART_INPUT_MALFORMED,
                      "grant_types has no client_credentials (left out, it means authorization_code)");
}

/* The key set as JSON text again. */
static enum hsmart_code
take_jwks(const hs_json_value *metadata, struct hs_buf *out_jwks, hsmart_err *err)
{
    const hs_json_value *jwks = hs_json_member(metadata, "jwks");
    struct hs_json_writer writer = {.out = out_jwks};

    if (hs_json_type_of(jwks) == HS_JSON_ABSENT)
        return HSMART_OK;
    if (hs_json_type_of(jwks) != HS_JSON_OBJECT)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "jwks is %s, but must be an object", hs_json_type_words(jwks));
    hs_json_put_value(&writer, jwks);
    return hs_json_writer_finish(&writer, err);
}

static enum hsmart_code
read_metadata(const hs_json_value *metadata, struct client_wish *wish, struct hs_buf *jwks, hsmart_err *err)
{
    enum hsmart_code code = take_method(metadata, &wish->method, err);

    if (code == HSMART_OK)
        code = check_grants(metadata, err);
    if (code == HSMART_OK)
        code = take_text(metadata, "client_name", &wish->name, err);
    if (code == HSMART_OK)
        code = take_text(metadata, "scope", &wish->scope, err);
    if (code == HSMART_OK)
        code = take_text(metadata, "jwks_uri", &wish->jwks_uri, err);
    if (code == HSMART_OK)
        code = take_text(metadata, "token_endpoint_auth_signing_alg", &wish->signing_alg, err);
    if (code == HSMART_OK)
        code = take_jwks(metadata, jwks, err);
    wish->jwks = hs_span_buf(jwks);
    return code;
}

static void
put_secret(const struct exchange *exchange, struct hs_json_writer *writer, struct hs_span secret)
{
    const char *fault = fault_of(&exchange->faults, "secret");
    int64_t expires_at_s = 0;

    if (fault != NULL && strcmp(fault, "expired") == 0)
        expires_at_s = sandbox_now_s(exchange->sandbox) - 60;
    else if (fault != NULL && strcmp(fault, "future") == 0)
        expires_at_s = sandbox_now_s(exchange->sandbox) + 3600;
    hs_json_name(writer, "client_secret");
    hs_json_put_span(writer, secret);
    if (fault == NULL || strcmp(fault, "unsaid") != 0)
        hs_json_member_integer(writer, "client_secret_expires_at", expires_at_s);
}

static enum hsmart_code
answer_registered(struct exchange *exchange, const struct client *client, struct hs_span secret, hsmart_err *err)
{
    const struct fault_set *faults = &exchange->faults;
    const char *swapped = fault_of(faults, "swap-method");
    struct hs_json_writer writer;
    enum hsmart_code code = answer_json(exchange, 201, "application/json", &writer, err);

    if (code == HSMART_OK)
        code = answer_header(&exchange->answer, err, "Cache-Control", "no-store");
    if (code == HSMART_OK)
        code = answer_header(&exchange->answer, err, "Pragma", "no-cache");
    if (code != HSMART_OK)
        return code;
    hs_json_begin_object(&writer);
    if (fault_of(faults, "no-client-id") == NULL)
        hs_json_member_text(&writer, "client_id", client->id);
    hs_json_member_integer(&writer, "client_id_issued_at", sandbox_now_s(exchange->sandbox));
    if (client->method != HS_AUTH_PRIVATE_KEY_JWT)
        put_secret(exchange, &writer, secret);
    hs_json_member_text(&writer, "token_endpoint_auth_method", swapped != NULL ? swapped : method_name(client->method));
    hs_json_name(&writer, "grant_types");
    hs_json_begin_array(&writer);
    hs_json_put_text(&writer, "client_credentials");
    hs_json_end_array(&writer);
    hs_json_name(&writer, "response_types");
    hs_json_begin_array(&writer);
    hs_json_end_array(&writer);
    if (client->name != NULL)
        hs_json_member_text(&writer, "client_name", client->name);
    if (client->signing_alg != NULL)
        hs_json_member_text(&writer, "token_endpoint_auth_signing_alg", client->signing_alg);
    if (fault_of(faults, "swap-scope") != NULL)
        hs_json_member_text(&writer, "scope", "system/Patient.r");
    else if (client->scope != NULL)
        hs_json_member_text(&writer, "scope", client->scope);
    if (client->keys.url != NULL) {
        hs_json_member_text(&writer, "jwks_uri", client->keys.url);
    } else if (client->keys.text.len > 0) {
        hs_json_name(&writer, "jwks");
        hs_json_put_raw(&writer, hs_span_buf(&client->keys.text));
    }
    hs_json_end_object(&writer);
    return hs_json_writer_finish(&writer, err);
}

/* An id of 16 KiB with the characters of plain base64, as some servers give. */
static enum hsmart_code
make_long_id(struct hs_buf *out, hsmart_err *err)
{
    enum hsmart_code code = sandbox_random_text(CLIENT_ID_BYTES, out, err);

    while (code == HSMART_OK && out->len < LONG_ID_LEN)
        code = hs_buf_append_str(out, "MDAyM2xvY2F0aW9uIGh0dHA6Ly9+/bG9jYWxob3N0+/", err);
    return code == HSMART_OK ? hs_buf_append_str(out, "==", err) : code;
}

static enum hsmart_code
serve_metadata(struct exchange *exchange, hsmart_err *err)
{
    struct hs_json_doc doc = {0};
    struct hs_buf jwks = {0}, secret = {0}, long_id = {0};
    struct client_wish wish = {0};
    struct client *client = NULL;
    hsmart_err reason = {0};
    enum hsmart_code code = hs_json_parse(exchange->request->body, &doc, &reason);

    if (code == HSMART_OK && hs_json_type_of(doc.root) != HS_JSON_OBJECT)
        code = hs_err_set(&reason, HSMART_INPUT_MALFORMED, "the body is %s, but must be an object",
                          hs_json_type_words(doc.root));
    if (code == HSMART_OK)
        code = read_metadata(doc.root, &wish, &jwks, &reason);
    if (code == HSMART_OK && wish.method != HS_AUTH_PRIVATE_KEY_JWT) {
        code = sandbox_random_text(CLIENT_SECRET_BYTES, &secret, &reason);
        wish.secret = hs_span_buf(&secret);
    }
    if (code == HSMART_OK && fault_of(&exchange->faults, "long-id") != NULL) {
        code = make_long_id(&long_id, &reason);
        wish.id = hs_buf_text(&long_id);
    }
    if (code == HSMART_OK)
        code = register_client(exchange->sandbox, &wish, &client, &reason);
    if (code == HSMART_INPUT_MALFORMED || code == HSMART_KEY_EXISTS) {
        code = refuse(exchange, &reason, err);
    } else if (code == HSMART_OK) {
        code = answer_registered(exchange, client, hs_span_buf(&secret), err);
        answer_note(&exchange->answer, "client \"%.40s\" is registered for %s", client->id,
                    method_name(client->method));
    } else if (err != NULL) {
        *err = reason;
    }
    hs_buf_clear(&long_id);
    hs_buf_clear(&secret);
    hs_buf_clear(&jwks);
    hs_json_doc_clear(&doc);
    return code;
}

/* ---- The form of the SMART reference server: jwks or jwks_url, and dur, the life of access tokens in minutes ---- */

static enum hsmart_code
read_form(struct hs_span body, struct hs_buf *jwks, struct hs_buf *jwks_url, unsigned *out_life_s, hsmart_err *err)
{
    struct hs_buf duration = {0};
    struct hs_span rest = body, name, value;
    enum hsmart_code code = HSMART_OK;
    char *end = NULL;

    while (code == HSMART_OK && hs_form_next(&rest, &name, &value))
        if (hs_span_equal_str(name, "jwks"))
            code = hs_form_decode(value, jwks, err);
        else if (hs_span_equal_str(name, "jwks_url"))
            code = hs_form_decode(value, jwks_url, err);
        else if (hs_span_equal_str(name, "dur"))
            code = hs_form_decode(value, &duration, err);
    if (code == HSMART_OK && duration.len > 0) {
        long minutes = strtol(hs_buf_text(&duration), &end, 10);
        if (*end != 0 || minutes < 1 || minutes > DURATION_MAX_MIN)
            code = hs_err_set(err, HSMART_INPUT_MALFORMED, "dur is not 1 to %d minutes", DURATION_MAX_MIN);
        else
            *out_life_s = (unsigned)minutes * 60;
    }
    hs_buf_clear(&duration);
    return code;
}

static enum hsmart_code
serve_form(struct exchange *exchange, hsmart_err *err)
{
    struct hs_buf jwks = {0}, jwks_url = {0};
    struct client_wish wish = {.method = HS_AUTH_PRIVATE_KEY_JWT};
    struct client *client = NULL;
    hsmart_err reason = {0};
    enum hsmart_code code = read_form(exchange->request->body, &jwks, &jwks_url, &wish.token_life_s, &reason);

    wish.jwks = hs_span_buf(&jwks);
    wish.jwks_uri = jwks_url.len > 0 ? hs_buf_text(&jwks_url) : NULL;
    if (code == HSMART_OK)
        code = register_client(exchange->sandbox, &wish, &client, &reason);
    if (code == HSMART_INPUT_MALFORMED || code == HSMART_KEY_EXISTS) {
        code = answer_oauth_error(exchange, 400, "invalid_request", err, "%s", reason.text);
    } else if (code == HSMART_OK) {
        code = answer_text(exchange, 200, client->id, err);
        answer_note(&exchange->answer, "client \"%.40s\" is registered by form", client->id);
    } else if (err != NULL) {
        *err = reason;
    }
    hs_buf_clear(&jwks_url);
    hs_buf_clear(&jwks);
    return code;
}

/* ---- The endpoint ---- */

/* RFC 7591 section 3: some servers give out an initial access token. */
static bool
may_register(const struct exchange *exchange)
{
    const struct hs_secret *wanted = &exchange->sandbox->settings->initial_access_token;
    const struct hs_span *given = header_get(&exchange->request->headers, "Authorization");
    struct digest a, b;
    size_t scheme_len = strlen("Bearer ");

    if (wanted->len == 0)
        return true;
    if (given == NULL || given->len < scheme_len || memcmp(given->data, "Bearer ", scheme_len) != 0)
        return false;
    return digest_of((struct hs_span){wanted->data, wanted->len}, (struct hs_span){0}, &a, NULL) == HSMART_OK &&
           digest_of((struct hs_span){given->data + scheme_len, given->len - scheme_len}, (struct hs_span){0}, &b,
                     NULL) == HSMART_OK &&
           memcmp(a.bytes, b.bytes, DIGEST_LEN) == 0;
}

static bool
has_type(const struct request *request, const char *type)
{
    const struct hs_span *value = header_get(&request->headers, "Content-Type");
    size_t len = strlen(type);

    return value != NULL && value->len >= len && strncasecmp((const char *)value->data, type, len) == 0 &&
           (value->len == len || value->data[len] == ';' || value->data[len] == ' ');
}

enum hsmart_code
serve_registration(struct exchange *exchange, hsmart_err *err)
{
    if (!may_register(exchange)) {
        enum hsmart_code code =
            answer_oauth_error(exchange, 401, "invalid_token", err, "the initial access token is missing or wrong");
        return code == HSMART_OK
                   ? answer_header(&exchange->answer, err, "WWW-Authenticate", "Bearer error=\"invalid_token\"")
                   : code;
    }
    if (has_type(exchange->request, "application/json"))
        return serve_metadata(exchange, err);
    if (has_type(exchange->request, "application/x-www-form-urlencoded"))
        return serve_form(exchange, err);
    return answer_oauth_error(exchange, 400, "invalid_client_metadata", err,
                              "the body must be application/json (RFC 7591), or a form with jwks or jwks_url");
}

/* ---- From a file ---- */

static enum hsmart_code
add_from_file(struct sandbox *sandbox, const hs_json_value *item, hsmart_err *err)
{
    struct hs_buf jwks = {0}, secret = {0};
    struct client_wish wish = {.id = hs_json_text(hs_json_member(item, "client_id")),
                               .method = HS_AUTH_PRIVATE_KEY_JWT};
    const char *secret_file = NULL;
    struct client *client = NULL;
    enum hsmart_code code = take_text(item, "client_secret_file", &secret_file, err);

    if (code == HSMART_OK && wish.id == NULL)
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "a client has no client_id");
    if (code == HSMART_OK)
        code = take_text(item, "client_name", &wish.name, err);
    if (code == HSMART_OK)
        code = take_text(item, "scope", &wish.scope, err);
    if (code == HSMART_OK)
        code = take_text(item, "jwks_uri", &wish.jwks_uri, err);
    if (code == HSMART_OK)
        code = take_jwks(item, &jwks, err);
    if (code == HSMART_OK && secret_file != NULL) {
        wish.method = HS_AUTH_SECRET_BASIC;
        code = hs_file_read_secret(secret_file, HS_SECRET_MAX, &secret, err);
    }
    if (code == HSMART_OK && hs_json_type_of(hs_json_member(item, "token_endpoint_auth_method")) != HS_JSON_ABSENT)
        code = take_method(item, &wish.method, err);
    while (secret.len > 0 && (secret.data[secret.len - 1] == '\n' || secret.data[secret.len - 1] == '\r'))
        secret.len--;
    wish.jwks = hs_span_buf(&jwks);
    wish.secret = hs_span_buf(&secret);
    if (code == HSMART_OK)
        code = register_client(sandbox, &wish, &client, err);
    hs_buf_clear(&secret);
    hs_buf_clear(&jwks);
    return code;
}

enum hsmart_code
register_clients_of_file(struct sandbox *sandbox, const char *path, hsmart_err *err)
{
    struct hs_buf text = {0};
    struct hs_json_doc doc = {0};
    enum hsmart_code code = hs_file_read(path, CLIENT_FILE_MAX_LEN, &text, err);

    if (code == HSMART_OK)
        code = hs_json_parse(hs_span_buf(&text), &doc, err);
    if (code == HSMART_OK && hs_json_type_of(doc.root) != HS_JSON_ARRAY)
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "it is no array of clients");
    for (size_t i = 0; code == HSMART_OK && i < hs_json_length(doc.root); i++)
        code = add_from_file(sandbox, hs_json_element(doc.root, i), err);
    if (code != HSMART_OK)
        code = hs_err_wrap(err, code, "cannot read the clients in \"%s\"", path);
    hs_json_doc_clear(&doc);
    hs_buf_clear(&text);
    return code;
}
