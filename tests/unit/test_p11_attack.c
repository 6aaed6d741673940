/* The attack: on a token that lets a protection be taken off, and then does not tell whether it is back; and on one
 * that holds, while it or this process fails. */
#include "failing_calls.h"
#include "failing_malloc.h"
#include "p11_attack.h"
#include "p11_session.h"
#include "p11_token_state.h"
#include "rows.h"

#include <errno.h>
#include <openssl/evp.h>

enum afterwards { PUT_BACK, LEFT_OFF, NOT_TOLD, SESSION_LOST };

static struct {
    enum afterwards afterwards;
    CK_BBOOL extractable;
    bool came_off, asked_back;
} key;

/* ---- A module of one key ---- */

static CK_RV
get_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes, CK_ULONG count)
{
    (void)session;
    (void)object;
    assert_int_equal(count, 1);
    if (key.asked_back && key.afterwards >= NOT_TOLD)
        return CKR_DEVICE_ERROR;
    if (attributes[0].type != CKA_EXTRACTABLE && attributes[0].type != CKA_SENSITIVE)
        return CKR_ATTRIBUTE_SENSITIVE;
    *(CK_BBOOL *)attributes[0].pValue = attributes[0].type == CKA_SENSITIVE ? CK_TRUE : key.extractable;
    return CKR_OK;
}

static CK_RV
set_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes, CK_ULONG count)
{
    (void)session;
    (void)object;
    assert_int_equal(count, 1);
    if (attributes[0].type != CKA_EXTRACTABLE)
        return CKR_ATTRIBUTE_READ_ONLY;
    CK_BBOOL wished = *(const CK_BBOOL *)attributes[0].pValue;
    key.came_off |= wished == CK_TRUE;
    key.asked_back |= wished == CK_FALSE;
    if (wished == CK_TRUE || key.afterwards == PUT_BACK)
        key.extractable = wished;
    return wished == CK_TRUE || key.afterwards == PUT_BACK ? CKR_OK : CKR_DEVICE_ERROR;
}

static CK_RV
get_session_info(CK_SESSION_HANDLE session, CK_SESSION_INFO *info)
{
    (void)session;
    (void)info;
    return key.came_off && key.afterwards == SESSION_LOST ? CKR_SESSION_HANDLE_INVALID : CKR_OK;
}

static CK_RV
create_object(CK_SESSION_HANDLE session, CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *object)
{
    (void)session;
    (void)attributes;
    (void)count;
    (void)object;
    return CKR_FUNCTION_NOT_SUPPORTED;
}

static CK_RV
generate_key(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *attributes, CK_ULONG count,
             CK_OBJECT_HANDLE *object)
{
    (void)mechanism;
    return create_object(session, attributes, count, object);
}

static CK_RV
copy_object(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE from, CK_ATTRIBUTE *attributes, CK_ULONG count,
            CK_OBJECT_HANDLE *object)
{
    (void)from;
    return create_object(session, attributes, count, object);
}

static CK_RV
wrap_key(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE with, CK_OBJECT_HANDLE object,
         unsigned char *wrapped, CK_ULONG *len)
{
    (void)session;
    (void)mechanism;
    (void)with;
    (void)object;
    (void)wrapped;
    (void)len;
    return CKR_FUNCTION_NOT_SUPPORTED;
}

static CK_RV
destroy_object(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    (void)session;
    (void)object;
    return CKR_OK;
}

static CK_RV
get_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
    (void)slot;
    (void)type;
    (void)info;
    return CKR_MECHANISM_INVALID;
}

/* ---- The tests ---- */

static struct row {
    const char *name;
    enum afterwards afterwards;
    bool changed;          /* told in the report */
    enum hsmart_code code; /* of the attack as a whole */
    const char *said;      /* of the attempt, or the error's hint */
} rows_of_attack[] = {
    {"a protection that is put back", PUT_BACK, false, HSMART_OK, "it was put back"},
    {"a protection that stays off", LEFT_OFF, true, HSMART_OK, "was not seen put back"},
    {"a protection of which nothing is told afterwards", NOT_TOLD, true, HSMART_OK, "was not seen put back"},
    {"a session that ends before it is put back", SESSION_LOST, false, HSMART_TOKEN_UNAVAILABLE,
     "was not seen put back"},
};

static void
it_says_what_became_of(void **state)
{
    const struct row *row = *state;
    CK_FUNCTION_LIST module = {
        .C_GetAttributeValue = get_attribute,
        .C_SetAttributeValue = set_attribute,
        .C_GetSessionInfo = get_session_info,
        .C_CreateObject = create_object,
        .C_GenerateKey = generate_key,
        .C_CopyObject = copy_object,
        .C_WrapKey = wrap_key,
        .C_DestroyObject = destroy_object,
        .C_GetMechanismInfo = get_mechanism_info,
    };
    struct hs_p11_session session = {.p11 = &module, .handle = 1};
    struct hs_p11_token token = {0};
    hsmart_attack_report *report = NULL;
    const char *said = "";
    hsmart_err err = {0};

    memset(&key, 0, sizeof key);
    key.afterwards = row->afterwards;
    enum hsmart_code code = hs_p11_attack(&token, &session, 1, CKK_EC, &report, &err);
    assert_int_equal(code != HSMART_OK, row->code != HSMART_OK);
    assert_true(key.came_off && key.asked_back);
    if (code == HSMART_OK) {
        assert_int_equal(report->key_changed, row->changed);
        for (size_t i = 0; i < report->count; i++)
            if (strcmp(report->attempts[i].name, "set CKA_EXTRACTABLE true") == 0) {
                assert_int_equal(report->attempts[i].outcome, HSMART_ATTACK_WEAKENED);
                said = report->attempts[i].words;
            }
    } else {
        said = err.hint;
        assert_true(session.doubtful);
    }
    if (strstr(said, row->said) == NULL)
        fail_msg("it says \"%s\"", said);
    hs_p11_attack_report_free(report);
}

/* ---- A key of our own, made once: that takes longer than everything else here ---- */

static EVP_PKEY *own_key;
static bool own_key_fails;

EVP_PKEY *__real_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *context, const char *query, const char *type, ...);
EVP_PKEY *__wrap_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *context, const char *query, const char *type, size_t bits);

EVP_PKEY *
__wrap_EVP_PKEY_Q_keygen(OSSL_LIB_CTX *context, const char *query, const char *type, size_t bits)
{
    if (own_key_fails)
        return NULL;
    if (own_key == NULL)
        own_key = __real_EVP_PKEY_Q_keygen(context, query, type, bits);
    return own_key != NULL && EVP_PKEY_up_ref(own_key) == 1 ? own_key : NULL;
}

/* ---- A token that has everything, and holds ---- */

#define MANY 300U
static struct {
    unsigned calls, lost_after; /* from that call on the session is gone */
    CK_OBJECT_HANDLE made;
    CK_RV on_wrap; /* of the key; what may leave is wrapped */
    bool wraps_bait;
    bool tells_nothing; /* of a copy, and of the key once it was changed */
    bool takes_changes, is_changed;
    bool gives_value;   /* of what is secret */
    CK_ULONG value_len; /* as many bytes */
} strong;

static bool
is_lost(void)
{
    return strong.calls > strong.lost_after;
}
#define LOSE_AFTER_SOME_CALLS                                                                                          \
    do {                                                                                                               \
        strong.calls++;                                                                                                \
        if (is_lost())                                                                                                 \
            return CKR_SESSION_HANDLE_INVALID;                                                                         \
    } while (0)

static CK_RV
strong_get_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes, CK_ULONG count)
{
    (void)session;
    (void)count;
    LOSE_AFTER_SOME_CALLS;
    if (attributes[0].type != CKA_EXTRACTABLE && attributes[0].type != CKA_SENSITIVE) {
        attributes[0].ulValueLen = strong.value_len;
        return strong.gives_value ? CKR_OK : CKR_ATTRIBUTE_SENSITIVE;
    }
    if (strong.tells_nothing && (object != 1 || strong.is_changed))
        return CKR_ATTRIBUTE_TYPE_INVALID;
    *(CK_BBOOL *)attributes[0].pValue = attributes[0].type == CKA_SENSITIVE;
    return CKR_OK;
}

static CK_RV
strong_set_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attributes, CK_ULONG count)
{
    (void)session;
    (void)object;
    (void)attributes;
    (void)count;
    LOSE_AFTER_SOME_CALLS;
    strong.is_changed = strong.takes_changes;
    return strong.takes_changes ? CKR_OK : CKR_ATTRIBUTE_READ_ONLY;
}

static CK_RV
strong_get_session_info(CK_SESSION_HANDLE session, CK_SESSION_INFO *info)
{
    (void)session;
    (void)info;
    return is_lost() ? CKR_SESSION_HANDLE_INVALID : CKR_OK;
}

static CK_RV
strong_create(CK_SESSION_HANDLE session, CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *object)
{
    (void)session;
    (void)attributes;
    (void)count;
    LOSE_AFTER_SOME_CALLS;
    *object = ++strong.made;
    return CKR_OK;
}

static CK_RV
strong_copy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE from, CK_ATTRIBUTE *attributes, CK_ULONG count,
            CK_OBJECT_HANDLE *object)
{
    (void)from;
    return strong_create(session, attributes, count, object);
}

static CK_RV
strong_wrap(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE with, CK_OBJECT_HANDLE object,
            unsigned char *wrapped, CK_ULONG *len)
{
    (void)session;
    (void)mechanism;
    (void)with;
    LOSE_AFTER_SOME_CALLS;
    if (object == 1)
        return strong.on_wrap;
    wrapped[0] = 1;
    *len = 40;
    return strong.wraps_bait ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV
strong_destroy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
    (void)session;
    (void)object;
    LOSE_AFTER_SOME_CALLS;
    return CKR_OK;
}

static CK_RV
strong_get_mechanism_info(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
    (void)slot;
    (void)type;
    *info = (CK_MECHANISM_INFO){.flags = CKF_WRAP};
    return CKR_OK;
}

static const CK_FUNCTION_LIST strong_module = {
    .C_GetAttributeValue = strong_get_attribute,
    .C_SetAttributeValue = strong_set_attribute,
    .C_GetSessionInfo = strong_get_session_info,
    .C_CreateObject = strong_create,
    .C_GenerateKey = generate_key,
    .C_CopyObject = strong_copy,
    .C_WrapKey = strong_wrap,
    .C_DestroyObject = strong_destroy,
    .C_GetMechanismInfo = strong_get_mechanism_info,
};

/* The key has the handle 1, and those of the attack follow. */
static enum hsmart_code
attack_strong(CK_FUNCTION_LIST *module, size_t mechanism_count, struct hs_p11_session *out_session,
              hsmart_attack_report **out_report, hsmart_err *err)
{
    static CK_MECHANISM_TYPE mechanisms[MANY];
    struct hs_p11_token token = {0};

    for (size_t i = 0; i < mechanism_count; i++)
        mechanisms[i] = 0x80000100UL + i;
    token.store.mechanisms = mechanisms;
    token.store.info.mechanism_count = mechanism_count;
    *out_session = (struct hs_p11_session){.p11 = module, .handle = 1};
    strong.calls = 0;
    strong.made = 1;
    return hs_p11_attack(&token, out_session, 1, CKK_RSA, out_report, err);
}

static void
fresh_strong(CK_RV on_wrap, bool wraps_bait)
{
    memset(&strong, 0, sizeof strong);
    strong.lost_after = UINT32_MAX;
    strong.on_wrap = on_wrap;
    strong.wraps_bait = wraps_bait;
}

static void
a_session_that_ends_is_an_error_wherever_it_does(void **state)
{
    CK_FUNCTION_LIST module = strong_module;
    struct hs_p11_session session;
    enum hsmart_code code = HSMART_INTERNAL;
    unsigned n = 0;

    (void)state;
    fresh_strong(CKR_KEY_UNEXTRACTABLE, true);
    for (; code != HSMART_OK && n < 1000; n++) {
        hsmart_attack_report *report = NULL;
        hsmart_err err = {0};
        strong.lost_after = n;
        code = attack_strong(&module, 2, &session, &report, &err);
        if (code != HSMART_OK) {
            assert_int_equal(code, HSMART_SESSION_LOST);
            assert_non_null(strstr(err.text, "CKR_SESSION_HANDLE_INVALID"));
            assert_true(session.doubtful);
            assert_int_equal(session.last_rv, CKR_SESSION_HANDLE_INVALID);
            assert_null(report);
        } else {
            assert_int_equal(report->success_count, 0);
        }
        hs_p11_attack_report_free(report);
    }
    assert_int_equal(code, HSMART_OK);
    assert_in_range(n, 50, 500);
}

static struct wrapping {
    const char *name;
    CK_RV rv;
    bool wraps_bait;
    enum hsmart_attack_outcome outcome;
    const char *answer, *words;
} wrappings[] = {
    {"refused, where a key that may leave is not", CKR_KEY_UNEXTRACTABLE, true, HSMART_ATTACK_HELD,
     "CKR_KEY_UNEXTRACTABLE", "wraps a key that may leave"},
    {"refused for this key, with a mechanism that wraps none", CKR_KEY_NOT_WRAPPABLE, false, HSMART_ATTACK_HELD,
     "CKR_KEY_NOT_WRAPPABLE", "does not wrap a key that may leave either"},
    {"refused like any other key", CKR_FUNCTION_FAILED, false, HSMART_ATTACK_NOT_OFFERED, "CKR_FUNCTION_FAILED",
     "does not wrap a key that may leave either"},
    {"a code of the vendor's", 0x80000001UL, true, HSMART_ATTACK_HELD, "0x80000001", "wraps a key that may leave"},
    {"a mechanism that is not there", CKR_MECHANISM_INVALID, true, HSMART_ATTACK_NOT_OFFERED, "CKR_MECHANISM_INVALID",
     ""},
    {"a buffer that was too small for it", CKR_BUFFER_TOO_SMALL, true, HSMART_ATTACK_BROKEN, "CKR_BUFFER_TOO_SMALL",
     "gave the key"},
    {"wrapped", CKR_OK, true, HSMART_ATTACK_BROKEN, "CKR_OK", "gave the key"},
};

static void
an_answer_to_wrapping_means(void **state)
{
    const struct wrapping *row = *state;
    CK_FUNCTION_LIST module = strong_module;
    struct hs_p11_session session;
    hsmart_attack_report *report = NULL;
    size_t wraps = 0;

    fresh_strong(row->rv, row->wraps_bait);
    assert_int_equal(attack_strong(&module, 1, &session, &report, NULL), HSMART_OK);
    for (size_t i = 0; i < report->count; i++) {
        if (strncmp(report->attempts[i].name, "wrap ", 5) != 0)
            continue;
        wraps++;
        assert_int_equal(report->attempts[i].outcome, row->outcome);
        assert_string_equal(report->attempts[i].answer, row->answer);
        assert_non_null(strstr(report->attempts[i].words, row->words));
    }
    assert_in_range(wraps, 15, 40);
    hs_p11_attack_report_free(report);
}

static struct answer_to_reading {
    const char *name;
    bool gives_value;
    CK_ULONG value_len;
    enum hsmart_attack_outcome outcome;
    const char *words;
} answers_to_reading[] = {
    {"refused", false, CK_UNAVAILABLE_INFORMATION, HSMART_ATTACK_HELD, ""},
    {"an empty value", true, 0, HSMART_ATTACK_HELD, "an empty value"},
    {"success without a value", true, CK_UNAVAILABLE_INFORMATION, HSMART_ATTACK_HELD, "an empty value"},
    {"the value", true, 32, HSMART_ATTACK_BROKEN, "gave the value"},
};

static void
an_answer_to_reading_means(void **state)
{
    const struct answer_to_reading *row = *state;
    CK_FUNCTION_LIST module = strong_module;
    struct hs_p11_session session;
    hsmart_attack_report *report = NULL;
    unsigned reads = 0;

    fresh_strong(CKR_KEY_UNEXTRACTABLE, true);
    strong.gives_value = row->gives_value;
    strong.value_len = row->value_len;
    assert_int_equal(attack_strong(&module, 0, &session, &report, NULL), HSMART_OK);
    for (size_t i = 0; i < report->count; i++) {
        if (strncmp(report->attempts[i].name, "read ", 5) != 0)
            continue;
        reads++;
        assert_int_equal(report->attempts[i].outcome, row->outcome);
        assert_non_null(strstr(report->attempts[i].words, row->words));
    }
    assert_int_equal(reads, 6);
    hs_p11_attack_report_free(report);
}

static void
a_change_that_is_taken_and_changes_nothing_holds(void **state)
{
    CK_FUNCTION_LIST module = strong_module;
    struct hs_p11_session session;
    hsmart_attack_report *report = NULL;
    unsigned kept = 0;

    (void)state;
    fresh_strong(CKR_KEY_UNEXTRACTABLE, true);
    strong.takes_changes = true;
    assert_int_equal(attack_strong(&module, 0, &session, &report, NULL), HSMART_OK);
    for (size_t i = 0; i < report->count; i++)
        kept += strstr(report->attempts[i].words, "kept the protection") != NULL;
    assert_int_equal(kept, 4);
    assert_int_equal(report->success_count, 0);
    assert_false(report->key_changed);
    hs_p11_attack_report_free(report);
}

/* Success is what was seen, and so is holding. */
static void
what_a_token_takes_and_does_not_report_is_no_protection(void **state)
{
    CK_FUNCTION_LIST module = strong_module;
    struct hs_p11_session session;
    hsmart_attack_report *report = NULL;
    unsigned weakened = 0;

    (void)state;
    fresh_strong(CKR_KEY_UNEXTRACTABLE, true);
    strong.tells_nothing = strong.takes_changes = true;
    assert_int_equal(attack_strong(&module, 0, &session, &report, NULL), HSMART_OK);
    for (size_t i = 0; i < report->count; i++) {
        const hsmart_attack_attempt *attempt = &report->attempts[i];
        if (strncmp(attempt->name, "copy ", 5) != 0 && strncmp(attempt->name, "set ", 4) != 0)
            continue;
        assert_int_equal(attempt->outcome, HSMART_ATTACK_WEAKENED);
        weakened++;
    }
    assert_int_equal(weakened, 4);
    assert_true(report->key_changed);
    hs_p11_attack_report_free(report);
}

static void
a_token_that_lists_too_many_mechanisms_is_not_said_to_hold(void **state)
{
    CK_FUNCTION_LIST module = strong_module;
    struct hs_p11_session session;
    hsmart_attack_report *report = NULL;
    hsmart_err err = {0};

    (void)state;
    fresh_strong(CKR_KEY_UNEXTRACTABLE, true);
    assert_int_equal(attack_strong(&module, MANY, &session, &report, &err), HSMART_TOKEN_FAILED);
    assert_non_null(strstr(err.text, "so many mechanisms"));
    assert_null(report);
}

static struct missing {
    const char *name;
    size_t offset;
} missings[] = {
    {"C_GetMechanismInfo", offsetof(CK_FUNCTION_LIST, C_GetMechanismInfo)},
    {"C_GenerateKey", offsetof(CK_FUNCTION_LIST, C_GenerateKey)},
    {"C_CreateObject", offsetof(CK_FUNCTION_LIST, C_CreateObject)},
    {"C_CopyObject", offsetof(CK_FUNCTION_LIST, C_CopyObject)},
    {"C_SetAttributeValue", offsetof(CK_FUNCTION_LIST, C_SetAttributeValue)},
    {"C_WrapKey", offsetof(CK_FUNCTION_LIST, C_WrapKey)},
    {"C_DestroyObject", offsetof(CK_FUNCTION_LIST, C_DestroyObject)},
};

static void
a_module_without_it_is_not_said_to_hold(void **state)
{
    const struct missing *row = *state;
    CK_FUNCTION_LIST module = strong_module;
    struct hs_p11_session session;
    hsmart_attack_report *report = NULL;

    fresh_strong(CKR_KEY_UNEXTRACTABLE, true);
    memset((char *)&module + row->offset, 0, sizeof module.C_WrapKey);
    assert_int_equal(attack_strong(&module, 0, &session, &report, NULL), HSMART_TOKEN_INCAPABLE);
    assert_int_equal(strong.calls, 0);
    assert_null(report);
}

static void
without_memory_nothing_is_tried(void **state)
{
    CK_FUNCTION_LIST module = strong_module;
    struct hs_p11_session session;
    hsmart_attack_report *report = NULL;

    (void)state;
    fresh_strong(CKR_KEY_UNEXTRACTABLE, true);
    for (unsigned n = 0; n < 2; n++) {
        hs_test_fail_allocation(n);
        enum hsmart_code code = attack_strong(&module, 0, &session, &report, NULL);
        (void)hs_test_end_failing();
        assert_int_equal(code, HSMART_NO_MEMORY);
        assert_int_equal(strong.calls, 0);
    }
}

static struct own_failure {
    const char *name, *key; /* that is not made */
    bool random_fails, rsa_fails;
} own_failures[] = {
    {"random numbers", "with an AES key", true, false},
    {"an RSA key", "with an RSA key", false, true},
};

static void
what_cannot_be_made_here_is_told_and_the_rest_is_tried(void **state)
{
    const struct own_failure *row = *state;
    CK_FUNCTION_LIST module = strong_module;
    struct hs_p11_session session;
    hsmart_attack_report *report = NULL;

    fresh_strong(CKR_KEY_UNEXTRACTABLE, true);
    own_key_fails = row->rsa_fails;
    if (row->random_fails)
        hs_test_fail_call(TEST_RANDOM, ENOSYS, 0);
    enum hsmart_code code = attack_strong(&module, 0, &session, &report, NULL);
    own_key_fails = false;
    assert_true(hs_test_end_failing_calls());
    assert_int_equal(code, HSMART_OK);
    for (size_t i = 0; i < report->count; i++) {
        bool is_missing = strstr(report->attempts[i].name, row->key) != NULL;
        assert_int_equal(report->attempts[i].outcome, is_missing ? HSMART_ATTACK_NOT_OFFERED : HSMART_ATTACK_HELD);
    }
    hs_p11_attack_report_free(report);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, it_says_what_became_of, rows_of_attack);
    ADD_TEST(&rows, a_session_that_ends_is_an_error_wherever_it_does);
    ADD_ROWS(&rows, an_answer_to_wrapping_means, wrappings);
    ADD_ROWS(&rows, an_answer_to_reading_means, answers_to_reading);
    ADD_TEST(&rows, a_change_that_is_taken_and_changes_nothing_holds);
    ADD_TEST(&rows, what_a_token_takes_and_does_not_report_is_no_protection);
    ADD_TEST(&rows, a_token_that_lists_too_many_mechanisms_is_not_said_to_hold);
    ADD_ROWS(&rows, a_module_without_it_is_not_said_to_hold, missings);
    ADD_TEST(&rows, without_memory_nothing_is_tried);
    ADD_ROWS(&rows, what_cannot_be_made_here_is_told_and_the_rest_is_tried, own_failures);
    int failed = rows_run("p11_attack", &rows);
    EVP_PKEY_free(own_key);
    return failed;
}
