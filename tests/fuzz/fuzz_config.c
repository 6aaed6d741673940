/* hsmart.conf. */
#include "config.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = fuzz_text(data, len);
    struct hs_config *config = NULL;
    struct hs_buf names = {0};
    hsmart_err err = {0};

    enum hsmart_code code = hs_config_parse(text, "hsmart.conf", &config, &err);
    fuzz_require_story(code, &err);
    if (code == HSMART_OK)
        FUZZ_REQUIRE(hs_config_names(config, "client", &names, &err) == HSMART_OK);
    hs_buf_clear(&names);
    hs_config_free(config);
    hs_string_free(text);
    return 0;
}
