/* What a key of a family is for on a day. Dates alone decide, so every host comes to the same answer. */
#ifndef HS_LIFECYCLE_H
#define HS_LIFECYCLE_H

#include <hsmart/lifecycle.h>

#include "bytes.h"

/* Days since the epoch (UTC). */
typedef int32_t hs_day;
#define HS_DAY_NONE INT32_MIN
#define HS_DAY_UNDECIDED 2932896 /* 9999-12-31 */

hs_day hs_day_of(int64_t time_s);
/* "YYYY-MM-DD"; HSMART_INVALID_ARGUMENT for what is no day of the calendar from 1970 on. */
HSMART_MUST_CHECK enum hsmart_code hs_day_parse(const char *text, hs_day *out_day, hsmart_err *err);
#define HS_DAY_TEXT_LEN 11U /* with its end */
void hs_day_format(hs_day day, char out[HS_DAY_TEXT_LEN]);

/* One key: its first day and its last (HS_DAY_NONE: no such limit), and its label and kid for ties. */
struct hs_lifecycle_key {
    hs_day start, end;
    const char *label, *kid;
};
/* The order of a family, as `strcmp`: by first day; of one day by generation (FAMILY, FAMILY-YYYYMMDD,
 * FAMILY-YYYYMMDD-2 …, numbers counted); of one label by kid. It is total, so that all hosts see the same, in whatever
 * order a token tells its keys. */
int hs_lifecycle_compare(const struct hs_lifecycle_key *a, const struct hs_lifecycle_key *b);
/* The states on `today`. Of the keys that have started and not ended, the one that started last is active; of several
 * of one day, the first, so that a newer key never displaces an older one without a date. */
void hs_lifecycle_states(const struct hs_lifecycle_key *keys, size_t count, hs_day today,
                         enum hsmart_key_state *out_states);

/* Whether a label is of the family: FAMILY, FAMILY-YYYYMMDD, FAMILY-YYYYMMDD-N. */
bool hs_lifecycle_is_member(const char *label, const char *family);

#endif
