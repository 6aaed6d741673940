/* A record as one page to print and sign: no script, nothing from elsewhere, everything escaped. */
#ifndef HS_RECORD_HTML_H
#define HS_RECORD_HTML_H

#include "record.h"

#define HS_RECORD_HTML_MAX_LEN (8U << 20)

/* Sets `out` to the page. The record is verified first, and the page says what that came to: `*out_bad_count` is how
 * many checks do not hold. */
HSMART_MUST_CHECK enum hsmart_code hs_record_html(const struct hs_record *record, struct hs_buf *out,
                                                  size_t *out_bad_count, hsmart_err *err);

#endif
