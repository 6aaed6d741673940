/* The ladder: how a token comes back, one climber at a time. */
#include "clock.h"
#include "err.h"
#include "p11_ckr.h"
#include "p11_token_internal.h"

#define RUNGS_MAX 3U

/* For each class, what the first, second and third failure within one request lead to. */
static const struct {
    enum hs_ckr_class class;
    enum hs_rung rungs[RUNGS_MAX];
} ladder[] = {
    {HS_CKR_SESSION, {HS_RUNG_NEW_SESSION, HS_RUNG_LOGIN, HS_RUNG_RELOAD}},
    {HS_CKR_HANDLE, {HS_RUNG_LOGIN, HS_RUNG_RELOAD, HS_RUNG_STOP}},
    {HS_CKR_LOGIN, {HS_RUNG_LOGIN, HS_RUNG_RELOAD, HS_RUNG_STOP}},
    {HS_CKR_DEVICE, {HS_RUNG_NEW_SESSION, HS_RUNG_LOGIN, HS_RUNG_RELOAD}},
    {HS_CKR_CAPACITY, {HS_RUNG_NEW_SESSION, HS_RUNG_NEW_SESSION, HS_RUNG_STOP}},
    {HS_CKR_BUFFER, {HS_RUNG_NEW_SESSION, HS_RUNG_STOP, HS_RUNG_STOP}},
};

enum hs_rung
hs_p11_rung_after(CK_RV rv, unsigned attempt)
{
    enum hs_ckr_class class = hs_ckr_row_of(rv)->class;

    for (size_t i = 0; i < HS_ARRAY_LEN(ladder); i++)
        if (ladder[i].class == class)
            return attempt < RUNGS_MAX ? ladder[i].rungs[attempt] : HS_RUNG_STOP;
    return HS_RUNG_STOP;
}

uint64_t
hs_p11_token_get_generation(struct hs_p11_token *token)
{
    (void)pthread_mutex_lock(&token->lock);
    uint64_t generation = token->generation;
    (void)pthread_mutex_unlock(&token->lock);
    return generation;
}

CK_RV
hs_p11_token_get_open_answer(struct hs_p11_token *token)
{
    (void)pthread_mutex_lock(&token->lock);
    CK_RV rv = token->last_open_rv;
    (void)pthread_mutex_unlock(&token->lock);
    return rv;
}

/* ---- Requests ---- */

enum hsmart_code
hs_p11_token_begin(struct hs_p11_token *token, bool *out_probe, hsmart_err *err)
{
    enum hsmart_code code = hs_token_check_fork(token, err);

    if (code != HSMART_OK)
        return code;
    (void)pthread_mutex_lock(&token->lock);
    int64_t now_ms = hs_clock_monotonic_ms();
    enum hs_circuit_answer answer = hs_circuit_enter(&token->circuit, now_ms);
    int64_t wait_ms = hs_circuit_wait_ms(&token->circuit, now_ms);
    (void)pthread_mutex_unlock(&token->lock);
    if (answer == HS_CIRCUIT_REFUSE)
        return hs_err_set(err, HSMART_TOKEN_UNAVAILABLE,
                          "token \"%s\" is out of order; it is tried again in %lld ms", token->name, (long long)wait_ms);
    *out_probe = answer == HS_CIRCUIT_PROBE;
    return HSMART_OK;
}

void
hs_p11_token_end(struct hs_p11_token *token, bool probe, enum hs_request_end end)
{
    if (end == HS_REQUEST_OTHER && !probe)
        return;
    (void)pthread_mutex_lock(&token->lock);
    if (end == HS_REQUEST_GOOD) {
        if (token->circuit.failures > 0)
            hs_log_warning(&token->log, "token \"%s\" signs again", token->name);
        hs_circuit_succeed(&token->circuit);
    } else if (end == HS_REQUEST_BROKEN) {
        hs_circuit_fail(&token->circuit, hs_clock_monotonic_ms(), hs_random_below(1U << 16));
    } else {
        hs_circuit_abandon(&token->circuit);
    }
    (void)pthread_mutex_unlock(&token->lock);
}

/* ---- Climbing ---- */

/* Nobody may be inside the module when it is finalised: that corrupts memory on real ones. */
static enum hsmart_code
wait_until_quiet(struct hs_p11_token *token, int64_t deadline_ms, hsmart_err *err)
{
    while (token->busy_count > 0 || token->opening) {
        if (!hs_pool_wait(token, deadline_ms))
            return hs_err_set(err, HSMART_TOKEN_FAILED,
                              "the module cannot be restarted: %u calls into it have not come back", token->busy_count);
    }
    return HSMART_OK;
}

static void
drop_sessions(struct hs_p11_token *token)
{
    hs_pool_close_idle(token);
    if (token->has_anchor)
        (void)token->module->p11->C_CloseSession(token->anchor);
    token->has_anchor = false;
}

static enum hsmart_code
relogin(struct hs_p11_token *token, hsmart_err *err)
{
    bool false_answer = false;

    return hs_login_open_anchor(token, &false_answer, err);
}

static enum hsmart_code
reload(struct hs_p11_token *token, hsmart_err *err)
{
    return hs_token_start(token, true, err);
}

/* With the climbing flag set and the lock let go: nobody else opens, takes or keeps a session meanwhile. */
static enum hsmart_code
climb(struct hs_p11_token *token, enum hs_rung rung, hsmart_err *err)
{
    enum hsmart_code code = hs_login_read_pin(token, err);

    if (code != HSMART_OK)
        return code;
    hs_log_warning(&token->log, rung == HS_RUNG_RELOAD ? "token \"%s\" failed: the module is restarted"
                                                       : "token \"%s\" lost its session: logging in anew",
                   token->name);
    return rung == HS_RUNG_RELOAD ? reload(token, err) : relogin(token, err);
}

enum hsmart_code
hs_p11_token_climb(struct hs_p11_token *token, enum hs_rung rung, uint64_t seen_generation, int64_t deadline_ms,
                   hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    (void)pthread_mutex_lock(&token->lock);
    while (token->climbing && token->generation == seen_generation) {
        if (!hs_pool_wait(token, deadline_ms)) {
            code = hs_err_set(err, HSMART_TOKEN_FAILED, "token \"%s\" is still being recovered", token->name);
            goto out;
        }
    }
    if (token->generation != seen_generation)
        goto out; /* somebody else has done it */
    token->climbing = true;
    if (rung == HS_RUNG_RELOAD)
        code = wait_until_quiet(token, deadline_ms, err);
    if (code == HSMART_OK) {
        drop_sessions(token);
        (void)pthread_mutex_unlock(&token->lock);
        code = climb(token, rung, err);
        (void)pthread_mutex_lock(&token->lock);
        token->generation++; /* failed or not: what was open is gone */
    }
    token->climbing = false;
    (void)pthread_cond_broadcast(&token->changed);
out:
    (void)pthread_mutex_unlock(&token->lock);
    return code;
}
