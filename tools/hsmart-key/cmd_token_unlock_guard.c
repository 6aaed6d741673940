/* hsmart-key token unlock-guard: an operator's word that the PIN may be tried once more. */
#include "report.h"
#include "target.h"
#include "verbs.h"

struct unlock_guard_options {
    struct cli_common common;
};

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    const struct unlock_guard_options *own = options;
    struct target target = {0};
    enum hsmart_code code = target_resolve(&own->common, TARGET_NO_LOGIN, &target, err);

    (void)call;
    if (code == HSMART_OK)
        code = hsmart_token_unlock_guard(&target.token, err);
    if (code == HSMART_OK)
        report_note("the PIN guard is open: the next login makes one try");
    target_clear(&target);
    return code;
}

const struct cli_verb verb_token_unlock_guard = {
    .name = "token unlock-guard",
    .summary =
        "Lets the PIN be tried once more, after a refused or interrupted login. Make sure first that it is right.",
    .options_size = sizeof(struct unlock_guard_options),
    .groups = {&cli_group_token, &cli_group_quiet},
    .example =
        "  hsmart-key token unlock-guard --token prod\n"
        "  hsmart-key token unlock-guard --module /usr/lib/softhsm/libsofthsm2.so --token-uri 'pkcs11:token=prod'\n",
    .run = run,
};
