/* Memory: the only file of hsmart that allocates. Borrowed spans, owned buffers that wipe themselves, and
 * locked storage for secrets. */
#ifndef HS_BYTES_H
#define HS_BYTES_H

#include <stdarg.h>
#include <string.h>

#include <hsmart/error.h>

/* Borrowed: lives as long as its owner. Zero is the empty span. */
struct hs_span {
    const uint8_t *data;
    size_t len;
};

/* Owned. Zero is a valid empty buffer. `max_len` bounds it (0: HS_BUF_MAX_DEFAULT). `data[len]` is always 0 once
 * there is data, so text can be read as a C string. */
struct hs_buf {
    uint8_t *data;
    size_t len, capacity, max_len;
};

#define HS_BUF_MAX_DEFAULT (4U << 20)
#define HS_ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define HS_SPAN_OF(array) ((struct hs_span){(const uint8_t *)(array), sizeof(array)})

static inline struct hs_span
hs_span_str(const char *text)
{
    return (struct hs_span){(const uint8_t *)text, text ? strlen(text) : 0};
}

static inline struct hs_span
hs_span_buf(const struct hs_buf *buf)
{
    return (struct hs_span){buf->data, buf->len};
}

bool hs_span_equal(struct hs_span a, struct hs_span b);
bool hs_span_equal_str(struct hs_span span, const char *text);

/* Drops leading zero bytes: the minimal big-endian form of RFC 7518 section 2. */
struct hs_span hs_span_trim_zeros(struct hs_span span);

/* `hs_buf_resize` sets the length; new bytes are zero. HSMART_NO_MEMORY, or HSMART_INPUT_MALFORMED above
 * `max_len`; the buffer is unchanged then. */
HSMART_MUST_CHECK enum hsmart_code hs_buf_resize(struct hs_buf *buf, size_t len, hsmart_err *err);
/* Room for `len` bytes in all, so that appending up to there neither fails nor moves the data. */
HSMART_MUST_CHECK enum hsmart_code hs_buf_reserve(struct hs_buf *buf, size_t len, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_buf_append(struct hs_buf *buf, struct hs_span span, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_buf_append_str(struct hs_buf *buf, const char *text, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_buf_append_format(struct hs_buf *buf, hsmart_err *err, const char *format, ...)
    HSMART_PRINTF(3, 4);

/* Moves what `from` owns to `to`, whose old contents are wiped and freed. */
void hs_buf_move(struct hs_buf *from, struct hs_buf *to);
/* Wipes and frees; repeatable. `max_len` stays. */
void hs_buf_clear(struct hs_buf *buf);
/* The text in the buffer, "" when empty; belongs to the buffer. */
const char *hs_buf_text(const struct hs_buf *buf);
/* The contents as a heap string that the caller releases with `hs_string_free`; the buffer is empty afterwards. */
HSMART_MUST_CHECK enum hsmart_code hs_buf_take_text(struct hs_buf *buf, char **out_text, hsmart_err *err);

/* Heap memory, zeroed; NULL when there is none. Freed with `hs_free`. */
void *hs_calloc(size_t count, size_t size);
void hs_free(void *memory);
/* Grows an array to hold `count` + 1 items, doubling; new items are zero. */
HSMART_MUST_CHECK enum hsmart_code hs_array_grow(void **array, size_t count, size_t item_size, hsmart_err *err);

/* NUL-terminated copies. `hs_strdup_or_null` accepts NULL text and gives NULL. */
HSMART_MUST_CHECK enum hsmart_code hs_strdup(const char *text, char **out_copy, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_strdup_or_null(const char *text, char **out_copy, hsmart_err *err);
/* Wipes and frees. */
void hs_string_free(char *text);

void hs_wipe(void *memory, size_t len);

/* A secret (PIN, client secret) in memory that is locked, left out of core dumps and wiped. Zero is the empty
 * secret. `hs_secret_set` copies at most HS_SECRET_MAX bytes. */
#define HS_SECRET_MAX 1024U
struct hs_secret {
    uint8_t *data;
    size_t len;
};
HSMART_MUST_CHECK enum hsmart_code hs_secret_set(struct hs_secret *secret, struct hs_span value, hsmart_err *err);
void hs_secret_clear(struct hs_secret *secret);

#endif
