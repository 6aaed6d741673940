#include "hsmart_client_link.h"

enum hsmart_code
hs_client_link_open(const hsmart_network_options *options, struct hs_client_link *out_link, hsmart_err *err)
{
    static const hsmart_network_options defaults = {0};
    const hsmart_network_options *from = options != NULL ? options : &defaults;
    const struct hs_http_options http_options = {
        .ca_file = from->ca_file,
        .ca_directory = from->ca_directory,
        .client_certificate = from->client_certificate,
        .client_key = from->client_key,
        .allow_http_to_loopback = from->allow_http_to_loopback,
        .connect_timeout_ms = from->connect_timeout_ms,
        .log = hs_client_log(from),
    };
    struct hs_http *http = NULL;
    enum hsmart_code code = hs_http_new(&http_options, &http, err);

    if (code != HSMART_OK)
        return code;
    *out_link = (struct hs_client_link){
        .http = http,
        .link = {.exchange = hs_exchange_over_http(http),
                 .retry = {.max_attempts = from->max_attempts, .retry_after_max_s = from->max_wait_s},
                 .timeout_ms = from->timeout_ms,
                 .time = hs_time_system,
                 .log = hs_client_log(from)},
    };
    return HSMART_OK;
}

void
hs_client_link_close(struct hs_client_link *link)
{
    hs_http_free(link->http);
    *link = (struct hs_client_link){0};
}
