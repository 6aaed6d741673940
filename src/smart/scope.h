/* Scopes (SMART App Launch 2.2, "scopes and launch context"): which are asked for, what is odd about them, and
 * what came back of them. Nothing is ever rewritten: servers have scopes of their own. */
#ifndef HS_SCOPE_H
#define HS_SCOPE_H

#include "log.h"
#include "servers.h"

/* The scope that goes into a request: what is configured, or what the server's row demands. Borrowed; NULL: none is
 * sent. HSMART_CONFIG_INVALID when the server needs one and none is configured, or when it is no scope at all
 * (RFC 6749 section 3.3). */
HSMART_MUST_CHECK enum hsmart_code hs_scope_choose(const struct hs_server_row *server, const char *configured,
                                                   const char **out_scope, hsmart_err *err);

/* What servers may refuse or ignore, one warning each: a level other than system/, letters out of the order c r u
 * d s, white space that is not one space. */
void hs_scope_check(const struct hs_server_row *server, const char *configured, const struct hs_log *log);

/* Whether `granted` covers every scope of `requested`; the others are put into `out_lost`, separated by spaces.
 * Either spelling (read, rs) is understood. `granted` NULL: as requested. */
HSMART_MUST_CHECK enum hsmart_code hs_scope_lost(const char *requested, const char *granted, struct hs_buf *out_lost,
                                                 hsmart_err *err);

#endif
