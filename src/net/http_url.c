#include "http_url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>

#include "err.h"
#include "http.h"
#include "http_curl.h"

/* ---- What libcurl says of a URL ---- */

static bool
is_absolute(const char *text)
{
    return strncasecmp(text, "https://", 8) == 0 || strncasecmp(text, "http://", 7) == 0;
}

/* Refuses what RFC 3986 has no place for and parsers disagree about: "https:/host", "https://a\@b", spaces. Characters
 * like '|' stay: FHIR servers write them unescaped into queries. */
static enum hsmart_code
check_spelling(const char *text, hsmart_err *err)
{
    const char *host = strstr(text, "//");

    if (!is_absolute(text))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the URL does not begin with https://");
    if (strlen(text) > HS_HTTP_URL_MAX)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the URL is longer than %u bytes", HS_HTTP_URL_MAX);
    for (size_t i = 0; text[i] != 0; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c <= ' ' || c >= 0x7f || strchr("\\\"<>", c) != NULL)
            return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the URL has 0x%02x at byte %zu, which must be escaped", c,
                              i);
    }
    if (host[2] == '/' || host[2] == 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the URL has no host");
    /* libcurl decodes them, others do not: a host that is written so is two hosts. */
    if (memchr(host + 2, '%', strcspn(host + 2, "/?#")) != NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the URL has a percent escape in its host");
    return HSMART_OK;
}

static enum hsmart_code
refused_by_curl(CURLUcode result, hsmart_err *err)
{
    static const struct {
        CURLUcode result;
        const char *reason;
    } reasons[] = {
        {CURLUE_USER_NOT_ALLOWED, "the URL has user information before its host"},
        {CURLUE_BAD_PORT_NUMBER, "the URL has a port that is no port"},
        {CURLUE_BAD_HOSTNAME, "the URL has a host that is no host"},
        {CURLUE_BAD_IPV6, "the URL has a host that is no IPv6 address"},
        {CURLUE_NO_HOST, "the URL has no host"},
    };

    if (result == CURLUE_OUT_OF_MEMORY)
        return hs_err_no_memory(err);
    for (size_t i = 0; i < HS_ARRAY_LEN(reasons); i++)
        if (reasons[i].result == result)
            return hs_err_set(err, HSMART_INVALID_ARGUMENT, "%s", reasons[i].reason);
    return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the URL is malformed");
}

/* Sets `*out_handle` to the parsed URL, which the caller cleans up. */
static enum hsmart_code
parse(const struct hs_curl *curl, const char *text, CURLU **out_handle, hsmart_err *err)
{
    enum hsmart_code code = check_spelling(text, err);

    if (code != HSMART_OK)
        return code;
    CURLU *handle = curl->url();
    if (handle == NULL)
        return hs_err_no_memory(err);
    CURLUcode result = curl->url_set(handle, CURLUPART_URL, text, CURLU_DISALLOW_USER);
    if (result != CURLUE_OK) {
        curl->url_cleanup(handle);
        return refused_by_curl(result, err);
    }
    *out_handle = handle;
    return HSMART_OK;
}

/* ---- Origins ---- */

static bool
is_loopback(const char *host)
{
    char address[INET6_ADDRSTRLEN + 2] = {0};
    struct in_addr v4;
    struct in6_addr v6;
    size_t len = strlen(host);

    if (strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    if (len < 3 || len >= sizeof address || host[0] != '[')
        return false;
    memcpy(address, host + 1, len - 2); /* without the brackets */
    return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static void
to_lower(char *text)
{
    for (; *text != 0; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

static enum hsmart_code
describe(const struct hs_curl *curl, const CURLU *handle, struct hs_http_url *url, hsmart_err *err)
{
    char *scheme = NULL, *host = NULL, *port = NULL;
    enum hsmart_code code;

    CURLUcode result = curl->url_get(handle, CURLUPART_SCHEME, &scheme, 0);
    if (result == CURLUE_OK)
        result = curl->url_get(handle, CURLUPART_HOST, &host, 0);
    if (result == CURLUE_OK)
        result = curl->url_get(handle, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT);
    if (result != CURLUE_OK && result != CURLUE_NO_PORT) {
        code = refused_by_curl(result, err);
        goto out;
    }
    to_lower(host);
    url->is_https = strcmp(scheme, "https") == 0;
    url->is_loopback = is_loopback(host);
    code = hs_buf_append_format(&url->origin, err, "%s://%s%s%s", scheme, host, port != NULL ? ":" : "",
                                port != NULL ? port : "");
out:
    curl->free(scheme);
    curl->free(host);
    curl->free(port);
    return code;
}

enum hsmart_code
hs_http_url_parse(const char *text, struct hs_http_url *out_url, hsmart_err *err)
{
    enum hsmart_code code;
    const struct hs_curl *curl = NULL;
    CURLU *handle = NULL;
    struct hs_http_url url = {0};

    code = hs_curl_get(&curl, err);
    if (code != HSMART_OK)
        return code;
    code = parse(curl, text, &handle, err);
    if (code != HSMART_OK)
        goto out;
    code = describe(curl, handle, &url, err);
    if (code != HSMART_OK)
        goto out;
    hs_http_url_clear(out_url);
    *out_url = url;
    url = (struct hs_http_url){0};
out:
    curl->url_cleanup(handle);
    hs_http_url_clear(&url);
    return code;
}

void
hs_http_url_clear(struct hs_http_url *url)
{
    hs_buf_clear(&url->origin);
    *url = (struct hs_http_url){0};
}

enum hsmart_code
hs_http_origin(const char *url, struct hs_buf *out_origin, hsmart_err *err)
{
    struct hs_http_url parsed = {0};
    enum hsmart_code code = hs_http_url_parse(url, &parsed, err);

    if (code == HSMART_OK)
        hs_buf_move(&parsed.origin, out_origin);
    hs_http_url_clear(&parsed);
    return code;
}

enum hsmart_code
hs_http_check_same_origin(const char *a, const char *b, hsmart_err *err)
{
    struct hs_buf origin_a = {0}, origin_b = {0};
    enum hsmart_code code = hs_http_origin(a, &origin_a, err);

    if (code == HSMART_OK)
        code = hs_http_origin(b, &origin_b, err);
    if (code == HSMART_OK && !hs_span_equal(hs_span_buf(&origin_a), hs_span_buf(&origin_b)))
        code = hs_err_set(err, HSMART_POLICY_REFUSED, "\"%.150s\" is not at \"%.150s\"", hs_buf_text(&origin_b),
                          hs_buf_text(&origin_a));
    hs_buf_clear(&origin_a);
    hs_buf_clear(&origin_b);
    return code == HSMART_OK || code == HSMART_NO_MEMORY ? code : HSMART_POLICY_REFUSED;
}

bool
hs_http_same_origin(const char *a, const char *b)
{
    return hs_http_check_same_origin(a, b, NULL) == HSMART_OK;
}

/* ---- References ---- */

/* RFC 3986 section 5.2.2: a reference without path keeps the base's, query and all. libcurl drops them. */
static enum hsmart_code
set_fragment(const struct hs_curl *curl, CURLU *handle, const char *reference, hsmart_err *err)
{
    const char *fragment = reference[0] == '#' ? reference + 1 : NULL;
    CURLUcode result = curl->url_set(handle, CURLUPART_FRAGMENT, fragment, 0);

    return result == CURLUE_OK ? HSMART_OK : refused_by_curl(result, err);
}

static enum hsmart_code
set_reference(const struct hs_curl *curl, CURLU *handle, const char *reference, hsmart_err *err)
{
    CURLUcode result;

    if (reference[0] == 0 || reference[0] == '#')
        return set_fragment(curl, handle, reference, err);
    result = curl->url_set(handle, CURLUPART_URL, reference, CURLU_DISALLOW_USER);
    return result == CURLUE_OK ? HSMART_OK : refused_by_curl(result, err);
}

static enum hsmart_code
resolve(const struct hs_curl *curl, const char *base, const char *reference, struct hs_buf *url, hsmart_err *err)
{
    enum hsmart_code code;
    CURLU *handle = NULL;
    char *text = NULL;

    code = parse(curl, base, &handle, err);
    if (code != HSMART_OK)
        goto out;
    code = set_reference(curl, handle, reference, err);
    if (code != HSMART_OK)
        goto out;
    CURLUcode result = curl->url_get(handle, CURLUPART_URL, &text, 0);
    if (result != CURLUE_OK) {
        code = refused_by_curl(result, err);
        goto out;
    }
    code = check_spelling(text, err); /* the reference may have brought another scheme, or worse */
    if (code == HSMART_OK)
        code = hs_buf_append_str(url, text, err);
out:
    curl->url_cleanup(handle);
    curl->free(text);
    return code;
}

enum hsmart_code
hs_http_resolve(const char *base, const char *reference, struct hs_buf *out_url, hsmart_err *err)
{
    enum hsmart_code code;
    const struct hs_curl *curl = NULL;
    CURLU *handle = NULL;
    struct hs_buf url = {.max_len = out_url->max_len};

    code = hs_curl_get(&curl, err);
    if (code != HSMART_OK)
        return code;
    if (is_absolute(reference)) {
        code = parse(curl, reference, &handle, err);
        if (code == HSMART_OK)
            code = hs_buf_append_str(&url, reference, err);
    } else {
        code = resolve(curl, base, reference, &url, err);
    }
    if (code == HSMART_OK)
        hs_buf_move(&url, out_url);
    curl->url_cleanup(handle);
    hs_buf_clear(&url);
    return code;
}
