/* The public network options as the link that src/smart speaks over. */
#ifndef HS_HSMART_CLIENT_LINK_H
#define HS_HSMART_CLIENT_LINK_H

#include <hsmart/client.h>

#include "exchange.h"
#include "servers.h"
#include "text_list.h"

/* Zero is valid and closed. libcurl is not loaded before the first request. */
struct hs_client_link {
    struct hs_http *http;
    struct hs_link link;
};
/* `options` may be NULL. */
HSMART_MUST_CHECK enum hsmart_code hs_client_link_open(const hsmart_network_options *options,
                                                       struct hs_client_link *out_link, hsmart_err *err);
void hs_client_link_close(struct hs_client_link *link);

static inline struct hs_log
hs_client_log(const hsmart_network_options *options)
{
    return options != NULL ? (struct hs_log){options->log, options->log_arg} : (struct hs_log){0};
}

/* The row of this name; HSMART_CONFIG_INVALID, listing the names, when there is none. */
HSMART_MUST_CHECK enum hsmart_code hs_client_server(const char *name, const struct hs_server_row **out_row,
                                                    hsmart_err *err);

/* A list of ours as a public one; belongs to ours. */
static inline hsmart_text_list
hs_client_list(const struct hs_text_list *list)
{
    return (hsmart_text_list){(const char *const *)list->items, list->count};
}

#endif
