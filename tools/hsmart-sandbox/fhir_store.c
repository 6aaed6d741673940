#include "fhir_store.h"

#include <string.h>

#include "err.h"

#define ID_MAX 64U

/* FHIR's data types id and, near enough, the names of resource types. */
static bool
is_id(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";

    return text != NULL && text[0] != 0 && strlen(text) <= ID_MAX && text[strspn(text, letters)] == 0;
}

/* Of the reference "Patient/p1". */
static const char *
patient_of(const hs_json_value *root, const char *type, const char *id)
{
    const hs_json_value *subject = hs_json_member(root, "subject");
    const char *reference =
        hs_json_text(hs_json_member(subject != NULL ? subject : hs_json_member(root, "patient"), "reference"));

    if (strcmp(type, "Patient") == 0)
        return id;
    return reference != NULL && strncmp(reference, "Patient/", strlen("Patient/")) == 0 ? reference + strlen("Patient/")
                                                                                        : NULL;
}

static enum hsmart_code
add(struct fhir_store *store, struct hs_span line, hsmart_err *err)
{
    struct fhir_resource resource = {.text = line};
    enum hsmart_code code = hs_json_parse(line, &resource.doc, err);

    if (code != HSMART_OK)
        return code;
    resource.type = hs_json_text(hs_json_member(resource.doc.root, "resourceType"));
    resource.id = hs_json_text(hs_json_member(resource.doc.root, "id"));
    if (!is_id(resource.type) || !is_id(resource.id))
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "there is no resourceType and id of FHIR's form");
    else if (fhir_store_find(store, resource.type, resource.id) != NULL)
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "%s/%s is there already", resource.type, resource.id);
    else if (store->count == FHIR_RESOURCES_MAX)
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "there are more than %u resources", FHIR_RESOURCES_MAX);
    if (code == HSMART_OK)
        code = hs_array_grow((void **)&store->resources, store->count, sizeof resource, err);
    if (code != HSMART_OK) {
        hs_json_doc_clear(&resource.doc);
        return code;
    }
    resource.patient = patient_of(resource.doc.root, resource.type, resource.id);
    store->resources[store->count++] = resource;
    return HSMART_OK;
}

enum hsmart_code
fhir_store_load(struct fhir_store *store, struct hs_span ndjson, hsmart_err *err)
{
    enum hsmart_code code;

    store->data.max_len = FHIR_DATA_MAX_LEN;
    code = hs_buf_append(&store->data, ndjson, err);
    struct hs_span rest = hs_span_buf(&store->data);
    for (unsigned number = 1; code == HSMART_OK && rest.len > 0; number++) {
        const uint8_t *end = memchr(rest.data, '\n', rest.len);
        struct hs_span line = {rest.data, end != NULL ? (size_t)(end - rest.data) : rest.len};
        size_t taken = line.len + (end != NULL);
        rest.data += taken;
        rest.len -= taken;
        if (line.len == 0)
            continue;
        code = add(store, line, err);
        if (code != HSMART_OK)
            code = hs_err_wrap(err, code, "line %u of the FHIR data", number);
    }
    return code;
}

void
fhir_store_clear(struct fhir_store *store)
{
    for (size_t i = 0; i < store->count; i++)
        hs_json_doc_clear(&store->resources[i].doc);
    hs_free(store->resources);
    hs_buf_clear(&store->data);
    *store = (struct fhir_store){0};
}

const struct fhir_resource *
fhir_store_find(const struct fhir_store *store, const char *type, const char *id)
{
    for (size_t i = 0; i < store->count; i++)
        if (strcmp(store->resources[i].id, id) == 0 && strcmp(store->resources[i].type, type) == 0)
            return &store->resources[i];
    return NULL;
}

bool
fhir_store_has_type(const struct fhir_store *store, const char *type)
{
    for (size_t i = 0; i < store->count; i++)
        if (strcmp(store->resources[i].type, type) == 0)
            return true;
    return false;
}
