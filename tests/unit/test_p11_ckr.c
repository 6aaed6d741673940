/* The table of answers: complete, sorted, and told in words. */
#include <stdlib.h>

#include "err.h"
#include "file.h"
#include "p11_ckr.h"
#include "p11_recover.h"
#include "rows.h"

/* Every CKR_ of PKCS#11 2.40 and 3.0, by the numbers of the standard, typed independently of the table. */
static const struct {
    const char *name;
    CK_RV rv;
} standard[] = {
    {"CKR_OK", 0x0},
    {"CKR_CANCEL", 0x1},
    {"CKR_HOST_MEMORY", 0x2},
    {"CKR_SLOT_ID_INVALID", 0x3},
    {"CKR_GENERAL_ERROR", 0x5},
    {"CKR_FUNCTION_FAILED", 0x6},
    {"CKR_ARGUMENTS_BAD", 0x7},
    {"CKR_NO_EVENT", 0x8},
    {"CKR_NEED_TO_CREATE_THREADS", 0x9},
    {"CKR_CANT_LOCK", 0xa},
    {"CKR_ATTRIBUTE_READ_ONLY", 0x10},
    {"CKR_ATTRIBUTE_SENSITIVE", 0x11},
    {"CKR_ATTRIBUTE_TYPE_INVALID", 0x12},
    {"CKR_ATTRIBUTE_VALUE_INVALID", 0x13},
    {"CKR_ACTION_PROHIBITED", 0x1b},
    {"CKR_DATA_INVALID", 0x20},
    {"CKR_DATA_LEN_RANGE", 0x21},
    {"CKR_DEVICE_ERROR", 0x30},
    {"CKR_DEVICE_MEMORY", 0x31},
    {"CKR_DEVICE_REMOVED", 0x32},
    {"CKR_ENCRYPTED_DATA_INVALID", 0x40},
    {"CKR_ENCRYPTED_DATA_LEN_RANGE", 0x41},
    {"CKR_AEAD_DECRYPT_FAILED", 0x42},
    {"CKR_FUNCTION_CANCELED", 0x50},
    {"CKR_FUNCTION_NOT_PARALLEL", 0x51},
    {"CKR_FUNCTION_NOT_SUPPORTED", 0x54},
    {"CKR_KEY_HANDLE_INVALID", 0x60},
    {"CKR_KEY_SIZE_RANGE", 0x62},
    {"CKR_KEY_TYPE_INCONSISTENT", 0x63},
    {"CKR_KEY_NOT_NEEDED", 0x64},
    {"CKR_KEY_CHANGED", 0x65},
    {"CKR_KEY_NEEDED", 0x66},
    {"CKR_KEY_INDIGESTIBLE", 0x67},
    {"CKR_KEY_FUNCTION_NOT_PERMITTED", 0x68},
    {"CKR_KEY_NOT_WRAPPABLE", 0x69},
    {"CKR_KEY_UNEXTRACTABLE", 0x6a},
    {"CKR_MECHANISM_INVALID", 0x70},
    {"CKR_MECHANISM_PARAM_INVALID", 0x71},
    {"CKR_OBJECT_HANDLE_INVALID", 0x82},
    {"CKR_OPERATION_ACTIVE", 0x90},
    {"CKR_OPERATION_NOT_INITIALIZED", 0x91},
    {"CKR_PIN_INCORRECT", 0xa0},
    {"CKR_PIN_INVALID", 0xa1},
    {"CKR_PIN_LEN_RANGE", 0xa2},
    {"CKR_PIN_EXPIRED", 0xa3},
    {"CKR_PIN_LOCKED", 0xa4},
    {"CKR_SESSION_CLOSED", 0xb0},
    {"CKR_SESSION_COUNT", 0xb1},
    {"CKR_SESSION_HANDLE_INVALID", 0xb3},
    {"CKR_SESSION_PARALLEL_NOT_SUPPORTED", 0xb4},
    {"CKR_SESSION_READ_ONLY", 0xb5},
    {"CKR_SESSION_EXISTS", 0xb6},
    {"CKR_SESSION_READ_ONLY_EXISTS", 0xb7},
    {"CKR_SESSION_READ_WRITE_SO_EXISTS", 0xb8},
    {"CKR_SIGNATURE_INVALID", 0xc0},
    {"CKR_SIGNATURE_LEN_RANGE", 0xc1},
    {"CKR_TEMPLATE_INCOMPLETE", 0xd0},
    {"CKR_TEMPLATE_INCONSISTENT", 0xd1},
    {"CKR_TOKEN_NOT_PRESENT", 0xe0},
    {"CKR_TOKEN_NOT_RECOGNIZED", 0xe1},
    {"CKR_TOKEN_WRITE_PROTECTED", 0xe2},
    {"CKR_UNWRAPPING_KEY_HANDLE_INVALID", 0xf0},
    {"CKR_UNWRAPPING_KEY_SIZE_RANGE", 0xf1},
    {"CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT", 0xf2},
    {"CKR_USER_ALREADY_LOGGED_IN", 0x100},
    {"CKR_USER_NOT_LOGGED_IN", 0x101},
    {"CKR_USER_PIN_NOT_INITIALIZED", 0x102},
    {"CKR_USER_TYPE_INVALID", 0x103},
    {"CKR_USER_ANOTHER_ALREADY_LOGGED_IN", 0x104},
    {"CKR_USER_TOO_MANY_TYPES", 0x105},
    {"CKR_WRAPPED_KEY_INVALID", 0x110},
    {"CKR_WRAPPED_KEY_LEN_RANGE", 0x112},
    {"CKR_WRAPPING_KEY_HANDLE_INVALID", 0x113},
    {"CKR_WRAPPING_KEY_SIZE_RANGE", 0x114},
    {"CKR_WRAPPING_KEY_TYPE_INCONSISTENT", 0x115},
    {"CKR_RANDOM_SEED_NOT_SUPPORTED", 0x120},
    {"CKR_RANDOM_NO_RNG", 0x121},
    {"CKR_DOMAIN_PARAMS_INVALID", 0x130},
    {"CKR_CURVE_NOT_SUPPORTED", 0x140},
    {"CKR_BUFFER_TOO_SMALL", 0x150},
    {"CKR_SAVED_STATE_INVALID", 0x160},
    {"CKR_INFORMATION_SENSITIVE", 0x170},
    {"CKR_STATE_UNSAVEABLE", 0x180},
    {"CKR_CRYPTOKI_NOT_INITIALIZED", 0x190},
    {"CKR_CRYPTOKI_ALREADY_INITIALIZED", 0x191},
    {"CKR_MUTEX_BAD", 0x1a0},
    {"CKR_MUTEX_NOT_LOCKED", 0x1a1},
    {"CKR_NEW_PIN_MODE", 0x1b0},
    {"CKR_NEXT_OTP", 0x1b1},
    {"CKR_EXCEEDED_MAX_ITERATIONS", 0x1b5},
    {"CKR_FIPS_SELF_TEST_FAILED", 0x1b6},
    {"CKR_LIBRARY_LOAD_FAILED", 0x1b7},
    {"CKR_PIN_TOO_WEAK", 0x1b8},
    {"CKR_PUBLIC_KEY_INVALID", 0x1b9},
    {"CKR_FUNCTION_REJECTED", 0x200},
    {"CKR_TOKEN_RESOURCE_EXCEEDED", 0x201},
    {"CKR_OPERATION_CANCEL_FAILED", 0x202},
};

static void
every_code_of_the_standard_has_a_row_of_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < HS_ARRAY_LEN(standard); i++) {
        const struct hs_ckr_row *row = hs_ckr_row_of(standard[i].rv);
        if (row->name == NULL)
            fail_msg("%s has no row", standard[i].name);
        assert_string_equal(row->name, standard[i].name);
    }
}

static void
every_code_that_the_header_numbers_otherwise_has_a_row_too(void **state)
{
    static const CK_RV by_header[] = {CKR_EXCEEDED_MAX_ITERATIONS, CKR_FIPS_SELF_TEST_FAILED, CKR_LIBRARY_LOAD_FAILED,
                                      CKR_PIN_TOO_WEAK, CKR_PUBLIC_KEY_INVALID};

    (void)state;
    for (size_t i = 0; i < HS_ARRAY_LEN(by_header); i++)
        assert_non_null(hs_ckr_row_of(by_header[i])->name);
}

static void
the_rows_are_sorted_without_duplicates_and_have_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < hs_ckr_row_count; i++) {
        assert_true(i == 0 || hs_ckr_rows[i - 1].rv < hs_ckr_rows[i].rv);
        assert_true(hs_ckr_rows[i].words[0] != 0);
        assert_true(hs_ckr_rows[i].class <= HS_CKR_SICK);
    }
}

static struct answer {
    const char *name;
    CK_RV rv;
    enum hs_ckr_class class;
    enum hsmart_code code;
    const char *text;
} answers[] = {
    {"a lost session", CKR_SESSION_HANDLE_INVALID, HS_CKR_SESSION, HSMART_SESSION_LOST,
     "the token answered CKR_SESSION_HANDLE_INVALID (session lost)"},
    {"an unplugged token", CKR_DEVICE_REMOVED, HS_CKR_DEVICE, HSMART_TOKEN_ABSENT,
     "the token answered CKR_DEVICE_REMOVED (token unplugged)"},
    {"a wrong PIN", CKR_PIN_INCORRECT, HS_CKR_PIN_WRONG, HSMART_PIN_REFUSED,
     "the token answered CKR_PIN_INCORRECT (wrong PIN)"},
    {"a locked PIN", CKR_PIN_LOCKED, HS_CKR_PIN_STATE, HSMART_PIN_LOCKED,
     "the token answered CKR_PIN_LOCKED (PIN locked)"},
    {"no session free", CKR_SESSION_COUNT, HS_CKR_CAPACITY, HSMART_TOKEN_BUSY,
     "the token answered CKR_SESSION_COUNT (no free session)"},
    {"a mechanism that it has not", CKR_MECHANISM_INVALID, HS_CKR_CAPABILITY, HSMART_TOKEN_INCAPABLE,
     "the token answered CKR_MECHANISM_INVALID (mechanism not available for this key)"},
    {"no token in the slot", CKR_TOKEN_NOT_PRESENT, HS_CKR_DEVICE, HSMART_TOKEN_ABSENT,
     "the token answered CKR_TOKEN_NOT_PRESENT (no token in the slot)"},
    {"a vendor's code", 0x80001234UL, HS_CKR_DEVICE, HSMART_TOKEN_FAILED,
     "the token answered 0x80001234 (vendor-defined)"},
    {"the largest code", ~0UL, HS_CKR_DEVICE, HSMART_TOKEN_FAILED,
     "the token answered 0xffffffffffffffff (vendor-defined)"},
    {"a code that nobody knows", 0x4711, HS_CKR_DEVICE, HSMART_TOKEN_FAILED,
     "the token answered 0x4711 (unknown code)"},
    {"success where it makes no sense is a failure", CKR_OK, HS_CKR_DONE, HSMART_TOKEN_FAILED,
     "the token answered CKR_OK (success)"},
};

static void
an_answer_is_told(void **state)
{
    const struct answer *row = *state;
    hsmart_err err = {0};

    assert_int_equal(hs_ckr_row_of(row->rv)->class, row->class);
    assert_int_equal(hs_ckr_set(&err, row->rv), row->code);
    assert_int_equal(err.code, row->code);
    assert_string_equal(err.text, row->text);
    assert_int_equal(hs_ckr_set(NULL, row->rv), row->code);
}

/* ---- The table of docs/tokens.md ---- */

static struct told_class {
    const char *name;
    enum hs_ckr_class class, or_class;
    bool all_told; /* every answer of the class is named */
    const char *rungs;
} told_classes[] = {
    {"session", HS_CKR_SESSION, HS_CKR_SESSION, true, "| new session | reload |"},
    {"handle", HS_CKR_HANDLE, HS_CKR_HANDLE, true, "| login | reload |"},
    {"login", HS_CKR_LOGIN, HS_CKR_LOGIN, true, "| login | reload |"},
    {"device", HS_CKR_DEVICE, HS_CKR_DEVICE, false, "| new session | reload |"},
    {"capacity", HS_CKR_CAPACITY, HS_CKR_CAPACITY, true, "| new session, after waiting for one | new session |"},
    {"buffer", HS_CKR_BUFFER, HS_CKR_BUFFER, true, "| new session | new session |"},
    {"PIN", HS_CKR_PIN_WRONG, HS_CKR_PIN_STATE, false, "| none, ever | |"},
    {"capability", HS_CKR_CAPABILITY, HS_CKR_CAPABILITY, false, "| another mechanism, at the first signature"},
};

static void
take_line(const char *class, char *out_line, size_t len)
{
    const char *source = getenv("HSMART_SOURCE");
    char path[512], begin[32];
    struct hs_buf text = {0};

    if (source == NULL) {
        print_message("SKIP HSMART_SOURCE is not set\n");
        skip();
    }
    (void)snprintf(path, sizeof path, "%s/docs/tokens.md", source);
    assert_int_equal(hs_file_read(path, 1U << 20, &text, NULL), HSMART_OK);
    (void)snprintf(begin, sizeof begin, "\n| %s |", class);
    const char *found = strstr(hs_buf_text(&text), begin);
    if (found == NULL)
        fail_msg("docs/tokens.md has no line for the class %s", class);
    (void)snprintf(out_line, len, "%.*s", (int)strcspn(found + 1, "\n"), found + 1);
    hs_buf_clear(&text);
}

static const struct hs_ckr_row *
row_named(const char *name, size_t len)
{
    for (size_t i = 0; i < hs_ckr_row_count; i++)
        if (strncmp(hs_ckr_rows[i].name, "CKR_", 4) == 0 && strncmp(hs_ckr_rows[i].name + 4, name, len) == 0 &&
            hs_ckr_rows[i].name[4 + len] == 0)
            return &hs_ckr_rows[i];
    fail_msg("docs/tokens.md names %.*s, which is no answer", (int)len, name);
    return NULL;
}

static void
the_documentation_tells_class_and_rungs(void **state)
{
    const struct told_class *told = *state;
    char line[1024], word[64];
    size_t answer_count = 0;

    take_line(told->name, line, sizeof line);
    for (const char *at = line; (at = strchr(at, '`')) != NULL;) {
        size_t len = strcspn(++at, "`");
        const struct hs_ckr_row *row = row_named(at, len);
        if (row->class != told->class && row->class != told->or_class)
            fail_msg("docs/tokens.md has %s in the class %s", row->name, told->name);
        answer_count++;
        at += len + 1;
    }
    assert_true(answer_count > 0);
    if (strstr(line, told->rungs) == NULL)
        fail_msg("docs/tokens.md does not say \"%s\" of %s", told->rungs, told->name);
    for (size_t i = 0; i < hs_ckr_row_count && told->all_told; i++) {
        (void)snprintf(word, sizeof word, "`%s`", hs_ckr_rows[i].name + 4);
        if (hs_ckr_rows[i].class == told->class && strstr(line, word) == NULL)
            fail_msg("docs/tokens.md does not name %s", hs_ckr_rows[i].name);
    }
}

/* The same words, from the ladder: a rung that is told is one that is climbed. */
static void
the_ladder_is_as_told(void **state)
{
    static const char *const words[] = {
        [HS_RUNG_NEW_SESSION] = "new session", [HS_RUNG_LOGIN] = "login", [HS_RUNG_RELOAD] = "reload"};
    const struct told_class *told = *state;
    enum hs_rung first = HS_RUNG_NONE, last = HS_RUNG_NONE;

    for (size_t i = 0; i < hs_ckr_row_count; i++) {
        if (hs_ckr_rows[i].class != told->class && hs_ckr_rows[i].class != told->or_class)
            continue;
        first = hs_p11_rung_after(hs_ckr_rows[i].rv, HS_RUNG_NONE);
        for (enum hs_rung next = first; next != HS_RUNG_NONE; next = hs_p11_rung_after(hs_ckr_rows[i].rv, next))
            last = next;
    }
    if (first == HS_RUNG_NONE) {
        assert_true(strstr(told->rungs, "none") != NULL || strstr(told->rungs, "another mechanism") != NULL);
        return;
    }
    assert_int_equal(strncmp(told->rungs + 2, words[first], strlen(words[first])), 0);
    size_t len = strlen(told->rungs), last_len = strlen(words[last]);
    assert_int_equal(strncmp(told->rungs + len - 2 - last_len, words[last], last_len), 0);
}

int
main(void)
{
    struct rows rows = {0};

    ADD_TEST(&rows, every_code_of_the_standard_has_a_row_of_its_name);
    ADD_TEST(&rows, every_code_that_the_header_numbers_otherwise_has_a_row_too);
    ADD_TEST(&rows, the_rows_are_sorted_without_duplicates_and_have_words);
    ADD_ROWS(&rows, an_answer_is_told, answers);
    ADD_ROWS(&rows, the_documentation_tells_class_and_rungs, told_classes);
    ADD_ROWS(&rows, the_ladder_is_as_told, told_classes);
    return rows_run("p11_ckr", &rows);
}
