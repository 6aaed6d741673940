/* Destroying the objects of a key pair. */
#ifndef HS_DESTROY_H
#define HS_DESTROY_H

#include "p11_token.h"

/* Destroys the private key objects, then the public ones, that have exactly this label and id, and looks that none is
 * left.
 * `*out_count` is how many there were; 0 is no error. On failure some may be gone and some not: HSMART_TOKEN_FAILED and
 * its kin with the token's answer, HSMART_POLICY_REFUSED when the token says that it did and they are still there. */
HSMART_MUST_CHECK enum hsmart_code hs_destroy_pair(struct hs_p11_token *token, struct hs_span label, struct hs_span id,
                                                   size_t *out_count, hsmart_err *err);
/* How many objects have this label and id. */
HSMART_MUST_CHECK enum hsmart_code hs_destroy_count(struct hs_p11_token *token, struct hs_span label, struct hs_span id,
                                                    size_t *out_count, hsmart_err *err);

/* How many objects have this label, whatever their id. */
HSMART_MUST_CHECK enum hsmart_code hs_destroy_count_label(struct hs_p11_token *token, struct hs_span label,
                                                          size_t *out_count, hsmart_err *err);

#endif
