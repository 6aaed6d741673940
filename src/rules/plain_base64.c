#include "plain_base64.h"

#include "base64url.h"
#include "err.h"

enum hsmart_code
hs_plain_base64_decode(struct hs_span text, struct hs_buf *out, hsmart_err *err)
{
    struct hs_buf url = {0};
    enum hsmart_code code = HSMART_INPUT_MALFORMED;
    size_t padding = 0;

    if (text.len == 0 || text.len % 4 != 0) {
        (void)hs_err_set(err, code, "the length of base64 must be a multiple of 4, but is %zu", text.len);
        return code;
    }
    while (padding < 2 && text.data[text.len - 1 - padding] == '=')
        padding++;
    code = hs_buf_append(&url, (struct hs_span){text.data, text.len - padding}, err);
    for (size_t i = 0; code == HSMART_OK && i < url.len; i++) {
        if (url.data[i] == '-' || url.data[i] == '_')
            code = hs_err_set(err, HSMART_INPUT_MALFORMED, "the character \"%c\" is base64url's", url.data[i]);
        else if (url.data[i] == '+')
            url.data[i] = '-';
        else if (url.data[i] == '/')
            url.data[i] = '_';
    }
    if (code == HSMART_OK)
        code = hs_base64url_decode(hs_span_buf(&url), out, err);
    hs_buf_clear(&url);
    return code;
}
