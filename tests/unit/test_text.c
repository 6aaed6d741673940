#include "rows.h"

#include "err.h"
#include "text.h"

static struct utf8 {
    const char *name, *text;
    size_t good_len; /* where the first bad byte is; the length when there is none */
} utf8s[] = {
    {"the empty text", "", 0},
    {"ASCII", "abc", 3},
    {"two, three and four bytes", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91", 9},
    {"the last code point", "\xf4\x8f\xbf\xbf", 4},
    {"the last before the surrogates", "\xed\x9f\xbf", 3},
    {"above U+10FFFF", "a\xf4\x90\x80\x80", 1},
    {"a surrogate", "ab\xed\xa0\x80", 2},
    {"an overlong slash of two bytes", "\xc0\xaf", 0},
    {"an overlong slash of three bytes", "\xe0\x80\xaf", 0},
    {"an overlong slash of four bytes", "\xf0\x80\x80\xaf", 0},
    {"a continuation byte alone", "a\x80", 1},
    {"a character cut off at the end", "a\xe2\x82", 1},
    {"a character cut off by another", "\xe2\x82" "a", 0},
    {"the byte ff", "\xff", 0},
    {"Latin-1", "caf\xe9", 3},
};

static void
well_formed_utf8_ends_where_it_should(void **state)
{
    const struct utf8 *row = *state;

    assert_int_equal(hs_text_utf8_prefix(span(row->text)), row->good_len);
    assert_int_equal(hs_text_is_utf8(span(row->text)), row->good_len == strlen(row->text));
}

static struct sanitized {
    const char *name, *text, *expected;
} sanitizeds[] = {
    {"plain text stays", "token \"prod\"", "token \"prod\""},
    {"other scripts stay", "cl\xc3\xa9 \xe9\x8d\xb5", "cl\xc3\xa9 \xe9\x8d\xb5"},
    {"a line feed", "a\nb", "a?b"},
    {"an escape sequence", "\x1b[31m", "?[31m"},
    {"DEL", "a\x7f", "a?"},
    {"a C1 control", "a\xc2\x9b" "b", "a?b"},
    {"a bidirectional override", "a\xe2\x80\xae" "b", "a?b"},
    {"a bidirectional isolate", "a\xe2\x81\xa6" "b", "a?b"},
    {"a line separator", "a\xe2\x80\xa8" "b", "a?b"},
    {"a byte that is not UTF-8", "a\xff" "bcde", "a?bcde"},
    {"a cut-off character at the end is dropped", "ab\xe2\x82", "ab"},
    {"a character that is wrong near the end is replaced, and what follows stays", "\"\xff\"", "\"?\""},
    {"a character cut off by two others", "\xe2\x82" "ab", "??ab"},
};

static void
what_must_not_reach_a_terminal_is_replaced(void **state)
{
    const struct sanitized *row = *state;
    char text[64];

    memcpy(text, row->text, strlen(row->text) + 1);
    bool printable = hs_text_is_printable(text);
    hs_text_sanitize(text);
    assert_int_equal(printable, strcmp(text, row->text) == 0);
    assert_string_equal(text, row->expected);
}

static void
text_is_not_cut_within_a_character(void **state)
{
    (void)state;
    assert_int_equal(hs_text_cut("abc", 10), 3);
    assert_int_equal(hs_text_cut("abc", 2), 2);
    assert_int_equal(hs_text_cut("a\xe2\x82\xac" "b", 3), 1);
    assert_int_equal(hs_text_cut("a\xe2\x82\xac" "b", 4), 4);
}

static struct hex {
    const char *name, *text;
    const char *canonical; /* NULL: refused */
} hexes[] = {
    {"nothing", "", ""},
    {"lower case", "00ff1a", "00ff1a"},
    {"upper case", "00FF1A", "00ff1a"},
    {"colons between bytes", "00:ff:1a", "00ff1a"},
    {"half a byte", "00f", NULL},
    {"a letter beyond f", "0g", NULL},
    {"a colon at the end", "00:", NULL},
    {"a colon at the start", ":00", NULL},
    {"a space", "00 ff", NULL},
    {"a prefix", "0x00", NULL},
};

static void
hex_is_read_and_written(void **state)
{
    const struct hex *row = *state;
    struct hs_buf bytes = {0}, text = {0};
    hsmart_err err = {0};
    enum hsmart_code code = hs_text_parse_hex(row->text, &bytes, &err);

    assert_int_equal(code, row->canonical != NULL ? HSMART_OK : HSMART_INVALID_ARGUMENT);
    if (row->canonical != NULL) {
        assert_int_equal(hs_text_append_hex(&text, hs_span_buf(&bytes), NULL), HSMART_OK);
        assert_string_equal(hs_buf_text(&text), row->canonical);
    } else {
        assert_null(bytes.data);
        assert_non_null(strstr(err.text, row->text));
    }
    hs_buf_clear(&bytes);
    hs_buf_clear(&text);
}

static struct number {
    const char *name, *text;
    bool good;
    long value;
} numbers[] = {
    {"the least", "-5", true, -5},
    {"the greatest", "300", true, 300},
    {"leading zeros", "007", true, 7},
    {"below the least", "-6", false, 0},
    {"above the greatest", "301", false, 0},
    {"beyond long", "99999999999999999999999", false, 0},
    {"nothing", "", false, 0},
    {"a word", "ten", false, 0},
    {"a unit behind it", "10s", false, 0},
    {"a fraction", "1.5", false, 0},
    {"hex", "0x10", false, 0},
    {"a space before", " 1", false, 0},
    {"a line feed before", "\n1", false, 0},
    {"a tab before", "\t1", false, 0},
    {"a space behind", "1 ", false, 0},
    {"a plus sign", "+1", false, 0},
};

static void
a_number_is_whole_and_within_bounds(void **state)
{
    const struct number *row = *state;
    long value = 77;
    hsmart_err err = {0};
    enum hsmart_code code = hs_text_parse_number(row->text, "--lifetime", -5, 300, &value, &err);

    assert_int_equal(code, row->good ? HSMART_OK : HSMART_INVALID_ARGUMENT);
    assert_int_equal(value, row->good ? row->value : 77);
    if (!row->good)
        assert_non_null(strstr(err.text, "--lifetime is \""));
}

static struct distance {
    const char *name, *given, *known;
    size_t distance;
    bool near;
} distances[] = {
    {"the same", "scope", "scope", 0, true},
    {"one letter left out", "clientid", "client-id", 1, true},
    {"one letter changed", "scape", "scope", 1, true},
    {"two words", "colour", "jku", 5, false},
    {"nothing", "", "kid", 3, false},
    {"longer than any word", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "kid", 64,
     false},
};

static void
the_distance_of_words_is_counted_in_letters(void **state)
{
    const struct distance *row = *state;
    size_t distance = hs_text_distance(row->given, row->known);

    assert_int_equal(distance, row->distance);
    assert_int_equal(hs_text_is_near(row->given, distance), row->near);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, well_formed_utf8_ends_where_it_should, utf8s);
    ADD_ROWS(&rows, what_must_not_reach_a_terminal_is_replaced, sanitizeds);
    ADD_TEST(&rows, text_is_not_cut_within_a_character);
    ADD_ROWS(&rows, hex_is_read_and_written, hexes);
    ADD_ROWS(&rows, a_number_is_whole_and_within_bounds, numbers);
    ADD_ROWS(&rows, the_distance_of_words_is_counted_in_letters, distances);
    return rows_run("text", &rows);
}
