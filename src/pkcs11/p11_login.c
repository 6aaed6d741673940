#include "p11_login.h"

#include "clock.h"
#include "err.h"
#include "p11_ckr.h"
#include "p11_guard.h"
#include "p11_pool.h"
#include "p11_token_state.h"

/* ---- The PIN ---- */

static bool
has_pin(struct hs_p11_token *token)
{
    (void)pthread_mutex_lock(&token->lock);
    bool has = token->pin.data != NULL;
    (void)pthread_mutex_unlock(&token->lock);
    return has;
}

/* Nobody is asked twice. */
static bool
needs_reading(struct hs_p11_token *token)
{
    const struct hs_pin_kind *kind = token->pin_source.kind;

    if (kind == NULL || kind->pinpad)
        return false;
    return kind->repeatable || !has_pin(token);
}

static bool
is_same_secret(const struct hs_secret *a, const struct hs_secret *b)
{
    return a->len == b->len && a->data != NULL && b->data != NULL && memcmp(a->data, b->data, a->len) == 0;
}

/* The lock makes the change whole for those who copy it. What was there is `*pin` afterwards. */
static void
swap_pin(struct hs_p11_token *token, struct hs_secret *pin)
{
    (void)pthread_mutex_lock(&token->lock);
    struct hs_secret before = token->pin;
    token->pin_opened = token->pin_opened && is_same_secret(&before, pin);
    token->pin = *pin;
    *pin = before;
    (void)pthread_mutex_unlock(&token->lock);
}

enum hsmart_code
hs_login_copy_pin(struct hs_p11_token *token, struct hs_secret *out_pin, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    (void)pthread_mutex_lock(&token->lock);
    if (token->pin.data != NULL)
        code = hs_secret_set(out_pin, (struct hs_span){token->pin.data, token->pin.len}, err);
    (void)pthread_mutex_unlock(&token->lock);
    return code;
}

enum hsmart_code
hs_login_read_pin(struct hs_p11_token *token, int64_t deadline_ms, hsmart_err *err)
{
    struct hs_buf question = {0};
    struct hs_secret pin = {0};
    enum hsmart_code code;

    if (!needs_reading(token))
        return HSMART_OK;
    code = hs_buf_append_format(&question, err, "PIN of token \"%s\"", token->name);
    if (code == HSMART_OK)
        code = hs_pin_source_read_until(&token->pin_source, hs_buf_text(&question), deadline_ms, &pin, err);
    if (code == HSMART_OK) {
        swap_pin(token, &pin);
    } else if (has_pin(token)) {
        hs_log_warning(&token->log, "the PIN source of token \"%s\" gives nothing any more; the PIN of before is used",
                       token->name);
        code = HSMART_OK;
    }
    hs_secret_clear(&pin);
    hs_buf_clear(&question);
    return code;
}

/* Whether an answer of a token that takes turns may be false. */
static bool
may_be_false(const struct hs_p11_token *token, CK_RV rv)
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
check_length(const struct hs_p11_token *token, const struct hs_secret *pin, hsmart_err *err)
{
    if (hs_slots_takes_pin_len(&token->raw, pin->len))
        return HSMART_OK;
    return hs_err_set(
        err, HSMART_PIN_REFUSED,
        "the PIN was not tried: the token takes PINs of %lu to %lu bytes, and this one has another length",
        token->raw.ulMinPinLen, token->raw.ulMaxPinLen);
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
    const char *why = NULL;
    if ((flags & CKF_USER_PIN_FINAL_TRY) && !reopened)
        why = "one more wrong PIN locks it";
    else if ((flags & CKF_USER_PIN_COUNT_LOW) && !explained)
        why = "wrong PINs were given, and not from here";
    if (why == NULL)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_PIN_GUARDED, "the PIN was not tried: the token reports that %s", why);
    hs_err_hint(err, "make sure that the PIN is right, then allow one more try: hsmart-key token unlock-guard");
    return HSMART_PIN_GUARDED;
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

/* One login of `session` as `user`: with `pin`, or, where that is NULL, at the token's own PIN pad. */
struct login {
    struct hs_p11_token *token;
    CK_SESSION_HANDLE session;
    CK_USER_TYPE user;
    int64_t deadline_ms; /* for what may have to be waited for before the call */
    const struct hs_secret *pin;
    CK_RV rv; /* what the token answered, or what its flags amount to */
};

static bool
means_logged_in(CK_RV rv)
{
    return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN;
}

static CK_RV
call_login(struct login *login)
{
    const struct hs_secret *pin = login->pin;

    login->rv = login->token->module->p11->C_Login(login->session, login->user, pin != NULL ? pin->data : NULL,
                                                   pin != NULL ? pin->len : 0);
    return login->rv;
}

static enum hsmart_code
login_at_pinpad(struct login *login, hsmart_err *err)
{
    const struct hs_p11_token *token = login->token;

    if (!(token->raw.flags & CKF_PROTECTED_AUTHENTICATION_PATH))
        return hs_err_set(err, HSMART_PIN_UNAVAILABLE, "the token has no PIN pad of its own");
    hs_log_warning(&token->log, "waiting for the PIN at the PIN pad of token \"%s\"", token->name);
    return means_logged_in(call_login(login)) ? HSMART_OK : tell_refusal(token, login->rv, err);
}

/* Tells whether the token has taken this PIN before, and remembers that it has now. */
static bool
has_opened(struct hs_p11_token *token, const struct hs_secret *pin, bool opens_now)
{
    (void)pthread_mutex_lock(&token->lock);
    bool is_current = is_same_secret(&token->pin, pin);
    token->pin_opened = token->pin_opened || (is_current && opens_now);
    bool has = is_current && token->pin_opened;
    (void)pthread_mutex_unlock(&token->lock);
    return has;
}

/* Answers that come before the PIN is looked at. */
static bool
means_not_tried(CK_RV rv)
{
    switch (rv) {
    case CKR_CRYPTOKI_NOT_INITIALIZED:
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_SLOT_ID_INVALID:
    case CKR_SESSION_COUNT:
        return true;
    default:
        break;
    }
    enum hs_ckr_class class = hs_ckr_row_of(rv)->class;
    return class == HS_CKR_SESSION || class == HS_CKR_OTHER_USER || class == HS_CKR_SETTING ||
           class == HS_CKR_UNSUPPORTED;
}

/* What an answer to C_Login means for the guard. One that does not tell whether the PIN is right may have cost a try
 * that shows nowhere; only a PIN that the token took before in this process, or a token that never locks, is beyond
 * such doubt. */
static enum hs_guard_state
guard_state_after(const struct login *login, bool opened_before)
{
    const struct hs_p11_token *token = login->token;
    enum hs_ckr_class class = hs_ckr_row_of(login->rv)->class;

    if (means_logged_in(login->rv) || may_be_false(token, login->rv))
        return HS_GUARD_OPEN;
    if (class == HS_CKR_PIN_WRONG || class == HS_CKR_PIN_STATE)
        return HS_GUARD_REFUSED;
    bool beyond_doubt = opened_before || means_not_tried(login->rv) || (token->quirks & HS_QUIRK_NO_LOCKOUT) != 0;
    return beyond_doubt ? HS_GUARD_OPEN : HS_GUARD_UNCLEAR;
}

static enum hsmart_code
login_with_pin(struct login *login, hsmart_err *err)
{
    struct hs_p11_token *token = login->token;
    struct hs_guard guard = {.lock_fd = -1};
    hsmart_err why = {0};
    enum hsmart_code code = check_length(token, login->pin, err);

    if (code == HSMART_OK)
        code = hs_guard_begin(token->guard_directory, token->identity,
                              (struct hs_span){login->pin->data, login->pin->len}, login->deadline_ms, &guard, err);
    if (code != HSMART_OK)
        return code;
    code = check_flags(token, current_flags(token), &guard, err);
    if (code == HSMART_PIN_LOCKED)
        login->rv = CKR_USER_PIN_NOT_INITIALIZED; /* the flags may be false as well */
    if (code == HSMART_OK)
        code = hs_guard_mark_pending(&guard, err);
    if (code != HSMART_OK)
        goto out;
    CK_RV rv = call_login(login);
    bool opened_before = has_opened(token, login->pin, rv == CKR_OK);
    /* Written before anything else: a crash from here on must not look like a try without an end. */
    if (hs_guard_mark_end(&guard, guard_state_after(login, opened_before), &why) != HSMART_OK)
        hs_log_warning(&token->log, "%s; the next login with this PIN needs an operator's word", why.text);
    code = means_logged_in(rv) ? HSMART_OK : tell_refusal(token, rv, err);
out:
    hs_guard_end(&guard);
    return code;
}

static enum hsmart_code
log_in(struct login *login, hsmart_err *err)
{
    struct hs_secret pin = {0};
    enum hsmart_code code;

    if (login->token->pin_source.kind->pinpad)
        return login_at_pinpad(login, err);
    code = hs_login_copy_pin(login->token, &pin, err);
    login->pin = &pin;
    if (code == HSMART_OK)
        code = login_with_pin(login, err);
    hs_secret_clear(&pin);
    login->pin = NULL;
    return code;
}

/* ---- The anchor ---- */

enum hsmart_code
hs_login_open_anchor(struct hs_p11_token *token, int64_t deadline_ms, bool *out_false_answer, hsmart_err *err)
{
    struct login login = {.token = token, .user = CKU_USER, .deadline_ms = deadline_ms};
    enum hsmart_code code = HSMART_OK;

    login.rv = hs_pool_open_raw(token, false, &login.session);
    if (login.rv != CKR_OK) {
        *out_false_answer = may_be_false(token, login.rv);
        code = hs_ckr_set(err, login.rv);
        return hs_err_wrap(err, code, "cannot open a session on token \"%s\"", token->name);
    }
    if (token->pin_source.kind != NULL)
        code = log_in(&login, err);
    if (code != HSMART_OK) {
        *out_false_answer = may_be_false(token, login.rv);
        (void)token->module->p11->C_CloseSession(login.session);
        return hs_err_wrap(err, code, "cannot log in to token \"%s\"", token->name);
    }
    (void)pthread_mutex_lock(&token->lock);
    token->anchor = login.session;
    token->has_anchor = true;
    (void)pthread_mutex_unlock(&token->lock);
    return HSMART_OK;
}

/* No recovery reads the PIN anew for a key that asks at each use, so it is done here, once the guard stands against the
 * PIN at hand: a new value in its place is tried, and the old one is not. */
static enum hsmart_code
log_in_for_use(struct login *login, hsmart_err *err)
{
    enum hsmart_code code = log_in(login, err);

    if (code != HSMART_PIN_GUARDED || !login->token->pin_source.kind->repeatable)
        return code;
    code = hs_login_read_pin(login->token, login->deadline_ms, err);
    return code == HSMART_OK ? log_in(login, err) : code;
}

/* A token that accepts CKA_ALWAYS_AUTHENTICATE and ignores it does not know this kind of user (opencryptoki 3.8.1):
 * what C_Sign answers decides. */
enum hsmart_code
hs_p11_token_login_for_use(struct hs_p11_token *token, struct hs_p11_session *session, hsmart_err *err)
{
    struct login login = {.token = token, .session = session->handle, .user = CKU_CONTEXT_SPECIFIC};
    enum hsmart_code code;

    login.deadline_ms = session->deadline_ms != 0 ? session->deadline_ms : hs_clock_monotonic_ms() + HS_GUARD_WAIT_MS;
    if (token->pin_source.kind == NULL)
        code =
            hs_err_set(err, HSMART_PIN_UNAVAILABLE, "the key asks for the PIN at each use, and no PIN source is given");
    else
        code = log_in_for_use(&login, err);
    session->last_rv = login.rv;
    if (login.rv == CKR_USER_TYPE_INVALID)
        code = HSMART_OK;
    if (code != HSMART_OK)
        session->doubtful = true;
    return code;
}
