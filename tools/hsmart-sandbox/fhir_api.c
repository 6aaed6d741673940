/* FHIR R4, read only: one resource, and the CapabilityStatement. */
#include <string.h>

#include "fhir_access.h"
#include "fhir_parameters.h"

/* ---- One resource ---- */

enum hsmart_code
serve_read(struct exchange *exchange, hsmart_err *err)
{
    const char *type = exchange->request->segments[0], *id = exchange->request->segments[1];
    bool allowed = false;
    enum hsmart_code code;

    code = fhir_check_format(exchange, &allowed, err);
    if (code == HSMART_OK && allowed)
        code = fhir_authorize(exchange, type, 'r', &allowed, err);
    if (code != HSMART_OK || !allowed)
        return code;
    const struct fhir_resource *resource = fhir_store_find(&exchange->sandbox->fhir, type, id);
    if (resource == NULL)
        return answer_outcome(exchange, 404, "not-found", err, "there is no %s/%s here", type, id);
    answer_reset(&exchange->answer);
    exchange->answer.status = 200;
    code = hs_buf_append(&exchange->answer.body, resource->text, err);
    if (code == HSMART_OK)
        code = answer_header(&exchange->answer, err, "Content-Type", FHIR_JSON);
    return code == HSMART_OK ? answer_header(&exchange->answer, err, "ETag", "W/\"1\"") : code;
}

/* ---- Capabilities ---- */

static void
put_text_array(struct hs_json_writer *writer, const char *name, const char *item)
{
    hs_json_name(writer, name);
    hs_json_begin_array(writer);
    hs_json_put_text(writer, item);
    hs_json_end_array(writer);
}

static void
put_uri_extension(struct hs_json_writer *writer, const char *name, const char *url)
{
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "url", name);
    hs_json_member_text(writer, "valueUri", url);
    hs_json_end_object(writer);
}

static void
put_security(const struct sandbox *sandbox, struct hs_json_writer *writer)
{
    hs_json_name(writer, "security");
    hs_json_begin_object(writer);
    hs_json_name(writer, "extension");
    hs_json_begin_array(writer);
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "url", "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris");
    hs_json_name(writer, "extension");
    hs_json_begin_array(writer);
    put_uri_extension(writer, "token", hs_buf_text(&sandbox->token_url));
    put_uri_extension(writer, "register", hs_buf_text(&sandbox->register_url));
    hs_json_end_array(writer);
    hs_json_end_object(writer);
    hs_json_end_array(writer);
    hs_json_name(writer, "service");
    hs_json_begin_array(writer);
    hs_json_begin_object(writer);
    hs_json_name(writer, "coding");
    hs_json_begin_array(writer);
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "system", "http://terminology.hl7.org/CodeSystem/restful-security-service");
    hs_json_member_text(writer, "code", "SMART-on-FHIR");
    hs_json_end_object(writer);
    hs_json_end_array(writer);
    hs_json_end_object(writer);
    hs_json_end_array(writer);
    hs_json_end_object(writer);
}

static void
put_type(struct hs_json_writer *writer, const char *type)
{
    static const char *const interactions[] = {"read", "search-type"};

    hs_json_begin_object(writer);
    hs_json_member_text(writer, "type", type);
    hs_json_name(writer, "interaction");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < HS_ARRAY_LEN(interactions); i++) {
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "code", interactions[i]);
        hs_json_end_object(writer);
    }
    hs_json_end_array(writer);
    hs_json_name(writer, "searchParam");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < search_parameter_count; i++) {
        const struct search_parameter *parameter = &search_parameters[i];
        if (parameter->type != NULL && strcmp(parameter->type, type) != 0)
            continue;
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "name", parameter->name);
        hs_json_member_text(writer, "type", parameter->kind);
        hs_json_member_text(writer, "documentation", parameter->documentation);
        hs_json_end_object(writer);
    }
    hs_json_end_array(writer);
    hs_json_end_object(writer);
}

/* Open to everybody: clients look here before they can authenticate. */
enum hsmart_code
serve_capabilities(struct exchange *exchange, hsmart_err *err)
{
    static const char *const types[] = {"Patient", "Observation"};
    struct hs_json_writer writer;
    bool good = false;
    enum hsmart_code code;

    code = fhir_check_format(exchange, &good, err);
    if (code != HSMART_OK || !good)
        return code;
    code = answer_json(exchange, 200, FHIR_JSON, &writer, err);
    if (code != HSMART_OK)
        return code;
    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "resourceType", "CapabilityStatement");
    hs_json_member_text(&writer, "status", "active");
    hs_json_member_text(&writer, "date", "2026-01-01");
    hs_json_member_text(&writer, "kind", "instance");
    hs_json_name(&writer, "implementation");
    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "description", "hsmart-sandbox: synthetic data for tests of clients");
    hs_json_member_text(&writer, "url", hs_buf_text(&exchange->sandbox->fhir_base));
    hs_json_end_object(&writer);
    hs_json_member_text(&writer, "fhirVersion", "4.0.1");
    put_text_array(&writer, "format", "json");
    hs_json_name(&writer, "rest");
    hs_json_begin_array(&writer);
    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "mode", "server");
    put_security(exchange->sandbox, &writer);
    hs_json_name(&writer, "resource");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < HS_ARRAY_LEN(types); i++)
        put_type(&writer, types[i]);
    hs_json_end_array(&writer);
    hs_json_end_object(&writer);
    hs_json_end_array(&writer);
    hs_json_end_object(&writer);
    return hs_json_writer_finish(&writer, err);
}
