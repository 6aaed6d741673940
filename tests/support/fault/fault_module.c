/* A PKCS#11 module that stands in front of a real one and breaks it by rules.
 *
 *   HSMART_FAULT_MODULE        the real module
 *   HSMART_FAULT_RULES         a file of rules, read again whenever it changes; tests in the same process set them
 *                              directly (fault.h)
 *   HSMART_FAULT_LOG           optional: one line per intercepted call, "C_Sign 3 0x0"
 *   HSMART_FAULT_MANUFACTURER  optional: what the module and its tokens name as their manufacturer, so that no row of
 *                              the quirk table fits them
 *
 *   HSMART_FAULT_LIST          optional, for the next C_GetFunctionList: "fail", "null", "old" or "new" (version 2.1, or
 *                              3.1), or the name of a function that is left out
 *
 * A rule is a line "FUNCTION CALLS ACTION…". CALLS counts the calls of that function since the rules were last read:
 * "3", "2-5", "4-" or "*". Actions:
 *   rv=CODE       answer CODE (hex) without asking the real module
 *   after=CODE    ask the real module, then answer CODE all the same (a lost reply)
 *   sleep=MS      wait, then go on; with the others
 *   crash         abort the process
 *   crashafter    the same once the real module has answered
 *   logout        C_Logout on this session first
 *   closeall      C_CloseAllSessions first
 *   flip, zero    C_Sign: one bit of the signature, or all of it
 *   short, long   C_Sign: one byte less or more
 *   rawpoint      C_GetAttributeValue: CKA_EC_POINT without its OCTET STRING
 *   noattr=TYPE   C_GetAttributeValue: this attribute is not reported
 *   attrrv=CODE   with noattr: answered with this code instead of CKR_ATTRIBUTE_TYPE_INVALID
 *   hide=TYPE     C_GetMechanismList: this mechanism is left out; C_SignInit refuses it
 *   flags=BITS    C_GetTokenInfo: these flags are set, too
 *   sessions=N    C_GetTokenInfo: this many sessions are reported as the most there can be
 *   limit=N       C_OpenSession: CKR_SESSION_COUNT (or rv=CODE) while N are open
 *   length=N      C_Sign, with rv=0: a signature of this many bytes is said to be there
 *   noise         every output is random: counts and lengths of any size (never more is written than there is room
 *                 for), texts without an end, handles of nothing; and now and then any code
 *   rude          changes what belongs to the whole process: umask, locale, signals, errno
 *   count=N       C_GetSlotList, C_GetMechanismList, C_FindObjects: this many are reported
 *   grow          C_GetSlotList: one more than there was room for, at each call
 *   lie=TYPE      C_GetAttributeValue: this attribute's length is reported as attrlen=N, and nothing is written
 *   siglen=N      C_Sign: the signature is said to have N bytes
 *   texts=BYTE    C_GetInfo, C_GetSlotInfo, C_GetTokenInfo: every text is full of this byte
 *   chance=N      the rule only applies to one call in N, by a seeded generator
 *   seed=N        starts that generator
 *   child         the rule only applies in a process that was forked after the rules were set
 * "#" starts a comment. A line that is not understood aborts: a test whose fault never happens proves nothing. */
#define _GNU_SOURCE
#include "fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <locale.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RULES_MAX 64U
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum action_bits {
    DO_RV = 1 << 0,
    DO_AFTER = 1 << 1,
    DO_CRASH = 1 << 2,
    DO_LOGOUT = 1 << 3,
    DO_CLOSEALL = 1 << 4,
    DO_FLIP = 1 << 5,
    DO_ZERO = 1 << 6,
    DO_SHORT = 1 << 7,
    DO_LONG = 1 << 8,
    DO_RAWPOINT = 1 << 9,
    DO_NOATTR = 1 << 10,
    DO_HIDE = 1 << 11,
    DO_FLAGS = 1 << 12,
    DO_SESSIONS = 1 << 13,
    DO_LIMIT = 1 << 14,
    DO_CRASH_AFTER = 1 << 15,
    DO_LENGTH = 1 << 16,
    DO_IN_CHILD = 1 << 17,
    DO_NOISE = 1 << 18,
    DO_COUNT = 1 << 19,
    DO_GROW = 1 << 20,
    DO_LIE = 1 << 21,
    DO_SIGLEN = 1 << 22,
    DO_TEXTS = 1 << 23,
    DO_RUDE = 1 << 24,
};

struct rule {
    char function[40];
    unsigned long first, last;
    unsigned actions;
    unsigned long rv, sleep_ms, attribute, attribute_rv, mechanism, flags, sessions, limit, length, chance;
    unsigned long count, lie, attribute_len, signature_len, text_byte;
};

/* What a call has to do, by all the rules that fit it together. */
struct plan {
    unsigned actions;
    unsigned long rv, sleep_ms, attribute, attribute_rv, mechanism, flags, sessions, limit, length;
    unsigned long count, lie, attribute_len, signature_len, text_byte;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST broken;
static struct rule rules[RULES_MAX];
static size_t rule_count;
static struct timespec rules_changed;
static off_t rules_size = -1;
static ino_t rules_inode;
static pid_t rules_owner;
static bool rules_are_set; /* by hs_fault_set_rules: no file is read any more */
static atomic_long open_sessions;
static uint64_t generator = 1;
static struct {
    char function[40];
    unsigned long count;
} counters[80];

static void
give_up(const char *why, const char *what)
{
    fprintf(stderr, "fault module: %s: %s\n", why, what);
    abort();
}

static unsigned long
number_after(const char *word, const char *prefix)
{
    char *end = NULL;
    unsigned long number = strtoul(word + strlen(prefix), &end, 0);

    if (end == word + strlen(prefix) || *end != 0)
        give_up("not a number", word);
    return number;
}

static void
parse_calls(const char *word, struct rule *rule)
{
    char *end = NULL;

    rule->first = 1;
    rule->last = ~0UL;
    if (strcmp(word, "*") == 0)
        return;
    rule->first = rule->last = strtoul(word, &end, 10);
    if (*end == '-' && end[1] == 0)
        rule->last = ~0UL;
    else if (*end == '-')
        rule->last = strtoul(end + 1, &end, 10);
    else if (*end != 0)
        give_up("not a count of calls", word);
}

static void
parse_action(const char *word, struct rule *rule)
{
    static const struct {
        const char *word;
        unsigned bit;
    } flags[] = {{"crash", DO_CRASH}, {"logout", DO_LOGOUT},     {"closeall", DO_CLOSEALL},
                 {"flip", DO_FLIP},   {"zero", DO_ZERO},         {"short", DO_SHORT},
                 {"long", DO_LONG},   {"rawpoint", DO_RAWPOINT}, {"crashafter", DO_CRASH_AFTER},
                 {"child", DO_IN_CHILD}, {"noise", DO_NOISE},    {"grow", DO_GROW},
                 {"rude", DO_RUDE}};
    const struct {
        const char *prefix;
        unsigned bit;
        unsigned long *to;
    } numbers[] = {{"rv=", DO_RV, &rule->rv},
                   {"after=", DO_AFTER, &rule->rv},
                   {"sleep=", 0, &rule->sleep_ms},
                   {"noattr=", DO_NOATTR, &rule->attribute},
                   {"attrrv=", 0, &rule->attribute_rv},
                   {"hide=", DO_HIDE, &rule->mechanism},
                   {"flags=", DO_FLAGS, &rule->flags},
                   {"sessions=", DO_SESSIONS, &rule->sessions},
                   {"limit=", DO_LIMIT, &rule->limit},
                   {"chance=", 0, &rule->chance},
                   {"length=", DO_LENGTH, &rule->length},
                   {"count=", DO_COUNT, &rule->count},
                   {"lie=", DO_LIE, &rule->lie},
                   {"attrlen=", 0, &rule->attribute_len},
                   {"siglen=", DO_SIGLEN, &rule->signature_len},
                   {"texts=", DO_TEXTS, &rule->text_byte}};

    for (size_t i = 0; i < COUNT_OF(flags); i++) {
        if (strcmp(word, flags[i].word) == 0) {
            rule->actions |= flags[i].bit;
            return;
        }
    }
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        if (strncmp(word, numbers[i].prefix, strlen(numbers[i].prefix)) == 0) {
            *numbers[i].to = number_after(word, numbers[i].prefix);
            rule->actions |= numbers[i].bit;
            return;
        }
    }
    if (strncmp(word, "seed=", 5) == 0)
        generator = number_after(word, "seed=") | 1U;
    else
        give_up("unknown action", word);
}

static void
parse_rule(char *line)
{
    char *rest = NULL;
    char *comment = strchr(line, '#');
    if (comment != NULL)
        *comment = 0;
    char *word = strtok_r(line, " \t\r\n", &rest);

    if (word == NULL)
        return;
    if (rule_count == RULES_MAX)
        give_up("too many rules", word);
    struct rule *rule = &rules[rule_count++];
    *rule = (struct rule){.attribute_rv = CKR_ATTRIBUTE_TYPE_INVALID};
    (void)snprintf(rule->function, sizeof rule->function, "%s", word);
    word = strtok_r(NULL, " \t\r\n", &rest);
    if (word == NULL)
        give_up("no count of calls", rule->function);
    parse_calls(word, rule);
    while ((word = strtok_r(NULL, " \t\r\n", &rest)) != NULL)
        parse_action(word, rule);
}

/* Called with the lock held, at every intercepted call: one stat. */
static void
read_rules_when_changed(void)
{
    const char *path = getenv("HSMART_FAULT_RULES");
    struct stat status;
    char line[256];

    if (rules_are_set || path == NULL || stat(path, &status) != 0)
        return;
    if (status.st_size == rules_size && status.st_ino == rules_inode && status.st_mtim.tv_sec == rules_changed.tv_sec &&
        status.st_mtim.tv_nsec == rules_changed.tv_nsec)
        return;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    rules_changed = status.st_mtim;
    rules_size = status.st_size;
    rules_inode = status.st_ino;
    rule_count = 0;
    memset(counters, 0, sizeof counters);
    while (fgets(line, sizeof line, file) != NULL)
        parse_rule(line);
    (void)fclose(file);
}

void
hs_fault_set_rules(const char *text)
{
    char copy[4096], *rest = NULL;

    if (strlen(text) >= sizeof copy)
        give_up("too long", text);
    strcpy(copy, text);
    pthread_mutex_lock(&lock);
    rules_are_set = true;
    rules_owner = getpid();
    rule_count = 0;
    memset(counters, 0, sizeof counters);
    for (char *line = strtok_r(copy, "\n;", &rest); line != NULL; line = strtok_r(NULL, "\n;", &rest))
        parse_rule(line);
    pthread_mutex_unlock(&lock);
}

unsigned long
hs_fault_count_calls(const char *function)
{
    unsigned long count = 0;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < COUNT_OF(counters); i++)
        if (strcmp(counters[i].function, function) == 0)
            count = counters[i].count;
    pthread_mutex_unlock(&lock);
    return count;
}

long
hs_fault_open_sessions(void)
{
    return atomic_load(&open_sessions);
}

static unsigned long
count_call(const char *function)
{
    for (size_t i = 0; i < COUNT_OF(counters); i++) {
        if (counters[i].function[0] == 0)
            (void)snprintf(counters[i].function, sizeof counters[i].function, "%s", function);
        if (strcmp(counters[i].function, function) == 0)
            return ++counters[i].count;
    }
    give_up("too many functions", function);
    return 0;
}

/* With the lock held. */
static uint64_t
next_random(void)
{
    generator ^= generator << 13;
    generator ^= generator >> 7;
    generator ^= generator << 17;
    return generator;
}

static bool
chance_strikes(const struct rule *rule)
{
    return rule->chance == 0 || next_random() % rule->chance == 0;
}

static void
log_call(const char *function, unsigned long call, const struct plan *plan)
{
    const char *path = getenv("HSMART_FAULT_LOG");
    FILE *file = path != NULL ? fopen(path, "ae") : NULL;

    if (file == NULL)
        return;
    fprintf(file, "%s %lu 0x%x\n", function, call, plan->actions);
    (void)fclose(file);
}

/* As modules were seen to be: YubiHSM's changes the state of getopt, others print, or set what suits them. */
static void
be_rude(void)
{
    (void)umask(0);
    (void)setlocale(LC_ALL, "de_DE.UTF-8");
    (void)setlocale(LC_ALL, "");
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGTERM, SIG_IGN);
    optind = 77;
    errno = EDOM;
}

static struct plan
plan_call(const char *function)
{
    struct plan plan = {.attribute_rv = CKR_ATTRIBUTE_TYPE_INVALID};

    pthread_mutex_lock(&lock);
    read_rules_when_changed();
    unsigned long call = count_call(function);
    for (size_t i = 0; i < rule_count; i++) {
        const struct rule *rule = &rules[i];
        if (strcmp(rule->function, function) != 0 || call < rule->first || call > rule->last || !chance_strikes(rule) ||
            ((rule->actions & DO_IN_CHILD) && getpid() == rules_owner))
            continue;
        plan.actions |= rule->actions;
        if (rule->actions & (DO_RV | DO_AFTER))
            plan.rv = rule->rv;
        plan.sleep_ms += rule->sleep_ms;
        if (rule->actions & DO_NOATTR) {
            plan.attribute = rule->attribute;
            plan.attribute_rv = rule->attribute_rv;
        }
        if (rule->actions & DO_HIDE)
            plan.mechanism = rule->mechanism;
        if (rule->actions & DO_LIMIT)
            plan.limit = rule->limit;
        if (rule->actions & DO_LENGTH)
            plan.length = rule->length;
        if (rule->actions & DO_SESSIONS)
            plan.sessions = rule->sessions;
        plan.flags |= rule->flags;
        if (rule->actions & DO_COUNT)
            plan.count = rule->count;
        if (rule->actions & DO_LIE) {
            plan.lie = rule->lie;
            plan.attribute_len = rule->attribute_len;
        }
        if (rule->actions & DO_SIGLEN)
            plan.signature_len = rule->signature_len;
        if (rule->actions & DO_TEXTS)
            plan.text_byte = rule->text_byte;
    }
    log_call(function, call, &plan);
    pthread_mutex_unlock(&lock);
    if (plan.sleep_ms != 0) {
        struct timespec rest = {(time_t)(plan.sleep_ms / 1000), (long)(plan.sleep_ms % 1000) * 1000000};
        (void)nanosleep(&rest, NULL);
    }
    if (plan.actions & DO_CRASH)
        abort();
    if (plan.actions & DO_RUDE)
        be_rude();
    return plan;
}

/* Held by everybody who is inside the real module, and alone by who disturbs the others: SoftHSM2 2.6.1 crashes when all
 * sessions are closed while a C_Sign is under way. What is shown is what others do between two calls. */
static pthread_rwlock_t inside = PTHREAD_RWLOCK_INITIALIZER;

#define REAL(call) (pthread_rwlock_rdlock(&inside), leave(real->call))

static CK_RV
leave(CK_RV rv)
{
    (void)pthread_rwlock_unlock(&inside);
    return rv;
}

static void
disturb(const struct plan *plan, CK_SESSION_HANDLE session)
{
    CK_SESSION_INFO info;

    if (!(plan->actions & (DO_LOGOUT | DO_CLOSEALL)))
        return;
    (void)pthread_rwlock_wrlock(&inside);
    if (plan->actions & DO_LOGOUT)
        (void)real->C_Logout(session);
    if ((plan->actions & DO_CLOSEALL) && real->C_GetSessionInfo(session, &info) == CKR_OK &&
        real->C_CloseAllSessions(info.slotID) == CKR_OK)
        atomic_store(&open_sessions, 0);
    (void)pthread_rwlock_unlock(&inside);
}

/* ---- Noise: what a module may answer within the memory that it was given ---- */

static uint64_t
noise(void)
{
    (void)pthread_mutex_lock(&lock);
    uint64_t number = next_random() >> 8;
    (void)pthread_mutex_unlock(&lock);
    return number;
}

static void
noise_bytes(void *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = (uint8_t)noise();
}

/* A count or a length: often nearly right, sometimes absurd. */
static CK_ULONG
noise_number(CK_ULONG right)
{
    static const CK_ULONG odd[] = {0, 1, 2, 63, 65, 4096, 4097, 65536, 0x7fffffff, 0x80000000, 0xffffffff,
                                   ~0UL >> 1, ~0UL - 1, ~0UL};
    uint64_t which = noise() % 32;

    if (which < COUNT_OF(odd))
        return odd[which];
    return which < 20 ? right + 1 : which < 24 && right > 0 ? right - 1 : right;
}

static CK_RV
noise_rv(CK_RV right)
{
    static const CK_RV odd[] = {CKR_BUFFER_TOO_SMALL, CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_SENSITIVE, CKR_DEVICE_ERROR,
                                CKR_SESSION_HANDLE_INVALID, CKR_GENERAL_ERROR, CKR_USER_ALREADY_LOGGED_IN, 0x8000beefUL,
                                0x12345678UL, CKR_TOKEN_NOT_PRESENT, CKR_HOST_MEMORY, CKR_OPERATION_ACTIVE};
    uint64_t which = noise() % 64;

    return which < COUNT_OF(odd) ? odd[which] : right;
}

/* `*count` of them are there; at most `room` may be written. */
static CK_RV
noise_list(CK_ULONG *list, CK_ULONG room, CK_ULONG *count, CK_RV rv)
{
    for (CK_ULONG i = 0; list != NULL && i < room; i++)
        if (noise() % 4 == 0)
            list[i] = (CK_ULONG)noise();
    *count = noise_number(*count);
    return noise_rv(rv);
}

static CK_RV
noise_attributes(CK_ATTRIBUTE *template, const CK_ULONG *rooms, CK_ULONG count, CK_RV rv)
{
    for (CK_ULONG i = 0; i < count; i++) {
        if (noise() % 3 != 0)
            continue;
        if (template[i].pValue != NULL && noise() % 2 == 0)
            noise_bytes(template[i].pValue, rooms[i]);
        template[i].ulValueLen = noise_number(template[i].ulValueLen);
    }
    return noise_rv(rv);
}

/* A function that is only failed, slowed or disturbed: the real call between two ifs. */
#define BREAK(name, parameters, arguments, session)                                                                    \
    static CK_RV broken_##name parameters                                                                              \
    {                                                                                                                  \
        struct plan plan = plan_call(#name);                                                                           \
        disturb(&plan, session);                                                                                       \
        if (plan.actions & DO_RV)                                                                                      \
            return plan.rv;                                                                                            \
        CK_RV rv = REAL(name arguments);                                                                              \
        if (plan.actions & DO_CRASH_AFTER)                                                                             \
            abort();                                                                                                   \
        if (plan.actions & DO_NOISE)                                                                                   \
            rv = noise_rv(rv);                                                                                         \
        return (plan.actions & DO_AFTER) ? plan.rv : rv;                                                               \
    }

BREAK(C_Initialize, (void *args), (args), 0)
BREAK(C_InitToken, (CK_SLOT_ID slot, CK_UTF8CHAR *pin, CK_ULONG len, CK_UTF8CHAR *label), (slot, pin, len, label), 0)
BREAK(C_InitPIN, (CK_SESSION_HANDLE session, CK_UTF8CHAR *pin, CK_ULONG len), (session, pin, len), session)
BREAK(C_Login, (CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len),
      (session, user, pin, len), session)
BREAK(C_Logout, (CK_SESSION_HANDLE session), (session), 0)
BREAK(C_FindObjectsInit, (CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG count),
      (session, template, count), session)
BREAK(C_FindObjectsFinal, (CK_SESSION_HANDLE session), (session), session)
BREAK(C_GenerateKeyPair,
      (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public_template, CK_ULONG public_count,
       CK_ATTRIBUTE *private_template, CK_ULONG private_count, CK_OBJECT_HANDLE *public_key,
       CK_OBJECT_HANDLE *private_key),
      (session, mechanism, public_template, public_count, private_template, private_count, public_key, private_key),
      session)
BREAK(C_DestroyObject, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object), (session, object), session)

static CK_RV
broken_C_GetSlotList(CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count)
{
    struct plan plan = plan_call("C_GetSlotList");
    CK_ULONG room = slots != NULL ? *count : 0;

    if (plan.actions & DO_RV)
        return plan.rv;
    CK_RV rv = REAL(C_GetSlotList(present, slots, count));
    if (plan.actions & DO_NOISE)
        return noise_list(slots, room, count, rv);
    if (plan.actions & DO_COUNT)
        *count = plan.count;
    if ((plan.actions & DO_GROW) && slots != NULL) {
        *count = room + 1;
        return CKR_BUFFER_TOO_SMALL;
    }
    return (plan.actions & DO_AFTER) ? plan.rv : rv;
}

static CK_RV
broken_C_FindObjects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *objects, CK_ULONG max, CK_ULONG *count)
{
    struct plan plan = plan_call("C_FindObjects");

    disturb(&plan, session);
    if (plan.actions & DO_RV)
        return plan.rv;
    CK_RV rv = REAL(C_FindObjects(session, objects, max, count));
    if (plan.actions & DO_CRASH_AFTER)
        abort();
    if (plan.actions & DO_NOISE)
        return noise_list(objects, max, count, rv);
    if (plan.actions & DO_COUNT)
        *count = plan.count;
    return (plan.actions & DO_AFTER) ? plan.rv : rv;
}

static CK_RV
broken_C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO *info)
{
    struct plan plan = plan_call("C_GetSlotInfo");

    if (plan.actions & DO_RV)
        return plan.rv;
    CK_RV rv = REAL(C_GetSlotInfo(slot, info));
    if (plan.actions & DO_NOISE) {
        noise_bytes(info, sizeof *info);
        return noise_rv(rv);
    }
    if (plan.actions & DO_TEXTS) {
        memset(info->slotDescription, (int)plan.text_byte, sizeof info->slotDescription);
        memset(info->manufacturerID, (int)plan.text_byte, sizeof info->manufacturerID);
    }
    return (plan.actions & DO_AFTER) ? plan.rv : rv;
}

static CK_RV
broken_C_GetSessionInfo(CK_SESSION_HANDLE session, CK_SESSION_INFO *info)
{
    struct plan plan = plan_call("C_GetSessionInfo");

    disturb(&plan, session);
    if (plan.actions & DO_RV)
        return plan.rv;
    CK_RV rv = REAL(C_GetSessionInfo(session, info));
    if (plan.actions & DO_NOISE) {
        noise_bytes(info, sizeof *info);
        return noise_rv(rv);
    }
    return (plan.actions & DO_AFTER) ? plan.rv : rv;
}

static CK_RV
broken_C_Finalize(void *reserved)
{
    struct plan plan = plan_call("C_Finalize");

    if (plan.actions & DO_RV)
        return plan.rv;
    CK_RV rv = REAL(C_Finalize(reserved));
    if (rv == CKR_OK)
        atomic_store(&open_sessions, 0);
    return (plan.actions & DO_AFTER) ? plan.rv : rv;
}

static CK_RV
broken_C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void *application, CK_NOTIFY notify, CK_SESSION_HANDLE *session)
{
    struct plan plan = plan_call("C_OpenSession");

    if ((plan.actions & DO_LIMIT) && atomic_load(&open_sessions) >= (long)plan.limit)
        return (plan.actions & DO_RV) ? plan.rv : CKR_SESSION_COUNT;
    if ((plan.actions & DO_RV) && !(plan.actions & DO_LIMIT))
        return plan.rv;
    CK_RV rv = REAL(C_OpenSession(slot, flags, application, notify, session));
    if (rv == CKR_OK)
        atomic_fetch_add(&open_sessions, 1);
    if ((plan.actions & DO_NOISE) && rv == CKR_OK) {
        rv = noise_rv(rv);
        if (noise() % 4 == 0) {
            (void)real->C_CloseSession(*session);
            *session = (CK_SESSION_HANDLE)noise();
        }
    }
    return (plan.actions & DO_AFTER) ? plan.rv : rv;
}

static CK_RV
broken_C_CloseSession(CK_SESSION_HANDLE session)
{
    struct plan plan = plan_call("C_CloseSession");

    if (plan.actions & DO_RV)
        return plan.rv;
    CK_RV rv = REAL(C_CloseSession(session));
    if (rv == CKR_OK)
        atomic_fetch_sub(&open_sessions, 1);
    return (plan.actions & DO_AFTER) ? plan.rv : rv;
}

static void
disguise(CK_UTF8CHAR *manufacturer, size_t len)
{
    const char *name = getenv("HSMART_FAULT_MANUFACTURER");
    size_t name_len = name != NULL ? strlen(name) : 0;

    if (name == NULL)
        return;
    memset(manufacturer, ' ', len);
    memcpy(manufacturer, name, name_len < len ? name_len : len);
}

static CK_RV
broken_C_GetInfo(CK_INFO *info)
{
    struct plan plan = plan_call("C_GetInfo");

    if (plan.actions & DO_RV)
        return plan.rv;
    CK_RV rv = REAL(C_GetInfo(info));
    if (rv == CKR_OK)
        disguise(info->manufacturerID, sizeof info->manufacturerID);
    if (plan.actions & DO_NOISE) {
        noise_bytes(info, sizeof *info);
        return noise_rv(rv);
    }
    if (plan.actions & DO_TEXTS) {
        memset(info->manufacturerID, (int)plan.text_byte, sizeof info->manufacturerID);
        memset(info->libraryDescription, (int)plan.text_byte, sizeof info->libraryDescription);
    }
    return (plan.actions & DO_AFTER) ? plan.rv : rv;
}

static CK_RV
broken_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
    struct plan plan = plan_call("C_GetTokenInfo");

    if (plan.actions & DO_RV)
        return plan.rv;
    CK_RV rv = REAL(C_GetTokenInfo(slot, info));
    if (rv == CKR_OK) {
        disguise(info->manufacturerID, sizeof info->manufacturerID);
        info->flags |= plan.flags;
        if (plan.actions & DO_SESSIONS)
            info->ulMaxSessionCount = plan.sessions;
    }
    if (plan.actions & DO_NOISE) { /* the flags stay: they alone say whether a PIN is tried */
        CK_FLAGS right = info->flags;
        noise_bytes(info, sizeof *info);
        info->flags = noise() % 4 == 0 ? (CK_FLAGS)noise() : right;
        return noise_rv(rv);
    }
    if (plan.actions & DO_TEXTS) {
        memset(info->label, (int)plan.text_byte, sizeof info->label);
        memset(info->manufacturerID, (int)plan.text_byte, sizeof info->manufacturerID);
        memset(info->model, (int)plan.text_byte, sizeof info->model);
        memset(info->serialNumber, (int)plan.text_byte, sizeof info->serialNumber);
        memset(info->utcTime, (int)plan.text_byte, sizeof info->utcTime);
    }
    return (plan.actions & DO_AFTER) ? plan.rv : rv;
}

static CK_RV
broken_C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE *types, CK_ULONG *count)
{
    struct plan plan = plan_call("C_GetMechanismList");
    CK_ULONG room = types != NULL ? *count : 0;

    if (plan.actions & DO_RV)
        return plan.rv;
    CK_RV rv = REAL(C_GetMechanismList(slot, types, count));
    if (plan.actions & DO_NOISE)
        return noise_list(types, room, count, rv);
    if (plan.actions & DO_COUNT)
        *count = plan.count;
    if (rv != CKR_OK || types == NULL || !(plan.actions & DO_HIDE))
        return rv;
    CK_ULONG kept = 0;
    for (CK_ULONG i = 0; i < *count; i++)
        if (types[i] != plan.mechanism)
            types[kept++] = types[i];
    *count = kept;
    return rv;
}

static CK_RV
broken_C_SignInit(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    struct plan plan = plan_call("C_SignInit");

    disturb(&plan, session);
    if (plan.actions & DO_RV)
        return plan.rv;
    if ((plan.actions & DO_HIDE) && mechanism->mechanism == plan.mechanism)
        return CKR_MECHANISM_INVALID;
    CK_RV rv = REAL(C_SignInit(session, mechanism, key));
    return (plan.actions & DO_AFTER) ? plan.rv : rv;
}

static void
spoil_signature(const struct plan *plan, CK_BYTE *signature, CK_ULONG *len)
{
    if (plan->actions & DO_FLIP)
        signature[*len / 2] ^= 0x10;
    if (plan->actions & DO_ZERO)
        memset(signature, 0, *len);
    if (plan->actions & DO_SHORT)
        (*len)--;
    if (plan->actions & DO_LONG)
        signature[(*len)++] = 0;
}

static CK_RV
broken_C_Sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_len, CK_BYTE *signature, CK_ULONG *len)
{
    struct plan plan = plan_call("C_Sign");
    CK_ULONG room = signature != NULL ? *len : 0;

    disturb(&plan, session);
    if ((plan.actions & DO_LENGTH) && plan.length <= *len)
        *len = plan.length;
    if (plan.actions & DO_RV)
        return plan.rv;
    CK_RV rv = REAL(C_Sign(session, data, data_len, signature, len));
    if (plan.actions & DO_CRASH_AFTER)
        abort();
    if (rv == CKR_OK && signature != NULL)
        spoil_signature(&plan, signature, len);
    if (plan.actions & DO_SIGLEN)
        *len = plan.signature_len;
    if (plan.actions & DO_NOISE) {
        if (noise() % 2 == 0)
            noise_bytes(signature, room);
        *len = noise_number(*len);
        return noise_rv(rv);
    }
    return (plan.actions & DO_AFTER) ? plan.rv : rv;
}

/* The bare point of some tokens: the OCTET STRING's header is cut off. */
static void
strip_octet_string(CK_ATTRIBUTE *attribute)
{
    uint8_t *value = attribute->pValue;
    CK_ULONG header = attribute->ulValueLen > 2 && value != NULL && value[1] == 0x81 ? 3 : 2;

    if (attribute->ulValueLen == CK_UNAVAILABLE_INFORMATION || attribute->ulValueLen < 65)
        return;
    if (value != NULL)
        memmove(value, value + header, attribute->ulValueLen - header);
    attribute->ulValueLen -= header;
}

static CK_RV
broken_C_GetAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, CK_ULONG count)
{
    struct plan plan = plan_call("C_GetAttributeValue");
    CK_ULONG rooms[64] = {0};

    disturb(&plan, session);
    if (plan.actions & DO_RV)
        return plan.rv;
    for (CK_ULONG i = 0; i < count && i < COUNT_OF(rooms); i++)
        rooms[i] = template[i].pValue != NULL ? template[i].ulValueLen : 0;
    CK_RV rv = REAL(C_GetAttributeValue(session, object, template, count));
    for (CK_ULONG i = 0; i < count; i++) {
        if ((plan.actions & DO_RAWPOINT) && template[i].type == CKA_EC_POINT)
            strip_octet_string(&template[i]);
        if ((plan.actions & DO_NOATTR) && template[i].type == plan.attribute) {
            template[i].ulValueLen = CK_UNAVAILABLE_INFORMATION;
            rv = plan.attribute_rv;
        }
        if ((plan.actions & DO_LIE) && template[i].type == plan.lie)
            template[i].ulValueLen = plan.attribute_len;
    }
    if ((plan.actions & DO_NOISE) && count <= COUNT_OF(rooms))
        return noise_attributes(template, rooms, count, rv);
    return (plan.actions & DO_AFTER) ? plan.rv : rv;
}

/* The list, or what HSMART_FAULT_LIST makes of it. */
static CK_RV
give_list(CK_FUNCTION_LIST **list)
{
    static CK_FUNCTION_LIST odd;
    static const struct {
        const char *name;
        size_t offset;
    } functions[] = {
#define AT(name) {#name, offsetof(CK_FUNCTION_LIST, name)}
        AT(C_Initialize),        AT(C_Finalize),      AT(C_GetInfo),         AT(C_GetSlotList),
        AT(C_GetSlotInfo),       AT(C_GetTokenInfo),  AT(C_GetMechanismList), AT(C_OpenSession),
        AT(C_CloseSession),      AT(C_GetSessionInfo), AT(C_Login),          AT(C_FindObjectsInit),
        AT(C_FindObjects),       AT(C_FindObjectsFinal), AT(C_GetAttributeValue), AT(C_SignInit),
        AT(C_Sign),              AT(C_GenerateKeyPair), AT(C_InitToken),     AT(C_InitPIN),
        AT(C_DestroyObject),     AT(C_Logout),        AT(C_WaitForSlotEvent), AT(C_WrapKey),
    };
    const char *how = getenv("HSMART_FAULT_LIST");

    *list = &broken;
    if (how == NULL)
        return CKR_OK;
    if (strcmp(how, "fail") == 0)
        return CKR_GENERAL_ERROR;
    odd = broken;
    *list = strcmp(how, "null") == 0 ? NULL : &odd;
    if (strcmp(how, "old") == 0)
        odd.version = (CK_VERSION){2, 1};
    if (strcmp(how, "new") == 0)
        odd.version = (CK_VERSION){3, 1};
    for (size_t i = 0; i < COUNT_OF(functions); i++)
        if (strcmp(how, functions[i].name) == 0)
            memset((char *)&odd + functions[i].offset, 0, sizeof(void *));
    return CKR_OK;
}

__attribute__((visibility("default"))) CK_RV
C_GetFunctionList(CK_FUNCTION_LIST **list)
{
    const char *path = getenv("HSMART_FAULT_MODULE");

    pthread_mutex_lock(&lock);
    if (real == NULL) {
        void *module = path != NULL ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
        if (module == NULL)
            give_up("cannot load HSMART_FAULT_MODULE", path != NULL ? dlerror() : "not set");
        CK_C_GetFunctionList get = NULL;
        *(void **)&get = dlsym(module, "C_GetFunctionList");
        if (get == NULL || get(&real) != CKR_OK)
            give_up("no C_GetFunctionList in", path);
        broken = *real;
#define USE(name) broken.name = broken_##name
        USE(C_Initialize);
        USE(C_Finalize);
        USE(C_GetInfo);
        broken.C_GetFunctionList = C_GetFunctionList;
        USE(C_GetSlotList);
        USE(C_GetSlotInfo);
        USE(C_GetTokenInfo);
        USE(C_GetMechanismList);
        USE(C_InitToken);
        USE(C_InitPIN);
        USE(C_OpenSession);
        USE(C_CloseSession);
        USE(C_GetSessionInfo);
        USE(C_Login);
        USE(C_Logout);
        USE(C_FindObjectsInit);
        USE(C_FindObjects);
        USE(C_FindObjectsFinal);
        USE(C_GetAttributeValue);
        USE(C_SignInit);
        USE(C_Sign);
        USE(C_GenerateKeyPair);
        USE(C_DestroyObject);
    }
    pthread_mutex_unlock(&lock);
    return give_list(list);
}
