#include "jwks_source.h"

#include "err.h"
#include "json.h"

static enum hsmart_code
make_lock(struct jwks_source *source, hsmart_err *err)
{
    if (pthread_mutex_init(&source->lock, NULL) != 0)
        return hs_err_no_memory(err);
    source->has_lock = true;
    return HSMART_OK;
}

enum hsmart_code
jwks_source_set_value(struct jwks_source *source, struct hs_span jwks, hsmart_err *err)
{
    enum hsmart_code code = hs_buf_append(&source->text, jwks, err);

    return code == HSMART_OK ? make_lock(source, err) : code;
}

enum hsmart_code
jwks_source_set_url(struct jwks_source *source, const char *url, hsmart_err *err)
{
    enum hsmart_code code = hs_strdup(url, &source->url, err);

    return code == HSMART_OK ? make_lock(source, err) : code;
}

void
jwks_source_clear(struct jwks_source *source)
{
    if (source->has_lock)
        (void)pthread_mutex_destroy(&source->lock);
    hs_string_free(source->url);
    hs_buf_clear(&source->text);
    *source = (struct jwks_source){0};
}

static bool
has_kid(struct hs_span jwks, struct hs_span kid)
{
    struct hs_json_doc doc = {0};
    bool is_there = false;

    if (hs_json_parse(jwks, &doc, NULL) != HSMART_OK)
        return false;
    const hs_json_value *keys = hs_json_member(doc.root, "keys");
    for (size_t i = 0; i < hs_json_length(keys) && !is_there; i++)
        is_there = hs_span_equal(hs_json_string(hs_json_member(hs_json_element(keys, i), "kid")), kid);
    hs_json_doc_clear(&doc);
    return is_there;
}

static bool
must_read(const struct jwks_source *source, struct hs_span kid, int64_t now_s, const struct jwks_policy *policy)
{
    if (source->url == NULL)
        return false;
    if (source->text.len == 0 || now_s >= source->fresh_until_s || now_s < source->read_at_s)
        return true;
    return !policy->never_reread && kid.len > 0 && now_s - source->read_at_s >= (int64_t)policy->reread_s &&
           !has_kid(hs_span_buf(&source->text), kid);
}

static int64_t
life_of(const struct hs_http_response *response, const struct jwks_policy *policy)
{
    int64_t life_s = hs_http_cache_life_s(response);
    int64_t max_s = policy->life_max_s != 0 ? policy->life_max_s : JWKS_LIFE_MAX_S;

    if (life_s < 0)
        life_s = JWKS_LIFE_DEFAULT_S;
    return life_s < max_s ? life_s : max_s;
}

static enum hsmart_code
fetch(struct jwks_source *source, struct hs_http *http, int64_t now_s, const struct jwks_policy *policy,
      hsmart_err *err)
{
    struct hs_http_response response = {0};
    const struct hs_http_request request = {
        .method = "GET",
        .url = source->url,
        .headers = {{"Accept", "application/json"}},
        .max_response_len = JWKS_MAX_LEN,
        .timeout_ms = JWKS_TIMEOUT_MS,
    };
    enum hsmart_code code = hs_http_exchange(http, &request, &response, err);

    if (code == HSMART_OK && response.status != 200)
        code = hs_err_set(err, HSMART_SERVER_FAILED, "the JWKS URL answered with status %d", response.status);
    if (code == HSMART_OK) {
        hs_buf_move(&response.body, &source->text);
        source->read_at_s = now_s;
        source->fresh_until_s = now_s + life_of(&response, policy);
    }
    hs_http_response_clear(&response);
    return code;
}

enum hsmart_code
jwks_source_get(struct jwks_source *source, struct hs_http *http, struct hs_span kid, int64_t now_s,
                const struct jwks_policy *policy, struct hs_buf *out_text, bool *out_was_read, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    (void)pthread_mutex_lock(&source->lock);
    *out_was_read = must_read(source, kid, now_s, policy);
    if (*out_was_read)
        code = fetch(source, http, now_s, policy, err);
    if (code == HSMART_OK)
        code = hs_buf_append(out_text, hs_span_buf(&source->text), err);
    (void)pthread_mutex_unlock(&source->lock);
    return code;
}

void
jwks_source_expire(struct jwks_source *source)
{
    (void)pthread_mutex_lock(&source->lock);
    source->fresh_until_s = 0;
    (void)pthread_mutex_unlock(&source->lock);
}
