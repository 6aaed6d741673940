/* How a family of servers answers, beside what it refuses: src/rules knows that, this knows the rest. */
#ifndef SANDBOX_FAMILIES_H
#define SANDBOX_FAMILIES_H

#include "check.h"

/* The shape of an error at the token endpoint. */
enum error_shape {
    ERROR_OAUTH,        /* RFC 6749 section 5.2 */
    ERROR_CODE_MESSAGE, /* {"code", "message"} */
    ERROR_TEXT,         /* plain text */
};

struct family {
    const char *server; /* name of a row of the server table */
    enum error_shape shape;
    unsigned token_life_s; /* of access tokens; 0: the sandbox's default */
    bool omits_scope;      /* from the answer of the token endpoint */
    bool expires_in_text;  /* "1200" in quotes */
    bool unregistered;     /* takes grants that it advertises only from clients with a licence: unauthorized_client */
    const char *order;     /* codes of rules in the order in which it looks; those that are missing come after; NULL:
                              the catalogue's */
};
/* Never NULL: a server without a row of its own answers as the RFCs have it. */
const struct family *family_of(const char *server);

/* The finding that this family tells: the first by its order. NULL when no finding is an error. */
const struct hs_finding *family_first_finding(const struct family *family, const struct hs_report *report);

/* How a broken rule is answered. `description` has "…" for a value. */
struct refusal {
    int status;
    const char *error;
    const char *description; /* the family's own words; NULL: not known */
};
struct refusal family_refusal(const char *server, const char *code);

#endif
