#include "text_list.h"

#include <stdio.h>

#include "err.h"
#include "text.h"

#define LINE_MAX_LEN 512U

enum hsmart_code
hs_text_list_add(struct hs_text_list *list, const char *text, hsmart_err *err)
{
    char *copy = NULL;
    enum hsmart_code code = hs_strdup(text, &copy, err);

    if (code == HSMART_OK)
        code = hs_array_grow((void **)&list->items, list->count, sizeof *list->items, err);
    if (code != HSMART_OK) {
        hs_string_free(copy);
        return code;
    }
    list->items[list->count++] = copy;
    return HSMART_OK;
}

enum hsmart_code
hs_text_list_add_format(struct hs_text_list *list, hsmart_err *err, const char *format, ...)
{
    char line[LINE_MAX_LEN];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    hs_text_sanitize(line);
    return hs_text_list_add(list, line, err);
}

bool
hs_text_list_has(const struct hs_text_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], text) == 0)
            return true;
    return false;
}

void
hs_text_list_clear(struct hs_text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        hs_string_free(list->items[i]);
    hs_free(list->items);
    *list = (struct hs_text_list){0};
}

struct hs_span
hs_word_next(const char **inout_rest)
{
    const char *start = *inout_rest != NULL ? *inout_rest + strspn(*inout_rest, " ") : "";
    size_t len = strcspn(start, " ");

    *inout_rest = start + len;
    return (struct hs_span){(const uint8_t *)start, len};
}

bool
hs_words_have(const char *words, struct hs_span word)
{
    for (struct hs_span next = hs_word_next(&words); next.len > 0; next = hs_word_next(&words))
        if (hs_span_equal(next, word))
            return true;
    return false;
}
