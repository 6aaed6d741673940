/* Fills a token: N pairs of P-384 keys named "filler-1" … beside the key that is looked for.
 *
 *   bench_make_keys MODULE TOKEN-LABEL PIN-FILE FIRST LAST */
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static CK_FUNCTION_LIST *p11;

static void
require(CK_RV rv, const char *what)
{
    if (rv != CKR_OK) {
        (void)fprintf(stderr, "bench_make_keys: %s answered 0x%lx\n", what, rv);
        exit(1);
    }
}

static CK_SLOT_ID
find_slot(const char *label)
{
    CK_SLOT_ID slots[64];
    CK_ULONG count = 64;
    CK_TOKEN_INFO info;

    require(p11->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
    for (CK_ULONG i = 0; i < count; i++) {
        if (p11->C_GetTokenInfo(slots[i], &info) == CKR_OK && memcmp(info.label, label, strlen(label)) == 0)
            return slots[i];
    }
    (void)fprintf(stderr, "bench_make_keys: no token \"%s\"\n", label);
    exit(1);
}

static void
make_pair(CK_SESSION_HANDLE session, unsigned long number)
{
    static CK_BYTE p384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};
    static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    char label[32];
    CK_ULONG label_len = (CK_ULONG)snprintf(label, sizeof label, "filler-%lu", number);
    CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    CK_ATTRIBUTE public_part[] = {{CKA_EC_PARAMS, p384, sizeof p384},
                                  {CKA_TOKEN, &yes, sizeof yes},
                                  {CKA_LABEL, label, label_len},
                                  {CKA_ID, label, label_len},
                                  {CKA_VERIFY, &yes, sizeof yes}};
    CK_ATTRIBUTE private_part[] = {{CKA_TOKEN, &yes, sizeof yes},     {CKA_PRIVATE, &yes, sizeof yes},
                                   {CKA_SENSITIVE, &yes, sizeof yes}, {CKA_EXTRACTABLE, &no, sizeof no},
                                   {CKA_LABEL, label, label_len},     {CKA_ID, label, label_len},
                                   {CKA_SIGN, &yes, sizeof yes}};
    CK_OBJECT_HANDLE public_key, private_key;

    require(p11->C_GenerateKeyPair(session, &mechanism, public_part, 5, private_part, 7, &public_key, &private_key),
            "C_GenerateKeyPair");
}

int
main(int argc, char **argv)
{
    CK_C_GetFunctionList get_functions;
    CK_SESSION_HANDLE session;
    char pin[256] = "";

    if (argc != 6) {
        (void)fputs("usage: bench_make_keys MODULE TOKEN-LABEL PIN-FILE FIRST LAST\n", stderr);
        return 2;
    }
    void *module = dlopen(argv[1], RTLD_NOW);
    FILE *file = fopen(argv[3], "r");
    if (module == NULL || file == NULL || fgets(pin, sizeof pin, file) == NULL ||
        (*(void **)&get_functions = dlsym(module, "C_GetFunctionList")) == NULL)
        return 1;
    (void)fclose(file);
    pin[strcspn(pin, "\r\n")] = '\0';
    require(get_functions(&p11), "C_GetFunctionList");
    require(p11->C_Initialize(NULL), "C_Initialize");
    require(p11->C_OpenSession(find_slot(argv[2]), CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session),
            "C_OpenSession");
    require(p11->C_Login(session, CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin)), "C_Login");
    for (unsigned long n = strtoul(argv[4], NULL, 10); n <= strtoul(argv[5], NULL, 10); n++)
        make_pair(session, n);
    require(p11->C_Finalize(NULL), "C_Finalize");
    return 0;
}
