/* libp11, loaded when it is needed: what OpenSSL drives a token's key with. */
#ifndef HS_X509_LIBP11_H
#define HS_X509_LIBP11_H

#include <libp11.h>

#include "bytes.h"

/* Its functions that are used. */
struct hs_libp11 {
    PKCS11_CTX *(*ctx_new)(void);
    void (*ctx_init_args)(PKCS11_CTX *context, const char *init_args);
    int (*ctx_load)(PKCS11_CTX *context, const char *module);
    int (*enumerate_slots)(PKCS11_CTX *context, PKCS11_SLOT **out_slots, unsigned int *out_count);
    int (*generate_random)(PKCS11_SLOT *slot, unsigned char *out, unsigned int len);
    int (*login)(PKCS11_SLOT *slot, int security_officer, const char *pin);
    int (*enumerate_keys)(PKCS11_TOKEN *token, PKCS11_KEY **out_keys, unsigned int *out_count);
    EVP_PKEY *(*get_private_key)(PKCS11_KEY *key);
    int (*set_ui_method)(PKCS11_CTX *context, UI_METHOD *method, void *user_data);
};

/* HSMART_FILE_UNREADABLE when it is not installed. */
HSMART_MUST_CHECK enum hsmart_code hs_libp11_load(struct hs_libp11 *out_libp11, hsmart_err *err);

#endif
