/* hsmart check: what a server would refuse about a JWKS or an assertion. */
#include <langinfo.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "err.h"
#include "file.h"
#include "json.h"
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

/* How the verdict on one rule is shown: a sign on a terminal that has it, a word otherwise. */
static const struct mark {
    const char *word, *sign;
} marks[] = {{"ok", "\xe2\x9c\x93"}, {"ERROR", "\xe2\x9c\x97"}, {"warning", "!"}, {"skipped", "-"}};
enum { MARK_OK, MARK_ERROR, MARK_WARNING, MARK_SKIPPED };

static const char *
mark_text(int mark)
{
    if (isatty(STDOUT_FILENO) && strcmp(nl_langinfo(CODESET), "UTF-8") == 0)
        return marks[mark].sign;
    return marks[mark].word;
}

static bool
is_among(const char *code, const char *const *codes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(codes[i], code) == 0)
            return true;
    return false;
}

static int
finding_mark(const struct hs_finding *finding)
{
    return finding->severity == HS_SEVERITY_ERROR ? MARK_ERROR : MARK_WARNING;
}

static void
put_mark(struct text *text, int mark, const char *code)
{
    text_put_padded(text, mark_text(mark), text_width(mark_text(MARK_SKIPPED)));
    text_put(text, "  %s  ", code);
}

static void
put_finding(struct text *text, const struct hs_finding *finding)
{
    int indent = (int)(text_width(mark_text(MARK_SKIPPED)) + strlen("  K01  "));

    put_mark(text, finding_mark(finding), finding->rule->code);
    text_put_safe(text, finding->text);
    text_put(text, "\n%*scure: %s\n%*ssource: %s\n", indent, "", finding->rule->cure, indent, "",
             finding->rule->source);
}

/* Every rule that concerns the input, in the order of the catalogue; findings with all there is to say. */
static enum hsmart_code
format_text(const struct hs_report *report, struct hs_buf *out, hsmart_err *err)
{
    struct text text = {.out = out};

    for (size_t r = 0; r < hs_rule_count; r++) {
        const struct hs_rule *rule = &hs_rules[r];
        bool has_finding = false;
        for (size_t i = 0; i < report->count; i++)
            if (report->findings[i].rule == rule) {
                put_finding(&text, &report->findings[i]);
                has_finding = true;
            }
        bool was_applied = is_among(rule->code, report->applied, report->applied_count);
        if (has_finding || !(was_applied || is_among(rule->code, report->skipped, report->skipped_count)))
            continue;
        put_mark(&text, was_applied ? MARK_OK : MARK_SKIPPED, rule->code);
        text_put(&text, "%s%s\n", was_applied ? "" : "not checked: ", rule->good);
    }
    text_put(&text, "%zu %s, %zu %s, %zu rules applied, %zu skipped\n", report->error_count,
             report->error_count == 1 ? "error" : "errors", report->warning_count,
             report->warning_count == 1 ? "warning" : "warnings", report->applied_count, report->skipped_count);
    return text_finish(&text, err);
}

static void
put_codes(struct hs_json_writer *writer, const char *name, const char *const *codes, size_t count)
{
    hs_json_name(writer, name);
    hs_json_begin_array(writer);
    for (size_t i = 0; i < count; i++)
        hs_json_put_text(writer, codes[i]);
    hs_json_end_array(writer);
}

static enum hsmart_code
format_json(const struct hs_report *report, struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out, .indent = true};

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "verdict", report->error_count > 0 ? "errors" : "ok");
    hs_json_member_integer(&writer, "errors", (int64_t)report->error_count);
    hs_json_member_integer(&writer, "warnings", (int64_t)report->warning_count);
    hs_json_name(&writer, "findings");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < report->count; i++) {
        const struct hs_finding *finding = &report->findings[i];
        hs_json_begin_object(&writer);
        hs_json_member_text(&writer, "code", finding->rule->code);
        hs_json_member_text(&writer, "severity", finding->severity == HS_SEVERITY_ERROR ? "error" : "warning");
        hs_json_member_text(&writer, "text", finding->text);
        hs_json_member_text(&writer, "rule", finding->rule->title);
        hs_json_member_text(&writer, "cure", finding->rule->cure);
        hs_json_member_text(&writer, "source", finding->rule->source);
        hs_json_end_object(&writer);
    }
    hs_json_end_array(&writer);
    put_codes(&writer, "applied", report->applied, report->applied_count);
    put_codes(&writer, "skipped", report->skipped, report->skipped_count);
    hs_json_end_object(&writer);
    enum hsmart_code code = hs_json_writer_finish(&writer, err);
    return code == HSMART_OK ? hs_buf_append_str(out, "\n", err) : code;
}

static enum hsmart_code
tell(const struct check_options *own, const struct hs_report *report, const char *path, hsmart_err *err)
{
    struct hs_buf answer = {.max_len = OUTPUT_MAX_LEN};
    enum hsmart_code code = own->common.json ? format_json(report, &answer, err) : format_text(report, &answer, err);

    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&answer), err);
    if (code == HSMART_OK && report->error_count > 0)
        code = hs_err_set(err, HSMART_CHECK_FAILED, "%zu %s in \"%s\"", report->error_count,
                          report->error_count == 1 ? "error" : "errors", path);
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
        code = hs_check_jwks(hs_span_buf(&input), &report, err);
    if (code == HSMART_OK)
        code = tell(own, &report, call->operands[0], err);
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
        code = tell(own, &report, call->operands[0], err);
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
