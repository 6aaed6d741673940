#include "form.h"

#include "base64url.h"
#include "err.h"
#include "text.h"

/* ---- One component ---- */

/* What the form encoder of HTML leaves as it is; a space becomes '+', all else is escaped (RFC 6749 appendix B). */
static bool
stays_as_it_is(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '-' || byte == '.' || byte == '_' || byte == '*';
}

static size_t
encoded_len(struct hs_span value)
{
    size_t len = value.len;

    for (size_t i = 0; i < value.len; i++)
        if (!stays_as_it_is(value.data[i]) && value.data[i] != ' ')
            len += 2;
    return len;
}

enum hsmart_code
hs_form_encode(struct hs_buf *out, struct hs_span value, hsmart_err *err)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t start = out->len;
    enum hsmart_code code;

    /* The length first: a buffer that cannot hold everything is left as it was. */
    code = hs_buf_resize(out, start + encoded_len(value), err);
    if (code != HSMART_OK)
        return code;

    uint8_t *to = out->data + start;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t byte = value.data[i];
        if (stays_as_it_is(byte)) {
            *to++ = byte;
        } else if (byte == ' ') {
            *to++ = '+';
        } else {
            *to++ = '%';
            *to++ = (uint8_t)digits[byte >> 4];
            *to++ = (uint8_t)digits[byte & 0xf];
        }
    }
    return HSMART_OK;
}

enum hsmart_code
hs_form_decode(struct hs_span text, struct hs_buf *out, hsmart_err *err)
{
    struct hs_buf bytes = {.max_len = out->max_len};
    enum hsmart_code code;
    size_t len = 0;

    code = hs_buf_resize(&bytes, text.len, err);
    for (size_t i = 0; i < text.len && code == HSMART_OK; i++) {
        uint8_t byte = text.data[i];
        if (byte == '+') {
            byte = ' ';
        } else if (byte == '%') {
            int high = i + 2 < text.len ? hs_text_hex_digit((char)text.data[i + 1]) : -1;
            int low = high >= 0 ? hs_text_hex_digit((char)text.data[i + 2]) : -1;
            if (low < 0) {
                code = hs_err_set(err, HSMART_INPUT_MALFORMED, "the percent escape at byte %zu is not one", i);
                goto out;
            }
            byte = (uint8_t)(high << 4 | low);
            i += 2;
        }
        bytes.data[len++] = byte;
    }
    if (code == HSMART_OK)
        code = hs_buf_resize(&bytes, len, err);
    if (code == HSMART_OK)
        hs_buf_move(&bytes, out);
out:
    hs_buf_clear(&bytes);
    return code;
}

/* ---- A whole form ---- */

enum hsmart_code
hs_form_append(struct hs_buf *form, const char *name, struct hs_span value, hsmart_err *err)
{
    const char *separator = form->len > 0 ? "&" : "";
    struct hs_span name_span = hs_span_str(name);
    size_t len = form->len + strlen(separator) + encoded_len(name_span) + 1 + encoded_len(value);
    enum hsmart_code code;

    if (value.len == 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the parameter \"%s\" is empty", name);

    code = hs_buf_reserve(form, len, err); /* all or nothing: the calls below find room */
    if (code == HSMART_OK)
        code = hs_buf_append_str(form, separator, err);
    if (code == HSMART_OK)
        code = hs_form_encode(form, name_span, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(form, "=", err);
    if (code == HSMART_OK)
        code = hs_form_encode(form, value, err);
    return code;
}

/* The bytes of `rest` before the first `separator`; `rest` goes on behind it. */
static struct hs_span
take_until(struct hs_span *rest, char separator)
{
    struct hs_span taken = *rest;
    const uint8_t *end = rest->len > 0 ? memchr(rest->data, separator, rest->len) : NULL;

    if (end == NULL) {
        *rest = (struct hs_span){0};
        return taken;
    }
    taken.len = (size_t)(end - rest->data);
    rest->data = end + 1;
    rest->len -= taken.len + 1;
    return taken;
}

bool
hs_form_next(struct hs_span *inout_rest, struct hs_span *out_name, struct hs_span *out_value)
{
    while (inout_rest->len > 0) {
        struct hs_span value = take_until(inout_rest, '&');
        if (value.len == 0)
            continue;
        *out_name = take_until(&value, '=');
        *out_value = value;
        return true;
    }
    return false;
}

/* ---- HTTP Basic ---- */

/* Plain base64 is base64url with two other characters and padding. */
static enum hsmart_code
append_base64(struct hs_buf *out, struct hs_span bytes, hsmart_err *err)
{
    size_t start = out->len;
    enum hsmart_code code = hs_base64url_append(out, bytes, err);

    while (code == HSMART_OK && (out->len - start) % 4 != 0)
        code = hs_buf_append_str(out, "=", err);
    for (size_t i = start; i < out->len; i++)
        if (out->data[i] == '-')
            out->data[i] = '+';
        else if (out->data[i] == '_')
            out->data[i] = '/';
    return code;
}

static bool
has_control_character(struct hs_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] == 0x7f)
            return true;
    return false;
}

/* RFC 7617 section 2. */
static enum hsmart_code
check_raw(struct hs_span id, struct hs_span secret, hsmart_err *err)
{
    enum hsmart_code code;

    if (memchr(id.data, ':', id.len) != NULL) {
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT,
                          "a client id with a colon cannot be sent in a raw HTTP Basic header");
        hs_err_hint(err, "use the form-encoded kind (RFC 6749 section 2.3.1), or client_secret_post");
        return code;
    }
    if (has_control_character(id) || has_control_character(secret))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT,
                          "a client id or secret with control characters cannot be sent in a raw HTTP Basic header");
    return HSMART_OK;
}

enum hsmart_code
hs_basic_header(struct hs_span id, struct hs_span secret, enum hs_basic_form form, struct hs_buf *out,
                bool *out_differs, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf encoded = {0}, raw = {0}, header = {.max_len = out->max_len};

    if (id.len == 0 || secret.len == 0) {
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "the client %s is empty", id.len == 0 ? "id" : "secret");
        goto out;
    }
    if (form == HS_BASIC_RAW) {
        code = check_raw(id, secret, err);
        if (code != HSMART_OK)
            goto out;
    }

    code = hs_buf_append(&raw, id, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(&raw, ":", err);
    if (code == HSMART_OK)
        code = hs_buf_append(&raw, secret, err);
    if (code == HSMART_OK)
        code = hs_form_encode(&encoded, id, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(&encoded, ":", err);
    if (code == HSMART_OK)
        code = hs_form_encode(&encoded, secret, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(&header, "Basic ", err);
    if (code == HSMART_OK)
        code = append_base64(&header, hs_span_buf(form == HS_BASIC_RAW ? &raw : &encoded), err);
    if (code != HSMART_OK)
        goto out;

    hs_buf_move(&header, out);
    if (out_differs != NULL)
        *out_differs = !hs_span_equal(hs_span_buf(&raw), hs_span_buf(&encoded));
out:
    hs_buf_clear(&encoded);
    hs_buf_clear(&raw);
    hs_buf_clear(&header);
    return code;
}
