/* hsmart: SMART on FHIR Backend Services, for integration engineers and scripts. */
#include "verbs.h"

int
main(int argc, char **argv)
{
    static const struct cli_verb *const verbs[] = {
        &verb_discover,  &verb_register,        &verb_token,      &verb_exec,          &verb_get,
        &verb_assertion, &verb_check_assertion, &verb_check_jwks, &verb_check_request, &verb_doctor,
    };
    static const char *const see_also[] = {"hsmart-key makes, lists and exports the keys.", NULL};
    static const struct cli_program program = {
        .name = "hsmart",
        .summary = "SMART on FHIR Backend Services with a private key that never leaves its HSM.",
        .verbs = verbs,
        .verb_count = HS_ARRAY_LEN(verbs),
        .see_also = see_also,
    };

    return cli_main(&program, argc, argv);
}
