/* Servers and devices that die, freeze and come back under load, on the real token that the environment names:
 * p11-kit's server, or a TPM and its resource manager. Eight threads sign all the time; each signature is verified,
 * each request answered, and when the outage is over signing goes on by itself. Started by tests/token/matrix. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <hsmart/hsmart.h>

#include "bytes.h"
#include "clock.h"
#include "file.h"
#include "jws.h"

#define THREADS 8U
#define SESSIONS 4U /* and so at most this many threads, and one that opens or recovers, can hang in the module */
#define TIMEOUT_MS 2000U
#define LATE_MS 1000  /* how late an answer may be on a slow machine */
#define HEAL_MS 20000 /* how long after an outage the slowest token may take */

static const char *
need(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL) {
        fprintf(stderr, "%s is not set: run this by tests/token/matrix\n", name);
        exit(2);
    }
    return value;
}

static void
run(const char *commands)
{
    char line[1024];

    (void)snprintf(line, sizeof line,
                   "set -e; D=%s/token; T=%s/tests/tokens; group() { kill -$1 -- -$(cat $D/$2.pid); }; %s",
                   need("P11_DIR"), need("HSMART_SOURCE"), commands);
    pid_t child = fork();
    if (child == 0) {
        (void)execl("/bin/bash", "bash", "-c", line, NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0)
        fail_msg("\"%s\" ended with status 0x%x", commands, (unsigned)status);
}

/* ---- One token, one key, one signer ---- */

static struct {
    hsmart_token_options options;
    char uri[128], pin_source[160];
    hsmart_token *token;
    hsmart_key *key;
    hsmart_signer *signer;
    struct hs_jwk jwk;
} service;

static void
write_pin(void)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/outage.pin", need("P11_DIR"));
    assert_int_equal(hs_file_write_atomic(path, hs_span_str(need("P11_PIN")), 0600, NULL), HSMART_OK);
    (void)snprintf(service.pin_source, sizeof service.pin_source, "file:%s", path);
}

static void
keep_jwk(void)
{
    char *json = NULL;
    struct hs_json_doc document = {0};

    assert_int_equal(hsmart_key_jwk(service.key, NULL, &json, NULL), HSMART_OK);
    assert_int_equal(hs_json_parse(hs_span_str(json), &document, NULL), HSMART_OK);
    assert_int_equal(hs_jwk_parse(document.root, &service.jwk, NULL), HSMART_OK);
    hs_json_doc_clear(&document);
    hsmart_string_free(json);
}

static int
open_service(void **state)
{
    const hsmart_key_spec spec = {.alg = "ES384", .label = "outage"};
    hsmart_err err = {0};

    (void)state;
    write_pin();
    (void)snprintf(service.uri, sizeof service.uri, "pkcs11:token=%s", need("P11_TOKEN"));
    service.options = (hsmart_token_options){.module = need("P11_MODULE"),
                                             .uri = service.uri,
                                             .pin_source = service.pin_source,
                                             .max_sessions = SESSIONS,
                                             .timeout_ms = TIMEOUT_MS};
    if (hsmart_token_open(&service.options, &service.token, &err) != HSMART_OK ||
        hsmart_key_generate(service.token, &spec, &service.key, &err) != HSMART_OK ||
        hsmart_signer_new(service.key, NULL, &service.signer, &err) != HSMART_OK) {
        print_error("%s\n", err.text);
        return -1;
    }
    keep_jwk();
    return 0;
}

static int
close_service(void **state)
{
    (void)state;
    hsmart_signer_free(service.signer);
    hsmart_key_free(service.key);
    hsmart_token_close(service.token);
    hs_jwk_clear(&service.jwk);
    return 0;
}

/* A signature that does not verify is HSMART_INTERNAL: nothing else answers so. */
static enum hsmart_code
sign(hsmart_err *err)
{
    static const hsmart_assertion_options options = {.client_id = "app", .audience = "https://ehr.example/token"};
    struct hs_jws jws = {0};
    char *jwt = NULL;
    enum hsmart_code code = hsmart_signer_assertion(service.signer, &options, &jwt, err);

    if (code == HSMART_OK && (hs_jws_parse(hs_span_str(jwt), &jws, NULL) != HSMART_OK ||
                              hs_jwk_verify(&service.jwk, hs_alg_by_name("ES384"), jws.signing_input,
                                            hs_span_buf(&jws.signature), NULL) != HSMART_OK))
        code = HSMART_INTERNAL;
    hs_jws_clear(&jws);
    hsmart_string_free(jwt);
    return code;
}

/* ---- Load ---- */

static struct {
    atomic_bool ended;
    atomic_uint begun, answered, signed_count, late, of_code[160];
    atomic_llong last_signed_ms, slowest_ms;
    pthread_t threads[THREADS];
} load;

static void
keep_most(atomic_llong *most, long long value)
{
    long long before = atomic_load(most);

    while (value > before && !atomic_compare_exchange_weak(most, &before, value))
        ;
}

static void *
sign_until_ended(void *arg)
{
    (void)arg;
    while (!atomic_load(&load.ended)) {
        int64_t start_ms = hs_clock_monotonic_ms();
        atomic_fetch_add(&load.begun, 1);
        enum hsmart_code code = sign(NULL);
        int64_t now_ms = hs_clock_monotonic_ms();
        if (code == HSMART_OK)
            keep_most(&load.last_signed_ms, now_ms);
        if (now_ms - start_ms > TIMEOUT_MS + LATE_MS)
            atomic_fetch_add(&load.late, 1);
        keep_most(&load.slowest_ms, now_ms - start_ms);
        atomic_fetch_add(&load.of_code[code], 1);
        atomic_fetch_add(&load.answered, 1);
        if (code != HSMART_OK)
            hs_clock_sleep_ms(5);
    }
    return NULL;
}

static void
begin_load(void)
{
    memset(&load, 0, sizeof load);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&load.threads[i], NULL, sign_until_ended, NULL), 0);
}

static void
end_load(void)
{
    atomic_store(&load.ended, true);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(load.threads[i], NULL), 0);
    assert_int_equal(atomic_load(&load.begun), atomic_load(&load.answered));
}

/* How long after `since_ms` the first signature came; fails the test when none does. */
static int64_t
wait_for_signature(int64_t since_ms)
{
    while (atomic_load(&load.last_signed_ms) <= since_ms) {
        if (hs_clock_monotonic_ms() - since_ms > HEAL_MS) {
            hsmart_err err = {0};
            atomic_store(&load.ended, true);
            enum hsmart_code code = sign(&err);
            fail_msg("no signature %d ms after the outage: %s: %s", HEAL_MS, hsmart_code_name(code), err.text);
        }
        hs_clock_sleep_ms(2);
    }
    return hs_clock_monotonic_ms() - since_ms;
}

/* ---- What the token thinks of our PIN ---- */

/* A TPM counts wrong tries, and uses that it cannot tell from them; -1 for a token that has no counter. */
static int
lockout_counter(void)
{
    char line[128];
    int counter = -1;

    if (strcmp(need("P11_NAME"), "tpm2") != 0)
        return -1;
    FILE *values = popen("tpm2_getcap properties-variable 2>/dev/null", "re");
    assert_non_null(values);
    while (fgets(line, sizeof line, values) != NULL)
        if (strncmp(line, "TPM2_PT_LOCKOUT_COUNTER:", 24) == 0)
            counter = (int)strtol(line + 24, NULL, 0);
    assert_int_equal(pclose(values), 0);
    return counter;
}

/* ---- Outages ---- */

static struct outage {
    const char *name, *token, *begin, *end;
    unsigned length_ms;
    bool hangs; /* calls into the module do not come back meanwhile */
} outages[] = {
    {"the server is killed, and started again after 3 s", "p11kit-server", "group 9 server",
     "bash $T/p11kit-server.sh $D start", 3000, false},
    {"the server is killed, and started again at once", "p11kit-server",
     "group 9 server; bash $T/p11kit-server.sh $D start", "true", 0, false},
    {"the server is frozen for 5 s, and goes on", "p11kit-server", "group STOP server", "group CONT server", 5000,
     true},
    {"the server is frozen for 5 s, then killed and started again", "p11kit-server", "group STOP server",
     "group 9 server; bash $T/p11kit-server.sh $D start", 5000, true},
    {"the resource manager is killed, and started again after 2 s", "tpm2", "kill -9 $(cat $D/abrmd.pid)",
     "bash $T/tpm2.sh $D start-rm", 2000, false},
    {"TPM and resource manager are killed, and started again after 2 s", "tpm2",
     "kill -9 $(cat $D/abrmd.pid) $(cat $D/swtpm.pid)", "bash $T/tpm2.sh $D start-tpm; bash $T/tpm2.sh $D start-rm",
     2000, false},
    {"the TPM is frozen for 5 s, and goes on", "tpm2", "kill -STOP $(cat $D/swtpm.pid)",
     "kill -CONT $(cat $D/swtpm.pid)", 5000, true},
};

static void
tell(const struct outage *row, unsigned before, int64_t healed_ms)
{
    print_message("%s: %s\n  %u signatures a second before; signing again %lld ms after the end of the outage\n  %u "
                  "requests in all, the slowest answered after %lld ms, %u after their deadline:",
                  need("P11_NAME"), row->name, before, (long long)healed_ms, atomic_load(&load.answered),
                  atomic_load(&load.slowest_ms), atomic_load(&load.late));
    for (unsigned code = 0; code < HS_ARRAY_LEN(load.of_code); code++) /* by code */
        if (atomic_load(&load.of_code[code]) > 0)
            print_message(" %u %s", atomic_load(&load.of_code[code]), hsmart_code_name(code));
    print_message("\n");
}

static void
signing_goes_on_by_itself(void **state)
{
    const struct outage *row = *state;
    int counter = lockout_counter();

    begin_load();
    (void)wait_for_signature(hs_clock_monotonic_ms());
    hs_clock_sleep_ms(1000);
    unsigned before = atomic_load(&load.of_code[HSMART_OK]);
    run(row->begin);
    hs_clock_sleep_ms(row->length_ms);
    run(row->end);
    int64_t healed_ms = wait_for_signature(hs_clock_monotonic_ms());
    hs_clock_sleep_ms(500); /* and stays so */
    end_load();
    tell(row, before, healed_ms);
    assert_int_equal(atomic_load(&load.of_code[HSMART_INTERNAL]), 0);
    /* A PIN that was right all along is never blamed. */
    for (unsigned code = HSMART_PIN_UNAVAILABLE; code <= HSMART_PIN_GUARDED; code++)
        assert_int_equal(atomic_load(&load.of_code[code]), 0);
    assert_in_range(atomic_load(&load.late), 0, row->hangs ? SESSIONS + 1 : 0);
    hsmart_err err = {0};
    if (sign(&err) != HSMART_OK)
        fail_msg("%s", err.text);
    /* A TPM that loses power without a shutdown counts one by itself (TPM 2.0 part 1, "Dictionary Attack Protection").
     */
    assert_in_range(lockout_counter() - counter, 0, 1);
}

int
main(void)
{
    struct CMUnitTest tests[HS_ARRAY_LEN(outages)] = {0};
    size_t count = 0;

    for (size_t i = 0; i < HS_ARRAY_LEN(outages); i++)
        if (strcmp(outages[i].token, need("P11_NAME")) == 0)
            tests[count++] = (struct CMUnitTest){
                .name = outages[i].name, .test_func = signing_goes_on_by_itself, .initial_state = &outages[i]};
    return _cmocka_run_group_tests("outages", tests, count, open_service, close_service);
}
