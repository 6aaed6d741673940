/* The PIN guard: what it lets through, what it writes down, and that two processes take turns. */
#define _GNU_SOURCE
#include "rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "failing_calls.h"
#include "file.h"
#include "p11_guard.h"

#define IDENTITY "hsmart-test 1234"
#define SOON (hs_clock_monotonic_ms() + HS_GUARD_WAIT_MS)

static char directory[64];

static int
fresh_directory(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/hsmart-guard-XXXXXX");
    return mkdtemp(directory) == NULL;
}

static int
remove_directory(void **state)
{
    char command[96];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

/* What was tried last, and how it ended; "" for a crash before the end was written down. */
enum ending {
    NEVER_TRIED,
    ACCEPTED,
    REFUSED,
    CRASHED,
    UNCLEAR,
    UNCLEAR_TWICE,
    REFUSED_THEN_REOPENED,
    CRASHED_THEN_REOPENED,
    REOPENED
};

static void
try_pin(const char *pin, enum ending ending)
{
    struct hs_guard guard = {0};

    if (ending == REOPENED)
        assert_int_equal(hs_guard_reopen(directory, IDENTITY, NULL), HSMART_OK);
    if (ending == NEVER_TRIED || ending == REOPENED)
        return;
    if (ending == UNCLEAR_TWICE)
        try_pin(pin, UNCLEAR);
    assert_int_equal(hs_guard_begin(directory, IDENTITY, hs_span_str(pin), SOON, &guard, NULL), HSMART_OK);
    assert_int_equal(hs_guard_mark_pending(&guard, NULL), HSMART_OK);
    if (ending == ACCEPTED)
        assert_int_equal(hs_guard_mark_end(&guard, HS_GUARD_OPEN, NULL), HSMART_OK);
    if (ending == REFUSED || ending == REFUSED_THEN_REOPENED)
        assert_int_equal(hs_guard_mark_end(&guard, HS_GUARD_REFUSED, NULL), HSMART_OK);
    if (ending == UNCLEAR || ending == UNCLEAR_TWICE)
        assert_int_equal(hs_guard_mark_end(&guard, HS_GUARD_UNCLEAR, NULL), HSMART_OK);
    hs_guard_end(&guard);
    if (ending == REFUSED_THEN_REOPENED || ending == CRASHED_THEN_REOPENED)
        assert_int_equal(hs_guard_reopen(directory, IDENTITY, NULL), HSMART_OK);
}

static struct transition {
    const char *name;
    enum ending ending;
    const char *next_pin;
    enum hsmart_code code;
    bool other_pin;
    const char *says;
} transitions[] = {
    {"nothing was tried: open", NEVER_TRIED, "1111", HSMART_OK, false, NULL},
    {"the PIN was accepted: open", ACCEPTED, "1111", HSMART_OK, false, NULL},
    {"the PIN was refused: closed for it", REFUSED, "1111", HSMART_PIN_GUARDED, false, "was refused before"},
    {"the PIN was refused: open for another value", REFUSED, "2222", HSMART_OK, true, NULL},
    {"a longer value is another one", REFUSED, "11111", HSMART_OK, true, NULL},
    {"a crash during the try: closed for it", CRASHED, "1111", HSMART_PIN_GUARDED, false, "no recorded end"},
    {"a crash during the try: open for another value", CRASHED, "2222", HSMART_OK, true, NULL},
    {"an answer that says nothing of the PIN: one more try", UNCLEAR, "1111", HSMART_OK, false, NULL},
    {"a second such answer: closed for it", UNCLEAR_TWICE, "1111", HSMART_PIN_GUARDED, false,
     "no answer of the token said"},
    {"a second such answer: open for another value", UNCLEAR_TWICE, "2222", HSMART_OK, true, NULL},
    {"refused, then reopened: open", REFUSED_THEN_REOPENED, "1111", HSMART_OK, false, NULL},
    {"crashed, then reopened: open", CRASHED_THEN_REOPENED, "1111", HSMART_OK, false, NULL},
};

static void
the_guard_lets_through(void **state)
{
    const struct transition *row = *state;
    struct hs_guard guard = {0};
    hsmart_err err = {0};

    try_pin("1111", row->ending);
    assert_int_equal(hs_guard_begin(directory, IDENTITY, hs_span_str(row->next_pin), SOON, &guard, &err), row->code);
    if (row->code == HSMART_OK) {
        assert_int_equal(guard.other_pin, row->other_pin);
    } else {
        assert_non_null(strstr(err.text, row->says));
        assert_non_null(strstr(err.hint, "unlock-guard"));
        assert_null(strstr(err.text, "1111"));
    }
    hs_guard_end(&guard);
}

/* Tries before the one that counts, in their order. */
static struct history {
    const char *name;
    struct {
        const char *pin;
        enum ending ending;
    } tries[4];
    const char *next_pin;
    enum hsmart_code code;
} histories[] = {
    {"refused before another refused one: closed for both",
     {{"1111", REFUSED}, {"2222", REFUSED}},
     "1111",
     HSMART_PIN_GUARDED},
    {"the later of two refused ones", {{"1111", REFUSED}, {"2222", REFUSED}}, "2222", HSMART_PIN_GUARDED},
    {"a third value after two refused ones", {{"1111", REFUSED}, {"2222", REFUSED}}, "3333", HSMART_OK},
    {"refused before another one was accepted: closed for it",
     {{"1111", REFUSED}, {"2222", ACCEPTED}},
     "1111",
     HSMART_PIN_GUARDED},
    {"the accepted one goes on", {{"1111", REFUSED}, {"2222", ACCEPTED}}, "2222", HSMART_OK},
    {"crashed before another one was accepted: closed for it",
     {{"1111", CRASHED}, {"2222", ACCEPTED}},
     "1111",
     HSMART_PIN_GUARDED},
    {"crashed before another one was refused: closed for it",
     {{"1111", CRASHED}, {"2222", REFUSED}},
     "1111",
     HSMART_PIN_GUARDED},
    {"refused, accepted, accepted: closed for it",
     {{"1111", REFUSED}, {"2222", ACCEPTED}, {"2222", ACCEPTED}},
     "1111",
     HSMART_PIN_GUARDED},
    {"all is forgotten by an operator's word", {{"1111", REFUSED}, {"2222", REFUSED_THEN_REOPENED}}, "1111", HSMART_OK},
    {"an unclear end is no word against it", {{"1111", UNCLEAR}, {"2222", REFUSED}}, "1111", HSMART_OK},
    {"a second unclear end closes for it, whatever is tried then",
     {{"1111", UNCLEAR_TWICE}, {"2222", REFUSED}},
     "1111",
     HSMART_PIN_GUARDED},
    {"two PINs in turns, each unclear twice: closed for the one",
     {{"1111", UNCLEAR}, {"2222", UNCLEAR}, {"1111", UNCLEAR}},
     "1111",
     HSMART_PIN_GUARDED},
    {"and for the other",
     {{"1111", UNCLEAR}, {"2222", UNCLEAR}, {"1111", UNCLEAR}, {"2222", UNCLEAR}},
     "2222",
     HSMART_PIN_GUARDED},
    {"one that was unclear is tried once more, whatever came between",
     {{"1111", UNCLEAR}, {"2222", ACCEPTED}, {"3333", REFUSED}, {"1111", UNCLEAR}},
     "1111",
     HSMART_PIN_GUARDED},
    {"an unclear end, then the PIN is accepted: what was is forgotten",
     {{"1111", UNCLEAR}, {"1111", ACCEPTED}, {"1111", UNCLEAR}},
     "1111",
     HSMART_OK},
    {"an operator's word is for one try, whatever its answer",
     {{"1111", UNCLEAR_TWICE}, {"", REOPENED}, {"1111", UNCLEAR}},
     "1111",
     HSMART_PIN_GUARDED},
    {"an operator's word is for one try",
     {{"1111", REFUSED_THEN_REOPENED}, {"1111", REFUSED}},
     "1111",
     HSMART_PIN_GUARDED},
};

static void
no_pin_is_tried_twice(void **state)
{
    const struct history *row = *state;
    struct hs_guard guard = {0};

    for (size_t i = 0; i < HS_ARRAY_LEN(row->tries); i++)
        try_pin(row->tries[i].pin, row->tries[i].ending);
    assert_int_equal(hs_guard_begin(directory, IDENTITY, hs_span_str(row->next_pin), SOON, &guard, NULL), row->code);
    hs_guard_end(&guard);
}

static void
the_oldest_is_forgotten_when_there_are_many(void **state)
{
    char pin[16];
    struct hs_guard guard = {0};

    (void)state;
    for (unsigned i = 0; i < 3 * HS_GUARD_TRIED_MAX; i++) {
        (void)snprintf(pin, sizeof pin, "%04u", i);
        try_pin(pin, REFUSED);
    }
    for (unsigned i = 2 * HS_GUARD_TRIED_MAX; i < 3 * HS_GUARD_TRIED_MAX; i++) {
        (void)snprintf(pin, sizeof pin, "%04u", i);
        assert_int_equal(hs_guard_begin(directory, IDENTITY, hs_span_str(pin), SOON, &guard, NULL), HSMART_PIN_GUARDED);
    }
    try_pin("0000", ACCEPTED);
}

static void
the_wait_for_another_process_has_a_deadline(void **state)
{
    struct hs_guard guard = {0}, second = {0};
    hsmart_err err = {0};

    (void)state;
    assert_int_equal(hs_guard_begin(directory, IDENTITY, hs_span_str("1111"), SOON, &guard, NULL), HSMART_OK);
    int64_t start_ms = hs_clock_monotonic_ms();
    assert_int_equal(hs_guard_begin(directory, IDENTITY, hs_span_str("1111"), start_ms + 50, &second, &err),
                     HSMART_TOKEN_BUSY);
    assert_true(hs_clock_monotonic_ms() - start_ms < HS_GUARD_WAIT_MS / 2);
    hs_guard_end(&guard);
}

static void
state_of(char *out_text, size_t len, mode_t *out_mode)
{
    enum hs_guard_state found;
    struct hs_buf path = {0}, text = {0};
    struct stat status = {0};

    assert_int_equal(hs_guard_look(directory, IDENTITY, &found, &path, NULL), HSMART_OK);
    assert_int_equal(hs_file_read(hs_buf_text(&path), 4096, &text, NULL), HSMART_OK);
    (void)snprintf(out_text, len, "%s", hs_buf_text(&text));
    assert_int_equal(stat(hs_buf_text(&path), &status), 0);
    *out_mode = status.st_mode & 07777;
    hs_buf_clear(&path);
    hs_buf_clear(&text);
}

static void
the_file_is_the_owners_and_holds_no_pin(void **state)
{
    char text[1024];
    mode_t mode = 0;

    (void)state;
    try_pin("secret-pin-648219", REFUSED);
    state_of(text, sizeof text, &mode);
    assert_int_equal(mode, 0600);
    assert_null(strstr(text, "648219"));
    assert_non_null(strstr(text, "digest"));
}

static void
after_a_success_not_even_a_digest_is_kept(void **state)
{
    char text[1024];
    mode_t mode = 0;

    (void)state;
    try_pin("648219", ACCEPTED);
    state_of(text, sizeof text, &mode);
    assert_null(strstr(text, "digest"));
    assert_null(strstr(text, "salt"));
}

/* As a process leaves it that is killed between writing a state and putting it in its place. */
static void
what_a_killed_process_left_is_removed(void **state)
{
    enum hs_guard_state found;
    struct hs_buf path = {0};
    char leftover[128], lock[128], others[128];

    (void)state;
    assert_int_equal(hs_guard_look(directory, IDENTITY, &found, &path, NULL), HSMART_OK);
    (void)snprintf(leftover, sizeof leftover, "%s.PDB3vv", hs_buf_text(&path));
    (void)snprintf(lock, sizeof lock, "%s.lock", hs_buf_text(&path));
    (void)snprintf(others, sizeof others, "%s/pin-0123456789abcdef01234567", directory);
    assert_int_equal(hs_file_write_atomic(leftover, hs_span_str("digest 00"), 0600, NULL), HSMART_OK);
    assert_int_equal(hs_file_write_atomic(others, hs_span_str("another token's"), 0600, NULL), HSMART_OK);
    try_pin("1111", ACCEPTED);
    assert_int_not_equal(access(leftover, F_OK), 0);
    assert_int_equal(access(lock, F_OK), 0);
    assert_int_equal(access(others, F_OK), 0);
    assert_int_equal(access(hs_buf_text(&path), F_OK), 0);
    hs_buf_clear(&path);
}

static void
tokens_do_not_share_a_guard(void **state)
{
    struct hs_guard guard = {0};

    (void)state;
    try_pin("1111", REFUSED);
    assert_int_equal(hs_guard_begin(directory, "hsmart-test 9999", hs_span_str("1111"), SOON, &guard, NULL), HSMART_OK);
    hs_guard_end(&guard);
}

#define SALT "salt 00112233445566778899aabbccddeeff\n"
#define DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
#define TRIED "tried " DIGEST
static struct damage {
    const char *name, *contents;
    enum hsmart_code code;
} damages[] = {
    {"sound", "hsmart-pin-guard 1\nstate open\ntime 1\n", HSMART_OK},
    {"sound, with a PIN that was tried", "hsmart-pin-guard 1\nstate open\n" SALT TRIED, HSMART_OK},
    {"sound, with a doubtful PIN", "hsmart-pin-guard 1\nstate open\n" SALT "doubtful " DIGEST, HSMART_OK},
    {"a doubtful PIN, without the salt", "hsmart-pin-guard 1\nstate open\ndoubtful " DIGEST, HSMART_PIN_GUARDED},
    {"empty", "", HSMART_PIN_GUARDED},
    {"cut in its state", "hsmart-pin-guard 1\nstate op", HSMART_PIN_GUARDED},
    {"cut before its state", "hsmart-pin-guard 1\nstate ", HSMART_PIN_GUARDED},
    {"without a state", "hsmart-pin-guard 1\ntime 1\n", HSMART_PIN_GUARDED},
    {"of another format", "hsmart-pin-guard 2\nstate open\n", HSMART_PIN_GUARDED},
    {"of another program", "pin\nstate open\n", HSMART_PIN_GUARDED},
    {"a PIN that was tried, without the salt", "hsmart-pin-guard 1\nstate open\n" TRIED, HSMART_PIN_GUARDED},
    {"a PIN that was tried, with half a salt", "hsmart-pin-guard 1\nstate open\nsalt 0011\n" TRIED, HSMART_PIN_GUARDED},
    {"half a PIN that was tried", "hsmart-pin-guard 1\nstate open\n" SALT "tried 0011\n", HSMART_PIN_GUARDED},
    {"a PIN that was tried, not in hex", "hsmart-pin-guard 1\nstate open\n" SALT "tried xyz\n", HSMART_PIN_GUARDED},
    {"more PINs than are kept",
     "hsmart-pin-guard 1\nstate open\n" SALT TRIED TRIED TRIED TRIED TRIED TRIED TRIED TRIED TRIED, HSMART_PIN_GUARDED},
};

/* Nothing is wrong with what it says then, so that reopening it would be the wrong cure. */
static void
a_state_that_cannot_be_read_closes_the_guard(void **state)
{
    (void)state;
    enum hs_guard_state found;
    struct hs_buf path = {0};
    struct hs_guard guard = {0};
    hsmart_err err = {0};

    try_pin("1111", ACCEPTED);
    assert_int_equal(hs_guard_look(directory, IDENTITY, &found, &path, NULL), HSMART_OK);
    assert_int_equal(unlink(hs_buf_text(&path)), 0);
    assert_int_equal(mkdir(hs_buf_text(&path), 0700), 0);
    assert_int_equal(hs_guard_begin(directory, IDENTITY, span("1111"), SOON, &guard, &err), HSMART_PIN_GUARDED);
    assert_non_null(strstr(err.text, "cannot be read"));
    assert_null(strstr(err.hint, "unlock-guard"));
    assert_int_equal(rmdir(hs_buf_text(&path)), 0);
    hs_buf_clear(&path);
}

static void
a_damaged_state_closes_the_guard(void **state)
{
    const struct damage *row = *state;
    enum hs_guard_state found;
    struct hs_buf path = {0};
    struct hs_guard guard = {0};
    hsmart_err err = {0};

    try_pin("1111", ACCEPTED);
    assert_int_equal(hs_guard_look(directory, IDENTITY, &found, &path, NULL), HSMART_OK);
    assert_int_equal(hs_file_write_atomic(hs_buf_text(&path), span(row->contents), 0600, NULL), HSMART_OK);
    assert_int_equal(hs_guard_begin(directory, IDENTITY, span("1111"), SOON, &guard, &err), row->code);
    if (row->code != HSMART_OK) {
        assert_non_null(strstr(err.text, "damaged"));
        assert_non_null(strstr(err.hint, "unlock-guard"));
        assert_int_equal(hs_guard_look(directory, IDENTITY, &found, &path, NULL), HSMART_PIN_GUARDED);
        assert_int_equal(hs_guard_reopen(directory, IDENTITY, NULL), HSMART_OK);
        assert_int_equal(hs_guard_begin(directory, IDENTITY, span("1111"), SOON, &guard, &err), HSMART_OK);
    }
    hs_guard_end(&guard);
    hs_buf_clear(&path);
}

/* What stands where the guard's directory or one of its files should be, as a shell makes it in `directory`. */
static struct place {
    const char *name, *commands;
    enum hsmart_code code;
    const char *says;
} places[] = {
    {"nothing", "true", HSMART_OK, NULL},
    {"a directory of one's own", "mkdir -m 700 guard", HSMART_OK, NULL},
    {"a directory that others may read", "mkdir -m 755 guard", HSMART_OK, NULL},
    {"a link to a directory of one's own", "mkdir -m 700 other; ln -s other guard", HSMART_OK, NULL},
    {"a directory that the group may write", "mkdir -m 770 guard", HSMART_PIN_GUARDED, "only its owner can write"},
    {"a directory that all may write", "mkdir -m 707 guard", HSMART_PIN_GUARDED, "only its owner can write"},
    {"a directory of another user", "mkdir -m 700 guard; chown 65534 guard || exit 77", HSMART_PIN_GUARDED,
     "only its owner can write"},
    {"a file", "touch guard; chmod 600 guard", HSMART_PIN_GUARDED, "only its owner can write"},
    {"a link that leads nowhere", "ln -s nowhere guard", HSMART_PIN_GUARDED, "cannot make"},
    {"a directory in the lock's place", "mkdir -m 700 guard; mkdir guard/$STATE.lock", HSMART_PIN_GUARDED,
     "Is a directory"},
    {"a link in the lock's place", "mkdir -m 700 guard; touch x; ln -s ../x guard/$STATE.lock", HSMART_PIN_GUARDED,
     "cannot open"},
    {"a directory in the state's place", "mkdir -m 700 guard; mkdir guard/$STATE", HSMART_PIN_GUARDED,
     "state cannot be read"},
};

static void
only_a_place_of_ones_own_will_do(void **state)
{
    const struct place *row = *state;
    enum hs_guard_state found;
    struct hs_buf path = {0};
    struct hs_guard guard = {.lock_fd = -1};
    hsmart_err err = {0};
    char own[96], command[512];

    (void)snprintf(own, sizeof own, "%s/guard", directory);
    assert_int_equal(hs_guard_look(own, IDENTITY, &found, &path, NULL), HSMART_OK);
    (void)snprintf(command, sizeof command, "cd %s && STATE=%s && umask 0 && { %s; }", directory,
                   strrchr(hs_buf_text(&path), '/') + 1, row->commands);
    int status = system(command);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip(); /* only root gives files away */
    assert_int_equal(status, 0);
    enum hsmart_code code = hs_guard_begin(own, IDENTITY, span("1111"), SOON, &guard, &err);
    hs_guard_end(&guard);
    hs_buf_clear(&path);
    assert_int_equal(code, row->code);
    if (row->says != NULL && strstr(err.text, row->says) == NULL)
        fail_msg("%s", err.text);
}

/* Variables by which the directory is chosen. */
static struct choice {
    const char *name, *given, *state_directory, *xdg, *home, *directory;
} choices[] = {
    {"the one that is given", "/given", "/a", "/b", "/c", "/given"},
    {"systemd's", NULL, "/var/lib/x", "/b", "/c", "/var/lib/x"},
    {"the first of systemd's", NULL, "/var/lib/x:/var/lib/y", "/b", "/c", "/var/lib/x"},
    {"not a relative one", NULL, "x", "y", "/c", "/c/.local/state/hsmart"},
    {"the user's by name", NULL, NULL, "/b", "/c", "/b/hsmart"},
    {"the user's home", NULL, NULL, NULL, "/c", "/c/.local/state/hsmart"},
    {"root's, without a home", NULL, NULL, NULL, NULL, "/var/lib/hsmart"},
    {"root's, with a home that is none", NULL, NULL, NULL, "c", "/var/lib/hsmart"},
};

static void
set_or_unset(const char *name, const char *value)
{
    assert_int_equal(value != NULL ? setenv(name, value, 1) : unsetenv(name), 0);
}

/* In a child: the environment is everybody's, and so is who one is. */
static void
the_directory_is_chosen_by(void **state)
{
    const struct choice *row = *state;
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        struct hs_buf path = {0};
        hsmart_err err = {0};
        set_or_unset("STATE_DIRECTORY", row->state_directory);
        set_or_unset("XDG_STATE_HOME", row->xdg);
        set_or_unset("HOME", row->home);
        enum hsmart_code code = hs_guard_directory(row->given, &path, &err);
        bool is_roots = strcmp(row->directory, "/var/lib/hsmart") == 0;
        bool as_told = code == HSMART_OK && strcmp(hs_buf_text(&path), row->directory) == 0;
        if (is_roots && geteuid() == 0) {
            (void)seteuid(65534); /* anybody */
            as_told = as_told && hs_guard_directory(NULL, &path, &err) == HSMART_PIN_GUARDED;
            (void)seteuid(0); /* whose the files of the coverage are */
        }
        if (is_roots && !as_told)
            as_told = strstr(err.text, "HOME is not set") != NULL;
        hs_buf_clear(&path);
        end_child(as_told ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
without_a_place_to_write_there_is_no_login(void **state)
{
    struct hs_guard guard = {0};
    hsmart_err err = {0};

    (void)state;
    assert_int_equal(hs_guard_begin("/proc/hsmart", IDENTITY, hs_span_str("1111"), SOON, &guard, &err),
                     HSMART_PIN_GUARDED);
}

/* A power cut right after the try would bring the record of before back. */
static struct unsynced {
    const char *name;
    int fsync_errno;
    unsigned synced_before; /* directories: the guard's is made in two that are not there yet */
    enum hsmart_code code;
    const char *directory; /* the one that cannot be synced, below the test's */
} unsynced[] = {
    {"the directory that another one is made in", EIO, 0, HSMART_PIN_GUARDED, ""},
    {"the directory that its own is made in", EIO, 1, HSMART_PIN_GUARDED, "/new"},
    {"its own", EIO, 2, HSMART_PIN_GUARDED, "/new/guard"},
    {"its own, on a file system that syncs none", EINVAL, 0, HSMART_OK, ""},
};

static void
a_try_whose_record_may_not_last_is_not_made(void **state)
{
    const struct unsynced *row = *state;
    char own[96], told[160];
    struct hs_guard guard = {.lock_fd = -1};
    hsmart_err err = {0};

    (void)snprintf(own, sizeof own, "%s/new/guard", directory);
    (void)snprintf(told, sizeof told, "cannot sync the directory \"%s%s\"", directory, row->directory);
    hs_test_fail_call(TEST_FSYNC_DIRECTORY, row->fsync_errno, row->synced_before);
    enum hsmart_code code = hs_guard_begin(own, IDENTITY, hs_span_str("1111"), SOON, &guard, &err);
    if (code == HSMART_OK)
        code = hs_guard_mark_pending(&guard, &err);
    assert_true(hs_test_end_failing_calls());
    hs_guard_end(&guard);
    assert_int_equal(code, row->code);
    if (code != HSMART_OK) {
        assert_non_null(strstr(err.text, told));
        assert_non_null(strstr(err.hint, "--state-directory"));
    }
}

static void
a_second_process_waits_and_then_sees_the_end(void **state)
{
    struct hs_guard guard = {0};
    int status = 0;

    (void)state;
    assert_int_equal(hs_guard_begin(directory, IDENTITY, hs_span_str("1111"), SOON, &guard, NULL), HSMART_OK);
    assert_int_equal(hs_guard_mark_pending(&guard, NULL), HSMART_OK);
    pid_t child = fork();
    if (child == 0) {
        struct hs_guard own = {0};
        (void)close(guard.lock_fd); /* the child's copy must not keep the lock */
        end_child((int)hs_guard_begin(directory, IDENTITY, hs_span_str("1111"), SOON, &own, NULL));
    }
    assert_true(child > 0);
    (void)usleep(50000);
    assert_int_equal(waitpid(child, &status, WNOHANG), 0); /* it waits: a pending try of a living process */
    assert_int_equal(hs_guard_mark_end(&guard, HS_GUARD_OPEN, NULL), HSMART_OK);
    hs_guard_end(&guard);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), HSMART_OK);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, the_guard_lets_through, transitions);
    ADD_ROWS(&rows, no_pin_is_tried_twice, histories);
    ADD_TEST(&rows, the_oldest_is_forgotten_when_there_are_many);
    ADD_TEST(&rows, the_wait_for_another_process_has_a_deadline);
    ADD_TEST(&rows, the_file_is_the_owners_and_holds_no_pin);
    ADD_TEST(&rows, after_a_success_not_even_a_digest_is_kept);
    ADD_TEST(&rows, what_a_killed_process_left_is_removed);
    ADD_TEST(&rows, tokens_do_not_share_a_guard);
    ADD_TEST(&rows, a_state_that_cannot_be_read_closes_the_guard);
    ADD_ROWS(&rows, a_damaged_state_closes_the_guard, damages);
    ADD_ROWS(&rows, only_a_place_of_ones_own_will_do, places);
    ADD_ROWS(&rows, the_directory_is_chosen_by, choices);
    ADD_TEST(&rows, without_a_place_to_write_there_is_no_login);
    ADD_ROWS(&rows, a_try_whose_record_may_not_last_is_not_made, unsynced);
    ADD_TEST(&rows, a_second_process_waits_and_then_sees_the_end);
    for (size_t i = 0; i < rows.count; i++) {
        rows.tests[i].setup_func = fresh_directory;
        rows.tests[i].teardown_func = remove_directory;
    }
    return rows_run("pin guard", &rows);
}
