/* JWS compact serialisation (RFC 7515 section 7.1). */
#ifndef HS_JWS_H
#define HS_JWS_H

#include "signer.h"

#define HS_JWS_MAX_LEN (1U << 20) /* bytes of text */

/* Signs header and payload, given as JSON text that is taken as it is, and sets `out_jws` to the three parts.
 * HSMART_INVALID_ARGUMENT when that would be longer than HS_JWS_MAX_LEN; else what the signer returns. */
HSMART_MUST_CHECK enum hsmart_code hs_jws_sign(struct hs_signer *signer, struct hs_span header, struct hs_span payload,
                                               struct hs_buf *out_jws, hsmart_err *err);

/* A compact JWS taken apart, nothing of it trusted yet. Zero is valid and empty. */
struct hs_jws {
    struct hs_span signing_input; /* borrowed from the text that was parsed */
    struct hs_buf header_text, payload_text, signature;
    struct hs_json_doc header, payload;
};
/* Only takes it apart: `header` and `payload` stay empty, since the payload of a JWS can be anything.
 * HSMART_INPUT_MALFORMED, naming the part, when it is not three parts of clean base64url. */
HSMART_MUST_CHECK enum hsmart_code hs_jws_split(struct hs_span text, struct hs_jws *out_jws, hsmart_err *err);
/* HSMART_INPUT_MALFORMED, naming the part, when it is not three parts of clean base64url with JSON objects in the
 * first two. */
HSMART_MUST_CHECK enum hsmart_code hs_jws_parse(struct hs_span text, struct hs_jws *out_jws, hsmart_err *err);
void hs_jws_clear(struct hs_jws *jws);

#endif
