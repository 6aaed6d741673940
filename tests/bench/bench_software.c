/* OpenSSL with a key in memory: no token at all. A key of the same kind is made at the start. */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static EVP_PKEY *pkey;
static const EVP_MD *md;

void
bench_open(const struct bench_arguments *arguments)
{
    const char *bits = strrchr(arguments->key_label, '-');

    if (arguments->alg[0] == 'R')
        pkey = EVP_RSA_gen((unsigned)strtoul(bits != NULL ? bits + 1 : "3072", NULL, 10));
    else
        pkey = EVP_EC_gen(strcmp(arguments->alg, "ES256") == 0 ? "P-256" : "P-384");
    if (pkey == NULL)
        bench_fail("OpenSSL makes no key", 0);
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
        bench_fail("OpenSSL cannot sign", 0);
    if (print)
        bench_print(signature, len);
}

void
bench_close(void)
{
    EVP_PKEY_free(pkey);
}
