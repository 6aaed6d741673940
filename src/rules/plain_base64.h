/* Plain base64 with padding (RFC 4648 section 4), strictly: x5c and HTTP Basic have it. */
#ifndef HS_PLAIN_BASE64_H
#define HS_PLAIN_BASE64_H

#include "bytes.h"

/* HSMART_INPUT_MALFORMED for anything but the one spelling of some bytes: white space, missing padding, '-' or '_'. */
HSMART_MUST_CHECK enum hsmart_code hs_plain_base64_decode(struct hs_span text, struct hs_buf *out, hsmart_err *err);

#endif
