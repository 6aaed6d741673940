/* Published keys, imported into a SoftHSM2 token: what is published was signed with them, and so is what hsmart makes.
 * The import is this test's own; hsmart has no code that handles a private value. */
#include "rows.h"

#include <dlfcn.h>
#include <p11-kit/pkcs11.h>

#include <hsmart/hsmart.h>

#include "base64url.h"
#include "jws.h"
#include "softhsm.h"
#include "vectors.h"

#define LEADING_ZERO_TRIES 10000 /* one in 256 has one: none in so many is a failure (a chance of 10^-17) */
#define NUMBERS_MAX 8U

static struct hs_test_token soft;
static hsmart_token *token;

static int
fresh_token(void **state)
{
    hsmart_err err = {0};

    (void)state;
    hs_test_token_make(&soft, "published");
    hsmart_token_options options = hs_test_token_options(&soft);
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
    hs_test_token_remove(&soft);
    return 0;
}

/* ---- Importing ---- */

static const struct number {
    CK_ATTRIBUTE_TYPE type;
    const char *member;
} rsa_private[] = {{CKA_MODULUS, "n"},     {CKA_PUBLIC_EXPONENT, "e"}, {CKA_PRIVATE_EXPONENT, "d"},
                   {CKA_PRIME_1, "p"},     {CKA_PRIME_2, "q"},         {CKA_EXPONENT_1, "dp"},
                   {CKA_EXPONENT_2, "dq"}, {CKA_COEFFICIENT, "qi"}},
  rsa_public[] = {{CKA_MODULUS, "n"}, {CKA_PUBLIC_EXPONENT, "e"}}, ec_private[] = {{CKA_VALUE, "d"}};

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

struct object {
    CK_ATTRIBUTE attributes[24];
    CK_ULONG count;
    struct hs_buf numbers[NUMBERS_MAX];
    size_t number_count;
};

static void
put(struct object *object, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    object->attributes[object->count++] = (CK_ATTRIBUTE){type, (void *)(uintptr_t)value, len};
}

static struct hs_buf *
put_buf(struct object *object, CK_ATTRIBUTE_TYPE type)
{
    struct hs_buf *value = &object->numbers[object->number_count++];

    object->attributes[object->count].type = type;
    object->count++;
    return value;
}

static void
put_numbers(struct object *object, const hs_json_value *jwk, const struct number *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct hs_buf *value = put_buf(object, numbers[i].type);
        assert_int_equal(hs_base64url_decode(span(vector_text(jwk, numbers[i].member)), value, NULL), HSMART_OK);
        object->attributes[object->count - 1].pValue = value->data;
        object->attributes[object->count - 1].ulValueLen = value->len;
    }
}

/* The point as a DER OCTET STRING: 04 61 04 X Y for P-384. */
static void
put_point(struct object *object, const hs_json_value *jwk)
{
    struct hs_buf *value = put_buf(object, CKA_EC_POINT), x = {0}, y = {0};

    assert_int_equal(hs_base64url_decode(span(vector_text(jwk, "x")), &x, NULL), HSMART_OK);
    assert_int_equal(hs_base64url_decode(span(vector_text(jwk, "y")), &y, NULL), HSMART_OK);
    const uint8_t header[] = {0x04, (uint8_t)(1 + x.len + y.len), 0x04};
    assert_int_equal(hs_buf_append(value, HS_SPAN_OF(header), NULL), HSMART_OK);
    assert_int_equal(hs_buf_append(value, hs_span_buf(&x), NULL), HSMART_OK);
    assert_int_equal(hs_buf_append(value, hs_span_buf(&y), NULL), HSMART_OK);
    object->attributes[object->count - 1].pValue = value->data;
    object->attributes[object->count - 1].ulValueLen = value->len;
    hs_buf_clear(&x);
    hs_buf_clear(&y);
}

static void
create(CK_FUNCTION_LIST *p11, CK_SESSION_HANDLE session, struct object *object)
{
    CK_OBJECT_HANDLE made;

    assert_int_equal(p11->C_CreateObject(session, object->attributes, object->count, &made), CKR_OK);
    for (size_t i = 0; i < object->number_count; i++)
        hs_buf_clear(&object->numbers[i]);
}

static void
import_key(const hs_json_value *jwk)
{
    CK_C_GetFunctionList get_function_list = NULL;
    CK_FUNCTION_LIST *p11 = NULL;
    CK_SESSION_HANDLE session = 0;
    CK_OBJECT_CLASS private_class = CKO_PRIVATE_KEY, public_class = CKO_PUBLIC_KEY;
    bool is_rsa = strcmp(vector_text(jwk, "kty"), "RSA") == 0;
    CK_KEY_TYPE type = is_rsa ? CKK_RSA : CKK_EC;
    struct object private_object = {0}, public_object = {0};
    struct object *const both[] = {&private_object, &public_object};
    void *module = dlopen(soft.module, RTLD_NOW | RTLD_NOLOAD); /* which hsmart has loaded and initialised */

    assert_non_null(module);
    *(void **)&get_function_list = dlsym(module, "C_GetFunctionList");
    assert_int_equal(get_function_list(&p11), CKR_OK);
    assert_int_equal(p11->C_OpenSession(hsmart_token_get_info(token)->slot_id, CKF_SERIAL_SESSION | CKF_RW_SESSION,
                                        NULL, NULL, &session),
                     CKR_OK);
    for (size_t i = 0; i < HS_ARRAY_LEN(both); i++) {
        put(both[i], CKA_CLASS, i == 0 ? &private_class : &public_class, sizeof private_class);
        put(both[i], CKA_KEY_TYPE, &type, sizeof type);
        put(both[i], CKA_TOKEN, &yes, sizeof yes);
        put(both[i], CKA_LABEL, "key", 3);
        put(both[i], CKA_ID, "\x01", 1);
        if (!is_rsa)
            put(both[i], CKA_EC_PARAMS, "\x06\x05\x2b\x81\x04\x00\x22", 7); /* P-384 */
    }
    put(&private_object, CKA_SIGN, &yes, sizeof yes);
    put(&private_object, CKA_SENSITIVE, &yes, sizeof yes);
    put(&private_object, CKA_EXTRACTABLE, &no, sizeof no);
    put_numbers(&private_object, jwk, is_rsa ? rsa_private : ec_private,
                is_rsa ? HS_ARRAY_LEN(rsa_private) : HS_ARRAY_LEN(ec_private));
    if (is_rsa)
        put_numbers(&public_object, jwk, rsa_public, HS_ARRAY_LEN(rsa_public));
    else
        put_point(&public_object, jwk);
    create(p11, session, &private_object);
    create(p11, session, &public_object);
    assert_int_equal(p11->C_CloseSession(session), CKR_OK);
    (void)dlclose(module);
}

/* A signer on the imported key, behind the seam. */
static struct hs_signer *
make_signer(hsmart_signer **out_signer)
{
    hsmart_key *key = NULL;
    hsmart_err err = {0};

    if (hsmart_key_find(token, "pkcs11:object=key", &key, &err) != HSMART_OK ||
        hsmart_signer_new(key, NULL, out_signer, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    hsmart_key_free(key);
    return (struct hs_signer *)*out_signer;
}

static void
trim_line_end(struct hs_buf *text)
{
    while (text->len > 0 && text->data[text->len - 1] <= ' ')
        (void)!hs_buf_resize(text, text->len - 1, NULL);
}

/* ---- The examples of SMART App Launch ---- */

static struct example {
    const char *name, *keys, *jwt;
    bool deterministic;
} examples[] = {
    {"RS384, byte for byte", "smart/RS384.private.jwks.json", "smart/RS384.jwt", true},
    {"ES384, which is another one each time", "smart/ES384.private.jwks.json", "smart/ES384.jwt", false},
};

static const hs_json_value *
private_key_of(const struct hs_json_doc *doc)
{
    const hs_json_value *keys = hs_json_member(doc->root, "keys");

    for (size_t i = 0; i < hs_json_length(keys); i++)
        if (hs_json_member(hs_json_element(keys, i), "d") != NULL)
            return hs_json_element(keys, i);
    fail_msg("no private key among the vectors");
    return NULL;
}

static void
the_example_of_smart_is_made_on_a_token(void **state)
{
    const struct example *row = *state;
    struct hs_json_doc doc = {0};
    struct hs_buf text = {0}, again = {0};
    struct hs_jws jws = {0}, own = {0};
    hsmart_signer *signer = NULL;
    hsmart_err err = {0};

    vectors_load(row->keys, &doc);
    vectors_load_text(row->jwt, &text);
    trim_line_end(&text);
    import_key(private_key_of(&doc));
    struct hs_signer *seam = make_signer(&signer);

    assert_int_equal(hs_jws_split(hs_span_buf(&text), &jws, NULL), HSMART_OK);
    assert_int_equal(hs_jwk_verify(seam->jwk, seam->alg, jws.signing_input, hs_span_buf(&jws.signature), NULL),
                     HSMART_OK);
    if (hs_jws_sign(seam, hs_span_buf(&jws.header_text), hs_span_buf(&jws.payload_text), &again, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    if (row->deterministic) {
        assert_string_equal(hs_buf_text(&again), hs_buf_text(&text));
    } else {
        assert_int_equal(hs_jws_split(hs_span_buf(&again), &own, NULL), HSMART_OK);
        assert_true(hs_span_equal(own.signing_input, jws.signing_input));
        assert_int_equal(hs_jwk_verify(seam->jwk, seam->alg, jws.signing_input, hs_span_buf(&own.signature), NULL),
                         HSMART_OK);
    }
    hsmart_signer_free(signer);
    hs_jws_clear(&own);
    hs_jws_clear(&jws);
    hs_buf_clear(&again);
    hs_buf_clear(&text);
    hs_json_doc_clear(&doc);
}

/* ---- Leading zeros ---- */

static void
es384_on_a_token_keeps_a_leading_zero_in_r_and_in_s(void **state)
{
    const hsmart_key_spec spec = {.alg = "ES384", .label = "key"};
    hsmart_key *key = NULL;
    hsmart_signer *signer = NULL;
    hsmart_err err = {0};
    bool seen_r = false, seen_s = false;

    (void)state;
    if (hsmart_key_generate(token, &spec, &key, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    hsmart_key_free(key);
    struct hs_signer *seam = make_signer(&signer);
    for (int i = 0; i < LEADING_ZERO_TRIES && !(seen_r && seen_s); i++) {
        struct hs_buf signature = {0};
        if (seam->ops->sign(seam, span("looking for zeros"), &signature, &err) != HSMART_OK)
            fail_msg("%s", err.text);
        assert_int_equal(signature.len, 96);
        seen_r = seen_r || signature.data[0] == 0;
        seen_s = seen_s || signature.data[48] == 0;
        hs_buf_clear(&signature);
    }
    assert_true(seen_r && seen_s);
    hsmart_signer_free(signer);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, the_example_of_smart_is_made_on_a_token, examples);
    ADD_TEST(&rows, es384_on_a_token_keeps_a_leading_zero_in_r_and_in_s);
    for (size_t i = 0; i < rows.count; i++) {
        rows.tests[i].setup_func = fresh_token;
        rows.tests[i].teardown_func = no_token;
    }
    return rows_run("published", &rows);
}
