/* The jtis that were seen before, in a file: one JSON array ["iss", "jti", until] for each line. */
#ifndef HSMART_SEEN_FILE_H
#define HSMART_SEEN_FILE_H

#include "json.h"

struct seen_entry {
    struct hs_json_doc line;
};

/* Zero is valid and empty. */
struct seen_file {
    const char *path;
    int64_t now_s;
    struct seen_entry *entries;
    size_t count;
    struct hs_buf asked_issuer, asked_jti; /* of the last question */
    enum hsmart_code code;                 /* of keeping them */
    int lock;                              /* held from the first reading to the end, where `path` is set */
};

/* A file that is not there is empty. HSMART_INPUT_MALFORMED names the line. `path` is kept. Whoever loads the same file
 * waits until `seen_file_clear`, so that of two commands with one jti the second finds it. */
HSMART_MUST_CHECK enum hsmart_code seen_file_load(const char *path, int64_t now_s, struct seen_file *out_seen,
                                                  hsmart_err *err);
/* An `hs_seen_fn`; `arg` is the struct seen_file. */
bool seen_file_has(void *arg, struct hs_span issuer, struct hs_span jti);
/* Adds what was asked about last, and leaves out what need not be remembered any longer. The file is replaced whole. */
HSMART_MUST_CHECK enum hsmart_code seen_file_save(struct seen_file *seen, hsmart_err *err);
void seen_file_clear(struct seen_file *seen);

#endif
