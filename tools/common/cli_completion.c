/* Completion for shells, from the tables: what --help knows, the Tab key knows. */
#include <stdio.h>
#include <string.h>

#include "cli_internal.h"
#include "err.h"
#include "output.h"

/* What may be typed after an option. */
enum argument_kind { ARGUMENT_NONE, ARGUMENT_ANY, ARGUMENT_FILE, ARGUMENT_DIRECTORY, ARGUMENT_WORDS };

static enum argument_kind
argument_kind_of(const struct cli_option *option)
{
    if (option->argument == NULL)
        return ARGUMENT_NONE;
    if (strcmp(option->argument, "DIR") == 0)
        return ARGUMENT_DIRECTORY;
    if (strstr(option->argument, "FILE") != NULL || strcmp(option->argument, "PATH") == 0)
        return ARGUMENT_FILE;
    if (strchr(option->argument, '|') != NULL && option->argument[0] >= 'a')
        return ARGUMENT_WORDS;
    return ARGUMENT_ANY;
}

/* Puts `words` with a backslash before every character that `special` lists, and `quote` for a single quote. */
static void
put_escaped(struct text *text, const char *words, const char *special, const char *quote)
{
    for (; *words != 0; words++) {
        if (*words == '\'')
            text_put(text, "%s", quote);
        else
            text_put(text, "%s%c", strchr(special, *words) != NULL ? "\\" : "", *words);
    }
}
#define QUOTE_IN_ZSH "'\\''"
#define QUOTE_IN_FISH "\\'"

typedef void (*put_option_fn)(struct text *text, const struct cli_program *program, const struct cli_verb *verb,
                              const struct cli_option *option);

static void
put_each_option(struct text *text, const struct cli_program *program, const struct cli_verb *verb, put_option_fn put)
{
    for (size_t g = 0; g < CLI_GROUPS_MAX && verb->groups[g] != NULL; g++)
        for (size_t i = 0; i < verb->groups[g]->count; i++)
            if (verb->groups[g]->options[i].kind != CLI_REFUSED)
                put(text, program, verb, &verb->groups[g]->options[i]);
}

static size_t
verb_count_of(const struct cli_program *program)
{
    return program->only != NULL ? 1 : program->verb_count;
}

static const struct cli_verb *
verb_at(const struct cli_program *program, size_t index)
{
    return program->only != NULL ? program->only : program->verbs[index];
}

/* The name as part of a function's name. */
static void
put_identifier(struct text *text, const char *name)
{
    for (; *name != 0; name++)
        text_put(text, "%c", *name == '-' || *name == ' ' ? '_' : *name);
}

/* ---- bash ---- */

static void
put_bash_word(struct text *text, const struct cli_program *program, const struct cli_verb *verb,
              const struct cli_option *option)
{
    (void)program, (void)verb;
    text_put(text, " --%s", option->name);
}

static void
put_bash_argument(struct text *text, const struct cli_program *program, const struct cli_verb *verb,
                  const struct cli_option *option)
{
    (void)program;
    static const char *const how[] = {
        [ARGUMENT_ANY] = "return",
        [ARGUMENT_FILE] = "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")); return",
        [ARGUMENT_DIRECTORY] = "compopt -o filenames; COMPREPLY=($(compgen -d -- \"$cur\")); return"};
    enum argument_kind kind = argument_kind_of(option);

    if (kind == ARGUMENT_NONE)
        return;
    text_put(text, "    \"%s --%s\") ", verb->name, option->name);
    if (kind == ARGUMENT_WORDS) {
        text_put(text, "COMPREPLY=($(compgen -W \"");
        for (const char *c = option->argument; *c != 0; c++)
            text_put(text, "%c", *c == '|' ? ' ' : *c);
        text_put(text, "\" -- \"$cur\")); return");
    } else {
        text_put(text, "%s", how[kind]);
    }
    text_put(text, " ;;\n");
}

static void
put_bash(struct text *text, const struct cli_program *program)
{
    text_put(text, "# bash completion of %s, made by `%s --completion bash`\n_", program->name, program->name);
    put_identifier(text, program->name);
    text_put(text, "()\n{\n    local cur=${COMP_WORDS[COMP_CWORD]} before=' ' verb='' words='' after=0 word\n"
                   "    COMPREPLY=()\n"
                   "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do before+=\"$word \"; done\n");
    if (program->only == NULL) {
        text_put(text, "    case $before in\n");
        for (size_t i = 0; i < program->verb_count; i++)
            text_put(text, "    \" %s \"*) verb='%s' ;;\n", program->verbs[i]->name, program->verbs[i]->name);
        /* Before the verb is whole: its next word. */
        text_put(text, "    *)\n        while read -r words; do\n"
                       "            [[ \" $words\" == \"${before%% }\"* ]] || continue\n"
                       "            words=\" $words\"; words=${words#\"$before\"}\n"
                       "            COMPREPLY+=($(compgen -W \"${words%%%% *}\" -- \"$cur\"))\n        done <<'END'\n");
        for (size_t i = 0; i < program->verb_count; i++)
            text_put(text, "%s\n", program->verbs[i]->name);
        text_put(text, "--help\n--version\nEND\n        return ;;\n    esac\n");
    }
    text_put(text, "    case \"$verb ${COMP_WORDS[COMP_CWORD-1]}\" in\n");
    for (size_t i = 0; i < verb_count_of(program); i++)
        put_each_option(text, program, verb_at(program, i), put_bash_argument);
    text_put(text, "    esac\n    case $verb in\n");
    for (size_t i = 0; i < verb_count_of(program); i++) {
        const struct cli_verb *verb = verb_at(program, i);
        text_put(text, "    '%s') after=%d words='", verb->name, verb->operands != NULL);
        put_each_option(text, program, verb, put_bash_word);
        text_put(text, "' ;;\n");
    }
    text_put(text, "    esac\n    if [[ $cur == -* || $after == 0 ]]; then\n"
                   "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n    else\n"
                   "        compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\"))\n    fi\n}\ncomplete -F _");
    put_identifier(text, program->name);
    text_put(text, " %s\n", program->name);
}

/* ---- zsh ---- */

static void
put_zsh_option(struct text *text, const struct cli_program *program, const struct cli_verb *verb,
               const struct cli_option *option)
{
    (void)program, (void)verb;
    static const char *const actions[] = {
        [ARGUMENT_ANY] = " ", [ARGUMENT_FILE] = "_files", [ARGUMENT_DIRECTORY] = "_files -/"};
    enum argument_kind kind = argument_kind_of(option);

    text_put(text, " \\\n            '%s--%s[", option->kind == CLI_LIST ? "*" : "", option->name);
    put_escaped(text, option->help, "[]\\:", QUOTE_IN_ZSH);
    text_put(text, "]");
    if (kind != ARGUMENT_NONE) {
        text_put(text, ":");
        put_escaped(text, option->argument, "[]\\:", QUOTE_IN_ZSH);
        text_put(text, ":");
        if (kind == ARGUMENT_WORDS) {
            text_put(text, "(");
            for (const char *c = option->argument; *c != 0; c++)
                text_put(text, "%c", *c == '|' ? ' ' : *c);
            text_put(text, ")");
        } else {
            text_put(text, "%s", actions[kind]);
        }
    }
    text_put(text, "'");
}

static void
put_zsh(struct text *text, const struct cli_program *program)
{
    text_put(text, "#compdef %s\n# zsh completion, made by `%s --completion zsh`\n_", program->name, program->name);
    put_identifier(text, program->name);
    text_put(text, "() {\n    local -a verbs options\n    local verb=''\n    verbs=(");
    for (size_t i = 0; i < verb_count_of(program); i++) {
        text_put(text, "\n        '%s:", verb_at(program, i)->name);
        put_escaped(text, verb_at(program, i)->summary, ":", QUOTE_IN_ZSH);
        text_put(text, "'");
    }
    text_put(text, "\n    )\n    case \" ${words[2,CURRENT-1]} \" in\n");
    for (size_t i = 0; i < verb_count_of(program); i++) {
        const struct cli_verb *verb = verb_at(program, i);
        text_put(text, verb->name[0] != 0 ? "    \" %s \"*)\n" : "    *)%s\n", verb->name);
        text_put(text, "        options=(");
        put_each_option(text, program, verb, put_zsh_option);
        text_put(text, "%s)\n        _arguments -S $options\n        ;;\n",
                 verb->operands != NULL ? " \\\n            '*:operand:_files'" : "");
    }
    if (program->only == NULL)
        text_put(text, "    *)\n        _describe command verbs\n        ;;\n");
    text_put(text, "    esac\n}\n_");
    put_identifier(text, program->name);
    text_put(text, " \"$@\"\n");
}

/* ---- fish ---- */

static void
put_fish_option(struct text *text, const struct cli_program *program, const struct cli_verb *verb,
                const struct cli_option *option)
{
    enum argument_kind kind = argument_kind_of(option);

    text_put(text, "complete -c %s", program->name);
    if (verb->name[0] != 0) {
        text_put(text, " -n '__");
        put_identifier(text, program->name);
        text_put(text, "_is \"%s\"'", verb->name);
    }
    text_put(text, " -l %s", option->name);
    if (option->letter != 0)
        text_put(text, " -s %c", option->letter);
    if (kind == ARGUMENT_FILE || kind == ARGUMENT_DIRECTORY)
        text_put(text, " -r -F");
    else if (kind != ARGUMENT_NONE)
        text_put(text, " -x");
    if (kind == ARGUMENT_WORDS) {
        text_put(text, " -a '");
        for (const char *c = option->argument; *c != 0; c++)
            text_put(text, "%c", *c == '|' ? ' ' : *c);
        text_put(text, "'");
    }
    text_put(text, " -d '");
    put_escaped(text, option->help, "\\", QUOTE_IN_FISH);
    text_put(text, "'\n");
}

static void
put_fish_verb(struct text *text, const struct cli_program *program, const struct cli_verb *verb)
{
    size_t first_len = strcspn(verb->name, " ");
    bool has_second = verb->name[first_len] == ' ';

    text_put(text, "complete -c %s -f -n '__", program->name);
    put_identifier(text, program->name);
    text_put(text, "_is \"%.*s\"' -a '%s' -d '", has_second ? (int)first_len : 0, verb->name,
             has_second ? verb->name + first_len + 1 : verb->name);
    put_escaped(text, verb->summary, "\\", QUOTE_IN_FISH);
    text_put(text, "'\n");
    if (!has_second)
        return;
    text_put(text, "complete -c %s -f -n '__", program->name);
    put_identifier(text, program->name);
    text_put(text, "_is \"\"' -a '%.*s'\n", (int)first_len, verb->name);
}

static void
put_fish(struct text *text, const struct cli_program *program)
{
    text_put(text, "# fish completion of %s, made by `%s --completion fish`\n", program->name, program->name);
    if (program->only == NULL) {
        text_put(text, "function __");
        put_identifier(text, program->name);
        text_put(text,
                 "_is # whether these are the command's words so far\n    set -l words (commandline -opc)[2..-1]\n"
                 "    set -l verb (string match -v -- '-*' $words)\n"
                 "    if test -z \"$argv[1]\"; test (count $words) -eq 0; return; end\n"
                 "    string match -q -- \"$argv[1] *\" \"$verb \"\nend\n");
    }
    for (size_t i = 0; i < verb_count_of(program); i++) {
        if (program->only == NULL)
            put_fish_verb(text, program, program->verbs[i]);
        put_each_option(text, program, verb_at(program, i), put_fish_option);
    }
}

/* ---- All of them ---- */

enum hsmart_code
cli_completion(const struct cli_program *program, const char *shell, struct hs_buf *out, hsmart_err *err)
{
    static const struct {
        const char *shell;
        void (*put)(struct text *text, const struct cli_program *program);
    } shells[] = {{"bash", put_bash}, {"zsh", put_zsh}, {"fish", put_fish}};
    struct text text = {.out = out};

    for (size_t i = 0; i < HS_ARRAY_LEN(shells); i++) {
        if (shell != NULL && strcmp(shell, shells[i].shell) == 0) {
            shells[i].put(&text, program);
            return text_finish(&text, err);
        }
    }
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "--completion needs the name of a shell%s%s%s",
                     shell != NULL ? ", not \"" : "", shell != NULL ? shell : "", shell != NULL ? "\"" : "");
    hs_err_hint(err, "bash, zsh or fish");
    return HSMART_INVALID_ARGUMENT;
}
