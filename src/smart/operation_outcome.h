/* FHIR's OperationOutcome in one line. */
#ifndef HS_OPERATION_OUTCOME_H
#define HS_OPERATION_OUTCOME_H

#include "json.h"

/* Puts the gravest issue into `out`, sanitised and cut: `OperationOutcome error expired: "Token has expired" (and 2
 * more)`. False when `value` is no OperationOutcome with an issue. */
bool hs_operation_outcome_line(const hs_json_value *value, char *out, size_t out_len);

#endif
