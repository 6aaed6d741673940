/* One token: opened by URI, shared by reference, stopped and closed. What is done on it is a request
 * (p11_recover.h). */
#ifndef HS_P11_TOKEN_H
#define HS_P11_TOKEN_H

#include <hsmart/token.h>

#include "log.h"
#include "p11_login.h"
#include "p11_pool.h"
#include "p11_quirk.h"
#include "p11_recover.h"

struct hs_p11_token;

/* As hsmart_token_open, _stop and _pin_fd of hsmart/token.h. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_open(const hsmart_token_options *options,
                                                     struct hs_p11_token **out_token, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_stop(struct hs_p11_token *token, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_pin_fd(const struct hs_p11_token *token, int *out_fd, hsmart_err *err);
struct hs_p11_token *hs_p11_token_ref(struct hs_p11_token *token);
/* The last one out closes the sessions, the anchor last, and never calls C_Logout. */
void hs_p11_token_unref(struct hs_p11_token *token);

const char *hs_p11_token_get_name(const struct hs_p11_token *token); /* for messages */
const hsmart_token_info *hs_p11_token_get_info(const struct hs_p11_token *token);
const CK_TOKEN_INFO *hs_p11_token_get_raw_info(const struct hs_p11_token *token);
const struct hs_p11_module *hs_p11_token_get_module(const struct hs_p11_token *token);
const struct hs_log *hs_p11_token_get_log(const struct hs_p11_token *token);
unsigned hs_p11_token_get_quirks(const struct hs_p11_token *token); /* of enum hs_quirk */
bool hs_p11_token_logs_in(const struct hs_p11_token *token);        /* it was given a PIN source */
/* By the mechanism list, read once; a hint, not a promise. */
bool hs_p11_token_lists_mechanism(const struct hs_p11_token *token, CK_MECHANISM_TYPE mechanism);

/* As hsmart_token_unlock_guard: an operator's word that one more try may be made. Never logs in. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_guard_reopen(const hsmart_token_options *options, hsmart_err *err);
/* As hsmart_token_look_at_guard. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_guard_look(const hsmart_token_options *options,
                                                           enum hsmart_guard_state *out_state, hsmart_err *err);

#endif
