/* Making a key pair that cannot leave its token. */
#ifndef HS_GENERATE_H
#define HS_GENERATE_H

#include "token_key.h"

/* As `hsmart_key_generate`. */
HSMART_MUST_CHECK enum hsmart_code hs_generate(struct hs_p11_token *token, const hsmart_key_spec *spec,
                                               struct hs_token_key **out_key, hsmart_err *err);

/* For a ceremony, which wants to know how the key came about. */
struct hs_generate_result {
    struct hs_token_key *key;
    struct hs_p11_session *holder; /* of a session object, which is gone once this session is released */
    char *left_out;                /* what the token did not take: "CKA_DECRYPT=false, CKA_START_DATE"; "" */
    bool reply_was_lost;           /* the token answered with a failure, and had made the key */
};
/* As `hs_generate`; with `session_object` the pair is never stored, and vanishes with `holder`. A key with the id of
 * the spec that is on the token already is taken for the one that a ceremony before this one asked for (`adopt`), and
 * proved like a new one, instead of HSMART_KEY_EXISTS. */
struct hs_generate_manner {
    bool session_object, adopt;
};
HSMART_MUST_CHECK enum hsmart_code hs_generate_in_ceremony(struct hs_p11_token *token, const hsmart_key_spec *spec,
                                                           struct hs_generate_manner manner,
                                                           struct hs_generate_result *out_result, hsmart_err *err);
/* Releases the session and the key. */
void hs_generate_result_clear(struct hs_generate_result *result);

#endif
