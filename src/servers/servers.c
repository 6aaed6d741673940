#include "servers.h"

#define JWT HS_AUTH_PRIVATE_KEY_JWT
#define BASIC HS_AUTH_SECRET_BASIC
#define POST HS_AUTH_SECRET_POST
#define HOUR_S 3600U

const struct hs_server_row hs_server_rows[] = {
    {.name = "smart",
     .title = "SMART App Launch",
     .auth_methods = JWT | BASIC | POST,
     .notes = "The specification's own rules, for any server that has no row.",
     .source =
         "SMART App Launch 2.2.0: backend-services, client-confidential-asymmetric, client-confidential-symmetric",
     .verified = true},
    {.name = "rfc7523bis",
     .title = "OAuth server by RFC 7523bis",
     .auth_methods = JWT,
     .audience = HS_AUDIENCE_ISSUER,
     .assertion_type = "client-authentication+jwt",
     .notes = "The coming RFC forbids the token endpoint as audience; SMART 2.2 demands it.",
     .source = "draft-ietf-oauth-rfc7523bis-11",
     .verified = true},

    /* EHRs */
    {.name = "epic",
     .title = "Epic",
     .auth_methods = JWT,
     .algs = "ES384 RS384 ES256 RS512 RS256",
     .jwks_url_needed = true,
     .jwks_url_needed_for_ec = true,
     .jti_max_len = 151,
     .scope = HS_SCOPE_OPTIONAL,
     .jwks_cache_max_s = 29 * HOUR_S,
     .notes =
         "Scopes come from the app's list of APIs; nbf and iat must not be in the future, and exp at most 300 s after "
         "them; a site behind a proxy may want another audience.",
     .source = "Epic on FHIR: OAuth 2.0 tutorial, captured smart-configuration, change notes of 2024-11 to 2026-08",
     .verified = true},
    {.name = "oracle",
     .title = "Oracle Health (Cerner Millennium)",
     .auth_methods = JWT | BASIC,
     .algs = "RS384 ES384",
     .notes = "The token endpoint differs by host and persona of one tenant: take it from the FHIR base in use.",
     .source = "Oracle Health authorization guide, captured smart-configuration",
     .verified = true},
    {.name = "athena",
     .title = "athenahealth",
     .auth_methods = JWT | BASIC,
     .algs = "RS384",
     .notes =
         "client_secret_post is not read; 50 access token requests a minute (5 in preview), then 429; one app, and one "
         "JWKS, for each environment.",
     .source = "athenahealth developer documentation, captured smart-configuration; algs, kid and audience: an "
               "integrator's guide",
     .verified = true,
     .reported = "algs kid audience"},
    {.name = "meditech",
     .title = "MEDITECH Greenfield",
     .auth_methods = JWT | BASIC | POST,
     .notes = "The sandbox advertises client_credentials and answers unauthorized_client.",
     .source = "captured smart-configuration, a third party's test record"},
    {.name = "medplum",
     .title = "Medplum",
     .auth_methods = JWT,
     .algs = "ES384 RS384 ES256 ES512 RS256 RS512",
     .jwks_url_needed = true,
     .notes = "The audience is compared as one string.",
     .source = "Medplum server: its token endpoint's source",
     .verified = true},
    {.name = "modmed",
     .title = "ModMed",
     .auth_methods = JWT,
     .algs = "ES384",
     .jwks_url_needed = true,
     .source = "an integrator's guide"},
    {.name = "eclinicalworks",
     .title = "eClinicalWorks",
     .auth_methods = JWT,
     .algs = "RS384",
     .jwks_url_needed = true,
     .source = "an integrator's guide"},

    /* Programmes */
    {.name = "bcda",
     .title = "CMS BCDA v1",
     .auth_methods = BASIC,
     .basic = HS_BASIC_RAW,
     .scope = HS_SCOPE_NOT_SENT,
     .json_string_expires_in = true,
     .notes = "Errors are plain text; 429 and 503 come with Retry-After.",
     .source = "CMSgov/bcda-app at 35f8adc",
     .verified = true},
    {.name = "bcda-v2",
     .title = "CMS BCDA v2",
     .auth_methods = JWT,
     .algs = "RS384 RS256 RS512",
     .audience = HS_AUDIENCE_LITERAL,
     .needs_iat = true,
     .kid = HS_KID_ASSIGNED,
     .scope = HS_SCOPE_LITERAL,
     .scope_literal = "system/*.*",
     .json_string_expires_in = true,
     .notes =
         "Keys are handed over as PEM and get their id from the server; the audience is a value of its configuration.",
     .source = "CMSgov/bcda-ssas-app at 0ced2ca (v2 token)",
     .verified = true},
    {.name = "dpc",
     .title = "CMS DPC",
     .auth_methods = JWT,
     .algs = "ES384 RS384 ES256 RS256",
     .kid = HS_KID_UUID,
     .rsa_min_bits = 4096,
     .scope = HS_SCOPE_LITERAL,
     .scope_literal = "system/*.*",
     .notes =
         "Keys are handed over as PEM with a signed snippet; the kid is the UUID that DPC gave the key; errors are "
         "JSON with code and message.",
     .source = "CMSgov/dpc-app at 840f98a",
     .verified = true,
     .reported = "algs"},
    {.name = "ab2d",
     .title = "CMS AB2D",
     .auth_methods = BASIC,
     .scope = HS_SCOPE_LITERAL,
     .scope_literal = "clientCreds",
     .notes = "The token endpoint is Okta's.",
     .source = "CMSgov/ab2d at 2873924",
     .verified = true},
    {.name = "nhs",
     .title = "NHS England",
     .auth_methods = JWT,
     .algs = "RS512",
     .scope = HS_SCOPE_NOT_SENT,
     .json_string_expires_in = true,
     .notes = "A kid that is missing is answered by 400, one that is not known by 401, a client without keys by 403.",
     .source = "NHSDigital/identity-service-api: tests of signed-JWT client credentials",
     .verified = true},
    {.name = "udap",
     .title = "UDAP B2B",
     .auth_methods = JWT,
     .algs = "RS256 ES256 RS384 ES384",
     .needs_iat = true,
     .lacks = "the x5c header, udap=1 and the hl7-b2b extension",
     .notes = "The key is known by its certificate, not by a kid.",
     .source = "HL7/fhir-udap-security-ig at d9b0f20: b2b, general",
     .verified = true},

    /* Authorisation servers */
    {.name = "keycloak",
     .title = "Keycloak",
     .auth_methods = JWT | BASIC | POST,
     .algs = "RS384 ES384 PS384 RS256 ES256 PS256 RS512 ES512",
     .lifetime_s = 60,
     .max_lifetime_s = 60,
     .needs_iat = true,
     .scope = HS_SCOPE_OPTIONAL,
     .notes = "The longest life is a setting of the client there, 60 s unless changed; a client expects one algorithm.",
     .source = "Keycloak: AbstractJWTClientValidator, AbstractBaseJWTValidator, JWTClientValidator; lifetime and algs: "
               "secondary text",
     .verified = true,
     .reported = "algs lifetime_s max_lifetime_s"},
    {.name = "auth0",
     .title = "Auth0",
     .auth_methods = JWT,
     .algs = "RS384 RS256 PS256",
     .audience = HS_AUDIENCE_ISSUER,
     .lifetime_s = 60,
     .kid = HS_KID_ASSIGNED,
     .scope = HS_SCOPE_OPTIONAL,
     .lacks = "the parameter audience of the request",
     .notes =
         "The audience of the assertion is the tenant's URL with a slash at its end; the algorithm is fixed with the "
         "credential.",
     .source = "Auth0 documentation: private key JWT authentication",
     .verified = true,
     .reported = "algs lacks"},
    {.name = "okta",
     .title = "Okta",
     .auth_methods = JWT | BASIC | POST,
     .algs = "RS384 ES384 RS256 ES256 RS512 ES512 PS384 PS256",
     .max_lifetime_s = HOUR_S,
     .notes = "A kid is needed where the app has several keys.",
     .source = "Okta developer documentation: client authentication methods",
     .verified = true,
     .reported = "algs"},
    {.name = "entra",
     .title = "Microsoft Entra ID",
     .auth_methods = JWT,
     .algs = "PS256 RS256",
     .lifetime_s = 300,
     .max_lifetime_s = 600,
     .needs_iat = true,
     .wants_nbf = true,
     .lacks = "the x5t#S256 header",
     .notes = "The key is known by its certificate; the scope is the resource with /.default after it.",
     .source = "Microsoft identity platform documentation: certificate credentials",
     .verified = true,
     .reported = "scope"},

    /* Reference servers and test suites */
    {.name = "bds",
     .title = "SMART bulk data reference server",
     .auth_methods = JWT,
     .registers_by_form = true,
     .notes = "The access token ends with the assertion at the latest; of aud it ignores http or https only.",
     .source = "smart-on-fhir/bulk-data-server at 5df455a: token_handler.ts, registration_handler.ts",
     .verified = true},
    {.name = "launcher",
     .title = "SMART App Launcher v2",
     .auth_methods = JWT,
     .notes = "Refuses a JWK without alg, or with another alg than the assertion's.",
     .source = "smart-on-fhir/smart-launcher-v2 at 6437425: backend/routes/auth/token.ts",
     .verified = true},
    {.name = "inferno",
     .title = "Inferno client test suites",
     .auth_methods = JWT | BASIC,
     .basic = HS_BASIC_RAW,
     .notes = "One bad request fails a run.",
     .source = "inferno-framework/smart-app-launch-test-kit at 9a219bd: smart_client_stu2_2",
     .verified = true},
};

const size_t hs_server_row_count = HS_ARRAY_LEN(hs_server_rows);

const struct hs_server_row *
hs_server_by_name(const char *name)
{
    if (name == NULL)
        name = "smart";
    for (size_t i = 0; i < hs_server_row_count; i++)
        if (strcmp(hs_server_rows[i].name, name) == 0)
            return &hs_server_rows[i];
    return NULL;
}

enum hsmart_code
hs_server_names(struct hs_buf *out, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < hs_server_row_count && code == HSMART_OK; i++)
        code = hs_buf_append_format(out, err, "%s%s", i > 0 ? ", " : "", hs_server_rows[i].name);
    return code;
}
