#include "lifecycle.h"

#include <stdio.h>

#include "err.h"

#define DAY_S 86400
#define YEAR_MIN 1970
#define DAYS_PER_ERA 146097 /* of 400 years */

/* ---- Days ---- */

hs_day
hs_day_of(int64_t time_s)
{
    return (hs_day)(time_s >= 0 ? time_s / DAY_S : (time_s - (DAY_S - 1)) / DAY_S);
}

/* The civil calendar with years that begin in March, so that the leap day comes last. */
static hs_day
day_from_civil(int year, int month, int day)
{
    int shifted = year - (month <= 2);
    int era = shifted / 400;
    int of_era = shifted - era * 400;
    int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return (hs_day)(era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468);
}

void
hs_day_format(hs_day day, char out[HS_DAY_TEXT_LEN])
{
    int shifted = day + 719468;
    int era = shifted / DAYS_PER_ERA;
    int of_era = shifted - era * DAYS_PER_ERA;
    int years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int of_year = of_era - (365 * years + years / 4 - years / 100);
    int month_from_march = (5 * of_year + 2) / 153;
    int month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    char text[40];

    (void)snprintf(text, sizeof text, "%04d-%02d-%02d", years + era * 400 + (month <= 2), month,
                   of_year - (153 * month_from_march + 2) / 5 + 1);
    memcpy(out, text, HS_DAY_TEXT_LEN - 1);
    out[HS_DAY_TEXT_LEN - 1] = 0;
}

/* Written back it is the same, or it is no day: 2027-02-30 becomes 2027-03-02. */
enum hsmart_code
hs_day_parse(const char *text, hs_day *out_day, hsmart_err *err)
{
    static const char shape[] = "dddd-dd-dd";
    char back[HS_DAY_TEXT_LEN];
    bool good = true;

    for (size_t i = 0; i < sizeof shape && good; i++) /* the end of the text is part of the shape */
        good = shape[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == shape[i];
    if (good) {
        int year = (text[0] - '0') * 1000 + (text[1] - '0') * 100 + (text[2] - '0') * 10 + (text[3] - '0');
        int month = (text[5] - '0') * 10 + (text[6] - '0'), day = (text[8] - '0') * 10 + (text[9] - '0');
        good = year >= YEAR_MIN && month >= 1 && month <= 12 && day >= 1 && day <= 31;
        if (good) {
            hs_day parsed = day_from_civil(year, month, day);
            hs_day_format(parsed, back);
            good = strcmp(back, text) == 0;
            if (good)
                *out_day = parsed;
        }
    }
    if (good)
        return HSMART_OK;
    return hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%.32s\" is not a day, which is written YYYY-MM-DD", text);
}

/* ---- States ---- */

static size_t
digits_at(const char *text)
{
    return strspn(text, "0123456789");
}

/* Where two labels differ in a number, the one with more digits is the greater one. */
static int
compare_generations(const char *a, const char *b)
{
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    size_t a_digits = digits_at(a), b_digits = digits_at(b);
    return a_digits != b_digits ? (a_digits > b_digits) - (a_digits < b_digits) : strcmp(a, b);
}

int
hs_lifecycle_compare(const struct hs_lifecycle_key *a, const struct hs_lifecycle_key *b)
{
    if (a->start != b->start)
        return (a->start > b->start) - (a->start < b->start);
    int generation = compare_generations(a->label, b->label);
    return generation != 0 ? generation : strcmp(a->kid, b->kid);
}

/* Whether `a` signs when both could: the later start or, of one start, the earlier key. */
static bool
takes_precedence(const struct hs_lifecycle_key *a, const struct hs_lifecycle_key *b)
{
    return a->start != b->start ? a->start > b->start : hs_lifecycle_compare(a, b) < 0;
}

void
hs_lifecycle_states(const struct hs_lifecycle_key *keys, size_t count, hs_day today, enum hsmart_key_state *out_states)
{
    size_t active = count;

    for (size_t i = 0; i < count; i++) {
        out_states[i] = HSMART_KEY_RETIRING;
        if (keys[i].end != HS_DAY_NONE && keys[i].end < today)
            out_states[i] = HSMART_KEY_RETIRED;
        else if (keys[i].start != HS_DAY_NONE && keys[i].start > today)
            out_states[i] = HSMART_KEY_STAGED;
        else if (active == count || takes_precedence(&keys[i], &keys[active]))
            active = i;
    }
    if (active != count)
        out_states[active] = HSMART_KEY_ACTIVE;
}

/* ---- Families ---- */

bool
hs_lifecycle_is_member(const char *label, const char *family)
{
    size_t len = strlen(family);

    if (strncmp(label, family, len) != 0)
        return false;
    const char *rest = label + len;
    if (*rest == 0)
        return true;
    if (*rest != '-' || digits_at(rest + 1) != 8)
        return false;
    rest += 9;
    if (*rest == 0)
        return true;
    size_t number_len = *rest == '-' ? digits_at(rest + 1) : 0;
    return number_len > 0 && rest[1 + number_len] == 0;
}
