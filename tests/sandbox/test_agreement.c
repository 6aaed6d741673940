/* What a check passes for a family of servers, the sandbox grants for that family, and the other way round; and what
 * the sandbox refuses, it refuses for a reason that the check found: over requests in which one thing is broken, and
 * over all pairs of them. Time stands still here, so that equal assertions are signed once for all families. */
#include "rows.h"

#include <stdlib.h>

#include "authenticate.h"
#include "base64url.h"
#include "check.h"
#include "err.h"
#include "expiring.h"
#include "form.h"
#include "jws.h"
#include "registration.h"
#include "report.h"
#include "routes.h"
#include "software_signer.h"

#define ORIGIN "https://127.0.0.1:8443"
#define TOKEN_URL ORIGIN "/auth/token"
#define ISSUER ORIGIN "/fhir"
#define URN "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#define CLIENT "a-client"
#define JWKS_URL "https://client.example/jwks.json"
#define KID "0d5f3f3e-6ad9-4c38-a1b6-0b8c6a1f9e11" /* some want a UUID */
#define NOW INT64_C(1764000000)

/* Linked in place of hs_clock_now_s. */
int64_t __wrap_hs_clock_now_s(void); // NOLINT(bugprone-reserved-identifier)
int64_t
__wrap_hs_clock_now_s(void) // NOLINT(bugprone-reserved-identifier)
{
    return NOW;
}

/* ---- Requests with something broken ---- */

enum part { HEADER, CLAIMS, FORM, REQUEST_HEADER, METHOD, SIGNATURE, WHOLE };
enum { WRONG_KEY = 1, SHORT_SIGNATURE, TWO_PARTS, LINE_END };

/* `value`: JSON for the header and the claims, text for the rest; NULL takes the member away. "@N" is the time N
 * seconds from now. */
struct breakage {
    const char *name;
    enum part part;
    const char *member, *value;
    int how; /* SIGNATURE, WHOLE */
};

static struct breakage breakages[] = {
    {"nothing", WHOLE, NULL, NULL, 0},
    {"no alg", HEADER, "alg", NULL, 0},
    {"alg none", HEADER, "alg", "\"none\"", 0},
    {"alg HS384", HEADER, "alg", "\"HS384\"", 0},
    {"alg ES384", HEADER, "alg", "\"ES384\"", 0},
    {"alg PS256", HEADER, "alg", "\"PS256\"", 0},
    {"no kid", HEADER, "kid", NULL, 0},
    {"kid empty", HEADER, "kid", "\"\"", 0},
    {"kid unknown", HEADER, "kid", "\"nobody\"", 0},
    {"no typ", HEADER, "typ", NULL, 0},
    {"typ of RFC 7523bis", HEADER, "typ", "\"client-authentication+jwt\"", 0},
    {"jku of a stranger", HEADER, "jku", "\"https://a.example/jwks\"", 0},
    {"crit", HEADER, "crit", "[\"x\"]", 0},
    {"public jwk in the header", HEADER, "jwk", "{\"kty\":\"oct\",\"k\":\"AAAA\"}", 0},
    {"no iss", CLAIMS, "iss", NULL, 0},
    {"no sub", CLAIMS, "sub", NULL, 0},
    {"iss of another", CLAIMS, "iss", "\"another\"", 0},
    {"no aud", CLAIMS, "aud", NULL, 0},
    {"aud with a slash", CLAIMS, "aud", "\"" TOKEN_URL "/\"", 0},
    {"aud is the issuer", CLAIMS, "aud", "\"" ISSUER "\"", 0},
    {"aud in an array", CLAIMS, "aud", "[\"" TOKEN_URL "\"]", 0},
    {"two audiences", CLAIMS, "aud", "[\"" TOKEN_URL "\",\"https://a.example\"]", 0},
    {"no exp", CLAIMS, "exp", NULL, 0},
    {"exp is text", CLAIMS, "exp", "\"soon\"", 0},
    {"expired", CLAIMS, "exp", "@-5", 0},
    {"exp an hour ahead", CLAIMS, "exp", "@3600", 0},
    {"exp in milliseconds", CLAIMS, "exp", "1764000000000", 0},
    {"no iat", CLAIMS, "iat", NULL, 0},
    {"iat ahead", CLAIMS, "iat", "@120", 0},
    {"iat long ago", CLAIMS, "iat", "@-400", 0},
    {"nbf ahead", CLAIMS, "nbf", "@120", 0},
    {"no jti", CLAIMS, "jti", NULL, 0},
    {"jti empty", CLAIMS, "jti", "\"\"", 0},
    {"jti is a number", CLAIMS, "jti", "12345", 0},
    {"the signature of another key", SIGNATURE, NULL, NULL, WRONG_KEY},
    {"a short signature", SIGNATURE, NULL, NULL, SHORT_SIGNATURE},
    {"two parts", SIGNATURE, NULL, NULL, TWO_PARTS},
    {"a line end behind it", SIGNATURE, NULL, NULL, LINE_END},
    {"GET", METHOD, NULL, "GET", 0},
    {"Content-Type JSON", REQUEST_HEADER, "Content-Type", "application/json", 0},
    {"Content-Type with charset", REQUEST_HEADER, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8",
     0},
    {"Accept everything", REQUEST_HEADER, "Accept", "*/*", 0},
    {"Basic beside it", REQUEST_HEADER, "Authorization", "Basic YTpi", 0},
    {"no grant_type", FORM, "grant_type", NULL, 0},
    {"refresh_token", FORM, "grant_type", "refresh_token", 0},
    {"no client_assertion_type", FORM, "client_assertion_type", NULL, 0},
    {"no client_assertion", FORM, "client_assertion", NULL, 0},
    {"no scope", FORM, "scope", NULL, 0},
    {"a scope of a user", FORM, "scope", "user/Patient.rs", 0},
    {"a scope of a user beside a good one", FORM, "scope", "user/Patient.rs system/Patient.rs", 0},
    {"a scope of no level", FORM, "scope", "openid", 0},
    {"a scope of a type in lower case", FORM, "scope", "system/patient.rs", 0},
    {"permissions out of order", FORM, "scope", "system/Patient.sr", 0},
    {"an empty scope", FORM, "scope", " ", 0},
    {"client_id of another", FORM, "client_id", "another", 0},
    {"client_id beside it", FORM, "client_id", CLIENT, 0},
};
#define BREAKAGE_COUNT HS_ARRAY_LEN(breakages)

struct member {
    const char *name, *value;
};
struct made {
    struct hs_buf body, assertion;
    struct member headers[4];
    const char *method;
};

/* A key that a family takes, another one, and the first as a JWKS. */
#define RSA_BITS 2048
static struct keys {
    struct hs_signer *signer, *stranger;
} all_keys[8], *keys;
static struct hs_buf jwks;

/* Assertions that were signed before: a table with open addressing, by what was signed, and with which key. */
#define KEPT_MAX (1U << 15)
static struct kept {
    struct digest digest;
    struct hs_buf assertion;
} kept[KEPT_MAX];
static unsigned kept_count;

static struct kept *
kept_find(struct hs_span header, struct hs_span claims, bool is_stranger)
{
    struct digest digest;
    struct hs_buf front = {0};
    size_t at = 0;

    assert_int_equal(hs_buf_append_str(&front, is_stranger ? "stranger" : "", NULL), HSMART_OK);
    assert_int_equal(hs_buf_append_str(&front, keys->signer->alg->name, NULL), HSMART_OK);
    assert_int_equal(hs_buf_append(&front, header, NULL), HSMART_OK);
    assert_int_equal(digest_of(hs_span_buf(&front), claims, &digest, NULL), HSMART_OK);
    hs_buf_clear(&front);
    memcpy(&at, digest.bytes, sizeof at);
    for (at %= KEPT_MAX; kept[at].assertion.len > 0; at = (at + 1) % KEPT_MAX)
        if (memcmp(kept[at].digest.bytes, digest.bytes, DIGEST_LEN) == 0)
            return &kept[at];
    assert_true(++kept_count < KEPT_MAX / 2);
    kept[at].digest = digest;
    return &kept[at];
}

static void
sign_once(struct hs_span header, struct hs_span claims, bool is_stranger, struct hs_buf *out)
{
    struct kept *assertion = kept_find(header, claims, is_stranger);

    if (assertion->assertion.len == 0)
        assert_int_equal(
            hs_jws_sign(is_stranger ? keys->stranger : keys->signer, header, claims, &assertion->assertion, NULL),
            HSMART_OK);
    assert_int_equal(hs_buf_append(out, hs_span_buf(&assertion->assertion), NULL), HSMART_OK);
}

/* The value of a member: the last breakage that names it, else the good one. */
static const char *
value_of(enum part part, const struct member *member, const struct breakage *const broken[2])
{
    const char *value = member->value;

    for (size_t i = 0; i < 2; i++)
        if (broken[i]->part == part && broken[i]->member != NULL && strcmp(broken[i]->member, member->name) == 0)
            value = broken[i]->value;
    return value;
}

static void
put_json(struct hs_buf *out, enum part part, const struct member *members, size_t count, int64_t now_s,
         const struct breakage *const broken[2])
{
    const char *separator = "{";

    for (size_t i = 0; i < count; i++) {
        const char *value = value_of(part, &members[i], broken);
        if (value == NULL)
            continue;
        if (value[0] == '@')
            assert_int_equal(hs_buf_append_format(out, NULL, "%s\"%s\":%lld", separator, members[i].name,
                                                  (long long)now_s + strtoll(value + 1, NULL, 10)),
                             HSMART_OK);
        else
            assert_int_equal(hs_buf_append_format(out, NULL, "%s\"%s\":%s", separator, members[i].name, value),
                             HSMART_OK);
        separator = ",";
    }
    assert_int_equal(hs_buf_append_str(out, separator[0] == '{' ? "{}" : "}", NULL), HSMART_OK);
}

static void
make_assertion(struct hs_buf *out, const struct hs_server_row *row, int64_t now_s,
               const struct breakage *const broken[2])
{
    char alg[16], kid[64], uuid[64];
    const char *aud = row->audience == HS_AUDIENCE_ISSUER ? "\"" ISSUER "\"" : "\"" TOKEN_URL "\"";
    char typ[64];
    int how = 0;
    struct hs_buf header = {0}, claims = {0};

    (void)snprintf(kid, sizeof kid, "\"%s\"", keys->signer->kid);
    (void)snprintf(uuid, sizeof uuid, "\"%s\"", CLIENT);
    (void)snprintf(typ, sizeof typ, "\"%s\"", row->assertion_type != NULL ? row->assertion_type : "JWT");
    (void)snprintf(alg, sizeof alg, "\"%s\"", keys->signer->alg->name);
    /* UDAP and Entra find the key by its certificate; here it is only seen to be named. */
    const struct member header_members[] = {{"alg", alg},
                                            {"kid", kid},
                                            {"typ", typ},
                                            {"jku", NULL},
                                            {"crit", NULL},
                                            {"jwk", NULL},
                                            {"x5c", strcmp(row->name, "udap") == 0 ? "[\"AAAA\"]" : NULL},
                                            {"x5t#S256", strcmp(row->name, "entra") == 0 ? "\"AAAA\"" : NULL}};
    const struct member claim_members[] = {
        {"iss", uuid},        {"sub", uuid},
        {"aud", aud},         {"exp", "@55"},
        {"iat", "@-1"},       {"nbf", NULL},
        {"jti", "\"a-jti\""}, {"extensions", strcmp(row->name, "udap") == 0 ? "{\"hl7-b2b\":{}}" : NULL}};
    put_json(&header, HEADER, header_members, HS_ARRAY_LEN(header_members), now_s, broken);
    put_json(&claims, CLAIMS, claim_members, HS_ARRAY_LEN(claim_members), now_s, broken);
    for (size_t i = 0; i < 2; i++)
        how = broken[i]->part == SIGNATURE ? broken[i]->how : how;
    sign_once(hs_span_buf(&header), hs_span_buf(&claims), how == WRONG_KEY, out);
    if (how == SHORT_SIGNATURE)
        assert_int_equal(hs_buf_resize(out, out->len - 4, NULL), HSMART_OK);
    if (how == TWO_PARTS)
        assert_int_equal(hs_buf_resize(out, (size_t)((uint8_t *)strrchr((char *)out->data, '.') - out->data), NULL),
                         HSMART_OK);
    if (how == LINE_END)
        assert_int_equal(hs_buf_append_str(out, "\n", NULL), HSMART_OK);
    hs_buf_clear(&claims);
    hs_buf_clear(&header);
}

static void
make_request(struct made *out, const struct hs_server_row *row, int64_t now_s, const struct breakage *const broken[2])
{
    make_assertion(&out->assertion, row, now_s, broken);
    const char *scope = row->scope == HS_SCOPE_LITERAL    ? row->scope_literal
                        : row->scope == HS_SCOPE_NOT_SENT ? NULL
                                                          : "system/Patient.rs";
    const struct member form[] = {{"grant_type", "client_credentials"},
                                  {"client_assertion_type", URN},
                                  {"client_assertion", hs_buf_text(&out->assertion)},
                                  {"scope", scope},
                                  {"client_id", row->sends_client_id ? CLIENT : NULL},
                                  {"udap", strcmp(row->name, "udap") == 0 ? "1" : NULL}};
    static const struct member headers[] = {
        {"Content-Type", "application/x-www-form-urlencoded"}, {"Accept", "application/json"}, {"Authorization", NULL}};

    for (size_t i = 0; i < HS_ARRAY_LEN(form); i++) {
        const char *value = value_of(FORM, &form[i], broken);
        if (value != NULL)
            assert_int_equal(hs_form_append(&out->body, form[i].name, hs_span_str(value), NULL), HSMART_OK);
    }
    for (size_t i = 0; i < HS_ARRAY_LEN(headers); i++)
        out->headers[i] = (struct member){headers[i].name, value_of(REQUEST_HEADER, &headers[i], broken)};
    out->headers[3] = (struct member){"Host", "127.0.0.1:8443"};
    out->method = "POST";
    for (size_t i = 0; i < 2; i++)
        if (broken[i]->part == METHOD)
            out->method = broken[i]->value;
}

/* ---- The two who have to agree ---- */

/* A family that refuses even those whose request is good, and in which words. */
static const struct quirk {
    const char *server;
    int status;
    const char *words;
} quirks[] = {
    {"meditech", 400, "client_credentials is advertised, but not enabled for this client"},
};

static bool
is_good_answer(const struct sandbox *sandbox, const struct answer *answer)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(quirks); i++)
        if (strcmp(quirks[i].server, sandbox->row->name) == 0)
            return answer->status == quirks[i].status && strstr(answer->note, quirks[i].words) != NULL;
    return answer->status == 200;
}

static bool
sandbox_grants(struct sandbox *sandbox, const struct made *made, char *out_note, size_t note_len)
{
    struct request request = {
        .method = made->method, .path = "/auth/token", .body = hs_span_buf(&made->body), .peer = "test"};
    struct answer answer = {0};

    for (size_t i = 0; i < HS_ARRAY_LEN(made->headers); i++)
        if (made->headers[i].value != NULL)
            assert_int_equal(fields_add(&request.headers, hs_span_str(made->headers[i].name),
                                        hs_span_str(made->headers[i].value), NULL),
                             HSMART_OK);
    route_request(sandbox, &request, &answer);
    bool granted = is_good_answer(sandbox, &answer);
    expiring_clear(&sandbox->jtis); /* each request is the first of its jti */
    (void)snprintf(out_note, note_len, "%d %s", answer.status, answer.note);
    answer_clear(&answer);
    fields_clear(&request.headers);
    return granted;
}

static void
check(const struct hs_server_row *row, const struct made *made, struct hs_report *out_report)
{
    struct hs_request_header headers[4];
    size_t count = 0;

    for (size_t i = 0; i < HS_ARRAY_LEN(made->headers); i++)
        if (made->headers[i].value != NULL)
            headers[count++] =
                (struct hs_request_header){hs_span_str(made->headers[i].name), hs_span_str(made->headers[i].value)};
    const struct hs_request request = {.method = hs_span_str(made->method),
                                       .target = hs_span_str("/auth/token"),
                                       .headers = headers,
                                       .header_count = count,
                                       .body = hs_span_buf(&made->body)};
    const struct hs_request_expectation expectation = {
        .token_url = TOKEN_URL,
        .assertion = {.server = row,
                      .jwks = hs_span_buf(&jwks),
                      .handover = HS_HANDOVER_URL,
                      .jku = JWKS_URL,
                      .client_id = CLIENT,
                      .now_s = NOW,
                      .audience = row != NULL && row->audience == HS_AUDIENCE_ISSUER ? ISSUER : NULL},
    };
    assert_int_equal(hs_check_request(&request, &expectation, out_report, NULL), HSMART_OK);
}

/* The sandbox's note names the rule that it refuses by. */
static bool
has_reason(const struct hs_report *report, const char *note)
{
    for (size_t i = 0; i < report->count; i++) {
        char mark[16];
        (void)snprintf(mark, sizeof mark, ", %s: ", report->findings[i].rule->code);
        if (report->findings[i].severity == HS_SEVERITY_ERROR && strstr(note, mark) != NULL)
            return true;
    }
    return false;
}

/* ---- The property ---- */

struct family_row {
    const char *name; /* of the row of the server table */
    bool strict;
};

/* RSA of 2048 bits, which is verified fastest, where the family takes it; else P-256; else what it wants. */
static const char *
choose_alg(const struct hs_server_row *row)
{
    static char first[16];
    static const char *const fast[] = {"RS384", "ES256"};

    for (size_t i = row->rsa_min_bits > RSA_BITS ? 1 : 0; row->algs != NULL && i < HS_ARRAY_LEN(fast); i++)
        if (strstr(row->algs, fast[i]) != NULL)
            return fast[i];
    (void)snprintf(first, sizeof first, "%.*s", (int)strcspn(row->algs != NULL ? row->algs : fast[0], " "),
                   row->algs != NULL ? row->algs : fast[0]);
    return first;
}

/* Made once for each algorithm. */
static void
use_keys(const char *alg)
{
    struct hs_json_writer writer = {.out = &jwks};

    for (keys = all_keys; keys->signer != NULL && strcmp(keys->signer->alg->name, alg) != 0;)
        assert_true(++keys < all_keys + HS_ARRAY_LEN(all_keys));
    if (keys->signer == NULL) {
        keys->signer = software_signer_generate(alg, RSA_BITS, KID);
        keys->stranger = software_signer_generate(alg, RSA_BITS, KID);
        assert_true(keys->signer != NULL && keys->stranger != NULL);
    }
    hs_buf_clear(&jwks);
    hs_json_begin_object(&writer);
    hs_json_name(&writer, "keys");
    hs_json_begin_array(&writer);
    hs_jwk_put(&writer, keys->signer->jwk, KID, alg);
    hs_json_end_array(&writer);
    hs_json_end_object(&writer);
    assert_int_equal(hs_json_writer_finish(&writer, NULL), HSMART_OK);
}

/* A sandbox of the family, whose one client has its keys behind a URL that was read a moment ago. */
static void
start(struct sandbox *sandbox, struct sandbox_settings *settings, const struct family_row *family)
{
    const struct client_wish wish = {.id = CLIENT, .method = HS_AUTH_PRIVATE_KEY_JWT, .jwks_uri = JWKS_URL};
    struct client *client = NULL;
    struct hs_http *http = NULL;
    hsmart_err err = {0};

    *settings = (struct sandbox_settings){
        .server = family->name, .strict = family->strict, .is_loopback = true, .jwks_reread_s = 3600};
    assert_int_equal(hs_check_server_find(family->name, &sandbox->row, &err), HSMART_OK);
    use_keys(choose_alg(sandbox->row));
    assert_int_equal(hs_http_new(&(struct hs_http_options){0}, &http, &err), HSMART_OK);
    assert_int_equal(sandbox_init(sandbox, settings, ORIGIN, http, &err), HSMART_OK);
    assert_int_equal(register_client(sandbox, &wish, &client, &err), HSMART_OK);
    assert_int_equal(hs_buf_append(&client->keys.text, hs_span_buf(&jwks), &err), HSMART_OK);
    client->keys.read_at_s = NOW;
    client->keys.fresh_until_s = client->keys.read_at_s + 3600;
}

static void
check_and_sandbox_agree(void **state)
{
    const struct family_row *family = *state;
    struct sandbox sandbox = {0};
    struct sandbox_settings settings;
    unsigned granted = 0, refused = 0, disagreed = 0;

    start(&sandbox, &settings, family);
    for (size_t a = 0; a < BREAKAGE_COUNT; a++)
        for (size_t b = 0; b <= a; b++) {
            const struct breakage *const broken[2] = {&breakages[a], &breakages[b]};
            struct made made = {0};
            struct hs_report report = {0};
            char note[NOTE_MAX + 8];
            make_request(&made, sandbox.row, NOW, broken);
            check(family->strict ? NULL : sandbox.row, &made, &report);
            bool passes = report.error_count == 0;
            bool grants = sandbox_grants(&sandbox, &made, note, sizeof note);
            bool agrees = passes == grants && (grants || has_reason(&report, note));
            if (!agrees && disagreed++ < 10)
                print_error("%s, %s + %s: the check %s it, the sandbox %s it: %s\n", family->name, broken[0]->name,
                            broken[1]->name, passes ? "passes" : "refuses", grants ? "grants" : "refuses", note);
            hs_report_clear(&report);
            granted += grants;
            refused += !grants;
            hs_buf_clear(&made.assertion);
            hs_buf_clear(&made.body);
        }
    sandbox_clear(&sandbox);
    print_message("%s: %u granted, %u refused\n", family->name, granted, refused);
    assert_int_equal(disagreed, 0);
    assert_true(refused > BREAKAGE_COUNT);
    /* The request that is as it should be was granted, where the family takes assertions at all. */
    assert_true(granted > 0 || (hs_server_by_name(family->name)->auth_methods & HS_AUTH_PRIVATE_KEY_JWT) == 0);
}

int
main(void)
{
    static struct rows rows;
    static struct family_row families[64];
    int status;

    report_configure(&(struct report_settings){.program = "test", .quiet = true});
    for (size_t i = 0; i < hs_server_row_count && i + 1 < HS_ARRAY_LEN(families); i++) {
        families[i] = (struct family_row){hs_server_rows[i].name, false};
        rows_add(&rows, "a check and the sandbox agree", check_and_sandbox_agree, &families[i]);
    }
    families[HS_ARRAY_LEN(families) - 1] = (struct family_row){"smart", true};
    rows_add(&rows, "--strict: a check and the sandbox agree", check_and_sandbox_agree,
             &families[HS_ARRAY_LEN(families) - 1]);
    status = rows_run("agreement", &rows);
    for (size_t i = 0; i < KEPT_MAX; i++)
        hs_buf_clear(&kept[i].assertion);
    hs_buf_clear(&jwks);
    for (size_t i = 0; i < HS_ARRAY_LEN(all_keys); i++) {
        hs_signer_free(all_keys[i].stranger);
        hs_signer_free(all_keys[i].signer);
    }
    return status;
}
