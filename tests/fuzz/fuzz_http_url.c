/* URLs: on the first line one to look at, on the second a reference to resolve against it. */
#include <strings.h>

#include "fuzz.h"
#include "http.h"
#include "http_url.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hs_span rest = {data, len};
    char *base = fuzz_take_line(&rest, '\n');
    char *reference = fuzz_take_line(&rest, '\n');
    struct hs_http_url url = {0};
    struct hs_buf resolved = {0};
    hsmart_err err = {0};

    enum hsmart_code code = hs_http_url_parse(base, &url, &err);
    fuzz_require_story(code, &err);
    if (code == HSMART_OK)
        FUZZ_REQUIRE(hs_http_same_origin(base, hs_buf_text(&url.origin)));
    code = hs_http_resolve(base, reference, &resolved, &err);
    fuzz_require_story(code, &err);
    if (code == HSMART_OK)
        FUZZ_REQUIRE(strncasecmp(hs_buf_text(&resolved), "http", 4) == 0);
    hs_http_url_clear(&url);
    hs_buf_clear(&resolved);
    hs_string_free(base);
    hs_string_free(reference);
    return 0;
}
