/* The client assertion of SMART Backend Services (RFC 7523 section 3, SMART App Launch 2.2). */
#ifndef HS_ASSERTION_H
#define HS_ASSERTION_H

#include <hsmart/signer.h>

#include "signer.h"

#define HS_ASSERTION_LIFETIME_DEFAULT_S 240U /* 300 would be refused by a server whose clock is behind ours */
#define HS_ASSERTION_LIFETIME_MAX_S 300U
#define HS_ASSERTION_JTI_BYTES 16U
#define HS_ASSERTION_TEXT_MAX (64U << 10) /* client id, audience and the like, in bytes */

/* Makes one assertion with a new jti; errors as in hsmart/signer.h. */
HSMART_MUST_CHECK enum hsmart_code hs_assertion_sign(struct hs_signer *signer,
                                                     const hsmart_assertion_options *options, struct hs_buf *out_jwt,
                                                     hsmart_err *err);

#endif
