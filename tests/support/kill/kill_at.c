/* For tests, by LD_PRELOAD: the process is killed just before its KILL_AT-th call of a function that changes the disk.
 * Only in a process whose arguments have the word KILL_IN, so that its children live. KILL_LOG: a file that gets one
 * byte for each such call, to know how many there are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
is_meant(void)
{
    char words[4096];
    const char *word = getenv("KILL_IN");
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, words, sizeof words) : -1;

    if (fd >= 0)
        (void)close(fd);
    return word != NULL && len > 0 && memmem(words, (size_t)len, word, strlen(word)) != NULL;
}

static void
count_call(const char *path)
{
    static int meant = -1;
    static long count;
    const char *at = getenv("KILL_AT"), *log = getenv("KILL_LOG"), *word = getenv("KILL_PATH");

    if (meant < 0)
        meant = is_meant();
    if (!meant || (word != NULL && strstr(path, word) == NULL))
        return;
    count++;
    int fd = log != NULL ? open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) {
        if (write(fd, ".", 1) != 1)
            abort();
        (void)close(fd);
    }
    if (at != NULL && atol(at) == count)
        (void)raise(SIGKILL);
}

static void
count_descriptor(int fd)
{
    char link[64], path[4096];

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    path[len > 0 ? len : 0] = 0;
    count_call(path);
}

#define WRAP(name, count, parameters, ...)                                                                             \
    __attribute__((visibility("default"))) int name parameters;                                                        \
    int name parameters                                                                                                \
    {                                                                                                                  \
        int(*real) parameters;                                                                                         \
        *(void **)&real = dlsym(RTLD_NEXT, #name);                                                                     \
        count;                                                                                                         \
        return real(__VA_ARGS__);                                                                                      \
    }

WRAP(rename, count_call(to), (const char *from, const char *to), from, to)
WRAP(mkdir, count_call(path), (const char *path, mode_t mode), path, mode)
WRAP(unlink, count_call(path), (const char *path), path)
WRAP(rmdir, count_call(path), (const char *path), path)
WRAP(fsync, count_descriptor(fd), (int fd), fd)
WRAP(mkostemp, count_call(template), (char *template, int flags), template, flags)
