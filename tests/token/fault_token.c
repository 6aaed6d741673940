#define _GNU_SOURCE /* setenv, nftw */
#include "fault_token.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "alg.h"
#include "clock.h"
#include "err.h"
#include "jws.h"

static struct {
    void (*set_rules)(const char *text);
    unsigned long (*count_calls)(const char *function);
    long (*open_sessions)(void);
} control;

static void *
symbol(void *module, const char *name)
{
    void *address = dlsym(module, name);

    if (address == NULL)
        fail_msg("%s", dlerror());
    return address;
}

void
fault_load(void)
{
    if (control.set_rules != NULL)
        return;
    assert_int_equal(setenv("HSMART_FAULT_MODULE", hs_test_softhsm_module(), 1), 0);
    assert_int_equal(setenv("HSMART_FAULT_MANUFACTURER", "hsmart tests", 1), 0);
    void *module = dlopen(HSMART_FAULT, RTLD_NOW | RTLD_LOCAL);
    if (module == NULL)
        fail_msg("%s", dlerror());
    *(void **)&control.count_calls = symbol(module, "hs_fault_count_calls");
    *(void **)&control.open_sessions = symbol(module, "hs_fault_open_sessions");
    *(void **)&control.set_rules = symbol(module, "hs_fault_set_rules");
}

void
fault_rules(const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    assert_true(vsnprintf(text, sizeof text, format, args) < (int)sizeof text);
    va_end(args);
    control.set_rules(text);
}

void
fault_none(void)
{
    control.set_rules("");
}

unsigned long
fault_calls(const char *function)
{
    return control.count_calls(function);
}

long
fault_open_sessions(void)
{
    return control.open_sessions();
}

/* Called on any thread. */
static void
remember_line(void *arg, enum hsmart_log_level level, const char *line)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct fault_token *fault = arg;

    (void)level;
    (void)pthread_mutex_lock(&lock);
    size_t len = strlen(fault->log);
    if (len + strlen(line) + 2 > sizeof fault->log)
        len = 0;
    (void)snprintf(fault->log + len, sizeof fault->log - len, "%s\n", line);
    (void)pthread_mutex_unlock(&lock);
}

static void
keep_jwk(struct fault_token *fault, const hsmart_key *key)
{
    char *json = NULL;
    struct hs_json_doc document = {0};

    assert_int_equal(hsmart_key_jwk(key, NULL, &json, NULL), HSMART_OK);
    assert_int_equal(hs_json_parse(hs_span_str(json), &document, NULL), HSMART_OK);
    assert_int_equal(hs_jwk_parse(document.root, &fault->jwk, NULL), HSMART_OK);
    hs_json_doc_clear(&document);
    hsmart_string_free(json);
}

hsmart_key *
fault_token_generate(struct fault_token *fault, const char *alg, const char *label, const uint8_t *id, size_t id_len)
{
    const hsmart_key_spec spec = {.alg = alg, .label = label, .id = id, .id_len = id_len};
    hsmart_key *key = NULL;
    hsmart_err err = {0};

    if (hsmart_key_generate(fault->token, &spec, &key, &err) != HSMART_OK)
        fail_msg("cannot make a key: %s", err.text);
    return key;
}

void
fault_token_make(struct fault_token *out, const char *alg)
{
    hsmart_err err = {0};
    hsmart_key *key;

    *out = (struct fault_token){0};
    hs_test_token_make(&out->soft, "fault");
    fault_load();
    fault_none();
    out->options = hs_test_token_options(&out->soft);
    out->options.module = HSMART_FAULT;
    out->options.timeout_ms = FAULT_TIMEOUT_MS;
    out->options.log = remember_line;
    out->options.log_arg = out;
    out->key_uri = "pkcs11:object=k";
    if (hsmart_token_open(&out->options, &out->token, &err) != HSMART_OK)
        fail_msg("cannot open the token: %s", err.text);
    key = fault_token_generate(out, alg, "k", NULL, 0);
    keep_jwk(out, key);
    hsmart_key_free(key);
    if (fault_token_open(out, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    fault_token_must_sign(out);
}

void
fault_token_close(struct fault_token *fault)
{
    hsmart_signer_free(fault->signer);
    hsmart_key_free(fault->key);
    hsmart_token_close(fault->token);
    fault->signer = NULL;
    fault->key = NULL;
    fault->token = NULL;
}

void
fault_token_remove(struct fault_token *fault)
{
    fault_none();
    fault_token_close(fault);
    hs_jwk_clear(&fault->jwk);
    hs_test_token_remove(&fault->soft);
}

enum hsmart_code
fault_token_open(struct fault_token *fault, hsmart_err *err)
{
    enum hsmart_code code;

    fault_token_close(fault);
    code = hsmart_token_open(&fault->options, &fault->token, err);
    if (code == HSMART_OK)
        code = hsmart_key_find(fault->token, fault->key_uri, &fault->key, err);
    if (code == HSMART_OK)
        code = hsmart_signer_new(fault->key, &fault->signer_options, &fault->signer, err);
    if (code != HSMART_OK)
        fault_token_close(fault);
    return code;
}

bool
fault_verifies(const struct hs_jwk *jwk, const char *alg, const char *jwt)
{
    struct hs_jws jws = {0};
    bool good = hs_jws_parse(hs_span_str(jwt), &jws, NULL) == HSMART_OK &&
                hs_jwk_verify(jwk, hs_alg_by_name(alg), jws.signing_input, hs_span_buf(&jws.signature), NULL) ==
                    HSMART_OK;

    hs_jws_clear(&jws);
    return good;
}

enum hsmart_code
fault_token_try(struct fault_token *fault, hsmart_err *err)
{
    static const hsmart_assertion_options options = {.client_id = "app", .audience = "https://ehr.example/token"};
    char *jwt = NULL;
    int64_t start_ms = hs_clock_monotonic_ms();
    enum hsmart_code code = hsmart_signer_assertion(fault->signer, &options, &jwt, err);
    int64_t took_ms = hs_clock_monotonic_ms() - start_ms;

    if (took_ms > (int64_t)fault->options.timeout_ms + FAULT_PAST_DEADLINE_MS)
        code = hs_err_set(err, HSMART_INTERNAL, "a request of %u ms took %lld ms", fault->options.timeout_ms,
                          (long long)took_ms);
    if (code != HSMART_OK) {
        hsmart_string_free(jwt);
        return code;
    }
    bool good = fault_verifies(&fault->jwk, hs_alg_default(fault->jwk.type, fault->jwk.curve)->name, jwt);
    hsmart_string_free(jwt);
    return good ? HSMART_OK : hs_err_set(err, HSMART_INTERNAL, "a signature came out that does not verify");
}

enum hsmart_code
fault_token_sign(struct fault_token *fault, hsmart_err *err)
{
    hsmart_err own = {0};
    enum hsmart_code code = fault_token_try(fault, err != NULL ? err : &own);

    if (code == HSMART_INTERNAL)
        fail_msg("%s", (err != NULL ? err : &own)->text);
    return code;
}

/* ---- Many at once ---- */

struct signing_thread {
    struct fault_token *fault;
    pthread_barrier_t *start;
    pthread_t thread;
    enum hsmart_code code;
    unsigned took_ms;
    hsmart_err err;
};

static void *
sign_once(void *arg)
{
    struct signing_thread *own = arg;

    (void)pthread_barrier_wait(own->start);
    int64_t start_ms = hs_clock_monotonic_ms();
    own->code = fault_token_try(own->fault, &own->err);
    own->took_ms = (unsigned)(hs_clock_monotonic_ms() - start_ms);
    return NULL;
}

void
fault_token_sign_at_once(struct fault_token *fault, unsigned thread_count, struct fault_outcomes *out)
{
    struct signing_thread threads[64] = {0};
    pthread_barrier_t start;

    *out = (struct fault_outcomes){0};
    assert_true(thread_count <= 64);
    assert_int_equal(pthread_barrier_init(&start, NULL, thread_count), 0);
    for (unsigned i = 0; i < thread_count; i++) {
        threads[i].fault = fault;
        threads[i].start = &start;
        assert_int_equal(pthread_create(&threads[i].thread, NULL, sign_once, &threads[i]), 0);
    }
    for (unsigned i = 0; i < thread_count; i++) {
        assert_int_equal(pthread_join(threads[i].thread, NULL), 0);
        out->of_code[threads[i].code]++;
        if (threads[i].took_ms > out->most_ms)
            out->most_ms = threads[i].took_ms;
        if (threads[i].code != HSMART_OK)
            out->last_failure = threads[i].err;
    }
    (void)pthread_barrier_destroy(&start);
    if (out->of_code[HSMART_INTERNAL] > 0)
        fail_msg("%s", out->last_failure.text);
}

/* ---- Behind hsmart's back ---- */

CK_FUNCTION_LIST *
fault_real(void)
{
    static CK_FUNCTION_LIST *list;
    CK_C_GetFunctionList get = NULL;

    if (list != NULL)
        return list;
    void *module = dlopen(hs_test_softhsm_module(), RTLD_NOW | RTLD_LOCAL);
    assert_non_null(module);
    *(void **)&get = symbol(module, "C_GetFunctionList");
    assert_int_equal(get(&list), CKR_OK);
    return list;
}

CK_SESSION_HANDLE
fault_real_session(const struct fault_token *fault)
{
    CK_SESSION_HANDLE session = 0;

    assert_int_equal(fault_real()->C_OpenSession(hsmart_token_get_info(fault->token)->slot_id,
                                                 CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session),
                     CKR_OK);
    return session;
}

CK_OBJECT_HANDLE
fault_real_object(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class, const char *label)
{
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof class}, {CKA_LABEL, NULL, 0}};
    CK_OBJECT_HANDLE found[2];
    CK_ULONG count = 0;

    if (label != NULL)
        template[1] = (CK_ATTRIBUTE){CKA_LABEL, (void *)(uintptr_t)label, strlen(label)};
    assert_int_equal(fault_real()->C_FindObjectsInit(session, template, label != NULL ? 2 : 1), CKR_OK);
    assert_int_equal(fault_real()->C_FindObjects(session, found, 2, &count), CKR_OK);
    assert_int_equal(fault_real()->C_FindObjectsFinal(session), CKR_OK);
    assert_int_equal(count, 1);
    return found[0];
}

void
fault_real_generate(CK_SESSION_HANDLE session, const char *label, uint8_t id, bool always_authenticate)
{
    static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    static uint8_t p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_ATTRIBUTE public_template[] = {{CKA_TOKEN, &yes, 1},
                                      {CKA_EC_PARAMS, p256, sizeof p256},
                                      {CKA_ID, &id, 1},
                                      {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
    CK_ATTRIBUTE private_template[] = {{CKA_TOKEN, &yes, 1},       {CKA_PRIVATE, &yes, 1},
                                       {CKA_SENSITIVE, &yes, 1},   {CKA_EXTRACTABLE, &no, 1},
                                       {CKA_SIGN, &yes, 1},        {CKA_ID, &id, 1},
                                       {CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
                                       {CKA_ALWAYS_AUTHENTICATE, always_authenticate ? &yes : &no, 1}};
    CK_OBJECT_HANDLE public_key = 0, private_key = 0;

    assert_int_equal(fault_real()->C_GenerateKeyPair(session, &mechanism, public_template, 4, private_template, 8,
                                                     &public_key, &private_key),
                     CKR_OK);
}

int64_t
fault_token_must_sign_within(struct fault_token *fault, int64_t within_ms)
{
    int64_t start_ms = hs_clock_monotonic_ms();
    hsmart_err err = {0};

    for (;;) {
        enum hsmart_code code = fault_token_sign(fault, &err);
        int64_t passed_ms = hs_clock_monotonic_ms() - start_ms;
        if (code == HSMART_OK)
            return passed_ms;
        if (code != HSMART_TOKEN_UNAVAILABLE || passed_ms > within_ms)
            fail_msg("after %lld ms signing does not work: %s: %s", (long long)passed_ms, hsmart_code_name(code),
                     err.text);
        hs_clock_sleep_ms(2);
    }
}

void
fault_token_must_sign(struct fault_token *fault)
{
    (void)fault_token_must_sign_within(fault, 0);
}
