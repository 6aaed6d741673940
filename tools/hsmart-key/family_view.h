/* What the verbs of the life cycle share: which family is meant, and how it is shown. */
#ifndef HSMART_KEY_FAMILY_VIEW_H
#define HSMART_KEY_FAMILY_VIEW_H

#include <hsmart/lifecycle.h>

#include "cli.h"
#include "json.h"
#include "output.h"
#include "target.h"

/* The second member of each verb's options, after the common ones. */
struct family_words {
    const char *family, *lifecycle_file;
};
/* A verb's rows for it, in its own table. */
#define FAMILY_OPTIONS(type)                                                                                           \
    {"family",                                                                                                         \
     0,                                                                                                                \
     "LABEL",                                                                                                          \
     CLI_TEXT,                                                                                                         \
     offsetof(type, words) + offsetof(struct family_words, family),                                                    \
     "the keys LABEL, LABEL-YYYYMMDD and LABEL-YYYYMMDD-N",                                                            \
     0,                                                                                                                \
     0},                                                                                                               \
        {"key",                                                                                                        \
         0,                                                                                                            \
         "NAME",                                                                                                       \
         CLI_TEXT,                                                                                                     \
         offsetof(struct cli_common, key),                                                                             \
         "a key of the configuration file that is a family, instead of --family",                                      \
         0,                                                                                                            \
         0},                                                                                                           \
    {                                                                                                                  \
        "lifecycle-file", 0, "FILE", CLI_TEXT, offsetof(type, words) + offsetof(struct family_words, lifecycle_file),  \
            "where dates are kept that the token does not take, and what was seen of the publication; default: "       \
            "beside "                                                                                                  \
            "the PIN guard's state",                                                                                   \
            0, 0                                                                                                       \
    }

/* Resolves the target, opens the token and reads the family as it is at `*at_s` (NULL: now). */
HSMART_MUST_CHECK enum hsmart_code family_open(const struct cli_common *common, const struct family_words *words,
                                               const int64_t *at_s, struct target *target, hsmart_family **out_family,
                                               hsmart_err *err);
/* Reads it again after a change. */
HSMART_MUST_CHECK enum hsmart_code family_reread(struct target *target, hsmart_family **family, hsmart_err *err);

/* By kid or label; HSMART_KEY_ABSENT lists what is there. */
HSMART_MUST_CHECK enum hsmart_code family_find(const hsmart_family *family, const char *name,
                                               const hsmart_family_key **out_key, hsmart_err *err);
const char *family_kid(const hsmart_family_key *key);
const char *family_label(const hsmart_family_key *key);

/* A table of the keys; the members "keys" of a JSON object. */
void family_put_table(struct text *text, const hsmart_family *family);
void family_put_members(struct hs_json_writer *writer, const hsmart_family *family);

/* Sets dates and says where they went; NULL leaves one. */
HSMART_MUST_CHECK enum hsmart_code family_set_dates(hsmart_family *family, const hsmart_family_key *key,
                                                    const char *start_date, const char *end_date, hsmart_err *err);

/* "2026-11-25" or "2026-11-25T14:00:00Z" as seconds since the epoch; a day is its midnight (UTC). */
HSMART_MUST_CHECK enum hsmart_code family_parse_time(const char *option, const char *text, int64_t *out_s,
                                                     hsmart_err *err);
/* The day `offset` days from that of `time_s`, as "YYYY-MM-DD"; and "YYYY-MM-DDTHH:MM:SSZ". */
#define FAMILY_TIME_LEN 24U
void family_format_day(int64_t time_s, int offset, char out[FAMILY_TIME_LEN]);
void family_format_time(int64_t time_s, char out[FAMILY_TIME_LEN]);
/* "29 h", "5 min", "12 s": the largest unit that loses nothing that matters. */
void family_format_span(int64_t span_s, char out[FAMILY_TIME_LEN]);

#endif
