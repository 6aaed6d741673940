/* A login that another library makes with the PIN of a token, for which the guard answers as for our own: the PIN is
 * tried once, what the token says of it is written down, and a try without an end stays one. */
#ifndef HS_P11_HANDOVER_H
#define HS_P11_HANDOVER_H

#include "p11_guard.h"
#include "p11_token.h"

/* What another library needs to reach the token by itself. Zero is valid and empty. */
struct hs_p11_handover {
    char *module, *init_string;
    char *label, *serial; /* without padding */
    bool has_login;       /* false: no PIN source was given */
    struct hs_secret pin; /* empty: the token's own PIN pad, or no login */
    /* private */
    char *guard_directory, *identity;
    struct hs_guard guard;
};

/* Takes what is needed from an opened token, whose PIN was just accepted. The caller then lets go of the token: the
 * other library must be alone on the slot. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_handover_take(struct hs_p11_token *token,
                                                        struct hs_p11_handover *out_handover, hsmart_err *err);
/* Before the other library logs in: writes down that the PIN is about to be tried. HSMART_PIN_GUARDED when it must not
 * be. The guard's lock is held until `hs_p11_handover_end`. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_handover_begin(struct hs_p11_handover *handover, hsmart_err *err);
/* After it: whether the token took the PIN, refused it, or nobody knows. */
enum hs_p11_login_end { HS_P11_LOGIN_TAKEN, HS_P11_LOGIN_REFUSED, HS_P11_LOGIN_UNKNOWN };
HSMART_MUST_CHECK enum hsmart_code hs_p11_handover_end(struct hs_p11_handover *handover, enum hs_p11_login_end end,
                                                       hsmart_err *err);
void hs_p11_handover_clear(struct hs_p11_handover *handover);

#endif
