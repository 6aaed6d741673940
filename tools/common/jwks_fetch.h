/* A JWKS from a file, from standard input, or from the URL where it is published: fetched as a server does, without
 * credentials and without following a redirect. */
#ifndef HSMART_JWKS_FETCH_H
#define HSMART_JWKS_FETCH_H

#include "check_served.h"
#include "http.h"

#define JWKS_MAX_LEN (1U << 20)

/* Zero is valid and empty. */
struct jwks_fetch {
    struct hs_buf text;
    bool is_url;
    struct hs_served served; /* its strings live below */
    struct hs_http_response response;
    struct hs_buf location, content_type, cache_control;
    hsmart_err err;
};

/* Whether `where` is a URL instead of the name of a file. */
bool jwks_is_url(const char *where);
/* Reads it. That a URL does not bring the set is no error: `out_fetch->served` says why, and `text` is empty then.
 * HSMART_FILE_UNREADABLE, HSMART_INPUT_MALFORMED (longer than JWKS_MAX_LEN), HSMART_INVALID_ARGUMENT (no URL). */
HSMART_MUST_CHECK enum hsmart_code jwks_fetch(const char *where, const struct hs_http_options *options,
                                              struct jwks_fetch *out_fetch, hsmart_err *err);
void jwks_fetch_clear(struct jwks_fetch *fetch);
/* NULL for a file. */
const struct hs_served *jwks_served(const struct jwks_fetch *fetch);

#endif
