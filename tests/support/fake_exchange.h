/* For tests only: a scripted server behind the exchange seam, a clock that is moved by hand, and a log that is kept. */
#ifndef HS_FAKE_EXCHANGE_H
#define HS_FAKE_EXCHANGE_H

#include <pthread.h>

#include "exchange.h"

/* The first answer whose `url` is part of the request's (NULL: any), and that has not been given `times` times (0: no
 * limit), is given. */
struct fake_answer {
    const char *url;
    unsigned times;
    enum hsmart_code code; /* not HSMART_OK: the exchange fails */
    int status;
    const char *headers;   /* "Name: value\r\n…" */
    const char *body;
    unsigned takes_s;      /* the clock moves on by it */
};

#define FAKE_REQUESTS_MAX 64U
struct fake_request {
    char *method, *url, *body, *headers; /* headers as "Name: value\n…" */
};

struct fake_exchange {
    const struct fake_answer *answers;
    size_t answer_count;
    unsigned given[16];
    struct fake_request requests[FAKE_REQUESTS_MAX];
    size_t request_count; /* all of them, also those that are not kept */
    int64_t now_s;
    uint64_t slept_ms;
    unsigned sleep_count;
    unsigned real_delay_ms; /* an answer really takes this long */
    char log[16384];        /* "warning: …\n", "detail: …\n" */
    pthread_mutex_t lock;
};

#define FAKE_NOW_S 1700000000
#define FAKE_EXCHANGE(table) FAKE_EXCHANGE_OF(table, HS_ARRAY_LEN(table))
#define FAKE_EXCHANGE_OF(first, count)                                                                                 \
    {.answers = (first), .answer_count = (count), .now_s = FAKE_NOW_S, .lock = PTHREAD_MUTEX_INITIALIZER}

struct hs_link fake_link(struct fake_exchange *fake);
void fake_exchange_clear(struct fake_exchange *fake);

/* What the `index`th request had: a header's value, a form field (decoded); NULL when it is not there. Static storage. */
const char *fake_header(const struct fake_exchange *fake, size_t index, const char *name);
const char *fake_field(const struct fake_exchange *fake, size_t index, const char *name);

/* An answer for parsers: status, header lines and body. Released with `hs_http_response_clear`. */
struct hs_http_response fake_response(int status, const char *headers, const char *body);

#endif
