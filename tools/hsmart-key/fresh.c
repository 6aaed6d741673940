#include "fresh.h"

#include <stdio.h>
#include <string.h>

#include "err.h"
#include "process.h"
#include "text.h"

void
fresh_add(struct fresh *fresh, const char *name, const char *value)
{
    if (value == NULL || fresh->count + 3 > FRESH_WORDS_MAX) /* NULL ends the list */
        return;
    fresh->words[fresh->count++] = name;
    fresh->words[fresh->count++] = value;
}

void
fresh_add_token(struct fresh *fresh, const struct target *target, const char *token_uri, int pin_fd)
{
    (void)snprintf(fresh->pin_source, sizeof fresh->pin_source, "fd:%d", pin_fd);
    fresh_add(fresh, "--module", target->token.module);
    fresh_add(fresh, "--token-uri", token_uri);
    fresh_add(fresh, "--init-string", target->token.init_string);
    fresh_add(fresh, "--quirks", target->token.quirks);
    fresh_add(fresh, "--state-directory", target->token.state_directory);
    fresh_add(fresh, "--pin-source", pin_fd >= 0 ? fresh->pin_source : target->token.pin_source);
}

enum hsmart_code
fresh_run(const struct fresh *fresh, bool may_find_errors, struct hs_buf *out, hsmart_err *err)
{
    int status = 0;
    /* posix_spawn does not write to the words, whatever its prototype says. */
    enum hsmart_code code = process_run_self((char *const *)(uintptr_t)fresh->words, false, out, &status, err);

    if (code == HSMART_OK && status != HS_EXIT_OK && !(may_find_errors && status == HS_EXIT_CHECK))
        code = hs_err_set(err, HSMART_POLICY_REFUSED, "the fresh process ended with status %d", status);
    return code;
}

/* The first line of what it said, which is its error. */
static enum hsmart_code
tell_first_line(const struct hs_buf *said, int status, hsmart_err *err)
{
    char line[300];

    (void)snprintf(line, sizeof line, "%.*s", (int)strcspn(hs_buf_text(said), "\n"), hs_buf_text(said));
    hs_text_sanitize(line);
    return hs_err_set(err, HSMART_POLICY_REFUSED, "the fresh process ended with status %d: %s", status, line);
}

enum hsmart_code
fresh_run_without_key(const struct fresh *fresh, hsmart_err *err)
{
    struct hs_buf said = {0};
    int status = 0;
    enum hsmart_code code = process_run_self((char *const *)(uintptr_t)fresh->words, true, &said, &status, err);

    if (code == HSMART_OK && status == HS_EXIT_OK)
        code = hs_err_set(err, HSMART_POLICY_REFUSED, "a fresh process sees a key that should be seen here alone");
    else if (code == HSMART_OK && status != HS_EXIT_KEY)
        code = tell_first_line(&said, status, err);
    hs_buf_clear(&said);
    return code;
}
