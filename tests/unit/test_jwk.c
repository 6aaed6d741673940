#include "rows.h"

#include <pthread.h>
#include <stdatomic.h>

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "err.h"
#include "jwk.h"
#include "software_signer.h"
#include "vectors.h"

/* ---- Keys that stand in RFCs ---- */

/* RFC 7515 appendix A.3 */
#define P256_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define P256_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
/* RFC 7520 section 3.1: x begins with a zero byte */
#define P521_X "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt"
#define P521_Y "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1"
/* RFC 7638 section 3.1 */
#define RSA_N                                                                                                          \
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"     \
    "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA"     \
    "ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"     \
    "kEgU8awapJzKnqDKgw"
#define RSA_KEY "\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AQAB\""
#define P256_KEY "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\""
#define P521_KEY "\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"" P521_X "\",\"y\":\"" P521_Y "\""

static enum hsmart_code
parse(const char *json, struct hs_jwk *out_jwk, hsmart_err *err)
{
    struct hs_json_doc doc = {0};
    enum hsmart_code code = hs_json_parse(span(json), &doc, err);

    if (code == HSMART_OK)
        code = hs_jwk_parse(doc.root, out_jwk, err);
    hs_json_doc_clear(&doc);
    return code;
}

static void
must_parse(const char *json, struct hs_jwk *out_jwk)
{
    hsmart_err err = {0};

    if (parse(json, out_jwk, &err) != HSMART_OK)
        fail_msg("%s", err.text);
}

static void
assert_written(const struct hs_jwk *jwk, const char *kid, const char *alg, const char *expected)
{
    struct hs_buf text = {0};
    struct hs_json_writer writer = {.out = &text};

    hs_jwk_put(&writer, jwk, kid, alg);
    assert_int_equal(hs_json_writer_finish(&writer, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&text), expected);
    hs_buf_clear(&text);
}

/* ---- Reading and writing JSON ---- */

static struct written {
    const char *name, *json, *thumbprint;
    unsigned bits;
    const char *expected;
} writtens[] = {
    {"RSA", "{" RSA_KEY ",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}",
     "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", 2048,
     "{\"kty\":\"RSA\",\"kid\":\"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs\",\"use\":\"sig\",\"alg\":\"RS384\","
     "\"n\":\"" RSA_N "\",\"e\":\"AQAB\"}"},
    {"P-256", "{\"ext\":true," P256_KEY "}", "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U", 256,
     "{\"kty\":\"EC\",\"kid\":\"oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U\",\"use\":\"sig\",\"alg\":\"ES256\","
     "\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\"}"},
    {"P-521 with a leading zero in x", "{" P521_KEY "}", "dHri3SADZkrush5HU_50AoRhcKFryN-PI6jPBtPL55M", 521,
     "{\"kty\":\"EC\",\"kid\":\"dHri3SADZkrush5HU_50AoRhcKFryN-PI6jPBtPL55M\",\"use\":\"sig\",\"alg\":\"ES512\","
     "\"crv\":\"P-521\",\"x\":\"" P521_X "\",\"y\":\"" P521_Y "\"}"},
};

static void
a_key_that_was_read_is_written_the_same(void **state)
{
    const struct written *row = *state;
    struct hs_jwk jwk = {0};

    must_parse(row->json, &jwk);
    assert_string_equal(jwk.thumbprint, row->thumbprint);
    assert_int_equal(jwk.bits, row->bits);
    assert_written(&jwk, NULL, NULL, row->expected);
    hs_jwk_clear(&jwk);
}

static void
kid_and_alg_are_written_as_asked(void **state)
{
    (void)state;
    struct hs_jwk jwk = {0};

    must_parse("{" P256_KEY "}", &jwk);
    assert_written(&jwk, "a\"b", "ES999",
                   "{\"kty\":\"EC\",\"kid\":\"a\\\"b\",\"use\":\"sig\",\"alg\":\"ES999\",\"crv\":\"P-256\","
                   "\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\"}");
    hs_jwk_clear(&jwk);
}

static void
kid_alg_and_use_are_kept_as_found(void **state)
{
    (void)state;
    struct hs_jwk jwk = {0};

    must_parse("{" P256_KEY ",\"kid\":\"k\xc3\xa9\",\"alg\":\"RSA1_5\",\"use\":\"enc\",\"key_ops\":7}", &jwk);
    assert_string_equal(jwk.kid, "k\xc3\xa9");
    assert_string_equal(jwk.alg, "RSA1_5");
    assert_string_equal(jwk.use, "enc");
    hs_jwk_clear(&jwk);
    must_parse("{" P256_KEY "}", &jwk);
    assert_null(jwk.kid);
    assert_null(jwk.alg);
    assert_null(jwk.use);
    hs_jwk_clear(&jwk);
}

#define OFF_CURVE_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4"
#define ZEROS_32 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define ONES_32 "__________________________________________8"

static struct refused {
    const char *name, *json, *reason;
} refuseds[] = {
    {"an array", "[]", "a JWK must be an object, but this is an array"},
    {"a string", "\"x\"", "a JWK must be an object, but this is a string"},
    {"null", "null", "a JWK must be an object, but this is null"},
    {"an empty object", "{}", "the member \"kty\" is absent"},
    {"a kty that is a number", "{\"kty\":1}", "the member \"kty\" is an integer, but must be a string"},
    {"a kty that is null", "{\"kty\":null}", "the member \"kty\" is null, but must be a string"},
    {"a kty in lower case", "{\"kty\":\"rsa\"}", "the member \"kty\" is \"rsa\", but must be RSA or EC"},
    {"a kty with a NUL", "{\"kty\":\"RSA\\u0000\"}", "the member \"kty\" holds a NUL character"},
    {"an Ed25519 key", "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}",
     "the member \"kty\" is \"OKP\", but must be RSA or EC"},
    {"a symmetric key", "{\"kty\":\"oct\",\"k\":\"AA\"}", "the member \"k\" is part of a private or secret key"},
    {"a private RSA key", "{" RSA_KEY ",\"d\":\"AQAB\"}", "the member \"d\" is part of a private or secret key"},
    {"the private exponent as null", "{" RSA_KEY ",\"d\":null}", "the member \"d\" is part of a private or secret key"},
    {"a prime of an RSA key", "{" RSA_KEY ",\"p\":\"AQAB\"}", "the member \"p\" is part of a private or secret key"},
    {"the other prime of an RSA key", "{" RSA_KEY ",\"q\":1}", "the member \"q\" is part of a private or secret key"},
    {"the first CRT exponent", "{" RSA_KEY ",\"dp\":1}", "the member \"dp\" is part of a private or secret key"},
    {"the second CRT exponent", "{" RSA_KEY ",\"dq\":1}", "the member \"dq\" is part of a private or secret key"},
    {"the CRT coefficient", "{" RSA_KEY ",\"qi\":1}", "the member \"qi\" is part of a private or secret key"},
    {"other primes", "{" RSA_KEY ",\"oth\":[]}", "the member \"oth\" is part of a private or secret key"},
    {"a private EC key", "{" P256_KEY ",\"d\":\"AQAB\"}", "the member \"d\" is part of a private or secret key"},
    {"no modulus", "{\"kty\":\"RSA\",\"e\":\"AQAB\"}", "the member \"n\" is absent"},
    {"no exponent", "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\"}", "the member \"e\" is absent"},
    {"a modulus that is a number", "{\"kty\":\"RSA\",\"n\":77,\"e\":\"AQAB\"}",
     "the member \"n\" is an integer, but must be a string"},
    {"an empty modulus", "{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"}", "the member \"n\" is empty"},
    {"a padded modulus", "{\"kty\":\"RSA\",\"n\":\"AND8\",\"e\":\"AQAB\"}", "the member \"n\" begins with a zero byte"},
    {"a padded exponent", "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AAEAAQ\"}",
     "the member \"e\" begins with a zero byte"},
    {"a modulus in plain base64", "{\"kty\":\"RSA\",\"n\":\"0vx+\",\"e\":\"AQAB\"}",
     "the member \"n\": \"+\" at byte 3 belongs to plain base64, not to base64url"},
    {"an exponent with padding", "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"Aw==\"}",
     "the member \"e\": the base64url is padded with \"=\" at byte 2"},
    {"an exponent with unused bits", "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AR\"}",
     "the member \"e\": the unused bits of the last base64url character are not zero"},
    {"a modulus of 24 bits", "{\"kty\":\"RSA\",\"n\":\"0vx7\",\"e\":\"AQAB\"}",
     "the members \"n\" and \"e\": the RSA modulus has 24 bits, but must have 512 to 16384"},
    {"the exponent 1", "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AQ\"}",
     "the members \"n\" and \"e\": the RSA exponent must be odd and at least 3"},
    {"an even exponent", "{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AQAA\"}",
     "the members \"n\" and \"e\": the RSA exponent must be odd and at least 3"},
    {"no curve", "{\"kty\":\"EC\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\"}", "the member \"crv\" is absent"},
    {"a curve of another kind", "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\"}",
     "the member \"crv\" is \"secp256k1\", but must be P-256, P-384 or P-521"},
    {"a curve in lower case", "{\"kty\":\"EC\",\"crv\":\"p-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\"}",
     "the member \"crv\" is \"p-256\", but must be P-256, P-384 or P-521"},
    {"no y", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\"}", "the member \"y\" is absent"},
    {"a coordinate without its leading zero", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"Zm9v\",\"y\":\"" P256_Y "\"}",
     "the member \"x\" is 3 bytes long, but on P-256 it must be 32"},
    {"a coordinate of another curve", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P521_Y "\"}",
     "the member \"y\" is 66 bytes long, but on P-256 it must be 32"},
    {"a point that is not on the curve",
     "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" OFF_CURVE_Y "\"}",
     "the members \"x\" and \"y\": the public point is not on the curve P-256"},
    {"the point 0, 0", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" ZEROS_32 "\",\"y\":\"" ZEROS_32 "\"}",
     "the members \"x\" and \"y\": the public point is not on the curve P-256"},
    {"coordinates above the field", "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" ONES_32 "\",\"y\":\"" ONES_32 "\"}",
     "the members \"x\" and \"y\": the public point is not on the curve P-256"},
    {"a kid that is a number", "{" P256_KEY ",\"kid\":1}", "the member \"kid\" is an integer, but must be a string"},
    {"a kid with a NUL", "{" P256_KEY ",\"kid\":\"a\\u0000b\"}", "the member \"kid\" holds a NUL character"},
    {"an alg that is an array", "{" P256_KEY ",\"alg\":[]}", "the member \"alg\" is an array, but must be a string"},
    {"a use that is null", "{" P256_KEY ",\"use\":null}", "the member \"use\" is null, but must be a string"},
};

static void
what_is_no_public_key_is_refused_by_member(void **state)
{
    const struct refused *row = *state;
    struct hs_jwk jwk = {0};
    hsmart_err err = {0};

    assert_int_equal(parse(row->json, &jwk, &err), HSMART_INPUT_MALFORMED);
    assert_string_equal(err.text, row->reason);
    assert_null(jwk.pkey);
    assert_null(jwk.n.data);
}

/* ---- Making from what a token gives ---- */

static struct rsa {
    const char *name;
    size_t zeros, n_len; /* leading zeros of both numbers; bytes of the modulus */
    uint8_t n_first, n_last;
    const char *e;
    size_t e_len;
    unsigned bits; /* 0: refused */
    const char *reason;
} rsas[] = {
    {"a padded modulus is trimmed", 1, 256, 0x80, 1, "\x01\x00\x01", 3, 2048, NULL},
    {"a modulus padded with four bytes is trimmed", 4, 256, 0x80, 1, "\x01\x00\x01", 3, 2048, NULL},
    {"a modulus of 2041 bits", 0, 256, 0x01, 1, "\x01\x00\x01", 3, 2041, NULL},
    {"512 bits", 0, 64, 0x80, 1, "\x03", 1, 512, NULL},
    {"16384 bits", 0, 2048, 0xff, 1, "\x01\x00\x01", 3, 16384, NULL},
    {"an exponent of 256 bits", 0, 256, 0x80, 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
     "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 32, 2048, NULL},
    {"511 bits", 0, 64, 0x7f, 1, "\x03", 1, 0, "the RSA modulus has 511 bits, but must have 512 to 16384"},
    {"more than 16384 bits", 0, 2049, 0x01, 1, "\x03", 1, 0,
     "the RSA modulus has 16392 bits, but must have 512 to 16384"},
    {"an even modulus", 0, 256, 0x80, 2, "\x01\x00\x01", 3, 0, "the RSA modulus is even"},
    {"no modulus", 0, 0, 0, 0, "\x03", 1, 0, "the RSA modulus has 0 bits, but must have 512 to 16384"},
    {"a modulus of zeros", 300, 0, 0, 0, "\x03", 1, 0, "the RSA modulus has 0 bits, but must have 512 to 16384"},
    {"an even exponent", 0, 256, 0x80, 1, "\x01\x00\x00", 3, 0, "the RSA exponent must be odd and at least 3"},
    {"the exponent 1", 0, 256, 0x80, 1, "\x01", 1, 0, "the RSA exponent must be odd and at least 3"},
    {"no exponent", 0, 256, 0x80, 1, "", 0, 0, "the RSA exponent must be odd and at least 3"},
    {"an exponent of 257 bits", 0, 256, 0x80, 1, "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
     "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 33, 0,
     "the RSA exponent has more than 256 bits"},
    {"3072 bits with an exponent of 72", 0, 384, 0x80, 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9, 3072, NULL},
    {"4096 bits with an exponent of 64", 0, 512, 0x80, 1, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, 4096, NULL},
    {"4096 bits with an exponent of 72", 0, 512, 0x80, 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9, 0,
     "OpenSSL verifies with no RSA exponent of more than 64 bits when the modulus has more than 3072"},
};

static void
an_rsa_key_is_made_of_two_numbers(void **state)
{
    const struct rsa *row = *state;
    struct hs_buf n = {0}, e = {0};
    struct hs_jwk jwk = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_buf_resize(&n, row->zeros + row->n_len, NULL), HSMART_OK);
    memset(n.data + row->zeros, 0x55, row->n_len);
    if (row->n_len > 0) {
        n.data[row->zeros] = row->n_first;
        n.data[n.len - 1] = row->n_last;
    }
    assert_int_equal(hs_buf_resize(&e, row->zeros, NULL), HSMART_OK);
    assert_int_equal(hs_buf_append(&e, (struct hs_span){(const uint8_t *)row->e, row->e_len}, NULL), HSMART_OK);

    enum hsmart_code code = hs_jwk_from_rsa(hs_span_buf(&n), hs_span_buf(&e), &jwk, &err);
    if (row->bits != 0) {
        assert_int_equal(code, HSMART_OK);
        assert_int_equal(jwk.n.len, row->n_len);
        assert_int_equal(jwk.e.len, row->e_len);
        assert_int_equal(jwk.bits, row->bits);
        assert_int_equal(hs_jwk_signature_len(&jwk), row->n_len);
        assert_int_equal(strlen(jwk.thumbprint), 43);
    } else {
        assert_int_equal(code, HSMART_KEY_UNUSABLE);
        assert_string_equal(err.text, row->reason);
        assert_null(jwk.n.data);
    }
    hs_jwk_clear(&jwk);
    hs_buf_clear(&n);
    hs_buf_clear(&e);
}

static struct point {
    const char *name, *curve;
    uint8_t form;
    size_t len;
    const char *reason;
} points[] = {
    {"the infinite point", "P-256", 0x00, 1, "the public point is not in uncompressed form (04 X Y)"},
    {"no point", "P-256", 0x04, 0, "the public point is not in uncompressed form (04 X Y)"},
    {"a compressed point", "P-256", 0x02, 33, "the public point is not in uncompressed form (04 X Y)"},
    {"a hybrid point", "P-256", 0x06, 65, "the public point is not in uncompressed form (04 X Y)"},
    {"a point that is cut off", "P-256", 0x04, 64, "the public point is 64 bytes long, but on P-256 it must be 65"},
    {"a point of another curve", "P-384", 0x04, 65, "the public point is 65 bytes long, but on P-384 it must be 97"},
    {"a point that is not on the curve", "P-256", 0x04, 66 - 1, NULL},
};

static void
a_point_that_is_none_is_refused(void **state)
{
    const struct point *row = *state;
    uint8_t bytes[133] = {row->form, 7};
    struct hs_jwk jwk = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_jwk_from_ec_point(hs_curve_by_name(row->curve), (struct hs_span){bytes, row->len}, &jwk, &err),
                     HSMART_KEY_UNUSABLE);
    assert_string_equal(err.text, row->reason != NULL ? row->reason : "the public point is not on the curve P-256");
    assert_null(jwk.pkey);
}

/* ---- DER and PEM ---- */

static struct kind {
    const char *name; /* of the algorithm */
    unsigned rsa_bits;
} kinds[] = {{"RS384", 2048}, {"PS256", 2048}, {"RS512", 3072}, {"ES256", 0}, {"ES384", 0}, {"ES512", 0}};

static void
a_key_survives_the_way_through_pem_and_der(void **state)
{
    const struct kind *row = *state;
    struct hs_signer *signer = software_signer_generate(row->name, row->rsa_bits, NULL);
    struct hs_buf pem = {0};
    struct hs_jwk back = {0};
    uint8_t *der = NULL;

    assert_non_null(signer);
    assert_int_equal(hs_jwk_format_pem(signer->jwk, &pem, NULL), HSMART_OK);
    assert_memory_equal(pem.data, "-----BEGIN PUBLIC KEY-----\n", 27);
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    EVP_PKEY *pkey = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    assert_non_null(pkey);
    int der_len = i2d_PUBKEY(pkey, &der);
    assert_int_equal(hs_jwk_from_spki((struct hs_span){der, (size_t)der_len}, &back, NULL), HSMART_OK);
    assert_true(hs_jwk_same_key(signer->jwk, &back));
    assert_string_equal(signer->jwk->thumbprint, back.thumbprint);
    OPENSSL_free(der);
    EVP_PKEY_free(pkey);
    (void)BIO_free(bio);
    hs_jwk_clear(&back);
    hs_buf_clear(&pem);
    hs_signer_free(signer);
}

static void
assert_spki_refused(EVP_PKEY *key, size_t extra, const char *reason)
{
    uint8_t *der = NULL;
    int der_len = i2d_PUBKEY(key, &der);
    struct hs_jwk jwk = {0};
    struct hs_buf bytes = {0};
    hsmart_err err = {0};

    assert_true(der_len > 0);
    assert_int_equal(hs_buf_append(&bytes, (struct hs_span){der, (size_t)der_len}, NULL), HSMART_OK);
    assert_int_equal(hs_buf_resize(&bytes, bytes.len + extra, NULL), HSMART_OK);
    assert_int_equal(hs_jwk_from_spki(hs_span_buf(&bytes), &jwk, &err), HSMART_KEY_UNUSABLE);
    assert_string_equal(err.text, reason);
    hs_buf_clear(&bytes);
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}

static void
der_of_other_keys_is_refused(void **state)
{
    (void)state;
    struct hs_jwk jwk = {0};

    assert_spki_refused(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), 0, "public keys of type ED25519 are not supported");
    assert_spki_refused(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1"), 0,
                        "the curve \"secp256k1\" is not supported");
    assert_spki_refused(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), 1,
                        "not a DER SubjectPublicKeyInfo of a known type");
    assert_int_equal(hs_jwk_from_spki(span("nonsense"), &jwk, NULL), HSMART_KEY_UNUSABLE);
    assert_int_equal(hs_jwk_from_spki((struct hs_span){0}, &jwk, NULL), HSMART_KEY_UNUSABLE);
    assert_int_equal(hs_jwk_from_certificate(span("nonsense"), &jwk, NULL), HSMART_KEY_UNUSABLE);
    assert_int_equal(hs_jwk_from_certificate((struct hs_span){0}, &jwk, NULL), HSMART_KEY_UNUSABLE);
}

static void
a_certificate_gives_its_public_key(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    X509 *certificate = X509_new();
    uint8_t *der = NULL, *spki = NULL;
    struct hs_jwk from_certificate = {0}, from_spki = {0};
    hsmart_err err = {0};

    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    assert_true(X509_sign(certificate, key, EVP_sha384()) > 0);
    int der_len = i2d_X509(certificate, &der), spki_len = i2d_PUBKEY(key, &spki);
    assert_int_equal(hs_jwk_from_certificate((struct hs_span){der, (size_t)der_len}, &from_certificate, NULL),
                     HSMART_OK);
    assert_int_equal(hs_jwk_from_spki((struct hs_span){spki, (size_t)spki_len}, &from_spki, NULL), HSMART_OK);
    assert_true(hs_jwk_same_key(&from_certificate, &from_spki));
    assert_int_equal(hs_jwk_from_certificate((struct hs_span){der, (size_t)der_len - 1}, &from_spki, &err),
                     HSMART_KEY_UNUSABLE);
    assert_string_equal(err.text, "not a DER X.509 certificate");
    hs_jwk_clear(&from_certificate);
    hs_jwk_clear(&from_spki);
    OPENSSL_free(der);
    OPENSSL_free(spki);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* ---- Copies ---- */

static void
a_copy_outlives_its_original(void **state)
{
    (void)state;
    struct hs_jwk jwk = {0}, copy = {0}, other = {0};

    must_parse("{" P256_KEY ",\"kid\":\"k\",\"alg\":\"ES256\",\"use\":\"sig\"}", &jwk);
    must_parse("{" P521_KEY "}", &other);
    assert_int_equal(hs_jwk_dup(&jwk, &copy, NULL), HSMART_OK);
    assert_true(hs_jwk_same_key(&jwk, &copy));
    assert_false(hs_jwk_same_key(&jwk, &other));
    hs_jwk_clear(&jwk);
    assert_string_equal(copy.kid, "k");
    assert_string_equal(copy.alg, "ES256");
    assert_string_equal(copy.use, "sig");
    assert_string_equal(copy.thumbprint, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
    assert_int_equal(hs_jwk_verify(&copy, hs_alg_by_name("ES256"), span("x"), (struct hs_span){(uint8_t[64]){1}, 64},
                                   NULL),
                     HSMART_SIGNATURE_WRONG);
    hs_jwk_clear(&copy);
    hs_jwk_clear(&copy);
    hs_jwk_clear(&other);
}

/* ---- Verifying ---- */

static void
a_good_signature_verifies_and_a_touched_one_does_not(void **state)
{
    const struct kind *row = *state;
    struct hs_signer *signer = software_signer_generate(row->name, row->rsa_bits, NULL);
    struct hs_buf signature = {0};
    const struct hs_jwk *jwk = signer->jwk;
    hsmart_err err = {0};

    assert_int_equal(signer->ops->sign(signer, span("data"), &signature, NULL), HSMART_OK);
    assert_int_equal(signature.len, hs_jwk_signature_len(jwk));
    struct hs_span good = hs_span_buf(&signature);
    assert_int_equal(hs_jwk_verify(jwk, signer->alg, span("data"), good, NULL), HSMART_OK);
    assert_int_equal(hs_jwk_verify(jwk, signer->alg, span("date"), good, &err), HSMART_SIGNATURE_WRONG);
    assert_non_null(strstr(err.text, "signature does not verify with the key"));
    for (size_t i = 0; i < signature.len; i += 7) {
        signature.data[i] ^= 0x01;
        assert_int_equal(hs_jwk_verify(jwk, signer->alg, span("data"), good, NULL), HSMART_SIGNATURE_WRONG);
        signature.data[i] ^= 0x01;
    }
    hs_buf_clear(&signature);
    hs_signer_free(signer);
}

static void
a_signature_of_another_length_is_refused(void **state)
{
    const struct kind *row = *state;
    struct hs_signer *signer = software_signer_generate(row->name, row->rsa_bits, NULL);
    size_t len = hs_jwk_signature_len(signer->jwk);
    struct hs_buf signature = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_buf_resize(&signature, len + 1, NULL), HSMART_OK);
    const size_t lens[] = {0, 1, len - 1, len + 1};
    for (size_t i = 0; i < HS_ARRAY_LEN(lens); i++) {
        assert_int_equal(hs_jwk_verify(signer->jwk, signer->alg, span("data"),
                                       (struct hs_span){signature.data, lens[i]}, &err),
                         HSMART_SIGNATURE_WRONG);
        assert_non_null(strstr(err.text, "bytes long, but must be"));
    }
    hs_buf_clear(&signature);
    hs_signer_free(signer);
}

/* RFC 7518 section 3.4: the algorithm is bound to the curve. */
static void
an_algorithm_that_does_not_fit_the_key_is_refused(void **state)
{
    (void)state;
    struct hs_jwk jwk = {0};
    hsmart_err err = {0};
    uint8_t signature[64] = {1};

    must_parse("{" P256_KEY "}", &jwk);
    assert_int_equal(hs_jwk_verify(&jwk, hs_alg_by_name("ES384"), span("x"), HS_SPAN_OF(signature), &err),
                     HSMART_INVALID_ARGUMENT);
    assert_string_equal(err.text, "the algorithm ES384 does not fit the key, which can do ES256");
    assert_int_equal(hs_jwk_verify(&jwk, hs_alg_by_name("RS256"), span("x"), HS_SPAN_OF(signature), &err),
                     HSMART_INVALID_ARGUMENT);
    hs_jwk_clear(&jwk);
    must_parse("{" RSA_KEY "}", &jwk);
    assert_int_equal(hs_jwk_verify(&jwk, hs_alg_by_name("ES256"), span("x"), HS_SPAN_OF(signature), &err),
                     HSMART_INVALID_ARGUMENT);
    assert_string_equal(err.text, "the algorithm ES256 does not fit the key, "
                                  "which can do RS384, RS256, RS512, PS256, PS384, PS512");
    hs_jwk_clear(&jwk);
}

static void
another_algorithm_of_the_same_key_does_not_verify(void **state)
{
    (void)state;
    struct hs_signer *signer = software_signer_generate("RS384", 2048, NULL);
    struct hs_buf signature = {0};

    assert_int_equal(signer->ops->sign(signer, span("data"), &signature, NULL), HSMART_OK);
    for (size_t i = 0; i < hs_alg_count; i++)
        if (hs_algs[i].key_type == HS_KEY_RSA && strcmp(hs_algs[i].name, "RS384") != 0)
            assert_int_equal(hs_jwk_verify(signer->jwk, &hs_algs[i], span("data"), hs_span_buf(&signature), NULL),
                             HSMART_SIGNATURE_WRONG);
    hs_buf_clear(&signature);
    hs_signer_free(signer);
}

/* RFC 7518 section 3.5: the salt is as long as the hash. */
static struct salt {
    const char *name;
    int len;
    enum hsmart_code code;
} salts[] = {
    {"as long as the hash", 48, HSMART_OK},
    {"none", 0, HSMART_SIGNATURE_WRONG},
    {"of SHA-1's length", 20, HSMART_SIGNATURE_WRONG},
    {"as long as there is room", RSA_PSS_SALTLEN_MAX, HSMART_SIGNATURE_WRONG},
};

static void
a_pss_signature_verifies_with_one_salt_length_only(void **state)
{
    const struct salt *row = *state;
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_ctx = NULL;
    uint8_t *spki = NULL, signature[256];
    size_t signature_len = sizeof signature;
    struct hs_jwk jwk = {0};

    int spki_len = i2d_PUBKEY(key, &spki);
    assert_int_equal(hs_jwk_from_spki((struct hs_span){spki, (size_t)spki_len}, &jwk, NULL), HSMART_OK);
    assert_int_equal(EVP_DigestSignInit(ctx, &key_ctx, EVP_sha384(), NULL, key), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, row->len), 1);
    assert_int_equal(EVP_DigestSign(ctx, signature, &signature_len, (const uint8_t *)"data", 4), 1);
    assert_int_equal(hs_jwk_verify(&jwk, hs_alg_by_name("PS384"), span("data"), HS_SPAN_OF(signature), NULL),
                     row->code);
    hs_jwk_clear(&jwk);
    OPENSSL_free(spki);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
}

/* Nobody waits for a real key of this size: the modulus is a product of 32 primes of 512 bits, and the signature is put
 * together from its remainders (RFC 8017 section 5.1.1 has more than two primes too). */
#define BIG_PRIME_COUNT 32
#define BIG_PRIME_BITS 512

static void
make_primes(BIGNUM *primes[BIG_PRIME_COUNT], const BIGNUM *e, BN_CTX *ctx)
{
    for (size_t i = 0; i < BIG_PRIME_COUNT; i++) {
        BIGNUM *less_one = BN_new(), *gcd = BN_new();
        primes[i] = BN_new();
        do {
            assert_int_equal(BN_generate_prime_ex(primes[i], BIG_PRIME_BITS, 0, NULL, NULL, NULL), 1);
            (void)BN_sub(less_one, primes[i], BN_value_one());
            (void)BN_gcd(gcd, less_one, e, ctx);
        } while (!BN_is_one(gcd));
        BN_free(less_one);
        BN_free(gcd);
    }
}

/* `x` so that x^e = m modulo each prime; `n` becomes the product of the primes. */
static void
take_root(BIGNUM *primes[BIG_PRIME_COUNT], const BIGNUM *e, const BIGNUM *m, BIGNUM *x, BIGNUM *n, BN_CTX *ctx)
{
    BIGNUM *d = BN_new(), *root = BN_new(), *inverse = BN_new();

    BN_zero(x);
    (void)BN_one(n);
    for (size_t i = 0; i < BIG_PRIME_COUNT; i++) {
        (void)BN_sub(d, primes[i], BN_value_one());
        assert_non_null(BN_mod_inverse(d, e, d, ctx));
        (void)BN_nnmod(root, m, primes[i], ctx);
        assert_int_equal(BN_mod_exp(root, root, d, primes[i], ctx), 1);
        (void)BN_mod_sub(root, root, x, primes[i], ctx);
        assert_non_null(BN_mod_inverse(inverse, n, primes[i], ctx));
        (void)BN_mod_mul(root, root, inverse, primes[i], ctx);
        (void)BN_mul(root, root, n, ctx);
        (void)BN_add(x, x, root);
        (void)BN_mul(n, n, primes[i], ctx);
    }
    BN_free(d);
    BN_free(root);
    BN_free(inverse);
}

static void
pad_pkcs1(const struct hs_alg *alg, struct hs_span data, uint8_t *out, size_t len)
{
    size_t info_len = alg->digest_info_prefix.len + alg->hash_len;

    memset(out, 0xff, len);
    out[0] = 0;
    out[1] = 1;
    out[len - info_len - 1] = 0;
    memcpy(out + len - info_len, alg->digest_info_prefix.data, alg->digest_info_prefix.len);
    assert_int_equal(hs_alg_digest(alg, data, out + len - alg->hash_len, NULL), HSMART_OK);
}

static void
a_signature_by_a_key_of_16384_bits_verifies(void **state)
{
    (void)state;
    uint8_t padded[BIG_PRIME_COUNT * BIG_PRIME_BITS / 8], modulus[sizeof padded], signature[sizeof padded];
    static const uint8_t exponent[] = {1, 0, 1};
    BIGNUM *primes[BIG_PRIME_COUNT], *x = BN_new(), *n = BN_new(), *e = BN_bin2bn(exponent, sizeof exponent, NULL);
    BN_CTX *ctx = BN_CTX_new();
    const struct hs_alg *alg = hs_alg_by_name("RS384");
    struct hs_jwk jwk = {0};

    make_primes(primes, e, ctx);
    pad_pkcs1(alg, span("data"), padded, sizeof padded);
    BIGNUM *m = BN_bin2bn(padded, sizeof padded, NULL);
    take_root(primes, e, m, x, n, ctx);
    assert_int_equal(BN_bn2binpad(n, modulus, sizeof modulus), sizeof modulus);
    assert_int_equal(BN_bn2binpad(x, signature, sizeof signature), sizeof signature);
    assert_int_equal(hs_jwk_from_rsa(HS_SPAN_OF(modulus), HS_SPAN_OF(exponent), &jwk, NULL), HSMART_OK);
    assert_in_range(jwk.bits, 16384 - 32, 16384);
    assert_int_equal(hs_jwk_verify(&jwk, alg, span("data"), HS_SPAN_OF(signature), NULL), HSMART_OK);
    assert_int_equal(hs_jwk_verify(&jwk, alg, span("date"), HS_SPAN_OF(signature), NULL), HSMART_SIGNATURE_WRONG);
    hs_jwk_clear(&jwk);
    for (size_t i = 0; i < BIG_PRIME_COUNT; i++)
        BN_free(primes[i]);
    BN_free(m);
    BN_free(x);
    BN_free(n);
    BN_free(e);
    BN_CTX_free(ctx);
}

struct shared_verify {
    const struct hs_jwk *jwk;
    const struct hs_alg *alg;
    struct hs_span signature;
    atomic_uint failures;
};

static void *
verify_often(void *argument)
{
    struct shared_verify *shared = argument;

    for (int i = 0; i < 50; i++)
        if (hs_jwk_verify(shared->jwk, shared->alg, span("data"), shared->signature, NULL) != HSMART_OK)
            (void)atomic_fetch_add(&shared->failures, 1);
    return NULL;
}

static void
one_key_verifies_for_several_threads_at_once(void **state)
{
    const struct kind *row = *state;
    struct hs_signer *signer = software_signer_generate(row->name, row->rsa_bits, NULL);
    struct hs_buf signature = {0};
    pthread_t threads[6];

    assert_int_equal(signer->ops->sign(signer, span("data"), &signature, NULL), HSMART_OK);
    struct shared_verify shared = {.jwk = signer->jwk, .alg = signer->alg, .signature = hs_span_buf(&signature)};
    for (size_t i = 0; i < HS_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, verify_often, &shared), 0);
    for (size_t i = 0; i < HS_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&shared.failures), 0);
    hs_buf_clear(&signature);
    hs_signer_free(signer);
}

/* ---- Sets ---- */

static void
a_set_is_sorted_by_kid_and_reads_back(void **state)
{
    (void)state;
    static const char *const kids[] = {"m", "a", "z", "b", "y", "k"};
    struct hs_jwk jwk = {0};
    struct hs_jwks set = {0};
    struct hs_buf text = {0};
    struct hs_json_doc doc = {0};
    const char *before = "";

    must_parse("{" P256_KEY "}", &jwk);
    for (size_t i = 0; i < HS_ARRAY_LEN(kids); i++)
        assert_int_equal(hs_jwks_add(&set, &jwk, kids[i], NULL, NULL), HSMART_OK);
    hs_jwk_clear(&jwk);
    assert_int_equal(hs_jwks_format(&set, &text, NULL), HSMART_OK);
    assert_int_equal(text.data[text.len - 1], '\n');
    assert_int_equal(hs_json_parse(hs_span_buf(&text), &doc, NULL), HSMART_OK);
    const hs_json_value *keys = hs_json_member(doc.root, "keys");
    assert_int_equal(hs_json_length(keys), HS_ARRAY_LEN(kids));
    for (size_t i = 0; i < HS_ARRAY_LEN(kids); i++) {
        assert_int_equal(hs_jwk_parse(hs_json_element(keys, i), &jwk, NULL), HSMART_OK);
        assert_true(strcmp(before, jwk.kid) < 0);
        before = vector_text(hs_json_element(keys, i), "kid");
    }
    hs_jwk_clear(&jwk);
    hs_json_doc_clear(&doc);
    hs_buf_clear(&text);
    hs_jwks_clear(&set);
    hs_jwks_clear(&set);
}

static void
an_empty_set_has_an_empty_array(void **state)
{
    (void)state;
    struct hs_jwks set = {0};
    struct hs_buf text = {0};

    assert_int_equal(hs_jwks_format(&set, &text, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&text), "{\n  \"keys\": []\n}\n");
    hs_buf_clear(&text);
}

static struct unfit {
    const char *name, *kid, *alg;
    enum hsmart_code code;
    const char *reason;
} unfits[] = {
    {"a kid that is there", "there", NULL, HSMART_KEY_EXISTS, "the set has a key with the kid \"there\" already"},
    {"an empty kid", "", NULL, HSMART_INVALID_ARGUMENT, "the kid is empty"},
    {"a kid that is not UTF-8", "caf\xe9", NULL, HSMART_INVALID_ARGUMENT, "the kid is not UTF-8"},
    {"an algorithm of another key", "k", "RS384", HSMART_INVALID_ARGUMENT,
     "the algorithm \"RS384\" does not fit the key, which can do ES256"},
    {"an unknown algorithm", "k", "none", HSMART_INVALID_ARGUMENT,
     "the algorithm \"none\" does not fit the key, which can do ES256"},
};

static void
what_does_not_belong_into_a_set_is_refused(void **state)
{
    const struct unfit *row = *state;
    struct hs_jwk jwk = {0};
    struct hs_jwks set = {0};
    hsmart_err err = {0};

    must_parse("{" P256_KEY "}", &jwk);
    assert_int_equal(hs_jwks_add(&set, &jwk, "there", "ES256", NULL), HSMART_OK);
    assert_int_equal(hs_jwks_add(&set, &jwk, row->kid, row->alg, &err), row->code);
    assert_string_equal(err.text, row->reason);
    assert_int_equal(set.count, 1);
    hs_jwks_clear(&set);
    hs_jwk_clear(&jwk);
}

/* ---- Published vectors ---- */

static void
the_thumbprint_of_rfc_7638_is_reproduced(void **state)
{
    (void)state;
    struct hs_json_doc doc = {0};
    struct hs_jwk jwk = {0};

    vectors_load("rfc/rfc7638-3.1-thumbprint.json", &doc);
    assert_int_equal(hs_jwk_parse(hs_json_member(doc.root, "jwk"), &jwk, NULL), HSMART_OK);
    assert_string_equal(jwk.thumbprint, vector_text(doc.root, "thumbprint_b64url"));
    hs_jwk_clear(&jwk);
    hs_json_doc_clear(&doc);
}

static struct published {
    const char *name; /* the file */
    const char *in_set; /* NULL: the file is one JWK */
} publisheds[] = {
    {"rfc/rfc7520-3.1-ec-public.json", NULL},    {"rfc/rfc7520-3.3-rsa-public.json", NULL},
    {"smart/RS384.public.jwks.json", "keys"},     {"smart/ES384.public.jwks.json", "keys"},
};

/* Read, written and read again, each member is what it was. */
static void
a_published_key_is_written_byte_for_byte(void **state)
{
    const struct published *row = *state;
    struct hs_json_doc doc = {0}, again = {0};
    struct hs_jwk jwk = {0};
    struct hs_buf text = {0};
    struct hs_json_writer writer = {.out = &text};
    static const char *const members[] = {"kty", "kid", "n", "e", "crv", "x", "y"};

    vectors_load(row->name, &doc);
    const hs_json_value *value =
        row->in_set != NULL ? hs_json_element(hs_json_member(doc.root, row->in_set), 0) : doc.root;
    assert_int_equal(hs_jwk_parse(value, &jwk, NULL), HSMART_OK);
    hs_jwk_put(&writer, &jwk, jwk.kid, NULL);
    assert_int_equal(hs_json_writer_finish(&writer, NULL), HSMART_OK);
    assert_int_equal(hs_json_parse(hs_span_buf(&text), &again, NULL), HSMART_OK);
    for (size_t i = 0; i < HS_ARRAY_LEN(members); i++)
        assert_true(hs_span_equal(hs_json_string(hs_json_member(value, members[i])),
                                  hs_json_string(hs_json_member(again.root, members[i]))));
    hs_buf_clear(&text);
    hs_jwk_clear(&jwk);
    hs_json_doc_clear(&doc);
    hs_json_doc_clear(&again);
}

static struct published_private {
    const char *name;
    const char *member;
} published_privates[] = {
    {"rfc/rfc7520-3.2-ec-private.json", "d"},
    {"rfc/rfc7520-3.4-rsa-private.json", "d"},
};

static void
a_published_private_key_is_refused(void **state)
{
    const struct published_private *row = *state;
    struct hs_json_doc doc = {0};
    struct hs_jwk jwk = {0};
    hsmart_err err = {0};

    vectors_load(row->name, &doc);
    assert_int_equal(hs_jwk_parse(doc.root, &jwk, &err), HSMART_INPUT_MALFORMED);
    assert_string_equal(err.text, "the member \"d\" is part of a private or secret key");
    hs_json_doc_clear(&doc);
}

static void
the_ecdsa_vectors_of_wycheproof_agree(void **state)
{
    (void)state;
    struct hs_json_doc doc = {0};
    size_t count = 0, disagreements = 0;

    vectors_load("wycheproof/ecdsa_secp384r1_sha384_p1363.json", &doc);
    const hs_json_value *groups = hs_json_member(doc.root, "testGroups");
    for (size_t i = 0; i < hs_json_length(groups); i++) {
        const hs_json_value *group = hs_json_element(groups, i), *tests = hs_json_member(group, "tests");
        struct hs_buf point = {0};
        struct hs_jwk jwk = {0};
        vector_hex(hs_json_member(group, "publicKey"), "uncompressed", &point);
        assert_int_equal(hs_jwk_from_ec_point(hs_curve_by_name("P-384"), hs_span_buf(&point), &jwk, NULL), HSMART_OK);
        for (size_t j = 0; j < hs_json_length(tests); j++, count++) {
            const hs_json_value *test = hs_json_element(tests, j);
            struct hs_buf message = {0}, signature = {0};
            vector_hex(test, "msg", &message);
            vector_hex(test, "sig", &signature);
            bool valid = strcmp(vector_text(test, "result"), "valid") == 0;
            enum hsmart_code code = hs_jwk_verify(&jwk, hs_alg_by_name("ES384"), hs_span_buf(&message),
                                                  hs_span_buf(&signature), NULL);
            if (code != (valid ? HSMART_OK : HSMART_SIGNATURE_WRONG)) {
                print_error("test %d (%s): %s\n", (int)hs_json_integer(hs_json_member(test, "tcId")),
                            vector_text(test, "comment"), hsmart_code_name(code));
                disagreements++;
            }
            hs_buf_clear(&message);
            hs_buf_clear(&signature);
        }
        hs_jwk_clear(&jwk);
        hs_buf_clear(&point);
    }
    assert_int_equal(disagreements, 0);
    assert_int_equal(count, hs_json_integer(hs_json_member(doc.root, "numberOfTests")));
    hs_json_doc_clear(&doc);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, a_key_that_was_read_is_written_the_same, writtens);
    ADD_TEST(&rows, kid_and_alg_are_written_as_asked);
    ADD_TEST(&rows, kid_alg_and_use_are_kept_as_found);
    ADD_ROWS(&rows, what_is_no_public_key_is_refused_by_member, refuseds);
    ADD_ROWS(&rows, an_rsa_key_is_made_of_two_numbers, rsas);
    ADD_ROWS(&rows, a_point_that_is_none_is_refused, points);
    ADD_ROWS(&rows, a_key_survives_the_way_through_pem_and_der, kinds);
    ADD_TEST(&rows, der_of_other_keys_is_refused);
    ADD_TEST(&rows, a_certificate_gives_its_public_key);
    ADD_TEST(&rows, a_copy_outlives_its_original);
    ADD_ROWS(&rows, a_good_signature_verifies_and_a_touched_one_does_not, kinds);
    ADD_ROWS(&rows, a_signature_of_another_length_is_refused, kinds);
    ADD_TEST(&rows, an_algorithm_that_does_not_fit_the_key_is_refused);
    ADD_TEST(&rows, another_algorithm_of_the_same_key_does_not_verify);
    ADD_ROWS(&rows, a_pss_signature_verifies_with_one_salt_length_only, salts);
    ADD_TEST(&rows, a_signature_by_a_key_of_16384_bits_verifies);
    ADD_ROWS(&rows, one_key_verifies_for_several_threads_at_once, kinds);
    ADD_TEST(&rows, a_set_is_sorted_by_kid_and_reads_back);
    ADD_TEST(&rows, an_empty_set_has_an_empty_array);
    ADD_ROWS(&rows, what_does_not_belong_into_a_set_is_refused, unfits);
    ADD_TEST(&rows, the_thumbprint_of_rfc_7638_is_reproduced);
    ADD_ROWS(&rows, a_published_key_is_written_byte_for_byte, publisheds);
    ADD_ROWS(&rows, a_published_private_key_is_refused, published_privates);
    ADD_TEST(&rows, the_ecdsa_vectors_of_wycheproof_agree);
    return rows_run("jwk", &rows);
}
