/* Key pairs on a token: the private object, its public half from wherever the token has it, its attributes. */
#ifndef HS_TOKEN_KEY_H
#define HS_TOKEN_KEY_H

#include <hsmart/key.h>

#include "jwk.h"
#include "p11_token.h"

/* A key pair as it was read. Immutable; freed with `hs_token_key_free`. It holds a reference to its token. */
struct hs_token_key {
    struct hs_p11_token *token;
    hsmart_key_info info;      /* what is told; its strings belong to the key */
    CK_OBJECT_HANDLE handle;   /* of the private object */
    uint64_t generation;       /* of the token, under which the handle was found */
    bool always_authenticate;  /* asks for the PIN at each use */
    struct hs_jwk jwk;         /* the public half; empty when `info.problem` says it could not be had */
    /* storage behind `info` */
    char *label, *uri, *type_name, *problem_text, *start_date, *end_date;
    struct hs_buf id, raw_label; /* as the token has them */
    struct hs_buf allowed_mechanisms; /* CKA_ALLOWED_MECHANISMS: CK_MECHANISM_TYPEs side by side; empty: not limited */
    hsmart_key_attribute *attributes;
};

HSMART_MUST_CHECK enum hsmart_code hs_token_key_find(struct hs_p11_token *token, const char *uri,
                                                     struct hs_token_key **out_key, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_token_key_list(struct hs_p11_token *token, struct hs_token_key ***out_keys,
                                                     size_t *out_count, hsmart_err *err);
void hs_token_key_free(struct hs_token_key *key);

/* Finds the private object of `key` again on `session`, after a recovery, and compares its public half: another key
 * under the same name is HSMART_KEY_MISMATCH, none is HSMART_KEY_ABSENT. */
struct hs_key_identity {
    struct hs_span label, id;
    const struct hs_jwk *jwk;
};
HSMART_MUST_CHECK enum hsmart_code hs_token_key_find_again(struct hs_p11_token *token, struct hs_p11_session *session,
                                                           const struct hs_key_identity *identity,
                                                           CK_OBJECT_HANDLE *out_handle, hsmart_err *err);

/* The algorithm of this name, or by default (NULL) the first one that the key can be used for. HSMART_INVALID_ARGUMENT
 * for a name that is none of ours or does not fit the key; HSMART_TOKEN_INCAPABLE for one by whose mechanisms the token
 * lets nobody use it (CKA_ALLOWED_MECHANISMS); HSMART_KEY_UNUSABLE when there is no default. */
HSMART_MUST_CHECK enum hsmart_code hs_token_key_choose_alg(const struct hs_token_key *key, const char *name,
                                                           const struct hs_alg **out_alg, hsmart_err *err);

/* HSMART_POLICY_REFUSED when the public key alone gives the private one away: an RSA modulus below HS_RSA_MIN_BITS, or
 * one that a broken generator made (CVE-2017-15361). */
HSMART_MUST_CHECK enum hsmart_code hs_token_key_check_strength(const struct hs_token_key *key, hsmart_err *err);
/* Whether the token says that it would give the key away. */
bool hs_token_key_may_leave(const struct hs_token_key *key);

#endif
