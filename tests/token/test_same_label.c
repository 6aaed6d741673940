/* Two hosts that make a key of one label at the same moment: what is left on the token. "Theirs" is a key that another
 * program makes by the real module. */
#include <pthread.h>

#include "clock.h"
#include "fault_fixture.h"
#include "p11_token.h"
#include "sole_label.h"

#define LABEL "twin"
#define OURS 0x80
#define LONG_MS 30000U /* more than the machine ever stands still */

static size_t
count_objects(CK_OBJECT_CLASS class, uint8_t id)
{
    CK_SESSION_HANDLE session = fault_real_session(&fault);
    CK_ATTRIBUTE which[] = {
        {CKA_CLASS, &class, sizeof class}, {CKA_LABEL, (void *)(uintptr_t)LABEL, strlen(LABEL)}, {CKA_ID, &id, 1}};
    CK_OBJECT_HANDLE found[8];
    CK_ULONG count = 0;

    assert_int_equal(fault_real()->C_FindObjectsInit(session, which, HS_ARRAY_LEN(which)), CKR_OK);
    assert_int_equal(fault_real()->C_FindObjects(session, found, HS_ARRAY_LEN(found), &count), CKR_OK);
    assert_int_equal(fault_real()->C_FindObjectsFinal(session), CKR_OK);
    return count;
}

static enum hsmart_code
settle(unsigned wait_ms, hsmart_err *err)
{
    const uint8_t ours = OURS;

    return hs_sole_label_settle((struct hs_p11_token *)fault.token, hs_span_str(LABEL), (struct hs_span){&ours, 1},
                                wait_ms, err);
}

static struct meeting {
    const char *name, *their_label;
    uint8_t their_id;
    unsigned wait_ms;
    bool ours_stays;
} meetings[] = {
    {"theirs has the smaller id: ours goes at once", LABEL, 0x11, LONG_MS, false},
    {"theirs has the greater id, and stays: ours goes, too", LABEL, 0xf0, 300, false},
    {"theirs has another label", "other", 0x11, 0, true},
    {"a label that begins like ours is another one", LABEL "-2", 0x11, 0, true},
};

static void
at_most_one_key_is_left(void **state)
{
    const struct meeting *row = *state;
    const uint8_t ours = OURS;
    hsmart_err err = {0};

    fault_none();
    hsmart_key_free(fault_token_generate(&fault, "ES256", LABEL, &ours, 1));
    fault_real_generate(fault_real_session(&fault), row->their_label, row->their_id, false);
    assert_int_equal(settle(row->wait_ms, &err), row->ours_stays ? HSMART_OK : HSMART_KEY_EXISTS);
    assert_int_equal(count_objects(CKO_PRIVATE_KEY, OURS), row->ours_stays);
    assert_int_equal(count_objects(CKO_PUBLIC_KEY, OURS), row->ours_stays);
    if (strcmp(row->their_label, LABEL) == 0)
        assert_int_equal(count_objects(CKO_PRIVATE_KEY, row->their_id), 1);
    if (!row->ours_stays && (strstr(err.text, "at the same moment") == NULL || err.hint[0] == 0))
        fail_msg("it says \"%s\"", err.text);
}

/* The other host has seen ours as well, and takes its own away. */
static void *
take_theirs_away(void *arg)
{
    CK_SESSION_HANDLE session = *(CK_SESSION_HANDLE *)arg;
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    uint8_t id = 0xf0;
    CK_ATTRIBUTE which[] = {{CKA_CLASS, &class, sizeof class}, {CKA_ID, &id, 1}};
    CK_OBJECT_HANDLE found = CK_INVALID_HANDLE;
    CK_ULONG count = 0;

    hs_clock_sleep_ms(300);
    (void)fault_real()->C_FindObjectsInit(session, which, HS_ARRAY_LEN(which));
    (void)fault_real()->C_FindObjects(session, &found, 1, &count);
    (void)fault_real()->C_FindObjectsFinal(session);
    (void)fault_real()->C_DestroyObject(session, found);
    return NULL;
}

static void
the_smaller_id_waits_until_it_is_alone(void **state)
{
    const uint8_t ours = OURS;
    CK_SESSION_HANDLE session = fault_real_session(&fault);
    pthread_t other;
    hsmart_err err = {0};

    (void)state;
    fault_none();
    hsmart_key_free(fault_token_generate(&fault, "ES256", LABEL, &ours, 1));
    fault_real_generate(session, LABEL, 0xf0, false);
    assert_int_equal(pthread_create(&other, NULL, take_theirs_away, &session), 0);
    enum hsmart_code code = settle(LONG_MS, &err);
    assert_int_equal(pthread_join(other, NULL), 0);
    if (code != HSMART_OK)
        fail_msg("%s", err.text);
    assert_int_equal(count_objects(CKO_PRIVATE_KEY, OURS), 1);
    assert_int_equal(count_objects(CKO_PRIVATE_KEY, 0xf0), 0);
}

/* It cannot be told whether ours is alone: the error says that it may be there. */
static void
a_token_that_does_not_answer_is_no_success(void **state)
{
    const uint8_t ours = OURS;
    hsmart_err err = {0};

    (void)state;
    fault_none();
    hsmart_key_free(fault_token_generate(&fault, "ES256", LABEL, &ours, 1));
    fault_rules("C_FindObjectsInit * rv=0x30");
    assert_int_equal(settle(0, &err), HSMART_TOKEN_FAILED);
    assert_non_null(strstr(err.text, "the key was made"));
    fault_none();
    assert_int_equal(count_objects(CKO_PRIVATE_KEY, OURS), 1);
}

int
main(void)
{
    struct CMUnitTest tests[16];
    size_t count = 0;

    for (size_t i = 0; i < HS_ARRAY_LEN(meetings); i++)
        tests[count++] = (struct CMUnitTest){.name = meetings[i].name,
                                             .test_func = at_most_one_key_is_left,
                                             .setup_func = make_ec,
                                             .teardown_func = remove_token,
                                             .initial_state = &meetings[i]};
    tests[count++] = (struct CMUnitTest){.name = "the smaller id waits until it is alone",
                                         .test_func = the_smaller_id_waits_until_it_is_alone,
                                         .setup_func = make_ec,
                                         .teardown_func = remove_token};
    tests[count++] = (struct CMUnitTest){.name = "a token that does not answer is no success",
                                         .test_func = a_token_that_does_not_answer_is_no_success,
                                         .setup_func = make_ec,
                                         .teardown_func = remove_token};
    return _cmocka_run_group_tests("same label", tests, count, NULL, NULL);
}
