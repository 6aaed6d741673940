/* For benchmarks: what every signer in C is driven by (bench.c). A signer says how it opens the token, makes a worker
 * for a thread, and signs once; the driver counts and times.
 *
 *   PROGRAM MODULE TOKEN-LABEL PIN-FILE KEY-LABEL ALG MODE
 *
 *   once       one signature, then the end: a cold process
 *   count N    N signatures on one thread: for counting instructions
 *   look       opens the token and finds the key, no signature; prints the milliseconds of each step
 *   serve      for each line "THREADS MILLISECONDS" on standard input, signs for so long on so many threads and prints
 *              "SIGNATURES NANOSECONDS": processes take turns, so that all of them see the same machine */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_arguments {
    const char *module, *token_label, *pin_file, *key_label, *alg;
    unsigned max_threads; /* that `serve` will ask for */
};

/* Each signer defines these four; what goes wrong ends the process with a message. */
void bench_open(const struct bench_arguments *arguments);
void *bench_worker_new(void);
/* Signs what stands for the header and claims of an assertion. */
void bench_sign(void *worker, bool print);
void bench_close(void);

/* The 330 bytes that are signed where the signer makes no assertion of its own. */
extern const char bench_signing_input[];
/* `what` and the end. */
_Noreturn void bench_fail(const char *what, unsigned long number);
/* Reads a PIN file without its line end; static storage. */
const char *bench_pin(const char *path);
/* Milliseconds between two moments of the monotonic clock, in nanoseconds. */
uint64_t bench_now_ns(void);
/* Tells how long a step of opening took, where the mode is "look". */
void bench_step(const char *name);
/* base64url of a signature and the signing input in front of it, on standard output. */
void bench_print(const uint8_t *signature, size_t len);

#endif
