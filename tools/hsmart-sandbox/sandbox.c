#include "sandbox.h"

#include "base64url.h"
#include "clock.h"
#include "err.h"

#define WAIT_SLICE_MS 50U
#define RANDOM_MAX 64U

enum hsmart_code
sandbox_init(struct sandbox *sandbox, const struct sandbox_settings *settings, const char *origin, struct hs_http *http,
             hsmart_err *err)
{
    enum hsmart_code code;
    const struct {
        struct hs_buf *url;
        const char *path;
    } urls[] = {{&sandbox->origin, ""},
                {&sandbox->fhir_base, "/fhir"},
                {&sandbox->token_url, "/auth/token"},
                {&sandbox->register_url, "/auth/register"}};

    sandbox->settings = settings;
    sandbox->access_tokens.max_count = SANDBOX_ACCESS_TOKENS_MAX;
    sandbox->jtis.max_count = SANDBOX_JTIS_MAX;
    for (size_t i = 0; i < HS_ARRAY_LEN(urls); i++) {
        code = hs_buf_append_format(urls[i].url, err, "%s%s", origin, urls[i].path);
        if (code != HSMART_OK)
            return code;
    }
    if (pthread_mutex_init(&sandbox->lock, NULL) != 0)
        return hs_err_no_memory(err);
    sandbox->http = http;
    return HSMART_OK;
}

void
sandbox_clear(struct sandbox *sandbox)
{
    if (sandbox->http != NULL)
        (void)pthread_mutex_destroy(&sandbox->lock);
    hs_http_free(sandbox->http);
    history_clear(&sandbox->history);
    expiring_clear(&sandbox->jtis);
    expiring_clear(&sandbox->access_tokens);
    clients_clear(&sandbox->clients);
    fhir_store_clear(&sandbox->fhir);
    hs_buf_clear(&sandbox->register_url);
    hs_buf_clear(&sandbox->token_url);
    hs_buf_clear(&sandbox->fhir_base);
    hs_buf_clear(&sandbox->origin);
}

int64_t
sandbox_now_s(const struct sandbox *sandbox)
{
    return hs_clock_now_s() + (int64_t)atomic_load(&sandbox->clock_offset_s);
}

void
sandbox_wait_ms(const struct sandbox *sandbox, unsigned ms)
{
    while (ms > 0 && !atomic_load(&sandbox->stopping)) {
        unsigned slice = ms < WAIT_SLICE_MS ? ms : WAIT_SLICE_MS;
        hs_clock_sleep_ms(slice);
        ms -= slice;
    }
}

enum hsmart_code
sandbox_random_text(size_t bytes, struct hs_buf *out, hsmart_err *err)
{
    uint8_t random[RANDOM_MAX];
    enum hsmart_code code = hs_random_bytes(random, bytes < RANDOM_MAX ? bytes : RANDOM_MAX, err);

    if (code == HSMART_OK)
        code = hs_base64url_append(out, (struct hs_span){random, bytes < RANDOM_MAX ? bytes : RANDOM_MAX}, err);
    hs_wipe(random, sizeof random);
    return code;
}
