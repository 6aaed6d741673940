/* PKCS#11 URIs (RFC 7512), with hsmart's rules on top: no PIN in a URI, and nothing in it that does not count. */
#ifndef HS_P11_URI_H
#define HS_P11_URI_H

#include <p11-kit/pkcs11.h>

#include "bytes.h"

struct hs_p11_uri; /* a parsed URI */

/* `text` NULL gives a URI that matches everything. HSMART_INVALID_ARGUMENT for a malformed one and for one with
 * pin-value or pin-source, whose value is never repeated. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_uri_parse(const char *text, struct hs_p11_uri **out_uri, hsmart_err *err);
void hs_p11_uri_free(struct hs_p11_uri *uri);

/* Token and slot attributes: token, manufacturer, model, serial, library-*, slot-*; slot-id only counts when named. */
bool hs_p11_uri_matches_token(const struct hs_p11_uri *uri, const CK_INFO *library, CK_SLOT_ID slot_id,
                              const CK_SLOT_INFO *slot, const CK_TOKEN_INFO *token);
/* Whether it names an object (label or id), and what it names; `out_…` borrowed, `data` NULL when not named. */
void hs_p11_uri_get_object(const struct hs_p11_uri *uri, struct hs_span *out_label, struct hs_span *out_id);
/* The `type` attribute: false when it is not named. */
bool hs_p11_uri_get_class(const struct hs_p11_uri *uri, CK_OBJECT_CLASS *out_class);

/* "pkcs11:model=…;manufacturer=…;serial=…;token=…". */
HSMART_MUST_CHECK enum hsmart_code hs_p11_uri_format_token(const CK_TOKEN_INFO *token, struct hs_buf *out,
                                                           hsmart_err *err);
/* The token's URI with id, object and type=private; empty spans are left out. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_uri_format_key(const CK_TOKEN_INFO *token, struct hs_span label,
                                                         struct hs_span id, struct hs_buf *out, hsmart_err *err);

#endif
