/* Several one-shot processes on one SoftHSM2 token: each opens it, logs in and signs once. Started together they disturb
 * each other (docs/tokens.md); with hsmart's layer none of them may fail.
 *
 *   one_shots [PROCESSES [ROUNDS [KIND]]]     defaults: 8 10 hsmart
 *
 * KIND is how each process does it:
 *   hsmart   src/pkcs11, which knows the module by its name, so that processes take turns
 *   renamed  the same, with the module under another name, so that only asking again helps
 *   plain    PKCS#11 called without precautions, to show what the others survive; failures are counted, not failed on
 * Prints one line with the number of failures and the milliseconds of a round. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "p11_token.h"
#include "softhsm.h"

#define LABEL "one-shots"
#define PROCESSES_MAX 64

/* ---- One process ---- */

static int
sign_with_layer(const char *module, const char *pin_source, const char *state)
{
    hsmart_token_options options = {
        .module = module, .uri = "pkcs11:token=" LABEL, .pin_source = pin_source, .state_directory = state};
    struct hs_p11_token *token = NULL;
    struct hs_p11_session *session = NULL;
    struct hs_p11_object *keys = NULL;
    struct hs_buf signature = {0};
    size_t count = 0;
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    uint8_t digest[48] = {1};
    hsmart_err err = {0};

    enum hsmart_code code = hs_p11_token_open(&options, &token, &err);
    if (code == HSMART_OK)
        code = hs_p11_token_acquire(token, false, HS_P11_ACQUIRE_TIMEOUT_MS, &session, &err);
    if (code == HSMART_OK)
        code = hs_p11_session_find(session, CKO_PRIVATE_KEY, NULL, 0, &keys, &count, &err);
    if (code == HSMART_OK && count != 1) {
        code = HSMART_KEY_ABSENT;
        (void)snprintf(err.text, sizeof err.text, "%zu keys", count);
    }
    if (code == HSMART_OK)
        code = hs_p11_session_sign_begin(session, &mechanism, keys[0].handle, &err);
    if (code == HSMART_OK)
        code = hs_p11_session_sign_end(session, HS_SPAN_OF(digest), &signature, &err);
    if (code != HSMART_OK)
        fprintf(stderr, "%s: %s\n", hsmart_code_name(code), err.text);
    hs_buf_clear(&signature);
    hs_free(keys);
    if (session != NULL)
        hs_p11_token_release(token, session);
    hs_p11_token_unref(token);
    return code == HSMART_OK ? 0 : 1;
}

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        CK_RV rv = (call);                                                                                             \
        if (rv != CKR_OK) {                                                                                            \
            fprintf(stderr, "%s: 0x%lx\n", #call, rv);                                                                 \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

static int
sign_plainly(const char *module)
{
    CK_C_GetFunctionList get_function_list = NULL;
    CK_FUNCTION_LIST *p11 = NULL;
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
    CK_SLOT_ID slots[8];
    CK_ULONG count = 8, signature_len = 128;
    CK_TOKEN_INFO info;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE template = {CKA_CLASS, &class, sizeof class};
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    CK_BYTE digest[48] = {1}, signature[128];

    void *handle = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return 1;
    *(void **)&get_function_list = dlsym(handle, "C_GetFunctionList");
    TRY(get_function_list(&p11));
    TRY(p11->C_Initialize(&args));
    TRY(p11->C_GetSlotList(CK_TRUE, slots, &count));
    CK_ULONG found = count;
    for (CK_ULONG i = count; i-- > 0;)
        if (p11->C_GetTokenInfo(slots[i], &info) == CKR_OK && (info.flags & CKF_TOKEN_INITIALIZED))
            found = i;
    if (found == count) {
        fprintf(stderr, "no token\n");
        return 1;
    }
    TRY(p11->C_OpenSession(slots[found], CKF_SERIAL_SESSION, NULL, NULL, &session));
    TRY(p11->C_Login(session, CKU_USER, (CK_UTF8CHAR *)(uintptr_t)TEST_PIN, sizeof TEST_PIN - 1));
    TRY(p11->C_FindObjectsInit(session, &template, 1));
    TRY(p11->C_FindObjects(session, &key, 1, &count));
    TRY(p11->C_FindObjectsFinal(session));
    if (count != 1) {
        fprintf(stderr, "no key\n");
        return 1;
    }
    TRY(p11->C_SignInit(session, &mechanism, key));
    TRY(p11->C_Sign(session, digest, sizeof digest, signature, &signature_len));
    TRY(p11->C_Finalize(NULL));
    return 0;
}

/* ---- All of them ---- */

static void
make_key(const struct hs_test_token *token)
{
    static const CK_BYTE p384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};
    const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    const CK_ATTRIBUTE public_template[] = {{CKA_EC_PARAMS, (void *)(uintptr_t)p384, sizeof p384}};
    const CK_ATTRIBUTE private_template[] = {{CKA_TOKEN, (void *)(uintptr_t)&yes, 1},
                                             {CKA_PRIVATE, (void *)(uintptr_t)&yes, 1},
                                             {CKA_SENSITIVE, (void *)(uintptr_t)&yes, 1},
                                             {CKA_EXTRACTABLE, (void *)(uintptr_t)&no, 1},
                                             {CKA_SIGN, (void *)(uintptr_t)&yes, 1}};
    hsmart_token_options options = hs_test_token_options(token);
    struct hs_p11_token *opened = NULL;
    struct hs_p11_session *session = NULL;
    CK_OBJECT_HANDLE public_key, private_key;
    hsmart_err err = {0};

    if (hs_p11_token_open(&options, &opened, &err) != HSMART_OK ||
        hs_p11_token_acquire(opened, true, HS_P11_ACQUIRE_TIMEOUT_MS, &session, &err) != HSMART_OK ||
        hs_p11_session_generate(session, CKM_EC_KEY_PAIR_GEN, public_template, 1, private_template, 5, &public_key,
                                &private_key, &err) != HSMART_OK)
        fail_msg("%s", err.text);
    hs_p11_token_release(opened, session);
    hs_p11_token_unref(opened);
}

static unsigned
run_round(unsigned processes, char *const arguments[])
{
    pid_t children[PROCESSES_MAX];
    unsigned failures = 0;
    int status = 0;

    for (unsigned i = 0; i < processes; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            (void)execv("/proc/self/exe", arguments);
            _exit(126);
        }
    }
    for (unsigned i = 0; i < processes; i++)
        if (waitpid(children[i], &status, 0) != children[i] || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            failures++;
    return failures;
}

static unsigned processes = 8, rounds = 10;
static const char *kind = "hsmart";

static void
one_shots_that_start_together_all_succeed(void **state)
{
    struct hs_test_token token = {0};
    char renamed[96];
    unsigned failures = 0;

    (void)state;
    hs_test_token_make(&token, LABEL);
    make_key(&token);
    (void)snprintf(renamed, sizeof renamed, "%s/module.so", token.dir);
    assert_int_equal(symlink(token.module, renamed), 0);
    char *arguments[] = {"one_shots",
                         "--one",
                         (char *)(uintptr_t)kind,
                         strcmp(kind, "renamed") == 0 ? renamed : (char *)(uintptr_t)token.module,
                         token.pin_source,
                         token.state,
                         NULL};
    int64_t begin = hs_clock_monotonic_ms();
    for (unsigned i = 0; i < rounds; i++)
        failures += run_round(processes, arguments);
    int64_t took = hs_clock_monotonic_ms() - begin;
    print_message("%s: %u processes x %u rounds: %u failures, %.1f ms a round\n", kind, processes, rounds, failures,
                  (double)took / rounds);
    hs_test_token_remove(&token);
    if (strcmp(kind, "plain") != 0)
        assert_int_equal(failures, 0);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_shots_that_start_together_all_succeed)};

    if (argc == 6 && strcmp(argv[1], "--one") == 0)
        return strcmp(argv[2], "plain") == 0 ? sign_plainly(argv[3]) : sign_with_layer(argv[3], argv[4], argv[5]);
    if (argc > 1)
        processes = (unsigned)atoi(argv[1]);
    if (argc > 2)
        rounds = (unsigned)atoi(argv[2]);
    if (argc > 3)
        kind = argv[3];
    if (processes < 1 || processes > PROCESSES_MAX || rounds < 1)
        return 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
