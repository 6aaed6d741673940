/* FHIR search, in pages. */
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "fhir_access.h"
#include "fhir_parameters.h"
#include "form.h"

#define COUNT_DEFAULT 10U
#define COUNT_MAX 1000U

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
        const struct search_parameter *parameter = search_parameter_find(search->type, field->name);
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
        if (search_parameter_find(search->type, query->items[i].name) == NULL &&
            !is_result_parameter(query->items[i].name))
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
        const struct search_parameter *parameter = search_parameter_find(search->type, field->name);
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

/* ---- The endpoint ---- */

enum hsmart_code
serve_search(struct exchange *exchange, hsmart_err *err)
{
    struct search search = {
        .type = exchange->request->segments[0], .query = &exchange->request->query, .count = COUNT_DEFAULT};
    bool good = false;
    enum hsmart_code code;

    code = fhir_check_format(exchange, &good, err);
    if (code == HSMART_OK && good)
        code = fhir_authorize(exchange, search.type, 's', &good, err);
    if (code != HSMART_OK || !good)
        return code;
    if (!fhir_store_has_type(&exchange->sandbox->fhir, search.type))
        return answer_outcome(exchange, 404, "not-found", err, "there are no resources of the type \"%s\" here",
                              search.type);
    code = read_search(exchange, &search, &good, err);
    return code == HSMART_OK && good ? answer_bundle(exchange, &search, err) : code;
}
