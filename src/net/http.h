/* One HTTP exchange at a time, by libcurl: TLS 1.2 or newer, verified always, no redirect ever followed, nothing of a
 * secret in an error. libcurl is loaded when the first request is made, so that a command that makes none pays
 * nothing. */
#ifndef HS_HTTP_H
#define HS_HTTP_H

#include "bytes.h"
#include "log.h"

/* How requests are made. Zero is the default of every field; strings are copied. */
struct hs_http_options {
    const char *ca_file;      /* further CA certificates, PEM, beside the system's */
    const char *ca_directory; /* hashed directory instead of the system's; NULL: the system's hashed directory */
    const char *client_certificate, *client_key; /* mutual TLS, PEM files */
    bool allow_http_to_loopback;                 /* http:// to 127.0.0.0/8, ::1 or localhost; never to anything else */
    unsigned connect_timeout_ms;                 /* 0: 10 s */
    struct hs_log log;
};

/* A client: keeps connections open between exchanges. May be shared between threads; each exchange has a connection of
 * its own. */
struct hs_http;
HSMART_MUST_CHECK enum hsmart_code hs_http_new(const struct hs_http_options *options, struct hs_http **out_http,
                                               hsmart_err *err);
void hs_http_free(struct hs_http *http);

struct hs_http_header {
    const char *name, *value;
};
#define HS_HTTP_HEADERS_MAX 16U
struct hs_http_request {
    const char *method; /* "GET", "POST" */
    const char *url;
    struct hs_http_header headers[HS_HTTP_HEADERS_MAX]; /* ends with a NULL name; a CR or LF in a value is refused */
    struct hs_span body;
    size_t max_response_len; /* 0: 1 MiB */
    unsigned timeout_ms;     /* for the whole exchange; 0: 30 s */
};

/* Zero is valid and empty. Secrets in it are wiped by `hs_http_response_clear`. */
struct hs_http_response {
    int status;
    struct hs_buf body;
    struct hs_buf headers; /* as received, of the final response */
    int64_t sent_at_s;     /* our clock when the request was sent */
    int64_t received_at_s;
};

/* HSMART_OK for any HTTP answer, whatever its status. HSMART_INVALID_ARGUMENT for a URL that is not https (or allowed
 * http), has user information or a fragment; HSMART_TLS_FAILED when the server is not who it should be or speaks no
 * TLS 1.2; HSMART_NETWORK_FAILED when it cannot be reached, or not in time; HSMART_SERVER_FAILED when the answer is not
 * HTTP, is cut off, or is longer than allowed. Texts name scheme, host and port, never path, query, header or body. */
HSMART_MUST_CHECK enum hsmart_code hs_http_exchange(struct hs_http *http, const struct hs_http_request *request,
                                                    struct hs_http_response *out_response, hsmart_err *err);
void hs_http_response_clear(struct hs_http_response *response);
/* The value of a header, trimmed, borrowed; the empty span when it is absent. Names in any case. */
struct hs_span hs_http_header_of(const struct hs_http_response *response, const char *name);

/* ---- What headers say ---- */

/* Seconds for which Cache-Control and Expires allow this answer to be kept: 0 for no-store or no-cache, -1 when they do
 * not say. */
int64_t hs_http_cache_life_s(const struct hs_http_response *response);
/* Retry-After in either form (RFC 9110 section 10.2.3) as seconds from now; -1 when absent or garbage. May be absurd:
 * the caller caps it. */
int64_t hs_http_retry_after_s(const struct hs_http_response *response);
/* The server's clock minus ours, from Date; false when it does not tell. */
bool hs_http_clock_skew_s(const struct hs_http_response *response, int64_t *out_skew_s);
/* An HTTP-date in any of its three forms (RFC 9110 section 5.6.7), seconds since the epoch. */
bool hs_http_parse_date(struct hs_span text, int64_t *out_time_s);

/* ---- URLs, by libcurl's parser ---- */

/* Whether two absolute URLs have the same scheme, host and port. */
bool hs_http_same_origin(const char *a, const char *b);
/* The same where a refusal hangs on it: HSMART_NO_MEMORY when it cannot be told, HSMART_POLICY_REFUSED when not. */
HSMART_MUST_CHECK enum hsmart_code hs_http_check_same_origin(const char *a, const char *b, hsmart_err *err);
/* "https://host" or "https://host:8443": what may be told and compared. */
HSMART_MUST_CHECK enum hsmart_code hs_http_origin(const char *url, struct hs_buf *out_origin, hsmart_err *err);
/* Resolves `reference` against `base` (RFC 3986 section 5). One that is absolute comes back byte for byte: an
 * assertion's audience is compared so. HSMART_INVALID_ARGUMENT when what comes out is neither https nor http. */
HSMART_MUST_CHECK enum hsmart_code hs_http_resolve(const char *base, const char *reference, struct hs_buf *out_url,
                                                   hsmart_err *err);

#endif
