#include "check_served.h"

#include <inttypes.h>
#include <strings.h>

#include "assertion_view.h"

#define HTTP_OK 200
#define CACHE_LIFE_MIN_S 60
#define CACHE_LIFE_MAX_S (29 * 3600) /* the longest that a server was seen to keep a set: Epic */

bool
hs_served_is_answer(const struct hs_served *served)
{
    return served->failure == HSMART_OK && served->status == HTTP_OK;
}

bool
hs_served_is_asked(const struct hs_served *served)
{
    return served->failure != HSMART_TLS_FAILED && served->failure != HSMART_INVALID_ARGUMENT;
}

bool
hs_is_http_to_loopback(const char *url)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost", "[::1]"};

    if (strncasecmp(url, "http://", strlen("http://")) != 0)
        return false;
    url += strlen("http://");
    for (size_t i = 0; i < HS_ARRAY_LEN(hosts); i++) {
        size_t len = strlen(hosts[i]);
        if (strncasecmp(url, hosts[i], len) == 0 && (url[len] == 0 || strchr(":/?", url[len]) != NULL))
            return true;
    }
    return false;
}

void
hs_k14_tls(struct hs_check *check, const struct hs_served *served)
{
    if (hs_is_http_to_loopback(served->url))
        hs_check_warn(check, "the URL is http to this very machine, which is for tests only");
    else if (strncasecmp(served->url, "https://", strlen("https://")) != 0)
        hs_check_find(check, "the URL is not https: whoever is on the way can replace the keys");
    if (served->failure == HSMART_TLS_FAILED)
        hs_check_find(check, "%s", served->failure_text);
}

/* What an answer other than 200 means. */
static const struct {
    int from, to;
    const char *words;
} meanings[] = {
    {300, 399, "a redirect, which many servers do not follow"},
    {401, 401, "it asks for credentials, which no server has"},
    {403, 403, "it is forbidden to those who have no credentials"},
    {404, 404, "there is nothing under this URL"},
    {200, 299, "only 200 brings the set"},
    {500, 599, "the server that publishes it is in trouble"},
};

void
hs_k15_answer(struct hs_check *check, const struct hs_served *served)
{
    const char *words = "that is no success";

    if (served->failure != HSMART_OK) {
        if (hs_served_is_asked(served))
            hs_check_find(check, "%s", served->failure_text);
        return;
    }
    if (served->status == HTTP_OK)
        return;
    for (size_t i = 0; i < HS_ARRAY_LEN(meanings); i++)
        if (served->status >= meanings[i].from && served->status <= meanings[i].to) {
            words = meanings[i].words;
            break;
        }
    if (served->location != NULL)
        hs_check_find(check, "the status is %d to %s: %s", served->status,
                      hs_excerpt_of(hs_span_str(served->location)).text, words);
    else
        hs_check_find(check, "the status is %d: %s", served->status, words);
}

/* The media type without parameters is `type`. */
static bool
is_type(const char *content_type, const char *type)
{
    size_t len = strcspn(content_type, "; \t");

    return len == strlen(type) && strncasecmp(content_type, type, len) == 0;
}

static void
judge_content_type(struct hs_check *check, const struct hs_served *served,
                   void (*tell)(struct hs_check *check, const char *format, ...))
{
    static const char *const types[] = {"application/json", "application/jwk-set+json"};

    for (size_t i = 0; i < HS_ARRAY_LEN(types) && served->content_type != NULL; i++)
        if (is_type(served->content_type, types[i]))
            return;
    if (served->content_type == NULL)
        tell(check, "there is no Content-Type");
    else
        tell(check, "the Content-Type is \"%s\"", hs_excerpt_of(hs_span_str(served->content_type)).text);
}

void
hs_k16_content_type(struct hs_check *check, const struct hs_served *served)
{
    judge_content_type(check, served, hs_check_find);
}

void
hs_k17_cache(struct hs_check *check, const struct hs_served *served)
{
    if (served->cache_life_s < 0)
        hs_check_find(check, "neither Cache-Control nor Expires says how long: every server has its own idea then");
    else if (served->cache_life_s > CACHE_LIFE_MAX_S)
        hs_check_find(check, "it may be kept for %" PRId64 " hours: so long nobody sees a new key",
                      served->cache_life_s / 3600);
    else if (served->cache_life_s < CACHE_LIFE_MIN_S)
        hs_check_find(check, "it may be kept for %" PRId64 " seconds: it is fetched for nearly every assertion then",
                      served->cache_life_s);
}

/* Without an answer from the URL there is no key to verify with: that is an error. How it is served may be none. */
void
hs_l32_jwks_url(struct hs_check *check, const struct assertion_view *view)
{
    const struct hs_served *served = view->expected->jwks_served;

    hs_k14_tls(check, served);
    hs_k15_answer(check, served);
    if (hs_served_is_answer(served))
        judge_content_type(check, served, hs_check_warn);
}
