/* The rules on a JWKS: each row breaks one thing in a set that is good otherwise. */
#include "check_rows.h"

#include <stdlib.h>

#include "base64url.h"
#include "file.h"
#include "software_signer.h"
#include "vectors.h"

/* Parts of keys by name, for the texts below: base64url of the parts of keys that were made for this run. */
static struct material {
    const char *name;
    char *text;
} material[32];
static size_t material_count;

static void
add_material(const char *name, struct hs_span bytes)
{
    struct hs_buf text = {0};

    if (hs_base64url_append(&text, bytes, NULL) != HSMART_OK ||
        hs_buf_take_text(&text, &material[material_count].text, NULL) != HSMART_OK)
        abort();
    material[material_count++].name = name;
}

/* The bytes with one in front, or without the last one, or with the last one changed. */
static void
add_changed(const char *name, const struct hs_buf *bytes, const char *front, size_t cut, uint8_t flip)
{
    struct hs_buf changed = {0};

    if (hs_buf_append(&changed, (struct hs_span){(const uint8_t *)front, front != NULL ? 1 : 0}, NULL) != HSMART_OK ||
        hs_buf_append(&changed, (struct hs_span){bytes->data, bytes->len - cut}, NULL) != HSMART_OK)
        abort();
    changed.data[changed.len - 1] ^= flip;
    add_material(name, hs_span_buf(&changed));
    hs_buf_clear(&changed);
}

static const char *
lookup(const char *name)
{
    for (size_t i = 0; i < material_count; i++)
        if (strcmp(material[i].name, name) == 0)
            return material[i].text;
    fail_msg("no material \"%s\"", name);
    return "";
}

static void
make_material(void)
{
    static const char zero[] = "";
    struct hs_signer *rsa = software_signer_generate("RS384", 2048, NULL);
    struct hs_signer *small = software_signer_generate("RS384", 1024, NULL);
    struct hs_signer *ec = software_signer_generate("ES384", 0, NULL);

    if (rsa == NULL || small == NULL || ec == NULL)
        abort();
    add_material("n", hs_span_buf(&rsa->jwk->n));
    add_material("small", hs_span_buf(&small->jwk->n));
    add_material("x", hs_span_buf(&ec->jwk->x));
    add_material("y", hs_span_buf(&ec->jwk->y));
    add_changed("zero-n", &rsa->jwk->n, zero, 0, 0);
    add_changed("even-n", &rsa->jwk->n, NULL, 0, 1);
    add_changed("long-x", &ec->jwk->x, zero, 0, 0);
    add_changed("short-y", &ec->jwk->y, NULL, 1, 0);
    add_changed("off-y", &ec->jwk->y, NULL, 0, 1);
    hs_signer_free(rsa);
    hs_signer_free(small);
    hs_signer_free(ec);
}

#define RSA_MEMBERS "\"n\":\"@n@\",\"e\":\"AQAB\""
#define EC_MEMBERS "\"crv\":\"P-384\",\"x\":\"@x@\",\"y\":\"@y@\""
#define RSA_REST "\"kty\":\"RSA\",\"kid\":\"r\",\"use\":\"sig\",\"alg\":\"RS384\""
#define EC_REST "\"kty\":\"EC\",\"kid\":\"e\",\"use\":\"sig\",\"alg\":\"ES384\""
#define RSA "{" RSA_REST "," RSA_MEMBERS "}"
#define EC "{" EC_REST "," EC_MEMBERS "}"
#define SET(keys) "{\"keys\":[" keys "]}"
#define E HS_SEVERITY_ERROR
#define W HS_SEVERITY_WARNING

static struct good {
    const char *name, *text;
} goods[] = {
    {"an RSA key", SET(RSA)},
    {"an EC key", SET(EC)},
    {"both, white space and other members", " {\"comment\": [1], \"keys\": [ " RSA ",\n" EC " ] }\n"},
    {"key_ops instead of use", SET("{\"kty\":\"RSA\",\"kid\":\"r\",\"key_ops\":[\"verify\"],\"alg\":\"PS256\"," RSA_MEMBERS "}")},
    {"neither use nor key_ops", SET("{\"kty\":\"EC\",\"kid\":\"e\",\"alg\":\"ES384\"," EC_MEMBERS "}")},
    {"a type that is not ours beside ours",
     SET(RSA ",{\"kty\":\"OKP\",\"kid\":\"o\",\"crv\":\"Ed25519\",\"x\":\"AAAA\",\"alg\":\"EdDSA\"}")},
    {"a member that we do not know", SET("{" RSA_REST "," RSA_MEMBERS ",\"ext\":true}")},
};

static struct bad {
    const char *name, *code;
    enum hs_severity severity;
    const char *text, *text_part;
} bads[] = {
    {"no text", "K01", E, "", ""},
    {"no JSON", "K01", E, "hello", "JSON"},
    {"text behind the set", "K01", E, SET(RSA) "x", ""},
    {"a member twice", "K01", E, SET("{" RSA_REST ",\"kid\":\"s\"," RSA_MEMBERS "}"), "kid"},
    {"an array", "K01", E, "[" RSA "]", "a key set must be an object, but this is an array"},
    {"a string", "K01", E, "\"x\"", "a key set must be an object, but this is a string"},
    {"a single key", "K01", E, RSA, "this is a single key"},
    {"no keys", "K01", E, "{}", "the member \"keys\" is absent, but must be an array"},
    {"keys that are no array", "K01", E, "{\"keys\":" RSA "}", "the member \"keys\" is an object"},
    {"an empty set", "K01", E, "{\"keys\":[]}", "among the 0 of the set"},
    {"only a type that is not ours", "K01", E, SET("{\"kty\":\"OKP\",\"kid\":\"o\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}"),
     "there is no key of the type RSA or EC among the 1"},
    {"no type", "K01", E, SET(RSA ",{\"kid\":\"x\"}"), "key 2 (\"x\"): the member \"kty\" is absent"},
    {"a type that is no string", "K01", E, SET("{\"kty\":1,\"kid\":\"x\"}"), "\"kty\" is an integer"},
    {"no modulus", "K01", E, SET("{" RSA_REST ",\"e\":\"AQAB\"}"), "key 1 (\"r\"): the member \"n\" is absent"},
    {"an exponent that is a number", "K01", E, SET("{" RSA_REST ",\"n\":\"@n@\",\"e\":65537}"), "\"e\" is an integer"},
    {"no curve", "K01", E, SET("{" EC_REST ",\"x\":\"@x@\",\"y\":\"@y@\"}"), "\"crv\" is absent"},
    {"no coordinate", "K01", E, SET("{" EC_REST ",\"crv\":\"P-384\",\"x\":\"@x@\"}"), "\"y\" is absent"},

    {"no kid", "K02", E, SET("{\"kty\":\"RSA\",\"alg\":\"RS384\"," RSA_MEMBERS "}"), "key 1: the member \"kid\" is absent"},
    {"an empty kid", "K02", E, SET("{\"kty\":\"RSA\",\"kid\":\"\",\"alg\":\"RS384\"," RSA_MEMBERS "}"), "is empty"},
    {"a kid that is a number", "K02", E, SET("{\"kty\":\"RSA\",\"kid\":7,\"alg\":\"RS384\"," RSA_MEMBERS "}"),
     "\"kid\" is an integer"},
    {"no kid on a type that is not ours", "K02", E, SET(RSA ",{\"kty\":\"OKP\"}"), "key 2: "},

    {"a kid twice", "K03", E, SET(RSA "," EC "," RSA), "key 3 (\"r\") has the same kid as key 1"},

    {"the private RSA exponent", "K04", E, SET("{" RSA_REST ",\"d\":\"8002180021\"," RSA_MEMBERS "}"),
     "key 1 (\"r\") has private or secret members: d"},
    {"every private member", "K04", E,
     SET("{" RSA_REST ",\"d\":\"\",\"p\":\"\",\"q\":\"\",\"dp\":1,\"dq\":1,\"qi\":1,\"oth\":[],\"k\":null," RSA_MEMBERS "}"),
     "members: d, p, q, dp, dq, qi, oth, k"},
    {"the private EC value", "K04", E, SET("{" EC_REST ",\"d\":\"8002180021\"," EC_MEMBERS "}"), "members: d"},
    {"a symmetric key", "K04", E, SET(RSA ",{\"kty\":\"oct\",\"kid\":\"h\",\"k\":\"8002180021\"}"), "key 2 (\"h\")"},
    {"a symmetric key without value", "K04", E, SET(RSA ",{\"kty\":\"oct\",\"kid\":\"h\"}"), "symmetric"},

    {"an unknown curve", "K05", E, SET("{" EC_REST ",\"crv\":\"secp256k1\",\"x\":\"@x@\",\"y\":\"@y@\"}"),
     "\"crv\" is \"secp256k1\", but must be P-256, P-384 or P-521"},
    {"a curve in lower case", "K05", E, SET("{" EC_REST ",\"crv\":\"p-384\",\"x\":\"@x@\",\"y\":\"@y@\"}"), "\"p-384\""},
    {"a coordinate with a zero byte more", "K05", E, SET("{" EC_REST ",\"crv\":\"P-384\",\"x\":\"@long-x@\",\"y\":\"@y@\"}"),
     "\"x\" is 49 bytes long, but on P-384 it must be 48"},
    {"a coordinate without its last byte", "K05", E,
     SET("{" EC_REST ",\"crv\":\"P-384\",\"x\":\"@x@\",\"y\":\"@short-y@\"}"), "\"y\" is 47 bytes long"},
    {"a point beside the curve", "K05", E, SET("{" EC_REST ",\"crv\":\"P-384\",\"x\":\"@x@\",\"y\":\"@off-y@\"}"),
     "is not on the curve P-384"},

    {"a modulus with a zero byte in front", "K06", E, SET("{" RSA_REST ",\"n\":\"@zero-n@\",\"e\":\"AQAB\"}"),
     "\"n\" begins with a zero byte"},
    {"an even modulus", "K06", E, SET("{" RSA_REST ",\"n\":\"@even-n@\",\"e\":\"AQAB\"}"), "\"n\" is an even number"},
    {"an empty modulus", "K06", E, SET("{" RSA_REST ",\"n\":\"\",\"e\":\"AQAB\"}"), "\"n\" is empty"},
    {"an exponent with a zero byte in front", "K06", E, SET("{" RSA_REST ",\"n\":\"@n@\",\"e\":\"AAEAAQ\"}"),
     "\"e\" begins with a zero byte"},
    {"an even exponent", "K06", E, SET("{" RSA_REST ",\"n\":\"@n@\",\"e\":\"AQAA\"}"), "\"e\" is an even number"},
    {"the exponent 1", "K06", E, SET("{" RSA_REST ",\"n\":\"@n@\",\"e\":\"AQ\"}"), "\"e\" is 1"},
    {"an exponent as long as the modulus", "K06", E, SET("{" RSA_REST ",\"n\":\"@n@\",\"e\":\"@n@\"}"), "exponent"},

    {"1024 bits", "K07", E, SET("{" RSA_REST ",\"n\":\"@small@\",\"e\":\"AQAB\"}"),
     "key 1 (\"r\") has 1024 bits, but must have 2048 at least"},
    {"8 bits", "K07", E, SET("{" RSA_REST ",\"n\":\"_w\",\"e\":\"AQAB\"}"), "has 8 bits"},

    {"a key for encryption", "K08", E,
     SET("{\"kty\":\"RSA\",\"kid\":\"r\",\"use\":\"enc\",\"alg\":\"RS384\"," RSA_MEMBERS "}"), "\"use\" is \"enc\""},
    {"a use that is no string", "K08", E,
     SET("{\"kty\":\"RSA\",\"kid\":\"r\",\"use\":null,\"alg\":\"RS384\"," RSA_MEMBERS "}"), "\"use\" is null"},
    {"key_ops without verify", "K08", E,
     SET("{\"kty\":\"RSA\",\"kid\":\"r\",\"key_ops\":[\"encrypt\"],\"alg\":\"RS384\"," RSA_MEMBERS "}"), "lacks \"verify\""},
    {"key_ops with sign", "K08", E,
     SET("{\"kty\":\"RSA\",\"kid\":\"r\",\"key_ops\":[\"sign\",\"verify\"],\"alg\":\"RS384\"," RSA_MEMBERS "}"), "has \"sign\""},
    {"key_ops that are a string", "K08", E,
     SET("{\"kty\":\"RSA\",\"kid\":\"r\",\"key_ops\":\"verify\",\"alg\":\"RS384\"," RSA_MEMBERS "}"), "must be an array"},

    {"no alg", "K09", W, SET("{\"kty\":\"RSA\",\"kid\":\"r\"," RSA_MEMBERS "}"), "\"alg\" is absent"},
    {"an alg of another type", "K09", E, SET("{\"kty\":\"RSA\",\"kid\":\"r\",\"alg\":\"ES384\"," RSA_MEMBERS "}"),
     "\"alg\" is \"ES384\", but this key can do RS384"},
    {"an alg of another curve", "K09", E, SET("{\"kty\":\"EC\",\"kid\":\"e\",\"alg\":\"ES256\"," EC_MEMBERS "}"),
     "\"alg\" is \"ES256\", but this key can do ES384"},
    {"an alg with a shared secret", "K09", E, SET("{\"kty\":\"RSA\",\"kid\":\"r\",\"alg\":\"HS384\"," RSA_MEMBERS "}"), "HS384"},
    {"an alg that is no string", "K09", E, SET("{\"kty\":\"RSA\",\"kid\":\"r\",\"alg\":[]," RSA_MEMBERS "}"), "an array"},

    {"use and key_ops", "K10", W, SET("{" RSA_REST ",\"key_ops\":[\"verify\"]," RSA_MEMBERS "}"),
     "has the members \"use\" and \"key_ops\""},

    {"a padded exponent", "K11", E, SET("{" RSA_REST ",\"n\":\"@n@\",\"e\":\"AQAB=\"}"), "the member \"e\": "},
    {"a line end in the modulus", "K11", E, SET("{" RSA_REST ",\"n\":\"@n@\\n\",\"e\":\"AQAB\"}"), "the member \"n\": "},
    {"plain base64 in a coordinate", "K11", E, SET("{" EC_REST ",\"crv\":\"P-384\",\"x\":\"a+/a\",\"y\":\"@y@\"}"),
     "the member \"x\": "},
    {"x5c that is a string", "K12", E, SET("{" RSA_REST ",\"x5c\":\"AAAA\"," RSA_MEMBERS "}"), "not an array of strings"},
    {"x5c in base64url", "K12", E, SET("{" RSA_REST ",\"x5c\":[\"a-_a\"]," RSA_MEMBERS "}"), "is base64url's"},
    {"x5c without padding", "K12", E, SET("{" RSA_REST ",\"x5c\":[\"AAA\"]," RSA_MEMBERS "}"), "multiple of 4"},
    {"x5c that is no certificate", "K12", E, SET("{" RSA_REST ",\"x5c\":[\"AAAA\"]," RSA_MEMBERS "}"),
     "the first certificate of \"x5c\": "},
    {"a byte order mark", "K18", E, "\xef\xbb\xbf" SET(RSA), "EF BB BF"},

    {"a padded certificate thumbprint", "K11", E, SET("{" RSA_REST ",\"x5t#S256\":\"AAA=\"," RSA_MEMBERS "}"), "x5t#S256"},
};

static void
check(const char *text, struct hs_report *out_report)
{
    struct hs_buf expanded = {0};

    expand(text, lookup, &expanded);
    assert_int_equal(hs_check_jwks(hs_span_buf(&expanded), NULL, out_report, NULL), HSMART_OK);
    assert_sound(out_report, "K");
    hs_buf_clear(&expanded);
}

static void
a_good_set_has_no_finding(void **state)
{
    const struct good *row = *state;
    struct hs_report report = {0};

    check(row->text, &report);
    assert_only_finding(&report, NULL, E, NULL);
    assert_int_equal(hs_report_count(&report, HS_VERDICT_SKIPPED), 5); /* K13 to K17 need a server or a URL */
    hs_report_clear(&report);
}

static void
one_fault_is_one_finding(void **state)
{
    const struct bad *row = *state;
    struct hs_report report = {0};

    check(row->text, &report);
    assert_only_finding(&report, row->code, row->severity, row->text_part);
    assert_null(strstr(report.findings[0].text, "8002180021"));
    hs_report_clear(&report);
}

/* Rules that need a server or a URL have tests of their own: test_check_server.c. */
static bool
is_elsewhere(const char *code)
{
    return strcmp(code, "K13") >= 0 && strcmp(code, "K17") <= 0;
}

static void
every_rule_has_a_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < hs_rule_count; i++) {
        bool found = hs_rules[i].code[0] != 'K' || is_elsewhere(hs_rules[i].code);
        for (size_t j = 0; j < HS_ARRAY_LEN(bads) && !found; j++)
            found = strcmp(bads[j].code, hs_rules[i].code) == 0;
        if (!found)
            fail_msg("no row breaks %s", hs_rules[i].code);
    }
}

static void
several_faults_are_told_in_the_order_of_the_catalogue(void **state)
{
    static const char *const codes[] = {"K01", "K02", "K06", "K07", "K08", "K09", "K10"};
    struct hs_report report = {0};

    (void)state;
    check(SET("{\"kty\":\"RSA\",\"n\":\"_w\",\"e\":\"AAEAAQ\",\"use\":\"enc\",\"key_ops\":[\"verify\"]},7"), &report);
    assert_int_equal(report.count, HS_ARRAY_LEN(codes) + 1); /* the 7 has no kid either */
    for (size_t i = 0, c = 0; i < report.count; i++) {
        if (i > 0 && report.findings[i].rule == report.findings[i - 1].rule)
            continue;
        assert_string_equal(report.findings[i].rule->code, codes[c++]);
    }
    hs_report_clear(&report);
}

static void
without_keys_the_other_rules_are_skipped(void **state)
{
    struct hs_report report = {0};

    (void)state;
    check("{}", &report);
    assert_int_equal(hs_report_count(&report, HS_VERDICT_SKIPPED), report.verdict_count - 2);
    assert_true(has_verdict(&report, "K01", HS_VERDICT_ERROR));
    assert_true(has_verdict(&report, "K18", HS_VERDICT_OK));
    hs_report_clear(&report);
}

static void
what_a_stranger_wrote_is_shown_short_and_harmless(void **state)
{
    struct hs_report report = {0};
    char text[4096], kid[2048];

    (void)state;
    memset(kid, 'k', sizeof kid);
    kid[sizeof kid - 1] = 0;
    (void)snprintf(text, sizeof text, "{\"keys\":[{\"kid\":\"\\u001b[31m\\u0000\\u202e%s\"}]}", kid);
    assert_int_equal(hs_check_jwks(hs_span_str(text), NULL, &report, NULL), HSMART_OK);
    assert_sound(&report, "K");
    assert_int_equal(report.count, 1);
    assert_non_null(strstr(report.findings[0].text, "key 1 (\"?[31m??kkk"));
    assert_non_null(strstr(report.findings[0].text, "k…\")"));
    hs_report_clear(&report);
}

/* ---- Any bytes ---- */

static void
a_set_of_any_size_gets_an_answer(void **state)
{
    static const struct {
        const char *front, *filler, *back;
    } rows[] = {{"", "[", ""},         {"", "{\"keys\":", ""},      {"{\"keys\":[", "{},", "{}]}"},
                {"", "9", ""},         {"{\"keys\":[", "7,", "7]}"}, {"\"", "\xff", "\""},
                {"", "\0", ""},        {"", " ", ""},                {"{\"keys\":[{\"kid\":\"", "a", "\"}]}"},
                {"{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"", "____", "\"}]}"}};
    struct hs_buf text = {0};

    (void)state;
    for (size_t i = 0; i < HS_ARRAY_LEN(rows); i++) {
        struct hs_report report = {0};
        size_t filler_len = rows[i].filler[0] != 0 ? strlen(rows[i].filler) : 1;
        hs_buf_clear(&text);
        assert_int_equal(hs_buf_append_str(&text, rows[i].front, NULL), HSMART_OK);
        while (text.len + filler_len + strlen(rows[i].back) <= 1U << 20)
            assert_int_equal(hs_buf_append(&text, (struct hs_span){(const uint8_t *)rows[i].filler, filler_len}, NULL),
                             HSMART_OK);
        assert_int_equal(hs_buf_append_str(&text, rows[i].back, NULL), HSMART_OK);
        assert_int_equal(hs_check_jwks(hs_span_buf(&text), NULL, &report, NULL), HSMART_OK);
        assert_sound(&report, "K");
        assert_true(report.error_count > 0);
        assert_true(report.count < 5000);
        hs_report_clear(&report);
    }
    hs_buf_clear(&text);
}

static void
a_damaged_set_gets_an_answer(void **state)
{
    struct hs_buf good = {0}, text = {0};

    (void)state;
    expand(SET(EC "," RSA), lookup, &good);
    for (size_t at = 0; at < good.len; at++)
        for (unsigned byte = (unsigned)at % 7; byte < 256; byte += 23) {
            struct hs_report report = {0};
            assert_int_equal(hs_buf_resize(&text, 0, NULL), HSMART_OK);
            assert_int_equal(hs_buf_append(&text, hs_span_buf(&good), NULL), HSMART_OK);
            text.data[at] = (uint8_t)byte;
            assert_int_equal(hs_check_jwks(hs_span_buf(&text), NULL, &report, NULL), HSMART_OK);
            assert_sound(&report, "K");
            hs_report_clear(&report);
            assert_int_equal(hs_check_jwks((struct hs_span){good.data, at}, NULL, &report, NULL), HSMART_OK);
            assert_true(report.error_count > 0);
            hs_report_clear(&report);
        }
    hs_buf_clear(&good);
    hs_buf_clear(&text);
}

/* ---- Published sets ---- */

static struct published {
    const char *name, *code; /* the one code that may be found; NULL: none */
} published_sets[] = {
    {"smart/RS384.public.jwks.json", NULL},
    {"smart/ES384.public.jwks.json", NULL},
    {"smart/RS384.private.jwks.json", "K04"},
    {"smart/ES384.private.jwks.json", "K04"},
    {"inferno/smart_jwks.json", "K04"},
};

static void
a_published_set_gets_the_right_verdict(void **state)
{
    const struct published *row = *state;
    struct hs_buf text = {0};
    struct hs_report report = {0};
    bool found = false;

    vectors_load_text(row->name, &text);
    assert_int_equal(hs_check_jwks(hs_span_buf(&text), NULL, &report, NULL), HSMART_OK);
    assert_sound(&report, "K");
    if (row->code == NULL)
        assert_int_equal(report.error_count, 0);
    for (size_t i = 0; i < report.count && row->code != NULL; i++)
        found = found || strcmp(report.findings[i].rule->code, row->code) == 0;
    assert_true(found || row->code == NULL);
    hs_report_clear(&report);
    hs_buf_clear(&text);
}

int
main(void)
{
    static struct rows rows;

    make_material();
    ADD_ROWS(&rows, a_good_set_has_no_finding, goods);
    ADD_ROWS(&rows, one_fault_is_one_finding, bads);
    ADD_TEST(&rows, every_rule_has_a_row);
    ADD_TEST(&rows, several_faults_are_told_in_the_order_of_the_catalogue);
    ADD_TEST(&rows, without_keys_the_other_rules_are_skipped);
    ADD_TEST(&rows, what_a_stranger_wrote_is_shown_short_and_harmless);
    ADD_TEST(&rows, a_set_of_any_size_gets_an_answer);
    ADD_TEST(&rows, a_damaged_set_gets_an_answer);
    ADD_ROWS(&rows, a_published_set_gets_the_right_verdict, published_sets);
    int status = rows_run("check_jwks", &rows);
    for (size_t i = 0; i < material_count; i++)
        hs_string_free(material[i].text);
    return status;
}
