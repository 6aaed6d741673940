/* The web server: libmicrohttpd, with a limit on everything. */
#ifndef SANDBOX_FRONT_H
#define SANDBOX_FRONT_H

#include "sandbox.h"
#include "tls_identity.h"

#define FRONT_CONNECTIONS_MAX 128U
#define FRONT_HEADERS_MAX_LEN (64U << 10) /* of one request, its target with them */
#define FRONT_BODY_MAX_LEN (1U << 20)
#define FRONT_IDLE_S 30U            /* a connection on which nothing happens */
#define FRONT_REQUEST_DEFAULT_S 60U /* from the first byte of a request to its last */

struct front;
/* A socket that listens; `*out_port` is the one that it got. `address` is numeric. */
enum hsmart_code front_listen(const char *address, unsigned port, int *out_socket, unsigned *out_port, hsmart_err *err);
/* Serves from now on, on threads of its own; the socket is taken over on success. `identity` NULL: plain http. */
enum hsmart_code front_start(struct sandbox *sandbox, int socket, const struct tls_identity *identity,
                             struct front **out_front, hsmart_err *err);
/* Ends connections that have been sending one request for too long. To be called every second or so. */
void front_watch(struct front *front);
/* Lets requests that are being answered end, and stops. */
void front_stop(struct front *front);

#endif
