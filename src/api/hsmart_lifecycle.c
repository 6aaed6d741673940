#include <hsmart/lifecycle.h>

#include "api_objects.h"
#include "family.h"
#include "family_signer.h"

/* A set without any word of its cache lifetime may be kept as long as a server likes; a day is what servers do. */
#define CACHE_LIFE_UNTOLD_S 86400

const char *
hsmart_key_state_name(enum hsmart_key_state state)
{
    static const char *const names[] = {[HSMART_KEY_STAGED] = "staged",
                                        [HSMART_KEY_ACTIVE] = "active",
                                        [HSMART_KEY_RETIRING] = "retiring",
                                        [HSMART_KEY_RETIRED] = "retired"};

    return (size_t)state < HS_ARRAY_LEN(names) ? names[state] : "unknown";
}

enum hsmart_code
hsmart_family_read(hsmart_token *token, const hsmart_family_options *options, int64_t at_s, hsmart_family **out_family,
                   hsmart_err *err)
{
    struct hs_family *family = NULL;
    enum hsmart_code code = hs_family_read(hs_api_p11_token(token), options, at_s, &family, err);

    if (code == HSMART_OK)
        *out_family = &family->public;
    return code;
}

void
hsmart_family_free(hsmart_family *family)
{
    hs_family_free((struct hs_family *)family);
}

enum hsmart_code
hsmart_family_set_dates(hsmart_family *family, const hsmart_family_key *key, const char *start_date,
                        const char *end_date, bool *out_in_file, hsmart_err *err)
{
    return hs_family_set_dates((struct hs_family *)family, (size_t)(key - family->keys), start_date, end_date,
                               out_in_file, err);
}

enum hsmart_code
hsmart_family_note_served(hsmart_family *family, const char *url, const char *json, int64_t now_s, int64_t max_age_s,
                          hsmart_err *err)
{
    return hs_family_note_served((struct hs_family *)family, url, json, now_s, max_age_s, err);
}

int64_t
hsmart_family_activation_wait_s(const hsmart_family_key *key, int64_t cache_max_s)
{
    int64_t life_s = cache_max_s > key->served_max_age_s ? cache_max_s : key->served_max_age_s;
    int64_t seen_s = key->served_until_s - key->served_since_s;

    if (key->served_since_s == 0)
        return -1;
    if (cache_max_s <= 0 && key->served_max_age_s < 0)
        life_s = CACHE_LIFE_UNTOLD_S;
    return seen_s > life_s ? 0 : life_s - seen_s + 1;
}

enum hsmart_code
hsmart_family_jwks(const hsmart_family *family, const char *alg, char **out_json, hsmart_err *err)
{
    struct hs_buf json = {0};
    enum hsmart_code code = hs_family_jwks((const struct hs_family *)family, alg, &json, err);

    if (code == HSMART_OK)
        code = hs_buf_take_text(&json, out_json, err);
    hs_buf_clear(&json);
    return code;
}

enum hsmart_code
hsmart_signer_new_family(hsmart_token *token, const hsmart_family_options *family, const hsmart_signer_options *options,
                         hsmart_signer **out_signer, hsmart_err *err)
{
    struct hs_signer *signer = NULL;
    enum hsmart_code code = hs_family_signer_new(hs_api_p11_token(token), family, options, NULL, &signer, err);

    if (code == HSMART_OK)
        *out_signer = (hsmart_signer *)signer;
    return code;
}
