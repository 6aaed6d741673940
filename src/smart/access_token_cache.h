/* Access tokens across processes: one owner-only file per client, and a lock so that one request is in flight. */
#ifndef HS_ACCESS_TOKEN_CACHE_H
#define HS_ACCESS_TOKEN_CACHE_H

#include "private_directory.h"
#include "token_response.h"

/* May be shared between threads. */
struct hs_access_token_cache;

/* `identity` is everything that makes two requests ask for the same thing (server, client, scope, method), in any form;
 * `directory` as in `hs_private_directory_open`, taken over on success. */
HSMART_MUST_CHECK enum hsmart_code hs_access_token_cache_new(struct hs_private_directory *directory,
                                                             struct hs_span identity,
                                                             struct hs_access_token_cache **out_cache,
                                                             hsmart_err *err);
void hs_access_token_cache_free(struct hs_access_token_cache *cache);

/* What is kept. `busy_until_s`: before that moment the server wants no request (it had sent a Retry-After that was not
 * waited for); 0: it does not mind. */
struct hs_cached_access_token {
    struct hs_access_token access_token; /* empty value: none */
    int64_t busy_until_s;
};
void hs_cached_access_token_clear(struct hs_cached_access_token *cached);

/* The empty record when there is no file, or one that makes no sense: it is only a cache. */
HSMART_MUST_CHECK enum hsmart_code hs_access_token_cache_load(const struct hs_access_token_cache *cache,
                                                              struct hs_cached_access_token *out_cached,
                                                              hsmart_err *err);
/* A reader sees the old file or the new one. */
HSMART_MUST_CHECK enum hsmart_code hs_access_token_cache_save(const struct hs_access_token_cache *cache,
                                                              const struct hs_cached_access_token *cached,
                                                              hsmart_err *err);
/* As `hs_private_directory_lock`. */
HSMART_MUST_CHECK enum hsmart_code hs_access_token_cache_lock(const struct hs_access_token_cache *cache,
                                                              int64_t wait_ms, int *out_lock, hsmart_err *err);
void hs_access_token_cache_unlock(int lock);
/* Forgets the access token if it is still this one. */
void hs_access_token_cache_forget(const struct hs_access_token_cache *cache, struct hs_span value);

#endif
