/* The grammar of JSON (RFC 8259), strictly. Private to src/codec. */
#ifndef HS_JSON_GRAMMAR_H
#define HS_JSON_GRAMMAR_H

#include "json.h"

/* Checks that `text` is exactly one value within the limits of json.h, and puts into `out_plain` the text that json-c
 * is given to build the tree from: the same values, except that an integer beyond int64_t is written with a fraction,
 * since json-c would replace it by the nearest one it can hold. */
HSMART_MUST_CHECK enum hsmart_code hs_json_grammar_check(struct hs_span text, struct hs_buf *out_plain,
                                                         hsmart_err *err);

#endif
