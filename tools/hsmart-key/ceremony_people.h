/* The people of a ceremony: on a terminal, or as a file of confirmations. */
#ifndef HSMART_KEY_CEREMONY_PEOPLE_H
#define HSMART_KEY_CEREMONY_PEOPLE_H

#include "ceremony.h"
#include "progress.h"
#include "sections.h"
#include "target.h"

#define CEREMONY_COLUMNS_MIN 60U
#define CEREMONY_LINES_MIN 16U

/* The caller's storage; not to be moved between open and close. */
struct ceremony_people {
    const char *program;
    const struct target *target;
    const char *batch;      /* path; NULL: a terminal */
    const char *last_words; /* said when a signal ends the process once a key has been asked for; NULL: nothing */
    struct hs_sections answers;
    bool *used; /* one for each section of `answers` */
    struct progress progress;
    struct hs_ceremony_seam seam;
};

/* HSMART_INVALID_ARGUMENT when there is neither a terminal that is large enough nor a file; HSMART_INPUT_MALFORMED for
 * a file that is no good one (docs/ceremony.md). */
HSMART_MUST_CHECK enum hsmart_code ceremony_people_open(struct ceremony_people *people, hsmart_err *err);
void ceremony_people_close(struct ceremony_people *people);

#endif
