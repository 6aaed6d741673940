#define _GNU_SOURCE /* the strerror_r that returns a string */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "text.h"

const struct hs_err_row hs_err_rows[] = {
    {HSMART_OK, "HSMART_OK", HS_EXIT_OK, "Done.", ""},
    {HSMART_INTERNAL, "HSMART_INTERNAL", HS_EXIT_OTHER, "A defect of hsmart itself.",
     "Report it, with the output of the same command with -v."},
    {HSMART_NO_MEMORY, "HSMART_NO_MEMORY", HS_EXIT_OTHER, "Memory could not be had.",
     "Free memory, or raise the limit of the process, and try again."},
    {HSMART_INVALID_ARGUMENT, "HSMART_INVALID_ARGUMENT", HS_EXIT_USAGE,
     "The words of the command, or the arguments of the call, are off.",
     "Run the command with --help, which shows an example."},
    {HSMART_CONFIG_INVALID, "HSMART_CONFIG_INVALID", HS_EXIT_CONFIG, "The configuration file is wrong.",
     "Correct the line that the message names; docs/configuration.md lists the settings."},
    {HSMART_FILE_UNREADABLE, "HSMART_FILE_UNREADABLE", HS_EXIT_OUTPUT, "An input file cannot be read.",
     "Check that the file exists and that this user may read it."},
    {HSMART_OUTPUT_FAILED, "HSMART_OUTPUT_FAILED", HS_EXIT_OUTPUT,
     "An output file or standard output cannot be written; what was there before is unchanged.",
     "Check space, permissions and that standard output is open, then run the command again."},
    {HSMART_INPUT_MALFORMED, "HSMART_INPUT_MALFORMED", HS_EXIT_CHECK,
     "A JWK, JWKS, JWT or other input is not what it should be.",
     "Correct the input where the message points; `hsmart check` shows every finding in a JWK Set or an assertion."},
    {HSMART_MODULE_UNUSABLE, "HSMART_MODULE_UNUSABLE", HS_EXIT_TOKEN,
     "The PKCS#11 module cannot be loaded or initialised.",
     "Give the absolute path of the vendor's PKCS#11 library, and check its own configuration and environment."},
    {HSMART_TOKEN_ABSENT, "HSMART_TOKEN_ABSENT", HS_EXIT_TOKEN, "No token matches.",
     "Run `hsmart-key token list` to see the tokens of the module, and correct the token's URI."},
    {HSMART_TOKEN_AMBIGUOUS, "HSMART_TOKEN_AMBIGUOUS", HS_EXIT_TOKEN, "More than one token matches.",
     "Add the serial number to the token's URI: pkcs11:token=LABEL;serial=SERIAL."},
    {HSMART_TOKEN_FAILED, "HSMART_TOKEN_FAILED", HS_EXIT_TOKEN, "The token answered with a failure.",
     "Check the device, its connection and the vendor's log; the message names the token's own answer."},
    {HSMART_TOKEN_BUSY, "HSMART_TOKEN_BUSY", HS_EXIT_TOKEN, "The token has no free session.",
     "Try again, end other programs that use the token, or lower max-sessions."},
    {HSMART_SESSION_LOST, "HSMART_SESSION_LOST", HS_EXIT_TOKEN, "The token dropped the session or the login.",
     "Try again; if it happens often, check the connection to the HSM and its idle limit."},
    {HSMART_TOKEN_INCAPABLE, "HSMART_TOKEN_INCAPABLE", HS_EXIT_TOKEN,
     "The token lacks a mechanism or a function that is needed, or the key does not permit it.",
     "Run `hsmart-key token list` to see the token's mechanisms, and choose another algorithm or token."},
    {HSMART_SIGNATURE_WRONG, "HSMART_SIGNATURE_WRONG", HS_EXIT_TOKEN,
     "The token returned a signature that does not verify with the public key; it was not released.",
     "Treat it as an alarm: check that the private and the public object belong together, then the device."},
    {HSMART_TOKEN_EXISTS, "HSMART_TOKEN_EXISTS", HS_EXIT_TOKEN, "The token is initialised already.",
     "Choose another slot, or give --reinitialise, which destroys every key on the token."},
    {HSMART_TOKEN_UNAVAILABLE, "HSMART_TOKEN_UNAVAILABLE", HS_EXIT_TOKEN,
     "The token was not asked: it failed a moment ago and could not be recovered yet.",
     "Try again after the time that the message names; check the device, its connection and the vendor's log."},
    {HSMART_FORKED, "HSMART_FORKED", HS_EXIT_TOKEN, "The process was forked after the token was opened.",
     "Open the token anew in the child; better, fork before the token is opened."},
    {HSMART_TOKEN_STOPPED, "HSMART_TOKEN_STOPPED", HS_EXIT_TOKEN, "The program has ended its use of the token.",
     "Nothing: the program is about to end. To go on, close the token and open it anew."},
    {HSMART_PIN_UNAVAILABLE, "HSMART_PIN_UNAVAILABLE", HS_EXIT_PIN, "The PIN source gives no PIN.",
     "Check the PIN source: file:PATH (readable by its owner only), credential:NAME, fd:N, exec:COMMAND, prompt, pinpad."},
    {HSMART_PIN_REFUSED, "HSMART_PIN_REFUSED", HS_EXIT_PIN,
     "The token refused the PIN; it was tried once and is not tried again.",
     "Correct the PIN in its source before the next try: tokens lock after a few wrong ones."},
    {HSMART_PIN_LOCKED, "HSMART_PIN_LOCKED", HS_EXIT_PIN, "The PIN is locked, expired or not set.",
     "The security officer has to set the PIN anew."},
    {HSMART_PIN_GUARDED, "HSMART_PIN_GUARDED", HS_EXIT_PIN,
     "The PIN was not tried, since a further wrong try could lock the token.",
     "Make sure that the PIN is right, log in once with the vendor's tool to clear the counter, then try again."},
    {HSMART_KEY_ABSENT, "HSMART_KEY_ABSENT", HS_EXIT_KEY, "No key matches.",
     "Run `hsmart-key list` to see the keys of the token, and correct the key's URI."},
    {HSMART_KEY_AMBIGUOUS, "HSMART_KEY_AMBIGUOUS", HS_EXIT_KEY, "More than one key matches.",
     "Name the key by label and id: pkcs11:object=LABEL;id=%01%02; `hsmart-key list` prints a URI for each."},
    {HSMART_KEY_MISMATCH, "HSMART_KEY_MISMATCH", HS_EXIT_KEY, "The key found is not the one expected.",
     "Find out who replaced the key before you change the expected thumbprint."},
    {HSMART_KEY_UNUSABLE, "HSMART_KEY_UNUSABLE", HS_EXIT_KEY,
     "A part of the key pair is missing, or its type is not supported.",
     "Use a key pair of type RSA, P-256, P-384 or P-521 with its private and its public half on the token."},
    {HSMART_KEY_EXISTS, "HSMART_KEY_EXISTS", HS_EXIT_KEY, "A key with this label, id or kid exists already.",
     "Choose another label, id or kid: some tokens destroy the older key otherwise."},
    {HSMART_POLICY_REFUSED, "HSMART_POLICY_REFUSED", HS_EXIT_POLICY, "Possible, but against the rules for keys.",
     "Make a new key with `hsmart-key generate`."},
    {HSMART_CHECK_FAILED, "HSMART_CHECK_FAILED", HS_EXIT_CHECK, "A check found errors.",
     "Mend the findings that are marked as errors; each names its cure."},
    {HSMART_NETWORK_FAILED, "HSMART_NETWORK_FAILED", HS_EXIT_NETWORK, "The server cannot be reached, or not in time.",
     "Check the URL, name resolution, proxy and firewall; the message names host and port."},
    {HSMART_TLS_FAILED, "HSMART_TLS_FAILED", HS_EXIT_NETWORK,
     "The server is not who it should be, or speaks no TLS 1.2.",
     "Check the host name in the URL; give a private CA by ca-file. Verification cannot be switched off."},
    {HSMART_SERVER_REFUSED, "HSMART_SERVER_REFUSED", HS_EXIT_SERVER, "The server refused the client.",
     "Go through the causes that the message names, in their order; `hsmart check assertion` tests most of them."},
    {HSMART_SERVER_FAILED, "HSMART_SERVER_FAILED", HS_EXIT_SERVER, "The server failed, or its answer makes no sense.",
     "Try again later; if it stays, show the message to the server's operator."},
    {HSMART_SERVER_BUSY, "HSMART_SERVER_BUSY", HS_EXIT_SERVER,
     "The server asks to come back later than hsmart may wait.",
     "Try again after the time that the message names, and ask for access tokens less often."},
};
const size_t hs_err_row_count = HS_ARRAY_LEN(hs_err_rows);

static const struct hs_err_row *
row_of(enum hsmart_code code)
{
    for (size_t i = 0; i < hs_err_row_count; i++)
        if (hs_err_rows[i].code == code)
            return &hs_err_rows[i];
    return NULL;
}

const char *
hsmart_code_name(enum hsmart_code code)
{
    const struct hs_err_row *row = row_of(code);
    return row != NULL ? row->name : "HSMART_?";
}

const char *
hsmart_code_meaning(enum hsmart_code code)
{
    const struct hs_err_row *row = row_of(code);
    return row != NULL ? row->meaning : "";
}

const char *
hsmart_code_cure(enum hsmart_code code)
{
    const struct hs_err_row *row = row_of(code);
    return row != NULL ? row->cure : "";
}

int
hsmart_code_exit_status(enum hsmart_code code)
{
    const struct hs_err_row *row = row_of(code);
    return row != NULL ? row->exit_status : HS_EXIT_OTHER;
}

/* One line, whatever names were formatted into it: a token's label may hold anything. */
static void
finish_line(char *line)
{
    hs_text_sanitize(line);
}

enum hsmart_code
(hs_err_set)(hsmart_err *err, enum hsmart_code code, const char *reason, ...)
{
    if (err == NULL)
        return code;
    va_list args;
    va_start(args, reason);
    (void)vsnprintf(err->text, sizeof err->text, reason, args);
    va_end(args);
    finish_line(err->text);
    err->hint[0] = 0;
    err->code = code;
    return code;
}

void
hs_err_hint(hsmart_err *err, const char *hint, ...)
{
    if (err == NULL)
        return;
    va_list args;
    va_start(args, hint);
    (void)vsnprintf(err->hint, sizeof err->hint, hint, args);
    va_end(args);
    finish_line(err->hint);
}

enum hsmart_code
(hs_err_wrap)(hsmart_err *err, enum hsmart_code code, const char *step, ...)
{
    if (err == NULL)
        return code;
    char front[sizeof err->text];
    va_list args;
    va_start(args, step);
    (void)vsnprintf(front, sizeof front, step, args);
    va_end(args);
    finish_line(front);

    /* The reason matters most, so when the line is full it is the step that is cut. */
    size_t reason_len = strlen(err->text), front_len = strlen(front);
    size_t room = sizeof err->text - 1 - reason_len;
    if (room > 2) {
        if (front_len > room - 2)
            front_len = hs_text_cut(front, room - 2);
        memmove(err->text + front_len + 2, err->text, reason_len + 1);
        memcpy(err->text, front, front_len);
        memcpy(err->text + front_len, ": ", 2);
    }
    err->code = code;
    return code;
}

enum hsmart_code
(hs_err_no_memory)(hsmart_err *err)
{
    return hs_err_set(err, HSMART_NO_MEMORY, "out of memory");
}

enum hsmart_code
(hs_err_errno)(hsmart_err *err, enum hsmart_code code, int error_number, const char *step, ...)
{
    if (err == NULL)
        return code;
    char front[sizeof err->text], reason[128];
    va_list args;
    va_start(args, step);
    (void)vsnprintf(front, sizeof front, step, args);
    va_end(args);
    (void)hs_err_set(err, code, "%s", strerror_r(error_number, reason, sizeof reason));
    return hs_err_wrap(err, code, "%s", front);
}
