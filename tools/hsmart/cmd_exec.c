/* hsmart exec: a program that gets an access token, without argv.
 *
 * It is given in memory that a descriptor leads to: unlike the environment, it is not handed on by programs that close
 * what they do not know, and does not end in crash reports and debug pages. The environment has only the names. */
#define _GNU_SOURCE /* memfd_create, F_ADD_SEALS */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client_target.h"
#include "err.h"
#include "file.h"
#include "process.h"
#include "report.h"
#include "text.h"
#include "verbs.h"

#define OPERANDS_MAX 65536U
#define FD_NUMBER_MAX 65535

struct exec_options {
    struct client_common client;
    struct cli_number min_validity_s;
    const char *env;
};

#define OWN(member) offsetof(struct exec_options, member)

static const struct cli_option exec_options[] = {
    {"min-validity", 0, "SECONDS", CLI_NUMBER, OWN(min_validity_s),
     "get one that is good for so long at least; default: a second", 0, 86400},
    {"env", 0, "VARIABLE", CLI_TEXT, OWN(env),
     "put the access token itself into this variable, for a program that reads no file", 0, 0},
};
static const struct cli_group exec_group = CLI_GROUP("Access token", exec_options);

/* ---- What the program is given ---- */

static enum hsmart_code
set_variable(const char *name, const char *value, hsmart_err *err)
{
    return setenv(name, value, 1) == 0 ? HSMART_OK : hs_err_no_memory(err);
}

/* Each opening of /dev/fd/N reads it from its beginning; nobody can change it. */
static enum hsmart_code
give_file(const char *variable, const char *name, struct hs_span contents, hsmart_err *err)
{
    char path[32];
    enum hsmart_code code;
    int fd = memfd_create(name, MFD_ALLOW_SEALING);

    if (fd < 0)
        return hs_err_errno(err, HSMART_INTERNAL, errno, "cannot make a file in memory");
    code = hs_file_write_fd(fd, "a file in memory", contents, err);
    if (code != HSMART_OK)
        return code;
    if (lseek(fd, 0, SEEK_SET) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
        return hs_err_errno(err, HSMART_INTERNAL, errno, "cannot seal a file in memory");
    (void)snprintf(path, sizeof path, "/dev/fd/%d", fd);
    return set_variable(variable, path, err);
}

static enum hsmart_code
give_files(const hsmart_access_token *access_token, hsmart_err *err)
{
    struct hs_buf header = {0};
    enum hsmart_code code =
        give_file("HSMART_ACCESS_TOKEN_FILE", "access-token", hs_span_str(access_token->value), err);

    if (code == HSMART_OK)
        code = hs_buf_append_format(&header, err, "Authorization: Bearer %s\n", access_token->value);
    if (code == HSMART_OK)
        code = give_file("HSMART_HEADER_FILE", "authorization-header", hs_span_buf(&header), err);
    hs_buf_clear(&header);
    return code;
}

static enum hsmart_code
give(const struct exec_options *own, const hsmart_access_token *access_token, hsmart_err *err)
{
    char expires_at[24];
    enum hsmart_code code =
        own->env != NULL ? set_variable(own->env, access_token->value, err) : give_files(access_token, err);

    (void)snprintf(expires_at, sizeof expires_at, "%lld", (long long)access_token->expires_at_s);
    return code == HSMART_OK ? set_variable("HSMART_ACCESS_TOKEN_EXPIRES_AT", expires_at, err) : code;
}

/* A descriptor that a PIN or secret comes from is not the program's. */
static void
keep_back(const char *source)
{
    long fd = 0;

    if (source != NULL && strncmp(source, "fd:", 3) == 0 &&
        hs_text_parse_number(source + 3, "fd", 3, FD_NUMBER_MAX, &fd, NULL) == HSMART_OK)
        (void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
}

/* ---- The whole ---- */

static enum hsmart_code
check_words(const struct cli_call *call, const struct exec_options *own, hsmart_err *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

    if (strcmp(call->operands[-1], "--") != 0) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"--\" is missing before the command \"%.60s\"",
                         call->operands[0]);
        hs_err_hint(err, "write: %s exec [options] -- COMMAND [ARGUMENT...]", call->program->name);
        return HSMART_INVALID_ARGUMENT;
    }
    if (own->env != NULL && (own->env[0] == 0 || own->env[strspn(own->env, allowed)] != 0 || own->env[0] <= '9')) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "--env \"%.60s\" is no name of a variable", own->env);
        hs_err_hint(err, "letters, digits and _ make one, for example EHR_ACCESS_TOKEN");
        return HSMART_INVALID_ARGUMENT;
    }
    return HSMART_OK;
}

static enum hsmart_code
get_access_token(const struct exec_options *own, hsmart_access_token **out_access_token, hsmart_err *err)
{
    enum hsmart_code code;
    struct client_target target = {0};
    hsmart_client *client = NULL;

    code = client_target_resolve(&own->client, &target, err);
    if (code == HSMART_OK)
        code = client_target_open(&target, &client, err);
    if (code == HSMART_OK)
        code = hsmart_client_access_token(client, (unsigned)own->min_validity_s.value, out_access_token, err);
    keep_back(target.options.secret_source);
    keep_back(target.target.token.pin_source);
    hsmart_client_free(client);
    client_target_clear(&target);
    return code;
}

/* The program takes this one's place: its signals, exit status and process id are its own. */
static enum hsmart_code
become(const struct cli_call *call, hsmart_err *err)
{
    process_soften();
    (void)execvp(call->operands[0], call->operands);
    (void)hs_err_errno(err, HSMART_INVALID_ARGUMENT, errno, "cannot run \"%.200s\"", call->operands[0]);
    hs_err_hint(err, "give the program by its path, or by a name that stands in $PATH");
    return HSMART_INVALID_ARGUMENT;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct exec_options *own = options;
    hsmart_access_token *access_token = NULL;

    code = check_words(call, own, err);
    if (code == HSMART_OK)
        code = get_access_token(own, &access_token, err);
    if (code == HSMART_OK)
        code = give(own, access_token, err);
    hsmart_access_token_free(access_token);
    return code == HSMART_OK ? become(call, err) : code;
}

const struct cli_verb verb_exec = {
    .name = "exec",
    .summary = "Runs a program that gets an access token: in files of its own in memory, never in its arguments.",
    .operands = "-- COMMAND [ARGUMENT...]",
    .operand_min = 1,
    .operand_max = OPERANDS_MAX,
    .options_size = sizeof(struct exec_options),
    .groups = {&exec_group, &client_group, &client_group_network, &cli_group_one_key, &cli_group_token,
               &cli_group_quiet},
    .example =
        "  hsmart exec --client epic -- sh -c 'curl -H @$HSMART_HEADER_FILE https://ehr.example/fhir/Patient/1'\n"
        "  hsmart exec --client epic --min-validity 300 --env EHR_ACCESS_TOKEN -- ./nightly-export\n",
    .run = run,
};
