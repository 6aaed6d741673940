#include "fake/fake_p11.h"

#include <dlfcn.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct fake_p11 *
load(const char *path)
{
    CK_C_GetFunctionList get_function_list = NULL;
    CK_FUNCTION_LIST *functions = NULL;
    struct fake_p11 *fake = NULL;

    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (module == NULL)
        fail_msg("%s", dlerror());
    *(void **)&get_function_list = dlsym(module, "C_GetFunctionList");
    *(void **)&fake = dlsym(module, "fake_p11");
    assert_non_null(fake);
    if (fake->functions != NULL && fake->initialized)
        (void)fake->functions->C_Finalize(NULL);
    *fake = (struct fake_p11){
        .tokens = {{.label = "fake",
                    .serial = "0001",
                    .manufacturer = "hsmart tests",
                    .pin = "1234",
                    .so_pin = "12345678",
                    .flags = CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED | CKF_LOGIN_REQUIRED | CKF_RNG,
                    .min_pin_len = 4,
                    .max_pin_len = 32}},
        .token_count = 1,
        .library_manufacturer = "hsmart tests",
        .signature_len = 96,
    };
    assert_int_equal(get_function_list(&functions), CKR_OK);
    return fake;
}

struct fake_p11 *
fake_p11_load(void)
{
    return load(FAKE_P11_MODULE);
}

struct fake_p11 *
fake_p11_load_too(void)
{
    return load(FAKE_P11_MODULE_TOO);
}

void
fake_p11_hold(struct fake_p11 *fake, enum fake_function function, bool held)
{
    __atomic_store_n(&fake->held[function], held, __ATOMIC_RELEASE);
}

unsigned
fake_p11_calls(const struct fake_p11 *fake, enum fake_function function)
{
    return __atomic_load_n(&fake->calls[function], __ATOMIC_ACQUIRE);
}

void
fake_p11_answer(struct fake_p11 *fake, enum fake_function function, CK_RV rv, unsigned first, unsigned last)
{
    unsigned so_far = first != 0 ? fake->calls[function] : 0;

    fake->answers[function] = (struct fake_answer){rv, first + so_far, last + so_far};
}
