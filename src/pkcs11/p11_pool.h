/* The sessions of a token: opened one at a time, lent to one caller each, closed when anything about them is doubtful.
 */
#ifndef HS_P11_POOL_H
#define HS_P11_POOL_H

#include "p11_session.h"

struct hs_p11_token;

/* ---- Borrowing ---- */

/* A session for the caller alone, opened when none is free and the limit is not reached, else waited for until
 * `timeout_ms` has passed (HSMART_TOKEN_BUSY). `read_write` sessions are never kept. Every session acquired is
 * released, by the thread that acquired it or another; one that is doubtful is closed then.
 * HSMART_FORKED: the token has to be opened anew in the child. HSMART_TOKEN_STOPPED: after `hs_p11_token_stop`. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_acquire(struct hs_p11_token *token, bool read_write,
                                                        unsigned timeout_ms, struct hs_p11_session **out_session,
                                                        hsmart_err *err);
void hs_p11_token_release(struct hs_p11_token *token, struct hs_p11_session *lent);
#define HS_P11_ACQUIRE_TIMEOUT_MS 5000U

/* ---- For the modules that open and recover tokens ---- */

/* The lock, the condition and the limit asked for; `token->max_sessions` is checked. */
HSMART_MUST_CHECK enum hsmart_code hs_pool_new(struct hs_p11_token *token, unsigned max_sessions, hsmart_err *err);
/* How many sessions there may be, by what the token says of itself. */
void hs_pool_set_limit(struct hs_p11_token *token);
/* Closes what is open, the anchor last; in a forked child it closes nothing. */
void hs_pool_free(struct hs_p11_token *token);
/* The same for a recovery, with the lock held, which is let go while sessions are closed. */
void hs_pool_drop_sessions(struct hs_p11_token *token);
/* C_OpenSession; read-write where the token takes no other. */
CK_RV hs_pool_open_raw(struct hs_p11_token *token, bool read_write, CK_SESSION_HANDLE *out_handle);
/* As hs_p11_token_acquire; `*out_rv` is why a session could not be opened. */
HSMART_MUST_CHECK enum hsmart_code hs_pool_acquire(struct hs_p11_token *token, bool read_write, unsigned timeout_ms,
                                                   struct hs_p11_session **out_session, CK_RV *out_rv, hsmart_err *err);
/* Waits for a change until the deadline; false when it has passed. The lock is held. */
bool hs_pool_wait(struct hs_p11_token *token, int64_t deadline_ms);
/* Waits until nobody is inside the module; false when the deadline has passed before. The lock is held. */
bool hs_pool_wait_until_quiet(struct hs_p11_token *token, int64_t deadline_ms);
/* HSMART_FORKED in a child of the process that opened the token. */
HSMART_MUST_CHECK enum hsmart_code hs_pool_check_fork(const struct hs_p11_token *token, hsmart_err *err);
/* HSMART_TOKEN_UNAVAILABLE, with what the last recovery came to. The lock is held. */
HSMART_MUST_CHECK enum hsmart_code hs_pool_out_of_order(const struct hs_p11_token *token, int64_t wait_ms,
                                                        hsmart_err *err);
/* Makes room for a restart of the module by another of its tokens (p11_module.h), and takes it up again; `arg` is the
 * token. */
bool hs_pool_vacate(void *arg);
void hs_pool_resume(void *arg);
/* HSMART_TOKEN_STOPPED. */
HSMART_MUST_CHECK enum hsmart_code hs_pool_stopped(const struct hs_p11_token *token, hsmart_err *err);

#endif
