/* For tests only: a signer on a private key in memory. */
#ifndef HS_SOFTWARE_SIGNER_H
#define HS_SOFTWARE_SIGNER_H

#include "signer.h"

/* Makes a key for `alg` (`rsa_bits` for RSA) and a signer on it. NULL when OpenSSL fails. */
struct hs_signer *software_signer_generate(const char *alg, unsigned rsa_bits, const char *kid);

/* A signer on the private key in a JWK (RFC 7518 sections 6.2.2 and 6.3.2). NULL when it is none. */
struct hs_signer *software_signer_from_jwk(const hs_json_value *private_jwk, const char *alg, const char *kid);

/* How often it was asked to sign. */
unsigned software_signer_count(const struct hs_signer *signer);
/* From now on it answers with this failure instead of a signature; HSMART_OK ends that. */
void software_signer_fail_with(struct hs_signer *signer, enum hsmart_code code);

#endif
