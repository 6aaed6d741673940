#include "http.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "http_transfer.h"

#define CONNECT_TIMEOUT_DEFAULT_MS 10000U
#define IDLE_MAX 8U

/* A handle that rests, with its TLS session and, if the server left it open, its one connection. */
struct idle {
    CURL *handle;
    struct hs_http_url url; /* where the connection leads */
    struct hs_buf url_text; /* the URL that was asked for last, of which `url` was read */
    curl_socket_t socket;   /* CURL_SOCKET_BAD: there is no connection */
};

struct hs_http {
    struct hs_http_settings settings;
    struct hs_log log;
    pthread_mutex_t lock;       /* of what follows */
    struct idle idle[IDLE_MAX]; /* used longest ago first */
    size_t idle_count;
    pid_t owner; /* the process that opened the connections */
};

/* ---- Connections that rest ---- */

static void
forget_url(struct idle *idle)
{
    hs_http_url_clear(&idle->url);
    hs_buf_clear(&idle->url_text);
}

static void
close_idle(struct idle *idle)
{
    const struct hs_curl *curl = NULL;

    if (idle->handle != NULL && hs_curl_get(&curl, NULL) == HSMART_OK)
        curl->easy_cleanup(idle->handle);
    forget_url(idle);
    *idle = (struct idle){0};
}

/* After a fork they are the parent's. To close one would tell its server so: they are left alone. */
static void
forget_foreign_connections(struct hs_http *http)
{
    if (http->owner == getpid())
        return;
    while (http->idle_count > 0)
        forget_url(&http->idle[--http->idle_count]);
    http->owner = getpid();
}

static struct idle
remove_idle(struct hs_http *http, size_t index)
{
    struct idle taken = http->idle[index];

    http->idle_count--;
    memmove(&http->idle[index], &http->idle[index + 1], (http->idle_count - index) * sizeof taken);
    return taken;
}

/* The one to this origin that was used last: it is the likeliest to be alive. */
static struct idle
take_idle(struct hs_http *http, const struct hs_buf *origin)
{
    struct idle taken = {0};

    (void)pthread_mutex_lock(&http->lock);
    forget_foreign_connections(http);
    for (size_t i = http->idle_count; i > 0; i--)
        if (hs_span_equal(hs_span_buf(&http->idle[i - 1].url.origin), hs_span_buf(origin))) {
            taken = remove_idle(http, i - 1);
            break;
        }
    (void)pthread_mutex_unlock(&http->lock);
    return taken;
}

static void
keep_idle(struct hs_http *http, struct idle *idle)
{
    struct idle oldest = {0};

    (void)pthread_mutex_lock(&http->lock);
    if (http->idle_count == IDLE_MAX)
        oldest = remove_idle(http, 0);
    http->idle[http->idle_count++] = *idle;
    (void)pthread_mutex_unlock(&http->lock);
    *idle = (struct idle){0};
    close_idle(&oldest);
}

/* The same URL again and again, as a token endpoint is asked, was checked before: what it says is taken from the
 * connection that it was read for. Otherwise `out_url` stays empty. */
static enum hsmart_code
recall_url(struct hs_http *http, const char *text, struct hs_http_url *out_url, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    (void)pthread_mutex_lock(&http->lock);
    for (size_t i = http->idle_count; i > 0; i--) {
        const struct idle *idle = &http->idle[i - 1];
        if (idle->url_text.len == 0 || !hs_span_equal_str(hs_span_buf(&idle->url_text), text))
            continue;
        out_url->is_https = idle->url.is_https;
        out_url->is_loopback = idle->url.is_loopback;
        code = hs_buf_append(&out_url->origin, hs_span_buf(&idle->url.origin), err);
        break;
    }
    (void)pthread_mutex_unlock(&http->lock);
    return code;
}

/* A server that closes a connection says so at once, and TLS does it with a message that libcurl takes for data: it
 * would send the request, and find out then. Nothing else is to be read on a connection that rests. */
static bool
is_closed(const struct idle *idle)
{
    struct pollfd look = {.fd = idle->socket, .events = POLLIN};

    return idle->socket != CURL_SOCKET_BAD && poll(&look, 1, 0) != 0;
}

/* A handle with a connection to where this transfer leads, or a new one. */
static enum hsmart_code
acquire_handle(struct hs_http *http, struct hs_http_transfer *transfer, hsmart_err *err)
{
    struct idle idle = take_idle(http, &transfer->url.origin);

    if (idle.handle != NULL)
        transfer->wants_new_connection = is_closed(&idle);
    else
        idle.handle = transfer->curl->easy_init();
    forget_url(&idle);
    if (idle.handle == NULL)
        return hs_err_no_memory(err);
    transfer->handle = idle.handle;
    return HSMART_OK;
}

static void
release_handle(struct hs_http *http, struct hs_http_transfer *transfer)
{
    const struct hs_curl *curl = transfer->curl;
    struct idle idle = {.handle = transfer->handle, .socket = CURL_SOCKET_BAD};

    if (idle.handle == NULL)
        return;
    transfer->handle = NULL;
    (void)curl->easy_getinfo(idle.handle, CURLINFO_ACTIVESOCKET, &idle.socket);
    curl->easy_reset(idle.handle); /* forgets the request and every pointer; connection and TLS sessions stay */
    /* Also while it is closed: libcurl would change the process's SIGPIPE handler meanwhile, under other threads. */
    (void)curl->easy_setopt(idle.handle, CURLOPT_NOSIGNAL, 1L);
    (void)curl->easy_setopt(idle.handle, CURLOPT_QUICK_EXIT, 1L);
    idle.url = transfer->url;
    transfer->url = (struct hs_http_url){0};
    if (hs_buf_append_str(&idle.url_text, transfer->request->url, NULL) != HSMART_OK)
        hs_buf_clear(&idle.url_text); /* it is read again then */
    if (transfer->is_done || idle.socket != CURL_SOCKET_BAD)
        keep_idle(http, &idle);
    close_idle(&idle);
}

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
    if (http == NULL)
        return;
    forget_foreign_connections(http);
    while (http->idle_count > 0)
        close_idle(&http->idle[--http->idle_count]);
    (void)pthread_mutex_destroy(&http->lock);
    hs_http_trust_clear(&http->settings.trust);
    hs_string_free(http->settings.client_certificate);
    hs_string_free(http->settings.client_key);
    hs_free(http);
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
    code = recall_url(http, request->url, &transfer.url, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_http_transfer_check(&transfer, err);
    if (code != HSMART_OK)
        goto out;
    code = acquire_handle(http, &transfer, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_http_transfer_prepare(&transfer, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_http_transfer_run(&transfer, err);
    if (code != HSMART_OK)
        goto out;
    transfer.is_done = true;
    log_exchange(http, &transfer, hs_clock_monotonic_ms() - started_ms);
    hs_http_response_clear(out_response);
    *out_response = transfer.response;
    transfer.response = (struct hs_http_response){0};
out:
    release_handle(http, &transfer);
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
