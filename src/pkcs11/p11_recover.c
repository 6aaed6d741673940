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

/* ---- Requests ---- */

enum request_end {
    REQUEST_GOOD,   /* the circuit closes */
    REQUEST_BROKEN, /* the ladder was climbed to its end in vain: the circuit opens */
    REQUEST_OTHER,  /* failed for a reason that says nothing of the token */
};

static enum hsmart_code
begin(struct hs_p11_token *token, bool *out_probe, uint64_t *out_generation, hsmart_err *err)
{
    (void)pthread_mutex_lock(&token->lock);
    int64_t now_ms = hs_clock_monotonic_ms();
    enum hs_circuit_answer answer = hs_circuit_enter(&token->circuit, now_ms);
    int64_t wait_ms = hs_circuit_wait_ms(&token->circuit, now_ms);
    *out_generation = token->generation;
    (void)pthread_mutex_unlock(&token->lock);
    if (answer == HS_CIRCUIT_REFUSE)
        return hs_err_set(err, HSMART_TOKEN_UNAVAILABLE, "token \"%s\" is out of order; it is tried again in %lld ms",
                          token->name, (long long)wait_ms);
    *out_probe = answer == HS_CIRCUIT_PROBE;
    return HSMART_OK;
}

static void
end(struct hs_p11_token *token, bool probe, enum request_end how)
{
    bool was_open = false;

    (void)pthread_mutex_lock(&token->lock);
    was_open = token->circuit.failures > 0;
    if (how == REQUEST_GOOD)
        hs_circuit_succeed(&token->circuit);
    else if (how == REQUEST_BROKEN)
        hs_circuit_fail(&token->circuit, hs_clock_monotonic_ms(), hs_random_below(1U << 16));
    else if (probe)
        hs_circuit_abandon(&token->circuit);
    (void)pthread_mutex_unlock(&token->lock);
    if (how == REQUEST_GOOD && was_open)
        hs_log_warning(&token->log, "token \"%s\" works again", token->name);
}

/* How one try went, for the choice of what to do next. */
struct attempt {
    CK_RV rv;            /* what the token answered last */
    uint64_t generation; /* under which it was tried */
};

static enum hsmart_code
try_once(struct hs_p11_token *token, const struct hs_p11_operation *operation, int64_t deadline_ms,
         struct attempt *out_attempt, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_p11_session *session = NULL;
    int64_t left_ms = deadline_ms - hs_clock_monotonic_ms();

    code = hs_p11_token_acquire(token, false, left_ms > 0 ? (unsigned)left_ms : 0, &session, err);
    if (code != HSMART_OK) {
        (void)pthread_mutex_lock(&token->lock);
        *out_attempt = (struct attempt){token->last_open_rv, token->generation};
        (void)pthread_mutex_unlock(&token->lock);
        return code;
    }
    code = operation->run(operation->arg, session, err);
    *out_attempt = (struct attempt){session->last_rv, session->generation};
    hs_p11_token_release(token, session);
    if (code == HSMART_OK && operation->check != NULL)
        code = operation->check(operation->arg, err);
    return code;
}

/* A key that is gone or another one, a PIN, a policy, a mechanism: nothing that a new session cures. */
static enum hs_rung
rung_after(enum hsmart_code code, const struct attempt *attempt, unsigned failures)
{
    switch (code) {
    case HSMART_SIGNATURE_WRONG:
        return failures == 0 ? HS_RUNG_RELOAD : HS_RUNG_STOP;
    case HSMART_TOKEN_FAILED:
    case HSMART_TOKEN_ABSENT:
    case HSMART_TOKEN_BUSY:
    case HSMART_SESSION_LOST:
        return hs_p11_rung_after(attempt->rv, failures);
    default:
        return HS_RUNG_STOP;
    }
}

static enum hsmart_code climb_rung(struct hs_p11_token *token, enum hs_rung rung, uint64_t seen_generation,
                                   int64_t deadline_ms, hsmart_err *err);

enum hsmart_code
hs_p11_token_request(struct hs_p11_token *token, const struct hs_p11_operation *operation, hsmart_err *err)
{
    enum hsmart_code code;
    enum hs_rung rung = HS_RUNG_STOP, next = HS_RUNG_STOP;
    bool probe = false;
    struct attempt attempt = {0};
    int64_t deadline_ms = hs_clock_monotonic_ms() + token->timeout_ms;

    code = hs_token_check_fork(token, err);
    if (code == HSMART_OK)
        code = begin(token, &probe, &attempt.generation, err);
    if (code != HSMART_OK)
        return code;
    next = probe ? HS_RUNG_RELOAD : HS_RUNG_NEW_SESSION;
    for (unsigned failures = 0; next != HS_RUNG_STOP; failures++) {
        rung = next;
        if (rung == HS_RUNG_LOGIN || rung == HS_RUNG_RELOAD)
            code = climb_rung(token, rung, attempt.generation, deadline_ms, err);
        if (code == HSMART_OK)
            code = try_once(token, operation, deadline_ms, &attempt, err);
        if (code == HSMART_OK)
            break;
        next = hs_clock_monotonic_ms() < deadline_ms ? rung_after(code, &attempt, failures) : HS_RUNG_STOP;
        if (next <= rung && rung == HS_RUNG_RELOAD)
            next = HS_RUNG_STOP; /* there is nothing above it */
        if (next != HS_RUNG_STOP)
            code = HSMART_OK;
    }
    end(token, probe, code == HSMART_OK ? REQUEST_GOOD : rung == HS_RUNG_RELOAD ? REQUEST_BROKEN : REQUEST_OTHER);
    return code;
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

/* Climbs, unless somebody else did since `seen_generation`; one climber at a time, the others wait for it. */
static enum hsmart_code
climb_rung(struct hs_p11_token *token, enum hs_rung rung, uint64_t seen_generation, int64_t deadline_ms,
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
