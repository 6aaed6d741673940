/* The signer seam on a token key: the private key signs on the token, the public key proves it here. */
#ifndef HS_TOKEN_SIGNER_H
#define HS_TOKEN_SIGNER_H

#include <hsmart/signer.h>

#include "signer.h"
#include "token_key.h"

/* Errors as `hsmart_signer_new`. The signer copies what it needs of `key` and holds a reference to its token. Its
 * `sign` may be called from several threads at once; each call uses a session of its own. */
HSMART_MUST_CHECK enum hsmart_code hs_token_signer_new(const struct hs_token_key *key,
                                                       const hsmart_signer_options *options,
                                                       struct hs_signer **out_signer, hsmart_err *err);

#endif
