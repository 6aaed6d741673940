#include "p11_handover.h"

#include "clock.h"
#include "p11_login.h"
#include "p11_token_state.h"

enum hsmart_code
hs_p11_handover_take(struct hs_p11_token *token, struct hs_p11_handover *out_handover, hsmart_err *err)
{
    struct hs_p11_handover taken = {.guard.lock_fd = -1, .has_login = token->pin_source.kind != NULL};
    enum hsmart_code code = hs_strdup(token->module->path, &taken.module, err);

    if (code == HSMART_OK)
        code = hs_strdup_or_null(token->module->init_string, &taken.init_string, err);
    if (code == HSMART_OK)
        code = hs_strdup(token->store.info.label, &taken.label, err);
    if (code == HSMART_OK)
        code = hs_strdup(token->store.info.serial, &taken.serial, err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(token->guard_directory, &taken.guard_directory, err);
    if (code == HSMART_OK)
        code = hs_strdup(token->identity, &taken.identity, err);
    if (code == HSMART_OK && taken.has_login)
        code = hs_login_copy_pin(token, &taken.pin, err);
    if (code != HSMART_OK) {
        hs_p11_handover_clear(&taken);
        return code;
    }
    *out_handover = taken;
    return HSMART_OK;
}

enum hsmart_code
hs_p11_handover_begin(struct hs_p11_handover *handover, hsmart_err *err)
{
    enum hsmart_code code;

    if (handover->pin.len == 0)
        return HSMART_OK;
    code = hs_guard_begin(handover->guard_directory, handover->identity,
                          (struct hs_span){handover->pin.data, handover->pin.len},
                          hs_clock_monotonic_ms() + HS_GUARD_WAIT_MS, &handover->guard, err);
    if (code == HSMART_OK) {
        code = hs_guard_mark_pending(&handover->guard, err);
        if (code != HSMART_OK)
            hs_guard_end(&handover->guard);
    }
    return code;
}

enum hsmart_code
hs_p11_handover_end(struct hs_p11_handover *handover, enum hs_p11_login_end end, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    if (handover->pin.len == 0)
        return HSMART_OK;
    if (end != HS_P11_LOGIN_UNKNOWN)
        code = hs_guard_mark_end(&handover->guard, end == HS_P11_LOGIN_TAKEN ? HS_GUARD_OPEN : HS_GUARD_REFUSED, err);
    hs_guard_end(&handover->guard);
    return code;
}

void
hs_p11_handover_clear(struct hs_p11_handover *handover)
{
    hs_string_free(handover->module);
    hs_string_free(handover->init_string);
    hs_string_free(handover->label);
    hs_string_free(handover->serial);
    hs_string_free(handover->guard_directory);
    hs_string_free(handover->identity);
    hs_secret_clear(&handover->pin);
    *handover = (struct hs_p11_handover){.guard.lock_fd = -1};
}
