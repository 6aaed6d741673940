/* Key pairs on a token: listing, finding, what they promise, their public halves, and making new ones. */
#ifndef HSMART_KEY_H
#define HSMART_KEY_H

#include <hsmart/token.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A key pair on a token. Immutable once made, so it may be used from any thread; it keeps its token open. */
typedef struct hsmart_key hsmart_key;

/* What a token answers when asked for a boolean attribute. */
enum hsmart_answer { HSMART_ANSWER_NO, HSMART_ANSWER_YES, HSMART_ANSWER_NOT_REPORTED };

/* One protective attribute of a private key beside what hsmart asks for. */
typedef struct hsmart_key_attribute {
    const char *name; /* "CKA_EXTRACTABLE" */
    enum hsmart_answer wanted, reported;
    bool required; /* a report to the contrary makes signing a matter of policy, not of taste */
} hsmart_key_attribute;

/* Strings and arrays belong to the key. A key that hsmart cannot use is listed all the same: `problem` says
 * why, and the fields that could not be read are NULL or 0. */
typedef struct hsmart_key_info {
    const char *label;             /* "" when the token has none */
    const uint8_t *id;             /* CKA_ID, binary */
    size_t id_len;
    const char *uri;               /* RFC 7512, names this key and no other of its token */
    const char *type;              /* "RSA", "EC", or the CKK_ name of a type that hsmart does not use */
    const char *curve;             /* "P-384"; NULL for RSA */
    unsigned bits;                 /* modulus or field size; 0: unknown */
    const char *alg;               /* the default JWS algorithm: "RS384", "ES384", or the first one that the token lets
                                    * the key be used for (CKA_ALLOWED_MECHANISMS); NULL: none */
    const char *thumbprint;        /* RFC 7638, SHA-256, base64url: 43 characters */
    const char *start_date, *end_date; /* CKA_START_DATE, CKA_END_DATE as "YYYY-MM-DD"; NULL: none */
    bool has_private;              /* false: only a public key object was found */
    const hsmart_key_attribute *attributes;
    size_t attribute_count;
    enum hsmart_code problem;      /* HSMART_OK, or why it is refused: HSMART_KEY_UNUSABLE, HSMART_POLICY_REFUSED */
    const char *problem_text;      /* one line; NULL when there is no problem */
} hsmart_key_info;

HSMART_API const hsmart_key_info *hsmart_key_get_info(const hsmart_key *key);

/* `hsmart_key_find` finds the one key pair that `uri` names by object (label) and/or id; NULL: the only
 * key pair of the token. Never picks one of several. Returns HSMART_OK, HSMART_KEY_ABSENT, HSMART_KEY_AMBIGUOUS
 * (both list what is there), HSMART_KEY_UNUSABLE (only half a pair, an unknown type), HSMART_INVALID_ARGUMENT
 * (malformed URI, or one that names another token), HSMART_TOKEN_FAILED. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_key_find(hsmart_token *token, const char *uri,
                                                              hsmart_key **out_key, hsmart_err *err);
HSMART_API void hsmart_key_free(hsmart_key *key);

/* `hsmart_key_list_read` reads every key pair of the token, half pairs and unknown types included, ordered by
 * label, then id. Released with `hsmart_key_list_free`, which frees the keys too. */
typedef struct hsmart_key_list {
    hsmart_key **keys;
    size_t count;
} hsmart_key_list;
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_key_list_read(hsmart_token *token, hsmart_key_list **out_list,
                                                                   hsmart_err *err);
HSMART_API void hsmart_key_list_free(hsmart_key_list *list);

/* How a public key is written down. Zero: kid = the RFC 7638 thumbprint, alg = the key's default. */
typedef struct hsmart_jwk_options {
    const char *kid;
    const char *alg; /* must fit the key and be one it can be used for: "RS384", "ES384", … */
    bool certificate; /* with the certificate that the token has beside the key, if any: x5c and x5t#S256 */
} hsmart_jwk_options;

/* `hsmart_key_jwk` sets `*out_json` to the public JWK (RFC 7517), one line without a line end; `hsmart_key_pem`
 * to the SubjectPublicKeyInfo in PEM. Both are released with `hsmart_string_free`. There is no private
 * counterpart: hsmart has no code that could read one. Returns HSMART_OK, or
 *   HSMART_KEY_UNUSABLE       the public half is not on the token, or is of no supported type;
 *   HSMART_INVALID_ARGUMENT   an empty kid, one that is not UTF-8, an algorithm that does not fit the key;
 *   HSMART_TOKEN_INCAPABLE    an algorithm that the token does not let the key be used for. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_key_jwk(const hsmart_key *key, const hsmart_jwk_options *options,
                                                             char **out_json, hsmart_err *err);
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_key_pem(const hsmart_key *key, char **out_pem, hsmart_err *err);
HSMART_API void hsmart_string_free(char *string);

/* A JWK Set (RFC 7517 section 5) in the making. Not for use by two threads at once. */
typedef struct hsmart_jwks hsmart_jwks;
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_jwks_new(hsmart_jwks **out_jwks, hsmart_err *err);
/* Errors as `hsmart_key_jwk`, and HSMART_KEY_EXISTS when a key with this kid is in the set already. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_jwks_add(hsmart_jwks *jwks, const hsmart_key *key,
                                                              const hsmart_jwk_options *options, hsmart_err *err);
/* The set as indented JSON with a line end, keys sorted by kid. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_jwks_format(const hsmart_jwks *jwks, char **out_json,
                                                                 hsmart_err *err);
HSMART_API void hsmart_jwks_free(hsmart_jwks *jwks);

/* What key to make. */
typedef struct hsmart_key_spec {
    const char *alg;       /* "RS384", "ES384", …: gives type, curve and default size */
    unsigned bits;         /* RSA modulus; 0: 3072 */
    const char *label;     /* CKA_LABEL, required: 1 to 255 bytes of UTF-8 without control characters */
    const uint8_t *id;     /* CKA_ID; NULL: 16 random bytes */
    size_t id_len;
    const char *start_date, *end_date; /* CKA_START_DATE, CKA_END_DATE as "YYYY-MM-DD"; NULL: none */
} hsmart_key_spec;

/* `hsmart_key_generate` makes a key pair that cannot leave the token: every protective attribute is asked for
 * explicitly; what the token will not take is dropped, logged as a warning and told in the key's attributes by
 * HSMART_ANSWER_NOT_REPORTED or the token's own answer. Refuses a label or id that is in use
 * (HSMART_KEY_EXISTS). A reply that is lost never makes a second key: the token is searched for the new id first.
 * Then the attributes are read back, and a signature is made and verified; a key that fails is reported with
 * HSMART_POLICY_REFUSED and left where it is, named in the text. Takes up to a minute on real tokens. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_key_generate(hsmart_token *token, const hsmart_key_spec *spec,
                                                                  hsmart_key **out_key, hsmart_err *err);

#ifdef __cplusplus
}
#endif
#endif
