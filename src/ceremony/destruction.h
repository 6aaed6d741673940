/* The entry of a destruction: what says later that a key was destroyed, by whom, and as what link of which chain. It
 * has the form of a ceremony's record, and is verified like one (docs/formats/ceremony-record.md). */
#ifndef HS_DESTRUCTION_H
#define HS_DESTRUCTION_H

#include <hsmart/key.h>

#include "bytes.h"

struct hs_destruction {
    const hsmart_key *key;       /* which is still there */
    const hsmart_key *sign_with; /* a key that stays; NULL: none */
    const char *previous;        /* path of the record or entry before it; NULL: it begins a chain */
    const char *tool;            /* "hsmart-key 0.1.0" */
    const char *confirmed_by;    /* "a terminal" */
};

/* Makes the entry before the key is destroyed, since that key signs it, too, if it still can: nobody else could have
 * then. `*out_signature_count` is how many signatures it has; with none it proves nothing, which verify says. Errors:
 * those of `hs_record_load` and HSMART_CHECK_FAILED for `previous`; of the token for `sign_with`. */
HSMART_MUST_CHECK enum hsmart_code hs_destruction_make(const struct hs_destruction *what, struct hs_buf *out_text,
                                                       size_t *out_signature_count, hsmart_err *err);

#endif
