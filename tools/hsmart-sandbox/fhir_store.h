/* The resources: synthetic, in memory, read once at the start. */
#ifndef SANDBOX_FHIR_STORE_H
#define SANDBOX_FHIR_STORE_H

#include "json.h"

#define FHIR_RESOURCES_MAX 10000U
#define FHIR_DATA_MAX_LEN (8U << 20)

struct fhir_resource {
    const char *type, *id;
    const char *patient; /* the id of the patient it is about, itself for a Patient; NULL: none */
    struct hs_span text; /* as it is sent */
    struct hs_json_doc doc;
};
struct fhir_store {
    struct fhir_resource *resources; /* in the order of the data */
    size_t count;
    struct hs_buf data;
};
/* Reads newline-delimited JSON, one resource a line, as Bulk Data has it. HSMART_INPUT_MALFORMED, naming the line. */
enum hsmart_code fhir_store_load(struct fhir_store *store, struct hs_span ndjson, hsmart_err *err);
void fhir_store_clear(struct fhir_store *store);
const struct fhir_resource *fhir_store_find(const struct fhir_store *store, const char *type, const char *id);
bool fhir_store_has_type(const struct fhir_store *store, const char *type);

#endif
