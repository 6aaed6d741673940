/* The process: hardened before anything else runs, and what was missing when it started. */
#ifndef TOOL_PROCESS_H
#define TOOL_PROCESS_H

#include "bytes.h"

/* No core dump and no tracing, SIGPIPE ignored, files private by default, descriptors 0 to 2 taken. A descriptor that
 * was closed gets a stand-in, so that no file opened later becomes standard output by accident. */
void process_harden(void);
/* Whether descriptor `fd` (0 to 2) was open when the process started. */
bool process_had_fd(int fd);

/* What `process_harden` changed is as it was, for a program that takes this one's place; core dumps stay off. */
void process_soften(void);

/* What a signal that ends the process (SIGINT, SIGTERM, SIGHUP) writes to standard error before it does, as long as
 * work is under way that leaves something behind; NULL when it is over. `words` must live until then. A signal that was
 * ignored when the process started stays so. */
void process_set_last_words(const char *words);

/* Runs this program again with `arguments` (argv[0] included, NULL at the end), nothing on standard input, and reads
 * what it writes to standard output, and with `errors_too` to standard error, into `out`. `out_status` is its exit
 * status, 128 + signal when it was killed. HSMART_INTERNAL when it cannot be started. */
HSMART_MUST_CHECK enum hsmart_code process_run_self(char *const arguments[], bool errors_too, struct hs_buf *out,
                                                    int *out_status, hsmart_err *err);

#endif
