/* The doctor's probes of this machine: configuration, files, module, token, PIN, key. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "doctor.h"
#include "err.h"
#include "file.h"

#define SECRET_MAX_LEN 1024U
#define DOCTOR_ATTEMPTS 2U
#define DOCTOR_WAIT_S 3U

/* ---- The configuration ---- */

/* Where neither a client nor a server is named: the only client of the configuration. */
static enum hsmart_code
choose_only_client(struct doctor *doctor, hsmart_err *err)
{
    struct client_common *client = &doctor->client;
    struct hs_config *config = NULL;
    struct hs_buf path = {0}, names = {0};
    enum hsmart_code code;

    if (client->common.client != NULL || client->fhir_base != NULL || client->token_endpoint != NULL)
        return HSMART_OK;
    code = hs_config_find(client->common.config, &path, err);
    if (code == HSMART_OK && path.len > 0)
        code = hs_config_load(hs_buf_text(&path), &config, err);
    if (code == HSMART_OK)
        code = hs_config_names(config, "client", &names, err);
    const struct hs_config_client *only = hs_config_get_client(config, NULL);
    if (code == HSMART_OK && only == NULL) {
        code = hs_err_set(err, HSMART_CONFIG_INVALID, "no client is named");
        hs_err_hint(err,
                    names.len > 0 ? "give --client NAME; the configuration has: %.200s"
                                  : "write a configuration file with a client in it, or give --fhir-base URL%s",
                    hs_buf_text(&names));
    } else if (code == HSMART_OK) {
        (void)snprintf(doctor->only_client, sizeof doctor->only_client, "%s", only->name);
        client->common.client = doctor->only_client;
    }
    hs_config_free(config);
    hs_buf_clear(&names);
    hs_buf_clear(&path);
    return code;
}

/* Whoever waits for an answer wants to know that there is none, not to wait for it: two tries, and no long
 * Retry-After, unless told otherwise. */
static void
limit_patience(struct doctor *doctor)
{
    hsmart_network_options *network = &doctor->target.options.network;

    if (network->max_attempts == 0)
        network->max_attempts = DOCTOR_ATTEMPTS;
    network->max_wait_s = DOCTOR_WAIT_S;
}

static enum hsmart_code
find_row(struct doctor *doctor, hsmart_err *err)
{
    const struct hs_server_row *row = NULL;

    if (hsmart_server_by_name(doctor->target.options.server, &doctor->server))
        return HSMART_OK;
    return hs_check_server_find(doctor->target.options.server, &row, err); /* its error lists the rows */
}

/* What is missing or does not fit, whatever is done with the client. */
static void
tell_gaps(struct doctor *doctor)
{
    const hsmart_client_options *options = &doctor->target.options;
    const struct hs_config_client *set = doctor->target.target.client;
    bool has_means =
        options->open_signer != NULL || options->secret_source != NULL || options->registration_file != NULL;

    if (options->client_id == NULL && options->registration_file == NULL)
        doctor_tell(doctor, DOCTOR_FAIL, "set client-id to the id that the server gave when the client was registered",
                    "the client has no client-id");
    if (!has_means)
        doctor_tell(doctor, DOCTOR_FAIL, "set key, or client-secret-source for a server that takes no assertions",
                    "the client has neither a key nor a secret");
    if (options->fhir_base == NULL && options->token_endpoint == NULL)
        doctor_tell(doctor, DOCTOR_FAIL, "set fhir-base to the server's FHIR base URL",
                    "the client has neither fhir-base nor token-endpoint");
    if (options->scope == NULL && doctor->server.scope == HSMART_SCOPE_REQUIRED)
        doctor_tell(doctor, DOCTOR_WARN, "set scope, such as \"system/Patient.rs\"", "the client has no scope");
    if (options->open_signer != NULL && (doctor->server.auth_methods & HSMART_AUTH_PRIVATE_KEY_JWT) == 0)
        doctor_tell(doctor, DOCTOR_WARN, "look at docs/servers.md for the methods of this family",
                    "the client signs assertions, and %s takes none", doctor->server.title);
    if (doctor->server.lacks != NULL)
        doctor_tell(doctor, DOCTOR_WARN, "look at docs/servers.md", "%s also needs %s, which hsmart does not send",
                    doctor->server.title, doctor->server.lacks);
    if (set != NULL && hs_config_get_caveat(doctor->target.target.config) != NULL)
        doctor_tell(doctor, DOCTOR_WARN, NULL, "%s", hs_config_get_caveat(doctor->target.target.config));
}

void
doctor_configuration(struct doctor *doctor)
{
    hsmart_err err = {0};
    const hsmart_client_options *options = &doctor->target.options;
    enum hsmart_code code = choose_only_client(doctor, &err);

    if (code == HSMART_OK)
        code = client_target_resolve(&doctor->client, &doctor->target, &err);
    if (code == HSMART_OK)
        code = find_row(doctor, &err);
    if (code != HSMART_OK) {
        doctor_tell_error(doctor, DOCTOR_FAIL, &err);
        return;
    }
    limit_patience(doctor);
    doctor->have |= DR_CLIENT;
    doctor->have |= options->open_signer != NULL ? DR_KEY_METHOD : 0U;
    doctor->have |= options->fhir_base != NULL ? DR_FHIR_BASE : 0U;
    doctor->have |= options->token_endpoint != NULL ? DR_ENDPOINT | DR_SERVER_URL : 0U;
    doctor->have |= options->scope != NULL ? DR_SCOPE : 0U;
    const char *who = options->name != NULL ? options->name : options->client_id;
    if (who != NULL)
        doctor_tell(doctor, DOCTOR_OK, NULL, "client \"%s\", server row \"%s\"", who, doctor->server.name);
    else
        doctor_tell(doctor, DOCTOR_OK, NULL, "a client without a name, server row \"%s\"", doctor->server.name);
    tell_gaps(doctor);
}

/* ---- Files of secrets ---- */

/* Read as it will be, and forgotten: the same rules on owner and mode hold. */
static void
look_at_file(struct doctor *doctor, const char *what, const char *path)
{
    hsmart_err err = {0};
    struct hs_buf secret = {0};
    enum hsmart_code code = hs_file_read_secret(path, SECRET_MAX_LEN, &secret, &err);

    if (code == HSMART_OK && secret.len == 0)
        doctor_tell(doctor, DOCTOR_FAIL, "put it in, for instance with an editor; a line end at its end is fine",
                    "the file of the %s, \"%s\", is empty", what, path);
    else if (code == HSMART_OK)
        doctor_tell(doctor, DOCTOR_OK, NULL, "the %s is in \"%s\", which only its owner can read", what, path);
    else
        doctor_tell_error(doctor, DOCTOR_FAIL, &err);
    hs_buf_clear(&secret);
}

static void
look_at_source(struct doctor *doctor, const char *what, const char *source)
{
    static const struct {
        const char *prefix, *words;
    } kinds[] = {
        {"credential:", "comes from systemd, to the service only"},
        {"fd:", "comes from a descriptor"},
        {"exec:", "comes from a command, which was not run"},
        {"prompt", "is asked on the terminal"},
        {"pinpad", "is typed on the device"},
    };

    if (strncmp(source, "file:", strlen("file:")) == 0) {
        look_at_file(doctor, what, source + strlen("file:"));
        return;
    }
    for (size_t i = 0; i < HS_ARRAY_LEN(kinds); i++)
        if (strncmp(source, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
            doctor_tell(doctor, DOCTOR_OK, NULL, "the %s %s", what, kinds[i].words);
}

void
doctor_files(struct doctor *doctor)
{
    const hsmart_client_options *options = &doctor->target.options;
    const char *pin_source = doctor->target.target.token.pin_source;

    if (options->secret_source != NULL)
        look_at_source(doctor, "client secret", options->secret_source);
    else if (options->registration_file != NULL)
        look_at_file(doctor, "registration", options->registration_file);
    if (options->open_signer == NULL) {
        doctor->have |= options->secret_source != NULL || options->registration_file != NULL ? DR_CAN_AUTHENTICATE : 0U;
        if (options->secret_source == NULL && options->registration_file == NULL)
            doctor_tell(doctor, DOCTOR_SKIPPED, NULL, "not looked at: there is none");
    } else if (pin_source != NULL) {
        look_at_source(doctor, "PIN", pin_source);
    } else {
        doctor_tell(doctor, DOCTOR_WARN, "set pin-source of the token, or give --pin-source",
                    "no PIN source is set: it is asked for where there is a terminal");
    }
}

/* ---- The token ---- */

/* As the client has it, but without login. */
static hsmart_token_options
without_login(const struct doctor *doctor)
{
    hsmart_token_options options = doctor->target.target.token;

    options.pin_source = NULL;
    return options;
}

void
doctor_module(struct doctor *doctor)
{
    hsmart_err err = {0};
    hsmart_token_list *list = NULL;
    hsmart_token_options any = without_login(doctor);

    any.uri = NULL;
    if (any.module == NULL) {
        doctor_tell(doctor, DOCTOR_FAIL, "set key of the client, or give --module PATH, the vendor's PKCS#11 library",
                    "no token is named");
        return;
    }
    if (hsmart_token_list_read(&any, &list, &err) != HSMART_OK) {
        doctor_tell_error(doctor, DOCTOR_FAIL, &err);
        return;
    }
    doctor->have |= DR_MODULE;
    doctor_tell(doctor, DOCTOR_OK, NULL, "\"%s\" shows %zu %s", any.module, list->count,
                list->count == 1 ? "token" : "tokens");
    hsmart_token_list_free(list);
}

void
doctor_token(struct doctor *doctor)
{
    const hsmart_token_options options = without_login(doctor);
    hsmart_err err = {0};

    if (hsmart_token_open(&options, &doctor->token, &err) != HSMART_OK) {
        doctor_tell_error(doctor, DOCTOR_FAIL, &err);
        return;
    }
    const hsmart_token_info *info = hsmart_token_get_info(doctor->token);
    doctor->have |= DR_TOKEN;
    doctor_tell(doctor, DOCTOR_OK, NULL, "\"%s\", serial %s, %s %s", info->label, info->serial, info->manufacturer,
                info->model);
}

static const struct {
    enum hsmart_guard_state state;
    enum doctor_verdict verdict;
    const char *text, *cure;
} guard_states[] = {
    {HSMART_GUARD_OPEN, DOCTOR_OK, "nothing stands against a login", NULL},
    {HSMART_GUARD_REOPENED, DOCTOR_OK, "an operator allowed one more try of the PIN", NULL},
    {HSMART_GUARD_PENDING, DOCTOR_FAIL, "a try of the PIN was begun and has no recorded end: the guard allows no other",
     "make sure that the PIN is right, then run \"hsmart-key token unlock-guard\""},
    {HSMART_GUARD_UNANSWERED, DOCTOR_FAIL,
     "the PIN was tried, and no answer of the token said whether it is right: the guard allows no other try",
     "find out why the token answered so, then run \"hsmart-key token unlock-guard\""},
    {HSMART_GUARD_REFUSED, DOCTOR_WARN, "the token refused a PIN: the guard lets another value through, not the same",
     "put the right PIN in place; if it was right all the time, run \"hsmart-key token unlock-guard\""},
};

void
doctor_pin(struct doctor *doctor)
{
    const hsmart_token_info *info = hsmart_token_get_info(doctor->token);
    enum hsmart_guard_state state = HSMART_GUARD_OPEN;
    hsmart_err err = {0};

    if (!info->pin_set) {
        doctor_tell(doctor, DOCTOR_FAIL, "initialise it: hsmart-key token init", "the token has no user PIN");
        return;
    }
    if (info->pin_locked) {
        doctor_tell(doctor, DOCTOR_FAIL, "the security officer has to set a new PIN",
                    "the user PIN is locked: too many wrong ones were tried");
        return;
    }
    if (info->pin_final_try || info->pin_count_low)
        doctor_tell(doctor, DOCTOR_WARN, "make sure that the PIN is right before anything logs in",
                    info->pin_final_try ? "one more wrong PIN locks the token" : "a wrong PIN was tried");
    if (hsmart_token_look_at_guard(&doctor->target.target.token, &state, &err) != HSMART_OK) {
        doctor_tell_error(doctor, DOCTOR_FAIL, &err);
        return;
    }
    for (size_t i = 0; i < HS_ARRAY_LEN(guard_states); i++)
        if (guard_states[i].state == state) {
            doctor_tell(doctor, guard_states[i].verdict, guard_states[i].cure, "%s", guard_states[i].text);
            doctor->have |= guard_states[i].verdict != DOCTOR_FAIL ? DR_PIN_FREE : 0U;
        }
}

void
doctor_login(struct doctor *doctor)
{
    hsmart_err err = {0};
    enum hsmart_code code;

    hsmart_token_close(doctor->token);
    doctor->token = NULL;
    code = target_need_login(&doctor->target.target, &err);
    if (code == HSMART_OK)
        code = target_open(&doctor->target.target, &err);
    if (code != HSMART_OK) {
        doctor_tell_error(doctor, DOCTOR_FAIL, &err);
        return;
    }
    doctor->have |= DR_LOGGED_IN;
    doctor_tell(doctor, DOCTOR_OK, NULL, "the token accepted the PIN");
}

/* ---- The key ---- */

/* Whether a signer can be made of the key, or of its family, at all. */
static enum hsmart_code
try_signer(const struct doctor *doctor, hsmart_err *err)
{
    const struct target *target = &doctor->target.target;
    hsmart_signer_options options = target->signer;
    hsmart_signer *signer = NULL;
    enum hsmart_code code;

    options.alg = doctor->client.alg != NULL ? doctor->client.alg : options.alg;
    options.kid = doctor->client.kid != NULL ? doctor->client.kid : options.kid;
    if (target->family.label != NULL)
        code = hsmart_signer_new_family(target->opened, &target->family, &options, &signer, err);
    else
        code = hsmart_signer_new(doctor->key, &options, &signer, err);
    hsmart_signer_free(signer);
    return code;
}

void
doctor_key(struct doctor *doctor)
{
    hsmart_err err = {0};

    /* Kept where the client below finds it, instead of logging in again. */
    if (client_target_open_key(&doctor->target, &doctor->key, &err) != HSMART_OK ||
        try_signer(doctor, &err) != HSMART_OK) {
        doctor_tell_error(doctor, DOCTOR_FAIL, &err);
        return;
    }
    const hsmart_key_info *info = hsmart_key_get_info(doctor->key);
    doctor->have |= DR_KEY | DR_CAN_AUTHENTICATE;
    doctor_tell(doctor, DOCTOR_OK, NULL, "\"%s\", %s %s, thumbprint %s", info->label, info->type,
                info->curve != NULL ? info->curve : "", info->thumbprint);
}

static void
look_at_attributes(struct doctor *doctor, const hsmart_key_info *info)
{
    size_t silent = 0, weak = 0;

    for (size_t i = 0; i < info->attribute_count; i++) {
        const hsmart_key_attribute *attribute = &info->attributes[i];
        if (attribute->reported == HSMART_ANSWER_NOT_REPORTED)
            silent++;
        else if (attribute->reported != attribute->wanted) {
            weak++;
            doctor_tell(doctor, attribute->required ? DOCTOR_FAIL : DOCTOR_WARN,
                        "make a new key with hsmart-key generate, publish it, then change over",
                        "%s is %s, but should be %s", attribute->name,
                        attribute->reported == HSMART_ANSWER_YES ? "true" : "false",
                        attribute->wanted == HSMART_ANSWER_YES ? "true" : "false");
        }
    }
    if (weak == 0)
        doctor_tell(doctor, DOCTOR_OK, NULL, "the token says that the key cannot leave it%s",
                    silent > 0 ? ", though it does not report every attribute" : "");
}

/* A key that is named by its uri signs on after its last day; one of a family does not get this far. */
static void
look_at_last_day(struct doctor *doctor, const char *end_date)
{
    const time_t now = (time_t)hs_clock_now_s();
    struct tm parts = {0};
    char today[16];

    if (end_date == NULL || gmtime_r(&now, &parts) == NULL || strftime(today, sizeof today, "%Y-%m-%d", &parts) == 0 ||
        strcmp(end_date, today) >= 0)
        return;
    doctor_tell(
        doctor, DOCTOR_WARN,
        "change over to another key: \"hsmart-key rotate\" makes one, and family in place of uri obeys the dates",
        "its last day, %s, has passed, and it signs all the same", end_date);
}

/* Whether the key can be used with one of the server's algorithms: the configured one, where there is one. */
static bool
suits_server(const struct doctor *doctor)
{
    const char *set = doctor->client.alg != NULL ? doctor->client.alg : doctor->target.target.signer.alg;
    char alg[16];

    for (const char *at = doctor->server.algs; *at != 0; at += strcspn(at, " "), at += strspn(at, " ")) {
        const hsmart_jwk_options options = {.alg = alg};
        char *jwk = NULL;
        (void)snprintf(alg, sizeof alg, "%.*s", (int)strcspn(at, " "), at);
        bool fits = hsmart_key_jwk(doctor->key, &options, &jwk, NULL) == HSMART_OK;
        hsmart_string_free(jwk);
        if (fits && (set == NULL || strcmp(set, alg) == 0))
            return true;
    }
    return false;
}

void
doctor_policy(struct doctor *doctor)
{
    const hsmart_key_info *info = hsmart_key_get_info(doctor->key);

    look_at_attributes(doctor, info);
    look_at_last_day(doctor, info->end_date);
    if (!suits_server(doctor))
        doctor_tell(doctor, DOCTOR_FAIL,
                    "make a key for one of these: hsmart-key generate --alg; or set alg of the key",
                    "the key does not sign with what %s takes: %s", doctor->server.title, doctor->server.algs);
    if (info->curve == NULL && info->bits < doctor->server.rsa_min_bits)
        doctor_tell(doctor, DOCTOR_FAIL, "make a larger key: hsmart-key generate --bits",
                    "the key has %u bits, but %s wants %u", info->bits, doctor->server.title,
                    doctor->server.rsa_min_bits);
}
