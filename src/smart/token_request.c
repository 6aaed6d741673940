#include "token_request.h"

#include "err.h"
#include "form.h"

/* RFC 7523 section 2.2. Not the JWT bearer grant, which has a similar name. */
#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
/* Exactly these, without parameters: some servers compare them as strings. */
#define CONTENT_TYPE "application/x-www-form-urlencoded"
#define ACCEPT "application/json"

#define BASIC "Basic "

/* What is sent, made for one attempt. */
struct draft {
    struct hs_buf form;
    struct hs_buf authorization; /* empty: no such header */
    struct hs_buf assertion;     /* the proof by itself: this, or */
    struct hs_secret secret;
};

static void
draft_clear(struct draft *draft)
{
    hs_buf_clear(&draft->form);
    hs_buf_clear(&draft->authorization);
    hs_buf_clear(&draft->assertion);
    hs_secret_clear(&draft->secret);
}

static enum hsmart_code
append_text(struct draft *draft, const char *name, const char *value, hsmart_err *err)
{
    return hs_form_append(&draft->form, name, hs_span_str(value), err);
}

/* ---- The grant ---- */

static enum hsmart_code
put_grant(const struct hs_token_request *request, struct draft *draft, hsmart_err *err)
{
    enum hsmart_code code;

    if (request->refresh_token != NULL) {
        code = append_text(draft, "grant_type", "refresh_token", err);
        if (code == HSMART_OK)
            code = append_text(draft, "refresh_token", request->refresh_token, err);
    } else {
        code = append_text(draft, "grant_type", "client_credentials", err);
    }
    if (code == HSMART_OK && request->scope != NULL)
        code = append_text(draft, "scope", request->scope, err);
    return code;
}

/* ---- The proof of who we are: one of these, never two ---- */

static enum hsmart_code
put_assertion(const struct hs_token_request *request, struct draft *draft, hsmart_err *err)
{
    const struct hs_client_auth *auth = request->auth;
    enum hsmart_code code = auth->assertions.make(auth->assertions.arg, auth->client_id, request->audience,
                                                  request->algs, &draft->assertion, err);

    if (code == HSMART_OK)
        code = append_text(draft, "client_assertion_type", ASSERTION_TYPE, err);
    if (code == HSMART_OK)
        code = hs_form_append(&draft->form, "client_assertion", hs_span_buf(&draft->assertion), err);
    if (code == HSMART_OK && auth->sends_client_id)
        code = append_text(draft, "client_id", auth->client_id, err);
    return code;
}

static enum hsmart_code
put_basic(const struct hs_client_auth *auth, struct hs_span secret, const struct hs_log *log, struct draft *draft,
          hsmart_err *err)
{
    bool differs = false;
    enum hsmart_code code =
        hs_basic_header(hs_span_str(auth->client_id), secret, auth->basic, &draft->authorization, &differs, err);

    if (code == HSMART_OK && differs)
        hs_log_detail(log, "client id or secret has characters whose form in HTTP Basic is disputed; sent %s",
                      auth->basic == HS_BASIC_RAW ? "raw" : "form-encoded (RFC 6749 section 2.3.1)");
    return code;
}

static enum hsmart_code
put_secret(const struct hs_token_request *request, const struct hs_log *log, struct draft *draft, hsmart_err *err)
{
    const struct hs_client_auth *auth = request->auth;
    struct hs_span value;
    enum hsmart_code code = auth->secret.read(auth->secret.arg, &draft->secret, err);

    if (code != HSMART_OK)
        return hs_err_wrap(err, code, "cannot read the client secret");
    value = (struct hs_span){draft->secret.data, draft->secret.len};
    if (auth->method == HS_AUTH_SECRET_BASIC) {
        code = put_basic(auth, value, log, draft, err);
    } else {
        code = append_text(draft, "client_id", auth->client_id, err);
        if (code == HSMART_OK)
            code = hs_form_append(&draft->form, "client_secret", value, err);
    }
    return code;
}

/* In what the server answered. */
static void
hide_secrets(const struct hs_token_request *request, const struct draft *draft, struct hs_http_response *response)
{
    const char *authorization = hs_buf_text(&draft->authorization);
    const size_t scheme_len = sizeof BASIC - 1;

    if (draft->authorization.len > scheme_len)
        hs_answer_hide(response, hs_span_str(authorization + scheme_len));
    hs_answer_hide(response, hs_span_buf(&draft->assertion));
    hs_answer_hide(response, (struct hs_span){draft->secret.data, draft->secret.len});
    hs_answer_hide(response, hs_span_str(request->refresh_token));
}

/* ---- The request ---- */

enum hsmart_code
hs_token_request_send(const struct hs_token_request *request, const struct hs_link *link,
                      struct hs_http_response *out_response, hsmart_err *err)
{
    enum hsmart_code code;
    struct draft draft = {0};

    code = put_grant(request, &draft, err);
    if (code != HSMART_OK)
        goto out;
    code = request->auth->method == HS_AUTH_PRIVATE_KEY_JWT ? put_assertion(request, &draft, err)
                                                            : put_secret(request, &link->log, &draft, err);
    if (code != HSMART_OK)
        goto out;
    struct hs_http_request http = {
        .method = "POST",
        .url = request->token_endpoint,
        .headers = {{"Content-Type", CONTENT_TYPE},
                    {"Accept", ACCEPT},
                    {draft.authorization.len > 0 ? "Authorization" : NULL, hs_buf_text(&draft.authorization)}},
        .body = hs_span_buf(&draft.form),
        .max_response_len = HS_TOKEN_RESPONSE_MAX_LEN,
    };
    code = hs_link_exchange(link, &http, out_response, err);
    if (code == HSMART_OK)
        hide_secrets(request, &draft, out_response);
out:
    draft_clear(&draft);
    return code;
}
