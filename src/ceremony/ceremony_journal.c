/* OUT.partial/journal.json is written before a key is asked for: whatever happens then, its id is known, and a key that
 * the token made is found again, never made twice. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ceremony_state.h"
#include "err.h"
#include "file.h"
#include "text.h"

#define JOURNAL_MAX_LEN (256U << 10)
#define JOURNAL_TYPE "hsmart-ceremony-journal"

enum hsmart_code
hs_ceremony_paths(struct ceremony *ceremony, hsmart_err *err)
{
    struct hs_buf partial = {0}, journal = {0};
    const char *out = ceremony->options->out_directory;
    size_t len = strlen(out);
    enum hsmart_code code;

    if (ceremony->journal != NULL)
        return HSMART_OK;
    while (len > 1 && out[len - 1] == '/')
        len--;
    code = hs_buf_append_format(&partial, err, "%.*s.partial", (int)len, out);
    if (code == HSMART_OK)
        code = hs_buf_append_format(&journal, err, "%s/journal.json", hs_buf_text(&partial));
    if (code == HSMART_OK)
        code = hs_buf_take_text(&partial, &ceremony->partial, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&journal, &ceremony->journal, err);
    hs_buf_clear(&partial);
    hs_buf_clear(&journal);
    return code;
}

/* ---- One at a time ---- */

static enum hsmart_code
is_held(const struct ceremony *ceremony, hsmart_err *err)
{
    (void)hs_err_set(err, HSMART_OUTPUT_FAILED, "another process holds a ceremony in \"%s\"", ceremony->partial);
    hs_err_hint(err, "wait for its end, or end it; then run this command again, which says what it left");
    return HSMART_OUTPUT_FAILED;
}

/* Two processes with one journal would each make the keys, or one destroy what the other proves. The lock ends with the
 * process, whatever happens to it. */
static enum hsmart_code
lock(struct ceremony *ceremony, hsmart_err *err)
{
    struct stat locked, there;

    if (ceremony->lock_fd >= 0)
        return HSMART_OK;
    ceremony->lock_fd = open(ceremony->partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ceremony->lock_fd < 0)
        return hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot open the directory \"%s\"", ceremony->partial);
    if (flock(ceremony->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? is_held(ceremony, err)
                                    : hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot lock the directory \"%s\"",
                                                   ceremony->partial);
    /* it may have ended just now, and have taken its directory away */
    if (fstat(ceremony->lock_fd, &locked) != 0 || stat(ceremony->partial, &there) != 0 ||
        locked.st_ino != there.st_ino || locked.st_dev != there.st_dev)
        return is_held(ceremony, err);
    return HSMART_OK;
}

/* At the first key: a ceremony that was begun since the directory was looked at is somebody else's. */
static enum hsmart_code
begin(struct ceremony *ceremony, hsmart_err *err)
{
    enum hsmart_code code;

    if (ceremony->began_work)
        return HSMART_OK;
    if (mkdir(ceremony->partial, 0700) != 0 && errno != EEXIST)
        return hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot make the directory \"%s\"", ceremony->partial);
    code = lock(ceremony, err);
    if (code == HSMART_OK &&
        (access(ceremony->journal, F_OK) == 0 || access(ceremony->options->out_directory, F_OK) == 0))
        code = is_held(ceremony, err);
    return code;
}

/* ---- Writing ---- */

static void
put_key(struct hs_json_writer *writer, const struct ceremony_key *key)
{
    struct hs_buf id = {0};

    if (writer->code == HSMART_OK)
        writer->code = hs_text_append_hex(&id, HS_SPAN_OF(key->id), &writer->err);
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "label", key->plan->label);
    hs_json_member_text(writer, "id", hs_buf_text(&id));
    hs_json_member_boolean(writer, "asked", key->was_asked);
    hs_json_end_object(writer);
    hs_buf_clear(&id);
}

enum hsmart_code
hs_journal_save(struct ceremony *ceremony, hsmart_err *err)
{
    struct hs_buf text = {0};
    struct hs_json_writer writer = {.out = &text, .indent = true};
    char started[HS_TIME_TEXT_MAX];
    enum hsmart_code code;

    hs_time_format(ceremony->started_s, started);
    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "type", JOURNAL_TYPE);
    hs_json_member_integer(&writer, "version", 1);
    hs_json_member_text(&writer, "plan_sha256", ceremony->plan.sha256_hex);
    hs_json_member_text(&writer, "token", hs_p11_token_get_info(ceremony->token)->uri);
    hs_json_name(&writer, "begun");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < ceremony->interruption_count; i++)
        hs_json_put_text(&writer, ceremony->interruptions[i]);
    hs_json_put_text(&writer, started);
    hs_json_end_array(&writer);
    hs_json_name(&writer, "keys");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < ceremony->plan.key_count; i++)
        put_key(&writer, &ceremony->keys[i]);
    hs_json_end_array(&writer);
    hs_json_end_object(&writer);
    code = hs_json_writer_finish(&writer, err);
    if (code == HSMART_OK)
        code = begin(ceremony, err);
    if (code == HSMART_OK)
        code = hs_file_write_atomic(ceremony->journal, hs_span_buf(&text), 0600, err);
    ceremony->began_work = ceremony->began_work || code == HSMART_OK;
    hs_buf_clear(&text);
    return code;
}

/* ---- Reading ---- */

static enum hsmart_code
not_a_journal(const struct ceremony *ceremony, hsmart_err *err)
{
    (void)hs_err_set(err, HSMART_INPUT_MALFORMED, "\"%s\" is not the journal of a ceremony by this plan",
                     ceremony->journal);
    hs_err_hint(err,
                "give the plan and the token with which the ceremony was begun; look at \"hsmart-key list\" for keys "
                "that it left");
    return HSMART_INPUT_MALFORMED;
}

static enum hsmart_code
take_key(struct ceremony *ceremony, const hs_json_value *value, struct ceremony_key *key, hsmart_err *err)
{
    const char *label = hs_json_text(hs_json_member(value, "label")), *hex = hs_json_text(hs_json_member(value, "id"));
    struct hs_buf id = {0};
    enum hsmart_code code = HSMART_OK;

    if (label == NULL || hex == NULL || strcmp(label, key->plan->label) != 0 ||
        hs_text_parse_hex(hex, &id, NULL) != HSMART_OK || id.len != sizeof key->id)
        code = not_a_journal(ceremony, err);
    else
        memcpy(key->id, id.data, sizeof key->id);
    key->was_asked = hs_json_boolean(hs_json_member(value, "asked"));
    hs_buf_clear(&id);
    return code;
}

static enum hsmart_code
take_times(struct ceremony *ceremony, const hs_json_value *begun, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    size_t room = HS_ARRAY_LEN(ceremony->interruptions);
    size_t count = hs_json_length(begun), first = count > room ? count - room : 0;

    for (size_t i = first; code == HSMART_OK && i < count; i++) {
        const char *time = hs_json_text(hs_json_element(begun, i));
        int64_t time_s = 0;
        if (time == NULL || !hs_time_parse(time, &time_s))
            return not_a_journal(ceremony, err);
        code = hs_strdup(time, &ceremony->interruptions[ceremony->interruption_count], err);
        ceremony->interruption_count += code == HSMART_OK;
    }
    return code;
}

static enum hsmart_code
take_journal(struct ceremony *ceremony, const hs_json_value *root, hsmart_err *err)
{
    const hs_json_value *keys = hs_json_member(root, "keys");
    enum hsmart_code code;

    if (!hs_span_equal_str(hs_json_string(hs_json_member(root, "type")), JOURNAL_TYPE) ||
        !hs_span_equal_str(hs_json_string(hs_json_member(root, "plan_sha256")), ceremony->plan.sha256_hex) ||
        !hs_span_equal_str(hs_json_string(hs_json_member(root, "token")),
                           hs_p11_token_get_info(ceremony->token)->uri) ||
        hs_json_length(keys) != ceremony->plan.key_count)
        return not_a_journal(ceremony, err);
    code = take_times(ceremony, hs_json_member(root, "begun"), err);
    for (size_t i = 0; code == HSMART_OK && i < ceremony->plan.key_count; i++)
        code = take_key(ceremony, hs_json_element(keys, i), &ceremony->keys[i], err);
    return code;
}

enum hsmart_code
hs_journal_load(struct ceremony *ceremony, bool *out_found, hsmart_err *err)
{
    struct hs_buf text = {0};
    struct hs_json_doc doc = {0};
    enum hsmart_code code;

    *out_found = access(ceremony->journal, F_OK) == 0;
    if (!*out_found)
        return HSMART_OK;
    code = lock(ceremony, err);
    if (code == HSMART_OK)
        code = hs_file_read(ceremony->journal, JOURNAL_MAX_LEN, &text, err);
    if (code == HSMART_OK && hs_json_parse(hs_span_buf(&text), &doc, NULL) != HSMART_OK)
        code = not_a_journal(ceremony, err);
    if (code == HSMART_OK)
        code = take_journal(ceremony, doc.root, err);
    hs_json_doc_clear(&doc);
    hs_buf_clear(&text);
    return code;
}

void
hs_journal_remove(struct ceremony *ceremony)
{
    hs_ceremony_remove_partial(ceremony);
    ceremony->began_work = false;
}
