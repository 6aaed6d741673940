/* Holding a key ceremony: from the plan to a signed record, with people confirming each step. */
#ifndef HS_CEREMONY_H
#define HS_CEREMONY_H

#include <hsmart/token.h>

#include "bytes.h"

/* What is asked, for a seam that looks answers up. */
enum hs_ceremony_topic {
    HS_ASK_PLAN,     /* the last words of the plan's fingerprint, or all of its SHA-256 */
    HS_ASK_NAME,     /* the name of the `index`th person of `role` */
    HS_ASK_PRESENCE, /* the same name again, by that person */
    HS_ASK_CLOCK,    /* the time of another clock: "YYYY-MM-DD HH:MM", UTC */
    HS_ASK_TOKEN,    /* the token's serial number, from the device or its papers */
    HS_ASK_START,    /* HS_CEREMONY_START_WORDS */
    HS_ASK_ACCEPT,   /* "accept" or "reject" */
    HS_ASK_CLEAN_UP, /* HS_CEREMONY_CLEAN_UP_WORDS */
};
#define HS_CEREMONY_START_WORDS "make the keys"
#define HS_CEREMONY_CLEAN_UP_WORDS "destroy the keys"

struct hs_ceremony_question {
    enum hs_ceremony_topic topic;
    const char *role; /* HS_ASK_NAME, HS_ASK_PRESENCE; else NULL */
    unsigned index;   /* of the person within the role, from 0 */
    const char *text; /* what is asked, one line */
};

/* What a fresh process is asked to do. */
struct hs_ceremony_errand {
    bool certificate; /* false: read the key's attributes, as the JSON of "hsmart-key audit" */
    bool self_signed; /* of a certificate: not a request */
    bool vanishes;    /* the key is a session object, which no other process sees: that it is not found is the good end,
                       * with nothing in `out`. All before that is as in a ceremony. */
    const char *token_uri, *key_uri;
    const char *alg, *subject; /* of a certificate */
    unsigned days;             /* that a self-signed certificate is valid from now on: to the key's last day */
    int pin_fd;                /* holds the PIN; -1: none is needed */
};

/* The outside world: people, paper and other processes. */
struct hs_ceremony_seam {
    /* One line to everybody who takes part; "" is an empty line. */
    void (*say)(void *arg, const char *line);
    /* A SHA-256 as hex and words. */
    void (*show_fingerprint)(void *arg, struct hs_span digest);
    /* Reads one line. An error ends the ceremony; a wrong answer is asked for again, `tries` times in all. */
    enum hsmart_code (*ask)(void *arg, const struct hs_ceremony_question *question, struct hs_buf *out_answer,
                            hsmart_err *err);
    /* Before the first key is made: whether everything that was prepared has been asked for. May be NULL. */
    enum hsmart_code (*check_answers)(void *arg, hsmart_err *err);
    enum hsmart_code (*run_fresh)(void *arg, const struct hs_ceremony_errand *errand, struct hs_buf *out,
                                  hsmart_err *err);
    /* Work that takes a while begins and ends. */
    void (*begin_work)(void *arg, const char *what);
    void (*end_work)(void *arg);
    void *arg;
    unsigned tries;
    bool is_batch;
};

struct hs_ceremony_options {
    bool rehearsal;            /* on keys that vanish */
    const char *plan;          /* path */
    const char *out_directory; /* where everything appears at the end; NULL: nowhere (a rehearsal) */
    const hsmart_token_options *token;
    const char *sign_with; /* URI of an existing key of the organisation on the same token; NULL: none */
    const char *previous;  /* path of the record before this one; NULL: none */
    const char *rehearsed; /* path of the record of the rehearsal; NULL: none */
    bool resume;           /* go on with an interrupted one */
    const char *tool;      /* "hsmart-key 0.1.0" */
    const struct hs_ceremony_seam *seam;
};

/* Holds the ceremony. HSMART_OK: everything is in `out_directory`, which was not there before. HSMART_POLICY_REFUSED:
 * it failed by its own rules (an attack succeeded, an attribute is other than asked for, somebody rejected it, the plan
 * is not for today); the keys that it had made are destroyed, and a record of the failure is beside `out_directory`.
 * Any other error interrupts it: the error's hint says what is on the token, and how to go on. */
HSMART_MUST_CHECK enum hsmart_code hs_ceremony_run(const struct hs_ceremony_options *options, hsmart_err *err);

/* Destroys what an interrupted ceremony left on the token, once that is confirmed, and forgets the ceremony. */
HSMART_MUST_CHECK enum hsmart_code hs_ceremony_clean_up(const struct hs_ceremony_options *options, hsmart_err *err);

#endif
