#include "rows.h"

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>

#include "alg.h"
#include "err.h"
#include "software_signer.h"

static struct fit {
    const char *name; /* of the algorithm */
    enum hs_key_type type;
    const char *curve, *hash;
    size_t hash_len;
    enum hs_padding padding;
} fits[] = {
    {"RS256", HS_KEY_RSA, NULL, "SHA256", 32, HS_PADDING_PKCS1},
    {"RS384", HS_KEY_RSA, NULL, "SHA384", 48, HS_PADDING_PKCS1},
    {"RS512", HS_KEY_RSA, NULL, "SHA512", 64, HS_PADDING_PKCS1},
    {"PS256", HS_KEY_RSA, NULL, "SHA256", 32, HS_PADDING_PSS},
    {"PS384", HS_KEY_RSA, NULL, "SHA384", 48, HS_PADDING_PSS},
    {"PS512", HS_KEY_RSA, NULL, "SHA512", 64, HS_PADDING_PSS},
    {"ES256", HS_KEY_EC, "P-256", "SHA256", 32, HS_PADDING_NONE},
    {"ES384", HS_KEY_EC, "P-384", "SHA384", 48, HS_PADDING_NONE},
    {"ES512", HS_KEY_EC, "P-521", "SHA512", 64, HS_PADDING_NONE},
};

/* RFC 7518 section 3.1: each algorithm fits its keys and no others. */
static void
an_algorithm_fits_its_own_keys_only(void **state)
{
    const struct fit *row = *state;
    const struct hs_alg *alg = hs_alg_by_name(row->name);

    assert_non_null(alg);
    assert_int_equal(alg->padding, row->padding);
    assert_string_equal(alg->hash, row->hash);
    assert_int_equal(alg->hash_len, row->hash_len);
    assert_int_equal(alg->digest_info_prefix.len, row->padding == HS_PADDING_PKCS1 ? 19 : 0);
    assert_int_equal(hs_alg_fits(alg, HS_KEY_RSA, NULL), row->type == HS_KEY_RSA);
    for (size_t i = 0; i < hs_curve_count; i++)
        assert_int_equal(hs_alg_fits(alg, HS_KEY_EC, &hs_curves[i]),
                         row->curve != NULL && strcmp(row->curve, hs_curves[i].name) == 0);
    assert_false(hs_alg_fits(alg, HS_KEY_EC, NULL));
}

static struct unknown {
    const char *name;
} unknowns[] = {{"none"}, {"HS256"}, {"HS384"}, {"HS512"}, {"rs384"}, {"RS384 "}, {"RS1"}, {"ES256K"}, {"EdDSA"}, {""}};

static void
an_algorithm_that_is_not_ours_is_not_found(void **state)
{
    const struct unknown *row = *state;

    assert_null(hs_alg_by_name(row->name));
}

static void
nothing_is_found_under_no_name(void **state)
{
    (void)state;
    assert_null(hs_alg_by_name(NULL));
    assert_null(hs_curve_by_name(NULL));
    assert_null(hs_curve_by_name("p-384"));
    assert_null(hs_curve_by_name("secp256k1"));
    assert_null(hs_curve_by_oid_der((struct hs_span){0}));
}

static void
the_defaults_are_what_smart_asks_for(void **state)
{
    (void)state;
    assert_string_equal(hs_alg_default(HS_KEY_RSA, NULL)->name, "RS384");
    assert_string_equal(hs_alg_default(HS_KEY_EC, hs_curve_by_name("P-384"))->name, "ES384");
    assert_string_equal(hs_alg_default(HS_KEY_EC, hs_curve_by_name("P-256"))->name, "ES256");
    assert_string_equal(hs_alg_default(HS_KEY_EC, hs_curve_by_name("P-521"))->name, "ES512");
    assert_null(hs_alg_default(HS_KEY_EC, NULL));
}

static void
the_names_for_messages_are_those_of_the_table(void **state)
{
    (void)state;
    struct hs_buf names = {0};

    for (size_t i = 0; i < hs_alg_count; i++)
        if (hs_algs[i].key_type == HS_KEY_RSA)
            assert_int_equal(hs_buf_append_format(&names, NULL, "%s%s", names.len > 0 ? ", " : "", hs_algs[i].name),
                             HSMART_OK);
    assert_string_equal(hs_alg_names(HS_KEY_RSA, NULL), hs_buf_text(&names));
    assert_string_equal(hs_alg_names(HS_KEY_EC, hs_curve_by_name("P-521")), "ES512");
    assert_string_equal(hs_alg_names(HS_KEY_EC, NULL), "");
    hs_buf_clear(&names);
}

static struct curve {
    const char *name;
    size_t field_len;
} curves[] = {{"P-256", 32}, {"P-384", 48}, {"P-521", 66}};

static void
a_curve_has_the_object_identifier_that_openssl_gives_it(void **state)
{
    const struct curve *row = *state;
    const struct hs_curve *curve = hs_curve_by_name(row->name);
    ASN1_OBJECT *object = OBJ_txt2obj(curve->group, 0);
    uint8_t der[32], *end = der;

    assert_non_null(object);
    int len = i2d_ASN1_OBJECT(object, &end);
    assert_true(hs_span_equal(curve->oid_der, (struct hs_span){der, (size_t)len}));
    assert_ptr_equal(hs_curve_by_oid_der(curve->oid_der), curve);
    assert_int_equal(curve->field_len, row->field_len);
    assert_int_equal((curve->bits + 7) / 8, row->field_len);
    ASN1_OBJECT_free(object);
}

/* FIPS 180-4, "abc". */
static struct digest {
    const char *name;  /* of an algorithm */
    const char *start; /* of the digest */
} digests[] = {
    {"RS256", "\xba\x78\x16\xbf\x8f\x01\xcf\xea"},
    {"ES384", "\xcb\x00\x75\x3f\x45\xa3\x5e\x8b"},
    {"PS512", "\xdd\xaf\x35\xa1\x93\x61\x7a\xba"},
};

static void
the_digest_is_that_of_the_algorithm(void **state)
{
    const struct digest *row = *state;
    uint8_t digest[HS_HASH_MAX];

    assert_int_equal(hs_alg_digest(hs_alg_by_name(row->name), span("abc"), digest, NULL), HSMART_OK);
    assert_memory_equal(digest, row->start, 8);
    assert_int_equal(hs_alg_digest(hs_alg_by_name(row->name), (struct hs_span){0}, digest, NULL), HSMART_OK);
}

/* What RSA signs is the prefix and the digest: taken out of a signature that OpenSSL made. */
static struct prefix {
    const char *name;
} prefixes[] = {{"RS256"}, {"RS384"}, {"RS512"}};

static void
the_prefix_and_the_digest_are_what_rsa_signs(void **state)
{
    const struct prefix *row = *state;
    struct hs_signer *signer = software_signer_generate(row->name, 2048, NULL);
    const struct hs_alg *alg = hs_alg_by_name(row->name);
    struct hs_buf signature = {0};
    uint8_t recovered[512], digest[HS_HASH_MAX];
    size_t recovered_len = sizeof recovered;

    assert_non_null(signer);
    assert_int_equal(signer->ops->sign(signer, span("data"), &signature, NULL), HSMART_OK);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, signer->jwk->pkey, NULL);
    assert_int_equal(EVP_PKEY_verify_recover_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
    assert_int_equal(EVP_PKEY_verify_recover(ctx, recovered, &recovered_len, signature.data, signature.len), 1);
    assert_int_equal(recovered_len, alg->digest_info_prefix.len + alg->hash_len);
    assert_memory_equal(recovered, alg->digest_info_prefix.data, alg->digest_info_prefix.len);
    assert_int_equal(hs_alg_digest(alg, span("data"), digest, NULL), HSMART_OK);
    assert_memory_equal(recovered + alg->digest_info_prefix.len, digest, alg->hash_len);
    EVP_PKEY_CTX_free(ctx);
    hs_buf_clear(&signature);
    hs_signer_free(signer);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, an_algorithm_fits_its_own_keys_only, fits);
    ADD_ROWS(&rows, an_algorithm_that_is_not_ours_is_not_found, unknowns);
    ADD_TEST(&rows, nothing_is_found_under_no_name);
    ADD_TEST(&rows, the_defaults_are_what_smart_asks_for);
    ADD_TEST(&rows, the_names_for_messages_are_those_of_the_table);
    ADD_ROWS(&rows, a_curve_has_the_object_identifier_that_openssl_gives_it, curves);
    ADD_ROWS(&rows, the_digest_is_that_of_the_algorithm, digests);
    ADD_ROWS(&rows, the_prefix_and_the_digest_are_what_rsa_signs, prefixes);
    return rows_run("alg", &rows);
}
