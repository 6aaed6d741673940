/* A client's secret: read when a request needs it, so that one that was changed is found. */
#ifndef HS_HSMART_CLIENT_SECRET_H
#define HS_HSMART_CLIENT_SECRET_H

#include <pthread.h>

#include "client_auth.h"
#include "p11_pin.h"

/* Zero is valid and has no secret. */
struct hs_client_secret {
    struct hs_pin_source source; /* kind NULL: none */
    char *registration_file;     /* NULL: none */
    struct hs_secret kept;       /* of a source that can be read once only */
    pthread_mutex_t lock;        /* of `kept` */
    bool is_open;
};
/* `source` ("file:PATH" …) or `registration_file`, the other NULL. Nothing is read. HSMART_CONFIG_INVALID for a source
 * that gives no secret. */
HSMART_MUST_CHECK enum hsmart_code hs_client_secret_open(const char *source, const char *registration_file,
                                                         struct hs_client_secret *out_secret, hsmart_err *err);
void hs_client_secret_close(struct hs_client_secret *secret);
/* For a token request; `secret` must live as long, where it is. */
struct hs_secret_source hs_client_secret_source(struct hs_client_secret *secret);

#endif
