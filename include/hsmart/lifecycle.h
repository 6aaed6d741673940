/* The life cycle of keys: families of keys that follow one another, and signers that change over by the date
 * (docs/lifecycle.md). */
#ifndef HSMART_LIFECYCLE_H
#define HSMART_LIFECYCLE_H

#include <hsmart/signer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The keys whose labels are LABEL, LABEL-YYYYMMDD or LABEL-YYYYMMDD-N are a family. What each is for on a day (UTC)
 * follows from the start and end dates of all: */
enum hsmart_key_state {
    HSMART_KEY_STAGED,   /* its start is to come: published, not signed with */
    HSMART_KEY_ACTIVE,   /* the one that started last: published, signed with */
    HSMART_KEY_RETIRING, /* another has taken over: still published, for assertions under way */
    HSMART_KEY_RETIRED,  /* its end has passed: neither */
};
HSMART_API const char *hsmart_key_state_name(enum hsmart_key_state state); /* "staged" … */

/* A start that nobody has decided yet. */
#define HSMART_DATE_UNDECIDED "9999-12-31"

typedef struct hsmart_family_options {
    const char *label;           /* required */
    const char *lifecycle_file;  /* NULL: "lifecycle-LABEL.json" beside the PIN guard's state */
    const char *state_directory; /* as in hsmart_token_options */
} hsmart_family_options;

/* One key of a family. Strings belong to the family. */
typedef struct hsmart_family_key {
    hsmart_key *key; /* belongs to the family */
    enum hsmart_key_state state;
    const char *start_date, *end_date; /* "YYYY-MM-DD"; NULL: none. The end is the last day. */
    int64_t changed_s;  /* when this first day was set, if that was done with this life-cycle file; 0: not known */
    bool dates_in_file; /* the token keeps none for it; they are in the life-cycle file */
    /* What is known of its publication, by `hsmart_family_note_served`; 0: nothing. */
    int64_t served_since_s, served_until_s; /* seen without a gap, first and last */
    int64_t served_max_age_s;               /* the longest cache lifetime seen meanwhile; -1: never told */
    const char *served_url;
} hsmart_family_key;

/* A family as it was read. */
typedef struct hsmart_family {
    const char *label, *lifecycle_file;
    const hsmart_family_key *keys; /* ordered by start, then label (numbers counted), then kid */
    size_t count;
    const hsmart_family_key *active; /* NULL: none signs */
} hsmart_family;

/* `hsmart_family_read` reads the family of a token as it is at `*at_s` (seconds since the epoch; NULL: now). A family
 * without a key is HSMART_KEY_ABSENT; errors otherwise as `hsmart_key_list_read`, and HSMART_INPUT_MALFORMED for the
 * life-cycle file. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_family_read(hsmart_token *token,
                                                                 const hsmart_family_options *options,
                                                                 const int64_t *at_s, hsmart_family **out_family,
                                                                 hsmart_err *err);
HSMART_API void hsmart_family_free(hsmart_family *family);

/* `hsmart_family_set_dates` sets the dates of one key ("YYYY-MM-DD", "" takes one away, NULL leaves it): on its public
 * key object, since the private one is often not modifiable, and reads them back; in the life-cycle file where the
 * token keeps none, which `*out_in_file` tells (it may be NULL). The family has to be read anew. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_family_set_dates(hsmart_family *family,
                                                                      const hsmart_family_key *key,
                                                                      const char *start_date, const char *end_date,
                                                                      bool *out_in_file, hsmart_err *err);

/* `hsmart_family_note_served` writes down in the life-cycle file which keys of the family are in the JWKS `json` that
 * `url` served at `now_s`, with the cache lifetime that came with it (-1: none). A key that is missing there starts
 * from the beginning when it comes back. HSMART_INPUT_MALFORMED when it is no JWKS. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_family_note_served(hsmart_family *family, const char *url,
                                                                        const char *json, int64_t now_s,
                                                                        int64_t max_age_s, hsmart_err *err);

/* How many seconds a key has still to be served before it may sign: 0 when it has been seen, without a gap, for longer
 * than any cache may have kept the set from before; -1 when it was not served at the last look. A cache keeps a set for
 * the longest lifetime that was told while the key was seen, or for `cache_max_s`, what the servers are known to keep
 * at most (0: not known), if that is more; a day when neither is known. */
HSMART_API int64_t hsmart_family_activation_wait_s(const hsmart_family_key *key, int64_t cache_max_s);

/* `hsmart_family_jwks` writes the set to publish: the keys that are staged, active or retiring, under `alg` (NULL: each
 * key's own). HSMART_KEY_ABSENT when there is none. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_family_jwks(const hsmart_family *family, const char *alg,
                                                                 char **out_json, hsmart_err *err);

/* `hsmart_signer_new_family` makes a signer on a family: each assertion is signed by the key that is active at that
 * moment, so that it changes over at midnight (UTC) by itself. The token is read again at midnight, each minute of use
 * (for what cannot wait), and when the key is gone. `options` as in `hsmart_signer_new`, but neither kid nor
 * thumbprint, which a family has several of (HSMART_INVALID_ARGUMENT). HSMART_KEY_ABSENT when no key is active. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_signer_new_family(hsmart_token *token,
                                                                       const hsmart_family_options *family,
                                                                       const hsmart_signer_options *options,
                                                                       hsmart_signer **out_signer, hsmart_err *err);

/* The keys of a JWK Set that somebody publishes, as far as they are RSA or EC keys. Strings belong to the list. */
typedef struct hsmart_jwk_list {
    struct hsmart_jwk_list_entry {
        const char *kid; /* NULL: none */
        const char *thumbprint;
    } * keys;
    size_t count;
} hsmart_jwk_list;
/* HSMART_INPUT_MALFORMED when `json` is no JWK Set. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_jwk_list_read(const char *json, hsmart_jwk_list **out_list,
                                                                   hsmart_err *err);
HSMART_API void hsmart_jwk_list_free(hsmart_jwk_list *list);

/* `hsmart_key_destroy` destroys the private and the public object of a key pair, for ever, and looks that none is left.
 * Certificates of the key stay. `*out_count` is how many objects there were; it may be NULL. On failure some may be
 * gone and some not: the token's answer is told, or HSMART_POLICY_REFUSED when it says that it did and they are still
 * there. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_key_destroy(const hsmart_key *key, size_t *out_count,
                                                                 hsmart_err *err);

#ifdef __cplusplus
}
#endif
#endif
