/* Sets of public keys, kept sorted by kid. */
#include "err.h"
#include "jwk.h"
#include "text.h"

/* Where `kid` is or belongs. */
static size_t
position_of(const struct hs_jwks *jwks, const char *kid, bool *out_found)
{
    size_t position = 0;

    while (position < jwks->count && strcmp(jwks->entries[position].kid, kid) < 0)
        position++;
    *out_found = position < jwks->count && strcmp(jwks->entries[position].kid, kid) == 0;
    return position;
}

static enum hsmart_code
check_names(const struct hs_jwk *jwk, const char *kid, const char *alg_name, hsmart_err *err)
{
    const struct hs_alg *alg = hs_alg_by_name(alg_name);

    if (kid[0] == 0)
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the kid is empty");
    if (!hs_text_is_utf8(hs_span_str(kid)))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the kid is not UTF-8");
    if (alg == NULL || !hs_alg_fits(alg, jwk->type, jwk->curve))
        return hs_err_set(err, HSMART_INVALID_ARGUMENT, "the algorithm \"%s\" does not fit the key, which can do %s",
                          alg_name, hs_alg_names(jwk->type, jwk->curve));
    return HSMART_OK;
}

static void
clear_entry(struct hs_jwks_entry *entry)
{
    hs_jwk_clear(&entry->jwk);
    hs_string_free(entry->kid);
    hs_string_free(entry->alg);
    *entry = (struct hs_jwks_entry){0};
}

enum hsmart_code
hs_jwks_add(struct hs_jwks *jwks, const struct hs_jwk *jwk, const char *kid, const char *alg, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_jwks_entry entry = {0};
    const char *written_kid = kid != NULL ? kid : jwk->thumbprint;
    const char *written_alg = alg != NULL ? alg : hs_alg_default(jwk->type, jwk->curve)->name;
    bool found = false;

    code = check_names(jwk, written_kid, written_alg, err);
    if (code != HSMART_OK)
        goto out;
    size_t position = position_of(jwks, written_kid, &found);
    if (found) {
        code = hs_err_set(err, HSMART_KEY_EXISTS, "the set has a key with the kid \"%s\" already", written_kid);
        goto out;
    }
    code = hs_jwk_dup(jwk, &entry.jwk, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_strdup(written_kid, &entry.kid, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_strdup(written_alg, &entry.alg, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_array_grow((void **)&jwks->entries, jwks->count, sizeof entry, err);
    if (code != HSMART_OK)
        goto out;
    struct hs_jwks_entry *place = &jwks->entries[position];
    memmove(place + 1, place, (jwks->count - position) * sizeof *place);
    *place = entry;
    jwks->count++;
    entry = (struct hs_jwks_entry){0};
out:
    clear_entry(&entry);
    return code;
}

enum hsmart_code
hs_jwks_format(const struct hs_jwks *jwks, struct hs_buf *out, hsmart_err *err)
{
    enum hsmart_code code;
    struct hs_buf text = {0};
    struct hs_json_writer writer = {.out = &text, .indent = true};

    hs_json_begin_object(&writer);
    hs_json_name(&writer, "keys");
    hs_json_begin_array(&writer);
    for (size_t i = 0; i < jwks->count; i++)
        hs_jwk_put(&writer, &jwks->entries[i].jwk, jwks->entries[i].kid, jwks->entries[i].alg);
    hs_json_end_array(&writer);
    hs_json_end_object(&writer);
    code = hs_json_writer_finish(&writer, err);
    if (code != HSMART_OK)
        goto out;
    code = hs_buf_append_str(&text, "\n", err);
    if (code != HSMART_OK)
        goto out;
    hs_buf_move(&text, out);
out:
    hs_buf_clear(&text);
    return code;
}

void
hs_jwks_clear(struct hs_jwks *jwks)
{
    for (size_t i = 0; i < jwks->count; i++)
        clear_entry(&jwks->entries[i]);
    hs_free(jwks->entries);
    *jwks = (struct hs_jwks){0};
}
