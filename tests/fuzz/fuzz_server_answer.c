/* An answer of a server: header lines, an empty line, the body. Read as a granted access token, as an error, and as a
 * page of a Bundle; and with a secret in it that is to be hidden. */
#include "bundle.h"
#include "exchange.h"
#include "fuzz.h"
#include "fuzz_answer.h"
#include "oauth_error.h"
#include "token_response.h"

static void
require_quiet_log(void *arg, enum hsmart_log_level level, const char *line)
{
    (void)arg, (void)level;
    fuzz_require_line(line, 65536);
}

static void
read_access_token(const struct hs_http_response *response, const struct hs_log *log)
{
    struct hs_access_token access_token = {0};
    hsmart_err err = {0};

    enum hsmart_code code = hs_token_response_parse(response, "system/Patient.rs", log, &access_token, &err);
    fuzz_require_story(code, &err);
    if (code == HSMART_OK) {
        FUZZ_REQUIRE(access_token.value.len > 0 && hs_is_b64token(hs_span_buf(&access_token.value)));
        FUZZ_REQUIRE(hs_access_token_life_s(&access_token) >= 0);
        FUZZ_REQUIRE(hs_access_token_life_s(&access_token) <= HS_ACCESS_TOKEN_LIFE_MAX_S);
    }
    hs_access_token_clear(&access_token);
}

static void
read_error(const struct hs_http_response *response, const struct hs_log *log)
{
    static const enum hs_auth_method methods[] = {0, HS_AUTH_PRIVATE_KEY_JWT, HS_AUTH_SECRET_BASIC,
                                                  HS_AUTH_SECRET_POST};

    for (size_t i = 0; i < HS_ARRAY_LEN(methods); i++) {
        struct hs_oauth_error error = {0};
        hsmart_err err = {0};
        char excerpt[200];

        hs_oauth_error_read(response, methods[i], &error);
        fuzz_require_line(error.error, sizeof error.error);
        fuzz_require_line(error.description, sizeof error.description);
        fuzz_require_line(error.uri, sizeof error.uri);
        FUZZ_REQUIRE(error.cause_count <= HS_OAUTH_CAUSES_MAX);
        enum hsmart_code code = hs_oauth_error_tell(&error, "client", log, &err);
        FUZZ_REQUIRE(code != HSMART_OK);
        fuzz_require_story(code, &err);
        hs_answer_excerpt(response, excerpt, sizeof excerpt);
        fuzz_require_line(excerpt, sizeof excerpt);
    }
}

static void
read_link(const struct hs_http_response *response)
{
    struct hs_buf url = {0};
    hsmart_err err = {0};

    enum hsmart_code code = hs_bundle_link(hs_span_buf(&response->body), "next", &url, &err);
    fuzz_require_story(code, &err);
    FUZZ_REQUIRE(url.len <= response->body.len);
    hs_buf_clear(&url);
}

/* The first bytes of the body as the secret. */
static void
hide_secret(struct hs_http_response *response)
{
    struct hs_buf secret = {0};
    const size_t len = response->body.len < 20 ? response->body.len : 20, before = response->body.len;

    FUZZ_REQUIRE(hs_buf_append(&secret, (struct hs_span){response->body.data, len}, NULL) == HSMART_OK);
    hs_answer_hide(response, hs_span_buf(&secret));
    FUZZ_REQUIRE(response->body.len == before);
    if (len >= 16 && response->status >= 300) /* a short one has to stand alone */
        for (size_t i = 0; i < len; i++)
            FUZZ_REQUIRE(response->body.data[i] == '*');
    hs_buf_clear(&secret);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const int statuses[] = {200, 201, 302, 400, 401, 403, 404, 429, 500, 503};
    const struct hs_log log = {.write = require_quiet_log};

    if (len < 1)
        return 0;
    struct hs_http_response response =
        fuzz_answer(statuses[data[0] % HS_ARRAY_LEN(statuses)], (struct hs_span){data + 1, len - 1});
    read_access_token(&response, &log);
    read_error(&response, &log);
    read_link(&response);
    hide_secret(&response);
    hs_http_response_clear(&response);
    return 0;
}
