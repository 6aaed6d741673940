/* hsmart-key import-certificate: the issued certificate, beside its key. */
#include <hsmart/certificate.h>

#include "clock.h"
#include "err.h"
#include "family_view.h"
#include "file.h"
#include "report.h"
#include "target.h"
#include "verbs.h"

#define CERTIFICATE_MAX_LEN (64U << 10)

struct import_options {
    struct cli_common common;
    bool force;
};

static const struct cli_option import_options[] = {
    {"force", 0, NULL, CLI_FLAG, offsetof(struct import_options, force), "import a certificate that has expired", 0, 0},
};
static const struct cli_group import_group = CLI_GROUP("Import", import_options);

/* ---- What it is good for ---- */

/* With an expired one beside its key every server that reads the JWK's x5c refuses; the others are told in time. */
static enum hsmart_code
check_dates(const hsmart_certificate_info *info, bool force, hsmart_err *err)
{
    int64_t now_s = hs_clock_now_s();
    char at[FAMILY_TIME_LEN];

    if (info->not_before_s > now_s) {
        family_format_time(info->not_before_s, at);
        report_warning("the certificate is not valid before %s: servers refuse it until then", at);
    }
    if (info->not_after_s >= now_s)
        return HSMART_OK;
    family_format_time(info->not_after_s, at);
    if (force) {
        report_warning("the certificate expired at %s: servers refuse it", at);
        return HSMART_OK;
    }
    (void)hs_err_set(err, HSMART_POLICY_REFUSED, "the certificate expired at %s", at);
    hs_err_hint(err, "have it renewed, or correct this machine's clock; --force imports it all the same");
    return HSMART_POLICY_REFUSED;
}

static enum hsmart_code
check_use(struct hs_span certificate, bool force, hsmart_err *err)
{
    hsmart_certificate_info info = {0};
    enum hsmart_code code = hsmart_certificate_read(certificate.data, certificate.len, &info, err);

    if (code == HSMART_OK)
        code = check_dates(&info, force, err);
    if (code != HSMART_OK)
        return code;
    if (!info.may_sign)
        report_warning("the certificate is not for signatures: its key usage lacks digitalSignature");
    if (!info.is_for_clients)
        report_warning("the certificate is not for clients: its extended key usage lacks clientAuth");
    if (info.is_ca)
        report_warning("the certificate is one of a CA, and not of a client");
    return HSMART_OK;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    const struct import_options *own = options;
    struct target target = {0};
    struct hs_buf certificate = {0};
    hsmart_key *key = NULL;
    enum hsmart_code code = hs_file_read(call->operands[0], CERTIFICATE_MAX_LEN, &certificate, err);

    if (code == HSMART_OK) /* before a PIN is asked for */
        code = check_use(hs_span_buf(&certificate), own->force, err);
    if (code == HSMART_OK)
        code = target_resolve(&own->common, TARGET_LOGIN, &target, err);
    if (code == HSMART_OK)
        code = target_open_key(&target, &key, err);
    if (code == HSMART_OK)
        code = hsmart_certificate_import(key, certificate.data, certificate.len, err);
    if (code == HSMART_OK)
        report_note("the certificate is on the token, beside key \"%s\"", hsmart_key_get_info(key)->label);
    hs_buf_clear(&certificate);
    hsmart_key_free(key);
    target_clear(&target);
    return code;
}

const struct cli_verb verb_import_certificate = {
    .name = "import-certificate",
    .summary = "Puts an issued certificate (PEM or DER) on the token, beside the key that it is for.",
    .operands = "FILE|-",
    .operand_min = 1,
    .operand_max = 1,
    .options_size = sizeof(struct import_options),
    .groups = {&import_group, &cli_group_one_key, &cli_group_token, &cli_group_quiet},
    .example = "  hsmart-key import-certificate --key ehr-2026 app.pem\n",
    .run = run,
};
