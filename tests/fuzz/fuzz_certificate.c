/* A certificate for a key on a token, PEM or DER, as it comes back from a CA. Nobody is asked for a pass phrase. */
#include <openssl/ui.h>

#include "fuzz.h"
#include "x509_read.h"

/* Stands in for OpenSSL's terminal. */
static int
refuse_to_ask(UI *ui)
{
    (void)ui;
    (void)fputs("a person is asked for a pass phrase\n", stderr);
    abort();
}

static void
watch_the_terminal(void)
{
    static UI_METHOD *method;

    if (method != NULL)
        return;
    method = UI_create_method("nobody");
    FUZZ_REQUIRE(method != NULL && UI_method_set_opener(method, refuse_to_ask) == 0);
    UI_set_default_method(method);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hs_x509_parts parts = {0}, again = {0};
    hsmart_err err = {0};

    watch_the_terminal();
    enum hsmart_code code = hs_x509_read((struct hs_span){data, len}, &parts, &err);
    fuzz_require_story(code, &err);
    if (code == HSMART_OK) {
        FUZZ_REQUIRE(parts.der.len > 0 && parts.subject.len > 0 && parts.issuer.len > 0 && parts.serial.len > 0);
        /* What goes onto the token is what was read. */
        FUZZ_REQUIRE(hs_x509_read(hs_span_buf(&parts.der), &again, &err) == HSMART_OK);
        FUZZ_REQUIRE(hs_span_equal(hs_span_buf(&parts.der), hs_span_buf(&again.der)));
        FUZZ_REQUIRE(hs_span_equal(hs_span_buf(&parts.subject), hs_span_buf(&again.subject)));
        FUZZ_REQUIRE(parts.may_sign == again.may_sign && parts.not_after_s == again.not_after_s);
    }
    hs_x509_parts_clear(&again);
    hs_x509_parts_clear(&parts);
    return 0;
}
