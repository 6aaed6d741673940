#include <hsmart/version.h>

const char *
hsmart_version(void)
{
    return HSMART_VERSION_STRING;
}
