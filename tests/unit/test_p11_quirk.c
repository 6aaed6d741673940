/* Quirks: what names a token family, and what names a quirk. */
#include "err.h"
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

int
main(void)
{
    struct rows rows = {0};

    ADD_ROWS(&rows, a_family_has_its_quirks, families);
    ADD_ROWS(&rows, a_setting_is_read, settings);
    ADD_TEST(&rows, every_quirk_has_one_name_and_every_row_known_quirks);
    return rows_run("p11_quirk", &rows);
}
