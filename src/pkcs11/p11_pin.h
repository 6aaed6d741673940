/* Where a PIN comes from. Never argv, never the environment, never a URI. */
#ifndef HS_P11_PIN_H
#define HS_P11_PIN_H

#include "bytes.h"

struct hs_pin_asking {
    const char *question; /* what a prompt asks */
    int64_t deadline_ms;  /* when a command is ended that gave nothing; monotonic */
};

/* One row of the table of kinds: file, credential, fd, exec, prompt, pinpad. */
struct hs_pin_kind {
    const char *name;
    bool takes_argument;
    bool repeatable; /* can be read again for the current value */
    bool pinpad;     /* the token reads it itself (CKF_PROTECTED_AUTHENTICATION_PATH) */
    const char *meaning;
    enum hsmart_code (*read)(const char *argument, const struct hs_pin_asking *asking, struct hs_secret *out_pin,
                             hsmart_err *err);
};
extern const struct hs_pin_kind hs_pin_kinds[];
extern const size_t hs_pin_kind_count;

struct hs_pin_source {
    const struct hs_pin_kind *kind;
    char *argument;
};

/* Reads "file:PATH" and the like. HSMART_INVALID_ARGUMENT lists the kinds; a text that could be a PIN is not
 * repeated in the message. */
HSMART_MUST_CHECK enum hsmart_code hs_pin_source_parse(const char *text, struct hs_pin_source *out_source,
                                                       hsmart_err *err);
/* Gets the PIN: one line end at the end is dropped, an empty PIN is refused. `question` is what a prompt asks.
 * HSMART_PIN_UNAVAILABLE with the reason. Not for pinpad. A command has a minute, or until a deadline before that; a
 * person has all the time. */
HSMART_MUST_CHECK enum hsmart_code hs_pin_source_read(const struct hs_pin_source *source, const char *question,
                                                      struct hs_secret *out_pin, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_pin_source_read_until(const struct hs_pin_source *source, const char *question,
                                                            int64_t deadline_ms, struct hs_secret *out_pin,
                                                            hsmart_err *err);
void hs_pin_source_clear(struct hs_pin_source *source);
/* A descriptor (close-on-exec off) from which a child can read `pin` once. */
HSMART_MUST_CHECK enum hsmart_code hs_pin_to_fd(const struct hs_secret *pin, int *out_fd, hsmart_err *err);

#endif
