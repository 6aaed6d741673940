/* Listing the keys of a token, finding the one that is meant, and finding it again. */
#include "token_key.h"

#include <stdlib.h>

#include "err.h"
#include "p11_ckr.h"
#include "p11_uri.h"
#include "text.h"
#include "token_key_read.h"

/* Before "no such private key" is believed: a login that somebody ended hides them all. */
static enum hsmart_code
check_is_logged_in(const struct hs_p11_token *token, struct hs_p11_session *session, hsmart_err *err)
{
    if (!hs_p11_token_logs_in(token) || !hs_p11_session_is_public(session))
        return HSMART_OK;
    session->last_rv = CKR_USER_NOT_LOGGED_IN;
    session->doubtful = true;
    return hs_ckr_set(err, CKR_USER_NOT_LOGGED_IN);
}

/* ---- Lists ---- */

struct key_list {
    struct hs_token_key **keys;
    size_t count;
};

static void
key_list_clear(struct key_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        hs_token_key_free(list->keys[i]);
    hs_free(list->keys);
    *list = (struct key_list){0};
}

static enum hsmart_code
key_list_append(struct key_list *list, struct hs_token_key *key, hsmart_err *err)
{
    enum hsmart_code code = hs_array_grow((void **)&list->keys, list->count, sizeof(struct hs_token_key *), err);

    if (code != HSMART_OK) {
        hs_token_key_free(key);
        return code;
    }
    list->keys[list->count++] = key;
    return HSMART_OK;
}

static int
by_label_then_id(const void *left, const void *right)
{
    const struct hs_token_key *a = *(struct hs_token_key *const *)left, *b = *(struct hs_token_key *const *)right;
    int order = strcmp(a->info.label, b->info.label);

    if (order != 0)
        return order;
    size_t shorter = a->id.len < b->id.len ? a->id.len : b->id.len;
    order = shorter != 0 ? memcmp(a->id.data, b->id.data, shorter) : 0;
    return order != 0 ? order : (a->id.len > b->id.len) - (a->id.len < b->id.len);
}

/* What is looked for; the empty wish is every key. */
struct wish {
    struct hs_span label, id;
};

static size_t
wish_template(const struct wish *wish, CK_ATTRIBUTE attributes[2])
{
    size_t count = 0;

    if (wish->label.data != NULL)
        attributes[count++] = (CK_ATTRIBUTE){CKA_LABEL, (void *)(uintptr_t)wish->label.data, wish->label.len};
    if (wish->id.data != NULL)
        attributes[count++] = (CK_ATTRIBUTE){CKA_ID, (void *)(uintptr_t)wish->id.data, wish->id.len};
    return count;
}

static bool
wish_fits(const struct wish *wish, const struct hs_key_parts *parts)
{
    return (wish->label.data == NULL || hs_span_equal(wish->label, parts->label)) &&
           (wish->id.data == NULL || hs_span_equal(wish->id, parts->id));
}

/* One reading of the keys that fit a wish, as an operation that may be run again. */
struct reading {
    struct hs_p11_token *token;
    const struct wish *wish;
    struct key_list list;
};

static enum hsmart_code
add_pairs(struct reading *reading, struct hs_p11_session *session, const struct hs_p11_object *objects, size_t count,
          struct hs_public_list *publics, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < count && code == HSMART_OK; i++) {
        struct hs_token_key *key = NULL;
        if (objects[i].class != CKO_PRIVATE_KEY)
            continue;
        code = hs_token_key_read(reading->token, session, objects[i], publics, &key, err);
        if (code == HSMART_OK)
            code = key_list_append(&reading->list, key, err);
    }
    return code;
}

static enum hsmart_code
add_lone_publics(struct reading *reading, const struct hs_public_list *publics, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < publics->count && code == HSMART_OK; i++) {
        struct hs_token_key *key = NULL;
        struct hs_key_parts parts = hs_public_list_parts(publics, i);
        if (hs_public_list_is_taken(publics, i) || !wish_fits(reading->wish, &parts))
            continue;
        code = hs_token_key_read_lone_public(reading->token, &parts, &key, err);
        if (code == HSMART_OK)
            code = key_list_append(&reading->list, key, err);
    }
    return code;
}

/* Objects of one name are few, and each search costs as much as the token has objects: one is made for all classes. */
static enum hsmart_code
read_named(struct reading *reading, struct hs_p11_session *session, const CK_ATTRIBUTE *attributes,
           size_t attribute_count, hsmart_err *err)
{
    struct hs_p11_object *objects = NULL;
    struct hs_public_list publics = {0};
    size_t count = 0;
    enum hsmart_code code =
        hs_p11_session_find(session, HS_P11_ANY_CLASS, attributes, attribute_count, &objects, &count, err);

    if (code == HSMART_OK)
        code = hs_public_list_read_found(session, objects, count, &publics, err);
    if (code == HSMART_OK)
        code = add_pairs(reading, session, objects, count, &publics, err);
    hs_public_list_clear(&publics);
    hs_free(objects);
    return code;
}

/* Everything that fits by its class, half pairs included. */
static enum hsmart_code
read_by_class(struct reading *reading, struct hs_p11_session *session, const CK_ATTRIBUTE *attributes,
              size_t attribute_count, hsmart_err *err)
{
    struct hs_p11_object *objects = NULL;
    struct hs_public_list publics = {0};
    size_t count = 0;
    enum hsmart_code code =
        hs_p11_session_find(session, CKO_PRIVATE_KEY, attributes, attribute_count, &objects, &count, err);

    if (code == HSMART_OK && count == 0)
        code = check_is_logged_in(reading->token, session, err);
    if (code == HSMART_OK)
        code = hs_public_list_read(session, NULL, &publics, err);
    if (code == HSMART_OK)
        code = add_pairs(reading, session, objects, count, &publics, err);
    if (code == HSMART_OK)
        code = add_lone_publics(reading, &publics, err);
    hs_public_list_clear(&publics);
    hs_free(objects);
    return code;
}

/* What a search by name does not show, or what a token will not search for without a class, is searched for by class
 * before it is believed to be absent. */
static enum hsmart_code
run_reading(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    struct reading *reading = arg;
    CK_ATTRIBUTE attributes[2];
    size_t attribute_count = wish_template(reading->wish, attributes);
    enum hsmart_code code = HSMART_OK;

    key_list_clear(&reading->list);
    if (attribute_count > 0)
        code = read_named(reading, session, attributes, attribute_count, err);
    if (code != HSMART_OK && hs_ckr_row_of(session->last_rv)->class == HS_CKR_ATTRIBUTE)
        code = HSMART_OK;
    if (code == HSMART_OK && reading->list.count == 0)
        code = read_by_class(reading, session, attributes, attribute_count, err);
    return code;
}

static enum hsmart_code
read_keys(struct hs_p11_token *token, const struct wish *wish, struct key_list *out_list, hsmart_err *err)
{
    struct reading reading = {.token = token, .wish = wish};
    const struct hs_p11_operation operation = {run_reading, NULL, &reading};
    enum hsmart_code code = hs_p11_token_request(token, &operation, err);

    if (code != HSMART_OK) {
        key_list_clear(&reading.list);
        return code;
    }
    if (reading.list.count > 1)
        qsort(reading.list.keys, reading.list.count, sizeof(struct hs_token_key *), by_label_then_id);
    *out_list = reading.list;
    return HSMART_OK;
}

enum hsmart_code
hs_token_key_list(struct hs_p11_token *token, struct hs_token_key ***out_keys, size_t *out_count, hsmart_err *err)
{
    struct key_list list = {0};
    enum hsmart_code code = read_keys(token, &(struct wish){0}, &list, err);

    if (code != HSMART_OK)
        return hs_err_wrap(err, code, "cannot list the keys on token \"%s\"", hs_p11_token_get_name(token));
    *out_keys = list.keys;
    *out_count = list.count;
    return HSMART_OK;
}

/* ---- Finding the one ---- */

#define TOLD_KEYS_MAX 5U

/* "ehr-2026" (id 01ab), … */
static void
describe_keys(const struct key_list *list, bool private_only, struct hs_buf *out)
{
    enum hsmart_code code = HSMART_OK;
    size_t told = 0, left_out = 0;

    for (size_t i = 0; i < list->count && code == HSMART_OK; i++) {
        const hsmart_key_info *info = &list->keys[i]->info;
        if (private_only && !info->has_private)
            continue;
        if (told == TOLD_KEYS_MAX) {
            left_out++;
            continue;
        }
        code = hs_buf_append_format(out, NULL, "%s\"%s\" (id ", told++ > 0 ? ", " : "", info->label);
        if (code == HSMART_OK)
            code = info->id_len > 0 ? hs_text_append_hex(out, (struct hs_span){info->id, info->id_len}, NULL)
                                    : hs_buf_append_str(out, "none", NULL);
        if (code == HSMART_OK)
            code = hs_buf_append_str(out, ")", NULL);
    }
    if (left_out > 0 && code == HSMART_OK)
        code = hs_buf_append_format(out, NULL, " and %zu more", left_out);
    if (code != HSMART_OK)
        hs_buf_clear(out); /* a shorter message is better than none */
}

static enum hsmart_code
key_absent(struct hs_p11_token *token, const char *uri, hsmart_err *err)
{
    struct key_list list = {0};
    struct hs_buf there = {0};

    if (read_keys(token, &(struct wish){0}, &list, NULL) == HSMART_OK)
        describe_keys(&list, false, &there);
    (void)hs_err_set(err, HSMART_KEY_ABSENT, there.len > 0 ? "the token has %s" : "the token shows no key at all",
                     hs_buf_text(&there));
    if (there.len == 0)
        hs_err_hint(err, "log in with --pin-source, or make a key with `hsmart-key generate`");
    hs_buf_clear(&there);
    key_list_clear(&list);
    return hs_err_wrap(err, HSMART_KEY_ABSENT, "no key on token \"%s\" matches %s", hs_p11_token_get_name(token),
                       uri != NULL ? uri : "\"any\"");
}

static enum hsmart_code
key_ambiguous(struct hs_p11_token *token, const struct key_list *list, const char *uri, hsmart_err *err)
{
    struct hs_buf there = {0};

    describe_keys(list, true, &there);
    (void)hs_err_set(err, HSMART_KEY_AMBIGUOUS, "%s", hs_buf_text(&there));
    hs_buf_clear(&there);
    return hs_err_wrap(err, HSMART_KEY_AMBIGUOUS, "several keys on token \"%s\" match %s", hs_p11_token_get_name(token),
                       uri != NULL ? uri : "when none is named");
}

static enum hsmart_code
choose(struct hs_p11_token *token, struct key_list *list, const char *uri, struct hs_token_key **out_key,
       hsmart_err *err)
{
    size_t chosen = 0, private_count = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (!list->keys[i]->info.has_private)
            continue;
        chosen = i;
        private_count++;
    }
    if (list->count == 0)
        return key_absent(token, uri, err);
    if (private_count > 1)
        return key_ambiguous(token, list, uri, err);
    if (private_count == 0) {
        (void)hs_err_set(err, HSMART_KEY_UNUSABLE, "%s", list->keys[0]->info.problem_text);
        return hs_err_wrap(err, HSMART_KEY_UNUSABLE, "cannot use key \"%s\" on token \"%s\"", list->keys[0]->info.label,
                           hs_p11_token_get_name(token));
    }
    *out_key = list->keys[chosen];
    list->keys[chosen] = NULL;
    return HSMART_OK;
}

/* A key URI may repeat the token's attributes; then they have to fit this token. */
static enum hsmart_code
check_names_this_token(const struct hs_p11_uri *uri, struct hs_p11_token *token, hsmart_err *err)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;

    if (!hs_p11_uri_matches_token(uri, NULL, 0, NULL, hs_p11_token_get_raw_info(token)))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the key's URI names another token than \"%s\"",
                          hs_p11_token_get_name(token));
    if (hs_p11_uri_get_class(uri, &class) && class != CKO_PRIVATE_KEY && class != CKO_PUBLIC_KEY)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the key's URI has a type that is neither private nor public");
    return HSMART_OK;
}

enum hsmart_code
hs_token_key_find(struct hs_p11_token *token, const char *uri, struct hs_token_key **out_key, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_p11_uri *parsed = NULL;
    struct key_list list = {0};
    struct wish wish = {0};

    code = hs_p11_uri_parse(uri, &parsed, err);
    if (code != HSMART_OK)
        goto out;
    code = check_names_this_token(parsed, token, err);
    if (code != HSMART_OK)
        goto out;
    hs_p11_uri_get_object(parsed, &wish.label, &wish.id);
    code = read_keys(token, &wish, &list, err);
    if (code != HSMART_OK) {
        (void)hs_err_wrap(err, code, "cannot look for keys on token \"%s\"", hs_p11_token_get_name(token));
        goto out;
    }
    code = choose(token, &list, uri, out_key, err);
out:
    key_list_clear(&list);
    hs_p11_uri_free(parsed);
    return code;
}

/* ---- Finding it again ---- */

enum hsmart_code
hs_token_key_find_again(struct hs_p11_token *token, struct hs_p11_session *session,
                        const struct hs_key_identity *identity, CK_OBJECT_HANDLE *out_handle, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_p11_object *objects = NULL;
    struct hs_public_list publics = {0};
    struct hs_token_key *key = NULL;
    size_t count = 0;
    const struct wish wish = {identity->label.len > 0 ? identity->label : (struct hs_span){0},
                              identity->id.len > 0 ? identity->id : (struct hs_span){0}};
    CK_ATTRIBUTE attributes[2];
    size_t attribute_count = wish_template(&wish, attributes);

    code = hs_p11_session_find(session, CKO_PRIVATE_KEY, attributes, attribute_count, &objects, &count, err);
    if (code == HSMART_OK && count == 0)
        code = check_is_logged_in(token, session, err);
    if (code != HSMART_OK)
        goto out;
    if (count != 1) {
        code = count == 0 ? hs_err_set(err, HSMART_KEY_ABSENT, "the key is gone from the token")
                          : hs_err_set(err, HSMART_KEY_AMBIGUOUS, "several keys have its label and id by now");
        goto out;
    }
    code = hs_token_key_read(token, session, objects[0], &publics, &key, err);
    if (code == HSMART_OK && key->jwk.pkey == NULL)
        code = hs_err_set(err, HSMART_KEY_UNUSABLE, "it cannot be told whether it is still the same key: %s",
                          key->info.problem_text);
    if (code == HSMART_OK && !hs_jwk_same_key(&key->jwk, identity->jwk))
        code = hs_err_set(err, HSMART_KEY_MISMATCH,
                          "another key stands on the token under the same name: its thumbprint is \"%s\"",
                          key->jwk.thumbprint);
    if (code == HSMART_OK)
        *out_handle = objects[0].handle;
out:
    hs_token_key_free(key);
    hs_free(objects);
    return code;
}
