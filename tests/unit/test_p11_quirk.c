/* Quirks: what names a token family, and what names a quirk. */
#include <stdio.h>
#include <stdlib.h>

#include "err.h"
#include "file.h"
#include "p11_module.h"
#include "p11_quirk.h"
#include "rows.h"

static struct family {
    const char *name, *module, *manufacturer;
    unsigned has, has_not;
} families[] = {
    {"SoftHSM2 by its file", "/usr/lib/softhsm/libsofthsm2.so", NULL, HS_QUIRK_SERIAL_START, HS_QUIRK_RW_SESSIONS},
    {"SoftHSM2 through pkcs11-spy, by what the token says", "/usr/lib/pkcs11-spy.so", "SoftHSM project",
     HS_QUIRK_SERIAL_START, 0},
    {"a directory of that name is not the file", "/opt/softhsm/libother.so", NULL, 0, HS_QUIRK_SERIAL_START},
    {"AWS CloudHSM", "/opt/cloudhsm/lib/libcloudhsm_pkcs11.so", NULL, HS_QUIRK_RW_SESSIONS, HS_QUIRK_SERIAL_START},
    {"a file without a directory", "libsofthsm2.so", NULL, HS_QUIRK_SERIAL_START, 0},
    {"an unknown module", "/usr/lib/libacme.so", "ACME", 0, ~0U},
    {"nothing known yet", NULL, NULL, 0, ~0U},
};

static void
a_family_has_its_quirks(void **state)
{
    const struct family *row = *state;
    unsigned quirks = hs_quirks_of(row->module, row->manufacturer);

    assert_int_equal(quirks & row->has, row->has);
    assert_int_equal(quirks & row->has_not, 0);
}

static struct setting {
    const char *name, *text;
    enum hsmart_code code;
    unsigned quirks;
} settings[] = {
    {"one", "rw-sessions", HSMART_OK, HS_QUIRK_RW_SESSIONS},
    {"two", "rw-sessions serial-start", HSMART_OK, HS_QUIRK_RW_SESSIONS | HS_QUIRK_SERIAL_START},
    {"none", "", HSMART_OK, 0},
    {"blanks only", "   ", HSMART_OK, 0},
    {"blanks around", "  rw-sessions ", HSMART_OK, HS_QUIRK_RW_SESSIONS},
    {"an unknown word", "rw-sessions left-handed", HSMART_INVALID_ARGUMENT, 77},
    {"a part of a word", "rw-session", HSMART_INVALID_ARGUMENT, 77},
    {"other case", "RW-Sessions", HSMART_INVALID_ARGUMENT, 77},
};

static void
a_setting_is_read(void **state)
{
    const struct setting *row = *state;
    unsigned quirks = 77;
    hsmart_err err = {0};

    assert_int_equal(hs_quirks_parse(row->text, &quirks, &err), row->code);
    assert_int_equal(quirks, row->quirks);
    if (row->code != HSMART_OK)
        assert_non_null(strstr(err.hint, "rw-sessions"));
}

static void
every_quirk_has_one_name_and_every_row_known_quirks(void **state)
{
    unsigned named = 0;

    (void)state;
    for (size_t i = 0; i < hs_quirk_name_count; i++) {
        assert_int_equal(named & hs_quirk_names[i].quirk, 0);
        named |= hs_quirk_names[i].quirk;
        assert_true(hs_quirk_names[i].meaning[0] != 0);
    }
    for (size_t i = 0; i < hs_quirk_row_count; i++) {
        assert_int_equal(hs_quirk_rows[i].quirks & ~named, 0);
        assert_true(hs_quirk_rows[i].source[0] != 0);
    }
}

/* The table of docs/tokens.md is for people what the rows are for the program. */
static void
the_documentation_names_every_family_and_quirk(void **state)
{
    const char *source = getenv("HSMART_SOURCE");
    char path[512], line[128];
    struct hs_buf text = {0};

    (void)state;
    if (source == NULL) {
        print_message("SKIP HSMART_SOURCE is not set\n");
        skip();
    }
    (void)snprintf(path, sizeof path, "%s/docs/tokens.md", source);
    assert_int_equal(hs_file_read(path, 1U << 20, &text, NULL), HSMART_OK);
    for (size_t i = 0; i < hs_quirk_name_count; i++) {
        (void)snprintf(line, sizeof line, "\n| `%s` |", hs_quirk_names[i].name);
        if (strstr(hs_buf_text(&text), line) == NULL)
            fail_msg("docs/tokens.md has no line for the quirk %s", hs_quirk_names[i].name);
    }
    for (size_t i = 0; i < hs_quirk_row_count; i++) {
        const struct hs_quirk_row *row = &hs_quirk_rows[i];
        (void)snprintf(line, sizeof line, "\n| %s |", row->family);
        const char *found = strstr(hs_buf_text(&text), line);
        if (found == NULL)
            fail_msg("docs/tokens.md has no line for %s", row->family);
        const char *end = strchr(found + 1, '\n');
        for (size_t j = 0; j < hs_quirk_name_count; j++) {
            (void)snprintf(line, sizeof line, "`%s`", hs_quirk_names[j].name);
            const char *named = strstr(found, line);
            if ((named != NULL && named < end) != ((row->quirks & hs_quirk_names[j].quirk) != 0))
                fail_msg("docs/tokens.md and the table differ on %s of %s", line, row->family);
        }
        (void)snprintf(line, sizeof line, "| %s", row->tested ? "tested" : "read");
        const char *known = strstr(found, line);
        if (known == NULL || known > end)
            fail_msg("docs/tokens.md does not say that %s was %s", row->family, line + 2);
    }
    hs_buf_clear(&text);
}

/* What the documentation says of the functions that hsmart calls is what the program asks a module for. */
static void
the_documentation_names_every_function(void **state)
{
    const char *source = getenv("HSMART_SOURCE");
    char path[512], word[64];
    struct hs_buf text = {0};

    (void)state;
    assert_non_null(source);
    (void)snprintf(path, sizeof path, "%s/docs/tokens.md", source);
    assert_int_equal(hs_file_read(path, 1U << 20, &text, NULL), HSMART_OK);
    const char *begin = strstr(hs_buf_text(&text), "## What hsmart asks of a token");
    assert_non_null(begin);
    const char *end = strstr(begin, "**The module**");
    assert_non_null(end);
    for (size_t i = 0; i < hs_p11_function_count; i++) {
        (void)snprintf(word, sizeof word, "`%s`", hs_p11_functions[i].name);
        const char *named = strstr(begin, word);
        if (named == NULL || named > end)
            fail_msg("docs/tokens.md does not name %s", hs_p11_functions[i].name);
    }
    hs_buf_clear(&text);
}

/* Nothing is called that was not looked for when the module was loaded. */
static void
every_function_called_is_looked_for(void **state)
{
    static const char *const files[] = {"p11_login.c",   "p11_module.c", "p11_pool.c",
                                        "p11_session.c", "p11_slots.c",  "p11_token_init.c"};
    const char *source = getenv("HSMART_SOURCE");
    char path[512], name[64];
    unsigned called = 0;

    (void)state;
    assert_non_null(source);
    for (size_t i = 0; i < HS_ARRAY_LEN(files); i++) {
        struct hs_buf text = {0};
        (void)snprintf(path, sizeof path, "%s/src/pkcs11/%s", source, files[i]);
        assert_int_equal(hs_file_read(path, 1U << 20, &text, NULL), HSMART_OK);
        for (const char *at = hs_buf_text(&text); (at = strstr(at, "->C_")) != NULL; at += 4, called++) {
            bool known = false;
            assert_int_equal(sscanf(at + 2, "%63[A-Za-z_]", name), 1);
            for (size_t j = 0; j < hs_p11_function_count; j++)
                known = known || strcmp(hs_p11_functions[j].name, name) == 0;
            if (!known)
                fail_msg("%s calls %s, which check_functions does not look for", files[i], name);
        }
        hs_buf_clear(&text);
    }
    assert_true(called > hs_p11_function_count);
}

int
main(void)
{
    struct rows rows = {0};

    ADD_TEST(&rows, the_documentation_names_every_function);
    ADD_TEST(&rows, every_function_called_is_looked_for);
    ADD_ROWS(&rows, a_family_has_its_quirks, families);
    ADD_ROWS(&rows, a_setting_is_read, settings);
    ADD_TEST(&rows, the_documentation_names_every_family_and_quirk);
    ADD_TEST(&rows, every_quirk_has_one_name_and_every_row_known_quirks);
    return rows_run("p11_quirk", &rows);
}
