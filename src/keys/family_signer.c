#include "family_signer.h"

#include <pthread.h>
#include <stdatomic.h>

#include "clock.h"
#include "err.h"
#include "family.h"
#include "token_signer.h"

/* ---- One reading of the family: immutable, shared by the signatures that began under it ---- */

struct snapshot;
struct member {
    struct hs_signer base; /* what is lent: signs by `signer` */
    struct snapshot *snapshot;
    struct hs_signer *signer; /* NULL: `why` */
    hsmart_err why;
    struct hs_lifecycle_key dates;
    char *label;
    char thumbprint[44];
};

struct family_signer;
struct snapshot {
    atomic_uint reference_count;
    struct family_signer *owner; /* outlives what it lent */
    struct member *members;
    size_t count;
};

struct family_signer {
    struct hs_signer base; /* its key is the one that was active when the signer was made */
    struct hs_p11_token *token;
    struct hs_jwk jwk;
    char *kid, *label, *lifecycle_file, *state_directory, *alg, *server_algs;
    bool allow_extractable;
    struct hs_family_clock clock;

    pthread_mutex_t lock; /* guards all below */
    struct snapshot *snapshot;
    int64_t read_at_ms;
    hs_day read_on;
    bool reading; /* one thread reads; the others go on with what there is */
    bool stale;   /* a key of the snapshot is gone */
};

static void
snapshot_unref(struct snapshot *snapshot)
{
    if (snapshot == NULL || atomic_fetch_sub(&snapshot->reference_count, 1) != 1)
        return;
    for (size_t i = 0; i < snapshot->count; i++) {
        hs_signer_free(snapshot->members[i].signer);
        hs_string_free(snapshot->members[i].label);
    }
    hs_free(snapshot->members);
    hs_free(snapshot);
}

static enum hsmart_code
lent_sign(struct hs_signer *base, struct hs_span data, struct hs_buf *out_signature, hsmart_err *err)
{
    struct member *member = (struct member *)base;
    struct family_signer *owner = member->snapshot->owner;
    enum hsmart_code code = member->signer->ops->sign(member->signer, data, out_signature, err);

    if (code == HSMART_KEY_ABSENT || code == HSMART_KEY_MISMATCH) {
        (void)pthread_mutex_lock(&owner->lock);
        owner->stale = true;
        (void)pthread_mutex_unlock(&owner->lock);
    }
    return code;
}

/* A lent signer belongs to its snapshot. */
static void
lent_free(struct hs_signer *base)
{
    (void)base;
}

static const struct hs_signer_ops lent_ops = {.sign = lent_sign, .free = lent_free};

/* ---- Reading ---- */

static enum hsmart_code
fill_member(const struct family_signer *own, const struct hs_family_member *from, struct snapshot *snapshot,
            struct member *member, hsmart_err *err)
{
    const hsmart_signer_options options = {
        .alg = own->alg, .server_algs = own->server_algs, .allow_extractable = own->allow_extractable};
    enum hsmart_code code = hs_strdup(from->key->info.label, &member->label, err);

    if (code != HSMART_OK)
        return code;
    member->snapshot = snapshot;
    memcpy(member->thumbprint, from->key->jwk.thumbprint, sizeof member->thumbprint);
    member->dates = (struct hs_lifecycle_key){from->start, from->end, member->label, member->thumbprint};
    /* A key that may not sign is an error on the day when it should. */
    if (hs_token_signer_new(from->key, &options, &member->signer, &member->why) == HSMART_OK)
        member->base = (struct hs_signer){&lent_ops, member->signer->jwk, member->signer->alg, member->signer->kid};
    else
        hs_log_warning(hs_p11_token_get_log(own->token), "%s", member->why.text);
    return HSMART_OK;
}

static enum hsmart_code
read_snapshot(struct family_signer *own, int64_t now_s, struct snapshot **out_snapshot, hsmart_err *err)
{
    const hsmart_family_options options = {own->label, own->lifecycle_file, own->state_directory};
    struct hs_family *family = NULL;
    struct snapshot *snapshot = NULL;
    enum hsmart_code code = hs_family_read(own->token, &options, &now_s, &family, err);

    if (code != HSMART_OK)
        return code;
    snapshot = hs_calloc(1, sizeof *snapshot);
    if (snapshot != NULL)
        snapshot->members = hs_calloc(family->public.count, sizeof *snapshot->members);
    if (snapshot == NULL || snapshot->members == NULL) {
        hs_free(snapshot);
        hs_family_free(family);
        return hs_err_no_memory(err);
    }
    atomic_init(&snapshot->reference_count, 1);
    snapshot->owner = own;
    for (; snapshot->count < family->public.count && code == HSMART_OK; snapshot->count++)
        code = fill_member(own, &family->members[snapshot->count], snapshot, &snapshot->members[snapshot->count], err);
    hs_family_free(family);
    if (code != HSMART_OK) {
        snapshot_unref(snapshot);
        return code;
    }
    *out_snapshot = snapshot;
    return HSMART_OK;
}

/* Whether nothing has changed, so that the signers and what they have learnt of the token can stay. */
static bool
is_same(const struct snapshot *a, const struct snapshot *b)
{
    if (a == NULL || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const struct member *left = &a->members[i], *right = &b->members[i];
        if (strcmp(left->thumbprint, right->thumbprint) != 0 || strcmp(left->label, right->label) != 0 ||
            left->dates.start != right->dates.start || left->dates.end != right->dates.end ||
            (left->signer == NULL) != (right->signer == NULL))
            return false;
    }
    return true;
}

/* The lock is held, and is let go of while the token is read. A reading that fails leaves what there was. */
static enum hsmart_code
refresh(struct family_signer *own, int64_t now_s, hsmart_err *err)
{
    struct snapshot *read = NULL, *before = NULL;
    hsmart_err why = {0};

    own->reading = true;
    (void)pthread_mutex_unlock(&own->lock);
    enum hsmart_code code = read_snapshot(own, now_s, &read, &why);
    (void)pthread_mutex_lock(&own->lock);
    own->reading = false;
    own->read_at_ms = own->clock.monotonic_ms(own->clock.arg);
    own->read_on = hs_day_of(now_s);
    if (code != HSMART_OK && own->snapshot != NULL && code != HSMART_KEY_ABSENT) {
        hs_log_warning(hs_p11_token_get_log(own->token), "%s; the keys known so far are used", why.text);
        return HSMART_OK;
    }
    if (code == HSMART_OK && !own->stale && is_same(own->snapshot, read)) {
        before = read;
    } else {
        before = own->snapshot;
        own->snapshot = read; /* NULL when the whole family is gone */
    }
    own->stale = false;
    snapshot_unref(before);
    if (code != HSMART_OK && err != NULL)
        *err = why;
    return code;
}

static bool
is_due(const struct family_signer *own, int64_t now_s)
{
    return own->snapshot == NULL || own->stale || own->read_on != hs_day_of(now_s) ||
           own->clock.monotonic_ms(own->clock.arg) - own->read_at_ms >= HS_FAMILY_REFRESH_MS;
}

/* ---- Lending ---- */

static struct member *
active_of(struct snapshot *snapshot, hs_day today)
{
    struct member *active = NULL;

    for (size_t i = 0; i < snapshot->count; i++) {
        struct member *one = &snapshot->members[i];
        struct hs_lifecycle_key pair[2] = {one->dates, active != NULL ? active->dates : one->dates};
        enum hsmart_key_state states[2];
        hs_lifecycle_states(pair, active != NULL ? 2 : 1, today, states);
        if (states[0] == HSMART_KEY_ACTIVE)
            active = one;
    }
    return active;
}

static enum hsmart_code
choose(struct family_signer *own, struct snapshot *snapshot, int64_t now_s, struct member **out_member, hsmart_err *err)
{
    char day[HS_DAY_TEXT_LEN];
    struct member *active = active_of(snapshot, hs_day_of(now_s));

    if (active == NULL) {
        hs_day_format(hs_day_of(now_s), day);
        (void)hs_err_set(err, HSMART_KEY_ABSENT, "the family \"%s\" has no key that is active on %s", own->label, day);
        hs_err_hint(err,
                    "look with \"hsmart-key publish --family %.60s --at %s\"; \"hsmart-key activate\" gives a staged "
                    "key its day",
                    own->label, day);
        return HSMART_KEY_ABSENT;
    }
    if (active->signer == NULL) {
        if (err != NULL)
            *err = active->why;
        return active->why.code;
    }
    *out_member = active;
    return HSMART_OK;
}

static enum hsmart_code
family_acquire(struct hs_signer *base, struct hs_signer **out_current, hsmart_err *err)
{
    struct family_signer *own = (struct family_signer *)base;
    struct member *member = NULL;
    int64_t now_s = own->clock.now_s(own->clock.arg);
    enum hsmart_code code = HSMART_OK;

    (void)pthread_mutex_lock(&own->lock);
    if (is_due(own, now_s) && !own->reading)
        code = refresh(own, now_s, err);
    struct snapshot *snapshot = own->snapshot;
    if (snapshot != NULL)
        (void)atomic_fetch_add(&snapshot->reference_count, 1);
    (void)pthread_mutex_unlock(&own->lock);
    if (code == HSMART_OK && snapshot == NULL)
        code = hs_err_set(err, HSMART_TOKEN_UNAVAILABLE, "the family \"%s\" is being read again", own->label);
    if (code == HSMART_OK)
        code = choose(own, snapshot, now_s, &member, err);
    if (code != HSMART_OK) {
        snapshot_unref(snapshot);
        return code;
    }
    *out_current = &member->base;
    return HSMART_OK;
}

static void
family_release(struct hs_signer *base, struct hs_signer *current)
{
    (void)base;
    snapshot_unref(((struct member *)current)->snapshot);
}

/* For a caller that signs without acquiring: one signature by whatever key is active. */
static enum hsmart_code
family_sign(struct hs_signer *base, struct hs_span data, struct hs_buf *out_signature, hsmart_err *err)
{
    struct hs_signer *current = NULL;
    enum hsmart_code code = family_acquire(base, &current, err);

    if (code != HSMART_OK)
        return code;
    if (!hs_jwk_same_key(current->jwk, base->jwk))
        code = hs_err_set(err, HSMART_KEY_MISMATCH, "another key of the family is active by now");
    else
        code = current->ops->sign(current, data, out_signature, err);
    family_release(base, current);
    return code;
}

static void
family_free(struct hs_signer *base)
{
    struct family_signer *own = (struct family_signer *)base;

    snapshot_unref(own->snapshot);
    hs_jwk_clear(&own->jwk);
    hs_string_free(own->kid);
    hs_string_free(own->label);
    hs_string_free(own->lifecycle_file);
    hs_string_free(own->state_directory);
    hs_string_free(own->alg);
    hs_string_free(own->server_algs);
    (void)pthread_mutex_destroy(&own->lock);
    hs_p11_token_unref(own->token);
    hs_free(own);
}

static const struct hs_signer_ops family_ops = {
    .sign = family_sign, .free = family_free, .acquire = family_acquire, .release = family_release};

/* ---- Making one ---- */

static int64_t
system_now_s(void *arg)
{
    (void)arg;
    return hs_clock_now_s();
}

static int64_t
system_monotonic_ms(void *arg)
{
    (void)arg;
    return hs_clock_monotonic_ms();
}

static enum hsmart_code
copy_options(struct family_signer *own, const hsmart_family_options *family, const hsmart_signer_options *options,
             hsmart_err *err)
{
    enum hsmart_code code = hs_strdup(family->label != NULL ? family->label : "", &own->label, err);

    own->allow_extractable = options->allow_extractable;
    if (code == HSMART_OK)
        code = hs_strdup_or_null(family->lifecycle_file, &own->lifecycle_file, err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(family->state_directory, &own->state_directory, err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(options->alg, &own->alg, err);
    if (code == HSMART_OK)
        code = hs_strdup_or_null(options->server_algs, &own->server_algs, err);
    return code;
}

static enum hsmart_code
tell_active(struct family_signer *own, hsmart_err *err)
{
    struct hs_signer *current = NULL;
    enum hsmart_code code = family_acquire(&own->base, &current, err);

    if (code != HSMART_OK)
        return code;
    own->base.alg = current->alg;
    code = hs_jwk_dup(current->jwk, &own->jwk, err);
    if (code == HSMART_OK)
        code = hs_strdup(current->kid, &own->kid, err);
    own->base.kid = own->kid;
    family_release(&own->base, current);
    return code;
}

enum hsmart_code
hs_family_signer_new(struct hs_p11_token *token, const hsmart_family_options *family,
                     const hsmart_signer_options *options, const struct hs_family_clock *clock,
                     struct hs_signer **out_signer, hsmart_err *err)
{
    static const hsmart_signer_options defaults = {0};
    static const struct hs_family_clock system_clock = {system_now_s, system_monotonic_ms, NULL};
    struct family_signer *own;
    enum hsmart_code code;

    if (options == NULL)
        options = &defaults;
    if (options->kid != NULL || options->thumbprint != NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT,
                          "a family of keys has several kids and thumbprints, so none can be set");
    own = hs_calloc(1, sizeof *own);
    if (own == NULL)
        return hs_err_no_memory(err);
    own->base = (struct hs_signer){.ops = &family_ops, .jwk = &own->jwk};
    own->token = hs_p11_token_ref(token);
    own->clock = clock != NULL ? *clock : system_clock;
    (void)pthread_mutex_init(&own->lock, NULL);
    code = copy_options(own, family, options, err);
    if (code == HSMART_OK)
        code = tell_active(own, err);
    if (code != HSMART_OK) {
        family_free(&own->base);
        return code;
    }
    *out_signer = &own->base;
    return HSMART_OK;
}
