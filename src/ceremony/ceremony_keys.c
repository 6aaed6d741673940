#include <stdio.h>
#include <unistd.h>

#include "base64url.h"
#include "ceremony_state.h"
#include "clock.h"
#include "destroy.h"
#include "err.h"
#include "key_attack.h"
#include "key_policy.h"
#include "text.h"
#include "token_signer.h"

/* ---- Making ---- */

static enum hsmart_code
generate(struct ceremony *ceremony, struct ceremony_key *key, hsmart_err *err)
{
    const hsmart_key_spec spec = {.alg = key->plan->alg,
                                  .bits = key->plan->bits,
                                  .label = key->plan->label,
                                  .id = key->id,
                                  .id_len = sizeof key->id,
                                  .start_date = key->plan->start,
                                  .end_date = key->plan->end};
    bool rehearsal = ceremony->options->rehearsal;
    const struct hs_generate_manner manner = {.session_object = rehearsal, .adopt = !rehearsal && key->was_asked};
    enum hsmart_code code = HSMART_OK;

    key->was_asked = true;
    if (!rehearsal)
        code = hs_journal_save(ceremony, err);
    if (code != HSMART_OK)
        return code;
    ceremony->seam->begin_work(ceremony->seam->arg, "the token makes the key");
    code = hs_generate_in_ceremony(ceremony->token, &spec, manner, &key->made, err);
    ceremony->seam->end_work(ceremony->seam->arg);
    if (code != HSMART_OK && rehearsal)
        hs_err_hint(err,
                    "not every token makes keys that vanish (session objects), as a rehearsal needs them: if this one "
                    "does not, rehearse on another, such as SoftHSM2");
    if (code == HSMART_POLICY_REFUSED)
        code = hs_ceremony_fail(ceremony, err, "key \"%s\": %s", key->plan->label,
                                err != NULL ? err->text : "not as asked for");
    return code;
}

/* ---- Attributes, read by a process that has not made the key ---- */

static enum hsmart_code
add_attribute(struct ceremony_key *key, const char *name, const char *wanted, const char *reported, hsmart_err *err)
{
    void *attributes = key->attributes;
    struct ceremony_attribute attribute = {0};
    enum hsmart_code code = hs_array_grow(&attributes, key->attribute_count, sizeof attribute, err);

    if (code != HSMART_OK)
        return code;
    key->attributes = attributes;
    struct ceremony_attribute *added = &key->attributes[key->attribute_count++];
    code = hs_strdup(name, &added->name, err);
    if (code == HSMART_OK)
        code = hs_strdup(wanted, &added->wanted, err);
    return code == HSMART_OK ? hs_strdup(reported, &added->reported, err) : code;
}

static const char *
words_of(enum hsmart_answer answer)
{
    return answer == HSMART_ANSWER_YES ? "yes" : answer == HSMART_ANSWER_NO ? "no" : "not reported";
}

/* A session object is seen by the process alone that made it; a fresh one was asked all the same, which shows that it
 * will be able to answer in the ceremony. */
static enum hsmart_code
take_own_attributes(struct ceremony_key *key, hsmart_err *err)
{
    const hsmart_key_info *info = &key->made.key->info;
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; code == HSMART_OK && i < info->attribute_count; i++) {
        const hsmart_key_attribute *attribute = &info->attributes[i];
        bool is_token = strcmp(attribute->name, "CKA_TOKEN") == 0;
        code = add_attribute(key, attribute->name, is_token ? "no" : words_of(attribute->wanted),
                             words_of(attribute->reported), err);
    }
    return code;
}

static enum hsmart_code
take_foreign_attributes(struct ceremony *ceremony, struct ceremony_key *key, struct hs_span json, hsmart_err *err)
{
    struct hs_json_doc doc = {0};
    enum hsmart_code code = hs_json_parse(json, &doc, err);
    const hs_json_value *keys = hs_json_member(doc.root, "keys"), *seen = hs_json_element(keys, 0);
    const hs_json_value *attributes = hs_json_member(seen, "attributes");

    if (code == HSMART_OK &&
        (hs_json_length(keys) != 1 ||
         !hs_span_equal_str(hs_json_string(hs_json_member(seen, "thumbprint")), key->made.key->jwk.thumbprint)))
        code = hs_ceremony_fail(ceremony, err, "a fresh process finds another key under the name \"%s\"",
                                key->plan->label);
    for (size_t i = 0; code == HSMART_OK && i < hs_json_length(attributes); i++) {
        const hs_json_value *attribute = hs_json_element(attributes, i);
        const char *name = hs_json_text(hs_json_member(attribute, "name"));
        const char *wanted = hs_json_text(hs_json_member(attribute, "wanted"));
        const char *reported = hs_json_text(hs_json_member(attribute, "reported"));
        if (name != NULL && wanted != NULL && reported != NULL)
            code = add_attribute(key, name, wanted, reported, err);
    }
    if (code == HSMART_OK && key->attribute_count == 0)
        code = hs_err_set(err, HSMART_INTERNAL, "the fresh process told no attributes");
    hs_json_doc_clear(&doc);
    return code;
}

/* Whole days from now to the end of a day; at least one. */
static unsigned
days_until(const char *date)
{
    int64_t end_s = 0, now_s = hs_clock_now_s();

    return hs_date_parse(date, &end_s) && end_s > now_s ? (unsigned)((end_s - now_s) / 86400) + 1 : 1;
}

static enum hsmart_code
run_errand(struct ceremony *ceremony, const struct ceremony_key *key, bool certificate, struct hs_buf *out,
           hsmart_err *err)
{
    struct hs_ceremony_errand errand = {
        .certificate = certificate,
        .self_signed = key->plan->certificate == HS_PLAN_SELF_SIGNED,
        .vanishes = ceremony->options->rehearsal,
        .token_uri = hs_p11_token_get_info(ceremony->token)->uri,
        .key_uri = key->made.key->uri,
        .alg = key->plan->alg,
        .subject = key->plan->subject,
        .days = days_until(key->plan->end),
        .pin_fd = -1,
    };
    enum hsmart_code code = hs_p11_token_pin_fd(ceremony->token, &errand.pin_fd, err);

    if (code == HSMART_OK)
        code = ceremony->seam->run_fresh(ceremony->seam->arg, &errand, out, err);
    if (errand.pin_fd >= 0)
        (void)close(errand.pin_fd);
    return code;
}

static enum hsmart_code
read_back(struct ceremony *ceremony, struct ceremony_key *key, hsmart_err *err)
{
    struct hs_buf json = {0};
    enum hsmart_code code;

    code = run_errand(ceremony, key, false, &json, err);
    if (code == HSMART_OK)
        code = ceremony->options->rehearsal ? take_own_attributes(key, err)
                                            : take_foreign_attributes(ceremony, key, hs_span_buf(&json), err);
    hs_buf_clear(&json);
    return code == HSMART_OK ? code : hs_err_wrap(err, code, "key \"%s\" cannot be read back", key->plan->label);
}

static enum hs_policy_weight
weight_of(const char *name)
{
    for (size_t i = 0; i < hs_policy_row_count; i++)
        if (strcmp(hs_policy_rows[i].name, name) == 0)
            return hs_policy_rows[i].weight;
    return HS_POLICY_WISHED;
}

/* Each attribute with its verdict; the first that fails the ceremony does so when all are shown. */
static enum hsmart_code
judge_attributes(struct ceremony *ceremony, struct ceremony_key *key, hsmart_err *err)
{
    const struct ceremony_attribute *failed = NULL;

    for (size_t i = 0; i < key->attribute_count; i++) {
        struct ceremony_attribute *attribute = &key->attributes[i];
        bool unreported = strcmp(attribute->reported, "not reported") == 0;
        bool as_wanted = strcmp(attribute->reported, attribute->wanted) == 0;
        bool tolerated =
            weight_of(attribute->name) == HS_POLICY_WISHED && hs_plan_tolerates(&ceremony->plan, attribute->name);
        attribute->verdict = as_wanted                                         ? "ok"
                             : tolerated                                       ? "tolerated"
                             : unreported && !ceremony->plan.refuse_unreported ? "accepted"
                                                                               : "failed";
        hs_ceremony_say(ceremony, "    %-22s %-14s %s", attribute->name,
                        unreported                                ? "does not report"
                        : strcmp(attribute->reported, "yes") == 0 ? "says yes"
                                                                  : "says no",
                        attribute->verdict);
        if (failed == NULL && strcmp(attribute->verdict, "failed") == 0)
            failed = attribute;
    }
    if (failed == NULL)
        return HSMART_OK;
    (void)hs_ceremony_fail(ceremony, err, "key \"%s\": %s should be \"%s\", but is \"%s\"", key->plan->label,
                           failed->name, failed->wanted, failed->reported);
    if (weight_of(failed->name) == HS_POLICY_WISHED)
        hs_err_hint(err, "if your token cannot do better, a reviewed plan can tolerate %s", failed->name);
    return HSMART_POLICY_REFUSED;
}

/* ---- Attack and proof ---- */

static enum hsmart_code
attack(struct ceremony *ceremony, struct ceremony_key *key, hsmart_err *err)
{
    const hsmart_attack_report *report;
    const hsmart_attack_attempt *success = NULL;
    size_t held = 0, not_offered = 0;
    enum hsmart_code code = hs_key_attack(key->made.key, &key->attack, err);

    if (code != HSMART_OK)
        return code;
    report = key->attack;
    for (size_t i = 0; i < report->count; i++) {
        const hsmart_attack_attempt *attempt = &report->attempts[i];
        held += attempt->outcome == HSMART_ATTACK_HELD;
        not_offered += attempt->outcome == HSMART_ATTACK_NOT_OFFERED;
        if (attempt->outcome == HSMART_ATTACK_WEAKENED || attempt->outcome == HSMART_ATTACK_BROKEN) {
            hs_ceremony_say(ceremony, "    %s: %s (%s)", hsmart_attack_outcome_words(attempt->outcome), attempt->name,
                            attempt->answer);
            success = success == NULL ? attempt : success;
        }
    }
    hs_ceremony_say(ceremony, "    attack: %zu attempts refused, %zu not offered by the token, %zu succeeded", held,
                    not_offered, report->success_count);
    if (report->success_count == 0)
        return HSMART_OK;
    return hs_ceremony_fail(ceremony, err, "key \"%s\" can be got at: %s was %s", key->plan->label,
                            success != NULL ? success->name : "an attempt",
                            success != NULL ? hsmart_attack_outcome_words(success->outcome) : "successful");
}

static enum hsmart_code
prove(struct ceremony *ceremony, struct ceremony_key *key, hsmart_err *err)
{
    hsmart_signer_options options = {.alg = key->plan->alg};
    enum hsmart_code code =
        hs_buf_append_format(&key->proof_text, err, "hsmart: key %s of the ceremony by plan %s signs", key->plan->label,
                             ceremony->plan.sha256_hex);

    if (code == HSMART_OK)
        code = hs_token_signer_new(key->made.key, &options, &key->signer, err);
    if (code == HSMART_OK)
        code = key->signer->ops->sign(key->signer, hs_span_buf(&key->proof_text), &key->proof_signature, err);
    if (code == HSMART_OK)
        hs_ceremony_say(ceremony, "    a signature was made and verified");
    return code;
}

static enum hsmart_code
certify(struct ceremony *ceremony, struct ceremony_key *key, hsmart_err *err)
{
    enum hsmart_code code;

    if (key->plan->certificate == HS_PLAN_NO_CERTIFICATE)
        return HSMART_OK;
    code = run_errand(ceremony, key, true, &key->certificate, err);
    if (code == HSMART_OK && ceremony->options->rehearsal) /* libp11 drives a key in a process of its own */
        hs_ceremony_say(ceremony, "    the certificate%s was asked for; it cannot be made of a key that vanishes",
                        key->plan->certificate == HS_PLAN_REQUEST ? " request" : "");
    return code == HSMART_OK
               ? code
               : hs_err_wrap(err, code, "cannot make the certificate%s of key \"%s\"",
                             key->plan->certificate == HS_PLAN_REQUEST ? " request" : "", key->plan->label);
}

static void
say_key(const struct ceremony *ceremony, const struct ceremony_key *key)
{
    const struct hs_token_key *made = key->made.key;

    if (made->jwk.type == HS_KEY_RSA)
        hs_ceremony_say(ceremony, "  Key \"%s\", RSA of %u bits, for %s:", key->plan->label, made->jwk.bits,
                        key->plan->alg);
    else
        hs_ceremony_say(ceremony, "  Key \"%s\", %s, for %s:", key->plan->label, made->jwk.curve->name, key->plan->alg);
    hs_ceremony_say(ceremony, "    kid %s", made->jwk.thumbprint);
    if (key->made.reply_was_lost)
        hs_ceremony_say(ceremony, "    the token's reply was lost; the key was found by its id and not made again");
    if (key->made.left_out[0] != 0)
        hs_ceremony_say(ceremony, "    the token does not take: %s", key->made.left_out);
}

enum hsmart_code
hs_ceremony_make_key(struct ceremony *ceremony, struct ceremony_key *key, hsmart_err *err)
{
    enum hsmart_code code = generate(ceremony, key, err);

    if (code != HSMART_OK)
        return code;
    say_key(ceremony, key);
    code = read_back(ceremony, key, err);
    if (code == HSMART_OK)
        code = judge_attributes(ceremony, key, err);
    if (code == HSMART_OK)
        code = attack(ceremony, key, err);
    if (code == HSMART_OK)
        code = prove(ceremony, key, err);
    return code == HSMART_OK ? certify(ceremony, key, err) : code;
}

void
hs_ceremony_key_clear(struct ceremony_key *key)
{
    hs_signer_free(key->signer);
    hs_generate_result_clear(&key->made);
    hsmart_attack_report_free(key->attack);
    for (size_t i = 0; i < key->attribute_count; i++) {
        hs_string_free(key->attributes[i].name);
        hs_string_free(key->attributes[i].wanted);
        hs_string_free(key->attributes[i].reported);
    }
    hs_free(key->attributes);
    hs_buf_clear(&key->proof_text);
    hs_buf_clear(&key->proof_signature);
    hs_buf_clear(&key->certificate);
    *key = (struct ceremony_key){.plan = key->plan};
}

enum hsmart_code
hs_ceremony_destroy_keys(struct ceremony *ceremony, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < ceremony->plan.key_count && code == HSMART_OK; i++) {
        const struct ceremony_key *key = &ceremony->keys[i];
        size_t count = 0;
        if (!key->was_asked || ceremony->options->rehearsal)
            continue;
        code = hs_destroy_pair(ceremony->token, hs_span_str(key->plan->label), HS_SPAN_OF(key->id), &count, err);
        if (code == HSMART_OK && count > 0)
            hs_ceremony_say(ceremony, "  Key \"%s\" is destroyed.", key->plan->label);
        if (code != HSMART_OK)
            (void)hs_err_wrap(err, code, "cannot destroy key \"%s\"", key->plan->label);
    }
    return code;
}

/* ---- The record's part ---- */

static void
put_base64url(struct hs_json_writer *writer, const char *name, struct hs_span bytes)
{
    struct hs_buf text = {0};

    if (writer->code == HSMART_OK)
        writer->code = hs_base64url_append(&text, bytes, &writer->err);
    hs_json_member_text(writer, name, hs_buf_text(&text));
    hs_buf_clear(&text);
}

static void
put_attributes(struct hs_json_writer *writer, const struct ceremony *ceremony, const struct ceremony_key *key)
{
    hs_json_member_text(writer, "read_back_by", ceremony->options->rehearsal ? "this process" : "a fresh process");
    hs_json_name(writer, "attributes");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < key->attribute_count; i++) {
        const struct ceremony_attribute *attribute = &key->attributes[i];
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "name", attribute->name);
        hs_json_member_text(writer, "wanted", attribute->wanted);
        hs_json_member_text(writer, "reported", attribute->reported);
        hs_json_member_text(writer, "verdict", attribute->verdict != NULL ? attribute->verdict : "not judged");
        hs_json_end_object(writer);
    }
    hs_json_end_array(writer);
}

static void
put_attack(struct hs_json_writer *writer, const hsmart_attack_report *report)
{
    hs_json_name(writer, "attack");
    hs_json_begin_array(writer);
    for (size_t i = 0; report != NULL && i < report->count; i++) {
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "attempt", report->attempts[i].name);
        hs_json_member_text(writer, "outcome", hsmart_attack_outcome_words(report->attempts[i].outcome));
        hs_json_member_text(writer, "answer", report->attempts[i].answer);
        hs_json_end_object(writer);
    }
    hs_json_end_array(writer);
}

static void
put_proof(struct hs_json_writer *writer, const struct ceremony_key *key)
{
    hs_json_name(writer, "proof");
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "alg", key->plan->alg);
    hs_json_member_text(writer, "text", hs_buf_text(&key->proof_text));
    put_base64url(writer, "signature", hs_span_buf(&key->proof_signature));
    hs_json_end_object(writer);
}

void
hs_ceremony_put_key(struct hs_json_writer *writer, const struct ceremony *ceremony, const struct ceremony_key *key)
{
    const struct hs_token_key *made = key->made.key;
    struct hs_buf id = {0};

    hs_json_begin_object(writer);
    hs_json_member_text(writer, "label", key->plan->label);
    if (writer->code == HSMART_OK)
        writer->code = hs_text_append_hex(&id, HS_SPAN_OF(key->id), &writer->err);
    hs_json_member_text(writer, "id", hs_buf_text(&id));
    hs_buf_clear(&id);
    hs_json_member_text(writer, "alg", key->plan->alg);
    hs_json_member_text(writer, "start", key->plan->start);
    hs_json_member_text(writer, "end", key->plan->end);
    hs_json_member_text(writer, "purpose", key->plan->purpose);
    hs_json_member_text(writer, "clients", key->plan->clients != NULL ? key->plan->clients : "");
    if (made != NULL) {
        hs_json_member_text(writer, "uri", made->uri);
        hs_json_member_text(writer, "kid", made->jwk.thumbprint);
        hs_json_name(writer, "jwk");
        hs_jwk_put(writer, &made->jwk, NULL, key->plan->alg);
        hs_json_member_text(writer, "start_on_token",
                            made->info.start_date != NULL ? made->info.start_date : "not reported");
        hs_json_member_text(writer, "end_on_token", made->info.end_date != NULL ? made->info.end_date : "not reported");
        hs_json_member_text(writer, "left_out", key->made.left_out);
        hs_json_member_boolean(writer, "reply_was_lost", key->made.reply_was_lost);
    }
    put_attributes(writer, ceremony, key);
    put_attack(writer, key->attack);
    if (key->proof_signature.len > 0)
        put_proof(writer, key);
    hs_json_end_object(writer);
}
