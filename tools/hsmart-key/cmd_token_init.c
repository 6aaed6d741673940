/* hsmart-key token init: sets a token up, with the security officer's and the user's PIN. */
#include <unistd.h>

#include "err.h"
#include "report.h"
#include "target.h"
#include "verbs.h"

struct token_init_options {
    struct cli_common common;
    const char *label, *so_pin_source;
    bool reinitialise;
};

static const struct cli_option init_options[] = {
    {"label", 0, "LABEL", CLI_TEXT, offsetof(struct token_init_options, label),
     "what the token will be called, 1 to 32 bytes; required", 0, 0},
    {"so-pin-source", 0, "SOURCE", CLI_TEXT, offsetof(struct token_init_options, so_pin_source),
     "where the security officer's PIN comes from, as --pin-source, which gives the user's; default: prompt on a "
     "terminal",
     0, 0},
    {"reinitialise", 0, NULL, CLI_FLAG, offsetof(struct token_init_options, reinitialise),
     "also a token that is initialised already; DESTROYS EVERY KEY ON IT", 0, 0},
};
static const struct cli_group init_group = CLI_GROUP("Initialisation", init_options);

static enum hsmart_code
choose_so_pin_source(const char *given, const char **out_source, hsmart_err *err)
{
    if (given == NULL && !(isatty(STDIN_FILENO) && isatty(STDERR_FILENO))) {
        (void)hs_err_set(err, HSMART_PIN_UNAVAILABLE,
                         "no source of the security officer's PIN is given, and there is no terminal to ask on");
        hs_err_hint(err, "give --so-pin-source file:PATH, credential:NAME, fd:N, exec:COMMAND or pinpad");
        return HSMART_PIN_UNAVAILABLE;
    }
    *out_source = given != NULL ? given : "prompt";
    return HSMART_OK;
}

/* A token is destroyed only when it was named. */
static enum hsmart_code
check_words(const struct token_init_options *own, hsmart_err *err)
{
    if (own->label == NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--label is required: what the token will be called");
    if (own->reinitialise && own->common.token_uri == NULL && own->common.token == NULL) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "--reinitialise needs the token to be named");
        hs_err_hint(err, "give --token-uri 'pkcs11:token=LABEL;serial=SERIAL', as \"hsmart-key token list\" prints it");
        return HSMART_INVALID_ARGUMENT;
    }
    return HSMART_OK;
}

/* The configuration names the token as it will be. While there is none of that name, the first one that is not
 * initialised is meant; once there is, that is the one, and it is refused. */
static enum hsmart_code
forget_a_uri_of_the_future(const struct token_init_options *own, hsmart_token_options *token, hsmart_err *err)
{
    enum hsmart_code code;
    hsmart_token_list *list = NULL;

    if (own->common.token_uri != NULL || token->uri == NULL || own->reinitialise)
        return HSMART_OK;
    code = hsmart_token_list_read(token, &list, err);
    if (code == HSMART_OK && list->count == 0)
        token->uri = NULL;
    hsmart_token_list_free(list);
    return code;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct token_init_options *own = options;
    hsmart_token_init_options init = {.label = own->label, .reinitialize = own->reinitialise};
    struct target target = {0};

    (void)call;
    code = check_words(own, err);
    if (code == HSMART_OK)
        code = target_resolve(&own->common, TARGET_LOGIN, &target, err);
    if (code == HSMART_OK)
        code = choose_so_pin_source(own->so_pin_source, &init.so_pin_source, err);
    if (code == HSMART_OK)
        code = forget_a_uri_of_the_future(own, &target.token, err);
    if (code == HSMART_OK)
        code = hsmart_token_init(&target.token, &init, err);
    if (code == HSMART_OK)
        report_note("token \"%s\" is initialised, and its user PIN is set", own->label);
    target_clear(&target);
    return code;
}

const struct cli_verb verb_token_init = {
    .name = "token init",
    .summary = "Initialises a token and sets its user PIN.",
    .options_size = sizeof(struct token_init_options),
    .groups = {&init_group, &cli_group_token, &cli_group_quiet},
    .example = "  hsmart-key token init --module /usr/lib/softhsm/libsofthsm2.so --label prod \\\n"
               "      --so-pin-source file:/root/prod.so-pin --pin-source file:/etc/hsmart/prod.pin\n",
    .run = run,
};
