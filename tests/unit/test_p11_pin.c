/* PIN sources: what each gives, what it refuses, and that nothing of a PIN gets into a message. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "failing_calls.h"
#include "p11_pin.h"
#include "rows.h"

static char directory[64];

static int
fresh_directory(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/hsmart-pin-XXXXXX");
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

static const char *
in_directory(const char *name)
{
    static char path[2][256];
    static unsigned turn;

    turn = !turn;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%s", directory, name);
    return path[turn];
}

static void
put_file(const char *name, struct hs_span contents, mode_t mode)
{
    int fd = open(in_directory(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, contents.data, contents.len), contents.len);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

/* Reads `text` as a source; the PIN has to be `pin`, or NULL for a failure with HSMART_PIN_UNAVAILABLE. */
static void
expect_pin(const char *text, const char *pin, const char *says)
{
    struct hs_pin_source source = {0};
    struct hs_secret secret = {0};
    hsmart_err err = {0};
    enum hsmart_code code = hs_pin_source_parse(text, &source, &err);

    assert_int_equal(code, HSMART_OK);
    code = hs_pin_source_read(&source, "PIN", &secret, &err);
    if (pin != NULL && code != HSMART_OK)
        fail_msg("%s", err.text);
    if (pin == NULL) {
        assert_int_equal(code, HSMART_PIN_UNAVAILABLE);
        assert_int_equal(err.code, HSMART_PIN_UNAVAILABLE);
        assert_null(secret.data);
    } else {
        assert_true(hs_span_equal_str((struct hs_span){secret.data, secret.len}, pin));
    }
    if (says != NULL && strstr(err.text, says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    assert_null(strstr(err.text, "0815"));
    assert_null(strstr(err.hint, "0815"));
    hs_secret_clear(&secret);
    hs_pin_source_clear(&source);
}

/* ---- Naming a source ---- */

static struct naming {
    const char *name, *text, *kind, *argument;
} namings[] = {
    {"a file", "file:/etc/pin", "file", "/etc/pin"},
    {"a colon in the argument", "file:/a:b", "file", "/a:b"},
    {"a credential", "credential:pin", "credential", "pin"},
    {"a descriptor", "fd:3", "fd", "3"},
    {"a command", "exec:pass show token:1", "exec", "pass show token:1"},
    {"a question", "prompt", "prompt", NULL},
    {"the token's keys", "pinpad", "pinpad", NULL},
    {"a file without a path", "file:", NULL, NULL},
    {"a file without a colon", "file", NULL, NULL},
    {"a question with an argument", "prompt:x", NULL, NULL},
    {"another case", "File:/x", NULL, NULL},
    {"a PIN", "0815", NULL, NULL},
    {"a PIN that looks like a source", "0815:0815", NULL, NULL},
    {"an environment variable", "env:0815", NULL, NULL},
    {"nothing", "", NULL, NULL},
};

static void
a_source_is_named(void **state)
{
    const struct naming *row = *state;
    struct hs_pin_source source = {0};
    hsmart_err err = {0};
    enum hsmart_code code = hs_pin_source_parse(row->text, &source, &err);

    assert_int_equal(code, row->kind != NULL ? HSMART_OK : HSMART_INVALID_ARGUMENT);
    assert_null(strstr(err.text, "0815"));
    assert_null(strstr(err.hint, "0815"));
    if (row->kind == NULL) {
        assert_null(source.kind);
        return;
    }
    assert_string_equal(source.kind->name, row->kind);
    if (row->argument != NULL)
        assert_string_equal(source.argument, row->argument);
    hs_pin_source_clear(&source);
    hs_pin_source_clear(&source);
}

/* ---- What a source gives ---- */

#define BYTES(text)                                                                                                    \
    {                                                                                                                  \
        (const uint8_t *)(text), sizeof(text) - 1                                                                      \
    }
static char longest[HS_SECRET_MAX + 4];

static struct contents {
    const char *name;
    struct hs_span bytes;
    const char *pin, *says;
} contents[] = {
    {"a PIN", BYTES("0815"), "0815", NULL},
    {"a line", BYTES("0815\n"), "0815", NULL},
    {"a line of another system", BYTES("0815\r\n"), "0815", NULL},
    {"a second line end", BYTES("0815\n\n"), NULL, "control character"},
    {"two lines", BYTES("0815\n4711\n"), NULL, "control character"},
    {"a zero byte", BYTES("0815\0"), NULL, "control character"},
    {"UTF-16", BYTES("0\0008\0001\0005\000"), NULL, "control character"},
    {"a byte order mark",
     BYTES("\xef\xbb\xbf"
           "0815\n"),
     NULL, "byte order mark"},
    {"an arrow key", BYTES("0815\x1b[D"), NULL, "control character"},
    {"blanks belong to the PIN", BYTES(" 08 15 \n"), " 08 15 ", NULL},
    {"a carriage return alone", BYTES("0815\r"), NULL, "control character"},
    {"user and password", BYTES("crypto-user:0815\n"), "crypto-user:0815", NULL},
    {"letters of any language", BYTES("\xc3\xa4\xc3\xb6"), "\xc3\xa4\xc3\xb6", NULL},
    {"nothing", BYTES(""), NULL, "empty"},
    {"an empty line", BYTES("\n"), NULL, "empty"},
    {"the longest PIN", {(const uint8_t *)longest, HS_SECRET_MAX}, longest, NULL},
    {"a PIN that is too long", {(const uint8_t *)longest, HS_SECRET_MAX + 1}, NULL, "longer than"},
};

static void
a_file_gives_its_pin(void **state)
{
    const struct contents *row = *state;
    char text[300];

    memset(longest, 'x', HS_SECRET_MAX);
    longest[HS_SECRET_MAX] = row->pin == longest ? 0 : 'x';
    put_file("pin", row->bytes, 0600);
    (void)snprintf(text, sizeof text, "file:%s", in_directory("pin"));
    expect_pin(text, row->pin, row->says);
    (void)snprintf(text, sizeof text, "exec:cat %s", in_directory("pin"));
    expect_pin(text, row->pin, row->says);
}

static struct bad_file {
    const char *name, *argument, *says;
    mode_t mode;
} bad_files[] = {
    {"readable by the group", "pin", "other users", 0640},
    {"readable by all", "pin", "other users", 0644},
    {"writable by others", "pin", "other users", 0602},
    {"a directory", ".", "not a regular file", 0600},
    {"a FIFO", "fifo", "not a regular file", 0600},
    {"a link to a file that all can read", "link", "other users", 0644},
    {"missing", "absent", "No such file", 0600},
};

static void
a_file_that_others_can_reach_is_refused(void **state)
{
    const struct bad_file *row = *state;
    char text[300];

    put_file("pin", span("0815\n"), row->mode);
    assert_int_equal(mkfifo(in_directory("fifo"), 0600), 0);
    assert_int_equal(symlink("pin", in_directory("link")), 0);
    (void)snprintf(text, sizeof text, "file:%s", in_directory(row->argument));
    expect_pin(text, NULL, row->says);
}

static void
a_link_to_a_private_file_is_followed(void **state)
{
    char text[300];

    (void)state;
    put_file("pin", span("0815\n"), 0400);
    assert_int_equal(symlink("pin", in_directory("link")), 0);
    (void)snprintf(text, sizeof text, "file:%s", in_directory("link"));
    expect_pin(text, "0815", NULL);
}

static struct credential {
    const char *name, *source;
    bool has_directory;
    const char *pin, *says;
} credentials[] = {
    {"a credential", "credential:pin", true, "0815", NULL},
    {"not a systemd service", "credential:pin", false, NULL, "CREDENTIALS_DIRECTORY is not set"},
    {"a missing one", "credential:absent", true, NULL, "No such file"},
    {"a path", "credential:../pin", true, NULL, "has no \"/\""},
    {"the directory above", "credential:..", true, NULL, NULL},
    {"the directory itself", "credential:.", true, NULL, NULL},
    {"a FIFO does not hang", "credential:fifo", true, NULL, "empty"},
};

static void
a_credential_is_a_file_of_the_service(void **state)
{
    const struct credential *row = *state;

    (void)mkfifo(in_directory("fifo"), 0600); /* left by the row before, where rows share the directory */
    put_file("pin", span("0815\n"), 0440);    /* systemd's mode for a service with a group */
    assert_int_equal(
        row->has_directory ? setenv("CREDENTIALS_DIRECTORY", directory, 1) : unsetenv("CREDENTIALS_DIRECTORY"), 0);
    expect_pin(row->source, row->pin, row->says);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void
a_descriptor_is_read_to_its_end(void **state)
{
    int ends[2];
    char text[32];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "0815\n", 5), 5);
    assert_int_equal(close(ends[1]), 0);
    (void)snprintf(text, sizeof text, "fd:%d", ends[0]);
    expect_pin(text, "0815", NULL);
    expect_pin(text, NULL, "empty"); /* once is all */
    assert_int_equal(close(ends[0]), 0);
    expect_pin(text, NULL, "Bad file descriptor");
}

static struct bad_descriptor {
    const char *name, *text, *says;
} bad_descriptors[] = {
    {"not a number", "fd:three", "must be a whole number"},
    {"negative", "fd:-1", "must be a whole number"},
    {"beyond all limits", "fd:99999999", "must be a whole number"},
    {"not open", "fd:999", "Bad file descriptor"},
};

static void
a_descriptor_that_is_none_is_refused(void **state)
{
    const struct bad_descriptor *row = *state;

    expect_pin(row->text, NULL, row->says);
}

static struct command {
    const char *name, *source, *pin, *says;
} commands[] = {
    {"prints a PIN", "exec:echo 0815", "0815", NULL},
    {"is a line of the shell", "exec:printf %s 08; printf '%s\\n' 15", "0815", NULL},
    {"fails after printing", "exec:echo 0815; exit 3", NULL, "exit status 3"},
    {"is missing", "exec:/no/such/program 2>/dev/null", NULL, "exit status 127"},
    {"is ended by a signal", "exec:kill -TERM $$", NULL, "signal 15"},
    {"goes on after closing its output", "exec:echo 0815; exec >&-; sleep 0.3", "0815", NULL},
    {"fails after closing its output", "exec:echo 0815; exec >&-; sleep 0.1; exit 4", NULL, "exit status 4"},
    {"prints nothing", "exec:true", NULL, "empty"},
    {"prints without end", "exec:yes 0815", NULL, "longer than"},
    {"gets no input of ours", "exec:cat", NULL, "empty"},
};

static void
a_command_prints_the_pin(void **state)
{
    const struct command *row = *state;
    int64_t before = hs_clock_monotonic_ms();

    expect_pin(row->source, row->pin, row->says);
    assert_true(hs_clock_monotonic_ms() - before < 5000);
}

static void
a_pin_pad_gives_its_pin_to_nobody(void **state)
{
    (void)state;
    expect_pin("pinpad", NULL, "PIN pad");
}

/* ---- The terminal ---- */

static struct asking {
    const char *name, *typed, *pin;
} askings[] = {
    {"a line", "0815\n", "0815"},
    {"a correction",
     "0816\x7f"
     "5\n",
     "0815"},
    {"corrections beyond the beginning",
     "\x7f\x7f"
     "0815\n",
     "0815"},
    {"the line begun again",
     "9999\x15"
     "0815\n",
     "0815"},
    {"nothing", "\n", NULL},
    {"an interrupt", "08\x03", NULL},
    {"the end of input", "\x04", NULL},
};

/* In a session of its own whose terminal is `slave`: exit status 0 for the PIN expected, 1 for none, 2 otherwise. */
static int
ask_in_child(const char *slave, const char *pin)
{
    struct hs_pin_source source = {0};
    struct hs_secret secret = {0};

    if (setsid() < 0)
        return 3;
    int tty = open(slave, O_RDWR);
    if (tty < 0 || hs_pin_source_parse("prompt", &source, NULL) != HSMART_OK)
        return 3;
    enum hsmart_code code = hs_pin_source_read(&source, "PIN of token \"prod\"", &secret, NULL);
    bool same = pin != NULL && hs_span_equal_str((struct hs_span){secret.data, secret.len}, pin);
    hs_secret_clear(&secret);
    hs_pin_source_clear(&source);
    return code == HSMART_PIN_UNAVAILABLE ? 1 : code == HSMART_OK && same ? 0 : 2;
}

/* Reads what the terminal shows until it has seen `until`, or some seconds have passed. */
static bool
see(int master, const char *until, char shown[512])
{
    size_t len = strlen(shown);
    int64_t deadline = hs_clock_monotonic_ms() + 5000;

    while (strstr(shown, until) == NULL && len < 510 && hs_clock_monotonic_ms() < deadline) {
        ssize_t got = read(master, shown + len, 511 - len);
        if (got > 0)
            len += (size_t)got;
        else
            hs_clock_sleep_ms(2);
        shown[len] = 0;
    }
    return strstr(shown, until) != NULL;
}

static void
a_person_is_asked_without_echo(void **state)
{
    const struct asking *row = *state;
    char shown[512] = "";
    struct termios settings;
    int status = 0;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    const char *slave = ptsname(master);
    int keep = open(slave, O_RDWR | O_NOCTTY | O_CLOEXEC); /* so that settings can be looked at afterwards */
    assert_true(keep >= 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        end_child(ask_in_child(slave, row->pin));
    assert_true(see(master, "PIN of token \"prod\": ", shown));
    assert_int_equal(write(master, row->typed, strlen(row->typed)), strlen(row->typed));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), row->pin != NULL ? 0 : 1);
    (void)see(master, "\n", shown);
    assert_null(strstr(shown, "08"));
    assert_int_equal(tcgetattr(keep, &settings), 0);
    assert_true((settings.c_lflag & (ECHO | ICANON | ISIG)) == (ECHO | ICANON | ISIG));
    assert_int_equal(close(keep), 0);
    assert_int_equal(close(master), 0);
}

static void
a_signal_ends_the_question_and_leaves_the_echo(void **state)
{
    char shown[512] = "";
    struct termios settings;
    int status = 0;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    (void)state;
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    const char *slave = ptsname(master);
    int keep = open(slave, O_RDWR | O_NOCTTY | O_CLOEXEC);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        end_child(ask_in_child(slave, NULL));
    assert_true(see(master, "PIN of token", shown));
    assert_int_equal(tcgetattr(keep, &settings), 0);
    assert_true((settings.c_lflag & ECHO) == 0);
    assert_int_equal(kill(child, SIGTERM), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    assert_int_equal(tcgetattr(keep, &settings), 0);
    assert_true((settings.c_lflag & ECHO) != 0);
    assert_int_equal(close(keep), 0);
    assert_int_equal(close(master), 0);
}

static void
go_on(int number)
{
    (void)number;
}

static struct disturbance {
    const char *name;
    enum hs_test_call call; /* that fails */
    int error;
    unsigned good; /* such calls before */
    bool is_asked; /* the question is seen */
    bool is_signalled;
    int status; /* of ask_in_child */
} disturbances[] = {
    {"nothing, for a while", TEST_CALL_COUNT, 0, 0, true, false, 0},
    {"an interrupted read", TEST_READ, EINTR, 0, true, false, 0},
    {"a terminal that is gone", TEST_READ, EIO, 0, true, false, 1},
    {"a terminal that cannot be set", TEST_TCGETATTR, EIO, 0, false, false, 1},
    {"a terminal that takes no question", TEST_WRITE, EIO, 0, false, false, 1},
    {"a terminal that takes half of it", TEST_WRITE, EIO, 1, false, false, 1},
    {"a signal that the program handles", TEST_CALL_COUNT, 0, 0, true, true, 1},
};

static void
a_question_that_is_disturbed(void **state)
{
    const struct disturbance *row = *state;
    char shown[512] = "";
    struct termios settings;
    int status = 0;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    const char *slave = ptsname(master);
    int keep = open(slave, O_RDWR | O_NOCTTY | O_CLOEXEC);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGTERM, go_on);
        if (row->call != TEST_CALL_COUNT)
            hs_test_fail_call(row->call, row->error, row->good);
        end_child(ask_in_child(slave, "0815"));
    }
    if (row->is_asked)
        assert_true(see(master, "PIN of token \"prod\": ", shown));
    hs_clock_sleep_ms(row->call == TEST_CALL_COUNT ? 150 : 0);
    if (row->is_signalled)
        assert_int_equal(kill(child, SIGTERM), 0);
    else if (row->is_asked)
        assert_int_equal(write(master, "0815\n", 5), 5);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), row->status);
    assert_int_equal(tcgetattr(keep, &settings), 0);
    assert_true((settings.c_lflag & (ECHO | ICANON | ISIG)) == (ECHO | ICANON | ISIG));
    assert_int_equal(close(keep), 0);
    assert_int_equal(close(master), 0);
}

static void
without_a_terminal_nobody_is_asked(void **state)
{
    int status = 0;
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        struct hs_pin_source source = {0};
        struct hs_secret secret = {0};
        hsmart_err err = {0};
        if (setsid() < 0 || hs_pin_source_parse("prompt", &source, NULL) != HSMART_OK)
            end_child(3);
        enum hsmart_code code = hs_pin_source_read(&source, "PIN", &secret, &err);
        bool told = strstr(err.text, "no terminal") != NULL && err.hint[0] != 0;
        hs_pin_source_clear(&source);
        end_child(code == HSMART_PIN_UNAVAILABLE && told ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- Handing a PIN on ---- */

static void
a_child_process_reads_the_pin_from_a_descriptor(void **state)
{
    struct hs_secret pin = {0};
    int fd = -1, status = 0;
    char command[64];

    (void)state;
    assert_int_equal(hs_secret_set(&pin, span("0815"), NULL), HSMART_OK);
    assert_int_equal(hs_pin_to_fd(&pin, &fd, NULL), HSMART_OK);
    (void)snprintf(command, sizeof command, "test \"$(cat <&%d)\" = 0815", fd);
    status = system(command);
    assert_int_equal(status, 0);
    assert_int_equal(close(fd), 0);
    hs_secret_clear(&pin);
}

static void
a_descriptor_handed_on_can_be_read_as_a_source(void **state)
{
    struct hs_secret pin = {0};
    int fd = -1;
    char text[32];

    (void)state;
    assert_int_equal(hs_secret_set(&pin, span(" 0815 "), NULL), HSMART_OK);
    assert_int_equal(hs_pin_to_fd(&pin, &fd, NULL), HSMART_OK);
    (void)snprintf(text, sizeof text, "fd:%d", fd);
    expect_pin(text, " 0815 ", NULL);
    assert_int_equal(close(fd), 0);
    hs_secret_clear(&pin);
}

int
main(void)
{
    struct rows rows = {0};

    ADD_ROWS(&rows, a_source_is_named, namings);
    ADD_ROWS(&rows, a_file_gives_its_pin, contents);
    ADD_ROWS(&rows, a_file_that_others_can_reach_is_refused, bad_files);
    ADD_TEST(&rows, a_link_to_a_private_file_is_followed);
    ADD_ROWS(&rows, a_credential_is_a_file_of_the_service, credentials);
    ADD_TEST(&rows, a_descriptor_is_read_to_its_end);
    ADD_ROWS(&rows, a_descriptor_that_is_none_is_refused, bad_descriptors);
    ADD_ROWS(&rows, a_command_prints_the_pin, commands);
    ADD_TEST(&rows, a_pin_pad_gives_its_pin_to_nobody);
    ADD_ROWS(&rows, a_person_is_asked_without_echo, askings);
    ADD_TEST(&rows, a_signal_ends_the_question_and_leaves_the_echo);
    ADD_ROWS(&rows, a_question_that_is_disturbed, disturbances);
    ADD_TEST(&rows, without_a_terminal_nobody_is_asked);
    ADD_TEST(&rows, a_child_process_reads_the_pin_from_a_descriptor);
    ADD_TEST(&rows, a_descriptor_handed_on_can_be_read_as_a_source);
    for (size_t i = 0; i < rows.count; i++) {
        rows.tests[i].setup_func = fresh_directory;
        rows.tests[i].teardown_func = remove_directory;
    }
    return rows_run("p11_pin", &rows);
}
