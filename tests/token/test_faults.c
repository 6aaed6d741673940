/* What happens to a token in service, each on a SoftHSM2 token of its own behind the fault module: lost logins and
 * replies, changed PINs, deleted and exchanged keys, limits, slowness, forks. Every signature that comes out is
 * verified; every request ends by its deadline.
 *
 *   test_faults [PATTERN]         only the tests whose name fits, e.g. "*deleted*"
 *   test_faults --part N OF       every OF-th behaviour, from the N-th (0, 1 …) on, for runs beside each other */
#define _GNU_SOURCE
#include "rows.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fault_fixture.h"

static void
must_fail(enum hsmart_code expected, const char *part)
{
    hsmart_err err = {0};
    enum hsmart_code code = fault_token_sign(&fault, &err);

    if (code != expected || strstr(err.text, part) == NULL)
        fail_msg("%s instead of %s with \"%s\": %s", hsmart_code_name(code), hsmart_code_name(expected), part,
                 err.text);
}

static void
must_not_open(enum hsmart_code expected, const char *part)
{
    hsmart_err err = {0};
    enum hsmart_code code = fault_token_open(&fault, &err);

    if (code != expected || strstr(err.text, part) == NULL)
        fail_msg("%s instead of %s with \"%s\": %s", hsmart_code_name(code), hsmart_code_name(expected), part,
                 err.text);
}

/* What the two come to. */
static void
open_and_sign(enum hsmart_code expected)
{
    hsmart_err err = {0};
    enum hsmart_code code = fault_token_open(&fault, &err);

    if (code == HSMART_OK)
        code = fault_token_sign(&fault, &err);
    if (code != expected)
        fail_msg("%s: %s", hsmart_code_name(code), err.text);
}

static void
run_program(char *const argv[])
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        (void)freopen("/dev/null", "w", stdout);
        (void)freopen("/dev/null", "w", stderr);
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s ended with status 0x%x", argv[0], (unsigned)status);
}

/* ---- Lost logins, sessions, replies ---- */

static struct healed {
    const char *name, *rules;
    unsigned long logins; /* that it costs */
} healed_rows[] = {
    {"somebody logs out before C_SignInit", "C_SignInit 1 logout", 1},
    {"somebody logs out before C_Sign", "C_Sign 1 logout", 1},
    {"somebody closes all sessions before C_SignInit", "C_SignInit 1 closeall", 1},
    {"somebody closes all sessions before C_Sign", "C_Sign 1 closeall", 1},
    {"all sessions closed, and the first new one fails", "C_SignInit 1 closeall; C_OpenSession 1 rv=0x30", 1},
    {"login lost twice", "C_SignInit 1-2 logout", 2},
    {"logged out, and told as if the key could not do it (NSS)", "C_SignInit 1 logout rv=0x63", 1},
    {"logged out, and told as if the mechanism were unknown", "C_SignInit 1 logout rv=0x70", 1},
    {"logged out between the login and the search", "C_SignInit 1 logout; C_FindObjectsInit 1 logout", 2},
    {"the reply of C_Sign is lost: device error", "C_Sign 1 after=0x30", 0},
    {"the reply of C_Sign is lost: session lost", "C_Sign 1 after=0xb3", 0},
    {"the reply of C_Sign is lost: function failed", "C_Sign 1 after=0x6", 0},
    {"the reply of C_SignInit is lost", "C_SignInit 1 after=0x30", 0},
    {"the reply of C_Login is lost", "C_SignInit 1 logout; C_Login 1 after=0x30", 2},
    {"the reply of C_OpenSession is lost", "C_SignInit 1 rv=0xb3; C_OpenSession 1 after=0x30", 1},
    {"the module is not initialised any more", "C_SignInit 1-3 rv=0x190", 2},
    {"every function fails once, one after the other",
     "C_SignInit 1 rv=0xb3; C_OpenSession 1 rv=0x30; C_FindObjectsInit 1 rv=0x30", 2},
};

static void
it_heals_unseen(void **state)
{
    const struct healed *row = *state;

    fault_rules("%s", row->rules);
    fault_token_must_sign(&fault);
    fault_token_must_sign(&fault); /* a signature that was begun may be finished without the login */
    assert_int_equal(fault_calls("C_Login"), row->logins);
    assert_int_equal(fault_calls("C_Logout"), 0);
    fault_none();
    for (int i = 0; i < 3; i++)
        fault_token_must_sign(&fault);
    assert_int_equal(fault_calls("C_OpenSession"), 0); /* nothing was left half open */
    assert_in_range(fault_open_sessions(), 2, 3);
}

static void
all_threads_that_lost_the_login_share_one_new_one(void **state)
{
    struct fault_outcomes outcomes = {0};

    (void)state;
    fault.options.max_sessions = 32;
    must_open();
    fault_rules("C_SignInit 1-32 sleep=300 rv=0x101");
    fault_token_sign_at_once(&fault, 32, &outcomes);
    if (outcomes.of_code[HSMART_OK] != 32)
        fail_msg("%u of 32 signed: %s", outcomes.of_code[HSMART_OK], outcomes.last_failure.text);
    assert_int_equal(fault_calls("C_Login"), 1);
}

static void
all_threads_on_a_token_that_was_really_logged_out(void **state)
{
    struct fault_outcomes outcomes = {0};

    (void)state;
    fault.options.max_sessions = 32;
    must_open();
    fault_rules("C_SignInit 1-32 sleep=100 logout");
    fault_token_sign_at_once(&fault, 32, &outcomes);
    if (outcomes.of_code[HSMART_OK] != 32)
        fail_msg("%u of 32 signed: %s", outcomes.of_code[HSMART_OK], outcomes.last_failure.text);
    assert_in_range(fault_calls("C_Login"), 1, 3);
}

static struct lost_reply {
    const char *name, *rules;
} lost_replies[] = {
    {"device error", "C_GenerateKeyPair 1 after=0x30"},
    {"a vendor's code, which has no name", "C_GenerateKeyPair 1 after=0x80001234"},
};

static void
a_lost_reply_makes_no_second_key(void **state)
{
    const struct lost_reply *row = *state;
    const hsmart_key_spec spec = {.alg = "ES256", .label = "new"};
    hsmart_key *key = NULL;
    hsmart_err err = {0};

    fault_rules("%s", row->rules);
    fault.log[0] = 0;
    if (hsmart_key_generate(fault.token, &spec, &key, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    hsmart_key_free(key);
    assert_int_equal(fault_calls("C_GenerateKeyPair"), 1);
    assert_non_null(strstr(fault.log, "its reply was lost"));
    assert_null(strstr(fault.log, "null"));
    CK_SESSION_HANDLE session = fault_real_session(&fault);
    (void)fault_real_object(session, CKO_PRIVATE_KEY, "new"); /* one, not two */
    (void)fault_real_object(session, CKO_PUBLIC_KEY, "new");
}

static void
a_key_that_was_not_made_is_told(void **state)
{
    const hsmart_key_spec spec = {.alg = "ES256", .label = "new"};
    hsmart_key *key = NULL;
    hsmart_err err = {0};

    (void)state;
    fault_rules("C_GenerateKeyPair * rv=0x30");
    assert_int_equal(hsmart_key_generate(fault.token, &spec, &key, &err), HSMART_TOKEN_FAILED);
    assert_int_equal(fault_calls("C_GenerateKeyPair"), 1);
    fault_rules("C_GenerateKeyPair * rv=0x6");
    assert_int_equal(hsmart_key_generate(fault.token, &spec, &key, &err), HSMART_TOKEN_FAILED);
    assert_non_null(strstr(err.hint, "is full"));
    fault_none();
    assert_int_equal(hsmart_key_generate(fault.token, &spec, &key, &err), HSMART_OK);
    hsmart_key_free(key);
}

/* ---- The PIN ---- */

static void
write_pin(const char *pin)
{
    hs_test_write(&fault.soft, "pin", pin, NULL);
}

static void
change_pin(const char *from, const char *to)
{
    CK_SESSION_HANDLE session = fault_real_session(&fault);

    assert_int_equal(
        fault_real()->C_SetPIN(session, (CK_BYTE *)(uintptr_t)from, strlen(from), (CK_BYTE *)(uintptr_t)to, strlen(to)),
        CKR_OK);
    assert_int_equal(fault_real()->C_CloseSession(session), CKR_OK);
}

static void
a_pin_changed_meanwhile_costs_one_try(void **state)
{
    hsmart_err err = {0};

    (void)state;
    change_pin(TEST_PIN, "135790");
    fault_none();
    fault_token_must_sign(&fault); /* nothing is seen until the next login */
    fault_rules("C_SignInit 1 closeall");
    must_fail(HSMART_PIN_REFUSED, "CKR_PIN_INCORRECT");
    for (int i = 0; i < 20; i++) {
        enum hsmart_code code = fault_token_sign(&fault, &err);
        if (code != HSMART_TOKEN_UNAVAILABLE && code != HSMART_PIN_GUARDED)
            fail_msg("%s: %s", hsmart_code_name(code), err.text);
        hs_clock_sleep_ms(20);
    }
    assert_int_equal(fault_calls("C_Login"), 1);
    write_pin("135790\n");
    (void)fault_token_must_sign_within(&fault, 2000);
    assert_int_equal(fault_calls("C_Login"), 2);
    write_pin(TEST_PIN "\n");
}

static struct flags {
    const char *name;
    unsigned long flags;
    enum hsmart_code code;
} flag_rows[] = {
    {"locked", CKF_USER_PIN_LOCKED, HSMART_PIN_LOCKED},
    {"final try", CKF_USER_PIN_FINAL_TRY, HSMART_PIN_GUARDED},
    {"count low", CKF_USER_PIN_COUNT_LOW, HSMART_PIN_GUARDED},
    {"all three", CKF_USER_PIN_LOCKED | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_COUNT_LOW, HSMART_PIN_LOCKED},
};

static void
a_warning_flag_stops_the_login(void **state)
{
    const struct flags *row = *state;

    fault_rules("C_GetTokenInfo * flags=0x%lx; C_SignInit 1 logout", row->flags);
    must_fail(row->code, ""); /* in service */
    for (int i = 0; i < 5; i++)
        must_not_open(row->code, "");
    assert_int_equal(fault_calls("C_Login"), 0);
    fault_none();
    must_open();
    fault_token_must_sign(&fault);
}

/* Each of eight starts is one of a supervisor's; the token counts what is really asked of it. */
static struct lost_answer {
    const char *name, *quirks;
    bool wrong_pin, opened_before;
    unsigned long least, most; /* logins */
    bool closes;               /* the guard */
} lost_answer_rows[] = {
    {"a wrong PIN, whose count shows in the flags", "", true, false, 1, 1, false},
    {"the right PIN at a start", "", false, false, 2, 2, true},
    {"a PIN that opened the token before", "", false, true, 3, 99, false},
    {"a token that never locks", "no-lockout", false, false, 8, 8, false},
};

static void
a_pin_whose_answers_are_lost(void **state)
{
    const struct lost_answer *row = *state;
    unsigned long logins = 0;
    hsmart_err err = {0};

    fault.options.quirks = row->quirks;
    fault.options.pin_source = row->wrong_pin ? fault.soft.wrong_pin_source : fault.soft.pin_source;
    fault_none();
    if (row->opened_before)
        must_open();
    else
        fault_token_close(&fault);
    for (int i = 0; i < 8; i++) {
        fault_rules("C_Login * after=0x30; C_SignInit 1 logout");
        enum hsmart_code code = row->opened_before ? fault_token_sign(&fault, &err) : fault_token_open(&fault, &err);
        assert_int_not_equal(code, HSMART_OK);
        logins += fault_calls("C_Login");
        if (row->opened_before)
            hs_clock_sleep_ms(FAULT_BACKOFF_MS);
    }
    fault_none();
    assert_in_range(logins, row->least, row->most);
    if (row->opened_before) {
        (void)fault_token_must_sign_within(&fault, 35000);
        return;
    }
    if (row->closes) {
        must_not_open(HSMART_PIN_GUARDED, "no answer of the token said");
        assert_int_equal(hsmart_token_unlock_guard(&fault.options, NULL), HSMART_OK);
    }
    fault.options.pin_source = fault.soft.pin_source;
    must_open();
    fault_token_must_sign(&fault);
}

static void
without_a_guard_file_there_is_no_login(void **state)
{
    char path[128];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/pin", fault.soft.dir); /* a file where the directory should be */
    fault.options.state_directory = path;
    fault_none();
    must_not_open(HSMART_PIN_GUARDED, "pin");
    assert_int_equal(fault_calls("C_Login"), 0);
}

static void
on_a_full_disk_there_is_no_login_but_signatures(void **state)
{
    struct rlimit before, none;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){0, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0); /* like a full disk: writes fail */
    fault_none();
    enum hsmart_code signed_code = fault_token_sign(&fault, NULL);
    fault_rules("C_SignInit 1 logout");
    hsmart_err err = {0};
    enum hsmart_code login_code = fault_token_sign(&fault, &err);
    unsigned long tries = fault_calls("C_Login");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(signed_code, HSMART_OK);
    assert_int_equal(login_code, HSMART_PIN_GUARDED);
    assert_int_equal(tries, 0);
    (void)fault_token_must_sign_within(&fault, FAULT_BACKOFF_MS); /* there is room again */
}

/* ---- Keys that are gone, doubled, exchanged ---- */

static void
rename_tokens(const char *from, const char *to)
{
    char old[128], new[128];

    (void)snprintf(old, sizeof old, "%s/%s", fault.soft.dir, from);
    (void)snprintf(new, sizeof new, "%s/%s", fault.soft.dir, to);
    assert_int_equal(rename(old, new), 0);
}

static void
a_token_that_goes_and_comes_back(void **state)
{
    hsmart_err err = {0};

    (void)state;
    rename_tokens("tokens", "elsewhere");
    enum hsmart_code code = HSMART_OK;
    for (int i = 0; i < 50 && code == HSMART_OK; i++) {
        code = fault_token_sign(&fault, &err); /* it may go on from memory */
        hs_clock_sleep_ms(2);
    }
    if (code != HSMART_TOKEN_ABSENT && code != HSMART_TOKEN_FAILED && code != HSMART_MODULE_UNUSABLE)
        fail_msg("%s: %s", hsmart_code_name(code), err.text);
    assert_int_equal(fault_token_sign(&fault, NULL), HSMART_TOKEN_UNAVAILABLE);
    rename_tokens("elsewhere", "tokens");
    (void)fault_token_must_sign_within(&fault, 2 * FAULT_BACKOFF_MS);
}

static void
truncate_objects(void)
{
    char path[128], file[768];

    (void)snprintf(path, sizeof path, "%s/tokens", fault.soft.dir);
    DIR *tokens = opendir(path);
    assert_non_null(tokens);
    for (struct dirent *token; (token = readdir(tokens)) != NULL;) {
        if (token->d_name[0] == '.')
            continue;
        (void)snprintf(file, sizeof file, "%s/%s", path, token->d_name);
        DIR *objects = opendir(file);
        for (struct dirent *object; objects != NULL && (object = readdir(objects)) != NULL;) {
            (void)snprintf(file, sizeof file, "%s/%s/%s", path, token->d_name, object->d_name);
            if (strstr(object->d_name, ".object") != NULL && strcmp(object->d_name, "token.object") != 0)
                assert_int_equal(truncate(file, 40), 0);
        }
        (void)closedir(objects);
    }
    (void)closedir(tokens);
}

static void
a_truncated_store_is_a_key_that_is_gone(void **state)
{
    (void)state;
    truncate_objects();
    fault_rules("C_SignInit 1 closeall");
    hsmart_err err = {0};
    enum hsmart_code code = fault_token_sign(&fault, &err);
    if (code != HSMART_OK && code != HSMART_KEY_ABSENT && code != HSMART_KEY_UNUSABLE)
        fail_msg("%s: %s", hsmart_code_name(code), err.text);
    fault_token_close(&fault);
    must_not_open(HSMART_KEY_ABSENT, "no key on token \"fault\" matches");
}

static void
a_deleted_key_is_gone(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session = fault_real_session(&fault);
    assert_int_equal(fault_real()->C_DestroyObject(session, fault_real_object(session, CKO_PRIVATE_KEY, "k")), CKR_OK);
    fault_none();
    must_fail(HSMART_KEY_ABSENT, "gone from the token");
    must_fail(HSMART_KEY_ABSENT, "gone from the token");
    assert_in_range(fault_calls("C_Login"), 0, 2);
}

static void
another_key_under_the_same_name_never_signs(void **state)
{
    char id[65] = "";
    const hsmart_key_info *info = hsmart_key_get_info(fault.key);

    (void)state;
    for (size_t i = 0; i < info->id_len && i < 32; i++)
        (void)snprintf(id + 2 * i, 3, "%02x", info->id[i]);
    run_program((char *[]){"softhsm2-util", "--module", (char *)(uintptr_t)fault.soft.module, "--init-token", "--token",
                           "fault", "--label", "fault", "--so-pin", TEST_SO_PIN, "--pin", TEST_PIN, NULL});
    run_program((char *[]){"pkcs11-tool", "--module", (char *)(uintptr_t)fault.soft.module, "--token-label", "fault",
                           "--login", "--pin", TEST_PIN, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "k",
                           "--id", id, NULL});
    fault_rules("C_SignInit 1 closeall");
    for (int i = 0; i < 5; i++) {
        hsmart_err err = {0};
        enum hsmart_code code = fault_token_sign(&fault, &err);
        if (code != HSMART_KEY_MISMATCH && code != HSMART_TOKEN_UNAVAILABLE)
            fail_msg("%s: %s", hsmart_code_name(code), err.text);
    }
    must_open(); /* by its name it is found: without a thumbprint there is nothing to compare it with */
    fault_token_close(&fault);
    fault.signer_options.thumbprint = fault.jwk.thumbprint;
    must_not_open(HSMART_KEY_MISMATCH, "is expected");
}

static struct doubled {
    const char *name, *label, *uri;
    uint8_t id;
    bool same_id;
} doubled_rows[] = {
    {"the same label, found by label", "k", "pkcs11:object=k", 0x77, false},
    {"the same id, found by id", "other", "pkcs11:id=%42", 0x42, true},
    {"the same label and id", "first", "pkcs11:object=first;id=%42", 0x42, true},
};

static void
two_keys_under_one_name_are_refused(void **state)
{
    const struct doubled *row = *state;
    const uint8_t id[] = {0x42};

    hsmart_key_free(fault_token_generate(&fault, "ES256", "first", id, 1));
    fault_real_generate(fault_real_session(&fault), row->label, row->id, false);
    fault.key_uri = row->uri;
    must_not_open(HSMART_KEY_AMBIGUOUS, "several keys");
}

static void
a_double_that_appears_in_service_stops_the_signer(void **state)
{
    uint8_t id = 0x42;

    (void)state;
    hsmart_key_free(fault_token_generate(&fault, "ES256", "first", &id, 1));
    fault.key_uri = "pkcs11:object=first";
    must_open();
    fault_real_generate(fault_real_session(&fault), "first", 0x42, false);
    fault_rules("C_SignInit 1 closeall");
    must_fail(HSMART_KEY_AMBIGUOUS, "several keys");
}

static void
no_key_is_made_under_a_used_name(void **state)
{
    const hsmart_key_info *info = hsmart_key_get_info(fault.key);
    const hsmart_key_spec same_label = {.alg = "ES256", .label = "k"};
    const hsmart_key_spec same_id = {.alg = "ES256", .label = "new", .id = info->id, .id_len = info->id_len};
    hsmart_key *key = NULL;

    (void)state;
    fault_none();
    assert_int_equal(hsmart_key_generate(fault.token, &same_label, &key, NULL), HSMART_KEY_EXISTS);
    assert_int_equal(hsmart_key_generate(fault.token, &same_id, &key, NULL), HSMART_KEY_EXISTS);
    assert_int_equal(fault_calls("C_GenerateKeyPair"), 0);
}

/* Gives the private key `label` the public half of `other`. */
static void
exchange_public_half(CK_SESSION_HANDLE session, const char *label, uint8_t id, const char *other)
{
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    CK_KEY_TYPE type = CKK_EC;
    CK_BBOOL yes = CK_TRUE;
    CK_BYTE point[128], params[32];
    CK_ATTRIBUTE read[] = {{CKA_EC_POINT, point, sizeof point}, {CKA_EC_PARAMS, params, sizeof params}};
    CK_OBJECT_HANDLE object = fault_real_object(session, CKO_PUBLIC_KEY, other), made = 0;

    assert_int_equal(fault_real()->C_GetAttributeValue(session, object, read, 2), CKR_OK);
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof class},
                               {CKA_KEY_TYPE, &type, sizeof type},
                               {CKA_TOKEN, &yes, 1},
                               {CKA_ID, &id, 1},
                               {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
                               read[0],
                               read[1]};
    assert_int_equal(fault_real()->C_DestroyObject(session, fault_real_object(session, CKO_PUBLIC_KEY, label)), CKR_OK);
    assert_int_equal(fault_real()->C_CreateObject(session, template, HS_ARRAY_LEN(template), &made), CKR_OK);
}

static void
halves_of_different_pairs_never_sign(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session = fault_real_session(&fault);
    fault_real_generate(session, "mixed", 0x01, false);
    fault_real_generate(session, "donor", 0x02, false);
    exchange_public_half(session, "mixed", 0x01, "donor");
    fault.key_uri = "pkcs11:object=mixed";
    must_open();
    must_fail(HSMART_SIGNATURE_WRONG, "does not verify");
    fault.signer_options.thumbprint = fault.jwk.thumbprint;
    must_not_open(HSMART_KEY_MISMATCH, "is expected");
}

/* ---- Signatures ---- */

static struct spoiled {
    const char *name, *action;
} spoiled_rows[] = {
    {"one bit flipped", "flip"}, {"one byte short", "short"}, {"one byte long", "long"}, {"all zero", "zero"}};

static void
a_spoiled_signature_never_leaves(void **state)
{
    const struct spoiled *row = *state;
    hsmart_err err = {0};

    fault_rules("C_Sign 1 %s", row->action);
    fault_token_must_sign(&fault);
    assert_int_equal(fault_calls("C_Sign"), 2);
    fault_rules("C_Sign * %s", row->action);
    for (int i = 0; i < 3; i++)
        if (fault_token_sign(&fault, &err) != HSMART_SIGNATURE_WRONG)
            fail_msg("%s", err.text);
    fault_none();
    (void)fault_token_must_sign_within(&fault, FAULT_BACKOFF_MS);
}

static struct hidden {
    const char *name, *rules;
    enum hsmart_code code;
} hidden_rows[] = {
    {"hash-and-sign hidden", "C_GetMechanismList * hide=0x41; C_SignInit * hide=0x41", HSMART_OK},
    {"hash-and-sign listed, but refused", "C_SignInit * hide=0x41", HSMART_OK},
    {"hash-and-sign hidden, but working", "C_GetMechanismList * hide=0x41", HSMART_OK},
    {"raw RSA hidden", "C_GetMechanismList * hide=0x1; C_SignInit * hide=0x1", HSMART_OK},
    {"both refused", "C_SignInit * rv=0x70", HSMART_TOKEN_INCAPABLE},
    {"no list at all", "C_GetMechanismList * rv=0x5", HSMART_OK},
    {"hash-and-sign makes wrong signatures", "C_Sign 1-2 flip", HSMART_OK},
};

static void
a_mechanism_is_chosen_by_what_it_does(void **state)
{
    const struct hidden *row = *state;

    fault_rules("%s", row->rules);
    open_and_sign(row->code);
    fault_none();
    (void)fault_token_must_sign_within(&fault, FAULT_BACKOFF_MS);
}

/* ---- Attributes ---- */

static struct unreported {
    const char *name, *rules;
    enum hsmart_code code;
} unreported_rows[] = {
    {"the bare EC point", "rawpoint", HSMART_OK},
    {"no CKA_EC_POINT", "noattr=0x181", HSMART_KEY_UNUSABLE},
    {"no CKA_EC_POINT, device error", "noattr=0x181 attrrv=0x30", HSMART_KEY_UNUSABLE},
    {"no CKA_EC_PARAMS", "noattr=0x180", HSMART_KEY_UNUSABLE},
    {"no CKA_KEY_TYPE", "noattr=0x100", HSMART_KEY_UNUSABLE},
    {"no CKA_KEY_TYPE, device error", "noattr=0x100 attrrv=0x30", HSMART_TOKEN_FAILED},
    {"no CKA_LABEL", "noattr=0x3", HSMART_OK},
    {"no CKA_LABEL, device error", "noattr=0x3 attrrv=0x30", HSMART_OK},
    {"no CKA_ID", "noattr=0x102", HSMART_OK},
    {"no CKA_ID, device error", "noattr=0x102 attrrv=0x30", HSMART_OK},
    {"no CKA_LOCAL", "noattr=0x163", HSMART_OK},
    {"no CKA_LOCAL, device error", "noattr=0x163 attrrv=0x30", HSMART_OK},
    {"no CKA_SENSITIVE", "noattr=0x103", HSMART_OK},
    {"no CKA_EXTRACTABLE", "noattr=0x162", HSMART_OK},
    {"no CKA_EXTRACTABLE, general error", "noattr=0x162 attrrv=0x5", HSMART_OK},
    {"no CKA_NEVER_EXTRACTABLE", "noattr=0x164", HSMART_OK},
    {"no CKA_ALWAYS_SENSITIVE", "noattr=0x165", HSMART_OK},
    {"no CKA_SIGN", "noattr=0x108", HSMART_OK},
    {"no CKA_TOKEN", "noattr=0x1", HSMART_OK},
    {"no CKA_PRIVATE", "noattr=0x2", HSMART_OK},
    {"no CKA_MODIFIABLE", "noattr=0x170", HSMART_OK},
    {"no CKA_START_DATE", "noattr=0x110", HSMART_OK},
    {"no CKA_ALWAYS_AUTHENTICATE", "noattr=0x202", HSMART_OK},
    {"no CKA_ALWAYS_AUTHENTICATE, device error", "noattr=0x202 attrrv=0x30", HSMART_OK},
    {"no CKA_PUBLIC_KEY_INFO, device error", "noattr=0x129 attrrv=0x30", HSMART_OK},
    {"no CKA_ALLOWED_MECHANISMS, device error", "noattr=0x40000600 attrrv=0x30", HSMART_OK},
};

static void
an_attribute_that_is_not_reported(void **state)
{
    const struct unreported *row = *state;
    hsmart_err err = {0};

    fault_rules("C_GetAttributeValue * %s", row->rules);
    open_and_sign(row->code);
    fault_none();
    must_open();
    /* In service: what is not read cannot be compared. */
    fault_rules("C_GetAttributeValue * %s; C_SignInit 1 closeall", row->rules);
    enum hsmart_code code = fault_token_sign(&fault, &err);
    if (code != row->code)
        fail_msg("in service %s: %s", hsmart_code_name(code), err.text);
    fault_none();
    (void)fault_token_must_sign_within(&fault, FAULT_BACKOFF_MS);
}

static void
a_private_key_alone_is_told(void **state)
{
    (void)state;
    CK_SESSION_HANDLE session = fault_real_session(&fault);
    assert_int_equal(fault_real()->C_DestroyObject(session, fault_real_object(session, CKO_PUBLIC_KEY, "k")), CKR_OK);
    must_not_open(HSMART_KEY_UNUSABLE, "public half is not on the token");
}

/* ---- Much else on the token ---- */

static void
create_data(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class, unsigned number)
{
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_KEY_TYPE type = CKK_AES;
    CK_CERTIFICATE_TYPE x509 = CKC_X_509;
    CK_BYTE value[32] = {1};
    char label[32];
    (void)snprintf(label, sizeof label, "other %u", number);
    CK_ATTRIBUTE template[8] = {{CKA_CLASS, &class, sizeof class},
                                {CKA_TOKEN, &yes, 1},
                                {CKA_PRIVATE, &no, 1},
                                {CKA_LABEL, label, strlen(label)},
                                {CKA_VALUE, value, sizeof value}};
    CK_OBJECT_HANDLE made = 0;
    CK_ULONG count = 5;

    if (class == CKO_SECRET_KEY)
        template[count++] = (CK_ATTRIBUTE){CKA_KEY_TYPE, &type, sizeof type};
    if (class == CKO_CERTIFICATE) {
        template[count++] = (CK_ATTRIBUTE){CKA_CERTIFICATE_TYPE, &x509, sizeof x509};
        template[count++] = (CK_ATTRIBUTE){CKA_SUBJECT, value, sizeof value};
    }
    assert_int_equal(fault_real()->C_CreateObject(session, template, count, &made), CKR_OK);
}

static void
create_other_keys(CK_SESSION_HANDLE session)
{
    CK_BBOOL yes = CK_TRUE;
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    CK_KEY_TYPE dsa = CKK_DSA;
    CK_BYTE number[128] = {0x80, 1}, value[20] = {0x80, 1};
    /* As an object identifier: of the curve's name SoftHSM2 2.6.1 keeps 37 bytes for each pair. */
    uint8_t ed25519[] = {0x06, 0x03, 0x2b, 0x65, 0x70};
    CK_MECHANISM mechanism = {0x1055UL /* CKM_EC_EDWARDS_KEY_PAIR_GEN */, NULL, 0};
    CK_ATTRIBUTE public_template[] = {
        {CKA_TOKEN, &yes, 1}, {CKA_EC_PARAMS, ed25519, sizeof ed25519}, {CKA_LABEL, "ed", 2}};
    CK_ATTRIBUTE private_template[] = {{CKA_TOKEN, &yes, 1}, {CKA_PRIVATE, &yes, 1}, {CKA_LABEL, "ed", 2}};
    CK_ATTRIBUTE dsa_template[] = {{CKA_CLASS, &class, sizeof class},
                                   {CKA_KEY_TYPE, &dsa, sizeof dsa},
                                   {CKA_TOKEN, &yes, 1},
                                   {CKA_PRIME, number, sizeof number},
                                   {CKA_SUBPRIME, value, sizeof value},
                                   {CKA_BASE, number, sizeof number},
                                   {CKA_VALUE, number, sizeof number},
                                   {CKA_LABEL, "dsa", 3}};
    CK_OBJECT_HANDLE made[2];

    CK_RV rv = fault_real()->C_GenerateKeyPair(session, &mechanism, public_template, 3, private_template, 3, &made[0],
                                               &made[1]);
    if (rv != CKR_OK)
        print_message("no Ed25519 pair here: 0x%lx\n", rv);
    assert_int_equal(fault_real()->C_CreateObject(session, dsa_template, HS_ARRAY_LEN(dsa_template), &made[0]), CKR_OK);
}

static void
much_else_on_the_token_does_not_disturb(void **state)
{
    static const CK_OBJECT_CLASS classes[] = {CKO_DATA, CKO_SECRET_KEY, CKO_CERTIFICATE};
    const char *wanted = getenv("HSMART_OBJECTS");
    unsigned count = wanted != NULL ? (unsigned)atoi(wanted) : 1500;
    hsmart_key_list *list = NULL;

    (void)state;
    CK_SESSION_HANDLE session = fault_real_session(&fault);
    create_other_keys(session);
    for (unsigned i = 0; i < count; i++)
        create_data(session, classes[i % 3], i);
    fault_token_close(&fault);
    int64_t start_ms = hs_clock_monotonic_ms();
    must_open();
    fault_token_must_sign(&fault);
    int64_t took_ms = hs_clock_monotonic_ms() - start_ms;
    print_message("open, find and sign beside %u other objects: %lld ms\n", count, (long long)took_ms);
    assert_true(took_ms < 3000);
    assert_int_equal(hsmart_key_list_read(fault.token, &list, NULL), HSMART_OK);
    size_t listed = list->count;
    hsmart_key_list_free(list);
    assert_in_range(listed, 2, 4); /* k, dsa, and the halves of ed where it can be made */
}

/* ---- Per-use authentication ---- */

static void
use_a_key_that_asks_each_time(void)
{
    fault_real_generate(fault_real_session(&fault), "each", 0x05, true);
    fault.key_uri = "pkcs11:object=each";
    must_open();
    hs_jwk_clear(&fault.jwk);
    char *json = NULL;
    struct hs_json_doc document = {0};
    assert_int_equal(hsmart_key_jwk(fault.key, NULL, &json, NULL), HSMART_OK);
    assert_int_equal(hs_json_parse(span(json), &document, NULL), HSMART_OK);
    assert_int_equal(hs_jwk_parse(document.root, &fault.jwk, NULL), HSMART_OK);
    hs_json_doc_clear(&document);
    hsmart_string_free(json);
    fault_none();
}

static void
a_key_that_asks_each_time_gets_one_login_per_signature(void **state)
{
    (void)state;
    use_a_key_that_asks_each_time();
    for (int i = 0; i < 5; i++)
        fault_token_must_sign(&fault);
    unsigned long signatures = fault_calls("C_Sign");
    assert_in_range(signatures, 5, 6);
    assert_in_range(fault_calls("C_Login"), 5, 6);
    struct fault_outcomes outcomes;
    fault_token_sign_at_once(&fault, 8, &outcomes);
    if (outcomes.of_code[HSMART_OK] != 8)
        fail_msg("%s", outcomes.last_failure.text);
}

static void
a_wrong_pin_for_one_signature_closes_the_guard(void **state)
{
    (void)state;
    use_a_key_that_asks_each_time();
    fault_token_must_sign(&fault);
    fault_rules("C_Login 1 rv=0xa0");
    must_fail(HSMART_PIN_REFUSED, "CKR_PIN_INCORRECT");
    for (int i = 0; i < 5; i++)
        must_fail(HSMART_PIN_GUARDED, "");
    assert_int_equal(fault_calls("C_Login"), 1);
}

static void
a_key_that_asks_each_time_takes_a_new_pin(void **state)
{
    (void)state;
    use_a_key_that_asks_each_time();
    fault_token_must_sign(&fault);
    change_pin(TEST_PIN, "135790");
    fault_none();
    must_fail(HSMART_PIN_REFUSED, "CKR_PIN_INCORRECT");
    must_fail(HSMART_PIN_GUARDED, "");
    assert_int_equal(fault_calls("C_Login"), 1);
    write_pin("135790\n");
    fault_token_must_sign(&fault);
    write_pin(TEST_PIN "\n");
}

/* ---- Limits and slowness ---- */

static struct limit {
    const char *name, *rules;
    enum hsmart_code code; /* HSMART_OK: all eight threads sign */
} limit_rows[] = {
    {"one session", "C_OpenSession * limit=1", HSMART_TOKEN_BUSY},
    {"two sessions", "C_OpenSession * limit=2", HSMART_OK},
    {"three sessions", "C_OpenSession * limit=3", HSMART_OK},
    {"two, shown as bad arguments", "C_OpenSession * limit=2 rv=0x7", HSMART_OK},
    {"two, shown as exhausted resources", "C_OpenSession * limit=2 rv=0x201", HSMART_OK},
    {"reported as 0", "C_GetTokenInfo * sessions=0", HSMART_OK},
    {"reported as unknown", "C_GetTokenInfo * sessions=0xffffffffffffffff", HSMART_OK},
    {"reported as unknown less one", "C_GetTokenInfo * sessions=0xfffffffffffffffe", HSMART_OK},
    {"reported as 1, but there are more", "C_GetTokenInfo * sessions=1", HSMART_OK},
    {"reported as 2", "C_GetTokenInfo * sessions=2; C_OpenSession * limit=2", HSMART_OK},
    {"reported as 3", "C_GetTokenInfo * sessions=3; C_OpenSession * limit=3", HSMART_OK},
    {"reported as 1000, but there are two", "C_GetTokenInfo * sessions=1000; C_OpenSession * limit=2", HSMART_OK},
};

static void
a_session_limit_is_kept(void **state)
{
    const struct limit *row = *state;
    struct fault_outcomes outcomes = {0};
    hsmart_err err = {0};

    fault_token_close(&fault);
    fault_rules("%s", row->rules);
    enum hsmart_code code = fault_token_open(&fault, &err);
    for (int i = 0; i < 3 && code == HSMART_OK; i++) {
        fault_token_sign_at_once(&fault, 8, &outcomes);
        code = outcomes.of_code[HSMART_OK] == 8 ? HSMART_OK : outcomes.last_failure.code;
        err = outcomes.last_failure;
    }
    if (code != row->code)
        fail_msg("%s: %s", hsmart_code_name(code), err.text);
    fault_none();
    must_open();
    fault_token_must_sign(&fault);
}

static void
requests_beyond_what_a_slow_token_can_do_end_in_time(void **state)
{
    struct fault_outcomes outcomes = {0};

    (void)state;
    fault.options.max_sessions = 2;
    fault.options.timeout_ms = 500;
    must_open();
    fault_rules("C_Sign * sleep=100");
    fault_token_sign_at_once(&fault, 40, &outcomes);
    print_message("40 requests at a token that can do 20 a second, within 500 ms: %u signed, %u told to come back, the "
                  "slowest after %u ms\n",
                  outcomes.of_code[HSMART_OK], outcomes.of_code[HSMART_TOKEN_BUSY], outcomes.most_ms);
    assert_int_equal(outcomes.of_code[HSMART_OK] + outcomes.of_code[HSMART_TOKEN_BUSY], 40);
    assert_in_range(outcomes.of_code[HSMART_OK], 1, 39); /* how many depends on when the threads came to run */
    assert_in_range(fault_open_sessions(), 1, 3);
    fault_none();
    fault_token_must_sign(&fault);
}

static void
a_token_slower_than_the_deadline_still_ends(void **state)
{
    hsmart_err err = {0};

    (void)state;
    fault.options.timeout_ms = 300;
    must_open();
    fault_rules("C_Sign * sleep=700"); /* one call cannot be cancelled: it ends late, and nothing is added to it */
    (void)fault_token_sign(&fault, &err);
    assert_int_equal(fault_calls("C_Sign"), 1);
    fault_none();
    (void)fault_token_must_sign_within(&fault, FAULT_BACKOFF_MS);
}

static void
a_hanging_call_holds_up_nobody_else(void **state)
{
    struct fault_outcomes outcomes = {0};

    (void)state;
    must_open();
    fault_rules("C_Sign 1 sleep=1000");
    fault_token_sign_at_once(&fault, 8, &outcomes);
    assert_int_equal(outcomes.of_code[HSMART_OK], 8);
    assert_int_equal(fault_calls("C_Login"), 0);
}

/* ---- Slots ---- */

static void
init_another_token(const char *label)
{
    run_program((char *[]){"softhsm2-util", "--module", (char *)(uintptr_t)fault.soft.module, "--init-token", "--free",
                           "--label", (char *)(uintptr_t)label, "--so-pin", TEST_SO_PIN, "--pin", TEST_PIN, NULL});
}

static void
two_tokens_with_one_label_are_told_apart_by_serial(void **state)
{
    char uri[128];

    (void)state;
    (void)snprintf(uri, sizeof uri, "pkcs11:token=fault;serial=%s", hsmart_token_get_info(fault.token)->serial);
    init_another_token("fault");
    fault_token_close(&fault);
    must_not_open(HSMART_TOKEN_AMBIGUOUS, "several tokens");
    fault.options.uri = uri;
    must_open();
    fault_token_must_sign(&fault);
}

static void
a_reload_finds_the_token_in_another_slot(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        init_another_token(i == 1 ? "fault" : "other"); /* one of them like ours: the serial tells them apart */
    fault_rules("C_SignInit 1-3 rv=0x30");
    fault_token_must_sign(&fault);
    assert_int_equal(fault_calls("C_Initialize"), 1);
}

/* ---- Forks ---- */

static enum hsmart_code after_fork(enum hsmart_code (*run)(hsmart_err *err))
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        hsmart_err err = {0};
        enum hsmart_code code = run(&err);
        if (code != HSMART_OK && code != HSMART_FORKED)
            fprintf(stderr, "%s: %s\n", hsmart_code_name(code), err.text);
        end_child((int)code);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status))
        fail_msg("the child ended with status 0x%x", (unsigned)status);
    return (enum hsmart_code)WEXITSTATUS(status);
}

static enum hsmart_code
sign_in_child(hsmart_err *err)
{
    return fault_token_sign(&fault, err);
}

static enum hsmart_code
find_in_child(hsmart_err *err)
{
    hsmart_key *key = NULL;

    return hsmart_key_find(fault.token, "pkcs11:object=k", &key, err);
}

static enum hsmart_code
hand_on_the_pin_in_child(hsmart_err *err)
{
    int fd = -1;

    return hsmart_token_pin_fd(fault.token, &fd, err);
}

static enum hsmart_code
open_anew_in_child(hsmart_err *err)
{
    enum hsmart_code code = fault_token_open(&fault, err); /* closes the parent's, too */

    if (code == HSMART_OK)
        code = fault_token_sign(&fault, err);
    fault_token_close(&fault);
    return code;
}

static enum hsmart_code
close_in_child(hsmart_err *err)
{
    (void)err;
    fault_token_close(&fault);
    return HSMART_OK;
}

static struct forked {
    const char *name;
    enum hsmart_code (*run)(hsmart_err *err);
    enum hsmart_code code;
} forked_rows[] = {
    {"signing", sign_in_child, HSMART_FORKED},
    {"finding", find_in_child, HSMART_FORKED},
    {"handing on the PIN", hand_on_the_pin_in_child, HSMART_FORKED},
    {"closing", close_in_child, HSMART_OK},
    {"opening anew", open_anew_in_child, HSMART_OK},
};

static void
a_forked_child(const struct forked *row, const char *more_configuration)
{
    char text[512];

    (void)snprintf(text, sizeof text, "directories.tokendir = %s/tokens\nobjectstore.backend = file\n%s\n",
                   fault.soft.dir, more_configuration);
    fault_token_close(&fault);
    hs_test_write(&fault.soft, "softhsm2.conf", text, NULL);
    must_open();
    fault_token_must_sign(&fault);
    assert_int_equal(after_fork(row->run), row->code);
    fault_none();
    for (int i = 0; i < 3; i++)
        fault_token_must_sign(&fault); /* the parent is unharmed */
    assert_int_equal(fault_calls("C_OpenSession"), 0);
}

static void
a_child_of_a_module_that_shares_everything(void **state)
{
    a_forked_child(*state, "");
}

static void
a_child_of_a_module_that_forgets_everything(void **state)
{
    a_forked_child(*state, "library.reset_on_fork = true");
}

/* ---- Crashes ---- */

static struct crash {
    const char *name, *rules;
    enum hsmart_code next_start;
} crash_rows[] = {
    {"in C_Initialize", "C_Initialize 1 crash", HSMART_OK},
    {"in C_OpenSession", "C_OpenSession 1 crash", HSMART_OK},
    {"between the guard's note and the try", "C_Login 1 crash", HSMART_PIN_GUARDED},
    {"right after the try", "C_Login 1 crashafter", HSMART_PIN_GUARDED},
    {"in the search", "C_FindObjects 1 crash", HSMART_OK},
    {"in C_SignInit", "C_SignInit 1 crash", HSMART_OK},
    {"in C_Sign", "C_Sign 1 crash", HSMART_OK},
    {"right after C_Sign", "C_Sign 1 crashafter", HSMART_OK},
};

/* The module takes the process with it: only the next start can tell that all is well. */
static void
a_module_that_crashes(void **state)
{
    const struct crash *row = *state;
    hsmart_err err = {0};
    int status = 0;

    fault_token_close(&fault);
    fault_rules("%s", row->rules);
    pid_t child = fork();
    if (child == 0) {
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        end_child(fault_token_open(&fault, &err) == HSMART_OK ? (int)fault_token_try(&fault, &err) : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    fault_none();
    enum hsmart_code code = fault_token_open(&fault, &err);
    if (code != row->next_start || (code == HSMART_PIN_GUARDED && strstr(err.text, "no recorded end") == NULL))
        fail_msg("%s: %s", hsmart_code_name(code), err.text);
    if (code != HSMART_OK) {
        assert_int_equal(fault_calls("C_Login"), 0);
        assert_int_equal(hsmart_token_unlock_guard(&fault.options, NULL), HSMART_OK);
        must_open();
    }
    fault_token_must_sign(&fault);
}

/* Whenever it happens, the next start works, or says that it needs a word; the PIN is right, so it is never blamed. */
static void
a_process_killed_at_any_moment_leaves_no_wrong_word(void **state)
{
    unsigned guarded = 0;

    (void)state;
    fault_token_close(&fault);
    fault_none();
    for (unsigned i = 0; i < 40; i++) {
        hsmart_err err = {0};
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            /* Without the real C_Login: SoftHSM2 2.6.1 loses the whole token when it is killed while it rewrites it. */
            fault_rules("C_Login * rv=0");
            while (hsmart_token_open(&fault.options, &fault.token, &err) == HSMART_OK)
                fault_token_close(&fault);
            end_child(1);
        }
        hs_clock_sleep_ms(1 + i % 20);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        enum hsmart_code code = fault_token_open(&fault, &err);
        if (code == HSMART_PIN_GUARDED) {
            guarded++;
            assert_non_null(strstr(err.text, "no recorded end"));
            assert_int_equal(hsmart_token_unlock_guard(&fault.options, NULL), HSMART_OK);
            must_open();
        } else if (code != HSMART_OK) {
            fail_msg("round %u: %s: %s", i, hsmart_code_name(code), err.text);
        }
        fault_token_must_sign(&fault);
        fault_token_close(&fault);
    }
    print_message("killed 40 times: %u times in the middle of a try\n", guarded);
}

static void
a_program_started_meanwhile_does_not_disturb(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        run_program((char *[]){"true", NULL});
        fault_token_must_sign(&fault);
    }
}

/* ---- */

static struct CMUnitTest tests[256];
static char names[256][160];
static size_t test_count;
static unsigned part, part_count = 1;

/* Rows of one behaviour may share a token, so they stay in one part. */
static bool
is_of_this_part(const char *behaviour)
{
    static const char *last = "";
    static unsigned behaviour_count;

    if (strcmp(behaviour, last) != 0)
        behaviour_count++;
    last = behaviour;
    return behaviour_count % part_count == part;
}

static void
add(const char *behaviour, CMUnitTestFunction run, void *row, CMFixtureFunction set_up, CMFixtureFunction tear_down)
{
    const char *row_name = row != NULL ? *(const char **)row : "";

    if (!is_of_this_part(behaviour))
        return;
    if (test_count == HS_ARRAY_LEN(tests))
        abort();
    (void)snprintf(names[test_count], sizeof names[0], row != NULL ? "%s: %s" : "%s", behaviour, row_name);
    for (char *at = names[test_count]; *at != 0; at++)
        if (*at == '_')
            *at = ' ';
    tests[test_count] = (struct CMUnitTest){.name = names[test_count],
                                            .test_func = run,
                                            .setup_func = set_up,
                                            .teardown_func = tear_down,
                                            .initial_state = row};
    test_count++;
}

#define ADD(function) add(#function, function, NULL, make_ec, remove_token)
#define ADD_TABLE(function, table)                                                                                     \
    for (size_t i = 0; i < HS_ARRAY_LEN(table); i++)                                                                   \
    add(#function, function, &(table)[i], make_ec, remove_token)
/* Rows that share one token: the first makes it and the last removes it. */
#define ADD_TABLE_ON(make, function, table)                                                                            \
    for (size_t i = 0; i < HS_ARRAY_LEN(table); i++)                                                                   \
    add(#function, function, &(table)[i], i == 0 ? make : NULL, i + 1 == HS_ARRAY_LEN(table) ? remove_token : NULL)

int
main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--part") == 0) {
        part = (unsigned)strtoul(argv[2], NULL, 10);
        part_count = (unsigned)strtoul(argv[3], NULL, 10);
        if (part >= part_count)
            return 2;
    } else if (argc > 1) {
        cmocka_set_test_filter(argv[1]);
    }
    ADD_TABLE(it_heals_unseen, healed_rows);
    ADD(all_threads_that_lost_the_login_share_one_new_one);
    ADD(all_threads_on_a_token_that_was_really_logged_out);
    ADD_TABLE(a_lost_reply_makes_no_second_key, lost_replies);
    ADD(a_key_that_was_not_made_is_told);
    ADD(a_pin_changed_meanwhile_costs_one_try);
    ADD_TABLE(a_warning_flag_stops_the_login, flag_rows);
    ADD_TABLE(a_pin_whose_answers_are_lost, lost_answer_rows);
    ADD(without_a_guard_file_there_is_no_login);
    ADD(on_a_full_disk_there_is_no_login_but_signatures);
    ADD(a_token_that_goes_and_comes_back);
    ADD(a_truncated_store_is_a_key_that_is_gone);
    ADD(a_deleted_key_is_gone);
    ADD(another_key_under_the_same_name_never_signs);
    ADD_TABLE(two_keys_under_one_name_are_refused, doubled_rows);
    ADD(a_double_that_appears_in_service_stops_the_signer);
    ADD(no_key_is_made_under_a_used_name);
    ADD(halves_of_different_pairs_never_sign);
    ADD_TABLE(a_spoiled_signature_never_leaves, spoiled_rows);
    ADD_TABLE_ON(make_rsa, a_mechanism_is_chosen_by_what_it_does, hidden_rows);
    ADD_TABLE_ON(make_ec, an_attribute_that_is_not_reported, unreported_rows);
    ADD(a_private_key_alone_is_told);
    ADD(much_else_on_the_token_does_not_disturb);
    ADD(a_key_that_asks_each_time_gets_one_login_per_signature);
    ADD(a_wrong_pin_for_one_signature_closes_the_guard);
    ADD(a_key_that_asks_each_time_takes_a_new_pin);
    ADD_TABLE_ON(make_ec, a_session_limit_is_kept, limit_rows);
    ADD(requests_beyond_what_a_slow_token_can_do_end_in_time);
    ADD(a_token_slower_than_the_deadline_still_ends);
    ADD(a_hanging_call_holds_up_nobody_else);
    ADD(two_tokens_with_one_label_are_told_apart_by_serial);
    ADD(a_reload_finds_the_token_in_another_slot);
    ADD_TABLE(a_child_of_a_module_that_shares_everything, forked_rows);
    ADD_TABLE(a_child_of_a_module_that_forgets_everything, forked_rows);
    ADD(a_program_started_meanwhile_does_not_disturb);
    ADD_TABLE_ON(make_ec, a_module_that_crashes, crash_rows);
    ADD(a_process_killed_at_any_moment_leaves_no_wrong_word);
    return _cmocka_run_group_tests("faults", tests, test_count, NULL, NULL);
}
