#define _GNU_SOURCE /* mkdtemp */
#include "rows.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "failing_calls.h"
#include "file.h"
#include "file_lock.h"

static char directory[] = "/tmp/hsmart-test-file.XXXXXX";

static const char *
path_of(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % HS_ARRAY_LEN(paths)];

    (void)snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void
put_file(const char *path, const char *contents, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, contents, strlen(contents)), strlen(contents));
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static void
assert_file(const char *path, const char *contents)
{
    struct hs_buf read = {0};

    assert_int_equal(hs_file_read(path, 1000, &read, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&read), contents);
    hs_buf_clear(&read);
}

static size_t
entries_of_directory(void)
{
    size_t count = 0;
    DIR *entries = opendir(directory);

    assert_non_null(entries);
    while (readdir(entries) != NULL)
        count++;
    (void)closedir(entries);
    return count;
}

static int
empty_directory(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s/*", directory);
    return system(command);
}

static void
a_file_is_read_whole(void **state)
{
    (void)state;
    char contents[10001];
    struct hs_buf read = {0};

    memset(contents, 'x', sizeof contents);
    contents[sizeof contents - 1] = 0;
    put_file(path_of("big"), contents, 0644);
    assert_int_equal(hs_file_read(path_of("big"), 10000, &read, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&read), contents);
    hs_buf_clear(&read);
    put_file(path_of("empty"), "", 0644);
    assert_file(path_of("empty"), "");
}

static void
a_file_that_is_too_long_is_refused(void **state)
{
    (void)state;
    struct hs_buf read = {0};
    hsmart_err err = {0};

    put_file(path_of("f"), "12345", 0644);
    assert_int_equal(hs_file_read(path_of("f"), 5, &read, NULL), HSMART_OK);
    hs_buf_clear(&read);
    assert_int_equal(hs_file_read(path_of("f"), 4, &read, &err), HSMART_INPUT_MALFORMED);
    assert_null(read.data);
    assert_non_null(strstr(err.text, "/f\" is longer than the 4 bytes allowed"));
}

static void
what_cannot_be_read_is_named_with_the_reason(void **state)
{
    (void)state;
    struct hs_buf read = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_file_read("/nowhere/x", 10, &read, &err), HSMART_FILE_UNREADABLE);
    assert_string_equal(err.text, "cannot open \"/nowhere/x\": No such file or directory");
    assert_int_equal(hs_file_read("/tmp", 10, &read, &err), HSMART_FILE_UNREADABLE);
    assert_string_equal(err.text, "cannot read \"/tmp\": Is a directory");
}

static struct secret {
    const char *name;
    mode_t mode;
    enum hsmart_code code;
} secrets[] = {
    {"a secret for its owner alone is read", 0600, HSMART_OK},
    {"a secret that its owner may only read", 0400, HSMART_OK},
    {"a secret that the group may read is not used", 0640, HSMART_PIN_UNAVAILABLE},
    {"a secret that everybody may read is not used", 0604, HSMART_PIN_UNAVAILABLE},
    {"a secret that the group may write is not used", 0620, HSMART_PIN_UNAVAILABLE},
};

static void
a_secret_file_is_private(void **state)
{
    const struct secret *row = *state;
    struct hs_buf read = {0};
    hsmart_err err = {0};

    put_file(path_of("pin"), "1234\n", row->mode);
    assert_int_equal(hs_file_read_secret(path_of("pin"), 100, &read, &err), row->code);
    if (row->code == HSMART_OK) {
        assert_string_equal(hs_buf_text(&read), "1234\n");
    } else {
        assert_null(read.data);
        assert_non_null(strstr(err.text, "other users may read or write it"));
        assert_non_null(strstr(err.hint, "chmod 600"));
    }
    hs_buf_clear(&read);
}

static void
a_pipe_in_place_of_a_secret_does_not_hang(void **state)
{
    (void)state;
    struct hs_buf read = {0};
    hsmart_err err = {0};

    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_int_equal(hs_file_read_secret(path_of("fifo"), 100, &read, &err), HSMART_PIN_UNAVAILABLE);
    assert_non_null(strstr(err.text, "it is not a regular file"));
    assert_null(strstr(err.hint, "chmod"));
}

static void
a_file_is_replaced_with_the_mode_asked_for(void **state)
{
    (void)state;
    struct stat status;

    put_file(path_of("jwks"), "old", 0600);
    assert_int_equal(hs_file_write_atomic(path_of("jwks"), span("new"), 0644, NULL), HSMART_OK);
    assert_file(path_of("jwks"), "new");
    assert_int_equal(stat(path_of("jwks"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0644);
    assert_int_equal(entries_of_directory(), 3); /* with . and .. */
}

static void
a_new_file_is_made(void **state)
{
    (void)state;
    assert_int_equal(hs_file_write_atomic(path_of("fresh"), span("x"), 0600, NULL), HSMART_OK);
    assert_file(path_of("fresh"), "x");
}

static void
a_link_stays_and_its_target_is_replaced(void **state)
{
    (void)state;
    struct stat status;

    put_file(path_of("target"), "old", 0644);
    assert_int_equal(symlink(path_of("target"), path_of("link")), 0);
    assert_int_equal(hs_file_write_atomic(path_of("link"), span("new"), 0644, NULL), HSMART_OK);
    assert_int_equal(lstat(path_of("link"), &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_file(path_of("target"), "new");
}

static void
what_is_not_a_file_is_written_to(void **state)
{
    (void)state;
    hsmart_err err = {0};

    assert_int_equal(hs_file_write_atomic("/dev/null", span("x"), 0644, NULL), HSMART_OK);
    assert_int_equal(hs_file_write_atomic("/dev/full", span("x"), 0644, &err), HSMART_OUTPUT_FAILED);
    assert_string_equal(err.text, "cannot write \"/dev/full\": No space left on device");
}

static void
where_nothing_can_be_made_the_reason_is_told(void **state)
{
    (void)state;
    hsmart_err err = {0};

    assert_int_equal(hs_file_write_atomic("/nowhere/x", span("x"), 0644, &err), HSMART_OUTPUT_FAILED);
    assert_string_equal(err.text, "cannot make a file beside \"/nowhere/x\": No such file or directory");
    assert_int_equal(hs_file_write_atomic(directory, span("x"), 0644, &err), HSMART_OUTPUT_FAILED);
    assert_non_null(strstr(err.text, "Is a directory"));
}

/* A file size limit stands for a full disk: in a child process, so that the rest is not limited. */
static void
a_disk_that_is_full_leaves_the_old_file_and_nothing_beside_it(void **state)
{
    (void)state;
    int status = 0;

    put_file(path_of("kept"), "old", 0644);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {2, 2};
        (void)signal(SIGXFSZ, SIG_IGN);
        (void)setrlimit(RLIMIT_FSIZE, &limit);
        _exit((int)hs_file_write_atomic(path_of("kept"), span("new and longer"), 0644, NULL));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), HSMART_OUTPUT_FAILED);
    assert_file(path_of("kept"), "old");
    assert_int_equal(entries_of_directory(), 3);
}

/* Room that was made is there though the disk fills up meanwhile. */
static void
a_draft_makes_room_before_it_is_written(void **state)
{
    (void)state;
    struct hs_file_draft draft = {0};
    struct stat status;

    put_file(path_of("kept"), "old", 0644);
    assert_int_equal(hs_file_draft_begin(path_of("kept"), 100000, 0600, &draft, NULL), HSMART_OK);
    assert_int_equal(fstat(draft.fd, &status), 0);
    assert_true(status.st_size == 100000 && status.st_blocks * 512 >= 100000);
    assert_file(path_of("kept"), "old");
    assert_int_equal(hs_file_draft_end(&draft, span("new"), NULL), HSMART_OK);
    hs_file_draft_clear(&draft);
    assert_file(path_of("kept"), "new");
    assert_int_equal(stat(path_of("kept"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(entries_of_directory(), 3);
}

static void
a_draft_that_is_given_up_leaves_nothing(void **state)
{
    (void)state;
    struct hs_file_draft draft = {0};

    put_file(path_of("kept"), "old", 0644);
    assert_int_equal(hs_file_draft_begin(path_of("kept"), 10, 0600, &draft, NULL), HSMART_OK);
    hs_file_draft_clear(&draft);
    hs_file_draft_clear(&draft);
    assert_file(path_of("kept"), "old");
    assert_int_equal(entries_of_directory(), 3);
}

static void
a_draft_without_room_is_refused_before_anything_is_written(void **state)
{
    (void)state;
    int status = 0;

    put_file(path_of("kept"), "old", 0644);
    pid_t child = fork();
    if (child == 0) {
        struct hs_file_draft draft = {0};
        struct rlimit limit = {1000, 1000};
        (void)signal(SIGXFSZ, SIG_IGN);
        (void)setrlimit(RLIMIT_FSIZE, &limit);
        _exit((int)hs_file_draft_begin(path_of("kept"), 1001, 0644, &draft, NULL));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), HSMART_OUTPUT_FAILED);
    assert_int_equal(entries_of_directory(), 3);
}

static struct unsynced {
    const char *name;
    int fsync_errno;
    enum hsmart_code code;
} unsynced[] = {
    {"a failing disk is told", EIO, HSMART_OUTPUT_FAILED},
    {"a file system that does not sync directories has done what it can", EINVAL, HSMART_OK},
    {"another one of them", ENOTSUP, HSMART_OK},
};

static void
a_directory_that_cannot_be_synced(void **state)
{
    const struct unsynced *row = *state;
    hsmart_err err = {0};

    hs_test_fail_call(TEST_FSYNC_DIRECTORY, row->fsync_errno, 0);
    enum hsmart_code code = hs_file_write_atomic(path_of("f"), span("new"), 0644, &err);
    assert_true(hs_test_end_failing_calls());
    assert_int_equal(code, row->code);
    if (code != HSMART_OK)
        assert_non_null(strstr(err.text, "cannot sync the directory \"/tmp/hsmart-test-file."));
    assert_file(path_of("f"), "new");
    assert_int_equal(entries_of_directory(), 3);
}

/* Two descriptors of one process are as good as two processes: flock is held by what was opened. */
static void
a_lock_is_held_by_one_at_a_time(void **state)
{
    int first = -1, second = -1;
    hsmart_err err = {0};

    (void)state;
    assert_int_equal(hs_file_lock(path_of("f"), 0, &first, &err), HSMART_OK);
    assert_int_equal(hs_file_lock(path_of("f"), 30, &second, &err), HSMART_OUTPUT_FAILED);
    assert_non_null(strstr(err.text, "another process has held \"/tmp/hsmart-test-file."));
    assert_int_equal(second, -1);
    hs_file_unlock(first);
    assert_int_equal(hs_file_lock(path_of("f"), 0, &second, &err), HSMART_OK);
    hs_file_unlock(second);
    hs_file_unlock(-1);
}

static void
a_lock_that_cannot_be_made_is_told(void **state)
{
    int lock = -1;
    hsmart_err err = {0};

    (void)state;
    assert_int_equal(hs_file_lock(path_of("none/f"), 0, &lock, &err), HSMART_OUTPUT_FAILED);
    assert_non_null(strstr(err.text, "No such file"));
    assert_int_equal(symlink("elsewhere", path_of("g.lock")), 0);
    assert_int_equal(hs_file_lock(path_of("g"), 0, &lock, &err), HSMART_OUTPUT_FAILED);
    assert_int_equal(lock, -1);
}

int
main(void)
{
    static struct rows rows;

    if (mkdtemp(directory) == NULL)
        return 1;
    ADD_TEST(&rows, a_file_is_read_whole);
    ADD_TEST(&rows, a_file_that_is_too_long_is_refused);
    ADD_TEST(&rows, what_cannot_be_read_is_named_with_the_reason);
    ADD_ROWS(&rows, a_secret_file_is_private, secrets);
    ADD_TEST(&rows, a_pipe_in_place_of_a_secret_does_not_hang);
    ADD_TEST(&rows, a_file_is_replaced_with_the_mode_asked_for);
    ADD_TEST(&rows, a_new_file_is_made);
    ADD_TEST(&rows, a_link_stays_and_its_target_is_replaced);
    ADD_TEST(&rows, what_is_not_a_file_is_written_to);
    ADD_TEST(&rows, where_nothing_can_be_made_the_reason_is_told);
    ADD_TEST(&rows, a_disk_that_is_full_leaves_the_old_file_and_nothing_beside_it);
    ADD_TEST(&rows, a_draft_makes_room_before_it_is_written);
    ADD_TEST(&rows, a_draft_that_is_given_up_leaves_nothing);
    ADD_TEST(&rows, a_draft_without_room_is_refused_before_anything_is_written);
    ADD_ROWS(&rows, a_directory_that_cannot_be_synced, unsynced);
    ADD_TEST(&rows, a_lock_is_held_by_one_at_a_time);
    ADD_TEST(&rows, a_lock_that_cannot_be_made_is_told);
    for (size_t i = 0; i < rows.count; i++)
        rows.tests[i].setup_func = empty_directory;
    int failed = rows_run("file", &rows);
    (void)empty_directory(NULL);
    (void)rmdir(directory);
    return failed;
}
