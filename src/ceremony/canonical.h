/* JSON in its one canonical form: RFC 8785 for what our documents hold. */
#ifndef HS_CANONICAL_H
#define HS_CANONICAL_H

#include "json.h"

/* Appends `value` without spaces, the members of each object sorted by name. HSMART_INPUT_MALFORMED for a number that
 * is no whole one, which our documents do not have. */
HSMART_MUST_CHECK enum hsmart_code hs_canonical_append(struct hs_buf *out, const hs_json_value *value, hsmart_err *err);
/* The canonical form of JSON text; `out` is replaced. */
HSMART_MUST_CHECK enum hsmart_code hs_canonical_of_text(struct hs_span text, struct hs_buf *out, hsmart_err *err);

#endif
