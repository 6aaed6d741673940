/* Public keys as JWK (RFC 7517), their thumbprints (RFC 7638), PEM, and verifying with them. There is no private
 * counterpart on purpose. */
#ifndef HS_JWK_H
#define HS_JWK_H

#include "alg.h"
#include "json.h"

/* A public key. Zero is valid and empty. Immutable once made: it may be used from several threads at once. */
struct hs_jwk {
    enum hs_key_type type;
    const struct hs_curve *curve; /* EC */
    struct hs_buf n, e;           /* RSA: minimal big-endian */
    struct hs_buf x, y;           /* EC: `curve->field_len` bytes each */
    unsigned bits;                /* modulus or field size */
    char *kid, *alg, *use;        /* as found in or meant for the JWK; NULL: absent */
    struct hs_buf certificate;    /* DER, for x5c and x5t#S256; empty: none. Its key is this one. */
    char thumbprint[44];          /* RFC 7638 with SHA-256: 43 characters */
    EVP_PKEY *pkey;
};

/* From what a token gives: big-endian integers with or without leading zeros. Refuses an even or tiny modulus or
 * exponent with HSMART_KEY_UNUSABLE. Any size from 512 bits up is taken: policy is for the caller. */
HSMART_MUST_CHECK enum hsmart_code hs_jwk_from_rsa(struct hs_span modulus, struct hs_span exponent,
                                                   struct hs_jwk *out_jwk, hsmart_err *err);
/* From a curve and the uncompressed point `04 X Y`, which must lie on the curve. */
HSMART_MUST_CHECK enum hsmart_code hs_jwk_from_ec_point(const struct hs_curve *curve, struct hs_span point,
                                                        struct hs_jwk *out_jwk, hsmart_err *err);
/* From a DER SubjectPublicKeyInfo, or from the public key of a DER X.509 certificate. HSMART_KEY_UNUSABLE when its
 * type or curve is not in our tables. */
HSMART_MUST_CHECK enum hsmart_code hs_jwk_from_spki(struct hs_span der, struct hs_jwk *out_jwk, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_jwk_from_certificate(struct hs_span der, struct hs_jwk *out_jwk,
                                                           hsmart_err *err);
/* From a JSON object. HSMART_INPUT_MALFORMED, naming the member, when it is not a good public key; a private or
 * symmetric member (d p q dp dq qi oth k) is refused too. Unknown members are ignored. */
HSMART_MUST_CHECK enum hsmart_code hs_jwk_parse(const hs_json_value *value, struct hs_jwk *out_jwk, hsmart_err *err);
/* A deep copy. */
HSMART_MUST_CHECK enum hsmart_code hs_jwk_dup(const struct hs_jwk *jwk, struct hs_jwk *out_copy, hsmart_err *err);
void hs_jwk_clear(struct hs_jwk *jwk);

/* The members that make a JWK private or symmetric (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1): d p q dp dq qi oth k. */
extern const char *const hs_jwk_private_members[];
extern const size_t hs_jwk_private_member_count;

/* Whether two keys are the same key, whatever their kid, alg and use. */
bool hs_jwk_same_key(const struct hs_jwk *a, const struct hs_jwk *b);

/* Writes the object: kty, kid, use, alg, then the key members, then x5c and x5t#S256 when there is a certificate;
 * `kid` NULL: the thumbprint, `alg` NULL: the default. */
void hs_jwk_put(struct hs_json_writer *writer, const struct hs_jwk *jwk, const char *kid, const char *alg);
/* SubjectPublicKeyInfo in PEM. */
HSMART_MUST_CHECK enum hsmart_code hs_jwk_format_pem(const struct hs_jwk *jwk, struct hs_buf *out, hsmart_err *err);

/* The length of a signature by this key: the modulus, or twice the coordinate. */
size_t hs_jwk_signature_len(const struct hs_jwk *jwk);
/* Verifies a JWS signature (r and s side by side for EC). HSMART_SIGNATURE_WRONG when it does not verify or has the
 * wrong length; HSMART_INVALID_ARGUMENT when the algorithm does not fit the key. */
HSMART_MUST_CHECK enum hsmart_code hs_jwk_verify(const struct hs_jwk *jwk, const struct hs_alg *alg,
                                                 struct hs_span data, struct hs_span signature, hsmart_err *err);

/* ---- Sets (RFC 7517 section 5) ---- */

struct hs_jwks_entry {
    struct hs_jwk jwk;
    char *kid, *alg; /* as they are written */
};
struct hs_jwks {
    struct hs_jwks_entry *entries;
    size_t count;
};
/* Copies `jwk` in under `kid` and `alg` (NULL: thumbprint, default). HSMART_KEY_EXISTS for a kid that is there;
 * HSMART_INVALID_ARGUMENT for an empty kid, one that is not UTF-8, or an algorithm that does not fit. */
HSMART_MUST_CHECK enum hsmart_code hs_jwks_add(struct hs_jwks *jwks, const struct hs_jwk *jwk, const char *kid,
                                               const char *alg, hsmart_err *err);
/* Sorted by kid, indented, with a line end. */
HSMART_MUST_CHECK enum hsmart_code hs_jwks_format(const struct hs_jwks *jwks, struct hs_buf *out, hsmart_err *err);
void hs_jwks_clear(struct hs_jwks *jwks);

#endif
