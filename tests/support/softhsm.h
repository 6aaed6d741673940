/* For tests: a SoftHSM2 token of one's own, in a directory of its own. */
#ifndef HS_TEST_SOFTHSM_H
#define HS_TEST_SOFTHSM_H

#include <hsmart/token.h>

#define TEST_PIN "648219"
#define TEST_SO_PIN "12345678"

struct hs_test_token {
    char dir[64];           /* holds everything; gone after `_remove` */
    const char *module;     /* of SoftHSM2 */
    char uri[80];           /* of the token */
    char pin_source[96];    /* file: with the right PIN */
    char wrong_pin_source[96];
    char so_pin_source[96];
    char state[96];         /* where the PIN guard keeps its state */
};

/* The path of SoftHSM2's module; NULL when it is not installed. */
const char *hs_test_softhsm_module(void);
/* Makes a directory without a token in it, and points SOFTHSM2_CONF to it; the test is skipped by name when SoftHSM2
 * is not installed. One such directory at a time per process. */
void hs_test_softhsm_make(struct hs_test_token *out_token);
/* The same with a token of this label, initialised by hs_p11_token_init. */
void hs_test_token_make(struct hs_test_token *out_token, const char *label);
void hs_test_token_remove(struct hs_test_token *token);
/* How to open it: with the right PIN. */
hsmart_token_options hs_test_token_options(const struct hs_test_token *token);
/* Writes a file of mode 0600 into the directory, and its path (at most 95 bytes) to `out_path`. */
void hs_test_write(const struct hs_test_token *token, const char *name, const char *text, char *out_path);

#endif
