#include "tls_identity.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "err.h"
#include "file.h"

#define DAY_S 86400L
#define CA_DAYS 3650
#define SERVER_DAYS 397
#define PEM_MAX_LEN (64U << 10)

static enum hsmart_code
openssl_failed(hsmart_err *err)
{
    return hs_err_set(err, HSMART_INTERNAL, "OpenSSL made no certificate");
}

/* ---- Certificates ---- */

/* What a certificate says. */
struct plan {
    const char *subject;
    long from_s, until_s;               /* from now */
    const char *const (*extensions)[2]; /* name and value; {NULL, NULL} at the end */
};

static bool
add_extension(X509 *certificate, X509 *issuer, const char *name, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf(NULL, &context, name, value);
    bool good = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

static bool
set_serial(X509 *certificate)
{
    uint8_t bytes[16];
    BIGNUM *number = NULL;
    bool good = RAND_bytes(bytes, sizeof bytes) == 1;

    bytes[0] = (uint8_t)(bytes[0] & 0x7f) | 1; /* positive, and all of it used */
    number = BN_bin2bn(bytes, sizeof bytes, NULL);
    good = good && number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return good;
}

static bool
fill(X509 *certificate, const struct plan *plan, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
    X509_NAME *name = X509_get_subject_name(certificate);
    bool good =
        X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)plan->subject, -1, -1, 0) == 1 &&
        X509_set_issuer_name(certificate, issuer != NULL ? X509_get_subject_name(issuer) : name) == 1 &&
        X509_gmtime_adj(X509_getm_notBefore(certificate), plan->from_s) != NULL &&
        X509_gmtime_adj(X509_getm_notAfter(certificate), plan->until_s) != NULL &&
        X509_set_pubkey(certificate, key) == 1;

    for (const char *const(*row)[2] = plan->extensions; good && (*row)[0] != NULL; row++)
        good = add_extension(certificate, issuer != NULL ? issuer : certificate, (*row)[0], (*row)[1]);
    return good && X509_sign(certificate, issuer_key, EVP_sha256()) > 0;
}

/* `issuer` NULL: it signs itself. */
static enum hsmart_code
make_certificate(const struct plan *plan, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, X509 **out_certificate,
                 hsmart_err *err)
{
    X509 *certificate = X509_new();

    if (certificate == NULL || !fill(certificate, plan, key, issuer, issuer_key)) {
        X509_free(certificate);
        return openssl_failed(err);
    }
    *out_certificate = certificate;
    return HSMART_OK;
}

/* ---- PEM ---- */

/* What `write` puts into a BIO, appended to `out`. */
static enum hsmart_code
append_pem(struct hs_buf *out, X509 *certificate, EVP_PKEY *key, hsmart_err *err)
{
    BIO *bio = BIO_new(BIO_s_secmem() != NULL && key != NULL ? BIO_s_secmem() : BIO_s_mem());
    char *text = NULL;
    long len = 0;
    enum hsmart_code code = HSMART_OK;

    if (bio == NULL || (certificate != NULL && PEM_write_bio_X509(bio, certificate) != 1) ||
        (key != NULL && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) ||
        (len = BIO_get_mem_data(bio, &text)) <= 0)
        code = openssl_failed(err);
    if (code == HSMART_OK)
        code = hs_buf_append(out, (struct hs_span){(const uint8_t *)text, (size_t)len}, err);
    (void)BIO_free(bio);
    return code;
}

static enum hsmart_code
save_pem(const char *path, unsigned mode, X509 *certificate, EVP_PKEY *key, hsmart_err *err)
{
    struct hs_buf pem = {0};
    enum hsmart_code code = append_pem(&pem, certificate, key, err);

    if (code == HSMART_OK)
        code = hs_file_write_atomic(path, hs_span_buf(&pem), mode, err);
    hs_buf_clear(&pem);
    return code;
}

/* ---- The CA ---- */

struct authority {
    X509 *certificate;
    EVP_PKEY *key;
};

static void
authority_clear(struct authority *authority)
{
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
    *authority = (struct authority){0};
}

/* Good for the sandbox's names only: a machine that goes on trusting it is no worse off. */
static enum hsmart_code
make_authority(const char *host, struct authority *out_authority, hsmart_err *err)
{
    char names[512], address[16];
    bool is_address = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;

    (void)snprintf(names, sizeof names,
                   "critical,permitted;DNS:localhost,permitted;IP:127.0.0.0/255.0.0.0,"
                   "permitted;IP:::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff,permitted;%s:%s%s",
                   is_address ? "IP" : "DNS", host,
                   !is_address                 ? ""
                   : strchr(host, ':') != NULL ? "/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
                                               : "/255.255.255.255");
    const char *const extensions[][2] = {{"basicConstraints", "critical,CA:TRUE,pathlen:0"},
                                         {"keyUsage", "critical,keyCertSign,cRLSign"},
                                         {"subjectKeyIdentifier", "hash"},
                                         {"nameConstraints", names},
                                         {NULL, NULL}};
    const struct plan plan = {"hsmart-sandbox CA", -DAY_S, CA_DAYS * DAY_S, extensions};

    out_authority->key = EVP_EC_gen("P-256");
    return out_authority->key != NULL
               ? make_certificate(&plan, out_authority->key, NULL, out_authority->key, &out_authority->certificate, err)
               : openssl_failed(err);
}

/* False: there is none that can be used. */
static bool
load_authority(const char *certificate_path, const char *key_path, struct authority *out_authority)
{
    struct hs_buf certificate = {0}, key = {0};
    BIO *certificate_bio = NULL, *key_bio = NULL;
    bool good = false;

    if (access(certificate_path, R_OK) != 0 || access(key_path, R_OK) != 0 ||
        hs_file_read(certificate_path, PEM_MAX_LEN, &certificate, NULL) != HSMART_OK ||
        hs_file_read_secret(key_path, PEM_MAX_LEN, &key, NULL) != HSMART_OK)
        goto out;
    certificate_bio = BIO_new_mem_buf(certificate.data, (int)certificate.len);
    key_bio = BIO_new_mem_buf(key.data, (int)key.len);
    if (certificate_bio == NULL || key_bio == NULL)
        goto out;
    out_authority->certificate = PEM_read_bio_X509(certificate_bio, NULL, NULL, NULL);
    out_authority->key = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);
    good = out_authority->certificate != NULL && out_authority->key != NULL &&
           X509_check_private_key(out_authority->certificate, out_authority->key) == 1 &&
           X509_cmp_time(X509_get0_notAfter(out_authority->certificate), &(time_t){time(NULL) + 30 * DAY_S}) > 0;
out:
    if (!good)
        authority_clear(out_authority);
    (void)BIO_free(key_bio);
    (void)BIO_free(certificate_bio);
    hs_buf_clear(&key);
    hs_buf_clear(&certificate);
    return good;
}

static enum hsmart_code
find_authority(const char *directory, bool keep_key, const char *host, struct authority *out_authority, char **out_path,
               hsmart_err *err)
{
    struct hs_buf certificate_path = {0}, key_path = {0};
    enum hsmart_code code = hs_buf_append_format(&certificate_path, err, "%s/ca.pem", directory);

    if (code == HSMART_OK)
        code = hs_buf_append_format(&key_path, err, "%s/ca.key", directory);
    if (code != HSMART_OK || load_authority(hs_buf_text(&certificate_path), hs_buf_text(&key_path), out_authority))
        goto out;
    code = make_authority(host, out_authority, err);
    if (code == HSMART_OK && keep_key)
        code = save_pem(hs_buf_text(&key_path), 0600, NULL, out_authority->key, err);
    if (code == HSMART_OK)
        code = save_pem(hs_buf_text(&certificate_path), 0644, out_authority->certificate, NULL, err);
out:
    if (code == HSMART_OK)
        code = hs_buf_take_text(&certificate_path, out_path, err);
    hs_buf_clear(&key_path);
    hs_buf_clear(&certificate_path);
    return code;
}

/* ---- The certificate of the server ---- */

static const struct flaw {
    const char *fault;
    long from_s, until_s;
    const char *names; /* NULL: the right ones */
    bool by_itself, by_stranger;
} flaws[] = {
    {"expired", -30 * DAY_S, -DAY_S, NULL, false, false},
    {"not-yet", DAY_S, 30 * DAY_S, NULL, false, false},
    {"wrong-host", -DAY_S, SERVER_DAYS *DAY_S, "DNS:other.localhost", false, false},
    {"self-signed", -DAY_S, SERVER_DAYS *DAY_S, NULL, true, false},
    {"untrusted", -DAY_S, SERVER_DAYS *DAY_S, NULL, false, true},
};
static const struct flaw no_flaw = {"", -DAY_S, SERVER_DAYS *DAY_S, NULL, false, false};

static const struct flaw *
flaw_of(const char *fault)
{
    for (size_t i = 0; fault != NULL && i < HS_ARRAY_LEN(flaws); i++)
        if (strcmp(flaws[i].fault, fault) == 0)
            return &flaws[i];
    return &no_flaw;
}

/* A CA that was kept may have been made for another host: clients would refuse what it signs. */
static enum hsmart_code
check_constraints(const char *host, X509 *certificate, const X509 *issuer, hsmart_err *err)
{
    NAME_CONSTRAINTS *constraints = X509_get_ext_d2i(issuer, NID_name_constraints, NULL, NULL);
    enum hsmart_code code = HSMART_OK;

    (void)X509_check_purpose(certificate, -1, 0); /* makes OpenSSL read the extensions that the next line looks at */
    if (constraints != NULL && NAME_CONSTRAINTS_check(certificate, constraints) != X509_V_OK) {
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "the CA that is kept in the directory is not for \"%s\"", host);
        hs_err_hint(err, "give another --directory, or remove ca.pem and ca.key from it");
    }
    NAME_CONSTRAINTS_free(constraints);
    return code;
}

static enum hsmart_code
make_server(const char *host, const struct flaw *flaw, const struct authority *authority, struct tls_identity *identity,
            hsmart_err *err)
{
    char names[512], address[16];
    bool is_address = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    X509 *certificate = NULL;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    enum hsmart_code code = key != NULL ? HSMART_OK : openssl_failed(err);

    (void)snprintf(names, sizeof names, "DNS:localhost,IP:127.0.0.1,IP:::1,%s:%s", is_address ? "IP" : "DNS", host);
    const char *const extensions[][2] = {{"basicConstraints", "critical,CA:FALSE"},
                                         {"keyUsage", "critical,digitalSignature"},
                                         {"extendedKeyUsage", "serverAuth"},
                                         {"subjectKeyIdentifier", "hash"},
                                         {"authorityKeyIdentifier", "keyid:always"},
                                         {"subjectAltName", flaw->names != NULL ? flaw->names : names},
                                         {NULL, NULL}};
    const struct plan plan = {"hsmart-sandbox", flaw->from_s, flaw->until_s, extensions};
    if (code == HSMART_OK)
        code = flaw->by_itself
                   ? make_certificate(&plan, key, NULL, key, &certificate, err)
                   : make_certificate(&plan, key, authority->certificate, authority->key, &certificate, err);
    if (code == HSMART_OK && flaw == &no_flaw)
        code = check_constraints(host, certificate, authority->certificate, err);
    if (code == HSMART_OK)
        code = append_pem(&identity->certificate_pem, certificate, NULL, err);
    if (code == HSMART_OK)
        code = append_pem(&identity->key_pem, NULL, key, err);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return code;
}

enum hsmart_code
tls_identity_make(const char *directory, bool keep_key, const char *host, const char *fault,
                  struct tls_identity *out_identity, hsmart_err *err)
{
    const struct flaw *flaw = flaw_of(fault);
    struct authority authority = {0}, stranger = {0};
    enum hsmart_code code = find_authority(directory, keep_key, host, &authority, &out_identity->ca_path, err);

    if (code == HSMART_OK && flaw->by_stranger)
        code = make_authority(host, &stranger, err);
    if (code == HSMART_OK)
        code = make_server(host, flaw, flaw->by_stranger ? &stranger : &authority, out_identity, err);
    authority_clear(&stranger);
    authority_clear(&authority);
    return code;
}

void
tls_identity_clear(struct tls_identity *identity)
{
    hs_buf_clear(&identity->key_pem);
    hs_buf_clear(&identity->certificate_pem);
    hs_string_free(identity->ca_path);
    *identity = (struct tls_identity){0};
}
