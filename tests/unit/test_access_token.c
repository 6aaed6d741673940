/* When an access token is asked for, by how many, and what is kept of it: in memory and in the cache's file. */
#define _GNU_SOURCE /* mkdtemp, nftw, symlink */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rows.h"

#include "access_token.h"
#include "clock.h"
#include "err.h"
#include "file.h"

#define NOW_S 1700000000
#define IDENTITY "server,client,scope"

/* ---- A server, and a clock, that do what they are told ---- */

struct stage {
    int64_t now_s;
    unsigned issued;    /* how often it was asked */
    unsigned impatient; /* of these, with one attempt only */
    int64_t life_s;     /* of what it gives out; 0: 300 */
    int64_t takes_s;    /* the clock moves on by it */
    unsigned real_delay_ms;
    enum hsmart_code code; /* not HSMART_OK: it fails */
    int64_t busy_s;
    const char *refresh_token; /* that comes with an answer */
    char refresh_seen[32];     /* that it was given last */
    const char *count_file;    /* a byte is appended for each request; for several processes */
    char log[4096];
    pthread_mutex_t lock;
};

static int64_t
now_s(void *arg)
{
    struct stage *stage = arg;

    (void)pthread_mutex_lock(&stage->lock);
    int64_t now = stage->now_s;
    (void)pthread_mutex_unlock(&stage->lock);
    return now;
}

static void
sleep_ms(void *arg, unsigned ms)
{
    (void)arg, (void)ms;
}

static void
keep_line(void *arg, enum hsmart_log_level level, const char *line)
{
    struct stage *stage = arg;
    size_t len = strlen(stage->log);

    (void)level;
    (void)snprintf(stage->log + len, sizeof stage->log - len, "%s\n", line);
}

static void
count_in_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    (void)close(fd);
}

static enum hsmart_code
issue(void *arg, struct hs_span refresh_token, bool patient, struct hs_access_token *out_access_token,
      int64_t *out_busy_s, hsmart_err *err)
{
    struct stage *stage = arg;

    (void)pthread_mutex_lock(&stage->lock);
    unsigned number = ++stage->issued;
    stage->impatient += patient ? 0 : 1;
    int64_t sent_at_s = stage->now_s;
    stage->now_s += stage->takes_s;
    (void)pthread_mutex_unlock(&stage->lock);
    (void)snprintf(stage->refresh_seen, sizeof stage->refresh_seen, "%.*s", (int)refresh_token.len,
                   refresh_token.len > 0 ? (const char *)refresh_token.data : "");
    if (stage->count_file != NULL)
        count_in_file(stage->count_file);
    hs_clock_sleep_ms(stage->real_delay_ms);
    if (stage->code != HSMART_OK) {
        if (stage->busy_s > 0)
            *out_busy_s = stage->busy_s;
        return hs_err_set(err, stage->code, "the server was told to fail");
    }
    *out_access_token = (struct hs_access_token){
        .sent_at_s = sent_at_s, .expires_at_s = sent_at_s + (stage->life_s != 0 ? stage->life_s : 300)};
    if (stage->refresh_token != NULL)
        assert_int_equal(hs_buf_append_str(&out_access_token->refresh_token, stage->refresh_token, err), HSMART_OK);
    return hs_buf_append_format(&out_access_token->value, err, "t%d.%u", (int)getpid(), number);
}

static struct hs_access_token_keeper *
new_keeper(struct stage *stage, const struct hs_access_token_cache *cache, bool use_refresh_token)
{
    struct hs_access_token_keeper *keeper = NULL;
    const struct hs_access_token_config config = {.issuer = {issue, stage},
                                                  .cache = cache,
                                                  .use_refresh_token = use_refresh_token,
                                                  .lock_wait_ms = 60000,
                                                  .time = {now_s, sleep_ms, stage},
                                                  .log = {keep_line, stage}};

    assert_int_equal(hs_access_token_keeper_new(&config, &keeper, NULL), HSMART_OK);
    return keeper;
}

/* The value; "" and the failure in `err` when there is none. Static storage. */
static const char *
get(struct hs_access_token_keeper *keeper, unsigned min_validity_s, hsmart_err *err)
{
    static char value[64];
    struct hs_access_token access_token = {0};

    *err = (hsmart_err){0};
    value[0] = 0;
    if (hs_access_token_get(keeper, min_validity_s, &access_token, err) == HSMART_OK)
        (void)snprintf(value, sizeof value, "%s", hs_buf_text(&access_token.value));
    else
        assert_int_equal(access_token.value.len, 0);
    hs_access_token_clear(&access_token);
    return value;
}

/* ---- In memory: one access token, then the clock moves, and it is asked for again ---- */

static struct moment {
    const char *name;
    int64_t life_s, after_s; /* how long the first one lives, when the second call comes */
    unsigned min_validity_s;
    enum hsmart_code second; /* what the server does the second time */
    unsigned issued;         /* in all */
    enum hsmart_code code;   /* of the second call */
    const char *text, *log;
} moments[] = {
    {"it is kept", 300, 100, 0, HSMART_OK, 1, HSMART_OK, NULL, NULL},
    {"it is kept until its margin", 300, 290, 0, HSMART_OK, 1, HSMART_OK, NULL, NULL},
    {"it is renewed before its end", 300, 291, 0, HSMART_OK, 2, HSMART_OK, NULL, NULL},
    {"it is renewed after its end", 300, 300, 0, HSMART_OK, 2, HSMART_OK, NULL, NULL},
    {"a renewal that fails leaves one that is good", 300, 295, 0, HSMART_NETWORK_FAILED, 2, HSMART_OK, NULL,
     "could not be renewed, the old one is used for now: the server was told to fail"},
    {"for as long as is asked", 300, 293, 7, HSMART_NETWORK_FAILED, 2, HSMART_OK, NULL, "the old one is used for now"},
    {"but not for longer", 300, 293, 8, HSMART_NETWORK_FAILED, 2, HSMART_NETWORK_FAILED, "told to fail", NULL},
    {"one that has ended is never given", 300, 300, 0, HSMART_SERVER_REFUSED, 2, HSMART_SERVER_REFUSED, "told to fail",
     NULL},
    {"what is good for long enough is kept", 300, 100, 200, HSMART_OK, 1, HSMART_OK, NULL, NULL},
    {"what is not is renewed", 300, 160, 200, HSMART_OK, 2, HSMART_OK, NULL, NULL},
    {"no access token lives as long as asked", 300, 10, 400, HSMART_OK, 1, HSMART_INVALID_ARGUMENT,
     "the server's access tokens live for 300 s, less than the 400 s asked for", NULL},
    {"the margin of a short life is half of it", 12, 5, 0, HSMART_OK, 1, HSMART_OK, NULL, NULL},
    {"and no more", 12, 7, 0, HSMART_OK, 2, HSMART_OK, NULL, NULL},
    {"a clock that went back", 300, -1000, 0, HSMART_OK, 2, HSMART_OK, NULL, NULL},
    {"a clock that went far ahead", 300, 1000000, 0, HSMART_OK, 2, HSMART_OK, NULL, NULL},
};

static void
a_moment_decides(void **state)
{
    const struct moment *row = *state;
    struct stage stage = {.now_s = NOW_S, .life_s = row->life_s, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct hs_access_token_keeper *keeper = new_keeper(&stage, NULL, false);
    char first[64];
    hsmart_err err = {0};

    (void)snprintf(first, sizeof first, "%s", get(keeper, 0, &err));
    assert_true(first[0] != 0);
    stage.now_s += row->after_s;
    stage.code = row->second;
    const char *second = get(keeper, row->min_validity_s, &err);
    assert_int_equal(err.code, row->code);
    assert_int_equal(stage.issued, row->issued);
    if (row->text != NULL)
        assert_non_null(strstr(err.text, row->text));
    if (row->log != NULL)
        assert_non_null(strstr(stage.log, row->log));
    if (row->code == HSMART_OK)
        assert_true((strcmp(first, second) == 0) == (row->issued == 1 || row->second != HSMART_OK));
    hs_access_token_keeper_free(keeper);
}

static void
an_early_renewal_makes_one_attempt_and_is_not_repeated_at_once(void **state)
{
    (void)state;
    struct stage stage = {.now_s = NOW_S, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct hs_access_token_keeper *keeper = new_keeper(&stage, NULL, false);
    hsmart_err err;

    (void)get(keeper, 0, &err);
    stage.now_s += 292;
    stage.code = HSMART_NETWORK_FAILED;
    for (int i = 0; i < 5; i++)
        assert_true(get(keeper, 0, &err)[0] != 0);
    assert_int_equal(stage.issued, 2);
    assert_int_equal(stage.impatient, 1);
    stage.now_s += 2;
    assert_true(get(keeper, 0, &err)[0] != 0);
    assert_int_equal(stage.issued, 3);
    hs_access_token_keeper_free(keeper);
}

static void
a_busy_server_is_left_alone(void **state)
{
    (void)state;
    struct stage stage = {.now_s = NOW_S, .code = HSMART_SERVER_BUSY, .busy_s = 60, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct hs_access_token_keeper *keeper = new_keeper(&stage, NULL, false);
    hsmart_err err;

    (void)get(keeper, 0, &err);
    assert_int_equal(err.code, HSMART_SERVER_BUSY);
    stage.now_s += 20;
    (void)get(keeper, 0, &err);
    assert_int_equal(err.code, HSMART_SERVER_BUSY);
    assert_string_equal(err.text, "the server wants no request for another 40 s");
    assert_int_equal(stage.issued, 1);
    stage.now_s -= 86400; /* a clock that was set back does not shut it for a day */
    stage.code = HSMART_OK;
    assert_true(get(keeper, 0, &err)[0] != 0);
    hs_access_token_keeper_free(keeper);
}

static void
an_answer_that_was_under_way_for_too_long_is_not_handed_out(void **state)
{
    (void)state;
    struct stage stage = {.now_s = NOW_S, .takes_s = 250, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct hs_access_token_keeper *keeper = new_keeper(&stage, NULL, false);
    hsmart_err err;

    (void)get(keeper, 100, &err);
    assert_int_equal(err.code, HSMART_SERVER_FAILED);
    assert_non_null(strstr(err.text, "under way for so long that it is good for 50 s only, not for 100 s"));
    hs_access_token_keeper_free(keeper);
}

static void
a_rejected_one_is_never_handed_out_again(void **state)
{
    (void)state;
    struct stage stage = {.now_s = NOW_S, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct hs_access_token_keeper *keeper = new_keeper(&stage, NULL, false);
    char first[64];
    hsmart_err err;

    (void)snprintf(first, sizeof first, "%s", get(keeper, 0, &err));
    hs_access_token_reject(keeper, span("another one"));
    assert_string_equal(get(keeper, 0, &err), first);
    hs_access_token_reject(keeper, span(first));
    assert_string_not_equal(get(keeper, 0, &err), first);
    assert_int_equal(stage.issued, 2);
    hs_access_token_keeper_free(keeper);
}

static void
a_refresh_token_is_used_only_where_that_is_configured(void **state)
{
    (void)state;
    struct stage stage = {.now_s = NOW_S, .refresh_token = "r1", .lock = PTHREAD_MUTEX_INITIALIZER};
    hsmart_err err;

    for (int used = 0; used < 2; used++) {
        struct hs_access_token_keeper *keeper = new_keeper(&stage, NULL, used != 0);
        struct hs_access_token access_token = {0};
        stage.refresh_token = "r1";
        assert_int_equal(hs_access_token_get(keeper, 0, &access_token, &err), HSMART_OK);
        assert_string_equal(stage.refresh_seen, "");
        assert_string_equal(hs_buf_text(&access_token.refresh_token), used != 0 ? "r1" : "");
        hs_access_token_clear(&access_token);
        stage.refresh_token = NULL; /* an answer without one leaves the old one (RFC 6749 section 6) */
        for (int turn = 0; turn < 2; turn++) {
            stage.now_s += 300;
            (void)get(keeper, 0, &err);
            assert_string_equal(stage.refresh_seen, used != 0 ? "r1" : "");
        }
        hs_access_token_keeper_free(keeper);
    }
}

/* ---- Threads ---- */

#define THREADS 64

struct crowd {
    struct hs_access_token_keeper *keeper;
    pthread_barrier_t start;
    atomic_uint good;
};

static void *
ask_in_a_crowd(void *arg)
{
    struct crowd *crowd = arg;
    struct hs_access_token access_token = {0};

    (void)pthread_barrier_wait(&crowd->start);
    if (hs_access_token_get(crowd->keeper, 5, &access_token, NULL) == HSMART_OK)
        crowd->good++;
    hs_access_token_clear(&access_token);
    return NULL;
}

static void
a_crowd_asks_once(void **state)
{
    (void)state;
    struct stage stage = {.now_s = NOW_S, .real_delay_ms = 50, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct crowd crowd = {.keeper = new_keeper(&stage, NULL, false)};
    pthread_t threads[THREADS];

    assert_int_equal(pthread_barrier_init(&crowd.start, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_in_a_crowd, &crowd), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(crowd.good, THREADS);
    assert_int_equal(stage.issued, 1);
    (void)pthread_barrier_destroy(&crowd.start);
    hs_access_token_keeper_free(crowd.keeper);
}

/* ---- The cache's directory ---- */

static int
remove_one(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
    (void)status, (void)flag, (void)ftw;
    return remove(path);
}

static void
make_directory(char path[64])
{
    (void)snprintf(path, 64, "/tmp/hsmart-cache-XXXXXX");
    assert_non_null(mkdtemp(path));
}

static void
remove_directory(const char *path)
{
    assert_int_equal(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static struct hs_access_token_cache *
open_cache(const char *path, const char *identity)
{
    struct hs_private_directory directory = {.fd = -1};
    struct hs_access_token_cache *cache = NULL;

    assert_int_equal(hs_private_directory_open(path, &directory, NULL), HSMART_OK);
    assert_int_equal(hs_access_token_cache_new(&directory, span(identity), &cache, NULL), HSMART_OK);
    assert_int_equal(directory.fd, -1); /* taken over */
    return cache;
}

/* The path of the one file that holds an access token for this identity. */
static void
file_of(const char *directory, const char *identity, char path[160])
{
    char *name = NULL;

    assert_int_equal(hs_private_name("access-token-", span(identity), &name, NULL), HSMART_OK);
    (void)snprintf(path, 160, "%s/%s", directory, name);
    hs_string_free(name);
}

static void
another_keeper_takes_it_from_the_file(void **state)
{
    (void)state;
    struct stage stage = {.now_s = NOW_S, .lock = PTHREAD_MUTEX_INITIALIZER};
    char directory[64], path[160], first[64];
    struct stat status;
    hsmart_err err;

    make_directory(directory);
    file_of(directory, IDENTITY, path);
    struct hs_access_token_cache *cache = open_cache(directory, IDENTITY),
                                 *other = open_cache(directory, "another client");
    struct hs_access_token_keeper *one = new_keeper(&stage, cache, false), *two = new_keeper(&stage, cache, false),
                                  *three = new_keeper(&stage, other, false);
    (void)snprintf(first, sizeof first, "%s", get(one, 0, &err));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_string_equal(get(two, 0, &err), first);
    assert_string_not_equal(get(three, 0, &err), first); /* each client has its own */
    assert_int_equal(stage.issued, 2);
    hs_access_token_reject(two, span(first)); /* nobody gets it any more who has not got it in memory */
    assert_int_equal(access(path, F_OK), -1);
    assert_string_not_equal(get(two, 0, &err), first);
    hs_access_token_keeper_free(one);
    hs_access_token_keeper_free(two);
    hs_access_token_keeper_free(three);
    hs_access_token_cache_free(cache);
    hs_access_token_cache_free(other);
    remove_directory(directory);
}

static void
a_busy_server_is_left_alone_by_the_next_process_too(void **state)
{
    (void)state;
    struct stage stage = {.now_s = NOW_S, .code = HSMART_SERVER_BUSY, .busy_s = 60, .lock = PTHREAD_MUTEX_INITIALIZER};
    char directory[64];
    hsmart_err err;

    make_directory(directory);
    struct hs_access_token_cache *cache = open_cache(directory, IDENTITY);
    struct hs_access_token_keeper *one = new_keeper(&stage, cache, false), *two = new_keeper(&stage, cache, false);
    (void)get(one, 0, &err);
    (void)get(two, 0, &err);
    assert_int_equal(err.code, HSMART_SERVER_BUSY);
    assert_int_equal(stage.issued, 1);
    hs_access_token_keeper_free(one);
    hs_access_token_keeper_free(two);
    hs_access_token_cache_free(cache);
    remove_directory(directory);
}

/* ---- A file that is not what it should be: a new access token is got, and nothing bad happens ---- */

#define RECORD(name, token, sent, expires, more)                                                                       \
    "{\"format\":1,\"name\":\"" name "\",\"access_token\":\"" token "\",\"sent_at\":" sent                             \
    ",\"expires_at\":" expires more "}"

static struct hostile {
    const char *name;
    const char *text; /* "@" is the name of the file */
    unsigned mode;    /* 0: 0600 */
    bool is_link, is_directory, is_fifo, is_foreign;
    bool is_good;    /* the access token in it is handed out */
    const char *log; /* a warning that must be there */
} hostiles[] = {
    {.name = "nothing wrong", .text = RECORD("@", "cached", "1700000000", "1700000300", ""), .is_good = true},
    {.name = "an unknown member",
     .text = RECORD("@", "cached", "1700000000", "1700000300", ",\"x\":[{}]"),
     .is_good = true},
    {.name = "empty", .text = ""},
    {.name = "garbage",
     .text = "\x7f"
             "ELF\x01\xff"},
    {.name = "half a record", .text = "{\"format\":1,\"access_tok"},
    {.name = "another format",
     .text = "{\"format\":2,\"access_token\":\"cached\",\"sent_at\":1700000000,\"expires_at\":1700000300}"},
    {.name = "an array", .text = "[1]"},
    {.name = "another client's", .text = RECORD("access-token-00", "cached", "1700000000", "1700000300", "")},
    {.name = "CR LF in the access token", .text = RECORD("@", "ca\\r\\nX: y", "1700000000", "1700000300", "")},
    {.name = "no access token", .text = "{\"format\":1,\"name\":\"@\"}"},
    {.name = "one that has ended", .text = RECORD("@", "cached", "1699999000", "1699999300", "")},
    {.name = "one of the future", .text = RECORD("@", "cached", "1700000600", "1700000900", "")},
    {.name = "one that lives for ever", .text = RECORD("@", "cached", "1", "9223372036854775807", "")},
    {.name = "times that overflow", .text = RECORD("@", "cached", "-9223372036854775808", "9223372036854775807", "")},
    {.name = "times that are no numbers", .text = RECORD("@", "cached", "\"a\"", "null", "")},
    {.name = "an end before the start", .text = RECORD("@", "cached", "1700000300", "1700000000", "")},
    {.name = "busy for ever", .text = "{\"format\":1,\"name\":\"@\",\"busy_until\":9223372036854775807}"},
    {.name = "busy since for ever", .text = "{\"format\":1,\"name\":\"@\",\"busy_until\":-9223372036854775808}"},
    {.name = "open to others",
     .text = RECORD("@", "cached", "1700000000", "1700000300", ""),
     .mode = 0644,
     .log = "is not a file of this user alone"},
    {.name = "writable by the group",
     .text = RECORD("@", "cached", "1700000000", "1700000300", ""),
     .mode = 0620,
     .log = "is not a file of this user alone"},
    {.name = "a symbolic link",
     .text = RECORD("@", "cached", "1700000000", "1700000300", ""),
     .is_link = true,
     .log = "cannot be read"},
    {.name = "a directory", .is_directory = true, .log = "is not a file of this user alone"},
    {.name = "a named pipe", .is_fifo = true, .log = "is not a file of this user alone"},
    {.name = "somebody else's",
     .text = RECORD("@", "cached", "1700000000", "1700000300", ""),
     .is_foreign = true,
     .log = "is not a file of this user alone"},
};

static void
put_hostile(const struct hostile *row, const char *path)
{
    struct hs_buf text = {0};
    char target[200];
    const char *at = row->text != NULL ? strchr(row->text, '@') : NULL;

    if (row->is_directory) {
        assert_int_equal(mkdir(path, 0700), 0);
        return;
    }
    if (row->is_fifo) {
        assert_int_equal(mkfifo(path, 0600), 0);
        return;
    }
    (void)snprintf(target, sizeof target, "%s%s", path, row->is_link ? ".target" : "");
    if (at != NULL)
        assert_int_equal(hs_buf_append_format(&text, NULL, "%.*s%s%s", (int)(at - row->text), row->text,
                                              strrchr(path, '/') + 1, at + 1),
                         HSMART_OK);
    else
        assert_int_equal(hs_buf_append_str(&text, row->text, NULL), HSMART_OK);
    assert_int_equal(hs_file_write_atomic(target, hs_span_buf(&text), 0600, NULL), HSMART_OK);
    assert_int_equal(chmod(target, row->mode != 0 ? row->mode : 0600), 0);
    if (row->is_link)
        assert_int_equal(symlink(target, path), 0);
    if (row->is_foreign)
        assert_int_equal(chown(target, 1, 1), 0);
    hs_buf_clear(&text);
}

static void
a_hostile_file_is_only_a_cache(void **state)
{
    const struct hostile *row = *state;
    struct stage stage = {.now_s = NOW_S, .lock = PTHREAD_MUTEX_INITIALIZER};
    char directory[64], path[160];
    struct stat status;
    hsmart_err err;

    if (row->is_foreign && geteuid() != 0) {
        print_message("SKIP only root can give a file to somebody else\n");
        skip();
    }
    make_directory(directory);
    file_of(directory, IDENTITY, path);
    put_hostile(row, path);
    struct hs_access_token_cache *cache = open_cache(directory, IDENTITY);
    struct hs_access_token_keeper *keeper = new_keeper(&stage, cache, false);
    const char *value = get(keeper, 0, &err);
    assert_int_equal(err.code, HSMART_OK);
    assert_true((strcmp(value, "cached") == 0) == row->is_good);
    assert_int_equal(stage.issued, row->is_good ? 0 : 1);
    if (row->log != NULL && strstr(stage.log, row->log) == NULL)
        assert_string_equal(stage.log, row->log);
    /* What is there afterwards is a file of our own; a link was replaced, not followed. */
    if (!row->is_directory) {
        assert_int_equal(lstat(path, &status), 0);
        assert_true(S_ISREG(status.st_mode));
        assert_int_equal(status.st_uid, geteuid());
        assert_int_equal(status.st_mode & 07777, 0600);
    }
    hs_access_token_keeper_free(keeper);
    hs_access_token_cache_free(cache);
    remove_directory(directory);
}

/* ---- Processes ---- */

#define PROCESSES 8

/* In a child: no cmocka here, only an exit status. */
static int
ask_in_a_process(const char *directory, const char *count_file, unsigned life_s)
{
    struct stage stage = {.now_s = hs_clock_now_s(),
                          .life_s = life_s,
                          .real_delay_ms = 200,
                          .count_file = count_file,
                          .lock = PTHREAD_MUTEX_INITIALIZER};
    struct hs_access_token_cache *cache = open_cache(directory, IDENTITY);
    struct hs_access_token_keeper *keeper = new_keeper(&stage, cache, false);
    hsmart_err err;
    bool good = get(keeper, 5, &err)[0] != 0;

    hs_access_token_keeper_free(keeper);
    hs_access_token_cache_free(cache);
    return good ? 0 : 1;
}

static off_t
size_of(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 ? status.st_size : 0;
}

static void
processes_at_once_ask_once(void **state)
{
    (void)state;
    char directory[64], count_file[128];
    pid_t children[PROCESSES];
    int status = 0;

    make_directory(directory);
    (void)snprintf(count_file, sizeof count_file, "%s/count", directory);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            _exit(ask_in_a_process(directory, count_file, 300));
    }
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_int_equal(size_of(count_file), 1);
    remove_directory(directory);
}

static void
a_process_that_dies_leaves_no_lock(void **state)
{
    (void)state;
    struct stage stage = {.now_s = NOW_S, .lock = PTHREAD_MUTEX_INITIALIZER};
    char directory[64];
    int status = 0, ready[2], lock = -1;
    char byte = 0;
    hsmart_err err;

    make_directory(directory);
    struct hs_access_token_cache *cache = open_cache(directory, IDENTITY);
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (hs_access_token_cache_lock(cache, 0, &lock, NULL) != HSMART_OK || write(ready[1], "x", 1) != 1)
            _exit(1);
        (void)pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(hs_access_token_cache_lock(cache, 20, &lock, &err), HSMART_SERVER_BUSY);
    assert_non_null(strstr(err.text, "another process has been asking the server"));
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    struct hs_access_token_keeper *keeper = new_keeper(&stage, cache, false);
    assert_true(get(keeper, 0, &err)[0] != 0);
    hs_access_token_keeper_free(keeper);
    hs_access_token_cache_free(cache);
    (void)close(ready[0]);
    (void)close(ready[1]);
    remove_directory(directory);
}

static void
a_process_forked_meanwhile_does_not_keep_the_lock(void **state)
{
    (void)state;
    char directory[64];
    int status = 0, lock = -1, again = -1;

    make_directory(directory);
    struct hs_access_token_cache *cache = open_cache(directory, IDENTITY);
    assert_int_equal(hs_access_token_cache_lock(cache, 0, &lock, NULL), HSMART_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* with a copy of the descriptor */
        (void)pause();
        _exit(0);
    }
    hs_access_token_cache_unlock(lock);
    enum hsmart_code code = hs_access_token_cache_lock(cache, 0, &again, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(code, HSMART_OK);
    hs_access_token_cache_unlock(again);
    hs_access_token_cache_free(cache);
    remove_directory(directory);
}

static void
one_that_is_being_renewed_elsewhere_is_used_meanwhile(void **state)
{
    (void)state;
    struct stage stage = {.now_s = NOW_S, .lock = PTHREAD_MUTEX_INITIALIZER};
    char directory[64];
    int lock = -1;
    hsmart_err err;

    make_directory(directory);
    struct hs_access_token_cache *cache = open_cache(directory, IDENTITY);
    struct hs_access_token_keeper *keeper = new_keeper(&stage, cache, false);
    (void)get(keeper, 0, &err);
    stage.now_s += 293;
    assert_int_equal(hs_access_token_cache_lock(cache, 0, &lock, NULL), HSMART_OK); /* as another process would */
    assert_true(get(keeper, 0, &err)[0] != 0);
    assert_int_equal(stage.issued, 1);
    hs_access_token_cache_unlock(lock);
    assert_true(get(keeper, 0, &err)[0] != 0);
    assert_int_equal(stage.issued, 2);
    hs_access_token_keeper_free(keeper);
    hs_access_token_cache_free(cache);
    remove_directory(directory);
}

/* ---- Directories that are not private ---- */

static struct place {
    const char *name;
    unsigned mode;
    bool is_link, is_file, is_missing, is_foreign, no_parent;
    const char *text; /* NULL: it is taken */
} places[] = {
    {.name = "one of ours", .mode = 0700},
    {.name = "one that is made", .is_missing = true},
    {.name = "one that others may read", .mode = 0755, .text = "other users may look into it"},
    {.name = "one that others may write", .mode = 0777, .text = "other users may look into it"},
    {.name = "a link to one of ours", .mode = 0700, .is_link = true, .text = "cannot open"},
    {.name = "a file", .is_file = true, .text = "cannot open"},
    {.name = "one without parent", .no_parent = true, .text = "cannot make"},
    {.name = "somebody else's", .mode = 0700, .is_foreign = true, .text = "it belongs to another user"},
};

static void
only_a_private_directory_is_used(void **state)
{
    const struct place *row = *state;
    char parent[64], path[128], target[128];
    struct hs_private_directory directory = {.fd = -1};
    struct stat status;
    hsmart_err err = {0};

    if (row->is_foreign && geteuid() != 0) {
        print_message("SKIP only root can give a directory to somebody else\n");
        skip();
    }
    make_directory(parent);
    (void)snprintf(path, sizeof path, "%s/%s", parent, row->no_parent ? "none/d" : "d");
    (void)snprintf(target, sizeof target, "%s/target", parent);
    if (row->is_file)
        assert_int_equal(hs_file_write_atomic(path, span("x"), 0600, NULL), HSMART_OK);
    else if (!row->is_missing && !row->no_parent)
        assert_int_equal(mkdir(row->is_link ? target : path, 0700), 0);
    if (row->is_link)
        assert_int_equal(symlink(target, path), 0);
    if (row->mode != 0)
        assert_int_equal(chmod(row->is_link ? target : path, row->mode), 0);
    if (row->is_foreign)
        assert_int_equal(chown(path, 1, 1), 0);
    enum hsmart_code code = hs_private_directory_open(path, &directory, &err);
    assert_int_equal(code, row->text != NULL ? HSMART_OUTPUT_FAILED : HSMART_OK);
    if (row->text != NULL) {
        assert_non_null(strstr(err.text, row->text));
        assert_int_equal(directory.fd, -1);
    } else {
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0700);
    }
    hs_private_directory_close(&directory);
    hs_private_directory_close(&directory);
    remove_directory(parent);
}

static void
the_runtime_directory_is_that_of_this_user(void **state)
{
    (void)state;
    char runtime[64], wanted[96], temporary[64], several[160];
    struct hs_private_directory directory = {.fd = -1};

    make_directory(runtime);
    make_directory(temporary);
    assert_int_equal(setenv("TMPDIR", temporary, 1), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", runtime, 1), 0);
    (void)snprintf(wanted, sizeof wanted, "%s/hsmart", runtime);
    assert_int_equal(hs_private_directory_open(NULL, &directory, NULL), HSMART_OK);
    assert_string_equal(directory.path, wanted);
    hs_private_directory_close(&directory);
    /* A relative path in the environment is nobody's: another place is taken. */
    assert_int_equal(setenv("XDG_RUNTIME_DIR", "relative", 1), 0);
    assert_int_equal(setenv("RUNTIME_DIRECTORY", runtime, 1), 0);
    assert_int_equal(hs_private_directory_open(NULL, &directory, NULL), HSMART_OK);
    assert_string_equal(directory.path, wanted);
    hs_private_directory_close(&directory);
    /* systemd writes several with colons between them. */
    (void)snprintf(several, sizeof several, "%s:%s", runtime, temporary);
    assert_int_equal(setenv("RUNTIME_DIRECTORY", several, 1), 0);
    assert_int_equal(hs_private_directory_open(NULL, &directory, NULL), HSMART_OK);
    assert_string_equal(directory.path, wanted);
    hs_private_directory_close(&directory);
    assert_int_equal(unsetenv("RUNTIME_DIRECTORY"), 0);
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
    remove_directory(runtime);
    remove_directory(temporary);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, a_moment_decides, moments);
    ADD_TEST(&rows, an_early_renewal_makes_one_attempt_and_is_not_repeated_at_once);
    ADD_TEST(&rows, a_busy_server_is_left_alone);
    ADD_TEST(&rows, an_answer_that_was_under_way_for_too_long_is_not_handed_out);
    ADD_TEST(&rows, a_rejected_one_is_never_handed_out_again);
    ADD_TEST(&rows, a_refresh_token_is_used_only_where_that_is_configured);
    ADD_TEST(&rows, a_crowd_asks_once);
    ADD_TEST(&rows, another_keeper_takes_it_from_the_file);
    ADD_TEST(&rows, a_busy_server_is_left_alone_by_the_next_process_too);
    ADD_ROWS(&rows, a_hostile_file_is_only_a_cache, hostiles);
    ADD_TEST(&rows, processes_at_once_ask_once);
    ADD_TEST(&rows, a_process_that_dies_leaves_no_lock);
    ADD_TEST(&rows, a_process_forked_meanwhile_does_not_keep_the_lock);
    ADD_TEST(&rows, one_that_is_being_renewed_elsewhere_is_used_meanwhile);
    ADD_ROWS(&rows, only_a_private_directory_is_used, places);
    ADD_TEST(&rows, the_runtime_directory_is_that_of_this_user);
    return rows_run("access_token", &rows);
}
