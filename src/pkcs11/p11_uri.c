/* Not by p11-kit, whose headers hsmart uses: loading its library was 0.25 ms and half a megabyte of every start, and it
 * reads more than RFC 7512 has. To it "token=a;;serial=1" names no serial number, a slot-id that is too large any slot,
 * and white space in a label is nothing; none of these may choose a token here. */
#define _GNU_SOURCE /* strcasestr */
#include "p11_uri.h"

#include <stddef.h>
#include <strings.h>

#include "err.h"
#include "text.h"

#define TOLD_MAX 200 /* bytes of a URI in a message */
#define SCHEME "pkcs11:"
#define VERSION_MAX 254U /* 255.255 is no version to p11-kit */

struct hs_p11_uri {
    struct hs_buf label, id;
    CK_OBJECT_CLASS class;
    CK_SLOT_ID slot_id;
    CK_TOKEN_INFO token; /* of these three, the fields that are named */
    CK_SLOT_INFO slot;
    CK_INFO library;
    unsigned named; /* 1 << row of `attributes` */
};

/* ---- Attributes of the path (RFC 7512 section 2.3) ---- */

enum kind {
    TEXT, /* a field of fixed length, padded with spaces */
    VERSION,
    NUMBER,
    BYTES,
    CLASS,
};

static const struct attribute {
    const char *name;
    enum kind kind;
    size_t part, offset, len; /* its place: which part of struct hs_p11_uri, and where in there */
} attributes[] = {
#define OF(part, type, member) offsetof(struct hs_p11_uri, part), offsetof(type, member), sizeof((type *)0)->member
#define OWN(member) 0, offsetof(struct hs_p11_uri, member), sizeof((struct hs_p11_uri *)0)->member
    {"model", TEXT, OF(token, CK_TOKEN_INFO, model)}, /* the first four are a token's URI, in this order */
    {"manufacturer", TEXT, OF(token, CK_TOKEN_INFO, manufacturerID)},
    {"serial", TEXT, OF(token, CK_TOKEN_INFO, serialNumber)},
    {"token", TEXT, OF(token, CK_TOKEN_INFO, label)},
    {"slot-description", TEXT, OF(slot, CK_SLOT_INFO, slotDescription)},
    {"slot-manufacturer", TEXT, OF(slot, CK_SLOT_INFO, manufacturerID)},
    {"slot-id", NUMBER, OWN(slot_id)},
    {"library-description", TEXT, OF(library, CK_INFO, libraryDescription)},
    {"library-manufacturer", TEXT, OF(library, CK_INFO, manufacturerID)},
    {"library-version", VERSION, OF(library, CK_INFO, libraryVersion)},
    {"object", BYTES, OWN(label)},
    {"id", BYTES, OWN(id)},
    {"type", CLASS, OWN(class)},
#undef OF
#undef OWN
};
#define TOKEN_ATTRIBUTES 4

static const struct {
    const char *name;
    CK_OBJECT_CLASS class;
} classes[] = {
    {"private", CKO_PRIVATE_KEY},   {"public", CKO_PUBLIC_KEY}, {"cert", CKO_CERTIFICATE},
    {"secret-key", CKO_SECRET_KEY}, {"data", CKO_DATA},
};

/* ---- Reading ---- */

enum fault {
    NONE,
    NO_SCHEME,
    BAD_ESCAPE,
    BAD_SYNTAX,
    BAD_VERSION,
    BAD_SLOT,
    BLANK,
    UNKNOWN,
    VOID,
    TWICE,
    NO_MEMORY,
};

static const char how_to_write[] =
    "a token is named like pkcs11:token=LABEL;serial=SERIAL, a key like pkcs11:object=LABEL;id=%01";

static const struct {
    const char *words, *hint;
} faults[] = {
    [NO_SCHEME] = {"is not a PKCS#11 URI: it does not begin with \"" SCHEME "\"", how_to_write},
    [BAD_ESCAPE] = {"is not a PKCS#11 URI: a percent escape is wrong", how_to_write},
    [BAD_SYNTAX] = {"is not a PKCS#11 URI: its syntax is wrong", how_to_write},
    [BAD_VERSION] = {"is not a PKCS#11 URI: its library version is wrong", how_to_write},
    [BAD_SLOT] = {"is not a PKCS#11 URI: its slot-id is not a slot's number", how_to_write},
    [BLANK] = {"is not a PKCS#11 URI: it has white space", "a space in a label is written %20"},
    [UNKNOWN] = {"has an attribute that RFC 7512 does not know, or a value longer than any token's",
                 "the attributes are token, serial, manufacturer, model, slot-id, object, id and type; a token's "
                 "label has at most 32 bytes, its serial number 16"},
    [VOID] = {"has a value that begins with a zero byte, which is no text", NULL},
    [TWICE] = {"names an attribute twice", NULL}, /* RFC 7512 section 2.3 forbids it */
};

/* By the text and not by the parsed URI, so that a malformed one never gets into a message with its PIN either. */
static enum hsmart_code
refuse_pin(const char *text, hsmart_err *err)
{
    const char *which = strstr(text, "pin-value") != NULL ? "pin-value" : "pin-source";

    if (strstr(text, which) == NULL)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT,
                     "the PKCS#11 URI has a %s, which is not taken from a URI: URIs end "
                     "up in process lists, shell histories and logs",
                     which);
    hs_err_hint(err, "take it out and give the PIN by a PIN source, e.g. file:PATH or prompt");
    return HSMART_INVALID_ARGUMENT;
}

/* How much of a URI that is refused may be repeated: nothing from where a PIN could stand, however it is spelt; so
 * nothing from an escape in a name. */
static int
tellable_len(const char *text)
{
    size_t len = strcspn(text, "?");
    const char *pin = strcasestr(text, "pin");

    if (pin != NULL && (size_t)(pin - text) < len)
        len = (size_t)(pin - text);
    for (size_t at = 0; at < len; at += strcspn(text + at, ";") + 1) {
        size_t name_len = strcspn(text + at, "%=;");
        if (at + name_len < len && text[at + name_len] == '%')
            len = at;
    }
    return len < TOLD_MAX ? (int)len : TOLD_MAX;
}

static enum hsmart_code
refuse(enum fault fault, const char *text, hsmart_err *err)
{
    if (fault == NO_MEMORY)
        return hs_err_no_memory(err);
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%.*s\" %s", tellable_len(text), text, faults[fault].words);
    if (faults[fault].hint != NULL)
        hs_err_hint(err, "%s", faults[fault].hint);
    return HSMART_INVALID_ARGUMENT;
}

/* Also in the query. */
static bool
names_twice(const char *text)
{
    const char *at = text + strcspn(text, ":");

    while (*at != 0) {
        size_t name_len = strcspn(++at, "=;&?");
        for (const char *later = at + strcspn(at, ";&?"); *later != 0; later += strcspn(later, ";&?")) {
            later++;
            if (strcspn(later, "=;&?") == name_len && memcmp(later, at, name_len) == 0 && name_len > 0)
                return true;
        }
        at += strcspn(at, ";&?");
    }
    return false;
}

/* A value without its percent escapes. `out->data` is not NULL after it, even for the empty value. */
static enum fault
decode(struct hs_span value, struct hs_buf *out)
{
    if (hs_buf_resize(out, value.len, NULL) != HSMART_OK)
        return NO_MEMORY;
    size_t len = 0;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t byte = value.data[i];
        if (byte == '%') {
            int high = i + 2 < value.len ? hs_text_hex_digit((char)value.data[i + 1]) : -1;
            int low = high >= 0 ? hs_text_hex_digit((char)value.data[i + 2]) : -1;
            if (low < 0)
                return BAD_ESCAPE;
            byte = (uint8_t)(high << 4 | low);
            i += 2;
        }
        out->data[len++] = byte;
    }
    return hs_buf_resize(out, len, NULL) == HSMART_OK ? NONE : NO_MEMORY;
}

static enum fault
read_text(struct hs_span value, size_t field_len, uint8_t *out_field)
{
    struct hs_buf bytes = {0};
    enum fault fault = decode(value, &bytes);

    if (fault == NONE && bytes.len > field_len)
        fault = UNKNOWN;
    if (fault == NONE && bytes.len > 0 && bytes.data[0] == 0)
        fault = VOID;
    if (fault == NONE) {
        memset(out_field, ' ', field_len);
        memcpy(out_field, bytes.data, bytes.len);
    }
    hs_buf_clear(&bytes);
    return fault;
}

/* The decimal number that the whole of `digits` is, at most `max`. */
static bool
read_number(struct hs_span digits, unsigned long max, unsigned long *out_number)
{
    unsigned long number = 0;

    for (size_t i = 0; i < digits.len; i++) {
        unsigned long digit = (unsigned long)digits.data[i] - '0';
        if (digit > 9 || number > (max - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *out_number = number;
    return digits.len > 0;
}

/* "2" or "2.40". */
static enum fault
read_version(struct hs_span value, CK_VERSION *out_version)
{
    const uint8_t *dot = value.len > 0 ? memchr(value.data, '.', value.len) : NULL;
    size_t major_len = dot != NULL ? (size_t)(dot - value.data) : value.len;
    unsigned long major, minor = 0;

    if (!read_number((struct hs_span){value.data, major_len}, VERSION_MAX, &major))
        return BAD_VERSION;
    if (dot != NULL && !read_number((struct hs_span){dot + 1, value.len - major_len - 1}, VERSION_MAX, &minor))
        return BAD_VERSION;
    *out_version = (CK_VERSION){(CK_BYTE)major, (CK_BYTE)minor};
    return NONE;
}

static enum fault
read_class(struct hs_span value, CK_OBJECT_CLASS *out_class)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(classes); i++) {
        if (hs_span_equal_str(value, classes[i].name)) {
            *out_class = classes[i].class;
            return NONE;
        }
    }
    return UNKNOWN;
}

static enum fault
read_attribute(struct hs_p11_uri *uri, struct hs_span name, struct hs_span value)
{
    for (size_t i = 0; i < HS_ARRAY_LEN(attributes); i++) {
        const struct attribute *row = &attributes[i];
        if (!hs_span_equal_str(name, row->name))
            continue;
        uint8_t *field = (uint8_t *)uri + row->part + row->offset;
        uri->named |= 1U << i;
        switch (row->kind) {
        case TEXT:
            return read_text(value, row->len, field);
        case BYTES:
            return decode(value, (struct hs_buf *)(void *)field);
        case VERSION:
            return read_version(value, (CK_VERSION *)(void *)field);
        case NUMBER: /* the greatest is CK_UNAVAILABLE_INFORMATION */
            return read_number(value, (CK_SLOT_ID)-1 - 1, (CK_SLOT_ID *)(void *)field) ? NONE : BAD_SLOT;
        case CLASS:
            return read_class(value, (CK_OBJECT_CLASS *)(void *)field);
        }
    }
    return UNKNOWN;
}

/* Of the query (module-path and the like) only the form counts: the module is a setting. */
static enum fault
read_query_attribute(struct hs_p11_uri *uri, struct hs_span name, struct hs_span value)
{
    struct hs_buf bytes = {0};
    enum fault fault = decode(value, &bytes);

    (void)uri;
    (void)name;
    hs_buf_clear(&bytes);
    return fault;
}

static bool
is_name(struct hs_span name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t byte = name.data[i];
        if (!(byte >= 'a' && byte <= 'z') && !(byte >= 'A' && byte <= 'Z') && !(byte >= '0' && byte <= '9') &&
            byte != '-' && byte != '_')
            return false;
    }
    return name.len > 0;
}

/* "NAME=VALUE" again and again; nothing at all is fine. */
static enum fault
read_list(struct hs_p11_uri *uri, struct hs_span list, char separator,
          enum fault (*read)(struct hs_p11_uri *uri, struct hs_span name, struct hs_span value))
{
    const uint8_t *at = list.data, *end = list.data + list.len;
    enum fault fault = NONE;

    while (list.len > 0 && fault == NONE) {
        const uint8_t *stop = at < end ? memchr(at, separator, (size_t)(end - at)) : NULL;
        size_t len = (size_t)((stop != NULL ? stop : end) - at);
        const uint8_t *equals = len > 0 ? memchr(at, '=', len) : NULL;
        if (equals == NULL)
            return BAD_SYNTAX;
        struct hs_span name = {at, (size_t)(equals - at)}, value = {equals + 1, len - name.len - 1};
        fault = is_name(name) ? read(uri, name, value) : BAD_SYNTAX;
        if (stop == NULL)
            break;
        at = stop + 1;
    }
    return fault;
}

static enum fault
read_uri(const char *text, struct hs_p11_uri *uri)
{
    size_t scheme_len = strlen(SCHEME);

    if (text[strcspn(text, " \t\n\v\f\r")] != 0)
        return BLANK;
    if (strncasecmp(text, SCHEME, scheme_len) != 0)
        return NO_SCHEME;
    struct hs_span path = {(const uint8_t *)text + scheme_len, strcspn(text + scheme_len, "?")};
    struct hs_span query = hs_span_str((const char *)path.data + path.len);
    if (query.len > 0) /* without its '?' */
        query = (struct hs_span){query.data + 1, query.len - 1};

    enum fault fault = read_list(uri, path, ';', read_attribute);
    if (fault == NONE)
        fault = read_list(uri, query, '&', read_query_attribute);
    return fault == NONE && names_twice(text) ? TWICE : fault;
}

enum hsmart_code
hs_p11_uri_parse(const char *text, struct hs_p11_uri **out_uri, hsmart_err *err)
{
    enum hsmart_code code = text != NULL ? refuse_pin(text, err) : HSMART_OK;

    if (code != HSMART_OK)
        return code;
    struct hs_p11_uri *uri = hs_calloc(1, sizeof *uri);
    if (uri == NULL)
        return hs_err_no_memory(err);
    enum fault fault = text != NULL ? read_uri(text, uri) : NONE;
    if (fault != NONE) {
        hs_p11_uri_free(uri);
        return refuse(fault, text, err);
    }
    *out_uri = uri;
    return HSMART_OK;
}

void
hs_p11_uri_free(struct hs_p11_uri *uri)
{
    if (uri == NULL)
        return;
    hs_buf_clear(&uri->label);
    hs_buf_clear(&uri->id);
    hs_free(uri);
}

/* ---- Matching ---- */

/* Whether every field that the URI names of a part is the same in `actual`. */
static bool
part_matches(const struct hs_p11_uri *uri, size_t part, const void *actual)
{
    const uint8_t *named = (const uint8_t *)uri + part;

    for (size_t i = 0; i < HS_ARRAY_LEN(attributes); i++) {
        const struct attribute *row = &attributes[i];
        if (row->part == part && (uri->named & 1U << i) != 0 &&
            memcmp(named + row->offset, (const uint8_t *)actual + row->offset, row->len) != 0)
            return false;
    }
    return true;
}

static bool
is_named(const struct hs_p11_uri *uri, const char *name) /* of the table */
{
    size_t i = 0;

    while (strcmp(attributes[i].name, name) != 0)
        i++;
    return (uri->named & 1U << i) != 0;
}

bool
hs_p11_uri_matches_token(const struct hs_p11_uri *uri, const CK_INFO *library, CK_SLOT_ID slot_id,
                         const CK_SLOT_INFO *slot, const CK_TOKEN_INFO *token)
{
    if (!part_matches(uri, offsetof(struct hs_p11_uri, token), token))
        return false;
    if (library != NULL && !part_matches(uri, offsetof(struct hs_p11_uri, library), library))
        return false;
    if (slot == NULL)
        return true;
    return part_matches(uri, offsetof(struct hs_p11_uri, slot), slot) &&
           (!is_named(uri, "slot-id") || uri->slot_id == slot_id);
}

void
hs_p11_uri_get_object(const struct hs_p11_uri *uri, struct hs_span *out_label, struct hs_span *out_id)
{
    *out_label = hs_span_buf(&uri->label);
    *out_id = hs_span_buf(&uri->id);
}

bool
hs_p11_uri_get_class(const struct hs_p11_uri *uri, CK_OBJECT_CLASS *out_class)
{
    if (!is_named(uri, "type"))
        return false;
    *out_class = uri->class;
    return true;
}

/* ---- Writing ---- */

static bool
stays_as_it_is(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '-' || byte == '.' || byte == '_';
}

/* Appends ";NAME=VALUE", without the ';' after the scheme. With `all` every byte is escaped: what an id is made of is
 * no text. */
static enum hsmart_code
append(struct hs_buf *out, size_t start, const char *name, struct hs_span value, bool all, hsmart_err *err)
{
    const char *separator = out->len > start + strlen(SCHEME) ? ";" : "";
    enum hsmart_code code = hs_buf_append_format(out, err, "%s%s=", separator, name);

    for (size_t i = 0; i < value.len && code == HSMART_OK; i++) {
        if (!all && stays_as_it_is(value.data[i]))
            code = hs_buf_append(out, (struct hs_span){value.data + i, 1}, err);
        else
            code = hs_buf_append_format(out, err, "%%%02X", value.data[i]);
    }
    return code;
}

/* A field without the spaces that pad it. */
static struct hs_span
unpadded(const uint8_t *field, size_t len)
{
    while (len > 0 && field[len - 1] == ' ')
        len--;
    return (struct hs_span){field, len};
}

enum hsmart_code
hs_p11_uri_format_token(const CK_TOKEN_INFO *token, struct hs_buf *out, hsmart_err *err)
{
    size_t start = out->len;
    enum hsmart_code code = hs_buf_append_str(out, SCHEME, err);

    for (size_t i = 0; i < TOKEN_ATTRIBUTES && code == HSMART_OK; i++) {
        const uint8_t *field = (const uint8_t *)token + attributes[i].offset;
        if (field[0] != 0) /* a zero byte is no text: the token does not tell */
            code = append(out, start, attributes[i].name, unpadded(field, attributes[i].len), false, err);
    }
    return code;
}

enum hsmart_code
hs_p11_uri_format_key(const CK_TOKEN_INFO *token, struct hs_span label, struct hs_span id, struct hs_buf *out,
                      hsmart_err *err)
{
    size_t start = out->len;
    enum hsmart_code code = hs_p11_uri_format_token(token, out, err);

    if (code == HSMART_OK && id.len > 0)
        code = append(out, start, "id", id, true, err);
    if (code == HSMART_OK && label.len > 0)
        code = append(out, start, "object", label, false, err);
    return code == HSMART_OK ? append(out, start, "type", hs_span_str("private"), false, err) : code;
}
