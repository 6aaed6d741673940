/* The names of the files that a ceremony writes, which follow from its plan. */
#ifndef HS_PLAN_FILES_H
#define HS_PLAN_FILES_H

#include "plan.h"

/* Those of a key: LABEL and the ending. */
enum hs_plan_file { HS_PLAN_FILE_JWK, HS_PLAN_FILE_PEM, HS_PLAN_FILE_REQUEST, HS_PLAN_FILE_CERTIFICATE };
#define HS_PLAN_FILE_KINDS 4U
#define HS_PLAN_FILE_MAX_LEN 128U
void hs_plan_file_format(const struct hs_plan_key *key, enum hs_plan_file kind, char out[HS_PLAN_FILE_MAX_LEN]);

/* Whether every file has a name of its own, also where large and small letters are the same (the stick that the files
 * are carried out on), and none can be taken for another: HSMART_INPUT_MALFORMED with "FILE:LINE: " in front. Records
 * of ceremonies that were held are not measured by this. */
HSMART_MUST_CHECK enum hsmart_code hs_plan_check_files(const struct hs_plan *plan, const char *file, hsmart_err *err);

#endif
