/* The limit: C_SignInit and C_Sign on a session of each thread's own, with nothing around them. */
#include <dlfcn.h>
#include <openssl/evp.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

static CK_FUNCTION_LIST *p11;
static CK_SLOT_ID slot;
static CK_SESSION_HANDLE anchor;
static CK_OBJECT_HANDLE key;
static CK_MECHANISM mechanism;
static CK_BYTE digest[64];
static const CK_BYTE *input;
static CK_ULONG input_len;

static void
require(CK_RV rv, const char *what)
{
    if (rv != CKR_OK)
        bench_fail(what, rv);
}

static void
choose_input(const char *alg)
{
    unsigned digest_len = 0;

    if (strcmp(alg, "RS384") == 0) {
        mechanism.mechanism = CKM_SHA384_RSA_PKCS;
        input = (const CK_BYTE *)bench_signing_input;
        input_len = strlen(bench_signing_input);
        return;
    }
    mechanism.mechanism = CKM_ECDSA;
    if (EVP_Digest(bench_signing_input, strlen(bench_signing_input), digest, &digest_len,
                   strcmp(alg, "ES384") == 0 ? EVP_sha384() : EVP_sha256(), NULL) != 1)
        bench_fail("no digest", 0);
    input = digest;
    input_len = digest_len;
}

static void
find_slot(const char *label)
{
    CK_SLOT_ID slots[64];
    CK_ULONG count = 64;
    CK_TOKEN_INFO info;

    require(p11->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
    for (CK_ULONG i = 0; i < count; i++) {
        if (p11->C_GetTokenInfo(slots[i], &info) == CKR_OK && memcmp(info.label, label, strlen(label)) == 0) {
            slot = slots[i];
            return;
        }
    }
    bench_fail("no token", count);
}

static void
find_key(const char *label)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE attributes[] = {{CKA_CLASS, &class, sizeof class}, {CKA_LABEL, (void *)label, strlen(label)}};
    CK_ULONG count = 0;

    require(p11->C_FindObjectsInit(anchor, attributes, 2), "C_FindObjectsInit");
    require(p11->C_FindObjects(anchor, &key, 1, &count), "C_FindObjects");
    require(p11->C_FindObjectsFinal(anchor), "C_FindObjectsFinal");
    if (count != 1)
        bench_fail("no key", count);
}

void
bench_open(const struct bench_arguments *arguments)
{
    void *module = dlopen(arguments->module, RTLD_NOW | RTLD_LOCAL);
    CK_C_GetFunctionList get_functions;
    CK_C_INITIALIZE_ARGS threads = {.flags = CKF_OS_LOCKING_OK};
    const char *pin = bench_pin(arguments->pin_file);

    if (module == NULL || (*(void **)&get_functions = dlsym(module, "C_GetFunctionList")) == NULL)
        bench_fail("no module", 0);
    require(get_functions(&p11), "C_GetFunctionList");
    require(p11->C_Initialize(&threads), "C_Initialize");
    find_slot(arguments->token_label);
    require(p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &anchor), "C_OpenSession");
    bench_step("load");
    require(p11->C_Login(anchor, CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin)), "C_Login");
    bench_step("login");
    find_key(arguments->key_label);
    bench_step("find");
    choose_input(arguments->alg);
}

void *
bench_worker_new(void)
{
    static bool anchor_is_used;
    CK_SESSION_HANDLE session = anchor;

    if (anchor_is_used)
        require(p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session), "C_OpenSession");
    anchor_is_used = true;
    return (void *)(uintptr_t)session;
}

void
bench_sign(void *worker, bool print)
{
    CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)(uintptr_t)worker;
    CK_BYTE signature[1024];
    CK_ULONG len = sizeof signature;

    require(p11->C_SignInit(session, &mechanism, key), "C_SignInit");
    require(p11->C_Sign(session, (CK_BYTE *)input, input_len, signature, &len), "C_Sign");
    if (print)
        bench_print(signature, len);
}

void
bench_close(void)
{
    (void)p11->C_Finalize(NULL);
}
