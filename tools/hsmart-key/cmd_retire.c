/* hsmart-key retire and revoke: the last day of a key, after its last assertion, or at once. */
#include <string.h>

#include "clock.h"
#include "err.h"
#include "family_view.h"
#include "report.h"
#include "verbs.h"

#define DAY_S 86400
#define ASSERTION_LIFE_S 300L /* SMART's longest */
#define SKEW_S 60             /* between our clock and a server's */
#define SIGNERS_S 60          /* until every signer has read the dates again */

struct retire_options {
    struct cli_common common;
    struct family_words words;
    struct cli_number assertion_life;
};
static const struct cli_option retire_options[] = {
    FAMILY_OPTIONS(struct retire_options),
    {"assertion-life", 0, "S", CLI_NUMBER, offsetof(struct retire_options, assertion_life),
     "the longest life of an assertion that your clients sign, in seconds; default: 300", 1, ASSERTION_LIFE_S},
};
static const struct cli_group retire_group = CLI_GROUP("Retirement", retire_options);

struct revoke_options {
    struct cli_common common;
    struct family_words words;
};
static const struct cli_option revoke_options[] = {FAMILY_OPTIONS(struct revoke_options)};
static const struct cli_group revoke_group = CLI_GROUP("Revocation", revoke_options);

/* Yesterday was its last day. */
static enum hsmart_code
end(hsmart_family *family, const hsmart_family_key *key, hsmart_err *err)
{
    char yesterday[FAMILY_TIME_LEN];

    family_format_day(hs_clock_now_s(), -1, yesterday);
    return family_set_dates(family, key, NULL, yesterday, err);
}

/* ---- Retiring ---- */

/* When the last signer of the former key has changed over: at midnight or, where that was decided within the day, a
 * minute after it was. Where nothing tells when, at the end of that day. */
static enum hsmart_code
takeover_s(const hsmart_family_key *active, int64_t *out_s, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    if (active->start_date == NULL) {
        (void)hs_err_set(err, HSMART_POLICY_REFUSED,
                         "key \"%s\" is active without a first day, so nothing tells since when", family_label(active));
        hs_err_hint(err, "\"hsmart-key revoke KID\" takes a key out at once");
        return HSMART_POLICY_REFUSED;
    }
    code = family_parse_time("from", active->start_date, out_s, err);
    if (code != HSMART_OK)
        return code;
    if (active->changed_s == 0)
        *out_s += DAY_S;
    else if (active->changed_s + SIGNERS_S > *out_s)
        *out_s = active->changed_s + SIGNERS_S;
    return HSMART_OK;
}

static enum hsmart_code
check_time(const struct retire_options *own, const hsmart_family *family, hsmart_err *err)
{
    long life_s = own->assertion_life.is_given ? own->assertion_life.value : ASSERTION_LIFE_S;
    int64_t from_s = 0, now_s = hs_clock_now_s();
    char at[FAMILY_TIME_LEN], span[FAMILY_TIME_LEN];
    enum hsmart_code code = takeover_s(family->active, &from_s, err);

    from_s += life_s + SKEW_S;
    if (code != HSMART_OK || from_s <= now_s)
        return code;
    family_format_time(from_s, at);
    family_format_span(from_s - now_s, span);
    (void)hs_err_set(err, HSMART_POLICY_REFUSED, "assertions of the former key may still be under way until %s", at);
    hs_err_hint(err, "ask again in %s", span);
    return HSMART_POLICY_REFUSED;
}

static enum hsmart_code
retire_all(const struct retire_options *own, hsmart_family *family, hsmart_err *err)
{
    size_t retired = 0;
    enum hsmart_code code = HSMART_OK;

    if (family->active == NULL) {
        (void)hs_err_set(err, HSMART_POLICY_REFUSED, "no key of the family \"%s\" is active: the others may be needed",
                         family->label);
        hs_err_hint(err, "activate one first; \"hsmart-key revoke KID\" takes a key out at once");
        return HSMART_POLICY_REFUSED;
    }
    for (size_t i = 0; i < family->count && code == HSMART_OK; i++) {
        const hsmart_family_key *key = &family->keys[i];
        if (key->state != HSMART_KEY_RETIRING)
            continue;
        if (retired++ == 0)
            code = check_time(own, family, err);
        if (code == HSMART_OK)
            code = end(family, key, err);
        if (code == HSMART_OK)
            report_note("key \"%s\" is retired", family_label(key));
    }
    if (code == HSMART_OK && retired == 0) {
        (void)hs_err_set(err, HSMART_KEY_ABSENT, "the family \"%s\" has no retiring key", family->label);
        hs_err_hint(err, "\"hsmart-key publish --at now\" shows the keys; a key retires once another is active");
        return HSMART_KEY_ABSENT;
    }
    if (code == HSMART_OK)
        report_note("next: \"hsmart-key publish\"; the key is still on the token until \"hsmart-key destroy\"");
    return code;
}

static enum hsmart_code
run_retire(const struct cli_call *call, const void *options, hsmart_err *err)
{
    const struct retire_options *own = options;
    struct target target = {0};
    hsmart_family *family = NULL;
    enum hsmart_code code = family_open(&own->common, &own->words, NULL, &target, &family, err);

    (void)call;
    if (code == HSMART_OK)
        code = retire_all(own, family, err);
    hsmart_family_free(family);
    target_clear(&target);
    return code;
}

/* ---- Revoking ---- */

static enum hsmart_code
run_revoke(const struct cli_call *call, const void *options, hsmart_err *err)
{
    const struct revoke_options *own = options;
    struct target target = {0};
    hsmart_family *family = NULL;
    const hsmart_family_key *key = NULL;
    enum hsmart_code code = family_open(&own->common, &own->words, NULL, &target, &family, err);

    if (code == HSMART_OK)
        code = family_find(family, call->operands[0], &key, err);
    if (code == HSMART_OK)
        code = end(family, key, err);
    if (code == HSMART_OK)
        report_note("key \"%s\" is revoked: signers drop it within a minute", family_label(key));
    if (code == HSMART_OK)
        code = family_reread(&target, &family, err);
    if (code != HSMART_OK)
        goto out;
    if (family->active != NULL)
        report_note("key \"%s\" signs now", family_label(family->active));
    else
        report_warning("nothing can be signed now: activate a key (\"hsmart-key activate --force KID --from today\")");
    report_note(
        "next, at once: \"hsmart-key publish\"; servers may hold the old set for as long as their caches live (Epic: "
        "29 h), so have the key taken out of each registration too");
out:
    hsmart_family_free(family);
    target_clear(&target);
    return code;
}

const struct cli_verb verb_retire = {
    .name = "retire",
    .summary = "Takes keys out that another has taken over from, once their last assertion has expired.",
    .options_size = sizeof(struct retire_options),
    .groups = {&retire_group, &cli_group_token, &cli_group_quiet},
    .example = "  hsmart-key retire --key ehr\n",
    .run = run_retire,
};

const struct cli_verb verb_revoke = {
    .name = "revoke",
    .summary = "Takes a key out at once, whatever depends on it: for emergencies.",
    .operands = "KID",
    .operand_min = 1,
    .operand_max = 1,
    .options_size = sizeof(struct revoke_options),
    .groups = {&revoke_group, &cli_group_token, &cli_group_quiet},
    .example = "  hsmart-key revoke --key ehr ehr-20260101\n",
    .run = run_revoke,
};
