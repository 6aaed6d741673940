#include "message.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "err.h"
#include "text.h"

#define HEADER_VALUE_MAX 4096U

enum hsmart_code
fields_add(struct fields *fields, struct hs_span name, struct hs_span value, hsmart_err *err)
{
    enum hsmart_code code = hs_array_grow((void **)&fields->items, fields->count, sizeof *fields->items, err);

    if (code == HSMART_OK)
        fields->items[fields->count++] = (struct field){name, value};
    return code;
}

void
fields_clear(struct fields *fields)
{
    hs_free(fields->items);
    *fields = (struct fields){0};
}

const struct hs_span *
field_get(const struct fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++)
        if (hs_span_equal_str(fields->items[i].name, name))
            return &fields->items[i].value;
    return NULL;
}

static bool
is_header(const struct field *field, const char *name)
{
    return field->name.len == strlen(name) && strncasecmp((const char *)field->name.data, name, field->name.len) == 0;
}

const struct hs_span *
header_get(const struct fields *headers, const char *name)
{
    for (size_t i = 0; i < headers->count; i++)
        if (is_header(&headers->items[i], name))
            return &headers->items[i].value;
    return NULL;
}

size_t
header_count(const struct fields *headers, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < headers->count; i++)
        count += is_header(&headers->items[i], name);
    return count;
}

/* ---- Answers ---- */

void
answer_reset(struct answer *answer)
{
    for (size_t i = 0; i < answer->header_count; i++)
        hs_string_free(answer->headers[i].value);
    answer->header_count = 0;
    answer->body.len = 0;
}

void
answer_clear(struct answer *answer)
{
    answer_reset(answer);
    hs_buf_clear(&answer->body);
    *answer = (struct answer){0};
}

static struct answer_header *
find(struct answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++)
        if (strcasecmp(answer->headers[i].name, name) == 0)
            return &answer->headers[i];
    return NULL;
}

static enum hsmart_code
set(struct answer *answer, const char *name, const char *value, hsmart_err *err)
{
    char *copy = NULL;
    struct answer_header *header = find(answer, name);
    enum hsmart_code code = hs_strdup(value, &copy, err);

    if (code != HSMART_OK)
        return code;
    if (header == NULL && answer->header_count == ANSWER_HEADERS_MAX) {
        hs_string_free(copy);
        return hs_err_set(err, HSMART_INTERNAL, "an answer has more headers than there is room for");
    }
    if (header == NULL)
        header = &answer->headers[answer->header_count++];
    else
        hs_string_free(header->value);
    *header = (struct answer_header){name, copy};
    return HSMART_OK;
}

enum hsmart_code
answer_header(struct answer *answer, hsmart_err *err, const char *name, const char *format, ...)
{
    char value[HEADER_VALUE_MAX];
    va_list args;

    if (format == NULL) {
        struct answer_header *header = find(answer, name);
        if (header != NULL) {
            hs_string_free(header->value);
            *header = answer->headers[--answer->header_count];
        }
        return HSMART_OK;
    }
    va_start(args, format);
    (void)vsnprintf(value, sizeof value, format, args);
    va_end(args);
    hs_text_sanitize(value); /* what a stranger sent may be in it; a header is one line */
    return set(answer, name, value, err);
}

const char *
answer_header_get(const struct answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++)
        if (strcasecmp(answer->headers[i].name, name) == 0)
            return answer->headers[i].value;
    return NULL;
}

void
answer_note(struct answer *answer, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(answer->note, sizeof answer->note, format, args);
    va_end(args);
    hs_text_sanitize(answer->note);
}
