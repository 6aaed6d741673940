#include "lifecycle_file.h"

#include <errno.h>
#include <unistd.h>

#include "err.h"
#include "file.h"
#include "file_lock.h"
#include "json.h"

#define FILE_MAX_LEN (1U << 20)
#define LOCK_WAIT_MS 10000      /* what is done under it takes milliseconds */
#define TIME_MAX_S 253402300799 /* the end of the year 9999 */
#define FILE_MODE 0644U         /* dates and times: every signer reads them */

static struct hs_lifecycle_entry
empty_entry(void)
{
    return (struct hs_lifecycle_entry){
        .start = HS_DAY_NONE, .end = HS_DAY_NONE, .changed_start = HS_DAY_NONE, .max_age_s = -1};
}

void
hs_lifecycle_file_clear(struct hs_lifecycle_file *file)
{
    for (size_t i = 0; i < file->count; i++)
        hs_string_free(file->entries[i].url);
    hs_free(file->entries);
    *file = (struct hs_lifecycle_file){0};
}

struct hs_lifecycle_entry *
hs_lifecycle_file_get(const struct hs_lifecycle_file *file, const char *thumbprint)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->entries[i].thumbprint, thumbprint) == 0)
            return &file->entries[i];
    return NULL;
}

enum hsmart_code
hs_lifecycle_file_put(struct hs_lifecycle_file *file, const char *thumbprint, struct hs_lifecycle_entry **out_entry,
                      hsmart_err *err)
{
    struct hs_lifecycle_entry *entry = hs_lifecycle_file_get(file, thumbprint);
    enum hsmart_code code = HSMART_OK;

    if (entry == NULL) {
        if (file->count == HS_LIFECYCLE_ENTRIES_MAX)
            return hs_err_set(err, HSMART_INPUT_MALFORMED, "there are more than %u keys in it",
                              HS_LIFECYCLE_ENTRIES_MAX);
        code = hs_array_grow((void **)&file->entries, file->count, sizeof *file->entries, err);
        if (code != HSMART_OK)
            return code;
        entry = &file->entries[file->count++];
        *entry = empty_entry();
        memcpy(entry->thumbprint, thumbprint, strnlen(thumbprint, sizeof entry->thumbprint - 1));
    }
    *out_entry = entry;
    return HSMART_OK;
}

/* ---- Reading ---- */

static enum hsmart_code
load_day(const hs_json_value *object, const char *name, hs_day *out_day, hsmart_err *err)
{
    const hs_json_value *value = hs_json_member(object, name);
    const char *text = hs_json_text(value);

    if (hs_json_type_of(value) == HS_JSON_ABSENT || hs_json_type_of(value) == HS_JSON_NULL)
        return HSMART_OK;
    if (text == NULL || hs_day_parse(text, out_day, NULL) != HSMART_OK)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "%s is no day, which is written YYYY-MM-DD", name);
    return HSMART_OK;
}

static enum hsmart_code
load_changed(const hs_json_value *value, struct hs_lifecycle_entry *entry, hsmart_err *err)
{
    if (hs_json_type_of(value) == HS_JSON_ABSENT)
        return HSMART_OK;
    if (hs_json_type_of(value) != HS_JSON_INTEGER || hs_json_integer(value) < 0 || hs_json_integer(value) > TIME_MAX_S)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "\"changed_s\" is no time");
    entry->changed_s = hs_json_integer(value);
    return HSMART_OK;
}

static enum hsmart_code
load_served(const hs_json_value *served, struct hs_lifecycle_entry *entry, hsmart_err *err)
{
    if (hs_json_type_of(served) == HS_JSON_ABSENT)
        return HSMART_OK;
    const hs_json_value *since = hs_json_member(served, "since_s"), *until = hs_json_member(served, "until_s");
    const hs_json_value *max_age = hs_json_member(served, "max_age_s");
    const char *url = hs_json_text(hs_json_member(served, "url"));
    if (url == NULL || hs_json_type_of(since) != HS_JSON_INTEGER || hs_json_type_of(until) != HS_JSON_INTEGER ||
        hs_json_type_of(max_age) != HS_JSON_INTEGER)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "\"served\" needs url, since_s, until_s and max_age_s");
    if (hs_json_integer(since) < 0 || hs_json_integer(since) > TIME_MAX_S || hs_json_integer(until) < 0 ||
        hs_json_integer(until) > TIME_MAX_S || hs_json_integer(max_age) > INT32_MAX)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "\"served\" has a time or an age that cannot be");
    entry->since_s = hs_json_integer(since);
    entry->until_s = hs_json_integer(until);
    entry->max_age_s = hs_json_integer(max_age);
    return hs_strdup(url, &entry->url, err);
}

static enum hsmart_code
load_entry(const hs_json_value *value, struct hs_lifecycle_file *file, hsmart_err *err)
{
    const char *thumbprint = hs_json_text(hs_json_member(value, "thumbprint"));
    struct hs_lifecycle_entry *entry = NULL;
    enum hsmart_code code;

    if (thumbprint == NULL || strlen(thumbprint) != sizeof entry->thumbprint - 1 ||
        hs_lifecycle_file_get(file, thumbprint) != NULL)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "a key has no thumbprint of 43 characters, or one twice");
    code = hs_lifecycle_file_put(file, thumbprint, &entry, err);
    if (code == HSMART_OK)
        code = load_day(value, "start_date", &entry->start, err);
    if (code == HSMART_OK)
        code = load_day(value, "end_date", &entry->end, err);
    if (code == HSMART_OK)
        code = load_day(value, "changed_start_date", &entry->changed_start, err);
    if (code == HSMART_OK)
        code = load_changed(hs_json_member(value, "changed_s"), entry, err);
    if (code == HSMART_OK)
        code = load_served(hs_json_member(value, "served"), entry, err);
    return code;
}

enum hsmart_code
hs_lifecycle_file_load(const char *path, struct hs_lifecycle_file *out_file, hsmart_err *err)
{
    struct hs_buf text = {0};
    struct hs_json_doc doc = {0};
    struct hs_lifecycle_file file = {0};
    enum hsmart_code code;

    if (access(path, F_OK) != 0 && errno == ENOENT) {
        *out_file = file;
        return HSMART_OK;
    }
    code = hs_file_read(path, FILE_MAX_LEN, &text, err);
    if (code == HSMART_OK)
        code = hs_json_parse(hs_span_buf(&text), &doc, err);
    if (code == HSMART_OK && hs_json_type_of(hs_json_member(doc.root, "keys")) != HS_JSON_ARRAY)
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "it has no \"keys\"");
    const hs_json_value *keys = code == HSMART_OK ? hs_json_member(doc.root, "keys") : NULL;
    for (size_t i = 0; i < hs_json_length(keys) && code == HSMART_OK; i++)
        code = load_entry(hs_json_element(keys, i), &file, err);
    hs_json_doc_clear(&doc);
    hs_buf_clear(&text);
    if (code != HSMART_OK) {
        hs_lifecycle_file_clear(&file);
        return hs_err_wrap(err, code, "cannot use the life-cycle file \"%s\"", path);
    }
    *out_file = file;
    return HSMART_OK;
}

/* ---- One at a time ---- */

enum hsmart_code
hs_lifecycle_file_lock(const char *path, int *out_fd, hsmart_err *err)
{
    return hs_file_lock(path, LOCK_WAIT_MS, out_fd, err);
}

void
hs_lifecycle_file_unlock(int fd)
{
    hs_file_unlock(fd);
}

/* ---- Writing ---- */

static void
put_day(struct hs_json_writer *writer, const char *name, hs_day day)
{
    char text[HS_DAY_TEXT_LEN];

    if (day == HS_DAY_NONE)
        return;
    hs_day_format(day, text);
    hs_json_member_text(writer, name, text);
}

static void
put_entry(struct hs_json_writer *writer, const struct hs_lifecycle_entry *entry)
{
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "thumbprint", entry->thumbprint);
    put_day(writer, "start_date", entry->start);
    put_day(writer, "end_date", entry->end);
    if (entry->changed_s != 0)
        hs_json_member_integer(writer, "changed_s", entry->changed_s);
    put_day(writer, "changed_start_date", entry->changed_start);
    if (entry->url != NULL) {
        hs_json_name(writer, "served");
        hs_json_begin_object(writer);
        hs_json_member_text(writer, "url", entry->url);
        hs_json_member_integer(writer, "since_s", entry->since_s);
        hs_json_member_integer(writer, "until_s", entry->until_s);
        hs_json_member_integer(writer, "max_age_s", entry->max_age_s);
        hs_json_end_object(writer);
    }
    hs_json_end_object(writer);
}

enum hsmart_code
hs_lifecycle_file_save(const struct hs_lifecycle_file *file, const char *path, hsmart_err *err)
{
    struct hs_buf text = {0};
    struct hs_json_writer writer = {.out = &text, .indent = true};
    enum hsmart_code code;

    hs_json_begin_object(&writer);
    hs_json_name(&writer, "keys");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < file->count; i++)
        put_entry(&writer, &file->entries[i]);
    hs_json_end_array(&writer);
    hs_json_end_object(&writer);
    code = hs_json_writer_finish(&writer, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(&text, "\n", err);
    if (code == HSMART_OK)
        code = hs_file_write_atomic(path, hs_span_buf(&text), FILE_MODE, err);
    hs_buf_clear(&text);
    return code;
}
