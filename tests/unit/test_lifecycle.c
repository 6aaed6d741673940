/* What keys of a family are for on a day. */
#include <stdio.h>

#include "lifecycle.h"
#include "rows.h"

static struct day {
    const char *name;
    hs_day day; /* HS_DAY_NONE: no day */
} days[] = {
    {"1970-01-01", 0},           {"1970-01-02", 1},
    {"1999-12-31", 10956},       {"2000-02-29", 11016},
    {"2000-03-01", 11017},       {"2026-11-25", 20782},
    {"2100-03-01", 47541},       {"9999-12-31", HS_DAY_UNDECIDED},
    {"1969-12-31", HS_DAY_NONE}, {"2027-02-29", HS_DAY_NONE},
    {"2100-02-29", HS_DAY_NONE}, {"2026-13-01", HS_DAY_NONE},
    {"2026-00-10", HS_DAY_NONE}, {"2026-04-31", HS_DAY_NONE},
    {"2026-4-3", HS_DAY_NONE},   {"2026-04-03 ", HS_DAY_NONE},
    {"20260403", HS_DAY_NONE},   {"", HS_DAY_NONE},
    {"2026-04-0x", HS_DAY_NONE},
};

static void
a_day_is_read_and_written(void **state)
{
    const struct day *row = *state;
    hs_day day = -7;
    char text[HS_DAY_TEXT_LEN];

    if (row->day == HS_DAY_NONE) {
        assert_int_equal(hs_day_parse(row->name, &day, NULL), HSMART_INVALID_ARGUMENT);
        assert_int_equal(day, -7);
        return;
    }
    assert_int_equal(hs_day_parse(row->name, &day, NULL), HSMART_OK);
    assert_int_equal(day, row->day);
    hs_day_format(day, text);
    assert_string_equal(text, row->name);
    assert_int_equal(hs_day_of((int64_t)day * 86400), day);
    assert_int_equal(hs_day_of((int64_t)day * 86400 + 86399), day);
    assert_int_equal(hs_day_of((int64_t)day * 86400 - 1), day - 1);
}

#define NONE HS_DAY_NONE
#define SOME_DAY HS_DAY_UNDECIDED
static struct family {
    const char *name;
    struct hs_lifecycle_key keys[4];
    size_t count;
    const char *states; /* on day 100: s a r x, for staged, active, retiring, retired */
} families[] = {
    {"one key without dates", {{NONE, NONE, "k", "K"}}, 1, "a"},
    {"a successor that is not decided", {{NONE, NONE, "k", "K"}, {SOME_DAY, NONE, "k-1", "K"}}, 2, "as"},
    {"the day before", {{NONE, NONE, "k", "K"}, {101, NONE, "k-1", "K"}}, 2, "as"},
    {"the day itself", {{NONE, NONE, "k", "K"}, {100, NONE, "k-1", "K"}}, 2, "ra"},
    {"the day after", {{NONE, NONE, "k", "K"}, {99, NONE, "k-1", "K"}}, 2, "ra"},
    {"the last day is a day", {{NONE, 100, "k", "K"}, {99, NONE, "k-1", "K"}}, 2, "ra"},
    {"after the last day", {{NONE, 99, "k", "K"}, {99, NONE, "k-1", "K"}}, 2, "xa"},
    {"a whole line of keys",
     {{10, 50, "a", "K"}, {50, NONE, "b", "K"}, {90, NONE, "c", "K"}, {120, NONE, "d", "K"}},
     4,
     "xras"},
    {"the active one is revoked: the one before signs", {{10, NONE, "a", "K"}, {90, 99, "b", "K"}}, 2, "ax"},
    {"all have ended", {{10, 20, "a", "K"}, {30, 40, "b", "K"}}, 2, "xx"},
    {"only a staged one", {{SOME_DAY, NONE, "a", "K"}}, 1, "s"},
    {"a newcomer without dates displaces nobody", {{NONE, NONE, "k-20260101", "K"}, {NONE, NONE, "k", "K"}}, 2, "ra"},
    {"nor one that began", {{50, NONE, "k", "K"}, {NONE, NONE, "a", "K"}}, 2, "ar"},
    {"of two that began together, the first by label", {{100, NONE, "k-2", "K"}, {100, NONE, "k-1", "K"}}, 2, "ra"},
    {"numbers of one day are counted, not spelled",
     {{100, NONE, "k-20260101-10", "A"}, {100, NONE, "k-20260101-2", "Z"}},
     2,
     "ra"},
    {"days count before numbers", {{100, NONE, "k-20270101", "A"}, {100, NONE, "k-20260101-2", "Z"}}, 2, "ra"},
    {"the first of a family has no number",
     {{100, NONE, "k-20260101-2", "A"}, {100, NONE, "k-20260101", "Z"}},
     2,
     "ra"},
    {"of one label twice, the first by kid", {{100, NONE, "k", "b"}, {100, NONE, "k", "a"}}, 2, "ra"},
    {"in whatever order the token tells them", {{100, NONE, "k", "a"}, {100, NONE, "k", "b"}}, 2, "ar"},
    {"an end before the beginning", {{50, 40, "k", "K"}}, 1, "x"},
};

static void
dates_give_the_state(void **state)
{
    const struct family *row = *state;
    enum hsmart_key_state states[4];

    hs_lifecycle_states(row->keys, row->count, 100, states);
    for (size_t i = 0; i < row->count; i++)
        assert_int_equal("sarx"[states[i]], row -> states[i]);
}

static struct member {
    const char *name;
    bool is_member; /* of the family "ehr" */
} members[] = {
    {"ehr", true},
    {"ehr-20261125", true},
    {"ehr-20261125-2", true},
    {"ehr-20261125-12", true},
    {"ehr-2026", false},
    {"ehr-test", false},
    {"ehr-202611251", false},
    {"ehr-20261125-", false},
    {"ehr-20261125-x", false},
    {"ehr-20261125-2x", false},
    {"ehr2", false},
    {"eh", false},
    {"", false},
    {"EHR", false},
    {"my-ehr", false},
    {"ehr-20261125x", false},
};

static void
a_label_belongs_to_the_family_or_not(void **state)
{
    const struct member *row = *state;

    assert_int_equal(hs_lifecycle_is_member(row->name, "ehr"), row->is_member);
}

int
main(void)
{
    static struct rows rows;

    for (size_t i = 0; i < HS_ARRAY_LEN(days); i++)
        rows_add(&rows, "a day", a_day_is_read_and_written, &days[i]);
    for (size_t i = 0; i < HS_ARRAY_LEN(families); i++)
        rows_add(&rows, "dates give the state", dates_give_the_state, &families[i]);
    for (size_t i = 0; i < HS_ARRAY_LEN(members); i++)
        rows_add(&rows, "a label belongs to the family or not", a_label_belongs_to_the_family_or_not, &members[i]);
    return rows_run("lifecycle", &rows);
}
