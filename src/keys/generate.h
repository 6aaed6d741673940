/* Making a key pair that cannot leave its token. */
#ifndef HS_GENERATE_H
#define HS_GENERATE_H

#include "token_key.h"

/* As `hsmart_key_generate`. */
HSMART_MUST_CHECK enum hsmart_code hs_generate(struct hs_p11_token *token, const hsmart_key_spec *spec,
                                               struct hs_token_key **out_key, hsmart_err *err);

#endif
