/* For tests: a SoftHSM2 token behind the fault module, a P-256 key on it and a signer. */
#ifndef HS_FAULT_TOKEN_H
#define HS_FAULT_TOKEN_H

#include <hsmart/hsmart.h>

#include "jwk.h"
#include "softhsm.h"

#define FAULT_TIMEOUT_MS 1500U  /* of one request */
#define FAULT_BACKOFF_MS 125    /* the circuit's first, with its jitter and a little */
#define FAULT_PAST_DEADLINE_MS 500 /* how late an answer may be */

struct fault_token {
    struct hs_test_token soft;
    hsmart_token_options options; /* how it was opened; may be changed before another `fault_token_open` */
    hsmart_token *token;
    hsmart_key *key;
    hsmart_signer *signer;
    struct hs_jwk jwk; /* of the first key that was made: what every signature is held against */
    char log[4096];    /* the last lines */
};

/* Sets the rules (printf), or counts, in the module. `fault_load` is called by the others. */
void fault_load(void);
void fault_rules(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fault_none(void);
unsigned long fault_calls(const char *function);
long fault_open_sessions(void);

/* A token with one key "k" of `alg`, opened, with a signer. Nothing of it is known to the quirk table. */
void fault_token_make(struct fault_token *out, const char *alg);
void fault_token_remove(struct fault_token *fault);
/* Opens, finds and makes a signer; what was open is closed first. On failure what was reached is closed. */
enum hsmart_code fault_token_open(struct fault_token *fault, hsmart_err *err);
void fault_token_close(struct fault_token *fault);
/* Signs an assertion. One that does not verify with `jwk` fails the test; so does a request that ends too late. */
enum hsmart_code fault_token_sign(struct fault_token *fault, hsmart_err *err);
/* Signs until it works, at most for `within_ms`; fails the test otherwise. Returns after how long it worked. */
int64_t fault_token_must_sign_within(struct fault_token *fault, int64_t within_ms);
void fault_token_must_sign(struct fault_token *fault);
/* Whether an assertion verifies with a key. */
bool fault_verifies(const struct hs_jwk *jwk, const char *alg, const char *jwt);
/* Adds a key pair "label" with this id by the same module; NULL id: random. */
hsmart_key *fault_token_generate(struct fault_token *fault, const char *alg, const char *label, const uint8_t *id,
                                 size_t id_len);

#endif
