/* The PIN guard: one try per PIN value, remembered across threads, retries, restarts and crashes.
 *
 * A token locks after a few wrong PINs, and some show no flag before they do. So the guard writes down, before
 * C_Login is called, that this PIN is about to be tried, and afterwards what the token said. A PIN that was refused, or
 * whose try has no recorded end, is not tried again, whatever other values are tried in between, until an operator
 * reopens the guard.
 *
 * The state of a token is one small text file, owner-only, in the guard's directory (docs/pin-guard.md). It holds
 * salted digests of the PIN whose try is under way and of those that were tried in vain; none of one that was accepted.
 */
#ifndef HS_P11_GUARD_H
#define HS_P11_GUARD_H

#include "bytes.h"

enum hs_guard_state {
    HS_GUARD_OPEN,       /* nothing stands against a try */
    HS_GUARD_PENDING,    /* a try was begun and has no recorded end */
    HS_GUARD_REFUSED,    /* the token refused the PIN */
    HS_GUARD_REOPENED,   /* an operator allowed one more try, whatever the token's flags say */
    HS_GUARD_UNCLEAR,    /* the answer to a try did not say whether the PIN is right: one more try */
    HS_GUARD_UNANSWERED, /* nor did the answer to a second one */
};

/* PINs by their digests, the oldest first; it is forgotten for one more than fit. */
#define HS_GUARD_TRIED_MAX 8U
struct hs_guard_pins {
    uint8_t digests[HS_GUARD_TRIED_MAX][32];
    size_t count;
};

/* One try under way: it holds the guard's lock, so that tries of all processes are made one after another. */
struct hs_guard {
    int lock_fd;
    char *path;
    enum hs_guard_state state;     /* as found */
    bool other_pin;                /* the PIN at hand is not the one the state is about */
    bool was_unclear;              /* the answer to a try of the PIN at hand did not say whether it is right */
    uint8_t salt[16], digest[32];  /* of the PIN at hand */
    struct hs_guard_pins tried;    /* others that were tried in vain */
    struct hs_guard_pins doubtful; /* others with one unclear answer */
    struct hs_buf record;          /* room to write its end, had before the try */
};

/* The directory: `given` when not NULL, else $STATE_DIRECTORY (systemd), else $XDG_STATE_HOME/hsmart,
 * else ~/.local/state/hsmart, else /var/lib/hsmart for root without a home. */
HSMART_MUST_CHECK enum hsmart_code hs_guard_directory(const char *given, struct hs_buf *out_path, hsmart_err *err);

/* Begins a try: takes the lock, waiting at most until `deadline_ms` (HSMART_TOKEN_BUSY then), reads the state, and
 * refuses with HSMART_PIN_GUARDED when this PIN was refused before or its try has no recorded end. `identity` names the
 * token (serial, label, manufacturer, model). Nothing is written yet: the caller looks at the token's flags first.
 * HSMART_PIN_GUARDED too when the state cannot be read or its directory cannot be made: no login without a guard. Ended
 * by `hs_guard_end`. */
HSMART_MUST_CHECK enum hsmart_code hs_guard_begin(const char *directory, const char *identity, struct hs_span pin,
                                                  int64_t deadline_ms, struct hs_guard *out_guard, hsmart_err *err);
/* How long a try waits for that of another process where no deadline is nearer. */
#define HS_GUARD_WAIT_MS 30000
/* Writes down that the PIN is about to be tried, and syncs. */
HSMART_MUST_CHECK enum hsmart_code hs_guard_mark_pending(struct hs_guard *guard, hsmart_err *err);
/* Writes down how it ended: HS_GUARD_OPEN, HS_GUARD_REFUSED or HS_GUARD_UNCLEAR, which becomes HS_GUARD_UNANSWERED the
 * second time for one PIN, and after an operator's word, which is for one try. */
HSMART_MUST_CHECK enum hsmart_code hs_guard_mark_end(struct hs_guard *guard, enum hs_guard_state state,
                                                     hsmart_err *err);
/* Lets go of the lock. What was not marked stays as it was. Repeatable. */
void hs_guard_end(struct hs_guard *guard);

/* The state without a try, and an operator's word that one more may be made. */
HSMART_MUST_CHECK enum hsmart_code hs_guard_look(const char *directory, const char *identity,
                                                 enum hs_guard_state *out_state, struct hs_buf *out_path,
                                                 hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_guard_reopen(const char *directory, const char *identity, hsmart_err *err);

#endif
