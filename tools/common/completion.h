/* Shared by the files that write completion scripts: what may be typed after an option or as an operand. */
#ifndef TOOL_COMPLETION_H
#define TOOL_COMPLETION_H

#include "cli_internal.h"
#include "output.h"

enum completion_kind {
    COMPLETE_NOTHING, /* nobody can know it */
    COMPLETE_FILE,
    COMPLETE_DIRECTORY,
    COMPLETE_WORDS,   /* one of `words` */
    COMPLETE_SOURCE,  /* one of `words`; a file after file: */
    COMPLETE_NAME,    /* of a section of the configuration; `words` is the kind: "client" */
    COMPLETE_SERVER,  /* a row of the server table */
    COMPLETE_FAULT,   /* what --list-faults lists */
    COMPLETE_COMMAND, /* a command of the shell and its words, after -- */
};
struct completion {
    const char *argument; /* as --help shows it: "FILE" */
    const char *option;   /* only of this option; NULL: of any */
    enum completion_kind kind;
    const char *words;
};

/* What stands in the table for the argument of an option, NULL when the option takes none. */
const struct completion *completion_of(const struct cli_option *option);
/* For the operands of a verb. */
enum completion_kind completion_of_operands(const struct cli_verb *verb);
/* The words that a row offers, separated by spaces; for COMPLETE_SERVER they come from the table of servers. */
void completion_put_words(struct text *text, const struct completion *row);

/* Each option of a verb that may be given. */
typedef void (*put_option_fn)(struct text *text, const struct cli_program *program, const struct cli_verb *verb,
                              const struct cli_option *option);
void completion_put_options(struct text *text, const struct cli_program *program, const struct cli_verb *verb,
                            put_option_fn put);
/* The verbs; the only one, whose name is "", where a program has none. */
size_t completion_verb_count(const struct cli_program *program);
const struct cli_verb *completion_verb_at(const struct cli_program *program, size_t index);
/* Whether a verb has two words and is the first with this first word. */
bool completion_is_first_of_group(const struct cli_program *program, size_t index);

/* Puts a template: lines of a script in which PROGRAM stands for the program's name, and ID for the same as part of a
 * function's name. */
#define PROGRAM "\x01"
#define ID "\x02"
void completion_put_template(struct text *text, const struct cli_program *program, const char *lines);
/* Puts `words` with a backslash before every character that `special` lists, and `quote` for a single quote. */
void completion_put_escaped(struct text *text, const char *words, const char *special, const char *quote);

/* The scripts. */
void completion_put_bash(struct text *text, const struct cli_program *program);
void completion_put_zsh(struct text *text, const struct cli_program *program);
void completion_put_fish(struct text *text, const struct cli_program *program);

#endif
