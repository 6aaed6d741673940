/* One process at a time: who reads a file, changes it and writes it anew holds a lock meanwhile. */
#ifndef HS_FILE_LOCK_H
#define HS_FILE_LOCK_H

#include "bytes.h"

/* Locks the file "PATH.lock", which is made where it is missing and stays: the lock ends with `hs_file_unlock`, or with
 * the process. Waits `wait_ms` at most. `*out_lock` is touched on success only. HSMART_OUTPUT_FAILED  it cannot be
 * made, or another process held it all the time. */
HSMART_MUST_CHECK enum hsmart_code hs_file_lock(const char *path, int64_t wait_ms, int *out_lock, hsmart_err *err);
/* -1: none is held. */
void hs_file_unlock(int lock);

#endif
