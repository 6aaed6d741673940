/* Where hsmart.conf is. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "err.h"

static bool
exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* $XDG_CONFIG_HOME counts only when absolute, as its specification says. */
static enum hsmart_code
user_path(struct hs_buf *out_path, hsmart_err *err)
{
    const char *config_home = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (config_home != NULL && config_home[0] == '/')
        return hs_buf_append_format(out_path, err, "%s/hsmart/hsmart.conf", config_home);
    if (home != NULL && home[0] == '/')
        return hs_buf_append_format(out_path, err, "%s/.config/hsmart/hsmart.conf", home);
    return HSMART_OK;
}

static enum hsmart_code
named_path(const char *named, const char *who, struct hs_buf *out_path, hsmart_err *err)
{
    /* One that may not be looked at is there for all we know: reading it tells why it cannot be. */
    if (!exists(named) && (errno == ENOENT || errno == ENOTDIR)) {
        (void)hs_err_set(err, HSMART_CONFIG_INVALID, "there is no configuration file \"%s\", which %s names", named,
                         who);
        hs_err_hint(err,
                    "correct the path; without it, ~/.config/hsmart/hsmart.conf and /etc/hsmart/hsmart.conf are tried");
        return HSMART_CONFIG_INVALID;
    }
    return hs_buf_append_str(out_path, named, err);
}

enum hsmart_code
hs_config_find(const char *given, struct hs_buf *out_path, hsmart_err *err)
{
    struct hs_buf path = {0};
    const char *variable = getenv("HSMART_CONFIG");
    enum hsmart_code code;

    if (given != NULL) {
        code = named_path(given, "--config", &path, err);
        goto out;
    }
    if (variable != NULL && variable[0] != 0) {
        code = named_path(variable, "$HSMART_CONFIG", &path, err);
        goto out;
    }
    code = user_path(&path, err);
    if (code == HSMART_OK && (path.len == 0 || !exists(hs_buf_text(&path)))) {
        hs_buf_clear(&path);
        if (exists("/etc/hsmart/hsmart.conf"))
            code = hs_buf_append_str(&path, "/etc/hsmart/hsmart.conf", err);
    }
out:
    if (code == HSMART_OK)
        hs_buf_move(&path, out_path);
    hs_buf_clear(&path);
    return code;
}
