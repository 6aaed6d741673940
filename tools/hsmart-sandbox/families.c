#include "families.h"

#include <string.h>

/* Sources: docs/servers.md; the order of the reference server is that of its token_handler. */
static const struct family families[] = {
    {.server = "bds",
     .token_life_s = 900,
     .order = "R01 R02 R03 R04 R05 L01 L02 L03 L04 L06 L07 L12 L14 L16 L13 R06 L08 L32 L31 L05 L30 L20"},
    {.server = "launcher", .token_life_s = 600},
    {.server = "epic", .token_life_s = 3600},
    {.server = "oracle", .token_life_s = 570},
    {.server = "athena", .token_life_s = 3600},
    {.server = "meditech", .unregistered = true},
    {.server = "bcda", .shape = ERROR_TEXT, .token_life_s = 1200, .omits_scope = true, .expires_in_text = true},
    {.server = "bcda-v2", .shape = ERROR_CODE_MESSAGE, .token_life_s = 1200, .expires_in_text = true},
    {.server = "dpc", .shape = ERROR_CODE_MESSAGE, .token_life_s = 300},
    {.server = "nhs", .token_life_s = 599, .omits_scope = true, .expires_in_text = true},
    {.server = "inferno", .token_life_s = 3600},
    {.server = "udap", .token_life_s = 3600},
};

const struct family *
family_of(const char *server)
{
    static const struct family plain = {.server = "smart"};

    for (size_t i = 0; i < HS_ARRAY_LEN(families); i++)
        if (strcmp(families[i].server, server) == 0)
            return &families[i];
    return &plain;
}

/* Where the family looks for it; past all that it is known to look for otherwise. */
static size_t
place_of(const struct family *family, const char *code)
{
    const char *at = family->order != NULL ? strstr(family->order, code) : NULL;

    return at != NULL ? (size_t)(at - family->order) : SIZE_MAX;
}

const struct hs_finding *
family_first_finding(const struct family *family, const struct hs_report *report)
{
    const struct hs_finding *first = NULL;

    for (size_t i = 0; i < report->count; i++) {
        const struct hs_finding *finding = &report->findings[i];
        if (finding->severity == HS_SEVERITY_ERROR &&
            (first == NULL || place_of(family, finding->rule->code) < place_of(family, first->rule->code)))
            first = finding;
    }
    return first;
}

/* What the RFCs say about a broken rule: RFC 6749 section 5.2, RFC 7523 section 3.2. */
static struct refusal
by_the_rfcs(const char *code)
{
    static const struct {
        const char *code;
        struct refusal refusal;
    } rows[] = {
        {"R01", {405, "invalid_request", NULL}}, {"R06", {400, "invalid_scope", NULL}},
        {"R07", {400, "invalid_request", NULL}}, {"R10", {401, "invalid_client", NULL}},
        {"R12", {401, "invalid_client", NULL}},
    };

    for (size_t i = 0; i < HS_ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].code, code) == 0)
            return rows[i].refusal;
    return code[0] == 'R' ? (struct refusal){400, "invalid_request", NULL}
                          : (struct refusal){401, "invalid_client", NULL};
}

struct refusal
family_refusal(const char *server, const char *code)
{
    struct refusal refusal = by_the_rfcs(code);
    const struct hs_enforcement *seen = hs_enforcement_of(code, server);

    if (seen == NULL)
        return refusal;
    if (seen->status != 0)
        refusal.status = seen->status;
    if (seen->error != NULL)
        refusal.error = seen->error;
    refusal.description = seen->description;
    return refusal;
}
