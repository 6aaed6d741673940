#include "discovery.h"

#include <stdio.h>
#include <strings.h>

#include "client_auth.h"
#include "err.h"
#include "json.h"
#include "oauth_error.h"
#include "text.h"

#define WELL_KNOWN ".well-known/smart-configuration"
#define URL_MAX_LEN 8192U

/* ---- The members that are read ---- */

static const struct url_member {
    const char *name;
    size_t offset;
} url_members[] = {
    {"token_endpoint", offsetof(struct hs_discovery, token_endpoint)},
    {"jwks_uri", offsetof(struct hs_discovery, jwks_uri)},
    {"authorization_endpoint", offsetof(struct hs_discovery, authorization_endpoint)},
    {"registration_endpoint", offsetof(struct hs_discovery, registration_endpoint)},
    {"introspection_endpoint", offsetof(struct hs_discovery, introspection_endpoint)},
    {"revocation_endpoint", offsetof(struct hs_discovery, revocation_endpoint)},
    {"management_endpoint", offsetof(struct hs_discovery, management_endpoint)},
};

static const struct list_member {
    const char *name;
    size_t offset;
} list_members[] = {
    {"capabilities", offsetof(struct hs_discovery, capabilities)},
    {"grant_types_supported", offsetof(struct hs_discovery, grant_types)},
    {"token_endpoint_auth_methods_supported", offsetof(struct hs_discovery, auth_methods)},
    {"token_endpoint_auth_signing_alg_values_supported", offsetof(struct hs_discovery, signing_algs)},
    {"scopes_supported", offsetof(struct hs_discovery, scopes)},
    {"code_challenge_methods_supported", offsetof(struct hs_discovery, code_challenge_methods)},
};

static char **
text_at(struct hs_discovery *discovery, size_t offset)
{
    return (char **)(void *)((char *)discovery + offset);
}

static struct hs_text_list *
list_at(struct hs_discovery *discovery, size_t offset)
{
    return (struct hs_text_list *)(void *)((char *)discovery + offset);
}

void
hs_discovery_clear(struct hs_discovery *discovery)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(url_members); i++)
        hs_string_free(*text_at(discovery, url_members[i].offset));
    for (size_t i = 0; i < HS_ARRAY_LEN(list_members); i++)
        hs_text_list_clear(list_at(discovery, list_members[i].offset));
    hs_text_list_clear(&discovery->warnings);
    hs_string_free(discovery->url);
    hs_string_free(discovery->issuer);
    hs_buf_clear(&discovery->document);
    *discovery = (struct hs_discovery){0};
}

/* ---- URLs ---- */

static bool
has_prefix(const char *text, const char *prefix)
{
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* Printable ASCII without spaces, and not absurdly long: what may be posted to, signed and told. */
static bool
is_url_text(const char *url)
{
    size_t len = strlen(url);

    for (size_t i = 0; i < len; i++)
        if (url[i] <= 0x20 || url[i] >= 0x7f)
            return false;
    return len <= URL_MAX_LEN;
}

/* Whether the host is this one, by its name: whether http may really go there is for the exchange to decide. */
static bool
is_loopback(const char *authority)
{
    static const char *const hosts[] = {"localhost", "127.", "[::1]"};

    for (size_t i = 0; i < HS_ARRAY_LEN(hosts); i++)
        if (has_prefix(authority, hosts[i]))
            return true;
    return false;
}

/* A URL as it may be told: what stands before the host can be a password. */
struct told_url {
    char text[240];
};

static struct told_url
told(const char *url)
{
    struct told_url told = {0};
    const char *scheme_end = strstr(url, "://");
    const char *authority = scheme_end != NULL ? scheme_end + 3 : url;
    const char *at = NULL;

    for (const char *c = authority; *c != 0 && strchr("/?#", *c) == NULL; c++)
        at = *c == '@' ? c : at;
    if (at == NULL)
        (void)snprintf(told.text, sizeof told.text, "%.*s", (int)hs_text_cut(url, 200), url);
    else
        (void)snprintf(told.text, sizeof told.text, "%.*s…%.*s", (int)(authority - url < 20 ? authority - url : 20),
                       url, (int)hs_text_cut(at, 180), at);
    return told;
}

/* Why `url` is no absolute URL that a client can use, or NULL. */
static const char *
objection_to_url(const char *url)
{
    const char *scheme_end = strstr(url, "://");
    const char *authority = scheme_end != NULL ? scheme_end + 3 : "";
    size_t authority_len = strcspn(authority, "/?#");

    if (!is_url_text(url))
        return "it has characters that no URL has, or is too long";
    if (!has_prefix(url, "https://") && !(has_prefix(url, "http://") && is_loopback(authority)))
        return "it does not start with https://";
    if (authority_len == 0)
        return "it has no host";
    if (memchr(authority, '@', authority_len) != NULL)
        return "it has a user name in it";
    if (strchr(url, '#') != NULL)
        return "it has a fragment";
    return NULL;
}

enum hsmart_code
hs_token_endpoint_check(const char *url, hsmart_err *err)
{
    const char *objection = objection_to_url(url);

    if (objection == NULL)
        return HSMART_OK;
    return hs_err_set(err, HSMART_SERVER_FAILED, "the token endpoint \"%s\" cannot be used: %s", told(url).text,
                      objection);
}

/* The base as a directory: with one slash at its end. */
static enum hsmart_code
directory_of(const char *fhir_base, struct hs_buf *out, hsmart_err *err)
{
    size_t len = strlen(fhir_base);
    enum hsmart_code code;

    while (len > 0 && fhir_base[len - 1] == '/')
        len--;
    code = hs_buf_append(out, (struct hs_span){(const uint8_t *)fhir_base, len}, err);
    return code == HSMART_OK ? hs_buf_append_str(out, "/", err) : code;
}

enum hsmart_code
hs_discovery_url(const char *fhir_base, struct hs_buf *out_url, hsmart_err *err)
{
    struct hs_buf url = {0};
    enum hsmart_code code;
    const char *objection = objection_to_url(fhir_base);

    if (objection == NULL && strchr(fhir_base, '?') != NULL)
        objection = "it has a query";
    if (objection != NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the FHIR base \"%s\" cannot be used: %s", told(fhir_base).text,
                          objection);
    code = directory_of(fhir_base, &url, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(&url, WELL_KNOWN, err);
    if (code == HSMART_OK)
        hs_buf_move(&url, out_url);
    hs_buf_clear(&url);
    return code;
}

enum hsmart_code
hs_discovery_check_pin(const char *token_endpoint, const char *pin, hsmart_err *err)
{
    struct hs_buf origin = {0};

    if (pin == NULL || strcmp(token_endpoint, pin) == 0)
        return HSMART_OK;
    const char *authority = strstr(pin, "://");
    const char *path = authority != NULL ? strchr(authority + 3, '/') : NULL;
    enum hsmart_code code =
        path == NULL || path[1] == 0 ? hs_http_check_same_origin(token_endpoint, pin, err) : HSMART_POLICY_REFUSED;
    if (code != HSMART_POLICY_REFUSED)
        return code;
    (void)!hs_http_origin(token_endpoint, &origin, NULL);
    (void)hs_err_set(err, HSMART_POLICY_REFUSED,
                     "the server names a token endpoint at \"%.150s\", but it is pinned to \"%.150s\"",
                     hs_buf_text(&origin), pin);
    hs_err_hint(err,
                "find out why it moved before you change the pin: whoever controls the FHIR base must not choose where "
                "assertions go");
    hs_buf_clear(&origin);
    return HSMART_POLICY_REFUSED;
}

/* ---- Reading ---- */

static enum hsmart_code
warn_type(struct hs_discovery *discovery, const char *name, const hs_json_value *value, const char *wanted,
          hsmart_err *err)
{
    return hs_text_list_add_format(&discovery->warnings, err, "\"%s\" is %s, not %s: ignored", name,
                                   hs_json_type_words(value), wanted);
}

static enum hsmart_code
read_url(const hs_json_value *value, const char *name, const char *directory, struct hs_discovery *discovery,
         char **out_url, hsmart_err *err)
{
    struct hs_buf url = {0};
    const char *text = hs_json_text(value);
    enum hsmart_code code = HSMART_OK;

    if (hs_json_type_of(value) == HS_JSON_ABSENT || hs_json_type_of(value) == HS_JSON_NULL)
        return HSMART_OK;
    if (text == NULL || text[0] == 0)
        return warn_type(discovery, name, value, "a URL", err);
    if (strstr(text, "://") != NULL)
        return hs_strdup(text, out_url, err);
    code = hs_http_resolve(directory, text, &url, err);
    if (code != HSMART_OK) {
        hs_buf_clear(&url);
        return code == HSMART_NO_MEMORY ? code : warn_type(discovery, name, value, "a URL that can be resolved", err);
    }
    code = hs_text_list_add_format(&discovery->warnings, err, "\"%s\" is relative (\"%.100s\"): taken as \"%.200s\"",
                                   name, text, hs_buf_text(&url));
    if (code == HSMART_OK)
        code = hs_buf_take_text(&url, out_url, err);
    hs_buf_clear(&url);
    return code;
}

static enum hsmart_code
read_list(const hs_json_value *value, const char *name, struct hs_discovery *discovery, struct hs_text_list *out_list,
          hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    if (hs_json_type_of(value) == HS_JSON_ABSENT || hs_json_type_of(value) == HS_JSON_NULL)
        return HSMART_OK;
    if (hs_json_type_of(value) != HS_JSON_ARRAY)
        return warn_type(discovery, name, value, "an array", err);
    for (size_t i = 0; i < hs_json_length(value) && code == HSMART_OK; i++) {
        const char *text = hs_json_text(hs_json_element(value, i));
        if (text != NULL)
            code = hs_text_list_add(out_list, text, err);
    }
    return code;
}

static enum hsmart_code
read_members(const hs_json_value *root, const char *directory, struct hs_discovery *discovery, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < HS_ARRAY_LEN(url_members) && code == HSMART_OK; i++)
        code = read_url(hs_json_member(root, url_members[i].name), url_members[i].name, directory, discovery,
                        text_at(discovery, url_members[i].offset), err);
    for (size_t i = 0; i < HS_ARRAY_LEN(list_members) && code == HSMART_OK; i++)
        code = read_list(hs_json_member(root, list_members[i].name), list_members[i].name, discovery,
                         list_at(discovery, list_members[i].offset), err);
    if (code == HSMART_OK) /* any text: it need not be on the host of the FHIR base */
        code = hs_strdup_or_null(hs_json_text(hs_json_member(root, "issuer")), &discovery->issuer, err);
    return code;
}

/* A base that is reached over TLS leads nowhere without it. */
static enum hsmart_code
check_token_endpoint(const struct hs_discovery *discovery, const char *fhir_base, hsmart_err *err)
{
    enum hsmart_code code;

    if (discovery->token_endpoint == NULL) {
        (void)hs_err_set(err, HSMART_SERVER_FAILED, "the document has no \"token_endpoint\"");
        hs_err_hint(err, "take the token endpoint from the server's documentation and configure it: token-endpoint");
        return HSMART_SERVER_FAILED;
    }
    code = hs_token_endpoint_check(discovery->token_endpoint, err);
    if (code == HSMART_OK && has_prefix(fhir_base, "https://") && !has_prefix(discovery->token_endpoint, "https://"))
        code = hs_err_set(err, HSMART_SERVER_FAILED, "the token endpoint \"%.*s\" cannot be used: it is not https",
                          (int)hs_text_cut(discovery->token_endpoint, 200), discovery->token_endpoint);
    return code;
}

/* Some servers put one before the text; RFC 8259 section 8.1 lets a reader pass over it. */
static struct hs_span
without_byte_order_mark(struct hs_span text)
{
    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0)
        return (struct hs_span){text.data + 3, text.len - 3};
    return text;
}

enum hsmart_code
hs_discovery_parse(const char *fhir_base, struct hs_span text, struct hs_discovery *out_discovery, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_json_doc doc = {0};
    struct hs_buf directory = {0};
    struct hs_discovery discovery = {0};
    struct hs_span json = without_byte_order_mark(text);

    code = hs_json_parse(json, &doc, err);
    if (code != HSMART_OK) {
        code = code == HSMART_NO_MEMORY ? code : hs_err_wrap(err, HSMART_SERVER_FAILED, "the answer cannot be read");
        goto out;
    }
    if (hs_json_type_of(doc.root) != HS_JSON_OBJECT) {
        code = hs_err_set(err, HSMART_SERVER_FAILED, "the answer is %s, not an object", hs_json_type_words(doc.root));
        goto out;
    }
    code = directory_of(fhir_base, &directory, err);
    if (code == HSMART_OK && json.len != text.len)
        code = hs_text_list_add(&discovery.warnings, "the document starts with a byte order mark", err);
    if (code == HSMART_OK)
        code = read_members(doc.root, hs_buf_text(&directory), &discovery, err);
    if (code == HSMART_OK)
        code = check_token_endpoint(&discovery, fhir_base, err);
    if (code == HSMART_OK)
        code = hs_buf_append(&discovery.document, text, err);
    if (code != HSMART_OK)
        goto out;
    hs_discovery_clear(out_discovery);
    *out_discovery = discovery;
    discovery = (struct hs_discovery){0};
out:
    hs_discovery_clear(&discovery);
    hs_buf_clear(&directory);
    hs_json_doc_clear(&doc);
    return code;
}

/* ---- Fetching ---- */

static enum hsmart_code
tell_answer(const struct hs_http_response *response, hsmart_err *err)
{
    char excerpt[320];

    if (response->status == 200 && !hs_answer_is_page(response))
        return HSMART_OK;
    hs_answer_excerpt(response, excerpt, sizeof excerpt);
    (void)hs_err_set(err, HSMART_SERVER_FAILED, "the server answered %s", excerpt);
    if (response->status == 200)
        hs_err_hint(err, "check the FHIR base, and that no login page or proxy stands before the server");
    if (response->status == 429)
        hs_err_hint(err, "try again later: the server limits how often it is asked");
    else if (response->status >= 300 && response->status < 500)
        hs_err_hint(err, "check the FHIR base: the document is at FHIR-BASE/" WELL_KNOWN ", after the whole path");
    return HSMART_SERVER_FAILED;
}

static enum hsmart_code
warn_about_media_type(const struct hs_http_response *response, struct hs_discovery *discovery, hsmart_err *err)
{
    struct hs_span type = hs_http_header_of(response, "Content-Type");
    static const char json[] = "application/json";
    size_t len = sizeof json - 1;

    if (type.len >= len && strncasecmp((const char *)type.data, json, len) == 0 &&
        (type.len == len || type.data[len] == ';' || type.data[len] == ' '))
        return HSMART_OK;
    return hs_text_list_add_format(&discovery->warnings, err,
                                   "the document is served as \"%.*s\", not as application/json",
                                   (int)(type.len < 100 ? type.len : 100), type.len > 0 ? (const char *)type.data : "");
}

static void
set_life(const struct hs_http_response *response, struct hs_discovery *discovery)
{
    int64_t life_s = hs_http_cache_life_s(response);

    if (life_s < 0)
        life_s = HS_DISCOVERY_LIFE_DEFAULT_S;
    if (life_s > HS_DISCOVERY_LIFE_MAX_S)
        life_s = HS_DISCOVERY_LIFE_MAX_S;
    discovery->read_at_s = response->received_at_s;
    discovery->expires_at_s = response->received_at_s + life_s;
}

enum hsmart_code
hs_discovery_fetch(const struct hs_link *link, const char *fhir_base, struct hs_discovery *out_discovery,
                   hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf url = {0};
    struct hs_http_response response = {0};
    struct hs_discovery discovery = {0};

    code = hs_discovery_url(fhir_base, &url, err);
    if (code != HSMART_OK)
        goto out;
    struct hs_http_request request = {
        .method = "GET",
        .url = hs_buf_text(&url),
        .headers = {{"Accept", "application/json"}},
        .max_response_len = HS_DISCOVERY_MAX_LEN,
    };
    code = hs_retry_request(&link->retry, link, "discovery", &request, &response, err);
    if (code == HSMART_OK)
        code = tell_answer(&response, err);
    if (code == HSMART_OK)
        code = hs_discovery_parse(fhir_base, hs_span_buf(&response.body), &discovery, err);
    if (code == HSMART_OK)
        code = warn_about_media_type(&response, &discovery, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&url, &discovery.url, err);
    if (code != HSMART_OK)
        goto out;
    set_life(&response, &discovery);
    hs_discovery_clear(out_discovery);
    *out_discovery = discovery;
    discovery = (struct hs_discovery){0};
out:
    hs_discovery_clear(&discovery);
    hs_http_response_clear(&response);
    hs_buf_clear(&url);
    if (code != HSMART_OK)
        (void)hs_err_wrap(err, code, "discovery of \"%.*s\"", (int)hs_text_cut(told(fhir_base).text, 100),
                          told(fhir_base).text);
    return code;
}

/* ---- What it means for us ---- */

/* Absence is no news: SMART's own example leaves most of these out. */
static enum hsmart_code
warn_unless_listed(struct hs_discovery *discovery, const struct hs_text_list *list, const char *name,
                   const char *wanted, hsmart_err *err)
{
    if (list->count == 0 || hs_text_list_has(list, wanted))
        return HSMART_OK;
    return hs_text_list_add_format(&discovery->warnings, err, "\"%s\" does not list %s", name, wanted);
}

enum hsmart_code
hs_discovery_check_method(struct hs_discovery *discovery, enum hs_auth_method method, hsmart_err *err)
{
    enum hsmart_code code =
        warn_unless_listed(discovery, &discovery->grant_types, "grant_types_supported", "client_credentials", err);

    if (code == HSMART_OK)
        code = warn_unless_listed(discovery, &discovery->capabilities, "capabilities",
                                  method == HS_AUTH_PRIVATE_KEY_JWT ? "client-confidential-asymmetric"
                                                                    : "client-confidential-symmetric",
                                  err);
    if (code == HSMART_OK)
        code = warn_unless_listed(discovery, &discovery->auth_methods, "token_endpoint_auth_methods_supported",
                                  hs_auth_method_name(method), err);
    return code;
}

static enum hsmart_code
add_word(struct hs_buf *words, struct hs_span word, hsmart_err *err)
{
    return hs_buf_append_format(words, err, "%s%.*s", words->len > 0 ? " " : "", (int)word.len,
                                (const char *)word.data);
}

static bool
is_listed(const struct hs_text_list *list, struct hs_span word)
{
    for (size_t i = 0; i < list->count; i++)
        if (hs_span_equal_str(word, list->items[i]))
            return true;
    return false;
}

enum hsmart_code
hs_discovery_algs(const struct hs_discovery *discovery, const struct hs_server_row *server, struct hs_buf *out_algs,
                  hsmart_err *err)
{
    static const struct hs_text_list nothing = {0};
    const struct hs_text_list *listed = discovery != NULL ? &discovery->signing_algs : &nothing;
    const char *row_algs = server->algs != NULL || listed->count > 0 ? server->algs : HS_SERVER_ALGS_DEFAULT;
    struct hs_buf algs = {0};
    enum hsmart_code code = HSMART_OK;

    for (const char *rest = row_algs; code == HSMART_OK;) {
        struct hs_span word = hs_word_next(&rest);
        if (word.len == 0)
            break;
        if (listed->count == 0 || is_listed(listed, word))
            code = add_word(&algs, word, err);
    }
    /* A document that knows nothing of what the row says is newer than the row. Those that no key of ours can do, too:
     * when there are no others, that is what has to be told. */
    bool take_all = algs.len == 0;
    for (size_t i = 0; take_all && code == HSMART_OK && i < listed->count; i++)
        code = add_word(&algs, hs_span_str(listed->items[i]), err);
    if (code == HSMART_OK)
        hs_buf_move(&algs, out_algs);
    hs_buf_clear(&algs);
    return code;
}
