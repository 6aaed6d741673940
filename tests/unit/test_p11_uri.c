/* URIs: what they match, what they never hold, and that what is written reads back; all of it as p11-kit has it. */
#include <p11-kit/uri.h>
#include <stdio.h>
#include <stdlib.h>

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
    {"the library's version", "pkcs11:library-version=2.40", true},
    {"another library's version", "pkcs11:library-version=2.4", false},
    {"the library's version without its minor number", "pkcs11:library-version=2", false},
    {"the scheme in capitals", "PKCS11:token=test", false},
    {"no label", "pkcs11:token=", false},
    {"a label that ends in a space", "pkcs11:token=prod%20", true},
    {"an equals sign in a value", "pkcs11:token=prod=", false},
    {"an empty query", "pkcs11:token=prod?", true},
    {"a question mark in the query", "pkcs11:token=prod?module-path=/a?b&x-y=%20", true},
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
    library.libraryVersion = (CK_VERSION){2, 40};
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
    {"a PIN under another name, and a broken escape", "pkcs11:token=a;my-pin=0815;serial=%zz", "\"pkcs11:token=a;my-\"",
     "0815"},
    {"an attribute twice", "pkcs11:token=a;token=b", "twice", NULL},
    {"an attribute twice, apart", "pkcs11:token=a;serial=1;token=b", "twice", NULL},
    {"an attribute twice in the query", "pkcs11:?module-path=/a&module-path=/b", "twice", NULL},
    {"a zero byte for a label", "pkcs11:token=%00", "zero byte", NULL},
    {"a zero byte for a serial number", "pkcs11:token=prod;serial=%00", "zero byte", NULL},
    {"a label longer than any", "pkcs11:token=123456789012345678901234567890123", "longer than any token's", NULL},
    {"a zero byte for a slot", "pkcs11:slot-description=%00", "zero byte", NULL},
    {"no value", "pkcs11:token", "syntax", NULL},
    {"no name", "pkcs11:=prod", "syntax", NULL},
    {"an empty attribute, after which p11-kit reads no more", "pkcs11:token=prod;;serial=1", "syntax", NULL},
    {"an empty attribute at the beginning", "pkcs11:;token=prod", "syntax", NULL},
    {"an empty attribute at the end", "pkcs11:token=prod;", "syntax", NULL},
    {"no value in the query", "pkcs11:token=prod?module-path", "syntax", NULL},
    {"an empty attribute in the query", "pkcs11:token=prod?a=b&", "syntax", NULL},
    {"a broken escape in the query", "pkcs11:token=prod?module-path=%2", "percent escape", NULL},
    {"an escape that is cut off", "pkcs11:token=prod%4", "percent escape", NULL},
    {"a percent sign at the end", "pkcs11:id=%", "percent escape", NULL},
    {"white space, which p11-kit drops", "pkcs11:token=the token", "a space in a label is written %20", NULL},
    {"a line end", "pkcs11:token=prod\n", "white space", NULL},
    {"a slot that is none", "pkcs11:slot-id=first", "not a slot's number", NULL},
    {"no slot", "pkcs11:slot-id=", "not a slot's number", NULL},
    {"a slot that is every slot to p11-kit", "pkcs11:slot-id=18446744073709551615", "not a slot's number", NULL},
    {"a slot's number that overflows", "pkcs11:slot-id=99999999999999999999", "not a slot's number", NULL},
    {"a version of three numbers", "pkcs11:library-version=1.2.3", "library version", NULL},
    {"a version that is too large", "pkcs11:library-version=1.255", "library version", NULL},
    {"a version without its minor number", "pkcs11:library-version=1.", "library version", NULL},
    {"no version", "pkcs11:library-version=", "library version", NULL},
    {"an unknown type", "pkcs11:type=key", "does not know", NULL},
    {"an unknown attribute", "pkcs11:tokne=prod", "does not know", NULL},
    {"a PIN", "pkcs11:token=prod?pin-value=0815", "pin-value", "0815"},
    {"a PIN in a broken URI", "pkcs11:token=%zz?pin-value=0815", "pin-value", "0815"},
    {"a PIN source", "pkcs11:token=prod?pin-source=file:/secret/place", "pin-source", "/secret"},
    {"a PIN among the path attributes", "pkcs11:token=prod;pin-value=0815", "pin-value", "0815"},
    {"a PIN after a percent-escaped name", "pkcs11:token=prod?pin%2dvalue=0815", "", "0815"},
    {"a PIN after an escaped name in the path", "pkcs11:token=prod;p%69n-value=0815", "syntax", "0815"},
    {"a PIN after an escaped name at the beginning", "pkcs11:%70in-value=0815;token=prod", "syntax", "0815"},
};

static void
a_uri_is_refused_with_the_reason(void **state)
{
    const struct refused *row = *state;
    struct hs_p11_uri *uri = NULL;
    hsmart_err err = {0};

    assert_int_equal(hs_p11_uri_parse(row->uri, &uri, &err), HSMART_INVALID_ARGUMENT);
    assert_null(uri);
    if (strstr(err.text, row->says) == NULL && strstr(err.hint, row->says) == NULL)
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

/* ---- Beside p11-kit ---- */

static const char *
one_of(uint32_t *seed, const char *const *texts, size_t count)
{
    *seed = *seed * 1664525U + 1013904223U;
    return texts[(*seed >> 16) % count];
}

/* A URI of up to four attributes with few different values, so that many match. */
static void
make_uri(uint32_t *seed, char *out, size_t out_len)
{
    static const char *const starts[] = {"pkcs11:", "pkcs11:", "pkcs11:", "PKCS11:", "pkcs12:"};
    static const char *const names[] = {"token",
                                        "serial",
                                        "model",
                                        "manufacturer",
                                        "slot-id",
                                        "slot-description",
                                        "slot-manufacturer",
                                        "library-description",
                                        "library-manufacturer",
                                        "library-version",
                                        "object",
                                        "id",
                                        "type",
                                        "tokens",
                                        "x-own",
                                        ""};
    static const char *const values[] = {"a",          "a",
                                         "a",          "b",
                                         "%61",        "%6",
                                         "",           "a%20",
                                         "%00a",       "a=b",
                                         "1",          "7",
                                         "1.0",        "1.2",
                                         "private",    "public",
                                         "cert",       "data",
                                         "secret-key", "%c3%a4",
                                         "a%00b",      "0123456789abcdef0",
                                         "a+b&c:/@",   "%25%3B%3d"};
    static const char *const separators[] = {";", ";", ";", ";", ";", "?", "&"};
    static const char *const ends[] = {"", "", "", "?", "?x=y", "?module-path=/a&x=%20", "?x"};
    size_t len = (size_t)snprintf(out, out_len, "%s", one_of(seed, starts, HS_ARRAY_LEN(starts)));
    size_t count = strlen(one_of(seed, (const char *const[]){"a", "aa", "aaa", "aaaa"}, 4));

    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(out + len, out_len - len, "%s%s=%s",
                                i > 0 ? one_of(seed, separators, HS_ARRAY_LEN(separators)) : "",
                                one_of(seed, names, HS_ARRAY_LEN(names)), one_of(seed, values, HS_ARRAY_LEN(values)));
    (void)snprintf(out + len, out_len - len, "%s", one_of(seed, ends, HS_ARRAY_LEN(ends)));
}

static struct hs_span
attribute_of(P11KitUri *uri, CK_ATTRIBUTE_TYPE type)
{
    CK_ATTRIBUTE *attribute = p11_kit_uri_get_attribute(uri, type);

    return attribute != NULL ? (struct hs_span){attribute->pValue, attribute->ulValueLen} : (struct hs_span){0};
}

/* What hsmart takes is to p11-kit the same: the other way round it is not, see the refused ones above. */
static void
what_is_read_is_the_same_to_p11_kit(void **state)
{
    CK_TOKEN_INFO token = token_called("a", "a");
    CK_SLOT_INFO slot = {0};
    CK_INFO library = {.libraryVersion = {1, 0}};
    unsigned read = 0, matching = 0;
    uint32_t seed = 1;
    char text[512];

    (void)state;
    pad(slot.slotDescription, sizeof slot.slotDescription, "a");
    pad(slot.manufacturerID, sizeof slot.manufacturerID, "a");
    pad(library.manufacturerID, sizeof library.manufacturerID, "a");
    pad(library.libraryDescription, sizeof library.libraryDescription, "a");
    pad(token.model, sizeof token.model, "a");
    pad(token.manufacturerID, sizeof token.manufacturerID, "a");
    for (unsigned turn = 0; turn < 20000; turn++) {
        struct hs_p11_uri *uri = NULL;
        struct hs_span label, id;
        CK_OBJECT_CLASS class;
        make_uri(&seed, text, sizeof text);
        if (hs_p11_uri_parse(text, &uri, NULL) != HSMART_OK)
            continue;
        read++;
        P11KitUri *peer = p11_kit_uri_new();
        if (p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, peer) != P11_KIT_URI_OK || p11_kit_uri_any_unrecognized(peer))
            fail_msg("p11-kit does not read \"%s\"", text);
        bool here = hs_p11_uri_matches_token(uri, &library, 7, &slot, &token);
        CK_SLOT_ID slot_id = p11_kit_uri_get_slot_id(peer);
        bool there = p11_kit_uri_match_token_info(peer, &token) && p11_kit_uri_match_slot_info(peer, &slot) &&
                     p11_kit_uri_match_module_info(peer, &library) && (slot_id == (CK_SLOT_ID)-1 || slot_id == 7);
        if (here != there)
            fail_msg("\"%s\" matches %s", text, here ? "here alone" : "to p11-kit alone");
        matching += here;
        hs_p11_uri_get_object(uri, &label, &id);
        if (!hs_span_equal(label, attribute_of(peer, CKA_LABEL)) || !hs_span_equal(id, attribute_of(peer, CKA_ID)))
            fail_msg("\"%s\" names another object to p11-kit", text);
        struct hs_span peer_class = attribute_of(peer, CKA_CLASS);
        bool has_class = hs_p11_uri_get_class(uri, &class);
        if (has_class != (peer_class.len > 0) || (has_class && memcmp(&class, peer_class.data, sizeof class) != 0))
            fail_msg("\"%s\" names another type to p11-kit", text);
        p11_kit_uri_free(peer);
        hs_p11_uri_free(uri);
    }
    assert_true(read > 2000 && matching > 500); /* else the URIs above say little */
}

static void
what_is_written_is_the_same_to_p11_kit(void **state)
{
    const struct written *row = *state;
    CK_TOKEN_INFO token = token_called(row->token_label, "1234");
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    uint8_t label[64], id[64];
    CK_ATTRIBUTE attributes[] = {
        {CKA_CLASS, &class, sizeof class}, {CKA_LABEL, label, row->label.len}, {CKA_ID, id, row->id.len}};
    P11KitUri *peer = p11_kit_uri_new();
    struct hs_buf text = {0};
    char *peer_text = NULL;

    if (row->label.len > 0)
        memcpy(label, row->label.data, row->label.len);
    if (row->id.len > 0)
        memcpy(id, row->id.data, row->id.len);
    memcpy(p11_kit_uri_get_token_info(peer), &token, sizeof token);
    for (size_t i = 0; i < HS_ARRAY_LEN(attributes); i++)
        if (attributes[i].ulValueLen > 0)
            assert_int_equal(p11_kit_uri_set_attribute(peer, &attributes[i]), P11_KIT_URI_OK);
    assert_int_equal(p11_kit_uri_format(peer, P11_KIT_URI_FOR_OBJECT_ON_TOKEN, &peer_text), P11_KIT_URI_OK);
    assert_int_equal(hs_p11_uri_format_key(&token, row->label, row->id, &text, NULL), HSMART_OK);
    assert_string_equal(hs_buf_text(&text), peer_text);
    free(peer_text); /* by p11-kit's malloc */
    p11_kit_uri_free(peer);
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
    ADD_TEST(&rows, what_is_read_is_the_same_to_p11_kit);
    ADD_ROWS(&rows, what_is_written_is_the_same_to_p11_kit, written);
    return rows_run("p11_uri", &rows);
}
