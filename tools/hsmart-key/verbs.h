/* The verbs of hsmart-key, one file each. */
#ifndef HSMART_KEY_VERBS_H
#define HSMART_KEY_VERBS_H

#include "cli.h"

extern const struct cli_verb verb_token_list;
extern const struct cli_verb verb_token_init;
extern const struct cli_verb verb_token_unlock_guard;
extern const struct cli_verb verb_generate;
extern const struct cli_verb verb_list;
extern const struct cli_verb verb_audit;
extern const struct cli_verb verb_export;
extern const struct cli_verb verb_import_certificate;
extern const struct cli_verb verb_publish;
extern const struct cli_verb verb_rotate;
extern const struct cli_verb verb_activate;
extern const struct cli_verb verb_retire;
extern const struct cli_verb verb_revoke;
extern const struct cli_verb verb_destroy;
extern const struct cli_verb verb_ceremony_lint;
extern const struct cli_verb verb_ceremony_rehearse;
extern const struct cli_verb verb_ceremony_report;
extern const struct cli_verb verb_ceremony_run;
extern const struct cli_verb verb_ceremony_verify;

#endif
