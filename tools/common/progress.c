#include "progress.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "report.h"
#include "text.h"

#define STEP_MS 250

static void
show(const struct progress *progress, unsigned step)
{
    static const char moves[] = "|/-\\";
    char line[192];
    int64_t elapsed_s = (hs_clock_monotonic_ms() - progress->began_ms) / 1000;

    (void)snprintf(line, sizeof line, "%c %s: %lld s", moves[step % (sizeof moves - 1)], progress->what,
                   (long long)elapsed_s);
    report_transient(line);
}

static void
deadline_after_ms(long ms, struct timespec *out_deadline)
{
    (void)clock_gettime(CLOCK_MONOTONIC, out_deadline);
    out_deadline->tv_nsec += ms * 1000000L;
    out_deadline->tv_sec += out_deadline->tv_nsec / 1000000000L;
    out_deadline->tv_nsec %= 1000000000L;
}

static void *
move(void *argument)
{
    struct progress *progress = argument;
    struct timespec deadline;

    (void)pthread_mutex_lock(&progress->lock);
    for (unsigned step = 0; !progress->is_over; step++) {
        deadline_after_ms(STEP_MS, &deadline);
        (void)pthread_cond_timedwait(&progress->ended, &progress->lock, &deadline);
        if (!progress->is_over)
            show(progress, step);
    }
    (void)pthread_mutex_unlock(&progress->lock);
    return NULL;
}

/* Signals are for the main thread. */
static int
start_without_signals(struct progress *progress)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = pthread_create(&progress->thread, NULL, move, progress);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

void
progress_begin(struct progress *progress, const char *what, ...)
{
    pthread_condattr_t attributes;
    va_list args;

    *progress = (struct progress){.began_ms = hs_clock_monotonic_ms()};
    if (report_is_quiet() || !isatty(STDERR_FILENO))
        return;
    va_start(args, what);
    (void)vsnprintf(progress->what, sizeof progress->what, what, args);
    va_end(args);
    hs_text_sanitize(progress->what);

    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&progress->lock, NULL);
    (void)pthread_cond_init(&progress->ended, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    progress->is_running = start_without_signals(progress) == 0;
}

void
progress_end(struct progress *progress)
{
    if (!progress->is_running)
        return;
    (void)pthread_mutex_lock(&progress->lock);
    progress->is_over = true;
    (void)pthread_cond_signal(&progress->ended);
    (void)pthread_mutex_unlock(&progress->lock);
    (void)pthread_join(progress->thread, NULL);
    progress->is_running = false;
    report_transient("");
}
