#include "client_auth.h"

#include <pthread.h>

#include "err.h"
#include "text_list.h"

static const struct {
    enum hs_auth_method method;
    const char *name;
} methods[] = {
    {HS_AUTH_PRIVATE_KEY_JWT, "private_key_jwt"},
    {HS_AUTH_SECRET_BASIC, "client_secret_basic"},
    {HS_AUTH_SECRET_POST, "client_secret_post"},
};

const char *
hs_auth_method_name(enum hs_auth_method method)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(methods); i++)
        if (methods[i].method == method)
            return methods[i].name;
    return "none";
}

enum hs_auth_method
hs_auth_method_by_name(const char *name)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(methods); i++)
        if (strcmp(methods[i].name, name) == 0)
            return methods[i].method;
    return (enum hs_auth_method)0;
}

/* ---- An assertion source on a signer ---- */

struct hs_signer_assertions {
    struct hs_signer_source source;
    struct hs_server_row server;
    struct hs_log log;
    hsmart_assertion_options options; /* its strings are ours */
    pthread_mutex_t lock;             /* of `signer`, until it is open */
    struct hs_signer *signer;
};

static enum hsmart_code
open_once(struct hs_signer_assertions *assertions, const char *algs, struct hs_signer **out_signer, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    (void)pthread_mutex_lock(&assertions->lock);
    if (assertions->signer == NULL) {
        code = assertions->source.open(assertions->source.arg, algs, &assertions->signer, err);
        if (code == HSMART_OK)
            hs_assertion_check_signer(&assertions->server, assertions->signer, &assertions->log);
    }
    *out_signer = assertions->signer;
    (void)pthread_mutex_unlock(&assertions->lock);
    return code;
}

static enum hsmart_code
check_alg(const struct hs_signer *signer, const char *algs, hsmart_err *err)
{
    if (algs == NULL || algs[0] == 0 || hs_words_have(algs, hs_span_str(signer->alg->name)))
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_KEY_UNUSABLE, "the server takes assertions signed with %s, and the key signs with %s",
                     algs, signer->alg->name);
    hs_err_hint(err, "this key can do %s; choose one that the server takes, or another key",
                hs_alg_names(signer->jwk->type, signer->jwk->curve));
    return HSMART_KEY_UNUSABLE;
}

static enum hsmart_code
make(void *arg, const char *client_id, const char *audience, const char *algs, struct hs_buf *out_jwt, hsmart_err *err)
{
    struct hs_signer_assertions *assertions = arg;
    struct hs_signer *signer = NULL, *current = NULL;
    hsmart_assertion_options options = assertions->options;
    enum hsmart_code code = open_once(assertions, algs, &signer, err);

    options.client_id = client_id;
    options.audience = audience;
    if (code == HSMART_OK)
        code = hs_signer_acquire(signer, &current, err);
    if (code != HSMART_OK)
        return code;
    code = check_alg(current, algs, err);
    if (code == HSMART_OK)
        code = hs_assertion_sign(current, &options, out_jwt, err);
    hs_signer_release(signer, current);
    return code;
}

enum hsmart_code
hs_signer_assertions_new(const struct hs_signer_source *source, const struct hs_server_row *server,
                         const hsmart_assertion_options *own, const struct hs_log *log,
                         struct hs_signer_assertions **out_assertions, hsmart_err *err)
{
    enum hsmart_code code;
    hsmart_assertion_options options = {0};
    char *type = NULL, *jku = NULL;
    struct hs_signer_assertions *assertions = hs_calloc(1, sizeof *assertions);

    if (assertions == NULL)
        return hs_err_no_memory(err);
    code = hs_assertion_for_server(server, own, log, &options, err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(options.type, &type, err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(options.jku, &jku, err);
    if (code != HSMART_OK) {
        hs_string_free(type);
        hs_free(assertions);
        return code;
    }
    assertions->source = *source;
    assertions->server = *server;
    assertions->log = *log;
    assertions->options = options;
    assertions->options.type = type;
    assertions->options.jku = jku;
    (void)pthread_mutex_init(&assertions->lock, NULL);
    *out_assertions = assertions;
    return HSMART_OK;
}

void
hs_signer_assertions_free(struct hs_signer_assertions *assertions)
{
    if (assertions == NULL)
        return;
    (void)pthread_mutex_destroy(&assertions->lock);
    hs_string_free((char *)assertions->options.type);
    hs_string_free((char *)assertions->options.jku);
    hs_free(assertions);
}

struct hs_assertion_source
hs_signer_assertions_source(struct hs_signer_assertions *assertions)
{
    return (struct hs_assertion_source){make, assertions};
}
