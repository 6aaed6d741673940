/* The verbs of hsmart, one file each. */
#ifndef HSMART_VERBS_H
#define HSMART_VERBS_H

#include "cli.h"

extern const struct cli_verb verb_assertion;
extern const struct cli_verb verb_check_assertion;
extern const struct cli_verb verb_check_jwks;
extern const struct cli_verb verb_check_request;
extern const struct cli_verb verb_discover;
extern const struct cli_verb verb_exec;
extern const struct cli_verb verb_get;
extern const struct cli_verb verb_register;
extern const struct cli_verb verb_token;
extern const struct cli_verb verb_doctor;

#endif
