#include "scopes.h"

#include <string.h>

static const char letters[] = "cruds";

struct scope {
    struct hs_span type;  /* "*": every */
    unsigned permissions; /* a bit per letter */
};

static struct hs_span
next_word(struct hs_span *rest)
{
    size_t skip = 0, len = 0;

    while (skip < rest->len && rest->data[skip] == ' ')
        skip++;
    while (skip + len < rest->len && rest->data[skip + len] != ' ')
        len++;
    struct hs_span word = {rest->data + skip, len};
    rest->data += skip + len;
    rest->len -= skip + len;
    return word;
}

/* Everything up to `mark`; the rest goes on behind it. */
static bool
take_until(struct hs_span *rest, char mark, struct hs_span *out_part)
{
    const uint8_t *at = rest->len > 0 ? memchr(rest->data, mark, rest->len) : NULL;

    if (at == NULL)
        return false;
    *out_part = (struct hs_span){rest->data, (size_t)(at - rest->data)};
    rest->len -= out_part->len + 1;
    rest->data = at + 1;
    return true;
}

static bool
is_type(struct hs_span text)
{
    if (hs_span_equal_str(text, "*"))
        return true;
    for (size_t i = 0; i < text.len; i++)
        if (!((text.data[i] >= 'A' && text.data[i] <= 'Z') || (i > 0 && text.data[i] >= 'a' && text.data[i] <= 'z')))
            return false;
    return text.len > 0;
}

static const char *
read_permissions(struct hs_span text, unsigned *out_permissions)
{
    static const struct {
        const char *word;
        unsigned permissions; /* bits in the order of `letters` */
    } words[] = {{"read", 1 << 1 | 1 << 4}, {"write", 1 << 0 | 1 << 2 | 1 << 3}, {"*", 31}};
    unsigned permissions = 0;

    for (size_t i = 0; i < HS_ARRAY_LEN(words); i++)
        if (hs_span_equal_str(text, words[i].word)) {
            *out_permissions = words[i].permissions;
            return NULL;
        }
    for (size_t i = 0; i < text.len; i++) {
        const char *letter = text.data[i] != 0 ? strchr(letters, text.data[i]) : NULL;
        if (letter == NULL)
            return "its permissions are none of read, write, * and the letters of cruds";
        unsigned bit = 1U << (letter - letters);
        if (permissions >= bit)
            return "its permissions are not in the order of the letters of cruds";
        permissions |= bit;
    }
    *out_permissions = permissions;
    return permissions == 0 ? "it has no permissions" : NULL;
}

static const char *
parse(struct hs_span word, struct scope *out_scope)
{
    struct hs_span rest = word, level, type, query;
    struct scope scope = {0};
    const char *fault;

    if (!take_until(&rest, '/', &level) || !take_until(&rest, '.', &type))
        return "it is not of the form system/Type.permissions";
    if (take_until(&rest, '?', &query))
        rest = query;
    if (!hs_span_equal_str(level, "system"))
        return "it is not a system/ scope: a backend client has no user and no patient";
    if (!is_type(type))
        return "its type is no name of a FHIR resource";
    fault = read_permissions(rest, &scope.permissions);
    if (fault != NULL)
        return fault;
    scope.type = type;
    *out_scope = scope;
    return NULL;
}

const char *
scope_fault(struct hs_span word)
{
    struct scope scope;

    return parse(word, &scope);
}

/* Of one type: the permissions that all words together give. */
static unsigned
permissions_on(const char *granted, struct hs_span type)
{
    struct hs_span rest = hs_span_str(granted);
    unsigned permissions = 0;

    for (struct hs_span word = next_word(&rest); word.len > 0; word = next_word(&rest)) {
        struct scope scope;
        if (parse(word, &scope) == NULL && (hs_span_equal_str(scope.type, "*") || hs_span_equal(scope.type, type)))
            permissions |= scope.permissions;
    }
    return permissions;
}

bool
scope_allows(const char *granted, const char *type, char permission)
{
    const char *letter = strchr(letters, permission);

    return letter != NULL && (permissions_on(granted, hs_span_str(type)) & 1U << (letter - letters)) != 0;
}

static bool
is_none_of_smart(struct hs_span word)
{
    static const char *const levels[] = {"system", "user", "patient"};
    struct hs_span rest = word, level;

    if (!take_until(&rest, '/', &level))
        return true;
    for (size_t i = 0; i < HS_ARRAY_LEN(levels); i++)
        if (hs_span_equal_str(level, levels[i]))
            return false;
    return true;
}

static bool
has_word(const char *scopes, struct hs_span wanted)
{
    struct hs_span rest = hs_span_str(scopes);

    for (struct hs_span word = next_word(&rest); word.len > 0; word = next_word(&rest))
        if (hs_span_equal(word, wanted))
            return true;
    return false;
}

enum hsmart_code
scope_grant(const char *requested, const char *registered, bool takes_foreign, struct hs_buf *out_granted,
            struct hs_buf *out_refused, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    struct hs_span rest = hs_span_str(requested);

    for (struct hs_span word = next_word(&rest); word.len > 0 && code == HSMART_OK; word = next_word(&rest)) {
        struct scope scope = {0};
        const char *fault = parse(word, &scope);
        bool is_foreign = takes_foreign && is_none_of_smart(word);
        if (is_foreign)
            fault = registered == NULL || has_word(registered, word) ? NULL : "the client is not registered for it";
        if (!is_foreign && fault == NULL && registered != NULL &&
            (scope.permissions & ~permissions_on(registered, scope.type)) != 0)
            fault = "the client is not registered for it";
        if (fault == NULL)
            code = hs_buf_append_format(out_granted, err, "%s%.*s", out_granted->len > 0 ? " " : "", (int)word.len,
                                        (const char *)word.data);
        else if (out_refused->len == 0)
            code =
                hs_buf_append_format(out_refused, err, "\"%.*s\": %s", (int)word.len, (const char *)word.data, fault);
    }
    return code;
}
