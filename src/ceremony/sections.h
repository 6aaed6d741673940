/* Files of sections and settings as hsmart.conf has them: the plan of a ceremony, and its confirmations. What may stand
 * in them is a table of the caller's. */
#ifndef HS_SECTIONS_H
#define HS_SECTIONS_H

#include "bytes.h"

#define HS_SECTIONS_MAX_LEN (64U << 10) /* bytes of such a file */
#define HS_SECTIONS_MAX_COUNT 100U      /* sections */
#define HS_SETTINGS_MAX_COUNT 32U       /* settings of one section */

struct hs_setting {
    char *name, *value;
    unsigned line;
};

struct hs_section {
    char *kind, *name; /* `name` NULL: it has none */
    unsigned line, end_line;
    struct hs_setting *settings;
    size_t setting_count;
};

/* Zero is valid and empty. In the order of the file. */
struct hs_sections {
    struct hs_section *items;
    size_t count;
};

/* Only the grammar: `kind "name" { setting = "value" … }`. HSMART_INPUT_MALFORMED with "FILE:LINE" in front, for
 * whatever a reader could take for something else: a setting that is there twice, two sections of one kind and name, a
 * section without an end, invalid UTF-8, an escape that is none. */
HSMART_MUST_CHECK enum hsmart_code hs_sections_parse(struct hs_span text, const char *file,
                                                     struct hs_sections *out_sections, hsmart_err *err);
void hs_sections_clear(struct hs_sections *sections);

const struct hs_setting *hs_section_get(const struct hs_section *section, const char *name);

/* HSMART_INPUT_MALFORMED at a line of a file: "FILE:LINE: REASON". */
enum hsmart_code hs_sections_error(hsmart_err *err, const char *file, unsigned line, const char *reason, ...)
    HSMART_PRINTF(4, 5);

#endif
