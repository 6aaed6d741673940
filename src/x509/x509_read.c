#include "x509_read.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "err.h"

#define CERTIFICATE_MAX_LEN (64U << 10)

void
hs_x509_parts_clear(struct hs_x509_parts *parts)
{
    hs_buf_clear(&parts->der);
    hs_buf_clear(&parts->subject);
    hs_buf_clear(&parts->issuer);
    hs_buf_clear(&parts->serial);
}

static X509 *
parse(struct hs_span text)
{
    const unsigned char *at = text.data;
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
    X509 *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    if (certificate == NULL)
        certificate = d2i_X509(NULL, &at, (long)text.len);
    if (certificate != NULL && at != text.data && at != text.data + text.len) { /* something follows the DER */
        X509_free(certificate);
        certificate = NULL;
    }
    ERR_clear_error();
    return certificate;
}

static enum hsmart_code
take(unsigned char *der, int len, struct hs_buf *out, hsmart_err *err)
{
    enum hsmart_code code =
        len > 0 ? hs_buf_append(out, (struct hs_span){der, (size_t)len}, err) : hs_err_no_memory(err);

    OPENSSL_free(der);
    return code;
}

enum hsmart_code
hs_x509_read(struct hs_span text, struct hs_x509_parts *out_parts, hsmart_err *err)
{
    struct hs_x509_parts parts = {0};
    unsigned char *der = NULL;
    X509 *certificate = text.len > 0 && text.len <= CERTIFICATE_MAX_LEN ? parse(text) : NULL;
    enum hsmart_code code;

    if (certificate == NULL)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "it is no X.509 certificate in PEM or DER");
    int len = i2d_X509(certificate, &der);
    code = take(der, len, &parts.der, err);
    der = NULL;
    if (code == HSMART_OK) {
        len = i2d_X509_NAME(X509_get_subject_name(certificate), &der);
        code = take(der, len, &parts.subject, err);
        der = NULL;
    }
    if (code == HSMART_OK) {
        len = i2d_X509_NAME(X509_get_issuer_name(certificate), &der);
        code = take(der, len, &parts.issuer, err);
        der = NULL;
    }
    if (code == HSMART_OK) {
        len = i2d_ASN1_INTEGER(X509_get_serialNumber(certificate), &der);
        code = take(der, len, &parts.serial, err);
    }
    X509_free(certificate);
    if (code != HSMART_OK) {
        hs_x509_parts_clear(&parts);
        return code;
    }
    *out_parts = parts;
    return HSMART_OK;
}
