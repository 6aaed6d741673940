#include "config_scan.h"

#include "err.h"
#include "text.h"

struct scan {
    struct hs_span text;
    size_t at;
    unsigned line;
    unsigned depth, opened_line; /* braces */
    struct hs_buf clean;
    hsmart_err *err;
};

static bool
looking_at(const struct scan *scan, const char *text)
{
    size_t len = strlen(text);

    return scan->text.len - scan->at >= len && memcmp(scan->text.data + scan->at, text, len) == 0;
}

/* A letter, a digit, or a mark that needs no quotes within a value. */
static bool
is_word(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("_-.:/@%", c) != NULL);
}

static enum hsmart_code
keep(struct scan *scan, size_t len)
{
    enum hsmart_code code = hs_buf_append(&scan->clean, (struct hs_span){scan->text.data + scan->at, len}, scan->err);
    scan->at += len;
    return code;
}

static enum hsmart_code
refuse_character(struct scan *scan)
{
    uint8_t c = scan->text.data[scan->at];

    if (c > ' ' && c < 0x7f)
        (void)hs_err_set(scan->err, HSMART_CONFIG_INVALID, "the character %c is not expected here", c);
    else
        (void)hs_err_set(scan->err, HSMART_CONFIG_INVALID, "a byte of value 0x%02x is not expected here", c);
    hs_err_hint(scan->err, "put the value in double quotes; comments begin with # or //, and no ; ends a setting");
    return HSMART_CONFIG_INVALID;
}

static enum hsmart_code
scan_line_comment(struct scan *scan)
{
    while (scan->at < scan->text.len && scan->text.data[scan->at] != '\n')
        scan->at++;
    return HSMART_OK;
}

static enum hsmart_code
scan_block_comment(struct scan *scan)
{
    unsigned first_line = scan->line;
    enum hsmart_code code = hs_buf_append_str(&scan->clean, " ", scan->err);

    for (scan->at += 2; code == HSMART_OK && !looking_at(scan, "*/"); scan->at++) {
        if (scan->at == scan->text.len) {
            scan->line = first_line;
            return hs_err_set(scan->err, HSMART_CONFIG_INVALID, "the comment that begins here has no end");
        }
        if (scan->text.data[scan->at] == '\n') {
            scan->line++;
            code = hs_buf_append_str(&scan->clean, "\n", scan->err);
        }
    }
    scan->at += 2;
    return code;
}

/* A backslash and what it protects; at the end of a line it joins the next one to it. */
static enum hsmart_code
scan_escape(struct scan *scan, char quote)
{
    static const struct {
        const char *text, *clean;
        unsigned lines;
    } escapes[] = {{"\\\\", "\\\\", 0}, {"\\\"", "\\\"", 0},   {"\\'", "\\'", 0},
                   {"\\$", "\\$", 0},   {"\\\r\n", "\\\n", 1}, {"\\\n", "\\\n", 1}};

    for (size_t i = 0; i < HS_ARRAY_LEN(escapes); i++)
        if (looking_at(scan, escapes[i].text)) {
            scan->at += strlen(escapes[i].text);
            scan->line += escapes[i].lines;
            return hs_buf_append_str(&scan->clean, escapes[i].clean, scan->err);
        }
    if (quote == '\'')
        return keep(scan, 1);
    (void)hs_err_set(scan->err, HSMART_CONFIG_INVALID, "a backslash stands before a character that needs none");
    hs_err_hint(scan->err,
                "write \\\\ for a backslash; \\\" \\' \\$ and a backslash at the end of a line are known too");
    return HSMART_CONFIG_INVALID;
}

static enum hsmart_code
refuse_environment(struct scan *scan)
{
    (void)hs_err_set(scan->err, HSMART_CONFIG_INVALID,
                     "\"${\" would take a value from the environment, "
                     "which is not done: the file says everything itself");
    hs_err_hint(scan->err, "write \\${ for these two characters; a PIN or secret has a source, such as file:PATH");
    return HSMART_CONFIG_INVALID;
}

/* Libconfuse fails without a message where a name is empty, and an empty value says nothing. */
static enum hsmart_code
end_string(struct scan *scan, bool empty)
{
    if (!empty)
        return keep(scan, 1);
    (void)hs_err_set(scan->err, HSMART_CONFIG_INVALID, "a name or value is empty");
    hs_err_hint(scan->err, "leave the setting out instead");
    return HSMART_CONFIG_INVALID;
}

static enum hsmart_code
refuse_open_string(struct scan *scan, unsigned first_line, char quote)
{
    scan->line = first_line;
    (void)hs_err_set(scan->err, HSMART_CONFIG_INVALID, "a string that begins here has no closing %c", quote);
    hs_err_hint(scan->err, "close it on its line, or end the line with a backslash to go on in the next one");
    return HSMART_CONFIG_INVALID;
}

static enum hsmart_code
scan_string(struct scan *scan)
{
    char quote = (char)scan->text.data[scan->at];
    unsigned first_line = scan->line;
    bool empty = true;
    enum hsmart_code code = keep(scan, 1);

    while (code == HSMART_OK) {
        if (scan->at == scan->text.len || looking_at(scan, "\n") || looking_at(scan, "\r\n"))
            return refuse_open_string(scan, first_line, quote);
        unsigned line = scan->line;
        uint8_t c = scan->text.data[scan->at];
        if (c == (uint8_t)quote)
            return end_string(scan, empty);
        if (c == '\\')
            code = scan_escape(scan, quote);
        else if (c < ' ' || c == 0x7f)
            code = refuse_character(scan);
        else if (quote == '"' && looking_at(scan, "${"))
            code = refuse_environment(scan);
        else
            code = keep(scan, 1);
        empty = empty && scan->line != line; /* a line joined to the next adds nothing */
    }
    return code;
}

static enum hsmart_code
scan_brace(struct scan *scan)
{
    if (looking_at(scan, "{")) {
        scan->depth++;
        scan->opened_line = scan->line;
    } else if (scan->depth > 0) {
        scan->depth--;
    }
    return keep(scan, 1);
}

static enum hsmart_code
scan_line_end(struct scan *scan)
{
    scan->at += looking_at(scan, "\r\n") ? 1 : 0;
    scan->line++;
    return keep(scan, 1);
}

static enum hsmart_code
scan_other(struct scan *scan)
{
    uint8_t c = scan->text.data[scan->at];

    return is_word(c) || (c != 0 && strchr(" \t=,()", c) != NULL) ? keep(scan, 1) : refuse_character(scan);
}

/* What begins a comment or string; anything else is for `scan_other`. */
static const struct {
    const char *text;
    bool after_space; /* refused within a word: https://… without quotes would lose its end */
    enum hsmart_code (*scan)(struct scan *scan);
} beginnings[] = {
    {"#", true, scan_line_comment}, {"//", true, scan_line_comment}, {"/*", true, scan_block_comment},
    {"\"", false, scan_string},     {"'", false, scan_string},       {"{", false, scan_brace},
    {"}", false, scan_brace},       {"\n", false, scan_line_end},    {"\r\n", false, scan_line_end},
};

static enum hsmart_code
scan_next(struct scan *scan)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(beginnings); i++) {
        if (!looking_at(scan, beginnings[i].text))
            continue;
        if (beginnings[i].after_space && scan->at > 0 && is_word(scan->text.data[scan->at - 1]))
            return refuse_character(scan);
        return beginnings[i].scan(scan);
    }
    return scan_other(scan);
}

/* By lines, to know the one that is wrong: no line end is part of another character. */
static enum hsmart_code
check_utf8(struct scan *scan)
{
    while (scan->at < scan->text.len) {
        const uint8_t *line = scan->text.data + scan->at;
        const uint8_t *end = memchr(line, '\n', scan->text.len - scan->at);
        size_t len = end != NULL ? (size_t)(end - line) + 1 : scan->text.len - scan->at;
        if (!hs_text_is_utf8((struct hs_span){line, len}))
            return hs_err_set(scan->err, HSMART_CONFIG_INVALID, "the text is not UTF-8");
        scan->at += len;
        scan->line++;
    }
    scan->at = 0;
    scan->line = 1;
    return HSMART_OK;
}

enum hsmart_code
hs_config_scan(struct hs_span text, struct hs_buf *out_text, unsigned *out_line, hsmart_err *err)
{
    struct scan scan = {.text = text, .line = 1, .clean = {.max_len = text.len + 1}, .err = err};
    enum hsmart_code code = check_utf8(&scan);

    while (code == HSMART_OK && scan.at < text.len)
        code = scan_next(&scan);
    if (code == HSMART_OK && scan.depth > 0) {
        scan.line = scan.opened_line;
        code = hs_err_set(err, HSMART_CONFIG_INVALID, "the section that begins here has no closing brace");
    }
    if (code == HSMART_OK)
        hs_buf_move(&scan.clean, out_text);
    *out_line = scan.line;
    hs_buf_clear(&scan.clean);
    return code;
}
