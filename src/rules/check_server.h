/* What the rules need to know of a family of servers beside its row. */
#ifndef HS_CHECK_SERVER_H
#define HS_CHECK_SERVER_H

#include "check_report.h"
#include "servers.h"

struct hs_habits {
    const char *server;              /* name of its row */
    unsigned skew_s;                 /* by which it lets exp be past, and iat and nbf be in the future */
    unsigned lifetime_without_iat_s; /* how far exp may be ahead where there is no iat; 0: as with one */
    bool ignores_scheme_of_aud;      /* http or https is the same to it */
    const char *certificate_member;  /* of the header, which the key is known by; NULL: none */
    const char *parameter, *value;   /* that every request has; NULL: none */
    bool has_own_scopes;             /* scopes may be words of its own, beside SMART's */
};
/* Never NULL: zero where nothing is known, or no server is named. */
const struct hs_habits *hs_habits_of(const struct hs_server_row *server);

/* Whether this column of the row was read in a primary source. */
bool hs_column_is_verified(const struct hs_server_row *server, const char *column);
/* The algorithms that it accepts, separated by spaces. */
const char *hs_server_algs(const struct hs_server_row *server);
bool hs_server_takes_alg(const struct hs_server_row *server, const char *alg);
/* The form of a UUID (RFC 9562 section 4), in either case. */
bool hs_is_uuid(struct hs_span text);

/* What a column of the server's row demands is not met: an error where the column is verified, else a warning. */
void hs_check_demand(struct hs_check *check, const char *column, const char *format, ...) HSMART_PRINTF(3, 4);

#endif
