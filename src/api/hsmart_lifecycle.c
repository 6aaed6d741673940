#include <hsmart/lifecycle.h>

#include "api_objects.h"
#include "destroy.h"
#include "err.h"
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
hsmart_family_read(hsmart_token *token, const hsmart_family_options *options, const int64_t *at_s,
                   hsmart_family **out_family, hsmart_err *err)
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
    life_s = life_s < INT32_MAX ? life_s : INT32_MAX;
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

enum hsmart_code
hsmart_key_destroy(const hsmart_key *key, size_t *out_count, hsmart_err *err)
{
    const struct hs_token_key *own = hs_api_token_key(key);
    size_t count = 0;
    enum hsmart_code code =
        hs_destroy_pair(own->token, hs_span_buf(&own->raw_label), hs_span_buf(&own->id), &count, err);

    if (code != HSMART_OK)
        return hs_err_wrap(err, code, "cannot destroy key \"%s\"", own->info.label);
    if (out_count != NULL)
        *out_count = count;
    return HSMART_OK;
}

/* ---- A set that is published ---- */

void
hsmart_jwk_list_free(hsmart_jwk_list *list)
{
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        hs_string_free((char *)(uintptr_t)list->keys[i].kid);
        hs_string_free((char *)(uintptr_t)list->keys[i].thumbprint);
    }
    if (list != NULL)
        hs_free(list->keys);
    hs_free(list);
}

static enum hsmart_code
list_add(hsmart_jwk_list *list, const struct hs_jwk *jwk, hsmart_err *err)
{
    char *kid = NULL, *thumbprint = NULL;
    enum hsmart_code code = hs_array_grow((void **)&list->keys, list->count, sizeof *list->keys, err);

    if (code == HSMART_OK)
        code = hs_strdup_or_null(jwk->kid, &kid, err);
    if (code == HSMART_OK)
        code = hs_strdup(jwk->thumbprint, &thumbprint, err);
    if (code != HSMART_OK) {
        hs_string_free(kid);
        return code;
    }
    list->keys[list->count++] = (struct hsmart_jwk_list_entry){kid, thumbprint};
    return HSMART_OK;
}

enum hsmart_code
hsmart_jwk_list_read(const char *json, hsmart_jwk_list **out_list, hsmart_err *err)
{
    struct hs_json_doc doc = {0};
    hsmart_jwk_list *list = hs_calloc(1, sizeof *list);
    enum hsmart_code code = list != NULL ? hs_json_parse(hs_span_str(json), &doc, err) : hs_err_no_memory(err);
    const hs_json_value *keys = code == HSMART_OK ? hs_json_member(doc.root, "keys") : NULL;

    if (code == HSMART_OK && hs_json_type_of(keys) != HS_JSON_ARRAY)
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "it is no JWK Set: it has no array \"keys\"");
    for (size_t i = 0; i < hs_json_length(keys) && code == HSMART_OK; i++) {
        struct hs_jwk jwk = {0};
        /* What is no key of ours, a server ignores too. */
        if (hs_jwk_parse(hs_json_element(keys, i), &jwk, NULL) == HSMART_OK)
            code = list_add(list, &jwk, err);
        hs_jwk_clear(&jwk);
    }
    hs_json_doc_clear(&doc);
    if (code != HSMART_OK) {
        hsmart_jwk_list_free(list);
        return code;
    }
    *out_list = list;
    return HSMART_OK;
}
