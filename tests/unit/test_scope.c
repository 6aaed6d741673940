/* Which scopes are sent, warned about, lost. */
#include "rows.h"

#include "fake_exchange.h"
#include "scope.h"

static struct choice {
    const char *name;
    enum hs_scope_rule rule;
    const char *literal, *configured, *sent;
    enum hsmart_code code;
} choices[] = {
    {"required and given", HS_SCOPE_REQUIRED, NULL, "system/*.rs", "system/*.rs", HSMART_OK},
    {"required and missing", HS_SCOPE_REQUIRED, NULL, NULL, NULL, HSMART_CONFIG_INVALID},
    {"required and empty", HS_SCOPE_REQUIRED, NULL, "", NULL, HSMART_CONFIG_INVALID},
    {"required and blank", HS_SCOPE_REQUIRED, NULL, "  ", NULL, HSMART_CONFIG_INVALID},
    {"optional and missing", HS_SCOPE_OPTIONAL, NULL, NULL, NULL, HSMART_OK},
    {"optional and given", HS_SCOPE_OPTIONAL, NULL, "a", "a", HSMART_OK},
    {"not sent though given", HS_SCOPE_NOT_SENT, NULL, "a", NULL, HSMART_OK},
    {"the server's own", HS_SCOPE_LITERAL, "clientCreds", NULL, "clientCreds", HSMART_OK},
    {"another than the server's own", HS_SCOPE_LITERAL, "clientCreds", "x", "x", HSMART_OK},
    {"vendor scopes pass", HS_SCOPE_REQUIRED, NULL, "athena/service/Athenanet.MDP.*", "athena/service/Athenanet.MDP.*",
     HSMART_OK},
    {"is never rewritten", HS_SCOPE_REQUIRED, NULL, "system/Patient.dus  x", "system/Patient.dus  x", HSMART_OK},
    {"a line end", HS_SCOPE_REQUIRED, NULL, "a\nb", NULL, HSMART_CONFIG_INVALID},
    {"a quote", HS_SCOPE_REQUIRED, NULL, "a\"b", NULL, HSMART_CONFIG_INVALID},
    {"not ASCII", HS_SCOPE_REQUIRED, NULL, "\xc3\xa4", NULL, HSMART_CONFIG_INVALID},
};

static void
a_scope_is_chosen_by_the_rule_of_the_server(void **state)
{
    const struct choice *row = *state;
    struct hs_server_row server = {.title = "Test", .scope = row->rule, .scope_literal = row->literal};
    const char *scope = "untouched";

    assert_int_equal(hs_scope_choose(&server, row->configured, &scope, NULL), row->code);
    if (row->code != HSMART_OK)
        assert_string_equal(scope, "untouched");
    else if (row->sent == NULL)
        assert_null(scope);
    else
        assert_string_equal(scope, row->sent);
}

static struct warning {
    const char *name;
    enum hs_scope_rule rule;
    const char *scope, *text; /* NULL: no warning */
} warnings[] = {
    {"good ones", HS_SCOPE_REQUIRED, "system/Patient.rs system/Observation.read system/*.* system/*.cruds", NULL},
    {"a query", HS_SCOPE_REQUIRED, "system/Observation.rs?category=laboratory", NULL},
    {"a vendor's", HS_SCOPE_REQUIRED, "athena/service/X openid clientCreds", NULL},
    {"letters out of order", HS_SCOPE_REQUIRED, "system/Patient.dus", "out of the order"},
    {"a letter twice", HS_SCOPE_REQUIRED, "system/Patient.rr", "out of the order"},
    {"a user scope", HS_SCOPE_REQUIRED, "user/Patient.rs", "not a system/ scope"},
    {"a patient scope", HS_SCOPE_REQUIRED, "patient/*.read", "not a system/ scope"},
    {"nearly a scope", HS_SCOPE_REQUIRED, "system/Patient", "not of the form"},
    {"an unknown letter", HS_SCOPE_REQUIRED, "system/Patient.rx", "not of the form"},
    {"two spaces", HS_SCOPE_REQUIRED, "a  b", "single spaces"},
    {"a space at the end", HS_SCOPE_REQUIRED, "a ", "single spaces"},
    {"one twice", HS_SCOPE_REQUIRED, "a b a", "twice"},
    {"for a server that takes none", HS_SCOPE_NOT_SENT, "a", "not sent"},
    {"for a server that takes another", HS_SCOPE_LITERAL, "a", "accept only the scope \"only\""},
    {"none", HS_SCOPE_REQUIRED, NULL, NULL},
};

static void
an_odd_scope_is_warned_about(void **state)
{
    const struct warning *row = *state;
    struct fake_exchange fake = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct hs_link link = fake_link(&fake);
    struct hs_server_row server = {.title = "Test", .scope = row->rule, .scope_literal = "only"};

    hs_scope_check(&server, row->scope, &link.log);
    if (row->text == NULL)
        assert_string_equal(fake.log, "");
    else
        assert_non_null(strstr(fake.log, row->text));
}

static struct loss {
    const char *name, *requested, *granted, *lost;
} losses[] = {
    {"the same", "a b", "a b", ""},
    {"in another order", "a b", "b a", ""},
    {"more than asked", "a", "a b", ""},
    {"less", "a b c", "b", "a c"},
    {"nothing", "a b", "", "a b"},
    {"not told", "a b", NULL, ""},
    {"none requested", NULL, "a", ""},
    {"version 1 as version 2", "system/Patient.read", "system/Patient.rs", ""},
    {"version 2 as version 1", "system/Patient.rs", "system/Patient.read", ""},
    {"all permissions", "system/Patient.rs", "system/Patient.cruds", ""},
    {"all resources", "system/Patient.rs", "system/*.rs", ""},
    {"split in two", "system/Patient.rs", "system/Patient.r system/Patient.s", ""},
    {"half of it", "system/Patient.rs", "system/Patient.r", "system/Patient.rs"},
    {"a resource instead of all", "system/*.rs", "system/Patient.rs", "system/*.rs"},
    {"another level", "system/Patient.rs", "user/Patient.rs", "system/Patient.rs"},
    {"narrowed by a query", "system/Observation.rs", "system/Observation.rs?category=lab", "system/Observation.rs"},
    {"wider than the query", "system/Observation.rs?category=lab", "system/Observation.rs", ""},
};

static void
a_lost_scope_is_seen(void **state)
{
    const struct loss *row = *state;
    struct hs_buf lost = {0};

    assert_int_equal(hs_scope_lost(row->requested, row->granted, &lost, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&lost), row->lost);
    hs_buf_clear(&lost);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, a_scope_is_chosen_by_the_rule_of_the_server, choices);
    ADD_ROWS(&rows, an_odd_scope_is_warned_about, warnings);
    ADD_ROWS(&rows, a_lost_scope_is_seen, losses);
    return rows_run("scope", &rows);
}
