/* QR codes as SVG. */
#ifndef HS_QR_SVG_H
#define HS_QR_SVG_H

#include "bytes.h"

/* Appends an <svg> element with the QR code of `text`, quiet zone included; `label` is its plain-ASCII name for those
 * who cannot see it. HSMART_INVALID_ARGUMENT for a text that does not fit into one. */
HSMART_MUST_CHECK enum hsmart_code hs_qr_svg_append(struct hs_buf *out, const char *text, const char *label,
                                                    hsmart_err *err);

#endif
