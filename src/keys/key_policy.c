#include "key_policy.h"

#include "bytes.h"

/* Ordered by weight. A row that may be dropped is one that some real token refuses in a template (docs/tokens.md). */
const struct hs_policy_row hs_policy_rows[] = {
    {CKA_SENSITIVE, "CKA_SENSITIVE", true, HS_POLICY_LEAKS, true, false},
    {CKA_EXTRACTABLE, "CKA_EXTRACTABLE", false, HS_POLICY_LEAKS, true, false},
    {CKA_SIGN, "CKA_SIGN", true, HS_POLICY_NEEDED, true, false},
    {CKA_TOKEN, "CKA_TOKEN", true, HS_POLICY_WISHED, true, false},
    {CKA_PRIVATE, "CKA_PRIVATE", true, HS_POLICY_WISHED, true, false},
    {CKA_ALWAYS_SENSITIVE, "CKA_ALWAYS_SENSITIVE", true, HS_POLICY_WISHED, false, false},
    {CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE", true, HS_POLICY_WISHED, false, false},
    {CKA_LOCAL, "CKA_LOCAL", true, HS_POLICY_WISHED, false, false},
    {CKA_DECRYPT, "CKA_DECRYPT", false, HS_POLICY_WISHED, true, true},
    {CKA_UNWRAP, "CKA_UNWRAP", false, HS_POLICY_WISHED, true, true},
    {CKA_DERIVE, "CKA_DERIVE", false, HS_POLICY_WISHED, true, true},
    {CKA_SIGN_RECOVER, "CKA_SIGN_RECOVER", false, HS_POLICY_WISHED, true, true},
    {CKA_MODIFIABLE, "CKA_MODIFIABLE", false, HS_POLICY_WISHED, true, true},
};
const size_t hs_policy_row_count = HS_ARRAY_LEN(hs_policy_rows);

bool
hs_policy_is_broken(const hsmart_key_attribute *attribute)
{
    return attribute->reported != HSMART_ANSWER_NOT_REPORTED && attribute->reported != attribute->wanted;
}
