/* Completion for zsh. */
#include <stdio.h>
#include <string.h>

#include "completion.h"

#define QUOTE "'\\''"

static const char start[] = "#compdef " PROGRAM "\n"
                            "# zsh completion, made by `" PROGRAM " --completion zsh`\n"
                            "# _" ID "_names KIND: names of the configuration file\n"
                            "_" ID "_names() {\n"
                            "    local -a names\n"
                            "    local config=''\n"
                            "    local -i at=${words[(I)--config]}\n"
                            "    (( at > 0 && at < CURRENT )) && config=${(Q)words[at+1]}\n"
                            "    names=(\"${(@f)$($tool --completion ${@[-1]} ${config:+$config} 2>/dev/null)}\")\n"
                            "    compadd \"${@[1,-2]}\" -- ${names:#}\n"
                            "}\n"
                            "# _" ID "_source WORDS: where a secret comes from\n"
                            "_" ID "_source() {\n"
                            "    if compset -P file:; then\n"
                            "        _files\n"
                            "    else\n"
                            "        compadd -S '' \"${@[1,-2]}\" -- ${(M)${=@[-1]}:#*:}\n"
                            "        compadd \"${@[1,-2]}\" -- ${${=@[-1]}:#*:}\n"
                            "    fi\n"
                            "}\n"
                            "_" ID "() {\n"
                            "    local -a verbs options\n"
                            "    local tool=${${(Q)words[1]}/#\\~\\//$HOME/}\n";

static void
put_option(struct text *text, const struct cli_program *program, const struct cli_verb *verb,
           const struct cli_option *option)
{
    const struct completion *row = completion_of(option);

    (void)verb;
    text_put(text, " \\\n            '");
    if (option->kind == CLI_LIST)
        text_put(text, "*");
    if (option->letter != 0)
        text_put(text, "(-%c --%s)'{-%c%s,--%s%s}'[", option->letter, option->name, option->letter,
                 row != NULL ? "+" : "", option->name, row != NULL ? "=" : "");
    else
        text_put(text, "--%s%s[", option->name, row != NULL ? "=" : "");
    completion_put_escaped(text, option->help, "[]\\:", QUOTE);
    text_put(text, "]");
    if (row != NULL) {
        text_put(text, ":");
        completion_put_escaped(text, option->argument, "[]\\:", QUOTE);
        text_put(text, ":");
        switch (row->kind) {
        case COMPLETE_FILE:
            text_put(text, "_files");
            break;
        case COMPLETE_DIRECTORY:
            text_put(text, "_files -/");
            break;
        case COMPLETE_WORDS:
        case COMPLETE_SERVER:
            text_put(text, "(");
            completion_put_words(text, row);
            text_put(text, ")");
            break;
        case COMPLETE_SOURCE:
        case COMPLETE_NAME:
            completion_put_template(text, program, row->kind == COMPLETE_NAME ? "_" ID "_names " : "_" ID "_source \"");
            completion_put_escaped(text, row->words, ":", QUOTE);
            text_put(text, "%s", row->kind == COMPLETE_NAME ? "" : "\"");
            break;
        case COMPLETE_FAULT:
            text_put(text, "(${${(f)\"$($tool --list-faults 2>/dev/null)\"}%%%% *})");
            break;
        case COMPLETE_NOTHING:
        case COMPLETE_COMMAND:
            text_put(text, " ");
            break;
        }
    }
    text_put(text, "'");
}

/* One word of a verb, with what it does. */
static void
put_word(struct text *text, const char *word, size_t len, const char *summary)
{
    text_put(text, "\n        '%.*s:", (int)len, word);
    completion_put_escaped(text, summary, ":", QUOTE);
    text_put(text, "'");
}

static void
put_first_words(struct text *text, const struct cli_program *program)
{
    text_put(text, "    verbs=(");
    for (size_t i = 0; i < program->verb_count; i++) {
        const struct cli_verb *verb = program->verbs[i];
        size_t len = strcspn(verb->name, " ");
        if (completion_is_first_of_group(program, i))
            put_word(text, verb->name, len, "needs one word more");
        else if (verb->name[len] == 0)
            put_word(text, verb->name, len, verb->summary);
    }
    text_put(text,
             "\n    )\n    if (( CURRENT == 2 )); then\n        _describe command verbs\n        return\n    fi\n");
}

static void
put_second_words(struct text *text, const struct cli_program *program)
{
    text_put(text, "    verbs=()\n    case ${words[2]} in\n");
    for (size_t i = 0; i < program->verb_count; i++) {
        const char *name = program->verbs[i]->name;
        size_t len = strcspn(name, " ");
        if (!completion_is_first_of_group(program, i))
            continue;
        text_put(text, "    %.*s) verbs=(", (int)len, name);
        for (size_t k = i; k < program->verb_count; k++) {
            const struct cli_verb *verb = program->verbs[k];
            if (strncmp(verb->name, name, len + 1) == 0)
                put_word(text, verb->name + len + 1, strlen(verb->name + len + 1), verb->summary);
        }
        text_put(text, "\n    ) ;;\n");
    }
    text_put(text, "    esac\n    if (( $#verbs && CURRENT == 3 )); then\n        _describe command verbs\n"
                   "        return\n    fi\n");
}

/* The words of the verb are taken off first: _arguments would count them as operands. */
static void
put_verb(struct text *text, const struct cli_program *program, const struct cli_verb *verb)
{
    static const char *const operands[] = {[COMPLETE_FILE] = " \\\n            '*:file:_files'",
                                           [COMPLETE_COMMAND] = " \\\n            '*:::command:_normal'"};
    enum completion_kind kind = completion_of_operands(verb);
    int word_count = verb->name[0] == 0 ? 0 : (strchr(verb->name, ' ') != NULL ? 2 : 1);

    text_put(text,
             word_count > 0 ? "    \"%s \"*)\n        shift %d words\n        (( CURRENT -= %d ))\n" : "    *)%s\n",
             verb->name, word_count, word_count);
    text_put(text, "        options=(");
    completion_put_options(text, program, verb, put_option);
    text_put(text, "%s)\n        _arguments -S : $options\n        ;;\n",
             kind == COMPLETE_FILE || kind == COMPLETE_COMMAND ? operands[kind] : "");
}

void
completion_put_zsh(struct text *text, const struct cli_program *program)
{
    completion_put_template(text, program, start);
    if (program->only == NULL) {
        put_first_words(text, program);
        put_second_words(text, program);
    }
    text_put(text, "    case \"${words[2,CURRENT-1]} \" in\n");
    for (size_t i = 0; i < completion_verb_count(program); i++)
        put_verb(text, program, completion_verb_at(program, i));
    completion_put_template(text, program, "    esac\n}\n_" ID " \"$@\"\n");
}
