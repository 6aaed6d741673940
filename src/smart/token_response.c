#include "token_response.h"

#include <strings.h>

#include "err.h"
#include "json.h"
#include "oauth_error.h"
#include "scope.h"

#define VALUE_MAX_LEN (60U << 10) /* with "Bearer " before it still a header's value, of which net/ takes 64 KiB */

void
hs_access_token_clear(struct hs_access_token *access_token)
{
    hs_buf_clear(&access_token->value);
    hs_buf_clear(&access_token->refresh_token);
    hs_string_free(access_token->scope);
    *access_token = (struct hs_access_token){0};
}

enum hsmart_code
hs_access_token_dup(const struct hs_access_token *access_token, struct hs_access_token *out_copy, hsmart_err *err)
{
    struct hs_access_token copy = {.sent_at_s = access_token->sent_at_s, .expires_at_s = access_token->expires_at_s};
    enum hsmart_code code = hs_buf_append(&copy.value, hs_span_buf(&access_token->value), err);

    if (code == HSMART_OK)
        code = hs_buf_append(&copy.refresh_token, hs_span_buf(&access_token->refresh_token), err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(access_token->scope, &copy.scope, err);
    if (code != HSMART_OK) {
        hs_access_token_clear(&copy);
        return code;
    }
    hs_access_token_clear(out_copy);
    *out_copy = copy;
    return HSMART_OK;
}

int64_t
hs_access_token_remaining_s(const struct hs_access_token *access_token, int64_t now_s)
{
    if (access_token->value.len == 0 || now_s < access_token->sent_at_s)
        return 0;
    return access_token->expires_at_s - now_s;
}

/* RFC 6750 section 2.1: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=" */
static bool
is_b64token_character(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '-' && c <= '9') /* - . / and the digits */ ||
           c == '_' || c == '~' || c == '+';
}

bool
hs_is_b64token(struct hs_span text)
{
    size_t len = 0;

    while (len < text.len && is_b64token_character(text.data[len]))
        len++;
    if (len == 0)
        return false;
    while (len < text.len && text.data[len] == '=')
        len++;
    return len == text.len;
}

/* ---- expires_in ---- */

static int64_t
read_life_s(const hs_json_value *value, const struct hs_log *log)
{
    int64_t told_s = 0, life_s;

    if (!hs_json_loose_number(value, HS_ACCESS_TOKEN_LIFE_MAX_S, &told_s)) {
        hs_log_warning(log,
                       "the server does not say how long the access token lives (expires_in is %s): %d s are assumed",
                       hs_json_type_words(value), HS_ACCESS_TOKEN_LIFE_DEFAULT_S);
        return HS_ACCESS_TOKEN_LIFE_DEFAULT_S;
    }
    /* A short life is a server's right, and kept; one of nothing is not. */
    life_s = told_s <= 0 ? HS_ACCESS_TOKEN_LIFE_MIN_S : told_s;
    if (life_s > HS_ACCESS_TOKEN_LIFE_MAX_S)
        life_s = HS_ACCESS_TOKEN_LIFE_MAX_S;
    if (life_s != told_s)
        hs_log_warning(log, "the server's expires_in makes no sense: the access token is taken to live %lld s",
                       (long long)life_s);
    return life_s;
}

/* ---- The members ---- */

static enum hsmart_code
check_type(const hs_json_value *value, const struct hs_log *log, hsmart_err *err)
{
    const char *type = hs_json_text(value);

    if (hs_json_type_of(value) == HS_JSON_ABSENT) {
        hs_log_warning(log, "the server does not say the type of the access token: Bearer is assumed");
        return HSMART_OK;
    }
    if (type != NULL && strcasecmp(type, "bearer") == 0) /* RFC 6749 section 5.1: in any case */
        return HSMART_OK;
    return hs_err_set(err, HSMART_SERVER_FAILED, "the access token is of type \"%.40s\", and only Bearer can be used",
                      type != NULL ? type : hs_json_type_words(value));
}

static enum hsmart_code
read_value(const hs_json_value *value, struct hs_buf *out, hsmart_err *err)
{
    struct hs_span text = hs_json_string(value);

    if (text.len == 0)
        return hs_err_set(err, HSMART_SERVER_FAILED, "there is no access token in the answer (access_token is %s)",
                          hs_json_type_of(value) == HS_JSON_STRING ? "empty" : hs_json_type_words(value));
    if (!hs_is_b64token(text))
        return hs_err_set(err, HSMART_SERVER_FAILED,
                          "the access token has characters that must not stand in a header (RFC 6750 section 2.1)");
    if (text.len > VALUE_MAX_LEN)
        return hs_err_set(err, HSMART_SERVER_FAILED, "the access token has %zu bytes, and %u at most can be sent",
                          text.len, VALUE_MAX_LEN);
    return hs_buf_append(out, text, err);
}

static enum hsmart_code
read_scope(const hs_json_value *value, const char *requested, const struct hs_log *log, char **out_scope,
           hsmart_err *err)
{
    struct hs_buf lost = {0};
    const char *granted = hs_json_text(value);
    enum hsmart_code code = hs_scope_lost(requested, granted, &lost, err);

    if (code == HSMART_OK && lost.len > 0)
        hs_log_warning(log, "the server did not grant all that was asked for; missing: %s", hs_buf_text(&lost));
    if (code == HSMART_OK)
        code = hs_strdup_or_null(granted != NULL ? granted : requested, out_scope, err);
    hs_buf_clear(&lost);
    return code;
}

enum hsmart_code
hs_token_response_parse(const struct hs_http_response *response, const char *requested_scope, const struct hs_log *log,
                        struct hs_access_token *out_access_token, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_json_doc doc = {0};
    struct hs_access_token access_token = {0};

    code = hs_answer_is_page(response) ? hs_answer_tell_page(response, err)
                                       : hs_json_parse(hs_span_buf(&response->body), &doc, err);
    if (code != HSMART_OK) {
        code =
            code == HSMART_NO_MEMORY ? code : hs_err_wrap(err, HSMART_SERVER_FAILED, "the answer is no token response");
        goto out;
    }
    if (hs_json_type_of(doc.root) != HS_JSON_OBJECT) {
        code = hs_err_set(err, HSMART_SERVER_FAILED, "the answer is no token response: it is %s, not an object",
                          hs_json_type_words(doc.root));
        goto out;
    }
    code = read_value(hs_json_member(doc.root, "access_token"), &access_token.value, err);
    if (code == HSMART_OK)
        code = check_type(hs_json_member(doc.root, "token_type"), log, err);
    if (code == HSMART_OK)
        code =
            hs_buf_append(&access_token.refresh_token, hs_json_string(hs_json_member(doc.root, "refresh_token")), err);
    if (code == HSMART_OK)
        code = read_scope(hs_json_member(doc.root, "scope"), requested_scope, log, &access_token.scope, err);
    if (code != HSMART_OK)
        goto out;
    access_token.sent_at_s = response->sent_at_s;
    access_token.expires_at_s = response->sent_at_s + read_life_s(hs_json_member(doc.root, "expires_in"), log);
    hs_access_token_clear(out_access_token);
    *out_access_token = access_token;
    access_token = (struct hs_access_token){0};
out:
    hs_access_token_clear(&access_token);
    hs_json_wipe(hs_json_member(doc.root, "access_token"));
    hs_json_wipe(hs_json_member(doc.root, "refresh_token"));
    hs_json_doc_clear(&doc);
    return code;
}
