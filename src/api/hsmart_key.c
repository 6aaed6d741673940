#include <hsmart/key.h>

#include "api_objects.h"
#include "err.h"
#include "generate.h"
#include "key_certificate.h"

const hsmart_key_info *
hsmart_key_get_info(const hsmart_key *key)
{
    return &hs_api_token_key(key)->info;
}

enum hsmart_code
hsmart_key_find(hsmart_token *token, const char *uri, hsmart_key **out_key, hsmart_err *err)
{
    struct hs_token_key *key = NULL;
    enum hsmart_code code = hs_token_key_find(hs_api_p11_token(token), uri, &key, err);

    if (code == HSMART_OK)
        *out_key = hs_api_key(key);
    return code;
}

void
hsmart_key_free(hsmart_key *key)
{
    hs_token_key_free((struct hs_token_key *)key);
}

enum hsmart_code
hsmart_key_list_read(hsmart_token *token, hsmart_key_list **out_list, hsmart_err *err)
{
    struct hs_token_key **keys = NULL;
    size_t count = 0;
    hsmart_key_list *list = hs_calloc(1, sizeof *list);
    enum hsmart_code code;

    if (list == NULL)
        return hs_err_no_memory(err);
    code = hs_token_key_list(hs_api_p11_token(token), &keys, &count, err);
    if (code != HSMART_OK) {
        hs_free(list);
        return code;
    }
    list->keys = (hsmart_key **)keys;
    list->count = count;
    *out_list = list;
    return HSMART_OK;
}

void
hsmart_key_list_free(hsmart_key_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        hsmart_key_free(list->keys[i]);
    hs_free(list->keys);
    hs_free(list);
}

/* The public half is what is written down; a key without one says why. */
static enum hsmart_code
check_has_public(const struct hs_token_key *key, hsmart_err *err)
{
    if (key->jwk.pkey != NULL)
        return HSMART_OK;
    return hs_err_set(err, HSMART_KEY_UNUSABLE, "cannot write down key \"%s\": %s", key->info.label,
                      key->info.problem_text != NULL ? key->info.problem_text : "its public half is not known");
}

/* A token without a certificate for the key is no error: the JWK is complete without. */
static enum hsmart_code
add_with_certificate(struct hs_jwks *jwks, const struct hs_token_key *key, const char *kid, const struct hs_alg *alg,
                     hsmart_err *err)
{
    struct hs_jwk jwk = {0};
    enum hsmart_code code = hs_jwk_dup(&key->jwk, &jwk, err);

    if (code == HSMART_OK)
        code = hs_key_certificate_read(key, &jwk.certificate, err);
    if (code == HSMART_OK)
        code = hs_jwks_add(jwks, &jwk, kid, alg->name, err);
    hs_jwk_clear(&jwk);
    return code;
}

/* Adds the key to a set, under an algorithm that it can be used for. */
static enum hsmart_code
add_to(struct hs_jwks *jwks, const struct hs_token_key *key, const hsmart_jwk_options *options, hsmart_err *err)
{
    static const hsmart_jwk_options defaults = {0};
    const struct hs_alg *alg = NULL;
    enum hsmart_code code = check_has_public(key, err);

    if (options == NULL)
        options = &defaults;
    if (code != HSMART_OK)
        return code;
    code = hs_token_key_choose_alg(key, options->alg, &alg, err);
    if (code != HSMART_OK)
        return hs_err_wrap(err, code, "cannot write down key \"%s\"", key->info.label);
    return options->certificate ? add_with_certificate(jwks, key, options->kid, alg, err)
                                : hs_jwks_add(jwks, &key->jwk, options->kid, alg->name, err);
}

enum hsmart_code
hsmart_key_jwk(const hsmart_key *key, const hsmart_jwk_options *options, char **out_json, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_jwks one = {0};
    struct hs_buf json = {0};
    struct hs_json_writer writer = {.out = &json};

    code = add_to(&one, hs_api_token_key(key), options, err); /* for its checks of kid and alg */
    if (code != HSMART_OK)
        goto out;
    hs_jwk_put(&writer, &one.entries[0].jwk, one.entries[0].kid, one.entries[0].alg);
    code = hs_json_writer_finish(&writer, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&json, out_json, err);
out:
    hs_buf_clear(&json);
    hs_jwks_clear(&one);
    return code;
}

enum hsmart_code
hsmart_key_pem(const hsmart_key *key, char **out_pem, hsmart_err *err)
{
    const struct hs_token_key *own = hs_api_token_key(key);
    struct hs_buf pem = {0};
    enum hsmart_code code = check_has_public(own, err);

    if (code == HSMART_OK)
        code = hs_jwk_format_pem(&own->jwk, &pem, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&pem, out_pem, err);
    hs_buf_clear(&pem);
    return code;
}

void
hsmart_string_free(char *string)
{
    hs_string_free(string);
}

enum hsmart_code
hsmart_jwks_new(hsmart_jwks **out_jwks, hsmart_err *err)
{
    struct hs_jwks *jwks = hs_calloc(1, sizeof *jwks);

    if (jwks == NULL)
        return hs_err_no_memory(err);
    *out_jwks = (hsmart_jwks *)jwks;
    return HSMART_OK;
}

enum hsmart_code
hsmart_jwks_add(hsmart_jwks *jwks, const hsmart_key *key, const hsmart_jwk_options *options, hsmart_err *err)
{
    return add_to(hs_api_jwks(jwks), hs_api_token_key(key), options, err);
}

enum hsmart_code
hsmart_jwks_format(const hsmart_jwks *jwks, char **out_json, hsmart_err *err)
{
    struct hs_buf json = {0};
    enum hsmart_code code = hs_jwks_format((const struct hs_jwks *)jwks, &json, err);

    if (code == HSMART_OK)
        code = hs_buf_take_text(&json, out_json, err);
    hs_buf_clear(&json);
    return code;
}

void
hsmart_jwks_free(hsmart_jwks *jwks)
{
    if (jwks == NULL)
        return;
    hs_jwks_clear(hs_api_jwks(jwks));
    hs_free(jwks);
}

enum hsmart_code
hsmart_key_generate(hsmart_token *token, const hsmart_key_spec *spec, hsmart_key **out_key, hsmart_err *err)
{
    struct hs_token_key *key = NULL;
    enum hsmart_code code = hs_api_check_given(spec, err);

    if (code == HSMART_OK)
        code = hs_generate(hs_api_p11_token(token), spec, &key, err);
    if (code == HSMART_OK)
        *out_key = hs_api_key(key);
    return code;
}
