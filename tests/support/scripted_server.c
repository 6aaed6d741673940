#include "scripted_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Bytes that are there, 0 at the end of the connection or of the server. */
static size_t
read_some(struct scripted_server *server, int connection, char *bytes, size_t len)
{
    struct pollfd wait = {.fd = connection, .events = POLLIN};

    while (!atomic_load(&server->stops))
        if (poll(&wait, 1, 20) > 0) {
            ssize_t got = recv(connection, bytes, len, 0);
            return got > 0 ? (size_t)got : 0;
        }
    return 0;
}

/* One request with its body; false at the end of the connection. */
static bool
read_request(struct scripted_server *server, int connection)
{
    struct hs_buf request = {0};
    char bytes[4096];
    size_t wanted = 0, got;

    while (wanted == 0 || request.len < wanted) {
        got = read_some(server, connection, bytes, sizeof bytes);
        if (got == 0 || hs_buf_append(&request, (struct hs_span){(const uint8_t *)bytes, got}, NULL) != HSMART_OK)
            break;
        const char *text = hs_buf_text(&request), *end = strstr(text, "\r\n\r\n");
        const char *length = strstr(text, "Content-Length: ");
        if (end != NULL)
            wanted = (size_t)(end + 4 - text) + (length != NULL && length < end ? strtoul(length + 16, NULL, 10) : 0);
    }
    bool complete = wanted != 0 && request.len >= wanted;
    if (complete) {
        server->request_count++;
        complete = hs_buf_append(&server->requests, hs_span_buf(&request), NULL) == HSMART_OK;
    }
    hs_buf_clear(&request);
    return complete;
}

static void
write_reply(int connection, const struct scripted_reply *reply)
{
    static const char filler[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    ssize_t sent = send(connection, reply->text, strlen(reply->text), MSG_NOSIGNAL);

    for (size_t left = reply->filler_len; left > 0 && sent >= 0; left -= (size_t)sent)
        sent = send(connection, filler, left < sizeof filler - 1 ? left : sizeof filler - 1, MSG_NOSIGNAL);
}

static void
serve_connection(struct scripted_server *server, int connection)
{
    while (read_request(server, connection)) {
        if (server->request_count > server->reply_count)
            return;
        const struct scripted_reply *reply = &server->replies[server->request_count - 1];
        write_reply(connection, reply);
        if (reply->then == SCRIPTED_CLOSE)
            return;
        while (reply->then == SCRIPTED_STALL && !atomic_load(&server->stops))
            (void)poll(NULL, 0, 20);
    }
}

static void *
serve(void *arg)
{
    struct scripted_server *server = arg;

    for (;;) {
        int connection = accept(server->listener, NULL, NULL);
        if (connection < 0)
            return NULL;
        server->connection_count++;
        serve_connection(server, connection);
        (void)close(connection);
    }
}

void
scripted_server_start(struct scripted_server *server, const char *host, const struct scripted_reply *replies,
                      size_t reply_count)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;

    *server = (struct scripted_server){.replies = replies, .reply_count = reply_count};
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->listener >= 0);
    assert_int_equal(inet_pton(AF_INET, host, &address.sin_addr), 1);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(server->listener, 8), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

void
scripted_server_stop(struct scripted_server *server)
{
    atomic_store(&server->stops, true);
    (void)shutdown(server->listener, SHUT_RDWR); /* ends accept */
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
}

void
scripted_server_clear(struct scripted_server *server)
{
    hs_buf_clear(&server->requests);
}
