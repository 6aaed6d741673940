#include "token_key.h"

#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "key_policy.h"
#include "p11_ckr.h"
#include "p11_mechanism.h"
#include "p11_uri.h"
#include "text.h"

/* ---- What is read of each object ---- */

enum { PRIVATE_KEY_TYPE, PRIVATE_LABEL, PRIVATE_ID, PRIVATE_START, PRIVATE_END, PRIVATE_MODULUS, PRIVATE_EXPONENT,
       PRIVATE_EC_PARAMS, PRIVATE_EC_POINT, PRIVATE_SPKI, PRIVATE_ALWAYS_AUTHENTICATE, PRIVATE_PLAIN_COUNT };
static const CK_ATTRIBUTE_TYPE private_types[PRIVATE_PLAIN_COUNT] = {
    CKA_KEY_TYPE, CKA_LABEL,           CKA_ID,        CKA_START_DATE, CKA_END_DATE,
    CKA_MODULUS,  CKA_PUBLIC_EXPONENT, CKA_EC_PARAMS, CKA_EC_POINT,   CKA_PUBLIC_KEY_INFO,
    CKA_ALWAYS_AUTHENTICATE,
};
#define PRIVATE_MAX 32U /* the plain ones, then one for each row of the policy */

enum { PUBLIC_KEY_TYPE, PUBLIC_LABEL, PUBLIC_ID, PUBLIC_MODULUS, PUBLIC_EXPONENT, PUBLIC_EC_PARAMS, PUBLIC_EC_POINT,
       PUBLIC_COUNT };
static const CK_ATTRIBUTE_TYPE public_types[PUBLIC_COUNT] = {
    CKA_KEY_TYPE, CKA_LABEL, CKA_ID, CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKA_EC_PARAMS, CKA_EC_POINT,
};

/* A public key object, read once for all the private keys that it may belong to. */
struct public_object {
    struct hs_p11_attribute attributes[PUBLIC_COUNT];
    bool taken; /* it is the public half of a private key that was seen */
};

struct public_list {
    struct public_object *objects;
    size_t count;
};

static void
public_list_clear(struct public_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        hs_p11_attributes_clear(list->objects[i].attributes, PUBLIC_COUNT);
    hs_free(list->objects);
    *list = (struct public_list){0};
}

static struct hs_span
value_of(const struct hs_p11_attribute *attribute)
{
    return attribute->reported ? hs_span_buf(&attribute->value) : (struct hs_span){0};
}

/* Every key has a type. A token that does not tell it for a reason of its own (throttled, lost, out of order) is in
 * trouble; it says nothing of the key. */
static enum hsmart_code
check_was_read(struct hs_p11_session *session, const struct hs_p11_attribute *key_type, hsmart_err *err)
{
    if (key_type->reported || hs_ckr_row_of(key_type->rv)->class == HS_CKR_ATTRIBUTE)
        return HSMART_OK;
    session->last_rv = key_type->rv;
    return hs_ckr_set(err, key_type->rv);
}

/* Before "no such private key" is believed: a login that somebody ended hides them all. */
static enum hsmart_code
check_is_logged_in(const struct hs_p11_token *token, struct hs_p11_session *session, hsmart_err *err)
{
    if (!hs_p11_token_logs_in(token) || !hs_p11_session_is_public(session))
        return HSMART_OK;
    session->last_rv = CKR_USER_NOT_LOGGED_IN;
    session->doubtful = true;
    return hs_ckr_set(err, CKR_USER_NOT_LOGGED_IN);
}

/* Public key objects, all of them or those with this id. */
static enum hsmart_code
public_list_read(struct hs_p11_session *session, const struct hs_span *id, struct public_list *out_list,
                 hsmart_err *err)
{
    enum hsmart_code code;
    struct public_list list = {0};
    struct hs_p11_object *objects = NULL;
    size_t count = 0;
    CK_ATTRIBUTE with_id = {CKA_ID, id != NULL ? (void *)(uintptr_t)id->data : NULL, id != NULL ? id->len : 0};

    code = hs_p11_session_find(session, CKO_PUBLIC_KEY, &with_id, id != NULL ? 1 : 0, &objects, &count, err);
    if (code != HSMART_OK)
        goto out;
    list.objects = hs_calloc(count != 0 ? count : 1, sizeof *list.objects);
    if (list.objects == NULL) {
        code = hs_err_no_memory(err);
        goto out;
    }
    for (; list.count < count; list.count++) {
        struct public_object *object = &list.objects[list.count];
        for (size_t i = 0; i < PUBLIC_COUNT; i++)
            object->attributes[i].type = public_types[i];
        code = hs_p11_session_read(session, objects[list.count], object->attributes, PUBLIC_COUNT, err);
        if (code == HSMART_OK)
            code = check_was_read(session, &object->attributes[PUBLIC_KEY_TYPE], err);
        if (code != HSMART_OK) {
            list.count++;
            goto out;
        }
    }
    *out_list = list;
    list = (struct public_list){0};
out:
    public_list_clear(&list);
    hs_free(objects);
    return code;
}

/* ---- From attributes to a public key ---- */

struct public_parts {
    CK_KEY_TYPE type;
    struct hs_span modulus, exponent, ec_params, ec_point;
};

static enum hsmart_code
jwk_from_parts(const struct public_parts *parts, struct hs_jwk *out_jwk, hsmart_err *err)
{
    if (parts->type == CKK_RSA)
        return hs_jwk_from_rsa(parts->modulus, parts->exponent, out_jwk, err);

    const struct hs_curve *curve = hs_curve_by_oid_der(parts->ec_params);
    if (curve == NULL)
        return hs_err_set(err, HSMART_KEY_UNUSABLE, "its curve is none of P-256, P-384 and P-521");
    struct hs_span point = hs_p11_ec_point(parts->ec_point, curve->field_len);
    if (point.len == 0)
        return hs_err_set(err, HSMART_KEY_UNUSABLE, "its CKA_EC_POINT is not an uncompressed point of %s",
                          curve->name);
    return hs_jwk_from_ec_point(curve, point, out_jwk, err);
}

static struct public_parts
parts_of_public(const struct public_object *object)
{
    const struct hs_p11_attribute *attributes = object->attributes;
    CK_ULONG type = CK_UNAVAILABLE_INFORMATION;

    (void)hs_p11_attribute_get_ulong(&attributes[PUBLIC_KEY_TYPE], &type);
    return (struct public_parts){.type = type,
                                 .modulus = value_of(&attributes[PUBLIC_MODULUS]),
                                 .exponent = value_of(&attributes[PUBLIC_EXPONENT]),
                                 .ec_params = value_of(&attributes[PUBLIC_EC_PARAMS]),
                                 .ec_point = value_of(&attributes[PUBLIC_EC_POINT])};
}

static struct public_parts
parts_of_private(const struct hs_p11_attribute *attributes, CK_KEY_TYPE type)
{
    return (struct public_parts){.type = type,
                                 .modulus = value_of(&attributes[PRIVATE_MODULUS]),
                                 .exponent = value_of(&attributes[PRIVATE_EXPONENT]),
                                 .ec_params = value_of(&attributes[PRIVATE_EC_PARAMS]),
                                 .ec_point = value_of(&attributes[PRIVATE_EC_POINT])};
}

/* Whether a public object may be the other half: the same type and id (or, without ids, the same label), and the
 * same modulus where both tell one. */
static bool
may_belong_together(const struct hs_p11_attribute *private_attributes, CK_KEY_TYPE type,
                    const struct public_object *object)
{
    struct hs_span id = value_of(&private_attributes[PRIVATE_ID]);
    struct hs_span public_id = value_of(&object->attributes[PUBLIC_ID]);
    struct hs_span modulus = hs_span_trim_zeros(value_of(&private_attributes[PRIVATE_MODULUS]));
    struct public_parts parts = parts_of_public(object);

    if (parts.type != type || !hs_span_equal(id, public_id))
        return false;
    if (id.len == 0 &&
        !hs_span_equal(value_of(&private_attributes[PRIVATE_LABEL]), value_of(&object->attributes[PUBLIC_LABEL])))
        return false;
    return modulus.len == 0 || parts.modulus.len == 0 || hs_span_equal(modulus, hs_span_trim_zeros(parts.modulus));
}

static enum hsmart_code
jwk_from_public_objects(const struct hs_p11_attribute *attributes, CK_KEY_TYPE type, struct public_list *publics,
                        struct hs_jwk *out_jwk, hsmart_err *err)
{
    enum hsmart_code code = HSMART_KEY_ABSENT;
    struct hs_jwk found = {0}, other = {0};

    for (size_t i = 0; i < publics->count; i++) {
        if (!may_belong_together(attributes, type, &publics->objects[i]))
            continue;
        publics->objects[i].taken = true;
        struct public_parts parts = parts_of_public(&publics->objects[i]);
        code = jwk_from_parts(&parts, found.pkey == NULL ? &found : &other, err);
        if (code != HSMART_OK)
            goto out;
        if (other.pkey != NULL && !hs_jwk_same_key(&found, &other)) {
            code = hs_err_set(err, HSMART_KEY_UNUSABLE,
                              "several different public keys share its id and label, so its own cannot be told");
            hs_err_hint(err, "delete the public key object that does not belong to it, or give the pairs distinct ids");
            goto out;
        }
        hs_jwk_clear(&other);
    }
    if (code == HSMART_OK) {
        *out_jwk = found;
        found = (struct hs_jwk){0};
    }
out:
    hs_jwk_clear(&found);
    hs_jwk_clear(&other);
    return code;
}

static enum hsmart_code
jwk_from_certificate_object(struct hs_p11_session *session, const struct hs_p11_attribute *attributes,
                            struct hs_jwk *out_jwk, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_p11_object *objects = NULL;
    size_t count = 0;
    struct hs_p11_attribute value = {.type = CKA_VALUE};
    struct hs_span id = value_of(&attributes[PRIVATE_ID]);
    CK_ATTRIBUTE with_id = {CKA_ID, (void *)(uintptr_t)id.data, id.len};

    if (id.len == 0)
        return HSMART_KEY_ABSENT;
    code = hs_p11_session_find(session, CKO_CERTIFICATE, &with_id, 1, &objects, &count, err);
    if (code != HSMART_OK)
        goto out;
    if (count == 0) {
        code = HSMART_KEY_ABSENT;
        goto out;
    }
    code = hs_p11_session_read(session, objects[0], &value, 1, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_jwk_from_certificate(value_of(&value), out_jwk, err);
out:
    hs_p11_attributes_clear(&value, 1);
    hs_free(objects);
    return code;
}

static enum hsmart_code
jwk_from_private_attributes(const struct hs_p11_attribute *attributes, CK_KEY_TYPE type, struct hs_jwk *out_jwk,
                            hsmart_err *err)
{
    struct public_parts parts = parts_of_private(attributes, type);
    struct hs_span spki = value_of(&attributes[PRIVATE_SPKI]);

    if (type == CKK_RSA ? parts.modulus.len > 0 && parts.exponent.len > 0 : parts.ec_point.len > 0)
        return jwk_from_parts(&parts, out_jwk, err);
    if (spki.len > 0)
        return hs_jwk_from_spki(spki, out_jwk, err);
    return HSMART_KEY_ABSENT;
}

/* The public half, from the first place that has it. A place that has it wrong is an error, not a reason to look
 * further: two stories about one key are one too many. */
static enum hsmart_code
read_public_half(struct hs_p11_session *session, const struct hs_p11_attribute *attributes, CK_KEY_TYPE type,
                 struct public_list *publics, struct hs_jwk *out_jwk, hsmart_err *err)
{
    enum hsmart_code code = jwk_from_public_objects(attributes, type, publics, out_jwk, err);

    if (code == HSMART_KEY_ABSENT)
        code = jwk_from_certificate_object(session, attributes, out_jwk, err);
    if (code == HSMART_KEY_ABSENT)
        code = jwk_from_private_attributes(attributes, type, out_jwk, err);
    if (code == HSMART_KEY_ABSENT) {
        code = hs_err_set(err, HSMART_KEY_UNUSABLE,
                          "its public half is not on the token: no public key object with its id, no certificate, "
                          "and the private key object does not tell it");
        hs_err_hint(err, "import the public key or the certificate beside the private key, with the same CKA_ID");
    }
    return code;
}

/* ---- Telling ---- */

static enum hsmart_code
set_problem(struct hs_token_key *key, enum hsmart_code code, const char *text, hsmart_err *err)
{
    if (key->info.problem != HSMART_OK)
        return HSMART_OK;
    key->info.problem = code;
    enum hsmart_code copied = hs_strdup(text, &key->problem_text, err);
    key->info.problem_text = key->problem_text;
    return copied;
}

static enum hsmart_code
copy_label(struct hs_token_key *key, struct hs_span label, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = hs_buf_append(&key->raw_label, label, err);

    if (code == HSMART_OK)
        code = hs_buf_append(&text, label, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&text, &key->label, err);
    if (code == HSMART_OK)
        hs_text_sanitize(key->label);
    key->info.label = key->label;
    hs_buf_clear(&text);
    return code;
}

/* CK_DATE is "YYYYMMDD"; an empty one means none. */
static enum hsmart_code
copy_date(struct hs_span date, char **out_text, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code;

    if (date.len != 8 || date.data[0] < '0' || date.data[0] > '9')
        return HSMART_OK;
    code = hs_buf_append_format(&text, err, "%.4s-%.2s-%.2s", (const char *)date.data, (const char *)date.data + 4,
                                (const char *)date.data + 6);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&text, out_text, err);
    if (code == HSMART_OK)
        hs_text_sanitize(*out_text);
    hs_buf_clear(&text);
    return code;
}

static enum hsmart_code
copy_identity(struct hs_token_key *key, struct hs_span label, struct hs_span id, hsmart_err *err)
{
    struct hs_buf uri = {0};
    enum hsmart_code code = copy_label(key, label, err);

    if (code == HSMART_OK)
        code = hs_buf_append(&key->id, id, err);
    if (code == HSMART_OK)
        code = hs_p11_uri_format_key(hs_p11_token_get_raw_info(key->token), label, id, &uri, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&uri, &key->uri, err);
    key->info.id = key->id.data;
    key->info.id_len = key->id.len;
    key->info.uri = key->uri;
    hs_buf_clear(&uri);
    return code;
}

static enum hsmart_code
copy_type(struct hs_token_key *key, CK_KEY_TYPE type, hsmart_err *err)
{
    struct hs_buf text = {0};
    const char *name = type == CKK_RSA ? "RSA" : type == CKK_EC ? "EC" : hs_p11_key_type_name(type);
    enum hsmart_code code = name != NULL ? hs_buf_append_str(&text, name, err)
                                         : hs_buf_append_format(&text, err, "key type 0x%lx", type);

    if (code == HSMART_OK)
        code = hs_buf_take_text(&text, &key->type_name, err);
    key->info.type = key->type_name;
    hs_buf_clear(&text);
    return code;
}

static void
tell_public_half(struct hs_token_key *key)
{
    const struct hs_alg *alg = hs_alg_default(key->jwk.type, key->jwk.curve);

    key->info.curve = key->jwk.curve != NULL ? key->jwk.curve->name : NULL;
    key->info.bits = key->jwk.bits;
    key->info.thumbprint = key->jwk.thumbprint;
    key->info.alg = alg != NULL ? alg->name : NULL;
}

static enum hsmart_code
tell_attributes(struct hs_token_key *key, const struct hs_p11_attribute *reported, hsmart_err *err)
{
    bool value = false;

    key->attributes = hs_calloc(hs_policy_row_count, sizeof *key->attributes);
    if (key->attributes == NULL)
        return hs_err_no_memory(err);
    for (size_t i = 0; i < hs_policy_row_count; i++) {
        const struct hs_policy_row *row = &hs_policy_rows[i];
        bool is_reported = hs_p11_attribute_get_bool(&reported[i], &value);
        key->attributes[i] = (hsmart_key_attribute){
            .name = row->name,
            .wanted = row->wanted ? HSMART_ANSWER_YES : HSMART_ANSWER_NO,
            .reported = !is_reported ? HSMART_ANSWER_NOT_REPORTED : value ? HSMART_ANSWER_YES : HSMART_ANSWER_NO,
            .required = row->weight != HS_POLICY_WISHED,
        };
    }
    key->info.attributes = key->attributes;
    key->info.attribute_count = hs_policy_row_count;
    return HSMART_OK;
}

/* What the attributes and the size mean for signing; the first problem stays. */
static enum hsmart_code
judge(struct hs_token_key *key, hsmart_err *err)
{
    static const struct {
        enum hs_policy_weight weight;
        enum hsmart_code code;
        const char *text;
    } verdicts[] = {
        {HS_POLICY_NEEDED, HSMART_KEY_UNUSABLE, "it may not sign: the token reports CKA_SIGN false"},
        {HS_POLICY_LEAKS, HSMART_POLICY_REFUSED,
         "the token would give it away: CKA_EXTRACTABLE true or CKA_SENSITIVE false"},
    };
    enum hsmart_code code = HSMART_OK;
    char text[96];

    for (size_t v = 0; v < HS_ARRAY_LEN(verdicts); v++)
        for (size_t i = 0; i < hs_policy_row_count && code == HSMART_OK; i++)
            if (hs_policy_rows[i].weight == verdicts[v].weight && hs_policy_is_broken(&key->attributes[i]))
                code = set_problem(key, verdicts[v].code, verdicts[v].text, err);
    if (code == HSMART_OK && hs_token_key_is_weak(key)) {
        (void)snprintf(text, sizeof text, "its RSA modulus has %u bits, fewer than the %u required", key->info.bits,
                       HS_RSA_MIN_BITS);
        code = set_problem(key, HSMART_POLICY_REFUSED, text, err);
    }
    return code;
}

bool
hs_token_key_is_weak(const struct hs_token_key *key)
{
    return key->jwk.type == HS_KEY_RSA && key->jwk.pkey != NULL && key->jwk.bits < HS_RSA_MIN_BITS;
}

bool
hs_token_key_may_leave(const struct hs_token_key *key)
{
    for (size_t i = 0; i < key->info.attribute_count; i++)
        if (hs_policy_rows[i].weight == HS_POLICY_LEAKS && hs_policy_is_broken(&key->attributes[i]))
            return true;
    return false;
}

/* ---- One key ---- */

static enum hsmart_code
key_new(struct hs_p11_token *token, struct hs_token_key **out_key, hsmart_err *err)
{
    struct hs_token_key *key = hs_calloc(1, sizeof *key);

    if (key == NULL)
        return hs_err_no_memory(err);
    key->token = hs_p11_token_ref(token);
    key->info.label = "";
    *out_key = key;
    return HSMART_OK;
}

void
hs_token_key_free(struct hs_token_key *key)
{
    if (key == NULL)
        return;
    hs_jwk_clear(&key->jwk);
    hs_string_free(key->label);
    hs_string_free(key->uri);
    hs_string_free(key->type_name);
    hs_string_free(key->problem_text);
    hs_string_free(key->start_date);
    hs_string_free(key->end_date);
    hs_buf_clear(&key->id);
    hs_buf_clear(&key->raw_label);
    hs_free(key->attributes);
    hs_p11_token_unref(key->token);
    hs_free(key);
}

/* Reads the public half into the key. That it cannot be had, or used, is a problem of the key and not of the call. */
static enum hsmart_code
fill_public_half(struct hs_token_key *key, struct hs_p11_session *session, const struct hs_p11_attribute *attributes,
                 CK_KEY_TYPE type, struct public_list *publics, hsmart_err *err)
{
    hsmart_err why = {0};
    enum hsmart_code code;

    if (type != CKK_RSA && type != CKK_EC)
        return set_problem(key, HSMART_KEY_UNUSABLE, "its type is neither RSA nor EC (P-256, P-384, P-521)", err);
    code = read_public_half(session, attributes, type, publics, &key->jwk, &why);
    if (code == HSMART_OK) {
        tell_public_half(key);
        return HSMART_OK;
    }
    if (code == HSMART_KEY_UNUSABLE)
        return set_problem(key, code, why.text, err);
    if (err != NULL)
        *err = why;
    return code;
}

static enum hsmart_code
read_private(struct hs_p11_token *token, struct hs_p11_session *session, struct hs_p11_object object,
             const struct hs_p11_attribute *attributes, struct public_list *publics, struct hs_token_key **out_key,
             hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_token_key *key = NULL;
    CK_ULONG type = CK_UNAVAILABLE_INFORMATION;

    code = key_new(token, &key, err);
    if (code != HSMART_OK)
        goto out;
    key->handle = object.handle;
    key->generation = session->generation;
    key->info.has_private = true;
    (void)hs_p11_attribute_get_bool(&attributes[PRIVATE_ALWAYS_AUTHENTICATE], &key->always_authenticate);
    (void)hs_p11_attribute_get_ulong(&attributes[PRIVATE_KEY_TYPE], &type);
    code = copy_identity(key, value_of(&attributes[PRIVATE_LABEL]), value_of(&attributes[PRIVATE_ID]), err);
    if (code == HSMART_OK)
        code = copy_type(key, type, err);
    if (code == HSMART_OK)
        code = copy_date(value_of(&attributes[PRIVATE_START]), &key->start_date, err);
    if (code == HSMART_OK)
        code = copy_date(value_of(&attributes[PRIVATE_END]), &key->end_date, err);
    if (code == HSMART_OK)
        code = tell_attributes(key, attributes + PRIVATE_PLAIN_COUNT, err);
    if (code == HSMART_OK)
        code = fill_public_half(key, session, attributes, type, publics, err);
    if (code == HSMART_OK)
        code = judge(key, err);
    if (code != HSMART_OK)
        goto out;
    key->info.start_date = key->start_date;
    key->info.end_date = key->end_date;
    *out_key = key;
    key = NULL;
out:
    hs_token_key_free(key);
    return code;
}

static enum hsmart_code
read_private_attributes(struct hs_p11_session *session, struct hs_p11_object object,
                        struct hs_p11_attribute attributes[PRIVATE_MAX], hsmart_err *err)
{
    size_t count = PRIVATE_PLAIN_COUNT + hs_policy_row_count;
    enum hsmart_code code;

    if (count > PRIVATE_MAX)
        return hs_err_set(err, HSMART_INTERNAL, "the policy has more rows than there is room for");
    for (size_t i = 0; i < count; i++)
        attributes[i].type = i < PRIVATE_PLAIN_COUNT ? private_types[i] : hs_policy_rows[i - PRIVATE_PLAIN_COUNT].type;
    code = hs_p11_session_read(session, object, attributes, count, err);
    return code == HSMART_OK ? check_was_read(session, &attributes[PRIVATE_KEY_TYPE], err) : code;
}

/* A public key object on its own: a half pair, listed so that nobody searches for it. */
static enum hsmart_code
read_lone_public(struct hs_p11_token *token, const struct public_object *object, struct hs_token_key **out_key,
                 hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_token_key *key = NULL;
    struct public_parts parts = parts_of_public(object);

    code = key_new(token, &key, err);
    if (code == HSMART_OK)
        code = copy_identity(key, value_of(&object->attributes[PUBLIC_LABEL]),
                             value_of(&object->attributes[PUBLIC_ID]), err);
    if (code == HSMART_OK)
        code = copy_type(key, parts.type, err);
    if (code != HSMART_OK)
        goto out;
    if ((parts.type == CKK_RSA || parts.type == CKK_EC) && jwk_from_parts(&parts, &key->jwk, NULL) == HSMART_OK)
        tell_public_half(key);
    code = set_problem(key, HSMART_KEY_UNUSABLE,
                       "only its public half is here: the private key object is missing, or not visible without login",
                       err);
    if (code != HSMART_OK)
        goto out;
    *out_key = key;
    key = NULL;
out:
    hs_token_key_free(key);
    return code;
}

/* ---- Lists ---- */

struct key_list {
    struct hs_token_key **keys;
    size_t count;
};

static void
key_list_clear(struct key_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        hs_token_key_free(list->keys[i]);
    hs_free(list->keys);
    *list = (struct key_list){0};
}

static enum hsmart_code
key_list_append(struct key_list *list, struct hs_token_key *key, hsmart_err *err)
{
    enum hsmart_code code = hs_array_grow((void **)&list->keys, list->count, sizeof(struct hs_token_key *), err);

    if (code != HSMART_OK) {
        hs_token_key_free(key);
        return code;
    }
    list->keys[list->count++] = key;
    return HSMART_OK;
}

static int
by_label_then_id(const void *left, const void *right)
{
    const struct hs_token_key *a = *(struct hs_token_key *const *)left, *b = *(struct hs_token_key *const *)right;
    int order = strcmp(a->info.label, b->info.label);

    if (order != 0)
        return order;
    size_t shorter = a->id.len < b->id.len ? a->id.len : b->id.len;
    order = shorter != 0 ? memcmp(a->id.data, b->id.data, shorter) : 0;
    return order != 0 ? order : (a->id.len > b->id.len) - (a->id.len < b->id.len);
}

/* What is looked for; the empty wish is every key. */
struct wish {
    struct hs_span label, id;
};

static size_t
wish_template(const struct wish *wish, CK_ATTRIBUTE attributes[2])
{
    size_t count = 0;

    if (wish->label.data != NULL)
        attributes[count++] = (CK_ATTRIBUTE){CKA_LABEL, (void *)(uintptr_t)wish->label.data, wish->label.len};
    if (wish->id.data != NULL)
        attributes[count++] = (CK_ATTRIBUTE){CKA_ID, (void *)(uintptr_t)wish->id.data, wish->id.len};
    return count;
}

static bool
wish_fits(const struct wish *wish, const struct public_object *object)
{
    return (wish->label.data == NULL || hs_span_equal(wish->label, value_of(&object->attributes[PUBLIC_LABEL]))) &&
           (wish->id.data == NULL || hs_span_equal(wish->id, value_of(&object->attributes[PUBLIC_ID])));
}

/* The private key's public half is searched for by its id: its label may be another one. Without an id all public
 * objects are candidates. */
static enum hsmart_code
read_one_private(struct hs_p11_token *token, struct hs_p11_session *session, struct hs_p11_object object,
                 struct public_list *all_publics, struct hs_token_key **out_key, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_p11_attribute attributes[PRIVATE_MAX] = {0};
    struct public_list own = {0};
    struct public_list *publics = all_publics;

    code = read_private_attributes(session, object, attributes, err);
    if (code != HSMART_OK)
        goto out;
    if (publics == NULL) {
        struct hs_span id = value_of(&attributes[PRIVATE_ID]);
        code = public_list_read(session, id.len > 0 ? &id : NULL, &own, err);
        if (code != HSMART_OK)
            goto out;
        publics = &own;
    }
    code = read_private(token, session, object, attributes, publics, out_key, err);
out:
    public_list_clear(&own);
    hs_p11_attributes_clear(attributes, PRIVATE_MAX);
    return code;
}

/* One reading of the keys that fit a wish, as an operation that may be run again. */
struct reading {
    struct hs_p11_token *token;
    const struct wish *wish;
    struct key_list list;
};

static enum hsmart_code
add_pairs(struct reading *reading, struct hs_p11_session *session, const struct hs_p11_object *objects, size_t count,
          struct public_list *publics, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < count && code == HSMART_OK; i++) {
        struct hs_token_key *key = NULL;
        code = read_one_private(reading->token, session, objects[i], publics, &key, err);
        if (code == HSMART_OK)
            code = key_list_append(&reading->list, key, err);
    }
    return code;
}

static enum hsmart_code
add_lone_publics(struct reading *reading, const struct public_list *publics, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < publics->count && code == HSMART_OK; i++) {
        struct hs_token_key *key = NULL;
        if (publics->objects[i].taken || !wish_fits(reading->wish, &publics->objects[i]))
            continue;
        code = read_lone_public(reading->token, &publics->objects[i], &key, err);
        if (code == HSMART_OK)
            code = key_list_append(&reading->list, key, err);
    }
    return code;
}

/* With a narrow wish each private key's public half is searched for by id; with none, or when no private key fits, all
 * public objects are read, so that half pairs are told too. */
static enum hsmart_code
run_reading(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    enum hsmart_code code;
    struct reading *reading = arg;
    struct hs_p11_object *objects = NULL;
    struct public_list publics = {0};
    size_t count = 0;
    CK_ATTRIBUTE attributes[2];
    size_t attribute_count = wish_template(reading->wish, attributes);

    key_list_clear(&reading->list);
    code = hs_p11_session_find(session, CKO_PRIVATE_KEY, attributes, attribute_count, &objects, &count, err);
    if (code == HSMART_OK && count == 0)
        code = check_is_logged_in(reading->token, session, err);
    if (code != HSMART_OK)
        goto out;
    bool with_halves = attribute_count == 0 || count == 0;
    if (with_halves)
        code = public_list_read(session, NULL, &publics, err);
    if (code == HSMART_OK)
        code = add_pairs(reading, session, objects, count, with_halves ? &publics : NULL, err);
    if (code == HSMART_OK)
        code = add_lone_publics(reading, &publics, err);
out:
    public_list_clear(&publics);
    hs_free(objects);
    return code;
}

static enum hsmart_code
read_keys(struct hs_p11_token *token, const struct wish *wish, struct key_list *out_list, hsmart_err *err)
{
    struct reading reading = {.token = token, .wish = wish};
    const struct hs_p11_operation operation = {run_reading, NULL, &reading};
    enum hsmart_code code = hs_p11_token_request(token, &operation, err);

    if (code != HSMART_OK) {
        key_list_clear(&reading.list);
        return code;
    }
    if (reading.list.count > 1)
        qsort(reading.list.keys, reading.list.count, sizeof(struct hs_token_key *), by_label_then_id);
    *out_list = reading.list;
    return HSMART_OK;
}

enum hsmart_code
hs_token_key_list(struct hs_p11_token *token, struct hs_token_key ***out_keys, size_t *out_count, hsmart_err *err)
{
    struct key_list list = {0};
    enum hsmart_code code = read_keys(token, &(struct wish){0}, &list, err);

    if (code != HSMART_OK)
        return hs_err_wrap(err, code, "cannot list the keys on token \"%s\"", hs_p11_token_get_name(token));
    *out_keys = list.keys;
    *out_count = list.count;
    return HSMART_OK;
}

/* ---- Finding the one ---- */

#define TOLD_KEYS_MAX 5U

/* "ehr-2026" (id 01ab), … */
static void
describe_keys(const struct key_list *list, bool private_only, struct hs_buf *out)
{
    enum hsmart_code code = HSMART_OK;
    size_t told = 0, left_out = 0;

    for (size_t i = 0; i < list->count && code == HSMART_OK; i++) {
        const hsmart_key_info *info = &list->keys[i]->info;
        if (private_only && !info->has_private)
            continue;
        if (told == TOLD_KEYS_MAX) {
            left_out++;
            continue;
        }
        code = hs_buf_append_format(out, NULL, "%s\"%s\" (id ", told++ > 0 ? ", " : "", info->label);
        if (code == HSMART_OK)
            code = info->id_len > 0 ? hs_text_append_hex(out, (struct hs_span){info->id, info->id_len}, NULL)
                                    : hs_buf_append_str(out, "none", NULL);
        if (code == HSMART_OK)
            code = hs_buf_append_str(out, ")", NULL);
    }
    if (left_out > 0 && code == HSMART_OK)
        code = hs_buf_append_format(out, NULL, " and %zu more", left_out);
    if (code != HSMART_OK)
        hs_buf_clear(out); /* a shorter message is better than none */
}

static enum hsmart_code
key_absent(struct hs_p11_token *token, const char *uri, hsmart_err *err)
{
    struct key_list list = {0};
    struct hs_buf there = {0};

    if (read_keys(token, &(struct wish){0}, &list, NULL) == HSMART_OK)
        describe_keys(&list, false, &there);
    (void)hs_err_set(err, HSMART_KEY_ABSENT, there.len > 0 ? "the token has %s" : "the token shows no key at all",
                     hs_buf_text(&there));
    if (there.len == 0)
        hs_err_hint(err, "log in with --pin-source, or make a key with `hsmart-key generate`");
    hs_buf_clear(&there);
    key_list_clear(&list);
    return hs_err_wrap(err, HSMART_KEY_ABSENT, "no key on token \"%s\" matches %s", hs_p11_token_get_name(token),
                       uri != NULL ? uri : "\"any\"");
}

static enum hsmart_code
key_ambiguous(struct hs_p11_token *token, const struct key_list *list, const char *uri, hsmart_err *err)
{
    struct hs_buf there = {0};

    describe_keys(list, true, &there);
    (void)hs_err_set(err, HSMART_KEY_AMBIGUOUS, "%s", hs_buf_text(&there));
    hs_buf_clear(&there);
    return hs_err_wrap(err, HSMART_KEY_AMBIGUOUS, "several keys on token \"%s\" match %s", hs_p11_token_get_name(token),
                       uri != NULL ? uri : "when none is named");
}

static enum hsmart_code
choose(struct hs_p11_token *token, struct key_list *list, const char *uri, struct hs_token_key **out_key,
       hsmart_err *err)
{
    size_t chosen = 0, private_count = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (!list->keys[i]->info.has_private)
            continue;
        chosen = i;
        private_count++;
    }
    if (list->count == 0)
        return key_absent(token, uri, err);
    if (private_count > 1)
        return key_ambiguous(token, list, uri, err);
    if (private_count == 0) {
        (void)hs_err_set(err, HSMART_KEY_UNUSABLE, "%s", list->keys[0]->info.problem_text);
        return hs_err_wrap(err, HSMART_KEY_UNUSABLE, "cannot use key \"%s\" on token \"%s\"",
                           list->keys[0]->info.label, hs_p11_token_get_name(token));
    }
    *out_key = list->keys[chosen];
    list->keys[chosen] = NULL;
    return HSMART_OK;
}

/* A key URI may repeat the token's attributes; then they have to fit this token. */
static enum hsmart_code
check_names_this_token(const struct hs_p11_uri *uri, struct hs_p11_token *token, hsmart_err *err)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;

    if (!hs_p11_uri_matches_token(uri, NULL, 0, NULL, hs_p11_token_get_raw_info(token)))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the key's URI names another token than \"%s\"",
                          hs_p11_token_get_name(token));
    if (hs_p11_uri_get_class(uri, &class) && class != CKO_PRIVATE_KEY && class != CKO_PUBLIC_KEY)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the key's URI has a type that is neither private nor public");
    return HSMART_OK;
}

enum hsmart_code
hs_token_key_find(struct hs_p11_token *token, const char *uri, struct hs_token_key **out_key, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_p11_uri *parsed = NULL;
    struct key_list list = {0};
    struct wish wish = {0};

    code = hs_p11_uri_parse(uri, &parsed, err);
    if (code != HSMART_OK)
        goto out;
    code = check_names_this_token(parsed, token, err);
    if (code != HSMART_OK)
        goto out;
    hs_p11_uri_get_object(parsed, &wish.label, &wish.id);
    code = read_keys(token, &wish, &list, err);
    if (code != HSMART_OK) {
        (void)hs_err_wrap(err, code, "cannot look for keys on token \"%s\"", hs_p11_token_get_name(token));
        goto out;
    }
    code = choose(token, &list, uri, out_key, err);
out:
    key_list_clear(&list);
    hs_p11_uri_free(parsed);
    return code;
}

/* ---- Finding it again ---- */

enum hsmart_code
hs_token_key_find_again(struct hs_p11_token *token, struct hs_p11_session *session,
                        const struct hs_key_identity *identity, CK_OBJECT_HANDLE *out_handle, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_p11_object *objects = NULL;
    struct hs_token_key *key = NULL;
    size_t count = 0;
    const struct wish wish = {identity->label.len > 0 ? identity->label : (struct hs_span){0},
                              identity->id.len > 0 ? identity->id : (struct hs_span){0}};
    CK_ATTRIBUTE attributes[2];
    size_t attribute_count = wish_template(&wish, attributes);

    code = hs_p11_session_find(session, CKO_PRIVATE_KEY, attributes, attribute_count, &objects, &count, err);
    if (code == HSMART_OK && count == 0)
        code = check_is_logged_in(token, session, err);
    if (code != HSMART_OK)
        goto out;
    if (count != 1) {
        code = count == 0 ? hs_err_set(err, HSMART_KEY_ABSENT, "the key is gone from the token")
                          : hs_err_set(err, HSMART_KEY_AMBIGUOUS, "several keys have its label and id by now");
        goto out;
    }
    code = read_one_private(token, session, objects[0], NULL, &key, err);
    if (code == HSMART_OK && key->jwk.pkey == NULL)
        code = hs_err_set(err, HSMART_KEY_UNUSABLE, "it cannot be told whether it is still the same key: %s",
                          key->info.problem_text);
    if (code == HSMART_OK && !hs_jwk_same_key(&key->jwk, identity->jwk))
        code = hs_err_set(err, HSMART_KEY_MISMATCH,
                          "another key stands on the token under the same name: its thumbprint is \"%s\"",
                          key->jwk.thumbprint);
    if (code == HSMART_OK)
        *out_handle = objects[0].handle;
out:
    hs_token_key_free(key);
    hs_free(objects);
    return code;
}
