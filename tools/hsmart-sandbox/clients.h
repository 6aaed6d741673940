/* The registered clients. */
#ifndef SANDBOX_CLIENTS_H
#define SANDBOX_CLIENTS_H

#include "expiring.h"
#include "jwks_source.h"
#include "servers.h"

#define CLIENTS_MAX 1000U
#define CLIENT_ID_MAX (64U << 10)

/* Lives as long as the sandbox. Nothing of it changes after registration but what `keys` fetches. */
struct client {
    char *id, *name; /* `name` NULL: not given */
    enum hs_auth_method method;
    struct jwks_source keys; /* HS_AUTH_PRIVATE_KEY_JWT */
    struct digest secret;    /* of the client secret, for the other methods */
    char *signing_alg;       /* the only one it signs with; NULL: any */
    char *scope;             /* that it may ask for; NULL: any */
    unsigned token_life_s;   /* 0: the sandbox's default */
};
void client_free(struct client *client);
enum hsmart_code client_set_secret(struct client *client, struct hs_span secret, hsmart_err *err);
/* In constant time. */
bool client_has_secret(const struct client *client, struct hs_span secret);

struct clients {
    struct client **items;
    size_t count;
};
/* Takes `client` over on success. HSMART_KEY_EXISTS for an id that is there, HSMART_SERVER_BUSY when there are
 * CLIENTS_MAX. */
enum hsmart_code clients_add(struct clients *clients, struct client *client, hsmart_err *err);
struct client *clients_find(const struct clients *clients, struct hs_span id);
void clients_clear(struct clients *clients);

#endif
