/* The bodies that several endpoints answer with. */
#include <stdio.h>

#include "exchange.h"
#include "text.h"

#define DESCRIPTION_MAX 600U

enum hsmart_code
answer_json(struct exchange *exchange, int status, const char *type, struct hs_json_writer *out_writer, hsmart_err *err)
{
    struct answer *answer = &exchange->answer;

    answer_reset(answer);
    answer->status = status;
    *out_writer = (struct hs_json_writer){.out = &answer->body};
    return answer_header(answer, err, "Content-Type", "%s", type);
}

enum hsmart_code
answer_text(struct exchange *exchange, int status, const char *text, hsmart_err *err)
{
    struct answer *answer = &exchange->answer;
    enum hsmart_code code;

    answer_reset(answer);
    answer->status = status;
    code = answer_header(answer, err, "Content-Type", "text/plain; charset=utf-8");
    return code == HSMART_OK ? hs_buf_append_str(&answer->body, text, err) : code;
}

HSMART_PRINTF(2, 0)
static void
describe(char description[DESCRIPTION_MAX], const char *format, va_list args)
{
    (void)vsnprintf(description, DESCRIPTION_MAX, format, args);
    hs_text_sanitize(description);
}

/* RFC 6749 section 5.1 wants both headers on every answer of the token endpoint; registrations hold secrets too. */
static enum hsmart_code
put_oauth_error(struct exchange *exchange, int status, const char *error, const char *description, hsmart_err *err)
{
    struct hs_json_writer writer;
    enum hsmart_code code = answer_json(exchange, status, "application/json", &writer, err);

    if (code == HSMART_OK)
        code = answer_header(&exchange->answer, err, "Cache-Control", "no-store");
    if (code == HSMART_OK)
        code = answer_header(&exchange->answer, err, "Pragma", "no-cache");
    if (code != HSMART_OK)
        return code;
    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "error", error);
    hs_json_member_text(&writer, "error_description", description);
    hs_json_end_object(&writer);
    answer_note(&exchange->answer, "%s: %s", error, description);
    return hs_json_writer_finish(&writer, err);
}

enum hsmart_code
answer_oauth_error(struct exchange *exchange, int status, const char *error, hsmart_err *err, const char *format, ...)
{
    char description[DESCRIPTION_MAX];
    va_list args;

    va_start(args, format);
    describe(description, format, args);
    va_end(args);
    return put_oauth_error(exchange, status, error, description, err);
}

static enum hsmart_code
put_outcome(struct exchange *exchange, int status, const char *issue, const char *diagnostics, hsmart_err *err)
{
    struct hs_json_writer writer;
    enum hsmart_code code = answer_json(exchange, status, "application/fhir+json", &writer, err);

    if (code != HSMART_OK)
        return code;
    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "resourceType", "OperationOutcome");
    hs_json_name(&writer, "issue");
    hs_json_begin_array(&writer);
    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "severity", "error");
    hs_json_member_text(&writer, "code", issue);
    hs_json_member_text(&writer, "diagnostics", diagnostics);
    hs_json_end_object(&writer);
    hs_json_end_array(&writer);
    hs_json_end_object(&writer);
    answer_note(&exchange->answer, "%s: %s", issue, diagnostics);
    return hs_json_writer_finish(&writer, err);
}

enum hsmart_code
answer_outcome(struct exchange *exchange, int status, const char *issue, hsmart_err *err, const char *format, ...)
{
    char diagnostics[DESCRIPTION_MAX];
    va_list args;

    va_start(args, format);
    describe(diagnostics, format, args);
    va_end(args);
    return put_outcome(exchange, status, issue, diagnostics, err);
}

/* FHIR's word for what an HTTP status says. */
static const char *
issue_of(int status)
{
    static const struct {
        int status;
        const char *issue;
    } issues[] = {{401, "login"},         {403, "forbidden"}, {404, "not-found"}, {405, "not-supported"},
                  {406, "not-supported"}, {413, "too-long"},  {429, "throttled"}, {503, "transient"}};

    for (size_t i = 0; i < HS_ARRAY_LEN(issues); i++)
        if (issues[i].status == status)
            return issues[i].issue;
    return status >= 500 ? "exception" : "invalid";
}

enum hsmart_code
answer_error(struct exchange *exchange, int status, hsmart_err *err, const char *format, ...)
{
    char description[DESCRIPTION_MAX];
    va_list args;

    va_start(args, format);
    describe(description, format, args);
    va_end(args);
    switch (exchange->endpoint) {
    case ENDPOINT_TOKEN:
    case ENDPOINT_REGISTER:
        return put_oauth_error(exchange, status, status >= 500 ? "server_error" : "invalid_request", description, err);
    case ENDPOINT_FHIR:
        return put_outcome(exchange, status, issue_of(status), description, err);
    default:
        answer_note(&exchange->answer, "%s", description);
        return answer_text(exchange, status, description, err);
    }
}
