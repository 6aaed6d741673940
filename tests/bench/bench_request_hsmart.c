/* The same requests by the library, parsed as it parses them: a kept connection, no cache of access tokens.
 *
 *   bench_request_hsmart URL CA-DIRECTORY CLIENT-ID SECRET-FILE serve|serve-new|count N      as bench_request */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "oauth_error.h"
#include "token_request.h"
#include "token_response.h"

static enum hsmart_code
read_secret(void *arg, struct hs_secret *out_secret, hsmart_err *err)
{
    char secret[1024] = "";
    FILE *file = fopen(arg, "r");

    if (file == NULL || fgets(secret, sizeof secret, file) == NULL)
        return HSMART_PIN_UNAVAILABLE;
    (void)fclose(file);
    secret[strcspn(secret, "\r\n")] = '\0';
    return hs_secret_set(out_secret, hs_span_str(secret), err);
}

static enum hsmart_code
ask(const struct hs_token_request *request, const struct hs_link *link, hsmart_err *err)
{
    struct hs_http_response response = {0};
    struct hs_access_token access_token = {0};
    enum hsmart_code code = hs_token_request_send(request, link, &response, err);

    if (code == HSMART_OK && response.status != 200) {
        struct hs_oauth_error refusal;
        hs_oauth_error_read(&response, request->auth->method, &refusal);
        code = hs_oauth_error_tell(&refusal, "the client", &link->log, err);
    }
    if (code == HSMART_OK)
        code = hs_token_response_parse(&response, request->scope, &link->log, &access_token, err);
    hs_access_token_clear(&access_token);
    hs_http_response_clear(&response);
    return code;
}

/* Asks the server to close the connection behind its answer. */
static enum hsmart_code
exchange_and_close(void *arg, const struct hs_http_request *request, struct hs_http_response *out_response,
                   hsmart_err *err)
{
    struct hs_http_request closing = *request;
    size_t count = 0;

    while (closing.headers[count].name != NULL)
        count++;
    closing.headers[count] = (struct hs_http_header){"Connection", "close"};
    return hs_http_exchange(arg, &closing, out_response, err);
}

static uint64_t
now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

int
main(int argc, char **argv)
{
    struct hs_http *http = NULL;
    hsmart_err err = {0};
    char line[64];
    unsigned threads;
    unsigned long milliseconds;

    if (argc < 6)
        return 2;
    const struct hs_http_options options = {.ca_directory = argv[2]};
    enum hsmart_code code = hs_http_new(&options, &http, &err);
    bool closes = strcmp(argv[5], "serve-new") == 0;
    const struct hs_link link = {.exchange = closes ? (struct hs_exchange){exchange_and_close, http}
                                                    : hs_exchange_over_http(http),
                                 .time = hs_time_system};
    const struct hs_client_auth auth = {
        .method = HS_AUTH_SECRET_BASIC, .client_id = argv[3], .secret = {.read = read_secret, .arg = argv[4]}};
    const struct hs_token_request request = {.token_endpoint = argv[1], .scope = "system/Patient.rs", .auth = &auth};
    if (code == HSMART_OK)
        code = ask(&request, &link, &err);
    for (long n = argc == 7 ? strtol(argv[6], NULL, 10) : 0; code == HSMART_OK && n > 0; n--)
        code = ask(&request, &link, &err);
    bool serves = strncmp(argv[5], "serve", 5) == 0;
    if (code == HSMART_OK && serves)
        (void)puts("ready");
    (void)fflush(stdout);
    while (serves && code == HSMART_OK && fgets(line, sizeof line, stdin) != NULL &&
           sscanf(line, "%u %lu", &threads, &milliseconds) == 2) {
        uint64_t began_ns = now_ns(), count = 0;
        for (; code == HSMART_OK && now_ns() < began_ns + milliseconds * 1000000U; count++)
            code = ask(&request, &link, &err);
        (void)printf("%" PRIu64 " %" PRIu64 "\n", count, now_ns() - began_ns);
        (void)fflush(stdout);
    }
    hs_http_free(http);
    if (code != HSMART_OK)
        (void)fprintf(stderr, "bench_request_hsmart: %s\n", err.text);
    return code == HSMART_OK ? 0 : 1;
}
