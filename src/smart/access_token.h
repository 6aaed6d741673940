/* The access token of one client: out of memory, out of the cache, or new; renewed early; one request at a time. */
#ifndef HS_ACCESS_TOKEN_H
#define HS_ACCESS_TOKEN_H

#include "access_token_cache.h"
#include "exchange.h"

/* Renewed when less remains than this, or than half its life. */
#define HS_ACCESS_TOKEN_MARGIN_S 10

/* Gets a new one from the server. `refresh_token` is the empty span unless `use_refresh_token` is on and there is
 * one. `patient` false: one attempt only, since the old one will do. `*out_busy_s` is set (else left alone) to the
 * seconds for which the server wants no further request. Called on one thread at a time. */
struct hs_access_token_issuer {
    enum hsmart_code (*issue)(void *arg, struct hs_span refresh_token, bool patient,
                              struct hs_access_token *out_access_token, int64_t *out_busy_s, hsmart_err *err);
    void *arg;
};

struct hs_access_token_config {
    struct hs_access_token_issuer issuer;
    const struct hs_access_token_cache *cache; /* NULL: memory only; must live as long */
    bool use_refresh_token;                    /* off: a refresh token in an answer is wiped */
    unsigned lock_wait_ms;                     /* for another process's request; 0: 12 minutes */
    struct hs_time time;
    struct hs_log log;
};

/* May be shared between threads: every call is safe beside every other, except `hs_access_token_keeper_free`. */
struct hs_access_token_keeper;
HSMART_MUST_CHECK enum hsmart_code hs_access_token_keeper_new(const struct hs_access_token_config *config,
                                                              struct hs_access_token_keeper **out_keeper,
                                                              hsmart_err *err);
void hs_access_token_keeper_free(struct hs_access_token_keeper *keeper);

/* A copy of an access token that is good for `min_validity_s` seconds at least (0: for a second). One that will
 * end soon is renewed; when that fails and it is still good for as long as asked, it is handed out all the same,
 * with a warning. Threads and processes that ask at once make one request. Returns HSMART_OK, or
 *   HSMART_INVALID_ARGUMENT  the server's access tokens do not live as long as asked;
 *   HSMART_SERVER_BUSY       the server wants no request yet, or another process has been asking for too long;
 * else what the issuer returned. */
HSMART_MUST_CHECK enum hsmart_code hs_access_token_get(struct hs_access_token_keeper *keeper, unsigned min_validity_s,
                                                       struct hs_access_token *out_access_token, hsmart_err *err);

/* A new one, whatever there is; when it cannot be had, what there was stays. Errors as above. */
HSMART_MUST_CHECK enum hsmart_code hs_access_token_renew(struct hs_access_token_keeper *keeper,
                                                         struct hs_access_token *out_access_token, hsmart_err *err);

/* A server did not accept this one (401): it is not handed out again, and is taken out of the cache. A process that has
 * it in memory finds out by itself. */
void hs_access_token_reject(struct hs_access_token_keeper *keeper, struct hs_span value);

#endif
