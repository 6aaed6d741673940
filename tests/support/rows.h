/* For tests: tables whose rows have names, as cmocka tests. */
#ifndef HS_ROWS_H
#define HS_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "bytes.h"

#define ROWS_MAX 256U

struct rows {
    struct CMUnitTest tests[ROWS_MAX];
    char names[ROWS_MAX][128];
    size_t count;
};

/* `row` NULL: a test without a table. Else its first member is its name, which is told after the behaviour's. */
static inline void
rows_add(struct rows *rows, const char *behaviour, CMUnitTestFunction function, void *row)
{
    if (rows->count == ROWS_MAX)
        return; /* seen by rows_run */
    char *name = rows->names[rows->count];
    (void)snprintf(name, sizeof rows->names[0], row != NULL ? "%s: %s" : "%s", behaviour,
                   row != NULL ? *(const char **)row : "");
    rows->tests[rows->count++] = (struct CMUnitTest){.name = name, .test_func = function, .initial_state = row};
}

static inline int
rows_run(const char *group, struct rows *rows)
{
    if (rows->count == ROWS_MAX) {
        print_error("%s: more rows than ROWS_MAX\n", group);
        return 1;
    }
    return _cmocka_run_group_tests(group, rows->tests, rows->count, NULL, NULL);
}

/* One test per row of `table`; the row is the test's state. */
#define ADD_ROWS(rows, function, table)                                                                                \
    for (size_t row_index = 0; row_index < HS_ARRAY_LEN(table); row_index++)                                           \
    rows_add(rows, #function, function, &(table)[row_index])
#define ADD_TEST(rows, function) rows_add(rows, #function, function, NULL)

/* Ends the child of a fork, and nothing of its parent's; what it reached is counted where that is measured. */
#ifdef HSMART_COVERAGE
void __gcov_dump(void);
#endif
static inline void __attribute__((noreturn))
end_child(int status)
{
#ifdef HSMART_COVERAGE
    __gcov_dump();
#endif
    _exit(status);
}

static inline struct hs_span
span(const char *text)
{
    return hs_span_str(text);
}

#endif
