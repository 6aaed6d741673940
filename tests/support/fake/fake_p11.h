/* For tests: a small PKCS#11 module without cryptography, which answers what a test tells it to. Tests load it like any
 * module (its path is FAKE_P11_MODULE) and reach its state by `fake_p11_load`. For what a real token cannot be made to
 * show; everything else is tested on a real one. */
#ifndef HS_FAKE_P11_H
#define HS_FAKE_P11_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>
#include <stddef.h>

enum fake_function {
    FAKE_INITIALIZE,
    FAKE_FINALIZE,
    FAKE_GET_INFO,
    FAKE_GET_SLOT_LIST,
    FAKE_GET_SLOT_INFO,
    FAKE_GET_TOKEN_INFO,
    FAKE_GET_MECHANISM_LIST,
    FAKE_INIT_TOKEN,
    FAKE_INIT_PIN,
    FAKE_OPEN_SESSION,
    FAKE_CLOSE_SESSION,
    FAKE_GET_SESSION_INFO,
    FAKE_LOGIN,
    FAKE_LOGOUT,
    FAKE_FIND_OBJECTS_INIT,
    FAKE_FIND_OBJECTS,
    FAKE_FIND_OBJECTS_FINAL,
    FAKE_GET_ATTRIBUTE_VALUE,
    FAKE_SIGN_INIT,
    FAKE_SIGN,
    FAKE_GENERATE_KEY_PAIR,
    FAKE_FUNCTION_COUNT,
};

/* What a function answers instead of doing its work, on its calls `first` to `last`; both 0: on every call. */
struct fake_answer {
    CK_RV rv;
    unsigned first, last;
};

struct fake_token {
    const char *label, *manufacturer;
    const char *serial; /* NULL: zero bytes in place of blanks */
    const char *pin, *so_pin;
    CK_FLAGS flags;
    CK_FLAGS flags_after_wrong_pin; /* added by a wrong PIN, taken away by a right one */
    CK_ULONG max_sessions, min_pin_len, max_pin_len;
    bool absent; /* the slot is there, the token is not */
};

struct fake_attribute {
    CK_ATTRIBUTE_TYPE type;
    const void *value;
    CK_ULONG len;
    CK_RV rv; /* answered instead of the value; other codes than PKCS#11's own for it end the whole call */
};

struct fake_object {
    CK_OBJECT_CLASS class;
    const struct fake_attribute *attributes;
    size_t attribute_count;
};

#define FAKE_TOKENS_MAX 10U
#define FAKE_SESSIONS_MAX 128U

struct fake_p11 {
    CK_FUNCTION_LIST *functions;

    struct fake_token tokens[FAKE_TOKENS_MAX]; /* slot n has token n */
    unsigned token_count;
    const char *library_manufacturer;
    struct fake_answer answers[FAKE_FUNCTION_COUNT];
    unsigned sleep_ms[FAKE_FUNCTION_COUNT];
    bool held[FAKE_FUNCTION_COUNT]; /* its calls do not come back; set by fake_p11_hold */

    /* Every object has these attributes; a search finds `object_count` of them, with handles from 1. */
    const struct fake_attribute *attributes;
    size_t attribute_count;
    unsigned object_count;
    /* Or, when not NULL: `object_count` objects that differ; a search finds those that fit its template. */
    const struct fake_object *objects;
    bool classes_untold; /* CKA_CLASS is searched by, but not told */
    CK_ULONG signature_len; /* each signature is so many bytes of 0x5a */
    bool logins_untold;     /* C_GetSessionInfo never says that somebody is logged in */
    bool read_write_only;   /* refuses read-only sessions with CKR_FUNCTION_FAILED */
    unsigned session_limit; /* then CKR_SESSION_COUNT; 0: none */
    bool forks_in_initialize; /* as modules do that start a helper */

    /* What it saw. */
    unsigned calls[FAKE_FUNCTION_COUNT];
    unsigned open_sessions, most_sessions, opening, most_opening;
    CK_SESSION_HANDLE closed_last, opened_first;
    bool initialized, logged_in;
    char init_string[64]; /* pReserved; "" for none */
    bool pin_was_null;
    CK_ATTRIBUTE_TYPE asked_for[64]; /* by C_GetAttributeValue, the last call */
    CK_ULONG asked_count;
};

/* Loads the module (once per process) and puts its state back to one initialised token "fake" with the PIN "1234".
 * Ends the test when it cannot. */
struct fake_p11 *fake_p11_load(void);
/* The same of another module, with a state of its own: FAKE_P11_MODULE_TOO. */
struct fake_p11 *fake_p11_load_too(void);
/* How often it was called, while other threads call it. */
unsigned fake_p11_calls(const struct fake_p11 *fake, enum fake_function function);
/* From now on its calls do not come back, those under way included, until it is let go. */
void fake_p11_hold(struct fake_p11 *fake, enum fake_function function, bool held);
/* Answers `rv` from the `first` to the `last` call from now on; 0, 0: to every one. */
void fake_p11_answer(struct fake_p11 *fake, enum fake_function function, CK_RV rv, unsigned first, unsigned last);

#endif
