/* Things that are remembered for a while, found by a digest: access tokens, and the jtis that were used. */
#ifndef SANDBOX_EXPIRING_H
#define SANDBOX_EXPIRING_H

#include "bytes.h"

#define DIGEST_LEN 32U /* SHA-256 */
struct digest {
    uint8_t bytes[DIGEST_LEN];
};
/* Of both texts, told apart. What is secret is only ever kept as a digest. */
enum hsmart_code digest_of(struct hs_span first, struct hs_span second, struct digest *out_digest, hsmart_err *err);

struct expiring_entry;
#define EXPIRING_BUCKETS 1024U
/* Zero with `max_count` set. Not locked: that is for the owner. */
struct expiring {
    struct expiring_entry *buckets[EXPIRING_BUCKETS];
    size_t count, max_count;
};
/* Remembers `value` (one block of hs_calloc, or NULL), which is taken over on success. `*out_is_new` is false, and
 * nothing is changed, when there is an entry already that has not expired. HSMART_SERVER_BUSY when there is no room. */
enum hsmart_code expiring_add(struct expiring *expiring, const struct digest *digest, int64_t expires_at_s,
                              int64_t now_s, void *value, bool *out_is_new, hsmart_err *err);
/* Whether it is there; `out_value` (may be NULL) is borrowed. An expired one is told by `*out_expired` (may be NULL) as
 * long as its place was not needed. */
bool expiring_find(const struct expiring *expiring, const struct digest *digest, int64_t now_s, void **out_value,
                   bool *out_expired);
void expiring_clear(struct expiring *expiring);

#endif
