/* What a transfer's failure is called: a code, one sentence, and a hint that fits. */
#include <openssl/x509_vfy.h>

#include "err.h"
#include "http_transfer.h"
#include "text.h"

struct reason {
    enum hsmart_code code;
    const char *text; /* NULL: as libcurl says */
    const char *hint; /* NULL: the code's own */
};

static enum hsmart_code
tell(const struct reason *reason, const char *otherwise, hsmart_err *err)
{
    enum hsmart_code code = hs_err_set(err, reason->code, "%s", reason->text != NULL ? reason->text : otherwise);

    if (reason->hint != NULL)
        hs_err_hint(err, "%s", reason->hint);
    return code;
}

/* ---- Certificates ---- */

#define CLOCK_HINT                                                                                                     \
    "check this machine's clock first; if it is right, the server's operator has to renew the certificate"
#define CA_HINT                                                                                                        \
    "for a private CA give its certificate by ca-file, the new one if it changed; with a public one the server may "   \
    "leave out an intermediate certificate"

static const struct {
    long verify_result;
    struct reason reason;
} verify_reasons[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, {HSMART_TLS_FAILED, "its certificate has expired", CLOCK_HINT}},
    {X509_V_ERR_CERT_NOT_YET_VALID, {HSMART_TLS_FAILED, "its certificate is not valid yet", CLOCK_HINT}},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, {HSMART_TLS_FAILED, "its certificate is signed by itself", CA_HINT}},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
     {HSMART_TLS_FAILED, "its certificate is signed by an authority that is not trusted here", CA_HINT}},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
     {HSMART_TLS_FAILED, "its certificate is signed by an unknown authority", CA_HINT}},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
     {HSMART_TLS_FAILED, "its certificate is signed by an unknown authority", CA_HINT}},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
     {HSMART_TLS_FAILED, "its certificate is signed by an unknown authority", CA_HINT}},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, {HSMART_TLS_FAILED, "the signature of its certificate is wrong", NULL}},
    {X509_V_ERR_CERT_REVOKED, {HSMART_TLS_FAILED, "its certificate was revoked", NULL}},
    {X509_V_ERR_INVALID_CA, {HSMART_TLS_FAILED, "a certificate above its own is not one of an authority", NULL}},
    {X509_V_ERR_INVALID_PURPOSE, {HSMART_TLS_FAILED, "its certificate is not made for a server", NULL}},
    {X509_V_ERR_EE_KEY_TOO_SMALL, {HSMART_TLS_FAILED, "the key of its certificate is too small", NULL}},
    {X509_V_ERR_CA_KEY_TOO_SMALL, {HSMART_TLS_FAILED, "the key of a certificate above its own is too small", NULL}},
    {X509_V_ERR_CA_MD_TOO_WEAK, {HSMART_TLS_FAILED, "its certificate is signed with a hash that is too weak", NULL}},
};

static enum hsmart_code
tell_certificate(const struct hs_http_transfer *transfer, const char *curl_text, hsmart_err *err)
{
    static const struct reason other_host = {HSMART_TLS_FAILED, "its certificate is for another host",
                                             "use the host name that is in the certificate"};
    static const struct reason proxy = {HSMART_TLS_FAILED, "the certificate of the proxy is not trusted", CA_HINT};
    static const struct reason unknown = {HSMART_TLS_FAILED, NULL, NULL};
    long verify_result = 0, proxy_result = 0;

    (void)transfer->curl->easy_getinfo(transfer->handle, CURLINFO_SSL_VERIFYRESULT, &verify_result);
    (void)transfer->curl->easy_getinfo(transfer->handle, CURLINFO_PROXY_SSL_VERIFYRESULT, &proxy_result);
    if (proxy_result != X509_V_OK)
        return tell(&proxy, NULL, err);
    if (verify_result == X509_V_OK || verify_result == X509_V_ERR_UNSPECIFIED) /* the chain is good: it is the name */
        return tell(&other_host, NULL, err);
    for (size_t i = 0; i < HS_ARRAY_LEN(verify_reasons); i++)
        if (verify_reasons[i].verify_result == verify_result)
            return tell(&verify_reasons[i].reason, NULL, err);
    return tell(&unknown, curl_text, err);
}

/* ---- The TLS handshake ---- */

/* OpenSSL's words, as libcurl repeats them. */
static const struct {
    const char *words;
    struct reason reason;
} tls_reasons[] = {
    {"unsupported protocol", {HSMART_TLS_FAILED, "it speaks no TLS 1.2 or newer", NULL}},
    {"protocol version", {HSMART_TLS_FAILED, "it speaks no TLS 1.2 or newer", NULL}},
    {"wrong version number", {HSMART_TLS_FAILED, "it speaks no TLS on this port", "check the port in the URL"}},
    {"packet length too long", {HSMART_TLS_FAILED, "it speaks no TLS on this port", "check the port in the URL"}},
    {"certificate required",
     {HSMART_TLS_FAILED, "it asks for a client certificate", "give client-certificate and client-key"}},
    {"alert unknown ca", {HSMART_TLS_FAILED, "it does not trust our client certificate", NULL}},
    {"alert bad certificate", {HSMART_TLS_FAILED, "it refuses our client certificate", NULL}},
    {"alert certificate", {HSMART_TLS_FAILED, "it refuses our client certificate", NULL}},
    {"handshake failure", {HSMART_TLS_FAILED, "no cipher or signature suits both sides", NULL}},
    {"no ciphers", {HSMART_TLS_FAILED, "no cipher or signature suits both sides", NULL}},
    {"key too small", {HSMART_TLS_FAILED, "its key is too small", NULL}},
    {"SSL_ERROR_SYSCALL", {HSMART_NETWORK_FAILED, "the connection broke during the TLS handshake", NULL}},
    {"unexpected eof", {HSMART_NETWORK_FAILED, "the connection broke during the TLS handshake", NULL}},
};

static const struct reason *
tls_reason_in(const char *curl_text)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(tls_reasons); i++)
        if (strstr(curl_text, tls_reasons[i].words) != NULL)
            return &tls_reasons[i].reason;
    return NULL;
}

static enum hsmart_code
tell_handshake(const char *curl_text, hsmart_err *err)
{
    const struct reason *reason = tls_reason_in(curl_text);

    if (reason != NULL)
        return tell(reason, NULL, err);
    return hs_err_set(err, HSMART_TLS_FAILED, "the TLS handshake failed (%s)", curl_text);
}

/* ---- The connection ---- */

static enum hsmart_code
tell_connect(const struct hs_http_transfer *transfer, hsmart_err *err)
{
    long error_number = 0;

    (void)transfer->curl->easy_getinfo(transfer->handle, CURLINFO_OS_ERRNO, &error_number);
    if (error_number == 0)
        (void)hs_err_set(err, HSMART_NETWORK_FAILED, "no connection");
    else
        (void)hs_err_errno(err, HSMART_NETWORK_FAILED, (int)error_number, "no connection");
    /* libcurl does not say whether it was a proxy that it could not reach. */
    if (!transfer->url.is_loopback)
        hs_err_hint(err, "check host and port of the URL, the proxy where https_proxy names one, and the firewall");
    return HSMART_NETWORK_FAILED;
}

static curl_off_t
time_us(const struct hs_http_transfer *transfer, CURLINFO what)
{
    curl_off_t at_us = 0;

    (void)transfer->curl->easy_getinfo(transfer->handle, what, &at_us);
    return at_us;
}

/* The last phase that was reached says it. */
static const char *
what_was_waited_for(const struct hs_http_transfer *transfer)
{
    long local_port = 0;

    if (time_us(transfer, CURLINFO_STARTTRANSFER_TIME_T) != 0)
        return "its answer was not complete";
    if (time_us(transfer, CURLINFO_PRETRANSFER_TIME_T) != 0)
        return "it did not answer";
    (void)transfer->curl->easy_getinfo(transfer->handle, CURLINFO_LOCAL_PORT, &local_port);
    if (local_port != 0)
        return "the TLS handshake was not complete";
    if (time_us(transfer, CURLINFO_NAMELOOKUP_TIME_T) != 0)
        return "there was no connection";
    return "its name was not resolved";
}

static enum hsmart_code
tell_timeout(const struct hs_http_transfer *transfer, hsmart_err *err)
{
    return hs_err_set(err, HSMART_NETWORK_FAILED, "%s after %.1f s", what_was_waited_for(transfer),
                      (double)time_us(transfer, CURLINFO_TOTAL_TIME_T) / 1e6);
}

/* A header line above libcurl's own limit is "out of memory" to it. */
static enum hsmart_code
tell_no_memory(const struct hs_http_transfer *transfer, hsmart_err *err)
{
    if (time_us(transfer, CURLINFO_STARTTRANSFER_TIME_T) != 0 && !transfer->has_final_headers)
        return hs_err_set(err, HSMART_SERVER_FAILED, "the headers of its answer are too long");
    return hs_err_no_memory(err);
}

/* Sending or receiving failed. */
static enum hsmart_code
tell_broken(const struct hs_http_transfer *transfer, const char *curl_text, hsmart_err *err)
{
    static const struct reason cut_off = {HSMART_SERVER_FAILED, "its answer is cut off or malformed", NULL};
    static const struct reason broken = {HSMART_NETWORK_FAILED, "the connection broke before an answer came", NULL};
    const struct reason *reason = tls_reason_in(curl_text);

    if (transfer->response.headers.len > 0)
        return tell(&cut_off, NULL, err);
    if (reason != NULL && reason->code == HSMART_TLS_FAILED) /* TLS 1.3 tells about client certificates late */
        return tell(reason, NULL, err);
    return tell(&broken, NULL, err);
}

/* ---- All of it ---- */

static const struct {
    CURLcode result;
    struct reason reason;
} plain_reasons[] = {
    {CURLE_COULDNT_RESOLVE_HOST,
     {HSMART_NETWORK_FAILED, "its name cannot be resolved", "check the host in the URL, and this machine's DNS"}},
    {CURLE_COULDNT_RESOLVE_PROXY,
     {HSMART_NETWORK_FAILED, "the proxy's name cannot be resolved", "check https_proxy and no_proxy"}},
    {CURLE_PROXY, {HSMART_NETWORK_FAILED, "the proxy does not let us through", "check https_proxy and no_proxy"}},
    {CURLE_UNSUPPORTED_PROTOCOL, {HSMART_SERVER_FAILED, "its answer is not HTTP", NULL}},
    {CURLE_WEIRD_SERVER_REPLY, {HSMART_SERVER_FAILED, "its answer is not HTTP", NULL}},
    {CURLE_HTTP2, {HSMART_SERVER_FAILED, "its answer is not HTTP", NULL}},
    {CURLE_GOT_NOTHING, {HSMART_SERVER_FAILED, "it closed the connection without an answer", NULL}},
    {CURLE_PARTIAL_FILE, {HSMART_SERVER_FAILED, "its answer is cut off", NULL}},
    {CURLE_SSL_CIPHER, {HSMART_TLS_FAILED, "no cipher or signature suits both sides", NULL}},
    {CURLE_SSL_CERTPROBLEM,
     {HSMART_FILE_UNREADABLE, "the client certificate or its key cannot be used",
      "both must be PEM, belong together, and need no passphrase"}},
    {CURLE_SSL_CACERT_BADFILE,
     {HSMART_FILE_UNREADABLE, "the CA certificates cannot be read", "ca-file must hold certificates in PEM"}},
};

static enum hsmart_code
tell_stop(const struct hs_http_transfer *transfer, hsmart_err *err)
{
    switch (transfer->stop) {
    case HS_HTTP_HEADERS_TOO_LONG:
        return hs_err_set(err, HSMART_SERVER_FAILED, "the headers of its answer are too long");
    case HS_HTTP_NO_MEMORY:
        return hs_err_no_memory(err);
    case HS_HTTP_WOULD_REPEAT:
        return hs_err_set(err, HSMART_NETWORK_FAILED, "the kept connection was closed before an answer came");
    case HS_HTTP_NOT_LOOPBACK:
        return hs_err_set(err, HSMART_NETWORK_FAILED, "the name of this machine leads to another one");
    default:
        return hs_err_set(err, HSMART_SERVER_FAILED, "its answer is longer than the %zu bytes allowed",
                          transfer->max_body_len);
    }
}

static enum hsmart_code
tell_reason(const struct hs_http_transfer *transfer, CURLcode result, hsmart_err *err)
{
    char curl_text[CURL_ERROR_SIZE];
    long proxy_status = 0;

    memcpy(curl_text, transfer->curl_text, sizeof curl_text);
    if (curl_text[0] == 0)
        (void)strncpy(curl_text, transfer->curl->easy_strerror(result), sizeof curl_text - 1);
    hs_text_sanitize(curl_text);

    if (transfer->stop != HS_HTTP_GOES_ON || result == CURLE_FILESIZE_EXCEEDED)
        return tell_stop(transfer, err);
    (void)transfer->curl->easy_getinfo(transfer->handle, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if (proxy_status >= 300)
        return hs_err_set(err, HSMART_NETWORK_FAILED, "the proxy refuses the connection (status %ld)", proxy_status);
    for (size_t i = 0; i < HS_ARRAY_LEN(plain_reasons); i++)
        if (plain_reasons[i].result == result)
            return tell(&plain_reasons[i].reason, NULL, err);
    switch (result) {
    case CURLE_OUT_OF_MEMORY:
        return tell_no_memory(transfer, err);
    case CURLE_COULDNT_CONNECT:
        return tell_connect(transfer, err);
    case CURLE_OPERATION_TIMEDOUT:
        return tell_timeout(transfer, err);
    case CURLE_PEER_FAILED_VERIFICATION:
        return tell_certificate(transfer, curl_text, err);
    case CURLE_SSL_CONNECT_ERROR:
        return tell_handshake(curl_text, err);
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return tell_broken(transfer, curl_text, err);
    default:
        return hs_err_set(err, HSMART_NETWORK_FAILED, "%s", transfer->curl->easy_strerror(result));
    }
}

/* The step, by what kind of failure it was. */
static const char *
step_of(enum hsmart_code code)
{
    switch (code) {
    case HSMART_TLS_FAILED:
        return "cannot connect safely to";
    case HSMART_SERVER_FAILED:
        return "no usable answer from";
    default:
        return "cannot reach";
    }
}

enum hsmart_code
hs_http_transfer_failure(const struct hs_http_transfer *transfer, CURLcode result, hsmart_err *err)
{
    enum hsmart_code code = tell_reason(transfer, result, err);

    return hs_err_wrap(err, code, "%s %s", step_of(code), hs_buf_text(&transfer->url.origin));
}
