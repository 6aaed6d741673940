/* The keys of a token that follow one another, with their dates and states. */
#ifndef HS_FAMILY_H
#define HS_FAMILY_H

#include <hsmart/lifecycle.h>

#include "lifecycle.h"
#include "token_key.h"

struct hs_family_member {
    struct hs_token_key *key;
    hs_day start, end; /* as they hold: the life-cycle file's where it has any, else the token's */
    char start_text[HS_DAY_TEXT_LEN], end_text[HS_DAY_TEXT_LEN];
    char *url;
};

/* `public` first, so that either can be had from the other. */
struct hs_family {
    hsmart_family public;
    struct hs_p11_token *token;
    struct hs_family_member *members; /* as `public.keys` */
    hsmart_family_key *keys;
    char *label, *path;
};

/* As the functions of hsmart/lifecycle.h. */
HSMART_MUST_CHECK enum hsmart_code hs_family_read(struct hs_p11_token *token, const hsmart_family_options *options,
                                                  const int64_t *at_s, struct hs_family **out_family, hsmart_err *err);
void hs_family_free(struct hs_family *family);
HSMART_MUST_CHECK enum hsmart_code hs_family_set_dates(struct hs_family *family, size_t index, const char *start_date,
                                                       const char *end_date, bool *out_in_file, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_family_note_served(struct hs_family *family, const char *url, const char *json,
                                                         int64_t now_s, int64_t max_age_s, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_family_jwks(const struct hs_family *family, const char *alg,
                                                  struct hs_buf *out_json, hsmart_err *err);

#endif
