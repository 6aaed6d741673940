#include "discovery.h"
#include "discovery_cache.h"
#include "err.h"
#include "hsmart_client_link.h"

/* The public object is the first member of ours. */
struct discovery_object {
    hsmart_discovery told;
    struct hs_discovery own;
};

static void
tell(struct discovery_object *object)
{
    const struct hs_discovery *own = &object->own;

    object->told.url = own->url;
    object->told.token_endpoint = own->token_endpoint;
    object->told.issuer = own->issuer;
    object->told.jwks_uri = own->jwks_uri;
    object->told.authorization_endpoint = own->authorization_endpoint;
    object->told.registration_endpoint = own->registration_endpoint;
    object->told.introspection_endpoint = own->introspection_endpoint;
    object->told.revocation_endpoint = own->revocation_endpoint;
    object->told.management_endpoint = own->management_endpoint;
    object->told.capabilities = hs_client_list(&own->capabilities);
    object->told.grant_types = hs_client_list(&own->grant_types);
    object->told.auth_methods = hs_client_list(&own->auth_methods);
    object->told.signing_algs = hs_client_list(&own->signing_algs);
    object->told.scopes = hs_client_list(&own->scopes);
    object->told.warnings = hs_client_list(&own->warnings);
    object->told.read_at_s = own->read_at_s;
    object->told.expires_at_s = own->expires_at_s;
    object->told.document = hs_buf_text(&own->document);
    object->told.document_len = own->document.len;
}

/* Out of the cache, which is never a reason to fail, or from the server. */
static enum hsmart_code
read_document(const struct hs_link *link, const char *fhir_base, const hsmart_discovery_options *options,
              struct discovery_object *object, hsmart_err *err)
{
    struct hs_private_directory directory = {.fd = -1};
    bool has_directory =
        options->use_cache && hs_private_directory_open(options->cache_directory, &directory, NULL) == HSMART_OK;
    enum hsmart_code code = HSMART_OK;

    if (has_directory)
        (void)!hs_discovery_cache_load(&directory, fhir_base, hs_link_now_s(link), &object->told.from_cache,
                                       &object->own, NULL);
    if (!object->told.from_cache) {
        code = hs_discovery_fetch(link, fhir_base, &object->own, err);
        if (code == HSMART_OK && has_directory)
            (void)!hs_discovery_cache_save(&directory, fhir_base, &object->own, NULL);
    }
    if (has_directory)
        hs_private_directory_close(&directory);
    return code;
}

enum hsmart_code
hsmart_discover(const char *fhir_base, const hsmart_discovery_options *options, const hsmart_network_options *network,
                hsmart_discovery **out_discovery, hsmart_err *err)
{
    static const hsmart_discovery_options defaults = {0};
    enum hsmart_code code;
    struct hs_client_link net = {0};
    struct discovery_object *object = hs_calloc(1, sizeof *object);

    if (object == NULL)
        return hs_err_no_memory(err);
    if (options == NULL)
        options = &defaults;
    code = hs_client_link_open(network, &net, err);
    if (code == HSMART_OK)
        code = read_document(&net.link, fhir_base, options, object, err);
    if (code == HSMART_OK && options->auth != HSMART_AUTH_DEFAULT)
        code = hs_discovery_check_method(&object->own, (enum hs_auth_method)options->auth, err);
    if (code == HSMART_OK)
        code = hs_discovery_check_pin(object->own.token_endpoint, options->token_pin, err);
    if (code != HSMART_OK)
        goto out;
    for (size_t i = 0; i < object->own.warnings.count; i++)
        hs_log_warning(&net.link.log, "discovery: %s", object->own.warnings.items[i]);
    tell(object);
    *out_discovery = &object->told;
    object = NULL;
out:
    if (object != NULL)
        hsmart_discovery_free(&object->told);
    hs_client_link_close(&net);
    return code;
}

void
hsmart_discovery_free(hsmart_discovery *discovery)
{
    struct discovery_object *object = (struct discovery_object *)discovery;

    if (object == NULL)
        return;
    hs_discovery_clear(&object->own);
    hs_free(object);
}
