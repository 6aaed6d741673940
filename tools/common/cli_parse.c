/* Options and operands of one verb, by getopt_long. */
#define _GNU_SOURCE /* getopt_long */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cli_internal.h"
#include "err.h"
#include "text.h"

#define OPTIONS_MAX 96U
#define LONG_BASE 1000 /* values of long options; letters are below */

/* All options of a verb, flat, as getopt_long wants them. */
struct parser {
    const struct cli_program *program;
    const struct cli_verb *verb;
    const struct cli_option *rows[OPTIONS_MAX];
    struct option longs[OPTIONS_MAX + 1];
    char letters[2 * OPTIONS_MAX + 2];
    size_t count;
};

static enum hsmart_code
parser_fill(struct parser *parser, const struct cli_program *program, const struct cli_verb *verb, hsmart_err *err)
{
    size_t letters_len = 0;

    parser->program = program;
    parser->verb = verb;
    parser->letters[letters_len++] = ':'; /* tells a missing argument from an unknown option */
    for (size_t g = 0; g < CLI_GROUPS_MAX && verb->groups[g] != NULL; g++)
        for (size_t i = 0; i < verb->groups[g]->count; i++) {
            const struct cli_option *row = &verb->groups[g]->options[i];
            if (parser->count == OPTIONS_MAX)
                return hs_err_set(err, HSMART_INTERNAL, "\"%s\" has more than %u options",
                                  cli_command_of(program, verb).words, OPTIONS_MAX);
            parser->rows[parser->count] = row;
            parser->longs[parser->count] =
                (struct option){row->name, row->argument != NULL ? required_argument : no_argument, NULL,
                                LONG_BASE + (int)parser->count};
            if (row->letter != 0)
                parser->letters[letters_len++] = row->letter;
            if (row->letter != 0 && row->argument != NULL)
                parser->letters[letters_len++] = ':';
            parser->count++;
        }
    return HSMART_OK;
}

static const struct cli_option *
row_of(const struct parser *parser, int value)
{
    if (value >= LONG_BASE && (size_t)(value - LONG_BASE) < parser->count)
        return parser->rows[value - LONG_BASE];
    for (size_t i = 0; i < parser->count; i++)
        if (value != 0 && parser->rows[i]->letter == value)
            return parser->rows[i];
    return NULL;
}

/* The option whose name is nearest to `name`, or that begins with it; NULL when none is near. */
static const char *
nearest_option(const struct parser *parser, const char *name)
{
    const char *nearest = NULL;
    size_t nearest_distance = SIZE_MAX;

    for (size_t i = 0; i < parser->count; i++) {
        const char *known = parser->rows[i]->name;
        if (parser->rows[i]->kind == CLI_REFUSED)
            continue;
        size_t distance = strncmp(known, name, strlen(name)) == 0 ? 0 : hs_text_distance(name, known);
        if (distance < nearest_distance) {
            nearest = known;
            nearest_distance = distance;
        }
    }
    return nearest != NULL && hs_text_is_near(name, nearest_distance) ? nearest : NULL;
}

static enum hsmart_code
unknown_option(const struct parser *parser, const char *word, hsmart_err *err)
{
    char name[64];
    const char *nearest = NULL;

    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    if (strncmp(name, "--", 2) == 0 && name[2] != 0)
        nearest = nearest_option(parser, name + 2);
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "unknown option \"%s\" for \"%s\"", name,
                     cli_command_of(parser->program, parser->verb).words);
    if (nearest != NULL)
        hs_err_hint(err, "did you mean --%s?", nearest);
    else
        hs_err_hint(err, "\"%s --help\" lists the options", cli_command_of(parser->program, parser->verb).words);
    return HSMART_INVALID_ARGUMENT;
}

static enum hsmart_code
refused_option(const struct cli_option *row, hsmart_err *err)
{
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "--%s is refused: %s", row->name, row->help);
    hs_err_hint(err, "put the PIN into a file that only you can read and give --pin-source file:PATH, or use "
                     "--pin-source prompt; change this PIN, it has been seen");
    return HSMART_INVALID_ARGUMENT;
}

static enum hsmart_code
list_add(struct cli_list *list, const char *item, hsmart_err *err)
{
    void *items = list->items;
    enum hsmart_code code = hs_array_grow(&items, list->count, sizeof *list->items, err);

    list->items = items;
    if (code == HSMART_OK)
        list->items[list->count++] = item;
    return code;
}

static enum hsmart_code
set_text(const char **place, const struct cli_option *row, const char *argument, hsmart_err *err)
{
    if (*place != NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--%s is given twice, \"%s\" and \"%s\"", row->name, *place,
                          argument);
    *place = argument;
    return HSMART_OK;
}

static enum hsmart_code
set_number(struct cli_number *place, const struct cli_option *row, const char *argument, hsmart_err *err)
{
    char what[64];

    (void)snprintf(what, sizeof what, "--%s", row->name);
    place->is_given = true;
    return hs_text_parse_number(argument, what, row->min, row->max, &place->value, err);
}

static enum hsmart_code
store(const struct cli_option *row, char *argument, void *options, hsmart_err *err)
{
    void *place = (char *)options + row->offset;

    switch (row->kind) {
    case CLI_FLAG:
        *(bool *)place = true;
        return HSMART_OK;
    case CLI_TEXT:
        return set_text(place, row, argument, err);
    case CLI_NUMBER:
        return set_number(place, row, argument, err);
    case CLI_LIST:
        return list_add(place, argument, err);
    case CLI_REFUSED:
        break;
    }
    return refused_option(row, err);
}

/* getopt_long takes any unambiguous beginning of a name. We do not: a script that says --pin-s would break with the
 * next option that starts like it. */
static bool
is_abbreviated(const struct cli_option *row, int value, char *const *argv)
{
    if (value < LONG_BASE)
        return false;
    bool separate = optarg != NULL && optarg == argv[optind - 1];
    const char *word = argv[optind - (separate ? 2 : 1)];
    return strcspn(word + 2, "=") != strlen(row->name);
}

static enum hsmart_code
take_one(const struct parser *parser, int value, char *const *argv, void *options, hsmart_err *err)
{
    const struct cli_option *row = row_of(parser, value == ':' || value == '?' ? optopt : value);
    char letter[3] = {'-', (char)optopt, 0};

    if (row == NULL)
        return unknown_option(parser, optopt != 0 ? letter : argv[optind - 1], err);
    if (value == ':')
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "option --%s needs an argument, %s", row->name, row->argument);
    if (value == '?')
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "option --%s takes no argument", row->name);
    if (is_abbreviated(row, value, argv))
        return unknown_option(parser, argv[optind - (optarg != NULL && optarg == argv[optind - 1] ? 2 : 1)], err);
    return store(row, optarg, options, err);
}

static enum hsmart_code
check_operands(const struct parser *parser, const struct cli_call *call, hsmart_err *err)
{
    const struct cli_verb *verb = parser->verb;

    if (call->operand_count < verb->operand_min)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%s\" needs %s", cli_command_of(parser->program, verb).words,
                          verb->operands);
    if (call->operand_count > verb->operand_max)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%s\" is one word too many for \"%s\"",
                          call->operands[verb->operand_max], cli_command_of(parser->program, verb).words);
    return HSMART_OK;
}

enum hsmart_code
cli_parse(const struct cli_program *program, const struct cli_verb *verb, int argc, char **argv, void *options,
          struct cli_call *out_call, hsmart_err *err)
{
    struct parser parser = {0};
    enum hsmart_code code = parser_fill(&parser, program, verb, err);
    const struct cli_common *common = options;
    int value;

    opterr = 0;
    while (code == HSMART_OK && (value = getopt_long(argc, argv, parser.letters, parser.longs, NULL)) != -1)
        code = take_one(&parser, value, argv, options, err);
    if (code != HSMART_OK)
        return code;
    struct cli_call call = {program, argv + optind, (size_t)(argc - optind)};
    if (!common->help && !common->version)
        code = check_operands(&parser, &call, err);
    if (code == HSMART_OK && common->verbose && common->quiet)
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "--verbose and --quiet contradict each other");
    if (code == HSMART_OK)
        *out_call = call;
    return code;
}

void
cli_options_clear(const struct cli_verb *verb, void *options)
{
    for (size_t g = 0; g < CLI_GROUPS_MAX && verb->groups[g] != NULL; g++)
        for (size_t i = 0; i < verb->groups[g]->count; i++) {
            const struct cli_option *row = &verb->groups[g]->options[i];
            struct cli_list *list = (struct cli_list *)(void *)((char *)options + row->offset);
            if (row->kind != CLI_LIST)
                continue;
            hs_free(list->items);
            *list = (struct cli_list){0};
        }
}
