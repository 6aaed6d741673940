#include "faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "text.h"

#define WAIT_MAX_S 600
#define NUMBER_MAX (3L << 20)

/* ---- Reading ---- */

static const struct {
    const char *name;
    unsigned endpoints;
} endpoint_names[] = {{"discovery", ENDPOINT_DISCOVERY}, {"register", ENDPOINT_REGISTER}, {"token", ENDPOINT_TOKEN},
                      {"fhir", ENDPOINT_FHIR},           {"tls", ENDPOINT_TLS},           {"all", ENDPOINT_ALL}};

static enum hsmart_code
no_fault(const char *text, const char *why, hsmart_err *err)
{
    char shown[80];

    (void)snprintf(shown, sizeof shown, "%.79s", text);
    hs_text_sanitize(shown);
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%s\" is no fault: %s", shown, why);
    hs_err_hint(err, "a fault is ENDPOINT.FAULT, as in token.503-once; hsmart-sandbox --list-faults lists them");
    return HSMART_INVALID_ARGUMENT;
}

static bool
is_number(const char *text, long min, long max)
{
    char *end = NULL;
    long number = strtol(text, &end, 10);

    return text[0] >= '0' && text[0] <= '9' && *end == 0 && number >= min && number <= max;
}

/* Words go into headers and JSON as they are. */
static bool
is_word(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-.";

    return text[0] != 0 && text[strspn(text, letters)] == 0;
}

static bool
takes_argument(const struct fault_row *row, const char *argument)
{
    switch (row->argument) {
    case FAULT_PLAIN:
        return argument[0] == 0;
    case FAULT_NUMBER:
        return is_number(argument, 0, strncmp(row->name, "slow", 4) == 0 ? WAIT_MAX_S : NUMBER_MAX);
    case FAULT_STATUS:
        return is_number(argument, 200, 599);
    case FAULT_WORD:
        return is_word(argument);
    }
    return false;
}

/* Takes "-once", "-twice" or "-3-times" off the end. */
static unsigned
take_times(char *text)
{
    static const struct {
        const char *end;
        unsigned times;
    } ends[] = {{"-once", 1}, {"-twice", 2}, {"-3-times", 3}};
    size_t len = strlen(text);

    for (size_t i = 0; i < HS_ARRAY_LEN(ends); i++) {
        size_t end_len = strlen(ends[i].end);
        if (len > end_len && strcmp(text + len - end_len, ends[i].end) == 0) {
            text[len - end_len] = 0;
            return ends[i].times;
        }
    }
    return FAULT_ALWAYS;
}

/* The row of "503", "slow-3" or "relative" for these endpoints, and the argument. */
static const struct fault_row *
find_row(const char *text, unsigned endpoints, const char **out_argument)
{
    for (size_t i = 0; i < fault_row_count; i++) {
        const struct fault_row *row = &fault_rows[i];
        size_t len = strlen(row->name);
        if ((row->endpoints & endpoints) == 0 || (endpoints == ENDPOINT_ALL && row->endpoints != ENDPOINT_ALL))
            continue;
        if (strncmp(text, row->name, len) == 0 && (text[len] == 0 || text[len] == '-')) {
            *out_argument = text + len + (text[len] == '-');
            if (takes_argument(row, *out_argument))
                return row;
        }
    }
    *out_argument = text;
    const struct fault_row *status = &fault_rows[fault_row_count - 1];
    return (status->endpoints & endpoints) != 0 && takes_argument(status, text) ? status : NULL;
}

static unsigned
take_endpoints(const char *text, const char **out_rest)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(endpoint_names); i++) {
        size_t len = strlen(endpoint_names[i].name);
        if (strncmp(text, endpoint_names[i].name, len) == 0 && text[len] == '.') {
            *out_rest = text + len + 1;
            return endpoint_names[i].endpoints;
        }
    }
    return 0;
}

enum hsmart_code
faults_add(struct faults *faults, const char *text, hsmart_err *err)
{
    struct fault fault = {0};
    char rest_text[2 * FAULT_ARGUMENT_MAX];
    const char *rest = NULL, *argument = NULL;

    if (faults->count == FAULTS_MAX)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "there are %u faults already", FAULTS_MAX);
    fault.endpoints = take_endpoints(text, &rest);
    if (fault.endpoints == 0)
        return no_fault(text, "it does not begin with discovery., register., token., fhir., tls. or all.", err);
    if (strlen(rest) >= sizeof rest_text)
        return no_fault(text, "it is too long", err);
    memcpy(rest_text, rest, strlen(rest) + 1);
    fault.times = fault.left = take_times(rest_text);
    fault.row = find_row(rest_text, fault.endpoints, &argument);
    if (fault.row == NULL)
        return no_fault(text, "there is none of this name for this endpoint, or it takes another argument", err);
    if (strlen(argument) >= sizeof fault.argument)
        return no_fault(text, "its argument is too long", err);
    memcpy(fault.argument, argument, strlen(argument) + 1);
    faults->items[faults->count++] = fault;
    return HSMART_OK;
}

enum hsmart_code
fault_format(const struct fault *fault, struct hs_buf *out, hsmart_err *err)
{
    const char *endpoint = "";

    for (size_t i = 0; i < HS_ARRAY_LEN(endpoint_names); i++)
        if (endpoint_names[i].endpoints == fault->endpoints)
            endpoint = endpoint_names[i].name;
    return hs_buf_append_format(out, err, "%s.%s%s%s%s", endpoint, fault->row->name, fault->argument[0] != 0 ? "-" : "",
                                fault->argument,
                                fault->times == 1   ? "-once"
                                : fault->times == 2 ? "-twice"
                                : fault->times == 3 ? "-3-times"
                                                    : "");
}

enum hsmart_code
faults_list(struct hs_buf *out, hsmart_err *err)
{
    static const char *const arguments[] = {
        [FAULT_PLAIN] = "", [FAULT_NUMBER] = "-N", [FAULT_WORD] = "-X", [FAULT_STATUS] = "-N"};
    enum hsmart_code code = HSMART_OK;
    char name[64];

    for (size_t i = 0; i < fault_row_count && code == HSMART_OK; i++)
        for (size_t e = HS_ARRAY_LEN(endpoint_names); e-- > 0 && code == HSMART_OK;) {
            if (endpoint_names[e].endpoints != fault_rows[i].endpoints)
                continue;
            (void)snprintf(name, sizeof name, "%s.%s%s", endpoint_names[e].name, fault_rows[i].name,
                           arguments[fault_rows[i].argument]);
            code = hs_buf_append_format(out, err, "%-32s %s\n", name, fault_rows[i].help);
        }
    return code;
}

const char *
faults_tls(const struct faults *faults)
{
    for (size_t i = 0; i < faults->count; i++)
        if (faults->items[i].endpoints == ENDPOINT_TLS)
            return faults->items[i].row->name;
    return NULL;
}

/* ---- Happening ---- */

void
faults_take(struct faults *faults, enum endpoint endpoint, struct fault_set *out_set)
{
    out_set->count = 0;
    for (size_t i = 0; i < faults->count; i++) {
        struct fault *fault = &faults->items[i];
        if ((fault->endpoints & endpoint) == 0 || (fault->times != FAULT_ALWAYS && fault->left == 0))
            continue;
        if (fault->times != FAULT_ALWAYS)
            fault->left--;
        out_set->items[out_set->count].row = fault->row;
        memcpy(out_set->items[out_set->count].argument, fault->argument, sizeof fault->argument);
        out_set->count++;
    }
}

const char *
fault_of(const struct fault_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->items[i].row->name, name) == 0)
            return set->items[i].argument;
    return NULL;
}
