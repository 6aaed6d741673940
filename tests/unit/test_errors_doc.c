#include "err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bytes.h"
#include "file.h"

#define DOC_MAX_LEN (256U << 10)

/* docs/errors.md and the public header, beside the source of this test. */
static struct hs_buf doc, header;

static void
read_beside_the_source(const char *name, struct hs_buf *out)
{
    char path[1024];
    hsmart_err err = {0};
    const char *source = getenv("HSMART_SOURCE");

    assert_non_null(source);
    (void)snprintf(path, sizeof path, "%s/%s", source, name);
    if (hs_file_read(path, DOC_MAX_LEN, out, &err) != HSMART_OK)
        fail_msg("%s", err.text);
}

static int
read_files(void **state)
{
    (void)state;
    read_beside_the_source("docs/errors.md", &doc);
    read_beside_the_source("include/hsmart/error.h", &header);
    return 0;
}

static int
forget_files(void **state)
{
    (void)state;
    hs_buf_clear(&doc);
    hs_buf_clear(&header);
    return 0;
}

/* The section of a code, word for word as the table has it. */
static void
format_section(const struct hs_err_row *row, struct hs_buf *out)
{
    assert_int_equal(hs_buf_append_format(out, NULL, "### `%s`\n\nCode %d, exit status %d. %s", row->name,
                                          (int)row->code, row->exit_status, row->meaning),
                     HSMART_OK);
    if (row->cure[0] != 0)
        assert_int_equal(hs_buf_append_format(out, NULL, "\n\n*Cure:* %s", row->cure), HSMART_OK);
    assert_int_equal(hs_buf_append_str(out, "\n", NULL), HSMART_OK);
}

static void
a_code_is_described_as_the_table_has_it(void **state)
{
    const struct hs_err_row *row = *state;
    struct hs_buf section = {0};

    format_section(row, &section);
    if (strstr(hs_buf_text(&doc), hs_buf_text(&section)) == NULL)
        fail_msg("docs/errors.md should have:\n%s", hs_buf_text(&section));
    hs_buf_clear(&section);
}

static void
a_code_is_listed_under_its_exit_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < hs_err_row_count; i++) {
        char start[16], name[64];
        (void)snprintf(start, sizeof start, "\n| %d | ", hs_err_rows[i].exit_status);
        (void)snprintf(name, sizeof name, "`%s`", hs_err_rows[i].name);
        const char *line = strstr(hs_buf_text(&doc), start);
        const char *listed = line != NULL ? strstr(line, name) : NULL;
        if (listed == NULL || listed > strchr(line + 1, '\n'))
            fail_msg("docs/errors.md should list %s under exit status %d", name, hs_err_rows[i].exit_status);
    }
}

static size_t
count_of(const char *text, const char *part)
{
    size_t count = 0;

    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        count++;
    return count;
}

static void
the_document_describes_no_other_codes(void **state)
{
    (void)state;
    assert_int_equal(count_of(hs_buf_text(&doc), "\n### `"), hs_err_row_count);
}

static void
every_code_of_the_header_has_a_row(void **state)
{
    size_t seen = 0;
    const char *at = strstr(hs_buf_text(&header), "enum hsmart_code {");

    (void)state;
    assert_non_null(at);
    const char *end = strchr(at, '}');
    assert_non_null(end);
    while ((at = strstr(at, "    HSMART_")) != NULL && at < end) {
        char name[64] = {0};
        int value = -1;
        assert_int_equal(sscanf(at, " %63[A-Z_] = %d,", name, &value), 2);
        assert_string_equal(hsmart_code_name((enum hsmart_code)value), name);
        seen++;
        at++;
    }
    assert_int_equal(seen, hs_err_row_count);
}

static void
an_exit_status_is_at_most_eleven(void **state)
{
    (void)state;
    for (size_t i = 0; i < hs_err_row_count; i++)
        assert_in_range(hs_err_rows[i].exit_status, HS_EXIT_OK, HS_EXIT_OUTPUT);
}

/* With "--print", the sections as docs/errors.md should have them. */
static int
print_sections(void)
{
    struct hs_buf text = {0};

    for (size_t i = 0; i < hs_err_row_count; i++) {
        format_section(&hs_err_rows[i], &text);
        if (i + 1 < hs_err_row_count)
            assert_int_equal(hs_buf_append_str(&text, "\n", NULL), HSMART_OK);
    }
    fputs(hs_buf_text(&text), stdout);
    hs_buf_clear(&text);
    return 0;
}

#define FIXED_TESTS 4U
#define ROWS_MAX 64U

int
main(int argc, char **argv)
{
    struct CMUnitTest tests[ROWS_MAX + FIXED_TESTS] = {
        cmocka_unit_test(a_code_is_listed_under_its_exit_status),
        cmocka_unit_test(the_document_describes_no_other_codes),
        cmocka_unit_test(every_code_of_the_header_has_a_row),
        cmocka_unit_test(an_exit_status_is_at_most_eleven),
    };

    if (argc == 2 && strcmp(argv[1], "--print") == 0)
        return print_sections();
    if (hs_err_row_count > ROWS_MAX)
        return 1;
    for (size_t i = 0; i < hs_err_row_count; i++) {
        /* cmocka hands the state out as void *, and nothing here writes to it. */
        union {
            const struct hs_err_row *row;
            void *state;
        } row = {.row = &hs_err_rows[i]};
        tests[FIXED_TESTS + i] = (struct CMUnitTest){.name = hs_err_rows[i].name,
                                                     .test_func = a_code_is_described_as_the_table_has_it,
                                                     .initial_state = row.state};
    }
    return cmocka_run_group_tests_name("errors.md", tests, read_files, forget_files); /* which passes over empty slots */
}
