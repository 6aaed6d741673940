/* One token: opened, shared by reference, released. */
#include "clock.h"
#include "err.h"
#include "p11_ckr.h"
#include "p11_guard.h"
#include "p11_token_internal.h"

#define TIMEOUT_DEFAULT_MS 5000U
#define START_TRIES 8U /* of a token whose answers other processes can make false */
#define START_REST_MS 5U

/* ---- Starting: find the token, open the anchor, log in ---- */

/* What is told of the token, and by what the guard knows it, stays as first seen: others read it without a lock. */
static enum hsmart_code
look_at_token(struct hs_p11_token *token, const struct found_token *found, hsmart_err *err)
{
    enum hsmart_code code =
        hs_token_info_read(token->module->p11, found->slot, &found->raw, &token->store, err);

    if (code == HSMART_OK && token->name == NULL)
        code = hs_strdup(token->store.label, &token->name, err);
    token->raw = found->raw;
    token->quirks |= hs_quirks_of(NULL, token->store.manufacturer);
    return code;
}

static bool
is_the_same(const CK_TOKEN_INFO *a, const CK_TOKEN_INFO *b)
{
    return memcmp(a->serialNumber, b->serialNumber, sizeof a->serialNumber) == 0 &&
           memcmp(a->label, b->label, sizeof a->label) == 0;
}

/* The first time by the user's URI; then by the token's own, since by now another one may match the user's, too. */
static enum hsmart_code
find_token(struct hs_p11_token *token, bool *out_false_answer, hsmart_err *err)
{
    struct found_token found = {0};
    struct hs_p11_uri *own_uri = NULL;
    bool is_known = token->store.uri != NULL;
    enum hsmart_code code = is_known ? hs_p11_uri_parse(token->store.uri, &own_uri, err) : HSMART_OK;

    if (!is_known)
        token->quirks |= token->module->quirks;
    if (code == HSMART_OK)
        code = hs_slots_find_one(token->module, is_known ? own_uri : token->uri,
                                 is_known ? token->store.uri : token->uri_text, &found, err);
    hs_p11_uri_free(own_uri);
    *out_false_answer = code == HSMART_TOKEN_ABSENT && (token->quirks & HS_QUIRK_SERIAL_START) != 0;
    if (code == HSMART_OK && !is_known)
        code = look_at_token(token, &found, err);
    else if (code == HSMART_OK && !is_the_same(&found.raw, &token->raw))
        code = hs_err_set(err, HSMART_TOKEN_ABSENT, "the token found is another one than before (serial %.16s)",
                          found.raw.serialNumber);
    if (code == HSMART_OK)
        token->slot = found.slot;
    return code;
}

static enum hsmart_code
make_identity(struct hs_p11_token *token, hsmart_err *err)
{
    const hsmart_token_info *info = &token->store.info;
    struct hs_buf text = {0};
    enum hsmart_code code;

    if (token->identity != NULL)
        return HSMART_OK;
    code = hs_buf_append_format(&text, err, "%s\n%s\n%s\n%s", info->serial, info->label, info->manufacturer, info->model);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&text, &token->identity, err);
    hs_buf_clear(&text);
    return code;
}

/* HSMART_TOKEN_BUSY says that others use the module: then what can be done without restarting it is done. */
static enum hsmart_code
restart_unless_shared(struct hs_p11_token *token, hsmart_err *err)
{
    enum hsmart_code code = hs_p11_module_restart(token->module, err);

    if (code != HSMART_TOKEN_BUSY)
        return code;
    hs_log_detail(&token->log, "the module is not restarted: others in this process use it");
    return HSMART_OK;
}

enum start { START_FIND_ONLY, START_ALL };

static enum hsmart_code
start_once(struct hs_p11_token *token, bool restart, enum start what, bool *out_false_answer, hsmart_err *err)
{
    enum hsmart_code code = restart ? restart_unless_shared(token, err) : HSMART_OK;

    if (code == HSMART_OK)
        code = find_token(token, out_false_answer, err);
    if (code == HSMART_OK)
        code = make_identity(token, err);
    if (code == HSMART_OK && what == START_ALL)
        code = hs_login_open_anchor(token, out_false_answer, err);
    if (code == HSMART_OK)
        hs_pool_set_limit(token);
    return code;
}

/* Other processes can make the answers of some tokens false: those are asked for again, a bounded number of times. The
 * turn makes them rare, this makes them harmless. Nobody has a session of the token, so it can be restarted. */
static enum hsmart_code
start_until_true(struct hs_p11_token *token, bool restart, enum start what, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    for (unsigned i = 0; i < START_TRIES; i++) {
        bool false_answer = false;
        if (i > 0)
            hs_clock_sleep_ms(START_REST_MS * i + hs_random_below(START_REST_MS * 2));
        code = start_once(token, restart || i > 0, what, &false_answer, err);
        if (!false_answer)
            return code;
        hs_log_detail(&token->log, "asks the token again: what it answered can be another process's doing");
    }
    return code;
}

static int
turn_begin_when_needed(const struct hs_p11_token *token, const char *module_path)
{
    return (token->quirks & HS_QUIRK_SERIAL_START) != 0 ? hs_p11_turn_begin(module_path, &token->log) : -1;
}

enum hsmart_code
hs_token_restart(struct hs_p11_token *token, hsmart_err *err)
{
    int turn = turn_begin_when_needed(token, token->module->path);
    enum hsmart_code code = start_until_true(token, true, START_ALL, err);

    hs_p11_turn_end(turn);
    return code;
}

/* Without retries: what a false answer needs is the module restarted, and others are in it. */
enum hsmart_code
hs_token_relogin(struct hs_p11_token *token, hsmart_err *err)
{
    int turn = turn_begin_when_needed(token, token->module->path);
    bool false_answer = false;
    enum hsmart_code code = hs_login_open_anchor(token, &false_answer, err);

    hs_p11_turn_end(turn);
    return code;
}

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

static enum hsmart_code
load_and_start(struct hs_p11_token *token, const hsmart_token_options *options, enum start what, hsmart_err *err)
{
    int turn = turn_begin_when_needed(token, options->module);
    enum hsmart_code code = HSMART_OK;

    if (token->module == NULL)
        code = hs_p11_module_open(options->module, options->init_string, &token->log, &token->module, err);
    if (code == HSMART_OK)
        code = start_until_true(token, false, what, err);
    hs_p11_turn_end(turn);
    return code;
}

enum hsmart_code
hs_p11_token_open(const hsmart_token_options *options, struct hs_p11_token **out_token, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_p11_token *token = NULL;

    code = token_new(options, &token, err);
    if (code == HSMART_OK && asks_a_person(token))
        code = load_and_start(token, options, START_FIND_ONLY, err);
    if (code == HSMART_OK)
        code = hs_login_read_pin(token, err);
    if (code == HSMART_OK)
        code = load_and_start(token, options, START_ALL, err);
    if (code == HSMART_OK) {
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

enum hsmart_code
hs_token_check_fork(const struct hs_p11_token *token, hsmart_err *err)
{
    if (!hs_p11_module_is_from_before_fork(token->module))
        return HSMART_OK;
    return hs_err_set(err, HSMART_FORKED,
                      "token \"%s\" was opened before this process was forked and is not used in the child", token->name);
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
    enum hsmart_code code = hs_login_copy_pin((struct hs_p11_token *)(uintptr_t)token, &pin, err); /* its lock */

    if (code == HSMART_OK && pin.data != NULL)
        code = hs_pin_to_fd(&pin, &fd, err);
    if (code == HSMART_OK)
        *out_fd = fd;
    hs_secret_clear(&pin);
    return code;
}

/* ---- The operator's word ---- */

enum hsmart_code
hs_p11_token_guard_reopen(const hsmart_token_options *options, hsmart_err *err)
{
    hsmart_token_options without_login = *options;
    struct hs_p11_token *token = NULL;
    struct hs_buf directory = {0};
    enum hsmart_code code;

    without_login.pin_source = NULL;
    code = hs_guard_directory(options->state_directory, &directory, err);
    if (code == HSMART_OK)
        code = hs_p11_token_open(&without_login, &token, err);
    if (code == HSMART_OK)
        code = hs_guard_reopen(hs_buf_text(&directory), token->identity, err);
    hs_p11_token_unref(token);
    hs_buf_clear(&directory);
    return code;
}
