/* Logging in: once per PIN value, behind the guard. */
#ifndef HS_P11_LOGIN_H
#define HS_P11_LOGIN_H

#include "p11_session.h"

struct hs_p11_token;

/* C_Login as CKU_CONTEXT_SPECIFIC, for a key with CKA_ALWAYS_AUTHENTICATE: between hs_p11_session_sign_begin and _end,
 * once per signature, through the PIN guard. A PIN that is not tried again is read anew from its source first. On
 * failure the session is doubtful: its operation is still active. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_login_for_use(struct hs_p11_token *token,
                                                              struct hs_p11_session *session, hsmart_err *err);

/* Opens the anchor and logs in, through the guard, which is waited for until `deadline_ms` at most.
 * `*out_false_answer`: what failed may be another process's doing. */
HSMART_MUST_CHECK enum hsmart_code hs_login_open_anchor(struct hs_p11_token *token, int64_t deadline_ms,
                                                        bool *out_false_answer, hsmart_err *err);
/* Gets the PIN from its source, unless there is none to get, until `deadline_ms`. What gives nothing any more leaves
 * the PIN of before. */
HSMART_MUST_CHECK enum hsmart_code hs_login_read_pin(struct hs_p11_token *token, int64_t deadline_ms, hsmart_err *err);
/* A copy of the PIN, which may be replaced at any moment; empty when there is none. */
HSMART_MUST_CHECK enum hsmart_code hs_login_copy_pin(struct hs_p11_token *token, struct hs_secret *out_pin,
                                                     hsmart_err *err);

#endif
