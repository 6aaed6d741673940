#include "sole_label.h"

#include "clock.h"
#include "destroy.h"
#include "err.h"
#include "public_half.h"

#define LOOK_AGAIN_MS 100U

/* What a look at the private keys of the label comes to. */
struct look {
    struct hs_span label, id;
    bool has_other, other_comes_first;
    size_t twins; /* with our id, ours included */
};

static bool
comes_before(struct hs_span a, struct hs_span b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;

    return order != 0 ? order < 0 : a.len < b.len;
}

static enum hsmart_code
look_at(struct look *look, struct hs_p11_session *session, struct hs_p11_object object, hsmart_err *err)
{
    struct hs_p11_attribute id = {.type = CKA_ID};
    enum hsmart_code code = hs_p11_session_read(session, object, &id, 1, err);
    struct hs_span other = hs_key_value(&id);

    if (code == HSMART_OK && !id.reported) /* it may be ours */
        code = hs_err_set(err, HSMART_TOKEN_FAILED, "the token does not tell the id of a key with this label");
    if (code == HSMART_OK && hs_span_equal(other, look->id)) {
        look->twins++;
    } else if (code == HSMART_OK) {
        look->has_other = true;
        look->other_comes_first = look->other_comes_first || comes_before(other, look->id);
    }
    hs_p11_attributes_clear(&id, 1);
    return code;
}

static enum hsmart_code
run_look(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    struct look *look = arg;
    const CK_ATTRIBUTE with_label = {CKA_LABEL, (void *)(uintptr_t)look->label.data, look->label.len};
    struct hs_p11_object *objects = NULL;
    size_t count = 0;
    enum hsmart_code code = hs_p11_session_find(session, CKO_PRIVATE_KEY, &with_label, 1, &objects, &count, err);

    look->has_other = false;
    look->other_comes_first = false;
    look->twins = 0;
    for (size_t i = 0; i < count && code == HSMART_OK; i++)
        code = look_at(look, session, objects[i], err);
    hs_free(objects);
    return code;
}

/* Looks until there is no other, or ours has to go. */
static enum hsmart_code
wait_for_others_to_go(struct hs_p11_token *token, struct look *look, unsigned wait_ms, hsmart_err *err)
{
    const struct hs_p11_operation operation = {run_look, NULL, look};
    const int64_t until_ms = hs_clock_monotonic_ms() + wait_ms;
    enum hsmart_code code = hs_p11_token_request(token, &operation, err);

    while (code == HSMART_OK && look->has_other && !look->other_comes_first && hs_clock_monotonic_ms() < until_ms) {
        hs_clock_sleep_ms(LOOK_AGAIN_MS);
        code = hs_p11_token_request(token, &operation, err);
    }
    return code;
}

enum hsmart_code
hs_sole_label_settle(struct hs_p11_token *token, struct hs_span label, struct hs_span id, unsigned wait_ms,
                     hsmart_err *err)
{
    struct look look = {.label = label, .id = id};
    size_t count = 0;
    enum hsmart_code code = wait_for_others_to_go(token, &look, wait_ms, err);

    if (code == HSMART_OK && look.twins > 1) {
        (void)hs_err_set(err, HSMART_KEY_EXISTS,
                         "another key with this label and id was made at the same moment, by another process or host; "
                         "both are on the token, since nothing tells them apart");
        hs_err_hint(err, "destroy both, and make one anew");
        return HSMART_KEY_EXISTS;
    }
    if (code == HSMART_OK && !look.has_other)
        return HSMART_OK;
    if (code == HSMART_OK)
        code = hs_destroy_pair(token, label, id, &count, err);
    if (code != HSMART_OK) {
        (void)hs_err_wrap(err, code, "the key was made, and it is not known whether another has its label");
        hs_err_hint(err, "look with \"hsmart-key list\"; of two keys with one label destroy the one that nobody uses");
        return code;
    }
    (void)hs_err_set(
        err, HSMART_KEY_EXISTS,
        "another key with this label was made at the same moment, by another process or host; the one made "
        "here is destroyed again");
    hs_err_hint(err, "look with \"hsmart-key list\": use the other key, or, should there be none, try again");
    return HSMART_KEY_EXISTS;
}
