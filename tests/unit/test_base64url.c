#include "rows.h"

#include "base64url.h"
#include "vectors.h"

static struct pair {
    const char *name, *bytes;
    size_t len;
    const char *text;
} pairs[] = {
    {"nothing", "", 0, ""},
    {"one byte", "f", 1, "Zg"},
    {"two bytes", "fo", 2, "Zm8"},
    {"three bytes", "foo", 3, "Zm9v"},
    {"four bytes", "foob", 4, "Zm9vYg"},
    {"NUL bytes", "\0\0\0\0", 4, "AAAAAA"},
    {"the two characters that plain base64 has not", "\xfb\xff\xbf", 3, "-_-_"},
    {"the public exponent 65537", "\x01\x00\x01", 3, "AQAB"},
};

static void
bytes_and_text_turn_into_each_other(void **state)
{
    const struct pair *row = *state;
    struct hs_buf text = {0}, bytes = {0};

    assert_int_equal(hs_base64url_append(&text, (struct hs_span){(const uint8_t *)row->bytes, row->len}, NULL),
                     HSMART_OK);
    assert_string_equal(hs_buf_text(&text), row->text);
    assert_int_equal(hs_base64url_len(row->len), strlen(row->text));
    assert_int_equal(hs_base64url_decode(span(row->text), &bytes, NULL), HSMART_OK);
    assert_int_equal(bytes.len, row->len);
    assert_memory_equal(hs_buf_text(&bytes), row->bytes, row->len);
    hs_buf_clear(&text);
    hs_buf_clear(&bytes);
}

static struct refusal {
    const char *name, *text, *reason;
} refusals[] = {
    {"padding", "Zg==", "the base64url is padded with \"=\" at byte 2"},
    {"padding alone", "=", "the base64url is padded with \"=\" at byte 0"},
    {"a slash", "A-z/4ME", "\"/\" at byte 3 belongs to plain base64, not to base64url"},
    {"a plus sign", "A+z_4ME", "\"+\" at byte 1 belongs to plain base64, not to base64url"},
    {"a line feed at the end", "A-z_4M\n", "the byte 0x0a at byte 6 does not belong to base64url"},
    {"a space within", "Zm 9v", "the byte 0x20 at byte 2 does not belong to base64url"},
    {"a byte above ASCII", "Zm\xc3\xa9", "the byte 0xc3 at byte 2 does not belong to base64url"},
    {"another character", "Zm9v!", "\"!\" at byte 4 does not belong to base64url"},
    {"one character too many", "Zm9vZ", "5 characters cannot be base64url: the last one is cut off"},
    {"unused bits after one byte", "Zh", "the unused bits of the last base64url character are not zero"},
    {"unused bits after two bytes", "Zm9", "the unused bits of the last base64url character are not zero"},
};

static void
what_is_not_clean_is_refused(void **state)
{
    const struct refusal *row = *state;
    struct hs_buf bytes = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_base64url_decode(span(row->text), &bytes, &err), HSMART_INPUT_MALFORMED);
    assert_string_equal(err.text, row->reason);
    assert_null(bytes.data);
}

static void
a_nul_byte_is_refused(void **state)
{
    (void)state;
    struct hs_buf bytes = {0};

    assert_int_equal(hs_base64url_decode((struct hs_span){(const uint8_t *)"Zm\0v", 4}, &bytes, NULL),
                     HSMART_INPUT_MALFORMED);
}

static void
every_length_survives_the_way_there_and_back(void **state)
{
    (void)state;
    uint8_t bytes[130];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 5);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        struct hs_buf text = {0}, back = {0};
        assert_int_equal(hs_base64url_append(&text, (struct hs_span){bytes, len}, NULL), HSMART_OK);
        assert_int_equal(text.len, hs_base64url_len(len));
        assert_int_equal(hs_base64url_decode(hs_span_buf(&text), &back, NULL), HSMART_OK);
        assert_true(hs_span_equal(hs_span_buf(&back), (struct hs_span){bytes, len}));
        hs_buf_clear(&text);
        hs_buf_clear(&back);
    }
}

static void
encoding_appends_and_decoding_replaces(void **state)
{
    (void)state;
    struct hs_buf text = {0}, bytes = {0};

    assert_int_equal(hs_buf_append_str(&text, "x.", NULL), HSMART_OK);
    assert_int_equal(hs_base64url_append(&text, span("foo"), NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&text), "x.Zm9v");
    assert_int_equal(hs_buf_append_str(&bytes, "old", NULL), HSMART_OK);
    assert_int_equal(hs_base64url_decode(span("Zg"), &bytes, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&bytes), "f");
    hs_buf_clear(&text);
    hs_buf_clear(&bytes);
}

static void
the_published_vectors_hold(void **state)
{
    (void)state;
    struct hs_json_doc doc = {0};

    vectors_load("rfc/base64url.json", &doc);
    const hs_json_value *vectors = hs_json_member(doc.root, "vectors"), *rejects = hs_json_member(doc.root, "reject");
    assert_true(hs_json_length(vectors) >= 8);
    for (size_t i = 0; i < hs_json_length(vectors); i++) {
        const hs_json_value *vector = hs_json_element(vectors, i);
        struct hs_buf expected = {0}, bytes = {0}, text = {0};
        vector_hex(vector, "hex", &expected);
        assert_int_equal(hs_base64url_decode(span(vector_text(vector, "b64url")), &bytes, NULL), HSMART_OK);
        assert_true(hs_span_equal(hs_span_buf(&bytes), hs_span_buf(&expected)));
        assert_int_equal(hs_base64url_append(&text, hs_span_buf(&expected), NULL), HSMART_OK);
        assert_string_equal(hs_buf_text(&text), vector_text(vector, "b64url"));
        hs_buf_clear(&expected);
        hs_buf_clear(&bytes);
        hs_buf_clear(&text);
    }
    assert_true(hs_json_length(rejects) >= 7);
    for (size_t i = 0; i < hs_json_length(rejects); i++) {
        struct hs_buf bytes = {0};
        assert_int_equal(hs_base64url_decode(hs_json_string(hs_json_element(rejects, i)), &bytes, NULL),
                         HSMART_INPUT_MALFORMED);
    }
    hs_json_doc_clear(&doc);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, bytes_and_text_turn_into_each_other, pairs);
    ADD_ROWS(&rows, what_is_not_clean_is_refused, refusals);
    ADD_TEST(&rows, a_nul_byte_is_refused);
    ADD_TEST(&rows, every_length_survives_the_way_there_and_back);
    ADD_TEST(&rows, encoding_appends_and_decoding_replaces);
    ADD_TEST(&rows, the_published_vectors_hold);
    return rows_run("base64url", &rows);
}
