/* The rules on a token request: each row breaks one thing in a request that is good otherwise. */
#include "check_rows.h"

#include <stdlib.h>

#include "jws.h"
#include "servers.h"
#include "software_signer.h"

#define NOW INT64_C(1700000000)
#define URL "https://ehr.example/oauth2/token"
#define CLIENT "a b:c+d%"
#define SECRET "hunter2-8002180021"
#define E HS_SEVERITY_ERROR
#define W HS_SEVERITY_WARNING

static struct hs_signer *signer;
static char *jwt;

static char *
sign(const char *client)
{
    char payload[512];
    struct hs_buf text = {0};
    char *out = NULL;

    (void)snprintf(payload, sizeof payload,
                   "{\"iss\":\"%s\",\"sub\":\"%s\",\"aud\":\"" URL
                   "\",\"exp\":1700000240,\"iat\":1700000000,\"jti\":\"j\"}",
                   client, client);
    if (hs_jws_sign(signer, hs_span_str("{\"alg\":\"ES384\",\"kid\":\"e\",\"typ\":\"JWT\"}"), hs_span_str(payload),
                    &text, NULL) != HSMART_OK ||
        hs_buf_take_text(&text, &out, NULL) != HSMART_OK)
        abort();
    return out;
}

static const char *
lookup(const char *name)
{
    assert_string_equal(name, "jwt");
    return jwt;
}

/* ---- Pieces of a good request ---- */

#define LINE "POST /oauth2/token HTTP/1.1\r\n"
#define HOST "Host: ehr.example\r\n"
#define TYPE "Content-Type: application/x-www-form-urlencoded\r\n"
#define ACCEPT "Accept: application/json\r\n"
#define HEADERS HOST TYPE ACCEPT
#define GRANT "grant_type=client_credentials"
#define SCOPE "&scope=system%2FPatient.rs+system%2FObservation.read"
#define ASSERTION_TYPE "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
#define ASSERTION "&client_assertion=@jwt@"
#define BODY GRANT SCOPE ASSERTION_TYPE ASSERTION
#define REQUEST(headers, body) LINE headers "\r\n" body
/* "a%20b%3Ac%2Bd%25:hunter2" */
#define BASIC "Authorization: Basic YSUyMGIlM0FjJTJCZCUyNTpodW50ZXIy\r\n"

static struct row {
    const char *name, *code;
    enum hs_severity severity;
    const char *text_part, *text;
    const char *server;
    const char *skipped; /* a rule that is skipped then */
} request_rows[] = {
    {"a good one", NULL, E, NULL, REQUEST(HEADERS, BODY), NULL, "R12"},
    {"line ends without CR", NULL, E, NULL,
     "POST /oauth2/token HTTP/1.1\nHost: "
     "ehr.example\nContent-Type:application/x-www-form-urlencoded\nAccept:\tapplication/json \n\n" BODY "\n",
     NULL, "R13"},
    {"a query of the token endpoint's own", NULL, E, NULL, "POST /oauth2/token?x=1 HTTP/1.1\r\n" HEADERS "\r\n" BODY,
     NULL, NULL},
    {"HTTP/1.0", NULL, E, NULL, "POST /oauth2/token HTTP/1.0\r\n" HEADERS "\r\n" BODY, NULL, NULL},
    {"HTTP Basic", NULL, E, NULL, REQUEST(HEADERS BASIC, GRANT SCOPE), NULL, "R05"},
    {"a secret in the body", NULL, E, NULL, REQUEST(HEADERS, GRANT SCOPE "&client_id=x&client_secret=" SECRET), NULL,
     "R04"},
    {"a client_id that is sub", NULL, E, NULL, REQUEST(HEADERS, BODY "&client_id=a+b%3Ac%2Bd%25"), NULL, NULL},
    {"a client_id that is the id of a Basic header", NULL, E, NULL,
     REQUEST(HEADERS BASIC, GRANT SCOPE "&client_id=a%20b%3Ac%2Bd%25"), NULL, NULL},
    {"SMART 2 scopes with a query", NULL, E, NULL,
     REQUEST(HEADERS,
             GRANT "&scope=system%2F*.cruds%20system%2FObservation.rs%3Fcategory%3Dx" ASSERTION_TYPE ASSERTION),
     NULL, NULL},
    {"a length that fits, with a line end behind the body", NULL, E, NULL,
     REQUEST(HEADERS BASIC "Content-Length: 29\r\n", GRANT) "\n", "keycloak", NULL},
    {"no scope for a server that takes none", NULL, E, NULL, REQUEST(HEADERS, GRANT ASSERTION_TYPE ASSERTION),
     "keycloak", NULL},

    {"GET", "R01", E, "the method is \"GET\"", "GET /oauth2/token HTTP/1.1\r\n" HEADERS "\r\n" BODY, NULL, NULL},
    {"a parameter in the URL", "R01", E, "\"client_id\" is in the URL",
     "POST /oauth2/token?client_id=x HTTP/1.1\r\n" HEADERS "\r\n" BODY, NULL, NULL},
    {"no Content-Type", "R02", E, "no Content-Type", REQUEST(HOST ACCEPT, BODY), NULL, NULL},
    {"two Content-Type", "R02", E, "more than one", REQUEST(HEADERS TYPE, BODY), NULL, NULL},
    {"JSON as Content-Type", "R02", E, "\"application/json\"",
     REQUEST(HOST ACCEPT "Content-Type: application/json\r\n", BODY), NULL, NULL},
    {"a charset", "R02", W, "compare it",
     REQUEST(HOST ACCEPT "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n", BODY), NULL, NULL},
    {"a form's type in another case", "R02", W, "compare it",
     REQUEST(HOST ACCEPT "Content-Type: Application/X-WWW-Form-urlencoded\r\n", BODY), NULL, NULL},
    {"another type that begins so", "R02", E, "must be",
     REQUEST(HOST ACCEPT "Content-Type: application/x-www-form-urlencodedx\r\n", BODY), NULL, NULL},
    {"no grant_type", "R03", E, "no grant_type", REQUEST(HEADERS, SCOPE ASSERTION_TYPE ASSERTION), NULL, NULL},
    {"the JWT bearer grant", "R03", E, "as a grant",
     REQUEST(HEADERS,
             "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer" SCOPE ASSERTION_TYPE ASSERTION),
     NULL, NULL},
    {"no client_assertion_type", "R04", E, "no client_assertion_type", REQUEST(HEADERS, GRANT SCOPE ASSERTION), NULL,
     NULL},
    {"another client_assertion_type", "R04", E, "\"jwt\"",
     REQUEST(HEADERS, GRANT SCOPE "&client_assertion_type=jwt" ASSERTION), NULL, NULL},
    {"nothing to authenticate with", "R05", E, "no client_assertion", REQUEST(HEADERS, GRANT SCOPE ASSERTION_TYPE),
     NULL, NULL},
    {"two assertions", "R05", E, "there are 2", REQUEST(HEADERS, BODY ASSERTION), NULL, NULL},
    {"no scope", "R06", E, "no scope", REQUEST(HEADERS, GRANT ASSERTION_TYPE ASSERTION), NULL, NULL},
    {"a user scope", "R06", E, "\"user/Patient.rs\" is no system scope",
     REQUEST(HEADERS, GRANT "&scope=user%2FPatient.rs" ASSERTION_TYPE ASSERTION), NULL, NULL},
    {"a user scope beside a good one", "R06", W, "\"user/Patient.rs\" is no system scope",
     REQUEST(HEADERS, GRANT "&scope=user%2FPatient.rs+system%2FObservation.rs" ASSERTION_TYPE ASSERTION), NULL, NULL},
    {"a scope of no level", "R06", E, "\"openid\" is no system scope",
     REQUEST(HEADERS, GRANT "&scope=openid" ASSERTION_TYPE ASSERTION), NULL, NULL},
    {"words of a family of its own", "R06", W, "is no system scope",
     REQUEST(HEADERS, GRANT "&scope=athena%2Fservice%2FAthenanet.MDP.*" ASSERTION_TYPE ASSERTION), "athena", NULL},
    {"such words where the family has none", "R06", E, "is no system scope",
     REQUEST(HEADERS, GRANT "&scope=athena%2Fservice%2FAthenanet.MDP.*" ASSERTION_TYPE ASSERTION), "smart", NULL},
    {"permissions out of order", "R06", E, "in this order",
     REQUEST(HEADERS, GRANT "&scope=system%2FPatient.sr" ASSERTION_TYPE ASSERTION), NULL, NULL},
    {"permissions out of order beside a good scope", "R06", W, "in this order",
     REQUEST(HEADERS, GRANT "&scope=system%2FPatient.sr+system%2FObservation.rs" ASSERTION_TYPE ASSERTION), NULL, NULL},
    {"no permissions", "R06", E, "system/TYPE.PERMISSIONS",
     REQUEST(HEADERS, GRANT "&scope=system%2FPatient" ASSERTION_TYPE ASSERTION), NULL, NULL},
    {"permissions that are empty", "R06", E, "in this order",
     REQUEST(HEADERS, GRANT "&scope=system%2FPatient." ASSERTION_TYPE ASSERTION), NULL, NULL},
    {"a type in lower case", "R06", E, "begin with a capital letter",
     REQUEST(HEADERS, GRANT "&scope=system%2Fpatient.rs" ASSERTION_TYPE ASSERTION), NULL, NULL},
    {"a type in lower case beside a good one", "R06", W, "begin with a capital letter",
     REQUEST(HEADERS, GRANT "&scope=system%2Fpatient.rs+system%2FObservation.rs" ASSERTION_TYPE ASSERTION), NULL, NULL},
    {"a type with a star in it", "R06", E, "begin with a capital letter",
     REQUEST(HEADERS, GRANT "&scope=system%2FPat*.rs" ASSERTION_TYPE ASSERTION), NULL, NULL},
    {"two stars as a type", "R06", E, "begin with a capital letter",
     REQUEST(HEADERS, GRANT "&scope=system%2F**.rs" ASSERTION_TYPE ASSERTION), NULL, NULL},
    {"a type with a digit in it", "R06", E, "begin with a capital letter",
     REQUEST(HEADERS, GRANT "&scope=system%2FPatient2.rs" ASSERTION_TYPE ASSERTION), NULL, NULL},
    {"no type", "R06", E, "system/TYPE.PERMISSIONS",
     REQUEST(HEADERS, GRANT "&scope=system%2F.rs" ASSERTION_TYPE ASSERTION), NULL, NULL},
    {"Basic beside an assertion", "R07", E, "an Authorization header and client_assertion",
     REQUEST(HEADERS BASIC, BODY), NULL, NULL},
    {"a secret beside an assertion", "R07", E, "client_secret and client_assertion",
     REQUEST(HEADERS, BODY "&client_secret=" SECRET), NULL, NULL},
    {"a scope twice", "R08", E, "\"scope\" is there 2 times", REQUEST(HEADERS, BODY SCOPE), NULL, NULL},
    {"an empty parameter", "R08", E, "\"resource\" is empty", REQUEST(HEADERS, BODY "&resource="), NULL, NULL},
    {"another client_id", "R10", E, "client_id is \"x\", but the client that authenticates is \"" CLIENT "\"",
     REQUEST(HEADERS, BODY "&client_id=x"), NULL, NULL},
    {"no Accept", "R11", W, "no Accept", REQUEST(HOST TYPE, BODY), NULL, NULL},
    {"Accept for anything", "R11", W, "\"*/*\"", REQUEST(HOST TYPE "Accept: */*\r\n", BODY), NULL, NULL},
    {"basic in lower case", "R12", E, "exactly so", REQUEST(HEADERS "Authorization: basic YTpi\r\n", GRANT SCOPE), NULL,
     NULL},
    {"Bearer", "R12", E, "exactly so", REQUEST(HEADERS "Authorization: Bearer YTpi\r\n", GRANT SCOPE), NULL, NULL},
    {"Basic in base64url", "R12", E, "not base64", REQUEST(HEADERS "Authorization: Basic YTpi_w==\r\n", GRANT SCOPE),
     NULL, NULL},
    {"Basic without padding", "R12", E, "not base64", REQUEST(HEADERS "Authorization: Basic YTo\r\n", GRANT SCOPE),
     NULL, NULL},
    {"Basic without a colon", "R12", E, "no colon", REQUEST(HEADERS "Authorization: Basic YWI=\r\n", GRANT SCOPE), NULL,
     NULL},
    {"no HTTP", "R14", E, "the first line", "hello\n", NULL, "R01"},
    {"nothing", "R14", E, "the first line", "", NULL, "R03"},
    {"a version without its last digit", "R14", E, "the first line",
     "POST /oauth2/token HTTP/1.\r\n" HEADERS "\r\n" BODY, NULL, "R03"},
    {"a version with a letter", "R14", E, "the first line", "POST /oauth2/token HTTP/1.x\r\n" HEADERS "\r\n" BODY, NULL,
     "R03"},
    {"a version with two digits", "R14", E, "the first line", "POST /oauth2/token HTTP/1.10\r\n" HEADERS "\r\n" BODY,
     NULL, "R03"},
    {"no empty line", "R14", E, "empty line", LINE HEADERS, NULL, "R03"},
    {"a header that is none", "R14", E, "header line", REQUEST(HEADERS "what\r\n", BODY), NULL, "R03"},
    {"a space in a header's name", "R14", E, "header line", REQUEST(HEADERS "a b: c\r\n", BODY), NULL, "R03"},
    {"a body that is too short", "R14", E, "Content-Length", REQUEST(HEADERS "Content-Length: 2999\r\n", BODY), NULL,
     "R03"},
    {"a body that is too long", "R14", E, "Content-Length", REQUEST(HEADERS "Content-Length: 3\r\n", BODY), NULL,
     "R03"},
    {"two lengths", "R14", E, "more than one word", REQUEST(HEADERS "Content-Length: 3\r\ncontent-length: 5\r\n", BODY),
     NULL, "R03"},
    {"a length beside chunks", "R14", E, "more than one word",
     REQUEST(HEADERS "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), NULL, "R03"},
    {"a length that is none", "R14", E, "Content-Length", REQUEST(HEADERS "Content-Length: -1\r\n", BODY), NULL, "R03"},
    {"a length beyond any", "R14", E, "Content-Length",
     REQUEST(HEADERS "Content-Length: 99999999999999999999999999\r\n", BODY), NULL, "R03"},
    {"chunks", "R14", W, "chunks", REQUEST(HEADERS "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), NULL, "R03"},
    {"a bad percent escape", "R14", E, "percent escape", REQUEST(HEADERS, BODY "&x=%zz"), NULL, "R03"},
    {"a parameter that is not UTF-8", "R14", E, "not UTF-8", REQUEST(HEADERS, BODY "&x=%ff"), NULL, "R03"},

    {"Accept for BCDA", "R11", E, "\"*/*\"",
     REQUEST(HOST TYPE "Accept: */*\r\n", GRANT "&scope=system%2F*.*" ASSERTION_TYPE ASSERTION), "bcda-v2", NULL},
    {"a charset for BCDA", "R02", E, "compare it",
     REQUEST(HOST ACCEPT "Content-Type: application/x-www-form-urlencoded;charset=utf-8\r\n",
             GRANT "&scope=system%2F*.*" ASSERTION_TYPE ASSERTION),
     "bcda-v2", NULL},
    {"another scope than DPC's", "R13", E, "wants \"system/*.*\"", REQUEST(HEADERS, BODY), "dpc", NULL},
    {"no scope for DPC", "R06", E, "no scope", REQUEST(HEADERS, GRANT ASSERTION_TYPE ASSERTION), "dpc", NULL},
    {"a scope for NHS", "R13", W, "does not ask for", REQUEST(HEADERS, BODY), "nhs", NULL},
    {"Basic for Epic", "R13", E, "with HTTP Basic", REQUEST(HEADERS BASIC, GRANT), "epic", NULL},
    {"a form-encoded id for those who compare it raw", "R13", W, "look form-encoded",
     REQUEST(HEADERS BASIC, GRANT SCOPE), "inferno", NULL},
    {"a raw id for those who decode it", "R13", W, "not form-encoded",
     REQUEST(HEADERS "Authorization: Basic YSFiOmM=\r\n", GRANT SCOPE), "keycloak", NULL},
    {"no udap=1", "R13", E, "no udap=1", REQUEST(HEADERS, BODY), "udap", NULL},
    {"a scope to write for an export", "R06", E, "asks for writing",
     REQUEST(HEADERS, GRANT "&scope=system%2FPatient.cruds" ASSERTION_TYPE ASSERTION), "bds", NULL},
};

static void
check_text(const char *text, const char *server, const char *url, struct hs_report *out_report)
{
    struct hs_buf raw = {0};
    struct hs_request request = {0};
    struct hs_request_expectation expectation = {.token_url = url, .assertion = {.now_s = NOW}};

    if (server != NULL)
        assert_int_equal(hs_check_server_find(server, &expectation.assertion.server, NULL), HSMART_OK);
    expand(text, lookup, &raw);
    assert_int_equal(hs_request_parse(hs_span_buf(&raw), &request, NULL), HSMART_OK);
    assert_int_equal(hs_check_request(&request, &expectation, out_report, NULL), HSMART_OK);
    assert_sound(out_report, hs_report_verdict(out_report, "L01") != NULL ? "RL" : "R");
    hs_request_clear(&request);
    hs_buf_clear(&raw);
}

/* The one finding of the R rules. Of the L rules some servers have findings that do not matter here. */
static const struct hs_finding *
only_r_finding(const struct hs_report *report)
{
    const struct hs_finding *found = NULL;

    for (size_t i = 0; i < report->count; i++) {
        const struct hs_finding *finding = &report->findings[i];
        if (finding->rule->code[0] != 'R')
            continue;
        if (found != NULL)
            fail_msg("%s: %s, and %s: %s", found->rule->code, found->text, finding->rule->code, finding->text);
        found = finding;
    }
    return found;
}

static void
one_fault_is_one_finding(void **state)
{
    const struct row *row = *state;
    struct hs_report report = {0};

    check_text(row->text, row->server, URL, &report);
    const struct hs_finding *found = only_r_finding(&report);
    if (row->code == NULL) {
        if (found != NULL)
            fail_msg("unexpected %s: %s", found->rule->code, found->text);
    } else {
        assert_non_null(found);
        assert_string_equal(found->rule->code, row->code);
        assert_int_equal(found->severity, row->severity);
        if (strstr(found->text, row->text_part) == NULL)
            assert_string_equal(found->text, row->text_part);
    }
    if (row->skipped != NULL)
        assert_true(has_verdict(&report, row->skipped, HS_VERDICT_SKIPPED));
    for (size_t i = 0; i < report.count; i++) {
        assert_null(strstr(report.findings[i].text, "8002180021"));
        assert_null(strstr(report.findings[i].text, "hunter2"));
        assert_null(strstr(report.findings[i].text, strrchr(jwt, '.')));
    }
    hs_report_clear(&report);
}

static void
every_rule_has_a_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < hs_rule_count; i++) {
        bool found = hs_rules[i].code[0] != 'R' || strcmp(hs_rules[i].code, "R09") == 0; /* below */
        for (size_t j = 0; j < HS_ARRAY_LEN(request_rows) && !found; j++)
            found = request_rows[j].code != NULL && strcmp(request_rows[j].code, hs_rules[i].code) == 0;
        if (!found)
            fail_msg("no row breaks %s", hs_rules[i].code);
    }
}

/* ---- The token URL ---- */

static struct url {
    const char *name, *line, *given;
    enum hs_verdict verdict;
} urls[] = {
    {"not given", LINE, NULL, HS_VERDICT_SKIPPED},
    {"https", LINE, URL, HS_VERDICT_OK},
    {"http", LINE, "http://ehr.example/token", HS_VERDICT_ERROR},
    {"http to this machine", LINE, "http://127.0.0.1:8080/token", HS_VERDICT_WARNING},
    {"http to a host that begins so", LINE, "http://localhost.example/token", HS_VERDICT_ERROR},
    {"a fragment", LINE, URL "#x", HS_VERDICT_ERROR},
    {"https in the request line", "POST " URL " HTTP/1.1\r\n", NULL, HS_VERDICT_OK},
    {"http in the request line", "POST http://ehr.example/token HTTP/1.1\r\n", NULL, HS_VERDICT_ERROR},
};

static void
the_token_url_is_judged_where_it_is_known(void **state)
{
    const struct url *row = *state;
    struct hs_buf text = {0};
    struct hs_report report = {0};

    assert_int_equal(hs_buf_append_str(&text, row->line, NULL), HSMART_OK);
    assert_int_equal(hs_buf_append_str(&text, HEADERS "\r\n" BODY, NULL), HSMART_OK);
    check_text(hs_buf_text(&text), NULL, row->given, &report);
    assert_true(has_verdict(&report, "R09", row->verdict));
    hs_report_clear(&report);
    hs_buf_clear(&text);
}

/* ---- The assertion in it ---- */

static void
the_assertion_is_checked_too_for_the_url_it_is_posted_to(void **state)
{
    struct hs_report report = {0};

    (void)state;
    check_text(REQUEST(HEADERS, BODY), NULL, URL, &report);
    assert_true(has_verdict(&report, "L16", HS_VERDICT_OK));
    check_text(REQUEST(HEADERS, BODY), NULL, URL "/", &report);
    assert_true(has_verdict(&report, "L16", HS_VERDICT_ERROR));
    check_text(REQUEST(HEADERS, BODY), NULL, NULL, &report);
    assert_true(has_verdict(&report, "L16", HS_VERDICT_SKIPPED));
    check_text(REQUEST(HEADERS, GRANT SCOPE ASSERTION_TYPE "&client_assertion=x"), NULL, URL, &report);
    assert_true(has_verdict(&report, "L01", HS_VERDICT_ERROR));
    assert_true(has_verdict(&report, "R10", HS_VERDICT_SKIPPED));
    check_text(REQUEST(HEADERS BASIC, GRANT SCOPE), NULL, URL, &report);
    assert_null(hs_report_verdict(&report, "L01"));
    hs_report_clear(&report);
}

static void
text_of_any_size_gets_an_answer(void **state)
{
    static const char *const fronts[] = {
        "", LINE, LINE "\r\n", LINE HEADERS "\r\n", LINE HEADERS "\r\n" BODY "&x=", LINE "a:"};
    static const char *const fillers[] = {"a", "&", "=", "%", "a=b&", "\r\n", "\xff", "a:b\n", "client_assertion=.&",
                                          " "};
    struct hs_buf text = {0};

    (void)state;
    for (size_t f = 0; f < HS_ARRAY_LEN(fronts); f++)
        for (size_t i = 0; i < HS_ARRAY_LEN(fillers); i++) {
            struct hs_report report = {0};
            hs_buf_clear(&text);
            assert_int_equal(hs_buf_append_str(&text, fronts[f], NULL), HSMART_OK);
            while (text.len < 200000)
                assert_int_equal(hs_buf_append_str(&text, fillers[i], NULL), HSMART_OK);
            check_text(hs_buf_text(&text), NULL, URL, &report);
            hs_report_clear(&report);
        }
    hs_buf_clear(&text);
}

static void
a_damaged_request_gets_an_answer(void **state)
{
    static const uint8_t bytes[] = {0, '\n', '\r', ' ', '%', '&', '=', ':', '+', 0xff};
    struct hs_buf good = {0};

    (void)state;
    expand(REQUEST(HEADERS BASIC, BODY), lookup, &good);
    for (size_t at = 0; at < good.len; at += 3) {
        struct hs_request request = {0};
        struct hs_report report = {0};
        const struct hs_request_expectation expectation = {.token_url = URL, .assertion = {.now_s = NOW}};
        uint8_t kept = good.data[at];
        good.data[at] = bytes[at % sizeof bytes];
        for (size_t len = good.len; len != 0; len = len == at ? 0 : at) {
            assert_int_equal(hs_request_parse((struct hs_span){good.data, len}, &request, NULL), HSMART_OK);
            assert_int_equal(hs_check_request(&request, &expectation, &report, NULL), HSMART_OK);
            assert_sound(&report, hs_report_verdict(&report, "L01") != NULL ? "RL" : "R");
        }
        hs_report_clear(&report);
        hs_request_clear(&request);
        good.data[at] = kept;
    }
    hs_buf_clear(&good);
}

int
main(void)
{
    static struct rows rows;

    signer = software_signer_generate("ES384", 0, "e");
    if (signer == NULL)
        return 1;
    jwt = sign(CLIENT);
    ADD_ROWS(&rows, one_fault_is_one_finding, request_rows);
    ADD_TEST(&rows, every_rule_has_a_row);
    ADD_ROWS(&rows, the_token_url_is_judged_where_it_is_known, urls);
    ADD_TEST(&rows, the_assertion_is_checked_too_for_the_url_it_is_posted_to);
    ADD_TEST(&rows, text_of_any_size_gets_an_answer);
    ADD_TEST(&rows, a_damaged_request_gets_an_answer);
    int status = rows_run("check_request", &rows);
    hs_string_free(jwt);
    hs_signer_free(signer);
    return status;
}
