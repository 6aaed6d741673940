/* The doctor's probes of what the server sees and says: discovery, clock, JWKS, assertion, access token, scopes, FHIR.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "err.h"
#include "json.h"
#include "scope_word.h"

#define SKEW_WARN_S 5
#define SKEW_FAIL_S 30 /* far below what 300 s of an assertion leave, far above what NTP leaves */

static struct hs_http_options
http_of(const struct doctor *doctor)
{
    const hsmart_network_options *network = &doctor->target.options.network;

    return (struct hs_http_options){.ca_file = network->ca_file,
                                    .ca_directory = network->ca_directory,
                                    .client_certificate = network->client_certificate,
                                    .client_key = network->client_key,
                                    .allow_http_to_loopback = network->allow_http_to_loopback,
                                    .connect_timeout_ms = network->connect_timeout_ms};
}

static const char *
token_endpoint(const struct doctor *doctor)
{
    if (doctor->target.options.token_endpoint != NULL)
        return doctor->target.options.token_endpoint;
    return doctor->discovery != NULL ? doctor->discovery->token_endpoint : NULL;
}

/* ---- Discovery ---- */

void
doctor_discovery(struct doctor *doctor)
{
    const hsmart_client_options *client = &doctor->target.options;
    const hsmart_discovery_options options = {.token_pin = client->token_pin,
                                              .auth = client->auth != HSMART_AUTH_DEFAULT ? client->auth
                                                      : client->open_signer != NULL       ? HSMART_AUTH_PRIVATE_KEY_JWT
                                                                                          : HSMART_AUTH_DEFAULT};
    hsmart_network_options network = client->network;
    hsmart_err err = {0};

    network.log = NULL; /* its warnings are lines here */
    if (hsmart_discover(client->fhir_base, &options, &network, &doctor->discovery, &err) != HSMART_OK) {
        if (err.code == HSMART_INVALID_ARGUMENT)
            hs_err_hint(&err, "set fhir-base to the server's FHIR base, an absolute URL with https");
        doctor_tell_error(doctor, DOCTOR_FAIL, &err);
        return;
    }
    const hsmart_discovery *found = doctor->discovery;
    const char *configured = client->token_endpoint;
    doctor->have |= DR_ENDPOINT | DR_SERVER_URL;
    doctor_tell(doctor, DOCTOR_OK, NULL, "the token endpoint is %s", found->token_endpoint);
    if (configured != NULL && strcmp(configured, found->token_endpoint) != 0)
        doctor_tell(doctor, DOCTOR_WARN, "leave token-endpoint out, unless the server's operator said otherwise",
                    "the configuration has another token-endpoint: %s", configured);
    for (size_t i = 0; i < found->warnings.count; i++)
        doctor_tell(doctor, DOCTOR_WARN, NULL, "%s", found->warnings.items[i]);
}

/* ---- The clock ---- */

static void
tell_skew(struct doctor *doctor, int64_t skew_s)
{
    int64_t by_s = skew_s < 0 ? -skew_s : skew_s;
    const char *side = skew_s < 0 ? "ahead of" : "behind";

    if (by_s < SKEW_WARN_S)
        doctor_tell(doctor, DOCTOR_OK, NULL, "this machine's clock agrees with the server's to %" PRId64 " s", by_s);
    else
        doctor_tell(doctor, by_s < SKEW_FAIL_S ? DOCTOR_WARN : DOCTOR_FAIL,
                    "set this machine's clock by NTP (timedatectl tells); if it is right, the server's is wrong",
                    "this machine's clock is %" PRId64 " s %s the server's", by_s, side);
}

void
doctor_clock(struct doctor *doctor)
{
    const struct hs_http_options options = http_of(doctor);
    const struct hs_http_request request = {.method = "GET",
                                            .url = doctor->discovery != NULL ? doctor->discovery->url
                                                                             : doctor->target.options.token_endpoint};
    struct hs_http_response response = {0};
    struct hs_http *http = NULL;
    hsmart_err err = {0};
    int64_t skew_s = 0;
    enum hsmart_code code = hs_http_new(&options, &http, &err);

    if (code == HSMART_OK)
        code = hs_http_exchange(http, &request, &response, &err);
    if (code != HSMART_OK)
        doctor_tell_error(doctor, DOCTOR_FAIL, &err);
    else if (!hs_http_clock_skew_s(&response, &skew_s))
        doctor_tell(doctor, DOCTOR_WARN, "compare this machine's clock by other means",
                    "the server does not tell the time");
    else
        tell_skew(doctor, skew_s);
    hs_http_response_clear(&response);
    hs_http_free(http);
}

/* ---- The key set ---- */

/* The first finding of the worst severity, and how many more there are. */
static void
tell_report(struct doctor *doctor, const struct hs_report *report, const char *good, const char *again)
{
    bool has_error = report->error_count > 0;
    const struct hs_finding *first = NULL;
    char cure[512];

    for (size_t i = 0; i < report->count && first == NULL; i++)
        if (!has_error || report->findings[i].severity == HS_SEVERITY_ERROR)
            first = &report->findings[i];
    if (first == NULL) {
        doctor_tell(doctor, DOCTOR_OK, NULL, "%s: %zu rules hold", good,
                    report->verdict_count - hs_report_count(report, HS_VERDICT_SKIPPED));
        return;
    }
    (void)snprintf(cure, sizeof cure, "%s%s%s", first->rule->cure, report->count > 1 ? " All findings: " : "",
                   report->count > 1 ? again : "");
    if (report->count > 1)
        doctor_tell(doctor, has_error ? DOCTOR_FAIL : DOCTOR_WARN, cure, "%s: %s (and %zu more)", first->rule->code,
                    first->text, report->count - 1);
    else
        doctor_tell(doctor, has_error ? DOCTOR_FAIL : DOCTOR_WARN, cure, "%s: %s", first->rule->code, first->text);
}

/* NULL and a line when the row is unknown, which the first probe has told already. */
static const struct hs_server_row *
row_of(const struct doctor *doctor)
{
    const struct hs_server_row *row = NULL;

    return hs_check_server_find(doctor->server.name, &row, NULL) == HSMART_OK ? row : NULL;
}

void
doctor_jwks(struct doctor *doctor)
{
    struct hs_http_options network = http_of(doctor);
    struct hs_jwks_expectation expectation = {.server = row_of(doctor)};
    struct hs_report report = {0};
    hsmart_err err = {0};
    network.client_certificate = network.client_key = NULL; /* the EHR has none of ours */
    enum hsmart_code code = jwks_fetch(doctor->jwks_where, &network, &doctor->jwks, &err);

    expectation.served = jwks_served(&doctor->jwks);
    if (code == HSMART_OK)
        code = hs_check_jwks(hs_span_buf(&doctor->jwks.text), &expectation, &report, &err);
    if (code == HSMART_OK)
        tell_report(doctor, &report, doctor->jwks_where, "hsmart check jwks URL");
    else
        doctor_tell_error(doctor, DOCTOR_FAIL, &err);
    if (code == HSMART_OK && doctor->jwks.text.len > 0)
        doctor->have |= DR_JWKS;
    if (expectation.served != NULL && expectation.served->cache_life_s > 0)
        doctor_tell(doctor, DOCTOR_OK, NULL,
                    "a server may keep it for %" PRId64 " minutes: so long a new key may be unknown",
                    expectation.served->cache_life_s / 60);
    hs_report_clear(&report);
}

static bool
is_same_key(const hs_json_value *a, const hs_json_value *b)
{
    static const char *const members[] = {"kty", "n", "e", "crv", "x", "y"};

    for (size_t i = 0; i < HS_ARRAY_LEN(members); i++)
        if (!hs_span_equal(hs_json_string(hs_json_member(a, members[i])),
                           hs_json_string(hs_json_member(b, members[i]))))
            return false;
    return true;
}

static void
compare_keys(struct doctor *doctor, const hs_json_value *keys, const hs_json_value *own)
{
    struct hs_span kid = hs_json_string(hs_json_member(own, "kid"));
    const hs_json_value *by_kid = NULL, *by_key = NULL;

    for (size_t i = 0; i < hs_json_length(keys); i++) {
        const hs_json_value *key = hs_json_element(keys, i);
        if (hs_span_equal(hs_json_string(hs_json_member(key, "kid")), kid))
            by_kid = key;
        if (is_same_key(key, own))
            by_key = key;
    }
    const char *own_kid = hs_json_text(hs_json_member(own, "kid"));
    doctor->have |= by_kid != NULL && is_same_key(by_kid, own) ? DR_PUBLISHED : 0U;
    if ((doctor->have & DR_PUBLISHED) != 0)
        doctor_tell(doctor, DOCTOR_OK, NULL, "the kid \"%s\" is in the set, and it is this key", own_kid);
    else if (by_kid != NULL)
        doctor_tell(doctor, DOCTOR_FAIL, "publish the set anew: hsmart-key export --format jwks",
                    "the kid \"%s\" is in the set, but it is another key", own_kid);
    else if (by_key != NULL)
        doctor_tell(doctor, DOCTOR_FAIL, "set kid of the key in the configuration to the one in the set",
                    "the key is in the set under the kid \"%s\", but assertions say \"%s\"",
                    hs_json_text(hs_json_member(by_key, "kid")) != NULL ? hs_json_text(hs_json_member(by_key, "kid"))
                                                                        : "",
                    own_kid);
    else
        doctor_tell(
            doctor, DOCTOR_FAIL,
            doctor->target.family != NULL
                ? "publish it (hsmart-key publish), and wait until the server has read the set again"
                : "publish it (hsmart-key export --format jwks), and wait until the server has read the set again",
            "the key with the kid \"%s\" is not among the %zu of the set", own_kid, hs_json_length(keys));
}

void
doctor_kid(struct doctor *doctor)
{
    const char *configured = doctor->target.target.signer.kid;
    const hsmart_jwk_options options = {.kid = doctor->client.kid != NULL ? doctor->client.kid : configured};
    struct hs_json_doc set = {0}, own = {0};
    char *jwk = NULL;
    hsmart_err err = {0};
    enum hsmart_code code = hsmart_key_jwk(doctor->key, &options, &jwk, &err);

    if (code == HSMART_OK)
        code = hs_json_parse(hs_span_str(jwk), &own, &err);
    if (code == HSMART_OK)
        code = hs_json_parse(hs_span_buf(&doctor->jwks.text), &set, &err);
    if (code == HSMART_OK)
        compare_keys(doctor, hs_json_member(set.root, "keys"), own.root);
    else
        doctor_tell_error(doctor, DOCTOR_FAIL, &err);
    hsmart_string_free(jwk);
    hs_json_doc_clear(&set);
    hs_json_doc_clear(&own);
}

/* ---- The client ---- */

/* Made once, for the assertion and for the access token. */
static enum hsmart_code
connect_client(struct doctor *doctor, hsmart_err *err)
{
    doctor->target.options.no_cache = true; /* a real request is what is wanted */
    return doctor->connection != NULL ? HSMART_OK : client_target_open(&doctor->target, &doctor->connection, err);
}

static const char *
expected_audience(const struct doctor *doctor)
{
    if (doctor->target.options.audience != NULL)
        return doctor->target.options.audience;
    if (doctor->server.audience == HSMART_AUDIENCE_ISSUER)
        return doctor->discovery != NULL ? doctor->discovery->issuer : NULL;
    return doctor->server.audience == HSMART_AUDIENCE_TOKEN_ENDPOINT ? token_endpoint(doctor) : NULL;
}

void
doctor_assertion(struct doctor *doctor)
{
    struct hs_report report = {0};
    hsmart_err err = {0};
    char *jwt = NULL;
    const struct hs_assertion_expectation expectation = {
        .server = row_of(doctor),
        .jwks = hs_span_buf(&doctor->jwks.text),
        .jwks_served = jwks_served(&doctor->jwks),
        .handover = doctor->jwks.is_url ? HS_HANDOVER_URL : HS_HANDOVER_UNKNOWN,
        .audience = expected_audience(doctor),
        .client_id = doctor->target.options.client_id,
        .jku = doctor->jwks.is_url ? doctor->jwks_where : doctor->target.options.jku,
        .type = doctor->target.options.assertion_type,
    };
    enum hsmart_code code = connect_client(doctor, &err);

    if (code == HSMART_OK)
        code = hsmart_client_assertion(doctor->connection, &jwt, &err);
    if (code == HSMART_OK)
        code = hs_check_assertion(hs_span_str(jwt), &expectation, &report, &err);
    if (code == HSMART_OK)
        tell_report(doctor, &report, "an assertion was signed",
                    "hsmart assertion | hsmart check assertion - --server ROW");
    else
        doctor_tell_error(doctor, DOCTOR_FAIL, &err);
    doctor->have |= code == HSMART_OK && report.error_count == 0 ? DR_GOOD_ASSERTION : 0U;
    hs_report_clear(&report);
    hsmart_string_free(jwt);
}

/* ---- Online ---- */

/* Whether the likeliest cause by the server's answer alone is one that the probes before have ruled out on our side. */
static bool
is_ruled_out(const hsmart_err *err)
{
    static const char *const causes[] = {"aud:", "kid:", "key:", "lifetime:", "jti:"};

    for (size_t i = 0; i < HS_ARRAY_LEN(causes); i++)
        if (strncmp(err->hint, causes[i], strlen(causes[i])) == 0)
            return err->code == HSMART_SERVER_REFUSED;
    return false;
}

/* Servers refuse with one word for many causes. Of a published key and an assertion that keeps every rule, what is left
 * is on the server's side: its copy of the set is older than ours, or it knows the client by another id. */
static void
tell_refusal(struct doctor *doctor, const hsmart_err *err)
{
    static const unsigned needs = DR_PUBLISHED | DR_GOOD_ASSERTION;
    const struct hs_served *served = jwks_served(&doctor->jwks);
    const char *id = doctor->target.options.client_id;
    char cure[640], wait[80] = "have it read the set again";

    if ((doctor->have & needs) != needs || !is_ruled_out(err)) {
        doctor_tell_error(doctor, DOCTOR_FAIL, err);
        return;
    }
    if (served == NULL)
        (void)snprintf(wait, sizeof wait, "register the set anew, where it was registered by value");
    else if (served->cache_life_s > 0)
        (void)snprintf(wait, sizeof wait, "wait %" PRId64 " minutes, or have it read the set again",
                       (served->cache_life_s + 59) / 60);
    (void)snprintf(
        cure, sizeof cure,
        "the key is published and the assertion keeps every rule, so the server may have an older copy of the "
        "key set (%s), or not know the client id%s%.60s%s; else %s",
        wait, id != NULL ? " \"" : "", id != NULL ? id : "", id != NULL ? "\"" : "", err->hint);
    doctor_tell(doctor, DOCTOR_FAIL, cure, "%s", err->text);
}

void
doctor_access_token(struct doctor *doctor)
{
    hsmart_err err = {0};
    enum hsmart_code code = connect_client(doctor, &err);

    if (code == HSMART_OK)
        code = hsmart_client_access_token(doctor->connection, 0, &doctor->access_token, &err);
    if (code != HSMART_OK) {
        tell_refusal(doctor, &err);
        return;
    }
    doctor->have |= DR_ACCESS_TOKEN;
    doctor_tell(doctor, DOCTOR_OK, NULL, "the server gave an access token for %" PRId64 " s",
                doctor->access_token->expires_at_s - doctor->access_token->obtained_at_s);
}

static bool
has_scope(const char *scopes, const char *scope, size_t len)
{
    for (const char *at = scopes; *at != 0; at += strcspn(at, " "), at += strspn(at, " "))
        if (strcspn(at, " ") == len && strncmp(at, scope, len) == 0)
            return true;
    return false;
}

void
doctor_scope(struct doctor *doctor)
{
    const char *granted = doctor->access_token->scope, *at = doctor->target.options.scope;
    size_t lost = 0;

    if (granted == NULL) {
        doctor_tell(doctor, DOCTOR_OK, NULL, "the server does not say, which means: as asked for");
        return;
    }
    for (; *at != 0; at += strcspn(at, " "), at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        if (len == 0 || has_scope(granted, at, len))
            continue;
        lost++;
        doctor_tell(doctor, DOCTOR_WARN, "have the scope granted where the client is registered, or leave it out",
                    "\"%.*s\" was not granted in these words", (int)len, at);
    }
    doctor_tell(doctor, lost == 0 ? DOCTOR_OK : DOCTOR_WARN, NULL, "granted: %s", granted);
}

/* A search that what was granted allows, and the word that allows it. Scopes of a family's own say nothing of what they
 * allow: then it is tried with a patient. False: every word is known, and none allows a search. */
static bool
choose_search(const char *granted, struct hs_buf *out_path, struct hs_span *out_word, enum hsmart_code *out_code)
{
    struct hs_span rest = hs_span_str(granted != NULL ? granted : ""), word;
    bool is_all_known = rest.len > 0;

    while (hs_scope_next(&rest, &word)) {
        struct hs_scope_word scope = {0};
        const char *fault;
        enum hs_scope_kind kind = hs_scope_word_parse(word, &scope, &fault);
        is_all_known = is_all_known && kind != HS_SCOPE_WORD_FOREIGN;
        if (kind != HS_SCOPE_WORD_GOOD || !scope.searches)
            continue;
        struct hs_span type = hs_span_equal_str(scope.type, "*") ? hs_span_str("Patient") : scope.type;
        *out_word = word;
        *out_code =
            hs_buf_append_format(out_path, NULL, "%.*s?%.*s%s_count=1", (int)type.len, (const char *)type.data,
                                 (int)scope.query.len, (const char *)scope.query.data, scope.query.len > 0 ? "&" : "");
        return true;
    }
    *out_code = hs_buf_append_str(out_path, "Patient?_count=1", NULL);
    return !is_all_known;
}

/* NULL: it is a resource. */
static const char *
fault_of_resource(const hsmart_fhir_answer *answer, hsmart_err *err)
{
    struct hs_json_doc doc = {0};
    const char *fault = NULL;

    if (hs_json_parse((struct hs_span){(const uint8_t *)answer->body, answer->body_len}, &doc, err) != HSMART_OK)
        fault = err->text;
    else if (hs_json_text(hs_json_member(doc.root, "resourceType")) == NULL)
        fault = "there is no \"resourceType\" in it";
    hs_json_doc_clear(&doc);
    return fault;
}

static void
tell_search(struct doctor *doctor, const char *path, struct hs_span word, const hsmart_fhir_answer *answer)
{
    hsmart_err err = {0};
    const char *fault = fault_of_resource(answer, &err);
    char allowed[160] = "";

    if (fault != NULL) {
        doctor_tell(doctor, DOCTOR_FAIL,
                    "check fhir-base, and what stands before the server; else show it to its operator",
                    "GET %s: status %d, but the answer is no FHIR resource: %s", path, answer->status, fault);
        return;
    }
    if (word.len > 0)
        (void)snprintf(allowed, sizeof allowed, "; \"%.*s\" allows it", (int)word.len, (const char *)word.data);
    doctor_tell(doctor, DOCTOR_OK, NULL, "GET %s: status %d, %zu bytes%s", path, answer->status, answer->body_len,
                allowed);
}

void
doctor_fhir(struct doctor *doctor)
{
    const char *scope =
        doctor->access_token->scope != NULL ? doctor->access_token->scope : doctor->target.options.scope;
    hsmart_fhir_answer *answer = NULL;
    hsmart_err err = {0};
    struct hs_buf path = {0};
    struct hs_span word = {0};
    enum hsmart_code code = HSMART_OK;

    if (!choose_search(scope, &path, &word, &code)) {
        doctor_tell(doctor, DOCTOR_WARN, "ask for a scope that lets it search, such as \"system/Patient.rs\"",
                    "nothing was asked for: no scope that was granted allows a search");
        goto out;
    }
    if (code == HSMART_OK)
        code = hsmart_client_get(doctor->connection, hs_buf_text(&path), NULL, &answer, &err);
    else
        (void)hs_err_no_memory(&err);
    if (code == HSMART_OK)
        tell_search(doctor, hs_buf_text(&path), word, answer);
    else
        doctor_tell_error(doctor, DOCTOR_FAIL, &err);
out:
    hsmart_fhir_answer_free(answer);
    hs_buf_clear(&path);
}
