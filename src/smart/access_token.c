#include "access_token.h"

#include <pthread.h>

#include "err.h"

#define LOCK_WAIT_DEFAULT_MS (720U * 1000U) /* longer than any Retry-After that is waited for */
#define ROUNDS_MAX 2U                       /* when another thread rejects what was just got, or it came too late */
#define QUIET_AFTER_FAILURE_S 2             /* between attempts to renew early */
#define BUSY_MAX_S 600                      /* a clock that was set back must not shut the server for ever */

/* Two locks, taken in this order: `flight` is held while a new access token is being got, `state` only to look. */
struct hs_access_token_keeper {
    struct hs_access_token_config config;
    pthread_mutex_t flight, state;
    struct hs_access_token current; /* empty value: none */
    struct hs_buf rejected;         /* the last one that a server did not accept */
    int64_t busy_until_s;           /* the server wants no request before */
    int64_t quiet_until_s;          /* no early renewal before */
    unsigned long flights;          /* that have ended */
    hsmart_err failure;             /* of the last flight; code HSMART_OK: it succeeded */
};

/* What the current access token is worth to a caller. */
enum standing {
    GONE,      /* there is none that is good for as long as asked */
    TOO_SHORT, /* and a new one would not be either */
    ENDING,    /* good for as long as asked, but to be renewed */
    FRESH,
};

static int64_t
now_s(const struct hs_access_token_keeper *keeper)
{
    return keeper->config.time.now_s(keeper->config.time.arg);
}

static enum standing
judge(const struct hs_access_token *access_token, int64_t at_s, int64_t need_s)
{
    int64_t remaining_s = hs_access_token_remaining_s(access_token, at_s);
    int64_t life_s = hs_access_token_life_s(access_token);
    int64_t margin_s = life_s / 2 < HS_ACCESS_TOKEN_MARGIN_S ? life_s / 2 : HS_ACCESS_TOKEN_MARGIN_S;

    if (remaining_s < need_s)
        return life_s < need_s && remaining_s > life_s / 2 ? TOO_SHORT : GONE;
    return remaining_s < margin_s ? ENDING : FRESH;
}

static enum hsmart_code
tell_too_short(int64_t life_s, int64_t need_s, hsmart_err *err)
{
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT,
                     "the server's access tokens live for %lld s, less than the %lld s asked for", (long long)life_s,
                     (long long)need_s);
    hs_err_hint(err, "ask for at most %lld s",
                (long long)(life_s / 2 > HS_ACCESS_TOKEN_MARGIN_S ? life_s - HS_ACCESS_TOKEN_MARGIN_S : life_s / 2));
    return HSMART_INVALID_ARGUMENT;
}

/* Looks at the current access token, and copies it where it will do. */
static enum hsmart_code
look(struct hs_access_token_keeper *keeper, int64_t need_s, enum standing *out_standing, unsigned long *out_flights,
     struct hs_access_token *out_copy, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    int64_t at_s = now_s(keeper);

    (void)pthread_mutex_lock(&keeper->state);
    *out_standing = judge(&keeper->current, at_s, need_s);
    *out_flights = keeper->flights;
    if (*out_standing == TOO_SHORT)
        code = tell_too_short(hs_access_token_life_s(&keeper->current), need_s, err);
    else if (*out_standing != GONE)
        code = hs_access_token_dup(&keeper->current, out_copy, err);
    (void)pthread_mutex_unlock(&keeper->state);
    return code;
}

static enum standing
standing_now(struct hs_access_token_keeper *keeper, int64_t need_s)
{
    int64_t at_s = now_s(keeper);

    (void)pthread_mutex_lock(&keeper->state);
    enum standing standing = judge(&keeper->current, at_s, need_s);
    (void)pthread_mutex_unlock(&keeper->state);
    return standing;
}

/* A new one was had, and yet there is none. */
static enum hsmart_code
tell_gone(struct hs_access_token_keeper *keeper, int64_t need_s, hsmart_err *err)
{
    (void)pthread_mutex_lock(&keeper->state);
    bool rejected = keeper->current.value.len == 0;
    int64_t life_s = hs_access_token_life_s(&keeper->current);
    int64_t remaining_s = hs_access_token_remaining_s(&keeper->current, now_s(keeper));
    (void)pthread_mutex_unlock(&keeper->state);

    if (rejected)
        return hs_err_set(err, HSMART_SERVER_FAILED, "the server does not accept the access tokens that it gives out");
    if (life_s < need_s)
        return tell_too_short(life_s, need_s, err);
    return hs_err_set(err, HSMART_SERVER_FAILED,
                      "the new access token was under way for so long that it is good for %lld s only, not for %lld s",
                      (long long)remaining_s, (long long)need_s);
}

/* ---- The cache, which is never a reason to fail ---- */

static void
warn_about_cache(const struct hs_access_token_keeper *keeper, const char *what, const hsmart_err *reason)
{
    hs_log_warning(&keeper->config.log, "the access token cache cannot be %s: %s", what, reason->text);
}

/* Takes over what another process got, when it lasts longer than ours. */
static void
adopt_cached(struct hs_access_token_keeper *keeper)
{
    struct hs_cached_access_token cached = {0};
    hsmart_err reason = {0};
    int64_t at_s = now_s(keeper);

    if (keeper->config.cache == NULL)
        return;
    if (hs_access_token_cache_load(keeper->config.cache, &cached, &reason) != HSMART_OK) {
        warn_about_cache(keeper, "read", &reason);
        return;
    }
    (void)pthread_mutex_lock(&keeper->state);
    if (cached.busy_until_s > keeper->busy_until_s)
        keeper->busy_until_s = cached.busy_until_s;
    if (hs_access_token_remaining_s(&cached.access_token, at_s) > hs_access_token_remaining_s(&keeper->current, at_s) &&
        !hs_span_equal(hs_span_buf(&cached.access_token.value), hs_span_buf(&keeper->rejected))) {
        hs_access_token_clear(&keeper->current);
        keeper->current = cached.access_token;
        cached.access_token = (struct hs_access_token){0};
    }
    (void)pthread_mutex_unlock(&keeper->state);
    hs_cached_access_token_clear(&cached);
}

static void
save_cached(struct hs_access_token_keeper *keeper)
{
    struct hs_cached_access_token cached = {0};
    hsmart_err reason = {0};
    enum hsmart_code code = HSMART_OK;

    if (keeper->config.cache == NULL)
        return;
    (void)pthread_mutex_lock(&keeper->state);
    if (keeper->current.value.len > 0)
        code = hs_access_token_dup(&keeper->current, &cached.access_token, &reason);
    cached.busy_until_s = keeper->busy_until_s;
    (void)pthread_mutex_unlock(&keeper->state);
    if (code == HSMART_OK)
        code = hs_access_token_cache_save(keeper->config.cache, &cached, &reason);
    if (code != HSMART_OK)
        warn_about_cache(keeper, "written", &reason);
    hs_cached_access_token_clear(&cached);
}

/* `*out_lock` stays -1 without a cache, and where the cache cannot be locked at all. */
static enum hsmart_code
lock_cached(const struct hs_access_token_keeper *keeper, bool has_one, int *out_lock, hsmart_err *err)
{
    unsigned wait_ms = keeper->config.lock_wait_ms != 0 ? keeper->config.lock_wait_ms : LOCK_WAIT_DEFAULT_MS;
    hsmart_err reason = {0};

    if (keeper->config.cache == NULL)
        return HSMART_OK;
    enum hsmart_code code = hs_access_token_cache_lock(keeper->config.cache, has_one ? 0 : wait_ms, out_lock, &reason);
    if (code == HSMART_OUTPUT_FAILED) {
        warn_about_cache(keeper, "locked", &reason);
        return HSMART_OK;
    }
    if (code != HSMART_OK && err != NULL)
        *err = reason;
    return code;
}

/* ---- A new access token; one thread at a time (`flight` is held) ---- */

static enum hsmart_code
refuse_while_busy(struct hs_access_token_keeper *keeper, hsmart_err *err)
{
    int64_t left_s = keeper->busy_until_s - now_s(keeper);

    if (left_s <= 0 || left_s > BUSY_MAX_S)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_SERVER_BUSY, "the server wants no request for another %lld s", (long long)left_s);
    hs_err_hint(err, "its last answer was 429, or named that time; ask for access tokens less often");
    return HSMART_SERVER_BUSY;
}

static void
keep(struct hs_access_token_keeper *keeper, struct hs_access_token *access_token)
{
    (void)pthread_mutex_lock(&keeper->state);
    if (!keeper->config.use_refresh_token)
        hs_buf_clear(&access_token->refresh_token);
    else if (access_token->refresh_token.len == 0) /* RFC 6749 section 6: the old one goes on */
        hs_buf_move(&keeper->current.refresh_token, &access_token->refresh_token);
    hs_access_token_clear(&keeper->current);
    keeper->current = *access_token;
    *access_token = (struct hs_access_token){0};
    keeper->busy_until_s = 0;
    (void)pthread_mutex_unlock(&keeper->state);
}

static enum hsmart_code
issue(struct hs_access_token_keeper *keeper, bool patient, hsmart_err *err)
{
    const struct hs_access_token_issuer *issuer = &keeper->config.issuer;
    struct hs_access_token access_token = {0};
    struct hs_buf refresh_token = {0};
    int64_t busy_s = 0;
    enum hsmart_code code = HSMART_OK;

    (void)pthread_mutex_lock(&keeper->state);
    if (keeper->config.use_refresh_token)
        code = hs_buf_append(&refresh_token, hs_span_buf(&keeper->current.refresh_token), err);
    (void)pthread_mutex_unlock(&keeper->state);
    if (code == HSMART_OK)
        code = issuer->issue(issuer->arg, hs_span_buf(&refresh_token), patient, &access_token, &busy_s, err);
    if (code == HSMART_OK)
        keep(keeper, &access_token);
    else if (busy_s > 0)
        keeper->busy_until_s = now_s(keeper) + busy_s;
    if (code == HSMART_OK || busy_s > 0)
        save_cached(keeper);
    hs_buf_clear(&refresh_token);
    hs_access_token_clear(&access_token);
    return code;
}

/* One that is good for as long as asked is not given up because the next one cannot be had. */
static enum hsmart_code
renew_early(struct hs_access_token_keeper *keeper)
{
    hsmart_err reason = {0};

    if (now_s(keeper) < keeper->quiet_until_s || refuse_while_busy(keeper, &reason) != HSMART_OK)
        return HSMART_OK;
    if (issue(keeper, false, &reason) != HSMART_OK) {
        keeper->quiet_until_s = now_s(keeper) + QUIET_AFTER_FAILURE_S;
        hs_log_warning(&keeper->config.log, "the access token could not be renewed, the old one is used for now: %s",
                       reason.text);
    }
    return HSMART_OK;
}

static enum hsmart_code
fly(struct hs_access_token_keeper *keeper, int64_t need_s, hsmart_err *err)
{
    enum hsmart_code code;
    int lock = -1;

    adopt_cached(keeper);
    if (standing_now(keeper, need_s) == FRESH || standing_now(keeper, need_s) == TOO_SHORT)
        return HSMART_OK;
    bool has_one = standing_now(keeper, need_s) == ENDING;
    code = lock_cached(keeper, has_one, &lock, err);
    if (code != HSMART_OK)
        return has_one ? HSMART_OK : code; /* another process is renewing it */

    adopt_cached(keeper);
    switch (standing_now(keeper, need_s)) {
    case FRESH:
    case TOO_SHORT:
        break;
    case ENDING:
        code = renew_early(keeper);
        break;
    case GONE:
        code = refuse_while_busy(keeper, err);
        if (code == HSMART_OK)
            code = issue(keeper, true, err);
        break;
    }
    if (lock >= 0)
        hs_access_token_cache_unlock(lock);
    return code;
}

static void
end_flight(struct hs_access_token_keeper *keeper, enum hsmart_code code, const hsmart_err *reason)
{
    (void)pthread_mutex_lock(&keeper->state);
    keeper->flights++;
    keeper->failure = code != HSMART_OK ? *reason : (hsmart_err){0};
    keeper->failure.code = code;
    (void)pthread_mutex_unlock(&keeper->state);
}

/* Waits for a flight that is under way, and takes its result, or makes one. */
static enum hsmart_code
join_or_fly(struct hs_access_token_keeper *keeper, int64_t need_s, unsigned long flights_seen, bool has_one,
            hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    hsmart_err reason = {0};

    if (!has_one)
        (void)pthread_mutex_lock(&keeper->flight);
    else if (pthread_mutex_trylock(&keeper->flight) != 0)
        return HSMART_OK;

    bool waited = keeper->flights != flights_seen;
    if (waited && keeper->failure.code != HSMART_OK) {
        reason = keeper->failure; /* a hundred threads ask once, not a hundred times */
        code = reason.code;
    } else if (standing_now(keeper, need_s) != FRESH) {
        code = fly(keeper, need_s, &reason);
        end_flight(keeper, code, &reason);
    }
    (void)pthread_mutex_unlock(&keeper->flight);
    if (code != HSMART_OK && err != NULL)
        *err = reason;
    return code;
}

/* ---- The keeper ---- */

enum hsmart_code
hs_access_token_keeper_new(const struct hs_access_token_config *config, struct hs_access_token_keeper **out_keeper,
                           hsmart_err *err)
{
    struct hs_access_token_keeper *keeper = hs_calloc(1, sizeof *keeper);

    if (keeper == NULL)
        return hs_err_no_memory(err);
    keeper->config = *config;
    (void)pthread_mutex_init(&keeper->flight, NULL);
    (void)pthread_mutex_init(&keeper->state, NULL);
    *out_keeper = keeper;
    return HSMART_OK;
}

void
hs_access_token_keeper_free(struct hs_access_token_keeper *keeper)
{
    if (keeper == NULL)
        return;
    hs_access_token_clear(&keeper->current);
    hs_buf_clear(&keeper->rejected);
    (void)pthread_mutex_destroy(&keeper->state);
    (void)pthread_mutex_destroy(&keeper->flight);
    hs_free(keeper);
}

enum hsmart_code
hs_access_token_get(struct hs_access_token_keeper *keeper, unsigned min_validity_s,
                    struct hs_access_token *out_access_token, hsmart_err *err)
{
    enum hsmart_code code;
    int64_t need_s = min_validity_s != 0 ? min_validity_s : 1;
    enum standing standing = GONE;
    unsigned long flights = 0;
    struct hs_access_token found = {0};

    code = look(keeper, need_s, &standing, &flights, &found, err);
    for (unsigned rounds = 0; code == HSMART_OK && standing != FRESH && rounds < ROUNDS_MAX; rounds++) {
        bool has_one = standing == ENDING;
        code = join_or_fly(keeper, need_s, flights, has_one, err);
        if (code == HSMART_OK)
            code = look(keeper, need_s, &standing, &flights, &found, err);
        if (has_one || standing == ENDING)
            break;
    }
    if (code == HSMART_OK && standing == GONE)
        code = tell_gone(keeper, need_s, err);
    if (code != HSMART_OK)
        goto out;
    hs_access_token_clear(out_access_token);
    *out_access_token = found;
    found = (struct hs_access_token){0};
out:
    hs_access_token_clear(&found);
    return code;
}

/* The cache is read all the same: it knows whether the server wants a request, and a refresh token. */
enum hsmart_code
hs_access_token_renew(struct hs_access_token_keeper *keeper, struct hs_access_token *out_access_token, hsmart_err *err)
{
    enum hsmart_code code;
    int lock = -1;
    hsmart_err reason = {0};

    (void)pthread_mutex_lock(&keeper->flight);
    code = lock_cached(keeper, false, &lock, &reason);
    if (code == HSMART_OK) {
        adopt_cached(keeper);
        code = refuse_while_busy(keeper, &reason);
    }
    if (code == HSMART_OK)
        code = issue(keeper, true, &reason);
    if (lock >= 0)
        hs_access_token_cache_unlock(lock);
    end_flight(keeper, code, &reason);
    (void)pthread_mutex_unlock(&keeper->flight);
    if (code != HSMART_OK && err != NULL)
        *err = reason;
    return code == HSMART_OK ? hs_access_token_get(keeper, 0, out_access_token, err) : code;
}

void
hs_access_token_reject(struct hs_access_token_keeper *keeper, struct hs_span value)
{
    (void)pthread_mutex_lock(&keeper->state);
    hs_buf_clear(&keeper->rejected);
    (void)!hs_buf_append(&keeper->rejected, value, NULL); /* without it the cache's file is removed all the same */
    if (hs_span_equal(hs_span_buf(&keeper->current.value), value))
        hs_access_token_clear(&keeper->current);
    (void)pthread_mutex_unlock(&keeper->state);
    if (keeper->config.cache != NULL)
        hs_access_token_cache_forget(keeper->config.cache, value);
}
