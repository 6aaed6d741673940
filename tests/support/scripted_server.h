/* For tests: a plain http server that answers word for word what it is told to, and remembers what it was asked. */
#ifndef HS_SCRIPTED_SERVER_H
#define HS_SCRIPTED_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "bytes.h"

enum scripted_then {
    SCRIPTED_KEEP,  /* waits for the next request on the same connection */
    SCRIPTED_CLOSE, /* closes it */
    SCRIPTED_STALL, /* keeps it open and says nothing more */
};
/* One reply per request; after the last one connections are closed without an answer. */
struct scripted_reply {
    const char *text; /* may be "" */
    enum scripted_then then;
    size_t filler_len; /* this many times 'x' follow the text */
};

struct scripted_server {
    unsigned port;
    const struct scripted_reply *replies;
    size_t reply_count;
    /* Read them after `scripted_server_stop`. */
    struct hs_buf requests; /* everything that was asked, one after the other */
    unsigned request_count, connection_count;
    pthread_t thread;
    int listener;
    atomic_bool stops;
};

/* `host`: the address it listens on, "127.0.0.1" or "0.0.0.0". Fails the test when it cannot start. */
void scripted_server_start(struct scripted_server *server, const char *host, const struct scripted_reply *replies,
                           size_t reply_count);
void scripted_server_stop(struct scripted_server *server);
void scripted_server_clear(struct scripted_server *server);

#endif
