#include "key_view.h"

#include "text.h"

static const char *const answer_words[] = {
    [HSMART_ANSWER_NO] = "no", [HSMART_ANSWER_YES] = "yes", [HSMART_ANSWER_NOT_REPORTED] = "not reported"};

const char *
key_verdict(const hsmart_key_info *info)
{
    switch (info->problem) {
    case HSMART_OK:
        return "ok";
    case HSMART_POLICY_REFUSED:
        return "refused";
    default:
        return "unusable";
    }
}

const char *
key_attribute_verdict(const hsmart_key_attribute *attribute)
{
    if (attribute->reported == attribute->wanted)
        return "ok";
    if (attribute->reported == HSMART_ANSWER_NOT_REPORTED)
        return "not reported";
    return attribute->required ? "FAIL" : "warning";
}

void
key_put_size(struct table *table, const hsmart_key_info *info)
{
    if (info->curve != NULL)
        table_put_format(table, "%s %s", info->type, info->curve);
    else if (info->bits != 0)
        table_put_format(table, "%s %u", info->type, info->bits);
    else
        table_put(table, info->type);
}

/* The id in hex, for a caller who checks `code` once at the end. */
static enum hsmart_code
id_hex(const hsmart_key_info *info, struct hs_buf *out, hsmart_err *err)
{
    return hs_text_append_hex(out, (struct hs_span){info->id, info->id_len}, err);
}

void
key_put_id(struct table *table, const hsmart_key_info *info)
{
    struct hs_buf hex = {0};

    if (table->code == HSMART_OK)
        table->code = id_hex(info, &hex, &table->err);
    table_put(table, hex.len > 0 ? hs_buf_text(&hex) : NULL);
    hs_buf_clear(&hex);
}

void
key_put_uri(struct table *table, const hsmart_key_info *info, bool is_unique)
{
    table_put(table, "");
    table_put(table, info->label);
    table_put_format(table, "%s%s", info->uri, is_unique ? "" : " (not unique: another key has the same label and id)");
}

void
key_put_attributes(struct text *text, const hsmart_key_info *info)
{
    struct table table = {.column_count = 5};
    static const char *const header[] = {"", "ATTRIBUTE", "WANTED", "REPORTED", "VERDICT"};

    for (size_t i = 0; i < HS_ARRAY_LEN(header); i++)
        table_put(&table, header[i]);
    for (size_t i = 0; i < info->attribute_count; i++) {
        const hsmart_key_attribute *attribute = &info->attributes[i];
        table_put(&table, "");
        table_put(&table, attribute->name);
        table_put(&table, answer_words[attribute->wanted]);
        table_put(&table, answer_words[attribute->reported]);
        table_put(&table, key_attribute_verdict(attribute));
    }
    table_finish(&table, text);
}

static void
put_attribute(struct hs_json_writer *writer, const hsmart_key_attribute *attribute)
{
    hs_json_begin_object(writer);
    hs_json_member_text(writer, "name", attribute->name);
    hs_json_member_text(writer, "wanted", answer_words[attribute->wanted]);
    hs_json_member_text(writer, "reported", answer_words[attribute->reported]);
    hs_json_member_boolean(writer, "required", attribute->required);
    hs_json_member_text(writer, "verdict", key_attribute_verdict(attribute));
    hs_json_end_object(writer);
}

void
key_put_members(struct hs_json_writer *writer, const hsmart_key_info *info)
{
    struct hs_buf hex = {0};

    if (writer->code == HSMART_OK)
        writer->code = id_hex(info, &hex, &writer->err);
    hs_json_member_text(writer, "label", info->label);
    hs_json_member_text(writer, "id", hs_buf_text(&hex));
    hs_json_member_text(writer, "uri", info->uri);
    hs_json_member_text(writer, "type", info->type);
    hs_json_member_text(writer, "curve", info->curve);
    hs_json_member_integer(writer, "bits", info->bits);
    hs_json_member_text(writer, "alg", info->alg);
    hs_json_member_text(writer, "thumbprint", info->thumbprint);
    hs_json_member_text(writer, "start_date", info->start_date);
    hs_json_member_text(writer, "end_date", info->end_date);
    hs_json_member_boolean(writer, "has_private", info->has_private);
    hs_json_member_text(writer, "verdict", key_verdict(info));
    hs_json_member_text(writer, "problem", info->problem_text);
    hs_json_name(writer, "attributes");
    hs_json_begin_array(writer);
    for (size_t i = 0; i < info->attribute_count; i++)
        put_attribute(writer, &info->attributes[i]);
    hs_json_end_array(writer);
    hs_buf_clear(&hex);
}
