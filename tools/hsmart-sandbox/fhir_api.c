/* FHIR R4, read only: capabilities, search in pages, read by id. */
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "exchange.h"
#include "form.h"
#include "scopes.h"

#define COUNT_DEFAULT 10U
#define COUNT_MAX 1000U
#define FHIR_JSON "application/fhir+json"

/* ---- Who may ---- */

static enum hsmart_code
challenge(struct exchange *exchange, const char *challenge_text, const char *issue, const char *text, hsmart_err *err)
{
    enum hsmart_code code = answer_outcome(exchange, 401, issue, err, "%s", text);

    return code == HSMART_OK ? answer_header(&exchange->answer, err, "WWW-Authenticate", "%s", challenge_text) : code;
}

/* Finds what the access token stands for; else answers 401 as RFC 6750 section 3 has it, and leaves `*out_scope` empty.
 * The scope is copied: the grant may go as soon as the lock does. */
static enum hsmart_code
find_grant(struct exchange *exchange, struct hs_buf *out_scope, hsmart_err *err)
{
    struct sandbox *sandbox = exchange->sandbox;
    const struct hs_span *header = header_get(&exchange->request->headers, "Authorization");
    size_t scheme_len = strlen("Bearer ");
    struct digest digest;
    void *value = NULL;
    bool expired = false;
    enum hsmart_code code;

    if (header == NULL || header->len <= scheme_len || memcmp(header->data, "Bearer ", scheme_len) != 0)
        return challenge(exchange, "Bearer realm=\"hsmart-sandbox\"", "login", "an access token is needed", err);
    code = digest_of(hs_span_str("access token"), (struct hs_span){header->data + scheme_len, header->len - scheme_len},
                     &digest, err);
    if (code != HSMART_OK)
        return code;
    (void)pthread_mutex_lock(&sandbox->lock);
    if (expiring_find(&sandbox->access_tokens, &digest, sandbox_now_s(sandbox), &value, &expired))
        code = hs_buf_append_str(out_scope, ((const struct grant *)value)->scope, err);
    (void)pthread_mutex_unlock(&sandbox->lock);
    exchange->observation.verdicts[INFERNO_TOKEN_USED] = out_scope->len > 0 ? INFERNO_GOOD : INFERNO_NOT_SEEN;
    if (code != HSMART_OK || out_scope->len > 0)
        return code;
    return expired ? challenge(exchange,
                               "Bearer realm=\"hsmart-sandbox\", error=\"invalid_token\", "
                               "error_description=\"the access token has expired\"",
                               "expired", "the access token has expired", err)
                   : challenge(exchange, "Bearer realm=\"hsmart-sandbox\", error=\"invalid_token\"", "login",
                               "the access token is not known here", err);
}

/* `*out_allowed` false: it was answered. */
static enum hsmart_code
authorize(struct exchange *exchange, const char *type, char permission, bool *out_allowed, hsmart_err *err)
{
    struct hs_buf scope = {0};
    enum hsmart_code code = find_grant(exchange, &scope, err);

    *out_allowed = code == HSMART_OK && scope.len > 0 && scope_allows(hs_buf_text(&scope), type, permission);
    if (code == HSMART_OK && scope.len > 0 && !*out_allowed) {
        code = answer_outcome(exchange, 403, "forbidden", err, "the scope \"%s\" does not allow to %s %s",
                              hs_buf_text(&scope), permission == 's' ? "search for" : "read", type);
        if (code == HSMART_OK)
            code =
                answer_header(&exchange->answer, err, "WWW-Authenticate",
                              "Bearer realm=\"hsmart-sandbox\", error=\"insufficient_scope\", scope=\"system/%s.%c\"",
                              type, permission);
    }
    hs_buf_clear(&scope);
    return code;
}

/* ---- What may be asked for ---- */

static bool
is_json_type(struct hs_span type)
{
    static const char *const good[] = {"application/fhir+json", "application/json", "application/*", "*/*", "json",
                                       "application/json+fhir"};

    while (type.len > 0 && type.data[0] == ' ') {
        type.data++;
        type.len--;
    }
    for (size_t i = 0; i < HS_ARRAY_LEN(good); i++) {
        size_t len = strlen(good[i]);
        if (type.len >= len && memcmp(type.data, good[i], len) == 0 &&
            (type.len == len || type.data[len] == ';' || type.data[len] == ' '))
            return true;
    }
    return false;
}

/* One of the types in Accept is ours; `_format` beats it. */
static bool
accepts_json(const struct request *request)
{
    const struct hs_span *format = field_get(&request->query, "_format");
    const struct hs_span *accept = header_get(&request->headers, "Accept");

    if (format != NULL)
        return is_json_type(*format);
    if (accept == NULL || accept->len == 0)
        return true;
    struct hs_span rest = *accept;
    while (rest.len > 0) {
        const uint8_t *comma = memchr(rest.data, ',', rest.len);
        size_t len = comma != NULL ? (size_t)(comma - rest.data) : rest.len;
        if (is_json_type((struct hs_span){rest.data, len}))
            return true;
        rest.data += len + (comma != NULL);
        rest.len -= len + (comma != NULL);
    }
    return false;
}

static enum hsmart_code
refuse_format(struct exchange *exchange, hsmart_err *err)
{
    return answer_outcome(exchange, 406, "not-supported", err, "only %s is spoken here", FHIR_JSON);
}

/* ---- Search parameters ---- */

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

/* `type` NULL: of every type. */
static const struct search_parameter {
    const char *type, *name, *kind, *documentation;
    bool (*matches)(const struct fhir_resource *resource, struct hs_span wanted);
} search_parameters[] = {
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
/* They shape the answer and choose nothing. */
static const char *const result_parameters[] = {"_count", "_offset", "_format", "_summary"};

static const struct search_parameter *
find_parameter(const char *type, struct hs_span name)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(search_parameters); i++)
        if (hs_span_equal_str(name, search_parameters[i].name) &&
            (search_parameters[i].type == NULL || strcmp(search_parameters[i].type, type) == 0))
            return &search_parameters[i];
    return NULL;
}

static bool
is_result_parameter(struct hs_span name)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(result_parameters); i++)
        if (hs_span_equal_str(name, result_parameters[i]))
            return true;
    return false;
}

/* ---- Search ---- */

struct search {
    const char *type;
    const struct fields *query;
    unsigned count, offset;
    bool only_total; /* _summary=count, or _count=0 */
};

/* Any of several values with commas between (FHIR search, 3.2.1.5). */
static bool
matches_one_of(const struct search_parameter *parameter, const struct fhir_resource *resource, struct hs_span values)
{
    while (values.len > 0) {
        const uint8_t *comma = memchr(values.data, ',', values.len);
        size_t len = comma != NULL ? (size_t)(comma - values.data) : values.len;
        if (parameter->matches(resource, (struct hs_span){values.data, len}))
            return true;
        values.data += len + (comma != NULL);
        values.len -= len + (comma != NULL);
    }
    return false;
}

static bool
matches(const struct search *search, const struct fhir_resource *resource)
{
    if (strcmp(resource->type, search->type) != 0)
        return false;
    for (size_t i = 0; i < search->query->count; i++) {
        const struct field *field = &search->query->items[i];
        const struct search_parameter *parameter = find_parameter(search->type, field->name);
        if (parameter != NULL && field->value.len > 0 && !matches_one_of(parameter, resource, field->value))
            return false;
    }
    return true;
}

/* A whole number; anything else is refused by the caller. */
static bool
read_number(struct hs_span text, unsigned max, unsigned *out_number)
{
    unsigned long number = 0;

    if (text.len == 0 || text.len > 9)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = 10 * number + (unsigned)(text.data[i] - '0');
    }
    *out_number = number > max ? max : (unsigned)number;
    return true;
}

static bool
wants_strict_handling(const struct request *request)
{
    const struct hs_span *prefer = header_get(&request->headers, "Prefer");

    return prefer != NULL && hs_span_equal_str(*prefer, "handling=strict");
}

/* `*out_good` false: it was answered. */
static enum hsmart_code
read_search(struct exchange *exchange, struct search *search, bool *out_good, hsmart_err *err)
{
    const struct fields *query = search->query;
    const struct hs_span *count = field_get(query, "_count"), *offset = field_get(query, "_offset");
    const struct hs_span *summary = field_get(query, "_summary");

    *out_good = false;
    if (count != NULL && !read_number(*count, COUNT_MAX, &search->count))
        return answer_outcome(exchange, 400, "invalid", err, "_count is no whole number");
    if (offset != NULL && !read_number(*offset, FHIR_RESOURCES_MAX, &search->offset))
        return answer_outcome(exchange, 400, "invalid", err, "_offset is no whole number");
    for (size_t i = 0; i < query->count && wants_strict_handling(exchange->request); i++)
        if (find_parameter(search->type, query->items[i].name) == NULL && !is_result_parameter(query->items[i].name))
            return answer_outcome(exchange, 400, "not-supported", err,
                                  "the search parameter \"%.*s\" is not known here",
                                  (int)(query->items[i].name.len < 60 ? query->items[i].name.len : 60),
                                  (const char *)query->items[i].name.data);
    search->only_total = search->count == 0 || (summary != NULL && hs_span_equal_str(*summary, "count"));
    *out_good = true;
    return HSMART_OK;
}

/* The URL of a page: the search as it was understood, unknown parameters left out. */
static enum hsmart_code
format_page_url(const struct exchange *exchange, const struct search *search, unsigned offset, struct hs_buf *out,
                hsmart_err *err)
{
    const char *base = fault_of(&exchange->faults, "next-relative") != NULL && offset > 0
                           ? ""
                           : hs_buf_text(&exchange->sandbox->fhir_base);
    struct hs_buf query = {0};
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < search->query->count && code == HSMART_OK; i++) {
        const struct field *field = &search->query->items[i];
        const struct search_parameter *parameter = find_parameter(search->type, field->name);
        if (parameter != NULL && field->value.len > 0)
            code = hs_form_append(&query, parameter->name, field->value, err);
    }
    if (code == HSMART_OK)
        code = hs_buf_append_format(&query, err, "%s_count=%u", query.len > 0 ? "&" : "", search->count);
    if (code == HSMART_OK && offset > 0)
        code = hs_buf_append_format(&query, err, "&_offset=%u", offset);
    if (code == HSMART_OK)
        code = hs_buf_append_format(out, err, "%s%s%s?%s", base, base[0] != 0 ? "/" : "", search->type,
                                    hs_buf_text(&query));
    hs_buf_clear(&query);
    return code;
}

static enum hsmart_code
put_link(const struct exchange *exchange, struct hs_json_writer *writer, const struct search *search,
         const char *relation, unsigned offset, hsmart_err *err)
{
    struct hs_buf url = {0};
    enum hsmart_code code = HSMART_OK;

    if (strcmp(relation, "next") == 0 && fault_of(&exchange->faults, "next-foreign") != NULL)
        code = hs_buf_append_format(&url, err, "https://ehr.example/fhir/%s?page=2", search->type);
    else
        code = format_page_url(exchange, search, offset, &url, err);
    if (code == HSMART_OK) {
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "relation", relation);
        hs_json_member_text(writer, "url", hs_buf_text(&url));
        hs_json_end_object(writer);
    }
    hs_buf_clear(&url);
    return code;
}

static enum hsmart_code
put_links(const struct exchange *exchange, struct hs_json_writer *writer, const struct search *search, size_t total,
          hsmart_err *err)
{
    enum hsmart_code code;
    bool is_last = search->only_total || (size_t)search->offset + search->count >= total;
    bool is_endless = fault_of(&exchange->faults, "next-self") != NULL;

    hs_json_name(writer, "link");
    hs_json_begin_array(writer);
    code = put_link(exchange, writer, search, "self", search->offset, err);
    if (code == HSMART_OK && search->offset > 0)
        code = put_link(exchange, writer, search, "previous",
                        search->offset > search->count ? search->offset - search->count : 0, err);
    if (code == HSMART_OK && is_endless)
        code = put_link(exchange, writer, search, "next", search->offset, err);
    else if (code == HSMART_OK && (!is_last || fault_of(&exchange->faults, "next-endless") != NULL))
        code =
            put_link(exchange, writer, search, "next", search->offset + (search->count > 0 ? search->count : 1), err);
    hs_json_end_array(writer);
    return code;
}

static void
put_entries(const struct exchange *exchange, struct hs_json_writer *writer, const struct search *search)
{
    const struct fhir_store *store = &exchange->sandbox->fhir;
    char url[512];
    size_t seen = 0;

    hs_json_name(writer, "entry");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < store->count && seen < (size_t)search->offset + search->count; i++) {
        const struct fhir_resource *resource = &store->resources[i];
        if (!matches(search, resource) || seen++ < search->offset)
            continue;
        (void)snprintf(url, sizeof url, "%s/%s/%s", hs_buf_text(&exchange->sandbox->fhir_base), resource->type,
                       resource->id);
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "fullUrl", url);
        hs_json_name(writer, "resource");
        hs_json_put_raw(writer, resource->text);
        hs_json_name(writer, "search");
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "mode", "match");
        hs_json_end_object(writer);
        hs_json_end_object(writer);
    }
    hs_json_end_array(writer);
}

static size_t
count_matches(const struct exchange *exchange, const struct search *search)
{
    const struct fhir_store *store = &exchange->sandbox->fhir;
    size_t total = 0;

    for (size_t i = 0; i < store->count; i++)
        total += matches(search, &store->resources[i]);
    return total;
}

static enum hsmart_code
answer_bundle(struct exchange *exchange, const struct search *search, hsmart_err *err)
{
    struct hs_json_writer writer;
    size_t total = count_matches(exchange, search);
    enum hsmart_code code = answer_json(exchange, 200, FHIR_JSON, &writer, err);

    if (code != HSMART_OK)
        return code;
    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "resourceType", "Bundle");
    hs_json_member_text(&writer, "type", "searchset");
    hs_json_member_integer(&writer, "total", (int64_t)total);
    code = put_links(exchange, &writer, search, total, err);
    if (code != HSMART_OK)
        return code;
    if (!search->only_total && total > search->offset) /* an empty array is not allowed in FHIR */
        put_entries(exchange, &writer, search);
    hs_json_end_object(&writer);
    answer_note(&exchange->answer, "%zu %s in all", total, search->type);
    return hs_json_writer_finish(&writer, err);
}

/* ---- Endpoints ---- */

enum hsmart_code
serve_search(struct exchange *exchange, hsmart_err *err)
{
    struct search search = {
        .type = exchange->request->segments[0], .query = &exchange->request->query, .count = COUNT_DEFAULT};
    bool good = false;
    enum hsmart_code code;

    if (!accepts_json(exchange->request))
        return refuse_format(exchange, err);
    code = authorize(exchange, search.type, 's', &good, err);
    if (code != HSMART_OK || !good)
        return code;
    if (!fhir_store_has_type(&exchange->sandbox->fhir, search.type))
        return answer_outcome(exchange, 404, "not-found", err, "there are no resources of the type \"%s\" here",
                              search.type);
    code = read_search(exchange, &search, &good, err);
    return code == HSMART_OK && good ? answer_bundle(exchange, &search, err) : code;
}

enum hsmart_code
serve_read(struct exchange *exchange, hsmart_err *err)
{
    const char *type = exchange->request->segments[0], *id = exchange->request->segments[1];
    bool allowed = false;
    enum hsmart_code code;

    if (!accepts_json(exchange->request))
        return refuse_format(exchange, err);
    code = authorize(exchange, type, 'r', &allowed, err);
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
    for (size_t i = 0; i < HS_ARRAY_LEN(search_parameters); i++) {
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
    enum hsmart_code code;

    if (!accepts_json(exchange->request))
        return refuse_format(exchange, err);
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
