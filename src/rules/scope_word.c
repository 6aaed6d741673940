#include "scope_word.h"

static bool
begins_with(struct hs_span text, const char *front)
{
    return text.len >= strlen(front) && memcmp(text.data, front, strlen(front)) == 0;
}

bool
hs_scope_next(struct hs_span *inout_rest, struct hs_span *out_word)
{
    size_t start = 0, end;

    while (start < inout_rest->len && inout_rest->data[start] == ' ')
        start++;
    for (end = start; end < inout_rest->len && inout_rest->data[end] != ' ';)
        end++;
    if (end == start)
        return false;
    *out_word = (struct hs_span){inout_rest->data + start, end - start};
    *inout_rest = (struct hs_span){inout_rest->data + end, inout_rest->len - end};
    return true;
}

/* Names of resources are words like "MedicationRequest"; which of them there are depends on FHIR's version. */
static bool
is_type(struct hs_span text)
{
    if (hs_span_equal_str(text, "*"))
        return true;
    for (size_t i = 0; i < text.len; i++) {
        bool is_upper = text.data[i] >= 'A' && text.data[i] <= 'Z',
             is_lower = text.data[i] >= 'a' && text.data[i] <= 'z';
        if (!is_upper && (!is_lower || i == 0))
            return false;
    }
    return text.len > 0;
}

/* Some of "cruds" in this order; or "read", "write" or "*" of SMART 1. */
static bool
read_permissions(struct hs_span text, struct hs_scope_word *scope)
{
    static const struct {
        const char *word;
        bool searches, writes;
    } old[] = {{"read", true, false}, {"write", false, true}, {"*", true, false}}; /* "*" is asked for by readers */
    const char *order = "cruds";

    for (size_t i = 0; i < HS_ARRAY_LEN(old); i++)
        if (hs_span_equal_str(text, old[i].word)) {
            scope->searches = old[i].searches;
            scope->writes = old[i].writes;
            return true;
        }
    for (size_t i = 0; i < text.len; i++) {
        order = text.data[i] != 0 ? strchr(order, text.data[i]) : NULL;
        if (order == NULL)
            return false;
        scope->searches = scope->searches || *order == 's';
        scope->writes = scope->writes || strchr("cud", *order) != NULL;
        order++;
    }
    return text.len > 0;
}

static bool
take_until(struct hs_span *rest, char mark, struct hs_span *out_part)
{
    const uint8_t *at = rest->len > 0 ? memchr(rest->data, mark, rest->len) : NULL;

    if (at == NULL)
        return false;
    *out_part = (struct hs_span){rest->data, (size_t)(at - rest->data)};
    *rest = (struct hs_span){at + 1, rest->len - out_part->len - 1};
    return true;
}

enum hs_scope_kind
hs_scope_word_parse(struct hs_span word, struct hs_scope_word *out_scope, const char **out_fault)
{
    static const char level[] = "system/";
    struct hs_scope_word scope = {0};
    struct hs_span rest, permissions;

    *out_fault = "is no system scope";
    if (!begins_with(word, level))
        return begins_with(word, "user/") || begins_with(word, "patient/") ? HS_SCOPE_WORD_MALFORMED
                                                                           : HS_SCOPE_WORD_FOREIGN;
    rest = (struct hs_span){word.data + strlen(level), word.len - strlen(level)};
    *out_fault = "is not system/TYPE.PERMISSIONS";
    if (!take_until(&rest, '.', &scope.type) || scope.type.len == 0)
        return HS_SCOPE_WORD_MALFORMED;
    *out_fault = "names no type: those begin with a capital letter and are letters only, or * for all";
    if (!is_type(scope.type))
        return HS_SCOPE_WORD_MALFORMED;
    if (take_until(&rest, '?', &permissions))
        scope.query = rest;
    else
        permissions = rest;
    *out_fault = "has other permissions than read, write or *, or some of cruds in this order";
    if (!read_permissions(permissions, &scope))
        return HS_SCOPE_WORD_MALFORMED;
    *out_fault = NULL;
    *out_scope = scope;
    return HS_SCOPE_WORD_GOOD;
}
