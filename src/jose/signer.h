/* The signer seam: a public key, an algorithm, and "sign these bytes". On a token key it lives in src/keys; in
 * another process it will live behind a socket; tests have a software one. */
#ifndef HS_SIGNER_H
#define HS_SIGNER_H

#include "jwk.h"

struct hs_signer;

struct hs_signer_ops {
    /* Signs `data` (not its digest) and puts the JWS signature into `out_signature`, verified. Must be safe to call
     * from several threads at once. */
    enum hsmart_code (*sign)(struct hs_signer *signer, struct hs_span data, struct hs_buf *out_signature,
                             hsmart_err *err);
    void (*free)(struct hs_signer *signer);
    /* Optional, both or none: a signer that stands for several keys lends the one that signs now. */
    enum hsmart_code (*acquire)(struct hs_signer *signer, struct hs_signer **out_current, hsmart_err *err);
    void (*release)(struct hs_signer *signer, struct hs_signer *current);
};

/* The first member of every implementation. */
struct hs_signer {
    const struct hs_signer_ops *ops;
    const struct hs_jwk *jwk; /* belongs to the implementation */
    const struct hs_alg *alg;
    const char *kid;
};

/* The signer for one signature: header and signature are made with what this lends, so that they fit. Given back by
 * `hs_signer_release`. A signer for one key lends itself. */
HSMART_MUST_CHECK static inline enum hsmart_code
hs_signer_acquire(struct hs_signer *signer, struct hs_signer **out_current, hsmart_err *err)
{
    if (signer->ops->acquire != NULL)
        return signer->ops->acquire(signer, out_current, err);
    *out_current = signer;
    return HSMART_OK;
}

static inline void
hs_signer_release(struct hs_signer *signer, struct hs_signer *current)
{
    if (signer->ops->release != NULL && current != NULL)
        signer->ops->release(signer, current);
}

static inline void
hs_signer_free(struct hs_signer *signer)
{
    if (signer != NULL)
        signer->ops->free(signer);
}

#endif
