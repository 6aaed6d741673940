/* hsmart-key ceremony verify: whether a record holds, without any token. */
#include <string.h>

#include "err.h"
#include "fingerprint_view.h"
#include "json.h"
#include "jwks_fetch.h"
#include "record_verify.h"
#include "report.h"
#include "verbs.h"

struct verify_options {
    struct cli_common common;
    const char *jwks, *previous, *trust, *ca_file, *ca_directory;
    bool show;
};

static const struct cli_option verify_only_options[] = {
    {"jwks", 0, "FILE|URL", CLI_TEXT, offsetof(struct verify_options, jwks),
     "a JWK Set, as published, that should have every key of the record", 0, 0},
    {"ca-file", 0, "FILE", CLI_TEXT, offsetof(struct verify_options, ca_file),
     "for a URL: further CA certificates, PEM, beside the system's", 0, 0},
    {"ca-directory", 0, "DIR", CLI_TEXT, offsetof(struct verify_options, ca_directory),
     "for a URL: hashed directory instead of the system's", 0, 0},
    {"previous", 0, "RECORD", CLI_TEXT, offsetof(struct verify_options, previous),
     "the record of the ceremony before, to which this one should be chained", 0, 0},
    {"trust", 0, "KID", CLI_TEXT, offsetof(struct verify_options, trust),
     "thumbprint of a key that should have signed the record; without it nobody vouches for who held the ceremony", 0,
     0},
    {"show", 0, NULL, CLI_FLAG, offsetof(struct verify_options, show), "also print what the record says, as JSON", 0,
     0},
};
static const struct cli_group verify_group = CLI_GROUP("Held against", verify_only_options);

static const char *const verdict_words[] = {"ok", "FAIL", "-"};
static const char *const verdict_names[] = {"good", "bad", "not looked at"};

static void
put_text_verdict(void *arg, enum hs_record_verdict verdict, const char *check, const char *line)
{
    struct table *table = arg;

    table_put(table, verdict_words[verdict]);
    table_put(table, check);
    table_put(table, line);
}

static void
put_json_verdict(void *arg, enum hs_record_verdict verdict, const char *check, const char *line)
{
    struct hs_json_writer *writer = arg;

    hs_json_begin_object(writer);
    hs_json_member_text(writer, "check", check);
    hs_json_member_text(writer, "verdict", verdict_names[verdict]);
    hs_json_member_text(writer, "text", line);
    hs_json_end_object(writer);
}

static enum hsmart_code
format_text(const struct verify_options *own, const struct hs_record *record,
            const struct hs_record_expectation *expectation, struct hs_buf *out, size_t *out_bad_count, hsmart_err *err)
{
    struct text text = {.out = out};
    struct table table = {.column_count = 3};
    enum hsmart_code code = hs_record_verify(record, expectation, put_text_verdict, &table, out_bad_count, err);

    if (code != HSMART_OK)
        return code;
    table_finish(&table, &text);
    text_put(&text, "\nSHA-256 of the record:\n");
    fingerprint_put(&text, HS_SPAN_OF(record->sha256), "  ");
    code = text_finish(&text, err);
    if (code == HSMART_OK && own->show)
        code = hs_buf_append_format(out, err, "\n%s\n", hs_buf_text(&record->payload));
    return code;
}

static enum hsmart_code
format_json(const struct verify_options *own, const struct hs_record *record,
            const struct hs_record_expectation *expectation, struct hs_buf *out, size_t *out_bad_count, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out, .indent = true};
    enum hsmart_code code;

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "sha256", record->sha256_hex);
    hs_json_name(&writer, "checks");
    hs_json_begin_array(&writer);
    code = hs_record_verify(record, expectation, put_json_verdict, &writer, out_bad_count, err);
    hs_json_end_array(&writer);
    if (code == HSMART_OK)
        hs_json_member_boolean(&writer, "good", *out_bad_count == 0);
    if (own->show) {
        hs_json_name(&writer, "record");
        hs_json_put_raw(&writer, hs_span_buf(&record->payload));
    }
    hs_json_end_object(&writer);
    if (code == HSMART_OK)
        code = hs_json_writer_finish(&writer, err);
    return code == HSMART_OK ? hs_buf_append_str(out, "\n", err) : code;
}

static enum hsmart_code
load_jwks(const struct verify_options *own, struct jwks_fetch *out_jwks, hsmart_err *err)
{
    const struct hs_http_options network = {
        .ca_file = own->ca_file, .ca_directory = own->ca_directory, .log = {.write = report_log}};
    enum hsmart_code code = own->jwks != NULL ? jwks_fetch(own->jwks, &network, out_jwks, err) : HSMART_OK;

    if (code != HSMART_OK)
        return hs_err_wrap(err, code, "--jwks");
    if (own->jwks != NULL && out_jwks->text.len == 0)
        return hs_err_set(err, out_jwks->is_url ? HSMART_NETWORK_FAILED : HSMART_INPUT_MALFORMED, "--jwks: %s",
                          out_jwks->served.failure_text != NULL ? out_jwks->served.failure_text : "it is empty");
    return HSMART_OK;
}

/* Where the files may be that were written with the record: beside it. */
static enum hsmart_code
directory_of(const char *path, struct hs_buf *out, hsmart_err *err)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return hs_buf_append_str(out, ".", err);
    return hs_buf_append_format(out, err, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

static enum hsmart_code
verify(const struct verify_options *own, const char *path, const struct hs_record *record,
       const struct hs_record *previous, hsmart_err *err)
{
    struct jwks_fetch jwks = {0};
    struct hs_buf directory = {0}, answer = {.max_len = OUTPUT_MAX_LEN};
    size_t bad_count = 0;
    enum hsmart_code code = load_jwks(own, &jwks, err);

    if (code == HSMART_OK)
        code = directory_of(path, &directory, err);
    const struct hs_record_expectation expectation = {.jwks = hs_span_buf(&jwks.text),
                                                      .previous = previous,
                                                      .trust = own->trust,
                                                      .directory = hs_buf_text(&directory)};
    if (code == HSMART_OK)
        code = own->common.json ? format_json(own, record, &expectation, &answer, &bad_count, err)
                                : format_text(own, record, &expectation, &answer, &bad_count, err);
    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&answer), err);
    if (code == HSMART_OK && bad_count > 0) {
        code = hs_err_set(err, HSMART_CHECK_FAILED, "the record does not hold: %zu check%s failed", bad_count,
                          bad_count == 1 ? "" : "s");
        hs_err_hint(err, "do not rely on these keys before it is known why");
    }
    jwks_fetch_clear(&jwks);
    hs_buf_clear(&directory);
    hs_buf_clear(&answer);
    return code;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    const struct verify_options *own = options;
    struct hs_record record = {0}, previous = {0};
    enum hsmart_code code = output_check(NULL, err);

    if (code == HSMART_OK)
        code = hs_record_load(call->operands[0], &record, err);
    if (code == HSMART_OK && own->previous != NULL)
        code = hs_record_load(own->previous, &previous, err);
    if (code == HSMART_OK)
        code = verify(own, call->operands[0], &record, own->previous != NULL ? &previous : NULL, err);
    hs_record_clear(&record);
    hs_record_clear(&previous);
    return code;
}

const struct cli_verb verb_ceremony_verify = {
    .name = "ceremony verify",
    .summary = "Verifies the record of a key ceremony, without any token: signatures, plan, people, attack, chain.",
    .operands = "RECORD",
    .operand_min = 1,
    .operand_max = 1,
    .options_size = sizeof(struct verify_options),
    .groups = {&verify_group, &cli_group_general},
    .example = "  hsmart-key ceremony verify ceremony-2027/record.json --jwks jwks.json --previous "
               "ceremony-2026/record.json\n",
    .run = run,
};
