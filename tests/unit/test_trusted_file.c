#define _GNU_SOURCE /* mkdtemp */
#include "rows.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "trusted_file.h"

static char directory[] = "/tmp/hsmart-test-trusted.XXXXXX";

/* What is made below the directory, and how it is called when it is read. */
static struct trust {
    const char *name;
    const char *commands; /* of a shell, in the directory */
    const char *path;     /* relative to the directory, or absolute */
    bool needs_root;      /* to give a file away */
    const char *message;  /* NULL: it is read */
    const char *hint;
    const char *caveat;
} trusts[] = {
    {"a file of one's own", "echo x >f", "f", false, NULL, NULL, NULL},
    {"a file that all may read", "echo x >f; chmod 644 f", "f", false, NULL, NULL, NULL},
    {"a file that all may write", "echo x >f; chmod 646 f", "f", false, "other users may write", "chmod go-w", NULL},
    {"a file that a group may write", "echo x >f; chmod 660 f; chgrp 54321 f", "f", true, "other users may write",
     "chmod go-w", NULL},
    {"a file that the owner's private group may write", "echo x >f; chmod 660 f; chgrp $(id -u) f", "f", true, NULL,
     NULL, NULL},
    {"a file of another user", "echo x >f; chown 54321 f", "f", true, "belongs to another user", "chown", NULL},
    {"a directory that all may write", "mkdir d; echo x >d/f; chmod 777 d", "d/f", false, "other users may write",
     "chmod go-w", NULL},
    {"a sticky one", "mkdir d; echo x >d/f; chmod 1777 d", "d/f", false, NULL, NULL, NULL},
    {"further up", "mkdir -p d/e; echo x >d/e/f; chmod 777 d", "d/e/f", false, "other users may write", "chmod go-w",
     NULL},
    {"further up, and then left again", "mkdir -p d/e; echo x >f; chmod 777 d", "d/e/../../f", false,
     "other users may write", "chmod go-w", NULL},
    {"a directory of another user", "mkdir d; echo x >d/f; chown 54321 d", "d/f", true, NULL, NULL,
     "belongs to another user"},
    {"a link", "echo x >f; ln -s f l", "l", false, NULL, NULL, NULL},
    {"a link to an absolute path", "echo x >f; ln -s $PWD/./f l", "l", false, NULL, NULL, NULL},
    {"a link to a directory", "mkdir d; echo x >d/f; ln -s d l", "l/f", false, NULL, NULL, NULL},
    {"a link out of a directory that all may write", "mkdir d; echo x >f; ln -s ../f d/l; chmod 777 d", "d/l", false,
     "other users may write", "chmod go-w", NULL},
    {"a link into one", "mkdir d; echo x >d/f; ln -s d/f l; chmod 777 d", "l", false, "other users may write",
     "chmod go-w", NULL},
    {"a link of another user", "mkdir d; echo x >f; ln -s ../f d/l; chown -h 54321 d/l; chmod 1777 d", "d/l", true,
     "the link", "chown", NULL},
    {"a link to a file that all may write", "echo x >f; ln -s f l; chmod 666 f", "l", false, "other users may write",
     "chmod go-w", NULL},
    {"links in a circle", "ln -s a b; ln -s b a", "a", false, "Too many levels", "", NULL},
    {"a link to nothing", "ln -s none l", "l", false, "No such file", "", NULL},
    {"nothing", ":", "f", false, "No such file", "", NULL},
    {"a file where a directory should be", "echo x >f", "f/g", false, "Not a directory", "", NULL},
    {"a directory", "mkdir d", "d", false, "not a regular file", "not a directory", NULL},
    {"a FIFO that nobody writes", "mkfifo p", "p", false, "not a regular file", "", NULL},
    {"a device without an end", ":", "/dev/zero", false, "not a regular file", "", NULL},
    {"a link to one", "ln -s /dev/zero l", "l", false, "not a regular file", "", NULL},
    {"a file that is too long", "head -c 101 /dev/zero >f", "f", false, "longer than the 100 bytes", "", NULL},
};

static int
empty_directory(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s/*", directory);
    return system(command);
}

static void
run(const char *commands)
{
    char line[1024];

    (void)snprintf(line, sizeof line, "cd %s && umask 022 && { %s; }", directory, commands);
    assert_int_equal(system(line), 0);
}

static void
assert_says(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, text);
}

static void
only_a_file_that_others_cannot_change_is_read(void **state)
{
    const struct trust *row = *state;
    struct hs_buf read = {0}, caveat = {0};
    hsmart_err err = {0};
    char path[PATH_MAX];

    if (row->needs_root && geteuid() != 0)
        skip();
    run(row->commands);
    (void)snprintf(path, sizeof path, "%s%s%s", row->path[0] == '/' ? "" : directory, row->path[0] == '/' ? "" : "/",
                   row->path);
    enum hsmart_code code = hs_trusted_file_read(path, 100, &read, &caveat, &err);
    if (row->message == NULL) {
        assert_string_equal(err.text, "");
        assert_int_equal(code, HSMART_OK);
        assert_string_equal(hs_buf_text(&read), "x\n");
    } else {
        assert_int_not_equal(code, HSMART_OK);
        assert_says(err.text, row->message);
        assert_says(err.text, path);
        assert_says(err.hint, row->hint);
        assert_null(read.data);
    }
    if (row->caveat == NULL)
        assert_int_equal(caveat.len, 0);
    else
        assert_says(hs_buf_text(&caveat), row->caveat);
    hs_buf_clear(&read);
    hs_buf_clear(&caveat);
}

static void
a_relative_path_begins_here(void **state)
{
    struct hs_buf read = {0}, caveat = {0};
    hsmart_err err = {0};
    char before[PATH_MAX];

    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    run("mkdir d; echo x >d/f; mkdir e; echo x >e/f; chmod 777 e");
    assert_int_equal(chdir(directory), 0);
    assert_int_equal(hs_trusted_file_read("d/../d/f", 100, &read, &caveat, &err), HSMART_OK);
    assert_string_equal(hs_buf_text(&read), "x\n");
    hs_buf_clear(&read);
    assert_int_equal(chdir("e"), 0);
    assert_int_equal(hs_trusted_file_read("f", 100, &read, &caveat, &err), HSMART_FILE_UNREADABLE);
    assert_says(err.text, "/e\"");
    assert_int_equal(chdir(before), 0);
}

static void
the_null_device_is_an_empty_file(void **state)
{
    struct hs_buf read = {0}, caveat = {0};

    (void)state;
    assert_int_equal(hs_trusted_file_read("/dev/null", 100, &read, &caveat, NULL), HSMART_OK);
    assert_int_equal(read.len, 0);
    hs_buf_clear(&read);
}

int
main(void)
{
    static struct rows rows;

    if (mkdtemp(directory) == NULL)
        return 1;
    ADD_ROWS(&rows, only_a_file_that_others_cannot_change_is_read, trusts);
    ADD_TEST(&rows, a_relative_path_begins_here);
    ADD_TEST(&rows, the_null_device_is_an_empty_file);
    for (size_t i = 0; i < rows.count; i++)
        rows.tests[i].setup_func = empty_directory;
    int failed = rows_run("trusted_file", &rows);
    (void)empty_directory(NULL);
    (void)rmdir(directory);
    return failed;
}
