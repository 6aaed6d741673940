#include "json.h"

#include <json-c/json.h>

#include "err.h"
#include "json_grammar.h"

/* json-c has NULL for null, and this interface has NULL for "absent": null gets an address of its own, which is
 * never looked behind. */
static const char null_marker;
#define NULL_VALUE ((hs_json_value *)(uintptr_t)&null_marker)

static hs_json_value *
wrap_null(json_object *value)
{
    return value != NULL ? value : NULL_VALUE;
}

/* ---- Documents ---- */

/* Builds the tree from text that is known to be good. */
static enum hsmart_code
build_tree(const struct hs_buf *text, json_object **out_root, hsmart_err *err)
{
    /* json-c counts a scalar as a level, and wants one to spare. */
    json_tokener *tokener = json_tokener_new_ex((int)HS_JSON_MAX_DEPTH + 2);

    if (tokener == NULL)
        return hs_err_no_memory(err);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    /* With its NUL, which tells json-c that a number at the end is complete. */
    json_object *root = json_tokener_parse_ex(tokener, (const char *)text->data, (int)text->len + 1);
    enum json_tokener_error error = json_tokener_get_error(tokener);
    size_t at = json_tokener_get_parse_end(tokener);
    json_tokener_free(tokener);
    if (error != json_tokener_success) {
        (void)json_object_put(root);
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "not JSON: %s at byte %zu", json_tokener_error_desc(error), at);
    }
    *out_root = root;
    return HSMART_OK;
}

enum hsmart_code
hs_json_parse(struct hs_span text, struct hs_json_doc *out_doc, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf plain = {.max_len = 2 * HS_JSON_MAX_LEN};
    json_object *root = NULL;

    code = hs_json_grammar_check(text, &plain, err);
    if (code != HSMART_OK)
        goto out;
    code = build_tree(&plain, &root, err);
    if (code != HSMART_OK)
        goto out;
    hs_json_doc_clear(out_doc);
    out_doc->root = wrap_null(root);
out:
    hs_buf_clear(&plain);
    return code;
}

void
hs_json_doc_clear(struct hs_json_doc *doc)
{
    if (doc->root != NULL_VALUE)
        (void)json_object_put(doc->root);
    *doc = (struct hs_json_doc){0};
}

/* ---- Types ---- */

enum hs_json_type
hs_json_type_of(const hs_json_value *value)
{
    if (value == NULL)
        return HS_JSON_ABSENT;
    if (value == NULL_VALUE)
        return HS_JSON_NULL;
    switch (json_object_get_type(value)) {
    case json_type_boolean:
        return HS_JSON_BOOLEAN;
    case json_type_int:
        return HS_JSON_INTEGER;
    case json_type_double:
        return HS_JSON_NUMBER;
    case json_type_string:
        return HS_JSON_STRING;
    case json_type_array:
        return HS_JSON_ARRAY;
    case json_type_object:
        return HS_JSON_OBJECT;
    case json_type_null:
        break;
    }
    return HS_JSON_NULL;
}

const char *
hs_json_type_words(const hs_json_value *value)
{
    static const char *const words[] = {
        [HS_JSON_ABSENT] = "absent",      [HS_JSON_NULL] = "null",        [HS_JSON_BOOLEAN] = "a boolean",
        [HS_JSON_INTEGER] = "an integer", [HS_JSON_NUMBER] = "a number",  [HS_JSON_STRING] = "a string",
        [HS_JSON_ARRAY] = "an array",     [HS_JSON_OBJECT] = "an object",
    };
    return words[hs_json_type_of(value)];
}

/* ---- Looking into values ---- */

hs_json_value *
hs_json_member(const hs_json_value *value, const char *name)
{
    json_object *member = NULL;

    if (hs_json_type_of(value) != HS_JSON_OBJECT || !json_object_object_get_ex(value, name, &member))
        return NULL;
    return wrap_null(member);
}

size_t
hs_json_length(const hs_json_value *array)
{
    return hs_json_type_of(array) == HS_JSON_ARRAY ? json_object_array_length(array) : 0;
}

hs_json_value *
hs_json_element(const hs_json_value *value, size_t index)
{
    return index < hs_json_length(value) ? wrap_null(json_object_array_get_idx(value, index)) : NULL;
}

const char *
hs_json_member_name(const hs_json_value *object, size_t index)
{
    if (hs_json_type_of(object) != HS_JSON_OBJECT)
        return NULL;
    struct lh_entry *entry = lh_table_head(json_object_get_object(object));
    while (entry != NULL && index-- > 0)
        entry = lh_entry_next(entry);
    return entry != NULL ? lh_entry_k(entry) : NULL;
}

struct hs_span
hs_json_string(const hs_json_value *value)
{
    if (hs_json_type_of(value) != HS_JSON_STRING)
        return (struct hs_span){0};
    /* json_object_get_string takes no const, for it makes text of other types; of a string it only gives the text. */
    json_object *string = (json_object *)(uintptr_t)value;
    return (struct hs_span){(const uint8_t *)json_object_get_string(string),
                            (size_t)json_object_get_string_len(string)};
}

const char *
hs_json_text(const hs_json_value *value)
{
    struct hs_span string = hs_json_string(value);

    if (string.data == NULL || memchr(string.data, 0, string.len) != NULL)
        return NULL;
    return (const char *)string.data;
}

int64_t
hs_json_integer(const hs_json_value *value)
{
    return hs_json_type_of(value) == HS_JSON_INTEGER ? json_object_get_int64(value) : 0;
}

double
hs_json_number(const hs_json_value *value)
{
    enum hs_json_type type = hs_json_type_of(value);
    return type == HS_JSON_INTEGER || type == HS_JSON_NUMBER ? json_object_get_double(value) : 0;
}

bool
hs_json_boolean(const hs_json_value *value)
{
    return hs_json_type_of(value) == HS_JSON_BOOLEAN && json_object_get_boolean(value);
}

void
hs_json_wipe(hs_json_value *value)
{
    struct hs_span text = hs_json_string(value);

    hs_wipe((uint8_t *)(uintptr_t)text.data, text.len);
}

/* What is too long for a number is above any limit. */
static bool
parse_digits(const char *text, int64_t max, int64_t *out_number)
{
    int64_t number = 0;

    if (text == NULL || text[0] == 0)
        return false;
    for (; *text != 0; text++) {
        if (*text < '0' || *text > '9')
            return false;
        if (number <= max)
            number = 10 * number + (*text - '0');
    }
    *out_number = number > max ? max + 1 : number;
    return true;
}

bool
hs_json_loose_number(const hs_json_value *value, int64_t max, int64_t *out_number)
{
    double number = hs_json_number(value);

    switch (hs_json_type_of(value)) {
    case HS_JSON_INTEGER:
        *out_number = hs_json_integer(value) > max ? max + 1 : hs_json_integer(value) > 0 ? hs_json_integer(value) : 0;
        return true;
    case HS_JSON_NUMBER: /* the clamp also keeps the conversion defined */
        *out_number = number > (double)max ? max + 1 : number > 0 ? (int64_t)number : 0;
        return true;
    case HS_JSON_STRING:
        return parse_digits(hs_json_text(value), max, out_number);
    default:
        return false;
    }
}
