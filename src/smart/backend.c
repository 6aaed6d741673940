#include "backend.h"

#include "clock.h"
#include "discovery_cache.h"
#include "err.h"
#include "oauth_error.h"
#include "scope.h"
#include "token_request.h"

#define BUSY_TOLD_MAX_S 600 /* as long as a Retry-After is waited for */
#define BUSY_ABSURD_S 86400 /* what is longer is no number of seconds, and tells nothing */
#define BUSY_AFTER_ABSURD_S 60
#define BUSY_UNTOLD_S 5 /* and up to as much again: after a 429 that does not say when to come back */

/* The strings of the options, copied: one array, so that they are freed together. */
enum text {
    NAME,
    FHIR_BASE,
    TOKEN_ENDPOINT,
    TOKEN_PIN,
    AUDIENCE,
    SCOPE,
    CLIENT_ID,
    CACHE_DIRECTORY,
    ROW_TITLE,
    ROW_ALGS,
    ROW_SCOPE,
    TEXTS
};

struct hs_backend {
    struct hs_backend_options options; /* its strings are in `texts` */
    char *texts[TEXTS];
    const char *scope;             /* that is sent; NULL: none */
    struct hs_discovery discovery; /* used by the issuer only, on one thread at a time */
    struct hs_access_token_cache *cache;
    struct hs_access_token_keeper *keeper;
    struct hs_fhir fhir;
};

/* ---- Where access tokens are asked for ---- */

/* Where a request goes, and what it must be signed for. */
struct place {
    const char *endpoint, *audience; /* belong to the options or the discovery document */
    struct hs_buf algs;
};

static void
log_warnings(const struct hs_backend *backend, const struct hs_discovery *discovery)
{
    for (size_t i = 0; i < discovery->warnings.count; i++)
        hs_log_warning(&backend->options.link.log, "discovery: %s", discovery->warnings.items[i]);
}

static bool
is_fresh(const struct hs_discovery *discovery, int64_t now_s)
{
    return discovery->token_endpoint != NULL && now_s >= discovery->read_at_s && now_s < discovery->expires_at_s;
}

/* False when there is no directory for it: discovery works without. */
static bool
open_directory(const struct hs_backend *backend, struct hs_private_directory *directory)
{
    return !backend->options.no_cache &&
           hs_private_directory_open(backend->options.cache_directory, directory, NULL) == HSMART_OK;
}

static enum hsmart_code
find_discovery(const struct hs_backend *backend, struct hs_discovery *discovery, hsmart_err *err)
{
    const struct hs_backend_options *options = &backend->options;
    struct hs_private_directory directory = {.fd = -1};
    bool has_directory = open_directory(backend, &directory), found = false;
    enum hsmart_code code = HSMART_OK;

    if (has_directory)
        (void)!hs_discovery_cache_load(&directory, options->fhir_base, hs_link_now_s(&options->link), &found, discovery,
                                       NULL);
    if (!found) {
        code = hs_discovery_fetch(&options->link, options->fhir_base, discovery, err);
        if (code == HSMART_OK)
            code = hs_discovery_check_method(discovery, options->auth.method, err);
        if (code == HSMART_OK)
            log_warnings(backend, discovery);
        if (code == HSMART_OK && has_directory)
            (void)!hs_discovery_cache_save(&directory, options->fhir_base, discovery, NULL);
    }
    if (has_directory)
        hs_private_directory_close(&directory);
    return code;
}

/* A token endpoint that is none any more is looked up again next time. */
static void
forget_discovery(struct hs_backend *backend)
{
    struct hs_private_directory directory = {.fd = -1};

    if (backend->discovery.token_endpoint == NULL)
        return;
    hs_discovery_clear(&backend->discovery);
    if (open_directory(backend, &directory)) {
        hs_discovery_cache_forget(&directory, backend->options.fhir_base);
        hs_private_directory_close(&directory);
    }
}

static bool
needs_discovery(const struct hs_backend_options *options)
{
    bool wants_issuer = options->server.audience == HS_AUDIENCE_ISSUER && options->audience == NULL &&
                        options->auth.method == HS_AUTH_PRIVATE_KEY_JWT;

    return options->token_endpoint == NULL || wants_issuer;
}

static enum hsmart_code
find_endpoint(const struct hs_backend *backend, struct hs_discovery *discovery, const char **out_endpoint,
              hsmart_err *err)
{
    const struct hs_backend_options *options = &backend->options;
    enum hsmart_code code = HSMART_OK;

    if (needs_discovery(options) && !is_fresh(discovery, hs_link_now_s(&options->link)))
        code = find_discovery(backend, discovery, err);
    if (code != HSMART_OK)
        return code;
    if (options->token_endpoint != NULL) {
        *out_endpoint = options->token_endpoint;
        return HSMART_OK;
    }
    if (options->token_pin == NULL && !hs_http_same_origin(discovery->token_endpoint, options->fhir_base))
        hs_log_detail(
            &options->link.log,
            "the server names a token endpoint at another origin than its FHIR base; a pin would hold it there");
    /* Each time, since the pin is ours and the document may have come from the cache. */
    code = hs_discovery_check_pin(discovery->token_endpoint, options->token_pin, err);
    if (code == HSMART_OK)
        *out_endpoint = discovery->token_endpoint;
    return code;
}

/* `discovery` is read where it is needed, and has to live as long as the place. */
static enum hsmart_code
find_place(const struct hs_backend *backend, struct hs_discovery *discovery, struct place *place, hsmart_err *err)
{
    const struct hs_backend_options *options = &backend->options;
    enum hsmart_code code = find_endpoint(backend, discovery, &place->endpoint, err);

    if (code != HSMART_OK || options->auth.method != HS_AUTH_PRIVATE_KEY_JWT)
        return code;
    code = hs_assertion_audience(&options->server, options->audience, place->endpoint, discovery->issuer,
                                 &place->audience, err);
    if (code == HSMART_OK)
        code = hs_discovery_algs(discovery, &options->server, &place->algs, err);
    return code;
}

/* ---- Asking for one ---- */

struct attempt {
    struct hs_token_request request;
    const struct hs_link *link;
};

static enum hsmart_code
attempt_once(void *arg, struct hs_http_response *out_response, hsmart_err *err)
{
    const struct attempt *attempt = arg;

    return hs_token_request_send(&attempt->request, attempt->link, out_response, err);
}

/* For how long the client leaves the server alone, other processes of this user included. */
static int64_t
busy_seconds(const struct hs_http_response *response)
{
    int64_t retry_after_s = hs_http_retry_after_s(response);

    if (retry_after_s < 0)
        return BUSY_UNTOLD_S + hs_random_below(BUSY_UNTOLD_S + 1);
    if (retry_after_s > BUSY_ABSURD_S)
        return BUSY_AFTER_ABSURD_S;
    return retry_after_s < BUSY_TOLD_MAX_S ? retry_after_s : BUSY_TOLD_MAX_S;
}

/* Sets `*out_refresh_refused` instead of an error when it was the refresh token that was refused. */
static enum hsmart_code
read_answer(struct hs_backend *backend, const struct attempt *attempt, const struct hs_http_response *response,
            struct hs_access_token *out_access_token, bool *out_refresh_refused, hsmart_err *err)
{
    const struct hs_backend_options *options = &backend->options;
    struct hs_oauth_error error;
    enum hsmart_code code = HSMART_SERVER_REFUSED;

    if (response->status == 200 || response->status == 201)
        code = hs_token_response_parse(response, attempt->request.scope, &options->link.log, out_access_token, err);
    if (code == HSMART_OK || code == HSMART_NO_MEMORY)
        return code;
    hs_oauth_error_read(response, options->auth.method, &error);
    if (response->status < 300 && error.kind != HS_ANSWER_OAUTH)
        return code; /* what the parser said is more exact */
    if (attempt->request.refresh_token != NULL && error.code == HSMART_SERVER_REFUSED) {
        *out_refresh_refused = true;
        return HSMART_SERVER_REFUSED;
    }
    if (error.code == HSMART_SERVER_FAILED && error.status < 500)
        forget_discovery(backend);
    return hs_oauth_error_tell(&error, NULL, &options->link.log, err);
}

static enum hsmart_code
ask(struct hs_backend *backend, struct attempt *attempt, bool patient, struct hs_access_token *out_access_token,
    int64_t *out_busy_s, bool *out_refresh_refused, hsmart_err *err)
{
    struct hs_retry_policy policy = backend->options.link.retry;
    struct hs_http_response response = {0};
    enum hsmart_code code;

    if (!patient)
        policy.max_attempts = 1;
    code = hs_retry_run(&policy, attempt->link, "access token request", attempt_once, attempt, &response, err);
    if (code == HSMART_SERVER_BUSY || (code == HSMART_OK && response.status == 429))
        *out_busy_s = busy_seconds(&response);
    if (code == HSMART_OK)
        code = read_answer(backend, attempt, &response, out_access_token, out_refresh_refused, err);
    hs_http_response_clear(&response);
    return code;
}

static enum hsmart_code
issue(void *arg, struct hs_span refresh_token, bool patient, struct hs_access_token *out_access_token,
      int64_t *out_busy_s, hsmart_err *err)
{
    struct hs_backend *backend = arg;
    const struct hs_backend_options *options = &backend->options;
    struct attempt attempt = {.link = &options->link};
    struct hs_token_request *request = &attempt.request;
    struct place place = {0};
    bool refresh_refused = false;
    enum hsmart_code code;

    code = find_place(backend, &backend->discovery, &place, err);
    if (code != HSMART_OK)
        goto out;
    request->token_endpoint = place.endpoint;
    request->audience = place.audience;
    request->algs = hs_buf_text(&place.algs);
    request->scope = backend->scope;
    request->auth = &options->auth;
    request->refresh_token = refresh_token.len > 0 ? (const char *)refresh_token.data : NULL;
    code = ask(backend, &attempt, patient, out_access_token, out_busy_s, &refresh_refused, err);
    if (refresh_refused) {
        hs_log_detail(&options->link.log, "the server does not take the refresh token any more");
        request->refresh_token = NULL;
        code = ask(backend, &attempt, patient, out_access_token, out_busy_s, &refresh_refused, err);
    }
out:
    hs_buf_clear(&place.algs);
    if (code != HSMART_OK)
        (void)hs_err_wrap(err, code, "cannot get an access token for client \"%.60s\"", options->name);
    return code;
}

enum hsmart_code
hs_backend_assertion(struct hs_backend *backend, struct hs_buf *out_jwt, hsmart_err *err)
{
    const struct hs_client_auth *auth = &backend->options.auth;
    struct hs_discovery discovery = {0}; /* the backend's own belongs to the issuer's thread */
    struct place place = {0};
    enum hsmart_code code = HSMART_OK;

    if (auth->method != HS_AUTH_PRIVATE_KEY_JWT)
        code = hs_err_set(err, HSMART_CONFIG_INVALID, "it proves who it is with a secret, not with assertions");
    if (code == HSMART_OK)
        code = find_place(backend, &discovery, &place, err);
    if (code == HSMART_OK)
        code = auth->assertions.make(auth->assertions.arg, auth->client_id, place.audience, hs_buf_text(&place.algs),
                                     out_jwt, err);
    hs_buf_clear(&place.algs);
    hs_discovery_clear(&discovery);
    if (code != HSMART_OK)
        (void)hs_err_wrap(err, code, "cannot make an assertion for client \"%.60s\"", backend->options.name);
    return code;
}

/* ---- The backend ---- */

static enum hsmart_code
copy_texts(struct hs_backend *backend, hsmart_err *err)
{
    struct hs_backend_options *options = &backend->options;
    const char **const texts[TEXTS] = {
        [NAME] = &options->name,
        [FHIR_BASE] = &options->fhir_base,
        [TOKEN_ENDPOINT] = &options->token_endpoint,
        [TOKEN_PIN] = &options->token_pin,
        [AUDIENCE] = &options->audience,
        [SCOPE] = &options->scope,
        [CLIENT_ID] = &options->auth.client_id,
        [CACHE_DIRECTORY] = &options->cache_directory,
        [ROW_TITLE] = &options->server.title,
        [ROW_ALGS] = &options->server.algs,
        [ROW_SCOPE] = &options->server.scope_literal,
    };
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < TEXTS && code == HSMART_OK; i++) {
        code = hs_strdup_or_null(*texts[i], &backend->texts[i], err);
        *texts[i] = backend->texts[i];
    }
    return code;
}

static enum hsmart_code
check_options(struct hs_backend *backend, hsmart_err *err)
{
    struct hs_backend_options *options = &backend->options;
    struct hs_buf ignored = {0};
    const char *audience = NULL;
    enum hsmart_code code = HSMART_OK;

    if (options->auth.client_id == NULL || options->auth.client_id[0] == 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "there is no client id");
    if (options->name == NULL)
        options->name = options->auth.client_id;
    if (options->fhir_base == NULL && needs_discovery(options))
        return hs_err_set(err, HSMART_CONFIG_INVALID, "there is neither a FHIR base nor a token endpoint");
    if (options->fhir_base != NULL)
        code = hs_discovery_url(options->fhir_base, &ignored, err);
    if (code == HSMART_OK && options->token_endpoint != NULL &&
        hs_token_endpoint_check(options->token_endpoint, err) != HSMART_OK)
        code = hs_err_wrap(err, HSMART_INVALID_ARGUMENT, "the configuration");
    if (code == HSMART_OK && options->auth.method == HS_AUTH_PRIVATE_KEY_JWT &&
        options->server.audience == HS_AUDIENCE_LITERAL)
        code = hs_assertion_audience(&options->server, options->audience, NULL, NULL, &audience, err);
    if (code == HSMART_OK)
        code = hs_scope_choose(&options->server, options->scope, &backend->scope, err);
    if (code == HSMART_OK)
        hs_scope_check(&options->server, options->scope, &options->link.log);
    hs_buf_clear(&ignored);
    return code;
}

/* Everything that makes two requests ask for the same thing, each part with its length before it. */
static enum hsmart_code
format_identity(const struct hs_backend *backend, struct hs_buf *out, hsmart_err *err)
{
    const struct hs_backend_options *options = &backend->options;
    const char *parts[] = {options->fhir_base,      options->token_endpoint, options->audience,
                           options->auth.client_id, backend->scope,          hs_auth_method_name(options->auth.method)};
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < HS_ARRAY_LEN(parts) && code == HSMART_OK; i++)
        code = hs_buf_append_format(out, err, "%zu:%s,", parts[i] != NULL ? strlen(parts[i]) : 0,
                                    parts[i] != NULL ? parts[i] : "");
    return code;
}

/* Without a place for it there is no cache, which is told and no more. */
static enum hsmart_code
open_cache(struct hs_backend *backend, hsmart_err *err)
{
    struct hs_private_directory directory = {.fd = -1};
    struct hs_buf identity = {0};
    hsmart_err reason = {0};
    enum hsmart_code code;

    if (backend->options.no_cache)
        return HSMART_OK;
    code = hs_private_directory_open(backend->options.cache_directory, &directory, &reason);
    if (code != HSMART_OK) {
        hs_log_warning(&backend->options.link.log, "access tokens are not cached: %s", reason.text);
        return HSMART_OK;
    }
    code = format_identity(backend, &identity, err);
    if (code == HSMART_OK)
        code = hs_access_token_cache_new(&directory, hs_span_buf(&identity), &backend->cache, err);
    hs_private_directory_close(&directory);
    hs_buf_clear(&identity);
    return code;
}

static enum hsmart_code
make_keeper(struct hs_backend *backend, hsmart_err *err)
{
    struct hs_access_token_config config = {
        .issuer = {issue, backend},
        .cache = backend->cache,
        .use_refresh_token = backend->options.use_refresh_token,
        .time = backend->options.link.time,
        .log = backend->options.link.log,
    };

    return hs_access_token_keeper_new(&config, &backend->keeper, err);
}

enum hsmart_code
hs_backend_new(const struct hs_backend_options *options, struct hs_backend **out_backend, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_backend *backend = hs_calloc(1, sizeof *backend);

    if (backend == NULL)
        return hs_err_no_memory(err);
    backend->options = *options;
    code = copy_texts(backend, err);
    if (code == HSMART_OK)
        code = check_options(backend, err);
    if (code == HSMART_OK)
        code = open_cache(backend, err);
    if (code == HSMART_OK)
        code = make_keeper(backend, err);
    if (code != HSMART_OK) {
        hs_backend_free(backend);
        return code;
    }
    backend->fhir = (struct hs_fhir){&backend->options.link, backend->options.fhir_base, backend->keeper, 0};
    *out_backend = backend;
    return HSMART_OK;
}

void
hs_backend_free(struct hs_backend *backend)
{
    if (backend == NULL)
        return;
    hs_access_token_keeper_free(backend->keeper);
    hs_access_token_cache_free(backend->cache);
    hs_discovery_clear(&backend->discovery);
    for (size_t i = 0; i < TEXTS; i++)
        hs_string_free(backend->texts[i]);
    hs_free(backend);
}

enum hsmart_code
hs_backend_access_token(struct hs_backend *backend, unsigned min_validity_s, struct hs_access_token *out_access_token,
                        hsmart_err *err)
{
    return hs_access_token_get(backend->keeper, min_validity_s, out_access_token, err);
}

enum hsmart_code
hs_backend_renew_access_token(struct hs_backend *backend, struct hs_access_token *out_access_token, hsmart_err *err)
{
    return hs_access_token_renew(backend->keeper, out_access_token, err);
}

void
hs_backend_reject_access_token(struct hs_backend *backend, struct hs_span value)
{
    hs_access_token_reject(backend->keeper, value);
}

enum hsmart_code
hs_backend_get_fhir(struct hs_backend *backend, const struct hs_fhir **out_fhir, hsmart_err *err)
{
    if (backend->fhir.base == NULL)
        return hs_err_set(err, HSMART_CONFIG_INVALID, "client \"%.60s\" has no FHIR base", backend->options.name);
    *out_fhir = &backend->fhir;
    return HSMART_OK;
}
