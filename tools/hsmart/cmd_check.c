/* hsmart check: what a server would refuse about a JWKS, an assertion or a token request. */
#include <string.h>

#include "check_tell.h"
#include "clock.h"
#include "err.h"
#include "file.h"
#include "jwks_fetch.h"
#include "report.h"
#include "seen_file.h"
#include "verbs.h"

#define INPUT_MAX_LEN (1U << 20)
#define REPORT_FILE_MODE 0644U

struct check_options {
    struct cli_common common;
    const char *server, *junit, *ca_file, *ca_directory;
    const char *jwks, *audience, *client_id, *jku, *type, *seen, *token_url;
    struct cli_number now_s, skew_s;
    bool by_value;
};

#define OWN(member) offsetof(struct check_options, member)

static const struct cli_option check_options[] = {
    {"server", 0, "ROW", CLI_TEXT, OWN(server), "judge as this family of servers does; docs/servers.md has the rows", 0,
     0},
    {"junit", 0, "FILE", CLI_TEXT, OWN(junit), "write the verdicts to FILE as JUnit's XML, too", 0, 0},
    {"ca-file", 0, "FILE", CLI_TEXT, OWN(ca_file), "for a URL: further CA certificates, PEM, beside the system's", 0,
     0},
    {"ca-directory", 0, "DIR", CLI_TEXT, OWN(ca_directory), "for a URL: hashed directory instead of the system's", 0,
     0},
};
static const struct cli_group check_group = CLI_GROUP("Check", check_options);

static const struct cli_option assertion_options[] = {
    {"jwks", 0, "FILE|URL", CLI_TEXT, OWN(jwks), "the registered key set, to verify the signature", 0, 0},
    {"by-value", 0, NULL, CLI_FLAG, OWN(by_value), "the keys were registered by value, not by URL", 0, 0},
    {"aud", 0, "URL", CLI_TEXT, OWN(audience), "the token endpoint it is for", 0, 0},
    {"client-id", 0, "ID", CLI_TEXT, OWN(client_id), "the registered client id", 0, 0},
    {"jku", 0, "URL", CLI_TEXT, OWN(jku), "the registered JWKS URL; default: that of --jwks", 0, 0},
    {"typ", 0, "TYPE", CLI_TEXT, OWN(type), "the header's typ; default: as the server's row says, else JWT", 0, 0},
    {"now", 0, "TIME", CLI_NUMBER, OWN(now_s), "seconds since the epoch; default: the system's clock", 1, 253402300799},
    {"skew", 0, "SECONDS", CLI_NUMBER, OWN(skew_s), "by how much iat and nbf may be in the future; default 0", 0, 300},
    {"seen", 0, "FILE", CLI_TEXT, OWN(seen), "a jti that stands in FILE was used before; a good one is added", 0, 0},
};
static const struct cli_group assertion_group = CLI_GROUP("Assertion", assertion_options);
static const struct cli_option request_options[] = {
    {"token-url", 0, "URL", CLI_TEXT, OWN(token_url), "the URL it was posted to", 0, 0},
};
static const struct cli_group request_group = CLI_GROUP("Request", request_options);

/* ---- Telling ---- */

static enum hsmart_code
write_junit(const char *path, const struct check_told *told, hsmart_err *err)
{
    struct hs_buf answer = {.max_len = OUTPUT_MAX_LEN};
    enum hsmart_code code = check_format_junit(told, &answer, err);

    if (code == HSMART_OK)
        code = output_write(path, REPORT_FILE_MODE, hs_span_buf(&answer), err);
    hs_buf_clear(&answer);
    return code;
}

static enum hsmart_code
tell(const struct check_options *own, const struct check_told *told, hsmart_err *err)
{
    struct hs_buf answer = {.max_len = OUTPUT_MAX_LEN};
    enum hsmart_code code =
        own->common.json ? check_format_json(told, &answer, err) : check_format_text(told, &answer, err);

    if (code == HSMART_OK && own->junit != NULL)
        code = write_junit(own->junit, told, err);
    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&answer), err);
    if (code == HSMART_OK && told->report->error_count > 0)
        code = hs_err_set(err, HSMART_CHECK_FAILED, "%zu %s in \"%s\"", told->report->error_count,
                          told->report->error_count == 1 ? "error" : "errors", told->name);
    hs_buf_clear(&answer);
    return code;
}

/* ---- Inputs ---- */

/* What an assertion or a request is held against, with all that has to live as long. */
struct basis {
    struct jwks_fetch jwks;
    struct seen_file seen;
    struct hs_assertion_expectation expectation;
};

static void
basis_clear(struct basis *basis)
{
    jwks_fetch_clear(&basis->jwks);
    seen_file_clear(&basis->seen);
}

static struct hs_http_options
network_of(const struct check_options *own)
{
    return (struct hs_http_options){
        .ca_file = own->ca_file, .ca_directory = own->ca_directory, .log = {.write = report_log}};
}

static enum hsmart_code
check_usage(const struct check_options *own, const char *path, hsmart_err *err)
{
    if (own->jwks != NULL && strcmp(own->jwks, "-") == 0 && strcmp(path, "-") == 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "only one of the two can be standard input");
    if (own->seen != NULL && strcmp(own->seen, "-") == 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--seen is a file, which is written to as well");
    return output_check(NULL, err);
}

static enum hsmart_code
find_server(const struct check_options *own, const struct hs_server_row **out_server, hsmart_err *err)
{
    return own->server != NULL ? hs_check_server_find(own->server, out_server, err) : HSMART_OK;
}

static enum hsmart_code
load_jwks(const struct check_options *own, struct basis *basis, hsmart_err *err)
{
    struct hs_assertion_expectation *expectation = &basis->expectation;
    const struct hs_http_options network = network_of(own);
    enum hsmart_code code;

    if (own->jwks == NULL)
        return HSMART_OK;
    code = jwks_fetch(own->jwks, &network, &basis->jwks, err);
    if (code != HSMART_OK)
        return code;
    if (!basis->jwks.is_url && basis->jwks.text.len == 0)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "\"%s\" is empty, so it is no JWKS", own->jwks);
    expectation->jwks = hs_span_buf(&basis->jwks.text);
    expectation->jwks_served = jwks_served(&basis->jwks);
    if (basis->jwks.is_url) {
        expectation->handover = HS_HANDOVER_URL;
        expectation->jku = own->jwks;
    }
    return HSMART_OK;
}

static enum hsmart_code
load_basis(const struct check_options *own, struct basis *out_basis, hsmart_err *err)
{
    struct hs_assertion_expectation *expectation = &out_basis->expectation;
    enum hsmart_code code;

    code = find_server(own, &expectation->server, err);
    if (code == HSMART_OK)
        code = load_jwks(own, out_basis, err);
    expectation->handover = own->by_value ? HS_HANDOVER_VALUE : expectation->handover;
    expectation->audience = own->audience;
    expectation->client_id = own->client_id;
    expectation->jku = own->jku != NULL ? own->jku : expectation->jku;
    expectation->type = own->type;
    expectation->now_s = own->now_s.is_given ? own->now_s.value : hs_clock_now_s();
    expectation->skew_s = (unsigned)own->skew_s.value;
    if (code == HSMART_OK && own->seen != NULL) {
        code = seen_file_load(own->seen, expectation->now_s, &out_basis->seen, err);
        expectation->is_seen = seen_file_has;
        expectation->seen_arg = &out_basis->seen;
    }
    return code;
}

/* What was good is remembered, so that it is not good a second time. */
static enum hsmart_code
remember(const struct check_options *own, struct basis *basis, const struct hs_report *report, hsmart_err *err)
{
    return own->seen != NULL && report->error_count == 0 ? seen_file_save(&basis->seen, err) : HSMART_OK;
}

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

/* ---- The verbs ---- */

static enum hsmart_code
run_jwks(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct check_options *own = options;
    const char *where = call->operands[0];
    const struct hs_http_options network = network_of(own);
    struct hs_jwks_expectation expectation = {0};
    struct jwks_fetch input = {0};
    struct hs_report report = {0};

    code = check_usage(own, where, err);
    if (code == HSMART_OK)
        code = find_server(own, &expectation.server, err);
    if (code == HSMART_OK)
        code = jwks_fetch(where, &network, &input, err);
    if (code != HSMART_OK)
        goto out;
    expectation.served = jwks_served(&input);
    code = hs_check_jwks(hs_span_buf(&input.text), &expectation, &report, err);
    if (code == HSMART_OK)
        code = tell(own, &(struct check_told){"jwks", where, own->server, &report}, err);
out:
    hs_report_clear(&report);
    jwks_fetch_clear(&input);
    return code;
}

static enum hsmart_code
run_assertion(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct check_options *own = options;
    const char *path = call->operands[0];
    struct hs_buf assertion = {0};
    struct basis basis = {0};
    struct hs_report report = {0};

    code = check_usage(own, path, err);
    if (code == HSMART_OK)
        code = hs_file_read(path, INPUT_MAX_LEN, &assertion, err);
    if (code == HSMART_OK)
        code = load_basis(own, &basis, err);
    if (code == HSMART_OK)
        code = hs_check_assertion(without_line_end(hs_span_buf(&assertion)), &basis.expectation, &report, err);
    if (code == HSMART_OK)
        code = remember(own, &basis, &report, err);
    if (code == HSMART_OK)
        code = tell(own, &(struct check_told){"assertion", path, own->server, &report}, err);
    hs_report_clear(&report);
    basis_clear(&basis);
    hs_buf_clear(&assertion);
    return code;
}

static enum hsmart_code
run_request(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct check_options *own = options;
    const char *path = call->operands[0];
    struct hs_buf raw = {0};
    struct basis basis = {0};
    struct hs_request request = {0};
    struct hs_report report = {0};

    code = check_usage(own, path, err);
    if (code == HSMART_OK)
        code = hs_file_read(path, INPUT_MAX_LEN, &raw, err);
    if (code == HSMART_OK)
        code = load_basis(own, &basis, err);
    if (code == HSMART_OK)
        code = hs_request_parse(hs_span_buf(&raw), &request, err);
    if (code != HSMART_OK)
        goto out;
    const struct hs_request_expectation expectation = {.token_url = own->token_url, .assertion = basis.expectation};
    code = hs_check_request(&request, &expectation, &report, err);
    if (code == HSMART_OK)
        code = remember(own, &basis, &report, err);
    if (code == HSMART_OK)
        code = tell(own, &(struct check_told){"request", path, own->server, &report}, err);
out:
    hs_report_clear(&report);
    hs_request_clear(&request);
    basis_clear(&basis);
    hs_buf_clear(&raw);
    return code;
}

const struct cli_verb verb_check_assertion = {
    .name = "check assertion",
    .summary = "Holds a client assertion against every rule that servers are known to apply.",
    .operands = "FILE|-",
    .operand_min = 1,
    .operand_max = 1,
    .options_size = sizeof(struct check_options),
    .groups = {&assertion_group, &check_group, &cli_group_general},
    .example = "  hsmart assertion --client epic | hsmart check assertion - --jwks jwks.json --server epic\n",
    .run = run_assertion,
};

const struct cli_verb verb_check_jwks = {
    .name = "check jwks",
    .summary =
        "Holds a JSON Web Key Set, and the URL that serves it, against every rule that servers are known to apply.",
    .operands = "FILE|-|URL",
    .operand_min = 1,
    .operand_max = 1,
    .options_size = sizeof(struct check_options),
    .groups = {&check_group, &cli_group_general},
    .example = "  hsmart check jwks jwks.json\n"
               "  hsmart check jwks https://clinic.example/jwks.json --server epic --junit jwks.xml\n",
    .run = run_jwks,
};

const struct cli_verb verb_check_request = {
    .name = "check request",
    .summary =
        "Holds a raw HTTP token request, and the assertion in it, against every rule that servers are known to apply.",
    .operands = "FILE|-",
    .operand_min = 1,
    .operand_max = 1,
    .options_size = sizeof(struct check_options),
    .groups = {&request_group, &assertion_group, &check_group, &cli_group_general},
    .example = "  hsmart check request request.txt --token-url https://ehr.example/oauth2/token --jwks jwks.json\n",
    .run = run_request,
};
