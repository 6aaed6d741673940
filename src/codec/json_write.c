#include "json.h"

#include <float.h>
#include <stdio.h>

#include "err.h"
#include "text.h"

#define INT64_TEXT_MAX 20U /* "-9223372036854775808" */

/* ---- Pieces ---- */

static void
put(struct hs_json_writer *writer, struct hs_span piece)
{
    if (writer->code == HSMART_OK)
        writer->code = hs_buf_append(writer->out, piece, &writer->err);
}

static void
put_bytes(struct hs_json_writer *writer, const char *bytes, size_t len)
{
    put(writer, (struct hs_span){(const uint8_t *)bytes, len});
}

static void
put_line_start(struct hs_json_writer *writer)
{
    put_bytes(writer, "\n", 1);
    for (unsigned i = 0; i < writer->depth; i++)
        put_bytes(writer, "  ", 2);
}

/* What stands before a value or a name: nothing after a name, else a comma and a new line where they are due. */
static void
put_separator(struct hs_json_writer *writer)
{
    uint32_t level = UINT32_C(1) << writer->depth;

    if (writer->after_name) {
        writer->after_name = false;
        return;
    }
    if ((writer->has_items & level) != 0)
        put_bytes(writer, ",", 1);
    writer->has_items |= level;
    if (writer->indent && writer->depth > 0)
        put_line_start(writer);
}

/* ---- Strings ---- */

/* Whether a byte stands for itself: printable ASCII but quote and backslash. */
static bool
is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The same of eight bytes at once: a high bit is set by each test for a byte of its kind, and a borrow that
 * spills into the next byte comes only from one that has been found already. */
static bool
are_eight_plain(uint64_t eight)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high_bits = ones << 7;
    uint64_t quotes = eight ^ (ones * '"'), backslashes = eight ^ (ones * '\\');

    return ((eight | (eight - ones * 0x20) | (quotes - ones) | (backslashes - ones)) & high_bits) == 0;
}

static size_t
plain_run(struct hs_span text, size_t at)
{
    for (uint64_t eight; text.len - at >= sizeof eight; at += sizeof eight) {
        memcpy(&eight, text.data + at, sizeof eight);
        if (!are_eight_plain(eight))
            break;
    }
    while (at < text.len && is_plain(text.data[at]))
        at++;
    return at;
}

static void
put_escape(struct hs_json_writer *writer, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    static const char short_forms[][2] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                                          {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};

    for (size_t i = 0; i < HS_ARRAY_LEN(short_forms); i++)
        if (short_forms[i][0] == (char)c) {
            put_bytes(writer, (const char[]){'\\', short_forms[i][1]}, 2);
            return;
        }
    put_bytes(writer, (const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 0xf]}, 6);
}

/* A string without anything to escape, which nearly all are: at once. */
static bool
put_plain_string(struct hs_json_writer *writer, struct hs_span text, struct hs_span close)
{
    struct hs_buf *out = writer->out;

    if (writer->code != HSMART_OK || plain_run(text, 0) != text.len ||
        out->capacity - out->len <= text.len + 1 + close.len)
        return false;
    uint8_t *to = out->data + out->len;
    *to++ = '"';
    memcpy(to, text.data, text.len);
    to += text.len;
    for (size_t i = 0; i < close.len; i++)
        *to++ = close.data[i];
    *to = 0;
    out->len += 1 + text.len + close.len;
    return true;
}

/* The length of the character at `text` when a terminal or an editor would act on it (C1 controls, line and paragraph
 * separators, bidirectional overrides and isolates), else 0. */
static size_t
acting_character(struct hs_span text, unsigned *out_code_point)
{
    const uint8_t *at = text.data;

    if (text.len >= 2 && at[0] == 0xc2 && at[1] < 0xa0) {
        *out_code_point = at[1];
        return 2;
    }
    if (text.len >= 3 && at[0] == 0xe2 &&
        ((at[1] == 0x80 && at[2] >= 0xa8 && at[2] <= 0xae) || (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9))) {
        *out_code_point = 0x2000U | (unsigned)(at[1] & 0x3f) << 6 | (at[2] & 0x3fU);
        return 3;
    }
    return 0;
}

/* Characters beyond ASCII stand for themselves; in the form for people, those that act are escaped. What is compact may
 * be signed or compared, and has one form only. */
static void
put_characters(struct hs_json_writer *writer, struct hs_span text)
{
    size_t done = 0;
    char escape[8];
    unsigned code_point = 0;

    for (size_t at = 0; writer->indent && at < text.len; at++) {
        size_t len = acting_character((struct hs_span){text.data + at, text.len - at}, &code_point);
        if (len == 0)
            continue;
        put(writer, (struct hs_span){text.data + done, at - done});
        (void)snprintf(escape, sizeof escape, "\\u%04x", code_point & 0xffffU);
        put_bytes(writer, escape, 6);
        done = at + len;
        at = done - 1;
    }
    put(writer, (struct hs_span){text.data + done, text.len - done});
}

/* `close` is the closing quote and what follows it. */
static void
put_string(struct hs_json_writer *writer, struct hs_span text, struct hs_span close)
{
    if (text.len > 0 && put_plain_string(writer, text, close))
        return;
    put_bytes(writer, "\"", 1);
    for (size_t at = 0; at < text.len;) {
        size_t end = plain_run(text, at);
        put(writer, (struct hs_span){text.data + at, end - at});
        if (end < text.len && text.data[end] < 0x80)
            put_escape(writer, text.data[end++]);
        else if (end < text.len) {
            /* Other characters go as they are, once it is seen that they are characters. */
            struct hs_span rest = {text.data + end, 0};
            while (end + rest.len < text.len && rest.data[rest.len] >= 0x80)
                rest.len++;
            size_t good_len = hs_text_utf8_prefix(rest);
            if (good_len != rest.len && writer->code == HSMART_OK)
                writer->code = hs_err_set(&writer->err, HSMART_INVALID_ARGUMENT,
                                          "a text is not UTF-8 (at its byte %zu)", end + good_len);
            put_characters(writer, rest);
            end += rest.len;
        }
        at = end;
    }
    put(writer, close);
}

/* ---- Objects and arrays ---- */

static void
begin(struct hs_json_writer *writer, const char *bracket)
{
    put_separator(writer);
    put_bytes(writer, bracket, 1);
    if (writer->depth + 1 >= HS_JSON_MAX_DEPTH) {
        if (writer->code == HSMART_OK)
            writer->code = hs_err_set(&writer->err, HSMART_INTERNAL, "JSON is written too deep");
        return;
    }
    writer->depth++;
    writer->has_items &= ~(UINT32_C(1) << writer->depth);
}

static void
end(struct hs_json_writer *writer, const char *bracket)
{
    if (writer->depth == 0 || writer->after_name) {
        if (writer->code == HSMART_OK)
            writer->code = hs_err_set(&writer->err, HSMART_INTERNAL, "JSON is closed where nothing is open");
        return;
    }
    bool had_items = (writer->has_items & UINT32_C(1) << writer->depth) != 0;
    writer->depth--;
    if (writer->indent && had_items)
        put_line_start(writer);
    put_bytes(writer, bracket, 1);
}

void
hs_json_begin_object(struct hs_json_writer *writer)
{
    begin(writer, "{");
}

void
hs_json_end_object(struct hs_json_writer *writer)
{
    end(writer, "}");
}

void
hs_json_begin_array(struct hs_json_writer *writer)
{
    begin(writer, "[");
}

void
hs_json_end_array(struct hs_json_writer *writer)
{
    end(writer, "]");
}

void
hs_json_name(struct hs_json_writer *writer, const char *name)
{
    put_separator(writer);
    put_string(writer, hs_span_str(name), (struct hs_span){(const uint8_t *)"\": ", writer->indent ? 3 : 2});
    writer->after_name = true;
}

/* ---- Values ---- */

void
hs_json_put_raw(struct hs_json_writer *writer, struct hs_span json)
{
    put_separator(writer);
    put(writer, json);
}

void
hs_json_put_span(struct hs_json_writer *writer, struct hs_span text)
{
    put_separator(writer);
    put_string(writer, text, (struct hs_span){(const uint8_t *)"\"", 1});
}

void
hs_json_put_null(struct hs_json_writer *writer)
{
    hs_json_put_raw(writer, hs_span_str("null"));
}

void
hs_json_put_text(struct hs_json_writer *writer, const char *text)
{
    if (text == NULL)
        hs_json_put_null(writer);
    else
        hs_json_put_span(writer, hs_span_str(text));
}

void
hs_json_put_integer(struct hs_json_writer *writer, int64_t number)
{
    char digits[INT64_TEXT_MAX];
    size_t at = sizeof digits;
    uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;

    do {
        digits[--at] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude != 0);
    if (number < 0)
        digits[--at] = '-';
    hs_json_put_raw(writer, (struct hs_span){(const uint8_t *)digits + at, sizeof digits - at});
}

void
hs_json_put_boolean(struct hs_json_writer *writer, bool value)
{
    hs_json_put_raw(writer, hs_span_str(value ? "true" : "false"));
}

static void
put_number(struct hs_json_writer *writer, double number)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%.17g", number);
    /* What is too large for a double stays so: "inf" is no JSON. */
    hs_json_put_raw(writer, hs_span_str(number > DBL_MAX ? "1e999" : number < -DBL_MAX ? "-1e999" : text));
}

/* As deep as the parser lets values be. */
void
hs_json_put_value(struct hs_json_writer *writer, const hs_json_value *value)
{
    const char *name;

    switch (hs_json_type_of(value)) {
    case HS_JSON_OBJECT:
        hs_json_begin_object(writer);
        for (size_t i = 0; (name = hs_json_member_name(value, i)) != NULL; i++) {
            hs_json_name(writer, name);
            hs_json_put_value(writer, hs_json_member(value, name));
        }
        hs_json_end_object(writer);
        break;
    case HS_JSON_ARRAY:
        hs_json_begin_array(writer);
        for (size_t i = 0; i < hs_json_length(value); i++)
            hs_json_put_value(writer, hs_json_element(value, i));
        hs_json_end_array(writer);
        break;
    case HS_JSON_STRING:
        hs_json_put_span(writer, hs_json_string(value));
        break;
    case HS_JSON_INTEGER:
        hs_json_put_integer(writer, hs_json_integer(value));
        break;
    case HS_JSON_NUMBER:
        put_number(writer, hs_json_number(value));
        break;
    case HS_JSON_BOOLEAN:
        hs_json_put_boolean(writer, hs_json_boolean(value));
        break;
    default:
        hs_json_put_null(writer);
    }
}

void
hs_json_member_text(struct hs_json_writer *writer, const char *name, const char *text)
{
    hs_json_name(writer, name);
    hs_json_put_text(writer, text);
}

void
hs_json_member_integer(struct hs_json_writer *writer, const char *name, int64_t number)
{
    hs_json_name(writer, name);
    hs_json_put_integer(writer, number);
}

void
hs_json_member_boolean(struct hs_json_writer *writer, const char *name, bool value)
{
    hs_json_name(writer, name);
    hs_json_put_boolean(writer, value);
}

enum hsmart_code
hs_json_writer_finish(struct hs_json_writer *writer, hsmart_err *err)
{
    if (writer->code == HSMART_OK && (writer->depth != 0 || writer->after_name))
        writer->code = hs_err_set(&writer->err, HSMART_INTERNAL, "JSON is not complete");
    if (writer->code != HSMART_OK && err != NULL)
        *err = writer->err;
    return writer->code;
}
