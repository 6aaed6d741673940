#include "client_target.h"

#include <string.h>

#include "err.h"
#include "report.h"

#define OWN(member) offsetof(struct client_common, member)
#define ON_COMMAND_LINE "every user of this machine can read the arguments of a process: give --secret-source"

static const struct cli_option client_options[] = {
    {"client", 0, "NAME", CLI_TEXT, offsetof(struct cli_common, client),
     "a client of the configuration file, which gives everything below that is not given here", 0, 0},
    {"fhir-base", 0, "URL", CLI_TEXT, OWN(fhir_base), "the FHIR base URL; its discovery names the token endpoint", 0,
     0},
    {"token-endpoint", 0, "URL", CLI_TEXT, OWN(token_endpoint), "instead of the one that discovery names", 0, 0},
    {"token-pin", 0, "URL", CLI_TEXT, OWN(token_pin), "the origin or URL that a discovered token endpoint must have", 0,
     0},
    {"server", 0, "ROW", CLI_TEXT, OWN(server), "the family of servers; docs/servers.md has the rows; default smart", 0,
     0},
    {"client-id", 0, "ID", CLI_TEXT, OWN(client_id), "the id that the server gave at registration", 0, 0},
    {"registration", 0, "FILE", CLI_TEXT, OWN(registration), "the file that `hsmart register` wrote", 0, 0},
    {"scope", 0, "SCOPES", CLI_TEXT, OWN(scope), "what to ask for, separated by spaces", 0, 0},
    {"auth", 0, "METHOD", CLI_TEXT, OWN(auth), "private_key_jwt, client_secret_basic or client_secret_post", 0, 0},
    {"secret-source", 0, "SOURCE", CLI_TEXT, OWN(secret_source),
     "where the client secret comes from: file:PATH, credential:NAME, fd:N, exec:COMMAND or prompt", 0, 0},
    {"aud", 0, "URL", CLI_TEXT, OWN(audience), "aud of assertions; default: as the server's row says", 0, 0},
    {"alg", 0, "ALG", CLI_TEXT, OWN(alg),
     "default: the key's own where the server takes it, else the first that both can do", 0, 0},
    {"kid", 0, "KID", CLI_TEXT, OWN(kid), "as in the registered JWKS; default: the RFC 7638 thumbprint", 0, 0},
    {"no-cache", 0, NULL, CLI_FLAG, OWN(no_cache), "keep access tokens in memory only", 0, 0},
    {"cache-directory", 0, "DIR", CLI_TEXT, OWN(cache_directory),
     "where access tokens are kept; default: hsmart in $XDG_RUNTIME_DIR", 0, 0},
    {"secret", 0, "SECRET", CLI_REFUSED, 0, ON_COMMAND_LINE, 0, 0},
    {"client-secret", 0, "SECRET", CLI_REFUSED, 0, ON_COMMAND_LINE, 0, 0},
};
const struct cli_group client_group = CLI_GROUP("Client", client_options);

static const struct cli_option network_options[] = {
    {"ca-file", 0, "FILE", CLI_TEXT, OWN(ca_file), "further CA certificates, PEM, beside the system's", 0, 0},
    {"ca-directory", 0, "DIR", CLI_TEXT, OWN(ca_directory),
     "hashed directory of CA certificates instead of the system's", 0, 0},
    {"client-certificate", 0, "FILE", CLI_TEXT, OWN(client_certificate), "for mutual TLS, PEM", 0, 0},
    {"client-key", 0, "FILE", CLI_TEXT, OWN(client_key), "the private key of --client-certificate, PEM", 0, 0},
    {"allow-http-to-loopback", 0, NULL, CLI_FLAG, OWN(allow_http_to_loopback),
     "speak http without TLS to this very machine, for tests", 0, 0},
    {"timeout", 0, "SECONDS", CLI_NUMBER, OWN(timeout_s), "for one exchange, 1 to 600; default 30", 1, 600},
    {"max-attempts", 0, "N", CLI_NUMBER, OWN(max_attempts),
     "of a request that failed in transport, or with 429 or 5xx, 1 to 10; default 4", 1, 10},
};
const struct cli_group client_group_network = CLI_GROUP("Network", network_options);

static const char *
first_of(const char *option, const char *setting)
{
    return option != NULL ? option : setting;
}

/* ---- Options over configuration ---- */

static enum hsmart_code
check_words(const struct client_common *own, hsmart_err *err)
{
    const struct {
        const char *option, *text;
    } texts[] = {
        {"client-id", own->client_id},
        {"fhir-base", own->fhir_base},
        {"token-endpoint", own->token_endpoint},
        {"token-pin", own->token_pin},
        {"scope", own->scope},
        {"aud", own->audience},
        {"kid", own->kid},
        {"alg", own->alg},
        {"registration", own->registration},
    };
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < HS_ARRAY_LEN(texts) && code == HSMART_OK; i++)
        code = target_check_text(texts[i].option, texts[i].text, err);
    return code;
}

static enum hsmart_code
choose_auth(const char *name, enum hsmart_auth *out_auth, hsmart_err *err)
{
    *out_auth = name != NULL ? hsmart_auth_by_name(name) : HSMART_AUTH_DEFAULT;
    if (name == NULL || *out_auth != HSMART_AUTH_DEFAULT)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%s\" is no way to authenticate", name);
    hs_err_hint(err, "it is private_key_jwt, client_secret_basic or client_secret_post");
    return HSMART_INVALID_ARGUMENT;
}

static enum hsmart_choice
choice_of(enum hs_config_choice choice)
{
    return choice == HS_CONFIG_NOT_SET ? HSMART_BY_SERVER : choice == HS_CONFIG_TRUE ? HSMART_YES : HSMART_NO;
}

static hsmart_network_options
merge_network(const struct client_common *own, const struct hs_config_client *set)
{
    return (hsmart_network_options){
        .ca_file = first_of(own->ca_file, set->ca_file),
        .ca_directory = first_of(own->ca_directory, set->ca_directory),
        .client_certificate = first_of(own->client_certificate, set->client_certificate),
        .client_key = first_of(own->client_key, set->client_key),
        .allow_http_to_loopback = own->allow_http_to_loopback || set->allow_http_to_loopback,
        .connect_timeout_ms = set->connect_timeout_ms,
        .timeout_ms = own->timeout_s.is_given ? (unsigned)own->timeout_s.value * 1000 : set->timeout_ms,
        .max_attempts = own->max_attempts.is_given ? (unsigned)own->max_attempts.value : set->max_attempts,
        .max_wait_s = set->max_wait_s,
        .log = report_log,
    };
}

static void
merge_client(const struct client_common *own, const struct hs_config_client *set, hsmart_client_options *out)
{
    *out = (hsmart_client_options){
        .name = set->name,
        .server = first_of(own->server, set->profile),
        .fhir_base = first_of(own->fhir_base, set->fhir_base),
        .token_endpoint = first_of(own->token_endpoint, set->token_endpoint),
        .token_pin = first_of(own->token_pin, set->token_pin),
        .client_id = first_of(own->client_id, set->client_id),
        .scope = first_of(own->scope, set->scope),
        .registration_file = first_of(own->registration, set->registration_file),
        .audience = first_of(own->audience, set->audience),
        .assertion_type = set->assertion_type,
        .jku = set->jku,
        .assertion_lifetime_s = set->assertion_lifetime_s,
        .omit_issued_at = set->omit_issued_at,
        .not_before = set->not_before,
        .send_client_id = choice_of(set->send_client_id),
        .raw_basic = choice_of(set->raw_basic),
        .use_refresh_token = set->use_refresh_token,
        .no_cache = own->no_cache || set->no_cache,
        .cache_directory = first_of(own->cache_directory, set->cache_directory),
        .network = merge_network(own, set),
    };
}

/* ---- Its key ---- */

static enum hsmart_code
open_signer(void *arg, const char *algs, hsmart_signer **out_signer, hsmart_err *err)
{
    struct client_target *target = arg;
    hsmart_signer_options options = target->target.signer;
    const hsmart_key *key = NULL;
    bool is_family = target->target.family.label != NULL;
    enum hsmart_code code = HSMART_OK;

    options.alg = first_of(target->alg, options.alg);
    options.kid = first_of(target->kid, options.kid);
    options.server_algs = algs;
    if (target->signer == NULL && is_family) {
        code = target_need_login(&target->target, err);
        if (code == HSMART_OK)
            code = target_open_signer(&target->target, &options, &target->signer, err);
    } else if (target->signer == NULL) {
        code = client_target_open_key(target, &key, err);
        if (code == HSMART_OK)
            code = hsmart_signer_new(key, &options, &target->signer, err);
    }
    if (code == HSMART_OK)
        *out_signer = target->signer;
    return code;
}

/* Whether there is a key to sign with. The only key of a token is meant where its module stands on the command line, or
 * where nothing else says who the client is: it must not be taken for the key of a client that has none. */
static bool
has_key(const struct client_common *own, const struct client_target *target)
{
    const struct target *found = &target->target;

    if (own->common.key_uri != NULL || found->key != NULL)
        return true;
    if (found->client != NULL)
        return false;
    return own->common.module != NULL || (found->token.module != NULL && target->options.registration_file == NULL);
}

/* A secret that an option names goes before a key of the configuration, and the other way round. */
static void
choose_means(const struct client_common *own, const struct hs_config_client *set, struct client_target *target)
{
    hsmart_client_options *options = &target->options;
    bool names_key = own->common.key_uri != NULL || own->common.key != NULL;

    options->secret_source = first_of(own->secret_source, names_key ? NULL : set->client_secret_source);
    if (options->secret_source != NULL || !has_key(own, target))
        return;
    options->open_signer = open_signer;
    options->signer_arg = target;
}

/* ---- The whole ---- */

enum hsmart_code
client_target_resolve(const struct client_common *own, struct client_target *out_target, hsmart_err *err)
{
    static const struct hs_config_client nothing = {0};
    enum hsmart_code code = check_words(own, err);

    if (code == HSMART_OK)
        code = target_resolve(&own->common, TARGET_LATER, &out_target->target, err);
    if (code != HSMART_OK)
        return code;
    const struct hs_config_client *set = out_target->target.client != NULL ? out_target->target.client : &nothing;
    merge_client(own, set, &out_target->options);
    choose_means(own, set, out_target);
    out_target->alg = own->alg;
    out_target->kid = own->kid;
    return choose_auth(first_of(own->auth, set->auth_method), &out_target->options.auth, err);
}

static enum hsmart_code
missing(const struct client_target *target, const char *what, const char *cure, hsmart_err *err)
{
    const char *name = target->options.name;

    if (name != NULL)
        (void)hs_err_set(err, HSMART_CONFIG_INVALID, "client \"%s\" has no %s", name, what);
    else
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "no %s is given", what);
    hs_err_hint(err, "%s", cure);
    return name != NULL ? HSMART_CONFIG_INVALID : HSMART_INVALID_ARGUMENT;
}

enum hsmart_code
client_target_open(struct client_target *target, hsmart_client **out_client, hsmart_err *err)
{
    const hsmart_client_options *options = &target->options;

    if (options->fhir_base == NULL && options->token_endpoint == NULL)
        return missing(target, "server",
                       "give --client NAME of the configuration, or --fhir-base URL or --token-endpoint URL", err);
    if (options->client_id == NULL && options->registration_file == NULL)
        return missing(target, "client id",
                       "give --client-id ID as the server registered it, or register with `hsmart register`", err);
    if (options->open_signer == NULL && options->secret_source == NULL && options->registration_file == NULL)
        return missing(target, "key or secret",
                       "give --module PATH and --key-uri URI for a key on a token, or --secret-source SOURCE", err);
    return hsmart_client_new(options, out_client, err);
}

/* The key of a family that signs now. */
static enum hsmart_code
open_active_key(struct client_target *target, const hsmart_key **out_key, hsmart_err *err)
{
    const hsmart_family_options *options = &target->target.family;
    enum hsmart_code code = target_open(&target->target, err);

    if (code == HSMART_OK && target->family == NULL)
        code = hsmart_family_read(target->target.opened, options, 0, &target->family, err);
    if (code != HSMART_OK)
        return code;
    if (target->family->active == NULL) {
        (void)hs_err_set(err, HSMART_KEY_ABSENT, "the family \"%s\" has no key that is active today", options->label);
        hs_err_hint(err,
                    "look with \"hsmart-key publish --family %s --at now\"; \"hsmart-key activate\" gives a staged key "
                    "its day",
                    options->label);
        return HSMART_KEY_ABSENT;
    }
    *out_key = target->family->active->key;
    return HSMART_OK;
}

enum hsmart_code
client_target_open_key(struct client_target *target, const hsmart_key **out_key, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    if (target->key == NULL)
        code = target_need_login(&target->target, err);
    if (code == HSMART_OK && target->target.family.label != NULL)
        return open_active_key(target, out_key, err);
    if (code == HSMART_OK && target->key == NULL)
        code = target_open_key(&target->target, &target->key, err);
    if (code == HSMART_OK)
        *out_key = target->key;
    return code;
}

void
client_target_clear(struct client_target *target)
{
    hsmart_signer_free(target->signer);
    hsmart_family_free(target->family);
    hsmart_key_free(target->key);
    target_clear(&target->target);
    *target = (struct client_target){0};
}
