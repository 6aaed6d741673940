/* Sessions: opened one at a time, lent to one caller each, closed when anything about them is doubtful. */
#define _GNU_SOURCE
#include <errno.h>
#include <time.h>

#include "clock.h"
#include "err.h"
#include "p11_ckr.h"
#include "p11_token_internal.h"

#define SESSIONS_DEFAULT 4U
#define SESSIONS_MAX 64U
#define SESSIONS_BELIEVABLE 0x7fffffffUL /* tokens report 0, all ones and all ones less one for "many" */

CK_RV
hs_pool_open_raw(struct hs_p11_token *token, bool read_write, CK_SESSION_HANDLE *out_handle)
{
    CK_FUNCTION_LIST *p11 = token->module->p11;
    bool ask_rw = read_write || (token->quirks & HS_QUIRK_RW_SESSIONS) != 0;
    CK_FLAGS flags = CKF_SERIAL_SESSION | (ask_rw ? CKF_RW_SESSION : 0);

    CK_RV rv = p11->C_OpenSession(token->slot, flags, NULL, NULL, out_handle);
    /* Some refuse read-only sessions, each with a code of its own; and none opens beside a security officer. */
    if (!ask_rw && (rv == CKR_FUNCTION_FAILED || rv == CKR_SESSION_READ_WRITE_SO_EXISTS))
        rv = p11->C_OpenSession(token->slot, flags | CKF_RW_SESSION, NULL, NULL, out_handle);
    return rv;
}

/* A limit of sessions hit while opening fast shows as ARGUMENTS_BAD on AWS CloudHSM. */
static bool
means_no_room(CK_RV rv)
{
    return hs_ckr_row_of(rv)->class == HS_CKR_CAPACITY || rv == CKR_ARGUMENTS_BAD;
}

enum hsmart_code
hs_pool_open(struct hs_p11_token *token, unsigned max_sessions, hsmart_err *err)
{
    pthread_condattr_t attributes;
    CK_ULONG reported = token->raw.ulMaxSessionCount;
    unsigned limit = max_sessions != 0 ? max_sessions : SESSIONS_DEFAULT;

    if (limit > SESSIONS_MAX)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "at most %u sessions can be used at once", SESSIONS_MAX);
    if (reported > 1 && reported <= SESSIONS_BELIEVABLE && reported - 1 < limit)
        limit = (unsigned)reported - 1; /* one is the anchor's */
    token->limit = token->module->single_threaded ? 1 : limit;
    (void)pthread_mutex_init(&token->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&token->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return HSMART_OK;
}

void
hs_pool_close_idle(struct hs_p11_token *token)
{
    while (token->idle != NULL) {
        struct pooled_session *first = token->idle;
        token->idle = first->next;
        (void)token->module->p11->C_CloseSession(first->session.handle);
        hs_free(first);
        token->open_count--;
    }
}

void
hs_pool_close(struct hs_p11_token *token)
{
    hs_pool_close_idle(token);
    if (token->has_anchor)
        (void)token->module->p11->C_CloseSession(token->anchor);
    token->has_anchor = false;
    (void)pthread_cond_destroy(&token->changed);
    (void)pthread_mutex_destroy(&token->lock);
}

bool
hs_pool_wait(struct hs_p11_token *token, int64_t deadline_ms)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000), .tv_nsec = (long)(deadline_ms % 1000) * 1000000};

    return pthread_cond_timedwait(&token->changed, &token->lock, &until) != ETIMEDOUT;
}

/* Opens one more while the lock is let go: a token may take long, and two at once get one handle on tpm2-pkcs11. */
static enum hsmart_code
open_one(struct hs_p11_token *token, bool read_write, struct pooled_session **out_session, hsmart_err *err)
{
    struct pooled_session *session = hs_calloc(1, sizeof *session);
    CK_SESSION_HANDLE handle = 0;

    if (session == NULL)
        return hs_err_no_memory(err);
    token->opening = true;
    token->open_count++;
    uint64_t generation = token->generation;
    (void)pthread_mutex_unlock(&token->lock);
    CK_RV rv = hs_pool_open_raw(token, read_write, &handle);
    (void)pthread_mutex_lock(&token->lock);
    token->opening = false;
    (void)pthread_cond_broadcast(&token->changed);
    if (rv != CKR_OK) {
        token->open_count--;
        hs_free(session);
        if (means_no_room(rv) && token->open_count > 0)
            token->limit = token->open_count; /* that many it can do */
        token->last_open_rv = rv;
        (void)hs_ckr_set(err, rv);
        return means_no_room(rv) ? HSMART_TOKEN_BUSY : hs_ckr_row_of(rv)->code;
    }
    session->session = (struct hs_p11_session){.p11 = token->module->p11, .handle = handle, .generation = generation};
    session->read_write = read_write;
    *out_session = session;
    return HSMART_OK;
}

static enum hsmart_code
busy(struct hs_p11_token *token, unsigned timeout_ms, hsmart_err *err)
{
    token->last_open_rv = CKR_SESSION_COUNT;
    return hs_err_set(err, HSMART_TOKEN_BUSY,
                      token->climbing ? "token \"%s\" was still being recovered after %u ms (%u sessions in use)"
                                      : "token \"%s\" had no session free within %u ms (%u in use)",
                      token->name, timeout_ms, token->busy_count);
}

/* With the lock held. Read-write sessions are opened for the caller even above the limit: they are rare, and a ceremony
 * must not wait for signers. */
static enum hsmart_code
take_session(struct hs_p11_token *token, bool read_write, unsigned timeout_ms, struct pooled_session **out_session,
             hsmart_err *err)
{
    int64_t deadline_ms = hs_clock_monotonic_ms() + timeout_ms;
    enum hsmart_code code;

    for (;;) {
        if (!token->climbing && !read_write && token->idle != NULL) {
            *out_session = token->idle;
            token->idle = token->idle->next;
            return HSMART_OK;
        }
        bool may_open = !token->climbing && !token->opening && (read_write || token->open_count < token->limit);
        if (may_open) {
            code = open_one(token, read_write, out_session, err);
            if (code != HSMART_TOKEN_BUSY || token->open_count == 0)
                return code;
            if (token->idle != NULL)
                continue;
        }
        if (!hs_pool_wait(token, deadline_ms))
            return busy(token, timeout_ms, err);
    }
}

enum hsmart_code
hs_p11_token_acquire(struct hs_p11_token *token, bool read_write, unsigned timeout_ms,
                     struct hs_p11_session **out_session, hsmart_err *err)
{
    struct pooled_session *session = NULL;
    enum hsmart_code code = hs_token_check_fork(token, err);

    if (code != HSMART_OK)
        return code;
    (void)pthread_mutex_lock(&token->lock);
    code = take_session(token, read_write, timeout_ms, &session, err);
    if (code == HSMART_OK)
        token->busy_count++;
    (void)pthread_mutex_unlock(&token->lock);
    if (code != HSMART_OK)
        return hs_err_wrap(err, code, "cannot get a session");
    session->session.last_rv = CKR_OK;
    *out_session = &session->session;
    return HSMART_OK;
}

void
hs_p11_token_release(struct hs_p11_token *token, struct hs_p11_session *lent)
{
    struct pooled_session *session = (struct pooled_session *)lent;

    if (hs_token_check_fork(token, NULL) != HSMART_OK) {
        hs_free(session); /* the handle is the parent's */
        return;
    }
    (void)pthread_mutex_lock(&token->lock);
    token->busy_count--;
    bool keep = !lent->doubtful && !session->read_write && lent->generation == token->generation;
    if (keep) {
        session->next = token->idle;
        token->idle = session;
    }
    (void)pthread_cond_broadcast(&token->changed);
    (void)pthread_mutex_unlock(&token->lock);
    if (keep)
        return;
    (void)token->module->p11->C_CloseSession(lent->handle);
    hs_free(session);
    (void)pthread_mutex_lock(&token->lock);
    token->open_count--;
    (void)pthread_cond_broadcast(&token->changed);
    (void)pthread_mutex_unlock(&token->lock);
}
