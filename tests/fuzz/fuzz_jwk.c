/* A JWK: what is taken in, comes out again as the same key; nothing private is ever taken in. */
#include "fuzz.h"
#include "jwk.h"

static void
write_jwk(const struct hs_jwk *jwk, struct hs_buf *out)
{
    struct hs_json_writer writer = {.out = out};
    hsmart_err err = {0};

    hs_jwk_put(&writer, jwk, jwk->kid, NULL);
    FUZZ_REQUIRE(hs_json_writer_finish(&writer, &err) == HSMART_OK);
}

static void
require_same_again(const struct hs_jwk *jwk)
{
    struct hs_buf text = {0}, pem = {0};
    struct hs_json_doc doc = {0};
    struct hs_jwk again = {0};
    hsmart_err err = {0};

    write_jwk(jwk, &text);
    FUZZ_REQUIRE(hs_json_parse(hs_span_buf(&text), &doc, &err) == HSMART_OK);
    FUZZ_REQUIRE(hs_jwk_parse(doc.root, &again, &err) == HSMART_OK);
    FUZZ_REQUIRE(hs_jwk_same_key(jwk, &again));
    FUZZ_REQUIRE(strcmp(jwk->thumbprint, again.thumbprint) == 0);
    FUZZ_REQUIRE(strlen(jwk->thumbprint) == 43);
    FUZZ_REQUIRE(hs_jwk_format_pem(jwk, &pem, &err) == HSMART_OK);
    hs_jwk_clear(&again);
    hs_json_doc_clear(&doc);
    hs_buf_clear(&text);
    hs_buf_clear(&pem);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hs_json_doc doc = {0};
    struct hs_jwk jwk = {0};
    hsmart_err err = {0};

    if (hs_json_parse((struct hs_span){data, len}, &doc, &err) == HSMART_OK) {
        enum hsmart_code code = hs_jwk_parse(doc.root, &jwk, &err);
        fuzz_require_story(code, &err);
        if (code == HSMART_OK) {
            for (size_t i = 0; i < hs_jwk_private_member_count; i++)
                FUZZ_REQUIRE(hs_json_member(doc.root, hs_jwk_private_members[i]) == NULL);
            require_same_again(&jwk);
        }
    }
    hs_jwk_clear(&jwk);
    hs_json_doc_clear(&doc);
    return 0;
}
