/* A JWKS as it came from its URL: the rules K14 to K17, which are L32 for an assertion. */
#ifndef HS_CHECK_SERVED_H
#define HS_CHECK_SERVED_H

#include "check_report.h"

typedef void hs_served_rule(struct hs_check *check, const struct hs_served *served);
hs_served_rule hs_k14_tls, hs_k15_answer, hs_k16_content_type, hs_k17_cache;

/* Whether the URL was asked at all: not over http, nor where the certificate does not verify. */
bool hs_served_is_asked(const struct hs_served *served);
/* Whether there is an answer whose headers and body count: status 200. */
bool hs_served_is_answer(const struct hs_served *served);
/* Whether a URL is http to this very machine, as tests use it: no network, so no TLS needed. */
bool hs_is_http_to_loopback(const char *url);

#endif
