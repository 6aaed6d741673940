/* One access token request, one answer (RFC 6749 sections 4.4.2 and 6, RFC 7523 section 2.2). */
#ifndef HS_TOKEN_REQUEST_H
#define HS_TOKEN_REQUEST_H

#include "client_auth.h"
#include "exchange.h"

#define HS_TOKEN_RESPONSE_MAX_LEN (256U << 10)

/* All strings are borrowed. */
struct hs_token_request {
    const char *token_endpoint; /* posted to, as it is */
    const char *audience;       /* of the assertion */
    const char *algs;           /* with which the server lets us sign */
    const char *scope;          /* NULL: not sent */
    const char *refresh_token;  /* NULL: client_credentials; only where the configuration says so */
    const struct hs_client_auth *auth;
};

/* Makes a new assertion, or reads the secret, and posts the form. HSMART_OK for any HTTP answer, whatever its status;
 * else what the signer, the secret source or the exchange returned. Form, header and secret are wiped. */
HSMART_MUST_CHECK enum hsmart_code hs_token_request_send(const struct hs_token_request *request,
                                                         const struct hs_link *link,
                                                         struct hs_http_response *out_response, hsmart_err *err);

#endif
