#include "assertion.h"

#include "base64url.h"
#include "clock.h"
#include "err.h"
#include "json.h"
#include "jws.h"
#include "text.h"

/* Room for most headers and claims at once. */
#define HEADER_USUAL_LEN 255U
#define CLAIMS_USUAL_LEN 511U
#define NOW_MAX_S 253402300799 /* the end of the year 9999 */

/* The claims that have a value of their own per assertion. */
struct moment {
    int64_t now_s, expires_s;
    struct hs_buf jti;
};

/* ---- Checking what was asked for ---- */

static enum hsmart_code
check_text(const char *what, const char *text, hsmart_err *err)
{
    struct hs_span span = hs_span_str(text);

    if (span.len == 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the %s is missing", what);
    if (span.len > HS_ASSERTION_TEXT_MAX)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the %s is %zu bytes long, more than the %u allowed", what,
                          span.len, HS_ASSERTION_TEXT_MAX);
    if (!hs_text_is_utf8(span))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the %s is not UTF-8 (at its byte %zu)", what,
                          hs_text_utf8_prefix(span));
    return HSMART_OK;
}

static enum hsmart_code
check_options(const hsmart_assertion_options *options, hsmart_err *err)
{
    const struct {
        const char *what, *text;
        bool optional;
    } texts[] = {
        {"client id", options->client_id, false},
        {"audience", options->audience, false},
        {"type", options->type, true},
        {"jku", options->jku, true},
    };

    for (size_t i = 0; i < HS_ARRAY_LEN(texts); i++) {
        if (texts[i].optional && texts[i].text == NULL)
            continue;
        enum hsmart_code code = check_text(texts[i].what, texts[i].text, err);
        if (code != HSMART_OK)
            return code;
    }
    if (options->lifetime_s > HS_ASSERTION_LIFETIME_MAX_S)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the lifetime is %u seconds, but must be 1 to %u",
                          options->lifetime_s, HS_ASSERTION_LIFETIME_MAX_S);
    if (options->now_s < 0 || options->now_s > NOW_MAX_S)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the time %lld is not within the years 1970 to 9999",
                          (long long)options->now_s);
    return HSMART_OK;
}

/* ---- Header and claims ---- */

static enum hsmart_code
format_header(const struct hs_signer *signer, const hsmart_assertion_options *options, struct hs_buf *out,
              hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out};

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "alg", signer->alg->name);
    hs_json_member_text(&writer, "kid", signer->kid);
    hs_json_member_text(&writer, "typ", options->type != NULL ? options->type : HS_ASSERTION_TYPE_DEFAULT);
    if (options->jku != NULL)
        hs_json_member_text(&writer, "jku", options->jku);
    hs_json_end_object(&writer);
    return hs_json_writer_finish(&writer, err);
}

static enum hsmart_code
choose_moment(const hsmart_assertion_options *options, struct moment *out_moment, hsmart_err *err)
{
    uint8_t id[HS_ASSERTION_JTI_BYTES];
    unsigned lifetime_s = options->lifetime_s != 0 ? options->lifetime_s : HS_ASSERTION_LIFETIME_DEFAULT_S;

    enum hsmart_code code = hs_random_bytes(id, sizeof id, err);
    if (code != HSMART_OK)
        return code;
    out_moment->now_s = options->now_s != 0 ? options->now_s : hs_clock_now_s();
    out_moment->expires_s = out_moment->now_s + lifetime_s;
    return hs_base64url_append(&out_moment->jti, HS_SPAN_OF(id), err);
}

static enum hsmart_code
format_claims(const hsmart_assertion_options *options, const struct moment *moment, struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out};

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "iss", options->client_id);
    hs_json_member_text(&writer, "sub", options->client_id);
    /* One string: servers compare it as such, and an array of one fails with several. */
    hs_json_member_text(&writer, "aud", options->audience);
    hs_json_member_integer(&writer, "exp", moment->expires_s);
    if (!options->omit_issued_at)
        hs_json_member_integer(&writer, "iat", moment->now_s);
    if (options->not_before)
        hs_json_member_integer(&writer, "nbf", moment->now_s);
    hs_json_member_text(&writer, "jti", hs_buf_text(&moment->jti));
    hs_json_end_object(&writer);
    return hs_json_writer_finish(&writer, err);
}

/* ---- The assertion ---- */

enum hsmart_code
hs_assertion_sign(struct hs_signer *signer, const hsmart_assertion_options *options, struct hs_buf *out_jwt,
                  hsmart_err *err)
{
    enum hsmart_code code;
    struct moment moment = {0};
    struct hs_buf header = {0}, claims = {0};
    struct hs_signer *current = NULL;

    code = check_options(options, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_signer_acquire(signer, &current, err);
    if (code != HSMART_OK)
        goto out;
    code = choose_moment(options, &moment, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_buf_reserve(&header, HEADER_USUAL_LEN, err);
    if (code != HSMART_OK)
        goto out;
    code = format_header(current, options, &header, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_buf_reserve(&claims, CLAIMS_USUAL_LEN, err);
    if (code != HSMART_OK)
        goto out;
    code = format_claims(options, &moment, &claims, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_jws_sign(current, hs_span_buf(&header), hs_span_buf(&claims), out_jwt, err);
out:
    hs_signer_release(signer, current);
    hs_buf_clear(&moment.jti);
    hs_buf_clear(&claims);
    hs_buf_clear(&header);
    return code;
}
