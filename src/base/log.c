#include "log.h"

#include <stdarg.h>
#include <stdio.h>

#include "text.h"

static void
write_line(const struct hs_log *log, enum hsmart_log_level level, const char *format, va_list args)
    HSMART_PRINTF(3, 0);

static void
write_line(const struct hs_log *log, enum hsmart_log_level level, const char *format, va_list args)
{
    char line[1024];

    if (log == NULL || log->write == NULL)
        return;
    (void)vsnprintf(line, sizeof line, format, args);
    hs_text_sanitize(line);
    log->write(log->arg, level, line);
}

void
hs_log_warning(const struct hs_log *log, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_line(log, HSMART_LOG_WARNING, format, args);
    va_end(args);
}

void
hs_log_detail(const struct hs_log *log, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_line(log, HSMART_LOG_DETAIL, format, args);
    va_end(args);
}
