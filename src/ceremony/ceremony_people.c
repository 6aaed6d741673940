#include <stdio.h>

#include "ceremony_state.h"
#include "clock.h"
#include "err.h"
#include "record_verify.h"
#include "text.h"
#include "words.h"

#define NAME_MAX_LEN 80U
#define CONFIRMED_WORDS 4U /* of the fingerprint: 32 bits */

/* ---- Asking ---- */

/* Whether an answer will do; when not, `why` says what is wrong with it. */
typedef bool accept_fn(struct ceremony *ceremony, void *arg, const char *answer, char why[200]);

static enum hsmart_code
take_answer(struct ceremony *ceremony, const struct hs_ceremony_question *question, struct hs_buf *out_answer,
            hsmart_err *err)
{
    enum hsmart_code code;

    hs_buf_clear(out_answer);
    code = ceremony->seam->ask(ceremony->seam->arg, question, out_answer, err);
    if (code != HSMART_OK)
        return code;
    while (out_answer->len > 0 &&
           (out_answer->data[out_answer->len - 1] == ' ' || out_answer->data[out_answer->len - 1] == '\r'))
        out_answer->data[--out_answer->len] = 0;
    return HSMART_OK;
}

static enum hsmart_code
ask_until(struct ceremony *ceremony, const struct hs_ceremony_question *question, accept_fn *accept, void *arg,
          hsmart_err *err)
{
    struct hs_buf answer = {0};
    char why[200] = "";
    enum hsmart_code code = HSMART_OK;
    bool accepted = false;

    for (unsigned i = 0; code == HSMART_OK && !accepted && i < ceremony->seam->tries; i++) {
        if (i > 0)
            hs_ceremony_say(ceremony, "%s", why);
        code = take_answer(ceremony, question, &answer, err);
        if (code == HSMART_OK)
            accepted = accept(ceremony, arg, hs_buf_text(&answer), why);
    }
    hs_buf_clear(&answer);
    if (code == HSMART_OK && !accepted) {
        code = hs_err_set(err, HSMART_POLICY_REFUSED, "it was not confirmed: %s", why);
        hs_err_hint(err, "nothing was made since; find out why it differs before you begin again");
    }
    return code;
}

/* ---- The plan ---- */

static const char *
last_words(const char *words)
{
    const char *at = words + strlen(words);

    for (unsigned spaces = 0; at > words && (spaces += at[-1] == ' ') < CONFIRMED_WORDS;)
        at--;
    return at;
}

static bool
is_the_plan(struct ceremony *ceremony, void *arg, const char *answer, char why[200])
{
    (void)arg;
    (void)snprintf(why, 200, "these are not the plan's last %u words", CONFIRMED_WORDS);
    return hs_words_equal(answer, last_words(ceremony->plan.words)) || hs_words_equal(answer, ceremony->plan.words) ||
           hs_words_equal(answer, ceremony->plan.sha256_hex);
}

/* The digest alone would tell nobody that it is somebody else's record, or of a failure. */
static void
tell_previous(struct ceremony *ceremony)
{
    const hs_json_value *root = ceremony->previous.doc.root;

    if (ceremony->has_previous)
        hs_ceremony_say(ceremony, "Chained to: \"%s\" of %s, %s, which %s", hs_record_text(root, "ceremony"),
                        hs_record_text(root, "organisation"), hs_record_text(root, "finished"),
                        hs_record_has_passed(&ceremony->previous) ? "passed" : "FAILED");
}

enum hsmart_code
hs_ceremony_confirm_plan(struct ceremony *ceremony, hsmart_err *err)
{
    const struct hs_plan *plan = &ceremony->plan;
    const struct hs_ceremony_question question = {HS_ASK_PLAN, NULL, 0,
                                                  "Read all words to each other, from paper; then type the last four"};

    hs_ceremony_say(ceremony, "%s \"%s\"", ceremony->options->rehearsal ? "REHEARSAL of ceremony" : "Ceremony",
                    plan->title);
    hs_ceremony_say(ceremony, "of %s", plan->organisation);
    tell_previous(ceremony);
    hs_ceremony_say(ceremony, "%s", "");
    hs_ceremony_say(ceremony, "1. The plan. Its SHA-256:");
    ceremony->seam->show_fingerprint(ceremony->seam->arg, HS_SPAN_OF(plan->sha256));
    return ask_until(ceremony, &question, is_the_plan, NULL, err);
}

/* ---- People ---- */

static bool
is_a_name(struct ceremony *ceremony, void *arg, const char *answer, char why[200])
{
    char **out_name = arg;

    if (answer[0] == 0 || strlen(answer) > NAME_MAX_LEN) {
        (void)snprintf(why, 200, "a name has 1 to %u bytes", NAME_MAX_LEN);
        return false;
    }
    if (!hs_text_is_printable(answer)) {
        (void)snprintf(why, 200, "a name is UTF-8 without control characters");
        return false;
    }
    for (size_t i = 0; i < ceremony->person_count; i++)
        if (strcmp(ceremony->people[i].name, answer) == 0) {
            (void)snprintf(why, 200, "%s takes part already, and nobody has two parts", answer);
            return false;
        }
    return hs_strdup(answer, out_name, NULL) == HSMART_OK;
}

static bool
is_the_same_name(struct ceremony *ceremony, void *arg, const char *answer, char why[200])
{
    (void)ceremony;
    (void)snprintf(why, 200, "this is not the name that was given: %.80s", (const char *)arg);
    return strcmp(answer, arg) == 0;
}

static enum hsmart_code
name_person(struct ceremony *ceremony, const char *role, unsigned index, hsmart_err *err)
{
    char text[200], presence[200];
    struct person person = {.role = role};
    void *people = ceremony->people;
    struct hs_ceremony_question question = {HS_ASK_NAME, role, index, text};
    enum hsmart_code code;

    (void)snprintf(text, sizeof text, "Name of %s %u", role, index + 1);
    code = ask_until(ceremony, &question, is_a_name, &person.name, err);
    if (code != HSMART_OK)
        return code;
    (void)snprintf(presence, sizeof presence, "%s, type your name to confirm that you are here", person.name);
    question = (struct hs_ceremony_question){HS_ASK_PRESENCE, role, index, presence};
    code = ask_until(ceremony, &question, is_the_same_name, person.name, err);
    if (code == HSMART_OK)
        code = hs_array_grow(&people, ceremony->person_count, sizeof person, err);
    if (code != HSMART_OK) {
        hs_string_free(person.name);
        return code;
    }
    if (ceremony->seam->is_batch)
        hs_ceremony_say(ceremony, "  %s, %s", person.name, role);
    person.confirmed_s = hs_clock_now_s();
    ceremony->people = people;
    ceremony->people[ceremony->person_count++] = person;
    return HSMART_OK;
}

enum hsmart_code
hs_ceremony_name_people(struct ceremony *ceremony, hsmart_err *err)
{
    const struct hs_plan *plan = &ceremony->plan;
    enum hsmart_code code = HSMART_OK;

    hs_ceremony_say(ceremony, "%s", "");
    hs_ceremony_say(ceremony, "2. The people.");
    for (size_t i = 0; i < plan->role_count; i++)
        for (unsigned j = 0; code == HSMART_OK && j < plan->roles[i].count; j++)
            code = name_person(ceremony, plan->roles[i].name, j, err);
    for (unsigned j = 0; code == HSMART_OK && j < plan->witnesses; j++)
        code = name_person(ceremony, "witness", j, err);
    return code;
}

/* ---- The clock ---- */

/* "2026-11-25 20:15", with or without seconds, or "2026-11-25T20:15:00Z". Without seconds the middle of the minute is
 * taken, and `out_slack_s` is half a minute. */
static bool
parse_clock(const char *text, int64_t *out_time_s, int64_t *out_slack_s)
{
    char whole[HS_TIME_TEXT_MAX];
    size_t len = strlen(text);

    *out_slack_s = 0;
    if (hs_time_parse(text, out_time_s))
        return true;
    if (len != strlen("2026-11-25 20:15") && len != strlen("2026-11-25 20:15:00"))
        return false;
    bool has_seconds = len == strlen("2026-11-25 20:15:00");
    (void)snprintf(whole, sizeof whole, "%.10sT%.8s%sZ", text, text + 11, has_seconds ? "" : ":30");
    *out_slack_s = has_seconds ? 0 : 30;
    return text[10] == ' ' && hs_time_parse(whole, out_time_s);
}

static bool
agrees_with_clock(struct ceremony *ceremony, void *arg, const char *answer, char why[200])
{
    int64_t other_s = 0, slack_s = 0, now_s = hs_clock_now_s();
    char now[HS_TIME_TEXT_MAX];

    (void)arg;
    if (ceremony->seam->is_batch && strcmp(answer, "system") == 0)
        return true;
    if (!parse_clock(answer, &other_s, &slack_s)) {
        (void)snprintf(why, 200, "a time is written YYYY-MM-DD HH:MM, and is UTC");
        return false;
    }
    int64_t difference_s = now_s - other_s, distance_s = difference_s < 0 ? -difference_s : difference_s;
    if (distance_s > (int64_t)ceremony->plan.clock_tolerance_s + slack_s) {
        hs_time_format(now_s, now);
        (void)snprintf(why, 200, "this machine's clock says %s, which differs by more than the plan's %u seconds", now,
                       ceremony->plan.clock_tolerance_s);
        return false;
    }
    ceremony->clock_difference_s = difference_s;
    return hs_strdup(answer, &ceremony->other_clock, NULL) == HSMART_OK;
}

enum hsmart_code
hs_ceremony_check_clock(struct ceremony *ceremony, hsmart_err *err)
{
    const struct hs_ceremony_question question = {
        HS_ASK_CLOCK, NULL, 0, "The time in UTC on a clock that is not this machine's (YYYY-MM-DD HH:MM)"};
    char now[HS_TIME_TEXT_MAX];

    hs_ceremony_say(ceremony, "%s", "");
    hs_ceremony_say(ceremony, "3. The clock.");
    ceremony->synchronised = hs_ceremony_clock_state();
    enum hsmart_code code = ask_until(ceremony, &question, agrees_with_clock, NULL, err);
    if (code != HSMART_OK)
        return code;
    hs_time_format(hs_clock_now_s(), now);
    if (ceremony->other_clock != NULL)
        hs_ceremony_say(ceremony, "This machine says %s, which agrees.", now);
    else
        hs_ceremony_say(ceremony, "This machine says %s; it was not compared.", now);
    return HSMART_OK;
}

/* ---- The token, the start, the end ---- */

static bool
is_the_token(struct ceremony *ceremony, void *arg, const char *answer, char why[200])
{
    const hsmart_token_info *info = hs_p11_token_get_info(ceremony->token);
    const char *expected = info->serial[0] != 0 ? info->serial : info->label;

    (void)arg;
    /* Not what it is: that has to come from the device or its papers, or nothing was compared. */
    (void)snprintf(why, 200, "the token has another %s", info->serial[0] != 0 ? "serial number" : "label");
    return strcmp(answer, expected) == 0;
}

enum hsmart_code
hs_ceremony_confirm_token(struct ceremony *ceremony, hsmart_err *err)
{
    const struct hs_ceremony_question question = {HS_ASK_TOKEN, NULL, 0,
                                                  "The token's serial number, from the device or its papers"};

    return ask_until(ceremony, &question, is_the_token, NULL, err);
}

static bool
are_the_words(struct ceremony *ceremony, void *arg, const char *answer, char why[200])
{
    (void)ceremony;
    (void)snprintf(why, 200, "to go on, type: %s", (const char *)arg);
    return hs_words_equal(answer, arg);
}

enum hsmart_code
hs_ceremony_confirm_words(struct ceremony *ceremony, enum hs_ceremony_topic topic, const char *words, const char *text,
                          hsmart_err *err)
{
    const struct hs_ceremony_question question = {topic, NULL, 0, text};

    return ask_until(ceremony, &question, are_the_words, (void *)(uintptr_t)words, err);
}

static bool
is_a_verdict(struct ceremony *ceremony, void *arg, const char *answer, char why[200])
{
    (void)ceremony;
    (void)snprintf(why, 200, "type accept or reject");
    *(bool *)arg = hs_words_equal(answer, "accept");
    return *(bool *)arg || hs_words_equal(answer, "reject");
}

enum hsmart_code
hs_ceremony_confirm_result(struct ceremony *ceremony, hsmart_err *err)
{
    const struct hs_ceremony_question question = {
        HS_ASK_ACCEPT, NULL, 0, "Do all of you accept this? Type accept, or reject to destroy the keys"};
    bool accepted = false;
    enum hsmart_code code = ask_until(ceremony, &question, is_a_verdict, &accepted, err);

    if (code == HSMART_OK && !accepted)
        code = hs_ceremony_fail(ceremony, err, "the people who took part rejected it");
    return code;
}
