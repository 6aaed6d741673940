/* Where a client's public keys come from: given by value, or fetched from its JWKS URL and kept for a while, as servers
 * do. */
#ifndef SANDBOX_JWKS_SOURCE_H
#define SANDBOX_JWKS_SOURCE_H

#include <pthread.h>

#include "http.h"

#define JWKS_MAX_LEN (1U << 20)
#define JWKS_LIFE_DEFAULT_S 300 /* where Cache-Control does not say */
#define JWKS_LIFE_MAX_S 86400
#define JWKS_REREAD_DEFAULT_S 10
#define JWKS_TIMEOUT_MS 5000U

struct jwks_source {
    char *url;          /* NULL: by value */
    struct hs_buf text; /* the last that was read */
    int64_t read_at_s, fresh_until_s;
    pthread_mutex_t lock; /* also keeps two threads from fetching at once */
    bool has_lock;
};
enum hsmart_code jwks_source_set_value(struct jwks_source *source, struct hs_span jwks, hsmart_err *err);
enum hsmart_code jwks_source_set_url(struct jwks_source *source, const char *url, hsmart_err *err);
void jwks_source_clear(struct jwks_source *source);

/* How long a copy may be used. */
struct jwks_policy {
    unsigned life_max_s; /* above what Cache-Control says; 0: JWKS_LIFE_MAX_S */
    unsigned reread_s;   /* for an unknown kid, not sooner than this after the last reading */
    bool never_reread;   /* while the copy may be used, an unknown kid changes nothing */
};
/* A copy of the keys, among them the one called `kid` (empty: any) if a new reading could show it. `*out_was_read`
 * tells that it was fetched for this call. Safe to call from several threads at once. HSMART_SERVER_FAILED,
 * HSMART_NETWORK_FAILED and the like when it had to be fetched and could not be. */
enum hsmart_code jwks_source_get(struct jwks_source *source, struct hs_http *http, struct hs_span kid, int64_t now_s,
                                 const struct jwks_policy *policy, struct hs_buf *out_text, bool *out_was_read,
                                 hsmart_err *err);
/* The next call reads it again. */
void jwks_source_expire(struct jwks_source *source);

#endif
