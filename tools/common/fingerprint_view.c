#include "fingerprint_view.h"

#include "words.h"

#define BYTES_PER_LINE 4U

void
fingerprint_put(struct text *text, struct hs_span digest, const char *indent)
{
    for (size_t at = 0; at < digest.len; at += BYTES_PER_LINE) {
        size_t end = at + BYTES_PER_LINE < digest.len ? at + BYTES_PER_LINE : digest.len;
        text_put(text, "%s", indent);
        for (size_t i = at; i < end; i++)
            text_put(text, "%02x", digest.data[i]);
        for (size_t i = at; i < end; i++)
            text_put(text, "%s%s", i == at ? "  " : " ", hs_word_of(i, digest.data[i]));
        text_put(text, "\n");
    }
}
