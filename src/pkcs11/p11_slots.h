/* Slots and the tokens in them: what they say of themselves, and which one is meant. Never logs in. */
#ifndef HS_P11_SLOTS_H
#define HS_P11_SLOTS_H

#include <hsmart/token.h>

#include "p11_module.h"
#include "p11_uri.h"

/* `info` and the strings behind it. */
struct hs_token_info_store {
    hsmart_token_info info;
    char label[33], serial[17], model[17], manufacturer[33], firmware[8];
    char *uri;
    char **mechanism_names;
    CK_MECHANISM_TYPE *mechanisms; /* `info.mechanism_count` of them */
};
HSMART_MUST_CHECK enum hsmart_code hs_token_info_read(CK_FUNCTION_LIST *p11, CK_SLOT_ID slot, const CK_TOKEN_INFO *raw,
                                                      struct hs_token_info_store *out_store, hsmart_err *err);
void hs_token_info_clear(struct hs_token_info_store *store);

/* One slot with a token in it. */
struct hs_found_token {
    CK_SLOT_ID slot;
    CK_TOKEN_INFO raw;
};
struct hs_found_tokens {
    struct hs_found_token *tokens;
    size_t count;
    CK_RV silent_rv; /* why a slot does not tell what is in it; CKR_OK: all do */
};
/* Every token that the URI matches, or all with NULL. */
HSMART_MUST_CHECK enum hsmart_code hs_slots_find(struct hs_p11_module *module, const struct hs_p11_uri *uri,
                                                 struct hs_found_tokens *out_found, hsmart_err *err);
void hs_slots_clear(struct hs_found_tokens *found);
/* The one initialised token; absent and ambiguous are told with what is there. */
HSMART_MUST_CHECK enum hsmart_code hs_slots_find_one(struct hs_p11_module *module, const struct hs_p11_uri *uri,
                                                     const char *uri_text, struct hs_found_token *out_token,
                                                     hsmart_err *err);

/* Whether the token takes a PIN of this length, in bytes. Limits that make no sense (none, a smallest above the
 * largest) are taken for none. */
bool hs_slots_takes_pin_len(const CK_TOKEN_INFO *raw, size_t len);

/* As hsmart_token_list_read. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_list_read(const hsmart_token_options *options,
                                                          hsmart_token_list **out_list, hsmart_err *err);
void hs_p11_token_list_free(hsmart_token_list *list);

#endif
