#include "canonical.h"

#include <stdlib.h>

#include "err.h"

static int
by_name(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static enum hsmart_code put_value(struct hs_json_writer *writer, const hs_json_value *value, hsmart_err *err);

/* By bytes of UTF-8; RFC 8785 sorts by UTF-16 units, which is the same for the names of our documents: they are ASCII.
 */
static enum hsmart_code
put_object(struct hs_json_writer *writer, const hs_json_value *object, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    size_t count = 0;

    while (hs_json_member_name(object, count) != NULL)
        count++;
    const char **names = hs_calloc(count + 1, sizeof *names);
    if (names == NULL)
        return hs_err_no_memory(err);
    for (size_t i = 0; i < count; i++)
        names[i] = hs_json_member_name(object, i);
    qsort(names, count, sizeof *names, by_name);
    hs_json_begin_object(writer);
    for (size_t i = 0; i < count && code == HSMART_OK; i++) {
        hs_json_name(writer, names[i]);
        code = put_value(writer, hs_json_member(object, names[i]), err);
    }
    hs_json_end_object(writer);
    hs_free(names);
    return code;
}

static enum hsmart_code
put_array(struct hs_json_writer *writer, const hs_json_value *array, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    hs_json_begin_array(writer);
    for (size_t i = 0; i < hs_json_length(array) && code == HSMART_OK; i++)
        code = put_value(writer, hs_json_element(array, i), err);
    hs_json_end_array(writer);
    return code;
}

static enum hsmart_code
put_value(struct hs_json_writer *writer, const hs_json_value *value, hsmart_err *err)
{
    switch (hs_json_type_of(value)) {
    case HS_JSON_OBJECT:
        return put_object(writer, value, err);
    case HS_JSON_ARRAY:
        return put_array(writer, value, err);
    case HS_JSON_STRING:
        hs_json_put_span(writer, hs_json_string(value));
        return HSMART_OK;
    case HS_JSON_INTEGER:
        hs_json_put_integer(writer, hs_json_integer(value));
        return HSMART_OK;
    case HS_JSON_BOOLEAN:
        hs_json_put_boolean(writer, hs_json_boolean(value));
        return HSMART_OK;
    case HS_JSON_ABSENT: /* the document's own null */
    case HS_JSON_NULL:
        hs_json_put_null(writer);
        return HSMART_OK;
    case HS_JSON_NUMBER:
        break;
    }
    return hs_err_set(err, HSMART_INPUT_MALFORMED, "there is a number that is not a whole one");
}

enum hsmart_code
hs_canonical_append(struct hs_buf *out, const hs_json_value *value, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out};
    enum hsmart_code code = put_value(&writer, value, err);

    return code == HSMART_OK ? hs_json_writer_finish(&writer, err) : code;
}

enum hsmart_code
hs_canonical_of_text(struct hs_span text, struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_doc doc = {0};
    struct hs_buf canonical = {.max_len = HS_JSON_MAX_LEN};
    enum hsmart_code code = hs_json_parse(text, &doc, err);

    if (code == HSMART_OK)
        code = hs_canonical_append(&canonical, doc.root, err);
    if (code == HSMART_OK)
        hs_buf_move(&canonical, out);
    hs_buf_clear(&canonical);
    hs_json_doc_clear(&doc);
    return code;
}
