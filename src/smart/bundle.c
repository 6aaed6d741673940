#include "bundle.h"

#include "err.h"
#include "json.h"

/* Walks the members of the outermost object only. What is inside a member is passed over by its brackets and quotes;
 * what is looked at goes through the JSON parser afterwards. */
struct walk {
    const uint8_t *at, *end;
};

static bool
is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
next_is(struct walk *walk, char mark)
{
    while (walk->at < walk->end && is_space(*walk->at))
        walk->at++;
    return walk->at < walk->end && *walk->at == (uint8_t)mark;
}

static bool
pass(struct walk *walk, char mark)
{
    if (!next_is(walk, mark))
        return false;
    walk->at++;
    return true;
}

/* From the opening quote to behind the closing one. */
static bool
pass_string(struct walk *walk, struct hs_span *out_text)
{
    if (!next_is(walk, '"'))
        return false;
    const uint8_t *start = walk->at++;
    while (walk->at < walk->end && *walk->at != '"')
        walk->at += *walk->at == '\\' && walk->end - walk->at > 1 ? 2 : 1;
    if (walk->at >= walk->end)
        return false;
    walk->at++;
    *out_text = (struct hs_span){start, (size_t)(walk->at - start)};
    return true;
}

static bool
pass_value(struct walk *walk, struct hs_span *out_value)
{
    struct hs_span ignored;
    size_t depth = 0;

    (void)next_is(walk, 0);
    const uint8_t *start = walk->at;
    while (walk->at < walk->end) {
        uint8_t c = *walk->at;
        if (depth == 0 && (c == ',' || c == '}'))
            break;
        if (c == '"') {
            if (!pass_string(walk, &ignored))
                return false;
            continue;
        }
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        walk->at++;
    }
    *out_value = (struct hs_span){start, (size_t)(walk->at - start)};
    return depth == 0 && out_value->len > 0;
}

/* The text of a member of the outermost object; the empty span when it has none. False: not an object. */
static bool
find_member(struct hs_span body, const char *quoted_name, struct hs_span *out_value)
{
    struct walk walk = {body.data, body.data};
    struct hs_span name, value;

    *out_value = (struct hs_span){0};
    if (body.len > 0) /* nothing may be added to a NULL pointer, not even 0 */
        walk.end += body.len;
    if (!pass(&walk, '{'))
        return false;
    if (pass(&walk, '}'))
        return true;
    do {
        if (!pass_string(&walk, &name) || !pass(&walk, ':') || !pass_value(&walk, &value))
            return false;
        if (hs_span_equal_str(name, quoted_name)) {
            *out_value = value;
            return true;
        }
    } while (pass(&walk, ','));
    return next_is(&walk, '}');
}

enum hsmart_code
hs_bundle_link(struct hs_span body, const char *relation, struct hs_buf *out_url, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;
    struct hs_span type, links;
    struct hs_json_doc doc = {0};
    struct hs_buf url = {0};

    if (!find_member(body, "\"resourceType\"", &type) || !find_member(body, "\"link\"", &links)) {
        code = hs_err_set(err, HSMART_SERVER_FAILED, "the page is no JSON object");
        goto out;
    }
    while (type.len > 0 && is_space(type.data[type.len - 1]))
        type.len--;
    if (!hs_span_equal_str(type, "\"Bundle\"") || links.len == 0)
        goto done;
    code = hs_json_parse(links, &doc, err);
    if (code != HSMART_OK) {
        code =
            code == HSMART_NO_MEMORY ? code : hs_err_wrap(err, HSMART_SERVER_FAILED, "the Bundle's links are broken");
        goto out;
    }
    for (size_t i = 0; i < hs_json_length(doc.root); i++) {
        const hs_json_value *link = hs_json_element(doc.root, i);
        if (!hs_span_equal_str(hs_json_string(hs_json_member(link, "relation")), relation))
            continue;
        code = hs_buf_append(&url, hs_json_string(hs_json_member(link, "url")), err);
        if (code != HSMART_OK)
            goto out;
        break;
    }
done:
    hs_buf_move(&url, out_url);
out:
    hs_buf_clear(&url);
    hs_json_doc_clear(&doc);
    return code;
}
