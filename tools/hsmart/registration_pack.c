#include "registration_pack.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "err.h"
#include "fingerprint_view.h"
#include "json.h"
#include "output.h"
#include "plain_base64.h"
#include "plan.h"

#define PUBLIC_FILE_MODE 0644U
#define PUBLIC_DIRECTORY_MODE 0755U
#define PATH_MAX_LEN 4096U
#define VALUE_COLUMN 24U

/* ---- The key ---- */

static hsmart_jwk_options
jwk_options(const struct client_target *target)
{
    const hsmart_signer_options *set = &target->target.signer;

    return (hsmart_jwk_options){
        .kid = target->kid != NULL ? target->kid : set->kid,
        .alg = target->alg != NULL ? target->alg : set->alg,
    };
}

/* What is registered: the key; of a family all that are published, so that servers know a successor before it signs. */
static enum hsmart_code
format_jwks(const struct client_target *target, const hsmart_key *key, const hsmart_jwk_options *options,
            char **out_jwks, hsmart_err *err)
{
    hsmart_jwks *jwks = NULL;
    enum hsmart_code code;

    if (target->family != NULL)
        return hsmart_family_jwks(target->family, options->alg, out_jwks, err);
    code = hsmart_jwks_new(&jwks, err);
    if (code == HSMART_OK)
        code = hsmart_jwks_add(jwks, key, options, err);
    if (code == HSMART_OK)
        code = hsmart_jwks_format(jwks, out_jwks, err);
    hsmart_jwks_free(jwks);
    return code;
}

enum hsmart_code
registration_jwks(struct client_target *target, char **out_jwks, char **out_alg, hsmart_err *err)
{
    const hsmart_key *key = NULL;
    const hsmart_jwk_options options = jwk_options(target);
    char *jwks = NULL;
    enum hsmart_code code = client_target_open_key(target, &key, err);

    if (code == HSMART_OK)
        code = format_jwks(target, key, &options, &jwks, err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(options.alg != NULL ? options.alg : hsmart_key_get_info(key)->alg, out_alg, err);
    if (code != HSMART_OK) {
        hsmart_string_free(jwks);
        return code;
    }
    *out_jwks = jwks;
    return HSMART_OK;
}

/* ---- Fingerprints ---- */

/* The bytes between the lines of the PEM: SubjectPublicKeyInfo in DER. */
static enum hsmart_code
decode_pem(const char *pem, struct hs_buf *out_der, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = HSMART_OK;

    for (const char *line = pem; code == HSMART_OK && *line != 0;) {
        size_t len = strcspn(line, "\n");
        if (line[0] != '-')
            code = hs_buf_append(&text, (struct hs_span){(const uint8_t *)line, len}, err);
        line += len + (line[len] == '\n');
    }
    if (code == HSMART_OK)
        code = hs_plain_base64_decode(hs_span_buf(&text), out_der, err);
    hs_buf_clear(&text);
    return code;
}

static void
put_fingerprint(struct text *text, const char *what, const char *command, struct hs_span data)
{
    uint8_t digest[HS_SHA256_LEN];

    if (text->code == HSMART_OK)
        text->code = hs_sha256(data, digest, &text->err);
    if (text->code != HSMART_OK)
        return;
    text_put(text, "\nSHA-256 of %s (%s):\n\n", what, command);
    fingerprint_put(text, HS_SPAN_OF(digest), "  ");
}

/* ---- What is to be pasted ---- */

struct pack {
    const hsmart_client_options *options;
    const hsmart_key_info *key;
    hsmart_server server;
    const char *jwks_uri, *kid, *alg;
    char *jwks, *jwk, *pem;
};

static void
put_value(struct text *text, const char *label, const char *value)
{
    if (value == NULL)
        return;
    text_put(text, "  ");
    text_put_padded(text, label, VALUE_COLUMN);
    text_put_safe(text, value);
    text_put(text, "\n");
}

/* How this family takes keys; said by its row. */
static const char *
key_rule(const struct pack *pack)
{
    bool url_only =
        pack->server.jwks_url_needed || (pack->server.jwks_url_needed_for_ec && strcmp(pack->key->type, "EC") == 0);

    if (pack->jwks_uri != NULL)
        return "by the JWKS URL below";
    return url_only ? "by URL only: publish jwks.json over https, and register its URL"
                    : "jwks.json, jwk.json or public.pem, whichever the portal takes";
}

static void
put_values(struct text *text, const struct pack *pack)
{
    const hsmart_server *server = &pack->server;

    text_put(text, "What to tell the portal:\n\n");
    put_value(text, "server family", server->title);
    put_value(text, "FHIR base", pack->options->fhir_base);
    put_value(text, "application type", "backend service (system), confidential client");
    put_value(text, "grant type", "client_credentials");
    put_value(text, "authentication method", "private_key_jwt");
    put_value(text, "signature algorithm", pack->alg);
    put_value(text, "scopes", pack->options->scope);
    put_value(text, "redirect URL", "none");
    put_value(text, "public key", key_rule(pack));
    put_value(text, "JWKS URL", pack->jwks_uri);
    put_value(text, "kid", pack->kid);
    put_value(text, "RFC 7638 thumbprint", pack->key->thumbprint);
    if (server->kid == HSMART_KID_ASSIGNED)
        text_put(text, "\nThis server gives the key a kid of its own: set it as kid of the key afterwards.\n");
    if (server->kid == HSMART_KID_UUID)
        text_put(text, "\nThis server wants a UUID as kid: set kid of the key before the key is registered.\n");
    if (server->notes != NULL) {
        text_put(text, "\nOf this family: ");
        text_put_safe(text, server->notes);
        text_put(text, "\n");
    }
}

static enum hsmart_code
format_readme(const struct pack *pack, struct hs_buf *out, hsmart_err *err)
{
    struct text text = {.out = out};
    struct hs_buf der = {0};
    enum hsmart_code code = decode_pem(pack->pem, &der, err);

    if (code == HSMART_OK) {
        put_values(&text, pack);
        put_fingerprint(&text, "the public key", "openssl pkey -pubin -in public.pem -outform DER | sha256sum",
                        hs_span_buf(&der));
        put_fingerprint(&text, "the key set", "sha256sum jwks.json", hs_span_str(pack->jwks));
        text_put(&text, "\nRead the words to whoever registers the key, over the phone or in person, and let them read "
                        "back what they see.\nWhen the server has given a client id, set client-id of the client in "
                        "hsmart.conf, and try: hsmart token\n");
        code = text_finish(&text, err);
    }
    hs_buf_clear(&der);
    return code;
}

/* ---- The files ---- */

static enum hsmart_code
make_directory(const char *path, hsmart_err *err)
{
    struct stat status;

    if (mkdir(path, PUBLIC_DIRECTORY_MODE) == 0) /* the mask of this process is narrower */
        return chmod(path, PUBLIC_DIRECTORY_MODE) == 0
                   ? HSMART_OK
                   : hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot set the mode of \"%s\"", path);
    int why = errno;
    if (why == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return HSMART_OK;
    return hs_err_errno(err, HSMART_OUTPUT_FAILED, why == EEXIST ? ENOTDIR : why, "cannot make the directory \"%s\"",
                        path);
}

static enum hsmart_code
write_files(const struct pack *pack, const char *directory, const struct hs_buf *readme, hsmart_err *err)
{
    const struct {
        const char *name, *contents, *end;
    } files[] = {
        {"jwks.json", pack->jwks, ""},
        {"jwk.json", pack->jwk, "\n"},
        {"public.pem", pack->pem, ""},
        {"README.txt", hs_buf_text(readme), ""},
    };
    enum hsmart_code code = make_directory(directory, err);

    for (size_t i = 0; code == HSMART_OK && i < HS_ARRAY_LEN(files); i++) {
        struct hs_buf path = {.max_len = PATH_MAX_LEN}, contents = {0};
        code = hs_buf_append_format(&path, err, "%s/%s", directory, files[i].name);
        if (code == HSMART_OK)
            code = hs_buf_append_format(&contents, err, "%s%s", files[i].contents, files[i].end);
        if (code == HSMART_OK)
            code = output_write(hs_buf_text(&path), PUBLIC_FILE_MODE, hs_span_buf(&contents), err);
        hs_buf_clear(&path);
        hs_buf_clear(&contents);
    }
    return code;
}

static enum hsmart_code
check_server(const char *name, hsmart_server *out_server, hsmart_err *err)
{
    if (hsmart_server_by_name(name, out_server))
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_CONFIG_INVALID, "there is no server family \"%.60s\"", name);
    hs_err_hint(err, "docs/servers.md lists them; without one, the rules of SMART hold");
    return HSMART_CONFIG_INVALID;
}

static enum hsmart_code
fill(const struct client_target *target, const hsmart_key *key, const hsmart_jwk_options *options, struct pack *pack,
     hsmart_err *err)
{
    enum hsmart_code code = format_jwks(target, key, options, &pack->jwks, err);

    pack->key = hsmart_key_get_info(key);
    pack->kid = options->kid != NULL ? options->kid : pack->key->thumbprint;
    pack->alg = options->alg != NULL ? options->alg : pack->key->alg;
    if (code == HSMART_OK)
        code = hsmart_key_jwk(key, options, &pack->jwk, err);
    return code == HSMART_OK ? hsmart_key_pem(key, &pack->pem, err) : code;
}

enum hsmart_code
registration_pack_write(struct client_target *target, const char *jwks_uri, const char *directory,
                        struct hs_buf *out_text, hsmart_err *err)
{
    struct pack pack = {.options = &target->options, .jwks_uri = jwks_uri};
    const hsmart_jwk_options options = jwk_options(target);
    const hsmart_key *key = NULL;
    struct hs_buf readme = {0};
    enum hsmart_code code = check_server(target->options.server, &pack.server, err);

    if (code == HSMART_OK)
        code = client_target_open_key(target, &key, err);
    if (code == HSMART_OK)
        code = fill(target, key, &options, &pack, err);
    if (code == HSMART_OK)
        code = format_readme(&pack, &readme, err);
    if (code == HSMART_OK)
        code = write_files(&pack, directory, &readme, err);
    if (code == HSMART_OK)
        hs_buf_move(&readme, out_text);
    hs_buf_clear(&readme);
    hsmart_string_free(pack.jwks);
    hsmart_string_free(pack.jwk);
    hsmart_string_free(pack.pem);
    return code;
}
