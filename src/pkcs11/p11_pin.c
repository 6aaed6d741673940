#define _GNU_SOURCE /* memfd_create, O_CLOEXEC */
#include "p11_pin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "file.h"
#include "text.h"

#define EXEC_TIMEOUT_MS 60000
#define TTY_LOOK_MS 100                  /* how often a question looks for signals */
#define PIN_TEXT_MAX (HS_SECRET_MAX + 2) /* and a line end */

/* ---- What a source gave ---- */

/* Why these bytes are no PIN that anybody set, or NULL: each would be a wrong try, of which tokens count only a few. */
static const char *
pin_objection(struct hs_span pin)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";

    if (pin.len == 0)
        return "it is empty";
    if (pin.len >= 3 && memcmp(pin.data, byte_order_mark, 3) == 0)
        return "it begins with a byte order mark, which an editor put there";
    for (size_t i = 0; i < pin.len; i++)
        if (pin.data[i] < 0x20 || pin.data[i] == 0x7f)
            return "it has a control character in it (a second line end, a tab, a zero byte)";
    return NULL;
}

/* One line end is the file's, not the PIN's. */
static enum hsmart_code
take_pin(const struct hs_buf *text, struct hs_secret *out_pin, hsmart_err *err)
{
    struct hs_span pin = hs_span_buf(text);

    if (pin.len > 0 && pin.data[pin.len - 1] == '\n')
        pin.len -= pin.len > 1 && pin.data[pin.len - 2] == '\r' ? 2 : 1;
    const char *objection = pin_objection(pin);
    if (objection != NULL) {
        (void)hs_err_set(err, HSMART_PIN_UNAVAILABLE, "%s", objection);
        hs_err_hint(err, "let the source give the PIN and at most one line end behind it; the token was not asked");
        return HSMART_PIN_UNAVAILABLE;
    }
    return hs_secret_set(out_pin, pin, err);
}

static enum hsmart_code
unavailable(hsmart_err *err, enum hsmart_code code)
{
    if (code != HSMART_NO_MEMORY)
        code = HSMART_PIN_UNAVAILABLE;
    if (err != NULL)
        err->code = code;
    return code;
}

static enum hsmart_code
read_fd(int fd, const char *name, struct hs_secret *out_pin, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = hs_file_read_fd(fd, name, PIN_TEXT_MAX, &text, err);

    if (code != HSMART_OK)
        code = unavailable(err, code);
    else
        code = take_pin(&text, out_pin, err);
    hs_buf_clear(&text);
    return code;
}

/* ---- The kinds ---- */

static enum hsmart_code
read_file(const char *path, const struct hs_pin_asking *asking, struct hs_secret *out_pin, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = hs_file_read_secret(path, PIN_TEXT_MAX, &text, err);

    (void)asking;
    if (code == HSMART_OK)
        code = take_pin(&text, out_pin, err);
    hs_buf_clear(&text);
    return code;
}

/* systemd's LoadCredential= puts it into a directory of this service alone, which is why modes are not looked at. */
static enum hsmart_code
read_credential(const char *name, const struct hs_pin_asking *asking, struct hs_secret *out_pin, hsmart_err *err)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    struct hs_buf path = {0};
    int fd = -1;
    enum hsmart_code code;

    (void)asking;
    if (directory == NULL) {
        (void)hs_err_set(err, HSMART_PIN_UNAVAILABLE, "CREDENTIALS_DIRECTORY is not set");
        hs_err_hint(err, "credentials exist in systemd services with LoadCredential=%s:PATH", name);
        return HSMART_PIN_UNAVAILABLE;
    }
    if (strchr(name, '/') != NULL || strcmp(name, "..") == 0)
        return hs_err_set(err, HSMART_PIN_UNAVAILABLE, "the name of a credential has no \"/\"");
    code = hs_buf_append_format(&path, err, "%s/%s", directory, name);
    if (code != HSMART_OK)
        return code;
    /* Not blocking: a FIFO in the file's place must not hang us. */
    fd = open(hs_buf_text(&path), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        code = hs_err_errno(err, HSMART_PIN_UNAVAILABLE, errno, "cannot open \"%s\"", hs_buf_text(&path));
    else
        code = read_fd(fd, "the credential", out_pin, err);
    if (fd >= 0)
        (void)close(fd);
    hs_buf_clear(&path);
    return code;
}

static enum hsmart_code
read_descriptor(const char *number, const struct hs_pin_asking *asking, struct hs_secret *out_pin, hsmart_err *err)
{
    long fd = 0;

    (void)asking;
    if (hs_text_parse_number(number, "the descriptor", 0, 65535, &fd, err) != HSMART_OK)
        return unavailable(err, HSMART_PIN_UNAVAILABLE);
    return read_fd((int)fd, "the descriptor", out_pin, err);
}

/* Reads what the command prints until it closes its output, within the time. */
static enum hsmart_code
read_pipe(int fd, int64_t start, int64_t deadline, struct hs_buf *text, hsmart_err *err)
{
    uint8_t chunk[256];
    enum hsmart_code code = HSMART_OK;

    text->max_len = PIN_TEXT_MAX;
    while (code == HSMART_OK) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int64_t left = deadline - hs_clock_monotonic_ms();
        if (left <= 0 || poll(&ready, 1, (int)left) == 0) {
            code =
                hs_err_set(err, HSMART_PIN_UNAVAILABLE, "it gave no PIN within %lld ms", (long long)(deadline - start));
            break;
        }
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        code = hs_buf_append(text, (struct hs_span){chunk, (size_t)got}, err);
    }
    hs_wipe(chunk, sizeof chunk);
    return code == HSMART_OK ? code : unavailable(err, code);
}

static enum hsmart_code
spawn_shell(const char *command, int output, pid_t *out_child, hsmart_err *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults, none;
    char *arguments[] = {"sh", "-c", (char *)(uintptr_t)command, NULL};

    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
    (void)sigemptyset(&none);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    /* Our standard input is for us: a command that asks a person opens the terminal. */
    (void)posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    (void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    int failed = posix_spawn(out_child, "/bin/sh", &actions, &attributes, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return failed == 0 ? HSMART_OK : hs_err_errno(err, HSMART_PIN_UNAVAILABLE, failed, "cannot start it");
}

/* Ends it when its time is up. */
static int
status_of(pid_t child, int64_t deadline)
{
    int status = 0;

    while (hs_clock_monotonic_ms() < deadline) {
        pid_t got = waitpid(child, &status, WNOHANG);
        if (got == child || (got < 0 && errno != EINTR))
            return status; /* or nothing to tell: the program collects its children itself */
        hs_clock_sleep_ms(1);
    }
    (void)kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

static enum hsmart_code
check_status(int status, hsmart_err *err)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return HSMART_OK;
    if (WIFEXITED(status))
        return hs_err_set(err, HSMART_PIN_UNAVAILABLE, "it ended with exit status %d", WEXITSTATUS(status));
    return hs_err_set(err, HSMART_PIN_UNAVAILABLE, "it was ended by signal %d", WTERMSIG(status));
}

static enum hsmart_code
read_command(const char *command, const struct hs_pin_asking *asking, struct hs_secret *out_pin, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf text = {0};
    int64_t start = hs_clock_monotonic_ms(), deadline = start + EXEC_TIMEOUT_MS;
    int ends[2] = {-1, -1};
    pid_t child = 0;

    if (asking->deadline_ms < deadline)
        deadline = asking->deadline_ms;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return hs_err_errno(err, HSMART_PIN_UNAVAILABLE, errno, "cannot make a pipe");
    code = spawn_shell(command, ends[1], &child, err);
    (void)close(ends[1]);
    if (code != HSMART_OK)
        goto out;
    code = read_pipe(ends[0], start, deadline, &text, err);
    int status = status_of(child, code == HSMART_OK ? deadline : 0);
    if (code == HSMART_OK)
        code = check_status(status, err);
    if (code == HSMART_OK)
        code = take_pin(&text, out_pin, err);
out:
    (void)close(ends[0]);
    hs_buf_clear(&text);
    return code;
}

/* Signals that would end the process, or stop it, and leave the terminal without its echo: held back while it is. */
static sigset_t
ending_signals(void)
{
    static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < HS_ARRAY_LEN(numbers); i++)
        (void)sigaddset(&set, numbers[i]);
    return set;
}

static bool
is_pending(const sigset_t *held)
{
    sigset_t pending;

    (void)sigpending(&pending);
    for (int number = 1; number < 32; number++)
        if (sigismember(held, number) == 1 && sigismember(&pending, number) == 1)
            return true;
    return false;
}

/* One key. False when there will be no more, or a signal waits to be acted on. */
static bool
read_key(int tty, const sigset_t *held, uint8_t *out_key)
{
    for (;;) {
        struct pollfd ready = {.fd = tty, .events = POLLIN};
        if (is_pending(held))
            return false;
        if (poll(&ready, 1, TTY_LOOK_MS) <= 0)
            continue;
        ssize_t got = read(tty, out_key, 1);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        return got == 1;
    }
}

/* Takes a line, key by key: ISIG and ICANON are off, so what they did is done here. */
static enum hsmart_code
edit_line(int tty, const sigset_t *held, const cc_t *keys, struct hs_buf *line, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    uint8_t key = 0;

    line->max_len = PIN_TEXT_MAX;
    while (code == HSMART_OK) {
        if (!read_key(tty, held, &key) || key == keys[VINTR] || key == keys[VQUIT] || key == keys[VEOF])
            code = hs_err_set(err, HSMART_PIN_UNAVAILABLE, "the question was not answered");
        else if (key == '\n' || key == '\r')
            break;
        else if (key == keys[VERASE] || key == 0x7f || key == 0x08)
            code = hs_buf_resize(line, line->len > 0 ? line->len - 1 : 0, err);
        else if (key == keys[VKILL])
            code = hs_buf_resize(line, 0, err);
        else
            code = hs_buf_append(line, (struct hs_span){&key, 1}, err);
    }
    hs_wipe(&key, sizeof key);
    return code;
}

/* The echo is off before the question is shown, so that not even the first key is. */
static enum hsmart_code
ask_hidden(int tty, const char *question, struct hs_buf *line, hsmart_err *err)
{
    enum hsmart_code code;
    struct termios before, hidden;
    sigset_t held = ending_signals(), mask;

    if (tcgetattr(tty, &before) != 0)
        return hs_err_errno(err, HSMART_PIN_UNAVAILABLE, errno, "cannot use the terminal");
    hidden = before;
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ISIG | ICANON);
    hidden.c_cc[VMIN] = 1;
    hidden.c_cc[VTIME] = 0;
    (void)pthread_sigmask(SIG_BLOCK, &held, &mask);
    (void)tcsetattr(tty, TCSAFLUSH, &hidden);
    code = hs_file_write_fd(tty, "the terminal", hs_span_str(question), err);
    if (code == HSMART_OK)
        code = hs_file_write_fd(tty, "the terminal", hs_span_str(": "), err);
    if (code == HSMART_OK)
        code = edit_line(tty, &held, before.c_cc, line, err);
    (void)tcsetattr(tty, TCSAFLUSH, &before);
    (void)!write(tty, "\n", 1);
    (void)pthread_sigmask(SIG_SETMASK, &mask, NULL);
    return code;
}

static enum hsmart_code
read_prompt(const char *argument, const struct hs_pin_asking *asking, struct hs_secret *out_pin, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf line = {0};
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

    (void)argument;
    if (tty < 0) {
        (void)hs_err_set(err, HSMART_PIN_UNAVAILABLE, "there is no terminal to ask on");
        hs_err_hint(err, "give another PIN source, e.g. file:PATH or credential:NAME");
        return HSMART_PIN_UNAVAILABLE;
    }
    code = ask_hidden(tty, asking->question, &line, err);
    code = code == HSMART_OK ? take_pin(&line, out_pin, err) : unavailable(err, code);
    (void)close(tty);
    hs_buf_clear(&line);
    return code;
}

static enum hsmart_code
read_pinpad(const char *argument, const struct hs_pin_asking *asking, struct hs_secret *out_pin, hsmart_err *err)
{
    (void)argument;
    (void)asking;
    (void)out_pin;
    return hs_err_set(err, HSMART_PIN_UNAVAILABLE, "the token's own PIN pad gives its PIN to nobody");
}

const struct hs_pin_kind hs_pin_kinds[] = {
    {"file", true, true, false, "a file that only its owner can read", read_file},
    {"credential", true, true, false, "a systemd credential", read_credential},
    {"fd", true, false, false, "an open descriptor, read to its end", read_descriptor},
    {"exec", true, true, false, "what a shell command prints", read_command},
    {"prompt", false, false, false, "a question on the terminal", read_prompt},
    {"pinpad", false, false, true, "the token's own keys", read_pinpad},
};
const size_t hs_pin_kind_count = HS_ARRAY_LEN(hs_pin_kinds);

/* ---- Sources ---- */

/* What was given is not repeated: it may be a PIN. */
static enum hsmart_code
refuse_source(hsmart_err *err)
{
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "the PIN source is of none of the known kinds");
    hs_err_hint(err, "file:PATH, credential:NAME, fd:N, exec:COMMAND, prompt or pinpad; a PIN itself is not taken from "
                     "arguments or settings, where others can read it");
    return HSMART_INVALID_ARGUMENT;
}

enum hsmart_code
hs_pin_source_parse(const char *text, struct hs_pin_source *out_source, hsmart_err *err)
{
    size_t name_len = strcspn(text, ":");
    const char *argument = text[name_len] == ':' ? text + name_len + 1 : NULL;
    char *copy = NULL;

    for (size_t i = 0; i < hs_pin_kind_count; i++) {
        const struct hs_pin_kind *kind = &hs_pin_kinds[i];
        if (!hs_span_equal_str((struct hs_span){(const uint8_t *)text, name_len}, kind->name))
            continue;
        if (kind->takes_argument != (argument != NULL && argument[0] != 0))
            return hs_err_set(err, HSMART_INVALID_ARGUMENT,
                              kind->takes_argument ? "the PIN source \"%s\" needs something behind a colon"
                                                   : "the PIN source \"%s\" takes nothing behind it",
                              kind->name);
        enum hsmart_code code = hs_strdup_or_null(kind->takes_argument ? argument : NULL, &copy, err);
        if (code == HSMART_OK)
            *out_source = (struct hs_pin_source){kind, copy};
        return code;
    }
    return refuse_source(err);
}

enum hsmart_code
hs_pin_source_read_until(const struct hs_pin_source *source, const char *question, int64_t deadline_ms,
                         struct hs_secret *out_pin, hsmart_err *err)
{
    const struct hs_pin_asking asking = {question, deadline_ms};
    enum hsmart_code code = source->kind->read(source->argument, &asking, out_pin, err);

    if (code != HSMART_OK)
        return hs_err_wrap(err, code, "no PIN from the PIN source \"%s\"", source->kind->name);
    return HSMART_OK;
}

enum hsmart_code
hs_pin_source_read(const struct hs_pin_source *source, const char *question, struct hs_secret *out_pin, hsmart_err *err)
{
    return hs_pin_source_read_until(source, question, INT64_MAX, out_pin, err);
}

void
hs_pin_source_clear(struct hs_pin_source *source)
{
    hs_string_free(source->argument);
    *source = (struct hs_pin_source){0};
}

enum hsmart_code
hs_pin_to_fd(const struct hs_secret *pin, int *out_fd, hsmart_err *err)
{
    enum hsmart_code code;
    int fd = memfd_create("pin", 0);

    if (fd < 0)
        return hs_err_errno(err, HSMART_PIN_UNAVAILABLE, errno, "cannot hand the PIN to a child process");
    code = hs_file_write_fd(fd, "the PIN", (struct hs_span){pin->data, pin->len}, err);
    if (code == HSMART_OK) /* the reader drops one line end, which must not be the PIN's own */
        code = hs_file_write_fd(fd, "the PIN", hs_span_str("\n"), err);
    if (code == HSMART_OK && lseek(fd, 0, SEEK_SET) != 0)
        code = hs_err_errno(err, HSMART_PIN_UNAVAILABLE, errno, "cannot hand the PIN to a child process");
    if (code != HSMART_OK) {
        (void)close(fd);
        return code;
    }
    *out_fd = fd;
    return HSMART_OK;
}
