/* The checks: the first byte chooses between a JWKS, one with the headers that its URL answered with, a token request
 * and an assertion, which is held against the JWKS on its second line. Whatever comes in, a report comes out. */
#include "check.h"
#include "fuzz.h"

#define TOKEN_URL "https://ehr.example/oauth2/token"

static void
require_report(const struct hs_report *report)
{
    FUZZ_REQUIRE(report->error_count + report->warning_count == report->count);
    for (size_t i = 0; i < report->count; i++) {
        FUZZ_REQUIRE(report->findings[i].rule != NULL && report->findings[i].text[0] != '\0');
        fuzz_require_line(report->findings[i].text, 65536);
    }
}

static void
check_jwks(struct hs_span text, struct hs_report *report)
{
    FUZZ_REQUIRE(hs_check_jwks(text, NULL, report, NULL) == HSMART_OK);
}

/* Lines: status, URL, Content-Type, Cache-Control, Location; then the body. */
static void
check_served(struct hs_span text, struct hs_report *report)
{
    char *lines[5];

    for (size_t i = 0; i < HS_ARRAY_LEN(lines); i++)
        lines[i] = fuzz_take_line(&text, '\n');
    const struct hs_served served = {.url = lines[1],
                                     .status = (int)strtol(lines[0], NULL, 10) % 1000,
                                     .content_type = lines[2][0] != 0 ? lines[2] : NULL,
                                     .cache_control = lines[3][0] != 0 ? lines[3] : NULL,
                                     .location = lines[4][0] != 0 ? lines[4] : NULL,
                                     .cache_life_s = -1};
    const struct hs_jwks_expectation expectation = {.served = &served};
    FUZZ_REQUIRE(hs_check_jwks(text, &expectation, report, NULL) == HSMART_OK);
    for (size_t i = 0; i < HS_ARRAY_LEN(lines); i++)
        hs_string_free(lines[i]);
}

static void
check_request(struct hs_span text, struct hs_report *report)
{
    const struct hs_request_expectation expectation = {.token_url = TOKEN_URL, .assertion = {.now_s = 1700000000}};
    struct hs_request request = {0};

    FUZZ_REQUIRE(hs_request_parse(text, &request, NULL) == HSMART_OK);
    FUZZ_REQUIRE(hs_check_request(&request, &expectation, report, NULL) == HSMART_OK);
    hs_request_clear(&request);
}

static void
check_assertion(struct hs_span text, struct hs_report *report)
{
    char *assertion = fuzz_take_line(&text, '\n');
    const struct hs_assertion_expectation expectation = {
        .jwks = text, .audience = TOKEN_URL, .client_id = "hsmart-test-client", .now_s = 1700000000};

    FUZZ_REQUIRE(hs_check_assertion(hs_span_str(assertion), &expectation, report, NULL) == HSMART_OK);
    hs_string_free(assertion);
}

static const struct kind {
    uint8_t letter;
    void (*check)(struct hs_span text, struct hs_report *report);
} kinds[] = {{'k', check_jwks}, {'u', check_served}, {'r', check_request}};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hs_report report = {0};

    if (len < 1)
        return 0;
    struct hs_span rest = {data + 1, len - 1};
    void (*check)(struct hs_span text, struct hs_report * report) = check_assertion;
    for (size_t i = 0; i < HS_ARRAY_LEN(kinds); i++)
        if (kinds[i].letter == data[0])
            check = kinds[i].check;
    check(rest, &report);
    require_report(&report);
    hs_report_clear(&report);
    return 0;
}
