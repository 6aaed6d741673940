#include "config_items.h"

#include "err.h"

const struct hs_config_kind_row hs_config_kinds[HS_CONFIG_KIND_COUNT] = {
    [HS_CONFIG_TOKEN] = {"token", sizeof(struct hs_config_token)},
    [HS_CONFIG_KEY] = {"key", sizeof(struct hs_config_key)},
    [HS_CONFIG_CLIENT] = {"client", sizeof(struct hs_config_client)},
};

static const char *
item_at(const struct hs_config *config, enum hs_config_kind kind, size_t index)
{
    return (const char *)config->kinds[kind].items + index * hs_config_kinds[kind].item_size;
}

const char *
hs_config_item_name(const struct hs_config *config, enum hs_config_kind kind, size_t index)
{
    return index < config->kinds[kind].count ? *(const char *const *)(const void *)item_at(config, kind, index) : NULL;
}

const void *
hs_config_item(const struct hs_config *config, enum hs_config_kind kind, const char *name)
{
    if (config == NULL)
        return NULL;
    if (name == NULL)
        return config->kinds[kind].count == 1 ? item_at(config, kind, 0) : NULL;
    for (size_t i = 0; i < config->kinds[kind].count; i++)
        if (strcmp(hs_config_item_name(config, kind, i), name) == 0)
            return item_at(config, kind, i);
    return NULL;
}

const struct hs_config_token *
hs_config_get_token(const struct hs_config *config, const char *name)
{
    return hs_config_item(config, HS_CONFIG_TOKEN, name);
}

const struct hs_config_key *
hs_config_get_key(const struct hs_config *config, const char *name)
{
    return hs_config_item(config, HS_CONFIG_KEY, name);
}

const struct hs_config_client *
hs_config_get_client(const struct hs_config *config, const char *name)
{
    return hs_config_item(config, HS_CONFIG_CLIENT, name);
}

enum hsmart_code
hs_config_names(const struct hs_config *config, const char *kind, struct hs_buf *out, hsmart_err *err)
{
    struct hs_buf names = {0};
    enum hsmart_code code = HSMART_OK;

    for (enum hs_config_kind k = 0; config != NULL && k < HS_CONFIG_KIND_COUNT; k++) {
        if (strcmp(hs_config_kinds[k].name, kind) != 0)
            continue;
        for (size_t i = 0; code == HSMART_OK && i < config->kinds[k].count; i++)
            code = hs_buf_append_format(&names, err, "%s%s", i > 0 ? ", " : "", hs_config_item_name(config, k, i));
    }
    if (code == HSMART_OK)
        hs_buf_move(&names, out);
    hs_buf_clear(&names);
    return code;
}
