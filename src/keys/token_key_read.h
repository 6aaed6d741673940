/* Reading one key of a token. Private to src/keys. */
#ifndef HS_TOKEN_KEY_READ_H
#define HS_TOKEN_KEY_READ_H

#include "public_half.h"
#include "token_key.h"

/* The private key `object`, judged, with its public half, which `publics` may have. That a half cannot be had, or used,
 * is a problem of the key and not of the call. */
HSMART_MUST_CHECK enum hsmart_code hs_token_key_read(struct hs_p11_token *token, struct hs_p11_session *session,
                                                     struct hs_p11_object object, struct hs_public_list *publics,
                                                     struct hs_token_key **out_key, hsmart_err *err);
/* A public key object on its own: a half pair, listed so that nobody searches for it. */
HSMART_MUST_CHECK enum hsmart_code hs_token_key_read_lone_public(struct hs_p11_token *token,
                                                                 const struct hs_key_parts *parts,
                                                                 struct hs_token_key **out_key, hsmart_err *err);

#endif
