/* How a client proves who it is: with an assertion that is made when it is needed, or with a secret that is read
 * then. */
#ifndef HS_CLIENT_AUTH_H
#define HS_CLIENT_AUTH_H

#include "assertion.h"
#include "servers.h"

/* Makes one new assertion. Behind it is a signer, which is opened when the first assertion is asked for: an access
 * token out of the cache must not load a PKCS#11 module. `algs`: with which the server lets us sign, separated by
 * spaces; a key that can do none of them is refused before it signs anything. Safe to call from several threads at
 * once. */
struct hs_assertion_source {
    enum hsmart_code (*make)(void *arg, const char *client_id, const char *audience, const char *algs,
                             struct hs_buf *out_jwt, hsmart_err *err);
    void *arg;
};

/* Reads the client secret; asked anew for each request, so that a changed one is found. */
struct hs_secret_source {
    enum hsmart_code (*read)(void *arg, struct hs_secret *out_secret, hsmart_err *err);
    void *arg;
};

/* All strings are borrowed. */
struct hs_client_auth {
    enum hs_auth_method method;
    const char *client_id;
    struct hs_assertion_source assertions; /* HS_AUTH_PRIVATE_KEY_JWT */
    struct hs_secret_source secret;        /* HS_AUTH_SECRET_BASIC, HS_AUTH_SECRET_POST */
    enum hs_basic_form basic;
    bool sends_client_id; /* client_id in the body beside the assertion */
};
/* "private_key_jwt", "client_secret_basic", "client_secret_post": as in metadata and registrations. */
const char *hs_auth_method_name(enum hs_auth_method method);
/* 0 when there is none of that name. */
enum hs_auth_method hs_auth_method_by_name(const char *name);

/* ---- An assertion source on a signer ---- */

/* `open` is called once, when the first assertion is made, and again only when it failed. The signer stays its
 * owner's. */
struct hs_signer_source {
    enum hsmart_code (*open)(void *arg, const char *algs, struct hs_signer **out_signer, hsmart_err *err);
    void *arg;
};
struct hs_signer_assertions;
/* `own`: type, jku, lifetime, iat and nbf are taken from it, and from the server's row where it leaves them at their
 * default. The row's strings must live as long. The log hears what the server will not take. */
HSMART_MUST_CHECK enum hsmart_code
hs_signer_assertions_new(const struct hs_signer_source *source, const struct hs_server_row *server,
                         const hsmart_assertion_options *own, const struct hs_log *log,
                         struct hs_signer_assertions **out_assertions, hsmart_err *err);
void hs_signer_assertions_free(struct hs_signer_assertions *assertions);
struct hs_assertion_source hs_signer_assertions_source(struct hs_signer_assertions *assertions);

#endif
