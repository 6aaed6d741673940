#include "operation_outcome.h"

#include <stdio.h>

#include "text.h"

#define DETAIL_MAX_LEN 200U

static const char *const severities[] = {"fatal", "error", "warning", "information"}; /* gravest first */

static size_t
gravity(const hs_json_value *issue)
{
    const char *severity = hs_json_text(hs_json_member(issue, "severity"));

    for (size_t i = 0; severity != NULL && i < HS_ARRAY_LEN(severities); i++)
        if (strcmp(severities[i], severity) == 0)
            return i;
    return HS_ARRAY_LEN(severities);
}

/* The text of an issue, in the order in which servers are seen to put it. */
static const char *
detail_of(const hs_json_value *issue)
{
    const hs_json_value *details = hs_json_member(issue, "details");
    const hs_json_value *coding = hs_json_element(hs_json_member(details, "coding"), 0);
    const char *texts[] = {
        hs_json_text(hs_json_member(issue, "diagnostics")),
        hs_json_text(hs_json_member(details, "text")),
        hs_json_text(hs_json_member(coding, "display")),
        hs_json_text(hs_json_member(coding, "code")),
    };

    for (size_t i = 0; i < HS_ARRAY_LEN(texts); i++)
        if (texts[i] != NULL && texts[i][0] != 0)
            return texts[i];
    return NULL;
}

/* Appends to the line in `out`; what does not fit is cut by snprintf and sanitised by the caller. */
static void
append(char *out, size_t out_len, const char *front, const char *text, size_t max_len, const char *back)
{
    size_t len = strlen(out);

    if (text != NULL && text[0] != 0)
        (void)snprintf(out + len, out_len - len, "%s%.*s%s", front, (int)hs_text_cut(text, max_len), text, back);
}

bool
hs_operation_outcome_line(const hs_json_value *value, char *out, size_t out_len)
{
    const char *type = hs_json_text(hs_json_member(value, "resourceType"));
    const hs_json_value *issues = hs_json_member(value, "issue");
    const hs_json_value *gravest = hs_json_element(issues, 0);

    if (type == NULL || strcmp(type, "OperationOutcome") != 0 || gravest == NULL)
        return false;
    for (size_t i = 1; i < hs_json_length(issues); i++)
        if (gravity(hs_json_element(issues, i)) < gravity(gravest))
            gravest = hs_json_element(issues, i);

    (void)snprintf(out, out_len, "%s", "OperationOutcome");
    append(out, out_len, " ", hs_json_text(hs_json_member(gravest, "severity")), 20, "");
    append(out, out_len, " ", hs_json_text(hs_json_member(gravest, "code")), 40, "");
    append(out, out_len, ": \"", detail_of(gravest), DETAIL_MAX_LEN, "\"");
    if (hs_json_length(issues) > 1) {
        size_t len = strlen(out);
        (void)snprintf(out + len, out_len - len, " (and %zu more)", hs_json_length(issues) - 1);
    }
    hs_text_sanitize(out);
    return true;
}
