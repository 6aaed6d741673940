#include "text.h"

#include <errno.h>
#include <stdlib.h>

#include "err.h"

/* The length of the UTF-8 character at `data`, and its code point; 0 when it is not one. */
static size_t
utf8_char(const uint8_t *data, size_t len, uint32_t *out_code_point)
{
    static const struct {
        uint8_t mask, lead;
        size_t len;
        uint32_t min;
    } shapes[] = {{0x80, 0x00, 1, 0}, {0xe0, 0xc0, 2, 0x80}, {0xf0, 0xe0, 3, 0x800}, {0xf8, 0xf0, 4, 0x10000}};

    for (size_t i = 0; i < HS_ARRAY_LEN(shapes); i++) {
        if ((data[0] & shapes[i].mask) != shapes[i].lead)
            continue;
        if (shapes[i].len > len)
            return 0;
        uint32_t code_point = data[0] & (uint8_t)~shapes[i].mask;
        for (size_t j = 1; j < shapes[i].len; j++) {
            if ((data[j] & 0xc0) != 0x80)
                return 0;
            code_point = (code_point << 6) | (data[j] & 0x3fU);
        }
        if (code_point < shapes[i].min || code_point > 0x10ffff || (code_point >= 0xd800 && code_point <= 0xdfff))
            return 0;
        *out_code_point = code_point;
        return shapes[i].len;
    }
    return 0;
}

/* How many bytes are ASCII before the first that is not; eight at a time where eight are left. */
static size_t
ascii_run(struct hs_span text)
{
    size_t run = 0;

    for (uint64_t eight; text.len - run >= sizeof eight; run += sizeof eight) {
        memcpy(&eight, text.data + run, sizeof eight);
        if ((eight & UINT64_C(0x8080808080808080)) != 0)
            break;
    }
    while (run < text.len && text.data[run] < 0x80)
        run++;
    return run;
}

size_t
hs_text_utf8_prefix(struct hs_span text)
{
    uint32_t code_point;
    size_t prefix = 0;

    while (prefix < text.len) {
        if (text.data[prefix] < 0x80) {
            prefix += ascii_run((struct hs_span){text.data + prefix, text.len - prefix});
            continue;
        }
        size_t len = utf8_char(text.data + prefix, text.len - prefix, &code_point);
        if (len == 0)
            break;
        prefix += len;
    }
    return prefix;
}

bool
hs_text_is_utf8(struct hs_span text)
{
    return hs_text_utf8_prefix(text) == text.len;
}

static bool
must_not_reach_terminal(uint32_t code_point)
{
    return code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0) ||
           (code_point >= 0x2028 && code_point <= 0x202e) || (code_point >= 0x2066 && code_point <= 0x2069);
}

/* Whether `data` begins a character whose rest is missing, with nothing else behind it. */
static bool
is_cut_off(const uint8_t *data, size_t len)
{
    if (data[0] < 0xc0 || len > 3)
        return false;
    for (size_t i = 1; i < len; i++)
        if ((data[i] & 0xc0) != 0x80)
            return false;
    return true;
}

bool
hs_text_is_printable(const char *text)
{
    const struct hs_span span = hs_span_str(text);
    uint32_t code_point = 0;

    for (size_t at = 0; at < span.len;) {
        size_t char_len = utf8_char(span.data + at, span.len - at, &code_point);
        if (char_len == 0 || must_not_reach_terminal(code_point))
            return false;
        at += char_len;
    }
    return true;
}

void
hs_text_sanitize(char *text)
{
    size_t len = strlen(text), to = 0;
    uint8_t *data = (uint8_t *)text;
    uint32_t code_point;

    for (size_t from = 0; from < len;) {
        size_t char_len = utf8_char(data + from, len - from, &code_point);
        if (char_len == 0 && is_cut_off(data + from, len - from))
            break; /* by a full buffer; it is not wrong */
        if (char_len == 0 || must_not_reach_terminal(code_point)) {
            data[to++] = '?';
            from += char_len != 0 ? char_len : 1;
            continue;
        }
        memmove(data + to, data + from, char_len);
        to += char_len;
        from += char_len;
    }
    data[to] = 0;
}

size_t
hs_text_cut(const char *text, size_t max_len)
{
    size_t len = strlen(text);

    if (len <= max_len)
        return len;
    len = max_len;
    while (len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

enum hsmart_code
hs_text_append_hex(struct hs_buf *out, struct hs_span bytes, hsmart_err *err)
{
    static const char digits[] = "0123456789abcdef";
    size_t at = out->len;

    if (bytes.len > SIZE_MAX / 4)
        return hs_err_no_memory(err);
    enum hsmart_code code = hs_buf_resize(out, at + 2 * bytes.len, err);
    if (code != HSMART_OK)
        return code;
    for (size_t i = 0; i < bytes.len; i++) {
        out->data[at++] = (uint8_t)digits[bytes.data[i] >> 4];
        out->data[at++] = (uint8_t)digits[bytes.data[i] & 0xf];
    }
    return HSMART_OK;
}

int
hs_text_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum hsmart_code
hs_text_parse_hex(const char *text, struct hs_buf *out, hsmart_err *err)
{
    struct hs_buf bytes = {.max_len = out->max_len};
    enum hsmart_code code = HSMART_OK;

    for (const char *c = text; *c != 0 && code == HSMART_OK;) {
        int high = hs_text_hex_digit(c[0]);
        int low = high < 0 ? -1 : hs_text_hex_digit(c[1]);
        if (low < 0) {
            code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%s\" is not hex (pairs of 0-9 and a-f)", text);
            break;
        }
        code = hs_buf_append(&bytes, (struct hs_span){(const uint8_t[]){(uint8_t)(high << 4 | low)}, 1}, err);
        c += 2;
        if (*c == ':' && c[1] != 0)
            c++;
    }
    if (code == HSMART_OK)
        hs_buf_move(&bytes, out);
    hs_buf_clear(&bytes);
    return code;
}

enum hsmart_code
hs_text_parse_number(const char *text, const char *what, long min, long max, long *out_number, hsmart_err *err)
{
    char *end = NULL;

    errno = 0;
    long number = strtol(text, &end, 10);
    /* strtol alone would take white space and a plus sign in front. */
    bool starts_well = text[0] == '-' || (text[0] >= '0' && text[0] <= '9');
    if (errno != 0 || end == text || *end != 0 || !starts_well || number < min || number > max)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "%s is \"%s\", but must be a whole number from %ld to %ld",
                          what, text, min, max);
    *out_number = number;
    return HSMART_OK;
}

size_t
hs_text_distance(const char *a, const char *b)
{
    size_t row[64];
    size_t b_len = strlen(b);

    if (b_len >= HS_ARRAY_LEN(row) || strlen(a) >= HS_ARRAY_LEN(row))
        return HS_ARRAY_LEN(row);
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != 0; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b_len; j++) {
            size_t best = diagonal + (a[i] != b[j]);
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j + 1] + 1 < best)
                best = row[j + 1] + 1;
            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    return row[b_len];
}

bool
hs_text_is_near(const char *word, size_t distance)
{
    return distance <= 1 + strlen(word) / 3;
}
