/* A list of texts. */
#ifndef HS_TEXT_LIST_H
#define HS_TEXT_LIST_H

#include "bytes.h"

/* Owned. Zero is the empty list. */
struct hs_text_list {
    char **items;
    size_t count;
};
HSMART_MUST_CHECK enum hsmart_code hs_text_list_add(struct hs_text_list *list, const char *text, hsmart_err *err);
/* Adds a formatted line, sanitised: it may hold what a server sent. */
HSMART_MUST_CHECK enum hsmart_code hs_text_list_add_format(struct hs_text_list *list, hsmart_err *err,
                                                           const char *format, ...) HSMART_PRINTF(3, 4);
bool hs_text_list_has(const struct hs_text_list *list, const char *text);
void hs_text_list_clear(struct hs_text_list *list);

/* Walks the words of a text that are separated by spaces: the next one, the empty span at the end. */
struct hs_span hs_word_next(const char **inout_rest);
/* Whether `words` (separated by spaces; NULL: none) has `word`. */
bool hs_words_have(const char *words, struct hs_span word);

#endif
