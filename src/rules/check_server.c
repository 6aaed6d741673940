#include "check_server.h"

#include "err.h"

static const struct hs_habits habits[] = {
    {.server = "athena", .has_own_scopes = true},
    {.server = "keycloak", .skew_s = 15, .lifetime_without_iat_s = 60, .has_own_scopes = true},
    {.server = "auth0", .has_own_scopes = true},
    {.server = "okta", .has_own_scopes = true},
    {.server = "bds", .ignores_scheme_of_aud = true},
    {.server = "launcher", .ignores_scheme_of_aud = true},
    {.server = "udap", .certificate_member = "x5c", .parameter = "udap", .value = "1"},
    {.server = "entra", .certificate_member = "x5t#S256", .has_own_scopes = true},
};

const struct hs_habits *
hs_habits_of(const struct hs_server_row *server)
{
    static const struct hs_habits none = {0};

    for (size_t i = 0; server != NULL && i < HS_ARRAY_LEN(habits); i++)
        if (strcmp(habits[i].server, server->name) == 0)
            return &habits[i];
    return &none;
}

/* Whether `word` is one of the words of `list`, which are separated by spaces. */
static bool
has_word(const char *list, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = list; at != NULL && *at != 0; at += strcspn(at, " "), at += strspn(at, " "))
        if (strcspn(at, " ") == len && strncmp(at, word, len) == 0)
            return true;
    return false;
}

bool
hs_column_is_verified(const struct hs_server_row *server, const char *column)
{
    return server->verified && !has_word(server->reported, column);
}

const char *
hs_server_algs(const struct hs_server_row *server)
{
    return server->algs != NULL ? server->algs : HS_SERVER_ALGS_DEFAULT;
}

bool
hs_server_takes_alg(const struct hs_server_row *server, const char *alg)
{
    return has_word(hs_server_algs(server), alg);
}

bool
hs_is_uuid(struct hs_span text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

    if (text.len != strlen(form))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        bool is_hex = text.data[i] != 0 && strchr("0123456789abcdefABCDEF", text.data[i]) != NULL;
        if (form[i] == 'x' ? !is_hex : text.data[i] != '-')
            return false;
    }
    return true;
}

enum hsmart_code
hs_check_server_find(const char *name, const struct hs_server_row **out_row, hsmart_err *err)
{
    struct hs_buf names = {0};
    const struct hs_server_row *row = hs_server_by_name(name);

    if (row != NULL) {
        *out_row = row;
        return HSMART_OK;
    }
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "there is no server row \"%s\"", name);
    if (hs_server_names(&names, NULL) == HSMART_OK)
        hs_err_hint(err, "rows: %s", hs_buf_text(&names));
    hs_buf_clear(&names);
    return HSMART_INVALID_ARGUMENT;
}
