/* Who may read what of FHIR, and in which format. */
#ifndef SANDBOX_FHIR_ACCESS_H
#define SANDBOX_FHIR_ACCESS_H

#include "exchange.h"

#define FHIR_JSON "application/fhir+json"

/* Whether the request lets us answer in JSON; answers 406 when it does not, and sets `*out_good` to false. */
enum hsmart_code fhir_check_format(struct exchange *exchange, bool *out_good, hsmart_err *err);
/* Whether its access token allows `permission` ('r', 's') on `type`; answers 401 or 403 when it does not. */
enum hsmart_code fhir_authorize(struct exchange *exchange, const char *type, char permission, bool *out_allowed,
                                hsmart_err *err);

#endif
