/* One token: found by URI, logged in once, with a pool of sessions. */
#ifndef HS_P11_TOKEN_H
#define HS_P11_TOKEN_H

#include <hsmart/token.h>

#include "p11_module.h"
#include "p11_quirk.h"
#include "p11_session.h"

struct hs_p11_token;

/* As hsmart_token_open, _list_read, _init and _pin_fd of hsmart/token.h. The list is one heap block per string; see
 * `hs_p11_token_list_free`. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_open(const hsmart_token_options *options,
                                                     struct hs_p11_token **out_token, hsmart_err *err);
struct hs_p11_token *hs_p11_token_ref(struct hs_p11_token *token);
/* The last one out closes the sessions, the anchor last, and never calls C_Logout. */
void hs_p11_token_unref(struct hs_p11_token *token);

HSMART_MUST_CHECK enum hsmart_code hs_p11_token_list_read(const hsmart_token_options *options,
                                                          hsmart_token_list **out_list, hsmart_err *err);
void hs_p11_token_list_free(hsmart_token_list *list);
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_init(const hsmart_token_options *options,
                                                     const hsmart_token_init_options *init, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_pin_fd(const struct hs_p11_token *token, int *out_fd,
                                                       hsmart_err *err);

const char *hs_p11_token_get_name(const struct hs_p11_token *token); /* for messages */
const hsmart_token_info *hs_p11_token_get_info(const struct hs_p11_token *token);
const CK_TOKEN_INFO *hs_p11_token_get_raw_info(const struct hs_p11_token *token);
const struct hs_p11_module *hs_p11_token_get_module(const struct hs_p11_token *token);
const struct hs_log *hs_p11_token_get_log(const struct hs_p11_token *token);
unsigned hs_p11_token_get_quirks(const struct hs_p11_token *token);
bool hs_p11_token_logs_in(const struct hs_p11_token *token); /* it was given a PIN source */
/* By the mechanism list, read once; a hint, not a promise. */
bool hs_p11_token_lists_mechanism(const struct hs_p11_token *token, CK_MECHANISM_TYPE mechanism);

/* A session for the caller alone, opened when none is free and the limit is not reached, else waited for until
 * `timeout_ms` has passed (HSMART_TOKEN_BUSY). `read_write` sessions are never kept. Every session acquired is
 * released, by the thread that acquired it or another; one that is doubtful is closed then.
 * After a fork the child gets HSMART_FORKED: the token has to be opened anew there. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_acquire(struct hs_p11_token *token, bool read_write,
                                                        unsigned timeout_ms, struct hs_p11_session **out_session,
                                                        hsmart_err *err);
void hs_p11_token_release(struct hs_p11_token *token, struct hs_p11_session *lent);
#define HS_P11_ACQUIRE_TIMEOUT_MS 5000U

/* C_Login as CKU_CONTEXT_SPECIFIC, for a key with CKA_ALWAYS_AUTHENTICATE: after C_SignInit, once per signature,
 * through the PIN guard. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_login_for_use(struct hs_p11_token *token,
                                                              struct hs_p11_session *session, hsmart_err *err);

/* ---- Requests: an operation, and the ladder that brings the token back when it fails (docs/tokens.md) ---- */

struct hs_p11_operation {
    /* Does the work on `session`; may be run several times, each time from the start. */
    enum hsmart_code (*run)(void *arg, struct hs_p11_session *session, hsmart_err *err);
    /* Looks at the result once the session is back in the pool; NULL: nothing to look at. HSMART_SIGNATURE_WRONG means
     * that the token lied: one more try on a restarted module, then it stands. */
    enum hsmart_code (*check)(void *arg, hsmart_err *err);
    void *arg;
};
/* Runs the operation until it succeeds, the ladder ends or the token's timeout has passed (a call into the module that
 * does not come back holds up its own request alone). While the token is out of order it fails at once with
 * HSMART_TOKEN_UNAVAILABLE and the reason, but for one caller at a time, who probes it. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_request(struct hs_p11_token *token,
                                                        const struct hs_p11_operation *operation, hsmart_err *err);

enum hs_rung {
    HS_RUNG_NONE,        /* as they are; or, of what comes next: nothing helps, tell the operator */
    HS_RUNG_NEW_SESSION, /* the same again in a new session */
    HS_RUNG_LOGIN,       /* every session dropped, the anchor opened anew, one guarded login */
    HS_RUNG_RELOAD,      /* the module finalised and initialised, the token found again, one guarded login */
};
/* What to do after `rv`, when `highest` has been tried within this request. */
enum hs_rung hs_p11_rung_after(CK_RV rv, enum hs_rung highest);

/* The PIN guard of the token that `options` name: its state, and an operator's word that one more try may be made.
 * Never logs in. `out_state_path` may be NULL. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_guard_reopen(const hsmart_token_options *options, hsmart_err *err);

#endif
