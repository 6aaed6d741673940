#include "rows.h"

#include <stdlib.h>

#include "assertion.h"
#include "clock.h"
#include "err.h"
#include "jws.h"
#include "software_signer.h"

#define NOW INT64_C(1760000000)
#define JTI_LEN 22U /* 128 bits in base64url */

/* One key for all tests: making an RSA key takes long. */
static struct hs_signer *signer;

static int
make_signer(void)
{
    signer = software_signer_generate("RS384", 2048, "key-1");
    return signer != NULL ? 0 : -1;
}

/* Signs, takes the result apart and checks the signature. */
static void
sign_and_parse(const hsmart_assertion_options *options, struct hs_buf *out_text, struct hs_jws *out_jws)
{
    hsmart_err err = {0};

    if (hs_assertion_sign(signer, options, out_text, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    assert_int_equal(hs_jws_parse(hs_span_buf(out_text), out_jws, NULL), HSMART_OK);
    assert_int_equal(
        hs_jwk_verify(signer->jwk, signer->alg, out_jws->signing_input, hs_span_buf(&out_jws->signature), NULL),
        HSMART_OK);
}

/* ---- What is in it ---- */

static struct form {
    const char *name;
    hsmart_assertion_options options;
    const char *header, *claims; /* the claims up to the value of jti */
} forms[] = {
    {"by default",
     {.client_id = "app", .audience = "https://ehr.example/token", .now_s = NOW},
     "{\"alg\":\"RS384\",\"kid\":\"key-1\",\"typ\":\"JWT\"}",
     "{\"iss\":\"app\",\"sub\":\"app\",\"aud\":\"https://ehr.example/token\",\"exp\":1760000240,\"iat\":1760000000,"
     "\"jti\":\""},
    {"the shortest life",
     {.client_id = "app", .audience = "a", .now_s = NOW, .lifetime_s = 1},
     "{\"alg\":\"RS384\",\"kid\":\"key-1\",\"typ\":\"JWT\"}",
     "{\"iss\":\"app\",\"sub\":\"app\",\"aud\":\"a\",\"exp\":1760000001,\"iat\":1760000000,\"jti\":\""},
    {"the longest life",
     {.client_id = "app", .audience = "a", .now_s = NOW, .lifetime_s = 300},
     "{\"alg\":\"RS384\",\"kid\":\"key-1\",\"typ\":\"JWT\"}",
     "{\"iss\":\"app\",\"sub\":\"app\",\"aud\":\"a\",\"exp\":1760000300,\"iat\":1760000000,\"jti\":\""},
    {"without iat",
     {.client_id = "app", .audience = "a", .now_s = NOW, .omit_issued_at = true},
     "{\"alg\":\"RS384\",\"kid\":\"key-1\",\"typ\":\"JWT\"}",
     "{\"iss\":\"app\",\"sub\":\"app\",\"aud\":\"a\",\"exp\":1760000240,\"jti\":\""},
    {"with nbf",
     {.client_id = "app", .audience = "a", .now_s = NOW, .not_before = true},
     "{\"alg\":\"RS384\",\"kid\":\"key-1\",\"typ\":\"JWT\"}",
     "{\"iss\":\"app\",\"sub\":\"app\",\"aud\":\"a\",\"exp\":1760000240,\"iat\":1760000000,\"nbf\":1760000000,\"jti\":"
     "\""},
    {"another type and a jku",
     {.client_id = "app",
      .audience = "a",
      .now_s = NOW,
      .type = "client-authentication+jwt",
      .jku = "https://app.example/jwks.json"},
     "{\"alg\":\"RS384\",\"kid\":\"key-1\",\"typ\":\"client-authentication+jwt\",\"jku\":\"https://app.example/"
     "jwks.json\"}",
     "{\"iss\":\"app\",\"sub\":\"app\",\"aud\":\"a\",\"exp\":1760000240,\"iat\":1760000000,\"jti\":\""},
};

static void
header_and_claims_stand_in_their_order(void **state)
{
    const struct form *row = *state;
    struct hs_buf text = {0};
    struct hs_jws jws = {0};

    sign_and_parse(&row->options, &text, &jws);
    assert_string_equal(hs_buf_text(&jws.header_text), row->header);
    assert_int_equal(jws.payload_text.len, strlen(row->claims) + JTI_LEN + strlen("\"}"));
    assert_memory_equal(jws.payload_text.data, row->claims, strlen(row->claims));
    assert_int_equal(hs_json_string(hs_json_member(jws.payload.root, "jti")).len, JTI_LEN);
    hs_jws_clear(&jws);
    hs_buf_clear(&text);
}

static void
without_a_given_time_the_clock_is_asked(void **state)
{
    (void)state;
    const hsmart_assertion_options options = {.client_id = "app", .audience = "a"};
    struct hs_buf text = {0};
    struct hs_jws jws = {0};
    int64_t before_s = hs_clock_now_s();

    sign_and_parse(&options, &text, &jws);
    int64_t issued_s = hs_json_integer(hs_json_member(jws.payload.root, "iat"));
    assert_in_range(issued_s, before_s, hs_clock_now_s());
    assert_int_equal(hs_json_integer(hs_json_member(jws.payload.root, "exp")), issued_s + 240);
    hs_jws_clear(&jws);
    hs_buf_clear(&text);
}

static struct survivor {
    const char *name, *piece;
    size_t len; /* of the whole id, made of pieces */
} survivors[] = {
    {"one character", "x", 1},
    {"quotes", "\"", 1000},
    {"backslashes", "\\", 1000},
    {"what looks like JSON", "\",\"sub\":\"", 900},
    {"control characters", "\x01\n", 1000},
    {"other scripts", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91", 900},
    {"base64 with plus, slash and equals sign", "aZ+/=", 16000},
    {"16 KiB", "0123456789abcdef", 16384},
    {"the longest there may be", "0123456789abcdef", 65536},
};

static void
a_client_id_survives(void **state)
{
    const struct survivor *row = *state;
    struct hs_buf id = {0}, text = {0};
    struct hs_jws jws = {0};

    while (id.len < row->len)
        assert_int_equal(hs_buf_append_str(&id, row->piece, NULL), HSMART_OK);
    const hsmart_assertion_options options = {.client_id = hs_buf_text(&id), .audience = "a"};
    sign_and_parse(&options, &text, &jws);
    assert_true(hs_span_equal(hs_json_string(hs_json_member(jws.payload.root, "iss")), hs_span_buf(&id)));
    assert_true(hs_span_equal(hs_json_string(hs_json_member(jws.payload.root, "sub")), hs_span_buf(&id)));
    hs_jws_clear(&jws);
    hs_buf_clear(&text);
    hs_buf_clear(&id);
}

/* ---- What is refused ---- */

static struct refusal {
    const char *name;
    hsmart_assertion_options options;
    const char *reason;
} refusals[] = {
    {"no client id", {.audience = "a"}, "the client id is missing"},
    {"an empty client id", {.client_id = "", .audience = "a"}, "the client id is missing"},
    {"no audience", {.client_id = "c"}, "the audience is missing"},
    {"an empty audience", {.client_id = "c", .audience = ""}, "the audience is missing"},
    {"a client id in Latin-1", {.client_id = "caf\xe9", .audience = "a"}, "the client id is not UTF-8 (at its byte 3)"},
    {"an audience in Latin-1", {.client_id = "c", .audience = "\xe9"}, "the audience is not UTF-8 (at its byte 0)"},
    {"an empty type", {.client_id = "c", .audience = "a", .type = ""}, "the type is missing"},
    {"a type in Latin-1", {.client_id = "c", .audience = "a", .type = "\xff"}, "the type is not UTF-8 (at its byte 0)"},
    {"a jku in Latin-1", {.client_id = "c", .audience = "a", .jku = "\xff"}, "the jku is not UTF-8 (at its byte 0)"},
    {"a life of 301 seconds",
     {.client_id = "c", .audience = "a", .lifetime_s = 301},
     "the lifetime is 301 seconds, but must be 1 to 300"},
    {"the longest life that can be asked for",
     {.client_id = "c", .audience = "a", .lifetime_s = UINT32_MAX},
     "the lifetime is 4294967295 seconds, but must be 1 to 300"},
    {"a time before 1970",
     {.client_id = "c", .audience = "a", .now_s = -1},
     "the time -1 is not within the years 1970 to 9999"},
    {"a time that would overflow",
     {.client_id = "c", .audience = "a", .now_s = INT64_MAX},
     "the time 9223372036854775807 is not within the years 1970 to 9999"},
};

static void
what_makes_no_good_assertion_is_refused_before_signing(void **state)
{
    const struct refusal *row = *state;
    struct hs_buf text = {0};
    hsmart_err err = {0};
    unsigned count = software_signer_count(signer);

    assert_int_equal(hs_assertion_sign(signer, &row->options, &text, &err), HSMART_INVALID_ARGUMENT);
    assert_string_equal(err.text, row->reason);
    assert_null(text.data);
    assert_int_equal(software_signer_count(signer), count);
}

static struct too_long {
    const char *name;
    char character;
    size_t len;
    const char *reason;
} too_longs[] = {
    {"beyond 64 KiB", 'x', 65537, "the client id is 65537 bytes long, more than the 65536 allowed"},
    {"beyond what fits once it is escaped", '\x01', 65536, "more than the 1048576 allowed"},
};

static void
a_client_id_that_is_too_long_is_refused(void **state)
{
    const struct too_long *row = *state;
    struct hs_buf id = {0}, text = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_buf_resize(&id, row->len, NULL), HSMART_OK);
    memset(id.data, row->character, id.len);
    const hsmart_assertion_options options = {.client_id = hs_buf_text(&id), .audience = "a"};
    assert_int_equal(hs_assertion_sign(signer, &options, &text, &err), HSMART_INVALID_ARGUMENT);
    assert_non_null(strstr(err.text, row->reason));
    assert_null(text.data);
    hs_buf_clear(&id);
}

static void
a_failure_of_the_token_is_passed_on(void **state)
{
    (void)state;
    const hsmart_assertion_options options = {.client_id = "app", .audience = "a"};
    struct hs_buf text = {0};
    hsmart_err err = {0};

    software_signer_fail_with(signer, HSMART_SESSION_LOST);
    assert_int_equal(hs_assertion_sign(signer, &options, &text, &err), HSMART_SESSION_LOST);
    assert_string_equal(err.text, "the software signer was told to fail");
    assert_null(text.data);
    software_signer_fail_with(signer, HSMART_OK);
}

/* ---- One-time use ---- */

static enum hsmart_code
sign_with_nothing(struct hs_signer *stub, struct hs_span data, struct hs_buf *out_signature, hsmart_err *err)
{
    (void)stub;
    (void)data;
    return hs_buf_append_str(out_signature, "x", err);
}

#define JTI_TRIES 100000U

static int
compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, JTI_LEN);
}

static void
no_two_assertions_share_a_jti(void **state)
{
    (void)state;
    const struct hs_signer_ops ops = {.sign = sign_with_nothing};
    struct hs_signer stub = {&ops, signer->jwk, signer->alg, "k"};
    const hsmart_assertion_options options = {.client_id = "app", .audience = "a", .now_s = NOW};
    char(*ids)[JTI_LEN] = hs_calloc(JTI_TRIES, JTI_LEN);

    assert_non_null(ids);
    for (size_t i = 0; i < JTI_TRIES; i++) {
        struct hs_buf text = {0};
        struct hs_jws jws = {0};
        assert_int_equal(hs_assertion_sign(&stub, &options, &text, NULL), HSMART_OK);
        assert_int_equal(hs_jws_split(hs_span_buf(&text), &jws, NULL), HSMART_OK);
        memcpy(ids[i], jws.payload_text.data + jws.payload_text.len - JTI_LEN - 2, JTI_LEN);
        hs_jws_clear(&jws);
        hs_buf_clear(&text);
    }
    qsort(ids, JTI_TRIES, JTI_LEN, compare_ids);
    for (size_t i = 1; i < JTI_TRIES; i++)
        assert_memory_not_equal(ids[i - 1], ids[i], JTI_LEN);
    hs_free(ids);
}

int
main(void)
{
    static struct rows rows;

    if (make_signer() != 0)
        return 1;
    ADD_ROWS(&rows, header_and_claims_stand_in_their_order, forms);
    ADD_TEST(&rows, without_a_given_time_the_clock_is_asked);
    ADD_ROWS(&rows, a_client_id_survives, survivors);
    ADD_ROWS(&rows, what_makes_no_good_assertion_is_refused_before_signing, refusals);
    ADD_ROWS(&rows, a_client_id_that_is_too_long_is_refused, too_longs);
    ADD_TEST(&rows, a_failure_of_the_token_is_passed_on);
    ADD_TEST(&rows, no_two_assertions_share_a_jti);
    int failed = rows_run("assertion", &rows);
    hs_signer_free(signer);
    return failed;
}
