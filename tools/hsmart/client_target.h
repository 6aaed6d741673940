/* One client at one server, as options and the configuration file describe it. An option beats the file's setting. */
#ifndef HSMART_CLIENT_TARGET_H
#define HSMART_CLIENT_TARGET_H

#include <hsmart/client.h>

#include "target.h"

/* The first member of the struct of options of each verb that speaks to a server. */
struct client_common {
    struct cli_common common;
    const char *client_id, *fhir_base, *token_endpoint, *token_pin, *server, *scope, *auth, *audience, *alg, *kid;
    const char *secret_source, *registration, *cache_directory;
    const char *ca_file, *ca_directory, *client_certificate, *client_key;
    bool allow_http_to_loopback, no_cache;
    struct cli_number timeout_s, max_attempts;
};
extern const struct cli_group client_group;         /* --client --client-id --fhir-base … --no-cache */
extern const struct cli_group client_group_network; /* --ca-file … --max-attempts */

/* Zero is valid and empty. Not to be moved while `options` is in use. */
struct client_target {
    struct target target;
    hsmart_client_options options; /* strings belong to the configuration or to argv */
    const char *alg, *kid;         /* as given; NULL: as the key's setting */
    hsmart_key *key;               /* with `signer`: made when the first assertion is needed */
    hsmart_family *family;         /* instead of `key`, where a family is meant */
    hsmart_signer *signer;
};

/* Puts options and configuration together; no file but the configuration is read, no library loaded.
 * HSMART_INVALID_ARGUMENT, HSMART_CONFIG_INVALID as `target_resolve`. */
HSMART_MUST_CHECK enum hsmart_code client_target_resolve(const struct client_common *own,
                                                         struct client_target *out_target, hsmart_err *err);
/* Makes the client; HSMART_INVALID_ARGUMENT, saying which options are missing, and errors of `hsmart_client_new`. */
HSMART_MUST_CHECK enum hsmart_code client_target_open(struct client_target *target, hsmart_client **out_client,
                                                      hsmart_err *err);
/* Opens the client's token and finds its key, which stays the target's; of a family, which `target->family` has then,
 * the key that signs now. */
HSMART_MUST_CHECK enum hsmart_code client_target_open_key(struct client_target *target, const hsmart_key **out_key,
                                                          hsmart_err *err);
/* The client must be freed before. */
void client_target_clear(struct client_target *target);

#endif
