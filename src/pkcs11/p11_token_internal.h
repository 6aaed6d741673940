/* What p11_token*.c, p11_pool.c, p11_login.c and p11_recover.c share: one token from inside. */
#ifndef HS_P11_TOKEN_INTERNAL_H
#define HS_P11_TOKEN_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "p11_circuit.h"
#include "p11_pin.h"
#include "p11_token.h"
#include "p11_uri.h"

/* `info` and the strings behind it. */
struct token_info_store {
    hsmart_token_info info;
    char label[33], serial[17], model[17], manufacturer[33], firmware[8];
    char *uri;
    char **mechanism_names;
    CK_MECHANISM_TYPE *mechanisms; /* `info.mechanism_count` of them */
};
HSMART_MUST_CHECK enum hsmart_code hs_token_info_read(CK_FUNCTION_LIST *p11, CK_SLOT_ID slot,
                                                      const CK_TOKEN_INFO *raw, struct token_info_store *out_store,
                                                      hsmart_err *err);
void hs_token_info_clear(struct token_info_store *store);

/* One slot with a token in it. */
struct found_token {
    CK_SLOT_ID slot;
    CK_TOKEN_INFO raw;
};
struct found_tokens {
    struct found_token *tokens;
    size_t count;
    CK_RV silent_rv; /* why a slot does not tell what is in it; CKR_OK: all do */
};
/* Every token that the URI matches, or all with NULL. */
HSMART_MUST_CHECK enum hsmart_code hs_slots_find(struct hs_p11_module *module, const struct hs_p11_uri *uri,
                                                 struct found_tokens *out_found, hsmart_err *err);
void hs_slots_clear(struct found_tokens *found);
/* The one initialised token; absent and ambiguous are told with what is there. */
HSMART_MUST_CHECK enum hsmart_code hs_slots_find_one(struct hs_p11_module *module, const struct hs_p11_uri *uri,
                                                     const char *uri_text, struct found_token *out_token,
                                                     hsmart_err *err);

struct pooled_session {
    struct hs_p11_session session; /* first, so that either can be had from the other */
    bool read_write;
    struct pooled_session *next;
};

#define TROUBLE_MAX 256U /* p11_recover.c cuts to one less */

struct hs_p11_token {
    atomic_uint reference_count;
    struct hs_log log;
    struct hs_p11_module *module;
    struct hs_p11_uri *uri;
    char *uri_text, *name, *guard_directory;
    unsigned quirks, set_quirks, timeout_ms; /* set_quirks: by the user's setting alone */
    unsigned max_sessions;                   /* as asked for; 0: the default */
    CK_SLOT_ID slot;   /* changes only while nobody has a session */
    CK_TOKEN_INFO raw; /* as first seen, like `store` */
    struct token_info_store store;

    struct hs_pin_source pin_source; /* kind NULL: no login */
    char *identity;                  /* for the guard: serial, label, manufacturer, model */

    /* Guards all below. Never held while the module is called: a call may not come back. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct hs_secret pin; /* the value that opened the token; a recovery may replace it */
    /* Only the anchor logs in; it is opened first and closed last, since closing the last session logs out. */
    CK_SESSION_HANDLE anchor;
    bool has_anchor; /* false after a recovery that failed: what a session answers then is not to be believed */
    struct pooled_session *idle;
    unsigned open_count, busy_count; /* busy: lent, until given back and, where that is due, closed */
    unsigned limit, shrunk_limit;    /* shrunk: what the token could do when it last had no room */
    int64_t shrunk_until_ms;
    bool opening, climbing;
    uint64_t generation; /* counts recoveries: handles and sessions of an older one are stale */
    struct hs_circuit circuit;
    char trouble[TROUBLE_MAX]; /* why the last recovery failed */
};

/* ---- Login (p11_login.c) ---- */
/* Opens the anchor and logs in, through the guard. `*out_false_answer`: what failed may be another process's doing. */
HSMART_MUST_CHECK enum hsmart_code hs_login_open_anchor(struct hs_p11_token *token, bool *out_false_answer,
                                                        hsmart_err *err);
/* Gets the PIN from its source, unless there is none to get. */
HSMART_MUST_CHECK enum hsmart_code hs_login_read_pin(struct hs_p11_token *token, hsmart_err *err);
/* A copy of the PIN, which may be replaced at any moment; empty when there is none. */
HSMART_MUST_CHECK enum hsmart_code hs_login_copy_pin(struct hs_p11_token *token, struct hs_secret *out_pin,
                                                     hsmart_err *err);
/* Whether an answer of a token that takes turns may be false. */
bool hs_login_may_be_false(const struct hs_p11_token *token, CK_RV rv);

/* ---- Pool (p11_pool.c) ---- */
HSMART_MUST_CHECK enum hsmart_code hs_pool_new(struct hs_p11_token *token, unsigned max_sessions, hsmart_err *err);
/* How many sessions there may be, by what the token says of itself. */
void hs_pool_set_limit(struct hs_p11_token *token);
/* Closes what is open, the anchor last; in a forked child it closes nothing. */
void hs_pool_free(struct hs_p11_token *token);
/* The same for a recovery, with the lock held, which is let go while sessions are closed. */
void hs_pool_drop_sessions(struct hs_p11_token *token);
/* C_OpenSession; read-write where the token takes no other. */
CK_RV hs_pool_open_raw(struct hs_p11_token *token, bool read_write, CK_SESSION_HANDLE *out_handle);
/* As hs_p11_token_acquire; `*out_rv` is why a session could not be opened. */
HSMART_MUST_CHECK enum hsmart_code hs_pool_acquire(struct hs_p11_token *token, bool read_write, unsigned timeout_ms,
                                                   struct hs_p11_session **out_session, CK_RV *out_rv,
                                                   hsmart_err *err);
/* Waits for a change until the deadline; false when it has passed. The lock is held. */
bool hs_pool_wait(struct hs_p11_token *token, int64_t deadline_ms);

/* ---- Starting (p11_token.c) ---- */
/* Finds, and opens the anchor of, the token again, with the retries that false answers need; the module is restarted
 * before when nobody else uses it. Nobody may have a session of the token. */
HSMART_MUST_CHECK enum hsmart_code hs_token_restart(struct hs_p11_token *token, hsmart_err *err);
/* Opens the anchor of the token again, where it is. */
HSMART_MUST_CHECK enum hsmart_code hs_token_relogin(struct hs_p11_token *token, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_token_check_fork(const struct hs_p11_token *token, hsmart_err *err);

/* ---- Recovery (p11_recover.c) ---- */
/* HSMART_TOKEN_UNAVAILABLE, with what the last recovery came to. The lock is held. */
HSMART_MUST_CHECK enum hsmart_code hs_token_out_of_order(const struct hs_p11_token *token, int64_t wait_ms,
                                                         hsmart_err *err);

#endif
