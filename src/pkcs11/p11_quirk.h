/* Quirks: where a token departs from the standard, as named settings. A row of the table gives the quirks of a
 * token family; the configuration may name others ("quirks" of a token). */
#ifndef HS_P11_QUIRK_H
#define HS_P11_QUIRK_H

#include "bytes.h"

enum hs_quirk {
    /* One-shot processes disturb each other between C_Initialize and C_Login: take turns, and retry answers that
     * this makes false (docs/tokens.md, SoftHSM2). */
    HS_QUIRK_SERIAL_START = 1U << 0,
    HS_QUIRK_RW_SESSIONS = 1U << 1,           /* refuses read-only sessions */
    HS_QUIRK_NO_ALLOWED_MECHANISMS = 1U << 2, /* key generation fails when CKA_ALLOWED_MECHANISMS is given */
    HS_QUIRK_NO_DECRYPT_FALSE = 1U << 3,      /* key generation fails when CKA_DECRYPT=false is given */
    HS_QUIRK_NO_LOCKOUT = 1U << 4,            /* never locks: no count-low flag, no unclear answer counts */
    HS_QUIRK_SIGPIPE = 1U << 5,               /* raises SIGPIPE when its server dies; ignored unless handled */
};

struct hs_quirk_name {
    const char *name; /* "serial-start" */
    enum hs_quirk quirk;
    const char *meaning;
};
extern const struct hs_quirk_name hs_quirk_names[];
extern const size_t hs_quirk_name_count;

/* One token family. It is recognised by the module's file name before it is loaded (`module_part`), or by what the
 * library and the token say of themselves (`manufacturer_part`); NULL parts match nothing. */
struct hs_quirk_row {
    const char *family;
    const char *module_part, *manufacturer_part;
    unsigned quirks;
    bool tested; /* in our own matrix, not only read about */
    const char *source;
};
extern const struct hs_quirk_row hs_quirk_rows[];
extern const size_t hs_quirk_row_count;

/* The union of the rows that match; parts may be NULL when they are not known yet. */
unsigned hs_quirks_of(const char *module_path, const char *manufacturer);
/* Reads the names of a "quirks" setting. HSMART_INVALID_ARGUMENT lists the names there are. */
HSMART_MUST_CHECK enum hsmart_code hs_quirks_parse(const char *names, unsigned *out_quirks, hsmart_err *err);

#endif
