/* hsmart: SMART on FHIR Backend Services with a private key that never leaves its HSM.
 *
 * What holds in every header: strings are NUL-terminated UTF-8 and copied when handed in; `…_get_…` returns what
 * belongs to its argument; `…_free` and `…_close` take NULL; units are in the names (`lifetime_s` seconds,
 * `id_len` bytes); outputs are untouched on failure. The library prints nothing and keeps no global state but the
 * loaded PKCS#11 modules. */
#ifndef HSMART_HSMART_H
#define HSMART_HSMART_H

#include <hsmart/attack.h>
#include <hsmart/certificate.h>
#include <hsmart/client.h>
#include <hsmart/error.h>
#include <hsmart/key.h>
#include <hsmart/signer.h>
#include <hsmart/token.h>
#include <hsmart/version.h>

#endif
