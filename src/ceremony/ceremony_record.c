#include "ceremony_state.h"
#include "clock.h"
#include "err.h"
#include "text.h"

static void
put_plan(struct hs_json_writer *writer, const struct ceremony *ceremony)
{
    const struct hs_plan *plan = &ceremony->plan;

    hs_json_member_text(writer, "ceremony", plan->title);
    hs_json_member_text(writer, "organisation", plan->organisation);
    hs_json_member_text(writer, "purpose", plan->purpose);
    hs_json_member_text(writer, "reference", plan->reference != NULL ? plan->reference : "");
    hs_json_name(writer, "plan");
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "sha256", plan->sha256_hex);
    hs_json_member_text(writer, "words", plan->words);
    hs_json_name(writer, "text");
    hs_json_put_span(writer, hs_span_buf(&plan->text));
    hs_json_end_object(writer);
}

static void
put_times(struct hs_json_writer *writer, const struct ceremony *ceremony)
{
    char time[HS_TIME_TEXT_MAX];

    hs_time_format(ceremony->started_s, time);
    hs_json_member_text(writer, "started", time);
    hs_time_format(hs_clock_now_s(), time);
    hs_json_member_text(writer, "finished", time);
    hs_json_name(writer, "begun_before");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < ceremony->interruption_count; i++)
        hs_json_put_text(writer, ceremony->interruptions[i]);
    hs_json_end_array(writer);
    hs_json_name(writer, "clock");
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "other_clock", ceremony->other_clock != NULL ? ceremony->other_clock : "not compared");
    hs_json_member_integer(writer, "difference_s", ceremony->clock_difference_s);
    hs_json_member_text(writer, "synchronised", ceremony->synchronised != NULL ? ceremony->synchronised : "unknown");
    hs_json_end_object(writer);
}

static void
put_people(struct hs_json_writer *writer, const struct ceremony *ceremony)
{
    char time[HS_TIME_TEXT_MAX];

    hs_json_member_text(writer, "confirmed_by", ceremony->seam->is_batch ? "a file" : "a terminal");
    hs_json_name(writer, "participants");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < ceremony->person_count; i++) {
        hs_time_format(ceremony->people[i].confirmed_s, time);
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "role", ceremony->people[i].role);
        hs_json_member_text(writer, "name", ceremony->people[i].name);
        hs_json_member_text(writer, "confirmed", time);
        hs_json_end_object(writer);
    }
    hs_json_end_array(writer);
}

static enum hsmart_code
put_outputs(struct hs_json_writer *writer, const struct ceremony *ceremony, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    hs_json_name(writer, "files");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < ceremony->output_count && code == HSMART_OK; i++) {
        uint8_t digest[HS_SHA256_LEN];
        struct hs_buf hex = {0};
        code = hs_sha256(hs_span_buf(&ceremony->outputs[i].contents), digest, err);
        if (code == HSMART_OK)
            code = hs_text_append_hex(&hex, HS_SPAN_OF(digest), err);
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "name", ceremony->outputs[i].name);
        hs_json_member_text(writer, "sha256", hs_buf_text(&hex));
        hs_json_end_object(writer);
        hs_buf_clear(&hex);
    }
    hs_json_end_array(writer);
    return code;
}

/* Who signs stands in what is signed: a signature that is taken away is missed. */
static void
put_signer(struct hs_json_writer *writer, const struct hs_signer *signer, const char *who)
{
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "who", who);
    hs_json_member_text(writer, "kid", signer->jwk->thumbprint);
    hs_json_name(writer, "jwk");
    hs_jwk_put(writer, signer->jwk, NULL, signer->alg->name);
    hs_json_end_object(writer);
}

static size_t
list_signers(const struct ceremony *ceremony, struct hs_signer *signers[HS_RECORD_SIGNATURES_MAX])
{
    size_t count = 0;

    for (size_t i = 0; ceremony->failure == NULL && i < ceremony->plan.key_count; i++)
        signers[count++] = ceremony->keys[i].signer;
    if (ceremony->organisation_signer != NULL)
        signers[count++] = ceremony->organisation_signer;
    return count;
}

static void
put_signers(struct hs_json_writer *writer, const struct ceremony *ceremony)
{
    struct hs_signer *signers[HS_RECORD_SIGNATURES_MAX];
    size_t count = list_signers(ceremony, signers);

    hs_json_name(writer, "signers");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < count; i++)
        put_signer(writer, signers[i], signers[i] == ceremony->organisation_signer ? "the organisation" : "a new key");
    hs_json_end_array(writer);
}

static enum hsmart_code
format_payload(const struct ceremony *ceremony, struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out};
    enum hsmart_code code, finished;

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "type", HS_RECORD_TYP);
    hs_json_member_integer(&writer, "version", 1);
    hs_json_member_text(&writer, "kind", ceremony->options->rehearsal ? "rehearsal" : "ceremony");
    hs_json_member_text(&writer, "result", ceremony->failure == NULL ? "passed" : "failed");
    hs_json_member_text(&writer, "failure", ceremony->failure != NULL ? ceremony->failure : "");
    hs_json_member_text(&writer, "tool", ceremony->options->tool);
    put_plan(&writer, ceremony);
    put_times(&writer, ceremony);
    put_people(&writer, ceremony);
    hs_ceremony_put_site(&writer, ceremony);
    hs_json_name(&writer, "keys");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < ceremony->plan.key_count; i++)
        hs_ceremony_put_key(&writer, ceremony, &ceremony->keys[i]);
    hs_json_end_array(&writer);
    code = put_outputs(&writer, ceremony, err);
    hs_json_member_text(&writer, "rehearsal_sha256",
                        ceremony->rehearsed_sha256 != NULL ? ceremony->rehearsed_sha256 : "");
    hs_json_member_text(&writer, "previous_sha256", ceremony->has_previous ? ceremony->previous.sha256_hex : "");
    put_signers(&writer, ceremony);
    hs_json_end_object(&writer);
    finished = hs_json_writer_finish(&writer, code == HSMART_OK ? err : NULL);
    return code == HSMART_OK ? finished : code;
}

enum hsmart_code
hs_ceremony_make_record(struct ceremony *ceremony, struct hs_buf *out_text, hsmart_err *err)
{
    struct hs_signer *signers[HS_RECORD_SIGNATURES_MAX];
    struct hs_buf payload = {.max_len = HS_RECORD_MAX_LEN};
    enum hsmart_code code = format_payload(ceremony, &payload, err);

    if (code == HSMART_OK)
        code = hs_record_sign(hs_span_buf(&payload), HS_RECORD_TYP, signers, list_signers(ceremony, signers), out_text,
                              err);
    hs_buf_clear(&payload);
    return code == HSMART_OK ? code : hs_err_wrap(err, code, "cannot make the record");
}
