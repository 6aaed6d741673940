/* The JWS algorithms (RFC 7518 section 3) and the curves (section 6.2.1.1): one row each. */
#ifndef HS_ALG_H
#define HS_ALG_H

#include <openssl/types.h>

#include "bytes.h"

enum hs_key_type { HS_KEY_RSA, HS_KEY_EC };
enum hs_padding { HS_PADDING_NONE, HS_PADDING_PKCS1, HS_PADDING_PSS };

struct hs_curve {
    const char *name;        /* JWK crv: "P-384" */
    const char *group;       /* OpenSSL's group name: "secp384r1" */
    struct hs_span oid_der;  /* DER of the named curve's OBJECT IDENTIFIER, as in CKA_EC_PARAMS */
    size_t field_len;        /* bytes of a coordinate and of r and s: 32, 48, 66 */
    unsigned bits;
};
extern const struct hs_curve hs_curves[];
extern const size_t hs_curve_count;
const struct hs_curve *hs_curve_by_name(const char *name);
const struct hs_curve *hs_curve_by_oid_der(struct hs_span der);

#define HS_HASH_MAX 64U
struct hs_alg {
    const char *name;   /* "RS384" */
    enum hs_key_type key_type;
    enum hs_padding padding;
    const char *hash;   /* OpenSSL's name: "SHA384" */
    size_t hash_len;
    struct hs_span digest_info_prefix; /* DER before the digest in PKCS#1 v1.5 (RFC 8017 section 9.2) */
    const char *curve;  /* EC: the one curve that fits (RFC 7518 section 3.4); NULL for RSA */
};
extern const struct hs_alg hs_algs[];
extern const size_t hs_alg_count;
const struct hs_alg *hs_alg_by_name(const char *name);
/* RS384 for RSA, the algorithm of the curve for EC. */
const struct hs_alg *hs_alg_default(enum hs_key_type type, const struct hs_curve *curve);
bool hs_alg_fits(const struct hs_alg *alg, enum hs_key_type type, const struct hs_curve *curve);
/* The names that fit, for messages: "RS384, RS256, …". Static. */
const char *hs_alg_names(enum hs_key_type type, const struct hs_curve *curve);

/* The digest of `data` under the algorithm's hash; `out` has room for HS_HASH_MAX bytes. */
HSMART_MUST_CHECK enum hsmart_code hs_alg_digest(const struct hs_alg *alg, struct hs_span data, uint8_t *out,
                                                 hsmart_err *err);

/* OpenSSL's implementation of "SHA256", "SHA384" or "SHA512", fetched once; NULL when it has none. */
const EVP_MD *hs_alg_md(const char *hash);

#define HS_RSA_MIN_BITS 2048U  /* RFC 7518 section 3.3 */
#define HS_RSA_MAX_BITS 16384U /* OpenSSL's own limit for verifying */

#endif
