#include "x509_make.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "err.h"
#include "text.h"
#include "x509_names.h"

#define SERIAL_LEN 20U /* RFC 5280 section 4.1.2.2: at most 20 octets, positive */
#define SUBJECT_MAX_LEN 1024U
#define VERSION_3 2L /* as X.509 counts */

/* ---- OpenSSL's errors in our words ---- */

static enum hsmart_code
openssl_failed(hsmart_err *err, enum hsmart_code code, const char *step)
{
    unsigned long error = ERR_peek_error(); /* the oldest: later ones tell who passed it on */
    const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;

    ERR_clear_error();
    if (reason != NULL)
        return hs_err_set(err, code, "%s: %s", step, reason);
    if (error != 0)
        return hs_err_set(err, code, "%s: code 0x%x of OpenSSL's library %d", step, (unsigned)ERR_GET_REASON(error),
                          ERR_GET_LIB(error));
    return hs_err_set(err, code, "%s", step);
}

static enum hsmart_code
signing_failed(hsmart_err *err, const char *step)
{
    enum hsmart_code code = openssl_failed(err, HSMART_TOKEN_FAILED, step);

    hs_err_hint(err, "libp11 signs by CKM_RSA_PKCS and CKM_ECDSA only: a key or token that does not do these signs "
                     "assertions, but no certificates");
    return code;
}

/* ---- Wishes ---- */

static enum hsmart_code
parse_names(const struct hs_x509_wish *wish, GENERAL_NAMES **out_names, hsmart_err *err)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    enum hsmart_code code = names != NULL ? HSMART_OK : hs_err_no_memory(err);

    for (size_t i = 0; i < wish->name_count && code == HSMART_OK; i++) {
        GENERAL_NAME *name = NULL;
        code = hs_x509_parse_alternative(wish->names[i], &name, err);
        if (code == HSMART_OK && sk_GENERAL_NAME_push(names, name) <= 0) {
            GENERAL_NAME_free(name);
            code = hs_err_no_memory(err);
        }
    }
    if (code != HSMART_OK) {
        GENERAL_NAMES_free(names);
        return code;
    }
    *out_names = names;
    return HSMART_OK;
}

enum hsmart_code
hs_x509_check_wish(const struct hs_x509_wish *wish, hsmart_err *err)
{
    X509_NAME *subject = NULL;
    GENERAL_NAMES *names = NULL;
    enum hsmart_code code = HSMART_OK;

    if (wish->subject == NULL || wish->subject[0] == 0) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "a certificate needs a subject");
        hs_err_hint(err, "for example CN=app.example,O=Clinic,C=DE");
        return HSMART_INVALID_ARGUMENT;
    }
    if (strlen(wish->subject) > SUBJECT_MAX_LEN || !hs_text_is_utf8(hs_span_str(wish->subject)))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the subject is not UTF-8, or longer than %u bytes",
                          SUBJECT_MAX_LEN);
    if (wish->name_count > HS_X509_NAMES_MAX)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "%zu alternative names are more than the %u allowed",
                          wish->name_count, HS_X509_NAMES_MAX);
    if (wish->is_certificate && (wish->days == 0 || wish->days > HS_X509_DAYS_MAX))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "a certificate is valid for 1 to %u days", HS_X509_DAYS_MAX);
    if (wish->alg == NULL || wish->alg->name[0] == 'P') {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "%s is not an algorithm that certificates are signed with here",
                         wish->alg != NULL ? wish->alg->name : "(none)");
        hs_err_hint(err, "libp11 signs by PKCS#1 v1.5 and ECDSA only: give RS384, or ES384 for an EC key");
        return HSMART_INVALID_ARGUMENT;
    }
    code = hs_x509_parse_subject(wish->subject, &subject, err);
    if (code == HSMART_OK)
        code = parse_names(wish, &names, err);
    X509_NAME_free(subject);
    GENERAL_NAMES_free(names);
    return code;
}

/* ---- Extensions ---- */

static const struct extension_row {
    int nid;
    const char *value; /* in OpenSSL's words; constants only */
    bool in_request;
} extension_rows[] = {
    {NID_basic_constraints, "critical,CA:FALSE", true},
    {NID_key_usage, "critical,digitalSignature", true},
    {NID_ext_key_usage, "clientAuth", true},
    {NID_subject_key_identifier, "hash", false},
    {NID_authority_key_identifier, "keyid:always", false},
};

static enum hsmart_code
add_extensions(X509 *certificate, STACK_OF(X509_EXTENSION) * request_extensions, const struct hs_x509_wish *wish,
               hsmart_err *err)
{
    X509V3_CTX context;
    GENERAL_NAMES *names = NULL;
    enum hsmart_code code = HSMART_OK;

    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    for (size_t i = 0; i < HS_ARRAY_LEN(extension_rows) && code == HSMART_OK; i++) {
        if (certificate == NULL && !extension_rows[i].in_request)
            continue;
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, extension_rows[i].nid, extension_rows[i].value);
        bool added =
            extension != NULL && (certificate != NULL ? X509_add_ext(certificate, extension, -1) == 1
                                                      : sk_X509_EXTENSION_push(request_extensions, extension) > 0);
        if (certificate != NULL || !added)
            X509_EXTENSION_free(extension);
        if (!added)
            code = openssl_failed(err, HSMART_INTERNAL, "an extension cannot be made");
    }
    if (code != HSMART_OK || wish->name_count == 0)
        return code;
    code = parse_names(wish, &names, err);
    if (code == HSMART_OK &&
        (certificate != NULL
             ? X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT)
             : X509V3_add1_i2d(&request_extensions, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT)) != 1)
        code = openssl_failed(err, HSMART_INTERNAL, "the alternative names cannot be added");
    GENERAL_NAMES_free(names);
    return code;
}

/* ---- Making ---- */

static enum hsmart_code
take_der(unsigned char *der, int len, struct hs_buf *out_der, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    if (len <= 0)
        code = openssl_failed(err, HSMART_INTERNAL, "it cannot be encoded");
    else
        code = hs_buf_append(out_der, (struct hs_span){der, (size_t)len}, err);
    OPENSSL_free(der);
    return code;
}

static enum hsmart_code
make_request(EVP_PKEY *key, const struct hs_x509_wish *wish, X509_NAME *subject, struct hs_buf *out_der,
             hsmart_err *err)
{
    X509_REQ *request = X509_REQ_new();
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    unsigned char *der = NULL;
    enum hsmart_code code = request != NULL && extensions != NULL ? HSMART_OK : hs_err_no_memory(err);

    if (code == HSMART_OK)
        code = add_extensions(NULL, extensions, wish, err);
    if (code != HSMART_OK)
        goto out;
    if (X509_REQ_set_version(request, 0) != 1 || X509_REQ_set_subject_name(request, subject) != 1 ||
        X509_REQ_set_pubkey(request, key) != 1 || X509_REQ_add_extensions(request, extensions) != 1) {
        code = openssl_failed(err, HSMART_INTERNAL, "the request cannot be put together");
        goto out;
    }
    if (X509_REQ_sign(request, key, hs_alg_md(wish->alg->hash)) <= 0) {
        code = signing_failed(err, "the request cannot be signed");
        goto out;
    }
    int len = i2d_X509_REQ(request, &der);
    code = take_der(der, len, out_der, err);
out:
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    X509_REQ_free(request);
    return code;
}

static bool
set_serial(X509 *certificate)
{
    uint8_t bytes[SERIAL_LEN];
    BIGNUM *number = NULL;
    bool set = false;

    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and of full length */
    number = BN_bin2bn(bytes, sizeof bytes, NULL);
    set = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return set;
}

static enum hsmart_code
make_certificate(EVP_PKEY *key, const struct hs_x509_wish *wish, X509_NAME *subject, struct hs_buf *out_der,
                 hsmart_err *err)
{
    X509 *certificate = X509_new();
    time_t from = (time_t)wish->not_before_s;
    unsigned char *der = NULL;
    enum hsmart_code code = certificate != NULL ? HSMART_OK : hs_err_no_memory(err);

    if (code != HSMART_OK)
        goto out;
    if (X509_set_version(certificate, VERSION_3) != 1 || !set_serial(certificate) ||
        X509_set_subject_name(certificate, subject) != 1 || X509_set_issuer_name(certificate, subject) != 1 ||
        X509_time_adj_ex(X509_getm_notBefore(certificate), 0, 0, &from) == NULL ||
        X509_time_adj_ex(X509_getm_notAfter(certificate), (int)wish->days, -1, &from) == NULL ||
        X509_set_pubkey(certificate, key) != 1) {
        code = openssl_failed(err, HSMART_INTERNAL, "the certificate cannot be put together");
        goto out;
    }
    code = add_extensions(certificate, NULL, wish, err);
    if (code != HSMART_OK)
        goto out;
    if (X509_sign(certificate, key, hs_alg_md(wish->alg->hash)) <= 0) {
        code = signing_failed(err, "the certificate cannot be signed");
        goto out;
    }
    int len = i2d_X509(certificate, &der);
    code = take_der(der, len, out_der, err);
out:
    X509_free(certificate);
    return code;
}

enum hsmart_code
hs_x509_make(EVP_PKEY *key, const struct hs_x509_wish *wish, struct hs_buf *out_der, hsmart_err *err)
{
    X509_NAME *subject = NULL;
    enum hsmart_code code = hs_x509_check_wish(wish, err);

    if (code == HSMART_OK)
        code = hs_x509_parse_subject(wish->subject, &subject, err);
    if (code == HSMART_OK)
        code = (wish->is_certificate ? make_certificate : make_request)(key, wish, subject, out_der, err);
    X509_NAME_free(subject);
    return code;
}

/* ---- Reading it back ---- */

enum hsmart_code
hs_x509_verify(struct hs_span der, const struct hs_x509_wish *wish, const struct hs_jwk *jwk, hsmart_err *err)
{
    const unsigned char *at = der.data;
    X509_REQ *request = wish->is_certificate ? NULL : d2i_X509_REQ(NULL, &at, (long)der.len);
    X509 *certificate = wish->is_certificate ? d2i_X509(NULL, &at, (long)der.len) : NULL;
    EVP_PKEY *own = request != NULL       ? X509_REQ_get0_pubkey(request)
                    : certificate != NULL ? X509_get0_pubkey(certificate)
                                          : NULL;
    enum hsmart_code code = HSMART_OK;

    if (own == NULL || EVP_PKEY_eq(own, jwk->pkey) != 1)
        code = hs_err_set(err, HSMART_KEY_MISMATCH, "what was made is not for this key");
    else if ((request != NULL ? X509_REQ_verify(request, jwk->pkey) : X509_verify(certificate, jwk->pkey)) != 1)
        code = hs_err_set(err, HSMART_SIGNATURE_WRONG, "its signature does not verify with the public key");
    ERR_clear_error();
    X509_REQ_free(request);
    X509_free(certificate);
    return code;
}

enum hsmart_code
hs_x509_format_pem(struct hs_span der, const struct hs_x509_wish *wish, struct hs_buf *out, hsmart_err *err)
{
    char *data = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    enum hsmart_code code = HSMART_OK;

    if (bio == NULL || PEM_write_bio(bio, wish->is_certificate ? PEM_STRING_X509 : PEM_STRING_X509_REQ, "", der.data,
                                     (long)der.len) <= 0)
        code = hs_err_no_memory(err);
    if (code == HSMART_OK) {
        long len = BIO_get_mem_data(bio, &data);
        code = hs_buf_append(out, (struct hs_span){(const uint8_t *)data, (size_t)len}, err);
    }
    BIO_free(bio);
    return code;
}
