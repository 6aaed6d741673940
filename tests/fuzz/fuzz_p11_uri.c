/* PKCS#11 URIs. A PIN in one is refused, and never repeated. */
#include "fuzz.h"
#include "p11_uri.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = fuzz_text(data, len);
    struct hs_p11_uri *uri = NULL;
    struct hs_span label, id;
    hsmart_err err = {0};

    enum hsmart_code code = hs_p11_uri_parse(text, &uri, &err);
    fuzz_require_story(code, &err);
    if (code == HSMART_OK) {
        CK_OBJECT_CLASS class;
        CK_INFO library = {0};
        CK_SLOT_INFO slot = {0};
        CK_TOKEN_INFO token = {0};

        FUZZ_REQUIRE(strstr(text, "pin-value=") == NULL);
        hs_p11_uri_get_object(uri, &label, &id);
        FUZZ_REQUIRE(label.len <= len && id.len <= len);
        (void)hs_p11_uri_get_class(uri, &class);
        (void)hs_p11_uri_matches_token(uri, &library, 0, &slot, &token);
    }
    hs_p11_uri_free(uri);
    hs_string_free(text);
    return 0;
}
