/* Words for what is missing, where bits say what is there: a rule, or a probe, that cannot be applied says why. */
#ifndef HS_LACK_H
#define HS_LACK_H

#include "bytes.h"

struct hs_lack {
    unsigned bit;
    const char *words;
};
/* The words of the first row whose bit is in `lacking`, so the most basic lack is told; "" when no row has one. */
const char *hs_lack_words(const struct hs_lack *rows, size_t count, unsigned lacking);

#endif
