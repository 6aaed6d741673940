/* Files that say what is run: read only when nobody else could have written them. */
#ifndef HS_TRUSTED_FILE_H
#define HS_TRUSTED_FILE_H

#include "bytes.h"

/* Reads a whole file of at most `max_len` bytes into `out`, if only this user and root can change it or put another in
 * its place. That is asked of the file, of every directory on the way to it and of every symbolic link that is
 * followed:
 *   - the file and the links belong to this user or root;
 *   - neither file nor directories may be written by others. A group does not count as others when its number is that
 *     of the owner: it is the owner's private group, as Debian makes them. In a sticky directory (/tmp) others can
 *     touch only what is theirs, so it may be written;
 *   - the file is a regular file (a FIFO would hang, a device never end) or /dev/null, which reads as empty.
 * A directory that belongs to a third user is common where root works in a checkout or a container's volume; it is told
 * in `out_caveat` (empty when there is nothing to tell), not refused.
 *
 * HSMART_FILE_UNREADABLE, with a hint, or HSMART_INPUT_MALFORMED when it is longer; the outputs are untouched then. */
HSMART_MUST_CHECK enum hsmart_code hs_trusted_file_read(const char *path, size_t max_len, struct hs_buf *out,
                                                        struct hs_buf *out_caveat, hsmart_err *err);

#endif
