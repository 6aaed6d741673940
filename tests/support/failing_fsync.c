#include "failing_fsync.h"

#include <errno.h>
#include <sys/stat.h>

int hs_test_directory_fsync_errno;
unsigned hs_test_directory_fsyncs_left;

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int
__wrap_fsync(int fd)
{
    struct stat status;

    if (hs_test_directory_fsync_errno == 0 || fstat(fd, &status) != 0 || !S_ISDIR(status.st_mode))
        return __real_fsync(fd);
    if (hs_test_directory_fsyncs_left > 0) {
        hs_test_directory_fsyncs_left--;
        return __real_fsync(fd);
    }
    errno = hs_test_directory_fsync_errno;
    return -1;
}
