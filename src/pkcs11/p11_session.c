#include "p11_session.h"

#include "err.h"
#include "p11_ckr.h"
#include "p11_mechanism.h"

#define FIND_ATTRIBUTES_MAX 8U
#define FIND_STEP 64U
#define FIND_MAX 200000U /* objects; a token that finds more is out of order */
#define READ_MAX 48U
#define GUESSED_LEN 1024U   /* fits every attribute of a key up to RSA-8192 */
#define UNTOUCHED 0xa5      /* what the room for attributes is filled with */
#define SIGNATURE_MAX 2048U /* RSA with 16384 bits */

/* What a session answered. One that answers anything unexpected is not used again: after a failed C_Sign the old
 * operation is still active on some tokens. */
static CK_RV
note(struct hs_p11_session *session, CK_RV rv)
{
    session->last_rv = rv;
    if (rv != CKR_OK)
        session->doubtful = true;
    return rv;
}

/* ---- Finding ---- */

static enum hsmart_code
collect_found(struct hs_p11_session *session, CK_OBJECT_CLASS class, struct hs_p11_object **out_objects,
              size_t *out_count, hsmart_err *err)
{
    CK_OBJECT_HANDLE found[FIND_STEP];
    struct hs_p11_object *objects = NULL;
    size_t count = 0;
    CK_ULONG step = 0;
    enum hsmart_code code = HSMART_OK;

    do {
        CK_RV rv = note(session, session->p11->C_FindObjects(session->handle, found, FIND_STEP, &step));
        if (rv != CKR_OK)
            code = hs_ckr_set(err, rv);
        else if (step > FIND_STEP)
            code = hs_err_set(err, HSMART_TOKEN_FAILED, "the token reports more objects than there was room for");
        else if (count + step > FIND_MAX)
            code = hs_err_set(err, HSMART_TOKEN_FAILED, "the token reports more than %u objects", FIND_MAX);
        for (CK_ULONG i = 0; code == HSMART_OK && i < step; i++) {
            code = hs_array_grow((void **)&objects, count, sizeof *objects, err);
            if (code == HSMART_OK)
                objects[count++] = (struct hs_p11_object){found[i], class};
        }
    } while (code == HSMART_OK && step > 0);
    if (code != HSMART_OK) {
        hs_free(objects);
        return code;
    }
    *out_objects = objects;
    *out_count = count;
    return HSMART_OK;
}

/* An object that does not tell its class stays of no known one. */
static enum hsmart_code
read_classes(struct hs_p11_session *session, struct hs_p11_object *objects, size_t count, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < count && code == HSMART_OK; i++) {
        struct hs_p11_attribute class = {.type = CKA_CLASS};
        code = hs_p11_session_read(session, objects[i], &class, 1, err);
        if (code == HSMART_OK)
            (void)hs_p11_attribute_get_ulong(&class, &objects[i].class);
        hs_p11_attributes_clear(&class, 1);
    }
    return code;
}

enum hsmart_code
hs_p11_session_find(struct hs_p11_session *session, CK_OBJECT_CLASS class, const CK_ATTRIBUTE *attributes,
                    size_t attribute_count, struct hs_p11_object **out_objects, size_t *out_count, hsmart_err *err)
{
    CK_ATTRIBUTE template[FIND_ATTRIBUTES_MAX + 1];
    CK_ULONG template_count = 0;
    struct hs_p11_object *objects = NULL;
    size_t count = 0;
    enum hsmart_code code;

    if (attribute_count > FIND_ATTRIBUTES_MAX)
        return hs_err_set(err, HSMART_INTERNAL, "a search by %zu attributes", attribute_count);
    if (class != HS_P11_ANY_CLASS)
        template[template_count++] = (CK_ATTRIBUTE){CKA_CLASS, &class, sizeof class};
    for (size_t i = 0; i < attribute_count; i++)
        template[template_count++] = attributes[i];
    CK_RV rv = note(session, session->p11->C_FindObjectsInit(session->handle, template, template_count));
    if (rv != CKR_OK)
        return hs_ckr_set(err, rv);
    code = collect_found(session, class, &objects, &count, err);
    rv = session->p11->C_FindObjectsFinal(session->handle);
    if (rv != CKR_OK)
        session->doubtful = true; /* what was found stands */
    if (code == HSMART_OK && class == HS_P11_ANY_CLASS)
        code = read_classes(session, objects, count, err);
    if (code != HSMART_OK) {
        hs_free(objects);
        return code;
    }
    *out_objects = objects;
    *out_count = count;
    return HSMART_OK;
}

bool
hs_p11_session_is_public(struct hs_p11_session *session)
{
    CK_SESSION_INFO info;

    return session->p11->C_GetSessionInfo(session->handle, &info) == CKR_OK &&
           (info.state == CKS_RO_PUBLIC_SESSION || info.state == CKS_RW_PUBLIC_SESSION);
}

/* ---- Reading ---- */

/* Private key material. Asking for it is a defect of ours, whatever the token would answer. */
static bool
is_secret(CK_ATTRIBUTE_TYPE type, CK_OBJECT_CLASS class)
{
    static const CK_ATTRIBUTE_TYPE secrets[] = {CKA_PRIVATE_EXPONENT, CKA_PRIME_1,    CKA_PRIME_2,
                                                CKA_EXPONENT_1,       CKA_EXPONENT_2, CKA_COEFFICIENT};

    for (size_t i = 0; i < HS_ARRAY_LEN(secrets); i++)
        if (type == secrets[i])
            return true;
    /* The scalar of an EC key, the bytes of a secret key; a certificate's is its DER. */
    return type == CKA_VALUE && class != CKO_CERTIFICATE;
}

/* Whether the session survived a refusal, so that "not reported" can be believed. */
static bool
session_lives(struct hs_p11_session *session)
{
    CK_SESSION_INFO info;

    return session->p11->C_GetSessionInfo(session->handle, &info) == CKR_OK;
}

static enum hsmart_code
take_value(struct hs_p11_attribute *attribute, const CK_ATTRIBUTE *raw, hsmart_err *err)
{
    enum hsmart_code code = hs_buf_append(&attribute->value, (struct hs_span){raw->pValue, raw->ulValueLen}, err);

    attribute->reported = code == HSMART_OK;
    attribute->rv = CKR_OK;
    return code;
}

/* One attribute on its own: its length, then its value. */
static enum hsmart_code
read_single(struct hs_p11_session *session, struct hs_p11_object object, struct hs_p11_attribute *attribute,
            hsmart_err *err)
{
    CK_ATTRIBUTE raw = {attribute->type, NULL, 0};
    enum hsmart_code code;

    CK_RV rv = session->p11->C_GetAttributeValue(session->handle, object.handle, &raw, 1);
    if (rv == CKR_OK && raw.ulValueLen != CK_UNAVAILABLE_INFORMATION && raw.ulValueLen <= HS_P11_ATTRIBUTE_MAX) {
        code = hs_buf_resize(&attribute->value, raw.ulValueLen, err);
        if (code != HSMART_OK)
            return code;
        raw.pValue = attribute->value.data;
        if (raw.ulValueLen > 0)
            rv = session->p11->C_GetAttributeValue(session->handle, object.handle, &raw, 1);
        /* A value may have become shorter; hs_buf_resize cannot fail then. */
        if (rv == CKR_OK && raw.ulValueLen <= attribute->value.len) {
            attribute->reported = true;
            attribute->rv = CKR_OK;
            return hs_buf_resize(&attribute->value, raw.ulValueLen, err);
        }
    }
    hs_buf_clear(&attribute->value);
    attribute->rv = rv != CKR_OK ? rv : CKR_ATTRIBUTE_TYPE_INVALID;
    session->last_rv = attribute->rv;
    if (session_lives(session))
        return HSMART_OK;
    session->doubtful = true;
    return hs_ckr_set(err, attribute->rv);
}

/* NSS takes a CK_ULONG only into a buffer of exactly that size, and answers BUFFER_TOO_SMALL to a larger one. */
static size_t
guessed_len(CK_ATTRIBUTE_TYPE type)
{
    return type == CKA_KEY_TYPE || type == CKA_CLASS ? sizeof(CK_ULONG) : GUESSED_LEN;
}

/* Under an error, a length and a value that are as before mean that the token did not get to this attribute. */
static bool
was_looked_at(const CK_ATTRIBUTE *raw, CK_RV rv)
{
    static const uint8_t untouched[] = {UNTOUCHED, UNTOUCHED, UNTOUCHED, UNTOUCHED};

    return rv == CKR_OK || raw->ulValueLen != guessed_len(raw->type) ||
           memcmp(raw->pValue, untouched, sizeof untouched) != 0;
}

/* All in one call with room guessed; what that does not give is read one by one. */
static enum hsmart_code
read_all(struct hs_p11_session *session, struct hs_p11_object object, struct hs_p11_attribute *attributes, size_t count,
         uint8_t *room, hsmart_err *err)
{
    CK_ATTRIBUTE raw[READ_MAX];
    enum hsmart_code code = HSMART_OK;

    memset(room, UNTOUCHED, count * GUESSED_LEN);
    for (size_t i = 0; i < count; i++)
        raw[i] = (CK_ATTRIBUTE){attributes[i].type, room + i * GUESSED_LEN, guessed_len(attributes[i].type)};
    CK_RV rv = session->p11->C_GetAttributeValue(session->handle, object.handle, raw, count);
    session->last_rv = rv;
    /* These three say that the call did what it could (PKCS#11 3.0, C_GetAttributeValue). */
    bool partial =
        rv == CKR_OK || rv == CKR_ATTRIBUTE_SENSITIVE || rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_BUFFER_TOO_SMALL;
    for (size_t i = 0; i < count && code == HSMART_OK; i++) {
        if (partial && was_looked_at(&raw[i], rv) && raw[i].ulValueLen <= GUESSED_LEN)
            code = take_value(&attributes[i], &raw[i], err);
        else if (partial && rv != CKR_BUFFER_TOO_SMALL && raw[i].ulValueLen == CK_UNAVAILABLE_INFORMATION)
            attributes[i].rv = CKR_ATTRIBUTE_TYPE_INVALID;
        else
            code = read_single(session, object, &attributes[i], err);
    }
    return code;
}

enum hsmart_code
hs_p11_session_read(struct hs_p11_session *session, struct hs_p11_object object, struct hs_p11_attribute *attributes,
                    size_t attribute_count, hsmart_err *err)
{
    if (attribute_count > READ_MAX)
        return hs_err_set(err, HSMART_INTERNAL, "%zu attributes at once", attribute_count);
    for (size_t i = 0; i < attribute_count; i++) {
        const char *name = hs_p11_attribute_name(attributes[i].type);
        if (is_secret(attributes[i].type, object.class))
            return hs_err_set(err, HSMART_INTERNAL, "%s is never read", name != NULL ? name : "a private attribute");
        attributes[i].reported = false;
        hs_buf_clear(&attributes[i].value);
    }
    uint8_t *room = hs_calloc(attribute_count != 0 ? attribute_count : 1, GUESSED_LEN);
    if (room == NULL)
        return hs_err_no_memory(err);
    enum hsmart_code code = read_all(session, object, attributes, attribute_count, room, err);
    hs_free(room);
    return code;
}

void
hs_p11_attributes_clear(struct hs_p11_attribute *attributes, size_t attribute_count)
{
    for (size_t i = 0; i < attribute_count; i++)
        hs_buf_clear(&attributes[i].value);
}

bool
hs_p11_attribute_get_bool(const struct hs_p11_attribute *attribute, bool *out_value)
{
    if (!attribute->reported || attribute->value.len != sizeof(CK_BBOOL))
        return false;
    *out_value = attribute->value.data[0] != CK_FALSE;
    return true;
}

bool
hs_p11_attribute_get_ulong(const struct hs_p11_attribute *attribute, CK_ULONG *out_value)
{
    if (!attribute->reported || attribute->value.len != sizeof(CK_ULONG))
        return false;
    memcpy(out_value, attribute->value.data, sizeof *out_value);
    return true;
}

/* ---- Signing and generating ---- */

enum hsmart_code
hs_p11_session_sign_begin(struct hs_p11_session *session, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                          hsmart_err *err)
{
    CK_MECHANISM own = *mechanism;
    CK_RV rv = note(session, session->p11->C_SignInit(session->handle, &own, key));

    return rv == CKR_OK ? HSMART_OK : hs_ckr_set(err, rv);
}

enum hsmart_code
hs_p11_session_sign_end(struct hs_p11_session *session, struct hs_span data, struct hs_buf *out_signature,
                        hsmart_err *err)
{
    CK_BYTE signature[SIGNATURE_MAX];
    CK_ULONG len = sizeof signature;
    enum hsmart_code code;

    /* Room for any signature, so no call to ask its length: after such a call the operation stays active. */
    CK_RV rv = note(session, session->p11->C_Sign(session->handle, (CK_BYTE *)(uintptr_t)data.data, data.len,
                                                  signature, &len));
    if (rv != CKR_OK)
        return hs_ckr_set(err, rv);
    if (len > sizeof signature) {
        session->doubtful = true;
        return hs_err_set(err, HSMART_SIGNATURE_WRONG, "the token returned a signature of %lu bytes", len);
    }
    code = hs_buf_resize(out_signature, 0, err);
    return code == HSMART_OK ? hs_buf_append(out_signature, (struct hs_span){signature, len}, err) : code;
}

enum hsmart_code
hs_p11_session_generate(struct hs_p11_session *session, CK_MECHANISM_TYPE mechanism,
                        const CK_ATTRIBUTE *public_template, size_t public_count, const CK_ATTRIBUTE *private_template,
                        size_t private_count, CK_OBJECT_HANDLE *out_public, CK_OBJECT_HANDLE *out_private,
                        hsmart_err *err)
{
    CK_MECHANISM own = {mechanism, NULL, 0};
    CK_OBJECT_HANDLE public_handle = 0, private_handle = 0;

    if (session->p11->C_GenerateKeyPair == NULL)
        return hs_ckr_set(err, CKR_FUNCTION_NOT_SUPPORTED);
    CK_RV rv =
        note(session, session->p11->C_GenerateKeyPair(session->handle, &own, (CK_ATTRIBUTE *)(uintptr_t)public_template,
                                                      public_count, (CK_ATTRIBUTE *)(uintptr_t)private_template,
                                                      private_count, &public_handle, &private_handle));
    if (rv != CKR_OK)
        return hs_ckr_set(err, rv);
    *out_public = public_handle;
    *out_private = private_handle;
    return HSMART_OK;
}

enum hsmart_code
hs_p11_session_destroy(struct hs_p11_session *session, struct hs_p11_object object, hsmart_err *err)
{
    if (session->p11->C_DestroyObject == NULL)
        return hs_ckr_set(err, CKR_FUNCTION_NOT_SUPPORTED);
    CK_RV rv = note(session, session->p11->C_DestroyObject(session->handle, object.handle));
    return rv == CKR_OK ? HSMART_OK : hs_ckr_set(err, rv);
}

/* ---- Changing and adding ---- */

enum hsmart_code
hs_p11_session_set_date(struct hs_p11_session *session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                        struct hs_span date, hsmart_err *err)
{
    CK_ATTRIBUTE wish = {type, (void *)(uintptr_t)date.data, date.len};

    if (type != CKA_START_DATE && type != CKA_END_DATE)
        return hs_err_set(err, HSMART_INTERNAL, "only dates are changed");
    if (session->p11->C_SetAttributeValue == NULL)
        return hs_ckr_set(err, CKR_FUNCTION_NOT_SUPPORTED);
    CK_RV rv = note(session, session->p11->C_SetAttributeValue(session->handle, object, &wish, 1));
    return rv == CKR_OK ? HSMART_OK : hs_ckr_set(err, rv);
}

enum hsmart_code
hs_p11_session_create_certificate(struct hs_p11_session *session, const CK_ATTRIBUTE *attributes,
                                  size_t attribute_count, hsmart_err *err)
{
    CK_OBJECT_CLASS class = CKO_CERTIFICATE;
    CK_ATTRIBUTE template[FIND_ATTRIBUTES_MAX + 1] = {{CKA_CLASS, &class, sizeof class}};
    CK_OBJECT_HANDLE object = 0;

    if (attribute_count > FIND_ATTRIBUTES_MAX)
        return hs_err_set(err, HSMART_INTERNAL, "a certificate with %zu attributes", attribute_count);
    if (session->p11->C_CreateObject == NULL)
        return hs_ckr_set(err, CKR_FUNCTION_NOT_SUPPORTED);
    memcpy(template + 1, attributes, attribute_count * sizeof *attributes);
    CK_RV rv = note(session, session->p11->C_CreateObject(session->handle, template, attribute_count + 1, &object));
    return rv == CKR_OK ? HSMART_OK : hs_ckr_set(err, rv);
}

/* ---- EC points ---- */

struct hs_span
hs_p11_ec_point(struct hs_span value, size_t field_len)
{
    size_t point_len = 1 + 2 * field_len;
    size_t header_len = point_len < 0x80 ? 2 : 3; /* 04 41 …, 04 61 …, 04 81 85 … */
    bool is_raw = value.len == point_len && value.data[0] == 0x04;
    bool is_der = value.len == header_len + point_len && value.data[0] == 0x04 &&
                  (header_len == 2 || value.data[1] == 0x81) && value.data[header_len - 1] == point_len &&
                  value.data[header_len] == 0x04;

    if (is_raw)
        return value;
    if (is_der)
        return (struct hs_span){value.data + header_len, point_len};
    return (struct hs_span){0};
}
