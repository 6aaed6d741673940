/* Server families: one row each, with what differs from the SMART specification's defaults. docs/servers.md says the
 * source of every value and is held against this table. */
#ifndef HS_SERVERS_H
#define HS_SERVERS_H

#include "alg.h"
#include "form.h"

enum hs_audience_rule {
    HS_AUDIENCE_TOKEN_ENDPOINT, /* SMART's rule */
    HS_AUDIENCE_ISSUER,         /* the issuer of the discovery document */
    HS_AUDIENCE_LITERAL,        /* what the client's configuration says */
};
enum hs_kid_form { HS_KID_ANY, HS_KID_UUID, HS_KID_ASSIGNED };
enum hs_scope_rule { HS_SCOPE_REQUIRED, HS_SCOPE_OPTIONAL, HS_SCOPE_NOT_SENT, HS_SCOPE_LITERAL };
enum hs_auth_method { HS_AUTH_PRIVATE_KEY_JWT = 1, HS_AUTH_SECRET_BASIC = 2, HS_AUTH_SECRET_POST = 4 };

struct hs_server_row {
    const char *name;            /* "epic" */
    const char *title;           /* "Epic" */
    unsigned auth_methods;       /* of enum hs_auth_method */
    const char *algs;            /* accepted, best first, separated by spaces; NULL: RS384 ES384 */
    enum hs_audience_rule audience;
    const char *assertion_type;  /* header typ; NULL: "JWT" */
    unsigned lifetime_s;         /* of an assertion; 0: the default */
    unsigned max_lifetime_s;     /* above it the server refuses; 0: 300 */
    bool needs_iat, wants_nbf;
    enum hs_kid_form kid;
    unsigned rsa_min_bits;       /* 0: 2048 */
    bool jwks_url_needed_for_ec; /* EC keys only with a JWKS URL */
    unsigned jti_max_len;        /* 0: no limit known */
    enum hs_scope_rule scope;
    const char *scope_literal;   /* for HS_SCOPE_LITERAL */
    enum hs_basic_form basic;
    bool sends_client_id;        /* client_id in the body beside the assertion */
    unsigned jwks_cache_max_s;   /* how long it may keep our JWKS; 0: not known */
    bool json_string_expires_in; /* known to send it as a string */
    const char *notes;           /* one sentence */
    const char *source;          /* where the values come from */
    bool verified;               /* read in a primary source, not only reported */
};
extern const struct hs_server_row hs_server_rows[];
extern const size_t hs_server_row_count;
/* NULL when there is none of that name; NULL name: "smart". */
const struct hs_server_row *hs_server_by_name(const char *name);

#endif
