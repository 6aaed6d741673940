#include "p11_slots.h"

#include <stdio.h>

#include "clock.h"
#include "err.h"
#include "p11_ckr.h"
#include "p11_mechanism.h"
#include "text.h"

#define TOLD_TOKENS_MAX 6U
#define SLOTS_MAX 4096U
#define MECHANISMS_MAX 4096U

/* ---- Telling ---- */

static void
copy_padded(const CK_UTF8CHAR *field, size_t len, char *out)
{
    while (len > 0 && (field[len - 1] == ' ' || field[len - 1] == 0))
        len--;
    memcpy(out, field, len);
    out[len] = 0;
    hs_text_sanitize(out);
}

/* A hint for people and for the order of trials; a token that does not tell has none listed. The count of the second
 * call is believed as far as there was room. */
static enum hsmart_code
read_mechanisms(CK_FUNCTION_LIST *p11, CK_SLOT_ID slot, struct hs_token_info_store *store, size_t *out_count,
                hsmart_err *err)
{
    CK_ULONG room = 0, count = 0;

    *out_count = 0;
    if (p11->C_GetMechanismList(slot, NULL, &room) != CKR_OK || room > MECHANISMS_MAX)
        return HSMART_OK;
    store->mechanisms = hs_calloc(room + 1, sizeof *store->mechanisms);
    store->mechanism_names = hs_calloc(room + 1, sizeof *store->mechanism_names);
    if (store->mechanisms == NULL || store->mechanism_names == NULL)
        return hs_err_no_memory(err);
    count = room;
    if (p11->C_GetMechanismList(slot, store->mechanisms, &count) == CKR_OK)
        *out_count = count < room ? count : room;
    return HSMART_OK;
}

static enum hsmart_code
name_mechanisms(CK_FUNCTION_LIST *p11, CK_SLOT_ID slot, struct hs_token_info_store *store, hsmart_err *err)
{
    size_t count = 0;
    char number[32];
    enum hsmart_code code = read_mechanisms(p11, slot, store, &count, err);

    for (size_t i = 0; i < count && code == HSMART_OK; i++) {
        const char *name = hs_p11_mechanism_name(store->mechanisms[i]);
        (void)snprintf(number, sizeof number, "0x%lx", store->mechanisms[i]);
        code = hs_strdup(name != NULL ? name : number, &store->mechanism_names[i], err);
        if (code == HSMART_OK)
            store->info.mechanism_count = i + 1;
    }
    store->info.mechanisms = (const char *const *)store->mechanism_names;
    return code;
}

static void
copy_flags(CK_FLAGS flags, hsmart_token_info *info)
{
    info->initialized = (flags & CKF_TOKEN_INITIALIZED) != 0;
    info->login_required = (flags & CKF_LOGIN_REQUIRED) != 0;
    info->pin_set = (flags & CKF_USER_PIN_INITIALIZED) != 0;
    info->pinpad = (flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0;
    info->write_protected = (flags & CKF_WRITE_PROTECTED) != 0;
    info->pin_count_low = (flags & CKF_USER_PIN_COUNT_LOW) != 0;
    info->pin_final_try = (flags & CKF_USER_PIN_FINAL_TRY) != 0;
    info->pin_locked = (flags & CKF_USER_PIN_LOCKED) != 0;
    info->pin_to_be_changed = (flags & CKF_USER_PIN_TO_BE_CHANGED) != 0;
    info->so_pin_count_low = (flags & CKF_SO_PIN_COUNT_LOW) != 0;
    info->so_pin_final_try = (flags & CKF_SO_PIN_FINAL_TRY) != 0;
    info->so_pin_locked = (flags & CKF_SO_PIN_LOCKED) != 0;
}

enum hsmart_code
hs_token_info_read(CK_FUNCTION_LIST *p11, CK_SLOT_ID slot, const CK_TOKEN_INFO *raw,
                   struct hs_token_info_store *out_store, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf uri = {0};
    struct hs_token_info_store *store = out_store;

    copy_padded(raw->label, sizeof raw->label, store->label);
    copy_padded(raw->serialNumber, sizeof raw->serialNumber, store->serial);
    copy_padded(raw->model, sizeof raw->model, store->model);
    copy_padded(raw->manufacturerID, sizeof raw->manufacturerID, store->manufacturer);
    (void)snprintf(store->firmware, sizeof store->firmware, "%u.%u", raw->firmwareVersion.major,
                   raw->firmwareVersion.minor);
    store->info = (hsmart_token_info){.label = store->label,
                                      .serial = store->serial,
                                      .model = store->model,
                                      .manufacturer = store->manufacturer,
                                      .firmware = store->firmware,
                                      .slot_id = slot};
    copy_flags(raw->flags, &store->info);
    code = hs_p11_uri_format_token(raw, &uri, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&uri, &store->uri, err);
    store->info.uri = store->uri;
    if (code == HSMART_OK)
        code = name_mechanisms(p11, slot, store, err);
    hs_buf_clear(&uri);
    if (code != HSMART_OK)
        hs_token_info_clear(store);
    return code;
}

void
hs_token_info_clear(struct hs_token_info_store *store)
{
    for (size_t i = 0; i < store->info.mechanism_count; i++)
        hs_string_free(store->mechanism_names[i]);
    hs_free(store->mechanism_names);
    hs_free(store->mechanisms);
    hs_string_free(store->uri);
    *store = (struct hs_token_info_store){0};
}

/* ---- Finding ---- */

static enum hsmart_code
read_slot_list(CK_FUNCTION_LIST *p11, CK_SLOT_ID **out_slots, CK_ULONG *out_count, hsmart_err *err)
{
    CK_ULONG room = 0, count = 0;
    CK_SLOT_ID *slots = NULL;
    CK_RV rv = CKR_BUFFER_TOO_SMALL;
    enum hsmart_code code = HSMART_OK;

    /* Between the two calls a token may be plugged in. */
    for (int i = 0; i < 3 && rv == CKR_BUFFER_TOO_SMALL; i++) {
        hs_free(slots);
        slots = NULL;
        rv = p11->C_GetSlotList(CK_TRUE, NULL, &room);
        if (rv != CKR_OK)
            break;
        if (room > SLOTS_MAX)
            return hs_err_set(err, HSMART_TOKEN_FAILED, "the module reports %lu slots; more than %u are not believed",
                              room, SLOTS_MAX);
        slots = hs_calloc(room + 1, sizeof *slots);
        if (slots == NULL)
            return hs_err_no_memory(err);
        count = room;
        rv = p11->C_GetSlotList(CK_TRUE, slots, &count);
    }
    if (rv != CKR_OK) {
        code = hs_ckr_set(err, rv);
        code = hs_err_wrap(err, code, "cannot list the slots of the module");
    } else if (count > room) {
        code = hs_err_set(err, HSMART_TOKEN_FAILED, "the module reports more slots than there was room for");
    }
    if (code != HSMART_OK) {
        hs_free(slots);
        return code;
    }
    *out_slots = slots;
    *out_count = count;
    return HSMART_OK;
}

/* Luna shows placeholder slots, and a token may have just gone: not there is not an error. Any other failure is given a
 * second chance, since it would make a token that is there look absent. */
static CK_RV
read_slot(CK_FUNCTION_LIST *p11, CK_SLOT_ID slot, CK_SLOT_INFO *out_slot, CK_TOKEN_INFO *out_raw)
{
    CK_RV rv = CKR_GENERAL_ERROR;

    for (int i = 0; i < 2 && rv != CKR_OK && rv != CKR_TOKEN_NOT_PRESENT; i++) {
        rv = p11->C_GetSlotInfo(slot, out_slot);
        if (rv == CKR_OK)
            rv = p11->C_GetTokenInfo(slot, out_raw);
    }
    return rv;
}

enum hsmart_code
hs_slots_find(struct hs_p11_module *module, const struct hs_p11_uri *uri, struct hs_found_tokens *out_found,
              hsmart_err *err)
{
    CK_FUNCTION_LIST *p11 = module->p11;
    CK_SLOT_ID *slots = NULL;
    CK_ULONG slot_count = 0;
    struct hs_found_tokens found = {0};
    enum hsmart_code code = read_slot_list(p11, &slots, &slot_count, err);

    for (CK_ULONG i = 0; i < slot_count && code == HSMART_OK; i++) {
        CK_SLOT_INFO slot = {0};
        CK_TOKEN_INFO raw = {0};
        CK_RV rv = read_slot(p11, slots[i], &slot, &raw);
        if (rv != CKR_OK && rv != CKR_TOKEN_NOT_PRESENT)
            found.silent_rv = rv;
        if (rv != CKR_OK)
            continue;
        if (uri != NULL && !hs_p11_uri_matches_token(uri, &module->info, slots[i], &slot, &raw))
            continue;
        code = hs_array_grow((void **)&found.tokens, found.count, sizeof *found.tokens, err);
        if (code == HSMART_OK)
            found.tokens[found.count++] = (struct hs_found_token){slots[i], raw};
    }
    hs_free(slots);
    if (code != HSMART_OK) {
        hs_slots_clear(&found);
        return code;
    }
    *out_found = found;
    return HSMART_OK;
}

void
hs_slots_clear(struct hs_found_tokens *found)
{
    hs_free(found->tokens);
    *found = (struct hs_found_tokens){0};
}

/* "prod" (serial 1234), an uninitialised one, … */
static enum hsmart_code
describe_tokens(const struct hs_found_tokens *found, struct hs_buf *out)
{
    char label[33], serial[17];
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < found->count && i < TOLD_TOKENS_MAX && code == HSMART_OK; i++) {
        const CK_TOKEN_INFO *raw = &found->tokens[i].raw;
        bool is_set_up = (raw->flags & CKF_TOKEN_INITIALIZED) != 0;
        copy_padded(raw->label, sizeof raw->label, label);
        copy_padded(raw->serialNumber, sizeof raw->serialNumber, serial);
        code = hs_buf_append_format(out, NULL, is_set_up ? "%s\"%s\" (serial %s)" : "%san uninitialised one",
                                    i > 0 ? ", " : "", label, serial);
    }
    if (found->count > TOLD_TOKENS_MAX && code == HSMART_OK)
        code = hs_buf_append_format(out, NULL, " and %zu more", found->count - TOLD_TOKENS_MAX);
    if (found->silent_rv != CKR_OK && code == HSMART_OK) {
        const struct hs_ckr_row *row = hs_ckr_row_of(found->silent_rv);
        char number[32];
        (void)snprintf(number, sizeof number, "0x%lx", found->silent_rv);
        code = hs_buf_append_format(out, NULL, "%sone that answers %s (%s)", found->count > 0 ? ", " : "",
                                    row->name != NULL ? row->name : number, row->words);
    }
    return code;
}

static enum hsmart_code
token_absent(struct hs_p11_module *module, const char *uri_text, hsmart_err *err)
{
    struct hs_found_tokens all = {0};
    struct hs_buf there = {0};

    /* What cannot be told is left out: the error is another one. */
    if (hs_slots_find(module, NULL, &all, NULL) != HSMART_OK || describe_tokens(&all, &there) != HSMART_OK)
        hs_buf_clear(&there);
    if (uri_text == NULL)
        (void)hs_err_set(err, HSMART_TOKEN_ABSENT, "the module \"%s\" shows no initialised token%s%s", module->path,
                         there.len > 0 ? ", but " : "", hs_buf_text(&there));
    else if (there.len > 0)
        (void)hs_err_set(err, HSMART_TOKEN_ABSENT, "no token matches %s: the module shows %s", uri_text,
                         hs_buf_text(&there));
    else
        (void)hs_err_set(err, HSMART_TOKEN_ABSENT, "no token matches %s: the module \"%s\" shows none at all", uri_text,
                         module->path);
    if (all.count == 0)
        hs_err_hint(err, "check the module's own configuration and environment (SoftHSM2: SOFTHSM2_CONF), the device "
                         "and its connection");
    hs_buf_clear(&there);
    hs_slots_clear(&all);
    return HSMART_TOKEN_ABSENT;
}

static enum hsmart_code
token_ambiguous(const struct hs_found_tokens *found, const char *uri_text, hsmart_err *err)
{
    struct hs_buf there = {0};

    if (describe_tokens(found, &there) != HSMART_OK)
        hs_buf_clear(&there);
    if (uri_text != NULL)
        (void)hs_err_set(err, HSMART_TOKEN_AMBIGUOUS, "several tokens match %s: %s", uri_text, hs_buf_text(&there));
    else
        (void)hs_err_set(err, HSMART_TOKEN_AMBIGUOUS, "the module shows several tokens, and none is named: %s",
                         hs_buf_text(&there));
    hs_buf_clear(&there);
    return HSMART_TOKEN_AMBIGUOUS;
}

enum hsmart_code
hs_slots_find_one(struct hs_p11_module *module, const struct hs_p11_uri *uri, const char *uri_text,
                  struct hs_found_token *out_token, hsmart_err *err)
{
    struct hs_found_tokens found = {0};
    size_t kept = 0;
    enum hsmart_code code = hs_slots_find(module, uri, &found, err);

    if (code != HSMART_OK)
        return code;
    for (size_t i = 0; i < found.count; i++)
        if (found.tokens[i].raw.flags & CKF_TOKEN_INITIALIZED)
            found.tokens[kept++] = found.tokens[i];
    found.count = kept;
    if (kept == 0)
        code = token_absent(module, uri_text, err);
    else if (kept > 1)
        code = token_ambiguous(&found, uri_text, err);
    else
        *out_token = found.tokens[0];
    hs_slots_clear(&found);
    return code;
}

bool
hs_slots_takes_pin_len(const CK_TOKEN_INFO *raw, size_t len)
{
    CK_ULONG min = raw->ulMinPinLen, max = raw->ulMaxPinLen;
    bool told = max != 0 && max != CK_UNAVAILABLE_INFORMATION && min <= max;

    return !told || (len >= min && len <= max);
}

/* ---- Lists for people ---- */

struct listed {
    hsmart_token_list list;
    struct hs_token_info_store *stores;
};

void
hs_p11_token_list_free(hsmart_token_list *list)
{
    struct listed *listed = (struct listed *)list;

    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        hs_token_info_clear(&listed->stores[i]);
    hs_free(listed->stores);
    hs_free(list->tokens);
    hs_free(listed);
}

static enum hsmart_code
list_tokens(struct hs_p11_module *module, const struct hs_found_tokens *found, struct listed *listed, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    listed->list.tokens = hs_calloc(found->count + 1, sizeof *listed->list.tokens);
    listed->stores = hs_calloc(found->count + 1, sizeof *listed->stores);
    if (listed->list.tokens == NULL || listed->stores == NULL)
        return hs_err_no_memory(err);
    for (size_t i = 0; i < found->count && code == HSMART_OK; i++) {
        code = hs_token_info_read(module->p11, found->tokens[i].slot, &found->tokens[i].raw, &listed->stores[i], err);
        if (code == HSMART_OK) {
            listed->list.tokens[i] = listed->stores[i].info;
            listed->list.count = i + 1;
        }
    }
    return code;
}

enum hsmart_code
hs_p11_token_list_read(const hsmart_token_options *options, hsmart_token_list **out_list, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_log log = {options->log, options->log_arg};
    struct hs_p11_uri *uri = NULL;
    struct hs_p11_module *module = NULL;
    struct hs_found_tokens found = {0};
    struct listed *listed = hs_calloc(1, sizeof *listed);

    code = listed != NULL ? hs_p11_uri_parse(options->uri, &uri, err) : hs_err_no_memory(err);
    if (code == HSMART_OK)
        code = hs_p11_module_open(options->module, options->init_string,
                                  hs_clock_monotonic_ms() + HS_P11_MODULE_WAIT_MS, &log, &module, err);
    if (code == HSMART_OK)
        code = hs_slots_find(module, uri, &found, err);
    if (code == HSMART_OK)
        code = list_tokens(module, &found, listed, err);
    if (code == HSMART_OK) {
        *out_list = &listed->list;
        listed = NULL;
    }
    if (listed != NULL)
        hs_p11_token_list_free(&listed->list);
    hs_slots_clear(&found);
    hs_p11_module_close(module);
    hs_p11_uri_free(uri);
    return code;
}
