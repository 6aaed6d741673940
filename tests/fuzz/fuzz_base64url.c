/* base64url: what decodes, encodes to the same text again. */
#include "base64url.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hs_span text = {data, len};
    struct hs_buf bytes = {0}, again = {0};
    hsmart_err err = {0};

    enum hsmart_code code = hs_base64url_decode(text, &bytes, &err);
    fuzz_require_story(code, &err);
    if (code == HSMART_OK) {
        FUZZ_REQUIRE(hs_base64url_append(&again, hs_span_buf(&bytes), &err) == HSMART_OK);
        FUZZ_REQUIRE(hs_span_equal(hs_span_buf(&again), text));
        FUZZ_REQUIRE(hs_base64url_len(bytes.len) == len);
    }
    /* And any bytes at all survive the way there and back. */
    hs_buf_clear(&again);
    hs_buf_clear(&bytes);
    FUZZ_REQUIRE(hs_base64url_append(&again, text, &err) == HSMART_OK);
    FUZZ_REQUIRE(hs_base64url_decode(hs_span_buf(&again), &bytes, &err) == HSMART_OK);
    FUZZ_REQUIRE(hs_span_equal(hs_span_buf(&bytes), text));
    hs_buf_clear(&again);
    hs_buf_clear(&bytes);
    return 0;
}
