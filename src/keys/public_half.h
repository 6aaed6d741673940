/* The public half of a key pair, from wherever a token has it. */
#ifndef HS_PUBLIC_HALF_H
#define HS_PUBLIC_HALF_H

#include "jwk.h"
#include "p11_session.h"

/* What an object, public or private, tells of itself and of its public key; empty where it does not. Borrowed from the
 * attributes that were read. */
struct hs_key_parts {
    CK_KEY_TYPE type; /* CK_UNAVAILABLE_INFORMATION: not told */
    struct hs_span label, id;
    struct hs_span modulus, exponent, ec_params, ec_point, spki;
    struct hs_span start_date, end_date; /* CK_DATE */
};

/* Those of `count` attributes that are parts of a key, in whatever order. */
struct hs_key_parts hs_key_parts_of(const struct hs_p11_attribute *attributes, size_t count);

/* The value of an attribute; empty when the token does not report it. */
struct hs_span hs_key_value(const struct hs_p11_attribute *attribute);
/* Every key has a type. A token that does not tell it for a reason of its own (throttled, lost, out of order) is in
 * trouble, which is the error returned; it says nothing of the key. */
HSMART_MUST_CHECK enum hsmart_code hs_key_check_was_read(struct hs_p11_session *session,
                                                         const struct hs_p11_attribute *key_type, hsmart_err *err);

/* ---- Public key objects, read once for all the private keys that they may belong to ---- */

struct hs_public_object;
struct hs_public_list {
    struct hs_public_object *objects;
    size_t count;
    bool is_complete; /* a public key object that is not among them is not on the token */
};
/* All of them, or those with this id (NULL: all). */
HSMART_MUST_CHECK enum hsmart_code hs_public_list_read(struct hs_p11_session *session, const struct hs_span *id,
                                                       struct hs_public_list *out_list, hsmart_err *err);
/* Those among `objects` that are public keys. */
HSMART_MUST_CHECK enum hsmart_code hs_public_list_read_found(struct hs_p11_session *session,
                                                             const struct hs_p11_object *objects, size_t count,
                                                             struct hs_public_list *out_list, hsmart_err *err);
void hs_public_list_clear(struct hs_public_list *list);
struct hs_key_parts hs_public_list_parts(const struct hs_public_list *list, size_t index);
/* Whether the object turned out to be the public half of a private key that was seen. */
bool hs_public_list_is_taken(const struct hs_public_list *list, size_t index);

/* ---- Public keys ---- */

/* The key that these parts make. HSMART_KEY_UNUSABLE when they make none. */
HSMART_MUST_CHECK enum hsmart_code hs_public_half_from_parts(const struct hs_key_parts *parts, struct hs_jwk *out_jwk,
                                                             hsmart_err *err);
/* The public half of the private key (RSA or EC) that tells these parts: from the public key objects of the list (and,
 * when it is not complete and has none, from those with its id; its label may be another one), else from the
 * certificates with its id, else from its own attributes. HSMART_KEY_UNUSABLE when there is none, when what is there is
 * not good, or when it is not clear which of several it is. */
HSMART_MUST_CHECK enum hsmart_code hs_public_half_read(struct hs_p11_session *session,
                                                       const struct hs_key_parts *private_parts,
                                                       struct hs_public_list *publics, struct hs_jwk *out_jwk,
                                                       hsmart_err *err);

/* The dates of the public key object that belongs to these parts; false when no such object has any. */
bool hs_public_half_dates(const struct hs_key_parts *private_parts, const struct hs_public_list *publics,
                          struct hs_span *out_start, struct hs_span *out_end);

#endif
