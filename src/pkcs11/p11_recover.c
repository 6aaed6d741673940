#include "p11_recover.h"

#include <stdio.h>

#include "clock.h"
#include "err.h"
#include "p11_ckr.h"
#include "p11_login.h"
#include "p11_pool.h"
#include "p11_start.h"
#include "p11_token_state.h"
#include "text.h"

/* For each class, the rungs that can cure it. A class without a row is cured by none. */
static const struct {
    enum hs_ckr_class class;
    enum hs_rung first, last;
} ladder[] = {
    {HS_CKR_SESSION, HS_RUNG_NEW_SESSION, HS_RUNG_RELOAD},
    {HS_CKR_HANDLE, HS_RUNG_LOGIN, HS_RUNG_RELOAD},
    {HS_CKR_LOGIN, HS_RUNG_LOGIN, HS_RUNG_RELOAD},
    {HS_CKR_DEVICE, HS_RUNG_NEW_SESSION, HS_RUNG_RELOAD},
    {HS_CKR_CAPACITY, HS_RUNG_NEW_SESSION, HS_RUNG_NEW_SESSION},
    {HS_CKR_BUFFER, HS_RUNG_NEW_SESSION, HS_RUNG_NEW_SESSION},
};

enum hs_rung
hs_p11_rung_after(CK_RV rv, enum hs_rung highest)
{
    enum hs_ckr_class class = hs_ckr_row_of(rv)->class;

    for (size_t i = 0; i < HS_ARRAY_LEN(ladder); i++) {
        if (ladder[i].class != class)
            continue;
        enum hs_rung next = highest < ladder[i].first ? ladder[i].first : highest + 1;
        return next <= ladder[i].last ? next : HS_RUNG_NONE;
    }
    return HS_RUNG_NONE;
}

/* ---- Climbing ---- */

/* The token, or the way to it, as opposed to a key, a PIN, a policy or a mechanism. */
static bool
is_tokens_fault(enum hsmart_code code)
{
    return code == HSMART_TOKEN_FAILED || code == HSMART_TOKEN_ABSENT || code == HSMART_SESSION_LOST ||
           code == HSMART_MODULE_UNUSABLE;
}

/* With the lock held and the climbing flag set: nobody else opens or takes a session meanwhile, and what is in use
 * turns stale. */
static enum hsmart_code
climb(struct hs_p11_token *token, enum hs_rung rung, int64_t deadline_ms, hsmart_err *err)
{
    enum hsmart_code code;
    bool alone = rung == HS_RUNG_RELOAD || token->module->single_threaded;

    /* Nobody may be inside the module when it is finalised: that corrupts memory on real ones. And sessions are opened
     * one at a time, the anchor included. */
    while (token->opening && hs_pool_wait(token, deadline_ms))
        continue;
    if (token->opening || (alone && !hs_pool_wait_until_quiet(token, deadline_ms)))
        return hs_err_set(err, HSMART_TOKEN_FAILED,
                          "the token cannot be recovered: %u calls into the module have not come back",
                          token->busy_count + token->opening);
    bool find_first = token->vacated;
    token->vacated = false;
    hs_pool_drop_sessions(token);
    (void)pthread_mutex_unlock(&token->lock);
    hs_log_warning(&token->log,
                   rung == HS_RUNG_RELOAD ? "token \"%s\" failed: the module is restarted"
                                          : "token \"%s\" lost its session: logging in anew",
                   token->name);
    /* Half of the time is for a command that gives the PIN: the rest is for the login, with the one of before if need
     * be. */
    int64_t now_ms = hs_clock_monotonic_ms();
    code = hs_login_read_pin(token, now_ms + (deadline_ms - now_ms) / 2, err);
    if (code == HSMART_OK)
        code = rung == HS_RUNG_RELOAD ? hs_start_again(token, deadline_ms, err)
                                      : hs_start_relogin(token, find_first, deadline_ms, err);
    (void)pthread_mutex_lock(&token->lock);
    token->generation++; /* failed or not: what was open is gone */
    return code;
}

/* The climber's turn is over: what it came to is for those who waited, too. */
static void
tell_others(struct hs_p11_token *token, enum hsmart_code code, const hsmart_err *err)
{
    token->climbing = false;
    (void)snprintf(token->trouble, sizeof token->trouble, "%.255s", code != HSMART_OK ? err->text : "");
    hs_text_sanitize(token->trouble); /* where it was cut */
    (void)pthread_cond_broadcast(&token->changed);
}

/* Climbs, unless somebody else did since `seen_generation`; one climber at a time, the others wait for it. A login that
 * fails by the token's fault leads straight to the next rung: nobody else could do better in between. */
static enum hsmart_code
climb_rung(struct hs_p11_token *token, enum hs_rung rung, uint64_t seen_generation, int64_t deadline_ms,
           hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    (void)pthread_mutex_lock(&token->lock);
    while (token->climbing) {
        if (!hs_pool_wait(token, deadline_ms) && token->climbing) {
            code = hs_err_set(err, HSMART_TOKEN_UNAVAILABLE, "token \"%s\" is still being recovered", token->name);
            goto out;
        }
    }
    if (token->stopped) {
        code = hs_pool_stopped(token, err);
        goto out;
    }
    if (token->generation != seen_generation && !token->vacated) { /* somebody else has done it, or tried to */
        if (!token->has_anchor)
            code = hs_pool_out_of_order(token, 0, err);
        goto out;
    }
    token->climbing = true;
    code = climb(token, rung, deadline_ms, err);
    if (rung == HS_RUNG_LOGIN && is_tokens_fault(code))
        code = climb(token, HS_RUNG_RELOAD, deadline_ms, err);
    tell_others(token, code, err);
out:
    (void)pthread_mutex_unlock(&token->lock);
    return code;
}

/* ---- Requests ---- */

struct request {
    struct hs_p11_token *token;
    const struct hs_p11_operation *operation;
    int64_t deadline_ms;
    bool probe; /* let through by an open circuit */
    bool climbed, climb_failed;
    bool seeks_key;      /* restarts the module for a key that is gone */
    CK_RV rv;            /* what the token answered last */
    uint64_t generation; /* under which it was tried last */
};

/* `*out_rung` is where to start: a probe begins at the top, and without an anchor there is no login to rely on. */
static enum hsmart_code
begin(struct request *request, enum hs_rung *out_rung, hsmart_err *err)
{
    struct hs_p11_token *token = request->token;
    int64_t now_ms = hs_clock_monotonic_ms();
    enum hsmart_code code = HSMART_OK;

    (void)pthread_mutex_lock(&token->lock);
    enum hs_circuit_answer answer = token->stopped ? HS_CIRCUIT_REFUSE : hs_circuit_enter(&token->circuit, now_ms);
    if (token->stopped)
        code = hs_pool_stopped(token, err);
    else if (answer == HS_CIRCUIT_REFUSE)
        code = hs_pool_out_of_order(token, hs_circuit_wait_ms(&token->circuit, now_ms), err);
    request->probe = answer == HS_CIRCUIT_PROBE;
    request->generation = token->generation;
    if (request->probe)
        *out_rung = HS_RUNG_RELOAD;
    else if (!token->has_anchor && !token->climbing)
        *out_rung = HS_RUNG_LOGIN;
    token->request_count += code == HSMART_OK;
    (void)pthread_mutex_unlock(&token->lock);
    return code;
}

/* A stale handle that names another object by now is answered as if the key could not do it (NSS softokn, after a
 * logout). The session tells whether that is so; after a login of this request it stands. */
static bool
has_lost_login(const struct request *request, struct hs_p11_session *session, enum hsmart_code code)
{
    return code == HSMART_TOKEN_INCAPABLE && !request->climbed && request->token->pin_source.kind != NULL &&
           hs_p11_session_is_public(session);
}

static enum hsmart_code
try_once(struct request *request, hsmart_err *err)
{
    struct hs_p11_token *token = request->token;
    const struct hs_p11_operation *operation = request->operation;
    struct hs_p11_session *session = NULL;
    int64_t left_ms = request->deadline_ms - hs_clock_monotonic_ms();
    enum hsmart_code code;

    (void)pthread_mutex_lock(&token->lock);
    request->generation = token->generation;
    (void)pthread_mutex_unlock(&token->lock);
    code = hs_pool_acquire(token, false, left_ms > 0 ? (unsigned)left_ms : 0, &session, &request->rv, err);
    if (code != HSMART_OK)
        return code;
    session->deadline_ms = request->deadline_ms;
    code = operation->run(operation->arg, session, err);
    request->rv = session->last_rv;
    if (has_lost_login(request, session, code)) {
        request->rv = CKR_USER_NOT_LOGGED_IN;
        code = hs_ckr_set(err, request->rv);
    }
    request->generation = session->generation;
    hs_p11_token_release(token, session);
    if (code == HSMART_OK && operation->check != NULL)
        code = operation->check(operation->arg, err);
    return code;
}

static enum hsmart_code
climb_and_try(struct request *request, enum hs_rung rung, hsmart_err *err)
{
    if (rung >= HS_RUNG_LOGIN) {
        enum hsmart_code code = climb_rung(request->token, rung, request->generation, request->deadline_ms, err);
        request->climbed = true;
        request->climb_failed = code != HSMART_OK;
        if (code != HSMART_OK)
            return code;
    }
    return try_once(request, err);
}

/* A key whose files could not be read for a moment, or that is newer than the module's start, is shown by some modules
 * only after a restart (SoftHSM2, nShield). At growing intervals, since the token's other keys are in use meanwhile. */
static bool
may_seek_key(struct request *request)
{
    struct hs_p11_token *token = request->token;

    (void)pthread_mutex_lock(&token->lock);
    request->seeks_key = hs_circuit_enter(&token->seeking, hs_clock_monotonic_ms()) != HS_CIRCUIT_REFUSE;
    (void)pthread_mutex_unlock(&token->lock);
    return request->seeks_key;
}

/* Another key, a PIN, a policy, a mechanism: nothing that a new session cures. */
static enum hs_rung
rung_after(struct request *request, enum hsmart_code code, enum hs_rung rung)
{
    if (code == HSMART_OK || request->climb_failed || hs_clock_monotonic_ms() >= request->deadline_ms)
        return HS_RUNG_NONE;
    if (code == HSMART_SIGNATURE_WRONG)
        return rung < HS_RUNG_RELOAD ? HS_RUNG_RELOAD : HS_RUNG_NONE;
    if (code == HSMART_KEY_ABSENT)
        return rung < HS_RUNG_RELOAD && may_seek_key(request) ? HS_RUNG_RELOAD : HS_RUNG_NONE;
    if (is_tokens_fault(code) || code == HSMART_TOKEN_BUSY)
        return hs_p11_rung_after(request->rv, rung);
    return HS_RUNG_NONE;
}

/* The circuit opens when nothing brought the token back, a PIN that is refused by now included; not for a key that is
 * absent or a signature that is wrong, which say nothing of the others' requests. */
static void
end(struct request *request, enum hsmart_code code, enum hs_rung rung)
{
    struct hs_p11_token *token = request->token;
    bool out_of_time = hs_clock_monotonic_ms() >= request->deadline_ms;
    bool climbed_in_vain = request->climb_failed && code != HSMART_TOKEN_UNAVAILABLE;
    bool failed_on_top = is_tokens_fault(code) && (rung == HS_RUNG_RELOAD || out_of_time);

    (void)pthread_mutex_lock(&token->lock);
    bool was_open = token->circuit.failures > 0, climbed = rung >= HS_RUNG_LOGIN && !request->climb_failed;
    bool is_current = request->generation == token->generation; /* else the login that it had may be gone by now */
    if ((code == HSMART_OK && is_current) || (request->probe && climbed && !failed_on_top))
        hs_circuit_succeed(&token->circuit);
    else if (climbed_in_vain || failed_on_top)
        hs_circuit_fail(&token->circuit, hs_clock_monotonic_ms(), hs_random_below(1U << 16));
    else if (request->probe)
        hs_circuit_abandon(&token->circuit);
    int64_t now_ms = hs_clock_monotonic_ms();
    if (request->seeks_key && code == HSMART_OK)
        hs_circuit_succeed(&token->seeking);
    else if (request->seeks_key && now_ms >= token->seeking.open_until_ms) /* several that sought at once count once */
        hs_circuit_fail(&token->seeking, now_ms, hs_random_below(1U << 16));
    bool is_open = token->circuit.failures > 0;
    token->request_count--;
    if (token->stopped)
        (void)pthread_cond_broadcast(&token->changed);
    (void)pthread_mutex_unlock(&token->lock);
    if (was_open && !is_open)
        hs_log_warning(&token->log, "token \"%s\" works again", token->name);
}

enum hsmart_code
hs_p11_token_request(struct hs_p11_token *token, const struct hs_p11_operation *operation, hsmart_err *err)
{
    enum hsmart_code code;
    enum hs_rung rung = HS_RUNG_NONE, next = HS_RUNG_NONE;
    hsmart_err own = {0};
    struct request request = {
        .token = token, .operation = operation, .deadline_ms = hs_clock_monotonic_ms() + token->timeout_ms};

    if (err == NULL)
        err = &own; /* the others are told as well */
    code = hs_pool_check_fork(token, err);
    if (code == HSMART_OK)
        code = begin(&request, &next, err);
    if (code != HSMART_OK)
        return code;
    do {
        rung = next;
        code = climb_and_try(&request, rung, err);
        next = rung_after(&request, code, rung);
    } while (next != HS_RUNG_NONE);
    end(&request, code, rung);
    return code;
}
