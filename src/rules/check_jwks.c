#include "check_report.h"

#include <stdio.h>

#include <openssl/evp.h>

#include "base64url.h"
#include "check_served.h"
#include "check_server.h"
#include "err.h"
#include "jwk.h"
#include "lack.h"
#include "plain_base64.h"

#define KEYS_MAX 1000U /* looked at; a report on more would help nobody */
#define RSA_EXPONENT_MIN 3U

/* A member that is base64url. */
struct bytes_member {
    bool present; /* as a string */
    bool clean;
    struct hs_buf bytes;
};

/* One entry of the set, taken apart as far as that goes. */
struct key_view {
    const hs_json_value *value;
    char name[sizeof((struct hs_excerpt *)NULL)->text + 32]; /* for messages: key 2 ("ehr-2026") */
    const char *kty;                                         /* NULL: no string */
    bool rsa, ec;
    const char *crv;
    const struct hs_curve *curve;
    struct bytes_member n, e, x, y;
};

struct set_view {
    const struct hs_jwks_expectation *expected;
    bool has_mark; /* a byte order mark, which everything else overlooks */
    struct hs_json_doc doc;
    enum hsmart_code parse_code;
    hsmart_err parse_err;
    const hs_json_value *keys; /* NULL: no array of keys */
    struct key_view *views;
    size_t count;
};

/* ---- Taking apart ---- */

static void
view_bytes(struct hs_check *check, const hs_json_value *key, const char *name, struct bytes_member *out)
{
    const hs_json_value *member = hs_json_member(key, name);

    out->present = hs_json_type_of(member) == HS_JSON_STRING;
    if (!out->present)
        return;
    enum hsmart_code code = hs_base64url_decode(hs_json_string(member), &out->bytes, NULL);
    out->clean = !hs_check_is_fault(check, code);
}

static void
view_key(struct hs_check *check, const hs_json_value *value, size_t index, struct key_view *out)
{
    const hs_json_value *kid = hs_json_member(value, "kid");

    out->value = value;
    if (hs_json_type_of(kid) == HS_JSON_STRING)
        (void)snprintf(out->name, sizeof out->name, "key %zu (%s)", index + 1, hs_excerpt_of_value(kid).text);
    else
        (void)snprintf(out->name, sizeof out->name, "key %zu", index + 1);
    out->kty = hs_json_text(hs_json_member(value, "kty"));
    out->rsa = out->kty != NULL && strcmp(out->kty, "RSA") == 0;
    out->ec = out->kty != NULL && strcmp(out->kty, "EC") == 0;
    out->crv = hs_json_text(hs_json_member(value, "crv"));
    out->curve = out->crv != NULL ? hs_curve_by_name(out->crv) : NULL;
    view_bytes(check, value, "n", &out->n);
    view_bytes(check, value, "e", &out->e);
    view_bytes(check, value, "x", &out->x);
    view_bytes(check, value, "y", &out->y);
}

static void
view_set(struct hs_check *check, struct hs_span text, struct set_view *out)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};

    out->has_mark = text.len >= sizeof mark && memcmp(text.data, mark, sizeof mark) == 0;
    if (out->has_mark)
        text = (struct hs_span){text.data + sizeof mark, text.len - sizeof mark};
    out->parse_code = hs_json_parse(text, &out->doc, &out->parse_err);
    if (hs_check_is_fault(check, out->parse_code) || check->code != HSMART_OK)
        return;
    const hs_json_value *keys = hs_json_member(out->doc.root, "keys");
    if (hs_json_type_of(keys) != HS_JSON_ARRAY)
        return;
    size_t count = hs_json_length(keys) < KEYS_MAX ? hs_json_length(keys) : KEYS_MAX;
    out->views = hs_calloc(count + 1, sizeof *out->views);
    if (out->views == NULL) {
        check->code = hs_err_no_memory(check->err);
        return;
    }
    out->keys = keys;
    out->count = count;
    for (size_t i = 0; i < count; i++)
        view_key(check, hs_json_element(keys, i), i, &out->views[i]);
}

static void
clear_set(struct set_view *set)
{
    for (size_t i = 0; i < set->count; i++) {
        hs_buf_clear(&set->views[i].n.bytes);
        hs_buf_clear(&set->views[i].e.bytes);
        hs_buf_clear(&set->views[i].x.bytes);
        hs_buf_clear(&set->views[i].y.bytes);
    }
    hs_free(set->views);
    hs_json_doc_clear(&set->doc);
}

/* ---- Rules on the set ---- */

/* Types that are not ours are no fault: servers pass over keys that they do not know (RFC 7517 section 5). */
static bool
check_shape(struct hs_check *check, const struct key_view *key)
{
    static const struct {
        const char *kty, *members[4];
    } shapes[] = {{"RSA", {"n", "e", NULL}}, {"EC", {"crv", "x", "y", NULL}}};

    if (hs_json_type_of(key->value) != HS_JSON_OBJECT) {
        hs_check_find(check, "%s is %s, but must be an object", key->name, hs_json_type_words(key->value));
        return false;
    }
    if (key->kty == NULL) {
        hs_check_find(check, "%s: the member \"kty\" is %s, but must be a string", key->name,
                      hs_json_type_words(hs_json_member(key->value, "kty")));
        return false;
    }
    for (size_t i = 0; i < HS_ARRAY_LEN(shapes); i++) {
        if (strcmp(shapes[i].kty, key->kty) != 0)
            continue;
        bool complete = true;
        for (const char *const *name = shapes[i].members; *name != NULL; name++) {
            const hs_json_value *member = hs_json_member(key->value, *name);
            if (hs_json_type_of(member) == HS_JSON_STRING)
                continue;
            hs_check_find(check, "%s: the member \"%s\" is %s, but must be a string", key->name, *name,
                          hs_json_type_words(member));
            complete = false;
        }
        return complete;
    }
    return false;
}

static void
check_set_type(struct hs_check *check, const struct set_view *set)
{
    const hs_json_value *root = set->doc.root;

    if (set->parse_code != HSMART_OK)
        hs_check_find(check, "%s", set->parse_err.text);
    else if (hs_json_type_of(root) != HS_JSON_OBJECT)
        hs_check_find(check, "a key set must be an object, but this is %s", hs_json_type_words(root));
    else if (hs_json_member(root, "keys") == NULL && hs_json_member(root, "kty") != NULL)
        hs_check_find(check, "this is a single key, not a set: the member \"keys\" is absent");
    else
        hs_check_find(check, "the member \"keys\" is %s, but must be an array",
                      hs_json_type_words(hs_json_member(root, "keys")));
}

static void
k01_set(struct hs_check *check, const struct set_view *set)
{
    size_t usable_count = 0, error_count = check->report.error_count;

    if (set->keys == NULL) {
        check_set_type(check, set);
        return;
    }
    for (size_t i = 0; i < set->count; i++)
        usable_count += check_shape(check, &set->views[i]) ? 1 : 0;
    if (set->count < hs_json_length(set->keys))
        hs_check_find(check, "the set has %zu keys: only the first %u were looked at", hs_json_length(set->keys),
                      KEYS_MAX);
    if (usable_count == 0 && check->report.error_count == error_count)
        hs_check_find(check, "there is no key of the type RSA or EC among the %zu of the set", set->count);
}

static void
k03_unique_kid(struct hs_check *check, const struct set_view *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct hs_span kid = hs_json_string(hs_json_member(set->views[i].value, "kid"));
        for (size_t j = 0; kid.len > 0 && j < i; j++) {
            if (!hs_span_equal(kid, hs_json_string(hs_json_member(set->views[j].value, "kid"))))
                continue;
            hs_check_find(check, "%s has the same kid as key %zu", set->views[i].name, j + 1);
            break;
        }
    }
}

/* ---- Rules on one key ---- */

static void
k02_kid(struct hs_check *check, const struct key_view *key)
{
    const hs_json_value *kid = hs_json_member(key->value, "kid");

    if (hs_json_type_of(kid) != HS_JSON_STRING)
        hs_check_find(check, "%s: the member \"kid\" is %s, but must be a string", key->name, hs_json_type_words(kid));
    else if (hs_json_string(kid).len == 0)
        hs_check_find(check, "%s: the member \"kid\" is empty", key->name);
}

static void
k04_no_secret(struct hs_check *check, const struct key_view *key)
{
    char names[64] = "";
    size_t len = 0;

    for (size_t i = 0; i < hs_jwk_private_member_count; i++)
        if (hs_json_member(key->value, hs_jwk_private_members[i]) != NULL)
            len += (size_t)snprintf(names + len, sizeof names - len, "%s%s", len > 0 ? ", " : "",
                                    hs_jwk_private_members[i]);
    if (len > 0)
        hs_check_find(check, "%s has private or secret members: %s", key->name, names);
    else if (key->kty != NULL && strcmp(key->kty, "oct") == 0)
        hs_check_find(check, "%s is of the symmetric type \"oct\"", key->name);
}

/* True when the coordinate can be part of a point. */
static bool
check_coordinate(struct hs_check *check, const struct key_view *key, const char *name,
                 const struct bytes_member *member)
{
    if (!member->clean)
        return false;
    if (member->bytes.len == key->curve->field_len)
        return true;
    hs_check_find(check, "%s: the member \"%s\" is %zu bytes long, but on %s it must be %zu", key->name, name,
                  member->bytes.len, key->curve->name, key->curve->field_len);
    return false;
}

static void
check_point(struct hs_check *check, const struct key_view *key)
{
    enum hsmart_code code;
    struct hs_buf point = {0};
    struct hs_jwk jwk = {0};

    code = hs_buf_append(&point, HS_SPAN_OF(((const uint8_t[]){0x04})), NULL);
    if (code == HSMART_OK)
        code = hs_buf_append(&point, hs_span_buf(&key->x.bytes), NULL);
    if (code == HSMART_OK)
        code = hs_buf_append(&point, hs_span_buf(&key->y.bytes), NULL);
    if (code == HSMART_OK)
        code = hs_jwk_from_ec_point(key->curve, hs_span_buf(&point), &jwk, NULL);
    if (hs_check_is_fault(check, code))
        hs_check_find(check, "%s: the point of \"x\" and \"y\" is not on the curve %s", key->name, key->curve->name);
    hs_jwk_clear(&jwk);
    hs_buf_clear(&point);
}

static void
k05_point(struct hs_check *check, const struct key_view *key)
{
    if (!key->ec || key->crv == NULL)
        return;
    if (key->curve == NULL) {
        hs_check_find(check, "%s: the member \"crv\" is %s, but must be P-256, P-384 or P-521", key->name,
                      hs_excerpt_of_value(hs_json_member(key->value, "crv")).text);
        return;
    }
    bool x_fits = check_coordinate(check, key, "x", &key->x);
    bool y_fits = check_coordinate(check, key, "y", &key->y);
    if (x_fits && y_fits)
        check_point(check, key);
}

static unsigned
bits_of(struct hs_span number)
{
    struct hs_span trimmed = hs_span_trim_zeros(number);
    unsigned bits = (unsigned)trimmed.len * 8;

    for (uint8_t mask = 0x80; trimmed.len > 0 && (trimmed.data[0] & mask) == 0; mask >>= 1)
        bits--;
    return bits;
}

/* True when nothing was found. */
static bool
check_number(struct hs_check *check, const struct key_view *key, const char *name, const struct bytes_member *member)
{
    struct hs_span number = hs_span_trim_zeros(hs_span_buf(&member->bytes));
    size_t error_count = check->report.error_count;

    if (!member->clean)
        return false;
    if (number.len == 0)
        hs_check_find(check, "%s: the member \"%s\" is %s", key->name, name, member->bytes.len == 0 ? "empty" : "zero");
    else if (number.len < member->bytes.len)
        hs_check_find(check, "%s: the member \"%s\" begins with a zero byte", key->name, name);
    if (number.len > 0 && (number.data[number.len - 1] & 1) == 0)
        hs_check_find(check, "%s: the member \"%s\" is an even number", key->name, name);
    return error_count == check->report.error_count;
}

/* What is left when the numbers are odd and minimal: the limits of those who verify. */
static void
check_rsa_limits(struct hs_check *check, const struct key_view *key)
{
    hsmart_err why = {0};
    struct hs_jwk jwk = {0};
    enum hsmart_code code = hs_jwk_from_rsa(hs_span_buf(&key->n.bytes), hs_span_buf(&key->e.bytes), &jwk, &why);

    if (hs_check_is_fault(check, code))
        hs_check_find(check, "%s: %s", key->name, why.text);
    hs_jwk_clear(&jwk);
}

static void
k06_numbers(struct hs_check *check, const struct key_view *key)
{
    if (!key->rsa)
        return;
    bool n_good = check_number(check, key, "n", &key->n);
    bool e_good = check_number(check, key, "e", &key->e);
    if (e_good && key->e.bytes.len == 1 && key->e.bytes.data[0] < RSA_EXPONENT_MIN) {
        hs_check_find(check, "%s: the member \"e\" is %u, which is no exponent", key->name, key->e.bytes.data[0]);
        return;
    }
    if (n_good && e_good && bits_of(hs_span_buf(&key->n.bytes)) >= HS_RSA_MIN_BITS) /* shorter ones are K07's */
        check_rsa_limits(check, key);
}

static void
k07_rsa_bits(struct hs_check *check, const struct key_view *key)
{
    unsigned bits = bits_of(hs_span_buf(&key->n.bytes));

    if (key->rsa && key->n.clean && bits > 0 && bits < HS_RSA_MIN_BITS)
        hs_check_find(check, "%s has %u bits, but must have %u at least", key->name, bits, HS_RSA_MIN_BITS);
}

static bool
has_element(const hs_json_value *array, const char *text)
{
    for (size_t i = 0; i < hs_json_length(array); i++)
        if (hs_span_equal_str(hs_json_string(hs_json_element(array, i)), text))
            return true;
    return false;
}

static void
k08_purpose(struct hs_check *check, const struct key_view *key)
{
    const hs_json_value *use = hs_json_member(key->value, "use"), *key_ops = hs_json_member(key->value, "key_ops");

    if (use != NULL && !hs_span_equal_str(hs_json_string(use), "sig"))
        hs_check_find(check, "%s: the member \"use\" is %s, but must be \"sig\"", key->name,
                      hs_excerpt_of_value(use).text);
    if (key_ops == NULL)
        return;
    if (hs_json_type_of(key_ops) != HS_JSON_ARRAY)
        hs_check_find(check, "%s: the member \"key_ops\" is %s, but must be an array", key->name,
                      hs_json_type_words(key_ops));
    else if (!has_element(key_ops, "verify"))
        hs_check_find(check, "%s: the member \"key_ops\" lacks \"verify\"", key->name);
    if (has_element(key_ops, "sign"))
        hs_check_find(check, "%s: the member \"key_ops\" has \"sign\", which only a private key can do", key->name);
}

static void
k09_alg(struct hs_check *check, const struct key_view *key)
{
    const hs_json_value *member = hs_json_member(key->value, "alg");
    const char *name = hs_json_text(member);
    enum hs_key_type type = key->rsa ? HS_KEY_RSA : HS_KEY_EC;

    if (!key->rsa && !key->ec)
        return;
    if (member == NULL) {
        hs_check_warn(check, "%s: the member \"alg\" is absent", key->name);
        return;
    }
    const struct hs_alg *alg = name != NULL ? hs_alg_by_name(name) : NULL;
    bool curve_unknown = key->ec && key->curve == NULL; /* K05's or K01's */
    if (alg != NULL && (curve_unknown || hs_alg_fits(alg, type, key->curve)))
        return;
    hs_check_find(check, "%s: the member \"alg\" is %s, but this key can do %s", key->name,
                  hs_excerpt_of_value(member).text, curve_unknown ? "ECDSA only" : hs_alg_names(type, key->curve));
}

static void
k10_use_and_key_ops(struct hs_check *check, const struct key_view *key)
{
    if (hs_json_member(key->value, "use") != NULL && hs_json_member(key->value, "key_ops") != NULL)
        hs_check_find(check, "%s has the members \"use\" and \"key_ops\"", key->name);
}

static void
k11_base64url(struct hs_check *check, const struct key_view *key)
{
    static const char *const names[] = {"n", "e", "x", "y", "x5t", "x5t#S256"};

    for (size_t i = 0; i < HS_ARRAY_LEN(names); i++) {
        const hs_json_value *member = hs_json_member(key->value, names[i]);
        struct hs_buf bytes = {0};
        hsmart_err why = {0};
        if (hs_json_type_of(member) == HS_JSON_STRING &&
            hs_check_is_fault(check, hs_base64url_decode(hs_json_string(member), &bytes, &why)))
            hs_check_find(check, "%s: the member \"%s\": %s", key->name, names[i], why.text);
        hs_buf_clear(&bytes);
    }
}

/* ---- Certificates ---- */

static void
check_certificate(struct hs_check *check, const struct key_view *key, struct hs_span der)
{
    struct hs_jwk certified = {0}, own = {0};
    hsmart_err why = {0};

    if (hs_check_is_fault(check, hs_jwk_from_certificate(der, &certified, &why)))
        hs_check_find(check, "%s: the first certificate of \"x5c\": %s", key->name, why.text);
    else if (check->code == HSMART_OK && !hs_check_is_fault(check, hs_jwk_parse(key->value, &own, NULL)) &&
             check->code == HSMART_OK && !hs_jwk_same_key(&certified, &own))
        hs_check_find(check, "%s: the first certificate of \"x5c\" is of another key", key->name);
    hs_jwk_clear(&certified);
    hs_jwk_clear(&own);
}

static void
check_hash(struct hs_check *check, const struct key_view *key, struct hs_span der)
{
    const hs_json_value *member = hs_json_member(key->value, "x5t#S256");
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    struct hs_buf written = {0};

    if (member == NULL)
        return;
    if (hs_check_is_fault(check, hs_base64url_decode(hs_json_string(member), &written, NULL)) || /* K11 tells it */
        check->code != HSMART_OK) {
        hs_buf_clear(&written);
        return;
    }
    if (EVP_Digest(der.data, der.len, digest, &digest_len, hs_alg_md("SHA256"), NULL) != 1)
        (void)hs_check_is_fault(check, HSMART_INTERNAL);
    else if (!hs_span_equal(hs_span_buf(&written), (struct hs_span){digest, digest_len}))
        hs_check_find(check, "%s: \"x5t#S256\" is not the SHA-256 hash of the first certificate of \"x5c\"", key->name);
    hs_buf_clear(&written);
}

static void
k12_certificate(struct hs_check *check, const struct key_view *key)
{
    const hs_json_value *chain = hs_json_member(key->value, "x5c"), *first = hs_json_element(chain, 0);
    struct hs_buf der = {0};
    hsmart_err why = {0};

    if (chain == NULL)
        return;
    if (hs_json_type_of(first) != HS_JSON_STRING)
        hs_check_find(check, "%s: the member \"x5c\" is not an array of strings", key->name);
    else if (hs_check_is_fault(check, hs_plain_base64_decode(hs_json_string(first), &der, &why)))
        hs_check_find(check, "%s: the first certificate of \"x5c\": %s", key->name, why.text);
    else {
        check_certificate(check, key, hs_span_buf(&der));
        check_hash(check, key, hs_span_buf(&der));
    }
    hs_buf_clear(&der);
}

/* ---- What one family of servers wants ---- */

static void
demand_alg(struct hs_check *check, const struct key_view *key)
{
    const char *alg = hs_json_text(hs_json_member(key->value, "alg"));

    if (alg != NULL && hs_alg_by_name(alg) != NULL && check->server->algs != NULL &&
        !hs_server_takes_alg(check->server, alg))
        hs_check_demand(check, "algs", "%s is for \"%s\", but %s takes %s", key->name, alg, check->server->title,
                        check->server->algs);
}

static void
demand_kid(struct hs_check *check, const struct key_view *key)
{
    struct hs_span kid = hs_json_string(hs_json_member(key->value, "kid"));

    if (check->server->kid == HS_KID_UUID && kid.len > 0 && !hs_is_uuid(kid))
        hs_check_demand(check, "kid", "%s: the kid must be the UUID that %s gave the key", key->name,
                        check->server->title);
}

static void
demand_size(struct hs_check *check, const struct key_view *key)
{
    unsigned bits = bits_of(hs_span_buf(&key->n.bytes)), min_bits = check->server->rsa_min_bits;

    if (key->rsa && bits >= HS_RSA_MIN_BITS && bits < min_bits) /* shorter ones are K07's */
        hs_check_demand(check, "rsa_min_bits", "%s has %u bits, but %s wants %u at least", key->name, bits,
                        check->server->title, min_bits);
}

static void
k13_server(struct hs_check *check, const struct key_view *key)
{
    demand_alg(check, key);
    demand_kid(check, key);
    demand_size(check, key);
    if (check->server->jwks_url_needed_for_ec && key->ec)
        hs_check_warn(check, "%s is an EC key, which %s takes only of clients that registered a JWKS URL", key->name,
                      check->server->title);
}

/* ---- As it is served ---- */

static void
k18_mark(struct hs_check *check, const struct set_view *set)
{
    if (set->has_mark)
        hs_check_find(check, "the text begins with a byte order mark (EF BB BF)");
}

/* ---- All of them ---- */

enum { NEEDS_SET = 1, NEEDS_SERVER = 2, NEEDS_URL = 4, NEEDS_CONNECTION = 8, NEEDS_ANSWER = 16 };

static const struct {
    const char *code;
    unsigned needs;
    void (*check_set)(struct hs_check *check, const struct set_view *set); /* one of the three */
    void (*check_key)(struct hs_check *check, const struct key_view *key);
    hs_served_rule *check_served;
} rows[] = {
    {"K01", 0, k01_set, NULL, NULL},
    {"K02", NEEDS_SET, NULL, k02_kid, NULL},
    {"K03", NEEDS_SET, k03_unique_kid, NULL, NULL},
    {"K04", NEEDS_SET, NULL, k04_no_secret, NULL},
    {"K05", NEEDS_SET, NULL, k05_point, NULL},
    {"K06", NEEDS_SET, NULL, k06_numbers, NULL},
    {"K07", NEEDS_SET, NULL, k07_rsa_bits, NULL},
    {"K08", NEEDS_SET, NULL, k08_purpose, NULL},
    {"K09", NEEDS_SET, NULL, k09_alg, NULL},
    {"K10", NEEDS_SET, NULL, k10_use_and_key_ops, NULL},
    {"K11", NEEDS_SET, NULL, k11_base64url, NULL},
    {"K12", NEEDS_SET, NULL, k12_certificate, NULL},
    {"K13", NEEDS_SERVER | NEEDS_SET, NULL, k13_server, NULL},
    {"K14", NEEDS_URL, NULL, NULL, hs_k14_tls},
    {"K15", NEEDS_URL | NEEDS_CONNECTION, NULL, NULL, hs_k15_answer},
    {"K16", NEEDS_URL | NEEDS_ANSWER, NULL, NULL, hs_k16_content_type},
    {"K17", NEEDS_URL | NEEDS_ANSWER, NULL, NULL, hs_k17_cache},
    {"K18", 0, k18_mark, NULL, NULL},
};

static const struct hs_lack lacks[] = {
    {NEEDS_URL, "it was not read from a URL"},
    {NEEDS_CONNECTION, "the URL was not asked, since there is no TLS that can be trusted"},
    {NEEDS_ANSWER, "there is no answer with a set"},
    {NEEDS_SERVER, "no server is named"},
    {NEEDS_SET, "there is no array of keys"},
};

static void
apply_row(struct hs_check *check, size_t row, const struct set_view *set)
{
    hs_check_apply(check, rows[row].code);
    if (rows[row].check_set != NULL)
        rows[row].check_set(check, set);
    for (size_t i = 0; rows[row].check_key != NULL && i < set->count; i++)
        rows[row].check_key(check, &set->views[i]);
    if (rows[row].check_served != NULL)
        rows[row].check_served(check, set->expected->served);
}

enum hsmart_code
hs_check_jwks(struct hs_span text, const struct hs_jwks_expectation *expectation, struct hs_report *out_report,
              hsmart_err *err)
{
    static const struct hs_jwks_expectation nothing = {0};
    struct set_view set = {.expected = expectation != NULL ? expectation : &nothing};
    struct hs_check check = {.server = set.expected->server, .err = err};
    const struct hs_served *served = set.expected->served;
    bool has_text = served == NULL || hs_served_is_answer(served);
    unsigned have = (check.server != NULL ? NEEDS_SERVER : 0U) | (served != NULL ? NEEDS_URL : 0U);

    if (has_text)
        view_set(&check, text, &set);
    have |= served == NULL || hs_served_is_asked(served) ? NEEDS_CONNECTION : 0U;
    have |= (has_text ? NEEDS_ANSWER : 0U) | (set.keys != NULL ? NEEDS_SET : 0U);
    for (size_t r = 0; r < HS_ARRAY_LEN(rows) && check.code == HSMART_OK; r++) {
        unsigned lacking = rows[r].needs & ~have;
        if (!has_text && (rows[r].needs & NEEDS_URL) == 0)
            lacking |= NEEDS_ANSWER;
        if (lacking != 0)
            hs_check_skip(&check, rows[r].code, hs_lack_words(lacks, HS_ARRAY_LEN(lacks), lacking));
        else
            apply_row(&check, r, &set);
    }
    clear_set(&set);
    return hs_check_finish(&check, out_report);
}
