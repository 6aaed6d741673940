/* The module itself; see fake_p11.h. */
#include "fake_p11.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT struct fake_p11 fake_p11;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct session {
    bool open, read_write;
    CK_SLOT_ID slot;
} sessions[FAKE_SESSIONS_MAX];
static unsigned found_so_far;
#define SOUGHT_MAX 8U
static CK_ATTRIBUTE sought[SOUGHT_MAX];
static CK_ULONG sought_count;

/* ---- Bookkeeping ---- */

static void
sleep_for(unsigned ms)
{
    struct timespec rest = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    if (ms > 0)
        (void)nanosleep(&rest, NULL);
}

/* Counts the call; what the test wants it to answer, or CKR_OK for the function's own work. */
static CK_RV
enter(enum fake_function function)
{
    (void)pthread_mutex_lock(&lock);
    unsigned call = __atomic_add_fetch(&fake_p11.calls[function], 1, __ATOMIC_ACQ_REL);
    struct fake_answer answer = fake_p11.answers[function];
    unsigned ms = fake_p11.sleep_ms[function];
    (void)pthread_mutex_unlock(&lock);
    sleep_for(ms);
    while (__atomic_load_n(&fake_p11.held[function], __ATOMIC_ACQUIRE))
        sleep_for(1);
    bool always = answer.first == 0 && answer.last == 0;
    if (always || (call >= answer.first && call <= answer.last))
        return answer.rv;
    return CKR_OK;
}
#define ENTER(function)                                                                                                \
    do {                                                                                                               \
        CK_RV entered = enter(function);                                                                               \
        if (entered != CKR_OK)                                                                                         \
            return entered;                                                                                            \
    } while (0)

static void
pad(CK_UTF8CHAR *field, size_t len, const char *text)
{
    memset(field, ' ', len);
    if (text != NULL)
        memcpy(field, text, strlen(text) < len ? strlen(text) : len);
}
#define PAD(field, text) pad(field, sizeof(field), text)

static struct session *
session_of(CK_SESSION_HANDLE handle)
{
    return handle >= 1 && handle <= FAKE_SESSIONS_MAX && sessions[handle - 1].open ? &sessions[handle - 1] : NULL;
}

static bool
same_pin(const char *pin, const CK_UTF8CHAR *given, CK_ULONG len)
{
    return pin != NULL && given != NULL && strlen(pin) == len && memcmp(pin, given, len) == 0;
}

/* ---- Module, slots, tokens ---- */

static void
start_helper(void)
{
    pid_t helper = fork();

    if (helper == 0)
        _exit(0);
    (void)waitpid(helper, NULL, 0);
}

static CK_RV
fake_initialize(void *init_args)
{
    const CK_C_INITIALIZE_ARGS *args = init_args;

    ENTER(FAKE_INITIALIZE);
    if (fake_p11.initialized)
        return CKR_CRYPTOKI_ALREADY_INITIALIZED;
    if (fake_p11.forks_in_initialize)
        start_helper();
    fake_p11.initialized = true;
    fake_p11.init_string[0] = 0;
    if (args != NULL && args->pReserved != NULL)
        strncat(fake_p11.init_string, args->pReserved, sizeof fake_p11.init_string - 1);
    return CKR_OK;
}

static CK_RV
fake_finalize(void *reserved)
{
    (void)reserved;
    ENTER(FAKE_FINALIZE);
    memset(sessions, 0, sizeof sessions);
    fake_p11.initialized = false;
    fake_p11.logged_in = false;
    fake_p11.open_sessions = 0;
    return CKR_OK;
}

static CK_RV
fake_get_info(CK_INFO *info)
{
    ENTER(FAKE_GET_INFO);
    if (!fake_p11.initialized)
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    memset(info, 0, sizeof *info);
    info->cryptokiVersion = (CK_VERSION){2, 40};
    PAD(info->manufacturerID, fake_p11.library_manufacturer);
    PAD(info->libraryDescription, "a module for tests");
    return CKR_OK;
}

static CK_RV
fake_get_slot_list(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count)
{
    CK_ULONG there = 0;

    ENTER(FAKE_GET_SLOT_LIST);
    for (CK_SLOT_ID slot = 0; slot < fake_p11.token_count; slot++) {
        if (present && fake_p11.tokens[slot].absent)
            continue;
        if (slots != NULL && there < *count)
            slots[there] = slot;
        there++;
    }
    bool fits = slots == NULL || there <= *count;
    *count = there;
    return fits ? CKR_OK : CKR_BUFFER_TOO_SMALL;
}

static CK_RV
fake_get_slot_info(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
    ENTER(FAKE_GET_SLOT_INFO);
    memset(info, 0, sizeof *info);
    PAD(info->slotDescription, "a slot for tests");
    PAD(info->manufacturerID, fake_p11.library_manufacturer);
    info->flags = slot < fake_p11.token_count && fake_p11.tokens[slot].absent ? 0 : CKF_TOKEN_PRESENT;
    return slot < fake_p11.token_count ? CKR_OK : CKR_SLOT_ID_INVALID;
}

static CK_RV
fake_get_token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    ENTER(FAKE_GET_TOKEN_INFO);
    if (slot >= fake_p11.token_count)
        return CKR_SLOT_ID_INVALID;
    const struct fake_token *token = &fake_p11.tokens[slot];
    if (token->absent)
        return CKR_TOKEN_NOT_PRESENT;
    memset(info, 0, sizeof *info);
    PAD(info->label, token->label);
    if (token->serial != NULL) /* else zeros, as some leave it */
        PAD(info->serialNumber, token->serial);
    PAD(info->manufacturerID, token->manufacturer);
    PAD(info->model, "fake");
    info->flags = token->flags;
    info->ulMaxSessionCount = token->max_sessions;
    info->ulMinPinLen = token->min_pin_len;
    info->ulMaxPinLen = token->max_pin_len;
    return CKR_OK;
}

static CK_RV
fake_get_mechanism_list(CK_SLOT_ID slot, CK_MECHANISM_TYPE *types, CK_ULONG *count)
{
    static const CK_MECHANISM_TYPE all[] = {CKM_RSA_PKCS, CKM_ECDSA, 0x80001234UL};

    (void)slot;
    ENTER(FAKE_GET_MECHANISM_LIST);
    if (types != NULL && *count < 3)
        return CKR_BUFFER_TOO_SMALL;
    if (types != NULL)
        memcpy(types, all, sizeof all);
    *count = 3;
    return CKR_OK;
}

static CK_RV
fake_init_token(CK_SLOT_ID slot, CK_UTF8CHAR *pin, CK_ULONG pin_len, CK_UTF8CHAR *label)
{
    static char new_label[FAKE_TOKENS_MAX][33];

    ENTER(FAKE_INIT_TOKEN);
    if (slot >= fake_p11.token_count)
        return CKR_SLOT_ID_INVALID;
    struct fake_token *token = &fake_p11.tokens[slot];
    if ((token->flags & CKF_TOKEN_INITIALIZED) && !same_pin(token->so_pin, pin, pin_len))
        return CKR_PIN_INCORRECT;
    memcpy(new_label[slot], label, 32);
    token->label = new_label[slot];
    token->flags = (token->flags | CKF_TOKEN_INITIALIZED) & ~(CK_FLAGS)CKF_USER_PIN_INITIALIZED;
    return CKR_OK;
}

static CK_RV
fake_init_pin(CK_SESSION_HANDLE handle, CK_UTF8CHAR *pin, CK_ULONG pin_len)
{
    (void)pin;
    (void)pin_len;
    ENTER(FAKE_INIT_PIN);
    const struct session *session = session_of(handle);
    if (session == NULL)
        return CKR_SESSION_HANDLE_INVALID;
    if (!fake_p11.logged_in)
        return CKR_USER_NOT_LOGGED_IN;
    fake_p11.tokens[session->slot].flags |= CKF_USER_PIN_INITIALIZED;
    return CKR_OK;
}

/* ---- Sessions ---- */

static CK_RV
open_session(CK_SLOT_ID slot, bool read_write, CK_SESSION_HANDLE *handle)
{
    if (slot >= fake_p11.token_count)
        return CKR_SLOT_ID_INVALID;
    if (fake_p11.read_write_only && !read_write)
        return CKR_FUNCTION_FAILED;
    if (fake_p11.session_limit != 0 && fake_p11.open_sessions >= fake_p11.session_limit)
        return CKR_SESSION_COUNT;
    for (CK_SESSION_HANDLE i = 0; i < FAKE_SESSIONS_MAX; i++) {
        if (sessions[i].open)
            continue;
        sessions[i] = (struct session){true, read_write, slot};
        if (fake_p11.open_sessions++ == 0)
            fake_p11.opened_first = i + 1;
        if (fake_p11.open_sessions > fake_p11.most_sessions)
            fake_p11.most_sessions = fake_p11.open_sessions;
        *handle = i + 1;
        return CKR_OK;
    }
    return CKR_SESSION_COUNT;
}

static CK_RV
fake_open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify, CK_SESSION_HANDLE *handle)
{
    (void)application;
    (void)notify;
    (void)pthread_mutex_lock(&lock);
    if (++fake_p11.opening > fake_p11.most_opening)
        fake_p11.most_opening = fake_p11.opening;
    (void)pthread_mutex_unlock(&lock);
    CK_RV rv = enter(FAKE_OPEN_SESSION);
    (void)pthread_mutex_lock(&lock);
    fake_p11.opening--; /* so that two openings at once are seen, with a sleep */
    if (rv == CKR_OK)
        rv = open_session(slot, (flags & CKF_RW_SESSION) != 0, handle);
    (void)pthread_mutex_unlock(&lock);
    return rv;
}

static CK_RV
fake_close_session(CK_SESSION_HANDLE handle)
{
    ENTER(FAKE_CLOSE_SESSION);
    (void)pthread_mutex_lock(&lock);
    struct session *session = session_of(handle);
    if (session != NULL) {
        session->open = false;
        fake_p11.closed_last = handle;
        if (--fake_p11.open_sessions == 0)
            fake_p11.logged_in = false;
    }
    (void)pthread_mutex_unlock(&lock);
    return session != NULL ? CKR_OK : CKR_SESSION_HANDLE_INVALID;
}

static CK_RV
fake_get_session_info(CK_SESSION_HANDLE handle, CK_SESSION_INFO *info)
{
    ENTER(FAKE_GET_SESSION_INFO);
    memset(info, 0, sizeof *info);
    (void)pthread_mutex_lock(&lock);
    const struct session *session = session_of(handle);
    if (session != NULL && fake_p11.logged_in && !fake_p11.logins_untold)
        info->state = session->read_write ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS;
    else if (session != NULL)
        info->state = session->read_write ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION;
    (void)pthread_mutex_unlock(&lock);
    return session != NULL ? CKR_OK : CKR_SESSION_HANDLE_INVALID;
}

static CK_RV
fake_login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG pin_len)
{
    ENTER(FAKE_LOGIN);
    const struct session *session = session_of(handle);
    if (session == NULL)
        return CKR_SESSION_HANDLE_INVALID;
    struct fake_token *token = &fake_p11.tokens[session->slot];
    bool by_pinpad = pin == NULL && (token->flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0;
    fake_p11.pin_was_null = pin == NULL;
    if (!by_pinpad && !same_pin(user == CKU_SO ? token->so_pin : token->pin, pin, pin_len)) {
        token->flags |= token->flags_after_wrong_pin;
        return CKR_PIN_INCORRECT;
    }
    if (fake_p11.logged_in && user != CKU_CONTEXT_SPECIFIC)
        return CKR_USER_ALREADY_LOGGED_IN;
    token->flags &= ~token->flags_after_wrong_pin;
    fake_p11.logged_in = true;
    return CKR_OK;
}

static CK_RV
fake_logout(CK_SESSION_HANDLE handle)
{
    (void)handle;
    ENTER(FAKE_LOGOUT);
    fake_p11.logged_in = false;
    return CKR_OK;
}

/* ---- Objects ---- */

static const struct fake_attribute *
attribute_of(const struct fake_object *object, CK_ATTRIBUTE_TYPE type)
{
    for (size_t i = 0; i < object->attribute_count; i++)
        if (object->attributes[i].type == type)
            return &object->attributes[i];
    return NULL;
}

static bool
has_attribute(const struct fake_object *object, const CK_ATTRIBUTE *wanted)
{
    const struct fake_attribute *attribute = attribute_of(object, wanted->type);

    if (wanted->type == CKA_CLASS)
        return memcmp(&object->class, wanted->pValue, sizeof object->class) == 0;
    return attribute != NULL && attribute->len == wanted->ulValueLen &&
           memcmp(attribute->value, wanted->pValue, attribute->len) == 0;
}

static bool
fits_search(const struct fake_object *object)
{
    for (CK_ULONG i = 0; i < sought_count; i++)
        if (!has_attribute(object, &sought[i]))
            return false;
    return true;
}

/* The caller's template has to live as long as its search. */
static CK_RV
fake_find_objects_init(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *template, CK_ULONG count)
{
    (void)handle;
    ENTER(FAKE_FIND_OBJECTS_INIT);
    found_so_far = 0;
    sought_count = count < SOUGHT_MAX ? count : SOUGHT_MAX;
    for (CK_ULONG i = 0; i < sought_count; i++)
        sought[i] = template[i];
    return CKR_OK;
}

static CK_RV
fake_find_objects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *objects, CK_ULONG max, CK_ULONG *count)
{
    (void)handle;
    ENTER(FAKE_FIND_OBJECTS);
    for (*count = 0; *count < max && found_so_far < fake_p11.object_count; found_so_far++)
        if (fake_p11.objects == NULL || fits_search(&fake_p11.objects[found_so_far]))
            objects[(*count)++] = found_so_far + 1;
    return CKR_OK;
}

static CK_RV
fake_find_objects_final(CK_SESSION_HANDLE handle)
{
    (void)handle;
    ENTER(FAKE_FIND_OBJECTS_FINAL);
    return CKR_OK;
}

static CK_RV
give_attribute(const struct fake_object *object, CK_ATTRIBUTE *wanted)
{
    CK_ULONG room = wanted->ulValueLen;

    wanted->ulValueLen = CK_UNAVAILABLE_INFORMATION;
    const struct fake_attribute class = {CKA_CLASS, &object->class, sizeof object->class, CKR_OK};
    bool tells_class = wanted->type == CKA_CLASS && fake_p11.objects != NULL && !fake_p11.classes_untold;
    const struct fake_attribute *attribute = tells_class ? &class : attribute_of(object, wanted->type);
    if (attribute == NULL)
        return CKR_ATTRIBUTE_TYPE_INVALID;
    if (attribute->rv != CKR_OK)
        return attribute->rv;
    if (wanted->pValue != NULL && room < attribute->len)
        return CKR_BUFFER_TOO_SMALL;
    wanted->ulValueLen = attribute->len;
    if (wanted->pValue != NULL && attribute->len > 0)
        memcpy(wanted->pValue, attribute->value, attribute->len);
    return CKR_OK;
}

static CK_RV
fake_get_attribute_value(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, CK_ULONG count)
{
    const struct fake_object same_for_all = {.attributes = fake_p11.attributes,
                                             .attribute_count = fake_p11.attribute_count};
    const struct fake_object *from = fake_p11.objects != NULL ? &fake_p11.objects[object - 1] : &same_for_all;
    CK_RV rv = CKR_OK;

    (void)handle;
    fake_p11.asked_count = count;
    for (CK_ULONG i = 0; i < count && i < 64; i++)
        fake_p11.asked_for[i] = template[i].type;
    ENTER(FAKE_GET_ATTRIBUTE_VALUE);
    for (CK_ULONG i = 0; i < count; i++) {
        CK_ULONG before = template[i].ulValueLen;
        CK_RV one = give_attribute(from, &template[i]);
        bool partial = one == CKR_OK || one == CKR_ATTRIBUTE_SENSITIVE || one == CKR_ATTRIBUTE_TYPE_INVALID ||
                       one == CKR_BUFFER_TOO_SMALL;
        if (!partial) {
            template[i].ulValueLen = before;
            return one;
        }
        if (one != CKR_OK)
            rv = one;
    }
    return rv;
}

/* ---- Keys ---- */

static CK_RV
fake_sign_init(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    (void)handle;
    (void)mechanism;
    (void)key;
    ENTER(FAKE_SIGN_INIT);
    return CKR_OK;
}

static CK_RV
fake_sign(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature, CK_ULONG *signature_len)
{
    (void)handle;
    (void)data;
    (void)data_len;
    ENTER(FAKE_SIGN);
    bool fits = signature != NULL && fake_p11.signature_len <= *signature_len;
    *signature_len = fake_p11.signature_len;
    if (fits)
        memset(signature, 0x5a, fake_p11.signature_len);
    return fits || signature == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
}

static CK_RV
fake_generate_key_pair(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public_template,
                       CK_ULONG public_count, CK_ATTRIBUTE *private_template, CK_ULONG private_count,
                       CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
    (void)handle;
    (void)mechanism;
    (void)public_template;
    (void)public_count;
    (void)private_template;
    (void)private_count;
    ENTER(FAKE_GENERATE_KEY_PAIR);
    *public_key = 11;
    *private_key = 12;
    return CKR_OK;
}

/* What is not here (C_WrapKey, C_CopyObject, C_CloseAllSessions …) must never be called. */
static CK_FUNCTION_LIST functions = {
    .version = {2, 40},
    .C_Initialize = fake_initialize,
    .C_Finalize = fake_finalize,
    .C_GetInfo = fake_get_info,
    .C_GetSlotList = fake_get_slot_list,
    .C_GetSlotInfo = fake_get_slot_info,
    .C_GetTokenInfo = fake_get_token_info,
    .C_GetMechanismList = fake_get_mechanism_list,
    .C_InitToken = fake_init_token,
    .C_InitPIN = fake_init_pin,
    .C_OpenSession = fake_open_session,
    .C_CloseSession = fake_close_session,
    .C_GetSessionInfo = fake_get_session_info,
    .C_Login = fake_login,
    .C_Logout = fake_logout,
    .C_FindObjectsInit = fake_find_objects_init,
    .C_FindObjects = fake_find_objects,
    .C_FindObjectsFinal = fake_find_objects_final,
    .C_GetAttributeValue = fake_get_attribute_value,
    .C_SignInit = fake_sign_init,
    .C_Sign = fake_sign,
    .C_GenerateKeyPair = fake_generate_key_pair,
};

EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);
EXPORT CK_RV
C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    fake_p11.functions = &functions;
    *list = &functions;
    return CKR_OK;
}
