#include "api_objects.h"
#include "assertion.h"
#include "client_auth.h"
#include "err.h"
#include "hsmart_client_link.h"
#include "servers.h"

/* The public enumerations are ours under other names. */
_Static_assert((int)HSMART_AUTH_PRIVATE_KEY_JWT == (int)HS_AUTH_PRIVATE_KEY_JWT &&
                   (int)HSMART_AUTH_SECRET_BASIC == (int)HS_AUTH_SECRET_BASIC &&
                   (int)HSMART_AUTH_SECRET_POST == (int)HS_AUTH_SECRET_POST,
               "enum hsmart_auth");
_Static_assert((int)HSMART_AUDIENCE_LITERAL == (int)HS_AUDIENCE_LITERAL &&
                   (int)HSMART_AUDIENCE_ISSUER == (int)HS_AUDIENCE_ISSUER,
               "enum hsmart_audience_rule");
_Static_assert((int)HSMART_KID_ASSIGNED == (int)HS_KID_ASSIGNED && (int)HSMART_KID_UUID == (int)HS_KID_UUID,
               "enum hsmart_kid_rule");
_Static_assert((int)HSMART_SCOPE_LITERAL == (int)HS_SCOPE_LITERAL &&
                   (int)HSMART_SCOPE_NOT_SENT == (int)HS_SCOPE_NOT_SENT &&
                   (int)HSMART_SCOPE_OPTIONAL == (int)HS_SCOPE_OPTIONAL,
               "enum hsmart_scope_rule");

const char *
hsmart_auth_name(enum hsmart_auth auth)
{
    return hs_auth_method_name((enum hs_auth_method)auth);
}

enum hsmart_auth
hsmart_auth_by_name(const char *name)
{
    return (enum hsmart_auth)hs_auth_method_by_name(name);
}

/* ---- Rows ---- */

static void
describe(const struct hs_server_row *row, hsmart_server *out_server)
{
    *out_server = (hsmart_server){
        .name = row->name,
        .title = row->title,
        .auth_methods = row->auth_methods,
        .algs = row->algs != NULL ? row->algs : HS_SERVER_ALGS_DEFAULT,
        .audience = (enum hsmart_audience_rule)row->audience,
        .assertion_type = row->assertion_type != NULL ? row->assertion_type : HS_ASSERTION_TYPE_DEFAULT,
        .assertion_lifetime_s = row->lifetime_s != 0 ? row->lifetime_s : HS_ASSERTION_LIFETIME_DEFAULT_S,
        .max_assertion_lifetime_s = row->max_lifetime_s != 0 ? row->max_lifetime_s : HS_ASSERTION_LIFETIME_MAX_S,
        .needs_issued_at = row->needs_iat,
        .wants_not_before = row->wants_nbf,
        .kid = (enum hsmart_kid_rule)row->kid,
        .rsa_min_bits = row->rsa_min_bits != 0 ? row->rsa_min_bits : HS_RSA_MIN_BITS,
        .jwks_url_needed = row->jwks_url_needed,
        .jwks_url_needed_for_ec = row->jwks_url_needed || row->jwks_url_needed_for_ec,
        .scope = (enum hsmart_scope_rule)row->scope,
        .scope_literal = row->scope_literal,
        .raw_basic = row->basic == HS_BASIC_RAW,
        .registers_by_form = row->registers_by_form,
        .jwks_cache_max_s = row->jwks_cache_max_s,
        .lacks = row->lacks,
        .notes = row->notes,
        .source = row->source,
        .verified = row->verified,
    };
}

bool
hsmart_server_at(size_t index, hsmart_server *out_server)
{
    if (index >= hs_server_row_count)
        return false;
    describe(&hs_server_rows[index], out_server);
    return true;
}

bool
hsmart_server_by_name(const char *name, hsmart_server *out_server)
{
    const struct hs_server_row *row = hs_server_by_name(name);

    if (row == NULL)
        return false;
    describe(row, out_server);
    return true;
}

enum hsmart_code
hs_client_server(const char *name, const struct hs_server_row **out_row, hsmart_err *err)
{
    const struct hs_server_row *row = hs_server_by_name(name);
    struct hs_buf names = {0};

    if (row != NULL) {
        *out_row = row;
        return HSMART_OK;
    }
    (void)hs_err_set(err, HSMART_CONFIG_INVALID, "there is no server family \"%.60s\"", name);
    if (hs_server_names(&names, NULL) == HSMART_OK)
        hs_err_hint(err, "one of %s", hs_buf_text(&names));
    hs_buf_clear(&names);
    return HSMART_CONFIG_INVALID;
}

/* ---- Assertions alone ---- */

enum hsmart_code
hsmart_server_assertion(const char *server, const hsmart_assertion_options *options, const char *token_endpoint,
                        hsmart_log_fn log, void *log_arg, hsmart_assertion_options *out_options, hsmart_err *err)
{
    const struct hs_log warnings = {log, log_arg};
    const struct hs_server_row *row = NULL;
    hsmart_assertion_options completed = {0};
    enum hsmart_code code = hs_client_server(server, &row, err);

    if (code == HSMART_OK)
        code = hs_assertion_for_server(row, options, &warnings, &completed, err);
    if (code == HSMART_OK)
        code = hs_assertion_audience(row, options->audience, token_endpoint, NULL, &completed.audience, err);
    if (code == HSMART_OK)
        *out_options = completed;
    return code;
}
