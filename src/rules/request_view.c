#include "request_view.h"

#include <strings.h>

#include "err.h"
#include "form.h"
#include "jws.h"
#include "lack.h"
#include "plain_base64.h"
#include "text.h"

#define PARAMETERS_MAX 256U /* of one form */

static const struct hs_lack lacks[] = {
    {RQ_HTTP, "there is no HTTP request that can be read"},
    {RQ_FORM, "there is no form that can be read"},
    {RQ_NO_SECRET, "the client authenticates with a secret"},
    {RQ_AUTHORIZATION, "there is no Authorization header"},
    {RQ_URL, "the token URL is not given"},
    {RQ_CLIENT_ID, "there is no parameter client_id"},
    {RQ_CLIENT, "who authenticates cannot be read"},
    {RQ_SERVER, "no server is named"},
};

const char *
hs_request_view_lack(unsigned lacking)
{
    return hs_lack_words(lacks, HS_ARRAY_LEN(lacks), lacking);
}

/* ---- Looking up ---- */

static bool
is_header(const struct hs_request_header *header, const char *name)
{
    return header->name.len == strlen(name) && strncasecmp((const char *)header->name.data, name, strlen(name)) == 0;
}

size_t
hs_request_header_count(const struct request_view *view, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < view->request->header_count; i++)
        count += is_header(&view->request->headers[i], name) ? 1 : 0;
    return count;
}

const struct hs_span *
hs_request_header_value(const struct request_view *view, const char *name)
{
    for (size_t i = 0; i < view->request->header_count; i++)
        if (is_header(&view->request->headers[i], name))
            return &view->request->headers[i].value;
    return NULL;
}

size_t
hs_request_parameter_count(const struct request_view *view, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < view->count; i++)
        count += hs_span_equal_str(hs_span_buf(&view->parameters[i].name), name) ? 1 : 0;
    return count;
}

const struct hs_buf *
hs_request_parameter(const struct request_view *view, const char *name)
{
    for (size_t i = 0; i < view->count; i++)
        if (hs_span_equal_str(hs_span_buf(&view->parameters[i].name), name))
            return &view->parameters[i].value;
    return NULL;
}

/* ---- The form ---- */

static enum hsmart_code
decode_parameter(struct hs_span name, struct hs_span value, struct parameter *out, hsmart_err *err)
{
    enum hsmart_code code = hs_form_decode(name, &out->name, err);

    if (code == HSMART_OK)
        code = hs_form_decode(value, &out->value, err);
    if (code == HSMART_OK && !(hs_text_is_utf8(hs_span_buf(&out->name)) && hs_text_is_utf8(hs_span_buf(&out->value))))
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "a parameter is not UTF-8");
    return code;
}

static void
view_form(struct hs_check *check, struct request_view *view)
{
    struct hs_span rest = view->request->body, name, value;
    enum hsmart_code code = HSMART_OK;

    while (code == HSMART_OK && hs_form_next(&rest, &name, &value)) {
        if (view->count == PARAMETERS_MAX) {
            code = hs_err_set(&view->form_err, HSMART_INPUT_MALFORMED, "there are more than %u parameters",
                              PARAMETERS_MAX);
            break;
        }
        code = hs_array_grow((void **)&view->parameters, view->count, sizeof *view->parameters, &view->form_err);
        if (code == HSMART_OK)
            code = decode_parameter(name, value, &view->parameters[view->count++], &view->form_err);
    }
    view->is_form_broken = hs_check_is_fault(check, code);
    if (!view->is_form_broken && check->code == HSMART_OK)
        view->have |= RQ_FORM;
}

/* ---- Who authenticates ---- */

static void
view_subject(struct hs_check *check, struct request_view *view, const struct hs_buf *assertion)
{
    struct hs_jws jws = {0};
    enum hsmart_code code = hs_jws_parse(hs_span_buf(assertion), &jws, NULL);

    if (!hs_check_is_fault(check, code) && check->code == HSMART_OK)
        code = hs_buf_append(&view->client, hs_json_string(hs_json_member(jws.payload.root, "sub")), check->err);
    (void)hs_check_is_fault(check, code);
    hs_jws_clear(&jws);
}

static enum hsmart_code
decode_basic(struct hs_span header, struct hs_buf *out, hsmart_err *err)
{
    static const char scheme[] = "Basic ";
    size_t len = strlen(scheme);
    enum hsmart_code code;

    if (header.len < len || memcmp(header.data, scheme, len) != 0)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "it does not begin with \"Basic \", exactly so");
    code = hs_plain_base64_decode((struct hs_span){header.data + len, header.len - len}, out, err);
    if (code == HSMART_INPUT_MALFORMED)
        return hs_err_set(err, HSMART_INPUT_MALFORMED,
                          "what follows \"Basic \" is not base64 with padding in one line");
    if (code == HSMART_OK && memchr(out->data, ':', out->len) == NULL)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "there is no colon in what is encoded");
    return code;
}

static void
view_basic(struct hs_check *check, struct request_view *view)
{
    const struct hs_span *header = hs_request_header_value(view, "authorization");
    enum hsmart_code code;

    if (header == NULL)
        return;
    view->have |= RQ_AUTHORIZATION;
    if (hs_check_is_fault(check, decode_basic(*header, &view->basic, &view->basic_err))) {
        hs_buf_clear(&view->basic);
        return;
    }
    if (check->code != HSMART_OK)
        return;
    const uint8_t *colon = memchr(view->basic.data, ':', view->basic.len);
    struct hs_span id = {view->basic.data, (size_t)(colon - view->basic.data)};
    code = hs_buf_append(&view->client_raw, id, check->err);
    if (code == HSMART_OK && hs_check_is_fault(check, hs_form_decode(id, &view->client, NULL)))
        code = hs_buf_append(&view->client, id, check->err); /* a raw one */
    (void)hs_check_is_fault(check, code);
}

static void
view_client(struct hs_check *check, struct request_view *view)
{
    const struct hs_buf *assertion = hs_request_parameter(view, "client_assertion");

    view_basic(check, view);
    if (assertion != NULL) {
        hs_buf_clear(&view->client);
        hs_buf_clear(&view->client_raw);
        view_subject(check, view, assertion);
    }
    bool has_secret = (view->have & RQ_AUTHORIZATION) != 0 || hs_request_parameter_count(view, "client_secret") > 0;
    if (!has_secret || assertion != NULL || hs_request_parameter_count(view, "client_assertion_type") > 0)
        view->have |= RQ_NO_SECRET;
    if (view->client.len > 0)
        view->have |= RQ_CLIENT;
    if (hs_request_parameter_count(view, "client_id") > 0)
        view->have |= RQ_CLIENT_ID;
}

/* ---- All of it ---- */

static void
view_url(struct hs_check *check, struct request_view *view)
{
    struct hs_span target = view->request->target;
    bool is_absolute = (target.len > 7 && strncasecmp((const char *)target.data, "http://", 7) == 0) ||
                       (target.len > 8 && strncasecmp((const char *)target.data, "https://", 8) == 0);
    struct hs_span url = view->expected->token_url != NULL ? hs_span_str(view->expected->token_url)
                         : is_absolute                     ? target
                                                           : (struct hs_span){0};

    if (url.len == 0)
        return;
    if (!hs_check_is_fault(check, hs_buf_append(&view->url, url, check->err)))
        view->have |= RQ_URL;
}

void
hs_request_view_make(struct hs_check *check, const struct hs_request *request,
                     const struct hs_request_expectation *expected, struct request_view *out_view)
{
    *out_view = (struct request_view){
        .request = request, .expected = expected, .habits = hs_habits_of(expected->assertion.server)};
    out_view->have |= expected->assertion.server != NULL ? RQ_SERVER : 0U;
    out_view->have |= request->method.len > 0 ? RQ_HTTP : 0U;
    if (request->broken == NULL && !request->is_chunked)
        view_form(check, out_view);
    view_client(check, out_view);
    view_url(check, out_view);
}

void
hs_request_view_clear(struct request_view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        hs_buf_clear(&view->parameters[i].name);
        hs_buf_clear(&view->parameters[i].value);
    }
    hs_free(view->parameters);
    hs_buf_clear(&view->url);
    hs_buf_clear(&view->basic);
    hs_buf_clear(&view->client);
    hs_buf_clear(&view->client_raw);
}
