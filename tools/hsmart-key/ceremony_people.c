#define _DEFAULT_SOURCE /* TIOCGWINSZ */
#include "ceremony_people.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "err.h"
#include "file.h"
#include "fingerprint_view.h"
#include "fresh.h"
#include "output.h"
#include "process.h"
#include "report.h"
#include "text.h"

#define LINE_MAX_LEN 400U
#define TRIES_ON_TERMINAL 3U

/* ---- Showing ---- */

static void
put_line(const char *line)
{
    struct hs_buf safe = {0};
    struct text text = {.out = &safe};

    text_put_safe(&text, line);
    text_put(&text, "\n");
    if (text_finish(&text, NULL) == HSMART_OK &&
        hs_file_write_fd(STDERR_FILENO, "standard error", hs_span_buf(&safe), NULL) != HSMART_OK)
        report_detail("a line could not be shown");
    hs_buf_clear(&safe);
}

static void
say(void *arg, const char *line)
{
    (void)arg;
    put_line(line);
}

static void
show_fingerprint(void *arg, struct hs_span digest)
{
    struct hs_buf lines = {0};
    struct text text = {.out = &lines};

    (void)arg;
    fingerprint_put(&text, digest, "  ");
    if (text_finish(&text, NULL) == HSMART_OK &&
        hs_file_write_fd(STDERR_FILENO, "standard error", hs_span_buf(&lines), NULL) != HSMART_OK)
        report_detail("a fingerprint could not be shown");
    hs_buf_clear(&lines);
}

static void
begin_work(void *arg, const char *what)
{
    struct ceremony_people *people = arg;

    process_set_last_words(people->last_words); /* from here on there is something to be left behind */
    progress_begin(&people->progress, "%s", what);
}

static void
end_work(void *arg)
{
    struct ceremony_people *people = arg;

    progress_end(&people->progress);
}

/* ---- Terminal ---- */

/* A terminal that does not tell its size (a serial line) is taken for a usual one. */
static enum hsmart_code
check_terminal(hsmart_err *err)
{
    struct winsize size = {0};

    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT,
                         "people confirm a ceremony, and there is no terminal to ask them on");
        hs_err_hint(err, "run it on a terminal, or give --batch FILE with the confirmations");
        return HSMART_INVALID_ARGUMENT;
    }
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        return HSMART_OK;
    if (size.ws_col >= CEREMONY_COLUMNS_MIN && size.ws_row >= CEREMONY_LINES_MIN)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT,
                     "the terminal has %u columns and %u lines, but fingerprints need %u and %u", size.ws_col,
                     size.ws_row, CEREMONY_COLUMNS_MIN, CEREMONY_LINES_MIN);
    hs_err_hint(err, "make its window larger or its letters smaller");
    return HSMART_INVALID_ARGUMENT;
}

static enum hsmart_code
read_line(struct hs_buf *out, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    char c = 0;

    while (code == HSMART_OK) {
        ssize_t got = read(STDIN_FILENO, &c, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            (void)hs_err_set(err, HSMART_FILE_UNREADABLE, "the terminal was closed before the answer");
            hs_err_hint(err, "begin again; what was made so far is told by the next run with the same --out");
            return HSMART_FILE_UNREADABLE;
        }
        if (c == '\n')
            return HSMART_OK;
        if (out->len < LINE_MAX_LEN)
            code = hs_buf_append(out, (struct hs_span){(const uint8_t *)&c, 1}, err);
    }
    return code;
}

static enum hsmart_code
ask_terminal(void *arg, const struct hs_ceremony_question *question, struct hs_buf *out_answer, hsmart_err *err)
{
    struct hs_buf prompt = {0};
    enum hsmart_code code = hs_buf_append_format(&prompt, err, "> %s: ", question->text);

    (void)arg;
    if (code == HSMART_OK) {
        hs_text_sanitize((char *)prompt.data);
        code = hs_file_write_fd(STDERR_FILENO, "the terminal", hs_span_buf(&prompt), err);
    }
    if (code == HSMART_OK)
        code = read_line(out_answer, err);
    hs_buf_clear(&prompt);
    return code;
}

/* ---- File ---- */

static const struct topic_row {
    enum hs_ceremony_topic topic;
    const char *setting;
} topic_rows[] = {
    {HS_ASK_PLAN, "plan"},   {HS_ASK_CLOCK, "clock"},   {HS_ASK_TOKEN, "token"},
    {HS_ASK_START, "start"}, {HS_ASK_ACCEPT, "accept"}, {HS_ASK_CLEAN_UP, "clean-up"},
};

static bool
is_setting_of_confirm(const char *name)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(topic_rows); i++)
        if (strcmp(topic_rows[i].setting, name) == 0)
            return true;
    return false;
}

static enum hsmart_code
check_section(const struct ceremony_people *people, const struct hs_section *section, hsmart_err *err)
{
    bool is_person = strcmp(section->kind, "participant") == 0;

    if (!is_person && strcmp(section->kind, "confirm") != 0)
        return hs_sections_error(err, people->batch, section->line, "the sections are confirm and participant");
    if (is_person != (section->name != NULL))
        return hs_sections_error(err, people->batch, section->line,
                                 is_person ? "a participant has a name" : "\"confirm\" has no name");
    for (size_t i = 0; i < section->setting_count; i++) {
        const struct hs_setting *setting = &section->settings[i];
        if (is_person ? strcmp(setting->name, "role") != 0 : !is_setting_of_confirm(setting->name))
            return hs_sections_error(err, people->batch, setting->line, "there is no setting \"%.64s\" here",
                                     setting->name);
    }
    if (is_person && hs_section_get(section, "role") == NULL)
        return hs_sections_error(err, people->batch, section->end_line, "the participant has no \"role\"");
    return HSMART_OK;
}

static enum hsmart_code
load_answers(struct ceremony_people *people, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = hs_file_read(people->batch, HS_SECTIONS_MAX_LEN, &text, err);

    if (code == HSMART_OK)
        code = hs_sections_parse(hs_span_buf(&text), people->batch, &people->answers, err);
    for (size_t i = 0; code == HSMART_OK && i < people->answers.count; i++)
        code = check_section(people, &people->answers.items[i], err);
    if (code == HSMART_OK) {
        people->used = hs_calloc(people->answers.count + 1, sizeof *people->used);
        code = people->used != NULL ? HSMART_OK : hs_err_no_memory(err);
    }
    hs_buf_clear(&text);
    return code;
}

static const char *
find_person(struct ceremony_people *people, const char *role, unsigned index)
{
    for (size_t i = 0; i < people->answers.count; i++) {
        const struct hs_section *section = &people->answers.items[i];
        const struct hs_setting *setting = hs_section_get(section, "role");
        if (strcmp(section->kind, "participant") != 0 || strcmp(setting->value, role) != 0 || index-- > 0)
            continue;
        people->used[i] = true;
        return section->name;
    }
    return NULL;
}

static const char *
find_confirmation(struct ceremony_people *people, enum hs_ceremony_topic topic, const char **out_name)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(topic_rows); i++)
        if (topic_rows[i].topic == topic)
            *out_name = topic_rows[i].setting;
    for (size_t i = 0; i < people->answers.count; i++) {
        const struct hs_section *section = &people->answers.items[i];
        if (strcmp(section->kind, "confirm") != 0)
            continue;
        people->used[i] = true;
        const struct hs_setting *setting = hs_section_get(section, *out_name);
        return setting != NULL ? setting->value : NULL;
    }
    return NULL;
}

static enum hsmart_code
ask_file(void *arg, const struct hs_ceremony_question *question, struct hs_buf *out_answer, hsmart_err *err)
{
    struct ceremony_people *people = arg;
    const char *setting = "", *answer;
    bool is_person = question->topic == HS_ASK_NAME || question->topic == HS_ASK_PRESENCE;

    answer = is_person ? find_person(people, question->role, question->index)
                       : find_confirmation(people, question->topic, &setting);
    if (answer == NULL && is_person)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "%s: there is no participant %u with the role \"%s\"",
                          people->batch, question->index + 1, question->role);
    if (answer == NULL)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "%s: \"confirm\" does not have \"%s\"", people->batch, setting);
    return hs_buf_append_str(out_answer, answer, err);
}

/* A person that nobody asked for shows a mistake in the file or the plan. */
static enum hsmart_code
check_all_used(void *arg, hsmart_err *err)
{
    const struct ceremony_people *people = arg;

    for (size_t i = 0; i < people->answers.count; i++)
        if (!people->used[i])
            return hs_sections_error(err, people->batch, people->answers.items[i].line,
                                     "the plan has no part for this participant");
    return HSMART_OK;
}

/* ---- Errands ---- */

static enum hsmart_code
run_errand(void *arg, const struct hs_ceremony_errand *errand, struct hs_buf *out, hsmart_err *err)
{
    const struct ceremony_people *people = arg;
    struct fresh audit = {.words = {people->program, "audit", "--json", "--quiet"}, .count = 4};
    struct fresh export = {.words = {people->program, "export", "--quiet"}, .count = 3};
    struct fresh *fresh = errand->certificate ? &export : &audit;
    char days[16];

    if (errand->certificate) {
        fresh_add(fresh, "--format", errand->self_signed ? "x509" : "csr");
        fresh_add(fresh, "--alg", errand->alg);
        fresh_add(fresh, "--subject", errand->subject);
        (void)snprintf(days, sizeof days, "%u", errand->days);
        fresh_add(fresh, "--days", errand->self_signed ? days : NULL);
    }
    fresh_add_token(fresh, people->target, errand->token_uri, errand->pin_fd);
    fresh_add(fresh, "--key-uri", errand->key_uri);
    return errand->vanishes ? fresh_run_without_key(fresh, err) : fresh_run(fresh, !errand->certificate, out, err);
}

/* ---- The whole ---- */

enum hsmart_code
ceremony_people_open(struct ceremony_people *people, hsmart_err *err)
{
    bool is_batch = people->batch != NULL;
    enum hsmart_code code = is_batch ? load_answers(people, err) : check_terminal(err);

    people->seam = (struct hs_ceremony_seam){
        .say = say,
        .show_fingerprint = show_fingerprint,
        .ask = is_batch ? ask_file : ask_terminal,
        .check_answers = is_batch ? check_all_used : NULL,
        .run_fresh = run_errand,
        .begin_work = begin_work,
        .end_work = end_work,
        .arg = people,
        .tries = is_batch ? 1 : TRIES_ON_TERMINAL,
        .is_batch = is_batch,
    };
    return code;
}

void
ceremony_people_close(struct ceremony_people *people)
{
    process_set_last_words(NULL);
    hs_sections_clear(&people->answers);
    hs_free(people->used);
    people->used = NULL;
}
