#include "rows.h"

#include "form.h"
#include "vectors.h"

/* ---- One component ---- */

static struct pair {
    const char *name, *bytes, *text;
} pairs[] = {
    {"nothing", "", ""},
    {"what stays as it is", "azAZ09-._*", "azAZ09-._*"},
    {"a space becomes a plus sign", "a b", "a+b"},
    {"a plus sign is escaped", "a+b", "a%2Bb"},
    {"a tilde is escaped, as browsers do", "~", "%7E"},
    {"separators", "a=b&c%d", "a%3Db%26c%25d"},
    {"a URN", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
     "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"},
    {"RFC 6749 appendix B", " %&+\xc2\xa3\xe2\x82\xac", "+%25%26%2B%C2%A3%E2%82%AC"},
    {"a scope", "system/*.rs system/Patient.read", "system%2F*.rs+system%2FPatient.read"},
    {"bytes that are no text", "\x01\x7f\xff", "%01%7F%FF"},
};

static void
bytes_and_text_turn_into_each_other(void **state)
{
    const struct pair *row = *state;
    struct hs_buf text = {0}, bytes = {0};

    assert_int_equal(hs_form_encode(&text, span(row->bytes), NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&text), row->text);
    assert_int_equal(hs_form_decode(hs_span_buf(&text), &bytes, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&bytes), row->bytes);
    hs_buf_clear(&text);
    hs_buf_clear(&bytes);
}

static struct pair decodings[] = {
    {"lower-case escapes", "/", "%2f"},
    {"an escaped asterisk", "system/*.rs", "system%2F%2A.rs"},
    {"an escape at the end", "a ", "a%20"},
};

static void
what_others_write_is_read(void **state)
{
    const struct pair *row = *state;
    struct hs_buf bytes = {0};

    assert_int_equal(hs_form_decode(span(row->text), &bytes, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&bytes), row->bytes);
    hs_buf_clear(&bytes);
}

static struct bad_escape {
    const char *name, *text, *reason;
} bad_escapes[] = {
    {"a percent sign alone", "%", "the percent escape at byte 0 is not one"},
    {"an escape that is cut off", "ab%4", "the percent escape at byte 2 is not one"},
    {"an escape that is not hex", "%zz", "the percent escape at byte 0 is not one"},
    {"an escape whose second digit is not hex", "%4g%41", "the percent escape at byte 0 is not one"},
};

static void
a_bad_escape_is_refused(void **state)
{
    const struct bad_escape *row = *state;
    struct hs_buf bytes = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_form_decode(span(row->text), &bytes, &err), HSMART_INPUT_MALFORMED);
    assert_string_equal(err.text, row->reason);
    assert_null(bytes.data);
}

static void
a_nul_byte_survives(void **state)
{
    (void)state;
    struct hs_buf text = {0}, bytes = {0};

    assert_int_equal(hs_form_encode(&text, (struct hs_span){(const uint8_t *)"a\0b", 3}, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&text), "a%00b");
    assert_int_equal(hs_form_decode(hs_span_buf(&text), &bytes, NULL), HSMART_OK);
    assert_int_equal(bytes.len, 3);
    assert_memory_equal(bytes.data, "a\0b", 3);
    hs_buf_clear(&text);
    hs_buf_clear(&bytes);
}

/* ---- A whole form ---- */

static void
parameters_are_joined(void **state)
{
    (void)state;
    struct hs_buf form = {0};

    assert_int_equal(hs_form_append(&form, "grant_type", span("client_credentials"), NULL), HSMART_OK);
    assert_int_equal(hs_form_append(&form, "scope", span("a/b c"), NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&form), "grant_type=client_credentials&scope=a%2Fb+c");
    hs_buf_clear(&form);
}

static void
an_empty_value_is_refused_and_the_form_stays(void **state)
{
    (void)state;
    struct hs_buf form = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_form_append(&form, "a", span("b"), NULL), HSMART_OK);
    assert_int_equal(hs_form_append(&form, "scope", span(""), &err), HSMART_INVALID_ARGUMENT);
    assert_string_equal(err.text, "the parameter \"scope\" is empty");
    assert_string_equal(hs_buf_text(&form), "a=b");
    hs_buf_clear(&form);
}

static void
a_form_that_is_full_keeps_what_it_has(void **state)
{
    (void)state;
    struct hs_buf form = {.max_len = 12};

    assert_int_equal(hs_form_append(&form, "a", span("b"), NULL), HSMART_OK);
    assert_int_equal(hs_form_append(&form, "long", span("123456789"), NULL), HSMART_INPUT_MALFORMED);
    assert_string_equal(hs_buf_text(&form), "a=b");
    hs_buf_clear(&form);
}

static void
a_client_id_of_16_kib_survives(void **state)
{
    (void)state;
    struct hs_buf id = {0}, form = {0}, back = {0};
    struct hs_span rest, name, value;

    assert_int_equal(hs_buf_resize(&id, 16384, NULL), HSMART_OK);
    for (size_t i = 0; i < id.len; i++)
        id.data[i] = (uint8_t)("aZ+/=&% \"\\"[i % 10]);
    assert_int_equal(hs_form_append(&form, "client_id", hs_span_buf(&id), NULL), HSMART_OK);
    rest = hs_span_buf(&form);
    assert_true(hs_form_next(&rest, &name, &value));
    assert_int_equal(hs_form_decode(value, &back, NULL), HSMART_OK);
    assert_true(hs_span_equal(hs_span_buf(&back), hs_span_buf(&id)));
    hs_buf_clear(&id);
    hs_buf_clear(&form);
    hs_buf_clear(&back);
}

static struct walk {
    const char *name, *form, *told;
} walks[] = {
    {"an empty form", "", ""},
    {"one parameter", "a=b", "[a|b]"},
    {"two parameters", "a=b&c=d", "[a|b][c|d]"},
    {"no equals sign", "a&b", "[a|][b|]"},
    {"an empty value", "a=&b=c", "[a|][b|c]"},
    {"an equals sign in the value", "a=b=c", "[a|b=c]"},
    {"an empty name", "=b", "[|b]"},
    {"empty pieces are skipped", "&&a=b&&", "[a|b]"},
    {"values stay encoded", "a%26=%3D+", "[a%26|%3D+]"},
};

static void
a_form_is_walked(void **state)
{
    const struct walk *row = *state;
    struct hs_span rest = span(row->form), name, value;
    struct hs_buf told = {0};

    while (hs_form_next(&rest, &name, &value))
        assert_int_equal(hs_buf_append_format(&told, NULL, "[%.*s|%.*s]", (int)name.len, (const char *)name.data,
                                              (int)value.len, (const char *)value.data),
                         HSMART_OK);
    assert_string_equal(hs_buf_text(&told), row->told);
    hs_buf_clear(&told);
}

/* ---- HTTP Basic ---- */

static struct basic {
    const char *name, *id, *secret;
    enum hs_basic_form form;
    const char *header;
    bool differs;
} basics[] = {
    {"RFC 6749 section 2.3.1", "s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw", HS_BASIC_FORM_ENCODED,
     "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3", false},
    {"the same, raw", "s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw", HS_BASIC_RAW,
     "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3", false},
    {"RFC 7617 section 2", "Aladdin", "open sesame", HS_BASIC_RAW, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", true},
    {"a secret with an exclamation mark, encoded", "id", "a!", HS_BASIC_FORM_ENCODED, "Basic aWQ6YSUyMQ==", true},
    {"a secret with an exclamation mark, raw", "id", "a!", HS_BASIC_RAW, "Basic aWQ6YSE=", true},
    {"a colon in the id, encoded", "a:b", "c", HS_BASIC_FORM_ENCODED, "Basic YSUzQWI6Yw==", true},
    {"the characters that base64url has not", "\xfb\xff\xbf", "\xff\xff", HS_BASIC_RAW, "Basic +/+/Ov//", true},
};

static void
a_basic_header_is_made(void **state)
{
    const struct basic *row = *state;
    struct hs_buf header = {0};
    bool differs = !row->differs;

    assert_int_equal(hs_basic_header(span(row->id), span(row->secret), row->form, &header, &differs, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&header), row->header);
    assert_int_equal(differs, row->differs);
    hs_buf_clear(&header);
}

static struct basic_refusal {
    const char *name, *id, *secret;
    enum hs_basic_form form;
    const char *reason;
} basic_refusals[] = {
    {"a colon in a raw id", "a:b", "c", HS_BASIC_RAW,
     "a client id with a colon cannot be sent in a raw HTTP Basic header"},
    {"a line feed in a raw secret", "a", "b\n", HS_BASIC_RAW,
     "a client id or secret with control characters cannot be sent in a raw HTTP Basic header"},
    {"no id", "", "c", HS_BASIC_FORM_ENCODED, "the client id is empty"},
    {"no secret", "a", "", HS_BASIC_FORM_ENCODED, "the client secret is empty"},
};

static void
what_no_header_can_hold_is_refused(void **state)
{
    const struct basic_refusal *row = *state;
    struct hs_buf header = {0};
    bool differs = false;
    hsmart_err err = {0};

    assert_int_equal(hs_basic_header(span(row->id), span(row->secret), row->form, &header, &differs, &err),
                     HSMART_INVALID_ARGUMENT);
    assert_string_equal(err.text, row->reason);
    assert_null(header.data);
}

static void
published_vectors_are_met(void **state)
{
    (void)state;
    struct hs_json_doc doc = {0};

    vectors_load("rfc/basic-auth.json", &doc);
    const hs_json_value *vectors = hs_json_member(doc.root, "vectors");
    assert_true(hs_json_length(vectors) >= 5);
    for (size_t i = 0; i < hs_json_length(vectors); i++) {
        const hs_json_value *vector = hs_json_element(vectors, i);
        struct hs_span id = span(vector_text(vector, "client_id")), secret = span(vector_text(vector, "client_secret"));
        struct hs_buf header = {0}, encoded = {0};

        assert_int_equal(hs_basic_header(id, secret, HS_BASIC_FORM_ENCODED, &header, NULL, NULL), HSMART_OK);
        assert_string_equal(hs_buf_text(&header), vector_text(vector, "header_rfc6749"));
        if (strchr((const char *)id.data, ':') == NULL) {
            assert_int_equal(hs_basic_header(id, secret, HS_BASIC_RAW, &header, NULL, NULL), HSMART_OK);
            assert_string_equal(hs_buf_text(&header), vector_text(vector, "header_raw"));
        }
        assert_int_equal(hs_form_encode(&encoded, id, NULL), HSMART_OK);
        assert_string_equal(hs_buf_text(&encoded), vector_text(vector, "form_encoded_id"));
        hs_buf_clear(&header);
        hs_buf_clear(&encoded);
    }
    const hs_json_value *encodings = hs_json_member(doc.root, "form_urlencode");
    for (size_t i = 0; i < hs_json_length(encodings); i++) {
        const hs_json_value *vector = hs_json_element(encodings, i);
        struct hs_buf encoded = {0};
        assert_int_equal(hs_form_encode(&encoded, span(vector_text(vector, "in")), NULL), HSMART_OK);
        assert_string_equal(hs_buf_text(&encoded), vector_text(vector, "out"));
        hs_buf_clear(&encoded);
    }
    hs_json_doc_clear(&doc);
}

int
main(void)
{
    struct rows rows = {0};

    ADD_ROWS(&rows, bytes_and_text_turn_into_each_other, pairs);
    ADD_ROWS(&rows, what_others_write_is_read, decodings);
    ADD_ROWS(&rows, a_bad_escape_is_refused, bad_escapes);
    ADD_TEST(&rows, a_nul_byte_survives);
    ADD_TEST(&rows, parameters_are_joined);
    ADD_TEST(&rows, an_empty_value_is_refused_and_the_form_stays);
    ADD_TEST(&rows, a_form_that_is_full_keeps_what_it_has);
    ADD_TEST(&rows, a_client_id_of_16_kib_survives);
    ADD_ROWS(&rows, a_form_is_walked, walks);
    ADD_ROWS(&rows, a_basic_header_is_made, basics);
    ADD_ROWS(&rows, what_no_header_can_hold_is_refused, basic_refusals);
    ADD_TEST(&rows, published_vectors_are_met);
    return rows_run("form", &rows);
}
