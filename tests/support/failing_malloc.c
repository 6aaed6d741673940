#include "failing_malloc.h"

#include <stdint.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
char *__wrap_strdup(const char *text);

static unsigned allocations, failing = UINT32_MAX;
static bool is_paused;

void
hs_test_fail_allocation(unsigned number)
{
    allocations = 0;
    failing = number;
}

unsigned
hs_test_end_failing(void)
{
    failing = UINT32_MAX;
    return allocations;
}

void
hs_test_pause_failing(bool paused)
{
    is_paused = paused;
}

static bool
fails_now(void)
{
    return !is_paused && allocations++ == failing;
}

void *
__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

char *
__wrap_strdup(const char *text)
{
    return fails_now() ? NULL : __real_strdup(text);
}
