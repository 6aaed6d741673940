/* hsmart-key ceremony run, rehearse: the ceremony itself, and its rehearsal on keys that vanish. */
#include <hsmart/version.h>

#include "ceremony_people.h"
#include "err.h"
#include "report.h"
#include "verbs.h"

struct run_options {
    struct cli_common common;
    const char *out, *batch, *sign_with, *previous, *rehearsal;
    bool resume, clean_up;
};

static const struct cli_option out_option[] = {
    {"out", 0, "DIR", CLI_TEXT, offsetof(struct run_options, out),
     "the directory that everything is put into; it is made, and appears complete or not at all", 0, 0},
    {"batch", 0, "FILE", CLI_TEXT, offsetof(struct run_options, batch),
     "take the confirmations from this file and not from people at a terminal", 0, 0},
    {"sign-with", 0, "URI", CLI_TEXT, offsetof(struct run_options, sign_with),
     "an existing key of the organisation on the same token, which signs the record, too", 0, 0},
    {"previous", 0, "RECORD", CLI_TEXT, offsetof(struct run_options, previous),
     "the record of the ceremony before this one, to which the new one is chained", 0, 0},
};
static const struct cli_option run_only_options[] = {
    {"rehearsal", 0, "RECORD", CLI_TEXT, offsetof(struct run_options, rehearsal),
     "the record of the rehearsal of this very plan", 0, 0},
    {"resume", 0, NULL, CLI_FLAG, offsetof(struct run_options, resume),
     "go on with an interrupted ceremony: keys that it left are found by their ids and not made again", 0, 0},
    {"clean-up", 0, NULL, CLI_FLAG, offsetof(struct run_options, clean_up),
     "destroy what an interrupted ceremony left on the token, and forget it", 0, 0},
};
static const struct cli_group out_group = CLI_GROUP("Ceremony", out_option);
static const struct cli_group run_group = CLI_GROUP("Before and after", run_only_options);

static enum hsmart_code
check_words(const struct run_options *own, bool rehearsal, hsmart_err *err)
{
    if (!rehearsal && own->out == NULL) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT,
                         "--out DIR is required: where the record and the public keys go");
        hs_err_hint(err, "give a directory that is not there yet");
        return HSMART_INVALID_ARGUMENT;
    }
    if (own->out != NULL && own->out[0] == 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--out is empty");
    if (own->resume && own->clean_up)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--resume and --clean-up exclude each other");
    return HSMART_OK;
}

/* For a rehearsal there is nothing to say: its keys are gone with the process. */
static const char last_words[] = "\nhsmart-key: the ceremony is interrupted, and the token may have keys of it\n"
                                 "  hint: the same command with --resume goes on; with --clean-up it destroys them\n";

static enum hsmart_code
hold(const struct cli_call *call, const struct run_options *own, bool rehearsal, hsmart_err *err)
{
    struct target target = {0};
    struct ceremony_people people = {.program = call->program->name,
                                     .target = &target,
                                     .batch = own->batch,
                                     .last_words = rehearsal ? NULL : last_words};
    struct hs_ceremony_options options = {.rehearsal = rehearsal,
                                          .plan = call->operands[0],
                                          .out_directory = own->out,
                                          .token = &target.token,
                                          .sign_with = own->sign_with,
                                          .previous = own->previous,
                                          .rehearsed = own->rehearsal,
                                          .resume = own->resume,
                                          .tool = "hsmart-key " HSMART_VERSION_STRING,
                                          .seam = &people.seam};
    enum hsmart_code code = check_words(own, rehearsal, err);

    if (code == HSMART_OK)
        code = target_check_uri("sign-with", own->sign_with, err);
    if (code == HSMART_OK)
        code = ceremony_people_open(&people, err);
    if (code == HSMART_OK)
        code = target_resolve(&own->common, TARGET_LOGIN, &target, err);
    if (code == HSMART_OK)
        code = own->clean_up ? hs_ceremony_clean_up(&options, err) : hs_ceremony_run(&options, err);
    if (code == HSMART_OK && own->clean_up)
        report_note("nothing of the interrupted ceremony is left");
    else if (code == HSMART_OK && own->out != NULL)
        report_note("the %s is in \"%s\"", rehearsal ? "rehearsal" : "ceremony", own->out);
    else if (code == HSMART_OK)
        report_note("the rehearsal passed; nothing was stored");
    ceremony_people_close(&people);
    target_clear(&target);
    return code;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    return hold(call, options, false, err);
}

static enum hsmart_code
rehearse(const struct cli_call *call, const void *options, hsmart_err *err)
{
    return hold(call, options, true, err);
}

const struct cli_verb verb_ceremony_run = {
    .name = "ceremony run",
    .summary = "Holds a key ceremony by a plan: makes the keys, attacks them, and writes a signed record.",
    .operands = "PLAN",
    .operand_min = 1,
    .operand_max = 1,
    .options_size = sizeof(struct run_options),
    .groups = {&out_group, &run_group, &cli_group_token, &cli_group_quiet},
    .example = "  hsmart-key ceremony run plan.conf --out ceremony-2027 --token prod\n",
    .run = run,
};

const struct cli_verb verb_ceremony_rehearse = {
    .name = "ceremony rehearse",
    .summary = "Rehearses a key ceremony: everything as in the ceremony, with keys that are never stored.",
    .operands = "PLAN",
    .operand_min = 1,
    .operand_max = 1,
    .options_size = sizeof(struct run_options),
    .groups = {&out_group, &cli_group_token, &cli_group_quiet},
    .example = "  hsmart-key ceremony rehearse plan.conf --out rehearsal-2027 --token prod\n",
    .run = rehearse,
};
