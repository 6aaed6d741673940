/* Clients at a server: discovery, registration, access tokens and FHIR reads (SMART Backend Services).
 *
 * Requests go over TLS 1.2 or newer, always verified; no redirect is followed. libcurl and the token are touched
 * only when a request is really made: an access token out of the cache costs neither. */
#ifndef HSMART_CLIENT_H
#define HSMART_CLIENT_H

#include <hsmart/signer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How servers are reached. Zero is the default of every field; strings are copied. */
typedef struct hsmart_network_options {
    const char *ca_file;                         /* further CA certificates, PEM, beside the system's */
    const char *ca_directory;                    /* hashed directory instead of the system's */
    const char *client_certificate, *client_key; /* mutual TLS, PEM files */
    bool allow_http_to_loopback;                 /* http:// to this host only, for tests */
    unsigned connect_timeout_ms;                 /* 0: 10 s */
    unsigned timeout_ms;                         /* for one exchange; 0: 30 s */
    unsigned max_attempts;                       /* of a request that failed in transport or with 429, 5xx; 0: 4 */
    unsigned max_wait_s;                         /* a Retry-After above it is HSMART_SERVER_BUSY at once; 0: 600 */
    hsmart_log_fn log;                           /* warnings, and details of what is done; NULL: silent */
    void *log_arg;
} hsmart_network_options;

/* How a client proves who it is. The names are "private_key_jwt", "client_secret_basic", "client_secret_post". */
enum hsmart_auth {
    HSMART_AUTH_DEFAULT = 0, /* private_key_jwt with a signer, client_secret_basic with a secret */
    HSMART_AUTH_PRIVATE_KEY_JWT = 1,
    HSMART_AUTH_SECRET_BASIC = 2,
    HSMART_AUTH_SECRET_POST = 4,
};
/* The name; "none" for HSMART_AUTH_DEFAULT. HSMART_AUTH_DEFAULT for a name that is not one of the three. */
HSMART_API const char *hsmart_auth_name(enum hsmart_auth auth);
HSMART_API enum hsmart_auth hsmart_auth_by_name(const char *name);

/* ---- Servers: one row for each family, with what differs from SMART's defaults (docs/servers.md) ---- */

enum hsmart_audience_rule { HSMART_AUDIENCE_TOKEN_ENDPOINT, HSMART_AUDIENCE_ISSUER, HSMART_AUDIENCE_LITERAL };
enum hsmart_kid_rule { HSMART_KID_ANY, HSMART_KID_UUID, HSMART_KID_ASSIGNED };
enum hsmart_scope_rule { HSMART_SCOPE_REQUIRED, HSMART_SCOPE_OPTIONAL, HSMART_SCOPE_NOT_SENT, HSMART_SCOPE_LITERAL };

/* Static. A client picks a row by name and may override single values. */
typedef struct hsmart_server {
    const char *name;      /* "epic" */
    const char *title;     /* "Epic" */
    unsigned auth_methods; /* of enum hsmart_auth */
    const char *algs;      /* accepted, best first, separated by spaces */
    enum hsmart_audience_rule audience;
    const char *assertion_type; /* header typ */
    unsigned assertion_lifetime_s, max_assertion_lifetime_s;
    bool needs_issued_at, wants_not_before;
    enum hsmart_kid_rule kid;
    unsigned rsa_min_bits;
    bool jwks_url_needed, jwks_url_needed_for_ec; /* takes no JWKS by value (for EC keys) */
    enum hsmart_scope_rule scope;
    const char *scope_literal; /* for HSMART_SCOPE_LITERAL */
    bool raw_basic;            /* HTTP Basic without form-encoding */
    bool registers_by_form;
    unsigned jwks_cache_max_s; /* how long it may keep a JWKS; 0: not known */
    const char *lacks;         /* what it needs and hsmart does not do yet; NULL: nothing */
    const char *notes;         /* NULL: none */
    const char *source;        /* where the values come from */
    bool verified;             /* read in a primary source, not only reported */
} hsmart_server;
/* The row at `index`; false past the last. */
HSMART_API bool hsmart_server_at(size_t index, hsmart_server *out_server);
/* The row of this name, NULL: "smart"; false when there is none. */
HSMART_API bool hsmart_server_by_name(const char *name, hsmart_server *out_server);

/* `hsmart_server_assertion` completes `options` by what the server's row says: the type, lifetime, iat and nbf that are
 * left at their default, and the audience, from `token_endpoint` where it is the row's audience (NULL: not known). It
 * is what a client's token request does, for a program that signs assertions alone; libcurl is not loaded. Strings of
 * `*out_options` belong to the arguments, or are static. `log` hears what is against the row; NULL: silent. Returns
 * HSMART_OK, or
 *   HSMART_CONFIG_INVALID    no such row, or no audience: the hint says what to set;
 *   HSMART_INVALID_ARGUMENT  a lifetime above 300 s. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code
hsmart_server_assertion(const char *server, const hsmart_assertion_options *options, const char *token_endpoint,
                        hsmart_log_fn log, void *log_arg, hsmart_assertion_options *out_options, hsmart_err *err);

/* ---- Discovery ---- */

typedef struct hsmart_text_list {
    const char *const *items;
    size_t count;
} hsmart_text_list;

/* What a server says of itself; strings belong to the object, NULL: not told. Immutable. */
typedef struct hsmart_discovery {
    const char *url; /* that was read */
    const char *token_endpoint;
    const char *issuer, *jwks_uri, *authorization_endpoint, *registration_endpoint, *introspection_endpoint,
        *revocation_endpoint, *management_endpoint;
    hsmart_text_list capabilities, grant_types, auth_methods, signing_algs, scopes;
    hsmart_text_list warnings;       /* one line each; they went to the log, too */
    int64_t read_at_s, expires_at_s; /* seconds since the epoch; until when it may be kept */
    const char *document;            /* as received */
    size_t document_len;
    bool from_cache;
} hsmart_discovery;

/* Zero is the default of every field; `hsmart_discover` copies nothing of it. */
typedef struct hsmart_discovery_options {
    const char *token_pin;       /* the origin or URL that the token endpoint must have */
    enum hsmart_auth auth;       /* warn about what speaks against this way to authenticate */
    bool use_cache;              /* take it out of the cache while it may be kept, and put it there */
    const char *cache_directory; /* NULL: as in hsmart_client_options */
} hsmart_discovery_options;

/* `hsmart_discover` reads FHIR_BASE/.well-known/smart-configuration. `options` and `network` may be NULL. Returns
 * HSMART_OK, or
 *   HSMART_INVALID_ARGUMENT  `fhir_base` is no absolute https URL;
 *   HSMART_SERVER_FAILED     no such document, no JSON object, or no token endpoint in it;
 *   HSMART_POLICY_REFUSED    the token endpoint is not where it is pinned to;
 *   HSMART_NETWORK_FAILED, HSMART_TLS_FAILED, HSMART_SERVER_BUSY. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_discover(const char *fhir_base,
                                                              const hsmart_discovery_options *options,
                                                              const hsmart_network_options *network,
                                                              hsmart_discovery **out_discovery, hsmart_err *err);
HSMART_API void hsmart_discovery_free(hsmart_discovery *discovery);

/* ---- Registration (RFC 7591) ---- */

/* Strings: NULL leaves the member out. */
typedef struct hsmart_registration_request {
    const char *server;                /* a row of the server table, which may want the form; NULL: "smart" */
    const char *registration_endpoint; /* NULL: from the discovery of `fhir_base` */
    const char *fhir_base;
    const char *jwks;     /* a JWK Set as JSON (hsmart_jwks_format); or */
    const char *jwks_uri; /* where it is published: strongly preferred. Never both. */
    enum hsmart_auth auth;
    const char *signing_alg;
    const char *scope;
    const char *client_name, *client_uri, *contact, *software_id, *software_version, *software_statement;
    const char *initial_access_token;        /* or */
    const char *initial_access_token_source; /* file:PATH, credential:NAME, fd:N, exec:COMMAND, prompt */
    const char *file;      /* where it is kept, as by hsmart_registration_save; room is made before anything is sent */
    bool form;             /* as the SMART reference server wants it: a form, answered by the bare client id */
    unsigned duration_min; /* form only: life of access tokens; 0: the server's default */
} hsmart_registration_request;

/* What the server made of it; strings belong to the object. Secrets are not in here: `hsmart_registration_save`
 * keeps them. */
typedef struct hsmart_registration {
    const char *client_id;
    const char *auth_method, *scope; /* as echoed; NULL: not echoed */
    bool has_client_secret;
    int64_t client_secret_expires_at_s;  /* 0: never */
    const char *registration_client_uri; /* RFC 7592; NULL: none */
    const char *registration_endpoint;   /* that it was sent to */
    int64_t registered_at_s;
    bool has_registration_access_token;
    hsmart_text_list differences; /* between what was asked for and what was granted, one line each */
} hsmart_registration;

/* `hsmart_register` registers a client, with one request that is never repeated. Returns HSMART_OK, or
 *   HSMART_INVALID_ARGUMENT  both or none of `jwks` and `jwks_uri`, a JWK Set with private members, no endpoint;
 *   HSMART_SERVER_REFUSED    the server's reason is in `err->text`;
 *   HSMART_POLICY_REFUSED    it granted an authentication method that is not one of ours;
 *   HSMART_OUTPUT_FAILED     `file` cannot be written, and nothing was sent; or, with `*out_registration` set, the disk
 *                            failed after the server had granted it: save it elsewhere, the server says it once;
 *   and as `hsmart_discover`. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_register(const hsmart_registration_request *request,
                                                              const hsmart_network_options *network,
                                                              hsmart_registration **out_registration, hsmart_err *err);
/* Writes everything, secrets included, to a file that only its owner can read; `hsmart_registration_load` reads it
 * back, and refuses a file that others can read (HSMART_PIN_UNAVAILABLE). */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_registration_save(const hsmart_registration *registration,
                                                                       const char *path, hsmart_err *err);
HSMART_API HSMART_MUST_CHECK enum hsmart_code
hsmart_registration_load(const char *path, hsmart_registration **out_registration, hsmart_err *err);
HSMART_API void hsmart_registration_free(hsmart_registration *registration);

/* ---- A client ---- */

/* Called when the first assertion is needed, and again only after it failed. `algs`: with which the server lets
 * the client sign, best first, separated by spaces (`server_algs` of hsmart_signer_options). The signer stays the
 * caller's and must live as long as the client. */
typedef enum hsmart_code (*hsmart_signer_fn)(void *signer_arg, const char *algs, hsmart_signer **out_signer,
                                             hsmart_err *err);

/* A value of the server's row, or one of ours instead. */
enum hsmart_choice { HSMART_BY_SERVER = 0, HSMART_YES, HSMART_NO };

/* Zero is the default of every field but `client_id`, one of `fhir_base` and `token_endpoint`, and one of `signer`,
 * `open_signer`, `secret_source` and `registration_file`. Strings are copied. */
typedef struct hsmart_client_options {
    const char *name;   /* what messages call the client; NULL: its id */
    const char *server; /* a row of the server table; NULL: "smart" */
    const char *fhir_base;
    const char *token_endpoint; /* NULL: from discovery */
    const char *token_pin;      /* the origin or URL that a discovered token endpoint must have */
    const char *client_id;      /* NULL: the one in `registration_file` */
    const char *scope;

    hsmart_signer *signer;        /* stays the caller's, must live as long as the client; or */
    hsmart_signer_fn open_signer; /* opens it when it is needed */
    void *signer_arg;
    const char *secret_source;     /* file:PATH, credential:NAME, fd:N, exec:COMMAND; or */
    const char *registration_file; /* as `hsmart_registration_save` wrote it */
    enum hsmart_auth auth;

    /* Instead of what the server's row says: */
    const char *audience;       /* aud; NULL: by the row (the token endpoint) */
    const char *assertion_type; /* header typ */
    const char *jku;
    unsigned assertion_lifetime_s; /* 1 to 300 */
    bool omit_issued_at, not_before;
    enum hsmart_choice send_client_id; /* client_id in the body beside the assertion */
    enum hsmart_choice raw_basic;      /* HTTP Basic without form-encoding */

    bool use_refresh_token;      /* SMART forbids refresh tokens here; on: one in an answer is kept and used */
    bool no_cache;               /* keep access tokens in memory only */
    const char *cache_directory; /* NULL: $XDG_RUNTIME_DIR/hsmart or the like */
    hsmart_network_options network;
} hsmart_client_options;

/* May be shared between threads: every call is safe beside every other, except `hsmart_client_free`. Threads, and
 * processes of one user, that need an access token at once make one request; `log` and `open_signer` are called while
 * it is under way, and must not call the client. A child process may go on with it, on connections of its own, unless
 * another thread was inside a call at the fork. */
typedef struct hsmart_client hsmart_client;

/* `hsmart_client_new` checks the options and makes a client; nothing is sent, no token touched. Returns HSMART_OK,
 * or
 *   HSMART_INVALID_ARGUMENT, HSMART_CONFIG_INVALID  something is missing or contradicts itself: no scope where the
 *                                                   server wants one, a secret for a server that takes none (unless
 *                                                   `auth` says so in as many words, which is warned about);
 *   and what reading `registration_file` returns. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_client_new(const hsmart_client_options *options,
                                                                hsmart_client **out_client, hsmart_err *err);
HSMART_API void hsmart_client_free(hsmart_client *client);

/* `hsmart_client_assertion` makes the assertion that a token request would carry, for checks and for programs that
 * make the request themselves: with discovery where the client needs it, and with the row's rules. `*out_jwt` is
 * released (and wiped) with `hsmart_string_free`. HSMART_CONFIG_INVALID for a client with a secret; else as
 * `hsmart_client_access_token`. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_client_assertion(hsmart_client *client, char **out_jwt,
                                                                      hsmart_err *err);

/* An access token; wiped and freed with `hsmart_access_token_free`. */
typedef struct hsmart_access_token {
    const char *value;     /* printable, without spaces: fit for "Authorization: Bearer " */
    const char *type;      /* "Bearer" */
    const char *scope;     /* as granted; NULL: neither asked for nor told */
    int64_t obtained_at_s; /* seconds since the epoch: when it was asked for */
    int64_t expires_at_s;
} hsmart_access_token;

/* `hsmart_client_access_token` gives an access token that is good for `min_validity_s` more seconds at least (0:
 * not ended): out of memory or the cache while one will do, renewed early. A renewal that fails does not take away
 * one that is still good for as long as asked. Returns HSMART_OK, or
 *   HSMART_INVALID_ARGUMENT  the server's access tokens do not live as long as asked;
 *   HSMART_SERVER_REFUSED    `err->text` has the likely causes in order, `err->hint` how to test the first; the
 *                            others go to the log as details;
 *   HSMART_SERVER_BUSY       the server wants to be left alone for longer than ten minutes;
 *   HSMART_SERVER_FAILED, HSMART_NETWORK_FAILED, HSMART_TLS_FAILED;
 *   and what the signer or the secret source returns. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_client_access_token(hsmart_client *client, unsigned min_validity_s,
                                                                         hsmart_access_token **out_access_token,
                                                                         hsmart_err *err);
/* `hsmart_client_renew_access_token` gets a new one from the server, whatever there is; when it cannot be had, what
 * there was stays. Errors as above. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_client_renew_access_token(hsmart_client *client,
                                                                               hsmart_access_token **out_access_token,
                                                                               hsmart_err *err);
HSMART_API void hsmart_access_token_free(hsmart_access_token *access_token);
/* A server did not accept this access token (401): this client does not hand it out again, and it leaves the cache, so
 * that no other process of this user finds it there. `value` is its text. `hsmart_client_get` does it by itself. */
HSMART_API void hsmart_client_reject_access_token(hsmart_client *client, const char *value);

/* An answer to a FHIR read; freed with `hsmart_fhir_answer_free`. */
typedef struct hsmart_fhir_answer {
    int status;
    const char *url;          /* that was read */
    const char *content_type; /* "" when the server does not say */
    const char *body;         /* NUL-terminated */
    size_t body_len;
    const char *next_url; /* a Bundle's next page, of the same origin; NULL: none, or not for us (see the log) */
} hsmart_fhir_answer;

/* `hsmart_client_get` reads `path`: relative to the FHIR base ("Patient/1", "/metadata"), or absolute with the
 * base's origin. `accept` NULL: application/fhir+json. The access token never crosses an origin; on 401 one new
 * one is tried, once. On HSMART_SERVER_REFUSED, HSMART_SERVER_BUSY and HSMART_SERVER_FAILED for an answer that is
 * not a success `*out_answer` is set, too, when the server sent one, else it is untouched. Returns HSMART_OK, or
 *   HSMART_POLICY_REFUSED    another origin;
 *   HSMART_SERVER_REFUSED    401 or 403, with the OperationOutcome in one line;
 *   and as `hsmart_client_access_token`. */
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_client_get(hsmart_client *client, const char *path,
                                                                const char *accept, hsmart_fhir_answer **out_answer,
                                                                hsmart_err *err);
HSMART_API void hsmart_fhir_answer_free(hsmart_fhir_answer *answer);

/* `hsmart_client_get_all` reads a Bundle and every page after it. `page_fn` is called for each page, counting from
 * 1; the answer is its own only for the call; anything but HSMART_OK ends the walk and is returned. A page that
 * leads back to one already read is HSMART_SERVER_FAILED. */
typedef enum hsmart_code (*hsmart_page_fn)(void *page_arg, unsigned page, const hsmart_fhir_answer *answer,
                                           hsmart_err *err);
HSMART_API HSMART_MUST_CHECK enum hsmart_code hsmart_client_get_all(hsmart_client *client, const char *path,
                                                                    const char *accept, hsmart_page_fn page_fn,
                                                                    void *page_arg, hsmart_err *err);

#ifdef __cplusplus
}
#endif
#endif
