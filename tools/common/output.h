/* Data: standard output or a file, checked; and text for people, built first and written whole. */
#ifndef TOOL_OUTPUT_H
#define TOOL_OUTPUT_H

#include "bytes.h"

#define OUTPUT_MAX_LEN (16U << 20)

/* HSMART_OUTPUT_FAILED when standard output was closed at the start: asked before work whose result would be lost. */
HSMART_MUST_CHECK enum hsmart_code output_check(const char *path, hsmart_err *err);
/* Writes all of `contents` to `path` (replaced whole, with `mode`), or to standard output when it is NULL. */
HSMART_MUST_CHECK enum hsmart_code output_write(const char *path, unsigned mode, struct hs_span contents,
                                                hsmart_err *err);
/* The last word on standard output: some file systems tell only here that the disk is full. */
HSMART_MUST_CHECK enum hsmart_code output_close(hsmart_err *err);

/* Text in the making: zero with `.out` set. The first failure is kept and returned by `text_finish`, so that the
 * calls between need no checking. */
struct text {
    struct hs_buf *out;
    enum hsmart_code code;
    hsmart_err err;
};
void text_put(struct text *text, const char *format, ...) HSMART_PRINTF(2, 3);
/* Puts words that came from outside (a token, a file) without what must not reach a terminal. */
void text_put_safe(struct text *text, const char *words);
/* The same, padded to `width` characters. */
void text_put_padded(struct text *text, const char *words, size_t width);
/* Puts words into XML 1.0, as text or in an attribute ` name="value"`. They have no control characters. */
void text_put_xml(struct text *text, const char *words);
void text_put_xml_attribute(struct text *text, const char *name, const char *value);
HSMART_MUST_CHECK enum hsmart_code text_finish(const struct text *text, hsmart_err *err);

/* A table for people: columns as wide as their widest cell, the last one open. */
#define TABLE_COLUMNS_MAX 8U
struct table {
    size_t column_count;
    char **cells; /* row by row, the header first */
    size_t cell_count;
    enum hsmart_code code;
    hsmart_err err;
};
/* Adds one cell; NULL is "-". */
void table_put(struct table *table, const char *cell);
void table_put_format(struct table *table, const char *format, ...) HSMART_PRINTF(2, 3);
/* Puts the table and empties it. */
void table_finish(struct table *table, struct text *text);

/* The number of characters of UTF-8 text. */
size_t text_width(const char *words);

#endif
