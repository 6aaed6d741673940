/* How a token can make a JWS signature: for each algorithm, the mechanisms to try, best first. */
#ifndef HS_KEY_MECHANISM_H
#define HS_KEY_MECHANISM_H

#include <p11-kit/pkcs11.h>

#include "alg.h"

/* What the mechanism is given to sign. */
enum hs_mechanism_input {
    HS_INPUT_MESSAGE,     /* the token hashes */
    HS_INPUT_DIGEST,      /* we hash */
    HS_INPUT_DIGEST_INFO, /* we hash, and put the DigestInfo of PKCS#1 around it (RFC 8017 section 9.2) */
};

struct hs_mechanism_row {
    const char *alg;
    CK_MECHANISM_TYPE type;
    enum hs_mechanism_input input;
    CK_RSA_PKCS_PSS_PARAMS pss; /* hash 0: no parameters */
};

#define HS_MECHANISMS_PER_ALG 2U
/* The `index`th row of `alg`, NULL past the last. */
const struct hs_mechanism_row *hs_mechanism_of(const struct hs_alg *alg, size_t index);

/* What C_Sign is given for `data`: `data` itself, or its digest put into `storage`. */
#define HS_MECHANISM_INPUT_MAX (32U + HS_HASH_MAX)
HSMART_MUST_CHECK enum hsmart_code hs_mechanism_prepare(const struct hs_mechanism_row *row, const struct hs_alg *alg,
                                                        struct hs_span data, uint8_t storage[HS_MECHANISM_INPUT_MAX],
                                                        struct hs_span *out_input, hsmart_err *err);

#endif
