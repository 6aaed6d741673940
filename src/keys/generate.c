#include "generate.h"

#include "clock.h"
#include "destroy.h"
#include "err.h"
#include "key_mechanism.h"
#include "key_policy.h"
#include "p11_ckr.h"
#include "p11_module.h"
#include "p11_uri.h"
#include "sole_label.h"
#include "text.h"
#include "token_signer.h"

#define RSA_BITS_DEFAULT 3072U
#define ID_LEN 16U
#define ID_MAX 64U
#define LABEL_MAX 255U
#define TEMPLATE_MAX 24U
#define MECHANISMS_MAX 8U

/* A generation under way: what was asked, and which wishes the token has refused so far. */
struct generation {
    struct hs_p11_token *token;
    const hsmart_key_spec *spec;
    const struct hs_alg *alg;
    const struct hs_curve *curve; /* EC */
    CK_ULONG bits;                /* RSA */
    uint8_t id[ID_MAX];
    size_t id_len;
    CK_MECHANISM_TYPE allowed[MECHANISMS_MAX];
    size_t allowed_count;
    CK_DATE start, end;
    uint32_t dropped; /* bit per wish */
    struct hs_generate_manner manner;
    struct hs_p11_session *holder; /* of the session objects that were made */
    bool reply_was_lost;
};

/* The wishes a token may refuse: CKA_ALLOWED_MECHANISMS first (most tokens do not know it), then the policy's, then the
 * dates. */
#define WISH_ALLOWED_MECHANISMS 0U
#define WISH_OF_POLICY_ROW(index) ((unsigned)(index) + 1U)
#define WISH_DATES 31U

/* ---- Checks before the token is asked ---- */

/* A label is typed, printed and put into URIs: what cannot be seen, or is too long to be read, is no name. */
static enum hsmart_code
check_label(const char *label, hsmart_err *err)
{
    if (label == NULL || label[0] == 0 || !hs_text_is_utf8(hs_span_str(label)))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "a key needs a label, in UTF-8");
    if (strlen(label) > LABEL_MAX)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the label has %zu bytes, more than the %u allowed",
                          strlen(label), LABEL_MAX);
    if (!hs_text_is_printable(label))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the label has a control character in it");
    return HSMART_OK;
}

static enum hsmart_code
parse_date(const char *text, CK_DATE *out_date, hsmart_err *err)
{
    static const char shape[] = "dddd-dd-dd";

    if (text == NULL)
        return HSMART_OK;
    for (size_t i = 0; i < sizeof shape; i++) /* the end of the text is part of the shape */
        if (shape[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
            return hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%.32s\" is not a day, which is written YYYY-MM-DD",
                              text);
    memcpy(out_date->year, text, sizeof out_date->year);
    memcpy(out_date->month, text + 5, sizeof out_date->month);
    memcpy(out_date->day, text + 8, sizeof out_date->day);
    return HSMART_OK;
}

static enum hsmart_code
parse_dates(const hsmart_key_spec *spec, struct generation *generation, hsmart_err *err)
{
    enum hsmart_code code = parse_date(spec->start_date, &generation->start, err);

    return code == HSMART_OK ? parse_date(spec->end_date, &generation->end, err) : code;
}

static enum hsmart_code
check_spec(const hsmart_key_spec *spec, struct generation *generation, hsmart_err *err)
{
    const struct hs_alg *alg = spec->alg != NULL ? hs_alg_by_name(spec->alg) : NULL;

    if (alg == NULL) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%s\" is not an algorithm to make a key for",
                         spec->alg != NULL ? spec->alg : "");
        hs_err_hint(err, "RS384 makes an RSA key and ES384 a P-384 key; SMART servers accept these two");
        return HSMART_INVALID_ARGUMENT;
    }
    enum hsmart_code code = check_label(spec->label, err);
    if (code != HSMART_OK)
        return code;
    if (spec->id_len > ID_MAX)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the key's id has %zu bytes, more than the %u allowed",
                          spec->id_len, ID_MAX);
    if (spec->bits != 0 && alg->key_type == HS_KEY_EC)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "a size in bits is for RSA; %s means curve %s", alg->name,
                          alg->curve);
    if (spec->bits != 0 && spec->bits < HS_RSA_MIN_BITS)
        return hs_err_set(err, HSMART_POLICY_REFUSED, "an RSA key of %u bits is too small: at least %u are required",
                          spec->bits, HS_RSA_MIN_BITS);
    if (spec->bits > HS_RSA_MAX_BITS || spec->bits % 8 != 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "an RSA key has a multiple of 8 bits, at most %u",
                          HS_RSA_MAX_BITS);
    generation->alg = alg;
    generation->bits = spec->bits != 0 ? spec->bits : RSA_BITS_DEFAULT;
    generation->curve = alg->curve != NULL ? hs_curve_by_name(alg->curve) : NULL;
    return HSMART_OK;
}

static enum hsmart_code
choose_id(const hsmart_key_spec *spec, struct generation *generation, hsmart_err *err)
{
    if (spec->id_len > 0) {
        memcpy(generation->id, spec->id, spec->id_len);
        generation->id_len = spec->id_len;
        return HSMART_OK;
    }
    generation->id_len = ID_LEN;
    return hs_random_bytes(generation->id, ID_LEN, err);
}

/* Counts the key objects with an attribute, by half, as an operation that may be run again. */
enum half { PRIVATE_HALF, PUBLIC_HALF, HALF_COUNT };
struct counting {
    CK_ATTRIBUTE attribute;
    size_t counts[HALF_COUNT];
};

static enum hsmart_code
run_counting(void *arg, struct hs_p11_session *session, hsmart_err *err)
{
    static const CK_OBJECT_CLASS classes[HALF_COUNT] = {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY};
    struct counting *counting = arg;
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < HALF_COUNT && code == HSMART_OK; i++) {
        struct hs_p11_object *objects = NULL;
        counting->counts[i] = 0;
        code = hs_p11_session_find(session, classes[i], &counting->attribute, 1, &objects, &counting->counts[i], err);
        hs_free(objects);
    }
    return code;
}

static enum hsmart_code
count_halves(struct generation *generation, CK_ATTRIBUTE attribute, size_t out_counts[HALF_COUNT], hsmart_err *err)
{
    struct counting counting = {.attribute = attribute};
    const struct hs_p11_operation operation = {run_counting, NULL, &counting};
    enum hsmart_code code = hs_p11_token_request(generation->token, &operation, err);

    if (code == HSMART_OK)
        memcpy(out_counts, counting.counts, sizeof counting.counts);
    return code;
}

static enum hsmart_code
count_objects(struct generation *generation, CK_ATTRIBUTE attribute, size_t *out_count, hsmart_err *err)
{
    size_t counts[HALF_COUNT] = {0};
    enum hsmart_code code = count_halves(generation, attribute, counts, err);

    if (code == HSMART_OK)
        *out_count = counts[PRIVATE_HALF] + counts[PUBLIC_HALF];
    return code;
}

/* NSS destroys an older key with the same id without a word, and two keys with one label are a trap for every
 * signer: neither is made. What another host makes at the same moment is seen by `look_after`. */
static enum hsmart_code
check_names_are_free(struct generation *generation, hsmart_err *err)
{
    const char *label = generation->spec->label;
    size_t with_label = 0, with_id = 0;
    enum hsmart_code code;

    code =
        count_objects(generation, (CK_ATTRIBUTE){CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}, &with_label, err);
    if (code == HSMART_OK)
        code = count_objects(generation, (CK_ATTRIBUTE){CKA_ID, generation->id, generation->id_len}, &with_id, err);
    if (code != HSMART_OK)
        return code;
    if (with_label > 0)
        return hs_err_set(err, HSMART_KEY_EXISTS, "a key with the label \"%s\" exists already", label);
    if (with_id > 0)
        return hs_err_set(err, HSMART_KEY_EXISTS, "a key with this id exists already");
    return HSMART_OK;
}

/* The key is limited to the mechanisms of its own algorithm, hashing on the token or here. */
static void
choose_allowed_mechanisms(struct generation *generation)
{
    const struct hs_mechanism_row *row;

    for (size_t i = 0; (row = hs_mechanism_of(generation->alg, i)) != NULL && i < MECHANISMS_MAX; i++)
        if (hs_p11_token_lists_mechanism(generation->token, row->type))
            generation->allowed[generation->allowed_count++] = row->type;
    if (generation->allowed_count == 0)
        generation->dropped |= 1U << WISH_ALLOWED_MECHANISMS;
}

static void
drop_by_quirk(struct generation *generation)
{
    unsigned quirks = hs_p11_token_get_quirks(generation->token);

    if (quirks & HS_QUIRK_NO_ALLOWED_MECHANISMS)
        generation->dropped |= 1U << WISH_ALLOWED_MECHANISMS;
    for (size_t i = 0; i < hs_policy_row_count; i++)
        if ((quirks & HS_QUIRK_NO_DECRYPT_FALSE) && hs_policy_rows[i].type == CKA_DECRYPT)
            generation->dropped |= 1U << WISH_OF_POLICY_ROW(i);
}

/* ---- Asking ---- */

struct template
{
    CK_ATTRIBUTE attributes[TEMPLATE_MAX];
    size_t count;
};

static void
template_put(struct template *template, CK_ATTRIBUTE_TYPE type, const void *value, size_t len)
{
    if (template->count < TEMPLATE_MAX)
        template->attributes[template->count++] = (CK_ATTRIBUTE){type, (void *)(uintptr_t)value, len};
}

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static void
template_put_bool(struct template *template, CK_ATTRIBUTE_TYPE type, bool value)
{
    template_put(template, type, value ? &yes : &no, sizeof yes);
}

static void
template_put_names(struct template *template, const struct generation *generation)
{
    template_put(template, CKA_LABEL, generation->spec->label, strlen(generation->spec->label));
    template_put(template, CKA_ID, generation->id, generation->id_len);
}

static bool
has_dates(const struct generation *generation)
{
    return generation->spec->start_date != NULL || generation->spec->end_date != NULL;
}

/* On both halves: the public one's can be changed later. */
static void
template_put_dates(struct template *template, const struct generation *generation)
{
    if (generation->dropped & 1U << WISH_DATES)
        return;
    if (generation->spec->start_date != NULL)
        template_put(template, CKA_START_DATE, &generation->start, sizeof generation->start);
    if (generation->spec->end_date != NULL)
        template_put(template, CKA_END_DATE, &generation->end, sizeof generation->end);
}

/* Size, exponent and curve belong into the public template only: with them in the private one AWS CloudHSM makes a key
 * that can do nothing. */
static void
fill_public_template(const struct generation *generation, struct template *template)
{
    static const uint8_t exponent[] = {0x01, 0x00, 0x01};

    template_put_bool(template, CKA_TOKEN, !generation->manner.session_object);
    template_put_bool(template, CKA_VERIFY, true);
    template_put_bool(template, CKA_WRAP, false);
    template_put_names(template, generation);
    template_put_dates(template, generation);
    if (generation->curve != NULL) {
        template_put(template, CKA_EC_PARAMS, generation->curve->oid_der.data, generation->curve->oid_der.len);
        return;
    }
    template_put(template, CKA_MODULUS_BITS, &generation->bits, sizeof generation->bits);
    template_put(template, CKA_PUBLIC_EXPONENT, exponent, sizeof exponent);
}

static void
fill_private_template(const struct generation *generation, struct template *template)
{
    for (size_t i = 0; i < hs_policy_row_count; i++)
        if (hs_policy_rows[i].in_template && !(generation->dropped & 1U << WISH_OF_POLICY_ROW(i)))
            template_put_bool(template, hs_policy_rows[i].type,
                              hs_policy_rows[i].type == CKA_TOKEN ? !generation->manner.session_object
                                                                  : hs_policy_rows[i].wanted);
    template_put_names(template, generation);
    template_put_dates(template, generation);
    if (!(generation->dropped & 1U << WISH_ALLOWED_MECHANISMS))
        template_put(template, CKA_ALLOWED_MECHANISMS, generation->allowed,
                     generation->allowed_count * sizeof generation->allowed[0]);
}

static enum hsmart_code
ask_token(struct generation *generation, CK_RV *out_rv, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_p11_session *session = NULL;
    struct template public_template = {0}, private_template = {0};
    CK_OBJECT_HANDLE public_handle = 0, private_handle = 0;
    CK_MECHANISM_TYPE mechanism = generation->curve != NULL ? CKM_EC_KEY_PAIR_GEN : CKM_RSA_PKCS_KEY_PAIR_GEN;

    fill_public_template(generation, &public_template);
    fill_private_template(generation, &private_template);
    code = hs_p11_token_acquire(generation->token, true, HS_P11_ACQUIRE_TIMEOUT_MS, &session, err);
    if (code != HSMART_OK)
        return code;
    code = hs_p11_session_generate(session, mechanism, public_template.attributes, public_template.count,
                                   private_template.attributes, private_template.count, &public_handle, &private_handle,
                                   err);
    *out_rv = session->last_rv;
    /* A session object lives as long as its session, which a lost reply does not end. */
    if (generation->manner.session_object && generation->holder == NULL)
        generation->holder = session;
    else
        hs_p11_token_release(generation->token, session);
    return code;
}

static void
release_holder(struct generation *generation)
{
    if (generation->holder != NULL)
        hs_p11_token_release(generation->token, generation->holder);
    generation->holder = NULL;
}

/* Whether a token that answers so may mean "not this template": real ones say GENERAL_ERROR for a DECRYPT=false. */
static bool
may_mean_template(CK_RV rv)
{
    enum hs_ckr_class class = hs_ckr_row_of(rv)->class;

    return class == HS_CKR_ATTRIBUTE || class == HS_CKR_REQUEST || class == HS_CKR_REFUSED || rv == CKR_GENERAL_ERROR ||
           rv == CKR_FUNCTION_FAILED;
}

/* An answer that failed does not mean that no key was made: the reply may have been lost. */
static enum hsmart_code
key_was_made(struct generation *generation, bool *out_made, hsmart_err *err)
{
    size_t count = 0;
    enum hsmart_code code =
        count_objects(generation, (CK_ATTRIBUTE){CKA_ID, generation->id, generation->id_len}, &count, err);

    *out_made = code == HSMART_OK && count > 0;
    return code;
}

/* Wishes that may be dropped, in the order in which real tokens refuse them. */
static size_t
droppable_wishes(const struct generation *generation, unsigned wishes[TEMPLATE_MAX])
{
    size_t count = 0;

    if (!(generation->dropped & 1U << WISH_ALLOWED_MECHANISMS))
        wishes[count++] = WISH_ALLOWED_MECHANISMS;
    for (size_t i = 0; i < hs_policy_row_count; i++)
        if (hs_policy_rows[i].may_drop && !(generation->dropped & 1U << WISH_OF_POLICY_ROW(i)))
            wishes[count++] = WISH_OF_POLICY_ROW(i);
    if (has_dates(generation) && !(generation->dropped & 1U << WISH_DATES))
        wishes[count++] = WISH_DATES;
    return count;
}

/* One try with `dropped`. Sets `*out_again` when the token refused and nothing was made, so that another template may
 * be tried. */
static enum hsmart_code
try_generation(struct generation *generation, uint32_t dropped, bool *out_again, hsmart_err *err)
{
    enum hsmart_code code, searched;
    CK_RV rv = CKR_OK;
    bool made = false;

    *out_again = false;
    generation->dropped = dropped;
    release_holder(generation);
    code = ask_token(generation, &rv, err);
    if (code == HSMART_OK || rv == CKR_OK)
        return code;
    searched = key_was_made(generation, &made, NULL);
    if (searched == HSMART_OK && made) {
        const struct hs_ckr_row *answer = hs_ckr_row_of(rv);
        hs_log_warning(hs_p11_token_get_log(generation->token),
                       "the token answered %s, but the key with the new id is there: its reply was lost",
                       answer->name != NULL ? answer->name : answer->words);
        generation->reply_was_lost = true;
        return HSMART_OK;
    }
    if (searched != HSMART_OK)
        hs_err_hint(err, "the token may have made the key all the same: look with `hsmart-key list` before you try "
                         "again");
    else if (rv == CKR_GENERAL_ERROR || rv == CKR_FUNCTION_FAILED || rv == CKR_DEVICE_MEMORY)
        hs_err_hint(err, "the token may have no room left for a key; SoftHSM2 answers so when its token directory is "
                         "full or cannot be written");
    *out_again = searched == HSMART_OK && may_mean_template(rv);
    return code;
}

/* The whole wish; then without each single wish; then without more and more of them. The first refusal is the one
 * that is told. */
static enum hsmart_code
generate_dropping_what_is_refused(struct generation *generation, hsmart_err *err)
{
    unsigned wishes[TEMPLATE_MAX];
    const uint32_t from_start = generation->dropped;
    uint32_t cumulative = from_start;
    bool again = false;
    enum hsmart_code code = try_generation(generation, from_start, &again, err);
    size_t count = droppable_wishes(generation, wishes);

    for (size_t i = 0; again && i < count; i++)
        code = try_generation(generation, from_start | 1U << wishes[i], &again, NULL);
    for (size_t i = 0; again && i < count; i++) {
        cumulative |= 1U << wishes[i];
        code = try_generation(generation, cumulative, &again, NULL);
    }
    return code;
}

static void
warn_of_dropped(const struct generation *generation)
{
    const struct hs_log *log = hs_p11_token_get_log(generation->token);

    if (generation->dropped & 1U << WISH_ALLOWED_MECHANISMS)
        hs_log_warning(log, "the token does not take CKA_ALLOWED_MECHANISMS: the key is not limited to %s",
                       generation->alg->name);
    for (size_t i = 0; i < hs_policy_row_count; i++)
        if (generation->dropped & 1U << WISH_OF_POLICY_ROW(i))
            hs_log_warning(log, "the token does not take %s=%s when it makes a key: it was left out",
                           hs_policy_rows[i].name, hs_policy_rows[i].wanted ? "true" : "false");
    if (generation->dropped & 1U << WISH_DATES)
        hs_log_warning(log, "the token does not take CKA_START_DATE and CKA_END_DATE: the key carries no dates");
}

static enum hsmart_code
list_left_out(const struct generation *generation, char **out_text, hsmart_err *err)
{
    struct hs_buf text = {0};
    enum hsmart_code code = HSMART_OK;

    if (generation->dropped & 1U << WISH_ALLOWED_MECHANISMS)
        code = hs_buf_append_str(&text, "CKA_ALLOWED_MECHANISMS", err);
    for (size_t i = 0; code == HSMART_OK && i < hs_policy_row_count; i++)
        if (generation->dropped & 1U << WISH_OF_POLICY_ROW(i))
            code = hs_buf_append_format(&text, err, "%s%s=%s", text.len > 0 ? ", " : "", hs_policy_rows[i].name,
                                        hs_policy_rows[i].wanted ? "true" : "false");
    if (code == HSMART_OK && (generation->dropped & 1U << WISH_DATES))
        code = hs_buf_append_format(&text, err, "%sCKA_START_DATE, CKA_END_DATE", text.len > 0 ? ", " : "");
    if (code == HSMART_OK)
        code = hs_strdup(hs_buf_text(&text), out_text, err);
    hs_buf_clear(&text);
    return code;
}

/* ---- Proof ---- */

static enum hsmart_code
find_made(struct generation *generation, struct hs_token_key **out_key, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf uri = {0};

    code = hs_p11_uri_format_key(hs_p11_token_get_raw_info(generation->token), hs_span_str(generation->spec->label),
                                 (struct hs_span){generation->id, generation->id_len}, &uri, err);
    if (code == HSMART_OK)
        code = hs_token_key_find(generation->token, hs_buf_text(&uri), out_key, err);
    hs_buf_clear(&uri);
    return code;
}

static enum hsmart_code
check_is_as_asked(const struct generation *generation, const struct hs_token_key *key, hsmart_err *err)
{
    if (key->info.problem != HSMART_OK)
        return hs_err_set(err, HSMART_POLICY_REFUSED, "%s", key->info.problem_text);
    if (!hs_alg_fits(generation->alg, key->jwk.type, key->jwk.curve))
        return hs_err_set(err, HSMART_POLICY_REFUSED, "%s was asked for, but the key is %s", generation->alg->name,
                          key->info.curve != NULL ? key->info.curve : key->info.type);
    if (key->jwk.type == HS_KEY_RSA && key->jwk.bits != generation->bits)
        return hs_err_set(err, HSMART_POLICY_REFUSED, "%lu bits were asked for, but the key has %u", generation->bits,
                          key->jwk.bits);
    return HSMART_OK;
}

static enum hsmart_code
prove_it_signs(const struct generation *generation, const struct hs_token_key *key, hsmart_err *err)
{
    hsmart_signer_options options = {.alg = generation->alg->name};
    struct hs_signer *signer = NULL;
    struct hs_buf signature = {0};
    enum hsmart_code code = hs_token_signer_new(key, &options, &signer, err);

    /* Not the shape of a JWS, so it can never pass for one. */
    if (code == HSMART_OK)
        code = signer->ops->sign(signer, hs_span_str("hsmart: this new key signs"), &signature, err);
    hs_buf_clear(&signature);
    hs_signer_free(signer);
    return code;
}

static enum hsmart_code
prove(struct generation *generation, struct hs_token_key *key, hsmart_err *err)
{
    enum hsmart_code code = check_is_as_asked(generation, key, err);

    if (code == HSMART_OK)
        code = prove_it_signs(generation, key, err);
    if (code != HSMART_OK) {
        (void)hs_err_wrap(err, code, "the new key \"%s\" on token \"%s\" is not what was asked for", key->info.label,
                          hs_p11_token_get_name(generation->token));
        hs_err_hint(err, "do not use the key; it is still on the token as %.140s", key->info.uri);
    }
    return code;
}

/* A token may lose its power, or SoftHSM2 be killed, between the halves. The id is this ceremony's own, at random, and
 * without a private half nothing was signed: what is there goes, and the key is made anew. */
static enum hsmart_code
look_for_key_to_adopt(struct generation *generation, bool *out_adopts, hsmart_err *err)
{
    size_t counts[HALF_COUNT] = {0}, destroyed = 0;
    enum hsmart_code code =
        count_halves(generation, (CK_ATTRIBUTE){CKA_ID, generation->id, generation->id_len}, counts, err);

    *out_adopts = code == HSMART_OK && counts[PRIVATE_HALF] > 0;
    if (code != HSMART_OK || *out_adopts || counts[PUBLIC_HALF] == 0)
        return code;
    hs_log_warning(hs_p11_token_get_log(generation->token),
                   "key \"%s\" was half made when its making was interrupted: its public half is destroyed, and it is "
                   "made anew",
                   generation->spec->label);
    return hs_destroy_pair(generation->token, hs_span_str(generation->spec->label),
                           (struct hs_span){generation->id, generation->id_len}, &destroyed, err);
}

/* Whether there is a key to adopt; else the names have to be free. */
static enum hsmart_code
look_before(struct generation *generation, bool *out_adopts, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    *out_adopts = false;
    if (generation->manner.adopt)
        code = look_for_key_to_adopt(generation, out_adopts, err);
    if (code == HSMART_OK && !*out_adopts)
        code = check_names_are_free(generation, err);
    return code;
}

/* SoftHSM2 counts changes of a token, and two processes that make a key at one moment can miss that there were two
 * changes: neither sees the other's key then, however often it looks. There they take turns. */
static int
begin_turn(const struct generation *generation)
{
    bool takes_turns =
        !generation->manner.session_object && (hs_p11_token_get_quirks(generation->token) & HS_QUIRK_SERIAL_START) != 0;

    return takes_turns ? hs_p11_turn_begin(hs_p11_token_get_module(generation->token)->path, HS_P11_TURN_WAIT_MS,
                                           hs_p11_token_get_log(generation->token))
                       : -1;
}

/* A session object is seen by this process alone. */
static enum hsmart_code
look_after(struct generation *generation, hsmart_err *err)
{
    if (generation->manner.session_object)
        return HSMART_OK;
    return hs_sole_label_settle(generation->token, hs_span_str(generation->spec->label),
                                (struct hs_span){generation->id, generation->id_len}, HS_SOLE_LABEL_WAIT_MS, err);
}

/* The key, and none besides it with its label. */
static enum hsmart_code
make_sole(struct generation *generation, hsmart_err *err)
{
    bool adopts = false;
    int turn = begin_turn(generation);
    enum hsmart_code code = look_before(generation, &adopts, err);

    if (code == HSMART_OK) {
        choose_allowed_mechanisms(generation);
        drop_by_quirk(generation);
        if (!adopts)
            code = generate_dropping_what_is_refused(generation, err);
    }
    if (code == HSMART_OK)
        code = look_after(generation, err);
    hs_p11_turn_end(turn);
    return code;
}

static enum hsmart_code
generate(struct generation *generation, struct hs_token_key **out_key, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_token_key *key = NULL;

    code = check_spec(generation->spec, generation, err);
    if (code == HSMART_OK)
        code = parse_dates(generation->spec, generation, err);
    if (code == HSMART_OK)
        code = choose_id(generation->spec, generation, err);
    if (code == HSMART_OK)
        code = make_sole(generation, err);
    if (code != HSMART_OK)
        goto out;
    warn_of_dropped(generation);
    code = find_made(generation, &key, err);
    if (code == HSMART_OK)
        code = prove(generation, key, err);
    if (code != HSMART_OK) {
        hs_token_key_free(key);
        return code;
    }
    *out_key = key;
    return HSMART_OK;
out:
    return hs_err_wrap(err, code, "cannot make key \"%s\" on token \"%s\"",
                       generation->spec->label != NULL ? generation->spec->label : "",
                       hs_p11_token_get_name(generation->token));
}

enum hsmart_code
hs_generate(struct hs_p11_token *token, const hsmart_key_spec *spec, struct hs_token_key **out_key, hsmart_err *err)
{
    struct generation generation = {.token = token, .spec = spec};

    return generate(&generation, out_key, err);
}

enum hsmart_code
hs_generate_in_ceremony(struct hs_p11_token *token, const hsmart_key_spec *spec, struct hs_generate_manner manner,
                        struct hs_generate_result *out_result, hsmart_err *err)
{
    struct generation generation = {.token = token, .spec = spec, .manner = manner};
    struct hs_generate_result result = {0};
    enum hsmart_code code = generate(&generation, &result.key, err);

    if (code == HSMART_OK)
        code = list_left_out(&generation, &result.left_out, err);
    if (code == HSMART_OK) {
        result.holder = generation.holder;
        result.reply_was_lost = generation.reply_was_lost;
        *out_result = result;
        return HSMART_OK;
    }
    hs_token_key_free(result.key);
    release_holder(&generation);
    return code;
}

void
hs_generate_result_clear(struct hs_generate_result *result)
{
    if (result->holder != NULL)
        hs_p11_token_release(result->key->token, result->holder);
    hs_token_key_free(result->key);
    hs_string_free(result->left_out);
    *result = (struct hs_generate_result){0};
}
