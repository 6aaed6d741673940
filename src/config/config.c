#include "config_table.h"

#include <confuse.h>
#include <pthread.h>
#include <stdio.h>

#include "config_scan.h"
#include "err.h"
#include "text.h"
#include "trusted_file.h"

#define SECTIONS_MAX 1000U /* of one kind: libconfuse compares each new name with all others */

/* ---- What libconfuse hands over ---- */

/* The value of a setting as it stands in the file. */
struct setting {
    unsigned line;
    char value[];
};

/* libconfuse's scanner is a single one, and its callbacks know nothing of their caller: so one file is read at a
 * time, and here is which. */
static pthread_mutex_t reading_lock = PTHREAD_MUTEX_INITIALIZER;
static struct reading {
    const cfg_t *section; /* the one that is read, and which of its settings were seen */
    uint64_t seen;
    enum hsmart_code code; /* the first failure */
    unsigned line;
    hsmart_err err;
} reading;

/* libconfuse's messages, and ours around the name that they quote. What may be a value is not shown: it may be a
 * misplaced secret. */
static const struct complaint {
    const char *theirs, *before, *after, *hint;
} complaints[] = {
    {"missing equal sign", "\"=\" is missing after \"", "\"", "a setting is written: name = \"value\""},
    {"missing title", "a section \"", "\" has no name", "give it one, to refer to it by: token \"prod\" { … }"},
    {"missing opening brace", "\"{\" is missing after the name of a section \"", "\"",
     "a section is written: token \"prod\" { … }"},
    {"unexpected closing brace", "there is a \"}\" too many", NULL, ""},
    {"found duplicate title", "the name \"", "\" is used twice for this kind of section", "choose another name"},
    {"premature end", "the file ends in the middle of a setting", NULL, "a setting is written: name = \"value\""},
    {"unexpected token", "a name or value is expected here", NULL,
     "a setting is written: name = \"value\"; there are no lists"},
};

static void
fail_at(unsigned line, enum hsmart_code code)
{
    reading.code = code;
    reading.line = line;
}

static bool
is_setting_name(const char *name)
{
    return *name >= 'a' && *name <= 'z' && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == 0;
}

/* The settings that the section `cfg` may have; none for the file itself. */
static enum hsmart_code
list_settings(const cfg_t *cfg, struct hs_buf *out)
{
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; code == HSMART_OK && i < hs_config_setting_count; i++) {
        const struct hs_config_setting *row = &hs_config_settings[i];
        if (strcmp(hs_config_kinds[row->kind].name, cfg->name) == 0 && !hs_config_is_refused(row))
            code = hs_buf_append_format(out, NULL, "%s%s", out->len > 0 ? ", " : "", row->name);
    }
    return code;
}

/* The setting of the section `cfg` whose name is nearest to `name`; NULL when none is near. */
static const char *
nearest_setting(const cfg_t *cfg, const char *name)
{
    const char *nearest = NULL;
    size_t nearest_distance = SIZE_MAX;

    for (size_t i = 0; i < hs_config_setting_count; i++) {
        const struct hs_config_setting *row = &hs_config_settings[i];
        if (strcmp(hs_config_kinds[row->kind].name, cfg->name) != 0 || hs_config_is_refused(row))
            continue;
        size_t distance = hs_text_distance(name, row->name);
        if (distance < nearest_distance) {
            nearest = row->name;
            nearest_distance = distance;
        }
    }
    return nearest != NULL && hs_text_is_near(name, nearest_distance) ? nearest : NULL;
}

/* All names where they fit into a hint, as those of a token and a key do; those of a client are too many. */
static void
complain_of_unknown(const cfg_t *cfg, const char *name)
{
    struct hs_buf names = {0};
    const char *nearest = nearest_setting(cfg, name);

    if (is_setting_name(name))
        (void)hs_err_set(&reading.err, HSMART_CONFIG_INVALID, "there is no setting \"%s\" here", name);
    else
        (void)hs_err_set(&reading.err, HSMART_CONFIG_INVALID, "the name of a setting is expected here");
    if (nearest != NULL)
        hs_err_hint(&reading.err, "did you mean \"%s\"?", nearest);
    else if (strcmp(cfg->name, hs_config_kinds[HS_CONFIG_CLIENT].name) == 0)
        hs_err_hint(&reading.err, "docs/configuration.md lists the settings of a client");
    else if (list_settings(cfg, &names) == HSMART_OK && names.len > 0)
        hs_err_hint(&reading.err, "the settings of a %s are %s", cfg->name, hs_buf_text(&names));
    else
        hs_err_hint(&reading.err, "the sections are token, key and client; other files cannot be included");
    hs_buf_clear(&names);
}

static void
complain(const cfg_t *cfg, char *theirs)
{
    char *name = strchr(theirs, '\'');
    char *end = name != NULL ? strrchr(name + 1, '\'') : NULL;

    if (end != NULL)
        *end = 0;
    name = end != NULL ? name + 1 : theirs + strlen(theirs);
    for (size_t i = 0; i < HS_ARRAY_LEN(complaints); i++) {
        const struct complaint *row = &complaints[i];
        if (strncmp(theirs, row->theirs, strlen(row->theirs)) != 0)
            continue;
        (void)hs_err_set(&reading.err, HSMART_CONFIG_INVALID, "%s%s%s", row->before, row->after != NULL ? name : "",
                         row->after != NULL ? row->after : "");
        hs_err_hint(&reading.err, "%s", row->hint);
        return;
    }
    complain_of_unknown(cfg, name);
}

static void on_error(cfg_t *cfg, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

static void
on_error(cfg_t *cfg, const char *format, va_list args)
{
    char theirs[256];

    if (reading.code != HSMART_OK)
        return;
    (void)vsnprintf(theirs, sizeof theirs, format, args);
    complain(cfg, theirs);
    fail_at((unsigned)cfg->line, HSMART_CONFIG_INVALID);
}

static void
setting_free(void *memory)
{
    struct setting *setting = memory;

    hs_wipe(setting->value, strlen(setting->value));
    hs_free(setting);
}

/* A setting is there: its value and line are kept until every section is known. */
static int
on_setting(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    uint64_t bit = UINT64_C(1) << (opt - cfg->opts);
    size_t len = strlen(value);

    if (reading.section != cfg) {
        reading.section = cfg;
        reading.seen = 0;
    }
    if ((reading.seen & bit) != 0) {
        fail_at((unsigned)cfg->line,
                hs_err_set(&reading.err, HSMART_CONFIG_INVALID, "\"%s\" is set twice in this section", opt->name));
        return -1;
    }
    struct setting *setting = hs_calloc(1, sizeof *setting + len + 1);
    if (setting == NULL) {
        fail_at((unsigned)cfg->line, hs_err_no_memory(&reading.err));
        return -1;
    }
    reading.seen |= bit;
    setting->line = (unsigned)cfg->line;
    memcpy(setting->value, value, len + 1);
    *(struct setting **)result = setting;
    return 0;
}

static int
on_section(cfg_t *cfg, cfg_opt_t *opt)
{
    if (cfg_opt_size(opt) <= SECTIONS_MAX)
        return 0;
    fail_at((unsigned)cfg->line, hs_err_set(&reading.err, HSMART_CONFIG_INVALID,
                                            "there are more than %u sections \"%s\"", SECTIONS_MAX, opt->name));
    return -1;
}

#define SETTINGS_OF_KIND_MAX 63U /* a bit for each in `seen` */

static void
options_of_kind(enum hs_config_kind kind, cfg_opt_t *out_options)
{
    size_t count = 0;

    for (size_t i = 0; i < hs_config_setting_count && count < SETTINGS_OF_KIND_MAX; i++)
        if (hs_config_settings[i].kind == kind)
            out_options[count++] =
                (cfg_opt_t)CFG_PTR_CB(hs_config_settings[i].name, NULL, CFGF_NODEFAULT, on_setting, setting_free);
    out_options[count] = (cfg_opt_t)CFG_END();
}

/* Sections and settings by libconfuse; `out_line` has the line of a failure, 0 when there is none. */
static enum hsmart_code
parse_sections(const char *text, cfg_t **out_cfg, unsigned *out_line, hsmart_err *err)
{
    cfg_opt_t settings[HS_CONFIG_KIND_COUNT][SETTINGS_OF_KIND_MAX + 1];
    cfg_opt_t sections[HS_CONFIG_KIND_COUNT + 1];
    cfg_t *cfg = NULL;

    for (enum hs_config_kind kind = 0; kind < HS_CONFIG_KIND_COUNT; kind++) {
        options_of_kind(kind, settings[kind]);
        sections[kind] = (cfg_opt_t)CFG_SEC(hs_config_kinds[kind].name, settings[kind],
                                            CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
        sections[kind].validcb = on_section;
    }
    sections[HS_CONFIG_KIND_COUNT] = (cfg_opt_t)CFG_END();

    reading = (struct reading){0};
    cfg = cfg_init(sections, CFGF_NONE);
    if (cfg == NULL)
        return hs_err_no_memory(err);
    (void)cfg_set_error_function(cfg, on_error);
    if (cfg_parse_buf(cfg, text) == CFG_SUCCESS) {
        *out_cfg = cfg;
        return HSMART_OK;
    }
    cfg_free(cfg);
    if (reading.code == HSMART_OK) /* without a message it only fails for lack of memory */
        (void)hs_err_no_memory(&reading.err);
    if (err != NULL)
        *err = reading.err;
    *out_line = reading.line;
    return reading.code != HSMART_OK ? reading.code : HSMART_NO_MEMORY;
}

/* ---- From sections to structures ---- */

struct loading {
    cfg_t *cfg;
    struct hs_config *config;
    unsigned line; /* of what is being looked at; 0: of nothing in particular */
    hsmart_err *err;
};

/* NULL when it is not set. */
static const struct setting *
setting_of(cfg_t *section, const char *name)
{
    return cfg_getptr(section, name);
}

static enum hsmart_code
store_setting(struct loading *loading, cfg_t *section, const struct hs_config_setting *row, char *item)
{
    const struct setting *setting = setting_of(section, row->name);
    hsmart_err *err = loading->err;

    if (setting == NULL && row->required) {
        loading->line = (unsigned)section->line;
        (void)hs_err_set(err, HSMART_CONFIG_INVALID, "%s \"%s\" ends here without the setting \"%s\"", section->name,
                         section->title, row->name);
        hs_err_hint(err, "%s is %s", row->name, row->meaning);
        return HSMART_CONFIG_INVALID;
    }
    if (setting == NULL)
        return HSMART_OK;
    loading->line = setting->line;
    return row->type->store(loading->config, row, setting->value, item + row->offset, err);
}

static enum hsmart_code
check_one_method(struct loading *loading, cfg_t *section)
{
    const struct setting *secret = setting_of(section, "client-secret-source");

    if (secret == NULL || setting_of(section, "key") == NULL)
        return HSMART_OK;
    loading->line = secret->line;
    (void)hs_err_set(loading->err, HSMART_CONFIG_INVALID, "client \"%s\" has both \"key\" and \"client-secret-source\"",
                     section->title);
    hs_err_hint(loading->err, "keep key for assertions signed on a token, or client-secret-source for a shared secret");
    return HSMART_CONFIG_INVALID;
}

static enum hsmart_code
load_section(struct loading *loading, enum hs_config_kind kind, cfg_t *section, char *item)
{
    enum hsmart_code code = hs_strdup(section->title, (char **)item, loading->err);

    for (size_t i = 0; code == HSMART_OK && i < hs_config_setting_count; i++)
        if (hs_config_settings[i].kind == kind)
            code = store_setting(loading, section, &hs_config_settings[i], item);
    if (code == HSMART_OK && kind == HS_CONFIG_CLIENT)
        code = check_one_method(loading, section);
    return code;
}

static enum hsmart_code
load_kind(struct loading *loading, enum hs_config_kind kind)
{
    const struct hs_config_kind_row *row = &hs_config_kinds[kind];
    struct hs_config_items *items = &loading->config->kinds[kind];
    size_t count = cfg_size(loading->cfg, row->name);
    enum hsmart_code code = HSMART_OK;

    if (count == 0)
        return HSMART_OK;
    items->items = hs_calloc(count, row->item_size);
    if (items->items == NULL)
        return hs_err_no_memory(loading->err);
    for (; code == HSMART_OK && items->count < count; items->count++)
        code = load_section(loading, kind, cfg_getnsec(loading->cfg, row->name, (unsigned)items->count),
                            (char *)items->items + items->count * row->item_size);
    return code;
}

static enum hsmart_code
set_defaults(struct hs_config *config, hsmart_err *err)
{
    struct hs_config_items *clients = &config->kinds[HS_CONFIG_CLIENT];
    enum hsmart_code code = HSMART_OK;

    for (size_t i = 0; code == HSMART_OK && i < clients->count; i++) {
        struct hs_config_client *client = (struct hs_config_client *)clients->items + i;
        if (client->profile == NULL)
            code = hs_strdup("smart", (char **)&client->profile, err);
    }
    return code;
}

static enum hsmart_code
load_sections(const char *text, struct hs_config **out_config, unsigned *out_line, hsmart_err *err)
{
    struct loading loading = {.err = err};
    enum hsmart_code code;

    (void)pthread_mutex_lock(&reading_lock);
    code = parse_sections(text, &loading.cfg, &loading.line, err);
    (void)pthread_mutex_unlock(&reading_lock);
    if (code != HSMART_OK)
        goto out;
    loading.config = hs_calloc(1, sizeof *loading.config);
    if (loading.config == NULL) {
        code = hs_err_no_memory(err);
        goto out;
    }
    for (enum hs_config_kind kind = 0; kind < HS_CONFIG_KIND_COUNT && code == HSMART_OK; kind++)
        code = load_kind(&loading, kind);
    if (code == HSMART_OK)
        code = set_defaults(loading.config, err);
    if (code == HSMART_OK) {
        *out_config = loading.config;
        loading.config = NULL;
    }
out:
    *out_line = loading.line;
    hs_config_free(loading.config);
    if (loading.cfg != NULL)
        cfg_free(loading.cfg);
    return code;
}

static enum hsmart_code
parse_text(struct hs_span text, const char *file, struct hs_config **out_config, hsmart_err *err)
{
    struct hs_buf clean = {0};
    unsigned line = 0;
    enum hsmart_code code = HSMART_OK;

    if (text.len > HS_CONFIG_MAX_LEN)
        code =
            hs_err_set(err, HSMART_CONFIG_INVALID, "the file is longer than the %u bytes allowed", HS_CONFIG_MAX_LEN);
    if (code == HSMART_OK)
        code = hs_config_scan(text, &clean, &line, err);
    if (code == HSMART_OK)
        code = load_sections(hs_buf_text(&clean), out_config, &line, err);
    if (code == HSMART_CONFIG_INVALID)
        (void)(line > 0 ? hs_err_wrap(err, code, "%s:%u", file, line) : hs_err_wrap(err, code, "%s", file));
    hs_buf_clear(&clean);
    return code;
}

enum hsmart_code
hs_config_parse(const char *text, const char *name, struct hs_config **out_config, hsmart_err *err)
{
    return parse_text(hs_span_str(text), name, out_config, err);
}

enum hsmart_code
hs_config_load(const char *path, struct hs_config **out_config, hsmart_err *err)
{
    struct hs_buf text = {.max_len = HS_CONFIG_MAX_LEN}, caveat = {0};
    struct hs_config *config = NULL;
    enum hsmart_code code = hs_trusted_file_read(path, HS_CONFIG_MAX_LEN, &text, &caveat, err);

    if (code != HSMART_OK && code != HSMART_NO_MEMORY)
        code = hs_err_wrap(err, HSMART_CONFIG_INVALID, "cannot read the configuration");
    if (code == HSMART_OK)
        code = parse_text(hs_span_buf(&text), path, &config, err);
    if (code == HSMART_OK && caveat.len > 0)
        code = hs_buf_take_text(&caveat, &config->caveat, err);
    if (code == HSMART_OK) {
        *out_config = config;
        config = NULL;
    }
    hs_config_free(config);
    hs_buf_clear(&caveat);
    hs_buf_clear(&text);
    return code;
}

void
hs_config_free(struct hs_config *config)
{
    if (config == NULL)
        return;
    for (enum hs_config_kind kind = 0; kind < HS_CONFIG_KIND_COUNT; kind++) {
        for (size_t i = 0; i < config->kinds[kind].count; i++) {
            char *item = (char *)config->kinds[kind].items + i * hs_config_kinds[kind].item_size;
            hs_string_free(*(char **)item);
            for (size_t j = 0; j < hs_config_setting_count; j++)
                if (hs_config_settings[j].kind == kind && hs_config_settings[j].type->owned)
                    hs_string_free(*(char **)(item + hs_config_settings[j].offset));
        }
        hs_free(config->kinds[kind].items);
    }
    hs_string_free(config->caveat);
    hs_free(config);
}

const char *
hs_config_get_caveat(const struct hs_config *config)
{
    return config != NULL ? config->caveat : NULL;
}
