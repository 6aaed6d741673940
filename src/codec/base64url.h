/* base64url without padding (RFC 4648 section 5, RFC 7515 section 2), strictly. */
#ifndef HS_BASE64URL_H
#define HS_BASE64URL_H

#include "bytes.h"

/* How many characters `len` bytes take. */
static inline size_t
hs_base64url_len(size_t len)
{
    return len / 3 * 4 + (len % 3 * 4 + 2) / 3;
}

/* Appends the encoding of `bytes` to `out`. */
HSMART_MUST_CHECK enum hsmart_code hs_base64url_append(struct hs_buf *out, struct hs_span bytes, hsmart_err *err);
/* Decodes `text` into `out`. HSMART_INPUT_MALFORMED for padding, white space, the characters of plain base64, an
 * impossible length, and unused bits that are not zero: one value has one spelling. */
HSMART_MUST_CHECK enum hsmart_code hs_base64url_decode(struct hs_span text, struct hs_buf *out, hsmart_err *err);

#endif
