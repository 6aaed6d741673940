/* Authorised FHIR reads. The access token never crosses an origin. */
#ifndef HS_FHIR_H
#define HS_FHIR_H

#include "access_token.h"
#include "retry.h"

#define HS_FHIR_RESPONSE_MAX_LEN (64U << 20)
#define HS_FHIR_PAGES_MAX 100000U

/* All borrowed. */
struct hs_fhir {
    const struct hs_link *link;
    const char *base;
    struct hs_access_token_keeper *access_tokens;
    size_t max_response_len; /* 0: HS_FHIR_RESPONSE_MAX_LEN */
};

/* The absolute URL of `reference`: a relative one is below the base (a leading '/' too), an absolute one must have the
 * base's origin. HSMART_POLICY_REFUSED for another origin; HSMART_INVALID_ARGUMENT for what is no URL. */
HSMART_MUST_CHECK enum hsmart_code hs_fhir_url(const char *base, const char *reference, struct hs_buf *out_url,
                                               hsmart_err *err);

struct hs_fhir_options {
    const char *accept; /* NULL: application/fhir+json */
    unsigned min_validity_s;
};
/* Gets one resource or page; `options` may be NULL. On 401 the access token is dropped and one new one tried, once.
 * HSMART_OK for 2xx; HSMART_SERVER_REFUSED for 401 and 403, HSMART_SERVER_BUSY for 429, HSMART_SERVER_FAILED for
 * anything else, a redirect included, each with the OperationOutcome in one line; `out_response` is set then too. */
HSMART_MUST_CHECK enum hsmart_code hs_fhir_get(const struct hs_fhir *fhir, const char *reference,
                                               const struct hs_fhir_options *options,
                                               struct hs_http_response *out_response, hsmart_err *err);

/* The `next` link of a Bundle, absolute and of the same origin; empty when there is none. `page_url` is where the page
 * came from. HSMART_POLICY_REFUSED when it leads to another origin. */
HSMART_MUST_CHECK enum hsmart_code hs_fhir_next(const char *page_url, struct hs_span body, struct hs_buf *out_next_url,
                                                hsmart_err *err);

/* One page of several; all borrowed. */
struct hs_fhir_page {
    unsigned number; /* from 1 */
    const char *url;
    const char *next_url; /* NULL: it is the last one, or its link cannot be followed, which is told after it */
    const struct hs_http_response *response;
};
/* Called for each page; anything but HSMART_OK ends the walk and is returned. */
typedef enum hsmart_code (*hs_fhir_page_fn)(void *arg, const struct hs_fhir_page *page, hsmart_err *err);
/* Follows `next` links until there is none. HSMART_SERVER_FAILED when a page leads back to one that was read. */
HSMART_MUST_CHECK enum hsmart_code hs_fhir_get_all(const struct hs_fhir *fhir, const char *reference,
                                                   const struct hs_fhir_options *options, hs_fhir_page_fn page_fn,
                                                   void *arg, hsmart_err *err);

#endif
