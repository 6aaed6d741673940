/* Names of mechanisms and key types, for people. */
#ifndef HS_P11_MECHANISM_H
#define HS_P11_MECHANISM_H

#include <p11-kit/pkcs11.h>

#include "bytes.h"

/* "CKM_SHA384_RSA_PKCS", "CKK_EC_EDWARDS"; NULL when it has no name here. */
const char *hs_p11_mechanism_name(CK_MECHANISM_TYPE type);
const char *hs_p11_key_type_name(CK_KEY_TYPE type);
const char *hs_p11_attribute_name(CK_ATTRIBUTE_TYPE type);

#endif
