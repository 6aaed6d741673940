#include "lack.h"

const char *
hs_lack_words(const struct hs_lack *rows, size_t count, unsigned lacking)
{
    for (size_t i = 0; i < count; i++)
        if ((lacking & rows[i].bit) != 0)
            return rows[i].words;
    return "";
}
