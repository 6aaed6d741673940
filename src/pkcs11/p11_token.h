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
const struct hs_log *hs_p11_token_get_log(const struct hs_p11_token *token);
unsigned hs_p11_token_get_quirks(const struct hs_p11_token *token);
/* By the mechanism list, read once; a hint, not a promise. */
bool hs_p11_token_lists_mechanism(const struct hs_p11_token *token, CK_MECHANISM_TYPE mechanism);

/* A session for the caller alone, opened when none is free and the limit is not reached, else waited for until
 * `timeout_ms` has passed (HSMART_TOKEN_BUSY). `read_write` sessions are never kept. Every session acquired is
 * released, by the thread that acquired it or another; one that is doubtful is closed then.
 * After a fork the child gets HSMART_TOKEN_FAILED: the token has to be opened anew there. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_acquire(struct hs_p11_token *token, bool read_write,
                                                        unsigned timeout_ms, struct hs_p11_session **out_session,
                                                        hsmart_err *err);
void hs_p11_token_release(struct hs_p11_token *token, struct hs_p11_session *session);
#define HS_P11_ACQUIRE_TIMEOUT_MS 5000U

/* C_Login as CKU_CONTEXT_SPECIFIC, for a key with CKA_ALWAYS_AUTHENTICATE: after C_SignInit, once per signature, through
 * the PIN guard. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_login_for_use(struct hs_p11_token *token,
                                                              struct hs_p11_session *session, hsmart_err *err);

/* ---- Recovery: docs/tokens.md has the ladder ---- */

enum hs_rung {
    HS_RUNG_STOP,        /* no retry: tell the operator */
    HS_RUNG_NEW_SESSION, /* the same again in a new session */
    HS_RUNG_LOGIN,       /* every session dropped, the anchor opened anew, one guarded login */
    HS_RUNG_RELOAD,      /* the module finalised and initialised, the token found again, one guarded login */
};
/* What to do after `rv`, for the `attempt`th time (0: the first failure) within one request. */
enum hs_rung hs_p11_rung_after(CK_RV rv, unsigned attempt);

/* How long one request may take. */
unsigned hs_p11_token_get_timeout_ms(const struct hs_p11_token *token);
/* Counts recoveries: a handle that was found under another count is stale. */
uint64_t hs_p11_token_get_generation(struct hs_p11_token *token);

/* What the token answered when a session could not be opened last. */
CK_RV hs_p11_token_get_open_answer(struct hs_p11_token *token);

/* Begins a request. While the token is out of order it fails at once with HSMART_TOKEN_UNAVAILABLE, but for one caller at a
 * time, who gets `*out_probe` true and must climb HS_RUNG_RELOAD first. Every request that began is ended. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_begin(struct hs_p11_token *token, bool *out_probe, hsmart_err *err);
enum hs_request_end {
    HS_REQUEST_GOOD,   /* a verified signature: the circuit closes */
    HS_REQUEST_BROKEN, /* the ladder was climbed to its end in vain: the circuit opens */
    HS_REQUEST_OTHER,  /* failed for a reason that says nothing of the token */
};
void hs_p11_token_end(struct hs_p11_token *token, bool probe, enum hs_request_end end);

/* Climbs a rung, unless somebody else did since `seen_generation`; one climber at a time, others wait for it until the
 * deadline (monotonic). Every session and key handle is stale afterwards. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_climb(struct hs_p11_token *token, enum hs_rung rung,
                                                      uint64_t seen_generation, int64_t deadline_ms, hsmart_err *err);

/* The PIN guard of the token that `options` name: its state, and an operator's word that one more try may be made. Never
 * logs in. `out_state_path` may be NULL. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_guard_reopen(const hsmart_token_options *options, hsmart_err *err);

#endif
