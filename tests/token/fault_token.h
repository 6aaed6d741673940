/* For tests: a SoftHSM2 token behind the fault module, a P-256 key on it and a signer. */
#ifndef HS_FAULT_TOKEN_H
#define HS_FAULT_TOKEN_H

#include <hsmart/hsmart.h>
#include <p11-kit/pkcs11.h>

#include "jwk.h"
#include "softhsm.h"

#define FAULT_TIMEOUT_MS 1500U  /* of one request */
#define FAULT_BACKOFF_MS 125    /* the circuit's first, with its jitter and a little */
#define FAULT_PAST_DEADLINE_MS 4000 /* how late an answer may be: two noisy cores are late by seconds */

struct fault_token {
    struct hs_test_token soft;
    hsmart_token_options options; /* how it was opened; may be changed before another `fault_token_open` */
    const char *key_uri;
    hsmart_signer_options signer_options;
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
/* Signs an assertion. One that does not verify with `jwk` is HSMART_INTERNAL, and so is a request that ends too late:
 * nothing else answers so. For threads, which must not end a test. */
enum hsmart_code fault_token_try(struct fault_token *fault, hsmart_err *err);
/* The same; HSMART_INTERNAL fails the test. */
enum hsmart_code fault_token_sign(struct fault_token *fault, hsmart_err *err);
/* Signs until it works, at most for `within_ms`; fails the test otherwise. Returns after how long it worked. */
int64_t fault_token_must_sign_within(struct fault_token *fault, int64_t within_ms);
void fault_token_must_sign(struct fault_token *fault);
/* Whether an assertion verifies with a key. */
bool fault_verifies(const struct hs_jwk *jwk, const char *alg, const char *jwt);
/* Runs `thread_count` threads that sign once each, and counts how they ended by code. */
struct fault_outcomes {
    unsigned of_code[160], most_ms;
    hsmart_err last_failure;
};
void fault_token_sign_at_once(struct fault_token *fault, unsigned thread_count, struct fault_outcomes *out);
/* Adds a key pair "label" with this id by the same module; NULL id: random. */
hsmart_key *fault_token_generate(struct fault_token *fault, const char *alg, const char *label, const uint8_t *id,
                                 size_t id_len);

/* The real module, for what hsmart itself would not do, and a read-write session on the token; the login is shared. */
CK_FUNCTION_LIST *fault_real(void);
CK_SESSION_HANDLE fault_real_session(const struct fault_token *fault);
/* The only object of this class with this label (NULL: any). */
CK_OBJECT_HANDLE fault_real_object(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class, const char *label);
/* A P-256 pair as some other program would make it. */
void fault_real_generate(CK_SESSION_HANDLE session, const char *label, uint8_t id, bool always_authenticate);

#endif
