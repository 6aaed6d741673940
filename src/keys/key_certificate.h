/* The certificate of a key, beside it on the token. */
#ifndef HS_KEY_CERTIFICATE_H
#define HS_KEY_CERTIFICATE_H

#include "token_key.h"

/* The certificate with the key's id whose key it is; of several, the one that expires last. `*out_der` is left empty
 * when there is none, or the key has no id. */
HSMART_MUST_CHECK enum hsmart_code hs_key_certificate_read(const struct hs_token_key *key, struct hs_buf *out_der,
                                                           hsmart_err *err);

/* All DER. */
struct hs_key_certificate {
    struct hs_span der, subject, issuer, serial;
};
/* Puts it there. HSMART_KEY_MISMATCH when it is for another key, HSMART_KEY_EXISTS when it is there already,
 * HSMART_KEY_UNUSABLE for a key without an id, by which it would be found. */
HSMART_MUST_CHECK enum hsmart_code
hs_key_certificate_add(const struct hs_token_key *key, const struct hs_key_certificate *certificate, hsmart_err *err);

#endif
