/* Dynamic client registration (RFC 7591), and the form that the SMART reference server takes instead. */
#ifndef HS_REGISTRATION_H
#define HS_REGISTRATION_H

#include "exchange.h"
#include "file.h"
#include "servers.h"
#include "text_list.h"

#define HS_REGISTRATION_MAX_LEN (1U << 20)

/* All strings are borrowed; NULL: left out. */
struct hs_registration_request {
    const char *registration_endpoint;
    const char *jwks;           /* a JWK Set as JSON text; or */
    const char *jwks_uri;       /* where ours is published: strongly preferred. Never both. */
    enum hs_auth_method method; /* 0: private_key_jwt */
    const char *signing_alg;    /* token_endpoint_auth_signing_alg */
    const char *scope;
    const char *client_name, *client_uri, *contact, *software_id, *software_version, *software_statement;
    const char *initial_access_token; /* in Authorization: Bearer */
};

/* What the server made of it. Zero is valid and empty; secrets are wiped by `hs_registration_clear`. */
struct hs_registration {
    char *client_id;
    struct hs_buf client_secret;
    int64_t client_secret_expires_at_s; /* 0: never */
    char *registration_client_uri;
    struct hs_buf registration_access_token;
    char *method, *scope;            /* as echoed; NULL: not echoed */
    struct hs_text_list differences; /* "scope: asked for \"…\", got \"…\"", one line each */
    char *registration_endpoint;
    int64_t registered_at_s;
};
void hs_registration_clear(struct hs_registration *registration);

/* The JSON object that is posted. HSMART_INVALID_ARGUMENT for both or none of `jwks` and `jwks_uri` (with a secret
 * method neither is needed), or a `jwks` that is no JWK Set or has private members. */
HSMART_MUST_CHECK enum hsmart_code hs_registration_format(const struct hs_registration_request *request,
                                                          struct hs_buf *out_json, hsmart_err *err);
/* Registers: one POST, never repeated, since a lost answer may have made a client. HSMART_SERVER_REFUSED with the
 * server's reason; HSMART_POLICY_REFUSED when it granted a method that is not one of ours, the client id being
 * told. */
HSMART_MUST_CHECK enum hsmart_code hs_registration_send(const struct hs_registration_request *request,
                                                        const struct hs_link *link,
                                                        struct hs_registration *out_registration, hsmart_err *err);
/* The SMART reference server: a form with `jwks` or `jwks_url` and an optional lifetime of access tokens in
 * minutes; the answer is the bare client id. */
HSMART_MUST_CHECK enum hsmart_code hs_registration_send_form(const struct hs_registration_request *request,
                                                             unsigned duration_min, const struct hs_link *link,
                                                             struct hs_registration *out_registration, hsmart_err *err);

/* ---- Keeping it: a JSON file for its owner only ---- */

/* In two steps, since a server says its secrets once: room for the file is made before anything is sent. */
HSMART_MUST_CHECK enum hsmart_code hs_registration_reserve(const char *path, struct hs_file_draft *out_draft,
                                                           hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_registration_keep(const struct hs_registration *registration,
                                                        struct hs_file_draft *draft, hsmart_err *err);
/* And in one. */
HSMART_MUST_CHECK enum hsmart_code hs_registration_save(const struct hs_registration *registration, const char *path,
                                                        hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_registration_load(const char *path, struct hs_registration *out_registration,
                                                        hsmart_err *err);
/* The secret, unless it has expired (HSMART_POLICY_REFUSED, saying since when) or there is none. */
HSMART_MUST_CHECK enum hsmart_code hs_registration_secret(const struct hs_registration *registration, int64_t now_s,
                                                          struct hs_secret *out_secret, hsmart_err *err);

#endif
