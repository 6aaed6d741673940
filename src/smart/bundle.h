/* The links of a FHIR Bundle, without reading the resources in it: pages can be many megabytes long. */
#ifndef HS_BUNDLE_H
#define HS_BUNDLE_H

#include "bytes.h"

/* The URL of the link with this relation ("next"), as it is written; an empty buffer when there is none, or when `body`
 * is no Bundle. HSMART_SERVER_FAILED when it is no JSON object, or its links are broken. */
HSMART_MUST_CHECK enum hsmart_code hs_bundle_link(struct hs_span body, const char *relation, struct hs_buf *out_url,
                                                  hsmart_err *err);

#endif
