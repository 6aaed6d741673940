/* For tests with `hs_failing_calls(TEST)` in their list: calls of the system that fail when a test wants it. */
#ifndef HS_TEST_FAILING_CALLS_H
#define HS_TEST_FAILING_CALLS_H

#include <stdbool.h>

enum hs_test_call {
    TEST_FSYNC_DIRECTORY, /* fsync of a directory; files are synced all the same */
    TEST_FLOCK,
    TEST_OPENDIR,
    TEST_PIPE,
    TEST_SPAWN,
    TEST_WAITPID,
    TEST_READ,
    TEST_WRITE,
    TEST_TCGETATTR,
    TEST_MEMFD,
    TEST_LSEEK,
    TEST_RANDOM,
    TEST_CALL_COUNT,
};

/* After `good` calls that do their work, one fails with `error`, an errno. One kind of call at a time. */
void hs_test_fail_call(enum hs_test_call call, int error, unsigned good);
/* From now on none fails; tells whether the one that was to fail did. */
bool hs_test_end_failing_calls(void);

#endif
