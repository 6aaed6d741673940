/* What differs between families of servers, put into an assertion. */
#include <ctype.h>

#include "assertion.h"
#include "err.h"

/* ---- Claims ---- */

static unsigned
longest_life_s(const struct hs_server_row *server)
{
    unsigned longest_s = server->max_lifetime_s != 0 ? server->max_lifetime_s : HS_ASSERTION_LIFETIME_MAX_S;

    return longest_s < HS_ASSERTION_LIFETIME_MAX_S ? longest_s : HS_ASSERTION_LIFETIME_MAX_S;
}

enum hsmart_code
hs_assertion_for_server(const struct hs_server_row *server, const hsmart_assertion_options *own,
                        const struct hs_log *log, hsmart_assertion_options *out_options, hsmart_err *err)
{
    hsmart_assertion_options options = *own;

    if (own->lifetime_s > HS_ASSERTION_LIFETIME_MAX_S)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the assertion's lifetime is %u seconds, but must be 1 to %u",
                          own->lifetime_s, HS_ASSERTION_LIFETIME_MAX_S);
    if (options.type == NULL)
        options.type = server->assertion_type;
    if (options.lifetime_s == 0)
        options.lifetime_s = server->lifetime_s != 0 ? server->lifetime_s : HS_ASSERTION_LIFETIME_DEFAULT_S;
    if (options.lifetime_s > longest_life_s(server))
        hs_log_warning(log,
                       "%s takes assertions of at most %u s unless it is configured otherwise, and they are to "
                       "live %u s",
                       server->title, longest_life_s(server), options.lifetime_s);
    options.not_before = own->not_before || server->wants_nbf;
    if (own->omit_issued_at && server->needs_iat)
        hs_log_warning(log, "%s wants an iat in the assertion, and it is left out", server->title);
    *out_options = options;
    return HSMART_OK;
}

enum hsmart_code
hs_assertion_audience(const struct hs_server_row *server, const char *own, const char *token_endpoint,
                      const char *issuer, const char **out_audience, hsmart_err *err)
{
    const char *audience = own;

    if (audience == NULL && server->audience == HS_AUDIENCE_TOKEN_ENDPOINT)
        audience = token_endpoint;
    if (audience == NULL && server->audience == HS_AUDIENCE_ISSUER)
        audience = issuer;
    if (audience != NULL) {
        *out_audience = audience;
        return HSMART_OK;
    }
    switch (server->audience) {
    case HS_AUDIENCE_TOKEN_ENDPOINT:
        (void)hs_err_set(err, HSMART_CONFIG_INVALID, "there is neither a token endpoint nor an audience");
        break;
    case HS_AUDIENCE_ISSUER:
        (void)hs_err_set(err, HSMART_CONFIG_INVALID, "%s wants its issuer as audience, and it is not known",
                         server->title);
        break;
    case HS_AUDIENCE_LITERAL:
        (void)hs_err_set(err, HSMART_CONFIG_INVALID, "%s wants an audience of its own", server->title);
        break;
    }
    hs_err_hint(err, "set the audience to the string that the server's operator names, character for character");
    return HSMART_CONFIG_INVALID;
}

/* ---- The signer ---- */

/* RFC 9562 section 4: 8-4-4-4-12 hexadecimal digits. */
static bool
is_uuid(const char *text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != form[i])
            return false;
    return text[sizeof form - 1] == 0;
}

void
hs_assertion_check_signer(const struct hs_server_row *server, const struct hs_signer *signer, const struct hs_log *log)
{
    if (signer->jwk->type == HS_KEY_RSA && signer->jwk->bits < server->rsa_min_bits)
        hs_log_warning(log, "%s wants RSA keys of at least %u bits, and this one has %u", server->title,
                       server->rsa_min_bits, signer->jwk->bits);
    if (server->kid == HS_KID_UUID && !is_uuid(signer->kid))
        hs_log_warning(log, "%s knows keys by the UUID that it gave them, and the kid is \"%.60s\": set `kid`",
                       server->title, signer->kid);
    if (server->kid == HS_KID_ASSIGNED && strcmp(signer->jwk->thumbprint, signer->kid) == 0)
        hs_log_warning(log, "%s gives keys a kid of its own, and this one is the key's thumbprint: set `kid`",
                       server->title);
}
