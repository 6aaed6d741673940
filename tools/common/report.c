#include "report.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "file.h"
#include "text.h"

#define LINE_MAX_LEN 1024U
#define ERASE_LINE "\r\033[K"

static struct report_settings settings = {.program = "hsmart"};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool transient_is_shown;

void
report_configure(const struct report_settings *new_settings)
{
    settings = *new_settings;
}

bool
report_is_quiet(void)
{
    return settings.quiet;
}

bool
report_is_verbose(void)
{
    return settings.verbose;
}

/* One write per line, so that lines of several threads and processes do not mix. */
static void
put(const char *text)
{
    (void)!write(STDERR_FILENO, text, strlen(text));
}

static void
put_line(const char *front, const char *text)
{
    char line[LINE_MAX_LEN], safe[LINE_MAX_LEN - 64];

    (void)snprintf(safe, sizeof safe, "%s", text);
    hs_text_sanitize(safe);
    (void)pthread_mutex_lock(&lock);
    (void)snprintf(line, sizeof line, "%s%s: %s%s\n", transient_is_shown ? ERASE_LINE : "", settings.program, front,
                   safe);
    transient_is_shown = false;
    put(line);
    (void)pthread_mutex_unlock(&lock);
}

HSMART_PRINTF(2, 0)
static void
put_formatted(const char *front, const char *format, va_list args)
{
    char text[LINE_MAX_LEN];

    (void)vsnprintf(text, sizeof text, format, args);
    put_line(front, text);
}

int
report_error(const hsmart_err *err)
{
    const char *hint = err->hint[0] != 0 ? err->hint : hsmart_code_cure(err->code);
    char line[LINE_MAX_LEN];

    put_line("error: ", err->text[0] != 0 ? err->text : hsmart_code_meaning(err->code));
    if (hint[0] != 0) {
        (void)snprintf(line, sizeof line, "  hint: %s\n", hint);
        put(line);
    }
    return hsmart_code_exit_status(err->code);
}

void
report_warning(const char *format, ...)
{
    va_list args;

    if (settings.quiet)
        return;
    va_start(args, format);
    put_formatted("warning: ", format, args);
    va_end(args);
}

void
report_note(const char *format, ...)
{
    va_list args;

    if (settings.quiet)
        return;
    va_start(args, format);
    put_formatted("", format, args);
    va_end(args);
}

void
report_detail(const char *format, ...)
{
    va_list args;

    if (!settings.verbose)
        return;
    va_start(args, format);
    put_formatted("", format, args);
    va_end(args);
}

void
report_log(void *log_arg, enum hsmart_log_level level, const char *line)
{
    (void)log_arg;
    if (level == HSMART_LOG_WARNING)
        report_warning("%s", line);
    else
        report_detail("%s", line);
}

void
report_transient(const char *text)
{
    char line[LINE_MAX_LEN];

    (void)pthread_mutex_lock(&lock);
    if (text[0] != 0 || transient_is_shown) {
        (void)snprintf(line, sizeof line, ERASE_LINE "%s", text);
        put(line);
    }
    transient_is_shown = text[0] != 0;
    (void)pthread_mutex_unlock(&lock);
}
