/* What a token wants to know of a certificate. */
#ifndef HS_X509_READ_H
#define HS_X509_READ_H

#include "bytes.h"

/* All DER: the certificate, and its subject, issuer and serial number. Zero is valid and empty. */
struct hs_x509_parts {
    struct hs_buf der, subject, issuer, serial;
    int64_t not_before_s, not_after_s; /* seconds since the epoch */
    bool may_sign;                     /* by its key usage, or it has none */
    bool is_for_clients;               /* by its extended key usage, or it has none */
    bool is_ca;
};
/* From PEM or DER; of PEM, the first certificate. HSMART_INPUT_MALFORMED when there is none,
 * or its dates or extensions cannot be read. */
HSMART_MUST_CHECK enum hsmart_code hs_x509_read(struct hs_span text, struct hs_x509_parts *out_parts, hsmart_err *err);
void hs_x509_parts_clear(struct hs_x509_parts *parts);

#endif
