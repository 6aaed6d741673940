#include "discovery_cache.h"

#include <stdio.h>

#include "err.h"

/* A line with the two times, then the document as it was received. */
#define FIRST_LINE "hsmart-discovery 1 %lld %lld\n"
#define FIRST_LINE_READ "hsmart-discovery 1 %18lld %18lld%c" /* no more digits than a number has room for */
#define FILE_MAX_LEN (HS_DISCOVERY_MAX_LEN + 128U)

static enum hsmart_code
name_of(const char *fhir_base, char **out_name, hsmart_err *err)
{
    return hs_private_name("discovery-", hs_span_str(fhir_base), out_name, err);
}

static bool
may_be_used(int64_t read_at_s, int64_t expires_at_s, int64_t now_s)
{
    return read_at_s > 0 && now_s >= read_at_s && now_s < expires_at_s &&
           expires_at_s - read_at_s <= HS_DISCOVERY_LIFE_MAX_S;
}

enum hsmart_code
hs_discovery_cache_load(const struct hs_private_directory *directory, const char *fhir_base, int64_t now_s,
                        bool *out_found, struct hs_discovery *out_discovery, hsmart_err *err)
{
    enum hsmart_code code;
    char *name = NULL;
    struct hs_buf text = {0}, url = {0};
    struct hs_discovery discovery = {0};
    long long read_at_s = 0, expires_at_s = 0;
    char end = 0;
    bool found = false;

    code = name_of(fhir_base, &name, err);
    if (code == HSMART_OK)
        code = hs_private_directory_load(directory, name, FILE_MAX_LEN, &text, err);
    if (code != HSMART_OK)
        goto out;
    const char *document = strchr(hs_buf_text(&text), '\n');
    if (document == NULL || sscanf(hs_buf_text(&text), FIRST_LINE_READ, &read_at_s, &expires_at_s, &end) != 3 ||
        end != '\n' || !may_be_used(read_at_s, expires_at_s, now_s))
        goto done;
    size_t before = (size_t)(document + 1 - hs_buf_text(&text));
    struct hs_span json = {text.data + before, text.len - before};
    if (hs_discovery_parse(fhir_base, json, &discovery, NULL) != HSMART_OK)
        goto done; /* it is only a cache */
    code = hs_discovery_url(fhir_base, &url, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&url, &discovery.url, err);
    if (code != HSMART_OK)
        goto out;
    discovery.read_at_s = read_at_s;
    discovery.expires_at_s = expires_at_s;
    hs_discovery_clear(out_discovery);
    *out_discovery = discovery;
    discovery = (struct hs_discovery){0};
    found = true;
done:
    *out_found = found;
out:
    hs_discovery_clear(&discovery);
    hs_buf_clear(&url);
    hs_buf_clear(&text);
    hs_string_free(name);
    return code;
}

enum hsmart_code
hs_discovery_cache_save(const struct hs_private_directory *directory, const char *fhir_base,
                        const struct hs_discovery *discovery, hsmart_err *err)
{
    enum hsmart_code code;
    char *name = NULL;
    struct hs_buf text = {0};

    if (discovery->expires_at_s <= discovery->read_at_s)
        return HSMART_OK;
    code = hs_buf_append_format(&text, err, FIRST_LINE, (long long)discovery->read_at_s,
                                (long long)discovery->expires_at_s);
    if (code == HSMART_OK)
        code = hs_buf_append(&text, hs_span_buf(&discovery->document), err);
    if (code == HSMART_OK)
        code = name_of(fhir_base, &name, err);
    if (code == HSMART_OK)
        code = hs_private_directory_save(directory, name, hs_span_buf(&text), err);
    hs_string_free(name);
    hs_buf_clear(&text);
    return code;
}

void
hs_discovery_cache_forget(const struct hs_private_directory *directory, const char *fhir_base)
{
    char *name = NULL;

    if (name_of(fhir_base, &name, NULL) == HSMART_OK)
        hs_private_directory_remove(directory, name);
    hs_string_free(name);
}
