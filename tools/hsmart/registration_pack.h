/* What a server's portal wants to be told of a client: the public key in each form, the values to paste, and
 * fingerprints that two people can compare over the phone. */
#ifndef HSMART_REGISTRATION_PACK_H
#define HSMART_REGISTRATION_PACK_H

#include "client_target.h"

/* Writes jwks.json, jwk.json, public.pem and README.txt to `directory`, which is made where it is missing; public data
 * only. `out_text` gets what README.txt says. Opens the client's token. */
HSMART_MUST_CHECK enum hsmart_code registration_pack_write(struct client_target *target, const char *jwks_uri,
                                                           const char *directory, struct hs_buf *out_text,
                                                           hsmart_err *err);

/* The JWK Set of the client's key alone, and the key's algorithm. Released with `hsmart_string_free`. */
HSMART_MUST_CHECK enum hsmart_code registration_jwks(struct client_target *target, char **out_jwks, char **out_alg,
                                                     hsmart_err *err);

#endif
