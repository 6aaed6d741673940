/* For tests linked with --wrap for malloc, calloc and strdup, so that the libraries' and the modules' own are left
 * alone: one allocation of ours fails. */
#ifndef HS_TEST_FAILING_MALLOC_H
#define HS_TEST_FAILING_MALLOC_H

/* From now on allocations are counted, and the one with this number (0, 1 …) fails. */
void hs_test_fail_allocation(unsigned number);
/* From now on none fails; tells how many there were since. */
unsigned hs_test_end_failing(void);

#endif
