/* The sandbox, which anybody may reach who reaches its port: requests in turn, each as its method and target, header
 * lines, an empty line and the body, with a line "%" between two. The first byte chooses the family of servers. A
 * client with a key and one with a secret are registered; nothing waits, and no URL is fetched. */
#include "check.h"
#include "err.h"
#include "fuzz.h"
#include "registration.h"
#include "report.h"
#include "routes.h"

#define ORIGIN "https://127.0.0.1:8443"
#define SECRET "a secret of 26 characters."
#define ACCESS_TOKEN "an-access-token"
#define FHIR                                                                                                           \
    "{\"resourceType\":\"Patient\",\"id\":\"p1\",\"name\":[{\"family\":\"F\"}],\"birthDate\":\"1980-01-02\"}\n"        \
    "{\"resourceType\":\"Observation\",\"id\":\"o1\",\"status\":\"final\",\"subject\":{\"reference\":\"Patient/"       \
    "p1\"}}\n"
#define SCOPE "system/Patient.rs"
#define REQUESTS_MAX 8
#define HEADERS_MAX 100U
#define JWKS                                                                                                           \
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\",\"alg\":\"ES384\",\"kid\":\"ec\","                                   \
    "\"x\":\"010NE8gh-owsRG-Ak6lWbx4iJRLxzU-gX2xuq3ovYCWc3geprn3IgYRA_RBBgk6Y\","                                      \
    "\"y\":\"JaIIfJFHrXOR8UCU2LHDlt_GqeP2QUUiOInnZrhjTpb2xCJjR-xC_89m64T9A3lU\"}]}"

/* Linked in place of the exchange of src/net: a client's JWKS URL is nowhere. */
enum hsmart_code __wrap_hs_http_exchange(struct hs_http *http, const struct hs_http_request *request,
                                         struct hs_http_response *out_response,
                                         hsmart_err *err); // NOLINT(bugprone-reserved-identifier)
enum hsmart_code
__wrap_hs_http_exchange(struct hs_http *http, const struct hs_http_request *request,
                        struct hs_http_response *out_response, hsmart_err *err)
{
    (void)http, (void)request, (void)out_response;
    return hs_err_set(err, HSMART_NETWORK_FAILED, "there is no network here");
}

static struct sandbox_settings settings;

/* An access token that inputs can know. */
static void
grant(struct sandbox *sandbox, const struct client *client)
{
    struct grant *grant = hs_calloc(1, sizeof *grant + sizeof SCOPE);
    struct digest digest;
    int64_t now_s = sandbox_now_s(sandbox);
    bool is_new = false;

    FUZZ_REQUIRE(grant != NULL);
    grant->client = client;
    memcpy(grant->scope, SCOPE, sizeof SCOPE);
    FUZZ_REQUIRE(digest_of(hs_span_str("access token"), hs_span_str(ACCESS_TOKEN), &digest, NULL) == HSMART_OK);
    FUZZ_REQUIRE(expiring_add(&sandbox->access_tokens, &digest, now_s + 300, now_s, grant, &is_new, NULL) == HSMART_OK);
}

static void
start(struct sandbox *sandbox, uint8_t family)
{
    const struct client_wish wishes[] = {
        {.id = "key", .method = HS_AUTH_PRIVATE_KEY_JWT, .jwks = hs_span_str(JWKS)},
        {.id = "secret", .method = HS_AUTH_SECRET_BASIC, .secret = hs_span_str(SECRET)},
    };
    struct hs_http *http = NULL;
    struct client *client = NULL;

    settings = (struct sandbox_settings){
        .server = hs_server_rows[family % hs_server_row_count].name, .strict = family >= 0x80, .is_loopback = true};
    FUZZ_REQUIRE(hs_check_server_find(settings.server, &sandbox->row, NULL) == HSMART_OK);
    FUZZ_REQUIRE(hs_http_new(&(struct hs_http_options){0}, &http, NULL) == HSMART_OK);
    FUZZ_REQUIRE(sandbox_init(sandbox, &settings, ORIGIN, http, NULL) == HSMART_OK);
    for (size_t i = 0; i < HS_ARRAY_LEN(wishes); i++)
        (void)register_client(sandbox, &wishes[i], &client, NULL); /* not every family takes both */
    FUZZ_REQUIRE(fhir_store_load(&sandbox->fhir, hs_span_str(FHIR), NULL) == HSMART_OK);
    FUZZ_REQUIRE(client != NULL);
    grant(sandbox, client);
    atomic_store(&sandbox->stopping, true); /* who is told to wait does not */
}

/* Each "name=value" of a target, as the web server hands them over; what cannot be decoded is left out. */
static void
take_query(char *query, struct fields *out_fields, char *storage[HEADERS_MAX], size_t *count)
{
    struct hs_span rest = hs_span_str(query);

    while (rest.len > 0 && *count < HEADERS_MAX) {
        char *pair = fuzz_take_line(&rest, '&');
        char *value = strchr(pair, '=');
        if (value != NULL)
            *value++ = 0;
        storage[(*count)++] = pair;
        FUZZ_REQUIRE(fields_add(out_fields, hs_span_str(pair), hs_span_str(value != NULL ? value : ""), NULL) ==
                     HSMART_OK);
    }
}

static void
take_headers(struct hs_span *inout_rest, struct fields *out_fields, char *storage[HEADERS_MAX], size_t *count)
{
    while (inout_rest->len > 0 && *count < HEADERS_MAX) {
        char *line = fuzz_take_line(inout_rest, '\n');
        storage[(*count)++] = line;
        char *value = strchr(line, ':');
        if (line[0] == 0)
            return;
        if (value == NULL)
            continue;
        *value++ = 0;
        value += strspn(value, " \t");
        FUZZ_REQUIRE(fields_add(out_fields, hs_span_str(line), hs_span_str(value), NULL) == HSMART_OK);
    }
}

static void
require_answer(const struct answer *answer)
{
    FUZZ_REQUIRE(answer->status >= 200 && answer->status <= 599);
    for (size_t i = 0; i < answer->header_count; i++)
        fuzz_require_line(answer->headers[i].value, 65536);
    fuzz_require_line(answer->note, sizeof answer->note);
}

static void
ask(struct sandbox *sandbox, struct hs_span text)
{
    char *storage[2 * HEADERS_MAX];
    size_t count = 0;
    char *method = fuzz_take_line(&text, ' '), *path = fuzz_take_line(&text, '\n');
    struct request request = {.method = method, .path = path, .peer = "test"};
    struct answer answer = {0};
    char *query = strchr(path, '?');

    if (query != NULL) {
        *query++ = 0;
        take_query(query, &request.query, storage, &count);
    }
    size_t query_count = count;
    count = 0;
    take_headers(&text, &request.headers, storage + query_count, &count);
    request.body = text;
    route_request(sandbox, &request, &answer);
    require_answer(&answer);
    answer_clear(&answer);
    fields_clear(&request.query);
    fields_clear(&request.headers);
    for (size_t i = 0; i < query_count + count; i++)
        hs_string_free(storage[i]);
    hs_string_free(path);
    hs_string_free(method);
}

/* The end of the request that `text` begins with. */
static size_t
request_len(struct hs_span text)
{
    for (size_t i = 0; i + 2 < text.len; i++)
        if (memcmp(text.data + i, "\n%\n", 3) == 0)
            return i;
    return text.len;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct sandbox sandbox = {0};

    if (len < 1)
        return 0;
    report_configure(&(struct report_settings){.program = "fuzz", .quiet = true});
    start(&sandbox, data[0]);
    struct hs_span rest = {data + 1, len - 1};
    for (int i = 0; i < REQUESTS_MAX && rest.len > 0; i++) {
        size_t request = request_len(rest), used = request + 3 < rest.len ? request + 3 : rest.len;
        ask(&sandbox, (struct hs_span){rest.data, request});
        rest = (struct hs_span){rest.data + used, rest.len - used};
    }
    sandbox_clear(&sandbox);
    return 0;
}
