#include "rows.h"

#include <strings.h>

#include "words.h"

/* ---- The shape of the list ---- */

static struct column {
    const char *name;
    size_t position;
    const char *out_of_order; /* a word that stands behind a later one in the published list, too */
} columns[] = {
    {"words of two syllables, at even positions", 0, ""},
    {"words of three syllables, at odd positions", 1, "Apollo"},
};

static void
there_are_256_words_sorted_and_unique(void **state)
{
    const struct column *column = *state;

    for (unsigned byte = 0; byte < 256; byte++) {
        const char *word = hs_word_of(column->position, (uint8_t)byte);
        assert_true(strlen(word) >= 4 && strlen(word) <= 11);
        if (byte == 0 || strcmp(word, column->out_of_order) == 0)
            continue;
        assert_true(strcasecmp(hs_word_of(column->position, (uint8_t)(byte - 1)), word) < 0);
    }
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < a; b++)
            assert_true(
                strcasecmp(hs_word_of(column->position, (uint8_t)a), hs_word_of(column->position, (uint8_t)b)) != 0);
}

static void
no_word_is_in_both_columns(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++)
            assert_true(strcasecmp(hs_word_of(0, (uint8_t)a), hs_word_of(1, (uint8_t)b)) != 0);
}

/* ---- Published examples ---- */

static struct example {
    const char *name;
    uint8_t bytes[20];
    size_t len;
    const char *words;
} examples[] = {
    {"the key fingerprint of the published example",
     {0xe5, 0x82, 0x94, 0xf2, 0xe9, 0xa2, 0x27, 0x48, 0x6e, 0x8b,
      0x06, 0x1b, 0x31, 0xcc, 0x52, 0x8f, 0xd7, 0xfa, 0x3f, 0x19},
     20,
     "topmost Istanbul Pluto vagabond treadmill Pacific brackish dictator goldfish Medusa afflict bravado chatter "
     "revolver "
     "Dupont midsummer stopwatch whimsical cowbell bottomless"},
    {"the same byte at both kinds of position", {0, 0}, 2, "aardvark adroitness"},
    {"the last byte at both", {255, 255}, 2, "Zulu Yucatan"},
    {"no bytes", {0}, 0, ""},
};

static void
bytes_become_words(void **state)
{
    const struct example *row = *state;
    struct hs_buf out = {0};

    assert_int_equal(hs_words_append(&out, (struct hs_span){row->bytes, row->len}, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&out), row->words);
    hs_buf_clear(&out);
}

/* ---- What people type ---- */

static struct typed {
    const char *name, *typed, *expected;
    bool equal;
} typeds[] = {
    {"as it is shown", "crusade Camelot", "crusade Camelot", true},
    {"in lower case", "crusade camelot", "crusade Camelot", true},
    {"with hyphens and many spaces", "  crusade-camelot \t", "crusade Camelot", true},
    {"another word", "crusade decimal", "crusade Camelot", false},
    {"one word too few", "crusade", "crusade Camelot", false},
    {"one word too many", "crusade Camelot tonic", "crusade Camelot", false},
    {"the beginning of a word", "crusade Camel", "crusade Camelot", false},
    {"a longer word", "crusade Camelots", "crusade Camelot", false},
    {"exchanged words", "Camelot crusade", "crusade Camelot", false},
    {"nothing", "", "crusade Camelot", false},
};

static void
typed_words_are_compared(void **state)
{
    const struct typed *row = *state;

    assert_int_equal(hs_words_equal(row->typed, row->expected), row->equal);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, there_are_256_words_sorted_and_unique, columns);
    ADD_TEST(&rows, no_word_is_in_both_columns);
    ADD_ROWS(&rows, bytes_become_words, examples);
    ADD_ROWS(&rows, typed_words_are_compared, typeds);
    return rows_run("words", &rows);
}
