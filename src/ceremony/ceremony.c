#include "ceremony.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ceremony_state.h"
#include "clock.h"
#include "destroy.h"
#include "err.h"
#include "file.h"
#include "record_verify.h"
#include "token_signer.h"

#define SESSIONS_BESIDE_KEYS 4U
#define TIMEOUT_MS 120000U /* key generation on real HSMs takes up to a minute */

void
hs_ceremony_say(const struct ceremony *ceremony, const char *format, ...)
{
    char line[600];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    ceremony->seam->say(ceremony->seam->arg, line);
}

enum hsmart_code
hs_ceremony_fail(struct ceremony *ceremony, hsmart_err *err, const char *reason, ...)
{
    char text[480];
    va_list args;

    va_start(args, reason);
    (void)vsnprintf(text, sizeof text, reason, args);
    va_end(args);
    hs_string_free(ceremony->failure);
    ceremony->failure = NULL;
    enum hsmart_code code = hs_strdup(text, &ceremony->failure, err);
    return code == HSMART_OK ? hs_err_set(err, HSMART_POLICY_REFUSED, "%s", text) : code;
}

static void
ceremony_clear(struct ceremony *ceremony)
{
    hs_signer_free(ceremony->organisation_signer);
    hs_token_key_free(ceremony->organisation_key);
    for (size_t i = 0; i < ceremony->plan.key_count; i++)
        hs_ceremony_key_clear(&ceremony->keys[i]);
    if (ceremony->token != NULL)
        hs_p11_token_unref(ceremony->token);
    for (size_t i = 0; i < ceremony->person_count; i++)
        hs_string_free(ceremony->people[i].name);
    hs_free(ceremony->people);
    for (size_t i = 0; i < ceremony->interruption_count; i++)
        hs_string_free(ceremony->interruptions[i]);
    for (size_t i = 0; i < ceremony->output_count; i++) {
        hs_string_free(ceremony->outputs[i].name);
        hs_buf_clear(&ceremony->outputs[i].contents);
    }
    hs_free(ceremony->outputs);
    hs_record_clear(&ceremony->previous);
    hs_string_free(ceremony->rehearsed_sha256);
    hs_string_free(ceremony->other_clock);
    hs_string_free(ceremony->failure);
    hs_string_free(ceremony->partial);
    hs_string_free(ceremony->journal);
    if (ceremony->lock_fd >= 0)
        (void)close(ceremony->lock_fd);
    hs_plan_clear(&ceremony->plan);
}

/* ---- Before anybody is asked ---- */

static enum hsmart_code
load_plan(struct ceremony *ceremony, hsmart_err *err)
{
    enum hsmart_code code = hs_plan_load(ceremony->options->plan, &ceremony->plan, err);

    for (size_t i = 0; code == HSMART_OK && i < ceremony->plan.key_count; i++)
        ceremony->keys[i].plan = &ceremony->plan.keys[i];
    return code;
}

/* Found now, and not when the people have confirmed everything. */
static enum hsmart_code
check_can_be_made(const struct ceremony *ceremony, hsmart_err *err)
{
    if (mkdir(ceremony->partial, 0700) == 0) {
        (void)rmdir(ceremony->partial);
        return HSMART_OK;
    }
    if (errno == EEXIST)
        return HSMART_OK;
    (void)hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot make the directory \"%s\"", ceremony->partial);
    hs_err_hint(err, "the directory above it has to be there, and this user must be allowed to write in it");
    return HSMART_OUTPUT_FAILED;
}

/* A ceremony cannot be repeated until it is known what the one before left. */
static enum hsmart_code
check_directory(struct ceremony *ceremony, hsmart_err *err)
{
    const char *out = ceremony->options->out_directory;
    struct stat there;
    enum hsmart_code code;

    if (out == NULL)
        return HSMART_OK;
    code = hs_ceremony_paths(ceremony, err);
    if (code != HSMART_OK)
        return code;
    if (lstat(out, &there) == 0) { /* also a link to nowhere: the directory could not get its name later */
        (void)hs_err_set(err, HSMART_OUTPUT_FAILED, "\"%s\" is there already", out);
        hs_err_hint(err, "a ceremony writes into a directory of its own, which it makes: give another name");
        return HSMART_OUTPUT_FAILED;
    }
    bool interrupted = access(ceremony->journal, F_OK) == 0;
    if (interrupted && !ceremony->options->resume) {
        (void)hs_err_set(err, HSMART_KEY_EXISTS,
                         "an interrupted ceremony is in \"%s\", and may have left keys on the token",
                         ceremony->partial);
        hs_err_hint(err, "\"ceremony run\" with --resume goes on with it; with --clean-up it destroys what is there");
        return HSMART_KEY_EXISTS;
    }
    if (!interrupted && ceremony->options->resume)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "there is no interrupted ceremony in \"%s\"",
                          ceremony->partial);
    return check_can_be_made(ceremony, err);
}

/* It died between its last two steps: the directory is there, and the journal still, too. */
static bool
was_completed(struct ceremony *ceremony)
{
    const char *out = ceremony->options->out_directory;

    if (out == NULL || access(out, F_OK) != 0 || hs_ceremony_paths(ceremony, NULL) != HSMART_OK ||
        access(ceremony->journal, F_OK) != 0)
        return false;
    hs_ceremony_say(ceremony, "The ceremony was complete when it was interrupted: everything is in \"%s\".", out);
    hs_journal_remove(ceremony);
    return true;
}

static enum hsmart_code
load_previous(struct ceremony *ceremony, hsmart_err *err)
{
    const char *path = ceremony->options->previous;
    enum hsmart_code code;

    if (path == NULL && ceremony->plan.require_previous) {
        (void)hs_err_set(err, HSMART_POLICY_REFUSED, "the plan wants the record of the ceremony before this one");
        hs_err_hint(err, "give --previous RECORD");
        return HSMART_POLICY_REFUSED;
    }
    if (path == NULL)
        return HSMART_OK;
    code = hs_record_load(path, &ceremony->previous, err);
    if (code == HSMART_OK)
        code = hs_record_check_link(&ceremony->previous, err);
    if (code == HSMART_OK && hs_record_is_rehearsal(&ceremony->previous))
        code = hs_err_set(err, HSMART_POLICY_REFUSED, "it is the record of a rehearsal");
    if (code == HSMART_OK)
        code = hs_record_check_is_past(&ceremony->previous, ceremony->started_s, err);
    ceremony->has_previous = code == HSMART_OK;
    return code == HSMART_OK ? code : hs_err_wrap(err, code, "--previous \"%s\"", path);
}

static enum hsmart_code
load_rehearsal(struct ceremony *ceremony, hsmart_err *err)
{
    const char *path = ceremony->options->rehearsed;
    struct hs_record record = {0};
    enum hsmart_code code;

    if (path == NULL && ceremony->plan.require_rehearsal && !ceremony->options->rehearsal) {
        (void)hs_err_set(err, HSMART_POLICY_REFUSED, "the plan wants a rehearsal first");
        hs_err_hint(err, "hold it with \"ceremony rehearse PLAN --out DIR\", then give --rehearsal DIR/record.json");
        return HSMART_POLICY_REFUSED;
    }
    if (path == NULL)
        return HSMART_OK;
    code = hs_record_load(path, &record, err);
    if (code == HSMART_OK)
        code = hs_record_check(&record, err);
    if (code == HSMART_OK && (!hs_record_is_rehearsal(&record) || !hs_record_has_passed(&record) ||
                              strcmp(hs_record_plan_sha256(&record), ceremony->plan.sha256_hex) != 0))
        code =
            hs_err_set(err, HSMART_POLICY_REFUSED, "it is not the record of a rehearsal of this very plan that passed");
    if (code == HSMART_OK)
        code = hs_strdup(record.sha256_hex, &ceremony->rehearsed_sha256, err);
    hs_record_clear(&record);
    return code == HSMART_OK ? code : hs_err_wrap(err, code, "--rehearsal \"%s\"", path);
}

static enum hsmart_code
prepare(struct ceremony *ceremony, hsmart_err *err)
{
    enum hsmart_code code = load_plan(ceremony, err);

    if (code == HSMART_OK)
        code = hs_plan_check_day(&ceremony->plan, ceremony->started_s, err);
    if (code == HSMART_OK)
        code = check_directory(ceremony, err);
    if (code == HSMART_OK)
        code = load_previous(ceremony, err);
    return code == HSMART_OK ? load_rehearsal(ceremony, err) : code;
}

/* ---- The token ---- */

static enum hsmart_code
open_token(struct ceremony *ceremony, hsmart_err *err)
{
    hsmart_token_options options = *ceremony->options->token;

    /* In a rehearsal each key holds a session. */
    if (options.max_sessions < ceremony->plan.key_count + SESSIONS_BESIDE_KEYS)
        options.max_sessions = (unsigned)ceremony->plan.key_count + SESSIONS_BESIDE_KEYS;
    if (options.timeout_ms == 0)
        options.timeout_ms = TIMEOUT_MS;
    return hs_p11_token_open(&options, &ceremony->token, err);
}

static enum hsmart_code
open_organisation_key(struct ceremony *ceremony, hsmart_err *err)
{
    const char *uri = ceremony->options->sign_with;
    enum hsmart_code code;

    if (uri == NULL)
        return HSMART_OK;
    code = hs_token_key_find(ceremony->token, uri, &ceremony->organisation_key, err);
    if (code == HSMART_OK)
        code = hs_token_signer_new(ceremony->organisation_key, NULL, &ceremony->organisation_signer, err);
    return code == HSMART_OK ? code : hs_err_wrap(err, code, "--sign-with");
}

/* ---- Making ---- */

/* Ids are chosen before anything is asked for, so that they can be looked for whatever happens. */
static enum hsmart_code
choose_ids(struct ceremony *ceremony, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    bool found = false;

    if (ceremony->options->resume)
        code = hs_journal_load(ceremony, &found, err);
    for (size_t i = 0; code == HSMART_OK && !found && i < ceremony->plan.key_count; i++)
        code = hs_random_bytes(ceremony->keys[i].id, sizeof ceremony->keys[i].id, err);
    ceremony->began_work = found && code == HSMART_OK;
    return code;
}

/* Found before anything is begun; keys that an interrupted ceremony asked for are ours. */
static enum hsmart_code
check_labels_are_free(struct ceremony *ceremony, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < ceremony->plan.key_count && code == HSMART_OK; i++) {
        const struct ceremony_key *key = &ceremony->keys[i];
        size_t count = 0;
        if (key->was_asked)
            continue;
        code = hs_destroy_count_label(ceremony->token, hs_span_str(key->plan->label), &count, err);
        if (code != HSMART_OK || count == 0)
            continue;
        code = hs_err_set(err, HSMART_KEY_EXISTS, "a key with the label \"%s\" exists already on the token",
                          key->plan->label);
        hs_err_hint(err, "two keys of one label are a trap for every signer: have a plan with another label reviewed");
    }
    return code;
}

static enum hsmart_code
make_keys(struct ceremony *ceremony, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    hs_ceremony_say(ceremony, "%s", "");
    hs_ceremony_say(ceremony, "5. The keys.");
    for (size_t i = 0; i < ceremony->plan.key_count && code == HSMART_OK; i++)
        code = hs_ceremony_make_key(ceremony, &ceremony->keys[i], err);
    return code;
}

static enum hsmart_code
finish(struct ceremony *ceremony, hsmart_err *err)
{
    struct hs_buf text = {0};
    struct hs_record record = {0};
    enum hsmart_code code = hs_ceremony_make_outputs(ceremony, err);

    if (code == HSMART_OK)
        code = hs_ceremony_make_record(ceremony, &text, err);
    if (code == HSMART_OK)
        code = hs_record_parse(hs_span_buf(&text), "record.json", &record, err);
    if (code == HSMART_OK) /* as everybody will check it later */
        code = hs_record_check(&record, err);
    if (code == HSMART_OK)
        code = hs_ceremony_add_output(ceremony, "record.json", &text, err);
    if (code == HSMART_OK && ceremony->options->out_directory != NULL)
        code = hs_ceremony_publish(ceremony, err);
    if (code == HSMART_OK) {
        if (ceremony->options->out_directory != NULL)
            hs_journal_remove(ceremony);
        hs_ceremony_say(ceremony, "%s", "");
        hs_ceremony_say(ceremony, "7. The record. Its SHA-256, for your notes:");
        ceremony->seam->show_fingerprint(ceremony->seam->arg, HS_SPAN_OF(record.sha256));
    }
    hs_record_clear(&record);
    hs_buf_clear(&text);
    return code;
}

static enum hsmart_code
hold(struct ceremony *ceremony, hsmart_err *err)
{
    enum hsmart_code code = hs_ceremony_confirm_plan(ceremony, err);

    if (code == HSMART_OK)
        code = hs_ceremony_name_people(ceremony, err);
    if (code == HSMART_OK)
        code = hs_ceremony_check_clock(ceremony, err);
    if (code == HSMART_OK)
        code = open_token(ceremony, err);
    if (code == HSMART_OK)
        code = hs_ceremony_look_at_site(ceremony, err);
    if (code == HSMART_OK)
        code = hs_ceremony_confirm_token(ceremony, err);
    if (code == HSMART_OK)
        code = open_organisation_key(ceremony, err);
    if (code == HSMART_OK)
        code = choose_ids(ceremony, err);
    if (code == HSMART_OK)
        code = check_labels_are_free(ceremony, err);
    if (code == HSMART_OK)
        code = hs_ceremony_confirm_words(ceremony, HS_ASK_START, HS_CEREMONY_START_WORDS,
                                         "All is ready. Type: " HS_CEREMONY_START_WORDS, err);
    if (code == HSMART_OK && ceremony->seam->check_answers != NULL)
        code = ceremony->seam->check_answers(ceremony->seam->arg, err);
    if (code == HSMART_OK)
        code = make_keys(ceremony, err);
    if (code != HSMART_OK)
        return code;
    hs_ceremony_say(ceremony, "%s", "");
    hs_ceremony_say(ceremony, "6. The result.");
    code = hs_ceremony_confirm_result(ceremony, err);
    return code == HSMART_OK ? finish(ceremony, err) : code;
}

/* ---- When it does not come to that ---- */

/* The record of a failure is a file beside the directory: the directory itself is for what succeeded. */
static enum hsmart_code
save_failure(struct ceremony *ceremony, struct hs_buf *out_path, hsmart_err *err)
{
    struct hs_buf text = {0};
    char time[HS_TIME_TEXT_MAX];
    int len = (int)strlen(ceremony->partial) - (int)strlen(".partial");
    enum hsmart_code code = hs_ceremony_make_record(ceremony, &text, err);

    hs_time_format(hs_clock_now_s(), time);
    if (code == HSMART_OK)
        code = hs_buf_append_format(out_path, err, "%.*s.failed-%s.json", len, ceremony->partial, time);
    if (code == HSMART_OK)
        code = hs_file_write_atomic(hs_buf_text(out_path), hs_span_buf(&text), 0644, err);
    hs_buf_clear(&text);
    return code;
}

/* By its own rules: nothing stays on the token. The record is made first, while there is something to tell. */
static enum hsmart_code
end_failed(struct ceremony *ceremony, hsmart_err *err)
{
    struct hs_buf path = {0};
    hsmart_err why = {0};
    enum hsmart_code saved = HSMART_OK, destroyed;

    hs_ceremony_say(ceremony, "%s", "");
    hs_ceremony_say(ceremony, "THE %s HAS FAILED: %s", ceremony->options->rehearsal ? "REHEARSAL" : "CEREMONY",
                    ceremony->failure);
    if (ceremony->options->out_directory != NULL)
        saved = save_failure(ceremony, &path, &why);
    destroyed = hs_ceremony_destroy_keys(ceremony, &why);
    if (destroyed == HSMART_OK && ceremony->options->out_directory != NULL)
        hs_journal_remove(ceremony);
    if (saved == HSMART_OK && path.len > 0)
        hs_ceremony_say(ceremony, "The record of the failure is \"%s\".", hs_buf_text(&path));
    if (destroyed != HSMART_OK) {
        (void)hs_err_set(err, HSMART_POLICY_REFUSED, "the ceremony failed, and its keys could not be destroyed: %.300s",
                         why.text);
        hs_err_hint(err, "do not use these keys; \"ceremony run\" with --clean-up tries again to destroy them");
    } else if (err != NULL && err->hint[0] == 0) {
        hs_err_hint(err, "%s",
                    ceremony->options->rehearsal ? "nothing was stored on the token"
                                                 : "the keys that were made are destroyed");
    }
    hs_buf_clear(&path);
    return HSMART_POLICY_REFUSED;
}

/* Says what is on the token, as far as it still answers. */
static void
tell_interruption(struct ceremony *ceremony, hsmart_err *err)
{
    struct hs_buf there = {0};

    for (size_t i = 0; i < ceremony->plan.key_count; i++) {
        const struct ceremony_key *key = &ceremony->keys[i];
        size_t count = 0;
        if (!key->was_asked)
            continue;
        enum hsmart_code code =
            hs_destroy_count(ceremony->token, hs_span_str(key->plan->label), HS_SPAN_OF(key->id), &count, NULL);
        hs_ceremony_say(ceremony, "Key \"%s\": %s.", key->plan->label,
                        code != HSMART_OK ? "the token does not say whether it is there"
                        : count > 0       ? "on the token"
                                          : "not on the token");
    }
    hs_buf_clear(&there);
    hs_err_hint(
        err, "the ceremony is interrupted: with --resume it goes on, and no key is made twice; with --clean-up what is "
             "there is destroyed");
}

enum hsmart_code
hs_ceremony_run(const struct hs_ceremony_options *options, hsmart_err *err)
{
    struct ceremony ceremony = {
        .options = options, .seam = options->seam, .started_s = hs_clock_now_s(), .lock_fd = -1};
    enum hsmart_code code;

    if (options->resume && was_completed(&ceremony)) {
        ceremony_clear(&ceremony);
        return HSMART_OK;
    }
    code = prepare(&ceremony, err);
    if (code == HSMART_OK)
        code = hold(&ceremony, err);
    if (ceremony.failure != NULL)
        code = end_failed(&ceremony, err);
    else if (code != HSMART_OK && ceremony.began_work)
        tell_interruption(&ceremony, err);
    ceremony_clear(&ceremony);
    return code;
}

/* ---- Cleaning up ---- */

static enum hsmart_code
clean_up(struct ceremony *ceremony, hsmart_err *err)
{
    bool found = false;
    enum hsmart_code code;

    if (was_completed(ceremony)) /* these keys are somebody's by now */
        return HSMART_OK;
    code = load_plan(ceremony, err);
    if (code == HSMART_OK)
        code = hs_ceremony_paths(ceremony, err);
    if (code == HSMART_OK)
        code = open_token(ceremony, err);
    if (code == HSMART_OK)
        code = hs_journal_load(ceremony, &found, err);
    if (code == HSMART_OK && !found)
        code =
            hs_err_set(err, HSMART_INVALID_ARGUMENT, "there is no interrupted ceremony in \"%s\"", ceremony->partial);
    if (code != HSMART_OK)
        return code;
    hs_ceremony_say(ceremony, "An interrupted ceremony, begun %s.", ceremony->interruptions[0]);
    tell_interruption(ceremony, NULL);
    code = hs_ceremony_confirm_words(ceremony, HS_ASK_CLEAN_UP, HS_CEREMONY_CLEAN_UP_WORDS,
                                     "To destroy what is there, type: " HS_CEREMONY_CLEAN_UP_WORDS, err);
    if (code == HSMART_OK)
        code = hs_ceremony_destroy_keys(ceremony, err);
    if (code == HSMART_OK)
        hs_journal_remove(ceremony);
    return code;
}

enum hsmart_code
hs_ceremony_clean_up(const struct hs_ceremony_options *options, hsmart_err *err)
{
    struct ceremony ceremony = {
        .options = options, .seam = options->seam, .started_s = hs_clock_now_s(), .lock_fd = -1};
    enum hsmart_code code = clean_up(&ceremony, err);

    ceremony_clear(&ceremony);
    return code;
}
