/* One scope as a backend client may ask for it: system/TYPE.PERMISSIONS (SMART App Launch 2.2, scopes and launch
 * context; the permissions of SMART 1 too). */
#ifndef HS_SCOPE_WORD_H
#define HS_SCOPE_WORD_H

#include "bytes.h"

enum hs_scope_kind {
    HS_SCOPE_WORD_GOOD,
    HS_SCOPE_WORD_MALFORMED, /* it begins like one of SMART's, but no backend client may ask for it */
    HS_SCOPE_WORD_FOREIGN,   /* none of SMART's: some families have words of their own */
};

/* Spans are borrowed from the word. */
struct hs_scope_word {
    struct hs_span type;  /* a FHIR resource's, or "*" */
    struct hs_span query; /* what narrows it down, behind '?'; empty: nothing */
    bool searches, writes;
};

/* Takes the next word off `*inout_rest`; false at the end. Words are separated by spaces. */
bool hs_scope_next(struct hs_span *inout_rest, struct hs_span *out_word);
/* `*out_fault` says what is wrong with the word, as in: "x" is no system scope; NULL when it is good, and only then
 * `*out_scope` is set. Static. */
enum hs_scope_kind hs_scope_word_parse(struct hs_span word, struct hs_scope_word *out_scope, const char **out_fault);

#endif
