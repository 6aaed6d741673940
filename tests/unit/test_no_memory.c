/* Every allocation of ours fails once: the answer is HSMART_NO_MEMORY, outputs stay untouched, nothing leaks (the
 * sanitizers watch). Linked with --wrap for malloc, calloc and strdup, so that the libraries' own are left alone. */
#include "rows.h"

#include "assertion.h"
#include "base64url.h"
#include "check.h"
#include "err.h"
#include "failing_malloc.h"
#include "jws.h"
#include "software_signer.h"

static struct hs_signer *signer;
static const char key_json[] = "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\",\"alg\":\"ES256\",\"use\":\"sig\","
                               "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                               "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";

/* ---- One operation each; on failure its output must be as before ---- */

static enum hsmart_code
sign_assertion(hsmart_err *err)
{
    const hsmart_assertion_options options = {.client_id = "app", .audience = "https://ehr.example/token"};
    struct hs_buf text = {0};
    enum hsmart_code code = hs_assertion_sign(signer, &options, &text, err);

    assert_int_equal(text.data != NULL, code == HSMART_OK);
    hs_buf_clear(&text);
    return code;
}

static enum hsmart_code
parse_json(hsmart_err *err)
{
    struct hs_json_doc doc = {0};
    enum hsmart_code code = hs_json_parse(span("{\"a\":[18446744073709551616,{\"b\":\"c\"}]}"), &doc, err);

    assert_int_equal(doc.root != NULL, code == HSMART_OK);
    hs_json_doc_clear(&doc);
    return code;
}

static enum hsmart_code
parse_jwk(hsmart_err *err)
{
    struct hs_json_doc doc = {0};
    struct hs_jwk jwk = {0};
    enum hsmart_code code = hs_json_parse(span(key_json), &doc, err);

    if (code == HSMART_OK)
        code = hs_jwk_parse(doc.root, &jwk, err);
    assert_int_equal(jwk.pkey != NULL, code == HSMART_OK);
    hs_jwk_clear(&jwk);
    hs_json_doc_clear(&doc);
    return code;
}

static enum hsmart_code
parse_jws(hsmart_err *err)
{
    struct hs_jws jws = {0};
    enum hsmart_code code = hs_jws_parse(span("eyJhbGciOiJSUzM4NCJ9.eyJpc3MiOiJhIn0.AQID"), &jws, err);

    assert_int_equal(jws.header.root != NULL, code == HSMART_OK);
    hs_jws_clear(&jws);
    return code;
}

static enum hsmart_code
verify(hsmart_err *err)
{
    static const uint8_t signature[96] = {1};
    enum hsmart_code code = hs_jwk_verify(signer->jwk, signer->alg, span("x"), HS_SPAN_OF(signature), err);

    return code == HSMART_SIGNATURE_WRONG ? HSMART_OK : code;
}

static enum hsmart_code
make_set(hsmart_err *err)
{
    struct hs_jwks set = {0};
    struct hs_buf text = {0};
    enum hsmart_code code = HSMART_OK;
    static const char *const kids[] = {"c", "a", "b"};

    for (size_t i = 0; i < HS_ARRAY_LEN(kids) && code == HSMART_OK; i++) {
        code = hs_jwks_add(&set, signer->jwk, kids[i], NULL, err);
        assert_int_equal(set.count, i + (code == HSMART_OK));
    }
    if (code == HSMART_OK)
        code = hs_jwks_format(&set, &text, err);
    assert_int_equal(text.data != NULL, code == HSMART_OK);
    hs_buf_clear(&text);
    hs_jwks_clear(&set);
    return code;
}

static enum hsmart_code
format_pem(hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = hs_jwk_format_pem(signer->jwk, &text, err);

    hs_buf_clear(&text);
    return code;
}

static enum hsmart_code
check_set(hsmart_err *err)
{
    struct hs_report report = {0};
    static const char set[] =
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"=\",\"x5c\":[\"AAAA\"]}]}";
    enum hsmart_code code = hs_check_jwks(span(set), NULL, &report, err);

    assert_int_equal(report.verdicts != NULL, code == HSMART_OK);
    hs_report_clear(&report);
    return code;
}

/* An assertion is in it, so that its rules are applied, too. */
static enum hsmart_code
check_request(hsmart_err *err)
{
    static const char raw[] =
        "POST /token HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YTpi\r\n\r\ngrant_type=x&scope=a%20b&"
        "client_assertion=eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.eyJpc3MiOiJhIiwic3ViIjoiYSJ9.AQID&client_id=a";
    static const struct hs_request_expectation expectation = {
        .token_url = "https://a.example/token",
        .assertion = {.jwks = {(const uint8_t *)"{\"keys\":[{\"kid\":\"k\"}]}", 21}, .now_s = 1700000000}};
    struct hs_request request = {0};
    struct hs_report report = {0};
    enum hsmart_code code = hs_request_parse(span(raw), &request, err);

    assert_int_equal(request.headers != NULL, code == HSMART_OK);
    if (code == HSMART_OK)
        code = hs_check_request(&request, &expectation, &report, err);
    assert_int_equal(report.verdicts != NULL, code == HSMART_OK);
    hs_report_clear(&report);
    hs_request_clear(&request);
    return code;
}

static struct operation {
    const char *name;
    enum hsmart_code (*run)(hsmart_err *err);
    unsigned least; /* allocations of ours that it makes at least */
} operations[] = {
    {"signing an assertion", sign_assertion, 5},
    {"reading JSON", parse_json, 1},
    {"reading a JWK", parse_jwk, 10},
    {"reading a JWS", parse_jws, 5},
    {"verifying", verify, 0},
    {"checking a key set", check_set, 20},
    {"checking a token request", check_request, 40},
    {"making a set", make_set, 15},
    {"writing PEM", format_pem, 1},
};

#define ALLOCATIONS_MAX 1000U

static void
lack_of_memory_is_told_at_every_step(void **state)
{
    const struct operation *row = *state;
    enum hsmart_code code = HSMART_NO_MEMORY;
    unsigned n;

    for (n = 0; n < ALLOCATIONS_MAX && code != HSMART_OK; n++) {
        hsmart_err err = {0};
        hs_test_fail_allocation(n);
        code = row->run(&err);
        (void)hs_test_end_failing();
        if (code != HSMART_OK) {
            assert_int_equal(code, HSMART_NO_MEMORY);
            assert_int_equal(err.code, HSMART_NO_MEMORY);
            assert_non_null(strstr(err.text, "out of memory"));
        }
    }
    assert_int_equal(code, HSMART_OK);
    assert_true(n > row->least);
}

int
main(void)
{
    static struct rows rows;

    signer = software_signer_generate("ES384", 0, "k");
    if (signer == NULL)
        return 1;
    ADD_ROWS(&rows, lack_of_memory_is_told_at_every_step, operations);
    int failed = rows_run("no memory", &rows);
    hs_signer_free(signer);
    return failed;
}
