/* X.509 for servers that want a certificate: requests (RFC 2986), self-signed certificates (RFC 5280), and the issued
 * certificate beside its key on the token. */
#ifndef HSMART_CERTIFICATE_H
#define HSMART_CERTIFICATE_H

#include <hsmart/signer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What to make. Zero is the default of every field but `subject`. */
typedef struct hsmart_certificate_options {
    bool self_signed;         /* a certificate; false: a request for one */
    const char *subject;      /* RFC 4514: "CN=app.example,O=Clinic,C=DE" */
    const char *const *names; /* subject alternative names: "URI:…", "DNS:…", "email:…", "IP:…" */
    size_t name_count;
    int64_t not_before_s; /* certificates: seconds since the epoch; 0: now */
    unsigned days;        /* certificates: 1 to 3650; 0: 365 */
    unsigned timeout_ms;  /* for all of it; 0: 60000 */
} hsmart_certificate_options;

/* `hsmart_certificate_make` has OpenSSL sign a certificate, or a request for one, with the key on the token that
 * `key_uri` names, through libp11, and sets `*out_pem` to it, verified. It carries what a client's key needs:
 * basicConstraints CA:FALSE and keyUsage digitalSignature (critical), extendedKeyUsage clientAuth, the names; a
 * certificate also the key identifiers and a random serial number. `signer` says by which algorithm and which key may
 * be used, as in `hsmart_signer_new`; it may be NULL.
 *
 * libp11 works in a child process that is alone on the slot, so no `hsmart_token` of this module may be open, and the
 * program must have no other threads; modules that start threads of their own (the TPM's) must not have been loaded
 * before at all. The PIN comes from its source once and passes the PIN guard twice: for our own login
 * and for libp11's. Errors: those of `hsmart_token_open`, `hsmart_key_find` and `hsmart_signer_new`, and
 *   HSMART_INVALID_ARGUMENT  the subject, a name, the days, a PS algorithm (libp11 does not sign by it);
 *   HSMART_FILE_UNREADABLE   libp11 is not installed;
 *   HSMART_TOKEN_FAILED, HSMART_TOKEN_UNAVAILABLE   libp11 or the module failed, crashed, or did not come back;
 *   HSMART_SIGNATURE_WRONG   what came back does not verify. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code
hsmart_certificate_make(const hsmart_token_options *token, const char *key_uri, const hsmart_signer_options *signer,
                        const hsmart_certificate_options *options, char **out_pem, hsmart_err *err);

/* What an issued certificate says of itself. */
typedef struct hsmart_certificate_info {
    int64_t not_before_s, not_after_s; /* seconds since the epoch: the first second, and the last */
    bool may_sign;                     /* keyUsage has digitalSignature, or is not there */
    bool is_for_clients;               /* extendedKeyUsage has clientAuth or any, or is not there */
    bool is_ca;                        /* it is for issuing certificates, which a client's key does not do */
} hsmart_certificate_info;

/* `hsmart_certificate_read` reads a certificate (PEM or DER, `len` bytes); HSMART_INPUT_MALFORMED when it is none.
 * Whose key it is for, and who issued it, is not looked at. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code
hsmart_certificate_read(const void *certificate, size_t len, hsmart_certificate_info *out_info, hsmart_err *err);

/* `hsmart_certificate_import` puts an issued certificate (PEM or DER, `len` bytes) beside its key on the token, with
 * the key's label and id. HSMART_KEY_MISMATCH when it is for another key, HSMART_KEY_EXISTS when it is there already,
 * HSMART_INPUT_MALFORMED when it is no certificate; otherwise the token's answer. Dates
 * and uses are the caller's to judge, by `hsmart_certificate_read`. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_certificate_import(const hsmart_key *key, const void *certificate,
                                                                        size_t len, hsmart_err *err);

#ifdef __cplusplus
}
#endif
#endif
