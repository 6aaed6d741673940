/* Requests: an operation on a token, and the ladder that brings the token back when it fails (docs/tokens.md). */
#ifndef HS_P11_RECOVER_H
#define HS_P11_RECOVER_H

#include "p11_session.h"

struct hs_p11_token;

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

#endif
