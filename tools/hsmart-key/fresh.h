/* This program once more, as a process that has not seen what this one did to the token. */
#ifndef HSMART_KEY_FRESH_H
#define HSMART_KEY_FRESH_H

#include "target.h"

#define FRESH_WORDS_MAX 32U

/* Arguments in the making; `fresh_add` leaves out what is NULL. */
struct fresh {
    const char *words[FRESH_WORDS_MAX];
    size_t count;
    char pin_source[32];
};
void fresh_add(struct fresh *fresh, const char *name, const char *value);
/* The token, by its own URI; `pin_fd` holds its PIN, -1: the target's own source is used again. */
void fresh_add_token(struct fresh *fresh, const struct target *target, const char *token_uri, int pin_fd);
/* Runs it; HSMART_POLICY_REFUSED when it ends otherwise than well or, with `may_find_errors`, with findings. */
HSMART_MUST_CHECK enum hsmart_code fresh_run(const struct fresh *fresh, bool may_find_errors, struct hs_buf *out,
                                             hsmart_err *err);
/* Runs it where the key cannot be seen by another process: well is that it does not find the key, silently. */
HSMART_MUST_CHECK enum hsmart_code fresh_run_without_key(const struct fresh *fresh, hsmart_err *err);

#endif
