#define _GNU_SOURCE /* flock, O_CLOEXEC, O_NOFOLLOW */
#include "file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"

#define POLL_MIN_MS 1U
#define POLL_MAX_MS 50U

static enum hsmart_code
wait_for_turn(int fd, const char *name, int64_t wait_ms, hsmart_err *err)
{
    int64_t deadline_ms = hs_clock_monotonic_ms() + wait_ms;
    unsigned poll_ms = POLL_MIN_MS;

    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot lock \"%s\"", name);
        if (hs_clock_monotonic_ms() >= deadline_ms) {
            (void)hs_err_set(err, HSMART_OUTPUT_FAILED, "another process has held \"%s\" for %lld s", name,
                             (long long)(wait_ms / 1000));
            hs_err_hint(err, "let the other command end; fuser and lsof tell which one it is");
            return HSMART_OUTPUT_FAILED;
        }
        hs_clock_sleep_ms(poll_ms);
        poll_ms = poll_ms < POLL_MAX_MS / 2 ? 2 * poll_ms : POLL_MAX_MS;
    }
    return HSMART_OK;
}

enum hsmart_code
hs_file_lock(const char *path, int64_t wait_ms, int *out_lock, hsmart_err *err)
{
    struct hs_buf name = {0};
    int fd = -1;
    enum hsmart_code code = hs_buf_append_format(&name, err, "%s.lock", path);

    if (code != HSMART_OK)
        goto out;
    fd = open(hs_buf_text(&name), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        code = hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot make \"%s\"", hs_buf_text(&name));
        goto out;
    }
    code = wait_for_turn(fd, hs_buf_text(&name), wait_ms, err);
    if (code != HSMART_OK)
        goto out;
    *out_lock = fd;
    fd = -1;
out:
    if (fd >= 0)
        (void)close(fd);
    hs_buf_clear(&name);
    return code;
}

void
hs_file_unlock(int lock)
{
    if (lock < 0)
        return;
    /* In as many words: a process that was forked meanwhile has the descriptor, too, and would go on holding the lock.
     */
    (void)flock(lock, LOCK_UN);
    (void)close(lock);
}
