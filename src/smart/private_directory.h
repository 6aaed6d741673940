/* A directory that only its owner can look into, with files that are replaced whole and locks beside them. */
#ifndef HS_PRIVATE_DIRECTORY_H
#define HS_PRIVATE_DIRECTORY_H

#include "bytes.h"

struct hs_private_directory {
    int fd; /* -1: not open */
    char *path;
};
/* Opens, and makes where it is missing, the first that can be had of: `given` alone when it is not NULL;
 * $XDG_RUNTIME_DIR/hsmart; $RUNTIME_DIRECTORY/hsmart (a systemd service's); /run/user/UID/hsmart; hsmart-UID in
 * the directory for temporary files. HSMART_OUTPUT_FAILED when it is a link, belongs to another user or is open to
 * others: the files in it hold secrets. */
HSMART_MUST_CHECK enum hsmart_code hs_private_directory_open(const char *given,
                                                             struct hs_private_directory *out_directory,
                                                             hsmart_err *err);
void hs_private_directory_close(struct hs_private_directory *directory);

/* Reads a file of this directory; an absent one gives the empty buffer. A file that is not a regular one of this
 * owner is refused. */
HSMART_MUST_CHECK enum hsmart_code hs_private_directory_load(const struct hs_private_directory *directory,
                                                             const char *name, size_t max_len, struct hs_buf *out,
                                                             hsmart_err *err);
/* Replaces a file, mode 0600. A power cut may lose it: these are caches. */
HSMART_MUST_CHECK enum hsmart_code hs_private_directory_save(const struct hs_private_directory *directory,
                                                             const char *name, struct hs_span contents,
                                                             hsmart_err *err);
void hs_private_directory_remove(const struct hs_private_directory *directory, const char *name);

/* Takes the exclusive lock NAME.lock, which ends with the process at the latest; `wait_ms` 0: only if it is free.
 * HSMART_SERVER_BUSY when another holds it all that time. */
HSMART_MUST_CHECK enum hsmart_code hs_private_directory_lock(const struct hs_private_directory *directory,
                                                             const char *name, int64_t wait_ms, int *out_lock,
                                                             hsmart_err *err);
void hs_private_directory_unlock(int lock);

/* A file name for any identity: its digest, after `prefix`. */
HSMART_MUST_CHECK enum hsmart_code hs_private_name(const char *prefix, struct hs_span identity, char **out_name,
                                                   hsmart_err *err);

#endif
