/* The same input for one family of servers and another: what its row and its habits make of it. And the rules that need
 * more than the input: a memory of jtis, and a JWKS as it was served. */
#include "check_rows.h"

#include <stdlib.h>

#include "check_server.h"
#include "jws.h"
#include "servers.h"
#include "software_signer.h"

#define NOW INT64_C(1700000000)
#define AUDIENCE "https://ehr.example/oauth2/token"
#define UUID "d2e5a1f0-1c5b-4a8e-9d5e-0a1b2c3d4e5f"
#define E HS_SEVERITY_ERROR
#define W HS_SEVERITY_WARNING

enum key { RSA_2048, RSA_4096, EC_384, EC_256, KEY_COUNT };
static struct hs_signer *signers[KEY_COUNT];

/* ---- Assertions ---- */

#define HEADER(alg, kid) "{\"alg\":\"" alg "\",\"kid\":\"" kid "\",\"typ\":\"JWT\"}"
#define WHO "\"iss\":\"c\",\"sub\":\"c\","
#define AUD "\"aud\":\"" AUDIENCE "\","
#define TIMES "\"exp\":1700000240,\"iat\":1700000000,"
#define JTI "\"jti\":\"j\""
#define LONG_JTI                                                                                                       \
    "\"jti\":\""                                                                                                       \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"             \
    "0123456789012345678901234567890123456789012345678901"                                                             \
    "\""
#define GOOD "{" WHO AUD TIMES JTI "}"

static struct assertion_row {
    const char *name, *server, *code; /* of the only finding; NULL: none */
    enum hs_severity severity;
    const char *text_part;
    const char *header, *payload;
    enum key key;
    enum hs_handover handover;
} assertion_rows[] = {
    {"the specification itself", "smart", NULL, E, NULL, HEADER("RS384", "k"), GOOD, RSA_2048, HS_HANDOVER_URL},
    {"another algorithm", "smart", "L04", W, "only RS384 ES384 are known", HEADER("ES256", "k"), GOOD, EC_256,
     HS_HANDOVER_URL},
    {"an algorithm that is not in the row", "nhs", "L04", E, "takes RS512", HEADER("RS384", "k"), GOOD, RSA_2048,
     HS_HANDOVER_URL},
    {"the algorithm of the row", "nhs", NULL, E, NULL, HEADER("RS512", "k"), GOOD, RSA_2048, HS_HANDOVER_URL},
    {"an algorithm that is only reported", "athena", "L04", W, "takes RS384", HEADER("ES384", "k"), GOOD, EC_384,
     HS_HANDOVER_URL},
    {"no kid where it is optional", "auth0", "L06", W, "\"kid\" is absent", "{\"alg\":\"RS384\",\"typ\":\"JWT\"}", GOOD,
     RSA_2048, HS_HANDOVER_URL},
    {"the typ of the draft", "rfc7523bis", NULL, E, NULL,
     "{\"alg\":\"RS384\",\"kid\":\"k\",\"typ\":\"client-authentication+jwt\"}", GOOD, RSA_2048, HS_HANDOVER_URL},
    {"JWT where the draft is followed", "rfc7523bis", "L07", E, "must be \"client-authentication+jwt\"",
     HEADER("RS384", "k"), GOOD, RSA_2048, HS_HANDOVER_URL},
    {"the typ of the draft where JWT is compared", "inferno", "L07", E, "rfc7523bis",
     "{\"alg\":\"RS384\",\"kid\":\"k\",\"typ\":\"client-authentication+jwt\"}", GOOD, RSA_2048, HS_HANDOVER_URL},
    {"http in aud", "bds", "L16", W, "takes either scheme", HEADER("RS384", "k"),
     "{" WHO "\"aud\":\"http://ehr.example/oauth2/token\"," TIMES JTI "}", RSA_2048, HS_HANDOVER_URL},
    {"http in aud elsewhere", "inferno", "L16", E, "only the scheme differs", HEADER("RS384", "k"),
     "{" WHO "\"aud\":\"http://ehr.example/oauth2/token\"," TIMES JTI "}", RSA_2048, HS_HANDOVER_URL},
    {"an array of one", "keycloak", "L17", W, "array of one", HEADER("RS384", "k"),
     "{" WHO "\"aud\":[\"" AUDIENCE "\"]," TIMES JTI "}", RSA_2048, HS_HANDOVER_URL},
    {"an array of one where it is compared", "medplum", "L17", E, "array of one", HEADER("RS384", "k"),
     "{" WHO "\"aud\":[\"" AUDIENCE "\"]," TIMES JTI "}", RSA_2048, HS_HANDOVER_URL},
    {"an array of two where one is enough", "bcda-v2", "L17", W, "array of 2", HEADER("RS384", "k"),
     "{" WHO "\"aud\":[\"x\",\"" AUDIENCE "\"]," TIMES JTI "}", RSA_2048, HS_HANDOVER_URL},
    {"just expired", "smart", "L20", E, "14 seconds ago", HEADER("RS384", "k"),
     "{" WHO AUD "\"exp\":1699999986,\"iat\":1699999980," JTI "}", RSA_2048, HS_HANDOVER_URL},
    {"just expired, within the tolerance", "keycloak", NULL, E, NULL, HEADER("RS384", "k"),
     "{" WHO AUD "\"exp\":1699999986,\"iat\":1699999980," JTI "}", RSA_2048, HS_HANDOVER_URL},
    {"an hour where that is the limit", "okta", NULL, E, NULL, HEADER("RS384", "k"),
     "{" WHO AUD "\"exp\":1700003600,\"iat\":1700000000," JTI "}", RSA_2048, HS_HANDOVER_URL},
    {"far ahead where nobody looks", "bds", "L21", W, "900 seconds ahead", HEADER("RS384", "k"),
     "{" WHO AUD "\"exp\":1700000900," JTI "}", RSA_2048, HS_HANDOVER_URL},
    {"in the future, within the tolerance", "keycloak", NULL, E, NULL, HEADER("RS384", "k"),
     "{" WHO AUD "\"exp\":1700000050,\"iat\":1700000015," JTI "}", RSA_2048, HS_HANDOVER_URL},
    {"no jti where it is optional", "okta", "L24", W, "\"jti\" is absent", HEADER("RS384", "k"),
     "{" WHO AUD "\"exp\":1700000240,\"iat\":1700000000}", RSA_2048, HS_HANDOVER_URL},
    {"a long jti", "smart", "L26", W, "152 characters", HEADER("RS384", "k"), "{" WHO AUD TIMES LONG_JTI "}", RSA_2048,
     HS_HANDOVER_URL},
    {"a long jti for Epic", "epic", "L26", E, "152 characters", HEADER("RS384", "k"), "{" WHO AUD TIMES LONG_JTI "}",
     RSA_2048, HS_HANDOVER_URL},
    {"no iat where it is needed", "udap", "L33", E, "\"iat\" is absent",
     "{\"alg\":\"RS256\",\"kid\":\"k\",\"typ\":\"JWT\",\"x5c\":[]}",
     "{" WHO AUD "\"exp\":1700000240," JTI ",\"extensions\":{\"hl7-b2b\":{}}}", RSA_2048, HS_HANDOVER_URL},
    {"no certificate where it is the key's name", "udap", "L33", E, "no \"x5c\"", HEADER("RS256", "k"),
     "{" WHO AUD TIMES JTI ",\"extensions\":{\"hl7-b2b\":{}}}", RSA_2048, HS_HANDOVER_URL},
    {"no extension where it is needed", "udap", "L33", E, "hl7-b2b",
     "{\"alg\":\"RS256\",\"kid\":\"k\",\"typ\":\"JWT\",\"x5c\":[]}", GOOD, RSA_2048, HS_HANDOVER_URL},
    {"no iat, and a minute", "keycloak", NULL, E, NULL, HEADER("RS384", "k"), "{" WHO AUD "\"exp\":1700000060," JTI "}",
     RSA_2048, HS_HANDOVER_URL},
    {"no iat, and more than a minute", "keycloak", "L33", E, "60 seconds ahead at most", HEADER("RS384", "k"),
     "{" WHO AUD "\"exp\":1700000061," JTI "}", RSA_2048, HS_HANDOVER_URL},
    {"no nbf where it is listed", "entra", "L33", W, "\"nbf\" is absent",
     "{\"alg\":\"PS256\",\"kid\":\"k\",\"typ\":\"JWT\",\"x5t#S256\":\"AAAA\"}", GOOD, RSA_2048, HS_HANDOVER_URL},
    {"a kid that is no UUID", "dpc", "L33", E, "must be the UUID", HEADER("ES384", "k"), GOOD, EC_384, HS_HANDOVER_URL},
    {"a kid that is one", "dpc", NULL, E, NULL, HEADER("ES384", UUID), GOOD, EC_384, HS_HANDOVER_URL},
    {"a small RSA key", "dpc", "L33", E, "2048 bits, but CMS DPC wants 4096", HEADER("RS384", UUID), GOOD, RSA_2048,
     HS_HANDOVER_URL},
    {"an RSA key of the right size", "dpc", NULL, E, NULL, HEADER("RS384", UUID), GOOD, RSA_4096, HS_HANDOVER_URL},
    {"EC by URL", "epic", NULL, E, NULL, HEADER("ES384", "k"), GOOD, EC_384, HS_HANDOVER_URL},
    {"EC, nobody knows how", "epic", "L33", W, "registered a JWKS URL", HEADER("ES384", "k"), GOOD, EC_384,
     HS_HANDOVER_UNKNOWN},
    {"keys by value", "medplum", "L33", E, "wants a JWKS URL", HEADER("RS384", "k"), GOOD, RSA_2048, HS_HANDOVER_VALUE},
    {"an assertion for those who take none", "ab2d", "L33", E, "takes no assertions", HEADER("RS384", "k"), GOOD,
     RSA_2048, HS_HANDOVER_URL},
};

static void
put_set(const struct hs_signer *signer, const char *kid, const char *alg, struct hs_buf *out)
{
    struct hs_jwks set = {0};

    assert_int_equal(hs_jwks_add(&set, signer->jwk, kid, alg, NULL), HSMART_OK);
    assert_int_equal(hs_jwks_format(&set, out, NULL), HSMART_OK);
    hs_jwks_clear(&set);
}

static const struct hs_server_row *
server_of(const char *name)
{
    const struct hs_server_row *row = NULL;

    if (name != NULL)
        assert_int_equal(hs_check_server_find(name, &row, NULL), HSMART_OK);
    return row;
}

static void
sign(const char *header, const char *payload, enum key key, struct hs_buf *out_jwt, struct hs_buf *out_set)
{
    struct hs_json_doc doc = {0};
    struct hs_signer *signer = signers[key];
    const struct hs_alg *kept = signer->alg;

    assert_int_equal(hs_json_parse(span(header), &doc, NULL), HSMART_OK);
    const char *kid = hs_json_text(hs_json_member(doc.root, "kid")),
               *alg = hs_json_text(hs_json_member(doc.root, "alg"));
    signer->alg = hs_alg_by_name(alg);
    assert_int_equal(hs_jws_sign(signer, span(header), span(payload), out_jwt, NULL), HSMART_OK);
    signer->alg = kept;
    put_set(signer, kid != NULL ? kid : "k", alg, out_set);
    hs_json_doc_clear(&doc);
}

static void
one_family_finds_this_in_it(void **state)
{
    const struct assertion_row *row = *state;
    struct hs_buf jwt = {0}, set = {0};
    struct hs_report report = {0};

    sign(row->header, row->payload, row->key, &jwt, &set);
    const struct hs_assertion_expectation expectation = {.server = server_of(row->server),
                                                         .jwks = hs_span_buf(&set),
                                                         .handover = row->handover,
                                                         .audience = AUDIENCE,
                                                         .client_id = "c",
                                                         .now_s = NOW};
    assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
    assert_sound(&report, "L");
    assert_only_finding(&report, row->code, row->severity, row->text_part);
    assert_true(has_verdict(&report, "L30", HS_VERDICT_OK)); /* without a kid, too */
    hs_report_clear(&report);
    hs_buf_clear(&jwt);
    hs_buf_clear(&set);
}

/* Some rows demand what others forbid; hsmart's own defaults have to please every family that takes assertions, but for
 * what its row says in so many words. */
static void
every_row_can_be_pleased(void **state)
{
    (void)state;
    for (size_t i = 0; i < hs_server_row_count; i++) {
        const struct hs_server_row *server = &hs_server_rows[i];
        struct hs_buf jwt = {0}, set = {0};
        struct hs_report report = {0};
        char alg[16] = "RS384", header[512], payload[512];
        if ((server->auth_methods & HS_AUTH_PRIVATE_KEY_JWT) == 0)
            continue;
        if (server->algs != NULL)
            (void)snprintf(alg, sizeof alg, "%.*s", (int)strcspn(server->algs, " "), server->algs);
        enum key key = alg[0] != 'E' ? RSA_4096 : strcmp(alg, "ES384") == 0 ? EC_384 : EC_256;
        (void)snprintf(header, sizeof header,
                       "{\"alg\":\"%s\",\"kid\":\"" UUID "\",\"typ\":\"%s\",\"x5c\":[],\"x5t#S256\":\"\"}", alg,
                       server->assertion_type != NULL ? server->assertion_type : "JWT");
        (void)snprintf(payload, sizeof payload,
                       "{" WHO AUD "\"exp\":1700000060,\"iat\":1700000000,\"nbf\":1700000000," JTI
                       ",\"extensions\":{\"hl7-b2b\":{}}}");
        sign(header, payload, key, &jwt, &set);
        const struct hs_assertion_expectation expectation = {.server = server,
                                                             .jwks = hs_span_buf(&set),
                                                             .handover = HS_HANDOVER_URL,
                                                             .audience = AUDIENCE,
                                                             .client_id = "c",
                                                             .now_s = NOW};
        assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
        if (report.count > 0)
            fail_msg("%s: %s: %s", server->name, report.findings[0].rule->code, report.findings[0].text);
        hs_report_clear(&report);
        hs_buf_clear(&jwt);
        hs_buf_clear(&set);
    }
}

static void
a_key_without_alg_fails_where_it_is_compared(void **state)
{
    static const struct {
        const char *server;
        enum hs_verdict verdict;
    } rows[] = {{"launcher", HS_VERDICT_ERROR}, {"bds", HS_VERDICT_OK}, {NULL, HS_VERDICT_OK}};
    struct hs_buf jwt = {0}, set = {0};

    (void)state;
    sign(HEADER("RS384", "k"), GOOD, RSA_2048, &jwt, &set);
    char *alg = strstr((char *)set.data, "\"alg\"");
    assert_non_null(alg);
    memcpy(alg, "\"ALG\"", 5);
    for (size_t i = 0; i < HS_ARRAY_LEN(rows); i++) {
        struct hs_report report = {0};
        const struct hs_assertion_expectation expectation = {
            .server = server_of(rows[i].server), .jwks = hs_span_buf(&set), .now_s = NOW};
        assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
        assert_true(has_verdict(&report, "L05", rows[i].verdict));
        hs_report_clear(&report);
    }
    hs_buf_clear(&jwt);
    hs_buf_clear(&set);
}

/* ---- A jti twice ---- */

static bool
is_j_of_c(void *arg, struct hs_span issuer, struct hs_span jti)
{
    *(unsigned *)arg += 1;
    return hs_span_equal_str(issuer, "c") && hs_span_equal_str(jti, "j");
}

static struct memory_row {
    const char *name, *payload, *server;
    enum hs_verdict verdict;
    unsigned asked;
} memory_rows[] = {
    {"the same jti", GOOD, NULL, HS_VERDICT_ERROR, 1},
    {"the same jti where nobody remembers", GOOD, "bds", HS_VERDICT_WARNING, 1},
    {"another jti", "{" WHO AUD TIMES "\"jti\":\"k\"}", NULL, HS_VERDICT_OK, 1},
    {"another issuer", "{\"iss\":\"d\",\"sub\":\"d\"," AUD TIMES JTI "}", NULL, HS_VERDICT_OK, 1},
    {"a jti that is no string", "{" WHO AUD TIMES "\"jti\":1}", NULL, HS_VERDICT_SKIPPED, 0},
};

static void
a_jti_is_taken_once(void **state)
{
    const struct memory_row *row = *state;
    struct hs_buf jwt = {0}, set = {0};
    struct hs_report report = {0};
    unsigned asked = 0;

    sign(HEADER("RS384", "k"), row->payload, RSA_2048, &jwt, &set);
    const struct hs_assertion_expectation expectation = {
        .server = server_of(row->server), .now_s = NOW, .is_seen = is_j_of_c, .seen_arg = &asked};
    assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
    assert_sound(&report, "L");
    assert_true(has_verdict(&report, "L27", row->verdict));
    assert_int_equal(asked, row->asked);
    hs_report_clear(&report);
    hs_buf_clear(&jwt);
    hs_buf_clear(&set);
}

/* ---- A set as it is served ---- */

#define OK_ANSWER .status = 200, .content_type = "application/json", .cache_life_s = 3600

static struct served_row {
    const char *name, *code; /* of the only K finding; NULL: none */
    enum hs_severity severity;
    const char *text_part;
    struct hs_served served;
    enum hs_verdict l32; /* for an assertion */
} served_rows[] = {
    {"as it should be", NULL, E, NULL, {.url = "https://c.example/jwks.json", OK_ANSWER}, HS_VERDICT_OK},
    {"with a parameter of the type",
     NULL,
     E,
     NULL,
     {.url = "https://c.example/",
      .status = 200,
      .content_type = "Application/JSON; charset=utf-8",
      .cache_life_s = 60},
     HS_VERDICT_OK},
    {"as a JWK set",
     NULL,
     E,
     NULL,
     {.url = "HTTPS://c.example/",
      .status = 200,
      .content_type = "application/jwk-set+json",
      .cache_life_s = 29 * 3600},
     HS_VERDICT_OK},
    {"http", "K14", E, "not https", {.url = "http://c.example/jwks.json", OK_ANSWER}, HS_VERDICT_ERROR},
    {"http to this machine", "K14", W, "for tests only", {.url = "http://[::1]:80/", OK_ANSWER}, HS_VERDICT_WARNING},
    {"a bad certificate",
     "K14",
     E,
     "unknown authority",
     {.url = "https://c.example/",
      .failure = HSMART_TLS_FAILED,
      .failure_text = "unknown authority",
      .cache_life_s = -1},
     HS_VERDICT_ERROR},
    {"http that was not asked",
     "K14",
     E,
     "not https",
     {.url = "http://c.example/", .failure = HSMART_INVALID_ARGUMENT, .failure_text = "", .cache_life_s = -1},
     HS_VERDICT_ERROR},
    {"nobody there",
     "K15",
     E,
     "no connection",
     {.url = "https://c.example/",
      .failure = HSMART_NETWORK_FAILED,
      .failure_text = "no connection",
      .cache_life_s = -1},
     HS_VERDICT_ERROR},
    {"a redirect",
     "K15",
     E,
     "301 to https://other.example/: a redirect",
     {.url = "https://c.example/", .status = 301, .location = "https://other.example/", .cache_life_s = -1},
     HS_VERDICT_ERROR},
    {"a login",
     "K15",
     E,
     "401: it asks for credentials",
     {.url = "https://c.example/", .status = 401, .cache_life_s = -1},
     HS_VERDICT_ERROR},
    {"nothing there",
     "K15",
     E,
     "404: there is nothing",
     {.url = "https://c.example/", .status = 404, .cache_life_s = -1},
     HS_VERDICT_ERROR},
    {"trouble",
     "K15",
     E,
     "503: the server",
     {.url = "https://c.example/", .status = 503, .cache_life_s = -1},
     HS_VERDICT_ERROR},
    {"no type",
     "K16",
     W,
     "no Content-Type",
     {.url = "https://c.example/", .status = 200, .cache_life_s = 3600},
     HS_VERDICT_WARNING},
    {"text",
     "K16",
     W,
     "\"text/plain\"",
     {.url = "https://c.example/", .status = 200, .content_type = "text/plain", .cache_life_s = 3600},
     HS_VERDICT_WARNING},
    {"no life",
     "K17",
     W,
     "neither Cache-Control nor Expires",
     {.url = "https://c.example/", .status = 200, .content_type = "application/json", .cache_life_s = -1},
     HS_VERDICT_OK},
    {"a long life",
     "K17",
     W,
     "30 hours",
     {.url = "https://c.example/", .status = 200, .content_type = "application/json", .cache_life_s = 30 * 3600},
     HS_VERDICT_OK},
    {"no-store",
     "K17",
     W,
     "0 seconds",
     {.url = "https://c.example/", .status = 200, .content_type = "application/json", .cache_life_s = 0},
     HS_VERDICT_OK},
};

static void
a_set_is_judged_as_it_is_served(void **state)
{
    const struct served_row *row = *state;
    const struct hs_jwks_expectation expectation = {.served = &row->served};
    struct hs_buf set = {0}, jwt = {0};
    struct hs_report report = {0};

    sign(HEADER("RS384", "k"), GOOD, RSA_2048, &jwt, &set);
    assert_int_equal(hs_check_jwks(hs_span_buf(&set), &expectation, &report, NULL), HSMART_OK);
    assert_sound(&report, "K");
    assert_only_finding(&report, row->code, row->severity, row->text_part);
    /* What was not served as a set is not judged as one. */
    assert_int_equal(hs_report_verdict(&report, "K01")->verdict == HS_VERDICT_SKIPPED,
                     row->served.failure != HSMART_OK || row->served.status != 200);

    const struct hs_assertion_expectation for_assertion = {.jwks_served = &row->served, .now_s = NOW};
    assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &for_assertion, &report, NULL), HSMART_OK);
    assert_true(has_verdict(&report, "L32", row->l32));
    hs_report_clear(&report);
    hs_buf_clear(&set);
    hs_buf_clear(&jwt);
}

/* ---- A set for one family ---- */

static struct key_row {
    const char *name, *server, *kid, *alg, *code;
    enum hs_severity severity;
    enum key key;
} key_rows[] = {
    {"no server", NULL, "k", "RS384", NULL, E, RSA_2048},
    {"an algorithm of the row", "nhs", "k", "RS512", NULL, E, RSA_2048},
    {"another algorithm", "nhs", "k", "RS384", "K13", E, RSA_2048},
    {"a kid that is no UUID", "dpc", "k", "ES384", "K13", E, EC_384},
    {"a small key", "dpc", UUID, "RS384", "K13", E, RSA_2048},
    {"a large key", "dpc", UUID, "RS384", NULL, E, RSA_4096},
    {"an EC key", "epic", "k", "ES384", "K13", W, EC_384},
};

static void
a_key_is_judged_by_the_row(void **state)
{
    const struct key_row *row = *state;
    const struct hs_jwks_expectation expectation = {.server = server_of(row->server)};
    struct hs_buf set = {0};
    struct hs_report report = {0};

    put_set(signers[row->key], row->kid, row->alg, &set);
    assert_int_equal(hs_check_jwks(hs_span_buf(&set), &expectation, &report, NULL), HSMART_OK);
    assert_sound(&report, "K");
    assert_only_finding(&report, row->code, row->severity, "");
    hs_report_clear(&report);
    hs_buf_clear(&set);
}

static void
a_jti_is_remembered_for_longer_than_any_family_lets_an_assertion_live(void **state)
{
    (void)state;
    for (size_t i = 0; i < hs_server_row_count; i++)
        if (hs_server_rows[i].max_lifetime_s + HS_JTI_SKEW_S > HS_JTI_MEMORY_S ||
            hs_habits_of(&hs_server_rows[i])->skew_s > HS_JTI_SKEW_S)
            fail_msg("%s lets one live for %u s", hs_server_rows[i].name, hs_server_rows[i].max_lifetime_s);
}

int
main(void)
{
    static const struct {
        const char *alg;
        unsigned bits;
    } keys[KEY_COUNT] = {
        [RSA_2048] = {"RS384", 2048}, [RSA_4096] = {"RS384", 4096}, [EC_384] = {"ES384", 0}, [EC_256] = {"ES256", 0}};
    static struct rows rows;

    for (size_t i = 0; i < KEY_COUNT; i++) {
        signers[i] = software_signer_generate(keys[i].alg, keys[i].bits, "k");
        if (signers[i] == NULL)
            return 1;
    }
    ADD_ROWS(&rows, one_family_finds_this_in_it, assertion_rows);
    ADD_TEST(&rows, every_row_can_be_pleased);
    ADD_TEST(&rows, a_key_without_alg_fails_where_it_is_compared);
    ADD_ROWS(&rows, a_jti_is_taken_once, memory_rows);
    ADD_TEST(&rows, a_jti_is_remembered_for_longer_than_any_family_lets_an_assertion_live);
    ADD_ROWS(&rows, a_set_is_judged_as_it_is_served, served_rows);
    ADD_ROWS(&rows, a_key_is_judged_by_the_row, key_rows);
    int status = rows_run("check_server", &rows);
    for (size_t i = 0; i < KEY_COUNT; i++)
        hs_signer_free(signers[i]);
    return status;
}
