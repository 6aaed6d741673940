#include <hsmart/client.h>

#include "err.h"
#include "hsmart_client_object.h"

/* The public object is the first member of ours. */
struct answer_object {
    hsmart_fhir_answer told;
    struct hs_http_response response;
    struct hs_buf url, next_url;
    char *content_type;
};

static enum hsmart_code
copy_content_type(const struct hs_http_response *response, char **out_text, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = hs_buf_append(&text, hs_http_header_of(response, "Content-Type"), err);

    if (code == HSMART_OK)
        code = hs_strdup(hs_buf_text(&text), out_text, err);
    hs_buf_clear(&text);
    return code;
}

static hsmart_fhir_answer
tell(const struct hs_http_response *response, const char *url, const char *next_url, const char *content_type)
{
    return (hsmart_fhir_answer){
        .status = response->status,
        .url = url,
        .content_type = content_type,
        .body = hs_buf_text(&response->body),
        .body_len = response->body.len,
        .next_url = next_url,
    };
}

/* ---- One read ---- */

/* A link that cannot be followed is no failure of this page. */
static void
find_next(const struct hs_fhir *fhir, struct answer_object *object)
{
    hsmart_err reason = {0};

    if (object->response.status < 200 || object->response.status > 299)
        return;
    if (hs_fhir_next(hs_buf_text(&object->url), hs_span_buf(&object->response.body), &object->next_url, &reason) !=
            HSMART_OK &&
        reason.code == HSMART_POLICY_REFUSED)
        hs_log_warning(&fhir->link->log, "%s", reason.text);
}

enum hsmart_code
hsmart_client_get(hsmart_client *client, const char *path, const char *accept, hsmart_fhir_answer **out_answer,
                  hsmart_err *err)
{
    const struct hs_fhir_options options = {.accept = accept};
    const struct hs_fhir *fhir = NULL;
    enum hsmart_code code;
    struct answer_object *object = hs_calloc(1, sizeof *object);

    if (object == NULL)
        return hs_err_no_memory(err);
    code = hs_backend_get_fhir(client->backend, &fhir, err);
    if (code == HSMART_OK)
        code = hs_fhir_url(fhir->base, path, &object->url, err);
    if (code == HSMART_OK)
        code = hs_fhir_get(fhir, path, &options, &object->response, err);
    if (object->response.status == 0)
        goto out;
    if (copy_content_type(&object->response, &object->content_type, NULL) != HSMART_OK) {
        code = hs_err_no_memory(err);
        goto out;
    }
    find_next(fhir, object);
    object->told = tell(&object->response, hs_buf_text(&object->url),
                        object->next_url.len > 0 ? hs_buf_text(&object->next_url) : NULL, object->content_type);
    *out_answer = &object->told;
    object = NULL;
out:
    if (object != NULL)
        hsmart_fhir_answer_free(&object->told);
    return code;
}

void
hsmart_fhir_answer_free(hsmart_fhir_answer *answer)
{
    struct answer_object *object = (struct answer_object *)answer;

    if (object == NULL)
        return;
    hs_http_response_clear(&object->response);
    hs_buf_clear(&object->url);
    hs_buf_clear(&object->next_url);
    hs_string_free(object->content_type);
    hs_free(object);
}

/* ---- All pages ---- */

struct walk {
    hsmart_page_fn page_fn;
    void *page_arg;
};

static enum hsmart_code
hand_over(void *arg, const struct hs_fhir_page *page, hsmart_err *err)
{
    const struct walk *walk = arg;
    char *content_type = NULL;
    enum hsmart_code code = copy_content_type(page->response, &content_type, err);

    if (code == HSMART_OK) {
        const hsmart_fhir_answer answer = tell(page->response, page->url, page->next_url, content_type);
        code = walk->page_fn(walk->page_arg, page->number, &answer, err);
    }
    hs_string_free(content_type);
    return code;
}

enum hsmart_code
hsmart_client_get_all(hsmart_client *client, const char *path, const char *accept, hsmart_page_fn page_fn,
                      void *page_arg, hsmart_err *err)
{
    const struct hs_fhir_options options = {.accept = accept};
    struct walk walk = {page_fn, page_arg};
    const struct hs_fhir *fhir = NULL;
    enum hsmart_code code = hs_backend_get_fhir(client->backend, &fhir, err);

    if (code == HSMART_OK)
        code = hs_fhir_get_all(fhir, path, &options, hand_over, &walk, err);
    return code;
}
