#include "http_trust.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "err.h"
#include "file.h"

#define SYSTEM_DIRECTORY "/etc/ssl/certs"
#define BUNDLE_MAX_LEN (4U << 20)

static const char *const system_bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, Red Hat */
    "/etc/ssl/ca-bundle.pem",             /* SUSE */
    "/etc/ssl/cert.pem",                  /* the BSDs */
};

/* ---- Directories ---- */

/* "5ad8a5d6.0": what OpenSSL looks for. */
static bool
is_hashed_name(const char *name)
{
    return strspn(name, "0123456789abcdef") == 8 && name[8] == '.' && strspn(name + 9, "0123456789") > 0;
}

/* Whether one entry is hashed; the error number when the directory cannot be read. */
static bool
is_hashed(const char *path, int *out_error_number)
{
    bool found = false;
    DIR *directory = opendir(path);

    *out_error_number = directory == NULL ? errno : 0;
    if (directory == NULL)
        return false;
    for (const struct dirent *entry = NULL; !found && (entry = readdir(directory)) != NULL;)
        found = is_hashed_name(entry->d_name);
    (void)closedir(directory);
    return found;
}

static enum hsmart_code
check_directory(const char *path, hsmart_err *err)
{
    int error_number = 0;

    if (is_hashed(path, &error_number))
        return HSMART_OK;
    if (error_number != 0)
        return hs_err_errno(err, HSMART_FILE_UNREADABLE, error_number, "cannot read the CA directory \"%s\"", path);
    enum hsmart_code code =
        hs_err_set(err, HSMART_FILE_UNREADABLE, "the CA directory \"%s\" holds no hashed certificate", path);
    hs_err_hint(err, "run: openssl rehash %s", path);
    return code;
}

static const char *
from_environment(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != 0 ? value : NULL;
}

static enum hsmart_code
find_directory(const char *asked_for, struct hs_http_trust *trust, hsmart_err *err)
{
    const char *directory = asked_for;
    int error_number;
    enum hsmart_code code;

    if (directory != NULL) {
        code = check_directory(directory, err);
        if (code != HSMART_OK)
            return code;
    }
    if (directory == NULL)
        directory = from_environment("SSL_CERT_DIR"); /* may be several, with colons: OpenSSL's affair */
    if (directory == NULL && is_hashed(SYSTEM_DIRECTORY, &error_number))
        directory = SYSTEM_DIRECTORY;
    return hs_strdup_or_null(directory, &trust->directory, err);
}

/* ---- Files ---- */

static const char *
system_bundle(void)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(system_bundles); i++)
        if (access(system_bundles[i], R_OK) == 0)
            return system_bundles[i];
    return NULL;
}

static enum hsmart_code
check_file(const char *path, hsmart_err *err)
{
    if (access(path, R_OK) == 0)
        return HSMART_OK;
    return hs_err_errno(err, HSMART_FILE_UNREADABLE, errno, "cannot read the CA certificates in \"%s\"", path);
}

/* libcurl takes one file. */
static enum hsmart_code
join_files(const char *const *files, size_t count, struct hs_buf *bundle, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    struct hs_buf text = {0};

    for (size_t i = 0; i < count && code == HSMART_OK; i++) {
        code = hs_file_read(files[i], BUNDLE_MAX_LEN, &text, err);
        if (code == HSMART_OK)
            code = hs_buf_append(bundle, hs_span_buf(&text), err);
        if (code == HSMART_OK)
            code = hs_buf_append_str(bundle, "\n", err);
    }
    hs_buf_clear(&text);
    return code;
}

static enum hsmart_code
find_files(const char *asked_for, bool instead_of_system, struct hs_http_trust *trust, hsmart_err *err)
{
    const char *files[2] = {0};
    size_t count = 0;
    const char *system = instead_of_system ? NULL : from_environment("SSL_CERT_FILE");
    enum hsmart_code code = HSMART_OK;

    if (system == NULL && trust->directory == NULL)
        system = system_bundle();
    if (asked_for != NULL)
        files[count++] = asked_for;
    if (system != NULL)
        files[count++] = system;
    for (size_t i = 0; i < count && code == HSMART_OK; i++)
        code = check_file(files[i], err);
    if (code != HSMART_OK)
        return code;
    trust->is_set = count > 0 || trust->directory != NULL;
    if (count > 1)
        return join_files(files, count, &trust->bundle, err);
    return hs_strdup_or_null(files[0], &trust->file, err);
}

enum hsmart_code
hs_http_trust_find(const char *ca_file, const char *ca_directory, struct hs_http_trust *out_trust, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_http_trust trust = {.bundle = {.max_len = 2 * BUNDLE_MAX_LEN + 2}};

    code = find_directory(ca_directory, &trust, err);
    if (code != HSMART_OK)
        goto out;
    code = find_files(ca_file, ca_directory != NULL, &trust, err);
    if (code != HSMART_OK)
        goto out;
    *out_trust = trust;
    trust = (struct hs_http_trust){0};
out:
    hs_http_trust_clear(&trust);
    return code;
}

void
hs_http_trust_clear(struct hs_http_trust *trust)
{
    hs_string_free(trust->directory);
    hs_string_free(trust->file);
    hs_buf_clear(&trust->bundle);
    *trust = (struct hs_http_trust){0};
}
