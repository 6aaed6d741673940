/* Shared by the files of one ceremony only. */
#ifndef HS_CEREMONY_STATE_H
#define HS_CEREMONY_STATE_H

#include <hsmart/attack.h>

#include "ceremony.h"
#include "generate.h"
#include "json.h"
#include "p11_token.h"
#include "plan.h"
#include "record.h"
#include "signer.h"

#define HS_CEREMONY_ID_LEN 16U
#define HS_CEREMONY_PEOPLE_MAX 200U

struct person {
    const char *role; /* of the plan, or "witness" */
    char *name;
    int64_t confirmed_s;
};

struct ceremony_attribute {
    char *name, *wanted, *reported;
    const char *verdict; /* static */
};

struct ceremony_key {
    const struct hs_plan_key *plan;
    uint8_t id[HS_CEREMONY_ID_LEN];
    bool was_asked; /* the token may have it */
    struct hs_generate_result made;
    struct ceremony_attribute *attributes;
    size_t attribute_count;
    hsmart_attack_report *attack;
    struct hs_signer *signer;
    struct hs_buf proof_text, proof_signature;
    struct hs_buf certificate; /* PEM; empty: none */
};

struct output {
    char *name;
    struct hs_buf contents;
};

/* Everything that one ceremony knows. Zero is valid and empty. */
struct ceremony {
    const struct hs_ceremony_options *options;
    const struct hs_ceremony_seam *seam;
    struct hs_plan plan;
    struct hs_record previous;
    bool has_previous;
    char *rehearsed_sha256; /* NULL: none was shown */
    int64_t started_s;
    struct person *people;
    size_t person_count;
    /* clock */
    char *other_clock; /* as typed; NULL: nobody looked at another clock */
    int64_t clock_difference_s;
    const char *synchronised; /* "yes", "no", "unknown" */
    /* site */
    struct hs_p11_token *token;
    char module_sha256_hex[2 * HS_SHA256_LEN + 1];
    struct hs_token_key *organisation_key;
    struct hs_signer *organisation_signer;
    /* work */
    struct ceremony_key keys[HS_PLAN_KEYS_MAX];
    char *interruptions[16]; /* when it was begun before */
    size_t interruption_count;
    bool began_work; /* the journal is there, and ours */
    int lock_fd;     /* on the directory of the journal; -1: not held */
    char *failure;   /* why it failed by its own rules; NULL: it did not */
    struct output *outputs;
    size_t output_count;
    char *partial, *journal; /* paths */
};

void hs_ceremony_say(const struct ceremony *ceremony, const char *format, ...) HSMART_PRINTF(2, 3);
/* It has failed by its own rules: HSMART_POLICY_REFUSED, and the reason goes into the record. */
enum hsmart_code hs_ceremony_fail(struct ceremony *ceremony, hsmart_err *err, const char *reason, ...)
    HSMART_PRINTF(3, 4);

/* ---- People (ceremony_people.c) ---- */
HSMART_MUST_CHECK enum hsmart_code hs_ceremony_confirm_plan(struct ceremony *ceremony, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_ceremony_name_people(struct ceremony *ceremony, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_ceremony_check_clock(struct ceremony *ceremony, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_ceremony_confirm_token(struct ceremony *ceremony, hsmart_err *err);
/* Asks until `words` are typed. */
HSMART_MUST_CHECK enum hsmart_code hs_ceremony_confirm_words(struct ceremony *ceremony, enum hs_ceremony_topic topic,
                                                             const char *words, const char *text, hsmart_err *err);
/* "accept", or HSMART_POLICY_REFUSED as a failure of the ceremony. */
HSMART_MUST_CHECK enum hsmart_code hs_ceremony_confirm_result(struct ceremony *ceremony, hsmart_err *err);

/* ---- Site (ceremony_site.c) ---- */
HSMART_MUST_CHECK enum hsmart_code hs_ceremony_look_at_site(struct ceremony *ceremony, hsmart_err *err);
void hs_ceremony_put_site(struct hs_json_writer *writer, const struct ceremony *ceremony);
/* "yes", "no" or "unknown": what the kernel says of its clock. */
const char *hs_ceremony_clock_state(void);

/* ---- Keys (ceremony_keys.c) ---- */
HSMART_MUST_CHECK enum hsmart_code hs_ceremony_make_key(struct ceremony *ceremony, struct ceremony_key *key,
                                                        hsmart_err *err);
void hs_ceremony_key_clear(struct ceremony_key *key);
void hs_ceremony_put_key(struct hs_json_writer *writer, const struct ceremony *ceremony,
                         const struct ceremony_key *key);
/* Destroys what the token has of the keys that were asked for. */
HSMART_MUST_CHECK enum hsmart_code hs_ceremony_destroy_keys(struct ceremony *ceremony, hsmart_err *err);

/* ---- Journal (ceremony_journal.c): what is on the token, should we die ---- */
HSMART_MUST_CHECK enum hsmart_code hs_ceremony_paths(struct ceremony *ceremony, hsmart_err *err);
/* Whether there is one of an interrupted ceremony; it is read into the keys. */
HSMART_MUST_CHECK enum hsmart_code hs_journal_load(struct ceremony *ceremony, bool *out_found, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_journal_save(struct ceremony *ceremony, hsmart_err *err);
void hs_journal_remove(struct ceremony *ceremony);

/* ---- Outputs (ceremony_outputs.c) ---- */
/* Every file but the record. */
HSMART_MUST_CHECK enum hsmart_code hs_ceremony_make_outputs(struct ceremony *ceremony, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_ceremony_add_output(struct ceremony *ceremony, const char *name,
                                                          struct hs_buf *contents, hsmart_err *err);
/* All of them, in a directory that appears whole. */
HSMART_MUST_CHECK enum hsmart_code hs_ceremony_publish(struct ceremony *ceremony, hsmart_err *err);
/* The journal, and what interrupted tries to write it or to publish left. */
void hs_ceremony_remove_partial(const struct ceremony *ceremony);

/* ---- Record (ceremony_record.c) ---- */
/* The signed record: by the new keys unless it failed, and by the organisation's where there is one. */
HSMART_MUST_CHECK enum hsmart_code hs_ceremony_make_record(struct ceremony *ceremony, struct hs_buf *out_text,
                                                           hsmart_err *err);

#endif
