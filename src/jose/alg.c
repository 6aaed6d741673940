#include "alg.h"

#include <pthread.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "err.h"

/* ---- Curves ---- */

static const uint8_t oid_p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t oid_p384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};
static const uint8_t oid_p521[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23};

/* clang-format off */
const struct hs_curve hs_curves[] = {
    {"P-256", "prime256v1", {oid_p256, sizeof oid_p256}, 32, 256},
    {"P-384", "secp384r1",  {oid_p384, sizeof oid_p384}, 48, 384},
    {"P-521", "secp521r1",  {oid_p521, sizeof oid_p521}, 66, 521},
};
/* clang-format on */
const size_t hs_curve_count = HS_ARRAY_LEN(hs_curves);

const struct hs_curve *
hs_curve_by_name(const char *name)
{
    for (size_t i = 0; i < hs_curve_count; i++)
        if (name != NULL && strcmp(hs_curves[i].name, name) == 0)
            return &hs_curves[i];
    return NULL;
}

const struct hs_curve *
hs_curve_by_oid_der(struct hs_span der)
{
    for (size_t i = 0; i < hs_curve_count; i++)
        if (hs_span_equal(hs_curves[i].oid_der, der))
            return &hs_curves[i];
    return NULL;
}

/* ---- Algorithms ---- */

/* RFC 8017 section 9.2, note 1. */
static const uint8_t prefix_sha256[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                        0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
static const uint8_t prefix_sha384[] = {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                        0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30};
static const uint8_t prefix_sha512[] = {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                        0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40};

/* clang-format off */
#define NO_PREFIX {NULL, 0}
#define SHA256_PREFIX {prefix_sha256, sizeof prefix_sha256}
#define SHA384_PREFIX {prefix_sha384, sizeof prefix_sha384}
#define SHA512_PREFIX {prefix_sha512, sizeof prefix_sha512}

/* The first row that fits a key is its default. `names_rsa` repeats the names of the RSA rows. */
const struct hs_alg hs_algs[] = {
    {"RS384", HS_KEY_RSA, HS_PADDING_PKCS1, "SHA384", 48, SHA384_PREFIX, NULL},
    {"RS256", HS_KEY_RSA, HS_PADDING_PKCS1, "SHA256", 32, SHA256_PREFIX, NULL},
    {"RS512", HS_KEY_RSA, HS_PADDING_PKCS1, "SHA512", 64, SHA512_PREFIX, NULL},
    {"PS256", HS_KEY_RSA, HS_PADDING_PSS,   "SHA256", 32, NO_PREFIX,     NULL},
    {"PS384", HS_KEY_RSA, HS_PADDING_PSS,   "SHA384", 48, NO_PREFIX,     NULL},
    {"PS512", HS_KEY_RSA, HS_PADDING_PSS,   "SHA512", 64, NO_PREFIX,     NULL},
    {"ES384", HS_KEY_EC,  HS_PADDING_NONE,  "SHA384", 48, NO_PREFIX,     "P-384"},
    {"ES256", HS_KEY_EC,  HS_PADDING_NONE,  "SHA256", 32, NO_PREFIX,     "P-256"},
    {"ES512", HS_KEY_EC,  HS_PADDING_NONE,  "SHA512", 64, NO_PREFIX,     "P-521"},
};
/* clang-format on */
const size_t hs_alg_count = HS_ARRAY_LEN(hs_algs);
static const char names_rsa[] = "RS384, RS256, RS512, PS256, PS384, PS512";

const struct hs_alg *
hs_alg_by_name(const char *name)
{
    for (size_t i = 0; i < hs_alg_count; i++)
        if (name != NULL && strcmp(hs_algs[i].name, name) == 0)
            return &hs_algs[i];
    return NULL;
}

bool
hs_alg_fits(const struct hs_alg *alg, enum hs_key_type type, const struct hs_curve *curve)
{
    if (alg->key_type != type)
        return false;
    return alg->curve == NULL || (curve != NULL && strcmp(alg->curve, curve->name) == 0);
}

const struct hs_alg *
hs_alg_default(enum hs_key_type type, const struct hs_curve *curve)
{
    for (size_t i = 0; i < hs_alg_count; i++)
        if (hs_alg_fits(&hs_algs[i], type, curve))
            return &hs_algs[i];
    return NULL;
}

const char *
hs_alg_names(enum hs_key_type type, const struct hs_curve *curve)
{
    const struct hs_alg *alg = hs_alg_default(type, curve);

    if (type == HS_KEY_RSA)
        return names_rsa;
    return alg != NULL ? alg->name : "";
}

/* ---- Digests ---- */

/* Fetched once: EVP_sha384() and the like look the implementation up again for every digest. The only global state
 * of this layer, and it never changes once made. */
static struct {
    const char *name;
    EVP_MD *md;
} digests[] = {{"SHA256", NULL}, {"SHA384", NULL}, {"SHA512", NULL}};
static pthread_once_t digests_once = PTHREAD_ONCE_INIT;

static void
fetch_digests(void)
{
    (void)ERR_set_mark();
    for (size_t i = 0; i < HS_ARRAY_LEN(digests); i++)
        digests[i].md = EVP_MD_fetch(NULL, digests[i].name, NULL);
    (void)ERR_pop_to_mark();
}

const EVP_MD *
hs_alg_md(const char *hash)
{
    (void)pthread_once(&digests_once, fetch_digests);
    for (size_t i = 0; i < HS_ARRAY_LEN(digests); i++)
        if (strcmp(digests[i].name, hash) == 0)
            return digests[i].md;
    return NULL;
}

enum hsmart_code
hs_alg_digest(const struct hs_alg *alg, struct hs_span data, uint8_t *out, hsmart_err *err)
{
    const EVP_MD *md = hs_alg_md(alg->hash);

    if (md == NULL || EVP_Digest(data.data, data.len, out, NULL, md, NULL) != 1)
        return hs_err_set(err, HSMART_INTERNAL, "OpenSSL does not compute %s", alg->hash);
    return HSMART_OK;
}
