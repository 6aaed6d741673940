/* What is behind an `hsmart_client`. */
#ifndef HS_HSMART_CLIENT_OBJECT_H
#define HS_HSMART_CLIENT_OBJECT_H

#include "backend.h"
#include "hsmart_client_link.h"
#include "hsmart_client_secret.h"

struct hs_client_signer {
    hsmart_signer *signer; /* or */
    hsmart_signer_fn open;
    void *arg;
};

struct hsmart_client {
    struct hs_client_link net;
    struct hs_client_signer signer;
    struct hs_signer_assertions *assertions; /* NULL: a client with a secret */
    struct hs_client_secret secret;
    struct hs_backend *backend;
};

#endif
