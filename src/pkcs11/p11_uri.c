#define _GNU_SOURCE /* strcasestr */
#include "p11_uri.h"

#include <p11-kit/uri.h>
#include <stdlib.h>

#include "err.h"

#define TOLD_MAX 200 /* bytes of a URI in a message */

struct hs_p11_uri {
    P11KitUri *uri;
};

/* ---- Reading ---- */

static const char *
words_of(int status)
{
    static const struct {
        int status;
        const char *words;
    } rows[] = {
        {P11_KIT_URI_BAD_SCHEME, "it does not begin with \"pkcs11:\""},
        {P11_KIT_URI_BAD_ENCODING, "a percent escape is wrong"},
        {P11_KIT_URI_BAD_SYNTAX, "its syntax is wrong"},
        {P11_KIT_URI_BAD_VERSION, "its library version is wrong"},
    };

    for (size_t i = 0; i < HS_ARRAY_LEN(rows); i++)
        if (rows[i].status == status)
            return rows[i].words;
    return "it cannot be read";
}

/* By the text and not by the parsed URI, so that a malformed one never gets into a message with its PIN either. */
static enum hsmart_code
refuse_pin(const char *text, hsmart_err *err)
{
    const char *which = strstr(text, "pin-value") != NULL ? "pin-value" : "pin-source";

    if (strstr(text, which) == NULL)
        return HSMART_OK;
    (void)hs_err_set(err, HSMART_INVALID_ARGUMENT, "the PKCS#11 URI has a %s, which is not taken from a URI: URIs end "
                                                   "up in process lists, shell histories and logs", which);
    hs_err_hint(err, "take it out and give the PIN by a PIN source, e.g. file:PATH or prompt");
    return HSMART_INVALID_ARGUMENT;
}

/* How much of a URI that is refused may be repeated: nothing from where a PIN could stand, however it is spelt. */
static int
tellable_len(const char *text)
{
    size_t len = strcspn(text, "?");
    const char *pin = strcasestr(text, "pin");

    if (pin != NULL && (size_t)(pin - text) < len)
        len = (size_t)(pin - text);
    return len < TOLD_MAX ? (int)len : TOLD_MAX;
}

/* RFC 7512 section 2.3 forbids it; p11-kit takes the last one, and so another token than the reader may think. */
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

/* p11-kit takes a value that begins with a zero byte for none at all, and then any token matches. */
static bool
has_void_value(const char *text)
{
    static const char *const names[] = {"token=%00", "serial=%00", "manufacturer=%00", "model=%00"};

    for (const char *at = text + strcspn(text, ":"); *at != 0 && *at != '?'; at += strcspn(at, ";?")) {
        at++;
        for (size_t i = 0; i < HS_ARRAY_LEN(names); i++)
            if (strncmp(at, names[i], strlen(names[i])) == 0)
                return true;
    }
    return false;
}

enum hsmart_code
hs_p11_uri_parse(const char *text, struct hs_p11_uri **out_uri, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_p11_uri *uri = NULL;

    code = text != NULL ? refuse_pin(text, err) : HSMART_OK;
    if (code != HSMART_OK)
        return code;
    uri = hs_calloc(1, sizeof *uri);
    if (uri == NULL || (uri->uri = p11_kit_uri_new()) == NULL) {
        code = hs_err_no_memory(err);
        goto out;
    }
    int status = text != NULL ? p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri->uri) : P11_KIT_URI_OK;
    if (status != P11_KIT_URI_OK) {
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%.*s\" is not a PKCS#11 URI: %s", tellable_len(text), text,
                          words_of(status));
        hs_err_hint(err, "a token is named like pkcs11:token=LABEL;serial=SERIAL, a key like pkcs11:object=LABEL;id=%%01");
        goto out;
    }
    if (p11_kit_uri_any_unrecognized(uri->uri)) {
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%.*s\" has an attribute that RFC 7512 does not know, or a "
                          "value longer than any token's", tellable_len(text), text);
        hs_err_hint(err, "the attributes are token, serial, manufacturer, model, slot-id, object, id and type; a token's "
                         "label has at most 32 bytes, its serial number 16");
        goto out;
    }
    if (text != NULL && has_void_value(text)) {
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%.*s\" names a token by a zero byte",
                          tellable_len(text), text);
        goto out;
    }
    if (text != NULL && names_twice(text)) {
        code = hs_err_set(err, HSMART_INVALID_ARGUMENT, "\"%.*s\" names an attribute twice", tellable_len(text), text);
        goto out;
    }
    *out_uri = uri;
    uri = NULL;
out:
    hs_p11_uri_free(uri);
    return code;
}

void
hs_p11_uri_free(struct hs_p11_uri *uri)
{
    if (uri == NULL)
        return;
    p11_kit_uri_free(uri->uri);
    hs_free(uri);
}

/* ---- Matching ---- */

/* p11-kit takes these without const, but only reads them. */
static void *
unconst(const void *pointer)
{
    return (void *)(uintptr_t)pointer;
}

bool
hs_p11_uri_matches_token(const struct hs_p11_uri *uri, const CK_INFO *library, CK_SLOT_ID slot_id,
                         const CK_SLOT_INFO *slot, const CK_TOKEN_INFO *token)
{
    CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(uri->uri);

    if (!p11_kit_uri_match_token_info(uri->uri, unconst(token)))
        return false;
    if (library != NULL && !p11_kit_uri_match_module_info(uri->uri, unconst(library)))
        return false;
    if (slot == NULL)
        return true;
    return p11_kit_uri_match_slot_info(uri->uri, unconst(slot)) && (wanted == (CK_SLOT_ID)-1 || wanted == slot_id);
}

static struct hs_span
attribute_of(const struct hs_p11_uri *uri, CK_ATTRIBUTE_TYPE type)
{
    CK_ATTRIBUTE *attribute = p11_kit_uri_get_attribute(uri->uri, type);

    if (attribute == NULL)
        return (struct hs_span){0};
    return (struct hs_span){attribute->pValue, attribute->ulValueLen};
}

void
hs_p11_uri_get_object(const struct hs_p11_uri *uri, struct hs_span *out_label, struct hs_span *out_id)
{
    *out_label = attribute_of(uri, CKA_LABEL);
    *out_id = attribute_of(uri, CKA_ID);
}

bool
hs_p11_uri_get_class(const struct hs_p11_uri *uri, CK_OBJECT_CLASS *out_class)
{
    struct hs_span value = attribute_of(uri, CKA_CLASS);

    if (value.len != sizeof *out_class)
        return false;
    memcpy(out_class, value.data, sizeof *out_class);
    return true;
}

/* ---- Writing ---- */

static enum hsmart_code
format(P11KitUri *uri, P11KitUriType type, struct hs_buf *out, hsmart_err *err)
{
    char *text = NULL;
    enum hsmart_code code;

    if (p11_kit_uri_format(uri, type, &text) != P11_KIT_URI_OK)
        return hs_err_no_memory(err);
    code = hs_buf_append_str(out, text, err);
    free(text); /* by p11-kit's malloc */
    return code;
}

static P11KitUri *
uri_of_token(const CK_TOKEN_INFO *token)
{
    P11KitUri *uri = p11_kit_uri_new();

    if (uri == NULL)
        return NULL;
    CK_TOKEN_INFO *named = p11_kit_uri_get_token_info(uri);
    memcpy(named->label, token->label, sizeof named->label);
    memcpy(named->manufacturerID, token->manufacturerID, sizeof named->manufacturerID);
    memcpy(named->model, token->model, sizeof named->model);
    memcpy(named->serialNumber, token->serialNumber, sizeof named->serialNumber);
    return uri;
}

enum hsmart_code
hs_p11_uri_format_token(const CK_TOKEN_INFO *token, struct hs_buf *out, hsmart_err *err)
{
    P11KitUri *uri = uri_of_token(token);

    if (uri == NULL)
        return hs_err_no_memory(err);
    enum hsmart_code code = format(uri, P11_KIT_URI_FOR_TOKEN, out, err);
    p11_kit_uri_free(uri);
    return code;
}

enum hsmart_code
hs_p11_uri_format_key(const CK_TOKEN_INFO *token, struct hs_span label, struct hs_span id, struct hs_buf *out,
                      hsmart_err *err)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_ATTRIBUTE attributes[] = {
        {CKA_CLASS, &class, sizeof class},
        {CKA_LABEL, unconst(label.data), label.len},
        {CKA_ID, unconst(id.data), id.len},
    };
    P11KitUri *uri = uri_of_token(token);
    enum hsmart_code code = HSMART_OK;

    if (uri == NULL)
        return hs_err_no_memory(err);
    for (size_t i = 0; i < HS_ARRAY_LEN(attributes) && code == HSMART_OK; i++)
        if (attributes[i].ulValueLen > 0 && p11_kit_uri_set_attribute(uri, &attributes[i]) != P11_KIT_URI_OK)
            code = hs_err_no_memory(err);
    if (code == HSMART_OK)
        code = format(uri, P11_KIT_URI_FOR_OBJECT_ON_TOKEN, out, err);
    p11_kit_uri_free(uri);
    return code;
}
