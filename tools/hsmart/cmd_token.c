/* hsmart token: an access token on standard output, out of the cache while one will do. */
#include "client_target.h"
#include "clock.h"
#include "err.h"
#include "json.h"
#include "output.h"
#include "verbs.h"

#define TOKEN_FILE_MODE 0600U

struct token_options {
    struct client_common client;
    struct cli_number min_validity_s;
    bool header, env, fresh;
    const char *out;
};

#define OWN(member) offsetof(struct token_options, member)

static const struct cli_option token_options[] = {
    {"min-validity", 0, "SECONDS", CLI_NUMBER, OWN(min_validity_s),
     "get one that is good for so long at least; default: a second", 0, 86400},
    {"fresh", 0, NULL, CLI_FLAG, OWN(fresh), "get a new one, whatever there is", 0, 0},
    {"header", 0, NULL, CLI_FLAG, OWN(header), "print it as a header, \"Authorization: Bearer …\"", 0, 0},
    {"env", 0, NULL, CLI_FLAG, OWN(env), "print a line for a shell, HSMART_ACCESS_TOKEN='…'", 0, 0},
    {"out", 'o', "FILE", CLI_TEXT, OWN(out), "write to FILE (mode 0600); default: standard output", 0, 0},
};
static const struct cli_group token_group = CLI_GROUP("Access token", token_options);

/* ---- Forms ---- */

static enum hsmart_code
format_plain(const hsmart_access_token *access_token, struct hs_buf *out, hsmart_err *err)
{
    return hs_buf_append_format(out, err, "%s\n", access_token->value);
}

static enum hsmart_code
format_header(const hsmart_access_token *access_token, struct hs_buf *out, hsmart_err *err)
{
    return hs_buf_append_format(out, err, "Authorization: Bearer %s\n", access_token->value);
}

/* Any printable character may be in it, so the quotes are a shell's. */
static enum hsmart_code
format_env(const hsmart_access_token *access_token, struct hs_buf *out, hsmart_err *err)
{
    enum hsmart_code code = hs_buf_append_str(out, "HSMART_ACCESS_TOKEN='", err);

    for (const char *at = access_token->value; code == HSMART_OK && *at != 0; at++)
        code = *at == '\'' ? hs_buf_append_str(out, "'\\''", err)
                           : hs_buf_append(out, (struct hs_span){(const uint8_t *)at, 1}, err);
    return code == HSMART_OK ? hs_buf_append_str(out, "'\n", err) : code;
}

static enum hsmart_code
format_json(const hsmart_access_token *access_token, struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out, .indent = true};
    enum hsmart_code code;

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "access_token", access_token->value);
    hs_json_member_text(&writer, "token_type", access_token->type);
    hs_json_member_integer(&writer, "expires_in", access_token->expires_at_s - hs_clock_now_s());
    hs_json_member_text(&writer, "scope", access_token->scope);
    hs_json_member_integer(&writer, "obtained_at", access_token->obtained_at_s);
    hs_json_member_integer(&writer, "expires_at", access_token->expires_at_s);
    hs_json_end_object(&writer);
    code = hs_json_writer_finish(&writer, err);
    return code == HSMART_OK ? hs_buf_append_str(out, "\n", err) : code;
}

static enum hsmart_code
check_form(const struct token_options *own, hsmart_err *err)
{
    if (own->fresh && own->min_validity_s.is_given)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT,
                          "--fresh gets a new one: --min-validity has no place beside it");
    if (own->header + own->env + own->client.common.json <= 1)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "--json, --header and --env are different forms");
    hs_err_hint(err, "give one of them, or none for the bare access token");
    return HSMART_INVALID_ARGUMENT;
}

static enum hsmart_code
print(const struct token_options *own, const hsmart_access_token *access_token, hsmart_err *err)
{
    struct hs_buf answer = {0};
    enum hsmart_code code = own->client.common.json ? format_json(access_token, &answer, err)
                            : own->header           ? format_header(access_token, &answer, err)
                            : own->env              ? format_env(access_token, &answer, err)
                                                    : format_plain(access_token, &answer, err);

    if (code == HSMART_OK)
        code = output_write(own->out, TOKEN_FILE_MODE, hs_span_buf(&answer), err);
    hs_buf_clear(&answer);
    return code;
}

/* ---- The whole ---- */

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct token_options *own = options;
    struct client_target target = {0};
    hsmart_client *client = NULL;
    hsmart_access_token *access_token = NULL;

    (void)call;
    code = check_form(own, err);
    if (code == HSMART_OK)
        code = output_check(own->out, err);
    if (code == HSMART_OK)
        code = client_target_resolve(&own->client, &target, err);
    if (code == HSMART_OK)
        code = client_target_open(&target, &client, err);
    if (code == HSMART_OK)
        code = own->fresh ? hsmart_client_renew_access_token(client, &access_token, err)
                          : hsmart_client_access_token(client, (unsigned)own->min_validity_s.value, &access_token, err);
    if (code == HSMART_OK)
        code = print(own, access_token, err);
    hsmart_access_token_free(access_token);
    hsmart_client_free(client);
    client_target_clear(&target);
    return code;
}

const struct cli_verb verb_token = {
    .name = "token",
    .summary = "Prints an access token: from the cache while it will do, else from the server.",
    .options_size = sizeof(struct token_options),
    .groups = {&token_group, &client_group, &client_group_network, &cli_group_one_key, &cli_group_token,
               &cli_group_general},
    .example = "  hsmart token --client epic --min-validity 300\n"
               "  hsmart token --client epic --header | curl -H @- https://ehr.example/api/FHIR/R4/Patient/1\n"
               "  hsmart token --fhir-base https://ehr.example/fhir --client-id my-id --scope 'system/Patient.rs' \\\n"
               "      --key-uri 'pkcs11:object=ehr-2026' --module /usr/lib/softhsm/libsofthsm2.so \\\n"
               "      --pin-source file:/etc/hsmart/prod.pin\n",
    .run = run,
};
