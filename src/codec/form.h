/* application/x-www-form-urlencoded (RFC 6749 appendix B) and HTTP Basic (RFC 7617). */
#ifndef HS_FORM_H
#define HS_FORM_H

#include "bytes.h"

/* Appends "name=value", with '&' before it when the form is not empty. An empty value is refused: RFC 6749 section 3.2
 * treats it as absent. */
HSMART_MUST_CHECK enum hsmart_code hs_form_append(struct hs_buf *form, const char *name, struct hs_span value,
                                                  hsmart_err *err);
/* Appends one encoded component. */
HSMART_MUST_CHECK enum hsmart_code hs_form_encode(struct hs_buf *out, struct hs_span value, hsmart_err *err);
/* Decodes one component; HSMART_INPUT_MALFORMED for a bad percent escape. */
HSMART_MUST_CHECK enum hsmart_code hs_form_decode(struct hs_span text, struct hs_buf *out, hsmart_err *err);
/* Walks "a=b&c=d" from `*inout_rest`; false at the end. Spans are still encoded. */
bool hs_form_next(struct hs_span *inout_rest, struct hs_span *out_name, struct hs_span *out_value);

enum hs_basic_form {
    HS_BASIC_FORM_ENCODED, /* RFC 6749 section 2.3.1: each half is form-encoded first */
    HS_BASIC_RAW,          /* as SMART's example and several vendors do */
};
/* "Basic …". HSMART_INVALID_ARGUMENT for a ':' in a raw id. `*out_differs`, when not NULL, tells whether the two forms
 * differ for these values. */
HSMART_MUST_CHECK enum hsmart_code hs_basic_header(struct hs_span id, struct hs_span secret, enum hs_basic_form form,
                                                   struct hs_buf *out, bool *out_differs, hsmart_err *err);

#endif
