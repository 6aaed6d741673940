/* The life-cycle file: what a token cannot keep, and what was seen of the publication. One JSON object, replaced whole.
 */
#ifndef HS_LIFECYCLE_FILE_H
#define HS_LIFECYCLE_FILE_H

#include "lifecycle.h"

struct hs_lifecycle_entry {
    char thumbprint[44];
    hs_day start, end; /* HS_DAY_NONE: none */
    char *url;         /* NULL: never seen */
    int64_t since_s, until_s, max_age_s;
    int64_t changed_s;    /* when a first day was last set from here; 0: never */
    hs_day changed_start; /* that first day; HS_DAY_NONE: none, or not written down */
};
struct hs_lifecycle_file {
    struct hs_lifecycle_entry *entries;
    size_t count;
};
#define HS_LIFECYCLE_ENTRIES_MAX 1000U

/* A file that is not there is empty. HSMART_INPUT_MALFORMED names it. */
HSMART_MUST_CHECK enum hsmart_code hs_lifecycle_file_load(const char *path, struct hs_lifecycle_file *out_file,
                                                          hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_lifecycle_file_save(const struct hs_lifecycle_file *file, const char *path,
                                                          hsmart_err *err);
/* Who loads, changes and saves holds this meanwhile: of two commands at once, none loses what the other wrote. A lock
 * on PATH.lock, beside the file; it waits for seconds. `_unlock` takes -1, too. HSMART_OUTPUT_FAILED. */
HSMART_MUST_CHECK enum hsmart_code hs_lifecycle_file_lock(const char *path, int *out_fd, hsmart_err *err);
void hs_lifecycle_file_unlock(int fd);
void hs_lifecycle_file_clear(struct hs_lifecycle_file *file);
/* The entry of a key; NULL when there is none. `_put` makes one. */
struct hs_lifecycle_entry *hs_lifecycle_file_get(const struct hs_lifecycle_file *file, const char *thumbprint);
HSMART_MUST_CHECK enum hsmart_code hs_lifecycle_file_put(struct hs_lifecycle_file *file, const char *thumbprint,
                                                         struct hs_lifecycle_entry **out_entry, hsmart_err *err);

#endif
