#define _GNU_SOURCE /* O_CLOEXEC, O_NOFOLLOW */
#include "trusted_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "err.h"
#include "file.h"

#define LINKS_MAX 40 /* as many as Linux follows */

/* A path on its way to becoming one without links: what is behind, already looked at, and what is ahead. */
struct walk {
    struct hs_buf behind; /* "" is the root directory */
    struct hs_buf ahead;
    unsigned link_count;
    struct hs_buf *caveat;
};

/* ---- Whom a file is open to ---- */

static bool
is_ours(const struct stat *status)
{
    return status->st_uid == geteuid() || status->st_uid == 0;
}

static bool
others_may_write(const struct stat *status)
{
    bool private_group = status->st_gid == status->st_uid;

    return (status->st_mode & S_IWOTH) != 0 || ((status->st_mode & S_IWGRP) != 0 && !private_group);
}

static enum hsmart_code
refuse_writable(const char *what, const char *path, hsmart_err *err)
{
    (void)hs_err_set(err, HSMART_FILE_UNREADABLE, "it is not used: other users may write the %s \"%s\"", what, path);
    hs_err_hint(err, "let nobody else write it: chmod go-w \"%s\"", path);
    return HSMART_FILE_UNREADABLE;
}

static enum hsmart_code
refuse_owner(const char *what, const char *path, hsmart_err *err)
{
    (void)hs_err_set(err, HSMART_FILE_UNREADABLE, "it is not used: the %s \"%s\" belongs to another user", what, path);
    hs_err_hint(err, "make it yours, or root's: chown --no-dereference \"%s\"", path);
    return HSMART_FILE_UNREADABLE;
}

static enum hsmart_code
check_directory(struct walk *walk, const char *path, const struct stat *status, hsmart_err *err)
{
    if (others_may_write(status) && (status->st_mode & S_ISVTX) == 0)
        return refuse_writable("directory", path, err);
    if (is_ours(status) || walk->caveat->len > 0)
        return HSMART_OK;
    return hs_buf_append_format(walk->caveat, err, "the directory \"%s\" belongs to another user, who can replace it",
                                path);
}

static bool
is_null_device(const struct stat *status)
{
    return S_ISCHR(status->st_mode) && status->st_rdev == makedev(1, 3);
}

static enum hsmart_code
check_kind(const struct stat *status, hsmart_err *err)
{
    if (S_ISREG(status->st_mode) || is_null_device(status))
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_FILE_UNREADABLE, "it is not a regular file");
    hs_err_hint(err, "name a file, not a directory, pipe or device (/dev/null stands for an empty one)");
    return HSMART_FILE_UNREADABLE;
}

static enum hsmart_code
check_file(const char *path, const struct stat *status, hsmart_err *err)
{
    enum hsmart_code code = check_kind(status, err);

    if (code != HSMART_OK || is_null_device(status))
        return code;
    if (!is_ours(status))
        return refuse_owner("file", path, err);
    return others_may_write(status) ? refuse_writable("file", path, err) : HSMART_OK;
}

/* ---- The way there ---- */

static enum hsmart_code
start_walk(struct walk *walk, const char *path, hsmart_err *err)
{
    char here[PATH_MAX];
    struct stat root;

    if (path[0] != '/' && getcwd(here, sizeof here) == NULL)
        return hs_err_errno(err, HSMART_FILE_UNREADABLE, errno, "cannot tell the current directory");
    enum hsmart_code code = path[0] == '/' ? hs_buf_append_str(&walk->ahead, path, err)
                                           : hs_buf_append_format(&walk->ahead, err, "%s/%s", here, path);
    if (code != HSMART_OK)
        return code;
    if (stat("/", &root) != 0)
        return hs_err_errno(err, HSMART_FILE_UNREADABLE, errno, "cannot look at \"/\"");
    return check_directory(walk, "/", &root, err);
}

/* Takes the first name off what is ahead; "" when nothing is. */
static enum hsmart_code
next_name(struct walk *walk, struct hs_buf *out_name, hsmart_err *err)
{
    const char *ahead = hs_buf_text(&walk->ahead);
    size_t skipped = strspn(ahead, "/"), len = strcspn(ahead + skipped, "/");
    struct hs_buf rest = {0};

    hs_buf_clear(out_name);
    enum hsmart_code code = hs_buf_append(out_name, (struct hs_span){(const uint8_t *)ahead + skipped, len}, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(&rest, ahead + skipped + len, err);
    if (code == HSMART_OK)
        hs_buf_move(&rest, &walk->ahead);
    hs_buf_clear(&rest);
    return code;
}

static enum hsmart_code
go_up(struct walk *walk, hsmart_err *err)
{
    const char *slash = strrchr(hs_buf_text(&walk->behind), '/');

    return hs_buf_resize(&walk->behind, slash != NULL ? (size_t)(slash - hs_buf_text(&walk->behind)) : 0, err);
}

/* Where the link `path` leads to is put in front of what is ahead. */
static enum hsmart_code
follow_link(struct walk *walk, const char *path, const struct stat *status, hsmart_err *err)
{
    char target[PATH_MAX];
    struct hs_buf ahead = {0};

    if (!is_ours(status))
        return refuse_owner("link", path, err);
    if (++walk->link_count > LINKS_MAX)
        return hs_err_errno(err, HSMART_FILE_UNREADABLE, ELOOP, "cannot follow the link \"%s\"", path);
    ssize_t len = readlink(path, target, sizeof target - 1);
    if (len < 0)
        return hs_err_errno(err, HSMART_FILE_UNREADABLE, errno, "cannot follow the link \"%s\"", path);
    target[len] = 0;
    enum hsmart_code code = hs_buf_append_format(&ahead, err, "%s/%s", target, hs_buf_text(&walk->ahead));
    if (code == HSMART_OK)
        hs_buf_move(&ahead, &walk->ahead);
    if (code == HSMART_OK && target[0] == '/')
        code = hs_buf_resize(&walk->behind, 0, err);
    hs_buf_clear(&ahead);
    return code;
}

static enum hsmart_code
step(struct walk *walk, const char *name, hsmart_err *err)
{
    struct hs_buf path = {0};
    struct stat status;
    enum hsmart_code code = hs_buf_append_format(&path, err, "%s/%s", hs_buf_text(&walk->behind), name);

    if (code != HSMART_OK)
        return code;
    if (lstat(hs_buf_text(&path), &status) != 0)
        code = hs_err_errno(err, HSMART_FILE_UNREADABLE, errno, "cannot look at \"%s\"", hs_buf_text(&path));
    else if (S_ISLNK(status.st_mode))
        code = follow_link(walk, hs_buf_text(&path), &status, err);
    else if (S_ISDIR(status.st_mode))
        code = check_directory(walk, hs_buf_text(&path), &status, err);
    if (code == HSMART_OK && !S_ISLNK(status.st_mode))
        hs_buf_move(&path, &walk->behind);
    hs_buf_clear(&path);
    return code;
}

/* Afterwards, the path without links is behind. */
static enum hsmart_code
walk_to_end(struct walk *walk, const char *path, hsmart_err *err)
{
    struct hs_buf name = {0};
    enum hsmart_code code = start_walk(walk, path, err);

    while (code == HSMART_OK) {
        code = next_name(walk, &name, err);
        if (code != HSMART_OK || name.len == 0)
            break;
        const char *word = hs_buf_text(&name);
        if (strcmp(word, "..") == 0)
            code = go_up(walk, err);
        else if (strcmp(word, ".") != 0)
            code = step(walk, word, err);
    }
    hs_buf_clear(&name);
    return code;
}

/* ---- The whole ---- */

static enum hsmart_code
read_checked(const char *path, size_t max_len, struct hs_buf *out, hsmart_err *err)
{
    enum hsmart_code code;
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);

    if (fd < 0)
        return hs_err_errno(err, HSMART_FILE_UNREADABLE, errno, "cannot open it");
    if (fstat(fd, &status) != 0)
        code = hs_err_errno(err, HSMART_FILE_UNREADABLE, errno, "cannot look at it");
    else
        code = check_file(path, &status, err);
    if (code == HSMART_OK)
        code = hs_file_read_fd(fd, "it", max_len, out, err);
    (void)close(fd);
    return code;
}

enum hsmart_code
hs_trusted_file_read(const char *path, size_t max_len, struct hs_buf *out, struct hs_buf *out_caveat, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    struct hs_buf contents = {0}, caveat = {0};
    struct walk walk = {.caveat = &caveat};
    struct stat status;

    /* Pipes and devices first: behind /dev/stdin is no path that could be walked. */
    if (stat(path, &status) != 0)
        code = hs_err_errno(err, HSMART_FILE_UNREADABLE, errno, "cannot look at it");
    else
        code = check_kind(&status, err);
    if (code == HSMART_OK)
        code = walk_to_end(&walk, path, err);
    if (code == HSMART_OK)
        code = read_checked(hs_buf_text(&walk.behind), max_len, &contents, err);
    if (code == HSMART_OK) {
        hs_buf_move(&contents, out);
        hs_buf_move(&caveat, out_caveat);
    } else if (code != HSMART_NO_MEMORY) {
        (void)hs_err_wrap(err, code, "\"%s\"", path);
    }
    hs_buf_clear(&walk.behind);
    hs_buf_clear(&walk.ahead);
    hs_buf_clear(&caveat);
    hs_buf_clear(&contents);
    return code;
}
