/* Errors: one code for a program, a one-line story and a hint for a person.
 *
 * Every function that can fail returns an `enum hsmart_code` and takes an `hsmart_err *` as its last
 * argument, which may be NULL. Outputs are untouched on failure unless the function says otherwise.
 * docs/errors.md lists every code with its meaning and its cure. */
#ifndef HSMART_ERROR_H
#define HSMART_ERROR_H

#include <hsmart/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The values are part of the ABI: new codes go to the end of their block, none is renumbered. */
enum hsmart_code {
    HSMART_OK = 0,

    HSMART_INTERNAL = 1,          /* a defect of hsmart itself */
    HSMART_NO_MEMORY = 2,         /* memory could not be had */
    HSMART_INVALID_ARGUMENT = 3,  /* the caller's or the command line's words are off */
    HSMART_CONFIG_INVALID = 4,    /* the configuration file is wrong */
    HSMART_FILE_UNREADABLE = 5,   /* an input file cannot be read */
    HSMART_OUTPUT_FAILED = 6,     /* an output file or standard output cannot be written */
    HSMART_INPUT_MALFORMED = 7,   /* a JWK, JWKS, JWT or other input is not what it should be */

    HSMART_MODULE_UNUSABLE = 20,  /* the PKCS#11 module cannot be loaded or initialised */
    HSMART_TOKEN_ABSENT = 21,     /* no token matches */
    HSMART_TOKEN_AMBIGUOUS = 22,  /* several tokens match */
    HSMART_TOKEN_FAILED = 23,     /* the token answered with a failure */
    HSMART_TOKEN_BUSY = 24,       /* the token has no free session */
    HSMART_SESSION_LOST = 25,     /* the token dropped the session or the login */
    HSMART_TOKEN_INCAPABLE = 26,  /* the token lacks a mechanism or a function that is needed */
    HSMART_SIGNATURE_WRONG = 27,  /* the token returned a signature that does not verify */
    HSMART_TOKEN_EXISTS = 28,     /* the token is initialised already */
    HSMART_TOKEN_UNAVAILABLE = 29, /* not asked: the token failed a moment ago, and is given time */
    HSMART_FORKED = 30,           /* the process was forked after the token was opened */
    HSMART_TOKEN_STOPPED = 31,    /* this program ended its use of the token: hsmart_token_stop */

    HSMART_PIN_UNAVAILABLE = 40,  /* the PIN source gives no PIN */
    HSMART_PIN_REFUSED = 41,      /* the token refused the PIN */
    HSMART_PIN_LOCKED = 42,       /* the PIN is locked, expired or not set */
    HSMART_PIN_GUARDED = 43,      /* not tried: a further wrong try could lock the token */

    HSMART_KEY_ABSENT = 60,       /* no key matches */
    HSMART_KEY_AMBIGUOUS = 61,    /* several keys match */
    HSMART_KEY_MISMATCH = 62,     /* the key found is not the one expected */
    HSMART_KEY_UNUSABLE = 63,     /* a part of the key pair is missing, or its type is not supported */
    HSMART_KEY_EXISTS = 64,       /* a key with this label or id exists already */

    HSMART_POLICY_REFUSED = 80,   /* possible, but against the rules for keys */

    HSMART_CHECK_FAILED = 100,    /* a check found errors */

    HSMART_NETWORK_FAILED = 120,  /* the server cannot be reached, or not in time */
    HSMART_TLS_FAILED = 121,      /* the server is not who it should be, or speaks no TLS 1.2 */

    HSMART_SERVER_REFUSED = 140,  /* the server refused the client */
    HSMART_SERVER_FAILED = 141,   /* the server failed, or its answer makes no sense */
    HSMART_SERVER_BUSY = 142,     /* the server asks to come back later than we may wait */
};

/* Lives on the caller's stack: telling "out of memory" takes no memory. */
typedef struct hsmart_err {
    enum hsmart_code code;
    char text[512]; /* outermost step first, one line of UTF-8, never a secret */
    char hint[256]; /* what the reader can do about it; may be "" */
} hsmart_err;

/* `hsmart_code_name` returns the name of `code` ("HSMART_TOKEN_ABSENT"), or "HSMART_?" for a value
 * that is not a code. The string is static. */
HSMART_API const char *hsmart_code_name(enum hsmart_code code);

/* `hsmart_code_meaning` and `hsmart_code_cure` return what `code` means and the usual cure, each one
 * sentence; static strings, "" for a value that is not a code. */
HSMART_API const char *hsmart_code_meaning(enum hsmart_code code);
HSMART_API const char *hsmart_code_cure(enum hsmart_code code);

/* `hsmart_code_exit_status` returns the exit status by which the tools report `code` (0 to 11). */
HSMART_API int hsmart_code_exit_status(enum hsmart_code code);

#ifdef __cplusplus
}
#endif
#endif
