/* The attack on a key of a token (p11_attack.h), which is found again and compared first. */
#ifndef HS_KEY_ATTACK_H
#define HS_KEY_ATTACK_H

#include "p11_attack.h"
#include "token_key.h"

/* As `hsmart_key_attack`. Released with `hs_p11_attack_report_free`. */
HSMART_MUST_CHECK enum hsmart_code hs_key_attack(const struct hs_token_key *key, hsmart_attack_report **out_report,
                                                 hsmart_err *err);

#endif
