/* A circuit breaker with back-off: while a token is out of order, requests fail at once instead of queueing, and one
 * at a time is let through to probe it. Pure state; the owner holds its own lock around every call. */
#ifndef HS_P11_CIRCUIT_H
#define HS_P11_CIRCUIT_H

#include "bytes.h"

#define HS_CIRCUIT_FIRST_MS 100
#define HS_CIRCUIT_LONGEST_MS 30000
#define HS_CIRCUIT_JITTER_PERCENT 20

/* Zero is a closed circuit: all is well. */
struct hs_circuit {
    unsigned failures;    /* recoveries that failed in a row; 0: closed */
    int64_t open_until_ms; /* no probe before; monotonic */
    bool probing;         /* somebody was let through and has not reported yet */
};

enum hs_circuit_answer {
    HS_CIRCUIT_PASS,   /* closed: go on */
    HS_CIRCUIT_PROBE,  /* half open: this caller probes, and reports by succeed or fail */
    HS_CIRCUIT_REFUSE, /* open, or being probed by another: fail at once */
};
enum hs_circuit_answer hs_circuit_enter(struct hs_circuit *circuit, int64_t now_ms);

/* The token signed, and the signature was verified: closed again. */
void hs_circuit_succeed(struct hs_circuit *circuit);
/* A recovery failed: open for 0.1 s, 0.2 s, … 30 s, each ± 20 % (`jitter` is any random number). */
void hs_circuit_fail(struct hs_circuit *circuit, int64_t now_ms, unsigned jitter);
/* A probe ended for a reason that says nothing of the token: the next caller may probe. */
void hs_circuit_abandon(struct hs_circuit *circuit);
/* How long requests are going to be refused, 0 when they are not. */
int64_t hs_circuit_wait_ms(const struct hs_circuit *circuit, int64_t now_ms);

#endif
