/* `.well-known/smart-configuration` (SMART App Launch 2.2, "conformance"): read with tolerance, warned about
 * exactly. */
#ifndef HS_DISCOVERY_H
#define HS_DISCOVERY_H

#include "retry.h"
#include "servers.h"
#include "text_list.h"

#define HS_DISCOVERY_MAX_LEN (1U << 20)
#define HS_DISCOVERY_LIFE_DEFAULT_S 300 /* where Cache-Control does not say */
#define HS_DISCOVERY_LIFE_MAX_S 86400

/* What a server says of itself. Zero is valid and empty. URLs are absolute; NULL: not told. An empty list: not
 * told. */
struct hs_discovery {
    char *url; /* that was read */
    char *token_endpoint;
    char *issuer, *jwks_uri, *authorization_endpoint, *registration_endpoint, *introspection_endpoint,
        *revocation_endpoint, *management_endpoint;
    struct hs_text_list capabilities, grant_types, auth_methods, signing_algs, scopes, code_challenge_methods;
    struct hs_text_list warnings;    /* what is odd; told to the user, never a reason to stop */
    int64_t read_at_s, expires_at_s; /* by our clock; until when it may be used again */
    struct hs_buf document;          /* as it was received */
};
void hs_discovery_clear(struct hs_discovery *discovery);

/* The URL for a FHIR base: appended after the whole path. HSMART_INVALID_ARGUMENT when the base is no absolute
 * http(s) URL, or has a query or fragment. */
HSMART_MUST_CHECK enum hsmart_code hs_discovery_url(const char *fhir_base, struct hs_buf *out_url, hsmart_err *err);

/* Reads the document. Only `token_endpoint` is indispensable; relative URLs are resolved against the base as a
 * directory; unknown members are ignored, members of the wrong type too, with a warning. HSMART_SERVER_FAILED when
 * it is no JSON object or has no usable token endpoint. */
HSMART_MUST_CHECK enum hsmart_code hs_discovery_parse(const char *fhir_base, struct hs_span text,
                                                      struct hs_discovery *out_discovery, hsmart_err *err);

/* Fetches and reads it. HSMART_SERVER_FAILED for any answer but a 200, told in one line; else as the exchange. */
HSMART_MUST_CHECK enum hsmart_code hs_discovery_fetch(const struct hs_link *link, const char *fhir_base,
                                                      struct hs_discovery *out_discovery, hsmart_err *err);

/* Adds to `warnings` what speaks against the way we are about to authenticate (grant, capability, method). */
HSMART_MUST_CHECK enum hsmart_code hs_discovery_check_method(struct hs_discovery *discovery, enum hs_auth_method method,
                                                             hsmart_err *err);

/* A hijacked FHIR base must not choose where credentials go: the token endpoint has to be the pinned URL, or to
 * have the pinned origin when `pin` has no path. NULL: not pinned. HSMART_POLICY_REFUSED. */
HSMART_MUST_CHECK enum hsmart_code hs_discovery_check_pin(const char *token_endpoint, const char *pin, hsmart_err *err);

/* A token endpoint as it must be: absolute, https (or http to loopback, which the exchange allows or not), no fragment,
 * no user information, printable. HSMART_SERVER_FAILED. */
HSMART_MUST_CHECK enum hsmart_code hs_token_endpoint_check(const char *url, hsmart_err *err);

/* The algorithms with which we may sign, best first, separated by spaces: those of the server's row that the document
 * lists, where it lists any; those of the document when it lists none of the row's; RS384 and ES384 when neither says.
 */
HSMART_MUST_CHECK enum hsmart_code hs_discovery_algs(const struct hs_discovery *discovery,
                                                     const struct hs_server_row *server, struct hs_buf *out_algs,
                                                     hsmart_err *err);

#endif
