/* How clients come to be known: registered over HTTP, or named at the start. */
#ifndef SANDBOX_REGISTRATION_H
#define SANDBOX_REGISTRATION_H

#include "sandbox.h"

/* What makes a client; strings and spans are borrowed, NULL: not given. */
struct client_wish {
    const char *id; /* NULL: a random one */
    const char *name, *signing_alg, *scope;
    enum hs_auth_method method;
    struct hs_span jwks; /* JSON text; or */
    const char *jwks_uri;
    struct hs_span secret;
    unsigned token_life_s;
};
/* Checks and adds it. HSMART_INPUT_MALFORMED when it cannot be one, HSMART_KEY_EXISTS, HSMART_SERVER_BUSY. */
enum hsmart_code register_client(struct sandbox *sandbox, const struct client_wish *wish, struct client **out_client,
                                 hsmart_err *err);
/* Adds the clients of a JSON file: an array of objects with client_id, and jwks, jwks_uri or client_secret_file. */
enum hsmart_code register_clients_of_file(struct sandbox *sandbox, const char *path, hsmart_err *err);

#endif
