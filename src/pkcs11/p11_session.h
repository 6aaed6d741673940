/* Operations on one session: finding, reading, signing, generating. */
#ifndef HS_P11_SESSION_H
#define HS_P11_SESSION_H

#include <p11-kit/pkcs11.h>

#include "bytes.h"

struct hs_p11_session {
    CK_FUNCTION_LIST *p11;
    CK_SESSION_HANDLE handle;
    CK_RV last_rv;       /* what the module answered last on this session */
    uint64_t generation; /* of the token's handles when it was opened: older handles are stale in it */
    int64_t deadline_ms; /* of the request that has it; monotonic, 0: none */
    bool doubtful;       /* an unexpected answer was seen: the pool closes it instead of using it again */
};

/* An object and its class, so that "the value of a private key" cannot even be asked for. */
struct hs_p11_object {
    CK_OBJECT_HANDLE handle;
    CK_OBJECT_CLASS class;
};

/* Finds every object of `class` with these further attributes (at most 8). `out_objects` is freed with `hs_free`. No
 * other call is made on the token while the search is open. With HS_P11_ANY_CLASS each object's class is read. */
#define HS_P11_ANY_CLASS CK_UNAVAILABLE_INFORMATION
HSMART_MUST_CHECK enum hsmart_code hs_p11_session_find(struct hs_p11_session *session, CK_OBJECT_CLASS class,
                                                       const CK_ATTRIBUTE *attributes, size_t attribute_count,
                                                       struct hs_p11_object **out_objects, size_t *out_count,
                                                       hsmart_err *err);

/* Whether the token says that nobody is logged in: private objects are not to be found then. */
bool hs_p11_session_is_public(struct hs_p11_session *session);

/* One attribute to read, and how the token answered. */
struct hs_p11_attribute {
    CK_ATTRIBUTE_TYPE type;
    bool reported; /* false: the token has it not, or does not tell */
    CK_RV rv;      /* why not */
    struct hs_buf value;
};
#define HS_P11_ATTRIBUTE_MAX (64U << 10)

/* Reads attributes. One that the token does not report (whatever code it gives, as long as the session still works) is
 * marked and is no error. HSMART_INTERNAL, without asking the token, for a type that holds private key material. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_session_read(struct hs_p11_session *session, struct hs_p11_object object,
                                                       struct hs_p11_attribute *attributes, size_t attribute_count,
                                                       hsmart_err *err);
void hs_p11_attributes_clear(struct hs_p11_attribute *attributes, size_t attribute_count);
/* Typed views; false when not reported or not of that size. */
bool hs_p11_attribute_get_bool(const struct hs_p11_attribute *attribute, bool *out_value);
bool hs_p11_attribute_get_ulong(const struct hs_p11_attribute *attribute, CK_ULONG *out_value);

/* C_SignInit, then C_Sign; between them comes the login that a key with CKA_ALWAYS_AUTHENTICATE asks for (p11_login.h).
 * A signature that was begun and is not ended leaves the session doubtful. The code is the CKR's; `session->last_rv`
 * has it for the caller to choose by. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_session_sign_begin(struct hs_p11_session *session,
                                                             const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                                                             hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_p11_session_sign_end(struct hs_p11_session *session, struct hs_span data,
                                                           struct hs_buf *out_signature, hsmart_err *err);

/* C_GenerateKeyPair. `session` must be read-write. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_session_generate(struct hs_p11_session *session, CK_MECHANISM_TYPE mechanism,
                                                           const CK_ATTRIBUTE *public_template, size_t public_count,
                                                           const CK_ATTRIBUTE *private_template, size_t private_count,
                                                           CK_OBJECT_HANDLE *out_public, CK_OBJECT_HANDLE *out_private,
                                                           hsmart_err *err);

/* C_DestroyObject. `session` must be read-write. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_session_destroy(struct hs_p11_session *session, struct hs_p11_object object,
                                                          hsmart_err *err);

/* C_SetAttributeValue, of CKA_START_DATE and CKA_END_DATE only (HSMART_INTERNAL for any other): `date` is a CK_DATE, or
 * empty for none. `session` must be read-write. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_session_set_date(struct hs_p11_session *session, CK_OBJECT_HANDLE object,
                                                           CK_ATTRIBUTE_TYPE type, struct hs_span date,
                                                           hsmart_err *err);
/* C_CreateObject, for a certificate: the class is put in front of `attributes` (at most 8). */
HSMART_MUST_CHECK enum hsmart_code hs_p11_session_create_certificate(struct hs_p11_session *session,
                                                                     const CK_ATTRIBUTE *attributes,
                                                                     size_t attribute_count, hsmart_err *err);

/* The uncompressed point `04 X Y` within CKA_EC_POINT, which is a DER OCTET STRING by the standard and the bare point
 * on some tokens: the exact length decides. The empty span when it is neither. Borrowed from `value`. */
struct hs_span hs_p11_ec_point(struct hs_span value, size_t field_len);

#endif
