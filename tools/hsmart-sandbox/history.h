/* What was asked of the sandbox lately, so that a test can look at what a client did; and what Inferno's client suite
 * would say of it. */
#ifndef SANDBOX_HISTORY_H
#define SANDBOX_HISTORY_H

#include "bytes.h"
#include "json.h"

/* What Inferno's client suite looks at in a backend client (SMART App Launch test kit, smart_client_stu2_2). */
enum inferno_check {
    INFERNO_REGISTERED_KEYS,
    INFERNO_GRANT_TYPE,
    INFERNO_ASSERTION_TYPE,
    INFERNO_SCOPE,
    INFERNO_TYP,
    INFERNO_ISS,
    INFERNO_SUB,
    INFERNO_AUD,
    INFERNO_EXP,
    INFERNO_JTI,
    INFERNO_JTI_NEW,
    INFERNO_ALG,
    INFERNO_KID,
    INFERNO_KEY_FOUND,
    INFERNO_SIGNATURE,
    INFERNO_NO_REFRESH,
    INFERNO_TOKEN_USED,
    INFERNO_CHECKS
};
enum inferno_verdict {
    INFERNO_NOT_SEEN,
    INFERNO_GOOD,
    INFERNO_BAD,
    INFERNO_SKIPPED, /* it could not be looked at, since something before it was bad */
};

/* What one request showed. */
struct observation {
    enum inferno_verdict verdicts[INFERNO_CHECKS];
};

#define HISTORY_MAX 512U
#define HISTORY_PATH_MAX 128U
#define HISTORY_NOTE_MAX 240U
struct history_entry {
    int64_t at_s;
    char method[12], path[HISTORY_PATH_MAX], note[HISTORY_NOTE_MAX];
    int status;
};
struct history {
    struct history_entry *entries; /* a ring of HISTORY_MAX */
    uint64_t count;                /* since the start; the entry before is the newest */
    unsigned good[INFERNO_CHECKS], bad[INFERNO_CHECKS], skipped[INFERNO_CHECKS];
};
enum hsmart_code history_add(struct history *history, const struct history_entry *entry,
                             const struct observation *observation, hsmart_err *err);
void history_clear(struct history *history);
/* {"count": …, "requests": [ … ]}, oldest first. */
void history_put(const struct history *history, struct hs_json_writer *writer);
/* {"pass": …, "checks": [{"id", "what", "verdict", "good", "bad", "skipped"}, …]} */
void history_put_inferno(const struct history *history, struct hs_json_writer *writer);

#endif
