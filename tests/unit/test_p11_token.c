/* A token: found, opened, logged in to, its sessions shared; against a module that answers what a test tells it to, and
 * against SoftHSM2. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "failing_calls.h"
#include "fake/fake_p11.h"
#include "p11_handover.h"
#include "p11_slots.h"
#include "p11_token.h"
#include "p11_token_init.h"
#include "rows.h"
#include "softhsm.h"

static struct fake_p11 *fake;
static struct hs_test_token files; /* PIN files and the guard's state; no SoftHSM2 is used with the fake */
static char log_text[4096];

static void
keep_log(void *arg, enum hsmart_log_level level, const char *line)
{
    (void)arg;
    (void)level;
    size_t len = strlen(log_text);
    (void)snprintf(log_text + len, sizeof log_text - len, "%s\n", line);
}

static int
fresh_fake(void **state)
{
    char path[96];

    (void)state;
    files = (struct hs_test_token){.dir = "/tmp/hsmart-token-XXXXXX"};
    assert_non_null(mkdtemp(files.dir));
    hs_test_write(&files, "pin", "1234\n", path);
    (void)snprintf(files.pin_source, sizeof files.pin_source, "file:%.80s", path);
    hs_test_write(&files, "wrong", "9999\n", path);
    (void)snprintf(files.wrong_pin_source, sizeof files.wrong_pin_source, "file:%.80s", path);
    hs_test_write(&files, "so", "12345678\n", path);
    (void)snprintf(files.so_pin_source, sizeof files.so_pin_source, "file:%.80s", path);
    (void)snprintf(files.state, sizeof files.state, "%s/state", files.dir);
    fake = fake_p11_load();
    log_text[0] = 0;
    return 0;
}

static int
remove_files(void **state)
{
    (void)state;
    hs_test_token_remove(&files);
    return 0;
}

static hsmart_token_options
fake_options(void)
{
    return (hsmart_token_options){
        .module = FAKE_P11_MODULE, .pin_source = files.pin_source, .state_directory = files.state, .log = keep_log};
}

static struct hs_p11_token *
open_fake(const hsmart_token_options *options)
{
    struct hs_p11_token *token = NULL;
    hsmart_err err = {0};

    if (hs_p11_token_open(options, &token, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    return token;
}

static void
says(const hsmart_err *err, const char *part)
{
    if (part != NULL && strstr(err->text, part) == NULL && strstr(err->hint, part) == NULL)
        fail_msg("\"%s\" (%s) does not say \"%s\"", err->text, err->hint, part);
}

/* ---- Modules ---- */

static struct bad_module {
    const char *name, *path, *says;
    enum hsmart_code code;
} bad_modules[] = {
    {"none", NULL, "no PKCS#11 module", HSMART_INVALID_ARGUMENT},
    {"the empty path", "", "no PKCS#11 module", HSMART_INVALID_ARGUMENT},
    {"a relative path", "libsofthsm2.so", "not absolute", HSMART_INVALID_ARGUMENT},
    {"a missing file", "/no/such/module.so", "No such file", HSMART_MODULE_UNUSABLE},
    {"a directory", "/tmp", "not a regular file", HSMART_MODULE_UNUSABLE},
    {"a file that is no library", "/etc/passwd", "/etc/passwd", HSMART_MODULE_UNUSABLE},
    {"a library that is no module", "/lib/x86_64-linux-gnu/libm.so.6", "C_GetFunctionList", HSMART_MODULE_UNUSABLE},
};

static void
a_bad_module_is_told_exactly(void **state)
{
    const struct bad_module *row = *state;
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = NULL;
    hsmart_err err = {0};

    if (row->path != NULL && strncmp(row->path, "/lib", 4) == 0 && access(row->path, R_OK) != 0)
        skip();
    options.module = row->path;
    assert_int_equal(hs_p11_token_open(&options, &token, &err), row->code);
    says(&err, row->says);
    assert_null(token);
}

static struct bad_start {
    const char *name;
    enum fake_function function;
    CK_RV rv;
    enum hsmart_code code;
    const char *says;
} bad_starts[] = {
    {"the module does not initialise", FAKE_INITIALIZE, CKR_GENERAL_ERROR, HSMART_MODULE_UNUSABLE, "CKR_GENERAL_ERROR"},
    {"the module has no memory", FAKE_INITIALIZE, CKR_HOST_MEMORY, HSMART_MODULE_UNUSABLE, "CKR_HOST_MEMORY"},
    {"the module does not tell what it is", FAKE_GET_INFO, CKR_DEVICE_ERROR, HSMART_MODULE_UNUSABLE,
     "CKR_DEVICE_ERROR"},
    {"the slots cannot be listed", FAKE_GET_SLOT_LIST, CKR_FUNCTION_FAILED, HSMART_TOKEN_FAILED, "CKR_FUNCTION_FAILED"},
    {"the slots cannot be listed, by a code that means success elsewhere", FAKE_GET_SLOT_LIST, CKR_NO_EVENT,
     HSMART_TOKEN_FAILED, "CKR_NO_EVENT"},
    {"the token does not tell what it is", FAKE_GET_TOKEN_INFO, CKR_DEVICE_ERROR, HSMART_TOKEN_ABSENT,
     "CKR_DEVICE_ERROR"},
    {"no session can be opened", FAKE_OPEN_SESSION, CKR_DEVICE_REMOVED, HSMART_TOKEN_ABSENT, "token unplugged"},
    {"others have all sessions", FAKE_OPEN_SESSION, CKR_SESSION_COUNT, HSMART_TOKEN_BUSY, "CKR_SESSION_COUNT"},
    {"the login fails without a word about the PIN", FAKE_LOGIN, CKR_DEVICE_ERROR, HSMART_TOKEN_FAILED,
     "CKR_DEVICE_ERROR"},
    {"the PIN is locked", FAKE_LOGIN, CKR_PIN_LOCKED, HSMART_PIN_LOCKED, "CKR_PIN_LOCKED"},
    {"the PIN has expired", FAKE_LOGIN, CKR_PIN_EXPIRED, HSMART_PIN_LOCKED, "CKR_PIN_EXPIRED"},
};

static void
a_token_that_cannot_be_opened_says_why_and_leaves_nothing_open(void **state)
{
    const struct bad_start *row = *state;
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = NULL;
    hsmart_err err = {0};

    fake_p11_answer(fake, row->function, row->rv, 0, 0);
    assert_int_equal(hs_p11_token_open(&options, &token, &err), row->code);
    says(&err, row->says);
    assert_null(token);
    assert_int_equal(fake->open_sessions, 0);
    assert_false(fake->initialized);
    assert_true(fake->calls[FAKE_LOGIN] <= 1);
}

static void
a_token_that_lists_no_mechanisms_is_opened_all_the_same(void **state)
{
    hsmart_token_options options = fake_options();

    (void)state;
    fake_p11_answer(fake, FAKE_GET_MECHANISM_LIST, CKR_FUNCTION_NOT_SUPPORTED, 0, 0);
    struct hs_p11_token *token = open_fake(&options);
    assert_int_equal(hs_p11_token_get_info(token)->mechanism_count, 0);
    assert_false(hs_p11_token_lists_mechanism(token, CKM_ECDSA));
    hs_p11_token_unref(token);
}

static void
a_module_that_starts_a_helper_does_not_lock_itself(void **state)
{
    hsmart_token_options options = fake_options();

    (void)state;
    (void)alarm(20);
    fake->forks_in_initialize = true;
    hs_p11_token_unref(open_fake(&options));
    (void)alarm(0);
}

static void
the_init_string_reaches_the_module_and_only_one_is_open_at_a_time(void **state)
{
    hsmart_token_options options = fake_options();
    struct hs_p11_token *other = NULL;
    hsmart_err err = {0};

    (void)state;
    options.init_string = "configdir='/x'";
    struct hs_p11_token *token = open_fake(&options);
    assert_string_equal(fake->init_string, "configdir='/x'");
    options.init_string = "configdir='/y'";
    assert_int_equal(hs_p11_token_open(&options, &other, &err), HSMART_INVALID_ARGUMENT);
    says(&err, "init string");
    hs_p11_token_unref(token);
    hs_p11_token_unref(open_fake(&options));
}

static void
two_tokens_share_a_module_that_is_finalised_with_the_last(void **state)
{
    hsmart_token_options options = fake_options();

    (void)state;
    struct hs_p11_token *first = open_fake(&options), *second = open_fake(&options);
    assert_int_equal(fake->calls[FAKE_INITIALIZE], 1);
    hs_p11_token_unref(first);
    assert_true(fake->initialized);
    assert_int_equal(fake->calls[FAKE_FINALIZE], 0);
    hs_p11_token_unref(second);
    assert_false(fake->initialized);
}

static void
a_module_that_others_initialised_is_never_finalised(void **state)
{
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = NULL;

    (void)state;
    assert_int_equal(fake->functions->C_Initialize(NULL), CKR_OK);
    hs_p11_token_unref(open_fake(&options));
    options.uri = "pkcs11:token=absent";
    options.quirks = "serial-start"; /* asks again, which would restart the module */
    assert_int_equal(hs_p11_token_open(&options, &token, NULL), HSMART_TOKEN_ABSENT);
    assert_int_equal(fake->calls[FAKE_FINALIZE], 0);
    assert_true(fake->initialized);
    assert_int_equal(fake->functions->C_Finalize(NULL), CKR_OK);
}

/* ---- Finding ---- */

#define IN_USE (CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED | CKF_LOGIN_REQUIRED)
static const struct fake_token
    prod = {.label = "prod", .serial = "1", .manufacturer = "ACME", .pin = "1234", .flags = IN_USE},
    prod_too = {.label = "prod", .serial = "2", .manufacturer = "ACME", .pin = "1234", .flags = IN_USE},
    blank = {.label = "", .serial = "", .manufacturer = "ACME", .flags = CKF_LOGIN_REQUIRED},
    empty_slot = {.absent = true}, odd = {.label = "\xff\x1b[31m", .serial = "3", .pin = "1234", .flags = IN_USE};

static struct finding {
    const char *name;
    const struct fake_token *tokens[4];
    const char *uri;
    enum hsmart_code code;
    const char *says, *says_too;
} findings[] = {
    {"the only token", {&prod}, NULL, HSMART_OK, NULL, NULL},
    {"by label", {&prod, &odd}, "pkcs11:token=prod", HSMART_OK, NULL, NULL},
    {"by serial, of two with one label", {&prod, &prod_too}, "pkcs11:token=prod;serial=2", HSMART_OK, NULL, NULL},
    {"behind an empty slot", {&empty_slot, &prod}, NULL, HSMART_OK, NULL, NULL},
    {"beside one that is not initialised", {&blank, &prod}, NULL, HSMART_OK, NULL, NULL},
    {"no slot at all", {NULL}, NULL, HSMART_TOKEN_ABSENT, "shows no initialised token", NULL},
    {"only one that is not initialised", {&blank}, NULL, HSMART_TOKEN_ABSENT, "shows no initialised token", NULL},
    {"another label",
     {&prod, &blank},
     "pkcs11:token=test",
     HSMART_TOKEN_ABSENT,
     "\"prod\" (serial 1)",
     "uninitialised"},
    {"another label, and nothing there",
     {&empty_slot},
     "pkcs11:token=test",
     HSMART_TOKEN_ABSENT,
     "none at all",
     "device and its connection"},
    {"two and no URI", {&prod, &odd}, NULL, HSMART_TOKEN_AMBIGUOUS, "serial 1", "serial 3"},
    {"two with one label",
     {&prod, &prod_too},
     "pkcs11:token=prod",
     HSMART_TOKEN_AMBIGUOUS,
     "\"prod\" (serial 1)",
     "\"prod\" (serial 2)"},
    {"a label of odd bytes, by its escapes", {&odd, &prod}, "pkcs11:token=%ff%1b%5b31m", HSMART_OK, NULL, NULL},
};

static void
the_one_token_that_is_named_is_found(void **state)
{
    const struct finding *row = *state;
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = NULL;
    hsmart_err err = {0};

    fake->token_count = 0;
    for (size_t i = 0; i < HS_ARRAY_LEN(row->tokens) && row->tokens[i] != NULL; i++)
        fake->tokens[fake->token_count++] = *row->tokens[i];
    options.uri = row->uri;
    assert_int_equal(hs_p11_token_open(&options, &token, &err), row->code);
    says(&err, row->says);
    says(&err, row->says_too);
    assert_null(strchr(err.text, 0x1b));
    assert_int_equal(token != NULL, row->code == HSMART_OK);
    hs_p11_token_unref(token);
}

static void
many_tokens_are_told_in_part(void **state)
{
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = NULL;
    hsmart_err err = {0};

    (void)state;
    for (fake->token_count = 0; fake->token_count < 10; fake->token_count++)
        fake->tokens[fake->token_count] = prod;
    assert_int_equal(hs_p11_token_open(&options, &token, &err), HSMART_TOKEN_AMBIGUOUS);
    says(&err, "and 4 more");
}

static void
every_token_is_listed_without_login(void **state)
{
    hsmart_token_options options = fake_options();
    hsmart_token_list *list = NULL;

    (void)state;
    fake->tokens[1] = blank;
    fake->tokens[2] = empty_slot;
    fake->tokens[3] = odd;
    fake->token_count = 4;
    assert_int_equal(hs_p11_token_list_read(&options, &list, NULL), HSMART_OK);
    assert_int_equal(list->count, 3);
    assert_string_equal(list->tokens[0].label, "fake");
    assert_string_equal(list->tokens[0].serial, "0001");
    assert_true(list->tokens[0].initialized && list->tokens[0].pin_set && !list->tokens[0].pin_locked);
    assert_int_equal(list->tokens[0].mechanism_count, 3);
    assert_string_equal(list->tokens[0].mechanisms[1], "CKM_ECDSA");
    assert_string_equal(list->tokens[0].mechanisms[2], "0x80001234");
    assert_string_equal(list->tokens[1].label, "");
    assert_false(list->tokens[1].initialized);
    assert_string_equal(list->tokens[2].label, "??[31m");
    assert_int_equal(list->tokens[2].slot_id, 3);
    assert_int_equal(fake->calls[FAKE_LOGIN], 0);
    assert_int_equal(fake->calls[FAKE_OPEN_SESSION], 0);
    hs_p11_token_list_free(list);
    assert_false(fake->initialized);
}

/* ---- Logging in ---- */

static struct flagged {
    const char *name;
    CK_FLAGS added, removed;
    enum hsmart_code code;
    const char *says;
} flagged[] = {
    {"nothing against it", 0, 0, HSMART_OK, NULL},
    {"locked", CKF_USER_PIN_LOCKED, 0, HSMART_PIN_LOCKED, "locked"},
    {"one try left", CKF_USER_PIN_FINAL_TRY, 0, HSMART_PIN_GUARDED, "one more wrong PIN locks it"},
    {"wrong PINs were tried elsewhere", CKF_USER_PIN_COUNT_LOW, 0, HSMART_PIN_GUARDED, "not tried"},
    {"no user PIN yet", 0, CKF_USER_PIN_INITIALIZED, HSMART_PIN_LOCKED, "no user PIN"},
};

static void
the_flags_are_read_before_a_pin_is_tried(void **state)
{
    const struct flagged *row = *state;
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = NULL;
    hsmart_err err = {0};

    fake->tokens[0].flags = (fake->tokens[0].flags | row->added) & ~row->removed;
    assert_int_equal(hs_p11_token_open(&options, &token, &err), row->code);
    says(&err, row->says);
    assert_int_equal(fake->calls[FAKE_LOGIN], row->code == HSMART_OK ? 1 : 0);
    hs_p11_token_unref(token);
}

static struct refusal {
    const char *name;
    CK_FLAGS afterwards;
    const char *says;
} refusals[] = {
    {"the token does not tell what is left", 0, "does not tell how many"},
    {"few tries left", CKF_USER_PIN_COUNT_LOW, "few tries"},
    {"one try left", CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY, "one try"},
    {"now locked", CKF_USER_PIN_LOCKED, "locked now"},
};

static void
a_wrong_pin_is_tried_once_and_what_is_left_is_told(void **state)
{
    const struct refusal *row = *state;
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = NULL;
    hsmart_err err = {0};

    fake->tokens[0].flags_after_wrong_pin = row->afterwards;
    options.pin_source = files.wrong_pin_source;
    assert_int_equal(hs_p11_token_open(&options, &token, &err), HSMART_PIN_REFUSED);
    says(&err, "CKR_PIN_INCORRECT");
    says(&err, row->says);
    assert_null(strstr(err.text, "9999"));
    assert_null(strstr(log_text, "9999"));
    /* And never again, as long as it is the same PIN. */
    for (int i = 0; i < 3; i++)
        assert_true(hs_p11_token_open(&options, &token, &err) != HSMART_OK);
    assert_int_equal(fake->calls[FAKE_LOGIN], 1);
    assert_int_equal(fake->open_sessions, 0);
}

/* A supervisor starts the service five times; nothing in the token's flags tells what it counted. */
static struct unclear {
    const char *name;
    CK_RV rv;
    const char *quirks;
    unsigned logins;
} unclears[] = {
    {"a wrong PIN, plainly told", CKR_PIN_INCORRECT, NULL, 1},
    {"the device failed", CKR_DEVICE_ERROR, NULL, 2},
    {"an unspecified error", CKR_GENERAL_ERROR, NULL, 2},
    {"the function failed", CKR_FUNCTION_FAILED, NULL, 2},
    {"the token was unplugged", CKR_DEVICE_REMOVED, NULL, 2},
    {"the module has no memory", CKR_HOST_MEMORY, NULL, 2},
    {"bad arguments", CKR_ARGUMENTS_BAD, NULL, 2},
    {"the function was rejected", CKR_FUNCTION_REJECTED, NULL, 2},
    {"a failed self-test", CKR_FIPS_SELF_TEST_FAILED, NULL, 2},
    {"a code that means success elsewhere", CKR_NO_EVENT, NULL, 2},
    {"a vendor's code", 0x80000005UL, NULL, 2},
    {"a code that nobody knows", 0x4711UL, NULL, 2},
    {"the session was lost before", CKR_SESSION_HANDLE_INVALID, NULL, 5},
    {"another user is logged in", CKR_USER_ANOTHER_ALREADY_LOGGED_IN, NULL, 5},
    {"the token was not there", CKR_TOKEN_NOT_PRESENT, NULL, 5},
    {"the module was not initialised", CKR_CRYPTOKI_NOT_INITIALIZED, NULL, 5},
    {"there is no such kind of user", CKR_USER_TYPE_INVALID, NULL, 5},
    {"there is no login", CKR_FUNCTION_NOT_SUPPORTED, NULL, 5},
    {"the device failed, and never locks", CKR_DEVICE_ERROR, "no-lockout", 5},
};

static void
a_pin_that_no_answer_judges_is_tried_twice(void **state)
{
    const struct unclear *row = *state;
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = NULL;

    options.quirks = row->quirks;
    fake_p11_answer(fake, FAKE_LOGIN, row->rv, 0, 0);
    for (int i = 0; i < 5; i++)
        assert_int_not_equal(hs_p11_token_open(&options, &token, NULL), HSMART_OK);
    assert_int_equal(fake->calls[FAKE_LOGIN], row->logins);
    fake_p11_answer(fake, FAKE_LOGIN, CKR_OK, 0, 0);
    if (row->logins < 5) {
        assert_int_equal(hs_p11_token_open(&options, &token, NULL), HSMART_PIN_GUARDED);
        assert_int_equal(hs_p11_token_guard_reopen(&options, NULL), HSMART_OK);
    }
    hs_p11_token_unref(open_fake(&options));
}

/* The guard's directory, the record before the login, and then the one after it. */
static void
an_end_that_cannot_be_written_down_is_told(void **state)
{
    hsmart_token_options options = fake_options();

    (void)state;
    hs_test_fail_call(TEST_FSYNC_DIRECTORY, EIO, 2);
    struct hs_p11_token *token = open_fake(&options);
    assert_true(hs_test_end_failing_calls());
    assert_non_null(strstr(log_text, "the next login with this PIN needs an operator's word"));
    hs_p11_token_unref(token);
}

static struct use {
    const char *name;
    bool has_pin;
    CK_RV rv; /* of the login for one use */
    enum hsmart_code code;
    const char *says;
} uses[] = {
    {"taken", true, CKR_OK, HSMART_OK, NULL},
    {"not known as such by the token: C_Sign decides", true, CKR_USER_TYPE_INVALID, HSMART_OK, NULL},
    {"refused", true, CKR_PIN_INCORRECT, HSMART_PIN_REFUSED, "CKR_PIN_INCORRECT"},
    {"without a PIN source", false, CKR_OK, HSMART_PIN_UNAVAILABLE, "no PIN source is given"},
};

static void
a_login_for_one_use_is(void **state)
{
    const struct use *row = *state;
    hsmart_token_options options = fake_options();
    struct hs_p11_session *session = NULL;
    hsmart_err err = {0};

    options.pin_source = row->has_pin ? files.pin_source : NULL;
    struct hs_p11_token *token = open_fake(&options);
    assert_int_equal(hs_p11_token_acquire(token, false, 1000, &session, NULL), HSMART_OK);
    fake_p11_answer(fake, FAKE_LOGIN, row->rv, 0, 0);
    assert_int_equal(hs_p11_token_login_for_use(token, session, &err), row->code);
    says(&err, row->says);
    assert_int_equal(session->doubtful, row->code != HSMART_OK); /* its operation is still active */
    hs_p11_token_release(token, session);
    hs_p11_token_unref(token);
}

static struct handing_over {
    const char *name;
    bool has_pin;
    enum hs_p11_login_end end;
    enum hsmart_code next; /* opening */
} handings_over[] = {
    {"taken: nothing stands against the next login", true, HS_P11_LOGIN_TAKEN, HSMART_OK},
    {"refused: the guard is closed", true, HS_P11_LOGIN_REFUSED, HSMART_PIN_GUARDED},
    {"without an end: the guard is closed", true, HS_P11_LOGIN_UNKNOWN, HSMART_PIN_GUARDED},
    {"none, without a PIN source", false, HS_P11_LOGIN_REFUSED, HSMART_OK},
};

static void
a_login_by_another_library_is(void **state)
{
    const struct handing_over *row = *state;
    hsmart_token_options options = fake_options();
    struct hs_p11_handover handover = {.guard.lock_fd = -1};
    struct hs_p11_token *token = NULL;

    options.pin_source = row->has_pin ? files.pin_source : NULL;
    token = open_fake(&options);
    assert_int_equal(hs_p11_handover_take(token, &handover, NULL), HSMART_OK);
    hs_p11_token_unref(token);
    assert_string_equal(handover.label, "fake");
    assert_int_equal(handover.has_login, row->has_pin);
    assert_int_equal(hs_p11_handover_begin(&handover, NULL), HSMART_OK);
    assert_int_equal(hs_p11_handover_end(&handover, row->end, NULL), HSMART_OK);
    hs_p11_handover_clear(&handover);
    options.pin_source = files.pin_source;
    token = NULL;
    assert_int_equal(hs_p11_token_open(&options, &token, NULL), row->next);
    hs_p11_token_unref(token);
}

static struct pin_limits {
    const char *name;
    CK_ULONG min, max; /* the PIN has 4 bytes */
    enum hsmart_code code;
    const char *part;
} pin_limits[] = {
    {"longer ones only", 6, 8, HSMART_PIN_REFUSED, "6 to 8"},
    {"shorter ones only", 1, 3, HSMART_PIN_REFUSED, "1 to 3"},
    {"just this length", 4, 4, HSMART_OK, ""},
    {"none told", 0, 0, HSMART_OK, ""},
    {"a smallest only", 6, 0, HSMART_OK, ""},
    {"no information", CK_UNAVAILABLE_INFORMATION, CK_UNAVAILABLE_INFORMATION, HSMART_OK, ""},
    {"a smallest above the largest", 8, 6, HSMART_OK, ""},
};

static void
a_pin_of_the_wrong_length_is_not_tried(void **state)
{
    const struct pin_limits *row = *state;
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = NULL;
    hsmart_err err = {0};

    fake->tokens[0].min_pin_len = row->min;
    fake->tokens[0].max_pin_len = row->max;
    assert_int_equal(hs_p11_token_open(&options, &token, &err), row->code);
    says(&err, row->part);
    assert_int_equal(fake->calls[FAKE_LOGIN], row->code == HSMART_OK);
    hs_p11_token_unref(token);
}

static void
a_user_who_is_logged_in_already_is_fine(void **state)
{
    hsmart_token_options options = fake_options();

    (void)state;
    fake_p11_answer(fake, FAKE_LOGIN, CKR_USER_ALREADY_LOGGED_IN, 0, 0);
    hs_p11_token_unref(open_fake(&options));
}

static void
without_a_pin_source_nobody_logs_in(void **state)
{
    hsmart_token_options options = fake_options();
    int fd = 99;

    (void)state;
    options.pin_source = NULL;
    struct hs_p11_token *token = open_fake(&options);
    assert_int_equal(fake->calls[FAKE_LOGIN], 0);
    assert_int_equal(hs_p11_token_pin_fd(token, &fd, NULL), HSMART_OK);
    assert_int_equal(fd, -1);
    hs_p11_token_unref(token);
}

static void
a_pin_pad_asks_for_the_pin_itself(void **state)
{
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = NULL;
    hsmart_err err = {0};

    (void)state;
    options.pin_source = "pinpad";
    assert_int_equal(hs_p11_token_open(&options, &token, &err), HSMART_PIN_UNAVAILABLE);
    says(&err, "no PIN pad");
    assert_int_equal(fake->calls[FAKE_LOGIN], 0);
    fake->tokens[0].flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
    token = open_fake(&options);
    assert_true(fake->pin_was_null && fake->logged_in);
    hs_p11_token_unref(token);
    token = NULL;
    fake_p11_answer(fake, FAKE_LOGIN, CKR_PIN_INCORRECT, 0, 0); /* a person typed it wrong, and may again */
    assert_int_equal(hs_p11_token_open(&options, &token, &err), HSMART_PIN_REFUSED);
    says(&err, "CKR_PIN_INCORRECT");
    fake_p11_answer(fake, FAKE_LOGIN, CKR_OK, 0, 0);
    hs_p11_token_unref(open_fake(&options));
}

static void
a_descriptor_gives_its_pin_though_it_can_be_read_once_only(void **state)
{
    hsmart_token_options options = fake_options();
    char source[32];
    int ends[2], fd = -1;
    char handed_on[8] = "";

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "1234\n", 5), 5);
    assert_int_equal(close(ends[1]), 0);
    (void)snprintf(source, sizeof source, "fd:%d", ends[0]);
    options.pin_source = source;
    struct hs_p11_token *token = open_fake(&options);
    assert_int_equal(hs_p11_token_pin_fd(token, &fd, NULL), HSMART_OK);
    assert_int_equal(read(fd, handed_on, sizeof handed_on - 1), 5);
    assert_string_equal(handed_on, "1234\n");
    assert_int_equal(close(fd), 0);
    assert_int_equal(close(ends[0]), 0);
    hs_p11_token_unref(token);
}

static void
nobody_is_asked_for_the_pin_of_a_token_that_is_not_there(void **state)
{
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = NULL;
    hsmart_err err = {0};

    (void)state;
    options.uri = "pkcs11:token=absent";
    options.pin_source = "fd:999"; /* which could not be read */
    assert_int_equal(hs_p11_token_open(&options, &token, &err), HSMART_TOKEN_ABSENT);
}

/* ---- False answers of a token that takes turns ---- */

static struct false_answer {
    const char *name, *quirks;
    enum fake_function function;
    CK_RV rv;
    unsigned last;
    enum hsmart_code code;
    unsigned logins; /* 0: any number */
} false_answers[] = {
    {"PIN_LEN_RANGE once", "serial-start", FAKE_LOGIN, CKR_PIN_LEN_RANGE, 1, HSMART_OK, 2},
    {"USER_PIN_NOT_INITIALIZED twice", "serial-start", FAKE_LOGIN, CKR_USER_PIN_NOT_INITIALIZED, 2, HSMART_OK, 3},
    {"GENERAL_ERROR once", "serial-start", FAKE_LOGIN, CKR_GENERAL_ERROR, 1, HSMART_OK, 2},
    {"no token for a moment", "serial-start", FAKE_GET_TOKEN_INFO, CKR_TOKEN_NOT_RECOGNIZED, 1, HSMART_OK, 1},
    {"the slot is gone when the session is opened", "serial-start", FAKE_OPEN_SESSION, CKR_SLOT_ID_INVALID, 1,
     HSMART_OK, 1},
    {"PIN_INCORRECT is never asked again", "serial-start", FAKE_LOGIN, CKR_PIN_INCORRECT, 1, HSMART_PIN_REFUSED, 1},
    {"PIN_LOCKED is never asked again", "serial-start", FAKE_LOGIN, CKR_PIN_LOCKED, 1, HSMART_PIN_LOCKED, 1},
    {"GENERAL_ERROR for ever ends", "serial-start", FAKE_LOGIN, CKR_GENERAL_ERROR, 0, HSMART_TOKEN_FAILED, 0},
    {"without the quirk PIN_LEN_RANGE is believed", NULL, FAKE_LOGIN, CKR_PIN_LEN_RANGE, 1, HSMART_PIN_REFUSED, 1},
    {"without the quirk GENERAL_ERROR is believed", NULL, FAKE_LOGIN, CKR_GENERAL_ERROR, 1, HSMART_TOKEN_FAILED, 1},
};

static void
a_false_answer_is_asked_for_again(void **state)
{
    const struct false_answer *row = *state;
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = NULL;
    hsmart_err err = {0};
    int64_t before = hs_clock_monotonic_ms();

    options.quirks = row->quirks;
    fake_p11_answer(fake, row->function, row->rv, row->last != 0 ? 1 : 0, row->last);
    assert_int_equal(hs_p11_token_open(&options, &token, &err), row->code);
    if (row->logins != 0)
        assert_int_equal(fake->calls[FAKE_LOGIN], row->logins);
    assert_true(fake->calls[FAKE_LOGIN] < 20);
    assert_true(hs_clock_monotonic_ms() - before < 5000);
    hs_p11_token_unref(token);
}

static void
the_quirk_is_seen_in_what_the_token_says_too(void **state)
{
    hsmart_token_options options = fake_options();

    (void)state;
    fake->tokens[0].manufacturer = "SoftHSM project";
    fake_p11_answer(fake, FAKE_LOGIN, CKR_GENERAL_ERROR, 1, 1);
    struct hs_p11_token *token = open_fake(&options);
    assert_true((hs_p11_token_get_quirks(token) & HS_QUIRK_SERIAL_START) != 0);
    hs_p11_token_unref(token);
}

/* ---- Sessions ---- */

static struct hs_p11_session *
acquire(struct hs_p11_token *token, bool read_write)
{
    struct hs_p11_session *session = NULL;
    hsmart_err err = {0};

    if (hs_p11_token_acquire(token, read_write, 1000, &session, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    return session;
}

static void
sessions_are_used_again_and_the_anchor_is_closed_last(void **state)
{
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = open_fake(&options);

    (void)state;
    assert_int_equal(fake->open_sessions, 1);
    for (int i = 0; i < 10; i++)
        hs_p11_token_release(token, acquire(token, false));
    assert_int_equal(fake->calls[FAKE_OPEN_SESSION], 2);
    struct hs_p11_session *one = acquire(token, false), *two = acquire(token, false);
    assert_int_not_equal(one->handle, two->handle);
    hs_p11_token_release(token, two);
    hs_p11_token_release(token, one);
    hs_p11_token_unref(token);
    assert_int_equal(fake->closed_last, fake->opened_first);
    assert_int_equal(fake->calls[FAKE_CLOSE_SESSION], fake->calls[FAKE_OPEN_SESSION]);
    assert_int_equal(fake->calls[FAKE_LOGOUT], 0);
}

static void
a_doubtful_session_is_closed(void **state)
{
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = open_fake(&options);
    struct hs_p11_session *session = acquire(token, false);

    (void)state;
    session->doubtful = true;
    hs_p11_token_release(token, session);
    assert_int_equal(fake->open_sessions, 1);
    session = acquire(token, false);
    assert_false(session->doubtful);
    hs_p11_token_release(token, session);
    hs_p11_token_unref(token);
}

static void
a_read_write_session_is_not_kept(void **state)
{
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = open_fake(&options);

    (void)state;
    hs_p11_token_release(token, acquire(token, true));
    assert_int_equal(fake->open_sessions, 1);
    hs_p11_token_unref(token);
}

static void
read_only_sessions_that_are_refused_become_read_write_ones(void **state)
{
    hsmart_token_options options = fake_options();

    (void)state;
    fake->read_write_only = true;
    struct hs_p11_token *token = open_fake(&options);
    hs_p11_token_release(token, acquire(token, false));
    hs_p11_token_unref(token);
    options.quirks = "rw-sessions";
    unsigned before = fake->calls[FAKE_OPEN_SESSION];
    hs_p11_token_unref(open_fake(&options));
    assert_int_equal(fake->calls[FAKE_OPEN_SESSION], before + 1);
}

static struct limit {
    const char *name;
    unsigned wanted;
    CK_ULONG reported;
    unsigned sessions;
} limits[] = {
    {"the default", 0, 0, 4},
    {"the setting", 7, 0, 7},
    {"the token's limit, less the anchor", 7, 5, 4},
    {"the token's limit of one is used for both", 7, 1, 7},
    {"no information", 0, CK_UNAVAILABLE_INFORMATION, 4},
    {"opencryptoki's odd number", 0, CK_UNAVAILABLE_INFORMATION - 1, 4},
    {"a number that nobody believes", 6, 0x80000000UL, 6},
    {"more than wanted", 3, 1024, 3},
};

static void
no_more_sessions_are_open_than_allowed(void **state)
{
    const struct limit *row = *state;
    hsmart_token_options options = fake_options();
    struct hs_p11_session *sessions[64], *one_more = NULL;
    hsmart_err err = {0};

    options.max_sessions = row->wanted;
    fake->tokens[0].max_sessions = row->reported;
    struct hs_p11_token *token = open_fake(&options);
    for (unsigned i = 0; i < row->sessions; i++)
        sessions[i] = acquire(token, false);
    assert_int_equal(hs_p11_token_acquire(token, false, 20, &one_more, &err), HSMART_TOKEN_BUSY);
    says(&err, "no session free within 20 ms");
    assert_int_equal(fake->open_sessions, row->sessions + 1);
    for (unsigned i = 0; i < row->sessions; i++)
        hs_p11_token_release(token, sessions[i]);
    hs_p11_token_unref(token);
}

static void
more_sessions_than_can_be_are_refused_before_the_module_is_loaded(void **state)
{
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = NULL;

    (void)state;
    options.max_sessions = 65;
    assert_int_equal(hs_p11_token_open(&options, &token, NULL), HSMART_INVALID_ARGUMENT);
    assert_int_equal(fake->calls[FAKE_LOGIN], 0);
    assert_int_equal(fake->open_sessions, 0);
}

static struct opening_failure {
    const char *name;
    CK_RV rv;
    enum hsmart_code code;
} opening_failures[] = {
    {"device error", CKR_DEVICE_ERROR, HSMART_TOKEN_FAILED},
    {"token gone", CKR_TOKEN_NOT_PRESENT, HSMART_TOKEN_ABSENT},
    {"no session free, and none of ours", CKR_SESSION_COUNT, HSMART_TOKEN_BUSY},
    {"bad arguments, which AWS CloudHSM says for no session free", CKR_ARGUMENTS_BAD, HSMART_TOKEN_BUSY},
    {"a code that means success elsewhere", CKR_USER_ALREADY_LOGGED_IN, HSMART_TOKEN_FAILED},
    {"another one", CKR_NO_EVENT, HSMART_TOKEN_FAILED},
    {"a vendor's code", 0x80000005UL, HSMART_TOKEN_FAILED},
};

static void
a_session_that_cannot_be_opened_is_an_error(void **state)
{
    const struct opening_failure *row = *state;
    hsmart_token_options options = fake_options();
    struct hs_p11_session *session = NULL;
    hsmart_err err = {0};
    struct hs_p11_token *token = open_fake(&options);

    fake_p11_answer(fake, FAKE_OPEN_SESSION, row->rv, 0, 0);
    assert_int_equal(hs_p11_token_acquire(token, false, 20, &session, &err), row->code);
    assert_null(session);
    says(&err, "the token answered");
    fake_p11_answer(fake, FAKE_OPEN_SESSION, CKR_OK, 0, 0);
    hs_p11_token_release(token, acquire(token, false));
    hs_p11_token_unref(token);
}

/* ---- Threads ---- */

struct crowd {
    struct hs_p11_token *token;
    atomic_uint inside, most_inside, failures;
    unsigned rounds;
};

static void *
one_of_the_crowd(void *arg)
{
    struct crowd *crowd = arg;

    for (unsigned i = 0; i < crowd->rounds; i++) {
        struct hs_p11_session *session = NULL;
        if (hs_p11_token_acquire(crowd->token, i % 17 == 0, 20000, &session, NULL) != HSMART_OK) {
            atomic_fetch_add(&crowd->failures, 1);
            continue;
        }
        unsigned inside = atomic_fetch_add(&crowd->inside, 1) + 1;
        unsigned most = atomic_load(&crowd->most_inside);
        while (inside > most && !atomic_compare_exchange_weak(&crowd->most_inside, &most, inside))
            continue;
        session->doubtful = i % 13 == 0;
        atomic_fetch_sub(&crowd->inside, 1);
        hs_p11_token_release(crowd->token, session);
    }
    return NULL;
}

static void
run_crowd(struct crowd *crowd, unsigned threads)
{
    pthread_t ids[16];

    for (unsigned i = 0; i < threads; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, one_of_the_crowd, crowd), 0);
    for (unsigned i = 0; i < threads; i++)
        assert_int_equal(pthread_join(ids[i], NULL), 0);
}

static void
many_threads_share_few_sessions_and_never_open_two_at_once(void **state)
{
    hsmart_token_options options = fake_options();
    struct crowd crowd = {.rounds = 200};

    (void)state;
    options.max_sessions = 3;
    fake->sleep_ms[FAKE_OPEN_SESSION] = 1;
    crowd.token = open_fake(&options);
    run_crowd(&crowd, 8);
    assert_int_equal(crowd.failures, 0);
    assert_int_equal(fake->most_opening, 1);
    hs_p11_token_unref(crowd.token);
    assert_int_equal(fake->open_sessions, 0);
    assert_int_equal(fake->closed_last, fake->opened_first);
}

static void
a_token_with_fewer_sessions_than_thought_is_waited_for(void **state)
{
    hsmart_token_options options = fake_options();
    struct crowd crowd = {.rounds = 100};

    (void)state;
    fake->session_limit = 3; /* the anchor and two more */
    crowd.token = open_fake(&options);
    run_crowd(&crowd, 8);
    assert_int_equal(crowd.failures, 0);
    assert_true(fake->most_sessions <= 3);
    hs_p11_token_unref(crowd.token);
}

static void *
release_later(void *arg)
{
    struct crowd *crowd = arg;
    struct hs_p11_session *session = acquire(crowd->token, false);

    atomic_store(&crowd->inside, 1);
    hs_clock_sleep_ms(50);
    hs_p11_token_release(crowd->token, session);
    return NULL;
}

static void
who_waits_for_a_session_gets_the_next_one(void **state)
{
    hsmart_token_options options = fake_options();
    struct crowd crowd = {0};
    pthread_t thread;

    (void)state;
    options.max_sessions = 1;
    crowd.token = open_fake(&options);
    assert_int_equal(pthread_create(&thread, NULL, release_later, &crowd), 0);
    while (atomic_load(&crowd.inside) == 0)
        hs_clock_sleep_ms(1);
    hs_p11_token_release(crowd.token, acquire(crowd.token, false));
    assert_int_equal(pthread_join(thread, NULL), 0);
    hs_p11_token_unref(crowd.token);
}

/* ---- Forks ---- */

static void
the_child_of_a_fork_opens_the_token_anew(void **state)
{
    hsmart_token_options options = fake_options();
    struct hs_p11_token *token = open_fake(&options), *own = NULL;
    struct hs_p11_session *session = NULL, *lent = acquire(token, false);
    int status = 0;

    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        hsmart_err err = {0};
        memset(fake->calls, 0, sizeof fake->calls);
        enum hsmart_code code = hs_p11_token_acquire(token, false, 10, &session, &err);
        bool told = code == HSMART_FORKED && strstr(err.text, "fork") != NULL;
        told = told && hs_p11_token_stop(token, NULL) == HSMART_FORKED;
        hs_p11_token_release(token, lent);
        hs_p11_token_unref(token);
        unsigned calls = 0;
        for (size_t i = 0; i < FAKE_FUNCTION_COUNT; i++)
            calls += fake->calls[i];
        if (!told || calls != 0)
            end_child(1);
        fake->initialized = false; /* as a module does that notices the fork */
        if (hs_p11_token_open(&options, &own, &err) != HSMART_OK)
            end_child(2);
        hs_p11_token_unref(own);
        end_child(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    hs_p11_token_release(token, lent); /* the parent is unharmed */
    hs_p11_token_release(token, acquire(token, false));
    hs_p11_token_unref(token);
    assert_int_equal(fake->open_sessions, 0);
}

/* ---- Setting up ---- */

static struct setting_up {
    const char *name, *label, *uri;
    bool initialized, reinitialize;
    CK_FLAGS added;
    CK_ULONG min_pin_len;
    enum hsmart_code code;
    const char *says;
} setting_ups[] = {
    {"a blank token", "new", NULL, false, false, 0, 4, HSMART_OK, NULL},
    {"a label of 32 bytes", "0123456789abcdef0123456789abcdef", NULL, false, false, 0, 4, HSMART_OK, NULL},
    {"a label of 33 bytes", "0123456789abcdef0123456789abcdef0", NULL, false, false, 0, 4, HSMART_INVALID_ARGUMENT,
     "1 to 32 bytes"},
    {"a label with an escape sequence", "\x1b[31m", NULL, false, false, 0, 4, HSMART_INVALID_ARGUMENT,
     "control character"},
    {"no label at all", NULL, NULL, false, false, 0, 4, HSMART_INVALID_ARGUMENT, "1 to 32 bytes"},
    {"no label", "", NULL, false, false, 0, 4, HSMART_INVALID_ARGUMENT, "1 to 32 bytes"},
    {"a label that is not UTF-8", "\xff", NULL, false, false, 0, 4, HSMART_INVALID_ARGUMENT, "UTF-8"},
    {"only tokens in use, and none named", "new", NULL, true, false, 0, 4, HSMART_TOKEN_ABSENT, "no uninitialised"},
    {"a token in use, named", "new", "pkcs11:token=fake", true, false, 0, 4, HSMART_TOKEN_EXISTS, "\"fake\""},
    {"a token in use, to be initialised again", "new", "pkcs11:token=fake", true, true, 0, 4, HSMART_OK, NULL},
    {"no such token", "new", "pkcs11:token=other", true, true, 0, 4, HSMART_TOKEN_ABSENT, "pkcs11:token=other"},
    {"PINs that are too short", "new", NULL, false, false, 0, 6, HSMART_PIN_REFUSED, "6 to 32"},
    {"the officer's PIN is locked", "new", "pkcs11:token=fake", true, true, CKF_SO_PIN_LOCKED, 4, HSMART_PIN_LOCKED,
     "locked"},
    {"the officer has one try left", "new", "pkcs11:token=fake", true, true, CKF_SO_PIN_FINAL_TRY, 4,
     HSMART_PIN_GUARDED, "one more wrong PIN"},
};

static void
a_token_is_set_up(void **state)
{
    const struct setting_up *row = *state;
    hsmart_token_options options = fake_options();
    hsmart_token_init_options init = {
        .label = row->label, .so_pin_source = files.so_pin_source, .reinitialize = row->reinitialize};
    hsmart_err err = {0};

    if (!row->initialized)
        fake->tokens[0].flags = CKF_LOGIN_REQUIRED;
    fake->tokens[0].flags |= row->added;
    fake->tokens[0].min_pin_len = row->min_pin_len;
    options.uri = row->uri;
    assert_int_equal(hs_p11_token_init(&options, &init, &err), row->code);
    says(&err, row->says);
    bool done = row->code == HSMART_OK;
    assert_int_equal(fake->calls[FAKE_INIT_TOKEN], done ? 1 : 0);
    assert_int_equal(fake->calls[FAKE_INIT_PIN], done ? 1 : 0);
    assert_int_equal(fake->open_sessions, 0);
    assert_int_equal(fake->calls[FAKE_LOGOUT], 0);
    if (done)
        assert_true((fake->tokens[0].flags & CKF_USER_PIN_INITIALIZED) != 0);
}

static struct half_set_up {
    const char *name;
    enum fake_function function;
    CK_RV rv;
    unsigned call; /* the one that answers so; 0: each */
    enum hsmart_code code;
    bool is_initialized; /* and so is without a user PIN */
} halves[] = {
    {"the slots cannot be listed", FAKE_GET_SLOT_LIST, CKR_DEVICE_ERROR, 1, HSMART_TOKEN_FAILED, false},
    {"it is not initialised", FAKE_INIT_TOKEN, CKR_SESSION_EXISTS, 0, HSMART_TOKEN_BUSY, false},
    {"the slots cannot be listed afterwards", FAKE_GET_SLOT_LIST, CKR_DEVICE_ERROR, 3, HSMART_TOKEN_FAILED, true},
    {"no session can be opened", FAKE_OPEN_SESSION, CKR_DEVICE_REMOVED, 0, HSMART_TOKEN_ABSENT, true},
    {"the officer is not let in", FAKE_LOGIN, CKR_PIN_INCORRECT, 0, HSMART_PIN_REFUSED, true},
    {"the user's PIN is refused", FAKE_INIT_PIN, CKR_PIN_TOO_WEAK, 0, HSMART_PIN_REFUSED, true},
};

static void
a_token_half_set_up_is_told(void **state)
{
    const struct half_set_up *row = *state;
    hsmart_token_options options = fake_options();
    hsmart_token_init_options init = {.label = "new", .so_pin_source = files.so_pin_source};
    hsmart_err err = {0};

    fake->tokens[0].flags = CKF_LOGIN_REQUIRED;
    fake_p11_answer(fake, row->function, row->rv, row->call, row->call);
    assert_int_equal(hs_p11_token_init(&options, &init, &err), row->code);
    assert_int_equal(strstr(err.text, "its user PIN is not set") != NULL, row->is_initialized);
    says(&err, "the token answered CKR_");
    assert_int_equal(fake->open_sessions, 0);
}

static void
one_that_cannot_be_told_from_another_gets_no_user_pin(void **state)
{
    hsmart_token_options options = fake_options();
    hsmart_token_init_options init = {.label = "new", .so_pin_source = files.so_pin_source};
    hsmart_err err = {0};

    (void)state;
    fake->tokens[1] = (struct fake_token){.label = "new", .serial = "2", .flags = CKF_TOKEN_INITIALIZED};
    fake->tokens[0].flags = CKF_LOGIN_REQUIRED;
    fake->token_count = 2;
    assert_int_equal(hs_p11_token_init(&options, &init, &err), HSMART_TOKEN_AMBIGUOUS);
    says(&err, "2 tokens with this label and without a user PIN");
    assert_int_equal(fake->calls[FAKE_INIT_PIN], 0);
}

static void
of_two_that_are_named_none_is_initialised(void **state)
{
    hsmart_token_options options = fake_options();
    hsmart_token_init_options init = {.label = "new", .so_pin_source = files.so_pin_source, .reinitialize = true};
    hsmart_err err = {0};

    (void)state;
    fake->tokens[1] = fake->tokens[0];
    fake->token_count = 2;
    options.uri = "pkcs11:token=fake";
    assert_int_equal(hs_p11_token_init(&options, &init, &err), HSMART_TOKEN_AMBIGUOUS);
    says(&err, "several tokens match pkcs11:token=fake");
    assert_int_equal(fake->calls[FAKE_INIT_TOKEN], 0);
}

static struct pin_sources {
    const char *name, *so_pin_source, *pin_source;
    enum hsmart_code code;
    const char *says;
} pin_sources[] = {
    {"none for the officer", NULL, "file:/no/such/pin", HSMART_INVALID_ARGUMENT, "two PIN sources"},
    {"one for the officer that is none", "1234", "file:/no/such/pin", HSMART_INVALID_ARGUMENT, "PIN source"},
    {"the officer at the PIN pad", "pinpad", "file:/no/such/pin", HSMART_INVALID_ARGUMENT, "PIN pad"},
    {"one for the officer that gives nothing", "file:/no/such/pin", "pinpad", HSMART_PIN_UNAVAILABLE, "No such file"},
    {"none for the user", "fd:9999", NULL, HSMART_PIN_UNAVAILABLE, "descriptor"},
};

static void
a_token_is_not_set_up_with_pin_sources(void **state)
{
    const struct pin_sources *row = *state;
    hsmart_token_options options = fake_options();
    hsmart_token_init_options init = {.label = "new", .so_pin_source = row->so_pin_source};
    hsmart_err err = {0};

    options.pin_source = row->pin_source;
    fake->tokens[0].flags = CKF_LOGIN_REQUIRED;
    assert_int_equal(hs_p11_token_init(&options, &init, &err), row->code);
    says(&err, row->says);
    assert_int_equal(fake->calls[FAKE_INIT_TOKEN], 0);
}

static void
a_module_that_cannot_set_up_says_so(void **state)
{
    hsmart_token_options options = fake_options();
    hsmart_token_init_options init = {.label = "new", .so_pin_source = files.so_pin_source};
    CK_FUNCTION_LIST before = *fake->functions;

    (void)state;
    fake->tokens[0].flags = CKF_LOGIN_REQUIRED;
    fake->functions->C_InitToken = NULL;
    assert_int_equal(hs_p11_token_init(&options, &init, NULL), HSMART_TOKEN_INCAPABLE);
    *fake->functions = before;
    fake->functions->C_InitPIN = NULL;
    assert_int_equal(hs_p11_token_init(&options, &init, NULL), HSMART_TOKEN_INCAPABLE);
    *fake->functions = before;
    assert_int_equal(fake->calls[FAKE_INIT_TOKEN], 0);
}

/* ---- SoftHSM2 ---- */

static int
remove_softhsm(void **state)
{
    (void)state;
    hs_test_token_remove(&files);
    return 0;
}

static void
softhsm_is_set_up_opened_and_opened_again(void **state)
{
    hsmart_err err = {0};

    (void)state;
    hs_test_token_make(&files, "a token; with = odd & bytes");
    hsmart_token_options options = hs_test_token_options(&files);
    options.uri = NULL;
    for (int i = 0; i < 3; i++) {
        struct hs_p11_token *token = open_fake(&options);
        assert_string_equal(hs_p11_token_get_info(token)->label, "a token; with = odd & bytes");
        assert_true(hs_p11_token_lists_mechanism(token, CKM_RSA_PKCS));
        struct hs_p11_session *session = acquire(token, false);
        struct hs_p11_object *objects = NULL;
        size_t count = 9;
        assert_int_equal(hs_p11_session_find(session, CKO_PRIVATE_KEY, NULL, 0, &objects, &count, &err), HSMART_OK);
        assert_int_equal(count, 0);
        hs_free(objects);
        hs_p11_token_release(token, session);
        options.uri = hs_p11_token_get_info(token)->uri;
        struct hs_p11_token *again = open_fake(&options); /* by its own URI */
        options.uri = NULL;
        hs_p11_token_unref(again);
        hs_p11_token_unref(token);
    }
}

static void
softhsm_refuses_a_wrong_pin_once_and_then_takes_the_right_one(void **state)
{
    struct hs_p11_token *token = NULL;
    hsmart_err err = {0};

    (void)state;
    hs_test_token_make(&files, "prod");
    hsmart_token_options options = hs_test_token_options(&files);
    options.pin_source = files.wrong_pin_source;
    assert_int_equal(hs_p11_token_open(&options, &token, &err), HSMART_PIN_REFUSED);
    says(&err, "few tries");
    assert_int_equal(hs_p11_token_open(&options, &token, &err), HSMART_PIN_GUARDED);
    options.pin_source = files.pin_source;
    hs_p11_token_unref(open_fake(&options));
}

static void
softhsm_is_not_set_up_twice_by_accident(void **state)
{
    hsmart_err err = {0};

    (void)state;
    hs_test_token_make(&files, "prod");
    hsmart_token_options options = hs_test_token_options(&files);
    hsmart_token_init_options init = {.label = "other", .so_pin_source = files.so_pin_source};
    assert_int_equal(hs_p11_token_init(&options, &init, &err), HSMART_TOKEN_EXISTS);
    init.reinitialize = true;
    assert_int_equal(hs_p11_token_init(&options, &init, &err), HSMART_OK);
    options.uri = "pkcs11:token=other";
    hs_p11_token_unref(open_fake(&options));
    init.so_pin_source = files.wrong_pin_source;
    assert_int_equal(hs_p11_token_init(&options, &init, &err), HSMART_PIN_REFUSED);
    hs_p11_token_unref(open_fake(&options));
}

int
main(void)
{
    struct rows rows = {0};

    ADD_ROWS(&rows, a_bad_module_is_told_exactly, bad_modules);
    ADD_ROWS(&rows, a_token_that_cannot_be_opened_says_why_and_leaves_nothing_open, bad_starts);
    ADD_TEST(&rows, a_token_that_lists_no_mechanisms_is_opened_all_the_same);
    ADD_TEST(&rows, a_module_that_starts_a_helper_does_not_lock_itself);
    ADD_TEST(&rows, the_init_string_reaches_the_module_and_only_one_is_open_at_a_time);
    ADD_TEST(&rows, two_tokens_share_a_module_that_is_finalised_with_the_last);
    ADD_TEST(&rows, a_module_that_others_initialised_is_never_finalised);
    ADD_ROWS(&rows, the_one_token_that_is_named_is_found, findings);
    ADD_TEST(&rows, many_tokens_are_told_in_part);
    ADD_TEST(&rows, every_token_is_listed_without_login);
    ADD_ROWS(&rows, the_flags_are_read_before_a_pin_is_tried, flagged);
    ADD_ROWS(&rows, a_wrong_pin_is_tried_once_and_what_is_left_is_told, refusals);
    ADD_ROWS(&rows, a_pin_that_no_answer_judges_is_tried_twice, unclears);
    ADD_TEST(&rows, an_end_that_cannot_be_written_down_is_told);
    ADD_ROWS(&rows, a_login_for_one_use_is, uses);
    ADD_ROWS(&rows, a_login_by_another_library_is, handings_over);
    ADD_ROWS(&rows, a_pin_of_the_wrong_length_is_not_tried, pin_limits);
    ADD_TEST(&rows, a_user_who_is_logged_in_already_is_fine);
    ADD_TEST(&rows, without_a_pin_source_nobody_logs_in);
    ADD_TEST(&rows, a_pin_pad_asks_for_the_pin_itself);
    ADD_TEST(&rows, a_descriptor_gives_its_pin_though_it_can_be_read_once_only);
    ADD_TEST(&rows, nobody_is_asked_for_the_pin_of_a_token_that_is_not_there);
    ADD_ROWS(&rows, a_false_answer_is_asked_for_again, false_answers);
    ADD_TEST(&rows, the_quirk_is_seen_in_what_the_token_says_too);
    ADD_TEST(&rows, sessions_are_used_again_and_the_anchor_is_closed_last);
    ADD_TEST(&rows, a_doubtful_session_is_closed);
    ADD_TEST(&rows, a_read_write_session_is_not_kept);
    ADD_TEST(&rows, read_only_sessions_that_are_refused_become_read_write_ones);
    ADD_ROWS(&rows, no_more_sessions_are_open_than_allowed, limits);
    ADD_TEST(&rows, more_sessions_than_can_be_are_refused_before_the_module_is_loaded);
    ADD_ROWS(&rows, a_session_that_cannot_be_opened_is_an_error, opening_failures);
    ADD_TEST(&rows, many_threads_share_few_sessions_and_never_open_two_at_once);
    ADD_TEST(&rows, a_token_with_fewer_sessions_than_thought_is_waited_for);
    ADD_TEST(&rows, who_waits_for_a_session_gets_the_next_one);
    ADD_TEST(&rows, the_child_of_a_fork_opens_the_token_anew);
    ADD_ROWS(&rows, a_token_is_set_up, setting_ups);
    ADD_ROWS(&rows, a_token_half_set_up_is_told, halves);
    ADD_TEST(&rows, one_that_cannot_be_told_from_another_gets_no_user_pin);
    ADD_TEST(&rows, of_two_that_are_named_none_is_initialised);
    ADD_ROWS(&rows, a_token_is_not_set_up_with_pin_sources, pin_sources);
    ADD_TEST(&rows, a_module_that_cannot_set_up_says_so);
    for (size_t i = 0; i < rows.count; i++) {
        rows.tests[i].setup_func = fresh_fake;
        rows.tests[i].teardown_func = remove_files;
    }
    size_t with_fake = rows.count;
    ADD_TEST(&rows, softhsm_is_set_up_opened_and_opened_again);
    ADD_TEST(&rows, softhsm_refuses_a_wrong_pin_once_and_then_takes_the_right_one);
    ADD_TEST(&rows, softhsm_is_not_set_up_twice_by_accident);
    for (size_t i = with_fake; i < rows.count; i++)
        rows.tests[i].teardown_func = remove_softhsm;
    return rows_run("p11_token", &rows);
}
