#include "sections.h"

#include <stdio.h>

#include "config_scan.h"
#include "err.h"
#include "text.h"

#define WORD_MAX_LEN 2000U

/* A position in text that `hs_config_scan` has cleaned: balanced, without comments. */
struct reader {
    const char *at;
    unsigned line;
    const char *file;
    struct hs_sections sections;
    hsmart_err *err;
};

enum hsmart_code
hs_sections_error(hsmart_err *err, const char *file, unsigned line, const char *reason, ...)
{
    char text[400];
    va_list args;

    va_start(args, reason);
    (void)vsnprintf(text, sizeof text, reason, args);
    va_end(args);
    (void)hs_err_set(err, HSMART_INPUT_MALFORMED, "%s:%u: %s", file, line, text);
    hs_err_hint(
        err, "correct the file at this line; docs/ceremony.md and docs/formats/ceremony-plan.md say what may be there");
    return HSMART_INPUT_MALFORMED;
}

static enum hsmart_code
refuse(struct reader *reader, const char *reason)
{
    return hs_sections_error(reader->err, reader->file, reader->line, "%s", reason);
}

/* ---- Words and strings ---- */

static void
skip_space(struct reader *reader)
{
    for (; *reader->at != 0 && strchr(" \t\n", *reader->at) != NULL; reader->at++)
        reader->line += *reader->at == '\n';
}

static bool
is_bare(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("_-.:/@%", c) != NULL);
}

/* What a backslash protects; a line end is joined to the next line and adds nothing. */
static struct hs_span
unescape(struct reader *reader, char quote)
{
    const char *at = reader->at;

    if (at[0] == '\\' && at[1] == '\n') {
        reader->line++;
        reader->at += 2;
        return (struct hs_span){0};
    }
    if (at[0] == '\\' && at[1] != 0 && (quote == '"' || strchr("\\\"'$", at[1]) != NULL))
        reader->at++;
    return (struct hs_span){(const uint8_t *)reader->at++, 1};
}

static enum hsmart_code
read_string(struct reader *reader, struct hs_buf *word)
{
    char quote = *reader->at++;
    enum hsmart_code code = HSMART_OK;

    while (code == HSMART_OK && *reader->at != quote && *reader->at != 0)
        code = hs_buf_append(word, unescape(reader, quote), reader->err);
    if (code == HSMART_OK && *reader->at == quote)
        reader->at++;
    return code;
}

/* A word or a string; HSMART_INPUT_MALFORMED, saying `expected`, when neither stands there. */
static enum hsmart_code
read_word(struct reader *reader, const char *expected, char **out_word)
{
    struct hs_buf word = {.max_len = WORD_MAX_LEN};
    enum hsmart_code code = HSMART_OK;

    skip_space(reader);
    if (*reader->at == '"' || *reader->at == '\'')
        code = read_string(reader, &word);
    else
        for (; code == HSMART_OK && is_bare(*reader->at); reader->at++)
            code = hs_buf_append(&word, (struct hs_span){(const uint8_t *)reader->at, 1}, reader->err);
    if (code == HSMART_INPUT_MALFORMED)
        code = refuse(reader, "a name or value is too long");
    else if (code == HSMART_OK && word.len == 0)
        code = refuse(reader, expected);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&word, out_word, reader->err);
    hs_buf_clear(&word);
    return code;
}

static bool
take_mark(struct reader *reader, char mark)
{
    skip_space(reader);
    if (*reader->at != mark)
        return false;
    reader->at++;
    return true;
}

/* ---- Settings and sections ---- */

static enum hsmart_code
check_is_new(struct reader *reader, const struct hs_section *section, const struct hs_setting *setting)
{
    for (size_t i = 0; i < section->setting_count; i++)
        if (strcmp(section->settings[i].name, setting->name) == 0)
            return hs_sections_error(reader->err, reader->file, setting->line, "\"%s\" is set twice in this section",
                                     setting->name);
    if (section->setting_count == HS_SETTINGS_MAX_COUNT)
        return refuse(reader, "there are too many settings in this section");
    return HSMART_OK;
}

static void
setting_clear(struct hs_setting *setting)
{
    hs_string_free(setting->name);
    hs_string_free(setting->value);
    *setting = (struct hs_setting){0};
}

static enum hsmart_code
read_setting(struct reader *reader, struct hs_section *section)
{
    enum hsmart_code code;
    struct hs_setting setting = {0};
    void *settings = section->settings;

    code = read_word(reader, "the name of a setting, or }, is expected here", &setting.name);
    if (code != HSMART_OK)
        goto out;
    setting.line = reader->line;
    code = check_is_new(reader, section, &setting);
    if (code != HSMART_OK)
        goto out;
    if (!take_mark(reader, '=')) {
        code =
            hs_sections_error(reader->err, reader->file, setting.line, "\"=\" is missing after \"%s\"", setting.name);
        hs_err_hint(reader->err, "a setting is written: name = \"value\"");
        goto out;
    }
    code = read_word(reader, "a value is expected after \"=\"", &setting.value);
    if (code == HSMART_OK)
        code = hs_array_grow(&settings, section->setting_count, sizeof setting, reader->err);
    if (code != HSMART_OK)
        goto out;
    section->settings = settings;
    section->settings[section->setting_count++] = setting;
    setting = (struct hs_setting){0};
out:
    setting_clear(&setting);
    return code;
}

static bool
same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static enum hsmart_code
check_section_is_new(struct reader *reader, const struct hs_section *section)
{
    for (size_t i = 0; i < reader->sections.count; i++) {
        const struct hs_section *other = &reader->sections.items[i];
        if (same_text(other->kind, section->kind) && same_text(other->name, section->name))
            return hs_sections_error(reader->err, reader->file, section->line,
                                     "this section is there already, in line %u", other->line);
    }
    return reader->sections.count < HS_SECTIONS_MAX_COUNT ? HSMART_OK : refuse(reader, "there are too many sections");
}

static void
section_clear(struct hs_section *section)
{
    for (size_t i = 0; i < section->setting_count; i++)
        setting_clear(&section->settings[i]);
    hs_free(section->settings);
    hs_string_free(section->kind);
    hs_string_free(section->name);
    *section = (struct hs_section){0};
}

static enum hsmart_code
read_section(struct reader *reader)
{
    enum hsmart_code code;
    struct hs_section section = {0};
    void *items = reader->sections.items;

    code = read_word(reader, "the kind of a section is expected here", &section.kind);
    section.line = reader->line;
    if (code == HSMART_OK && !take_mark(reader, '{')) {
        code = read_word(reader, "the name of the section, or {, is expected here", &section.name);
        section.line = reader->line;
        if (code == HSMART_OK && !take_mark(reader, '{')) {
            code = refuse(reader, "{ is expected here");
            hs_err_hint(reader->err, "a section is written: key \"name\" { setting = \"value\" }");
        }
    }
    if (code == HSMART_OK)
        code = check_section_is_new(reader, &section);
    while (code == HSMART_OK && !take_mark(reader, '}'))
        code = read_setting(reader, &section);
    section.end_line = reader->line;
    if (code == HSMART_OK)
        code = hs_array_grow(&items, reader->sections.count, sizeof section, reader->err);
    if (code == HSMART_OK) {
        reader->sections.items = items;
        reader->sections.items[reader->sections.count++] = section;
        section = (struct hs_section){0};
    }
    section_clear(&section);
    return code;
}

/* What people read has to be what the parser reads: no character, in a comment either, turns the text around or off. */
static enum hsmart_code
check_is_readable(struct hs_span text, const char *file, hsmart_err *err)
{
    struct hs_buf line = {0};
    enum hsmart_code code = HSMART_OK;

    for (unsigned number = 1; text.len > 0 && code == HSMART_OK; number++) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.data) : text.len;
        hs_buf_clear(&line);
        code = hs_buf_append(&line, (struct hs_span){text.data, len}, err);
        for (size_t i = 0; i < line.len; i++)
            if (line.data[i] == '\t' || line.data[i] == '\r')
                line.data[i] = ' ';
        if (code == HSMART_OK && !hs_text_is_printable(hs_buf_text(&line)))
            code = hs_sections_error(err, file, number,
                                     "a character that turns the direction of the text or is not to be seen is here");
        len += end != NULL;
        text = (struct hs_span){text.data + len, text.len - len};
    }
    hs_buf_clear(&line);
    return code;
}

enum hsmart_code
hs_sections_parse(struct hs_span text, const char *file, struct hs_sections *out_sections, hsmart_err *err)
{
    struct hs_buf clean = {0};
    struct reader reader = {.line = 1, .file = file, .err = err};
    unsigned line = 0;
    enum hsmart_code code;

    if (text.len > HS_SECTIONS_MAX_LEN)
        return hs_err_set(err, HSMART_INPUT_MALFORMED, "%s: it is longer than the %u bytes allowed", file,
                          HS_SECTIONS_MAX_LEN);
    code = hs_config_scan(text, &clean, &line, err);
    if (code == HSMART_CONFIG_INVALID)
        code = hs_err_wrap(err, HSMART_INPUT_MALFORMED, "%s:%u", file, line);
    if (code == HSMART_OK)
        code = check_is_readable(text, file, err);
    reader.at = hs_buf_text(&clean);
    for (skip_space(&reader); code == HSMART_OK && *reader.at != 0; skip_space(&reader))
        code = read_section(&reader);
    if (code == HSMART_OK) {
        *out_sections = reader.sections;
        reader.sections = (struct hs_sections){0};
    }
    hs_sections_clear(&reader.sections);
    hs_buf_clear(&clean);
    return code;
}

void
hs_sections_clear(struct hs_sections *sections)
{
    for (size_t i = 0; i < sections->count; i++)
        section_clear(&sections->items[i]);
    hs_free(sections->items);
    *sections = (struct hs_sections){0};
}

const struct hs_setting *
hs_section_get(const struct hs_section *section, const char *name)
{
    for (size_t i = 0; i < section->setting_count; i++)
        if (strcmp(section->settings[i].name, name) == 0)
            return &section->settings[i];
    return NULL;
}
