#include "rows.h"

#include "base64url.h"
#include "canonical.h"
#include "key_policy.h"
#include "record.h"
#include "record_verify.h"
#include "software_signer.h"

#define PLAN PLAN_WITHOUT_KEYS PLANNED_KEY("k")
#define PLANNED_KEY(label)                                                                                             \
    "key " label " { alg = ES256 start = 2027-01-01 end = 2027-12-31 purpose = first clients = epic }\n"
#define PLAN_WITHOUT_KEYS                                                                                              \
    "ceremony \"c\" { organisation = O purpose = P witnesses = 1 not-before = 2026-11-01 not-after = 2026-11-30 }\n"   \
    "role officer { }\n"                                                                                               \
    "policy { tolerate = CKA_LOCAL }\n"

/* One new key, and one of the organisation's, for all tests. */
static struct hs_signer *key, *organisation;
/* What payloads are of from now on. */
static bool is_rehearsal;

/* ---- A good payload ---- */

static void
put_jwk_of(struct hs_json_writer *writer, const struct hs_signer *signer)
{
    hs_json_member_text(writer, "kid", signer->jwk->thumbprint);
    hs_json_name(writer, "jwk");
    hs_jwk_put(writer, signer->jwk, NULL, signer->alg->name);
}

static void
put_attributes(struct hs_json_writer *writer)
{
    hs_json_name(writer, "attributes");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < hs_policy_row_count; i++) {
        const char *wanted =
            hs_policy_rows[i].wanted && !(is_rehearsal && hs_policy_rows[i].type == CKA_TOKEN) ? "yes" : "no";
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "name", hs_policy_rows[i].name);
        hs_json_member_text(writer, "reported", hs_policy_rows[i].type == CKA_LOCAL ? "no" : wanted);
        hs_json_member_text(writer, "verdict", "ok");
        hs_json_member_text(writer, "wanted", wanted);
        hs_json_end_object(writer);
    }
    hs_json_end_array(writer);
}

static void
put_proof(struct hs_json_writer *writer, const struct hs_plan *plan, const char *label)
{
    struct hs_buf text = {0}, signature = {0}, encoded = {0};

    assert_int_equal(
        hs_buf_append_format(&text, NULL, "hsmart: key %s of the ceremony by plan %s signs", label, plan->sha256_hex),
        0);
    assert_int_equal(key->ops->sign(key, hs_span_buf(&text), &signature, NULL), 0);
    assert_int_equal(hs_base64url_append(&encoded, hs_span_buf(&signature), NULL), 0);
    hs_json_name(writer, "proof");
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "alg", "ES256");
    hs_json_member_text(writer, "signature", hs_buf_text(&encoded));
    hs_json_member_text(writer, "text", hs_buf_text(&text));
    hs_json_end_object(writer);
    hs_buf_clear(&text);
    hs_buf_clear(&signature);
    hs_buf_clear(&encoded);
}

static void
put_key(struct hs_json_writer *writer, const struct hs_plan *plan, const char *label)
{
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "label", label);
    hs_json_member_text(writer, "alg", "ES256");
    hs_json_member_text(writer, "start", "2027-01-01");
    hs_json_member_text(writer, "end", "2027-12-31");
    hs_json_member_text(writer, "purpose", "first");
    hs_json_member_text(writer, "clients", "epic");
    put_jwk_of(writer, key);
    put_attributes(writer);
    hs_json_name(writer, "attack");
    hs_json_put_raw(
        writer, span("[{\"answer\":\"CKR_ATTRIBUTE_SENSITIVE\",\"attempt\":\"read CKA_VALUE\",\"outcome\":\"held\"}]"));
    put_proof(writer, plan, label);
    hs_json_end_object(writer);
}

static void
put_people(struct hs_json_writer *writer)
{
    hs_json_name(writer, "participants");
    hs_json_put_raw(writer, span("[{\"confirmed\":\"2026-11-25T20:01:00Z\",\"name\":\"Ann\",\"role\":\"officer\"},"
                                 "{\"confirmed\":\"2026-11-25T20:02:00Z\",\"name\":\"Will\",\"role\":\"witness\"}]"));
}

static void
put_signers(struct hs_json_writer *writer)
{
    hs_json_name(writer, "signers");
    hs_json_begin_array(writer);
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "who", "a new key");
    put_jwk_of(writer, key);
    hs_json_end_object(writer);
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "who", "the organisation");
    put_jwk_of(writer, organisation);
    hs_json_end_object(writer);
    hs_json_end_array(writer);
}

static void
payload_of(const char *plan_text, struct hs_buf *out)
{
    struct hs_json_writer writer = {.out = out};
    struct hs_plan plan = {0};

    assert_int_equal(hs_plan_parse(span(plan_text), "plan", &plan, NULL), HSMART_OK);
    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "type", HS_RECORD_TYP);
    hs_json_member_integer(&writer, "version", 1);
    hs_json_member_text(&writer, "kind", is_rehearsal ? "rehearsal" : "ceremony");
    hs_json_member_text(&writer, "result", "passed");
    hs_json_member_text(&writer, "failure", "");
    hs_json_member_text(&writer, "ceremony", "c");
    hs_json_member_text(&writer, "organisation", "O");
    hs_json_name(&writer, "plan");
    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "sha256", plan.sha256_hex);
    hs_json_member_text(&writer, "words", plan.words);
    hs_json_member_text(&writer, "text", plan_text);
    hs_json_end_object(&writer);
    hs_json_member_text(&writer, "started", "2026-11-25T20:00:00Z");
    hs_json_member_text(&writer, "finished", "2026-11-25T20:30:00Z");
    put_people(&writer);
    hs_json_name(&writer, "keys");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < plan.key_count; i++) /* the one key for each */
        put_key(&writer, &plan, plan.keys[i].label);
    hs_json_end_array(&writer);
    hs_json_member_text(&writer, "previous_sha256", "");
    put_signers(&writer);
    hs_json_end_object(&writer);
    assert_int_equal(hs_json_writer_finish(&writer, NULL), HSMART_OK);
    hs_plan_clear(&plan);
}

static void
good_payload(struct hs_buf *out)
{
    payload_of(PLAN, out);
}

/* The payload with the first `from` replaced by `to`, signed by the keys that it names: what is wrong then is wrong in
 * spite of its signatures. */
static void
signed_record(const char *from, const char *to, size_t signer_count, struct hs_buf *out)
{
    struct hs_signer *signers[] = {key, organisation};
    struct hs_buf payload = {0}, changed = {0};
    hsmart_err err = {0};

    good_payload(&payload);
    const char *text = hs_buf_text(&payload), *at = from != NULL ? strstr(text, from) : text;
    assert_non_null(at);
    assert_int_equal(hs_buf_append(&changed, (struct hs_span){payload.data, (size_t)(at - text)}, NULL), 0);
    assert_int_equal(hs_buf_append_format(&changed, NULL, "%s%s", to, at + (from != NULL ? strlen(from) : 0)), 0);
    if (hs_record_sign(hs_span_buf(&changed), HS_RECORD_TYP, signers, signer_count, out, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    hs_buf_clear(&payload);
    hs_buf_clear(&changed);
}

static enum hsmart_code
check_text(struct hs_span text, hsmart_err *err)
{
    struct hs_record record = {0};
    enum hsmart_code code = hs_record_parse(text, "record", &record, err);

    if (code == HSMART_OK)
        code = hs_record_check(&record, err);
    hs_record_clear(&record);
    return code;
}

/* ---- Good ---- */

static void
a_good_record_holds(void **state)
{
    struct hs_buf text = {0};
    hsmart_err err = {0};

    (void)state;
    signed_record(NULL, "", 2, &text);
    if (check_text(hs_span_buf(&text), &err) != HSMART_OK)
        fail_msg("%s", err.text);
    hs_buf_clear(&text);
}

/* ---- Changed by somebody without the keys: every byte ---- */

static void
a_changed_byte_is_found(void **state)
{
    struct hs_buf text = {0};
    static const uint8_t changes[] = {0x01, 0x20};

    (void)state;
    signed_record(NULL, "", 2, &text);
    for (size_t i = 0; i < text.len; i++)
        for (size_t j = 0; j < sizeof changes; j++) {
            text.data[i] ^= changes[j];
            if (check_text(hs_span_buf(&text), NULL) == HSMART_OK)
                fail_msg("byte %zu, changed by 0x%02x, is not missed", i, changes[j]);
            text.data[i] ^= changes[j];
        }
    hs_buf_clear(&text);
}

static void
a_byte_more_or_less_is_found(void **state)
{
    struct hs_buf text = {0}, changed = {0};

    (void)state;
    signed_record(NULL, "", 2, &text);
    for (size_t i = 0; i <= text.len; i += i + 5 < text.len ? 5 : 1) { /* and every one at the end */
        hs_buf_clear(&changed);
        assert_int_equal(hs_buf_append(&changed, (struct hs_span){text.data, i}, NULL), 0);
        assert_int_equal(hs_buf_append_str(&changed, " ", NULL), 0);
        assert_int_equal(hs_buf_append(&changed, (struct hs_span){text.data + i, text.len - i}, NULL), 0);
        assert_int_not_equal(check_text(hs_span_buf(&changed), NULL), HSMART_OK);
        assert_int_not_equal(i == text.len ? HSMART_CHECK_FAILED : check_text((struct hs_span){text.data, i}, NULL),
                             HSMART_OK);
    }
    hs_buf_clear(&text);
    hs_buf_clear(&changed);
}

static void
a_signature_that_is_taken_away_is_missed(void **state)
{
    struct hs_buf text = {0};
    hsmart_err err = {0};

    (void)state;
    signed_record(NULL, "", 1, &text);
    assert_int_equal(check_text(hs_span_buf(&text), &err), HSMART_CHECK_FAILED);
    assert_non_null(strstr(err.text, "1 signatures are there, and 2 should be"));
    hs_buf_clear(&text);
}

/* ---- Wrong in spite of good signatures ---- */

static struct lie {
    const char *name, *from, *to, *said;
} lies[] = {
    {"another version", "\"version\":1", "\"version\":2", "in a version that is known"},
    {"another type", "\"type\":\"hsmart-ceremony-record\"", "\"type\":\"x\"", "in a version that is known"},
    {"neither ceremony nor rehearsal", "\"kind\":\"ceremony\"", "\"kind\":\"party\"", "neither"},
    {"a failed ceremony", "\"result\":\"passed\",\"failure\":\"\"", "\"result\":\"failed\",\"failure\":\"leaks\"",
     "FAILED: leaks"},
    {"no result", "\"result\":\"passed\"", "\"result\":\"\"", "does not say whether"},
    {"another plan", "witnesses = 1", "witnesses = 2", "fingerprint"},
    {"a plan that is none", "witnesses = 1", "witnesses = x", "no good plan"},
    {"other words", "\"words\":\"", "\"words\":\"aardvark ", "fingerprint"},
    {"another title", "\"ceremony\":\"c\"", "\"ceremony\":\"d\"", "another ceremony"},
    {"the end before the start", "\"finished\":\"2026-11-25T20:30:00Z\"", "\"finished\":\"2026-11-25T19:30:00Z\"",
     "from when to when"},
    {"a day that was not planned", "\"started\":\"2026-11-25T20:00:00Z\"", "\"started\":\"2026-10-25T20:00:00Z\"",
     "a day for which"},
    {"somebody confirmed before it began", "2026-11-25T20:01:00Z", "2026-11-25T19:01:00Z", "at another time"},
    {"nobody had a role", "\"role\":\"officer\"", "\"role\":\"guest\"", "had the role"},
    {"no witness", ",{\"confirmed\":\"2026-11-25T20:02:00Z\",\"name\":\"Will\",\"role\":\"witness\"}", "",
     "people took part"},
    {"one person with two parts", "\"name\":\"Will\"", "\"name\":\"Ann\"", "two parts"},
    {"another purpose of the key", "\"purpose\":\"first\"", "\"purpose\":\"second\"", "other than planned"},
    {"other clients", "\"clients\":\"epic\"", "\"clients\":\"evil\"", "other than planned"},
    {"another end", "\"end\":\"2027-12-31\"", "\"end\":\"2037-12-31\"", "other than planned"},
    {"a kid that is not the key's", "\"kid\":\"", "\"kid\":\"A", "did not sign it"},
    {"a test signature over another text", "signs\"", "sings\"", "test signature"},
    {"an attribute that was not looked at", "CKA_EXTRACTABLE", "CKA_COLOUR", "was not looked at"},
    {"an attribute to the contrary", "\"name\":\"CKA_EXTRACTABLE\",\"reported\":\"no\"",
     "\"name\":\"CKA_EXTRACTABLE\",\"reported\":\"yes\"", "does not tolerate"},
    {"another wish", "\"name\":\"CKA_EXTRACTABLE\",\"reported\":\"no\",\"verdict\":\"ok\",\"wanted\":\"no\"",
     "\"name\":\"CKA_EXTRACTABLE\",\"reported\":\"yes\",\"verdict\":\"ok\",\"wanted\":\"yes\"",
     "another CKA_EXTRACTABLE was wanted"},
    {"a key that was got at", "\"outcome\":\"held\"", "\"outcome\":\"broken\"", "can be got at"},
    {"a key that was not attacked",
     "[{\"answer\":\"CKR_ATTRIBUTE_SENSITIVE\",\"attempt\":\"read CKA_VALUE\",\"outcome\":\"held\"}]", "[]",
     "was not attacked"},
};

static void
a_lie_that_is_signed_is_found(void **state)
{
    const struct lie *row = *state;
    struct hs_buf text = {0};
    hsmart_err err = {0};

    signed_record(row->from, row->to, 2, &text);
    assert_int_equal(check_text(hs_span_buf(&text), &err), HSMART_CHECK_FAILED);
    if (strstr(err.text, row->said) == NULL)
        fail_msg("it says \"%s\"", err.text);
    hs_buf_clear(&text);
}

static void
one_key_for_two_planned_ones_is_found(void **state)
{
    struct hs_signer *signers[] = {key, organisation};
    struct hs_buf payload = {0}, text = {0};
    hsmart_err err = {0};

    (void)state;
    payload_of(PLAN PLANNED_KEY("k2"), &payload);
    assert_int_equal(hs_record_sign(hs_span_buf(&payload), HS_RECORD_TYP, signers, 2, &text, NULL), HSMART_OK);
    assert_int_equal(check_text(hs_span_buf(&text), &err), HSMART_CHECK_FAILED);
    if (strstr(err.text, "\"k\" and \"k2\" are one key") == NULL)
        fail_msg("it says \"%s\"", err.text);
    hs_buf_clear(&payload);
    hs_buf_clear(&text);
}

/* ---- Held against other things ---- */

struct verdicts {
    const char *check;
    enum hs_record_verdict verdict;
    char line[300];
};

static void
keep_verdict(void *arg, enum hs_record_verdict verdict, const char *check, const char *line)
{
    struct verdicts *verdicts = arg;

    if (strcmp(verdicts->check, check) != 0)
        return;
    verdicts->verdict = verdict;
    (void)snprintf(verdicts->line, sizeof verdicts->line, "%s", line);
}

static enum hs_record_verdict
verdict_of(const struct hs_record *record, const char *check, const struct hs_record_expectation *expectation)
{
    struct verdicts verdicts = {check, HS_RECORD_NOT_LOOKED, ""};
    size_t bad_count = 0;

    assert_int_equal(hs_record_verify(record, expectation, keep_verdict, &verdicts, &bad_count, NULL), HSMART_OK);
    assert_int_equal(bad_count > 0, verdicts.verdict == HS_RECORD_BAD);
    return verdicts.verdict;
}

static void
parse_signed(const char *from, const char *to, struct hs_record *out)
{
    struct hs_buf text = {0};

    signed_record(from, to, 2, &text);
    assert_int_equal(hs_record_parse(hs_span_buf(&text), "record", out, NULL), HSMART_OK);
    hs_buf_clear(&text);
}

static void
a_trusted_key_must_have_signed(void **state)
{
    struct hs_record record = {0};

    (void)state;
    parse_signed(NULL, "", &record);
    assert_int_equal(
        verdict_of(&record, "trust", &(struct hs_record_expectation){.trust = organisation->jwk->thumbprint}),
        HS_RECORD_GOOD);
    assert_int_equal(
        verdict_of(&record, "trust",
                   &(struct hs_record_expectation){.trust = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"}),
        HS_RECORD_BAD);
    assert_int_equal(verdict_of(&record, "trust", &(struct hs_record_expectation){0}), HS_RECORD_NOT_LOOKED);
    hs_record_clear(&record);
}

#define TIMES(started, finished, ann, will)                                                                            \
    "\"started\":\"2026-11-25T" started "Z\",\"finished\":\"2026-11-25T" finished "Z\",\"participants\":["             \
    "{\"confirmed\":\"2026-11-25T" ann "Z\",\"name\":\"Ann\",\"role\":\"officer\"},"                                   \
    "{\"confirmed\":\"2026-11-25T" will "Z\",\"name\":\"Will\""
#define USUAL_TIMES TIMES("20:00:00", "20:30:00", "20:01:00", "20:02:00")

static struct chain {
    const char *name, *times; /* of the record before */
    bool names_it;            /* the later one has its digest */
    enum hs_record_verdict verdict;
} chains[] = {
    {"an earlier one", TIMES("19:00:00", "19:30:00", "19:01:00", "19:02:00"), true, HS_RECORD_GOOD},
    {"another one", TIMES("19:00:00", "19:30:00", "19:01:00", "19:02:00"), false, HS_RECORD_BAD},
    {"one that ended later than the next began", TIMES("19:00:00", "20:10:00", "19:01:00", "19:02:00"), true,
     HS_RECORD_BAD},
    {"one that does not hold itself", TIMES("19:00:00", "19:30:00", "18:01:00", "19:02:00"), true, HS_RECORD_BAD},
};

static void
a_record_is_chained_to(void **state)
{
    const struct chain *row = *state;
    struct hs_record first = {0}, second = {0};
    char chained[200];

    parse_signed(USUAL_TIMES, row->times, &first);
    (void)snprintf(chained, sizeof chained, "\"previous_sha256\":\"%s\"",
                   row->names_it ? first.sha256_hex
                                 : "0000000000000000000000000000000000000000000000000000000000000000");
    parse_signed("\"previous_sha256\":\"\"", chained, &second);
    assert_int_equal(verdict_of(&second, "previous", &(struct hs_record_expectation){.previous = &first}),
                     row->verdict);
    hs_record_clear(&first);
    hs_record_clear(&second);
}

static void
a_record_is_not_chained_to_that_of_a_rehearsal(void **state)
{
    struct hs_record first = {0}, second = {0};
    struct verdicts verdicts = {"previous", HS_RECORD_NOT_LOOKED, ""};
    char chained[200];
    size_t bad_count = 0;

    (void)state;
    is_rehearsal = true;
    parse_signed(USUAL_TIMES, TIMES("19:00:00", "19:30:00", "19:01:00", "19:02:00"), &first);
    is_rehearsal = false;
    (void)snprintf(chained, sizeof chained, "\"previous_sha256\":\"%s\"", first.sha256_hex);
    parse_signed("\"previous_sha256\":\"\"", chained, &second);
    assert_int_equal(hs_record_check(&first, NULL), HSMART_OK);
    assert_int_equal(hs_record_verify(&second, &(struct hs_record_expectation){.previous = &first}, keep_verdict,
                                      &verdicts, &bad_count, NULL),
                     HSMART_OK);
    assert_int_equal(verdicts.verdict, HS_RECORD_BAD);
    if (strstr(verdicts.line, "rehearsal") == NULL)
        fail_msg("it says \"%s\"", verdicts.line);
    hs_record_clear(&first);
    hs_record_clear(&second);
}

static void
a_chain_does_not_go_back_in_time(void **state)
{
    struct hs_record record = {0};
    int64_t end_s = 0;
    hsmart_err err = {0};

    (void)state;
    parse_signed(NULL, "", &record);
    assert_true(hs_time_parse("2026-11-25T20:30:00Z", &end_s));
    assert_int_equal(hs_record_check_is_past(&record, end_s, NULL), HSMART_OK);
    assert_int_equal(hs_record_check_is_past(&record, end_s - 1, &err), HSMART_POLICY_REFUSED);
    assert_non_null(
        strstr(err.text, "it ended at 2026-11-25T20:30:00Z, but this machine's clock says 2026-11-25T20:29:59Z"));
    hs_record_clear(&record);
}

static void
a_key_set_has_the_keys(void **state)
{
    struct hs_record record = {0};
    struct hs_jwks jwks = {0}, empty = {0};
    struct hs_buf with = {0}, without = {0};

    (void)state;
    parse_signed(NULL, "", &record);
    assert_int_equal(hs_jwks_add(&jwks, key->jwk, "another-kid", NULL, NULL),
                     HSMART_OK); /* the key counts, not its name */
    assert_int_equal(hs_jwks_format(&jwks, &with, NULL), HSMART_OK);
    assert_int_equal(hs_jwks_add(&empty, organisation->jwk, NULL, NULL, NULL), HSMART_OK);
    assert_int_equal(hs_jwks_format(&empty, &without, NULL), HSMART_OK);
    assert_int_equal(verdict_of(&record, "jwks", &(struct hs_record_expectation){.jwks = hs_span_buf(&with)}),
                     HS_RECORD_GOOD);
    assert_int_equal(verdict_of(&record, "jwks", &(struct hs_record_expectation){.jwks = hs_span_buf(&without)}),
                     HS_RECORD_BAD);
    assert_int_equal(verdict_of(&record, "jwks", &(struct hs_record_expectation){.jwks = span("{")}), HS_RECORD_BAD);
    hs_record_clear(&record);
    hs_jwks_clear(&jwks);
    hs_jwks_clear(&empty);
    hs_buf_clear(&with);
    hs_buf_clear(&without);
}

/* ---- The entry of a destruction ---- */

/* Of `key`, signed by both, with the first `from` replaced by `to`, and signatures of `typ`. */
static void
signed_destruction(const char *from, const char *to, const char *typ, struct hs_buf *out)
{
    struct hs_signer *signers[] = {key, organisation};
    struct hs_buf payload = {0}, changed = {0};
    struct hs_json_writer writer = {.out = &payload};
    hsmart_err err = {0};

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "type", HS_DESTRUCTION_TYP);
    hs_json_member_integer(&writer, "version", 1);
    hs_json_member_text(&writer, "destroyed", "2026-11-25T20:00:00Z");
    hs_json_name(&writer, "key");
    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "label", "k");
    put_jwk_of(&writer, key);
    hs_json_end_object(&writer);
    hs_json_member_text(&writer, "previous_sha256", "");
    put_signers(&writer);
    hs_json_end_object(&writer);
    assert_int_equal(hs_json_writer_finish(&writer, NULL), HSMART_OK);
    const char *text = hs_buf_text(&payload), *at = strstr(text, from);
    assert_non_null(at);
    assert_int_equal(hs_buf_append(&changed, (struct hs_span){payload.data, (size_t)(at - text)}, NULL), 0);
    assert_int_equal(hs_buf_append_format(&changed, NULL, "%s%s", to, at + strlen(from)), 0);
    if (hs_record_sign(hs_span_buf(&changed), typ, signers, 2, out, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    hs_buf_clear(&payload);
    hs_buf_clear(&changed);
}

static struct destruction {
    const char *name, *from, *to, *typ;
    enum hsmart_code code;
    const char *said;
} destructions[] = {
    {"a good one", "", "", HS_DESTRUCTION_TYP, HSMART_OK, NULL},
    {"another version", "\"version\":1", "\"version\":2", HS_DESTRUCTION_TYP, HSMART_CHECK_FAILED,
     "a version that is known"},
    {"no time", "2026-11-25T20:00:00Z", "yesterday", HS_DESTRUCTION_TYP, HSMART_CHECK_FAILED,
     "when the key was destroyed"},
    {"no key", "\"key\":{", "\"was\":{", HS_DESTRUCTION_TYP, HSMART_CHECK_FAILED, "which key was destroyed"},
    {"a kid that is not the key's", "\"kid\":\"", "\"kid\":\"A", HS_DESTRUCTION_TYP, HSMART_CHECK_FAILED,
     "is not the thumbprint"},
    {"a signer too few", "\"who\":\"a new key\",\"kid\":\"", "\"who\":\"\",\"kid\":\"A", HS_DESTRUCTION_TYP,
     HSMART_CHECK_FAILED, "is not the thumbprint"},
    {"signatures of a ceremony", "", "", HS_RECORD_TYP, HSMART_INPUT_MALFORMED, "a record like this, by its"},
    {"of no type", "\"type\":\"hsmart-destruction\"", "\"type\":\"\"", HS_DESTRUCTION_TYP, HSMART_INPUT_MALFORMED,
     "a record like this, by its"},
    {"that says to be of a ceremony", "\"type\":\"hsmart-destruction\"", "\"type\":\"hsmart-ceremony-record\"",
     HS_RECORD_TYP, HSMART_CHECK_FAILED, "of neither a ceremony nor a rehearsal"},
};

static void
the_entry_of_a_destruction_holds_or_not(void **state)
{
    const struct destruction *row = *state;
    struct hs_buf text = {0};
    hsmart_err err = {0};

    signed_destruction(row->from, row->to, row->typ, &text);
    enum hsmart_code code = check_text(hs_span_buf(&text), &err);
    if (code != row->code || (row->said != NULL && strstr(err.text, row->said) == NULL))
        fail_msg("%s: %s", hsmart_code_name(code), err.text);
    hs_buf_clear(&text);
}

static void
a_destroyed_key_is_not_published(void **state)
{
    struct hs_record record = {0};
    struct hs_buf text = {0}, with = {0}, without = {0};
    struct hs_jwks jwks = {0}, others = {0};

    (void)state;
    signed_destruction("", "", HS_DESTRUCTION_TYP, &text);
    assert_int_equal(hs_record_parse(hs_span_buf(&text), "entry", &record, NULL), HSMART_OK);
    assert_int_equal(hs_jwks_add(&jwks, key->jwk, NULL, NULL, NULL), HSMART_OK);
    assert_int_equal(hs_jwks_format(&jwks, &with, NULL), HSMART_OK);
    assert_int_equal(hs_jwks_add(&others, organisation->jwk, NULL, NULL, NULL), HSMART_OK);
    assert_int_equal(hs_jwks_format(&others, &without, NULL), HSMART_OK);
    assert_int_equal(verdict_of(&record, "jwks", &(struct hs_record_expectation){.jwks = hs_span_buf(&with)}),
                     HS_RECORD_BAD);
    assert_int_equal(verdict_of(&record, "jwks", &(struct hs_record_expectation){.jwks = hs_span_buf(&without)}),
                     HS_RECORD_GOOD);
    hs_record_clear(&record);
    hs_jwks_clear(&jwks);
    hs_jwks_clear(&others);
    hs_buf_clear(&text);
    hs_buf_clear(&with);
    hs_buf_clear(&without);
}

/* ---- Form ---- */

static struct canonical {
    const char *name, *text, *canonical; /* NULL: refused */
} canonicals[] = {
    {"members are sorted, spaces go", "{ \"b\" : 1, \"a\" : [ true, null, \"x\" ] }",
     "{\"a\":[true,null,\"x\"],\"b\":1}"},
    {"escapes are the shortest", "\"\\u0041\\u000a\\/\"", "\"A\\n/\""},
    {"characters stay", "\"\xc3\xa9\"", "\"\xc3\xa9\""},
    {"a fraction", "1.5", NULL},
    {"an exponent", "1e3", NULL},
    {"not JSON", "{", NULL},
};

static void
json_has_one_canonical_form(void **state)
{
    const struct canonical *row = *state;
    struct hs_buf out = {0};
    enum hsmart_code code = hs_canonical_of_text(span(row->text), &out, NULL);

    assert_int_equal(code, row->canonical != NULL ? HSMART_OK : HSMART_INPUT_MALFORMED);
    if (row->canonical != NULL)
        assert_string_equal(hs_buf_text(&out), row->canonical);
    hs_buf_clear(&out);
}

static struct malformed {
    const char *name, *text;
} malformeds[] = {
    {"nothing", ""},
    {"no object", "[]\n"},
    {"an empty object", "{}\n"},
    {"a member more", "{\"header\":{},\"payload\":\"e30\",\"signatures\":[]}\n"},
    {"a payload that is a number", "{\"payload\":1,\"signatures\":[]}\n"},
    {"a payload that is no JSON", "{\"payload\":\"AAAA\",\"signatures\":[]}\n"},
    {"a payload that is no object", "{\"payload\":\"W10\",\"signatures\":[]}\n"},
    {"signatures that are no list", "{\"payload\":\"e30\",\"signatures\":{}}\n"},
    {"a signature without anything", "{\"payload\":\"e30\",\"signatures\":[{}]}\n"},
    {"a header without typ",
     "{\"payload\":\"e30\",\"signatures\":[{\"protected\":\"eyJhbGciOiJFUzI1NiJ9\",\"signature\":\"AAAA\"}]}\n"},
};

static void
what_is_no_record_is_refused(void **state)
{
    const struct malformed *row = *state;
    hsmart_err err = {0};

    assert_int_equal(check_text(span(row->text), &err), HSMART_INPUT_MALFORMED);
    assert_non_null(strstr(err.text, "\"record\" is no good record"));
}

static int
make_keys(void **state)
{
    (void)state;
    key = software_signer_generate("ES256", 0, NULL);
    organisation = software_signer_generate("ES256", 0, NULL);
    return key == NULL || organisation == NULL;
}

int
main(void)
{
    static struct rows rows;

    if (make_keys(NULL) != 0)
        return 1;
    ADD_TEST(&rows, a_good_record_holds);
    ADD_TEST(&rows, a_changed_byte_is_found);
    ADD_TEST(&rows, a_byte_more_or_less_is_found);
    ADD_TEST(&rows, a_signature_that_is_taken_away_is_missed);
    ADD_ROWS(&rows, a_lie_that_is_signed_is_found, lies);
    ADD_TEST(&rows, one_key_for_two_planned_ones_is_found);
    ADD_TEST(&rows, a_trusted_key_must_have_signed);
    ADD_ROWS(&rows, a_record_is_chained_to, chains);
    ADD_TEST(&rows, a_record_is_not_chained_to_that_of_a_rehearsal);
    ADD_TEST(&rows, a_chain_does_not_go_back_in_time);
    ADD_TEST(&rows, a_key_set_has_the_keys);
    ADD_ROWS(&rows, the_entry_of_a_destruction_holds_or_not, destructions);
    ADD_TEST(&rows, a_destroyed_key_is_not_published);
    ADD_ROWS(&rows, json_has_one_canonical_form, canonicals);
    ADD_ROWS(&rows, what_is_no_record_is_refused, malformeds);
    int failed = rows_run("record", &rows);
    hs_signer_free(key);
    hs_signer_free(organisation);
    return failed;
}
