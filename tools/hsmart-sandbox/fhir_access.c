#include "fhir_access.h"

#include <string.h>
#include <strings.h>

#include "err.h"
#include "scopes.h"

/* ---- Who may ---- */

static enum hsmart_code
challenge(struct exchange *exchange, const char *challenge_text, const char *issue, const char *text, hsmart_err *err)
{
    enum hsmart_code code = answer_outcome(exchange, 401, issue, err, "%s", text);

    return code == HSMART_OK ? answer_header(&exchange->answer, err, "WWW-Authenticate", "%s", challenge_text) : code;
}

/* Finds what the access token stands for; else answers 401 as RFC 6750 section 3 has it, and leaves `*out_scope` empty.
 * The scope is copied: the grant may go as soon as the lock does. */
static enum hsmart_code
find_grant(struct exchange *exchange, struct hs_buf *out_scope, hsmart_err *err)
{
    struct sandbox *sandbox = exchange->sandbox;
    const struct hs_span *header = header_get(&exchange->request->headers, "Authorization");
    size_t scheme_len = strlen("Bearer ");
    struct digest digest;
    void *value = NULL;
    bool expired = false;
    enum hsmart_code code;

    if (header == NULL || header->len <= scheme_len || memcmp(header->data, "Bearer ", scheme_len) != 0)
        return challenge(exchange, "Bearer realm=\"hsmart-sandbox\"", "login", "an access token is needed", err);
    code = digest_of(hs_span_str("access token"), (struct hs_span){header->data + scheme_len, header->len - scheme_len},
                     &digest, err);
    if (code != HSMART_OK)
        return code;
    (void)pthread_mutex_lock(&sandbox->lock);
    if (expiring_find(&sandbox->access_tokens, &digest, sandbox_now_s(sandbox), &value, &expired))
        code = hs_buf_append_str(out_scope, ((const struct grant *)value)->scope, err);
    (void)pthread_mutex_unlock(&sandbox->lock);
    exchange->observation.verdicts[INFERNO_TOKEN_USED] = out_scope->len > 0 ? INFERNO_GOOD : INFERNO_NOT_SEEN;
    if (code != HSMART_OK || out_scope->len > 0)
        return code;
    return expired ? challenge(exchange,
                               "Bearer realm=\"hsmart-sandbox\", error=\"invalid_token\", "
                               "error_description=\"the access token has expired\"",
                               "expired", "the access token has expired", err)
                   : challenge(exchange, "Bearer realm=\"hsmart-sandbox\", error=\"invalid_token\"", "login",
                               "the access token is not known here", err);
}

/* FHIR's names of resources are letters; what else stands there must not get into a header. */
static bool
is_type_name(const char *type)
{
    return type[strspn(type, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")] == 0;
}

/* `*out_allowed` false: it was answered. */
enum hsmart_code
fhir_authorize(struct exchange *exchange, const char *type, char permission, bool *out_allowed, hsmart_err *err)
{
    struct hs_buf scope = {0};
    enum hsmart_code code = find_grant(exchange, &scope, err);

    *out_allowed = code == HSMART_OK && scope.len > 0 && scope_allows(hs_buf_text(&scope), type, permission);
    if (code == HSMART_OK && scope.len > 0 && !is_type_name(type)) {
        *out_allowed = false;
        code = answer_outcome(exchange, 404, "not-found", err, "there is no such type");
    } else if (code == HSMART_OK && scope.len > 0 && !*out_allowed) {
        code = answer_outcome(exchange, 403, "forbidden", err, "the scope \"%s\" does not allow to %s %s",
                              hs_buf_text(&scope), permission == 's' ? "search for" : "read", type);
        if (code == HSMART_OK)
            code =
                answer_header(&exchange->answer, err, "WWW-Authenticate",
                              "Bearer realm=\"hsmart-sandbox\", error=\"insufficient_scope\", scope=\"system/%s.%c\"",
                              type, permission);
    }
    hs_buf_clear(&scope);
    return code;
}

/* ---- What may be asked for ---- */

/* Names of media types are the same in every case (RFC 9110 section 8.3.1). */
static bool
is_json_type(struct hs_span type)
{
    static const char *const good[] = {"application/fhir+json", "application/json", "application/*", "*/*", "json",
                                       "application/json+fhir"};

    while (type.len > 0 && (type.data[0] == ' ' || type.data[0] == '\t')) {
        type.data++;
        type.len--;
    }
    for (size_t i = 0; i < HS_ARRAY_LEN(good); i++) {
        size_t len = strlen(good[i]);
        if (type.len >= len && strncasecmp((const char *)type.data, good[i], len) == 0 &&
            (type.len == len || type.data[len] == ';' || type.data[len] == ' '))
            return true;
    }
    return false;
}

/* One of the types in Accept is ours; `_format` beats it. */
static bool
accepts_json(const struct request *request)
{
    const struct hs_span *format = field_get(&request->query, "_format");
    const struct hs_span *accept = header_get(&request->headers, "Accept");

    if (format != NULL)
        return is_json_type(*format);
    if (accept == NULL || accept->len == 0)
        return true;
    struct hs_span rest = *accept;
    while (rest.len > 0) {
        const uint8_t *comma = memchr(rest.data, ',', rest.len);
        size_t len = comma != NULL ? (size_t)(comma - rest.data) : rest.len;
        if (is_json_type((struct hs_span){rest.data, len}))
            return true;
        rest.data += len + (comma != NULL);
        rest.len -= len + (comma != NULL);
    }
    return false;
}

enum hsmart_code
fhir_check_format(struct exchange *exchange, bool *out_good, hsmart_err *err)
{
    *out_good = accepts_json(exchange->request);
    return *out_good ? HSMART_OK
                     : answer_outcome(exchange, 406, "not-supported", err, "only %s is spoken here", FHIR_JSON);
}
