/* What goes to standard error: errors with their cure, warnings, explanations. Lines are whole, whatever thread
 * they come from. */
#ifndef TOOL_REPORT_H
#define TOOL_REPORT_H

#include <hsmart/token.h>

struct report_settings {
    const char *program; /* "hsmart-key", the front of each line */
    bool verbose;        /* explanations too */
    bool quiet;          /* errors only */
};
void report_configure(const struct report_settings *settings);
bool report_is_quiet(void);
bool report_is_verbose(void);

/* "hsmart-key: error: TEXT", then "  hint: …" with the error's own hint or the cure of its code. Returns the exit
 * status. */
int report_error(const hsmart_err *err);
void report_warning(const char *format, ...) HSMART_PRINTF(1, 2);
/* Said unless -q: a result that standard output has no place for. */
void report_note(const char *format, ...) HSMART_PRINTF(1, 2);
/* Said with -v. */
void report_detail(const char *format, ...) HSMART_PRINTF(1, 2);
/* The library's log; `log_arg` is not used. */
void report_log(void *log_arg, enum hsmart_log_level level, const char *line);

/* A line that stays last on a terminal and is replaced, not followed, by the next; "" takes it away. */
void report_transient(const char *text);

#endif
