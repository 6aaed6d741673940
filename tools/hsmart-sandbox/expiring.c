#include "expiring.h"

#include <openssl/crypto.h>

#include "alg.h"
#include "err.h"

struct expiring_entry {
    struct expiring_entry *next;
    struct digest digest;
    int64_t expires_at_s;
    void *value;
};

enum hsmart_code
digest_of(struct hs_span first, struct hs_span second, struct digest *out_digest, hsmart_err *err)
{
    uint8_t bytes[HS_HASH_MAX];
    struct hs_buf text = {0};
    enum hsmart_code code = hs_buf_append_format(&text, err, "%zu:", first.len);

    if (code == HSMART_OK)
        code = hs_buf_append(&text, first, err);
    if (code == HSMART_OK)
        code = hs_buf_append(&text, second, err);
    if (code == HSMART_OK)
        code = hs_alg_digest(hs_alg_by_name("RS256"), hs_span_buf(&text), bytes, err);
    if (code == HSMART_OK)
        memcpy(out_digest->bytes, bytes, DIGEST_LEN);
    hs_buf_clear(&text);
    return code;
}

static size_t
bucket_of(const struct digest *digest)
{
    return (digest->bytes[0] | (size_t)digest->bytes[1] << 8) % EXPIRING_BUCKETS;
}

static void
entry_free(struct expiring_entry *entry)
{
    hs_free(entry->value);
    hs_free(entry);
}

static void
drop_expired(struct expiring *expiring, size_t bucket, int64_t now_s)
{
    struct expiring_entry **link = &expiring->buckets[bucket];

    while (*link != NULL) {
        struct expiring_entry *entry = *link;
        if (entry->expires_at_s > now_s) {
            link = &entry->next;
            continue;
        }
        *link = entry->next;
        entry_free(entry);
        expiring->count--;
    }
}

static struct expiring_entry *
find(const struct expiring *expiring, const struct digest *digest)
{
    struct expiring_entry *entry = expiring->buckets[bucket_of(digest)];

    while (entry != NULL && CRYPTO_memcmp(entry->digest.bytes, digest->bytes, DIGEST_LEN) != 0)
        entry = entry->next;
    return entry;
}

enum hsmart_code
expiring_add(struct expiring *expiring, const struct digest *digest, int64_t expires_at_s, int64_t now_s, void *value,
             bool *out_is_new, hsmart_err *err)
{
    size_t bucket = bucket_of(digest);

    drop_expired(expiring, bucket, now_s);
    if (find(expiring, digest) != NULL) {
        *out_is_new = false;
        return HSMART_OK;
    }
    for (size_t i = 0; i < EXPIRING_BUCKETS && expiring->count >= expiring->max_count; i++)
        drop_expired(expiring, i, now_s);
    if (expiring->count >= expiring->max_count)
        return hs_err_set(err, HSMART_SERVER_BUSY, "there is room for %zu only", expiring->max_count);

    struct expiring_entry *entry = hs_calloc(1, sizeof *entry);
    if (entry == NULL)
        return hs_err_no_memory(err);
    *entry = (struct expiring_entry){expiring->buckets[bucket], *digest, expires_at_s, value};
    expiring->buckets[bucket] = entry;
    expiring->count++;
    *out_is_new = true;
    return HSMART_OK;
}

bool
expiring_find(const struct expiring *expiring, const struct digest *digest, int64_t now_s, void **out_value,
              bool *out_expired)
{
    const struct expiring_entry *entry = find(expiring, digest);
    bool is_live = entry != NULL && entry->expires_at_s > now_s;

    if (out_expired != NULL)
        *out_expired = entry != NULL && !is_live;
    if (is_live && out_value != NULL)
        *out_value = entry->value;
    return is_live;
}

void
expiring_clear(struct expiring *expiring)
{
    for (size_t i = 0; i < EXPIRING_BUCKETS; i++)
        drop_expired(expiring, i, INT64_MAX);
}
