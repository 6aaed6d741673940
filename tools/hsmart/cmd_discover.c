/* hsmart discover: what a server says of itself. */
#include <time.h>

#include "client_target.h"
#include "err.h"
#include "json.h"
#include "output.h"
#include "verbs.h"

#define LABEL_WIDTH 24U
#define OUTPUT_FILE_MODE 0644U

struct discover_options {
    struct client_common client;
    bool raw, cached;
    const char *out;
};

#define OWN(member) offsetof(struct discover_options, member)
#define CLIENT(member) offsetof(struct client_common, member)

static const struct cli_option discover_options[] = {
    {"client", 0, "NAME", CLI_TEXT, offsetof(struct cli_common, client),
     "a client of the configuration file, instead of a FHIR base URL", 0, 0},
    {"config", 0, "FILE", CLI_TEXT, offsetof(struct cli_common, config), "the configuration file", 0, 0},
    {"token-pin", 0, "URL", CLI_TEXT, CLIENT(token_pin), "the origin or URL that the token endpoint must have", 0, 0},
    {"auth", 0, "METHOD", CLI_TEXT, CLIENT(auth),
     "warn about what speaks against private_key_jwt (default), client_secret_basic or client_secret_post", 0, 0},
    {"raw", 0, NULL, CLI_FLAG, OWN(raw), "print the document as it was received", 0, 0},
    {"cached", 0, NULL, CLI_FLAG, OWN(cached), "take what was read before while it may be kept; default: read anew", 0,
     0},
    {"cache-directory", 0, "DIR", CLI_TEXT, CLIENT(cache_directory), "default: hsmart in $XDG_RUNTIME_DIR", 0, 0},
    {"out", 'o', "FILE", CLI_TEXT, OWN(out), "write to FILE; default: standard output", 0, 0},
};
static const struct cli_group discover_group = CLI_GROUP("Discovery", discover_options);

/* ---- Forms: one row for each thing that a server tells ---- */

static const struct fact {
    const char *member, *label; /* of JSON, and for people */
    size_t offset;
    bool is_list;
} facts[] = {
#define TEXT(member, label)                                                                                            \
    {                                                                                                                  \
#member, label, offsetof(hsmart_discovery, member), false                                                      \
    }
#define LIST(member, label)                                                                                            \
    {                                                                                                                  \
#member, label, offsetof(hsmart_discovery, member), true                                                       \
    }
    TEXT(url, "read from"),
    TEXT(token_endpoint, "token endpoint"),
    TEXT(issuer, "issuer"),
    TEXT(registration_endpoint, "registration endpoint"),
    TEXT(jwks_uri, "the server's own JWKS"),
    TEXT(authorization_endpoint, "authorization endpoint"),
    TEXT(introspection_endpoint, "introspection endpoint"),
    TEXT(revocation_endpoint, "revocation endpoint"),
    TEXT(management_endpoint, "management endpoint"),
    LIST(auth_methods, "authentication"),
    LIST(signing_algs, "signature algorithms"),
    LIST(grant_types, "grants"),
    LIST(scopes, "scopes"),
    LIST(capabilities, "capabilities"),
#undef TEXT
#undef LIST
};

static const char *
text_of(const hsmart_discovery *discovery, const struct fact *fact)
{
    return *(const char *const *)(const void *)((const char *)discovery + fact->offset);
}

static const hsmart_text_list *
list_of(const hsmart_discovery *discovery, const struct fact *fact)
{
    return (const hsmart_text_list *)(const void *)((const char *)discovery + fact->offset);
}

static void
put_label(struct text *text, const char *label)
{
    text_put_padded(text, label, LABEL_WIDTH);
}

static void
put_time(struct text *text, const char *label, int64_t at_s)
{
    struct tm parts;
    char words[32];
    time_t when = (time_t)at_s;

    if (gmtime_r(&when, &parts) == NULL || strftime(words, sizeof words, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        return;
    put_label(text, label);
    text_put(text, "%s\n", words);
}

static void
put_list(struct text *text, const hsmart_text_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        text_put(text, "%s", i > 0 ? " " : "");
        text_put_safe(text, list->items[i]);
    }
}

static enum hsmart_code
format_text(const hsmart_discovery *discovery, struct hs_buf *out, hsmart_err *err)
{
    struct text text = {.out = out};

    for (size_t i = 0; i < HS_ARRAY_LEN(facts); i++) {
        bool is_told =
            facts[i].is_list ? list_of(discovery, &facts[i])->count > 0 : text_of(discovery, &facts[i]) != NULL;
        if (!is_told)
            continue;
        put_label(&text, facts[i].label);
        if (facts[i].is_list)
            put_list(&text, list_of(discovery, &facts[i]));
        else
            text_put_safe(&text, text_of(discovery, &facts[i]));
        text_put(&text, "\n");
    }
    put_time(&text, discovery->from_cache ? "read before, at" : "read at", discovery->read_at_s);
    put_time(&text, "may be kept until", discovery->expires_at_s);
    return text_finish(&text, err);
}

static void
put_items(struct hs_json_writer *writer, const char *name, const hsmart_text_list *list)
{
    hs_json_name(writer, name);
    hs_json_begin_array(writer);
    for (size_t i = 0; i < list->count; i++)
        hs_json_put_text(writer, list->items[i]);
    hs_json_end_array(writer);
}

static enum hsmart_code
format_json(const hsmart_discovery *discovery, struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out, .indent = true};
    enum hsmart_code code;

    hs_json_begin_object(&writer);
    for (size_t i = 0; i < HS_ARRAY_LEN(facts); i++) {
        if (facts[i].is_list)
            put_items(&writer, facts[i].member, list_of(discovery, &facts[i]));
        else
            hs_json_member_text(&writer, facts[i].member, text_of(discovery, &facts[i]));
    }
    put_items(&writer, "warnings", &discovery->warnings);
    hs_json_member_integer(&writer, "read_at", discovery->read_at_s);
    hs_json_member_integer(&writer, "expires_at", discovery->expires_at_s);
    hs_json_member_boolean(&writer, "from_cache", discovery->from_cache);
    hs_json_end_object(&writer);
    code = hs_json_writer_finish(&writer, err);
    return code == HSMART_OK ? hs_buf_append_str(out, "\n", err) : code;
}

static enum hsmart_code
format_raw(const hsmart_discovery *discovery, struct hs_buf *out, hsmart_err *err)
{
    return hs_buf_append(out, (struct hs_span){(const uint8_t *)discovery->document, discovery->document_len}, err);
}

static enum hsmart_code
print(const struct discover_options *own, const hsmart_discovery *discovery, hsmart_err *err)
{
    struct hs_buf answer = {.max_len = OUTPUT_MAX_LEN};
    enum hsmart_code code = own->raw                  ? format_raw(discovery, &answer, err)
                            : own->client.common.json ? format_json(discovery, &answer, err)
                                                      : format_text(discovery, &answer, err);

    if (code == HSMART_OK)
        code = output_write(own->out, OUTPUT_FILE_MODE, hs_span_buf(&answer), err);
    hs_buf_clear(&answer);
    return code;
}

/* ---- The whole ---- */

static enum hsmart_code
choose_base(const struct cli_call *call, const struct client_target *target, const char **out_base, hsmart_err *err)
{
    const char *base = call->operand_count > 0 ? call->operands[0] : target->options.fhir_base;

    if (base == NULL) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "no FHIR base is given");
        hs_err_hint(err, "give its URL, or --client NAME of a client that has fhir-base");
        return HSMART_INVALID_ARGUMENT;
    }
    *out_base = base;
    return HSMART_OK;
}

/* The client's own way to authenticate, as far as it is known without opening anything; else SMART's. */
static enum hsmart_auth
auth_of(const hsmart_client_options *options)
{
    if (options->auth != HSMART_AUTH_DEFAULT)
        return options->auth;
    return options->secret_source != NULL ? HSMART_AUTH_SECRET_BASIC : HSMART_AUTH_PRIVATE_KEY_JWT;
}

static enum hsmart_code
resolve(const struct cli_call *call, const struct discover_options *own, struct client_target *target, hsmart_err *err)
{
    const struct client_common *client = &own->client;
    const char *const operand = call->operand_count > 0 ? call->operands[0] : NULL;
    enum hsmart_code code = target_check_text("fhir-base", operand, err);

    if (code == HSMART_OK && own->raw && client->common.json)
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "--raw and --json are different forms");
    return code == HSMART_OK ? client_target_resolve(client, target, err) : code;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct discover_options *own = options;
    struct client_target target = {0};
    hsmart_discovery *discovery = NULL;
    const char *base = NULL;

    code = output_check(own->out, err);
    if (code == HSMART_OK)
        code = resolve(call, own, &target, err);
    if (code == HSMART_OK)
        code = choose_base(call, &target, &base, err);
    if (code != HSMART_OK)
        goto out;
    const hsmart_discovery_options how = {
        .token_pin = target.options.token_pin,
        .auth = auth_of(&target.options),
        .use_cache = own->cached,
        .cache_directory = target.options.cache_directory,
    };
    code = hsmart_discover(base, &how, &target.options.network, &discovery, err);
    if (code == HSMART_OK)
        code = print(own, discovery, err);
out:
    hsmart_discovery_free(discovery);
    client_target_clear(&target);
    return code;
}

const struct cli_verb verb_discover = {
    .name = "discover",
    .summary = "Reads what a server says of itself: its token endpoint, what it can do, and what is odd about it.",
    .operands = "[FHIR-BASE]",
    .operand_max = 1,
    .options_size = sizeof(struct discover_options),
    .groups = {&discover_group, &client_group_network, &cli_group_general},
    .example = "  hsmart discover https://ehr.example/api/FHIR/R4\n"
               "  hsmart discover --client epic --json\n",
    .run = run,
};
