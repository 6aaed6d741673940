/* The ladder: what brings a token back, how often it is asked, and what the others see meanwhile. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "fake/fake_p11.h"
#include "p11_ckr.h"
#include "p11_token.h"
#include "rows.h"
#include "softhsm.h"

#define FIRST_BACKOFF_MS 125 /* 100 ms and a fifth, and a little */

static struct fake_p11 *fake;
static struct hs_test_token files; /* PIN files and the guard's state */
static struct hs_p11_token *token;
static char log_text[8192];

static void
keep_log(void *arg, enum hsmart_log_level level, const char *line)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    (void)arg;
    (void)level;
    (void)pthread_mutex_lock(&lock);
    size_t len = strlen(log_text);
    (void)snprintf(log_text + len, sizeof log_text - len, "%s\n", line);
    (void)pthread_mutex_unlock(&lock);
}

static hsmart_token_options
options_with(unsigned max_sessions, unsigned timeout_ms)
{
    return (hsmart_token_options){.module = FAKE_P11_MODULE,
                                  .uri = "pkcs11:token=fake",
                                  .pin_source = files.pin_source,
                                  .state_directory = files.state,
                                  .max_sessions = max_sessions,
                                  .timeout_ms = timeout_ms,
                                  .log = keep_log};
}

static struct hs_p11_token *
open_token(unsigned max_sessions, unsigned timeout_ms)
{
    hsmart_token_options options = options_with(max_sessions, timeout_ms);
    struct hs_p11_token *opened = NULL;
    hsmart_err err = {0};

    if (hs_p11_token_open(&options, &opened, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    return opened;
}

/* From here on calls are counted from 0. */
static void
forget_calls(void)
{
    memset(fake->calls, 0, sizeof fake->calls);
}

static int
fresh_token(void **state)
{
    char path[96];

    (void)state;
    files = (struct hs_test_token){.dir = "/tmp/hsmart-token-XXXXXX"};
    assert_non_null(mkdtemp(files.dir));
    hs_test_write(&files, "pin", "1234\n", path);
    (void)snprintf(files.pin_source, sizeof files.pin_source, "file:%.80s", path);
    (void)snprintf(files.state, sizeof files.state, "%s/state", files.dir);
    fake = fake_p11_load();
    log_text[0] = 0;
    token = open_token(0, 2000);
    forget_calls();
    return 0;
}

static int
no_token(void **state)
{
    (void)state;
    hs_p11_token_unref(token);
    token = NULL;
    hs_test_token_remove(&files);
    return fake->open_sessions == 0 && !fake->initialized ? 0 : -1;
}

static void
says(const hsmart_err *err, const char *part)
{
    if (strstr(err->text, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err->text, part);
}

static enum hsmart_code
run_sign(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    struct hs_buf signature = {0};

    (void)arg;
    enum hsmart_code code = hs_p11_session_sign_begin(session, &mechanism, 1, err);
    if (code == HSMART_OK)
        code = hs_p11_session_sign_end(session, span("digest"), &signature, err);
    hs_buf_clear(&signature);
    return code;
}
static const struct hs_p11_operation sign = {run_sign, NULL, NULL};

static enum hsmart_code
run_answer(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    const enum hsmart_code *code = arg;

    (void)session;
    return *code == HSMART_OK ? HSMART_OK : hs_err_set(err, *code, "as the test says");
}

/* ---- The table ---- */

static struct step {
    const char *name;
    CK_RV rv;
    enum hs_rung highest, next;
} steps[] = {
    {"a lost session: a new one", CKR_SESSION_HANDLE_INVALID, HS_RUNG_NONE, HS_RUNG_NEW_SESSION},
    {"lost again: login", CKR_SESSION_HANDLE_INVALID, HS_RUNG_NEW_SESSION, HS_RUNG_LOGIN},
    {"and again: reload", CKR_SESSION_HANDLE_INVALID, HS_RUNG_LOGIN, HS_RUNG_RELOAD},
    {"lost after a reload: the end", CKR_SESSION_HANDLE_INVALID, HS_RUNG_RELOAD, HS_RUNG_NONE},
    {"a stale handle: login", CKR_OBJECT_HANDLE_INVALID, HS_RUNG_NONE, HS_RUNG_LOGIN},
    {"a stale handle in a new session: login, no reload yet", CKR_KEY_HANDLE_INVALID, HS_RUNG_NEW_SESSION,
     HS_RUNG_LOGIN},
    {"a stale handle after login: reload", CKR_KEY_HANDLE_INVALID, HS_RUNG_LOGIN, HS_RUNG_RELOAD},
    {"login lost: login", CKR_USER_NOT_LOGGED_IN, HS_RUNG_NONE, HS_RUNG_LOGIN},
    {"the device fails: a new session", CKR_DEVICE_ERROR, HS_RUNG_NONE, HS_RUNG_NEW_SESSION},
    {"a vendor's code: a new session", 0x80000001UL, HS_RUNG_NONE, HS_RUNG_NEW_SESSION},
    {"an unknown code: a new session", 0x4711UL, HS_RUNG_NONE, HS_RUNG_NEW_SESSION},
    {"no session free: once more", CKR_SESSION_COUNT, HS_RUNG_NONE, HS_RUNG_NEW_SESSION},
    {"no session free, still: never a reload", CKR_SESSION_COUNT, HS_RUNG_NEW_SESSION, HS_RUNG_NONE},
    {"a wrong PIN: never", CKR_PIN_INCORRECT, HS_RUNG_NONE, HS_RUNG_NONE},
    {"a locked PIN: never", CKR_PIN_LOCKED, HS_RUNG_NONE, HS_RUNG_NONE},
    {"no such mechanism: never", CKR_MECHANISM_INVALID, HS_RUNG_NONE, HS_RUNG_NONE},
    {"bad data: never", CKR_DATA_LEN_RANGE, HS_RUNG_NONE, HS_RUNG_NONE},
    {"a failed self-test: never", CKR_FIPS_SELF_TEST_FAILED, HS_RUNG_NONE, HS_RUNG_NONE},
    {"the officer is logged in: never", CKR_USER_ANOTHER_ALREADY_LOGGED_IN, HS_RUNG_NONE, HS_RUNG_NONE},
    {"success: nothing to do", CKR_OK, HS_RUNG_NONE, HS_RUNG_NONE},
};

static void
the_next_rung_is_the_lowest_that_helps(void **state)
{
    const struct step *row = *state;

    assert_int_equal(hs_p11_rung_after(row->rv, row->highest), row->next);
}

/* ---- One request ---- */

static struct failing {
    const char *name;
    CK_RV rv;
    unsigned times; /* 0: for ever */
    enum hsmart_code code;
    unsigned tries, logins, starts;
    bool opens_circuit;
} failings[] = {
    {"a session lost once", CKR_SESSION_HANDLE_INVALID, 1, HSMART_OK, 2, 0, 0, false},
    {"a session lost twice", CKR_SESSION_HANDLE_INVALID, 2, HSMART_OK, 3, 1, 0, false},
    {"a session lost three times", CKR_SESSION_CLOSED, 3, HSMART_OK, 4, 2, 1, false},
    {"sessions lost for ever", CKR_SESSION_HANDLE_INVALID, 0, HSMART_SESSION_LOST, 4, 2, 1, true},
    {"a stale handle once", CKR_OBJECT_HANDLE_INVALID, 1, HSMART_OK, 2, 1, 0, false},
    {"a stale handle twice", CKR_KEY_HANDLE_INVALID, 2, HSMART_OK, 3, 2, 1, false},
    {"a stale handle for ever", CKR_KEY_HANDLE_INVALID, 0, HSMART_SESSION_LOST, 3, 2, 1, true},
    {"login lost once", CKR_USER_NOT_LOGGED_IN, 1, HSMART_OK, 2, 1, 0, false},
    {"the device fails once", CKR_DEVICE_ERROR, 1, HSMART_OK, 2, 0, 0, false},
    {"the device fails twice", CKR_GENERAL_ERROR, 2, HSMART_OK, 3, 1, 0, false},
    {"the device fails three times", CKR_HOST_MEMORY, 3, HSMART_OK, 4, 2, 1, false},
    {"the device fails for ever", CKR_DEVICE_ERROR, 0, HSMART_TOKEN_FAILED, 4, 2, 1, true},
    {"unplugged for ever", CKR_DEVICE_REMOVED, 0, HSMART_TOKEN_ABSENT, 4, 2, 1, true},
    {"a vendor's code for ever", 0x80000001UL, 0, HSMART_TOKEN_FAILED, 4, 2, 1, true},
    {"no session free once", CKR_SESSION_COUNT, 1, HSMART_OK, 2, 0, 0, false},
    {"no session free for ever", CKR_SESSION_COUNT, 0, HSMART_TOKEN_BUSY, 2, 0, 0, false},
    {"a mechanism that is not there", CKR_MECHANISM_INVALID, 0, HSMART_TOKEN_INCAPABLE, 1, 0, 0, false},
    {"a wrong PIN", CKR_PIN_INCORRECT, 0, HSMART_PIN_REFUSED, 1, 0, 0, false},
    {"a locked PIN", CKR_PIN_LOCKED, 0, HSMART_PIN_LOCKED, 1, 0, 0, false},
    {"bad arguments", CKR_ARGUMENTS_BAD, 0, HSMART_TOKEN_FAILED, 1, 0, 0, false},
    {"action prohibited", CKR_ACTION_PROHIBITED, 0, HSMART_TOKEN_FAILED, 1, 0, 0, false},
};

/* "Cannot" is asked once more after a login when the session looks logged out; then it stands, and the circuit stays
 * closed. */
static void
a_token_that_never_tells_of_logins_costs_one_login_and_its_answer_stands(void **state)
{
    hsmart_err err = {0};

    (void)state;
    fake->logins_untold = true;
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_KEY_TYPE_INCONSISTENT, 0, 0);
    for (unsigned i = 1; i <= 2; i++) {
        assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_TOKEN_INCAPABLE);
        assert_int_equal(fake->calls[FAKE_LOGIN], i);
    }
    assert_int_equal(fake->calls[FAKE_INITIALIZE], 0);
}

static void
a_request_climbs_as_far_as_it_must_and_no_further(void **state)
{
    const struct failing *row = *state;
    hsmart_err err = {0};

    if (row->times == 0)
        fake_p11_answer(fake, FAKE_SIGN_INIT, row->rv, 0, 0);
    else
        fake_p11_answer(fake, FAKE_SIGN_INIT, row->rv, 1, row->times);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), row->code);
    assert_int_equal(fake->calls[FAKE_SIGN_INIT], row->tries);
    assert_int_equal(fake->calls[FAKE_LOGIN], row->logins);
    assert_int_equal(fake->calls[FAKE_INITIALIZE], row->starts);
    assert_int_equal(fake->calls[FAKE_FINALIZE], row->starts);
    assert_int_equal(fake->calls[FAKE_LOGOUT], 0);
    if (row->code != HSMART_OK)
        says(&err, "the token answered");

    forget_calls();
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_OK, 0, 0);
    enum hsmart_code next = hs_p11_token_request(token, &sign, &err);
    assert_int_equal(next, row->opens_circuit ? HSMART_TOKEN_UNAVAILABLE : HSMART_OK);
    assert_int_equal(fake->calls[FAKE_SIGN_INIT], row->opens_circuit ? 0 : 1);
}

static void
no_answer_at_all_makes_it_try_for_ever(void **state)
{
    (void)state;
    for (size_t i = 0; i < hs_ckr_row_count; i++) {
        const struct hs_ckr_row *row = &hs_ckr_rows[i];
        if (row->rv == CKR_OK)
            continue;
        void *unused = NULL;
        (void)no_token(&unused);
        (void)fresh_token(&unused);
        fake_p11_answer(fake, FAKE_SIGN_INIT, row->rv, 0, 0);
        enum hsmart_code code = hs_p11_token_request(token, &sign, NULL);
        assert_int_not_equal(code, HSMART_OK);
        assert_true(fake->calls[FAKE_SIGN_INIT] <= 4);
        assert_true(fake->calls[FAKE_INITIALIZE] <= 1);
        assert_true(fake->calls[FAKE_LOGIN] <= 2);
        bool about_pin = row->class == HS_CKR_PIN_WRONG || row->class == HS_CKR_PIN_STATE;
        if (about_pin)
            assert_int_equal(fake->calls[FAKE_LOGIN], 0);
    }
}

static void
what_is_not_the_tokens_fault_is_tried_once(void **state)
{
    static const enum hsmart_code codes[] = {HSMART_KEY_MISMATCH, HSMART_POLICY_REFUSED, HSMART_PIN_GUARDED,
                                             HSMART_NO_MEMORY, HSMART_INTERNAL};

    (void)state;
    for (size_t i = 0; i < HS_ARRAY_LEN(codes); i++) {
        enum hsmart_code code = codes[i];
        const struct hs_p11_operation operation = {run_answer, NULL, &code};
        assert_int_equal(hs_p11_token_request(token, &operation, NULL), code);
        assert_int_equal(fake->calls[FAKE_LOGIN], 0);
    }
    assert_int_equal(hs_p11_token_request(token, &sign, NULL), HSMART_OK);
}

static enum hsmart_code
check_some(void *arg, hsmart_err *err)
{
    unsigned *wrong = arg;

    if (*wrong == 0)
        return HSMART_OK;
    (*wrong)--;
    return hs_err_set(err, HSMART_SIGNATURE_WRONG, "the signature does not verify");
}

static void
a_wrong_signature_gets_one_more_try_on_a_restarted_module(void **state)
{
    unsigned wrong = 1;
    struct hs_p11_operation operation = {run_sign, check_some, &wrong};

    (void)state;
    assert_int_equal(hs_p11_token_request(token, &operation, NULL), HSMART_OK);
    assert_int_equal(fake->calls[FAKE_INITIALIZE], 1);
    wrong = 99;
    forget_calls();
    assert_int_equal(hs_p11_token_request(token, &operation, NULL), HSMART_SIGNATURE_WRONG);
    assert_int_equal(wrong, 97);
    /* It says something of this key and mechanism, and nothing of the next request. */
    assert_int_equal(hs_p11_token_request(token, &sign, NULL), HSMART_OK);
}

/* Shown again once the module was started anew; `arg`: it never is. */
static enum hsmart_code
run_with_a_key_that_is_gone(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    const bool *is_gone_for_good = arg;

    (void)session;
    if (!*is_gone_for_good && fake->calls[FAKE_INITIALIZE] > 0)
        return HSMART_OK;
    return hs_err_set(err, HSMART_KEY_ABSENT, "the key is gone from the token");
}

static void
a_key_that_is_gone_is_looked_for_in_a_restarted_module(void **state)
{
    bool is_gone_for_good = false;
    const struct hs_p11_operation operation = {run_with_a_key_that_is_gone, NULL, &is_gone_for_good};

    (void)state;
    assert_int_equal(hs_p11_token_request(token, &operation, NULL), HSMART_OK);
    assert_int_equal(fake->calls[FAKE_INITIALIZE], 1);
}

static void
a_key_that_stays_gone_hardly_disturbs_the_others(void **state)
{
    bool is_gone_for_good = true;
    const struct hs_p11_operation operation = {run_with_a_key_that_is_gone, NULL, &is_gone_for_good};

    (void)state;
    for (unsigned restarts = 1; restarts < 4; restarts++) {
        int64_t until_ms = hs_clock_monotonic_ms() + 60;
        do {
            assert_int_equal(hs_p11_token_request(token, &operation, NULL), HSMART_KEY_ABSENT);
            assert_int_equal(hs_p11_token_request(token, &sign, NULL), HSMART_OK);
        } while (hs_clock_monotonic_ms() < until_ms);
        assert_in_range(fake->calls[FAKE_INITIALIZE], 1, restarts);
        hs_clock_sleep_ms((unsigned)FIRST_BACKOFF_MS << (restarts - 1));
    }
    is_gone_for_good = false; /* it was made anew */
    assert_int_equal(hs_p11_token_request(token, &operation, NULL), HSMART_OK);
}

/* ---- The circuit ---- */

static void
an_open_circuit_tells_why_and_closes_after_a_good_probe(void **state)
{
    hsmart_err err = {0};

    (void)state;
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_DEVICE_ERROR, 0, 0);
    fake_p11_answer(fake, FAKE_OPEN_SESSION, CKR_DEVICE_REMOVED, 2, 0xffff);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_TOKEN_ABSENT);
    forget_calls();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_TOKEN_UNAVAILABLE);
        says(&err, "out of order");
        says(&err, "CKR_DEVICE_REMOVED");
    }
    for (size_t i = 0; i < FAKE_FUNCTION_COUNT; i++)
        assert_int_equal(fake->calls[i], 0);

    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_OK, 0, 0);
    fake_p11_answer(fake, FAKE_OPEN_SESSION, CKR_OK, 0, 0);
    hs_clock_sleep_ms(FIRST_BACKOFF_MS);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_OK);
    assert_int_equal(fake->calls[FAKE_LOGIN], 1);
    assert_non_null(strstr(log_text, "works again"));
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_OK);
    assert_int_equal(fake->calls[FAKE_LOGIN], 1);
}

static enum hsmart_code
run_while_the_login_is_lost(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    (void)arg;
    (void)session;
    (void)err;
    fake->tokens[0].pin = "5678";
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_USER_NOT_LOGGED_IN, 1, 1);
    assert_int_equal(hs_p11_token_request(token, &sign, NULL), HSMART_PIN_REFUSED);
    return HSMART_OK;
}

/* It was begun with a login that is gone: nothing is known of the next. */
static void
a_request_from_before_a_recovery_does_not_close_the_circuit(void **state)
{
    const struct hs_p11_operation overtaken = {run_while_the_login_is_lost, NULL, NULL};
    hsmart_err err = {0};

    (void)state;
    assert_int_equal(hs_p11_token_request(token, &overtaken, &err), HSMART_OK);
    assert_null(strstr(log_text, "works again"));
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_TOKEN_UNAVAILABLE);
    hs_test_write(&files, "pin", "5678\n", NULL);
    hs_clock_sleep_ms(FIRST_BACKOFF_MS);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_OK);
    assert_non_null(strstr(log_text, "works again"));
}

/* A failed recovery leaves no login: what a session shows then (no private key at all) must not be believed. */
static void
no_session_is_lent_after_a_recovery_that_failed(void **state)
{
    struct hs_p11_session *session = NULL;
    hsmart_err err = {0};

    (void)state;
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_USER_NOT_LOGGED_IN, 1, 1);
    fake_p11_answer(fake, FAKE_LOGIN, CKR_FUNCTION_FAILED, 0, 0);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_TOKEN_FAILED);
    says(&err, "CKR_FUNCTION_FAILED");
    assert_int_equal(hs_p11_token_acquire(token, false, 50, &session, &err), HSMART_TOKEN_UNAVAILABLE);
    says(&err, "CKR_FUNCTION_FAILED");
    assert_int_equal(hs_p11_token_acquire(token, true, 50, &session, &err), HSMART_TOKEN_UNAVAILABLE);
    assert_null(session);
    assert_int_equal(fake->open_sessions, 0);
}

static void
a_pin_changed_meanwhile_is_tried_once_and_the_new_one_helps(void **state)
{
    hsmart_err err = {0};

    (void)state;
    fake->tokens[0].pin = "5678";
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_USER_NOT_LOGGED_IN, 1, 1);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_PIN_REFUSED);
    assert_int_equal(fake->calls[FAKE_LOGIN], 1);
    for (unsigned i = 0; i < 2; i++) { /* the circuit lets a probe through: the guard does not let the PIN */
        assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_TOKEN_UNAVAILABLE);
        hs_clock_sleep_ms((unsigned)FIRST_BACKOFF_MS << i);
        assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_PIN_GUARDED);
    }
    assert_int_equal(fake->calls[FAKE_LOGIN], 1);
    hs_test_write(&files, "pin", "5678\n", NULL);
    hs_clock_sleep_ms(FIRST_BACKOFF_MS << 2);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_OK);
    assert_int_equal(fake->calls[FAKE_LOGIN], 2);
}

static void
another_token_in_the_slot_is_not_taken_for_this_one(void **state)
{
    hsmart_err err = {0};

    (void)state;
    fake->tokens[0].serial = "0002";
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_DEVICE_ERROR, 1, 3);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_TOKEN_ABSENT);
    says(&err, "serial 0002");
    assert_int_equal(fake->calls[FAKE_LOGIN], 1); /* by the rung before, which does not look for the token */
}

/* Zeros in place of blanks: its URI matches any serial number then. */
static void
another_token_is_not_taken_for_one_without_a_serial_number(void **state)
{
    hsmart_err err = {0};

    (void)state;
    hs_p11_token_unref(token);
    fake->tokens[0].serial = NULL;
    token = open_token(0, 2000);
    fake->tokens[0].serial = "0002";
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_DEVICE_ERROR, 1, 3);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_TOKEN_ABSENT);
    says(&err, "another one than before (serial 0002");
}

static void
a_token_that_is_gone_after_a_restart_by_another_is_told(void **state)
{
    hsmart_err err = {0};

    (void)state;
    struct hs_p11_token *other = open_token(0, 2000);
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_DEVICE_ERROR, 1, 3);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_OK);
    fake->tokens[0].absent = true;
    assert_int_equal(hs_p11_token_request(other, &sign, &err), HSMART_TOKEN_ABSENT);
    fake->tokens[0].absent = false;
    hs_p11_token_unref(other);
}

/* Loses its login while another request cannot log in again. */
static enum hsmart_code
run_beside_a_recovery_that_fails(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    unsigned *runs = arg;

    if (++*runs > 1)
        return HSMART_OK;
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_USER_NOT_LOGGED_IN, 1, 1);
    fake_p11_answer(fake, FAKE_LOGIN, CKR_PIN_INCORRECT, 1, 1);
    assert_int_equal(hs_p11_token_request(token, &sign, NULL), HSMART_PIN_REFUSED);
    session->last_rv = CKR_USER_NOT_LOGGED_IN;
    session->doubtful = true;
    return hs_ckr_set(err, session->last_rv);
}

static void
a_recovery_that_failed_for_another_is_not_tried_again_at_once(void **state)
{
    unsigned runs = 0;
    const struct hs_p11_operation operation = {run_beside_a_recovery_that_fails, NULL, &runs};
    hsmart_err err = {0};

    (void)state;
    assert_int_equal(hs_p11_token_request(token, &operation, &err), HSMART_TOKEN_UNAVAILABLE);
    says(&err, "CKR_PIN_INCORRECT");
    assert_int_equal(runs, 1);
    assert_int_equal(fake->calls[FAKE_LOGIN], 1);
}

static void
a_module_that_does_not_start_again_is_started_by_the_probe(void **state)
{
    hsmart_err err = {0};

    (void)state;
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_DEVICE_ERROR, 1, 3);
    fake_p11_answer(fake, FAKE_INITIALIZE, CKR_HOST_MEMORY, 1, 1);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_MODULE_UNUSABLE);
    says(&err, "CKR_HOST_MEMORY");
    hs_clock_sleep_ms(FIRST_BACKOFF_MS);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_OK);
}

/* ---- Two tokens on one module ---- */

static void
a_module_that_two_tokens_share_is_restarted_for_both(void **state)
{
    hsmart_err err = {0};

    (void)state;
    struct hs_p11_token *other = open_token(0, 2000);
    assert_int_equal(hs_p11_token_request(other, &sign, &err), HSMART_OK);
    forget_calls();
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_DEVICE_ERROR, 1, 3);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_OK);
    assert_int_equal(fake->calls[FAKE_FINALIZE], 1);
    assert_int_equal(fake->calls[FAKE_INITIALIZE], 1);
    unsigned logins = fake->calls[FAKE_LOGIN];
    assert_int_equal(hs_p11_token_request(other, &sign, &err), HSMART_OK);
    assert_int_equal(fake->calls[FAKE_LOGIN], logins + 1);
    assert_int_equal(hs_p11_token_request(other, &sign, &err), HSMART_OK);
    assert_int_equal(fake->calls[FAKE_LOGIN], logins + 1);
    assert_int_equal(fake->calls[FAKE_FINALIZE], 1);
    hs_p11_token_unref(other);
}

static void
a_module_that_another_token_is_inside_of_is_not_restarted(void **state)
{
    struct hs_p11_session *lent = NULL;
    hsmart_err err = {0};

    (void)state;
    struct hs_p11_token *other = open_token(0, 2000);
    assert_int_equal(hs_p11_token_acquire(other, false, 100, &lent, NULL), HSMART_OK);
    forget_calls();
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_DEVICE_ERROR, 1, 3);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_OK);
    assert_int_equal(fake->calls[FAKE_FINALIZE], 0);
    assert_int_equal(fake->calls[FAKE_INITIALIZE], 0);

    /* And a probe, which begins on that rung, works without it too. */
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_DEVICE_ERROR, 0, 0);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_TOKEN_FAILED);
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_OK, 0, 0);
    hs_clock_sleep_ms(FIRST_BACKOFF_MS);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_OK);
    assert_int_equal(fake->calls[FAKE_FINALIZE], 0);
    hs_p11_token_release(other, lent);
    assert_int_equal(hs_p11_token_request(other, &sign, &err), HSMART_OK);
    hs_p11_token_unref(other);
}

static void *
request_that_hangs(void *arg)
{
    return hs_p11_token_request(token, &sign, NULL) != HSMART_OK ? arg : NULL;
}

static void
a_restart_that_hangs_for_one_token_holds_up_another_until_its_deadline(void **state)
{
    hsmart_err err = {0};
    pthread_t thread;

    (void)state;
    (void)alarm(60);
    struct hs_p11_token *other = open_token(0, 300);
    forget_calls();
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_DEVICE_ERROR, 0, 0);
    assert_int_equal(hs_p11_token_request(other, &sign, &err), HSMART_TOKEN_FAILED);
    unsigned starts = fake->calls[FAKE_INITIALIZE];
    fake_p11_hold(fake, FAKE_INITIALIZE, true);
    assert_int_equal(pthread_create(&thread, NULL, request_that_hangs, NULL), 0);
    while (fake_p11_calls(fake, FAKE_INITIALIZE) == starts)
        hs_clock_sleep_ms(1);
    hs_clock_sleep_ms(FIRST_BACKOFF_MS);
    assert_int_equal(hs_p11_token_request(other, &sign, &err), HSMART_TOKEN_UNAVAILABLE); /* as a probe */
    says(&err, "is still being recovered");
    struct hs_p11_session *session = NULL;
    assert_int_equal(hs_p11_token_acquire(other, false, 20, &session, &err), HSMART_TOKEN_BUSY);
    says(&err, "was still being recovered after 20 ms");
    fake_p11_hold(fake, FAKE_INITIALIZE, false);
    assert_int_equal(pthread_join(thread, NULL), 0);
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_OK, 0, 0);
    assert_int_equal(hs_p11_token_request(other, &sign, &err), HSMART_OK); /* the next probe */
    hs_p11_token_unref(other);
    (void)alarm(0);
}

/* ---- Threads ---- */

#define THREADS 8U

struct crowd {
    struct hs_p11_token *token;
    pthread_barrier_t barrier;
    atomic_uint met, failed;
};

/* On the first try all of them hold a session before anybody is answered. */
static enum hsmart_code
run_together(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    struct crowd *crowd = arg;

    if (atomic_fetch_add(&crowd->met, 1) < THREADS)
        (void)pthread_barrier_wait(&crowd->barrier);
    return run_sign(NULL, session, err);
}

static void *
request_in_a_crowd(void *arg)
{
    struct crowd *crowd = arg;
    const struct hs_p11_operation operation = {run_together, NULL, crowd};

    if (hs_p11_token_request(crowd->token, &operation, NULL) != HSMART_OK)
        atomic_fetch_add(&crowd->failed, 1);
    return NULL;
}

static void
many_threads_that_lose_their_login_log_in_once(void **state)
{
    struct crowd crowd = {.token = open_token(THREADS, 5000)};
    pthread_t threads[THREADS];

    (void)state;
    forget_calls();
    assert_int_equal(pthread_barrier_init(&crowd.barrier, NULL, THREADS), 0);
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_USER_NOT_LOGGED_IN, 1, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, request_in_a_crowd, &crowd), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&crowd.failed), 0);
    assert_int_equal(fake->calls[FAKE_LOGIN], 1);
    assert_int_equal(fake->most_opening, 1);
    (void)pthread_barrier_destroy(&crowd.barrier);
    hs_p11_token_unref(crowd.token);
}

static void *
sign_until_told(void *arg)
{
    struct crowd *crowd = arg;

    while (atomic_load(&crowd->met) == 0)
        if (hs_p11_token_request(crowd->token, &sign, NULL) != HSMART_OK)
            atomic_fetch_add(&crowd->failed, 1);
    return NULL;
}

static void
threads_go_on_through_recoveries(void **state)
{
    struct crowd crowd = {.token = token};
    pthread_t threads[THREADS];

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_until_told, &crowd), 0);
    for (int i = 0; i < 20; i++) {
        unsigned wrong = 1;
        const struct hs_p11_operation operation = {run_sign, check_some, &wrong};
        assert_int_equal(hs_p11_token_request(token, &operation, NULL), HSMART_OK); /* restarts the module */
    }
    atomic_store(&crowd.met, 1);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&crowd.failed), 0);
    assert_true(fake->calls[FAKE_FINALIZE] >= 20);
}

static void
threads_of_one_token_go_on_while_another_restarts_the_module(void **state)
{
    struct crowd crowd = {.token = open_token(0, 10000)};
    pthread_t threads[THREADS];

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_until_told, &crowd), 0);
    for (int i = 0; i < 50; i++) {
        unsigned wrong = 1;
        const struct hs_p11_operation operation = {run_sign, check_some, &wrong};
        assert_int_equal(hs_p11_token_request(token, &operation, NULL), HSMART_OK);
    }
    atomic_store(&crowd.met, 1);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&crowd.failed), 0);
    hs_p11_token_unref(crowd.token);
}

static void *
sign_slowly(void *arg)
{
    struct crowd *crowd = arg;
    struct hs_p11_session *session = NULL;

    if (hs_p11_token_acquire(crowd->token, false, 1000, &session, NULL) != HSMART_OK)
        return NULL;
    atomic_store(&crowd->met, 1);
    (void)session->p11->C_Sign(session->handle, NULL, 0, NULL, &(CK_ULONG){0});
    session->doubtful = true;
    hs_p11_token_release(crowd->token, session);
    atomic_store(&crowd->met, 2);
    return NULL;
}

static enum hsmart_code
run_sign_init(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};

    (void)arg;
    session->last_rv = session->p11->C_SignInit(session->handle, &mechanism, 1);
    session->doubtful = session->last_rv != CKR_OK;
    return session->last_rv == CKR_OK ? HSMART_OK : hs_ckr_set(err, session->last_rv);
}
static const struct hs_p11_operation sign_init = {run_sign_init, NULL, NULL};

static struct hang {
    const char *name;
    unsigned max_sessions;
    CK_RV rv; /* what the other request meets */
    enum hsmart_code code;
    const char *says;
} hangs[] = {
    {"who waits for the only session", 1, CKR_OK, HSMART_TOKEN_BUSY, "no session free"},
    {"who has to restart the module", 2, CKR_DEVICE_ERROR, HSMART_TOKEN_FAILED, "have not come back"},
    {"who needs neither", 2, CKR_OK, HSMART_OK, NULL},
};

static void
a_call_that_hangs_holds_up_nobody_beyond_the_deadline(void **state)
{
    const struct hang *row = *state;
    struct crowd crowd = {.token = open_token(row->max_sessions, 200)};
    pthread_t thread;
    hsmart_err err = {0};

    fake->sleep_ms[FAKE_SIGN] = 1500;
    forget_calls();
    assert_int_equal(pthread_create(&thread, NULL, sign_slowly, &crowd), 0);
    while (atomic_load(&crowd.met) == 0)
        hs_clock_sleep_ms(1);
    hs_p11_token_unref(token); /* the other holder of the module, which would stand against a restart */
    token = NULL;
    fake_p11_answer(fake, FAKE_SIGN_INIT, row->rv, 0, 0);
    assert_int_equal(hs_p11_token_request(crowd.token, &sign_init, &err), row->code);
    assert_int_equal(atomic_load(&crowd.met), 1); /* of 200 ms, while the other one hangs on */
    if (row->says != NULL)
        says(&err, row->says);
    assert_int_equal(fake->calls[FAKE_FINALIZE], 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    hs_p11_token_unref(crowd.token);
}

/* One session takes its time to close. */
static CK_C_CloseSession fakes_close;
static CK_SESSION_HANDLE slow_session;
static atomic_int slow_close_step;

static CK_RV
close_slowly(CK_SESSION_HANDLE handle)
{
    if (handle != slow_session)
        return fakes_close(handle);
    atomic_store(&slow_close_step, 1);
    hs_clock_sleep_ms(300);
    CK_RV rv = fakes_close(handle);
    atomic_store(&slow_close_step, 2);
    return rv;
}

struct lent {
    struct hs_p11_token *token;
    struct hs_p11_session *session;
};

static void *
give_back(void *arg)
{
    struct lent *lent = arg;

    hs_p11_token_release(lent->token, lent->session);
    return NULL;
}

static void
a_session_being_closed_is_a_call_into_the_module(void **state)
{
    struct lent lent = {.token = token};
    unsigned wrong = 1;
    const struct hs_p11_operation operation = {run_sign, check_some, &wrong};
    pthread_t thread;

    (void)state;
    assert_int_equal(hs_p11_token_acquire(token, false, 100, &lent.session, NULL), HSMART_OK);
    lent.session->doubtful = true;
    slow_session = lent.session->handle;
    atomic_store(&slow_close_step, 0);
    fakes_close = fake->functions->C_CloseSession;
    fake->functions->C_CloseSession = close_slowly;
    assert_int_equal(pthread_create(&thread, NULL, give_back, &lent), 0);
    while (atomic_load(&slow_close_step) == 0)
        hs_clock_sleep_ms(1);
    assert_int_equal(hs_p11_token_request(token, &operation, NULL), HSMART_OK); /* restarts the module */
    assert_int_equal(atomic_load(&slow_close_step), 2);
    assert_int_equal(pthread_join(thread, NULL), 0);
    fake->functions->C_CloseSession = fakes_close;
}

static uint64_t signed_under; /* the generation of the session that signed last */

static enum hsmart_code
run_sign_and_note(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    signed_under = session->generation;
    return run_sign(arg, session, err);
}

static void *
request_once(void *arg)
{
    struct crowd *crowd = arg;
    const struct hs_p11_operation operation = {run_sign_and_note, NULL, NULL};

    if (hs_p11_token_request(crowd->token, &operation, NULL) != HSMART_OK)
        atomic_fetch_add(&crowd->failed, 1);
    return NULL;
}

static CK_C_Login fakes_login;
static atomic_int logins_begun;

static CK_RV
login_slowly(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG pin_len)
{
    atomic_fetch_add(&logins_begun, 1);
    hs_clock_sleep_ms(300);
    return fakes_login(session, user, pin, pin_len);
}

static void
a_session_given_back_during_a_recovery_is_not_lent_again(void **state)
{
    struct crowd crowd = {.token = token};
    struct hs_p11_session *old = NULL, *fresh = NULL;
    pthread_t thread;

    (void)state;
    assert_int_equal(hs_p11_token_acquire(token, false, 100, &old, NULL), HSMART_OK);
    forget_calls();
    fakes_login = fake->functions->C_Login;
    fake->functions->C_Login = login_slowly;
    atomic_store(&logins_begun, 0);
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_USER_NOT_LOGGED_IN, 1, 1);
    assert_int_equal(pthread_create(&thread, NULL, request_once, &crowd), 0);
    while (atomic_load(&logins_begun) == 0)
        hs_clock_sleep_ms(1);
    hs_p11_token_release(token, old);
    assert_int_equal(pthread_join(thread, NULL), 0);
    fake->functions->C_Login = fakes_login;
    assert_int_equal(atomic_load(&crowd.failed), 0);
    assert_int_equal(hs_p11_token_acquire(token, true, 100, &fresh, NULL), HSMART_OK);
    assert_int_equal(signed_under, fresh->generation);
    hs_p11_token_release(token, fresh);
}

static void
the_anchor_is_not_opened_beside_another_session(void **state)
{
    struct crowd crowd = {.token = token};
    struct hs_p11_session *lent = NULL, *second = NULL;
    pthread_t thread;

    (void)state;
    assert_int_equal(hs_p11_token_acquire(token, false, 100, &lent, NULL), HSMART_OK);
    hs_p11_token_release(token, lent);
    forget_calls();
    fake->sleep_ms[FAKE_OPEN_SESSION] = 200;
    fake->most_opening = 0;
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_USER_NOT_LOGGED_IN, 1, 1);
    fake->sleep_ms[FAKE_SIGN_INIT] = 50;
    assert_int_equal(pthread_create(&thread, NULL, request_once, &crowd), 0);
    assert_int_equal(hs_p11_token_acquire(token, true, 1000, &second, NULL), HSMART_OK);
    hs_p11_token_release(token, second);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(fake->most_opening, 1);
}

static enum hsmart_code
wait_for_the_guard(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    (void)arg;
    session->last_rv = CKR_USER_NOT_LOGGED_IN;
    return hs_ckr_set(err, CKR_USER_NOT_LOGGED_IN);
}

/* As another process does that hangs while it logs in. */
static int
hold_guard(void)
{
    char command[160], lock[160] = "";

    (void)snprintf(command, sizeof command, "ls %s/pin-*.lock", files.state);
    FILE *list = popen(command, "r");
    assert_non_null(list);
    assert_non_null(fgets(lock, sizeof lock, list));
    assert_int_equal(pclose(list), 0);
    lock[strcspn(lock, "\n")] = 0;
    int fd = open(lock, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    return fd;
}

static void
a_login_that_another_process_holds_up_ends_by_the_deadline(void **state)
{
    const struct hs_p11_operation operation = {wait_for_the_guard, NULL, NULL};
    hsmart_err err = {0};

    (void)state;
    int fd = hold_guard();
    int64_t start_ms = hs_clock_monotonic_ms();
    enum hsmart_code code = hs_p11_token_request(token, &operation, &err);
    int64_t took_ms = hs_clock_monotonic_ms() - start_ms;
    assert_int_equal(close(fd), 0);
    assert_int_equal(code, HSMART_TOKEN_BUSY);
    says(&err, "another process has been logging in");
    if (took_ms > 15000) /* of 2000; without a deadline it were 30000 */
        fail_msg("%lld ms", (long long)took_ms);
    while (hs_p11_token_request(token, &sign, &err) == HSMART_TOKEN_UNAVAILABLE)
        hs_clock_sleep_ms(5);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_OK);
}

static void
a_command_that_hangs_leaves_time_for_the_pin_of_before(void **state)
{
    char source[256], command[160];

    (void)state;
    hs_p11_token_unref(token);
    (void)snprintf(command, sizeof command, "%s/hang", files.dir);
    (void)snprintf(source, sizeof source, "exec:test -e %s && exec sleep 50; echo 1234", command);
    hsmart_token_options options = options_with(0, 4000);
    options.pin_source = source;
    hsmart_err err = {0};
    if (hs_p11_token_open(&options, &token, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    hs_test_write(&files, "hang", "", NULL);
    fake_p11_answer(fake, FAKE_SIGN_INIT, CKR_USER_NOT_LOGGED_IN, 1, 1);
    int64_t start_ms = hs_clock_monotonic_ms();
    if (hs_p11_token_request(token, &sign, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    assert_true(hs_clock_monotonic_ms() - start_ms < 30000);
}

/* ---- The pool under pressure ---- */

static void
a_read_write_session_takes_the_room_of_an_idle_one(void **state)
{
    struct hs_p11_session *session = NULL, *second = NULL;
    hsmart_err err = {0};

    (void)state;
    fake->session_limit = 2; /* the anchor's and one more */
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_OK);
    assert_int_equal(fake->open_sessions, 2);
    assert_int_equal(hs_p11_token_acquire(token, true, 1000, &session, &err), HSMART_OK);
    assert_int_equal(fake->open_sessions, 2);
    forget_calls();
    assert_int_equal(hs_p11_token_acquire(token, true, 100, &second, &err), HSMART_TOKEN_BUSY);
    says(&err, "CKR_SESSION_COUNT");
    assert_true(fake->calls[FAKE_OPEN_SESSION] <= 3);
    hs_p11_token_release(token, session);
    assert_int_equal(hs_p11_token_request(token, &sign, &err), HSMART_OK);
}

static void
a_module_that_cannot_lock_has_one_holder_and_one_call(void **state)
{
    struct hs_p11_token *single = NULL, *second = NULL;
    struct hs_p11_session *session = NULL, *other = NULL;
    hsmart_err err = {0};

    (void)state;
    hs_p11_token_unref(token);
    token = NULL;
    fake = fake_p11_load();
    fake_p11_answer(fake, FAKE_INITIALIZE, CKR_CANT_LOCK, 1, 1);
    single = open_token(4, 200);
    assert_int_equal(fake->calls[FAKE_INITIALIZE], 2);
    hsmart_token_options options = options_with(4, 200);
    assert_int_equal(hs_p11_token_open(&options, &second, &err), HSMART_MODULE_UNUSABLE);
    says(&err, "cannot lock");
    assert_int_equal(hs_p11_token_acquire(single, false, 100, &session, &err), HSMART_OK);
    assert_int_equal(hs_p11_token_acquire(single, false, 100, &other, &err), HSMART_TOKEN_BUSY);
    assert_int_equal(hs_p11_token_acquire(single, true, 100, &other, &err), HSMART_TOKEN_BUSY);
    hs_p11_token_release(single, session);
    assert_int_equal(hs_p11_token_acquire(single, true, 100, &other, &err), HSMART_OK);
    assert_int_equal(fake->open_sessions, 2);
    hs_p11_token_release(single, other);
    hs_p11_token_unref(single);
}

static void
the_child_of_a_fork_makes_no_request(void **state)
{
    int status = 0;

    (void)state;
    assert_int_equal(hs_p11_token_request(token, &sign, NULL), HSMART_OK);
    forget_calls();
    pid_t child = fork();
    if (child == 0) {
        enum hsmart_code code = hs_p11_token_request(token, &sign, NULL);
        hs_p11_token_unref(token);
        bool quiet = true;
        for (size_t i = 0; i < FAKE_FUNCTION_COUNT; i++)
            quiet = quiet && fake->calls[i] == 0;
        end_child(code == HSMART_FORKED && quiet ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(hs_p11_token_request(token, &sign, NULL), HSMART_OK);
}

int
main(void)
{
    struct rows rows = {0};

    ADD_ROWS(&rows, the_next_rung_is_the_lowest_that_helps, steps);
    ADD_TEST(&rows, a_token_that_never_tells_of_logins_costs_one_login_and_its_answer_stands);
    ADD_ROWS(&rows, a_request_climbs_as_far_as_it_must_and_no_further, failings);
    ADD_TEST(&rows, no_answer_at_all_makes_it_try_for_ever);
    ADD_TEST(&rows, what_is_not_the_tokens_fault_is_tried_once);
    ADD_TEST(&rows, a_wrong_signature_gets_one_more_try_on_a_restarted_module);
    ADD_TEST(&rows, an_open_circuit_tells_why_and_closes_after_a_good_probe);
    ADD_TEST(&rows, a_request_from_before_a_recovery_does_not_close_the_circuit);
    ADD_TEST(&rows, a_key_that_is_gone_is_looked_for_in_a_restarted_module);
    ADD_TEST(&rows, a_key_that_stays_gone_hardly_disturbs_the_others);
    ADD_TEST(&rows, no_session_is_lent_after_a_recovery_that_failed);
    ADD_TEST(&rows, a_pin_changed_meanwhile_is_tried_once_and_the_new_one_helps);
    ADD_TEST(&rows, another_token_in_the_slot_is_not_taken_for_this_one);
    ADD_TEST(&rows, another_token_is_not_taken_for_one_without_a_serial_number);
    ADD_TEST(&rows, a_restart_that_hangs_for_one_token_holds_up_another_until_its_deadline);
    ADD_TEST(&rows, a_token_that_is_gone_after_a_restart_by_another_is_told);
    ADD_TEST(&rows, a_recovery_that_failed_for_another_is_not_tried_again_at_once);
    ADD_TEST(&rows, a_module_that_does_not_start_again_is_started_by_the_probe);
    ADD_TEST(&rows, a_module_that_two_tokens_share_is_restarted_for_both);
    ADD_TEST(&rows, a_module_that_another_token_is_inside_of_is_not_restarted);
    ADD_TEST(&rows, many_threads_that_lose_their_login_log_in_once);
    ADD_TEST(&rows, threads_go_on_through_recoveries);
    ADD_TEST(&rows, threads_of_one_token_go_on_while_another_restarts_the_module);
    ADD_ROWS(&rows, a_call_that_hangs_holds_up_nobody_beyond_the_deadline, hangs);
    ADD_TEST(&rows, a_session_being_closed_is_a_call_into_the_module);
    ADD_TEST(&rows, a_session_given_back_during_a_recovery_is_not_lent_again);
    ADD_TEST(&rows, the_anchor_is_not_opened_beside_another_session);
    ADD_TEST(&rows, a_login_that_another_process_holds_up_ends_by_the_deadline);
    ADD_TEST(&rows, a_command_that_hangs_leaves_time_for_the_pin_of_before);
    ADD_TEST(&rows, a_read_write_session_takes_the_room_of_an_idle_one);
    ADD_TEST(&rows, a_module_that_cannot_lock_has_one_holder_and_one_call);
    ADD_TEST(&rows, the_child_of_a_fork_makes_no_request);
    for (size_t i = 0; i < rows.count; i++) {
        rows.tests[i].setup_func = fresh_token;
        rows.tests[i].teardown_func = no_token;
    }
    return rows_run("p11_recover", &rows);
}
