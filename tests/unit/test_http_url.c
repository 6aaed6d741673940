/* URLs, by libcurl's parser and our own rules. */
#include "rows.h"

#include "http.h"

/* ---- Origins ---- */

static struct origin {
    const char *name, *url, *origin;
} origins[] = {
    {"a host", "https://ehr.example", "https://ehr.example"},
    {"path and query are left out", "https://ehr.example/a/b?c=d", "https://ehr.example"},
    {"another port stays", "https://ehr.example:8443/a", "https://ehr.example:8443"},
    {"the default port is left out", "https://ehr.example:443/a", "https://ehr.example"},
    {"the default port of http", "http://ehr.example:80", "http://ehr.example"},
    {"the port of the other scheme stays", "https://ehr.example:80", "https://ehr.example:80"},
    {"capitals", "HTTPS://EHR.Example/A", "https://ehr.example"},
    {"an IPv4 address", "http://127.0.0.1:8080/x", "http://127.0.0.1:8080"},
    {"an IPv4 address in another spelling", "http://0x7f.1/", "http://127.0.0.1"},
    {"an IPv6 address", "https://[2001:DB8::1]:9443/x", "https://[2001:db8::1]:9443"},
};

static void
a_url_has_an_origin(void **state)
{
    const struct origin *row = *state;
    struct hs_buf origin = {0};

    assert_int_equal(hs_http_origin(row->url, &origin, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&origin), row->origin);
    hs_buf_clear(&origin);
}

static struct origin no_urls[] = {
    {"nothing", "", "the URL does not begin with https://"},
    {"no scheme", "ehr.example/a", "the URL does not begin with https://"},
    {"another scheme", "ftp://ehr.example", "the URL does not begin with https://"},
    {"a file", "file:///etc/passwd", "the URL does not begin with https://"},
    {"one slash", "https:/ehr.example", "the URL does not begin with https://"},
    {"three slashes", "https:///ehr.example", "the URL has no host"},
    {"no host", "https://", "the URL has no host"},
    {"a port without host", "https://:443/", "the URL has no host"},
    {"a user", "https://secret@ehr.example/", "the URL has user information before its host"},
    {"a user and a password", "https://a:secret@ehr.example/", "the URL has user information before its host"},
    {"a space", "https://ehr.example/a b", "the URL has 0x20 at byte 21, which must be escaped"},
    {"a line feed", "https://ehr.example/a\nb", "the URL has 0x0a at byte 21, which must be escaped"},
    {"a backslash", "https://ehr.example\\@evil.example/", "the URL has 0x5c at byte 19, which must be escaped"},
    {"a host beyond ASCII", "https://ehr.ex\xc3\xa4mple/", "the URL has 0xc3 at byte 14, which must be escaped"},
    {"a port that is too large", "https://ehr.example:65536/", "the URL has a port that is no port"},
    {"a port that is no number", "https://ehr.example:x/", "the URL has a port that is no port"},
    {"an IPv6 address that is none", "https://[::g]/", "the URL has a host that is no IPv6 address"},
    {"a percent escape in the host", "https://ehr%0a.example/", "the URL has a percent escape in its host"},
    {"one that would be decoded", "https://lo%63alhost/", "the URL has a percent escape in its host"},
};

static void
what_is_no_url_is_refused_without_being_repeated(void **state)
{
    const struct origin *row = *state;
    struct hs_buf origin = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_http_origin(row->url, &origin, &err), HSMART_INVALID_ARGUMENT);
    assert_string_equal(err.text, row->origin);
    assert_null(origin.data);
}

static void
a_url_that_is_too_long_is_refused(void **state)
{
    (void)state;
    struct hs_buf url = {0}, origin = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_buf_append_str(&url, "https://ehr.example/", NULL), HSMART_OK);
    assert_int_equal(hs_buf_resize(&url, 70000, NULL), HSMART_OK);
    memset(url.data + 20, 'a', 70000 - 20);
    assert_int_equal(hs_http_origin(hs_buf_text(&url), &origin, &err), HSMART_INVALID_ARGUMENT);
    assert_string_equal(err.text, "the URL is longer than 65536 bytes");
    hs_buf_clear(&url);
}

static struct pair {
    const char *name, *a, *b;
    bool same;
} pairs[] = {
    {"other paths", "https://h.example/a", "https://h.example/b?c", true},
    {"the default port, told and untold", "https://h.example/", "https://h.example:443/", true},
    {"capitals", "https://h.example/", "HTTPS://H.EXAMPLE/", true},
    {"another scheme", "https://h.example/", "http://h.example/", false},
    {"another scheme on the same port", "https://h.example:80/", "http://h.example/", false},
    {"another port", "https://h.example/", "https://h.example:8443/", false},
    {"another host", "https://h.example/", "https://i.example/", false},
    {"a host that begins like it", "https://h.example/", "https://h.example.evil/", false},
    {"a host below it", "https://h.example/", "https://a.h.example/", false},
    {"a user", "https://h.example/", "https://h.example@evil.example/", false},
    {"what is no URL", "/a", "/a", false},
    {"nothing", "", "", false},
};

static void
origins_are_compared(void **state)
{
    const struct pair *row = *state;

    assert_int_equal(hs_http_same_origin(row->a, row->b), row->same);
    assert_int_equal(hs_http_same_origin(row->b, row->a), row->same);
}

/* ---- References ---- */

#define BASE "http://a/b/c/d;p?q"
static struct reference {
    const char *name, *base, *reference, *url;
} references[] = {
    /* RFC 3986 section 5.4.1 */
    {"g", BASE, "g", "http://a/b/c/g"},
    {"./g", BASE, "./g", "http://a/b/c/g"},
    {"g/", BASE, "g/", "http://a/b/c/g/"},
    {"/g", BASE, "/g", "http://a/g"},
    {"//g", BASE, "//g", "http://g/"},
    {"?y", BASE, "?y", "http://a/b/c/d;p?y"},
    {"g?y", BASE, "g?y", "http://a/b/c/g?y"},
    {"#s", BASE, "#s", "http://a/b/c/d;p?q#s"},
    {"g#s", BASE, "g#s", "http://a/b/c/g#s"},
    {"g?y#s", BASE, "g?y#s", "http://a/b/c/g?y#s"},
    {";x", BASE, ";x", "http://a/b/c/;x"},
    {"g;x", BASE, "g;x", "http://a/b/c/g;x"},
    {"g;x?y#s", BASE, "g;x?y#s", "http://a/b/c/g;x?y#s"},
    {"an empty reference", BASE, "", "http://a/b/c/d;p?q"},
    {".", BASE, ".", "http://a/b/c/"},
    {"./", BASE, "./", "http://a/b/c/"},
    {"..", BASE, "..", "http://a/b/"},
    {"../", BASE, "../", "http://a/b/"},
    {"../g", BASE, "../g", "http://a/b/g"},
    {"../..", BASE, "../..", "http://a/"},
    {"../../", BASE, "../../", "http://a/"},
    {"../../g", BASE, "../../g", "http://a/g"},
    /* section 5.4.2 */
    {"../../../g", BASE, "../../../g", "http://a/g"},
    {"../../../../g", BASE, "../../../../g", "http://a/g"},
    {"/./g", BASE, "/./g", "http://a/g"},
    {"/../g", BASE, "/../g", "http://a/g"},
    {"g.", BASE, "g.", "http://a/b/c/g."},
    {".g", BASE, ".g", "http://a/b/c/.g"},
    {"g..", BASE, "g..", "http://a/b/c/g.."},
    {"..g", BASE, "..g", "http://a/b/c/..g"},
    {"./../g", BASE, "./../g", "http://a/b/g"},
    {"./g/.", BASE, "./g/.", "http://a/b/c/g/"},
    {"g/./h", BASE, "g/./h", "http://a/b/c/g/h"},
    {"g/../h", BASE, "g/../h", "http://a/b/c/h"},
    {"g;x=1/./y", BASE, "g;x=1/./y", "http://a/b/c/g;x=1/y"},
    {"g;x=1/../y", BASE, "g;x=1/../y", "http://a/b/c/y"},
    {"g?y/./x", BASE, "g?y/./x", "http://a/b/c/g?y/./x"},
    {"g?y/../x", BASE, "g?y/../x", "http://a/b/c/g?y/../x"},
    {"g#s/../x", BASE, "g#s/../x", "http://a/b/c/g#s/../x"},
    /* what FHIR servers and discovery documents hold */
    {"a relative resource", "https://h.example/fhir/", "Patient/1?_count=2", "https://h.example/fhir/Patient/1?_count=2"},
    {"a base without a slash", "https://h.example/fhir", "auth/token", "https://h.example/auth/token"},
    {"a base without a path", "https://h.example", "token", "https://h.example/token"},
    {"slashes in the base's query", "https://h.example/a?b=/c/d", "e", "https://h.example/e"},
    {"a colon behind a slash", "https://h.example/fhir/", "./a:b", "https://h.example/fhir/a:b"},
    {"a token of a search", "https://h.example/fhir/", "Patient?identifier=urn:x|1",
     "https://h.example/fhir/Patient?identifier=urn:x|1"},
    {"an absolute one stays byte for byte", "https://h.example/", "HTTPS://I.Example:443/a/../b?c",
     "HTTPS://I.Example:443/a/../b?c"},
};

static void
a_reference_is_resolved(void **state)
{
    const struct reference *row = *state;
    struct hs_buf url = {0};

    assert_int_equal(hs_http_resolve(row->base, row->reference, &url, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&url), row->url);
    hs_buf_clear(&url);
}

static struct reference bad_references[] = {
    {"a script", BASE, "javascript:alert(1)", NULL},
    {"another scheme", BASE, "ftp://a/b", NULL},
    {"a file", BASE, "file:///etc/passwd", NULL},
    {"a user", BASE, "https://u:p@evil.example/", NULL},
    {"a user without scheme", BASE, "//u:p@evil.example/", NULL},
    {"a line feed", BASE, "a\nb", NULL},
    {"a base that is none", "/a/b", "c", NULL},
    {"a base that is no URL, under a reference that is one", "", "//c/d", NULL},
};

static void
a_reference_elsewhere_is_refused(void **state)
{
    const struct reference *row = *state;
    struct hs_buf url = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_http_resolve(row->base, row->reference, &url, &err), HSMART_INVALID_ARGUMENT);
    assert_null(url.data);
    assert_null(strstr(err.text, "evil"));
}

int
main(void)
{
    struct rows rows = {0};

    ADD_ROWS(&rows, a_url_has_an_origin, origins);
    ADD_ROWS(&rows, what_is_no_url_is_refused_without_being_repeated, no_urls);
    ADD_TEST(&rows, a_url_that_is_too_long_is_refused);
    ADD_ROWS(&rows, origins_are_compared, pairs);
    ADD_ROWS(&rows, a_reference_is_resolved, references);
    ADD_ROWS(&rows, a_reference_elsewhere_is_refused, bad_references);
    return rows_run("http_url", &rows);
}
