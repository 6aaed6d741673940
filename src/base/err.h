/* Errors: the table of codes, and the calls that tell the story of a failure. */
#ifndef HS_ERR_H
#define HS_ERR_H

#include <hsmart/error.h>

/* One row per code; docs/errors.md is held against it. */
struct hs_err_row {
    enum hsmart_code code;
    const char *name;
    int exit_status;
    const char *meaning;
    const char *cure;
};
extern const struct hs_err_row hs_err_rows[];
extern const size_t hs_err_row_count;

/* Exit statuses of the tools (docs/errors.md). */
enum hs_exit {
    HS_EXIT_OK = 0,
    HS_EXIT_OTHER = 1,
    HS_EXIT_USAGE = 2,
    HS_EXIT_CONFIG = 3,
    HS_EXIT_TOKEN = 4,
    HS_EXIT_PIN = 5,
    HS_EXIT_KEY = 6,
    HS_EXIT_POLICY = 7,
    HS_EXIT_SERVER = 8,
    HS_EXIT_NETWORK = 9,
    HS_EXIT_CHECK = 10,
    HS_EXIT_OUTPUT = 11,
};

/* `hs_err_set` starts a story: the reason, where it is first seen. The hint is emptied. Returns `code`. */
enum hsmart_code hs_err_set(hsmart_err *err, enum hsmart_code code, const char *reason, ...) HSMART_PRINTF(3, 4);
/* `hs_err_hint` says what the reader can do, where that is more exact than the code's own cure. */
void hs_err_hint(hsmart_err *err, const char *hint, ...) HSMART_PRINTF(2, 3);
/* `hs_err_wrap` puts the step that failed in front: "step: reason". Each caller that knows a name worth telling
 * does so. Returns `code`, which becomes the error's. */
enum hsmart_code hs_err_wrap(hsmart_err *err, enum hsmart_code code, const char *step, ...) HSMART_PRINTF(3, 4);

enum hsmart_code hs_err_no_memory(hsmart_err *err);
/* "cannot open \"x\": No such file or directory" with the text of `error_number`. */
enum hsmart_code hs_err_errno(hsmart_err *err, enum hsmart_code code, int error_number, const char *step, ...)
    HSMART_PRINTF(4, 5);

/* They return their `code`, and these say so to compilers and analyzers, which look at one file at a time: there is no
 * path on which a failure was told and the code is HSMART_OK. `code` is evaluated twice. */
#define hs_err_set(err, code, ...) ((void)(hs_err_set)((err), (code), __VA_ARGS__), (enum hsmart_code)(code))
#define hs_err_wrap(err, code, ...) ((void)(hs_err_wrap)((err), (code), __VA_ARGS__), (enum hsmart_code)(code))
#define hs_err_errno(err, code, number, ...)                                                                           \
    ((void)(hs_err_errno)((err), (code), (number), __VA_ARGS__), (enum hsmart_code)(code))
#define hs_err_no_memory(err) ((void)(hs_err_no_memory)(err), (enum hsmart_code)HSMART_NO_MEMORY)

#endif
