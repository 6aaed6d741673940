/* Bytes as words that people read to each other: the PGP word list. */
#ifndef HS_WORDS_H
#define HS_WORDS_H

#include "bytes.h"

/* The word of `byte` at `position` (from 0): two syllables at even positions, three at odd ones, so that a word left
 * out, said twice or exchanged with its neighbour is heard. Static. */
const char *hs_word_of(size_t position, uint8_t byte);
/* Appends one word for each byte, a space between them. */
HSMART_MUST_CHECK enum hsmart_code hs_words_append(struct hs_buf *out, struct hs_span bytes, hsmart_err *err);
/* Whether the same words were typed, whatever the case and whether spaces or hyphens are between them. */
bool hs_words_equal(const char *typed, const char *expected);

#endif
