#include <hsmart/signer.h>

#include "api_objects.h"
#include "assertion.h"

enum hsmart_code
hsmart_signer_new(const hsmart_key *key, const hsmart_signer_options *options, hsmart_signer **out_signer,
                  hsmart_err *err)
{
    struct hs_signer *signer = NULL;
    enum hsmart_code code = hs_token_signer_new(hs_api_token_key(key), options, &signer, err);

    if (code == HSMART_OK)
        *out_signer = (hsmart_signer *)signer;
    return code;
}

void
hsmart_signer_free(hsmart_signer *signer)
{
    hs_signer_free(hs_api_signer(signer));
}

enum hsmart_code
hsmart_signer_assertion(hsmart_signer *signer, const hsmart_assertion_options *options, char **out_jwt,
                        hsmart_err *err)
{
    struct hs_buf jwt = {0};
    enum hsmart_code code = hs_api_check_given(options, err);

    if (code == HSMART_OK)
        code = hs_assertion_sign(hs_api_signer(signer), options, &jwt, err);
    if (code == HSMART_OK)
        code = hs_buf_take_text(&jwt, out_jwt, err);
    hs_buf_clear(&jwt);
    return code;
}
