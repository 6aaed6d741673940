/* A signer on a family of keys, on a SoftHSM2 token, with a clock that the tests turn. */
#include <pthread.h>
#include <stdatomic.h>

#include <hsmart/hsmart.h>

#include "assertion.h"
#include "clock.h"
#include "family.h"
#include "family_signer.h"
#include "jws.h"
#include "rows.h"
#include "softhsm.h"

#define DAY_S 86400
#define NOON (20000 * DAY_S + DAY_S / 2) /* 2024-10-04 */
#define TODAY "2024-10-04"
#define TOMORROW "2024-10-05"
#define YESTERDAY "2024-10-03"

static struct hs_test_token soft;
static hsmart_token *token;
static struct hs_signer *signer;
static atomic_llong now_s, now_ms;

static int64_t
fake_now_s(void *arg)
{
    (void)arg;
    return atomic_load(&now_s);
}

static int64_t
fake_now_ms(void *arg)
{
    (void)arg;
    return atomic_load(&now_ms);
}

static const struct hs_family_clock fake_clock = {fake_now_s, fake_now_ms, NULL};

static void
let_pass(int64_t seconds)
{
    (void)atomic_fetch_add(&now_s, seconds);
    (void)atomic_fetch_add(&now_ms, seconds * 1000);
}

static hsmart_family_options
family_options(void)
{
    return (hsmart_family_options){.label = "ehr", .state_directory = soft.state};
}

static void
make_key_for(const char *alg, const char *label, const char *start_date)
{
    const hsmart_key_spec spec = {
        .alg = alg, .bits = alg[0] == 'R' ? 2048 : 0, .label = label, .start_date = start_date};
    hsmart_key *key = NULL;
    hsmart_err err = {0};

    if (hsmart_key_generate(token, &spec, &key, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    hsmart_key_free(key);
}

static void
make_key(const char *label, const char *start_date)
{
    make_key_for("ES256", label, start_date);
}

static hsmart_family *
read_family(void)
{
    const hsmart_family_options options = family_options();
    hsmart_family *family = NULL;
    const int64_t at_s = fake_now_s(NULL);
    hsmart_err err = {0};

    if (hsmart_family_read(token, &options, &at_s, &family, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    return family;
}

static const hsmart_family_key *
key_of(const hsmart_family *family, const char *label)
{
    for (size_t i = 0; i < family->count; i++)
        if (strcmp(hsmart_key_get_info(family->keys[i].key)->label, label) == 0)
            return &family->keys[i];
    fail_msg("no key \"%s\"", label);
    return NULL;
}

static bool
set_dates(const char *label, const char *start_date, const char *end_date)
{
    hsmart_family *family = read_family();
    bool in_file = false;
    hsmart_err err = {0};

    if (hsmart_family_set_dates(family, key_of(family, label), start_date, end_date, &in_file, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    hsmart_family_free(family);
    return in_file;
}

/* A family of two: "ehr" without dates, and a successor that begins on `start_date`. */
static void
make_two(const char *start_date)
{
    const hsmart_family_options options = family_options();
    hsmart_err err = {0};

    make_key("ehr", NULL);
    make_key("ehr-20241004", start_date);
    if (hs_family_signer_new((struct hs_p11_token *)token, &options, NULL, &fake_clock, &signer, &err) != HSMART_OK)
        fail_msg("%s", err.text);
}

static int
make_token(void **state)
{
    (void)state;
    atomic_store(&now_s, NOON);
    atomic_store(&now_ms, 0);
    hs_test_token_make(&soft, "family");
    hsmart_token_options options = hs_test_token_options(&soft);
    assert_int_equal(hsmart_token_open(&options, &token, NULL), HSMART_OK);
    return 0;
}

static int
remove_token(void **state)
{
    (void)state;
    hs_signer_free(signer);
    signer = NULL;
    hsmart_token_close(token);
    hs_test_token_remove(&soft);
    return 0;
}

/* One assertion; sets the label of the key by which it is made, by its kid, and verifies it with that key. */
static enum hsmart_code
try_signing(char out_label[64], hsmart_err *err)
{
    const hsmart_assertion_options options = {.client_id = "c", .audience = "https://ehr.example", .now_s = NOON};
    struct hs_buf jwt = {0};
    struct hs_jws jws = {0};
    enum hsmart_code code = hs_assertion_sign(signer, &options, &jwt, err);

    if (code != HSMART_OK)
        return code;
    assert_int_equal(hs_jws_parse(hs_span_buf(&jwt), &jws, NULL), HSMART_OK);
    const char *kid = hs_json_text(hs_json_member(jws.header.root, "kid"));
    hsmart_family *family = read_family();
    out_label[0] = 0;
    for (size_t i = 0; i < family->count; i++) {
        const struct hs_token_key *key = (const struct hs_token_key *)family->keys[i].key;
        if (strcmp(key->jwk.thumbprint, kid) != 0)
            continue;
        (void)snprintf(out_label, 64, "%s", key->info.label);
        assert_int_equal(
            hs_jwk_verify(&key->jwk, hs_alg_by_name("ES256"), jws.signing_input, hs_span_buf(&jws.signature), NULL),
            HSMART_OK);
    }
    hsmart_family_free(family);
    hs_jws_clear(&jws);
    hs_buf_clear(&jwt);
    return HSMART_OK;
}

static void
assert_signs(const char *label)
{
    char by[64];
    hsmart_err err = {0};

    if (try_signing(by, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    assert_string_equal(by, label);
}

/* ---- The tests ---- */

static void
it_changes_over_at_midnight_by_itself(void **state)
{
    (void)state;
    make_two(TOMORROW);
    assert_signs("ehr");
    let_pass(DAY_S / 2 - 1);
    assert_signs("ehr");
    let_pass(1);
    assert_signs("ehr-20241004");
    let_pass(300 * (int64_t)DAY_S);
    assert_signs("ehr-20241004");
}

static void
a_date_set_from_elsewhere_is_seen_at_midnight(void **state)
{
    (void)state;
    make_two(HSMART_DATE_UNDECIDED);
    let_pass(DAY_S / 2 - 10);
    assert_signs("ehr"); /* read just before midnight */
    assert_false(set_dates("ehr-20241004", TOMORROW, NULL));
    let_pass(10);
    assert_signs("ehr-20241004");
}

static void
what_cannot_wait_is_seen_within_a_minute(void **state)
{
    (void)state;
    make_two(HSMART_DATE_UNDECIDED);
    assert_signs("ehr");
    (void)set_dates("ehr-20241004", TODAY, NULL);
    let_pass(59);
    assert_signs("ehr");
    let_pass(1);
    assert_signs("ehr-20241004");
    (void)set_dates("ehr-20241004", NULL, YESTERDAY); /* revoked */
    let_pass(60);
    assert_signs("ehr");
}

static void
a_family_without_an_active_key_says_so(void **state)
{
    char label[64];
    hsmart_err err = {0};

    (void)state;
    make_two(TOMORROW);
    assert_signs("ehr");
    (void)set_dates("ehr", NULL, YESTERDAY);
    let_pass(60);
    assert_int_equal(try_signing(label, &err), HSMART_KEY_ABSENT);
    assert_non_null(strstr(err.text, "no key that is active on " TODAY));
    let_pass(DAY_S / 2);
    assert_signs("ehr-20241004");
}

static void
the_last_day_is_a_day(void **state)
{
    char label[64];

    (void)state;
    make_two(HSMART_DATE_UNDECIDED);
    (void)set_dates("ehr", NULL, TODAY);
    let_pass(DAY_S / 2 - 1);
    assert_signs("ehr");
    let_pass(1);
    assert_int_equal(try_signing(label, NULL), HSMART_KEY_ABSENT);
}

static void
a_key_that_is_destroyed_is_followed_by_the_other(void **state)
{
    hsmart_family *family;

    (void)state;
    make_two(TODAY);
    assert_signs("ehr-20241004");
    family = read_family();
    assert_int_equal(hsmart_key_destroy(key_of(family, "ehr-20241004")->key, NULL, NULL), HSMART_OK);
    hsmart_family_free(family);
    let_pass(60);
    assert_signs("ehr");
}

static void
a_kid_or_thumbprint_is_refused(void **state)
{
    const hsmart_family_options options = family_options();
    const hsmart_signer_options with_kid = {.kid = "mine"}, with_thumbprint = {.thumbprint = "x"};
    hsmart_signer *made = NULL;

    (void)state;
    make_key("ehr", NULL);
    assert_int_equal(hsmart_signer_new_family(token, &options, &with_kid, &made, NULL), HSMART_INVALID_ARGUMENT);
    assert_int_equal(hsmart_signer_new_family(token, &options, &with_thumbprint, &made, NULL), HSMART_INVALID_ARGUMENT);
    assert_null(made);
}

static void
other_keys_are_not_of_the_family(void **state)
{
    hsmart_family *family;

    (void)state;
    make_key("ehr", NULL);
    make_key("ehr-test", NULL);
    make_key("ehr2", NULL);
    family = read_family();
    assert_int_equal(family->count, 1);
    hsmart_family_free(family);
}

static void
destroy_public_objects(void)
{
    struct hs_p11_session *session = NULL;
    struct hs_p11_object *objects = NULL;
    size_t count = 0;

    assert_int_equal(hs_p11_token_acquire((struct hs_p11_token *)token, true, 1000, &session, NULL), HSMART_OK);
    assert_int_equal(hs_p11_session_find(session, CKO_PUBLIC_KEY, NULL, 0, &objects, &count, NULL), HSMART_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(session->p11->C_DestroyObject(session->handle, objects[i].handle), CKR_OK);
    hs_free(objects);
    hs_p11_token_release((struct hs_p11_token *)token, session);
}

static void
what_the_token_does_not_keep_is_in_the_file(void **state)
{
    hsmart_family *family;

    (void)state;
    make_key_for("RS256", "ehr", NULL);
    destroy_public_objects(); /* the private object tells the public key, and is not modifiable */
    assert_true(set_dates("ehr", TOMORROW, NULL));
    family = read_family();
    assert_string_equal(family->keys[0].start_date, TOMORROW);
    assert_true(family->keys[0].dates_in_file);
    assert_int_equal(family->keys[0].state, HSMART_KEY_STAGED);
    assert_int_equal(family->keys[0].changed_s != 0, true);
    hsmart_family_free(family);
    let_pass(DAY_S);
    family = read_family();
    assert_int_equal(family->keys[0].state, HSMART_KEY_ACTIVE);
    hsmart_family_free(family);
}

/* Whoever retires wants to know since when the other key signs; another host may have decided anew. */
static void
when_a_first_day_was_set_is_known_where_it_was_set(void **state)
{
    hsmart_family_options elsewhere = family_options();
    hsmart_family *family = NULL;
    char other_file[300];
    const int64_t at_s = NOON;

    (void)state;
    make_two(HSMART_DATE_UNDECIDED);
    assert_false(set_dates("ehr-20241004", TOMORROW, NULL));
    family = read_family();
    assert_true(key_of(family, "ehr-20241004")->changed_s != 0);
    hsmart_family_free(family);
    (void)snprintf(other_file, sizeof other_file, "%s/elsewhere.json", soft.state);
    elsewhere.lifecycle_file = other_file;
    assert_int_equal(hsmart_family_read(token, &elsewhere, &at_s, &family, NULL), HSMART_OK);
    assert_int_equal(key_of(family, "ehr-20241004")->changed_s, 0);
    assert_int_equal(hsmart_family_set_dates(family, key_of(family, "ehr-20241004"), TODAY, NULL, NULL, NULL),
                     HSMART_OK);
    hsmart_family_free(family);
    family = read_family();
    assert_string_equal(key_of(family, "ehr-20241004")->start_date, TODAY);
    assert_int_equal(key_of(family, "ehr-20241004")->changed_s, 0);
    hsmart_family_free(family);
}

/* What is on the token has happened: an error that it failed would be wrong. */
static void
dates_on_the_token_hold_although_the_file_cannot_be_written(void **state)
{
    hsmart_family_options options = family_options();
    hsmart_family *family = NULL;
    char nowhere[300];
    bool in_file = true;
    const int64_t at_s = NOON;
    hsmart_err err = {0};

    (void)state;
    make_key("ehr", NULL);
    (void)snprintf(nowhere, sizeof nowhere, "%s/nowhere/life.json", soft.dir);
    options.lifecycle_file = nowhere;
    assert_int_equal(hsmart_family_read(token, &options, &at_s, &family, NULL), HSMART_OK);
    if (hsmart_family_set_dates(family, &family->keys[0], TODAY, NULL, &in_file, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    assert_false(in_file);
    hsmart_family_free(family);
    family = read_family();
    assert_string_equal(family->keys[0].start_date, TODAY);
    hsmart_family_free(family);
}

static void
the_epoch_is_a_time(void **state)
{
    const hsmart_family_options options = family_options();
    const int64_t epoch_s = 0;
    hsmart_family *family = NULL;

    (void)state;
    make_key("ehr", TODAY);
    assert_int_equal(hsmart_family_read(token, &options, &epoch_s, &family, NULL), HSMART_OK);
    assert_int_equal(family->keys[0].state, HSMART_KEY_STAGED);
    hsmart_family_free(family);
    assert_int_equal(hsmart_family_read(token, &options, NULL, &family, NULL), HSMART_OK);
    assert_int_equal(family->keys[0].state, HSMART_KEY_ACTIVE);
    hsmart_family_free(family);
}

/* A set as it is served: with the successor, without it, and with it again. */
static void
what_was_served_counts_without_a_gap(void **state)
{
    const char *url = "https://app.example/jwks.json";
    char *both = NULL;
    hsmart_family *family;

    (void)state;
    make_key("ehr", NULL);
    make_key("ehr-20241004", HSMART_DATE_UNDECIDED);
    static const struct look {
        int64_t after_s, max_age_s;
        bool served;
        int64_t cache_max_s, wait_s; /* what is known of servers; and what follows */
    } looks[] = {
        {0, 300, false, 0, -1},
        {10, 300, true, 0, 301},
        {100, 300, true, 0, 201},
        {100, 600, true, 0, 401},
        {100, 300, true, 0, 301},
        {301, 300, true, 0, 0},
        {0, 300, true, 104400, 103800},
        {10, 300, false, 0, -1},
        {10, -1, true, 0, 86401},
        {10, -1, true, 20, 11},
        {11, -1, true, 20, 0},
        {0, INT64_MAX, true, 0, 2147483627}, /* RFC 9111 section 1.2.2: 2^31 stands for what is more */
    };
    for (size_t i = 0; i < HS_ARRAY_LEN(looks); i++) {
        let_pass(looks[i].after_s);
        family = read_family();
        if (both == NULL)
            assert_int_equal(hsmart_family_jwks(family, NULL, &both, NULL), HSMART_OK);
        assert_int_equal(hsmart_family_note_served(family, url, looks[i].served ? both : "{\"keys\":[]}",
                                                   fake_now_s(NULL), looks[i].max_age_s, NULL),
                         HSMART_OK);
        hsmart_family_free(family);
        family = read_family();
        int64_t wait_s = hsmart_family_activation_wait_s(key_of(family, "ehr-20241004"), looks[i].cache_max_s);
        if (wait_s != looks[i].wait_s)
            fail_msg("look %zu: %lld s to wait, not %lld", i, (long long)wait_s, (long long)looks[i].wait_s);
        hsmart_family_free(family);
    }
    hsmart_string_free(both);
}

/* A warning and a smaller set would end every request of the clients. */
static void
a_set_without_the_active_key_is_not_published(void **state)
{
    hsmart_err err = {0};
    char *jwks = NULL;

    (void)state;
    make_two("9999-12-31");
    hsmart_family *family = read_family();
    struct hs_token_key *active = (struct hs_token_key *)family->active->key;
    struct hs_token_key *staged = (struct hs_token_key *)key_of(family, "ehr-20241004")->key;

    staged->info.problem = HSMART_POLICY_REFUSED;
    staged->info.problem_text = "of the test";
    assert_int_equal(hsmart_family_jwks(family, NULL, &jwks, &err), HSMART_OK);
    assert_null(strstr(jwks, staged->jwk.thumbprint));
    assert_non_null(strstr(jwks, active->jwk.thumbprint));
    hsmart_string_free(jwks);
    jwks = NULL;

    active->info.problem = HSMART_POLICY_REFUSED;
    active->info.problem_text = "of the test";
    assert_int_equal(hsmart_family_jwks(family, NULL, &jwks, &err), HSMART_POLICY_REFUSED);
    assert_null(jwks);
    assert_non_null(strstr(err.text, "the active key"));
    hsmart_family_free(family);
}

static void
a_life_cycle_file_that_is_none_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"keys\": 3}",
        "{\"keys\": [{}]}",
        "{\"keys\": [{\"thumbprint\": \"short\"}]}",
        "{\"keys\": [{\"thumbprint\": \"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs\", \"start_date\": \"soon\"}]}",
        "{\"keys\": [{\"thumbprint\": \"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs\", \"served\": {}}]}",
        "{\"keys\": [{\"thumbprint\": \"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs\", \"changed_s\": \"soon\"}]}",
        "{\"keys\": [{\"thumbprint\": \"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs\", \"changed_s\": "
        "9223372036854775807}]}",
        "{\"keys\": [{\"thumbprint\": \"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs\", \"changed_start_date\": 1}]}",
        ("{\"keys\": [{\"thumbprint\": \"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs\", \"served\": {\"url\": \"u\", "
         "\"since_s\": -9223372036854775807, \"until_s\": 9223372036854775807, \"max_age_s\": 1}}]}"),
    };
    hsmart_family *family = NULL;

    (void)state;
    make_key("ehr", NULL);
    for (size_t i = 0; i < HS_ARRAY_LEN(texts); i++) {
        char path[96];
        hsmart_err err = {0};
        hs_test_write(&soft, "life.json", texts[i], path);
        const hsmart_family_options options = {.label = "ehr", .lifecycle_file = path};
        assert_int_equal(hsmart_family_read(token, &options, NULL, &family, &err), HSMART_INPUT_MALFORMED);
        assert_non_null(strstr(err.text, path));
    }
    assert_null(family);
}

/* ---- Threads ---- */

static atomic_int stop, failures, signed_count;

static void *
sign_all_the_time(void *arg)
{
    const hsmart_assertion_options options = {.client_id = "c", .audience = "https://ehr.example", .now_s = NOON};

    (void)arg;
    while (!atomic_load(&stop)) {
        struct hs_buf jwt = {0};
        hsmart_err err = {0};
        if (hs_assertion_sign(signer, &options, &jwt, &err) != HSMART_OK) {
            print_error("%s\n", err.text);
            (void)atomic_fetch_add(&failures, 1);
        }
        (void)atomic_fetch_add(&signed_count, 1);
        hs_buf_clear(&jwt);
    }
    return NULL;
}

static void
wait_for_signatures(int count)
{
    int from = atomic_load(&signed_count);

    while (atomic_load(&signed_count) - from < count && atomic_load(&failures) == 0)
        hs_clock_sleep_ms(1);
}

static void
threads_change_over_without_a_failure(void **state)
{
    pthread_t threads[6];

    (void)state;
    make_two(TOMORROW);
    atomic_store(&stop, 0);
    for (size_t i = 0; i < HS_ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_all_the_time, NULL), 0);
    wait_for_signatures(50);
    let_pass(DAY_S / 2);
    wait_for_signatures(50);
    for (int i = 0; i < 10; i++) { /* and reads again, with nothing changed, and with something changed */
        let_pass(61);
        wait_for_signatures(10);
        if (i % 3 == 0)
            (void)set_dates("ehr", NULL, i % 2 == 0 ? "2030-01-01" : "2031-01-01");
    }
    atomic_store(&stop, 1);
    for (size_t i = 0; i < HS_ARRAY_LEN(threads); i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&failures), 0);
    assert_signs("ehr-20241004");
}

int
main(void)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } tests[] = {
        {"it changes over at midnight by itself", it_changes_over_at_midnight_by_itself},
        {"a date set from elsewhere is seen at midnight", a_date_set_from_elsewhere_is_seen_at_midnight},
        {"what cannot wait is seen within a minute", what_cannot_wait_is_seen_within_a_minute},
        {"a family without an active key says so", a_family_without_an_active_key_says_so},
        {"the last day is a day", the_last_day_is_a_day},
        {"a key that is destroyed is followed by the other", a_key_that_is_destroyed_is_followed_by_the_other},
        {"a kid or thumbprint is refused", a_kid_or_thumbprint_is_refused},
        {"other keys are not of the family", other_keys_are_not_of_the_family},
        {"when a first day was set is known where it was set", when_a_first_day_was_set_is_known_where_it_was_set},
        {"dates on the token hold although the file cannot be written",
         dates_on_the_token_hold_although_the_file_cannot_be_written},
        {"the epoch is a time", the_epoch_is_a_time},
        {"what the token does not keep is in the file", what_the_token_does_not_keep_is_in_the_file},
        {"what was served counts without a gap", what_was_served_counts_without_a_gap},
        {"a life-cycle file that is none is refused", a_life_cycle_file_that_is_none_is_refused},
        {"a set without the active key is not published", a_set_without_the_active_key_is_not_published},
        {"threads change over without a failure", threads_change_over_without_a_failure},
    };
    struct CMUnitTest rows[HS_ARRAY_LEN(tests)];

    for (size_t i = 0; i < HS_ARRAY_LEN(tests); i++)
        rows[i] = (struct CMUnitTest){
            .name = tests[i].name, .test_func = tests[i].run, .setup_func = make_token, .teardown_func = remove_token};
    return _cmocka_run_group_tests("family", rows, HS_ARRAY_LEN(rows), NULL, NULL);
}
