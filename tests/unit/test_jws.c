#include "rows.h"

#include "base64url.h"
#include "err.h"
#include "jws.h"
#include "software_signer.h"
#include "vectors.h"

#define HEADER "eyJhbGciOiJSUzM4NCJ9" /* {"alg":"RS384"} */
#define PAYLOAD "eyJpc3MiOiJhIn0"     /* {"iss":"a"} */

/* ---- Taking apart ---- */

static void
a_jws_is_taken_apart(void **state)
{
    (void)state;
    static const char text[] = HEADER "." PAYLOAD ".AQID";
    struct hs_jws jws = {0};

    assert_int_equal(hs_jws_parse(span(text), &jws, NULL), HSMART_OK);
    assert_true(hs_span_equal_str(jws.signing_input, HEADER "." PAYLOAD));
    assert_string_equal(hs_buf_text(&jws.header_text), "{\"alg\":\"RS384\"}");
    assert_string_equal(hs_json_text(hs_json_member(jws.header.root, "alg")), "RS384");
    assert_string_equal(hs_json_text(hs_json_member(jws.payload.root, "iss")), "a");
    assert_int_equal(jws.signature.len, 3);
    hs_jws_clear(&jws);
    hs_jws_clear(&jws);
    assert_null(jws.header.root);
}

static struct refusal {
    const char *name, *text, *reason;
} refusals[] = {
    {"nothing", "", "a compact JWS has 3 parts between dots, this has 1"},
    {"two parts", HEADER "." PAYLOAD, "a compact JWS has 3 parts between dots, this has 2"},
    {"four parts", HEADER "." PAYLOAD ".AQID.", "a compact JWS has 3 parts between dots, this has 4"},
    {"the five parts of an encrypted one", "a.b.c.d.e", "a compact JWS has 3 parts between dots, this has 5"},
    {"the JSON serialisation", "{\"payload\":\"x\"}", "a compact JWS has 3 parts between dots, this has 1"},
    {"padding in the header", "e30=." PAYLOAD ".AQID", "the header: the base64url is padded with \"=\" at byte 3"},
    {"a header in plain base64", "e+A." PAYLOAD ".AQID",
     "the header: \"+\" at byte 1 belongs to plain base64, not to base64url"},
    {"a space in the payload", HEADER ".e 30.AQID",
     "the payload: the byte 0x20 at byte 1 does not belong to base64url"},
    {"a line feed at the end", HEADER "." PAYLOAD ".AQID\n",
     "the signature: the byte 0x0a at byte 4 does not belong to base64url"},
    {"a header that is no JSON", "Zm9v." PAYLOAD ".AQID", "the header: not JSON: \"f\" at byte 0, expected a value"},
    {"an empty header", "." PAYLOAD ".AQID", "the header: not JSON: the text ends at byte 0, expected a value"},
    {"a header that is an array", "W10." PAYLOAD ".AQID", "the header: must be a JSON object, but is an array"},
    {"a header with one member twice", "eyJhbGciOjEsImFsZyI6Mn0." PAYLOAD ".AQID",
     "the header: the member \"alg\" occurs twice, again at byte 9"},
    {"a payload that is no JSON", HEADER ".Zm9v.AQID", "the payload: not JSON: \"f\" at byte 0, expected a value"},
    {"a payload that is a string", HEADER ".Im9rIg.AQID", "the payload: must be a JSON object, but is a string"},
};

static void
what_is_no_jws_is_refused_by_part(void **state)
{
    const struct refusal *row = *state;
    struct hs_jws jws = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_jws_parse(span(row->text), &jws, &err), HSMART_INPUT_MALFORMED);
    assert_string_equal(err.text, row->reason);
    assert_null(jws.header_text.data);
    assert_null(jws.header.root);
}

static void
a_payload_that_is_no_json_can_be_split_off(void **state)
{
    (void)state;
    struct hs_jws jws = {0};

    assert_int_equal(hs_jws_split(span(HEADER ".Zm9v."), &jws, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&jws.payload_text), "foo");
    assert_int_equal(jws.signature.len, 0);
    assert_null(jws.payload.root);
    hs_jws_clear(&jws);
}

static void
a_jws_that_is_too_long_is_refused(void **state)
{
    (void)state;
    struct hs_buf text = {0};
    struct hs_jws jws = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_buf_resize(&text, HS_JWS_MAX_LEN + 1, NULL), HSMART_OK);
    memset(text.data, '.', text.len);
    assert_int_equal(hs_jws_split(hs_span_buf(&text), &jws, &err), HSMART_INPUT_MALFORMED);
    assert_string_equal(err.text, "the JWS is 1048577 bytes long, more than the 1048576 allowed");
    hs_buf_clear(&text);
}

/* ---- Signing ---- */

static struct kind {
    const char *name; /* of the algorithm */
    unsigned rsa_bits;
} kinds[] = {{"RS256", 2048}, {"RS384", 2048}, {"RS512", 2048}, {"PS256", 2048}, {"PS384", 2048}, {"PS512", 2048},
             {"RS384", 3072}, {"ES256", 0},    {"ES384", 0},    {"ES512", 0}};

static void
what_is_signed_verifies_and_comes_back_as_given(void **state)
{
    const struct kind *row = *state;
    struct hs_signer *signer = software_signer_generate(row->name, row->rsa_bits, "k");
    static const char header[] = "{ \"alg\" : \"any\" }", payload[] = "{\"a\":\"\xc3\xa9\"}\n";
    struct hs_buf text = {0};
    struct hs_jws jws = {0};

    assert_int_equal(hs_jws_sign(signer, span(header), span(payload), &text, NULL), HSMART_OK);
    assert_null(memchr(text.data, '\n', text.len));
    assert_null(memchr(text.data, '=', text.len));
    assert_int_equal(hs_jws_parse(hs_span_buf(&text), &jws, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&jws.header_text), header);
    assert_string_equal(hs_buf_text(&jws.payload_text), payload);
    assert_int_equal(hs_jwk_verify(signer->jwk, signer->alg, jws.signing_input, hs_span_buf(&jws.signature), NULL),
                     HSMART_OK);
    hs_jws_clear(&jws);
    hs_buf_clear(&text);
    hs_signer_free(signer);
}

static void
a_failure_of_the_signer_leaves_the_output_untouched(void **state)
{
    (void)state;
    struct hs_signer *signer = software_signer_generate("ES384", 0, "k");
    struct hs_buf text = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_buf_append_str(&text, "before", NULL), HSMART_OK);
    software_signer_fail_with(signer, HSMART_SESSION_LOST);
    assert_int_equal(hs_jws_sign(signer, span("{}"), span("{}"), &text, &err), HSMART_SESSION_LOST);
    assert_string_equal(err.text, "the software signer was told to fail");
    assert_string_equal(hs_buf_text(&text), "before");
    hs_buf_clear(&text);
    hs_signer_free(signer);
}

static void
what_would_be_too_long_is_not_signed(void **state)
{
    (void)state;
    struct hs_signer *signer = software_signer_generate("ES384", 0, "k");
    struct hs_buf payload = {0}, text = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_buf_resize(&payload, HS_JWS_MAX_LEN / 4 * 3, NULL), HSMART_OK);
    assert_int_equal(hs_jws_sign(signer, span("{}"), hs_span_buf(&payload), &text, &err), HSMART_INVALID_ARGUMENT);
    assert_non_null(strstr(err.text, "more than the 1048576 allowed"));
    assert_int_equal(software_signer_count(signer), 0);
    hs_buf_clear(&payload);
    hs_signer_free(signer);
}

/* RFC 7518 section 3.4 and RFC 8017 section 8.2.1: a signature keeps its leading zeros. One in 256 has one, so that
 * many tries without any are a failure (a chance of 10^-17). */
#define LEADING_ZERO_TRIES 10000

static void
es384_keeps_a_leading_zero_in_r_and_in_s(void **state)
{
    (void)state;
    struct hs_signer *signer = software_signer_generate("ES384", 0, "k");
    bool seen_r = false, seen_s = false;

    for (int i = 0; i < LEADING_ZERO_TRIES && !(seen_r && seen_s); i++) {
        struct hs_buf text = {0};
        struct hs_jws jws = {0};
        assert_int_equal(hs_jws_sign(signer, span("{}"), span("{}"), &text, NULL), HSMART_OK);
        assert_int_equal(hs_jws_parse(hs_span_buf(&text), &jws, NULL), HSMART_OK);
        assert_int_equal(jws.signature.len, 96);
        bool zero_r = jws.signature.data[0] == 0, zero_s = jws.signature.data[48] == 0;
        if (zero_r || zero_s)
            assert_int_equal(
                hs_jwk_verify(signer->jwk, signer->alg, jws.signing_input, hs_span_buf(&jws.signature), NULL),
                HSMART_OK);
        seen_r = seen_r || zero_r;
        seen_s = seen_s || zero_s;
        hs_jws_clear(&jws);
        hs_buf_clear(&text);
    }
    assert_true(seen_r && seen_s);
    hs_signer_free(signer);
}

static void
rs384_keeps_a_leading_zero(void **state)
{
    (void)state;
    struct hs_signer *signer = software_signer_generate("RS384", 2048, "k");
    bool seen = false;

    for (int i = 0; i < LEADING_ZERO_TRIES && !seen; i++) {
        struct hs_buf payload = {0}, text = {0};
        struct hs_jws jws = {0};
        assert_int_equal(hs_buf_append_format(&payload, NULL, "{\"n\":%d}", i), HSMART_OK);
        assert_int_equal(hs_jws_sign(signer, span("{}"), hs_span_buf(&payload), &text, NULL), HSMART_OK);
        assert_int_equal(hs_jws_parse(hs_span_buf(&text), &jws, NULL), HSMART_OK);
        assert_int_equal(jws.signature.len, 256);
        seen = jws.signature.data[0] == 0;
        if (seen)
            assert_int_equal(
                hs_jwk_verify(signer->jwk, signer->alg, jws.signing_input, hs_span_buf(&jws.signature), NULL),
                HSMART_OK);
        hs_jws_clear(&jws);
        hs_buf_clear(&payload);
        hs_buf_clear(&text);
    }
    assert_true(seen);
    hs_signer_free(signer);
}

/* ---- Published vectors ---- */

/* Verifies a published JWS with the public half of `private_jwk`; where the algorithm is deterministic, makes it anew
 * from header and payload text, byte for byte. */
static void
check_published(const hs_json_value *private_jwk, const char *alg, const char *text)
{
    struct hs_signer *signer = software_signer_from_jwk(private_jwk, alg, "k");
    struct hs_jws jws = {0};
    struct hs_buf again = {0};

    assert_non_null(signer);
    assert_int_equal(hs_jws_split(span(text), &jws, NULL), HSMART_OK);
    assert_int_equal(hs_jwk_verify(signer->jwk, signer->alg, jws.signing_input, hs_span_buf(&jws.signature), NULL),
                     HSMART_OK);
    assert_int_equal(
        hs_jws_sign(signer, hs_span_buf(&jws.header_text), hs_span_buf(&jws.payload_text), &again, NULL), HSMART_OK);
    if (signer->alg->padding == HS_PADDING_PKCS1)
        assert_string_equal(hs_buf_text(&again), text);
    else
        assert_memory_equal(again.data, text, jws.signing_input.len);
    hs_buf_clear(&again);
    hs_jws_clear(&jws);
    hs_signer_free(signer);
}

static void
the_examples_of_rfc_7515_hold(void **state)
{
    (void)state;
    struct hs_json_doc doc = {0};

    vectors_load("rfc/rfc7515-appendix-a.json", &doc);
    const hs_json_value *vectors = hs_json_member(doc.root, "vectors");
    assert_int_equal(hs_json_length(vectors), 3);
    for (size_t i = 0; i < hs_json_length(vectors); i++) {
        const hs_json_value *vector = hs_json_element(vectors, i);
        check_published(hs_json_member(vector, "jwk"), vector_text(vector, "alg"), vector_text(vector, "jws"));
    }
    hs_json_doc_clear(&doc);
}

static struct cookbook {
    const char *name; /* the file */
} cookbooks[] = {{"rfc/rfc7520-4.1-rs256.json"}, {"rfc/rfc7520-4.2-ps384.json"}, {"rfc/rfc7520-4.3-es512.json"}};

static void
the_examples_of_rfc_7520_hold(void **state)
{
    const struct cookbook *row = *state;
    struct hs_json_doc doc = {0};

    vectors_load(row->name, &doc);
    const hs_json_value *input = hs_json_member(doc.root, "input");
    check_published(hs_json_member(input, "key"), vector_text(input, "alg"),
                    vector_text(hs_json_member(doc.root, "output"), "compact"));
    hs_json_doc_clear(&doc);
}

static struct smart {
    const char *name; /* of the algorithm */
    const char *jws_file, *keys_file;
} smarts[] = {
    {"RS384", "smart/RS384.jwt", "smart/RS384.private.jwks.json"},
    {"ES384", "smart/ES384.jwt", "smart/ES384.private.jwks.json"},
};

/* The set has the public key first and the private one second, both under one kid. */
static void
the_examples_of_smart_app_launch_hold(void **state)
{
    const struct smart *row = *state;
    struct hs_json_doc keys = {0}, index = {0};
    struct hs_buf text = {0};
    struct hs_jws jws = {0};

    vectors_load(row->keys_file, &keys);
    vectors_load("smart/index.json", &index);
    vectors_load_text(row->jws_file, &text);
    check_published(hs_json_element(hs_json_member(keys.root, "keys"), 1), row->name, hs_buf_text(&text));

    const hs_json_value *facts = hs_json_member(index.root, row->name);
    assert_int_equal(hs_jws_parse(hs_span_buf(&text), &jws, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&jws.header_text), vector_text(facts, "jwt_header_json"));
    assert_string_equal(hs_buf_text(&jws.payload_text), vector_text(facts, "jwt_payload_json"));
    struct hs_buf signature = {0};
    vector_hex(facts, "signature_hex", &signature);
    assert_true(hs_span_equal(hs_span_buf(&jws.signature), hs_span_buf(&signature)));
    hs_buf_clear(&signature);
    hs_jws_clear(&jws);
    hs_buf_clear(&text);
    hs_json_doc_clear(&keys);
    hs_json_doc_clear(&index);
}

/* ---- Wycheproof ---- */

/* Where the verdict of the rules below differs from the vector's on purpose. */
static const struct difference {
    int id;
    bool ours;
    const char *reason;
} key_differences[] = {
    {2, false, "a symmetric key: never used by this client authentication method"},
    {7, true, "a modulus by a weak generator (ROCA): nothing in the public key's form tells"},
    {13, false, "a symmetric key"},
    {14, false, "a symmetric key"},
    {15, false, "a symmetric key"},
}, signature_differences[] = {
    {347, false, "the key's alg is \"ES521\", a name that RFC 7518 does not have"},
    {351, false, "the key's alg is \"ES521\", a name that RFC 7518 does not have"},
};

/* What a server does with an assertion, in short: one key by kid, made for this algorithm and for verifying. */
static bool
may_verify(const hs_json_value *value, const struct hs_jwk *jwk, const struct hs_alg *alg)
{
    const hs_json_value *operations = hs_json_member(value, "key_ops");
    bool for_verifying = operations == NULL;

    for (size_t i = 0; i < hs_json_length(operations); i++)
        for_verifying = for_verifying || hs_span_equal_str(hs_json_string(hs_json_element(operations, i)), "verify");
    return for_verifying && (jwk->use == NULL || strcmp(jwk->use, "sig") == 0) &&
           (jwk->alg == NULL || strcmp(jwk->alg, alg->name) == 0) &&
           (jwk->type != HS_KEY_RSA || jwk->bits >= HS_RSA_MIN_BITS);
}

static bool
verifies_with(const struct hs_jws *jws, const hs_json_value *value)
{
    const struct hs_alg *alg = hs_alg_by_name(hs_json_text(hs_json_member(jws->header.root, "alg")));
    const char *kid = hs_json_text(hs_json_member(jws->header.root, "kid"));
    struct hs_jwk jwk = {0};
    bool good = alg != NULL && hs_jwk_parse(value, &jwk, NULL) == HSMART_OK && may_verify(value, &jwk, alg) &&
                (kid == NULL || (jwk.kid != NULL && strcmp(kid, jwk.kid) == 0)) &&
                hs_jwk_verify(&jwk, alg, jws->signing_input, hs_span_buf(&jws->signature), NULL) == HSMART_OK;

    hs_jwk_clear(&jwk);
    return good;
}

/* `keys`: a JWK or a set. */
static bool
accepts(const hs_json_value *keys, const hs_json_value *text)
{
    struct hs_jws jws = {0};
    const hs_json_value *array = hs_json_member(keys, "keys");
    bool good = false;

    /* The payloads of the vectors are no claims, so only the header is read as JSON. */
    if (hs_jws_split(hs_json_string(text), &jws, NULL) == HSMART_OK &&
        hs_json_parse(hs_span_buf(&jws.header_text), &jws.header, NULL) == HSMART_OK) {
        good = array == NULL && verifies_with(&jws, keys);
        for (size_t i = 0; i < hs_json_length(array); i++)
            good = good || verifies_with(&jws, hs_json_element(array, i));
    }
    hs_jws_clear(&jws);
    return good;
}

static bool
is_expected(const struct difference *differences, size_t count, int id, bool ours)
{
    for (size_t i = 0; i < count; i++)
        if (differences[i].id == id)
            return differences[i].ours == ours;
    return false;
}

static struct wycheproof {
    const char *name; /* the file */
    const struct difference *differences;
    size_t difference_count;
} wycheproofs[] = {
    {"wycheproof/json_web_key.json", key_differences, HS_ARRAY_LEN(key_differences)},
    {"wycheproof/json_web_signature.rsa_ec.json", signature_differences, HS_ARRAY_LEN(signature_differences)},
};

static void
the_vectors_of_wycheproof_agree(void **state)
{
    const struct wycheproof *row = *state;
    struct hs_json_doc doc = {0};
    size_t unexpected = 0, differences = 0, count = 0;

    vectors_load(row->name, &doc);
    const hs_json_value *groups = hs_json_member(doc.root, "testGroups");
    for (size_t i = 0; i < hs_json_length(groups); i++) {
        const hs_json_value *group = hs_json_element(groups, i), *tests = hs_json_member(group, "tests");
        const hs_json_value *keys = hs_json_member(group, "public");
        if (keys == NULL) /* symmetric keys have no public half */
            keys = hs_json_member(group, "private");
        for (size_t j = 0; j < hs_json_length(tests); j++, count++) {
            const hs_json_value *test = hs_json_element(tests, j);
            int id = (int)hs_json_integer(hs_json_member(test, "tcId"));
            bool valid = strcmp(vector_text(test, "result"), "valid") == 0;
            bool ours = accepts(keys, hs_json_member(test, "jws"));
            if (ours == valid)
                continue;
            differences++;
            if (!is_expected(row->differences, row->difference_count, id, ours)) {
                print_error("test %d (%s): %s\n", id, vector_text(test, "comment"), ours ? "accepted" : "refused");
                unexpected++;
            }
        }
    }
    assert_int_equal(unexpected, 0);
    assert_int_equal(differences, row->difference_count);
    assert_true(count > 20);
    hs_json_doc_clear(&doc);
}

int
main(void)
{
    static struct rows rows;

    ADD_TEST(&rows, a_jws_is_taken_apart);
    ADD_ROWS(&rows, what_is_no_jws_is_refused_by_part, refusals);
    ADD_TEST(&rows, a_payload_that_is_no_json_can_be_split_off);
    ADD_TEST(&rows, a_jws_that_is_too_long_is_refused);
    ADD_ROWS(&rows, what_is_signed_verifies_and_comes_back_as_given, kinds);
    ADD_TEST(&rows, a_failure_of_the_signer_leaves_the_output_untouched);
    ADD_TEST(&rows, what_would_be_too_long_is_not_signed);
    ADD_TEST(&rows, es384_keeps_a_leading_zero_in_r_and_in_s);
    ADD_TEST(&rows, rs384_keeps_a_leading_zero);
    ADD_TEST(&rows, the_examples_of_rfc_7515_hold);
    ADD_ROWS(&rows, the_examples_of_rfc_7520_hold, cookbooks);
    ADD_ROWS(&rows, the_examples_of_smart_app_launch_hold, smarts);
    ADD_ROWS(&rows, the_vectors_of_wycheproof_agree, wycheproofs);
    return rows_run("jws", &rows);
}
