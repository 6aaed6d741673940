#include "token_signer.h"

#include <pthread.h>
#include <stdatomic.h>

#include "clock.h"
#include "err.h"
#include "key_mechanism.h"
#include "p11_ckr.h"
#include "p11_mechanism.h"

/* No mechanism has proved itself yet. */
#define NOT_CHOSEN HS_MECHANISMS_PER_ALG

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

/* How one attempt went, for the choice of what to do next. */
struct attempt {
    CK_RV rv;               /* what the token answered last */
    uint64_t generation;    /* of the session */
    bool mechanism_refused; /* another mechanism may do */
    bool wrong_signature;
};

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

static enum hsmart_code
sign_on_token(struct token_signer *signer, const struct hs_mechanism_row *row, struct hs_span input,
              int64_t deadline_ms, struct hs_buf *out_signature, struct attempt *out_attempt, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_p11_session *session = NULL;
    CK_OBJECT_HANDLE handle = 0;
    CK_RSA_PKCS_PSS_PARAMS pss = row->pss;
    CK_MECHANISM mechanism = {row->type, pss.hashAlg != 0 ? &pss : NULL, pss.hashAlg != 0 ? sizeof pss : 0};
    int64_t left_ms = deadline_ms - hs_clock_monotonic_ms();

    out_attempt->generation = hs_p11_token_get_generation(signer->token);
    code = hs_p11_token_acquire(signer->token, false, left_ms > 0 ? (unsigned)left_ms : 0, &session, err);
    if (code != HSMART_OK) {
        out_attempt->rv = hs_p11_token_get_open_answer(signer->token);
        return code;
    }
    out_attempt->generation = session->generation;
    code = current_handle(signer, session, &handle, err);
    if (code == HSMART_OK)
        code = hs_p11_session_sign(session, &mechanism, handle, signer->always_authenticate ? signer->token : NULL,
                                   input, out_signature, err);
    out_attempt->rv = session->last_rv;
    out_attempt->mechanism_refused =
        code != HSMART_OK && hs_ckr_row_of(session->last_rv)->class == HS_CKR_CAPABILITY;
    hs_p11_token_release(signer->token, session);
    return code;
}

/* One signature by one mechanism, verified. The session went back before the verification, which needs none. */
static enum hsmart_code
sign_with(struct token_signer *signer, const struct hs_mechanism_row *row, struct hs_span data, int64_t deadline_ms,
          struct hs_buf *out_signature, struct attempt *out_attempt, hsmart_err *err)
{
    enum hsmart_code code;
    uint8_t storage[HS_MECHANISM_INPUT_MAX];
    struct hs_span input = {0};

    code = hs_mechanism_prepare(row, signer->base.alg, data, storage, &input, err);
    if (code == HSMART_OK)
        code = sign_on_token(signer, row, input, deadline_ms, out_signature, out_attempt, err);
    if (code == HSMART_OK)
        code = restore_leading_zeros(&signer->jwk, out_signature, err);
    if (code != HSMART_OK)
        return code;
    code = hs_jwk_verify(&signer->jwk, signer->base.alg, data, hs_span_buf(out_signature), err);
    out_attempt->wrong_signature = code == HSMART_SIGNATURE_WRONG;
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

/* Mechanisms in their order: first those that the token lists, then, since lists lie, the others. A verified
 * signature decides; what a listed mechanism answered is the better story when none does. */
static enum hsmart_code
sign_by_trial(struct token_signer *signer, struct hs_span data, int64_t deadline_ms, struct hs_buf *out_signature,
              struct attempt *out_attempt, hsmart_err *err)
{
    enum hsmart_code code = HSMART_TOKEN_INCAPABLE, told = HSMART_OK;
    const struct hs_mechanism_row *row;
    hsmart_err why = {0};

    for (int listed = 1; listed >= 0; listed--) {
        for (size_t i = 0; (row = hs_mechanism_of(signer->base.alg, i)) != NULL; i++) {
            if (hs_p11_token_lists_mechanism(signer->token, row->type) != (listed == 1))
                continue;
            struct attempt attempt = {0};
            code = sign_with(signer, row, data, deadline_ms, out_signature, &attempt, &why);
            if (code == HSMART_OK) {
                atomic_store(&signer->chosen, i);
                tell_choice(signer, row);
                return HSMART_OK;
            }
            hs_log_detail(hs_p11_token_get_log(signer->token), "%s does not do: %s", hs_p11_mechanism_name(row->type),
                          why.text);
            if (told == HSMART_OK) {
                told = code;
                *out_attempt = attempt;
                if (err != NULL)
                    *err = why;
            }
            if (!attempt.mechanism_refused && !attempt.wrong_signature) {
                *out_attempt = attempt; /* not the mechanism's fault */
                if (err != NULL)
                    *err = why;
                return code;
            }
        }
    }
    return told != HSMART_OK ? told : code;
}

static enum hsmart_code
sign_once(struct token_signer *signer, struct hs_span data, int64_t deadline_ms, struct hs_buf *out_signature,
          struct attempt *out_attempt, hsmart_err *err)
{
    size_t chosen = atomic_load(&signer->chosen);

    if (chosen == NOT_CHOSEN)
        return sign_by_trial(signer, data, deadline_ms, out_signature, out_attempt, err);
    return sign_with(signer, hs_mechanism_of(signer->base.alg, chosen), data, deadline_ms, out_signature, out_attempt,
                     err);
}

/* What the next try needs. A wrong signature gets one more, from a module that was restarted; a key that is gone, or
 * another one, gets none, and neither does a PIN. */
static enum hs_rung
rung_after(enum hsmart_code code, const struct attempt *attempt, unsigned failures)
{
    if (attempt->wrong_signature)
        return failures == 0 ? HS_RUNG_RELOAD : HS_RUNG_STOP;
    switch (code) {
    case HSMART_TOKEN_FAILED:
    case HSMART_TOKEN_ABSENT:
    case HSMART_TOKEN_BUSY:
    case HSMART_SESSION_LOST:
        return hs_p11_rung_after(attempt->rv, failures);
    default:
        return HS_RUNG_STOP;
    }
}

static enum hs_request_end
request_end(enum hsmart_code code, enum hs_rung last_rung)
{
    if (code == HSMART_OK)
        return HS_REQUEST_GOOD;
    return last_rung == HS_RUNG_RELOAD ? HS_REQUEST_BROKEN : HS_REQUEST_OTHER;
}

/* The ladder: sign; when that fails climb a rung and sign again, until it works, the ladder ends or time is up. */
static enum hsmart_code
sign_with_recovery(struct token_signer *signer, struct hs_span data, struct hs_buf *out_signature, hsmart_err *err)
{
    enum hsmart_code code;
    enum hs_rung rung = HS_RUNG_STOP;
    bool probe = false;
    struct attempt attempt = {0};
    int64_t deadline_ms = hs_clock_monotonic_ms() + hs_p11_token_get_timeout_ms(signer->token);

    code = hs_p11_token_begin(signer->token, &probe, err);
    if (code != HSMART_OK)
        return code;
    if (probe) {
        rung = HS_RUNG_RELOAD;
        code = hs_p11_token_climb(signer->token, rung, hs_p11_token_get_generation(signer->token), deadline_ms, err);
    }
    for (unsigned failures = 0; code == HSMART_OK; failures++) {
        attempt = (struct attempt){0};
        code = sign_once(signer, data, deadline_ms, out_signature, &attempt, err);
        if (code == HSMART_OK)
            break;
        enum hs_rung next = rung_after(code, &attempt, failures);
        if (next == HS_RUNG_STOP || hs_clock_monotonic_ms() >= deadline_ms)
            break;
        rung = next;
        code = HSMART_OK;
        if (rung != HS_RUNG_NEW_SESSION)
            code = hs_p11_token_climb(signer->token, rung, attempt.generation, deadline_ms, err);
    }
    hs_p11_token_end(signer->token, probe, request_end(code, rung));
    return code;
}

static enum hsmart_code
token_signer_sign(struct hs_signer *base, struct hs_span data, struct hs_buf *out_signature, hsmart_err *err)
{
    struct token_signer *signer = (struct token_signer *)base;
    struct hs_buf signature = {0};
    enum hsmart_code code = sign_with_recovery(signer, data, &signature, err);

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
    if (hs_token_key_is_weak(key))
        return hs_err_set(err, HSMART_POLICY_REFUSED, "its RSA modulus has %u bits, fewer than the %u required",
                          key->info.bits, HS_RSA_MIN_BITS);
    return HSMART_OK;
}

/* The label alone is no proof: what was expected is a key, not a name. */
static enum hsmart_code
check_expected(const struct hs_token_key *key, const hsmart_signer_options *options, hsmart_err *err)
{
    if (options->thumbprint == NULL || strcmp(options->thumbprint, key->jwk.thumbprint) == 0)
        return HSMART_OK;
    return hs_err_set(err, HSMART_KEY_MISMATCH, "its thumbprint is \"%s\", but \"%s\" is expected",
                      key->jwk.thumbprint, options->thumbprint);
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
    hs_err_hint(err, "make a key that stays with `hsmart-key generate`, or accept the risk for this key by name: "
                     "--allow-extractable \"%s\"", key->info.label);
    return HSMART_POLICY_REFUSED;
}

static enum hsmart_code
choose_alg(const struct hs_token_key *key, const hsmart_signer_options *options, const struct hs_alg **out_alg,
           hsmart_err *err)
{
    const struct hs_alg *alg = options->alg != NULL ? hs_alg_by_name(options->alg)
                                                    : hs_alg_default(key->jwk.type, key->jwk.curve);

    if (alg == NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%s\" is not an algorithm that hsmart signs with",
                          options->alg != NULL ? options->alg : "(none)");
    if (!hs_alg_fits(alg, key->jwk.type, key->jwk.curve))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "%s does not fit a key of type %s", alg->name,
                          key->info.curve != NULL ? key->info.curve : key->info.type);
    *out_alg = alg;
    return HSMART_OK;
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
        code = signer_build(key, alg, options->kid, out_signer, err);
    if (code != HSMART_OK)
        return hs_err_wrap(err, code, "cannot use key \"%s\" on token \"%s\"", key->info.label,
                           hs_p11_token_get_name(key->token));
    warn_of_history(key);
    return HSMART_OK;
}
