/* The search parameters, as a table. */
#ifndef SANDBOX_FHIR_PARAMETERS_H
#define SANDBOX_FHIR_PARAMETERS_H

#include "fhir_store.h"

struct search_parameter {
    const char *type; /* of resource; NULL: every */
    const char *name, *kind, *documentation;
    bool (*matches)(const struct fhir_resource *resource, struct hs_span wanted);
};
extern const struct search_parameter search_parameters[];
extern const size_t search_parameter_count;
const struct search_parameter *search_parameter_find(const char *type, struct hs_span name);
/* Those that shape the answer and choose nothing: _count and the like. */
bool is_result_parameter(struct hs_span name);

#endif
