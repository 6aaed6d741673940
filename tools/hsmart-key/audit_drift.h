/* Drift: whether a token, the records of ceremonies, the published key set and the configuration tell the same of the
 * keys. */
#ifndef HSMART_KEY_AUDIT_DRIFT_H
#define HSMART_KEY_AUDIT_DRIFT_H

#include "http.h"
#include "target.h"

/* Where a key is known. */
enum drift_place { DRIFT_TOKEN = 1, DRIFT_RECORDS = 2, DRIFT_PUBLISHED = 4, DRIFT_CONFIG = 8 };

struct drift_options {
    const char *records; /* a directory; NULL: not compared */
    const char *jwks;    /* a file or URL; NULL: not compared */
    const char *ca_file;
};

/* One difference. `rule` and `cure` are static; `text` is for people. */
struct drift_finding {
    const char *rule, *cure;
    char *text, *kid;
};
/* Zero is valid and empty. */
struct drift {
    unsigned compared; /* of enum drift_place */
    struct drift_finding *findings;
    size_t count;
};

/* Compares what is given; the configuration where the target has one. Errors are those of reading. */
HSMART_MUST_CHECK enum hsmart_code drift_find(const struct drift_options *options, const struct target *target,
                                              hsmart_key *const *keys, size_t key_count, struct drift *out_drift,
                                              hsmart_err *err);
void drift_clear(struct drift *drift);

#endif
