/* A CA of the sandbox's own, and the certificate that it presents. */
#ifndef SANDBOX_TLS_IDENTITY_H
#define SANDBOX_TLS_IDENTITY_H

#include "bytes.h"

/* Zero is valid and empty. The private key is in memory only. */
struct tls_identity {
    struct hs_buf certificate_pem, key_pem;
    char *ca_path; /* what clients have to trust */
};
/* `directory` exists and is private. A CA that is in it from an earlier run is used again; else one is made, and its
 * key kept there if `keep_key`. `host` is the name or address in the certificate, beside those of loopback. `fault` is
 * one of the faults tls.…, without its front; NULL: none. */
enum hsmart_code tls_identity_make(const char *directory, bool keep_key, const char *host, const char *fault,
                                   struct tls_identity *out_identity, hsmart_err *err);
void tls_identity_clear(struct tls_identity *identity);

#endif
