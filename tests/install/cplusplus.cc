// The public headers in C++, linked against the library: names that were not declared extern "C" would not be found.
#include <hsmart/hsmart.h>

#include <cstring>

int
main()
{
    hsmart_err err = {};
    hsmart_token *token = nullptr;
    const hsmart_token_options options = {};

    if (hsmart_token_open(&options, &token, &err) != HSMART_INVALID_ARGUMENT) // no module
        return 1;
    return std::strcmp(hsmart_version(), HSMART_VERSION_STRING) != 0;
}
