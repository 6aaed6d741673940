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

/* Zero is the default of every column but the first three: what SMART says, or no limit known. A client picks a row by
 * its name, and may override single values. */
struct hs_server_row {
    const char *name;            /* "epic" */
    const char *title;           /* "Epic" */
    unsigned auth_methods;       /* of enum hs_auth_method, for system access */
    const char *algs;            /* accepted, best first, separated by spaces; NULL: RS384 ES384 */
    enum hs_audience_rule audience;
    const char *assertion_type;  /* header typ; NULL: "JWT" */
    unsigned lifetime_s;         /* of an assertion; 0: the default */
    unsigned max_lifetime_s;     /* above it the server refuses; 0: 300 */
    bool needs_iat, wants_nbf;
    enum hs_kid_form kid;
    unsigned rsa_min_bits;       /* 0: 2048 */
    bool jwks_url_needed;        /* takes no JWKS by value */
    bool jwks_url_needed_for_ec; /* EC keys only with a JWKS URL */
    unsigned jti_max_len;        /* 0: no limit known */
    enum hs_scope_rule scope;
    const char *scope_literal;   /* for HS_SCOPE_LITERAL */
    enum hs_basic_form basic;
    bool sends_client_id;        /* client_id in the body beside the assertion */
    bool registers_by_form;      /* registration by form POST, answered by the bare client id */
    unsigned jwks_cache_max_s;   /* how long it may keep our JWKS; 0: not known */
    bool json_string_expires_in; /* known to send it as a string */
    const char *lacks;           /* what it needs and hsmart does not do yet; NULL: nothing */
    const char *notes;           /* one sentence; NULL: none */
    const char *source;          /* where the values come from */
    bool verified;               /* read in a primary source, not only reported */
    const char *reported;        /* columns of a verified row that are only reported, separated by spaces; NULL: none */
};
extern const struct hs_server_row hs_server_rows[];
extern const size_t hs_server_row_count;
#define HS_SERVER_ALGS_DEFAULT "RS384 ES384"

/* NULL when there is none of that name; NULL name: "smart". */
const struct hs_server_row *hs_server_by_name(const char *name);
/* The names of all rows, separated by ", ", for messages. */
HSMART_MUST_CHECK enum hsmart_code hs_server_names(struct hs_buf *out, hsmart_err *err);

#endif
