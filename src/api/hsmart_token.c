#include <hsmart/token.h>

#include "api_objects.h"
#include "p11_slots.h"
#include "p11_token_init.h"

enum hsmart_code
hsmart_token_open(const hsmart_token_options *options, hsmart_token **out_token, hsmart_err *err)
{
    struct hs_p11_token *token = NULL;
    enum hsmart_code code = hs_api_check_given(options, err);

    if (code == HSMART_OK)
        code = hs_p11_token_open(options, &token, err);
    if (code == HSMART_OK)
        *out_token = hs_api_token(token);
    return code;
}

enum hsmart_code
hsmart_token_stop(hsmart_token *token, hsmart_err *err)
{
    return hs_p11_token_stop(hs_api_p11_token(token), err);
}

void
hsmart_token_close(hsmart_token *token)
{
    if (token != NULL)
        hs_p11_token_unref(hs_api_p11_token(token));
}

const hsmart_token_info *
hsmart_token_get_info(const hsmart_token *token)
{
    return hs_p11_token_get_info((const struct hs_p11_token *)token);
}

enum hsmart_code
hsmart_token_list_read(const hsmart_token_options *options, hsmart_token_list **out_list, hsmart_err *err)
{
    enum hsmart_code code = hs_api_check_given(options, err);

    return code == HSMART_OK ? hs_p11_token_list_read(options, out_list, err) : code;
}

void
hsmart_token_list_free(hsmart_token_list *list)
{
    hs_p11_token_list_free(list);
}

enum hsmart_code
hsmart_token_init(const hsmart_token_options *options, const hsmart_token_init_options *init, hsmart_err *err)
{
    enum hsmart_code code = hs_api_check_given(options, err);

    if (code == HSMART_OK)
        code = hs_api_check_given(init, err);
    return code == HSMART_OK ? hs_p11_token_init(options, init, err) : code;
}

enum hsmart_code
hsmart_token_unlock_guard(const hsmart_token_options *options, hsmart_err *err)
{
    enum hsmart_code code = hs_api_check_given(options, err);

    return code == HSMART_OK ? hs_p11_token_guard_reopen(options, err) : code;
}

enum hsmart_code
hsmart_token_look_at_guard(const hsmart_token_options *options, enum hsmart_guard_state *out_state, hsmart_err *err)
{
    return hs_p11_token_guard_look(options, out_state, err);
}

enum hsmart_code
hsmart_token_pin_fd(const hsmart_token *token, int *out_fd, hsmart_err *err)
{
    return hs_p11_token_pin_fd((const struct hs_p11_token *)token, out_fd, err);
}
