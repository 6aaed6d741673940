#include "token_key.h"

#include "err.h"
#include "key_mechanism.h"
#include "key_policy.h"
#include "p11_mechanism.h"
#include "p11_uri.h"
#include "roca.h"
#include "text.h"
#include "token_key_read.h"

/* What is read of a private key object; then follows one attribute for each row of the policy. */
/* clang-format off */
enum { KEY_TYPE, ALWAYS_AUTHENTICATE, ALLOWED_MECHANISMS, PLAIN_COUNT = 12 };
static const CK_ATTRIBUTE_TYPE plain_types[PLAIN_COUNT] = {
    [KEY_TYPE] = CKA_KEY_TYPE,
    [ALWAYS_AUTHENTICATE] = CKA_ALWAYS_AUTHENTICATE,
    [ALLOWED_MECHANISMS] = CKA_ALLOWED_MECHANISMS,
    /* parts of a key */
    CKA_LABEL, CKA_ID, CKA_START_DATE, CKA_END_DATE, CKA_MODULUS, CKA_PUBLIC_EXPONENT, CKA_EC_PARAMS, CKA_EC_POINT,
    CKA_PUBLIC_KEY_INFO,
};
/* clang-format on */
#define ATTRIBUTES_MAX 32U

/* ---- Telling ---- */

static enum hsmart_code
set_problem(struct hs_token_key *key, enum hsmart_code code, const char *text, hsmart_err *err)
{
    if (key->info.problem != HSMART_OK)
        return HSMART_OK;
    key->info.problem = code;
    enum hsmart_code copied = hs_strdup(text, &key->problem_text, err);
    key->info.problem_text = key->problem_text;
    return copied;
}

static enum hsmart_code
copy_label(struct hs_token_key *key, struct hs_span label, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = hs_buf_append(&key->raw_label, label, err);

    if (code == HSMART_OK)
        code = hs_buf_append(&text, label, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&text, &key->label, err);
    if (code == HSMART_OK)
        hs_text_sanitize(key->label);
    key->info.label = key->label;
    hs_buf_clear(&text);
    return code;
}

/* CK_DATE is "YYYYMMDD"; an empty one, or one that holds anything else, means none. */
static enum hsmart_code
copy_date(struct hs_span date, char **out_text, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code;

    for (size_t i = 0; i < date.len; i++)
        if (date.data[i] < '0' || date.data[i] > '9')
            return HSMART_OK;
    if (date.len != sizeof(CK_DATE))
        return HSMART_OK;
    code = hs_buf_append_format(&text, err, "%.4s-%.2s-%.2s", (const char *)date.data, (const char *)date.data + 4,
                                (const char *)date.data + 6);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&text, out_text, err);
    hs_buf_clear(&text);
    return code;
}

static enum hsmart_code
tell_dates(struct hs_token_key *key, struct hs_span start, struct hs_span end, hsmart_err *err)
{
    char *start_date = NULL, *end_date = NULL;
    enum hsmart_code code = copy_date(start, &start_date, err);

    if (code == HSMART_OK)
        code = copy_date(end, &end_date, err);
    if (code != HSMART_OK) {
        hs_string_free(start_date);
        return code;
    }
    hs_string_free(key->start_date);
    hs_string_free(key->end_date);
    key->info.start_date = key->start_date = start_date;
    key->info.end_date = key->end_date = end_date;
    return HSMART_OK;
}

static enum hsmart_code
copy_identity(struct hs_token_key *key, struct hs_span label, struct hs_span id, hsmart_err *err)
{
    struct hs_buf uri = {0};
    enum hsmart_code code = copy_label(key, label, err);

    if (code == HSMART_OK)
        code = hs_buf_append(&key->id, id, err);
    if (code == HSMART_OK)
        code = hs_p11_uri_format_key(hs_p11_token_get_raw_info(key->token), label, id, &uri, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&uri, &key->uri, err);
    key->info.id = key->id.data;
    key->info.id_len = key->id.len;
    key->info.uri = key->uri;
    hs_buf_clear(&uri);
    return code;
}

static enum hsmart_code
copy_type(struct hs_token_key *key, CK_KEY_TYPE type, hsmart_err *err)
{
    struct hs_buf text = {0};
    const char *name = type == CKK_RSA ? "RSA" : type == CKK_EC ? "EC" : hs_p11_key_type_name(type);
    enum hsmart_code code =
        name != NULL ? hs_buf_append_str(&text, name, err) : hs_buf_append_format(&text, err, "key type 0x%lx", type);

    if (code == HSMART_OK)
        code = hs_buf_take_text(&text, &key->type_name, err);
    key->info.type = key->type_name;
    hs_buf_clear(&text);
    return code;
}

/* ---- Which algorithms ---- */

static bool
allows_mechanism(const struct hs_token_key *key, CK_MECHANISM_TYPE type)
{
    CK_MECHANISM_TYPE allowed;

    for (size_t at = 0; at + sizeof allowed <= key->allowed_mechanisms.len; at += sizeof allowed) {
        memcpy(&allowed, key->allowed_mechanisms.data + at, sizeof allowed);
        if (allowed == type)
            return true;
    }
    return false;
}

/* A token that reports no list, or an empty one, limits the key to nothing. */
static bool
is_limited(const struct hs_token_key *key)
{
    return key->allowed_mechanisms.len >= sizeof(CK_MECHANISM_TYPE);
}

static bool
permits(const struct hs_token_key *key, const struct hs_alg *alg)
{
    const struct hs_mechanism_row *row;

    if (!is_limited(key))
        return true;
    for (size_t i = 0; (row = hs_mechanism_of(alg, i)) != NULL; i++)
        if (allows_mechanism(key, row->type))
            return true;
    return false;
}

/* Whether the key is limited to this algorithm by name: raw RSA would do for any hash. */
static bool
is_made_for(const struct hs_token_key *key, const struct hs_alg *alg)
{
    const struct hs_mechanism_row *row;

    for (size_t i = 0; (row = hs_mechanism_of(alg, i)) != NULL; i++)
        if (row->input == HS_INPUT_MESSAGE && allows_mechanism(key, row->type))
            return true;
    return false;
}

/* The first algorithm that fits the public half and that the private one was made for, else may be used for; NULL:
 * none. */
static const struct hs_alg *
default_alg(const struct hs_token_key *key)
{
    const struct hs_alg *permitted = NULL;

    for (size_t i = 0; i < hs_alg_count; i++) {
        const struct hs_alg *alg = &hs_algs[i];
        if (!hs_alg_fits(alg, key->jwk.type, key->jwk.curve) || !permits(key, alg))
            continue;
        if (permitted == NULL)
            permitted = alg;
        if (is_made_for(key, alg))
            return alg;
    }
    return permitted;
}

enum hsmart_code
hs_token_key_choose_alg(const struct hs_token_key *key, const char *name, const struct hs_alg **out_alg,
                        hsmart_err *err)
{
    const struct hs_alg *alg = hs_alg_by_name(name != NULL ? name : key->info.alg);

    if (alg == NULL && name == NULL)
        return hs_err_set(err, HSMART_KEY_UNUSABLE, "there is no algorithm for it");
    if (alg == NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%s\" is not an algorithm that hsmart signs with", name);
    if (!hs_alg_fits(alg, key->jwk.type, key->jwk.curve)) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "%s does not fit a key of type %s", alg->name,
                         key->info.curve != NULL ? key->info.curve : key->info.type);
        hs_err_hint(err, "the key can do %s; without an algorithm named it does %s",
                    hs_alg_names(key->jwk.type, key->jwk.curve), key->info.alg != NULL ? key->info.alg : "nothing");
        return HSMART_INVALID_ARGUMENT;
    }
    if (!permits(key, alg)) {
        (void)hs_err_set(err, HSMART_TOKEN_INCAPABLE, "its CKA_ALLOWED_MECHANISMS does not permit %s", alg->name);
        hs_err_hint(err, "the key signs %s; for %s make another one: hsmart-key generate --alg %s --label LABEL",
                    key->info.alg != NULL ? key->info.alg : "nothing", alg->name, alg->name);
        return HSMART_TOKEN_INCAPABLE;
    }
    *out_alg = alg;
    return HSMART_OK;
}

/* ---- Telling what is known ---- */

static void
tell_public_half(struct hs_token_key *key)
{
    const struct hs_alg *alg = default_alg(key);

    key->info.curve = key->jwk.curve != NULL ? key->jwk.curve->name : NULL;
    key->info.bits = key->jwk.bits;
    key->info.thumbprint = key->jwk.thumbprint;
    key->info.alg = alg != NULL ? alg->name : NULL;
}

static enum hsmart_code
tell_attributes(struct hs_token_key *key, const struct hs_p11_attribute *reported, hsmart_err *err)
{
    bool value = false;

    key->attributes = hs_calloc(hs_policy_row_count, sizeof *key->attributes);
    if (key->attributes == NULL)
        return hs_err_no_memory(err);
    for (size_t i = 0; i < hs_policy_row_count; i++) {
        const struct hs_policy_row *row = &hs_policy_rows[i];
        bool is_reported = hs_p11_attribute_get_bool(&reported[i], &value);
        key->attributes[i] = (hsmart_key_attribute){
            .name = row->name,
            .wanted = row->wanted ? HSMART_ANSWER_YES : HSMART_ANSWER_NO,
            .reported = !is_reported ? HSMART_ANSWER_NOT_REPORTED
                        : value      ? HSMART_ANSWER_YES
                                     : HSMART_ANSWER_NO,
            .required = row->weight != HS_POLICY_WISHED,
        };
    }
    key->info.attributes = key->attributes;
    key->info.attribute_count = hs_policy_row_count;
    return HSMART_OK;
}

/* What the attributes and the public key mean for signing; the first problem stays. */
static enum hsmart_code
judge(struct hs_token_key *key, hsmart_err *err)
{
    static const struct {
        enum hs_policy_weight weight;
        enum hsmart_code code;
        const char *text;
    } verdicts[] = {
        {HS_POLICY_NEEDED, HSMART_KEY_UNUSABLE, "it may not sign: the token reports CKA_SIGN false"},
        {HS_POLICY_LEAKS, HSMART_POLICY_REFUSED,
         "the token would give it away: CKA_EXTRACTABLE true or CKA_SENSITIVE false"},
    };
    enum hsmart_code code = HSMART_OK;
    hsmart_err why = {0};

    for (size_t v = 0; v < HS_ARRAY_LEN(verdicts); v++)
        for (size_t i = 0; i < hs_policy_row_count && code == HSMART_OK; i++)
            if (hs_policy_rows[i].weight == verdicts[v].weight && hs_policy_is_broken(&key->attributes[i]))
                code = set_problem(key, verdicts[v].code, verdicts[v].text, err);
    if (code == HSMART_OK && key->jwk.pkey != NULL && key->info.alg == NULL)
        code = set_problem(key, HSMART_KEY_UNUSABLE,
                           "its CKA_ALLOWED_MECHANISMS has none by which an algorithm of JWS is signed", err);
    if (code == HSMART_OK && hs_token_key_check_strength(key, &why) != HSMART_OK)
        code = set_problem(key, why.code, why.text, err);
    return code;
}

enum hsmart_code
hs_token_key_check_strength(const struct hs_token_key *key, hsmart_err *err)
{
    if (key->jwk.type != HS_KEY_RSA || key->jwk.pkey == NULL)
        return HSMART_OK;
    if (key->jwk.bits < HS_RSA_MIN_BITS)
        return hs_err_set(err, HSMART_POLICY_REFUSED, "its RSA modulus has %u bits, fewer than the %u required",
                          key->jwk.bits, HS_RSA_MIN_BITS);
    if (hs_roca_is_suspect(hs_span_buf(&key->jwk.n)))
        return hs_err_set(
            err, HSMART_POLICY_REFUSED,
            "its RSA modulus has the form of CVE-2017-15361 (ROCA): whoever has the public key can compute "
            "the private one");
    return HSMART_OK;
}

bool
hs_token_key_may_leave(const struct hs_token_key *key)
{
    for (size_t i = 0; i < key->info.attribute_count; i++)
        if (hs_policy_rows[i].weight == HS_POLICY_LEAKS && hs_policy_is_broken(&key->attributes[i]))
            return true;
    return false;
}

/* ---- One key ---- */

static enum hsmart_code
key_new(struct hs_p11_token *token, struct hs_token_key **out_key, hsmart_err *err)
{
    struct hs_token_key *key = hs_calloc(1, sizeof *key);

    if (key == NULL)
        return hs_err_no_memory(err);
    key->token = hs_p11_token_ref(token);
    key->info.label = "";
    *out_key = key;
    return HSMART_OK;
}

void
hs_token_key_free(struct hs_token_key *key)
{
    if (key == NULL)
        return;
    hs_jwk_clear(&key->jwk);
    hs_string_free(key->label);
    hs_string_free(key->uri);
    hs_string_free(key->type_name);
    hs_string_free(key->problem_text);
    hs_string_free(key->start_date);
    hs_string_free(key->end_date);
    hs_buf_clear(&key->id);
    hs_buf_clear(&key->raw_label);
    hs_buf_clear(&key->allowed_mechanisms);
    hs_free(key->attributes);
    hs_p11_token_unref(key->token);
    hs_free(key);
}

/* Reads the public half into the key. That it cannot be had, or used, is a problem of the key and not of the call. */
static enum hsmart_code
fill_public_half(struct hs_token_key *key, struct hs_p11_session *session, const struct hs_key_parts *parts,
                 struct hs_public_list *publics, hsmart_err *err)
{
    hsmart_err why = {0};
    enum hsmart_code code;

    if (parts->type != CKK_RSA && parts->type != CKK_EC)
        return set_problem(key, HSMART_KEY_UNUSABLE, "its type is neither RSA nor EC (P-256, P-384, P-521)", err);
    code = hs_public_half_read(session, parts, publics, &key->jwk, &why);
    /* The private object is often not modifiable, and keeps the dates that it was made with. */
    struct hs_span start, end;
    if (code == HSMART_OK && hs_public_half_dates(parts, publics, &start, &end))
        code = tell_dates(key, start, end, &why);
    if (code == HSMART_OK)
        tell_public_half(key);
    else if (code == HSMART_KEY_UNUSABLE)
        code = set_problem(key, code, why.text, err);
    else if (err != NULL)
        *err = why;
    return code;
}

static enum hsmart_code
read_attributes(struct hs_p11_session *session, struct hs_p11_object object,
                struct hs_p11_attribute attributes[ATTRIBUTES_MAX], hsmart_err *err)
{
    size_t count = PLAIN_COUNT + hs_policy_row_count;
    enum hsmart_code code;

    if (count > ATTRIBUTES_MAX)
        return hs_err_set(err, HSMART_INTERNAL, "the policy has more rows than there is room for");
    for (size_t i = 0; i < count; i++)
        attributes[i].type = i < PLAIN_COUNT ? plain_types[i] : hs_policy_rows[i - PLAIN_COUNT].type;
    code = hs_p11_session_read(session, object, attributes, count, err);
    return code == HSMART_OK ? hs_key_check_was_read(session, &attributes[KEY_TYPE], err) : code;
}

/* What the private object alone tells. */
static enum hsmart_code
tell_private_half(struct hs_token_key *key, const struct hs_key_parts *parts, const struct hs_p11_attribute *attributes,
                  hsmart_err *err)
{
    enum hsmart_code code = copy_identity(key, parts->label, parts->id, err);

    key->info.has_private = true;
    (void)hs_p11_attribute_get_bool(&attributes[ALWAYS_AUTHENTICATE], &key->always_authenticate);
    if (code == HSMART_OK)
        code = copy_type(key, parts->type, err);
    if (code == HSMART_OK)
        code = tell_dates(key, parts->start_date, parts->end_date, err);
    if (code == HSMART_OK)
        code = hs_buf_append(&key->allowed_mechanisms, hs_key_value(&attributes[ALLOWED_MECHANISMS]), err);
    if (code == HSMART_OK)
        code = tell_attributes(key, attributes + PLAIN_COUNT, err);
    return code;
}

enum hsmart_code
hs_token_key_read(struct hs_p11_token *token, struct hs_p11_session *session, struct hs_p11_object object,
                  struct hs_public_list *publics, struct hs_token_key **out_key, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_p11_attribute attributes[ATTRIBUTES_MAX] = {0};
    struct hs_token_key *key = NULL;

    code = read_attributes(session, object, attributes, err);
    if (code != HSMART_OK)
        goto out;
    code = key_new(token, &key, err);
    if (code != HSMART_OK)
        goto out;
    key->handle = object.handle;
    key->generation = session->generation;
    struct hs_key_parts parts = hs_key_parts_of(attributes, PLAIN_COUNT);
    code = tell_private_half(key, &parts, attributes, err);
    if (code != HSMART_OK)
        goto out;
    code = fill_public_half(key, session, &parts, publics, err);
    if (code != HSMART_OK)
        goto out;
    code = judge(key, err);
    if (code != HSMART_OK)
        goto out;
    *out_key = key;
    key = NULL;
out:
    hs_token_key_free(key);
    hs_p11_attributes_clear(attributes, ATTRIBUTES_MAX);
    return code;
}

enum hsmart_code
hs_token_key_read_lone_public(struct hs_p11_token *token, const struct hs_key_parts *parts,
                              struct hs_token_key **out_key, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_token_key *key = NULL;

    code = key_new(token, &key, err);
    if (code == HSMART_OK)
        code = copy_identity(key, parts->label, parts->id, err);
    if (code == HSMART_OK)
        code = copy_type(key, parts->type, err);
    if (code != HSMART_OK)
        goto out;
    if (hs_public_half_from_parts(parts, &key->jwk, NULL) == HSMART_OK)
        tell_public_half(key);
    code = set_problem(key, HSMART_KEY_UNUSABLE,
                       "only its public half is here: the private key object is missing, or not visible without login",
                       err);
    if (code != HSMART_OK)
        goto out;
    *out_key = key;
    key = NULL;
out:
    hs_token_key_free(key);
    return code;
}
