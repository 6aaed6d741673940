#define _GNU_SOURCE /* pthread_condattr_setclock */
#include "p11_pool.h"

#include <errno.h>
#include <time.h>

#include "clock.h"
#include "err.h"
#include "p11_ckr.h"
#include "p11_token_state.h"

#define SESSIONS_DEFAULT 4U
#define SESSIONS_MAX 64U
#define SESSIONS_BELIEVABLE 0x7fffffffUL /* tokens report 0, all ones and all ones less one for "many" */
#define SHRUNK_FOR_MS 60000              /* others may have taken the room, and give it back */
#define ROOM_LOOK_MS 50                  /* how often a token is asked again that has no room for even one */

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

/* ---- Whether the token may be used at all ---- */

enum hsmart_code
hs_pool_check_fork(const struct hs_p11_token *token, hsmart_err *err)
{
    if (!hs_p11_module_is_from_before_fork(token->module))
        return HSMART_OK;
    return hs_err_set(err, HSMART_FORKED,
                      "token \"%s\" was opened before this process was forked and is not used in the child",
                      token->name);
}

enum hsmart_code
hs_pool_out_of_order(const struct hs_p11_token *token, int64_t wait_ms, hsmart_err *err)
{
    const char *colon = token->trouble[0] != 0 ? ": " : "";

    if (wait_ms > 0)
        return hs_err_set(err, HSMART_TOKEN_UNAVAILABLE, "token \"%s\" is out of order and tried again in %lld ms%s%s",
                          token->name, (long long)wait_ms, colon, token->trouble);
    return hs_err_set(err, HSMART_TOKEN_UNAVAILABLE,
                      "token \"%s\" is out of order and being tried by another request%s%s", token->name, colon,
                      token->trouble);
}

enum hsmart_code
hs_pool_stopped(const struct hs_p11_token *token, hsmart_err *err)
{
    return hs_err_set(err, HSMART_TOKEN_STOPPED, "this program has ended its use of token \"%s\"", token->name);
}

/* ---- Making and unmaking ---- */

enum hsmart_code
hs_pool_new(struct hs_p11_token *token, unsigned max_sessions, hsmart_err *err)
{
    pthread_condattr_t attributes;

    (void)pthread_mutex_init(&token->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&token->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    if (max_sessions > SESSIONS_MAX)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "at most %u sessions can be used at once", SESSIONS_MAX);
    token->max_sessions = max_sessions;
    token->climbing = true; /* until it is open */
    return HSMART_OK;
}

void
hs_pool_set_limit(struct hs_p11_token *token)
{
    CK_ULONG reported = token->raw.ulMaxSessionCount;
    unsigned limit = token->max_sessions != 0 ? token->max_sessions : SESSIONS_DEFAULT;

    if (reported > 1 && reported <= SESSIONS_BELIEVABLE && reported - 1 < limit)
        limit = (unsigned)reported - 1; /* one is the anchor's */
    (void)pthread_mutex_lock(&token->lock);
    token->limit = limit;
    token->shrunk_until_ms = 0;
    (void)pthread_mutex_unlock(&token->lock);
}

static void
close_list(struct hs_p11_token *token, struct hs_pooled_session *first)
{
    while (first != NULL) {
        struct hs_pooled_session *next = first->next;
        (void)token->module->p11->C_CloseSession(first->session.handle);
        hs_free(first);
        first = next;
    }
}

static unsigned
count_list(const struct hs_pooled_session *first)
{
    unsigned count = 0;

    for (; first != NULL; first = first->next)
        count++;
    return count;
}

void
hs_pool_drop_sessions(struct hs_p11_token *token)
{
    struct hs_pooled_session *idle = token->idle;
    bool had_anchor = token->has_anchor;
    unsigned idle_count = count_list(idle);

    token->idle = NULL;
    token->has_anchor = false;
    (void)pthread_mutex_unlock(&token->lock);
    close_list(token, idle);
    if (had_anchor)
        (void)token->module->p11->C_CloseSession(token->anchor);
    (void)pthread_mutex_lock(&token->lock);
    token->open_count -= idle_count;
}

/* As a recovery does, but for the login, which the next request makes: only it has a deadline for that. */
bool
hs_pool_vacate(void *arg)
{
    struct hs_p11_token *token = arg;

    (void)pthread_mutex_lock(&token->lock);
    bool is_free = !token->climbing && !token->opening && token->busy_count == 0;
    if (is_free) {
        token->climbing = true;
        hs_pool_drop_sessions(token);
        token->generation++;
        token->vacated = true;
    }
    (void)pthread_mutex_unlock(&token->lock);
    return is_free;
}

void
hs_pool_resume(void *arg)
{
    struct hs_p11_token *token = arg;

    (void)pthread_mutex_lock(&token->lock);
    token->climbing = false;
    (void)pthread_cond_broadcast(&token->changed);
    (void)pthread_mutex_unlock(&token->lock);
}

void
hs_pool_free(struct hs_p11_token *token)
{
    if (token->module != NULL && hs_p11_module_is_from_before_fork(token->module))
        return; /* the sessions are the parent's, and so may be the lock's holder */
    (void)pthread_mutex_lock(&token->lock);
    hs_pool_drop_sessions(token);
    (void)pthread_mutex_unlock(&token->lock);
    (void)pthread_cond_destroy(&token->changed);
    (void)pthread_mutex_destroy(&token->lock);
}

/* ---- Lending ---- */

bool
hs_pool_wait(struct hs_p11_token *token, int64_t deadline_ms)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000), .tv_nsec = (long)(deadline_ms % 1000) * 1000000};

    return pthread_cond_timedwait(&token->changed, &token->lock, &until) != ETIMEDOUT;
}

bool
hs_pool_wait_until_quiet(struct hs_p11_token *token, int64_t deadline_ms)
{
    while (token->busy_count > 0 || token->opening)
        if (!hs_pool_wait(token, deadline_ms) && (token->busy_count > 0 || token->opening))
            return false;
    return true;
}

/* Read-write sessions are opened above the limit: they are rare, and a ceremony must not wait for signers. A module
 * that cannot lock has one session besides the anchor, and so one call at a time. */
static bool
has_room(const struct hs_p11_token *token, bool read_write)
{
    bool shrunk = hs_clock_monotonic_ms() < token->shrunk_until_ms;

    if (token->module->single_threaded)
        return token->open_count == 0;
    return read_write || token->open_count < (shrunk ? token->shrunk_limit : token->limit);
}

/* Opens one more while the lock is let go: a token may take long, and two at once get one handle on tpm2-pkcs11.
 * HSMART_TOKEN_BUSY when the token has no room. */
static enum hsmart_code
open_one(struct hs_p11_token *token, bool read_write, struct hs_pooled_session **out_session, CK_RV *out_rv,
         hsmart_err *err)
{
    struct hs_pooled_session *session = hs_calloc(1, sizeof *session);
    CK_SESSION_HANDLE handle = 0;
    uint64_t generation = token->generation;

    if (session == NULL)
        return hs_err_no_memory(err);
    token->opening = true;
    token->open_count++;
    (void)pthread_mutex_unlock(&token->lock);
    CK_RV rv = hs_pool_open_raw(token, read_write, &handle);
    (void)pthread_mutex_lock(&token->lock);
    token->opening = false;
    (void)pthread_cond_broadcast(&token->changed);
    *out_rv = rv;
    if (rv != CKR_OK) {
        token->open_count--;
        hs_free(session);
        enum hsmart_code code = hs_ckr_set(err, rv);
        if (!means_no_room(rv))
            return code;
        if (token->open_count > 0) {
            token->shrunk_limit = token->open_count; /* that many it can do */
            token->shrunk_until_ms = hs_clock_monotonic_ms() + SHRUNK_FOR_MS;
        }
        return HSMART_TOKEN_BUSY;
    }
    session->session = (struct hs_p11_session){.p11 = token->module->p11, .handle = handle, .generation = generation};
    session->read_write = read_write;
    *out_session = session;
    return HSMART_OK;
}

static void
close_one_idle(struct hs_p11_token *token)
{
    struct hs_pooled_session *first = token->idle;

    token->idle = first->next;
    first->next = NULL;
    token->busy_count++; /* somebody is inside the module */
    (void)pthread_mutex_unlock(&token->lock);
    close_list(token, first);
    (void)pthread_mutex_lock(&token->lock);
    token->busy_count--;
    token->open_count--;
    (void)pthread_cond_broadcast(&token->changed);
}

/* Time is up. `*out_rv` is what the token answered last, when it was asked. */
static enum hsmart_code
busy(const struct hs_p11_token *token, unsigned timeout_ms, CK_RV *out_rv, hsmart_err *err)
{
    const char *what = token->climbing ? "was still being recovered after" : "had no session free within";

    if (*out_rv == CKR_OK) {
        *out_rv = CKR_SESSION_COUNT;
        return hs_err_set(err, HSMART_TOKEN_BUSY, "token \"%s\" %s %u ms (%u in use)", token->name, what, timeout_ms,
                          token->busy_count);
    }
    (void)hs_ckr_set(err, *out_rv);
    return hs_err_wrap(err, HSMART_TOKEN_BUSY, "token \"%s\" %s %u ms (%u in use)", token->name, what, timeout_ms,
                       token->busy_count);
}

/* With the lock held. */
static enum hsmart_code
take_session(struct hs_p11_token *token, bool read_write, unsigned timeout_ms, struct hs_pooled_session **out_session,
             CK_RV *out_rv, hsmart_err *err)
{
    int64_t deadline_ms = hs_clock_monotonic_ms() + timeout_ms;

    for (;;) {
        bool may_go_on = !token->climbing && !token->opening;
        if (token->stopped)
            return hs_pool_stopped(token, err);
        if (!token->climbing && !token->has_anchor) {
            *out_rv = token->vacated ? CKR_USER_NOT_LOGGED_IN : CKR_OK;
            return token->vacated ? hs_ckr_set(err, CKR_USER_NOT_LOGGED_IN) : hs_pool_out_of_order(token, 0, err);
        }
        if (!token->climbing && !read_write && token->idle != NULL) {
            *out_session = token->idle;
            token->idle = token->idle->next;
            return HSMART_OK;
        }
        if (may_go_on && has_room(token, read_write)) {
            enum hsmart_code code = open_one(token, read_write, out_session, out_rv, err);
            if (code != HSMART_TOKEN_BUSY)
                return code;
            may_go_on = !token->climbing && !token->opening;
        }
        if (may_go_on && read_write && token->idle != NULL) {
            close_one_idle(token); /* makes room */
            continue;
        }
        /* When none of ours can come back, it is others who give room: nobody tells us. */
        int64_t look_ms = hs_clock_monotonic_ms() + ROOM_LOOK_MS;
        bool others_have_it = may_go_on && token->busy_count == 0 && look_ms < deadline_ms;
        if (!hs_pool_wait(token, others_have_it ? look_ms : deadline_ms) && !others_have_it)
            return busy(token, timeout_ms, out_rv, err);
    }
}

enum hsmart_code
hs_pool_acquire(struct hs_p11_token *token, bool read_write, unsigned timeout_ms, struct hs_p11_session **out_session,
                CK_RV *out_rv, hsmart_err *err)
{
    struct hs_pooled_session *session = NULL;
    enum hsmart_code code = hs_pool_check_fork(token, err);

    if (code != HSMART_OK)
        return code;
    *out_rv = CKR_OK;
    (void)pthread_mutex_lock(&token->lock);
    code = take_session(token, read_write, timeout_ms, &session, out_rv, err);
    if (code == HSMART_OK)
        token->busy_count++;
    (void)pthread_mutex_unlock(&token->lock);
    if (code != HSMART_OK)
        return hs_err_wrap(err, code, "cannot get a session");
    session->session.last_rv = CKR_OK;
    session->session.deadline_ms = 0;
    *out_session = &session->session;
    return HSMART_OK;
}

enum hsmart_code
hs_p11_token_acquire(struct hs_p11_token *token, bool read_write, unsigned timeout_ms,
                     struct hs_p11_session **out_session, hsmart_err *err)
{
    CK_RV rv = CKR_OK;

    return hs_pool_acquire(token, read_write, timeout_ms, out_session, &rv, err);
}

void
hs_p11_token_release(struct hs_p11_token *token, struct hs_p11_session *lent)
{
    struct hs_pooled_session *session = (struct hs_pooled_session *)lent;

    if (hs_pool_check_fork(token, NULL) != HSMART_OK) {
        hs_free(session); /* the handle is the parent's */
        return;
    }
    (void)pthread_mutex_lock(&token->lock);
    bool keep = !lent->doubtful && !session->read_write && lent->generation == token->generation && !token->climbing;
    if (keep) {
        session->next = token->idle;
        token->idle = session;
    } else {
        /* It counts as busy until it is closed: who restarts the module waits for that. */
        session->next = NULL;
        (void)pthread_mutex_unlock(&token->lock);
        close_list(token, session);
        (void)pthread_mutex_lock(&token->lock);
        token->open_count--;
    }
    token->busy_count--;
    (void)pthread_cond_broadcast(&token->changed);
    (void)pthread_mutex_unlock(&token->lock);
}
