/* The public opaque types are our own objects under another name; these casts are the one place that knows. */
#ifndef HS_API_OBJECTS_H
#define HS_API_OBJECTS_H

#include <hsmart/hsmart.h>

#include "err.h"
#include "jwk.h"
#include "token_key.h"
#include "token_signer.h"

/* The options that a call cannot do without. */
HSMART_MUST_CHECK static inline enum hsmart_code
hs_api_check_given(const void *options, hsmart_err *err)
{
    if (options != NULL)
        return HSMART_OK;
    return hs_err_set(err, HSMART_INVALID_ARGUMENT, "no options are given: they say what is meant");
}

static inline hsmart_token *
hs_api_token(struct hs_p11_token *token)
{
    return (hsmart_token *)token;
}

static inline struct hs_p11_token *
hs_api_p11_token(hsmart_token *token)
{
    return (struct hs_p11_token *)token;
}

static inline hsmart_key *
hs_api_key(struct hs_token_key *key)
{
    return (hsmart_key *)key;
}

static inline const struct hs_token_key *
hs_api_token_key(const hsmart_key *key)
{
    return (const struct hs_token_key *)key;
}

static inline struct hs_jwks *
hs_api_jwks(hsmart_jwks *jwks)
{
    return (struct hs_jwks *)jwks;
}

static inline struct hs_signer *
hs_api_signer(hsmart_signer *signer)
{
    return (struct hs_signer *)signer;
}

#endif
