#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include "front.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "clock.h"
#include "err.h"
#include "report.h"
#include "routes.h"

#define BACKLOG 64
#define DRAIN_MAX_LEN (8U << 20) /* of a body that is too long: more is not even read */
#define HEADERS_MAX 100U
#define QUERY_MAX 64U
#define PEER_MAX 64U

/* A connection, while it is open: the watch looks at when its request began. */
struct connection {
    bool is_used;
    int fd;
    int64_t began_ms; /* since when it has been sending a request, or taking an answer; 0: the answer is being made */
};

struct front {
    struct MHD_Daemon *daemon;
    struct sandbox *sandbox;
    pthread_mutex_t lock;
    struct connection connections[FRONT_CONNECTIONS_MAX + 1];
};

/* A request that is being received. */
struct incoming {
    struct hs_buf body;
    size_t body_len; /* also what was thrown away */
};

/* ---- The socket ---- */

static unsigned
port_of(const struct sockaddr_storage *address)
{
    struct sockaddr_in6 ipv6 = {0};
    struct sockaddr_in ipv4 = {0};

    memcpy(&ipv6, address, sizeof ipv6);
    memcpy(&ipv4, address, sizeof ipv4);
    return ntohs(address->ss_family == AF_INET6 ? ipv6.sin6_port : ipv4.sin_port);
}

enum hsmart_code
front_listen(const char *address, unsigned port, int *out_socket, unsigned *out_port, hsmart_err *err)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *info = NULL;
    struct sockaddr_storage bound = {0};
    socklen_t bound_len = sizeof bound;
    char service[16];
    int fd = -1, one = 1;

    (void)snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(address, service, &hints, &info) != 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%s\" is no IP address", address);
    fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &bound_len) != 0) {
        int failed = errno;
        if (fd >= 0)
            (void)close(fd);
        freeaddrinfo(info);
        (void)hs_err_errno(err, HSMART_NETWORK_FAILED, failed, "cannot listen on %s port %u", address, port);
        hs_err_hint(err, "give --port 0, which takes a free one, and with --listen an address of this machine");
        return HSMART_NETWORK_FAILED;
    }
    freeaddrinfo(info);
    *out_socket = fd;
    *out_port = port_of(&bound);
    return HSMART_OK;
}

/* ---- Connections, and the watch over them ---- */

static void
on_connection(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode what)
{
    struct front *front = cls;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

    (void)pthread_mutex_lock(&front->lock);
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = NULL;
        for (size_t i = 0; i < HS_ARRAY_LEN(front->connections) && *context == NULL && info != NULL; i++)
            if (!front->connections[i].is_used) {
                front->connections[i] = (struct connection){true, info->connect_fd, hs_clock_monotonic_ms()};
                *context = &front->connections[i];
            }
    } else if (*context != NULL) {
        ((struct connection *)*context)->is_used = false;
    }
    (void)pthread_mutex_unlock(&front->lock);
}

static void
mark(struct front *front, struct MHD_Connection *mhd, int64_t began_ms)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    if (info == NULL || info->socket_context == NULL)
        return;
    (void)pthread_mutex_lock(&front->lock);
    ((struct connection *)info->socket_context)->began_ms = began_ms;
    (void)pthread_mutex_unlock(&front->lock);
}

void
front_watch(struct front *front)
{
    int64_t now_ms = hs_clock_monotonic_ms();
    int64_t limit_ms = 1000 * (int64_t)front->sandbox->settings->request_max_s;

    (void)pthread_mutex_lock(&front->lock);
    for (size_t i = 0; i < HS_ARRAY_LEN(front->connections); i++) {
        struct connection *connection = &front->connections[i];
        if (connection->is_used && connection->began_ms != 0 && now_ms - connection->began_ms > limit_ms) {
            (void)shutdown(connection->fd, SHUT_RDWR); /* its own thread sees the end and closes */
            connection->began_ms = 0;
        }
    }
    (void)pthread_mutex_unlock(&front->lock);
}

/* ---- Requests ---- */

struct collecting {
    struct fields *fields;
    size_t max;
    bool failed;
};

static enum MHD_Result
collect(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len, const char *value, size_t value_len)
{
    struct collecting *collecting = cls;

    (void)kind;
    if (collecting->fields->count == collecting->max ||
        fields_add(collecting->fields, (struct hs_span){(const uint8_t *)name, name_len},
                   (struct hs_span){(const uint8_t *)value, value != NULL ? value_len : 0}, NULL) != HSMART_OK) {
        collecting->failed = true;
        return MHD_NO;
    }
    return MHD_YES;
}

static bool
collect_all(struct MHD_Connection *mhd, enum MHD_ValueKind kind, size_t max, struct fields *out_fields)
{
    struct collecting collecting = {out_fields, max, false};

    (void)MHD_get_connection_values_n(mhd, kind, collect, &collecting);
    return !collecting.failed;
}

static void
format_peer(struct MHD_Connection *mhd, char out[PEER_MAX])
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char host[48] = "?", port[8] = "";

    if (info != NULL && info->client_addr != NULL)
        (void)getnameinfo(info->client_addr,
                          info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                                   : sizeof(struct sockaddr_in),
                          host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    (void)snprintf(out, PEER_MAX, strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
}

/* ---- Answers ---- */

/* A body that is sent slowly, or not to its end. Owned by the response. */
struct slow_body {
    struct hs_buf body;
    struct wire wire;
    const struct sandbox *sandbox;
    bool has_waited;
};

static ssize_t
read_slow_body(void *cls, uint64_t position, char *out, size_t max)
{
    struct slow_body *slow = cls;
    size_t middle = slow->body.len / 2, end = position < middle ? middle : slow->body.len;
    size_t len = end - (size_t)position < max ? end - (size_t)position : max;

    if (position >= slow->body.len)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (position >= middle && slow->wire.cut)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (position >= middle && !slow->has_waited) {
        sandbox_wait_ms(slow->sandbox, slow->wire.body_wait_ms);
        slow->has_waited = true;
    }
    memcpy(out, slow->body.data + position, len);
    return (ssize_t)len;
}

static void
free_slow_body(void *cls)
{
    struct slow_body *slow = cls;

    hs_buf_clear(&slow->body);
    hs_free(slow);
}

static struct MHD_Response *
make_slow_response(const struct sandbox *sandbox, struct answer *answer)
{
    struct slow_body *slow = hs_calloc(1, sizeof *slow);

    if (slow == NULL)
        return NULL;
    slow->wire = answer->wire;
    slow->sandbox = sandbox;
    slow->body.max_len = answer->body.max_len;
    hs_buf_move(&answer->body, &slow->body);
    struct MHD_Response *response =
        MHD_create_response_from_callback(slow->body.len, 16U << 10, read_slow_body, slow, free_slow_body);
    if (response == NULL)
        free_slow_body(slow);
    return response;
}

static struct MHD_Response *
make_response(const struct sandbox *sandbox, struct answer *answer)
{
    struct MHD_Response *response =
        answer->wire.cut || answer->wire.body_wait_ms > 0
            ? make_slow_response(sandbox, answer)
            : MHD_create_response_from_buffer(answer->body.len, answer->body.data, MHD_RESPMEM_MUST_COPY);

    for (size_t i = 0; response != NULL && i < answer->header_count; i++)
        (void)MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
    return response;
}

static enum MHD_Result
send_answer(struct front *front, struct MHD_Connection *mhd, struct answer *answer)
{
    enum MHD_Result result = MHD_NO; /* closes the connection */

    sandbox_wait_ms(front->sandbox, answer->wire.wait_ms);
    mark(front, mhd, hs_clock_monotonic_ms() + answer->wire.body_wait_ms);
    if (!answer->wire.close) {
        struct MHD_Response *response = make_response(front->sandbox, answer);
        if (response != NULL) {
            result = MHD_queue_response(mhd, (unsigned)answer->status, response);
            MHD_destroy_response(response);
        }
    }
    answer_clear(answer);
    return result;
}

static enum MHD_Result
serve(struct front *front, struct MHD_Connection *mhd, const char *url, const char *method, struct incoming *incoming)
{
    char peer[PEER_MAX];
    struct request request = {
        .method = method,
        .path = url,
        .body = hs_span_buf(&incoming->body),
        .body_too_long = incoming->body_len > FRONT_BODY_MAX_LEN,
        .peer = peer,
    };
    struct answer answer = {0};

    format_peer(mhd, peer);
    if (!collect_all(mhd, MHD_HEADER_KIND, HEADERS_MAX, &request.headers) ||
        !collect_all(mhd, MHD_GET_ARGUMENT_KIND, QUERY_MAX, &request.query)) {
        answer.status = 400;
        report_note("%s %s ? 400 too many headers or parameters", peer, method);
    } else {
        route_request(front->sandbox, &request, &answer);
    }
    fields_clear(&request.query);
    fields_clear(&request.headers);
    return send_answer(front, mhd, &answer);
}

/* libmicrohttpd calls this when the headers are there, for each piece of the body, and at its end. */
static enum MHD_Result
on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method, const char *version,
           const char *data, size_t *data_len, void **context)
{
    struct front *front = cls;
    struct incoming *incoming = *context;

    (void)version;
    if (incoming == NULL) {
        incoming = hs_calloc(1, sizeof *incoming);
        *context = incoming;
        return incoming != NULL ? MHD_YES : MHD_NO;
    }
    if (*data_len > 0) {
        incoming->body_len += *data_len;
        if (incoming->body_len > DRAIN_MAX_LEN)
            return MHD_NO;
        if (incoming->body_len > FRONT_BODY_MAX_LEN)
            hs_buf_clear(&incoming->body);
        else if (hs_buf_append(&incoming->body, (struct hs_span){(const uint8_t *)data, *data_len}, NULL) != HSMART_OK)
            return MHD_NO;
        *data_len = 0;
        return MHD_YES;
    }
    mark(front, mhd, 0);
    return serve(front, mhd, url, method, incoming);
}

static void
on_completed(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode why)
{
    struct incoming *incoming = *context;

    (void)why;
    if (incoming != NULL) {
        hs_buf_clear(&incoming->body); /* may hold an assertion or a secret: wiped */
        hs_free(incoming);
        *context = NULL;
    }
    (void)mhd;
    (void)cls;
}

HSMART_PRINTF(2, 0)
static void
on_mhd_log(void *cls, const char *format, va_list args)
{
    char line[256];

    (void)cls;
    (void)vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\r\n")] = 0;
    report_detail("libmicrohttpd: %s", line);
}

/* ---- Starting and stopping ---- */

enum hsmart_code
front_start(struct sandbox *sandbox, int socket, const struct tls_identity *identity, struct front **out_front,
            hsmart_err *err)
{
    struct front *front = hs_calloc(1, sizeof *front);
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
                     MHD_USE_ERROR_LOG | MHD_USE_ITC | (identity != NULL ? MHD_USE_TLS : 0U);

    if (front == NULL || pthread_mutex_init(&front->lock, NULL) != 0) {
        hs_free(front);
        return hs_err_no_memory(err);
    }
    front->sandbox = sandbox;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0,
         identity != NULL ? (void *)(uintptr_t)hs_buf_text(&identity->certificate_pem) : NULL},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, identity != NULL ? (void *)(uintptr_t)hs_buf_text(&identity->key_pem) : NULL},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem nothing[] = {{MHD_OPTION_END, 0, NULL}};
    front->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, front, MHD_OPTION_EXTERNAL_LOGGER, on_mhd_log, NULL, MHD_OPTION_LISTEN_SOCKET,
        socket, MHD_OPTION_CONNECTION_LIMIT, FRONT_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, FRONT_IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)FRONT_HEADERS_MAX_LEN, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        front, MHD_OPTION_NOTIFY_CONNECTION, on_connection, front, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_ARRAY, identity != NULL ? tls : nothing, MHD_OPTION_END);
    if (front->daemon == NULL) {
        (void)pthread_mutex_destroy(&front->lock);
        hs_free(front);
        return hs_err_set(err, HSMART_INTERNAL, "libmicrohttpd does not start; -v says why");
    }
    *out_front = front;
    return HSMART_OK;
}

void
front_stop(struct front *front)
{
    if (front == NULL)
        return;
    atomic_store(&front->sandbox->stopping, true);
    MHD_stop_daemon(front->daemon);
    (void)pthread_mutex_destroy(&front->lock);
    hs_free(front);
}
