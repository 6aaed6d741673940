#include "rows.h"

#include <errno.h>

#include "err.h"
#include "text.h"

static void
a_story_is_told_from_the_outside_in(void **state)
{
    (void)state;
    hsmart_err err = {0};

    assert_int_equal(hs_err_set(&err, HSMART_SESSION_LOST, "the token answered %s", "CKR_X"), HSMART_SESSION_LOST);
    hs_err_hint(&err, "try again in %d s", 5);
    assert_int_equal(hs_err_wrap(&err, HSMART_TOKEN_FAILED, "cannot sign with key \"%s\"", "ehr"), HSMART_TOKEN_FAILED);
    assert_int_equal(err.code, HSMART_TOKEN_FAILED);
    assert_string_equal(err.text, "cannot sign with key \"ehr\": the token answered CKR_X");
    assert_string_equal(err.hint, "try again in 5 s");
}

static void
a_new_reason_drops_the_old_hint(void **state)
{
    (void)state;
    hsmart_err err = {0};

    (void)hs_err_set(&err, HSMART_INTERNAL, "one");
    hs_err_hint(&err, "old");
    (void)hs_err_set(&err, HSMART_NO_MEMORY, "two");
    assert_string_equal(err.text, "two");
    assert_string_equal(err.hint, "");
}

static void
nobody_has_to_listen(void **state)
{
    (void)state;
    assert_int_equal(hs_err_set(NULL, HSMART_INTERNAL, "x"), HSMART_INTERNAL);
    assert_int_equal(hs_err_wrap(NULL, HSMART_INTERNAL, "x"), HSMART_INTERNAL);
    assert_int_equal(hs_err_errno(NULL, HSMART_OUTPUT_FAILED, ENOENT, "x"), HSMART_OUTPUT_FAILED);
    assert_int_equal(hs_err_no_memory(NULL), HSMART_NO_MEMORY);
    hs_err_hint(NULL, "x");
}

static void
names_cannot_break_the_line_or_the_terminal(void **state)
{
    (void)state;
    hsmart_err err = {0};

    (void)hs_err_set(&err, HSMART_KEY_ABSENT, "no key \"%s\"", "a\n\x1b[2Jb");
    (void)hs_err_wrap(&err, HSMART_KEY_ABSENT, "token \"%s\"", "x\ry");
    assert_string_equal(err.text, "token \"x?y\": no key \"a??[2Jb\"");
}

static void
a_full_line_loses_the_step_and_keeps_the_reason(void **state)
{
    (void)state;
    hsmart_err err = {0};
    char step[600];

    memset(step, 's', sizeof step);
    step[sizeof step - 1] = 0;
    (void)hs_err_set(&err, HSMART_INTERNAL, "the reason");
    (void)hs_err_wrap(&err, HSMART_INTERNAL, "%s", step);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_string_equal(err.text + strlen(err.text) - strlen("s: the reason"), "s: the reason");
    (void)hs_err_wrap(&err, HSMART_INTERNAL, "one more step");
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static void
a_full_line_is_not_cut_within_a_character(void **state)
{
    (void)state;
    for (size_t extra = 0; extra < 4; extra++) {
        hsmart_err err = {0};
        char step[600] = "";
        for (size_t i = 0; i < 180; i++)
            memcpy(step + 3 * i, "\xe2\x82\xac", 4);
        (void)hs_err_set(&err, HSMART_INTERNAL, "%.*s", (int)extra, "xxxx");
        (void)hs_err_wrap(&err, HSMART_INTERNAL, "%s", step);
        assert_true(hs_text_is_utf8(span(err.text)));
        assert_null(strchr(err.text, '?'));
    }
}

static void
an_errno_is_told_in_words(void **state)
{
    (void)state;
    hsmart_err err = {0};

    (void)hs_err_errno(&err, HSMART_FILE_UNREADABLE, ENOENT, "cannot open \"%s\"", "/x");
    assert_string_equal(err.text, "cannot open \"/x\": No such file or directory");
    assert_int_equal(err.code, HSMART_FILE_UNREADABLE);
}

static void
every_code_has_a_name_a_meaning_a_cure_and_a_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < hs_err_row_count; i++) {
        const struct hs_err_row *row = &hs_err_rows[i];
        assert_string_equal(hsmart_code_name(row->code), row->name);
        assert_memory_equal(row->name, "HSMART_", strlen("HSMART_"));
        assert_true(strlen(hsmart_code_meaning(row->code)) > 0);
        assert_true(row->code == HSMART_OK || strlen(hsmart_code_cure(row->code)) > 0);
        assert_int_equal(hsmart_code_exit_status(row->code), row->exit_status);
        assert_int_equal(row->exit_status == 0, row->code == HSMART_OK);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(hs_err_rows[j].code, row->code);
    }
    assert_string_equal(hsmart_code_name((enum hsmart_code)9999), "HSMART_?");
    assert_int_equal(hsmart_code_exit_status((enum hsmart_code)9999), HS_EXIT_OTHER);
}

int
main(void)
{
    static struct rows rows;

    ADD_TEST(&rows, a_story_is_told_from_the_outside_in);
    ADD_TEST(&rows, a_new_reason_drops_the_old_hint);
    ADD_TEST(&rows, nobody_has_to_listen);
    ADD_TEST(&rows, names_cannot_break_the_line_or_the_terminal);
    ADD_TEST(&rows, a_full_line_loses_the_step_and_keeps_the_reason);
    ADD_TEST(&rows, a_full_line_is_not_cut_within_a_character);
    ADD_TEST(&rows, an_errno_is_told_in_words);
    ADD_TEST(&rows, every_code_has_a_name_a_meaning_a_cure_and_a_status);
    return rows_run("err", &rows);
}
