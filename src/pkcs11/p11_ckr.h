/* What a token's answer means: one row for every CKR_ code of PKCS#11 2.40 and 3.0. */
#ifndef HS_P11_CKR_H
#define HS_P11_CKR_H

#include <hsmart/error.h>
#include <p11-kit/pkcs11.h>

/* What can be done about an answer; section by section in docs/tokens.md. */
enum hs_ckr_class {
    HS_CKR_DONE,         /* success, or as good as */
    HS_CKR_SESSION,      /* this session is gone or confused: use a new one */
    HS_CKR_HANDLE,       /* handle stale, login lost, or key gone: find the key again */
    HS_CKR_LOGIN,        /* not logged in (any more) */
    HS_CKR_DEVICE,       /* device or module in trouble: new session, login, reload */
    HS_CKR_CAPACITY,     /* no session free: wait */
    HS_CKR_BUFFER,       /* our buffer was too small */
    HS_CKR_THREADS,      /* the module cannot do threads */
    HS_CKR_OTHER_USER,   /* somebody else is logged in */
    HS_CKR_PIN_WRONG,    /* never again with this PIN */
    HS_CKR_PIN_STATE,    /* PIN locked, expired or not set: for the operator */
    HS_CKR_SETTING,      /* our configuration is wrong for this token */
    HS_CKR_CAPABILITY,   /* mechanism, key or policy does not allow it: try another mechanism */
    HS_CKR_ATTRIBUTE,    /* attribute or template not accepted or not reported */
    HS_CKR_REQUEST,      /* we asked something wrong */
    HS_CKR_UNSUPPORTED,  /* function not there */
    HS_CKR_REFUSED,      /* the token will not do it */
    HS_CKR_SICK,         /* the token's self-test or randomness failed */
};

struct hs_ckr_row {
    CK_RV rv;
    const char *name;        /* "CKR_DEVICE_REMOVED"; NULL in the rows for codes without one */
    enum hs_ckr_class class;
    enum hsmart_code code;
    const char *words;       /* "token unplugged" */
};
extern const struct hs_ckr_row hs_ckr_rows[];
extern const size_t hs_ckr_row_count;

/* The row of `rv`; a vendor's code or one that nobody knows has a row too. Never NULL. */
const struct hs_ckr_row *hs_ckr_row_of(CK_RV rv);
/* Starts an error: "the token answered CKR_DEVICE_REMOVED (token unplugged)". Returns the row's code. */
enum hsmart_code hs_ckr_set(hsmart_err *err, CK_RV rv);

#endif
