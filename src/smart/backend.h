/* One client at one server: discovery, access tokens and FHIR reads put together. */
#ifndef HS_BACKEND_H
#define HS_BACKEND_H

#include "client_auth.h"
#include "discovery.h"
#include "fhir.h"

/* Strings are copied; zero is the default of every field but `server`, `auth.client_id` and one of `fhir_base` and
 * `token_endpoint`. */
struct hs_backend_options {
    const char *name;            /* what messages call the client; NULL: its id */
    struct hs_server_row server; /* the row, with what the configuration overrides; its strings are copied */
    const char *fhir_base;
    const char *token_endpoint; /* NULL: from discovery */
    const char *token_pin;      /* the origin or URL that a discovered token endpoint must have */
    const char *audience;       /* HS_AUDIENCE_LITERAL: this */
    const char *scope;
    struct hs_client_auth auth;
    bool use_refresh_token;
    bool no_cache;               /* memory only */
    const char *cache_directory; /* NULL: see private_directory.h */
    struct hs_link link;
};

/* May be shared between threads, except for `hs_backend_free`. */
struct hs_backend;
HSMART_MUST_CHECK enum hsmart_code hs_backend_new(const struct hs_backend_options *options,
                                                  struct hs_backend **out_backend, hsmart_err *err);
void hs_backend_free(struct hs_backend *backend);

/* As `hs_access_token_get`. Nothing is sent, and no key touched, while one from the cache will do. */
HSMART_MUST_CHECK enum hsmart_code hs_backend_access_token(struct hs_backend *backend, unsigned min_validity_s,
                                                           struct hs_access_token *out_access_token, hsmart_err *err);
/* One more assertion, as a token request would carry it: with discovery where that needs it. HSMART_CONFIG_INVALID for
 * a client with a secret; else as `hs_backend_access_token`. */
HSMART_MUST_CHECK enum hsmart_code hs_backend_assertion(struct hs_backend *backend, struct hs_buf *out_jwt,
                                                        hsmart_err *err);
/* As `hs_access_token_renew`. */
HSMART_MUST_CHECK enum hsmart_code hs_backend_renew_access_token(struct hs_backend *backend,
                                                                 struct hs_access_token *out_access_token,
                                                                 hsmart_err *err);
void hs_backend_reject_access_token(struct hs_backend *backend, struct hs_span value);
/* For `hs_fhir_get` and `hs_fhir_get_all`; belongs to the backend. HSMART_CONFIG_INVALID without a FHIR base. */
HSMART_MUST_CHECK enum hsmart_code hs_backend_get_fhir(struct hs_backend *backend, const struct hs_fhir **out_fhir,
                                                       hsmart_err *err);

#endif
