/* JSON: what is read can be written, and reads the same again. */
#include "fuzz.h"
#include "json.h"

static void
put_value(struct hs_json_writer *writer, const hs_json_value *value)
{
    const char *name;

    switch (hs_json_type_of(value)) {
    case HS_JSON_ABSENT:
    case HS_JSON_NULL:
        hs_json_put_null(writer);
        break;
    case HS_JSON_BOOLEAN:
        hs_json_put_boolean(writer, hs_json_boolean(value));
        break;
    case HS_JSON_INTEGER:
        hs_json_put_integer(writer, hs_json_integer(value));
        break;
    case HS_JSON_NUMBER: /* the writer has no fractions on purpose: nothing that hsmart sends has any */
        (void)hs_json_number(value);
        hs_json_put_integer(writer, 0);
        break;
    case HS_JSON_STRING:
        hs_json_put_span(writer, hs_json_string(value));
        break;
    case HS_JSON_ARRAY:
        hs_json_begin_array(writer);
        for (size_t i = 0; i < hs_json_length(value); i++)
            put_value(writer, hs_json_element(value, i));
        hs_json_end_array(writer);
        break;
    case HS_JSON_OBJECT:
        hs_json_begin_object(writer);
        for (size_t i = 0; (name = hs_json_member_name(value, i)) != NULL; i++) {
            hs_json_name(writer, name);
            put_value(writer, hs_json_member(value, name));
        }
        hs_json_end_object(writer);
        break;
    }
}

static void
write_document(const struct hs_json_doc *doc, struct hs_buf *out)
{
    struct hs_json_writer writer = {.out = out};
    hsmart_err err = {0};

    put_value(&writer, doc->root);
    enum hsmart_code code = hs_json_writer_finish(&writer, &err);
    if (code != HSMART_OK)
        (void)fprintf(stderr, "writer: %s\n", err.text);
    FUZZ_REQUIRE(code == HSMART_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hs_json_doc doc = {0}, again = {0};
    struct hs_buf first = {.max_len = 16U << 20}, second = {.max_len = 16U << 20};
    hsmart_err err = {0};

    enum hsmart_code code = hs_json_parse((struct hs_span){data, len}, &doc, &err);
    fuzz_require_story(code, &err);
    if (code == HSMART_OK) {
        write_document(&doc, &first);
        if (first.len <= HS_JSON_MAX_LEN) { /* escapes can make it longer than what may be read */
            FUZZ_REQUIRE(hs_json_parse(hs_span_buf(&first), &again, &err) == HSMART_OK);
            write_document(&again, &second);
            FUZZ_REQUIRE(hs_span_equal(hs_span_buf(&first), hs_span_buf(&second)));
        }
    }
    hs_json_doc_clear(&doc);
    hs_json_doc_clear(&again);
    hs_buf_clear(&first);
    hs_buf_clear(&second);
    return 0;
}
