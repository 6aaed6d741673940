/* The options that verbs share. */
#include "cli.h"

#define COMMON(member) offsetof(struct cli_common, member)

#define QUIET_ROWS                                                                                                     \
    {"verbose", 'v', NULL, CLI_FLAG, COMMON(verbose), "explain what is done", 0, 0},                                   \
    {"quiet", 'q', NULL, CLI_FLAG, COMMON(quiet), "say nothing on standard error but errors", 0, 0},                   \
    {"help", 'h', NULL, CLI_FLAG, COMMON(help), "show this help", 0, 0},                                               \
    {"version", 'V', NULL, CLI_FLAG, COMMON(version), "show the version", 0, 0},

static const struct cli_option quiet_options[] = {QUIET_ROWS};
const struct cli_group cli_group_quiet = CLI_GROUP("General", quiet_options);

static const struct cli_option general_options[] = {
    {"json", 0, NULL, CLI_FLAG, COMMON(json), "answer in JSON", 0, 0},
    QUIET_ROWS
};
const struct cli_group cli_group_general = CLI_GROUP("General", general_options);

#define ON_COMMAND_LINE "every user of this machine can read the arguments of a process"

static const struct cli_option token_options[] = {
    {"module", 0, "PATH", CLI_TEXT, COMMON(module), "the vendor's PKCS#11 library, an absolute path", 0, 0},
    {"token-uri", 0, "URI", CLI_TEXT, COMMON(token_uri), "the token (RFC 7512); default: the only one", 0, 0},
    {"pin-source", 0, "SOURCE", CLI_TEXT, COMMON(pin_source),
     "where the PIN comes from: file:PATH, credential:NAME, fd:N, exec:COMMAND, prompt or pinpad; default: prompt on a "
     "terminal", 0, 0},
    {"init-string", 0, "TEXT", CLI_TEXT, COMMON(init_string), "handed to the module when it starts (NSS, YubiHSM)",
     0, 0},
    {"quirks", 0, "NAMES", CLI_TEXT, COMMON(quirks), "departures from the standard that the token has", 0, 0},
    {"state-directory", 0, "DIR", CLI_TEXT, COMMON(state_directory),
     "where the PIN guard remembers refused PINs", 0, 0},
    {"token", 0, "NAME", CLI_TEXT, COMMON(token), "a token of the configuration file", 0, 0},
    {"config", 0, "FILE", CLI_TEXT, COMMON(config),
     "the configuration file; default: $HSMART_CONFIG, ~/.config/hsmart/hsmart.conf, /etc/hsmart/hsmart.conf", 0, 0},
    {"pin", 0, "PIN", CLI_REFUSED, 0, ON_COMMAND_LINE, 0, 0},
    {"pin-value", 0, "PIN", CLI_REFUSED, 0, ON_COMMAND_LINE, 0, 0},
    {"so-pin", 0, "PIN", CLI_REFUSED, 0, ON_COMMAND_LINE, 0, 0},
    {"so-pin-value", 0, "PIN", CLI_REFUSED, 0, ON_COMMAND_LINE, 0, 0},
    {"password", 0, "PIN", CLI_REFUSED, 0, ON_COMMAND_LINE, 0, 0},
};
const struct cli_group cli_group_token = CLI_GROUP("Token", token_options);

static const struct cli_option one_key_options[] = {
    {"key-uri", 0, "URI", CLI_TEXT, COMMON(key_uri),
     "the key (RFC 7512), by object and/or id; default: the only one of the token", 0, 0},
    {"key", 0, "NAME", CLI_TEXT, COMMON(key), "a key of the configuration file", 0, 0},
};
const struct cli_group cli_group_one_key = CLI_GROUP("Key", one_key_options);
