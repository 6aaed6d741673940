#include "rows.h"

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "roca.h"
#include "roca_moduli.h"
#include "text.h"

static struct modulus {
    const char *name, *hex;
    bool suspect;
} moduli[] = {
    {"512 bits of that form", ROCA_512, true},
    {"2048 bits of that form", ROCA_2048, true},
    {"3072 bits of that form", ROCA_3072, true},
    {"with zeros in front", "0000" ROCA_2048, true},
    {"only one prime of that form", HALF_ROCA_2048, false},
    {"another byte in front", "02" ROCA_2048, false},
    {"a multiple of 11", "0b", false},
    {"none", "", false},
};

static void
a_modulus_is_told_by_its_form(void **state)
{
    const struct modulus *row = *state;
    struct hs_buf modulus = {0};

    assert_int_equal(hs_text_parse_hex(row->hex, &modulus, NULL), HSMART_OK);
    assert_int_equal(hs_roca_is_suspect(hs_span_buf(&modulus)), row->suspect);
    hs_buf_clear(&modulus);
}

static void
ordinary_keys_are_not_suspect(void **state)
{
    uint8_t bytes[128];

    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        EVP_PKEY *pkey = EVP_RSA_gen(1024);
        BIGNUM *n = NULL;
        assert_int_equal(EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n), 1);
        assert_int_equal(BN_bn2binpad(n, bytes, sizeof bytes), sizeof bytes);
        assert_false(hs_roca_is_suspect(HS_SPAN_OF(bytes)));
        BN_free(n);
        EVP_PKEY_free(pkey);
    }
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, a_modulus_is_told_by_its_form, moduli);
    ADD_TEST(&rows, ordinary_keys_are_not_suspect);
    return rows_run("roca", &rows);
}
