#include "record.h"

#include <stdio.h>

#include "base64url.h"
#include "canonical.h"
#include "err.h"
#include "file.h"
#include "jws.h"
#include "text.h"

bool
hs_record_is_destruction(const struct hs_record *record)
{
    const char *type = hs_json_text(hs_json_member(record->doc.root, "type"));

    return type != NULL && strcmp(type, HS_DESTRUCTION_TYP) == 0;
}

/* ---- Writing ---- */

static enum hsmart_code
format_header(const struct hs_signer *signer, const char *typ, struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out};

    hs_json_begin_object(&writer); /* in canonical order */
    hs_json_member_text(&writer, "alg", signer->alg->name);
    hs_json_member_text(&writer, "kid", signer->jwk->thumbprint);
    hs_json_member_text(&writer, "typ", typ);
    hs_json_end_object(&writer);
    return hs_json_writer_finish(&writer, err);
}

/* The compact form is header.payload.signature, of which the outer parts are wanted. */
static enum hsmart_code
put_signature(struct hs_json_writer *writer, struct hs_signer *signer, const char *typ, struct hs_span payload,
              hsmart_err *err)
{
    struct hs_buf header = {0}, jws = {0};
    enum hsmart_code code = format_header(signer, typ, &header, err);

    if (code == HSMART_OK)
        code = hs_jws_sign(signer, hs_span_buf(&header), payload, &jws, err);
    if (code == HSMART_OK) {
        const char *text = hs_buf_text(&jws), *first = strchr(text, '.'), *last = strrchr(text, '.');
        hs_json_begin_object(writer);
        hs_json_name(writer, "protected");
        hs_json_put_span(writer, (struct hs_span){jws.data, (size_t)(first - text)});
        hs_json_member_text(writer, "signature", last + 1);
        hs_json_end_object(writer);
    }
    hs_buf_clear(&header);
    hs_buf_clear(&jws);
    return code;
}

enum hsmart_code
hs_record_sign(struct hs_span payload, const char *typ, struct hs_signer *const *signers, size_t signer_count,
               struct hs_buf *out_text, hsmart_err *err)
{
    struct hs_buf canonical = {0}, encoded = {0}, text = {.max_len = HS_RECORD_MAX_LEN};
    struct hs_json_writer writer = {.out = &text};
    enum hsmart_code code = hs_canonical_of_text(payload, &canonical, err);

    if (code == HSMART_OK)
        code = hs_base64url_append(&encoded, hs_span_buf(&canonical), err);
    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "payload", hs_buf_text(&encoded));
    hs_json_name(&writer, "signatures");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < signer_count && code == HSMART_OK; i++)
        code = put_signature(&writer, signers[i], typ, hs_span_buf(&canonical), err);
    hs_json_end_array(&writer);
    hs_json_end_object(&writer);
    if (code == HSMART_OK)
        code = hs_json_writer_finish(&writer, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(&text, "\n", err);
    if (code == HSMART_OK)
        hs_buf_move(&text, out_text);
    hs_buf_clear(&canonical);
    hs_buf_clear(&encoded);
    hs_buf_clear(&text);
    return code;
}

/* ---- Reading ---- */

static enum hsmart_code
take_base64url(const hs_json_value *value, const char *what, struct hs_buf *out_text, struct hs_buf *out_bytes,
               hsmart_err *err)
{
    enum hsmart_code code;

    if (hs_json_type_of(value) != HS_JSON_STRING)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "its \"%s\" is %s, not a string", what,
                          hs_json_type_words(value));
    code = hs_base64url_decode(hs_json_string(value), out_bytes, err);
    if (code == HSMART_INPUT_MALFORMED)
        return hs_err_wrap(err, code, "its \"%s\"", what);
    return code == HSMART_OK && out_text != NULL ? hs_buf_append(out_text, hs_json_string(value), err) : code;
}

/* A JSON text in its canonical form, and nothing else. */
static enum hsmart_code
parse_canonical(struct hs_span text, const char *what, struct hs_json_doc *out_doc, hsmart_err *err)
{
    struct hs_buf canonical = {0};
    enum hsmart_code code = hs_canonical_of_text(text, &canonical, err);

    if (code == HSMART_OK && !hs_span_equal(text, hs_span_buf(&canonical)))
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "it is not in canonical form");
    if (code == HSMART_OK)
        code = hs_json_parse(text, out_doc, err);
    if (code == HSMART_OK && hs_json_type_of(out_doc->root) != HS_JSON_OBJECT)
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "it is no JSON object");
    hs_buf_clear(&canonical);
    return code == HSMART_INPUT_MALFORMED ? hs_err_wrap(err, code, "its %s", what) : code;
}

static enum hsmart_code
check_header(const hs_json_value *header, const char *typ, hsmart_err *err)
{
    static const char *const names[] = {"alg", "kid", "typ"};

    for (size_t i = 0; i < HS_ARRAY_LEN(names); i++)
        if (hs_json_text(hs_json_member(header, names[i])) == NULL)
            return hs_err_set(err, HSMART_INPUT_MALFORMED, "a signature's header has no \"%s\"", names[i]);
    if (hs_json_member_name(header, HS_ARRAY_LEN(names)) != NULL)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "a signature's header has members that are not known");
    if (strcmp(hs_json_text(hs_json_member(header, "typ")), typ) != 0)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "a signature is not one of a record like this, by its \"typ\"");
    return HSMART_OK;
}

static enum hsmart_code
take_signature(const hs_json_value *value, const char *typ, struct hs_record_signature *out_signature, hsmart_err *err)
{
    struct hs_buf header = {0};
    enum hsmart_code code =
        take_base64url(hs_json_member(value, "protected"), "protected", &out_signature->protected_text, &header, err);

    if (code == HSMART_OK)
        code = take_base64url(hs_json_member(value, "signature"), "signature", NULL, &out_signature->signature, err);
    if (code == HSMART_OK)
        code = parse_canonical(hs_span_buf(&header), "protected header", &out_signature->header, err);
    if (code == HSMART_OK)
        code = check_header(out_signature->header.root, typ, err);
    hs_buf_clear(&header);
    return code;
}

/* What the signatures of this payload have to be for, so that none of another kind passes. */
static const char *
typ_of(const struct hs_record *record)
{
    return hs_record_is_destruction(record) ? HS_DESTRUCTION_TYP : HS_RECORD_TYP;
}

static enum hsmart_code
take_signatures(const hs_json_value *array, struct hs_record *record, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    size_t count = hs_json_length(array);

    if (hs_json_type_of(array) != HS_JSON_ARRAY || count > HS_RECORD_SIGNATURES_MAX)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "its \"signatures\" is no list of at most %u",
                          HS_RECORD_SIGNATURES_MAX);
    record->signatures = hs_calloc(count != 0 ? count : 1, sizeof *record->signatures);
    if (record->signatures == NULL)
        return hs_err_no_memory(err);
    for (; record->signature_count < count && code == HSMART_OK; record->signature_count++)
        code = take_signature(hs_json_element(array, record->signature_count), typ_of(record),
                              &record->signatures[record->signature_count], err);
    return code;
}

/* The file again, from what was read: what differs was something else than it seemed. */
static enum hsmart_code
check_form(const struct hs_json_doc *outer, struct hs_span text, hsmart_err *err)
{
    struct hs_buf again = {0};
    enum hsmart_code code = hs_canonical_append(&again, outer->root, err);

    if (code == HSMART_OK)
        code = hs_buf_append_str(&again, "\n", err);
    if (code == HSMART_OK && !hs_span_equal(text, hs_span_buf(&again)))
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "it is not byte by byte as a record is written");
    hs_buf_clear(&again);
    return code;
}

static enum hsmart_code
check_members(const hs_json_value *outer, hsmart_err *err)
{
    const hs_json_value *signatures = hs_json_member(outer, "signatures");

    if (hs_json_type_of(outer) != HS_JSON_OBJECT || hs_json_member_name(outer, 2) != NULL)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "it is no JSON object of \"payload\" and \"signatures\" alone");
    for (size_t i = 0; i < hs_json_length(signatures); i++)
        if (hs_json_member_name(hs_json_element(signatures, i), 2) != NULL)
            return hs_err_set(err, HSMART_INPUT_MALFORMED, "a signature has members that are not known");
    return HSMART_OK;
}

static enum hsmart_code
fingerprint(struct hs_record *record, hsmart_err *err)
{
    struct hs_buf hex = {0};
    enum hsmart_code code = hs_sha256(hs_span_buf(&record->payload), record->sha256, err);

    if (code == HSMART_OK)
        code = hs_text_append_hex(&hex, HS_SPAN_OF(record->sha256), err);
    (void)snprintf(record->sha256_hex, sizeof record->sha256_hex, "%s", hs_buf_text(&hex));
    hs_buf_clear(&hex);
    return code;
}

enum hsmart_code
hs_record_parse(struct hs_span text, const char *file, struct hs_record *out_record, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_json_doc outer = {0};
    struct hs_record record = {0};

    code = hs_json_parse(text, &outer, err);
    if (code == HSMART_OK)
        code = check_members(outer.root, err);
    if (code == HSMART_OK)
        code = check_form(&outer, text, err);
    if (code == HSMART_OK)
        code = take_base64url(hs_json_member(outer.root, "payload"), "payload", &record.payload_text, &record.payload,
                              err);
    if (code == HSMART_OK)
        code = parse_canonical(hs_span_buf(&record.payload), "payload", &record.doc, err);
    if (code == HSMART_OK)
        code = take_signatures(hs_json_member(outer.root, "signatures"), &record, err);
    if (code == HSMART_OK)
        code = fingerprint(&record, err);
    if (code == HSMART_OK) {
        *out_record = record;
        record = (struct hs_record){0};
    } else if (code == HSMART_INPUT_MALFORMED) {
        (void)hs_err_wrap(err, code, "\"%s\" is no good record of a ceremony", file);
        hs_err_hint(
            err, "a record that was changed in any way is worth nothing: get the one that was written in the ceremony");
    }
    hs_record_clear(&record);
    hs_json_doc_clear(&outer);
    return code;
}

enum hsmart_code
hs_record_load(const char *path, struct hs_record *out_record, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = hs_file_read(path, HS_RECORD_MAX_LEN, &text, err);

    if (code == HSMART_OK)
        code = hs_record_parse(hs_span_buf(&text), path, out_record, err);
    hs_buf_clear(&text);
    return code;
}

void
hs_record_clear(struct hs_record *record)
{
    for (size_t i = 0; i < record->signature_count; i++) {
        hs_buf_clear(&record->signatures[i].protected_text);
        hs_json_doc_clear(&record->signatures[i].header);
        hs_buf_clear(&record->signatures[i].signature);
    }
    hs_free(record->signatures);
    hs_json_doc_clear(&record->doc);
    hs_buf_clear(&record->payload_text);
    hs_buf_clear(&record->payload);
    *record = (struct hs_record){0};
}

/* ---- Signatures ---- */

enum hsmart_code
hs_record_verify_signature(const struct hs_record *record, size_t index, const struct hs_jwk *jwk, hsmart_err *err)
{
    const struct hs_record_signature *signature = &record->signatures[index];
    const struct hs_alg *alg = hs_alg_by_name(hs_json_text(hs_json_member(signature->header.root, "alg")));
    struct hs_buf input = {0};
    enum hsmart_code code;

    if (alg == NULL)
        return hs_err_set(err, HSMART_SIGNATURE_WRONG, "the signature is by an algorithm that is not known");
    code = hs_buf_append_format(&input, err, "%s.", hs_buf_text(&signature->protected_text));
    if (code == HSMART_OK)
        code = hs_buf_append(&input, hs_span_buf(&record->payload_text), err);
    if (code == HSMART_OK)
        code = hs_jwk_verify(jwk, alg, hs_span_buf(&input), hs_span_buf(&signature->signature), err);
    hs_buf_clear(&input);
    return code;
}
