/* Where a FHIR read goes, which next page is followed, and what is made of the answers. */
#include "rows.h"

#include "bundle.h"
#include "err.h"
#include "fake_exchange.h"
#include "fhir.h"

#define BASE "https://ehr.example/a/fhir"

/* ---- Where to ---- */

static struct place {
    const char *name, *base, *reference;
    const char *url; /* NULL: refused */
    enum hsmart_code code;
} places[] = {
    {"relative", BASE, "Patient/1", BASE "/Patient/1", 0},
    {"a base with a slash", BASE "/", "Patient/1", BASE "/Patient/1", 0},
    {"a leading slash is below the base, too", BASE, "/Patient/1", BASE "/Patient/1", 0},
    {"a query", BASE, "Patient?name=a&_count=1", BASE "/Patient?name=a&_count=1", 0},
    {"a query with a bar", BASE, "Patient?identifier=urn:x|1", BASE "/Patient?identifier=urn:x|1", 0},
    {"an operation", BASE, "$export", BASE "/$export", 0},
    {"absolute", BASE, BASE "/Patient/1", BASE "/Patient/1", 0},
    {"absolute, outside the base", BASE, "https://ehr.example/other", "https://ehr.example/other", 0},
    {"the default port", BASE, "https://ehr.example:443/x", "https://ehr.example:443/x", 0},
    {"the host in capitals", BASE, "https://EHR.example/x", "https://EHR.example/x", 0},
    {"another host", BASE, "https://evil.example/x", NULL, HSMART_POLICY_REFUSED},
    {"another port", BASE, "https://ehr.example:8443/x", NULL, HSMART_POLICY_REFUSED},
    {"without TLS", BASE, "http://ehr.example/x", NULL, HSMART_POLICY_REFUSED},
    {"a host that begins alike", BASE, "https://ehr.example.evil.example/x", NULL, HSMART_POLICY_REFUSED},
    {"a user name", BASE, "https://ehr.example@evil.example/x", NULL, HSMART_POLICY_REFUSED},
    {"a backslash", BASE, "https://ehr.example\\@evil.example/x", NULL, HSMART_POLICY_REFUSED},
    {"no scheme", BASE, "//evil.example/x", NULL, HSMART_INVALID_ARGUMENT},
    {"another scheme", BASE, "file:///etc/passwd", NULL, HSMART_POLICY_REFUSED},
    {"a fragment", BASE, "Patient/1#x", NULL, HSMART_INVALID_ARGUMENT},
    {"nothing", BASE, "", NULL, HSMART_INVALID_ARGUMENT},
    {"a line end", BASE, "Patient/1\r\nX: y", NULL, HSMART_INVALID_ARGUMENT},
};

static void
a_reference_leads_to_a_url(void **state)
{
    const struct place *row = *state;
    struct hs_buf url = {0};
    hsmart_err err = {0};
    enum hsmart_code code = hs_fhir_url(row->base, row->reference, &url, &err);

    if (row->url != NULL && code != HSMART_OK)
        fail_msg("%s", err.text);
    assert_int_equal(code, row->code);
    assert_string_equal(hs_buf_text(&url), row->url != NULL ? row->url : "");
    assert_null(strstr(err.text, "passwd"));
    hs_buf_clear(&url);
}

/* ---- Next pages ---- */

#define BUNDLE(links) "{\"resourceType\":\"Bundle\",\"link\":[" links "],\"entry\":[]}"
#define LINK(relation, url) "{\"relation\":\"" relation "\",\"url\":\"" url "\"}"

static struct page {
    const char *name, *body;
    const char *next; /* "" none, NULL refused */
    enum hsmart_code code;
} pages[] = {
    {"a next link", BUNDLE(LINK("self", "x") "," LINK("next", BASE "/p2")), BASE "/p2", 0},
    {"a relative one", BUNDLE(LINK("next", "Patient?page=2")), BASE "/Patient?page=2", 0},
    {"only a query", BUNDLE(LINK("next", "?page=2")), BASE "/Patient?page=2", 0},
    {"escapes", BUNDLE(LINK("next", "https:\\/\\/ehr.example\\u002fx")), "https://ehr.example/x", 0},
    {"none", BUNDLE(LINK("self", "x")), "", 0},
    {"no links", "{\"resourceType\":\"Bundle\"}", "", 0},
    {"links first", "{\"link\":[" LINK("next", "x") "],\"resourceType\":\"Bundle\"}", BASE "/x", 0},
    {"white space everywhere", " { \"resourceType\" : \"Bundle\" , \"link\" : [ " LINK("next", "x") " ] } ", BASE "/x",
     0},
    {"another resource", "{\"resourceType\":\"Patient\",\"link\":[" LINK("next", "x") "]}", "", 0},
    {"a link inside a resource",
     "{\"resourceType\":\"Bundle\",\"entry\":[{\"resource\":{\"resourceType\":\"Bundle\",\"link\":[" LINK(
         "next", "https://evil.example/") "]}}]}",
     "", 0},
    {"a link inside a string", "{\"resourceType\":\"Bundle\",\"x\":\"\\\"link\\\":[{}]\"}", "", 0},
    {"brackets inside strings", "{\"a\":\"}]{[\\\\\",\"resourceType\":\"Bundle\",\"link\":[" LINK("next", "x") "]}",
     BASE "/x", 0},
    {"a link without url", BUNDLE("{\"relation\":\"next\"}"), "", 0},
    {"links that are no array", "{\"resourceType\":\"Bundle\",\"link\":{\"relation\":\"next\"}}", "", 0},
    {"another origin", BUNDLE(LINK("next", "https://evil.example/p2")), NULL, HSMART_POLICY_REFUSED},
    {"another scheme", BUNDLE(LINK("next", "ftp://ehr.example/p2")), NULL, HSMART_SERVER_FAILED},
    {"a host alone", BUNDLE(LINK("next", "//evil.example/p2")), NULL, HSMART_POLICY_REFUSED},
    {"a control character", BUNDLE(LINK("next", "x\\r\\ny")), NULL, HSMART_SERVER_FAILED},
    {"broken links", "{\"resourceType\":\"Bundle\",\"link\":[{\"relation\" \"next\"}]}", NULL, HSMART_SERVER_FAILED},
    {"cut off", "{\"resourceType\":\"Bundle\",\"link\":[{\"relation\":\"ne", NULL, HSMART_SERVER_FAILED},
    {"no JSON", "<html>", NULL, HSMART_SERVER_FAILED},
    {"nothing", "", NULL, HSMART_SERVER_FAILED},
    {"an array", "[]", NULL, HSMART_SERVER_FAILED},
    {"more closed than opened", "{\"a\":1]}", NULL, HSMART_SERVER_FAILED},
};

static void
a_next_page_is_found_or_refused(void **state)
{
    const struct page *row = *state;
    struct hs_buf next = {0};
    hsmart_err err = {0};
    enum hsmart_code code = hs_fhir_next(BASE "/Patient", span(row->body), &next, &err);

    if (code != row->code)
        fail_msg("%s: %s", hsmart_code_name(code), err.text);
    assert_string_equal(hs_buf_text(&next), row->next != NULL ? row->next : "");
    hs_buf_clear(&next);
}

/* ---- Reads ---- */

static unsigned issued;

static enum hsmart_code
issue(void *arg, struct hs_span refresh_token, bool patient, struct hs_access_token *out_access_token,
      int64_t *out_busy_s, hsmart_err *err)
{
    (void)arg, (void)refresh_token, (void)patient, (void)out_busy_s;
    *out_access_token = (struct hs_access_token){.sent_at_s = FAKE_NOW_S, .expires_at_s = FAKE_NOW_S + 300};
    assert_int_equal(hs_strdup("system/Patient.r", &out_access_token->scope, err), HSMART_OK);
    return hs_buf_append_format(&out_access_token->value, err, "t%u", ++issued);
}

struct reader {
    struct fake_exchange fake;
    struct hs_link link;
    struct hs_fhir fhir;
};

static void
reader_open(struct reader *reader, const struct fake_answer *answers, size_t count)
{
    struct hs_access_token_config config = {.issuer = {issue, NULL}};

    *reader = (struct reader){.fake = FAKE_EXCHANGE_OF(answers, count)};
    reader->link = fake_link(&reader->fake);
    config.time = reader->link.time;
    issued = 0;
    reader->fhir = (struct hs_fhir){.link = &reader->link, .base = BASE};
    assert_int_equal(hs_access_token_keeper_new(&config, &reader->fhir.access_tokens, NULL), HSMART_OK);
}

static void
reader_close(struct reader *reader)
{
    hs_access_token_keeper_free(reader->fhir.access_tokens);
    fake_exchange_clear(&reader->fake);
}

static struct reading {
    const char *name;
    struct fake_answer answers[3];
    enum hsmart_code code;
    unsigned requests, tokens;
    const char *text, *hint;
} readings[] = {
    {"200", {{NULL, 0, 0, 200, NULL, "{}", 0}}, HSMART_OK, 1, 1, NULL, NULL},
    {"401, then 200", {{NULL, 1, 0, 401, NULL, "", 0}, {NULL, 0, 0, 200, NULL, "{}", 0}}, HSMART_OK, 2, 2, NULL, NULL},
    {"401 for ever",
     {{NULL, 0, 0, 401, NULL, "", 0}},
     HSMART_SERVER_REFUSED,
     2,
     2,
     "cannot read \"Patient/1\": the server answered 401 with nothing",
     "it does not accept a new access token either"},
    {"403",
     {{NULL, 0, 0, 403, NULL, "no", 0}},
     HSMART_SERVER_REFUSED,
     1,
     1,
     "403 \"no\"",
     "the access token may lack a scope for this; granted: system/Patient.r"},
    {"404", {{NULL, 0, 0, 404, NULL, "no", 0}}, HSMART_SERVER_FAILED, 1, 1, "404 \"no\"", "check the path"},
    {"503, then 200", {{NULL, 1, 0, 503, NULL, "", 0}, {NULL, 0, 0, 200, NULL, "{}", 0}}, HSMART_OK, 2, 1, NULL, NULL},
    {"429 for ever", {{NULL, 0, 0, 429, NULL, "", 0}}, HSMART_SERVER_BUSY, 4, 1, "429", NULL},
    {"429 with an absurd wait",
     {{NULL, 0, 0, 429, "Retry-After: 1764000000000\r\n", "", 0}},
     HSMART_SERVER_BUSY,
     1,
     1,
     NULL,
     NULL},
    {"a redirect",
     {{NULL, 0, 0, 302, "Location: https://evil.example/secret?x=1\r\n", "", 0}},
     HSMART_SERVER_FAILED,
     1,
     1,
     "the server answered 302, a redirect to https://evil.example, which is not followed",
     "change the FHIR base"},
    {"a transport failure for ever",
     {{NULL, 0, HSMART_NETWORK_FAILED, 0, NULL, NULL, 0}},
     HSMART_NETWORK_FAILED,
     4,
     1,
     "told to fail",
     NULL},
    {"a TLS failure", {{NULL, 0, HSMART_TLS_FAILED, 0, NULL, NULL, 0}}, HSMART_TLS_FAILED, 1, 1, "told to fail", NULL},
};

static void
a_read_ends_so(void **state)
{
    const struct reading *row = *state;
    static struct reader reader;
    struct hs_http_response response = {0};
    hsmart_err err = {0};

    reader_open(&reader, row->answers, HS_ARRAY_LEN(row->answers));
    enum hsmart_code code = hs_fhir_get(&reader.fhir, "Patient/1", NULL, &response, &err);
    if (code != row->code)
        fail_msg("%s: %s", hsmart_code_name(code), err.text);
    assert_int_equal(reader.fake.request_count, row->requests);
    assert_int_equal(issued, row->tokens);
    if (row->text != NULL && strstr(err.text, row->text) == NULL)
        assert_string_equal(err.text, row->text);
    if (row->hint != NULL && strstr(err.hint, row->hint) == NULL)
        assert_string_equal(err.hint, row->hint);
    assert_string_equal(fake_header(&reader.fake, 0, "Authorization"), "Bearer t1");
    assert_string_equal(fake_header(&reader.fake, 0, "Accept"), "application/fhir+json");
    assert_null(strstr(reader.fake.log, "t1"));
    hs_http_response_clear(&response);
    reader_close(&reader);
}

/* The second answer is not about the age of the access token: to give it up, too, would cost two token requests a read
 * where a server has a fault, and many allow few. */
static void
a_server_that_accepts_none_costs_one_token_request_a_read(void **state)
{
    (void)state;
    static const struct fake_answer answers[] = {{NULL, 0, 0, 401, NULL, "", 0}};
    static struct reader reader;

    reader_open(&reader, answers, HS_ARRAY_LEN(answers));
    for (unsigned reads = 1; reads <= 3; reads++) {
        struct hs_http_response response = {0};
        assert_int_equal(hs_fhir_get(&reader.fhir, "Patient/1", NULL, &response, NULL), HSMART_SERVER_REFUSED);
        assert_int_equal(reader.fake.request_count, 2 * reads);
        assert_int_equal(issued, reads + 1);
        hs_http_response_clear(&response);
    }
    reader_close(&reader);
}

static void
nothing_is_sent_to_another_origin(void **state)
{
    (void)state;
    static const struct fake_answer answers[] = {{NULL, 0, 0, 200, NULL, "{}", 0}};
    static struct reader reader;
    struct hs_http_response response = {0};
    hsmart_err err = {0};

    reader_open(&reader, answers, HS_ARRAY_LEN(answers));
    assert_int_equal(hs_fhir_get(&reader.fhir, "https://evil.example/Patient/1?secret", NULL, &response, &err),
                     HSMART_POLICY_REFUSED);
    assert_int_equal(reader.fake.request_count, 0);
    assert_int_equal(issued, 0);
    assert_null(strstr(err.text, "secret"));
    reader_close(&reader);
}

/* ---- All pages ---- */

static enum hsmart_code
count_page(void *arg, const struct hs_fhir_page *page, hsmart_err *err)
{
    unsigned *pages_seen = arg;

    assert_int_equal(page->number, ++*pages_seen);
    assert_non_null(page->response->body.data);
    return *pages_seen == 5 ? hs_err_set(err, HSMART_OUTPUT_FAILED, "that is enough") : HSMART_OK;
}

static struct walk {
    const char *name;
    struct fake_answer answers[4];
    enum hsmart_code code;
    unsigned pages;
    const char *text;
} walks[] = {
    {"two pages",
     {{"/p2", 0, 0, 200, NULL, BUNDLE(""), 0}, {NULL, 0, 0, 200, NULL, BUNDLE(LINK("next", "p2")), 0}},
     HSMART_OK,
     2,
     NULL},
    {"no Bundle", {{NULL, 0, 0, 200, NULL, "{\"resourceType\":\"Patient\"}", 0}}, HSMART_OK, 1, NULL},
    {"a page that is itself",
     {{NULL, 0, 0, 200, NULL, BUNDLE(LINK("next", "Patient")), 0}},
     HSMART_SERVER_FAILED,
     1,
     "page 1 leads back to one that was read already"},
    {"a circle",
     {{"/p2", 0, 0, 200, NULL, BUNDLE(LINK("next", "p3")), 0},
      {"/p3", 0, 0, 200, NULL, BUNDLE(LINK("next", "p2")), 0},
      {NULL, 0, 0, 200, NULL, BUNDLE(LINK("next", "p2")), 0}},
     HSMART_SERVER_FAILED,
     3,
     "page 3 leads back"},
    {"a page elsewhere, after this one was handed over",
     {{NULL, 0, 0, 200, NULL, BUNDLE(LINK("next", "https://evil.example/")), 0}},
     HSMART_POLICY_REFUSED,
     1,
     "the next page is on another server"},
    {"a page that fails",
     {{"/p2", 0, 0, 404, NULL, "", 0}, {NULL, 0, 0, 200, NULL, BUNDLE(LINK("next", "p2")), 0}},
     HSMART_SERVER_FAILED,
     1,
     "404"},
    {"a reader that has enough",
     {{"/p2", 0, 0, 200, NULL, BUNDLE(LINK("next", "p3")), 0},
      {"/p3", 0, 0, 200, NULL, BUNDLE(LINK("next", "p4")), 0},
      {"/p4", 0, 0, 200, NULL, BUNDLE(LINK("next", "p5")), 0},
      {NULL, 0, 0, 200, NULL, BUNDLE(LINK("next", "p2")), 0}},
     HSMART_OUTPUT_FAILED,
     5,
     "that is enough"},
};

static void
a_walk_ends_so(void **state)
{
    const struct walk *row = *state;
    static struct reader reader;
    unsigned pages_seen = 0;
    hsmart_err err = {0};

    reader_open(&reader, row->answers, HS_ARRAY_LEN(row->answers));
    enum hsmart_code code = hs_fhir_get_all(&reader.fhir, "Patient", NULL, count_page, &pages_seen, &err);
    if (code != row->code)
        fail_msg("%s: %s", hsmart_code_name(code), err.text);
    assert_int_equal(pages_seen, row->pages);
    if (row->text != NULL && strstr(err.text, row->text) == NULL)
        assert_string_equal(err.text, row->text);
    reader_close(&reader);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, a_reference_leads_to_a_url, places);
    ADD_ROWS(&rows, a_next_page_is_found_or_refused, pages);
    ADD_ROWS(&rows, a_read_ends_so, readings);
    ADD_TEST(&rows, a_server_that_accepts_none_costs_one_token_request_a_read);
    ADD_TEST(&rows, nothing_is_sent_to_another_origin);
    ADD_ROWS(&rows, a_walk_ends_so, walks);
    return rows_run("fhir", &rows);
}
