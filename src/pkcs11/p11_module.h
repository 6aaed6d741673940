/* The loaded PKCS#11 module: the one piece of process-wide state, with one owner. */
#ifndef HS_P11_MODULE_H
#define HS_P11_MODULE_H

#include <p11-kit/pkcs11.h>

#include "bytes.h"
#include "log.h"

/* A holder of a module that can make room for its restart by another one. All three run on the other holder's thread.
 */
struct hs_p11_module_user {
    /* Closes its sessions and begins no call until `resume`; false, and all as it was, when it is inside the module. */
    bool (*vacate)(void *arg);
    void (*resume)(void *arg);
    void *arg;
    bool vacated; /* private to p11_module.c, like `next` */
    struct hs_p11_module_user *next;
};

/* Loaded once per process and library, shared by reference count, finalised when the last holder lets go. */
struct hs_p11_module {
    CK_FUNCTION_LIST *p11;
    CK_INFO info;
    char *path;
    bool single_threaded; /* it cannot lock: one holder, and one call at a time */
    unsigned quirks;      /* of the rows that match path and library; before any setting of the user's */
    /* private to p11_module.c from here */
    void *handle;
    char *init_string;
    unsigned reference_count;
    bool initialized, initialized_by_us, initialized_by_others;
    bool changing; /* somebody starts, restarts or ends it */
    unsigned long fork_generation;
    struct hs_p11_module_user *users;
    struct hs_p11_module *next;
};

/* What joins does so after opening the module, and leaves before it is freed, which waits for a restart under way. */
void hs_p11_module_join(struct hs_p11_module *module, struct hs_p11_module_user *user);
void hs_p11_module_leave(struct hs_p11_module *module, struct hs_p11_module_user *user);

/* Every function that hsmart calls, but for those of the attack (p11_attack.c). By the standard a module has a stub for
 * what it does not support; one that has nothing in the place of a function needed to sign is refused. */
struct hs_p11_function {
    const char *name; /* "C_Sign" */
    size_t offset;    /* in a CK_FUNCTION_LIST */
    bool to_sign;     /* else: to make and destroy keys and tokens */
};
extern const struct hs_p11_function hs_p11_functions[];
extern const size_t hs_p11_function_count;

/* `path` is absolute (HSMART_INVALID_ARGUMENT otherwise); `init_string` goes to C_Initialize as pReserved. Opening a
 * module that is open with another init string is HSMART_INVALID_ARGUMENT. HSMART_MODULE_UNUSABLE tells a missing
 * file, one that is no shared library, one that is no PKCS#11 module, a failing C_Initialize, and a second holder of a
 * module that cannot lock apart. A module that another thread is starting, restarting or ending is waited for until
 * `deadline_ms` (HSMART_TOKEN_BUSY then); other modules are not. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_module_open(const char *path, const char *init_string, int64_t deadline_ms,
                                                      const struct hs_log *log, struct hs_p11_module **out_module,
                                                      hsmart_err *err);
#define HS_P11_MODULE_WAIT_MS 30000 /* where no deadline is nearer */
void hs_p11_module_close(struct hs_p11_module *module);

/* After a fork nothing of a module that the parent opened may be called in the child; `hs_p11_module_close` knows. */
bool hs_p11_module_is_from_before_fork(const struct hs_p11_module *module);

/* C_Finalize and C_Initialize again, to see the slots anew; only while nobody is inside the module: `self` is not, the
 * other users vacate it. Refused with HSMART_TOKEN_BUSY while one cannot, while it has a holder that is no user (a list
 * of tokens being read), or when another part of the program initialised it and did not finalise it. A restart by
 * another user is waited for until `deadline_ms`: then HSMART_TOKEN_FAILED, and the module must not be called. When
 * C_Initialize fails the module is finalised, and the next restart or opening tries again. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_module_restart(struct hs_p11_module *module,
                                                         const struct hs_p11_module_user *self, int64_t deadline_ms,
                                                         hsmart_err *err);

/* The turn-taking of HS_QUIRK_SERIAL_START: an advisory lock on the module's own file (readable by every user of it,
 * freed by the kernel however a process ends). Waits at most `wait_ms`, and never more than a few seconds, then goes on
 * without: the lock makes false answers rare, the retry makes them harmless. Returns a descriptor for
 * `hs_p11_turn_end`, or -1. */
int hs_p11_turn_begin(const char *module_path, int64_t wait_ms, const struct hs_log *log);
#define HS_P11_TURN_WAIT_MS 5000
void hs_p11_turn_end(int turn);

#endif
