/* Completion for shells, from the tables: what --help knows, the Tab key knows. */
#include <stdio.h>
#include <string.h>

#include <hsmart/client.h>

#include "completion.h"
#include "config.h"
#include "err.h"

#define ALGS "RS384 ES384 RS256 RS512 PS256 PS384 PS512 ES256 ES512"
#define QUIRKS "serial-start rw-sessions no-allowed-mechanisms no-decrypt-false no-lockout sigpipe"
#define SECRET_SOURCES "file: credential: fd: exec: prompt"

/* By the argument's name in --help; a row with an option comes before the one for any. */
static const struct completion rows[] = {
    {"FILE", NULL, COMPLETE_FILE, NULL},
    {"FILE|URL", NULL, COMPLETE_FILE, NULL},
    {"PATH", NULL, COMPLETE_FILE, NULL},
    {"RECORD", NULL, COMPLETE_FILE, NULL},
    {"DIR", NULL, COMPLETE_DIRECTORY, NULL},
    {"ALG", NULL, COMPLETE_WORDS, ALGS},
    {"FORMAT", NULL, COMPLETE_WORDS, "jwk jwks pem csr x509"},
    {"METHOD", NULL, COMPLETE_WORDS, "private_key_jwt client_secret_basic client_secret_post"},
    {"NAMES", "quirks", COMPLETE_WORDS, QUIRKS},
    {"DAY", "from", COMPLETE_WORDS, "today tomorrow"},
    {"TIME", "at", COMPLETE_WORDS, "now"},
    {"SOURCE", "secret-source", COMPLETE_SOURCE, SECRET_SOURCES},
    {"SOURCE", "initial-access-token-source", COMPLETE_SOURCE, SECRET_SOURCES},
    {"SOURCE", NULL, COMPLETE_SOURCE, SECRET_SOURCES " pinpad"},
    {"NAME", "client", COMPLETE_NAME, "client"},
    {"NAME", "key", COMPLETE_NAME, "key"},
    {"NAME", "token", COMPLETE_NAME, "token"},
    {"ROW", NULL, COMPLETE_SERVER, NULL},
    {"FAULT", NULL, COMPLETE_FAULT, NULL},
};
static const struct completion anything = {NULL, NULL, COMPLETE_NOTHING, NULL};

const struct completion *
completion_of(const struct cli_option *option)
{
    if (option->argument == NULL)
        return NULL;
    for (size_t i = 0; i < HS_ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].argument, option->argument) == 0 &&
            (rows[i].option == NULL || strcmp(rows[i].option, option->name) == 0))
            return &rows[i];
    return &anything;
}

enum completion_kind
completion_of_operands(const struct cli_verb *verb)
{
    static const struct completion operands[] = {
        {"FILE", NULL, COMPLETE_FILE, NULL},
        {"PLAN", NULL, COMPLETE_FILE, NULL},
        {"RECORD", NULL, COMPLETE_FILE, NULL},
        {"COMMAND", NULL, COMPLETE_COMMAND, NULL},
    };

    for (size_t i = 0; verb->operands != NULL && i < HS_ARRAY_LEN(operands); i++)
        if (strstr(verb->operands, operands[i].argument) != NULL)
            return operands[i].kind;
    return COMPLETE_NOTHING;
}

void
completion_put_words(struct text *text, const struct completion *row)
{
    hsmart_server server = {0};

    if (row->words != NULL)
        text_put(text, "%s", row->words);
    for (size_t i = 0; row->kind == COMPLETE_SERVER && hsmart_server_at(i, &server); i++)
        text_put(text, "%s%s", i > 0 ? " " : "", server.name);
}

/* ---- The tables of a program ---- */

void
completion_put_options(struct text *text, const struct cli_program *program, const struct cli_verb *verb,
                       put_option_fn put)
{
    for (size_t g = 0; g < CLI_GROUPS_MAX && verb->groups[g] != NULL; g++)
        for (size_t i = 0; i < verb->groups[g]->count; i++)
            if (verb->groups[g]->options[i].kind != CLI_REFUSED)
                put(text, program, verb, &verb->groups[g]->options[i]);
}

size_t
completion_verb_count(const struct cli_program *program)
{
    return program->only != NULL ? 1 : program->verb_count;
}

const struct cli_verb *
completion_verb_at(const struct cli_program *program, size_t index)
{
    return program->only != NULL ? program->only : program->verbs[index];
}

bool
completion_is_first_of_group(const struct cli_program *program, size_t index)
{
    const char *name = program->verbs[index]->name;
    size_t len = strcspn(name, " ");

    if (name[len] == 0)
        return false;
    for (size_t i = 0; i < index; i++)
        if (strncmp(program->verbs[i]->name, name, len + 1) == 0)
            return false;
    return true;
}

/* ---- Text ---- */

static void
put_identifier(struct text *text, const char *name)
{
    for (; *name != 0; name++)
        text_put(text, "%c", *name == '-' ? '_' : *name);
}

void
completion_put_template(struct text *text, const struct cli_program *program, const char *lines)
{
    for (; *lines != 0; lines++) {
        if (*lines == PROGRAM[0])
            text_put(text, "%s", program->name);
        else if (*lines == ID[0])
            put_identifier(text, program->name);
        else
            text_put(text, "%c", *lines);
    }
}

void
completion_put_escaped(struct text *text, const char *words, const char *special, const char *quote)
{
    for (; *words != 0; words++) {
        if (*words == '\'')
            text_put(text, "%s", quote);
        else
            text_put(text, "%s%c", strchr(special, *words) != NULL ? "\\" : "", *words);
    }
}

/* ---- --completion ---- */

static enum hsmart_code
put_script(const struct cli_program *program, void (*put)(struct text *text, const struct cli_program *program),
           struct hs_buf *out, hsmart_err *err)
{
    struct text text = {.out = out};

    put(&text, program);
    return text_finish(&text, err);
}

/* The names of one kind of section, one a line. */
static enum hsmart_code
put_names(const char *kind, const char *config_file, struct hs_buf *out, hsmart_err *err)
{
    struct hs_buf path = {0}, names = {0};
    struct hs_config *config = NULL;
    struct text text = {.out = out};
    enum hsmart_code code = hs_config_find(config_file, &path, err);

    if (code == HSMART_OK && path.len > 0)
        code = hs_config_load(hs_buf_text(&path), &config, err);
    if (code == HSMART_OK)
        code = hs_config_names(config, kind, &names, err);
    for (const char *at = code == HSMART_OK && names.len > 0 ? hs_buf_text(&names) : ""; *at != 0;) {
        size_t len = strcspn(at, ",");
        text_put(&text, "%.*s\n", (int)len, at);
        at += len;
        at += strspn(at, ", ");
    }
    hs_buf_clear(&names);
    hs_buf_clear(&path);
    hs_config_free(config);
    return code == HSMART_OK ? text_finish(&text, err) : code;
}

enum hsmart_code
cli_completion(const struct cli_program *program, const char *what, const char *config_file, struct hs_buf *out,
               hsmart_err *err)
{
    static const struct {
        const char *shell;
        void (*put)(struct text *text, const struct cli_program *program);
    } shells[] = {{"bash", completion_put_bash}, {"zsh", completion_put_zsh}, {"fish", completion_put_fish}};

    for (size_t i = 0; what != NULL && i < HS_ARRAY_LEN(shells); i++)
        if (strcmp(what, shells[i].shell) == 0)
            return put_script(program, shells[i].put, out, err);
    for (size_t i = 0; what != NULL && i < HS_ARRAY_LEN(rows); i++)
        if (rows[i].kind == COMPLETE_NAME && strcmp(what, rows[i].words) == 0)
            return put_names(what, config_file, out, err);
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "--completion needs the name of a shell%s%s%s",
                     what != NULL ? ", not \"" : "", what != NULL ? what : "", what != NULL ? "\"" : "");
    hs_err_hint(err, "bash, zsh or fish; or client, key or token for the names in the configuration file");
    return HSMART_INVALID_ARGUMENT;
}
