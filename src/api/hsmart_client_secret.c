#include "hsmart_client_secret.h"

#include "clock.h"
#include "err.h"
#include "registration.h"

/* ---- Reading ---- */

static enum hsmart_code
read_registration(const char *path, struct hs_secret *out_secret, hsmart_err *err)
{
    struct hs_registration registration = {0};
    enum hsmart_code code = hs_registration_load(path, &registration, err);

    if (code == HSMART_OK)
        code = hs_registration_secret(&registration, hs_clock_now_s(), out_secret, err);
    hs_registration_clear(&registration);
    return code;
}

static enum hsmart_code
read_source(struct hs_client_secret *secret, struct hs_secret *out_secret, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    if (secret->source.kind->repeatable)
        return hs_pin_source_read(&secret->source, "Client secret", out_secret, err);
    (void)pthread_mutex_lock(&secret->lock);
    if (secret->kept.len == 0)
        code = hs_pin_source_read(&secret->source, "Client secret", &secret->kept, err);
    if (code == HSMART_OK)
        code = hs_secret_set(out_secret, (struct hs_span){secret->kept.data, secret->kept.len}, err);
    (void)pthread_mutex_unlock(&secret->lock);
    return code;
}

static enum hsmart_code
read_secret(void *arg, struct hs_secret *out_secret, hsmart_err *err)
{
    struct hs_client_secret *secret = arg;

    return secret->registration_file != NULL ? read_registration(secret->registration_file, out_secret, err)
                                             : read_source(secret, out_secret, err);
}

struct hs_secret_source
hs_client_secret_source(struct hs_client_secret *secret)
{
    return (struct hs_secret_source){read_secret, secret};
}

/* ---- The object ---- */

enum hsmart_code
hs_client_secret_open(const char *source, const char *registration_file, struct hs_client_secret *out_secret,
                      hsmart_err *err)
{
    struct hs_client_secret secret = {0};
    enum hsmart_code code = HSMART_OK;

    if (source != NULL)
        code = hs_pin_source_parse(source, &secret.source, err);
    if (code == HSMART_OK && source != NULL && secret.source.kind->pinpad)
        code = hs_err_set(err, HSMART_CONFIG_INVALID, "a client secret does not come from a PIN pad");
    if (code == HSMART_OK)
        code = hs_strdup_or_null(source == NULL ? registration_file : NULL, &secret.registration_file, err);
    if (code != HSMART_OK) {
        hs_pin_source_clear(&secret.source);
        return hs_err_wrap(err, code, "the source of the client secret");
    }
    *out_secret = secret;
    (void)pthread_mutex_init(&out_secret->lock, NULL);
    out_secret->is_open = true;
    return HSMART_OK;
}

void
hs_client_secret_close(struct hs_client_secret *secret)
{
    if (!secret->is_open)
        return;
    hs_pin_source_clear(&secret->source);
    hs_string_free(secret->registration_file);
    hs_secret_clear(&secret->kept);
    (void)pthread_mutex_destroy(&secret->lock);
    *secret = (struct hs_client_secret){0};
}
