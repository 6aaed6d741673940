/* Tokens: finding them, opening one, setting a new one up.
 *
 * A token is the PKCS#11 device (an HSM partition, a smart card, a SoftHSM2 token), never an OAuth
 * access token. Tokens are named by RFC 7512 URIs, e.g. "pkcs11:token=prod;serial=1234". */
#ifndef HSMART_TOKEN_H
#define HSMART_TOKEN_H

#include <hsmart/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `hsmart_log_fn` receives one line for a person, without a line end and never with a secret in it.
 * It is called on the thread that made the call, possibly on several threads at once. */
enum hsmart_log_level { HSMART_LOG_WARNING, HSMART_LOG_DETAIL };
typedef void (*hsmart_log_fn)(void *log_arg, enum hsmart_log_level level, const char *line);

/* How to reach a token. Zero is valid for every field but `module`. All strings are copied. */
typedef struct hsmart_token_options {
    const char *name;        /* what messages call the token; NULL: its label */
    const char *module;      /* absolute path of the PKCS#11 module */
    const char *init_string; /* handed to C_Initialize as pReserved (NSS, YubiHSM); NULL: none */
    const char *quirks;      /* names from the quirk table, separated by spaces; NULL: what the token's row says */
    const char *uri;         /* RFC 7512 URI of the token; NULL: the only token of the module */
    const char *pin_source;  /* file:PATH, credential:NAME, fd:N, exec:COMMAND, prompt, pinpad; NULL: no login */
    const char *state_directory; /* where the PIN guard keeps its state; NULL: see docs/pin-guard.md */
    unsigned max_sessions;   /* sessions used at once, 1 to 64; 0: 4 */
    unsigned timeout_ms;     /* how long one request may take, waiting and recovery included; 0: 5000 */
    hsmart_log_fn log;       /* NULL: silent */
    void *log_arg;
} hsmart_token_options;

/* An opened token. May be shared between threads: every call that takes one is safe beside every
 * other, except `hsmart_token_close`. */
typedef struct hsmart_token hsmart_token;

/* `hsmart_token_open` loads the module, finds the one token that `options->uri` names, opens a session
 * and, when there is a PIN source, logs in as the user, once. Sets `*out_token`; the caller releases it
 * with `hsmart_token_close`. Returns HSMART_OK, or
 *   HSMART_INVALID_ARGUMENT  no or relative module path, a malformed URI, one with a PIN in it;
 *   HSMART_MODULE_UNUSABLE   the module does not load, or does not initialise;
 *   HSMART_TOKEN_ABSENT, HSMART_TOKEN_AMBIGUOUS   none, or more than one, matches (all are named);
 *   HSMART_PIN_UNAVAILABLE   the PIN source gives none;
 *   HSMART_PIN_REFUSED       the token refused it: it was tried once and is not tried again;
 *   HSMART_PIN_LOCKED, HSMART_PIN_GUARDED   not tried, by the token's flags;
 *   HSMART_TOKEN_FAILED      the token failed; `err->text` has its CKR_ name. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_token_open(const hsmart_token_options *options,
                                                                hsmart_token **out_token, hsmart_err *err);

/* `hsmart_token_stop` ends the use of the token by all threads, for the orderly end of a program in which others still
 * sign. Requests that begin from now on, by any key or signer of this token, and those that wait for a session fail
 * with HSMART_TOKEN_STOPPED; those that are inside the module are answered as usual. When the last one has its answer,
 * the sessions are closed, the one with the login last: from then on no thread is inside the module. The program may
 * end once its threads have ended, whether it releases what it holds or not. May be called from any thread but within a
 * log function, beside all other calls, more than once. Token, keys and signers stay valid. Returns HSMART_OK, or
 *   HSMART_TOKEN_BUSY   the token's timeout has passed and a call into the module has not come back; nothing was
 *                       closed. A module that hangs cannot be left in good order: _exit is safe, exit may crash in it;
 *   HSMART_FORKED       the token belongs to the process that this one was forked from. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_token_stop(hsmart_token *token, hsmart_err *err);

/* `hsmart_token_close` releases the caller's hold on the token; it waits for nobody who signs. Keys and signers made
 * from it keep the token open until they are released too, so it may be called while other threads sign with them:
 * whoever releases last closes the sessions and finalises the module. NULL is fine. */
HSMART_API void hsmart_token_close(hsmart_token *token);

/* What a token says of itself, read without login. Strings belong to the list or token they came from. */
typedef struct hsmart_token_info {
    const char *label, *serial, *model, *manufacturer;
    const char *uri;      /* names this token and no other of the module */
    const char *firmware; /* "major.minor" */
    unsigned long slot_id;
    bool initialized, login_required, pin_set, pinpad, write_protected;
    bool pin_count_low, pin_final_try, pin_locked, pin_to_be_changed;
    bool so_pin_count_low, so_pin_final_try, so_pin_locked;
    const char *const *mechanisms; /* CKM_ names ("0x…" where unknown), `mechanism_count` of them */
    size_t mechanism_count;
} hsmart_token_info;

HSMART_API const hsmart_token_info *hsmart_token_get_info(const hsmart_token *token);

/* `hsmart_token_list` reads what the tokens of a module say of themselves (only `module`, `init_string`,
 * `uri` and `log` of `options` are used) and never logs in. `out_list` is released with
 * `hsmart_token_list_free`. A module without a token gives an empty list. */
typedef struct hsmart_token_list {
    hsmart_token_info *tokens;
    size_t count;
} hsmart_token_list;
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_token_list_read(const hsmart_token_options *options,
                                                                     hsmart_token_list **out_list, hsmart_err *err);
HSMART_API void hsmart_token_list_free(hsmart_token_list *list);

/* `hsmart_token_init` initialises a token and sets its user PIN (C_InitToken, C_InitPIN). Without
 * `options->uri` it takes the first slot whose token is not initialised. `options->pin_source` gives the
 * user PIN, `so_pin_source` the security officer's. An initialised token is refused with
 * HSMART_TOKEN_EXISTS unless `reinitialize`, which destroys every key on it. */
typedef struct hsmart_token_init_options {
    const char *label;         /* 1 to 32 bytes of UTF-8 */
    const char *so_pin_source; /* as pin_source */
    bool reinitialize;
} hsmart_token_init_options;
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_token_init(const hsmart_token_options *options,
                                                                const hsmart_token_init_options *init,
                                                                hsmart_err *err);

/* `hsmart_token_unlock_guard` is an operator's word that the PIN of the token which `options` name may be tried once
 * more (docs/pin-guard.md). Never logs in. Errors as `hsmart_token_open`, and HSMART_PIN_GUARDED when the guard's state
 * cannot be written. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_token_unlock_guard(const hsmart_token_options *options,
                                                                        hsmart_err *err);

/* What stands against trying the PIN of the token which `options` name, as the guard remembers it. Never logs in,
 * writes nothing. Errors as `hsmart_token_unlock_guard`. */
enum hsmart_guard_state {
    HSMART_GUARD_OPEN,       /* nothing */
    HSMART_GUARD_PENDING,    /* a try was begun and has no recorded end */
    HSMART_GUARD_REFUSED,    /* the token refused a PIN: another value may be tried */
    HSMART_GUARD_REOPENED,   /* nothing: an operator allowed one more try */
    HSMART_GUARD_UNANSWERED, /* a PIN was tried, and no answer said whether it is right */
};
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_token_look_at_guard(const hsmart_token_options *options,
                                                                         enum hsmart_guard_state *out_state,
                                                                         hsmart_err *err);

/* `hsmart_token_pin_fd` opens a descriptor from which a child process can read the PIN that opened the
 * token ("--pin-source fd:N"), so that the child need not ask again; sets `*out_fd` to -1 for a token opened
 * with `pinpad` or without login. The caller closes it. HSMART_PIN_UNAVAILABLE when there is no descriptor to be had,
 * HSMART_FORKED in a child of the process that opened the token. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_token_pin_fd(const hsmart_token *token, int *out_fd,
                                                                  hsmart_err *err);

#ifdef __cplusplus
}
#endif
#endif
