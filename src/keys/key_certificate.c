#include "key_certificate.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include "err.h"
#include "public_half.h"

/* ---- Reading ---- */

struct reading {
    const struct hs_token_key *key;
    struct hs_span wanted; /* look for this one only; empty: any */
    struct hs_buf found;
    bool is_there;
};

static bool
is_of_key(const struct hs_token_key *key, struct hs_span der)
{
    struct hs_jwk jwk = {0};
    bool is = hs_jwk_from_certificate(der, &jwk, NULL) == HSMART_OK && hs_jwk_same_key(&jwk, &key->jwk);

    hs_jwk_clear(&jwk);
    return is;
}

static bool
expires_later(struct hs_span der, const struct hs_buf *than)
{
    const unsigned char *at = der.data, *than_at = than->data;
    X509 *left = d2i_X509(NULL, &at, (long)der.len);
    X509 *right = than->len > 0 ? d2i_X509(NULL, &than_at, (long)than->len) : NULL;
    bool later =
        right == NULL || (left != NULL && ASN1_TIME_compare(X509_get0_notAfter(left), X509_get0_notAfter(right)) > 0);

    X509_free(left);
    X509_free(right);
    ERR_clear_error();
    return later;
}

static enum hsmart_code
look_at(struct reading *reading, struct hs_p11_session *session, struct hs_p11_object object, hsmart_err *err)
{
    struct hs_p11_attribute value = {.type = CKA_VALUE};
    enum hsmart_code code = hs_p11_session_read(session, object, &value, 1, err);
    struct hs_span der = hs_key_value(&value);

    if (code == HSMART_OK && reading->wanted.len > 0)
        reading->is_there = reading->is_there || hs_span_equal(der, reading->wanted);
    else if (code == HSMART_OK && is_of_key(reading->key, der) && expires_later(der, &reading->found)) {
        hs_buf_clear(&reading->found);
        code = hs_buf_append(&reading->found, der, err);
    }
    hs_p11_attributes_clear(&value, 1);
    return code;
}

static enum hsmart_code
run_reading(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    struct reading *reading = arg;
    struct hs_p11_object *objects = NULL;
    size_t count = 0;
    const CK_ATTRIBUTE with_id = {CKA_ID, reading->key->id.data, reading->key->id.len};
    enum hsmart_code code = hs_p11_session_find(session, CKO_CERTIFICATE, &with_id, 1, &objects, &count, err);

    hs_buf_clear(&reading->found);
    reading->is_there = false;
    for (size_t i = 0; i < count && code == HSMART_OK; i++)
        code = look_at(reading, session, objects[i], err);
    hs_free(objects);
    return code;
}

static enum hsmart_code
read_all(struct reading *reading, hsmart_err *err)
{
    const struct hs_p11_operation operation = {run_reading, NULL, reading};

    if (reading->key->id.len == 0)
        return HSMART_OK;
    return hs_p11_token_request(reading->key->token, &operation, err);
}

enum hsmart_code
hs_key_certificate_read(const struct hs_token_key *key, struct hs_buf *out_der, hsmart_err *err)
{
    struct reading reading = {.key = key};
    enum hsmart_code code = read_all(&reading, err);

    if (code == HSMART_OK && reading.found.len > 0)
        hs_buf_move(&reading.found, out_der);
    hs_buf_clear(&reading.found);
    return code;
}

/* ---- Adding ---- */

static enum hsmart_code
create(const struct hs_token_key *key, const struct hs_key_certificate *certificate, hsmart_err *err)
{
    static const CK_BBOOL yes = CK_TRUE;
    CK_CERTIFICATE_TYPE type = CKC_X_509;
    const CK_ATTRIBUTE attributes[] = {
        {CKA_CERTIFICATE_TYPE, &type, sizeof type},
        {CKA_TOKEN, (void *)(uintptr_t)&yes, sizeof yes},
        {CKA_LABEL, key->raw_label.data, key->raw_label.len},
        {CKA_ID, key->id.data, key->id.len},
        {CKA_SUBJECT, (void *)(uintptr_t)certificate->subject.data, certificate->subject.len},
        {CKA_ISSUER, (void *)(uintptr_t)certificate->issuer.data, certificate->issuer.len},
        {CKA_SERIAL_NUMBER, (void *)(uintptr_t)certificate->serial.data, certificate->serial.len},
        {CKA_VALUE, (void *)(uintptr_t)certificate->der.data, certificate->der.len},
    };
    struct hs_p11_session *session = NULL;
    enum hsmart_code code = hs_p11_token_acquire(key->token, true, HS_P11_ACQUIRE_TIMEOUT_MS, &session, err);

    if (code != HSMART_OK)
        return code;
    code = hs_p11_session_create_certificate(session, attributes, HS_ARRAY_LEN(attributes), err);
    hs_p11_token_release(key->token, session);
    return code;
}

enum hsmart_code
hs_key_certificate_add(const struct hs_token_key *key, const struct hs_key_certificate *certificate, hsmart_err *err)
{
    struct reading reading = {.key = key, .wanted = certificate->der};
    enum hsmart_code code = HSMART_OK;

    if (key->id.len == 0)
        return hs_err_set(err, HSMART_KEY_UNUSABLE, "the key has no CKA_ID, by which a certificate is found");
    if (!is_of_key(key, certificate->der)) {
        (void)hs_err_set(err, HSMART_KEY_MISMATCH, "the certificate is for another key");
        hs_err_hint(err, "compare: openssl x509 -pubkey -noout -in FILE, and hsmart-key export --format pem");
        return HSMART_KEY_MISMATCH;
    }
    code = read_all(&reading, err);
    if (code == HSMART_OK && reading.is_there)
        code = hs_err_set(err, HSMART_KEY_EXISTS, "this certificate is on the token already");
    if (code == HSMART_OK)
        code = create(key, certificate, err);
    if (code == HSMART_OK)
        code = read_all(&reading, err);
    if (code == HSMART_OK && !reading.is_there)
        code = hs_err_set(err, HSMART_TOKEN_FAILED, "the token took the certificate and does not have it");
    hs_buf_clear(&reading.found);
    return code;
}
