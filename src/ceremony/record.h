/* The record of a ceremony: canonical JSON, signed as a JWS with several signatures (RFC 7515 section 7.2.1).
 * docs/formats/ceremony-record.md describes it. */
#ifndef HS_RECORD_H
#define HS_RECORD_H

#include "json.h"
#include "plan.h"
struct hs_jwk;
struct hs_signer;

#define HS_RECORD_MAX_LEN HS_JSON_MAX_LEN
#define HS_RECORD_SIGNATURES_MAX (HS_PLAN_KEYS_MAX + 1U)
#define HS_RECORD_TYP "hsmart-ceremony-record"
#define HS_DESTRUCTION_TYP "hsmart-destruction" /* the entry of a destruction (destruction.h) has the same form */

struct hs_record_signature {
    struct hs_buf protected_text; /* as it stands in the file: base64url */
    struct hs_json_doc header;
    struct hs_buf signature;
};

/* Taken apart; nothing of it is trusted. Zero is valid and empty. */
struct hs_record {
    struct hs_buf payload_text; /* base64url */
    struct hs_buf payload;      /* canonical JSON */
    struct hs_json_doc doc;     /* of it */
    struct hs_record_signature *signatures;
    size_t signature_count;
    uint8_t sha256[HS_SHA256_LEN]; /* of the payload: what the next record is chained to, and people compare */
    char sha256_hex[2 * HS_SHA256_LEN + 1];
};

/* Only what can be seen without a key: the one form that a record can have, byte by byte. HSMART_INPUT_MALFORMED, with
 * `file` in front, for anything else, such as a space more or a member that is not known. */
HSMART_MUST_CHECK enum hsmart_code hs_record_parse(struct hs_span text, const char *file, struct hs_record *out_record,
                                                   hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_record_load(const char *path, struct hs_record *out_record, hsmart_err *err);
void hs_record_clear(struct hs_record *record);
/* It is the entry of a destruction, by the type that it tells; otherwise it should be of a ceremony. */
bool hs_record_is_destruction(const struct hs_record *record);

/* Signs `payload`, which is made canonical first and is of the type `typ`, with each signer, and sets `out_text` to the
 * file's bytes. */
HSMART_MUST_CHECK enum hsmart_code hs_record_sign(struct hs_span payload, const char *typ,
                                                  struct hs_signer *const *signers, size_t signer_count,
                                                  struct hs_buf *out_text, hsmart_err *err);

/* Whether the signature verifies with this key, for the payload of the record. */
HSMART_MUST_CHECK enum hsmart_code hs_record_verify_signature(const struct hs_record *record, size_t index,
                                                              const struct hs_jwk *jwk, hsmart_err *err);

#endif
