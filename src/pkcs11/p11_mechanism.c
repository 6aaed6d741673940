#include "p11_mechanism.h"

struct name_row {
    CK_ULONG value;
    const char *name;
};
#define NAME(value) {value, #value}

static const struct name_row mechanisms[] = {
    NAME(CKM_RSA_PKCS_KEY_PAIR_GEN), NAME(CKM_RSA_PKCS),          NAME(CKM_RSA_X_509),
    NAME(CKM_RSA_PKCS_OAEP),         NAME(CKM_RSA_PKCS_PSS),      NAME(CKM_SHA1_RSA_PKCS),
    NAME(CKM_SHA224_RSA_PKCS),       NAME(CKM_SHA256_RSA_PKCS),   NAME(CKM_SHA384_RSA_PKCS),
    NAME(CKM_SHA512_RSA_PKCS),       NAME(CKM_SHA1_RSA_PKCS_PSS), NAME(CKM_SHA224_RSA_PKCS_PSS),
    NAME(CKM_SHA256_RSA_PKCS_PSS),   NAME(CKM_SHA384_RSA_PKCS_PSS), NAME(CKM_SHA512_RSA_PKCS_PSS),
    NAME(CKM_EC_KEY_PAIR_GEN),       NAME(CKM_ECDSA),             NAME(CKM_ECDSA_SHA1),
    NAME(CKM_ECDSA_SHA224),          NAME(CKM_ECDSA_SHA256),      NAME(CKM_ECDSA_SHA384),
    NAME(CKM_ECDSA_SHA512),          NAME(CKM_ECDH1_DERIVE),      NAME(CKM_EDDSA),
    NAME(CKM_EC_EDWARDS_KEY_PAIR_GEN), NAME(CKM_SHA_1),           NAME(CKM_SHA224),
    NAME(CKM_SHA256),                NAME(CKM_SHA384),            NAME(CKM_SHA512),
    NAME(CKM_SHA256_HMAC),           NAME(CKM_SHA384_HMAC),       NAME(CKM_SHA512_HMAC),
    NAME(CKM_AES_KEY_GEN),           NAME(CKM_AES_CBC),           NAME(CKM_AES_CBC_PAD),
    NAME(CKM_AES_ECB),               NAME(CKM_AES_GCM),           NAME(CKM_AES_CTR),
    NAME(CKM_AES_CMAC),              NAME(CKM_AES_KEY_WRAP),      NAME(CKM_AES_KEY_WRAP_PAD),
    NAME(CKM_DES3_KEY_GEN),          NAME(CKM_DES3_CBC),          NAME(CKM_GENERIC_SECRET_KEY_GEN),
};

static const struct name_row key_types[] = {
    NAME(CKK_RSA), NAME(CKK_DSA), NAME(CKK_DH), NAME(CKK_EC), NAME(CKK_GENERIC_SECRET),
    NAME(CKK_AES), NAME(CKK_DES3), NAME(CKK_EC_EDWARDS), {0x41UL, "CKK_EC_MONTGOMERY"}, NAME(CKK_GOSTR3410),
};

static const struct name_row attributes[] = {
    NAME(CKA_CLASS),       NAME(CKA_TOKEN),           NAME(CKA_PRIVATE),           NAME(CKA_LABEL),
    NAME(CKA_KEY_TYPE),    NAME(CKA_ID),              NAME(CKA_SENSITIVE),         NAME(CKA_EXTRACTABLE),
    NAME(CKA_SIGN),        NAME(CKA_DECRYPT),         NAME(CKA_UNWRAP),            NAME(CKA_DERIVE),
    NAME(CKA_MODIFIABLE),  NAME(CKA_LOCAL),           NAME(CKA_NEVER_EXTRACTABLE), NAME(CKA_ALWAYS_SENSITIVE),
    NAME(CKA_MODULUS),     NAME(CKA_PUBLIC_EXPONENT), NAME(CKA_EC_PARAMS),         NAME(CKA_EC_POINT),
    NAME(CKA_SIGN_RECOVER), NAME(CKA_ALLOWED_MECHANISMS), NAME(CKA_PUBLIC_KEY_INFO), NAME(CKA_VALUE),
};

static const char *
name_in(const struct name_row *rows, size_t count, CK_ULONG value)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].value == value)
            return rows[i].name;
    return NULL;
}

const char *
hs_p11_mechanism_name(CK_MECHANISM_TYPE type)
{
    return name_in(mechanisms, HS_ARRAY_LEN(mechanisms), type);
}

const char *
hs_p11_key_type_name(CK_KEY_TYPE type)
{
    return name_in(key_types, HS_ARRAY_LEN(key_types), type);
}

const char *
hs_p11_attribute_name(CK_ATTRIBUTE_TYPE type)
{
    return name_in(attributes, HS_ARRAY_LEN(attributes), type);
}
