/* The attack on a token that lets a protection be taken off, and then does not tell whether it is back. */
#include "p11_attack.h"
#include "p11_session.h"
#include "p11_token_state.h"
#include "rows.h"

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

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, it_says_what_became_of, rows_of_attack);
    return rows_run("p11_attack", &rows);
}
