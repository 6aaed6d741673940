/* For tests linked with --wrap=fsync: a disk on which directories cannot be synced. */
#ifndef HS_TEST_FAILING_FSYNC_H
#define HS_TEST_FAILING_FSYNC_H

/* What fsync of a directory fails with; 0: it does not. Files are synced all the same. */
extern int hs_test_directory_fsync_errno;
/* How many directories are synced before that. */
extern unsigned hs_test_directory_fsyncs_left;

#endif
