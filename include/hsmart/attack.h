/* The attack: what a token promises of a key is tried out, by trying to get the key. */
#ifndef HSMART_ATTACK_H
#define HSMART_ATTACK_H

#include <hsmart/key.h>

#ifdef __cplusplus
extern "C" {
#endif

enum hsmart_attack_outcome {
    HSMART_ATTACK_HELD,        /* the token refused, or gave nothing that was protected before */
    HSMART_ATTACK_NOT_OFFERED, /* the token has no such function or mechanism: nothing to try */
    HSMART_ATTACK_WEAKENED,    /* the token let a protection be taken off; the key was not got by it */
    HSMART_ATTACK_BROKEN,      /* the private key, or a copy that may leave, was got */
};
/* "held", "not offered", "weakened", "broken". */
HSMART_API const char *hsmart_attack_outcome_words(enum hsmart_attack_outcome outcome);

/* One thing that was tried. Strings belong to the report. */
typedef struct hsmart_attack_attempt {
    const char *name; /* "wrap with a key of our own by CKM_AES_KEY_WRAP_PAD" */
    enum hsmart_attack_outcome outcome;
    const char *answer; /* what the token said: "CKR_KEY_UNEXTRACTABLE" */
    const char *words;  /* a sentence for people where the answer alone does not tell; "" otherwise */
} hsmart_attack_attempt;

typedef struct hsmart_attack_report {
    const hsmart_attack_attempt *attempts; /* in the order in which they were made */
    size_t count;
    size_t success_count; /* weakened and broken: more than 0 and the key is not to be trusted */
    bool key_changed;     /* a protection that was taken off could not be put back: it is off now */
} hsmart_attack_report;

/* `hsmart_key_attack` tries to get the private key of `key` out of its token: reads its secret part, wraps it with keys
 * of our own by every mechanism that wraps, copies it without its protections, takes the protections off, and reads and
 * wraps it again. The token must be open with a login. Copies are made as session objects and destroyed, a protection
 * that came off is put back, and whatever was got is wiped at once: it is never returned, written or logged.
 *
 * That attempts succeed is a result (HSMART_OK, `success_count`), not an error. Errors are those of a token that fails
 * in between, and HSMART_KEY_ABSENT, HSMART_KEY_MISMATCH when the key is another one by now. `*out_report` is released
 * with `hsmart_attack_report_free`. It is a key officer's call: an HSM may write each attempt to its audit log. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_key_attack(const hsmart_key *key,
                                                                hsmart_attack_report **out_report, hsmart_err *err);
HSMART_API void hsmart_attack_report_free(hsmart_attack_report *report);

#ifdef __cplusplus
}
#endif
#endif
