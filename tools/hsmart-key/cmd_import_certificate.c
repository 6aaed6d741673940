/* hsmart-key import-certificate: the issued certificate, beside its key. */
#include <hsmart/certificate.h>

#include "err.h"
#include "file.h"
#include "report.h"
#include "target.h"
#include "verbs.h"

#define CERTIFICATE_MAX_LEN (64U << 10)

struct import_options {
    struct cli_common common;
};

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    const struct import_options *own = options;
    struct target target = {0};
    struct hs_buf certificate = {0};
    hsmart_key *key = NULL;
    enum hsmart_code code = hs_file_read(call->operands[0], CERTIFICATE_MAX_LEN, &certificate, err);

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
    .groups = {&cli_group_one_key, &cli_group_token, &cli_group_quiet},
    .example = "  hsmart-key import-certificate --key ehr-2026 app.pem\n",
    .run = run,
};
