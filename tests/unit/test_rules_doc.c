/* docs/rules.md says what the tables say, no more and no less. With --print it writes the lines that belong there. */
#include "rows.h"

#include <stdlib.h>

#include "check.h"
#include "file.h"
#include "servers.h"

static struct hs_buf document;

static void
put(struct hs_buf *line, const char *text)
{
    for (; *text != 0; text++)
        assert_int_equal(hs_buf_append_format(line, NULL, *text == '|' ? "\\|" : "%c", *text), HSMART_OK);
}

/* Who refuses it, and who takes it. */
static void
put_servers(struct hs_buf *line, const char *code)
{
    for (int takes = 0; takes < 2; takes++) {
        bool is_first = true;
        for (size_t i = 0; i < hs_enforcement_count; i++) {
            const struct hs_enforcement *enforcement = &hs_enforcements[i];
            if (strcmp(enforcement->code, code) != 0 || (enforcement->stance == HS_TAKES) != (takes == 1))
                continue;
            put(line, !is_first                          ? ", "
                      : takes == 0                       ? ""
                      : line->data[line->len - 1] == ' ' ? "taken by "
                                                         : "; taken by ");
            put(line, enforcement->server);
            put(line, enforcement->stance == HS_REFUSES_ALL ? " (the milder cases too)" : "");
            is_first = false;
        }
    }
}

static void
format_rule(const struct hs_rule *rule, struct hs_buf *line)
{
    const char *const cells[] = {rule->code, rule->severity == HS_SEVERITY_ERROR ? "error" : "warning", rule->title,
                                 rule->cure, rule->source};

    for (size_t i = 0; i < HS_ARRAY_LEN(cells); i++) {
        assert_int_equal(hs_buf_append_str(line, "| ", NULL), HSMART_OK);
        put(line, cells[i]);
        put(line, " ");
    }
    assert_int_equal(hs_buf_append_str(line, "| ", NULL), HSMART_OK);
    put_servers(line, rule->code);
    assert_int_equal(hs_buf_append_str(line, line->data[line->len - 1] == ' ' ? "|\n" : " |\n", NULL), HSMART_OK);
}

/* Only what is known of the words of an answer is in the second table. */
static void
format_answer(const struct hs_enforcement *answer, struct hs_buf *line)
{
    if (answer->status == 0)
        return;
    assert_int_equal(hs_buf_append_format(line, NULL, "| %s | %s | %d | %s | ", answer->code, answer->server,
                                          answer->status, answer->error != NULL ? answer->error : ""),
                     HSMART_OK);
    put(line, answer->description != NULL ? answer->description : "");
    assert_int_equal(hs_buf_append_str(line, answer->description != NULL ? " |\n" : "|\n", NULL), HSMART_OK);
}

static void
each_line(void (*take)(const struct hs_buf *line))
{
    struct hs_buf line = {0};

    for (size_t i = 0; i < hs_rule_count + hs_enforcement_count; i++) {
        hs_buf_clear(&line);
        if (i < hs_rule_count)
            format_rule(&hs_rules[i], &line);
        else
            format_answer(&hs_enforcements[i - hs_rule_count], &line);
        if (line.len > 0)
            take(&line);
    }
    hs_buf_clear(&line);
}

static size_t wanted;

static void
expect_in_document(const struct hs_buf *line)
{
    const char *at = strstr(hs_buf_text(&document), hs_buf_text(line));

    if (at == NULL || at == hs_buf_text(&document) || at[-1] != '\n')
        fail_msg("docs/rules.md lacks the line %s", hs_buf_text(line));
    wanted++;
}

static void
the_document_has_every_line_of_the_tables(void **state)
{
    size_t found = 0;

    (void)state;
    wanted = 0;
    each_line(expect_in_document);
    for (const char *at = hs_buf_text(&document); (at = strchr(at, '\n')) != NULL; at++)
        found += strncmp(at, "\n| ", 3) == 0 && strchr("KLR", at[3]) != NULL && at[4] >= '0' && at[4] <= '9' ? 1 : 0;
    assert_int_equal(found, wanted);
}

static void
every_server_that_is_named_has_a_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < hs_enforcement_count; i++) {
        if (hs_server_by_name(hs_enforcements[i].server) == NULL)
            fail_msg("there is no server \"%s\"", hs_enforcements[i].server);
        if (hs_rule_by_code(hs_enforcements[i].code) == NULL)
            fail_msg("there is no rule \"%s\"", hs_enforcements[i].code);
        assert_ptr_equal(hs_enforcement_of(hs_enforcements[i].code, hs_enforcements[i].server), &hs_enforcements[i]);
    }
}

static void
codes_are_unique_and_in_order(void **state)
{
    (void)state;
    for (size_t i = 1; i < hs_rule_count; i++)
        if (hs_rules[i].code[0] == hs_rules[i - 1].code[0])
            assert_true(strcmp(hs_rules[i].code, hs_rules[i - 1].code) > 0);
        else
            assert_string_equal(hs_rules[i].code + 1, "01");
}

static void
an_unknown_server_is_an_error_that_lists_the_rows(void **state)
{
    const struct hs_server_row *row = NULL;
    hsmart_err err = {0};

    (void)state;
    assert_int_equal(hs_check_server_find("epik", &row, &err), HSMART_INVALID_ARGUMENT);
    assert_null(row);
    assert_non_null(strstr(err.text, "\"epik\""));
    assert_non_null(strstr(err.hint, "epic"));
    assert_int_equal(hs_check_server_find("epic", &row, &err), HSMART_OK);
    assert_string_equal(row->name, "epic");
}

static void
print(const struct hs_buf *line)
{
    (void)fputs(hs_buf_text(line), stdout);
}

int
main(int argc, char **argv)
{
    static struct rows rows;
    const char *source = getenv("HSMART_SOURCE");
    char path[512];

    if (argc > 1 && strcmp(argv[1], "--print") == 0) {
        each_line(print);
        return 0;
    }
    (void)snprintf(path, sizeof path, "%s/docs/rules.md", source != NULL ? source : ".");
    if (hs_file_read(path, 1U << 20, &document, NULL) != HSMART_OK)
        return 1;
    ADD_TEST(&rows, the_document_has_every_line_of_the_tables);
    ADD_TEST(&rows, every_server_that_is_named_has_a_row);
    ADD_TEST(&rows, codes_are_unique_and_in_order);
    ADD_TEST(&rows, an_unknown_server_is_an_error_that_lists_the_rows);
    int status = rows_run("rules_doc", &rows);
    hs_buf_clear(&document);
    return status;
}
