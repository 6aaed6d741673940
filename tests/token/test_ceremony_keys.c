/* What a ceremony asks of a token beyond what `generate` does: keys that vanish, keys that are adopted, dates, and
 * destroying. */
#include "rows.h"
#include "softhsm.h"

#include "destroy.h"
#include "generate.h"

static struct hs_test_token place;
static const uint8_t id[] = {0xce, 0x01};

static struct hs_p11_token *
open_token(void)
{
    hsmart_token_options options = hs_test_token_options(&place);
    struct hs_p11_token *token = NULL;
    hsmart_err err = {0};

    if (hs_p11_token_open(&options, &token, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    return token;
}

static hsmart_key_spec
spec_of(const char *label)
{
    return (hsmart_key_spec){.alg = "ES384",
                             .label = label,
                             .id = id,
                             .id_len = sizeof id,
                             .start_date = "2027-01-01",
                             .end_date = "2027-12-31"};
}

static size_t
count(struct hs_p11_token *token, const char *label)
{
    size_t found = 99;

    assert_int_equal(hs_destroy_count(token, span(label), HS_SPAN_OF(id), &found, NULL), HSMART_OK);
    return found;
}

static void
a_key_with_dates_is_made_and_destroyed(void **state)
{
    struct hs_p11_token *token = open_token();
    hsmart_key_spec spec = spec_of("dated");
    struct hs_generate_result result = {0};
    hsmart_err err = {0};
    size_t destroyed = 0;

    (void)state;
    if (hs_generate_in_ceremony(token, &spec, (struct hs_generate_manner){0}, &result, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    /* SoftHSM2 2.6.1 takes the dates of a private key, and answers CKR_GENERAL_ERROR when it is asked for them. */
    if (result.key->info.start_date != NULL) {
        assert_string_equal(result.key->info.start_date, "2027-01-01");
        assert_string_equal(result.key->info.end_date, "2027-12-31");
    }
    assert_string_equal(result.left_out, "");
    assert_false(result.reply_was_lost);
    assert_null(result.holder);
    assert_int_equal(count(token, "dated"), 2);
    hs_generate_result_clear(&result);
    assert_int_equal(hs_destroy_pair(token, span("dated"), HS_SPAN_OF(id), &destroyed, NULL), HSMART_OK);
    assert_int_equal(destroyed, 2);
    assert_int_equal(count(token, "dated"), 0);
    hs_p11_token_unref(token);
}

static void
a_session_object_signs_and_vanishes(void **state)
{
    struct hs_p11_token *token = open_token();
    hsmart_key_spec spec = spec_of("rehearsed");
    struct hs_generate_result result = {0};
    hsmart_err err = {0};

    (void)state;
    if (hs_generate_in_ceremony(token, &spec, (struct hs_generate_manner){.session_object = true}, &result, &err) !=
        HSMART_OK)
        fail_msg("%s", err.text);
    assert_non_null(result.holder);
    assert_int_equal(count(token, "rehearsed"), 2);
    hs_generate_result_clear(&result);
    assert_int_equal(count(token, "rehearsed"), 0);
    hs_p11_token_unref(token);
}

static void
a_key_that_is_there_is_adopted_and_not_made_again(void **state)
{
    struct hs_p11_token *token = open_token();
    hsmart_key_spec spec = spec_of("once");
    struct hs_generate_result first = {0}, second = {0};
    size_t destroyed = 0;
    hsmart_err err = {0};

    (void)state;
    assert_int_equal(hs_generate_in_ceremony(token, &spec, (struct hs_generate_manner){.adopt = true}, &first, NULL),
                     HSMART_OK);
    assert_int_equal(hs_generate_in_ceremony(token, &spec, (struct hs_generate_manner){0}, &second, NULL),
                     HSMART_KEY_EXISTS);
    if (hs_generate_in_ceremony(token, &spec, (struct hs_generate_manner){.adopt = true}, &second, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    assert_string_equal(first.key->jwk.thumbprint, second.key->jwk.thumbprint);
    assert_int_equal(count(token, "once"), 2);
    hs_generate_result_clear(&first);
    hs_generate_result_clear(&second);
    assert_int_equal(hs_destroy_pair(token, span("once"), HS_SPAN_OF(id), &destroyed, NULL), HSMART_OK);
    hs_p11_token_unref(token);
}

static void
only_the_pair_that_is_named_is_destroyed(void **state)
{
    struct hs_p11_token *token = open_token();
    static const uint8_t other_id[] = {0xce, 0x02};
    hsmart_key_spec spec = spec_of("stays");
    struct hs_generate_result result = {0};
    size_t destroyed = 99;

    (void)state;
    assert_int_equal(hs_generate_in_ceremony(token, &spec, (struct hs_generate_manner){0}, &result, NULL), HSMART_OK);
    assert_int_equal(hs_destroy_pair(token, span("stays"), HS_SPAN_OF(other_id), &destroyed, NULL), HSMART_OK);
    assert_int_equal(destroyed, 0);
    assert_int_equal(hs_destroy_pair(token, span("other"), HS_SPAN_OF(id), &destroyed, NULL), HSMART_OK);
    assert_int_equal(destroyed, 0);
    assert_int_equal(count(token, "stays"), 2);
    hs_generate_result_clear(&result);
    assert_int_equal(hs_destroy_pair(token, span("stays"), HS_SPAN_OF(id), &destroyed, NULL), HSMART_OK);
    hs_p11_token_unref(token);
}

static struct bad_date {
    const char *name, *date;
} bad_dates[] = {
    {"another form", "01.01.2027"}, {"too long", "2027-01-011"}, {"too short", "2027-01-1"}, {"nothing", ""}};

static void
a_day_that_is_none_is_refused(void **state)
{
    const struct bad_date *row = *state;
    struct hs_p11_token *token = open_token();
    hsmart_key_spec spec = spec_of("never");
    struct hs_token_key *key = NULL;

    spec.end_date = row->date;
    assert_int_equal(hs_generate(token, &spec, &key, NULL), HSMART_INVALID_ARGUMENT);
    assert_int_equal(count(token, "never"), 0);
    hs_p11_token_unref(token);
}

int
main(void)
{
    static struct rows rows;

    if (hs_test_softhsm_module() == NULL) {
        print_message("needs SoftHSM2 (package softhsm2)\n");
        return 77;
    }
    hs_test_token_make(&place, "ceremony");
    ADD_TEST(&rows, a_key_with_dates_is_made_and_destroyed);
    ADD_TEST(&rows, a_session_object_signs_and_vanishes);
    ADD_TEST(&rows, a_key_that_is_there_is_adopted_and_not_made_again);
    ADD_TEST(&rows, only_the_pair_that_is_named_is_destroyed);
    ADD_ROWS(&rows, a_day_that_is_none_is_refused, bad_dates);
    int failed = rows_run("ceremony_keys", &rows);
    hs_test_token_remove(&place);
    return failed;
}
