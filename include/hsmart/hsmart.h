/* hsmart: SMART on FHIR Backend Services with a private key that never leaves its HSM.
 *
 * What holds in every header: strings are NUL-terminated UTF-8 and copied when handed in; `…_get_…` returns what
 * belongs to its argument; `…_free` and `…_close` take NULL; units are in the names (`lifetime_s` seconds,
 * `id_len` bytes); outputs are untouched on failure.
 *
 * Structures of options are set to zero by the caller before their fields are (`= {0}`, or designated initialisers):
 * zero is every field's default, and a field that is added later has one, too. Until 1.0 the soname holds the minor
 * version, so that a program never meets a library whose structures have other sizes.
 *
 * A required structure of options that is NULL is HSMART_INVALID_ARGUMENT; other pointers must not be NULL unless it is
 * said. After a fork the child opens its tokens anew: what the parent opened answers HSMART_FORKED there, and is
 * released as usual.
 *
 * The library prints nothing. What it keeps for the whole process are the loaded PKCS#11 modules, OpenSSL's digests,
 * and, for modules with the quirk "sigpipe" only (docs/tokens.md), SIGPIPE ignored where its action was the default. */
#ifndef HSMART_HSMART_H
#define HSMART_HSMART_H

#include <hsmart/attack.h>
#include <hsmart/certificate.h>
#include <hsmart/client.h>
#include <hsmart/error.h>
#include <hsmart/key.h>
#include <hsmart/lifecycle.h>
#include <hsmart/signer.h>
#include <hsmart/token.h>
#include <hsmart/version.h>

#endif
