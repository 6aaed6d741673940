/* FHIR-BASE/.well-known/smart-configuration (SMART App Launch 2.2, "conformance"). */
#include <stdio.h>

#include "exchange.h"

static void
put_list(struct hs_json_writer *writer, const char *name, const char *const *items)
{
    hs_json_name(writer, name);
    hs_json_begin_array(writer);
    for (; *items != NULL; items++)
        hs_json_put_text(writer, *items);
    hs_json_end_array(writer);
}

/* Words separated by `separator`. */
static void
put_words(struct hs_json_writer *writer, const char *name, const char *words, char separator)
{
    const char separators[] = {separator, 0};

    hs_json_name(writer, name);
    hs_json_begin_array(writer);
    while (*words != 0) {
        size_t len = strcspn(words, separators);
        if (len > 0)
            hs_json_put_span(writer, (struct hs_span){(const uint8_t *)words, len});
        words += len + (words[len] != 0);
    }
    hs_json_end_array(writer);
}

/* A way in which the token endpoint's URL can be odd, else NULL. */
static const char *
odd_token_url(const struct exchange *exchange, struct hs_buf *scratch, hsmart_err *err)
{
    static const struct {
        const char *fault, *before, *after;
        bool with_url;
    } rows[] = {
        {"relative", "../auth/token", "", false},
        {"foreign", "https://ehr.example/auth/token", "", false},
        {"http", "http://ehr.example/auth/token", "", false},
        {"fragment", "", "#here", true},
        {"userinfo", "https://user:word@ehr.example/auth/token", "", false},
        {"query", "", "?x=1", true},
    };

    for (size_t i = 0; i < HS_ARRAY_LEN(rows); i++)
        if (fault_of(&exchange->faults, rows[i].fault) != NULL &&
            hs_buf_append_format(scratch, err, "%s%s%s", rows[i].before,
                                 rows[i].with_url ? hs_buf_text(&exchange->sandbox->token_url) : "",
                                 rows[i].after) == HSMART_OK)
            return hs_buf_text(scratch);
    return NULL;
}

static void
put_big(struct hs_json_writer *writer)
{
    char scope[64];

    hs_json_name(writer, "scopes_supported");
    hs_json_begin_array(writer);
    for (unsigned i = 0; i < 5000; i++) {
        (void)snprintf(scope, sizeof scope, "system/VendorResource%u.cruds?category=vendor", i);
        hs_json_put_text(writer, scope);
    }
    hs_json_end_array(writer);
}

static void
put_everything_else(const struct exchange *exchange, struct hs_json_writer *writer)
{
    static const char *const grants[] = {"client_credentials", NULL}, *const other_grants[] = {"authorization_code",
                                                                                               NULL};
    static const char *const capabilities[] = {"client-confidential-asymmetric", "client-confidential-symmetric",
                                               "permission-v1", "permission-v2", NULL};
    static const char *const scopes[] = {"system/*.rs", "system/Patient.rs", "system/Observation.rs", "system/*.read",
                                         NULL};
    static const char *const challenges[] = {"S256", NULL};
    const struct fault_set *faults = &exchange->faults;
    const char *algs = fault_of(faults, "algs"), *methods = fault_of(faults, "methods");
    const struct hs_server_row *row = exchange->sandbox->row;

    hs_json_member_text(writer, "issuer", hs_buf_text(&exchange->sandbox->fhir_base));
    hs_json_member_text(writer, "registration_endpoint", hs_buf_text(&exchange->sandbox->register_url));
    put_list(writer, "grant_types_supported",
             fault_of(faults, "no-client-credentials") != NULL ? other_grants : grants);
    put_words(writer, "token_endpoint_auth_methods_supported",
              methods != NULL ? methods : "private_key_jwt+client_secret_basic+client_secret_post", '+');
    if (algs != NULL)
        put_words(writer, "token_endpoint_auth_signing_alg_values_supported", algs, '+');
    else
        put_words(writer, "token_endpoint_auth_signing_alg_values_supported",
                  row != NULL && row->algs != NULL ? row->algs : "RS384 ES384", ' ');
    if (fault_of(faults, "big") != NULL)
        put_big(writer);
    else
        put_list(writer, "scopes_supported", scopes);
    put_list(writer, "capabilities", capabilities);
    put_list(writer, "code_challenge_methods_supported", challenges);
}

enum hsmart_code
serve_discovery(struct exchange *exchange, hsmart_err *err)
{
    const struct fault_set *faults = &exchange->faults;
    const char *max_age = fault_of(faults, "max-age");
    struct hs_json_writer writer;
    struct hs_buf scratch = {0};
    enum hsmart_code code = answer_json(exchange, 200, "application/json", &writer, err);

    if (code == HSMART_OK)
        code = answer_header(&exchange->answer, err, "Cache-Control", "max-age=%s", max_age != NULL ? max_age : "300");
    if (code != HSMART_OK)
        return code;
    const char *token_url = odd_token_url(exchange, &scratch, err);
    hs_json_begin_object(&writer);
    if (fault_of(faults, "no-token-endpoint") == NULL)
        hs_json_member_text(&writer, "token_endpoint",
                            token_url != NULL ? token_url : hs_buf_text(&exchange->sandbox->token_url));
    if (fault_of(faults, "only-token-endpoint") == NULL)
        put_everything_else(exchange, &writer);
    hs_json_end_object(&writer);
    hs_buf_clear(&scratch);
    return hs_json_writer_finish(&writer, err);
}
