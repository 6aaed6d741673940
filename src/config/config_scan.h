/* What is done to the text of a configuration file before libconfuse reads it. */
#ifndef HS_CONFIG_SCAN_H
#define HS_CONFIG_SCAN_H

#include "bytes.h"

/* Copies `text` to `out_text` without its comments, every line staying where it is, so that libconfuse never meets
 * what it would pass over or misread without a word: a comment or section that does not end, a block comment (its
 * line numbers are wrong afterwards), a character that it skips, `${NAME}`, which it replaces from the environment,
 * and escapes that make control characters. HSMART_CONFIG_INVALID, with the line in `out_line`. */
HSMART_MUST_CHECK enum hsmart_code hs_config_scan(struct hs_span text, struct hs_buf *out_text, unsigned *out_line,
                                                  hsmart_err *err);

#endif
