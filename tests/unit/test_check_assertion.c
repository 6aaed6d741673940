/* The rules on an assertion: each row breaks one thing in an assertion that is good otherwise. */
#include "check_rows.h"

#include <stdlib.h>

#include "base64url.h"
#include "jws.h"
#include "software_signer.h"
#include "vectors.h"

#define NOW INT64_C(1700000000)
#define AUDIENCE "https://ehr.example/oauth2/token"
#define CLIENT "the \\\"client\\\" Ω" /* as in JSON */
#define CLIENT_ID "the \"client\" Ω"
#define JKU "https://clinic.example/jwks.json"
#define E HS_SEVERITY_ERROR
#define W HS_SEVERITY_WARNING

enum signed_with { BY_RSA, BY_EC, BY_PSS, BY_STRANGER, SIGNER_COUNT };
static struct hs_signer *signers[SIGNER_COUNT];
static struct hs_buf jwks;

static void
make_keys(void)
{
    static const struct {
        const char *alg, *kid;
        unsigned bits;
    } keys[] = {[BY_RSA] = {"RS384", "r", 2048},
                [BY_EC] = {"ES384", "e", 0},
                [BY_PSS] = {"PS384", "p", 2048},
                [BY_STRANGER] = {"RS384", "r", 2048}};
    struct hs_jwks set = {0};

    for (size_t i = 0; i < SIGNER_COUNT; i++) {
        signers[i] = software_signer_generate(keys[i].alg, keys[i].bits, keys[i].kid);
        if (signers[i] == NULL ||
            (i != BY_STRANGER && hs_jwks_add(&set, signers[i]->jwk, keys[i].kid, keys[i].alg, NULL) != HSMART_OK))
            abort();
    }
    if (hs_jwks_format(&set, &jwks, NULL) != HSMART_OK)
        abort();
    hs_jwks_clear(&set);
}

static void
free_keys(void)
{
    for (size_t i = 0; i < SIGNER_COUNT; i++)
        hs_signer_free(signers[i]);
    hs_buf_clear(&jwks);
}

/* ---- What is done to an assertion after it was signed ---- */

static void
append(struct hs_buf *out, const char *text)
{
    assert_int_equal(hs_buf_append_str(out, text, NULL), HSMART_OK);
}

static void
cut_after(struct hs_buf *jwt, char c)
{
    const char *at = strrchr(hs_buf_text(jwt), c);

    assert_int_equal(hs_buf_resize(jwt, (size_t)(at - hs_buf_text(jwt)) + 1, NULL), HSMART_OK);
}

static void
line_end_behind(struct hs_buf *jwt)
{
    append(jwt, "\n");
}

static void
space_in_front(struct hs_buf *jwt)
{
    struct hs_buf text = {0};

    append(&text, " ");
    append(&text, hs_buf_text(jwt));
    hs_buf_move(&text, jwt);
}

static void
padding_behind(struct hs_buf *jwt)
{
    append(jwt, "=");
}

static void
part_behind(struct hs_buf *jwt)
{
    append(jwt, ".AAAA");
}

static void
no_signature_part(struct hs_buf *jwt)
{
    cut_after(jwt, '.');
    assert_int_equal(hs_buf_resize(jwt, jwt->len - 1, NULL), HSMART_OK);
}

static void
empty_signature(struct hs_buf *jwt)
{
    cut_after(jwt, '.');
}

static void
set_signature(struct hs_buf *jwt, struct hs_span signature)
{
    cut_after(jwt, '.');
    assert_int_equal(hs_base64url_append(jwt, signature, NULL), HSMART_OK);
}

/* The signature with its zero bytes in front dropped, as by those who treat it as a number. */
static void
signature_a_byte_short(struct hs_buf *jwt)
{
    struct hs_buf bytes = {0};
    const char *at = strrchr(hs_buf_text(jwt), '.') + 1;

    assert_int_equal(hs_base64url_decode(hs_span_str(at), &bytes, NULL), HSMART_OK);
    set_signature(jwt, (struct hs_span){bytes.data + 1, bytes.len - 1});
    hs_buf_clear(&bytes);
}

static void
signature_of_other_bytes(struct hs_buf *jwt)
{
    struct hs_buf bytes = {0};
    const char *at = strrchr(hs_buf_text(jwt), '.') + 1;

    assert_int_equal(hs_base64url_decode(hs_span_str(at), &bytes, NULL), HSMART_OK);
    bytes.data[bytes.len / 2] ^= 1;
    set_signature(jwt, hs_span_buf(&bytes));
    hs_buf_clear(&bytes);
}

static void
signature_in_der(struct hs_buf *jwt)
{
    uint8_t der[104] = {0x30, 102, 0x02, 49, 0, 0x80};

    der[53] = 0x02;
    der[54] = 49;
    set_signature(jwt, HS_SPAN_OF(der));
}

/* ---- The rows ---- */

#define R_HEADER "{\"alg\":\"RS384\",\"kid\":\"r\",\"typ\":\"JWT\"}"
#define E_HEADER "{\"alg\":\"ES384\",\"kid\":\"e\",\"typ\":\"JWT\"}"
#define WHO "\"iss\":\"" CLIENT "\",\"sub\":\"" CLIENT "\","
#define AUD "\"aud\":\"" AUDIENCE "\","
#define TIMES "\"exp\":1700000240,\"iat\":1700000000,"
#define JTI "\"jti\":\"NzbLsXh8uDCcd\""
#define PAYLOAD "{" WHO AUD TIMES JTI "}"

static struct row {
    const char *name, *code; /* NULL: nothing is found */
    enum hs_severity severity;
    const char *text_part;
    const char *header, *payload; /* NULL: the good one */
    enum signed_with signer;
    void (*change)(struct hs_buf *jwt);
    const char *also_skipped; /* a rule that cannot be applied then */
} assertion_rows[] = {
    {"an RSA key", NULL, E, NULL, NULL, NULL, BY_RSA, NULL, "L27"},
    {"an EC key", NULL, E, NULL, E_HEADER, NULL, BY_EC, NULL, "L27"},
    {"an RSA key with PSS", NULL, E, NULL, "{\"alg\":\"PS384\",\"kid\":\"p\",\"typ\":\"JWT\"}", NULL, BY_PSS, NULL,
     "L27"},
    {"other members and claims", NULL, E, NULL,
     "{\"alg\":\"RS384\",\"kid\":\"r\",\"typ\":\"JWT\",\"x5t#S256\":\"AAAA\",\"jku\":\"" JKU "\"}",
     "{" WHO AUD TIMES JTI ",\"nbf\":1700000000,\"extensions\":{\"hl7-b2b\":{}}}", BY_RSA, NULL, NULL},
    {"300 seconds", NULL, E, NULL, NULL, "{" WHO AUD "\"exp\":1700000300,\"iat\":1700000000," JTI "}", BY_RSA, NULL,
     NULL},
    {"neither iat nor nbf", NULL, E, NULL, NULL, "{" WHO AUD "\"exp\":1700000001," JTI "}", BY_RSA, NULL, NULL},
    {"iat in the future, within the skew", NULL, E, NULL, NULL,
     "{" WHO AUD "\"exp\":1700000240,\"iat\":1700000005," JTI "}", BY_RSA, NULL, NULL},

    {"two parts", "L01", E, "2 parts were found, but there must be 3", NULL, NULL, BY_RSA, no_signature_part, "L02"},
    {"four parts", "L01", E, "4 parts were found", NULL, NULL, BY_RSA, part_behind, "L04"},

    {"a line end behind", "L02", E, "the signature: the byte 0x0a", NULL, NULL, BY_RSA, line_end_behind, "L30"},
    {"a space in front", "L02", E, "the header: the byte 0x20", NULL, NULL, BY_RSA, space_in_front, "L04"},
    {"padding", "L02", E, "the signature: the base64url is padded", NULL, NULL, BY_RSA, padding_behind, "L28"},

    {"a header that is no JSON", "L03", E, "the header is no JSON object: ", "alg=RS384", NULL, BY_RSA, NULL, "L04"},
    {"a header that is an array", "L03", E, "the header is no JSON object: it is an array", "[]", NULL, BY_RSA, NULL,
     "L04"},
    {"a payload that is a string", "L03", E, "the payload is no JSON object: it is a string", NULL, "\"x\"", BY_RSA,
     NULL, "L11"},
    {"a claim twice", "L03", E, "aud", NULL, "{" WHO AUD AUD TIMES JTI "}", BY_RSA, NULL, "L15"},
    {"a payload that is not UTF-8", "L03", E, "UTF-8", NULL, "{\"iss\":\"\xff\"}", BY_RSA, NULL, "L11"},
    {"a payload that is deep", "L03", E, "the payload", NULL,
     "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", BY_RSA, NULL, "L11"},

    {"no alg", "L04", E, "\"alg\" is absent", "{\"kid\":\"r\",\"typ\":\"JWT\"}", NULL, BY_RSA, NULL, "L30"},
    {"an alg that is no string", "L04", E, "\"alg\" is an integer", "{\"alg\":384,\"kid\":\"r\",\"typ\":\"JWT\"}", NULL,
     BY_RSA, NULL, "L30"},
    {"none", "L04", E, "\"none\", so it is not signed", "{\"alg\":\"none\",\"kid\":\"r\",\"typ\":\"JWT\"}", NULL,
     BY_RSA, empty_signature, "L30"},
    {"a shared secret", "L04", E, "\"HS384\", which is made with a shared secret",
     "{\"alg\":\"HS384\",\"kid\":\"r\",\"typ\":\"JWT\"}", NULL, BY_RSA, NULL, "L30"},
    {"an unknown alg", "L04", E, "\"alg\" is \"rs384\"", "{\"alg\":\"rs384\",\"kid\":\"r\",\"typ\":\"JWT\"}", NULL,
     BY_RSA, NULL, "L05"},

    {"an EC alg with an RSA key", "L05", E, "\"alg\" is \"ES384\", but the key is of the type RSA",
     "{\"alg\":\"ES384\",\"kid\":\"r\",\"typ\":\"JWT\"}", NULL, BY_EC, NULL, "L30"},
    {"an alg of another curve", "L05", E, "\"alg\" is \"ES256\", but the key is of the type P-384, which can do ES384",
     "{\"alg\":\"ES256\",\"kid\":\"e\",\"typ\":\"JWT\"}", NULL, BY_EC, NULL, "L30"},
    {"an alg that is not the key's own", "L05", E, "\"alg\" is \"PS384\", but the key in the JWKS is for \"RS384\"",
     "{\"alg\":\"PS384\",\"kid\":\"r\",\"typ\":\"JWT\"}", NULL, BY_RSA, NULL, NULL},

    {"no kid", "L06", E, "\"kid\" is absent", "{\"alg\":\"RS384\",\"typ\":\"JWT\"}", NULL, BY_RSA, NULL, "L31"},
    {"an empty kid", "L06", E, "\"kid\" is empty", "{\"alg\":\"RS384\",\"kid\":\"\",\"typ\":\"JWT\"}", NULL, BY_RSA,
     NULL, "L31"},
    {"a kid that is a number", "L06", E, "\"kid\" is an integer", "{\"alg\":\"RS384\",\"kid\":1,\"typ\":\"JWT\"}", NULL,
     BY_RSA, NULL, "L31"},

    {"no typ", "L07", E, "\"typ\" is absent", "{\"alg\":\"RS384\",\"kid\":\"r\"}", NULL, BY_RSA, NULL, NULL},
    {"typ in lower case", "L07", E, "\"typ\" is \"jwt\"", "{\"alg\":\"RS384\",\"kid\":\"r\",\"typ\":\"jwt\"}", NULL,
     BY_RSA, NULL, NULL},
    {"the typ of rfc7523bis", "L07", W, "client-authentication+jwt",
     "{\"alg\":\"RS384\",\"kid\":\"r\",\"typ\":\"client-authentication+jwt\"}", NULL, BY_RSA, NULL, NULL},

    {"a jku without https", "L08", E, "must be a URL with https",
     "{\"alg\":\"RS384\",\"kid\":\"r\",\"typ\":\"JWT\",\"jku\":\"http://clinic.example/jwks.json\"}", NULL, BY_RSA,
     NULL, NULL},
    {"a jku with a slash more", "L08", E, "but \"" JKU "\" is registered",
     "{\"alg\":\"RS384\",\"kid\":\"r\",\"typ\":\"JWT\",\"jku\":\"" JKU "/\"}", NULL, BY_RSA, NULL, NULL},
    {"a jku that is null", "L08", E, "\"jku\" is null",
     "{\"alg\":\"RS384\",\"kid\":\"r\",\"typ\":\"JWT\",\"jku\":null}", NULL, BY_RSA, NULL, NULL},

    {"crit", "L09", E, "\"crit\"", "{\"alg\":\"RS384\",\"kid\":\"r\",\"typ\":\"JWT\",\"crit\":[\"exp\"]}", NULL, BY_RSA,
     NULL, NULL},
    {"b64", "L09", E, "\"b64\"", "{\"alg\":\"RS384\",\"kid\":\"r\",\"typ\":\"JWT\",\"b64\":true}", NULL, BY_RSA, NULL,
     NULL},

    {"a private key in the header", "L10", E, "\"d\"",
     "{\"alg\":\"RS384\",\"kid\":\"r\",\"typ\":\"JWT\",\"jwk\":{\"kty\":\"EC\",\"d\":\"8002180021\"}}", NULL, BY_RSA,
     NULL, NULL},
    {"a public key in the header", "L10", W, "do not trust",
     "{\"alg\":\"RS384\",\"kid\":\"r\",\"typ\":\"JWT\",\"jwk\":{\"kty\":\"EC\"}}", NULL, BY_RSA, NULL, NULL},

    {"no iss", "L11", E, "\"iss\" is absent", NULL, "{\"sub\":\"" CLIENT "\"," AUD TIMES JTI "}", BY_RSA, NULL, "L13"},
    {"an empty iss", "L11", E, "\"iss\" is empty", NULL, "{\"iss\":\"\",\"sub\":\"" CLIENT "\"," AUD TIMES JTI "}",
     BY_RSA, NULL, "L13"},
    {"no sub", "L12", E, "\"sub\" is absent", NULL, "{\"iss\":\"" CLIENT "\"," AUD TIMES JTI "}", BY_RSA, NULL, "L13"},
    {"a sub that is a number", "L12", E, "\"sub\" is an integer", NULL,
     "{\"iss\":\"" CLIENT "\",\"sub\":1," AUD TIMES JTI "}", BY_RSA, NULL, "L13"},
    {"iss and sub that differ", "L13", E, "\"iss\" is \"a\", but \"sub\" is ", NULL,
     "{\"iss\":\"a\",\"sub\":\"" CLIENT "\"," AUD TIMES JTI "}", BY_RSA, NULL, NULL},
    {"another client", "L14", E, "\"sub\" is \"a\", but the client id is \"" CLIENT_ID "\"", NULL,
     "{\"iss\":\"a\",\"sub\":\"a\"," AUD TIMES JTI "}", BY_RSA, NULL, NULL},
    {"a client id that goes on behind a NUL", "L14", E, "\"sub\" is ", NULL,
     "{\"iss\":\"" CLIENT "\\u0000\",\"sub\":\"" CLIENT "\\u0000\"," AUD TIMES JTI "}", BY_RSA, NULL, NULL},

    {"no aud", "L15", E, "\"aud\" is absent", NULL, "{" WHO TIMES JTI "}", BY_RSA, NULL, "L16"},
    {"an empty aud", "L15", E, "\"aud\" is empty", NULL, "{" WHO "\"aud\":\"\"," TIMES JTI "}", BY_RSA, NULL, "L16"},
    {"an empty array as aud", "L15", E, "\"aud\" is empty", NULL, "{" WHO "\"aud\":[]," TIMES JTI "}", BY_RSA, NULL,
     "L16"},
    {"an aud that is an object", "L15", E, "\"aud\" is an object", NULL, "{" WHO "\"aud\":{}," TIMES JTI "}", BY_RSA,
     NULL, "L16"},
    {"another aud", "L16", E, "must be \"" AUDIENCE "\"", NULL,
     "{" WHO "\"aud\":\"https://other.example\"," TIMES JTI "}", BY_RSA, NULL, NULL},
    {"an aud with a slash more", "L16", E, "(only the slash at the end differs)", NULL,
     "{" WHO "\"aud\":\"" AUDIENCE "/\"," TIMES JTI "}", BY_RSA, NULL, NULL},
    {"an aud in upper case", "L16", E, "(only upper and lower case differ)", NULL,
     "{" WHO "\"aud\":\"https://EHR.example/oauth2/token\"," TIMES JTI "}", BY_RSA, NULL, NULL},
    {"an aud with another scheme", "L16", E, "(only the scheme differs)", NULL,
     "{" WHO "\"aud\":\"http://ehr.example/oauth2/token\"," TIMES JTI "}", BY_RSA, NULL, NULL},
    {"an aud with the port", "L16", E, "(only the port 443 differs", NULL,
     "{" WHO "\"aud\":\"https://ehr.example:443/oauth2/token\"," TIMES JTI "}", BY_RSA, NULL, NULL},
    {"an aud with a query", "L16", E, "(only what follows the path differs)", NULL,
     "{" WHO "\"aud\":\"" AUDIENCE "?a=b\"," TIMES JTI "}", BY_RSA, NULL, NULL},
    {"an array of one", "L17", W, "array of one", NULL, "{" WHO "\"aud\":[\"" AUDIENCE "\"]," TIMES JTI "}", BY_RSA,
     NULL, NULL},
    {"an array of two", "L17", E, "\"aud\" is an array of 2", NULL,
     "{" WHO "\"aud\":[\"x\",\"" AUDIENCE "\"]," TIMES JTI "}", BY_RSA, NULL, NULL},

    {"no exp", "L18", E, "\"exp\" is absent", NULL, "{" WHO AUD "\"iat\":1700000000," JTI "}", BY_RSA, NULL, "L20"},
    {"an exp in quotes", "L19", E, "\"exp\" is \"1700000240\"", NULL, "{" WHO AUD "\"exp\":\"1700000240\"," JTI "}",
     BY_RSA, NULL, "L21"},
    {"an exp with a fraction", "L19", E, "\"exp\" is 1700000240.5", NULL, "{" WHO AUD "\"exp\":1700000240.5," JTI "}",
     BY_RSA, NULL, "L20"},
    {"an exp in milliseconds", "L19", E, "which looks like milliseconds", NULL,
     "{" WHO AUD "\"exp\":1700000240000," JTI "}", BY_RSA, NULL, "L20"},
    {"an exp with an exponent", "L19", E, "\"exp\" is ", NULL, "{" WHO AUD "\"exp\":1.70000024e9," JTI "}", BY_RSA,
     NULL, "L20"},
    {"an exp beyond any number", "L19", E, "\"exp\" is ", NULL, "{" WHO AUD "\"exp\":99999999999999999999999," JTI "}",
     BY_RSA, NULL, "L20"},
    {"an exp that is null", "L19", E, "\"exp\" is null", NULL, "{" WHO AUD "\"exp\":null," JTI "}", BY_RSA, NULL,
     "L20"},
    {"an iat in quotes", "L19", E, "\"iat\" is \"1700000000\"", NULL,
     "{" WHO AUD "\"exp\":1700000240,\"iat\":\"1700000000\"," JTI "}", BY_RSA, NULL, NULL},
    {"expired this second", "L20", E, "\"exp\" was 0 seconds ago", NULL,
     "{" WHO AUD "\"exp\":1700000000,\"iat\":1699999760," JTI "}", BY_RSA, NULL, NULL},
    {"expired long ago", "L20", E, "\"exp\" was 1700000001 seconds ago", NULL, "{" WHO AUD "\"exp\":-1," JTI "}",
     BY_RSA, NULL, NULL},
    {"expired before the world began", "L20", E, "seconds ago", NULL,
     "{" WHO AUD "\"exp\":-9223372036854775808," JTI "}", BY_RSA, NULL, NULL},
    {"301 seconds ahead", "L21", E, "\"exp\" is 301 seconds ahead, but may be 300 at most", NULL,
     "{" WHO AUD "\"exp\":1700000301," JTI "}", BY_RSA, NULL, NULL},
    {"iat in the future", "L22", E, "\"iat\" is 6 seconds in the future", NULL,
     "{" WHO AUD "\"exp\":1700000240,\"iat\":1700000006," JTI "}", BY_RSA, NULL, NULL},
    {"nbf in the future", "L22", E, "\"nbf\" is 60 seconds in the future", NULL,
     "{" WHO AUD TIMES "\"nbf\":1700000060," JTI "}", BY_RSA, NULL, NULL},
    {"iat long before exp", "L23", E, "\"exp\" is 301 seconds after \"iat\"", NULL,
     "{" WHO AUD "\"exp\":1700000240,\"iat\":1699999939," JTI "}", BY_RSA, NULL, NULL},
    {"nbf long before exp", "L23", E, "\"exp\" is 340 seconds after \"nbf\"", NULL,
     "{" WHO AUD TIMES "\"nbf\":1699999900," JTI "}", BY_RSA, NULL, NULL},
    {"iat before the world began", "L23", E, "seconds after \"iat\"", NULL,
     "{" WHO AUD "\"exp\":1700000240,\"iat\":-9223372036854775808," JTI "}", BY_RSA, NULL, NULL},
    {"iat after exp", "L23", E, "\"iat\" is after \"exp\"", NULL,
     "{" WHO AUD "\"exp\":1700000002,\"iat\":1700000003," JTI "}", BY_RSA, NULL, NULL},

    {"no jti", "L24", E, "\"jti\" is absent", NULL, "{" WHO AUD TIMES "\"x\":1}", BY_RSA, NULL, "L26"},
    {"an empty jti", "L24", E, "\"jti\" is empty", NULL, "{" WHO AUD TIMES "\"jti\":\"\"}", BY_RSA, NULL, "L26"},
    {"a jti that is a number", "L25", E, "\"jti\" is an integer", NULL, "{" WHO AUD TIMES "\"jti\":12}", BY_RSA, NULL,
     "L26"},
    {"a jti of 152 characters", "L26", W, "\"jti\" has 152 characters", NULL,
     "{" WHO AUD TIMES
     "\"jti\":\"Ω234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
     "1234567890123456789012345678901234567890123456789012\"}",
     BY_RSA, NULL, NULL},

    {"an RSA signature without its zero byte", "L28", E, "the signature is 255 bytes long, but must be 256", NULL, NULL,
     BY_RSA, signature_a_byte_short, "L30"},
    {"an EC signature without its zero byte", "L28", E, "the signature is 95 bytes long, but must be 96", E_HEADER,
     NULL, BY_EC, signature_a_byte_short, "L30"},
    {"no signature", "L28", E, "the signature is 0 bytes long", NULL, NULL, BY_RSA, empty_signature, "L30"},
    {"an EC signature in DER", "L29", E, "ASN.1 SEQUENCE of 104 bytes, but must be r and s in 96", E_HEADER, NULL,
     BY_EC, signature_in_der, "L30"},
    {"a changed RSA signature", "L30", E, "does not verify with the key \"r\"", NULL, NULL, BY_RSA,
     signature_of_other_bytes, NULL},
    {"a changed EC signature", "L30", E, "does not verify with the key \"e\"", E_HEADER, NULL, BY_EC,
     signature_of_other_bytes, NULL},
    {"another key", "L30", E, "does not verify with the key \"r\"", NULL, NULL, BY_STRANGER, NULL, NULL},
    {"a kid that nobody has", "L31", E, "none of the 3 keys of the JWKS has the kid \"q\"",
     "{\"alg\":\"RS384\",\"kid\":\"q\",\"typ\":\"JWT\"}", NULL, BY_RSA, NULL, "L30"},
};

static void
make(const struct row *row, struct hs_buf *out_jwt)
{
    const char *header = row->header != NULL ? row->header : R_HEADER;
    const char *payload = row->payload != NULL ? row->payload : PAYLOAD;

    const struct hs_alg *alg = signers[row->signer]->alg;

    if (row->signer == BY_RSA && strstr(header, "PS384") != NULL) /* a key that is published for RS384 */
        signers[BY_RSA]->alg = hs_alg_by_name("PS384");
    assert_int_equal(hs_jws_sign(signers[row->signer], hs_span_str(header), hs_span_str(payload), out_jwt, NULL),
                     HSMART_OK);
    signers[row->signer]->alg = alg;
    if (row->change != NULL)
        row->change(out_jwt);
}

static struct hs_assertion_expectation
everything(void)
{
    return (struct hs_assertion_expectation){.jwks = hs_span_buf(&jwks),
                                             .audience = AUDIENCE,
                                             .client_id = CLIENT_ID,
                                             .jku = JKU,
                                             .now_s = NOW,
                                             .skew_s = 5};
}

static void
one_fault_is_one_finding(void **state)
{
    const struct row *row = *state;
    const struct hs_assertion_expectation expectation = everything();
    struct hs_buf jwt = {0};
    struct hs_report report = {0};

    make(row, &jwt);
    assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
    assert_sound(&report, "L");
    assert_only_finding(&report, row->code, row->severity, row->text_part);
    assert_true(has_verdict(&report, "L27", HS_VERDICT_SKIPPED));
    if (row->also_skipped != NULL)
        assert_true(has_verdict(&report, row->also_skipped, HS_VERDICT_SKIPPED));
    else
        assert_int_equal(hs_report_count(&report, HS_VERDICT_SKIPPED), 3); /* L27, L32 and L33 need more */
    for (size_t i = 0; i < report.count; i++)
        assert_null(strstr(report.findings[i].text, "8002180021"));
    hs_report_clear(&report);
    hs_buf_clear(&jwt);
}

/* Rules that need more than an assertion and a JWKS have tests of their own: test_check_server.c. */
static bool
is_elsewhere(const char *code)
{
    return strcmp(code, "L27") == 0 || strcmp(code, "L32") == 0 || strcmp(code, "L33") == 0;
}

static void
every_rule_that_needs_no_server_has_a_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < hs_rule_count; i++) {
        bool found = hs_rules[i].code[0] != 'L' || is_elsewhere(hs_rules[i].code);
        for (size_t j = 0; j < HS_ARRAY_LEN(assertion_rows) && !found; j++)
            found = assertion_rows[j].code != NULL && strcmp(assertion_rows[j].code, hs_rules[i].code) == 0;
        if (!found)
            fail_msg("no row breaks %s", hs_rules[i].code);
    }
}

/* ---- What is not given ---- */

static struct lack {
    const char *name;
    bool jwks, audience, client_id, jku; /* given */
    const char *skipped[6];
} lacks[] = {
    {"nothing", false, false, false, false, {"L05", "L08", "L14", "L16", "L30", "L31"}},
    {"all but the JWKS", false, true, true, true, {"L05", "L30", "L31"}},
    {"all but the audience", true, false, true, true, {"L16"}},
    {"all but the client id", true, true, false, true, {"L14"}},
    {"all but the JWKS URL", true, true, true, false, {"L08"}},
};

static void
a_rule_is_skipped_when_its_expectation_is_not_given(void **state)
{
    static const struct row with_jku = {
        .header = "{\"alg\":\"ES384\",\"kid\":\"e\",\"typ\":\"JWT\",\"jku\":\"https://other.example\"}",
        .signer = BY_EC};
    const struct lack *row = *state;
    struct hs_assertion_expectation expectation = {.now_s = NOW};
    struct hs_buf jwt = {0};
    struct hs_report report = {0};
    size_t count = 3; /* L27, L32, L33 */

    make(&with_jku, &jwt);
    expectation.jwks = row->jwks ? hs_span_buf(&jwks) : (struct hs_span){0};
    expectation.audience = row->audience ? AUDIENCE : NULL;
    expectation.client_id = row->client_id ? CLIENT_ID : NULL;
    expectation.jku = row->jku ? JKU : NULL;
    assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
    assert_sound(&report, "L");
    assert_only_finding(&report, row->jku ? "L08" : NULL, E, "is registered");
    for (size_t i = 0; i < HS_ARRAY_LEN(row->skipped) && row->skipped[i] != NULL; i++, count++)
        assert_true(has_verdict(&report, row->skipped[i], HS_VERDICT_SKIPPED));
    assert_int_equal(hs_report_count(&report, HS_VERDICT_SKIPPED), count);
    hs_report_clear(&report);
    hs_buf_clear(&jwt);
}

/* As K14 and R09 have it: no network, so no TLS needed. */
static void
a_registered_jku_on_this_very_machine_is_a_warning(void **state)
{
#define LOCAL "http://127.0.0.1:8080/jwks.json"
    static const struct row with_jku = {
        .header = "{\"alg\":\"ES384\",\"kid\":\"e\",\"typ\":\"JWT\",\"jku\":\"" LOCAL "\"}", .signer = BY_EC};
    struct hs_assertion_expectation expectation = {.now_s = NOW, .jku = LOCAL};
    struct hs_buf jwt = {0};
    struct hs_report report = {0};

    (void)state;
    make(&with_jku, &jwt);
    assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
    assert_only_finding(&report, "L08", W, "for tests only");
    expectation.jku = JKU;
    assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
    assert_only_finding(&report, "L08", E, "must be a URL with https");
    hs_report_clear(&report);
    hs_buf_clear(&jwt);
}

static void
without_a_jwks_the_length_of_an_ecdsa_signature_is_still_known(void **state)
{
    static const struct row der = {.header = E_HEADER, .signer = BY_EC, .change = signature_in_der};
    static const struct row cut = {.header = E_HEADER, .signer = BY_EC, .change = signature_a_byte_short};
    const struct hs_assertion_expectation expectation = {.now_s = NOW};
    struct hs_buf jwt = {0};
    struct hs_report report = {0};

    (void)state;
    make(&der, &jwt);
    assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
    assert_only_finding(&report, "L29", E, "ASN.1");
    make(&cut, &jwt);
    assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
    assert_only_finding(&report, "L28", E, "95");
    hs_report_clear(&report);
    hs_buf_clear(&jwt);
}

static struct key_set {
    const char *name, *text, *text_part;
} bad_sets[] = {
    {"no JSON", "x", "the JWKS: "},
    {"no keys", "{}", "the JWKS has no array of keys"},
    {"an empty set", "{\"keys\":[]}", "none of the 0 keys"},
    {"a key without members", "{\"keys\":[{\"kid\":\"r\",\"kty\":\"RSA\"}]}",
     "the key with the kid \"r\" in the JWKS: "},
    {"a private key", "{\"keys\":[{\"kid\":\"r\",\"kty\":\"RSA\",\"d\":\"8002180021\"}]}",
     "\"d\" is part of a private"},
    {"two keys of one kid and type", "{\"keys\":[{\"kid\":\"r\",\"kty\":\"RSA\"},{\"kid\":\"r\",\"kty\":\"RSA\"}]}",
     "2 keys of the JWKS have the kid \"r\""},
    {"two keys of one kid and no type", "{\"keys\":[{\"kid\":\"r\"},{\"kid\":\"r\"}]}", "none of the 2 keys"},
};

static void
a_set_without_a_usable_key_is_told(void **state)
{
    static const struct row good = {.signer = BY_RSA};
    const struct key_set *row = *state;
    struct hs_assertion_expectation expectation = everything();
    struct hs_buf jwt = {0};
    struct hs_report report = {0};

    make(&good, &jwt);
    expectation.jwks = hs_span_str(row->text);
    assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
    assert_sound(&report, "L");
    assert_only_finding(&report, "L31", E, row->text_part);
    assert_null(strstr(report.findings[0].text, "8002180021"));
    hs_report_clear(&report);
    hs_buf_clear(&jwt);
}

static void
a_kid_of_two_types_is_told_apart_by_alg(void **state)
{
    static const struct row good = {.signer = BY_RSA};
    struct hs_assertion_expectation expectation = everything();
    struct hs_buf jwt = {0}, set = {0};
    struct hs_json_writer writer = {.out = &set};
    struct hs_report report = {0};

    (void)state;
    hs_json_begin_object(&writer);
    hs_json_name(&writer, "keys");
    hs_json_begin_array(&writer);
    hs_jwk_put(&writer, signers[BY_EC]->jwk, "r", "ES384");
    hs_jwk_put(&writer, signers[BY_RSA]->jwk, "r", "RS384");
    hs_json_end_array(&writer);
    hs_json_end_object(&writer);
    assert_int_equal(hs_json_writer_finish(&writer, NULL), HSMART_OK);
    make(&good, &jwt);
    expectation.jwks = hs_span_buf(&set);
    assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
    assert_only_finding(&report, NULL, E, NULL);
    hs_report_clear(&report);
    hs_buf_clear(&jwt);
    hs_buf_clear(&set);
}

static void
several_faults_are_told_in_the_order_of_the_catalogue(void **state)
{
    static const struct row row = {.header = "{\"alg\":\"none\",\"crit\":[]}",
                                   .payload =
                                       "{\"iss\":\"a\",\"sub\":\"b\",\"aud\":[\"x\",\"y\"],\"exp\":1,\"jti\":[]}",
                                   .signer = BY_RSA};
    static const char *const codes[] = {"L04", "L06", "L07", "L09", "L13", "L14", "L16", "L17", "L20", "L25"};
    const struct hs_assertion_expectation expectation = everything();
    struct hs_buf jwt = {0};
    struct hs_report report = {0};

    (void)state;
    make(&row, &jwt);
    assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
    assert_sound(&report, "L");
    assert_int_equal(report.count, HS_ARRAY_LEN(codes));
    for (size_t i = 0; i < report.count; i++)
        assert_string_equal(report.findings[i].rule->code, codes[i]);
    hs_report_clear(&report);
    hs_buf_clear(&jwt);
}

/* ---- Any bytes ---- */

static void
text_of_any_size_gets_an_answer(void **state)
{
    static const char fillers[] = {'.', 'A', '[', '\n', 0, (char)0xff, '"', '9'};
    const struct hs_assertion_expectation expectation = everything();
    struct hs_buf text = {0};

    (void)state;
    for (size_t i = 0; i < HS_ARRAY_LEN(fillers); i++)
        for (size_t dots = 0; dots < 2; dots++) {
            struct hs_report report = {0};
            assert_int_equal(hs_buf_resize(&text, 1U << 20, NULL), HSMART_OK);
            memset(text.data, fillers[i], text.len);
            if (dots == 1)
                text.data[400000] = text.data[800000] = '.';
            assert_int_equal(hs_check_assertion(hs_span_buf(&text), &expectation, &report, NULL), HSMART_OK);
            assert_sound(&report, "L");
            assert_true(report.error_count > 0);
            hs_report_clear(&report);
        }
    struct hs_report report = {0};
    assert_int_equal(hs_check_assertion((struct hs_span){0}, &expectation, &report, NULL), HSMART_OK);
    assert_only_finding(&report, "L01", E, "empty");
    hs_report_clear(&report);
    hs_buf_clear(&text);
}

/* Payloads that are deep, long or odd, in an assertion that is well-formed otherwise. */
static void
any_payload_gets_an_answer(void **state)
{
    static const char *const fillers[] = {"[", "{\"a\":", "9", "\"\\u0000", "1e999,", "{}", "\xf0\x9f", "-"};
    const struct hs_assertion_expectation expectation = everything();
    struct hs_buf payload = {0}, jwt = {0};

    (void)state;
    for (size_t i = 0; i < HS_ARRAY_LEN(fillers); i++) {
        struct hs_report report = {0};
        hs_buf_clear(&payload);
        while (payload.len < 100000)
            append(&payload, fillers[i]);
        assert_int_equal(hs_jws_sign(signers[BY_RSA], span(R_HEADER), hs_span_buf(&payload), &jwt, NULL), HSMART_OK);
        assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
        assert_sound(&report, "L");
        assert_int_equal(report.count, 1);
        assert_string_equal(report.findings[0].rule->code, "L03");
        hs_report_clear(&report);
    }
    hs_buf_clear(&payload);
    hs_buf_clear(&jwt);
}

static void
a_damaged_assertion_is_never_good(void **state)
{
    static const struct row good = {.header = E_HEADER, .signer = BY_EC};
    const struct hs_assertion_expectation expectation = everything();
    struct hs_buf jwt = {0};

    (void)state;
    make(&good, &jwt);
    for (size_t at = 0; at < jwt.len; at++) {
        struct hs_report report = {0};
        uint8_t kept = jwt.data[at];
        assert_int_equal(hs_check_assertion((struct hs_span){jwt.data, at}, &expectation, &report, NULL), HSMART_OK);
        assert_sound(&report, "L");
        assert_true(report.error_count > 0);
        hs_report_clear(&report);
        jwt.data[at] = kept == 'A' ? 'B' : (uint8_t)(at % 3 == 0 ? at * 31 : 'A');
        if (jwt.data[at] == kept)
            jwt.data[at] ^= 0x80;
        assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
        assert_sound(&report, "L");
        assert_true(report.error_count > 0);
        hs_report_clear(&report);
        jwt.data[at] = kept;
    }
    hs_buf_clear(&jwt);
}

/* The text of the whole assertion, or of its signature, is in no finding. */
static void
no_finding_gives_a_live_assertion_away(void **state)
{
    const struct hs_assertion_expectation expectation = {
        .jwks = hs_span_buf(&jwks), .audience = "https://x", .client_id = "x", .jku = "https://x", .now_s = NOW + 1000};

    (void)state;
    for (size_t i = 0; i < HS_ARRAY_LEN(assertion_rows); i++) {
        struct hs_buf jwt = {0};
        struct hs_report report = {0};
        make(&assertion_rows[i], &jwt);
        assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
        const char *signature = strrchr(hs_buf_text(&jwt), '.') + 1;
        char part[17] = "";
        (void)snprintf(part, sizeof part, "%s", signature);
        for (size_t f = 0; f < report.count && strlen(part) == 16; f++)
            assert_null(strstr(report.findings[f].text, part));
        hs_report_clear(&report);
        hs_buf_clear(&jwt);
    }
}

/* ---- Published assertions ---- */

static struct published {
    const char *name, *jwks, *audience, *client_id;
    int64_t now_s;
} published_assertions[] = {
    {"smart/RS384.jwt", "smart/RS384.public.jwks.json", "https://authorize.smarthealthit.org/token",
     "https://bili-monitor.example.com", 1422568800},
    {"smart/ES384.jwt", "smart/ES384.public.jwks.json", NULL, NULL, 0},
};

static void
a_published_assertion_has_no_finding_but_its_age(void **state)
{
    const struct published *row = *state;
    struct hs_buf jwt = {0}, set = {0};
    struct hs_report report = {0};

    vectors_load_text(row->name, &jwt);
    vectors_load_text(row->jwks, &set);
    const struct hs_assertion_expectation expectation = {
        .jwks = hs_span_buf(&set), .audience = row->audience, .client_id = row->client_id, .now_s = row->now_s};
    assert_int_equal(hs_check_assertion(hs_span_buf(&jwt), &expectation, &report, NULL), HSMART_OK);
    assert_sound(&report, "L");
    assert_only_finding(&report, row->now_s == 0 ? "L20" : NULL, E, "seconds ago");
    assert_true(has_verdict(&report, "L30", HS_VERDICT_OK));
    hs_report_clear(&report);
    hs_buf_clear(&jwt);
    hs_buf_clear(&set);
}

int
main(void)
{
    static struct rows rows;

    make_keys();
    ADD_ROWS(&rows, one_fault_is_one_finding, assertion_rows);
    ADD_TEST(&rows, every_rule_that_needs_no_server_has_a_row);
    ADD_ROWS(&rows, a_rule_is_skipped_when_its_expectation_is_not_given, lacks);
    ADD_TEST(&rows, a_registered_jku_on_this_very_machine_is_a_warning);
    ADD_TEST(&rows, without_a_jwks_the_length_of_an_ecdsa_signature_is_still_known);
    ADD_ROWS(&rows, a_set_without_a_usable_key_is_told, bad_sets);
    ADD_TEST(&rows, a_kid_of_two_types_is_told_apart_by_alg);
    ADD_TEST(&rows, several_faults_are_told_in_the_order_of_the_catalogue);
    ADD_TEST(&rows, text_of_any_size_gets_an_answer);
    ADD_TEST(&rows, any_payload_gets_an_answer);
    ADD_TEST(&rows, a_damaged_assertion_is_never_good);
    ADD_TEST(&rows, no_finding_gives_a_live_assertion_away);
    ADD_ROWS(&rows, a_published_assertion_has_no_finding_but_its_age, published_assertions);
    int status = rows_run("check_assertion", &rows);
    free_keys();
    return status;
}
