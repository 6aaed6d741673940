#include "scope.h"

#include "err.h"
#include "text_list.h"

/* ---- What may be sent ---- */

/* RFC 6749 section 3.3: printable ASCII without '"' and '\', in words. */
static enum hsmart_code
check_characters(const char *scope, hsmart_err *err)
{
    for (size_t i = 0; scope[i] != 0; i++) {
        unsigned char c = (unsigned char)scope[i];
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
            return hs_err_set(err, HSMART_CONFIG_INVALID,
                              "the scope has a character that no scope can have, at its byte %zu", i + 1);
    }
    return HSMART_OK;
}

static bool
has_word(const char *scope)
{
    return scope != NULL && scope[strspn(scope, " ")] != 0;
}

enum hsmart_code
hs_scope_choose(const struct hs_server_row *server, const char *configured, const char **out_scope, hsmart_err *err)
{
    const char *scope = has_word(configured) ? configured : NULL;

    switch (server->scope) {
    case HS_SCOPE_REQUIRED:
        if (scope == NULL) {
            (void)hs_err_set(err, HSMART_CONFIG_INVALID, "no scope is configured, and the server needs one");
            hs_err_hint(err, "give the scopes that were registered, e.g. \"system/Patient.rs system/Observation.rs\"");
            return HSMART_CONFIG_INVALID;
        }
        break;
    case HS_SCOPE_LITERAL:
        if (scope == NULL)
            scope = server->scope_literal;
        break;
    case HS_SCOPE_NOT_SENT:
        scope = NULL;
        break;
    case HS_SCOPE_OPTIONAL:
        break;
    }
    if (scope != NULL) {
        enum hsmart_code code = check_characters(scope, err);
        if (code != HSMART_OK)
            return code;
    }
    *out_scope = scope;
    return HSMART_OK;
}

/* ---- SMART's form of a scope: level/resource.permissions?query ---- */

enum permission { CREATE = 1, READ = 2, UPDATE = 4, DELETE = 8, SEARCH = 16 };

/* Version 1 (read, write, *) and what it means in version 2. */
static const struct {
    const char *word;
    unsigned permissions;
} words[] = {
    {"read", READ | SEARCH},
    {"write", CREATE | UPDATE | DELETE},
    {"*", CREATE | READ | UPDATE | DELETE | SEARCH},
};
static const char letters[] = "cruds"; /* version 2, in this order */

struct smart_scope {
    struct hs_span level, resource, query;
    unsigned permissions;
    bool out_of_order;
};

static bool
split_at(struct hs_span text, char mark, struct hs_span *out_before, struct hs_span *out_after)
{
    const uint8_t *at = text.len > 0 ? memchr(text.data, mark, text.len) : NULL;

    if (at == NULL)
        return false;
    *out_before = (struct hs_span){text.data, (size_t)(at - text.data)};
    *out_after = (struct hs_span){at + 1, text.len - out_before->len - 1};
    return true;
}

static bool
parse_permissions(struct hs_span text, struct smart_scope *scope)
{
    const char *last = letters;

    for (size_t i = 0; i < HS_ARRAY_LEN(words); i++)
        if (hs_span_equal_str(text, words[i].word)) {
            scope->permissions = words[i].permissions;
            return true;
        }
    for (size_t i = 0; i < text.len; i++) {
        const char *letter = text.data[i] != 0 ? strchr(letters, text.data[i]) : NULL;
        if (letter == NULL)
            return false;
        scope->out_of_order = scope->out_of_order || letter < last || (scope->permissions & 1U << (letter - letters));
        scope->permissions |= 1U << (letter - letters);
        last = letter;
    }
    return text.len > 0;
}

/* False: not of SMART's form. */
static bool
parse(struct hs_span text, struct smart_scope *out_scope)
{
    struct smart_scope scope = {0};
    struct hs_span rest, permissions;

    if (!split_at(text, '/', &scope.level, &rest) || !split_at(rest, '.', &scope.resource, &permissions))
        return false;
    (void)split_at(permissions, '?', &permissions, &scope.query);
    if (scope.level.len == 0 || scope.resource.len == 0 || !parse_permissions(permissions, &scope))
        return false;
    *out_scope = scope;
    return true;
}

/* ---- Warnings ---- */

static void
check_word(struct hs_span word, const struct hs_log *log)
{
    struct smart_scope scope;
    struct hs_span level, rest;

    if (!parse(word, &scope)) {
        /* Vendors have scopes of their own; only what is nearly SMART's is worth a word. */
        if (split_at(word, '/', &level, &rest) && hs_span_equal_str(level, "system"))
            hs_log_warning(log, "scope \"%.*s\" is not of the form system/Resource.cruds", (int)word.len,
                           (const char *)word.data);
        return;
    }
    if (hs_span_equal_str(scope.level, "patient") || hs_span_equal_str(scope.level, "user"))
        hs_log_warning(log, "scope \"%.*s\" is not a system/ scope: a backend client has no patient and no user",
                       (int)word.len, (const char *)word.data);
    if (scope.out_of_order)
        hs_log_warning(log, "scope \"%.*s\" has its letters out of the order \"%s\": servers may ignore or refuse it",
                       (int)word.len, (const char *)word.data, letters);
}

static void
check_against_row(const struct hs_server_row *server, const char *configured, const struct hs_log *log)
{
    if (server->scope == HS_SCOPE_NOT_SENT)
        hs_log_warning(log, "%s takes no scope in the request: the configured one is not sent", server->title);
    if (server->scope == HS_SCOPE_LITERAL && server->scope_literal != NULL &&
        strcmp(configured, server->scope_literal) != 0)
        hs_log_warning(log, "%s is known to accept only the scope \"%s\"", server->title, server->scope_literal);
}

void
hs_scope_check(const struct hs_server_row *server, const char *configured, const struct hs_log *log)
{
    if (!has_word(configured))
        return;
    check_against_row(server, configured, log);
    if (configured[0] == ' ' || configured[strlen(configured) - 1] == ' ' || strstr(configured, "  ") != NULL)
        hs_log_warning(log, "the scopes are not separated by single spaces");
    for (const char *rest = configured;;) {
        struct hs_span word = hs_word_next(&rest);
        if (word.len == 0)
            break;
        check_word(word, log);
        if (hs_words_have(rest, word))
            hs_log_warning(log, "scope \"%.*s\" is there twice", (int)word.len, (const char *)word.data);
    }
}

/* ---- What was granted ---- */

static bool
covers(struct hs_span granted_word, const struct smart_scope *wanted)
{
    struct smart_scope granted;

    return parse(granted_word, &granted) && hs_span_equal(granted.level, wanted->level) &&
           (hs_span_equal(granted.resource, wanted->resource) || hs_span_equal_str(granted.resource, "*")) &&
           (granted.permissions & wanted->permissions) == wanted->permissions &&
           (granted.query.len == 0 || hs_span_equal(granted.query, wanted->query));
}

/* By one scope as it is, or by several that each allow a part of it ("system/Patient.r system/Patient.s"). */
static bool
is_granted(struct hs_span word, const char *granted)
{
    struct smart_scope wanted;

    if (hs_words_have(granted, word))
        return true;
    if (!parse(word, &wanted))
        return false;
    for (unsigned bit = CREATE; bit <= SEARCH; bit <<= 1) {
        struct smart_scope part = wanted;
        bool found = (wanted.permissions & bit) == 0;
        part.permissions = bit;
        for (const char *rest = granted; !found;) {
            struct hs_span next = hs_word_next(&rest);
            if (next.len == 0)
                return false;
            found = covers(next, &part);
        }
    }
    return true;
}

enum hsmart_code
hs_scope_lost(const char *requested, const char *granted, struct hs_buf *out_lost, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    struct hs_buf lost = {0};

    for (const char *rest = requested; code == HSMART_OK && granted != NULL;) {
        struct hs_span word = hs_word_next(&rest);
        if (word.len == 0)
            break;
        if (is_granted(word, granted))
            continue;
        if (lost.len > 0)
            code = hs_buf_append_str(&lost, " ", err);
        if (code == HSMART_OK)
            code = hs_buf_append(&lost, word, err);
    }
    if (code == HSMART_OK)
        hs_buf_move(&lost, out_lost);
    hs_buf_clear(&lost);
    return code;
}
