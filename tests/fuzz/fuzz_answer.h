/* For fuzz targets: an HTTP answer out of the input, its header lines up to an empty line, then the body. */
#ifndef FUZZ_ANSWER_H
#define FUZZ_ANSWER_H

#include "fuzz.h"
#include "http.h"

#define FUZZ_NOW_S 1700000000

static inline struct hs_http_response
fuzz_answer(int status, struct hs_span text)
{
    struct hs_http_response response = {.status = status, .sent_at_s = FUZZ_NOW_S, .received_at_s = FUZZ_NOW_S + 1};
    size_t headers_len = text.len, body_at = text.len;

    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.data[i] == '\n' && text.data[i + 1] == '\n') {
            headers_len = i + 1;
            body_at = i + 2;
            break;
        }
    }
    if (text.len > 0) {
        FUZZ_REQUIRE(hs_buf_append(&response.headers, (struct hs_span){text.data, headers_len}, NULL) == HSMART_OK);
        FUZZ_REQUIRE(hs_buf_append(&response.body, (struct hs_span){text.data + body_at, text.len - body_at}, NULL) ==
                     HSMART_OK);
    }
    return response;
}

#endif
