/* Client assertions (RFC 7523 section 2.2, SMART App Launch 2.2 "asymmetric client authentication"). */
#ifndef HSMART_SIGNER_H
#define HSMART_SIGNER_H

#include <hsmart/key.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An `hsmart_signer` signs client assertions with one private key that never leaves its token. It may be shared
 * between threads: every call is safe beside every other, except `hsmart_signer_free`. It keeps its token open. */
typedef struct hsmart_signer hsmart_signer;

typedef struct hsmart_signer_options {
    const char *alg;           /* NULL: the key's default (`alg` of hsmart_key_info: RS384 for RSA, ES384 for P-384) */
    const char *server_algs;   /* which a server takes, best first, separated by spaces: without `alg`, the key's
                                  default (as in its JWK) where it is among them, else the first that the key can
                                  do; NULL, or none that it can do: the key's default */
    const char *kid;           /* not empty; NULL: the RFC 7638 thumbprint */
    const char *thumbprint;    /* the key must have this RFC 7638 thumbprint; NULL: not compared */
    bool allow_extractable;    /* sign although the token would give this key away */
} hsmart_signer_options;

/* `hsmart_signer_new` makes a signer on `key`. `options` may be NULL. The token is not asked to sign yet.
 * Returns HSMART_OK, or
 *   HSMART_KEY_UNUSABLE       the pair has no private half here, or its type is not supported;
 *   HSMART_KEY_MISMATCH       its thumbprint is not the expected one;
 *   HSMART_POLICY_REFUSED     an RSA key below 2048 bits or with a modulus that can be factored (CVE-2017-15361), a key
 *                             that may leave the token;
 *   HSMART_TOKEN_INCAPABLE    an algorithm that the token does not let the key be used for (CKA_ALLOWED_MECHANISMS);
 *   HSMART_INVALID_ARGUMENT   an unknown algorithm, one that does not fit the key, a kid that is empty or not UTF-8. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_signer_new(const hsmart_key *key,
                                                                const hsmart_signer_options *options,
                                                                hsmart_signer **out_signer, hsmart_err *err);
HSMART_API void hsmart_signer_free(hsmart_signer *signer);

/* What goes into an assertion. Zero is the default of every field but `client_id` and `audience`. */
typedef struct hsmart_assertion_options {
    const char *client_id; /* iss and sub; UTF-8, any length */
    const char *audience;  /* aud: the token endpoint's URL, exactly as it is posted to */
    const char *type;      /* header typ; NULL: "JWT" */
    const char *jku;       /* header jku; NULL: left out */
    unsigned lifetime_s;   /* exp - now, 1 to 300; 0: 240 */
    bool omit_issued_at;   /* no iat (for a server that refuses it) */
    bool not_before;       /* nbf = now */
    int64_t now_s;         /* seconds since the epoch; 0: the system's clock */
} hsmart_assertion_options;

/* `hsmart_signer_assertion` signs one client assertion with a new 128-bit jti and sets `*out_jwt` to it: JWS
 * compact serialisation, NUL-terminated, released (and wiped) with `hsmart_string_free`. An assertion is used for
 * one HTTP attempt only. The signature was verified in software before it is returned. Returns HSMART_OK, or
 *   HSMART_INVALID_ARGUMENT  no client id or audience, not UTF-8, lifetime out of range;
 *   HSMART_SESSION_LOST      the token dropped the session: try again;
 *   HSMART_TOKEN_FAILED      the token refused; `err->text` has its CKR_ name;
 *   HSMART_TOKEN_INCAPABLE   no mechanism of the token makes this signature with this key;
 *   HSMART_SIGNATURE_WRONG   the token's signature does not verify: an alarm. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_signer_assertion(hsmart_signer *signer,
                                                                      const hsmart_assertion_options *options,
                                                                      char **out_jwt, hsmart_err *err);

#ifdef __cplusplus
}
#endif
#endif
