#include "output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "err.h"
#include "file.h"
#include "process.h"
#include "text.h"

#define CELL_MAX_LEN 512U

/* ---- Where it goes ---- */

enum hsmart_code
output_check(const char *path, hsmart_err *err)
{
    if (path != NULL || process_had_fd(STDOUT_FILENO))
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_OUTPUT_FAILED, "cannot write standard output: it is closed");
    hs_err_hint(err, "run the command with its standard output open, or redirected to a file");
    return HSMART_OUTPUT_FAILED;
}

enum hsmart_code
output_write(const char *path, unsigned mode, struct hs_span contents, hsmart_err *err)
{
    enum hsmart_code code = output_check(path, err);

    if (code != HSMART_OK)
        return code;
    if (path != NULL)
        return hs_file_write_atomic(path, contents, mode, err);
    return hs_file_write_fd(STDOUT_FILENO, "standard output", contents, err);
}

enum hsmart_code
output_close(hsmart_err *err)
{
    if (process_had_fd(STDOUT_FILENO) && close(STDOUT_FILENO) != 0)
        return hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot write standard output");
    return HSMART_OK;
}

/* ---- Text ---- */

void
text_put(struct text *text, const char *format, ...)
{
    char words[4096];
    va_list args;

    if (text->code != HSMART_OK)
        return;
    va_start(args, format);
    int len = vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof words)
        text->code = hs_err_set(&text->err, HSMART_INTERNAL, "a line of the answer is too long");
    else
        text->code = hs_buf_append(text->out, (struct hs_span){(const uint8_t *)words, (size_t)len}, &text->err);
}

void
text_put_safe(struct text *text, const char *words)
{
    char *copy = NULL;

    if (text->code != HSMART_OK)
        return;
    text->code = hs_strdup(words, &copy, &text->err);
    if (text->code != HSMART_OK)
        return;
    hs_text_sanitize(copy);
    text->code = hs_buf_append_str(text->out, copy, &text->err);
    hs_string_free(copy);
}

size_t
text_width(const char *words)
{
    size_t width = 0;

    for (; *words != 0; words++)
        width += ((uint8_t)*words & 0xc0) != 0x80;
    return width;
}

void
text_put_padded(struct text *text, const char *words, size_t width)
{
    size_t taken = text_width(words);

    text_put_safe(text, words);
    text_put(text, "%*s", taken < width ? (int)(width - taken) : 0, "");
}

/* What XML 1.0 takes in a double-quoted attribute: no control characters, and neither of the two noncharacters. */
void
text_put_xml(struct text *text, const char *words)
{
    static const struct {
        const char *from, *to;
    } escapes[] = {{"&", "&amp;"},   {"<", "&lt;"},         {">", "&gt;"},
                   {"\"", "&quot;"}, {"\xef\xbf\xbe", "?"}, {"\xef\xbf\xbf", "?"}};

    while (*words != 0) {
        size_t plain_len = strcspn(words, "&<>\"\xef"), e = 0;
        text_put(text, "%.*s", (int)plain_len, words);
        words += plain_len;
        if (*words == 0)
            return;
        while (e < HS_ARRAY_LEN(escapes) && strncmp(words, escapes[e].from, strlen(escapes[e].from)) != 0)
            e++;
        if (e < HS_ARRAY_LEN(escapes)) {
            text_put(text, "%s", escapes[e].to);
            words += strlen(escapes[e].from);
        } else {
            text_put(text, "%c", *words++);
        }
    }
}

void
text_put_xml_attribute(struct text *text, const char *name, const char *value)
{
    text_put(text, " %s=\"", name);
    text_put_xml(text, value);
    text_put(text, "\"");
}

enum hsmart_code
text_finish(const struct text *text, hsmart_err *err)
{
    if (text->code != HSMART_OK && err != NULL)
        *err = text->err;
    return text->code;
}

/* ---- Tables ---- */

void
table_put(struct table *table, const char *cell)
{
    void *cells = table->cells;

    if (table->code == HSMART_OK)
        table->code = hs_array_grow(&cells, table->cell_count, sizeof *table->cells, &table->err);
    table->cells = cells;
    if (table->code == HSMART_OK)
        table->code = hs_strdup(cell != NULL ? cell : "-", &table->cells[table->cell_count], &table->err);
    if (table->code == HSMART_OK)
        hs_text_sanitize(table->cells[table->cell_count++]);
}

void
table_put_format(struct table *table, const char *format, ...)
{
    char cell[CELL_MAX_LEN];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(cell, sizeof cell, format, args);
    va_end(args);
    table_put(table, cell);
}

void
table_finish(struct table *table, struct text *text)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};

    for (size_t i = 0; i < table->cell_count; i++) {
        size_t width = text_width(table->cells[i]);
        if (width > widths[i % table->column_count])
            widths[i % table->column_count] = width;
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        bool is_last = (i + 1) % table->column_count == 0;
        text_put_padded(text, table->cells[i], is_last ? 0 : widths[i % table->column_count]);
        text_put(text, "%s", is_last ? "\n" : "  ");
    }
    if (text->code == HSMART_OK && table->code != HSMART_OK) {
        text->code = table->code;
        text->err = table->err;
    }
    for (size_t i = 0; i < table->cell_count; i++)
        hs_string_free(table->cells[i]);
    hs_free(table->cells);
    *table = (struct table){.column_count = table->column_count};
}
