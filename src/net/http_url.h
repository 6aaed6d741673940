/* A URL that was checked: absolute, http or https, without anything that the parsers of this world read differently. */
#ifndef HS_HTTP_URL_H
#define HS_HTTP_URL_H

#include "bytes.h"

#define HS_HTTP_URL_MAX (64U << 10)

/* Zero is valid and empty. */
struct hs_http_url {
    struct hs_buf origin; /* "https://host" or "https://host:8443", host in lower case */
    bool is_https;
    bool is_loopback; /* the host is 127.0.0.0/8, ::1 or localhost */
};
/* HSMART_INVALID_ARGUMENT, in words without path or query, when it is not one. Loads libcurl. */
HSMART_MUST_CHECK enum hsmart_code hs_http_url_parse(const char *text, struct hs_http_url *out_url, hsmart_err *err);
void hs_http_url_clear(struct hs_http_url *url);

#endif
