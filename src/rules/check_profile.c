/* L33: what the row of one family of servers demands of an assertion, beside what SMART does. */
#include <inttypes.h>

#include "assertion_view.h"

static void
check_method(struct hs_check *check, const struct assertion_view *view)
{
    (void)view;
    if ((check->server->auth_methods & HS_AUTH_PRIVATE_KEY_JWT) == 0)
        hs_check_demand(check, "auth_methods", "%s takes no assertions: its clients have a secret",
                        check->server->title);
}

static void
check_issued_at(struct hs_check *check, const struct assertion_view *view)
{
    int64_t exp_s = 0, limit_s = view->habits->lifetime_without_iat_s;

    if (hs_json_member(view->payload, "iat") != NULL)
        return;
    if (limit_s == 0) {
        if (check->server->needs_iat)
            hs_check_demand(check, "needs_iat", "\"iat\" is absent, but %s wants it", check->server->title);
        return;
    }
    if (hs_view_time(view->payload, "exp", &exp_s) && exp_s > view->now_s && exp_s - view->now_s > limit_s)
        hs_check_demand(check, "needs_iat",
                        "\"iat\" is absent, so \"exp\" may be %" PRId64 " seconds ahead at most, but is %" PRId64,
                        limit_s, exp_s - view->now_s);
}

static void
check_not_before(struct hs_check *check, const struct assertion_view *view)
{
    if (check->server->wants_nbf && hs_json_member(view->payload, "nbf") == NULL)
        hs_check_warn(check, "\"nbf\" is absent, but %s lists it", check->server->title);
}

static void
check_kid(struct hs_check *check, const struct assertion_view *view)
{
    const hs_json_value *kid = hs_json_member(view->header, "kid");

    if (check->server->kid == HS_KID_UUID && (view->have & HAVE_KID) != 0 && !hs_is_uuid(hs_json_string(kid)))
        hs_check_demand(check, "kid", "the header's \"kid\" is %s, but must be the UUID that %s gave the key",
                        hs_excerpt_of_value(kid).text, check->server->title);
}

static void
check_key_size(struct hs_check *check, const struct assertion_view *view)
{
    unsigned min_bits = check->server->rsa_min_bits;

    if ((view->have & HAVE_KEY) != 0 && view->key.type == HS_KEY_RSA && view->key.bits < min_bits)
        hs_check_demand(check, "rsa_min_bits", "the RSA key has %u bits, but %s wants %u at least", view->key.bits,
                        check->server->title, min_bits);
}

static void
check_handover(struct hs_check *check, const struct assertion_view *view)
{
    enum hs_handover handover = view->expected->handover;
    bool is_ec = view->alg != NULL && view->alg->key_type == HS_KEY_EC;

    if (check->server->jwks_url_needed && handover == HS_HANDOVER_VALUE)
        hs_check_demand(check, "jwks_url_needed", "the keys were registered by value, but %s wants a JWKS URL",
                        check->server->title);
    else if (check->server->jwks_url_needed_for_ec && is_ec && handover == HS_HANDOVER_UNKNOWN)
        hs_check_warn(check,
                      "the header's \"alg\" is \"%s\", which %s takes only of clients that registered a JWKS URL",
                      view->alg->name, check->server->title);
    else if (check->server->jwks_url_needed_for_ec && is_ec && handover == HS_HANDOVER_VALUE)
        hs_check_demand(check, "jwks_url_needed_for_ec",
                        "the header's \"alg\" is \"%s\", which %s takes only with a JWKS URL", view->alg->name,
                        check->server->title);
}

static void
check_certificate(struct hs_check *check, const struct assertion_view *view)
{
    const char *name = view->habits->certificate_member;

    if (name != NULL && hs_json_member(view->header, name) == NULL)
        hs_check_demand(check, name, "the header has no \"%s\", by which %s knows the key", name, check->server->title);
}

static void
check_extensions(struct hs_check *check, const struct assertion_view *view)
{
    const hs_json_value *extensions = hs_json_member(view->payload, "extensions");

    if (strcmp(check->server->name, "udap") == 0 && hs_json_member(extensions, "hl7-b2b") == NULL)
        hs_check_demand(check, "extensions", "\"extensions\" has no \"hl7-b2b\", which UDAP's B2B profile wants");
}

void
hs_l33_server(struct hs_check *check, const struct assertion_view *view)
{
    static hs_assertion_rule *const parts[] = {check_method,   check_issued_at, check_not_before,  check_kid,
                                               check_key_size, check_handover,  check_certificate, check_extensions};

    for (size_t i = 0; i < HS_ARRAY_LEN(parts); i++)
        parts[i](check, view);
}
