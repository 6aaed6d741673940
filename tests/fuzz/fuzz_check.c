/* The checks: the first byte chooses between a JWKS, a token request and an assertion, which is held against the JWKS on
 * its second line. Whatever comes in, a report comes out. */
#include "check.h"
#include "fuzz.h"

static void
require_report(const struct hs_report *report)
{
    FUZZ_REQUIRE(report->error_count + report->warning_count == report->count);
    for (size_t i = 0; i < report->count; i++) {
        FUZZ_REQUIRE(report->findings[i].rule != NULL && report->findings[i].text[0] != '\0');
        fuzz_require_line(report->findings[i].text, 65536);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hs_report report = {0};

    if (len < 1)
        return 0;
    struct hs_span rest = {data + 1, len - 1};
    if (data[0] == 'k') {
        FUZZ_REQUIRE(hs_check_jwks(rest, NULL, &report, NULL) == HSMART_OK);
    } else if (data[0] == 'r') {
        const struct hs_request_expectation expectation = {.token_url = "https://ehr.example/oauth2/token",
                                                           .assertion = {.now_s = 1700000000}};
        struct hs_request request = {0};
        FUZZ_REQUIRE(hs_request_parse(rest, &request, NULL) == HSMART_OK);
        FUZZ_REQUIRE(hs_check_request(&request, &expectation, &report, NULL) == HSMART_OK);
        hs_request_clear(&request);
    } else {
        char *assertion = fuzz_take_line(&rest, '\n');
        const struct hs_assertion_expectation expectation = {.jwks = rest,
                                                             .audience = "https://ehr.example/oauth2/token",
                                                             .client_id = "hsmart-test-client",
                                                             .now_s = 1700000000};
        FUZZ_REQUIRE(hs_check_assertion(hs_span_str(assertion), &expectation, &report, NULL) == HSMART_OK);
        hs_string_free(assertion);
    }
    require_report(&report);
    hs_report_clear(&report);
    return 0;
}
