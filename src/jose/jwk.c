#include "jwk.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "base64url.h"
#include "err.h"

#define RSA_MODULUS_MIN_BITS 512U  /* OpenSSL makes no shorter ones either */
#define RSA_EXPONENT_MAX_BITS 256U /* FIPS 186-5 section A.1.1; a longer one only makes verifying slow */
#define RSA_EXPONENT_MIN 3U
#define EC_POINT_UNCOMPRESSED 0x04U
#define EC_FIELD_MAX 66U
#define EC_POINT_MAX (1U + 2U * EC_FIELD_MAX)

/* ---- Writing ---- */

static void
put_bytes_member(struct hs_json_writer *writer, const char *name, const struct hs_buf *bytes)
{
    struct hs_buf text = {0};

    if (writer->code == HSMART_OK)
        writer->code = hs_base64url_append(&text, hs_span_buf(bytes), &writer->err);
    hs_json_member_text(writer, name, hs_buf_text(&text));
    hs_buf_clear(&text);
}

/* RFC 7517 sections 4.7 and 4.9: the certificate in plain base64, and its digest in base64url. */
static void
put_certificate(struct hs_json_writer *writer, const struct hs_buf *certificate)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    struct hs_buf text = {.max_len = 2 * certificate->len + 8}, digest_text = {0};
    enum hsmart_code code = hs_buf_resize(&text, (certificate->len + 2) / 3 * 4 + 1, &writer->err);

    if (certificate->len == 0)
        goto out;
    if (code == HSMART_OK) {
        int len = EVP_EncodeBlock(text.data, certificate->data, (int)certificate->len);
        (void)SHA256(certificate->data, certificate->len, digest);
        code = hs_buf_resize(&text, (size_t)len, &writer->err);
    }
    if (code == HSMART_OK)
        code = hs_base64url_append(&digest_text, HS_SPAN_OF(digest), &writer->err);
    if (code != HSMART_OK) {
        if (writer->code == HSMART_OK)
            writer->code = code;
        goto out;
    }
    hs_json_name(writer, "x5c");
    hs_json_begin_array(writer);
    hs_json_put_span(writer, hs_span_buf(&text));
    hs_json_end_array(writer);
    hs_json_member_text(writer, "x5t#S256", hs_buf_text(&digest_text));
out:
    hs_buf_clear(&text);
    hs_buf_clear(&digest_text);
}

void
hs_jwk_put(struct hs_json_writer *writer, const struct hs_jwk *jwk, const char *kid, const char *alg)
{
    const struct hs_alg *default_alg = hs_alg_default(jwk->type, jwk->curve);

    hs_json_begin_object(writer);
    hs_json_member_text(writer, "kty", jwk->type == HS_KEY_RSA ? "RSA" : "EC");
    hs_json_member_text(writer, "kid", kid != NULL ? kid : jwk->thumbprint);
    hs_json_member_text(writer, "use", "sig");
    hs_json_member_text(writer, "alg", alg != NULL ? alg : default_alg->name);
    if (jwk->type == HS_KEY_RSA) {
        put_bytes_member(writer, "n", &jwk->n);
        put_bytes_member(writer, "e", &jwk->e);
    } else {
        hs_json_member_text(writer, "crv", jwk->curve->name);
        put_bytes_member(writer, "x", &jwk->x);
        put_bytes_member(writer, "y", &jwk->y);
    }
    put_certificate(writer, &jwk->certificate);
    hs_json_end_object(writer);
}

/* RFC 7638 section 3: the required members only, in the order of their names, without white space. */
static enum hsmart_code
format_thumbprint_input(const struct hs_jwk *jwk, struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out};

    hs_json_begin_object(&writer);
    if (jwk->type == HS_KEY_RSA) {
        put_bytes_member(&writer, "e", &jwk->e);
        hs_json_member_text(&writer, "kty", "RSA");
        put_bytes_member(&writer, "n", &jwk->n);
    } else {
        hs_json_member_text(&writer, "crv", jwk->curve->name);
        hs_json_member_text(&writer, "kty", "EC");
        put_bytes_member(&writer, "x", &jwk->x);
        put_bytes_member(&writer, "y", &jwk->y);
    }
    hs_json_end_object(&writer);
    return hs_json_writer_finish(&writer, err);
}

static enum hsmart_code
compute_thumbprint(struct hs_jwk *jwk, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf input = {0}, text = {0};
    uint8_t digest[HS_HASH_MAX];
    unsigned digest_len = 0;
    const EVP_MD *md = hs_alg_md("SHA256");

    code = format_thumbprint_input(jwk, &input, err);
    if (code != HSMART_OK)
        goto out;
    if (md == NULL || EVP_Digest(input.data, input.len, digest, &digest_len, md, NULL) != 1) {
        code = hs_err_set(err, HSMART_INTERNAL, "OpenSSL does not compute SHA256");
        goto out;
    }
    code = hs_base64url_append(&text, (struct hs_span){digest, digest_len}, err);
    if (code != HSMART_OK)
        goto out;
    memcpy(jwk->thumbprint, text.data, sizeof jwk->thumbprint);
out:
    hs_buf_clear(&text);
    hs_buf_clear(&input);
    return code;
}

enum hsmart_code
hs_jwk_format_pem(const struct hs_jwk *jwk, struct hs_buf *out, hsmart_err *err)
{
    enum hsmart_code code;
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio == NULL || PEM_write_bio_PUBKEY(bio, jwk->pkey) != 1) {
        code = hs_err_set(err, HSMART_INTERNAL, "OpenSSL does not write the public key as PEM");
        goto out;
    }
    long len = BIO_get_mem_data(bio, &text);
    code = hs_buf_append(out, (struct hs_span){(const uint8_t *)text, (size_t)len}, err);
out:
    (void)BIO_free(bio);
    return code;
}

/* ---- Making ---- */

static enum hsmart_code
build_pkey(const char *type, OSSL_PARAM *params, EVP_PKEY **out_pkey, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *ctx;

    (void)ERR_set_mark();
    ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        code = hs_err_set(err, HSMART_KEY_UNUSABLE, "OpenSSL does not take this %s public key", type);
        goto out;
    }
    *out_pkey = pkey;
out:
    EVP_PKEY_CTX_free(ctx);
    (void)ERR_pop_to_mark();
    return code;
}

static enum hsmart_code
build_rsa_pkey(struct hs_jwk *jwk, hsmart_err *err)
{
    enum hsmart_code code;
    BIGNUM *n = BN_bin2bn(jwk->n.data, (int)jwk->n.len, NULL);
    BIGNUM *e = BN_bin2bn(jwk->e.data, (int)jwk->e.len, NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;

    if (n == NULL || e == NULL || builder == NULL || OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) != 1) {
        code = hs_err_no_memory(err);
        goto out;
    }
    params = OSSL_PARAM_BLD_to_param(builder);
    if (params == NULL) {
        code = hs_err_no_memory(err);
        goto out;
    }
    code = build_pkey("RSA", params, &jwk->pkey, err);
out:
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return code;
}

/* OpenSSL refuses a point that is not on the curve; the curves' cofactor is 1, so no other check is needed. */
static enum hsmart_code
build_ec_pkey(struct hs_jwk *jwk, struct hs_span point, hsmart_err *err)
{
    char group[32] = "";
    uint8_t bytes[EC_POINT_MAX];

    memcpy(group, jwk->curve->group, strlen(jwk->curve->group));
    memcpy(bytes, point.data, point.len);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, bytes, point.len),
        OSSL_PARAM_construct_end(),
    };
    enum hsmart_code code = build_pkey("EC", params, &jwk->pkey, err);
    if (code != HSMART_OK)
        return hs_err_set(err, code, "the public point is not on the curve %s", jwk->curve->name);
    return HSMART_OK;
}

static unsigned
bit_len(struct hs_span number)
{
    unsigned bits = (unsigned)number.len * 8;

    for (unsigned top = number.len > 0 ? number.data[0] : 0x80; top < 0x80; top <<= 1)
        bits--;
    return bits;
}

static bool
is_odd(struct hs_span number)
{
    return number.len > 0 && (number.data[number.len - 1] & 1) != 0;
}

/* Both numbers minimal. */
static enum hsmart_code
check_rsa(struct hs_span n, struct hs_span e, hsmart_err *err)
{
    if (n.len > HS_RSA_MAX_BITS / 8 || bit_len(n) < RSA_MODULUS_MIN_BITS)
        return hs_err_set(err, HSMART_KEY_UNUSABLE, "the RSA modulus has %zu bits, but must have %u to %u",
                          n.len > HS_RSA_MAX_BITS / 8 ? n.len * 8 : (size_t)bit_len(n), RSA_MODULUS_MIN_BITS,
                          HS_RSA_MAX_BITS);
    if (!is_odd(n))
        return hs_err_set(err, HSMART_KEY_UNUSABLE, "the RSA modulus is even");
    if (!is_odd(e) || (e.len == 1 && e.data[0] < RSA_EXPONENT_MIN))
        return hs_err_set(err, HSMART_KEY_UNUSABLE, "the RSA exponent must be odd and at least %u", RSA_EXPONENT_MIN);
    if (e.len > RSA_EXPONENT_MAX_BITS / 8)
        return hs_err_set(err, HSMART_KEY_UNUSABLE, "the RSA exponent has more than %u bits", RSA_EXPONENT_MAX_BITS);
    /* Else every signature would look wrong. */
    if (bit_len(n) > OPENSSL_RSA_SMALL_MODULUS_BITS && bit_len(e) > OPENSSL_RSA_MAX_PUBEXP_BITS)
        return hs_err_set(err, HSMART_KEY_UNUSABLE,
                          "OpenSSL verifies with no RSA exponent of more than %d bits when the modulus has more than "
                          "%d",
                          OPENSSL_RSA_MAX_PUBEXP_BITS, OPENSSL_RSA_SMALL_MODULUS_BITS);
    return HSMART_OK;
}

enum hsmart_code
hs_jwk_from_rsa(struct hs_span modulus, struct hs_span exponent, struct hs_jwk *out_jwk, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_jwk jwk = {.type = HS_KEY_RSA};
    struct hs_span n = hs_span_trim_zeros(modulus), e = hs_span_trim_zeros(exponent);

    code = check_rsa(n, e, err);
    if (code != HSMART_OK)
        goto out;
    jwk.bits = bit_len(n);
    code = hs_buf_append(&jwk.n, n, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_buf_append(&jwk.e, e, err);
    if (code != HSMART_OK)
        goto out;
    code = build_rsa_pkey(&jwk, err);
    if (code != HSMART_OK)
        goto out;
    code = compute_thumbprint(&jwk, err);
    if (code != HSMART_OK)
        goto out;
    hs_jwk_clear(out_jwk);
    *out_jwk = jwk;
    jwk = (struct hs_jwk){0};
out:
    hs_jwk_clear(&jwk);
    return code;
}

static enum hsmart_code
check_ec_point(const struct hs_curve *curve, struct hs_span point, hsmart_err *err)
{
    if (point.len == 0 || point.data[0] != EC_POINT_UNCOMPRESSED)
        return hs_err_set(err, HSMART_KEY_UNUSABLE, "the public point is not in uncompressed form (04 X Y)");
    if (point.len != 1 + 2 * curve->field_len)
        return hs_err_set(err, HSMART_KEY_UNUSABLE, "the public point is %zu bytes long, but on %s it must be %zu",
                          point.len, curve->name, 1 + 2 * curve->field_len);
    return HSMART_OK;
}

enum hsmart_code
hs_jwk_from_ec_point(const struct hs_curve *curve, struct hs_span point, struct hs_jwk *out_jwk, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_jwk jwk = {.type = HS_KEY_EC, .curve = curve, .bits = curve->bits};

    code = check_ec_point(curve, point, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_buf_append(&jwk.x, (struct hs_span){point.data + 1, curve->field_len}, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_buf_append(&jwk.y, (struct hs_span){point.data + 1 + curve->field_len, curve->field_len}, err);
    if (code != HSMART_OK)
        goto out;
    code = build_ec_pkey(&jwk, point, err);
    if (code != HSMART_OK)
        goto out;
    code = compute_thumbprint(&jwk, err);
    if (code != HSMART_OK)
        goto out;
    hs_jwk_clear(out_jwk);
    *out_jwk = jwk;
    jwk = (struct hs_jwk){0};
out:
    hs_jwk_clear(&jwk);
    return code;
}

enum hsmart_code
hs_jwk_dup(const struct hs_jwk *jwk, struct hs_jwk *out_copy, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    struct hs_jwk copy = {.type = jwk->type, .curve = jwk->curve, .bits = jwk->bits};
    const struct hs_buf *const bytes[] = {&jwk->n, &jwk->e, &jwk->x, &jwk->y, &jwk->certificate};
    struct hs_buf *const bytes_copies[] = {&copy.n, &copy.e, &copy.x, &copy.y, &copy.certificate};
    const char *const texts[] = {jwk->kid, jwk->alg, jwk->use};
    char **const text_copies[] = {&copy.kid, &copy.alg, &copy.use};

    for (size_t i = 0; i < HS_ARRAY_LEN(bytes) && code == HSMART_OK; i++)
        code = hs_buf_append(bytes_copies[i], hs_span_buf(bytes[i]), err);
    for (size_t i = 0; i < HS_ARRAY_LEN(texts) && code == HSMART_OK; i++)
        code = hs_strdup_or_null(texts[i], text_copies[i], err);
    if (code != HSMART_OK)
        goto out;
    memcpy(copy.thumbprint, jwk->thumbprint, sizeof copy.thumbprint);
    /* Never changed once made, so the copies share it. */
    if (jwk->pkey != NULL && EVP_PKEY_up_ref(jwk->pkey) != 1) {
        code = hs_err_set(err, HSMART_INTERNAL, "OpenSSL does not share a public key");
        goto out;
    }
    copy.pkey = jwk->pkey;
    hs_jwk_clear(out_copy);
    *out_copy = copy;
    copy = (struct hs_jwk){0};
out:
    hs_jwk_clear(&copy);
    return code;
}

void
hs_jwk_clear(struct hs_jwk *jwk)
{
    hs_buf_clear(&jwk->n);
    hs_buf_clear(&jwk->e);
    hs_buf_clear(&jwk->x);
    hs_buf_clear(&jwk->y);
    hs_buf_clear(&jwk->certificate);
    hs_string_free(jwk->kid);
    hs_string_free(jwk->alg);
    hs_string_free(jwk->use);
    EVP_PKEY_free(jwk->pkey);
    *jwk = (struct hs_jwk){0};
}

bool
hs_jwk_same_key(const struct hs_jwk *a, const struct hs_jwk *b)
{
    return a->type == b->type && a->curve == b->curve && hs_span_equal(hs_span_buf(&a->n), hs_span_buf(&b->n)) &&
           hs_span_equal(hs_span_buf(&a->e), hs_span_buf(&b->e)) &&
           hs_span_equal(hs_span_buf(&a->x), hs_span_buf(&b->x)) &&
           hs_span_equal(hs_span_buf(&a->y), hs_span_buf(&b->y));
}
