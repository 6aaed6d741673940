/* Shared by the files of the command-line framework only. */
#ifndef TOOL_CLI_INTERNAL_H
#define TOOL_CLI_INTERNAL_H

#include "cli.h"

/* Fills `options` (zeroed, `verb->options_size` bytes) from `argv`, whose first element is the verb's last word, and
 * sets `out_call`. Lists in `options` are released with `cli_options_clear`. */
HSMART_MUST_CHECK enum hsmart_code cli_parse(const struct cli_program *program, const struct cli_verb *verb, int argc,
                                             char **argv, void *options, struct cli_call *out_call, hsmart_err *err);
void cli_options_clear(const struct cli_verb *verb, void *options);

/* The text of --help. */
HSMART_MUST_CHECK enum hsmart_code cli_help_program(const struct cli_program *program, const char *prefix,
                                                    struct hs_buf *out, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code cli_help_verb(const struct cli_program *program, const struct cli_verb *verb,
                                                 struct hs_buf *out, hsmart_err *err);

/* The completion script for "bash", "zsh" or "fish"; or, for these scripts, the names of each "client", "key" or
 * "token" of the configuration file, one a line. `config_file` may be NULL. */
HSMART_MUST_CHECK enum hsmart_code cli_completion(const struct cli_program *program, const char *what,
                                                  const char *config_file, struct hs_buf *out, hsmart_err *err);

/* "hsmart-key token list", or the program's name alone where it has no verbs. */
struct cli_command {
    char words[64];
};
struct cli_command cli_command_of(const struct cli_program *program, const struct cli_verb *verb);

#endif
