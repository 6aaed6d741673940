#define _GNU_SOURCE /* for the types of what is wrapped */
#include "failing_calls.h"

#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <termios.h>

static struct {
    bool is_set;
    enum hs_test_call call;
    int error;
    unsigned good;
} plan;

void
hs_test_fail_call(enum hs_test_call call, int error, unsigned good)
{
    plan.is_set = true;
    plan.call = call;
    plan.error = error;
    plan.good = good;
}

bool
hs_test_end_failing_calls(void)
{
    bool has_failed = !plan.is_set;

    plan.is_set = false;
    return has_failed;
}

static bool
fails_now(enum hs_test_call call)
{
    if (!plan.is_set || plan.call != call)
        return false;
    if (plan.good > 0) {
        plan.good--;
        return false;
    }
    plan.is_set = false;
    errno = plan.error;
    return true;
}

/* WRAP(type, name, parameters, arguments, whether it fails, what it answers then) */
#define WRAP(type, name, parameters, arguments, fails, answer)                                                         \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        return (fails) ? (answer) : __real_##name arguments;                                                           \
    }

static bool
is_directory(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

WRAP(int, fsync, (int fd), (fd), is_directory(fd) && fails_now(TEST_FSYNC_DIRECTORY), -1)
WRAP(int, flock, (int fd, int operation), (fd, operation), fails_now(TEST_FLOCK), -1)
WRAP(DIR *, opendir, (const char *path), (path), fails_now(TEST_OPENDIR), NULL)
WRAP(int, pipe2, (int ends[2], int flags), (ends, flags), fails_now(TEST_PIPE), -1)
WRAP(int, posix_spawn,
     (pid_t * child, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
      char *const arguments[], char *const environment[]),
     (child, path, actions, attributes, arguments, environment), fails_now(TEST_SPAWN), plan.error)
WRAP(pid_t, waitpid, (pid_t child, int *status, int options), (child, status, options), fails_now(TEST_WAITPID), -1)
WRAP(ssize_t, read, (int fd, void *data, size_t len), (fd, data, len), fails_now(TEST_READ), -1)
WRAP(ssize_t, write, (int fd, const void *data, size_t len), (fd, data, len), fails_now(TEST_WRITE), -1)
WRAP(int, tcgetattr, (int fd, struct termios *settings), (fd, settings), fails_now(TEST_TCGETATTR), -1)
WRAP(int, memfd_create, (const char *name, unsigned flags), (name, flags), fails_now(TEST_MEMFD), -1)
WRAP(off_t, lseek, (int fd, off_t offset, int whence), (fd, offset, whence), fails_now(TEST_LSEEK), -1)
WRAP(ssize_t, getrandom, (void *data, size_t len, unsigned flags), (data, len, flags), fails_now(TEST_RANDOM), -1)
