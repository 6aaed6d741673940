/* hsmart-key list: the keys of a token. */
#include <string.h>

#include "key_view.h"
#include "report.h"
#include "target.h"
#include "verbs.h"

struct list_options {
    struct cli_common common;
};

static void
put_row(struct table *table, const hsmart_key_info *info)
{
    table_put(table, info->label[0] != 0 ? info->label : NULL);
    key_put_id(table, info);
    table_put(table, info->thumbprint);
    table_put(table, info->alg);
    key_put_size(table, info);
    table_put(table, info->start_date);
    table_put(table, info->end_date);
    if (info->problem_text != NULL)
        table_put_format(table, "%s: %s", key_verdict(info), info->problem_text);
    else
        table_put(table, key_verdict(info));
}

static bool
is_unique(const hsmart_key_list *list, size_t index)
{
    for (size_t i = 0; i < list->count; i++)
        if (i != index &&
            strcmp(hsmart_key_get_info(list->keys[i])->uri, hsmart_key_get_info(list->keys[index])->uri) == 0)
            return false;
    return true;
}

static void
put_uris(struct text *text, const hsmart_key_list *list)
{
    struct table table = {.column_count = KEY_URI_COLUMNS};

    text_put(text, "\n");
    for (size_t i = 0; i < list->count; i++)
        key_put_uri(&table, hsmart_key_get_info(list->keys[i]), is_unique(list, i));
    table_finish(&table, text);
}

static enum hsmart_code
format_text(const hsmart_key_list *list, struct hs_buf *out, hsmart_err *err)
{
    static const char *const header[] = {"LABEL", "ID", "KID", "ALG", "KEY", "FROM", "UNTIL", "VERDICT"};
    struct table table = {.column_count = HS_ARRAY_LEN(header)};
    struct text text = {.out = out};

    for (size_t i = 0; i < HS_ARRAY_LEN(header); i++)
        table_put(&table, header[i]);
    for (size_t i = 0; i < list->count; i++)
        put_row(&table, hsmart_key_get_info(list->keys[i]));
    table_finish(&table, &text);
    if (list->count > 0)
        put_uris(&text, list);
    return text_finish(&text, err);
}

static enum hsmart_code
format_json(const hsmart_token_info *token, const hsmart_key_list *list, struct hs_buf *out, hsmart_err *err)
{
    struct hs_json_writer writer = {.out = out, .indent = true};

    hs_json_begin_object(&writer);
    hs_json_member_text(&writer, "token", token->uri);
    hs_json_name(&writer, "keys");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < list->count; i++) {
        hs_json_begin_object(&writer);
        key_put_members(&writer, hsmart_key_get_info(list->keys[i]));
        hs_json_end_object(&writer);
    }
    hs_json_end_array(&writer);
    hs_json_end_object(&writer);
    enum hsmart_code code = hs_json_writer_finish(&writer, err);
    return code == HSMART_OK ? hs_buf_append_str(out, "\n", err) : code;
}

static enum hsmart_code
run(const struct cli_call *call, const void *options, hsmart_err *err)
{
    enum hsmart_code code;
    const struct list_options *own = options;
    struct target target = {0};
    hsmart_key_list *list = NULL;
    struct hs_buf answer = {.max_len = OUTPUT_MAX_LEN};

    (void)call;
    code = output_check(NULL, err);
    if (code == HSMART_OK)
        code = target_resolve(&own->common, TARGET_LOGIN, &target, err);
    if (code == HSMART_OK)
        code = target_open(&target, err);
    if (code == HSMART_OK)
        code = hsmart_key_list_read(target.opened, &list, err);
    if (code != HSMART_OK)
        goto out;
    if (list->count == 0)
        report_note("the token has no keys that this user can see");
    code = own->common.json ? format_json(hsmart_token_get_info(target.opened), list, &answer, err)
                            : format_text(list, &answer, err);
    if (code == HSMART_OK)
        code = output_write(NULL, 0, hs_span_buf(&answer), err);
out:
    hs_buf_clear(&answer);
    hsmart_key_list_free(list);
    target_clear(&target);
    return code;
}

const struct cli_verb verb_list = {
    .name = "list",
    .summary = "Lists the keys of a token with kid, algorithm, dates and verdict.",
    .options_size = sizeof(struct list_options),
    .groups = {&cli_group_token, &cli_group_general},
    .example = "  hsmart-key list --module /usr/lib/softhsm/libsofthsm2.so --token-uri 'pkcs11:token=prod' \\\n"
               "      --pin-source file:/etc/hsmart/prod.pin\n",
    .run = run,
};
