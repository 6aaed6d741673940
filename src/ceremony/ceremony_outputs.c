/* What people take away: everything is made in memory, written into OUT.partial/new, and appears by one rename. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ceremony_state.h"
#include "check.h"
#include "err.h"
#include "file.h"
#include "plan_files.h"

/* ---- Making ---- */

enum hsmart_code
hs_ceremony_add_output(struct ceremony *ceremony, const char *name, struct hs_buf *contents, hsmart_err *err)
{
    void *outputs = ceremony->outputs;
    enum hsmart_code code = hs_array_grow(&outputs, ceremony->output_count, sizeof *ceremony->outputs, err);

    if (code != HSMART_OK)
        return code;
    ceremony->outputs = outputs;
    struct output *output = &ceremony->outputs[ceremony->output_count];
    code = hs_strdup(name, &output->name, err);
    if (code != HSMART_OK)
        return code;
    hs_buf_move(contents, &output->contents);
    ceremony->output_count++;
    return HSMART_OK;
}

static enum hsmart_code
add_named(struct ceremony *ceremony, const struct ceremony_key *key, enum hs_plan_file kind, struct hs_buf *contents,
          hsmart_err *err)
{
    char name[HS_PLAN_FILE_MAX_LEN];

    hs_plan_file_format(key->plan, kind, name);
    return hs_ceremony_add_output(ceremony, name, contents, err);
}

static enum hsmart_code
add_key(struct ceremony *ceremony, struct ceremony_key *key, hsmart_err *err)
{
    struct hs_buf jwk = {0}, pem = {0}, certificate = {0};
    struct hs_json_writer writer = {.out = &jwk};
    enum hsmart_code code;

    hs_jwk_put(&writer, &key->made.key->jwk, NULL, key->plan->alg);
    code = hs_json_writer_finish(&writer, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(&jwk, "\n", err);
    if (code == HSMART_OK)
        code = add_named(ceremony, key, HS_PLAN_FILE_JWK, &jwk, err);
    if (code == HSMART_OK)
        code = hs_jwk_format_pem(&key->made.key->jwk, &pem, err);
    if (code == HSMART_OK)
        code = add_named(ceremony, key, HS_PLAN_FILE_PEM, &pem, err);
    if (code == HSMART_OK && key->certificate.len > 0) {
        code = hs_buf_append(&certificate, hs_span_buf(&key->certificate), err);
        if (code == HSMART_OK)
            code =
                add_named(ceremony, key,
                          key->plan->certificate == HS_PLAN_REQUEST ? HS_PLAN_FILE_REQUEST : HS_PLAN_FILE_CERTIFICATE,
                          &certificate, err);
    }
    hs_buf_clear(&jwk);
    hs_buf_clear(&pem);
    hs_buf_clear(&certificate);
    return code;
}

/* The set is looked at as a server would, before anybody is given it. */
static enum hsmart_code
lint(struct hs_span jwks, hsmart_err *err)
{
    struct hs_report report = {0};
    enum hsmart_code code = hs_check_jwks(jwks, NULL, &report, err);

    if (code == HSMART_OK && report.error_count > 0)
        code = hs_err_set(err, HSMART_INTERNAL, "the JWK Set of the new keys would be refused: %s",
                          report.findings[0].text);
    hs_report_clear(&report);
    return code;
}

static enum hsmart_code
add_jwks(struct ceremony *ceremony, hsmart_err *err)
{
    struct hs_jwks jwks = {0};
    struct hs_buf text = {0};
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; i < ceremony->plan.key_count && code == HSMART_OK; i++)
        code = hs_jwks_add(&jwks, &ceremony->keys[i].made.key->jwk, NULL, ceremony->keys[i].plan->alg, err);
    if (code == HSMART_OK)
        code = hs_jwks_format(&jwks, &text, err);
    if (code == HSMART_OK)
        code = lint(hs_span_buf(&text), err);
    if (code == HSMART_OK)
        code = hs_ceremony_add_output(ceremony, "jwks.json", &text, err);
    hs_buf_clear(&text);
    hs_jwks_clear(&jwks);
    return code;
}

/* ---- Registration values, by client: the names are those of RFC 7591 ---- */

static bool
names_client(const struct hs_plan_key *key, struct hs_span client)
{
    struct hs_span item = {0};

    for (const char *cursor = key->clients; cursor != NULL && hs_plan_next_item(&cursor, &item);)
        if (hs_span_equal(item, client))
            return true;
    return false;
}

static void
put_client(struct hs_json_writer *writer, const struct ceremony *ceremony, size_t first, struct hs_span client)
{
    hs_json_begin_object(writer);
    hs_json_name(writer, "client_name");
    hs_json_put_span(writer, client);
    hs_json_member_text(writer, "token_endpoint_auth_method", "private_key_jwt");
    hs_json_member_text(writer, "token_endpoint_auth_signing_alg", ceremony->keys[first].plan->alg);
    hs_json_name(writer, "grant_types");
    hs_json_begin_array(writer);
    hs_json_put_text(writer, "client_credentials");
    hs_json_end_array(writer);
    hs_json_name(writer, "jwks");
    hs_json_begin_object(writer);
    hs_json_name(writer, "keys");
    hs_json_begin_array(writer);
    for (size_t i = first; i < ceremony->plan.key_count; i++)
        if (names_client(ceremony->keys[i].plan, client))
            hs_jwk_put(writer, &ceremony->keys[i].made.key->jwk, NULL, ceremony->keys[i].plan->alg);
    hs_json_end_array(writer);
    hs_json_end_object(writer);
    hs_json_end_object(writer);
}

static bool
was_named_before(const struct ceremony *ceremony, size_t before, struct hs_span client)
{
    for (size_t i = 0; i < before; i++)
        if (names_client(ceremony->keys[i].plan, client))
            return true;
    return false;
}

static enum hsmart_code
add_registration(struct ceremony *ceremony, hsmart_err *err)
{
    struct hs_buf text = {0};
    struct hs_json_writer writer = {.out = &text, .indent = true};
    struct hs_span client = {0};
    enum hsmart_code code;

    hs_json_begin_object(&writer);
    hs_json_name(&writer, "clients");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < ceremony->plan.key_count; i++)
        for (const char *cursor = ceremony->keys[i].plan->clients;
             cursor != NULL && hs_plan_next_item(&cursor, &client);)
            if (!was_named_before(ceremony, i, client))
                put_client(&writer, ceremony, i, client);
    hs_json_end_array(&writer);
    hs_json_end_object(&writer);
    code = hs_json_writer_finish(&writer, err);
    if (code == HSMART_OK)
        code = hs_buf_append_str(&text, "\n", err);
    if (code == HSMART_OK)
        code = hs_ceremony_add_output(ceremony, "registration.json", &text, err);
    hs_buf_clear(&text);
    return code;
}

enum hsmart_code
hs_ceremony_make_outputs(struct ceremony *ceremony, hsmart_err *err)
{
    struct hs_buf plan = {0};
    enum hsmart_code code = hs_buf_append(&plan, hs_span_buf(&ceremony->plan.text), err);

    if (code == HSMART_OK)
        code = hs_ceremony_add_output(ceremony, "plan.conf", &plan, err);
    for (size_t i = 0; i < ceremony->plan.key_count && code == HSMART_OK; i++)
        code = add_key(ceremony, &ceremony->keys[i], err);
    if (code == HSMART_OK)
        code = add_jwks(ceremony, err);
    if (code == HSMART_OK)
        code = add_registration(ceremony, err);
    hs_buf_clear(&plan);
    return code;
}

/* ---- Publishing ---- */

/* Our own files, in a directory of ours. */
static void
remove_directory(const char *path)
{
    char file[4096];
    DIR *directory = opendir(path);

    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        (void)snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            (void)unlink(file);
    }
    if (directory != NULL)
        (void)closedir(directory);
    (void)rmdir(path);
}

void
hs_ceremony_remove_partial(const struct ceremony *ceremony)
{
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/new", ceremony->partial);
    remove_directory(path);
    remove_directory(ceremony->partial);
}

static enum hsmart_code
write_outputs(const struct ceremony *ceremony, const char *path, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    char file[4096];

    for (size_t i = 0; i < ceremony->output_count && code == HSMART_OK; i++) {
        int len = snprintf(file, sizeof file, "%s/%s", path, ceremony->outputs[i].name);
        if (len < 0 || (size_t)len >= sizeof file)
            return hs_err_set(err, HSMART_OUTPUT_FAILED, "the path \"%.200s…\" is too long", path);
        code = hs_file_write_atomic(file, hs_span_buf(&ceremony->outputs[i].contents), 0644, err);
    }
    return code;
}

static void
sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

enum hsmart_code
hs_ceremony_publish(struct ceremony *ceremony, hsmart_err *err)
{
    const char *out = ceremony->options->out_directory;
    struct hs_buf path = {0}, above = {0};
    enum hsmart_code code;

    if (mkdir(ceremony->partial, 0700) != 0 && errno != EEXIST)
        return hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot make the directory \"%s\"", ceremony->partial);
    code = hs_buf_append_format(&path, err, "%s/new", ceremony->partial);
    if (code == HSMART_OK)
        code = hs_buf_append_format(&above, err, "%s/..", out);
    if (code != HSMART_OK)
        goto out;
    remove_directory(hs_buf_text(&path));
    if (mkdir(hs_buf_text(&path), 0755) != 0)
        code = hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot make the directory \"%s\"", hs_buf_text(&path));
    if (code == HSMART_OK)
        code = write_outputs(ceremony, hs_buf_text(&path), err);
    if (code != HSMART_OK)
        goto out;
    sync_path(hs_buf_text(&path));
    /* To a directory with something in it rename fails; and that there was none was looked at before. */
    if (chmod(hs_buf_text(&path), 0755) != 0 || rename(hs_buf_text(&path), out) != 0)
        code = hs_err_errno(err, HSMART_OUTPUT_FAILED, errno, "cannot put the results to \"%s\"", out);
    sync_path(ceremony->partial);
    if (code == HSMART_OK)
        sync_path(hs_buf_text(&above)); /* before the journal goes: it tells of the keys otherwise */
out:
    if (code != HSMART_OK && path.len > 0)
        remove_directory(hs_buf_text(&path));
    hs_buf_clear(&path);
    hs_buf_clear(&above);
    return code;
}
