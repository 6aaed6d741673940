#include "record_verify.h"

#include <stdio.h>

#include "base64url.h"
#include "err.h"
#include "file.h"
#include "jwk.h"
#include "key_policy.h"
#include "text.h"

#define FILE_MAX_LEN (1U << 20)

struct verification {
    const struct hs_record *record;
    const hs_json_value *root;
    const struct hs_record_expectation *expectation;
    struct hs_plan plan; /* parsed from the record; empty when it does not parse */
    bool has_plan;
    bool is_signed; /* by all that it names, and each signature verifies */
    char good[200]; /* what holds, when more exact than the check's row */
    hsmart_err *err;
};

const char *
hs_record_text(const hs_json_value *value, const char *name)
{
    const char *text = hs_json_text(name != NULL ? hs_json_member(value, name) : value);

    return text != NULL ? text : "";
}

bool
hs_record_is_rehearsal(const struct hs_record *record)
{
    return strcmp(hs_record_text(record->doc.root, "kind"), "rehearsal") == 0;
}

bool
hs_record_has_passed(const struct hs_record *record)
{
    return strcmp(hs_record_text(record->doc.root, "result"), "passed") == 0;
}

static bool
has_failed(const struct hs_record *record)
{
    return strcmp(hs_record_text(record->doc.root, "result"), "failed") == 0;
}

const char *
hs_record_plan_sha256(const struct hs_record *record)
{
    return hs_record_text(hs_json_member(record->doc.root, "plan"), "sha256");
}

static enum hsmart_code bad(const struct verification *verification, const char *format, ...) HSMART_PRINTF(2, 3);

static enum hsmart_code
bad(const struct verification *verification, const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    hs_text_sanitize(text);
    return hs_err_set(verification->err, HSMART_CHECK_FAILED, "%s", text);
}

static void good(struct verification *verification, const char *format, ...) HSMART_PRINTF(2, 3);

static void
good(struct verification *verification, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(verification->good, sizeof verification->good, format, args);
    va_end(args);
    hs_text_sanitize(verification->good);
}

static enum hsmart_code
hex_of(struct hs_span bytes, char out_hex[2 * HS_SHA256_LEN + 1], hsmart_err *err)
{
    uint8_t digest[HS_SHA256_LEN];
    struct hs_buf hex = {0};
    enum hsmart_code code = hs_sha256(bytes, digest, err);

    if (code == HSMART_OK)
        code = hs_text_append_hex(&hex, HS_SPAN_OF(digest), err);
    (void)snprintf(out_hex, 2 * HS_SHA256_LEN + 1, "%s", hs_buf_text(&hex));
    hs_buf_clear(&hex);
    return code;
}

/* ---- The checks ---- */

static enum hsmart_code
check_type(struct verification *verification)
{
    const hs_json_value *version = hs_json_member(verification->root, "version");
    const char *kind = hs_record_text(verification->root, "kind");

    if (strcmp(hs_record_text(verification->root, "type"), HS_RECORD_TYP) != 0 ||
        hs_json_type_of(version) != HS_JSON_INTEGER || hs_json_integer(version) != 1)
        return bad(verification, "it is not a record of a ceremony in a version that is known here");
    if (strcmp(kind, "ceremony") != 0 && strcmp(kind, "rehearsal") != 0)
        return bad(verification, "it is of neither a ceremony nor a rehearsal");
    good(verification, "it is the record of a %s", kind);
    return HSMART_OK;
}

static enum hsmart_code
check_result(struct verification *verification)
{
    const char *result = hs_record_text(verification->root, "result");

    if (has_failed(verification->record) && verification->expectation->may_have_failed)
        return HSMART_OK;
    if (has_failed(verification->record))
        return bad(verification, "the ceremony FAILED: %s", hs_record_text(verification->root, "failure"));
    if (strcmp(result, "passed") != 0 || hs_record_text(verification->root, "failure")[0] != 0)
        return bad(verification, "it does not say whether the ceremony passed");
    return HSMART_OK;
}

static enum hsmart_code
check_plan(struct verification *verification)
{
    const hs_json_value *plan = hs_json_member(verification->root, "plan");
    struct hs_span text = hs_json_string(hs_json_member(plan, "text"));
    hsmart_err why = {0};
    enum hsmart_code code = hs_plan_parse(text, "plan", &verification->plan, &why);

    if (code == HSMART_NO_MEMORY)
        return hs_err_no_memory(verification->err);
    if (code != HSMART_OK)
        return bad(verification, "its plan is no good plan: %s", why.text);
    verification->has_plan = true;
    if (strcmp(hs_record_text(plan, "sha256"), verification->plan.sha256_hex) != 0 ||
        strcmp(hs_record_text(plan, "words"), verification->plan.words) != 0)
        return bad(verification, "its plan does not have the fingerprint that it tells");
    if (strcmp(hs_record_text(verification->root, "ceremony"), verification->plan.title) != 0 ||
        strcmp(hs_record_text(verification->root, "organisation"), verification->plan.organisation) != 0)
        return bad(verification, "it is of another ceremony than its plan");
    return HSMART_OK;
}

static enum hsmart_code
check_times(struct verification *verification)
{
    const hs_json_value *people = hs_json_member(verification->root, "participants");
    int64_t started_s = 0, finished_s = 0, at_s = 0;

    if (!hs_time_parse(hs_record_text(verification->root, "started"), &started_s) ||
        !hs_time_parse(hs_record_text(verification->root, "finished"), &finished_s) || finished_s < started_s)
        return bad(verification, "it does not tell from when to when it was");
    if (verification->has_plan && hs_plan_check_day(&verification->plan, started_s, NULL) != HSMART_OK)
        return bad(verification, "it was held on a day for which the plan is not");
    for (size_t i = 0; i < hs_json_length(people); i++)
        if (!hs_time_parse(hs_record_text(hs_json_element(people, i), "confirmed"), &at_s) || at_s < started_s ||
            at_s > finished_s)
            return bad(verification, "somebody confirmed to be there at another time");
    good(verification, "it was from %s to %s", hs_record_text(verification->root, "started"),
         hs_record_text(verification->root, "finished"));
    return HSMART_OK;
}

static size_t
count_role(const hs_json_value *people, const char *role)
{
    size_t count = 0;

    for (size_t i = 0; i < hs_json_length(people); i++)
        count += strcmp(hs_record_text(hs_json_element(people, i), "role"), role) == 0;
    return count;
}

static enum hsmart_code
check_people(struct verification *verification)
{
    const hs_json_value *people = hs_json_member(verification->root, "participants");
    size_t expected = verification->plan.witnesses;

    for (size_t i = 0; i < verification->plan.role_count; i++) {
        const struct hs_plan_role *role = &verification->plan.roles[i];
        expected += role->count;
        if (count_role(people, role->name) != role->count)
            return bad(verification, "%zu people had the role \"%s\", for which the plan wants %u",
                       count_role(people, role->name), role->name, role->count);
    }
    if (count_role(people, "witness") != verification->plan.witnesses || hs_json_length(people) != expected)
        return bad(verification, "%zu people took part, but the plan wants %zu", hs_json_length(people), expected);
    for (size_t i = 0; i < hs_json_length(people); i++)
        for (size_t j = 0; j <= i; j++) {
            const char *name = hs_record_text(hs_json_element(people, i), "name");
            if (name[0] == 0 || (j < i && strcmp(name, hs_record_text(hs_json_element(people, j), "name")) == 0))
                return bad(verification, "a person has no name, or two parts");
        }
    good(verification, "%zu people took part, as the plan wants", expected);
    return HSMART_OK;
}

static enum hsmart_code
check_key_is_planned(const struct verification *verification, const struct hs_plan_key *planned,
                     const hs_json_value *key)
{
    const struct {
        const char *name, *expected;
    } members[] = {{"label", planned->label},     {"alg", planned->alg},
                   {"start", planned->start},     {"end", planned->end},
                   {"purpose", planned->purpose}, {"clients", planned->clients != NULL ? planned->clients : ""}};

    for (size_t i = 0; i < HS_ARRAY_LEN(members); i++)
        if (strcmp(hs_record_text(key, members[i].name), members[i].expected) != 0)
            return bad(verification, "the %s of key \"%s\" is other than planned", members[i].name, planned->label);
    return HSMART_OK;
}

static enum hsmart_code
check_planned(struct verification *verification)
{
    const hs_json_value *keys = hs_json_member(verification->root, "keys");
    enum hsmart_code code = HSMART_OK;

    if (hs_json_length(keys) != verification->plan.key_count)
        return bad(verification, "it has %zu keys, but %zu were planned", hs_json_length(keys),
                   verification->plan.key_count);
    for (size_t i = 0; i < verification->plan.key_count && code == HSMART_OK; i++)
        code = check_key_is_planned(verification, &verification->plan.keys[i], hs_json_element(keys, i));
    return code;
}

static enum hsmart_code
parse_jwk(const struct verification *verification, const hs_json_value *holder, const char *what,
          struct hs_jwk *out_jwk)
{
    hsmart_err why = {0};
    enum hsmart_code code = hs_jwk_parse(hs_json_member(holder, "jwk"), out_jwk, &why);

    if (code == HSMART_NO_MEMORY)
        return hs_err_no_memory(verification->err);
    if (code != HSMART_OK)
        return bad(verification, "the public key of \"%s\" is no good one: %s", what, why.text);
    if (strcmp(hs_record_text(holder, "kid"), out_jwk->thumbprint) != 0 || out_jwk->kid == NULL ||
        strcmp(out_jwk->kid, out_jwk->thumbprint) != 0)
        return bad(verification, "the kid of \"%s\" is not the thumbprint of its key", what);
    return HSMART_OK;
}

static enum hsmart_code
check_proof(const struct verification *verification, const hs_json_value *key, const struct hs_jwk *jwk)
{
    const char *label = hs_record_text(key, "label");
    const hs_json_value *proof = hs_json_member(key, "proof");
    const struct hs_alg *alg = hs_alg_by_name(hs_record_text(proof, "alg"));
    struct hs_buf signature = {0};
    char expected[400];
    enum hsmart_code code;

    (void)snprintf(expected, sizeof expected, "hsmart: key %s of the ceremony by plan %s signs", label,
                   hs_record_plan_sha256(verification->record));
    if (alg == NULL || strcmp(alg->name, hs_record_text(key, "alg")) != 0 || !hs_alg_fits(alg, jwk->type, jwk->curve) ||
        jwk->alg == NULL || strcmp(jwk->alg, alg->name) != 0)
        return bad(verification, "key \"%s\" and its algorithm do not fit", label);
    code = hs_base64url_decode(hs_json_string(hs_json_member(proof, "signature")), &signature, NULL);
    if (code == HSMART_OK)
        code = hs_jwk_verify(jwk, alg, hs_json_string(hs_json_member(proof, "text")), hs_span_buf(&signature), NULL);
    hs_buf_clear(&signature);
    if (code == HSMART_NO_MEMORY)
        return hs_err_no_memory(verification->err);
    if (code != HSMART_OK || strcmp(hs_record_text(proof, "text"), expected) != 0)
        return bad(verification, "the test signature of key \"%s\" does not verify", label);
    return HSMART_OK;
}

static enum hsmart_code
check_size(const struct verification *verification, const struct hs_plan_key *planned, const struct hs_jwk *jwk)
{
    unsigned bits = planned->bits != 0 ? planned->bits : 3072;

    if (jwk->type == HS_KEY_RSA && jwk->bits != bits)
        return bad(verification, "key \"%s\" has %u bits, not %u", planned->label, jwk->bits, bits);
    return HSMART_OK;
}

/* A record with one key for two of the plan would pass every check of a single key. */
static enum hsmart_code
check_differs_from_those_before(const struct verification *verification, size_t index)
{
    const hs_json_value *keys = hs_json_member(verification->root, "keys"), *key = hs_json_element(keys, index);

    for (size_t i = 0; i < index; i++)
        if (strcmp(hs_record_text(hs_json_element(keys, i), "kid"), hs_record_text(key, "kid")) == 0)
            return bad(verification, "\"%s\" and \"%s\" are one key: they have the same kid",
                       hs_record_text(hs_json_element(keys, i), "label"), hs_record_text(key, "label"));
    return HSMART_OK;
}

static enum hsmart_code
check_keys(struct verification *verification)
{
    const hs_json_value *keys = hs_json_member(verification->root, "keys");
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < verification->plan.key_count && code == HSMART_OK; i++) {
        const hs_json_value *key = hs_json_element(keys, i);
        struct hs_jwk jwk = {0};
        code = parse_jwk(verification, key, hs_record_text(key, "label"), &jwk);
        if (code == HSMART_OK)
            code = check_size(verification, &verification->plan.keys[i], &jwk);
        if (code == HSMART_OK)
            code = check_differs_from_those_before(verification, i);
        if (code == HSMART_OK)
            code = check_proof(verification, key, &jwk);
        hs_jwk_clear(&jwk);
    }
    return code;
}

static const hs_json_value *
attribute_of(const hs_json_value *key, const char *name)
{
    const hs_json_value *attributes = hs_json_member(key, "attributes");

    for (size_t i = 0; i < hs_json_length(attributes); i++)
        if (strcmp(hs_record_text(hs_json_element(attributes, i), "name"), name) == 0)
            return hs_json_element(attributes, i);
    return NULL;
}

/* Judged anew, by the plan's policy and ours. */
static enum hsmart_code
check_attribute(const struct verification *verification, const hs_json_value *key, const struct hs_policy_row *row)
{
    const hs_json_value *attribute = attribute_of(key, row->name);
    const char *reported = hs_record_text(attribute, "reported");
    bool wanted = row->type == CKA_TOKEN && hs_record_is_rehearsal(verification->record) ? false : row->wanted;
    bool unreported = strcmp(reported, "not reported") == 0;

    if (attribute == NULL || (!unreported && strcmp(reported, "yes") != 0 && strcmp(reported, "no") != 0))
        return bad(verification, "%s of key \"%s\" was not looked at", row->name, hs_record_text(key, "label"));
    if (strcmp(hs_record_text(attribute, "wanted"), wanted ? "yes" : "no") != 0)
        return bad(verification, "another %s was wanted of key \"%s\"", row->name, hs_record_text(key, "label"));
    bool tolerated = row->weight == HS_POLICY_WISHED && hs_plan_tolerates(&verification->plan, row->name);
    bool fits = unreported ? !verification->plan.refuse_unreported : (strcmp(reported, "yes") == 0) == wanted;
    if (!fits && !tolerated)
        return bad(verification, "%s of key \"%s\" is other than asked for, and the plan does not tolerate it",
                   row->name, hs_record_text(key, "label"));
    return HSMART_OK;
}

static enum hsmart_code
check_attributes(struct verification *verification)
{
    const hs_json_value *keys = hs_json_member(verification->root, "keys");
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < verification->plan.key_count && code == HSMART_OK; i++)
        for (size_t j = 0; j < hs_policy_row_count && code == HSMART_OK; j++)
            code = check_attribute(verification, hs_json_element(keys, i), &hs_policy_rows[j]);
    return code;
}

static enum hsmart_code
check_attack(struct verification *verification)
{
    const hs_json_value *keys = hs_json_member(verification->root, "keys");
    size_t held = 0, not_offered = 0;

    for (size_t i = 0; i < hs_json_length(keys); i++) {
        const hs_json_value *key = hs_json_element(keys, i), *attack = hs_json_member(key, "attack");
        if (hs_json_length(attack) == 0)
            return bad(verification, "key \"%s\" was not attacked", hs_record_text(key, "label"));
        for (size_t j = 0; j < hs_json_length(attack); j++) {
            const hs_json_value *attempt = hs_json_element(attack, j);
            const char *outcome = hs_record_text(attempt, "outcome");
            held += strcmp(outcome, "held") == 0;
            not_offered += strcmp(outcome, "not offered") == 0;
            if (strcmp(outcome, "held") != 0 && strcmp(outcome, "not offered") != 0)
                return bad(verification, "key \"%s\" can be got at: %s", hs_record_text(key, "label"),
                           hs_record_text(attempt, "attempt"));
        }
    }
    good(verification, "the attack got no key: %zu attempts refused, %zu not offered by the token", held, not_offered);
    return HSMART_OK;
}

/* ---- Signatures ---- */

static bool
is_signer(const struct verification *verification, const char *kid)
{
    const hs_json_value *signers = hs_json_member(verification->root, "signers");

    for (size_t i = 0; i < hs_json_length(signers); i++)
        if (strcmp(hs_record_text(hs_json_element(signers, i), "kid"), kid) == 0)
            return true;
    return false;
}

static enum hsmart_code
check_signature(const struct verification *verification, size_t index)
{
    const hs_json_value *signer = hs_json_element(hs_json_member(verification->root, "signers"), index);
    const hs_json_value *header = verification->record->signatures[index].header.root;
    struct hs_jwk jwk = {0};
    const char *kid = hs_record_text(signer, "kid");
    enum hsmart_code code = parse_jwk(verification, signer, kid, &jwk);

    if (code == HSMART_OK && (strcmp(hs_record_text(header, "kid"), kid) != 0 || jwk.alg == NULL ||
                              strcmp(hs_record_text(header, "alg"), jwk.alg) != 0))
        code = bad(verification, "signature %zu is not the one by %s", index + 1, kid);
    if (code == HSMART_OK) {
        code = hs_record_verify_signature(verification->record, index, &jwk, NULL);
        if (code == HSMART_NO_MEMORY)
            (void)hs_err_no_memory(verification->err);
        else if (code != HSMART_OK)
            code = bad(verification, "the signature by %s does not verify: the record was changed", kid);
    }
    hs_jwk_clear(&jwk);
    return code;
}

static enum hsmart_code
check_signatures(struct verification *verification)
{
    const hs_json_value *keys = hs_json_member(verification->root, "keys");
    size_t count = hs_json_length(hs_json_member(verification->root, "signers"));
    enum hsmart_code code = HSMART_OK;

    if (verification->record->signature_count != count)
        return bad(verification, "%zu signatures are there, and %zu should be", verification->record->signature_count,
                   count);
    if (count == 0 && !(verification->expectation->may_have_failed && has_failed(verification->record)))
        return bad(verification, "nobody signed it");
    for (size_t i = 0; i < count && code == HSMART_OK; i++)
        code = check_signature(verification, i);
    for (size_t i = 0; hs_record_has_passed(verification->record) && i < hs_json_length(keys) && code == HSMART_OK; i++)
        if (!is_signer(verification, hs_record_text(hs_json_element(keys, i), "kid")))
            code = bad(verification, "the new key \"%s\" did not sign it",
                       hs_record_text(hs_json_element(keys, i), "label"));
    good(verification, "%zu signatures verify", count);
    verification->is_signed = code == HSMART_OK && count > 0;
    return code;
}

/* ---- Against other things ---- */

static enum hsmart_code
check_trust(struct verification *verification)
{
    const char *kid = verification->expectation->trust;

    if (!is_signer(verification, kid))
        return bad(verification, "the key %s, which is trusted, did not sign it", kid);
    if (!verification->is_signed)
        return bad(verification, "the key %s, which is trusted, is named, but not every signature verifies", kid);
    good(verification, "the trusted key %s signed it", kid);
    return HSMART_OK;
}

/* A destruction has one time only. */
static const char *
beginning_of(const struct hs_record *record)
{
    return hs_record_text(record->doc.root, hs_record_is_destruction(record) ? "destroyed" : "started");
}

static const char *
end_of(const struct hs_record *record)
{
    return hs_record_text(record->doc.root, hs_record_is_destruction(record) ? "destroyed" : "finished");
}

static enum hsmart_code
check_previous(struct verification *verification)
{
    const struct hs_record *previous = verification->expectation->previous;
    const char *expected = hs_record_text(verification->root, "previous_sha256");
    int64_t before_s = 0, started_s = 0;
    hsmart_err why = {0};
    enum hsmart_code code;

    if (strcmp(expected, previous->sha256_hex) != 0)
        return bad(verification, expected[0] != 0 ? "it is chained to another record than the one given"
                                                  : "it is not chained to any record");
    if (hs_record_is_rehearsal(previous))
        return bad(verification, "it is chained to the record of a rehearsal, which is part of no chain");
    code = hs_record_check_link(previous, &why);
    if (code == HSMART_NO_MEMORY)
        return hs_err_no_memory(verification->err);
    if (code != HSMART_OK)
        return bad(verification, "the record before does not hold: %s", why.text);
    if (!hs_time_parse(end_of(previous), &before_s) || !hs_time_parse(beginning_of(verification->record), &started_s) ||
        before_s > started_s)
        return bad(verification, "the record before is of a later time");
    if (hs_record_is_destruction(previous))
        good(verification, "it is chained to the entry of the destruction of key \"%s\"",
             hs_record_text(hs_json_member(previous->doc.root, "key"), "label"));
    else
        good(verification, "it is chained to the record of \"%s\" of %s, which %s",
             hs_record_text(previous->doc.root, "ceremony"), hs_record_text(previous->doc.root, "organisation"),
             has_failed(previous) ? "FAILED" : "passed");
    return HSMART_OK;
}

static bool
jwks_has(const hs_json_value *jwks, const char *kid)
{
    const hs_json_value *keys = hs_json_member(jwks, "keys");
    bool found = false;

    for (size_t i = 0; i < hs_json_length(keys) && !found; i++) {
        struct hs_jwk jwk = {0};
        found = hs_jwk_parse(hs_json_element(keys, i), &jwk, NULL) == HSMART_OK && strcmp(jwk.thumbprint, kid) == 0;
        hs_jwk_clear(&jwk);
    }
    return found;
}

static enum hsmart_code
check_jwks(struct verification *verification)
{
    const hs_json_value *keys = hs_json_member(verification->root, "keys");
    struct hs_json_doc doc = {0};
    hsmart_err why = {0};
    enum hsmart_code code = hs_json_parse(verification->expectation->jwks, &doc, &why);

    if (code == HSMART_NO_MEMORY)
        return hs_err_no_memory(verification->err);
    if (code != HSMART_OK)
        return bad(verification, "the JWK Set is none: %s", why.text);
    for (size_t i = 0; i < hs_json_length(keys) && code == HSMART_OK; i++)
        if (!jwks_has(doc.root, hs_record_text(hs_json_element(keys, i), "kid")))
            code = bad(verification, "the JWK Set has not the key \"%s\"",
                       hs_record_text(hs_json_element(keys, i), "label"));
    hs_json_doc_clear(&doc);
    return code;
}

static enum hsmart_code
check_file(const struct verification *verification, const hs_json_value *file, bool *out_there)
{
    struct hs_buf contents = {.max_len = FILE_MAX_LEN};
    const char *name = hs_record_text(file, "name");
    char path[4096], hex[2 * HS_SHA256_LEN + 1];
    enum hsmart_code code;

    if (name[0] == 0 || name[0] == '.' || strchr(name, '/') != NULL)
        return bad(verification, "it names a file that cannot have been written with it");
    (void)snprintf(path, sizeof path, "%s/%s", verification->expectation->directory, name);
    code = hs_file_read(path, FILE_MAX_LEN, &contents, NULL);
    *out_there = code != HSMART_FILE_UNREADABLE;
    if (code == HSMART_OK)
        code = hex_of(hs_span_buf(&contents), hex, verification->err);
    hs_buf_clear(&contents);
    if (code == HSMART_NO_MEMORY)
        return hs_err_no_memory(verification->err);
    if (!*out_there)
        return HSMART_OK;
    return code == HSMART_OK && strcmp(hex, hs_record_text(file, "sha256")) == 0
               ? HSMART_OK
               : bad(verification, "the file \"%s\" beside it was changed", name);
}

static enum hsmart_code
check_files(struct verification *verification)
{
    const hs_json_value *files = hs_json_member(verification->root, "files");
    enum hsmart_code code = HSMART_OK;
    size_t there_count = 0;

    for (size_t i = 0; i < hs_json_length(files) && code == HSMART_OK; i++) {
        bool there = false;
        code = check_file(verification, hs_json_element(files, i), &there);
        there_count += there;
    }
    good(verification, "%zu of the %zu files that were written with it are beside it, unchanged", there_count,
         hs_json_length(files));
    return code;
}

/* ---- The entry of a destruction ---- */

static enum hsmart_code
check_destruction(struct verification *verification)
{
    const hs_json_value *version = hs_json_member(verification->root, "version");
    int64_t at_s = 0;

    if (hs_json_type_of(version) != HS_JSON_INTEGER || hs_json_integer(version) != 1)
        return bad(verification, "it is not an entry in a version that is known here");
    if (!hs_time_parse(hs_record_text(verification->root, "destroyed"), &at_s))
        return bad(verification, "it does not tell when the key was destroyed");
    good(verification, "it is the entry of the destruction of key \"%s\" at %s",
         hs_record_text(hs_json_member(verification->root, "key"), "label"),
         hs_record_text(verification->root, "destroyed"));
    return HSMART_OK;
}

/* A key without a public half has no kid, and nothing to hold it against. */
static enum hsmart_code
check_destroyed_key(struct verification *verification)
{
    const hs_json_value *key = hs_json_member(verification->root, "key");
    const char *kid = hs_record_text(key, "kid");
    struct hs_jwk jwk = {0};
    enum hsmart_code code = HSMART_OK;

    if (hs_json_type_of(key) != HS_JSON_OBJECT)
        return bad(verification, "it does not tell which key was destroyed");
    if (kid[0] != 0 || hs_json_type_of(hs_json_member(key, "jwk")) != HS_JSON_NULL)
        code = parse_jwk(verification, key, hs_record_text(key, "label"), &jwk);
    hs_jwk_clear(&jwk);
    if (code == HSMART_OK && kid[0] != 0 && is_signer(verification, kid))
        good(verification, "key %s said itself that it goes", kid);
    else if (code == HSMART_OK)
        good(verification, "key %s did not sign that it goes: another key says so",
             kid[0] != 0 ? kid : "without a kid");
    return code;
}

static enum hsmart_code
check_not_published(struct verification *verification)
{
    const char *kid = hs_record_text(hs_json_member(verification->root, "key"), "kid");
    struct hs_json_doc doc = {0};
    hsmart_err why = {0};
    enum hsmart_code code = hs_json_parse(verification->expectation->jwks, &doc, &why);

    if (code == HSMART_NO_MEMORY)
        return hs_err_no_memory(verification->err);
    if (code != HSMART_OK)
        return bad(verification, "the JWK Set is none: %s", why.text);
    if (kid[0] == 0)
        code = bad(verification, "the record does not name the key by its kid, so that it cannot be looked for");
    else if (jwks_has(doc.root, kid))
        code = bad(verification, "the JWK Set still has the key that was destroyed");
    hs_json_doc_clear(&doc);
    return code;
}

/* ---- The table ---- */

enum need { NEEDS_NOTHING, NEEDS_PLAN, NEEDS_PASSED, NEEDS_TRUST, NEEDS_PREVIOUS, NEEDS_JWKS, NEEDS_DIRECTORY };

enum of { OF_CEREMONY = 1, OF_DESTRUCTION = 2, OF_BOTH = OF_CEREMONY | OF_DESTRUCTION };

static const struct check {
    enum of of;
    const char *name, *holds;
    enum need need;
    enum hsmart_code (*apply)(struct verification *verification);
} checks[] = {
    {OF_CEREMONY, "type", "it is a record", NEEDS_NOTHING, check_type},
    {OF_DESTRUCTION, "type", "it is an entry", NEEDS_NOTHING, check_destruction},
    {OF_DESTRUCTION, "key", "its kid is its thumbprint", NEEDS_NOTHING, check_destroyed_key},
    {OF_CEREMONY, "plan", "its plan is whole, and has the fingerprint that was confirmed", NEEDS_NOTHING, check_plan},
    {OF_CEREMONY, "times", "its times fit", NEEDS_NOTHING, check_times},
    {OF_CEREMONY, "people", "the people that the plan wants took part", NEEDS_PLAN, check_people},
    {OF_CEREMONY, "keys", "its keys are those of the plan", NEEDS_PLAN, check_planned},
    {OF_BOTH, "signatures", "its signatures verify", NEEDS_NOTHING, check_signatures},
    {OF_CEREMONY, "result", "the ceremony passed", NEEDS_NOTHING, check_result},
    {OF_CEREMONY, "test signatures", "each key signed, is another one, and its kid is its thumbprint", NEEDS_PASSED,
     check_keys},
    {OF_CEREMONY, "attributes", "every attribute is as asked for, or tolerated by the plan", NEEDS_PASSED,
     check_attributes},
    {OF_CEREMONY, "attack", "the attack got no key", NEEDS_PASSED, check_attack},
    {OF_CEREMONY, "files", "the files beside it are unchanged", NEEDS_DIRECTORY, check_files},
    {OF_BOTH, "trust", "a trusted key signed it", NEEDS_TRUST, check_trust},
    {OF_BOTH, "previous", "it is chained to the record given, which holds, too", NEEDS_PREVIOUS, check_previous},
    {OF_CEREMONY, "jwks", "the JWK Set has every key of it", NEEDS_JWKS, check_jwks},
    {OF_DESTRUCTION, "jwks", "the JWK Set does not have the key", NEEDS_JWKS, check_not_published},
};

static const char *
missing(const struct verification *verification, enum need need)
{
    const struct hs_record_expectation *expectation = verification->expectation;

    switch (need) {
    case NEEDS_NOTHING:
        return NULL;
    case NEEDS_PLAN:
        return verification->has_plan ? NULL : "there is no plan to hold it against";
    case NEEDS_PASSED:
        return verification->has_plan && hs_record_has_passed(verification->record) ? NULL
                                                                                    : "the ceremony did not pass";
    case NEEDS_TRUST:
        return expectation->trust != NULL ? NULL
                                          : "no trusted key was named (--trust): who held the ceremony is not proved";
    case NEEDS_PREVIOUS:
        return expectation->previous != NULL ? NULL : "no previous record was given (--previous)";
    case NEEDS_JWKS:
        return expectation->jwks.len > 0 ? NULL : "no JWK Set was given (--jwks)";
    case NEEDS_DIRECTORY:
        return expectation->directory != NULL ? NULL : "the files were not looked for";
    }
    return NULL;
}

enum hsmart_code
hs_record_verify(const struct hs_record *record, const struct hs_record_expectation *expectation,
                 hs_record_verdict_fn *tell, void *arg, size_t *out_bad_count, hsmart_err *err)
{
    hsmart_err why = {0};
    struct verification verification = {
        .record = record, .root = record->doc.root, .expectation = expectation, .err = &why};
    enum hsmart_code code = HSMART_OK;
    size_t bad_count = 0;

    const enum of of = hs_record_is_destruction(record) ? OF_DESTRUCTION : OF_CEREMONY;
    for (size_t i = 0; i < HS_ARRAY_LEN(checks) && code == HSMART_OK; i++) {
        if ((checks[i].of & of) == 0)
            continue;
        const char *reason = missing(&verification, checks[i].need);
        if (reason != NULL) {
            tell(arg, HS_RECORD_NOT_LOOKED, checks[i].name, reason);
            continue;
        }
        verification.good[0] = 0;
        code = checks[i].apply(&verification);
        if (code == HSMART_CHECK_FAILED) {
            bad_count++;
            code = HSMART_OK;
            tell(arg, HS_RECORD_BAD, checks[i].name, why.text);
        } else if (code == HSMART_OK) {
            tell(arg, HS_RECORD_GOOD, checks[i].name, verification.good[0] != 0 ? verification.good : checks[i].holds);
        }
    }
    hs_plan_clear(&verification.plan);
    if (code == HSMART_OK)
        *out_bad_count = bad_count;
    else if (err != NULL)
        *err = why;
    return code;
}

/* ---- The short form ---- */

struct first_bad {
    char line[500];
};

static void
keep_first_bad(void *arg, enum hs_record_verdict verdict, const char *check, const char *line)
{
    struct first_bad *first = arg;

    (void)check;
    if (verdict == HS_RECORD_BAD && first->line[0] == 0)
        (void)snprintf(first->line, sizeof first->line, "%s", line);
}

static enum hsmart_code
check_against(const struct hs_record *record, const struct hs_record_expectation *expectation, hsmart_err *err)
{
    struct first_bad first = {0};
    size_t bad_count = 0;
    enum hsmart_code code = hs_record_verify(record, expectation, keep_first_bad, &first, &bad_count, err);

    if (code == HSMART_OK && bad_count > 0) {
        code = hs_err_set(err, HSMART_CHECK_FAILED, "the record does not hold: %.400s", first.line);
        hs_err_hint(err, "\"hsmart-key ceremony verify RECORD\" shows every check of it");
    }
    return code;
}

enum hsmart_code
hs_record_check(const struct hs_record *record, hsmart_err *err)
{
    return check_against(record, &(struct hs_record_expectation){0}, err);
}

enum hsmart_code
hs_record_check_link(const struct hs_record *record, hsmart_err *err)
{
    return check_against(record, &(struct hs_record_expectation){.may_have_failed = true}, err);
}

enum hsmart_code
hs_record_check_is_past(const struct hs_record *record, int64_t now_s, hsmart_err *err)
{
    char now[HS_TIME_TEXT_MAX];
    int64_t end_s = 0;

    if (hs_time_parse(end_of(record), &end_s) && end_s <= now_s)
        return HSMART_OK;
    hs_time_format(now_s, now);
    (void)hs_err_set(err, HSMART_POLICY_REFUSED, "it ended at %.32s, but this machine's clock says %s", end_of(record),
                     now);
    hs_err_hint(err, "correct this machine's clock, or find out which clock was wrong then");
    return HSMART_POLICY_REFUSED;
}
