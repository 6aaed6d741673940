#include "key_attack.h"

#include "err.h"

static enum hsmart_code
attack_on(const struct hs_token_key *key, struct hs_p11_session *session, hsmart_attack_report **out_report,
          hsmart_err *err)
{
    const struct hs_key_identity identity = {hs_span_buf(&key->raw_label), hs_span_buf(&key->id), &key->jwk};
    CK_OBJECT_HANDLE handle = 0;
    enum hsmart_code code = hs_token_key_find_again(key->token, session, &identity, &handle, err);

    if (code == HSMART_OK)
        code =
            hs_p11_attack(key->token, session, handle, key->jwk.type == HS_KEY_RSA ? CKK_RSA : CKK_EC, out_report, err);
    return code;
}

enum hsmart_code
hs_key_attack(const struct hs_token_key *key, hsmart_attack_report **out_report, hsmart_err *err)
{
    struct hs_p11_session *session = NULL;
    enum hsmart_code code = HSMART_OK;

    if (!key->info.has_private || key->jwk.pkey == NULL)
        code = hs_err_set(err, HSMART_KEY_UNUSABLE, "%s", key->info.problem_text);
    if (code == HSMART_OK)
        code = hs_p11_token_acquire(key->token, true, HS_P11_ACQUIRE_TIMEOUT_MS, &session, err);
    if (code == HSMART_OK) {
        code = attack_on(key, session, out_report, err);
        hs_p11_token_release(key->token, session);
    }
    if (code != HSMART_OK)
        return hs_err_wrap(err, code, "cannot try the protection of key \"%s\" on token \"%s\"", key->info.label,
                           hs_p11_token_get_name(key->token));
    return HSMART_OK;
}
