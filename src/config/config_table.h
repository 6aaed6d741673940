/* The settings of hsmart.conf: one row each. docs/configuration.md is held against this table. */
#ifndef HS_CONFIG_TABLE_H
#define HS_CONFIG_TABLE_H

#include "config_items.h"

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
