#include "authenticate.h"

#include <string.h>
#include <strings.h>

#include "err.h"
#include "form.h"
#include "jws.h"
#include "plain_base64.h"

void
token_request_clear(struct token_request *request)
{
    fields_clear(&request->form);
    hs_buf_clear(&request->storage);
    hs_buf_clear(&request->basic_text);
    hs_buf_clear(&request->issuer);
    hs_buf_clear(&request->alg);
    hs_buf_clear(&request->kid);
    hs_buf_clear(&request->jti);
    hs_buf_clear(&request->jwks);
    hs_buf_clear(&request->target);
    hs_buf_clear(&request->url);
    hs_report_clear(&request->report);
    hs_free(request->headers);
    *request = (struct token_request){0};
}

/* ---- Reading ---- */

/* Names and values, decoded, in `storage`, which does not move: its room is that of the body. What cannot be decoded is
 * left out here, and told by the rules. */
static enum hsmart_code
read_form(struct token_request *request, struct hs_span body, hsmart_err *err)
{
    enum hsmart_code code = hs_buf_reserve(&request->storage, body.len + 1, err);
    struct hs_span rest = body, name, value;

    while (code == HSMART_OK && hs_form_next(&rest, &name, &value)) {
        struct hs_buf parts[2] = {{0}, {0}};
        if (hs_form_decode(name, &parts[0], NULL) == HSMART_OK && hs_form_decode(value, &parts[1], NULL) == HSMART_OK) {
            size_t start = request->storage.len;
            code = hs_buf_append(&request->storage, hs_span_buf(&parts[0]), err);
            if (code == HSMART_OK)
                code = hs_buf_append(&request->storage, hs_span_buf(&parts[1]), err);
            if (code == HSMART_OK)
                code = fields_add(&request->form, (struct hs_span){request->storage.data + start, parts[0].len},
                                  (struct hs_span){request->storage.data + start + parts[0].len, parts[1].len}, err);
        }
        hs_buf_clear(&parts[1]);
        hs_buf_clear(&parts[0]);
    }
    return code;
}

static struct hs_span
form_value(const struct token_request *request, const char *name)
{
    const struct hs_span *value = field_get(&request->form, name);

    return value != NULL ? *value : (struct hs_span){0};
}

static void
read_basic(const struct exchange *exchange, struct token_request *request)
{
    const struct hs_span *header = header_get(&exchange->request->headers, "Authorization");
    size_t scheme_len = strlen("Basic ");

    if (header == NULL || header->len <= scheme_len ||
        strncasecmp((const char *)header->data, "Basic ", scheme_len) != 0)
        return;
    request->basic = (struct hs_span){header->data + scheme_len, header->len - scheme_len};
    if (hs_plain_base64_decode(request->basic, &request->basic_text, NULL) != HSMART_OK)
        hs_buf_clear(&request->basic_text); /* R12 tells what is wrong with it */
}

/* One half of what Basic holds, before or after the ':'. */
static struct hs_span
basic_half(const struct token_request *request, bool second)
{
    struct hs_span text = hs_span_buf(&request->basic_text);
    const uint8_t *colon = text.len > 0 ? memchr(text.data, ':', text.len) : NULL;

    if (colon == NULL)
        return (struct hs_span){0};
    size_t len = (size_t)(colon - text.data);
    return second ? (struct hs_span){colon + 1, text.len - len - 1} : (struct hs_span){text.data, len};
}

static enum hsmart_code
copy_text(const hs_json_value *value, struct hs_buf *out, hsmart_err *err)
{
    return hs_buf_append(out, hs_json_string(value), err);
}

/* sub (else iss), alg, kid, jti and exp: nothing of it is trusted yet. */
static enum hsmart_code
read_assertion(struct token_request *request, hsmart_err *err)
{
    struct hs_jws jws = {0};
    enum hsmart_code code;

    if (request->assertion.len == 0 || hs_jws_parse(request->assertion, &jws, NULL) != HSMART_OK)
        return HSMART_OK; /* the rules tell what is wrong with it */
    const hs_json_value *subject = hs_json_member(jws.payload.root, "sub");
    code = copy_text(subject != NULL ? subject : hs_json_member(jws.payload.root, "iss"), &request->issuer, err);
    if (code == HSMART_OK)
        code = copy_text(hs_json_member(jws.header.root, "alg"), &request->alg, err);
    if (code == HSMART_OK)
        code = copy_text(hs_json_member(jws.header.root, "kid"), &request->kid, err);
    if (code == HSMART_OK)
        code = copy_text(hs_json_member(jws.payload.root, "jti"), &request->jti, err);
    request->exp_s = hs_json_integer(hs_json_member(jws.payload.root, "exp"));
    hs_jws_clear(&jws);
    return code;
}

static struct client *
find_client(struct sandbox *sandbox, struct hs_span id)
{
    (void)pthread_mutex_lock(&sandbox->lock);
    struct client *client = clients_find(&sandbox->clients, id);
    (void)pthread_mutex_unlock(&sandbox->lock);
    return client; /* lives as long as the sandbox */
}

/* The id in the Basic header is form-encoded by RFC 6749 section 2.3.1, and raw for those who do not do that. */
static struct client *
find_basic_client(struct sandbox *sandbox, const struct token_request *request)
{
    struct hs_buf decoded = {0};
    struct hs_span id = basic_half(request, false);
    struct client *client = NULL;

    if (sandbox->row->basic == HS_BASIC_FORM_ENCODED && hs_form_decode(id, &decoded, NULL) == HSMART_OK)
        client = find_client(sandbox, hs_span_buf(&decoded));
    if (client == NULL)
        client = find_client(sandbox, id);
    hs_buf_clear(&decoded);
    return client;
}

static struct jwks_policy
policy_of(const struct exchange *exchange)
{
    const struct sandbox *sandbox = exchange->sandbox;
    unsigned life_max_s = sandbox->settings->jwks_life_max_s;

    return (struct jwks_policy){
        .life_max_s = life_max_s != 0 ? life_max_s : sandbox->row->jwks_cache_max_s,
        .reread_s = sandbox->settings->jwks_reread_s,
        .never_reread = fault_of(&exchange->faults, "stale-jwks") != NULL,
    };
}

/* Few at a time, so that clients with slow JWKS URLs leave connections to the others. */
#define FETCHING_MAX 16U

static enum hsmart_code
read_keys(struct exchange *exchange, struct token_request *request, hsmart_err *err)
{
    struct sandbox *sandbox = exchange->sandbox;
    const struct jwks_policy policy = policy_of(exchange);
    enum hsmart_code code;

    if (request->client == NULL || request->client->method != HS_AUTH_PRIVATE_KEY_JWT)
        return HSMART_OK;
    if (atomic_fetch_add(&sandbox->now_fetching, 1) >= FETCHING_MAX && request->client->keys.url != NULL)
        code = hs_err_set(err, HSMART_SERVER_BUSY, "too many key sets are being read at once");
    else
        code =
            jwks_source_get(&request->client->keys, sandbox->http, hs_span_buf(&request->kid), sandbox_now_s(sandbox),
                            &policy, &request->jwks, &request->jwks_was_read, &request->jwks_err);
    (void)atomic_fetch_sub(&sandbox->now_fetching, 1);
    request->has_jwks = code == HSMART_OK;
    return code == HSMART_NO_MEMORY || code == HSMART_SERVER_BUSY ? code : HSMART_OK;
}

enum hsmart_code
token_request_read(struct exchange *exchange, struct token_request *out_request, hsmart_err *err)
{
    struct sandbox *sandbox = exchange->sandbox;
    enum hsmart_code code = read_form(out_request, exchange->request->body, err);

    if (code != HSMART_OK)
        return code;
    out_request->assertion = form_value(out_request, "client_assertion");
    read_basic(exchange, out_request);
    code = read_assertion(out_request, err);
    if (code != HSMART_OK)
        return code;
    if (out_request->assertion.len > 0)
        out_request->client = find_client(sandbox, hs_span_buf(&out_request->issuer));
    else if (out_request->basic.len > 0)
        out_request->client = find_basic_client(sandbox, out_request);
    else
        out_request->client = find_client(sandbox, form_value(out_request, "client_id"));
    return read_keys(exchange, out_request, err);
}

/* ---- The rules ---- */

static bool
is_seen(void *seen_arg, struct hs_span issuer, struct hs_span jti)
{
    struct sandbox *sandbox = seen_arg;
    struct digest digest;

    if (digest_of(issuer, jti, &digest, NULL) != HSMART_OK)
        return true;
    (void)pthread_mutex_lock(&sandbox->lock);
    bool seen = expiring_find(&sandbox->jtis, &digest, sandbox_now_s(sandbox), NULL, NULL);
    (void)pthread_mutex_unlock(&sandbox->lock);
    return seen;
}

/* Path and query, encoded once more: the web server had decoded them. */
static enum hsmart_code
format_target(const struct request *request, struct hs_buf *out, hsmart_err *err)
{
    enum hsmart_code code = hs_buf_append_str(out, request->path, err);

    for (size_t i = 0; i < request->query.count && code == HSMART_OK; i++) {
        code = hs_buf_append_str(out, i == 0 ? "?" : "&", err);
        if (code == HSMART_OK)
            code = hs_form_encode(out, request->query.items[i].name, err);
        if (code == HSMART_OK)
            code = hs_buf_append_str(out, "=", err);
        if (code == HSMART_OK)
            code = hs_form_encode(out, request->query.items[i].value, err);
    }
    return code;
}

static enum hsmart_code
format_request(const struct request *request, struct token_request *token_request, struct hs_request *out,
               hsmart_err *err)
{
    enum hsmart_code code = format_target(request, &token_request->target, err);

    if (code != HSMART_OK)
        return code;
    token_request->headers = hs_calloc(request->headers.count + 1, sizeof *token_request->headers);
    if (token_request->headers == NULL)
        return hs_err_no_memory(err);
    for (size_t i = 0; i < request->headers.count; i++)
        token_request->headers[i] =
            (struct hs_request_header){request->headers.items[i].name, request->headers.items[i].value};
    *out = (struct hs_request){
        .method = hs_span_str(request->method),
        .target = hs_span_buf(&token_request->target),
        .headers = token_request->headers,
        .header_count = request->headers.count,
        .body = request->body,
    };
    return HSMART_OK;
}

/* The URL that it was posted to, query included: that is what aud has to be. */
static enum hsmart_code
format_url(const struct sandbox *sandbox, struct token_request *request, hsmart_err *err)
{
    struct hs_span target = hs_span_buf(&request->target);
    const uint8_t *query = memchr(target.data, '?', target.len);
    enum hsmart_code code = hs_buf_append(&request->url, hs_span_buf(&sandbox->token_url), err);

    if (code == HSMART_OK && query != NULL)
        code = hs_buf_append(&request->url, (struct hs_span){query, target.len - (size_t)(query - target.data)}, err);
    return code;
}

enum hsmart_code
token_request_check(struct exchange *exchange, struct token_request *request, hsmart_err *err)
{
    struct sandbox *sandbox = exchange->sandbox;
    const struct client *client = request->client;
    const char *jwks_url = client != NULL ? client->keys.url : NULL;
    const char *audience = sandbox->row->audience == HS_AUDIENCE_ISSUER && !sandbox->settings->strict
                               ? hs_buf_text(&sandbox->fhir_base) /* the issuer that discovery tells */
                               : NULL;
    struct hs_request http_request = {0};
    const struct hs_served failed = {
        .url = jwks_url, .failure = HSMART_NETWORK_FAILED, .failure_text = request->jwks_err.text, .cache_life_s = -1};
    enum hsmart_code code = format_request(exchange->request, request, &http_request, err);

    if (code == HSMART_OK)
        code = format_url(sandbox, request, err);
    if (code != HSMART_OK)
        return code;
    const struct hs_request_expectation expectation = {
        .token_url = hs_buf_text(&request->url),
        .assertion =
            {
                .server = sandbox->settings->strict ? NULL : sandbox->row,
                .jwks = hs_span_buf(&request->jwks),
                .jwks_served = jwks_url != NULL && !request->has_jwks ? &failed : NULL,
                .audience = audience,
                .handover = client == NULL     ? HS_HANDOVER_UNKNOWN
                            : jwks_url != NULL ? HS_HANDOVER_URL
                                               : HS_HANDOVER_VALUE,
                .client_id = client != NULL ? client->id : NULL,
                .jku = jwks_url,
                .now_s = sandbox_now_s(sandbox),
                .is_seen = is_seen,
                .seen_arg = sandbox,
            },
    };
    return hs_check_request(&http_request, &expectation, &request->report, err);
}

bool
token_request_is_verified(const struct token_request *request)
{
    const struct hs_rule_verdict *verdict = hs_report_verdict(&request->report, "L30");

    return verdict != NULL && verdict->verdict == HS_VERDICT_OK;
}

/* ---- Secrets ---- */

static bool
secret_matches(const struct token_request *request, struct hs_span id, struct hs_span secret)
{
    return hs_span_equal_str(id, request->client->id) && client_has_secret(request->client, secret);
}

static bool
encoded_secret_matches(const struct token_request *request, struct hs_span id, struct hs_span secret)
{
    struct hs_buf plain_id = {0}, plain_secret = {0};
    bool matches = hs_form_decode(id, &plain_id, NULL) == HSMART_OK &&
                   hs_form_decode(secret, &plain_secret, NULL) == HSMART_OK &&
                   secret_matches(request, hs_span_buf(&plain_id), hs_span_buf(&plain_secret));

    hs_buf_clear(&plain_secret);
    hs_buf_clear(&plain_id);
    return matches;
}

bool
token_request_has_secret(const struct exchange *exchange, const struct token_request *request, bool *out_is_raw)
{
    enum hs_basic_form form = exchange->sandbox->row->basic;
    struct hs_span id = basic_half(request, false), secret = basic_half(request, true);

    *out_is_raw = false;
    if (request->basic.len == 0)
        return request->client->method == HS_AUTH_SECRET_POST &&
               secret_matches(request, form_value(request, "client_id"), form_value(request, "client_secret"));
    if (request->client->method != HS_AUTH_SECRET_BASIC || request->basic_text.len == 0)
        return false;
    bool raw = secret_matches(request, id, secret);
    bool encoded = encoded_secret_matches(request, id, secret);
    *out_is_raw = form == HS_BASIC_FORM_ENCODED ? raw && !encoded : encoded && !raw;
    return form == HS_BASIC_FORM_ENCODED ? encoded : raw;
}

/* ---- Inferno ---- */

static void
observe(struct exchange *exchange, enum inferno_check check, bool good)
{
    exchange->observation.verdicts[check] = good ? INFERNO_GOOD : INFERNO_BAD;
}

/* What these rules, separated by spaces, say together. A finding is bad, whatever its severity for this server is; a
 * rule that could not be applied says nothing. */
static enum inferno_verdict
verdict_of(const struct hs_report *report, const char *codes)
{
    enum inferno_verdict together = INFERNO_GOOD;

    for (size_t i = 0; i < report->verdict_count; i++) {
        const struct hs_rule_verdict *one = &report->verdicts[i];
        if (strstr(codes, one->rule->code) == NULL || one->verdict == HS_VERDICT_OK)
            continue;
        if (one->verdict != HS_VERDICT_SKIPPED)
            return INFERNO_BAD;
        together = INFERNO_SKIPPED;
    }
    return together;
}

void
token_request_observe(struct exchange *exchange, const struct token_request *request)
{
    static const char urn[] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    static const struct {
        enum inferno_check check;
        const char *codes;
    } rules[] = {
        {INFERNO_TYP, "L01 L02 L03 L07"},
        {INFERNO_ISS, "L01 L02 L03 L11 L13 L14"},
        {INFERNO_SUB, "L01 L02 L03 L12 L13 L14"},
        {INFERNO_AUD, "L01 L02 L03 L15 L16 L17"},
        {INFERNO_EXP, "L01 L02 L03 L18"},
        {INFERNO_JTI, "L01 L02 L03 L24"},
        {INFERNO_JTI_NEW, "L27"},
        {INFERNO_ALG, "L01 L02 L03 L04"},
        {INFERNO_KID, "L01 L02 L03 L06"},
        {INFERNO_KEY_FOUND, "L31"},
        {INFERNO_SIGNATURE, "L30"},
    };
    struct hs_span grant = form_value(request, "grant_type"), scope = form_value(request, "scope");
    bool is_blank = true;

    if (hs_span_equal_str(grant, "refresh_token")) {
        observe(exchange, INFERNO_NO_REFRESH, false);
        return;
    }
    for (size_t i = 0; i < scope.len; i++)
        is_blank = is_blank && scope.data[i] == ' ';
    observe(exchange, INFERNO_NO_REFRESH, true);
    observe(exchange, INFERNO_GRANT_TYPE, hs_span_equal_str(grant, "client_credentials"));
    observe(exchange, INFERNO_ASSERTION_TYPE, hs_span_equal_str(form_value(request, "client_assertion_type"), urn));
    observe(exchange, INFERNO_SCOPE, !is_blank);
    observe(exchange, INFERNO_REGISTERED_KEYS, request->has_jwks);
    for (size_t i = 0; i < HS_ARRAY_LEN(rules); i++)
        exchange->observation.verdicts[rules[i].check] =
            request->assertion.len > 0 ? verdict_of(&request->report, rules[i].codes) : INFERNO_BAD;
}
