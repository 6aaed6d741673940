#include "p11_token_init.h"

#include "clock.h"
#include "err.h"
#include "p11_ckr.h"
#include "p11_module.h"
#include "p11_pin.h"
#include "p11_quirk.h"
#include "p11_slots.h"
#include "text.h"

#define LABEL_LEN sizeof((CK_TOKEN_INFO *)NULL)->label

struct set_up {
    struct hs_p11_module *module;
    struct hs_p11_uri *uri;
    struct hs_found_token found;
    CK_UTF8CHAR label[LABEL_LEN]; /* blank-padded */
    struct hs_secret so_pin, user_pin;
};

static enum hsmart_code
check_label(const char *label, struct set_up *set_up, hsmart_err *err)
{
    if (label == NULL || label[0] == 0 || strlen(label) > LABEL_LEN || !hs_text_is_utf8(hs_span_str(label)))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "a token needs a label of 1 to %zu bytes, in UTF-8", LABEL_LEN);
    if (!hs_text_is_printable(label))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the token's label has a control character in it");
    memset(set_up->label, ' ', LABEL_LEN);
    memcpy(set_up->label, label, strlen(label));
    return HSMART_OK;
}

static enum hsmart_code
read_pin(const char *source_text, const char *question, struct hs_secret *out_pin, hsmart_err *err)
{
    struct hs_pin_source source = {0};
    enum hsmart_code code;

    if (source_text == NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT,
                          "setting up a token needs two PIN sources: the user's and the "
                          "security officer's");
    code = hs_pin_source_parse(source_text, &source, err);
    if (code == HSMART_OK && source.kind->pinpad)
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "a PIN pad cannot set up a token here; use the vendor's tool");
    if (code == HSMART_OK)
        code = hs_pin_source_read(&source, question, out_pin, err);
    hs_pin_source_clear(&source);
    return code;
}

/* Without blanks at its end; a label need not be ASCII, nor even UTF-8: messages take care of that. */
static int
label_len(const CK_TOKEN_INFO *raw)
{
    size_t len = LABEL_LEN;

    while (len > 0 && (raw->label[len - 1] == ' ' || raw->label[len - 1] == 0))
        len--;
    return (int)len;
}

/* The officer's PIN is given once, too: what its last try locks, nobody opens again. */
static enum hsmart_code
check_may_be_set_up(const CK_TOKEN_INFO *raw, bool reinitialize, hsmart_err *err)
{
    if (!(raw->flags & CKF_TOKEN_INITIALIZED))
        return HSMART_OK;
    if (!reinitialize)
        return hs_err_set(err, HSMART_TOKEN_EXISTS, "the token is initialised already, with the label \"%.*s\"",
                          label_len(raw), (const char *)raw->label);
    if (raw->flags & CKF_SO_PIN_LOCKED)
        return hs_err_set(err, HSMART_PIN_LOCKED, "the token reports that its security officer's PIN is locked");
    if (raw->flags & CKF_SO_PIN_FINAL_TRY) {
        (void)hs_err_set(err, HSMART_PIN_GUARDED,
                         "the security officer's PIN was not tried: the token reports that one "
                         "more wrong PIN locks it");
        hs_err_hint(err, "log in as the security officer with the vendor's tool, which clears the counter");
        return HSMART_PIN_GUARDED;
    }
    return HSMART_OK;
}

static enum hsmart_code
choose_token(const hsmart_token_options *options, const hsmart_token_init_options *init, struct set_up *set_up,
             hsmart_err *err)
{
    struct hs_found_tokens found = {0};
    size_t kept = 0;
    enum hsmart_code code = hs_slots_find(set_up->module, set_up->uri, &found, err);

    if (code != HSMART_OK)
        return code;
    for (size_t i = 0; i < found.count; i++)
        if (options->uri != NULL || !(found.tokens[i].raw.flags & CKF_TOKEN_INITIALIZED))
            found.tokens[kept++] = found.tokens[i];
    if (kept == 0) {
        code = hs_err_set(err, HSMART_TOKEN_ABSENT,
                          options->uri != NULL ? "no token matches %s" : "the module shows no uninitialised token%s",
                          options->uri != NULL ? options->uri : "");
    } else if (kept > 1 && options->uri != NULL) {
        code = hs_err_set(err, HSMART_TOKEN_AMBIGUOUS, "several tokens match %s", options->uri);
    } else {
        set_up->found = found.tokens[0];
        code = check_may_be_set_up(&set_up->found.raw, init->reinitialize, err);
    }
    hs_slots_clear(&found);
    return code;
}

static enum hsmart_code
check_pin_lengths(const struct set_up *set_up, hsmart_err *err)
{
    const struct {
        const char *whose;
        size_t len;
    } pins[] = {{"user's", set_up->user_pin.len}, {"security officer's", set_up->so_pin.len}};
    const CK_TOKEN_INFO *raw = &set_up->found.raw;

    for (size_t i = 0; i < HS_ARRAY_LEN(pins); i++)
        if (!hs_slots_takes_pin_len(raw, pins[i].len))
            return hs_err_set(err, HSMART_PIN_REFUSED, "the %s PIN has %zu bytes, but the token takes %lu to %lu",
                              pins[i].whose, pins[i].len, raw->ulMinPinLen, raw->ulMaxPinLen);
    return HSMART_OK;
}

/* Initialising may give the token another slot and serial, so it is found by its new label; of several, it is the one
 * whose user PIN is not set yet. */
static enum hsmart_code
find_by_label(struct set_up *set_up, hsmart_err *err)
{
    struct hs_found_tokens found = {0};
    size_t matches = 0;
    enum hsmart_code code = hs_slots_find(set_up->module, NULL, &found, err);

    if (code != HSMART_OK)
        return code;
    for (size_t i = 0; i < found.count; i++) {
        const CK_TOKEN_INFO *raw = &found.tokens[i].raw;
        if (!(raw->flags & CKF_TOKEN_INITIALIZED) || memcmp(raw->label, set_up->label, LABEL_LEN) != 0)
            continue;
        if (!(raw->flags & CKF_USER_PIN_INITIALIZED)) {
            set_up->found = found.tokens[i];
            matches++;
        }
    }
    if (matches != 1)
        code = hs_err_set(err, HSMART_TOKEN_AMBIGUOUS,
                          "%zu tokens with this label and without a user PIN are there after initialising", matches);
    hs_slots_clear(&found);
    return code;
}

static enum hsmart_code
set_user_pin(const struct set_up *set_up, hsmart_err *err)
{
    CK_FUNCTION_LIST *p11 = set_up->module->p11;
    CK_SESSION_HANDLE session = 0;

    CK_RV rv = p11->C_OpenSession(set_up->found.slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
    if (rv != CKR_OK)
        return hs_ckr_set(err, rv);
    rv = p11->C_Login(session, CKU_SO, set_up->so_pin.data, set_up->so_pin.len);
    if (rv == CKR_OK)
        rv = p11->C_InitPIN(session, set_up->user_pin.data, set_up->user_pin.len);
    (void)p11->C_CloseSession(session); /* which logs the security officer out, too */
    return rv == CKR_OK ? HSMART_OK : hs_ckr_set(err, rv);
}

static enum hsmart_code
initialize_token(struct set_up *set_up, hsmart_err *err)
{
    enum hsmart_code code;

    CK_RV rv =
        set_up->module->p11->C_InitToken(set_up->found.slot, set_up->so_pin.data, set_up->so_pin.len, set_up->label);
    if (rv != CKR_OK) {
        code = hs_ckr_set(err, rv);
        return hs_err_wrap(err, code, "cannot initialise the token");
    }
    code = find_by_label(set_up, err);
    if (code == HSMART_OK)
        code = set_user_pin(set_up, err);
    if (code != HSMART_OK)
        (void)hs_err_wrap(err, code, "the token is initialised, but its user PIN is not set");
    return code;
}

enum hsmart_code
hs_p11_token_init(const hsmart_token_options *options, const hsmart_token_init_options *init, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_log log = {options->log, options->log_arg};
    struct set_up set_up = {0};
    bool takes_turns = (hs_quirks_of(options->module, NULL) & HS_QUIRK_SERIAL_START) != 0;
    int turn = -1;

    code = check_label(init->label, &set_up, err);
    if (code == HSMART_OK)
        code = hs_p11_uri_parse(options->uri, &set_up.uri, err);
    if (code == HSMART_OK)
        code = hs_p11_module_open(options->module, options->init_string,
                                  hs_clock_monotonic_ms() + HS_P11_MODULE_WAIT_MS, &log, &set_up.module, err);
    if (code == HSMART_OK && (set_up.module->p11->C_InitToken == NULL || set_up.module->p11->C_InitPIN == NULL))
        code = hs_ckr_set(err, CKR_FUNCTION_NOT_SUPPORTED);
    if (code == HSMART_OK)
        code = choose_token(options, init, &set_up, err);
    if (code == HSMART_OK)
        code = read_pin(init->so_pin_source, "security officer's PIN", &set_up.so_pin, err);
    if (code == HSMART_OK)
        code = read_pin(options->pin_source, "new user PIN", &set_up.user_pin, err);
    if (code == HSMART_OK)
        code = check_pin_lengths(&set_up, err);
    if (code == HSMART_OK) {
        turn = takes_turns ? hs_p11_turn_begin(options->module, HS_P11_TURN_WAIT_MS, &log) : -1;
        code = initialize_token(&set_up, err);
        hs_p11_turn_end(turn);
    }
    hs_secret_clear(&set_up.so_pin);
    hs_secret_clear(&set_up.user_pin);
    hs_p11_module_close(set_up.module);
    hs_p11_uri_free(set_up.uri);
    return code;
}
