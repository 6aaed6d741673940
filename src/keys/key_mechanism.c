#include "key_mechanism.h"

#include "err.h"

#define PSS(bits)                                                                                                      \
    {                                                                                                                  \
        CKM_SHA##bits, CKG_MGF1_SHA##bits, (bits) / 8                                                                  \
    }

/* Hash-and-sign first: a token may forbid raw RSA, and the key may be limited to it. */
static const struct hs_mechanism_row rows[] = {
    {"RS256", CKM_SHA256_RSA_PKCS, HS_INPUT_MESSAGE, {0}},
    {"RS256", CKM_RSA_PKCS, HS_INPUT_DIGEST_INFO, {0}},
    {"RS384", CKM_SHA384_RSA_PKCS, HS_INPUT_MESSAGE, {0}},
    {"RS384", CKM_RSA_PKCS, HS_INPUT_DIGEST_INFO, {0}},
    {"RS512", CKM_SHA512_RSA_PKCS, HS_INPUT_MESSAGE, {0}},
    {"RS512", CKM_RSA_PKCS, HS_INPUT_DIGEST_INFO, {0}},
    {"PS256", CKM_SHA256_RSA_PKCS_PSS, HS_INPUT_MESSAGE, PSS(256)},
    {"PS256", CKM_RSA_PKCS_PSS, HS_INPUT_DIGEST, PSS(256)},
    {"PS384", CKM_SHA384_RSA_PKCS_PSS, HS_INPUT_MESSAGE, PSS(384)},
    {"PS384", CKM_RSA_PKCS_PSS, HS_INPUT_DIGEST, PSS(384)},
    {"PS512", CKM_SHA512_RSA_PKCS_PSS, HS_INPUT_MESSAGE, PSS(512)},
    {"PS512", CKM_RSA_PKCS_PSS, HS_INPUT_DIGEST, PSS(512)},
    {"ES256", CKM_ECDSA_SHA256, HS_INPUT_MESSAGE, {0}},
    {"ES256", CKM_ECDSA, HS_INPUT_DIGEST, {0}},
    {"ES384", CKM_ECDSA_SHA384, HS_INPUT_MESSAGE, {0}},
    {"ES384", CKM_ECDSA, HS_INPUT_DIGEST, {0}},
    {"ES512", CKM_ECDSA_SHA512, HS_INPUT_MESSAGE, {0}},
    {"ES512", CKM_ECDSA, HS_INPUT_DIGEST, {0}},
};

const struct hs_mechanism_row *
hs_mechanism_of(const struct hs_alg *alg, size_t index)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].alg, alg->name) == 0 && index-- == 0)
            return &rows[i];
    return NULL;
}

enum hsmart_code
hs_mechanism_prepare(const struct hs_mechanism_row *row, const struct hs_alg *alg, struct hs_span data,
                     uint8_t storage[HS_MECHANISM_INPUT_MAX], struct hs_span *out_input, hsmart_err *err)
{
    size_t prefix_len = row->input == HS_INPUT_DIGEST_INFO ? alg->digest_info_prefix.len : 0;

    if (row->input == HS_INPUT_MESSAGE) {
        *out_input = data;
        return HSMART_OK;
    }
    if (prefix_len + alg->hash_len > HS_MECHANISM_INPUT_MAX)
        return hs_err_set(err, HSMART_INTERNAL, "no room for the digest of %s", alg->name);
    enum hsmart_code code = hs_alg_digest(alg, data, storage + prefix_len, err);
    if (code != HSMART_OK)
        return code;
    if (prefix_len > 0)
        memcpy(storage, alg->digest_info_prefix.data, prefix_len);
    *out_input = (struct hs_span){storage, prefix_len + alg->hash_len};
    return HSMART_OK;
}
