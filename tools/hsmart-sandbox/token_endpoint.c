/* The token endpoint: client credentials (RFC 6749 section 4.4) with an assertion (RFC 7523) or a secret. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "authenticate.h"
#include "check_server.h"
#include "err.h"
#include "families.h"
#include "form.h"
#include "scopes.h"

#define ACCESS_TOKEN_BYTES 32U
#define CLIENT_SHOWN_MAX 40

/* ---- Refusing ---- */

static const char *
server_name(const struct exchange *exchange)
{
    return exchange->sandbox->row->name;
}

static void
put_findings(struct hs_json_writer *writer, const struct hs_report *report)
{
    hs_json_name(writer, "findings");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < report->count; i++) {
        const struct hs_finding *finding = &report->findings[i];
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "code", finding->rule->code);
        hs_json_member_text(writer, "severity", finding->severity == HS_SEVERITY_ERROR ? "error" : "warning");
        hs_json_member_text(writer, "text", finding->text);
        hs_json_member_text(writer, "cure", finding->rule->cure);
        hs_json_end_object(writer);
    }
    hs_json_end_array(writer);
}

static enum hsmart_code
put_oauth_refusal(struct exchange *exchange, const struct refusal *refusal, const char *description,
                  const struct hs_report *report, hsmart_err *err)
{
    struct hs_json_writer writer;
    enum hsmart_code code = answer_json(exchange, refusal->status, "application/json", &writer, err);

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "error", refusal->error);
    hs_json_member_text(&writer, "error_description", description);
    if (exchange->sandbox->settings->strict)
        put_findings(&writer, report);
    hs_json_end_object(&writer);
    return code == HSMART_OK ? hs_json_writer_finish(&writer, err) : code;
}

static enum hsmart_code
put_code_and_message(struct exchange *exchange, const struct refusal *refusal, const char *description, hsmart_err *err)
{
    struct hs_json_writer writer;
    enum hsmart_code code = answer_json(exchange, refusal->status, "application/json", &writer, err);

    hs_json_begin_object(&writer);
    hs_json_member_integer(&writer, "code", refusal->status);
    hs_json_member_text(&writer, "message", description);
    hs_json_end_object(&writer);
    return code == HSMART_OK ? hs_json_writer_finish(&writer, err) : code;
}

static enum hsmart_code
refuse(struct exchange *exchange, const struct refusal *refusal, const char *description,
       const struct hs_report *report, hsmart_err *err)
{
    enum error_shape shape =
        exchange->sandbox->settings->strict ? ERROR_OAUTH : family_of(server_name(exchange))->shape;
    enum hsmart_code code;

    switch (shape) {
    case ERROR_CODE_MESSAGE:
        code = put_code_and_message(exchange, refusal, description, err);
        break;
    case ERROR_TEXT:
        code = answer_text(exchange, refusal->status, description, err);
        break;
    default:
        code = put_oauth_refusal(exchange, refusal, description, report, err);
    }
    if (code == HSMART_OK)
        code = answer_header(&exchange->answer, err, "Cache-Control", "no-store");
    if (code == HSMART_OK)
        code = answer_header(&exchange->answer, err, "Pragma", "no-cache");
    if (code == HSMART_OK && refusal->status == 405)
        code = answer_header(&exchange->answer, err, "Allow", "POST");
    /* RFC 6749 section 5.2: who tried a scheme is told of it. */
    if (code == HSMART_OK && refusal->status == 401 && header_get(&exchange->request->headers, "Authorization") != NULL)
        code = answer_header(&exchange->answer, err, "WWW-Authenticate", "Basic realm=\"hsmart-sandbox\"");
    return code;
}

/* A grant type that is there is not supported; one that is missing makes the request invalid (RFC 6749 section 5.2). */
static bool
has_grant_type(const struct exchange *exchange)
{
    struct hs_span rest = exchange->request->body, name, value;

    while (hs_form_next(&rest, &name, &value))
        if (hs_span_equal_str(name, "grant_type") && value.len > 0)
            return true;
    return false;
}

/* `text` says what was found; a family with words of its own says those. */
static enum hsmart_code
refuse_rule(struct exchange *exchange, const char *rule, const char *text, const struct hs_report *report,
            hsmart_err *err)
{
    const bool strict = exchange->sandbox->settings->strict;
    struct refusal refusal = family_refusal(strict ? "smart" : server_name(exchange), rule);
    char own_words[NOTE_MAX];

    if (strcmp(rule, "R03") == 0 && refusal.description == NULL && has_grant_type(exchange))
        refusal.error = "unsupported_grant_type";
    (void)snprintf(own_words, sizeof own_words, "%s: %s", rule, text);
    enum hsmart_code code =
        refuse(exchange, &refusal, refusal.description != NULL ? refusal.description : own_words, report, err);
    answer_note(&exchange->answer, "%s, %s", refusal.error, own_words);
    return code;
}

static enum hsmart_code
refuse_client(struct exchange *exchange, const struct hs_report *report, hsmart_err *err, const char *text)
{
    const struct refusal refusal = {401, "invalid_client", NULL};
    enum hsmart_code code = refuse(exchange, &refusal, text, report, err);

    answer_note(&exchange->answer, "%s: %s", refusal.error, text);
    return code;
}

/* ---- Granting ---- */

/* Until its assertion has ended for everybody; without an end that can be read, as long as any lives. */
static int64_t
jti_memory_end_s(const struct token_request *request, int64_t now_s)
{
    int64_t longest_s = now_s + HS_JTI_MEMORY_S;

    return request->exp_s > 0 && request->exp_s < longest_s - HS_JTI_SKEW_S ? request->exp_s + HS_JTI_SKEW_S
                                                                            : longest_s;
}

/* Puts the jti into memory. False: another request was faster. */
static enum hsmart_code
remember_jti(struct sandbox *sandbox, const struct token_request *request, bool *out_is_new, hsmart_err *err)
{
    struct digest digest;
    int64_t now_s = sandbox_now_s(sandbox);
    enum hsmart_code code;

    *out_is_new = true;
    if (request->jti.len == 0)
        return HSMART_OK;
    code = digest_of(hs_span_buf(&request->issuer), hs_span_buf(&request->jti), &digest, err);
    if (code != HSMART_OK)
        return code;
    (void)pthread_mutex_lock(&sandbox->lock);
    code = expiring_add(&sandbox->jtis, &digest, jti_memory_end_s(request, now_s), now_s, NULL, out_is_new, err);
    (void)pthread_mutex_unlock(&sandbox->lock);
    return code;
}

static enum hsmart_code
make_grant(const struct client *client, const char *scope, struct grant **out_grant, hsmart_err *err)
{
    size_t scope_len = strlen(scope);
    struct grant *grant = hs_calloc(1, sizeof *grant + scope_len + 1);

    if (grant == NULL)
        return hs_err_no_memory(err);
    grant->client = client;
    memcpy(grant->scope, scope, scope_len + 1);
    *out_grant = grant;
    return HSMART_OK;
}

/* A new access token of `life_s`; only its digest stays here. */
static enum hsmart_code
issue(struct sandbox *sandbox, const struct client *client, const char *scope, unsigned life_s,
      struct hs_buf *out_access_token, hsmart_err *err)
{
    struct digest digest;
    struct grant *grant = NULL;
    bool is_new = false;
    int64_t now_s = sandbox_now_s(sandbox);
    enum hsmart_code code = sandbox_random_text(ACCESS_TOKEN_BYTES, out_access_token, err);

    if (code == HSMART_OK)
        code = digest_of(hs_span_str("access token"), hs_span_buf(out_access_token), &digest, err);
    if (code == HSMART_OK)
        code = make_grant(client, scope, &grant, err);
    if (code != HSMART_OK)
        return code;
    (void)pthread_mutex_lock(&sandbox->lock);
    code = expiring_add(&sandbox->access_tokens, &digest, now_s + life_s, now_s, grant, &is_new, err);
    (void)pthread_mutex_unlock(&sandbox->lock);
    if (code != HSMART_OK || !is_new)
        hs_free(grant);
    return code;
}

static unsigned
life_of(const struct exchange *exchange, const struct client *client)
{
    const unsigned lives_s[] = {client->token_life_s, exchange->sandbox->settings->token_life_s,
                                exchange->sandbox->settings->strict ? 0
                                                                    : family_of(server_name(exchange))->token_life_s};

    for (size_t i = 0; i < HS_ARRAY_LEN(lives_s); i++)
        if (lives_s[i] != 0)
            return lives_s[i];
    return SANDBOX_TOKEN_LIFE_DEFAULT_S;
}

static void
put_expires_in(const struct exchange *exchange, struct hs_json_writer *writer, unsigned life_s)
{
    static const struct {
        const char *word, *json;
    } odd[] = {{"string", "\"1200\""}, {"null", "null"},     {"negative", "-5"}, {"huge", "1e99"},
               {"fraction", "3600.5"}, {"text", "\"soon\""}, {"true", "true"}};
    const char *argument = fault_of(&exchange->faults, "expires");
    char number[32];

    if (argument != NULL && strcmp(argument, "missing") == 0)
        return;
    hs_json_name(writer, "expires_in");
    for (size_t i = 0; argument != NULL && i < HS_ARRAY_LEN(odd); i++)
        if (strcmp(argument, odd[i].word) == 0) {
            hs_json_put_raw(writer, hs_span_str(odd[i].json));
            return;
        }
    (void)snprintf(number, sizeof number, "%u", life_s);
    if (argument != NULL)
        hs_json_put_raw(writer, hs_span_str(argument)); /* a number, which the table of faults saw to */
    else if (!exchange->sandbox->settings->strict && family_of(server_name(exchange))->expires_in_text)
        hs_json_put_text(writer, number);
    else
        hs_json_put_integer(writer, life_s);
}

static void
put_access_token(const struct exchange *exchange, struct hs_json_writer *writer, struct hs_span access_token)
{
    static const struct {
        const char *word, *json;
    } odd[] = {{"crlf", "\"abc\\r\\nX-Injected: yes\""},
               {"lf", "\"abc\\ndef\""},
               {"space", "\"abc def\""},
               {"nul", "\"abc\\u0000def\""},
               {"empty", "\"\""},
               {"number", "12345"},
               {"null", "null"},
               {"utf8", "\"abc\xc3\xa9\""}};
    const char *argument = fault_of(&exchange->faults, "value");
    const char *long_len = fault_of(&exchange->faults, "long-token");

    if (argument != NULL && strcmp(argument, "missing") == 0)
        return;
    hs_json_name(writer, "access_token");
    for (size_t i = 0; argument != NULL && i < HS_ARRAY_LEN(odd); i++)
        if (strcmp(argument, odd[i].word) == 0) {
            hs_json_put_raw(writer, hs_span_str(odd[i].json));
            return;
        }
    if (long_len == NULL) {
        hs_json_put_span(writer, access_token);
        return;
    }
    struct hs_buf value = {0};
    if (hs_buf_resize(&value, (size_t)strtoul(long_len, NULL, 10), NULL) == HSMART_OK && value.len > 0)
        memset(value.data, 'a', value.len);
    hs_json_put_span(writer, hs_span_buf(&value));
    hs_buf_clear(&value);
}

static void
put_scope(const struct exchange *exchange, struct hs_json_writer *writer, const char *scope)
{
    const char *argument = fault_of(&exchange->faults, "scope");

    if (argument == NULL && !exchange->sandbox->settings->strict && family_of(server_name(exchange))->omits_scope)
        return;
    if (argument != NULL && strcmp(argument, "absent") == 0)
        return;
    if (argument != NULL)
        scope = strcmp(argument, "narrower") == 0 ? "system/Patient.r"
                : strcmp(argument, "wider") == 0  ? "system/*.cruds"
                                                  : "";
    hs_json_member_text(writer, "scope", scope);
}

static enum hsmart_code
answer_granted(struct exchange *exchange, const struct hs_report *report, struct hs_span access_token,
               const char *scope, unsigned life_s, hsmart_err *err)
{
    const char *type = fault_of(&exchange->faults, "type");
    struct hs_json_writer writer;
    enum hsmart_code code = answer_json(exchange, 200, "application/json", &writer, err);

    if (code == HSMART_OK)
        code = answer_header(&exchange->answer, err, "Cache-Control", "no-store");
    if (code == HSMART_OK)
        code = answer_header(&exchange->answer, err, "Pragma", "no-cache");
    if (code != HSMART_OK)
        return code;
    hs_json_begin_object(&writer);
    put_access_token(exchange, &writer, access_token);
    hs_json_member_text(&writer, "token_type", type != NULL ? type : "bearer");
    put_expires_in(exchange, &writer, life_s);
    put_scope(exchange, &writer, scope);
    if (fault_of(&exchange->faults, "refresh-token") != NULL)
        hs_json_member_text(&writer, "refresh_token", "which-no-backend-client-should-use");
    if (exchange->sandbox->settings->strict && report->count > 0)
        put_findings(&writer, report); /* warnings; clients ignore members that they do not know */
    hs_json_end_object(&writer);
    return hs_json_writer_finish(&writer, err);
}

/* Spaces ask for nothing. */
static bool
is_blank(struct hs_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] != ' ')
            return false;
    return true;
}

/* What the client gets of what it asked for. A family whose scopes are words of its own gets them as they are. */
static enum hsmart_code
choose_scope(const struct exchange *exchange, const struct token_request *request, struct hs_buf *out_scope,
             struct hs_buf *out_refused, hsmart_err *err)
{
    const struct hs_server_row *row = exchange->sandbox->row;
    const struct hs_span *asked = field_get(&request->form, "scope");
    const char *registered = request->client->scope;
    bool takes_foreign = !exchange->sandbox->settings->strict && hs_habits_of(row)->has_own_scopes;
    struct hs_buf requested = {0};
    enum hsmart_code code = HSMART_OK;

    if (asked == NULL || is_blank(*asked) || row->scope == HS_SCOPE_NOT_SENT)
        return hs_buf_append_str(out_scope, registered != NULL ? registered : "system/*.rs", err);
    if (row->scope == HS_SCOPE_LITERAL && row->scope_literal != NULL && hs_span_equal_str(*asked, row->scope_literal))
        return hs_buf_append_str(out_scope, "system/*.rs", err);
    if (asked->len > SCOPE_TEXT_MAX)
        return hs_buf_append_format(out_refused, err, "it is longer than %u bytes", SCOPE_TEXT_MAX);
    code = hs_buf_append(&requested, *asked, err);
    if (code == HSMART_OK)
        code = scope_grant(hs_buf_text(&requested), registered, takes_foreign, out_scope, out_refused, err);
    hs_buf_clear(&requested);
    return code;
}

static enum hsmart_code
grant(struct exchange *exchange, const struct token_request *request, hsmart_err *err)
{
    const struct client *client = request->client;
    struct hs_buf scope = {0}, refused = {0}, access_token = {0};
    enum hsmart_code code = choose_scope(exchange, request, &scope, &refused, err);

    if (code == HSMART_OK && scope.len == 0) {
        code = answer_oauth_error(exchange, 400, "invalid_scope", err, "nothing of it can be granted; %s",
                                  hs_buf_text(&refused));
        goto out;
    }
    unsigned life_s = life_of(exchange, client);
    if (code == HSMART_OK)
        code = issue(exchange->sandbox, client, hs_buf_text(&scope), life_s, &access_token, err);
    if (code == HSMART_OK)
        code = answer_granted(exchange, &request->report, hs_span_buf(&access_token), hs_buf_text(&scope), life_s, err);
    answer_note(&exchange->answer, "client \"%.*s\" is granted \"%s\" for %u s%s", CLIENT_SHOWN_MAX, client->id,
                hs_buf_text(&scope), life_s, request->jwks_was_read ? ", its JWKS was read" : "");
out:
    hs_buf_clear(&access_token);
    hs_buf_clear(&refused);
    hs_buf_clear(&scope);
    return code;
}

/* ---- Deciding ---- */

static enum hsmart_code
decide_assertion(struct exchange *exchange, struct token_request *request, bool *out_answered, hsmart_err *err)
{
    const struct hs_enforcement *replay = hs_enforcement_of("L27", server_name(exchange));
    bool is_new = true;
    enum hsmart_code code;

    *out_answered = true;
    if (request->client == NULL)
        return refuse_rule(exchange, "L14", "no client of this id is registered here", &request->report, err);
    if (request->client->method != HS_AUTH_PRIVATE_KEY_JWT)
        return refuse_client(exchange, &request->report, err, "this client is not registered for private_key_jwt");
    /* token_endpoint_auth_signing_alg: OpenID Connect dynamic registration, section 2. */
    if (request->client->signing_alg != NULL &&
        !hs_span_equal_str(hs_span_buf(&request->alg), request->client->signing_alg))
        return refuse_rule(exchange, "L04", "the client is registered for another algorithm", &request->report, err);
    if (!request->has_jwks)
        return refuse_rule(exchange, "L32", request->jwks_err.text, &request->report, err);
    if (!token_request_is_verified(request))
        return refuse_rule(exchange, "L30", "the signature could not be verified", &request->report, err);
    code = remember_jti(exchange->sandbox, request, &is_new, err);
    if (code != HSMART_OK)
        return code;
    if (!is_new && (replay == NULL || replay->stance != HS_TAKES || exchange->sandbox->settings->strict))
        return refuse_rule(exchange, "L27", "the jti was used before", &request->report, err);
    *out_answered = false;
    return HSMART_OK;
}

static enum hsmart_code
decide_secret(struct exchange *exchange, struct token_request *request, bool *out_answered, hsmart_err *err)
{
    bool is_raw = false;

    *out_answered = true;
    if (request->basic.len == 0 && field_get(&request->form, "client_secret") == NULL)
        return refuse_client(exchange, &request->report, err, "there is no client authentication in the request");
    if (request->client == NULL)
        return refuse_client(exchange, &request->report, err, "no client of this id is registered here");
    if (!token_request_has_secret(exchange, request, &is_raw))
        return refuse_client(exchange, &request->report, err,
                             is_raw ? "id and secret are right, but form-encoded (RFC 6749 section 2.3.1) where this "
                                      "server compares them raw, or the other way round"
                                    : "the secret, or the method by which it was sent, is not the registered one");
    *out_answered = false;
    return HSMART_OK;
}

enum hsmart_code
serve_access_token(struct exchange *exchange, hsmart_err *err)
{
    struct token_request request = {0};
    bool answered = false;
    const struct hs_finding *finding;
    enum hsmart_code code = token_request_read(exchange, &request, err);

    if (code == HSMART_OK)
        code = token_request_check(exchange, &request, err);
    if (code != HSMART_OK)
        goto out;
    token_request_observe(exchange, &request);
    finding = family_first_finding(family_of(server_name(exchange)), &request.report);
    if (finding != NULL) {
        code = refuse_rule(exchange, finding->rule->code, finding->text, &request.report, err);
        goto out;
    }
    code = request.assertion.len > 0 ? decide_assertion(exchange, &request, &answered, err)
                                     : decide_secret(exchange, &request, &answered, err);
    if (code == HSMART_OK && !answered)
        code = family_of(server_name(exchange))->unregistered && !exchange->sandbox->settings->strict
                   ? answer_oauth_error(exchange, 400, "unauthorized_client", err,
                                        "client_credentials is advertised, but not enabled for this client")
                   : grant(exchange, &request, err);
out:
    token_request_clear(&request);
    return code;
}
