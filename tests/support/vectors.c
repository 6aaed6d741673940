#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "file.h"
#include "rows.h"
#include "text.h"

void
vectors_load_text(const char *name, struct hs_buf *out_text)
{
    const char *directory = getenv("HSMART_VECTORS");
    char path[4096];

    (void)snprintf(path, sizeof path, "%s/%s", directory != NULL ? directory : "", name);
    if (directory == NULL || access(path, F_OK) != 0) {
        print_message("the vectors %s are not here: skipped\n", name);
        skip();
    }
    assert_int_equal(hs_file_read(path, HS_JSON_MAX_LEN, out_text, NULL), HSMART_OK);
}

void
vectors_load(const char *name, struct hs_json_doc *out_doc)
{
    struct hs_buf text = {0};
    hsmart_err err = {0};

    vectors_load_text(name, &text);
    if (hs_json_parse(hs_span_buf(&text), out_doc, &err) != HSMART_OK)
        fail_msg("%s: %s", name, err.text);
    hs_buf_clear(&text);
}

const char *
vector_text(const hs_json_value *object, const char *name)
{
    const char *text = hs_json_text(hs_json_member(object, name));

    if (text == NULL)
        fail_msg("the vector has no member \"%s\"", name);
    return text;
}

void
vector_hex(const hs_json_value *object, const char *name, struct hs_buf *out_bytes)
{
    assert_int_equal(hs_text_parse_hex(vector_text(object, name), out_bytes, NULL), HSMART_OK);
}
