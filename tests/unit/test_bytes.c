#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"

static void
a_span_equals_by_content(void **state)
{
    (void)state;
    assert_true(hs_span_equal(span("abc"), span("abc")));
    assert_false(hs_span_equal(span("abc"), span("abd")));
    assert_false(hs_span_equal(span("abc"), span("ab")));
    assert_true(hs_span_equal((struct hs_span){0}, span("")));
    assert_true(hs_span_equal_str(span("kid"), "kid"));
    assert_true(hs_span_equal_str((struct hs_span){0}, NULL));
}

static struct trim {
    const char *name;
    uint8_t bytes[4];
    size_t len, expected_len;
} trims[] = {
    {"nothing to trim", {1, 0, 0, 0}, 4, 4},
    {"leading zeros are trimmed, later ones are not", {0, 0, 5, 0}, 4, 2},
    {"zero alone becomes empty", {0, 0, 0, 0}, 4, 0},
    {"the empty span stays empty", {0}, 0, 0},
};

static void
leading_zeros_are_trimmed(void **state)
{
    const struct trim *row = *state;
    struct hs_span trimmed = hs_span_trim_zeros((struct hs_span){row->bytes, row->len});

    assert_int_equal(trimmed.len, row->expected_len);
    assert_ptr_equal(trimmed.data + trimmed.len, row->bytes + row->len);
}

static void
text_in_a_buffer_is_always_terminated(void **state)
{
    (void)state;
    struct hs_buf buf = {0};

    assert_string_equal(hs_buf_text(&buf), "");
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(hs_buf_append_str(&buf, "x", NULL), HSMART_OK);
        assert_int_equal(strlen(hs_buf_text(&buf)), i + 1);
    }
    assert_int_equal(hs_buf_resize(&buf, 2, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&buf), "xx");
    hs_buf_clear(&buf);
}

static void
new_bytes_are_zero_even_where_others_were_before(void **state)
{
    (void)state;
    struct hs_buf buf = {0};

    assert_int_equal(hs_buf_append_str(&buf, "secret", NULL), HSMART_OK);
    assert_int_equal(hs_buf_resize(&buf, 1, NULL), HSMART_OK);
    assert_int_equal(hs_buf_resize(&buf, 6, NULL), HSMART_OK);
    assert_memory_equal(buf.data, "s\0\0\0\0\0", 6);
    hs_buf_clear(&buf);
}

static void
a_buffer_does_not_grow_beyond_its_limit(void **state)
{
    (void)state;
    struct hs_buf buf = {.max_len = 10};
    hsmart_err err = {0};

    assert_int_equal(hs_buf_append_str(&buf, "0123456789", &err), HSMART_OK);
    assert_int_equal(hs_buf_append_str(&buf, "x", &err), HSMART_INPUT_MALFORMED);
    assert_string_equal(err.text, "the data is longer than the 10 bytes allowed");
    assert_int_equal(hs_buf_resize(&buf, 11, NULL), HSMART_INPUT_MALFORMED);
    assert_int_equal(hs_buf_reserve(&buf, 11, NULL), HSMART_INPUT_MALFORMED);
    assert_int_equal(hs_buf_append_format(&buf, NULL, "%d", 1), HSMART_INPUT_MALFORMED);
    assert_string_equal(hs_buf_text(&buf), "0123456789");
    hs_buf_clear(&buf);
    assert_int_equal(buf.max_len, 10);
}

static void
reserved_room_keeps_the_data_where_it_is(void **state)
{
    (void)state;
    struct hs_buf buf = {0};

    assert_int_equal(hs_buf_reserve(&buf, 1000, NULL), HSMART_OK);
    assert_int_equal(buf.len, 0);
    const uint8_t *data = buf.data;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(hs_buf_append_str(&buf, "x", NULL), HSMART_OK);
    assert_ptr_equal(buf.data, data);
    hs_buf_clear(&buf);
}

static void
formatted_text_is_appended(void **state)
{
    (void)state;
    struct hs_buf buf = {0};

    assert_int_equal(hs_buf_append_str(&buf, "a=", NULL), HSMART_OK);
    assert_int_equal(hs_buf_append_format(&buf, NULL, "%d, %s", 42, "b"), HSMART_OK);
    assert_string_equal(hs_buf_text(&buf), "a=42, b");
    assert_int_equal(hs_buf_append_format(&buf, NULL, "%300d", 7), HSMART_OK); /* more than there is room for */
    assert_int_equal(buf.len, 307);
    assert_int_equal(strlen(hs_buf_text(&buf)), 307);
    assert_memory_equal(hs_buf_text(&buf), "a=42, b ", 8);
    hs_buf_clear(&buf);
}

static void
formatted_text_that_is_too_long_leaves_the_buffer_as_it_was(void **state)
{
    (void)state;
    struct hs_buf buf = {.max_len = 70};

    assert_int_equal(hs_buf_append_str(&buf, "kept", NULL), HSMART_OK);
    assert_int_equal(hs_buf_append_format(&buf, NULL, "%100d", 7), HSMART_INPUT_MALFORMED);
    assert_string_equal(hs_buf_text(&buf), "kept");
    assert_int_equal(buf.len, 4);
    hs_buf_clear(&buf);
}

static void
a_move_leaves_the_source_empty_and_drops_what_was_there(void **state)
{
    (void)state;
    struct hs_buf from = {.max_len = 7}, to = {0};

    assert_int_equal(hs_buf_append_str(&from, "new", NULL), HSMART_OK);
    assert_int_equal(hs_buf_append_str(&to, "old", NULL), HSMART_OK);
    hs_buf_move(&from, &to);
    assert_null(from.data);
    assert_int_equal(from.max_len, 7);
    assert_string_equal(hs_buf_text(&to), "new");
    hs_buf_move(&to, &to);
    assert_string_equal(hs_buf_text(&to), "new");
    hs_buf_clear(&to);
    hs_buf_clear(&to);
}

static void
taken_text_belongs_to_the_caller(void **state)
{
    (void)state;
    struct hs_buf buf = {0};
    char *text = NULL;

    assert_int_equal(hs_buf_append_str(&buf, "text", NULL), HSMART_OK);
    assert_int_equal(hs_buf_take_text(&buf, &text, NULL), HSMART_OK);
    assert_string_equal(text, "text");
    assert_null(buf.data);
    hs_string_free(text);
    assert_int_equal(hs_buf_take_text(&buf, &text, NULL), HSMART_OK);
    assert_string_equal(text, "");
    hs_string_free(text);
    hs_string_free(NULL);
}

static void
an_array_grows_by_doubling_and_keeps_its_items(void **state)
{
    (void)state;
    int *numbers = NULL;

    for (int i = 0; i < 100; i++) {
        assert_int_equal(hs_array_grow((void **)&numbers, (size_t)i, sizeof *numbers, NULL), HSMART_OK);
        assert_int_equal(numbers[i], 0);
        numbers[i] = i;
        for (int j = 0; j <= i; j++)
            assert_int_equal(numbers[j], j);
    }
    hs_free(numbers);
}

static void
copies_are_separate_and_null_stays_null(void **state)
{
    (void)state;
    char *copy = NULL;

    assert_int_equal(hs_strdup("kid", &copy, NULL), HSMART_OK);
    assert_string_equal(copy, "kid");
    hs_string_free(copy);
    copy = (char *)(uintptr_t)1;
    assert_int_equal(hs_strdup_or_null(NULL, &copy, NULL), HSMART_OK);
    assert_null(copy);
}

static void
a_secret_is_replaced_and_bounded(void **state)
{
    (void)state;
    struct hs_secret secret = {0};
    uint8_t long_value[HS_SECRET_MAX + 1] = {0};
    hsmart_err err = {0};

    assert_int_equal(hs_secret_set(&secret, span("1234"), NULL), HSMART_OK);
    assert_int_equal(hs_secret_set(&secret, span("98765"), NULL), HSMART_OK);
    assert_true(hs_span_equal_str((struct hs_span){secret.data, secret.len}, "98765"));
    assert_int_equal(hs_secret_set(&secret, HS_SPAN_OF(long_value), &err), HSMART_PIN_UNAVAILABLE);
    assert_string_equal(err.text, "the secret is longer than 1024 bytes");
    assert_int_equal(secret.len, 5);
    hs_secret_clear(&secret);
    assert_null(secret.data);
    hs_secret_clear(&secret);
}

#define MANY 40 /* more than there are places for */

static void
many_secrets_are_apart_and_wiped_when_they_go(void **state)
{
    (void)state;
    struct hs_secret secrets[MANY] = {0};
    char text[40];

    for (int round = 0; round < 2; round++) { /* the second finds the places of the first */
        for (int i = 0; i < MANY; i++) {
            (void)snprintf(text, sizeof text, "secret %d.%d", round, i);
            assert_int_equal(hs_secret_set(&secrets[i], hs_span_str(text), NULL), HSMART_OK);
            for (size_t at = secrets[i].len; at < HS_SECRET_MAX; at++)
                assert_int_equal(secrets[i].data[at], 0);
        }
        for (int i = 0; i < MANY; i++) {
            (void)snprintf(text, sizeof text, "secret %d.%d", round, i);
            assert_true(hs_span_equal_str((struct hs_span){secrets[i].data, secrets[i].len}, text));
            hs_secret_clear(&secrets[i]);
        }
    }
}

/* Whether the memory at `data` has a flag in /proc/self/smaps: "lo" locked, "dd" left out of core dumps. */
static bool
has_flag(const uint8_t *data, const char *flag)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[1024];
    bool inside = false, found = false;

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) {
        uintptr_t from = 0, to = 0;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
            inside = (uintptr_t)data >= from && (uintptr_t)data < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line, flag) != NULL;
    }
    (void)fclose(maps);
    return found;
}

/* Not where the limit is small, nor under a sanitizer, which lets mlock do nothing. */
static bool
can_lock(void)
{
    const size_t len = MANY * 4096UL;
    void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return false;
    bool locked = mlock(memory, len) == 0 && has_flag(memory, " lo");
    (void)munmap(memory, len);
    return locked;
}

static bool
is_guarded(void)
{
    struct hs_secret secrets[MANY] = {0};
    bool guarded = true, may_lock = can_lock();

    for (int i = 0; i < MANY; i++)
        guarded = guarded && hs_secret_set(&secrets[i], hs_span_str("x"), NULL) == HSMART_OK &&
                  has_flag(secrets[i].data, " dd") && (!may_lock || has_flag(secrets[i].data, " lo"));
    for (int i = 0; i < MANY; i++)
        hs_secret_clear(&secrets[i]);
    return guarded;
}

static void
secrets_are_locked_and_not_dumped_after_a_fork_too(void **state)
{
    (void)state;
    int status = 0;

    assert_true(is_guarded());
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(is_guarded() ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int
main(void)
{
    static struct rows rows;

    ADD_TEST(&rows, a_span_equals_by_content);
    ADD_ROWS(&rows, leading_zeros_are_trimmed, trims);
    ADD_TEST(&rows, text_in_a_buffer_is_always_terminated);
    ADD_TEST(&rows, new_bytes_are_zero_even_where_others_were_before);
    ADD_TEST(&rows, a_buffer_does_not_grow_beyond_its_limit);
    ADD_TEST(&rows, reserved_room_keeps_the_data_where_it_is);
    ADD_TEST(&rows, formatted_text_is_appended);
    ADD_TEST(&rows, formatted_text_that_is_too_long_leaves_the_buffer_as_it_was);
    ADD_TEST(&rows, a_move_leaves_the_source_empty_and_drops_what_was_there);
    ADD_TEST(&rows, taken_text_belongs_to_the_caller);
    ADD_TEST(&rows, an_array_grows_by_doubling_and_keeps_its_items);
    ADD_TEST(&rows, copies_are_separate_and_null_stays_null);
    ADD_TEST(&rows, a_secret_is_replaced_and_bounded);
    ADD_TEST(&rows, many_secrets_are_apart_and_wiped_when_they_go);
    ADD_TEST(&rows, secrets_are_locked_and_not_dumped_after_a_fork_too);
    return rows_run("bytes", &rows);
}
