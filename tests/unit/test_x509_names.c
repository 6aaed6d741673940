/* Names of certificates as people write them: what RFC 5280 lets in, and what is said of the rest. */
#include "rows.h"

#include "x509_names.h"

#define L62 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghij"
#define L63 L62 "k"
#define L64 L63 "l"

/* ---- Subjects ---- */

static struct subject {
    const char *name, *text;
    const char *printed; /* as RFC 2253 prints it; NULL: refused */
    const char *said;
} subjects[] = {
    {"plain", "CN=app.example,O=Clinic,C=DE", "CN=app.example,O=Clinic,C=DE", NULL},
    {"spaces around are not the value's", " CN= app , O=Clinic ", "CN=app,O=Clinic", NULL},
    {"an escaped comma", "O=Clinic\\, North", "O=Clinic\\, North", NULL},
    {"an escaped space at the end", "O=Clinic\\ ", "O=Clinic\\ ", NULL},
    {"two hex digits are a byte", "O=Clinic\\2C North", "O=Clinic\\, North", NULL},
    {"hex digits in UTF-8", "O=M\\C3\\BCnchen", "O=M\xc3\xbcnchen", NULL},
    {"an equal sign in a value", "O=a=b", "O=a=b", NULL},
    {"other scripts", "O=\xe7\x97\x85\xe9\x99\xa2", "O=\xe7\x97\x85\xe9\x99\xa2", NULL},
    {"64 characters", "CN=" L64, "CN=" L64, NULL},
    {"64 characters of two bytes are 64",
     "O="
     "\xc3\xbc" L63,
     "O="
     "\xc3\xbc" L63,
     NULL},
    {"a serial number", "serialNumber=AB 12/3", "serialNumber=AB 12/3", NULL},
    {"domain components", "DC=app,DC=example", "DC=app,DC=example", NULL},
    {"a mail address", "emailAddress=ops\\+x@app.example", "emailAddress=ops\\+x@app.example", NULL},

    {"a line end", "CN=app\nexample", NULL, "character 4 of the value of CN is a control character"},
    {"a line end in hex", "CN=app\\0Aexample", NULL, "character 4 of the value of CN is a control character"},
    {"a NUL in hex", "CN=app\\00.evil.example", NULL, "character 4 of the value of CN is a control character"},
    {"a DEL", "CN=\x7f", NULL, "character 1 of the value of CN is a control character"},
    {"a C1 control", "O=\xc3\xbc\xc2\x85", NULL, "character 2 of the value of O is a control character"},
    {"a text that is turned around",
     "O=a\xe2\x80\xae"
     "b",
     NULL, "character 2 of the value of O"},
    {"hex that is no UTF-8", "O=\\FF", NULL, "the value of O is not UTF-8"},
    {"65 characters of a common name", "CN=" L64 "m", NULL, "the value of CN has 65 characters, more than the 64"},
    {"65 characters of an organisation", "O=" L64 "m", NULL, "the value of O has 65 characters, more than the 64"},
    {"129 characters of a street", "STREET=" L64 L64 "m", NULL, "129 characters, more than the 128"},
    {"a country in small letters", "C=de", NULL, "the value of C, \"de\", is not a country"},
    {"a country of one letter", "C=D", NULL, "the value of C, \"D\", is not a country"},
    {"an underscore in a serial number", "serialNumber=a_b", NULL,
     "the value of serialNumber, \"a_b\", has a character"},
    {"a domain component with a dot", "DC=app.example", NULL, "the value of DC"},
    {"a mail address without a domain", "emailAddress=ops", NULL, "is not written name@domain"},
    {"two values of one name", "CN=a+O=b", NULL, "has a \"+\" that is not escaped"},
    {"a quoted value", "CN=\"a\"", NULL, "has a \"\"\" that is not escaped"},
    {"semicolons", "CN=a;O=b", NULL, "has a \";\" that is not escaped"},
    {"a value in hex", "CN=#0c0161", NULL, "has a \"#\" that is not escaped"},
    {"an escape that is none", "CN=a\\x", NULL, "has a backslash that begins no escape"},
    {"half a byte in hex", "CN=a\\4", NULL, "has a backslash that begins no escape"},
    {"half an escape", "CN=a\\", NULL, "in the middle of an escape"},
    {"only spaces", "CN=  ,O=x", NULL, "has no value for CN"},
    {"a comma at the end", "CN=a,", NULL, "ends with a comma"},
};

static void
a_subject_is_taken_or_told_why_not(void **state)
{
    const struct subject *row = *state;
    X509_NAME *name = NULL;
    hsmart_err err = {0};
    enum hsmart_code code = hs_x509_parse_subject(row->text, &name, &err);

    assert_int_equal(code, row->printed != NULL ? HSMART_OK : HSMART_INVALID_ARGUMENT);
    if (row->printed == NULL) {
        if (strstr(err.text, row->said) == NULL)
            fail_msg("it says \"%s\"", err.text);
        assert_null(name);
        return;
    }
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    assert_true(X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) > 0);
    long len = BIO_get_mem_data(bio, &text);
    assert_int_equal(len, strlen(row->printed));
    assert_memory_equal(text, row->printed, (size_t)len);
    BIO_free(bio);
    X509_NAME_free(name);
}

/* ---- Alternative names ---- */

static struct alternative {
    const char *name, *text;
    const char *said; /* NULL: it is taken */
} alternatives[] = {
    {"a host", "DNS:app.example", NULL},
    {"a host of one label", "DNS:localhost", NULL},
    {"digits and a hyphen", "DNS:1-a.2.example", NULL},
    {"a label of 63", "DNS:" L63 ".example", NULL},
    {"a URI", "URI:https://app.example:8443/jwks?x=1#y", NULL},
    {"a URI with an address", "URI:https://192.0.2.1/a", NULL},
    {"a URI with an IPv6 address", "URI:https://[2001:db8::1]:443/", NULL},
    {"a URN", "URI:urn:oid:1.2.3", NULL},
    {"a mail address", "email:ops.team@app.example", NULL},
    {"an IPv4 address", "IP:192.0.2.7", NULL},
    {"an IPv6 address", "IP:2001:db8::7", NULL},

    {"a label of 64", "DNS:" L64 ".example", "a label of more than 63"},
    {"254 characters", "DNS:" L62 "." L62 "." L62 "." L62 ".ab", "more than 253"},
    {"a dot at the end", "DNS:app.example.", "an empty label"},
    {"two dots", "DNS:app..example", "an empty label"},
    {"a hyphen at the beginning", "DNS:-app.example", "begins or ends with"},
    {"an underscore", "DNS:my_app.example", "other than letters"},
    {"a wildcard", "DNS:*.example", "which names no client"},
    {"a space", "DNS:app example", "other than letters"},
    {"a line end", "DNS:app\n.example", "other than letters"},
    {"another script", "DNS:\xc3\xbc.example", "Punycode"},
    {"no scheme", "URI:app.example/jwks", "no absolute URI"},
    {"nothing behind the scheme", "URI:https:", "no absolute URI"},
    {"no host", "URI:https:///jwks", "an empty label"},
    {"a bad host", "URI:https://my_app/jwks", "other than letters"},
    {"a user name", "URI:https://me@app.example/", "a user name"},
    {"a port that is none", "URI:https://app.example:x/", "a port that is no number"},
    {"an address without its end", "URI:https://[2001:db8::1/", "without its"},
    {"a space in a URI", "URI:https://app.example/a b", "does not stand in a URI"},
    {"a line end in a URI", "URI:https://app.example/\n", "does not stand in a URI"},
    {"a percent sign alone", "URI:https://app.example/%4", "without two hex digits"},
    {"another script in a URI", "URI:https://app.example/\xc3\xbc", "not ASCII"},
    {"no at sign", "email:ops", "name@domain"},
    {"nothing before it", "email:@app.example", "name@domain"},
    {"two of them", "email:a@b@app.example", "other than letters"},
    {"a space in a mail address", "email:o ps@app.example", "does not stand before"},
    {"a name and an address", "email:Ops <ops@app.example>", "does not stand before"},
    {"an address that is none", "IP:300.1.2.3", "is not an alternative name"},
    {"a network", "IP:192.0.2.0/24", "is not an alternative name"},
    {"an unknown kind", "dirName:x", "is not an alternative name"},
    {"nothing", "DNS:", "is not an alternative name"},
};

static void
an_alternative_name_is_taken_or_told_why_not(void **state)
{
    const struct alternative *row = *state;
    GENERAL_NAME *name = NULL;
    hsmart_err err = {0};

    assert_int_equal(hs_x509_parse_alternative(row->text, &name, &err),
                     row->said == NULL ? HSMART_OK : HSMART_INVALID_ARGUMENT);
    assert_int_equal(name != NULL, row->said == NULL);
    if (row->said != NULL && strstr(err.text, row->said) == NULL)
        fail_msg("it says \"%s\"", err.text);
    GENERAL_NAME_free(name);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, a_subject_is_taken_or_told_why_not, subjects);
    ADD_ROWS(&rows, an_alternative_name_is_taken_or_told_why_not, alternatives);
    return rows_run("x509 names", &rows);
}
