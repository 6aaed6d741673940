#include "jws.h"

#include "base64url.h"
#include "err.h"

/* ---- Signing ---- */

/* One allocation: growing would move a live assertion about in memory. The length of the whole is known. */
static enum hsmart_code
reserve(const struct hs_signer *signer, struct hs_span header, struct hs_span payload, struct hs_buf *jws,
        hsmart_err *err)
{
    size_t len = hs_base64url_len(header.len) + hs_base64url_len(payload.len) +
                 hs_base64url_len(hs_jwk_signature_len(signer->jwk)) + strlen("..");

    if (len > HS_JWS_MAX_LEN)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the JWS would be %zu bytes long, more than the %u allowed",
                          len, HS_JWS_MAX_LEN);
    return hs_buf_reserve(jws, len, err);
}

enum hsmart_code
hs_jws_sign(struct hs_signer *signer, struct hs_span header, struct hs_span payload, struct hs_buf *out_jws,
            hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf jws = {0}, signature = {0};

    code = reserve(signer, header, payload, &jws, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_base64url_append(&jws, header, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_buf_append_str(&jws, ".", err);
    if (code != HSMART_OK)
        goto out;
    code = hs_base64url_append(&jws, payload, err);
    if (code != HSMART_OK)
        goto out;
    code = signer->ops->sign(signer, hs_span_buf(&jws), &signature, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_buf_append_str(&jws, ".", err);
    if (code != HSMART_OK)
        goto out;
    code = hs_base64url_append(&jws, hs_span_buf(&signature), err);
    if (code != HSMART_OK)
        goto out;
    hs_buf_move(&jws, out_jws);
out:
    hs_buf_clear(&signature);
    hs_buf_clear(&jws);
    return code;
}

/* ---- Taking apart ---- */

/* The three parts between the dots. */
static enum hsmart_code
split(struct hs_span text, struct hs_span out_parts[3], hsmart_err *err)
{
    size_t count = 0, start = 0;

    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && text.data[i] != '.')
            continue;
        if (count < 3 && text.len > 0) /* no arithmetic on the NULL of an empty span */
            out_parts[count] = (struct hs_span){text.data + start, i - start};
        count++;
        start = i + 1;
    }
    if (count != 3)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "a compact JWS has 3 parts between dots, this has %zu", count);
    return HSMART_OK;
}

enum hsmart_code
hs_jws_split(struct hs_span text, struct hs_jws *out_jws, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_jws jws = {0};
    struct hs_span parts[3] = {{0}};
    static const char *const names[] = {"header", "payload", "signature"};
    struct hs_buf *const decoded[] = {&jws.header_text, &jws.payload_text, &jws.signature};

    if (text.len > HS_JWS_MAX_LEN) {
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "the JWS is %zu bytes long, more than the %u allowed", text.len,
                          HS_JWS_MAX_LEN);
        goto out;
    }
    code = split(text, parts, err);
    if (code != HSMART_OK)
        goto out;
    for (size_t i = 0; i < HS_ARRAY_LEN(parts); i++) {
        code = hs_base64url_decode(parts[i], decoded[i], err);
        if (code != HSMART_OK) {
            (void)hs_err_wrap(err, code, "the %s", names[i]);
            goto out;
        }
    }
    jws.signing_input = (struct hs_span){text.data, parts[0].len + 1 + parts[1].len};
    hs_jws_clear(out_jws);
    *out_jws = jws;
    jws = (struct hs_jws){0};
out:
    hs_jws_clear(&jws);
    return code;
}

static enum hsmart_code
parse_object(const struct hs_buf *text, const char *name, struct hs_json_doc *out_doc, hsmart_err *err)
{
    enum hsmart_code code = hs_json_parse(hs_span_buf(text), out_doc, err);

    if (code == HSMART_OK && hs_json_type_of(out_doc->root) != HS_JSON_OBJECT)
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "must be a JSON object, but is %s",
                          hs_json_type_words(out_doc->root));
    return code == HSMART_OK ? code : hs_err_wrap(err, code, "the %s", name);
}

enum hsmart_code
hs_jws_parse(struct hs_span text, struct hs_jws *out_jws, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_jws jws = {0};

    code = hs_jws_split(text, &jws, err);
    if (code != HSMART_OK)
        goto out;
    code = parse_object(&jws.header_text, "header", &jws.header, err);
    if (code != HSMART_OK)
        goto out;
    code = parse_object(&jws.payload_text, "payload", &jws.payload, err);
    if (code != HSMART_OK)
        goto out;
    hs_jws_clear(out_jws);
    *out_jws = jws;
    jws = (struct hs_jws){0};
out:
    hs_jws_clear(&jws);
    return code;
}

void
hs_jws_clear(struct hs_jws *jws)
{
    hs_buf_clear(&jws->header_text);
    hs_buf_clear(&jws->payload_text);
    hs_buf_clear(&jws->signature);
    hs_json_doc_clear(&jws->header);
    hs_json_doc_clear(&jws->payload);
    *jws = (struct hs_jws){0};
}
