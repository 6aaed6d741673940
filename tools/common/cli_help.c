/* --help, from the tables. */
#include <stdio.h>
#include <string.h>

#include "cli_internal.h"
#include "output.h"

#define HELP_COLUMN 27U
#define LINE_WIDTH 100U

/* Breaks `words` at spaces, later lines indented to the column `indent`, where the first begins. */
static void
put_wrapped(struct text *text, size_t indent, const char *words)
{
    size_t column = indent;

    while (*words != 0) {
        size_t len = strcspn(words, " ");
        if (column + len + 1 > LINE_WIDTH) {
            text_put(text, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            text_put(text, " ");
            column++;
        }
        text_put(text, "%.*s", (int)len, words);
        column += len;
        words += len + strspn(words + len, " ");
    }
    text_put(text, "\n");
}

static void
put_option(struct text *text, const struct cli_option *option)
{
    char left[64];
    char letter[8] = "";

    if (option->letter != 0)
        (void)snprintf(letter, sizeof letter, "-%c, ", option->letter);
    (void)snprintf(left, sizeof left, "  %s--%s%s%s", letter, option->name, option->argument != NULL ? " " : "",
                   option->argument != NULL ? option->argument : "");
    text_put(text, "%-*s", (int)HELP_COLUMN - 1, left);
    text_put(text, strlen(left) >= HELP_COLUMN ? "\n%*s" : " ", (int)HELP_COLUMN, "");
    put_wrapped(text, HELP_COLUMN, option->help);
}

static void
put_group(struct text *text, const struct cli_group *group)
{
    text_put(text, "\n%s options:\n", group->title);
    for (size_t i = 0; i < group->count; i++)
        if (group->options[i].kind != CLI_REFUSED)
            put_option(text, &group->options[i]);
}

struct cli_command
cli_command_of(const struct cli_program *program, const struct cli_verb *verb)
{
    struct cli_command command;

    (void)snprintf(command.words, sizeof command.words, "%s%s%s", program->name, verb->name[0] != 0 ? " " : "",
                   verb->name);
    return command;
}

enum hsmart_code
cli_help_verb(const struct cli_program *program, const struct cli_verb *verb, struct hs_buf *out, hsmart_err *err)
{
    struct text text = {.out = out};

    text_put(&text, "Usage: %s [options]%s%s\n", cli_command_of(program, verb).words,
             verb->operands != NULL ? " " : "", verb->operands != NULL ? verb->operands : "");
    put_wrapped(&text, 0, verb->summary);
    for (size_t i = 0; i < CLI_GROUPS_MAX && verb->groups[i] != NULL; i++)
        put_group(&text, verb->groups[i]);
    text_put(&text, "\nExample:\n%s", verb->example);
    if (verb == program->only)
        for (const char *const *line = program->see_also; line != NULL && *line != NULL; line++)
            text_put(&text, "\n%s\n", *line);
    return text_finish(&text, err);
}

enum hsmart_code
cli_help_program(const struct cli_program *program, const char *prefix, struct hs_buf *out, hsmart_err *err)
{
    struct text text = {.out = out};

    text_put(&text, "Usage: %s COMMAND [options]\n%s\n\nCommands:\n", program->name, program->summary);
    for (size_t i = 0; i < program->verb_count; i++) {
        const struct cli_verb *verb = program->verbs[i];
        if (strncmp(verb->name, prefix, strlen(prefix)) != 0)
            continue;
        text_put(&text, "  %-*s", (int)HELP_COLUMN - 2, verb->name);
        put_wrapped(&text, HELP_COLUMN, verb->summary);
    }
    text_put(&text, "\n%s COMMAND --help explains one command, with an example.\n", program->name);
    text_put(&text, "%s --completion bash|zsh|fish prints the completion for a shell.\n", program->name);
    for (const char *const *line = program->see_also; line != NULL && *line != NULL; line++)
        text_put(&text, "%s\n", *line);
    return text_finish(&text, err);
}
