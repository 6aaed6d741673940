/* Everything but the token's work: assertions over a signer that answers at once with a constant.
 *
 *   bench_floor N    makes N assertions, prints nanoseconds per assertion */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "assertion.h"
#include "bench.h"

static enum hsmart_code
sign_nothing(struct hs_signer *signer, struct hs_span data, struct hs_buf *out_signature, hsmart_err *err)
{
    static const uint8_t constant[96] = {1};

    (void)signer, (void)data;
    return hs_buf_append(out_signature, HS_SPAN_OF(constant), err);
}

static void
free_nothing(struct hs_signer *signer)
{
    (void)signer;
}

/* bench.c's, without its main. */
uint64_t
bench_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

int
main(int argc, char **argv)
{
    static const struct hs_signer_ops ops = {.sign = sign_nothing, .free = free_nothing};
    const struct hs_jwk jwk = {.type = HS_KEY_EC, .curve = hs_curve_by_name("P-384")};
    struct hs_signer signer = {.ops = &ops, .jwk = &jwk, .alg = hs_alg_by_name("ES384"), .kid = "0123456789abcdefghij"};
    const hsmart_assertion_options options = {.client_id = "8d5f6a1e-0000-4000-8000-0123456789ab",
                                              .audience = "https://ehr.example/oauth2/token"};
    unsigned long count = argc == 2 ? strtoul(argv[1], NULL, 10) : 20000;
    hsmart_err err = {0};
    uint64_t began_ns = bench_now_ns();

    for (unsigned long i = 0; i < count; i++) {
        struct hs_buf jwt = {0};
        if (hs_assertion_sign(&signer, &options, &jwt, &err) != HSMART_OK) {
            (void)fprintf(stderr, "bench_floor: %s\n", err.text);
            return 1;
        }
        hs_buf_clear(&jwt);
    }
    (void)printf("%.1f\n", (double)(bench_now_ns() - began_ns) / (double)count);
    return 0;
}
