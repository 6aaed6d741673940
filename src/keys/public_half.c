#include "public_half.h"

#include <stddef.h>

#include "err.h"
#include "p11_ckr.h"

enum { KEY_TYPE, ATTRIBUTE_COUNT = 9 };
static const CK_ATTRIBUTE_TYPE types[ATTRIBUTE_COUNT] = {
    [KEY_TYPE] = CKA_KEY_TYPE,
    CKA_LABEL,
    CKA_ID,
    CKA_MODULUS,
    CKA_PUBLIC_EXPONENT,
    CKA_EC_PARAMS,
    CKA_EC_POINT,
    CKA_START_DATE,
    CKA_END_DATE,
};

struct hs_public_object {
    struct hs_p11_attribute attributes[ATTRIBUTE_COUNT];
    bool taken;
};

struct hs_span
hs_key_value(const struct hs_p11_attribute *attribute)
{
    return attribute->reported ? hs_span_buf(&attribute->value) : (struct hs_span){0};
}

static const struct part_row {
    CK_ATTRIBUTE_TYPE type;
    size_t offset; /* of its span */
} part_rows[] = {
    {CKA_LABEL, offsetof(struct hs_key_parts, label)},
    {CKA_ID, offsetof(struct hs_key_parts, id)},
    {CKA_MODULUS, offsetof(struct hs_key_parts, modulus)},
    {CKA_PUBLIC_EXPONENT, offsetof(struct hs_key_parts, exponent)},
    {CKA_EC_PARAMS, offsetof(struct hs_key_parts, ec_params)},
    {CKA_EC_POINT, offsetof(struct hs_key_parts, ec_point)},
    {CKA_PUBLIC_KEY_INFO, offsetof(struct hs_key_parts, spki)},
    {CKA_START_DATE, offsetof(struct hs_key_parts, start_date)},
    {CKA_END_DATE, offsetof(struct hs_key_parts, end_date)},
};

struct hs_key_parts
hs_key_parts_of(const struct hs_p11_attribute *attributes, size_t count)
{
    struct hs_key_parts parts = {.type = CK_UNAVAILABLE_INFORMATION};

    for (size_t i = 0; i < count; i++) {
        if (attributes[i].type == CKA_KEY_TYPE)
            (void)hs_p11_attribute_get_ulong(&attributes[i], &parts.type);
        for (size_t j = 0; j < HS_ARRAY_LEN(part_rows); j++)
            if (attributes[i].type == part_rows[j].type)
                *(struct hs_span *)(void *)((char *)&parts + part_rows[j].offset) = hs_key_value(&attributes[i]);
    }
    return parts;
}

enum hsmart_code
hs_key_check_was_read(struct hs_p11_session *session, const struct hs_p11_attribute *key_type, hsmart_err *err)
{
    if (key_type->reported || hs_ckr_row_of(key_type->rv)->class == HS_CKR_ATTRIBUTE)
        return HSMART_OK;
    session->last_rv = key_type->rv;
    return hs_ckr_set(err, key_type->rv);
}

/* ---- Public key objects ---- */

void
hs_public_list_clear(struct hs_public_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        hs_p11_attributes_clear(list->objects[i].attributes, ATTRIBUTE_COUNT);
    hs_free(list->objects);
    *list = (struct hs_public_list){0};
}

static enum hsmart_code
read_object(struct hs_p11_session *session, struct hs_p11_object object, struct hs_public_object *out_object,
            hsmart_err *err)
{
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++)
        out_object->attributes[i].type = types[i];
    enum hsmart_code code = hs_p11_session_read(session, object, out_object->attributes, ATTRIBUTE_COUNT, err);
    return code == HSMART_OK ? hs_key_check_was_read(session, &out_object->attributes[KEY_TYPE], err) : code;
}

enum hsmart_code
hs_public_list_read_found(struct hs_p11_session *session, const struct hs_p11_object *objects, size_t count,
                          struct hs_public_list *out_list, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    struct hs_public_list list = {.objects = hs_calloc(count != 0 ? count : 1, sizeof *list.objects)};

    if (list.objects == NULL)
        return hs_err_no_memory(err);
    for (size_t i = 0; i < count && code == HSMART_OK; i++)
        if (objects[i].class == CKO_PUBLIC_KEY) {
            size_t next = list.count++; /* a half-read one is cleared too */
            code = read_object(session, objects[i], &list.objects[next], err);
        }
    if (code == HSMART_OK)
        *out_list = list;
    else
        hs_public_list_clear(&list);
    return code;
}

enum hsmart_code
hs_public_list_read(struct hs_p11_session *session, const struct hs_span *id, struct hs_public_list *out_list,
                    hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_p11_object *objects = NULL;
    size_t count = 0;
    CK_ATTRIBUTE with_id = {CKA_ID, id != NULL ? (void *)(uintptr_t)id->data : NULL, id != NULL ? id->len : 0};

    code = hs_p11_session_find(session, CKO_PUBLIC_KEY, &with_id, id != NULL ? 1 : 0, &objects, &count, err);
    if (code == HSMART_OK)
        code = hs_public_list_read_found(session, objects, count, out_list, err);
    if (code == HSMART_OK)
        out_list->is_complete = true;
    hs_free(objects);
    return code;
}

struct hs_key_parts
hs_public_list_parts(const struct hs_public_list *list, size_t index)
{
    return hs_key_parts_of(list->objects[index].attributes, ATTRIBUTE_COUNT);
}

bool
hs_public_list_is_taken(const struct hs_public_list *list, size_t index)
{
    return list->objects[index].taken;
}

/* ---- From parts to a public key ---- */

enum hsmart_code
hs_public_half_from_parts(const struct hs_key_parts *parts, struct hs_jwk *out_jwk, hsmart_err *err)
{
    if (parts->type == CKK_RSA)
        return hs_jwk_from_rsa(parts->modulus, parts->exponent, out_jwk, err);
    if (parts->type != CKK_EC)
        return hs_err_set(err, HSMART_KEY_UNUSABLE, "its type is neither RSA nor EC");

    const struct hs_curve *curve = hs_curve_by_oid_der(parts->ec_params);
    if (curve == NULL)
        return hs_err_set(err, HSMART_KEY_UNUSABLE, "its curve is none of P-256, P-384 and P-521");
    struct hs_span point = hs_p11_ec_point(parts->ec_point, curve->field_len);
    if (point.len == 0)
        return hs_err_set(err, HSMART_KEY_UNUSABLE, "its CKA_EC_POINT is not an uncompressed point of %s", curve->name);
    return hs_jwk_from_ec_point(curve, point, out_jwk, err);
}

/* ---- The places where a token may have it ---- */

/* Whether two objects may be the halves of one key: the same type and id (or, without ids, the same label), and the
 * same modulus where both tell one. */
static bool
may_belong_together(const struct hs_key_parts *private_parts, const struct hs_key_parts *public_parts)
{
    struct hs_span modulus = hs_span_trim_zeros(private_parts->modulus);
    struct hs_span public_modulus = hs_span_trim_zeros(public_parts->modulus);

    if (public_parts->type != private_parts->type || !hs_span_equal(private_parts->id, public_parts->id))
        return false;
    if (private_parts->id.len == 0 && !hs_span_equal(private_parts->label, public_parts->label))
        return false;
    return modulus.len == 0 || public_modulus.len == 0 || hs_span_equal(modulus, public_modulus);
}

/* A public key that something other than a public key object tells has to be one that the private key can have. */
static enum hsmart_code
check_belongs(const struct hs_key_parts *private_parts, const struct hs_jwk *jwk, const char *place, hsmart_err *err)
{
    struct hs_span modulus = hs_span_trim_zeros(private_parts->modulus);
    bool same_type = (jwk->type == HS_KEY_RSA) == (private_parts->type == CKK_RSA);

    if (same_type && (jwk->type != HS_KEY_RSA || modulus.len == 0 || hs_span_equal(modulus, hs_span_buf(&jwk->n))))
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_KEY_UNUSABLE, "%s is for another key", place);
    hs_err_hint(err, "delete what does not belong to the key, and import its own public key with the same CKA_ID");
    return HSMART_KEY_UNUSABLE;
}

/* One more public key that claims to be the one; `*jwk` moves into `*found`. Two that differ are no answer. */
static enum hsmart_code
settle(struct hs_jwk *found, struct hs_jwk *jwk, const char *what, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    if (found->pkey == NULL) {
        *found = *jwk;
        *jwk = (struct hs_jwk){0};
    } else if (!hs_jwk_same_key(found, jwk)) {
        code = hs_err_set(err, HSMART_KEY_UNUSABLE, "several different %s, so its own cannot be told", what);
        hs_err_hint(err, "delete the object that does not belong to it, or give the pairs distinct ids");
    }
    hs_jwk_clear(jwk);
    return code;
}

static enum hsmart_code
from_public_objects(const struct hs_key_parts *private_parts, struct hs_public_list *publics, struct hs_jwk *out_jwk,
                    hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    struct hs_jwk found = {0}, one = {0};

    for (size_t i = 0; i < publics->count && code == HSMART_OK; i++) {
        struct hs_key_parts parts = hs_public_list_parts(publics, i);
        if (!may_belong_together(private_parts, &parts))
            continue;
        publics->objects[i].taken = true;
        code = hs_public_half_from_parts(&parts, &one, err);
        if (code == HSMART_OK)
            code = settle(&found, &one, "public keys share its id and label", err);
    }
    if (code == HSMART_OK && found.pkey == NULL)
        code = HSMART_KEY_ABSENT;
    if (code == HSMART_OK) {
        *out_jwk = found;
        found = (struct hs_jwk){0};
    }
    hs_jwk_clear(&found);
    return code;
}

static enum hsmart_code
from_public_objects_by_id(struct hs_p11_session *session, const struct hs_key_parts *private_parts,
                          struct hs_jwk *out_jwk, hsmart_err *err)
{
    struct hs_public_list list = {0};
    enum hsmart_code code =
        hs_public_list_read(session, private_parts->id.len > 0 ? &private_parts->id : NULL, &list, err);

    if (code == HSMART_OK)
        code = from_public_objects(private_parts, &list, out_jwk, err);
    hs_public_list_clear(&list);
    return code;
}

static enum hsmart_code
read_certificate(struct hs_p11_session *session, struct hs_p11_object object, const struct hs_key_parts *private_parts,
                 struct hs_jwk *out_jwk, hsmart_err *err)
{
    struct hs_p11_attribute value = {.type = CKA_VALUE};
    enum hsmart_code code = hs_p11_session_read(session, object, &value, 1, err);

    if (code == HSMART_OK)
        code = hs_jwk_from_certificate(hs_key_value(&value), out_jwk, err);
    if (code == HSMART_OK)
        code = check_belongs(private_parts, out_jwk, "the certificate with its id", err);
    hs_p11_attributes_clear(&value, 1);
    return code;
}

/* A certificate that was renewed stands beside the old one: both tell the same key, or none is believed. */
static enum hsmart_code
from_certificates(struct hs_p11_session *session, const struct hs_key_parts *private_parts, struct hs_jwk *out_jwk,
                  hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_p11_object *objects = NULL;
    struct hs_jwk found = {0}, one = {0};
    size_t count = 0;
    CK_ATTRIBUTE with_id = {CKA_ID, (void *)(uintptr_t)private_parts->id.data, private_parts->id.len};

    if (private_parts->id.len == 0)
        return HSMART_KEY_ABSENT;
    code = hs_p11_session_find(session, CKO_CERTIFICATE, &with_id, 1, &objects, &count, err);
    for (size_t i = 0; i < count && code == HSMART_OK; i++) {
        code = read_certificate(session, objects[i], private_parts, &one, err);
        if (code == HSMART_OK)
            code = settle(&found, &one, "certificates have its id", err);
    }
    if (code == HSMART_OK && found.pkey == NULL)
        code = HSMART_KEY_ABSENT;
    if (code == HSMART_OK) {
        *out_jwk = found;
        found = (struct hs_jwk){0};
    }
    hs_jwk_clear(&found);
    hs_jwk_clear(&one);
    hs_free(objects);
    return code;
}

static enum hsmart_code
from_private_attributes(const struct hs_key_parts *parts, struct hs_jwk *out_jwk, hsmart_err *err)
{
    struct hs_jwk jwk = {0};
    enum hsmart_code code;

    if (parts->type == CKK_RSA ? parts->modulus.len > 0 && parts->exponent.len > 0 : parts->ec_point.len > 0)
        return hs_public_half_from_parts(parts, out_jwk, err);
    if (parts->spki.len == 0)
        return HSMART_KEY_ABSENT;
    code = hs_jwk_from_spki(parts->spki, &jwk, err);
    if (code == HSMART_OK)
        code = check_belongs(parts, &jwk, "its CKA_PUBLIC_KEY_INFO", err);
    if (code == HSMART_OK) {
        *out_jwk = jwk;
        jwk = (struct hs_jwk){0};
    }
    hs_jwk_clear(&jwk);
    return code;
}

/* The first place that has it. A place that has it wrong is an error, not a reason to look further: two stories about
 * one key are one too many. */
enum hsmart_code
hs_public_half_read(struct hs_p11_session *session, const struct hs_key_parts *private_parts,
                    struct hs_public_list *publics, struct hs_jwk *out_jwk, hsmart_err *err)
{
    enum hsmart_code code = from_public_objects(private_parts, publics, out_jwk, err);

    if (code == HSMART_KEY_ABSENT && !publics->is_complete)
        code = from_public_objects_by_id(session, private_parts, out_jwk, err);
    if (code == HSMART_KEY_ABSENT)
        code = from_certificates(session, private_parts, out_jwk, err);
    if (code == HSMART_KEY_ABSENT)
        code = from_private_attributes(private_parts, out_jwk, err);
    if (code == HSMART_KEY_ABSENT) {
        code = hs_err_set(err, HSMART_KEY_UNUSABLE,
                          "its public half is not on the token: no public key object with its id, no certificate, "
                          "and the private key object does not tell it");
        hs_err_hint(err, "import the public key or the certificate beside the private key, with the same CKA_ID");
    }
    return code;
}

bool
hs_public_half_dates(const struct hs_key_parts *private_parts, const struct hs_public_list *publics,
                     struct hs_span *out_start, struct hs_span *out_end)
{
    for (size_t i = 0; i < publics->count; i++) {
        struct hs_key_parts parts = hs_public_list_parts(publics, i);
        if (!may_belong_together(private_parts, &parts) || (parts.start_date.len == 0 && parts.end_date.len == 0))
            continue;
        *out_start = parts.start_date;
        *out_end = parts.end_date;
        return true;
    }
    return false;
}
