#include "fhir_parameters.h"

#include <string.h>

static bool
equals(const hs_json_value *value, struct hs_span wanted)
{
    return hs_json_type_of(value) == HS_JSON_STRING && hs_span_equal(hs_json_string(value), wanted);
}

static bool
matches_id(const struct fhir_resource *resource, struct hs_span wanted)
{
    return hs_span_equal_str(wanted, resource->id);
}

/* "p1" or "Patient/p1". */
static bool
matches_patient(const struct fhir_resource *resource, struct hs_span wanted)
{
    static const char type[] = "Patient/";

    if (wanted.len > strlen(type) && memcmp(wanted.data, type, strlen(type)) == 0) {
        wanted.data += strlen(type);
        wanted.len -= strlen(type);
    }
    return resource->patient != NULL && hs_span_equal_str(wanted, resource->patient);
}

/* "code" or "system|code", of a CodeableConcept. */
static bool
matches_concept(const hs_json_value *concept, struct hs_span wanted)
{
    const uint8_t *bar = wanted.len > 0 ? memchr(wanted.data, '|', wanted.len) : NULL;
    struct hs_span system = {wanted.data, bar != NULL ? (size_t)(bar - wanted.data) : 0}, code = wanted;
    const hs_json_value *codings = hs_json_member(concept, "coding");

    if (bar != NULL)
        code = (struct hs_span){bar + 1, wanted.len - system.len - 1};
    for (size_t i = 0; i < hs_json_length(codings); i++) {
        const hs_json_value *coding = hs_json_element(codings, i);
        if (equals(hs_json_member(coding, "code"), code) &&
            (system.len == 0 || equals(hs_json_member(coding, "system"), system)))
            return true;
    }
    return false;
}

static bool
matches_code(const struct fhir_resource *resource, struct hs_span wanted)
{
    return matches_concept(hs_json_member(resource->doc.root, "code"), wanted);
}

static bool
matches_category(const struct fhir_resource *resource, struct hs_span wanted)
{
    const hs_json_value *categories = hs_json_member(resource->doc.root, "category");

    for (size_t i = 0; i < hs_json_length(categories); i++)
        if (matches_concept(hs_json_element(categories, i), wanted))
            return true;
    return false;
}

static bool
matches_status(const struct fhir_resource *resource, struct hs_span wanted)
{
    return equals(hs_json_member(resource->doc.root, "status"), wanted);
}

static bool
matches_gender(const struct fhir_resource *resource, struct hs_span wanted)
{
    return equals(hs_json_member(resource->doc.root, "gender"), wanted);
}

static bool
matches_birthdate(const struct fhir_resource *resource, struct hs_span wanted)
{
    return equals(hs_json_member(resource->doc.root, "birthDate"), wanted);
}

/* The beginning of a name, ASCII letters without case. */
static bool
begins(const hs_json_value *value, struct hs_span wanted)
{
    struct hs_span text = hs_json_string(value);

    if (hs_json_type_of(value) != HS_JSON_STRING || text.len < wanted.len)
        return false;
    for (size_t i = 0; i < wanted.len; i++) {
        uint8_t a = text.data[i], b = wanted.data[i];
        a = a >= 'A' && a <= 'Z' ? (uint8_t)(a + ('a' - 'A')) : a;
        b = b >= 'A' && b <= 'Z' ? (uint8_t)(b + ('a' - 'A')) : b;
        if (a != b)
            return false;
    }
    return true;
}

static bool
matches_family(const struct fhir_resource *resource, struct hs_span wanted)
{
    const hs_json_value *names = hs_json_member(resource->doc.root, "name");

    for (size_t i = 0; i < hs_json_length(names); i++)
        if (begins(hs_json_member(hs_json_element(names, i), "family"), wanted))
            return true;
    return false;
}

static bool
matches_name(const struct fhir_resource *resource, struct hs_span wanted)
{
    const hs_json_value *names = hs_json_member(resource->doc.root, "name");

    for (size_t i = 0; i < hs_json_length(names); i++) {
        const hs_json_value *given = hs_json_member(hs_json_element(names, i), "given");
        for (size_t j = 0; j < hs_json_length(given); j++)
            if (begins(hs_json_element(given, j), wanted))
                return true;
    }
    return matches_family(resource, wanted);
}

static bool
matches_identifier(const struct fhir_resource *resource, struct hs_span wanted)
{
    const hs_json_value *identifiers = hs_json_member(resource->doc.root, "identifier");
    const uint8_t *bar = wanted.len > 0 ? memchr(wanted.data, '|', wanted.len) : NULL;
    struct hs_span value =
        bar != NULL ? (struct hs_span){bar + 1, wanted.len - (size_t)(bar + 1 - wanted.data)} : wanted;

    for (size_t i = 0; i < hs_json_length(identifiers); i++)
        if (equals(hs_json_member(hs_json_element(identifiers, i), "value"), value))
            return true;
    return false;
}

/* ---- The table ---- */

const struct search_parameter search_parameters[] = {
    {NULL, "_id", "token", "the id", matches_id},
    {"Patient", "identifier", "token", "value, or system|value", matches_identifier},
    {"Patient", "name", "string", "how a given or a family name begins", matches_name},
    {"Patient", "family", "string", "how the family name begins", matches_family},
    {"Patient", "gender", "token", "administrative gender", matches_gender},
    {"Patient", "birthdate", "date", "the whole date", matches_birthdate},
    {"Observation", "patient", "reference", "id, or Patient/id", matches_patient},
    {"Observation", "subject", "reference", "Patient/id", matches_patient},
    {"Observation", "code", "token", "code, or system|code", matches_code},
    {"Observation", "category", "token", "code, or system|code", matches_category},
    {"Observation", "status", "token", "registered, final and so on", matches_status},
};
const size_t search_parameter_count = HS_ARRAY_LEN(search_parameters);

/* They shape the answer and choose nothing. */
static const char *const result_parameters[] = {"_count", "_offset", "_format", "_summary"};

const struct search_parameter *
search_parameter_find(const char *type, struct hs_span name)
{
    for (size_t i = 0; i < search_parameter_count; i++)
        if (hs_span_equal_str(name, search_parameters[i].name) &&
            (search_parameters[i].type == NULL || strcmp(search_parameters[i].type, type) == 0))
            return &search_parameters[i];
    return NULL;
}

bool
is_result_parameter(struct hs_span name)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(result_parameters); i++)
        if (hs_span_equal_str(name, result_parameters[i]))
            return true;
    return false;
}
