#include "x509_read.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

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

/* OpenSSL's own would ask a person at the terminal, and wait: PEM may say of itself that it is encrypted. */
static int
know_no_pass_phrase(char *out, int size, int is_writing, void *arg)
{
    (void)out, (void)size, (void)is_writing, (void)arg;
    return -1;
}

static X509 *
parse(struct hs_span text)
{
    const unsigned char *at = text.data;
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
    X509 *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, know_no_pass_phrase, NULL) : NULL;

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

/* ---- What it is good for ---- */

static bool
read_time(const ASN1_TIME *time, int64_t *out_s)
{
    static const char epoch[] = "19700101000000Z";
    ASN1_TIME *from = ASN1_TIME_new();
    int days = 0, seconds = 0;
    bool read =
        from != NULL && ASN1_TIME_set_string_X509(from, epoch) == 1 && ASN1_TIME_diff(&days, &seconds, from, time) == 1;

    ASN1_TIME_free(from);
    if (read)
        *out_s = (int64_t)days * 86400 + seconds;
    return read;
}

/* RFC 5280 sections 4.2.1.3, 4.2.1.9 and 4.2.1.12. An extension that is not there limits nothing: OpenSSL tells every
 * bit then. */
static enum hsmart_code
read_use(X509 *certificate, struct hs_x509_parts *parts, hsmart_err *err)
{
    if (!read_time(X509_get0_notBefore(certificate), &parts->not_before_s) ||
        !read_time(X509_get0_notAfter(certificate), &parts->not_after_s))
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "the certificate has a date that is none");
    if (X509_get_extension_flags(certificate) & EXFLAG_INVALID)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "the certificate has an extension that cannot be read");
    parts->may_sign = (X509_get_key_usage(certificate) & KU_DIGITAL_SIGNATURE) != 0;
    parts->is_for_clients = (X509_get_extended_key_usage(certificate) & (XKU_SSL_CLIENT | XKU_ANYEKU)) != 0;
    parts->is_ca = (X509_get_extension_flags(certificate) & EXFLAG_CA) != 0;
    return HSMART_OK;
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
    if (code == HSMART_OK)
        code = read_use(certificate, &parts, err);
    X509_free(certificate);
    ERR_clear_error();
    if (code != HSMART_OK) {
        hs_x509_parts_clear(&parts);
        return code;
    }
    *out_parts = parts;
    return HSMART_OK;
}
