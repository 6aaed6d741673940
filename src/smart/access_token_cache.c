#include "access_token_cache.h"

#include "err.h"
#include "json.h"

#define FILE_MAX_LEN (512U << 10)
#define FORMAT 1

struct hs_access_token_cache {
    struct hs_private_directory directory;
    char *name;
};

enum hsmart_code
hs_access_token_cache_new(struct hs_private_directory *directory, struct hs_span identity,
                          struct hs_access_token_cache **out_cache, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_access_token_cache *cache = hs_calloc(1, sizeof *cache);

    if (cache == NULL)
        return hs_err_no_memory(err);
    code = hs_private_name("access-token-", identity, &cache->name, err);
    if (code != HSMART_OK) {
        hs_free(cache);
        return code;
    }
    cache->directory = *directory;
    *directory = (struct hs_private_directory){.fd = -1};
    *out_cache = cache;
    return HSMART_OK;
}

void
hs_access_token_cache_free(struct hs_access_token_cache *cache)
{
    if (cache == NULL)
        return;
    hs_private_directory_close(&cache->directory);
    hs_string_free(cache->name);
    hs_free(cache);
}

void
hs_cached_access_token_clear(struct hs_cached_access_token *cached)
{
    hs_access_token_clear(&cached->access_token);
    cached->busy_until_s = 0;
}

/* ---- The file: one JSON object ---- */

/* Times that make sense: a file may be damaged, and a clock may have been anywhere. */
static bool
has_sound_times(int64_t sent_at_s, int64_t expires_at_s)
{
    return sent_at_s > 0 && expires_at_s >= sent_at_s && expires_at_s - sent_at_s <= HS_ACCESS_TOKEN_LIFE_MAX_S;
}

static enum hsmart_code
parse(const struct hs_access_token_cache *cache, struct hs_span text, struct hs_cached_access_token *out_cached,
      hsmart_err *err)
{
    struct hs_json_doc doc = {0};
    struct hs_cached_access_token cached = {0};
    struct hs_access_token *access_token = &cached.access_token;
    enum hsmart_code code = HSMART_OK;

    /* A file that was copied from another client's is not for this one. */
    if (hs_json_parse(text, &doc, NULL) != HSMART_OK || hs_json_integer(hs_json_member(doc.root, "format")) != FORMAT ||
        !hs_span_equal_str(hs_json_string(hs_json_member(doc.root, "name")), cache->name))
        goto out;
    cached.busy_until_s = hs_json_integer(hs_json_member(doc.root, "busy_until"));
    if (cached.busy_until_s < 0)
        cached.busy_until_s = 0;
    access_token->sent_at_s = hs_json_integer(hs_json_member(doc.root, "sent_at"));
    access_token->expires_at_s = hs_json_integer(hs_json_member(doc.root, "expires_at"));
    if (!has_sound_times(access_token->sent_at_s, access_token->expires_at_s)) {
        access_token->sent_at_s = access_token->expires_at_s = 0;
    } else if (hs_is_b64token(hs_json_string(hs_json_member(doc.root, "access_token")))) {
        code = hs_buf_append(&access_token->value, hs_json_string(hs_json_member(doc.root, "access_token")), err);
        if (code == HSMART_OK)
            code = hs_buf_append(&access_token->refresh_token,
                                 hs_json_string(hs_json_member(doc.root, "refresh_token")), err);
        if (code == HSMART_OK)
            code = hs_strdup_or_null(hs_json_text(hs_json_member(doc.root, "scope")), &access_token->scope, err);
    }
    if (code != HSMART_OK)
        goto out;
    *out_cached = cached;
    cached = (struct hs_cached_access_token){0};
out:
    hs_cached_access_token_clear(&cached);
    hs_json_wipe(hs_json_member(doc.root, "access_token"));
    hs_json_wipe(hs_json_member(doc.root, "refresh_token"));
    hs_json_doc_clear(&doc);
    return code;
}

static enum hsmart_code
format(const struct hs_access_token_cache *cache, const struct hs_cached_access_token *cached, struct hs_buf *out,
       hsmart_err *err)
{
    const struct hs_access_token *access_token = &cached->access_token;
    struct hs_json_writer writer = {.out = out};

    hs_json_begin_object(&writer);
    hs_json_member_integer(&writer, "format", FORMAT);
    hs_json_member_text(&writer, "name", cache->name);
    if (access_token->value.len > 0) {
        hs_json_name(&writer, "access_token");
        hs_json_put_span(&writer, hs_span_buf(&access_token->value));
        hs_json_member_integer(&writer, "sent_at", access_token->sent_at_s);
        hs_json_member_integer(&writer, "expires_at", access_token->expires_at_s);
        if (access_token->scope != NULL)
            hs_json_member_text(&writer, "scope", access_token->scope);
        if (access_token->refresh_token.len > 0) {
            hs_json_name(&writer, "refresh_token");
            hs_json_put_span(&writer, hs_span_buf(&access_token->refresh_token));
        }
    }
    if (cached->busy_until_s != 0)
        hs_json_member_integer(&writer, "busy_until", cached->busy_until_s);
    hs_json_end_object(&writer);
    return hs_json_writer_finish(&writer, err);
}

enum hsmart_code
hs_access_token_cache_load(const struct hs_access_token_cache *cache, struct hs_cached_access_token *out_cached,
                           hsmart_err *err)
{
    struct hs_buf text = {0};
    struct hs_cached_access_token cached = {0};
    enum hsmart_code code = hs_private_directory_load(&cache->directory, cache->name, FILE_MAX_LEN, &text, err);

    if (code == HSMART_OK && text.len > 0)
        code = parse(cache, hs_span_buf(&text), &cached, err);
    if (code == HSMART_OK) {
        hs_cached_access_token_clear(out_cached);
        *out_cached = cached;
    }
    hs_buf_clear(&text);
    return code;
}

enum hsmart_code
hs_access_token_cache_save(const struct hs_access_token_cache *cache, const struct hs_cached_access_token *cached,
                           hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = format(cache, cached, &text, err);

    if (code == HSMART_OK)
        code = hs_private_directory_save(&cache->directory, cache->name, hs_span_buf(&text), err);
    hs_buf_clear(&text);
    return code;
}

enum hsmart_code
hs_access_token_cache_lock(const struct hs_access_token_cache *cache, int64_t wait_ms, int *out_lock, hsmart_err *err)
{
    return hs_private_directory_lock(&cache->directory, cache->name, wait_ms, out_lock, err);
}

void
hs_access_token_cache_unlock(int lock)
{
    hs_private_directory_unlock(lock);
}

void
hs_access_token_cache_forget(const struct hs_access_token_cache *cache, struct hs_span value)
{
    struct hs_cached_access_token cached = {0};

    if (hs_access_token_cache_load(cache, &cached, NULL) == HSMART_OK &&
        hs_span_equal(hs_span_buf(&cached.access_token.value), value))
        hs_private_directory_remove(&cache->directory, cache->name);
    hs_cached_access_token_clear(&cached);
}
