#include "routes.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "report.h"
#include "text.h"

const struct route routes[] = {
    {"GET", "/", ENDPOINT_ADMIN, serve_index, "this list"},
    {"GET", "/fhir/.well-known/smart-configuration", ENDPOINT_DISCOVERY, serve_discovery, "discovery"},
    {"POST", "/auth/register", ENDPOINT_REGISTER, serve_registration,
     "registration: JSON (RFC 7591), or the form of the SMART reference server"},
    {"POST", "/auth/token", ENDPOINT_TOKEN, serve_access_token, "access tokens"},
    {"GET", "/fhir/metadata", ENDPOINT_FHIR, serve_capabilities, "CapabilityStatement"},
    {"GET", "/fhir/{type}", ENDPOINT_FHIR, serve_search, "search, in pages of _count"},
    {"GET", "/fhir/{type}/{id}", ENDPOINT_FHIR, serve_read, "one resource"},
    {"GET", "/admin/state", ENDPOINT_ADMIN, serve_admin_state, "what the sandbox was told and knows"},
    {"GET", "/admin/requests", ENDPOINT_ADMIN, serve_admin_requests, "the last requests"},
    {"GET", "/admin/inferno", ENDPOINT_ADMIN, serve_admin_inferno, "what Inferno's client suite would say of them"},
    {"GET", "/admin/faults", ENDPOINT_ADMIN, serve_admin_faults, "what is told to go wrong"},
    {"POST", "/admin/faults", ENDPOINT_ADMIN, serve_admin_set_fault, "fault=NAME: one more"},
    {"DELETE", "/admin/faults", ENDPOINT_ADMIN, serve_admin_clear_faults, "none of them any more"},
    {"POST", "/admin/reset", ENDPOINT_ADMIN, serve_admin_reset, "forget requests, jtis and access tokens"},
    {"POST", "/admin/revoke", ENDPOINT_ADMIN, serve_admin_revoke, "end every access token"},
    {"POST", "/admin/expire-jwks", ENDPOINT_ADMIN, serve_admin_expire_jwks, "read JWKS URLs again at the next request"},
    {"POST", "/admin/clock", ENDPOINT_ADMIN, serve_admin_clock, "offset=SECONDS: the sandbox's clock before ours"},
};
const size_t route_count = HS_ARRAY_LEN(routes);

/* ---- Matching ---- */

#define PATH_MAX_LEN 512U

/* Whether `path`, whose segments are cut out in place on success, is of the form of the route. */
static bool
matches(const char *form, char *path, const char *segments[SEGMENTS_MAX])
{
    size_t count = 0;

    while (*form != 0 && *path != 0) {
        if (*form != '{') {
            if (*form++ != *path++)
                return false;
            continue;
        }
        size_t len = strcspn(path, "/");
        if (len == 0 || count == SEGMENTS_MAX)
            return false;
        segments[count++] = path;
        path += len;
        form += strcspn(form, "}") + 1;
    }
    return *form == 0 && *path == 0;
}

static void
cut_segments(const char *segments[SEGMENTS_MAX])
{
    for (size_t i = 0; i < SEGMENTS_MAX && segments[i] != NULL; i++) {
        char *end = strchr(segments[i], '/');
        if (end != NULL)
            *end = 0;
    }
}

static bool
takes_method(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

/* The first route of this path and method. `out_allowed` lists the methods of the path. */
static const struct route *
find_route(struct request *request, char *path, char out_allowed[64], const struct route **out_of_path)
{
    *out_of_path = NULL;
    out_allowed[0] = 0;
    for (size_t i = 0; i < route_count; i++) {
        const char *segments[SEGMENTS_MAX] = {NULL};
        if (!matches(routes[i].path, path, segments))
            continue;
        if (*out_of_path != NULL && strcmp((*out_of_path)->path, routes[i].path) != 0)
            break; /* a fixed path comes before the pattern that it is of, too */
        *out_of_path = &routes[i];
        if (takes_method(&routes[i], request->method)) {
            cut_segments(segments);
            memcpy(request->segments, segments, sizeof segments);
            return &routes[i];
        }
        size_t len = strlen(out_allowed);
        (void)snprintf(out_allowed + len, 64 - len, "%s%s%s", len > 0 ? ", " : "", routes[i].method,
                       strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "");
    }
    return NULL;
}

/* ---- Serving ---- */

/* Administration is for this machine alone; a browser that was led here (DNS rebinding, a form on a foreign page) says
 * where it comes from. */
static const char *
objection_to_admin(const struct exchange *exchange)
{
    const struct hs_span *host = header_get(&exchange->request->headers, "Host");
    struct hs_span origin = hs_span_buf(&exchange->sandbox->origin);
    const uint8_t *slashes = origin.len > 0 ? memchr(origin.data, '/', origin.len) : NULL;

    if (!exchange->sandbox->settings->is_loopback)
        return "administration is only for a sandbox that listens on loopback";
    if (header_get(&exchange->request->headers, "Origin") != NULL)
        return "administration is not for web pages";
    if (host == NULL || slashes == NULL ||
        !hs_span_equal_str(*host, (const char *)slashes + 2)) /* the buffer ends in a NUL */
        return "administration wants the Host that the sandbox was announced with";
    return NULL;
}

static enum hsmart_code
serve_route(struct exchange *exchange, const struct route *route, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    if (exchange->request->body_too_long)
        return answer_error(exchange, 413, err, "the body is too long");
    if (route->endpoint == ENDPOINT_ADMIN) {
        const char *objection = objection_to_admin(exchange);
        return objection != NULL ? answer_error(exchange, 403, err, "%s", objection) : route->serve(exchange, err);
    }
    for (size_t i = 0; i < exchange->faults.count && code == HSMART_OK && exchange->answer.status == 0; i++)
        if (exchange->faults.items[i].row->instead != NULL)
            code = exchange->faults.items[i].row->instead(exchange, exchange->faults.items[i].argument, err);
    if (code == HSMART_OK && exchange->answer.status == 0)
        code = route->serve(exchange, err);
    for (size_t i = 0; i < exchange->faults.count && code == HSMART_OK; i++)
        if (exchange->faults.items[i].row->after != NULL)
            code = exchange->faults.items[i].row->after(exchange, exchange->faults.items[i].argument, err);
    return code;
}

static enum hsmart_code
refuse_route(struct exchange *exchange, const struct route *of_path, const char *allowed, hsmart_err *err)
{
    enum hsmart_code code;

    if (of_path == NULL)
        return answer_error(exchange, 404, err, "there is nothing here");
    code = answer_error(exchange, 405, err, "%.12s is not for this path", exchange->request->method);
    return code == HSMART_OK ? answer_header(&exchange->answer, err, "Allow", "%s", allowed) : code;
}

/* The token endpoint says what is wrong with a method, as its family does. */
static bool
serves_every_method(const struct route *route)
{
    return route != NULL && route->endpoint == ENDPOINT_TOKEN;
}

static void
record(const struct exchange *exchange, int64_t started_ms)
{
    struct sandbox *sandbox = exchange->sandbox;
    const struct request *request = exchange->request;
    struct history_entry entry = {.at_s = sandbox_now_s(sandbox), .status = exchange->answer.status};

    (void)snprintf(entry.method, sizeof entry.method, "%s", request->method);
    (void)snprintf(entry.path, sizeof entry.path, "%.*s", (int)hs_text_cut(request->path, sizeof entry.path - 1),
                   request->path);
    (void)snprintf(entry.note, sizeof entry.note, "%.*s",
                   (int)hs_text_cut(exchange->answer.note, sizeof entry.note - 1), exchange->answer.note);
    hs_text_sanitize(entry.method);
    hs_text_sanitize(entry.path);
    hs_text_sanitize(entry.note);
    if (exchange->endpoint != ENDPOINT_ADMIN) {
        (void)pthread_mutex_lock(&sandbox->lock);
        (void)history_add(&sandbox->history, &entry, &exchange->observation, NULL);
        (void)pthread_mutex_unlock(&sandbox->lock);
    }
    report_note("%s %s %s %d %lld ms%s%s", request->peer, entry.method, entry.path, entry.status,
                (long long)(hs_clock_monotonic_ms() - started_ms), entry.note[0] != 0 ? " " : "", entry.note);
}

void
route_request(struct sandbox *sandbox, struct request *request, struct answer *out_answer)
{
    struct exchange exchange = {.sandbox = sandbox, .request = request, .endpoint = ENDPOINT_ADMIN};
    const struct route *route = NULL, *of_path = NULL;
    char path[PATH_MAX_LEN], allowed[64] = "";
    hsmart_err err = {0};
    int64_t started_ms = hs_clock_monotonic_ms();
    enum hsmart_code code;

    if (strlen(request->path) < sizeof path) {
        memcpy(path, request->path, strlen(request->path) + 1);
        route = find_route(request, path, allowed, &of_path);
    }
    if (route == NULL && serves_every_method(of_path))
        route = of_path;
    if (route != NULL || of_path != NULL)
        exchange.endpoint = (route != NULL ? route : of_path)->endpoint;
    else if (strncmp(request->path, "/fhir/", strlen("/fhir/")) == 0)
        exchange.endpoint = ENDPOINT_FHIR;
    if (route != NULL) {
        (void)pthread_mutex_lock(&sandbox->lock);
        faults_take(&sandbox->faults, route->endpoint, &exchange.faults);
        (void)pthread_mutex_unlock(&sandbox->lock);
    }
    code = route != NULL ? serve_route(&exchange, route, &err) : refuse_route(&exchange, of_path, allowed, &err);
    if (code != HSMART_OK) {
        bool busy = code == HSMART_SERVER_BUSY;
        report_warning("cannot answer: %s", err.text);
        code = answer_error(&exchange, busy ? 503 : 500, &err, busy ? "the sandbox is full: %s" : "it failed: %s",
                            err.text);
        if (code == HSMART_OK && busy)
            (void)answer_header(&exchange.answer, NULL, "Retry-After", "5");
    }
    record(&exchange, started_ms);
    *out_answer = exchange.answer;
}

/* ---- The index ---- */

enum hsmart_code
serve_index(struct exchange *exchange, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code =
        hs_buf_append_format(&text, err, "hsmart-sandbox: a SMART server for tests of clients\n\nFHIR base: %s\n\n",
                             hs_buf_text(&exchange->sandbox->fhir_base));

    for (size_t i = 0; i < route_count && code == HSMART_OK; i++)
        code = hs_buf_append_format(&text, err, "%-7s %-40s %s\n", routes[i].method, routes[i].path, routes[i].what);
    if (code == HSMART_OK)
        code = answer_text(exchange, 200, hs_buf_text(&text), err);
    hs_buf_clear(&text);
    return code;
}
