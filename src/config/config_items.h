/* The items of a configuration, by kind and name. */
#ifndef HS_CONFIG_ITEMS_H
#define HS_CONFIG_ITEMS_H

#include "config.h"

/* The kinds of section, in the order in which they are read: what is referred to comes first. */
enum hs_config_kind { HS_CONFIG_TOKEN, HS_CONFIG_KEY, HS_CONFIG_CLIENT, HS_CONFIG_KIND_COUNT };

/* The items of a kind begin with their name. */
struct hs_config {
    struct hs_config_items {
        void *items;
        size_t count;
    } kinds[HS_CONFIG_KIND_COUNT];
    char *caveat; /* NULL: none */
};

struct hs_config_kind_row {
    const char *name;
    size_t item_size;
};
extern const struct hs_config_kind_row hs_config_kinds[HS_CONFIG_KIND_COUNT];

/* The name of the item at `index`, and the item of this name; NULL when there is none. */
const char *hs_config_item_name(const struct hs_config *config, enum hs_config_kind kind, size_t index);
const void *hs_config_item(const struct hs_config *config, enum hs_config_kind kind, const char *name);

#endif
