/* Public keys out of DER: SubjectPublicKeyInfo and certificates. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "err.h"
#include "jwk.h"

#define DER_MAX_LEN (64U << 10)

/* A number of a public key, in `len` bytes (0: as many as it takes). */
static enum hsmart_code
read_number(const EVP_PKEY *pkey, const char *param, size_t len, struct hs_buf *out, hsmart_err *err)
{
    enum hsmart_code code;
    BIGNUM *number = NULL;

    if (EVP_PKEY_get_bn_param(pkey, param, &number) != 1) {
        code = hs_err_set(err, HSMART_KEY_UNUSABLE, "the public key lacks its number \"%s\"", param);
        goto out;
    }
    size_t at = out->len;
    size_t number_len = len != 0 ? len : (size_t)BN_num_bytes(number);
    code = hs_buf_resize(out, at + number_len, err);
    if (code != HSMART_OK)
        goto out;
    if (BN_bn2binpad(number, out->data + at, (int)number_len) < 0)
        code = hs_err_set(err, HSMART_KEY_UNUSABLE, "a coordinate of the public key is too long");
out:
    BN_free(number);
    return code;
}

static enum hsmart_code
from_rsa_pkey(const EVP_PKEY *pkey, struct hs_jwk *out_jwk, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf n = {0}, e = {0};

    code = read_number(pkey, OSSL_PKEY_PARAM_RSA_N, 0, &n, err);
    if (code != HSMART_OK)
        goto out;
    code = read_number(pkey, OSSL_PKEY_PARAM_RSA_E, 0, &e, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_jwk_from_rsa(hs_span_buf(&n), hs_span_buf(&e), out_jwk, err);
out:
    hs_buf_clear(&n);
    hs_buf_clear(&e);
    return code;
}

static const struct hs_curve *
curve_by_group(const char *group)
{
    for (size_t i = 0; i < hs_curve_count; i++)
        if (strcmp(hs_curves[i].group, group) == 0)
            return &hs_curves[i];
    return NULL;
}

static enum hsmart_code
from_ec_pkey(const EVP_PKEY *pkey, struct hs_jwk *out_jwk, hsmart_err *err)
{
    enum hsmart_code code;
    char group[64] = "";
    struct hs_buf point = {0};

    (void)EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL);
    const struct hs_curve *curve = curve_by_group(group);
    if (curve == NULL) {
        code = hs_err_set(err, HSMART_KEY_UNUSABLE, "the curve \"%s\" is not supported",
                          group[0] != 0 ? group : "(given by parameters)");
        goto out;
    }
    code = hs_buf_append(&point, HS_SPAN_OF(((const uint8_t[]){0x04})), err);
    if (code != HSMART_OK)
        goto out;
    code = read_number(pkey, OSSL_PKEY_PARAM_EC_PUB_X, curve->field_len, &point, err);
    if (code != HSMART_OK)
        goto out;
    code = read_number(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, curve->field_len, &point, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_jwk_from_ec_point(curve, hs_span_buf(&point), out_jwk, err);
out:
    hs_buf_clear(&point);
    return code;
}

enum hsmart_code
hs_jwk_from_spki(struct hs_span der, struct hs_jwk *out_jwk, hsmart_err *err)
{
    enum hsmart_code code;
    const uint8_t *at = der.data;
    EVP_PKEY *pkey = NULL;

    (void)ERR_set_mark();
    if (der.len <= DER_MAX_LEN)
        pkey = d2i_PUBKEY(NULL, &at, (long)der.len);
    if (pkey == NULL || at != der.data + der.len)
        code = hs_err_set(err, HSMART_KEY_UNUSABLE, "not a DER SubjectPublicKeyInfo of a known type");
    else if (EVP_PKEY_is_a(pkey, "RSA"))
        code = from_rsa_pkey(pkey, out_jwk, err);
    else if (EVP_PKEY_is_a(pkey, "EC"))
        code = from_ec_pkey(pkey, out_jwk, err);
    else
        code = hs_err_set(err, HSMART_KEY_UNUSABLE, "public keys of type %s are not supported",
                          EVP_PKEY_get0_type_name(pkey));
    EVP_PKEY_free(pkey);
    (void)ERR_pop_to_mark();
    return code;
}

enum hsmart_code
hs_jwk_from_certificate(struct hs_span der, struct hs_jwk *out_jwk, hsmart_err *err)
{
    enum hsmart_code code;
    const uint8_t *at = der.data;
    X509 *certificate = NULL;
    uint8_t *spki = NULL;
    int spki_len = -1;

    (void)ERR_set_mark();
    if (der.len <= DER_MAX_LEN)
        certificate = d2i_X509(NULL, &at, (long)der.len);
    if (certificate == NULL || at != der.data + der.len) {
        code = hs_err_set(err, HSMART_KEY_UNUSABLE, "not a DER X.509 certificate");
        goto out;
    }
    spki_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &spki);
    if (spki_len < 0) {
        code = hs_err_no_memory(err);
        goto out;
    }
    code = hs_jwk_from_spki((struct hs_span){spki, (size_t)spki_len}, out_jwk, err);
    if (code != HSMART_OK)
        (void)hs_err_wrap(err, code, "the certificate's public key");
out:
    OPENSSL_free(spki);
    X509_free(certificate);
    (void)ERR_pop_to_mark();
    return code;
}
