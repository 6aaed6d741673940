#include "seen_file.h"

#include <errno.h>
#include <unistd.h>

#include "check.h"
#include "err.h"
#include "file.h"
#include "file_lock.h"

#define SEEN_MAX_LEN (4U << 20)
#define SEEN_FILE_MODE 0600U
#define LOCK_WAIT_MS 10000 /* what is done under it takes milliseconds */

enum { AT_ISSUER, AT_JTI, AT_UNTIL };

static bool
is_entry(const hs_json_value *line)
{
    return hs_json_length(line) == 3 && hs_json_type_of(hs_json_element(line, AT_ISSUER)) == HS_JSON_STRING &&
           hs_json_type_of(hs_json_element(line, AT_JTI)) == HS_JSON_STRING &&
           hs_json_type_of(hs_json_element(line, AT_UNTIL)) == HS_JSON_INTEGER;
}

static enum hsmart_code
read_line(struct seen_file *seen, struct hs_span line, size_t number, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_json_doc doc = {0};

    code = hs_json_parse(line, &doc, err);
    if (code == HSMART_OK && !is_entry(doc.root))
        code = hs_err_set(err, HSMART_INPUT_MALFORMED, "it is no [\"iss\", \"jti\", until]");
    if (code == HSMART_OK)
        code = hs_array_grow((void **)&seen->entries, seen->count, sizeof *seen->entries, err);
    if (code != HSMART_OK) {
        hs_json_doc_clear(&doc);
        code = hs_err_wrap(err, code, "\"%s\", line %zu", seen->path, number);
        hs_err_hint(err, "--seen names a file that this command wrote, or one that does not exist yet");
        return code;
    }
    seen->entries[seen->count++].line = doc;
    return HSMART_OK;
}

enum hsmart_code
seen_file_load(const char *path, int64_t now_s, struct seen_file *out_seen, hsmart_err *err)
{
    struct seen_file seen = {.path = path, .now_s = now_s, .lock = -1};
    struct hs_buf text = {.max_len = SEEN_MAX_LEN};
    enum hsmart_code code = hs_file_lock(path, LOCK_WAIT_MS, &seen.lock, err);

    if (code == HSMART_OK && (access(path, F_OK) == 0 || errno != ENOENT))
        code = hs_file_read(path, SEEN_MAX_LEN, &text, err);
    struct hs_span rest = hs_span_buf(&text);
    for (size_t number = 1; code == HSMART_OK && rest.len > 0; number++) {
        const uint8_t *end = memchr(rest.data, '\n', rest.len);
        size_t len = end != NULL ? (size_t)(end - rest.data) : rest.len;
        if (len > 0)
            code = read_line(&seen, (struct hs_span){rest.data, len}, number, err);
        len += end != NULL ? 1 : 0;
        rest = (struct hs_span){rest.data + len, rest.len - len};
    }
    hs_buf_clear(&text);
    if (code == HSMART_OK)
        *out_seen = seen;
    else
        seen_file_clear(&seen);
    return code;
}

bool
seen_file_has(void *arg, struct hs_span issuer, struct hs_span jti)
{
    struct seen_file *seen = arg;

    hs_buf_clear(&seen->asked_issuer);
    hs_buf_clear(&seen->asked_jti);
    seen->code = hs_buf_append(&seen->asked_issuer, issuer, NULL);
    if (seen->code == HSMART_OK)
        seen->code = hs_buf_append(&seen->asked_jti, jti, NULL);
    for (size_t i = 0; i < seen->count; i++) {
        const hs_json_value *line = seen->entries[i].line.root;
        if (hs_span_equal(hs_json_string(hs_json_element(line, AT_ISSUER)), issuer) &&
            hs_span_equal(hs_json_string(hs_json_element(line, AT_JTI)), jti))
            return true;
    }
    return false;
}

static enum hsmart_code
append_entry(struct hs_buf *out, struct hs_span issuer, struct hs_span jti, int64_t until_s, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out};
    enum hsmart_code code;

    hs_json_begin_array(&writer);
    hs_json_put_span(&writer, issuer);
    hs_json_put_span(&writer, jti);
    hs_json_put_integer(&writer, until_s);
    hs_json_end_array(&writer);
    code = hs_json_writer_finish(&writer, err);
    return code == HSMART_OK ? hs_buf_append_str(out, "\n", err) : code;
}

enum hsmart_code
seen_file_save(struct seen_file *seen, hsmart_err *err)
{
    struct hs_buf text = {.max_len = SEEN_MAX_LEN};
    enum hsmart_code code = seen->code;

    if (code == HSMART_OK && seen->asked_jti.len == 0)
        return HSMART_OK;
    for (size_t i = 0; i < seen->count && code == HSMART_OK; i++) {
        const hs_json_value *line = seen->entries[i].line.root;
        int64_t until_s = hs_json_integer(hs_json_element(line, AT_UNTIL));
        if (until_s >= seen->now_s)
            code = append_entry(&text, hs_json_string(hs_json_element(line, AT_ISSUER)),
                                hs_json_string(hs_json_element(line, AT_JTI)), until_s, err);
    }
    if (code == HSMART_OK)
        code = append_entry(&text, hs_span_buf(&seen->asked_issuer), hs_span_buf(&seen->asked_jti),
                            seen->now_s + HS_JTI_MEMORY_S, err);
    if (code == HSMART_OK)
        code = hs_file_write_atomic(seen->path, hs_span_buf(&text), SEEN_FILE_MODE, err);
    hs_buf_clear(&text);
    return code;
}

void
seen_file_clear(struct seen_file *seen)
{
    for (size_t i = 0; i < seen->count; i++)
        hs_json_doc_clear(&seen->entries[i].line);
    hs_free(seen->entries);
    hs_buf_clear(&seen->asked_issuer);
    hs_buf_clear(&seen->asked_jti);
    if (seen->path != NULL)
        hs_file_unlock(seen->lock);
    *seen = (struct seen_file){0};
}
