/* A token request taken apart as far as that goes, for the rules to look at. */
#ifndef HS_REQUEST_VIEW_H
#define HS_REQUEST_VIEW_H

#include "check_server.h"

/* What there is to look at; request_view.c has the words for what is missing. */
enum {
    RQ_HTTP = 1 << 0,          /* method, target and headers */
    RQ_FORM = 1 << 1,          /* parameters */
    RQ_NO_SECRET = 1 << 2,     /* the client does not authenticate with a secret alone */
    RQ_AUTHORIZATION = 1 << 3, /* such a header */
    RQ_URL = 1 << 4,           /* the token URL */
    RQ_CLIENT_ID = 1 << 5,     /* such a parameter */
    RQ_CLIENT = 1 << 6,        /* who authenticates: sub of the assertion, or the id of a Basic header */
    RQ_SERVER = 1 << 7,        /* a family is named */
};

struct parameter {
    struct hs_buf name, value;
};

struct request_view {
    const struct hs_request *request;
    const struct hs_request_expectation *expected;
    const struct hs_habits *habits;
    unsigned have;
    struct parameter *parameters;
    size_t count;
    bool is_form_broken;
    hsmart_err form_err;
    struct hs_buf url;        /* the token URL, as far as it is known */
    struct hs_buf basic;      /* what an Authorization header of the kind Basic holds: "id:secret" */
    hsmart_err basic_err;     /* why there is nothing in it */
    struct hs_buf client;     /* who authenticates */
    struct hs_buf client_raw; /* the id of a Basic header as it stands there, when that is another spelling */
};

void hs_request_view_make(struct hs_check *check, const struct hs_request *request,
                          const struct hs_request_expectation *expected, struct request_view *out_view);
void hs_request_view_clear(struct request_view *view);
const char *hs_request_view_lack(unsigned lacking);

/* How often a header or parameter is there; the first one's value, NULL when there is none. */
size_t hs_request_header_count(const struct request_view *view, const char *name);
const struct hs_span *hs_request_header_value(const struct request_view *view, const char *name);
size_t hs_request_parameter_count(const struct request_view *view, const char *name);
const struct hs_buf *hs_request_parameter(const struct request_view *view, const char *name);

#endif
