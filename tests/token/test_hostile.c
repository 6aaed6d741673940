/* Tokens and modules that answer nonsense: lists that are not there, counts of any size, lengths that change, texts
 * without an end, and, for some seconds, noise in everything. Each is an error with a reason, never a crash, a hang or
 * a signature that does not verify; and when the nonsense is over, signing works.
 *
 *   test_hostile [PATTERN]      only the tests whose name fits
 *   HSMART_NOISE_S=N            how long the noise lasts, in seconds; 10 by default
 *   HSMART_NOISE_SEED=N         which noise; 1 by default */
#include "rows.h"

#include <dirent.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "clock.h"
#include "fault_fixture.h"

static void
must_be_well_again(void)
{
    hsmart_err err = {0};

    fault_none();
    assert_int_equal(hsmart_token_unlock_guard(&fault.options, NULL), HSMART_OK);
    if (fault_token_open(&fault, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    fault_token_must_sign(&fault);
}

/* ---- Function lists ---- */

static struct list {
    const char *name, *how;
    enum hsmart_code code;
    const char *part;
} lists[] = {
    {"C_GetFunctionList fails", "fail", HSMART_MODULE_UNUSABLE, "gives no function list"},
    {"C_GetFunctionList gives no list", "null", HSMART_MODULE_UNUSABLE, "gives no function list"},
    {"version 2.1", "old", HSMART_OK, ""},
    {"version 3.1", "new", HSMART_OK, ""},
    {"without C_Initialize", "C_Initialize", HSMART_MODULE_UNUSABLE, "where C_Initialize should be"},
    {"without C_GetSlotList", "C_GetSlotList", HSMART_MODULE_UNUSABLE, "where C_GetSlotList should be"},
    {"without C_OpenSession", "C_OpenSession", HSMART_MODULE_UNUSABLE, "where C_OpenSession should be"},
    {"without C_Login", "C_Login", HSMART_MODULE_UNUSABLE, "where C_Login should be"},
    {"without C_FindObjects", "C_FindObjects", HSMART_MODULE_UNUSABLE, "where C_FindObjects should be"},
    {"without C_Sign", "C_Sign", HSMART_MODULE_UNUSABLE, "where C_Sign should be"},
    {"without C_GenerateKeyPair, which signing does without", "C_GenerateKeyPair", HSMART_OK, ""},
    {"without C_WaitForSlotEvent, which nobody calls", "C_WaitForSlotEvent", HSMART_OK, ""},
    {"without C_Logout, which nobody calls", "C_Logout", HSMART_OK, ""},
};

static void
a_module_with_this_list(void **state)
{
    const struct list *row = *state;
    hsmart_err err = {0};

    fault_token_close(&fault);
    fault_none();
    assert_int_equal(setenv("HSMART_FAULT_LIST", row->how, 1), 0);
    enum hsmart_code code = fault_token_open(&fault, &err);
    if (code == HSMART_OK)
        code = fault_token_sign(&fault, &err);
    fault_token_close(&fault);
    assert_int_equal(unsetenv("HSMART_FAULT_LIST"), 0);
    if (code != row->code || strstr(err.text, row->part) == NULL)
        fail_msg("%s: %s", hsmart_code_name(code), err.text);
    must_be_well_again();
}

static void
a_module_without_the_function_makes_no_key(void **state)
{
    const hsmart_key_spec spec = {.alg = "ES256", .label = "new"};
    hsmart_key *key = NULL;
    hsmart_err err = {0};

    (void)state;
    fault_token_close(&fault);
    assert_int_equal(setenv("HSMART_FAULT_LIST", "C_GenerateKeyPair", 1), 0);
    assert_int_equal(fault_token_open(&fault, &err), HSMART_OK);
    assert_int_equal(hsmart_key_generate(fault.token, &spec, &key, &err), HSMART_TOKEN_INCAPABLE);
    fault_token_close(&fault);
    assert_int_equal(unsetenv("HSMART_FAULT_LIST"), 0);
    must_be_well_again();
}

/* ---- One lie at a time ---- */

static struct lie {
    const char *name, *rules;
    enum hsmart_code open, sign; /* what opening, or, when that works, a signature comes to */
} lies[] = {
    {"all slots there can be", "C_GetSlotList * count=0xffffffffffffffff", HSMART_TOKEN_FAILED, 0},
    {"4097 slots", "C_GetSlotList * count=4097", HSMART_TOKEN_FAILED, 0},
    {"more slots than there was room for", "C_GetSlotList 2 count=4000", HSMART_TOKEN_FAILED, 0},
    {"a slot more at each call", "C_GetSlotList * grow", HSMART_TOKEN_FAILED, 0},
    {"a slot more, once", "C_GetSlotList 2 grow", HSMART_OK, HSMART_OK},
    {"no slots, and then one", "C_GetSlotList 1 count=0", HSMART_OK, HSMART_OK},
    {"all mechanisms there can be", "C_GetMechanismList * count=0xffffffffffffffff", HSMART_OK, HSMART_OK},
    {"more mechanisms than there was room for", "C_GetMechanismList 2 count=100000", HSMART_OK, HSMART_OK},
    {"no mechanism at all", "C_GetMechanismList * count=0", HSMART_OK, HSMART_OK},
    {"more objects than there was room for", "C_FindObjects * count=65", HSMART_TOKEN_FAILED, 0},
    {"all objects there can be", "C_FindObjects * count=0xffffffffffffffff", HSMART_TOKEN_FAILED, 0},
    {"objects without an end", "C_FindObjects * count=64", HSMART_TOKEN_FAILED, 0},
    {"texts of blanks", "C_GetInfo * texts=0x20; C_GetSlotInfo * texts=0x20", HSMART_OK, HSMART_OK},
    {"texts of zeros", "C_GetInfo * texts=0; C_GetSlotInfo * texts=0", HSMART_OK, HSMART_OK},
    {"texts of escapes", "C_GetInfo * texts=0x1b; C_GetSlotInfo * texts=0x1b", HSMART_OK, HSMART_OK},
    {"texts that are not UTF-8", "C_GetInfo * texts=0xff; C_GetSlotInfo * texts=0xff", HSMART_OK, HSMART_OK},
    {"a label of zeros", "C_GetTokenInfo * texts=0", HSMART_TOKEN_ABSENT, 0},
    {"a label that is not UTF-8", "C_GetTokenInfo * texts=0xff", HSMART_TOKEN_ABSENT, 0},
    {"a label of escapes", "C_GetTokenInfo * texts=0x1b", HSMART_TOKEN_ABSENT, 0},
    {"a label without an end", "C_GetTokenInfo * texts=0x41", HSMART_TOKEN_ABSENT, 0},
    {"an EC point of absurd length", "C_GetAttributeValue * lie=0x181 attrlen=0x7fffffffffffffff", HSMART_KEY_UNUSABLE,
     0},
    {"an EC point of no length", "C_GetAttributeValue * lie=0x181 attrlen=0", HSMART_KEY_UNUSABLE, 0},
    {"an EC point of unknown length", "C_GetAttributeValue * lie=0x181 attrlen=0xffffffffffffffff", HSMART_KEY_UNUSABLE,
     0},
    {"an EC point of one more byte", "C_GetAttributeValue * lie=0x181 attrlen=68", HSMART_KEY_UNUSABLE, 0},
    {"a label of a megabyte", "C_GetAttributeValue * lie=0x3 attrlen=0x100000", HSMART_OK, HSMART_OK},
    {"an id of all bytes there can be", "C_GetAttributeValue * lie=0x102 attrlen=0xfffffffffffffffe", HSMART_OK,
     HSMART_OK},
    {"CKA_SENSITIVE of 5 bytes", "C_GetAttributeValue * lie=0x103 attrlen=5", HSMART_OK, HSMART_OK},
    {"a key type of 3 bytes", "C_GetAttributeValue * lie=0x100 attrlen=3", HSMART_KEY_UNUSABLE, 0},
    {"a signature of no bytes", "C_Sign * siglen=0", HSMART_OK, HSMART_SIGNATURE_WRONG},
    {"a signature of all bytes there can be", "C_Sign * siglen=0xffffffffffffffff", HSMART_OK, HSMART_SIGNATURE_WRONG},
    {"a signature of one byte more than there was room for", "C_Sign * siglen=2049", HSMART_OK, HSMART_SIGNATURE_WRONG},
    {"a signature as long as there was room for", "C_Sign * siglen=2048", HSMART_OK, HSMART_SIGNATURE_WRONG},
};

static void
a_token_that_lies(void **state)
{
    const struct lie *row = *state;
    hsmart_err err = {0};

    fault_token_close(&fault);
    fault_rules("%s", row->rules);
    enum hsmart_code code = fault_token_open(&fault, &err);
    if (code != row->open || (code != HSMART_OK && err.text[0] == 0))
        fail_msg("opening: %s: %s", hsmart_code_name(code), err.text);
    if (code == HSMART_OK) {
        code = fault_token_sign(&fault, &err);
        if (code != row->sign)
            fail_msg("signing: %s: %s", hsmart_code_name(code), err.text);
    }
    must_be_well_again();
}

/* ---- What belongs to the process ---- */

static unsigned
mode_of_guard_file(void)
{
    struct stat status = {0};
    char path[512];
    unsigned mode = 0;
    DIR *directory = opendir(fault.soft.state);

    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        (void)snprintf(path, sizeof path, "%s/%s", fault.soft.state, entry->d_name);
        if (entry->d_name[0] != '.' && stat(path, &status) == 0)
            mode |= status.st_mode & 0777;
    }
    (void)closedir(directory);
    return mode;
}

static void
a_module_that_changes_umask_locale_and_signals(void **state)
{
    mode_t mask = umask(022);

    (void)state;
    fault_token_close(&fault);
    fault_rules("C_Initialize * rude; C_Login * rude; C_SignInit * rude; C_Sign * rude");
    hsmart_err err = {0};
    if (fault_token_open(&fault, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    fault_token_must_sign(&fault);
    fault_rules("C_Initialize * rude; C_Login * rude; C_SignInit 1-3 rude rv=0x30");
    fault_token_must_sign(&fault);
    assert_int_equal(mode_of_guard_file() & 077, 0); /* whatever the umask */
    (void)umask(mask);
    (void)setlocale(LC_ALL, "C");
    (void)signal(SIGTERM, SIG_DFL);
    must_be_well_again();
}

/* ---- Noise ---- */

static const char *const functions[] = {
    "C_Initialize",       "C_GetInfo",
    "C_GetSlotList",      "C_GetSlotInfo",
    "C_GetTokenInfo",     "C_GetMechanismList",
    "C_OpenSession",      "C_CloseSession",
    "C_GetSessionInfo",   "C_Login",
    "C_FindObjectsInit",  "C_FindObjects",
    "C_FindObjectsFinal", "C_GetAttributeValue",
    "C_SignInit",         "C_Sign",
    "C_GenerateKeyPair",
};

static uint64_t noise_state;

static unsigned
random_below(unsigned below)
{
    noise_state ^= noise_state << 13;
    noise_state ^= noise_state >> 7;
    noise_state ^= noise_state << 17;
    return (unsigned)((noise_state >> 11) % below);
}

static void
make_noise(char *out, size_t size)
{
    size_t len = (size_t)snprintf(out, size, "C_Finalize 1000000 rv=0 seed=%u\n", 1 + random_below(1U << 30));

    for (size_t i = 0; i < HS_ARRAY_LEN(functions); i++)
        if (random_below(4) == 0)
            len += (size_t)snprintf(out + len, size - len, "%s * chance=%u noise\n", functions[i], 1 + random_below(5));
    assert_true(len < size);
}

/* Every failure has a code that is listed, and a reason on one line of text. */
static void
check_told(enum hsmart_code code, const hsmart_err *err, const char *rules)
{
    bool told = code == HSMART_OK || (code != HSMART_INTERNAL && code == err->code && err->text[0] != 0);

    for (const char *at = err->text; *at != 0; at++)
        told = told && (unsigned char)*at >= 0x20 && *at != 0x7f;
    if (!told)
        fail_msg("%s: %s\nunder\n%s", hsmart_code_name(code), err->text, rules);
}

static void
noise_in_everything_does_no_harm(void **state)
{
    const char *wanted = getenv("HSMART_NOISE_S"), *seed = getenv("HSMART_NOISE_SEED");
    int64_t end_ms = hs_clock_monotonic_ms() + 1000 * (wanted != NULL ? atoi(wanted) : 10);
    unsigned rounds = 0, opened = 0, signatures = 0;

    (void)state;
    noise_state = 0x2545f4914f6cdd1dULL ^ ((uint64_t)(seed != NULL ? atoi(seed) : 1) << 20);
    fault.options.timeout_ms = 500;
    for (; hs_clock_monotonic_ms() < end_ms; rounds++) {
        char rules[2048];
        hsmart_err err = {0};
        hsmart_token_list *tokens = NULL;
        hsmart_key_list *keys = NULL;
        make_noise(rules, sizeof rules);
        bool in_service = random_below(2) == 0;
        if (in_service)
            must_be_well_again();
        else
            fault_token_close(&fault);
        fault_rules("%s", rules);
        check_told(hsmart_token_list_read(&fault.options, &tokens, &err), &err, rules);
        hsmart_token_list_free(tokens);
        err = (hsmart_err){0};
        enum hsmart_code code = in_service ? HSMART_OK : fault_token_open(&fault, &err);
        check_told(code, &err, rules);
        if (code != HSMART_OK)
            continue;
        opened++;
        for (unsigned i = 0; i < 3; i++) {
            err = (hsmart_err){0};
            code = fault_token_try(&fault, &err); /* HSMART_INTERNAL: a wrong one, or too late */
            check_told(code, &err, rules);
            signatures += code == HSMART_OK;
        }
        err = (hsmart_err){0};
        check_told(hsmart_key_list_read(fault.token, &keys, &err), &err, rules);
        hsmart_key_list_free(keys);
    }
    print_message("%u rounds of noise: opened in %u, %u signatures, each of them good\n", rounds, opened, signatures);
    fault.options.timeout_ms = FAULT_TIMEOUT_MS;
    must_be_well_again();
    assert_true(rounds > 3);
}

int
main(int argc, char **argv)
{
    static struct rows rows;

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    ADD_ROWS(&rows, a_module_with_this_list, lists);
    ADD_TEST(&rows, a_module_without_the_function_makes_no_key);
    ADD_ROWS(&rows, a_token_that_lies, lies);
    ADD_TEST(&rows, a_module_that_changes_umask_locale_and_signals);
    ADD_TEST(&rows, noise_in_everything_does_no_harm);
    return _cmocka_run_group_tests("hostile tokens", rows.tests, rows.count, make_ec, remove_token);
}
