/* What src/pkcs11 calls fails: the system, OpenSSL, and memory. Each time it says so, and leaves nothing open.
 * Linked with --wrap for each of them. */
#define _GNU_SOURCE
#include "rows.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "failing_calls.h"
#include "failing_malloc.h"
#include "fake/fake_p11.h"
#include "p11_guard.h"
#include "p11_handover.h"
#include "p11_pin.h"
#include "p11_quirk.h"
#include "p11_slots.h"
#include "p11_token.h"
#include "p11_token_init.h"
#include "p11_uri.h"
#include "softhsm.h"

/* ---- OpenSSL that fails ---- */

static unsigned library_calls, failing_library_call = UINT32_MAX;

static bool
library_fails(void)
{
    return library_calls++ == failing_library_call;
}

EVP_MD_CTX *__real_EVP_MD_CTX_new(void);
EVP_MD_CTX *__wrap_EVP_MD_CTX_new(void);

EVP_MD_CTX *
__wrap_EVP_MD_CTX_new(void)
{
    return library_fails() ? NULL : __real_EVP_MD_CTX_new();
}

/* ---- What is done ---- */

static struct fake_p11 *fake;
static struct hs_test_token files;

static hsmart_token_options
fake_options(void)
{
    return (hsmart_token_options){.module = FAKE_P11_MODULE,
                                  .uri = "pkcs11:token=fake",
                                  .pin_source = files.pin_source,
                                  .state_directory = files.state};
}

static enum hsmart_code
try_a_pin(hsmart_err *err)
{
    struct hs_guard guard = {.lock_fd = -1};
    enum hsmart_code code = hs_guard_begin(files.state, "token", span("1234"), INT64_MAX, &guard, err);

    if (code == HSMART_OK)
        code = hs_guard_mark_pending(&guard, err);
    if (code == HSMART_OK)
        code = hs_guard_mark_end(&guard, HS_GUARD_REFUSED, err);
    hs_guard_end(&guard);
    return code;
}

static enum hsmart_code
try_another_pin(hsmart_err *err)
{
    struct hs_guard guard = {.lock_fd = -1};
    enum hsmart_code code = hs_guard_begin(files.state, "token", span("9999"), INT64_MAX, &guard, NULL);

    if (code == HSMART_OK)
        code = hs_guard_mark_pending(&guard, NULL);
    if (code == HSMART_OK)
        code = hs_guard_mark_end(&guard, HS_GUARD_REFUSED, NULL);
    hs_guard_end(&guard);
    return try_a_pin(err);
}

static enum hsmart_code
look_at_the_guard(hsmart_err *err)
{
    struct hs_buf path = {0};
    enum hs_guard_state state;
    enum hsmart_code code = hs_guard_look(files.state, "token", &state, &path, err);

    hs_buf_clear(&path);
    return code;
}

static enum hsmart_code
reopen_the_guard(hsmart_err *err)
{
    return hs_guard_reopen(files.state, "token", err);
}

static enum hsmart_code
find_the_directory(hsmart_err *err)
{
    struct hs_buf path = {0};
    enum hsmart_code code = hs_guard_directory(NULL, &path, err);

    hs_buf_clear(&path);
    return code;
}

static enum hsmart_code
read_pin(const char *text, int64_t deadline_ms, hsmart_err *err)
{
    struct hs_pin_source source = {0};
    struct hs_secret pin = {0};
    enum hsmart_code code = hs_pin_source_parse(text, &source, err);

    if (code == HSMART_OK)
        code = hs_pin_source_read_until(&source, "PIN", deadline_ms, &pin, err);
    assert_int_equal(pin.data != NULL, code == HSMART_OK);
    hs_secret_clear(&pin);
    hs_pin_source_clear(&source);
    return code;
}

static enum hsmart_code
run_a_command(hsmart_err *err)
{
    return read_pin("exec:echo 1234", INT64_MAX, err);
}

static enum hsmart_code
run_a_command_that_hangs(hsmart_err *err)
{
    return read_pin("exec:exec sleep 60", hs_clock_monotonic_ms() + 50, err);
}

static enum hsmart_code
read_a_file(hsmart_err *err)
{
    return read_pin(files.pin_source, INT64_MAX, err);
}

static enum hsmart_code
read_a_credential(hsmart_err *err)
{
    return read_pin("credential:pin", INT64_MAX, err);
}

static enum hsmart_code
hand_a_pin_on(hsmart_err *err)
{
    struct hs_secret pin = {0};
    int fd = -1;
    enum hsmart_code code = hs_secret_set(&pin, span("1234"), err);

    if (code == HSMART_OK)
        code = hs_pin_to_fd(&pin, &fd, err);
    assert_int_equal(fd >= 0, code == HSMART_OK);
    if (fd >= 0)
        (void)close(fd);
    hs_secret_clear(&pin);
    return code;
}

static enum hsmart_code
read_and_write_a_uri(hsmart_err *err)
{
    static const CK_TOKEN_INFO token = {.label = "prod", .serialNumber = "1"};
    struct hs_p11_uri *uri = NULL;
    struct hs_buf text = {0};
    enum hsmart_code code = hs_p11_uri_parse("pkcs11:token=prod", &uri, err);

    if (code == HSMART_OK)
        code = hs_p11_uri_format_token(&token, &text, err);
    if (code == HSMART_OK)
        code = hs_p11_uri_format_key(&token, span("k"), span("1"), &text, err);
    hs_p11_uri_free(uri);
    hs_buf_clear(&text);
    return code;
}

static enum hsmart_code
name_a_quirk_that_there_is_not(hsmart_err *err)
{
    unsigned quirks;

    return hs_quirks_parse("no-such-quirk", &quirks, err);
}

static enum hsmart_code
open_and_close(hsmart_token_options options, hsmart_err *err)
{
    struct hs_p11_token *token = NULL;
    enum hsmart_code code = hs_p11_token_open(&options, &token, err);

    assert_int_equal(token != NULL, code == HSMART_OK);
    hs_p11_token_unref(token);
    return code;
}

static enum hsmart_code
open_a_token(hsmart_err *err)
{
    return open_and_close(fake_options(), err);
}

static enum hsmart_code
name_two_tokens(hsmart_err *err)
{
    fake->tokens[1] = fake->tokens[0];
    fake->token_count = 2;
    return open_and_close(fake_options(), err);
}

static enum hsmart_code
name_no_token(hsmart_err *err)
{
    hsmart_token_options options = fake_options();

    options.uri = "pkcs11:token=absent";
    return open_and_close(options, err);
}

static enum hsmart_code
list_the_tokens(hsmart_err *err)
{
    const hsmart_token_options options = fake_options();
    hsmart_token_list *list = NULL;
    enum hsmart_code code = hs_p11_token_list_read(&options, &list, err);

    hs_p11_token_list_free(list);
    return code;
}

static enum hsmart_code
set_a_token_up(hsmart_err *err)
{
    const hsmart_token_options options = fake_options();
    const hsmart_token_init_options init = {
        .label = "fake", .so_pin_source = files.so_pin_source, .reinitialize = true};

    return hs_p11_token_init(&options, &init, err);
}

/* From an open token, and back to the guard, as if another library had logged in. */
static enum hsmart_code
hand_a_login_over(hsmart_err *err)
{
    const hsmart_token_options options = fake_options();
    struct hs_p11_token *token = NULL;
    struct hs_p11_handover handover = {.guard.lock_fd = -1};
    enum hsmart_code code = hs_p11_token_open(&options, &token, err);

    if (code == HSMART_OK)
        code = hs_p11_handover_take(token, &handover, err);
    hs_p11_token_unref(token);
    if (code == HSMART_OK)
        code = hs_p11_handover_begin(&handover, err);
    if (code == HSMART_OK)
        code = hs_p11_handover_end(&handover, HS_P11_LOGIN_TAKEN, err);
    hs_p11_handover_clear(&handover);
    return code;
}

static enum hsmart_code
find_and_read(hsmart_err *err)
{
    static const uint8_t long_value[2000]; /* longer than is guessed: asked for once more */
    static const struct fake_attribute attributes[] = {{.type = CKA_LABEL, .value = long_value, .len = 2000}};
    struct hs_p11_session session = {.p11 = fake->functions};
    struct hs_p11_object *objects = NULL;
    struct hs_p11_attribute attribute = {.type = CKA_LABEL};
    size_t count = 0;

    fake->attributes = attributes;
    fake->attribute_count = HS_ARRAY_LEN(attributes);
    assert_int_equal(fake->functions->C_Initialize(NULL), CKR_OK);
    assert_int_equal(fake->functions->C_OpenSession(0, CKF_SERIAL_SESSION, NULL, NULL, &session.handle), CKR_OK);
    enum hsmart_code code = hs_p11_session_find(&session, HS_P11_ANY_CLASS, NULL, 0, &objects, &count, err);
    if (code == HSMART_OK)
        code = hs_p11_session_read(&session, objects[0], &attribute, 1, err);
    hs_p11_attributes_clear(&attribute, 1);
    hs_free(objects);
    assert_int_equal(fake->functions->C_Finalize(NULL), CKR_OK);
    return code;
}

static struct operation {
    const char *name;
    enum hsmart_code (*run)(hsmart_err *err);
    enum hsmart_code code; /* when nothing fails */
    const char *says;
} operations[] = {
    {"a try of a PIN", try_a_pin, HSMART_OK, NULL},
    {"a try of a PIN after another one", try_another_pin, HSMART_OK, NULL},
    {"a look at the guard", look_at_the_guard, HSMART_OK, NULL},
    {"an operator's word", reopen_the_guard, HSMART_OK, NULL},
    {"the guard's directory", find_the_directory, HSMART_OK, NULL},
    {"a PIN by a command", run_a_command, HSMART_OK, NULL},
    {"a PIN by a command that hangs", run_a_command_that_hangs, HSMART_PIN_UNAVAILABLE, "gave no PIN within"},
    {"a PIN in a file", read_a_file, HSMART_OK, NULL},
    {"a PIN as a credential", read_a_credential, HSMART_OK, NULL},
    {"a PIN handed on", hand_a_pin_on, HSMART_OK, NULL},
    {"URIs", read_and_write_a_uri, HSMART_OK, NULL},
    {"an unknown quirk", name_a_quirk_that_there_is_not, HSMART_INVALID_ARGUMENT, "no-such-quirk"},
    {"an opening", open_a_token, HSMART_OK, NULL},
    {"an opening where two match", name_two_tokens, HSMART_TOKEN_AMBIGUOUS, "several tokens match"},
    {"an opening where none matches", name_no_token, HSMART_TOKEN_ABSENT, "no token matches"},
    {"a list of tokens", list_the_tokens, HSMART_OK, NULL},
    {"a token's setting up", set_a_token_up, HSMART_OK, NULL},
    {"a login handed over", hand_a_login_over, HSMART_OK, NULL},
    {"a search", find_and_read, HSMART_OK, NULL},
};

/* ---- What fails ---- */

static enum hs_test_call system_call;
static int system_errno;

static void
begin_memory(unsigned n)
{
    hs_test_fail_allocation(n);
}

static bool
end_memory(unsigned n)
{
    return hs_test_end_failing() > n;
}

static void
begin_library(unsigned n)
{
    library_calls = 0;
    failing_library_call = n;
}

static bool
end_library(unsigned n)
{
    failing_library_call = UINT32_MAX;
    return library_calls > n;
}

static void
begin_system(unsigned n)
{
    hs_test_fail_call(system_call, system_errno, n);
}

static bool
end_system(unsigned n)
{
    (void)n;
    return hs_test_end_failing_calls();
}

static struct failing {
    const char *name;
    void (*begin)(unsigned n);
    bool (*end)(unsigned n); /* whether the nth call was made, and so failed */
    enum hs_test_call call;
    int error;
    bool is_endured;       /* the outcome is as if nothing had failed */
    enum hsmart_code code; /* the only one it may lead to; HSMART_OK: any */
} failings[] = {
    {"memory", begin_memory, end_memory, 0, 0, false, HSMART_NO_MEMORY},
    {"a digest", begin_library, end_library, 0, 0, false, HSMART_OK},
    {"the sync of a directory", begin_system, end_system, TEST_FSYNC_DIRECTORY, EIO, false, HSMART_PIN_GUARDED},
    {"a file lock", begin_system, end_system, TEST_FLOCK, ENOLCK, false, HSMART_PIN_GUARDED},
    {"a file lock, interrupted", begin_system, end_system, TEST_FLOCK, EINTR, true, HSMART_OK},
    {"the reading of a directory", begin_system, end_system, TEST_OPENDIR, EACCES, true, HSMART_OK},
    {"a pipe", begin_system, end_system, TEST_PIPE, EMFILE, false, HSMART_PIN_UNAVAILABLE},
    {"a program's start", begin_system, end_system, TEST_SPAWN, EAGAIN, false, HSMART_PIN_UNAVAILABLE},
    {"the wait for a program that the process collects itself", begin_system, end_system, TEST_WAITPID, ECHILD, true,
     HSMART_OK},
    {"the wait for a program, interrupted", begin_system, end_system, TEST_WAITPID, EINTR, true, HSMART_OK},
    {"reading", begin_system, end_system, TEST_READ, EIO, false, HSMART_OK},
    {"writing", begin_system, end_system, TEST_WRITE, ENOSPC, false, HSMART_OK},
    {"writing, interrupted", begin_system, end_system, TEST_WRITE, EINTR, true, HSMART_OK},
    {"reading, interrupted", begin_system, end_system, TEST_READ, EINTR, true, HSMART_OK},
    {"a file in memory", begin_system, end_system, TEST_MEMFD, EMFILE, false, HSMART_PIN_UNAVAILABLE},
    {"going back to a file's beginning", begin_system, end_system, TEST_LSEEK, EIO, false, HSMART_PIN_UNAVAILABLE},
    {"random numbers", begin_system, end_system, TEST_RANDOM, ENOSYS, false, HSMART_INTERNAL},
};

static unsigned
open_descriptors(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

static void
forget_guards(void)
{
    DIR *directory = opendir(files.state);

    if (directory == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        (void)unlinkat(dirfd(directory), entry->d_name, 0);
    (void)closedir(directory);
}

#define CALLS_MAX 1000U

static void
run_failing(const struct failing *failing, const struct operation *operation, unsigned *out_failures)
{
    bool reached = true;

    system_call = failing->call;
    system_errno = failing->error;
    for (unsigned n = 0; reached && n < CALLS_MAX; n++) {
        hsmart_err err = {0};
        forget_guards();
        fake = fake_p11_load();
        fake->object_count = 1;
        unsigned descriptors = open_descriptors();
        failing->begin(n);
        enum hsmart_code code = operation->run(&err);
        reached = failing->end(n);
        *out_failures += reached;
        bool as_ever = code == operation->code && (code == HSMART_OK || strstr(err.text, operation->says) != NULL);
        bool told = code != HSMART_OK && err.code == code && err.text[0] != 0 &&
                    (failing->code == HSMART_OK || failing->code == code);
        if (!as_ever && (!reached || failing->is_endured || !told))
            fail_msg("%s, call %u fails: %s: %s", operation->name, n, hsmart_code_name(code), err.text);
        assert_int_equal(open_descriptors(), descriptors);
        assert_int_equal(fake->open_sessions, 0);
        assert_false(fake->initialized);
    }
    assert_false(reached);
}

static void
it_is_told_or_endured(void **state)
{
    const struct failing *row = *state;
    unsigned failures = 0;

    for (size_t i = 0; i < HS_ARRAY_LEN(operations); i++)
        run_failing(row, &operations[i], &failures);
    print_message("%s: failed %u times\n", row->name, failures);
    assert_true(failures > 0);
}

static int
make_files(void **state)
{
    char path[96];

    (void)state;
    files = (struct hs_test_token){.dir = "/tmp/hsmart-failing-XXXXXX"};
    assert_non_null(mkdtemp(files.dir));
    hs_test_write(&files, "pin", "1234\n", path);
    (void)snprintf(files.pin_source, sizeof files.pin_source, "file:%.80s", path);
    hs_test_write(&files, "so", "12345678\n", path);
    (void)snprintf(files.so_pin_source, sizeof files.so_pin_source, "file:%.80s", path);
    (void)snprintf(files.state, sizeof files.state, "%s/state", files.dir);
    return setenv("CREDENTIALS_DIRECTORY", files.dir, 1) || setenv("STATE_DIRECTORY", files.state, 1);
}

static int
remove_files(void **state)
{
    (void)state;
    hs_test_token_remove(&files);
    return 0;
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, it_is_told_or_endured, failings);
    return _cmocka_run_group_tests("p11_failing_calls", rows.tests, rows.count, make_files, remove_files);
}
