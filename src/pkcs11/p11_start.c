#include "p11_start.h"

#include "clock.h"
#include "err.h"
#include "p11_guard.h"
#include "p11_login.h"
#include "p11_pool.h"
#include "p11_token_state.h"

#define START_TRIES 8U /* of a token whose answers other processes can make false */
#define START_REST_MS 5U

/* ---- Once ---- */

/* What is told of the token, and by what the guard knows it, stays as first seen: others read it without a lock. */
static enum hsmart_code
look_at_token(struct hs_p11_token *token, const struct hs_found_token *found, hsmart_err *err)
{
    enum hsmart_code code = hs_token_info_read(token->module->p11, found->slot, &found->raw, &token->store, err);

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
    struct hs_found_token found = {0};
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
    code =
        hs_buf_append_format(&text, err, "%s\n%s\n%s\n%s", info->serial, info->label, info->manufacturer, info->model);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&text, &token->identity, err);
    hs_buf_clear(&text);
    return code;
}

/* HSMART_TOKEN_BUSY says that others use the module: then what can be done without restarting it is done. */
static enum hsmart_code
restart_unless_shared(struct hs_p11_token *token, int64_t deadline_ms, hsmart_err *err)
{
    enum hsmart_code code = hs_p11_module_restart(token->module, &token->user, deadline_ms, err);

    if (code != HSMART_TOKEN_BUSY)
        return code;
    hs_log_detail(&token->log, "the module is not restarted: others in this process use it");
    return HSMART_OK;
}

static enum hsmart_code
start_once(struct hs_p11_token *token, bool restart, enum hs_start what, int64_t deadline_ms, bool *out_false_answer,
           hsmart_err *err)
{
    enum hsmart_code code = restart ? restart_unless_shared(token, deadline_ms, err) : HSMART_OK;

    if (code == HSMART_OK)
        code = find_token(token, out_false_answer, err);
    if (code == HSMART_OK)
        code = make_identity(token, err);
    if (code == HSMART_OK && what == HS_START_ALL)
        code = hs_login_open_anchor(token, deadline_ms, out_false_answer, err);
    if (code == HSMART_OK)
        hs_pool_set_limit(token);
    return code;
}

/* ---- As often as it takes ---- */

/* Other processes can make the answers of some tokens false: those are asked for again, a bounded number of times. The
 * turn makes them rare, this makes them harmless. Nobody has a session of the token, so it can be restarted. */
static enum hsmart_code
start_until_true(struct hs_p11_token *token, bool restart, enum hs_start what, int64_t deadline_ms, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    for (unsigned i = 0; i < START_TRIES; i++) {
        bool false_answer = false;
        if (i > 0)
            hs_clock_sleep_ms(START_REST_MS * i + hs_random_below(START_REST_MS * 2));
        code = start_once(token, restart || i > 0, what, deadline_ms, &false_answer, err);
        if (!false_answer || hs_clock_monotonic_ms() >= deadline_ms)
            return code;
        hs_log_detail(&token->log, "asks the token again: what it answered can be another process's doing");
    }
    return code;
}

/* Half of the time is for the turn, without which it goes on. */
static int
turn_begin_when_needed(const struct hs_p11_token *token, const char *module_path, int64_t deadline_ms)
{
    int64_t left_ms = deadline_ms - hs_clock_monotonic_ms();

    return (token->quirks & HS_QUIRK_SERIAL_START) != 0 ? hs_p11_turn_begin(module_path, left_ms / 2, &token->log) : -1;
}

enum hsmart_code
hs_start_first(struct hs_p11_token *token, const hsmart_token_options *options, enum hs_start what, hsmart_err *err)
{
    int64_t deadline_ms = hs_clock_monotonic_ms() + HS_GUARD_WAIT_MS;
    int turn = turn_begin_when_needed(token, options->module, deadline_ms);
    enum hsmart_code code = HSMART_OK;

    if (token->module == NULL)
        code = hs_p11_module_open(options->module, options->init_string, deadline_ms, &token->log, &token->module, err);
    if (code == HSMART_OK && token->user.arg == NULL) {
        token->user = (struct hs_p11_module_user){.vacate = hs_pool_vacate, .resume = hs_pool_resume, .arg = token};
        hs_p11_module_join(token->module, &token->user);
    }
    if (code == HSMART_OK)
        code = start_until_true(token, false, what, deadline_ms, err);
    hs_p11_turn_end(turn);
    return code;
}

enum hsmart_code
hs_start_again(struct hs_p11_token *token, int64_t deadline_ms, hsmart_err *err)
{
    int turn = turn_begin_when_needed(token, token->module->path, deadline_ms);
    enum hsmart_code code = start_until_true(token, true, HS_START_ALL, deadline_ms, err);

    hs_p11_turn_end(turn);
    return code;
}

/* Without retries: what a false answer needs is the module restarted, and others are in it. */
enum hsmart_code
hs_start_relogin(struct hs_p11_token *token, bool find_first, int64_t deadline_ms, hsmart_err *err)
{
    int turn = turn_begin_when_needed(token, token->module->path, deadline_ms);
    bool false_answer = false;
    enum hsmart_code code = find_first ? find_token(token, &false_answer, err) : HSMART_OK;

    if (code == HSMART_OK)
        code = hs_login_open_anchor(token, deadline_ms, &false_answer, err);

    hs_p11_turn_end(turn);
    return code;
}
