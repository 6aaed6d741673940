/* URIs: what they match, what they never hold, and that what is written reads back. */
#include <stdio.h>

#include "err.h"
#include "p11_uri.h"
#include "rows.h"

static void
pad(CK_UTF8CHAR *field, size_t len, const char *text)
{
    memset(field, ' ', len);
    memcpy(field, text, strlen(text));
}

static CK_TOKEN_INFO
token_called(const char *label, const char *serial)
{
    CK_TOKEN_INFO token = {0};

    pad(token.label, sizeof token.label, label);
    pad(token.serialNumber, sizeof token.serialNumber, serial);
    pad(token.manufacturerID, sizeof token.manufacturerID, "ACME");
    pad(token.model, sizeof token.model, "HSM 9");
    return token;
}

static struct match {
    const char *name, *uri;
    bool matches;
} matches[] = {
    {"no URI matches everything", NULL, true},
    {"the scheme alone too", "pkcs11:", true},
    {"by label", "pkcs11:token=prod", true},
    {"by serial", "pkcs11:serial=1234", true},
    {"by label and serial", "pkcs11:token=prod;serial=1234", true},
    {"by manufacturer and model", "pkcs11:manufacturer=ACME;model=HSM%209", true},
    {"a key's URI matches the key's token", "pkcs11:token=prod;object=ehr;id=%01;type=private", true},
    {"another label", "pkcs11:token=test", false},
    {"the beginning of a label is not the label", "pkcs11:token=pro", false},
    {"another serial", "pkcs11:token=prod;serial=1235", false},
    {"another model", "pkcs11:model=HSM", false},
    {"the slot by number", "pkcs11:slot-id=7", true},
    {"another slot by number", "pkcs11:slot-id=8", false},
    {"the slot by its description", "pkcs11:slot-description=left", true},
    {"another slot by its description", "pkcs11:slot-description=right", false},
    {"the library", "pkcs11:library-manufacturer=ACME", true},
    {"another library", "pkcs11:library-manufacturer=Emca", false},
    {"a value that is another attribute's name", "pkcs11:token=prod;model=HSM%209;serial=1234;object=serial", true},
    {"attributes of the query do not count", "pkcs11:token=prod?module-path=/nowhere", true},
};

static void
a_uri_matches_its_token_alone(void **state)
{
    const struct match *row = *state;
    CK_TOKEN_INFO token = token_called("prod", "1234");
    CK_SLOT_INFO slot = {0};
    CK_INFO library = {0};
    struct hs_p11_uri *uri = NULL;
    hsmart_err err = {0};

    pad(slot.slotDescription, sizeof slot.slotDescription, "left");
    pad(slot.manufacturerID, sizeof slot.manufacturerID, "ACME");
    pad(library.manufacturerID, sizeof library.manufacturerID, "ACME");
    pad(library.libraryDescription, sizeof library.libraryDescription, "library");
    assert_int_equal(hs_p11_uri_parse(row->uri, &uri, &err), HSMART_OK);
    assert_int_equal(hs_p11_uri_matches_token(uri, &library, 7, &slot, &token), row->matches);
    hs_p11_uri_free(uri);
}

static struct refused {
    const char *name, *uri, *says, *never_says;
} refused[] = {
    {"another scheme", "https://ehr.example/", "does not begin with \"pkcs11:\"", NULL},
    {"no scheme", "prod", "does not begin with \"pkcs11:\"", NULL},
    {"the empty text", "", "does not begin with \"pkcs11:\"", NULL},
    {"a broken escape", "pkcs11:token=%zz", "percent escape", NULL},
    {"an attribute twice", "pkcs11:token=a;token=b", "twice", NULL},
    {"an attribute twice, apart", "pkcs11:token=a;serial=1;token=b", "twice", NULL},
    {"an attribute twice in the query", "pkcs11:?module-path=/a&module-path=/b", "twice", NULL},
    {"a zero byte for a label", "pkcs11:token=%00", "zero byte", NULL},
    {"a zero byte for a serial number", "pkcs11:token=prod;serial=%00", "zero byte", NULL},
    {"a label longer than any", "pkcs11:token=123456789012345678901234567890123", "longer than any token's", NULL},
    {"no value", "pkcs11:token", "syntax", NULL},
    {"an unknown attribute", "pkcs11:tokne=prod", "does not know", NULL},
    {"a PIN", "pkcs11:token=prod?pin-value=0815", "pin-value", "0815"},
    {"a PIN in a broken URI", "pkcs11:token=%zz?pin-value=0815", "pin-value", "0815"},
    {"a PIN source", "pkcs11:token=prod?pin-source=file:/secret/place", "pin-source", "/secret"},
    {"a PIN among the path attributes", "pkcs11:token=prod;pin-value=0815", "pin-value", "0815"},
    {"a PIN after a percent-escaped name", "pkcs11:token=prod?pin%2dvalue=0815", "", "0815"},
};

static void
a_uri_is_refused_with_the_reason(void **state)
{
    const struct refused *row = *state;
    struct hs_p11_uri *uri = NULL;
    hsmart_err err = {0};

    assert_int_equal(hs_p11_uri_parse(row->uri, &uri, &err), HSMART_INVALID_ARGUMENT);
    assert_null(uri);
    if (strstr(err.text, row->says) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, row->says);
    if (row->never_says != NULL)
        assert_null(strstr(err.text, row->never_says));
}

static void
an_object_is_named_by_label_id_and_type(void **state)
{
    struct hs_p11_uri *uri = NULL;
    struct hs_span label = {0}, id = {0};
    CK_OBJECT_CLASS class = 0;

    (void)state;
    assert_int_equal(hs_p11_uri_parse("pkcs11:object=a%3bb;id=%00%ff;type=public", &uri, NULL), HSMART_OK);
    hs_p11_uri_get_object(uri, &label, &id);
    assert_true(hs_span_equal_str(label, "a;b"));
    assert_true(hs_span_equal(id, (struct hs_span){(const uint8_t *)"\x00\xff", 2}));
    assert_true(hs_p11_uri_get_class(uri, &class));
    assert_int_equal(class, CKO_PUBLIC_KEY);
    hs_p11_uri_free(uri);

    assert_int_equal(hs_p11_uri_parse("pkcs11:token=prod", &uri, NULL), HSMART_OK);
    hs_p11_uri_get_object(uri, &label, &id);
    assert_null(label.data);
    assert_null(id.data);
    assert_false(hs_p11_uri_get_class(uri, &class));
    hs_p11_uri_free(uri);
}

static struct written {
    const char *name, *token_label;
    struct hs_span label, id;
} written[] = {
    {"plain names", "prod", {(const uint8_t *)"ehr", 3}, {(const uint8_t *)"\x01\x02", 2}},
    {"no id", "prod", {(const uint8_t *)"ehr", 3}, {NULL, 0}},
    {"no label", "prod", {NULL, 0}, {(const uint8_t *)"\x01", 1}},
    {"characters that a URI reserves", "a;b=c?d", {(const uint8_t *)"x;y&z %", 7}, {(const uint8_t *)"\x3b", 1}},
    {"labels that are not UTF-8", "\xff\xfe", {(const uint8_t *)"\x80\x00\x81", 3}, {(const uint8_t *)"\x00", 1}},
    {"a label of 32 bytes", "0123456789abcdef0123456789abcdef", {(const uint8_t *)"k", 1}, {NULL, 0}},
};

static void
what_is_written_reads_back(void **state)
{
    const struct written *row = *state;
    CK_TOKEN_INFO token = token_called(row->token_label, "1234"), other = token_called(row->token_label, "9");
    struct hs_buf text = {0};
    struct hs_p11_uri *uri = NULL;
    struct hs_span label = {0}, id = {0};
    CK_OBJECT_CLASS class = 0;

    assert_int_equal(hs_p11_uri_format_key(&token, row->label, row->id, &text, NULL), HSMART_OK);
    assert_int_equal(hs_p11_uri_parse(hs_buf_text(&text), &uri, NULL), HSMART_OK);
    assert_true(hs_p11_uri_matches_token(uri, NULL, 0, NULL, &token));
    assert_false(hs_p11_uri_matches_token(uri, NULL, 0, NULL, &other));
    hs_p11_uri_get_object(uri, &label, &id);
    assert_true(hs_span_equal(label, row->label));
    assert_true(hs_span_equal(id, row->id));
    assert_true(hs_p11_uri_get_class(uri, &class) && class == CKO_PRIVATE_KEY);
    hs_p11_uri_free(uri);
    hs_buf_clear(&text);
}

static void
a_tokens_uri_is_the_standard_form(void **state)
{
    CK_TOKEN_INFO token = token_called("prod", "1234");
    struct hs_buf text = {0};

    (void)state;
    assert_int_equal(hs_p11_uri_format_token(&token, &text, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&text), "pkcs11:model=HSM%209;manufacturer=ACME;serial=1234;token=prod");
    hs_buf_clear(&text);
}

int
main(void)
{
    struct rows rows = {0};

    ADD_ROWS(&rows, a_uri_matches_its_token_alone, matches);
    ADD_ROWS(&rows, a_uri_is_refused_with_the_reason, refused);
    ADD_TEST(&rows, an_object_is_named_by_label_id_and_type);
    ADD_ROWS(&rows, what_is_written_reads_back, written);
    ADD_TEST(&rows, a_tokens_uri_is_the_standard_form);
    return rows_run("p11_uri", &rows);
}
