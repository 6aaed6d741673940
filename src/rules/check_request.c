/* R01 to R14: a token request. R06 is in check_scope.c. */
#include <strings.h>

#include "assertion_view.h"
#include "check_scope.h"
#include "check_served.h"
#include "form.h"

#define FORM_TYPE "application/x-www-form-urlencoded"
#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#define JSON_TYPE "application/json"

/* ---- HTTP ---- */

static void
r01_post(struct hs_check *check, const struct request_view *view)
{
    static const char *const names[] = {"grant_type",       "scope",     "client_assertion_type",
                                        "client_assertion", "client_id", "client_secret"};
    struct hs_span target = view->request->target;
    const uint8_t *query = memchr(target.data, '?', target.len);
    struct hs_span rest = {0}, name, value;

    if (!hs_span_equal_str(view->request->method, "POST"))
        hs_check_find(check, "the method is \"%s\", but must be POST", hs_excerpt_of(view->request->method).text);
    if (query != NULL)
        rest = (struct hs_span){query + 1, target.len - (size_t)(query + 1 - target.data)};
    while (hs_form_next(&rest, &name, &value))
        for (size_t i = 0; i < HS_ARRAY_LEN(names); i++)
            if (hs_span_equal_str(name, names[i]))
                hs_check_find(check, "the parameter \"%s\" is in the URL", names[i]);
}

static void
r02_content_type(struct hs_check *check, const struct request_view *view)
{
    const struct hs_span *type = hs_request_header_value(view, "content-type");
    size_t len = strlen(FORM_TYPE);

    if (type == NULL)
        hs_check_find(check, "there is no Content-Type");
    else if (hs_request_header_count(view, "content-type") > 1)
        hs_check_find(check, "there is more than one Content-Type");
    else if (hs_span_equal_str(*type, FORM_TYPE))
        return;
    else if (type->len >= len && strncasecmp((const char *)type->data, FORM_TYPE, len) == 0 &&
             (type->len == len || type->data[len] == ';' || type->data[len] == ' '))
        hs_check_warn(check, "Content-Type is \"%s\": some servers compare it with \"" FORM_TYPE "\" exactly",
                      hs_excerpt_of(*type).text);
    else
        hs_check_find(check, "Content-Type is \"%s\", but must be \"" FORM_TYPE "\"", hs_excerpt_of(*type).text);
}

static void
r09_url(struct hs_check *check, const struct request_view *view)
{
    const char *url = hs_buf_text(&view->url);

    if (hs_is_http_to_loopback(url))
        hs_check_warn(check, "the token URL is http to this very machine, which is for tests only");
    else if (strncasecmp(url, "https://", strlen("https://")) != 0)
        hs_check_find(check, "the token URL is not https: the assertion can be read on the way");
    if (strchr(url, '#') != NULL)
        hs_check_find(check, "the token URL has a fragment");
}

static void
r11_accept(struct hs_check *check, const struct request_view *view)
{
    const struct hs_span *accept = hs_request_header_value(view, "accept");

    if (accept == NULL)
        hs_check_find(check, "there is no Accept");
    else if (!hs_span_equal_str(*accept, JSON_TYPE))
        hs_check_find(check, "Accept is \"%s\"", hs_excerpt_of(*accept).text);
}

static void
r14_well_formed(struct hs_check *check, const struct request_view *view)
{
    if (view->request->broken != NULL)
        hs_check_find(check, "%s", view->request->broken);
    else if (view->request->is_chunked)
        hs_check_warn(check, "the body is sent in chunks, which are not looked into");
    if (view->is_form_broken)
        hs_check_find(check, "the body is no form: %s", view->form_err.text);
}

/* ---- Parameters ---- */

static void
r03_grant_type(struct hs_check *check, const struct request_view *view)
{
    static const struct {
        const char *value, *words;
    } others[] = {
        {"urn:ietf:params:oauth:grant-type:jwt-bearer", ": that is the JWT as a grant, not as authentication"},
        {"refresh_token", ": backend clients have no refresh tokens"},
        {"authorization_code", ": that is for apps with users"},
    };
    const struct hs_buf *grant = hs_request_parameter(view, "grant_type");
    const char *words = "";

    if (grant == NULL || grant->len == 0) {
        hs_check_find(check, "there is no grant_type");
        return;
    }
    if (hs_span_equal_str(hs_span_buf(grant), "client_credentials"))
        return;
    for (size_t i = 0; i < HS_ARRAY_LEN(others); i++)
        if (hs_span_equal_str(hs_span_buf(grant), others[i].value))
            words = others[i].words;
    hs_check_find(check, "grant_type is \"%s\"%s", hs_excerpt_of(hs_span_buf(grant)).text, words);
}

static void
r04_assertion_type(struct hs_check *check, const struct request_view *view)
{
    const struct hs_buf *type = hs_request_parameter(view, "client_assertion_type");

    if (type == NULL || type->len == 0)
        hs_check_find(check, "there is no client_assertion_type");
    else if (!hs_span_equal_str(hs_span_buf(type), ASSERTION_TYPE))
        hs_check_find(check, "client_assertion_type is \"%s\", but must be \"" ASSERTION_TYPE "\"",
                      hs_excerpt_of(hs_span_buf(type)).text);
}

static void
r05_assertion(struct hs_check *check, const struct request_view *view)
{
    size_t count = hs_request_parameter_count(view, "client_assertion");
    const struct hs_buf *assertion = hs_request_parameter(view, "client_assertion");

    if (count == 0 || assertion->len == 0)
        hs_check_find(check, "there is no client_assertion");
    else if (count > 1)
        hs_check_find(check, "there are %zu client_assertion", count);
}

static void
r08_once(struct hs_check *check, const struct request_view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        const char *name = hs_buf_text(&view->parameters[i].name);
        bool is_first = true;
        for (size_t j = 0; j < i && is_first; j++)
            is_first = !hs_span_equal(hs_span_buf(&view->parameters[i].name), hs_span_buf(&view->parameters[j].name));
        if (!is_first || strcmp(name, "client_assertion") == 0) /* that one is R05's */
            continue;
        size_t count = hs_request_parameter_count(view, name);
        if (count > 1)
            hs_check_find(check, "the parameter \"%s\" is there %zu times", hs_excerpt_of(hs_span_str(name)).text,
                          count);
        else if (view->parameters[i].value.len == 0)
            hs_check_find(check, "the parameter \"%s\" is empty", hs_excerpt_of(hs_span_str(name)).text);
    }
}

static void
r10_client_id(struct hs_check *check, const struct request_view *view)
{
    struct hs_span id = hs_span_buf(hs_request_parameter(view, "client_id"));

    if (!hs_span_equal(id, hs_span_buf(&view->client)) && !hs_span_equal(id, hs_span_buf(&view->client_raw)))
        hs_check_find(check, "client_id is \"%s\", but the client that authenticates is \"%s\"", hs_excerpt_of(id).text,
                      hs_excerpt_of(hs_span_buf(&view->client)).text);
}

/* ---- Authentication ---- */

static void
r07_one_method(struct hs_check *check, const struct request_view *view)
{
    const bool ways[] = {hs_request_header_count(view, "authorization") > 0,
                         hs_request_parameter_count(view, "client_secret") > 0,
                         hs_request_parameter_count(view, "client_assertion") > 0};
    static const char *const names[] = {"an Authorization header", "client_secret", "client_assertion"};

    for (size_t i = 0; i < HS_ARRAY_LEN(ways); i++)
        for (size_t j = i + 1; j < HS_ARRAY_LEN(ways); j++)
            if (ways[i] && ways[j])
                hs_check_find(check, "there is %s and %s", names[i], names[j]);
}

static void
r12_basic(struct hs_check *check, const struct request_view *view)
{
    if (hs_request_header_count(view, "authorization") > 1)
        hs_check_find(check, "there is more than one Authorization header");
    else if (view->basic.len == 0)
        hs_check_find(check, "the Authorization header: %s", view->basic_err.text);
}

/* ---- What one family of servers wants ---- */

static void
demand_method(struct hs_check *check, const struct request_view *view)
{
    static const char *const words[] = {"with a client assertion", "with HTTP Basic", "with client_secret in the body"};
    const bool used[] = {hs_request_parameter_count(view, "client_assertion") > 0,
                         hs_request_header_count(view, "authorization") > 0,
                         hs_request_parameter_count(view, "client_secret") > 0};
    static const unsigned methods[] = {HS_AUTH_PRIVATE_KEY_JWT, HS_AUTH_SECRET_BASIC, HS_AUTH_SECRET_POST};

    for (size_t i = 0; i < HS_ARRAY_LEN(used); i++)
        if (used[i] && (check->server->auth_methods & methods[i]) == 0)
            hs_check_demand(check, "auth_methods", "the client authenticates %s, which %s does not take", words[i],
                            check->server->title);
}

static void
demand_scope(struct hs_check *check, const struct request_view *view)
{
    const struct hs_buf *scope = hs_request_parameter(view, "scope");

    if (scope == NULL || scope->len == 0)
        return;
    if (check->server->scope == HS_SCOPE_NOT_SENT)
        hs_check_warn(check, "scope is sent, which %s does not ask for", check->server->title);
    if (check->server->scope == HS_SCOPE_LITERAL && check->server->scope_literal != NULL &&
        !hs_span_equal_str(hs_span_buf(scope), check->server->scope_literal))
        hs_check_demand(check, "scope", "scope is \"%s\", but %s wants \"%s\", exactly so",
                        hs_excerpt_of(hs_span_buf(scope)).text, check->server->title, check->server->scope_literal);
}

static void
demand_parameters(struct hs_check *check, const struct request_view *view)
{
    const char *name = view->habits->parameter;
    const struct hs_buf *value = name != NULL ? hs_request_parameter(view, name) : NULL;

    if (check->server->sends_client_id && hs_request_parameter(view, "client_id") == NULL)
        hs_check_demand(check, "sends_client_id", "there is no client_id, which %s wants", check->server->title);
    if (name != NULL && (value == NULL || !hs_span_equal_str(hs_span_buf(value), view->habits->value)))
        hs_check_demand(check, name, "there is no %s=%s, which %s wants", name, view->habits->value,
                        check->server->title);
}

/* Whether the two halves could be form-encoded: nothing but what the encoding leaves, and its own signs. */
static bool
may_be_form_encoded(struct hs_span text)
{
    size_t colons = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool stays = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        colons += c == ':' ? 1 : 0;
        if (!stays && (c == 0 || strchr("-._*~%+:", c) == NULL))
            return false;
    }
    return colons == 1;
}

/* RFC 6749 section 2.3.1 has id and secret form-encoded first, and some families compare them as they are. Nothing of
 * the secret is shown. */
static void
demand_basic_form(struct hs_check *check, const struct request_view *view)
{
    struct hs_span text = hs_span_buf(&view->basic);

    if (text.len == 0 || (check->server->auth_methods & HS_AUTH_SECRET_BASIC) == 0)
        return;
    if (check->server->basic == HS_BASIC_RAW && memchr(text.data, '%', text.len) != NULL)
        hs_check_warn(check, "id or secret in the Basic header look form-encoded, but %s compares them as they are",
                      check->server->title);
    if (check->server->basic == HS_BASIC_FORM_ENCODED && !may_be_form_encoded(text))
        hs_check_warn(check, "id or secret in the Basic header are not form-encoded, which %s may expect (RFC 6749)",
                      check->server->title);
}

static void
r13_server(struct hs_check *check, const struct request_view *view)
{
    demand_method(check, view);
    demand_scope(check, view);
    demand_parameters(check, view);
    demand_basic_form(check, view);
}

/* ---- All of them ---- */

static const struct {
    const char *code;
    unsigned needs;
    void (*run)(struct hs_check *check, const struct request_view *view);
} rows[] = {
    {"R01", RQ_HTTP, r01_post},
    {"R02", RQ_HTTP, r02_content_type},
    {"R03", RQ_FORM, r03_grant_type},
    {"R04", RQ_FORM | RQ_NO_SECRET, r04_assertion_type},
    {"R05", RQ_FORM | RQ_NO_SECRET, r05_assertion},
    {"R06", RQ_FORM, hs_r06_scope},
    {"R07", RQ_FORM, r07_one_method},
    {"R08", RQ_FORM, r08_once},
    {"R09", RQ_URL, r09_url},
    {"R10", RQ_FORM | RQ_CLIENT_ID | RQ_CLIENT, r10_client_id},
    {"R11", RQ_HTTP, r11_accept},
    {"R12", RQ_HTTP | RQ_AUTHORIZATION, r12_basic},
    {"R13", RQ_FORM | RQ_SERVER, r13_server},
    {"R14", 0, r14_well_formed},
};

/* The rules of an assertion on the one that is in the request, for the URL that it is posted to. */
static void
check_assertion(struct hs_check *check, const struct request_view *view)
{
    const struct hs_buf *assertion = hs_request_parameter(view, "client_assertion");
    struct hs_assertion_expectation expectation = view->expected->assertion;

    if (assertion == NULL || assertion->len == 0)
        return;
    if (expectation.audience == NULL && view->url.len > 0 &&
        (check->server == NULL || check->server->audience == HS_AUDIENCE_TOKEN_ENDPOINT))
        expectation.audience = hs_buf_text(&view->url);
    hs_assertion_check(check, hs_span_buf(assertion), &expectation);
}

enum hsmart_code
hs_check_request(const struct hs_request *request, const struct hs_request_expectation *expectation,
                 struct hs_report *out_report, hsmart_err *err)
{
    struct hs_check check = {.server = expectation->assertion.server, .err = err};
    struct request_view view;

    hs_request_view_make(&check, request, expectation, &view);
    for (size_t r = 0; r < HS_ARRAY_LEN(rows) && check.code == HSMART_OK; r++) {
        unsigned lacking = rows[r].needs & ~view.have;
        if (lacking != 0) {
            hs_check_skip(&check, rows[r].code, hs_request_view_lack(lacking));
            continue;
        }
        hs_check_apply(&check, rows[r].code);
        rows[r].run(&check, &view);
    }
    if (check.code == HSMART_OK)
        check_assertion(&check, &view);
    hs_request_view_clear(&view);
    return hs_check_finish(&check, out_report);
}
