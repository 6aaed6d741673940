/* A moving line on a terminal while the token works. */
#ifndef TOOL_PROGRESS_H
#define TOOL_PROGRESS_H

#include <pthread.h>

#include "bytes.h"

/* The caller's storage; zero is "nothing shown". Not to be moved between begin and end. */
struct progress {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_running, is_over;
    int64_t began_ms;
    char what[128];
};

/* Shows "WHAT: N s" from now until `progress_end`, on a terminal and unless -q; nothing otherwise. */
void progress_begin(struct progress *progress, const char *what, ...) HSMART_PRINTF(2, 3);
void progress_end(struct progress *progress);

#endif
