/* Text: UTF-8 and what may reach a terminal. */
#ifndef HS_TEXT_H
#define HS_TEXT_H

#include "bytes.h"

/* Well-formed UTF-8 by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool hs_text_is_utf8(struct hs_span text);
/* The length of the longest prefix that is: where the first byte that is not stands. */
size_t hs_text_utf8_prefix(struct hs_span text);
/* Replaces, in place, what must not reach a terminal or log by '?': control characters (C0, DEL, C1), bidirectional
 * overrides and bytes that are not UTF-8. A character that is cut off at the end is dropped. */
void hs_text_sanitize(char *text);
/* True for UTF-8 in which `hs_text_sanitize` would replace nothing. */
bool hs_text_is_printable(const char *text);
/* The length, at most `max_len`, at which `text` can be cut without splitting a character. */
size_t hs_text_cut(const char *text, size_t max_len);
/* Appends `bytes` as lower-case hex. */
HSMART_MUST_CHECK enum hsmart_code hs_text_append_hex(struct hs_buf *out, struct hs_span bytes, hsmart_err *err);
/* The value of one hex digit of either case, -1 when it is none. */
int hs_text_hex_digit(char c);
/* Reads hex (either case, optional ':' between bytes); HSMART_INVALID_ARGUMENT when it is not. */
HSMART_MUST_CHECK enum hsmart_code hs_text_parse_hex(const char *text, struct hs_buf *out, hsmart_err *err);
/* Reads a whole decimal number within bounds; HSMART_INVALID_ARGUMENT, naming `what`, when it is not. */
HSMART_MUST_CHECK enum hsmart_code hs_text_parse_number(const char *text, const char *what, long min, long max,
                                                        long *out_number, hsmart_err *err);
/* How many letters have to be changed, added or dropped to turn one word into the other; 64 for a word of 64 letters or
 * more. */
size_t hs_text_distance(const char *a, const char *b);
/* Whether a word at this distance from `word` is worth suggesting. */
bool hs_text_is_near(const char *word, size_t distance);

#endif
