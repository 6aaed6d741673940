/* A ceremony's record: verifying and showing it stands whatever it says; what is taken for a record has one form. */
#include "fuzz.h"
#include "record_html.h"
#include "record_verify.h"

static void
hear(void *arg, enum hs_record_verdict verdict, const char *check, const char *line)
{
    (void)arg;
    (void)verdict;
    FUZZ_REQUIRE(check[0] != 0 && line[0] != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hs_record record = {0};
    struct hs_record_expectation expectation = {.jwks = {data, len}, .trust = "x", .previous = &record};
    struct hs_buf page = {0};
    hsmart_err err = {0};
    size_t bad_count = 0;

    if (hs_record_parse((struct hs_span){data, len}, "record", &record, &err) != HSMART_OK) {
        FUZZ_REQUIRE(err.text[0] != 0);
        return 0;
    }
    FUZZ_REQUIRE(data[len - 1] == '\n');
    FUZZ_REQUIRE(hs_record_verify(&record, &expectation, hear, NULL, &bad_count, &err) == HSMART_OK);
    FUZZ_REQUIRE(bad_count > 0); /* it is not chained to itself */
    FUZZ_REQUIRE(hs_record_html(&record, &page, &bad_count, &err) == HSMART_OK);
    FUZZ_REQUIRE(strstr(hs_buf_text(&page), "<script") == NULL);
    hs_buf_clear(&page);
    hs_record_clear(&record);
    return 0;
}
