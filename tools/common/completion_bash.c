/* Completion for bash. It needs nothing of the package bash-completion, which loads it when it is there. */
#include <stdio.h>
#include <string.h>

#include "completion.h"

/* readline breaks words at "=" and ":", so --out=FILE and file:PATH come in pieces: they are joined first, and what
 * stands before the piece under the cursor is taken off each answer again. */
static const char start[] =
    "# bash completion of " PROGRAM ", made by `" PROGRAM " --completion bash`\n"
    "_" ID "()\n"
    "{\n"
    "    local line=() piece=${COMP_WORDS[COMP_CWORD]} i word\n"
    "    COMPREPLY=()\n"
    "    for ((i = 1; i <= COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if ((i > 1)) && [[ $word =~ ^[=:]+$ || ${COMP_WORDS[i-1]} =~ ^[=:]+$ ]]; then\n"
    "            line[-1]+=$word\n"
    "        else\n"
    "            line+=(\"$word\")\n"
    "        fi\n"
    "    done\n"
    "    [[ $piece =~ ^[=:]+$ ]] && piece=''\n"
    "    local cur=${line[-1]} before=' ' option='' verb='' what='' words='' lead=''\n"
    "    for word in \"${line[@]:0:${#line[@]}-1}\"; do before+=\"$word \"; done\n"
    "    local cut=${cur%\"$piece\"}\n"
    "    ((${#line[@]} > 1)) && option=${line[-2]}\n"
    "    if [[ $cur == --*=* ]]; then\n"
    "        option=${cur%%=*} lead=${cur%%=*}= cur=${cur#*=}\n"
    "    fi\n";

static const char first_word[] = /* before the verb is whole: its next word */
    "    *)\n"
    "        while read -r words; do\n"
    "            [[ \" $words\" == \"${before% }\"* ]] || continue\n"
    "            words=\" $words\" words=${words#\"$before\"} words=${words%% *}\n"
    "            [[ $words == \"$cur\"* ]] && COMPREPLY+=(\"$words\")\n"
    "        done <<'END'\n";

/* Names and files are taken as they are: compgen -W would expand what stands in them. */
static const char answer[] =
    "    case $what in\n"
    "    file) mapfile -t words < <(compgen -f -- \"$cur\") ;;\n"
    "    directory) mapfile -t words < <(compgen -d -- \"$cur\") ;;\n"
    "    command) mapfile -t words < <(compgen -c -- \"$cur\") ;;\n"
    "    name:*)\n"
    "        word=\n"
    "        for ((i = 0; i + 1 < ${#line[@]}; i++)); do\n"
    "            [[ ${line[i]} == --config ]] && word=${line[i+1]}\n"
    "            [[ ${line[i]} == --config=* ]] && word=${line[i]#*=}\n"
    "        done\n"
    "        mapfile -t words < <(\"$1\" --completion \"${what#name:}\" ${word:+\"$word\"} 2>/dev/null)\n"
    "        for i in \"${!words[@]}\"; do printf -v 'words[i]' %q \"${words[i]}\"; done ;;\n"
    "    fault) mapfile -t words < <(\"$1\" --list-faults 2>/dev/null) && words=(\"${words[@]%% *}\") ;;\n"
    "    source:*)\n"
    "        if [[ $cur == file:* ]]; then\n"
    "            lead+=file: cur=${cur#file:} what=file\n"
    "            mapfile -t words < <(compgen -f -- \"$cur\")\n"
    "        else\n"
    "            read -ra words <<<\"${what#source:}\"\n"
    "        fi ;;\n"
    "    words:*) read -ra words <<<\"${what#words:}\" ;;\n"
    "    esac\n"
    "    [[ $what == file || $what == directory ]] && compopt -o filenames\n"
    "    for word in \"${words[@]}\"; do\n"
    "        [[ $word == \"$cur\"* ]] || continue\n"
    "        word=$lead$word\n"
    "        COMPREPLY+=(\"${word#\"$cut\"}\")\n"
    "    done\n"
    "    [[ ${COMPREPLY[0]} != *: ]] || compopt -o nospace\n"
    "}\n"
    "complete -F _" ID " " PROGRAM "\n";

static void
put_option_name(struct text *text, const struct cli_program *program, const struct cli_verb *verb,
                const struct cli_option *option)
{
    (void)program, (void)verb;
    text_put(text, " --%s", option->name);
}

/* What follows the option, in the words of the template above. */
static void
put_argument(struct text *text, const struct cli_program *program, const struct cli_verb *verb,
             const struct cli_option *option)
{
    static const char *const whats[] = {
        [COMPLETE_NOTHING] = "nothing", [COMPLETE_FILE] = "file",      [COMPLETE_DIRECTORY] = "directory",
        [COMPLETE_WORDS] = "words:",    [COMPLETE_SOURCE] = "source:", [COMPLETE_NAME] = "name:",
        [COMPLETE_SERVER] = "words:",   [COMPLETE_FAULT] = "fault",    [COMPLETE_COMMAND] = "command"};
    const struct completion *row = completion_of(option);

    (void)program;
    if (row == NULL)
        return;
    text_put(text, "    '%s --%s'", verb->name, option->name);
    if (option->letter != 0)
        text_put(text, " | '%s -%c'", verb->name, option->letter);
    text_put(text, ") what='%s", whats[row->kind]);
    completion_put_words(text, row);
    text_put(text, "' ;;\n");
}

static void
put_verbs(struct text *text, const struct cli_program *program)
{
    text_put(text, "    case $before in\n");
    for (size_t i = 0; i < program->verb_count; i++)
        text_put(text, "    ' %s '*) verb='%s' ;;\n", program->verbs[i]->name, program->verbs[i]->name);
    completion_put_template(text, program, first_word);
    for (size_t i = 0; i < program->verb_count; i++)
        text_put(text, "%s\n", program->verbs[i]->name);
    text_put(text, "--help\n--version\nEND\n        return ;;\n    esac\n");
}

/* Options, or operands of the verb, where no argument of an option is wanted. */
static void
put_operands(struct text *text, const struct cli_program *program)
{
    text_put(text, "    if [[ $what == '' ]]; then\n        case $verb in\n");
    for (size_t i = 0; i < completion_verb_count(program); i++) {
        const struct cli_verb *verb = completion_verb_at(program, i);
        enum completion_kind kind = completion_of_operands(verb);
        text_put(text, "        '%s') what=%s words='", verb->name,
                 kind == COMPLETE_FILE ? "file" : (kind == COMPLETE_COMMAND ? "command" : "''"));
        completion_put_options(text, program, verb, put_option_name);
        text_put(text, "' ;;\n");
    }
    text_put(text, "        esac\n"
                   "        if [[ $before == *' -- '* ]]; then\n"
                   "            [[ $what == command && $before != *' -- ' ]] && what='file'\n"
                   "        elif [[ $cur == -* || $what == '' || $what == command ]]; then\n"
                   "            what=words:$words\n"
                   "        fi\n"
                   "    fi\n");
}

void
completion_put_bash(struct text *text, const struct cli_program *program)
{
    completion_put_template(text, program, start);
    if (program->only == NULL)
        put_verbs(text, program);
    text_put(text, "    [[ $before == *' -- '* ]] && option=''\n    case \"$verb $option\" in\n");
    for (size_t i = 0; i < completion_verb_count(program); i++)
        completion_put_options(text, program, completion_verb_at(program, i), put_argument);
    text_put(text, "    esac\n");
    put_operands(text, program);
    completion_put_template(text, program, answer);
}
