#include "jwks_fetch.h"

#include <strings.h>

#include "err.h"
#include "file.h"

bool
jwks_is_url(const char *where)
{
    return strncasecmp(where, "https://", strlen("https://")) == 0 ||
           strncasecmp(where, "http://", strlen("http://")) == 0;
}

/* What says something about the server that publishes the set; anything else is our own trouble. */
static bool
is_of_the_server(enum hsmart_code code)
{
    return code == HSMART_NETWORK_FAILED || code == HSMART_TLS_FAILED || code == HSMART_SERVER_FAILED;
}

static enum hsmart_code
keep_header(const struct hs_http_response *response, const char *name, struct hs_buf *out, const char **out_text,
            hsmart_err *err)
{
    struct hs_span value = hs_http_header_of(response, name);
    enum hsmart_code code = HSMART_OK;

    if (value.len == 0)
        return code;
    code = hs_buf_append(out, value, err);
    *out_text = hs_buf_text(out);
    return code;
}

static enum hsmart_code
exchange(const char *url, const struct hs_http_options *options, struct jwks_fetch *fetch, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_http *http = NULL;
    const struct hs_http_request request = {
        .method = "GET", .url = url, .headers = {{"Accept", "application/json"}}, .max_response_len = JWKS_MAX_LEN};

    code = hs_http_new(options, &http, err);
    if (code == HSMART_OK)
        code = hs_http_exchange(http, &request, &fetch->response, &fetch->err);
    if (code != HSMART_OK && is_of_the_server(code)) {
        fetch->served.failure = code;
        fetch->served.failure_text = fetch->err.text;
        code = HSMART_OK;
    } else if (code != HSMART_OK && fetch->err.code != HSMART_OK && err != NULL) {
        *err = fetch->err;
    }
    hs_http_free(http);
    return code;
}

static enum hsmart_code
describe(struct jwks_fetch *fetch, hsmart_err *err)
{
    struct hs_served *served = &fetch->served;
    enum hsmart_code code;

    if (served->failure != HSMART_OK)
        return HSMART_OK;
    served->status = fetch->response.status;
    served->cache_life_s = hs_http_cache_life_s(&fetch->response);
    code = keep_header(&fetch->response, "Location", &fetch->location, &served->location, err);
    if (code == HSMART_OK)
        code = keep_header(&fetch->response, "Content-Type", &fetch->content_type, &served->content_type, err);
    if (code == HSMART_OK)
        code = keep_header(&fetch->response, "Cache-Control", &fetch->cache_control, &served->cache_control, err);
    if (code == HSMART_OK && served->status == 200)
        hs_buf_move(&fetch->response.body, &fetch->text);
    return code;
}

enum hsmart_code
jwks_fetch(const char *where, const struct hs_http_options *options, struct jwks_fetch *out_fetch, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_http_options loopback_too = *options;

    if (!jwks_is_url(where))
        return hs_file_read(where, JWKS_MAX_LEN, &out_fetch->text, err);
    out_fetch->is_url = true;
    out_fetch->served = (struct hs_served){.url = where, .cache_life_s = -1};
    if (strncasecmp(where, "http://", strlen("http://")) == 0 && !hs_is_http_to_loopback(where)) {
        out_fetch->served.failure = HSMART_INVALID_ARGUMENT;
        out_fetch->served.failure_text = "it was not asked for over http";
        return HSMART_OK;
    }
    loopback_too.allow_http_to_loopback = true; /* nothing secret is sent */
    code = exchange(where, &loopback_too, out_fetch, err);
    return code == HSMART_OK ? describe(out_fetch, err) : code;
}

void
jwks_fetch_clear(struct jwks_fetch *fetch)
{
    hs_buf_clear(&fetch->text);
    hs_http_response_clear(&fetch->response);
    hs_buf_clear(&fetch->location);
    hs_buf_clear(&fetch->content_type);
    hs_buf_clear(&fetch->cache_control);
    *fetch = (struct jwks_fetch){0};
}

const struct hs_served *
jwks_served(const struct jwks_fetch *fetch)
{
    return fetch->is_url ? &fetch->served : NULL;
}
