/* hsmart-key ceremony report: the record of a ceremony as one page to print and sign. */
#include "err.h"
#include "output.h"
#include "record_html.h"
#include "report.h"
#include "verbs.h"

struct html_options {
    struct cli_common common;
    const char *out;
};

static const struct cli_option html_only_options[] = {
    {"out", 'o', "FILE", CLI_TEXT, offsetof(struct html_options, out),
     "write to FILE, which is replaced whole (mode 0644); default: standard output", 0, 0},
};
static const struct cli_group html_group = CLI_GROUP("Report", html_only_options);

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    const struct html_options *own = options;
    struct hs_record record = {0};
    struct hs_buf page = {0};
    size_t bad_count = 0;
    enum hsmart_code code = output_check(own->out, err);

    if (code == HSMART_OK)
        code = hs_record_load(call->operands[0], &record, err);
    if (code == HSMART_OK)
        code = hs_record_html(&record, &page, &bad_count, err);
    if (code == HSMART_OK)
        code = output_write(own->out, 0644, hs_span_buf(&page), err);
    if (code == HSMART_OK && own->out != NULL)
        report_note("wrote the report to \"%s\"", own->out);
    if (code == HSMART_OK && bad_count > 0)
        report_warning("the record does not hold, and the page says so: \"hsmart-key ceremony verify\" tells why");
    hs_record_clear(&record);
    hs_buf_clear(&page);
    return code;
}

const struct cli_verb verb_ceremony_report = {
    .name = "ceremony report",
    .summary = "Writes the record of a key ceremony as one page to print and sign.",
    .operands = "RECORD",
    .operand_min = 1,
    .operand_max = 1,
    .options_size = sizeof(struct html_options),
    .groups = {&html_group, &cli_group_quiet},
    .example = "  hsmart-key ceremony report ceremony-2027/record.json --out ceremony-2027.html\n",
    .run = run,
};
