#define _GNU_SOURCE /* flock, pthread_condattr_setclock */
#include "p11_module.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "p11_ckr.h"
#include "p11_quirk.h"

/* The modules of this process. PKCS#11 state is per process and library, so this is the one global that cannot be
 * avoided. After a fork the child's entries are dead: the library's state belongs to the parent.
 *
 * The lock is never held while a module is called, since a call may not come back: who starts, restarts or ends a
 * module marks it `changing` and lets go of the lock. The others of that module wait for `registry_changed`; those of
 * other modules do not notice. */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t loading_lock = PTHREAD_MUTEX_INITIALIZER; /* C_GetFunctionList is not made for two at once */
static pthread_cond_t registry_changed;
static struct hs_p11_module *registry;
static pthread_once_t registry_once = PTHREAD_ONCE_INIT;
static volatile unsigned long fork_generation;

static void
make_condition(void)
{
    pthread_condattr_t attributes;

    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&registry_changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

/* The lock is not taken before a fork: the child wants nothing of the registry. */
static void
after_fork_in_child(void)
{
    fork_generation++;
    registry = NULL; /* what the parent opened is leaked here on purpose: nothing of it may be called any more */
    (void)pthread_mutex_init(&registry_lock, NULL);
    (void)pthread_mutex_init(&loading_lock, NULL);
    make_condition();
}

static void
make_registry(void)
{
    make_condition();
    (void)pthread_atfork(NULL, NULL, after_fork_in_child);
}

/* With the lock held; false when the deadline has passed. */
static bool
wait_for_change(int64_t deadline_ms)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000), .tv_nsec = (long)(deadline_ms % 1000) * 1000000};

    return pthread_cond_timedwait(&registry_changed, &registry_lock, &until) != ETIMEDOUT;
}

/* Until nobody starts, restarts or ends the module, which the caller holds. */
static bool
wait_until_settled(const struct hs_p11_module *module, int64_t deadline_ms)
{
    while (module->changing)
        if (!wait_for_change(deadline_ms))
            return !module->changing;
    return true;
}

/* The module is the caller's alone until `settle`. */
static void
begin_change(struct hs_p11_module *module)
{
    module->changing = true;
    (void)pthread_mutex_unlock(&registry_lock);
}

static void
settle(struct hs_p11_module *module)
{
    (void)pthread_mutex_lock(&registry_lock);
    module->changing = false;
    (void)pthread_cond_broadcast(&registry_changed);
}

bool
hs_p11_module_is_from_before_fork(const struct hs_p11_module *module)
{
    return module->fork_generation != fork_generation;
}

/* ---- Loading ---- */

#define TO_SIGN(name)                                                                                                  \
    {                                                                                                                  \
#name, offsetof(CK_FUNCTION_LIST, name), true                                                                  \
    }
#define TO_CHANGE(name)                                                                                                \
    {                                                                                                                  \
#name, offsetof(CK_FUNCTION_LIST, name), false                                                                 \
    }
const struct hs_p11_function hs_p11_functions[] = {
    TO_SIGN(C_Initialize),
    TO_SIGN(C_Finalize),
    TO_SIGN(C_GetInfo),
    TO_SIGN(C_GetSlotList),
    TO_SIGN(C_GetSlotInfo),
    TO_SIGN(C_GetTokenInfo),
    TO_SIGN(C_GetMechanismList),
    TO_SIGN(C_OpenSession),
    TO_SIGN(C_CloseSession),
    TO_SIGN(C_GetSessionInfo),
    TO_SIGN(C_Login),
    TO_SIGN(C_FindObjectsInit),
    TO_SIGN(C_FindObjects),
    TO_SIGN(C_FindObjectsFinal),
    TO_SIGN(C_GetAttributeValue),
    TO_SIGN(C_SignInit),
    TO_SIGN(C_Sign),
    TO_CHANGE(C_InitToken),
    TO_CHANGE(C_InitPIN),
    TO_CHANGE(C_GenerateKeyPair),
    TO_CHANGE(C_DestroyObject),
    TO_CHANGE(C_SetAttributeValue),
    TO_CHANGE(C_CreateObject),
};
const size_t hs_p11_function_count = HS_ARRAY_LEN(hs_p11_functions);

/* What is only called to change something is looked for when it is called. */
static enum hsmart_code
check_functions(const struct hs_p11_module *module, hsmart_err *err)
{
    for (size_t i = 0; i < hs_p11_function_count; i++) {
        void *function = NULL;
        memcpy(&function, (const char *)module->p11 + hs_p11_functions[i].offset, sizeof function);
        if (function == NULL && hs_p11_functions[i].to_sign)
            return hs_err_set(err, HSMART_MODULE_UNUSABLE, "the module \"%s\" has nothing where %s should be",
                              module->path, hs_p11_functions[i].name);
    }
    return HSMART_OK;
}

static enum hsmart_code
check_path(const char *path, hsmart_err *err)
{
    struct stat status;

    if (path == NULL || path[0] == 0) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "no PKCS#11 module is given");
        hs_err_hint(err,
                    "name the vendor's library by its absolute path, e.g. --module /usr/lib/softhsm/libsofthsm2.so");
        return HSMART_INVALID_ARGUMENT;
    }
    if (path[0] != '/') {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "the module path \"%s\" is not absolute", path);
        hs_err_hint(err, "an absolute path makes sure that the library loaded is the one you mean");
        return HSMART_INVALID_ARGUMENT;
    }
    if (stat(path, &status) != 0)
        return hs_err_errno(err, HSMART_MODULE_UNUSABLE, errno, "cannot load the PKCS#11 module \"%s\"", path);
    if (!S_ISREG(status.st_mode))
        return hs_err_set(err, HSMART_MODULE_UNUSABLE,
                          "cannot load the PKCS#11 module \"%s\": it is not a regular file", path);
    return HSMART_OK;
}

static enum hsmart_code
load(struct hs_p11_module *module, hsmart_err *err)
{
    CK_C_GetFunctionList get_function_list = NULL;

    module->handle = dlopen(module->path, RTLD_NOW | RTLD_LOCAL);
    if (module->handle == NULL) {
        const char *why = dlerror();
        size_t path_len = strlen(module->path);
        if (strncmp(why, module->path, path_len) == 0 && strncmp(why + path_len, ": ", 2) == 0)
            why += path_len + 2; /* the loader names it, too */
        return hs_err_set(err, HSMART_MODULE_UNUSABLE, "cannot load the PKCS#11 module \"%s\": %s", module->path, why);
    }
    *(void **)&get_function_list = dlsym(module->handle, "C_GetFunctionList");
    if (get_function_list == NULL)
        return hs_err_set(err, HSMART_MODULE_UNUSABLE,
                          "\"%s\" is no PKCS#11 module: it has no function C_GetFunctionList", module->path);
    CK_RV rv = get_function_list(&module->p11);
    if (rv != CKR_OK || module->p11 == NULL) {
        (void)hs_ckr_set(err, rv);
        return hs_err_wrap(err, HSMART_MODULE_UNUSABLE, "the module \"%s\" gives no function list", module->path);
    }
    return check_functions(module, err);
}

static enum hsmart_code
initialize(struct hs_p11_module *module, hsmart_err *err)
{
    CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK, .pReserved = module->init_string};

    module->initialized = module->initialized_by_others = false;
    CK_RV rv = module->p11->C_Initialize(&args);
    if (rv == CKR_CANT_LOCK || rv == CKR_NEED_TO_CREATE_THREADS) {
        args.flags = 0;
        rv = module->p11->C_Initialize(&args);
        module->single_threaded = rv == CKR_OK;
    }
    if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) {
        (void)hs_ckr_set(err, rv);
        return hs_err_wrap(err, HSMART_MODULE_UNUSABLE, "cannot initialise the module \"%s\"", module->path);
    }
    /* Initialised already, and not by a start of ours: the host of this library uses it, too. */
    module->initialized_by_others = rv != CKR_OK && !module->initialized_by_us;
    module->initialized_by_us = !module->initialized_by_others;
    rv = module->p11->C_GetInfo(&module->info);
    if (rv != CKR_OK) {
        (void)hs_ckr_set(err, rv);
        return hs_err_wrap(err, HSMART_MODULE_UNUSABLE, "the module \"%s\" does not tell what it is", module->path);
    }
    module->initialized = true;
    return HSMART_OK;
}

/* When C_Finalize fails the module may still be as we initialised it: then it stays ours to finalise. */
static void
finalize(struct hs_p11_module *module)
{
    if (!module->initialized_by_us)
        return;
    CK_RV rv = module->p11->C_Finalize(NULL);
    module->initialized_by_us = rv != CKR_OK && rv != CKR_CRYPTOKI_NOT_INITIALIZED;
    module->initialized = false;
}

/* C_Initialize again, of a module that was ours. One that fails is undone at once: what is initialised at a later try
 * is another's then. */
static enum hsmart_code
initialize_again(struct hs_p11_module *module, hsmart_err *err)
{
    enum hsmart_code code = initialize(module, err);

    if (code != HSMART_OK && !module->initialized_by_others) {
        module->initialized_by_us = true;
        finalize(module);
    }
    return code;
}

/* p11-kit's client writes to a socket without MSG_NOSIGNAL: when its server dies, the default action would end this
 * process in the middle of a signature. A program's own handler is left alone. */
static void
ignore_sigpipe(void)
{
    struct sigaction action;

    if (sigaction(SIGPIPE, NULL, &action) != 0 || action.sa_handler != SIG_DFL)
        return;
    action.sa_handler = SIG_IGN;
    (void)sigaction(SIGPIPE, &action, NULL);
}

/* "SoftHSM" out of the blank-padded field. */
static void
padded_text(const CK_UTF8CHAR *field, size_t len, char *out)
{
    while (len > 0 && field[len - 1] == ' ')
        len--;
    memcpy(out, field, len);
    out[len] = 0;
}

static void
module_free(struct hs_p11_module *module)
{
    /* Never dlclose: the exit handlers of vendors' libraries crash once their code is gone. */
    hs_string_free(module->path);
    hs_string_free(module->init_string);
    hs_free(module);
}

/* Loaded, not yet initialised. */
static enum hsmart_code
module_new(const char *path, const char *init_string, struct hs_p11_module **out_module, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_p11_module *module = hs_calloc(1, sizeof *module);

    if (module == NULL)
        return hs_err_no_memory(err);
    module->fork_generation = fork_generation;
    code = hs_strdup(path, &module->path, err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(init_string, &module->init_string, err);
    if (code == HSMART_OK)
        code = load(module, err);
    if (code == HSMART_OK)
        *out_module = module;
    else
        module_free(module);
    return code;
}

static enum hsmart_code
start(struct hs_p11_module *module, hsmart_err *err)
{
    char manufacturer[sizeof module->info.manufacturerID + 1];
    enum hsmart_code code = initialize(module, err);

    if (code != HSMART_OK) {
        finalize(module);
        return code;
    }
    padded_text(module->info.manufacturerID, sizeof module->info.manufacturerID, manufacturer);
    module->quirks = hs_quirks_of(module->path, manufacturer);
    if (module->quirks & HS_QUIRK_SIGPIPE)
        ignore_sigpipe();
    return HSMART_OK;
}

/* ---- The registry ---- */

static bool
same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* One library has one state in this process, by whatever path and link it is named. */
static struct hs_p11_module *
find_open(const struct hs_p11_module *loaded)
{
    for (struct hs_p11_module *module = registry; module != NULL; module = module->next)
        if (module->p11 == loaded->p11)
            return module;
    return NULL;
}

/* Looked up anew after each change, which may be the end of what was found. */
static enum hsmart_code
find_settled(const struct hs_p11_module *loaded, int64_t deadline_ms, struct hs_p11_module **out_open, hsmart_err *err)
{
    struct hs_p11_module *open = find_open(loaded);

    while (open != NULL && open->changing) {
        if (!wait_for_change(deadline_ms) && (open = find_open(loaded)) != NULL && open->changing)
            return hs_err_set(err, HSMART_TOKEN_BUSY,
                              "the module \"%s\" is being started or ended by another part of this program, and that "
                              "call has not come back",
                              loaded->path);
        open = find_open(loaded);
    }
    *out_open = open;
    return HSMART_OK;
}

static void
remove_from_registry(const struct hs_p11_module *module)
{
    struct hs_p11_module **link = &registry;

    while (*link != module)
        link = &(*link)->next;
    *link = module->next;
}

/* One holder less; the last one ends the module, which others can see until it is done. */
static void
let_go(struct hs_p11_module *module)
{
    if (--module->reference_count > 0)
        return;
    begin_change(module);
    finalize(module);
    settle(module);
    remove_from_registry(module);
    module_free(module);
}

/* One more holder of what is open. */
static enum hsmart_code
share(struct hs_p11_module *module, const struct hs_p11_module *wanted, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    if (!same_text(module->init_string, wanted->init_string))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT,
                          "the module \"%s\" is open in this process with another init string", wanted->path);
    if (module->single_threaded)
        return hs_err_set(err, HSMART_MODULE_UNUSABLE,
                          "the module \"%s\" cannot lock, and is in use by another token in this process",
                          wanted->path);
    module->reference_count++;
    if (module->initialized)
        return HSMART_OK;
    /* A restart has failed. Nobody is inside a module that is not initialised. */
    begin_change(module);
    code = initialize_again(module, err);
    settle(module);
    if (code != HSMART_OK)
        let_go(module);
    return code;
}

/* The first holder. A module that does not start is gone again. */
static enum hsmart_code
start_first(struct hs_p11_module *module, hsmart_err *err)
{
    module->reference_count = 1;
    module->next = registry;
    registry = module;
    begin_change(module);
    enum hsmart_code code = start(module, err);
    settle(module);
    if (code != HSMART_OK)
        remove_from_registry(module);
    return code;
}

static void
tell_module(const struct hs_log *log, const struct hs_p11_module *module)
{
    const CK_INFO *info = &module->info;
    char description[sizeof info->libraryDescription + 1];

    padded_text(info->libraryDescription, sizeof info->libraryDescription, description);
    hs_log_detail(log, "module \"%s\": %s %u.%u, Cryptoki %u.%u", module->path, description, info->libraryVersion.major,
                  info->libraryVersion.minor, info->cryptokiVersion.major, info->cryptokiVersion.minor);
}

enum hsmart_code
hs_p11_module_open(const char *path, const char *init_string, int64_t deadline_ms, const struct hs_log *log,
                   struct hs_p11_module **out_module, hsmart_err *err)
{
    struct hs_p11_module *loaded = NULL, *open = NULL;
    enum hsmart_code code = check_path(path, err);

    if (code != HSMART_OK)
        return code;
    (void)pthread_once(&registry_once, make_registry);
    (void)pthread_mutex_lock(&loading_lock);
    code = module_new(path, init_string, &loaded, err);
    (void)pthread_mutex_unlock(&loading_lock);
    if (code != HSMART_OK)
        return code;
    (void)pthread_mutex_lock(&registry_lock);
    code = find_settled(loaded, deadline_ms, &open, err);
    if (code == HSMART_OK)
        code = open != NULL ? share(open, loaded, err) : start_first(loaded, err);
    (void)pthread_mutex_unlock(&registry_lock);
    if (open != NULL || code != HSMART_OK)
        module_free(loaded);
    if (code != HSMART_OK)
        return code;
    *out_module = open != NULL ? open : loaded;
    tell_module(log, *out_module);
    return HSMART_OK;
}

void
hs_p11_module_close(struct hs_p11_module *module)
{
    if (module == NULL || hs_p11_module_is_from_before_fork(module))
        return;
    (void)pthread_mutex_lock(&registry_lock);
    let_go(module);
    (void)pthread_mutex_unlock(&registry_lock);
}

/* ---- Restarting ---- */

void
hs_p11_module_join(struct hs_p11_module *module, struct hs_p11_module_user *user)
{
    (void)pthread_mutex_lock(&registry_lock);
    user->next = module->users;
    module->users = user;
    (void)pthread_mutex_unlock(&registry_lock);
}

void
hs_p11_module_leave(struct hs_p11_module *module, struct hs_p11_module_user *user)
{
    if (module == NULL || hs_p11_module_is_from_before_fork(module))
        return;
    (void)pthread_mutex_lock(&registry_lock);
    while (module->changing)
        (void)pthread_cond_wait(&registry_changed, &registry_lock);
    for (struct hs_p11_module_user **link = &module->users; *link != NULL; link = &(*link)->next) {
        if (*link != user)
            continue;
        *link = user->next;
        break;
    }
    (void)pthread_mutex_unlock(&registry_lock);
}

static void
resume_users(struct hs_p11_module *module)
{
    for (struct hs_p11_module_user *user = module->users; user != NULL; user = user->next) {
        if (user->vacated)
            user->resume(user->arg);
        user->vacated = false;
    }
}

/* With the lock held. */
static bool
has_only_users(const struct hs_p11_module *module)
{
    unsigned user_count = 0;

    for (const struct hs_p11_module_user *user = module->users; user != NULL; user = user->next)
        user_count++;
    return user_count == module->reference_count;
}

/* False when anybody stays: then all are as before, but for sessions that were closed. */
static bool
vacate_users(struct hs_p11_module *module, const struct hs_p11_module_user *self)
{
    bool is_empty = true;

    for (struct hs_p11_module_user *user = module->users; user != NULL && is_empty; user = user->next)
        if (user != self)
            is_empty = user->vacated = user->vacate(user->arg);
    if (!is_empty)
        resume_users(module);
    return is_empty;
}

/* Until they finalise it: then it is free to be ours. */
static bool
is_others(const struct hs_p11_module *module)
{
    CK_INFO info;

    return module->initialized_by_others && module->p11->C_GetInfo(&info) != CKR_CRYPTOKI_NOT_INITIALIZED;
}

static enum hsmart_code
refuse_restart(const struct hs_p11_module *module, const char *who, hsmart_err *err)
{
    return hs_err_set(err, HSMART_TOKEN_BUSY, "the module \"%s\" cannot be restarted: %s uses it", module->path, who);
}

/* While the module is the caller's alone, but for those who are inside it. */
static enum hsmart_code
restart(struct hs_p11_module *module, const struct hs_p11_module_user *self, hsmart_err *err)
{
    if (is_others(module))
        return refuse_restart(module, "another part of this program", err);
    if (!vacate_users(module, self))
        return refuse_restart(module, "another token", err);
    finalize(module);
    enum hsmart_code code = initialize_again(module, err);
    resume_users(module);
    return code;
}

enum hsmart_code
hs_p11_module_restart(struct hs_p11_module *module, const struct hs_p11_module_user *self, int64_t deadline_ms,
                      hsmart_err *err)
{
    enum hsmart_code code;

    (void)pthread_mutex_lock(&registry_lock);
    if (!wait_until_settled(module, deadline_ms)) {
        code = hs_err_set(err, HSMART_TOKEN_FAILED,
                          "the module \"%s\" is being restarted for another token, and that call has not come back",
                          module->path);
    } else if (!has_only_users(module)) {
        code = refuse_restart(module, "another part of this program", err);
    } else {
        begin_change(module);
        code = restart(module, self, err);
        settle(module);
    }
    (void)pthread_mutex_unlock(&registry_lock);
    return code;
}

/* ---- Turns ---- */

int
hs_p11_turn_begin(const char *module_path, int64_t wait_ms, const struct hs_log *log)
{
    int64_t deadline = hs_clock_monotonic_ms() + (wait_ms < HS_P11_TURN_WAIT_MS ? wait_ms : HS_P11_TURN_WAIT_MS);
    int fd = open(module_path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if ((errno != EWOULDBLOCK && errno != EINTR) || hs_clock_monotonic_ms() > deadline) {
            hs_log_detail(log, "goes on without its turn: another process has held the lock on \"%s\" for long",
                          module_path);
            (void)close(fd);
            return -1;
        }
        hs_clock_sleep_ms(1 + hs_random_below(3));
    }
    return fd;
}

void
hs_p11_turn_end(int turn)
{
    if (turn < 0)
        return;
    (void)flock(turn, LOCK_UN); /* a child forked meanwhile has a copy of the descriptor */
    (void)close(turn);
}
