/* Setting a token up. */
#ifndef HS_P11_TOKEN_INIT_H
#define HS_P11_TOKEN_INIT_H

#include <hsmart/token.h>

/* As hsmart_token_init. */
HSMART_MUST_CHECK enum hsmart_code hs_p11_token_init(const hsmart_token_options *options,
                                                     const hsmart_token_init_options *init, hsmart_err *err);

#endif
