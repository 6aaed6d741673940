/* Names as people write them, into names as certificates have them: the subject (RFC 4514) and the subject alternative
 * names, held to RFC 5280 before OpenSSL is asked, so that an error says what is wrong, and where. */
#ifndef HS_X509_NAMES_H
#define HS_X509_NAMES_H

#include <openssl/x509v3.h>

#include "bytes.h"

/* "CN=app.example,O=Clinic,C=DE". Each value is a printable DirectoryString, or what its type takes instead, no longer
 * than X.520 allows (RFC 5280 appendix A.1). HSMART_INVALID_ARGUMENT; `text` is UTF-8. */
HSMART_MUST_CHECK enum hsmart_code hs_x509_parse_subject(const char *text, X509_NAME **out_name, hsmart_err *err);

/* "URI:https://app.example", "DNS:app.example", "email:ops@app.example", "IP:192.0.2.1" (RFC 5280 section 4.2.1.6).
 * HSMART_INVALID_ARGUMENT. */
HSMART_MUST_CHECK enum hsmart_code hs_x509_parse_alternative(const char *text, GENERAL_NAME **out_name,
                                                             hsmart_err *err);

#endif
