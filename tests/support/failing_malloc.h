/* For tests linked with --wrap for malloc, calloc and strdup, so that the libraries' and the modules' own are left
 * alone: one allocation of ours fails. */
#ifndef HS_TEST_FAILING_MALLOC_H
#define HS_TEST_FAILING_MALLOC_H

#include <stdbool.h>

/* From now on allocations are counted, and the one with this number (0, 1 …) fails. */
void hs_test_fail_allocation(unsigned number);
/* While it is paused none is counted, and none fails: for what a test does in between. */
void hs_test_pause_failing(bool paused);
/* From now on none fails; tells how many there were since. */
unsigned hs_test_end_failing(void);

#endif
