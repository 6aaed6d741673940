/* hsmart check: what a server would refuse about a JWKS or an assertion. */
#include <string.h>

#include "check_tell.h"
#include "err.h"
#include "file.h"
#include "output.h"
#include "report.h"
#include "verbs.h"

#define INPUT_MAX_LEN (1U << 20)

struct check_options {
    struct cli_common common;
    const char *jwks, *audience, *client_id, *jku;
    struct cli_number now_s, skew_s;
};

static const struct cli_option assertion_options[] = {
    {"jwks", 0, "FILE", CLI_TEXT, offsetof(struct check_options, jwks),
     "the registered key set, to verify the signature", 0, 0},
    {"aud", 0, "URL", CLI_TEXT, offsetof(struct check_options, audience), "the token endpoint it is for", 0, 0},
    {"client-id", 0, "ID", CLI_TEXT, offsetof(struct check_options, client_id), "the registered client id", 0, 0},
    {"jku", 0, "URL", CLI_TEXT, offsetof(struct check_options, jku), "the registered JWKS URL", 0, 0},
    {"now", 0, "TIME", CLI_NUMBER, offsetof(struct check_options, now_s),
     "seconds since the epoch; default: the system's clock", 1, 253402300799},
    {"skew", 0, "SECONDS", CLI_NUMBER, offsetof(struct check_options, skew_s),
     "by how much iat and nbf may be in the future; default 0", 0, 300},
};
static const struct cli_group assertion_group = CLI_GROUP("Assertion", assertion_options);

/* ---- Telling ---- */

static enum hsmart_code
tell(const struct check_options *own, const struct check_told *told, hsmart_err *err)
{
    struct hs_buf answer = {.max_len = OUTPUT_MAX_LEN};
    enum hsmart_code code = own->common.json ? check_format_json(told, &answer, err)
                                             : check_format_text(told, &answer, err);

    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&answer), err);
    if (code == HSMART_OK && told->report->error_count > 0)
        code = hs_err_set(err, HSMART_CHECK_FAILED, "%zu %s in \"%s\"", told->report->error_count,
                          told->report->error_count == 1 ? "error" : "errors", told->name);
    hs_buf_clear(&answer);
    return code;
}

/* ---- The work ---- */

/* Files end in a line end and assertions do not: exactly one is taken off, so that a second one is found. */
static struct hs_span
without_line_end(struct hs_span text)
{
    size_t end = text.len;

    if (end > 0 && text.data[end - 1] == '\n')
        end--;
    if (end < text.len && end > 0 && text.data[end - 1] == '\r')
        end--;
    if (end < text.len)
        report_detail("the line end at the end of the file is not part of the assertion and was taken off");
    return (struct hs_span){text.data, end};
}

static enum hsmart_code
run_jwks(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct check_options *own = options;
    struct hs_buf input = {0};
    struct hs_report report = {0};

    code = output_check(NULL, err);
    if (code == HSMART_OK)
        code = hs_file_read(call->operands[0], INPUT_MAX_LEN, &input, err);
    if (code == HSMART_OK)
        code = hs_check_jwks(hs_span_buf(&input), NULL, &report, err);
    if (code == HSMART_OK)
        code = tell(own, &(struct check_told){.what = "jwks", .name = call->operands[0], .report = &report}, err);
    hs_report_clear(&report);
    hs_buf_clear(&input);
    return code;
}

static enum hsmart_code
read_inputs(const struct check_options *own, const char *path, struct hs_buf *out_assertion, struct hs_buf *out_jwks,
            hsmart_err *err)
{
    enum hsmart_code code;

    if (own->jwks != NULL && strcmp(own->jwks, "-") == 0 && strcmp(path, "-") == 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "only one of the two can be standard input");
    code = hs_file_read(path, INPUT_MAX_LEN, out_assertion, err);
    if (code == HSMART_OK && own->jwks != NULL)
        code = hs_file_read(own->jwks, INPUT_MAX_LEN, out_jwks, err);
    if (code == HSMART_OK && own->jwks != NULL && out_jwks->len == 0)
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "\"%s\" is empty, so it is no JWKS", own->jwks);
    return code;
}

static enum hsmart_code
run_assertion(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct check_options *own = options;
    struct hs_buf assertion = {0}, jwks = {0};
    struct hs_report report = {0};

    code = output_check(NULL, err);
    if (code == HSMART_OK)
        code = read_inputs(own, call->operands[0], &assertion, &jwks, err);
    if (code != HSMART_OK)
        goto out;
    const struct hs_assertion_expectation expectation = {
        .jwks = hs_span_buf(&jwks),
        .audience = own->audience,
        .client_id = own->client_id,
        .jku = own->jku,
        .now_s = own->now_s.value,
        .skew_s = (unsigned)own->skew_s.value,
    };
    code = hs_check_assertion(without_line_end(hs_span_buf(&assertion)), &expectation, &report, err);
    if (code == HSMART_OK)
        code = tell(own, &(struct check_told){.what = "assertion", .name = call->operands[0], .report = &report}, err);
out:
    hs_report_clear(&report);
    hs_buf_clear(&jwks);
    hs_buf_clear(&assertion);
    return code;
}

const struct cli_verb verb_check_assertion = {
    .name = "check assertion",
    .summary = "Holds a client assertion against every rule that servers are known to apply.",
    .operands = "FILE|-",
    .operand_min = 1,
    .operand_max = 1,
    .options_size = sizeof(struct check_options),
    .groups = {&assertion_group, &cli_group_general},
    .example = "  hsmart assertion --client epic | hsmart check assertion - --jwks jwks.json\n",
    .run = run_assertion,
};

const struct cli_verb verb_check_jwks = {
    .name = "check jwks",
    .summary = "Holds a JSON Web Key Set against every rule that servers are known to apply.",
    .operands = "FILE|-",
    .operand_min = 1,
    .operand_max = 1,
    .options_size = sizeof(struct check_options),
    .groups = {&cli_group_general},
    .example = "  hsmart check jwks jwks.json\n",
    .run = run_jwks,
};
