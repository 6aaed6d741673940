#define _GNU_SOURCE /* realpath */
/* hsmart register: a client at a server, by RFC 7591; or what its portal has to be told. */
#define _XOPEN_SOURCE 700 /* realpath */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client_target.h"
#include "err.h"
#include "file.h"
#include "json.h"
#include "output.h"
#include "registration_pack.h"
#include "report.h"
#include "verbs.h"

#define INPUT_MAX_LEN (1U << 20)
#define LABEL_WIDTH 18U
#define DURATION_MAX_MIN 525600 /* a year */

struct register_options {
    struct client_common client;
    const char *endpoint, *jwks, *jwks_uri, *initial_source, *out;
    const char *client_name, *client_uri, *contact, *software_id, *software_version, *statement;
    bool form, print, replace;
    struct cli_number duration_min;
};

#define OWN(member) offsetof(struct register_options, member)

static const struct cli_option register_options[] = {
    {"jwks", 0, "FILE", CLI_TEXT, OWN(jwks), "register these keys by value; default: the client's key", 0, 0},
    {"jwks-uri", 0, "URL", CLI_TEXT, OWN(jwks_uri),
     "register the URL where the keys are published (better: they can be rotated); default: jku of the client", 0, 0},
    {"initial-access-token-source", 0, "SOURCE", CLI_TEXT, OWN(initial_source),
     "where the initial access token comes from: file:PATH, credential:NAME, fd:N, exec:COMMAND or prompt", 0, 0},
    {"registration-endpoint", 0, "URL", CLI_TEXT, OWN(endpoint), "default: the one that discovery names", 0, 0},
    {"form", 0, NULL, CLI_FLAG, OWN(form), "post a form, as the SMART reference server wants it", 0, 0},
    {"duration", 0, "MINUTES", CLI_NUMBER, OWN(duration_min), "with --form: the life of access tokens", 1,
     DURATION_MAX_MIN},
    {"name", 0, "NAME", CLI_TEXT, OWN(client_name), "client_name: what people call the client", 0, 0},
    {"uri", 0, "URL", CLI_TEXT, OWN(client_uri), "client_uri: a page about it", 0, 0},
    {"contact", 0, "ADDRESS", CLI_TEXT, OWN(contact), "contacts: who answers for it", 0, 0},
    {"software-id", 0, "ID", CLI_TEXT, OWN(software_id), "software_id", 0, 0},
    {"software-version", 0, "V", CLI_TEXT, OWN(software_version), "software_version", 0, 0},
    {"software-statement", 0, "FILE", CLI_TEXT, OWN(statement), "a file with the software_statement, a JWT", 0, 0},
    {"out", 'o', "FILE", CLI_TEXT, OWN(out),
     "where client id and secrets are kept (mode 0600); default: registration-file of the client; with --print: the "
     "directory of the pack",
     0, 0},
    {"replace", 0, NULL, CLI_FLAG, OWN(replace), "although FILE has a registration already", 0, 0},
    {"print", 0, NULL, CLI_FLAG, OWN(print), "send nothing: write what a portal has to be told", 0, 0},
};
static const struct cli_group register_group = CLI_GROUP("Registration", register_options);

/* ---- What is asked for ---- */

/* Owned by the run. Zero is empty. */
struct request {
    hsmart_registration_request told;
    char *jwks_of_key, *alg;
    struct hs_buf jwks, statement;
};

static void
request_clear(struct request *request)
{
    hsmart_string_free(request->jwks_of_key);
    hs_string_free(request->alg);
    hs_buf_clear(&request->jwks);
    hs_buf_clear(&request->statement);
}

static const char *
jwks_uri_of(const struct register_options *own, const struct client_target *target)
{
    return own->jwks_uri != NULL ? own->jwks_uri : own->jwks != NULL ? NULL : target->options.jku;
}

/* Keys by URL, from a file, or the client's own; none where a secret is asked for. */
static enum hsmart_code
choose_keys(const struct register_options *own, struct client_target *target, struct request *request, hsmart_err *err)
{
    hsmart_registration_request *told = &request->told;
    enum hsmart_code code = HSMART_OK;

    told->signing_alg = target->alg != NULL ? target->alg : target->target.signer.alg;
    told->jwks_uri = jwks_uri_of(own, target);
    if (told->jwks_uri != NULL)
        return HSMART_OK;
    if (own->jwks != NULL) {
        code = hs_file_read(own->jwks, INPUT_MAX_LEN, &request->jwks, err);
        told->jwks = hs_buf_text(&request->jwks);
        return code;
    }
    if (told->auth != HSMART_AUTH_DEFAULT && told->auth != HSMART_AUTH_PRIVATE_KEY_JWT)
        return HSMART_OK;
    code = registration_jwks(target, &request->jwks_of_key, &request->alg, err);
    told->jwks = request->jwks_of_key;
    told->signing_alg = request->alg;
    return code;
}

static enum hsmart_code
read_statement(const struct register_options *own, struct request *request, hsmart_err *err)
{
    struct hs_buf *text = &request->statement;
    enum hsmart_code code;

    if (own->statement == NULL)
        return HSMART_OK;
    code = hs_file_read(own->statement, INPUT_MAX_LEN, text, err);
    while (code == HSMART_OK && text->len > 0 &&
           (text->data[text->len - 1] == '\n' || text->data[text->len - 1] == '\r'))
        code = hs_buf_resize(text, text->len - 1, err);
    request->told.software_statement = hs_buf_text(text);
    return code;
}

static enum hsmart_code
make_request(const struct register_options *own, struct client_target *target, struct request *request, hsmart_err *err)
{
    const hsmart_client_options *options = &target->options;
    enum hsmart_code code;

    request->told = (hsmart_registration_request){
        .server = options->server,
        .registration_endpoint = own->endpoint,
        .fhir_base = options->fhir_base,
        .auth = options->auth,
        .scope = options->scope,
        .client_name = own->client_name,
        .client_uri = own->client_uri,
        .contact = own->contact,
        .software_id = own->software_id,
        .software_version = own->software_version,
        .initial_access_token_source = own->initial_source,
        .form = own->form,
        .duration_min = (unsigned)own->duration_min.value,
    };
    code = read_statement(own, request, err);
    return code == HSMART_OK ? choose_keys(own, target, request, err) : code;
}

/* ---- Where it is kept ---- */

static enum hsmart_code
choose_place(const struct register_options *own, const struct client_target *target, const char **out_path,
             hsmart_err *err)
{
    const char *path = own->out != NULL ? own->out : target->options.registration_file;

    if (path == NULL) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "no file is named to keep the registration in");
        hs_err_hint(err, "give --out FILE, or set registration-file of the client");
        return HSMART_INVALID_ARGUMENT;
    }
    if (access(path, F_OK) == 0 && !own->replace) {
        (void)hs_err_set(err, HSMART_POLICY_REFUSED, "\"%s\" has a registration already, and nothing was sent", path);
        hs_err_hint(err,
                    "give --out with another file, or --replace: the old client stays known to the server, but its "
                    "id and secrets are lost here");
        return HSMART_POLICY_REFUSED;
    }
    *out_path = path;
    return HSMART_OK;
}

/* ---- Telling ---- */

static void
put_line(struct text *text, const char *label, const char *value)
{
    if (value == NULL)
        return;
    text_put_padded(text, label, LABEL_WIDTH);
    text_put_safe(text, value);
    text_put(text, "\n");
}

static enum hsmart_code
format_text(const hsmart_registration *registration, const char *path, struct hs_buf *out, hsmart_err *err)
{
    struct text text = {.out = out};

    put_line(&text, "client id", registration->client_id);
    put_line(&text, "authentication", registration->auth_method);
    put_line(&text, "scope", registration->scope);
    put_line(&text, "client secret", registration->has_client_secret ? "in the file" : NULL);
    put_line(&text, "managed at", registration->registration_client_uri);
    put_line(&text, "kept in", path);
    return text_finish(&text, err);
}

static enum hsmart_code
format_json(const hsmart_registration *registration, const char *path, struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out, .indent = true};
    enum hsmart_code code;

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "client_id", registration->client_id);
    hs_json_member_text(&writer, "token_endpoint_auth_method", registration->auth_method);
    hs_json_member_text(&writer, "scope", registration->scope);
    hs_json_member_boolean(&writer, "has_client_secret", registration->has_client_secret);
    hs_json_member_integer(&writer, "client_secret_expires_at", registration->client_secret_expires_at_s);
    hs_json_member_text(&writer, "registration_endpoint", registration->registration_endpoint);
    hs_json_member_text(&writer, "registration_client_uri", registration->registration_client_uri);
    hs_json_member_boolean(&writer, "has_registration_access_token", registration->has_registration_access_token);
    hs_json_member_integer(&writer, "registered_at", registration->registered_at_s);
    hs_json_name(&writer, "differences");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < registration->differences.count; i++)
        hs_json_put_text(&writer, registration->differences.items[i]);
    hs_json_end_array(&writer);
    hs_json_member_text(&writer, "file", path);
    hs_json_end_object(&writer);
    code = hs_json_writer_finish(&writer, err);
    return code == HSMART_OK ? hs_buf_append_str(out, "\n", err) : code;
}

static void
say_what_next(const struct client_target *target, const char *path)
{
    const char *setting = target->options.registration_file, *name = target->options.name;
    char whole[PATH_MAX];

    if (realpath(path, whole) == NULL)
        (void)snprintf(whole, sizeof whole, "%s", path);
    if (target->options.client_id != NULL)
        report_warning("the client has client-id \"%.100s\" set, which goes before the registration: take it away",
                       target->options.client_id);
    if (setting != NULL && strcmp(setting, path) == 0)
        report_note("next: hsmart token --client %s", name != NULL ? name : "NAME");
    else if (name != NULL)
        report_note("next: set registration-file = \"%s\" of client \"%s\", then: hsmart token --client %s", whole,
                    name, name);
    else
        report_note("next: hsmart token --registration \"%s\" with the same options", whole);
}

static enum hsmart_code
tell(const struct register_options *own, const struct client_target *target, const hsmart_registration *registration,
     const char *path, hsmart_err *err)
{
    struct hs_buf answer = {0};
    enum hsmart_code code = own->client.common.json ? format_json(registration, path, &answer, err)
                                                    : format_text(registration, path, &answer, err);

    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&answer), err);
    if (code == HSMART_OK)
        say_what_next(target, path);
    hs_buf_clear(&answer);
    return code;
}

/* ---- The whole ---- */

static enum hsmart_code
register_client(const struct register_options *own, struct client_target *target, hsmart_err *err)
{
    enum hsmart_code code;
    const char *path = NULL;
    struct request request = {0};
    hsmart_registration *registration = NULL;

    code = choose_place(own, target, &path, err);
    if (code == HSMART_OK)
        code = make_request(own, target, &request, err);
    request.told.file = path;
    if (code == HSMART_OK)
        code = hsmart_register(&request.told, &target->options.network, &registration, err);
    if (code == HSMART_OK)
        code = tell(own, target, registration, path, err);
    hsmart_registration_free(registration);
    request_clear(&request);
    return code;
}

static enum hsmart_code
write_pack(const struct register_options *own, struct client_target *target, hsmart_err *err)
{
    struct hs_buf readme = {0};
    enum hsmart_code code;

    if (own->out == NULL) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "--print needs --out DIR, the directory of the pack");
        hs_err_hint(err, "it is made where it is missing, and gets jwks.json, jwk.json, public.pem and README.txt");
        return HSMART_INVALID_ARGUMENT;
    }
    code = registration_pack_write(target, jwks_uri_of(own, target), own->out, &readme, err);
    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&readme), err);
    if (code == HSMART_OK)
        report_note("wrote jwks.json, jwk.json, public.pem and README.txt to \"%s\"", own->out);
    hs_buf_clear(&readme);
    return code;
}

static enum hsmart_code
check_words(const struct register_options *own, hsmart_err *err)
{
    const struct {
        const char *option, *text;
    } texts[] = {
        {"jwks-uri", own->jwks_uri},
        {"registration-endpoint", own->endpoint},
        {"name", own->client_name},
        {"uri", own->client_uri},
        {"contact", own->contact},
        {"software-id", own->software_id},
        {"software-version", own->software_version},
        {"out", own->out},
    };
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < HS_ARRAY_LEN(texts) && code == HSMART_OK; i++)
        code = target_check_text(texts[i].option, texts[i].text, err);
    if (code == HSMART_OK && own->jwks != NULL && own->jwks_uri != NULL) {
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "--jwks and --jwks-uri are never registered together");
        hs_err_hint(err,
                    "give the URL where the server can read it: keys can be rotated there without a new registration");
    }
    if (code == HSMART_OK && own->print && own->client.common.json)
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "--print has no place for --json");
    return code;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct register_options *own = options;
    struct client_target target = {0};

    (void)call;
    code = check_words(own, err);
    if (code == HSMART_OK)
        code = output_check(NULL, err);
    if (code == HSMART_OK)
        code = client_target_resolve(&own->client, &target, err);
    if (code == HSMART_OK)
        code = own->print ? write_pack(own, &target, err) : register_client(own, &target, err);
    client_target_clear(&target);
    return code;
}

const struct cli_verb verb_register = {
    .name = "register",
    .summary = "Registers a client with its public key (RFC 7591), or writes what a portal has to be told.",
    .options_size = sizeof(struct register_options),
    .groups = {&register_group, &client_group, &client_group_network, &cli_group_one_key, &cli_group_token,
               &cli_group_general},
    .example = "  hsmart register --client epic --jwks-uri https://clinic.example/jwks.json --out epic.json\n"
               "  hsmart register --client epic --print --out registration-pack\n",
    .run = run,
};
