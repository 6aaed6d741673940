/* Verifying signatures. */
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "err.h"
#include "jwk.h"

size_t
hs_jwk_signature_len(const struct hs_jwk *jwk)
{
    return jwk->type == HS_KEY_RSA ? jwk->n.len : 2 * jwk->curve->field_len;
}

/* How `ctx` has to treat the signature (RFC 7518 sections 3.3 to 3.5). ECDSA needs nothing but the digest. */
static bool
prepare(EVP_PKEY_CTX *ctx, const struct hs_alg *alg)
{
    if (EVP_PKEY_verify_init(ctx) != 1)
        return false;
    switch (alg->padding) {
    case HS_PADDING_NONE:
        return true;
    case HS_PADDING_PKCS1:
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
               EVP_PKEY_CTX_set_signature_md(ctx, hs_alg_md(alg->hash)) == 1;
    case HS_PADDING_PSS: /* MGF1 with the same hash is OpenSSL's default */
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_signature_md(ctx, hs_alg_md(alg->hash)) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    return false;
}

/* `signature` as OpenSSL has it. */
static enum hsmart_code
verify_digest(const struct hs_jwk *jwk, const struct hs_alg *alg, struct hs_span digest, struct hs_span signature,
              hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, jwk->pkey, NULL);

    if (ctx == NULL || !prepare(ctx, alg)) {
        code = hs_err_set(err, HSMART_INTERNAL, "OpenSSL does not verify %s signatures", alg->name);
        goto out;
    }
    if (EVP_PKEY_verify(ctx, signature.data, signature.len, digest.data, digest.len) != 1)
        code = hs_err_set(err, HSMART_SIGNATURE_WRONG, "the %s signature does not verify with the key", alg->name);
out:
    EVP_PKEY_CTX_free(ctx);
    return code;
}

/* r and s side by side (RFC 7518 section 3.4) into the DER that OpenSSL takes, at `*out_der`. */
static enum hsmart_code
signature_to_der(struct hs_span signature, uint8_t **out_der, int *out_len, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    int half = (int)(signature.len / 2);
    BIGNUM *r = BN_bin2bn(signature.data, half, NULL);
    BIGNUM *s = BN_bin2bn(signature.data + half, half, NULL);
    ECDSA_SIG *pair = ECDSA_SIG_new();

    if (r == NULL || s == NULL || pair == NULL || ECDSA_SIG_set0(pair, r, s) != 1) {
        code = hs_err_no_memory(err);
        goto out;
    }
    r = s = NULL; /* the pair owns them now */
    *out_len = i2d_ECDSA_SIG(pair, out_der);
    if (*out_len < 0)
        code = hs_err_no_memory(err);
out:
    ECDSA_SIG_free(pair);
    BN_free(r);
    BN_free(s);
    return code;
}

static enum hsmart_code
verify_ec(const struct hs_jwk *jwk, const struct hs_alg *alg, struct hs_span digest, struct hs_span signature,
          hsmart_err *err)
{
    uint8_t *der = NULL;
    int der_len = 0;
    enum hsmart_code code = signature_to_der(signature, &der, &der_len, err);

    if (code == HSMART_OK)
        code = verify_digest(jwk, alg, digest, (struct hs_span){der, (size_t)der_len}, err);
    OPENSSL_free(der);
    return code;
}

enum hsmart_code
hs_jwk_verify(const struct hs_jwk *jwk, const struct hs_alg *alg, struct hs_span data, struct hs_span signature,
              hsmart_err *err)
{
    enum hsmart_code code;
    uint8_t hash[HS_HASH_MAX];
    struct hs_span digest = {hash, alg->hash_len};

    if (!hs_alg_fits(alg, jwk->type, jwk->curve))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the algorithm %s does not fit the key, which can do %s",
                          alg->name, hs_alg_names(jwk->type, jwk->curve));
    if (signature.len != hs_jwk_signature_len(jwk))
        return hs_err_set(err, HSMART_SIGNATURE_WRONG, "the %s signature is %zu bytes long, but must be %zu", alg->name,
                          signature.len, hs_jwk_signature_len(jwk));
    code = hs_alg_digest(alg, data, hash, err);
    if (code != HSMART_OK)
        return code;
    (void)ERR_set_mark();
    code = jwk->type == HS_KEY_RSA ? verify_digest(jwk, alg, digest, signature, err)
                                   : verify_ec(jwk, alg, digest, signature, err);
    (void)ERR_pop_to_mark();
    return code;
}
