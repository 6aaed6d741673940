/* hsmart by its public API: whole assertions, each with claims, jti, signature, and (unless HSMART_BENCH_UNVERIFIED is
 * set, which only this program understands) the verification before release. */
#include <hsmart/hsmart.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "jwk.h"

static hsmart_token *token;
static hsmart_key *key;
static hsmart_signer *signer;
static bool verifies = true;

/* The linker puts this in front of the real one (--wrap): the library itself has no way to leave the check out. */
enum hsmart_code __real_hs_jwk_verify(const struct hs_jwk *jwk, const struct hs_alg *alg, struct hs_span data,
                                      struct hs_span signature, hsmart_err *err);
enum hsmart_code __wrap_hs_jwk_verify(const struct hs_jwk *jwk, const struct hs_alg *alg, struct hs_span data,
                                      struct hs_span signature, hsmart_err *err);
enum hsmart_code
__wrap_hs_jwk_verify(const struct hs_jwk *jwk, const struct hs_alg *alg, struct hs_span data, struct hs_span signature,
                     hsmart_err *err)
{
    return verifies ? __real_hs_jwk_verify(jwk, alg, data, signature, err) : HSMART_OK;
}

static void
require(enum hsmart_code code, const hsmart_err *err)
{
    if (code != HSMART_OK)
        bench_fail(err->text, code);
}

void
bench_open(const struct bench_arguments *arguments)
{
    char uri[128], pin_source[4096], key_uri[128];
    hsmart_err err = {0};

    verifies = getenv("HSMART_BENCH_UNVERIFIED") == NULL;
    (void)snprintf(uri, sizeof uri, "pkcs11:token=%s", arguments->token_label);
    (void)snprintf(pin_source, sizeof pin_source, "file:%s", arguments->pin_file);
    (void)snprintf(key_uri, sizeof key_uri, "pkcs11:object=%s", arguments->key_label);
    const hsmart_token_options options = {.module = arguments->module,
                                          .uri = uri,
                                          .pin_source = pin_source,
                                          .timeout_ms = 60000,
                                          .max_sessions = arguments->max_threads};
    require(hsmart_token_open(&options, &token, &err), &err);
    bench_step("load+login");
    require(hsmart_key_find(token, key_uri, &key, &err), &err);
    bench_step("find");
    const hsmart_signer_options signer_options = {.alg = arguments->alg};
    require(hsmart_signer_new(key, &signer_options, &signer, &err), &err);
}

void *
bench_worker_new(void)
{
    return NULL; /* threads share the signer; it has a session for each */
}

void
bench_sign(void *worker, bool print)
{
    const hsmart_assertion_options options = {.client_id = "8d5f6a1e-0000-4000-8000-0123456789ab",
                                              .audience = "https://ehr.example/oauth2/token"};
    hsmart_err err = {0};
    char *jwt = NULL;

    (void)worker;
    require(hsmart_signer_assertion(signer, &options, &jwt, &err), &err);
    if (print)
        (void)puts(jwt);
    hsmart_string_free(jwt);
}

void
bench_close(void)
{
    hsmart_signer_free(signer);
    hsmart_key_free(key);
    hsmart_token_close(token);
}
