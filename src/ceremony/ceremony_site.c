#define _GNU_SOURCE /* adjtimex */
#include <stdio.h>
#include <sys/timex.h>
#include <unistd.h>

#include "ceremony_state.h"
#include "err.h"
#include "file.h"
#include "p11_module.h"
#include "text.h"

#define MODULE_MAX_LEN (256U << 20)

const char *
hs_ceremony_clock_state(void)
{
    struct timex timex = {0};
    int state = adjtimex(&timex); /* modes 0: only asks */

    if (state < 0)
        return "unknown";
    return state == TIME_ERROR || (timex.status & STA_UNSYNC) != 0 ? "no" : "yes";
}

static enum hsmart_code
digest_module(struct ceremony *ceremony, hsmart_err *err)
{
    struct hs_buf file = {.max_len = MODULE_MAX_LEN}, hex = {0};
    uint8_t digest[HS_SHA256_LEN];
    enum hsmart_code code = hs_file_read(ceremony->options->token->module, MODULE_MAX_LEN, &file, err);

    if (code == HSMART_OK)
        code = hs_sha256(hs_span_buf(&file), digest, err);
    if (code == HSMART_OK)
        code = hs_text_append_hex(&hex, HS_SPAN_OF(digest), err);
    (void)snprintf(ceremony->module_sha256_hex, sizeof ceremony->module_sha256_hex, "%s", hs_buf_text(&hex));
    hs_buf_clear(&file);
    hs_buf_clear(&hex);
    return code == HSMART_OK ? code : hs_err_wrap(err, code, "cannot take the digest of the module");
}

/* Texts of fixed size, padded with spaces. */
static void
copy_padded(char *out, size_t out_len, const unsigned char *text, size_t len)
{
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == 0))
        len--;
    (void)snprintf(out, out_len, "%.*s", (int)len, (const char *)text);
    hs_text_sanitize(out);
}

struct library_words {
    char manufacturer[33], description[33], version[16], cryptoki[16];
};

static void
describe_library(const struct ceremony *ceremony, struct library_words *out)
{
    const CK_INFO *info = &hs_p11_token_get_module(ceremony->token)->info;

    copy_padded(out->manufacturer, sizeof out->manufacturer, info->manufacturerID, sizeof info->manufacturerID);
    copy_padded(out->description, sizeof out->description, info->libraryDescription, sizeof info->libraryDescription);
    (void)snprintf(out->version, sizeof out->version, "%u.%u", info->libraryVersion.major, info->libraryVersion.minor);
    (void)snprintf(out->cryptoki, sizeof out->cryptoki, "%u.%u", info->cryptokiVersion.major,
                   info->cryptokiVersion.minor);
}

enum hsmart_code
hs_ceremony_look_at_site(struct ceremony *ceremony, hsmart_err *err)
{
    const hsmart_token_info *info = hs_p11_token_get_info(ceremony->token);
    struct library_words library = {0};
    enum hsmart_code code = digest_module(ceremony, err);

    if (code != HSMART_OK)
        return code;
    describe_library(ceremony, &library);
    hs_ceremony_say(ceremony, "%s", "");
    hs_ceremony_say(ceremony, "4. The token.");
    hs_ceremony_say(ceremony, "  module    %s", ceremony->options->token->module);
    hs_ceremony_say(ceremony, "  SHA-256   %.32s", ceremony->module_sha256_hex);
    hs_ceremony_say(ceremony, "            %s", ceremony->module_sha256_hex + HS_SHA256_LEN);
    hs_ceremony_say(ceremony, "  library   %s, %s, version %s", library.manufacturer, library.description,
                    library.version);
    hs_ceremony_say(ceremony, "  token     \"%s\", model %s of %s", info->label, info->model, info->manufacturer);
    hs_ceremony_say(ceremony, "  firmware  %s; %zu mechanisms", info->firmware, info->mechanism_count);
    return HSMART_OK;
}

static void
put_module(struct hs_json_writer *writer, const struct ceremony *ceremony)
{
    struct library_words library = {0};

    describe_library(ceremony, &library);
    hs_json_name(writer, "module");
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "path", ceremony->options->token->module);
    hs_json_member_text(writer, "sha256", ceremony->module_sha256_hex);
    hs_json_member_text(writer, "manufacturer", library.manufacturer);
    hs_json_member_text(writer, "description", library.description);
    hs_json_member_text(writer, "version", library.version);
    hs_json_member_text(writer, "cryptoki", library.cryptoki);
    hs_json_end_object(writer);
}

static void
put_token(struct hs_json_writer *writer, const struct ceremony *ceremony)
{
    const hsmart_token_info *info = hs_p11_token_get_info(ceremony->token);
    const CK_TOKEN_INFO *raw = hs_p11_token_get_raw_info(ceremony->token);
    char hardware[16], host[65] = "";

    (void)snprintf(hardware, sizeof hardware, "%u.%u", raw->hardwareVersion.major, raw->hardwareVersion.minor);
    hs_json_name(writer, "token");
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "label", info->label);
    hs_json_member_text(writer, "serial", info->serial);
    hs_json_member_text(writer, "model", info->model);
    hs_json_member_text(writer, "manufacturer", info->manufacturer);
    hs_json_member_text(writer, "firmware", info->firmware);
    hs_json_member_text(writer, "hardware", hardware);
    hs_json_member_text(writer, "uri", info->uri);
    hs_json_name(writer, "mechanisms");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < info->mechanism_count; i++)
        hs_json_put_text(writer, info->mechanisms[i]);
    hs_json_end_array(writer);
    hs_json_end_object(writer);
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = 0;
    hs_text_sanitize(host);
    hs_json_member_text(writer, "host", host);
}

void
hs_ceremony_put_site(struct hs_json_writer *writer, const struct ceremony *ceremony)
{
    put_module(writer, ceremony);
    put_token(writer, ceremony);
}
