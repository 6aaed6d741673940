#include "check_scope.h"

#include "scope_word.h"

/* Servers grant what they understand and drop the rest, so a bad word beside a good one costs no more than itself.
 * Words of a family's own are for that family to judge. */
static bool
is_all_lost(struct hs_span scope, const struct hs_habits *habits)
{
    struct hs_span rest = scope, word;

    while (hs_scope_next(&rest, &word)) {
        struct hs_scope_word parsed;
        const char *fault;
        enum hs_scope_kind kind = hs_scope_word_parse(word, &parsed, &fault);
        if (kind == HS_SCOPE_WORD_GOOD || (kind == HS_SCOPE_WORD_FOREIGN && habits->has_own_scopes))
            return false;
    }
    return true;
}

static void
check_word(struct hs_check *check, struct hs_span word, bool is_lost)
{
    struct hs_scope_word scope;
    const char *fault;

    if (hs_scope_word_parse(word, &scope, &fault) == HS_SCOPE_WORD_GOOD) {
        if (hs_check_refuses_all(check, "R06") && scope.writes)
            hs_check_warn(check, "\"%s\" asks for writing, which no export needs", hs_excerpt_of(word).text);
        return;
    }
    if (is_lost)
        hs_check_find(check, "\"%s\" %s", hs_excerpt_of(word).text, fault);
    else
        hs_check_warn(check, "\"%s\" %s", hs_excerpt_of(word).text, fault);
}

void
hs_r06_scope(struct hs_check *check, const struct request_view *view)
{
    const struct hs_buf *scope = hs_request_parameter(view, "scope");
    const struct hs_server_row *server = check->server;
    const enum hs_scope_rule rule = server != NULL ? server->scope : HS_SCOPE_REQUIRED;
    struct hs_span rest = scope != NULL ? hs_span_buf(scope) : (struct hs_span){0}, first = rest, word;

    if (!hs_scope_next(&first, &word)) {
        if (rule == HS_SCOPE_REQUIRED || rule == HS_SCOPE_LITERAL)
            hs_check_find(check, "there is no scope");
        return;
    }
    if (rule == HS_SCOPE_LITERAL) /* R13 compares it */
        return;
    bool is_lost = rule != HS_SCOPE_NOT_SENT && is_all_lost(rest, view->habits);
    while (hs_scope_next(&rest, &word))
        check_word(check, word, is_lost);
}
