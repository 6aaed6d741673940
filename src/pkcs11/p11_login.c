/* Logging in: once per PIN, behind the guard. */
#include "err.h"
#include "p11_ckr.h"
#include "p11_guard.h"
#include "p11_token_internal.h"

enum hsmart_code
hs_login_read_pin(struct hs_p11_token *token, hsmart_err *err)
{
    struct hs_buf question = {0};
    struct hs_secret pin = {0};
    enum hsmart_code code;

    if (token->pin_source.kind == NULL || token->pin_source.kind->pinpad)
        return HSMART_OK;
    if (token->pin.data != NULL && !token->pin_source.kind->repeatable)
        return HSMART_OK; /* asked and answered */
    code = hs_buf_append_format(&question, err, "PIN of token \"%s\"", token->name);
    if (code == HSMART_OK)
        code = hs_pin_source_read(&token->pin_source, hs_buf_text(&question), &pin, err);
    hs_buf_clear(&question);
    if (code == HSMART_OK) {
        hs_secret_clear(&token->pin);
        token->pin = pin;
    } else if (token->pin.data != NULL) {
        hs_log_warning(&token->log, "the PIN source of token \"%s\" gives nothing any more; the PIN of before is used",
                       token->name);
        code = HSMART_OK;
    }
    return code;
}

bool
hs_login_may_be_false(const struct hs_p11_token *token, CK_RV rv)
{
    return (token->quirks & HS_QUIRK_SERIAL_START) != 0 &&
           (rv == CKR_PIN_LEN_RANGE || rv == CKR_USER_PIN_NOT_INITIALIZED || rv == CKR_GENERAL_ERROR ||
            rv == CKR_TOKEN_NOT_PRESENT || rv == CKR_TOKEN_NOT_RECOGNIZED || rv == CKR_SLOT_ID_INVALID);
}

/* ---- What the flags say, before and after ---- */

static CK_FLAGS
current_flags(const struct hs_p11_token *token)
{
    CK_TOKEN_INFO raw = {0};

    return token->module->p11->C_GetTokenInfo(token->slot, &raw) == CKR_OK ? raw.flags : token->raw.flags;
}

static enum hsmart_code
check_length(const struct hs_p11_token *token, hsmart_err *err)
{
    CK_ULONG min = token->raw.ulMinPinLen, max = token->raw.ulMaxPinLen;

    if (max == 0 || max == CK_UNAVAILABLE_INFORMATION || (token->pin.len >= min && token->pin.len <= max))
        return HSMART_OK;
    return hs_err_set(err, HSMART_PIN_REFUSED,
                      "the PIN was not tried: the token takes PINs of %lu to %lu bytes, and this one has another length",
                      min, max);
}

/* A low count that our own refused try left behind is no reason against another PIN; an operator's word counts more
 * than any flag but "locked". */
static enum hsmart_code
check_flags(const struct hs_p11_token *token, CK_FLAGS flags, const struct hs_guard *guard, hsmart_err *err)
{
    bool reopened = guard->state == HS_GUARD_REOPENED;
    bool explained = reopened || guard->other_pin || (token->quirks & HS_QUIRK_NO_LOCKOUT) != 0;

    if (flags & CKF_USER_PIN_LOCKED)
        return hs_err_set(err, HSMART_PIN_LOCKED, "the token reports that its user PIN is locked");
    if (!(flags & CKF_USER_PIN_INITIALIZED)) {
        (void)hs_err_set(err, HSMART_PIN_LOCKED, "the token has no user PIN yet");
        hs_err_hint(err, "the security officer sets it, e.g. with `hsmart-key token init`");
        return HSMART_PIN_LOCKED;
    }
    if ((flags & CKF_USER_PIN_FINAL_TRY) && !reopened)
        return hs_err_set(err, HSMART_PIN_GUARDED,
                          "the PIN was not tried: the token reports that one more wrong PIN locks it");
    if ((flags & CKF_USER_PIN_COUNT_LOW) && !explained)
        return hs_err_set(err, HSMART_PIN_GUARDED,
                          "the PIN was not tried: the token reports wrong PINs that were not tried from here");
    return HSMART_OK;
}

static enum hsmart_code
tell_refusal(const struct hs_p11_token *token, CK_RV rv, hsmart_err *err)
{
    CK_FLAGS flags = current_flags(token);
    const char *tries = flags & CKF_USER_PIN_LOCKED      ? "it is locked now"
                        : flags & CKF_USER_PIN_FINAL_TRY ? "it reports that one try is left"
                        : flags & CKF_USER_PIN_COUNT_LOW ? "it reports that few tries are left"
                                                         : "it does not tell how many tries are left";
    enum hsmart_code code = hs_ckr_set(err, rv);

    if (code == HSMART_PIN_REFUSED)
        hs_err_hint(err, "correct the PIN in its source before the next try; of the token: %s", tries);
    return code;
}

/* ---- One try ---- */

/* `session` is logged in as `user` with the PIN at hand, or the token's own PIN pad. */
static CK_RV
call_login(const struct hs_p11_token *token, CK_SESSION_HANDLE session, CK_USER_TYPE user)
{
    bool pinpad = token->pin_source.kind->pinpad;

    return token->module->p11->C_Login(session, user, pinpad ? NULL : token->pin.data, pinpad ? 0 : token->pin.len);
}

static enum hsmart_code
login_at_pinpad(const struct hs_p11_token *token, CK_SESSION_HANDLE session, CK_USER_TYPE user, hsmart_err *err)
{
    if (!(token->raw.flags & CKF_PROTECTED_AUTHENTICATION_PATH))
        return hs_err_set(err, HSMART_PIN_UNAVAILABLE, "the token has no PIN pad of its own");
    hs_log_warning(&token->log, "waiting for the PIN at the PIN pad of token \"%s\"", token->name);
    CK_RV rv = call_login(token, session, user);
    return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN ? HSMART_OK : tell_refusal(token, rv, err);
}

/* What an answer to C_Login means for the guard: only a word about the PIN closes it. */
static enum hs_guard_state
guard_state_after(const struct hs_p11_token *token, CK_RV rv)
{
    enum hs_ckr_class class = hs_ckr_row_of(rv)->class;

    if (hs_login_may_be_false(token, rv))
        return HS_GUARD_OPEN;
    return class == HS_CKR_PIN_WRONG || class == HS_CKR_PIN_STATE ? HS_GUARD_REFUSED : HS_GUARD_OPEN;
}

static enum hsmart_code
login_guarded(struct hs_p11_token *token, CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_RV *out_rv, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_guard guard = {.lock_fd = -1};
    CK_RV rv = CKR_OK;

    code = hs_guard_begin(token->guard_directory, token->identity, (struct hs_span){token->pin.data, token->pin.len},
                          &guard, err);
    if (code != HSMART_OK)
        return code;
    code = check_flags(token, current_flags(token), &guard, err);
    if (code == HSMART_PIN_LOCKED)
        *out_rv = CKR_USER_PIN_NOT_INITIALIZED; /* the flags may be false as well */
    if (code == HSMART_OK)
        code = hs_guard_mark_pending(&guard, err);
    if (code != HSMART_OK)
        goto out;
    rv = call_login(token, session, user);
    *out_rv = rv;
    /* Written before anything else: a crash from here on must not look like a try without an end. */
    code = hs_guard_mark_end(&guard, guard_state_after(token, rv), err);
    if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN)
        code = tell_refusal(token, rv, err);
out:
    hs_guard_end(&guard);
    return code;
}

static enum hsmart_code
login(struct hs_p11_token *token, CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_RV *out_rv, hsmart_err *err)
{
    enum hsmart_code code;

    if (token->pin_source.kind->pinpad)
        return login_at_pinpad(token, session, user, err);
    code = check_length(token, err);
    if (code != HSMART_OK) {
        *out_rv = CKR_PIN_LEN_RANGE;
        return code;
    }
    return login_guarded(token, session, user, out_rv, err);
}

/* ---- The anchor ---- */

enum hsmart_code
hs_login_open_anchor(struct hs_p11_token *token, bool *out_false_answer, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    CK_SESSION_HANDLE session = 0;

    CK_RV rv = hs_pool_open_raw(token, false, &session);
    if (rv != CKR_OK) {
        *out_false_answer = hs_login_may_be_false(token, rv);
        (void)hs_ckr_set(err, rv);
        return hs_err_wrap(err, hs_ckr_row_of(rv)->code != HSMART_OK ? hs_ckr_row_of(rv)->code : HSMART_TOKEN_FAILED,
                           "cannot open a session on token \"%s\"", token->name);
    }
    if (token->pin_source.kind != NULL)
        code = login(token, session, CKU_USER, &rv, err);
    if (code != HSMART_OK) {
        *out_false_answer = hs_login_may_be_false(token, rv);
        (void)token->module->p11->C_CloseSession(session);
        return hs_err_wrap(err, code, "cannot log in to token \"%s\"", token->name);
    }
    token->anchor = session;
    token->has_anchor = true;
    return HSMART_OK;
}

enum hsmart_code
hs_p11_token_login_for_use(struct hs_p11_token *token, struct hs_p11_session *session, hsmart_err *err)
{
    CK_RV rv = CKR_OK;
    enum hsmart_code code;

    if (token->pin_source.kind == NULL)
        return hs_err_set(err, HSMART_PIN_UNAVAILABLE, "the key asks for the PIN at each use, and no PIN source is given");
    code = login(token, session->handle, CKU_CONTEXT_SPECIFIC, &rv, err);
    session->last_rv = rv;
    return code;
}
