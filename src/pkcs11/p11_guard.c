#define _GNU_SOURCE /* flock, O_CLOEXEC */
#include "p11_guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "file.h"
#include "text.h"

#define STATE_FILE_MAX 4096U
#define RECORD_MAX 2048U /* more than a record can have */
#define NO_DIRECTORY "the PIN guard has no directory for its state"
#define CANNOT_WRITE "the PIN guard cannot write down its state"
#define FORMAT_LINE "hsmart-pin-guard 1"

#define REFUSED_BEFORE "this PIN was refused before and is not tried again"
#define TRIED_BEFORE "this PIN was tried before in vain and is not tried again"
#define CORRECT_IT                                                                                                     \
    "correct the PIN in its source; or, if it is right by now, reopen the guard: hsmart-key token unlock-guard"
#define REOPEN_IT "make sure that the PIN is right, then reopen the guard: hsmart-key token unlock-guard"

/* By state. */
static const struct {
    const char *word;          /* in the file */
    bool has_digest;           /* of the PIN that the state is about */
    const char *closed, *cure; /* why that PIN is not tried; NULL where it is */
} states[] = {
    [HS_GUARD_OPEN] = {"open", false, NULL, NULL},
    [HS_GUARD_PENDING] = {"pending", true, "the last try with this PIN has no recorded end", REOPEN_IT},
    [HS_GUARD_REFUSED] = {"refused", true, REFUSED_BEFORE, CORRECT_IT},
    [HS_GUARD_REOPENED] = {"reopened", false, NULL, NULL},
    [HS_GUARD_UNCLEAR] = {"unclear", true, NULL, NULL},
    [HS_GUARD_UNANSWERED] = {"unanswered", true,
                             "no answer of the token said whether this PIN is right, and it is not tried again",
                             REOPEN_IT},
};

/* ---- Where the state is ---- */

enum hsmart_code
hs_guard_directory(const char *given, struct hs_buf *out_path, hsmart_err *err)
{
    const char *state_directory = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    struct hs_buf path = {0};
    enum hsmart_code code;

    if (given != NULL)
        code = hs_buf_append_str(&path, given, err);
    else if (state_directory != NULL && state_directory[0] == '/') /* may list several: the first is ours */
        code = hs_buf_append(&path, (struct hs_span){(const uint8_t *)state_directory, strcspn(state_directory, ":")},
                             err);
    else if (xdg != NULL && xdg[0] == '/')
        code = hs_buf_append_format(&path, err, "%s/hsmart", xdg);
    else if (home != NULL && home[0] == '/')
        code = hs_buf_append_format(&path, err, "%s/.local/state/hsmart", home);
    else if (geteuid() == 0)
        code = hs_buf_append_str(&path, "/var/lib/hsmart", err);
    else {
        code = hs_err_set(err, HSMART_PIN_GUARDED, "there is no directory for the PIN guard: HOME is not set");
        hs_err_hint(err, "set STATE_DIRECTORY, XDG_STATE_HOME or HOME, or give the token a state-directory");
    }
    if (code == HSMART_OK)
        hs_buf_move(&path, out_path);
    hs_buf_clear(&path);
    return code;
}

/* A cure of its own: the code's is about a PIN that was refused. */
static enum hsmart_code
refuse_place(const char *step, hsmart_err *err)
{
    (void)hs_err_wrap(err, HSMART_PIN_GUARDED, "%s", step);
    hs_err_hint(err, "it needs a directory of this user that nobody else can write, with space left, or another one: "
                     "--state-directory DIR, $STATE_DIRECTORY or $XDG_STATE_HOME");
    return HSMART_PIN_GUARDED;
}

/* A directory that was made has to be there after a power cut, or the record in it is gone with it. `*first_errno` is
 * why the first one could not be made: that need not matter, since it may be there already. */
static enum hsmart_code
make_directory(const char *path, int *first_errno, hsmart_err *err)
{
    if (mkdir(path, 0700) == 0)
        return hs_file_sync_directory_of(path, err);
    if (errno != EEXIST && *first_errno == 0)
        *first_errno = errno;
    return HSMART_OK;
}

static enum hsmart_code
make_directories(const char *directory, hsmart_err *err)
{
    int first_errno = 0;
    struct hs_buf path = {0};
    struct stat status;
    enum hsmart_code code = hs_buf_append_str(&path, directory, err);

    if (code != HSMART_OK)
        return code;
    for (char *slash = (char *)path.data + 1; code == HSMART_OK && (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = 0;
        code = make_directory((const char *)path.data, &first_errno, err);
        *slash = '/';
    }
    if (code == HSMART_OK)
        code = make_directory(directory, &first_errno, err);
    hs_buf_clear(&path);
    if (code != HSMART_OK)
        return refuse_place(NO_DIRECTORY, err);
    if (stat(directory, &status) != 0) {
        (void)hs_err_errno(err, HSMART_PIN_GUARDED, first_errno != 0 ? first_errno : errno, "cannot make \"%s\"",
                           directory);
        return refuse_place(NO_DIRECTORY, err);
    }
    if (!S_ISDIR(status.st_mode) || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0 ||
        (status.st_uid != geteuid() && status.st_uid != 0)) {
        (void)hs_err_set(err, HSMART_PIN_GUARDED, "\"%s\" is not a directory that only its owner can write", directory);
        return refuse_place(NO_DIRECTORY, err);
    }
    return HSMART_OK;
}

static enum hsmart_code
digest_of(struct hs_span salt, struct hs_span value, uint8_t out[32], hsmart_err *err)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(context, salt.data, salt.len) == 1 &&
                EVP_DigestUpdate(context, value.data, value.len) == 1 && EVP_DigestFinal_ex(context, out, NULL) == 1;

    EVP_MD_CTX_free(context);
    return done ? HSMART_OK : hs_err_set(err, HSMART_INTERNAL, "SHA-256 failed");
}

/* The token's identity may hold anything, so the file is named by its digest. */
static enum hsmart_code
state_path(const char *directory, const char *identity, char **out_path, hsmart_err *err)
{
    uint8_t digest[32] = {0};
    struct hs_buf path = {0};
    enum hsmart_code code = digest_of((struct hs_span){0}, hs_span_str(identity), digest, err);

    if (code == HSMART_OK)
        code = hs_buf_append_format(&path, err, "%s/pin-", directory);
    if (code == HSMART_OK)
        code = hs_text_append_hex(&path, (struct hs_span){digest, 12}, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&path, out_path, err);
    hs_buf_clear(&path);
    return code;
}

/* ---- The lock: a file beside the state, since the state itself is replaced ---- */

static enum hsmart_code
take_lock(const char *path, int64_t deadline_ms, int *out_fd, hsmart_err *err)
{
    struct hs_buf lock_path = {0};
    int64_t start_ms = hs_clock_monotonic_ms();
    int fd = -1;
    enum hsmart_code code = hs_buf_append_format(&lock_path, err, "%s.lock", path);

    if (code != HSMART_OK)
        goto out;
    fd = open(hs_buf_text(&lock_path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        (void)hs_err_errno(err, HSMART_PIN_GUARDED, errno, "cannot open \"%s\"", hs_buf_text(&lock_path));
        code = refuse_place(CANNOT_WRITE, err);
        goto out;
    }
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            code = hs_err_errno(err, HSMART_PIN_GUARDED, errno, "cannot lock \"%s\"", hs_buf_text(&lock_path));
            goto out;
        }
        if (hs_clock_monotonic_ms() > deadline_ms) {
            code = hs_err_set(err, HSMART_TOKEN_BUSY, "another process has been logging in for %lld ms",
                              (long long)(hs_clock_monotonic_ms() - start_ms));
            goto out;
        }
        hs_clock_sleep_ms(1 + hs_random_below(3));
    }
    *out_fd = fd;
    fd = -1;
out:
    if (fd >= 0)
        (void)close(fd);
    hs_buf_clear(&lock_path);
    return code;
}

static void
let_go_of_lock(int lock_fd)
{
    if (lock_fd < 0)
        return;
    (void)flock(lock_fd, LOCK_UN); /* a child forked meanwhile has a copy of the descriptor */
    (void)close(lock_fd);
}

/* ---- The file ---- */

struct record {
    enum hs_guard_state state;
    uint8_t salt[16], digest[32]; /* of the PIN that the state is about */
    bool has_salt, has_digest;
    struct hs_guard_pins tried, doubtful; /* before that one */
};

static void
add_pin(struct hs_guard_pins *pins, const uint8_t digest[32])
{
    if (pins->count == HS_GUARD_TRIED_MAX) {
        pins->count--;
        memmove(pins->digests[0], pins->digests[1], pins->count * sizeof pins->digests[0]);
    }
    memcpy(pins->digests[pins->count++], digest, sizeof pins->digests[0]);
}

/* Without memory: a lack of it must not look like a damaged state. */
static bool
parse_hex_field(const char *text, const char *name, uint8_t *out, size_t len)
{
    char value[128] = "";
    const char *at = strstr(text, name);

    if (at == NULL || sscanf(at + strlen(name), " %127[0-9a-f]", value) != 1 || strlen(value) != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(hs_text_hex_digit(value[2 * i]) << 4 | hs_text_hex_digit(value[2 * i + 1]));
    return true;
}

static bool
parse_pins(const char *text, const char *name, bool has_salt, struct hs_guard_pins *out_pins)
{
    for (const char *at = text; (at = strstr(at, name)) != NULL; at++) {
        if (!has_salt || out_pins->count == HS_GUARD_TRIED_MAX ||
            !parse_hex_field(at, name, out_pins->digests[out_pins->count], sizeof out_pins->digests[0]))
            return false;
        out_pins->count++;
    }
    return true;
}

static bool
parse_record(const char *text, struct record *out_record)
{
    char word[16] = "";
    const char *at = strstr(text, "\nstate ");

    if (strncmp(text, FORMAT_LINE "\n", sizeof FORMAT_LINE) != 0 || at == NULL || sscanf(at, " state %15s", word) != 1)
        return false;
    for (size_t i = 0; i < HS_ARRAY_LEN(states); i++) {
        if (strcmp(states[i].word, word) != 0)
            continue;
        out_record->state = (enum hs_guard_state)i;
        out_record->has_salt = parse_hex_field(text, "\nsalt ", out_record->salt, sizeof out_record->salt);
        out_record->has_digest =
            out_record->has_salt && parse_hex_field(text, "\ndigest ", out_record->digest, sizeof out_record->digest);
        return parse_pins(text, "\ntried ", out_record->has_salt, &out_record->tried) &&
               parse_pins(text, "\ndoubtful ", out_record->has_salt, &out_record->doubtful);
    }
    return false;
}

/* No file: nothing was ever tried. A file that cannot be understood closes the guard: somebody has to look. */
static enum hsmart_code
load_record(const char *path, struct record *out_record, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code;

    *out_record = (struct record){.state = HS_GUARD_OPEN};
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return HSMART_OK;
    code = hs_file_read(path, STATE_FILE_MAX, &text, err);
    if (code == HSMART_OK && !parse_record(hs_buf_text(&text), out_record)) {
        code = hs_err_set(err, HSMART_PIN_GUARDED, "the PIN guard's state in \"%s\" is damaged", path);
        hs_err_hint(err, REOPEN_IT);
    } else if (code != HSMART_OK && code != HSMART_NO_MEMORY) {
        code = hs_err_wrap(err, HSMART_PIN_GUARDED, "the PIN guard's state cannot be read");
        hs_err_hint(err, "make it readable for this user, and try again: the PIN was not tried");
    }
    hs_buf_clear(&text);
    return code;
}

static enum hsmart_code
append_hex_line(struct hs_buf *text, const char *name, struct hs_span value, hsmart_err *err)
{
    enum hsmart_code code = hs_buf_append_str(text, name, err);

    if (code == HSMART_OK)
        code = hs_text_append_hex(text, value, err);
    return code == HSMART_OK ? hs_buf_append_str(text, "\n", err) : code;
}

/* What is remembered of PINs: the digest of the one that the state is about, and those of before. */
static enum hsmart_code
append_pins(struct hs_buf *text, enum hs_guard_state state, const struct hs_guard *guard, hsmart_err *err)
{
    bool has_digest = states[state].has_digest;
    enum hsmart_code code = HSMART_OK;

    if (has_digest || guard->tried.count > 0 || guard->doubtful.count > 0)
        code = append_hex_line(text, "salt ", HS_SPAN_OF(guard->salt), err);
    if (code == HSMART_OK && has_digest)
        code = append_hex_line(text, "digest ", HS_SPAN_OF(guard->digest), err);
    for (size_t i = 0; i < guard->tried.count && code == HSMART_OK; i++)
        code = append_hex_line(text, "tried ", HS_SPAN_OF(guard->tried.digests[i]), err);
    for (size_t i = 0; i < guard->doubtful.count && code == HSMART_OK; i++)
        code = append_hex_line(text, "doubtful ", HS_SPAN_OF(guard->doubtful.digests[i]), err);
    return code;
}

/* `text` is room for the record; `guard` NULL: one that remembers no PIN. */
static enum hsmart_code
save_record(const char *path, enum hs_guard_state state, const struct hs_guard *guard, struct hs_buf *text,
            hsmart_err *err)
{
    enum hsmart_code code = hs_buf_resize(text, 0, err);

    if (code == HSMART_OK)
        code = hs_buf_append_format(text, err, FORMAT_LINE "\nstate %s\ntime %lld\n", states[state].word,
                                    (long long)hs_clock_now_s());
    if (code == HSMART_OK && guard != NULL)
        code = append_pins(text, state, guard, err);
    if (code == HSMART_OK)
        code = hs_file_write_atomic(path, hs_span_buf(text), 0600, err);
    if (code == HSMART_OUTPUT_FAILED)
        code = refuse_place(CANNOT_WRITE, err);
    return code;
}

/* A process that was killed while it wrote leaves the file that was to replace the state, with its digest. With the
 * lock held nobody is writing. */
static void
remove_leftovers(const char *path)
{
    const char *name = strrchr(path, '/') + 1; /* `state_path` puts one there */
    size_t len = strlen(name);
    char directory_path[PATH_MAX];

    (void)snprintf(directory_path, sizeof directory_path, "%.*s", (int)(name - path), path);
    DIR *directory = opendir(directory_path);
    if (directory == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        bool is_beside = strncmp(entry->d_name, name, len) == 0 && entry->d_name[len] == '.';
        if (is_beside && strcmp(entry->d_name + len, ".lock") != 0)
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
    }
    (void)closedir(directory);
}

/* ---- A try ---- */

/* `tried_before`: in vain, before the PIN that the state is about. */
static enum hsmart_code
refuse_when_closed(const struct hs_guard *guard, bool tried_before, hsmart_err *err)
{
    const char *closed = guard->other_pin ? NULL : states[guard->state].closed;

    if (!tried_before && closed == NULL)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_PIN_GUARDED, "%s", closed != NULL ? closed : TRIED_BEFORE);
    hs_err_hint(err, "%s", closed != NULL ? states[guard->state].cure : CORRECT_IT);
    return HSMART_PIN_GUARDED;
}

/* All of `pins` but the PIN at hand go to `out_others`; tells whether that one is among them. */
static bool
take_out(const struct hs_guard *guard, const struct hs_guard_pins *pins, struct hs_guard_pins *out_others)
{
    bool found = false;

    for (size_t i = 0; i < pins->count; i++) {
        if (memcmp(guard->digest, pins->digests[i], sizeof guard->digest) == 0)
            found = true;
        else
            add_pin(out_others, pins->digests[i]);
    }
    return found;
}

/* What the record says of the PIN at hand, by its digest under the record's salt. */
static enum hsmart_code
compare_with_record(struct hs_guard *guard, const struct record *record, struct hs_span pin, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    guard->state = record->state;
    if (record->has_salt)
        memcpy(guard->salt, record->salt, sizeof guard->salt);
    else
        code = hs_random_bytes(guard->salt, sizeof guard->salt, err);
    if (code == HSMART_OK)
        code = digest_of(HS_SPAN_OF(guard->salt), pin, guard->digest, err);
    if (code != HSMART_OK)
        return code;
    bool tried_before = take_out(guard, &record->tried, &guard->tried);
    guard->was_unclear = take_out(guard, &record->doubtful, &guard->doubtful);
    guard->other_pin = record->has_digest && memcmp(guard->digest, record->digest, sizeof guard->digest) != 0;
    if (guard->other_pin)
        add_pin(record->state == HS_GUARD_UNCLEAR ? &guard->doubtful : &guard->tried, record->digest);
    else if (record->state == HS_GUARD_UNCLEAR)
        guard->was_unclear = true;
    return refuse_when_closed(guard, tried_before, err);
}

enum hsmart_code
hs_guard_begin(const char *directory, const char *identity, struct hs_span pin, int64_t deadline_ms,
               struct hs_guard *out_guard, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_guard guard = {.lock_fd = -1};
    struct record record = {0};

    code = make_directories(directory, err);
    if (code == HSMART_OK)
        code = state_path(directory, identity, &guard.path, err);
    if (code == HSMART_OK)
        code = take_lock(guard.path, deadline_ms, &guard.lock_fd, err);
    if (code == HSMART_OK)
        code = load_record(guard.path, &record, err);
    if (code == HSMART_OK)
        remove_leftovers(guard.path);
    if (code == HSMART_OK)
        code = compare_with_record(&guard, &record, pin, err);
    if (code == HSMART_OK) /* now, so that the end of a try can be written down whatever happens to memory meanwhile */
        code = hs_buf_reserve(&guard.record, RECORD_MAX, err);
    if (code == HSMART_OK)
        *out_guard = guard;
    else
        hs_guard_end(&guard);
    return code;
}

enum hsmart_code
hs_guard_mark_pending(struct hs_guard *guard, hsmart_err *err)
{
    return save_record(guard->path, HS_GUARD_PENDING, guard, &guard->record, err);
}

enum hsmart_code
hs_guard_mark_end(struct hs_guard *guard, enum hs_guard_state state, hsmart_err *err)
{
    if (state == HS_GUARD_UNCLEAR && (guard->was_unclear || guard->state == HS_GUARD_REOPENED))
        state = HS_GUARD_UNANSWERED;
    return save_record(guard->path, state, guard, &guard->record, err);
}

void
hs_guard_end(struct hs_guard *guard)
{
    if (guard->path == NULL)
        return;
    let_go_of_lock(guard->lock_fd);
    hs_string_free(guard->path);
    hs_buf_clear(&guard->record);
    hs_wipe(guard, sizeof *guard);
    guard->lock_fd = -1;
}

/* ---- The operator's side ---- */

enum hsmart_code
hs_guard_look(const char *directory, const char *identity, enum hs_guard_state *out_state, struct hs_buf *out_path,
              hsmart_err *err)
{
    char *path = NULL;
    struct record record = {0};
    enum hsmart_code code = state_path(directory, identity, &path, err);

    if (code == HSMART_OK)
        code = hs_buf_resize(out_path, 0, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(out_path, path, err);
    if (code == HSMART_OK)
        code = load_record(path, &record, err);
    if (code == HSMART_OK)
        *out_state = record.state;
    hs_string_free(path);
    return code;
}

enum hsmart_code
hs_guard_reopen(const char *directory, const char *identity, hsmart_err *err)
{
    char *path = NULL;
    struct hs_buf record = {0};
    int lock_fd = -1;
    enum hsmart_code code = make_directories(directory, err);

    if (code == HSMART_OK)
        code = state_path(directory, identity, &path, err);
    if (code == HSMART_OK)
        code = take_lock(path, hs_clock_monotonic_ms() + HS_GUARD_WAIT_MS, &lock_fd, err);
    if (code == HSMART_OK)
        code = save_record(path, HS_GUARD_REOPENED, NULL, &record, err);
    let_go_of_lock(lock_fd);
    hs_buf_clear(&record);
    hs_string_free(path);
    return code;
}
