/* Commands as tables: a program is a list of verbs, a verb a list of options, and parsing, --help and --version come
 * from the rows. */
#ifndef TOOL_CLI_H
#define TOOL_CLI_H

#include <stddef.h>

#include "bytes.h"

enum cli_kind {
    CLI_FLAG,   /* bool */
    CLI_TEXT,   /* const char *, borrowed from argv */
    CLI_NUMBER, /* struct cli_number */
    CLI_LIST,   /* struct cli_list: may be given several times */
    CLI_REFUSED /* never accepted; `help` is the reason */
};

struct cli_number {
    bool is_given;
    long value;
};

struct cli_list {
    const char **items; /* each borrowed from argv */
    size_t count;
};

/* One option. `offset` is where its value is stored in the verb's own struct of options. */
struct cli_option {
    const char *name; /* long, without the dashes */
    char letter;      /* 0: none */
    const char *argument; /* "FILE"; NULL: takes none */
    enum cli_kind kind;
    size_t offset;
    const char *help;
    long min, max; /* CLI_NUMBER */
};

/* A titled group of options, as --help shows it. */
struct cli_group {
    const char *title;
    const struct cli_option *options;
    size_t count;
};
#define CLI_GROUP(title, array) {title, array, HS_ARRAY_LEN(array)}

/* What every verb takes: the first member of each verb's struct of options. The token's part is there for every verb
 * and stays empty where the verb does not list the group. */
struct cli_common {
    bool help, version, json, verbose, quiet;
    const char *config, *token, *key, *client;
    const char *module, *init_string, *quirks, *token_uri, *key_uri, *pin_source, *state_directory;
};
extern const struct cli_group cli_group_general;  /* --json -v -q --help --version */
extern const struct cli_group cli_group_quiet;    /* the same without --json */
extern const struct cli_group cli_group_token;    /* --module … --config --token */
extern const struct cli_group cli_group_one_key;  /* --key-uri --key */

struct cli_program;
struct cli_call {
    const struct cli_program *program;
    char *const *operands;
    size_t operand_count;
};

#define CLI_GROUPS_MAX 6U
struct cli_verb {
    const char *name;     /* "token list" */
    const char *summary;  /* one line */
    const char *operands; /* "FILE|-" as usage shows it; NULL: none */
    size_t operand_min, operand_max;
    size_t options_size; /* of the verb's struct, which starts with a struct cli_common */
    const struct cli_group *groups[CLI_GROUPS_MAX];
    const char *example; /* one or more whole lines */
    enum hsmart_code (*run)(const struct cli_call *call, const void *options, hsmart_err *err);
};

struct cli_program {
    const char *name;
    const char *summary;
    const struct cli_verb *const *verbs;
    size_t verb_count;
    const struct cli_verb *only; /* a program without verbs: this, whose name is "" */
    const char *const *see_also; /* lines for the end of --help, NULL at the end */
};

/* A whole program: hardens the process, parses, runs the verb, reports. Returns the exit status. */
int cli_main(const struct cli_program *program, int argc, char **argv);

#endif
