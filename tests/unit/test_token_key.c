/* What is made of the objects that a token shows: which public half is believed, which algorithms a key is good for,
 * and which keys are refused. */
#include "rows.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <hsmart/hsmart.h>

#include "fake/fake_p11.h"
#include "jwk.h"
#include "roca_moduli.h"
#include "text.h"

#define OBJECTS_MAX 4U
#define ATTRIBUTES_MAX 12U

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static const CK_KEY_TYPE type_rsa = CKK_RSA;
static const uint8_t id[] = {0x01, 0x02}, exponent[] = {0x01, 0x00, 0x01};

/* Two RSA keys and an EC key, and the certificates of each. */
enum { OWN, OTHER, EC, KIND_COUNT };
static struct {
    EVP_PKEY *pkey;
    uint8_t modulus[256];
    uint8_t *spki, *certificates[2];
    CK_ULONG spki_len, certificate_lens[2];
} made[KIND_COUNT];

static struct fake_p11 *fake;
static hsmart_token *token;
static struct fake_attribute attributes[OBJECTS_MAX][ATTRIBUTES_MAX];
static struct fake_object objects[OBJECTS_MAX];

/* ---- The objects ---- */

static struct fake_object *
add_object(CK_OBJECT_CLASS class)
{
    struct fake_object *object = &objects[fake->object_count];

    *object = (struct fake_object){.class = class, .attributes = attributes[fake->object_count]};
    fake->object_count++;
    return object;
}

static void
put(struct fake_object *object, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    size_t index = (size_t)(object - objects);

    assert_true(object->attribute_count < ATTRIBUTES_MAX);
    attributes[index][object->attribute_count++] = (struct fake_attribute){type, value, len, CKR_OK};
}

/* An RSA key that stays on the token. */
static struct fake_object *
add_private(void)
{
    struct fake_object *object = add_object(CKO_PRIVATE_KEY);

    put(object, CKA_KEY_TYPE, &type_rsa, sizeof type_rsa);
    put(object, CKA_LABEL, "key", 3);
    put(object, CKA_ID, id, sizeof id);
    put(object, CKA_SENSITIVE, &yes, sizeof yes);
    put(object, CKA_EXTRACTABLE, &no, sizeof no);
    put(object, CKA_SIGN, &yes, sizeof yes);
    return object;
}

static void
add_public(const uint8_t *modulus, size_t len)
{
    struct fake_object *object = add_object(CKO_PUBLIC_KEY);

    put(object, CKA_KEY_TYPE, &type_rsa, sizeof type_rsa);
    put(object, CKA_LABEL, "key", 3);
    put(object, CKA_ID, id, sizeof id);
    put(object, CKA_MODULUS, modulus, len);
    put(object, CKA_PUBLIC_EXPONENT, exponent, sizeof exponent);
}

static void
make_certificate(EVP_PKEY *pkey, long serial, uint8_t **out_der, CK_ULONG *out_len)
{
    X509 *certificate = X509_new();

    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(certificate), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
    assert_int_equal(X509_set_pubkey(certificate, pkey), 1);
    assert_true(X509_sign(certificate, pkey, EVP_sha256()) > 0);
    int len = i2d_X509(certificate, out_der);
    assert_true(len > 0);
    *out_len = (CK_ULONG)len;
    X509_free(certificate);
}

static int
make_keys(void **state)
{
    (void)state;
    for (int i = 0; i < KIND_COUNT; i++) {
        BIGNUM *n = NULL;
        made[i].pkey = i == EC ? EVP_EC_gen("P-384") : EVP_RSA_gen(2048);
        assert_non_null(made[i].pkey);
        if (i != EC) {
            assert_int_equal(EVP_PKEY_get_bn_param(made[i].pkey, OSSL_PKEY_PARAM_RSA_N, &n), 1);
            assert_int_equal(BN_bn2binpad(n, made[i].modulus, sizeof made[i].modulus), sizeof made[i].modulus);
            BN_free(n);
        }
        int len = i2d_PUBKEY(made[i].pkey, &made[i].spki);
        assert_true(len > 0);
        made[i].spki_len = (CK_ULONG)len;
        for (int j = 0; j < 2; j++)
            make_certificate(made[i].pkey, j + 1, &made[i].certificates[j], &made[i].certificate_lens[j]);
    }
    return 0;
}

static int
free_keys(void **state)
{
    (void)state;
    for (int i = 0; i < KIND_COUNT; i++) {
        EVP_PKEY_free(made[i].pkey);
        OPENSSL_free(made[i].spki);
        OPENSSL_free(made[i].certificates[0]);
        OPENSSL_free(made[i].certificates[1]);
    }
    return 0;
}

static int
fresh_token(void **state)
{
    const hsmart_token_options options = {.module = FAKE_P11_MODULE, .uri = "pkcs11:token=fake"};
    hsmart_err err = {0};

    (void)state;
    fake = fake_p11_load();
    memset(objects, 0, sizeof objects);
    memset(attributes, 0, sizeof attributes);
    fake->objects = objects;
    fake->object_count = 0;
    if (hsmart_token_open(&options, &token, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    return 0;
}

static int
no_token(void **state)
{
    (void)state;
    hsmart_token_close(token);
    token = NULL;
    return fake->open_sessions == 0 ? 0 : -1;
}

static hsmart_key *
find_key(void)
{
    hsmart_key *key = NULL;
    hsmart_err err = {0};

    if (hsmart_key_find(token, "pkcs11:object=key", &key, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    return key;
}

static void
says(const char *text, const char *part)
{
    if (text == NULL || strstr(text, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", text != NULL ? text : "", part);
}

/* ---- Where the public half comes from ---- */

struct shown { /* what lies beside a private key: an object of class `class` from key `of`; 0: the end */
    CK_OBJECT_CLASS class;
    int of, which;
};
#define PUBLIC_OF(key)                                                                                                 \
    {                                                                                                                  \
        CKO_PUBLIC_KEY, key, 0                                                                                         \
    }
#define CERTIFICATE_OF(key, which)                                                                                     \
    {                                                                                                                  \
        CKO_CERTIFICATE, key, which                                                                                    \
    }
#define NOT_SHOWN (-1)

static struct half {
    const char *name;
    struct shown beside[3];
    int modulus_of, spki_of; /* what the private object tells of itself */
    const char *problem;     /* NULL: the own key is found */
} halves[] = {
    {"the public key object", {PUBLIC_OF(OWN)}, NOT_SHOWN, NOT_SHOWN, NULL},
    {"the public key object twice", {PUBLIC_OF(OWN), PUBLIC_OF(OWN)}, NOT_SHOWN, NOT_SHOWN, NULL},
    {"two public keys that differ",
     {PUBLIC_OF(OWN), PUBLIC_OF(OTHER)},
     NOT_SHOWN,
     NOT_SHOWN,
     "several different public keys share its id and label"},
    {"two public keys, of which the private object tells one",
     {PUBLIC_OF(OTHER), PUBLIC_OF(OWN)},
     OWN,
     NOT_SHOWN,
     NULL},
    {"the certificate", {CERTIFICATE_OF(OWN, 0)}, NOT_SHOWN, NOT_SHOWN, NULL},
    {"the certificate and its renewal", {CERTIFICATE_OF(OWN, 0), CERTIFICATE_OF(OWN, 1)}, NOT_SHOWN, NOT_SHOWN, NULL},
    {"two certificates that differ",
     {CERTIFICATE_OF(OWN, 0), CERTIFICATE_OF(OTHER, 0)},
     NOT_SHOWN,
     NOT_SHOWN,
     "several different certificates have its id"},
    {"a certificate of another type",
     {CERTIFICATE_OF(EC, 0)},
     NOT_SHOWN,
     NOT_SHOWN,
     "the certificate with its id is for another key"},
    {"a certificate with another modulus",
     {CERTIFICATE_OF(OTHER, 0)},
     OWN,
     NOT_SHOWN,
     "the certificate with its id is for another key"},
    {"the private object's own CKA_PUBLIC_KEY_INFO", {{0, 0, 0}}, NOT_SHOWN, OWN, NULL},
    {"a CKA_PUBLIC_KEY_INFO of another type", {{0, 0, 0}}, NOT_SHOWN, EC, "its CKA_PUBLIC_KEY_INFO is for another key"},
    {"nothing", {{0, 0, 0}}, NOT_SHOWN, NOT_SHOWN, "its public half is not on the token"},
};

static void
show(const struct shown *beside)
{
    if (beside->class == CKO_PUBLIC_KEY)
        add_public(made[beside->of].modulus, sizeof made[beside->of].modulus);
    if (beside->class != CKO_CERTIFICATE)
        return;
    struct fake_object *object = add_object(CKO_CERTIFICATE);
    put(object, CKA_ID, id, sizeof id);
    put(object, CKA_VALUE, made[beside->of].certificates[beside->which],
        made[beside->of].certificate_lens[beside->which]);
}

static void
the_public_half_is_its_own_or_none(void **state)
{
    const struct half *row = *state;
    struct fake_object *private_object = add_private();
    struct hs_jwk expected = {0};

    if (row->modulus_of != NOT_SHOWN)
        put(private_object, CKA_MODULUS, made[row->modulus_of].modulus, sizeof made[row->modulus_of].modulus);
    if (row->spki_of != NOT_SHOWN)
        put(private_object, CKA_PUBLIC_KEY_INFO, made[row->spki_of].spki, made[row->spki_of].spki_len);
    for (size_t i = 0; i < HS_ARRAY_LEN(row->beside); i++)
        show(&row->beside[i]);

    hsmart_key *key = find_key();
    const hsmart_key_info *info = hsmart_key_get_info(key);
    if (row->problem != NULL) {
        assert_int_equal(info->problem, HSMART_KEY_UNUSABLE);
        says(info->problem_text, row->problem);
        assert_null(info->thumbprint);
    } else {
        assert_int_equal(hs_jwk_from_rsa(HS_SPAN_OF(made[OWN].modulus), HS_SPAN_OF(exponent), &expected, NULL),
                         HSMART_OK);
        assert_null(info->problem_text);
        assert_string_equal(info->thumbprint, expected.thumbprint);
    }
    hs_jwk_clear(&expected);
    hsmart_key_free(key);
}

/* ---- How often a token is searched ---- */

static struct search {
    const char *name;
    bool public_has_other_label, classes_untold;
    CK_RV by_name; /* what the first search is answered */
    unsigned searches;
} searches[] = {
    {"a pair of one name: once", false, false, CKR_OK, 1},
    {"a public half under another label: once more, by its id", true, false, CKR_OK, 2},
    {"a token that does not tell classes: by class", false, true, CKR_OK, 3},
    {"a token that does not search without a class: by class", false, false, CKR_ATTRIBUTE_TYPE_INVALID, 3},
};

static void
a_named_key_is_found_by_few_searches(void **state)
{
    const struct search *row = *state;

    (void)add_private();
    add_public(made[OWN].modulus, sizeof made[OWN].modulus);
    if (row->public_has_other_label)
        attributes[1][1].value = "kez";
    fake->classes_untold = row->classes_untold;
    if (row->by_name != CKR_OK)
        fake_p11_answer(fake, FAKE_FIND_OBJECTS_INIT, row->by_name, 1, 1);
    memset(fake->calls, 0, sizeof fake->calls);
    hsmart_key *key = find_key();
    assert_int_equal(hsmart_key_get_info(key)->problem, HSMART_OK);
    assert_int_equal(fake->calls[FAKE_FIND_OBJECTS_INIT], row->searches);
    hsmart_key_free(key);
}

/* ---- Keys that are limited to some mechanisms ---- */

static struct limit {
    const char *name;
    CK_MECHANISM_TYPE allowed[3];
    size_t allowed_len; /* bytes */
    bool reported;
    const char *default_alg; /* NULL: the key is of no use */
    const char *asked;
    enum hsmart_code code; /* of the signer and of the JWK for the algorithm that was asked for */
} limits[] = {
    {"no list reported", {0}, 0, false, "RS384", "PS384", HSMART_OK},
    {"an empty list", {0}, 0, true, "RS384", "PS384", HSMART_OK},
    {"a list that is no list", {0}, 3, true, "RS384", "PS384", HSMART_OK},
    {"as for RS384, PS384 asked",
     {CKM_SHA384_RSA_PKCS, CKM_RSA_PKCS},
     2 * sizeof(CK_MECHANISM_TYPE),
     true,
     "RS384",
     "PS384",
     HSMART_TOKEN_INCAPABLE},
    {"as for RS384, RS384 asked",
     {CKM_SHA384_RSA_PKCS, CKM_RSA_PKCS},
     2 * sizeof(CK_MECHANISM_TYPE),
     true,
     "RS384",
     "RS384",
     HSMART_OK},
    {"as for RS384, RS256 asked, which raw RSA can do",
     {CKM_SHA384_RSA_PKCS, CKM_RSA_PKCS},
     2 * sizeof(CK_MECHANISM_TYPE),
     true,
     "RS384",
     "RS256",
     HSMART_OK},
    {"one hash only, RS256 asked",
     {CKM_SHA384_RSA_PKCS},
     sizeof(CK_MECHANISM_TYPE),
     true,
     "RS384",
     "RS256",
     HSMART_TOKEN_INCAPABLE},
    {"as for PS256, the default asked",
     {CKM_SHA256_RSA_PKCS_PSS},
     sizeof(CK_MECHANISM_TYPE),
     true,
     "PS256",
     NULL,
     HSMART_OK},
    {"as for PS384, the default asked",
     {CKM_SHA384_RSA_PKCS_PSS, CKM_RSA_PKCS_PSS},
     2 * sizeof(CK_MECHANISM_TYPE),
     true,
     "PS384",
     NULL,
     HSMART_OK},
    {"raw RSA alone, the default asked", {CKM_RSA_PKCS}, sizeof(CK_MECHANISM_TYPE), true, "RS384", NULL, HSMART_OK},
    {"as for PS256, RS384 asked",
     {CKM_SHA256_RSA_PKCS_PSS},
     sizeof(CK_MECHANISM_TYPE),
     true,
     "PS256",
     "RS384",
     HSMART_TOKEN_INCAPABLE},
    {"for other work than ours",
     {CKM_RSA_X_509, CKM_RSA_PKCS_OAEP},
     2 * sizeof(CK_MECHANISM_TYPE),
     true,
     NULL,
     NULL,
     HSMART_KEY_UNUSABLE},
};

static void
a_key_is_used_for_what_it_is_limited_to(void **state)
{
    const struct limit *row = *state;
    struct fake_object *private_object = add_private();
    hsmart_signer *signer = NULL;
    char *jwk = NULL;
    char expected[32];
    hsmart_err err = {0};

    if (row->reported)
        put(private_object, CKA_ALLOWED_MECHANISMS, row->allowed, row->allowed_len);
    add_public(made[OWN].modulus, sizeof made[OWN].modulus);
    hsmart_key *key = find_key();
    const hsmart_key_info *info = hsmart_key_get_info(key);
    if (row->default_alg != NULL)
        assert_string_equal(info->alg, row->default_alg);
    else
        assert_null(info->alg);

    const hsmart_signer_options signer_options = {.alg = row->asked};
    assert_int_equal(hsmart_signer_new(key, &signer_options, &signer, &err), row->code);
    if (row->code == HSMART_TOKEN_INCAPABLE)
        says(err.text, "its CKA_ALLOWED_MECHANISMS does not permit");
    hsmart_signer_free(signer);

    const hsmart_jwk_options jwk_options = {.alg = row->asked};
    assert_int_equal(hsmart_key_jwk(key, &jwk_options, &jwk, &err), row->code);
    if (row->code == HSMART_OK) {
        (void)snprintf(expected, sizeof expected, "\"alg\":\"%s\"", row->asked != NULL ? row->asked : row->default_alg);
        says(jwk, expected);
    }
    hsmart_string_free(jwk);
    hsmart_key_free(key);
}

/* ---- Keys that nobody should rely on ---- */

static struct weakness {
    const char *name, *modulus;
    const char *problem; /* NULL: none */
} weaknesses[] = {
    {"a modulus that can be factored (CVE-2017-15361)", ROCA_2048, "CVE-2017-15361"},
    {"the same with 3072 bits", ROCA_3072, "CVE-2017-15361"},
    {"512 bits", ROCA_512, "512 bits, fewer than the 2048 required"},
    {"one prime of that form only", HALF_ROCA_2048, NULL},
};

static void
a_key_that_gives_itself_away_is_refused(void **state)
{
    const struct weakness *row = *state;
    const hsmart_signer_options options = {.allow_extractable = true}; /* a risk of another kind */
    struct hs_buf modulus = {0};
    hsmart_signer *signer = NULL;
    hsmart_err err = {0};

    assert_int_equal(hs_text_parse_hex(row->modulus, &modulus, NULL), HSMART_OK);
    (void)add_private();
    add_public(modulus.data, modulus.len);
    hsmart_key *key = find_key();
    const hsmart_key_info *info = hsmart_key_get_info(key);
    enum hsmart_code code = hsmart_signer_new(key, &options, &signer, &err);
    if (row->problem != NULL) {
        assert_int_equal(info->problem, HSMART_POLICY_REFUSED);
        says(info->problem_text, row->problem);
        assert_int_equal(code, HSMART_POLICY_REFUSED);
        says(err.text, row->problem);
    } else {
        assert_int_equal(info->problem, HSMART_OK);
        assert_int_equal(code, HSMART_OK);
    }
    hsmart_signer_free(signer);
    hsmart_key_free(key);
    hs_buf_clear(&modulus);
}

/* ---- Words for a signer ---- */

static struct kid {
    const char *name, *kid;
    enum hsmart_code code;
} kids[] = {
    {"none: the thumbprint", NULL, HSMART_OK},
    {"UTF-8", "schl\xc3\xbcssel", HSMART_OK},
    {"empty", "", HSMART_INVALID_ARGUMENT},
    {"not UTF-8", "schl\xfcssel", HSMART_INVALID_ARGUMENT},
};

static void
a_signer_takes_a_kid_that_can_be_written(void **state)
{
    const struct kid *row = *state;
    const hsmart_signer_options options = {.kid = row->kid};
    hsmart_signer *signer = NULL;
    hsmart_err err = {0};

    (void)add_private();
    add_public(made[OWN].modulus, sizeof made[OWN].modulus);
    hsmart_key *key = find_key();
    assert_int_equal(hsmart_signer_new(key, &options, &signer, &err), row->code);
    hsmart_signer_free(signer);
    hsmart_key_free(key);
}

static struct date {
    const char *name, *start;
    const char *told;
} dates[] = {
    {"a day", "20260125", "2026-01-25"},
    {"none", "", NULL},
    {"zeros of another kind", "\0\0\0\0\0\0\0\0", NULL},
    {"with control characters", "2\x1b[31mX2", NULL},
};

static void
a_date_is_told_when_it_is_one(void **state)
{
    const struct date *row = *state;
    struct fake_object *private_object = add_private();

    put(private_object, CKA_START_DATE, row->start, row->start[0] != 0 || row->name[0] == 'z' ? 8 : 0);
    add_public(made[OWN].modulus, sizeof made[OWN].modulus);
    hsmart_key *key = find_key();
    if (row->told != NULL)
        assert_string_equal(hsmart_key_get_info(key)->start_date, row->told);
    else
        assert_null(hsmart_key_get_info(key)->start_date);
    hsmart_key_free(key);
}

/* ---- A caller's mistakes ---- */

static void
options_that_are_missing_are_refused(void **state)
{
    hsmart_token *other = NULL;
    hsmart_token_list *list = NULL;
    hsmart_key *key = NULL;
    hsmart_signer *signer = NULL;
    char *jwt = NULL;
    const hsmart_token_options options = {.module = FAKE_P11_MODULE};

    (void)state;
    (void)add_private();
    add_public(made[OWN].modulus, sizeof made[OWN].modulus);
    assert_int_equal(hsmart_token_open(NULL, &other, NULL), HSMART_INVALID_ARGUMENT);
    assert_int_equal(hsmart_token_list_read(NULL, &list, NULL), HSMART_INVALID_ARGUMENT);
    assert_int_equal(hsmart_token_init(&options, NULL, NULL), HSMART_INVALID_ARGUMENT);
    assert_int_equal(hsmart_token_init(NULL, NULL, NULL), HSMART_INVALID_ARGUMENT);
    assert_int_equal(hsmart_token_unlock_guard(NULL, NULL), HSMART_INVALID_ARGUMENT);
    assert_int_equal(hsmart_key_generate(token, NULL, &key, NULL), HSMART_INVALID_ARGUMENT);
    key = find_key();
    assert_int_equal(hsmart_signer_new(key, NULL, &signer, NULL), HSMART_OK);
    assert_int_equal(hsmart_signer_assertion(signer, NULL, &jwt, NULL), HSMART_INVALID_ARGUMENT);
    hsmart_signer_free(signer);
    hsmart_key_free(key);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, the_public_half_is_its_own_or_none, halves);
    ADD_ROWS(&rows, a_named_key_is_found_by_few_searches, searches);
    ADD_ROWS(&rows, a_key_is_used_for_what_it_is_limited_to, limits);
    ADD_ROWS(&rows, a_key_that_gives_itself_away_is_refused, weaknesses);
    ADD_ROWS(&rows, a_signer_takes_a_kid_that_can_be_written, kids);
    ADD_ROWS(&rows, a_date_is_told_when_it_is_one, dates);
    ADD_TEST(&rows, options_that_are_missing_are_refused);
    for (size_t i = 0; i < rows.count; i++) {
        rows.tests[i].setup_func = fresh_token;
        rows.tests[i].teardown_func = no_token;
    }
    return _cmocka_run_group_tests("token_key", rows.tests, rows.count, make_keys, free_keys);
}
