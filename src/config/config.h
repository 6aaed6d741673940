/* hsmart.conf: tokens, keys and clients by name. Read with libconfuse, checked whole: an unknown setting, a wrong
 * type, a duplicate name and a reference to nothing are errors with file and line. No PIN or secret stands in it. */
#ifndef HS_CONFIG_H
#define HS_CONFIG_H

#include "bytes.h"

#define HS_CONFIG_MAX_LEN (256U << 10)

/* All strings belong to the configuration; NULL: not set. */
struct hs_config_token {
    const char *name;
    const char *module, *init_string, *quirks, *uri, *pin_source, *state_directory;
    unsigned max_sessions, timeout_ms; /* 0: not set */
};
struct hs_config_key {
    const char *name;
    const struct hs_config_token *token;
    const char *uri, *thumbprint, *kid, *alg;
    const char *family, *lifecycle_file; /* family: instead of uri, thumbprint and kid */
    bool allow_extractable;
};
/* A value that a server's row has, and that a client may have otherwise. */
enum hs_config_choice { HS_CONFIG_NOT_SET = 0, HS_CONFIG_TRUE, HS_CONFIG_FALSE };

struct hs_config_client {
    const char *name;
    const char *profile;   /* default "smart" */
    const char *fhir_base, *token_endpoint, *token_pin, *audience, *client_id, *registration_file, *scope;
    const char *auth_method, *client_secret_source, *jku, *assertion_type;
    const struct hs_config_key *key; /* NULL: symmetric */
    unsigned assertion_lifetime_s; /* 0: default */
    bool omit_issued_at, not_before;
    enum hs_config_choice send_client_id, raw_basic;
    bool use_refresh_token, no_cache;
    const char *cache_directory;
    const char *ca_file, *ca_directory, *client_certificate, *client_key;
    bool allow_http_to_loopback;
    unsigned connect_timeout_ms, timeout_ms, max_attempts, max_wait_s; /* 0: default */
};
struct hs_config; /* owns everything above */

/* `hs_config_load` reads a file; HSMART_CONFIG_INVALID, with "file:line: …" in the text where a line is at fault. The
 * file names libraries and commands, so one that others could have written is refused (trusted_file.h).
 * Nothing is taken from the environment or from other files. Safe on several threads at once: they take turns. */
HSMART_MUST_CHECK enum hsmart_code hs_config_load(const char *path, struct hs_config **out_config, hsmart_err *err);
HSMART_MUST_CHECK enum hsmart_code hs_config_parse(const char *text, const char *name, struct hs_config **out_config,
                                                   hsmart_err *err);
void hs_config_free(struct hs_config *config);
/* What a person should be warned of about the file, or NULL. `config` may be NULL. */
const char *hs_config_get_caveat(const struct hs_config *config);

/* The path to use: `given` when not NULL (it must exist), else $HSMART_CONFIG (must exist when set), else the first
 * that exists of ~/.config/hsmart/hsmart.conf ($XDG_CONFIG_HOME honoured) and /etc/hsmart/hsmart.conf. Sets `out_path`
 * to an empty buffer when there is none. */
HSMART_MUST_CHECK enum hsmart_code hs_config_find(const char *given, struct hs_buf *out_path, hsmart_err *err);

/* By name; NULL when there is none. With `name` NULL: the only one, NULL when there are none or several. `config` may
 * be NULL, as it is without a configuration file. */
const struct hs_config_token *hs_config_get_token(const struct hs_config *config, const char *name);
const struct hs_config_key *hs_config_get_key(const struct hs_config *config, const char *name);
const struct hs_config_client *hs_config_get_client(const struct hs_config *config, const char *name);
/* The names of one kind ("token", "key", "client"), separated by ", ", for messages. */
HSMART_MUST_CHECK enum hsmart_code hs_config_names(const struct hs_config *config, const char *kind,
                                                   struct hs_buf *out, hsmart_err *err);

#endif
