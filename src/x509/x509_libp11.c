#include "x509_libp11.h"

#include <dlfcn.h>

#include "err.h"

#define LIBRARY "libp11.so.3"
#define PACKAGE "libp11-3" /* Debian's */

static const struct {
    const char *name;
    size_t offset;
} symbols[] = {
    {"PKCS11_CTX_new", offsetof(struct hs_libp11, ctx_new)},
    {"PKCS11_CTX_init_args", offsetof(struct hs_libp11, ctx_init_args)},
    {"PKCS11_CTX_load", offsetof(struct hs_libp11, ctx_load)},
    {"PKCS11_enumerate_slots", offsetof(struct hs_libp11, enumerate_slots)},
    {"PKCS11_generate_random", offsetof(struct hs_libp11, generate_random)},
    {"PKCS11_login", offsetof(struct hs_libp11, login)},
    {"PKCS11_enumerate_keys", offsetof(struct hs_libp11, enumerate_keys)},
    {"PKCS11_get_private_key", offsetof(struct hs_libp11, get_private_key)},
    {"PKCS11_set_ui_method", offsetof(struct hs_libp11, set_ui_method)},
};

enum hsmart_code
hs_libp11_load(struct hs_libp11 *out_libp11, hsmart_err *err)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    const char *reason = library == NULL ? dlerror() : NULL;

    for (size_t i = 0; i < HS_ARRAY_LEN(symbols) && reason == NULL; i++) {
        void *symbol = dlsym(library, symbols[i].name);
        if (symbol == NULL)
            reason = dlerror();
        memcpy((char *)out_libp11 + symbols[i].offset, &symbol, sizeof symbol); /* ISO C has no cast for this */
    }
    if (reason == NULL)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_FILE_UNREADABLE,
                     "%s, by which OpenSSL signs certificates on a token, cannot be loaded: %s", LIBRARY, reason);
    hs_err_hint(err, "install libp11 (Debian package %s)", PACKAGE);
    return HSMART_FILE_UNREADABLE;
}
