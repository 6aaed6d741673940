#include "software_signer.h"

#include <stdatomic.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base64url.h"
#include "err.h"

struct software_signer {
    struct hs_signer base;
    struct hs_jwk jwk;
    EVP_PKEY *key;
    char *kid;
    atomic_uint count;
    enum hsmart_code failure;
};

static bool
set_padding(EVP_PKEY_CTX *ctx, const struct hs_alg *alg)
{
    if (alg->padding == HS_PADDING_PSS)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    return true;
}

/* DER to r and s side by side. */
static enum hsmart_code
split_der(const uint8_t *der, size_t der_len, size_t field_len, struct hs_buf *out, hsmart_err *err)
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)der_len);
    enum hsmart_code code = hs_buf_resize(out, 2 * field_len, err);

    if (code == HSMART_OK && (pair == NULL || BN_bn2binpad(ECDSA_SIG_get0_r(pair), out->data, (int)field_len) < 0 ||
                              BN_bn2binpad(ECDSA_SIG_get0_s(pair), out->data + field_len, (int)field_len) < 0))
        code = hs_err_set(err, HSMART_INTERNAL, "OpenSSL made no ECDSA signature");
    ECDSA_SIG_free(pair);
    return code;
}

static enum hsmart_code
sign(struct hs_signer *base, struct hs_span data, struct hs_buf *out_signature, hsmart_err *err)
{
    struct software_signer *signer = (struct software_signer *)base;
    enum hsmart_code code = HSMART_INTERNAL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_ctx = NULL;
    uint8_t bytes[2048];
    size_t len = sizeof bytes;

    (void)atomic_fetch_add(&signer->count, 1);
    if (signer->failure != HSMART_OK) {
        code = hs_err_set(err, signer->failure, "the software signer was told to fail");
        goto out;
    }
    if (EVP_DigestSignInit(ctx, &key_ctx, hs_alg_md(base->alg->hash), NULL, signer->key) != 1 ||
        !set_padding(key_ctx, base->alg) || EVP_DigestSign(ctx, bytes, &len, data.data, data.len) != 1) {
        code = hs_err_set(err, HSMART_INTERNAL, "OpenSSL does not sign");
        goto out;
    }
    if (signer->jwk.type == HS_KEY_RSA)
        code = hs_buf_append(out_signature, (struct hs_span){bytes, len}, err);
    else
        code = split_der(bytes, len, signer->jwk.curve->field_len, out_signature, err);
out:
    EVP_MD_CTX_free(ctx);
    return code;
}

static void
free_signer(struct hs_signer *base)
{
    struct software_signer *signer = (struct software_signer *)base;

    hs_jwk_clear(&signer->jwk);
    EVP_PKEY_free(signer->key);
    hs_string_free(signer->kid);
    hs_free(signer);
}

static const struct hs_signer_ops ops = {.sign = sign, .free = free_signer};

/* Takes `key` over. */
static struct hs_signer *
new_signer(EVP_PKEY *key, const char *alg, const char *kid)
{
    struct software_signer *signer = hs_calloc(1, sizeof *signer);
    uint8_t *spki = NULL;

    if (signer == NULL || key == NULL) {
        EVP_PKEY_free(key);
        hs_free(signer);
        return NULL;
    }
    signer->key = key;
    int spki_len = i2d_PUBKEY(key, &spki);
    if (spki_len <= 0 || hs_jwk_from_spki((struct hs_span){spki, (size_t)spki_len}, &signer->jwk, NULL) != HSMART_OK ||
        hs_strdup(kid != NULL ? kid : signer->jwk.thumbprint, &signer->kid, NULL) != HSMART_OK) {
        OPENSSL_free(spki);
        free_signer(&signer->base);
        return NULL;
    }
    OPENSSL_free(spki);
    signer->base = (struct hs_signer){&ops, &signer->jwk, hs_alg_by_name(alg), signer->kid};
    return &signer->base;
}

struct hs_signer *
software_signer_generate(const char *alg, unsigned rsa_bits, const char *kid)
{
    const struct hs_alg *row = hs_alg_by_name(alg);

    if (row == NULL)
        return NULL;
    EVP_PKEY *key = row->key_type == HS_KEY_RSA
                        ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)rsa_bits)
                        : EVP_PKEY_Q_keygen(NULL, NULL, "EC", hs_curve_by_name(row->curve)->group);
    return new_signer(key, alg, kid);
}

/* ---- From a private JWK ---- */

static BIGNUM *
number_member(const hs_json_value *jwk, const char *name)
{
    struct hs_buf bytes = {0};
    BIGNUM *number = NULL;

    if (hs_base64url_decode(hs_json_string(hs_json_member(jwk, name)), &bytes, NULL) == HSMART_OK && bytes.len > 0)
        number = BN_bin2bn(bytes.data, (int)bytes.len, NULL);
    hs_buf_clear(&bytes);
    return number;
}

static EVP_PKEY *
pkey_from_params(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);

    if (EVP_PKEY_fromdata_init(ctx) == 1)
        (void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params);
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *
rsa_from_jwk(const hs_json_value *jwk)
{
    static const struct {
        const char *member, *param;
    } numbers[] = {
        {"n", OSSL_PKEY_PARAM_RSA_N},          {"e", OSSL_PKEY_PARAM_RSA_E},
        {"d", OSSL_PKEY_PARAM_RSA_D},          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
        {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
        {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
    };
    BIGNUM *values[HS_ARRAY_LEN(numbers)] = {NULL};
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    bool complete = true;

    for (size_t i = 0; i < HS_ARRAY_LEN(numbers); i++) {
        values[i] = number_member(jwk, numbers[i].member);
        complete = complete && values[i] != NULL && OSSL_PARAM_BLD_push_BN(builder, numbers[i].param, values[i]) == 1;
    }
    if (complete)
        key = pkey_from_params("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    for (size_t i = 0; i < HS_ARRAY_LEN(values); i++)
        BN_clear_free(values[i]);
    return key;
}

static EVP_PKEY *
ec_from_jwk(const hs_json_value *jwk)
{
    const struct hs_curve *curve = hs_curve_by_name(hs_json_text(hs_json_member(jwk, "crv")));
    BIGNUM *d = number_member(jwk, "d");
    struct hs_buf point = {0};
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;

    if (curve == NULL || d == NULL)
        goto out;
    BIGNUM *coordinates[] = {number_member(jwk, "x"), number_member(jwk, "y")};
    if (hs_buf_resize(&point, 1 + 2 * curve->field_len, NULL) == HSMART_OK && coordinates[0] != NULL &&
        coordinates[1] != NULL) {
        point.data[0] = 0x04;
        for (size_t i = 0; i < HS_ARRAY_LEN(coordinates); i++)
            (void)BN_bn2binpad(coordinates[i], point.data + 1 + i * curve->field_len, (int)curve->field_len);
        (void)OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0);
        (void)OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len);
        (void)OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, d);
        key = pkey_from_params("EC", builder);
    }
    BN_free(coordinates[0]);
    BN_free(coordinates[1]);
out:
    OSSL_PARAM_BLD_free(builder);
    hs_buf_clear(&point);
    BN_clear_free(d);
    return key;
}

struct hs_signer *
software_signer_from_jwk(const hs_json_value *private_jwk, const char *alg, const char *kid)
{
    const char *kty = hs_json_text(hs_json_member(private_jwk, "kty"));

    if (kty == NULL || hs_alg_by_name(alg) == NULL)
        return NULL;
    return new_signer(strcmp(kty, "RSA") == 0 ? rsa_from_jwk(private_jwk) : ec_from_jwk(private_jwk), alg, kid);
}

unsigned
software_signer_count(const struct hs_signer *signer)
{
    return atomic_load(&((const struct software_signer *)signer)->count);
}

void
software_signer_fail_with(struct hs_signer *signer, enum hsmart_code code)
{
    ((struct software_signer *)signer)->failure = code;
}
