/* hsmart-key rotate: makes the successor of a family's active key, staged. */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "family_view.h"
#include "progress.h"
#include "report.h"
#include "verbs.h"

#define LABEL_MAX_LEN 256U
#define NUMBER_MAX 99U

struct rotate_options {
    struct cli_common common;
    struct family_words words;
    const char *alg;
    struct cli_number bits;
};

static const struct cli_option rotate_options[] = {
    FAMILY_OPTIONS(struct rotate_options),
    {"alg", 0, "ALG", CLI_TEXT, offsetof(struct rotate_options, alg), "default: as the active key", 0, 0},
    {"bits", 0, "N", CLI_NUMBER, offsetof(struct rotate_options, bits), "RSA modulus; default: as the active key", 2048,
     16384},
};
static const struct cli_group rotate_group = CLI_GROUP("Rotation", rotate_options);

/* One successor at a time: a second one would have to be told apart by whoever activates. */
static enum hsmart_code
check_none_staged(const hsmart_family *family, hsmart_err *err)
{
    for (size_t i = 0; i < family->count; i++) {
        if (family->keys[i].state != HSMART_KEY_STAGED)
            continue;
        (void)hs_err_set(err, HSMART_KEY_EXISTS, "key \"%s\" of the family \"%s\" is staged already",
                         family_label(&family->keys[i]), family->label);
        hs_err_hint(err, "activate it with \"hsmart-key activate\", or take it away with \"hsmart-key revoke\"");
        return HSMART_KEY_EXISTS;
    }
    return HSMART_OK;
}

static bool
is_taken(const hsmart_family *family, const char *label)
{
    for (size_t i = 0; i < family->count; i++)
        if (strcmp(family_label(&family->keys[i]), label) == 0)
            return true;
    return false;
}

/* FAMILY-YYYYMMDD, and FAMILY-YYYYMMDD-2 for a second one on the same day. */
static enum hsmart_code
choose_label(const hsmart_family *family, char out[LABEL_MAX_LEN], hsmart_err *err)
{
    char day[FAMILY_TIME_LEN];

    family_format_day(hs_clock_now_s(), 0, day);
    int len = snprintf(out, LABEL_MAX_LEN, "%s-%.4s%.2s%.2s", family->label, day, day + 5, day + 8);
    if (len < 0 || (size_t)len + 4 > LABEL_MAX_LEN)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the label of the family is too long");
    for (unsigned number = 2; is_taken(family, out); number++) {
        if (number > NUMBER_MAX)
            return hs_err_set(err, HSMART_KEY_EXISTS, "there are %u keys of this day", NUMBER_MAX);
        (void)snprintf(out + len, LABEL_MAX_LEN - (size_t)len, "-%u", number);
    }
    return HSMART_OK;
}

/* The key to take type and size from: the active one, else the last. */
static const hsmart_key_info *
model_of(const hsmart_family *family)
{
    return hsmart_key_get_info((family->active != NULL ? family->active : &family->keys[family->count - 1])->key);
}

static enum hsmart_code
generate(const struct rotate_options *own, struct target *target, const hsmart_family *family, hsmart_key **out_key,
         hsmart_err *err)
{
    char label[LABEL_MAX_LEN];
    const hsmart_key_info *model = model_of(family);
    const char *alg = own->alg != NULL ? own->alg : target->signer.alg != NULL ? target->signer.alg : model->alg;
    bool same_size = own->alg == NULL && model->curve == NULL;
    hsmart_key_spec spec = {.alg = alg,
                            .label = label,
                            .start_date = HSMART_DATE_UNDECIDED,
                            .bits = own->bits.is_given ? (unsigned)own->bits.value
                                    : same_size        ? model->bits
                                                       : 0};
    struct progress progress;
    enum hsmart_code code = choose_label(family, label, err);

    if (code != HSMART_OK)
        return code;
    progress_begin(&progress, "token \"%s\" makes the key", hsmart_token_get_info(target->opened)->label);
    code = hsmart_key_generate(target->opened, &spec, out_key, err);
    progress_end(&progress);
    return code;
}

/* Of two hosts that rotate around midnight each has a label of its own. Whoever sees another's successor takes its own
 * away: at most one is left. */
static enum hsmart_code
check_is_only_successor(const hsmart_family *family, const hsmart_family_key *made, hsmart_err *err)
{
    const hsmart_family_key *other = NULL;
    enum hsmart_code code;

    for (size_t i = 0; i < family->count && other == NULL; i++)
        if (&family->keys[i] != made && family->keys[i].state == HSMART_KEY_STAGED)
            other = &family->keys[i];
    if (other == NULL)
        return HSMART_OK;
    code = hsmart_key_destroy(made->key, NULL, err);
    if (code != HSMART_OK)
        return hs_err_wrap(err, code, "key \"%s\" was made although \"%s\" is staged", family_label(made),
                           family_label(other));
    (void)hs_err_set(err, HSMART_KEY_EXISTS,
                     "another host made the successor \"%s\" at the same moment; the one made here is destroyed again",
                     family_label(other));
    hs_err_hint(err, "look with \"hsmart-key publish --at now\"; should no key be staged, try again");
    return HSMART_KEY_EXISTS;
}

/* Where the token did not take the date with the key, it is set, or written down, now. */
static enum hsmart_code
stage(struct target *target, hsmart_family **family, const char *kid, hsmart_err *err)
{
    const hsmart_family_key *made = NULL;
    enum hsmart_code code = family_reread(target, family, err);

    if (code == HSMART_OK)
        code = family_find(*family, kid, &made, err);
    if (code == HSMART_OK)
        code = check_is_only_successor(*family, made, err);
    if (code != HSMART_OK || made->state == HSMART_KEY_STAGED)
        return code;
    code = family_set_dates(*family, made, HSMART_DATE_UNDECIDED, NULL, err);
    return code == HSMART_OK ? family_reread(target, family, err) : code;
}

static enum hsmart_code
tell(const struct rotate_options *own, const hsmart_family *family, hsmart_err *err)
{
    struct hs_buf answer = {.max_len = OUTPUT_MAX_LEN};
    struct text text = {.out = &answer};
    struct hs_json_writer writer = {.out = &answer, .indent = true};
    enum hsmart_code code;

    if (own->common.json) {
        hs_json_begin_object(&writer);
        family_put_members(&writer, family);
        hs_json_end_object(&writer);
        code = hs_json_writer_finish(&writer, err);
        if (code == HSMART_OK)
            code = hs_buf_append_str(&answer, "\n", err);
    } else {
        family_put_table(&text, family);
        code = text_finish(&text, err);
    }
    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&answer), err);
    hs_buf_clear(&answer);
    if (code == HSMART_OK)
        report_note(
            "next: \"hsmart-key publish\", then \"hsmart-key activate --url\" until it says that the key may sign");
    return code;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    const struct rotate_options *own = options;
    struct target target = {0};
    hsmart_family *family = NULL;
    hsmart_key *key = NULL;
    enum hsmart_code code = output_check(NULL, err);

    (void)call;
    if (code == HSMART_OK)
        code = family_open(&own->common, &own->words, NULL, &target, &family, err);
    if (code == HSMART_OK)
        code = check_none_staged(family, err);
    if (code == HSMART_OK)
        code = generate(own, &target, family, &key, err);
    if (code == HSMART_OK)
        code = stage(&target, &family, hsmart_key_get_info(key)->thumbprint, err);
    if (code == HSMART_OK)
        code = tell(own, family, err);
    hsmart_key_free(key);
    hsmart_family_free(family);
    target_clear(&target);
    return code;
}

const struct cli_verb verb_rotate = {
    .name = "rotate",
    .summary = "Makes the successor of a family's active key: staged, to be published and not yet signed with.",
    .options_size = sizeof(struct rotate_options),
    .groups = {&rotate_group, &cli_group_token, &cli_group_general},
    .example = "  hsmart-key rotate --key ehr\n",
    .run = run,
};
