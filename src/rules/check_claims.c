/* L11 to L27: the claims of an assertion. */
#include "assertion_view.h"

#include <inttypes.h>
#include <strings.h>

#define LIFETIME_MAX_S 300U     /* SMART */
#define JTI_MAX_CHARACTERS 151U /* Epic's limit, the only one known */

/* A claim that must be there as a string with something in it. */
static void
check_text(struct hs_check *check, const struct assertion_view *view, const char *name)
{
    const hs_json_value *member = hs_json_member(view->payload, name);

    if (hs_json_type_of(member) != HS_JSON_STRING)
        hs_check_find(check, "\"%s\" is %s, but must be a string", name, hs_json_type_words(member));
    else if (hs_json_string(member).len == 0)
        hs_check_find(check, "\"%s\" is empty", name);
}

/* ---- Who ---- */

void
hs_l11_iss(struct hs_check *check, const struct assertion_view *view)
{
    check_text(check, view, "iss");
}

void
hs_l12_sub(struct hs_check *check, const struct assertion_view *view)
{
    check_text(check, view, "sub");
}

void
hs_l13_iss_is_sub(struct hs_check *check, const struct assertion_view *view)
{
    const hs_json_value *iss = hs_json_member(view->payload, "iss"), *sub = hs_json_member(view->payload, "sub");

    if (!hs_span_equal(hs_json_string(iss), hs_json_string(sub)))
        hs_check_find(check, "\"iss\" is %s, but \"sub\" is %s", hs_excerpt_of_value(iss).text,
                      hs_excerpt_of_value(sub).text);
}

void
hs_l14_client_id(struct hs_check *check, const struct assertion_view *view)
{
    const char *name = hs_json_string(hs_json_member(view->payload, "sub")).len > 0 ? "sub" : "iss";
    const hs_json_value *subject = hs_json_member(view->payload, name);

    if (!hs_span_equal_str(hs_json_string(subject), view->expected->client_id))
        hs_check_find(check, "\"%s\" is %s, but the client id is \"%s\"", name, hs_excerpt_of_value(subject).text,
                      hs_excerpt_of(hs_span_str(view->expected->client_id)).text);
}

/* ---- For whom ---- */

void
hs_l15_aud(struct hs_check *check, const struct assertion_view *view)
{
    const hs_json_value *aud = hs_json_member(view->payload, "aud");
    enum hs_json_type type = hs_json_type_of(aud);

    if (type != HS_JSON_STRING && type != HS_JSON_ARRAY)
        hs_check_find(check, "\"aud\" is %s, but must be a string", hs_json_type_words(aud));
    else if ((view->have & HAVE_AUD) == 0)
        hs_check_find(check, "\"aud\" is empty");
}

/* How two URLs differ, where that is easily overlooked. */

static bool
differs_in_slash(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b), len = a_len < b_len ? a_len : b_len;

    return strncmp(a, b, len) == 0 && strcmp(a_len < b_len ? b + len : a + len, "/") == 0;
}

static bool
differs_in_case(const char *a, const char *b)
{
    return strcasecmp(a, b) == 0;
}

static bool
differs_in_scheme(const char *a, const char *b)
{
    const char *a_rest = strstr(a, "://"), *b_rest = strstr(b, "://");

    return a_rest != NULL && b_rest != NULL && strcmp(a_rest, b_rest) == 0;
}

static bool
differs_in_port(const char *a, const char *b)
{
    const char *longer = strlen(a) > strlen(b) ? a : b, *shorter = longer == a ? b : a;
    const char *port = strstr(longer, ":443");
    size_t len = port != NULL ? (size_t)(port - longer) : 0;

    return len > 0 && strncmp(longer, shorter, len) == 0 && strcmp(port + strlen(":443"), shorter + len) == 0;
}

static bool
differs_in_query(const char *a, const char *b)
{
    size_t len = strcspn(a, "?#");

    return len == strcspn(b, "?#") && strncmp(a, b, len) == 0;
}

static const char *
difference(const char *found, const char *expected)
{
    static const struct {
        bool (*differs)(const char *a, const char *b);
        const char *words;
    } kinds[] = {
        {differs_in_slash, " (only the slash at the end differs)"},
        {differs_in_case, " (only upper and lower case differ)"},
        {differs_in_scheme, " (only the scheme differs)"},
        {differs_in_port, " (only the port 443 differs, which https has anyway)"},
        {differs_in_query, " (only what follows the path differs)"},
    };

    for (size_t i = 0; found != NULL && i < HS_ARRAY_LEN(kinds); i++)
        if (kinds[i].differs(found, expected))
            return kinds[i].words;
    return "";
}

void
hs_l16_audience(struct hs_check *check, const struct assertion_view *view)
{
    const hs_json_value *aud = hs_json_member(view->payload, "aud");
    const char *expected = view->expected->audience;
    const hs_json_value *first = hs_json_type_of(aud) == HS_JSON_ARRAY ? hs_json_element(aud, 0) : aud;

    for (size_t i = 0; i < hs_json_length(aud); i++)
        if (hs_span_equal_str(hs_json_string(hs_json_element(aud, i)), expected))
            return;
    if (hs_span_equal_str(hs_json_string(first), expected))
        return;
    if (view->habits->ignores_scheme_of_aud && hs_json_text(first) != NULL &&
        differs_in_scheme(hs_json_text(first), expected))
        hs_check_warn(check, "\"aud\" is %s, but should be \"%s\"; %s takes either scheme",
                      hs_excerpt_of_value(first).text, hs_excerpt_of(hs_span_str(expected)).text, check->server->title);
    else
        hs_check_find(check, "\"aud\" is %s, but must be \"%s\"%s", hs_excerpt_of_value(first).text,
                      hs_excerpt_of(hs_span_str(expected)).text, difference(hs_json_text(first), expected));
}

void
hs_l17_one_audience(struct hs_check *check, const struct assertion_view *view)
{
    size_t count = hs_json_length(hs_json_member(view->payload, "aud"));

    if (count == 1)
        hs_check_warn(check, "\"aud\" is an array of one string: many servers take a string only");
    else if (count > 1)
        hs_check_find(check, "\"aud\" is an array of %zu", count);
}

/* ---- When ---- */

/* `later` - `earlier`, 0 when it is not later. */
static uint64_t
seconds_from_to(int64_t earlier, int64_t later)
{
    return later > earlier ? (uint64_t)later - (uint64_t)earlier : 0;
}

static int64_t
exp_of(const struct assertion_view *view)
{
    return hs_json_integer(hs_json_member(view->payload, "exp"));
}

void
hs_l18_exp(struct hs_check *check, const struct assertion_view *view)
{
    if (hs_json_member(view->payload, "exp") == NULL)
        hs_check_find(check, "\"exp\" is absent");
}

void
hs_l19_times(struct hs_check *check, const struct assertion_view *view)
{
    static const char *const names[] = {"exp", "iat", "nbf"};
    int64_t time_s;

    for (size_t i = 0; i < HS_ARRAY_LEN(names); i++) {
        const hs_json_value *member = hs_json_member(view->payload, names[i]);
        if (member == NULL || hs_view_time(view->payload, names[i], &time_s))
            continue;
        if (hs_json_type_of(member) == HS_JSON_INTEGER)
            hs_check_find(check, "\"%s\" is %" PRId64 ", which looks like milliseconds", names[i],
                          hs_json_integer(member));
        else
            hs_check_find(check, "\"%s\" is %s, but must be a whole number of seconds", names[i],
                          hs_excerpt_of_value(member).text);
    }
}

void
hs_l20_expired(struct hs_check *check, const struct assertion_view *view)
{
    uint64_t ago_s = seconds_from_to(exp_of(view), view->now_s);

    if (exp_of(view) <= view->now_s && ago_s >= view->habits->skew_s)
        hs_check_find(check, "\"exp\" was %" PRIu64 " seconds ago", ago_s);
}

/* A limit of the server's row that was only reported, and is narrower than SMART's, is no reason to refuse; one that
 * holds without iat only is L33's. */
static void
check_lifetime(struct hs_check *check, const struct assertion_view *view, uint64_t lifetime_s, const char *from)
{
    const struct hs_server_row *server = check->server;
    bool has_own = server != NULL && server->max_lifetime_s != 0 && view->habits->lifetime_without_iat_s == 0;
    unsigned max_s = has_own ? server->max_lifetime_s : LIFETIME_MAX_S;

    if (lifetime_s <= max_s)
        return;
    if (lifetime_s <= LIFETIME_MAX_S && !hs_column_is_verified(server, "max_lifetime_s"))
        hs_check_warn(check, "\"exp\" is %" PRIu64 " seconds %s, but may be %u at most, as is reported", lifetime_s,
                      from, max_s);
    else
        hs_check_find(check, "\"exp\" is %" PRIu64 " seconds %s, but may be %u at most", lifetime_s, from, max_s);
}

void
hs_l21_too_far(struct hs_check *check, const struct assertion_view *view)
{
    check_lifetime(check, view, seconds_from_to(view->now_s, exp_of(view)), "ahead");
}

static const struct {
    const char *name, *after;
} starts[] = {{"iat", "after \"iat\""}, {"nbf", "after \"nbf\""}};

void
hs_l22_future(struct hs_check *check, const struct assertion_view *view)
{
    int64_t start_s = 0;

    for (size_t i = 0; i < HS_ARRAY_LEN(starts); i++) {
        if (!hs_view_time(view->payload, starts[i].name, &start_s))
            continue;
        uint64_t ahead_s = seconds_from_to(view->now_s, start_s);
        if (ahead_s > (uint64_t)view->expected->skew_s + view->habits->skew_s)
            hs_check_find(check, "\"%s\" is %" PRIu64 " seconds in the future", starts[i].name, ahead_s);
    }
}

void
hs_l23_times_fit(struct hs_check *check, const struct assertion_view *view)
{
    int64_t start_s = 0;

    for (size_t i = 0; i < HS_ARRAY_LEN(starts); i++) {
        if (!hs_view_time(view->payload, starts[i].name, &start_s))
            continue;
        if (start_s > exp_of(view))
            hs_check_find(check, "\"%s\" is after \"exp\"", starts[i].name);
        else
            check_lifetime(check, view, seconds_from_to(start_s, exp_of(view)), starts[i].after);
    }
}

/* ---- Once ---- */

void
hs_l24_jti(struct hs_check *check, const struct assertion_view *view)
{
    const hs_json_value *jti = hs_json_member(view->payload, "jti");

    if (jti == NULL)
        hs_check_find(check, "\"jti\" is absent");
    else if (hs_json_type_of(jti) == HS_JSON_STRING && (view->have & HAVE_JTI) == 0)
        hs_check_find(check, "\"jti\" is empty");
}

void
hs_l25_jti_type(struct hs_check *check, const struct assertion_view *view)
{
    const hs_json_value *jti = hs_json_member(view->payload, "jti");

    if (jti != NULL && hs_json_type_of(jti) != HS_JSON_STRING)
        hs_check_find(check, "\"jti\" is %s, but must be a string", hs_json_type_words(jti));
}

static size_t
count_characters(struct hs_span text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.len; i++)
        count += (text.data[i] & 0xc0) != 0x80 ? 1 : 0;
    return count;
}

void
hs_l26_jti_length(struct hs_check *check, const struct assertion_view *view)
{
    unsigned max =
        check->server != NULL && check->server->jti_max_len != 0 ? check->server->jti_max_len : JTI_MAX_CHARACTERS;
    size_t count = count_characters(hs_json_string(hs_json_member(view->payload, "jti")));

    if (count > max)
        hs_check_find(check, "\"jti\" has %zu characters, but may have %u at most", count, max);
}

void
hs_l27_jti_once(struct hs_check *check, const struct assertion_view *view)
{
    const hs_json_value *jti = hs_json_member(view->payload, "jti");
    struct hs_span issuer = hs_json_string(hs_json_member(view->payload, "iss"));

    if (view->expected->is_seen(view->expected->seen_arg, issuer, hs_json_string(jti)))
        hs_check_find(check, "\"jti\" is %s, which was seen before", hs_excerpt_of_value(jti).text);
}
