/* Who asks for an access token: the form, the client behind it, and what is wrong with the request. */
#ifndef SANDBOX_AUTHENTICATE_H
#define SANDBOX_AUTHENTICATE_H

#include "check.h"
#include "exchange.h"

/* A token request taken apart. Zero is valid and empty. */
struct token_request {
    struct fields form;                  /* decoded */
    struct hs_buf storage;               /* what `form` points into */
    struct hs_span assertion, basic;     /* empty: none */
    struct hs_buf basic_text;            /* of the Authorization header, decoded */
    struct client *client;               /* the one that it says it is; NULL: unknown */
    struct hs_buf issuer, alg, kid, jti; /* of the assertion, not verified */
    int64_t exp_s;                       /* likewise; 0: it has none that is a whole number */
    struct hs_buf jwks;                  /* of the client */
    hsmart_err jwks_err;                 /* why there is none */
    bool has_jwks, jwks_was_read;
    struct hs_report report;
    struct hs_buf target, url; /* it was posted to, for the report */
    struct hs_request_header *headers;
};
void token_request_clear(struct token_request *request);

/* Reads the form and the assertion in it as far as that goes, finds the client and its keys. */
enum hsmart_code token_request_read(struct exchange *exchange, struct token_request *out_request, hsmart_err *err);
/* Every rule that concerns the request: `request->report`. */
enum hsmart_code token_request_check(struct exchange *exchange, struct token_request *request, hsmart_err *err);
/* Whether the signature of the assertion was looked at and is good. */
bool token_request_is_verified(const struct token_request *request);
/* What Inferno's client suite would see in it. */
void token_request_observe(struct exchange *exchange, const struct token_request *request);

/* Whether the secret of the request is the client's; `*out_is_raw` when it would be, were it not form-encoded. */
bool token_request_has_secret(const struct exchange *exchange, const struct token_request *request, bool *out_is_raw);

#endif
