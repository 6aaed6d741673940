/* Retry-After, Cache-Control, Expires and Date of an answer, and the input as a date by itself. */
#include "fuzz.h"
#include "fuzz_answer.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hs_http_response response = fuzz_answer(429, (struct hs_span){data, len});
    int64_t time_s = 0, skew_s = 0;

    FUZZ_REQUIRE(hs_http_retry_after_s(&response) >= -1);
    FUZZ_REQUIRE(hs_http_cache_life_s(&response) >= -1);
    (void)hs_http_clock_skew_s(&response, &skew_s);
    (void)hs_http_parse_date((struct hs_span){data, len}, &time_s);
    struct hs_span type = hs_http_header_of(&response, "content-type");
    FUZZ_REQUIRE(type.len <= response.headers.len);
    hs_http_response_clear(&response);
    return 0;
}
