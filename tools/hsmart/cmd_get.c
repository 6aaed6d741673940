/* hsmart get: FHIR resources on standard output, page by page where there are many. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "client_target.h"
#include "err.h"
#include "output.h"
#include "report.h"
#include "text.h"
#include "verbs.h"

#define RESOURCE_FILE_MODE 0600U
#define ALL_MAX_LEN (1U << 30) /* of what goes to one file */

struct get_options {
    struct client_common client;
    const char *accept, *out;
    bool all;
};

#define OWN(member) offsetof(struct get_options, member)

static const struct cli_option get_options[] = {
    {"all", 0, NULL, CLI_FLAG, OWN(all), "follow the next links of a Bundle; one page after the other", 0, 0},
    {"accept", 0, "TYPE", CLI_TEXT, OWN(accept), "default: application/fhir+json", 0, 0},
    {"out", 'o', "FILE", CLI_TEXT, OWN(out), "write to FILE (mode 0600), replaced whole; default: standard output", 0,
     0},
};
static const struct cli_group get_group = CLI_GROUP("Reading", get_options);

/* Where bodies go. */
struct sink {
    const char *path;
    struct hs_buf kept; /* for a file: written when the last page is there */
    bool is_terminal, shows_progress;
    uint64_t total_len;
    unsigned pages;
};

/* What a server sends must not steer a terminal; line ends and tabs may stay. */
static enum hsmart_code
append_for_terminal(struct hs_span body, struct hs_buf *out, hsmart_err *err)
{
    struct hs_buf part = {.max_len = OUTPUT_MAX_LEN};
    enum hsmart_code code = HSMART_OK;

    for (size_t at = 0; code == HSMART_OK && at < body.len;) {
        size_t end = at;
        while (end < body.len && body.data[end] != '\n' && body.data[end] != '\t' && body.data[end] != 0)
            end++;
        hs_buf_clear(&part);
        code = hs_buf_append(&part, (struct hs_span){body.data + at, end - at}, err);
        if (code == HSMART_OK && part.len > 0) {
            hs_text_sanitize((char *)part.data);
            code = hs_buf_append_str(out, hs_buf_text(&part), err);
        }
        if (code == HSMART_OK && end < body.len)
            code = hs_buf_append_str(out, body.data[end] == 0 ? "?" : body.data[end] == '\t' ? "\t" : "\n", err);
        at = end + 1;
    }
    hs_buf_clear(&part);
    return code;
}

static enum hsmart_code
put_on_terminal(struct hs_span body, hsmart_err *err)
{
    struct hs_buf shown = {.max_len = ALL_MAX_LEN};
    enum hsmart_code code = append_for_terminal(body, &shown, err);

    if (code == HSMART_OK && shown.len > 0 && shown.data[shown.len - 1] != '\n')
        code = hs_buf_append_str(&shown, "\n", err);
    report_transient("");
    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&shown), err);
    hs_buf_clear(&shown);
    return code;
}

/* A body as it was received; a page ends its line, so that the next one begins on its own. */
static enum hsmart_code
put_body(struct sink *sink, const hsmart_fhir_answer *answer, bool is_page, hsmart_err *err)
{
    const struct hs_span body = {(const uint8_t *)answer->body, answer->body_len};
    bool lacks_end = is_page && (body.len == 0 || body.data[body.len - 1] != '\n');
    enum hsmart_code code;

    sink->total_len += body.len;
    if (sink->path != NULL) {
        code = hs_buf_append(&sink->kept, body, err);
        return code == HSMART_OK && lacks_end ? hs_buf_append_str(&sink->kept, "\n", err) : code;
    }
    if (sink->is_terminal)
        return put_on_terminal(body, err);
    code = output_write(NULL, 0, body, err);
    return code == HSMART_OK && lacks_end ? output_write(NULL, 0, hs_span_str("\n"), err) : code;
}

static enum hsmart_code
put_page(void *arg, unsigned page, const hsmart_fhir_answer *answer, hsmart_err *err)
{
    struct sink *sink = arg;
    char line[96];
    enum hsmart_code code = put_body(sink, answer, true, err);

    sink->pages = page;
    (void)snprintf(line, sizeof line, "%u %s, %" PRIu64 " KiB%s", page, page == 1 ? "page" : "pages",
                   sink->total_len / 1024, answer->next_url != NULL ? ", reading the next one" : "");
    if (sink->shows_progress)
        report_transient(line);
    return code;
}

/* ---- The whole ---- */

static enum hsmart_code
read_one(const struct get_options *own, hsmart_client *client, const char *path, struct sink *sink, hsmart_err *err)
{
    hsmart_fhir_answer *answer = NULL;
    enum hsmart_code code = hsmart_client_get(client, path, own->accept, &answer, err);

    if (code == HSMART_OK)
        code = put_body(sink, answer, false, err);
    if (code == HSMART_OK && answer->next_url != NULL)
        report_note("there are more pages: --all reads them");
    hsmart_fhir_answer_free(answer);
    return code;
}

static enum hsmart_code
read_all(const struct get_options *own, hsmart_client *client, const char *path, struct sink *sink, hsmart_err *err)
{
    enum hsmart_code code = hsmart_client_get_all(client, path, own->accept, put_page, sink, err);

    if (sink->shows_progress)
        report_transient("");
    if (code != HSMART_OK && sink->pages > 0 && sink->path == NULL)
        report_warning("the answer is not complete: %u %s came before this error", sink->pages,
                       sink->pages == 1 ? "page" : "pages");
    return code;
}

static enum hsmart_code
finish(struct sink *sink, hsmart_err *err)
{
    if (sink->path == NULL)
        return HSMART_OK;
    enum hsmart_code code = output_write(sink->path, RESOURCE_FILE_MODE, hs_span_buf(&sink->kept), err);
    if (code == HSMART_OK)
        report_note("wrote %zu bytes to \"%s\"", sink->kept.len, sink->path);
    return code;
}

static enum hsmart_code
check_words(const struct cli_call *call, const struct get_options *own, hsmart_err *err)
{
    enum hsmart_code code = target_check_text("accept", own->accept, err);

    if (code != HSMART_OK || call->operands[0][0] != 0)
        return code;
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "the path is empty");
    hs_err_hint(err, "give one relative to the FHIR base, for example metadata or Patient/1");
    return HSMART_INVALID_ARGUMENT;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct get_options *own = options;
    struct client_target target = {0};
    hsmart_client *client = NULL;
    struct sink sink = {
        .path = own->out,
        .kept = {.max_len = ALL_MAX_LEN},
        .is_terminal = isatty(STDOUT_FILENO) == 1,
        .shows_progress = own->all && isatty(STDERR_FILENO) == 1 && !report_is_quiet(),
    };

    code = check_words(call, own, err);
    if (code == HSMART_OK)
        code = output_check(own->out, err);
    if (code == HSMART_OK)
        code = client_target_resolve(&own->client, &target, err);
    if (code == HSMART_OK)
        code = client_target_open(&target, &client, err);
    if (code == HSMART_OK)
        code = own->all ? read_all(own, client, call->operands[0], &sink, err)
                        : read_one(own, client, call->operands[0], &sink, err);
    if (code == HSMART_OK)
        code = finish(&sink, err);
    hs_buf_clear(&sink.kept);
    hsmart_client_free(client);
    client_target_clear(&target);
    return code;
}

const struct cli_verb verb_get = {
    .name = "get",
    .summary = "Reads FHIR resources with an access token that is got where it is needed.",
    .operands = "PATH",
    .operand_min = 1,
    .operand_max = 1,
    .options_size = sizeof(struct get_options),
    .groups = {&get_group, &client_group, &client_group_network, &cli_group_one_key, &cli_group_token,
               &cli_group_quiet},
    .example = "  hsmart get --client epic Patient/1\n"
               "  hsmart get --client epic 'Observation?category=laboratory' --all --out observations.json\n",
    .run = run,
};
