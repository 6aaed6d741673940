/* Modules in one process: one that does not come back from a call holds up its own holders alone, and each start and
 * end is made by whoever it belongs to. */
#define _GNU_SOURCE
#include "rows.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "failing_calls.h"
#include "fake/fake_p11.h"
#include "p11_module.h"

#define LONG_MS 20000 /* longer than anything takes that is not frozen */
#define SHORT_MS 50

static struct fake_p11 *fake, *good;

static int
fresh_modules(void **state)
{
    (void)state;
    (void)alarm(60); /* what waits for a frozen module waits for ever */
    fake = fake_p11_load();
    good = fake_p11_load_too();
    return 0;
}

static int
all_is_ended(void **state)
{
    (void)state;
    return !fake->initialized && !good->initialized ? 0 : -1;
}

static enum hsmart_code
open_module(const char *path, int64_t wait_ms, struct hs_p11_module **out_module, hsmart_err *err)
{
    static const struct hs_log no_log = {0};

    return hs_p11_module_open(path, NULL, hs_clock_monotonic_ms() + wait_ms, &no_log, out_module, err);
}

static struct hs_p11_module *
must_open(const char *path)
{
    struct hs_p11_module *module = NULL;
    hsmart_err err = {0};

    if (open_module(path, LONG_MS, &module, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    return module;
}

static void
wait_for_call(const struct fake_p11 *module, enum fake_function function, unsigned calls)
{
    for (int i = 0; i < 10000 && fake_p11_calls(module, function) < calls; i++)
        hs_clock_sleep_ms(1);
    assert_true(fake_p11_calls(module, function) >= calls);
}

/* ---- One that is frozen ---- */

static struct hs_p11_module *frozen;
static struct hs_p11_module_user frozen_user;

static bool
vacate(void *arg)
{
    (void)arg;
    return true;
}

static void
resume(void *arg)
{
    (void)arg;
}

static void *
start_it(void *arg)
{
    frozen = must_open(FAKE_P11_MODULE);
    return arg;
}

static void *
end_it(void *arg)
{
    hs_p11_module_close(frozen);
    frozen = NULL;
    return arg;
}

static void *
restart_it(void *arg)
{
    assert_int_equal(hs_p11_module_restart(frozen, &frozen_user, hs_clock_monotonic_ms() + LONG_MS, NULL), HSMART_OK);
    return arg;
}

static struct freezing {
    const char *name;
    void *(*run)(void *arg);
    enum fake_function function;
    bool is_open; /* before */
} freezings[] = {
    {"in its start", start_it, FAKE_INITIALIZE, false},
    {"in its end", end_it, FAKE_FINALIZE, true},
    {"in the end of a restart", restart_it, FAKE_FINALIZE, true},
    {"in the start of a restart", restart_it, FAKE_INITIALIZE, true},
};

static void
begin_freezing(const struct freezing *row, pthread_t *out_thread)
{
    frozen = NULL;
    frozen_user = (struct hs_p11_module_user){.vacate = vacate, .resume = resume};
    if (row->is_open)
        frozen = must_open(FAKE_P11_MODULE);
    if (row->run == restart_it)
        hs_p11_module_join(frozen, &frozen_user);
    unsigned calls = fake->calls[row->function];
    fake_p11_hold(fake, row->function, true);
    assert_int_equal(pthread_create(out_thread, NULL, row->run, NULL), 0);
    wait_for_call(fake, row->function, calls + 1);
}

static void
end_freezing(const struct freezing *row, pthread_t thread)
{
    fake_p11_hold(fake, row->function, false);
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (row->run == restart_it)
        hs_p11_module_leave(frozen, &frozen_user);
    hs_p11_module_close(frozen);
}

static void
another_module_is_opened_restarted_and_closed_while_one_is_frozen(void **state)
{
    const struct freezing *row = *state;
    struct hs_p11_module_user user = {.vacate = vacate, .resume = resume};
    pthread_t thread;

    begin_freezing(row, &thread);
    struct hs_p11_module *module = must_open(FAKE_P11_MODULE_TOO);
    hs_p11_module_join(module, &user);
    assert_int_equal(hs_p11_module_restart(module, &user, hs_clock_monotonic_ms() + LONG_MS, NULL), HSMART_OK);
    hs_p11_module_leave(module, &user);
    hs_p11_module_close(module);
    end_freezing(row, thread);
}

static void
who_wants_the_frozen_one_waits_until_the_deadline(void **state)
{
    const struct freezing *row = *state;
    struct hs_p11_module *module = NULL;
    hsmart_err err = {0};
    pthread_t thread;

    begin_freezing(row, &thread);
    assert_int_equal(open_module(FAKE_P11_MODULE, SHORT_MS, &module, &err), HSMART_TOKEN_BUSY);
    assert_non_null(strstr(err.text, "has not come back"));
    assert_null(module);
    if (row->run == restart_it) {
        assert_int_equal(hs_p11_module_restart(frozen, NULL, hs_clock_monotonic_ms() + SHORT_MS, &err),
                         HSMART_TOKEN_FAILED);
        assert_non_null(strstr(err.text, "has not come back"));
    }
    end_freezing(row, thread);
}

static void *
let_it_go(void *arg)
{
    const struct freezing *row = arg;

    hs_clock_sleep_ms(SHORT_MS);
    fake_p11_hold(fake, row->function, false);
    return NULL;
}

static void
who_has_the_time_gets_it_when_it_goes_on(void **state)
{
    struct freezing *row = *state;
    pthread_t thread, releaser;

    begin_freezing(row, &thread);
    assert_int_equal(pthread_create(&releaser, NULL, let_it_go, row), 0);
    struct hs_p11_module *module = must_open(FAKE_P11_MODULE);
    assert_int_equal(pthread_join(releaser, NULL), 0);
    assert_true(fake->initialized);
    assert_int_equal(fake->calls[FAKE_INITIALIZE], row->run == start_it ? 1 : 2);
    end_freezing(row, thread);
    assert_true(fake->initialized);
    hs_p11_module_close(module);
}

/* ---- Whose it is ---- */

#define HOST_BEFORE 1U   /* another part of the program initialises it before it is opened */
#define HOST_ENDS 2U     /* and finalises it before the restart */
#define HOST_BETWEEN 4U  /* it initialises it after a first restart has failed */
#define SECOND_HOLDER 8U /* it is opened once more after a first restart has failed */
static struct owning {
    const char *name;
    unsigned events;
    CK_RV on_finalize, on_initialize, on_get_info; /* at a first restart */
    enum hsmart_code first, last;                  /* what the first restart comes to, and one after it */
    bool is_initialized;                           /* when all holders have closed it */
} ownings[] = {
    {"ours", 0, CKR_OK, CKR_OK, CKR_OK, HSMART_OK, HSMART_OK, false},
    {"its end failed: still ours", 0, CKR_GENERAL_ERROR, CKR_OK, CKR_OK, HSMART_OK, HSMART_OK, false},
    {"it did not start again: the next restart does it", 0, CKR_OK, CKR_GENERAL_ERROR, CKR_OK, HSMART_MODULE_UNUSABLE,
     HSMART_OK, false},
    {"it started again, but did not work: undone, and done again", 0, CKR_OK, CKR_OK, CKR_DEVICE_ERROR,
     HSMART_MODULE_UNUSABLE, HSMART_OK, false},
    {"it did not start again: the next holder does it", SECOND_HOLDER, CKR_OK, CKR_GENERAL_ERROR, CKR_OK,
     HSMART_MODULE_UNUSABLE, HSMART_TOKEN_BUSY, false},
    {"it did not start again, and another part of the program started it: theirs", HOST_BETWEEN, CKR_OK,
     CKR_GENERAL_ERROR, CKR_OK, HSMART_MODULE_UNUSABLE, HSMART_OK, true},
    {"theirs from the beginning", HOST_BEFORE, CKR_OK, CKR_OK, CKR_OK, HSMART_TOKEN_BUSY, HSMART_TOKEN_BUSY, true},
    {"theirs, and ended by them: ours", HOST_BEFORE | HOST_ENDS, CKR_OK, CKR_OK, CKR_OK, HSMART_OK, HSMART_OK, false},
    {"theirs, ended by them, and not to be started: the next restart does it", HOST_BEFORE | HOST_ENDS, CKR_OK,
     CKR_GENERAL_ERROR, CKR_OK, HSMART_MODULE_UNUSABLE, HSMART_OK, false},
};

static void
a_module_is_ended_by_whom_it_belongs_to(void **state)
{
    const struct owning *row = *state;
    struct hs_p11_module_user user = {.vacate = vacate, .resume = resume};
    struct hs_p11_module *second = NULL;

    if (row->events & HOST_BEFORE)
        assert_int_equal(fake->functions->C_Initialize(NULL), CKR_OK);
    struct hs_p11_module *module = must_open(FAKE_P11_MODULE);
    hs_p11_module_join(module, &user);
    if (row->events & HOST_ENDS)
        assert_int_equal(fake->functions->C_Finalize(NULL), CKR_OK);

    fake_p11_answer(fake, FAKE_FINALIZE, row->on_finalize, 1, 1);
    fake_p11_answer(fake, FAKE_INITIALIZE, row->on_initialize, 1, 1);
    /* Of a module that is another's, it is asked first whether it still is. */
    unsigned asked = row->events & HOST_BEFORE ? 2 : 1;
    fake_p11_answer(fake, FAKE_GET_INFO, row->on_get_info, asked, asked);
    int64_t deadline_ms = hs_clock_monotonic_ms() + LONG_MS;
    assert_int_equal(hs_p11_module_restart(module, &user, deadline_ms, NULL), row->first);
    if (row->first == HSMART_MODULE_UNUSABLE)
        assert_false(fake->initialized);
    if (row->events & HOST_BETWEEN)
        assert_int_equal(fake->functions->C_Initialize(NULL), CKR_OK);
    if (row->events & SECOND_HOLDER)
        second = must_open(FAKE_P11_MODULE);
    assert_int_equal(hs_p11_module_restart(module, &user, deadline_ms, NULL), row->last);
    assert_true(fake->initialized);

    hs_p11_module_leave(module, &user);
    hs_p11_module_close(module);
    hs_p11_module_close(second);
    assert_int_equal(fake->initialized, row->is_initialized);
    if (row->is_initialized)
        assert_int_equal(fake->functions->C_Finalize(NULL), CKR_OK);
}

static void
a_holder_that_cannot_start_it_leaves_it_to_the_others(void **state)
{
    struct hs_p11_module_user user = {.vacate = vacate, .resume = resume};
    struct hs_p11_module *module = must_open(FAKE_P11_MODULE), *second = NULL;
    int64_t deadline_ms = hs_clock_monotonic_ms() + LONG_MS;
    hsmart_err err = {0};

    (void)state;
    hs_p11_module_join(module, &user);
    fake_p11_answer(fake, FAKE_INITIALIZE, CKR_GENERAL_ERROR, 1, 2);
    assert_int_equal(hs_p11_module_restart(module, &user, deadline_ms, NULL), HSMART_MODULE_UNUSABLE);
    assert_int_equal(open_module(FAKE_P11_MODULE, LONG_MS, &second, &err), HSMART_MODULE_UNUSABLE);
    assert_non_null(strstr(err.text, "CKR_GENERAL_ERROR"));
    assert_int_equal(hs_p11_module_restart(module, &user, deadline_ms, NULL), HSMART_OK);
    hs_p11_module_leave(module, &user);
    hs_p11_module_close(module);
}

static void
modules_are_closed_in_any_order(void **state)
{
    struct hs_p11_module *first = must_open(FAKE_P11_MODULE), *second = must_open(FAKE_P11_MODULE_TOO);

    (void)state;
    hs_p11_module_close(first);
    assert_true(!fake->initialized && good->initialized);
    hs_p11_module_close(second);
    hs_p11_module_close(NULL);
}

static void *
leave_it(void *arg)
{
    hs_p11_module_leave(frozen, arg);
    return NULL;
}

static void
who_leaves_waits_for_the_end_of_a_restart(void **state)
{
    struct hs_p11_module_user second = {.vacate = vacate, .resume = resume};
    const struct freezing *row = &freezings[2];
    pthread_t restarter, leaver;

    (void)state;
    frozen = must_open(FAKE_P11_MODULE);
    struct hs_p11_module *again = must_open(FAKE_P11_MODULE);
    assert_ptr_equal(again, frozen);
    hs_p11_module_join(frozen, &second);
    frozen_user = (struct hs_p11_module_user){.vacate = vacate, .resume = resume};
    hs_p11_module_join(frozen, &frozen_user);
    fake_p11_hold(fake, FAKE_FINALIZE, true);
    assert_int_equal(pthread_create(&restarter, NULL, restart_it, NULL), 0);
    wait_for_call(fake, FAKE_FINALIZE, 1);
    assert_int_equal(pthread_create(&leaver, NULL, leave_it, &second), 0);
    hs_clock_sleep_ms(SHORT_MS);
    assert_true(second.vacated); /* and it is still there to be resumed */
    end_freezing(row, restarter);
    assert_int_equal(pthread_join(leaver, NULL), 0);
    assert_false(second.vacated);
    hs_p11_module_close(again);
}

/* ---- What a module's name asks for ---- */

static void
own_handler(int number)
{
    (void)number;
}

static struct pipe_signal {
    const char *name, *library; /* the name that the module has */
    void (*before)(int number);
    void (*after)(int number);
} pipe_signals[] = {
    {"ignored for one that raises it", "p11-kit-client.so", SIG_DFL, SIG_IGN},
    {"left to a handler of the program's", "p11-kit-client.so", own_handler, own_handler},
    {"left alone for any other", "other.so", SIG_DFL, SIG_DFL},
};

static void
the_signal_of_a_broken_pipe_is(void **state)
{
    const struct pipe_signal *row = *state;
    char directory[] = "/tmp/hsmart-module-XXXXXX", path[64];
    struct sigaction action;

    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/%s", directory, row->library);
    assert_int_equal(symlink(FAKE_P11_MODULE, path), 0);
    (void)signal(SIGPIPE, row->before);
    hs_p11_module_close(must_open(path));
    assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
    assert_true(action.sa_handler == row->after);
    (void)signal(SIGPIPE, SIG_DFL);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

static char log_text[512];

static void
keep_log(void *arg, enum hsmart_log_level level, const char *line)
{
    (void)arg;
    (void)level;
    (void)snprintf(log_text, sizeof log_text, "%s", line);
}

static void
a_turn_that_does_not_come_is_gone_on_without(void **state)
{
    const struct hs_log log = {keep_log, NULL};

    (void)state;
    /* Other tests may be in the middle of a turn of the same file. */
    int turn = hs_p11_turn_begin(FAKE_P11_MODULE, LONG_MS, &log);
    assert_true(turn >= 0);
    assert_int_equal(hs_p11_turn_begin(FAKE_P11_MODULE, SHORT_MS, &log), -1);
    assert_non_null(strstr(log_text, "goes on without its turn"));
    hs_p11_turn_end(turn);
    turn = hs_p11_turn_begin(FAKE_P11_MODULE, LONG_MS, &log);
    assert_true(turn >= 0);
    hs_p11_turn_end(turn);
    hs_test_fail_call(TEST_FLOCK, ENOLCK, 0);
    assert_int_equal(hs_p11_turn_begin(FAKE_P11_MODULE, LONG_MS, &log), -1);
    assert_true(hs_test_end_failing_calls());
    assert_int_equal(hs_p11_turn_begin("/no/such/module.so", SHORT_MS, &log), -1);
    hs_p11_turn_end(-1);
}

static void
what_is_theirs_and_does_not_work_is_left_to_them(void **state)
{
    struct hs_p11_module_user user = {.vacate = vacate, .resume = resume};
    struct hs_p11_module *module = must_open(FAKE_P11_MODULE), *second = NULL;

    (void)state;
    hs_p11_module_join(module, &user);
    fake_p11_answer(fake, FAKE_INITIALIZE, CKR_GENERAL_ERROR, 1, 1);
    assert_int_equal(hs_p11_module_restart(module, &user, hs_clock_monotonic_ms() + LONG_MS, NULL),
                     HSMART_MODULE_UNUSABLE);
    assert_int_equal(fake->functions->C_Initialize(NULL), CKR_OK);
    fake_p11_answer(fake, FAKE_GET_INFO, CKR_DEVICE_ERROR, 1, 1);
    assert_int_equal(open_module(FAKE_P11_MODULE, LONG_MS, &second, NULL), HSMART_MODULE_UNUSABLE);
    assert_true(fake->initialized);
    hs_p11_module_leave(module, &user);
    hs_p11_module_close(module);
    assert_true(fake->initialized);
    assert_int_equal(fake->functions->C_Finalize(NULL), CKR_OK);
}

static void
one_that_must_create_threads_is_used_by_one_at_a_time(void **state)
{
    (void)state;
    fake_p11_answer(fake, FAKE_INITIALIZE, CKR_NEED_TO_CREATE_THREADS, 1, 1);
    struct hs_p11_module *module = must_open(FAKE_P11_MODULE);
    assert_true(module->single_threaded);
    hs_p11_module_close(module);
}

/* What one thread of a crowd does. */
static void *
open_and_close(void *arg)
{
    for (int i = 0; i < 50; i++) {
        struct hs_p11_module *module = NULL;
        if (open_module(FAKE_P11_MODULE, LONG_MS, &module, NULL) == HSMART_OK)
            hs_p11_module_close(module);
        else
            (void)__atomic_add_fetch((unsigned *)arg, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void
many_threads_open_and_close_it(void **state)
{
    pthread_t threads[8];
    unsigned failures = 0;

    (void)state;
    for (size_t i = 0; i < HS_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, &failures), 0);
    for (size_t i = 0; i < HS_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(failures, 0);
    assert_int_equal(fake->calls[FAKE_INITIALIZE], fake->calls[FAKE_FINALIZE]);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, another_module_is_opened_restarted_and_closed_while_one_is_frozen, freezings);
    ADD_ROWS(&rows, who_wants_the_frozen_one_waits_until_the_deadline, freezings);
    ADD_ROWS(&rows, who_has_the_time_gets_it_when_it_goes_on, freezings);
    ADD_ROWS(&rows, a_module_is_ended_by_whom_it_belongs_to, ownings);
    ADD_TEST(&rows, a_holder_that_cannot_start_it_leaves_it_to_the_others);
    ADD_TEST(&rows, what_is_theirs_and_does_not_work_is_left_to_them);
    ADD_TEST(&rows, one_that_must_create_threads_is_used_by_one_at_a_time);
    ADD_TEST(&rows, modules_are_closed_in_any_order);
    ADD_TEST(&rows, who_leaves_waits_for_the_end_of_a_restart);
    ADD_ROWS(&rows, the_signal_of_a_broken_pipe_is, pipe_signals);
    ADD_TEST(&rows, a_turn_that_does_not_come_is_gone_on_without);
    ADD_TEST(&rows, many_threads_open_and_close_it);
    for (size_t i = 0; i < rows.count; i++) {
        rows.tests[i].setup_func = fresh_modules;
        rows.tests[i].teardown_func = all_is_ended;
    }
    return rows_run("p11_module", &rows);
}
