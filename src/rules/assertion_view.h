/* A client assertion taken apart as far as that goes, for the rules to look at. */
#ifndef HS_ASSERTION_VIEW_H
#define HS_ASSERTION_VIEW_H

#include "check_server.h"
#include "jwk.h"

/* What there is to look at. A rule is skipped when something that it needs is missing; assertion_view.c has the words
 * for it. */
enum {
    HAVE_PARTS = 1 << 0,     /* three of them */
    HAVE_TEXT = 1 << 1,      /* the bytes of header or payload */
    HAVE_HEADER = 1 << 2,    /* as a JSON object */
    HAVE_PAYLOAD = 1 << 3,   /* as a JSON object */
    HAVE_SIGNATURE = 1 << 4, /* its bytes */
    HAVE_ALG = 1 << 5,       /* one of ours */
    HAVE_KID = 1 << 6,
    HAVE_ISS_AND_SUB = 1 << 7,
    HAVE_SUBJECT = 1 << 8, /* sub, else iss */
    HAVE_AUD = 1 << 9,
    HAVE_EXP = 1 << 10, /* a time */
    HAVE_JTI = 1 << 11, /* a string */
    HAVE_JWKS = 1 << 12,
    HAVE_KEY = 1 << 13,          /* the one that kid names in the JWKS */
    HAVE_LENGTH_RULE = 1 << 14,  /* how long the signature must be */
    HAVE_RIGHT_LENGTH = 1 << 15, /* and is */
    HAVE_FITTING_ALG = 1 << 16,
    HAVE_CLIENT_ID = 1 << 17,
    HAVE_AUDIENCE = 1 << 18,
    HAVE_JKU_VERDICT = 1 << 19, /* nothing about jku is left open */
    HAVE_MEMORY = 1 << 20,      /* of jti */
    HAVE_SERVED = 1 << 21,      /* the JWKS came from a URL */
    HAVE_SERVER = 1 << 22,      /* a family is named */
    HAVE_LOOKUP = 1 << 23,      /* a way to look the key up: kid, or a server that does without */
};
/* Why a rule is skipped that needs `lacking`, in words. */
const char *hs_view_lack(unsigned lacking);

enum { PART_HEADER, PART_PAYLOAD, PART_SIGNATURE, PART_COUNT };

struct part {
    struct hs_span text;
    struct hs_buf bytes;
    bool clean; /* base64url */
    struct hs_json_doc doc;
    hsmart_err why; /* not clean, or no JSON */
};

struct assertion_view {
    const struct hs_assertion_expectation *expected;
    const struct hs_habits *habits;
    const char *type; /* that the header's typ must be */
    int64_t now_s;
    unsigned have;
    struct hs_span text;
    size_t part_count;
    struct part parts[PART_COUNT];
    const hs_json_value *header, *payload; /* NULL: no object */
    const struct hs_alg *alg;
    struct hs_json_doc jwks;
    struct hs_jwk key;
    hsmart_err key_err;   /* why there is no key */
    size_t signature_len; /* that it must have */
};

void hs_assertion_view_make(struct hs_check *check, struct hs_span text,
                            const struct hs_assertion_expectation *expected, struct assertion_view *out_view);
void hs_assertion_view_clear(struct assertion_view *view);

/* A member that is a time: a whole number of seconds, which milliseconds are not. */
bool hs_view_time(const hs_json_value *payload, const char *name, int64_t *out_time_s);
/* Whether an ECDSA signature looks like ASN.1 instead of r and s. */
bool hs_view_looks_like_der(const struct assertion_view *view);

/* Rules by subject; each looks only at what its row in check_assertion.c says it needs. */
typedef void hs_assertion_rule(struct hs_check *check, const struct assertion_view *view);
hs_assertion_rule hs_l01_parts, hs_l02_base64url, hs_l03_objects;
hs_assertion_rule hs_l04_alg, hs_l06_kid, hs_l07_typ, hs_l08_jku, hs_l09_crit, hs_l10_key_material;
hs_assertion_rule hs_l11_iss, hs_l12_sub, hs_l13_iss_is_sub, hs_l14_client_id;
hs_assertion_rule hs_l15_aud, hs_l16_audience, hs_l17_one_audience;
hs_assertion_rule hs_l18_exp, hs_l19_times, hs_l20_expired, hs_l21_too_far, hs_l22_future, hs_l23_times_fit;
hs_assertion_rule hs_l24_jti, hs_l25_jti_type, hs_l26_jti_length, hs_l27_jti_once;
hs_assertion_rule hs_l05_alg_fits_key, hs_l28_length, hs_l29_der, hs_l30_verifies, hs_l31_key_found;
hs_assertion_rule hs_l32_jwks_url, hs_l33_server;

/* Applies every rule; used for an assertion alone, and for one in a request. */
void hs_assertion_check(struct hs_check *check, struct hs_span text,
                        const struct hs_assertion_expectation *expectation);

#endif
