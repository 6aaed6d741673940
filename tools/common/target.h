/* What a command works on: options merged with the configuration file. An option beats the file's setting of the same
 * thing; names that contradict each other are an error that tells both. */
#ifndef TOOL_TARGET_H
#define TOOL_TARGET_H

#include <hsmart/hsmart.h>

#include "cli.h"
#include "config.h"

/* Zero is valid and empty. Strings belong to the configuration or to argv. */
struct target {
    struct hs_config *config;
    const struct hs_config_client *client; /* NULL unless --client */
    const struct hs_config_key *key;       /* NULL: no key of the configuration is meant */
    const struct hs_config_token *from_config; /* NULL: no token of the configuration is meant */
    hsmart_token_options token;
    const char *key_uri;          /* NULL: the only key of the token */
    hsmart_signer_options signer; /* as the configuration has it */
    hsmart_family_options family; /* label NULL: one key, not a family */
    hsmart_token *opened;         /* by `target_open` */
};

/* Whether the command logs in, and so needs a PIN source. TARGET_LATER: perhaps; `target_need_login` comes before the
 * token is opened, and neither a key nor a token has to be named. */
enum target_login { TARGET_NO_LOGIN, TARGET_LOGIN, TARGET_LATER };

/* Errors: HSMART_CONFIG_INVALID, HSMART_INVALID_ARGUMENT (nothing or contradictory things named, a PIN in a URI),
 * HSMART_PIN_UNAVAILABLE (no source, and nobody to ask). */
HSMART_MUST_CHECK enum hsmart_code target_resolve(const struct cli_common *common, enum target_login login,
                                                  struct target *out_target, hsmart_err *err);
/* After TARGET_LATER: HSMART_INVALID_ARGUMENT without a token, HSMART_PIN_UNAVAILABLE as above. */
HSMART_MUST_CHECK enum hsmart_code target_need_login(struct target *target, hsmart_err *err);
/* Opens the token and logs in, unless that was done before. */
HSMART_MUST_CHECK enum hsmart_code target_open(struct target *target, hsmart_err *err);
/* HSMART_INVALID_ARGUMENT when a family is meant where one key is needed: none of its keys is as good as another. */
HSMART_MUST_CHECK enum hsmart_code target_check_one_key(const struct target *target, hsmart_err *err);
/* Opens the token and finds the key. */
HSMART_MUST_CHECK enum hsmart_code target_open_key(struct target *target, hsmart_key **out_key, hsmart_err *err);
/* Opens the token and makes a signer: on the family, when one is meant, else on the key. */
HSMART_MUST_CHECK enum hsmart_code target_open_signer(struct target *target, const hsmart_signer_options *options,
                                                      hsmart_signer **out_signer, hsmart_err *err);
/* Closes and releases. */
void target_clear(struct target *target);

/* Refuses a text that no name or URL on the command line is: empty, not UTF-8, or with a control character in it
 * (such as the carriage return that $(cat FILE) leaves of a file of another system). NULL is fine. */
HSMART_MUST_CHECK enum hsmart_code target_check_text(const char *option, const char *text, hsmart_err *err);
/* Refuses a URI with a PIN in it, without repeating the PIN. NULL is fine. */
HSMART_MUST_CHECK enum hsmart_code target_check_uri(const char *option, const char *uri, hsmart_err *err);

/* --allow-extractable names the key by its label, so that it cannot cover another one by accident. */
HSMART_MUST_CHECK enum hsmart_code target_check_allowed(const char *allowed_label, const hsmart_key *key,
                                                        hsmart_err *err);

#endif
