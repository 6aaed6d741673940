/* Time and random numbers from the system. */
#ifndef HS_CLOCK_H
#define HS_CLOCK_H

#include "bytes.h"

/* Seconds since the epoch, UTC. */
int64_t hs_clock_now_s(void);
/* Milliseconds of a clock that never jumps; for deadlines. */
int64_t hs_clock_monotonic_ms(void);
void hs_clock_sleep_ms(unsigned ms);

/* Bytes from the kernel's CSPRNG. */
HSMART_MUST_CHECK enum hsmart_code hs_random_bytes(uint8_t *out, size_t len, hsmart_err *err);
/* A number from 0 to `bound` - 1 for jitter, not for secrets. */
unsigned hs_random_below(unsigned bound);

#endif
