#include "oauth_error.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "err.h"
#include "json.h"
#include "operation_outcome.h"
#include "text.h"

#define SECRET_LEN 64U /* a longer run of token characters may be one, and is not repeated */
#define SECRET_SHOWN_LEN 8U
#define TEXT_LOOKED_AT 4096U

/* ---- Causes, and how each is tested ---- */

/* clang-format off */
const struct hs_oauth_cause hs_oauth_causes[] = {
    {"clock",
     "the clock here and the server's differ, so the assertion seems expired or not yet valid",
     "compare `date -u` with the Date header of the server's answer; keep the clock right with NTP",
     "expired|clock|future|issued|iat|nbf|not yet valid|not before"},
    {"aud",
     "the audience is not the string that the server expects, down to the last character",
     "compare the aud in `hsmart assertion` with the token endpoint in the server's documentation; set `audience`",
     "aud|audience"},
    {"kid",
     "the key id is not in the JWKS that the server has: not registered, or an older copy in its cache",
     "fetch the registered JWKS URL and look for the kid; after a rotation wait until the server has read it again",
     "kid|key id|jwks|jwk|key set|public key|no key|key not found|keys"},
    {"client-id",
     "the client id is not the registered one, or belongs to another environment of the server",
     "compare the client id with the one that the server gave out, and the server's environment (sandbox, production)",
     "client_id|client id|unknown client|client not found|iss|sub|issuer|subject"},
    {"key",
     "the key or the algorithm is not the registered one, so the signature does not verify",
     "check an assertion with the registered JWKS: hsmart check assertion --jwks FILE",
     "signature|verify|verification|alg|algorithm|rs384|es384"},
    {"lifetime",
     "the assertion lives longer than the server allows",
     "set a shorter assertion-lifetime, e.g. 60",
     "exp|expiration|lifetime|too long|five minutes|5 minutes"},
    {"jti",
     "the server has seen the assertion before",
     "look for a proxy or load balancer that repeats requests: hsmart makes a new assertion for each",
     "jti|replay|reuse|unique"},
    {"secret",
     "the client secret is wrong, was replaced, or has expired",
     "compare the end of the secret and its date with the server's registration",
     "secret|password|credentials"},
    {"basic",
     "the server wants HTTP Basic in the other encoding",
     "set `raw-basic = true` for this client (false where it is raw already) and try again",
     "basic|authorization header"},
    {"method",
     "the client is registered with another authentication method",
     "look at token_endpoint_auth_method in the registration",
     "authentication method|auth method|private_key_jwt"},
    {"scope",
     "a scope is unknown to the server, or not granted to this client",
     "ask for one of the registered scopes alone, then add the others one by one",
     "scope|scopes"},
    {"enabled",
     "client_credentials is not enabled for this client, though the server may advertise it",
     "ask the server's operator to enable backend (system) access for this client id",
     "not enabled|not allowed|not permitted"},
    {"grant",
     "the server knows no client_credentials grant at this URL",
     "look at grant_types_supported: hsmart discover",
     "grant_type|grant type"},
    {"endpoint",
     "the URL is not the one of the token endpoint",
     "compare it with the token_endpoint that `hsmart discover` shows",
     "not found|no such|method not allowed|moved"},
    {"initial-token",
     "the server wants an initial access token for registration, or another one",
     "ask the server's operator for an initial access token",
     "initial access token|bearer"},
    {"metadata",
     "the server does not take one of the values that are registered",
     "leave out what is optional, and register again",
     "metadata|redirect_uri|jwks_uri"},
    {"statement",
     "the server wants an approved software statement",
     "ask the server's operator for one",
     "software statement|software_statement"},
    {"rate",
     "the server limits how often access tokens are asked for",
     "let the cached access token be used, and do not run many hosts with one client id",
     "rate|limit|too many|throttl"},
    {"server",
     "the server has a fault of its own",
     "try again later; show this message to the server's operator",
     "internal|unavailable|maintenance|timeout"},
};
/* clang-format on */
const size_t hs_oauth_cause_count = HS_ARRAY_LEN(hs_oauth_causes);

/* ---- Which answer points to which causes: the first row that fits ---- */

#define SECRET_METHODS (HS_AUTH_SECRET_BASIC | HS_AUTH_SECRET_POST)
#define CLIENT_METHODS (SECRET_METHODS | HS_AUTH_PRIVATE_KEY_JWT)
#define ANY_METHOD 0xffU /* without client authentication, too */
#define BY_ASSERTION "clock aud kid client-id key"

static const struct {
    const char *error; /* NULL: any */
    int from, to;      /* status */
    unsigned methods;
    const char *causes; /* likeliest first */
} answers[] = {
    {NULL, 429, 429, ANY_METHOD, "rate"},
    {NULL, 500, 599, ANY_METHOD, "server"},
    {NULL, 300, 399, ANY_METHOD, "endpoint"},
    {"invalid_scope", 0, 499, CLIENT_METHODS, "scope enabled"},
    {"unauthorized_client", 0, 499, CLIENT_METHODS, "enabled client-id scope"},
    {"unsupported_grant_type", 0, 499, CLIENT_METHODS, "grant enabled endpoint"},
    {"unapproved_software_statement", 0, 499, ANY_METHOD, "statement"},
    {"invalid_software_statement", 0, 499, ANY_METHOD, "statement"},
    {"invalid_client_metadata", 0, 499, ANY_METHOD, "metadata"},
    {"invalid_redirect_uri", 0, 499, ANY_METHOD, "metadata"},
    /* Servers answer a bad assertion with any of these three. */
    {"invalid_client", 0, 499, HS_AUTH_PRIVATE_KEY_JWT, BY_ASSERTION " lifetime jti method"},
    {"invalid_grant", 0, 499, HS_AUTH_PRIVATE_KEY_JWT, BY_ASSERTION " lifetime jti scope"},
    {"invalid_request", 0, 499, HS_AUTH_PRIVATE_KEY_JWT, BY_ASSERTION " lifetime jti scope"},
    {NULL, 404, 405, ANY_METHOD, "endpoint"},
    {NULL, 410, 410, ANY_METHOD, "endpoint"},
    {NULL, 400, 499, HS_AUTH_PRIVATE_KEY_JWT, BY_ASSERTION " scope enabled"},
    {NULL, 400, 499, SECRET_METHODS, "client-id secret basic method scope enabled"},
    {NULL, 401, 403, ANY_METHOD, "initial-token"},
    {NULL, 400, 499, ANY_METHOD, "metadata"},
    {NULL, 0, 299, ANY_METHOD, "endpoint server"},
};

static const struct hs_oauth_cause *
cause_by_name(const char *name, size_t len)
{
    for (size_t i = 0; i < hs_oauth_cause_count; i++)
        if (strlen(hs_oauth_causes[i].name) == len && memcmp(hs_oauth_causes[i].name, name, len) == 0)
            return &hs_oauth_causes[i];
    return NULL;
}

static const char *
causes_of(const struct hs_oauth_error *error, enum hs_auth_method method)
{
    /* Without client authentication only the rows for any method fit. */
    unsigned bit = method != 0 ? (unsigned)method : 0x80U;

    for (size_t i = 0; i < HS_ARRAY_LEN(answers); i++)
        if (error->status >= answers[i].from && error->status <= answers[i].to && (answers[i].methods & bit) != 0 &&
            (answers[i].error == NULL || strcmp(answers[i].error, error->error) == 0))
            return answers[i].causes;
    return "server";
}

/* Whether `text` has the `len` characters of `word`, in any case, as a word of its own. */
static bool
has_clue(const char *text, const char *word, size_t len)
{
    for (const char *at = text; *at != 0; at++) {
        bool starts = at == text || !isalnum((unsigned char)at[-1]);
        if (starts && strncasecmp(at, word, len) == 0 && !isalnum((unsigned char)at[len]))
            return true;
    }
    return false;
}

static bool
is_pointed_to(const struct hs_oauth_cause *cause, const char *text)
{
    for (const char *clue = cause->clues; *clue != 0;) {
        size_t len = strcspn(clue, "|");
        if (has_clue(text, clue, len))
            return true;
        clue += len + (clue[len] == '|');
    }
    return false;
}

/* A difference of the clocks that was measured comes first, what the server's own words point to next. A clock that the
 * Date header shows to be right is not suspected, unless those words do: another machine may have judged. */
static void
order_causes(const char *names, struct hs_oauth_error *error)
{
    enum { MEASURED, POINTED_TO, OTHER, RANKS };
    bool skewed = error->knows_skew && (error->skew_s > HS_CLOCK_SKEW_TOLD_S || error->skew_s < -HS_CLOCK_SKEW_TOLD_S);

    for (int rank = MEASURED; rank < RANKS; rank++) {
        for (const char *name = names; *name != 0;) {
            size_t len = strcspn(name, " ");
            const struct hs_oauth_cause *cause = cause_by_name(name, len);
            bool is_clock = strcmp(cause->name, "clock") == 0;
            bool is_named = is_pointed_to(cause, error->description);
            bool skip = is_clock && error->knows_skew && !skewed && !is_named;
            int its_rank = is_clock && skewed ? MEASURED : is_named ? POINTED_TO : OTHER;
            if (!skip && its_rank == rank && error->cause_count < HS_OAUTH_CAUSES_MAX)
                error->causes[error->cause_count++] = cause;
            name += len + (name[len] == ' ');
        }
    }
}

/* ---- Reading the body ---- */

static bool
is_token_character(char c)
{
    return isalnum((unsigned char)c) || (c != 0 && strchr("-._~+/=", c) != NULL);
}

/* A server may repeat what it was sent: an assertion, a secret, an access token. */
static void
hide_secrets(char *text)
{
    char *to = text;

    for (const char *from = text; *from != 0;) {
        size_t len = 0;
        while (is_token_character(from[len]))
            len++;
        size_t shown = len > SECRET_LEN ? SECRET_SHOWN_LEN : len > 0 ? len : 1;
        memmove(to, from, shown);
        to += shown;
        if (len > SECRET_LEN) {
            memcpy(to, "...", 3);
            to += 3;
        }
        from += len > 0 ? len : 1;
    }
    *to = 0;
}

/* Copies `text` with white space drawn together, sanitised and cut. */
static void
put_text(struct hs_span text, char *out, size_t out_len)
{
    char all[TEXT_LOOKED_AT];
    size_t len = 0;

    for (size_t i = 0; i < text.len && len < sizeof all - 1; i++) {
        bool space = text.data[i] == 0 || strchr(" \t\r\n", text.data[i]) != NULL;
        if (!space)
            all[len++] = (char)text.data[i];
        else if (len > 0 && all[len - 1] != ' ')
            all[len++] = ' ';
    }
    while (len > 0 && all[len - 1] == ' ')
        len--;
    all[len] = 0;
    hs_text_sanitize(all);
    hide_secrets(all);
    len = hs_text_cut(all, out_len - 1);
    memcpy(out, all, len);
    out[len] = 0;
    hs_wipe(all, sizeof all);
}

static void
put_first_member(const hs_json_value *object, const char *const *names, size_t count, char *out, size_t out_len)
{
    for (size_t i = 0; i < count; i++) {
        const hs_json_value *value = hs_json_member(object, names[i]);
        if (hs_json_string(value).len > 0) {
            put_text(hs_json_string(value), out, out_len);
            return;
        }
        if (hs_json_type_of(value) == HS_JSON_INTEGER) {
            (void)snprintf(out, out_len, "%lld", (long long)hs_json_integer(value));
            return;
        }
    }
}

/* Where servers that do not speak OAuth put a code and a text. */
static const char *const code_names[] = {"code", "errorCode", "error_code", "status_code", "type"};
static const char *const text_names[] = {
    "message", "detail", "error_description", "errorSummary", "error_message", "description", "reason", "title",
    "msg",     "Message"};

static bool
read_json(struct hs_span body, struct hs_oauth_error *error)
{
    struct hs_json_doc doc = {0};
    const hs_json_value *object;

    if (hs_json_parse(body, &doc, NULL) != HSMART_OK)
        return false;
    object = doc.root;
    error->kind = HS_ANSWER_JSON;
    if (hs_json_string(hs_json_member(object, "error")).len > 0) {
        error->kind = HS_ANSWER_OAUTH;
        put_text(hs_json_string(hs_json_member(object, "error")), error->error, sizeof error->error);
        put_text(hs_json_string(hs_json_member(object, "error_uri")), error->uri, sizeof error->uri);
        put_text(hs_json_string(hs_json_member(object, "error_description")), error->description,
                 sizeof error->description);
    } else if (hs_operation_outcome_line(object, error->description, sizeof error->description)) {
        error->kind = HS_ANSWER_OUTCOME;
        hide_secrets(error->description);
    }
    if (hs_json_type_of(hs_json_member(object, "error")) == HS_JSON_OBJECT)
        object = hs_json_member(object, "error");
    else if (hs_json_length(hs_json_member(object, "errors")) > 0)
        object = hs_json_element(hs_json_member(object, "errors"), 0);
    if (error->kind == HS_ANSWER_JSON)
        put_first_member(object, code_names, HS_ARRAY_LEN(code_names), error->error, sizeof error->error);
    if (error->description[0] == 0)
        put_first_member(object, text_names, HS_ARRAY_LEN(text_names), error->description, sizeof error->description);
    if (error->kind == HS_ANSWER_JSON && error->error[0] == 0 && error->description[0] == 0)
        put_text(body, error->description, sizeof error->description);
    hs_json_doc_clear(&doc);
    return true;
}

/* The position of `tag` ("<title") in any case; NULL when it is not there. */
static const char *
find_tag(const char *text, const char *tag)
{
    for (; *text != 0; text++)
        if (strncasecmp(text, tag, strlen(tag)) == 0)
            return text;
    return NULL;
}

/* The title of a page, else its text without tags. */
static void
read_html(struct hs_span body, struct hs_oauth_error *error)
{
    char page[TEXT_LOOKED_AT];
    size_t len = body.len < sizeof page - 1 ? body.len : sizeof page - 1, to = 0;
    bool in_tag = false;

    error->kind = HS_ANSWER_HTML;
    for (size_t i = 0; i < len; i++)
        page[i] = body.data[i] != 0 ? (char)body.data[i] : ' ';
    page[len] = 0;
    const char *title = find_tag(page, "<title");
    const char *from = title != NULL ? strchr(title, '>') : NULL;
    if (from != NULL) {
        put_text((struct hs_span){(const uint8_t *)from + 1, strcspn(from + 1, "<")}, error->description,
                 sizeof error->description);
        return;
    }
    for (size_t i = 0; i < len; i++) {
        char c = page[i];
        if (c == '<' || c == '>')
            in_tag = c == '<';
        page[to++] = in_tag || c == '>' ? ' ' : c;
    }
    put_text((struct hs_span){(const uint8_t *)page, to}, error->description, sizeof error->description);
}

static struct hs_span
without_white_space(struct hs_span text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.data[0]) != NULL && text.data[0] != 0) {
        text.data++;
        text.len--;
    }
    return text;
}

/* Only where to: the path is not needed to see what is wrong, and the query may hold anything. */
static bool
read_redirect(const struct hs_http_response *response, struct hs_oauth_error *error)
{
    char location[512] = "";
    struct hs_buf origin = {0};
    struct hs_span value = hs_http_header_of(response, "Location");

    if (response->status < 300 || response->status >= 400 || value.len == 0)
        return false;
    if (value.len < sizeof location)
        memcpy(location, value.data, value.len);
    if (hs_http_origin(location, &origin, NULL) == HSMART_OK)
        put_text(hs_span_buf(&origin), error->description, sizeof error->description);
    else
        put_text(hs_span_str("elsewhere"), error->description, sizeof error->description);
    error->kind = HS_ANSWER_REDIRECT;
    hs_buf_clear(&origin);
    return true;
}

static void
read_answer(const struct hs_http_response *response, struct hs_oauth_error *error)
{
    struct hs_span body = hs_span_buf(&response->body), start = without_white_space(body);

    if (read_redirect(response, error))
        return;
    if (start.len == 0) {
        error->kind = HS_ANSWER_EMPTY;
        return;
    }
    if ((start.data[0] == '{' || start.data[0] == '[') && read_json(body, error))
        return;
    if (start.data[0] == '<') {
        read_html(start, error);
        return;
    }
    error->kind = HS_ANSWER_TEXT;
    put_text(start, error->description, sizeof error->description);
}

/* ---- What it means ---- */

static enum hsmart_code
code_of(const struct hs_oauth_error *error)
{
    if (error->status == 429)
        return HSMART_SERVER_BUSY;
    if (error->kind == HS_ANSWER_OAUTH && error->status < 300)
        return HSMART_SERVER_REFUSED;
    if (error->status < 400 || error->status >= 500)
        return HSMART_SERVER_FAILED;
    /* No OAuth there at all: the URL is wrong, not the client. */
    if (error->kind != HS_ANSWER_OAUTH && (error->status == 404 || error->status == 405 || error->status == 410))
        return HSMART_SERVER_FAILED;
    return HSMART_SERVER_REFUSED;
}

void
hs_oauth_error_read(const struct hs_http_response *response, enum hs_auth_method method,
                    struct hs_oauth_error *out_error)
{
    struct hs_oauth_error error = {.status = response->status};

    read_answer(response, &error);
    error.knows_skew = hs_http_clock_skew_s(response, &error.skew_s);
    error.code = code_of(&error);
    order_causes(causes_of(&error, method), &error);
    *out_error = error;
}

/* ---- Telling it ---- */

static const struct {
    enum hs_answer_kind kind;
    const char *words;
} kinds[] = {
    {HS_ANSWER_OAUTH, ""},
    {HS_ANSWER_OUTCOME, ""},
    {HS_ANSWER_JSON, " with JSON"},
    {HS_ANSWER_HTML, " with HTML"},
    {HS_ANSWER_TEXT, ""},
    {HS_ANSWER_EMPTY, " with nothing"},
    {HS_ANSWER_REDIRECT, ", a redirect to"},
};

static const char *
kind_words(enum hs_answer_kind kind)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(kinds); i++)
        if (kinds[i].kind == kind)
            return kinds[i].words;
    return "";
}

/* `401 invalid_client "Unknown kid"`. */
static void
format_answer(const struct hs_oauth_error *error, char *out, size_t out_len)
{
    const char *quote = error->kind == HS_ANSWER_OUTCOME || error->kind == HS_ANSWER_REDIRECT ? "" : "\"";
    int len = snprintf(out, out_len, "%d%s", error->status, kind_words(error->kind));

    if (error->error[0] != 0 && (size_t)len < out_len)
        len += snprintf(out + len, out_len - (size_t)len, " %s", error->error);
    if (error->description[0] != 0 && (size_t)len < out_len)
        (void)snprintf(out + len, out_len - (size_t)len, " %s%s%s", quote, error->description, quote);
    hs_text_sanitize(out);
}

static void
format_causes(const struct hs_oauth_error *error, char *out, size_t out_len)
{
    size_t len = 0;

    for (size_t i = 0; i < error->cause_count && len < out_len; i++)
        len += (size_t)snprintf(out + len, out_len - len, "%s%s", i > 0 ? ", " : "", error->causes[i]->name);
}

static void
format_skew(const struct hs_oauth_error *error, char *out, size_t out_len)
{
    int64_t skew_s = error->skew_s;

    if (!error->knows_skew || (skew_s <= HS_CLOCK_SKEW_TOLD_S && skew_s >= -HS_CLOCK_SKEW_TOLD_S))
        return;
    (void)snprintf(out, out_len, "; our clock is %lld s %s the server's", (long long)(skew_s < 0 ? -skew_s : skew_s),
                   skew_s < 0 ? "ahead of" : "behind");
}

static const char *
verdict_of(enum hsmart_code code)
{
    return code == HSMART_SERVER_REFUSED ? "the server refused the client"
           : code == HSMART_SERVER_BUSY  ? "the server is too busy for the client"
                                         : "the server gave no usable answer to the client";
}

static void
log_causes(const struct hs_oauth_error *error, const struct hs_log *log)
{
    for (size_t i = 0; i < error->cause_count; i++)
        hs_log_detail(log, "likely cause %zu, %s: %s; to test it: %s", i + 1, error->causes[i]->name,
                      error->causes[i]->words, error->causes[i]->test);
    if (error->uri[0] != 0)
        hs_log_detail(log, "the server points to \"%s\"", error->uri);
}

enum hsmart_code
hs_oauth_error_tell(const struct hs_oauth_error *error, const char *client_name, const struct hs_log *log,
                    hsmart_err *err)
{
    char answer[320] = "", causes[160] = "", skew[80] = "";

    format_answer(error, answer, sizeof answer);
    format_causes(error, causes, sizeof causes);
    format_skew(error, skew, sizeof skew);
    log_causes(error, log);
    (void)hs_err_set(err, error->code, "%s%s%.*s%s: %s%s%s%s", verdict_of(error->code),
                     client_name != NULL ? " \"" : "", client_name != NULL ? (int)hs_text_cut(client_name, 40) : 0,
                     client_name != NULL ? client_name : "", client_name != NULL ? "\"" : "", answer, skew,
                     error->cause_count > 1 ? "; look at, in this order: " : "; look at: ", causes);
    if (error->cause_count > 0)
        hs_err_hint(err, "%s: %s", error->causes[0]->name, error->causes[0]->test);
    return error->code;
}

void
hs_answer_excerpt(const struct hs_http_response *response, char *out, size_t out_len)
{
    struct hs_oauth_error error = {.status = response->status};

    read_answer(response, &error);
    format_answer(&error, out, out_len);
}

bool
hs_answer_is_page(const struct hs_http_response *response)
{
    struct hs_span start = without_white_space(hs_span_buf(&response->body));

    return start.len > 0 && start.data[0] == '<';
}

enum hsmart_code
hs_answer_tell_page(const struct hs_http_response *response, hsmart_err *err)
{
    char excerpt[320];

    hs_answer_excerpt(response, excerpt, sizeof excerpt);
    (void)hs_err_set(err, HSMART_SERVER_FAILED, "the server answered %s", excerpt);
    hs_err_hint(err, "check the URL, and that no login page or proxy stands before the server");
    return HSMART_SERVER_FAILED;
}
