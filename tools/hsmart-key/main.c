/* hsmart-key: keys on a token, for key officers. */
#include "verbs.h"

int
main(int argc, char **argv)
{
    static const struct cli_verb *const verbs[] = {
        &verb_token_list, &verb_token_init, &verb_token_unlock_guard, &verb_generate,
        &verb_list,       &verb_audit,      &verb_export,
        &verb_import_certificate,
        &verb_publish,    &verb_rotate,     &verb_activate,          &verb_retire,
        &verb_revoke,     &verb_destroy,
        &verb_ceremony_lint, &verb_ceremony_rehearse, &verb_ceremony_run, &verb_ceremony_verify,
        &verb_ceremony_report,
    };
    static const char *const see_also[] = {"hsmart signs client assertions with these keys.", NULL};
    static const struct cli_program program = {
        .name = "hsmart-key",
        .summary = "Makes keys on a token that cannot leave it, and exports their public halves.",
        .verbs = verbs,
        .verb_count = HS_ARRAY_LEN(verbs),
        .see_also = see_also,
    };

    return cli_main(&program, argc, argv);
}
