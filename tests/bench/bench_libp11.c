/* libp11's bridge to OpenSSL: EVP_DigestSign on a key that lives in the token. */
#include <libp11.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

static PKCS11_CTX *context;
static PKCS11_SLOT *slots;
static unsigned slot_count;
static EVP_PKEY *pkey;
static const EVP_MD *md;

void
bench_open(const struct bench_arguments *arguments)
{
    PKCS11_SLOT *slot = NULL;
    PKCS11_KEY *keys = NULL, *key = NULL;
    unsigned key_count = 0;

    context = PKCS11_CTX_new();
    if (context == NULL || PKCS11_CTX_load(context, arguments->module) != 0 ||
        PKCS11_enumerate_slots(context, &slots, &slot_count) != 0)
        bench_fail("libp11 cannot load the module", 0);
    for (unsigned i = 0; i < slot_count; i++) {
        if (slots[i].token != NULL && strcmp(slots[i].token->label, arguments->token_label) == 0)
            slot = &slots[i];
    }
    if (slot == NULL)
        bench_fail("no token", slot_count);
    bench_step("load");
    if (PKCS11_login(slot, 0, bench_pin(arguments->pin_file)) != 0)
        bench_fail("libp11 cannot log in", 0);
    bench_step("login");
    if (PKCS11_enumerate_keys(slot->token, &keys, &key_count) != 0)
        bench_fail("libp11 lists no keys", 0);
    for (unsigned i = 0; i < key_count; i++) {
        if (keys[i].label != NULL && strcmp(keys[i].label, arguments->key_label) == 0)
            key = &keys[i];
    }
    if (key == NULL || (pkey = PKCS11_get_private_key(key)) == NULL)
        bench_fail("no key", key_count);
    bench_step("find");
    md = strcmp(arguments->alg, "ES256") == 0 ? EVP_sha256() : EVP_sha384();
}

void *
bench_worker_new(void)
{
    return EVP_MD_CTX_new();
}

void
bench_sign(void *worker, bool print)
{
    EVP_MD_CTX *digest = worker;
    uint8_t signature[1024];
    size_t len = sizeof signature;

    if (EVP_MD_CTX_reset(digest) != 1 || EVP_DigestSignInit(digest, NULL, md, NULL, pkey) != 1 ||
        EVP_DigestSign(digest, signature, &len, (const uint8_t *)bench_signing_input, strlen(bench_signing_input)) != 1)
        bench_fail("libp11 cannot sign", 0);
    if (print)
        bench_print(signature, len);
}

void
bench_close(void)
{
    EVP_PKEY_free(pkey);
    PKCS11_release_all_slots(context, slots, slot_count);
    PKCS11_CTX_unload(context);
    PKCS11_CTX_free(context);
}
