/* smart-configuration. The first line of the input is the FHIR base, the rest the document. */
#include "discovery.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hs_span rest = {data, len};
    char *base = fuzz_take_line(&rest, '\n');
    struct hs_discovery discovery = {0};
    struct hs_buf url = {0}, algs = {0};
    hsmart_err err = {0};

    fuzz_require_story(hs_discovery_url(base, &url, &err), &err);
    enum hsmart_code code = hs_discovery_parse(base, rest, &discovery, &err);
    fuzz_require_story(code, &err);
    if (code == HSMART_OK) {
        FUZZ_REQUIRE(hs_token_endpoint_check(discovery.token_endpoint, &err) == HSMART_OK);
        FUZZ_REQUIRE(hs_discovery_check_method(&discovery, HS_AUTH_PRIVATE_KEY_JWT, &err) == HSMART_OK);
        for (size_t i = 0; i < discovery.warnings.count; i++)
            fuzz_require_line(discovery.warnings.items[i], 65536);
        fuzz_require_story(hs_discovery_check_pin(discovery.token_endpoint, base, &err), &err);
        fuzz_require_story(hs_discovery_algs(&discovery, &(struct hs_server_row){.name = "smart"}, &algs, &err), &err);
    }
    hs_discovery_clear(&discovery);
    hs_buf_clear(&url);
    hs_buf_clear(&algs);
    hs_string_free(base);
    return 0;
}
