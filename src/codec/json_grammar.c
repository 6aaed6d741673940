/* Why not json-c's own check: even its strict mode takes NaN, leading zeros, control characters inside strings and
 * lone surrogates, cuts a name at an escaped NUL, and keeps the last of several members with one name. */
#include "json_grammar.h"

#include <json-c/json.h>

#include "err.h"
#include "text.h"

#define SURROGATE_FIRST 0xd800U
#define SURROGATE_LOW_FIRST 0xdc00U
#define SURROGATE_LAST 0xdfffU

struct reader {
    struct hs_span text;
    size_t at;
    unsigned depth;
    size_t copied; /* how much of `text` is in `plain` */
    struct hs_buf *plain;
    json_tokener *names; /* takes the escapes out of member names; NULL: no name had one yet */
    hsmart_err *err;
};

static enum hsmart_code read_value(struct reader *reader);

/* The byte at the reader, or -1 at the end. A NUL byte is a byte like any other. */
static int
peek(const struct reader *reader)
{
    return reader->at < reader->text.len ? reader->text.data[reader->at] : -1;
}

static void
skip_space(struct reader *reader)
{
    for (int c = peek(reader); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek(reader))
        reader->at++;
}

static enum hsmart_code
refuse(const struct reader *reader, size_t at, const char *what)
{
    return hs_err_set(reader->err, HSMART_INPUT_MALFORMED, "not JSON: %s at byte %zu", what, at);
}

/* What is there instead of what was expected. */
static enum hsmart_code
refuse_here(const struct reader *reader, const char *expected)
{
    int c = peek(reader);

    if (c < 0)
        return hs_err_set(reader->err, HSMART_INPUT_MALFORMED, "not JSON: the text ends at byte %zu, expected %s",
                          reader->at, expected);
    if (c > ' ' && c < 0x7f)
        return hs_err_set(reader->err, HSMART_INPUT_MALFORMED, "not JSON: \"%c\" at byte %zu, expected %s", c,
                          reader->at, expected);
    return hs_err_set(reader->err, HSMART_INPUT_MALFORMED, "not JSON: the byte 0x%02x at byte %zu, expected %s",
                      (unsigned)c, reader->at, expected);
}

static bool
take(struct reader *reader, char c)
{
    if (peek(reader) != c)
        return false;
    reader->at++;
    return true;
}

static bool
is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* ---- Strings ---- */

/* The four hex digits after "\u". */
static bool
take_hex4(struct reader *reader, uint32_t *out_unit)
{
    uint32_t unit = 0;

    for (int i = 0; i < 4; i++) {
        int c = peek(reader);
        int value = c < 0 ? -1 : hs_text_hex_digit((char)c);
        if (value < 0)
            return false;
        unit = unit << 4 | (uint32_t)value;
        reader->at++;
    }
    *out_unit = unit;
    return true;
}

/* At the character after the backslash. */
static enum hsmart_code
read_escape(struct reader *reader, bool *has_nul)
{
    size_t start = reader->at - 1;
    uint32_t unit = 0, low = 0;
    int c = peek(reader);

    if (c <= 0 || strchr("\"\\/bfnrtu", c) == NULL)
        return refuse(reader, start, "an unknown escape");
    reader->at++;
    if (c != 'u')
        return HSMART_OK;
    if (!take_hex4(reader, &unit))
        return refuse(reader, start, "an escape \"\\u\" without four hex digits");
    *has_nul = *has_nul || unit == 0;
    if (unit < SURROGATE_FIRST || unit > SURROGATE_LAST)
        return HSMART_OK;
    if (unit >= SURROGATE_LOW_FIRST || !take(reader, '\\') || !take(reader, 'u') || !take_hex4(reader, &low) ||
        low < SURROGATE_LOW_FIRST || low > SURROGATE_LAST)
        return refuse(reader, start, "half a surrogate pair");
    return HSMART_OK;
}

/* Sets `out_string` to the string with its quotes; `out_has_nul` says whether it holds an escaped NUL. */
static enum hsmart_code
read_string(struct reader *reader, struct hs_span *out_string, bool *out_has_nul)
{
    size_t start = reader->at;

    *out_has_nul = false;
    if (!take(reader, '"'))
        return refuse_here(reader, "a string in double quotes");
    while (!take(reader, '"')) {
        int c = peek(reader);
        if (c < 0)
            return refuse(reader, start, "a string without end");
        if (c < 0x20)
            return refuse(reader, reader->at, "a control character in a string");
        reader->at++;
        if (c != '\\')
            continue;
        enum hsmart_code code = read_escape(reader, out_has_nul);
        if (code != HSMART_OK)
            return code;
    }
    *out_string = (struct hs_span){reader->text.data + start, reader->at - start};
    return HSMART_OK;
}

/* ---- Numbers and words ---- */

static size_t
take_digits(struct reader *reader)
{
    size_t start = reader->at;

    while (is_digit(peek(reader)))
        reader->at++;
    return reader->at - start;
}

static bool
fits_int64(struct hs_span digits, bool negative)
{
    const char *limit = negative ? "9223372036854775808" : "9223372036854775807";
    size_t limit_len = strlen(limit);

    return digits.len < limit_len || (digits.len == limit_len && memcmp(digits.data, limit, limit_len) <= 0);
}

/* Copies what was read since the last time, and "in front of" the rest what json-c needs. */
static enum hsmart_code
copy_with(struct reader *reader, const char *extra)
{
    struct hs_span since = {reader->text.data + reader->copied, reader->at - reader->copied};
    enum hsmart_code code = hs_buf_append(reader->plain, since, reader->err);

    reader->copied = reader->at;
    return code == HSMART_OK ? hs_buf_append_str(reader->plain, extra, reader->err) : code;
}

static enum hsmart_code
read_number(struct reader *reader)
{
    size_t start = reader->at;
    bool negative = take(reader, '-'), whole = true;
    struct hs_span digits = {reader->text.data + reader->at, 0};

    digits.len = take_digits(reader);
    if (digits.len == 0)
        return refuse_here(reader, negative ? "a digit" : "a value");
    if (digits.len > 1 && digits.data[0] == '0')
        return refuse(reader, start, "a number with a leading zero");
    if (take(reader, '.')) {
        whole = false;
        if (take_digits(reader) == 0)
            return refuse_here(reader, "a digit");
    }
    if (take(reader, 'e') || take(reader, 'E')) {
        whole = false;
        if (!take(reader, '+'))
            (void)take(reader, '-');
        if (take_digits(reader) == 0)
            return refuse_here(reader, "a digit");
    }
    return whole && !fits_int64(digits, negative) ? copy_with(reader, ".0") : HSMART_OK;
}

static enum hsmart_code
read_word(struct reader *reader)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < HS_ARRAY_LEN(words); i++) {
        size_t len = strlen(words[i]);
        if (reader->text.len - reader->at >= len && memcmp(reader->text.data + reader->at, words[i], len) == 0) {
            reader->at += len;
            return HSMART_OK;
        }
    }
    return refuse_here(reader, "a value");
}

/* ---- Objects and arrays ---- */

/* The name by itself; json-c, which switches the locale for each text it parses, is asked about escapes only. */
static json_object *
unquote_name(struct reader *reader, struct hs_span quoted)
{
    if (memchr(quoted.data, '\\', quoted.len) == NULL)
        return json_object_new_string_len((const char *)quoted.data + 1, (int)quoted.len - 2);
    if (reader->names == NULL)
        reader->names = json_tokener_new();
    if (reader->names == NULL)
        return NULL;
    json_tokener_reset(reader->names);
    return json_tokener_parse_ex(reader->names, (const char *)quoted.data, (int)quoted.len);
}

/* The names of one object: a few without escapes are compared as they stand; with more, or with an escape, all are in
 * a table. */
#define PLAIN_NAMES_MAX 16U
struct names {
    struct hs_span plain[PLAIN_NAMES_MAX]; /* with their quotes */
    size_t plain_count;
    json_object *table; /* NULL: not needed yet */
};

static enum hsmart_code
refuse_twice(const struct reader *reader, struct hs_span quoted, const char *text, int len)
{
    return hs_err_set(reader->err, HSMART_INPUT_MALFORMED, "the member \"%.*s\" occurs twice, again at byte %zu",
                      len < 64 ? len : 64, text, (size_t)(quoted.data - reader->text.data));
}

static enum hsmart_code
note_in_table(struct reader *reader, struct hs_span quoted, json_object *table)
{
    enum hsmart_code code = HSMART_OK;
    json_object *name = unquote_name(reader, quoted);

    if (name == NULL)
        return hs_err_no_memory(reader->err);
    const char *text = json_object_get_string(name);
    if (json_object_object_get_ex(table, text, NULL))
        code = refuse_twice(reader, quoted, text, json_object_get_string_len(name));
    else if (json_object_object_length(table) >= (int)HS_JSON_MAX_MEMBERS)
        code = hs_err_set(reader->err, HSMART_INPUT_MALFORMED, "an object has more than the %u members allowed",
                          HS_JSON_MAX_MEMBERS);
    else if (json_object_object_add(table, text, NULL) != 0)
        code = hs_err_no_memory(reader->err);
    (void)json_object_put(name);
    return code;
}

static enum hsmart_code
note_plain(struct reader *reader, struct hs_span quoted, struct names *names)
{
    for (size_t i = 0; i < names->plain_count; i++)
        if (hs_span_equal(names->plain[i], quoted))
            return refuse_twice(reader, quoted, (const char *)quoted.data + 1, (int)quoted.len - 2);
    names->plain[names->plain_count++] = quoted;
    return HSMART_OK;
}

static enum hsmart_code
make_table(struct reader *reader, struct names *names)
{
    enum hsmart_code code = HSMART_OK;

    names->table = json_object_new_object();
    if (names->table == NULL)
        return hs_err_no_memory(reader->err);
    for (size_t i = 0; i < names->plain_count && code == HSMART_OK; i++)
        code = note_in_table(reader, names->plain[i], names->table);
    return code;
}

/* Refuses a name that the object has already. Names are compared without their escapes: "a" and "\u0061" are one. */
static enum hsmart_code
note_name(struct reader *reader, struct hs_span quoted, struct names *names)
{
    enum hsmart_code code = HSMART_OK;

    if (names->table == NULL && names->plain_count < PLAIN_NAMES_MAX && memchr(quoted.data, '\\', quoted.len) == NULL)
        return note_plain(reader, quoted, names);
    if (names->table == NULL)
        code = make_table(reader, names);
    return code == HSMART_OK ? note_in_table(reader, quoted, names->table) : code;
}

static enum hsmart_code
read_member(struct reader *reader, struct names *names)
{
    struct hs_span name = {0};
    bool has_nul = false;

    skip_space(reader);
    enum hsmart_code code = read_string(reader, &name, &has_nul);
    if (code != HSMART_OK)
        return code;
    if (has_nul)
        return hs_err_set(reader->err, HSMART_INPUT_MALFORMED, "a member name holds a NUL character at byte %zu",
                          (size_t)(name.data - reader->text.data));
    code = note_name(reader, name, names);
    if (code != HSMART_OK)
        return code;
    skip_space(reader);
    if (!take(reader, ':'))
        return refuse_here(reader, "\":\"");
    return read_value(reader);
}

/* Behind the opening brace. */
static enum hsmart_code
read_members(struct reader *reader)
{
    struct names names;

    names.plain_count = 0;
    names.table = NULL;
    enum hsmart_code code;
    do {
        code = read_member(reader, &names);
        skip_space(reader);
    } while (code == HSMART_OK && take(reader, ','));
    if (code == HSMART_OK && !take(reader, '}'))
        code = refuse_here(reader, "\",\" or \"}\"");
    (void)json_object_put(names.table);
    return code;
}

/* Behind the opening bracket. */
static enum hsmart_code
read_elements(struct reader *reader)
{
    enum hsmart_code code;

    do {
        code = read_value(reader);
        skip_space(reader);
    } while (code == HSMART_OK && take(reader, ','));
    if (code == HSMART_OK && !take(reader, ']'))
        code = refuse_here(reader, "\",\" or \"]\"");
    return code;
}

static enum hsmart_code
read_nested(struct reader *reader, char close, enum hsmart_code (*read)(struct reader *reader))
{
    if (++reader->depth > HS_JSON_MAX_DEPTH)
        return hs_err_set(reader->err, HSMART_INPUT_MALFORMED,
                          "the JSON is nested deeper than the %u levels allowed at byte %zu", HS_JSON_MAX_DEPTH,
                          reader->at);
    reader->at++;
    skip_space(reader);
    enum hsmart_code code = take(reader, close) ? HSMART_OK : read(reader);
    reader->depth--;
    return code;
}

static enum hsmart_code
read_value(struct reader *reader)
{
    struct hs_span string;
    bool has_nul;

    skip_space(reader);
    int c = peek(reader);
    if (c == '{')
        return read_nested(reader, '}', read_members);
    if (c == '[')
        return read_nested(reader, ']', read_elements);
    if (c == '"')
        return read_string(reader, &string, &has_nul);
    if (c == '-' || is_digit(c))
        return read_number(reader);
    return read_word(reader);
}

/* ---- The whole text ---- */

static enum hsmart_code
check_bytes(struct hs_span text, hsmart_err *err)
{
    static const uint8_t byte_order_mark[] = {0xef, 0xbb, 0xbf};
    size_t utf8_len;

    if (text.len > HS_JSON_MAX_LEN)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "the JSON is %zu bytes long, more than the %u allowed", text.len,
                          HS_JSON_MAX_LEN);
    if (text.len >= sizeof byte_order_mark && memcmp(text.data, byte_order_mark, sizeof byte_order_mark) == 0)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "not JSON: a byte order mark at byte 0");
    utf8_len = hs_text_utf8_prefix(text);
    if (utf8_len != text.len)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "not JSON: invalid UTF-8 at byte %zu", utf8_len);
    return HSMART_OK;
}

enum hsmart_code
hs_json_grammar_check(struct hs_span text, struct hs_buf *out_plain, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf plain = {0};
    struct reader reader = {.text = text, .plain = &plain, .err = err};

    code = check_bytes(text, err);
    if (code != HSMART_OK)
        goto out;
    code = read_value(&reader);
    if (code != HSMART_OK)
        goto out;
    skip_space(&reader);
    if (reader.at != text.len) {
        code = refuse_here(&reader, "nothing after the value");
        goto out;
    }
    code = copy_with(&reader, "");
    if (code != HSMART_OK)
        goto out;
    hs_buf_move(&plain, out_plain);
out:
    if (reader.names != NULL)
        json_tokener_free(reader.names);
    hs_buf_clear(&plain);
    return code;
}
