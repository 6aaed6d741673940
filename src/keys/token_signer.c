#include "token_signer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "err.h"
#include "key_mechanism.h"
#include "p11_mechanism.h"
#include "text.h"

/* No mechanism has proved itself yet. */
#define NOT_CHOSEN HS_MECHANISMS_PER_ALG
#define ALG_NAME_ROOM 16U /* a longer one is none of ours */

struct token_signer {
    struct hs_signer base;
    struct hs_p11_token *token;
    struct hs_jwk jwk;
    char *label, *kid;
    struct hs_buf raw_label, id; /* to find the key again by */
    bool always_authenticate;
    atomic_size_t chosen; /* index of the mechanism whose signature was verified */

    pthread_mutex_t lock; /* guards the two below */
    CK_OBJECT_HANDLE handle;
    uint64_t generation; /* of the token, under which the handle was found */
};

static void
token_signer_free(struct hs_signer *base)
{
    struct token_signer *signer = (struct token_signer *)base;

    hs_jwk_clear(&signer->jwk);
    hs_string_free(signer->label);
    hs_string_free(signer->kid);
    hs_buf_clear(&signer->raw_label);
    hs_buf_clear(&signer->id);
    (void)pthread_mutex_destroy(&signer->lock);
    hs_p11_token_unref(signer->token);
    hs_free(signer);
}

/* By the standard r and s come at full length each. A shorter even length means that a token dropped leading zeros of
 * both: put them back. Any other length is left for the verification to refuse. */
static enum hsmart_code
restore_leading_zeros(const struct hs_jwk *jwk, struct hs_buf *signature, hsmart_err *err)
{
    size_t full_len = hs_jwk_signature_len(jwk), short_len = signature->len;
    size_t half = short_len / 2;
    enum hsmart_code code;

    if (jwk->type != HS_KEY_EC || short_len >= full_len || short_len % 2 != 0 || short_len == 0)
        return HSMART_OK;
    code = hs_buf_resize(signature, full_len, err);
    if (code != HSMART_OK)
        return code;
    memmove(signature->data + full_len - half, signature->data + half, half);
    memmove(signature->data + full_len / 2 - half, signature->data, half);
    memset(signature->data, 0, full_len / 2 - half);
    memset(signature->data + full_len / 2, 0, full_len / 2 - half);
    return HSMART_OK;
}

/* The handle that is good in `session`: after a recovery the key is found again, and compared, before it signs. */
static enum hsmart_code
current_handle(struct token_signer *signer, struct hs_p11_session *session, CK_OBJECT_HANDLE *out_handle,
               hsmart_err *err)
{
    const struct hs_key_identity identity = {hs_span_buf(&signer->raw_label), hs_span_buf(&signer->id), &signer->jwk};
    enum hsmart_code code = HSMART_OK;
    CK_OBJECT_HANDLE handle = 0;

    (void)pthread_mutex_lock(&signer->lock);
    handle = signer->handle;
    bool fresh = signer->generation == session->generation;
    (void)pthread_mutex_unlock(&signer->lock);
    if (!fresh) {
        code = hs_token_key_find_again(signer->token, session, &identity, &handle, err);
        if (code != HSMART_OK)
            return code;
        (void)pthread_mutex_lock(&signer->lock);
        signer->handle = handle;
        signer->generation = session->generation;
        (void)pthread_mutex_unlock(&signer->lock);
    }
    *out_handle = handle;
    return HSMART_OK;
}

/* One signature by one mechanism, as an operation that may be run again. */
struct signing {
    struct token_signer *signer;
    const struct hs_mechanism_row *row;
    struct hs_span data, input; /* what is to be signed, and what the mechanism is given of it */
    struct hs_buf *signature;
};

static enum hsmart_code
run_signing(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    const struct signing *signing = arg;
    struct token_signer *signer = signing->signer;
    CK_RSA_PKCS_PSS_PARAMS pss = signing->row->pss;
    CK_MECHANISM mechanism = {signing->row->type, pss.hashAlg != 0 ? &pss : NULL, pss.hashAlg != 0 ? sizeof pss : 0};
    CK_OBJECT_HANDLE handle = 0;
    enum hsmart_code code = current_handle(signer, session, &handle, err);

    if (code == HSMART_OK)
        code = hs_p11_session_sign_begin(session, &mechanism, handle, err);
    if (code == HSMART_OK && signer->always_authenticate)
        code = hs_p11_token_login_for_use(signer->token, session, err);
    if (code == HSMART_OK)
        code = hs_p11_session_sign_end(session, signing->input, signing->signature, err);
    return code;
}

static enum hsmart_code
check_signature(void *arg, hsmart_err *err)
{
    const struct signing *signing = arg;
    const struct hs_signer *base = &signing->signer->base;
    enum hsmart_code code = restore_leading_zeros(base->jwk, signing->signature, err);

    if (code == HSMART_OK)
        code = hs_jwk_verify(base->jwk, base->alg, signing->data, hs_span_buf(signing->signature), err);
    return code;
}

static enum hsmart_code
sign_with(struct token_signer *signer, const struct hs_mechanism_row *row, struct hs_span data,
          struct hs_buf *out_signature, hsmart_err *err)
{
    uint8_t storage[HS_MECHANISM_INPUT_MAX];
    struct signing signing = {.signer = signer, .row = row, .data = data, .signature = out_signature};
    const struct hs_p11_operation operation = {run_signing, check_signature, &signing};
    enum hsmart_code code = hs_mechanism_prepare(row, signer->base.alg, data, storage, &signing.input, err);

    if (code == HSMART_OK)
        code = hs_p11_token_request(signer->token, &operation, err);
    return code;
}

static void
tell_choice(const struct token_signer *signer, const struct hs_mechanism_row *row)
{
    static const char *const inputs[] = {"the token hashes", "the digest is made here",
                                         "digest and DigestInfo are made here"};

    hs_log_detail(hs_p11_token_get_log(signer->token), "key \"%s\" signs %s by %s (%s), verified", signer->label,
                  signer->base.alg->name, hs_p11_mechanism_name(row->type), inputs[row->input]);
}

/* Whether another mechanism may do what this one did not. */
static bool
is_mechanisms_fault(enum hsmart_code code)
{
    return code == HSMART_TOKEN_INCAPABLE || code == HSMART_SIGNATURE_WRONG;
}

/* Mechanisms in their order: first those that the token lists, then, since lists lie, the others. A verified
 * signature decides; when none does it, what the first one answered is told. */
static enum hsmart_code
sign_by_trial(struct token_signer *signer, struct hs_span data, struct hs_buf *out_signature, hsmart_err *err)
{
    enum hsmart_code code, first = HSMART_OK;
    const struct hs_mechanism_row *row;
    hsmart_err why = {0};

    for (int listed = 1; listed >= 0; listed--) {
        for (size_t i = 0; (row = hs_mechanism_of(signer->base.alg, i)) != NULL; i++) {
            if (hs_p11_token_lists_mechanism(signer->token, row->type) != (listed == 1))
                continue;
            code = sign_with(signer, row, data, out_signature, &why);
            if (code == HSMART_OK) {
                atomic_store(&signer->chosen, i);
                tell_choice(signer, row);
                return HSMART_OK;
            }
            hs_log_detail(hs_p11_token_get_log(signer->token), "%s does not do: %s", hs_p11_mechanism_name(row->type),
                          why.text);
            if (first == HSMART_OK || !is_mechanisms_fault(code)) {
                first = code;
                if (err != NULL)
                    *err = why;
            }
            if (!is_mechanisms_fault(code))
                return code;
        }
    }
    return first;
}

static enum hsmart_code
token_signer_sign(struct hs_signer *base, struct hs_span data, struct hs_buf *out_signature, hsmart_err *err)
{
    struct token_signer *signer = (struct token_signer *)base;
    struct hs_buf signature = {0};
    size_t chosen = atomic_load(&signer->chosen);
    enum hsmart_code code = chosen == NOT_CHOSEN
                                ? sign_by_trial(signer, data, &signature, err)
                                : sign_with(signer, hs_mechanism_of(base->alg, chosen), data, &signature, err);

    if (code == HSMART_OK)
        hs_buf_move(&signature, out_signature);
    else
        (void)hs_err_wrap(err, code, "cannot sign with key \"%s\" on token \"%s\"", signer->label,
                          hs_p11_token_get_name(signer->token));
    hs_buf_clear(&signature);
    return code;
}

static const struct hs_signer_ops token_signer_ops = {.sign = token_signer_sign, .free = token_signer_free};

/* ---- Making one ---- */

static enum hsmart_code
check_usable(const struct hs_token_key *key, hsmart_err *err)
{
    if (key->info.problem == HSMART_KEY_UNUSABLE)
        return hs_err_set(err, HSMART_KEY_UNUSABLE, "%s", key->info.problem_text);
    return hs_token_key_check_strength(key, err);
}

/* The kid goes into the header of every assertion: what cannot stand there is told now. */
static enum hsmart_code
check_kid(const char *kid, hsmart_err *err)
{
    if (kid == NULL)
        return HSMART_OK;
    if (kid[0] == 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the kid is empty");
    if (!hs_text_is_utf8(hs_span_str(kid)))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the kid is not UTF-8");
    return HSMART_OK;
}

/* The label alone is no proof: what was expected is a key, not a name. */
static enum hsmart_code
check_expected(const struct hs_token_key *key, const hsmart_signer_options *options, hsmart_err *err)
{
    if (options->thumbprint == NULL || strcmp(options->thumbprint, key->jwk.thumbprint) == 0)
        return HSMART_OK;
    return hs_err_set(err, HSMART_KEY_MISMATCH, "its thumbprint is \"%s\", but \"%s\" is expected", key->jwk.thumbprint,
                      options->thumbprint);
}

static enum hsmart_code
check_stays_on_token(const struct hs_token_key *key, const hsmart_signer_options *options, hsmart_err *err)
{
    const struct hs_log *log = hs_p11_token_get_log(key->token);

    if (!hs_token_key_may_leave(key))
        return HSMART_OK;
    if (options->allow_extractable) {
        hs_log_warning(log, "key \"%s\" may leave its token; it is used because it was allowed by name",
                       key->info.label);
        return HSMART_OK;
    }
    (void)hs_err_set(err, HSMART_POLICY_REFUSED,
                     "the token would give it away (CKA_EXTRACTABLE true or CKA_SENSITIVE false)");
    hs_err_hint(err,
                "make a key that stays with `hsmart-key generate`, or accept the risk for this key by name: "
                "--allow-extractable \"%s\"",
                key->info.label);
    return HSMART_POLICY_REFUSED;
}

/* KEY-01: a history that the token does not vouch for is told, not refused. */
static void
warn_of_history(const struct hs_token_key *key)
{
    for (size_t i = 0; i < key->info.attribute_count; i++) {
        const hsmart_key_attribute *attribute = &key->info.attributes[i];
        bool is_history = strcmp(attribute->name, "CKA_NEVER_EXTRACTABLE") == 0 ||
                          strcmp(attribute->name, "CKA_ALWAYS_SENSITIVE") == 0;
        if (is_history && attribute->reported == HSMART_ANSWER_NO)
            hs_log_warning(hs_p11_token_get_log(key->token),
                           "key \"%s\": the token reports %s false, so the key may exist outside it", key->info.label,
                           attribute->name);
    }
}

static enum hsmart_code
signer_build(const struct hs_token_key *key, const struct hs_alg *alg, const char *kid, struct hs_signer **out_signer,
             hsmart_err *err)
{
    enum hsmart_code code;
    struct token_signer *signer = hs_calloc(1, sizeof *signer);

    if (signer == NULL)
        return hs_err_no_memory(err);
    signer->base = (struct hs_signer){.ops = &token_signer_ops, .jwk = &signer->jwk, .alg = alg};
    signer->token = hs_p11_token_ref(key->token);
    signer->handle = key->handle;
    signer->generation = key->generation;
    signer->always_authenticate = key->always_authenticate;
    (void)pthread_mutex_init(&signer->lock, NULL);
    atomic_init(&signer->chosen, NOT_CHOSEN);
    code = hs_jwk_dup(&key->jwk, &signer->jwk, err);
    if (code == HSMART_OK)
        code = hs_strdup(key->info.label, &signer->label, err);
    if (code == HSMART_OK)
        code = hs_buf_append(&signer->raw_label, hs_span_buf(&key->raw_label), err);
    if (code == HSMART_OK)
        code = hs_buf_append(&signer->id, hs_span_buf(&key->id), err);
    if (code == HSMART_OK)
        code = hs_strdup(kid != NULL ? kid : key->jwk.thumbprint, &signer->kid, err);
    if (code != HSMART_OK) {
        token_signer_free(&signer->base);
        return code;
    }
    signer->base.kid = signer->kid;
    *out_signer = &signer->base;
    return HSMART_OK;
}

static bool
has_word(const char *words, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = words; (at = strstr(at, word)) != NULL; at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == 0))
            return true;
    return false;
}

/* The first of the server's that the key can do. */
static enum hsmart_code
choose_of_server(const struct hs_token_key *key, const char *server_algs, const struct hs_alg **out_alg)
{
    char name[ALG_NAME_ROOM];

    for (const char *rest = server_algs; *rest != 0;) {
        size_t len = strcspn(rest, " ");
        (void)snprintf(name, sizeof name, "%.*s", (int)len, rest);
        if (hs_token_key_choose_alg(key, name, out_alg, NULL) == HSMART_OK)
            return HSMART_OK;
        rest += len + strspn(rest + len, " ");
    }
    return HSMART_TOKEN_INCAPABLE;
}

/* What is asked for. Else the key's default where the server takes it, since the published JWK and the registration say
 * that one (RFC 7517 section 4.4); else one of the server's; else the default all the same: whoever asked the server
 * then tells that it does not fit. */
static enum hsmart_code
choose_alg(const struct hs_token_key *key, const hsmart_signer_options *options, const struct hs_alg **out_alg,
           hsmart_err *err)
{
    enum hsmart_code code = hs_token_key_choose_alg(key, options->alg, out_alg, err);

    if (code != HSMART_OK || options->alg != NULL || options->server_algs == NULL ||
        has_word(options->server_algs, (*out_alg)->name))
        return code;
    (void)choose_of_server(key, options->server_algs, out_alg);
    return HSMART_OK;
}

enum hsmart_code
hs_token_signer_new(const struct hs_token_key *key, const hsmart_signer_options *options, struct hs_signer **out_signer,
                    hsmart_err *err)
{
    static const hsmart_signer_options defaults = {0};
    const struct hs_alg *alg = NULL;
    enum hsmart_code code;

    if (options == NULL)
        options = &defaults;
    code = check_usable(key, err);
    if (code == HSMART_OK)
        code = check_expected(key, options, err);
    if (code == HSMART_OK)
        code = check_stays_on_token(key, options, err);
    if (code == HSMART_OK)
        code = choose_alg(key, options, &alg, err);
    if (code == HSMART_OK)
        code = check_kid(options->kid, err);
    if (code == HSMART_OK)
        code = signer_build(key, alg, options->kid, out_signer, err);
    if (code != HSMART_OK)
        return hs_err_wrap(err, code, "cannot use key \"%s\" on token \"%s\"", key->info.label,
                           hs_p11_token_get_name(key->token));
    warn_of_history(key);
    return HSMART_OK;
}
