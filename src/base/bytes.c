#define _GNU_SOURCE /* explicit_bzero, MADV_DONTDUMP */
#include "bytes.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "err.h"

bool
hs_span_equal(struct hs_span a, struct hs_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool
hs_span_equal_str(struct hs_span span, const char *text)
{
    return hs_span_equal(span, hs_span_str(text));
}

struct hs_span
hs_span_trim_zeros(struct hs_span span)
{
    while (span.len > 0 && span.data[0] == 0) {
        span.data++;
        span.len--;
    }
    return span;
}

void
hs_wipe(void *memory, size_t len)
{
    if (memory != NULL)
        explicit_bzero(memory, len);
}

void *
hs_calloc(size_t count, size_t size)
{
    return calloc(count, size);
}

void
hs_free(void *memory)
{
    free(memory);
}

/* Room for `len` bytes and the NUL behind them. The old memory is wiped: realloc would leave a copy behind. The
 * capacity stays within `max_len`, so what fits into it needs no check; only hs_buf_move brings in more. */
enum hsmart_code
hs_buf_reserve(struct hs_buf *buf, size_t len, hsmart_err *err)
{
    if (len < buf->capacity)
        return HSMART_OK;
    size_t max_len = buf->max_len != 0 ? buf->max_len : HS_BUF_MAX_DEFAULT;
    if (len > max_len)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "the data is longer than the %zu bytes allowed", max_len);

    size_t capacity = len + 1;
    if (capacity < 2 * buf->capacity)
        capacity = 2 * buf->capacity;
    if (capacity < 64)
        capacity = 64;
    if (capacity > max_len + 1)
        capacity = max_len + 1;
    uint8_t *data = malloc(capacity);
    if (data == NULL)
        return hs_err_no_memory(err);
    if (buf->len > 0)
        memcpy(data, buf->data, buf->len);
    memset(data + buf->len, 0, capacity - buf->len);
    hs_wipe(buf->data, buf->capacity);
    free(buf->data);
    buf->data = data;
    buf->capacity = capacity;
    return HSMART_OK;
}

enum hsmart_code
hs_buf_resize(struct hs_buf *buf, size_t len, hsmart_err *err)
{
    enum hsmart_code code = hs_buf_reserve(buf, len, err);

    if (code != HSMART_OK)
        return code;
    if (len > buf->len)
        memset(buf->data + buf->len, 0, len - buf->len);
    buf->len = len;
    buf->data[len] = 0;
    return HSMART_OK;
}

enum hsmart_code
hs_buf_append(struct hs_buf *buf, struct hs_span span, hsmart_err *err)
{
    if (span.len >= buf->capacity - buf->len) { /* no room for it and the NUL */
        if (span.len > SIZE_MAX / 4 - buf->len)
            return hs_err_no_memory(err);
        enum hsmart_code code = hs_buf_reserve(buf, buf->len + span.len, err);
        if (code != HSMART_OK)
            return code;
    }
    if (span.len > 0)
        memcpy(buf->data + buf->len, span.data, span.len);
    buf->len += span.len;
    buf->data[buf->len] = 0;
    return HSMART_OK;
}

enum hsmart_code
hs_buf_append_str(struct hs_buf *buf, const char *text, hsmart_err *err)
{
    return hs_buf_append(buf, hs_span_str(text), err);
}

enum hsmart_code
hs_buf_append_format(struct hs_buf *buf, hsmart_err *err, const char *format, ...)
{
    va_list args;
    enum hsmart_code code;

    size_t room = buf->capacity - buf->len;
    va_start(args, format);
    int len = vsnprintf(room > 0 ? (char *)buf->data + buf->len : NULL, room, format, args);
    va_end(args);
    if (room > 0 && (len < 0 || (size_t)len >= room))
        buf->data[buf->len] = 0; /* nothing was appended yet */
    if (len < 0)
        return hs_err_set(err, HSMART_INTERNAL, "a text cannot be formatted");
    if ((size_t)len < room) {
        buf->len += (size_t)len;
        return HSMART_OK;
    }
    code = hs_buf_reserve(buf, buf->len + (size_t)len, err);
    if (code != HSMART_OK)
        return code;
    va_start(args, format);
    (void)vsnprintf((char *)buf->data + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
    return HSMART_OK;
}

void
hs_buf_move(struct hs_buf *from, struct hs_buf *to)
{
    if (from == to)
        return;
    hs_buf_clear(to);
    to->data = from->data;
    to->len = from->len;
    to->capacity = from->capacity;
    *from = (struct hs_buf){.max_len = from->max_len};
}

void
hs_buf_clear(struct hs_buf *buf)
{
    hs_wipe(buf->data, buf->capacity);
    free(buf->data);
    *buf = (struct hs_buf){.max_len = buf->max_len};
}

const char *
hs_buf_text(const struct hs_buf *buf)
{
    return buf->data != NULL ? (const char *)buf->data : "";
}

enum hsmart_code
hs_buf_take_text(struct hs_buf *buf, char **out_text, hsmart_err *err)
{
    enum hsmart_code code = hs_buf_reserve(buf, buf->len, err);

    if (code != HSMART_OK)
        return code;
    *out_text = (char *)buf->data;
    *buf = (struct hs_buf){.max_len = buf->max_len};
    return HSMART_OK;
}

enum hsmart_code
hs_array_grow(void **array, size_t count, size_t item_size, hsmart_err *err)
{
    /* Capacity is not kept: it is the power of two at or above the count. */
    if (count != 0 && (count & (count - 1)) != 0)
        return HSMART_OK;
    size_t capacity = count == 0 ? 1 : 2 * count;
    void *grown = calloc(capacity, item_size);
    if (grown == NULL)
        return hs_err_no_memory(err);
    if (count > 0)
        memcpy(grown, *array, count * item_size);
    free(*array);
    *array = grown;
    return HSMART_OK;
}

enum hsmart_code
hs_strdup(const char *text, char **out_copy, hsmart_err *err)
{
    char *copy = strdup(text);

    if (copy == NULL)
        return hs_err_no_memory(err);
    *out_copy = copy;
    return HSMART_OK;
}

enum hsmart_code
hs_strdup_or_null(const char *text, char **out_copy, hsmart_err *err)
{
    if (text == NULL) {
        *out_copy = NULL;
        return HSMART_OK;
    }
    return hs_strdup(text, out_copy, err);
}

void
hs_string_free(char *text)
{
    if (text == NULL)
        return;
    hs_wipe(text, strlen(text));
    free(text);
}

/* ---- Secrets ---- */

/* Most secrets live for a moment, one or two at a time, and to lock memory for each costs more than to send it. So
 * there is one area that is locked once and stays until the process ends; a secret that finds no room there gets a
 * mapping of its own. */
#define SLOTS 16U
static pthread_once_t slots_once = PTHREAD_ONCE_INIT;
static uint8_t *slots;              /* NULL: not to be had */
static _Atomic uint32_t slots_used; /* one bit each */
static _Atomic pid_t slots_locked_by;

/* Best effort: a small RLIMIT_MEMLOCK must not stop a service that works otherwise. */
static uint8_t *
map_locked(size_t len)
{
    uint8_t *data = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (data == MAP_FAILED)
        return NULL;
    (void)mlock(data, len);
    (void)madvise(data, len, MADV_DONTDUMP);
    return data;
}

static void
map_slots(void)
{
    slots = map_locked(SLOTS * HS_SECRET_MAX);
    slots_locked_by = getpid();
}

static uint8_t *
take_slot(void)
{
    (void)pthread_once(&slots_once, map_slots);
    if (slots == NULL)
        return NULL;
    if (atomic_exchange(&slots_locked_by, getpid()) != getpid()) /* a fork unlocks the child's memory */
        (void)mlock(slots, SLOTS * HS_SECRET_MAX);
    for (unsigned i = 0; i < SLOTS; i++)
        if ((atomic_fetch_or(&slots_used, 1U << i) & 1U << i) == 0)
            return slots + (size_t)i * HS_SECRET_MAX;
    return NULL;
}

/* Its number; SLOTS for memory that is none. */
static size_t
slot_of(const uint8_t *data)
{
    size_t at = (size_t)((uintptr_t)data - (uintptr_t)slots);

    return slots != NULL && at < (size_t)SLOTS * HS_SECRET_MAX ? at / HS_SECRET_MAX : SLOTS;
}

enum hsmart_code
hs_secret_set(struct hs_secret *secret, struct hs_span value, hsmart_err *err)
{
    if (value.len > HS_SECRET_MAX)
        return hs_err_set(err, HSMART_PIN_UNAVAILABLE, "the secret is longer than %u bytes", HS_SECRET_MAX);

    uint8_t *data = take_slot();
    if (data == NULL)
        data = map_locked(HS_SECRET_MAX);
    if (data == NULL)
        return hs_err_no_memory(err);
    if (value.len > 0)
        memcpy(data, value.data, value.len);
    hs_secret_clear(secret);
    secret->data = data;
    secret->len = value.len;
    return HSMART_OK;
}

void
hs_secret_clear(struct hs_secret *secret)
{
    size_t slot = slot_of(secret->data);

    hs_wipe(secret->data, secret->data != NULL ? HS_SECRET_MAX : 0);
    if (slot < SLOTS)
        (void)atomic_fetch_and(&slots_used, ~(1U << slot));
    else if (secret->data != NULL)
        (void)munmap(secret->data, HS_SECRET_MAX);
    *secret = (struct hs_secret){0};
}
