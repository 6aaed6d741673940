/* One token from inside: the state that the modules which open, lend, log in and recover share. */
#ifndef HS_P11_TOKEN_STATE_H
#define HS_P11_TOKEN_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "p11_circuit.h"
#include "p11_module.h"
#include "p11_pin.h"
#include "p11_quirk.h"
#include "p11_session.h"
#include "p11_slots.h"
#include "p11_uri.h"

struct hs_pooled_session {
    struct hs_p11_session session; /* first, so that either can be had from the other */
    bool read_write;
    struct hs_pooled_session *next;
};

#define HS_TROUBLE_MAX 256U /* p11_recover.c cuts to one less */

struct hs_p11_token {
    atomic_uint reference_count;
    struct hs_log log;
    struct hs_p11_module *module;
    struct hs_p11_module_user user; /* of the module, with others */
    struct hs_p11_uri *uri;
    char *uri_text, *name, *guard_directory;
    unsigned quirks, set_quirks, timeout_ms; /* set_quirks: by the user's setting alone */
    unsigned max_sessions;                   /* as asked for; 0: the default */
    CK_SLOT_ID slot;                         /* changes only while nobody has a session */
    CK_TOKEN_INFO raw;                       /* as first seen, like `store` */
    struct hs_token_info_store store;

    struct hs_pin_source pin_source; /* kind NULL: no login */
    char *identity;                  /* for the guard: serial, label, manufacturer, model */

    /* Guards all below. Never held while the module is called: a call may not come back. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct hs_secret pin; /* the value that opened the token; a recovery may replace it */
    bool pin_opened;      /* the token took this value before, in this process */
    /* Only the anchor logs in; it is opened first and closed last, since closing the last session logs out. */
    CK_SESSION_HANDLE anchor;
    bool has_anchor; /* false after a recovery that failed: what a session answers then is not to be believed */
    struct hs_pooled_session *idle;
    unsigned open_count, busy_count; /* busy: lent, until given back and, where that is due, closed */
    unsigned request_count;          /* requests under way: a session is but a part of one */
    unsigned limit, shrunk_limit;    /* shrunk: what the token could do when it last had no room */
    int64_t shrunk_until_ms;
    bool opening, climbing, stopped;
    bool vacated; /* its sessions were closed for a restart by another token: the next request logs in anew */
    uint64_t generation; /* counts recoveries: handles and sessions of an older one are stale */
    struct hs_circuit circuit;
    struct hs_circuit seeking; /* how often the module is restarted for keys that are gone */
    char trouble[HS_TROUBLE_MAX]; /* why the last recovery failed */
};

#endif
