#include "target.h"

#include <string.h>
#include <unistd.h>

#include "err.h"
#include "report.h"
#include "text.h"

/* ---- The configuration file ---- */

/* A module on the command line with no name beside it is complete: the file is not looked for. */
static bool
needs_config(const struct cli_common *common)
{
    return common->module == NULL || common->config != NULL || common->token != NULL || common->key != NULL ||
           common->client != NULL;
}

static enum hsmart_code
load_config(const struct cli_common *common, struct target *target, hsmart_err *err)
{
    struct hs_buf path = {0};
    enum hsmart_code code;

    if (!needs_config(common))
        return HSMART_OK;
    code = hs_config_find(common->config, &path, err);
    if (code == HSMART_OK && path.len > 0) {
        report_detail("the configuration is \"%s\"", hs_buf_text(&path));
        code = hs_config_load(hs_buf_text(&path), &target->config, err);
    }
    if (code == HSMART_OK && hs_config_get_caveat(target->config) != NULL)
        report_warning("the configuration \"%s\": %s", hs_buf_text(&path), hs_config_get_caveat(target->config));
    hs_buf_clear(&path);
    return code;
}

static enum hsmart_code
not_in_config(const struct target *target, const char *kind, const char *name, hsmart_err *err)
{
    struct hs_buf names = {0};

    if (target->config == NULL) {
        (void)hs_err_set(err, HSMART_CONFIG_INVALID, "--%s \"%s\" needs a configuration file, and there is none", kind,
                         name);
        hs_err_hint(err, "give --config FILE, or set HSMART_CONFIG, or write ~/.config/hsmart/hsmart.conf");
        return HSMART_CONFIG_INVALID;
    }
    enum hsmart_code code = hs_config_names(target->config, kind, &names, err);
    if (code == HSMART_OK) {
        code = hs_err_set(err, HSMART_CONFIG_INVALID, "the configuration has no %s \"%s\"", kind, name);
        if (names.len > 0)
            hs_err_hint(err, "it has: %.200s", hs_buf_text(&names));
        else
            hs_err_hint(err, "it has no %s at all", kind);
    }
    hs_buf_clear(&names);
    return code;
}

/* ---- Which client, key and token of it are meant ---- */

static enum hsmart_code
choose_client(const struct cli_common *common, struct target *target, hsmart_err *err)
{
    if (common->client == NULL)
        return HSMART_OK;
    if (target->config != NULL)
        target->client = hs_config_get_client(target->config, common->client);
    if (target->client == NULL)
        return not_in_config(target, "client", common->client, err);
    target->key = target->client->key;
    return HSMART_OK;
}

static enum hsmart_code
choose_key(const struct cli_common *common, struct target *target, hsmart_err *err)
{
    if (common->key == NULL)
        return HSMART_OK;
    if (common->key_uri != NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--key \"%s\" and --key-uri \"%s\" both name a key",
                          common->key, common->key_uri);
    const struct hs_config_key *key = NULL;
    if (target->config != NULL)
        key = hs_config_get_key(target->config, common->key);
    if (key == NULL)
        return not_in_config(target, "key", common->key, err);
    if (target->client != NULL && target->key != NULL && target->key != key)
        report_warning("--key \"%s\" is used in place of key \"%s\" of client \"%s\"", key->name, target->key->name,
                       target->client->name);
    target->key = key;
    return HSMART_OK;
}

/* A client with a secret signs nothing: it must not end up with the only key of some token. */
static enum hsmart_code
check_client_has_key(const struct cli_common *common, const struct target *target, hsmart_err *err)
{
    if (target->client == NULL || target->key != NULL || common->key_uri != NULL)
        return HSMART_OK;
    if (target->client->client_secret_source != NULL)
        return hs_err_set(err, HSMART_CONFIG_INVALID, "client \"%s\" has no key: it uses a client secret",
                          target->client->name);
    (void)hs_err_set(err, HSMART_CONFIG_INVALID, "client \"%s\" has no key", target->client->name);
    hs_err_hint(err, "set key of the client, or give --key NAME or --key-uri URI");
    return HSMART_CONFIG_INVALID;
}

static enum hsmart_code
choose_token(const struct cli_common *common, struct target *target, hsmart_err *err)
{
    if (target->key != NULL)
        target->from_config = target->key->token;
    if (common->token != NULL) {
        const struct hs_config_token *token = NULL;
        if (target->config != NULL)
            token = hs_config_get_token(target->config, common->token);
        if (token == NULL)
            return not_in_config(target, "token", common->token, err);
        if (target->from_config != NULL && target->from_config != token)
            return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--token is \"%s\", but key \"%s\" is on token \"%s\"",
                              token->name, target->key->name, target->from_config->name);
        target->from_config = token;
    }
    if (target->from_config == NULL && common->module == NULL && target->config != NULL)
        target->from_config = hs_config_get_token(target->config, NULL);
    return HSMART_OK;
}

/* ---- Merging ---- */

static const char *
first_of(const char *option, const char *setting)
{
    return option != NULL ? option : setting;
}

static void
merge_token(const struct cli_common *common, struct target *target)
{
    static const struct hs_config_token nothing = {0};
    const struct hs_config_token *set = target->from_config != NULL ? target->from_config : &nothing;

    target->token = (hsmart_token_options){
        .name = set->name,
        .module = first_of(common->module, set->module),
        .init_string = first_of(common->init_string, set->init_string),
        .quirks = first_of(common->quirks, set->quirks),
        .uri = first_of(common->token_uri, set->uri),
        .pin_source = first_of(common->pin_source, set->pin_source),
        .state_directory = first_of(common->state_directory, set->state_directory),
        .max_sessions = set->max_sessions,
        .timeout_ms = set->timeout_ms,
        .log = report_log,
    };
}

static void
merge_key(const struct cli_common *common, struct target *target)
{
    static const struct hs_config_key nothing = {0};
    const struct hs_config_key *set = target->key != NULL ? target->key : &nothing;

    target->key_uri = first_of(common->key_uri, set->uri);
    target->signer = (hsmart_signer_options){
        .alg = set->alg, .kid = set->kid, .thumbprint = set->thumbprint, .allow_extractable = set->allow_extractable};
    if (common->key_uri == NULL && set->family != NULL)
        target->family = (hsmart_family_options){.label = set->family,
                                                 .lifecycle_file = set->lifecycle_file,
                                                 .state_directory = target->token.state_directory};
    /* A key's URI may name its token too, and is then enough. */
    if (target->token.uri == NULL)
        target->token.uri = target->key_uri;
}

/* ---- What must not, or must, be there ---- */

/* A family has several of each. */
static enum hsmart_code
check_family(const struct target *target, hsmart_err *err)
{
    const struct hs_config_key *key = target->key;

    if (key == NULL || key->family == NULL || (key->uri == NULL && key->thumbprint == NULL && key->kid == NULL))
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_CONFIG_INVALID, "key \"%s\" has family and %s, which is of one key", key->name,
                     key->uri != NULL          ? "uri"
                     : key->thumbprint != NULL ? "thumbprint"
                                               : "kid");
    hs_err_hint(err, "take one of the two out of the configuration");
    return HSMART_CONFIG_INVALID;
}

enum hsmart_code
target_check_text(const char *option, const char *text, hsmart_err *err)
{
    const char *problem = NULL;

    if (text == NULL)
        return HSMART_OK;
    if (text[0] == 0)
        problem = "is empty";
    else if (!hs_text_is_utf8(hs_span_str(text)))
        problem = "is not UTF-8";
    else if (!hs_text_is_printable(text))
        problem = "has a control character in it";
    if (problem == NULL)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "--%s %s", option, problem);
    hs_err_hint(err, "look at what the shell put there: a variable that is not set, a file with other line ends");
    return HSMART_INVALID_ARGUMENT;
}

enum hsmart_code
target_check_uri(const char *option, const char *uri, hsmart_err *err)
{
    if (uri == NULL || strstr(uri, "pin-value") == NULL)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT,
                     "--%s is refused: there is a pin-value in the URI, and every user of this machine can read the "
                     "arguments of a process",
                     option);
    hs_err_hint(err,
                "leave pin-value out and give --pin-source file:PATH or prompt; change this PIN, it has been seen");
    return HSMART_INVALID_ARGUMENT;
}

static enum hsmart_code
check_module(const struct target *target, hsmart_err *err)
{
    struct hs_buf names = {0};
    enum hsmart_code code = HSMART_OK;

    if (target->token.module != NULL)
        return HSMART_OK;
    if (target->config != NULL)
        code = hs_config_names(target->config, "token", &names, err);
    if (code == HSMART_OK) {
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "no token is named");
        if (names.len > 0)
            hs_err_hint(err, "give --token NAME (the configuration has: %.150s), or --module PATH",
                        hs_buf_text(&names));
        else
            hs_err_hint(err, "give --module PATH, the vendor's PKCS#11 library, or write a configuration file");
    }
    hs_buf_clear(&names);
    return code;
}

static enum hsmart_code
choose_pin_source(struct target *target, hsmart_err *err)
{
    if (target->token.pin_source != NULL)
        return HSMART_OK;
    if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO)) {
        target->token.pin_source = "prompt";
        return HSMART_OK;
    }
    (void)hs_err_set(err, HSMART_PIN_UNAVAILABLE, "no PIN source is given, and there is no terminal to ask on");
    hs_err_hint(err, "give --pin-source file:PATH, credential:NAME, fd:N, exec:COMMAND or pinpad, or set pin-source in "
                     "the configuration");
    return HSMART_PIN_UNAVAILABLE;
}

/* ---- The whole ---- */

enum hsmart_code
target_resolve(const struct cli_common *common, enum target_login login, struct target *out_target, hsmart_err *err)
{
    enum hsmart_code code;
    struct target target = {0};

    code = target_check_uri("token-uri", common->token_uri, err);
    if (code == HSMART_OK)
        code = target_check_uri("key-uri", common->key_uri, err);
    if (code == HSMART_OK)
        code = load_config(common, &target, err);
    if (code == HSMART_OK)
        code = choose_client(common, &target, err);
    if (code == HSMART_OK)
        code = choose_key(common, &target, err);
    if (code == HSMART_OK && login != TARGET_LATER)
        code = check_client_has_key(common, &target, err);
    if (code == HSMART_OK)
        code = choose_token(common, &target, err);
    if (code != HSMART_OK)
        goto out;
    merge_token(common, &target);
    merge_key(common, &target);
    code = check_family(&target, err);
    if (code == HSMART_OK && login != TARGET_LATER)
        code = check_module(&target, err);
    if (code == HSMART_OK && login == TARGET_LOGIN)
        code = choose_pin_source(&target, err);
    if (code != HSMART_OK)
        goto out;
    if (login == TARGET_NO_LOGIN)
        target.token.pin_source = NULL;
    *out_target = target;
    target = (struct target){0};
out:
    target_clear(&target);
    return code;
}

enum hsmart_code
target_need_login(struct target *target, hsmart_err *err)
{
    enum hsmart_code code = check_module(target, err);

    return code == HSMART_OK ? choose_pin_source(target, err) : code;
}

enum hsmart_code
target_open(struct target *target, hsmart_err *err)
{
    return target->opened != NULL ? HSMART_OK : hsmart_token_open(&target->token, &target->opened, err);
}

static enum hsmart_code
check_thumbprint(const struct target *target, const hsmart_key *key, hsmart_err *err)
{
    const hsmart_key_info *info = hsmart_key_get_info(key);
    const char *expected = target->signer.thumbprint;

    if (expected == NULL || (info->thumbprint != NULL && strcmp(info->thumbprint, expected) == 0))
        return HSMART_OK;
    return hs_err_set(err, HSMART_KEY_MISMATCH, "key \"%s\" has thumbprint %s, but %s is expected", info->label,
                      info->thumbprint != NULL ? info->thumbprint : "unknown", expected);
}

enum hsmart_code
target_check_one_key(const struct target *target, hsmart_err *err)
{
    if (target->family.label == NULL)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "key \"%s\" is a family, and one key is needed",
                     target->key != NULL ? target->key->name : target->family.label);
    hs_err_hint(err, "name one of its keys by --key-uri; \"hsmart-key publish\" writes the key set of a family");
    return HSMART_INVALID_ARGUMENT;
}

enum hsmart_code
target_open_key(struct target *target, hsmart_key **out_key, hsmart_err *err)
{
    hsmart_key *key = NULL;
    enum hsmart_code code = target_check_one_key(target, err);

    if (code == HSMART_OK)
        code = target_open(target, err);
    if (code == HSMART_OK)
        code = hsmart_key_find(target->opened, target->key_uri, &key, err);
    if (code == HSMART_OK)
        code = check_thumbprint(target, key, err);
    if (code != HSMART_OK) {
        hsmart_key_free(key);
        return code;
    }
    *out_key = key;
    return HSMART_OK;
}

enum hsmart_code
target_open_signer(struct target *target, const hsmart_signer_options *options, hsmart_signer **out_signer,
                   hsmart_err *err)
{
    hsmart_key *key = NULL;
    enum hsmart_code code;

    if (target->family.label != NULL) {
        code = target_open(target, err);
        return code == HSMART_OK ? hsmart_signer_new_family(target->opened, &target->family, options, out_signer, err)
                                 : code;
    }
    code = target_open_key(target, &key, err);
    if (code == HSMART_OK)
        code = hsmart_signer_new(key, options, out_signer, err);
    hsmart_key_free(key);
    return code;
}

void
target_clear(struct target *target)
{
    hsmart_token_close(target->opened);
    hs_config_free(target->config);
    *target = (struct target){0};
}

enum hsmart_code
target_check_allowed(const char *allowed_label, const hsmart_key *key, hsmart_err *err)
{
    const char *label = hsmart_key_get_info(key)->label;

    if (allowed_label == NULL || strcmp(allowed_label, label) == 0)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_POLICY_REFUSED, "--allow-extractable names key \"%s\", but the key found is \"%s\"",
                     allowed_label, label);
    hs_err_hint(err, "the permission holds for one key only, by its label: give --allow-extractable with the label of "
                     "the key that is meant");
    return HSMART_POLICY_REFUSED;
}
