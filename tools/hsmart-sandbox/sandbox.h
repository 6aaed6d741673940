/* The sandbox: what it was told at the start, what it knows, and the one lock for all that changes. */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <pthread.h>
#include <stdatomic.h>

#include "clients.h"
#include "expiring.h"
#include "faults.h"
#include "fhir_store.h"
#include "http.h"
#include "history.h"
#include "servers.h"

/* Whatever a stranger sends or causes has a limit. */
#define SANDBOX_ACCESS_TOKENS_MAX 20000U
#define SANDBOX_JTIS_MAX 100000U
#define SANDBOX_TOKEN_LIFE_DEFAULT_S 300U

/* Zero is the default of every member. Strings are borrowed. */
struct sandbox_settings {
    const char *server; /* a row of the server table; NULL: "smart" */
    bool strict;        /* every rule counts, and findings come with the refusal */
    unsigned token_life_s;
    unsigned jwks_life_max_s; /* a fetched JWKS is kept no longer, whatever it says; 0: the row's, else a day */
    unsigned jwks_reread_s;   /* for an unknown kid it is read again after so long at the earliest */
    unsigned request_max_s;   /* a request that takes longer to arrive is dropped */
    bool is_loopback;         /* nobody but this machine can reach it: administration is open */
    bool is_http;
    struct hs_secret initial_access_token; /* registration needs it; empty: open to all */
};

struct sandbox {
    const struct sandbox_settings *settings;
    const struct hs_server_row *row;
    struct hs_buf origin, fhir_base, token_url, register_url; /* as clients are told */
    struct fhir_store fhir;
    struct hs_http *http; /* for the JWKS of clients */
    atomic_bool stopping;
    atomic_llong clock_offset_s;
    atomic_uint now_fetching; /* JWKS documents */

    pthread_mutex_t lock; /* for what follows */
    struct clients clients;
    struct expiring access_tokens; /* value: struct grant */
    struct expiring jtis;
    struct faults faults;
    struct history history;
};

/* What an access token stands for; one block. */
struct grant {
    const struct client *client;
    char scope[];
};

/* `origin` is "https://127.0.0.1:8443"; `http` is taken over on success. */
enum hsmart_code sandbox_init(struct sandbox *sandbox, const struct sandbox_settings *settings, const char *origin,
                              struct hs_http *http, hsmart_err *err);
void sandbox_clear(struct sandbox *sandbox);

/* Seconds since the epoch by the sandbox's clock, which tests can put forward. */
int64_t sandbox_now_s(const struct sandbox *sandbox);
/* Waits, but not past the end of the sandbox. */
void sandbox_wait_ms(const struct sandbox *sandbox, unsigned ms);
/* `bytes` random ones as base64url: for ids, secrets and access tokens. */
enum hsmart_code sandbox_random_text(size_t bytes, struct hs_buf *out, hsmart_err *err);

#endif
