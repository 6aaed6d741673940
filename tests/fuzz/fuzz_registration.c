/* The answer to a registration, in either dialect: the input is the answer (header lines, empty line, body). What was
 * registered can be formatted into a request before. */
#include "fuzz.h"
#include "fuzz_answer.h"
#include "registration.h"

static enum hsmart_code
answer(void *arg, const struct hs_http_request *request, struct hs_http_response *out_response, hsmart_err *err)
{
    const struct hs_span *text = arg;

    (void)request, (void)err;
    *out_response = fuzz_answer(text->len % 4 == 3 ? 400 : 201, *text);
    return HSMART_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hs_span text = {data, len};
    const struct hs_link link = {
        .exchange = {.run = answer, .arg = &text}, .time = hs_time_system, .retry = {.max_attempts = 1}};
    const struct hs_registration_request request = {.registration_endpoint = "https://ehr.example/register",
                                                    .jwks_uri = "https://clinic.example/jwks.json",
                                                    .scope = "system/Patient.rs"};

    for (int form = 0; form < 2; form++) {
        struct hs_registration registration = {0};
        hsmart_err err = {0};
        enum hsmart_code code = form ? hs_registration_send_form(&request, 5, &link, &registration, &err)
                                     : hs_registration_send(&request, &link, &registration, &err);
        fuzz_require_story(code, &err);
        if (code == HSMART_OK)
            FUZZ_REQUIRE(registration.client_id != NULL && registration.client_id[0] != '\0');
        for (size_t i = 0; i < registration.differences.count; i++)
            fuzz_require_line(registration.differences.items[i], 65536);
        hs_registration_clear(&registration);
    }
    return 0;
}
