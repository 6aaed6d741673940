/* Many threads on one signer, while it is stopped and closed and while the token fails at random. Run under
 * ThreadSanitizer, too. Every request is answered, in time; no signature that does not verify comes out; descriptors,
 * sessions and memory stay as they were.
 *
 *   test_concurrency [[--not] PATTERN]   only the tests whose name fits, or the others
 *   HSMART_SOAK_S=N      how long the soak lasts, in seconds; 30 by default
 *   HSMART_SOAK_SEED=N   which faults it meets; 1 by default
 *   HSMART_ROUNDS=N      how many rounds of stopping; 200 by default */
#define _GNU_SOURCE
#include "rows.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fault_fixture.h"

#define THREADS 8U

static unsigned
number_from_environment(const char *name, unsigned by_default)
{
    const char *text = getenv(name);

    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : by_default;
}

/* ---- Threads that sign until they are told to end ---- */

struct crowd {
    atomic_bool ended;
    atomic_uint begun, answered, of_code[160];
    atomic_uint wrong; /* signatures that do not verify, or answers after the deadline */
    pthread_mutex_t lock;
    hsmart_err last_wrong, last_failure;
    pthread_t threads[THREADS];
};

static void *
sign_until_ended(void *arg)
{
    struct crowd *crowd = arg;

    while (!atomic_load(&crowd->ended)) {
        hsmart_err err = {0};
        atomic_fetch_add(&crowd->begun, 1);
        enum hsmart_code code = fault_token_try(&fault, &err);
        atomic_fetch_add(&crowd->answered, 1);
        atomic_fetch_add(&crowd->of_code[code], 1);
        if (code != HSMART_OK) {
            (void)pthread_mutex_lock(&crowd->lock);
            *(code == HSMART_INTERNAL ? &crowd->last_wrong : &crowd->last_failure) = err;
            (void)pthread_mutex_unlock(&crowd->lock);
        }
        if (code == HSMART_INTERNAL)
            atomic_fetch_add(&crowd->wrong, 1);
        if (code == HSMART_TOKEN_STOPPED)
            break;
        if (code != HSMART_OK)
            hs_clock_sleep_ms(1); /* as a client would, and not to spin while the circuit is open */
    }
    return NULL;
}

static void
crowd_begin(struct crowd *crowd)
{
    *crowd = (struct crowd){.lock = PTHREAD_MUTEX_INITIALIZER};
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&crowd->threads[i], NULL, sign_until_ended, crowd), 0);
}

static void
crowd_join(struct crowd *crowd)
{
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(crowd->threads[i], NULL), 0);
    if (atomic_load(&crowd->wrong) > 0)
        fail_msg("%s", crowd->last_wrong.text);
    assert_int_equal(atomic_load(&crowd->begun), atomic_load(&crowd->answered));
}

static unsigned
count(struct crowd *crowd, enum hsmart_code code)
{
    return atomic_load(&crowd->of_code[code]);
}

/* ---- Eight threads, nothing else ---- */

static void
eight_threads_on_one_signer_all_sign(void **state)
{
    struct crowd crowd;

    (void)state;
    must_open();
    fault_none();
    crowd_begin(&crowd);
    hs_clock_sleep_ms(2000);
    atomic_store(&crowd.ended, true);
    crowd_join(&crowd);
    if (count(&crowd, HSMART_OK) != atomic_load(&crowd.answered))
        fail_msg("%s", crowd.last_failure.text);
    print_message("8 threads, 2 s: %u signatures\n", count(&crowd, HSMART_OK));
    assert_in_range(count(&crowd, HSMART_OK), THREADS, 1000000);
    assert_int_equal(fault_calls("C_Login"), 0);
    assert_in_range(fault_open_sessions(), 2, 5);
}

/* ---- Ends ---- */

static struct ending {
    const char *name, *rules; /* what the token does meanwhile */
} endings[] = {
    {"while all is well", ""},
    {"while sessions are lost", "C_SignInit * chance=5 rv=0xb3"},
    {"while the login is lost", "C_SignInit * chance=9 logout"},
    {"while the module is restarted", "C_SignInit * chance=7 rv=0x30; C_OpenSession * chance=3 rv=0x30"},
    {"while the token is out of order", "C_SignInit 3- rv=0x30"},
};

static void
check_stopped(struct crowd *crowd)
{
    hsmart_err err = {0};
    hsmart_key *key = NULL;

    assert_int_equal(count(crowd, HSMART_TOKEN_STOPPED), THREADS); /* each thread is told, once */
    assert_int_equal(fault_open_sessions(), 0);
    unsigned long calls = fault_calls("C_OpenSession");
    assert_int_equal(fault_token_sign(&fault, &err), HSMART_TOKEN_STOPPED);
    assert_int_equal(hsmart_key_find(fault.token, "pkcs11:object=k", &key, &err), HSMART_TOKEN_STOPPED);
    assert_int_equal(fault_calls("C_OpenSession"), calls);
    assert_int_equal(hsmart_token_stop(fault.token, &err), HSMART_OK); /* twice is fine */
}

static void
a_stop_under_load_answers_everybody(void **state)
{
    const struct ending *row = *state;
    unsigned rounds = number_from_environment("HSMART_ROUNDS", 200) / (unsigned)HS_ARRAY_LEN(endings);
    unsigned signatures = 0;
    int64_t slowest_ms = 0;

    for (unsigned i = 0; i < rounds; i++) {
        struct crowd crowd;
        hsmart_err err = {0};
        fault_none();
        must_open();
        fault_rules("%s", row->rules);
        crowd_begin(&crowd);
        hs_clock_sleep_ms(1 + i % 13);
        int64_t start_ms = hs_clock_monotonic_ms();
        if (hsmart_token_stop(fault.token, &err) != HSMART_OK)
            fail_msg("round %u: %s", i, err.text);
        int64_t took_ms = hs_clock_monotonic_ms() - start_ms;
        slowest_ms = took_ms > slowest_ms ? took_ms : slowest_ms;
        crowd_join(&crowd);
        check_stopped(&crowd);
        signatures += count(&crowd, HSMART_OK);
    }
    print_message("%u rounds, %u signatures, the slowest stop took %lld ms\n", rounds, signatures,
                  (long long)slowest_ms);
}

/* Signers keep the token open: others go on, and the last one out closes it. */
static void
a_close_under_load_disturbs_nobody(void **state)
{
    unsigned rounds = number_from_environment("HSMART_ROUNDS", 200) / (unsigned)HS_ARRAY_LEN(endings);

    (void)state;
    for (unsigned i = 0; i < rounds; i++) {
        struct crowd crowd;
        must_open();
        fault_none();
        crowd_begin(&crowd);
        hs_clock_sleep_ms(1 + i % 7);
        hsmart_key_free(fault.key);
        hsmart_token_close(fault.token);
        fault.key = NULL;
        fault.token = NULL;
        hs_clock_sleep_ms(2);
        atomic_store(&crowd.ended, true);
        crowd_join(&crowd);
        if (count(&crowd, HSMART_OK) != atomic_load(&crowd.answered))
            fail_msg("%s", crowd.last_failure.text);
        assert_in_range(fault_open_sessions(), 1, 5);
        hsmart_signer_free(fault.signer);
        fault.signer = NULL;
        assert_int_equal(fault_open_sessions(), 0);
    }
    assert_true(fault_calls("C_Finalize") > 0);
}

static void
a_stop_waits_for_a_call_no_longer_than_the_timeout(void **state)
{
    struct crowd crowd;
    hsmart_err err = {0};

    (void)state;
    fault.options.timeout_ms = 300;
    must_open();
    fault_rules("C_Sign 1 sleep=1500");
    crowd_begin(&crowd);
    while (fault_calls("C_Sign") == 0)
        hs_clock_sleep_ms(1);
    int64_t start_ms = hs_clock_monotonic_ms();
    assert_int_equal(hsmart_token_stop(fault.token, &err), HSMART_TOKEN_BUSY);
    int64_t took_ms = hs_clock_monotonic_ms() - start_ms;
    assert_in_range(took_ms, 290, 1200);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(crowd.threads[i], NULL), 0);
    assert_int_equal(hsmart_token_stop(fault.token, &err), HSMART_OK); /* it has come back */
    assert_int_equal(fault_open_sessions(), 0);
    fault.options.timeout_ms = FAULT_TIMEOUT_MS;
}

/* A service that is told to end: it stops the token, its threads see that and end, it exits. Nothing is freed. */
static int
serve_and_end(void)
{
    struct crowd crowd;
    hsmart_err err = {0};

    if (fault_token_open(&fault, &err) != HSMART_OK)
        return 2;
    crowd_begin(&crowd);
    hs_clock_sleep_ms(10);
    if (hsmart_token_stop(fault.token, &err) != HSMART_OK)
        return 3;
    crowd_join(&crowd);
    exit(0); /* with its exit handlers, the module's among them */
}

static void
a_program_that_stopped_its_token_may_end(void **state)
{
    unsigned rounds = number_from_environment("HSMART_ROUNDS", 200) / 10;

    (void)state;
    fault_none();
    fault_token_close(&fault);
    for (unsigned i = 0; i < rounds; i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0)
            end_child(serve_and_end());
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("round %u: status 0x%x", i, (unsigned)status);
    }
}

/* ---- The soak ---- */

static unsigned
open_descriptors(void)
{
    unsigned found = 0;
    DIR *directory = opendir("/proc/self/fd");

    assert_non_null(directory);
    while (readdir(directory) != NULL)
        found++;
    (void)closedir(directory);
    return found;
}

static long
resident_kib(void)
{
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &size, &resident), 2);
    (void)fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static uint64_t soak_state;

static unsigned
soak_random(unsigned below)
{
    soak_state ^= soak_state << 13;
    soak_state ^= soak_state >> 7;
    soak_state ^= soak_state << 17;
    return (unsigned)((soak_state >> 11) % below);
}

/* What a token may do for a while. PINs are left alone: what they end, only an operator begins again. */
static const char *const weather[] = {
    "",
    "C_SignInit * chance=4 rv=0xb3",
    "C_SignInit * chance=6 rv=0x101",
    "C_SignInit * chance=6 logout",
    "C_SignInit * chance=8 closeall",
    "C_Sign * chance=8 closeall",
    "C_Sign * chance=5 rv=0x30",
    "C_Sign * chance=5 after=0x30",
    "C_Sign * chance=4 flip",
    "C_Sign * chance=4 zero",
    "C_Sign * chance=4 short",
    "C_Sign * flip",
    "C_Sign * chance=3 sleep=20",
    "C_Sign * chance=40 sleep=700",
    "C_SignInit * rv=0x30",
    "C_SignInit * chance=3 rv=0x190",
    "C_SignInit * chance=2 rv=0x80000042",
    "C_OpenSession * chance=2 rv=0x30; C_SignInit * chance=3 rv=0xb3",
    "C_OpenSession * limit=2; C_SignInit * chance=3 rv=0xb3",
    "C_OpenSession * limit=1 rv=0x7; C_SignInit * chance=3 rv=0xb3",
    "C_FindObjectsInit * chance=2 rv=0x30; C_SignInit * chance=3 rv=0x101",
    "C_FindObjects * chance=2 rv=0x5; C_SignInit * chance=3 rv=0x101",
    "C_GetAttributeValue * chance=3 rv=0x31; C_SignInit * chance=3 rv=0x101",
    "C_Login * chance=2 rv=0x30; C_SignInit * chance=3 rv=0x101",
    "C_GetSlotList * chance=2 rv=0x5; C_SignInit * chance=3 rv=0x30",
    "C_GetTokenInfo * chance=2 rv=0xe0; C_SignInit * chance=3 rv=0x30",
    "C_CloseSession * after=0x30; C_SignInit * chance=3 rv=0xb3",
};

struct soak {
    unsigned changes, most_descriptors;
    long first_kib, last_kib, most_sessions;
};

static void
let_it_rain(struct soak *soak, unsigned seconds)
{
    int64_t start_ms = hs_clock_monotonic_ms(), end_ms = start_ms + (int64_t)seconds * 1000;

    while (hs_clock_monotonic_ms() < end_ms) {
        unsigned which = soak_random((unsigned)HS_ARRAY_LEN(weather));
        fault_rules("%s\nC_GetInfo 1000000 seed=%u rv=0x30", weather[which], 1 + soak_random(1U << 30));
        hs_clock_sleep_ms(50 + soak_random(200));
        unsigned descriptors = open_descriptors();
        if (descriptors > soak->most_descriptors)
            soak->most_descriptors = descriptors;
        if (fault_open_sessions() > soak->most_sessions)
            soak->most_sessions = fault_open_sessions();
        soak->changes++;
        if (soak->first_kib == 0 && hs_clock_monotonic_ms() > start_ms + (int64_t)seconds * 1000 / 3)
            soak->first_kib = resident_kib();
    }
    soak->last_kib = resident_kib();
}

static void
a_soak_with_random_faults_stays_sound(void **state)
{
    struct crowd crowd;
    struct soak soak = {0};
    unsigned seconds = number_from_environment("HSMART_SOAK_S", 30);
    unsigned seed = number_from_environment("HSMART_SOAK_SEED", 1);

    (void)state;
    soak_state = 0x9e3779b97f4a7c15ULL ^ ((uint64_t)seed << 17);
    fault.options.log = NULL;
    must_open();
    fault_token_must_sign(&fault);
    unsigned descriptors = open_descriptors();
    crowd_begin(&crowd);
    let_it_rain(&soak, seconds);
    fault_none();
    atomic_store(&crowd.ended, true);
    crowd_join(&crowd);
    (void)fault_token_must_sign_within(&fault, 31000 * 6 / 5); /* the longest back-off, with its jitter */
    print_message("soak, seed %u, %u s: %u faults, %u requests, %u signed", seed, seconds, soak.changes,
                  atomic_load(&crowd.answered), count(&crowd, HSMART_OK));
    for (unsigned code = 1; code < HS_ARRAY_LEN(crowd.of_code); code++)
        if (count(&crowd, code) > 0)
            print_message(", %u %s", count(&crowd, code), hsmart_code_name(code));
    print_message(
        "\ndescriptors %u, at most %u; sessions at most %ld; resident %ld KiB after a third, %ld KiB at the end\n",
        descriptors, soak.most_descriptors, soak.most_sessions, soak.first_kib, soak.last_kib);
    assert_true(count(&crowd, HSMART_OK) > seconds);
    assert_in_range(soak.most_descriptors, 1, descriptors + 24); /* the guard's, SoftHSM2's object files */
    assert_in_range(open_descriptors(), 1, descriptors + 2);
    /* Four and the anchor; the module's count goes wrong by one when an opening and a closing of all overtake another.
     */
    assert_in_range(soak.most_sessions, 1, 5 + 3);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(soak.last_kib < soak.first_kib + 8192);
#endif
}

static struct CMUnitTest tests[16];
static char names[16][128];
static size_t test_count;

static void
add(const char *behaviour, CMUnitTestFunction run, struct ending *row)
{
    assert_true(test_count < HS_ARRAY_LEN(tests));
    char *name = names[test_count];
    (void)snprintf(name, sizeof names[0], row != NULL ? "%s %s" : "%s", behaviour, row != NULL ? row->name : "");
    tests[test_count++] = (struct CMUnitTest){
        .name = name, .test_func = run, .setup_func = make_ec, .teardown_func = remove_token, .initial_state = row};
}

int
main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--not") == 0)
        cmocka_set_skip_filter(argv[2]);
    else if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    add("eight threads on one signer all sign", eight_threads_on_one_signer_all_sign, NULL);
    for (size_t i = 0; i < HS_ARRAY_LEN(endings); i++)
        add("a stop under load answers everybody", a_stop_under_load_answers_everybody, &endings[i]);
    add("a close under load disturbs nobody", a_close_under_load_disturbs_nobody, NULL);
    add("a stop waits for a call no longer than the timeout", a_stop_waits_for_a_call_no_longer_than_the_timeout, NULL);
    add("a program that stopped its token may end", a_program_that_stopped_its_token_may_end, NULL);
    add("a soak with random faults stays sound", a_soak_with_random_faults_stays_sound, NULL);
    return _cmocka_run_group_tests("concurrency", tests, test_count, NULL, NULL);
}
