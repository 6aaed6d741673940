#include "registration.h"

#include <strings.h>

#include "client_auth.h"
#include "err.h"
#include "form.h"
#include "jwk.h"
#include "oauth_error.h"
#include "text.h"
#include "token_response.h"

#define FORMAT 1
#define CLIENT_ID_MAX_LEN (64U << 10)
#define FILE_MAX_LEN HS_REGISTRATION_MAX_LEN
#define FILE_ROOM (256U << 10)            /* more than a registration has been seen to need */
#define SECRET_EXPIRES_MAX_S 253402300799 /* the end of the year 9999 */

void
hs_registration_clear(struct hs_registration *registration)
{
    hs_string_free(registration->client_id);
    hs_buf_clear(&registration->client_secret);
    hs_string_free(registration->registration_client_uri);
    hs_buf_clear(&registration->registration_access_token);
    hs_string_free(registration->method);
    hs_string_free(registration->scope);
    hs_text_list_clear(&registration->differences);
    hs_string_free(registration->registration_endpoint);
    *registration = (struct hs_registration){0};
}

/* ---- What is asked for ---- */

static enum hs_auth_method
method_of(const struct hs_registration_request *request)
{
    return request->method != 0 ? request->method : HS_AUTH_PRIVATE_KEY_JWT;
}

/* Each key through the parser of jose, which refuses private and symmetric members. */
static enum hsmart_code
check_jwks(const char *jwks, hsmart_err *err)
{
    struct hs_json_doc doc = {0};
    const hs_json_value *keys;
    enum hsmart_code code = hs_json_parse(hs_span_str(jwks), &doc, err);

    if (code != HSMART_OK)
        goto out;
    keys = hs_json_member(doc.root, "keys");
    if (hs_json_length(keys) == 0) {
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "it has no \"keys\" array with a key in it");
        goto out;
    }
    for (size_t i = 0; i < hs_json_length(keys) && code == HSMART_OK; i++) {
        struct hs_jwk jwk = {0};
        code = hs_jwk_parse(hs_json_element(keys, i), &jwk, err);
        if (code != HSMART_OK)
            code = hs_err_wrap(err, code, "key %zu", i + 1);
        hs_jwk_clear(&jwk);
    }
out:
    hs_json_doc_clear(&doc);
    if (code != HSMART_OK && code != HSMART_NO_MEMORY)
        code = hs_err_wrap(err, HSMART_INVALID_ARGUMENT, "the JWK Set cannot be registered");
    return code;
}

static enum hsmart_code
check_keys(const struct hs_registration_request *request, hsmart_err *err)
{
    if (request->jwks != NULL && request->jwks_uri != NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT,
                          "keys are registered by value (jwks) or by URL (jwks_uri), not both");
    if (request->jwks == NULL && request->jwks_uri == NULL && method_of(request) == HS_AUTH_PRIVATE_KEY_JWT) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "there is no key to register");
        hs_err_hint(err, "give the URL at which the JWK Set is published, or the set itself");
        return HSMART_INVALID_ARGUMENT;
    }
    if (request->jwks_uri != NULL && strncasecmp(request->jwks_uri, "https://", 8) != 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the JWKS URL \"%.200s\" does not start with https://",
                          request->jwks_uri);
    return request->jwks != NULL ? check_jwks(request->jwks, err) : HSMART_OK;
}

static void
put_text_array(struct hs_json_writer *writer, const char *name, const char *only)
{
    hs_json_name(writer, name);
    hs_json_begin_array(writer);
    if (only != NULL)
        hs_json_put_text(writer, only);
    hs_json_end_array(writer);
}

enum hsmart_code
hs_registration_format(const struct hs_registration_request *request, struct hs_buf *out_json, hsmart_err *err)
{
    struct hs_buf json = {.max_len = HS_REGISTRATION_MAX_LEN};
    struct hs_json_writer writer = {.out = &json};
    const struct {
        const char *name, *text;
    } texts[] = {
        {"client_name", request->client_name},
        {"client_uri", request->client_uri},
        {"software_id", request->software_id},
        {"software_version", request->software_version},
        {"software_statement", request->software_statement},
        {"scope", request->scope},
        {"token_endpoint_auth_signing_alg", request->signing_alg},
        {"jwks_uri", request->jwks_uri},
    };
    enum hsmart_code code = check_keys(request, err);

    if (code != HSMART_OK)
        return code;
    hs_json_begin_object(&writer);
    /* Said in so many words: the defaults of RFC 7591 section 2 are those of a web application. */
    hs_json_member_text(&writer, "token_endpoint_auth_method", hs_auth_method_name(method_of(request)));
    put_text_array(&writer, "grant_types", "client_credentials");
    put_text_array(&writer, "response_types", NULL);
    for (size_t i = 0; i < HS_ARRAY_LEN(texts); i++)
        if (texts[i].text != NULL)
            hs_json_member_text(&writer, texts[i].name, texts[i].text);
    if (request->contact != NULL)
        put_text_array(&writer, "contacts", request->contact);
    if (request->jwks != NULL) {
        hs_json_name(&writer, "jwks");
        hs_json_put_raw(&writer, hs_span_str(request->jwks));
    }
    hs_json_end_object(&writer);
    code = hs_json_writer_finish(&writer, err);
    if (code == HSMART_OK)
        hs_buf_move(&json, out_json);
    hs_buf_clear(&json);
    return code;
}

/* ---- What was granted ---- */

/* The order of the words in a scope says nothing. */
static bool
same_words(const char *a, const char *b)
{
    for (int turn = 0; turn < 2; turn++) {
        for (const char *rest = turn == 0 ? a : b;;) {
            struct hs_span word = hs_word_next(&rest);
            if (word.len == 0)
                break;
            if (!hs_words_have(turn == 0 ? b : a, word))
                return false;
        }
    }
    return true;
}

static enum hsmart_code
compare_text(const hs_json_value *echo, const char *name, const char *asked, struct hs_registration *registration,
             hsmart_err *err)
{
    const char *got = hs_json_text(hs_json_member(echo, name));

    if (asked == NULL || got == NULL || same_words(asked, got))
        return HSMART_OK;
    return hs_text_list_add_format(&registration->differences, err, "%s: asked for \"%.150s\", got \"%.150s\"", name,
                                   asked, got);
}

static enum hsmart_code
compare_grants(const hs_json_value *echo, struct hs_registration *registration, hsmart_err *err)
{
    const hs_json_value *grants = hs_json_member(echo, "grant_types");

    if (hs_json_type_of(grants) == HS_JSON_ABSENT)
        return HSMART_OK;
    for (size_t i = 0; i < hs_json_length(grants); i++)
        if (hs_span_equal_str(hs_json_string(hs_json_element(grants, i)), "client_credentials"))
            return HSMART_OK;
    return hs_text_list_add(&registration->differences, "grant_types: client_credentials was not granted", err);
}

static enum hsmart_code
compare_echo(const struct hs_registration_request *request, const hs_json_value *echo,
             struct hs_registration *registration, hsmart_err *err)
{
    const struct {
        const char *name, *asked;
    } texts[] = {
        {"token_endpoint_auth_method", hs_auth_method_name(method_of(request))},
        {"scope", request->scope},
        {"jwks_uri", request->jwks_uri},
        {"token_endpoint_auth_signing_alg", request->signing_alg},
    };
    enum hsmart_code code = compare_grants(echo, registration, err);

    for (size_t i = 0; i < HS_ARRAY_LEN(texts) && code == HSMART_OK; i++)
        code = compare_text(echo, texts[i].name, texts[i].asked, registration, err);
    return code;
}

static enum hsmart_code
check_method(const struct hs_registration *registration, hsmart_err *err)
{
    if (registration->method == NULL || hs_auth_method_by_name(registration->method) != 0)
        return HSMART_OK;
    (void)hs_err_set(
        err, HSMART_POLICY_REFUSED,
        "the server registered client id \"%.120s\" with the authentication method \"%.60s\", which hsmart does "
        "not do",
        registration->client_id, registration->method);
    hs_err_hint(err, "have that client deleted at the server; it takes private_key_jwt or client_secret_basic");
    return HSMART_POLICY_REFUSED;
}

static enum hsmart_code
read_members(const hs_json_value *root, struct hs_registration *registration, hsmart_err *err)
{
    const struct {
        const char *name;
        char **out;
    } texts[] = {
        {"client_id", &registration->client_id},
        {"registration_client_uri", &registration->registration_client_uri},
        {"token_endpoint_auth_method", &registration->method},
        {"scope", &registration->scope},
    };
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < HS_ARRAY_LEN(texts) && code == HSMART_OK; i++)
        code = hs_strdup_or_null(hs_json_text(hs_json_member(root, texts[i].name)), texts[i].out, err);
    if (code == HSMART_OK)
        code = hs_buf_append(&registration->client_secret, hs_json_string(hs_json_member(root, "client_secret")), err);
    if (code == HSMART_OK)
        code = hs_buf_append(&registration->registration_access_token,
                             hs_json_string(hs_json_member(root, "registration_access_token")), err);
    if (!hs_json_loose_number(hs_json_member(root, "client_secret_expires_at"), SECRET_EXPIRES_MAX_S,
                              &registration->client_secret_expires_at_s))
        registration->client_secret_expires_at_s = 0;
    if (code == HSMART_OK && (registration->client_id == NULL || registration->client_id[0] == 0))
        code = hs_err_set(err, HSMART_SERVER_FAILED, "there is no client id in it");
    return code;
}

static void
wipe_secrets(const hs_json_value *root)
{
    hs_json_wipe(hs_json_member(root, "client_secret"));
    hs_json_wipe(hs_json_member(root, "registration_access_token"));
}

static enum hsmart_code
parse_answer(const struct hs_http_response *response, const struct hs_registration_request *request,
             struct hs_registration *registration, hsmart_err *err)
{
    struct hs_json_doc doc = {0};
    enum hsmart_code code = hs_answer_is_page(response) ? hs_answer_tell_page(response, err)
                                                        : hs_json_parse(hs_span_buf(&response->body), &doc, err);

    if (code == HSMART_OK)
        code = read_members(doc.root, registration, err);
    if (code != HSMART_OK && code != HSMART_NO_MEMORY)
        code = hs_err_wrap(err, HSMART_SERVER_FAILED, "the answer is no registration");
    if (code == HSMART_OK)
        code = compare_echo(request, doc.root, registration, err);
    if (code == HSMART_OK)
        code = check_method(registration, err);
    wipe_secrets(doc.root);
    hs_json_doc_clear(&doc);
    return code;
}

/* ---- The exchange ---- */

static enum hsmart_code
check_endpoint(const struct hs_registration_request *request, hsmart_err *err)
{
    if (request->registration_endpoint != NULL && request->registration_endpoint[0] != 0)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "the server names no registration endpoint");
    hs_err_hint(err, "most servers register clients in a portal: hsmart register --print makes what is pasted there");
    return HSMART_INVALID_ARGUMENT;
}

/* "Bearer …" (RFC 7591 section 3); the empty buffer without an initial access token. */
static enum hsmart_code
put_authorization(const struct hs_registration_request *request, struct hs_buf *out, hsmart_err *err)
{
    if (request->initial_access_token == NULL)
        return HSMART_OK;
    if (!hs_is_b64token(hs_span_str(request->initial_access_token)))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT,
                          "the initial access token has characters that must not stand in a header");
    return hs_buf_append_format(out, err, "Bearer %s", request->initial_access_token);
}

/* One POST. An answer that is lost is not asked for again: there may be a client by now. */
static enum hsmart_code
post(const struct hs_registration_request *request, const char *content_type, const char *accept, struct hs_span body,
     const struct hs_link *link, struct hs_http_response *out_response, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf authorization = {0};
    struct hs_oauth_error error;

    code = put_authorization(request, &authorization, err);
    if (code != HSMART_OK)
        goto out;
    struct hs_http_request http = {
        .method = "POST",
        .url = request->registration_endpoint,
        .headers = {{"Content-Type", content_type},
                    {"Accept", accept},
                    {authorization.len > 0 ? "Authorization" : NULL, hs_buf_text(&authorization)}},
        .body = body,
        .max_response_len = HS_REGISTRATION_MAX_LEN,
    };
    code = hs_link_exchange(link, &http, out_response, err);
    if (code == HSMART_NETWORK_FAILED || code == HSMART_SERVER_FAILED)
        hs_err_hint(err, "the server may have registered the client all the same: look there before you try again");
    /* 200 as some servers do, 201 as RFC 7591 section 3.2.1 says. */
    if (code == HSMART_OK && out_response->status != 200 && out_response->status != 201) {
        hs_answer_hide(out_response, hs_span_str(request->initial_access_token));
        hs_oauth_error_read(out_response, (enum hs_auth_method)0, &error);
        code = hs_oauth_error_tell(&error, NULL, &link->log, err);
    }
out:
    hs_buf_clear(&authorization);
    return code;
}

static enum hsmart_code
finish(const struct hs_registration_request *request, const struct hs_link *link, enum hsmart_code code,
       struct hs_registration *registration, struct hs_registration *out_registration, hsmart_err *err)
{
    registration->registered_at_s = hs_link_now_s(link);
    if (code == HSMART_OK)
        code = hs_strdup(request->registration_endpoint, &registration->registration_endpoint, err);
    for (size_t i = 0; code == HSMART_OK && i < registration->differences.count; i++)
        hs_log_warning(&link->log, "%s", registration->differences.items[i]);
    if (code == HSMART_OK) {
        hs_registration_clear(out_registration);
        *out_registration = *registration;
        *registration = (struct hs_registration){0};
    }
    hs_registration_clear(registration);
    return code == HSMART_OK ? code : hs_err_wrap(err, code, "registration");
}

enum hsmart_code
hs_registration_send(const struct hs_registration_request *request, const struct hs_link *link,
                     struct hs_registration *out_registration, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf body = {.max_len = HS_REGISTRATION_MAX_LEN};
    struct hs_http_response response = {0};
    struct hs_registration registration = {0};

    code = check_endpoint(request, err);
    if (code == HSMART_OK)
        code = hs_registration_format(request, &body, err);
    if (code == HSMART_OK)
        code = post(request, "application/json", "application/json", hs_span_buf(&body), link, &response, err);
    if (code == HSMART_OK)
        code = parse_answer(&response, request, &registration, err);
    code = finish(request, link, code, &registration, out_registration, err);
    hs_http_response_clear(&response);
    hs_buf_clear(&body);
    return code;
}

/* ---- The form of the SMART reference server ---- */

static enum hsmart_code
put_form(const struct hs_registration_request *request, unsigned duration_min, struct hs_buf *form, hsmart_err *err)
{
    char duration[16];
    enum hsmart_code code = check_keys(request, err);

    if (code == HSMART_OK)
        code = request->jwks != NULL ? hs_form_append(form, "jwks", hs_span_str(request->jwks), err)
                                     : hs_form_append(form, "jwks_url", hs_span_str(request->jwks_uri), err);
    if (code == HSMART_OK && duration_min != 0) {
        size_t at = sizeof duration - 1;
        duration[at] = 0;
        for (unsigned rest = duration_min; rest != 0; rest /= 10)
            duration[--at] = (char)('0' + rest % 10);
        code = hs_form_append(form, "dur", hs_span_str(duration + at), err);
    }
    return code;
}

/* The bare client id, or a JSON object with it. */
static enum hsmart_code
parse_form_answer(const struct hs_http_response *response, const struct hs_registration_request *request,
                  struct hs_registration *registration, hsmart_err *err)
{
    struct hs_span text = hs_span_buf(&response->body);
    struct hs_buf client_id = {.max_len = CLIENT_ID_MAX_LEN};
    enum hsmart_code code = HSMART_OK;

    while (text.len > 0 && strchr(" \t\r\n", text.data[text.len - 1]) != NULL)
        text.len--;
    if (text.len > 0 && text.data[0] == '{')
        return parse_answer(response, request, registration, err);
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= 0x20 || text.data[i] >= 0x7f)
            code = HSMART_SERVER_FAILED;
    if (code != HSMART_OK || text.len == 0)
        return hs_err_set(err, HSMART_SERVER_FAILED, "the answer is no client id");
    code = hs_buf_append(&client_id, text, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&client_id, &registration->client_id, err);
    hs_buf_clear(&client_id);
    return code;
}

enum hsmart_code
hs_registration_send_form(const struct hs_registration_request *request, unsigned duration_min,
                          const struct hs_link *link, struct hs_registration *out_registration, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf form = {.max_len = HS_REGISTRATION_MAX_LEN};
    struct hs_http_response response = {0};
    struct hs_registration registration = {0};

    code = check_endpoint(request, err);
    if (code == HSMART_OK && method_of(request) != HS_AUTH_PRIVATE_KEY_JWT)
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "this form of registration is for keys only");
    if (code == HSMART_OK)
        code = put_form(request, duration_min, &form, err);
    if (code == HSMART_OK)
        code = post(request, "application/x-www-form-urlencoded", "text/plain, application/json", hs_span_buf(&form),
                    link, &response, err);
    if (code == HSMART_OK)
        code = parse_form_answer(&response, request, &registration, err);
    code = finish(request, link, code, &registration, out_registration, err);
    hs_http_response_clear(&response);
    hs_buf_clear(&form);
    return code;
}

/* ---- Keeping it ---- */

static void
put_secret(struct hs_json_writer *writer, const char *name, const struct hs_buf *secret)
{
    if (secret->len == 0)
        return;
    hs_json_name(writer, name);
    hs_json_put_span(writer, hs_span_buf(secret));
}

static void
put_text(struct hs_json_writer *writer, const char *name, const char *text)
{
    if (text != NULL)
        hs_json_member_text(writer, name, text);
}

enum hsmart_code
hs_registration_reserve(const char *path, struct hs_file_draft *out_draft, hsmart_err *err)
{
    return hs_file_draft_begin(path, FILE_ROOM, 0600, out_draft, err);
}

enum hsmart_code
hs_registration_keep(const struct hs_registration *registration, struct hs_file_draft *draft, hsmart_err *err)
{
    struct hs_buf json = {0};
    struct hs_json_writer writer = {.out = &json, .indent = true};
    enum hsmart_code code;

    hs_json_begin_object(&writer);
    hs_json_member_integer(&writer, "hsmart_registration", FORMAT);
    hs_json_member_text(&writer, "client_id", registration->client_id);
    put_secret(&writer, "client_secret", &registration->client_secret);
    if (registration->client_secret.len > 0)
        hs_json_member_integer(&writer, "client_secret_expires_at", registration->client_secret_expires_at_s);
    put_text(&writer, "token_endpoint_auth_method", registration->method);
    put_text(&writer, "scope", registration->scope);
    put_text(&writer, "registration_client_uri", registration->registration_client_uri);
    put_secret(&writer, "registration_access_token", &registration->registration_access_token);
    put_text(&writer, "registration_endpoint", registration->registration_endpoint);
    hs_json_member_integer(&writer, "registered_at", registration->registered_at_s);
    hs_json_end_object(&writer);
    code = hs_json_writer_finish(&writer, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(&json, "\n", err);
    if (code == HSMART_OK)
        code = hs_file_draft_end(draft, hs_span_buf(&json), err);
    hs_buf_clear(&json);
    return code;
}

enum hsmart_code
hs_registration_save(const struct hs_registration *registration, const char *path, hsmart_err *err)
{
    struct hs_file_draft draft = {0};
    enum hsmart_code code = hs_registration_reserve(path, &draft, err);

    if (code == HSMART_OK)
        code = hs_registration_keep(registration, &draft, err);
    hs_file_draft_clear(&draft);
    return code;
}

enum hsmart_code
hs_registration_load(const char *path, struct hs_registration *out_registration, hsmart_err *err)
{
    struct hs_buf text = {0};
    struct hs_json_doc doc = {0};
    struct hs_registration registration = {0};
    enum hsmart_code code = hs_file_read_secret(path, FILE_MAX_LEN, &text, err);

    if (code != HSMART_OK) {
        if (err != NULL && err->hint[0] == 0)
            hs_err_hint(err, "register with `hsmart register`, or name the file that it wrote");
        goto out;
    }
    code = hs_json_parse(hs_span_buf(&text), &doc, err);
    if (code == HSMART_OK && hs_json_integer(hs_json_member(doc.root, "hsmart_registration")) != FORMAT)
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "it has no \"hsmart_registration\": %d", FORMAT);
    if (code == HSMART_OK)
        code = read_members(doc.root, &registration, err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(hs_json_text(hs_json_member(doc.root, "registration_endpoint")),
                                 &registration.registration_endpoint, err);
    if (code != HSMART_OK) {
        code = code == HSMART_NO_MEMORY
                   ? code
                   : hs_err_wrap(err, HSMART_INPUT_MALFORMED, "\"%.200s\" is no registration", path);
        goto out;
    }
    registration.registered_at_s = hs_json_integer(hs_json_member(doc.root, "registered_at"));
    hs_registration_clear(out_registration);
    *out_registration = registration;
    registration = (struct hs_registration){0};
out:
    hs_registration_clear(&registration);
    wipe_secrets(doc.root);
    hs_json_doc_clear(&doc);
    hs_buf_clear(&text);
    return code;
}

enum hsmart_code
hs_registration_secret(const struct hs_registration *registration, int64_t now_s, struct hs_secret *out_secret,
                       hsmart_err *err)
{
    int64_t expires_at_s = registration->client_secret_expires_at_s;

    if (registration->client_secret.len == 0)
        return hs_err_set(err, HSMART_CONFIG_INVALID, "the registration has no client secret");
    if (expires_at_s != 0 && expires_at_s <= now_s) {
        (void)hs_err_set(err, HSMART_POLICY_REFUSED, "the client secret expired %lld s ago",
                         (long long)(now_s - expires_at_s));
        hs_err_hint(err, "register again, or get a new secret from the server's operator");
        return HSMART_POLICY_REFUSED;
    }
    return hs_secret_set(out_secret, hs_span_buf(&registration->client_secret), err);
}
