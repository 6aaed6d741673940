#include <hsmart/client.h>

#include "api_objects.h"
#include "err.h"
#include "hsmart_client_object.h"
#include "registration.h"

/* ---- How the client proves who it is ---- */

static enum hsmart_code
open_signer(void *arg, const char *algs, struct hs_signer **out_signer, hsmart_err *err)
{
    const struct hs_client_signer *own = arg;
    hsmart_signer *signer = own->signer;
    enum hsmart_code code = signer != NULL ? HSMART_OK : own->open(own->arg, algs, &signer, err);

    if (code == HSMART_OK)
        *out_signer = hs_api_signer(signer);
    return code;
}

static bool
has_signer(const hsmart_client_options *options)
{
    return options->signer != NULL || options->open_signer != NULL;
}

/* What is configured, what was registered, what there is the means for. */
static enum hs_auth_method
choose_method(const hsmart_client_options *options, const struct hs_registration *registration)
{
    enum hs_auth_method registered = (enum hs_auth_method)0;

    if (options->auth != HSMART_AUTH_DEFAULT)
        return (enum hs_auth_method)options->auth;
    if (registration->method != NULL)
        registered = hs_auth_method_by_name(registration->method);
    if (registered != 0)
        return registered;
    return has_signer(options) ? HS_AUTH_PRIVATE_KEY_JWT : HS_AUTH_SECRET_BASIC;
}

static enum hsmart_code
check_means(const hsmart_client_options *options, const struct hs_registration *registration,
            enum hs_auth_method method, hsmart_err *err)
{
    if (hs_auth_method_name(method) == hs_auth_method_name((enum hs_auth_method)0))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "there is no authentication method %d", (int)method);
    if (method == HS_AUTH_PRIVATE_KEY_JWT && !has_signer(options))
        return hs_err_set(err, HSMART_CONFIG_INVALID, "private_key_jwt needs a key, and there is none");
    if (method != HS_AUTH_PRIVATE_KEY_JWT && options->secret_source == NULL && registration->client_secret.len == 0)
        return hs_err_set(err, HSMART_CONFIG_INVALID, "%s needs a client secret, and there is none",
                          hs_auth_method_name(method));
    return HSMART_OK;
}

/* A method that was asked for by name is tried all the same: rows are what was known when they were written. */
static enum hsmart_code
check_row(const hsmart_client_options *options, const struct hs_server_row *row, enum hs_auth_method method,
          hsmart_err *err)
{
    const struct hs_log log = hs_client_log(&options->network);

    if (row->lacks != NULL && method == HS_AUTH_PRIVATE_KEY_JWT)
        hs_log_warning(&log, "%s needs %s, which hsmart does not do yet", row->title, row->lacks);
    if ((row->auth_methods & (unsigned)method) != 0)
        return HSMART_OK;
    if (options->auth != HSMART_AUTH_DEFAULT) {
        hs_log_warning(&log, "%s is not known to take %s", row->title, hs_auth_method_name(method));
        return HSMART_OK;
    }
    (void)hs_err_set(err, HSMART_CONFIG_INVALID, "%s is not known to take %s", row->title, hs_auth_method_name(method));
    hs_err_hint(err, "give the client %s, or name the method if the server takes it by now",
                method == HS_AUTH_PRIVATE_KEY_JWT ? "its secret" : "a key");
    return HSMART_CONFIG_INVALID;
}

static enum hsmart_code
make_assertions(const hsmart_client_options *options, const struct hs_server_row *row, hsmart_client *client,
                hsmart_err *err)
{
    const struct hs_signer_source source = {open_signer, &client->signer};
    const struct hs_log log = hs_client_log(&options->network);
    const hsmart_assertion_options own = {
        .type = options->assertion_type,
        .jku = options->jku,
        .lifetime_s = options->assertion_lifetime_s,
        .omit_issued_at = options->omit_issued_at,
        .not_before = options->not_before,
    };

    client->signer = (struct hs_client_signer){options->signer, options->open_signer, options->signer_arg};
    return hs_signer_assertions_new(&source, row, &own, &log, &client->assertions, err);
}

static bool
choose(enum hsmart_choice choice, bool by_server)
{
    return choice == HSMART_BY_SERVER ? by_server : choice == HSMART_YES;
}

/* Makes the means, and says which they are. */
static enum hsmart_code
make_auth(const hsmart_client_options *options, const struct hs_server_row *row,
          const struct hs_registration *registration, hsmart_client *client, struct hs_client_auth *auth,
          hsmart_err *err)
{
    enum hsmart_code code;

    auth->method = choose_method(options, registration);
    auth->client_id = options->client_id != NULL ? options->client_id : registration->client_id;
    auth->basic = choose(options->raw_basic, row->basic == HS_BASIC_RAW) ? HS_BASIC_RAW : HS_BASIC_FORM_ENCODED;
    auth->sends_client_id = choose(options->send_client_id, row->sends_client_id);
    code = check_means(options, registration, auth->method, err);
    if (code == HSMART_OK)
        code = check_row(options, row, auth->method, err);
    if (code != HSMART_OK)
        return code;
    if (auth->method == HS_AUTH_PRIVATE_KEY_JWT) {
        code = make_assertions(options, row, client, err);
        if (code == HSMART_OK)
            auth->assertions = hs_signer_assertions_source(client->assertions);
        return code;
    }
    code = hs_client_secret_open(options->secret_source, options->registration_file, &client->secret, err);
    if (code == HSMART_OK)
        auth->secret = hs_client_secret_source(&client->secret);
    return code;
}

/* ---- A client ---- */

static enum hsmart_code
make(const hsmart_client_options *options, hsmart_client *client, hsmart_err *err)
{
    enum hsmart_code code;
    const struct hs_server_row *row = NULL;
    struct hs_registration registration = {0};
    struct hs_backend_options own = {
        .name = options->name,
        .fhir_base = options->fhir_base,
        .token_endpoint = options->token_endpoint,
        .token_pin = options->token_pin,
        .audience = options->audience,
        .scope = options->scope,
        .use_refresh_token = options->use_refresh_token,
        .no_cache = options->no_cache,
        .cache_directory = options->cache_directory,
    };

    code = hs_client_server(options->server, &row, err);
    if (code == HSMART_OK && options->registration_file != NULL)
        code = hs_registration_load(options->registration_file, &registration, err);
    if (code == HSMART_OK)
        code = hs_client_link_open(&options->network, &client->net, err);
    if (code == HSMART_OK)
        code = make_auth(options, row, &registration, client, &own.auth, err);
    if (code != HSMART_OK)
        goto out;
    own.server = *row;
    own.link = client->net.link;
    code = hs_backend_new(&own, &client->backend, err);
out:
    hs_registration_clear(&registration);
    return code;
}

enum hsmart_code
hsmart_client_new(const hsmart_client_options *options, hsmart_client **out_client, hsmart_err *err)
{
    enum hsmart_code code;
    hsmart_client *client = hs_calloc(1, sizeof *client);

    if (client == NULL)
        return hs_err_no_memory(err);
    code = make(options, client, err);
    if (code != HSMART_OK) {
        hsmart_client_free(client);
        return options->name != NULL ? hs_err_wrap(err, code, "client \"%.60s\"", options->name) : code;
    }
    *out_client = client;
    return HSMART_OK;
}

void
hsmart_client_free(hsmart_client *client)
{
    if (client == NULL)
        return;
    hs_backend_free(client->backend);
    hs_signer_assertions_free(client->assertions);
    hs_client_secret_close(&client->secret);
    hs_client_link_close(&client->net);
    hs_free(client);
}

enum hsmart_code
hsmart_client_assertion(hsmart_client *client, char **out_jwt, hsmart_err *err)
{
    struct hs_buf jwt = {0};
    enum hsmart_code code = hs_backend_assertion(client->backend, &jwt, err);

    if (code == HSMART_OK)
        code = hs_buf_take_text(&jwt, out_jwt, err);
    hs_buf_clear(&jwt);
    return code;
}

/* ---- Access tokens ---- */

/* The public object is the first member of ours. */
struct access_token_object {
    hsmart_access_token told;
    struct hs_access_token own;
};

/* `renew`: whatever there is; else one that is good for `min_validity_s` more seconds. */
static enum hsmart_code
get_access_token(hsmart_client *client, bool renew, unsigned min_validity_s, hsmart_access_token **out_access_token,
                 hsmart_err *err)
{
    struct access_token_object *object = hs_calloc(1, sizeof *object);
    enum hsmart_code code;

    if (object == NULL)
        return hs_err_no_memory(err);
    code = renew ? hs_backend_renew_access_token(client->backend, &object->own, err)
                 : hs_backend_access_token(client->backend, min_validity_s, &object->own, err);
    if (code != HSMART_OK) {
        hs_free(object);
        return code;
    }
    object->told = (hsmart_access_token){
        .value = hs_buf_text(&object->own.value),
        .type = "Bearer", /* no other type is accepted */
        .scope = object->own.scope,
        .obtained_at_s = object->own.sent_at_s,
        .expires_at_s = object->own.expires_at_s,
    };
    *out_access_token = &object->told;
    return HSMART_OK;
}

enum hsmart_code
hsmart_client_access_token(hsmart_client *client, unsigned min_validity_s, hsmart_access_token **out_access_token,
                           hsmart_err *err)
{
    return get_access_token(client, false, min_validity_s, out_access_token, err);
}

enum hsmart_code
hsmart_client_renew_access_token(hsmart_client *client, hsmart_access_token **out_access_token, hsmart_err *err)
{
    return get_access_token(client, true, 0, out_access_token, err);
}

void
hsmart_access_token_free(hsmart_access_token *access_token)
{
    struct access_token_object *object = (struct access_token_object *)access_token;

    if (object == NULL)
        return;
    hs_access_token_clear(&object->own);
    hs_free(object);
}

void
hsmart_client_reject_access_token(hsmart_client *client, const char *value)
{
    hs_backend_reject_access_token(client->backend, hs_span_str(value));
}
