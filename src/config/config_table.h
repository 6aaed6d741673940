/* The settings of hsmart.conf: one row each. docs/configuration.md is held against this table. */
#ifndef HS_CONFIG_TABLE_H
#define HS_CONFIG_TABLE_H

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

struct hs_config_setting;

/* A type of setting: how its value is checked, and put into the field. */
struct hs_config_type {
    const char *name; /* as in the document */
    bool owned;       /* the field is a string that the configuration frees */
    enum hsmart_code (*store)(const struct hs_config *config, const struct hs_config_setting *row, const char *value,
                              void *field, hsmart_err *err);
};

struct hs_config_setting {
    enum hs_config_kind kind;
    const char *name;
    const struct hs_config_type *type;
    size_t offset; /* of the field in the kind's structure */
    bool required;
    long min, max; /* numbers */
    enum hs_config_kind refers_to; /* references */
    const char *words;    /* sources and words: which may be named; refused settings: what to use instead */
    const char *fallback; /* what holds when it is not set, in words */
    const char *meaning;
};
extern const struct hs_config_setting hs_config_settings[];
extern const size_t hs_config_setting_count;

/* A setting that is known only to be refused, since its value would be a secret. */
bool hs_config_is_refused(const struct hs_config_setting *row);

#endif
