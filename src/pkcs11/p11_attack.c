/* Everything that is done nowhere else is done here: private values are asked for, keys wrapped, copied and changed.
 * tests/rules/check-sources lets only this file. What a token gives away lands in one buffer, `struct loot`, whose
 * length alone is looked at and which is wiped after each attempt. */
#include "p11_attack.h"

#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "clock.h"
#include "err.h"
#include "p11_ckr.h"
#include "p11_mechanism.h"
#include "p11_token_state.h"

#define LOOT_MAX 16384U /* more than an RSA-16384 key wrapped */
#define ATTEMPTS_MAX 256U
#define NAME_MAX_LEN 112U
#define WORDS_MAX_LEN 160U
#define OWN_RSA_BITS 2048U
#define AES_LEN 32U
#define DES3_LEN 24U

/* ---- The report ---- */

struct attempt_text {
    char name[NAME_MAX_LEN], answer[48], words[WORDS_MAX_LEN];
};

/* The public report first, so that either can be had from the other. */
struct report {
    hsmart_attack_report public;
    hsmart_attack_attempt attempts[ATTEMPTS_MAX];
    struct attempt_text texts[ATTEMPTS_MAX];
};

void
hs_p11_attack_report_free(hsmart_attack_report *report)
{
    hs_free(report);
}

/* ---- One attack under way ---- */

enum own_key { OWN_AES, OWN_DES3, OWN_RSA, OWN_COUNT };
static const char *const own_key_words[OWN_COUNT] = {"an AES key", "a DES3 key", "an RSA key"};

struct attack {
    struct hs_p11_token *token;
    struct hs_p11_session *session;
    CK_OBJECT_HANDLE key;
    CK_KEY_TYPE type;
    const char *under; /* "", or the change under which everything is tried again */
    struct report *report;
    CK_OBJECT_HANDLE own[OWN_COUNT]; /* keys that wrap, known to us; 0: the token takes none */
    CK_RV own_rv[OWN_COUNT];
    CK_OBJECT_HANDLE bait; /* a secret key that may leave: shows that a call wraps at all; 0: none */
    uint8_t *loot;         /* LOOT_MAX bytes */
    enum hsmart_code code; /* the session ended */
    hsmart_err err;
};

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static void
record(struct attack *attack, enum hsmart_attack_outcome outcome, CK_RV rv, const char *words, const char *name)
{
    struct report *report = attack->report;
    size_t index = report->public.count;
    const struct hs_ckr_row *row = hs_ckr_row_of(rv);

    if (index == ATTEMPTS_MAX) { /* an attempt that is not told was not made */
        attack->code =
            hs_err_set(&attack->err, HSMART_TOKEN_FAILED,
                       "the token lists so many mechanisms that there are more than %u things to try", ATTEMPTS_MAX);
        return;
    }
    struct attempt_text *text = &report->texts[index];
    (void)snprintf(text->name, sizeof text->name, "%s%s", name, attack->under);
    if (row->name != NULL)
        (void)snprintf(text->answer, sizeof text->answer, "%s", row->name);
    else
        (void)snprintf(text->answer, sizeof text->answer, "0x%08lx", rv);
    (void)snprintf(text->words, sizeof text->words, "%s", words);
    report->attempts[index] = (hsmart_attack_attempt){text->name, outcome, text->answer, text->words};
    report->public.count++;
    report->public.success_count += outcome == HSMART_ATTACK_WEAKENED || outcome == HSMART_ATTACK_BROKEN;
}

/* Whether the session is still there to refuse things: an answer that ended it says nothing of the key. */
static bool
goes_on(struct attack *attack, CK_RV rv)
{
    CK_SESSION_INFO info;

    if (attack->code != HSMART_OK)
        return false;
    if (rv == CKR_OK || attack->session->p11->C_GetSessionInfo(attack->session->handle, &info) == CKR_OK)
        return true;
    attack->session->last_rv = rv;
    attack->session->doubtful = true;
    attack->code = hs_ckr_set(&attack->err, rv);
    return false;
}

static bool
is_not_offered(CK_RV rv)
{
    return rv == CKR_FUNCTION_NOT_SUPPORTED || rv == CKR_MECHANISM_INVALID;
}

/* ---- Reading ---- */

static const struct secret_row {
    CK_KEY_TYPE type;
    CK_ATTRIBUTE_TYPE attribute;
    const char *name;
} secrets[] = {
    {CKK_RSA, CKA_PRIVATE_EXPONENT, "CKA_PRIVATE_EXPONENT"},
    {CKK_RSA, CKA_PRIME_1, "CKA_PRIME_1"},
    {CKK_RSA, CKA_PRIME_2, "CKA_PRIME_2"},
    {CKK_RSA, CKA_EXPONENT_1, "CKA_EXPONENT_1"},
    {CKK_RSA, CKA_EXPONENT_2, "CKA_EXPONENT_2"},
    {CKK_RSA, CKA_COEFFICIENT, "CKA_COEFFICIENT"},
    {CKK_EC, CKA_VALUE, "CKA_VALUE"},
};

/* What a token that keeps it answers is CKR_ATTRIBUTE_SENSITIVE; some say that it has no such attribute, or give one
 * that is empty. */
static bool
reads_secret(struct attack *attack, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, CK_RV *out_rv)
{
    struct hs_p11_session *session = attack->session;
    CK_ATTRIBUTE asked = {type, attack->loot, LOOT_MAX};

    *out_rv = session->p11->C_GetAttributeValue(session->handle, object, &asked, 1);
    bool got = *out_rv == CKR_OK && asked.ulValueLen > 0 && asked.ulValueLen != CK_UNAVAILABLE_INFORMATION;
    hs_wipe(attack->loot, LOOT_MAX);
    return got;
}

static void
try_reading(struct attack *attack)
{
    char name[NAME_MAX_LEN];
    CK_RV rv = CKR_OK;

    for (size_t i = 0; i < HS_ARRAY_LEN(secrets) && attack->code == HSMART_OK; i++) {
        if (secrets[i].type != attack->type)
            continue;
        bool got = reads_secret(attack, attack->key, secrets[i].attribute, &rv);
        if (!goes_on(attack, rv))
            return;
        (void)snprintf(name, sizeof name, "read %s", secrets[i].name);
        record(attack, got ? HSMART_ATTACK_BROKEN : HSMART_ATTACK_HELD, rv,
               got            ? "the token gave the value"
               : rv == CKR_OK ? "the token gave an empty value"
                              : "",
               name);
    }
}

/* ---- Keys of our own, as session objects ---- */

static CK_RV
make_own_secret(struct attack *attack, CK_KEY_TYPE type, size_t len, bool wraps, CK_OBJECT_HANDLE *out_key)
{
    struct hs_p11_session *session = attack->session;
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    uint8_t value[AES_LEN];
    CK_MECHANISM generation = {type == CKK_AES ? CKM_AES_KEY_GEN : CKM_DES3_KEY_GEN, NULL, 0};
    CK_ULONG value_len = len;
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &class, sizeof class},
        {CKA_KEY_TYPE, &type, sizeof type},
        {CKA_TOKEN, (void *)(uintptr_t)&no, sizeof no},
        {CKA_EXTRACTABLE, (void *)(uintptr_t)&yes, sizeof yes},
        {CKA_SENSITIVE, (void *)(uintptr_t)&no, sizeof no},
        {CKA_ENCRYPT, (void *)(uintptr_t)&yes, sizeof yes},
        {CKA_WRAP, (void *)(uintptr_t)(wraps ? &yes : &no), sizeof yes},
        {CKA_VALUE, value, len},
    };
    size_t count = HS_ARRAY_LEN(template);

    if (hs_random_bytes(value, len, NULL) != HSMART_OK)
        return CKR_HOST_MEMORY;
    for (size_t i = 0; i < len; i++) /* DES keys have odd parity */
        value[i] = (uint8_t)((value[i] & 0xfe) | !(__builtin_popcount(value[i] & 0xfe) & 1));
    CK_RV rv = session->p11->C_CreateObject(session->handle, template, count, out_key);
    hs_wipe(value, sizeof value);
    if (rv == CKR_OK)
        return rv;
    /* A token that takes no keys from outside may make one. */
    template[count - 1] = (CK_ATTRIBUTE){CKA_VALUE_LEN, &value_len, sizeof value_len};
    CK_RV made = session->p11->C_GenerateKey(session->handle, &generation, template,
                                             type == CKK_AES ? count : count - 1, out_key);
    return made == CKR_OK ? made : rv;
}

/* The public half of an RSA key that this process made: who wraps with it hands the key to us. */
static CK_RV
make_own_rsa(struct attack *attack, CK_OBJECT_HANDLE *out_key)
{
    struct hs_p11_session *session = attack->session;
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    CK_KEY_TYPE type = CKK_RSA;
    uint8_t modulus[OWN_RSA_BITS / 8], exponent[] = {1, 0, 1};
    BIGNUM *n = NULL;
    CK_RV rv = CKR_HOST_MEMORY;
    CK_ATTRIBUTE template[] = {
        {CKA_CLASS, &class, sizeof class},
        {CKA_KEY_TYPE, &type, sizeof type},
        {CKA_TOKEN, (void *)(uintptr_t)&no, sizeof no},
        {CKA_ENCRYPT, (void *)(uintptr_t)&yes, sizeof yes},
        {CKA_WRAP, (void *)(uintptr_t)&yes, sizeof yes},
        {CKA_MODULUS, modulus, sizeof modulus},
        {CKA_PUBLIC_EXPONENT, exponent, sizeof exponent},
    };
    EVP_PKEY *pkey = EVP_RSA_gen(OWN_RSA_BITS);

    if (pkey != NULL && EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
        BN_bn2binpad(n, modulus, sizeof modulus) == (int)sizeof modulus)
        rv = session->p11->C_CreateObject(session->handle, template, HS_ARRAY_LEN(template), out_key);
    BN_free(n);
    EVP_PKEY_free(pkey);
    return rv;
}

static void
make_own_keys(struct attack *attack)
{
    attack->own_rv[OWN_AES] = make_own_secret(attack, CKK_AES, AES_LEN, true, &attack->own[OWN_AES]);
    if (goes_on(attack, attack->own_rv[OWN_AES]))
        attack->own_rv[OWN_DES3] = make_own_secret(attack, CKK_DES3, DES3_LEN, true, &attack->own[OWN_DES3]);
    if (goes_on(attack, attack->own_rv[OWN_DES3]))
        attack->own_rv[OWN_RSA] = make_own_rsa(attack, &attack->own[OWN_RSA]);
    if (goes_on(attack, attack->own_rv[OWN_RSA]))
        (void)goes_on(attack, make_own_secret(attack, CKK_AES, AES_LEN, false, &attack->bait));
    for (size_t i = 0; i < OWN_COUNT; i++)
        if (attack->own_rv[i] != CKR_OK)
            attack->own[i] = 0;
}

static void
destroy(struct attack *attack, CK_OBJECT_HANDLE object)
{
    if (object != 0)
        (void)attack->session->p11->C_DestroyObject(attack->session->handle, object);
}

/* ---- Wrapping ---- */

enum wrap_parameter { NO_PARAMETER, IV_8, IV_16, GCM, OAEP };

static const struct wrap_row {
    CK_MECHANISM_TYPE type;
    const char *name;
    enum own_key own;
    enum wrap_parameter parameter;
} wrap_rows[] = {
    {CKM_AES_KEY_WRAP, "CKM_AES_KEY_WRAP", OWN_AES, NO_PARAMETER},
    {CKM_AES_KEY_WRAP_PAD, "CKM_AES_KEY_WRAP_PAD", OWN_AES, NO_PARAMETER},
    {0x210bUL, "CKM_AES_KEY_WRAP_KWP", OWN_AES, NO_PARAMETER}, /* PKCS#11 3.0 */
    {0x210cUL, "CKM_AES_KEY_WRAP_PKCS7", OWN_AES, NO_PARAMETER},
    {CKM_AES_CBC_PAD, "CKM_AES_CBC_PAD", OWN_AES, IV_16},
    {CKM_AES_CBC, "CKM_AES_CBC", OWN_AES, IV_16},
    {CKM_AES_ECB, "CKM_AES_ECB", OWN_AES, NO_PARAMETER},
    {CKM_AES_GCM, "CKM_AES_GCM", OWN_AES, GCM},
    {CKM_DES3_CBC_PAD, "CKM_DES3_CBC_PAD", OWN_DES3, IV_8},
    {CKM_DES3_CBC, "CKM_DES3_CBC", OWN_DES3, IV_8},
    {CKM_DES3_ECB, "CKM_DES3_ECB", OWN_DES3, NO_PARAMETER},
    {CKM_RSA_PKCS, "CKM_RSA_PKCS", OWN_RSA, NO_PARAMETER},
    {CKM_RSA_PKCS_OAEP, "CKM_RSA_PKCS_OAEP", OWN_RSA, OAEP},
    {CKM_RSA_X_509, "CKM_RSA_X_509", OWN_RSA, NO_PARAMETER},
};

static bool
wraps(struct attack *attack, const struct wrap_row *row, CK_OBJECT_HANDLE object, CK_RV *out_rv)
{
    struct hs_p11_session *session = attack->session;
    uint8_t iv[16] = {0};
    CK_GCM_PARAMS gcm = {.iv_ptr = iv, .iv_len = 12, .iv_bits = 96, .tag_bits = 128};
    CK_RSA_PKCS_OAEP_PARAMS oaep = {.hash_alg = CKM_SHA_1, .mgf = CKG_MGF1_SHA1, .source = 1}; /* CKZ_DATA_SPECIFIED */
    CK_MECHANISM mechanism = {row->type, NULL, 0};
    CK_ULONG len = LOOT_MAX;

    switch (row->parameter) {
    case NO_PARAMETER:
        break;
    case IV_8:
    case IV_16:
        mechanism.pParameter = iv;
        mechanism.ulParameterLen = row->parameter == IV_8 ? 8 : 16;
        break;
    case GCM:
        mechanism.pParameter = &gcm;
        mechanism.ulParameterLen = sizeof gcm;
        break;
    case OAEP:
        mechanism.pParameter = &oaep;
        mechanism.ulParameterLen = sizeof oaep;
        break;
    }
    *out_rv = session->p11->C_WrapKey(session->handle, &mechanism, attack->own[row->own], object, attack->loot, &len);
    hs_wipe(attack->loot, LOOT_MAX);
    return (*out_rv == CKR_OK && len > 0) || *out_rv == CKR_BUFFER_TOO_SMALL;
}

static void
try_wrapping_by(struct attack *attack, const struct wrap_row *row)
{
    char name[NAME_MAX_LEN];
    const char *words = "";
    enum hsmart_attack_outcome outcome = HSMART_ATTACK_HELD;
    CK_RV rv = attack->own_rv[row->own], bait_rv = CKR_OK;

    (void)snprintf(name, sizeof name, "wrap with %s of our own by %s", own_key_words[row->own], row->name);
    if (attack->own[row->own] == 0) {
        record(attack, HSMART_ATTACK_NOT_OFFERED, rv, "the token takes no such key from us", name);
        return;
    }
    bool got = wraps(attack, row, attack->key, &rv);
    if (!goes_on(attack, rv))
        return;
    if (got) {
        outcome = HSMART_ATTACK_BROKEN;
        words = "the token gave the key, wrapped for us";
    } else if (is_not_offered(rv)) {
        outcome = HSMART_ATTACK_NOT_OFFERED;
    } else if (attack->bait != 0) {
        bool control = wraps(attack, row, attack->bait, &bait_rv);
        if (!goes_on(attack, bait_rv))
            return;
        words = control ? "the same call wraps a key that may leave"
                        : "the same call does not wrap a key that may leave either";
        if (!control && rv != CKR_KEY_UNEXTRACTABLE && rv != CKR_KEY_NOT_WRAPPABLE)
            outcome = HSMART_ATTACK_NOT_OFFERED;
    }
    record(attack, outcome, rv, words, name);
}

/* The rows above, whatever the token's list says of them, and then what else it says it wraps by. */
static void
try_wrapping(struct attack *attack)
{
    const struct hs_token_info_store *store = &attack->token->store;
    char number[24];

    for (size_t i = 0; i < HS_ARRAY_LEN(wrap_rows) && attack->code == HSMART_OK; i++)
        try_wrapping_by(attack, &wrap_rows[i]);
    for (size_t i = 0; i < store->info.mechanism_count && attack->code == HSMART_OK; i++) {
        CK_MECHANISM_TYPE type = store->mechanisms[i];
        CK_MECHANISM_INFO info = {0};
        bool known = false;
        for (size_t k = 0; k < HS_ARRAY_LEN(wrap_rows); k++)
            known = known || wrap_rows[k].type == type;
        if (known || attack->session->p11->C_GetMechanismInfo(attack->token->slot, type, &info) != CKR_OK ||
            !(info.flags & CKF_WRAP))
            continue;
        const char *name = hs_p11_mechanism_name(type);
        (void)snprintf(number, sizeof number, "0x%08lx", type);
        for (unsigned own = 0; own < OWN_COUNT && attack->code == HSMART_OK; own++)
            if (attack->own[own] != 0)
                try_wrapping_by(attack, &(struct wrap_row){type, name != NULL ? name : number, own, NO_PARAMETER});
    }
}

/* ---- Protections: one row each, to be copied without and to be taken off ---- */

static const struct protection_row {
    CK_ATTRIBUTE_TYPE type;
    const char *copy_name, *set_name, *under;
    const CK_BBOOL *off, *on;
} protections[] = {
    {CKA_EXTRACTABLE, "copy with CKA_EXTRACTABLE true", "set CKA_EXTRACTABLE true", ", after setting CKA_EXTRACTABLE",
     &yes, &no},
    {CKA_SENSITIVE, "copy with CKA_SENSITIVE false", "set CKA_SENSITIVE false", ", after unsetting CKA_SENSITIVE", &no,
     &yes},
};

/* What `object` reports of a protection. What is not reported is neither on nor off. */
enum reported { REPORTED_ON, REPORTED_OFF, NOT_REPORTED };

static enum reported
report_of(struct attack *attack, CK_OBJECT_HANDLE object, const struct protection_row *row, CK_RV *out_rv)
{
    struct hs_p11_session *session = attack->session;
    CK_BBOOL value = CK_FALSE;
    CK_ATTRIBUTE asked = {row->type, &value, sizeof value};

    *out_rv = session->p11->C_GetAttributeValue(session->handle, object, &asked, 1);
    if (*out_rv != CKR_OK || asked.ulValueLen != sizeof value)
        return NOT_REPORTED;
    return (value != CK_FALSE) == (*row->on != CK_FALSE) ? REPORTED_ON : REPORTED_OFF;
}

static void
try_copying(struct attack *attack, const struct protection_row *row)
{
    struct hs_p11_session *session = attack->session;
    CK_OBJECT_HANDLE copy = 0;
    CK_ATTRIBUTE template[] = {
        {CKA_TOKEN, (void *)(uintptr_t)&no, sizeof no}, /* gone with the session, whatever happens */
        {row->type, (void *)(uintptr_t)row->off, sizeof(CK_BBOOL)},
    };

    if (attack->code != HSMART_OK)
        return;
    CK_RV rv = session->p11->C_CopyObject(session->handle, attack->key, template, HS_ARRAY_LEN(template), &copy);
    CK_RV read_rv = CKR_OK;
    enum reported reported = rv == CKR_OK ? report_of(attack, copy, row, &read_rv) : NOT_REPORTED;
    if (!goes_on(attack, rv != CKR_OK ? rv : read_rv))
        return;
    if (rv == CKR_OK) {
        static const struct {
            enum hsmart_attack_outcome outcome;
            const char *words;
        } made[] = {
            [REPORTED_ON] = {HSMART_ATTACK_HELD, "the copy kept the protection"},
            [REPORTED_OFF] = {HSMART_ATTACK_BROKEN, "the token made a copy without the protection"},
            [NOT_REPORTED] = {HSMART_ATTACK_WEAKENED, "the token made a copy that does not report the protection"},
        };
        destroy(attack, copy);
        record(attack, made[reported].outcome, rv, made[reported].words, row->copy_name);
        return;
    }
    record(attack, is_not_offered(rv) ? HSMART_ATTACK_NOT_OFFERED : HSMART_ATTACK_HELD, rv, "", row->copy_name);
}

static CK_RV
set_flag(struct attack *attack, CK_ATTRIBUTE_TYPE type, const CK_BBOOL *value)
{
    struct hs_p11_session *session = attack->session;
    CK_ATTRIBUTE wish = {type, (void *)(uintptr_t)value, sizeof *value};

    return session->p11->C_SetAttributeValue(session->handle, attack->key, &wish, 1);
}

/* With the protection off everything is tried again; then it is put back. */
static void
try_taking_off(struct attack *attack, const struct protection_row *row)
{
    CK_RV read_rv = CKR_OK;

    if (attack->code != HSMART_OK || report_of(attack, attack->key, row, &read_rv) == REPORTED_OFF)
        return; /* nothing to take off: what it reports is the audit's affair */
    CK_RV rv = set_flag(attack, row->type, row->off);
    if (!goes_on(attack, rv))
        return;
    enum reported reported = report_of(attack, attack->key, row, &read_rv);
    /* What the token took and does not report afterwards is held for off, and put back. */
    if (reported == REPORTED_ON || (reported == NOT_REPORTED && rv != CKR_OK)) {
        record(attack, is_not_offered(rv) ? HSMART_ATTACK_NOT_OFFERED : HSMART_ATTACK_HELD, rv,
               rv == CKR_OK ? "the token took it and kept the protection" : "", row->set_name);
        return;
    }
    size_t index = attack->report->public.count;
    record(attack, HSMART_ATTACK_WEAKENED, rv, "", row->set_name);
    attack->under = row->under;
    try_reading(attack);
    try_wrapping(attack);
    attack->under = "";
    (void)set_flag(attack, row->type, row->on);
    bool stuck = report_of(attack, attack->key, row, &read_rv) != REPORTED_ON;
    attack->report->public.key_changed |= stuck;
    if (index < ATTEMPTS_MAX)
        (void)snprintf(attack->report->texts[index].words, WORDS_MAX_LEN, "the protection came off%s",
                       stuck ? " and was not seen put back: this key may report it off from now on"
                             : "; it was put back");
}

/* ---- The attack ---- */

enum hsmart_code
hs_p11_attack(struct hs_p11_token *token, struct hs_p11_session *session, CK_OBJECT_HANDLE key, CK_KEY_TYPE type,
              hsmart_attack_report **out_report, hsmart_err *err)
{
    struct attack attack = {.token = token, .session = session, .key = key, .type = type, .under = ""};
    const CK_FUNCTION_LIST *p11 = session->p11;
    enum hsmart_code code = HSMART_OK;

    /* By the standard a module has a stub for what it does not support; none at all is not a token that resists. */
    if (p11->C_GetMechanismInfo == NULL || p11->C_GenerateKey == NULL || p11->C_CreateObject == NULL ||
        p11->C_CopyObject == NULL || p11->C_SetAttributeValue == NULL || p11->C_WrapKey == NULL ||
        p11->C_DestroyObject == NULL)
        return hs_ckr_set(err, CKR_FUNCTION_NOT_SUPPORTED);
    attack.report = hs_calloc(1, sizeof *attack.report);
    attack.loot = hs_calloc(1, LOOT_MAX);
    if (attack.report == NULL || attack.loot == NULL) {
        code = hs_err_no_memory(err);
        goto out;
    }
    attack.report->public.attempts = attack.report->attempts;
    make_own_keys(&attack);
    try_reading(&attack);
    try_wrapping(&attack);
    for (size_t i = 0; i < HS_ARRAY_LEN(protections); i++)
        try_copying(&attack, &protections[i]);
    for (size_t i = 0; i < HS_ARRAY_LEN(protections); i++)
        try_taking_off(&attack, &protections[i]);
    for (size_t i = 0; i < OWN_COUNT; i++)
        destroy(&attack, attack.own[i]);
    destroy(&attack, attack.bait);
    code = attack.code;
    if (code != HSMART_OK) {
        if (attack.report->public.key_changed) /* the report that would say so does not come */
            hs_err_hint(&attack.err,
                        "a protection of this key came off and was not seen put back: hold it for weakened, "
                        "and make another");
        if (err != NULL)
            *err = attack.err;
        goto out;
    }
    *out_report = &attack.report->public;
    attack.report = NULL;
out:
    hs_free(attack.loot);
    hs_free(attack.report);
    return code;
}
