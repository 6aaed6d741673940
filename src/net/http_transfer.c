#include "http_transfer.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <hsmart/version.h>

#include "clock.h"
#include "err.h"

#define TIMEOUT_DEFAULT_MS 30000U
#define BODY_DEFAULT_MAX_LEN (1U << 20)
#define HEADERS_MAX_LEN (64U << 10)
#define HEADER_VALUE_MAX_LEN (64U << 10)
#define USER_AGENT "hsmart/" HSMART_VERSION_STRING

/* ---- Checking what was asked for ---- */

static enum hsmart_code
check_method(const struct hs_http_request *request, hsmart_err *err)
{
    static const char *const methods[] = {"GET", "POST", "DELETE"};

    for (size_t i = 0; i < HS_ARRAY_LEN(methods); i++)
        if (request->method != NULL && strcmp(request->method, methods[i]) == 0) {
            if (request->body.len > 0 && strcmp(request->method, "POST") != 0)
                return hs_err_set(err, HSMART_INVALID_ARGUMENT, "a %s request has no body", request->method);
            return HSMART_OK;
        }
    return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the method must be GET, POST or DELETE");
}

/* RFC 9110 section 5.6.2. */
static bool
is_header_name(const char *name)
{
    static const char characters[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    return name[0] != 0 && name[strspn(name, characters)] == 0;
}

/* No byte that ends a header, or that a server could take for its end. */
static bool
is_header_value(const char *value)
{
    for (const uint8_t *c = (const uint8_t *)value; *c != 0; c++)
        if ((*c < ' ' && *c != '\t') || *c == 0x7f)
            return false;
    return value[0] != 0 && strlen(value) <= HEADER_VALUE_MAX_LEN;
}

static enum hsmart_code
check_headers(const struct hs_http_request *request, hsmart_err *err)
{
    for (size_t i = 0; i < HS_HTTP_HEADERS_MAX && request->headers[i].name != NULL; i++) {
        const struct hs_http_header *header = &request->headers[i];
        if (!is_header_name(header->name))
            return hs_err_set(err, HSMART_INVALID_ARGUMENT, "a header has a name that no header can have");
        if (header->value == NULL || !is_header_value(header->value))
            return hs_err_set(err, HSMART_INVALID_ARGUMENT,
                              "the value of the header \"%s\" is empty, too long, or has a control character",
                              header->name);
    }
    return HSMART_OK;
}

static enum hsmart_code
check_scheme(const struct hs_http_transfer *transfer, hsmart_err *err)
{
    const struct hs_http_url *url = &transfer->url;
    enum hsmart_code code;

    if (url->is_https || (url->is_loopback && transfer->settings->allow_http_to_loopback))
        return HSMART_OK;
    code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "%s is not https", hs_buf_text(&url->origin));
    if (url->is_loopback)
        hs_err_hint(err, "plain http to this machine, for tests, has to be allowed explicitly");
    else
        hs_err_hint(err, "use the https URL: nothing is ever sent unencrypted to another machine");
    return code;
}

enum hsmart_code
hs_http_transfer_check(struct hs_http_transfer *transfer, hsmart_err *err)
{
    enum hsmart_code code = check_method(transfer->request, err);

    if (code == HSMART_OK)
        code = check_headers(transfer->request, err);
    if (code == HSMART_OK && transfer->url.origin.len == 0)
        code = hs_http_url_parse(transfer->request->url, &transfer->url, err);
    if (code != HSMART_OK)
        return code;
    if (strchr(transfer->request->url, '#') != NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the URL has a fragment (\"#\"), which is never sent");
    return check_scheme(transfer, err);
}

/* ---- Callbacks ---- */

static size_t
stop(struct hs_http_transfer *transfer, enum hs_http_stop why)
{
    transfer->stop = why;
    return 0; /* fewer bytes than were offered: libcurl ends the transfer */
}

static size_t
take_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct hs_http_transfer *transfer = arg;
    struct hs_buf *body = &transfer->response.body;
    size_t len = size * count;

    if (len > transfer->max_body_len - body->len)
        return stop(transfer, HS_HTTP_BODY_TOO_LONG);
    if (hs_buf_append(body, (struct hs_span){(const uint8_t *)bytes, len}, NULL) != HSMART_OK)
        return stop(transfer, HS_HTTP_NO_MEMORY);
    return len;
}

/* The status of "HTTP/1.1 200 OK"; 0 when the line is not one. */
static int
status_of(struct hs_span line)
{
    const uint8_t *end = line.len > 5 && memcmp(line.data, "HTTP/", 5) == 0 ? memchr(line.data, ' ', line.len) : NULL;

    if (end == NULL || line.data + line.len - end < 4)
        return 0;
    int status = 0;
    for (int i = 1; i <= 3; i++) {
        if (end[i] < '0' || end[i] > '9')
            return 0;
        status = 10 * status + (end[i] - '0');
    }
    return status;
}

/* Keeps the last block only: 100 Continue and 103 Early Hints come with headers of their own. What follows the final
 * block is a trailer, and nothing of ours. */
static size_t
take_header_line(char *bytes, size_t size, size_t count, void *arg)
{
    struct hs_http_transfer *transfer = arg;
    struct hs_http_response *response = &transfer->response;
    struct hs_span line = {(const uint8_t *)bytes, size * count};

    transfer->headers_seen_len += line.len;
    if (transfer->headers_seen_len > HEADERS_MAX_LEN)
        return stop(transfer, HS_HTTP_HEADERS_TOO_LONG);
    if (transfer->has_final_headers)
        return line.len;
    if (!transfer->in_headers) {
        hs_buf_clear(&response->headers);
        response->status = status_of(line);
        transfer->in_headers = true;
    }
    if (hs_buf_append(&response->headers, line, NULL) != HSMART_OK)
        return stop(transfer, HS_HTTP_NO_MEMORY);
    if (line.len > 0 && (line.data[0] == '\r' || line.data[0] == '\n')) {
        transfer->in_headers = false;
        transfer->has_final_headers = response->status >= 200;
    }
    return line.len;
}

static bool
is_loopback_address(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24) == 127;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* A socket that a child process does not inherit; for plain http, only to this machine whatever a resolver said. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct hs_http_transfer *transfer = arg;

    (void)purpose;
    if (!transfer->url.is_https && !is_loopback_address(&address->addr)) {
        transfer->stop = HS_HTTP_NOT_LOOPBACK;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Runs before each sending. When a kept connection turns out to be closed, libcurl repeats the request by itself; the
 * server may have seen the first, and an assertion is used for one attempt only. The caller may try again with a new
 * one. */
static int
before_sending(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    struct hs_http_transfer *transfer = arg;

    (void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
    if (transfer->attempts++ > 0 && strcmp(transfer->request->method, "GET") != 0) {
        transfer->stop = HS_HTTP_WOULD_REPEAT;
        return CURL_PREREQFUNC_ABORT;
    }
    return CURL_PREREQFUNC_OK;
}

/* ---- Options ---- */

static const struct {
    CURLoption option;
    long value;
} fixed_options[] = {
    {CURLOPT_SSL_VERIFYPEER, 1},
    {CURLOPT_SSL_VERIFYHOST, 2},
    {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2}, /* or newer */
    {CURLOPT_PROXY_SSL_VERIFYPEER, 1},
    {CURLOPT_PROXY_SSL_VERIFYHOST, 2},
    {CURLOPT_PROXY_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
    {CURLOPT_FOLLOWLOCATION, 0},
    {CURLOPT_DISALLOW_USERNAME_IN_URL, 1},
    {CURLOPT_NETRC, CURL_NETRC_IGNORED},
    {CURLOPT_HTTP_VERSION,
     CURL_HTTP_VERSION_1_1}, /* what every vendor promises; one exchange gains nothing by HTTP/2 */
    {CURLOPT_HTTP09_ALLOWED, 0},
    {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
    {CURLOPT_NOSIGNAL, 1},
    {CURLOPT_VERBOSE, 0},
    {CURLOPT_TCP_KEEPALIVE, 1},
    {CURLOPT_MAXCONNECTS, 1},     /* a handle keeps one connection */
    {CURLOPT_MAXAGE_CONN, 50},    /* seconds: before most servers and load balancers close an idle one (60, 75) */
    {CURLOPT_LOW_SPEED_LIMIT, 1}, /* byte a second: */
    {CURLOPT_LOW_SPEED_TIME, 60}, /* for callers with a long timeout */
};

/* Sets an option unless one before failed. `value` as curl_easy_setopt takes it: long, curl_off_t or pointer. */
#define SET(option, value)                                                                                             \
    do {                                                                                                               \
        if (result == CURLE_OK)                                                                                        \
            result = curl->easy_setopt(handle, option, value);                                                         \
    } while (0)

static CURLcode
set_callbacks(struct hs_http_transfer *transfer)
{
    const struct hs_curl *curl = transfer->curl;
    CURL *handle = transfer->handle;
    CURLcode result = CURLE_OK;

    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, transfer);
    SET(CURLOPT_HEADERFUNCTION, take_header_line);
    SET(CURLOPT_HEADERDATA, transfer);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, transfer);
    SET(CURLOPT_PREREQFUNCTION, before_sending);
    SET(CURLOPT_PREREQDATA, transfer);
    SET(CURLOPT_ERRORBUFFER, transfer->curl_text);
    return result;
}

static CURLcode
set_trust(struct hs_http_transfer *transfer)
{
    const struct hs_curl *curl = transfer->curl;
    const struct hs_http_settings *settings = transfer->settings;
    const struct hs_http_trust *trust = &settings->trust;
    CURL *handle = transfer->handle;
    struct curl_blob bundle = {.data = trust->bundle.data, .len = trust->bundle.len, .flags = CURL_BLOB_NOCOPY};
    CURLcode result = CURLE_OK;

    if (trust->is_set) {
        SET(CURLOPT_CAINFO, trust->file);
        SET(CURLOPT_CAPATH, trust->directory);
        SET(CURLOPT_PROXY_CAINFO, trust->file);
        SET(CURLOPT_PROXY_CAPATH, trust->directory);
    }
    if (bundle.len > 0) {
        SET(CURLOPT_CAINFO_BLOB, &bundle);
        SET(CURLOPT_PROXY_CAINFO_BLOB, &bundle);
    }
    SET(CURLOPT_SSLCERT, settings->client_certificate);
    SET(CURLOPT_SSLKEY, settings->client_key);
    SET(CURLOPT_KEYPASSWD, ""); /* or OpenSSL would ask for one on the terminal */
    return result;
}

static CURLcode
set_request(struct hs_http_transfer *transfer)
{
    const struct hs_curl *curl = transfer->curl;
    const struct hs_http_request *request = transfer->request;
    CURL *handle = transfer->handle;
    unsigned timeout_ms = request->timeout_ms != 0 ? request->timeout_ms : TIMEOUT_DEFAULT_MS;
    CURLcode result = CURLE_OK;

    for (size_t i = 0; i < HS_ARRAY_LEN(fixed_options); i++)
        SET(fixed_options[i].option, fixed_options[i].value);
    /* Or the end of a transfer waits for a resolver that does not answer, whatever the timeout. From libcurl 7.87. */
    (void)curl->easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);
    SET(CURLOPT_PROTOCOLS_STR, transfer->url.is_https ? "https" : "http");
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_FRESH_CONNECT, transfer->wants_new_connection ? 1L : 0L);
    if (transfer->url.is_loopback)
        SET(CURLOPT_PROXY, ""); /* whatever the environment says */
    SET(CURLOPT_USERAGENT, USER_AGENT);
    SET(CURLOPT_HTTPHEADER, transfer->headers);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)transfer->settings->connect_timeout_ms);
    SET(CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)transfer->max_body_len);
    if (strcmp(request->method, "POST") == 0) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        SET(CURLOPT_POSTFIELDS, request->body.len > 0 ? (const char *)request->body.data : "");
    } else if (strcmp(request->method, "GET") != 0) {
        SET(CURLOPT_CUSTOMREQUEST, request->method);
    }
    return result;
}

static enum hsmart_code
add_header(struct hs_http_transfer *transfer, const char *name, const char *value, hsmart_err *err)
{
    struct hs_buf line = {.max_len = 2 * HEADER_VALUE_MAX_LEN};
    enum hsmart_code code = hs_buf_append_str(&line, name, err);

    if (code == HSMART_OK)
        code = hs_buf_append_str(&line, value[0] != 0 ? ": " : ":", err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(&line, value, err);
    if (code == HSMART_OK) {
        struct curl_slist *longer = transfer->curl->slist_append(transfer->headers, hs_buf_text(&line));
        if (longer != NULL)
            transfer->headers = longer;
        else
            code = hs_err_no_memory(err);
    }
    hs_buf_clear(&line);
    return code;
}

static enum hsmart_code
add_headers(struct hs_http_transfer *transfer, hsmart_err *err)
{
    const struct hs_http_header *headers = transfer->request->headers;
    enum hsmart_code code = add_header(transfer, "Expect", "", err); /* without a value: is not sent */

    for (size_t i = 0; i < HS_HTTP_HEADERS_MAX && headers[i].name != NULL && code == HSMART_OK; i++)
        code = add_header(transfer, headers[i].name, headers[i].value, err);
    return code;
}

enum hsmart_code
hs_http_transfer_prepare(struct hs_http_transfer *transfer, hsmart_err *err)
{
    enum hsmart_code code = add_headers(transfer, err);

    if (code != HSMART_OK)
        return code;
    transfer->max_body_len =
        transfer->request->max_response_len != 0 ? transfer->request->max_response_len : BODY_DEFAULT_MAX_LEN;
    transfer->response.body.max_len = transfer->max_body_len;
    transfer->response.headers.max_len = HEADERS_MAX_LEN;

    CURLcode result = set_callbacks(transfer);
    if (result == CURLE_OK)
        result = set_trust(transfer);
    if (result == CURLE_OK)
        result = set_request(transfer);
    if (result == CURLE_OUT_OF_MEMORY)
        return hs_err_no_memory(err);
    if (result == CURLE_OK)
        return HSMART_OK;
    /* Never go on without an option: it may be the one that makes this safe. */
    code = hs_err_set(err, HSMART_INTERNAL, "this libcurl cannot do what is needed (%s)",
                      transfer->curl->easy_strerror(result));
    hs_err_hint(err, "install libcurl 7.85 or newer with OpenSSL (Debian package libcurl4)");
    return code;
}

/* ---- The transfer ---- */

enum hsmart_code
hs_http_transfer_run(struct hs_http_transfer *transfer, hsmart_err *err)
{
    struct hs_http_response *response = &transfer->response;
    long status = 0;

    response->sent_at_s = hs_clock_now_s();
    CURLcode result = transfer->curl->easy_perform(transfer->handle);
    response->received_at_s = hs_clock_now_s();
    if (result == CURLE_OK)
        result = transfer->curl->easy_getinfo(transfer->handle, CURLINFO_RESPONSE_CODE, &status);
    if (result != CURLE_OK)
        return hs_http_transfer_failure(transfer, result, err);
    if (!transfer->has_final_headers) /* libcurl is content with half of them */
        return hs_http_transfer_failure(transfer, CURLE_PARTIAL_FILE, err);
    response->status = (int)status;
    return HSMART_OK;
}

void
hs_http_transfer_clear(struct hs_http_transfer *transfer)
{
    for (struct curl_slist *header = transfer->headers; header != NULL; header = header->next)
        hs_wipe(header->data, strlen(header->data)); /* Authorization */
    if (transfer->headers != NULL)
        transfer->curl->slist_free_all(transfer->headers);
    transfer->headers = NULL;
    hs_http_url_clear(&transfer->url);
    hs_http_response_clear(&transfer->response);
}
