/* What a token wants to know of a certificate. */
#ifndef HS_X509_READ_H
#define HS_X509_READ_H

#include "bytes.h"

/* All DER: the certificate, and its subject, issuer and serial number. Zero is valid and empty. */
struct hs_x509_parts {
    struct hs_buf der, subject, issuer, serial;
};
/* From PEM or DER; of PEM, the first certificate. HSMART_INPUT_MALFORMED when there is none. */
HSMART_MUST_CHECK enum hsmart_code hs_x509_read(struct hs_span text, struct hs_x509_parts *out_parts, hsmart_err *err);
void hs_x509_parts_clear(struct hs_x509_parts *parts);

#endif
