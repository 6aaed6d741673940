#include "base64url.h"

#include "err.h"

static const char alphabet[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static uint64_t
big_endian(const uint8_t *b)
{
    return (uint64_t)b[0] << 56 | (uint64_t)b[1] << 48 | (uint64_t)b[2] << 40 | (uint64_t)b[3] << 32 |
           (uint64_t)b[4] << 24 | (uint64_t)b[5] << 16 | (uint64_t)b[6] << 8 | b[7];
}

enum hsmart_code
hs_base64url_append(struct hs_buf *out, struct hs_span bytes, hsmart_err *err)
{
    size_t at = out->len;

    if (bytes.len > SIZE_MAX / 4)
        return hs_err_no_memory(err);
    enum hsmart_code code = hs_buf_resize(out, at + hs_base64url_len(bytes.len), err);
    if (code != HSMART_OK)
        return code;

    uint8_t *to = out->data + at;
    const uint8_t *from = bytes.data;
    size_t left = bytes.len;
    /* Six bytes to eight characters; eight are read for it. */
    for (; left >= 8; left -= 6, from += 6, to += 8) {
        uint64_t group = big_endian(from);
        to[0] = (uint8_t)alphabet[group >> 58];
        to[1] = (uint8_t)alphabet[group >> 52 & 0x3f];
        to[2] = (uint8_t)alphabet[group >> 46 & 0x3f];
        to[3] = (uint8_t)alphabet[group >> 40 & 0x3f];
        to[4] = (uint8_t)alphabet[group >> 34 & 0x3f];
        to[5] = (uint8_t)alphabet[group >> 28 & 0x3f];
        to[6] = (uint8_t)alphabet[group >> 22 & 0x3f];
        to[7] = (uint8_t)alphabet[group >> 16 & 0x3f];
    }
    for (; left >= 3; left -= 3, from += 3) {
        uint32_t group = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
        *to++ = (uint8_t)alphabet[group >> 18];
        *to++ = (uint8_t)alphabet[group >> 12 & 0x3f];
        *to++ = (uint8_t)alphabet[group >> 6 & 0x3f];
        *to++ = (uint8_t)alphabet[group & 0x3f];
    }
    if (left > 0) {
        uint32_t group = (uint32_t)from[0] << 16 | (left > 1 ? (uint32_t)from[1] << 8 : 0);
        *to++ = (uint8_t)alphabet[group >> 18];
        *to++ = (uint8_t)alphabet[group >> 12 & 0x3f];
        if (left > 1)
            *to++ = (uint8_t)alphabet[group >> 6 & 0x3f];
    }
    return HSMART_OK;
}

/* The six bits that a character stands for; negative for one outside the alphabet. */
static int
sextet(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    if (c == '_')
        return 63;
    return -1;
}

/* What stands in the way of a character outside the alphabet, in the reader's words. */
static enum hsmart_code
refuse_character(uint8_t c, size_t at, hsmart_err *err)
{
    if (c == '=')
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "the base64url is padded with \"=\" at byte %zu", at);
    if (c == '+' || c == '/')
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "\"%c\" at byte %zu belongs to plain base64, not to base64url",
                          c, at);
    if (c > ' ' && c < 0x7f)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "\"%c\" at byte %zu does not belong to base64url", c, at);
    return hs_err_set(err, HSMART_INPUT_MALFORMED, "the byte 0x%02x at byte %zu does not belong to base64url", c, at);
}

enum hsmart_code
hs_base64url_decode(struct hs_span text, struct hs_buf *out, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    struct hs_buf bytes = {.max_len = out->max_len};
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t len = 0;

    code = hs_buf_resize(&bytes, text.len / 4 * 3 + text.len % 4 * 3 / 4, err);
    if (code != HSMART_OK)
        goto out;
    for (size_t i = 0; i < text.len; i++) {
        int value = sextet(text.data[i]);
        if (value < 0) {
            code = refuse_character(text.data[i], i, err);
            goto out;
        }
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            bytes.data[len++] = (uint8_t)(bits >> bit_count);
        }
    }
    if (text.len % 4 == 1) {
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "%zu characters cannot be base64url: the last one is cut off",
                          text.len);
        goto out;
    }
    /* RFC 4648 section 3.5: accepting any value there would give one signature many spellings. */
    if ((bits & ((1U << bit_count) - 1)) != 0) {
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "the unused bits of the last base64url character are not zero");
        goto out;
    }
    hs_buf_move(&bytes, out);
out:
    hs_buf_clear(&bytes);
    return code;
}
