/* Whom a client trusts: the system's CA certificates, and those it was given beside them. */
#ifndef HS_HTTP_TRUST_H
#define HS_HTTP_TRUST_H

#include "bytes.h"

/* Zero trusts what libcurl was built to trust. Strings and bytes are owned. */
struct hs_http_trust {
    char *directory;      /* hashed (openssl rehash); NULL: none */
    char *file;           /* PEM; NULL: none */
    struct hs_buf bundle; /* PEM of several files together, instead of `file` */
    bool is_set;          /* libcurl's own defaults are not to be used */
};

/* Looks where the certificates are: once per client, without reading any of them unless two files have to be one.
 *
 *   directory: `ca_directory`; else $SSL_CERT_DIR; else /etc/ssl/certs where it is hashed.
 *   file:      `ca_file`; and, unless `ca_directory` says who is trusted instead, $SSL_CERT_FILE, else where there
 *              is no directory the system's bundle.
 *
 * OpenSSL looks a CA up in a hashed directory by name, one file of it, where it would parse every certificate of a
 * bundle (0.3 ms instead of 30). The two variables are OpenSSL's; curl's command honours them too.
 * HSMART_FILE_UNREADABLE when a file or directory that was asked for cannot be read, or a directory is not hashed. */
HSMART_MUST_CHECK enum hsmart_code hs_http_trust_find(const char *ca_file, const char *ca_directory,
                                                      struct hs_http_trust *out_trust, hsmart_err *err);
void hs_http_trust_clear(struct hs_http_trust *trust);

#endif
