/* One request on one libcurl handle: how it is set up, what is collected, and what its failures are called. */
#ifndef HS_HTTP_TRANSFER_H
#define HS_HTTP_TRANSFER_H

#include "http.h"
#include "http_curl.h"
#include "http_trust.h"
#include "http_url.h"

/* What holds for every request of a client. */
struct hs_http_settings {
    struct hs_http_trust trust;
    char *client_certificate, *client_key;
    bool allow_http_to_loopback;
    unsigned connect_timeout_ms;
};

/* Why one of our callbacks ended a transfer. */
enum hs_http_stop {
    HS_HTTP_GOES_ON,
    HS_HTTP_BODY_TOO_LONG,
    HS_HTTP_HEADERS_TOO_LONG,
    HS_HTTP_NO_MEMORY,
    HS_HTTP_WOULD_REPEAT, /* libcurl was about to send the request once more */
    HS_HTTP_NOT_LOOPBACK,
};

struct hs_http_transfer {
    const struct hs_curl *curl;
    const struct hs_http_settings *settings;
    const struct hs_http_request *request;
    CURL *handle;
    bool wants_new_connection; /* the one that the handle keeps was closed by the server */
    struct hs_http_url url;
    struct curl_slist *headers;
    size_t max_body_len;
    size_t headers_seen_len; /* of all blocks */
    bool in_headers;         /* within a block */
    bool has_final_headers;  /* a block with a status of 200 or more is complete */
    bool is_done;            /* the whole answer came */
    unsigned attempts;
    enum hs_http_stop stop;
    struct hs_http_response response;
    char curl_text[CURL_ERROR_SIZE]; /* libcurl's own words */
};

/* Whether `request` may be sent at all, and where to; sets `transfer->url` unless it is known already. Before anything
 * is sent. */
HSMART_MUST_CHECK enum hsmart_code hs_http_transfer_check(struct hs_http_transfer *transfer, hsmart_err *err);
/* Sets every option of the handle, which is fresh or reset. */
HSMART_MUST_CHECK enum hsmart_code hs_http_transfer_prepare(struct hs_http_transfer *transfer, hsmart_err *err);
/* Sends, and collects `transfer->response`. */
HSMART_MUST_CHECK enum hsmart_code hs_http_transfer_run(struct hs_http_transfer *transfer, hsmart_err *err);
/* Wipes and frees everything but the handle. */
void hs_http_transfer_clear(struct hs_http_transfer *transfer);

/* The story of a transfer that libcurl ended with `result`. */
enum hsmart_code hs_http_transfer_failure(const struct hs_http_transfer *transfer, CURLcode result, hsmart_err *err);

#endif
