#include "assertion_view.h"

#include <stdio.h>

#include "base64url.h"
#include "clock.h"
#include "err.h"
#include "lack.h"

#define MILLISECONDS_MIN INT64_C(100000000000) /* as seconds, the year 5138 */

bool
hs_view_time(const hs_json_value *payload, const char *name, int64_t *out_time_s)
{
    const hs_json_value *member = hs_json_member(payload, name);

    if (hs_json_type_of(member) != HS_JSON_INTEGER || hs_json_integer(member) >= MILLISECONDS_MIN)
        return false;
    *out_time_s = hs_json_integer(member);
    return true;
}

/* The most basic lack says it. */
static const struct hs_lack lacks[] = {
    {HAVE_PARTS, "there are not three parts"},
    {HAVE_TEXT, "neither header nor payload can be decoded"},
    {HAVE_HEADER, "there is no header that can be read"},
    {HAVE_PAYLOAD, "there is no payload that can be read"},
    {HAVE_SIGNATURE, "there is no signature that can be decoded"},
    {HAVE_ALG, "the alg is not known"},
    {HAVE_JWKS, "no JWKS is given"},
    {HAVE_KID, "there is no kid"},
    {HAVE_LOOKUP, "there is no kid"},
    {HAVE_KEY, "the key is not found"},
    {HAVE_FITTING_ALG, "the alg does not fit the key"},
    {HAVE_LENGTH_RULE, "the key is not known, which the length depends on"},
    {HAVE_RIGHT_LENGTH, "the signature has the wrong length"},
    {HAVE_ISS_AND_SUB, "iss or sub is missing"},
    {HAVE_SUBJECT, "iss and sub are missing"},
    {HAVE_CLIENT_ID, "no client id is given"},
    {HAVE_AUD, "there is no aud"},
    {HAVE_AUDIENCE, "no audience is given"},
    {HAVE_EXP, "there is no exp that is a time"},
    {HAVE_JTI, "there is no jti that is a string"},
    {HAVE_MEMORY, "no memory of earlier assertions is given"},
    {HAVE_JKU_VERDICT, "no registered JWKS URL is given"},
    {HAVE_SERVED, "the JWKS was not read from a URL"},
    {HAVE_SERVER, "no server is named"},
};

const char *
hs_view_lack(unsigned lacking)
{
    return hs_lack_words(lacks, HS_ARRAY_LEN(lacks), lacking);
}

static bool
has_text(const hs_json_value *object, const char *name)
{
    return hs_json_string(hs_json_member(object, name)).len > 0;
}

/* ---- Parts ---- */

static void
split(struct assertion_view *view)
{
    size_t start = 0;

    if (view->text.len == 0)
        return;
    for (size_t i = 0; i <= view->text.len; i++) {
        if (i < view->text.len && view->text.data[i] != '.')
            continue;
        if (view->part_count < PART_COUNT)
            view->parts[view->part_count].text = (struct hs_span){view->text.data + start, i - start};
        view->part_count++;
        start = i + 1;
    }
}

static void
decode_part(struct hs_check *check, struct part *part)
{
    enum hsmart_code code = hs_base64url_decode(part->text, &part->bytes, &part->why);

    part->clean = !hs_check_is_fault(check, code);
}

/* The object that stands in the part; NULL when there is none. */
static const hs_json_value *
parse_part(struct hs_check *check, struct part *part)
{
    if (!part->clean || hs_check_is_fault(check, hs_json_parse(hs_span_buf(&part->bytes), &part->doc, &part->why)))
        return NULL;
    if (hs_json_type_of(part->doc.root) == HS_JSON_OBJECT)
        return part->doc.root;
    (void)hs_err_set(&part->why, HSMART_INPUT_MALFORMED, "it is %s", hs_json_type_words(part->doc.root));
    return NULL;
}

static void
view_parts(struct hs_check *check, struct assertion_view *view)
{
    split(view);
    if (view->part_count != PART_COUNT)
        return;
    view->have |= HAVE_PARTS;
    for (size_t i = 0; i < PART_COUNT; i++)
        decode_part(check, &view->parts[i]);
    if (view->parts[PART_HEADER].clean || view->parts[PART_PAYLOAD].clean)
        view->have |= HAVE_TEXT;
    if (view->parts[PART_SIGNATURE].clean)
        view->have |= HAVE_SIGNATURE;
    view->header = parse_part(check, &view->parts[PART_HEADER]);
    view->payload = parse_part(check, &view->parts[PART_PAYLOAD]);
}

static void
view_header(struct assertion_view *view)
{
    const hs_json_value *jku = hs_json_member(view->header, "jku");
    const char *alg = hs_json_text(hs_json_member(view->header, "alg"));
    const char *jku_text = hs_json_text(jku);

    if (view->header == NULL)
        return;
    view->have |= HAVE_HEADER;
    view->alg = alg != NULL ? hs_alg_by_name(alg) : NULL;
    if (view->alg != NULL)
        view->have |= HAVE_ALG;
    if (has_text(view->header, "kid"))
        view->have |= HAVE_KID | HAVE_LOOKUP;
    if (view->expected->jku != NULL || jku_text == NULL || strncmp(jku_text, "https://", strlen("https://")) != 0)
        view->have |= HAVE_JKU_VERDICT;
}

static void
view_payload(struct assertion_view *view)
{
    int64_t exp_s;
    bool has_iss = has_text(view->payload, "iss"), has_sub = has_text(view->payload, "sub");

    if (view->payload == NULL)
        return;
    view->have |= HAVE_PAYLOAD;
    if (has_iss && has_sub)
        view->have |= HAVE_ISS_AND_SUB;
    if (has_iss || has_sub)
        view->have |= HAVE_SUBJECT;
    if (has_text(view->payload, "aud") || hs_json_length(hs_json_member(view->payload, "aud")) > 0)
        view->have |= HAVE_AUD;
    if (hs_view_time(view->payload, "exp", &exp_s))
        view->have |= HAVE_EXP;
    if (has_text(view->payload, "jti"))
        view->have |= HAVE_JTI;
}

/* ---- The key ---- */

static bool
is_of_type(const hs_json_value *key, enum hs_key_type type)
{
    return hs_span_equal_str(hs_json_string(hs_json_member(key, "kty")), type == HS_KEY_RSA ? "RSA" : "EC");
}

/* Every key with this kid, of `alg`'s type only when it is not NULL; `out_key` is set to the last one. */
static size_t
count_keys(const hs_json_value *keys, struct hs_span kid, const struct hs_alg *alg, const hs_json_value **out_key)
{
    size_t count = 0;

    for (size_t i = 0; i < hs_json_length(keys); i++) {
        const hs_json_value *key = hs_json_element(keys, i);
        if (!hs_span_equal(hs_json_string(hs_json_member(key, "kid")), kid) ||
            (alg != NULL && !is_of_type(key, alg->key_type)))
            continue;
        *out_key = key;
        count++;
    }
    return count;
}

/* Of servers that do without a kid: the one key of alg's type, if there is one only. */
static const hs_json_value *
find_only_key(struct assertion_view *view)
{
    const hs_json_value *keys = hs_json_member(view->jwks.root, "keys"), *found = NULL;
    size_t count = 0;

    for (size_t i = 0; view->alg != NULL && i < hs_json_length(keys); i++)
        if (is_of_type(hs_json_element(keys, i), view->alg->key_type)) {
            found = hs_json_element(keys, i);
            count++;
        }
    if (count != 1)
        (void)hs_err_set(&view->key_err, count == 0 ? HSMART_KEY_ABSENT : HSMART_KEY_AMBIGUOUS,
                         "there is no kid, and %zu keys of the JWKS could be meant", count);
    return count == 1 ? found : NULL;
}

/* By kid, and by type where that leaves several (SMART, "signature verification"); NULL when it is not one. */
static const hs_json_value *
find_key(struct assertion_view *view)
{
    const hs_json_value *keys = hs_json_member(view->jwks.root, "keys"), *key = NULL;
    struct hs_span kid = hs_json_string(hs_json_member(view->header, "kid"));
    size_t count = count_keys(keys, kid, NULL, &key);

    if (count > 1 && view->alg != NULL)
        count = count_keys(keys, kid, view->alg, &key);
    if (hs_json_type_of(keys) != HS_JSON_ARRAY)
        (void)hs_err_set(&view->key_err, HSMART_INPUT_MALFORMED, "the JWKS has no array of keys");
    else if (count == 0)
        (void)hs_err_set(&view->key_err, HSMART_KEY_ABSENT, "none of the %zu keys of the JWKS has the kid %s",
                         hs_json_length(keys), hs_excerpt_of_value(hs_json_member(view->header, "kid")).text);
    else if (count > 1)
        (void)hs_err_set(&view->key_err, HSMART_KEY_AMBIGUOUS, "%zu keys of the JWKS have the kid %s", count,
                         hs_excerpt_of_value(hs_json_member(view->header, "kid")).text);
    return count == 1 ? key : NULL;
}

static void
view_key(struct hs_check *check, struct assertion_view *view)
{
    if (view->expected->jwks.data == NULL)
        return;
    view->have |= HAVE_JWKS;
    if (hs_check_takes(check, "L06") && view->header != NULL)
        view->have |= HAVE_LOOKUP;
    if (hs_check_is_fault(check, hs_json_parse(view->expected->jwks, &view->jwks, &view->key_err))) {
        (void)hs_err_wrap(&view->key_err, HSMART_INPUT_MALFORMED, "the JWKS");
        return;
    }
    if ((view->have & HAVE_LOOKUP) == 0)
        return;
    const hs_json_value *key = (view->have & HAVE_KID) != 0 ? find_key(view) : find_only_key(view);
    if (key == NULL)
        return;
    if (hs_check_is_fault(check, hs_jwk_parse(key, &view->key, &view->key_err))) {
        (void)hs_err_wrap(&view->key_err, HSMART_INPUT_MALFORMED, "the key with the kid %s in the JWKS",
                          hs_excerpt_of_value(hs_json_member(key, "kid")).text);
        return;
    }
    view->have |= HAVE_KEY;
    if (view->alg != NULL && hs_alg_fits(view->alg, view->key.type, view->key.curve))
        view->have |= HAVE_FITTING_ALG;
}

/* ---- The signature ---- */

static bool
is_ecdsa(const struct assertion_view *view)
{
    return view->alg != NULL && view->alg->key_type == HS_KEY_EC;
}

/* A SEQUENCE that fills the signature exactly (X.690), and is not r and s by its length. */
bool
hs_view_looks_like_der(const struct assertion_view *view)
{
    const struct hs_buf *signature = &view->parts[PART_SIGNATURE].bytes;

    if (!is_ecdsa(view) || signature->len < 8 || signature->len == view->signature_len || signature->data[0] != 0x30)
        return false;
    if (signature->data[1] < 0x80)
        return signature->data[1] == signature->len - 2;
    return signature->data[1] == 0x81 && signature->data[2] == signature->len - 3;
}

static void
view_signature(struct assertion_view *view)
{
    if ((view->have & HAVE_FITTING_ALG) != 0)
        view->signature_len = hs_jwk_signature_len(&view->key);
    else if ((view->have & HAVE_KEY) == 0 && is_ecdsa(view))
        view->signature_len = 2 * hs_curve_by_name(view->alg->curve)->field_len;
    if (view->signature_len == 0)
        return;
    view->have |= HAVE_LENGTH_RULE;
    if (view->parts[PART_SIGNATURE].clean && view->parts[PART_SIGNATURE].bytes.len == view->signature_len)
        view->have |= HAVE_RIGHT_LENGTH;
}

/* ---- All of it ---- */

void
hs_assertion_view_make(struct hs_check *check, struct hs_span text, const struct hs_assertion_expectation *expected,
                       struct assertion_view *out_view)
{
    const struct hs_server_row *server = expected->server;

    *out_view = (struct assertion_view){.expected = expected, .text = text, .habits = hs_habits_of(server)};
    out_view->type = expected->type != NULL ? expected->type : server != NULL ? server->assertion_type : NULL;
    if (out_view->type == NULL)
        out_view->type = "JWT";
    out_view->now_s = expected->now_s != 0 ? expected->now_s : hs_clock_now_s();
    out_view->have |= expected->client_id != NULL ? HAVE_CLIENT_ID : 0;
    out_view->have |= expected->audience != NULL ? HAVE_AUDIENCE : 0;
    out_view->have |= expected->is_seen != NULL ? HAVE_MEMORY : 0;
    out_view->have |= expected->jwks_served != NULL ? HAVE_SERVED : 0;
    out_view->have |= server != NULL ? HAVE_SERVER : 0;
    view_parts(check, out_view);
    view_header(out_view);
    view_payload(out_view);
    view_key(check, out_view);
    view_signature(out_view);
}

void
hs_assertion_view_clear(struct assertion_view *view)
{
    for (size_t i = 0; i < PART_COUNT; i++) {
        hs_buf_clear(&view->parts[i].bytes);
        hs_json_doc_clear(&view->parts[i].doc);
    }
    hs_json_doc_clear(&view->jwks);
    hs_jwk_clear(&view->key);
}
