#define _GNU_SOURCE /* strcasestr */
#include "p11_quirk.h"

#include "err.h"

const struct hs_quirk_name hs_quirk_names[] = {
    {"serial-start", HS_QUIRK_SERIAL_START,
     "processes that start at the same time disturb each other: take turns, and ask again after a false answer"},
    {"rw-sessions", HS_QUIRK_RW_SESSIONS, "read-only sessions are refused: open read-write ones"},
    {"no-allowed-mechanisms", HS_QUIRK_NO_ALLOWED_MECHANISMS,
     "a key cannot be made with CKA_ALLOWED_MECHANISMS: leave it out"},
    {"no-decrypt-false", HS_QUIRK_NO_DECRYPT_FALSE, "a key cannot be made with CKA_DECRYPT=false: leave it out"},
    {"no-lockout", HS_QUIRK_NO_LOCKOUT, "wrong PINs do not lock the token: neither its count-low flag nor an unclear answer stands against a try"},
    {"sigpipe", HS_QUIRK_SIGPIPE,
     "raises SIGPIPE when its server dies: the signal is ignored, unless the program handles it"},
};
const size_t hs_quirk_name_count = HS_ARRAY_LEN(hs_quirk_names);

#define SOFTHSM (HS_QUIRK_SERIAL_START | HS_QUIRK_NO_LOCKOUT)

/* docs/tokens.md tells the same, with what was seen. */
const struct hs_quirk_row hs_quirk_rows[] = {
    {"SoftHSM2", "softhsm", "SoftHSM", SOFTHSM, true, "measured with 2.6.1"},
    {"NSS softokn", "softokn3", "Mozilla Foundation", HS_QUIRK_NO_ALLOWED_MECHANISMS | HS_QUIRK_NO_LOCKOUT, true,
     "measured with 3.87.1"},
    {"opencryptoki", "libopencryptoki", NULL, HS_QUIRK_NO_ALLOWED_MECHANISMS, true, "measured with 3.8.1"},
    {"tpm2-pkcs11", "libtpm2_pkcs11", NULL, HS_QUIRK_NO_DECRYPT_FALSE, true,
     "measured with 1.9.0 on swtpm"},
    {"p11-kit client", "p11-kit-client", NULL, HS_QUIRK_SIGPIPE, true, "measured with 0.24.1"},
    {"p11-kit proxy", "p11-kit-proxy", NULL, HS_QUIRK_SIGPIPE, true, "measured with 0.24.1"},
    {"AWS CloudHSM", "libcloudhsm_pkcs11", NULL, HS_QUIRK_RW_SESSIONS, false, "AWS CloudHSM user guide, known issues"},
    {"Google Cloud KMS", "libkmsp11", NULL, HS_QUIRK_NO_ALLOWED_MECHANISMS, false, "kmsp11 user guide"},
    {"Luna", "libCryptoki2", "SafeNet", 0, false, "vendor's system messages page"},
    {"nShield", "libcknfast", "nCipher", 0, false, "nShield PKCS#11 documentation"},
    {"YubiHSM 2", "yubihsm_pkcs11", "Yubico", 0, false, "YubiHSM 2 user guide"},
    {"Azure Cloud HSM", "azcloudhsm", NULL, 0, false, "Azure Cloud HSM documentation, authentication"},
};
const size_t hs_quirk_row_count = HS_ARRAY_LEN(hs_quirk_rows);

static bool
has_part(const char *text, const char *part)
{
    return text != NULL && part != NULL && strcasestr(text, part) != NULL;
}

unsigned
hs_quirks_of(const char *module_path, const char *manufacturer)
{
    const char *slash = module_path != NULL ? strrchr(module_path, '/') : NULL;
    const char *file = slash != NULL ? slash + 1 : module_path;
    unsigned quirks = 0;

    for (size_t i = 0; i < hs_quirk_row_count; i++)
        if (has_part(file, hs_quirk_rows[i].module_part) || has_part(manufacturer, hs_quirk_rows[i].manufacturer_part))
            quirks |= hs_quirk_rows[i].quirks;
    return quirks;
}

static const struct hs_quirk_name *
name_of(struct hs_span word)
{
    for (size_t i = 0; i < hs_quirk_name_count; i++)
        if (hs_span_equal_str(word, hs_quirk_names[i].name))
            return &hs_quirk_names[i];
    return NULL;
}

static enum hsmart_code
refuse_word(struct hs_span word, hsmart_err *err)
{
    struct hs_buf known = {0};

    for (size_t i = 0; i < hs_quirk_name_count; i++)
        if (hs_buf_append_format(&known, NULL, "%s%s", i > 0 ? ", " : "", hs_quirk_names[i].name) != HSMART_OK)
            break;
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%.*s\" is not a quirk of a token", (int)word.len,
                     (const char *)word.data);
    hs_err_hint(err, "the quirks are %s", hs_buf_text(&known));
    hs_buf_clear(&known);
    return HSMART_INVALID_ARGUMENT;
}

enum hsmart_code
hs_quirks_parse(const char *names, unsigned *out_quirks, hsmart_err *err)
{
    unsigned quirks = 0;

    for (const char *at = names + strspn(names, " ,"); *at != 0; at += strspn(at, " ,")) {
        struct hs_span word = {(const uint8_t *)at, strcspn(at, " ,")};
        const struct hs_quirk_name *name = name_of(word);
        if (name == NULL)
            return refuse_word(word, err);
        quirks |= name->quirk;
        at += word.len;
    }
    *out_quirks = quirks;
    return HSMART_OK;
}
