/* The plan of a key ceremony: the one file that people review. docs/formats/ceremony-plan.md describes it and is held
 * against the table of settings below. */
#ifndef HS_PLAN_H
#define HS_PLAN_H

#include "sections.h"

#define HS_PLAN_ROLES_MAX 16U
#define HS_PLAN_KEYS_MAX 32U
#define HS_SHA256_LEN 32U

struct hs_plan_role {
    char *name;
    unsigned count; /* how many people have it */
};

/* What is made of a key besides its public halves. */
enum hs_plan_certificate { HS_PLAN_NO_CERTIFICATE, HS_PLAN_REQUEST, HS_PLAN_SELF_SIGNED };

struct hs_plan_key {
    char *label, *alg;
    unsigned bits;     /* RSA; 0: the algorithm's default */
    char *start, *end; /* YYYY-MM-DD */
    char *purpose;
    char *clients; /* names, separated by commas; NULL: none */
    char *subject; /* "CN=…,O=…"; NULL: no certificate is asked for */
    enum hs_plan_certificate certificate;
    unsigned line;
};

/* Zero is valid and empty. */
struct hs_plan {
    char *title, *organisation, *purpose, *reference; /* `reference` may be NULL */
    char *not_before, *not_after;                     /* days between which the ceremony may be held; NULL: any */
    unsigned witnesses;                               /* at least so many, besides the roles */
    struct hs_plan_role roles[HS_PLAN_ROLES_MAX];
    size_t role_count;
    struct hs_plan_key keys[HS_PLAN_KEYS_MAX];
    size_t key_count;
    /* policy */
    unsigned clock_tolerance_s;
    char *tolerate;         /* attributes that may be contrary to what is asked for; NULL: none */
    bool refuse_unreported; /* an attribute that the token does not report fails the ceremony */
    bool require_rehearsal; /* a rehearsal's record for this very plan has to be shown */
    bool require_previous;  /* the record is part of a chain: the previous one has to be given */
    /* of the file */
    struct hs_buf text;
    uint8_t sha256[HS_SHA256_LEN];
    char sha256_hex[2 * HS_SHA256_LEN + 1];
    char *words; /* of the SHA-256 */
};

/* Reads a plan. HSMART_INPUT_MALFORMED with "FILE:LINE: " in front for anything that is not exactly a good plan. */
HSMART_MUST_CHECK enum hsmart_code hs_plan_parse(struct hs_span text, const char *file, struct hs_plan *out_plan,
                                                 hsmart_err *err);
/* From a file, for a ceremony to come: also the files that it would write must have names of their own. */
HSMART_MUST_CHECK enum hsmart_code hs_plan_load(const char *path, struct hs_plan *out_plan, hsmart_err *err);
void hs_plan_clear(struct hs_plan *plan);

/* What is allowed, but worth a second look before people meet: `tell` is called with one line for each. `now_s` is the
 * day's time. Returns how many there were. */
unsigned hs_plan_advise(const struct hs_plan *plan, int64_t now_s, void (*tell)(void *arg, const char *line),
                        void *arg);

/* Whether a ceremony may be held at this time: HSMART_POLICY_REFUSED, saying the days. */
HSMART_MUST_CHECK enum hsmart_code hs_plan_check_day(const struct hs_plan *plan, int64_t now_s, hsmart_err *err);
/* Whether the plan's policy tolerates this attribute's being other than asked for. */
bool hs_plan_tolerates(const struct hs_plan *plan, const char *attribute);

/* The next of a comma-separated list, trimmed: sets `*out_item` and moves `*cursor` behind it; false at the end. */
bool hs_plan_next_item(const char **cursor, struct hs_span *out_item);

HSMART_MUST_CHECK enum hsmart_code hs_sha256(struct hs_span data, uint8_t out[HS_SHA256_LEN], hsmart_err *err);

/* "2026-11-25" and "2026-11-25T20:00:00Z" of a time; `out` has room for 32 bytes. */
#define HS_TIME_TEXT_MAX 32U
void hs_date_format(int64_t time_s, char out[HS_TIME_TEXT_MAX]);
void hs_time_format(int64_t time_s, char out[HS_TIME_TEXT_MAX]);
/* The start of a day written YYYY-MM-DD, or a time written as above; false when it is none. */
bool hs_date_parse(const char *text, int64_t *out_time_s);
bool hs_time_parse(const char *text, int64_t *out_time_s);

/* ---- The table of settings, for the parser and for the test of the document ---- */

struct hs_plan_setting {
    const char *section, *name;
    bool required;
    const char *fallback; /* what holds when it is not set, in words */
    const char *meaning;
};
/* NULL past the last. */
const struct hs_plan_setting *hs_plan_setting_at(size_t index);

#endif
