/* The answer to an access token request that was granted (RFC 6749 section 5.1). */
#ifndef HS_TOKEN_RESPONSE_H
#define HS_TOKEN_RESPONSE_H

#include "http.h"

#define HS_ACCESS_TOKEN_LIFE_DEFAULT_S 300 /* SMART's recommendation, where the server does not say */
#define HS_ACCESS_TOKEN_LIFE_MIN_S 10      /* for zero and less */
#define HS_ACCESS_TOKEN_LIFE_MAX_S 86400   /* a longer one is renewed after a day all the same */

/* An access token and what is known about it. Zero is valid and empty. What is inside `value` is not looked at. */
struct hs_access_token {
    struct hs_buf value;         /* b64token (RFC 6750 section 2.1): safe in a header */
    struct hs_buf refresh_token; /* kept only where the client's configuration says so */
    char *scope;                 /* as granted; the requested one where the server does not say; NULL: neither */
    int64_t sent_at_s;           /* our clock when it was asked for: its life counts from here */
    int64_t expires_at_s;
};
void hs_access_token_clear(struct hs_access_token *access_token);
HSMART_MUST_CHECK enum hsmart_code hs_access_token_dup(const struct hs_access_token *access_token,
                                                       struct hs_access_token *out_copy, hsmart_err *err);
static inline int64_t
hs_access_token_life_s(const struct hs_access_token *access_token)
{
    return access_token->expires_at_s - access_token->sent_at_s;
}
/* Seconds for which it will still be good; 0 or less: it is not. A clock that was set back past the moment of the
 * request makes it 0. */
int64_t hs_access_token_remaining_s(const struct hs_access_token *access_token, int64_t now_s);

/* Whether `text` may stand in an Authorization header. */
bool hs_is_b64token(struct hs_span text);

/* Reads a 200 or 201. Oddities that do not matter to the access token (expires_in missing, in a string, clamped;
 * scopes lost) are logged as warnings. HSMART_SERVER_FAILED, without a word of the answer's secrets, when there is
 * no usable access token in it. */
HSMART_MUST_CHECK enum hsmart_code hs_token_response_parse(const struct hs_http_response *response,
                                                           const char *requested_scope, const struct hs_log *log,
                                                           struct hs_access_token *out_access_token,
                                                           hsmart_err *err);

#endif
