/* For fuzz targets: what must hold after every input, whatever it was. A broken rule ends the process, as a crash does.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "bytes.h"
#include "log.h"

/* The one function of a target. With libFuzzer it is called for ever, in an ordinary build once for each file of the
 * corpus (replay.c). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FUZZ_REQUIRE(condition)                                                                                        \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                       \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* A story for a person: one line, nothing that a terminal would obey. */
static inline void
fuzz_require_line(const char *text, size_t size)
{
    size_t len = strnlen(text, size);

    FUZZ_REQUIRE(len < size);
    for (size_t i = 0; i < len; i++)
        FUZZ_REQUIRE((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
}

/* A failure has a code that is listed and a reason in one line; a success has neither. */
static inline void
fuzz_require_story(enum hsmart_code code, const hsmart_err *err)
{
    if (code == HSMART_OK)
        return;
    FUZZ_REQUIRE(code == err->code);
    FUZZ_REQUIRE(hsmart_code_meaning(code)[0] != '\0');
    FUZZ_REQUIRE(code != HSMART_INTERNAL);
    FUZZ_REQUIRE(err->text[0] != '\0');
    fuzz_require_line(err->text, sizeof err->text);
    fuzz_require_line(err->hint, sizeof err->hint);
}

/* The input as a C string: up to its first NUL. Released with `hs_string_free`. */
static inline char *
fuzz_text(const uint8_t *data, size_t len)
{
    char *text = hs_calloc(len + 1, 1);

    if (text == NULL)
        abort();
    if (len > 0)
        memcpy(text, data, len);
    return text;
}

/* Takes the front of the input up to `separator` as a C string; what follows it stays in `inout_rest`. */
static inline char *
fuzz_take_line(struct hs_span *inout_rest, char separator)
{
    const uint8_t *end = inout_rest->len > 0 ? memchr(inout_rest->data, separator, inout_rest->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - inout_rest->data) : inout_rest->len;
    char *line = fuzz_text(inout_rest->data, len);
    size_t used = end != NULL ? len + 1 : len;

    if (used > 0) /* no arithmetic on the NULL of an empty span */
        *inout_rest = (struct hs_span){inout_rest->data + used, inout_rest->len - used};
    return line;
}

#endif
