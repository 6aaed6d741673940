/* One session: finding, reading, signing, against a module that answers what a test tells it to. */
#include <stdio.h>

#include "err.h"
#include "fake/fake_p11.h"
#include "p11_ckr.h"
#include "p11_session.h"
#include "rows.h"

static struct fake_p11 *fake;
static struct hs_p11_session session;

static int
fresh_session(void **state)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};

    (void)state;
    fake = fake_p11_load();
    assert_int_equal(fake->functions->C_Initialize(&args), CKR_OK);
    session = (struct hs_p11_session){.p11 = fake->functions};
    assert_int_equal(fake->functions->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session.handle), CKR_OK);
    memset(fake->calls, 0, sizeof fake->calls);
    return 0;
}

static int
no_session(void **state)
{
    (void)state;
    return fake->functions->C_Finalize(NULL) == CKR_OK ? 0 : -1;
}

/* ---- Finding ---- */

static struct search {
    const char *name;
    unsigned count;
} searches[] = {
    {"nothing", 0}, {"one", 1}, {"exactly one step", 64}, {"one more than a step", 65}, {"many", 10000},
};

static void
every_object_is_found_once(void **state)
{
    const struct search *row = *state;
    struct hs_p11_object *objects = NULL;
    size_t count = 99;

    fake->object_count = row->count;
    assert_int_equal(hs_p11_session_find(&session, CKO_PRIVATE_KEY, NULL, 0, &objects, &count, NULL), HSMART_OK);
    assert_int_equal(count, row->count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(objects[i].handle, i + 1);
        assert_int_equal(objects[i].class, CKO_PRIVATE_KEY);
    }
    assert_int_equal(fake->calls[FAKE_FIND_OBJECTS_FINAL], 1);
    assert_false(session.doubtful);
    hs_free(objects);
}

static void
a_token_that_finds_without_end_is_stopped(void **state)
{
    struct hs_p11_object *objects = NULL;
    size_t count = 99;
    hsmart_err err = {0};

    (void)state;
    fake->object_count = ~0U;
    assert_int_equal(hs_p11_session_find(&session, CKO_DATA, NULL, 0, &objects, &count, &err), HSMART_TOKEN_FAILED);
    assert_null(objects);
    assert_int_equal(count, 99);
    assert_int_equal(fake->calls[FAKE_FIND_OBJECTS_FINAL], 1);
}

static struct failing_search {
    const char *name;
    enum fake_function function;
    CK_RV rv;
    enum hsmart_code code;
} failing_searches[] = {
    {"the search does not begin: session lost", FAKE_FIND_OBJECTS_INIT, CKR_SESSION_HANDLE_INVALID,
     HSMART_SESSION_LOST},
    {"the search does not begin: device error", FAKE_FIND_OBJECTS_INIT, CKR_DEVICE_ERROR, HSMART_TOKEN_FAILED},
    {"the search breaks off: token gone", FAKE_FIND_OBJECTS, CKR_DEVICE_REMOVED, HSMART_TOKEN_ABSENT},
    {"the search breaks off: an answer that means success elsewhere", FAKE_FIND_OBJECTS, CKR_USER_ALREADY_LOGGED_IN,
     HSMART_TOKEN_FAILED},
    {"the search breaks off: a vendor's code", FAKE_FIND_OBJECTS, 0x80000001UL, HSMART_TOKEN_FAILED},
};

static void
a_failing_search_makes_the_session_doubtful(void **state)
{
    const struct failing_search *row = *state;
    struct hs_p11_object *objects = NULL;
    size_t count = 99;
    hsmart_err err = {0};

    fake->object_count = 3;
    fake_p11_answer(fake, row->function, row->rv, 0, 0);
    assert_int_equal(hs_p11_session_find(&session, CKO_PRIVATE_KEY, NULL, 0, &objects, &count, &err), row->code);
    assert_null(objects);
    assert_int_equal(count, 99);
    assert_true(session.doubtful);
    assert_int_equal(session.last_rv, row->rv);
    assert_non_null(strstr(err.text, "the token answered"));
}

static void
a_search_that_does_not_end_well_keeps_what_was_found(void **state)
{
    struct hs_p11_object *objects = NULL;
    size_t count = 0;

    (void)state;
    fake->object_count = 3;
    fake_p11_answer(fake, FAKE_FIND_OBJECTS_FINAL, CKR_OPERATION_NOT_INITIALIZED, 0, 0);
    assert_int_equal(hs_p11_session_find(&session, CKO_PRIVATE_KEY, NULL, 0, &objects, &count, NULL), HSMART_OK);
    assert_int_equal(count, 3);
    assert_true(session.doubtful);
    hs_free(objects);
}

/* ---- Reading ---- */

static const CK_BBOOL yes = CK_TRUE;
static const CK_KEY_TYPE rsa = CKK_RSA;
static uint8_t long_value[HS_P11_ATTRIBUTE_MAX + 1];

static struct reading {
    const char *name;
    struct fake_attribute given;
    bool reported;
    size_t len;
    CK_RV rv;
} readings[] = {
    {"a boolean", {CKA_SIGN, &yes, 1, CKR_OK}, true, 1, CKR_OK},
    {"the empty value", {CKA_SIGN, "", 0, CKR_OK}, true, 0, CKR_OK},
    {"a value of the guessed length", {CKA_SIGN, long_value, 1024, CKR_OK}, true, 1024, CKR_OK},
    {"a value longer than guessed", {CKA_SIGN, long_value, 5000, CKR_OK}, true, 5000, CKR_OK},
    {"the longest value", {CKA_SIGN, long_value, HS_P11_ATTRIBUTE_MAX, CKR_OK}, true, HS_P11_ATTRIBUTE_MAX, CKR_OK},
    {"a value that is too long",
     {CKA_SIGN, long_value, HS_P11_ATTRIBUTE_MAX + 1, CKR_OK},
     false,
     0,
     CKR_ATTRIBUTE_TYPE_INVALID},
    {"an unknown attribute", {CKA_SIGN, NULL, 0, CKR_ATTRIBUTE_TYPE_INVALID}, false, 0, CKR_ATTRIBUTE_TYPE_INVALID},
    {"a sensitive one", {CKA_SIGN, NULL, 0, CKR_ATTRIBUTE_SENSITIVE}, false, 0, 0},
    {"a device error for this one alone, as p11-kit answers",
     {CKA_SIGN, NULL, 0, CKR_DEVICE_ERROR},
     false,
     0,
     CKR_DEVICE_ERROR},
    {"a general error for this one alone", {CKA_SIGN, NULL, 0, CKR_GENERAL_ERROR}, false, 0, CKR_GENERAL_ERROR},
    {"a length that is not available",
     {CKA_SIGN, NULL, CK_UNAVAILABLE_INFORMATION, CKR_OK},
     false,
     0,
     CKR_ATTRIBUTE_TYPE_INVALID},
};

static void
one_attribute_is_read_and_the_others_do_not_suffer(void **state)
{
    const struct reading *row = *state;
    const struct fake_attribute given[] = {
        {CKA_LABEL, "ehr", 3, CKR_OK}, row->given, {CKA_KEY_TYPE, &rsa, sizeof rsa, CKR_OK}};
    struct hs_p11_attribute read[] = {{.type = CKA_LABEL}, {.type = CKA_SIGN}, {.type = CKA_KEY_TYPE}};
    struct hs_p11_object object = {1, CKO_PRIVATE_KEY};
    CK_ULONG type = 99;
    hsmart_err err = {0};

    fake->attributes = given;
    fake->attribute_count = 3;
    assert_int_equal(hs_p11_session_read(&session, object, read, 3, &err), HSMART_OK);
    assert_true(read[0].reported && hs_span_equal_str(hs_span_buf(&read[0].value), "ehr"));
    assert_true(hs_p11_attribute_get_ulong(&read[2], &type));
    assert_int_equal(type, CKK_RSA);
    assert_int_equal(read[1].reported, row->reported);
    assert_int_equal(read[1].value.len, row->len);
    if (row->rv != 0)
        assert_int_equal(read[1].rv, row->rv);
    assert_false(session.doubtful);
    hs_p11_attributes_clear(read, 3);
}

static void
known_attributes_take_one_call(void **state)
{
    const struct fake_attribute given[] = {{CKA_LABEL, "ehr", 3, CKR_OK}, {CKA_SIGN, &yes, 1, CKR_OK}};
    struct hs_p11_attribute read[] = {{.type = CKA_LABEL}, {.type = CKA_SIGN}};
    bool value = false;

    (void)state;
    fake->attributes = given;
    fake->attribute_count = 2;
    assert_int_equal(hs_p11_session_read(&session, (struct hs_p11_object){1, CKO_PRIVATE_KEY}, read, 2, NULL),
                     HSMART_OK);
    assert_int_equal(fake->calls[FAKE_GET_ATTRIBUTE_VALUE], 1);
    assert_true(hs_p11_attribute_get_bool(&read[1], &value) && value);
    assert_false(hs_p11_attribute_get_bool(&read[0], &value));
    hs_p11_attributes_clear(read, 2);
}

static void
reading_again_replaces_what_was_read(void **state)
{
    struct fake_attribute given[] = {{CKA_LABEL, "ehr", 3, CKR_OK}};
    struct hs_p11_attribute read[] = {{.type = CKA_LABEL}};
    struct hs_p11_object object = {1, CKO_PRIVATE_KEY};

    (void)state;
    fake->attributes = given;
    fake->attribute_count = 1;
    assert_int_equal(hs_p11_session_read(&session, object, read, 1, NULL), HSMART_OK);
    assert_int_equal(hs_p11_session_read(&session, object, read, 1, NULL), HSMART_OK);
    assert_true(hs_span_equal_str(hs_span_buf(&read[0].value), "ehr"));
    given[0].rv = CKR_ATTRIBUTE_TYPE_INVALID;
    assert_int_equal(hs_p11_session_read(&session, object, read, 1, NULL), HSMART_OK);
    assert_false(read[0].reported);
    assert_int_equal(read[0].value.len, 0);
    hs_p11_attributes_clear(read, 1);
}

static void
a_refusal_of_a_dead_session_is_an_error(void **state)
{
    struct hs_p11_attribute read[] = {{.type = CKA_LABEL}};
    hsmart_err err = {0};

    (void)state;
    fake_p11_answer(fake, FAKE_GET_ATTRIBUTE_VALUE, CKR_DEVICE_ERROR, 0, 0);
    fake_p11_answer(fake, FAKE_GET_SESSION_INFO, CKR_SESSION_HANDLE_INVALID, 0, 0);
    assert_int_equal(hs_p11_session_read(&session, (struct hs_p11_object){1, CKO_PRIVATE_KEY}, read, 1, &err),
                     HSMART_TOKEN_FAILED);
    assert_true(session.doubtful);
    assert_non_null(strstr(err.text, "CKR_DEVICE_ERROR"));
    hs_p11_attributes_clear(read, 1);
}

static struct secret {
    const char *name;
    CK_ATTRIBUTE_TYPE type;
    CK_OBJECT_CLASS class;
    bool refused;
} secrets[] = {
    {"the private exponent", CKA_PRIVATE_EXPONENT, CKO_PRIVATE_KEY, true},
    {"the first prime", CKA_PRIME_1, CKO_PRIVATE_KEY, true},
    {"the second prime", CKA_PRIME_2, CKO_PRIVATE_KEY, true},
    {"the first exponent", CKA_EXPONENT_1, CKO_PRIVATE_KEY, true},
    {"the second exponent", CKA_EXPONENT_2, CKO_PRIVATE_KEY, true},
    {"the coefficient", CKA_COEFFICIENT, CKO_PRIVATE_KEY, true},
    {"the scalar of an EC key", CKA_VALUE, CKO_PRIVATE_KEY, true},
    {"the bytes of a secret key", CKA_VALUE, CKO_SECRET_KEY, true},
    {"what a data object holds", CKA_VALUE, CKO_DATA, true},
    {"the private exponent, called a public key's", CKA_PRIVATE_EXPONENT, CKO_PUBLIC_KEY, true},
    {"a certificate", CKA_VALUE, CKO_CERTIFICATE, false},
    {"the modulus", CKA_MODULUS, CKO_PRIVATE_KEY, false},
};

static void
private_values_are_not_even_asked_for(void **state)
{
    const struct secret *row = *state;
    struct hs_p11_attribute read[] = {{.type = CKA_LABEL}, {.type = row->type}};
    struct hs_p11_object object = {1, row->class};
    hsmart_err err = {0};

    assert_int_equal(hs_p11_session_read(&session, object, read, 2, &err), row->refused ? HSMART_INTERNAL : HSMART_OK);
    assert_int_equal(fake->calls[FAKE_GET_ATTRIBUTE_VALUE] == 0, row->refused);
    hs_p11_attributes_clear(read, 2);
}

/* ---- Signing and generating ---- */

static struct signing {
    const char *name;
    CK_RV on_init, on_sign;
    CK_ULONG len;
    enum hsmart_code code;
    const char *says;
} signings[] = {
    {"a signature", CKR_OK, CKR_OK, 96, HSMART_OK, NULL},
    {"the longest signature", CKR_OK, CKR_OK, 2048, HSMART_OK, NULL},
    {"a signature without a byte", CKR_OK, CKR_OK, 0, HSMART_OK, NULL},
    {"session lost before signing", CKR_SESSION_HANDLE_INVALID, CKR_OK, 96, HSMART_SESSION_LOST, "session lost"},
    {"login lost before signing", CKR_USER_NOT_LOGGED_IN, CKR_OK, 96, HSMART_SESSION_LOST, "not logged in"},
    {"mechanism refused", CKR_MECHANISM_INVALID, CKR_OK, 96, HSMART_TOKEN_INCAPABLE, "CKR_MECHANISM_INVALID"},
    {"old operation active", CKR_OPERATION_ACTIVE, CKR_OK, 96, HSMART_SESSION_LOST, "another operation"},
    {"token pulled while signing", CKR_OK, CKR_DEVICE_REMOVED, 96, HSMART_TOKEN_ABSENT, "token unplugged"},
    {"key handle gone", CKR_OK, CKR_KEY_HANDLE_INVALID, 96, HSMART_SESSION_LOST, "stale"},
    {"a vendor's code while signing", CKR_OK, 0x80000042UL, 96, HSMART_TOKEN_FAILED, "0x80000042"},
    {"success where none is", CKR_OK, CKR_USER_ALREADY_LOGGED_IN, 96, HSMART_TOKEN_FAILED, "logged in already"},
    {"a signature longer than any", CKR_OK, CKR_OK, 5000, HSMART_TOKEN_FAILED, "CKR_BUFFER_TOO_SMALL"},
};

/* Both halves of a signature. */
static enum hsmart_code
sign(const CK_MECHANISM *mechanism, struct hs_buf *out_signature, hsmart_err *err)
{
    enum hsmart_code code = hs_p11_session_sign_begin(&session, mechanism, 1, err);

    return code == HSMART_OK ? hs_p11_session_sign_end(&session, span("digest"), out_signature, err) : code;
}

static void
a_refused_sign_says_why_and_leaves_out_untouched(void **state)
{
    const struct signing *row = *state;
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    struct hs_buf signature = {0};
    hsmart_err err = {0};

    fake->signature_len = row->len;
    fake_p11_answer(fake, FAKE_SIGN_INIT, row->on_init, 0, 0);
    fake_p11_answer(fake, FAKE_SIGN, row->on_sign, 0, 0);
    assert_int_equal(sign(&mechanism, &signature, &err), row->code);
    assert_int_equal(session.doubtful, row->code != HSMART_OK);
    assert_int_equal(signature.len, row->code == HSMART_OK ? row->len : 0);
    if (row->says != NULL && strstr(err.text, row->says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, row->says);
    assert_int_equal(fake->calls[FAKE_SIGN], row->on_init == CKR_OK ? 1 : 0); /* no call to ask the length */
    hs_buf_clear(&signature);
}

static void
a_signature_replaces_what_was_in_the_buffer(void **state)
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    struct hs_buf signature = {0};

    (void)state;
    assert_int_equal(hs_buf_append_str(&signature, "old", NULL), HSMART_OK);
    assert_int_equal(sign(&mechanism, &signature, NULL), HSMART_OK);
    assert_int_equal(signature.len, 96);
    assert_int_equal(signature.data[0], 0x5a);
    hs_buf_clear(&signature);
}

static void
a_key_pair_that_is_not_made_leaves_the_handles_alone(void **state)
{
    CK_OBJECT_HANDLE public_key = 1, private_key = 2;
    hsmart_err err = {0};

    (void)state;
    fake_p11_answer(fake, FAKE_GENERATE_KEY_PAIR, CKR_DEVICE_MEMORY, 1, 1);
    assert_int_equal(
        hs_p11_session_generate(&session, CKM_EC_KEY_PAIR_GEN, NULL, 0, NULL, 0, &public_key, &private_key, &err),
        HSMART_TOKEN_FAILED);
    assert_int_equal(public_key, 1);
    assert_int_equal(private_key, 2);
    assert_true(session.doubtful);
    assert_int_equal(
        hs_p11_session_generate(&session, CKM_EC_KEY_PAIR_GEN, NULL, 0, NULL, 0, &public_key, &private_key, &err),
        HSMART_OK);
    assert_int_equal(public_key, 11);
    assert_int_equal(private_key, 12);
}

/* ---- What a module has not, and what is asked wrongly ---- */

static const CK_ATTRIBUTE nine[9] = {{CKA_TOKEN, (void *)(uintptr_t)&yes, sizeof yes}};

static enum hsmart_code
call_destroy(hsmart_err *err)
{
    return hs_p11_session_destroy(&session, (struct hs_p11_object){1, CKO_PRIVATE_KEY}, err);
}

static enum hsmart_code
call_set_date(hsmart_err *err)
{
    return hs_p11_session_set_date(&session, 1, CKA_END_DATE, span("20301231"), err);
}

static enum hsmart_code
call_create(hsmart_err *err)
{
    return hs_p11_session_create_certificate(&session, nine, 1, err);
}

static enum hsmart_code
call_generate(hsmart_err *err)
{
    CK_OBJECT_HANDLE public_key, private_key;

    return hs_p11_session_generate(&session, CKM_EC_KEY_PAIR_GEN, nine, 1, nine, 1, &public_key, &private_key, err);
}

static enum hsmart_code
set_another_attribute(hsmart_err *err)
{
    return hs_p11_session_set_date(&session, 1, CKA_EXTRACTABLE, (struct hs_span){&yes, sizeof yes}, err);
}

static enum hsmart_code
search_by_nine(hsmart_err *err)
{
    struct hs_p11_object *objects = NULL;
    size_t count = 0;

    return hs_p11_session_find(&session, CKO_DATA, nine, HS_ARRAY_LEN(nine), &objects, &count, err);
}

static enum hsmart_code
create_with_nine(hsmart_err *err)
{
    return hs_p11_session_create_certificate(&session, nine, HS_ARRAY_LEN(nine), err);
}

static enum hsmart_code
read_49(hsmart_err *err)
{
    struct hs_p11_attribute attributes[49] = {{.type = CKA_LABEL}};

    return hs_p11_session_read(&session, (struct hs_p11_object){1, CKO_DATA}, attributes, 49, err);
}

#define FUNCTION(name) offsetof(CK_FUNCTION_LIST, name)
static struct refused_call {
    const char *name;
    enum hsmart_code (*run)(hsmart_err *err);
    size_t missing; /* the function's place in the list; 0: none is */
    enum hsmart_code code;
} refused_calls[] = {
    {"destroying, by a module that cannot", call_destroy, FUNCTION(C_DestroyObject), HSMART_TOKEN_INCAPABLE},
    {"a date, by a module that cannot", call_set_date, FUNCTION(C_SetAttributeValue), HSMART_TOKEN_INCAPABLE},
    {"a certificate, by a module that cannot", call_create, FUNCTION(C_CreateObject), HSMART_TOKEN_INCAPABLE},
    {"a key pair, by a module that cannot", call_generate, FUNCTION(C_GenerateKeyPair), HSMART_TOKEN_INCAPABLE},
    {"an attribute that is no date", set_another_attribute, 0, HSMART_INTERNAL},
    {"a search by too much", search_by_nine, 0, HSMART_INTERNAL},
    {"a certificate with too much", create_with_nine, 0, HSMART_INTERNAL},
    {"too much read at once", read_49, 0, HSMART_INTERNAL},
};

static void
what_cannot_be_is_refused_before_the_module_is_called(void **state)
{
    const struct refused_call *row = *state;
    CK_FUNCTION_LIST functions = *fake->functions;
    hsmart_err err = {0};

    if (row->missing != 0)
        memset((char *)&functions + row->missing, 0, sizeof functions.C_Sign);
    session.p11 = &functions;
    enum hsmart_code code = row->run(&err);
    session.p11 = fake->functions;
    assert_int_equal(code, row->code);
    assert_true(err.text[0] != 0);
    for (size_t i = 0; i < FAKE_FUNCTION_COUNT; i++)
        assert_int_equal(fake->calls[i], 0);
}

static CK_RV
refuse_destroy(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object)
{
    (void)handle;
    (void)object;
    return CKR_ACTION_PROHIBITED;
}

static CK_RV
refuse_set(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes, CK_ULONG count)
{
    (void)attributes;
    (void)count;
    return refuse_destroy(handle, object);
}

static CK_RV
refuse_create(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *object)
{
    return refuse_set(handle, *object, attributes, count);
}

static void
a_change_that_the_token_refuses_is_told(void **state)
{
    enum hsmart_code (*const changes[])(hsmart_err * err) = {call_destroy, call_set_date, call_create};
    CK_FUNCTION_LIST functions = *fake->functions;

    (void)state;
    functions.C_DestroyObject = refuse_destroy;
    functions.C_SetAttributeValue = refuse_set;
    functions.C_CreateObject = refuse_create;
    session.p11 = &functions;
    for (size_t i = 0; i < HS_ARRAY_LEN(changes); i++) {
        hsmart_err err = {0};
        session.doubtful = false;
        assert_int_equal(changes[i](&err), HSMART_TOKEN_FAILED);
        assert_non_null(strstr(err.text, "CKR_ACTION_PROHIBITED"));
        assert_true(session.doubtful);
    }
    session.p11 = fake->functions;
}

/* ---- EC points ---- */

static struct point {
    const char *name;
    size_t field_len;
    const char *header; /* in hex digits; the point is 04 and zeros */
    size_t zeros;
    bool is_point;
} points[] = {
    {"P-384 bare", 48, "04", 96, true},
    {"P-384 in an OCTET STRING", 48, "046104", 96, true},
    {"P-256 bare", 32, "04", 64, true},
    {"P-256 in an OCTET STRING", 32, "044104", 64, true},
    {"P-521 bare", 66, "04", 132, true},
    {"P-521 in an OCTET STRING", 66, "04818504", 132, true},
    {"one byte short", 48, "04", 95, false},
    {"one byte long", 48, "04", 97, false},
    {"one byte behind the OCTET STRING", 48, "046104", 97, false},
    {"a compressed point", 48, "02", 48, false},
    {"a compressed point in an OCTET STRING", 48, "043102", 48, false},
    {"another length in the header", 48, "046004", 96, false},
    {"another tag", 48, "036104", 96, false},
    {"the point of another curve", 48, "04", 64, false},
    {"P-521 with a short length form", 66, "048504", 132, false},
    {"nothing", 48, "", 0, false},
};

static void
the_exact_length_decides_what_a_point_is(void **state)
{
    const struct point *row = *state;
    uint8_t value[256] = {0};
    size_t header_len = strlen(row->header) / 2;

    for (size_t i = 0; i < header_len; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf(row->header + 2 * i, "%2x", &byte), 1);
        value[i] = (uint8_t)byte;
    }
    struct hs_span point = hs_p11_ec_point((struct hs_span){value, header_len + row->zeros}, row->field_len);
    assert_int_equal(point.len, row->is_point ? 1 + 2 * row->field_len : 0);
    if (row->is_point)
        assert_ptr_equal(point.data, value + header_len - 1);
}

int
main(void)
{
    struct rows rows = {0};

    ADD_ROWS(&rows, every_object_is_found_once, searches);
    ADD_TEST(&rows, a_token_that_finds_without_end_is_stopped);
    ADD_ROWS(&rows, a_failing_search_makes_the_session_doubtful, failing_searches);
    ADD_TEST(&rows, a_search_that_does_not_end_well_keeps_what_was_found);
    ADD_ROWS(&rows, one_attribute_is_read_and_the_others_do_not_suffer, readings);
    ADD_TEST(&rows, known_attributes_take_one_call);
    ADD_TEST(&rows, reading_again_replaces_what_was_read);
    ADD_TEST(&rows, a_refusal_of_a_dead_session_is_an_error);
    ADD_ROWS(&rows, private_values_are_not_even_asked_for, secrets);
    ADD_ROWS(&rows, a_refused_sign_says_why_and_leaves_out_untouched, signings);
    ADD_TEST(&rows, a_signature_replaces_what_was_in_the_buffer);
    ADD_TEST(&rows, a_key_pair_that_is_not_made_leaves_the_handles_alone);
    ADD_ROWS(&rows, what_cannot_be_is_refused_before_the_module_is_called, refused_calls);
    ADD_TEST(&rows, a_change_that_the_token_refuses_is_told);
    ADD_ROWS(&rows, the_exact_length_decides_what_a_point_is, points);
    for (size_t i = 0; i < rows.count; i++) {
        rows.tests[i].setup_func = fresh_session;
        rows.tests[i].teardown_func = no_session;
    }
    return rows_run("p11_session", &rows);
}
