/* Every answer that a token can give, in every function that matters, once and for ever: what a client sees of it, and
 * that it is over when the fault is over.
 *
 *   test_fault_codes sign|find|open    only the places of that operation */
#include "rows.h"

#include <stdlib.h>

#include "clock.h"
#include "fault_fixture.h"
#include "p11_ckr.h"

#define CLASS(name) (1U << HS_CKR_##name)
/* What the ladder is for; and what it climbs to the top for, so that the circuit opens when that was in vain. */
#define SURVIVED (CLASS(SESSION) | CLASS(HANDLE) | CLASS(LOGIN) | CLASS(DEVICE) | CLASS(CAPACITY) | CLASS(BUFFER))
#define CLIMBED (CLASS(SESSION) | CLASS(HANDLE) | CLASS(LOGIN) | CLASS(DEVICE))
#define PIN (CLASS(PIN_WRONG) | CLASS(PIN_STATE))
#define ALL (~0U)
/* A login that failed by the token's fault, as its code says, is made again once the module has been restarted. */
#define TRIED_AGAIN_BY_CODE 0x80000000U

/* ---- Operations ---- */

static enum hsmart_code
operation_sign(hsmart_err *err)
{
    return fault_token_sign(&fault, err);
}

static enum hsmart_code
operation_find(hsmart_err *err)
{
    hsmart_key *key = NULL;
    hsmart_signer *signer = NULL;
    enum hsmart_code code = hsmart_key_find(fault.token, "pkcs11:object=k", &key, err);

    if (code == HSMART_OK)
        code = hsmart_signer_new(key, NULL, &signer, err);
    hsmart_signer_free(signer);
    hsmart_key_free(key);
    return code;
}

static enum hsmart_code
operation_open(hsmart_err *err)
{
    return fault_token_open(&fault, err);
}

/* ---- Places: a function, and an operation that calls it ---- */

static const struct place {
    const char *operation_name, *name, *function;
    enum hsmart_code (*operation)(hsmart_err *err);
    const char *before; /* rules that make the operation come there at all */
    unsigned heals;     /* classes that the client sees nothing of when it happens once */
    unsigned ignored;   /* classes that the client sees nothing of even when it happens for ever */
    unsigned opens;     /* classes that open the circuit when it happens for ever */
    unsigned pin;       /* classes that close the PIN guard */
    unsigned renamed;   /* classes that are told by `new_code` instead of their own */
    enum hsmart_code new_code;
} places[] = {
    {"sign", "C_SignInit", "C_SignInit", operation_sign, "", SURVIVED, 0, CLIMBED, 0, 0, 0},
    {"sign", "C_Sign", "C_Sign", operation_sign, "", SURVIVED, 0, CLIMBED, 0, 0, 0},
    {"sign", "C_OpenSession after a lost session", "C_OpenSession", operation_sign, "C_SignInit 1 rv=0xb3",
     (SURVIVED & ~CLASS(BUFFER)) | CLASS(OTHER_USER), 0, CLIMBED, 0, 0, 0},
    {"sign", "C_FindObjectsInit after a lost login", "C_FindObjectsInit", operation_sign, "C_SignInit 1 rv=0x101",
     CLIMBED, 0, CLIMBED, 0, 0, 0},
    {"sign", "C_FindObjects after a lost login", "C_FindObjects", operation_sign, "C_SignInit 1 rv=0x101", CLIMBED, 0,
     CLIMBED, 0, 0, 0},
    {"sign", "C_GetAttributeValue after a lost login", "C_GetAttributeValue", operation_sign, "C_SignInit 1 rv=0x101",
     ALL, 0, CLIMBED, 0, CLASS(ATTRIBUTE), HSMART_KEY_UNUSABLE},
    {"sign", "C_GetTokenInfo after a lost login", "C_GetTokenInfo", operation_sign, "C_SignInit 1 rv=0x101", ALL, ALL,
     0, 0, 0, 0},
    {"sign", "C_Login after a lost login", "C_Login", operation_sign, "C_SignInit 1 rv=0x101", TRIED_AGAIN_BY_CODE, 0,
     ALL, PIN, 0, 0},
    /* Once: what is wrong with a search by name alone is searched for by class. */
    {"find", "C_FindObjectsInit", "C_FindObjectsInit", operation_find, "", SURVIVED | CLASS(ATTRIBUTE), 0, CLIMBED, 0,
     0, 0},
    {"find", "C_FindObjects", "C_FindObjects", operation_find, "", SURVIVED | CLASS(ATTRIBUTE), 0, CLIMBED, 0, 0, 0},
    {"find", "C_GetAttributeValue", "C_GetAttributeValue", operation_find, "", ALL, 0, CLIMBED, 0, CLASS(ATTRIBUTE),
     HSMART_KEY_UNUSABLE},
    {"open", "C_OpenSession at the start", "C_OpenSession", operation_open, "", 0, 0, 0, 0, 0, 0},
    {"open", "C_GetTokenInfo at the start", "C_GetTokenInfo", operation_open, "", ALL, 0, 0, 0, ALL,
     HSMART_TOKEN_ABSENT},
    {"open", "C_Login at the start", "C_Login", operation_open, "", 0, 0, 0, PIN, 0, 0},
};

/* What is so at one place only. */
static const struct exception {
    const char *function, *operation; /* operation NULL: all */
    CK_RV rv;
    bool heals, ignored, opens;
    enum hsmart_code code, code_once; /* for ever, and, when that is another one, once */
} exceptions[] = {
    /* OK without having done it: nobody is believed before a signature has been verified. */
    {"C_SignInit", NULL, CKR_OK, true, false, true, HSMART_SESSION_LOST, 0},
    {"C_Sign", NULL, CKR_OK, true, false, false, HSMART_SIGNATURE_WRONG, 0},
    {"C_OpenSession", "sign", CKR_OK, true, false, true, HSMART_SESSION_LOST, 0},
    {"C_OpenSession", "open", CKR_OK, false, false, false, HSMART_SESSION_LOST, 0},
    {"C_FindObjectsInit", NULL, CKR_OK, true, false, true, HSMART_SESSION_LOST, 0},
    {"C_FindObjects", "sign", CKR_OK, true, false, false, HSMART_KEY_ABSENT, 0},
    {"C_FindObjects", "find", CKR_OK, true, false, false, HSMART_KEY_ABSENT, 0},
    {"C_GetAttributeValue", "find", CKR_OK, true, false, false, HSMART_KEY_UNUSABLE, 0},
    {"C_GetAttributeValue", "sign", CKR_OK, false, false, false, HSMART_KEY_UNUSABLE, 0},
    {"C_GetTokenInfo", "sign", CKR_OK, false, false, true, HSMART_PIN_LOCKED, 0},
    {"C_GetTokenInfo", "open", CKR_OK, false, false, false, HSMART_TOKEN_ABSENT, 0},
    {"C_Login", NULL, CKR_OK, true, false, true, HSMART_SESSION_LOST, 0},
    {"C_Login", NULL, CKR_USER_ALREADY_LOGGED_IN, true, false, true, HSMART_SESSION_LOST, 0},
    /* A session limit that AWS CloudHSM shows so. */
    {"C_OpenSession", "sign", CKR_ARGUMENTS_BAD, true, false, false, HSMART_TOKEN_BUSY, 0},
    {"C_OpenSession", "sign", CKR_SESSION_EXISTS, true, false, false, HSMART_TOKEN_BUSY, 0},
    /* Read-only sessions refused: a read-write one is tried at once. */
    {"C_OpenSession", "open", CKR_FUNCTION_FAILED, true, false, false, HSMART_TOKEN_FAILED, 0},
    {"C_OpenSession", "open", CKR_SESSION_READ_WRITE_SO_EXISTS, true, false, false, HSMART_TOKEN_BUSY, 0},
    /* Not an error of a slot; there is just nothing in it. */
    {"C_GetTokenInfo", "open", CKR_TOKEN_NOT_PRESENT, false, false, false, HSMART_TOKEN_ABSENT, 0},
};

/* ---- Codes ---- */

static CK_RV codes[256];
static size_t code_count;

static void
collect_codes(void)
{
    for (size_t i = 0; i < hs_ckr_row_count; i++)
        codes[code_count++] = hs_ckr_rows[i].rv;
    codes[code_count++] = CKR_VENDOR_DEFINED | 0x4a;
    codes[code_count++] = 0x7ffffff0UL; /* nobody knows it */
}

static void
name_of_code(CK_RV rv, char out[64])
{
    const char *name = hs_ckr_row_of(rv)->name;

    if (name != NULL)
        (void)snprintf(out, 64, "%s", name);
    else
        (void)snprintf(out, 64, "0x%lx", rv);
}

/* ---- Cases ---- */

struct fault_case {
    char name[160];
    const struct place *place;
    CK_RV rv;
    bool for_ever;
};

struct expectation {
    bool heals, ignored, opens, closes_guard, told;
    enum hsmart_code code;
};

static struct expectation
expectation_of(const struct fault_case *row)
{
    const struct hs_ckr_row *answer = hs_ckr_row_of(row->rv);
    const struct place *place = row->place;
    unsigned bit = 1U << answer->class;

    for (size_t i = 0; i < HS_ARRAY_LEN(exceptions); i++) {
        const struct exception *exception = &exceptions[i];
        if (exception->rv == row->rv && strcmp(exception->function, place->function) == 0 &&
            (exception->operation == NULL || strcmp(exception->operation, place->operation_name) == 0))
            return (struct expectation){.heals = exception->heals,
                                        .ignored = exception->ignored,
                                        .opens = exception->opens,
                                        .code = !row->for_ever && exception->code_once != 0 ? exception->code_once
                                                                                            : exception->code};
    }
    enum hsmart_code code = answer->code != HSMART_OK ? answer->code : HSMART_TOKEN_FAILED;
    bool tokens_fault = code == HSMART_TOKEN_FAILED || code == HSMART_TOKEN_ABSENT || code == HSMART_SESSION_LOST ||
                        code == HSMART_MODULE_UNUSABLE;
    bool renamed = (place->renamed & bit) != 0;
    return (struct expectation){.heals = place->heals == TRIED_AGAIN_BY_CODE ? tokens_fault : (place->heals & bit) != 0,
                                .ignored = (place->ignored & bit) != 0,
                                .opens = (place->opens & bit) != 0,
                                .closes_guard = (place->pin & bit) != 0,
                                .told = !renamed || place->new_code == HSMART_TOKEN_ABSENT,
                                .code = renamed ? place->new_code : code};
}

/* Back to a token that signs, whatever the case before left behind. */
static void
begin(const struct fault_case *row)
{
    hsmart_err err = {0};

    fault_none();
    fault.log[0] = 0;
    if (fault.signer == NULL || fault_token_sign(&fault, &err) != HSMART_OK) {
        assert_int_equal(hsmart_token_unlock_guard(&fault.options, NULL), HSMART_OK);
        if (fault_token_open(&fault, &err) != HSMART_OK)
            fail_msg("%s", err.text);
        fault_token_must_sign(&fault);
    }
    fault_rules("%s\n%s %s rv=0x%lx", row->place->before, row->place->function, row->for_ever ? "*" : "1", row->rv);
}

static void
check_outcome(const struct fault_case *row, const struct expectation *expected, enum hsmart_code code,
              const hsmart_err *err)
{
    char name[64];
    bool good = row->for_ever ? expected->ignored : expected->heals;

    if (fault_calls(row->place->function) == 0)
        fail_msg("%s was not called: the fault did not happen", row->place->function);
    if (code != (good ? HSMART_OK : expected->code))
        fail_msg("%s instead of %s: %s\n%s", hsmart_code_name(code),
                 hsmart_code_name(good ? HSMART_OK : expected->code), err->text, fault.log);
    name_of_code(row->rv, name);
    if (!good && expected->told && strstr(err->text, name) == NULL)
        fail_msg("the answer is not named: %s", err->text);
    if (!good && err->text[0] == 0)
        fail_msg("no reason is told");
}

/* While the circuit is open a request fails at once. */
static void
check_circuit(const struct expectation *expected, int64_t failed_ms)
{
    hsmart_err err = {0};
    int64_t now_ms = hs_clock_monotonic_ms();

    if (!expected->opens || now_ms - failed_ms > 40)
        return; /* too slow a machine to look now */
    assert_int_equal(fault_token_sign(&fault, &err), HSMART_TOKEN_UNAVAILABLE);
    assert_true(hs_clock_monotonic_ms() - now_ms < 40);
}

/* A PIN that was refused is not tried again: not by the same token, not by another one of this process. */
static void
check_guard(const struct fault_case *row)
{
    hsmart_err err = {0};
    enum hsmart_code code = HSMART_TOKEN_UNAVAILABLE;

    assert_int_equal(fault_calls("C_Login"), 1);
    fault_none();
    for (int i = 0; i < 100 && code == HSMART_TOKEN_UNAVAILABLE; i++) {
        hs_clock_sleep_ms(i > 0 ? 2 : 0);
        code = row->place->operation(&err);
    }
    if (code != HSMART_PIN_GUARDED)
        fail_msg("%s: %s", hsmart_code_name(code), err.text);
    assert_int_equal(fault_calls("C_Login"), 0);
    assert_int_equal(hsmart_token_unlock_guard(&fault.options, NULL), HSMART_OK);
}

static void
a_token_answers(void **state)
{
    const struct fault_case *row = *state;
    const struct expectation expected = expectation_of(row);
    hsmart_err err = {0};

    begin(row);
    enum hsmart_code code = row->place->operation(&err);
    int64_t ended_ms = hs_clock_monotonic_ms();
    check_outcome(row, &expected, code, &err);
    if (row->for_ever && row->place->operation != operation_open)
        check_circuit(&expected, ended_ms);
    if (expected.closes_guard)
        check_guard(row);
    fault_none();
    if (fault.signer == NULL && fault_token_open(&fault, &err) != HSMART_OK)
        fail_msg("the token cannot be opened any more: %s", err.text);
    (void)fault_token_must_sign_within(&fault, expected.closes_guard ? 2 * FAULT_BACKOFF_MS : FAULT_BACKOFF_MS);
    assert_in_range(fault_open_sessions(), 1, 5);
}

int
main(int argc, char **argv)
{
    collect_codes();
    size_t most = HS_ARRAY_LEN(places) * code_count * 2, count = 0;
    struct fault_case *cases = calloc(most, sizeof *cases);
    struct CMUnitTest *tests = calloc(most, sizeof *tests);

    for (size_t p = 0; cases != NULL && tests != NULL && p < HS_ARRAY_LEN(places); p++) {
        if (argc > 1 && strcmp(places[p].operation_name, argv[1]) != 0)
            continue;
        for (size_t i = 0; i < 2 * code_count; i++, count++) {
            char name[64];
            name_of_code(codes[i / 2], name);
            cases[count] = (struct fault_case){.place = &places[p], .rv = codes[i / 2], .for_ever = i % 2 == 1};
            (void)snprintf(cases[count].name, sizeof cases[count].name, "%s answers %s %s", places[p].name, name,
                           i % 2 == 1 ? "for ever" : "once");
            tests[count] = (struct CMUnitTest){
                .name = cases[count].name, .test_func = a_token_answers, .initial_state = &cases[count]};
        }
    }
    int failed = _cmocka_run_group_tests("fault codes", tests, count, make_ec, remove_token);
    free(tests);
    free(cases);
    return failed;
}
