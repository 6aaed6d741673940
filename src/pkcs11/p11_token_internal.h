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

struct hs_p11_token {
    atomic_uint reference_count;
    struct hs_log log;
    struct hs_p11_module *module;
    struct hs_p11_uri *uri;
    char *uri_text, *name, *guard_directory;
    unsigned quirks, set_quirks, timeout_ms; /* set_quirks: by the user's setting alone */
    CK_SLOT_ID slot;
    CK_TOKEN_INFO raw;
    struct token_info_store store;
    CK_MECHANISM_TYPE *mechanisms;
    size_t mechanism_count;

    struct hs_pin_source pin_source; /* kind NULL: no login */
    struct hs_secret pin;            /* the value that opened the token */
    char *identity;                  /* for the guard: serial, label, manufacturer, model */

    /* Only the anchor logs in; it is opened first and closed last, since closing the last session logs out. */
    CK_SESSION_HANDLE anchor;
    bool has_anchor;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct pooled_session *idle;
    unsigned open_count, busy_count, limit;
    bool opening, climbing;
    uint64_t generation; /* counts recoveries: handles and sessions of an older one are stale */
    struct hs_circuit circuit;
    CK_RV last_open_rv; /* why a session could not be opened */
};

/* ---- Login (p11_login.c) ---- */
/* Opens the anchor and logs in, through the guard. `*out_false_answer`: what failed may be another process's doing. */
HSMART_MUST_CHECK enum hsmart_code hs_login_open_anchor(struct hs_p11_token *token, bool *out_false_answer,
                                                        hsmart_err *err);
/* Gets the PIN from its source, unless there is none to get. */
HSMART_MUST_CHECK enum hsmart_code hs_login_read_pin(struct hs_p11_token *token, hsmart_err *err);
/* Whether an answer of a token that takes turns may be false. */
bool hs_login_may_be_false(const struct hs_p11_token *token, CK_RV rv);

/* ---- Pool (p11_pool.c) ---- */
HSMART_MUST_CHECK enum hsmart_code hs_pool_open(struct hs_p11_token *token, unsigned max_sessions, hsmart_err *err);
void hs_pool_close(struct hs_p11_token *token);
void hs_pool_close_idle(struct hs_p11_token *token);
/* C_OpenSession; read-write where the token takes no other. */
CK_RV hs_pool_open_raw(struct hs_p11_token *token, bool read_write, CK_SESSION_HANDLE *out_handle);
/* Waits for a change until the deadline; false when it has passed. The lock is held. */
bool hs_pool_wait(struct hs_p11_token *token, int64_t deadline_ms);

/* Finds, and opens the anchor of, the token again, with the retries that false answers need. */
HSMART_MUST_CHECK enum hsmart_code hs_token_start(struct hs_p11_token *token, bool restart, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_token_check_fork(const struct hs_p11_token *token, hsmart_err *err);

#endif
