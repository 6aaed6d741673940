/* hsmart-key export: public halves as JWK, JWKS or PEM, certificates and requests for them. There is no private
 * counterpart to any call made here. */
#include <string.h>

#include <hsmart/certificate.h>

#include <hsmart/signer.h>

#include "err.h"
#include "output.h"
#include "report.h"
#include "target.h"
#include "verbs.h"

#define PUBLIC_FILE_MODE 0644U
#define FORMAT_NAMES "jwk, jwks, pem, csr or x509"

struct export_options {
    struct cli_common common;
    const char *format, *out, *kid, *alg, *allow_extractable, *subject;
    struct cli_list key_uris, names;
    struct cli_number days;
    bool all, x5c;
};

static const struct cli_option export_only_options[] = {
    {"format", 0, "FORMAT", CLI_TEXT, offsetof(struct export_options, format),
     "jwk (one key), jwks (a set, for registration), pem (one key), csr (a certificate request) or x509 (a self-signed "
     "certificate); required",
     0, 0},
    {"out", 'o', "FILE", CLI_TEXT, offsetof(struct export_options, out),
     "write to FILE, which is replaced whole (mode 0644); default: standard output", 0, 0},
    {"kid", 0, "KID", CLI_TEXT, offsetof(struct export_options, kid), "default: the RFC 7638 thumbprint", 0, 0},
    {"alg", 0, "ALG", CLI_TEXT, offsetof(struct export_options, alg), "default: RS384, or the one of the curve", 0, 0},
    {"key-uri", 0, "URI", CLI_LIST, offsetof(struct export_options, key_uris),
     "the key (RFC 7512), by object and/or id; for jwks may be given several times", 0, 0},
    {"key", 0, "NAME", CLI_TEXT, offsetof(struct cli_common, key), "a key of the configuration file", 0, 0},
    {"all", 0, NULL, CLI_FLAG, offsetof(struct export_options, all),
     "every key of the token that can sign (jwks); what is left out is told", 0, 0},
    {"x5c", 0, NULL, CLI_FLAG, offsetof(struct export_options, x5c),
     "with the certificate that the token has beside the key: x5c and x5t#S256 (jwk, jwks)", 0, 0},
    {"allow-extractable", 0, "LABEL", CLI_TEXT, offsetof(struct export_options, allow_extractable),
     "export the key of this label although the token would give its private half away", 0, 0},
};
static const struct cli_group export_group = CLI_GROUP("Export", export_only_options);

static const struct cli_option certificate_options[] = {
    {"subject", 0, "NAME", CLI_TEXT, offsetof(struct export_options, subject),
     "the subject (RFC 4514), as \"CN=app.example,O=Clinic,C=DE\"; required for csr and x509", 0, 0},
    {"san", 0, "NAME", CLI_LIST, offsetof(struct export_options, names),
     "a subject alternative name: URI:…, DNS:…, email:… or IP:…; may be given several times", 0, 0},
    {"days", 0, "N", CLI_NUMBER, offsetof(struct export_options, days),
     "how long an x509 is valid, from now; default: 365", 1, 3650},
};
static const struct cli_group certificate_group = CLI_GROUP("Certificates (csr, x509)", certificate_options);

/* The keys to write, in the order they were asked for. */
struct selection {
    hsmart_key **keys;
    size_t count;
};

static void
selection_clear(struct selection *selection)
{
    for (size_t i = 0; i < selection->count; i++)
        hsmart_key_free(selection->keys[i]);
    hs_free(selection->keys);
    *selection = (struct selection){0};
}

static enum hsmart_code
selection_add(struct selection *selection, hsmart_key *key, hsmart_err *err)
{
    void *keys = selection->keys;
    enum hsmart_code code = hs_array_grow(&keys, selection->count, sizeof *selection->keys, err);

    selection->keys = keys;
    if (code == HSMART_OK)
        selection->keys[selection->count++] = key;
    else
        hsmart_key_free(key);
    return code;
}

/* Only a key that could sign is worth registering, so what a signer refuses is refused here. */
static enum hsmart_code
check_can_sign(const struct export_options *own, const struct target *target, const hsmart_key *key, hsmart_err *err)
{
    hsmart_signer_options options = target->signer;
    hsmart_signer *signer = NULL;
    enum hsmart_code code = target_check_allowed(own->allow_extractable, key, err);

    if (own->allow_extractable != NULL)
        options.allow_extractable = true;
    if (own->alg != NULL)
        options.alg = own->alg;
    if (code == HSMART_OK)
        code = hsmart_signer_new(key, &options, &signer, err);
    hsmart_signer_free(signer);
    return code;
}

/* ---- Which keys ---- */

static enum hsmart_code
select_one(const struct export_options *own, const struct target *target, const char *uri, struct selection *selection,
           hsmart_err *err)
{
    hsmart_key *key = NULL;
    enum hsmart_code code = hsmart_key_find(target->opened, uri, &key, err);

    if (code == HSMART_OK)
        code = check_can_sign(own, target, key, err);
    if (code != HSMART_OK) {
        hsmart_key_free(key);
        return code;
    }
    return selection_add(selection, key, err);
}

static enum hsmart_code
select_named(const struct export_options *own, const struct target *target, struct selection *selection,
             hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    if (own->key_uris.count == 0)
        return select_one(own, target, target->key_uri, selection, err);
    for (size_t i = 0; i < own->key_uris.count && code == HSMART_OK; i++)
        code = select_one(own, target, own->key_uris.items[i], selection, err);
    return code;
}

static enum hsmart_code
select_all(const struct target *target, struct selection *selection, hsmart_err *err)
{
    enum hsmart_code code;
    hsmart_key_list *list = NULL;

    code = hsmart_key_list_read(target->opened, &list, err);
    if (code != HSMART_OK)
        return code;
    for (size_t i = 0; i < list->count && code == HSMART_OK; i++) {
        const hsmart_key_info *info = hsmart_key_get_info(list->keys[i]);
        if (info->problem != HSMART_OK) {
            report_note("left out: key \"%s\" (%s): %s", info->label, info->uri, info->problem_text);
            continue;
        }
        code = selection_add(selection, list->keys[i], err);
        list->keys[i] = NULL; /* it moved */
    }
    hsmart_key_list_free(list);
    if (code == HSMART_OK && selection->count == 0)
        code = hs_err_set(err, HSMART_KEY_ABSENT, "token \"%s\" has no key that can sign",
                          hsmart_token_get_info(target->opened)->label);
    return code;
}

/* ---- Formats: one row each ---- */

static enum hsmart_code
format_jwk(const struct selection *selection, const hsmart_jwk_options *options, struct hs_buf *out, hsmart_err *err)
{
    char *jwk = NULL;
    enum hsmart_code code = hsmart_key_jwk(selection->keys[0], options, &jwk, err);

    if (code == HSMART_OK)
        code = hs_buf_append_format(out, err, "%s\n", jwk);
    hsmart_string_free(jwk);
    return code;
}

static enum hsmart_code
format_pem(const struct selection *selection, const hsmart_jwk_options *options, struct hs_buf *out, hsmart_err *err)
{
    char *pem = NULL;
    enum hsmart_code code = hsmart_key_pem(selection->keys[0], &pem, err);

    (void)options;
    if (code == HSMART_OK)
        code = hs_buf_append_str(out, pem, err);
    hsmart_string_free(pem);
    return code;
}

static enum hsmart_code
format_jwks(const struct selection *selection, const hsmart_jwk_options *options, struct hs_buf *out, hsmart_err *err)
{
    hsmart_jwks *jwks = NULL;
    char *json = NULL;
    enum hsmart_code code = hsmart_jwks_new(&jwks, err);

    for (size_t i = 0; i < selection->count && code == HSMART_OK; i++)
        code = hsmart_jwks_add(jwks, selection->keys[i], options, err);
    if (code == HSMART_OK)
        code = hsmart_jwks_format(jwks, &json, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(out, json, err);
    hsmart_string_free(json);
    hsmart_jwks_free(jwks);
    return code;
}

static const struct format {
    const char *name;
    bool takes_several, has_kid, is_certificate;
    enum hsmart_code (*format)(const struct selection *selection, const hsmart_jwk_options *options, struct hs_buf *out,
                               hsmart_err *err);
} formats[] = {
    {"jwk", false, true, false, format_jwk},
    {"jwks", true, true, false, format_jwks},
    {"pem", false, false, false, format_pem},
    {"csr", false, false, true, NULL}, /* libp11 makes these two, alone on the slot: `export_certificate` */
    {"x509", false, false, true, NULL},
};

static const struct format *
format_by_name(const char *name)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(formats); i++)
        if (name != NULL && strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}

/* ---- The work ---- */

static enum hsmart_code
check_words(const struct export_options *own, const struct format *format, hsmart_err *err)
{
    bool several = own->all || own->key_uris.count > 1;
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < own->key_uris.count && code == HSMART_OK; i++)
        code = target_check_uri("key-uri", own->key_uris.items[i], err);
    if (code == HSMART_OK)
        code = target_check_text("kid", own->kid, err);
    if (code != HSMART_OK)
        return code;
    if (own->format == NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--format is required: " FORMAT_NAMES);
    if (format == NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--format is \"%s\", but must be " FORMAT_NAMES, own->format);
    if (own->all && (own->key_uris.count > 0 || own->common.key != NULL))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--all and %s contradict each other",
                          own->common.key != NULL ? "--key" : "--key-uri");
    if (own->common.key != NULL && own->key_uris.count > 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--key \"%s\" and --key-uri \"%s\" both name a key",
                          own->common.key, own->key_uris.items[0]);
    if (several && !format->takes_several)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "format %s holds one key; --format jwks takes several",
                          format->name);
    if (several && (own->kid != NULL || own->alg != NULL || own->allow_extractable != NULL))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "--%s is for one key, and several are exported",
                          own->kid != NULL   ? "kid"
                          : own->alg != NULL ? "alg"
                                             : "allow-extractable");
    if ((own->kid != NULL && !format->has_kid) || (own->alg != NULL && !format->has_kid && !format->is_certificate))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "format %s has no place for --%s", format->name,
                          own->kid != NULL ? "kid" : "alg");
    if (own->x5c && !format->has_kid)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "format %s has no place for --x5c", format->name);
    if (!format->is_certificate && (own->subject != NULL || own->names.count > 0 || own->days.is_given))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "format %s has no place for --%s", format->name,
                          own->subject != NULL   ? "subject"
                          : own->names.count > 0 ? "san"
                                                 : "days");
    if (own->days.is_given && strcmp(format->name, "csr") == 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "a request has no place for --days: who issues decides");
    if (format->is_certificate && own->subject == NULL) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "format %s needs --subject", format->name);
        hs_err_hint(err, "for example --subject CN=app.example,O=Clinic,C=DE");
        return HSMART_INVALID_ARGUMENT;
    }
    return HSMART_OK;
}

static enum hsmart_code
resolve(const struct export_options *own, struct target *out_target, hsmart_err *err)
{
    struct cli_common common = own->common;

    /* The first key's URI may name the token. */
    if (own->key_uris.count > 0)
        common.key_uri = own->key_uris.items[0];
    enum hsmart_code code = target_resolve(&common, TARGET_LOGIN, out_target, err);
    return code == HSMART_OK && !own->all ? target_check_one_key(out_target, err) : code;
}

/* A permission by label is held against the key before libp11 gets it. */
static enum hsmart_code
check_permission(const struct export_options *own, struct target *target, hsmart_err *err)
{
    hsmart_key *key = NULL;
    enum hsmart_code code = target_open_key(target, &key, err);

    if (code == HSMART_OK)
        code = target_check_allowed(own->allow_extractable, key, err);
    hsmart_key_free(key);
    hsmart_token_close(target->opened);
    target->opened = NULL;
    return code;
}

static enum hsmart_code
export_certificate(const struct export_options *own, struct target *target, struct hs_buf *out, hsmart_err *err)
{
    const hsmart_certificate_options options = {
        .self_signed = strcmp(own->format, "x509") == 0,
        .subject = own->subject,
        .names = own->names.items,
        .name_count = own->names.count,
        .days = own->days.is_given ? (unsigned)own->days.value : 0,
    };
    hsmart_signer_options signer = target->signer;
    char *pem = NULL;
    enum hsmart_code code = HSMART_OK;

    if (own->alg != NULL)
        signer.alg = own->alg;
    if (own->allow_extractable != NULL) {
        signer.allow_extractable = true;
        code = check_permission(own, target, err);
    }
    if (code == HSMART_OK)
        code = hsmart_certificate_make(&target->token, target->key_uri, &signer, &options, &pem, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(out, pem, err);
    hsmart_string_free(pem);
    return code;
}

static enum hsmart_code
export_keys(const struct export_options *own, const struct format *format, struct target *target,
            struct selection *selection, struct hs_buf *out, hsmart_err *err)
{
    const hsmart_jwk_options options = {.kid = own->kid != NULL ? own->kid : target->signer.kid,
                                        .alg = own->alg != NULL ? own->alg : target->signer.alg,
                                        .certificate = own->x5c};
    enum hsmart_code code = target_open(target, err);

    if (code == HSMART_OK)
        code = own->all ? select_all(target, selection, err) : select_named(own, target, selection, err);
    return code == HSMART_OK ? format->format(selection, &options, out, err) : code;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct export_options *own = options;
    const struct format *format = format_by_name(own->format);
    struct target target = {0};
    struct selection selection = {0};
    struct hs_buf answer = {.max_len = OUTPUT_MAX_LEN};

    (void)call;
    code = check_words(own, format, err);
    if (code == HSMART_OK)
        code = output_check(own->out, err);
    if (code == HSMART_OK)
        code = resolve(own, &target, err);
    if (code != HSMART_OK)
        goto out;
    code = format->is_certificate ? export_certificate(own, &target, &answer, err)
                                  : export_keys(own, format, &target, &selection, &answer, err);
    if (code == HSMART_OK)
        code = output_write(own->out, PUBLIC_FILE_MODE, hs_span_buf(&answer), err);
    if (code == HSMART_OK && own->out != NULL && format->is_certificate)
        report_note("wrote the %s to \"%s\"", strcmp(format->name, "x509") == 0 ? "certificate" : "request", own->out);
    else if (code == HSMART_OK && own->out != NULL)
        report_note("wrote %zu public %s to \"%s\"", selection.count, selection.count == 1 ? "key" : "keys", own->out);
out:
    hs_buf_clear(&answer);
    selection_clear(&selection);
    target_clear(&target);
    return code;
}

const struct cli_verb verb_export = {
    .name = "export",
    .summary = "Writes public keys for registration: JWK, JWKS, PEM, certificate (request). Never anything private.",
    .options_size = sizeof(struct export_options),
    .groups = {&export_group, &certificate_group, &cli_group_token, &cli_group_quiet},
    .example = "  hsmart-key export --format jwks --all --out jwks.json --token prod\n"
               "  hsmart-key export --format csr --key ehr-2026 --subject CN=app.example,O=Clinic,C=DE --out app.csr\n",
    .run = run,
};
