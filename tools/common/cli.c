#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hsmart/version.h>

#include "cli_internal.h"
#include "err.h"
#include "output.h"
#include "process.h"
#include "report.h"
#include "text.h"

/* ---- Which verb ---- */

/* How many words of `argv` the verb's name takes; 0: it is another verb. */
static int
words_matched(const char *verb_name, int argc, char **argv)
{
    int words = 0;

    while (words < argc) {
        size_t len = strcspn(verb_name, " ");
        if (strlen(argv[words]) != len || strncmp(verb_name, argv[words], len) != 0)
            return 0;
        words++;
        if (verb_name[len] == 0)
            return words;
        verb_name += len + 1;
    }
    return 0;
}

static const struct cli_verb *
find_verb(const struct cli_program *program, int argc, char **argv, int *out_words)
{
    for (size_t i = 0; i < program->verb_count; i++) {
        *out_words = words_matched(program->verbs[i]->name, argc, argv);
        if (*out_words > 0)
            return program->verbs[i];
    }
    return NULL;
}

/* Whether `word` begins the name of verbs of two words, such as "token". */
static bool
is_first_word(const struct cli_program *program, const char *word)
{
    size_t len = strlen(word);

    for (size_t i = 0; i < program->verb_count; i++)
        if (strncmp(program->verbs[i]->name, word, len) == 0 && program->verbs[i]->name[len] == ' ')
            return true;
    return false;
}

static enum hsmart_code
unknown_verb(const struct cli_program *program, int argc, char **argv, hsmart_err *err)
{
    char given[128];
    const char *nearest = NULL;
    size_t nearest_distance = SIZE_MAX;
    bool of_two_words = is_first_word(program, argv[0]) && argc > 1;

    (void)snprintf(given, sizeof given, "%s%s%s", argv[0], of_two_words ? " " : "", of_two_words ? argv[1] : "");
    for (size_t i = 0; i < program->verb_count; i++) {
        size_t distance = hs_text_distance(given, program->verbs[i]->name);
        if (distance < nearest_distance) {
            nearest = program->verbs[i]->name;
            nearest_distance = distance;
        }
    }
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "%s \"%s\"",
                     given[0] == '-' ? "a command comes first, not" : "unknown command", given);
    if (is_first_word(program, argv[0]) && argc == 1) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%s\" needs one word more", given);
        hs_err_hint(err, "\"%s %s --help\" lists the commands that begin so", program->name, given);
    } else if (nearest != NULL && hs_text_is_near(given, nearest_distance)) {
        hs_err_hint(err, "did you mean \"%s %s\"?", program->name, nearest);
    } else {
        hs_err_hint(err, "\"%s --help\" lists the commands", program->name);
    }
    return HSMART_INVALID_ARGUMENT;
}

/* ---- What runs without a verb ---- */

static enum hsmart_code
print(struct hs_buf *text, hsmart_err *err)
{
    enum hsmart_code code = output_write(NULL, 0, hs_span_buf(text), err);

    hs_buf_clear(text);
    return code;
}

static enum hsmart_code
show_version(const struct cli_program *program, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = hs_buf_append_format(&text, err, "%s %s\n", program->name, hsmart_version());

    return code == HSMART_OK ? print(&text, err) : code;
}

static enum hsmart_code
show_commands(const struct cli_program *program, const char *prefix, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = cli_help_program(program, prefix, &text, err);

    return code == HSMART_OK ? print(&text, err) : code;
}

static enum hsmart_code
show_help(const struct cli_program *program, const struct cli_verb *verb, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = cli_help_verb(program, verb, &text, err);

    return code == HSMART_OK ? print(&text, err) : code;
}

static enum hsmart_code
show_completion(const struct cli_program *program, char *const *words, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = cli_completion(program, words[0], words[0] != NULL ? words[1] : NULL, &text, err);

    return code == HSMART_OK ? print(&text, err) : code;
}

static bool
is_one_of(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

/* ---- Running ---- */

/* A PIN in the environment is inherited by every child and readable in /proc: whoever sets one has to learn it. */
static enum hsmart_code
check_environment(hsmart_err *err)
{
    static const char *const refused[] = {"HSMART_PIN", "HSMART_PIN_VALUE", "HSMART_SO_PIN", "HSMART_USER_PIN"};

    for (size_t i = 0; i < HS_ARRAY_LEN(refused); i++)
        if (getenv(refused[i]) != NULL) {
            (void)hs_err_set(err, HSMART_INVALID_ARGUMENT,
                             "a PIN in the environment variable %s is refused: every child process inherits it",
                             refused[i]);
            hs_err_hint(err, "unset %s and give --pin-source file:PATH, credential:NAME, fd:N, exec:COMMAND, prompt or "
                             "pinpad", refused[i]);
            return HSMART_INVALID_ARGUMENT;
        }
    return HSMART_OK;
}

static enum hsmart_code
run_verb(const struct cli_program *program, const struct cli_verb *verb, int argc, char **argv, hsmart_err *err)
{
    enum hsmart_code code;
    struct cli_call call = {0};
    struct cli_common *common = hs_calloc(1, verb->options_size);

    if (common == NULL)
        return hs_err_no_memory(err);
    code = cli_parse(program, verb, argc, argv, common, &call, err);
    if (code != HSMART_OK)
        goto out;
    report_configure(&(struct report_settings){program->name, common->verbose, common->quiet});
    if (common->help)
        code = show_help(program, verb, err);
    else if (common->version)
        code = show_version(program, err);
    else if ((code = check_environment(err)) == HSMART_OK)
        code = verb->run(&call, common, err);
out:
    cli_options_clear(verb, common);
    hs_free(common);
    return code;
}

static enum hsmart_code
dispatch(const struct cli_program *program, int argc, char **argv, hsmart_err *err)
{
    int words = 0;

    if (argc > 1 && strcmp(argv[1], "--completion") == 0) /* for packagers, before anything else is looked at */
        return show_completion(program, argv + 2, err);
    if (program->only != NULL)
        return run_verb(program, program->only, argc, argv, err);
    if (argc < 2) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "a command is needed");
        hs_err_hint(err, "\"%s --help\" lists the commands", program->name);
        return HSMART_INVALID_ARGUMENT;
    }
    if (is_one_of(argv[1], "--version", "-V"))
        return show_version(program, err);
    if (is_one_of(argv[1], "--help", "-h"))
        return show_commands(program, "", err);
    if (is_first_word(program, argv[1]) && argc > 2 && is_one_of(argv[2], "--help", "-h"))
        return show_commands(program, argv[1], err);

    const struct cli_verb *verb = find_verb(program, argc - 1, argv + 1, &words);
    if (verb == NULL)
        return unknown_verb(program, argc - 1, argv + 1, err);
    return run_verb(program, verb, argc - words, argv + words, err);
}

int
cli_main(const struct cli_program *program, int argc, char **argv)
{
    hsmart_err err = {0};

    process_harden();
    report_configure(&(struct report_settings){.program = program->name});
    enum hsmart_code code = dispatch(program, argc, argv, &err);
    if (code == HSMART_OK)
        code = output_close(&err);
    if (code == HSMART_OK)
        return HS_EXIT_OK;
    err.code = code;
    return report_error(&err);
}
