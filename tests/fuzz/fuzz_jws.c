/* A compact JWS: taken apart, never trusted; what parses also splits. */
#include "fuzz.h"
#include "jws.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hs_span text = {data, len};
    struct hs_jws split = {0}, parsed = {0};
    hsmart_err err = {0};

    enum hsmart_code split_code = hs_jws_split(text, &split, &err);
    fuzz_require_story(split_code, &err);
    enum hsmart_code parse_code = hs_jws_parse(text, &parsed, &err);
    fuzz_require_story(parse_code, &err);
    if (parse_code == HSMART_OK) {
        FUZZ_REQUIRE(split_code == HSMART_OK);
        FUZZ_REQUIRE(hs_json_type_of(parsed.header.root) == HS_JSON_OBJECT);
        FUZZ_REQUIRE(hs_json_type_of(parsed.payload.root) == HS_JSON_OBJECT);
        FUZZ_REQUIRE(hs_span_equal(hs_span_buf(&split.signature), hs_span_buf(&parsed.signature)));
    }
    if (split_code == HSMART_OK)
        FUZZ_REQUIRE(split.signing_input.len < len);
    hs_jws_clear(&split);
    hs_jws_clear(&parsed);
    return 0;
}
