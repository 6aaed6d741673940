#include "p11_token.h"

#include "clock.h"
#include "err.h"
#include "p11_guard.h"
#include "p11_start.h"
#include "p11_token_state.h"

#define TIMEOUT_DEFAULT_MS 5000U

/* ---- Opening ---- */

static enum hsmart_code
token_new(const hsmart_token_options *options, struct hs_p11_token **out_token, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf directory = {0};
    struct hs_p11_token *token = hs_calloc(1, sizeof *token);

    if (token == NULL)
        return hs_err_no_memory(err);
    atomic_init(&token->reference_count, 1);
    token->log = (struct hs_log){options->log, options->log_arg};
    token->timeout_ms = options->timeout_ms != 0 ? options->timeout_ms : TIMEOUT_DEFAULT_MS;
    code = hs_pool_new(token, options->max_sessions, err);
    if (code == HSMART_OK)
        code = hs_p11_uri_parse(options->uri, &token->uri, err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(options->uri, &token->uri_text, err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(options->name, &token->name, err);
    if (code == HSMART_OK && options->quirks != NULL)
        code = hs_quirks_parse(options->quirks, &token->set_quirks, err);
    if (code == HSMART_OK && options->pin_source != NULL)
        code = hs_pin_source_parse(options->pin_source, &token->pin_source, err);
    if (code == HSMART_OK && options->pin_source != NULL && !token->pin_source.kind->pinpad)
        code = hs_guard_directory(options->state_directory, &directory, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&directory, &token->guard_directory, err);
    token->quirks = token->set_quirks | hs_quirks_of(options->module, NULL);
    hs_buf_clear(&directory);
    *out_token = token;
    return code;
}

static void
token_free(struct hs_p11_token *token)
{
    if (token == NULL)
        return;
    hs_p11_module_leave(token->module, &token->user);
    hs_pool_free(token);
    hs_p11_module_close(token->module);
    hs_token_info_clear(&token->store);
    hs_pin_source_clear(&token->pin_source);
    hs_secret_clear(&token->pin);
    hs_p11_uri_free(token->uri);
    hs_string_free(token->uri_text);
    hs_string_free(token->name);
    hs_string_free(token->guard_directory);
    hs_string_free(token->identity);
    hs_free(token);
}

/* Whether a person is asked, who should not be asked in vain, nor make other processes wait for the turn. */
static bool
asks_a_person(const struct hs_p11_token *token)
{
    return token->pin_source.kind != NULL && !token->pin_source.kind->repeatable && !token->pin_source.kind->pinpad;
}

enum hsmart_code
hs_p11_token_open(const hsmart_token_options *options, struct hs_p11_token **out_token, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_p11_token *token = NULL;

    code = token_new(options, &token, err);
    if (code == HSMART_OK && asks_a_person(token))
        code = hs_start_first(token, options, HS_START_FIND_ONLY, err);
    if (code == HSMART_OK)
        code = hs_login_read_pin(token, INT64_MAX, err);
    if (code == HSMART_OK)
        code = hs_start_first(token, options, HS_START_ALL, err);
    if (code == HSMART_OK) {
        hs_pool_resume(token); /* from here on it makes room for other tokens of the module */
        *out_token = token;
        token = NULL;
    }
    token_free(token);
    return code;
}

struct hs_p11_token *
hs_p11_token_ref(struct hs_p11_token *token)
{
    atomic_fetch_add(&token->reference_count, 1);
    return token;
}

void
hs_p11_token_unref(struct hs_p11_token *token)
{
    if (token != NULL && atomic_fetch_sub(&token->reference_count, 1) == 1)
        token_free(token);
}

/* A request that waits is woken and told; one that is inside the module is waited for. */
enum hsmart_code
hs_p11_token_stop(struct hs_p11_token *token, hsmart_err *err)
{
    int64_t deadline_ms = hs_clock_monotonic_ms() + token->timeout_ms;
    enum hsmart_code code = hs_pool_check_fork(token, err);

    if (code != HSMART_OK)
        return code;
    (void)pthread_mutex_lock(&token->lock);
    token->stopped = true;
    (void)pthread_cond_broadcast(&token->changed);
    bool quiet = hs_pool_wait_until_quiet(token, deadline_ms);
    while (quiet && token->request_count > 0)
        quiet = hs_pool_wait(token, deadline_ms) || token->request_count == 0;
    if (quiet) {
        token->busy_count++; /* another one who stops it waits until this is done */
        hs_pool_drop_sessions(token);
        token->busy_count--;
        (void)pthread_cond_broadcast(&token->changed);
    } else {
        code = hs_err_set(err, HSMART_TOKEN_BUSY,
                          "token \"%s\" is stopped, but calls into its module have not come back", token->name);
    }
    (void)pthread_mutex_unlock(&token->lock);
    return code;
}

/* ---- Looking ---- */

const char *
hs_p11_token_get_name(const struct hs_p11_token *token)
{
    return token->name;
}

const hsmart_token_info *
hs_p11_token_get_info(const struct hs_p11_token *token)
{
    return &token->store.info;
}

const CK_TOKEN_INFO *
hs_p11_token_get_raw_info(const struct hs_p11_token *token)
{
    return &token->raw;
}

const struct hs_p11_module *
hs_p11_token_get_module(const struct hs_p11_token *token)
{
    return token->module;
}

const struct hs_log *
hs_p11_token_get_log(const struct hs_p11_token *token)
{
    return &token->log;
}

unsigned
hs_p11_token_get_quirks(const struct hs_p11_token *token)
{
    return token->quirks;
}

bool
hs_p11_token_logs_in(const struct hs_p11_token *token)
{
    return token->pin_source.kind != NULL;
}

bool
hs_p11_token_lists_mechanism(const struct hs_p11_token *token, CK_MECHANISM_TYPE mechanism)
{
    for (size_t i = 0; i < token->store.info.mechanism_count; i++)
        if (token->store.mechanisms[i] == mechanism)
            return true;
    return false;
}

enum hsmart_code
hs_p11_token_pin_fd(const struct hs_p11_token *token, int *out_fd, hsmart_err *err)
{
    struct hs_secret pin = {0};
    int fd = -1;
    enum hsmart_code code = hs_pool_check_fork(token, err); /* the lock may be another thread's of the parent */

    if (code == HSMART_OK)
        code = hs_login_copy_pin((struct hs_p11_token *)(uintptr_t)token, &pin, err); /* its lock */

    if (code == HSMART_OK && pin.data != NULL)
        code = hs_pin_to_fd(&pin, &fd, err);
    if (code == HSMART_OK)
        *out_fd = fd;
    hs_secret_clear(&pin);
    return code;
}

/* ---- The operator's word ---- */

/* The token without login, and the guard's directory: what the operator's commands need. */
static enum hsmart_code
open_for_guard(const hsmart_token_options *options, struct hs_p11_token **out_token, struct hs_buf *out_directory,
               hsmart_err *err)
{
    hsmart_token_options without_login = *options;
    enum hsmart_code code = hs_guard_directory(options->state_directory, out_directory, err);

    without_login.pin_source = NULL;
    return code == HSMART_OK ? hs_p11_token_open(&without_login, out_token, err) : code;
}

enum hsmart_code
hs_p11_token_guard_reopen(const hsmart_token_options *options, hsmart_err *err)
{
    struct hs_p11_token *token = NULL;
    struct hs_buf directory = {0};
    enum hsmart_code code = open_for_guard(options, &token, &directory, err);

    if (code == HSMART_OK)
        code = hs_guard_reopen(hs_buf_text(&directory), token->identity, err);
    hs_p11_token_unref(token);
    hs_buf_clear(&directory);
    return code;
}

enum hsmart_code
hs_p11_token_guard_look(const hsmart_token_options *options, enum hsmart_guard_state *out_state, hsmart_err *err)
{
    static const enum hsmart_guard_state states[] = {
        [HS_GUARD_OPEN] = HSMART_GUARD_OPEN,       [HS_GUARD_PENDING] = HSMART_GUARD_PENDING,
        [HS_GUARD_REFUSED] = HSMART_GUARD_REFUSED, [HS_GUARD_REOPENED] = HSMART_GUARD_REOPENED,
        [HS_GUARD_UNCLEAR] = HSMART_GUARD_OPEN,    [HS_GUARD_UNANSWERED] = HSMART_GUARD_UNANSWERED};
    struct hs_p11_token *token = NULL;
    struct hs_buf directory = {0}, path = {0};
    enum hs_guard_state state = HS_GUARD_OPEN;
    enum hsmart_code code = open_for_guard(options, &token, &directory, err);

    if (code == HSMART_OK)
        code = hs_guard_look(hs_buf_text(&directory), token->identity, &state, &path, err);
    if (code == HSMART_OK)
        *out_state = states[state];
    hs_p11_token_unref(token);
    hs_buf_clear(&directory);
    hs_buf_clear(&path);
    return code;
}
