/* Bringing a token into service: found in its slot, its anchor opened, logged in; at first, and again in a recovery. */
#ifndef HS_P11_START_H
#define HS_P11_START_H

#include <hsmart/token.h>

struct hs_p11_token;

enum hs_start { HS_START_FIND_ONLY, HS_START_ALL };
/* Loads the module that `options` name, unless that is done, finds the token and opens its anchor, with the retries
 * that false answers need. */
HSMART_MUST_CHECK enum hsmart_code hs_start_first(struct hs_p11_token *token, const hsmart_token_options *options,
                                                  enum hs_start what, hsmart_err *err);
/* The same again; the module is restarted before when nobody else uses it. Nobody may have a session of the token. What
 * other processes hold is waited for until `deadline_ms` at most. */
HSMART_MUST_CHECK enum hsmart_code hs_start_again(struct hs_p11_token *token, int64_t deadline_ms, hsmart_err *err);
/* Opens the anchor of the token again, where it is; `find_first`: where it is by now, for another token may have
 * restarted the module, and nobody has a session of this one. */
HSMART_MUST_CHECK enum hsmart_code hs_start_relogin(struct hs_p11_token *token, bool find_first, int64_t deadline_ms,
                                                    hsmart_err *err);

#endif
