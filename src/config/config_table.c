#include "config_table.h"

#include <stddef.h>
#include <stdio.h>

#include "base64url.h"
#include "err.h"
#include "text.h"

#define THUMBPRINT_LEN 32U /* SHA-256 */

static enum hsmart_code
store_text(const struct hs_config *config, const struct hs_config_setting *row, const char *value, void *field,
           hsmart_err *err)
{
    (void)config;
    (void)row;
    return hs_strdup(value, (char **)field, err);
}

static enum hsmart_code
store_path(const struct hs_config *config, const struct hs_config_setting *row, const char *value, void *field,
           hsmart_err *err)
{
    if (value[0] != '/') {
        (void)hs_err_set(err, HSMART_CONFIG_INVALID, "\"%s\" is \"%s\", which is not an absolute path", row->name,
                         value);
        hs_err_hint(err, "write the whole path, beginning with /: what is loaded must not depend on the directory");
        return HSMART_CONFIG_INVALID;
    }
    return store_text(config, row, value, field, err);
}

static enum hsmart_code
store_token_uri(const struct hs_config *config, const struct hs_config_setting *row, const char *value, void *field,
                hsmart_err *err)
{
    if (strstr(value, "pin-value") != NULL || strstr(value, "pin-source") != NULL) {
        (void)hs_err_set(err, HSMART_CONFIG_INVALID, "\"%s\" has a PIN or PIN source in it", row->name);
        hs_err_hint(err, "take pin-value and pin-source out of the URI, and use the setting pin-source of the token");
        return HSMART_CONFIG_INVALID;
    }
    return store_text(config, row, value, field, err);
}

/* Whether `value` is one of the words in `words`, which are separated by spaces; a word that takes an argument ends
 * with a colon there. */
static bool
names_source(const char *words, const char *value)
{
    for (const char *word = words; *word != 0; word += strspn(word, " ")) {
        size_t len = strcspn(word, " ");
        bool takes_argument = word[len - 1] == ':';
        if (strncmp(value, word, len) == 0 && (value[len] != 0) == takes_argument)
            return true;
        word += len;
    }
    return false;
}

/* The value is not repeated in the message: it could be the PIN itself. */
static enum hsmart_code
store_source(const struct hs_config *config, const struct hs_config_setting *row, const char *value, void *field,
             hsmart_err *err)
{
    if (!names_source(row->words, value)) {
        (void)hs_err_set(err, HSMART_CONFIG_INVALID,
                         strchr(value, ':') != NULL
                             ? "\"%s\" is not a known source (its value is not shown, it could hold a secret)"
                             : "\"%s\" looks like the secret itself, not like a place to get it from",
                         row->name);
        hs_err_hint(err, "the kinds are %s; each that ends with a colon is followed by its argument", row->words);
        return HSMART_CONFIG_INVALID;
    }
    return store_text(config, row, value, field, err);
}

static enum hsmart_code
store_thumbprint(const struct hs_config *config, const struct hs_config_setting *row, const char *value, void *field,
                 hsmart_err *err)
{
    struct hs_buf digest = {0};
    enum hsmart_code code = hs_base64url_decode(hs_span_str(value), &digest, err);

    if (code == HSMART_INPUT_MALFORMED || (code == HSMART_OK && digest.len != THUMBPRINT_LEN)) {
        code = hs_err_set(err, HSMART_CONFIG_INVALID, "\"%s\" is \"%s\", which is not 43 characters of base64url",
                          row->name, value);
        hs_err_hint(err, "`hsmart-key list` prints the thumbprint (RFC 7638, SHA-256) of each key");
    }
    if (code == HSMART_OK)
        code = store_text(config, row, value, field, err);
    hs_buf_clear(&digest);
    return code;
}

static enum hsmart_code
store_number(const struct hs_config *config, const struct hs_config_setting *row, const char *value, void *field,
             hsmart_err *err)
{
    long number = 0;
    char what[64];

    (void)config;
    (void)snprintf(what, sizeof what, "\"%s\"", row->name);
    if (hs_text_parse_number(value, what, row->min, row->max, &number, err) != HSMART_OK) {
        if (err != NULL)
            err->code = HSMART_CONFIG_INVALID;
        return HSMART_CONFIG_INVALID;
    }
    *(unsigned *)field = (unsigned)number;
    return HSMART_OK;
}

static enum hsmart_code
store_boolean(const struct hs_config *config, const struct hs_config_setting *row, const char *value, void *field,
              hsmart_err *err)
{
    bool yes = strcmp(value, "true") == 0, no = strcmp(value, "false") == 0;

    (void)config;
    if (!yes && !no)
        return hs_err_set(err, HSMART_CONFIG_INVALID, "\"%s\" is \"%s\", but must be true or false", row->name, value);
    *(bool *)field = yes;
    return HSMART_OK;
}

/* "true" and "false" where not being set is a third thing. */
static enum hsmart_code
store_choice(const struct hs_config *config, const struct hs_config_setting *row, const char *value, void *field,
             hsmart_err *err)
{
    bool yes = false;
    enum hsmart_code code = store_boolean(config, row, value, &yes, err);

    if (code == HSMART_OK)
        *(enum hs_config_choice *)field = yes ? HS_CONFIG_TRUE : HS_CONFIG_FALSE;
    return code;
}

static enum hsmart_code
store_word(const struct hs_config *config, const struct hs_config_setting *row, const char *value, void *field,
           hsmart_err *err)
{
    if (strchr(value, ' ') == NULL && names_source(row->words, value))
        return store_text(config, row, value, field, err);
    (void)hs_err_set(err, HSMART_CONFIG_INVALID, "\"%s\" is \"%s\", which is not one of its words", row->name, value);
    hs_err_hint(err, "the words are %s", row->words);
    return HSMART_CONFIG_INVALID;
}

static enum hsmart_code
store_reference(const struct hs_config *config, const struct hs_config_setting *row, const char *value, void *field,
                hsmart_err *err)
{
    const char *kind = hs_config_kinds[row->refers_to].name;
    const void *item = hs_config_item(config, row->refers_to, value);

    if (item == NULL) {
        struct hs_buf names = {0};
        (void)hs_err_set(err, HSMART_CONFIG_INVALID, "there is no %s named \"%s\"", kind, value);
        if (hs_config_names(config, kind, &names, NULL) == HSMART_OK && names.len > 0)
            hs_err_hint(err, "the names are %s", hs_buf_text(&names));
        else
            hs_err_hint(err, "add a section: %s \"%s\" { … }", kind, value);
        hs_buf_clear(&names);
        return HSMART_CONFIG_INVALID;
    }
    *(const void **)field = item;
    return HSMART_OK;
}

static enum hsmart_code
store_refused(const struct hs_config *config, const struct hs_config_setting *row, const char *value, void *field,
              hsmart_err *err)
{
    (void)config;
    (void)value;
    (void)field;
    (void)hs_err_set(err, HSMART_CONFIG_INVALID,
                     "\"%s\" is refused: a secret in this file would be read by everyone who may read the file, "
                     "and be copied with it",
                     row->name);
    hs_err_hint(err, "%s", row->words);
    return HSMART_CONFIG_INVALID;
}

static const struct hs_config_type text = {"text", true, store_text};
static const struct hs_config_type path = {"absolute path", true, store_path};
static const struct hs_config_type pkcs11_uri = {"PKCS#11 URI", true, store_token_uri};
static const struct hs_config_type source = {"source", true, store_source};
static const struct hs_config_type thumbprint = {"thumbprint", true, store_thumbprint};
static const struct hs_config_type number = {"number", false, store_number};
static const struct hs_config_type boolean = {"true or false", false, store_boolean};
static const struct hs_config_type choice = {"true or false", false, store_choice};
static const struct hs_config_type word = {"word", true, store_word};
static const struct hs_config_type reference = {"name", false, store_reference};
static const struct hs_config_type refused = {"refused", false, store_refused};

bool
hs_config_is_refused(const struct hs_config_setting *row)
{
    return row->type == &refused;
}

#define PIN_SOURCES "file: credential: fd: exec: prompt pinpad"
#define SECRET_SOURCES "file: credential: fd: exec: prompt"
#define AUTH_METHODS "private_key_jwt client_secret_basic client_secret_post"
#define USE_PIN_SOURCE "name the place instead: pin-source = \"file:/etc/hsmart/prod.pin\" (readable by its owner only)"
#define USE_SECRET_SOURCE                                                                                              \
    "name the place instead: client-secret-source = \"file:/etc/hsmart/epic.secret\" (readable by its owner only)"

/* clang-format off */
#define TOKEN(name, type, field) HS_CONFIG_TOKEN, name, &type, offsetof(struct hs_config_token, field)
#define KEY(name, type, field) HS_CONFIG_KEY, name, &type, offsetof(struct hs_config_key, field)
#define CLIENT(name, type, field) HS_CONFIG_CLIENT, name, &type, offsetof(struct hs_config_client, field)
#define REFUSED(kind, name, instead) {kind, name, &refused, 0, .words = instead}

const struct hs_config_setting hs_config_settings[] = {
    /* First, so that their message comes first. */
    REFUSED(HS_CONFIG_TOKEN, "pin", USE_PIN_SOURCE),
    REFUSED(HS_CONFIG_TOKEN, "user-pin", USE_PIN_SOURCE),
    REFUSED(HS_CONFIG_TOKEN, "so-pin", "the security officer's PIN is only asked for by `hsmart-key token init`"),
    REFUSED(HS_CONFIG_TOKEN, "password", USE_PIN_SOURCE),
    REFUSED(HS_CONFIG_KEY, "pin", "a PIN belongs to a token: set pin-source there"),
    REFUSED(HS_CONFIG_CLIENT, "client-secret", USE_SECRET_SOURCE),
    REFUSED(HS_CONFIG_CLIENT, "secret", USE_SECRET_SOURCE),
    REFUSED(HS_CONFIG_CLIENT, "password", USE_SECRET_SOURCE),

    {TOKEN("module", path, module), .required = true,
     .meaning = "the vendor's PKCS#11 library"},
    {TOKEN("init-string", text, init_string),
     .fallback = "none",
     .meaning = "handed to the module when it is initialised (pReserved), for modules that ask for it"},
    {TOKEN("quirks", text, quirks),
     .fallback = "what hsmart knows of the token",
     .meaning = "names of departures from the standard that hsmart shall allow for, separated by spaces"},
    {TOKEN("uri", pkcs11_uri, uri),
     .fallback = "the only token of the module",
     .meaning = "which token of the module: label, serial, model or manufacturer (RFC 7512)"},
    {TOKEN("pin-source", source, pin_source), .words = PIN_SOURCES,
     .fallback = "no login",
     .meaning = "where the user PIN comes from"},
    {TOKEN("max-sessions", number, max_sessions), .min = 1, .max = 64,
     .fallback = "4",
     .meaning = "how many sessions are used at once"},
    {TOKEN("timeout-ms", number, timeout_ms), .min = 100, .max = 600000,
     .fallback = "5000",
     .meaning = "how many milliseconds one request may take, waiting and recovery included"},
    {TOKEN("state-directory", path, state_directory),
     .fallback = "see pin-guard.md",
     .meaning = "where the PIN guard keeps its state"},

    {KEY("token", reference, token), .required = true, .refers_to = HS_CONFIG_TOKEN,
     .meaning = "the token that holds the key"},
    {KEY("uri", pkcs11_uri, uri),
     .fallback = "the only key pair of the token",
     .meaning = "which key pair of the token: label (object) or id (RFC 7512)"},
    {KEY("thumbprint", thumbprint, thumbprint),
     .fallback = "not compared",
     .meaning = "the RFC 7638 thumbprint that the key must have; any other key is refused"},
    {KEY("kid", text, kid),
     .fallback = "the thumbprint",
     .meaning = "the key identifier in JWKs and assertions, where the server has given its own"},
    {KEY("family", text, family),
     .fallback = "none: one key",
     .meaning = "instead of uri, thumbprint and kid: keys that follow one another, by their label (lifecycle.md)"},
    {KEY("lifecycle-file", path, lifecycle_file),
     .fallback = "beside the PIN guard's state",
     .meaning = "of a family: where dates are kept that the token does not take, and what was seen of the publication"},
    {KEY("alg", text, alg),
     .fallback = "RS384 for RSA, the algorithm of the curve for EC",
     .meaning = "the signature algorithm, where the server insists on another one"},
    {KEY("allow-extractable", boolean, allow_extractable),
     .fallback = "false",
     .meaning = "sign although the token would give this private key away"},

    {CLIENT("profile", text, profile),
     .fallback = "smart",
     .meaning = "the family of servers: a row of the server table"},
    {CLIENT("fhir-base", text, fhir_base),
     .fallback = "none",
     .meaning = "the FHIR base URL of the server"},
    {CLIENT("token-endpoint", text, token_endpoint),
     .fallback = "what the server's discovery document says",
     .meaning = "the URL that gives access tokens"},
    {CLIENT("token-pin", text, token_pin),
     .fallback = "any origin",
     .meaning = "the origin, or the URL, that the token endpoint of the discovery document must have"},
    {CLIENT("audience", text, audience),
     .fallback = "the token endpoint",
     .meaning = "the aud of assertions, where the server wants another value than the URL that is posted to"},
    {CLIENT("client-id", text, client_id),
     .fallback = "none",
     .meaning = "the id that the server gave this client when it was registered"},
    {CLIENT("registration-file", path, registration_file),
     .fallback = "none",
     .meaning = "where `hsmart register` keeps the client id, and the secret if there is one"},
    {CLIENT("auth-method", word, auth_method), .words = AUTH_METHODS,
     .fallback = "as registered, else what there is the means for",
     .meaning = "how the client proves who it is"},
    {CLIENT("key", reference, key), .refers_to = HS_CONFIG_KEY,
     .fallback = "none",
     .meaning = "the key that signs assertions"},
    {CLIENT("client-secret-source", source, client_secret_source), .words = SECRET_SOURCES,
     .fallback = "none",
     .meaning = "where the client secret comes from, for the symmetric method; not together with key"},
    {CLIENT("scope", text, scope),
     .fallback = "none",
     .meaning = "the scopes to ask for, separated by spaces"},
    {CLIENT("jku", text, jku),
     .fallback = "left out",
     .meaning = "the registered JWKS URL, to be put into the header of assertions"},
    {CLIENT("assertion-type", text, assertion_type),
     .fallback = "JWT",
     .meaning = "the typ in the header of assertions"},
    {CLIENT("assertion-lifetime", number, assertion_lifetime_s), .min = 1, .max = 300,
     .fallback = "240",
     .meaning = "seconds from now to the exp of assertions"},
    {CLIENT("omit-issued-at", boolean, omit_issued_at),
     .fallback = "false",
     .meaning = "leave iat out of assertions, for a server that refuses it"},
    {CLIENT("not-before", boolean, not_before),
     .fallback = "false",
     .meaning = "put nbf into assertions, for a server that asks for it"},
    {CLIENT("send-client-id", choice, send_client_id),
     .fallback = "as the profile says",
     .meaning = "send client_id beside the assertion"},
    {CLIENT("raw-basic", choice, raw_basic),
     .fallback = "as the profile says",
     .meaning = "put client id and secret into HTTP Basic as they are, not form-encoded"},
    {CLIENT("use-refresh-token", boolean, use_refresh_token),
     .fallback = "false",
     .meaning = "keep a refresh token and renew with it; SMART forbids it for backend services"},
    {CLIENT("no-cache", boolean, no_cache),
     .fallback = "false",
     .meaning = "keep access tokens in memory only"},
    {CLIENT("cache-directory", path, cache_directory),
     .fallback = "`hsmart` in the runtime directory",
     .meaning = "where access tokens are kept, for this user only"},
    {CLIENT("ca-file", path, ca_file),
     .fallback = "none",
     .meaning = "further CA certificates in PEM, beside the system's"},
    {CLIENT("ca-directory", path, ca_directory),
     .fallback = "the system's",
     .meaning = "a hashed directory of CA certificates, instead of the system's"},
    {CLIENT("client-certificate", path, client_certificate),
     .fallback = "none",
     .meaning = "the certificate for mutual TLS, PEM"},
    {CLIENT("client-key", path, client_key),
     .fallback = "none",
     .meaning = "the private key of client-certificate, PEM"},
    {CLIENT("allow-http-to-loopback", boolean, allow_http_to_loopback),
     .fallback = "false",
     .meaning = "speak http without TLS to this very machine, for tests"},
    {CLIENT("connect-timeout-ms", number, connect_timeout_ms), .min = 100, .max = 600000,
     .fallback = "10000",
     .meaning = "how many milliseconds connecting may take"},
    {CLIENT("timeout-ms", number, timeout_ms), .min = 100, .max = 600000,
     .fallback = "30000",
     .meaning = "how many milliseconds one exchange may take"},
    {CLIENT("max-attempts", number, max_attempts), .min = 1, .max = 10,
     .fallback = "4",
     .meaning = "how often a request is tried that failed in transport, or with 429 or 5xx"},
    {CLIENT("max-wait", number, max_wait_s), .min = 1, .max = 3600,
     .fallback = "600",
     .meaning = "up to how many seconds a server's Retry-After is waited for"},
};
/* clang-format on */
const size_t hs_config_setting_count = HS_ARRAY_LEN(hs_config_settings);
