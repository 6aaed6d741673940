/* Requests and certificates signed on a token through libp11, in a child process of its own.
 *
 * libp11 0.4.12 waits for ever when a session cannot be opened, crashes on a private key without public object, and
 * closes sessions of others (docs/architecture.md). In a child that is alone on the slot, has a deadline and ends after
 * one signature, none of that reaches anybody. The child is forked before this process loads the module: what a module
 * starts (the TPM's has threads and a bus connection) does not survive a fork. */
#ifndef HS_X509_CHILD_H
#define HS_X509_CHILD_H

#include "x509_make.h"

/* The key, as libp11 reaches it. Everything is borrowed. */
struct hs_x509_source {
    const char *module, *init_string;
    const char *token_label, *token_serial;
    struct hs_span key_label, key_id; /* as on the token */
    const struct hs_jwk *jwk;         /* the key has to be this one */
    bool has_login;
    struct hs_span pin;  /* empty with `has_login`: the token's own PIN pad */
    unsigned timeout_ms; /* 0: HS_X509_TIMEOUT_MS */
};
#define HS_X509_TIMEOUT_MS 60000U /* a person may have to come to a PIN pad */

enum hs_x509_login { HS_X509_LOGIN_NOT_TRIED, HS_X509_LOGIN_UNKNOWN, HS_X509_LOGIN_TAKEN, HS_X509_LOGIN_REFUSED };

/* The child, waiting for its one task. Zero: none. */
struct hs_x509_child {
    int pid;
    int task_fd, answer_fd;
};

/* Starts it. The module must not have been loaded in this process yet, and no other thread may run. `wish` without its
 * `alg` is what it will make, and stays borrowed until `_make`. */
HSMART_MUST_CHECK enum hsmart_code hs_x509_child_start(const struct hs_x509_wish *wish, struct hs_x509_child *out_child,
                                                       hsmart_err *err);
/* Has it make what `wish` says, which has its `alg` by now; the answer is verified and appended to `out_der`. No token
 * of the module may be open in this process. `*out_login` is set on failure too. Errors: HSMART_PIN_REFUSED,
 * HSMART_TOKEN_ABSENT, HSMART_KEY_ABSENT, HSMART_KEY_MISMATCH, HSMART_FILE_UNREADABLE (no libp11), HSMART_TOKEN_FAILED
 * (also when libp11 crashed), HSMART_TOKEN_UNAVAILABLE when it did not come back, HSMART_SIGNATURE_WRONG. */
HSMART_MUST_CHECK enum hsmart_code hs_x509_child_make(struct hs_x509_child *child, const struct hs_x509_source *source,
                                                      const struct hs_x509_wish *wish, enum hs_x509_login *out_login,
                                                      struct hs_buf *out_der, hsmart_err *err);
/* Ends it if it is still there. Repeatable. */
void hs_x509_child_end(struct hs_x509_child *child);

#endif
