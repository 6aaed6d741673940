/* The driver of every signer in C: modes, threads, clocks. */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS_MAX 64U

const char bench_signing_input[] =
    "eyJhbGciOiJFUzM4NCIsImtpZCI6IjAxMjM0NTY3ODlhYmNkZWZnaGlqIiwidHlwIjoiSldUIn0."
    "eyJpc3MiOiI4ZDVmNmExZS0wMDAwLTQwMDAtODAwMC0wMTIzNDU2Nzg5YWIiLCJzdWIiOiI4ZDVmNmExZS0wMDAwLTQwMDAtODAwMC0wMTIzNDU2"
    "Nzg5YWIiLCJhdWQiOiJodHRwczovL2Voci5leGFtcGxlL29hdXRoMi90b2tlbiIsImV4cCI6MTcwMDAwMDI0MCwiaWF0IjoxNzAwMDAwMDAwLCJq"
    "dGkiOiI2ZjFlZDAwMmFiNTU5NTg1OTAxNGViZjA5NTE1MjJkOSJ9";

static bool tells_steps;
static uint64_t step_began_ns;

void
bench_fail(const char *what, unsigned long number)
{
    (void)fprintf(stderr, "bench: %s (%lu, 0x%lx)\n", what, number, number);
    exit(1);
}

uint64_t
bench_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

void
bench_step(const char *name)
{
    uint64_t now_ns = bench_now_ns();

    if (tells_steps)
        (void)printf("%s %.3f\n", name, (double)(now_ns - step_began_ns) / 1e6);
    step_began_ns = bench_now_ns();
}

const char *
bench_pin(const char *path)
{
    static char pin[256];
    FILE *file = fopen(path, "r");

    if (file == NULL || fgets(pin, sizeof pin, file) == NULL)
        bench_fail("no PIN file", 0);
    (void)fclose(file);
    pin[strcspn(pin, "\r\n")] = '\0';
    return pin;
}

void
bench_print(const uint8_t *signature, size_t len)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    (void)printf("%s.", bench_signing_input);
    for (size_t i = 0; i < len; i += 3) {
        uint32_t block = (uint32_t)signature[i] << 16;
        if (i + 1 < len)
            block |= (uint32_t)signature[i + 1] << 8;
        if (i + 2 < len)
            block |= signature[i + 2];
        size_t characters = len - i >= 3 ? 4 : len - i + 1;
        for (size_t c = 0; c < characters; c++)
            (void)putchar(alphabet[block >> (18 - 6 * c) & 0x3f]);
    }
    (void)putchar('\n');
}

/* ---- Signing for a while on several threads ---- */

struct crew {
    pthread_barrier_t start;
    atomic_ullong count;
    uint64_t end_ns;
};
struct member {
    struct crew *crew;
    void *worker;
    pthread_t thread;
};

static void *
work(void *arg)
{
    struct member *member = arg;
    unsigned long long count = 0;

    (void)pthread_barrier_wait(&member->crew->start);
    while (bench_now_ns() < member->crew->end_ns) {
        bench_sign(member->worker, false);
        count++;
    }
    atomic_fetch_add(&member->crew->count, count);
    return NULL;
}

static void
sign_for_a_while(struct member *members, unsigned threads, unsigned long milliseconds)
{
    struct crew crew = {0};

    (void)pthread_barrier_init(&crew.start, NULL, threads);
    uint64_t began_ns = bench_now_ns();
    crew.end_ns = began_ns + milliseconds * 1000000U;
    for (unsigned i = 0; i < threads; i++) {
        members[i].crew = &crew;
        if (pthread_create(&members[i].thread, NULL, work, &members[i]) != 0)
            bench_fail("no thread", i);
    }
    for (unsigned i = 0; i < threads; i++)
        (void)pthread_join(members[i].thread, NULL);
    (void)printf("%llu %llu\n", atomic_load(&crew.count), (unsigned long long)(bench_now_ns() - began_ns));
    (void)fflush(stdout);
    (void)pthread_barrier_destroy(&crew.start);
}

static void
serve(void)
{
    static struct member members[THREADS_MAX];
    char line[64];
    unsigned made = 0, threads;
    unsigned long milliseconds;

    (void)puts("ready");
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "%u %lu", &threads, &milliseconds) != 2 || threads < 1 || threads > THREADS_MAX)
            bench_fail("not understood", 0);
        for (; made < threads; made++) {
            members[made].worker = bench_worker_new();
            bench_sign(members[made].worker, false); /* what is done once is done before the clock runs */
        }
        sign_for_a_while(members, threads, milliseconds);
    }
}

int
main(int argc, char **argv)
{
    if (argc < 7)
        bench_fail("usage: MODULE TOKEN-LABEL PIN-FILE KEY-LABEL ALG once|look|serve|count N", 0);
    const struct bench_arguments arguments = {argv[1], argv[2], argv[3], argv[4], argv[5], THREADS_MAX};
    const char *mode = argv[6];

    tells_steps = strcmp(mode, "look") == 0;
    step_began_ns = bench_now_ns();
    bench_open(&arguments);
    if (strcmp(mode, "once") == 0) {
        bench_sign(bench_worker_new(), true);
    } else if (strcmp(mode, "count") == 0 && argc == 8) {
        void *worker = bench_worker_new();
        for (long n = strtol(argv[7], NULL, 10); n > 0; n--)
            bench_sign(worker, false);
    } else if (strcmp(mode, "serve") == 0) {
        serve();
    }
    bench_close();
    return 0;
}
