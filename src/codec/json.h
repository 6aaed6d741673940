/* JSON: reading with limits (json-c behind it), and a writer that keeps the order of members. */
#ifndef HS_JSON_H
#define HS_JSON_H

#include "bytes.h"

/* ---- Reading. Nothing a stranger sends gets past these limits. ---- */

#define HS_JSON_MAX_LEN (1U << 20) /* bytes of text */
#define HS_JSON_MAX_DEPTH 32U
#define HS_JSON_MAX_MEMBERS 1024U /* of one object */

/* A parsed value, owned by the document it came from; NULL is "absent" and is accepted everywhere. */
typedef struct json_object hs_json_value;
struct hs_json_doc {
    hs_json_value *root;
};

/* Parses exactly one value. HSMART_INPUT_MALFORMED, saying what and at which byte, for a syntax error, text after
 * the value, invalid UTF-8, a byte order mark, too much depth or length, half a surrogate pair, and a member name
 * that is there already (RFC 7519 section 4) or holds a NUL. */
HSMART_MUST_CHECK enum hsmart_code hs_json_parse(struct hs_span text, struct hs_json_doc *out_doc, hsmart_err *err);
void hs_json_doc_clear(struct hs_json_doc *doc);

enum hs_json_type {
    HS_JSON_ABSENT,
    HS_JSON_NULL,
    HS_JSON_BOOLEAN,
    HS_JSON_INTEGER, /* fits an int64_t and was written without fraction or exponent */
    HS_JSON_NUMBER,  /* any other number; as a double it may be infinite */
    HS_JSON_STRING,
    HS_JSON_ARRAY,
    HS_JSON_OBJECT,
};
enum hs_json_type hs_json_type_of(const hs_json_value *value);
/* "a string", "an object", "absent", … for messages. */
const char *hs_json_type_words(const hs_json_value *value);

/* Member of an object, element of an array; NULL when it is absent or `value` is of another type. */
hs_json_value *hs_json_member(const hs_json_value *value, const char *name);
hs_json_value *hs_json_element(const hs_json_value *value, size_t index);
size_t hs_json_length(const hs_json_value *array); /* 0 for anything but an array */
/* Walks the member names of an object: the name at `index`, NULL past the end. */
const char *hs_json_member_name(const hs_json_value *object, size_t index);

/* The bytes of a string (may hold NUL), the empty span for anything else. Lives as long as the document. */
struct hs_span hs_json_string(const hs_json_value *value);
/* As a C string; NULL when it is no string or holds a NUL. */
const char *hs_json_text(const hs_json_value *value);
int64_t hs_json_integer(const hs_json_value *value); /* 0 for anything but HS_JSON_INTEGER */
double hs_json_number(const hs_json_value *value);   /* of HS_JSON_INTEGER or HS_JSON_NUMBER, else 0 */
bool hs_json_boolean(const hs_json_value *value);
/* Overwrites the bytes of a string, for a secret: json-c frees them as they are. */
void hs_json_wipe(hs_json_value *value);

/* ---- Writing: into a buffer, members in the order they are put. ---- */

/* Zero-initialise with `.out` set; `.indent` for two spaces a level. The first failure is kept and returned by
 * `hs_json_writer_finish`, so that the calls between need no checking. */
struct hs_json_writer {
    struct hs_buf *out;
    bool indent;
    unsigned depth;
    uint32_t has_items; /* bit per level: something was written there */
    bool after_name;
    enum hsmart_code code;
    hsmart_err err;
};
void hs_json_begin_object(struct hs_json_writer *writer);
void hs_json_end_object(struct hs_json_writer *writer);
void hs_json_begin_array(struct hs_json_writer *writer);
void hs_json_end_array(struct hs_json_writer *writer);
void hs_json_name(struct hs_json_writer *writer, const char *name);
/* Strings must be UTF-8 (HSMART_INVALID_ARGUMENT otherwise); control characters, quotes and backslashes are escaped. */
void hs_json_put_span(struct hs_json_writer *writer, struct hs_span text);
void hs_json_put_text(struct hs_json_writer *writer, const char *text); /* NULL gives null */
void hs_json_put_integer(struct hs_json_writer *writer, int64_t number);
void hs_json_put_boolean(struct hs_json_writer *writer, bool value);
void hs_json_put_null(struct hs_json_writer *writer);
/* Puts text that is JSON already. */
void hs_json_put_raw(struct hs_json_writer *writer, struct hs_span json);
/* Puts a value that was read, with all that is in it. */
void hs_json_put_value(struct hs_json_writer *writer, const hs_json_value *value);
/* Name and value in one call. */
void hs_json_member_text(struct hs_json_writer *writer, const char *name, const char *text);
void hs_json_member_integer(struct hs_json_writer *writer, const char *name, int64_t number);
void hs_json_member_boolean(struct hs_json_writer *writer, const char *name, bool value);
HSMART_MUST_CHECK enum hsmart_code hs_json_writer_finish(struct hs_json_writer *writer, hsmart_err *err);

/* A number that some servers send as digits in a string; what is above `max` (at most 2^58) is `max` + 1, a fraction is
 * cut off, and one below 0 is 0. False for anything else. */
bool hs_json_loose_number(const hs_json_value *value, int64_t max, int64_t *out_number);

#endif
