/* A request as it was received, and the answer to it: what the endpoints see. Nothing here knows the web server. */
#ifndef SANDBOX_MESSAGE_H
#define SANDBOX_MESSAGE_H

#include "bytes.h"
#include "json.h"

/* Names and values as they came, decoded. Values may hold any byte. */
struct field {
    struct hs_span name, value;
};
struct fields {
    struct field *items;
    size_t count;
};
enum hsmart_code fields_add(struct fields *fields, struct hs_span name, struct hs_span value, hsmart_err *err);
void fields_clear(struct fields *fields);
/* The first of that name (NULL: none), and how many there are. Header names are compared without case. */
const struct hs_span *field_get(const struct fields *fields, const char *name);
const struct hs_span *header_get(const struct fields *headers, const char *name);
size_t header_count(const struct fields *headers, const char *name);

#define SEGMENTS_MAX 3U
struct request {
    const char *method, *path; /* the path is decoded, without the query */
    struct fields query, headers;
    struct hs_span body;
    bool body_too_long;                 /* `body` is empty then */
    const char *segments[SEGMENTS_MAX]; /* what stands for {…} in the route's path */
    const char *peer;
};

/* What becomes of an answer on the wire. Zero: it is sent as it is. */
struct wire {
    unsigned wait_ms;      /* before the first byte */
    unsigned body_wait_ms; /* in the middle of the body */
    bool close;            /* the connection ends without a byte */
    bool cut;              /* it ends in the middle of the body */
    int64_t date_offset_s; /* of the Date header */
};

#define ANSWER_HEADERS_MAX 12U
#define NOTE_MAX 240U
struct answer {
    int status;
    struct hs_buf body;
    struct answer_header {
        const char *name; /* static */
        char *value;
    } headers[ANSWER_HEADERS_MAX];
    size_t header_count;
    struct wire wire;
    char note[NOTE_MAX]; /* for the request log: who was answered what, and why; nothing secret */
};
void answer_clear(struct answer *answer);
/* Empties it, headers too. */
void answer_reset(struct answer *answer);
/* Sets a header, or replaces it; `format` NULL takes it away. */
enum hsmart_code answer_header(struct answer *answer, hsmart_err *err, const char *name, const char *format, ...)
    HSMART_PRINTF(4, 5);
const char *answer_header_get(const struct answer *answer, const char *name);
void answer_note(struct answer *answer, const char *format, ...) HSMART_PRINTF(2, 3);

#endif
