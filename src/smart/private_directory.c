#define _GNU_SOURCE /* flock, O_DIRECTORY, O_NOFOLLOW, O_CLOEXEC */
#include "private_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alg.h"
#include "clock.h"
#include "err.h"
#include "file.h"
#include "text.h"

#define LOCK_POLL_MIN_MS 2U
#define LOCK_POLL_MAX_MS 50U
#define NAME_DIGEST_LEN 16U
#define RANDOM_LEN 8U

/* ---- Opening ---- */

/* Why this must not hold secrets, or NULL. */
static const char *
objection_to(const struct stat *status)
{
    if (!S_ISDIR(status->st_mode))
        return "it is not a directory";
    if (status->st_uid != geteuid())
        return "it belongs to another user";
    if ((status->st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return "other users may look into it";
    return NULL;
}

static enum hsmart_code
open_path(const char *path, struct hs_private_directory *out_directory, hsmart_err *err)
{
    enum hsmart_code code;
    struct stat status;
    const char *objection;
    int fd = -1;

    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot make \"%s\"", path);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        code = hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot open \"%s\"", path);
        goto out;
    }
    objection = objection_to(&status);
    if (objection != NULL) {
        code = hs_err_set(err, HSMART_OUTPUT_FAILED, "\"%s\" is not used for access tokens: %s", path, objection);
        hs_err_hint(err, "remove it, or make it yours alone: chmod 700 \"%s\"", path);
        goto out;
    }
    code = hs_strdup(path, &out_directory->path, err);
    if (code != HSMART_OK)
        goto out;
    out_directory->fd = fd;
    fd = -1;
out:
    if (fd >= 0)
        (void)close(fd);
    return code;
}

/* A runtime directory of another user (as sudo leaves it in the environment) is not for us. */
static bool
is_own_directory(const char *path)
{
    struct stat status;

    return path != NULL && path[0] == '/' && stat(path, &status) == 0 && S_ISDIR(status.st_mode) &&
           status.st_uid == geteuid();
}

/* A service may have several, with colons between them (systemd.exec(5)). */
static const char *
first_runtime_directory(char *room, size_t room_len)
{
    const char *several = getenv("RUNTIME_DIRECTORY");
    size_t len = several != NULL ? strcspn(several, ":") : 0;

    if (several == NULL || len >= room_len)
        return NULL;
    memcpy(room, several, len);
    room[len] = 0;
    return room;
}

static enum hsmart_code
choose_path(struct hs_buf *out_path, hsmart_err *err)
{
    char run_user[64], service[PATH_MAX];
    const char *temporary = getenv("TMPDIR");
    (void)snprintf(run_user, sizeof run_user, "/run/user/%lu", (unsigned long)geteuid());
    const char *parents[] = {getenv("XDG_RUNTIME_DIR"), first_runtime_directory(service, sizeof service), run_user};

    for (size_t i = 0; i < HS_ARRAY_LEN(parents); i++)
        if (is_own_directory(parents[i]))
            return hs_buf_append_format(out_path, err, "%s/hsmart", parents[i]);
    return hs_buf_append_format(out_path, err, "%s/hsmart-%lu",
                                temporary != NULL && temporary[0] == '/' ? temporary : "/tmp",
                                (unsigned long)geteuid());
}

enum hsmart_code
hs_private_directory_open(const char *given, struct hs_private_directory *out_directory, hsmart_err *err)
{
    struct hs_buf path = {0};
    struct hs_private_directory directory = {.fd = -1};
    enum hsmart_code code = given != NULL ? hs_buf_append_str(&path, given, err) : choose_path(&path, err);

    if (code == HSMART_OK)
        code = open_path(hs_buf_text(&path), &directory, err);
    if (code == HSMART_OK)
        *out_directory = directory;
    hs_buf_clear(&path);
    return code;
}

void
hs_private_directory_close(struct hs_private_directory *directory)
{
    if (directory->path == NULL)
        return;
    (void)close(directory->fd);
    hs_string_free(directory->path);
    *directory = (struct hs_private_directory){.fd = -1};
}

/* ---- Files ---- */

enum hsmart_code
hs_private_directory_load(const struct hs_private_directory *directory, const char *name, size_t max_len,
                          struct hs_buf *out, hsmart_err *err)
{
    enum hsmart_code code;
    struct stat status;
    int fd = openat(directory->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT) {
        hs_buf_clear(out);
        return HSMART_OK;
    }
    if (fd < 0 || fstat(fd, &status) != 0) {
        code = hs_err_errno(err, HSMART_FILE_UNREADABLE, errno, "cannot open \"%s/%s\"", directory->path, name);
        goto out;
    }
    if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        code = hs_err_set(err, HSMART_FILE_UNREADABLE, "\"%s/%s\" is not a file of this user alone", directory->path,
                          name);
        goto out;
    }
    code = hs_file_read_fd(fd, name, max_len, out, err);
out:
    if (fd >= 0)
        (void)close(fd);
    return code;
}

enum hsmart_code
hs_private_directory_save(const struct hs_private_directory *directory, const char *name, struct hs_span contents,
                          hsmart_err *err)
{
    uint8_t random[RANDOM_LEN];
    struct hs_buf beside = {0};
    int fd = -1;
    bool exists = false;
    enum hsmart_code code = hs_random_bytes(random, sizeof random, err);

    if (code == HSMART_OK)
        code = hs_buf_append_format(&beside, err, "%s.new-", name);
    if (code == HSMART_OK)
        code = hs_text_append_hex(&beside, HS_SPAN_OF(random), err);
    if (code != HSMART_OK)
        goto out;
    fd = openat(directory->fd, hs_buf_text(&beside), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        code = hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot write into \"%s\"", directory->path);
        goto out;
    }
    exists = true;
    code = hs_file_write_fd(fd, name, contents, err);
    if (code != HSMART_OK)
        goto out;
    if (renameat(directory->fd, hs_buf_text(&beside), directory->fd, name) != 0) {
        code = hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot replace \"%s/%s\"", directory->path, name);
        goto out;
    }
    exists = false;
out:
    if (fd >= 0)
        (void)close(fd);
    if (exists)
        (void)unlinkat(directory->fd, hs_buf_text(&beside), 0);
    hs_buf_clear(&beside);
    return code;
}

void
hs_private_directory_remove(const struct hs_private_directory *directory, const char *name)
{
    (void)unlinkat(directory->fd, name, 0);
}

/* ---- Locks ---- */

enum hsmart_code
hs_private_directory_lock(const struct hs_private_directory *directory, const char *name, int64_t wait_ms,
                          int *out_lock, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf lock_name = {0};
    int64_t deadline_ms = hs_clock_monotonic_ms() + wait_ms;
    unsigned poll_ms = LOCK_POLL_MIN_MS;
    int fd = -1;

    code = hs_buf_append_format(&lock_name, err, "%s.lock", name);
    if (code != HSMART_OK)
        goto out;
    fd = openat(directory->fd, hs_buf_text(&lock_name), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        code = hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot open \"%s/%s\"", directory->path,
                            hs_buf_text(&lock_name));
        goto out;
    }
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            code = hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot lock \"%s/%s\"", directory->path,
                                hs_buf_text(&lock_name));
            goto out;
        }
        if (hs_clock_monotonic_ms() >= deadline_ms) {
            code = hs_err_set(err, HSMART_SERVER_BUSY, "another process has been asking the server for %lld s",
                              (long long)(wait_ms / 1000));
            goto out;
        }
        hs_clock_sleep_ms(poll_ms);
        poll_ms = poll_ms < LOCK_POLL_MAX_MS / 2 ? 2 * poll_ms : LOCK_POLL_MAX_MS;
    }
    *out_lock = fd;
    fd = -1;
out:
    if (fd >= 0)
        (void)close(fd);
    hs_buf_clear(&lock_name);
    return code;
}

void
hs_private_directory_unlock(int lock)
{
    /* The file stays: one that is removed could be locked by two, each holding another inode of that name. Unlocked in
     * as many words: a process that was forked meanwhile has the descriptor, too, and would go on holding the lock. */
    (void)flock(lock, LOCK_UN);
    (void)close(lock);
}

/* ---- Names ---- */

enum hsmart_code
hs_private_name(const char *prefix, struct hs_span identity, char **out_name, hsmart_err *err)
{
    uint8_t digest[HS_HASH_MAX];
    struct hs_buf name = {0};
    enum hsmart_code code = hs_alg_digest(hs_alg_by_name("RS256"), identity, digest, err);

    if (code == HSMART_OK)
        code = hs_buf_append_str(&name, prefix, err);
    if (code == HSMART_OK)
        code = hs_text_append_hex(&name, (struct hs_span){digest, NAME_DIGEST_LEN}, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&name, out_name, err);
    hs_buf_clear(&name);
    return code;
}
