/* Where access tokens are kept: what disk, locks and others may do to it is told, and leaves nothing behind. */
#define _GNU_SOURCE /* mkdtemp */
#include "rows.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "failing_calls.h"
#include "private_directory.h"

static char scratch[] = "/tmp/hsmart-private-XXXXXX";
static struct hs_private_directory directory = {.fd = -1};

static int
open_it(void **state)
{
    char path[64];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/kept", scratch);
    return hs_private_directory_open(path, &directory, NULL) == HSMART_OK ? 0 : -1;
}

static int
close_it(void **state)
{
    char command[64];

    (void)state;
    hs_private_directory_close(&directory);
    (void)snprintf(command, sizeof command, "rm -rf %s/*", scratch);
    return system(command);
}

static unsigned
entries(void)
{
    unsigned count = 0;
    DIR *stream = opendir(directory.path);

    assert_non_null(stream);
    while (readdir(stream) != NULL)
        count++;
    (void)closedir(stream);
    return count - 2;
}

static void
a_disk_that_is_full_keeps_what_was_there(void **state)
{
    (void)state;
    struct hs_buf read = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_private_directory_save(&directory, "a", span("old"), NULL), HSMART_OK);
    hs_test_fail_call(TEST_WRITE, ENOSPC, 0);
    assert_int_equal(hs_private_directory_save(&directory, "a", span("new"), &err), HSMART_OUTPUT_FAILED);
    assert_true(hs_test_end_failing_calls());
    assert_non_null(strstr(err.text, "No space left"));
    assert_int_equal(hs_private_directory_load(&directory, "a", 100, &read, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&read), "old");
    assert_int_equal(entries(), 1);
    hs_buf_clear(&read);
}

static void
without_random_numbers_nothing_is_written(void **state)
{
    (void)state;

    hs_test_fail_call(TEST_RANDOM, EIO, 0);
    assert_int_not_equal(hs_private_directory_save(&directory, "a", span("new"), NULL), HSMART_OK);
    assert_true(hs_test_end_failing_calls());
    assert_int_equal(entries(), 0);
}

static void
a_directory_in_the_place_of_a_file_is_told(void **state)
{
    (void)state;
    hsmart_err err = {0};

    assert_int_equal(mkdirat(directory.fd, "a", 0700), 0);
    assert_int_equal(mkdirat(directory.fd, "a/b", 0700), 0);
    assert_int_equal(hs_private_directory_save(&directory, "a", span("new"), &err), HSMART_OUTPUT_FAILED);
    assert_non_null(strstr(err.text, "cannot replace"));
    assert_int_equal(entries(), 1);
}

static void
a_directory_that_went_away_is_told(void **state)
{
    (void)state;
    int lock = -1;
    hsmart_err err = {0};

    assert_int_equal(rmdir(directory.path), 0);
    assert_int_equal(hs_private_directory_save(&directory, "a", span("new"), &err), HSMART_OUTPUT_FAILED);
    assert_non_null(strstr(err.text, "cannot write into"));
    assert_int_equal(hs_private_directory_lock(&directory, "a", 0, &lock, &err), HSMART_OUTPUT_FAILED);
    assert_int_equal(lock, -1);
}

static struct lock_failure {
    const char *name;
    int error;
    enum hsmart_code code;
} lock_failures[] = {
    {"no locks on this file system", ENOLCK, HSMART_OUTPUT_FAILED},
    {"interrupted, and had then", EINTR, HSMART_OK},
    {"held for a moment, and had then", EWOULDBLOCK, HSMART_OK},
};

static void
a_lock_is_had_or_its_lack_is_told(void **state)
{
    const struct lock_failure *row = *state;
    int lock = -1;
    hsmart_err err = {0};

    hs_test_fail_call(TEST_FLOCK, row->error, 0);
    assert_int_equal(hs_private_directory_lock(&directory, "a", 5000, &lock, &err), row->code);
    assert_true(hs_test_end_failing_calls());
    assert_int_equal(lock >= 0, row->code == HSMART_OK);
    if (lock >= 0)
        hs_private_directory_unlock(lock);
    else
        assert_non_null(strstr(err.text, "cannot lock"));
}

static void
a_lock_of_another_is_not_waited_for_longer_than_allowed(void **state)
{
    (void)state;
    int first = -1, second = -1;

    assert_int_equal(hs_private_directory_lock(&directory, "a", 0, &first, NULL), HSMART_OK);
    assert_int_equal(hs_private_directory_lock(&directory, "a", 20, &second, NULL), HSMART_SERVER_BUSY);
    assert_int_equal(second, -1);
    hs_private_directory_unlock(first);
    assert_int_equal(hs_private_directory_lock(&directory, "a", 0, &second, NULL), HSMART_OK);
    hs_private_directory_unlock(second);
}

/* A link could lead anywhere. */
static void
a_link_in_the_place_of_a_lock_is_not_followed(void **state)
{
    (void)state;
    int lock = -1;

    assert_int_equal(symlinkat("elsewhere", directory.fd, "a.lock"), 0);
    assert_int_equal(hs_private_directory_lock(&directory, "a", 0, &lock, NULL), HSMART_OUTPUT_FAILED);
    assert_int_equal(lock, -1);
}

int
main(void)
{
    static struct rows rows;

    if (mkdtemp(scratch) == NULL)
        return 1;
    ADD_TEST(&rows, a_disk_that_is_full_keeps_what_was_there);
    ADD_TEST(&rows, without_random_numbers_nothing_is_written);
    ADD_TEST(&rows, a_directory_in_the_place_of_a_file_is_told);
    ADD_TEST(&rows, a_directory_that_went_away_is_told);
    ADD_ROWS(&rows, a_lock_is_had_or_its_lack_is_told, lock_failures);
    ADD_TEST(&rows, a_lock_of_another_is_not_waited_for_longer_than_allowed);
    ADD_TEST(&rows, a_link_in_the_place_of_a_lock_is_not_followed);
    for (size_t i = 0; i < rows.count; i++) {
        rows.tests[i].setup_func = open_it;
        rows.tests[i].teardown_func = close_it;
    }
    int failed = rows_run("private directory", &rows);
    (void)rmdir(scratch);
    return failed;
}
