/* hsmart-key publish: the JWKS of a family, linted, written whole; or what it would be at another time. */
#include <string.h>

#include "check.h"
#include "err.h"
#include "family_view.h"
#include "key_view.h"
#include "report.h"
#include "verbs.h"

#define PUBLIC_FILE_MODE 0644U

struct publish_options {
    struct cli_common common;
    struct family_words words;
    const char *out, *at, *alg;
};

static const struct cli_option publish_options[] = {
    FAMILY_OPTIONS(struct publish_options),
    {"out", 'o', "FILE", CLI_TEXT, offsetof(struct publish_options, out),
     "write to FILE, which is replaced whole (mode 0644); default: standard output", 0, 0},
    {"alg", 0, "ALG", CLI_TEXT, offsetof(struct publish_options, alg), "default: each key's own", 0, 0},
    {"at", 0, "TIME", CLI_TEXT, offsetof(struct publish_options, at),
     "write nothing; show what would be published and signed with at TIME: now, YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ", 0,
     0},
};
static const struct cli_group publish_group = CLI_GROUP("Publication", publish_options);

/* ---- Another time ---- */

static enum hsmart_code
show_text(const hsmart_family *family, const char *at, struct hs_buf *out, hsmart_err *err)
{
    struct text text = {.out = out};
    struct table uris = {.column_count = KEY_URI_COLUMNS};

    text_put(&text, "family \"");
    text_put_safe(&text, family->label);
    text_put(&text, "\" at %s\n\n", at);
    family_put_table(&text, family);
    text_put(&text, "\n");
    for (size_t i = 0; i < family->count; i++)
        key_put_uri(&uris, hsmart_key_get_info(family->keys[i].key), true);
    table_finish(&uris, &text);
    if (family->active == NULL)
        text_put(&text, "\nNothing can be signed then: no key is active.\n");
    return text_finish(&text, err);
}

static enum hsmart_code
show_json(const hsmart_family *family, const char *at, const char *jwks, struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out, .indent = true};

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "at", at);
    family_put_members(&writer, family);
    hs_json_name(&writer, "jwks");
    if (jwks != NULL)
        hs_json_put_raw(&writer, hs_span_str(jwks));
    else
        hs_json_put_null(&writer);
    hs_json_end_object(&writer);
    enum hsmart_code code = hs_json_writer_finish(&writer, err);
    return code == HSMART_OK ? hs_buf_append_str(out, "\n", err) : code;
}

static enum hsmart_code
show(const struct publish_options *own, const hsmart_family *family, int64_t at_s, hsmart_err *err)
{
    struct hs_buf answer = {.max_len = OUTPUT_MAX_LEN};
    char at[FAMILY_TIME_LEN];
    char *jwks = NULL;
    enum hsmart_code code = hsmart_family_jwks(family, own->alg, &jwks, err);

    if (code == HSMART_KEY_ABSENT)
        code = HSMART_OK; /* nothing to publish then is an answer */
    family_format_time(at_s, at);
    if (code == HSMART_OK)
        code = own->common.json ? show_json(family, at, jwks, &answer, err) : show_text(family, at, &answer, err);
    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&answer), err);
    hs_buf_clear(&answer);
    hsmart_string_free(jwks);
    return code;
}

/* ---- Now ---- */

/* What a server would refuse is not published. */
static enum hsmart_code
lint(const char *jwks, hsmart_err *err)
{
    const struct hs_jwks_expectation expectation = {0};
    struct hs_report report = {0};
    const struct hs_finding *worst = NULL;
    enum hsmart_code code = hs_check_jwks(hs_span_str(jwks), &expectation, &report, err);

    for (size_t i = 0; i < report.count && code == HSMART_OK; i++) {
        if (report.findings[i].severity == HS_SEVERITY_WARNING)
            report_warning("%s: %s", report.findings[i].rule->code, report.findings[i].text);
        else if (worst == NULL)
            worst = &report.findings[i];
    }
    if (worst != NULL) {
        code = hs_err_set(err, HSMART_CHECK_FAILED, "the key set is not published: %s: %s", worst->rule->code,
                          worst->text);
        hs_err_hint(err, "%s", worst->rule->cure);
    }
    hs_report_clear(&report);
    return code;
}

static enum hsmart_code
publish(const struct publish_options *own, const hsmart_family *family, hsmart_err *err)
{
    char *jwks = NULL;
    size_t published = 0;
    enum hsmart_code code = hsmart_family_jwks(family, own->alg, &jwks, err);

    if (code == HSMART_OK)
        code = lint(jwks, err);
    if (code == HSMART_OK)
        code = output_write(own->out, PUBLIC_FILE_MODE, hs_span_str(jwks), err);
    hsmart_string_free(jwks);
    if (code != HSMART_OK)
        return code;
    for (size_t i = 0; i < family->count; i++)
        published += family->keys[i].state != HSMART_KEY_RETIRED;
    if (own->out != NULL)
        report_note("wrote %zu public %s to \"%s\"", published, published == 1 ? "key" : "keys", own->out);
    if (family->active == NULL)
        report_warning("no key of the family \"%s\" is active: nothing can be signed", family->label);
    return HSMART_OK;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    const struct publish_options *own = options;
    struct target target = {0};
    hsmart_family *family = NULL;
    int64_t at_s = 0;
    enum hsmart_code code = output_check(own->out, err);

    (void)call;
    if (code == HSMART_OK && own->at != NULL)
        code = family_parse_time("at", own->at, &at_s, err);
    if (code == HSMART_OK && own->at != NULL && own->out != NULL)
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "--at only shows, and --out has nothing to write");
    if (code == HSMART_OK && own->at == NULL && own->common.json)
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "--json goes with --at; a key set is JSON already");
    if (code == HSMART_OK)
        code = family_open(&own->common, &own->words, own->at != NULL ? &at_s : NULL, &target, &family, err);
    if (code == HSMART_OK)
        code = own->at != NULL ? show(own, family, at_s, err) : publish(own, family, err);
    hsmart_family_free(family);
    target_clear(&target);
    return code;
}

const struct cli_verb verb_publish = {
    .name = "publish",
    .summary = "Writes the JWKS of a family of keys: staged, active and retiring ones.",
    .options_size = sizeof(struct publish_options),
    .groups = {&publish_group, &cli_group_token, &cli_group_general},
    .example = "  hsmart-key publish --key ehr --out /srv/www/jwks.json\n"
               "  hsmart-key publish --key ehr --at 2027-01-01\n",
    .run = run,
};
