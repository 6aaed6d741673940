/* What can be told to go wrong: "token.503-once", "all.slow-3", "discovery.relative". */
#ifndef SANDBOX_FAULTS_H
#define SANDBOX_FAULTS_H

#include "message.h"

enum endpoint {
    ENDPOINT_DISCOVERY = 1,
    ENDPOINT_REGISTER = 2,
    ENDPOINT_TOKEN = 4,
    ENDPOINT_FHIR = 8,
    ENDPOINT_ADMIN = 16, /* nothing goes wrong there */
    ENDPOINT_TLS = 32,   /* the certificate: chosen at the start */
    ENDPOINT_ALL = ENDPOINT_DISCOVERY | ENDPOINT_REGISTER | ENDPOINT_TOKEN | ENDPOINT_FHIR,
};

struct exchange;

/* One row per fault. A row without functions is asked for by the endpoint that it is about. */
struct fault_row {
    const char *name;
    unsigned endpoints;
    enum fault_argument { FAULT_PLAIN, FAULT_NUMBER, FAULT_WORD, FAULT_STATUS } argument;
    const char *help;
    /* Answers instead of the endpoint. */
    enum hsmart_code (*instead)(struct exchange *exchange, const char *argument, hsmart_err *err);
    /* Changes what the endpoint answered. */
    enum hsmart_code (*after)(struct exchange *exchange, const char *argument, hsmart_err *err);
};
extern const struct fault_row fault_rows[];
extern const size_t fault_row_count;

#define FAULTS_MAX 16U
#define FAULT_ARGUMENT_MAX 48U
#define FAULT_ALWAYS 0U
struct fault {
    const struct fault_row *row;
    unsigned endpoints;
    char argument[FAULT_ARGUMENT_MAX];
    unsigned times, left; /* FAULT_ALWAYS: there is no end */
};
struct faults {
    struct fault items[FAULTS_MAX];
    size_t count;
};
/* Reads one fault and adds it. HSMART_INVALID_ARGUMENT, saying what there is, when it is none. */
enum hsmart_code faults_add(struct faults *faults, const char *text, hsmart_err *err);
/* "token.503-once". */
enum hsmart_code fault_format(const struct fault *fault, struct hs_buf *out, hsmart_err *err);
/* The table as text, for --list-faults. */
enum hsmart_code faults_list(struct hs_buf *out, hsmart_err *err);
/* The fault of the certificate that was asked for, by its name; NULL: none. */
const char *faults_tls(const struct faults *faults);

/* Those that happen to one request. */
struct fault_set {
    struct {
        const struct fault_row *row;
        char argument[FAULT_ARGUMENT_MAX];
    } items[FAULTS_MAX];
    size_t count;
};
/* Takes those of this endpoint, and counts the ones that happen a number of times. */
void faults_take(struct faults *faults, enum endpoint endpoint, struct fault_set *out_set);
/* The argument of the fault ("" when it has none), or NULL when it does not happen. */
const char *fault_of(const struct fault_set *set, const char *name);

#endif
