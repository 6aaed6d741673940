/* The signer seam carries what an agent will need: a signer whose answers come from another process, with many requests
 * under way on one connection, answered in any order, late, wrongly or never. */
#include "rows.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "assertion.h"
#include "err.h"
#include "jws.h"
#include "software_signer.h"

#define THREADS 8U
#define EACH 10U
#define INPUT_MAX 2048U

/* ---- The wire: one packet each way, with a number to know the answer by ---- */

struct request {
    uint32_t number, len;
    uint8_t data[INPUT_MAX];
};
struct answer {
    uint32_t number, code, len;
    uint8_t signature[512];
};

/* ---- The other process: it collects requests, and answers the last one first ---- */

static void
answer_all(int socket, struct hs_signer *signer, const struct request *requests, unsigned count)
{
    for (unsigned i = count; i-- > 0;) {
        struct hs_buf signature = {0};
        struct answer answer = {.number = requests[i].number};
        answer.code =
            (uint32_t)signer->ops->sign(signer, (struct hs_span){requests[i].data, requests[i].len}, &signature, NULL);
        answer.len = (uint32_t)signature.len;
        if (signature.len > 0)
            memcpy(answer.signature, signature.data, signature.len);
        hs_buf_clear(&signature);
        if (send(socket, &answer, sizeof answer, MSG_NOSIGNAL) != (ssize_t)sizeof answer)
            _exit(1);
    }
}

/* `die_after` requests the process ends without a word; 0: never. */
static void
serve(int socket, struct hs_signer *signer, unsigned die_after)
{
    static struct request requests[THREADS];
    unsigned count = 0, served = 0;

    for (;;) {
        ssize_t got = recv(socket, &requests[count], sizeof requests[0], count > 0 ? MSG_DONTWAIT : 0);
        if (got == 0)
            _exit(0);
        if (got > 0 && die_after != 0 && ++served >= die_after)
            _exit(0);
        count += got > 0;
        if (got < 0 || count == THREADS) {
            answer_all(socket, signer, requests, count);
            count = 0;
        }
    }
}

/* ---- This process: an implementation of the seam ---- */

struct remote_signer {
    struct hs_signer base;
    int socket;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct answer *waiting[THREADS + 1]; /* slot n waits for answer n */
    bool answered[THREADS + 1], lost;
    unsigned under_way, most_under_way;
    pthread_t reader;
};

static void *
read_answers(void *arg)
{
    struct remote_signer *signer = arg;
    struct answer answer;

    while (recv(signer->socket, &answer, sizeof answer, 0) == (ssize_t)sizeof answer) {
        (void)pthread_mutex_lock(&signer->lock);
        if (answer.number <= THREADS && signer->waiting[answer.number] != NULL) {
            *signer->waiting[answer.number] = answer;
            signer->answered[answer.number] = true;
        }
        (void)pthread_cond_broadcast(&signer->changed);
        (void)pthread_mutex_unlock(&signer->lock);
    }
    (void)pthread_mutex_lock(&signer->lock);
    signer->lost = true;
    (void)pthread_cond_broadcast(&signer->changed);
    (void)pthread_mutex_unlock(&signer->lock);
    return NULL;
}

/* With the lock held; there are as many slots as threads. */
static uint32_t
take_slot(struct remote_signer *signer, struct answer *answer)
{
    uint32_t number = 1;

    while (signer->waiting[number] != NULL)
        number++;
    signer->waiting[number] = answer;
    signer->answered[number] = false;
    signer->under_way++;
    if (signer->under_way > signer->most_under_way)
        signer->most_under_way = signer->under_way;
    return number;
}

/* What comes back is verified here: another process is believed no more than a token. */
static enum hsmart_code
remote_sign(struct hs_signer *base, struct hs_span data, struct hs_buf *out_signature, hsmart_err *err)
{
    struct remote_signer *signer = (struct remote_signer *)base;
    struct request request = {.len = (uint32_t)data.len};
    struct answer answer = {0};

    assert_true(data.len <= INPUT_MAX);
    memcpy(request.data, data.data, data.len);
    (void)pthread_mutex_lock(&signer->lock);
    uint32_t slot = take_slot(signer, &answer);
    request.number = slot;
    if (send(signer->socket, &request, sizeof request, MSG_NOSIGNAL) != (ssize_t)sizeof request)
        signer->lost = true;
    while (!signer->answered[slot] && !signer->lost)
        (void)pthread_cond_wait(&signer->changed, &signer->lock);
    bool answered = signer->answered[slot];
    signer->waiting[slot] = NULL;
    signer->under_way--;
    (void)pthread_mutex_unlock(&signer->lock);
    if (!answered)
        return hs_err_set(err, HSMART_TOKEN_UNAVAILABLE, "the process that signs has ended");
    struct hs_span signature = {answer.signature, answer.len};
    enum hsmart_code code = hs_jwk_verify(base->jwk, base->alg, data, signature, err);
    return code == HSMART_OK ? hs_buf_append(out_signature, signature, err) : code;
}

static const struct hs_signer_ops remote_ops = {.sign = remote_sign, .free = NULL};

/* ---- Tests ---- */

struct crowd {
    struct hs_signer *signer;
    pthread_t thread;
    unsigned good, unavailable;
};

static void *
sign_assertions(void *arg)
{
    const hsmart_assertion_options options = {.client_id = "app", .audience = "https://ehr.example/token"};
    struct crowd *own = arg;

    for (unsigned i = 0; i < EACH; i++) {
        struct hs_buf jwt = {0};
        struct hs_jws jws = {0};
        enum hsmart_code code = hs_assertion_sign(own->signer, &options, &jwt, NULL);
        own->good += code == HSMART_OK && hs_jws_parse(hs_span_buf(&jwt), &jws, NULL) == HSMART_OK &&
                     hs_jwk_verify(own->signer->jwk, own->signer->alg, jws.signing_input, hs_span_buf(&jws.signature),
                                   NULL) == HSMART_OK;
        own->unavailable += code == HSMART_TOKEN_UNAVAILABLE;
        hs_jws_clear(&jws);
        hs_buf_clear(&jwt);
    }
    return NULL;
}

static struct worker {
    const char *name;
    unsigned die_after;
} workers[] = {{"that answers all, in another order", 0}, {"that ends in the middle", 25}};

static void
many_requests_are_under_way_to_a_process(void **state)
{
    const struct worker *row = *state;
    struct remote_signer remote = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct crowd crowd[THREADS] = {0};
    unsigned good = 0, unavailable = 0;
    int sockets[2], status = 0;

    struct hs_signer *software = software_signer_generate("ES384", 0, "k");
    assert_non_null(software);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
    pid_t worker = fork();
    if (worker == 0) {
        (void)close(sockets[0]);
        serve(sockets[1], software, row->die_after);
    }
    (void)close(sockets[1]);
    remote.base =
        (struct hs_signer){.ops = &remote_ops, .jwk = software->jwk, .alg = software->alg, .kid = software->kid};
    remote.socket = sockets[0];
    assert_int_equal(pthread_create(&remote.reader, NULL, read_answers, &remote), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        crowd[i].signer = &remote.base;
        assert_int_equal(pthread_create(&crowd[i].thread, NULL, sign_assertions, &crowd[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(crowd[i].thread, NULL), 0);
        good += crowd[i].good;
        unavailable += crowd[i].unavailable;
    }
    (void)shutdown(sockets[0], SHUT_RDWR);
    assert_int_equal(pthread_join(remote.reader, NULL), 0);
    (void)close(sockets[0]);
    assert_int_equal(waitpid(worker, &status, 0), worker);
    print_message("%u good, %u told that the process has ended, %u under way at once\n", good, unavailable,
                  remote.most_under_way);
    assert_int_equal(good + unavailable, THREADS * EACH); /* every request is answered */
    assert_true(row->die_after != 0 ? unavailable > 0 && good < row->die_after : unavailable == 0);
    assert_true(remote.most_under_way > 1);
    hs_signer_free(software);
}

int
main(void)
{
    static struct rows rows;

    ADD_ROWS(&rows, many_requests_are_under_way_to_a_process, workers);
    return rows_run("the signer seam", &rows);
}
