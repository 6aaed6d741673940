#include "fhir.h"

#include <stdio.h>
#include <strings.h>

#include "bundle.h"
#include "err.h"
#include "oauth_error.h"
#include "text.h"
#include "text_list.h"

#define ACCEPT "application/fhir+json"
#define TOLD_PATH_LEN 100U

/* ---- Where to ---- */

/* "scheme:" at the start (RFC 3986 section 3.1). */
static bool
is_absolute(const char *reference)
{
    size_t len = strspn(reference, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

    return len > 0 && strncmp(reference + len, "://", 3) == 0;
}

static enum hsmart_code
check_origin(const char *base, const char *url, hsmart_err *err)
{
    struct hs_buf here = {0}, there = {0};
    enum hsmart_code code = hs_http_check_same_origin(base, url, err);

    if (code != HSMART_POLICY_REFUSED)
        return code;
    (void)!hs_http_origin(base, &here, NULL);
    (void)!hs_http_origin(url, &there, NULL);
    (void)hs_err_set(err, HSMART_POLICY_REFUSED, "the access token for \"%.150s\" is not sent to \"%.150s\"",
                     hs_buf_text(&here), there.len > 0 ? hs_buf_text(&there) : "another place");
    hs_err_hint(err, "an access token is for one server; make a client for the other one");
    hs_buf_clear(&here);
    hs_buf_clear(&there);
    return HSMART_POLICY_REFUSED;
}

static enum hsmart_code
resolve_below(const char *base, const char *reference, struct hs_buf *out_url, hsmart_err *err)
{
    struct hs_buf directory = {0};
    size_t len = strlen(base);
    enum hsmart_code code;

    if (reference[0] == '/')
        reference++;
    if (reference[0] == '/')
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "a path below the FHIR base does not start with \"//\"");
    while (len > 0 && base[len - 1] == '/')
        len--;
    code = hs_buf_append(&directory, (struct hs_span){(const uint8_t *)base, len}, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(&directory, "/", err);
    if (code == HSMART_OK)
        code = hs_http_resolve(hs_buf_text(&directory), reference, out_url, err);
    hs_buf_clear(&directory);
    return code;
}

enum hsmart_code
hs_fhir_url(const char *base, const char *reference, struct hs_buf *out_url, hsmart_err *err)
{
    struct hs_buf url = {0};
    enum hsmart_code code;

    if (reference[0] == 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "there is no path to read");
    if (strchr(reference, '#') != NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "a fragment (#…) cannot be read");
    code = is_absolute(reference) ? hs_buf_append_str(&url, reference, err) : resolve_below(base, reference, &url, err);
    if (code == HSMART_OK)
        code = check_origin(base, hs_buf_text(&url), err);
    if (code == HSMART_OK)
        hs_buf_move(&url, out_url);
    hs_buf_clear(&url);
    return code;
}

/* ---- One read ---- */

static enum hsmart_code
send_once(const struct hs_fhir *fhir, const char *url, const struct hs_fhir_options *options,
          struct hs_access_token *access_token, struct hs_http_response *out_response, hsmart_err *err)
{
    struct hs_buf authorization = {0};
    /* "Bearer" with a capital: some servers compare it so. */
    enum hsmart_code code = hs_buf_append_format(&authorization, err, "Bearer %s", hs_buf_text(&access_token->value));

    if (code != HSMART_OK)
        goto out;
    struct hs_http_request request = {
        .method = "GET",
        .url = url,
        .headers = {{"Authorization", hs_buf_text(&authorization)},
                    {"Accept", options->accept != NULL ? options->accept : ACCEPT}},
        .max_response_len = fhir->max_response_len != 0 ? fhir->max_response_len : HS_FHIR_RESPONSE_MAX_LEN,
    };
    code = hs_retry_request(&fhir->link->retry, fhir->link, "FHIR", &request, out_response, err);
    if (code == HSMART_OK || code == HSMART_SERVER_BUSY)
        hs_answer_hide(out_response, hs_span_buf(&access_token->value));
out:
    hs_buf_clear(&authorization);
    return code;
}

static enum hsmart_code
send_authorised(const struct hs_fhir *fhir, const char *url, const struct hs_fhir_options *options, char **out_scope,
                struct hs_http_response *out_response, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    for (bool renewed = false;; renewed = true) {
        struct hs_access_token access_token = {0};
        code = hs_access_token_get(fhir->access_tokens, options->min_validity_s, &access_token, err);
        if (code == HSMART_OK)
            code = send_once(fhir, url, options, &access_token, out_response, err);
        bool refused = code == HSMART_OK && out_response->status == 401;
        if (!refused || renewed) { /* a new one that is refused, too, is not too old: it is kept */
            *out_scope = access_token.scope;
            access_token.scope = NULL;
            hs_access_token_clear(&access_token);
            return code;
        }
        hs_access_token_reject(fhir->access_tokens, hs_span_buf(&access_token.value));
        hs_log_detail(&fhir->link->log,
                      "the server does not accept the access token any more (401): getting a new one");
        hs_access_token_clear(&access_token);
        hs_http_response_clear(out_response);
    }
}

static bool
is_xml(const struct hs_http_response *response)
{
    struct hs_span type = hs_http_header_of(response, "Content-Type");

    for (size_t i = 0; i + strlen("xml") <= type.len; i++)
        if (strncasecmp((const char *)type.data + i, "xml", strlen("xml")) == 0)
            return true;
    return false;
}

/* 200 with nothing, or with the page of a login or a proxy, is no resource. Others of 2xx may well be empty: 202 is the
 * answer of an export that goes on. */
static enum hsmart_code
judge_success(const struct hs_http_response *response, hsmart_err *err)
{
    if (hs_answer_is_page(response) && !is_xml(response))
        return hs_answer_tell_page(response, err);
    if (response->status == 200 && response->body.len == 0)
        return hs_err_set(err, HSMART_SERVER_FAILED, "the server answered 200 with nothing");
    return HSMART_OK;
}

static enum hsmart_code
judge(const struct hs_http_response *response, const char *scope, hsmart_err *err)
{
    char excerpt[320];
    int status = response->status;

    if (status >= 200 && status < 300)
        return judge_success(response, err);
    hs_answer_excerpt(response, excerpt, sizeof excerpt);
    enum hsmart_code code = status == 401 || status == 403 ? HSMART_SERVER_REFUSED
                            : status == 429                ? HSMART_SERVER_BUSY
                                                           : HSMART_SERVER_FAILED;
    (void)hs_err_set(err, code, "the server answered %s%s", excerpt,
                     status >= 300 && status < 400 ? ", which is not followed" : "");
    if (status >= 300 && status < 400)
        hs_err_hint(err, "if that is where the server is now, change the FHIR base");
    if (status == 401)
        hs_err_hint(err, "it does not accept a new access token either: is the FHIR base on the server that the token "
                         "endpoint belongs to?");
    if (status == 403)
        hs_err_hint(err, "the access token may lack a scope for this; granted: %.150s",
                    scope != NULL ? scope : "not told");
    if (status == 404 || status == 410)
        hs_err_hint(err, "check the path and the id, and that the FHIR base is the whole one");
    return code;
}

enum hsmart_code
hs_fhir_get(const struct hs_fhir *fhir, const char *reference, const struct hs_fhir_options *options,
            struct hs_http_response *out_response, hsmart_err *err)
{
    static const struct hs_fhir_options defaults = {0};
    enum hsmart_code code;
    struct hs_buf url = {0};
    struct hs_http_response response = {0};
    char *scope = NULL;

    code = hs_fhir_url(fhir->base, reference, &url, err);
    if (code == HSMART_OK)
        code = send_authorised(fhir, hs_buf_text(&url), options != NULL ? options : &defaults, &scope, &response, err);
    if (code == HSMART_OK)
        code = judge(&response, scope, err);
    if (response.status != 0) {
        hs_http_response_clear(out_response);
        *out_response = response;
    }
    if (code != HSMART_OK) {
        /* The query may hold what is nobody's business in a log. */
        size_t path_len = hs_text_cut(reference, TOLD_PATH_LEN);
        size_t query_at = strcspn(reference, "?");
        (void)hs_err_wrap(err, code, "cannot read \"%.*s\"", (int)(query_at < path_len ? query_at : path_len),
                          reference);
    }
    hs_string_free(scope);
    hs_buf_clear(&url);
    return code;
}

/* ---- Pages ---- */

enum hsmart_code
hs_fhir_next(const char *page_url, struct hs_span body, struct hs_buf *out_next_url, hsmart_err *err)
{
    struct hs_buf written = {0}, url = {0};
    enum hsmart_code code = hs_bundle_link(body, "next", &written, err);

    if (code == HSMART_OK && written.len > 0) {
        code = hs_http_resolve(page_url, hs_buf_text(&written), &url, err);
        if (code != HSMART_OK && code != HSMART_NO_MEMORY)
            code = hs_err_wrap(err, HSMART_SERVER_FAILED, "the link to the next page is no URL");
        else if (code == HSMART_OK)
            code = check_origin(page_url, hs_buf_text(&url), err);
        if (code == HSMART_POLICY_REFUSED)
            code = hs_err_wrap(err, HSMART_POLICY_REFUSED, "the next page is on another server");
    }
    if (code == HSMART_OK)
        hs_buf_move(&url, out_next_url);
    hs_buf_clear(&written);
    hs_buf_clear(&url);
    return code;
}

static enum hsmart_code
remember(struct hs_text_list *visited, const char *url, hsmart_err *err)
{
    if (visited->count >= HS_FHIR_PAGES_MAX)
        return hs_err_set(err, HSMART_SERVER_FAILED, "the server's pages do not end: %u were read", HS_FHIR_PAGES_MAX);
    if (hs_text_list_has(visited, url))
        return hs_err_set(err, HSMART_SERVER_FAILED, "page %zu leads back to one that was read already",
                          visited->count);
    return hs_text_list_add(visited, url, err);
}

/* Reads one page, hands it over, and sets `*out_next` to where the next one is. */
static enum hsmart_code
walk_page(const struct hs_fhir *fhir, struct hs_fhir_page *page, const struct hs_fhir_options *options,
          hs_fhir_page_fn page_fn, void *arg, struct hs_buf *out_next, hsmart_err *err)
{
    struct hs_http_response response = {0};
    hsmart_err link_err = {0};
    enum hsmart_code link_code = HSMART_OK, code = hs_fhir_get(fhir, page->url, options, &response, err);

    if (code == HSMART_OK) {
        /* A page that came is handed over, whatever its link says. */
        link_code = hs_fhir_next(page->url, hs_span_buf(&response.body), out_next, &link_err);
        page->response = &response;
        page->next_url = out_next->len > 0 ? hs_buf_text(out_next) : NULL;
        code = page_fn(arg, page, err);
        page->response = NULL;
        page->next_url = NULL;
    }
    if (code == HSMART_OK && link_code != HSMART_OK) {
        code = link_code;
        if (err != NULL)
            *err = link_err;
    }
    hs_http_response_clear(&response);
    return code;
}

enum hsmart_code
hs_fhir_get_all(const struct hs_fhir *fhir, const char *reference, const struct hs_fhir_options *options,
                hs_fhir_page_fn page_fn, void *arg, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf url = {0}, next = {0};
    struct hs_text_list visited = {0};

    code = hs_fhir_url(fhir->base, reference, &url, err);
    for (unsigned number = 1; code == HSMART_OK && url.len > 0; number++) {
        struct hs_fhir_page page = {.number = number, .url = hs_buf_text(&url)};
        code = remember(&visited, page.url, err);
        if (code == HSMART_OK)
            code = walk_page(fhir, &page, options, page_fn, arg, &next, err);
        if (code == HSMART_OK)
            hs_buf_move(&next, &url);
    }
    hs_text_list_clear(&visited);
    hs_buf_clear(&next);
    hs_buf_clear(&url);
    return code;
}
