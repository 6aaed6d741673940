/* Runs a command from nothing, out of a process so small that what fork copies does not show, and prints
 * "WALL-NANOSECONDS PEAK-KILOBYTES STATUS". Its output goes nowhere.
 *
 *   bench_cold COMMAND ARGUMENT… */
#define _DEFAULT_SOURCE /* wait4 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t
now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

int
main(int argc, char **argv)
{
    struct rusage usage;
    int status = 0, nowhere = open("/dev/null", O_RDWR);

    if (argc < 2 || nowhere < 0)
        return 2;
    uint64_t began_ns = now_ns();
    pid_t child = vfork();
    if (child < 0)
        return 2;
    if (child == 0) {
        (void)dup2(nowhere, STDIN_FILENO);
        (void)dup2(nowhere, STDOUT_FILENO);
        (void)dup2(nowhere, STDERR_FILENO);
        (void)execvp(argv[1], argv + 1);
        _exit(127);
    }
    (void)wait4(child, &status, 0, &usage);
    (void)printf("%llu %ld %d\n", (unsigned long long)(now_ns() - began_ns), usage.ru_maxrss,
                 WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}
