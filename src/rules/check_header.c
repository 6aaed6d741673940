/* L01 to L10: the form of an assertion, and its header. */
#include "assertion_view.h"
#include "check_served.h"

static const char *const part_names[PART_COUNT] = {"header", "payload", "signature"};

void
hs_l01_parts(struct hs_check *check, const struct assertion_view *view)
{
    if (view->text.len == 0)
        hs_check_find(check, "it is empty");
    else if (view->part_count != PART_COUNT)
        hs_check_find(check, "%zu %s, but there must be 3 with dots between them", view->part_count,
                      view->part_count == 1 ? "part was found" : "parts were found");
}

void
hs_l02_base64url(struct hs_check *check, const struct assertion_view *view)
{
    for (size_t i = 0; i < PART_COUNT; i++)
        if (!view->parts[i].clean)
            hs_check_find(check, "the %s: %s", part_names[i], view->parts[i].why.text);
}

void
hs_l03_objects(struct hs_check *check, const struct assertion_view *view)
{
    const hs_json_value *const objects[] = {view->header, view->payload};

    for (size_t i = 0; i < HS_ARRAY_LEN(objects); i++)
        if (view->parts[i].clean && objects[i] == NULL)
            hs_check_find(check, "the %s is no JSON object: %s", part_names[i], view->parts[i].why.text);
}

/* SMART lets servers take more than the two that it names; a row that lists its own does not. */
static void
check_server_alg(struct hs_check *check, const char *alg)
{
    const struct hs_server_row *server = check->server;

    if (server == NULL || hs_server_takes_alg(server, alg))
        return;
    if (server->algs != NULL)
        hs_check_demand(check, "algs", "the header's \"alg\" is \"%s\", but %s takes %s", alg, server->title,
                        server->algs);
    else
        hs_check_warn(check, "the header's \"alg\" is \"%s\": of %s only %s are known to be taken", alg, server->title,
                      hs_server_algs(server));
}

void
hs_l04_alg(struct hs_check *check, const struct assertion_view *view)
{
    static const struct {
        const char *prefix, *words;
    } kinds[] = {{"none", ", so it is not signed"}, {"HS", ", which is made with a shared secret"}, {"", ""}};
    const hs_json_value *alg = hs_json_member(view->header, "alg");
    struct hs_span text = hs_json_string(alg);

    if (view->alg != NULL) {
        check_server_alg(check, view->alg->name);
        return;
    }
    if (hs_json_type_of(alg) != HS_JSON_STRING) {
        hs_check_find(check, "the header's \"alg\" is %s, but must be a string", hs_json_type_words(alg));
        return;
    }
    for (size_t i = 0; i < HS_ARRAY_LEN(kinds); i++) {
        size_t len = strlen(kinds[i].prefix);
        if (text.len < len || memcmp(text.data, kinds[i].prefix, len) != 0)
            continue;
        hs_check_find(check, "the header's \"alg\" is %s%s", hs_excerpt_of_value(alg).text, kinds[i].words);
        return;
    }
}

void
hs_l06_kid(struct hs_check *check, const struct assertion_view *view)
{
    const hs_json_value *kid = hs_json_member(view->header, "kid");

    if (hs_json_type_of(kid) != HS_JSON_STRING)
        hs_check_find(check, "the header's \"kid\" is %s, but must be a string", hs_json_type_words(kid));
    else if ((view->have & HAVE_KID) == 0)
        hs_check_find(check, "the header's \"kid\" is empty");
}

void
hs_l07_typ(struct hs_check *check, const struct assertion_view *view)
{
    const hs_json_value *typ = hs_json_member(view->header, "typ");
    struct hs_span text = hs_json_string(typ);

    if (hs_span_equal_str(text, view->type))
        return;
    if (strcmp(view->type, "JWT") == 0 && hs_span_equal_str(text, "client-authentication+jwt"))
        hs_check_warn(check, "the header's \"typ\" is \"client-authentication+jwt\", the value of "
                             "draft-ietf-oauth-rfc7523bis: most SMART servers take \"JWT\" only");
    else
        hs_check_find(check, "the header's \"typ\" is %s, but must be \"%s\"", hs_excerpt_of_value(typ).text,
                      hs_excerpt_of(hs_span_str(view->type)).text);
}

void
hs_l08_jku(struct hs_check *check, const struct assertion_view *view)
{
    const hs_json_value *jku = hs_json_member(view->header, "jku");
    const char *text = hs_json_text(jku), *expected = view->expected->jku;

    if (jku == NULL)
        return;
    if (text != NULL && hs_is_http_to_loopback(text) && (expected == NULL || strcmp(text, expected) == 0))
        hs_check_warn(check, "the header's \"jku\" is http to this very machine, which is for tests only");
    else if (text == NULL || strncmp(text, "https://", strlen("https://")) != 0)
        hs_check_find(check, "the header's \"jku\" is %s, but must be a URL with https", hs_excerpt_of_value(jku).text);
    else if (expected != NULL && strcmp(text, expected) != 0)
        hs_check_find(check, "the header's \"jku\" is %s, but \"%s\" is registered", hs_excerpt_of_value(jku).text,
                      hs_excerpt_of(hs_span_str(expected)).text);
}

void
hs_l09_crit(struct hs_check *check, const struct assertion_view *view)
{
    static const char *const names[] = {"crit", "b64"};

    for (size_t i = 0; i < HS_ARRAY_LEN(names); i++)
        if (hs_json_member(view->header, names[i]) != NULL)
            hs_check_find(check, "the header has the member \"%s\"", names[i]);
}

void
hs_l10_key_material(struct hs_check *check, const struct assertion_view *view)
{
    const hs_json_value *jwk = hs_json_member(view->header, "jwk");

    if (jwk == NULL)
        return;
    for (size_t i = 0; i < hs_jwk_private_member_count; i++)
        if (hs_json_member(jwk, hs_jwk_private_members[i]) != NULL) {
            hs_check_find(check, "the header's \"jwk\" has the private or secret member \"%s\"",
                          hs_jwk_private_members[i]);
            return;
        }
    hs_check_warn(check, "the header has the member \"jwk\", which servers do not trust");
}
