/* Certificates through libp11, where libp11 or the token misbehaves: what happens there ends there. */
#include "fault_fixture.h"
#include "p11_guard.h"

#define SUBJECT "CN=app.example,O=Clinic,C=DE"

static int
make_closed(void **state)
{
    int failed = make_ec(state);

    fault_token_close(&fault);
    return failed;
}

static int
remove_sound(void **state)
{
    fault_none();
    return remove_token(state);
}

static enum hsmart_code
make(bool self_signed, unsigned timeout_ms, hsmart_err *err)
{
    const hsmart_certificate_options options = {
        .self_signed = self_signed, .subject = SUBJECT, .timeout_ms = timeout_ms};
    char *pem = NULL;
    enum hsmart_code code = hsmart_certificate_make(&fault.options, fault.key_uri, NULL, &options, &pem, err);

    if (code == HSMART_OK)
        assert_non_null(
            strstr(pem, self_signed ? "-----BEGIN CERTIFICATE-----" : "-----BEGIN CERTIFICATE REQUEST-----"));
    else
        assert_null(pem);
    hsmart_string_free(pem);
    return code;
}

static struct trouble {
    const char *name, *rules;
    enum hsmart_code code;
    const char *words;
    bool guard_closed; /* afterwards */
} troubles[] = {
    {"nothing", "C_Sign 99999 rv=0x30", HSMART_OK, NULL, false},
    {"libp11 waits for ever for a session", "C_OpenSession * child rv=0x30", HSMART_TOKEN_UNAVAILABLE,
     "did not come back", false},
    {"the module crashes when libp11 logs in", "C_Login 1 child crash", HSMART_TOKEN_FAILED, "crashed", true},
    {"the module crashes when libp11 signs", "C_Sign 1 child crash", HSMART_TOKEN_FAILED, "crashed", false},
    {"the token refuses libp11 the PIN", "C_Login 1 child rv=0xa0", HSMART_PIN_REFUSED, "refused the PIN", true},
    {"the token is out of order when libp11 logs in", "C_Login 1 child rv=0x30", HSMART_TOKEN_FAILED, "cannot log in",
     false},
    {"the signature has a wrong bit", "C_Sign * child flip", HSMART_SIGNATURE_WRONG, "does not verify", false},
    {"the token does not sign", "C_Sign * child rv=0x30", HSMART_TOKEN_FAILED, "cannot be signed", false},
};

static void
trouble_in_libp11_ends_in_an_error(void **state)
{
    const struct trouble *row = *state;
    hsmart_err err = {0};

    fault_rules("%s", row->rules);
    enum hsmart_code code = make(true, 2000, &err);
    if (code != row->code)
        fail_msg("%s: %s", hsmart_code_name(code), err.text);
    if (row->words != NULL && strstr(err.text, row->words) == NULL)
        fail_msg("\"%s\" is not in: %s", row->words, err.text);
    assert_null(strstr(err.text, TEST_PIN));
    fault_none();
    code = make(false, 10000, &err);
    if (code != (row->guard_closed ? HSMART_PIN_GUARDED : HSMART_OK))
        fail_msg("afterwards %s: %s", hsmart_code_name(code), err.text);
    if (row->guard_closed) {
        assert_int_equal(hsmart_token_unlock_guard(&fault.options, NULL), HSMART_OK);
        assert_int_equal(make(false, 10000, &err), HSMART_OK);
    }
}

static struct wish {
    const char *name, *subject, *san, *words;
} wishes[] = {
    {"no subject", "", NULL, "needs a subject"},
    {"a subject without a type", "app.example", NULL, "has no \"=\""},
    {"an unknown type", "XX=app", NULL, "not known here"},
    {"an empty value", "CN=", NULL, "no value"},
    {"a comma at the end", "CN=app,", NULL, "ends with a comma"},
    {"half an escape", "CN=app\\", NULL, "in the middle of an escape"},
    {"a country of three letters", "C=DEU,CN=app", NULL, "the value of C"},
    {"a subject that is not UTF-8", "CN=\xff", NULL, "not UTF-8"},
    {"a control character", "CN=app\nexample", NULL, "character 4 of the value of CN"},
    {"a host that is none", "CN=app", "DNS:app_1.example", "other than letters"},
    {"a name without a kind", "CN=app", "app.example", "not an alternative name"},
    {"a name of OpenSSL's own kinds", "CN=app", "dirName:section", "not an alternative name"},
    {"an empty name", "CN=app", "DNS:", "not an alternative name"},
    {"an address that is none", "CN=app", "IP:300.1.2.3", "not an alternative name"},
};

static void
a_bad_wish_is_refused_before_the_token_is_asked(void **state)
{
    const struct wish *row = *state;
    const hsmart_certificate_options options = {
        .subject = row->subject, .names = &row->san, .name_count = row->san != NULL};
    char *pem = NULL;
    hsmart_err err = {0};

    fault_none();
    assert_int_equal(hsmart_certificate_make(&fault.options, fault.key_uri, NULL, &options, &pem, &err),
                     HSMART_INVALID_ARGUMENT);
    if (strstr(err.text, row->words) == NULL)
        fail_msg("\"%s\" is not in: %s", row->words, err.text);
    assert_int_equal(fault_calls("C_Login"), 0);
}

int
main(void)
{
    static struct CMUnitTest tests[64];
    size_t count = 0;

    for (size_t i = 0; i < HS_ARRAY_LEN(troubles); i++)
        tests[count++] = (struct CMUnitTest){.name = troubles[i].name,
                                             .test_func = trouble_in_libp11_ends_in_an_error,
                                             .setup_func = make_closed,
                                             .teardown_func = remove_sound,
                                             .initial_state = &troubles[i]};
    for (size_t i = 0; i < HS_ARRAY_LEN(wishes); i++)
        tests[count++] = (struct CMUnitTest){.name = wishes[i].name,
                                             .test_func = a_bad_wish_is_refused_before_the_token_is_asked,
                                             .setup_func = make_closed,
                                             .teardown_func = remove_sound,
                                             .initial_state = &wishes[i]};
    return _cmocka_run_group_tests("certificate", tests, count, NULL, NULL);
}
