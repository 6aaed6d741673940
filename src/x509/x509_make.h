/* Certificate requests and self-signed certificates of client keys (RFC 2986, RFC 5280). */
#ifndef HS_X509_MAKE_H
#define HS_X509_MAKE_H

#include "jwk.h"

/* What to make. Strings are borrowed. */
struct hs_x509_wish {
    bool is_certificate; /* self-signed; false: a request */
    const char *subject; /* RFC 4514: "CN=app.example,O=Clinic,C=DE"; its last name comes first in the certificate */
    const char *const *names; /* subject alternative names: "URI:…", "DNS:…", "email:…", "IP:…" */
    size_t name_count;
    const struct hs_alg *alg; /* RS256 to ES512 */
    int64_t not_before_s;     /* certificates */
    unsigned days;
};
#define HS_X509_DAYS_MAX 3650U
#define HS_X509_NAMES_MAX 64U

/* Everything that can be wrong with a wish, before a token is asked: HSMART_INVALID_ARGUMENT. */
HSMART_MUST_CHECK enum hsmart_code hs_x509_check_wish(const struct hs_x509_wish *wish, hsmart_err *err);
/* Makes it, signed with `key`, whose private half may be anywhere that OpenSSL reaches. A client key's extensions:
 * basicConstraints CA:FALSE and keyUsage digitalSignature, both critical, extendedKeyUsage clientAuth, the names;
 * in a certificate also the key identifiers, and a random serial number. HSMART_TOKEN_FAILED when the signature
 * fails. */
HSMART_MUST_CHECK enum hsmart_code hs_x509_make(EVP_PKEY *key, const struct hs_x509_wish *wish, struct hs_buf *out_der,
                                                hsmart_err *err);
/* Whether `der` is what was asked for: its key is `jwk`, and its signature verifies by it. HSMART_SIGNATURE_WRONG. */
HSMART_MUST_CHECK enum hsmart_code hs_x509_verify(struct hs_span der, const struct hs_x509_wish *wish,
                                                  const struct hs_jwk *jwk, hsmart_err *err);
/* As PEM, appended. */
HSMART_MUST_CHECK enum hsmart_code hs_x509_format_pem(struct hs_span der, const struct hs_x509_wish *wish,
                                                      struct hs_buf *out, hsmart_err *err);

#endif
