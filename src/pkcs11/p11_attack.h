/* The attack on a private key: the one file that asks a token for private values, on purpose and to be refused. Callers
 * use `hs_key_attack` (key_attack.h), which finds the key. */
#ifndef HS_P11_ATTACK_H
#define HS_P11_ATTACK_H

#include <hsmart/attack.h>

#include "p11_token.h"

/* As `hsmart_key_attack`, on the private object `key` of type `type`, found on `session`, which is read-write, logged
 * in and for this call alone. What the token answers to an attempt is in the report; an error is a session that ended
 * in between (`session->last_rv` has the answer that did it). */
HSMART_MUST_CHECK enum hsmart_code hs_p11_attack(struct hs_p11_token *token, struct hs_p11_session *session,
                                                 CK_OBJECT_HANDLE key, CK_KEY_TYPE type,
                                                 hsmart_attack_report **out_report, hsmart_err *err);
void hs_p11_attack_report_free(hsmart_attack_report *report);

#endif
