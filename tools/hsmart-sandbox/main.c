#define _GNU_SOURCE /* realpath */
/* hsmart-sandbox: a local SMART server for tests of clients, as strict as the strictest. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "check.h"
#include "clock.h"
#include "err.h"
#include "file.h"
#include "front.h"
#include "output.h"
#include "registration.h"
#include "report.h"

#define WATCH_INTERVAL_MS 500
#define JWKS_MAX_FILE_LEN (1U << 20)

extern const struct hs_span embedded_fhir_ndjson;

struct options {
    struct cli_common common;
    const char *address, *name, *directory, *ready_file;
    struct cli_number port, lifetime_s, request_time_s;
    bool http, strict, list_faults;
    const char *server, *client, *jwks, *jwks_uri, *secret_file, *scope, *clients, *data, *jwks_ca, *initial_token_file;
    struct cli_number token_life_s, jwks_life_s, jwks_reread_s;
    struct cli_list faults;
};

#define AT(member) offsetof(struct options, member)

static const struct cli_option server_options[] = {
    {"port", 'p', "N", CLI_NUMBER, AT(port), "the port; default 0: a free one", 0, 65535},
    {"listen", 0, "ADDRESS", CLI_TEXT, AT(address), "the IP address; default 127.0.0.1", 0, 0},
    {"name", 0, "HOST", CLI_TEXT, AT(name), "the host in URLs and in the certificate; default: the address", 0, 0},
    {"http", 0, NULL, CLI_FLAG, AT(http), "without TLS; on loopback only", 0, 0},
    {"directory", 0, "DIR", CLI_TEXT, AT(directory),
     "keep the CA there, for the next run too; default: a temporary directory", 0, 0},
    {"ready-file", 0, "FILE", CLI_TEXT, AT(ready_file),
     "written, with the line of standard output, as soon as requests are taken", 0, 0},
    {"request-time", 0, "SECONDS", CLI_NUMBER, AT(request_time_s),
     "a request that takes longer to arrive, or an answer to be taken, is dropped; default 60", 1, 600},
    {"lifetime", 0, "SECONDS", CLI_NUMBER, AT(lifetime_s), "end after so long; default: on SIGTERM or SIGINT", 1,
     30L * 86400},
};
static const struct cli_option behaviour_options[] = {
    {"server", 0, "ROW", CLI_TEXT, AT(server), "behave as this family of servers (docs/servers.md); default smart", 0,
     0},
    {"strict", 0, NULL, CLI_FLAG, AT(strict), "apply every rule of every family, and answer with all findings", 0, 0},
    {"fault", 0, "FAULT", CLI_LIST, AT(faults), "let this go wrong, as in token.503-once; may be given several times",
     0, 0},
    {"list-faults", 0, NULL, CLI_FLAG, AT(list_faults), "list the faults and end", 0, 0},
    {"token-life", 0, "SECONDS", CLI_NUMBER, AT(token_life_s), "of access tokens; default: the family's, else 300", 1,
     86400},
    {"jwks-life", 0, "SECONDS", CLI_NUMBER, AT(jwks_life_s),
     "a key set that was fetched is kept no longer, whatever its Cache-Control says; default: the family's, else a day",
     1, 86400},
    {"jwks-reread", 0, "SECONDS", CLI_NUMBER, AT(jwks_reread_s),
     "for an unknown kid, a JWKS URL is read again after so long at the earliest; default 10", 0, 86400},
    {"data", 0, "FILE", CLI_TEXT, AT(data), "FHIR resources, one a line (NDJSON), instead of the built-in ones", 0, 0},
};
static const struct cli_option client_options[] = {
    {"client", 0, "ID", CLI_TEXT, AT(client), "a client that is registered from the start", 0, 0},
    {"jwks", 0, "FILE", CLI_TEXT, AT(jwks), "its key set", 0, 0},
    {"jwks-uri", 0, "URL", CLI_TEXT, AT(jwks_uri), "or where it is published", 0, 0},
    {"secret-file", 0, "FILE", CLI_TEXT, AT(secret_file), "or its secret, for client_secret_basic", 0, 0},
    {"scope", 0, "SCOPES", CLI_TEXT, AT(scope), "what it may ask for; default: anything", 0, 0},
    {"clients", 0, "FILE", CLI_TEXT, AT(clients), "more clients, as JSON (hsmart-sandbox(1))", 0, 0},
    {"jwks-ca", 0, "FILE", CLI_TEXT, AT(jwks_ca), "further CA certificates for JWKS URLs, PEM", 0, 0},
    {"initial-token-file", 0, "FILE", CLI_TEXT, AT(initial_token_file),
     "registration needs the initial access token in this file", 0, 0},
};
static const struct cli_group server_group = CLI_GROUP("Server", server_options);
static const struct cli_group behaviour_group = CLI_GROUP("Behaviour", behaviour_options);
static const struct cli_group client_group = CLI_GROUP("Client", client_options);

/* Everything that a run has. Zero is valid and empty. */
struct run {
    const struct options *options;
    struct sandbox_settings settings;
    struct sandbox sandbox;
    struct faults faults; /* as they were given */
    struct hs_buf directory, origin;
    bool directory_is_ours;
    struct tls_identity identity;
    int socket;
    unsigned port;
    struct front *front;
};

/* ---- Options ---- */

static bool
is_loopback(const char *address)
{
    return strncmp(address, "127.", strlen("127.")) == 0 || strcmp(address, "::1") == 0;
}

static const char *
address_of(const struct options *options)
{
    return options->address != NULL ? options->address : "127.0.0.1";
}

/* A host name as it stands in a URL: letters, digits, dots and hyphens. */
static bool
is_host_name(const char *name)
{
    return name[0] != 0 && strlen(name) < 254 &&
           name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-:")] == 0;
}

static enum hsmart_code
check_options(const struct options *options, hsmart_err *err)
{
    int key_options = (options->jwks != NULL) + (options->jwks_uri != NULL) + (options->secret_file != NULL);

    if (options->http && !is_loopback(address_of(options)))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT,
                          "--http is for loopback only: access tokens would be readable on the way");
    if (options->http && options->directory != NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--directory keeps a CA, and with --http there is none");
    if (options->name != NULL && !is_host_name(options->name))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--name is no host name");
    if (options->client == NULL && (key_options > 0 || options->scope != NULL))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--jwks, --jwks-uri, --secret-file and --scope need --client");
    if (options->client != NULL && key_options != 1)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--client needs one of --jwks, --jwks-uri and --secret-file");
    return HSMART_OK;
}

static enum hsmart_code
read_secret_line(const char *path, struct hs_buf *out, hsmart_err *err)
{
    enum hsmart_code code = hs_file_read_secret(path, HS_SECRET_MAX, out, err);

    while (out->len > 0 && (out->data[out->len - 1] == '\n' || out->data[out->len - 1] == '\r'))
        out->len--;
    if (code == HSMART_OK && out->len == 0)
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "\"%s\" is empty", path);
    return code;
}

static enum hsmart_code
read_settings(const struct options *options, struct run *run, hsmart_err *err)
{
    struct hs_buf token = {0};
    enum hsmart_code code = check_options(options, err);

    run->settings.server = options->server;
    run->settings.strict = options->strict;
    run->settings.is_http = options->http;
    run->settings.is_loopback = is_loopback(address_of(options));
    run->settings.token_life_s = (unsigned)options->token_life_s.value;
    run->settings.jwks_life_max_s = (unsigned)options->jwks_life_s.value;
    run->settings.jwks_reread_s =
        options->jwks_reread_s.is_given ? (unsigned)options->jwks_reread_s.value : JWKS_REREAD_DEFAULT_S;
    run->settings.request_max_s =
        options->request_time_s.is_given ? (unsigned)options->request_time_s.value : FRONT_REQUEST_DEFAULT_S;
    for (size_t i = 0; i < options->faults.count && code == HSMART_OK; i++)
        code = faults_add(&run->faults, options->faults.items[i], err);
    if (code == HSMART_OK && options->http && faults_tls(&run->faults) != NULL)
        code =
            hs_err_set(err, HSMART_INVALID_ARGUMENT, "tls.%s needs TLS, and --http has none", faults_tls(&run->faults));
    if (code == HSMART_OK && options->initial_token_file != NULL) {
        code = read_secret_line(options->initial_token_file, &token, err);
        if (code == HSMART_OK)
            code = hs_secret_set(&run->settings.initial_access_token, hs_span_buf(&token), err);
    }
    hs_buf_clear(&token);
    return code;
}

/* ---- The directory ---- */

static enum hsmart_code
make_temporary_directory(struct run *run, hsmart_err *err)
{
    const char *parent = getenv("TMPDIR");
    enum hsmart_code code = hs_buf_append_format(&run->directory, err, "%s/hsmart-sandbox-XXXXXX",
                                                 parent != NULL && parent[0] == '/' ? parent : "/tmp");

    if (code != HSMART_OK)
        return code;
    if (mkdtemp((char *)run->directory.data) == NULL)
        return hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot make a temporary directory");
    run->directory_is_ours = true;
    return HSMART_OK;
}

/* It will hold the key of a CA. */
static enum hsmart_code
use_directory(struct run *run, const char *path, hsmart_err *err)
{
    char absolute[PATH_MAX];
    struct stat status;

    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot make \"%s\"", path);
    if (realpath(path, absolute) == NULL || stat(absolute, &status) != 0)
        return hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot use \"%s\"", path);
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        (void)hs_err_set(err, HSMART_OUTPUT_FAILED, "\"%s\" is not a directory of this user alone", path);
        hs_err_hint(err, "the key of the CA stands in it: chmod 700 \"%s\"", path);
        return HSMART_OUTPUT_FAILED;
    }
    return hs_buf_append_str(&run->directory, absolute, err);
}

static void
remove_directory(const struct run *run)
{
    if (!run->directory_is_ours)
        return;
    if (run->identity.ca_path != NULL)
        (void)unlink(run->identity.ca_path);
    (void)rmdir(hs_buf_text(&run->directory));
}

/* ---- Clients ---- */

static enum hsmart_code
add_client(struct run *run, hsmart_err *err)
{
    const struct options *options = run->options;
    struct client_wish wish = {.id = options->client,
                               .scope = options->scope,
                               .jwks_uri = options->jwks_uri,
                               .method = HS_AUTH_PRIVATE_KEY_JWT};
    struct hs_buf jwks = {0}, secret = {0};
    struct client *client = NULL;
    enum hsmart_code code = HSMART_OK;

    if (options->jwks != NULL)
        code = hs_file_read(options->jwks, JWKS_MAX_FILE_LEN, &jwks, err);
    if (code == HSMART_OK && options->secret_file != NULL) {
        wish.method = HS_AUTH_SECRET_BASIC;
        code = read_secret_line(options->secret_file, &secret, err);
    }
    wish.jwks = hs_span_buf(&jwks);
    wish.secret = hs_span_buf(&secret);
    if (code == HSMART_OK)
        code = register_client(&run->sandbox, &wish, &client, err);
    if (code != HSMART_OK)
        code = hs_err_wrap(err, code, "cannot register the client \"%s\"", options->client);
    hs_buf_clear(&secret);
    hs_buf_clear(&jwks);
    return code;
}

static enum hsmart_code
load_data(struct run *run, hsmart_err *err)
{
    struct hs_buf text = {.max_len = FHIR_DATA_MAX_LEN};
    enum hsmart_code code;

    if (run->options->data == NULL)
        return fhir_store_load(&run->sandbox.fhir, embedded_fhir_ndjson, err);
    code = hs_file_read(run->options->data, FHIR_DATA_MAX_LEN, &text, err);
    if (code == HSMART_OK)
        code = fhir_store_load(&run->sandbox.fhir, hs_span_buf(&text), err);
    hs_buf_clear(&text);
    return code == HSMART_OK ? code : hs_err_wrap(err, code, "\"%s\"", run->options->data);
}

/* ---- Starting ---- */

static enum hsmart_code
make_identity(struct run *run, const char *host, hsmart_err *err)
{
    const char *kept = run->options->directory;
    enum hsmart_code code = kept != NULL ? use_directory(run, kept, err) : make_temporary_directory(run, err);

    return code == HSMART_OK ? tls_identity_make(hs_buf_text(&run->directory), kept != NULL, host,
                                                 faults_tls(&run->faults), &run->identity, err)
                             : code;
}

/* For JWKS URLs. The sandbox's own CA is no use there: it certifies the sandbox only. */
static enum hsmart_code
make_http(const struct run *run, struct hs_http **out_http, hsmart_err *err)
{
    const struct hs_http_options options = {
        .ca_file = run->options->jwks_ca,
        .allow_http_to_loopback = run->settings.is_http,
        .connect_timeout_ms = JWKS_TIMEOUT_MS,
    };

    return hs_http_new(&options, out_http, err);
}

static enum hsmart_code
start(struct run *run, hsmart_err *err)
{
    const char *host = run->options->name != NULL ? run->options->name : address_of(run->options);
    bool is_ipv6 = strchr(host, ':') != NULL;
    struct hs_http *http = NULL;
    enum hsmart_code code;

    if (!run->options->http && (code = make_identity(run, host, err)) != HSMART_OK)
        return code;
    code = front_listen(address_of(run->options), (unsigned)run->options->port.value, &run->socket, &run->port, err);
    if (code == HSMART_OK)
        code = hs_buf_append_format(&run->origin, err, "%s://%s%s%s:%u", run->options->http ? "http" : "https",
                                    is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", run->port);
    if (code == HSMART_OK)
        code = make_http(run, &http, err);
    if (code == HSMART_OK)
        code = sandbox_init(&run->sandbox, &run->settings, hs_buf_text(&run->origin), http, err);
    if (code != HSMART_OK) {
        if (run->sandbox.http == NULL)
            hs_http_free(http);
        return code;
    }
    run->sandbox.faults = run->faults;
    code = load_data(run, err);
    if (code == HSMART_OK && run->options->client != NULL)
        code = add_client(run, err);
    if (code == HSMART_OK && run->options->clients != NULL)
        code = register_clients_of_file(&run->sandbox, run->options->clients, err);
    if (code == HSMART_OK)
        code = front_start(&run->sandbox, run->socket, run->options->http ? NULL : &run->identity, &run->front, err);
    if (code == HSMART_OK)
        run->socket = -1;
    return code;
}

/* One line of JSON, so that scripts can wait for it and read it. */
static enum hsmart_code
announce(const struct run *run, hsmart_err *err)
{
    const struct sandbox *sandbox = &run->sandbox;
    struct hs_buf line = {0};
    struct hs_json_writer writer = {.out = &line};
    enum hsmart_code code;

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "fhir_base", hs_buf_text(&sandbox->fhir_base));
    hs_json_member_text(&writer, "token_endpoint", hs_buf_text(&sandbox->token_url));
    hs_json_member_text(&writer, "registration_endpoint", hs_buf_text(&sandbox->register_url));
    hs_json_member_text(&writer, "origin", hs_buf_text(&sandbox->origin));
    hs_json_member_integer(&writer, "port", run->port);
    hs_json_member_text(&writer, "ca_file", run->identity.ca_path);
    hs_json_member_text(&writer, "server", sandbox->row->name);
    hs_json_member_boolean(&writer, "strict", run->settings.strict);
    hs_json_member_integer(&writer, "pid", getpid());
    hs_json_end_object(&writer);
    code = hs_json_writer_finish(&writer, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(&line, "\n", err);
    if (code == HSMART_OK && run->options->ready_file != NULL)
        code = output_write(run->options->ready_file, 0644, hs_span_buf(&line), err);
    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&line), err);
    hs_buf_clear(&line);
    return code;
}

/* ---- Running ---- */

/* Blocked in every thread, so that only `wait_for_end` takes them. */
static void
block_signals(sigset_t *out_set)
{
    (void)sigemptyset(out_set);
    (void)sigaddset(out_set, SIGTERM);
    (void)sigaddset(out_set, SIGINT);
    (void)sigaddset(out_set, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, out_set, NULL);
}

static void
wait_for_end(struct run *run, const sigset_t *set)
{
    const struct timespec interval = {0, WATCH_INTERVAL_MS * 1000000L};
    const int64_t end_ms = run->options->lifetime_s.is_given
                               ? hs_clock_monotonic_ms() + 1000 * (int64_t)run->options->lifetime_s.value
                               : INT64_MAX;

    while (hs_clock_monotonic_ms() < end_ms) {
        if (sigtimedwait(set, NULL, &interval) > 0)
            return;
        front_watch(run->front);
    }
}

static void
run_clear(struct run *run)
{
    front_stop(run->front);
    if (run->socket >= 0)
        (void)close(run->socket);
    sandbox_clear(&run->sandbox);
    remove_directory(run);
    tls_identity_clear(&run->identity);
    hs_secret_clear(&run->settings.initial_access_token);
    hs_buf_clear(&run->origin);
    hs_buf_clear(&run->directory);
}

static enum hsmart_code
print_faults(hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = faults_list(&text, err);

    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&text), err);
    hs_buf_clear(&text);
    return code;
}

static enum hsmart_code
serve(const struct cli_call *call, const void *options, hsmart_err *err)
{
    struct run run = {.options = options, .socket = -1};
    sigset_t signals;
    enum hsmart_code code;

    (void)call;
    if (run.options->list_faults)
        return print_faults(err);
    block_signals(&signals);
    code = output_check(NULL, err);
    if (code == HSMART_OK)
        code = read_settings(options, &run, err);
    if (code == HSMART_OK)
        code = hs_check_server_find(run.settings.server != NULL ? run.settings.server : "smart", &run.sandbox.row, err);
    if (code == HSMART_OK)
        code = start(&run, err);
    if (code == HSMART_OK)
        code = announce(&run, err);
    if (code == HSMART_OK)
        wait_for_end(&run, &signals);
    run_clear(&run);
    return code;
}

static const struct cli_verb serve_verb = {
    .name = "",
    .summary = "A local SMART server for tests of clients: discovery, registration, access tokens, FHIR. It prints one "
               "line of JSON "
               "when it is ready, and serves until SIGTERM or SIGINT.",
    .options_size = sizeof(struct options),
    .groups = {&server_group, &behaviour_group, &client_group, &cli_group_quiet},
    .example = "  hsmart-sandbox --client my-client --jwks jwks.json --ready-file ready.json &\n"
               "  hsmart-sandbox --server epic --fault token.503-once --fault fhir.401-once\n",
    .run = serve,
};

int
main(int argc, char **argv)
{
    static const char *const see_also[] = {"hsmart-sandbox(1) and docs/sandbox.md say what it does as which server.",
                                           NULL};
    static const struct cli_program program = {
        .name = "hsmart-sandbox",
        .summary = "A local SMART server for tests of clients.",
        .only = &serve_verb,
        .see_also = see_also,
    };

    return cli_main(&program, argc, argv);
}
