/* A raw HTTP/1 request taken apart. It is judged elsewhere: here only what cannot be read at all is told. */
#include <strings.h>

#include "check.h"
#include "err.h"
#include "text.h"

#define HEADERS_MAX 256U

/* The line at the front of `rest`, without its line end; false when there is no line end. */
static bool
take_line(struct hs_span *rest, struct hs_span *out_line)
{
    const uint8_t *end = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;

    if (end == NULL)
        return false;
    *out_line = (struct hs_span){rest->data, (size_t)(end - rest->data)};
    rest->len -= out_line->len + 1;
    rest->data = end + 1;
    if (out_line->len > 0 && out_line->data[out_line->len - 1] == '\r')
        out_line->len--;
    return true;
}

static struct hs_span
trim(struct hs_span text)
{
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

static bool
is_word(struct hs_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
            return false;
    return text.len > 0;
}

/* RFC 9112 section 2.3: one digit behind the dot. */
static bool
is_version(struct hs_span text)
{
    static const char front[] = "HTTP/1.";
    size_t len = strlen(front);

    return text.len == len + 1 && memcmp(text.data, front, len) == 0 && text.data[len] >= '0' && text.data[len] <= '9';
}

/* "POST /token HTTP/1.1" */
static bool
read_request_line(struct hs_span line, struct hs_request *request)
{
    const uint8_t *first = line.len > 0 ? memchr(line.data, ' ', line.len) : NULL;

    if (first == NULL)
        return false;
    struct hs_span method = {line.data, (size_t)(first - line.data)};
    struct hs_span rest = {first + 1, line.len - method.len - 1};
    const uint8_t *second = rest.len > 0 ? memchr(rest.data, ' ', rest.len) : NULL;
    if (second == NULL)
        return false;
    struct hs_span target = {rest.data, (size_t)(second - rest.data)};
    struct hs_span version = {second + 1, rest.len - target.len - 1};
    if (!is_word(method) || !is_word(target) || !is_version(version))
        return false;
    request->method = method;
    request->target = target;
    return true;
}

static enum hsmart_code
read_header(struct hs_span line, struct hs_request *request, hsmart_err *err)
{
    const uint8_t *colon = memchr(line.data, ':', line.len);
    struct hs_span name = {line.data, colon != NULL ? (size_t)(colon - line.data) : 0};
    enum hsmart_code code;

    if (!is_word(name)) {
        request->broken = "a header line is not \"Name: value\"";
        return HSMART_OK;
    }
    if (request->header_count == HEADERS_MAX) {
        request->broken = "there are more than 256 headers";
        return HSMART_OK;
    }
    code = hs_array_grow((void **)&request->headers, request->header_count, sizeof *request->headers, err);
    if (code == HSMART_OK)
        request->headers[request->header_count++] =
            (struct hs_request_header){name, trim((struct hs_span){colon + 1, line.len - name.len - 1})};
    return code;
}

static bool
is_named(const struct hs_request_header *header, const char *name)
{
    return header->name.len == strlen(name) &&
           strncasecmp((const char *)header->name.data, name, header->name.len) == 0;
}

static const struct hs_span *
header_value(const struct hs_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (is_named(&request->headers[i], name))
            return &request->headers[i].value;
    return NULL;
}

static size_t
header_count(const struct hs_request *request, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < request->header_count; i++)
        count += is_named(&request->headers[i], name);
    return count;
}

/* Without a length the body is all there is, but for one line end: files have one, and bodies of forms do not. */
static struct hs_span
without_line_end(struct hs_span body)
{
    if (body.len > 0 && body.data[body.len - 1] == '\n')
        body.len--;
    if (body.len > 0 && body.data[body.len - 1] == '\r')
        body.len--;
    return body;
}

static void
set_body(struct hs_span rest, struct hs_request *request)
{
    const struct hs_span *length = header_value(request, "content-length");
    size_t len = 0;

    request->is_chunked = header_value(request, "transfer-encoding") != NULL;
    request->body = without_line_end(rest);
    /* RFC 9112 section 6.3: whoever reads them differently reads another request. */
    if (header_count(request, "content-length") > 1 || (length != NULL && request->is_chunked)) {
        request->broken = "there is more than one word on the length of the body";
        return;
    }
    if (length == NULL || request->is_chunked)
        return;
    for (size_t i = 0; i < length->len; i++) {
        if (length->data[i] < '0' || length->data[i] > '9' || len > rest.len) {
            request->broken = "Content-Length is not the length of the body";
            return;
        }
        len = len * 10 + (size_t)(length->data[i] - '0');
    }
    if (length->len == 0 || len > rest.len || len < request->body.len) {
        request->broken = "Content-Length is not the length of the body";
        return;
    }
    request->body = (struct hs_span){rest.data, len};
}

enum hsmart_code
hs_request_parse(struct hs_span raw, struct hs_request *out_request, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    struct hs_request request = {0};
    struct hs_span rest = raw, line = {0};

    if (!take_line(&rest, &line) || !read_request_line(line, &request)) {
        request.broken = "the first line is not \"METHOD TARGET HTTP/1.1\"";
        goto out;
    }
    while (code == HSMART_OK && request.broken == NULL) {
        if (!take_line(&rest, &line)) {
            request.broken = "the empty line after the headers is missing";
            goto out;
        }
        if (line.len == 0)
            break;
        code = read_header(line, &request, err);
    }
    if (code == HSMART_OK && request.broken == NULL)
        set_body(rest, &request);
out:
    if (code == HSMART_OK) {
        hs_request_clear(out_request);
        *out_request = request;
    } else {
        hs_request_clear(&request);
    }
    return code;
}

void
hs_request_clear(struct hs_request *request)
{
    hs_free(request->headers);
    *request = (struct hs_request){0};
}
