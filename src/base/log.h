/* The log sink that a caller gave. The library itself prints nothing. */
#ifndef HS_LOG_H
#define HS_LOG_H

#include <hsmart/token.h>

struct hs_log {
    hsmart_log_fn write;
    void *arg;
};

void hs_log_warning(const struct hs_log *log, const char *format, ...) HSMART_PRINTF(2, 3);
void hs_log_detail(const struct hs_log *log, const char *format, ...) HSMART_PRINTF(2, 3);

#endif
