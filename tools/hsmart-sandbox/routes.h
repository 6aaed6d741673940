/* Which endpoint answers which request. */
#ifndef SANDBOX_ROUTES_H
#define SANDBOX_ROUTES_H

#include "exchange.h"

struct route {
    const char *method, *path; /* {name} stands for one segment */
    enum endpoint endpoint;
    endpoint_fn *serve;
    const char *what; /* for the index */
};
extern const struct route routes[];
extern const size_t route_count;

/* The whole way of a request: the route, what is told to go wrong, the endpoint, the log. Fills in `answer`, whatever
 * happens. `request->segments` is set here; `scratch` holds them. */
void route_request(struct sandbox *sandbox, struct request *request, struct answer *out_answer);

#endif
