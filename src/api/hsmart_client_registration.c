#include "err.h"
#include "hsmart_client_link.h"
#include "hsmart_client_secret.h"
#include "registration.h"

/* The public object is the first member of ours. */
struct registration_object {
    hsmart_registration told;
    struct hs_registration own;
};

static void
tell(struct registration_object *object)
{
    const struct hs_registration *own = &object->own;

    object->told = (hsmart_registration){
        .client_id = own->client_id,
        .auth_method = own->method,
        .scope = own->scope,
        .has_client_secret = own->client_secret.len > 0,
        .client_secret_expires_at_s = own->client_secret_expires_at_s,
        .registration_client_uri = own->registration_client_uri,
        .registration_endpoint = own->registration_endpoint,
        .registered_at_s = own->registered_at_s,
        .has_registration_access_token = own->registration_access_token.len > 0,
        .differences = hs_client_list(&own->differences),
    };
}

static struct hs_registration_request
request_of(const hsmart_registration_request *request, const char *endpoint)
{
    return (struct hs_registration_request){
        .registration_endpoint = endpoint,
        .jwks = request->jwks,
        .jwks_uri = request->jwks_uri,
        .method = (enum hs_auth_method)request->auth,
        .signing_alg = request->signing_alg,
        .scope = request->scope,
        .client_name = request->client_name,
        .client_uri = request->client_uri,
        .contact = request->contact,
        .software_id = request->software_id,
        .software_version = request->software_version,
        .software_statement = request->software_statement,
        .initial_access_token = request->initial_access_token,
    };
}

static void
warn_by_row(const struct hs_server_row *row, const hsmart_registration_request *request, const struct hs_log *log)
{
    if (row->jwks_url_needed && request->jwks != NULL)
        hs_log_warning(log, "%s takes keys by URL only: publish the JWKS and register its URL", row->title);
}

/* Read when all else is known to be there: a prompt, or a descriptor, gives it once. */
static enum hsmart_code
read_initial(const hsmart_registration_request *request, struct hs_buf *out_initial, hsmart_err *err)
{
    struct hs_client_secret secret = {0};
    struct hs_secret value = {0};
    enum hsmart_code code;

    if (request->initial_access_token_source == NULL)
        return HSMART_OK;
    code = hs_client_secret_open(request->initial_access_token_source, NULL, &secret, err);
    if (code == HSMART_OK) {
        const struct hs_secret_source source = hs_client_secret_source(&secret);
        code = source.read(source.arg, &value, err);
    }
    if (code == HSMART_OK)
        code = hs_buf_append(out_initial, (struct hs_span){value.data, value.len}, err);
    hs_secret_clear(&value);
    hs_client_secret_close(&secret);
    return code == HSMART_OK ? code : hs_err_wrap(err, code, "the initial access token");
}

/* Whoever controls the FHIR base names the endpoint. Many servers have it elsewhere: that is told, not refused. */
static void
warn_about_origin(const hsmart_registration_request *request, const char *endpoint, const struct hs_log *log)
{
    struct hs_buf origin = {0};

    if (request->registration_endpoint == NULL && endpoint != NULL &&
        !hs_http_same_origin(endpoint, request->fhir_base) && hs_http_origin(endpoint, &origin, NULL) == HSMART_OK)
        hs_log_warning(log, "the initial access token goes to %s, which the document at the FHIR base names",
                       hs_buf_text(&origin));
    hs_buf_clear(&origin);
}

static enum hsmart_code
reserve(const char *path, struct hs_file_draft *out_draft, hsmart_err *err)
{
    enum hsmart_code code = hs_registration_reserve(path, out_draft, err);

    return code == HSMART_OK ? code : hs_err_wrap(err, code, "nothing was sent");
}

/* The server will not say it again. */
static enum hsmart_code
keep(const struct registration_object *object, struct hs_file_draft *draft, hsmart_err *err)
{
    enum hsmart_code code = hs_registration_keep(&object->own, draft, err);

    if (code == HSMART_OK)
        return code;
    code = hs_err_wrap(err, code, "client id \"%.150s\" is registered, but could not be kept", object->own.client_id);
    hs_err_hint(err, "%s%.200s",
                object->own.registration_client_uri != NULL
                    ? "have that client deleted at the server before you register again: "
                    : "have that client deleted at the server before you register again",
                object->own.registration_client_uri != NULL ? object->own.registration_client_uri : "");
    return code;
}

enum hsmart_code
hsmart_register(const hsmart_registration_request *request, const hsmart_network_options *network,
                hsmart_registration **out_registration, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_client_link net = {0};
    const struct hs_server_row *row = NULL;
    const char *endpoint = request->registration_endpoint;
    hsmart_discovery *discovery = NULL;
    struct hs_buf initial = {0};
    struct hs_file_draft draft = {0};
    struct registration_object *object = hs_calloc(1, sizeof *object);

    if (object == NULL)
        return hs_err_no_memory(err);
    code = hs_client_server(request->server, &row, err);
    if (code == HSMART_OK && request->file != NULL)
        code = reserve(request->file, &draft, err);
    if (code == HSMART_OK)
        code = hs_client_link_open(network, &net, err);
    if (code == HSMART_OK && endpoint == NULL && request->fhir_base != NULL) {
        code = hsmart_discover(request->fhir_base, NULL, network, &discovery, err);
        endpoint = code == HSMART_OK ? discovery->registration_endpoint : NULL;
    }
    if (code == HSMART_OK)
        code = read_initial(request, &initial, err);
    if (code != HSMART_OK)
        goto out;
    struct hs_registration_request own = request_of(request, endpoint);
    if (initial.len > 0)
        own.initial_access_token = hs_buf_text(&initial);
    warn_by_row(row, request, &net.link.log);
    if (own.initial_access_token != NULL)
        warn_about_origin(request, endpoint, &net.link.log);
    code = request->form || row->registers_by_form
               ? hs_registration_send_form(&own, request->duration_min, &net.link, &object->own, err)
               : hs_registration_send(&own, &net.link, &object->own, err);
    if (code != HSMART_OK)
        goto out;
    tell(object);
    if (request->file != NULL)
        code = keep(object, &draft, err);
    *out_registration = &object->told;
    object = NULL;
out:
    hs_file_draft_clear(&draft);
    if (object != NULL)
        hsmart_registration_free(&object->told);
    hs_buf_clear(&initial);
    hsmart_discovery_free(discovery);
    hs_client_link_close(&net);
    return code;
}

enum hsmart_code
hsmart_registration_save(const hsmart_registration *registration, const char *path, hsmart_err *err)
{
    return hs_registration_save(&((const struct registration_object *)registration)->own, path, err);
}

enum hsmart_code
hsmart_registration_load(const char *path, hsmart_registration **out_registration, hsmart_err *err)
{
    enum hsmart_code code;
    struct registration_object *object = hs_calloc(1, sizeof *object);

    if (object == NULL)
        return hs_err_no_memory(err);
    code = hs_registration_load(path, &object->own, err);
    if (code != HSMART_OK) {
        hsmart_registration_free(&object->told);
        return code;
    }
    tell(object);
    *out_registration = &object->told;
    return HSMART_OK;
}

void
hsmart_registration_free(hsmart_registration *registration)
{
    struct registration_object *object = (struct registration_object *)registration;

    if (object == NULL)
        return;
    hs_registration_clear(&object->own);
    hs_free(object);
}
