#include "rows.h"

#include <math.h>
#include <stdio.h>

#include "json.h"

/* Text that may hold a NUL: `len` 0 means up to the NUL. */
static struct hs_span
text_of(const char *text, size_t len)
{
    return (struct hs_span){(const uint8_t *)text, len != 0 ? len : strlen(text)};
}

/* The names of an object are compared in another way from the seventeenth on. */
#define SIXTEEN                                                                                                        \
    "\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"k\":1,\"l\":1,\"m\":1,\"n\":1," \
    "\"o\":1,\"p\":1"

static struct good {
    const char *name, *text;
    enum hs_json_type type;
    double number;
} goods[] = {
    {"an empty object", "{}", HS_JSON_OBJECT, 0},
    {"an empty array", "[ ]", HS_JSON_ARRAY, 0},
    {"white space of all four kinds", " \t\r\n{ \"a\"\t:\r1\n, \"b\" : [ 1 , 2 ] } \n", HS_JSON_OBJECT, 0},
    {"an empty string", "\"\"", HS_JSON_STRING, 0},
    {"true", "true", HS_JSON_BOOLEAN, 0},
    {"false", "false", HS_JSON_BOOLEAN, 0},
    {"null", "null", HS_JSON_NULL, 0},
    {"a number at the end of the text", "123", HS_JSON_INTEGER, 123},
    {"zero", "0", HS_JSON_INTEGER, 0},
    {"minus zero", "-0", HS_JSON_INTEGER, 0},
    {"the greatest integer", "9223372036854775807", HS_JSON_INTEGER, 9223372036854775807.0},
    {"the least integer", "-9223372036854775808", HS_JSON_INTEGER, -9223372036854775808.0},
    {"one above the greatest integer", "9223372036854775808", HS_JSON_NUMBER, 9223372036854775808.0},
    {"one below the least integer", "-9223372036854775809", HS_JSON_NUMBER, -9223372036854775809.0},
    {"one above the greatest of 64 bits", "18446744073709551616", HS_JSON_NUMBER, 18446744073709551616.0},
    {"an integer of thirty digits", "100000000000000000000000000000", HS_JSON_NUMBER, 1e29},
    {"a huge integer before white space", "18446744073709551616 \n", HS_JSON_NUMBER, 18446744073709551616.0},
    {"a fraction", "2.5", HS_JSON_NUMBER, 2.5},
    {"a whole number with a fraction", "300.0", HS_JSON_NUMBER, 300},
    {"an exponent", "1e2", HS_JSON_NUMBER, 100},
    {"an exponent with a plus sign", "1E+2", HS_JSON_NUMBER, 100},
    {"an exponent with a minus sign", "-1.5e-1", HS_JSON_NUMBER, -0.15},
    {"a zero exponent", "0e0", HS_JSON_NUMBER, 0},
    {"a number that no double can hold", "1e400", HS_JSON_NUMBER, HUGE_VAL},
    {"names that differ by case", "{\"a\":1,\"A\":2}", HS_JSON_OBJECT, 0},
    {"one name in two objects", "[{\"a\":1},{\"a\":{\"a\":2}}]", HS_JSON_ARRAY, 0},
    {"an empty name", "{\"\":1}", HS_JSON_OBJECT, 0},
    {"every escape", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", HS_JSON_STRING, 0},
    {"a surrogate pair", "\"\\ud83d\\udd11\"", HS_JSON_STRING, 0},
    {"DEL in a string", "\"\x7f\"", HS_JSON_STRING, 0},
    {"names where one begins like the other", "{\"a\":1,\"ab\":2,\"\":3}", HS_JSON_OBJECT, 0},
    {"eighteen names, one with an escape", "{" SIXTEEN ",\"q\":1,\"\\u0072\":1}", HS_JSON_OBJECT, 0},
    {"colons and braces in a string", "{\"a\":\"b:c,{}[]\"}", HS_JSON_OBJECT, 0},
};

static void
json_is_read(void **state)
{
    const struct good *row = *state;
    struct hs_json_doc doc = {0};
    hsmart_err err = {0};

    if (hs_json_parse(span(row->text), &doc, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    assert_int_equal(hs_json_type_of(doc.root), row->type);
    assert_true(hs_json_number(doc.root) == row->number);
    hs_json_doc_clear(&doc);
}

static struct bad {
    const char *name, *text;
    size_t len;
    const char *reason;
} bads[] = {
    {"nothing", "", 0, "not JSON: the text ends at byte 0, expected a value"},
    {"white space alone", "  ", 0, "not JSON: the text ends at byte 2, expected a value"},
    {"NaN", "NaN", 0, "not JSON: \"N\" at byte 0, expected a value"},
    {"Infinity", "[Infinity]", 0, "not JSON: \"I\" at byte 1, expected a value"},
    {"minus Infinity", "-Infinity", 0, "not JSON: \"I\" at byte 1, expected a digit"},
    {"words in capitals", "[True]", 0, "not JSON: \"T\" at byte 1, expected a value"},
    {"a word cut off", "[nul]", 0, "not JSON: \"n\" at byte 1, expected a value"},
    {"a word too long", "truely", 0, "not JSON: \"l\" at byte 4, expected nothing after the value"},
    {"single quotes", "{'a':1}", 0, "not JSON: \"'\" at byte 1, expected a string in double quotes"},
    {"a name without quotes", "{a:1}", 0, "not JSON: \"a\" at byte 1, expected a string in double quotes"},
    {"a number as a name", "{1:1}", 0, "not JSON: \"1\" at byte 1, expected a string in double quotes"},
    {"a comment of C", "/* x */ {}", 0, "not JSON: \"/\" at byte 0, expected a value"},
    {"a comment of C++", "{} // x", 0, "not JSON: \"/\" at byte 3, expected nothing after the value"},
    {"a comment within", "{\"a\":/**/1}", 0, "not JSON: \"/\" at byte 5, expected a value"},
    {"a comma at the end of an array", "[1,]", 0, "not JSON: \"]\" at byte 3, expected a value"},
    {"a comma at the end of an object", "{\"a\":1,}", 0,
     "not JSON: \"}\" at byte 7, expected a string in double quotes"},
    {"a comma alone", "[,]", 0, "not JSON: \",\" at byte 1, expected a value"},
    {"a comma forgotten in an array", "[1 2]", 0, "not JSON: \"2\" at byte 3, expected \",\" or \"]\""},
    {"a comma forgotten in an object", "{\"a\":1 \"b\":2}", 0, "not JSON: \"\"\" at byte 7, expected \",\" or \"}\""},
    {"a colon forgotten", "{\"a\" 1}", 0, "not JSON: \"1\" at byte 5, expected \":\""},
    {"a value forgotten", "{\"a\":}", 0, "not JSON: \"}\" at byte 5, expected a value"},
    {"brackets that do not match", "[1}", 0, "not JSON: \"}\" at byte 2, expected \",\" or \"]\""},
    {"an array without end", "[1", 0, "not JSON: the text ends at byte 2, expected \",\" or \"]\""},
    {"an object without end", "{\"a\":1", 0, "not JSON: the text ends at byte 6, expected \",\" or \"}\""},
    {"a leading zero", "01", 0, "not JSON: a number with a leading zero at byte 0"},
    {"a leading zero after a minus sign", "[-01]", 0, "not JSON: a number with a leading zero at byte 1"},
    {"a plus sign", "+1", 0, "not JSON: \"+\" at byte 0, expected a value"},
    {"a minus sign alone", "-", 0, "not JSON: the text ends at byte 1, expected a digit"},
    {"two minus signs", "--1", 0, "not JSON: \"-\" at byte 1, expected a digit"},
    {"a number that begins with a point", ".5", 0, "not JSON: \".\" at byte 0, expected a value"},
    {"a number that ends with a point", "[1.]", 0, "not JSON: \"]\" at byte 3, expected a digit"},
    {"an exponent without digits", "1e", 0, "not JSON: the text ends at byte 2, expected a digit"},
    {"an exponent with a sign only", "[1e+]", 0, "not JSON: \"]\" at byte 4, expected a digit"},
    {"hex", "0x10", 0, "not JSON: \"x\" at byte 1, expected nothing after the value"},
    {"text after the value", "{} {}", 0, "not JSON: \"{\" at byte 3, expected nothing after the value"},
    {"a NUL byte after the value", "{}\0", 3, "not JSON: the byte 0x00 at byte 2, expected nothing after the value"},
    {"text after a NUL byte", "{}\0{}", 5, "not JSON: the byte 0x00 at byte 2, expected nothing after the value"},
    {"a NUL byte before the value", "\0{}", 3, "not JSON: the byte 0x00 at byte 0, expected a value"},
    {"a NUL byte in a string", "\"a\0b\"", 5, "not JSON: a control character in a string at byte 2"},
    {"a line feed in a string", "\"a\nb\"", 0, "not JSON: a control character in a string at byte 2"},
    {"a tab in a name", "{\"a\tb\":1}", 0, "not JSON: a control character in a string at byte 3"},
    {"a form feed as white space", "\f1", 0, "not JSON: the byte 0x0c at byte 0, expected a value"},
    {"a string without end", "[\"abc", 0, "not JSON: a string without end at byte 1"},
    {"a string that ends in a backslash", "\"abc\\", 0, "not JSON: an unknown escape at byte 4"},
    {"an unknown escape", "\"\\x41\"", 0, "not JSON: an unknown escape at byte 1"},
    {"an escaped single quote", "\"\\'\"", 0, "not JSON: an unknown escape at byte 1"},
    {"an escape with three hex digits", "\"\\u00e\"", 0,
     "not JSON: an escape \"\\u\" without four hex digits at byte 1"},
    {"an escape that is no hex", "\"\\u00zz\"", 0, "not JSON: an escape \"\\u\" without four hex digits at byte 1"},
    {"a high surrogate alone", "\"a\\ud83d\"", 0, "not JSON: half a surrogate pair at byte 2"},
    {"a high surrogate before another escape", "\"\\ud83d\\n\"", 0, "not JSON: half a surrogate pair at byte 1"},
    {"two high surrogates", "\"\\ud83d\\ud83d\"", 0, "not JSON: half a surrogate pair at byte 1"},
    {"a low surrogate alone", "\"\\udd11\"", 0, "not JSON: half a surrogate pair at byte 1"},
    {"a byte order mark", "\xef\xbb\xbf{}", 0, "not JSON: a byte order mark at byte 0"},
    {"UTF-16", "{\0}\0", 4, "not JSON: the byte 0x00 at byte 1, expected a string in double quotes"},
    {"Latin-1", "[\"caf\xe9\"]", 0, "not JSON: invalid UTF-8 at byte 5"},
    {"an overlong form", "\"\xc0\xaf\"", 0, "not JSON: invalid UTF-8 at byte 1"},
    {"a surrogate in UTF-8", "\"\xed\xa0\x80\"", 0, "not JSON: invalid UTF-8 at byte 1"},
    {"a name twice", "{\"a\":1,\"b\":2,\"a\":1}", 0, "the member \"a\" occurs twice, again at byte 13"},
    {"a name twice, once by escapes", "{\"kid\":1,\"\\u006bid\":2}", 0,
     "the member \"kid\" occurs twice, again at byte 9"},
    {"a name twice deep within", "[[{\"x\":{\"a\":1,\"a\":2}}]]", 0, "the member \"a\" occurs twice, again at byte 14"},
    {"an empty name twice", "{\"\":1,\"\":2}", 0, "the member \"\" occurs twice, again at byte 6"},
    {"a name twice, first by escapes", "{\"\\u006bid\":1,\"kid\":2}", 0,
     "the member \"kid\" occurs twice, again at byte 14"},
    {"a name twice behind one with escapes", "{\"a\":1,\"\\u0062\":2,\"a\":3}", 0,
     "the member \"a\" occurs twice, again at byte 18"},
    {"the first name again behind sixteen", "{" SIXTEEN ",\"a\":1}", 0,
     "the member \"a\" occurs twice, again at byte 97"},
    {"the sixteenth name again", "{" SIXTEEN ",\"p\":1}", 0, "the member \"p\" occurs twice, again at byte 97"},
    {"the seventeenth name again", "{" SIXTEEN ",\"q\":1,\"q\":1}", 0,
     "the member \"q\" occurs twice, again at byte 103"},
    {"the first name by escapes behind sixteen", "{" SIXTEEN ",\"\\u0061\":1}", 0,
     "the member \"a\" occurs twice, again at byte 97"},
    {"a name cut by a NUL", "{\"alg\\u0000x\":1}", 0, "a member name holds a NUL character at byte 1"},
};

static void
what_is_not_json_is_refused_with_the_place(void **state)
{
    const struct bad *row = *state;
    struct hs_json_doc doc = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_json_parse(text_of(row->text, row->len), &doc, &err), HSMART_INPUT_MALFORMED);
    assert_string_equal(err.text, row->reason);
    assert_null(doc.root);
}

/* Every prefix of good text but the whole is refused, and none crashes. */
static void
a_document_cut_off_anywhere_is_refused(void **state)
{
    (void)state;
    static const char text[] = "{\"keys\":[{\"kty\":\"EC\",\"n\":-12.5e+3,"
                               "\"\\ud83d\\udd11\":[true,false,null,\"\xe2\x82\xac\"]}]}";

    for (size_t len = 0; len < sizeof text - 1; len++) {
        struct hs_json_doc doc = {0};
        assert_int_equal(hs_json_parse((struct hs_span){(const uint8_t *)text, len}, &doc, NULL),
                         HSMART_INPUT_MALFORMED);
    }
}

static enum hsmart_code
parse_nested(unsigned depth, hsmart_err *err)
{
    struct hs_buf text = {0};
    struct hs_json_doc doc = {0};

    for (unsigned i = 0; i < depth; i++)
        assert_int_equal(hs_buf_append_str(&text, i % 2 == 0 ? "[" : "{\"a\":", NULL), HSMART_OK);
    assert_int_equal(hs_buf_append_str(&text, "1", NULL), HSMART_OK);
    for (unsigned i = depth; i-- > 0;)
        assert_int_equal(hs_buf_append_str(&text, i % 2 == 0 ? "]" : "}", NULL), HSMART_OK);
    enum hsmart_code code = hs_json_parse(hs_span_buf(&text), &doc, err);
    hs_json_doc_clear(&doc);
    hs_buf_clear(&text);
    return code;
}

static void
depth_is_limited(void **state)
{
    (void)state;
    hsmart_err err = {0};

    assert_int_equal(parse_nested(HS_JSON_MAX_DEPTH, &err), HSMART_OK);
    assert_int_equal(parse_nested(HS_JSON_MAX_DEPTH + 1, &err), HSMART_INPUT_MALFORMED);
    assert_non_null(strstr(err.text, "nested deeper than the 32 levels allowed"));
    assert_int_equal(parse_nested(100000, &err), HSMART_INPUT_MALFORMED);
}

static void
length_is_limited(void **state)
{
    (void)state;
    struct hs_buf text = {0};
    struct hs_json_doc doc = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_buf_resize(&text, HS_JSON_MAX_LEN, NULL), HSMART_OK);
    memset(text.data, ' ', text.len);
    text.data[0] = '1';
    assert_int_equal(hs_json_parse(hs_span_buf(&text), &doc, &err), HSMART_OK);
    assert_int_equal(hs_buf_append_str(&text, " ", NULL), HSMART_OK);
    assert_int_equal(hs_json_parse(hs_span_buf(&text), &doc, &err), HSMART_INPUT_MALFORMED);
    assert_string_equal(err.text, "the JSON is 1048577 bytes long, more than the 1048576 allowed");
    hs_json_doc_clear(&doc);
    hs_buf_clear(&text);
}

static void
the_number_of_members_is_limited(void **state)
{
    (void)state;
    for (unsigned extra = 0; extra < 2; extra++) {
        struct hs_buf text = {0};
        struct hs_json_doc doc = {0};
        hsmart_err err = {0};
        assert_int_equal(hs_buf_append_str(&text, "{\"x\":0", NULL), HSMART_OK);
        for (unsigned i = 1; i < HS_JSON_MAX_MEMBERS + extra; i++)
            assert_int_equal(hs_buf_append_format(&text, NULL, ",\"m%u\":%u", i, i), HSMART_OK);
        assert_int_equal(hs_buf_append_str(&text, "}", NULL), HSMART_OK);
        assert_int_equal(hs_json_parse(hs_span_buf(&text), &doc, &err),
                         extra == 0 ? HSMART_OK : HSMART_INPUT_MALFORMED);
        if (extra != 0)
            assert_string_equal(err.text, "an object has more than the 1024 members allowed");
        hs_json_doc_clear(&doc);
        hs_buf_clear(&text);
    }
}

static void
many_huge_integers_fit(void **state)
{
    (void)state;
    struct hs_buf text = {0};
    struct hs_json_doc doc = {0};

    assert_int_equal(hs_buf_append_str(&text, "[9223372036854775808", NULL), HSMART_OK);
    while (text.len < HS_JSON_MAX_LEN - 30)
        assert_int_equal(hs_buf_append_str(&text, ",9223372036854775808", NULL), HSMART_OK);
    assert_int_equal(hs_buf_append_str(&text, "]", NULL), HSMART_OK);
    assert_int_equal(hs_json_parse(hs_span_buf(&text), &doc, NULL), HSMART_OK);
    assert_int_equal(hs_json_type_of(hs_json_element(doc.root, hs_json_length(doc.root) - 1)), HS_JSON_NUMBER);
    hs_json_doc_clear(&doc);
    hs_buf_clear(&text);
}

static void
values_are_found_where_they_are_and_nowhere_else(void **state)
{
    (void)state;
    struct hs_json_doc doc = {0};

    assert_int_equal(hs_json_parse(span("{\"s\":\"a\\u0000b\",\"t\":\"x\",\"n\":null,\"i\":-7,\"d\":2.5,\"b\":true,"
                                        "\"l\":[null,1]}"),
                                   &doc, NULL),
                     HSMART_OK);
    assert_int_equal(hs_json_string(hs_json_member(doc.root, "s")).len, 3);
    assert_memory_equal(hs_json_string(hs_json_member(doc.root, "s")).data, "a\0b", 3);
    assert_null(hs_json_text(hs_json_member(doc.root, "s")));
    assert_string_equal(hs_json_text(hs_json_member(doc.root, "t")), "x");
    assert_int_equal(hs_json_type_of(hs_json_member(doc.root, "n")), HS_JSON_NULL);
    assert_int_equal(hs_json_type_of(hs_json_member(doc.root, "z")), HS_JSON_ABSENT);
    assert_int_equal(hs_json_integer(hs_json_member(doc.root, "i")), -7);
    assert_int_equal(hs_json_integer(hs_json_member(doc.root, "d")), 0);
    assert_true(hs_json_number(hs_json_member(doc.root, "d")) == 2.5);
    assert_true(hs_json_boolean(hs_json_member(doc.root, "b")));
    assert_false(hs_json_boolean(hs_json_member(doc.root, "i")));
    const hs_json_value *list = hs_json_member(doc.root, "l");
    assert_int_equal(hs_json_length(list), 2);
    assert_int_equal(hs_json_type_of(hs_json_element(list, 0)), HS_JSON_NULL);
    assert_int_equal(hs_json_integer(hs_json_element(list, 1)), 1);
    assert_null(hs_json_element(list, 2));
    assert_string_equal(hs_json_member_name(doc.root, 0), "s");
    assert_string_equal(hs_json_member_name(doc.root, 6), "l");
    assert_null(hs_json_member_name(doc.root, 7));
    hs_json_doc_clear(&doc);
}

static void
absent_and_null_values_are_accepted_everywhere(void **state)
{
    (void)state;
    struct hs_json_doc doc = {0};

    assert_int_equal(hs_json_parse(span("null"), &doc, NULL), HSMART_OK);
    const hs_json_value *const values[] = {NULL, doc.root};
    for (size_t i = 0; i < HS_ARRAY_LEN(values); i++) {
        assert_null(hs_json_member(values[i], "a"));
        assert_null(hs_json_element(values[i], 0));
        assert_int_equal(hs_json_length(values[i]), 0);
        assert_null(hs_json_member_name(values[i], 0));
        assert_int_equal(hs_json_string(values[i]).len, 0);
        assert_null(hs_json_text(values[i]));
        assert_int_equal(hs_json_integer(values[i]), 0);
        assert_true(hs_json_number(values[i]) == 0);
        assert_false(hs_json_boolean(values[i]));
        assert_string_equal(hs_json_type_words(values[i]), i == 0 ? "absent" : "null");
    }
    hs_json_doc_clear(&doc);
    hs_json_doc_clear(&doc);
}

/* ---- Writing ---- */

static struct written {
    const char *name, *text;
    size_t len;
    const char *json; /* NULL: refused */
} writtens[] = {
    {"nothing", "", 0, "\"\""},
    {"plain text", "abc /~", 0, "\"abc /~\""},
    {"quotes and backslashes", "a\"b\\", 0, "\"a\\\"b\\\\\""},
    {"control characters with a short form", "\b\f\n\r\t", 0, "\"\\b\\f\\n\\r\\t\""},
    {"control characters without one", "\x01\x1f", 0, "\"\\u0001\\u001f\""},
    {"a NUL", "a\0b", 3, "\"a\\u0000b\""},
    {"other scripts", "cl\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91.", 0, "\"cl\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91.\""},
    {"DEL", "\x7f", 0, "\"\x7f\""},
    {"Latin-1", "caf\xe9", 0, NULL},
    {"a character cut off", "abc\xe2\x82", 0, NULL},
    {"a character cut off by ASCII",
     "\xe2\x82"
     "abc",
     0, NULL},
    {"a surrogate", "\xed\xa0\x80", 0, NULL},
};

static struct written people[] = {
    {"a C1 control",
     "a\xc2\x9b"
     "b",
     0, "\"a\\u009bb\""},
    {"a bidirectional override between scripts", "\xc3\xa9\xe2\x80\xae\xe2\x82\xac", 0,
     "\"\xc3\xa9\\u202e\xe2\x82\xac\""},
    {"a bidirectional isolate", "\xe2\x81\xa6", 0, "\"\\u2066\""},
    {"a line separator at the end", "x\xe2\x80\xa8", 0, "\"x\\u2028\""},
    {"their neighbours", "\xc2\xa0\xe2\x80\xa7\xe2\x80\xaf", 0, "\"\xc2\xa0\xe2\x80\xa7\xe2\x80\xaf\""},
};

static void
what_a_terminal_acts_on_is_escaped_for_people(void **state)
{
    const struct written *row = *state;
    struct hs_buf out = {0};
    struct hs_json_writer writer = {.out = &out, .indent = true};
    struct hs_json_doc doc = {0};

    hs_json_put_span(&writer, text_of(row->text, row->len));
    assert_int_equal(hs_json_writer_finish(&writer, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&out), row->json);
    assert_int_equal(hs_json_parse(hs_span_buf(&out), &doc, NULL), HSMART_OK);
    assert_string_equal(hs_json_text(doc.root), row->text);
    hs_json_doc_clear(&doc);
    hs_buf_clear(&out);
}

static void
a_string_is_written_and_reads_back_the_same(void **state)
{
    const struct written *row = *state;
    struct hs_buf out = {0};
    struct hs_json_writer writer = {.out = &out};
    struct hs_json_doc doc = {0};
    hsmart_err err = {0};
    struct hs_span text = text_of(row->text, row->len);

    hs_json_put_span(&writer, text);
    if (row->json == NULL) {
        assert_int_equal(hs_json_writer_finish(&writer, &err), HSMART_INVALID_ARGUMENT);
        assert_memory_equal(err.text, "a text is not UTF-8", strlen("a text is not UTF-8"));
    } else {
        assert_int_equal(hs_json_writer_finish(&writer, &err), HSMART_OK);
        assert_string_equal(hs_buf_text(&out), row->json);
        assert_int_equal(hs_json_parse(hs_span_buf(&out), &doc, NULL), HSMART_OK);
        assert_true(hs_span_equal(hs_json_string(doc.root), text));
    }
    hs_json_doc_clear(&doc);
    hs_buf_clear(&out);
}

/* Strings are looked at eight bytes at a time: none may be overlooked, wherever it stands, with room in the buffer
 * and without. */
static void
every_character_at_every_place_survives(void **state)
{
    char text[20];

    (void)state;
    for (unsigned c = 1; c < 0x80; c++) {
        for (size_t at = 0; at < sizeof text - 1; at++) {
            struct hs_buf with_room = {0}, without = {0};
            memset(text, 'x', sizeof text - 1);
            text[sizeof text - 1] = '\0';
            text[at] = (char)c;
            assert_int_equal(hs_buf_reserve(&with_room, 200, NULL), HSMART_OK);
            struct hs_buf *const outs[] = {&with_room, &without};
            for (size_t i = 0; i < HS_ARRAY_LEN(outs); i++) {
                struct hs_json_writer writer = {.out = outs[i]};
                struct hs_json_doc doc = {0};
                hs_json_put_text(&writer, text);
                assert_int_equal(hs_json_writer_finish(&writer, NULL), HSMART_OK);
                assert_int_equal(hs_json_parse(hs_span_buf(outs[i]), &doc, NULL), HSMART_OK);
                assert_string_equal(hs_json_text(doc.root), text);
                hs_json_doc_clear(&doc);
            }
            hs_buf_clear(&with_room);
            hs_buf_clear(&without);
        }
    }
}

static void
put_sample(struct hs_json_writer *writer)
{
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "z", "last letter first");
    hs_json_member_integer(writer, "least", INT64_MIN);
    hs_json_member_integer(writer, "greatest", INT64_MAX);
    hs_json_member_integer(writer, "none", 0);
    hs_json_member_boolean(writer, "yes", true);
    hs_json_member_text(writer, "nothing", NULL);
    hs_json_name(writer, "list");
    hs_json_begin_array(writer);
    hs_json_begin_object(writer);
    hs_json_end_object(writer);
    hs_json_put_integer(writer, -1);
    hs_json_put_boolean(writer, false);
    hs_json_put_raw(writer, hs_span_str("[1]"));
    hs_json_end_array(writer);
    hs_json_name(writer, "second");
    hs_json_begin_array(writer);
    hs_json_put_integer(writer, 2);
    hs_json_end_array(writer);
    hs_json_name(writer, "empty");
    hs_json_begin_array(writer);
    hs_json_end_array(writer);
    hs_json_end_object(writer);
}

static void
members_are_written_in_the_order_they_are_put(void **state)
{
    (void)state;
    struct hs_buf out = {0};
    struct hs_json_writer writer = {.out = &out};

    put_sample(&writer);
    assert_int_equal(hs_json_writer_finish(&writer, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&out), "{\"z\":\"last letter first\",\"least\":-9223372036854775808,"
                                           "\"greatest\":9223372036854775807,\"none\":0,\"yes\":true,\"nothing\":null,"
                                           "\"list\":[{},-1,false,[1]],\"second\":[2],\"empty\":[]}");
    hs_buf_clear(&out);
}

static void
indented_json_has_two_spaces_a_level(void **state)
{
    (void)state;
    struct hs_buf out = {0};
    struct hs_json_writer writer = {.out = &out, .indent = true};

    hs_json_begin_object(&writer);
    hs_json_member_integer(&writer, "a", 1);
    hs_json_name(&writer, "b");
    hs_json_begin_array(&writer);
    hs_json_put_text(&writer, "x");
    hs_json_begin_object(&writer);
    hs_json_end_object(&writer);
    hs_json_end_array(&writer);
    hs_json_end_object(&writer);
    assert_int_equal(hs_json_writer_finish(&writer, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&out), "{\n  \"a\": 1,\n  \"b\": [\n    \"x\",\n    {}\n  ]\n}");
    hs_buf_clear(&out);
}

static void
what_is_left_open_is_a_defect(void **state)
{
    (void)state;
    struct hs_buf out = {0};
    struct hs_json_writer open = {.out = &out}, named = {.out = &out}, closed = {.out = &out}, deep = {.out = &out};

    hs_json_begin_object(&open);
    assert_int_equal(hs_json_writer_finish(&open, NULL), HSMART_INTERNAL);
    hs_json_name(&named, "a");
    assert_int_equal(hs_json_writer_finish(&named, NULL), HSMART_INTERNAL);
    hs_json_end_array(&closed);
    assert_int_equal(hs_json_writer_finish(&closed, NULL), HSMART_INTERNAL);
    for (int i = 0; i < 100; i++)
        hs_json_begin_array(&deep);
    assert_int_equal(hs_json_writer_finish(&deep, NULL), HSMART_INTERNAL);
    hs_buf_clear(&out);
}

static void
the_first_failure_is_kept(void **state)
{
    (void)state;
    struct hs_buf out = {.max_len = 20};
    struct hs_json_writer writer = {.out = &out};
    hsmart_err err = {0};

    hs_json_begin_array(&writer);
    hs_json_put_text(&writer, "\xff");
    for (int i = 0; i < 10; i++)
        hs_json_put_text(&writer, "too much for the buffer");
    assert_int_equal(hs_json_writer_finish(&writer, &err), HSMART_INVALID_ARGUMENT);
    assert_string_equal(err.text, "a text is not UTF-8 (at its byte 0)");
    hs_buf_clear(&out);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, json_is_read, goods);
    ADD_ROWS(&rows, what_is_not_json_is_refused_with_the_place, bads);
    ADD_TEST(&rows, a_document_cut_off_anywhere_is_refused);
    ADD_TEST(&rows, depth_is_limited);
    ADD_TEST(&rows, length_is_limited);
    ADD_TEST(&rows, the_number_of_members_is_limited);
    ADD_TEST(&rows, many_huge_integers_fit);
    ADD_TEST(&rows, values_are_found_where_they_are_and_nowhere_else);
    ADD_TEST(&rows, absent_and_null_values_are_accepted_everywhere);
    ADD_ROWS(&rows, a_string_is_written_and_reads_back_the_same, writtens);
    ADD_ROWS(&rows, what_a_terminal_acts_on_is_escaped_for_people, people);
    ADD_TEST(&rows, members_are_written_in_the_order_they_are_put);
    ADD_TEST(&rows, indented_json_has_two_spaces_a_level);
    ADD_TEST(&rows, what_is_left_open_is_a_defect);
    ADD_TEST(&rows, every_character_at_every_place_survives);
    ADD_TEST(&rows, the_first_failure_is_kept);
    return rows_run("json", &rows);
}
