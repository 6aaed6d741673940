/* Public keys as tokens give them. The first byte says in which form: SubjectPublicKeyInfo, certificate, CKA_EC_POINT
 * for one of the curves, or modulus and exponent. */
#include "err.h"
#include "fuzz.h"
#include "jwk.h"
#include "p11_session.h"

static enum hsmart_code
from_ec_point(const char *curve_name, struct hs_span value, struct hs_jwk *out_jwk, hsmart_err *err)
{
    const struct hs_curve *curve = hs_curve_by_name(curve_name);
    struct hs_span point = hs_p11_ec_point(value, curve->field_len);

    if (point.len > 0) {
        FUZZ_REQUIRE(point.len == 1 + 2 * curve->field_len);
        FUZZ_REQUIRE(point.data >= value.data && point.data + point.len <= value.data + value.len);
    }
    return hs_jwk_from_ec_point(curve, point, out_jwk, err);
}

static enum hsmart_code
from_rsa(struct hs_span value, struct hs_jwk *out_jwk, hsmart_err *err)
{
    size_t exponent_len = value.len > 0 ? value.data[0] % 9U : 0;

    if (value.len < 1 + exponent_len)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "too short for this target");
    return hs_jwk_from_rsa((struct hs_span){value.data + 1 + exponent_len, value.len - 1 - exponent_len},
                           (struct hs_span){value.data + 1, exponent_len}, out_jwk, err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hs_jwk jwk = {0};
    hsmart_err err = {0};
    enum hsmart_code code = HSMART_OK;

    if (len < 1)
        return 0;
    struct hs_span value = {data + 1, len - 1};
    switch (data[0]) {
    case 's':
        code = hs_jwk_from_spki(value, &jwk, &err);
        break;
    case 'c':
        code = hs_jwk_from_certificate(value, &jwk, &err);
        break;
    case '2':
        code = from_ec_point("P-256", value, &jwk, &err);
        break;
    case '3':
        code = from_ec_point("P-384", value, &jwk, &err);
        break;
    case '5':
        code = from_ec_point("P-521", value, &jwk, &err);
        break;
    case 'r':
        code = from_rsa(value, &jwk, &err);
        break;
    default:
        return 0;
    }
    fuzz_require_story(code, &err);
    if (code == HSMART_OK) {
        FUZZ_REQUIRE(jwk.pkey != NULL && strlen(jwk.thumbprint) == 43);
        FUZZ_REQUIRE(jwk.n.len == 0 || jwk.n.data[0] != 0);
    }
    hs_jwk_clear(&jwk);
    return 0;
}
