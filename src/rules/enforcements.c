/* Which family of servers was seen to do what about a rule: in its source code, its test suite or its documentation.
 * Only what was seen stands here. docs/rules.md is held against this table. */
#include "check.h"

#define ANSWER(status, error, description) status, error, description
#define SILENT 0, NULL, NULL /* it is known that it refuses, not in which words */

#define REQUEST "invalid_request"
#define CLIENT "invalid_client"
#define GRANT "invalid_grant"
#define SCOPE "invalid_scope"

const struct hs_enforcement hs_enforcements[] = {
    /* Key sets */
    {"K01", "inferno", HS_REFUSES, SILENT},
    {"K01", "bds", HS_REFUSES, ANSWER(400, GRANT, "The remote jwks object has no keys array.")},
    {"K01", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "No usable keys found")},
    {"K03", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "Multiple usable public keys found in the JWKS")},
    {"K08", "bds", HS_REFUSES, SILENT}, /* key_ops without "verify" */
    {"K08", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "No usable public keys found in the JWKS")},
    {"K09", "launcher", HS_REFUSES_ALL,
     ANSWER(401, CLIENT, "None of the keys found in the JWKS have alg equal to …")}, /* alg absent too: it compares it
                                                                                        with the header's */
    {"K14", "bds", HS_REFUSES,
     ANSWER(400, CLIENT, "Requesting the remote JWKS returned an error. …")}, /* an incomplete chain */
    {"K14", "epic", HS_REFUSES, SILENT},
    {"K15", "bds", HS_REFUSES, ANSWER(400, CLIENT, "Requesting the remote JWKS returned an error. …")},
    {"K15", "epic", HS_REFUSES, SILENT},

    /* The form of an assertion, and its header */
    {"L01", "bds", HS_REFUSES, ANSWER(400, REQUEST, "Invalid registration token: …")},
    {"L01", "nhs", HS_REFUSES, ANSWER(400, REQUEST, "Malformed JWT in client_assertion")},
    {"L01", "launcher", HS_REFUSES, ANSWER(401, REQUEST, "Could not decode the \"client_assertion\" parameter")},
    {"L03", "bds", HS_REFUSES, ANSWER(400, REQUEST, "Invalid registration token: …")},
    {"L03", "nhs", HS_REFUSES, ANSWER(400, REQUEST, "Malformed JWT in client_assertion")},
    {"L03", "launcher", HS_REFUSES, ANSWER(401, REQUEST, "Could not decode the \"client_assertion\" parameter")},
    {"L04", "inferno", HS_REFUSES, SILENT},
    {"L04", "nhs", HS_REFUSES,
     ANSWER(400, REQUEST,
            "Invalid 'alg' header in client_assertion JWT - unsupported JWT algorithm - must be 'RS512'")},
    {"L04", "keycloak", HS_REFUSES, ANSWER(400, CLIENT, "Invalid signature algorithm")},
    {"L04", "bcda-v2", HS_REFUSES, SILENT},
    {"L04", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "Missing token 'alg' header")},
    {"L05", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "None of the keys found in the JWKS have alg equal to …")},
    {"L06", "inferno", HS_REFUSES, SILENT},
    {"L06", "bds", HS_REFUSES, ANSWER(400, REQUEST, NULL)},
    {"L06", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "Missing token 'kid' header")},
    {"L06", "nhs", HS_REFUSES, ANSWER(400, REQUEST, "Missing 'kid' header in client_assertion JWT")},
    {"L06", "dpc", HS_REFUSES, ANSWER(400, NULL, NULL)},
    {"L06", "bcda-v2", HS_REFUSES, ANSWER(400, NULL, NULL)},
    {"L06", "epic", HS_TAKES, SILENT},  /* recommended only */
    {"L06", "auth0", HS_TAKES, SILENT}, /* optional */
    {"L06", "udap", HS_TAKES, SILENT},  /* not used: x5c has the key */
    {"L06", "entra", HS_TAKES, SILENT}, /* x5t#S256 names the key */
    {"L07", "inferno", HS_REFUSES_ALL, SILENT},
    {"L07", "bds", HS_REFUSES_ALL, ANSWER(400, REQUEST, "The 'typ' property must equal 'JWT'")},
    {"L07", "launcher", HS_REFUSES_ALL, ANSWER(401, CLIENT, "Invalid token 'typ' header. Must be 'JWT'.")},
    {"L07", "nhs", HS_REFUSES_ALL,
     ANSWER(400, REQUEST, "Invalid 'typ' header in client_assertion JWT - must be 'JWT'")},
    {"L08", "bds", HS_REFUSES,
     ANSWER(400, GRANT, "The provided jku '…' is different than the one used at registration time (…)")},
    {"L08", "launcher", HS_REFUSES, ANSWER(401, REQUEST, NULL)},

    /* Who, for whom */
    {"L11", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "Missing token 'iss' claim")},
    {"L11", "nhs", HS_REFUSES,
     ANSWER(400, REQUEST, "Missing or non-matching 'iss'/'sub' claims in client_assertion JWT")},
    {"L11", "bcda-v2", HS_REFUSES, SILENT},
    {"L12", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "Missing token 'sub' claim")},
    {"L12", "nhs", HS_REFUSES,
     ANSWER(400, REQUEST, "Missing or non-matching 'iss'/'sub' claims in client_assertion JWT")},
    {"L12", "keycloak", HS_REFUSES, ANSWER(400, CLIENT, "Token sub claim is required")},
    {"L13", "bds", HS_REFUSES, ANSWER(400, GRANT, "The given iss '…' does not match the registered client_id '…'")},
    {"L13", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "The token sub does not match the token iss claim")},
    {"L13", "nhs", HS_REFUSES,
     ANSWER(400, REQUEST, "Missing or non-matching 'iss'/'sub' claims in client_assertion JWT")},
    {"L13", "dpc", HS_REFUSES, SILENT},
    {"L13", "bcda-v2", HS_REFUSES, SILENT},
    {"L13", "medplum", HS_REFUSES, SILENT},
    {"L14", "inferno", HS_REFUSES, SILENT},
    {"L14", "nhs", HS_REFUSES, ANSWER(401, REQUEST, "Invalid 'iss'/'sub' claims in client_assertion JWT")},
    {"L14", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "Invalid 'client_id' (as sub claim of the assertion JWT)")},
    {"L15", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "Missing token 'aud' claim")},
    {"L15", "nhs", HS_REFUSES, ANSWER(401, REQUEST, "Missing or invalid 'aud' claim in client_assertion JWT")},
    {"L16", "inferno", HS_REFUSES, SILENT},
    {"L16", "bds", HS_REFUSES,
     ANSWER(400, GRANT, "Invalid token 'aud' value. Must be '…'.")}, /* http or https is the same to it */
    {"L16", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "Invalid token 'aud' value (…). Must be '…'.")},
    {"L16", "nhs", HS_REFUSES, ANSWER(401, REQUEST, "Missing or invalid 'aud' claim in client_assertion JWT")},
    {"L16", "dpc", HS_REFUSES, SILENT},
    {"L16", "bcda-v2", HS_REFUSES, SILENT},
    {"L16", "keycloak", HS_REFUSES, ANSWER(400, CLIENT, "Invalid token audience")},
    {"L16", "medplum", HS_REFUSES, SILENT},
    {"L17", "inferno", HS_REFUSES_ALL, SILENT},
    {"L17", "bds", HS_REFUSES_ALL, SILENT},
    {"L17", "launcher", HS_REFUSES_ALL, SILENT},
    {"L17", "medplum", HS_REFUSES_ALL, SILENT},
    {"L17", "keycloak", HS_REFUSES, ANSWER(400, CLIENT, "Multiple audiences not allowed")}, /* more than one */
    {"L17", "bcda-v2", HS_TAKES, SILENT},

    /* When */
    {"L18", "inferno", HS_REFUSES, SILENT},
    {"L18", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "Missing token 'exp' claim")},
    {"L18", "nhs", HS_REFUSES, ANSWER(400, REQUEST, "Missing 'exp' claim in client_assertion JWT")},
    {"L18", "keycloak", HS_REFUSES, ANSWER(400, CLIENT, "Token exp claim is required")},
    {"L18", "dpc", HS_REFUSES, SILENT},
    {"L19", "nhs", HS_REFUSES,
     ANSWER(400, REQUEST, "Invalid 'exp' claim in client_assertion JWT - must be an integer")},
    {"L19", "dpc", HS_REFUSES, SILENT},
    {"L20", "bds", HS_REFUSES,
     ANSWER(400, GRANT, "Unable to verify the token with any of the public keys found in the JWKS: jwt expired")},
    {"L20", "nhs", HS_REFUSES, ANSWER(400, REQUEST, "Invalid 'exp' claim in client_assertion JWT - JWT has expired")},
    {"L20", "dpc", HS_REFUSES, SILENT},
    {"L20", "keycloak", HS_REFUSES, ANSWER(400, CLIENT, "Token is not active")},
    {"L20", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "Invalid token. jwt expired")},
    {"L21", "nhs", HS_REFUSES,
     ANSWER(400, REQUEST, "Invalid 'exp' claim in client_assertion JWT - more than 5 minutes in future")},
    {"L21", "dpc", HS_REFUSES, SILENT},
    {"L21", "epic", HS_REFUSES, SILENT},
    {"L21", "auth0", HS_REFUSES, SILENT},
    {"L21", "bds", HS_TAKES, SILENT},     /* it does not look at how far exp is */
    {"L21", "inferno", HS_TAKES, SILENT}, /* nor does its client suite */
    {"L21", "launcher", HS_TAKES, SILENT},
    {"L21", "keycloak", HS_TAKES, SILENT},
    {"L22", "epic", HS_REFUSES, SILENT},
    {"L22", "keycloak", HS_REFUSES, ANSWER(400, CLIENT, "Token was issued in the future")},
    {"L22", "inferno", HS_TAKES, SILENT},
    {"L23", "epic", HS_REFUSES, SILENT},
    {"L23", "bcda-v2", HS_REFUSES, SILENT},
    {"L23", "udap", HS_REFUSES, SILENT},
    {"L23", "inferno", HS_TAKES, SILENT},
    {"L23", "bds", HS_TAKES, SILENT},
    {"L23", "launcher", HS_TAKES, SILENT},
    {"L23", "keycloak", HS_TAKES, SILENT},

    /* Once */
    {"L24", "inferno", HS_REFUSES, SILENT},
    {"L24", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "Missing token 'jti' claim")},
    {"L24", "nhs", HS_REFUSES, ANSWER(400, REQUEST, "Missing 'jti' claim in client_assertion JWT")},
    {"L24", "dpc", HS_REFUSES, SILENT},
    {"L24", "bcda-v2", HS_REFUSES, SILENT},
    {"L24", "keycloak", HS_REFUSES, ANSWER(400, CLIENT, "Token jti claim is required")},
    {"L24", "okta", HS_TAKES, SILENT}, /* optional */
    {"L25", "nhs", HS_REFUSES,
     ANSWER(400, REQUEST,
            "Invalid 'jti' claim in client_assertion JWT - must be a unique string value such as a GUID")},
    {"L25", "epic", HS_REFUSES, SILENT}, /* since November 2024 */
    {"L25", "launcher", HS_TAKES, SILENT},
    {"L26", "epic", HS_REFUSES, SILENT},
    {"L26", "launcher", HS_TAKES, SILENT},
    {"L27", "inferno", HS_REFUSES, SILENT},
    {"L27", "nhs", HS_REFUSES, ANSWER(400, REQUEST, "Non-unique 'jti' claim in client_assertion JWT")},
    {"L27", "dpc", HS_REFUSES, SILENT},
    {"L27", "keycloak", HS_REFUSES, ANSWER(400, CLIENT, "Token reuse detected")},
    {"L27", "bds", HS_TAKES, SILENT}, /* it keeps no memory */
    {"L27", "launcher", HS_TAKES, SILENT},

    /* The key and the signature */
    {"L30", "bds", HS_REFUSES,
     ANSWER(400, GRANT, "Unable to verify the token with any of the public keys found in the JWKS: …")},
    {"L30", "inferno", HS_REFUSES, ANSWER(401, CLIENT, NULL)},
    {"L30", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "Invalid token. …")},
    {"L31", "inferno", HS_REFUSES, SILENT},
    {"L31", "bds", HS_REFUSES, ANSWER(400, GRANT, "No public keys found in the JWKS with \"kid\" equal to \"…\"")},
    {"L31", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "None of the keys found in the JWKS have kid equal to …")},
    {"L31", "nhs", HS_REFUSES,
     ANSWER(401, REQUEST, "Invalid 'kid' header in client_assertion JWT - no matching public key")},
    {"L31", "medplum", HS_REFUSES, SILENT},
    {"L32", "bds", HS_REFUSES, ANSWER(400, CLIENT, "Requesting the remote JWKS returned an error. …")},
    {"L32", "launcher", HS_REFUSES, ANSWER(401, CLIENT, "Failed to fetch JWKS from …. …")},
    {"L32", "nhs", HS_REFUSES, ANSWER(403, "public_key error", NULL)},
    {"L32", "medplum", HS_REFUSES, SILENT},
    {"L33", "keycloak", HS_REFUSES,
     ANSWER(400, CLIENT, "Token expiration is too far in the future and iat claim not present in token")},

    /* Token requests */
    {"R01", "bds", HS_REFUSES, SILENT},
    {"R02", "bds", HS_REFUSES,
     ANSWER(
         400, REQUEST,
         "Invalid request content-type header (must be 'application/x-www-form-urlencoded')")}, /* it takes parameters
                                                                                                   behind it */
    {"R02", "bcda-v2", HS_REFUSES_ALL, ANSWER(400, NULL, NULL)},
    {"R03", "inferno", HS_REFUSES, ANSWER(400, NULL, NULL)},
    {"R03", "bds", HS_REFUSES,
     ANSWER(400, "unsupported_grant_type", "The grant_type parameter should equal 'client_credentials'")},
    {"R03", "nhs", HS_REFUSES, ANSWER(400, "unsupported_grant_type", "grant_type is invalid")},
    {"R03", "launcher", HS_REFUSES,
     ANSWER(400, "unsupported_grant_type", "Invalid or missing grant_type parameter \"…\"")},
    {"R04", "inferno", HS_REFUSES, SILENT},
    {"R04", "bds", HS_REFUSES,
     ANSWER(
         400, REQUEST,
         "Invalid client_assertion_type parameter. Must be 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'.")},
    {"R04", "launcher", HS_REFUSES,
     ANSWER(400, CLIENT,
            "Invalid 'client_assertion_type' parameter. Must be "
            "'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'.")},
    {"R04", "nhs", HS_REFUSES,
     ANSWER(400, REQUEST,
            "Missing or invalid client_assertion_type - must be "
            "'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'")},
    {"R04", "keycloak", HS_REFUSES,
     ANSWER(400, CLIENT, "Parameter client_assertion_type has value '…' but expected is '…'")},
    {"R05", "inferno", HS_REFUSES, ANSWER(401, CLIENT, NULL)},
    {"R05", "launcher", HS_REFUSES, ANSWER(400, CLIENT, "Missing 'client_assertion' parameter")},
    {"R05", "nhs", HS_REFUSES, ANSWER(400, REQUEST, "Missing client_assertion")},
    {"R05", "keycloak", HS_REFUSES, ANSWER(400, CLIENT, "client_assertion parameter missing")},
    {"R06", "inferno", HS_REFUSES, SILENT}, /* a scope that is not blank; it does not look into it */
    {"R06", "bds", HS_REFUSES_ALL, ANSWER(400, SCOPE, NULL)},
    {"R06", "launcher", HS_REFUSES, ANSWER(400, CLIENT, "Missing 'scope' parameter")},
    {"R07", "udap", HS_REFUSES, SILENT},
    {"R10", "keycloak", HS_REFUSES, ANSWER(400, CLIENT, "client_id parameter does not match sub claim")},
    {"R11", "bcda-v2", HS_REFUSES, ANSWER(400, NULL, NULL)},
    {"R12", "inferno", HS_REFUSES, SILENT},
};
const size_t hs_enforcement_count = HS_ARRAY_LEN(hs_enforcements);

const struct hs_enforcement *
hs_enforcement_of(const char *code, const char *server)
{
    for (size_t i = 0; i < hs_enforcement_count; i++)
        if (strcmp(hs_enforcements[i].code, code) == 0 && strcmp(hs_enforcements[i].server, server) == 0)
            return &hs_enforcements[i];
    return NULL;
}
