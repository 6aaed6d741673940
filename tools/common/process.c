#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "file.h"

#define OUTPUT_MAX_LEN (1U << 20)

extern char **environ;

/* Which of the first three descriptors were closed: found out once, before anything is opened. */
static bool fd_was_closed[3];

/* How the process was started. */
static struct {
    void (*on_sigpipe)(int);
    void (*on_sigxfsz)(int);
    mode_t mask;
} before;

/* Standard output gets a stand-in that refuses to be written, even through /dev/stdout: /dev/null would swallow. */
static void
take_standard_fds(void)
{
    static const struct {
        const char *path;
        int flags;
    } stand_ins[] = {{"/dev/null", O_RDONLY}, {"/", O_RDONLY | O_DIRECTORY}, {"/dev/null", O_WRONLY}};

    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        fd_was_closed[fd] = true;
        if (open(stand_ins[fd].path, stand_ins[fd].flags) != fd)
            _exit(HS_EXIT_OUTPUT); /* the lowest free number is `fd`, so nothing could be opened at all */
    }
}

/* The leak sanitizer traces its own process, which only a process that may be traced allows. */
#if defined(__SANITIZE_ADDRESS__)
#define MAY_BE_TRACED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MAY_BE_TRACED 1
#endif
#endif
#ifndef MAY_BE_TRACED
#define MAY_BE_TRACED 0
#endif

void
process_harden(void)
{
    static const struct rlimit no_core = {0, 0};

    take_standard_fds();
    (void)prctl(PR_SET_DUMPABLE, MAY_BE_TRACED, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &no_core);
    before.on_sigpipe = signal(SIGPIPE, SIG_IGN); /* a write that fails is reported; a lost socket kills nobody */
    before.on_sigxfsz = signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of write(2) */
    before.mask = umask(077);
    /* OpenSSL would give every table of its own back to a process that ends: a fortieth of a whole signing command. It
     * would also do so before a token's module, which shares it, has run its own last functions. */
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
}

void
process_soften(void)
{
    (void)signal(SIGPIPE, before.on_sigpipe);
    (void)signal(SIGXFSZ, before.on_sigxfsz);
    (void)umask(before.mask);
    for (int fd = 0; fd < 3; fd++)
        if (fd_was_closed[fd])
            (void)close(fd);
}

bool
process_had_fd(int fd)
{
    return !fd_was_closed[fd];
}

/* ---- Signals that end it ---- */

static const char *volatile last_words;

/* The default is in force again here: the signal ends the process when this returns, so that its parent sees which. */
static void
say_last_words(int number)
{
    const char *words = last_words;

    if (words != NULL)
        (void)!write(STDERR_FILENO, words, strlen(words));
    (void)raise(number);
}

void
process_set_last_words(const char *words)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};

    last_words = words;
    for (size_t i = 0; i < HS_ARRAY_LEN(numbers); i++) {
        struct sigaction old,
            action = {.sa_handler = words != NULL ? say_last_words : SIG_DFL, .sa_flags = (int)SA_RESETHAND};
        (void)sigemptyset(&action.sa_mask);
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            (void)sigaction(numbers[i], &action, NULL);
    }
}

/* ---- This program, once more ---- */

/* The program's own file by name, since some tools that run programs do not take /proc/self/exe for it. */
static enum hsmart_code
own_path(char path[PATH_MAX], hsmart_err *err)
{
    ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);

    if (len < 0)
        return hs_err_errno(err, HSMART_INTERNAL, errno, "cannot find this program's own file");
    path[len] = 0;
    return HSMART_OK;
}

static enum hsmart_code
spawn_with_output(const char *path, char *const arguments[], int fd, bool errors_too, pid_t *out_pid, hsmart_err *err)
{
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);

    if (failed != 0)
        return hs_err_no_memory(err);
    failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (failed == 0)
        failed = posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
    if (failed == 0 && errors_too)
        failed = posix_spawn_file_actions_adddup2(&actions, fd, STDERR_FILENO);
    if (failed == 0)
        failed = posix_spawn(out_pid, path, &actions, NULL, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    return failed == 0 ? HSMART_OK : hs_err_errno(err, HSMART_INTERNAL, failed, "cannot start \"%s\"", path);
}

static int
wait_for(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return HS_EXIT_OTHER;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

enum hsmart_code
process_run_self(char *const arguments[], bool errors_too, struct hs_buf *out, int *out_status, hsmart_err *err)
{
    enum hsmart_code code;
    int ends[2] = {-1, -1};
    pid_t pid = 0;
    char path[PATH_MAX];

    code = own_path(path, err);
    if (code != HSMART_OK)
        return code;
    if (pipe(ends) != 0 || fcntl(ends[0], F_SETFD, FD_CLOEXEC) != 0 || fcntl(ends[1], F_SETFD, FD_CLOEXEC) != 0) {
        code = hs_err_errno(err, HSMART_INTERNAL, errno, "cannot make a pipe");
        goto out;
    }
    code = spawn_with_output(path, arguments, ends[1], errors_too, &pid, err);
    if (code != HSMART_OK)
        goto out;
    (void)close(ends[1]);
    ends[1] = -1;
    code = hs_file_read_fd(ends[0], "its output", OUTPUT_MAX_LEN, out, err);
    *out_status = wait_for(pid);
out:
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            (void)close(ends[i]);
    return code;
}
