/* Completion for fish. */
#include <stdio.h>
#include <string.h>

#include "completion.h"

#define QUOTE "\\'"

static const char start[] =
    "# fish completion of " PROGRAM ", made by `" PROGRAM " --completion fish`\n"
    "complete -c " PROGRAM " -f\n"
    "function __" ID "_is # whether these are the command's words so far\n"
    "    set -l words (commandline -opc)[2..-1]\n"
    "    set -l verb (string match -v -- '-*' $words)\n"
    "    if test -z \"$argv[1]\"; test (count $words) -eq 0; return; end\n"
    "    string match -q -- \"$argv[1] *\" \"$verb \"; and not contains -- -- $words\n"
    "end\n"
    "function __" ID "_needs # whether the second word of this command comes next\n"
    "    set -l words (commandline -opc)[2..-1]\n"
    "    test (count $words) -eq 1; and test \"$words[1]\" = $argv[1]\n"
    "end\n"
    "function __" ID "_names # names of the configuration file\n"
    "    set -l words (commandline -opc)\n"
    "    set -l at (contains -i -- --config $words); and set -l config $words[(math $at + 1)]\n"
    "    $words[1] --completion $argv[1] $config 2>/dev/null\n"
    "end\n"
    "function __" ID "_source # where a secret comes from\n"
    "    set -l path (string match -r -g -- '^(?:--[a-z-]+=)?file:(.*)' (commandline -ct))\n"
    "    or begin; string split ' ' -- $argv[1]; return; end\n"
    "    for found in $path*\n"
    "        test -d $found; and set found $found/\n"
    "        echo file:$found\n"
    "    end\n"
    "end\n"
    "function __" ID "_command # what stands after --\n"
    "    set -l words (commandline -opc)\n"
    "    set -l at (contains -i -- -- $words); or return\n"
    "    complete -C (string join ' ' -- (string escape -- $words[(math $at + 1)..-1]) (commandline -ct))\n"
    "end\n";

static void
put_is(struct text *text, const struct cli_program *program, const char *words)
{
    completion_put_template(text, program, " -n '__" ID "_is \"");
    text_put(text, "%s\"'", words);
}

static void
put_argument(struct text *text, const struct cli_program *program, const struct completion *row)
{
    switch (row->kind) {
    case COMPLETE_FILE:
    case COMPLETE_DIRECTORY:
        text_put(text, row->kind == COMPLETE_FILE ? " -r -F" : " -x -a '(__fish_complete_directories)'");
        break;
    case COMPLETE_WORDS:
    case COMPLETE_SERVER:
        text_put(text, " -x -a '");
        completion_put_words(text, row);
        text_put(text, "'");
        break;
    case COMPLETE_SOURCE:
    case COMPLETE_NAME:
        completion_put_template(text, program, " -x -a '(__" ID);
        text_put(text, row->kind == COMPLETE_NAME ? "_names %s)'" : "_source \"%s\")'", row->words);
        break;
    case COMPLETE_FAULT:
        completion_put_template(text, program, " -x -a '(" PROGRAM " --list-faults | string replace -r \" .*\" \"\")'");
        break;
    case COMPLETE_NOTHING:
    case COMPLETE_COMMAND:
        text_put(text, " -x");
        break;
    }
}

static void
put_option(struct text *text, const struct cli_program *program, const struct cli_verb *verb,
           const struct cli_option *option)
{
    const struct completion *row = completion_of(option);

    text_put(text, "complete -c %s", program->name);
    if (verb->name[0] != 0)
        put_is(text, program, verb->name);
    text_put(text, " -l %s", option->name);
    if (option->letter != 0)
        text_put(text, " -s %c", option->letter);
    if (row != NULL)
        put_argument(text, program, row);
    text_put(text, " -d '");
    completion_put_escaped(text, option->help, "\\", QUOTE);
    text_put(text, "'\n");
}

static void
put_verb(struct text *text, const struct cli_program *program, size_t index)
{
    const struct cli_verb *verb = program->verbs[index];
    size_t first_len = strcspn(verb->name, " ");
    bool has_second = verb->name[first_len] == ' ';

    text_put(text, "complete -c %s", program->name);
    if (has_second) {
        completion_put_template(text, program, " -n '__" ID "_needs ");
        text_put(text, "%.*s'", (int)first_len, verb->name);
    } else {
        put_is(text, program, "");
    }
    text_put(text, " -a '%s' -d '", has_second ? verb->name + first_len + 1 : verb->name);
    completion_put_escaped(text, verb->summary, "\\", QUOTE);
    text_put(text, "'\n");
    if (completion_is_first_of_group(program, index)) {
        text_put(text, "complete -c %s", program->name);
        put_is(text, program, "");
        text_put(text, " -a '%.*s' -d 'needs one word more'\n", (int)first_len, verb->name);
    }
    if (completion_of_operands(verb) == COMPLETE_FILE) {
        text_put(text, "complete -c %s", program->name);
        put_is(text, program, verb->name);
        text_put(text, " -F\n");
    } else if (completion_of_operands(verb) == COMPLETE_COMMAND) {
        completion_put_template(text, program, "complete -c " PROGRAM " -a '(__" ID "_command)'\n");
    }
}

void
completion_put_fish(struct text *text, const struct cli_program *program)
{
    completion_put_template(text, program, start);
    for (size_t i = 0; i < completion_verb_count(program); i++) {
        if (program->only == NULL)
            put_verb(text, program, i);
        completion_put_options(text, program, completion_verb_at(program, i), put_option);
    }
}
