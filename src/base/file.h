/* Files: bounded reading, and writing that is complete or has not happened. */
#ifndef HS_FILE_H
#define HS_FILE_H

#include <limits.h>

#include "bytes.h"

/* Reads a whole file ("-": standard input) of at most `max_len` bytes into `out`. HSMART_FILE_UNREADABLE, or
 * HSMART_INPUT_MALFORMED when it is longer. */
HSMART_MUST_CHECK enum hsmart_code hs_file_read(const char *path, size_t max_len, struct hs_buf *out, hsmart_err *err);
/* The same from a descriptor, which stays open; `name` is for messages. */
HSMART_MUST_CHECK enum hsmart_code hs_file_read_fd(int fd, const char *name, size_t max_len, struct hs_buf *out,
                                                   hsmart_err *err);
/* The same for a secret: a regular file that belongs to this user or root and that no other may read or write.
 * HSMART_PIN_UNAVAILABLE otherwise. */
HSMART_MUST_CHECK enum hsmart_code hs_file_read_secret(const char *path, size_t max_len, struct hs_buf *out,
                                                       hsmart_err *err);
/* Replaces `path` by a file with these contents and this mode: written beside it, synced, renamed. On failure what
 * was there is unchanged and nothing is left beside it. A symbolic link is followed, so that the file it points to
 * is replaced; what is not a regular file (a pipe, /dev/stdout) is written to as it is. HSMART_OUTPUT_FAILED.
 * When its directory cannot be synced, that is an error too, though the new file is in its place. */
HSMART_MUST_CHECK enum hsmart_code hs_file_write_atomic(const char *path, struct hs_span contents, unsigned mode,
                                                        hsmart_err *err);
/* The same in two steps, for what must not be lost once it is there: `hs_file_draft_begin` makes the file beside `path`
 * with room for `room` bytes, `hs_file_draft_end` writes it and puts it in its place. A draft that was begun and not
 * ended is given up by `hs_file_draft_clear`, which may always follow. None of this takes memory: an end can be written
 * down when there is none left. */
struct hs_file_draft {
    const char *path;           /* borrowed */
    char target[PATH_MAX];      /* what a link leads to */
    char beside[PATH_MAX + 16]; /* the file until it is in its place */
    int fd;
    bool is_open, is_beside; /* not beside: what is no regular file is written as it is */
};
HSMART_MUST_CHECK enum hsmart_code hs_file_draft_begin(const char *path, size_t room, unsigned mode,
                                                       struct hs_file_draft *out_draft, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_file_draft_end(struct hs_file_draft *draft, struct hs_span contents,
                                                     hsmart_err *err);
void hs_file_draft_clear(struct hs_file_draft *draft);

/* Makes the name `path` itself survive a power cut: the directory that it stands in is synced, as far as it may be read
 * and its file system can do that. HSMART_OUTPUT_FAILED when the disk fails. */
HSMART_MUST_CHECK enum hsmart_code hs_file_sync_directory_of(const char *path, hsmart_err *err);
/* Writes everything, whatever the kernel takes at a time. `name` is for messages. */
HSMART_MUST_CHECK enum hsmart_code hs_file_write_fd(int fd, const char *name, struct hs_span contents, hsmart_err *err);

#endif
