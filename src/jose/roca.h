/* The fingerprint of CVE-2017-15361 ("ROCA"): RSA moduli whose factors an Infineon library built from powers of 65537,
 * so that they can be factored (Nemec, Sys, Svenda, Klinec, Matyas, CCS 2017). Smart cards, TPMs and some HSMs had it.
 */
#ifndef HS_ROCA_H
#define HS_ROCA_H

#include "bytes.h"

/* Whether a modulus (big-endian) has that form. An ordinary one does with a chance of 2^-27. */
bool hs_roca_is_suspect(struct hs_span modulus);

#endif
