/* The signer seam on a family of keys: each signature by the key that is active at that moment. */
#ifndef HS_FAMILY_SIGNER_H
#define HS_FAMILY_SIGNER_H

#include <hsmart/lifecycle.h>

#include "signer.h"
#include "token_key.h"

/* Where the signer has the time from; tests bring their own. */
struct hs_family_clock {
    int64_t (*now_s)(void *arg);
    int64_t (*monotonic_ms)(void *arg);
    void *arg;
};

/* How often the token is read again while the signer is used. */
#define HS_FAMILY_REFRESH_MS 60000

/* As `hsmart_signer_new_family`; `clock` NULL: the system's. */
HSMART_MUST_CHECK enum hsmart_code hs_family_signer_new(struct hs_p11_token *token, const hsmart_family_options *family,
                                                        const hsmart_signer_options *options,
                                                        const struct hs_family_clock *clock,
                                                        struct hs_signer **out_signer, hsmart_err *err);

#endif
