/* What hsmart asks of a private key's attributes: one row each, used to make keys and to judge them. */
#ifndef HS_KEY_POLICY_H
#define HS_KEY_POLICY_H

#include <hsmart/key.h>
#include <p11-kit/pkcs11.h>

/* What a report to the contrary means. */
enum hs_policy_weight {
    HS_POLICY_LEAKS,   /* the key can leave the token: refused for signing unless allowed by name */
    HS_POLICY_NEEDED,  /* the key cannot do its work */
    HS_POLICY_WISHED,  /* told, not refused: history, or an ability that the key had better not have */
};

struct hs_policy_row {
    CK_ATTRIBUTE_TYPE type;
    const char *name;
    bool wanted;
    enum hs_policy_weight weight;
    bool in_template; /* asked for at generation; the others are the token's own findings */
    bool may_drop;    /* left out when the token refuses it, with a warning */
};
extern const struct hs_policy_row hs_policy_rows[];
extern const size_t hs_policy_row_count;

/* Whether `attribute`, as the token reports it, is against its row's wish. */
bool hs_policy_is_broken(const hsmart_key_attribute *attribute);

#endif
