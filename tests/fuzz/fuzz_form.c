/* Forms: what decodes, survives encoding and decoding again; walking ends. */
#include "form.h"
#include "fuzz.h"

static void
require_same_again(struct hs_span encoded)
{
    struct hs_buf value = {0}, text = {0}, again = {0};
    hsmart_err err = {0};

    enum hsmart_code code = hs_form_decode(encoded, &value, &err);
    fuzz_require_story(code, &err);
    if (code == HSMART_OK) {
        FUZZ_REQUIRE(value.len <= encoded.len);
        FUZZ_REQUIRE(hs_form_encode(&text, hs_span_buf(&value), &err) == HSMART_OK);
        FUZZ_REQUIRE(hs_form_decode(hs_span_buf(&text), &again, &err) == HSMART_OK);
        FUZZ_REQUIRE(hs_span_equal(hs_span_buf(&value), hs_span_buf(&again)));
    }
    hs_buf_clear(&value);
    hs_buf_clear(&text);
    hs_buf_clear(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hs_span rest = {data, len}, name, value;
    size_t count = 0;

    while (hs_form_next(&rest, &name, &value)) {
        FUZZ_REQUIRE(++count <= len + 1);
        require_same_again(name);
        require_same_again(value);
    }
    return 0;
}
