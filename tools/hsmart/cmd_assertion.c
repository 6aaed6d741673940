/* hsmart assertion: one client assertion on standard output. */
#include <hsmart/client.h>

#include <string.h>

#include "base64url.h"
#include "err.h"
#include "output.h"
#include "report.h"
#include "target.h"
#include "verbs.h"

#define ASSERTION_FILE_MODE 0600U
#define THUMBPRINT_LEN 32U

struct assertion_options {
    struct cli_common common;
    const char *client_id, *audience, *alg, *kid, *type, *jku, *thumbprint, *allow_extractable, *out;
    struct cli_number lifetime_s;
    bool omit_issued_at, not_before;
};

#define OWN(member) offsetof(struct assertion_options, member)

static const struct cli_option assertion_only_options[] = {
    {"client", 0, "NAME", CLI_TEXT, offsetof(struct cli_common, client),
     "a client of the configuration file, which gives everything below that is not given here", 0, 0},
    {"client-id", 0, "ID", CLI_TEXT, OWN(client_id), "iss and sub: the id that the server gave at registration", 0, 0},
    {"aud", 0, "URL", CLI_TEXT, OWN(audience), "the token endpoint, exactly as it is posted to", 0, 0},
    {"alg", 0, "ALG", CLI_TEXT, OWN(alg), "default: RS384 for RSA, the algorithm of the curve for EC", 0, 0},
    {"kid", 0, "KID", CLI_TEXT, OWN(kid), "as in the registered JWKS; default: the RFC 7638 thumbprint", 0, 0},
    {"lifetime", 0, "SECONDS", CLI_NUMBER, OWN(lifetime_s), "exp minus now, 1 to 300; default 240", 1, 300},
    {"typ", 0, "TYPE", CLI_TEXT, OWN(type), "header typ; default JWT", 0, 0},
    {"jku", 0, "URL", CLI_TEXT, OWN(jku), "header jku, the registered JWKS URL; default: left out", 0, 0},
    {"omit-iat", 0, NULL, CLI_FLAG, OWN(omit_issued_at), "leave iat out", 0, 0},
    {"nbf", 0, NULL, CLI_FLAG, OWN(not_before), "put nbf in", 0, 0},
    {"thumbprint", 0, "T", CLI_TEXT, OWN(thumbprint), "refuse any key but the one with this RFC 7638 thumbprint", 0, 0},
    {"allow-extractable", 0, "LABEL", CLI_TEXT, OWN(allow_extractable),
     "sign with the key of this label although the token would give it away", 0, 0},
    {"out", 'o', "FILE", CLI_TEXT, OWN(out), "write to FILE (mode 0600); default: standard output", 0, 0},
};
static const struct cli_group assertion_group = CLI_GROUP("Assertion", assertion_only_options);

static const char *
first_of(const char *a, const char *b, const char *c)
{
    return a != NULL ? a : b != NULL ? b : c;
}

/* ---- Options over configuration ---- */

static enum hsmart_code
check_given(const struct assertion_options *own, const hsmart_assertion_options *given,
            const struct hs_config_client *client, hsmart_err *err)
{
    if (given->client_id == NULL) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "no client id is given");
        hs_err_hint(err, "give --client NAME of the configuration, or --client-id ID as the server registered it");
        return HSMART_INVALID_ARGUMENT;
    }
    if (client != NULL && given->audience == NULL && client->token_endpoint == NULL) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "client \"%s\" has no audience", client->name);
        hs_err_hint(err, "give --aud URL, or set token-endpoint (or audience) of the client");
        return HSMART_INVALID_ARGUMENT;
    }
    if (client == NULL && own->audience == NULL) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "no audience is given");
        hs_err_hint(err, "give --aud URL, the token endpoint exactly as it is posted to");
        return HSMART_INVALID_ARGUMENT;
    }
    return HSMART_OK;
}

/* An option beats the file, and the file the server's row; what the row says is put in as in a token request. */
static enum hsmart_code
merge_claims(const struct assertion_options *own, const struct hs_config_client *client,
             const hsmart_token_options *log, hsmart_assertion_options *out_claims, hsmart_err *err)
{
    static const struct hs_config_client nothing = {0};
    const struct hs_config_client *set = client != NULL ? client : &nothing;
    const hsmart_assertion_options given = {
        .client_id = first_of(own->client_id, set->client_id, NULL),
        .audience = first_of(own->audience, set->audience, NULL),
        .type = first_of(own->type, set->assertion_type, NULL),
        .jku = first_of(own->jku, set->jku, NULL),
        .lifetime_s = own->lifetime_s.is_given ? (unsigned)own->lifetime_s.value : set->assertion_lifetime_s,
        .omit_issued_at = own->omit_issued_at || set->omit_issued_at,
        .not_before = own->not_before || set->not_before,
    };
    enum hsmart_code code = check_given(own, &given, client, err);

    if (code != HSMART_OK)
        return code;
    code = hsmart_server_assertion(set->profile, &given, set->token_endpoint, log->log, log->log_arg, out_claims, err);
    return code == HSMART_OK || client == NULL ? code : hs_err_wrap(err, code, "client \"%s\"", client->name);
}

static enum hsmart_code
check_thumbprint(const char *thumbprint, hsmart_err *err)
{
    struct hs_buf digest = {0};
    enum hsmart_code code = HSMART_OK;

    if (thumbprint != NULL)
        code = hs_base64url_decode(hs_span_str(thumbprint), &digest, err);
    if (code == HSMART_INPUT_MALFORMED || (code == HSMART_OK && thumbprint != NULL && digest.len != THUMBPRINT_LEN)) {
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "--thumbprint is not 43 characters of base64url");
        hs_err_hint(err, "`hsmart-key list` prints the thumbprint (RFC 7638, SHA-256) of each key as its kid");
    }
    hs_buf_clear(&digest);
    return code;
}

static enum hsmart_code
check_words(const struct assertion_options *own, hsmart_err *err)
{
    const struct {
        const char *option, *text;
    } texts[] = {
        {"client-id", own->client_id}, {"aud", own->audience}, {"kid", own->kid}, {"typ", own->type}, {"jku", own->jku},
    };
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < HS_ARRAY_LEN(texts) && code == HSMART_OK; i++)
        code = target_check_text(texts[i].option, texts[i].text, err);
    return code == HSMART_OK ? check_thumbprint(own->thumbprint, err) : code;
}

/* Signed all the same: what a server expects there is its own business. */
static void
warn_of_audience(const char *audience)
{
    static const char *const usual[] = {"https://", "http://localhost", "http://127.0.0.1", "http://[::1]"};

    for (size_t i = 0; i < HS_ARRAY_LEN(usual); i++)
        if (strncmp(audience, usual[i], strlen(usual[i])) == 0)
            return;
    report_warning("the audience \"%s\" is not an https URL: servers compare it with their token endpoint's", audience);
}

static hsmart_signer_options
merge_signer(const struct assertion_options *own, const struct target *target)
{
    return (hsmart_signer_options){
        .alg = first_of(own->alg, target->signer.alg, NULL),
        .kid = first_of(own->kid, target->signer.kid, NULL),
        .thumbprint = first_of(own->thumbprint, target->signer.thumbprint, NULL),
        .allow_extractable = own->allow_extractable != NULL || target->signer.allow_extractable,
    };
}

/* ---- The work ---- */

static enum hsmart_code
sign(const struct assertion_options *own, struct target *target, const hsmart_assertion_options *claims, char **out_jwt,
     hsmart_err *err)
{
    enum hsmart_code code;
    const hsmart_signer_options options = merge_signer(own, target);
    hsmart_key *key = NULL;
    hsmart_signer *signer = NULL;

    target->signer.thumbprint = options.thumbprint;
    if (target->family.label != NULL && own->allow_extractable != NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--allow-extractable names one key, and key \"%s\" is a family",
                          target->key->name);
    if (target->family.label != NULL)
        code = target_open_signer(target, &options, &signer, err);
    else
        code = target_open_key(target, &key, err);
    if (code == HSMART_OK && key != NULL)
        code = target_check_allowed(own->allow_extractable, key, err);
    if (code == HSMART_OK && key != NULL)
        code = hsmart_signer_new(key, &options, &signer, err);
    if (code == HSMART_OK)
        code = hsmart_signer_assertion(signer, claims, out_jwt, err);
    hsmart_signer_free(signer);
    hsmart_key_free(key);
    return code;
}

static enum hsmart_code
print(const struct assertion_options *own, const char *jwt, hsmart_err *err)
{
    struct hs_buf line = {0};
    enum hsmart_code code = hs_buf_append_str(&line, jwt, err);

    if (code == HSMART_OK)
        code = hs_buf_append_str(&line, "\n", err);
    if (code == HSMART_OK)
        code = output_write(own->out, ASSERTION_FILE_MODE, hs_span_buf(&line), err);
    hs_buf_clear(&line);
    return code;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct assertion_options *own = options;
    struct target target = {0};
    hsmart_assertion_options claims = {0};
    char *jwt = NULL;

    (void)call;
    code = check_words(own, err);
    if (code == HSMART_OK)
        code = output_check(own->out, err);
    if (code == HSMART_OK)
        code = target_resolve(&own->common, TARGET_LOGIN, &target, err);
    if (code != HSMART_OK)
        goto out;
    code = merge_claims(own, target.client, &target.token, &claims, err);
    if (code == HSMART_OK)
        warn_of_audience(claims.audience);
    if (code == HSMART_OK)
        code = sign(own, &target, &claims, &jwt, err);
    if (code == HSMART_OK)
        code = print(own, jwt, err);
out:
    hsmart_string_free(jwt);
    target_clear(&target);
    return code;
}

const struct cli_verb verb_assertion = {
    .name = "assertion",
    .summary = "Signs one client assertion and prints it. Use it once: servers refuse it the second time.",
    .options_size = sizeof(struct assertion_options),
    .groups = {&assertion_group, &cli_group_one_key, &cli_group_token, &cli_group_quiet},
    .example = "  hsmart assertion --client epic\n"
               "  hsmart assertion --client-id my-id --aud https://ehr.example/token --key-uri 'pkcs11:object=ehr-2026' \\\n"
               "      --module /usr/lib/softhsm/libsofthsm2.so --pin-source file:/etc/hsmart/prod.pin\n",
    .run = run,
};
