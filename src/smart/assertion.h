/* The client assertion of SMART Backend Services (RFC 7523 section 3, SMART App Launch 2.2). */
#ifndef HS_ASSERTION_H
#define HS_ASSERTION_H

#include <hsmart/signer.h>

#include "log.h"
#include "servers.h"
#include "signer.h"

#define HS_ASSERTION_LIFETIME_DEFAULT_S 240U /* 300 would be refused by a server whose clock is behind ours */
#define HS_ASSERTION_LIFETIME_MAX_S 300U
#define HS_ASSERTION_TYPE_DEFAULT "JWT"
#define HS_ASSERTION_JTI_BYTES 16U
#define HS_ASSERTION_TEXT_MAX (64U << 10) /* client id, audience and the like, in bytes */

/* Makes one assertion with a new jti; errors as in hsmart/signer.h. */
HSMART_MUST_CHECK enum hsmart_code hs_assertion_sign(struct hs_signer *signer,
                                                     const hsmart_assertion_options *options, struct hs_buf *out_jwt,
                                                     hsmart_err *err);

/* ---- What a family of servers wants of it: for a token request and for an assertion alone ---- */

/* Type, lifetime, iat and nbf as the row says them, where `own` leaves them at their default; the other members of
 * `own` as they are. What `own` has against the row is kept, and warned about. Strings are borrowed.
 * HSMART_INVALID_ARGUMENT for a lifetime above HS_ASSERTION_LIFETIME_MAX_S. */
HSMART_MUST_CHECK enum hsmart_code hs_assertion_for_server(const struct hs_server_row *server,
                                                           const hsmart_assertion_options *own,
                                                           const struct hs_log *log,
                                                           hsmart_assertion_options *out_options, hsmart_err *err);
/* The audience: `own`, or what the row says. NULL where it is not known. HSMART_CONFIG_INVALID, saying what to set,
 * when that leaves none. */
HSMART_MUST_CHECK enum hsmart_code hs_assertion_audience(const struct hs_server_row *server, const char *own,
                                                         const char *token_endpoint, const char *issuer,
                                                         const char **out_audience, hsmart_err *err);
/* Warns about a signer that the server will not take: RSA below its size, a kid that is none of its own. */
void hs_assertion_check_signer(const struct hs_server_row *server, const struct hs_signer *signer,
                               const struct hs_log *log);

#endif
