/* L05 and L28 to L31: the signature of an assertion, and the key that it is to be verified with. */
#include "assertion_view.h"

static const char *
type_words(const struct hs_jwk *key)
{
    return key->type == HS_KEY_RSA ? "RSA" : key->curve->name;
}

void
hs_l05_alg_fits_key(struct hs_check *check, const struct assertion_view *view)
{
    if ((view->have & HAVE_FITTING_ALG) == 0)
        hs_check_find(check, "the header's \"alg\" is \"%s\", but the key is of the type %s, which can do %s",
                      view->alg->name, type_words(&view->key), hs_alg_names(view->key.type, view->key.curve));
    else if (view->key.alg != NULL && strcmp(view->key.alg, view->alg->name) != 0)
        hs_check_find(check, "the header's \"alg\" is \"%s\", but the key in the JWKS is for \"%s\"", view->alg->name,
                      hs_excerpt_of(hs_span_str(view->key.alg)).text);
    else if (view->key.alg == NULL && hs_check_refuses_all(check, "K09"))
        hs_check_find(check, "the key in the JWKS does not say its \"alg\", which %s compares with the header's",
                      check->server->title);
}

void
hs_l28_length(struct hs_check *check, const struct assertion_view *view)
{
    if ((view->have & HAVE_RIGHT_LENGTH) == 0 && !hs_view_looks_like_der(view))
        hs_check_find(check, "the signature is %zu bytes long, but must be %zu", view->parts[PART_SIGNATURE].bytes.len,
                      view->signature_len);
}

void
hs_l29_der(struct hs_check *check, const struct assertion_view *view)
{
    if (hs_view_looks_like_der(view))
        hs_check_find(check, "the signature is an ASN.1 SEQUENCE of %zu bytes, but must be r and s in %zu",
                      view->parts[PART_SIGNATURE].bytes.len, view->signature_len);
}

void
hs_l30_verifies(struct hs_check *check, const struct assertion_view *view)
{
    struct hs_span signed_text = {view->text.data,
                                  view->parts[PART_HEADER].text.len + 1 + view->parts[PART_PAYLOAD].text.len};
    enum hsmart_code code =
        hs_jwk_verify(&view->key, view->alg, signed_text, hs_span_buf(&view->parts[PART_SIGNATURE].bytes), NULL);

    if (hs_check_is_fault(check, code))
        hs_check_find(check, "the signature does not verify with the key %s of the JWKS",
                      hs_excerpt_of_value(hs_json_member(view->header, "kid")).text);
}

void
hs_l31_key_found(struct hs_check *check, const struct assertion_view *view)
{
    if ((view->have & HAVE_KEY) == 0)
        hs_check_find(check, "%s", view->key_err.text);
}
