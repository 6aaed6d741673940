#include "http.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "http_transfer.h"

#define CONNECT_TIMEOUT_DEFAULT_MS 10000U
#define IDLE_HANDLES_MAX 8U

/* A handle has connections of its own, so an exchange holds one for itself, and whoever comes next takes the one that
 * was used last: its connection is the likeliest to be alive. */
struct hs_http {
    struct hs_http_settings settings;
    struct hs_log log;
    pthread_mutex_t lock; /* of what follows */
    CURL *idle[IDLE_HANDLES_MAX];
    size_t idle_count;
    pid_t owner; /* the process that opened the idle connections */
};

/* ---- A client ---- */

static enum hsmart_code
check_readable(const char *what, const char *path, hsmart_err *err)
{
    if (path == NULL || access(path, R_OK) == 0)
        return HSMART_OK;
    return hs_err_errno(err, HSMART_FILE_UNREADABLE, errno, "cannot read the client %s \"%s\"", what, path);
}

static enum hsmart_code
copy_settings(const struct hs_http_options *options, struct hs_http_settings *settings, hsmart_err *err)
{
    enum hsmart_code code;

    settings->allow_http_to_loopback = options->allow_http_to_loopback;
    settings->connect_timeout_ms =
        options->connect_timeout_ms != 0 ? options->connect_timeout_ms : CONNECT_TIMEOUT_DEFAULT_MS;
    code = hs_http_trust_find(options->ca_file, options->ca_directory, &settings->trust, err);
    if (code == HSMART_OK)
        code = check_readable("certificate", options->client_certificate, err);
    if (code == HSMART_OK)
        code = check_readable("key", options->client_key, err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(options->client_certificate, &settings->client_certificate, err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(options->client_key, &settings->client_key, err);
    return code;
}

enum hsmart_code
hs_http_new(const struct hs_http_options *options, struct hs_http **out_http, hsmart_err *err)
{
    static const struct hs_http_options defaults = {0};
    enum hsmart_code code;
    struct hs_http *http = hs_calloc(1, sizeof *http);

    if (http == NULL)
        return hs_err_no_memory(err);
    if (options == NULL)
        options = &defaults;
    http->log = options->log;
    http->owner = getpid();
    (void)pthread_mutex_init(&http->lock, NULL);
    code = copy_settings(options, &http->settings, err);
    if (code != HSMART_OK)
        goto out;
    *out_http = http;
    http = NULL;
out:
    hs_http_free(http);
    return code;
}

void
hs_http_free(struct hs_http *http)
{
    const struct hs_curl *curl = NULL;

    if (http == NULL)
        return;
    if (http->idle_count > 0 && http->owner == getpid() && hs_curl_get(&curl, NULL) == HSMART_OK)
        while (http->idle_count > 0)
            curl->easy_cleanup(http->idle[--http->idle_count]);
    (void)pthread_mutex_destroy(&http->lock);
    hs_http_trust_clear(&http->settings.trust);
    hs_string_free(http->settings.client_certificate);
    hs_string_free(http->settings.client_key);
    hs_free(http);
}

/* ---- The pool ---- */

static enum hsmart_code
acquire_handle(struct hs_http *http, const struct hs_curl *curl, CURL **out_handle, hsmart_err *err)
{
    CURL *handle = NULL;

    (void)pthread_mutex_lock(&http->lock);
    if (http->owner != getpid()) { /* after a fork the connections are the parent's: not even to be closed here */
        http->owner = getpid();
        http->idle_count = 0;
    }
    if (http->idle_count > 0)
        handle = http->idle[--http->idle_count];
    (void)pthread_mutex_unlock(&http->lock);
    if (handle == NULL)
        handle = curl->easy_init();
    if (handle == NULL)
        return hs_err_no_memory(err);
    *out_handle = handle;
    return HSMART_OK;
}

static void
release_handle(struct hs_http *http, const struct hs_curl *curl, CURL *handle)
{
    if (handle == NULL)
        return;
    curl->easy_reset(handle); /* forgets request and pointers; connections and TLS sessions stay */
    (void)pthread_mutex_lock(&http->lock);
    if (http->idle_count < IDLE_HANDLES_MAX) {
        http->idle[http->idle_count++] = handle;
        handle = NULL;
    }
    (void)pthread_mutex_unlock(&http->lock);
    if (handle != NULL)
        curl->easy_cleanup(handle);
}

/* ---- An exchange ---- */

static void
log_exchange(const struct hs_http *http, const struct hs_http_transfer *transfer, int64_t took_ms)
{
    long new_connections = 0;

    (void)transfer->curl->easy_getinfo(transfer->handle, CURLINFO_NUM_CONNECTS, &new_connections);
    hs_log_detail(&http->log, "%s %s: status %d, %zu bytes, %lld ms, %s connection", transfer->request->method,
                  hs_buf_text(&transfer->url.origin), transfer->response.status, transfer->response.body.len,
                  (long long)took_ms, new_connections > 0 ? "new" : "kept");
}

enum hsmart_code
hs_http_exchange(struct hs_http *http, const struct hs_http_request *request, struct hs_http_response *out_response,
                 hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_http_transfer transfer = {.settings = &http->settings, .request = request};
    int64_t started_ms = hs_clock_monotonic_ms();

    code = hs_curl_get(&transfer.curl, err);
    if (code != HSMART_OK)
        return code;
    code = hs_http_transfer_check(&transfer, err);
    if (code != HSMART_OK)
        goto out;
    code = acquire_handle(http, transfer.curl, &transfer.handle, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_http_transfer_prepare(&transfer, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_http_transfer_run(&transfer, err);
    if (code != HSMART_OK)
        goto out;
    log_exchange(http, &transfer, hs_clock_monotonic_ms() - started_ms);
    hs_http_response_clear(out_response);
    *out_response = transfer.response;
    transfer.response = (struct hs_http_response){0};
out:
    release_handle(http, transfer.curl, transfer.handle);
    hs_http_transfer_clear(&transfer);
    return code;
}

void
hs_http_response_clear(struct hs_http_response *response)
{
    hs_buf_clear(&response->body);
    hs_buf_clear(&response->headers);
    *response = (struct hs_http_response){0};
}
