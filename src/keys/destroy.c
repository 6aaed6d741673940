#include "destroy.h"

#include "err.h"

struct pair {
    CK_ATTRIBUTE attributes[2]; /* label, id */
    size_t attribute_count;     /* 1: any id, for counting only */
    size_t count;
};

static struct pair
pair_of(struct hs_span label, struct hs_span id)
{
    return (struct pair){.attributes = {{CKA_LABEL, (void *)(uintptr_t)label.data, label.len},
                                        {CKA_ID, (void *)(uintptr_t)id.data, id.len}},
                         .attribute_count = 2};
}

/* The private half first: a pair without its public half can still be seen and destroyed, the other way round a key
 * could be left that nobody looks for. */
static const CK_OBJECT_CLASS classes[] = {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY};

static enum hsmart_code
run_counting(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    struct pair *pair = arg;
    enum hsmart_code code = HSMART_OK;

    pair->count = 0;
    for (size_t i = 0; i < HS_ARRAY_LEN(classes) && code == HSMART_OK; i++) {
        struct hs_p11_object *objects = NULL;
        size_t count = 0;
        code = hs_p11_session_find(session, classes[i], pair->attributes, pair->attribute_count, &objects, &count, err);
        hs_free(objects);
        pair->count += count;
    }
    return code;
}

static enum hsmart_code
count_pair(struct hs_p11_token *token, struct pair *pair, hsmart_err *err)
{
    const struct hs_p11_operation operation = {run_counting, NULL, pair};

    return hs_p11_token_request(token, &operation, err);
}

enum hsmart_code
hs_destroy_count(struct hs_p11_token *token, struct hs_span label, struct hs_span id, size_t *out_count,
                 hsmart_err *err)
{
    struct pair pair = pair_of(label, id);
    enum hsmart_code code = count_pair(token, &pair, err);

    if (code == HSMART_OK)
        *out_count = pair.count;
    return code;
}

enum hsmart_code
hs_destroy_count_label(struct hs_p11_token *token, struct hs_span label, size_t *out_count, hsmart_err *err)
{
    struct pair pair = pair_of(label, (struct hs_span){0});

    pair.attribute_count = 1;
    enum hsmart_code code = count_pair(token, &pair, err);
    if (code == HSMART_OK)
        *out_count = pair.count;
    return code;
}

static enum hsmart_code
destroy_class(struct hs_p11_session *session, CK_OBJECT_CLASS class, struct pair *pair, hsmart_err *err)
{
    struct hs_p11_object *objects = NULL;
    size_t count = 0;
    enum hsmart_code code =
        hs_p11_session_find(session, class, pair->attributes, HS_ARRAY_LEN(pair->attributes), &objects, &count, err);

    for (size_t i = 0; i < count && code == HSMART_OK; i++)
        code = hs_p11_session_destroy(session, objects[i], err);
    pair->count += count;
    hs_free(objects);
    return code;
}

enum hsmart_code
hs_destroy_pair(struct hs_p11_token *token, struct hs_span label, struct hs_span id, size_t *out_count, hsmart_err *err)
{
    struct hs_p11_session *session = NULL;
    struct pair pair = pair_of(label, id), left = pair_of(label, id);
    enum hsmart_code code = hs_p11_token_acquire(token, true, HS_P11_ACQUIRE_TIMEOUT_MS, &session, err);

    if (code != HSMART_OK)
        return code;
    for (size_t i = 0; i < HS_ARRAY_LEN(classes) && code == HSMART_OK; i++)
        code = destroy_class(session, classes[i], &pair, err);
    hs_p11_token_release(token, session);
    if (code == HSMART_OK)
        code = count_pair(token, &left, err);
    if (code == HSMART_OK && left.count > 0)
        code =
            hs_err_set(err, HSMART_POLICY_REFUSED, "the token says that the key is destroyed, but it is still there");
    if (code == HSMART_OK)
        *out_count = pair.count;
    return code;
}
