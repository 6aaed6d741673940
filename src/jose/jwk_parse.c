/* Public keys out of JSON. */
#include "base64url.h"
#include "err.h"
#include "jwk.h"

const char *const hs_jwk_private_members[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};
const size_t hs_jwk_private_member_count = HS_ARRAY_LEN(hs_jwk_private_members);

static enum hsmart_code
refuse_private_members(const hs_json_value *value, hsmart_err *err)
{
    for (size_t i = 0; i < hs_jwk_private_member_count; i++) {
        if (hs_json_member(value, hs_jwk_private_members[i]) == NULL)
            continue;
        (void)hs_err_set(err, HSMART_INPUT_MALFORMED, "the member \"%s\" is part of a private or secret key",
                         hs_jwk_private_members[i]);
        hs_err_hint(err,
                    "Only public keys belong here; a private key that stood in a file is no secret: make a new one.");
        return HSMART_INPUT_MALFORMED;
    }
    return HSMART_OK;
}

/* A member that must be a string. */
static enum hsmart_code
read_text(const hs_json_value *value, const char *name, const char **out_text, hsmart_err *err)
{
    const hs_json_value *member = hs_json_member(value, name);
    const char *text = hs_json_text(member);

    if (hs_json_type_of(member) == HS_JSON_ABSENT)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "the member \"%s\" is absent", name);
    if (hs_json_type_of(member) != HS_JSON_STRING)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "the member \"%s\" is %s, but must be a string", name,
                          hs_json_type_words(member));
    if (text == NULL)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "the member \"%s\" holds a NUL character", name);
    *out_text = text;
    return HSMART_OK;
}

static enum hsmart_code
copy_optional_text(const hs_json_value *value, const char *name, char **out_copy, hsmart_err *err)
{
    const char *text = NULL;

    if (hs_json_member(value, name) == NULL)
        return HSMART_OK;
    enum hsmart_code code = read_text(value, name, &text, err);
    return code == HSMART_OK ? hs_strdup(text, out_copy, err) : code;
}

static enum hsmart_code
read_bytes(const hs_json_value *value, const char *name, struct hs_buf *out, hsmart_err *err)
{
    const char *text = NULL;
    enum hsmart_code code = read_text(value, name, &text, err);

    if (code != HSMART_OK)
        return code;
    code = hs_base64url_decode(hs_span_str(text), out, err);
    return code == HSMART_OK ? code : hs_err_wrap(err, code, "the member \"%s\"", name);
}

/* RFC 7518 section 2, Base64urlUInt: as few bytes as the number takes. */
static enum hsmart_code
read_minimal(const hs_json_value *value, const char *name, struct hs_buf *out, hsmart_err *err)
{
    enum hsmart_code code = read_bytes(value, name, out, err);

    if (code != HSMART_OK)
        return code;
    if (out->len == 0)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "the member \"%s\" is empty", name);
    if (out->data[0] == 0)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "the member \"%s\" begins with a zero byte", name);
    return HSMART_OK;
}

static enum hsmart_code
parse_rsa(const hs_json_value *value, struct hs_jwk *out_jwk, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf n = {0}, e = {0};

    code = read_minimal(value, "n", &n, err);
    if (code != HSMART_OK)
        goto out;
    code = read_minimal(value, "e", &e, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_jwk_from_rsa(hs_span_buf(&n), hs_span_buf(&e), out_jwk, err);
    if (code == HSMART_KEY_UNUSABLE)
        code = hs_err_wrap(err, HSMART_INPUT_MALFORMED, "the members \"n\" and \"e\"");
out:
    hs_buf_clear(&n);
    hs_buf_clear(&e);
    return code;
}

/* RFC 7518 section 6.2.1.2: every coordinate has the full length of the field. */
static enum hsmart_code
append_coordinate(const hs_json_value *value, const char *name, const struct hs_curve *curve, struct hs_buf *point,
                  hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf bytes = {0};

    code = read_bytes(value, name, &bytes, err);
    if (code != HSMART_OK)
        goto out;
    if (bytes.len != curve->field_len) {
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "the member \"%s\" is %zu bytes long, but on %s it must be %zu",
                          name, bytes.len, curve->name, curve->field_len);
        goto out;
    }
    code = hs_buf_append(point, hs_span_buf(&bytes), err);
out:
    hs_buf_clear(&bytes);
    return code;
}

static enum hsmart_code
parse_ec(const hs_json_value *value, struct hs_jwk *out_jwk, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf point = {0};
    const char *curve_name = NULL;

    code = read_text(value, "crv", &curve_name, err);
    if (code != HSMART_OK)
        goto out;
    const struct hs_curve *curve = hs_curve_by_name(curve_name);
    if (curve == NULL) {
        code = hs_err_set(err, HSMART_INPUT_MALFORMED,
                          "the member \"crv\" is \"%.32s\", but must be P-256, P-384 or P-521", curve_name);
        goto out;
    }
    code = hs_buf_append(&point, HS_SPAN_OF(((const uint8_t[]){0x04})), err);
    if (code != HSMART_OK)
        goto out;
    code = append_coordinate(value, "x", curve, &point, err);
    if (code != HSMART_OK)
        goto out;
    code = append_coordinate(value, "y", curve, &point, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_jwk_from_ec_point(curve, hs_span_buf(&point), out_jwk, err);
    if (code == HSMART_KEY_UNUSABLE)
        code = hs_err_wrap(err, HSMART_INPUT_MALFORMED, "the members \"x\" and \"y\"");
out:
    hs_buf_clear(&point);
    return code;
}

static const struct key_type {
    const char *kty;
    enum hsmart_code (*parse)(const hs_json_value *value, struct hs_jwk *out_jwk, hsmart_err *err);
} key_types[] = {{"RSA", parse_rsa}, {"EC", parse_ec}};

static enum hsmart_code
read_key_type(const hs_json_value *value, const struct key_type **out_type, hsmart_err *err)
{
    const char *kty = NULL;
    enum hsmart_code code = read_text(value, "kty", &kty, err);

    if (code != HSMART_OK)
        return code;
    for (size_t i = 0; i < HS_ARRAY_LEN(key_types); i++)
        if (strcmp(key_types[i].kty, kty) == 0) {
            *out_type = &key_types[i];
            return HSMART_OK;
        }
    return hs_err_set(err, HSMART_INPUT_MALFORMED, "the member \"kty\" is \"%.32s\", but must be RSA or EC", kty);
}

enum hsmart_code
hs_jwk_parse(const hs_json_value *value, struct hs_jwk *out_jwk, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_jwk jwk = {0};
    const struct key_type *type = NULL;

    if (hs_json_type_of(value) != HS_JSON_OBJECT) {
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "a JWK must be an object, but this is %s",
                          hs_json_type_words(value));
        goto out;
    }
    code = refuse_private_members(value, err);
    if (code != HSMART_OK)
        goto out;
    code = read_key_type(value, &type, err);
    if (code != HSMART_OK)
        goto out;
    code = type->parse(value, &jwk, err);
    if (code != HSMART_OK)
        goto out;
    code = copy_optional_text(value, "kid", &jwk.kid, err);
    if (code != HSMART_OK)
        goto out;
    code = copy_optional_text(value, "alg", &jwk.alg, err);
    if (code != HSMART_OK)
        goto out;
    code = copy_optional_text(value, "use", &jwk.use, err);
    if (code != HSMART_OK)
        goto out;
    hs_jwk_clear(out_jwk);
    *out_jwk = jwk;
    jwk = (struct hs_jwk){0};
out:
    hs_jwk_clear(&jwk);
    return code;
}
