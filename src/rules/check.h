/* What servers refuse, as a catalogue, and the checks that apply it to a JWKS, an assertion or a token request.
 *
 * `hsmart check`, `hsmart doctor` and the sandbox all call the functions below: what a check passes for a server's row,
 * the sandbox accepts for that row. docs/rules.md is held against the tables. */
#ifndef HS_CHECK_H
#define HS_CHECK_H

#include "bytes.h"

struct hs_server_row; /* servers.h */

/* ---- The catalogue ---- */

enum hs_severity { HS_SEVERITY_ERROR, HS_SEVERITY_WARNING };

/* One rule. Codes are those of docs/rules.md: K.. for a JWKS, L.. for an assertion, R.. for a token request. */
struct hs_rule {
    const char *code;
    enum hs_severity severity;
    const char *good;   /* what holds when nothing is wrong */
    const char *title;  /* what is wrong, in general */
    const char *cure;
    const char *source; /* RFC and section, or the specification's page */
};
extern const struct hs_rule hs_rules[];
extern const size_t hs_rule_count;
const struct hs_rule *hs_rule_by_code(const char *code);

/* What a family of servers was seen to do about a rule. Where nothing is known, a rule counts as SMART has it. */
enum hs_stance {
    HS_REFUSES,     /* refuses what breaks the rule; what is only a warning in general is an error here */
    HS_REFUSES_ALL, /* refuses the milder cases too, which are warnings elsewhere */
    HS_TAKES,       /* takes what breaks the rule: a warning here, since others refuse it */
};
struct hs_enforcement {
    const char *code;
    const char *server; /* name of a row of the server table */
    enum hs_stance stance;
    int status;              /* of its answer; 0: not known */
    const char *error;       /* OAuth's error code in its answer; NULL: not known */
    const char *description; /* its words, … for a value; NULL: not known */
};
extern const struct hs_enforcement hs_enforcements[];
extern const size_t hs_enforcement_count;
/* NULL when nothing is known. */
const struct hs_enforcement *hs_enforcement_of(const char *code, const char *server);

/* ---- Reports ---- */

struct hs_finding {
    const struct hs_rule *rule;
    enum hs_severity severity; /* for the server that was named; without one the rule's, or milder */
    char *text;                /* what exactly was found, one line, sanitised */
};

enum hs_verdict { HS_VERDICT_OK, HS_VERDICT_WARNING, HS_VERDICT_ERROR, HS_VERDICT_SKIPPED };
struct hs_rule_verdict {
    const struct hs_rule *rule;
    enum hs_verdict verdict; /* the worst of its findings */
    const char *reason;      /* why it was skipped; NULL otherwise. Static. */
};

/* Every rule that concerns the input has one verdict, in the order of the catalogue (of a request: first the R.. rules,
 * then L.. for its assertion); and all findings in the same order, not only the first. Zero is valid and empty. */
struct hs_report {
    struct hs_finding *findings;
    size_t count, error_count, warning_count;
    struct hs_rule_verdict *verdicts;
    size_t verdict_count;
};
void hs_report_clear(struct hs_report *report);
/* How many rules have this verdict. */
size_t hs_report_count(const struct hs_report *report, enum hs_verdict verdict);
/* NULL when the rule does not concern the input. */
const struct hs_rule_verdict *hs_report_verdict(const struct hs_report *report, const char *code);

/* ---- A key set ---- */

/* How a JWKS came from its URL. What was not there is NULL. */
struct hs_served {
    const char *url;
    enum hsmart_code failure; /* HSMART_OK: there was an answer; else `failure_text` says why there was none;
                               * HSMART_INVALID_ARGUMENT: it was not asked, since it is http */
    const char *failure_text;
    int status;
    const char *location, *content_type, *cache_control;
    int64_t cache_life_s; /* as Cache-Control or Expires say; -1: they do not */
};

/* Zero skips what needs a field (and the report says so). */
struct hs_jwks_expectation {
    const struct hs_server_row *server;
    const struct hs_served *served; /* NULL: it was not read from a URL */
};
/* Whatever `text` is, the answer is a report; only lack of memory (or OpenSSL failing) is an error. `expectation`
 * may be NULL. */
HSMART_MUST_CHECK enum hsmart_code hs_check_jwks(struct hs_span text, const struct hs_jwks_expectation *expectation,
                                                 struct hs_report *out_report, hsmart_err *err);

/* ---- An assertion ---- */

/* How the client's keys came to the server. */
enum hs_handover { HS_HANDOVER_UNKNOWN, HS_HANDOVER_VALUE, HS_HANDOVER_URL };

/* How long the jti of an assertion that was accepted has to be remembered, at most: as long as any family lets one live
 * (Okta: an hour), and what clocks may differ by. An assertion with an exp can be forgotten HS_JTI_SKEW_S after it. */
#define HS_JTI_SKEW_S 60
#define HS_JTI_MEMORY_S (3600 + HS_JTI_SKEW_S)

/* Whether the server has seen this jti of this issuer before. */
typedef bool hs_seen_fn(void *seen_arg, struct hs_span issuer, struct hs_span jti);

/* What the assertion is held against; zero fields skip the rules that need them (and the report says so). */
struct hs_assertion_expectation {
    const struct hs_server_row *server; /* NULL: no family in particular, every rule as the catalogue has it */
    struct hs_span jwks;                /* JWKS text; data NULL: none */
    const struct hs_served *jwks_served; /* NULL: the JWKS was not read from a URL */
    enum hs_handover handover;
    const char *audience;
    const char *client_id;
    const char *jku;  /* the registered JWKS URL */
    const char *type; /* header typ; NULL: the server's, else JWT */
    int64_t now_s;    /* 0: the system's clock */
    unsigned skew_s;  /* tolerance for iat and nbf in the future, beside the server's own */
    hs_seen_fn *is_seen;
    void *seen_arg;
};
HSMART_MUST_CHECK enum hsmart_code hs_check_assertion(struct hs_span text,
                                                      const struct hs_assertion_expectation *expectation,
                                                      struct hs_report *out_report, hsmart_err *err);

/* ---- A token request ---- */

struct hs_request_header {
    struct hs_span name, value; /* value without white space around it */
};
/* An HTTP request. `headers` is owned by who made the struct, everything else is borrowed. */
struct hs_request {
    struct hs_span method, target; /* "POST", "/oauth2/token" */
    struct hs_request_header *headers;
    size_t header_count;
    struct hs_span body;
    bool is_chunked;      /* the body was not decoded */
    const char *broken;   /* what kept it from being read as HTTP; NULL: nothing. Static. */
};
/* Takes a raw request (HTTP/1) apart, line ends with or without CR; a part that cannot be read is left out and told in
 * `broken`. Only lack of memory is an error. Zero is valid and empty. */
HSMART_MUST_CHECK enum hsmart_code hs_request_parse(struct hs_span raw, struct hs_request *out_request,
                                                    hsmart_err *err);
void hs_request_clear(struct hs_request *request);

struct hs_request_expectation {
    const char *token_url; /* NULL: not known */
    struct hs_assertion_expectation assertion; /* and the server */
};
/* Checks the request (R..), and the assertion in it (L..) when there is one. The audience is `token_url` where
 * `assertion.audience` is NULL. */
HSMART_MUST_CHECK enum hsmart_code hs_check_request(const struct hs_request *request,
                                                    const struct hs_request_expectation *expectation,
                                                    struct hs_report *out_report, hsmart_err *err);

/* ---- Names of servers ---- */

/* The row of this name for the fields `server` above. HSMART_INVALID_ARGUMENT, with a hint that lists the names. */
HSMART_MUST_CHECK enum hsmart_code hs_check_server_find(const char *name, const struct hs_server_row **out_row,
                                                        hsmart_err *err);

#endif
