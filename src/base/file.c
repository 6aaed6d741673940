#define _GNU_SOURCE /* O_CLOEXEC, realpath, mkostemp */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"

#define READ_STEP 4096U

enum hsmart_code
hs_file_read_fd(int fd, const char *name, size_t max_len, struct hs_buf *out, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    struct hs_buf contents = {.max_len = max_len + READ_STEP};

    while (contents.len <= max_len) {
        size_t before = contents.len;
        code = hs_buf_resize(&contents, before + READ_STEP, err);
        if (code != HSMART_OK)
            goto out;
        ssize_t got = read(fd, contents.data + before, READ_STEP);
        (void)!hs_buf_resize(&contents, before + (got > 0 ? (size_t)got : 0), NULL); /* shrinking cannot fail */
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            code = hs_err_errno(err, HSMART_FILE_UNREADABLE, errno, "cannot read %s", name);
            goto out;
        }
        if (got == 0)
            break;
    }
    if (contents.len > max_len) {
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "%s is longer than the %zu bytes allowed", name, max_len);
        goto out;
    }
    hs_buf_move(&contents, out);
out:
    hs_buf_clear(&contents);
    return code;
}

enum hsmart_code
hs_file_read(const char *path, size_t max_len, struct hs_buf *out, hsmart_err *err)
{
    char name[256];
    enum hsmart_code code;

    if (strcmp(path, "-") == 0)
        return hs_file_read_fd(STDIN_FILENO, "standard input", max_len, out, err);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return hs_err_errno(err, HSMART_FILE_UNREADABLE, errno, "cannot open \"%s\"", path);
    (void)snprintf(name, sizeof name, "\"%s\"", path);
    code = hs_file_read_fd(fd, name, max_len, out, err);
    (void)close(fd);
    return code;
}

struct objection {
    const char *reason;
    const char *cure; /* with the path behind it */
};

/* Why this file must not hold a secret; no reason when it may. */
static struct objection
secret_objection(const struct stat *status)
{
    if (!S_ISREG(status->st_mode))
        return (struct objection){"it is not a regular file", "name the file that holds it, which this is not:"};
    if ((status->st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return (struct objection){"other users may read or write it",
                                  "make it yours and unreadable for others: chmod 600"};
    if (status->st_uid != geteuid() && status->st_uid != 0)
        return (struct objection){"it belongs to another user", "run this as the user that it belongs to, or make it "
                                                                "yours: chown"};
    return (struct objection){0};
}

enum hsmart_code
hs_file_read_secret(const char *path, size_t max_len, struct hs_buf *out, hsmart_err *err)
{
    enum hsmart_code code;
    struct stat status;
    char name[256];

    /* Not blocking: a FIFO put in the file's place must not hang us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return hs_err_errno(err, HSMART_PIN_UNAVAILABLE, errno, "cannot open \"%s\"", path);
    if (fstat(fd, &status) != 0) {
        code = hs_err_errno(err, HSMART_PIN_UNAVAILABLE, errno, "cannot look at \"%s\"", path);
        goto out;
    }
    const struct objection objection = secret_objection(&status);
    if (objection.reason != NULL) {
        code = hs_err_set(err, HSMART_PIN_UNAVAILABLE, "the secret in \"%s\" is not used: %s", path, objection.reason);
        hs_err_hint(err, "%s \"%s\"", objection.cure, path);
        goto out;
    }
    (void)snprintf(name, sizeof name, "\"%s\"", path);
    code = hs_file_read_fd(fd, name, max_len, out, err);
    if (code != HSMART_OK && code != HSMART_NO_MEMORY) {
        code = HSMART_PIN_UNAVAILABLE;
        if (err != NULL)
            err->code = code;
    }
out:
    (void)close(fd);
    return code;
}

enum hsmart_code
hs_file_write_fd(int fd, const char *name, struct hs_span contents, hsmart_err *err)
{
    for (size_t done = 0; done < contents.len;) {
        ssize_t put = write(fd, contents.data + done, contents.len - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot write %s", name);
        done += (size_t)put;
    }
    return HSMART_OK;
}

/* The file that a rename has to replace: where a link points to, or `path` itself when nothing is there. */
static enum hsmart_code
resolve_target(const char *path, char target[PATH_MAX], hsmart_err *err)
{
    if (realpath(path, target) != NULL)
        return HSMART_OK;
    if (errno != ENOENT)
        return hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot write \"%s\"", path);
    if (strlen(path) >= PATH_MAX)
        return hs_err_errno(err, HSMART_OUTPUT_FAILED, ENAMETOOLONG, "cannot write \"%s\"", path);
    (void)snprintf(target, PATH_MAX, "%s", path);
    return HSMART_OK;
}

/* File systems that keep no directory of their own in memory answer that there is nothing to sync (fsync(2)). */
static bool
syncs_directories(int failure)
{
    return failure != EINVAL && failure != ENOTSUP && failure != ENOSYS;
}

/* The rename itself survives a power cut only once the directory is on disk. */
enum hsmart_code
hs_file_sync_directory_of(const char *path, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    char directory[PATH_MAX];

    (void)snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash == NULL)
        (void)snprintf(directory, sizeof directory, ".");
    else
        slash[slash == directory ? 1 : 0] = 0;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == EACCES)
        return HSMART_OK; /* one may write into a directory that one may not read */
    if (fd < 0 || (fsync(fd) != 0 && syncs_directories(errno)))
        code = hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot sync the directory \"%s\"", directory);
    if (fd >= 0)
        (void)close(fd);
    return code;
}

/* ---- Drafts ---- */

static enum hsmart_code
cannot(const struct hs_file_draft *draft, const char *what, int failure, hsmart_err *err)
{
    return hs_err_errno(err, HSMART_OUTPUT_FAILED, failure, "cannot %s \"%s\"", what, draft->path);
}

static enum hsmart_code
open_in_place(struct hs_file_draft *draft, hsmart_err *err)
{
    draft->fd = open(draft->path, O_WRONLY | O_CLOEXEC);
    draft->is_open = draft->fd >= 0;
    return draft->is_open ? HSMART_OK : cannot(draft, "open", errno, err);
}

static enum hsmart_code
open_beside(struct hs_file_draft *draft, size_t room, unsigned mode, hsmart_err *err)
{
    enum hsmart_code code = resolve_target(draft->path, draft->target, err);

    if (code != HSMART_OK)
        return code;
    (void)snprintf(draft->beside, sizeof draft->beside, "%s.XXXXXX", draft->target);
    draft->fd = mkostemp(draft->beside, O_CLOEXEC);
    if (draft->fd < 0)
        return cannot(draft, "make a file beside", errno, err);
    draft->is_open = draft->is_beside = true;
    if (fchmod(draft->fd, (mode_t)mode) != 0)
        return cannot(draft, "set the mode of", errno, err);
    int failure = room > 0 ? posix_fallocate(draft->fd, 0, (off_t)room) : 0; /* does not set errno */
    return failure == 0 ? HSMART_OK : cannot(draft, "write", failure, err);
}

enum hsmart_code
hs_file_draft_begin(const char *path, size_t room, unsigned mode, struct hs_file_draft *out_draft, hsmart_err *err)
{
    struct stat status;

    *out_draft = (struct hs_file_draft){.path = path};
    enum hsmart_code code = stat(path, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)
                                ? open_in_place(out_draft, err)
                                : open_beside(out_draft, room, mode, err);
    if (code != HSMART_OK)
        hs_file_draft_clear(out_draft);
    return code;
}

static enum hsmart_code
put_in_place(struct hs_file_draft *draft, size_t len, hsmart_err *err)
{
    /* The room that was not needed goes back. */
    if (ftruncate(draft->fd, (off_t)len) != 0 || fsync(draft->fd) != 0)
        return cannot(draft, "write", errno, err);
    draft->is_open = false;
    if (close(draft->fd) != 0 || rename(draft->beside, draft->target) != 0)
        return cannot(draft, "replace", errno, err);
    draft->is_beside = false;
    return hs_file_sync_directory_of(draft->target, err);
}

enum hsmart_code
hs_file_draft_end(struct hs_file_draft *draft, struct hs_span contents, hsmart_err *err)
{
    char name[256];

    (void)snprintf(name, sizeof name, "\"%s\"", draft->path);
    enum hsmart_code code = hs_file_write_fd(draft->fd, name, contents, err);
    if (code == HSMART_OK && draft->is_beside)
        code = put_in_place(draft, contents.len, err);
    return code;
}

void
hs_file_draft_clear(struct hs_file_draft *draft)
{
    if (draft->is_open)
        (void)close(draft->fd);
    if (draft->is_beside)
        (void)unlink(draft->beside);
    draft->is_open = draft->is_beside = false;
}

enum hsmart_code
hs_file_write_atomic(const char *path, struct hs_span contents, unsigned mode, hsmart_err *err)
{
    struct hs_file_draft draft = {0};
    enum hsmart_code code = hs_file_draft_begin(path, 0, mode, &draft, err);

    if (code == HSMART_OK)
        code = hs_file_draft_end(&draft, contents, err);
    hs_file_draft_clear(&draft);
    return code;
}
