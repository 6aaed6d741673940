#include "clock.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "err.h"

int64_t
hs_clock_now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec;
}

int64_t
hs_clock_monotonic_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
hs_clock_sleep_ms(unsigned ms)
{
    struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        continue;
}

enum hsmart_code
hs_random_bytes(uint8_t *out, size_t len, hsmart_err *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t got = getrandom(out + done, len - done, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return hs_err_errno(err, HSMART_INTERNAL, errno, "cannot read random numbers");
        done += (size_t)got;
    }
    return HSMART_OK;
}

unsigned
hs_random_below(unsigned bound)
{
    uint32_t number = 0;

    if (hs_random_bytes((uint8_t *)&number, sizeof number, NULL) != HSMART_OK)
        return 0;
    return number % bound;
}
