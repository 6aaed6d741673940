#include "x509_names.h"

#include <openssl/err.h>

#include "err.h"
#include "text.h"

#define DNS_NAME_MAX 253U /* RFC 1035 section 2.3.4, as text */
#define DNS_LABEL_MAX 63U
#define MAIL_LOCAL_MAX 64U /* RFC 5321 section 4.5.3.1 */
#define URI_MAX 2048U

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_one_of(char c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

/* What is wrong with a text, as "has a space"; NULL: nothing. */
typedef const char *flaw_fn(struct hs_span text);

/* ---- Host names, mail addresses, URIs ---- */

static const char *
flaw_of_label(struct hs_span label)
{
    if (label.len == 0)
        return "has an empty label: a dot too many, or nothing";
    if (label.len > DNS_LABEL_MAX)
        return "has a label of more than 63 characters";
    if (label.data[0] == '-' || label.data[label.len - 1] == '-')
        return "has a label that begins or ends with \"-\"";
    for (size_t i = 0; i < label.len; i++) {
        char c = (char)label.data[i];
        if ((unsigned char)c >= 0x80)
            return "is not ASCII: write it in Punycode (xn--…)";
        if (!is_letter(c) && !is_digit(c) && c != '-')
            return c == '*' ? "has a \"*\", which names no client"
                            : "has a character other than letters, digits, \"-\" and \".\"";
    }
    return NULL;
}

/* RFC 5280 section 4.2.1.6: the preferred name syntax of RFC 1034 section 3.5, as RFC 1123 section 2.1 widens it. */
static const char *
flaw_of_dns(struct hs_span name)
{
    const char *flaw = name.len > DNS_NAME_MAX ? "has more than 253 characters" : NULL;

    for (size_t from = 0; flaw == NULL && from <= name.len;) {
        size_t to = from;
        while (to < name.len && name.data[to] != '.')
            to++;
        flaw = flaw_of_label((struct hs_span){name.data + from, to - from});
        from = to + 1;
    }
    return flaw;
}

/* RFC 5321 section 4.1.2: a dot-string of atoms, and a domain. */
static const char *
flaw_of_mail(struct hs_span address)
{
    size_t at = 0;

    while (at < address.len && address.data[at] != '@') {
        char c = (char)address.data[at];
        if (!is_letter(c) && !is_digit(c) && !is_one_of(c, "!#$%&'*+-/=?^_`{|}~."))
            return "has a character that does not stand before an \"@\"";
        if (c == '.' && (at == 0 || address.data[at - 1] == '.'))
            return "has a dot too many";
        at++;
    }
    if (at == address.len || at == 0 || at > MAIL_LOCAL_MAX || address.data[at - 1] == '.')
        return "is not written name@domain, with a name of at most 64 characters";
    return flaw_of_dns((struct hs_span){address.data + at + 1, address.len - at - 1});
}

/* An address in brackets is OpenSSL's to judge; a port is digits. */
static const char *
flaw_of_authority(struct hs_span authority)
{
    size_t host_len = 0;

    if (memchr(authority.data, '@', authority.len) != NULL)
        return "has a user name in it";
    if (authority.len > 0 && authority.data[0] == '[') {
        const uint8_t *end = memchr(authority.data, ']', authority.len);
        if (end == NULL)
            return "has a \"[\" without its \"]\"";
        host_len = (size_t)(end - authority.data) + 1;
    } else {
        while (host_len < authority.len && authority.data[host_len] != ':')
            host_len++;
        const char *flaw = flaw_of_dns((struct hs_span){authority.data, host_len});
        if (flaw != NULL)
            return flaw;
    }
    if (host_len < authority.len && authority.data[host_len] != ':')
        return "has something behind its address that is no port";
    for (size_t i = host_len + 1; i < authority.len; i++)
        if (!is_digit((char)authority.data[i]))
            return "has a port that is no number";
    return NULL;
}

static bool
is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static const char *
flaw_of_uri_characters(struct hs_span uri)
{
    for (size_t i = 0; i < uri.len; i++) {
        char c = (char)uri.data[i];
        if (c == '%' && (i + 2 >= uri.len || !is_hex((char)uri.data[i + 1]) || !is_hex((char)uri.data[i + 2])))
            return "has a \"%\" without two hex digits";
        if ((unsigned char)c >= 0x80)
            return "is not ASCII: write other characters as %XX, and the host in Punycode";
        if (!is_letter(c) && !is_digit(c) && !is_one_of(c, "-._~:/?#[]@!$&'()*+,;=%"))
            return "has a character that does not stand in a URI (RFC 3986): a space, a quotation mark, a control "
                   "character";
    }
    return NULL;
}

/* RFC 5280 section 4.2.1.6: absolute, and with an authority where the scheme has one, whose host is a name or address.
 */
static const char *
flaw_of_uri(struct hs_span uri)
{
    const char *flaw = uri.len > URI_MAX ? "has more than 2048 characters" : flaw_of_uri_characters(uri);
    size_t scheme_len = 0;

    if (flaw != NULL)
        return flaw;
    while (scheme_len < uri.len &&
           (is_letter((char)uri.data[scheme_len]) ||
            (scheme_len > 0 && (is_digit((char)uri.data[scheme_len]) || is_one_of((char)uri.data[scheme_len], "+-.")))))
        scheme_len++;
    if (scheme_len == 0 || scheme_len + 1 >= uri.len || uri.data[scheme_len] != ':')
        return "is no absolute URI: it begins with a scheme, as https:";
    struct hs_span rest = {uri.data + scheme_len + 1, uri.len - scheme_len - 1};
    if (rest.len < 2 || rest.data[0] != '/' || rest.data[1] != '/')
        return NULL;
    struct hs_span authority = {rest.data + 2, 0};
    while (authority.len < rest.len - 2 && !is_one_of((char)authority.data[authority.len], "/?#"))
        authority.len++;
    return flaw_of_authority(authority);
}

/* ---- Values of a subject ---- */

static const char *
flaw_of_country(struct hs_span text)
{
    bool good =
        text.len == 2 && text.data[0] >= 'A' && text.data[0] <= 'Z' && text.data[1] >= 'A' && text.data[1] <= 'Z';

    return good ? NULL : "is not a country of ISO 3166 in two capital letters, as DE";
}

/* RFC 5280 appendix A.1: PrintableString. */
static const char *
flaw_of_printable(struct hs_span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.data[i];
        if (!is_letter(c) && !is_digit(c) && !is_one_of(c, " '()+,-./:=?"))
            return "has a character other than letters, digits, spaces and '()+,-./:=?";
    }
    return NULL;
}

static const struct subject_type {
    const char *name; /* as it may be written; section 3, and what certificates of clients have besides */
    int nid;
    size_t max; /* characters: the upper bounds of X.520, RFC 2985 and RFC 4519 */
    flaw_fn *flaw;
} subject_types[] = {
    {"CN", NID_commonName, 64, NULL},
    {"O", NID_organizationName, 64, NULL},
    {"OU", NID_organizationalUnitName, 64, NULL},
    {"C", NID_countryName, 2, flaw_of_country},
    {"ST", NID_stateOrProvinceName, 128, NULL},
    {"L", NID_localityName, 128, NULL},
    {"STREET", NID_streetAddress, 128, NULL},
    {"DC", NID_domainComponent, 63, flaw_of_label},
    {"UID", NID_userId, 256, NULL},
    {"serialNumber", NID_serialNumber, 64, flaw_of_printable},
    {"emailAddress", NID_pkcs9_emailAddress, 255, flaw_of_mail},
};

static const struct subject_type *
subject_type_by_name(struct hs_span name)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(subject_types); i++)
        if (hs_span_equal_str(name, subject_types[i].name))
            return &subject_types[i];
    return NULL;
}

static size_t
character_len(const struct hs_span *text, size_t at)
{
    size_t len = 1;

    while (at + len < text->len && (text->data[at + len] & 0xc0) == 0x80)
        len++;
    return len;
}

/* Characters that cannot be seen, or turn the text around, make one name look like another. */
static enum hsmart_code
check_characters(const struct subject_type *type, struct hs_span value, hsmart_err *err)
{
    size_t count = 0;

    if (!hs_text_is_utf8(value))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the value of %s is not UTF-8", type->name);
    for (size_t at = 0; at < value.len; count++) {
        char one[5] = "";
        size_t len = character_len(&value, at);
        memcpy(one, value.data + at, len < sizeof one ? len : sizeof one - 1);
        if (one[0] == 0 || !hs_text_is_printable(one)) {
            (void)hs_err_set(err, HSMART_INVALID_ARGUMENT,
                             "character %zu of the value of %s is a control character, or turns the text around",
                             count + 1, type->name);
            hs_err_hint(err, "take it out: names are compared by eye");
            return HSMART_INVALID_ARGUMENT;
        }
        at += len;
    }
    if (count <= type->max)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "the value of %s has %zu characters, more than the %zu allowed",
                     type->name, count, type->max);
    hs_err_hint(err, "shorten it: certificates with a longer one are refused (RFC 5280 appendix A.1)");
    return HSMART_INVALID_ARGUMENT;
}

static enum hsmart_code
check_value(const struct subject_type *type, struct hs_span value, hsmart_err *err)
{
    enum hsmart_code code = HSMART_OK;

    if (value.len == 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the subject has no value for %s", type->name);
    code = check_characters(type, value, err);
    const char *flaw = code == HSMART_OK && type->flaw != NULL ? type->flaw(value) : NULL;
    return flaw != NULL ? hs_err_set(err, HSMART_INVALID_ARGUMENT, "the value of %s, \"%.*s\", %s", type->name,
                                     (int)value.len, (const char *)value.data, flaw)
                        : code;
}

/* ---- Reading a subject ---- */

static int
hex_value(char c)
{
    return is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* RFC 4514 section 3: a backslash before a special character, or before two hex digits. Returns how many characters of
 * `text`, which begins with the backslash, it takes; 0: it is none. */
static size_t
read_escape(const char *text, char *out)
{
    if (is_one_of(text[1], "\"+,;<>\\ #=")) {
        *out = text[1];
        return 2;
    }
    if (!is_hex(text[1]) || !is_hex(text[2]))
        return 0;
    *out = (char)(hex_value(text[1]) * 16 + hex_value(text[2]));
    return 3;
}

static enum hsmart_code
refuse_special(const char *at, hsmart_err *err)
{
    if (*at == '\\' && at[1] == 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the subject ends in the middle of an escape");
    if (*at == '\\')
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT,
                         "the subject has a backslash that begins no escape, in \"%.20s\"", at);
    else
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "the subject has a \"%c\" that is not escaped, in \"%.20s\"",
                         *at, at);
    hs_err_hint(err, "RFC 4514: write \\\\%c, or two hex digits behind the backslash", *at == '\\' ? '\\' : *at);
    return HSMART_INVALID_ARGUMENT;
}

/* Reads one value up to an unescaped comma; `*text` is what follows it then. */
static enum hsmart_code
read_value(const char **text, struct hs_buf *out_value, hsmart_err *err)
{
    const char *at = *text;
    size_t kept = 0; /* the length up to the last character that is not an unescaped space */
    enum hsmart_code code = HSMART_OK;

    while (*at == ' ')
        at++;
    if (*at == '#') /* the value's DER in hex, which nobody can review */
        return refuse_special(at, err);
    while (*at != 0 && *at != ',' && code == HSMART_OK) {
        char c = *at;
        size_t taken = c == '\\' ? read_escape(at, &c) : 1;
        if (taken == 0 || (taken == 1 && is_one_of(c, "\"+;<>")))
            return refuse_special(at, err);
        code = hs_buf_append(out_value, (struct hs_span){(const uint8_t *)&c, 1}, err);
        if (taken > 1 || c != ' ')
            kept = out_value->len;
        at += taken;
    }
    *text = at;
    return code == HSMART_OK ? hs_buf_resize(out_value, kept, err) : code;
}

static enum hsmart_code
read_type(const char **text, const struct subject_type **out_type, hsmart_err *err)
{
    while (**text == ' ')
        (*text)++;
    const char *equals = strchr(*text, '=');
    if (equals == NULL)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the subject has no \"=\" in \"%s\"", *text);
    const struct hs_span name = {(const uint8_t *)*text, (size_t)(equals - *text)};
    *out_type = subject_type_by_name(name);
    if (*out_type == NULL) {
        (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "the subject has a type that is not known here: \"%.*s\"",
                         (int)name.len, *text);
        hs_err_hint(err, "known are CN, O, OU, C, ST, L, STREET, DC, UID, serialNumber and emailAddress");
        return HSMART_INVALID_ARGUMENT;
    }
    *text = equals + 1;
    return HSMART_OK;
}

/* One "TYPE=value" and its comma; the new entry goes to the front, since RFC 4514 writes names backwards. */
static enum hsmart_code
add_entry(const char **text, X509_NAME *name, hsmart_err *err)
{
    const struct subject_type *type = NULL;
    struct hs_buf value = {0};
    enum hsmart_code code = read_type(text, &type, err);

    if (code == HSMART_OK)
        code = read_value(text, &value, err);
    if (code == HSMART_OK)
        code = check_value(type, hs_span_buf(&value), err);
    if (code == HSMART_OK &&
        X509_NAME_add_entry_by_NID(name, type->nid, MBSTRING_UTF8, value.data, (int)value.len, 0, 0) != 1) {
        ERR_clear_error();
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "the subject has a value that its type, %s, does not take",
                          type->name);
    }
    if (code == HSMART_OK && **text == ',' && *++*text == 0)
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "the subject ends with a comma");
    hs_buf_clear(&value);
    return code;
}

enum hsmart_code
hs_x509_parse_subject(const char *text, X509_NAME **out_name, hsmart_err *err)
{
    X509_NAME *name = X509_NAME_new();
    enum hsmart_code code = name != NULL ? HSMART_OK : hs_err_no_memory(err);

    while (code == HSMART_OK && *text != 0)
        code = add_entry(&text, name, err);
    if (code != HSMART_OK) {
        X509_NAME_free(name);
        return code;
    }
    *out_name = name;
    return HSMART_OK;
}

/* ---- Subject alternative names ---- */

static const struct name_kind {
    const char *prefix;
    int type;
    flaw_fn *flaw; /* NULL: OpenSSL judges it */
} name_kinds[] = {{"URI:", GEN_URI, flaw_of_uri},
                  {"DNS:", GEN_DNS, flaw_of_dns},
                  {"email:", GEN_EMAIL, flaw_of_mail},
                  {"IP:", GEN_IPADD, NULL}};

/* The value goes in as it is: no list or section of OpenSSL's own syntax can come out of it. */
enum hsmart_code
hs_x509_parse_alternative(const char *text, GENERAL_NAME **out_name, hsmart_err *err)
{
    const struct name_kind *kind = NULL;
    const char *flaw = NULL;

    for (size_t i = 0; i < HS_ARRAY_LEN(name_kinds) && kind == NULL; i++)
        if (strncmp(text, name_kinds[i].prefix, strlen(name_kinds[i].prefix)) == 0)
            kind = &name_kinds[i];
    const char *value = kind != NULL ? text + strlen(kind->prefix) : "";
    if (*value != 0 && kind->flaw != NULL)
        flaw = kind->flaw(hs_span_str(value));
    if (*value != 0 && flaw == NULL) {
        *out_name = a2i_GENERAL_NAME(NULL, NULL, NULL, kind->type, value, 0);
        ERR_clear_error();
        if (*out_name != NULL)
            return HSMART_OK;
    }
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%.200s\" is not an alternative name%s%s", text,
                     flaw != NULL ? ": it " : "", flaw != NULL ? flaw : "");
    hs_err_hint(err, "write URI:https://app.example, DNS:app.example, email:ops@app.example or IP:192.0.2.1");
    return HSMART_INVALID_ARGUMENT;
}
