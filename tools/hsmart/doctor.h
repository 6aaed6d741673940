/* hsmart doctor: the probes, and what one probe leaves for the next. */
#ifndef HSMART_DOCTOR_H
#define HSMART_DOCTOR_H

#include "client_target.h"
#include "jwks_fetch.h"

struct doctor_options {
    struct client_common client;
    bool login, online;
    const char *jwks;
};

/* What the probes before have established; a probe that needs more is skipped, in the words of cmd_doctor.c. */
enum {
    DR_CLIENT = 1 << 0,       /* it is known */
    DR_KEY_METHOD = 1 << 1,   /* it signs assertions, instead of having a secret */
    DR_MODULE = 1 << 2,       /* can be loaded */
    DR_TOKEN = 1 << 3,        /* is there */
    DR_LOGIN_WANTED = 1 << 4, /* --login or --online */
    DR_PIN_FREE = 1 << 5,     /* nothing stands against trying the PIN */
    DR_LOGGED_IN = 1 << 6,
    DR_KEY = 1 << 7,        /* found, and may sign */
    DR_JWKS_KNOWN = 1 << 8, /* where it is */
    DR_JWKS = 1 << 9,       /* there is a set */
    DR_FHIR_BASE = 1 << 10,
    DR_SERVER_URL = 1 << 11,    /* something of the server to ask for its clock */
    DR_ENDPOINT = 1 << 12,      /* the token endpoint is known */
    DR_ONLINE_WANTED = 1 << 13, /* --online */
    DR_CAN_AUTHENTICATE = 1 << 14,
    DR_ACCESS_TOKEN = 1 << 15,
    DR_SCOPE = 1 << 16,          /* scopes were asked for */
    DR_PUBLISHED = 1 << 17,      /* the key is in the set, under its kid */
    DR_GOOD_ASSERTION = 1 << 18, /* it breaks no rule */
};

enum doctor_verdict { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL, DOCTOR_SKIPPED };

struct probe;
struct doctor_line {
    const struct probe *probe;
    enum doctor_verdict verdict;
    char *text; /* sanitised */
    char *cure; /* NULL: none */
};

struct doctor {
    const struct doctor_options *own;
    const struct probe *probe; /* the one under way */
    unsigned have;
    struct doctor_line *lines;
    size_t count;
    enum hsmart_code code; /* a failure of ours, which ends it */
    hsmart_err *err;

    struct client_common client; /* the options, with the name of the client that is meant */
    char only_client[128];
    struct client_target target; /* `options`: what the client is like */
    hsmart_server server;        /* its row */
    hsmart_token *token;         /* without login */
    const hsmart_key *key;       /* with: the one that signs now */
    const char *jwks_where;
    struct jwks_fetch jwks;
    hsmart_discovery *discovery;
    hsmart_client *connection;
    hsmart_access_token *access_token;
};

/* One line of the answer. A cure belongs to every fail. */
void doctor_tell(struct doctor *doctor, enum doctor_verdict verdict, const char *cure, const char *format, ...)
    HSMART_PRINTF(4, 5);
/* An error as one line; its hint, else the cure of its code, is the cure. A failure of ours ends the doctor. */
void doctor_tell_error(struct doctor *doctor, enum doctor_verdict verdict, const hsmart_err *err);

typedef void doctor_probe(struct doctor *doctor);
struct probe {
    const char *name;
    unsigned needs;
    unsigned rank; /* the lower, the likelier it is what stands behind other failures */
    doctor_probe *run;
};
/* This machine and its token: doctor_local.c. */
doctor_probe doctor_configuration, doctor_files, doctor_module, doctor_token, doctor_pin, doctor_login, doctor_key,
    doctor_policy;
/* What the server sees: doctor_server.c. */
doctor_probe doctor_discovery, doctor_clock, doctor_jwks, doctor_kid, doctor_assertion, doctor_access_token,
    doctor_scope, doctor_fhir;

#endif
